"""Pictures of p(z), and of their calibration."""

import numpy as np

from mantis_astro import metrics
from mantis_astro.binned import true_redshift
from mantis_astro.flags import has_data
from mantis_astro.pdf.tables import as_densities, as_truths
from mantis_astro.plotting.panels import (
    distinct_colours,
    name_lines,
    new_axes,
    write_above,
)

__all__ = ["plot_pdf", "plot_pit"]

_MOST = 10  # curves that can still be told apart


def plot_pdf(pdf, z_spec=None, *, prefix="", ax=None, level=0.68, labels=None):
    """
    Draw p(z) of one galaxy or a few.

    The density as it is, constant within bins; shaded, the central interval or, where
    the most probable redshifts are several pieces, as of two peaks, these; a line at
    the median, a triangle above the mode and a dashed line at the true redshift. Of a
    galaxy that is flagged NO_DATA it is said that there are no data, and nothing drawn.

    Parameters
    ----------
    pdf : RedshiftPDF, `~astropy.table.Table` or `~astropy.table.Row`
        Scalar or of shape (n,), at most ten galaxies; or rows that
        `PhotoZ.add_redshifts` gave.
    z_spec : float, array_like, `~astropy.units.Quantity` or str, optional
        True redshifts, of the same shape; NaN or masked where there is none. Of a
        table it may be the name of a column, and is ``z_spec`` if there is one.
    prefix : str, optional
        What stands before the names of the redshift columns of a table.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to draw on; by default those of a new figure, not known to pyplot.
    level : float, optional
        Probability of what is shaded.
    labels : sequence of str, optional
        Names of the galaxies for the legend; long ones are shortened.

    Returns
    -------
    `~matplotlib.axes.Axes`
        Redshift across, probability per unit redshift up.

    Raises
    ------
    ValueError
        If there are no or too many galaxies, or shapes do not match.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.plotting import plot_pdf
    >>> pdf = RedshiftPDF([0.0, 0.1, 0.2, 0.4], [0.2, 0.6, 0.2])
    >>> ax = plot_pdf(pdf, z_spec=0.17)
    >>> ax.get_ylabel()
    'p(z) per unit redshift'
    >>> ax.figure.savefig("pdf.png")  # doctest: +SKIP
    """
    z_spec = as_truths(pdf, z_spec, needed=False)
    pdf = as_densities(pdf, prefix=prefix)
    pdfs = pdf.reshape(-1)
    if not 0 < len(pdfs) <= _MOST:
        msg = f"'pdf' must hold 1 to {_MOST} galaxies to be drawn, got {len(pdfs)}"
        raise ValueError(msg)
    truths = _of_each(
        "z_spec", pdf, np.nan if z_spec is None else true_redshift(z_spec)
    )
    if labels is not None and len(labels) != len(pdfs):
        msg = f"'labels' must name {len(pdfs)} galaxies, got {len(labels)}"
        raise ValueError(msg)
    ax = new_axes((5, 3.4)) if ax is None else ax
    names = [None] * len(pdfs) if labels is None else labels
    colours = distinct_colours(len(pdfs))
    for one, truth, name, colour in zip(pdfs, truths, names, colours, strict=True):
        _draw_pdf(ax, one, truth, level, name, colour, alone=len(pdfs) == 1)
    with_data = has_data(pdfs.flags)
    highest = pdfs[with_data].density.max(initial=0) or pdfs.density.max()
    ax.set(
        xlabel="Redshift z",
        ylabel="p(z) per unit redshift",
        xlim=_redshift_limits(pdfs, truths),
        ylim=(0, 1.15 * highest),
    )
    name_lines(ax, highest)
    return ax


