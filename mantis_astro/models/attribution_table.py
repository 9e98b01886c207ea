"""Contributions of bands or surveys, averaged against redshift."""

import numpy as np
from astropy.table import MaskedColumn, QTable

from mantis_astro.binned import true_redshift

__all__ = ["attribution_by_redshift"]


def attribution_by_redshift(table, z, *, bins=8, n_bootstrap=200, rng=0):
    """
    Average Shapley values in bins of redshift.

    Parameters
    ----------
    table : `~astropy.table.Table`
        As `shapley_values` returns it, of n galaxies.
    z : array_like or `~astropy.units.Quantity`
        Redshifts, true or photometric, shape (n,); NaN or masked where there is none.
    bins : int or array_like, optional
        Edges of the bins, or how many bins of equal population.
    n_bootstrap : int, optional
        Number of bootstrap samples of the galaxies of each bin.
    rng : int or `~numpy.random.Generator`, optional
        Seed of the bootstrap.

    Returns
    -------
    `~astropy.table.QTable`
        A row for each bin: ``z_low``, ``z_high``, ``n`` and, for each group, the mean
        Shapley value ``mean_NAME`` and its share ``share_NAME`` of the sum over groups,
        each with its error. For shifts of the median, which have either sign, means are
        of absolute values. Masked in bins without galaxies; shares also where the sum
        is not positive.

    Raises
    ------
    ValueError
        If the table is not one of `shapley_values`, shapes do not match or edges do not
        increase.

    Examples
    --------
    >>> from astropy.table import QTable
    >>> from mantis_astro.models import attribution_by_redshift
    >>> table = QTable({"shapley_ps1": [3.0, 1.0], "shapley_unwise": [1.0, 3.0]})
    >>> table.meta = {"groups": ["ps1", "unwise"], "value": "kl"}
    >>> by_z = attribution_by_redshift(table, [0.1, 0.5], bins=[0, 0.3, 0.6])
    >>> by_z["z_low", "z_high", "n", "share_ps1"].pprint()
    z_low z_high  n  share_ps1
    ----- ------ --- ---------
      0.0    0.3   1      0.75
      0.3    0.6   1      0.25
    """
    if "groups" not in table.meta:
        msg = "'table' must be one that shapley_values returned: its meta has no groups"
        raise ValueError(msg)
    names, value = list(table.meta["groups"]), table.meta["value"]
    z = true_redshift(z)
    if z.shape != (len(table),):
        msg = f"'z' must have one value for each of {len(table)} rows, got {z.shape}"
        raise ValueError(msg)
    shares = np.stack(
        [np.ma.filled(np.ma.asarray(table[f"shapley_{n}"]), np.nan) for n in names], 1
    )
    if value == "z_median":
        shares = abs(shares)
    known = np.isfinite(shares).all(axis=1) & np.isfinite(z)
    edges = _edges(z[known], bins)
    inside = np.digitize(z, edges) - 1
    inside[z == edges[-1]] = len(edges) - 2  # the last bin owns its upper edge
    rng = np.random.default_rng(rng)
    rows = []
    for i in range(len(edges) - 1):
        here = shares[known & (inside == i)]
        numbers, errors = _with_errors(here, n_bootstrap, rng)
        row = {"z_low": edges[i], "z_high": edges[i + 1], "n": len(here)}
        for kind, offset in (("mean", 0), ("share", len(names))):
            for j, name in enumerate(names, start=offset):
                row[f"{kind}_{name}"] = numbers[j]
                row[f"{kind}_{name}_err"] = errors[j]
        rows.append(row)
    result = QTable()
    for name in rows[0]:
        column = np.array([row[name] for row in rows])
        if name.startswith(("mean_", "share_")):
            column = MaskedColumn(column, mask=~np.isfinite(column), format=".4g")
        result[name] = column
    result.meta.update(table.meta, n_bootstrap=n_bootstrap)
    return result


def _edges(z, bins):
    if np.ndim(bins) == 0:
        if not z.size:
            msg = "no galaxy has both a Shapley value and a redshift 'z'"
            raise ValueError(msg)
        bins = np.unique(np.quantile(z, np.linspace(0, 1, int(bins) + 1)))
    edges = np.asarray(bins, float)
    if len(edges) < 2 or not np.all(np.diff(edges) > 0):
        msg = f"'bins' must be a number or increasing edges, got {bins}"
        raise ValueError(msg)
    return edges


def _with_errors(shares, n_bootstrap, rng):
    """Means of the groups, then shares of their sum; and the errors of both."""
    n, n_group = shares.shape
    if not n:
        return np.full((2, 2 * n_group), np.nan)
    samples = [shares[rng.integers(n, size=n)].mean(axis=0) for _ in range(n_bootstrap)]
    numbers = _and_shares(shares.mean(axis=0))
    if n < 2 or n_bootstrap < 2:
        return numbers, np.full(2 * n_group, np.nan)
    return numbers, np.std([_and_shares(sample) for sample in samples], axis=0)


def _and_shares(means):
    total = means.sum()
    return np.r_[means, means / total if total > 0 else np.full(len(means), np.nan)]
