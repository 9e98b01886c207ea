"""Sloan Digital Sky Survey: CasJobs, its files, and VizieR."""

import astropy.units as u

from mantis_astro.catalogs.catalog import POINT_SOURCE, Catalog, Measure

__all__ = ["SDSS"]

# Magnitudes are asinh magnitudes with these b (Lupton, Gunn & Szalay 1999; sdss.org,
# "Calculating magnitudes"); -9999 is none.
_SOFTENING = {"u": 1.4e-10, "g": 0.9e-10, "r": 1.2e-10, "i": 1.8e-10, "z": 7.4e-10}


def _magnitudes(value, error, **facts):
    return Measure(value, error, softening=_SOFTENING, **facts)


def _fluxes(value, error, **facts):
    return Measure(value, error, u.nmgy, is_inverse_variance=True, **facts)


SDSS = Catalog(
    name="sdss",
    title="Sloan Digital Sky Survey",
    aliases=("sdss dr8", "sdss dr12", "sdss dr16", "sdss dr17", "sdss dr18"),
    bands={band: f"sdss_{band}0" for band in "ugriz"},
    measures=(
        _fluxes("modelFlux_{band}", "modelFluxIvar_{band}"),
        _fluxes("modelFlux", "modelFlux_Ivar"),
        _magnitudes("modelMag_{band}", "modelMagErr_{band}"),
        _fluxes("cModelFlux_{band}", "cModelFluxIvar_{band}"),
        _fluxes("cModelFlux", "cModelFlux_Ivar"),
        _magnitudes("cModelMag_{band}", "cModelMagErr_{band}"),
        _magnitudes("{band}", "err_{band}|modelMagErr_{band}"),
        _magnitudes("dered_{band}", "err_{band}|modelMagErr_{band}", is_corrected=True),
        _magnitudes("{band}mag", "e_{band}mag"),
        _fluxes("petroFlux_{band}", "petroFluxIvar_{band}"),
        _fluxes("petroFlux", "petroFlux_Ivar"),
        _magnitudes("petroMag_{band}", "petroMagErr_{band}"),
        _fluxes("psfFlux_{band}", "psfFluxIvar_{band}", aperture=POINT_SOURCE),
        _fluxes("psfFlux", "psfFlux_Ivar", aperture=POINT_SOURCE),
        _magnitudes("psfMag_{band}", "psfMagErr_{band}", aperture=POINT_SOURCE),
    ),
    extinction="extinction_{band}|extinction",
    per_ebv=(  # Schlegel et al. 1998; Schlafly & Finkbeiner 2011 in later releases
        {"u": 5.155, "g": 3.793, "r": 2.751, "i": 2.086, "z": 1.479},
        {"u": 4.239, "g": 3.303, "r": 2.285, "i": 1.698, "z": 1.263},
    ),
    # u is 0.04 mag too bright in AB, z 0.02 mag too faint (Abazajian et al. 2004,
    # section 3.6, as kcorrect applies it)
    zero_points={"u": -0.04, "z": 0.02},
    z_spec=("zsp", "z"),
    reference="2000AJ....120.1579Y",
)
