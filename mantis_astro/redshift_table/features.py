"""`table_features`: input of a network's last layer for each row of a table."""

import numpy as np

from mantis_astro.extinction import find_ebv, select_ebv
from mantis_astro.redshift_table.batches import open_rows

__all__ = ["table_features"]


def table_features(
    predictor, table, source=None, *, ra=None, dec=None, ebv=None, chunk=64
):
    """
    Compute the input of the last layer for each row of a table.

    Parameters
    ----------
    predictor : Predictor
        The model.
    table, source, ra, dec, ebv, chunk
        As for `PhotoZ.add_redshifts`.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n, n_feature), float32; NaN in rows of which nothing was usable.

    Raises
    ------
    KeyError, TypeError, ValueError
        As `PhotoZ.add_redshifts` does.
    """
    found = open_rows(predictor, table, source, ra=ra, dec=dec, chunk=chunk)
    ebv = find_ebv(table, ebv)
    n_feature = predictor.network.n_features
    features = np.full((len(table), n_feature), np.nan, np.float32)
    for rows, data, _ in found.batches(np.flatnonzero(found.good)):
        if data is not None:
            prepared = predictor.prepare(data, select_ebv(ebv, rows))
            features[rows] = predictor.infer_features(prepared)
    return features
