"""Rubin's Data Preview 1: table Object."""

import astropy.units as u

from mantis_astro.catalogs.catalog import POINT_SOURCE, TOTAL, Catalog, Measure

__all__ = ["LSST"]


def _fluxes(kind, aperture=TOTAL, flag=""):
    return Measure(
        f"{{band}}_{kind}Flux",
        f"{{band}}_{kind}FluxErr",
        u.nJy,
        flag=f"{{band}}_{flag or f'{kind}Flux'}_flag",
        aperture=aperture,
    )


LSST = Catalog(
    name="lsst dp1",
    title="Rubin Data Preview 1",
    aliases=("lsst", "rubin", "dp1", "rubin dp1", "dp0.2"),
    bands={band: f"lsst_baseline_{band}" for band in "ugrizy"},
    measures=(
        _fluxes("cModel", flag="cModel"),
        _fluxes("free_cModel", flag="free_cModel"),
        _fluxes("kron"),
        _fluxes("sersic", flag="sersic_no_data"),
        _fluxes("gaap1p0", aperture=""),
        _fluxes("psf", aperture=POINT_SOURCE),
        _fluxes("free_psf", aperture=POINT_SOURCE),
    ),
    reference="2019ApJ...873..111I",
)
