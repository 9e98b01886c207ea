"""DESI Legacy Imaging Surveys: tractor and sweep files, and tables of Data Lab."""

import astropy.units as u

from mantis_astro.catalogs.catalog import Catalog, Measure

__all__ = ["LEGACY_SURVEY"]

# Fluxes are total fluxes of fitted models in AB nanomaggies, those of WISE too, and not
# corrected for extinction; legacysurvey.org/dr10/catalogs. North of +32 degrees the
# filters are those of BASS and MzLS, which differ by some hundredths of a magnitude.
LEGACY_SURVEY = Catalog(
    name="legacy survey dr10",
    title="DESI Legacy Imaging Surveys DR10",
    aliases=("legacy survey", "legacysurvey", "legacy surveys", "ls dr10", "ls dr9"),
    bands={
        **{band: f"legacysurvey.{band}" for band in "griz"},
        "w1": "unwise.W1",
        "w2": "unwise.W2",
        "w3": "wise_w3",
        "w4": "wise_w4",
    },
    measures=(
        Measure("flux_{band}", "flux_ivar_{band}", u.nmgy, is_inverse_variance=True),
        Measure("mag_{band}"),
        Measure("dered_flux_{band}", unit=u.nmgy, is_corrected=True),
        Measure("dered_mag_{band}", is_corrected=True),
    ),
    transmission="mw_transmission_{band}",
    per_ebv=(
        {"g": 3.214, "r": 2.165, "i": 1.592, "z": 1.211}
        | {"w1": 0.184, "w2": 0.113, "w3": 0.0241, "w4": 0.00910},
    ),
    reference="2019AJ....157..168D",
)
