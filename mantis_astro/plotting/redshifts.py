"""Pictures of redshifts: estimates against the truth, and the n(z) of a sample."""

import numpy as np

from mantis_astro import metrics
from mantis_astro._optional import require
from mantis_astro.binned import true_redshift
from mantis_astro.pdf_io.edges import EDGES_KEY, edges_from_text
from mantis_astro.plotting.panels import (
    distinct_colours,
    name_lines,
    new_axes,
    write_above,
)

__all__ = ["plot_nz", "plot_zz"]

_SCATTER = 3000  # points that can be told apart
_CELLS = 120  # of the density of more, along each side


def plot_zz(z_phot, z_spec, *, ax=None, residuals=None, threshold=0.15):
    """
    Draw photometric against spectroscopic redshifts, with the usual numbers.

    Points, the larger the fewer there are, or for more than 3,000 galaxies their
    density; the diagonal; dotted, the limits beyond which a galaxy counts as an
    outlier. Below, the same of ``delta_z = (z_phot - z_spec) / (1 + z_spec)``, where
    triangles are galaxies, of up to 3,000, that lie beyond the panel.

    Parameters
    ----------
    z_phot, z_spec : array_like or `~astropy.units.Quantity`
        Redshifts, of one shape; NaN or masked where there is none.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to draw on; by default those of a new figure, not known to pyplot.
    residuals : `~matplotlib.axes.Axes`, optional
        Axes for ``delta_z``; by default those below on the new figure, and none if
        ``ax`` is given.
    threshold : float, optional
        Limit of ``|delta_z|`` that the dotted lines show. The share of outliers is
        written above for 0.05 and 0.15 whatever it is.

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
    >>> ax.get_ylabel()
    'Photometric redshift'
    """
    delta = metrics.delta_z(z_phot, z_spec)
    valid = np.isfinite(delta)
    z_phot, z_spec = true_redshift(z_phot)[valid], true_redshift(z_spec)[valid]
    delta = np.asarray(delta)[valid]
    if not z_phot.size:
        msg = "no galaxy has both 'z_phot' and 'z_spec'"
        raise ValueError(msg)
    if ax is None:
        panels = {"nrows": 2, "sharex": True, "height_ratios": [3, 1]}
        ax, residuals = new_axes((4.4, 5.4), **panels)
    elif residuals is None:
        ax.set_aspect("equal")
    low = min(0.0, z_phot.min(), z_spec.min())
    high = 1.05 * max(z_phot.max(), z_spec.max(), 0.05)
    ends = np.array([low, high])
    drawn = _draw(ax, z_spec, z_phot, (low, high))
    ax.plot(ends, ends, color="black", lw=0.8)
    for sign in (-1, 1):
        ax.plot(ends, ends + sign * threshold * (1 + ends), ":", color="black", lw=0.8)
    xlabel = "Spectroscopic redshift"
    ax.set(ylabel="Photometric redshift", xlim=(low, high), ylim=(low, high))
    lowest = ax if residuals is None else residuals
    lowest.set_xlabel(xlabel)
    if residuals is not None:
        norm = getattr(drawn, "norm", None)  # cells of both have the same colours
        _draw_residuals(residuals, z_spec, delta, threshold, (low, high), norm)
    if z_phot.size > _SCATTER:
        panels = [panel for panel in (ax, residuals) if panel is not None]
        ax.figure.colorbar(drawn, ax=panels, label="Galaxies per cell", aspect=40)
    write_above(ax, _numbers(z_phot, z_spec))
    return ax


