"""A density for JAX: jit, vmap and grad go through it."""

from typing import NamedTuple

import numpy as np

from mantis_astro._optional import require

__all__ = ["JaxDensity", "make_jax_density"]

jax = require("jax", extra="jax")
jnp = jax.numpy


class JaxDensity(NamedTuple):
    """
    The density of a `RedshiftPrior` as functions that JAX traces and differentiates.

    A pytree: several of equal bins can be stacked (``jax.tree.map``) and mapped over
    (``jax.vmap``), a galaxy each.

    Attributes
    ----------
    lookup, log_density, bin_edges, cumulative, nodes_q, nodes_z : array
        See `mantis_astro.priors.density.DensityTables`.
    centres, slopes : array
        See `mantis_astro.priors.density.DensityTables.slopes`.
    """

    lookup: jax.Array
    log_density: jax.Array
    bin_edges: jax.Array
    cumulative: jax.Array
    nodes_q: jax.Array
    nodes_z: jax.Array
    centres: jax.Array
    slopes: jax.Array

    @property
    def support(self):
        """Lowest and highest redshift."""
        return self.bin_edges[0], self.bin_edges[-1]

    def log_pdf(self, z):
        """
        Natural logarithm of the density.

        Parameters
        ----------
        z : array
            Redshift.

        Returns
        -------
        array
            The shape of ``z``; ``-inf`` outside the support. Its derivative is that of
            a line through the centres of neighbouring bins.
        """
        tables = self.lookup, self.log_density, self.centres, self.slopes
        return _log_density(z, *tables)

    def cdf(self, z):
        """
        Probability below a redshift.

        Parameters
        ----------
        z : array
            Redshift.

        Returns
        -------
        array
            From 0 to 1, the shape of ``z``. Its derivative is the density.
        """
        return jnp.interp(z, self.bin_edges, self.cumulative)

    def ppf(self, q):
        """
        Redshift below which a given probability lies: the inverse of `cdf`.

        Parameters
        ----------
        q : array
            Probability; what is below 0 or above 1 is taken for these.

        Returns
        -------
        array
            The shape of ``q``. Its derivative is one over the density.
        """
        z = jnp.interp(q, self.nodes_q, self.nodes_z)
        return jnp.minimum(z, self.nodes_z[-1])

    def sample(self, key, shape=()):
        """
        Draw redshifts.

        Parameters
        ----------
        key : array
            Of ``jax.random``.
        shape : tuple of int, optional
            How many.

        Returns
        -------
        array
            Of that shape.
        """
        return self.ppf(jax.random.uniform(key, shape, self.nodes_q.dtype))


@jax.custom_jvp
def _log_density(z, lookup, log_density, centres, slopes):  # noqa: ARG001  below
    return log_density[jnp.searchsorted(lookup, z, side="right")]


@_log_density.defjvp
def _log_density_jvp(primals, tangents):
    z, *_, centres, slopes = primals
    slope = slopes[jnp.searchsorted(centres, z)]
    return _log_density(*primals), slope * tangents[0]


def make_jax_density(density):
    """
    Create a density with tables that are JAX arrays.

    Parameters
    ----------
    density : TabulatedDensity
        The density.

    Returns
    -------
    JaxDensity
        Of float64 if ``jax_enable_x64`` is set, else of float32.
    """
    dtype = jax.dtypes.canonicalize_dtype(np.float64)
    tables = density.tables(dtype)
    return JaxDensity(*map(jnp.asarray, (*tables, *tables.slopes())))
