"""All bands of one position in one call, from the servers of their surveys."""

from mantis_astro.bands import BANDS
from mantis_astro.cutouts import MultibandCutout
from mantis_astro.services.base import bands_by_survey, parse_one_position
from mantis_astro.services.inquiry import fetch_position
from mantis_astro.services.registry import get_services

__all__ = ["get_cutouts"]


def get_cutouts(coordinates, bands=BANDS, *, size=None, cache=True):
    """
    Get the cutouts of one position in any bands.

    Parameters
    ----------
    coordinates : str or `~astropy.coordinates.SkyCoord`
        Position, or the name of an object.
    bands : sequence of Band or str, optional
        Bands; by default the nine of the published network.
    size : `~astropy.units.Quantity`, optional
        Side of the images; by default each survey's usual one.
    cache : bool, optional
        Whether images fetched before may be used, and these are kept.

    Returns
    -------
    MultibandCutout
        The bands that there are images of; the others are absent.

    Raises
    ------
    InvalidQueryError
        If the call is wrong.
    TimeoutError, RemoteServiceError
        If a server fails. For many positions, where one failure must not stop the
        rest, there is `SurveyCutouts`.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from mantis_astro.services import get_cutouts
    >>> coord = SkyCoord(7.0939, -10.65098, unit="deg")
    >>> get_cutouts(coord, ["ps1.g", "unwise.W1"])  # doctest: +SKIP
    <MultibandCutout at 7.09390 -10.65098: ps1.g 170x170 adu, unwise.W1 32x32 nmgy>
    """
    coord = parse_one_position(coordinates)
    sources = [
        (get_services(survey), group)
        for survey, group in bands_by_survey(bands).items()
    ]
    found = fetch_position(coord, sources, size=size, cache=cache)
    return MultibandCutout(
        coord, {band: image for band, image in found.items() if image is not None}
    )
