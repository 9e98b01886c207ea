"""Every door of the package gives the same verdict on the same WCS."""

import logging

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.wcs import WCS
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mantis_astro import MultibandCutout, align, align_batch, common_wcs, get_band
from mantis_astro.alignment.grid import find_wcs_problem
from mantis_astro.astrometry import check_wcs, judge, judge_all
from mantis_astro.astrometry.directions import icrs_lon_lat, tangent_axes
from mantis_astro.exceptions import InputSpecError
from mantis_astro.flags import Flag
from mantis_astro.models import CommonGrid, InputSpec
from mantis_astro.models.stretches import FluxAsinhStretch
from mantis_astro.photometry import Circular, measure_photometry

BAND = get_band("ps1.g")
N = 40
PIXELS = np.random.default_rng(0).normal(10, 1, (N, N)).astype(np.float32)
GRID = CommonGrid((8, 8), 0.25), (FluxAsinhStretch(100.0),)
SPECS = [InputSpec.published_early(), InputSpec(("ps1.g",), *GRID)]
CIRCLE = Circular(1 * u.arcsec, correction=None)
PLACES = [(150.1, 2.2), (0.0, 10.0), (359.99999, -30.0), (40.0, 90.0), (7.0, -90.0)]


def make_cutout(wcs, coord, **meta):
    image = CCDData(PIXELS, unit="adu")
    image._wcs = wcs  # the setter refuses a third axis
    image.meta.update(exposure_time=600.0, zero_point_ab=32.0, **meta)
    return MultibandCutout(coord, {BAND: image})


def make_wcs(coord, matrix, *, shift=(0, 0), ctype=("RA---TAN", "DEC--TAN")):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = list(ctype)
    wcs.wcs.crval = coord.ra.deg, coord.dec.deg
    wcs.wcs.crpix = (N + 1) / 2 + shift[0], (N + 1) / 2 + shift[1]
    wcs.wcs.cd = np.asarray(matrix) * 0.25 / 3600
    return wcs


def is_masked_by_align_batch(cutouts):
    _, masks = align_batch([cutouts], 0.25 * u.arcsec, (8, 8))
    return bool(masks.all())


def is_refused_by(function, *args):
    try:
        function(*args)
    except InputSpecError:
        return True
    return False


def verdicts(cutouts):
    """Whether the WCS is wrong, as each door has it."""
    image, coord = cutouts[BAND], cutouts.coord
    wcs = common_wcs(coord, (8, 8), 0.25 * u.arcsec)
    table = measure_photometry(cutouts, aperture=CIRCLE, deblend=None)
    found = {
        "find_wcs_problem": find_wcs_problem(image, BAND, coord) is not None,
        "judge_all": not judge_all([cutouts], [BAND]).is_right.item(),
        "check_wcs": is_refused_by(check_wcs, cutouts),
        "align": is_refused_by(align, cutouts, wcs),
        "align_batch": is_masked_by_align_batch(cutouts),
        "measure_photometry": bool(table["flags_ps1_g"][0] & Flag.BAD_WCS),
    }
    for spec in SPECS:
        prepared = spec.to_tensor([cutouts], 0.02)
        is_bad = bool(prepared.flags[0] & Flag.BAD_WCS)
        assert prepared.usable[0] != is_bad
        found[type(spec.geometry).__name__] = is_bad
    return found


def verdict(cutouts):
    """What all doors agree on."""
    found = verdicts(cutouts)
    assert len(set(found.values())) == 1, found
    return found["judge_all"]


turns = st.floats(0, 360)
stretches = st.floats(0.5, 2.0)


@given(
    place=st.sampled_from(PLACES),
    scale=stretches,
    ratio=st.floats(0.8, 1.25),
    angle=turns,
    along=turns,
    flip=st.booleans(),
)
@example((150.1, 2.2), 0.82, 1.0, 0.0, 0.0, False)
@example((150.1, 2.2), 1 / 1.2001, 1.0, 0.0, 0.0, False)
@example((150.1, 2.2), 1 / 1.1999, 1.0, 30.0, 0.0, True)
@example((150.1, 2.2), 1.1999, 1.0, 0.0, 0.0, False)
@example((150.1, 2.2), 1.2001, 1.0, 0.0, 0.0, False)
@example((0.0, 10.0), 1.1, 1.0910, 0.0, 45.0, False)
@settings(max_examples=60)
def test_scale_is_right_if_no_direction_is_a_fifth_off(
    place, scale, ratio, angle, along, flip
):
    """Singular values of the matrix, whatever rotation, parity and shear it has."""
    coord = SkyCoord(*place, unit="deg")

    def turn(degrees):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return np.array([[c, -s], [s, c]])

    parity = np.diag([1.0 if flip else -1.0, 1.0])
    stretch = np.diag([scale * ratio, scale / ratio])
    matrix = turn(angle) @ parity @ stretch @ turn(along)
    extremes = np.array([scale * ratio, scale / ratio])
    off = max(extremes.max(), 1 / extremes.min())
    if abs(off / 1.2 - 1) > 1e-5:  # no float decides on the edge itself
        assert verdict(make_cutout(make_wcs(coord, matrix), coord)) == (off > 1.2)
    else:
        verdict(make_cutout(make_wcs(coord, matrix), coord))


