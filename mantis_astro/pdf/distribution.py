"""`redshift_distribution`: the n(z) of a sample, with errors."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from mantis_astro.binned import as_redshift
from mantis_astro.flags import Flag
from mantis_astro.pdf.tables import as_densities
from mantis_astro.pdf_io.edges import EDGES_KEY, edges_to_text

if TYPE_CHECKING:
    from astropy.table import QTable, Table
    from numpy.typing import ArrayLike

    from mantis_astro.pdf.redshift_pdf import RedshiftPDF

__all__ = ["redshift_distribution"]

_POINTS = {
    "mean": lambda pdf: pdf.mean(),
    "median": lambda pdf: pdf.median(),
    "mode": lambda pdf: pdf.mode(),
    "risk": lambda pdf: pdf.z_risk(),
}
_ROWS = 4096  # galaxies of which all draws are in memory at once


def redshift_distribution(
    pdf: RedshiftPDF | Table,
    *,
    bins: int | ArrayLike | None = None,
    point: Literal["mean", "median", "mode", "risk"] = "median",
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    exclude: Flag = Flag.NO_DATA,
    n_bootstrap: int = 100,
    rng: np.random.Generator | int = 0,
    prefix: str = "",
) -> QTable:
    """
    Compute the redshift distribution n(z) of a sample: the mean of its p(z).

    Parameters
    ----------
    pdf : RedshiftPDF or `~astropy.table.Table`
        Densities, shape (n,); or a table that `PhotoZ.add_redshifts` or
        `RedshiftPDF.to_table` made.
    bins : int or array_like, optional
        Tomographic bins: edges in the point estimate, increasing; or how many bins of
        equal weight. By default one bin of all galaxies.
    point : {"mean", "median", "mode", "risk"}, optional
        Point estimate by which galaxies are put into tomographic bins.
    sample_weight : array_like, optional
        Weight of each galaxy, shape (n,), such as that of a lensing sample.
    groups : array_like, optional
        Galaxies of one group are drawn together, shape (n,): pixels of the sky, so that
        errors have the variance of large-scale structure in them.
    exclude : Flag, optional
        Galaxies with any of these bits in their flags are left out.
    n_bootstrap : int, optional
        Number of bootstrap samples, at least 2.
    rng : int or `~numpy.random.Generator`, optional
        Seed of the bootstrap.
    prefix : str, optional
        What stands before the names of the columns of a table.

    Returns
    -------
    `~astropy.table.QTable`
        A row for each tomographic bin: ``z_low``, ``z_high`` (edges in the point
        estimate; without ``bins``, the range of redshift), ``n`` galaxies, ``z_mean``
        and ``z_std`` of their n(z), and the density ``n_of_z``, shape (n_bins,), whose
        integral is 1; each with its error, as ``z_mean_err``, NaN in a tomographic bin
        of one galaxy or group. ``PZEDGES`` of the meta are the edges of the redshift
        bins.

    Raises
    ------
    ValueError
        If shapes do not match, ``bins`` do not increase, a weight is negative, or a
        tomographic bin has no galaxy.

    Notes
    -----
    p(z) are averaged, so that the n(z) is as broad as they are, and carries the n(z)
    that their model was trained with (``pdf.n_of_z``) where p(z) are broad.
    `RedshiftPDF.reweight` brings in another first. Errors are those of a bootstrap of
    galaxies or groups (each counts as often as a Poisson variable of mean 1 says); they
    know nothing of p(z) that are wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF, redshift_distribution
    >>> rng = np.random.default_rng(1)
    >>> centre = rng.uniform(0.2, 0.8, 1000)
    >>> pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 101), centre, 0.03)
    >>> table = redshift_distribution(pdf, bins=[0.2, 0.5, 0.8])
    >>> table["z_low", "z_high", "n", "z_mean", "z_mean_err"].pprint()
    z_low z_high  n  z_mean z_mean_err
    ----- ------ --- ------ ----------
      0.2    0.5 507 0.3522     0.0036
      0.5    0.8 493 0.6554     0.0039
    """
    from astropy.table import QTable

    pdf = as_densities(pdf, prefix=prefix)
    weight, groups = _checked(pdf, sample_weight, groups, exclude, n_bootstrap)
    used = np.flatnonzero(weight > 0)
    pdf, weight = pdf[used], weight[used]
    _, groups = np.unique(groups[used], return_inverse=True)
    if point not in _POINTS:
        msg = f"'point' must be one of {', '.join(_POINTS)}, got {point!r}"
        raise ValueError(msg)
    member, edges = np.zeros(len(used), int), np.asarray(pdf.bin_edges)[[0, -1]]
    if bins is not None:
        z = as_redshift(_POINTS[point](pdf))
        edges = _edges(bins, z, weight)
        member = np.searchsorted(edges, z, side="right") - 1
        member[z == edges[-1]] = len(edges) - 2  # the last bin is closed
    draws = _draw(groups.max() + 1, n_bootstrap, rng)
    rows = []
    for k, (low, high) in enumerate(pairwise(edges)):
        there = member == k
        if not there.any():
            msg = f"no galaxy has a point estimate from {low:g} to {high:g}"
            raise ValueError(msg)
        some = pdf[there]
        rows.append((low, high, int(there.sum())))
        rows[-1] += _distribution(some, weight[there], draws, groups[there])
    names = ["z_mean", "z_std", "n_of_z"]
    names = ["z_low", "z_high", "n", *(n + e for n in names for e in ("", "_err"))]
    table = QTable(rows=rows, names=names)
    for name in names[:2]:
        table[name].info.format = ".4g"
    for name in names[3:]:
        table[name].info.format = ".4f"
    table["n_of_z"].info.description = "Density in each redshift bin; integral 1"
    table.meta = {EDGES_KEY: edges_to_text(pdf.bin_edges), "n_bootstrap": n_bootstrap}
    return table


def _checked(pdf, sample_weight, groups, exclude, n_bootstrap):
    """Weight (0 where left out) and group of each galaxy."""
    if pdf.ndim != 1:
        msg = f"'pdf' must have shape (n,), got {pdf.shape}"
        raise ValueError(msg)
    if n_bootstrap < 2:
        msg = f"'n_bootstrap' must be at least 2, got {n_bootstrap}"
        raise ValueError(msg)
    n = len(pdf)
    weight = np.ones(n) if sample_weight is None else np.array(sample_weight, float)
    groups = np.arange(n) if groups is None else np.asarray(groups)
    for name, values in (("sample_weight", weight), ("groups", groups)):
        if values.shape != (n,):
            msg = f"'{name}' must have shape ({n},), got {values.shape}"
            raise ValueError(msg)
    if not np.all(np.isfinite(weight) & (weight >= 0)):
        msg = "'sample_weight' must be finite and not negative"
        raise ValueError(msg)
    weight[(np.asarray(pdf.flags) & int(exclude)) != 0] = 0
    if not weight.any():
        msg = f"of {n} galaxies none has a weight and no excluded flag"
        raise ValueError(msg)
    return weight, groups


def _draw(n_group, n_bootstrap, rng):
    """Draw how often each group is in each bootstrap sample."""
    rng = np.random.default_rng(rng)
    draws = np.empty((n_group, n_bootstrap), np.uint8)
    for start in range(0, n_group, _ROWS):
        part = draws[start : start + _ROWS]
        part[:] = rng.poisson(1.0, part.shape)
    return draws


def _edges(bins, z, weight):
    """Edges of tomographic bins, given or of equal weight."""
    if np.ndim(bins) == 0:
        if not bins >= 1 or bins % 1:  # nor NaN
            msg = f"'bins' must be edges, or a whole number from 1, got {bins}"
            raise ValueError(msg)
        order = np.argsort(z, kind="stable")
        share = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
        inner = np.interp(np.arange(1, bins) / bins, share, z[order])
        bins = np.r_[z.min(), inner, z.max()]
    edges = np.asarray(as_redshift(bins), float)
    if edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0):
        msg = f"'bins' must be increasing edges, at least two, got {edges}"
        raise ValueError(msg)
    return edges


def _distribution(pdf, weight, draws, groups):
    """Mean, standard deviation and density of the mean p(z), each with its error."""
    sums = np.zeros((1 + draws.shape[1], pdf.n_bins))
    for start in range(0, len(pdf), _ROWS):
        part = slice(start, start + _ROWS)
        counts = np.column_stack([np.ones(len(groups[part])), draws[groups[part]]])
        sums += (counts * weight[part, None]).T @ np.asarray(pdf.probability[part])
    total = sums.sum(axis=1, keepdims=True)
    share = sums / np.where(total > 0, total, np.nan)
    centre, width = pdf.bin_centres, pdf.bin_widths
    mean = share @ centre
    variance = share @ (centre**2 + width**2 / 12) - mean**2
    several = len(np.unique(groups)) > 1  # all bootstrap samples of one are alike
    values = []
    for value in (mean, np.sqrt(np.maximum(variance, 0)), share / width):
        error = np.nanstd(value[1:], axis=0) if several else value[0] * np.nan
        values += [value[0], error]
    return tuple(values)
