"""Priors of many objects in one table or file."""

import numpy as np
from astropy.table import MaskedColumn, QTable, Table

from mantis_astro.atomic import atomic_file
from mantis_astro.priors.double_counting import (
    sedpy_names,
    warn_of_double_counting,
)
from mantis_astro.priors.redshift_prior import RedshiftPrior

__all__ = ["eazy_table", "quantile_table", "write_redrock"]


def eazy_table(priors, zgrid, *, bands=None):
    """
    Priors of a whole catalogue for eazy.

    Parameters
    ----------
    priors : iterable of RedshiftPrior
        One for each object, in the order of the catalogue.
    zgrid : array_like
        Increasing redshifts, shape ``(n_z,)``: ``ez.zgrid``.
    bands : iterable of Band or str, optional
        Bands of the catalogue that is fitted: says whether data that made the p(z) come
        in twice.

    Returns
    -------
    ndarray
        Shape ``(n_object, n_z)``, to assign to ``ez.extra_lnp`` before
        ``ez.compute_lnp`` or ``ez.fit_catalog``; leave ``prior=False`` there, for eazy
        adds its own on top.

    Raises
    ------
    TypeError
        If there is something else among the priors.

    Warns
    -----
    DoubleCountingWarning
        Once, as for `RedshiftPrior.as_bagpipes`.

    Examples
    --------
    >>> from mantis_astro.priors import RedshiftPrior, eazy_table
    >>> eazy_table([RedshiftPrior([0, 1], [1])] * 3, [0.2, 0.4]).shape
    (3, 2)
    """
    priors = _check_all(priors)
    fitted = sedpy_names(bands)
    how = "bands=[...] of the catalogue"
    for prior in priors:
        if warn_of_double_counting(prior, fitted, how=how, stacklevel=2):
            break
    rows = [prior.as_eazy(zgrid, bands=()) for prior in priors]
    return np.reshape(rows, (-1, np.size(zgrid)))


def quantile_table(priors, quantiles=None, *, ids=None, prefix="z_q"):
    """
    Quantiles of many priors, a row each.

    Parameters
    ----------
    priors : iterable of RedshiftPrior
        One for each object.
    quantiles : array_like, optional
        Probabilities that are whole per cents; by default 0, 0.1, ..., 1.
    ids : sequence, optional
        Identifiers, the column ``id``.
    prefix : str, optional
        Put before the three digits of the per cent: ``"HOSTGAL_ZPHOT_Q"`` makes the
        names that SNANA reads.

    Returns
    -------
    `~astropy.table.QTable`
        Columns ``z_q000``, ``z_q010``, ...; masked where a prior was made of no data.

    Raises
    ------
    TypeError
        If there is something else among the priors.
    ValueError
        If a quantile is not a whole per cent.

    Examples
    --------
    >>> from mantis_astro.priors import RedshiftPrior, quantile_table
    >>> table = quantile_table([RedshiftPrior([0, 1], [1])], [0.05, 0.5], ids=["a"])
    >>> table.colnames
    ['id', 'z_q005', 'z_q050']
    """
    quantiles = np.linspace(0, 1, 11) if quantiles is None else np.asarray(quantiles)
    percent = np.round(100 * quantiles).astype(int)
    if not np.allclose(percent, 100 * quantiles):
        msg = f"'quantiles' must be whole per cents, got {quantiles}"
        raise ValueError(msg)
    priors = _check_all(priors)
    z = [prior.as_quantiles(quantiles) for prior in priors]
    z = np.reshape(z, (-1, quantiles.size))
    nothing = np.array([not prior.has_data for prior in priors], dtype=bool)
    table = QTable() if ids is None else QTable({"id": ids})
    for number, column in zip(percent, z.T, strict=True):
        masked = MaskedColumn(np.where(nothing, np.nan, column), mask=nothing)
        table[f"{prefix}{number:03d}"] = masked if nothing.any() else column
        table[
            f"{prefix}{number:03d}"
        ].info.description = f"Redshift below which {number} % of the prior lies"
    return table