def plot_pit(pdf, z_spec=None, *, prefix="", ax=None, bins=20):
    """
    Draw the histogram of ``cdf(z_spec)``: flat if p(z) are calibrated.

    A hump means p(z) too broad, a bowl too narrow, a slope biased. The band holds 95 %
    of the bars of calibrated p(z).

    Parameters
    ----------
    pdf : RedshiftPDF or `~astropy.table.Table`
        Densities, shape (...), or the table that `PhotoZ.add_redshifts` gave.
    z_spec : array_like, `~astropy.units.Quantity` or str, optional
        True redshifts, of the same shape; NaN or masked where there is none. Of a
        table it may be the name of a column, and is ``z_spec`` by default. What is
        flagged NO_DATA is left out.
    prefix : str, optional
        What stands before the names of the redshift columns of a table.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to draw on; by default those of a new figure, not known to pyplot.
    bins : int, optional
        Number of bars.

    Returns
    -------
    `~matplotlib.axes.Axes`
        Probability integral transform across, galaxies over their expected number up.

    Raises
    ------
    ValueError
        If the shapes differ or no galaxy has a z_spec.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.plotting import plot_pit
    >>> pdf = RedshiftPDF([0.0, 0.2, 0.4], [[0.5, 0.5], [0.5, 0.5]])
    >>> ax = plot_pit(pdf, [0.1, 0.3], bins=2)
    >>> [float(bar.get_height()) for bar in ax.patches[:2]]
    [1.0, 1.0]
    """
    z_spec = as_truths(pdf, z_spec)
    pdf = as_densities(pdf, prefix=prefix)
    values = metrics.pit(pdf, z_spec).ravel()
    values = values[np.isfinite(values) & has_data(np.ravel(pdf.flags))]
    n = len(values)
    if not n:
        msg = "no galaxy has a 'z_spec'"
        raise ValueError(msg)
    ax = new_axes((4.6, 3.4)) if ax is None else ax
    counts, edges = np.histogram(values, bins=bins, range=(0, 1))
    ax.bar(
        edges[:-1],
        counts * bins / n,
        width=1 / bins,
        align="edge",
        color="C0",
        alpha=0.75,
        edgecolor="white",
        linewidth=0.5,
    )
    # Counts of a bar are binomial with probability 1/bins.
    half = 1.96 * np.sqrt((bins - 1) / n)
    ax.axhspan(1 - half, 1 + half, color="0.5", alpha=0.3, lw=0, zorder=2)
    ax.axhline(1, color="black", lw=0.8, zorder=3)
    ax.set(
        xlabel="PIT, cdf(z_spec)",
        ylabel="Galaxies / expected",
        xlim=(0, 1),
        ylim=(0, 1.1 * max(counts.max() * bins / n, 1 + half)),
    )
    write_above(ax, f"N = {n:,}    KS distance = {metrics.pit_ks(values):.3f}")
    return ax


def _of_each(name, pdf, values):
    """Values of the galaxies in one dimension."""
    try:
        return np.broadcast_to(values, pdf.shape).reshape(-1)
    except ValueError:
        msg = f"'{name}' must have the shape of 'pdf', {pdf.shape}, got {values.shape}"
        raise ValueError(msg) from None


def _draw_pdf(ax, pdf, truth, level, label, colour, *, alone):
    edges, density = pdf.bin_edges, pdf.density
    if not has_data(pdf.flags):
        if alone:
            _say_no_data(ax, label)
        else:
            name = "no data" if label is None else f"{label}: no data"
            ax.plot([], [], " ", label=name)
        return
    ax.stairs(density, edges, label=label, lw=1.5, color=colour)
    for low, high in _most_of(pdf, level):
        inside = np.unique(np.r_[low, edges[(edges > low) & (edges < high)], high])
        middle = (inside[1:] + inside[:-1]) / 2
        shade = {"fill": True, "color": colour, "alpha": 0.25, "lw": 0}
        ax.stairs(pdf.pdf(middle).value, inside, **shade)
    median, mode = pdf.median().value, pdf.mode().value
    ax.vlines(median, 0, pdf.pdf(median).value, color=colour, lw=1)
    ax.plot(mode, density.max() * 1.03, "v", color=colour, ms=5, gid="mode")
    if np.isfinite(truth):
        ax.axvline(truth, color="black" if alone else colour, ls="--", lw=1)


def _most_of(pdf, level):
    """Return the highest-density pieces if they are several, else the interval."""
    pieces = pdf.hpd_regions(level)
    if len(pieces) > 1:
        return [tuple(bound.value for bound in piece) for piece in pieces]
    return [tuple(bound.value for bound in pdf.interval(level))]


def _say_no_data(ax, label):
    text = "no data" if label is None else f"{label}:\nno data"
    place = {"ha": "center", "va": "center", "transform": ax.transAxes}
    ax.set_facecolor("0.95")
    ax.text(0.5, 0.5, text, color="0.4", **place)


def _redshift_limits(pdfs, truths):
    """Limits that show 99.8 % of each p(z) that is of data, and every truth."""
    with_data = has_data(pdfs.flags)
    if not with_data.any():
        return tuple(pdfs.bin_edges[[0, -1]])
    low, high = (pdfs[with_data].ppf(q).value for q in (0.001, 0.999))
    low, high = np.nanmin(np.r_[low, truths]), np.nanmax(np.r_[high, truths])
    margin = 0.15 * (high - low)
    return max(0.0, low - margin), high + margin
