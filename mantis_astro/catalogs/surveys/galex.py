"""GALEX: tables of MAST, the catalogues of Bianchi et al., and single visits."""

import astropy.units as u

from mantis_astro.catalogs.catalog import Catalog, Measure

__all__ = ["GALEX"]

# -999 and -99 are none; where there is no image in a band, merged tables have 0
GALEX = Catalog(
    name="galex",
    title="GALEX",
    aliases=("galex gr6", "galex gr7", "galex ais", "guvcat", "gcat"),
    bands={"nuv": "galex.NUV", "fuv": "galex.FUV"},
    measures=(
        Measure("{band}_flux", "{band}_fluxerr", u.uJy),
        Measure("{band}_mag", "{band}_magerr"),
        Measure("{band}mag", "e_{band}mag"),
        Measure("{band}_flux_auto", "{band}_fluxerr_auto", u.ct / u.s, missing=(0.0,)),
    ),
    ebv=("e_bv", "e(b-v)", "e_b-v_"),
    reference="2017ApJS..230...24B",
)
