"""Catalogues with several fixed redshifts for each galaxy, and their pooled results."""

import numpy as np
from astropy.table import QTable

from mantis_astro.units import unit_of, without_unit

__all__ = ["make_nodes", "pool_nodes"]


def make_nodes(priors, n, table=None):
    """
    Repeat each galaxy at redshifts of equal weight.

    Parameters
    ----------
    priors : CataloguePriors
        The priors.
    n : int
        Nodes for each galaxy.
    table : `~astropy.table.Table`, optional
        Columns to repeat.

    Returns
    -------
    `~astropy.table.QTable`
        See `CataloguePriors.to_nodes`.
    """
    if n < 1:
        msg = f"'n' must be at least 1, got {n}"
        raise ValueError(msg)
    if table is not None and len(table) != len(priors):
        msg = f"'table' must have {len(priors)} rows, one a prior, got {len(table)}"
        raise ValueError(msg)
    middles = (np.arange(n) + 0.5) / n
    nodes = QTable(meta=None if table is None else table.meta)
    nodes["id"] = [f"{name}_{node}" for name in priors.ids for node in range(n)]
    nodes["redshift"] = np.concatenate([prior.ppf(middles) for prior in priors])
    nodes["galaxy"] = np.repeat(priors.ids, n)
    if table is not None:
        rows = np.repeat(np.arange(len(priors)), n)
        for name in table.colnames:
            if name not in nodes.colnames:
                nodes[name] = table[name][rows]
    return nodes


def pool_nodes(nodes, values, *, errors=None, log_weights=None):
    """
    Put the results at all nodes of each galaxy together.

    Parameters
    ----------
    nodes : `~astropy.table.Table`
        With the column ``galaxy``, as `CataloguePriors.to_nodes` made it, in any order,
        and the results.
    values : iterable of str
        Columns of results.
    errors : dict of str to str, optional
        Column of the standard deviation of each, where there is one, in any unit that
        its values have.
    log_weights : str, optional
        Column of the logarithm of the evidence of each node, or of what stands for it
        (minus half of CIGALE's ``best.chi_square``): then p(z) is a prior. By default
        all nodes weigh the same: p(z) is the last word on redshift.

    Returns
    -------
    `~astropy.table.QTable`
        ``galaxy``, mean and standard deviation (within the nodes and between them) of
        each column, ``<name>`` and ``<name>_err`` in its unit, and the number of nodes
        that are
        finite, ``n_nodes``. A node that failed, whose values are not finite or masked,
        is left out; NaN where all have.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from mantis_astro.sed_fits import pool_nodes
    >>> nodes = Table({"galaxy": ["a", "a", "b"], "m": [10.0, 12.0, 9.0]})
    >>> nodes["m_err"] = [1.0, 1.0, 2.0]
    >>> pooled = pool_nodes(nodes, ["m"], errors={"m": "m_err"})
    >>> pooled["m"].tolist(), pooled["m_err"].round(2).tolist()
    ([11.0, 9.0], [1.41, 2.0])
    """
    values, errors = list(values), errors or {}
    names, galaxy = np.unique(np.array(nodes["galaxy"], dtype=str), return_inverse=True)
    units = {name: unit_of(nodes[name]) for name in values}
    columns = {name: without_unit(nodes[name], units[name]) for name in values}
    columns |= {
        error: without_unit(nodes[error], units[name]) for name, error in errors.items()
    }
    good = np.all([np.isfinite(column) for column in columns.values()], axis=0)
    log_weight = np.zeros(len(nodes))
    if log_weights is not None:
        log_weight = without_unit(nodes[log_weights], unit_of(nodes[log_weights]))
        good &= ~np.isnan(log_weight)
    pooled = QTable({"galaxy": names})
    weight = np.where(good, np.exp(log_weight - _highest(log_weight, galaxy, good)), 0)
    total = np.bincount(galaxy, weight, names.size)

    def average(column):
        with np.errstate(invalid="ignore"):
            return np.bincount(galaxy, weight * np.where(good, column, 0)) / total

    for name in values:
        mean = average(columns[name])
        error = columns[errors[name]] if name in errors else 0.0
        square = average((columns[name] - mean[galaxy]) ** 2 + error**2)
        for column, numbers in ((name, mean), (f"{name}_err", np.sqrt(square))):
            pooled[column] = numbers if units[name] is None else numbers << units[name]
    pooled["n_nodes"] = np.bincount(galaxy, good, names.size).astype(int)
    return pooled


def _highest(log_weight, galaxy, good):
    """Highest weight of each galaxy, at each of its nodes."""
    highest = np.full(galaxy.max(initial=-1) + 1, -np.inf)
    np.maximum.at(highest, galaxy[good], log_weight[good])
    return np.where(np.isfinite(highest), highest, 0)[galaxy]
