"""`refit`: a model's last layer fitted to the user's own spectroscopic sample."""

import logging
import time
from dataclasses import replace

import numpy as np

from mantis_astro import binned
from mantis_astro.calibration import BestRecalibration
from mantis_astro.exceptions import InputSpecError
from mantis_astro.kernels.arrays import as_weights
from mantis_astro.kernels.splitting import assign_folds, hold_out
from mantis_astro.models import Committee
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.refitting.acceptance import RefitReport, compare
from mantis_astro.refitting.heads import fit_head, last_layer, with_last_layer
from mantis_astro.refitting.reach import WARN_BEYOND, measure_reach
from mantis_astro.refitting.samples import features_of, label
from mantis_astro.refitting.splitting import group_objects
from mantis_astro.shift import effective_sample_size

__all__ = ["refit"]

log = logging.getLogger(__name__)

_CALIBRATE = 60  # galaxies held out, below which a recalibration would be noise
_FEWEST = 50  # galaxies, and 15 of them to decide
_PAPER = "arXiv:2310.18612"


def refit(
    photoz,
    data,
    z_spec,
    *,
    ebv=None,
    coords=None,
    sample_weight=None,
    targets=None,
    targets_ebv=None,
    method="logistic",
    alphas=None,
    smoothing=0.02,
    validation_fraction=0.3,
    nside=64,
    n_folds=3,
    n_bootstrap=500,
    rng=0,
):
    """
    Fit the last layer of a model to galaxies with redshifts of one's own.

    The encoder stays as it is; the last layer, from the features to the logits of the
    redshift bins, is solved for, pulled toward what it was. The new model is kept only
    if galaxies that were held out say so.

    Parameters
    ----------
    photoz : PhotoZ
        The model; not changed.
    data : iterable of MultibandCutout, `~astropy.table.Table` or array
        What the model reads; or its features, as a table from
        `~mantis_astro.refitting.feature_table` or as an array of shape (n, n_feature).
    z_spec : array_like or `~astropy.units.Quantity`
        Spectroscopic redshifts, shape (n,). Galaxies where it is masked, NaN or beyond
        the model's bins are left out and counted, as are those without data.
    ebv : float, array_like, mapping or str, optional
        As for `PhotoZ.predict`.
    coords : `~astropy.coordinates.SkyCoord`, optional
        Positions, shape (n,). Whole HEALPix pixels are held out then, so that what a
        patch of sky has in common (depth, zero point, a cluster) does not pass for
        skill.
    sample_weight : array_like, optional
        Weights, shape (n,), such as `ShiftReport.weights`; they count in the fit and
        in the decision.
    targets : iterable of MultibandCutout, `~astropy.table.Table` or array, optional
        Galaxies without redshifts that the model is for, in any form that ``data`` may
        have; at least five. Labelled galaxies are weighted to look like them, in the
        fit and in the decision, times ``sample_weight``; and nothing is changed if
        more than a fifth of the targets have no labelled galaxies like them.
    targets_ebv : float, array_like, mapping or str, optional
        E(B-V) of the targets, as ``ebv``.
    method : str, optional
        ``"logistic"``: multinomial logistic regression that begins at the last layer
        and is penalised for leaving it. ``"ridge"``: one step whose direction is the
        multi-output ridge regression of what the p(z) lack; several times faster, and
        it gains less.
    alphas : sequence of float, optional
        Penalties to choose from by cross-validation, as a share of the mean squared
        length of a feature vector; by default 10, 1, 0.1, 0.01, 0.001.
    smoothing : float, optional
        Width, in units of 1 + z, of the Gaussian that a redshift is spread over, so
        that neighbouring bins learn from each other.
    validation_fraction : float, optional
        Share of the galaxies that is held out to decide.
    nside : int, optional
        HEALPix resolution; doubled until there are 30 pixels with galaxies.
    n_folds : int, optional
        Folds of the cross-validation.
    n_bootstrap : int, optional
        Number of bootstrap samples of the held-out galaxies.
    rng : int or `~numpy.random.Generator`, optional
        Seed of the split and the bootstrap.

    Returns
    -------
    network : `torch.nn.Module` or None
        With the new last layer; None if it is not better.
    card : ModelCard or None
        The new card, or None.
    report : RefitReport
        What was done, and why it was accepted or not.

    Raises
    ------
    ValueError
        If an argument does not fit, or no galaxy can be used;
        `~mantis_astro.exceptions.InputSpecError` if features are another model's.

    Notes
    -----
    Qadeer et al. 2023 (arXiv:2310.18612): "train part-way, freeze, solve the last
    layer exactly". The model as it is, with its recalibration if it has one, and the
    new one, which has none, are compared. The new one is accepted if the mean log
    score of the held-out galaxies rises by more than two paired bootstrap errors, and
    neither CRPS, sigma_nmad, the outlier fractions at 0.05 and 0.15 nor the distance of
    the coverage of the 68 % interval from 0.68 are worse by more than one. With 60
    galaxies held out a recalibration is chosen and fitted to them, see
    `~mantis_astro.calibration.BestRecalibration`; it is judged by fits to four fifths
    of them on the last, in turn. The held-out galaxies take no other part, neither in
    the fit of the layer nor in the choice of the penalty.

    A softmax stands behind the last layer, so ridge regression cannot give it densities
    directly: it gives the direction in which the logits move.
    """
    if isinstance(photoz.network, Committee):
        msg = "an average of models has no last layer: refit photoz.members() each"
        raise InputSpecError(msg)
    _check(method, validation_fraction, smoothing, n_folds, n_bootstrap)
    rng = np.random.default_rng(rng)
    sample = label(photoz, data, z_spec, ebv=ebv)
    weights = as_weights(sample_weight, len(np.atleast_1d(z_spec)))[sample.kept]
    if coords is not None:
        coords = _one_each(coords, np.shape(z_spec))[sample.kept]
    groups = group_objects(sample.features, coords, nside=nside)
    edges = photoz.card.bin_edges
    for reason, n in sample.dropped.items():
        log.info("%d galaxies are left out: %s", n, reason)
    problem = _too_little(sample.z[weights > 0], groups[weights > 0], edges)
    reach = None
    if targets is not None and not problem:
        wanted = np.asarray(features_of(photoz, targets, targets_ebv), float)
        reach = measure_reach(sample.features[:, :-1], wanted)
        weights = weights * reach.weights
        problem = reach.problem
        if reach.beyond > WARN_BEYOND and not problem:
            log.warning("refit: %s", reach)
    if problem:
        return _refused(
            RefitReport(
                accepted=False,
                message=problem,
                method=method,
                dropped=sample.dropped,
                reach=reach,
            )
        )
    held_out = hold_out(groups, validation_fraction, rng)
    start = time.perf_counter()
    head = last_layer(photoz.network)
    fit = fit_head(
        sample.features[~held_out],
        sample.z[~held_out],
        head,
        bin_edges=edges,
        folds=assign_folds(groups[~held_out], n_folds, rng),
        method=method,
        alphas=alphas,
        smoothing=smoothing,
        weights=weights[~held_out],
    )
    seconds = time.perf_counter() - start
    facts = {
        "method": method,
        "alpha": fit.alpha,
        "n_fit": int(np.sum(~held_out)),
        "n_validation": int(np.sum(held_out)),
        "dropped": sample.dropped,
        "seconds": seconds,
        "reach": reach,
    }
    if np.isinf(fit.alpha):
        message = "cross-validation found no layer better than the one there is"
        return _refused(RefitReport(accepted=False, message=message, **facts))
    before, after = (
        _densities(edges, sample.features[held_out] @ coef) for coef in (head, fit.coef)
    )
    before = photoz.finish(before)  # what the user has
    after = after.smooth(photoz.card.smoothing)
    recalibrator, after = _recalibrated(
        after, sample.z[held_out], weights[held_out], groups[held_out]
    )
    facts["calibration"] = (
        f"not recalibrated: galaxies held out are worth fewer than {_CALIBRATE}"
        if recalibrator is None
        else recalibrator.note
    )
    scores, verdict = compare(
        before,
        after,
        sample.z[held_out],
        weights=weights[held_out],
        n_bootstrap=n_bootstrap,
        rng=rng,
    )
    if verdict:
        return _refused(
            RefitReport(accepted=False, message=verdict, **facts, scores=scores)
        )
    gain = scores["log_score"]
    message = f"the log score improves by {gain[2]:.3f} +- {gain[3]:.3f}"
    report = RefitReport(accepted=True, message=message, **facts, scores=scores)
    log.info("refit accepted: %s", message)
    card = _new_card(photoz.card, report, sample.z[~held_out])
    if recalibrator is not None:
        card = replace(card, recalibration=recalibrator.to_plain())
    return with_last_layer(photoz.network, fit.coef), card, report


