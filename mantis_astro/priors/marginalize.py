"""Averaging over redshift for codes that only fit at a fixed one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mantis_astro import binned
from mantis_astro.exceptions import FailedFitWarning, NoDataWarning
from mantis_astro.flags import Flag

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["MarginalizedFit", "marginalize"]


class _Density(Protocol):
    """What `marginalize` asks of a p(z)."""

    def ppf(self, q: ArrayLike) -> float | np.ndarray: ...


@dataclass(frozen=True)
class MarginalizedFit:
    """
    Samples of fits at many redshifts, pooled.

    Attributes
    ----------
    z : ndarray
        Redshifts of the fits, shape ``(n,)``.
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
) -> MarginalizedFit:
    """
    Run a fit at redshifts drawn from p(z), and pool what it returns.

    For codes that take a fixed redshift only (Blast, SBI++, CIGALE). The draws are
    stratified, one from each n-th of the probability: 20 to 50 of them do.

    Parameters
    ----------
    fit_function : callable
        Takes a redshift (float). Returns posterior samples, shape ``(n_sample,)`` or
        ``(n_sample, n_parameter)``; or a tuple of these and the natural logarithm of
        the evidence.
    pdf : RedshiftPDF or RedshiftPrior
        Of one galaxy; or another density with a method ``ppf``.
    n : int, optional
        Number of fits.
    rng : `numpy.random.Generator` or int
        Source of randomness, or a seed.

    Returns
    -------
    MarginalizedFit
        Without evidences every fit weighs the same: right where p(z) is the last word
        on redshift, as when the same data made it. With evidences a fit weighs in
        proportion to its own, which makes p(z) a prior.

    Raises
    ------
    ValueError
        If ``n`` is less than 1, ``pdf`` is of several galaxies, or only some fits
        return evidences.
    Exception
        If every fit fails: that of the first.

    Warns
    -----
    FailedFitWarning
        If some fits raise an error, or return no samples or values that are not finite:
        the result is of the others, see ``failures``.
    NoDataWarning
        If p(z) is flagged ``NO_DATA``: redshifts are then drawn from a flat density.

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
    if n < 1:
        msg = f"'n' must be at least 1, got {n}"
        raise ValueError(msg)
    if shape := getattr(pdf, "shape", ()):
        msg = f"'pdf' must be of one galaxy, got shape {shape}: take pdf[0]"
        raise ValueError(msg)
    u = (np.arange(n) + np.random.default_rng(rng).random(n)) / n
    z = binned.as_redshift(pdf.ppf(u))
    if not _has_data(pdf):
        msg = (
            "this p(z) was made of no data (flag NO_DATA): redshifts are drawn from a "
            "flat density"
        )
        warnings.warn(msg, NoDataWarning, stacklevel=2)
    z, answers, failures = _run_all(fit_function, z)
    samples, ln_evidence = zip(*answers, strict=True)
    weights = _weights(ln_evidence)
    sizes = [len(part) for part in samples]
    return MarginalizedFit(
        failures=failures,
        z=z,
        weights=weights,
        samples=np.concatenate(samples),
        z_samples=np.repeat(z, sizes),
        sample_weights=np.repeat(weights / sizes, sizes),
    )


def _has_data(pdf):
    """Whether a p(z), or the prior made of one, says anything."""
    return (
        getattr(pdf, "has_data", True) and not getattr(pdf, "flags", 0) & Flag.NO_DATA
    )


def _run_all(fit_function, z):
    """Run all fits: redshifts and answers of those that work, errors of the others."""
    worked, answers, failures = [], [], []
    for x in z.tolist():
        try:
            answers.append(_run(fit_function, x))
            worked.append(x)
        except Exception as error:  # noqa: BLE001  whatever a sampler raises
            failures.append((x, error))
    if not answers:
        raise failures[0][1]
    if failures:
        where, first = failures[0]
        msg = (
            f"{len(failures)} of {len(z)} fits failed, the first at z = {where:.4f} "
            f"({type(first).__name__}: {first}); the result is of the others"
        )
        warnings.warn(msg, FailedFitWarning, stacklevel=3)
    return np.array(worked), answers, tuple(failures)


def _run(fit_function, z):
    """Run one fit: its samples, checked, and its evidence or None."""
    answer = fit_function(z)
    samples, ln_evidence = answer if isinstance(answer, tuple) else (answer, None)
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


def _weights(ln_evidence):
    known = [value is not None for value in ln_evidence]
    if not any(known):
        return np.full(len(known), 1 / len(known))
    if not all(known):
        msg = (
            f"'fit_function' returned an evidence at {sum(known)} of {len(known)} "
            "redshifts: it must at all or none"
        )
        raise ValueError(msg)
    weights = np.exp(np.array(ln_evidence, dtype=float) - max(ln_evidence))
    return weights / weights.sum()
