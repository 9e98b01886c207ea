"""A distribution of numpyro."""

from typing import ClassVar

from mantis_astro._optional import require

__all__ = ["NumpyroRedshift"]

distributions = require("numpyro.distributions", extra="jax")
constraints = distributions.constraints


class NumpyroRedshift(distributions.Distribution):
    """
    A `RedshiftPrior` for ``numpyro.sample``.

    Parameters
    ----------
    density : JaxDensity
        The density.
    validate_args : bool, optional
        As for all of numpyro's distributions.
    """

    arg_constraints: ClassVar[dict] = {}
    pytree_data_fields = ("density",)

    def __init__(self, density, *, validate_args=None):
        self.density = density
        super().__init__(batch_shape=(), event_shape=(), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        """Interval of redshifts."""
        return constraints.interval(*self.density.support)

    def sample(self, key, sample_shape=()):
        """
        Draw redshifts.

        Parameters
        ----------
        key : array
            Of ``jax.random``.
        sample_shape : tuple of int, optional
            How many.

        Returns
        -------
        array
            Of that shape.
        """
        return self.density.sample(key, sample_shape)

    def log_prob(self, value):
        """
        Natural logarithm of the density.

        Parameters
        ----------
        value : array
            Redshifts.

        Returns
        -------
        array
            See `JaxDensity.log_pdf`.
        """
        return self.density.log_pdf(value)

    def cdf(self, value):
        """
        Probability below a redshift.

        Parameters
        ----------
        value : array
            Redshifts.

        Returns
        -------
        array
            From 0 to 1.
        """
        return self.density.cdf(value)

    def icdf(self, q):
        """
        Redshift below which a given probability lies.

        Parameters
        ----------
        q : array
            Probabilities.

        Returns
        -------
        array
            Redshifts.
        """
        return self.density.ppf(q)