def _check(method, validation_fraction, smoothing, n_folds, n_bootstrap):
    if method not in ("logistic", "ridge"):
        msg = f"'method' must be 'logistic' or 'ridge', got {method!r}"
        raise ValueError(msg)
    if not 0 < validation_fraction < 1:
        msg = (
            f"'validation_fraction' must be between 0 and 1, got {validation_fraction}"
        )
        raise ValueError(msg)
    if not 0 <= smoothing < 1:
        msg = f"'smoothing' must be from 0 to below 1, got {smoothing}"
        raise ValueError(msg)
    for name, value in (("n_folds", n_folds), ("n_bootstrap", n_bootstrap)):
        if value < 2:
            msg = f"'{name}' must be at least 2, got {value}"
            raise ValueError(msg)


def _recalibrated(pdf, z, weights, groups):
    """Choose a recalibration, and evaluate it on galaxies held out of its fit."""
    if effective_sample_size(weights) < _CALIBRATE:
        return None, pdf
    best = BestRecalibration().fit(pdf, z, sample_weight=weights, groups=groups)
    return best.recalibrator_, best.held_out_


def _one_each(coords, shape):
    if coords.shape != shape:
        msg = (
            "'coords' must have one position for each object: expected shape "
            f"{shape}, got {coords.shape}"
        )
        raise ValueError(msg)
    return coords


