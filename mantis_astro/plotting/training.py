"""Picture of a training: its losses, and the accuracy of its redshifts."""

import numpy as np

from mantis_astro.plotting.panels import new_axes

__all__ = ["plot_training"]

_NAMES = {
    "sigma_nmad": r"$\sigma_\mathrm{NMAD}$",
    "outlier_fraction_005": "share beyond 0.05",
    "outlier_fraction_015": "share beyond 0.15",
    "bias_median": "bias (median)",
    "pit_ks": "PIT, KS distance",
    "coverage_68": "coverage of 68 %",
    "crps": "CRPS",
    "cde_loss": "CDE loss",
    "log_score": "log score",
    "learning_rate": "learning rate",
}


def plot_training(history, *, axes=None, metric="sigma_nmad"):
    """
    Draw the course of a training: losses, and one metric of galaxies held out.

    Parameters
    ----------
    history : `~astropy.table.Table`
        ``history`` of a `~mantis_astro.training.TrainingResult`, or what is read of
        ``history.csv`` in the folder of a training.
    axes : sequence of two `~matplotlib.axes.Axes`, optional
        For losses and for the metric; by default those of a new figure, not known to
        pyplot.
    metric : str, optional
        Another column of the history.

    Returns
    -------
    `~numpy.ndarray` of `~matplotlib.axes.Axes`
        Steps across. A vertical line is at the lowest loss of galaxies held out.

    Raises
    ------
    KeyError
        If the table has no such column.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from mantis_astro.plotting import plot_training
    >>> history = Table({"step": [10, 20], "loss": [3.0, 2.0], "val_loss": [3.1, 2.2],
    ...                  "sigma_nmad": [0.05, 0.03]})
    >>> above, below = plot_training(history)
    >>> below.get_xlabel()
    'Step'
    """
    for name in ("step", "loss", metric):
        if name not in history.colnames:
            msg = f"no column '{name}'; there are {', '.join(history.colnames)}"
            raise KeyError(msg)
    if axes is None:
        axes = new_axes((5, 4.4), nrows=2, sharex=True)
    above, below = axes
    above.plot(*_known(history, "loss"), color="0.6", lw=1, label="training")
    if "val_loss" in history.colnames:
        steps, losses = _known(history, "val_loss")
        above.plot(steps, losses, "o-", color="C0", ms=3, label="held out")
        if losses.size:
            for ax in axes:
                ax.axvline(steps[losses.argmin()], color="black", ls=":", lw=0.8)
    below.plot(*_known(history, metric), "o-", color="C0", ms=3)
    above.set_ylabel("Loss")
    above.legend(fontsize="small", frameon=False)
    below.set(xlabel="Step", ylabel=_NAMES.get(metric, metric))
    return np.array([above, below])


def _known(history, name):
    """Give steps and values where there is a value."""
    values = np.ma.filled(np.ma.asarray(history[name]).astype(float), np.nan)
    known = np.isfinite(values)
    return np.asarray(history["step"])[known], values[known]
