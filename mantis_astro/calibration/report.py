"""`report_calibration`: effect of a recalibration on widths, scores and estimates."""

import numpy as np
from astropy.table import MaskedColumn, QTable

from mantis_astro.binned import as_redshift
from mantis_astro.calibration.recalibrator import META_KEY
from mantis_astro.flags import Flag
from mantis_astro.metrics import object_scores, pit_cvm, pit_ks
from mantis_astro.metrics.density import share_within
from mantis_astro.metrics.point import point_statistics

__all__ = ["report_calibration", "summarize_calibration"]

_LEVELS = (0.50, 0.68, 0.90, 0.95)
_POINTS = (
    "sigma_nmad",
    "outlier_fraction_005",
    "outlier_fraction_015",
    "bias_mean",
    "bias_median",
)
_MEANINGS = {
    "pit_ks": "Kolmogorov-Smirnov distance of cdf(z_spec) from uniform; ideal 0",
    "pit_cvm": "Cramer-von Mises W^2 of cdf(z_spec); chance: below 0.46 in 95 %",
    "coverage_50": "Share of z_spec in the central 50 % interval; ideal 0.50",
    "coverage_68": "Share of z_spec in the central 68 % interval; ideal 0.68",
    "coverage_90": "Share of z_spec in the central 90 % interval; ideal 0.90",
    "coverage_95": "Share of z_spec in the central 95 % interval; ideal 0.95",
    "cde_loss": "Conditional density estimation loss; lower is better",
    "crps": "Mean continuous ranked probability score; lower is better",
    "log_score": "Mean ln p(z_spec), per unit redshift; higher is better",
    "sigma_nmad": "1.4826 median |delta_z - median delta_z|",
    "outlier_fraction_005": "Share with |delta_z| >= 0.05",
    "outlier_fraction_015": "Share with |delta_z| >= 0.15",
    "bias_mean": "Mean of delta_z = (z_phot - z_spec) / (1 + z_spec)",
    "bias_median": "Median of delta_z",
}


def report_calibration(
    before,
    after,
    z_spec,
    *,
    point="median",
    exclude=Flag.NO_DATA,
    n_bootstrap=100,
    rng=0,
):
    """
    Compare p(z) before and after recalibration: widths, scores and point estimates.

    Use galaxies that the recalibrator was not fitted on, or `out_of_fold`.

    Parameters
    ----------
    before, after : RedshiftPDF
        Densities of the same galaxies, shape (n,).
    z_spec : array_like or `~astropy.units.Quantity`
        True redshifts, shape (n,); where NaN or masked, the galaxy is left out.
    point : str, optional
        Point estimate: ``"mean"``, ``"median"``, ``"mode"`` or ``"risk"``.
    exclude : Flag, optional
        Galaxies with any of these bits in ``before.flags`` are left out.
    n_bootstrap : int, optional
        Number of bootstrap samples, at least 2.
    rng : int or `~numpy.random.Generator`, optional
        Seed of the bootstrap.

    Returns
    -------
    `~astropy.table.QTable`
        A row for each metric: ``metric``, ``before``, ``after`` and ``change``, each
        with a bootstrap error, and ``meaning``. The error of ``change`` is that of
        pairs, and so much smaller than those of the two. ``meta`` holds ``n``,
        ``point`` and what the recalibration was.

    Raises
    ------
    ValueError
        If shapes differ, or no galaxy is left.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.calibration import PITRecalibration, report_calibration
    >>> rng = np.random.default_rng(1)
    >>> centre = rng.uniform(0.3, 0.7, 4000)
    >>> z_spec = rng.normal(centre, 0.04)
    >>> pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 201), centre, 0.02)
    >>> fit, test = slice(0, 2000), slice(2000, 4000)
    >>> after = PITRecalibration().fit(pdf[fit], z_spec[fit]).transform(pdf[test])
    >>> table = report_calibration(pdf[test], after, z_spec[test])
    >>> bool(table["after"][0] < table["before"][0])  # the first is pit_ks
    True
    """
    if before.shape != after.shape:
        msg = (
            "'before' and 'after' must have one shape, got "
            f"{before.shape} and {after.shape}"
        )
        raise ValueError(msg)
    if n_bootstrap < 2:
        msg = f"'n_bootstrap' must be at least 2, got {n_bootstrap}"
        raise ValueError(msg)
    scores = [_scores(pdf, z_spec, point) for pdf in (before, after)]
    used = ~np.isnan(scores[0]["z_spec"]) & (
        np.asarray(before.flags) & int(exclude) == 0
    )
    n, n_all = int(used.sum()), len(used)
    if not n:
        msg = f"of {n_all} galaxies none has both a 'z_spec' and no excluded flag"
        raise ValueError(msg)
    scores = [{name: v[used] for name, v in score.items()} for score in scores]
    values = [_statistics(score) for score in scores]
    rng = np.random.default_rng(rng)
    samples = []  # (n_bootstrap, 2, n_metric)
    for _ in range(n_bootstrap):
        index = rng.integers(n, size=n)
        drawn = [{name: v[index] for name, v in score.items()} for score in scores]
        samples.append([list(_statistics(score).values()) for score in drawn])
    samples = np.array(samples)
    numbers = np.array([list(value.values()) for value in values])
    with np.errstate(invalid="ignore"):  # a log score of minus infinity has no error
        errors = samples.std(axis=0)
        change = numbers[1] - numbers[0]
        change_err = (samples[:, 1] - samples[:, 0]).std(axis=0)
    table = QTable({"metric": list(values[0])})
    columns = (
        ("before", numbers[0], errors[0]),
        ("after", numbers[1], errors[1]),
        ("change", change, change_err),
    )
    for name, value, error in columns:
        for title, column in ((name, value), (f"{name}_err", error)):
            table[title] = MaskedColumn(
                np.ma.masked_where(np.isnan(column), column), format=".4g"
            )
    table["meaning"] = [_MEANINGS[name] for name in values[0]]
    table.meta.update(n=n, point=point, n_bootstrap=n_bootstrap)
    table.meta["recalibration"] = str(after.meta.get(META_KEY, "none"))
    return table


