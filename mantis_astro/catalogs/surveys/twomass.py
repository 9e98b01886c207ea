"""Two Micron All Sky Survey: extended and point sources, IRSA and VizieR."""

from mantis_astro.catalogs.catalog import POINT_SOURCE, TOTAL, Catalog, Measure

__all__ = ["TWOMASS"]


def _magnitudes(value, error, aperture=TOTAL):
    """Vega magnitudes; merged tables have 0 where there is none."""
    return Measure(value, error, system="Vega", missing=(0.0,), aperture=aperture)


TWOMASS = Catalog(
    name="2mass",
    title="2MASS",
    aliases=("twomass", "2mass xsc", "2mass psc"),
    bands={"j": "twomass_J", "h": "twomass_H", "k": "twomass_Ks"},
    measures=(
        _magnitudes("{band}_m_ext", "{band}_msig_ext"),
        _magnitudes("{band}.ext", "e_{band}.ext"),
        _magnitudes("{band}_m_k20fe", "{band}_msig_k20fe"),
        _magnitudes("{band}_m", "{band}_msigcom|{band}_cmsig", POINT_SOURCE),
        _magnitudes("{band}mag", "e_{band}mag", POINT_SOURCE),
        _magnitudes("{band}_m_2mass", "{band}_msig_2mass", POINT_SOURCE),
    ),
    quality=("ph_qual", "qflg"),
    bad_quality="UX",
    reference="2006AJ....131.1163S",
)
