"""A variable of PyMC."""

from mantis_astro._optional import require

__all__ = ["make_pymc_variable"]


def make_pymc_variable(density, name):
    """
    Add a redshift to the model of PyMC that is being built.

    Parameters
    ----------
    density : TabulatedDensity
        The density.
    name : str
        Name of the redshift in the model.

    Returns
    -------
    variable
        The redshift: the inverse of the cdf at a uniform variable ``<name>_u``, so that
        a sampler that follows gradients meets no steps.
    """
    pymc = require("pymc", extra="pymc")
    pt = require("pytensor.tensor", extra="pymc")
    tables = density.tables()
    q, z = tables.nodes_q, tables.nodes_z
    u = pymc.Uniform(f"{name}_u", 0, 1)
    q_table, z_table = pt.as_tensor(q), pt.as_tensor(z)
    i = pt.clip(pt.searchsorted(q_table, u, side="right"), 1, len(q) - 1)
    below, above = q_table[i - 1], q_table[i]
    width = pt.maximum(above - below, 1e-300)
    part = pt.clip((u - below) / width, 0, 1)
    redshift = z_table[i - 1] + part * (z_table[i] - z_table[i - 1])
    return pymc.Deterministic(name, redshift)
