"""Picture of a posterior: each parameter and each pair, beside the prior from p(z)."""

import textwrap

import numpy as np

from mantis_astro._optional import require

__all__ = ["plot_corner"]

_SHARES = 0.95, 0.68  # of the samples, within the contours
_SMOOTH = 1.0  # bins, of what contours are drawn through

_REDSHIFTS = "zred", "redshift", "z"


def plot_corner(
    samples, names, *, weights=None, prior=None, truths=None, bins=30, figure=None
):
    """
    Draw the samples of a fit: each parameter, each pair, and the prior of redshift.

    Parameters
    ----------
    samples : array_like
        Draws from a posterior, shape (n, n_parameter).
    names : sequence of str
        Names of the parameters.
    weights : array_like, optional
        Weights of the draws, shape (n,), as nested sampling gives them.
    prior : `~mantis_astro.RedshiftPrior` or RedshiftPDF, optional
        Prior that the fit had, drawn dashed in the panel of the parameter ``zred``,
        ``redshift`` or ``z``.
    truths : sequence of float, optional
        True values, None where there is none.
    bins : int, optional
        Bins of the histograms.
    figure : `~matplotlib.figure.Figure`, optional
        Figure to draw on; by default a new one, not known to pyplot.

    Returns
    -------
    `~matplotlib.figure.Figure`
        On the diagonal the density of each parameter; below it contours that hold 68
        and 95 % of the draws.

    Raises
    ------
    ValueError
        If shapes do not match, or there is a prior and no redshift.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.plotting import plot_corner
    >>> draws = np.random.default_rng(1).normal([0.3, 10.5], [0.02, 0.2], (2000, 2))
    >>> prior = RedshiftPDF.from_gaussians(np.linspace(0, 1, 101), [0.3], 0.05)[0]
    >>> figure = plot_corner(draws, ["zred", "log M"], prior=prior)
    >>> len(figure.axes)
    3
    """
    samples, weights = _checked(samples, names, weights, truths)
    where = None
    if prior is not None:
        where = next((i for i, n in enumerate(names) if n in _REDSHIFTS), None)
        if where is None:
            msg = f"'prior' is one of redshift, and 'names' have none of {_REDSHIFTS}"
            raise ValueError(msg)
    n = len(names)
    truths = [None] * n if truths is None else truths
    if figure is None:
        side = max(3.4, 1.4 * n)
        figure = require("matplotlib.figure", extra="plot").Figure(
            figsize=(side, side), layout="constrained"
        )
    elif figure.get_layout_engine() is None:
        figure.set_layout_engine("constrained")  # else names at the sides are cut
    axes = figure.subplots(n, n, squeeze=False, sharex="col")
    edges = [_edges(column, weights, bins) for column in samples.T]
    for i in range(n):
        for j in range(n):
            ax = axes[i, j]
            if j > i:
                ax.remove()
            elif i == j:
                _draw_one(ax, samples[:, i], weights, edges[i], truths[i])
                if i == where:
                    _draw_prior(ax, prior, edges[i])
            else:
                _draw_pair(ax, samples[:, [j, i]], weights, (edges[j], edges[i]))
                _mark(ax, truths[j], truths[i])
            if j <= i:
                below = names[j] if i == n - 1 else None
                _label(ax, below, names[i], n, first=j == 0 < i)
    return figure


def _checked(samples, names, weights, truths):
    samples = np.asarray(samples, float)
    if samples.ndim != 2 or samples.shape[1] != len(names):
        msg = f"'samples' must have shape (n, {len(names)}), got {samples.shape}"
        raise ValueError(msg)
    weights = np.ones(len(samples)) if weights is None else np.asarray(weights, float)
    if weights.shape != (len(samples),):
        msg = f"'weights' must have shape ({len(samples)},), got {weights.shape}"
        raise ValueError(msg)
    if truths is not None and len(truths) != len(names):
        msg = f"'truths' must be {len(names)}, got {len(truths)}"
        raise ValueError(msg)
    return samples, weights / weights.sum()


def _edges(values, weights, bins):
    """Return bins that contain 99.8 % of the draws."""
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    low, high = np.interp([0.001, 0.999], share, values[order])
    margin = 0.05 * (high - low) or 0.5
    return np.linspace(low - margin, high + margin, bins + 1)


def _draw_one(ax, values, weights, edges, truth):
    counts, _ = np.histogram(values, edges, weights=weights)
    density = counts / np.diff(edges)
    ax.stairs(density, edges, fill=True, color="C0", alpha=0.3, lw=0)
    ax.stairs(density, edges, color="C0", lw=1.2)
    ax.set(ylim=(0, 1.15 * density.max()), yticks=[], xlim=edges[[0, -1]])
    if truth is not None:
        ax.axvline(truth, color="black", ls=":", lw=1)


def _draw_prior(ax, prior, edges):
    """Draw the density of the prior, between the ends of the panel."""
    low, high = np.maximum(edges[[0, -1]], 0)
    z = np.linspace(low, high, 400)
    density = np.asarray(prior.pdf(z), float)
    ax.plot(z, density, color="black", ls="--", lw=1, gid="prior")
    ax.set_ylim(0, max(ax.get_ylim()[1], 1.15 * density.max()))


def _draw_pair(ax, values, weights, edges):
    from scipy.ndimage import gaussian_filter

    counts, _, _ = np.histogram2d(*values.T, bins=edges, weights=weights)
    smooth = gaussian_filter(counts, _SMOOTH)
    ranked = np.sort(smooth.ravel())[::-1]
    held = np.cumsum(ranked) / ranked.sum()
    levels = [ranked[np.searchsorted(held, share)] for share in _SHARES]
    x, y = ((e[1:] + e[:-1]) / 2 for e in edges)
    colours = [(0.12, 0.47, 0.71, alpha) for alpha in (0.25, 0.6)]
    if levels[0] < levels[1] < ranked[0]:
        ax.contourf(x, y, smooth.T, [*levels, ranked[0]], colors=colours)
    ax.set(xlim=edges[0][[0, -1]], ylim=edges[1][[0, -1]])


def _mark(ax, x, y):
    if x is not None:
        ax.axvline(x, color="black", ls=":", lw=1)
    if y is not None:
        ax.axhline(y, color="black", ls=":", lw=1)


def _label(ax, below, left, n, *, first):
    size = ax.xaxis.label.get_fontsize()
    width, height = 72 * 0.8 / n * ax.figure.get_size_inches() / (0.6 * size)  # letters
    ax.tick_params(labelsize="x-small", labelleft=first, labelbottom=below is not None)
    ax.locator_params(axis="x", nbins=3)
    if below is not None:
        ax.set_xlabel(_wrapped(below, width))
    if first:
        ax.locator_params(axis="y", nbins=3)
        ax.set_ylabel(_wrapped(left, height))


def _wrapped(name, letters):
    """Break a name that is longer than its panel into lines, unless it is TeX."""
    return name if "$" in name else textwrap.fill(name, max(int(letters), 6))
