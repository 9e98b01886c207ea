"""Pan-STARRS1: the mean and stack tables of MAST, and VizieR."""

import astropy.units as u

from mantis_astro.catalogs.catalog import POINT_SOURCE, TOTAL, Catalog, Measure

__all__ = ["PS1"]


def _measures(stem, aperture):
    """Stacks, means and forced photometry; -999 marks missing values."""
    return tuple(
        Measure(
            f"{{band}}{kind}{stem}{unit}",
            f"{{band}}{kind}{stem}{unit}Err",
            in_unit,
            aperture=aperture,
        )
        for kind, unit, in_unit in (
            ("", "Mag", u.mag),
            ("", "Flux", u.Jy),
            ("F", "Flux", u.Jy),
            ("F", "Mag", u.mag),
            ("Mean", "Mag", u.mag),
        )
    )


PS1 = Catalog(
    name="ps1",
    title="Pan-STARRS1 DR2",
    aliases=("panstarrs", "pan-starrs1", "ps1 dr1", "ps1 dr2"),
    bands={band: f"ps1.{band}" for band in "grizy"},
    measures=(
        *_measures("Kron", TOTAL),
        Measure("{band}Kmag", "e_{band}Kmag"),
        *_measures("Ap", ""),
        *_measures("PSF", POINT_SOURCE),
        Measure("{band}mag", "e_{band}mag", aperture=POINT_SOURCE),
    ),
    reference="2016arXiv161205560C",
)
