"""Choice among recalibrations of growing flexibility, by held-out galaxies."""

import warnings
from functools import partial
from typing import NamedTuple

import numpy as np

from mantis_astro.calibration.folds import out_of_fold
from mantis_astro.calibration.pit_map import PITRecalibration
from mantis_astro.calibration.recalibrator import Recalibrator
from mantis_astro.calibration.temperature import TemperatureScaling
from mantis_astro.calibration.truths import select_truths
from mantis_astro.exceptions import CalibrationWarning
from mantis_astro.pdf import RedshiftPDF

__all__ = ["COMMON", "Climb", "climb", "compare_log_scores", "read_common"]

#: Recalibrations, with a floor, that are common to all galaxies, the least free first.
COMMON = {
    TemperatureScaling.kind: partial(TemperatureScaling, floor=True),
    PITRecalibration.kind: partial(PITRecalibration, floor=True),
    "tempered pit": partial(PITRecalibration, temperature=True),
}
_ANYWHERE = 1e-3  # share of galaxies that may be at any redshift, so that none rules


class Climb(NamedTuple):
    """
    Result of a choice among recalibrations.

    Attributes
    ----------
    chosen : str
        Name of the recalibration.
    recalibrator : Recalibrator
        Fitted on all galaxies.
    held_out : RedshiftPDF
        All p(z), each recalibrated by a fit that has not seen it.
    gains : dict of str to tuple
        Gain of the mean log score of galaxies left out, and its standard error.
    """

    chosen: str
    recalibrator: Recalibrator
    held_out: RedshiftPDF
    gains: dict


def climb(
    ladder,
    pdf,
    z_spec,
    *,
    features=None,
    sample_weight=None,
    groups=None,
    n_folds=5,
    rng=0,
):
    """
    Choose the most flexible recalibration that improves held-out galaxies.

    Parameters
    ----------
    ladder : dict of str to callable
        Recalibrators that are not fitted, the least free first, which is what the
        others have to beat. One whose ``fit`` says that it ``is_local_`` not is left
        out.
    pdf : RedshiftPDF
        Densities, shape (n,).
    z_spec : array_like
        True redshifts, shape (n,).
    features : array_like, optional
        Properties of the galaxies, for what is not among `COMMON`.
    sample_weight, groups : array_like, optional
        Weight and group of each galaxy, shape (n,).
    n_folds : int, optional
        Folds of the cross-validation.
    rng : int or `~numpy.random.Generator`, optional
        Seed of the folds.

    Returns
    -------
    Climb
        What was chosen.
    """
    if groups is not None:
        _, counts = np.unique(groups, return_counts=True)
        if counts.max() * n_folds > len(pdf):  # the others would be too few
            groups = None
    best, gains = None, {}
    for name, make in ladder.items():
        given = {"sample_weight": sample_weight}
        if name not in COMMON and features is not None:
            given["features"] = features
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CalibrationWarning)
            fitted = make().fit(pdf, z_spec, **given)
            if not getattr(fitted, "is_local_", True):
                continue
            after = out_of_fold(
                make(),
                pdf,
                z_spec,
                groups=groups,
                n_folds=n_folds,
                rng=rng,
                **given,
            )
        against = partial(compare_log_scores, sample_weight=sample_weight)
        gains[name] = against(pdf, after, z_spec)
        if best is not None:
            gain, error = against(best.held_out, after, z_spec)
        if best is None or gain > error:
            best = Climb(name, fitted, after, gains)
    return best


def read_common(plain):
    """
    Create a recalibrator of `COMMON` from the output of its ``to_plain``.

    Parameters
    ----------
    plain : dict
        As ``to_plain`` gave it.

    Returns
    -------
    Recalibrator
        Fitted.
    """
    classes = {cls.kind: cls for cls in (TemperatureScaling, PITRecalibration)}
    return classes[plain["recalibrator"]].from_plain(plain)


def compare_log_scores(before, after, z_spec, *, sample_weight=None):
    """
    Compare two sets of p(z) for the same galaxies by their log score.

    Parameters
    ----------
    before, after : RedshiftPDF
        Densities, shape (n,).
    z_spec : array_like or `~astropy.units.Quantity`
        True redshifts, shape (n,); galaxies where it is NaN, masked or outside of the
        bins do not count.
    sample_weight : array_like, optional
        Weight of each galaxy, shape (n,).

    Returns
    -------
    gain : float
        Growth of the mean log score. One galaxy in a thousand may be anywhere.
    error : float
        Its standard error.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)
        truths = select_truths(before, z_spec, sample_weight, minimum=0)
    uniform = 1 / (truths.bin_edges[-1] - truths.bin_edges[0])
    place, width = (truths.rows, truths.bins), np.diff(truths.bin_edges)[truths.bins]
    first, second = (
        np.log((1 - _ANYWHERE) * pdf.probability[place] / width + _ANYWHERE * uniform)
        for pdf in (before, after)
    )
    difference = second - first
    gain = np.average(difference, weights=truths.weight)
    variance = np.average((difference - gain) ** 2, weights=truths.weight)
    return float(gain), float(np.sqrt(variance / max(truths.weight.sum(), 1)))