@pytest.mark.parametrize("scale", [1.2, 1 / 1.2])
def test_exactly_a_fifth_off_is_right(scale):
    coord = SkyCoord(*PLACES[0], unit="deg")
    wcs = make_wcs(coord, np.diag([-scale, scale]))
    assert not verdict(make_cutout(wcs, coord))


@given(x=st.floats(-30, 70), y=st.floats(-30, 70), place=st.sampled_from(PLACES))
@example(-0.4999, 10.0, (150.1, 2.2))
@example(-0.5001, 10.0, (150.1, 2.2))
@example(10.0, 39.4999, (0.0, 10.0))
@example(10.0, 39.5001, (0.0, 10.0))
@settings(max_examples=30)
def test_target_is_on_the_image_up_to_the_edge_of_its_pixels(x, y, place):
    coord = SkyCoord(*place, unit="deg")
    centre = (N - 1) / 2
    wcs = make_wcs(coord, np.diag([-1, 1]), shift=(x - centre, y - centre))
    distance = max(abs(x - centre), abs(y - centre)) - N / 2
    if abs(distance) > 1e-6:
        assert verdict(make_cutout(wcs, coord)) == (distance > 0)


def with_axes(*ctype):
    return make_wcs(HERE, STRAIGHT, ctype=ctype)


def third_axis():
    wcs = WCS(naxis=3)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN", "FREQ"
    return wcs


