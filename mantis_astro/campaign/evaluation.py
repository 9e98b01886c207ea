"""Evaluation of a campaign's models on held-out galaxies, and their comparison."""

from itertools import combinations

import numpy as np
from astropy.table import QTable, Table, vstack

from mantis_astro import evaluate
from mantis_astro.metrics.density import object_scores
from mantis_astro.metrics.point import point_statistics
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.photometry import measure_photometry
from mantis_astro.tables import read_table
from mantis_astro.tables.coordinates import find_coordinates
from mantis_astro.units import unit_of, without_unit

__all__ = ["compare_models", "evaluate_model", "magnitudes_of", "members"]

_COMPARED = ("sigma_nmad", "bias_mean", "outlier_fraction_005", "outlier_fraction_015")
_MEANS = ("crps", "cde_loss")


def magnitudes_of(coords, store, band):
    """
    Measure magnitudes on the images of a store.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord`
        Positions, shape (n,).
    store : CutoutStore
        The images.
    band : str
        The band.

    Returns
    -------
    `~numpy.ndarray`
        AB magnitudes in an ellipse of Kron, shape (n,); NaN where there is none.
    """
    images = (cutouts for _, cutouts, _ in store.iter_cutouts(coords, [band]))
    table = measure_photometry(images, bands=[band])
    return _numbers(table[f"mag_ab_{band.replace('.', '_')}"])


def members(table, sample):
    """
    Return which galaxies belong to a sample.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Galaxies with ``survey``, ``z_spec`` and ``magnitude``.
    sample : TestSample
        The sample.

    Returns
    -------
    `~numpy.ndarray` of bool
        Shape (n,).
    """
    good = np.ones(len(table), bool)
    if sample.surveys:
        good &= np.isin(np.asarray(table["survey"], str), sample.surveys)
    for name, limits in (("magnitude", sample.magnitude), ("z_spec", sample.z)):
        if limits:
            values = _numbers(table[name])
            good &= (values >= limits[0]) & (values < limits[1])
    if sample.within:
        others, known = find_coordinates(read_table(sample.within))
        if not known.any():
            return np.zeros(len(table), bool)
        coords = find_coordinates(table)[0]
        good &= coords.match_to_catalog_sky(others[known])[1].arcsec <= 1
    return good


def evaluate_model(table, config):
    """
    Compute the metrics of one model, on all samples.

    Parameters
    ----------
    table : `~astropy.table.Table`
        As `~mantis_astro.PhotoZ.add_redshifts` returns it, with ``survey``, ``z_spec``
        and ``magnitude``.
    config : EvaluationConfig
        What is wanted.

    Returns
    -------
    `~astropy.table.QTable`
        A row for all galaxies, and for each survey, bin of magnitude, and sample.
    """
    options = {"point": config.point, "n_bootstrap": config.n_bootstrap}
    pdf = RedshiftPDF.from_table(table)
    z_spec = _numbers(table["z_spec"])
    survey = Table({"survey": np.asarray(table["survey"], str)})["survey"]
    rows = [evaluate(pdf, z_spec, by=survey, **options)]
    magnitude = _numbers(table["magnitude"])
    if np.isfinite(magnitude).any():
        column = Table({"magnitude": magnitude})["magnitude"]
        binned = evaluate(pdf, z_spec, by=column, bins=config.magnitudes, **options)
        rows.append(binned[1:])
    for name, sample in config.samples.items():
        chosen = members(table, sample)
        rows.append(evaluate(pdf[chosen], z_spec[chosen], sample=name, **options))
    return vstack(rows, metadata_conflicts="silent")


def compare_models(tables, config, rng=0):
    """
    Compare models on the same galaxies.

    Parameters
    ----------
    tables : mapping of str to `~astropy.table.Table`
        For each model a table as `evaluate_model` takes it, of the same galaxies.
    config : EvaluationConfig
        Point estimate, and number of bootstrap samples.
    rng : int, optional
        Seed of the bootstrap.

    Returns
    -------
    `~astropy.table.QTable`
        A row for each pair of models and metric: the metric of both, the difference,
        and its bootstrap error over galaxies, which both models see alike.
    """
    rng = np.random.default_rng(rng)
    scores = {}
    for name, table in tables.items():
        z_spec = _numbers(table["z_spec"])
        one = object_scores(RedshiftPDF.from_table(table), z_spec, point=config.point)
        scores[name] = np.stack([_numbers(one[k]) for k in ("delta_z", *_MEANS)])
    rows = []
    for first, second in combinations(scores, 2):
        known = np.isfinite(scores[first]).all(0) & np.isfinite(scores[second]).all(0)
        pair = [scores[name][:, known] for name in (first, second)]
        n = int(known.sum())
        if not n:
            continue
        drawn = (rng.integers(n, size=n) for _ in range(config.n_bootstrap))
        draws = [_difference(*(each[:, i] for each in pair)) for i in drawn]
        errors = (
            np.std(draws, axis=0) if draws else np.full(len(_COMPARED + _MEANS), np.nan)
        )
        numbers = zip(*map(_metrics, pair), _difference(*pair), errors, strict=True)
        rows += [
            (first, second, metric, n, *row)
            for metric, row in zip(_COMPARED + _MEANS, numbers, strict=True)
        ]
    names = ("model", "other", "metric", "n", "value", "other_value", "difference")
    if not rows:
        return QTable(names=(*names, "difference_err"), dtype=[str] * 3 + [float] * 5)
    return QTable(rows=rows, names=(*names, "difference_err"))


def _metrics(scores):
    point = point_statistics(scores[0])
    return [*(point[name] for name in _COMPARED), *scores[1:].mean(axis=1)]


def _difference(first, second):
    return np.subtract(_metrics(second), _metrics(first))


def _numbers(column):
    return without_unit(column, unit_of(column))