def plot_nz(table, *, ax=None, labels=None):
    """
    Draw the n(z) of a sample, or of each tomographic bin of it.

    The density as it is, constant within redshift bins; shaded, the error either way;
    and a line down at the mean.

    Parameters
    ----------
    table : `~astropy.table.Table`
        As `~mantis_astro.redshift_distribution` returns it.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to draw on; by default those of a new figure, not known to pyplot.
    labels : sequence of str, optional
        Names of the tomographic bins; by default their edges.

    Returns
    -------
    `~matplotlib.axes.Axes`
        Redshift across, density up.

    Raises
    ------
    ValueError
        If the table is another one, or there is not one label for each row.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF, redshift_distribution
    >>> from mantis_astro.plotting import plot_nz
    >>> z = np.random.default_rng(1).uniform(0.2, 0.8, 500)
    >>> pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 101), z, 0.03)
    >>> ax = plot_nz(redshift_distribution(pdf, bins=[0.2, 0.5, 0.8]))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['z = 0.2 to 0.5', 'z = 0.5 to 0.8']
    """
    if EDGES_KEY not in table.meta or "n_of_z" not in table.colnames:
        msg = "'table' must be one that redshift_distribution returned"
        raise ValueError(msg)
    if labels is not None and len(labels) != len(table):
        msg = f"'labels' must name {len(table)} bins, got {len(labels)}"
        raise ValueError(msg)
    if labels is None:
        labels = [f"z = {row['z_low']:.3g} to {row['z_high']:.3g}" for row in table]
        labels = labels if len(table) > 1 else [None]
    edges = edges_from_text(table.meta[EDGES_KEY])
    ax = new_axes((5, 3.4)) if ax is None else ax
    density, error = (np.asarray(table[n]) for n in ("n_of_z", "n_of_z_err"))
    error = np.nan_to_num(error)  # that of one galaxy is not known: no band
    for row, label, colour in zip(
        range(len(table)), labels, distinct_colours(len(table)), strict=True
    ):
        low, high = density[row] - error[row], density[row] + error[row]
        shade = {"fill": True, "color": colour, "alpha": 0.3, "lw": 0}
        ax.stairs(high, edges, baseline=np.maximum(low, 0), **shade)
        ax.stairs(density[row], edges, color=colour, lw=1.3, label=label)
        mean = table["z_mean"][row]
        inside = np.clip(np.searchsorted(edges, mean) - 1, 0, len(edges) - 2)
        ax.vlines(mean, 0, density[row][inside], color=colour, lw=1)
    shown = np.flatnonzero((density > 0.002 * density.max()).any(axis=0))
    highest = (density + error).max()
    ax.set(
        xlabel="Redshift z",
        ylabel="n(z) per unit redshift",
        xlim=(edges[shown[0]], edges[shown[-1] + 1]),
        ylim=(0, 1.1 * highest),
    )
    name_lines(ax, highest)
    return ax


def _draw(ax, x, y, x_range, y_range=None, norm=None):
    """Draw points, or cells if there are too many or other cells have a norm."""
    if norm is None and x.size <= _SCATTER:
        # from 6 points of a printer's inch for 20 galaxies to 1.6 for 3,000
        size = np.clip(14 * x.size**-0.27, 1.6, 7)
        style = {"mew": 0.3 if x.size < 200 else 0, "mec": "white"}
        (line,) = ax.plot(x, y, "o", ms=size, alpha=0.7, color="C0", **style)
        return line
    colors = require("matplotlib.colors", extra="plot")
    x_edges = np.linspace(*x_range, _CELLS + 1)
    y_edges = x_edges if y_range is None else np.linspace(*y_range, _CELLS // 3 + 1)
    counts, _, _ = np.histogram2d(x, y, bins=[x_edges, y_edges])
    counts = np.ma.masked_equal(counts.T, 0)
    norm = norm or colors.LogNorm()
    style = {"norm": norm, "cmap": "viridis_r", "rasterized": True}
    return ax.pcolormesh(x_edges, y_edges, counts, **style)


def _draw_residuals(ax, z_spec, delta, threshold, x_range, norm):
    most = 2 * threshold
    inside = np.abs(delta) <= most
    _draw(ax, z_spec[inside], delta[inside], x_range, (-most, most), norm)
    for sign, marker in ((1, "^"), (-1, "v")):
        beyond = z_spec[sign * delta > most]
        at = np.full(beyond.size, sign * 0.93 * most)
        if z_spec.size <= _SCATTER:
            ax.plot(beyond, at, marker, ms=4, color="C0", mew=0, gid="beyond")
        ax.axhline(sign * threshold, ls=":", color="black", lw=0.8)
    ax.axhline(0, color="black", lw=0.8)
    ax.set(ylim=(-most, most), xlim=x_range, ylabel=r"$\Delta z\,/\,(1+z)$")


def _numbers(z_phot, z_spec):
    bias, scatter = (
        metric(z_phot, z_spec) for metric in (metrics.bias_mean, metrics.sigma_nmad)
    )
    shares = [
        (limit, metrics.outlier_fraction(z_phot, z_spec, threshold=limit))
        for limit in (0.05, 0.15)
    ]
    digits = 0 if z_phot.size < 100 else 2
    beyond = ", ".join(f"{share:.{digits}%} beyond {limit}" for limit, share in shares)
    numbers = f"N = {z_phot.size:,}, bias {bias:+.4f}"
    if z_phot.size > 1:
        numbers += rf", $\sigma_\mathrm{{NMAD}}$ {scatter:.4f}"
    return f"{numbers}\n{beyond}"
