"""Picture of a shift report: its classifier, its scores, the features behind it."""

import textwrap

import numpy as np

from mantis_astro._optional import require

__all__ = ["plot_shift"]

_REFERENCE, _TARGET, _LIMIT = "0.6", "tab:blue", "tab:red"
_NARROW = 7.0  # inches, too few for three panels side by side


def plot_shift(report, *, figure=None, n_feature=8):
    """
    Draw a shift report in three panels.

    First, the AUC of the classifier of targets and reference objects, and its values
    for shuffled labels. Second, the out-of-distribution scores of the targets, and the
    limit for 99 % of the reference. Third, the features that differ most.

    Parameters
    ----------
    report : `~mantis_astro.shift.ShiftReport`
        The report.
    figure : `~matplotlib.figure.Figure`, optional
        Figure to draw on; by default a new one, not known to pyplot. On figures
        narrower than 7 inches the panels are below each other.
    n_feature : int, optional
        How many features to draw.

    Returns
    -------
    `~matplotlib.figure.Figure`
        Three panels under the first sentence of the verdict.

    Raises
    ------
    ValueError
        If no feature is to be drawn.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.plotting import plot_shift
    >>> from mantis_astro.shift import ShiftReport
    >>> rng = np.random.default_rng(0)
    >>> report = ShiftReport.compare(
    ...     rng.normal(size=(200, 3)), rng.normal(size=(100, 3)), rng=0
    ... )
    >>> figure = plot_shift(report)
    >>> figure.axes[0].get_xlabel()
    'AUC of the domain classifier'
    >>> figure.savefig("shift.png")  # doctest: +SKIP
    """
    if n_feature < 1:
        msg = f"'n_feature' must be at least 1, got {n_feature}"
        raise ValueError(msg)
    if figure is None:
        figure = require("matplotlib.figure", extra="plot").Figure(
            figsize=(11, 3.4), layout="constrained"
        )
    elif figure.get_layout_engine() is None:
        figure.set_layout_engine("constrained")
    width = figure.get_figwidth()
    if width < _NARROW:
        parts = figure.subfigures(3, 1)  # with a margin each: names may be long
        first, second, third = (part.subplots() for part in parts)
    else:
        first, second, third = figure.subplots(1, 3, width_ratios=(1, 1.1, 1.1))
    _draw_null(first, report.domain)
    _draw_scores(second, report)
    _draw_features(third, report.drivers[:n_feature])
    if width < _NARROW:
        for ax in (first, second, third):
            ax.tick_params(labelsize="small")
            ax.set_xlabel(textwrap.fill(ax.get_xlabel(), 24), fontsize="small")
            ax.yaxis.label.set_fontsize("small")
    sentence = report.verdict.split(". ")[0] + "."
    figure.suptitle(textwrap.fill(sentence, int(11 * width)), fontsize="medium")
    return figure


def _draw_null(ax, test):
    low = min(0.4, test.null.min(), test.statistic)
    bins = np.arange(np.floor(low * 50) / 50, 1.011, 0.01)
    ax.hist(test.null, bins, color=_REFERENCE, label="labels shuffled")
    ax.axvline(
        test.statistic, color=_TARGET, label=f"this sample: {test.statistic:.2f}"
    )
    ax.set(
        xlabel="AUC of the domain classifier",
        ylabel="Number of permutations",
        xlim=(bins[0], 1.01),
        ylim=(0, 1.35 * ax.dataLim.y1),  # room for the legend
    )
    ax.legend(frameon=False, fontsize="small", loc="upper right")


def _draw_scores(ax, report):
    score = report.ood_score[np.isfinite(report.ood_score)]
    # The reference is known by its percentiles: a histogram of equal parts.
    ticks = report.reference.score_quantiles
    middle = (ticks[1:] + ticks[:-1]) / 2
    top = np.quantile(np.concatenate([score, ticks]), 0.99)
    bins = np.linspace(0, max(1.05 * top, 1.5), 41)
    weights = [np.full(len(x), 1 / max(len(x), 1)) for x in (middle, score)]
    ax.hist(middle, bins, weights=weights[0], color=_REFERENCE, label="reference")
    ax.hist(
        np.minimum(score, bins[-1]),  # the last bin holds all beyond
        bins,
        weights=weights[1],
        histtype="step",
        color=_TARGET,
        lw=1.5,
        label=f"targets: {100 * report.share_ood:.1f} % beyond 1",
    )
    ax.axvline(1, color=_LIMIT, ls="--", lw=1)
    ax.set(
        xlabel="ood_score (99 % of the reference below 1)",
        ylabel="Share of objects",
        xlim=(0, bins[-1]),
        ylim=(0, 1.35 * ax.dataLim.y1),
    )
    ax.legend(frameon=False, fontsize="small", loc="upper right")


def _draw_features(ax, drivers):
    at = np.arange(len(drivers))
    effect = np.clip(np.nan_to_num(drivers["cohen_d"]), -5, 5)
    ax.barh(at, effect, color=_TARGET)
    ax.axvline(0, color="black", lw=0.8)
    widest = max(np.abs(effect).max(initial=0), 0.5)
    ax.set(
        xlabel="Shift of the mean [standard deviations]",
        yticks=at,
        yticklabels=[str(name) for name in drivers["feature"]],
        xlim=(-1.1 * widest, 1.1 * widest),
    )
    ax.invert_yaxis()
    ax.set_title("Most different features", fontsize="small")
