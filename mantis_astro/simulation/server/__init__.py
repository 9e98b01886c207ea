"""Survey servers on this machine: `LocalSky`, and faults that can be requested."""

from mantis_astro.simulation.server.faults import FAULTS, Fault, mixed_faults
from mantis_astro.simulation.server.local_sky import LocalSky, Request

__all__ = ["FAULTS", "Fault", "LocalSky", "Request", "mixed_faults"]