def _too_little(z, groups, edges):
    """Describe what is missing for a fit that can be evaluated; empty if nothing is."""
    n_groups = len(np.unique(groups))
    if n_groups < _FEWEST:
        what = "galaxies" if n_groups == len(z) else "different galaxies or patches"
        if len(z) < _FEWEST:
            return f"{len(z)} galaxies are too few to show an improvement: at least 50"
        if n_groups < 10:
            return f"{n_groups} {what} are too few to hold some out: at least 10"
    if len(np.unique(np.searchsorted(edges, z, side="right"))) < 2:
        return f"all z_spec lie in one redshift bin, at {z[0]:.3f}: nothing to learn"
    return ""


def _refused(report):
    log.warning("refit not accepted, the model stays as it was: %s", report.message)
    return None, None, report


def _densities(edges, logits):
    probability, _ = binned.softmax(edges, logits)
    return RedshiftPDF(edges, probability)


def _new_card(card, report, z):
    low, high = z.min(), z.max()
    sample = f"{report.n_fit:,} galaxies at z = {low:.3g} to {high:.3g}"
    own = f"its last layer was refitted to {sample} ({report.method})"
    return replace(
        card,
        name=f"{card.name}-refit",
        description=f"{card.description}; {own}".removeprefix("; "),
        training_sample=f"{card.training_sample}; then, the last layer alone, {sample}",
        training_prior=(
            f"between that of '{card.name}' ({card.training_prior or 'not known'}) and "
            "the n(z) of the galaxies it was refitted to"
        ),
        n_of_z=None,  # how far in between is not known
        caveats=f"{card.caveats}; {own}".removeprefix("; "),
        citations=tuple(dict.fromkeys([*card.citations, _PAPER])),
        file="",
        sha256="",
        recalibration=None,  # it was that of the other layer's p(z)
    )
