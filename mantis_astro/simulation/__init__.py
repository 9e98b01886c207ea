"""A made sky: galaxies, the images surveys would take, and servers that serve them."""

from mantis_astro.simulation.faults import FAULTS, Fault, mixed_faults
from mantis_astro.simulation.server import LocalSky

__all__ = ["FAULTS", "Fault", "LocalSky", "mixed_faults"]