def write_redrock(
    path, target_ids, priors, *, function="gaussian", level=0.99, overwrite=False
):
    """
    Write a file for the option ``--priors`` of redrock.

    redrock knows no tables, only a function for all targets, with a centre and a width
    for each; so this is an approximation, whose quality `RedshiftPrior.as_gaussian`
    tells.

    Parameters
    ----------
    path : str or path-like
        File to write, FITS.
    target_ids : sequence of int
        ``TARGETID`` of each object.
    priors : iterable of RedshiftPrior
        One for each object.
    function : {"gaussian", "lorentzien", "tophat"}, optional
        redrock's name of the function. A top hat, beyond which redrock does not look
        at all, covers the central interval of ``level``; the others have the mean and
        standard deviation of the prior without its floor. A prior that was made of no
        data is as wide as its support, and the others a hundred times that: flat.
    level : float, optional
        Probability within the top hat.
    overwrite : bool, optional
        Whether an existing file may be replaced.

    Returns
    -------
    `~astropy.table.Table`
        What was written: ``TARGETID``, ``FUNCTION``, ``Z`` and ``SIGMA``, which is the
        full width of a top hat.

    Raises
    ------
    TypeError
        If there is something else among the priors.
    ValueError
        If the function is unknown, or there are not as many priors as targets.
    OSError
        If the file exists and ``overwrite`` is False.

    References
    ----------
    .. [1] redrock, ``py/redrock/priors.py`` and ``doc/priors.rst``,
       https://github.com/desihub/redrock

    Examples
    --------
    >>> from mantis_astro.priors import RedshiftPrior, write_redrock
    >>> path = getfixture("tmp_path") / "priors.fits"
    >>> prior = RedshiftPrior([1, 2], [1])
    >>> table = write_redrock(path, [39628], [prior], function="tophat", level=0.5)
    >>> print(table)
    TARGETID FUNCTION  Z  SIGMA
    -------- -------- --- -----
       39628   tophat 1.5   0.5
    """
    priors = _check_all(priors)
    if function in {"gaussian", "lorentzien"}:
        rows = [_gaussian(prior) for prior in priors]
    elif function == "tophat":
        rows = [_top_hat(prior, level) for prior in priors]
    else:
        msg = (
            f"'function' must be 'gaussian', 'lorentzien' or 'tophat', got {function!r}"
        )
        raise ValueError(msg)
    if len(rows) != len(target_ids):
        msg = (
            f"'priors' must be one for each target, got {len(rows)} for "
            f"{len(target_ids)} targets"
        )
        raise ValueError(msg)
    z, sigma = np.reshape(rows, (-1, 2)).T
    table = Table(
        {
            "TARGETID": np.asarray(target_ids, dtype=np.int64),
            "FUNCTION": np.full(len(rows), function),
            "Z": z,
            "SIGMA": sigma,
        },
        meta={"EXTNAME": "PRIORS"},
    )
    with atomic_file(path, overwrite=overwrite) as temporary:
        table.write(temporary, format="fits", overwrite=True)
    return table


def _gaussian(prior):
    """Mean and width; as good as flat for a prior that was made of no data."""
    if prior.has_data:
        return prior.as_gaussian()[:2]
    middle, width = _top_hat(prior, 1.0)
    return middle, 100 * width


def _top_hat(prior, level):
    """Middle and full width."""
    level = level if prior.has_data else 1.0
    low, high = prior.ppf([(1 - level) / 2, (1 + level) / 2])
    return (low + high) / 2, high - low


def _check_all(priors):
    priors = list(priors)
    for i, prior in enumerate(priors):
        if not isinstance(prior, RedshiftPrior):
            msg = (
                f"'priors' must be RedshiftPriors, got {type(prior)} at index {i}; of "
                "a RedshiftPDF make them as [one.to_prior() for one in pdf]"
            )
            raise TypeError(msg)
    return priors
