"""
`TabulatedRedshiftPrior`, in a module that needs prospector.

Importing it imports prospector, so that it is done only by
`RedshiftPrior.as_prospector` and by pickle, which finds the class here.
"""

import numpy as np

from mantis_astro.priors.requirements import require_prospector

__all__ = ["TabulatedRedshiftPrior"]


class TabulatedRedshiftPrior(require_prospector("models.priors").Prior):
    """
    A `RedshiftPrior` with the interface of prospector's priors.

    Parameters
    ----------
    parnames : list of str, optional
        Another name for the parameter ``redshift_prior``.
    name : str, optional
        Name of the prior.
    **kwargs
        ``redshift_prior``, a `RedshiftPrior`; as with all of prospector's priors,
        `update` and each method take it too, to put another in its place.

    Notes
    -----
    Nothing goes through `scipy.stats`, which is where prospector's own priors spend
    their time; `distribution` is there for whoever looks for it.
    """

    prior_params = ["redshift_prior"]  # noqa: RUF012  prospector's protocol

    @property
    def redshift_prior(self):
        """The `RedshiftPrior` behind it."""
        return self.params["redshift_prior"]

    @property
    def distribution(self):
        """The same density as a scipy distribution, not frozen."""
        return self.redshift_prior.as_scipy().dist

    @property
    def range(self):
        """Lowest and highest redshift."""
        return self.redshift_prior.support

    def bounds(self, **kwargs):
        """
        Lowest and highest redshift.

        Parameters
        ----------
        **kwargs
            See the class.

        Returns
        -------
        tuple of float
            Two redshifts.
        """
        self.update(**kwargs)
        return self.redshift_prior.support

    def __len__(self):
        return 1

    def __call__(self, x, **kwargs):
        """
        Natural logarithm of the density.

        Parameters
        ----------
        x : float or ndarray
            Redshifts.
        **kwargs
            See the class.

        Returns
        -------
        float or ndarray
            The shape of ``x``; ``-inf`` outside the support.
        """
        if kwargs:
            self.update(**kwargs)
        return self.params["redshift_prior"].log_pdf(x)

    def sample(self, nsample=None, **kwargs):
        """
        Draw from the prior, with numpy's global state as all of prospector's priors.

        Parameters
        ----------
        nsample : int, optional
            Number of draws, 1 by default.
        **kwargs
            See the class.

        Returns
        -------
        ndarray
            Shape ``(nsample,)``.
        """
        self.update(**kwargs)
        draws = np.random.random_sample(nsample or 1)  # noqa: NPY002  np.random.seed
        return self.redshift_prior.ppf(draws)

    def unit_transform(self, x, **kwargs):
        """
        Transform from the unit interval, for nested sampling.

        Parameters
        ----------
        x : float or ndarray
            From 0 to 1.
        **kwargs
            See the class.

        Returns
        -------
        float or ndarray
            Redshifts, the shape of ``x``.
        """
        if kwargs:
            self.update(**kwargs)
        return self.params["redshift_prior"].as_unit_transform()(x)

    def inverse_unit_transform(self, x, **kwargs):
        """
        Transform to the unit interval.

        Parameters
        ----------
        x : float or ndarray
            Redshifts.
        **kwargs
            See the class.

        Returns
        -------
        float or ndarray
            From 0 to 1, the shape of ``x``.
        """
        self.update(**kwargs)
        return self.redshift_prior.cdf(x)

    def __repr__(self):
        return f"{type(self).__name__}({self.params.get('redshift_prior')})"
