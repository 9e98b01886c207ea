"""Averaging over redshift for codes that only fit at a fixed one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mantis_astro.exceptions import FailedFitWarning, FewDrawsWarning, NoDataWarning
from mantis_astro.flags import Flag
from mantis_astro.priors.importance import ImportanceSampler, effective_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["MarginalizedFit", "marginalize"]


class _Density(Protocol):
    """Methods of a p(z) that `marginalize` uses."""

    def ppf(self, q: ArrayLike) -> float | np.ndarray: ...

    def pdf(self, z: ArrayLike) -> float | np.ndarray: ...


# Fits, in units of the first n, after which no more are added by default.
_MOST_FITS = 5


@dataclass(frozen=True)
class MarginalizedFit:
    """
    Samples of fits at many redshifts, pooled.

    Attributes
    ----------
    z : ndarray
        Redshifts of the fits, increasing, shape ``(n,)``.
    weights : ndarray
        Weight of each fit, shape ``(n,)``, sum 1.
    samples : ndarray
        All samples, shape ``(n_sample,)`` or ``(n_sample, n_parameter)``.
    z_samples : ndarray
        Redshift of each sample, shape ``(n_sample,)``.
    sample_weights : ndarray
        Weight of each sample, shape ``(n_sample,)``, sum 1.
    failures : tuple of (float, Exception)
        Redshift and error of each fit that failed, which is in none of the above.
    """

    z: np.ndarray
    weights: np.ndarray
    samples: np.ndarray
    z_samples: np.ndarray
    sample_weights: np.ndarray
    failures: tuple[tuple[float, Exception], ...] = ()

    @property
    def effective_number(self):
        """Number of fits of equal weight that would be as good: 1 if one has it all."""
        return effective_number(self.weights)

    def mean(self):
        """
        Mean of each parameter.

        Returns
        -------
        float or ndarray
            Shape ``(n_parameter,)``.
        """
        return np.average(self.samples, axis=0, weights=self.sample_weights)

    def std(self):
        """
        Return the standard deviation of each parameter.

        Returns
        -------
        float or ndarray
            Shape ``(n_parameter,)``; within the fits and between them.
        """
        offset = (self.samples - self.mean()) ** 2
        return np.sqrt(np.average(offset, axis=0, weights=self.sample_weights))

    def quantile(self, q):
        """
        Quantiles of each parameter.

        Parameters
        ----------
        q : float or array_like
            Probabilities from 0 to 1.

        Returns
        -------
        float or ndarray
            Shape ``(n_q, n_parameter)``, without the axes that ``q`` or the samples do
            not have.
        """
        method = "inverted_cdf"  # the only one of numpy's that takes weights
        weights = self.sample_weights
        return np.quantile(self.samples, q, axis=0, weights=weights, method=method)

    def resample(self, n, rng):
        """
        Draw samples of equal weight.

        Parameters
        ----------
        n : int
            Number of draws.
        rng : `numpy.random.Generator` or int
            Source of randomness, or a seed.

        Returns
        -------
        ndarray
            Shape ``(n,)`` or ``(n, n_parameter)``.
        """
        chosen = np.random.default_rng(rng).choice(
            len(self.samples), n, p=self.sample_weights
        )
        return self.samples[chosen]


def marginalize(
    fit_function: Callable,
    pdf: _Density,
    n: int = 20,
    *,
    rng: np.random.Generator | int,
    n_max: int | None = None,
) -> MarginalizedFit:
    """
    Run a fit at redshifts drawn from p(z), and pool the samples.

    For codes that take a fixed redshift only (Blast, SBI++, CIGALE). The draws are
    stratified, one from each n-th of the probability: 20 to 50 of them do. If the
    evidences leave the weight to few of them, more are drawn where the weight is.

    Parameters
    ----------
    fit_function : callable
        Takes a redshift (float). Returns posterior samples, shape ``(n_sample,)`` or
        ``(n_sample, n_parameter)``; or a tuple of these and the natural logarithm of
        the evidence, ``-inf`` where the data exclude the redshift (the samples are
        not looked at then).
    pdf : RedshiftPDF or RedshiftPrior
        Of one galaxy; or another density with the methods ``ppf`` and ``pdf``.
    n : int, optional
        Number of fits at first, and twice the effective number that is wanted.
    rng : `numpy.random.Generator` or int
        Source of randomness, or a seed.
    n_max : int, optional
        Largest number of fits, by default ``5 * n``; ``n`` to add none.

    Returns
    -------
    MarginalizedFit
        Without evidences every fit weighs the same: right where p(z) is the last word
        on redshift, as when the same data made it. With evidences a fit weighs in
        proportion to its own, which makes p(z) a prior.

    Raises
    ------
    ValueError
        If ``n`` is less than 1, ``n_max`` less than ``n``, ``pdf`` is of several
        galaxies, only some fits return evidences, or all evidences are 0.
    Exception
        If every fit fails: that of the first.

    Warns
    -----
    FailedFitWarning
        If some fits raise an error, or return no samples or values that are not finite:
        the result is of the others, see ``failures``.
    FewDrawsWarning
        If the effective number of fits is below ``n / 2`` after ``n_max`` of them: few
        decide, p(z) and the data disagree.
    NoDataWarning
        If p(z) is flagged ``NO_DATA``: redshifts are then drawn from a flat density.

    Notes
    -----
    With evidences this is adaptive multiple importance sampling [1]_: a later round
    draws from the posterior as the fits so far know it, a histogram with a bin between
    neighbouring fits, and a tenth evenly over the support of p(z). All fits are weighed
    with the mixture of all rounds, so that the result stays that of p(z) times
    evidence.

    References
    ----------
    .. [1] Cornuet, Marin, Mira & Robert 2012, Scand. J. Stat. 39, 798

    Examples
    --------
    A mass that follows from the redshift, with an error of its own:

    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF, marginalize
    >>> rng = np.random.default_rng(1)
    >>> pdf = RedshiftPDF([0.4, 0.6], [1.0])
    >>> def fit(z):
    ...     return rng.normal(10 + 2 * z, 0.1, 500)
    >>> fits = marginalize(fit, pdf, rng=rng)
    >>> print(f"{fits.mean():.2f} +- {fits.std():.2f}")  # sqrt(0.1**2 + 0.4**2 / 12)
    11.00 +- 0.15
    """
    n_max = _MOST_FITS * n if n_max is None else n_max
    if n < 1:
        msg = f"'n' must be at least 1, got {n}"
        raise ValueError(msg)
    if n_max < n:
        msg = f"'n_max' must be at least 'n' = {n}, got {n_max}"
        raise ValueError(msg)
    if shape := getattr(pdf, "shape", ()):
        msg = f"'pdf' must be of one galaxy, got shape {shape}: take pdf[0]"
        raise ValueError(msg)
    if not _has_data(pdf):
        msg = (
            "this p(z) was made of no data (flag NO_DATA): redshifts are drawn from a "
            "flat density"
        )
        warnings.warn(msg, NoDataWarning, stacklevel=2)
    sampler = ImportanceSampler(pdf, np.random.default_rng(rng))
    fits = _Fits(fit_function)
    fits.run(sampler.first(n))
    wanted = n / 2
    weights = fits.weigh(sampler)
    while effective_number(weights) < wanted and fits.n_tried < n_max:
        more = min(max(n // 2, 1), n_max - fits.n_tried)
        fits.run(sampler.next(more, np.array(fits.z), weights))
        weights = fits.weigh(sampler)
    fits.warn_of_failures(stacklevel=3)
    result = fits.pool(weights)
    if result.effective_number < wanted:
        msg = (
            f"the effective number of fits is {result.effective_number:.1f} of "
            f"{len(fits.z)}, below {wanted:g}: the weight is at z = "
            f"{result.z[result.weights.argmax()]:.4f}, where p(z) has few draws; "
            f"p(z) and the data disagree, or n_max={n_max} is too few"
        )
        warnings.warn(msg, FewDrawsWarning, stacklevel=2)
    return result


def _has_data(pdf):
    """Return whether a p(z), or the prior made of one, is of data."""
    return (
        getattr(pdf, "has_data", True) and not getattr(pdf, "flags", 0) & Flag.NO_DATA
    )


class _Fits:
    """All fits so far: redshifts and answers of those that worked, errors of others."""

    def __init__(self, fit_function):
        self._fit_function = fit_function
        self.z, self._samples, self._ln_evidence, self._failures = [], [], [], []

    @property
    def n_tried(self):
        return len(self.z) + len(self._failures)

    def run(self, z):
        """Run fits at some redshifts; raise the first error if none has worked."""
        for x in z.tolist():
            try:
                samples, ln_evidence = _run(self._fit_function, x)
                self._check_like_others(samples, x)
            except Exception as error:  # noqa: BLE001  whatever a sampler raises
                self._failures.append((x, error))
                continue
            self.z.append(x)
            self._samples.append(samples)
            self._ln_evidence.append(ln_evidence)
        if not self.z:
            raise self._failures[0][1]

    def _check_like_others(self, samples, z):
        """Raise if there are other parameters than in the fits before."""
        before = next((one for one in self._samples if one is not None), samples)
        if samples is not None and samples.shape[1:] != before.shape[1:]:
            msg = (
                f"'fit_function' returned samples of shape {samples.shape} at z = "
                f"{z:.4f}, and of shape {before.shape} before"
            )
            raise ValueError(msg)

    def weigh(self, sampler):
        """Weight of each fit, sum 1; all 0 where all evidences are."""
        known = [value is not None for value in self._ln_evidence]
        if not any(known):
            return np.full(len(known), 1 / len(known))
        if not all(known):
            msg = (
                f"'fit_function' returned an evidence at {sum(known)} of {len(known)} "
                "redshifts: it must at all or none"
            )
            raise ValueError(msg)
        return sampler.weigh(np.array(self.z), np.array(self._ln_evidence, float))

    def warn_of_failures(self, stacklevel):
        if not self._failures:
            return
        where, first = self._failures[0]
        msg = (
            f"{len(self._failures)} of {self.n_tried} fits failed, the first at z = "
            f"{where:.4f} ({type(first).__name__}: {first}); the result is of the "
            "others"
        )
        warnings.warn(msg, FailedFitWarning, stacklevel=stacklevel)

    def pool(self, weights):
        """Put the samples together, in the order of redshift."""
        if not weights.any():
            msg = (
                f"all {len(weights)} fits returned an evidence of 0 (its logarithm is "
                f"-inf), at z = {min(self.z):.4f} to {max(self.z):.4f}: the data "
                "exclude all of p(z), or the fit is wrong"
            )
            raise ValueError(msg)
        order = np.argsort(self.z, kind="stable")
        z, weights = np.array(self.z)[order], weights[order]
        used = [self._samples[i] for i in order if self._samples[i] is not None]
        sizes = np.array([len(part) for part in used])
        has_samples = [self._samples[i] is not None for i in order]
        return MarginalizedFit(
            z=z,
            weights=weights,
            samples=np.concatenate(used),
            z_samples=np.repeat(z[has_samples], sizes),
            sample_weights=np.repeat(weights[has_samples] / sizes, sizes),
            failures=tuple(self._failures),
        )


def _run(fit_function, z):
    """Run one fit: its samples, checked, and its evidence or None."""
    answer = fit_function(z)
    samples, ln_evidence = answer if isinstance(answer, tuple) else (answer, None)
    if ln_evidence is not None:
        ln_evidence = np.asarray(ln_evidence, dtype=float).item()
        if ln_evidence == -np.inf:
            return None, ln_evidence
    samples = np.asarray(samples, dtype=float)
    if samples.ndim not in {1, 2} or not len(samples):
        msg = (
            "'fit_function' must return samples of shape (n_sample,) or "
            f"(n_sample, n_parameter), got shape {samples.shape} at z = {z:.4f}"
        )
        raise ValueError(msg)
    if not np.isfinite(samples).all() or not np.isfinite(ln_evidence or 0):
        msg = f"'fit_function' returned values that are not finite at z = {z:.4f}"
        raise ValueError(msg)
    return samples, ln_evidence
