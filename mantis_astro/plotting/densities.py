"""Pictures of p(z), of point estimates against the truth, and of calibration."""

import numpy as np

from mantis_astro import metrics
from mantis_astro._optional import require
from mantis_astro.binned import true_redshift
from mantis_astro.flags import Flag
from mantis_astro.pdf.tables import as_densities, as_truths

__all__ = ["plot_pdf", "plot_pit", "plot_zz"]

_MOST = 10  # curves that can still be told apart
_SCATTER = 3000  # points that can


def plot_pdf(pdf, z_spec=None, *, prefix="", ax=None, level=0.68, labels=None):
    """
    Draw p(z) of one galaxy or a few.

    The density as it is, constant within bins; shaded, the central interval; a line at
    the median, a triangle above the mode and a dashed line at the true redshift. A
    galaxy that is flagged NO_DATA is a dotted outline, named so, without estimates.

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
        Probability of the shaded interval.
    labels : sequence of str, optional
        Names of the galaxies for the legend.

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
    ax = _new_axes((5, 3.4)) if ax is None else ax
    names = [None] * len(pdfs) if labels is None else labels
    for one, truth, name in zip(pdfs, truths, names, strict=True):
        _draw_pdf(ax, one, truth, level, name, alone=len(pdfs) == 1)
    if np.isfinite(truths).any():
        ax.plot([], [], "--", color="black", lw=1, label="z_spec")
    ax.set(
        xlabel="Redshift z",
        ylabel="p(z) per unit redshift",
        xlim=_redshift_limits(pdfs, truths),
        ylim=(0, 1.25 * pdfs.density.max()),
    )
    _name_lines(ax, pdfs.density.max())
    return ax


def _name_lines(ax, highest):
    """Write a legend above the densities, in as many columns as fit."""
    names = ax.get_legend_handles_labels()[1]
    if not names:
        return
    size = ax.xaxis.label.get_fontsize()
    box = ax.get_position()
    width, height = 72 * ax.figure.get_size_inches() * (box.width, box.height)
    # a letter is some 0.6 of the size wide; a line and gaps take as much as eight
    fit = int(width / (0.6 * size * (8 + max(map(len, names)))))
    columns = min(max(fit, 1), len(names))
    rows = -(-len(names) // columns)
    room = min(1.6 * size * (rows + 0.5) / height, 0.6)
    ax.set_ylim(0, max(1.25, 1 / (1 - room)) * highest)
    ax.legend(
        loc="upper right", ncols=columns, fontsize=size, framealpha=1, edgecolor="none"
    )


def plot_zz(z_phot, z_spec, *, ax=None, threshold=0.15):
    """
    Draw photometric against spectroscopic redshifts, with the usual numbers.

    Points, or for more than 3,000 galaxies their density; the diagonal; dotted, the
    limits beyond which a galaxy counts as an outlier.

    Parameters
    ----------
    z_phot, z_spec : array_like or `~astropy.units.Quantity`
        Redshifts, of one shape; NaN or masked where there is none.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to draw on; by default those of a new figure, not known to pyplot.
    threshold : float, optional
        Limit of ``|delta_z|`` that the dotted lines show. The share of outliers is
        printed for 0.05 and 0.15 whatever it is.

    Returns
    -------
    `~matplotlib.axes.Axes`
        Spectroscopic redshift across, photometric up.

    Raises
    ------
    ValueError
        If the shapes differ or no galaxy has both redshifts.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from mantis_astro.plotting import plot_zz
    >>> ax = plot_zz([0.11, 0.32, 0.5], [0.1, 0.3, 0.5])
    >>> ax.get_xlabel()
    'Spectroscopic redshift'
    """
    valid = np.isfinite(metrics.delta_z(z_phot, z_spec))
    z_phot, z_spec = true_redshift(z_phot)[valid], true_redshift(z_spec)[valid]
    if not z_phot.size:
        msg = "no galaxy has both 'z_phot' and 'z_spec'"
        raise ValueError(msg)
    ax = _new_axes((5.2, 4.4)) if ax is None else ax
    low = min(0.0, z_phot.min(), z_spec.min())
    high = 1.05 * max(z_phot.max(), z_spec.max(), 0.05)
    if z_phot.size > _SCATTER:
        _draw_density(ax, z_phot, z_spec, low, high)
    else:
        size = np.clip(40 / np.sqrt(z_phot.size), 3, 9)
        ax.plot(z_spec, z_phot, ".", ms=size, alpha=0.6, color="C0", mew=0)
    ends = np.array([low, high])
    ax.plot(ends, ends, color="black", lw=0.8)
    for sign in (-1, 1):
        ax.plot(ends, ends + sign * threshold * (1 + ends), ":", color="black", lw=0.8)
    ax.set(
        xlabel="Spectroscopic redshift",
        ylabel="Photometric redshift",
        xlim=(low, high),
        ylim=(low, high),
        aspect="equal",
    )
    _write(ax, _numbers(z_phot, z_spec))
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
    without_data = (np.asarray(pdf.flags) & Flag.NO_DATA != 0).ravel()
    values = values[np.isfinite(values) & ~without_data]
    n = len(values)
    if not n:
        msg = "no galaxy has a 'z_spec'"
        raise ValueError(msg)
    ax = _new_axes((4.6, 3.4)) if ax is None else ax
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
        xlabel="Probability integral transform, cdf(z_spec)",
        ylabel="Galaxies / expected",
        xlim=(0, 1),
        ylim=(0, 1.3 * max(counts.max() * bins / n, 1 + half)),
    )
    _write(ax, f"N = {n:,}    KS distance = {metrics.pit_ks(values):.3f}")
    return ax


def _new_axes(figsize):
    figure = require("matplotlib.figure", extra="plot").Figure(
        figsize=figsize, layout="constrained"
    )
    return figure.subplots()


def _of_each(name, pdf, values):
    """Values of the galaxies in one dimension."""
    try:
        return np.broadcast_to(values, pdf.shape).reshape(-1)
    except ValueError:
        msg = f"'{name}' must have the shape of 'pdf', {pdf.shape}, got {values.shape}"
        raise ValueError(msg) from None


def _draw_pdf(ax, pdf, truth, level, label, *, alone):
    edges, density = pdf.bin_edges, pdf.density
    if pdf.flags & Flag.NO_DATA:
        name = "no data" if label is None else f"{label}: no data"
        ax.stairs(density, edges, label=name, linewidth=1, linestyle=":")
        return
    outline = ax.stairs(density, edges, label=label, linewidth=1.5)
    colour = outline.get_edgecolor()
    low, high = (bound.value for bound in pdf.interval(level))
    inside = np.unique(np.r_[low, edges[(edges > low) & (edges < high)], high])
    middle = (inside[1:] + inside[:-1]) / 2
    ax.stairs(pdf.pdf(middle).value, inside, fill=True, color=colour, alpha=0.25, lw=0)
    median, mode = pdf.median().value, pdf.mode().value
    ax.vlines(median, 0, pdf.pdf(median).value, color=colour, lw=1)
    ax.plot(mode, density.max() * 1.03, "v", color=colour, ms=5, gid="mode")
    if np.isfinite(truth):
        ax.axvline(truth, color="black" if alone else colour, ls="--", lw=1)


def _redshift_limits(pdfs, truths):
    """Limits that show 99.8 % of each p(z) and every truth."""
    low, high = (pdfs.ppf(q).value for q in (0.001, 0.999))
    low, high = np.nanmin(np.r_[low, truths]), np.nanmax(np.r_[high, truths])
    margin = 0.15 * (high - low)
    return max(0.0, low - margin), high + margin


def _draw_density(ax, z_phot, z_spec, low, high):
    colors = require("matplotlib.colors", extra="plot")
    edges = np.linspace(low, high, 121)
    counts, _, _ = np.histogram2d(z_spec, z_phot, bins=[edges, edges])
    counts = np.ma.masked_equal(counts.T, 0)
    mesh = ax.pcolormesh(
        edges, edges, counts, norm=colors.LogNorm(), cmap="viridis_r", rasterized=True
    )
    beside = ax.inset_axes([1.03, 0, 0.04, 1])
    ax.figure.colorbar(mesh, cax=beside, label="Galaxies per cell")


def _numbers(z_phot, z_spec):
    lines = [
        f"N = {z_phot.size:,}",
        f"bias (mean) = {metrics.bias_mean(z_phot, z_spec):+.4f}",
        f"$\\sigma_\\mathrm{{NMAD}}$ = {metrics.sigma_nmad(z_phot, z_spec):.4f}",
    ]
    for threshold in (0.05, 0.15):
        share = metrics.outlier_fraction(z_phot, z_spec, threshold=threshold)
        lines.append(f"{share:.2%} beyond {threshold}")
    return "\n".join(lines)


def _write(ax, text):
    ax.text(
        0.04,
        0.96,
        text,
        transform=ax.transAxes,
        va="top",
        size="small",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 2},
    )
