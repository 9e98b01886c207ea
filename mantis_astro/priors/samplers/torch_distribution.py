"""A distribution of torch."""

from typing import ClassVar

import torch
from torch.distributions import Distribution, constraints

__all__ = ["TorchRedshift"]


class TorchRedshift(Distribution):
    """
    A `RedshiftPrior` as a distribution of torch.

    Parameters
    ----------
    density : TabulatedDensity
        The density.
    batch_shape : tuple of int, optional
        How many independent redshifts with this same density.
    dtype : `torch.dtype`, optional
        By default torch's own, mostly float32.
    validate_args : bool, optional
        As for all of torch's distributions.
    """

    arg_constraints: ClassVar[dict] = {}
    has_rsample = True

    def __init__(self, density, batch_shape=(), *, dtype=None, validate_args=None):
        self.density = density
        dtype = dtype or torch.get_default_dtype()
        tables = density.tables(str(dtype).removeprefix("torch."))
        self._tables = [torch.from_numpy(t.copy()) for t in tables]
        self._slopes = [torch.from_numpy(t) for t in tables.slopes()]
        super().__init__(torch.Size(batch_shape), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        """Interval of redshifts."""
        return constraints.interval(self._edges[0], self._edges[-1])

    @property
    def mean(self):
        """Mean, of the shape of the batch."""
        middle = (self._edges[1:] + self._edges[:-1]) / 2
        return self._mass @ middle * self._ones

    @property
    def variance(self):
        """Variance, of the shape of the batch."""
        low, high = self._edges[:-1], self._edges[1:]
        square = self._mass @ (low**2 + low * high + high**2) / 3
        return square * self._ones - self.mean**2

    @property
    def _edges(self):
        return self._tables[2]

    @property
    def _mass(self):
        return self._tables[3].diff()

    @property
    def _ones(self):
        return self._edges.new_ones(self.batch_shape)

    def _own(self, value):
        """Take a tensor to the type of the tables, which a search needs."""
        return torch.as_tensor(value).to(self._edges.dtype)

    def expand(self, batch_shape, _instance=None):
        """
        Return the same density with another batch shape.

        Parameters
        ----------
        batch_shape : tuple of int
            The shape; sbi's ``MultipleIndependent`` wants ``(1,)``.
        _instance : optional
            Not used: torch passes it on from subclasses.

        Returns
        -------
        TorchRedshift
            A new one.
        """
        return type(self)(
            self.density,
            batch_shape,
            dtype=self._edges.dtype,
            validate_args=self._validate_args,
        )

    def rsample(self, sample_shape=()):
        """
        Draw redshifts.

        Parameters
        ----------
        sample_shape : tuple of int, optional
            How many, for each of the batch.

        Returns
        -------
        `torch.Tensor`
            Shape ``sample_shape + batch_shape``.
        """
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.icdf(torch.rand(shape, dtype=self._edges.dtype))

    def log_prob(self, value):
        """
        Natural logarithm of the density.

        Parameters
        ----------
        value : `torch.Tensor`
            Redshifts.

        Returns
        -------
        `torch.Tensor`
            ``-inf`` outside the support. Its derivative is that of a line through the
            centres of neighbouring bins.

        Raises
        ------
        ValueError
            If a redshift is outside the support and arguments are validated, as for all
            of torch's distributions.
        """
        if self._validate_args:
            self._validate_sample(value)
        return _LogDensity.apply(self._own(value), *self._tables[:2], *self._slopes)

    def cdf(self, value):
        """
        Probability below a redshift.

        Parameters
        ----------
        value : `torch.Tensor`
            Redshifts.

        Returns
        -------
        `torch.Tensor`
            From 0 to 1. Its derivative is the density.
        """
        return _interpolate(self._own(value), *self._tables[2:4])

    def icdf(self, value):
        """
        Redshift below which a given probability lies.

        Parameters
        ----------
        value : `torch.Tensor`
            Probabilities.

        Returns
        -------
        `torch.Tensor`
            Redshifts. Its derivative is one over the density.
        """
        return _interpolate(self._own(value), *self._tables[4:])


class _LogDensity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, lookup, log_density, centres, slopes):
        z = z.contiguous()
        ctx.save_for_backward(slopes[torch.searchsorted(centres, z)])
        return log_density[torch.searchsorted(lookup, z, right=True)]

    @staticmethod
    def backward(ctx, gradient):
        (slope,) = ctx.saved_tensors
        return slope * gradient, None, None, None, None


def _interpolate(x, xp, fp):
    """`numpy.interp` for torch, where equal ``xp`` have no width."""
    x = x.clamp(xp[0], xp[-1])
    i = torch.searchsorted(xp, x.detach().contiguous(), right=True)
    i = i.clamp(1, len(xp) - 1)
    width = xp[i] - xp[i - 1]
    part = torch.where(width > 0, (x - xp[i - 1]) / torch.where(width > 0, width, 1), 1)
    return torch.minimum(fp[i - 1] + part * (fp[i] - fp[i - 1]), fp[-1])
