"""`evaluate`: every metric of a sample in one table, with errors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from astropy.table import MaskedColumn, QTable

from mantis_astro.binned import as_redshift
from mantis_astro.flags import Flag
from mantis_astro.metrics.density import object_scores, share_within
from mantis_astro.metrics.point import mean, point_statistics
from mantis_astro.metrics.uniformity import pit_ad, pit_cvm, pit_kld, pit_ks
from mantis_astro.pdf.tables import as_densities, as_truths, is_table

if TYPE_CHECKING:
    from astropy.table import Table
    from numpy.typing import ArrayLike

    from mantis_astro.pdf import RedshiftPDF

__all__ = ["evaluate", "summarize"]

log = logging.getLogger(__name__)

_RESAMPLE = 50_000  # galaxies a bootstrap draws at most
_MEANS = ("crps", "cde_loss", "log_score")  # metrics that are means of scores

_DESCRIPTIONS = {
    "sample": "Galaxies of this row",
    "n": "Number of galaxies that the metrics are made from",
    "n_no_z_spec": "Left out: no z_spec",
    "n_flagged": "Left out: flagged (by default NO_DATA)",
    "point": "Point estimate of p(z) that the metrics of delta_z are made from",
    "bias_mean": "Mean of delta_z = (z_phot - z_spec) / (1 + z_spec)",
    "bias_median": "Median of delta_z",
    "sigma_nmad": "1.4826 median |delta_z - median delta_z|",
    "sigma_iqr": "Interquartile range of delta_z / 1.349",
    "sigma_std": "Standard deviation of delta_z",
    "outlier_fraction_005": "Share with |delta_z| >= 0.05",
    "outlier_fraction_015": "Share with |delta_z| >= 0.15",
    "rail_outlier_fraction": "Share with |delta_z| > max(0.06, 3 sigma_iqr)",
    "coverage_68": "Share of z_spec in the central 68 % interval; ideal 0.68",
    "coverage_95": "Share of z_spec in the central 95 % interval; ideal 0.95",
    "crps": "Mean continuous ranked probability score; lower is better",
    "cde_loss": "Conditional density estimation loss; lower is better",
    "log_score": "Mean ln p(z_spec), per unit redshift; higher is better",
    "pit_ks": "Kolmogorov-Smirnov distance of cdf(z_spec) from uniform; ideal 0",
    "pit_cvm": "Cramer-von Mises W^2 of cdf(z_spec), as in scipy",
    "pit_ad": "Anderson-Darling A^2 of cdf(z_spec), one sample, case 0",
    "pit_kld": "Kullback-Leibler divergence of cdf(z_spec), 20 bins, from flat",
}


def evaluate(
    pdf: RedshiftPDF | Table,
    z_spec: ArrayLike | str | None = None,
    *,
    prefix: str = "",
    point: str = "median",
    by: ArrayLike | str | None = None,
    bins: ArrayLike | None = None,
    sample: str = "all",
    exclude: Flag = Flag.NO_DATA,
    scores: dict[str, Callable] | None = None,
    n_bootstrap: int = 100,
    rng: np.random.Generator | int = 0,
) -> QTable:
    """
    Compare p(z) with true redshifts: all metrics, with errors, as a table.

    Parameters
    ----------
    pdf : RedshiftPDF or `~astropy.table.Table`
        Densities, shape (n,), or the table that `PhotoZ.add_redshifts` gave.
    z_spec : array_like, `~astropy.units.Quantity` or str, optional
        True redshifts, shape (n,). Galaxies where it is NaN or masked are left out
        and counted. Of a table it may be the name of a column, and is ``z_spec`` by
        default.
    prefix : str, optional
        What stands before the names of the redshift columns of a table.
    point : str, optional
        Point estimate: ``"mean"``, ``"median"``, ``"mode"`` or ``"risk"``.
    by : array_like, `~astropy.units.Quantity` or str, optional
        Something to split the sample by, shape (n,): a magnitude, a redshift, the
        name of a survey; or the name of a column of the table. Adds a row for each
        bin.
    bins : int or array_like, optional
        For numbers: edges of the bins, or how many bins of equal population (5). For
        strings and booleans there is a row for each value.
    sample : str, optional
        What to call the whole sample in its row.
    exclude : Flag, optional
        Galaxies with any of these bits in ``pdf.flags`` are left out and counted.
    scores : dict of str to callable, optional
        Further metrics: each ``function(pdf, z_spec)`` returns one number a galaxy,
        shape (n,); its mean and the error of that make two columns of this name.
    n_bootstrap : int, optional
        Number of bootstrap samples; 0 for no errors.
    rng : int or `~numpy.random.Generator`, optional
        Seed of the bootstrap.

    Returns
    -------
    `~astropy.table.QTable`
        A row for the whole sample, then one for each bin; each column says in its
        ``description`` what it is, and ``*_err`` is the bootstrap error of the column
        before it. Metrics of a row without galaxies are masked.

    Raises
    ------
    KeyError
        If the table has no such column.
    TypeError
        If there are no true redshifts.
    ValueError
        If ``point`` is another word, shapes do not match, bins are not increasing, or
        a further metric has a name that is taken.

    Notes
    -----
    Errors are standard deviations over samples drawn with replacement. Beyond 50,000
    galaxies that many are drawn and the error is scaled by the root of their share
    ("m out of n", Bickel, Götze & van Zwet 1997, Statistica Sinica 7, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF, evaluate
    >>> rng = np.random.default_rng(1)
    >>> z_spec = rng.uniform(0.2, 0.8, 500)
    >>> z_phot = z_spec + rng.normal(0, 0.02, 500)
    >>> edges = np.linspace(0, 1, 201)
    >>> distance = (edges[1:] + edges[:-1]) / 2 - z_phot[:, None]
    >>> pdf = RedshiftPDF(edges, np.exp(-0.5 * (distance / 0.02) ** 2))
    >>> table = evaluate(pdf, z_spec)
    >>> table["n", "sigma_nmad", "sigma_nmad_err", "outlier_fraction_005"].pprint()
     n  sigma_nmad sigma_nmad_err outlier_fraction_005
    --- ---------- -------------- --------------------
    500    0.01503      0.0007034                0.002
    """
    z_spec = as_truths(pdf, z_spec)
    if isinstance(by, str) and is_table(pdf):
        by = as_truths(pdf, by)
    pdf = as_densities(pdf, prefix=prefix)
    further = _further_scores(scores or {}, pdf, z_spec)
    objects = object_scores(pdf, z_spec, point=point)
    objects = {name: as_redshift(objects[name]) for name in objects.colnames} | further
    flags = getattr(pdf, "flags", None)
    flagged = np.broadcast_to(
        np.asarray(0 if flags is None else flags) & int(exclude) != 0, (len(pdf),)
    )
    known = ~np.isnan(objects["z_spec"])
    _tell_of_range(objects["z_spec"][known & ~flagged], pdf.bin_edges)
    groups, unit = ([], None) if by is None else _split(by, bins, len(pdf))
    groups.insert(0, ({"sample": sample}, np.ones(len(pdf), bool)))
    rng = np.random.default_rng(rng)
    rows = []
    for label, members in groups:
        used = members & known & ~flagged
        counts = {
            "n": int(used.sum()),
            "n_no_z_spec": int((members & ~known & ~flagged).sum()),
            "n_flagged": int((members & flagged).sum()),
            "point": point,
        }
        numbers = _with_errors(
            {name: values[used] for name, values in objects.items()},
            (*_MEANS, *further),
            n_bootstrap,
            rng,
        )
        rows.append(label | counts | numbers)
    table = _table(rows, unit)
    table.meta["n_bootstrap"] = n_bootstrap
    return table


def summarize(table):
    """
    Describe the first row of a table of `evaluate` in words.

    Parameters
    ----------
    table : `~astropy.table.Table`
        As `evaluate` returns it.

    Returns
    -------
    str
        A line for each metric, with its error and what it means.

    Examples
    --------
    >>> from mantis_astro import RedshiftPDF, evaluate
    >>> from mantis_astro.metrics import summarize
    >>> pdf = RedshiftPDF([0.0, 0.2, 0.4], [[0.5, 0.5], [0.5, 0.5]])
    >>> print(summarize(evaluate(pdf, [0.1, 0.2], n_bootstrap=0)))
    2 galaxies (all); point estimate: median of p(z)
      bias_mean              0.04545               Mean of delta_z = ...
    ...
    """
    row = table[0]
    who = f"{row['n']:,} galaxies ({row['sample']})"
    lines = [f"{who}; point estimate: {row['point']} of p(z)"]
    for name, reason in (("n_no_z_spec", "no z_spec"), ("n_flagged", "flagged")):
        if row[name]:
            lines.append(f"  {row[name]:,} left out: {reason}")
    for name in table.colnames:
        if table[name].dtype.kind != "f" or name.endswith(("_err", "_low", "_high")):
            continue
        error = f"{name}_err"
        number = "none" if np.ma.is_masked(row[name]) else f"{row[name]:.4g}"
        if error in table.colnames and not np.ma.is_masked(row[error]):
            number = f"{number} +- {row[error]:.2g}"
        lines.append(f"  {name:22s} {number:21s} {table[name].description or ''}")
    return "\n".join(lines)


def _tell_of_range(z_spec, bin_edges):
    low, high = as_redshift(bin_edges)[[0, -1]]
    n_outside = int(np.count_nonzero((z_spec < low) | (z_spec > high)))
    if n_outside:
        log.warning(
            "%d of %d z_spec, from %.4g to %.4g, are outside of the redshift bins, "
            "%g to %g, where p(z) is 0: log_score is -inf. Mask them if they mark what "
            "was not measured",
            n_outside,
            len(z_spec),
            z_spec.min(),
            z_spec.max(),
            low,
            high,
        )


def _split(by, bins, n):
    """Label and members of each bin of a column, and the unit of the edges."""
    name = getattr(getattr(by, "info", None), "name", None) or "by"
    if np.shape(by) != (n,):
        msg = (
            f"'by' must have one value for each p(z): expected shape ({n},), "
            f"got {np.shape(by)}"
        )
        raise ValueError(msg)
    if np.asarray(by).dtype.kind in "bSUO":
        values = np.ma.asarray(by)
        groups = [
            (
                {"sample": f"{name} = {value}"},
                (values == value).filled(fill_value=False),
            )
            for value in np.unique(values.compressed())
        ]
        return groups, None
    unit = getattr(by, "unit", None)
    if isinstance(bins, u.Quantity):
        bins = bins.to_value(unit)
    values = as_redshift(getattr(by, "value", by))
    edges = _edges(values, 5 if bins is None else bins)
    last = len(edges) - 2
    index = np.searchsorted(edges, values, side="right") - 1
    index[values == edges[-1]] = last  # the last bin owns its upper edge
    groups = []
    for i, (low, high) in enumerate(pairwise(edges)):
        label = f"{low:g} <= {name} {'<=' if i == last else '<'} {high:g}"
        bounds = {f"{name}_low": float(low), f"{name}_high": float(high)}
        groups.append(({"sample": label, **bounds}, index == i))
    return groups, unit


def _edges(values, bins):
    """Edges as given, or such that each bin holds as many."""
    if np.ndim(bins) == 0:
        finite = values[np.isfinite(values)]
        if not finite.size:
            msg = "'by' must have at least one finite value, got none"
            raise ValueError(msg)
        edges = np.unique(np.quantile(finite, np.linspace(0, 1, int(bins) + 1)))
        return np.repeat(edges, 2) if len(edges) == 1 else edges
    edges = np.asarray(bins, dtype=float)
    if len(edges) < 2 or not np.all(np.diff(edges) > 0):
        msg = f"'bins' must be a number or increasing edges, got {bins}"
        raise ValueError(msg)
    return edges


def _further_scores(scores, pdf, z_spec):
    """Evaluate the caller's own scores, shape (n,) each."""
    if taken := sorted(scores.keys() & (_DESCRIPTIONS.keys() | {"pit", "delta_z"})):
        msg = f"'scores' must have names of their own; {', '.join(taken)} is taken"
        raise ValueError(msg)
    values = {
        name: np.asarray(function(pdf, z_spec), dtype=float)
        for name, function in scores.items()
    }
    for name, value in values.items():
        if value.shape != (len(pdf),):
            msg = (
                f"the score {name!r} must return one number for each p(z): expected "
                f"shape ({len(pdf)},), got {value.shape}"
            )
            raise ValueError(msg)
    return values


def _statistics(scores, means):
    """Metrics that have a bootstrap error; ``means`` names scores to average."""
    pit = scores["pit"]
    return point_statistics(scores["delta_z"]) | {
        "coverage_68": share_within(pit, 0.68),
        "coverage_95": share_within(pit, 0.95),
        **{name: mean(scores[name]) for name in means},
    }


def _with_errors(scores, means, n_bootstrap, rng):
    """Return all metrics of one row of the table, errors next to each."""
    numbers = _statistics(scores, means)
    if n_bootstrap:
        errors = _bootstrap(scores, means, n_bootstrap, rng)
        pairs = [
            {name: value, f"{name}_err": errors[name]}
            for name, value in numbers.items()
        ]
        numbers = {key: value for pair in pairs for key, value in pair.items()}
    pit = scores["pit"]
    return numbers | {
        "pit_ks": pit_ks(pit),
        "pit_cvm": pit_cvm(pit),
        "pit_ad": pit_ad(pit),
        "pit_kld": pit_kld(pit),
    }


def _bootstrap(scores, means, n_bootstrap, rng):
    """Return the standard deviation of each metric over resampled galaxies."""
    n = len(scores["pit"])
    names = list(_statistics(scores, means))
    if n < 2:
        return dict.fromkeys(names, np.nan)
    drawn = min(n, _RESAMPLE)
    samples = []
    for _ in range(n_bootstrap):
        index = rng.integers(n, size=drawn)
        drawn_scores = {name: values[index] for name, values in scores.items()}
        sample = _statistics(drawn_scores, means)
        samples.append([sample[name] for name in names])
    with np.errstate(invalid="ignore"):  # a log score of minus infinity has no error
        errors = np.std(samples, axis=0) * np.sqrt(drawn / n)
    return dict(zip(names, errors.tolist(), strict=True))


def _table(rows, unit):
    """Put rows together; NaN, "there is none", is masked."""
    table = QTable()
    for name in rows[-1]:
        values = [row.get(name, np.nan) for row in rows]
        description = _DESCRIPTIONS.get(name)
        if name.endswith("_err"):
            description = f"Bootstrap error of {name.removesuffix('_err')}"
        number = isinstance(values[-1], float)
        if number:
            values = np.ma.masked_where(np.isnan(values), values)
        column = MaskedColumn(
            values, description=description, format=".4g" if number else None
        )
        if unit is not None and name.endswith(("_low", "_high")):
            column.unit = unit
        table[name] = column
    return table
