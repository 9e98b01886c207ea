"""A prior of bilby."""

import numpy as np

from mantis_astro._optional import require
from mantis_astro.priors.density import TabulatedDensity

__all__ = ["BilbyRedshift"]


class BilbyRedshift(require("bilby.core.prior", extra="bilby").Prior):
    """
    A `RedshiftPrior` with the interface of bilby's priors.

    bilby writes what it was made of to its result files, and makes it again.

    Parameters
    ----------
    bin_edges : array_like
        Edges of the bins, shape ``(n_bins + 1,)``.
    probability : array_like
        Probability of each bin, shape ``(n_bins,)``.
    name, latex_label, unit, boundary : str, optional
        As for all of bilby's priors.
    """

    def __init__(
        self,
        bin_edges,
        probability,
        name="redshift",
        latex_label="$z$",
        unit=None,
        boundary=None,
    ):
        self.bin_edges = np.array(bin_edges, dtype=float)
        self.probability = np.array(probability, dtype=float)
        self._density = TabulatedDensity(self.bin_edges, self.probability)
        super().__init__(
            name=name,
            latex_label=latex_label,
            unit=unit,
            minimum=self.bin_edges[0],
            maximum=self.bin_edges[-1],
            boundary=boundary,
        )

    def rescale(self, val):
        """
        Transform from the unit interval.

        Parameters
        ----------
        val : float or ndarray
            From 0 to 1.

        Returns
        -------
        float or ndarray
            Redshifts.
        """
        return self._density.ppf(val)

    def prob(self, val):
        """
        Density.

        Parameters
        ----------
        val : float or ndarray
            Redshifts.

        Returns
        -------
        float or ndarray
            0 outside the support.
        """
        return np.exp(self.ln_prob(val))

    def ln_prob(self, val):
        """
        Natural logarithm of the density.

        Parameters
        ----------
        val : float or ndarray
            Redshifts.

        Returns
        -------
        float or ndarray
            ``-inf`` outside the support.
        """
        return self._density.log_pdf(val)

    def cdf(self, val):
        """
        Probability below a redshift.

        Parameters
        ----------
        val : float or ndarray
            Redshifts.

        Returns
        -------
        float or ndarray
            From 0 to 1.
        """
        return self._density.cdf(val)
