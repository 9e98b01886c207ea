import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import Sip
from astropy.wcs.utils import pixel_to_pixel

from mantis_astro.alignment.pixel_map import (
    TOLERANCE,
    PixelMap,
    check_points,
    pixel_centres,
    pixel_corners,
    quadrilateral_area,
)
from mantis_astro.astrometry.directions import directions_of, pixels_of, pixels_of_each

from .scenes import TARGET, make_wcs

FAR = TARGET.directional_offset_by(36 * u.deg, 2 * u.deg)


def with_sip(strength):
    wcs = make_wcs(n=170)
    a = np.zeros((4, 4))
    a[0, 3] = a[3, 0] = strength
    wcs.sip = Sip(a, a, None, None, wcs.wcs.crpix)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    wcs.wcs.set()
    return wcs


def galactic():
    wcs = make_wcs(n=170)
    place = TARGET.galactic
    wcs.wcs.ctype = ["GLON-TAN", "GLAT-TAN"]
    wcs.wcs.crval = [place.l.deg, place.b.deg]
    wcs.wcs.radesys = ""
    wcs.wcs.set()
    return wcs


def without_radesys():
    wcs = make_wcs(n=170)
    wcs.wcs.radesys = ""
    wcs.wcs.set()
    return wcs


def latitude_first():
    wcs = make_wcs(n=170)
    wcs.wcs.ctype = ["DEC--TAN", "RA---TAN"]
    wcs.wcs.crval = wcs.wcs.crval[::-1].copy()
    wcs.wcs.cd = wcs.wcs.cd[::-1].copy()
    wcs.wcs.set()
    return wcs


def sine():
    wcs = make_wcs(n=170)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.set()
    return wcs


GRIDS = {
    "ICRS": make_wcs(n=170),
    "FK5": make_wcs(n=170, frame="FK5"),
    "FK4": make_wcs(n=170, frame="FK4"),
    "no RADESYS": without_radesys(),
    "galactic": galactic(),
    "latitude first": latitude_first(),
    "SIN": sine(),
    "rotated": make_wcs(n=170, angle=17),
    "flipped": make_wcs(n=170, flip=True),
    "two degrees from the tangent point": make_wcs(n=170, tangent=FAR),
    "SIP": with_sip(1e-7),
}
OUT = make_wcs(n=120)


@pytest.mark.parametrize("name", GRIDS)
def test_positions_agree_with_astropy(name):
    ours = pixel_centres(OUT, GRIDS[name], (120, 120))
    y, x = np.mgrid[:120, :120].astype(float)
    theirs = np.stack(pixel_to_pixel(OUT, GRIDS[name], x, y), axis=-1)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", GRIDS)
def test_pixels_and_directions_are_inverse(name):
    x, y = check_points((170, 170))
    back = pixels_of(GRIDS[name], directions_of(GRIDS[name], x, y))
    np.testing.assert_allclose(back, np.stack([x, y], axis=-1), atol=1e-5)


def test_many_at_once_are_each_alone():
    grids = list(GRIDS.values())
    points = np.array([directions_of(OUT, *check_points((120, 120)))] * len(grids))
    together = pixels_of_each(grids, points)
    for wcs, directions, positions in zip(grids, points, together, strict=True):
        np.testing.assert_array_equal(positions, pixels_of(wcs, directions))


def fit(wcs, shape=(120, 120), out=OUT):
    directions = directions_of(out, *check_points(shape))
    return PixelMap(shape, pixels_of(wcs, directions)[None])


def evaluate(pixel_map):
    """The fitted quadratic at pixel centres."""
    ny, nx = pixel_map.shape
    y, x = np.mgrid[:ny, :nx]
    s, t = (2 * x + 1) / nx - 1, (2 * y + 1) / ny - 1
    basis = np.stack([np.ones_like(s), s, t, s * s, s * t, t * t], axis=-1)
    return basis @ pixel_map.coefficients[0]


@pytest.mark.parametrize("name", [name for name in GRIDS if name != "SIP"])
def test_the_fit_is_within_its_tolerance_everywhere(name):
    pixel_map = fit(GRIDS[name])
    assert pixel_map.is_accurate[0]
    full = pixel_centres(OUT, GRIDS[name], (120, 120))
    assert np.abs(evaluate(pixel_map) - full).max() < TOLERANCE


@pytest.mark.parametrize("strength", [1e-9, 1e-8, 1e-7, 1e-6])
def test_the_measured_error_bounds_the_true_one(strength):
    wcs = with_sip(strength)
    pixel_map = fit(wcs)
    full = pixel_centres(OUT, wcs, (120, 120))
    true = np.abs(evaluate(pixel_map) - full).max()
    assert true < 1.5 * pixel_map.error[0] + 1e-9


@pytest.mark.parametrize("strength", [1e-7, 1e-6])
def test_distortion_is_not_trusted_to_a_quadratic(strength):
    assert not fit(with_sip(strength)).is_accurate[0]


def test_a_field_of_degrees_is_not_trusted_to_a_quadratic():
    wide = make_wcs(n=200, scale=60)
    assert not fit(make_wcs(n=200, scale=60, tangent=FAR), (200, 200), wide).is_accurate


def test_nothing_is_found_on_the_far_side_of_the_sky():
    opposite = SkyCoord(TARGET.ra.deg + 180, -TARGET.dec.deg, unit="deg")
    far = fit(make_wcs(opposite, n=64))
    assert np.isnan(far.positions).all()
    assert not far.is_accurate[0]


def test_pixels_near_the_pole_are_placed_right():
    pole = SkyCoord(30, 89.9999, unit="deg")
    out, wcs = make_wcs(pole, n=64), make_wcs(pole, n=64, angle=40, scale=0.3)
    pixel_map = fit(wcs, (64, 64), out)
    assert pixel_map.is_accurate[0]
    full = pixel_centres(out, wcs, (64, 64))
    assert np.abs(evaluate(pixel_map) - full).max() < TOLERANCE


def test_area_is_the_ratio_of_the_pixels_on_the_sky():
    assert fit(make_wcs(n=32, scale=1.5, angle=30)).area[0] == pytest.approx(1 / 36)


def test_area_of_corners_is_the_area_of_the_fit():
    corners = pixel_corners(
        OUT, GRIDS["two degrees from the tangent point"], (120, 120)
    )
    area = fit(GRIDS["two degrees from the tangent point"]).area[0]
    np.testing.assert_allclose(quadrilateral_area(corners), area, rtol=1e-4)


@pytest.mark.parametrize(
    ("sign", "is_accurate"),
    [(-1, True), (1, False)],  # pixels of one area everywhere; area (1 + 2 e u)^2
)
def test_a_map_is_accurate_if_its_pixels_are_of_one_area(sign, is_accurate):
    """The map x = u + e u^2, y = v +- 2 e u v, which a quadratic fits exactly."""
    shape, e = (40, 40), 1e-3
    x, y = check_points(shape)
    u, v = (2 * x + 1) / 40 - 1, (2 * y + 1) / 40 - 1
    positions = np.stack([u + e * u**2, v + sign * 2 * e * u * v], axis=-1)
    for axes in ([0, 1], [1, 0]):  # and with x and y exchanged
        one = PixelMap(shape, positions[None, :, axes])
        assert one.error[0] < TOLERANCE
        assert one.is_accurate[0] == is_accurate
