"""`explain`: the reference galaxies with the nearest features, and their weights."""

import numpy as np
from astropy.table import QTable, Table

from mantis_astro.refitting.samples import COLUMN, features_of

__all__ = ["explain"]

_BLOCK = 4_000_000  # similarities held at once: 32 MB


def explain(photoz, data, reference, *, k=5, ebv=None):
    """
    Find the reference galaxies with the most similar features.

    Parameters
    ----------
    photoz : PhotoZ
        The model.
    data : MultibandCutout, iterable of them, `~astropy.table.Table` or array
        What the model reads, or its features; see `PhotoZ.refit`.
    reference : `~astropy.table.Table` or array
        Galaxies to find: a table from `~mantis_astro.refitting.feature_table`, whose
        other columns (``z_spec``, a name) are carried over, or an array of features,
        shape (m, n_feature).
    k : int, optional
        How many for each object.
    ebv : float, array_like, mapping or str, optional
        As for `PhotoZ.predict`.

    Returns
    -------
    `~astropy.table.QTable`
        A row for each object and neighbour: ``object`` and ``reference``, row numbers;
        ``rank`` from 1; ``similarity``, the conjugate kernel of the two over the root
        of its values with themselves, with the mean features of the reference taken
        off, from -1 to 1; ``weight``, its positive part, so that the weights of an
        object sum to 1 (0 if nothing is alike); then the reference's other columns of
        one number or word each.

    Raises
    ------
    ValueError
        If ``k`` is not positive or there are fewer reference galaxies;
        `~mantis_astro.exceptions.InputSpecError` if features are another model's.
    """
    features = np.asarray(features_of(photoz, data, ebv), float)
    others = np.asarray(features_of(photoz, reference), float)
    good = np.flatnonzero(np.isfinite(others).all(axis=1))
    if not 1 <= k <= len(good):
        msg = (
            f"'k' must be from 1 to the number of reference galaxies with features, "
            f"{len(good)}, got {k}"
        )
        raise ValueError(msg)
    mean = others[good].mean(axis=0)
    units = _directions(others[good] - mean)
    usable = np.flatnonzero(np.isfinite(features).all(axis=1))
    nearest = np.empty((len(usable), k), int)
    similarity = np.empty((len(usable), k))
    step = max(1, _BLOCK // len(good))
    for start in range(0, len(usable), step):
        rows = slice(start, start + step)
        alike = _directions(features[usable[rows]] - mean) @ units.T
        order = np.argpartition(-alike, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(alike, order, axis=1)
        by_rank = np.argsort(-values, axis=1, kind="stable")
        nearest[rows] = np.take_along_axis(order, by_rank, axis=1)
        similarity[rows] = np.take_along_axis(values, by_rank, axis=1)
    weight = np.maximum(similarity, 0)
    total = weight.sum(axis=1, keepdims=True)
    weight = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    table = QTable(
        {
            "object": np.repeat(usable, k),
            "rank": np.tile(np.arange(1, k + 1), len(usable)),
            "reference": good[nearest.ravel()],
            "similarity": similarity.ravel(),
            "weight": weight.ravel(),
        }
    )
    table["similarity"].info.format = table["weight"].info.format = ".3f"
    return _carry_over(table, reference)


def _directions(vectors):
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def _carry_over(table, reference):
    if not isinstance(reference, Table):
        return table
    for name in reference.colnames:
        column = reference[name]
        if name == COLUMN or getattr(column, "ndim", 1) != 1:
            continue
        new = name if name not in table.colnames else f"reference_{name}"
        table[new] = column[table["reference"]]
    return table
