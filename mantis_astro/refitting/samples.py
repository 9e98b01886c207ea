"""Input of fits: cutouts, fluxes or features with redshifts, without unusable ones."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
from astropy.table import QTable, Table

from mantis_astro.binned import true_redshift
from mantis_astro.cutouts import MultibandCutout
from mantis_astro.exceptions import InputSpecError
from mantis_astro.extinction import select_ebv
from mantis_astro.models.reference_files import encoder_sha256
from mantis_astro.prediction import check_data

__all__ = ["Labelled", "feature_table", "features_of", "label"]

_CHUNK = 64  # objects prepared at once
_ROWS = 8192  # rows of photometry prepared at once

#: Name of the column of features, and of what says whose they are in ``meta``.
COLUMN, ENCODER_KEY = "features", "PZENCODE"


@dataclass(frozen=True, eq=False)
class Labelled:
    """
    Features with redshifts, without galaxies that cannot be used.

    Attributes
    ----------
    features : `~numpy.ndarray`
        Features and a 1, shape (n, n_feature + 1), float64.
    z : `~numpy.ndarray`
        Redshifts, shape (n,).
    kept : `~numpy.ndarray`
        Which of the objects given these are, shape (n,).
    dropped : dict of str to int
        How many were left out for which reason.
    """

    features: np.ndarray
    z: np.ndarray
    kept: np.ndarray
    dropped: dict


def feature_table(photoz, data, *, ebv=None):
    """
    Compute features once, in a table that records their model.

    Parameters
    ----------
    photoz : PhotoZ
        The model.
    data : iterable of MultibandCutout, or `~astropy.table.Table`
        What the model reads; the columns of a table are kept.
    ebv : float, array_like, mapping or str, optional
        As for `PhotoZ.predict`.

    Returns
    -------
    `~astropy.table.QTable`
        With a column ``features``, shape (n, n_feature), NaN where nothing was usable.
        `PhotoZ.refit` and `PhotoZ.explain` take it in place of the data, and refuse it
        if it was made by a model with another encoder.
    """
    table = QTable(data, copy=True) if isinstance(data, Table) else QTable()
    table[COLUMN] = features_of(photoz, data, ebv)
    table[COLUMN].info.description = f"Features of {photoz.card.name}"
    table.meta |= {
        "PZMODEL": photoz.card.name,
        ENCODER_KEY: encoder_sha256(photoz.network),
    }
    return table


def features_of(photoz, data, ebv=None):
    """
    Return features, computed if necessary, from data of any form.

    Parameters
    ----------
    photoz : PhotoZ
        The model.
    data : MultibandCutout, iterable of them, `~astropy.table.Table` or array
        What the model reads; a table from `feature_table`; or an array of features of
        this model, shape (n, n_feature).
    ebv : float, array_like, mapping or str, optional
        As for `PhotoZ.predict`; not used with features.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n, n_feature); NaN where nothing was usable.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if the features are those of another
        model.
    TypeError
        If it is none of these.
    """
    if isinstance(data, Table) and COLUMN in data.colnames:
        _check_encoder(photoz, data.meta)
        return _check_width(photoz, data[COLUMN])
    if hasattr(data, "ndim") and not hasattr(data, "iloc"):  # a DataFrame has both
        return _check_width(photoz, data)
    return np.concatenate(list(_computed(photoz, data, ebv)))


def check_redshifts(z_spec, n):
    """
    Return redshifts as plain numbers, one for each object.

    Parameters
    ----------
    z_spec : array_like or `~astropy.units.Quantity`
        Redshifts; masked or NaN where there is none.
    n : int
        Number of objects.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n,).

    Raises
    ------
    ValueError
        If they are no numbers, or not as many.
    """
    z = true_redshift(z_spec)
    if z.shape != (n,):
        msg = (
            f"'z_spec' must have one redshift for each object: expected shape {(n,)}, "
            f"got {z.shape}"
        )
        raise ValueError(msg)
    return z


def label(photoz, data, z_spec, *, ebv=None):
    """
    Combine features and redshifts, and exclude galaxies that cannot be used.

    Parameters
    ----------
    photoz : PhotoZ
        The model.
    data : iterable of MultibandCutout, `~astropy.table.Table` or array
        As for `features_of`.
    z_spec : array_like or `~astropy.units.Quantity`
        Redshifts, shape (n,); masked or NaN where there is none.
    ebv : float, array_like, mapping or str, optional
        As for `features_of`.

    Returns
    -------
    Labelled
        What is left, and what was not.

    Raises
    ------
    ValueError
        If there is not one redshift for each object, or none is left.
    """
    features = np.asarray(features_of(photoz, data, ebv), np.float64)
    z = check_redshifts(z_spec, len(features))
    edges = photoz.card.bin_edges
    unusable = ~np.isfinite(features).all(axis=1)
    unknown = ~np.isfinite(z) & ~unusable
    outside = ~unusable & ~unknown & ~((z >= edges[0]) & (z <= edges[-1]))
    kept = np.flatnonzero(~(unusable | unknown | outside))
    dropped = {
        "without finite features": int(unusable.sum()),
        "without z_spec": int(unknown.sum()),
        f"beyond the redshift bins, {edges[0]:g} to {edges[-1]:g}": int(outside.sum()),
    }
    dropped = {reason: n for reason, n in dropped.items() if n}
    if not len(kept):
        reasons = ", ".join(f"{n} {reason}" for reason, n in dropped.items())
        msg = f"no galaxy can be used for the fit: {reasons or 'none were given'}"
        raise ValueError(msg)
    features = np.concatenate([features[kept], np.ones((len(kept), 1))], axis=1)
    return Labelled(features, z[kept], kept, dropped)


def _computed(photoz, data, ebv):
    """Yield features of a chunk of objects after the other."""
    if isinstance(data, MultibandCutout):
        data = [data]
    if isinstance(data, Table):
        for start in range(0, max(len(data), 1), _ROWS):
            rows = slice(start, start + _ROWS)
            yield photoz.infer_features(
                photoz.prepare(data[rows], select_ebv(ebv, rows))
            )
        return
    check_data(data)
    cutouts, n = iter(data), 0
    while chunk := list(islice(cutouts, _CHUNK)):
        rows = slice(n, n + len(chunk))
        yield photoz.infer_features(photoz.prepare(chunk, select_ebv(ebv, rows)))
        n += len(chunk)
    if n == 0:
        yield np.empty((0, photoz.network.n_features), np.float32)


def _check_encoder(photoz, meta):
    made_by = meta.get(ENCODER_KEY)
    if made_by is None:
        msg = (
            f"the table's meta does not say whose features these are ({ENCODER_KEY}): "
            "make it with feature_table, or hand over the array itself"
        )
        raise InputSpecError(msg)
    if made_by != encoder_sha256(photoz.network):
        msg = (
            f"these are features of {meta.get('PZMODEL', 'another model')}, whose "
            f"encoder is not that of '{photoz.card.name}': compute them again with "
            "feature_table"
        )
        raise InputSpecError(msg)


def _check_width(photoz, features):
    if hasattr(features, "detach"):
        features = features.detach().cpu().numpy()
    features = np.ma.filled(np.ma.asarray(features, dtype=float), np.nan)
    width = photoz.network.n_features
    if features.ndim != 2 or features.shape[1] != width:
        msg = (
            f"features of '{photoz.card.name}' must have shape (n, {width}), "
            f"got {features.shape}: those of another model cannot be used"
        )
        raise InputSpecError(msg)
    return features
