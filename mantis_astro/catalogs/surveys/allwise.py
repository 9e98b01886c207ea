"""AllWISE and CatWISE: tables of IRSA and VizieR."""

from mantis_astro.catalogs.catalog import TOTAL, Catalog, Measure

__all__ = ["ALLWISE"]


def _magnitudes(value, error):
    """Magnitudes without an error are upper limits of 95 % confidence."""
    return Measure(value, error, system="Vega", needs_error=True, aperture=TOTAL)


# Fits of point sources, which are totals of all but the nearest galaxies.
ALLWISE = Catalog(
    name="allwise",
    title="AllWISE",
    aliases=("wise", "catwise", "catwise2020", "all wise"),
    bands={"w1": "allwise.W1", "w2": "allwise.W2", "w3": "wise_w3", "w4": "wise_w4"},
    measures=(
        _magnitudes("{band}mpro", "{band}sigmpro"),
        _magnitudes("{band}mpro_pm", "{band}sigmpro_pm"),
        _magnitudes("{band}mag", "e_{band}mag"),
        _magnitudes("{band}gmag", "{band}gerr"),
    ),
    quality=("ph_qual", "qph"),
    bad_quality="UXZ",
    reference="2010AJ....140.1868W",
)