def summarize_calibration(table):
    """
    Describe a table of `report_calibration` in words.

    Parameters
    ----------
    table : `~astropy.table.Table`
        As `report_calibration` returns it.

    Returns
    -------
    str
        A line for each metric: before, after, and what it means.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.calibration import report_calibration, summarize_calibration
    >>> pdf = RedshiftPDF([0.0, 0.2, 0.4], np.full((3, 2), 0.5))
    >>> table = report_calibration(pdf, pdf, [0.1, 0.2, 0.3])
    >>> print(summarize_calibration(table))
    3 galaxies; point estimate: median of p(z)
      recalibration: none
                                   before                after
      pit_ks               0.25   +- ...
    ...
    """
    meta = table.meta
    lines = [
        f"{meta['n']:,} galaxies; point estimate: {meta['point']} of p(z)",
        f"  recalibration: {meta['recalibration']}",
        f"  {'':20s} {'before':>22s} {'after':>22s}",
    ]
    for row in table:
        sides = " ".join(
            f"{row[side]:>10.4g} {_error(row[f'{side}_err'])}"
            for side in ("before", "after")
        )
        lines.append(f"  {row['metric']:20s} {sides}  {row['meaning']}")
    return "\n".join(lines)


def _error(error):
    return f"{'':11}" if np.ma.is_masked(error) else f"+- {error:<8.2g}"


def _scores(pdf, z_spec, point):
    table = object_scores(pdf, z_spec, point=point)
    return {name: as_redshift(table[name]) for name in table.colnames}


def _statistics(scores):
    pit = scores["pit"]
    points = point_statistics(scores["delta_z"])
    return {
        "pit_ks": pit_ks(pit),
        "pit_cvm": pit_cvm(pit),
        **{
            f"coverage_{level:.0%}".rstrip("%"): share_within(pit, level)
            for level in _LEVELS
        },
        "cde_loss": float(np.mean(scores["cde_loss"])),
        "crps": float(np.mean(scores["crps"])),
        "log_score": float(np.mean(scores["log_score"])),
        **{name: points[name] for name in _POINTS},
    }
