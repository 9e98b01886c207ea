"""A distribution of pyro."""

from mantis_astro._optional import require
from mantis_astro.priors.samplers.torch_distribution import TorchRedshift

__all__ = ["PyroRedshift"]

_mixin = require("pyro.distributions.torch_distribution", extra="pyro")


class PyroRedshift(TorchRedshift, _mixin.TorchDistributionMixin):
    """
    A `RedshiftPrior` for ``pyro.sample``.

    Parameters
    ----------
    density : TabulatedDensity
        The density.
    batch_shape, dtype, validate_args : optional
        See `TorchRedshift`.
    """
