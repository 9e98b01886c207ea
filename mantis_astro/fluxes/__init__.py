"""
Fluxes: zero points, magnitudes, filters, and the reader of columns of fluxes.

All that knows what a flux is in nJy is here; everything else asks.
"""

from mantis_astro.bands import register_filter, unregister_filter
from mantis_astro.filters import get_filter, list_filters
from mantis_astro.fluxes.columns import (
    Fluxes,
    column_suffix,
    find_bands,
    flux_columns,
    read_fluxes,
)
from mantis_astro.fluxes.conversion import to_flux
from mantis_astro.fluxes.magnitudes import (
    POGSON,
    asinh_mag_to_flux,
    default_softening,
    flux_to_asinh_mag,
    flux_to_mag_ab,
    is_sentinel_magnitude,
    mag_ab_to_flux,
    magnitude_error,
)
from mantis_astro.fluxes.state import (
    HIGHEST_EBV,
    LOWEST_EBV,
    FluxState,
    as_observed,
    known_ebv,
    read_state,
)
from mantis_astro.fluxes.zero_points import (
    AB_ZERO_POINT_NJY,
    SENTINELS,
    ab_from_njy,
    is_linear_in_flux,
    native_factor,
    njy_factor,
    njy_from_ab,
    to_njy,
)

__all__ = [
    "AB_ZERO_POINT_NJY",
    "HIGHEST_EBV",
    "LOWEST_EBV",
    "POGSON",
    "SENTINELS",
    "FluxState",
    "Fluxes",
    "ab_from_njy",
    "as_observed",
    "asinh_mag_to_flux",
    "column_suffix",
    "default_softening",
    "find_bands",
    "flux_columns",
    "flux_to_asinh_mag",
    "flux_to_mag_ab",
    "get_filter",
    "is_linear_in_flux",
    "is_sentinel_magnitude",
    "known_ebv",
    "list_filters",
    "mag_ab_to_flux",
    "magnitude_error",
    "native_factor",
    "njy_factor",
    "njy_from_ab",
    "read_fluxes",
    "read_state",
    "register_filter",
    "to_flux",
    "to_njy",
    "unregister_filter",
]
