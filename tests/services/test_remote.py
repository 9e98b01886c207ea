"""The real servers: run weekly with ``pytest --remote-data``."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from mantis_astro import SurveyCutouts
from mantis_astro.bands import BANDS
from mantis_astro.services import GALEX, HiPS, LegacySurvey, PanSTARRS, UnWISE

pytestmark = pytest.mark.remote_data

COORD = SkyCoord(7.0939, -10.65098, unit="deg")  # SDSS J002822.5-103903
SOUTH = SkyCoord(7.0939, -60.0, unit="deg")


@pytest.mark.parametrize(
    "service", [PanSTARRS, GALEX, UnWISE, LegacySurvey], ids=lambda s: s.survey.name
)
def test_images_are_centred_on_the_position(service):
    images = service.get_images(COORD, cache=False)
    assert len(images) == len(service.survey.bands)
    for image in images:
        x, y = image.wcs.world_to_pixel(COORD)
        centre = (np.array(image.shape) - 1) / 2
        assert np.hypot(x - centre[1], y - centre[0]) < 1.5
        assert image.unit == service.survey.unit
        assert "zero_point_ab" in image.meta


def test_a_list_for_many_positions():
    coords = SkyCoord([7.0939, 27.952], [-10.65098, 0.2635], unit="deg")
    table = PanSTARRS.get_file_list(coords, cache=False)
    assert set(table["position"]) == {0, 1}


def test_the_source_in_this_field_is_bright():
    """z = 0.30 galaxy, r about 18: its pixels stand out in every PS1 band."""
    for image in PanSTARRS.get_images(COORD, size=20 * u.arcsec, cache=False):
        assert np.nanmax(image.data) > 20 * np.nanstd(image.data[:10])


def test_any_grid_from_hips():
    (image,) = HiPS.get_images(COORD, bands=["ps1.g"], size=30 * u.arcsec)
    assert image.shape == (120, 120)


def test_nine_bands_of_two_objects():
    coords = SkyCoord([COORD, SOUTH])
    source = SurveyCutouts(progress=False)
    states = {
        index: {str(band): status.state for band, status in statuses.items()}
        for index, _, statuses in source.iter_cutouts(coords, BANDS)
    }
    assert set(states[0].values()) == {"ok"}
    assert states[1]["ps1.g"] == "no_coverage"
    assert states[1]["unwise.W1"] == "ok"
