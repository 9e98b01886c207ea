"""`recalibrate`: recalibration of a model's p(z) with the user's spectra."""

import logging
from dataclasses import dataclass, replace

import numpy as np
from astropy.table import QTable

from mantis_astro.binned import true_redshift
from mantis_astro.calibration import (
    BestRecalibration,
    compare_log_scores,
    report_calibration,
    summarize_calibration,
)
from mantis_astro.refitting.splitting import group_objects

__all__ = ["RecalibrationReport", "recalibrate"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RecalibrationReport:
    """
    Effect of a recalibration on galaxies held out of its fit.

    Attributes
    ----------
    accepted : bool
        Whether the new model is returned; if not, the original is.
    message : str
        Why, in a sentence.
    chosen : str
        ``"temperature"``, ``"pit"``, ``"tempered pit"`` or ``"local"``: what predicted
        the redshifts of galaxies left out best, see
        `~mantis_astro.calibration.BestRecalibration`.
    n_fit : int
        Galaxies with a redshift in the bins, and data.
    gains : dict of str to tuple
        For each recalibration tried: gain of the mean log score on galaxies left out,
        over the p(z) of the network, and its standard error.
    scores : `~astropy.table.QTable`
        Metrics of the model as it was, and of the new one on galaxies left out of its
        fit, as `~mantis_astro.calibration.report_calibration` gives them.
    """

    accepted: bool
    message: str
    chosen: str
    n_fit: int
    gains: dict
    scores: QTable

    def __str__(self):
        what = "accepted" if self.accepted else "not accepted"
        lines = [f"recalibration {what}: {self.message}"]
        lines += [
            f"  {name:<12} log score {gain:+.3f} +- {error:.3f}"
            for name, (gain, error) in self.gains.items()
        ]
        return "\n".join([*lines, summarize_calibration(self.scores)])


def recalibrate(photoz, pdf, z_spec, *, coords=None, sample_weight=None, rng=0):
    """
    Fit the recalibration of a model to galaxies with redshifts of one's own.

    Parameters
    ----------
    photoz : PhotoZ
        The model; not changed. What recalibration it has is replaced.
    pdf : RedshiftPDF
        P(z) of the model without recalibration, shape (n,).
    z_spec : array_like or `~astropy.units.Quantity`
        Spectroscopic redshifts, shape (n,); masked or NaN where there is none.
    coords : `~astropy.coordinates.SkyCoord`, optional
        Positions, shape (n,): whole HEALPix pixels are left out together then.
    sample_weight : array_like, optional
        Weights, shape (n,).
    rng : int or `~numpy.random.Generator`, optional
        Seed of the folds.

    Returns
    -------
    card : ModelCard or None
        The new card; None if it is no better.
    report : RecalibrationReport
        What was done, and why.

    Raises
    ------
    ValueError
        If shapes do not match or fewer than 20 galaxies can be used.
    """
    z = true_redshift(z_spec)
    groups = None
    if coords is not None:
        groups = group_objects(np.arange(len(pdf))[:, None], coords)
    best = BestRecalibration(rng=rng).fit(
        pdf, z, sample_weight=sample_weight, groups=groups
    )
    before = pdf
    if photoz.recalibrator is not None:
        before = photoz.recalibrator.transform(pdf)
    gain, error = compare_log_scores(
        before, best.held_out_, z, sample_weight=sample_weight
    )
    accepted = gain > error
    change = f"the log score of galaxies left out changes by {gain:+.3f} +- {error:.3f}"
    message = f"{best.note}; {change}"
    if not accepted:
        message = f"{change}, which is not better"
        log.warning("recalibration not accepted: %s", message)
    report = RecalibrationReport(
        accepted=accepted,
        message=message,
        chosen=best.chosen_,
        n_fit=best.n_fit_,
        gains=best.gains_,
        scores=report_calibration(before, best.held_out_, z),
    )
    return (_new_card(photoz.card, best, z) if accepted else None), report


def _new_card(card, best, z):
    low, high = np.nanmin(z), np.nanmax(z)
    sample = f"{best.n_fit_:,} galaxies at z = {low:.3g} to {high:.3g}"
    own = f"its p(z) were recalibrated on {sample} ({best.chosen_})"
    return replace(
        card,
        name=f"{card.name.removesuffix('-recalibrated')}-recalibrated",
        description=f"{card.description}; {own}".removeprefix("; "),
        caveats=f"{card.caveats}; {own}".removeprefix("; "),
        recalibration=best.recalibrator_.to_plain(),
    )
