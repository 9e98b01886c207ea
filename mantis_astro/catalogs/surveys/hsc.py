"""Hyper Suprime-Cam survey: tables of the public data releases."""

import astropy.units as u

from mantis_astro.catalogs.catalog import POINT_SOURCE, TOTAL, Catalog, Measure

__all__ = ["HSC"]


def _measures(flux, magnitude, aperture=TOTAL):
    """Errors are called sigma in PDR2 and err since."""
    flag = f"{{band}}_{flux.removesuffix('_flux')}_flag"
    return tuple(
        Measure(
            f"{{band}}_{value}",
            f"{{band}}_{value}err|{{band}}_{value}sigma",
            unit,
            flag=flag,
            aperture=aperture,
        )
        for value, unit in ((flux, u.nJy), (magnitude, u.mag))
    )


HSC = Catalog(
    name="hsc",
    title="Hyper Suprime-Cam SSP PDR3",
    aliases=("hsc pdr2", "hsc pdr3", "hsc ssp", "hyper suprime-cam"),
    bands={band: f"hsc_{band}" for band in "grizy"},
    measures=(
        *_measures("cmodel_flux", "cmodel_mag"),
        *_measures("kronflux_flux", "kronflux_mag"),
        *_measures("psfflux_flux", "psfflux_mag", POINT_SOURCE),
        Measure("{band}cmodel_mag", "{band}cmodel_mag_err"),  # PDR1
        Measure("{band}mag", "e_{band}mag"),
    ),
    extinction="a_{band}",
    per_ebv=({"g": 3.240, "r": 2.276, "i": 1.633, "z": 1.263, "y": 1.075},),
    reference="2022PASJ...74..247A",
)
