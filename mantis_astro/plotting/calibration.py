"""Pictures of recalibrations, and of the contributions of surveys."""

import numpy as np

from mantis_astro import metrics
from mantis_astro._optional import require
from mantis_astro.plotting.densities import plot_pit
from mantis_astro.plotting.panels import (
    distinct_colours,
    name_lines,
    new_axes,
    write_above,
)

__all__ = ["plot_attribution", "plot_recalibration"]


def plot_recalibration(before, after, z_spec, *, axes=None, bins=20):
    """
    Draw how calibrated p(z) are before and after a recalibration.

    First the histograms of ``cdf(z_spec)``, as `plot_pit` draws them, with that of
    before as an outline; then how far their cumulative distributions are
    from the diagonal. The bands hold 95 % of calibrated samples.

    Parameters
    ----------
    before, after : RedshiftPDF
        Densities of the same galaxies, shape (...), best ones that the recalibration
        was not fitted on.
    z_spec : array_like or `~astropy.units.Quantity`
        True redshifts, of the same shape; NaN or masked where there is none.
    axes : sequence of two `~matplotlib.axes.Axes`, optional
        Where to draw; by default on a new figure, not known to pyplot.
    bins : int, optional
        Number of bars of the histograms.

    Returns
    -------
    `~numpy.ndarray` of `~matplotlib.axes.Axes`
        Histograms, and deviations.

    Raises
    ------
    ValueError
        If shapes differ or no galaxy has a z_spec.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.plotting import plot_recalibration
    >>> edges, z_spec = np.linspace(0, 1, 101), np.linspace(0.3, 0.7, 200)
    >>> before = RedshiftPDF.from_gaussians(edges, z_spec + 0.02, 0.03)
    >>> after = RedshiftPDF.from_gaussians(edges, z_spec, 0.03)
    >>> left, right = plot_recalibration(before, after, z_spec)
    >>> right.get_ylabel()
    'Share below - PIT'
    """
    if axes is None:
        axes = new_axes((8.6, 3.6), ncols=2)
    left, right = axes
    sides = {"before": (before, "0.35"), "after": (after, "C0")}
    plot_pit(after, z_spec, ax=left, bins=bins)
    height = left.get_ylim()[1]
    for label, (pdf, color) in sides.items():
        pit = np.sort(_known(metrics.pit(pdf, z_spec)))
        if label == "before":
            counts, edges = np.histogram(pit, bins=bins, range=(0, 1))
            left.stairs(
                counts * bins / len(pit), edges, color=color, label=label, lw=1.4
            )
            height = max(height, 1.1 * counts.max() * bins / len(pit))
        share = (np.arange(len(pit)) + 0.5) / len(pit)
        name = f"{label} {metrics.pit_ks(pit):.3f}"
        right.plot(
            np.r_[0, pit, 1],
            np.r_[0, share - pit, 0],
            color=color,
            label=name,
            lw=1.4,
        )
    half = min(1.36 / np.sqrt(len(pit)), 1.0)  # Kolmogorov-Smirnov, 5 %
    right.axhspan(-half, half, color="0.5", alpha=0.3, lw=0, zorder=0)
    right.axhline(0, color="black", lw=0.8)
    left.containers[0].set_label("after")  # the bars
    name_lines(left, height)
    right.set(xlabel="PIT, cdf(z_spec)", ylabel="Share below - PIT", xlim=(0, 1))
    low, high = right.get_ylim()
    name_lines(right, high, low)
    write_above(right, "KS distance")
    return np.array([left, right])


def plot_attribution(table, *, ax=None):
    """
    Draw the contribution of each survey or band against redshift.

    Bars of shares on top of each other, from 0 to 1; the share of a group that makes
    p(z) worse is below 0, and those of the others exceed 1 by as much. Error bars are
    those of each share alone.

    Parameters
    ----------
    table : `~astropy.table.Table`
        As `~mantis_astro.models.attribution_by_redshift` returns it.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to draw on; by default those of a new figure, not known to pyplot.

    Returns
    -------
    `~matplotlib.axes.Axes`
        Redshift across, shares up.

    Raises
    ------
    ValueError
        If the table is another one.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from astropy.table import QTable
    >>> from mantis_astro.models import attribution_by_redshift
    >>> from mantis_astro.plotting import plot_attribution
    >>> table = QTable({"shapley_ps1": [3.0, 1.0], "shapley_unwise": [1.0, 3.0]})
    >>> table.meta = {"groups": ["ps1", "unwise"], "value": "kl"}
    >>> ax = plot_attribution(attribution_by_redshift(table, [0.1, 0.5], bins=2))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['unwise', 'ps1']
    """
    names = table.meta.get("groups", ())
    if not names or f"share_{names[0]}" not in table.colnames:
        msg = "'table' must be one that attribution_by_redshift returned"
        raise ValueError(msg)
    if ax is None:
        ax = new_axes((5, 3.8))
    low, high = np.asarray(table["z_low"]), np.asarray(table["z_high"])
    up, down = np.zeros((2, len(table)))
    colours = distinct_colours(max(len(names), 2))
    effects = require("matplotlib.patheffects", extra="plot")
    outline = effects.withStroke(linewidth=2.5, foreground="white")
    for i, name in enumerate(names):
        share, error = (
            np.ma.filled(np.ma.asarray(table[column]).astype(float), np.nan)
            for column in (f"share_{name}", f"share_{name}_err")
        )
        size = np.nan_to_num(share)
        bottom = np.where(size >= 0, up, down)
        ax.bar(
            low,
            size,
            width=high - low,
            bottom=bottom,
            align="edge",
            color=colours[i],
            edgecolor="white",
            linewidth=0.8,
            label=name,
        )
        ends = bottom + size
        # beside each other, so that errors of neighbours do not overlap
        place = low + (high - low) * (i + 1) / (len(names) + 1)
        style = {"fmt": "none", "ecolor": "black", "elinewidth": 1}
        _, _, (lines,) = ax.errorbar(place, ends, error, **style)
        lines.set_path_effects([outline])  # to be seen on dark bars
        up, down = np.where(size >= 0, ends, up), np.where(size < 0, ends, down)
    ax.axhline(0, color="black", lw=0.8)
    highest = max(up.max(), 1)
    ax.set(
        xlabel="Redshift",
        ylabel=_share_of(table.meta.get("value")),
        xlim=(low.min(), high.max()),
    )
    lowest = 1.05 * min(down.min(), 0)
    name_lines(ax, highest, lowest, from_top=True)  # as they lie on top of each other
    return ax


def _share_of(value):
    what = {
        "kl": "information",
        "z_median": "shifts of the median",
        "crps": "gain in CRPS",
        "log_score": "gain in log score",
    }
    return f"Share of the {what.get(value, 'value')}"


def _known(values):
    return values[np.isfinite(values)]
