"""Adaptive importance sampling of one redshift."""

import numpy as np

from mantis_astro import binned
from mantis_astro.priors.density import TabulatedDensity

__all__ = ["ImportanceSampler", "effective_number"]

_EVENLY = 0.1  # of a later round: drawn evenly over the support, for a peak not seen
_END = 1e-12  # probability beyond the ends of a density that has none


def effective_number(weights):
    """
    Effective number of weighted draws.

    Parameters
    ----------
    weights : ndarray
        Shape ``(n,)``, sum 1, or all 0.

    Returns
    -------
    float
        From 1 to n (Kish 1965); 0 if all weights are 0.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.priors.importance import effective_number
    >>> effective_number(np.array([0.5, 0.5, 0.0]))
    2.0
    """
    total = np.sum(weights**2)
    return float(1 / total) if total else 0.0


class ImportanceSampler:
    """
    Rounds of stratified draws, first from a density, then from the weighted draws.

    Parameters
    ----------
    density : object
        With the methods ``ppf`` and, for later rounds, ``pdf``.
    rng : `numpy.random.Generator`
        Source of randomness.
    """

    def __init__(self, density, rng):
        self._density, self._rng = density, rng
        self._n_first, self._later = 0, []  # pairs of number and proposal

    def first(self, n):
        """
        Draw from the density itself.

        Parameters
        ----------
        n : int
            Number of draws.

        Returns
        -------
        ndarray
            One from each n-th of the probability, increasing, shape ``(n,)``.
        """
        self._n_first = n
        return binned.as_redshift(self._density.ppf(self._strata(n)))

    def next(self, n, z, weights):
        """
        Draw from a histogram of the weights.

        Parameters
        ----------
        n : int
            Number of draws.
        z : ndarray
            Redshifts of all draws before, shape ``(n_before,)``.
        weights : ndarray
            What `weigh` gave for them.

        Returns
        -------
        ndarray
            Increasing, shape ``(n,)``.
        """
        proposal = self._proposal(z, weights)
        self._later.append((n, proposal))
        return proposal.ppf(self._strata(n))

    def weigh(self, z, log_likelihood):
        """
        Weigh draws of all rounds.

        Parameters
        ----------
        z : ndarray
            Redshifts, shape ``(n,)``.
        log_likelihood : ndarray
            Of each, ``-inf`` for 0.

        Returns
        -------
        ndarray
            Density times likelihood over the mixture of all proposals: shape ``(n,)``,
            sum 1; all 0 where the likelihood is.
        """
        log_weight = log_likelihood
        if self._later:  # of one round alone, the density cancels
            density = binned.as_redshift(self._density.pdf(z))
            mixture = self._n_first * density
            mixture = mixture + sum(n * _on_both_sides(q, z) for n, q in self._later)
            with np.errstate(divide="ignore"):
                log_weight = log_likelihood + np.log(density) - np.log(mixture)
        if not np.any(log_weight > -np.inf):
            return np.zeros_like(log_weight)
        weights = np.exp(log_weight - log_weight.max())
        return weights / weights.sum()

    def _strata(self, n):
        return (np.arange(n) + self._rng.random(n)) / n

    def _proposal(self, z, weights):
        """Make a histogram of the weights, whose bins lie between the draws."""
        order = np.argsort(z)
        z, weights = z[order], weights[order]
        low, high = self._ends()
        edges = np.unique(np.concatenate([[low], z[(z > low) & (z < high)], [high]]))
        even = np.diff(edges) / (high - low)
        if not weights.any():
            return TabulatedDensity(edges, even)
        # half of each weight lies on either side of its draw
        right = np.clip(edges.searchsorted(z, "right") - 1, 0, even.size - 1)
        left = np.clip(edges.searchsorted(z, "left") - 1, 0, even.size - 1)
        share = np.bincount(np.append(left, right), np.tile(weights / 2, 2), even.size)
        return TabulatedDensity(edges, (1 - _EVENLY) * share + _EVENLY * even)

    def _ends(self):
        """Lowest and highest redshift of the density."""
        if (edges := getattr(self._density, "bin_edges", None)) is not None:
            return binned.as_redshift(edges)[[0, -1]]
        ends = binned.as_redshift(self._density.ppf(np.array([0.0, 1.0])))
        inner = binned.as_redshift(self._density.ppf(np.array([_END, 1 - _END])))
        return np.where(np.isfinite(ends), ends, inner)


def _on_both_sides(proposal, z):
    """Mean density just below and above: edges of its bins are draws before it."""
    return (proposal.pdf(np.nextafter(z, -np.inf)) + proposal.pdf(z)) / 2
