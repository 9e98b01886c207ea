import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from mantis_astro import common_wcs

from .scenes import TARGET

PLACES = [
    SkyCoord(ra, dec, unit="deg")
    for ra, dec in [
        (150, 2),
        (0, 0),
        (359.9999, -30),
        (12, 90),
        (200, -90),
        (5, 89.999),
    ]
]


@pytest.mark.parametrize("coord", PLACES, ids=lambda c: c.to_string())
@pytest.mark.parametrize("n", [1, 32, 33])
def test_target_is_at_the_centre(coord, n):
    wcs = common_wcs(coord, n, 0.25 * u.arcsec)
    centre = wcs.pixel_to_world((n - 1) / 2, (n - 1) / 2)
    assert centre.separation(coord).arcsec < 1e-6


@pytest.mark.parametrize("coord", PLACES[:3], ids=lambda c: c.to_string())
def test_north_is_up_and_east_left(coord):
    wcs = common_wcs(coord, 101, 1 * u.arcsec)
    north = wcs.world_to_pixel(coord.directional_offset_by(0 * u.deg, 10 * u.arcsec))
    east = wcs.world_to_pixel(coord.directional_offset_by(90 * u.deg, 10 * u.arcsec))
    np.testing.assert_allclose(north, (50, 60), atol=1e-6)
    np.testing.assert_allclose(east, (40, 50), atol=1e-6)


@pytest.mark.parametrize("pole", [90, -90])
def test_grid_is_continuous_at_the_pole(pole):
    at = common_wcs(SkyCoord(40, pole, unit="deg"), 64, 1 * u.arcsec)
    near = SkyCoord(40, pole * (1 - 1e-9), unit="deg")
    star = SkyCoord(70, pole - np.sign(pole) * 0.005, unit="deg")
    np.testing.assert_allclose(
        at.world_to_pixel(star),
        common_wcs(near, 64, 1 * u.arcsec).world_to_pixel(star),
        atol=1e-3,
    )


def test_position_in_another_frame_gives_the_same_grid():
    wcs = common_wcs(TARGET.galactic, 32, 1 * u.arcsec)
    np.testing.assert_allclose(wcs.wcs.crval, [TARGET.ra.deg, TARGET.dec.deg])


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        (30 * u.arcsec, (120, 120)),
        (0.5 * u.arcmin, (120, 120)),
        ((30, 15) * u.arcsec, (120, 60)),
        ((30 * u.arcsec, 0.25 * u.arcmin), (120, 60)),
        (120, (120, 120)),
        ((33, 32), (33, 32)),
        (30.1 * u.arcsec, (120, 120)),
        (30.2 * u.arcsec, (121, 121)),  # the nearest number of pixels
    ],
)
def test_size_is_an_angle_or_pixels(size, shape):
    assert common_wcs(TARGET, size, 0.25 * u.arcsec).array_shape == shape


@pytest.mark.parametrize("size", [0, -3, 2.5, 0.1 * u.arcsec, (1, 2, 3), np.nan])
def test_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="'size' must be an angle of at least one"):
        common_wcs(TARGET, size, 0.25 * u.arcsec)


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf, [1, 2]])
def test_impossible_scale_is_refused(scale):
    with pytest.raises(ValueError, match="'pixel_scale' must be one positive angle"):
        common_wcs(TARGET, 32, scale * u.arcsec)


def test_a_pixel_scale_without_a_unit_is_not_taken_for_degrees():
    with pytest.raises(u.UnitsError, match=r"perhaps 0.25 \* u.arcsec"):
        common_wcs(TARGET, 32, 0.25)