def with_sip(coefficient, coord=None):
    """A distortion of the second order, in pixels of pixels squared along x."""
    coord = SkyCoord(*PLACES[0], unit="deg") if coord is None else coord
    wcs = make_wcs(coord, np.diag([-1, 1]), ctype=("RA---TAN-SIP", "DEC--TAN-SIP"))
    header = wcs.to_header()
    header.update(A_ORDER=2, B_ORDER=2, A_2_0=coefficient)
    header.update(CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP")
    return WCS(header)


HERE, THERE = SkyCoord(150.1, 2.2, unit="deg"), SkyCoord(330.1, -2.2, unit="deg")
STRAIGHT = np.diag([-1, 1])
WRONG = {
    "none": lambda: None,
    "singular": lambda: make_wcs(HERE, [[1, 1], [1, 1]]),
    "nearly singular": lambda: make_wcs(HERE, [[1, 1], [1, 1 + 1e-9]]),
    "three axes": third_axis,
    "no sky": lambda: with_axes("WAVE", "FREQ"),
    "no such projection": lambda: with_axes("RA---XYZ", "DEC--XYZ"),
    "a frame without a name": lambda: with_axes("SLON-TAN", "SLAT-TAN"),
    "a planet without a size": lambda: with_axes("MELN-TAN", "MELT-TAN"),
    "other side of the sky": lambda: make_wcs(THERE, STRAIGHT),
    "other side, distorted": lambda: with_sip(1e-6, THERE),
    "far from the image": lambda: make_wcs(SkyCoord(160, 2, unit="deg"), STRAIGHT),
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_a_wcs_that_cannot_be_right_is_wrong_at_every_door(make):
    assert verdict(make_cutout(make(), HERE))


def galactic():
    centre = SkyCoord(HERE.galactic.l, HERE.galactic.b)
    return make_wcs(centre, STRAIGHT, ctype=("GLON-TAN", "GLAT-TAN"))


RIGHT = {
    "straight": lambda: make_wcs(HERE, STRAIGHT),
    "galactic": galactic,
    "distorted": lambda: with_sip(1e-4),
}


@pytest.mark.parametrize("make", RIGHT.values(), ids=RIGHT)
def test_a_wcs_of_any_frame_or_distortion_is_right_at_every_door(make):
    assert not verdict(make_cutout(make(), HERE))


def test_the_scale_is_that_at_the_target_distortion_included():
    """Pixels at the target are as large as the derivative of the distortion says."""
    wcs = with_sip(1e-2)  # 1 + 2 * 0.01 * x: 20 % at ten pixels from the centre
    near, far = (wcs.pixel_to_world((N - 1) / 2 + x, (N - 1) / 2) for x in (8.0, 12.0))
    assert not verdict(make_cutout(wcs, near))
    assert verdict(make_cutout(wcs, far))


def test_an_aligned_cutout_is_judged_by_the_grid_it_was_aligned_to():
    """A network that crops wants the survey's own pixels, and is not among these."""
    record = [{"pixel_scale_arcsec": [0.25, 1.0]}]
    fits = make_cutout(make_wcs(HERE, 4 * STRAIGHT), HERE, alignment=record)
    other = make_cutout(make_wcs(HERE, STRAIGHT), HERE, alignment=record)
    for cutouts, is_wrong in [(fits, False), (other, True)]:
        found = verdicts(cutouts)
        del found["NativeCrops"]
        assert set(found.values()) == {is_wrong}


@pytest.mark.parametrize("records", [[], [{"method": "exact"}]])
def test_without_a_recorded_grid_the_survey_or_a_square_is_the_measure(records):
    square = make_cutout(make_wcs(HERE, 4 * STRAIGHT), HERE, alignment=records)
    assert judge_all([square], [BAND]).is_right.item() == bool(records)
    oblong = make_cutout(make_wcs(HERE, np.diag([-4, 5])), HERE, alignment=records)
    assert not judge_all([oblong], [BAND]).is_right.item()


@pytest.mark.parametrize(
    ("scale", "tolerance", "is_right"),
    [
        (1.009, 0.01, True),
        (1.011, 0.01, False),
        (1 / 1.011, 0.01, False),
        (1.4, 0.5, True),
    ],
)
def test_the_tolerance_is_an_argument(scale, tolerance, is_right):
    image = make_cutout(make_wcs(HERE, scale * STRAIGHT), HERE)[BAND]
    axes = tangent_axes(*icrs_lon_lat(HERE))
    _, problem = judge(image, axes, 0.25, tolerance=tolerance)
    assert (problem is None) == is_right
    if not is_right:
        assert f"(more than {tolerance:.0%} off)" in problem


def test_images_that_share_their_grid_share_one_verdict():
    wcs = make_wcs(HERE, STRAIGHT)
    image = make_cutout(wcs, HERE)[BAND]
    alike = CCDData(PIXELS, unit="adu", wcs=wcs.deepcopy())
    moved = CCDData(PIXELS, unit="adu", wcs=make_wcs(HERE, STRAIGHT, shift=(1, 0)))
    cutouts = MultibandCutout(
        HERE, {"ps1.g": image, "ps1.r": alike, "ps1.i": moved, "galex.NUV": alike}
    )
    bands = [
        get_band(name) for name in ("galex.NUV", "ps1.g", "ps1.r", "ps1.i", "ps1.z")
    ]
    found = judge_all([cutouts, MultibandCutout(HERE, {})], bands)
    assert found.index.tolist() == [[0, 1, 1, 2, -1], [-1] * 5]
    assert found.is_right.tolist() == [[False, True, True, True, False], [False] * 5]


def test_align_batch_does_not_judge_what_was_judged(caplog):
    wrong = make_cutout(make_wcs(HERE, 2 * STRAIGHT), HERE)
    right = make_cutout(make_wcs(HERE, STRAIGHT), HERE)
    batch = [wrong, right]
    with caplog.at_level(logging.WARNING):
        tensor, masks = align_batch(batch, 0.25 * u.arcsec, (8, 8))
    assert "1 images left out, first target 0, ps1.g: its pixels" in caplog.text
    caplog.clear()
    found = judge_all(batch, [BAND], tolerance=1.5)
    loose, _ = align_batch(batch, 0.25 * u.arcsec, (8, 8), bands=[BAND], verdicts=found)
    assert not loose[0].isnan().any()
    strict = judge_all(batch, [BAND])
    again, masks_again = align_batch(
        batch, 0.25 * u.arcsec, (8, 8), bands=[BAND], verdicts=strict
    )
    np.testing.assert_array_equal(again, tensor)
    np.testing.assert_array_equal(masks_again, masks)
    assert not caplog.text
