"""`ShiftReport`: comparison of a sample with a reference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from astropy.table import Table

from mantis_astro.shift.changes import Change, find_changes
from mantis_astro.shift.domain_classifier import KernelRidge, domain_auc
from mantis_astro.shift.drivers import rank_features
from mantis_astro.shift.features import (
    NormalScores,
    RobustScores,
    as_features,
    check_same,
    drop_duplicates,
)
from mantis_astro.shift.moments import moment_tests, outlier_test
from mantis_astro.shift.permutations import (
    DomainTest,
    combined_p_value,
    deal_folds,
    relabel,
)
from mantis_astro.shift.reference import ReferenceStatistics
from mantis_astro.shift.support import OOD_QUANTILE
from mantis_astro.shift.two_sample import two_sample_tests
from mantis_astro.shift.verdict import LEVEL, grade, write_verdict
from mantis_astro.shift.weights import (
    DensityRatio,
    effective_sample_size,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["ShiftReport"]

_FEWEST = 5
_SHOWN = 10  # lines of the comparison of inputs

_TESTS = (
    "domain",
    "mmd",
    "energy_distance",
    "single_feature",
    "hotelling",
    "covariance",
    "mahalanobis",
    "outliers",
)

_DESCRIPTIONS = {
    "domain_auc": "AUC of a classifier that tells them from the reference; 0.5: chance",
    "mmd": "Squared maximum mean discrepancy, Gaussian kernel of the median distance",
    "energy_distance": "Energy distance of normal scores",
    "single_feature": "Largest difference of one feature, in standard errors",
    "hotelling": "Hotelling's T^2 of the means, with a ridge",
    "covariance": "Sum of squared differences of covariances, in standard errors",
    "mahalanobis": "Difference of distances from the middle, in standard errors",
    "outliers": "Difference of the shares of outliers, in standard errors",
    "share_ood": "Share of targets with ood_score above 1, as 1 % of the reference",
    "effective_sample_size": "Of the reference, weighted to look like the targets",
}


@dataclass(frozen=True, eq=False, repr=False)
class ShiftReport:
    """
    Comparison of a target sample with a reference, made by `compare`.

    Attributes
    ----------
    domain : DomainTest
        AUC of a classifier that tells targets from reference objects, cross-validated;
        0.5 if it cannot, 1 if it always can.
    mmd, energy_distance : DomainTest
        Two-sample statistics, see `mantis_astro.shift.mmd` and
        `mantis_astro.shift.energy_distance`, of normal scores.
    single_feature, hotelling, covariance, mahalanobis, outliers : DomainTest
        Tests of means, variances and tails. They see best, in this order: one feature
        (or where it is missing) shifted or more scattered; several shifted together;
        other correlations, or a clump; noise; a few wild objects. See
        :ref:`user-shift`.
    drivers : `~astropy.table.Table`
        The features, the most different one first; see `rank_features`.
    ood_score : `~numpy.ndarray`
        How little the reference supports a redshift of each target, shape
        (n_target,): 99 % of the reference score below 1. NaN where a feature is
        missing. See `ReferenceStatistics.ood_score`.
    weights : `~numpy.ndarray`
        Ratio of densities, target over reference, at each reference object; mean 1,
        shape (n_reference,). Use them as ``sample_weight``.
    reference : ReferenceStatistics
        What the scores are measured against.
    names : tuple of str
        Names of the features.
    n_duplicate : int
        Rows that the tests left out, because an equal one was there.
    level : float
        False alarm rate of the verdict.
    weigher : DensityRatio
        What `weigh` asks.
    compared : tuple of `~numpy.ndarray`
        Rows of the reference and of the targets that the tests used, shapes (n, d) and
        (m, d), and these targets as they were scored.
    inputs : `~astropy.table.Table` or None
        What the targets' measurements are like beside those that a model learnt from,
        band by band, the most different first, see `PhotoZ.shift_report`; None where
        the model does not know them.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.shift import ShiftReport
    >>> rng = np.random.default_rng(0)
    >>> bright, faint = rng.normal(size=(400, 3)), rng.normal(size=(300, 3)) + [1, 0, 0]
    >>> report = ShiftReport.compare(bright, faint, rng=1)
    >>> report.severity
    'clear'
    >>> print(report.verdict)
    Clear shift: the 300 targets are not drawn from the reference (AUC 0.77, where
    0.5 is chance; p = 0.002, alarm at 0.01). ...
    """

    domain: DomainTest
    mmd: DomainTest
    energy_distance: DomainTest
    single_feature: DomainTest
    hotelling: DomainTest
    covariance: DomainTest
    mahalanobis: DomainTest
    outliers: DomainTest
    drivers: Table
    ood_score: np.ndarray
    weights: np.ndarray
    reference: ReferenceStatistics
    names: tuple
    n_duplicate: int
    level: float
    weigher: DensityRatio
    compared: tuple
    inputs: Table | None = None

    @classmethod
    def compare(
        cls,
        reference: ArrayLike | Table | ReferenceStatistics,
        target: ArrayLike | Table,
        *,
        rng: np.random.Generator | int,
        z_spec: ArrayLike | None = None,
        n_permutation: int = 500,
        level: float = LEVEL,
        max_objects: int = 1000,
        clip: float = 20.0,
        distance: str = "neighbours",
    ) -> Self:
        """
        Compare a target sample with a reference.

        Parameters
        ----------
        reference : array_like, `~astropy.table.Table` or ReferenceStatistics
            Features of the reference, shape (n_reference, d); or what travels with a
            model.
        target : array_like or `~astropy.table.Table`
            Features of the targets, shape (n_target, d), made in the same way. At
            least five objects of each. Missing values (NaN, masked) are compared
            too: where a feature is missing is itself a feature.
        rng : int or `~numpy.random.Generator`
            Draws subsamples, folds and permutations.
        z_spec : array_like, optional
            Redshifts of the reference, shape (n_reference,): ``ood_score`` then sees,
            too, where its neighbours disagree about the redshift. Not used if the
            reference is what travels with a model, which has its own.
        n_permutation : int, optional
            Number of permutations behind each p-value.
        level : float, optional
            False alarm rate of the verdict.
        max_objects : int, optional
            Of larger samples as many objects are drawn for the tests. Their cost grows
            with the cube.
        clip : float, optional
            Largest ratio of densities in the weights, and inverse of the smallest.
        distance : str, optional
            What scores are made from, see `ReferenceStatistics.from_features`; not
            used if the reference is one.

        Returns
        -------
        ShiftReport
            The report.

        Raises
        ------
        ValueError
            If there are too few objects or permutations, or the features are not the
            same (`~mantis_astro.exceptions.InputSpecError`).
        """
        fewest = int(np.ceil(1 / level - 1e-9)) - 1
        if n_permutation < fewest:
            msg = (
                f"'n_permutation' must be at least {fewest} for alarms at 'level' "
                f"{level:g}, got {n_permutation}"
            )
            raise ValueError(msg)
        rng = np.random.default_rng(rng)
        sides = _prepare(reference, target, rng, z_spec=z_spec, distance=distance)
        x, y = sides.reference, sides.target
        n_duplicate, (x_rows, y_rows) = _choose(x, y, rng, max_objects)
        pooled = np.vstack([x[x_rows], y[y_rows]])
        is_target = np.arange(len(pooled)) >= len(x_rows)
        to_scores = NormalScores(pooled)
        scores = to_scores(pooled)
        model = KernelRidge(scores)
        folds = deal_folds(is_target, model.groups, rng)
        labels = relabel(is_target, folds, rng, n_permutation)
        domain, answers = domain_auc(model, labels, folds)
        weigher = DensityRatio(to_scores, model, answers, is_target, clip)
        return cls(
            domain=domain,
            **two_sample_tests(scores, labels),
            **moment_tests(scores, labels),
            outliers=outlier_test(np.nan_to_num(RobustScores(pooled)(pooled)), labels),
            drivers=rank_features(x, y, sides.names),
            ood_score=sides.ood_score,
            weights=weigher(x, rows=x_rows, answers=answers[~is_target]),
            reference=sides.statistics,
            names=sides.names,
            n_duplicate=n_duplicate,
            level=level,
            weigher=weigher,
            compared=(x[x_rows], y[y_rows], sides.scored[y_rows]),
        )

    def __repr__(self):
        return (
            f"<{type(self).__name__} of {self.n_target} targets against "
            f"{self.n_reference}: {self.severity} shift>"
        )

    def __str__(self):
        table = "\n".join(self.to_table().pformat(show_unit=False, max_width=-1))
        said = f"{self.verdict}\n\n{table}"
        if self.inputs is None:
            return said
        inputs = "\n".join(self.inputs[:_SHOWN].pformat(max_width=-1))
        return f"{said}\n\n{inputs}"

    @property
    def n_reference(self) -> int:
        """Number of reference objects that were compared."""
        return len(self.weights)

    @property
    def n_target(self) -> int:
        """Number of targets."""
        return len(self.ood_score)

    @cached_property
    def p_value(self) -> float:
        """P-value of all tests together, by permutations of the labels."""
        return combined_p_value(self.tests.values())

    @property
    def tests(self) -> dict[str, DomainTest]:
        """The tests behind `p_value`, a dict of str to `DomainTest`."""
        return {name: getattr(self, name) for name in _TESTS}

    @property
    def is_shifted(self) -> bool:
        """Whether a shift was found at the level."""
        return self.p_value <= self.level

    @property
    def severity(self) -> str:
        """
        One of ``"none"``, ``"slight"``, ``"clear"`` and ``"strong"``.

        By the AUC, and by the share of targets that are outliers, in a clump, or lack
        values; see `severity`. Less scatter within the reference is at most clear.
        """
        return grade(self)

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """
        Kinds of change that explain the shift, a tuple of `Change`.

        The mean, the scatter, outliers, a clump, missing values: the most important
        first. Empty where no shift was found, or no simple change explains it.
        """
        if not self.is_shifted:
            return ()
        reference, target, _ = self.compared
        return tuple(find_changes(reference, target, self.names))

    @cached_property
    def expected_error(self) -> tuple[float, float] | None:
        """
        Mean errors to expect of redshifts, of the reference and of the targets.

        See `ReferenceStatistics.expected_error`, of objects left out in turn, and of
        the targets that the tests used; None if the reference has no redshifts.
        """
        if self.reference.support.error is None:
            return None
        own = self.reference.own_expected_error
        theirs = self.reference.expected_error(self.compared[2])
        return float(np.mean(own)), float(np.nanmean(theirs))

    @property
    def verdict(self) -> str:
        """Result and recommendation, in a few sentences."""
        return write_verdict(self)

    @property
    def share_ood(self) -> float:
        """Share of the targets with ``ood_score`` above 1."""
        known = np.isfinite(self.ood_score)
        return float(np.mean(self.ood_score[known] > 1)) if known.any() else np.nan

    @property
    def effective_sample_size(self) -> float:
        """Number of unweighted objects that the weighted reference is worth."""
        return effective_sample_size(self.weights)

    def weigh(self, features: ArrayLike | Table) -> np.ndarray:
        """
        Weigh a labelled sample so that it looks like the targets.

        Parameters
        ----------
        features : array_like or `~astropy.table.Table`
            Features of objects drawn as the reference is, shape (n, d).

        Returns
        -------
        `~numpy.ndarray`
            Ratio of densities, clipped, with mean 1; shape (n,).

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if these are other features.
        """
        values, names = as_features(features)
        check_same(names, self.names)
        return self.weigher(values)

    def to_table(self) -> Table:
        """
        Return the measured statistics as a table.

        Returns
        -------
        `~astropy.table.Table`
            A row for each statistic: its value, p-value, what it is without a shift
            and what it means. ``meta`` holds the verdict and its thresholds.
        """
        rows = [
            _test_row("domain_auc", self.domain),
            *(_test_row(name, self.tests[name]) for name in _TESTS[1:]),
            self._share_row(),
            (
                "effective_sample_size",
                self.effective_sample_size,
                np.nan,
                float(self.n_reference),
            ),
        ]
        table = Table(
            rows=[(*row, _DESCRIPTIONS[row[0]]) for row in rows],
            names=("quantity", "value", "p_value", "without_shift", "description"),
        )
        table["p_value"] = np.ma.masked_invalid(table["p_value"])
        for name in ("value", "without_shift"):
            table[name].info.format = ".4g"
        table["p_value"].info.format = ".2g"
        table.meta.update(
            verdict=self.verdict,
            severity=self.severity,
            level=self.level,
            n_reference=self.n_reference,
            n_target=self.n_target,
            n_duplicate=self.n_duplicate,
            p_value=self.p_value,
            n_permutation=len(self.domain.null),
        )
        return table

    def _share_row(self):
        from scipy.stats import binomtest

        known = np.isfinite(self.ood_score)
        n_out, n = np.count_nonzero(self.ood_score[known] > 1), np.count_nonzero(known)
        expected = 1 - OOD_QUANTILE
        p_value = np.nan
        if n:
            p_value = binomtest(n_out, n, expected, alternative="greater").pvalue
        return "share_ood", self.share_ood, p_value, expected


class _Sides(NamedTuple):
    statistics: ReferenceStatistics
    reference: np.ndarray
    target: np.ndarray
    names: tuple
    ood_score: np.ndarray
    scored: np.ndarray  # the targets, completed as the statistics are


def _prepare(reference, target, rng, *, z_spec, distance):
    """Bring both sides to matrices of the same features, and score the targets."""
    y, target_names = as_features(target, "target")
    if len(y) < _FEWEST:
        msg = f"'target' must have at least {_FEWEST} objects, got {len(y)}"
        raise ValueError(msg)
    if isinstance(reference, ReferenceStatistics):
        score = reference.ood_score(target)
        x, y = reference.sample_features, reference.rounded(target)
        return _Sides(reference, x, y, reference.names, score, y)
    x, names = as_features(reference, "reference")
    check_same(target_names, names)
    x_full, y_full = _completed(x, y)
    statistics = ReferenceStatistics.from_features(
        x_full, rng=rng, z_spec=z_spec, distance=distance
    )
    return _Sides(statistics, x, y, names, statistics.ood_score(y_full), y_full)


def _completed(x, y):
    """
    Where the reference lacks values: its medians, and columns that say where.

    A target that lacks what all of the reference has cannot be scored, and stays NaN.
    """
    columns = np.flatnonzero(np.isnan(x).any(0))
    known = [c[~np.isnan(c)] for c in x[:, columns].T]
    middle = [np.median(c) if c.size else 0.0 for c in known]
    completed = []
    for matrix in (x, y):
        absent = np.isnan(matrix[:, columns])
        filled = matrix.copy()
        filled[:, columns] = np.where(absent, middle, matrix[:, columns])
        completed.append(np.hstack([filled, absent]))
    return completed


def _choose(x, y, rng, most):
    """Rows of each side that the tests use, and how many are duplicates."""
    rows = [drop_duplicates(x), drop_duplicates(y)]
    n_duplicate = len(x) + len(y) - len(rows[0]) - len(rows[1])
    for name, own in zip(("reference", "target"), rows, strict=True):
        if len(own) < _FEWEST:
            msg = f"'{name}' must have at least {_FEWEST} different objects, got "
            msg += f"{len(own)}"
            raise ValueError(msg)
    chosen = [
        np.sort(rng.choice(own, most, replace=False)) if len(own) > most else own
        for own in rows
    ]
    return n_duplicate, chosen


def _test_row(name, test):
    return name, test.statistic, test.p_value, float(np.median(test.null))
