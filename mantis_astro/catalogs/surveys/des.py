"""Dark Energy Survey DR2: table des_dr2.main."""

import astropy.units as u

from mantis_astro.catalogs.catalog import POINT_SOURCE, TOTAL, Catalog, Measure
from mantis_astro.fluxes import njy_from_ab

__all__ = ["DES"]

_COUNT = u.Unit(njy_from_ab(30.0) * u.nJy)  # the zero point of all coadds is 30


def _measures(flux, magnitude, aperture):
    stem, _, kind = magnitude.rpartition("mag_")
    return (
        Measure(
            f"{stem}flux_{flux}_{{band}}",
            f"{stem}fluxerr_{flux}_{{band}}",
            _COUNT,
            aperture=aperture,
        ),
        *(
            Measure(
                f"{stem}mag_{kind}_{{band}}{ending}",
                f"{stem}magerr_{kind}_{{band}}",
                is_corrected=bool(ending),
                aperture=aperture,
            )
            for ending in ("", "_dered")
        ),
    )


DES = Catalog(
    name="des",
    title="Dark Energy Survey DR2",
    aliases=("des dr1", "des dr2", "dark energy survey"),
    bands={band: f"decam_{band}" for band in "grizY"},
    measures=(
        *_measures("auto", "mag_auto", TOTAL),
        Measure("{band}mag", "e_{band}mag"),
        *_measures("psf", "wavg_mag_psf", POINT_SOURCE),
    ),
    ebv=("ebv_sfd98",),
    per_ebv=({"g": 3.186, "r": 2.140, "i": 1.569, "z": 1.196, "Y": 1.048},),
    reference="2021ApJS..255...20A",
)
