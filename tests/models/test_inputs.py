"""The door in: native crops exactly as published, and every kind of bad image."""

import warnings

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS, FITSFixedWarning
from torch.nn.functional import interpolate

from mantis_astro import MultibandCutout, get_band
from mantis_astro.cutouts import read_cutout
from mantis_astro.exceptions import InputSpecError, MissingBandError
from mantis_astro.flags import Flag, decode_flags
from mantis_astro.models import InputSpec, NativeCrops
from mantis_astro.models.inputs import PUBLISHED_BANDS, PUBLISHED_STRETCH
from mantis_astro.models.stretches import FluxAsinhStretch, PositiveAsinhStretch

from ..made import make_cutout, make_galaxy

COORD = SkyCoord(150.1, 2.2, unit="deg")
SPEC = InputSpec.published_early()
CHANNEL = {band: i for i, band in enumerate(PUBLISHED_BANDS)}
ALL_BUT_PS1_G = [band for band in PUBLISHED_BANDS if band != "ps1.g"]


def flags_of(prepared, row=0):
    return set(decode_flags(prepared.flags[row]))


def prepare(*galaxies, spec=SPEC, ebv=0.03):
    return spec.to_tensor(galaxies, ebv)


def with_g(cutout, *, coord=COORD):
    """A galaxy whose g band is the given cutout, all else as served."""
    cutouts = {band: make_cutout(band, coord) for band in ALL_BUT_PS1_G}
    return MultibandCutout(coord, {**cutouts, "ps1.g": cutout})


def g_image(data=None, *, unit="adu", wcs=True, mask=None, meta=None):
    good = make_cutout("ps1.g", COORD)
    return CCDData(
        good.data if data is None else data,
        unit=unit,
        wcs=good.wcs if wcs is True else wcs,
        mask=mask,
        meta=good.meta if meta is None else meta,
    )


def channel(prepared, band="ps1.g", row=0):
    return prepared.images[row, CHANNEL[band]].numpy()


# As published


def test_tensor_equals_the_published_preparation_done_by_hand():
    galaxy = make_galaxy(COORD)
    image = {band: np.asarray(galaxy[band].data, float) for band in PUBLISHED_BANDS}
    by_hand = []
    for band in PUBLISHED_BANDS:
        survey, f = get_band(band).survey, image[band]
        if survey == "ps1":
            f = np.maximum(0, np.arcsinh(0.08 * f) / 8)[25:145, 25:145]
            by_hand.append(torch.from_numpy(f).float())
            continue
        f = (
            np.clip(f / 0.05, 0, 1)
            if survey == "galex"
            else np.maximum(0, np.arcsinh(0.6 * f) / 6)
        )
        f = torch.from_numpy(f)[None, None, 5:27, 5:27].float()
        by_hand.append(
            interpolate(f, (120, 120), mode="bilinear", antialias=True)[0, 0]
        )
    prepared = prepare(galaxy)
    torch.testing.assert_close(
        prepared.images[0], torch.stack(by_hand), atol=1e-6, rtol=0
    )
    assert prepared.flags.tolist() == [0]
    assert prepared.usable.tolist() == [True]


def test_channels_are_in_the_published_order():
    assert SPEC.bands == (
        *("galex.NUV", "galex.FUV"),
        *("ps1.g", "ps1.r", "ps1.i", "ps1.z", "ps1.y"),
        *("unwise.W1", "unwise.W2"),
    )


def test_each_band_reaches_its_own_channel():
    for band in PUBLISHED_BANDS:
        alone = prepare(make_galaxy(COORD, [band])).images[0]
        shown = alone.flatten(1).abs().amax(1) > 0
        assert shown.nonzero().flatten().tolist() == [CHANNEL[band]]


def test_swapping_two_bands_changes_the_tensor():
    galaxy = make_galaxy(COORD, ["ps1.g", "ps1.r"])
    swapped = MultibandCutout(
        COORD, {"ps1.g": galaxy["ps1.r"], "ps1.r": galaxy["ps1.g"]}
    )
    here, there = prepare(galaxy).images, prepare(swapped).images
    assert not torch.equal(here, there)
    assert torch.equal(here[:, [2, 3]], there[:, [3, 2]])


def test_late_fusion_gets_one_image_for_each_survey():
    galex, ps1, unwise = prepare(
        make_galaxy(COORD), spec=InputSpec.published_late()
    ).images
    assert galex.shape == (1, 2, 32, 32)
    assert ps1.shape == (1, 5, 120, 120)
    assert unwise.shape == (1, 2, 32, 32)


def test_input_is_never_changed():
    galaxy = make_galaxy(COORD)
    galaxy["ps1.g"].data[80, 80] = np.nan
    before = {band: cutout.data.copy() for band, cutout in galaxy.items()}
    prepare(galaxy)
    for band, data in before.items():
        np.testing.assert_array_equal(galaxy[band].data, data)


def test_nothing_is_random():
    galaxy = make_galaxy(COORD)
    assert torch.equal(prepare(galaxy).images, prepare(galaxy).images)


def test_a_galaxy_does_not_depend_on_its_neighbours():
    galaxies = [make_galaxy(COORD, seed=i) for i in range(3)]
    together = prepare(*galaxies)
    for i, galaxy in enumerate(galaxies):
        assert torch.equal(prepare(galaxy).images[0], together.images[i])


def test_no_galaxies_make_an_empty_input():
    prepared = SPEC.to_tensor([])
    assert len(prepared) == 0
    assert prepared.images.shape == (0, 9, 120, 120)
    assert prepared.ebv.shape == (0, 2)


@pytest.mark.parametrize("what", [42, "galaxy", CCDData(np.ones((3, 3)), unit="adu")])
def test_something_else_than_a_multiband_cutout_is_a_wrong_call(what):
    with pytest.raises(TypeError, match="must hold MultibandCutout objects"):
        SPEC.to_tensor([what])


def test_one_galaxy_may_be_given_alone():
    galaxy = make_galaxy(COORD)
    assert torch.equal(SPEC.to_tensor(galaxy).images, prepare(galaxy).images)


# Where the target is


def wcs_of(shape, target, *, scale=0.25, cd=((-1, 0), (0, 1)), coord=COORD):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = coord.ra.deg, coord.dec.deg
    wcs.wcs.crpix = np.array(target) + 1
    wcs.wcs.cd = np.array(cd, float) * scale / 3600
    wcs.array_shape = shape
    return wcs


def numbered(shape):
    """An image in which each pixel tells where it is."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (1000.0 * y + x).astype(np.float32)


def unstretched(pixels):
    return np.sinh(8.0 * pixels.astype(float)) / 0.08


@pytest.mark.parametrize(
    ("shape", "target"),
    [((300, 400), (210, 101)), ((171, 171), (80, 92)), ((240, 240), (119.5, 100.7))],
)
def test_larger_images_are_cut_around_the_pixel_of_the_target(shape, target):
    image = g_image(numbered(shape), wcs=wcs_of(shape, target))
    prepared = prepare(with_g(image))
    x, y = (int(np.floor(value + 0.5)) for value in target)
    crop = unstretched(channel(prepared))
    assert crop[60, 60] == pytest.approx(1000 * y + x, rel=1e-5)
    assert crop[60, 61] - crop[60, 60] == pytest.approx(1, abs=0.3)
    assert "OFF_CENTRE" in flags_of(prepared)


@pytest.mark.parametrize("offset", [(0, 0), (1.0, 1.0), (-1.4, 0)])
def test_an_image_centred_to_a_pixel_and_a_half_is_cropped_about_its_centre(offset):
    image = make_cutout("ps1.g", COORD)
    moved = g_image(image.data, wcs=wcs_of((170, 170), np.add(84.5, offset)))
    prepared = prepare(with_g(moved))
    np.testing.assert_array_equal(channel(prepared), channel(prepare(with_g(image))))
    assert "OFF_CENTRE" not in flags_of(prepared)


def test_more_than_a_pixel_and_a_half_is_off_centre():
    image = g_image(wcs=wcs_of((170, 170), (84.5 + 1.6, 84.5)))
    assert "OFF_CENTRE" in flags_of(prepare(with_g(image)))


@pytest.mark.parametrize(
    "cd",
    [((1, 0), (0, 1)), ((-1, 0), (0, -1)), ((1, 0), (0, -1)), ((0, 1), (1, 0))],
    ids=["east right", "north down", "both", "turned"],
)
def test_other_parities_are_brought_to_north_up_east_left(cd):
    """The same sky on turned detectors gives the same tensor."""
    sky = numbered((170, 170))
    straight = g_image(sky, wcs=wcs_of((170, 170), (84.5, 84.5)))
    # pixel (x, y) of the turned detector shows the offsets cd @ (x, y)
    offsets = np.array(cd) @ np.indices((170, 170))[::-1].reshape(2, -1)
    columns, rows = -offsets[0], offsets[1]  # east is to the left
    turned = sky[rows - rows.min(), columns - columns.min()].reshape(170, 170)
    image = g_image(turned, wcs=wcs_of((170, 170), (84.5, 84.5), cd=cd))
    np.testing.assert_array_equal(
        channel(prepare(with_g(image))), channel(prepare(with_g(straight)))
    )


def test_a_turn_by_a_few_degrees_is_left_as_it_is():
    c, s = np.cos(0.2), np.sin(0.2)
    turned = g_image(wcs=wcs_of((170, 170), (84.5, 84.5), cd=((-c, s), (s, c))))
    np.testing.assert_array_equal(
        channel(prepare(with_g(turned))), channel(prepare(with_g(g_image())))
    )


def test_an_image_that_ends_inside_the_field_is_filled_with_zeros():
    image = g_image(np.ones((100, 170)), wcs=wcs_of((100, 170), (84.5, 49.5)))
    prepared = prepare(with_g(image))
    rows = channel(prepared).any(axis=1)
    assert rows.nonzero()[0].tolist() == list(range(10, 110))
    assert "PARTIAL_COVERAGE" in flags_of(prepared)
    assert "MISSING_PS1" not in flags_of(prepared)


def test_galactic_and_distorted_wcs_are_followed():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "GLON-TAN", "GLAT-TAN"
    wcs.wcs.crval = COORD.galactic.l.deg, COORD.galactic.b.deg
    wcs.wcs.crpix = 85.5, 85.5
    wcs.wcs.cdelt = -0.25 / 3600, 0.25 / 3600
    prepared = prepare(with_g(g_image(wcs=wcs)))
    assert flags_of(prepared) == set()


# Bad images: the band is missing, the others are not


def not_celestial():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "LINEAR", "LINEAR"
    return wcs


def singular():
    wcs = wcs_of((170, 170), (84.5, 84.5))
    wcs.wcs.cd = np.array([[1.0, 1.0], [1.0, 1.0]]) / 3600
    return wcs


BAD_WCS = {
    "absent": lambda: None,
    "not celestial": not_celestial,
    "singular": singular,
    "pixels 20 % too large": lambda: wcs_of((170, 170), (84.5, 84.5), scale=0.31),
    "pixels 20 % too small": lambda: wcs_of((170, 170), (84.5, 84.5), scale=0.2),
    "one axis stretched": lambda: wcs_of(
        (170, 170), (84.5, 84.5), cd=((-1, 0), (0, 2))
    ),
    "target outside": lambda: wcs_of((170, 170), (567.0, 882.0)),
    "target on the other side of the sky": lambda: wcs_of(
        (170, 170), (84.5, 84.5), coord=SkyCoord(330.1, -2.2, unit="deg")
    ),
}


@pytest.mark.parametrize("wcs", BAD_WCS.values(), ids=BAD_WCS)
def test_a_band_with_a_bad_wcs_is_missing(wcs):
    prepared = prepare(with_g(g_image(wcs=wcs())))
    assert {"BAD_WCS", "MISSING_PS1"} <= flags_of(prepared)
    assert not channel(prepared).any()
    assert channel(prepared, "ps1.r").any()
    assert prepared.usable.tolist() == [True]


@pytest.mark.parametrize("scale", [0.22, 0.29])
def test_a_pixel_scale_within_20_percent_is_good(scale):
    image = g_image(wcs=wcs_of((170, 170), (84.5, 84.5), scale=scale))
    assert flags_of(prepare(with_g(image))) == set()


@pytest.mark.parametrize(
    ("data", "flag"),
    [
        (np.full((170, 170), np.nan), "BAD_PIXELS"),
        (np.full((170, 170), np.inf), "BAD_PIXELS"),
        (np.zeros((170, 170)), "MISSING_PS1"),
        (np.zeros((170, 170), int), "MISSING_PS1"),
    ],
    ids=["all NaN", "all infinite", "all zero", "all zero integers"],
)
def test_an_image_that_shows_nothing_is_missing(data, flag):
    prepared = prepare(with_g(g_image(data)))
    assert {flag, "MISSING_PS1"} <= flags_of(prepared)
    assert not channel(prepared).any()


def test_a_wholly_masked_image_is_missing():
    image = g_image(mask=np.ones((170, 170), bool))
    prepared = prepare(with_g(image))
    assert {"BAD_PIXELS", "MISSING_PS1"} <= flags_of(prepared)
    assert torch.isfinite(prepared.images).all()


def test_galex_without_coverage_is_zeros_and_missing():
    galaxy = make_galaxy(COORD)
    galaxy["galex.FUV"].data[:] = 0
    assert flags_of(prepare(galaxy)) == {"MISSING_GALEX"}


def test_a_window_without_photons_of_an_observed_image_is_not_missing():
    galaxy = make_galaxy(COORD)
    galaxy["galex.FUV"].data[:] = 0
    galaxy["galex.FUV"].data[0, 0] = 0.01  # outside the crop
    assert flags_of(prepare(galaxy)) == set()


def test_one_pixel_is_an_image_that_ends_inside_the_field():
    image = g_image(np.full((1, 1), 7.0), wcs=wcs_of((1, 1), (0, 0)))
    prepared = prepare(with_g(image))
    assert "PARTIAL_COVERAGE" in flags_of(prepared)
    assert np.count_nonzero(channel(prepared)) == 1


@pytest.mark.parametrize("dtype", [">f4", "<f4", ">f8", ">i2", "<i4", "u1", "f2"])
def test_numbers_of_any_type_and_byte_order_mean_the_same(dtype):
    counts = np.random.default_rng(0).integers(0, 100, (170, 170))
    prepared = prepare(with_g(g_image(counts.astype(dtype))))
    expected = prepare(with_g(g_image(counts.astype(np.float32))))
    np.testing.assert_array_equal(channel(prepared), channel(expected))


def test_numbers_beyond_float32_are_bad_pixels():
    data = make_cutout("ps1.g", COORD).data.astype(float)
    data[60:80, 60:80] = 1e300
    prepared = prepare(with_g(g_image(data)))
    assert "BAD_PIXELS" in flags_of(prepared)
    assert torch.isfinite(prepared.images).all()


@pytest.mark.parametrize(("n_bad", "flagged"), [(144, False), (145, True)])
@pytest.mark.parametrize("how", ["NaN", "mask"])
def test_more_than_one_percent_of_bad_pixels_is_flagged(n_bad, flagged, how):
    """144 pixels are one per cent of the 120 x 120 that the network reads."""
    bad = np.zeros((170, 170), bool)
    bad[30:142, 30:142].flat[np.arange(n_bad) * 7] = True
    data = make_cutout("ps1.g", COORD).data.copy()
    if how == "NaN":
        data[bad] = np.nan
    prepared = prepare(with_g(g_image(data, mask=bad if how == "mask" else None)))
    assert ("BAD_PIXELS" in flags_of(prepared)) == flagged
    assert "MISSING_PS1" not in flags_of(prepared)


def test_bad_pixels_are_zero_after_the_stretch():
    data = make_cutout("ps1.g", COORD).data + np.float32(500)
    mask = np.zeros((170, 170), bool)
    mask[85, 85], data[86, 86] = True, np.nan
    pixels = channel(prepare(with_g(g_image(data, mask=mask))))
    assert np.argwhere(pixels == 0).tolist() == [[60, 60], [61, 61]]


# Units


def test_flux_densities_are_brought_to_the_unit_of_the_survey():
    data = make_cutout("ps1.g", COORD).data
    njy = 3631e9 * 10 ** (-0.4 * get_band("ps1.g").zero_point_ab(1000.0))
    image = g_image(data * njy, unit=u.nJy, meta={"exposure_time": 1000.0})
    np.testing.assert_allclose(
        channel(prepare(with_g(image))), channel(prepare(with_g(g_image()))), atol=1e-6
    )


@pytest.mark.parametrize(
    ("unit", "meta"),
    [
        ("electron", {"exposure_time": 1000.0}),
        ("nJy", {}),
        ("m", {}),
        ("", {}),
        ("K", {"exposure_time": 1000.0, "zero_point_ab": 32.5}),
    ],
)
def test_a_unit_that_cannot_be_converted_makes_the_band_missing(unit, meta):
    prepared = prepare(with_g(g_image(unit=unit, meta=meta)))
    assert {"BAD_PIXELS", "MISSING_PS1"} <= flags_of(prepared)
    assert not channel(prepared).any()


def test_another_unit_with_a_zero_point_can_be_converted():
    zero_point = get_band("ps1.g").zero_point_ab(1000.0)
    meta = {"exposure_time": 1000.0, "zero_point_ab": zero_point - 2.5}
    data = make_cutout("ps1.g", COORD).data
    image = g_image(data / 10, unit="electron", meta=meta)
    np.testing.assert_allclose(
        channel(prepare(with_g(image))), channel(prepare(with_g(g_image()))), atol=1e-6
    )


def flux_spec():
    geometry = NativeCrops((("ps1", 32),))
    return InputSpec(("ps1.g",), geometry, (FluxAsinhStretch(100.0),))


@pytest.mark.parametrize("exposure", [100.0, 2000.0])
def test_the_flux_stretch_does_not_see_the_exposure_time(exposure):
    njy = np.full((32, 32), 250.0)
    zero_point = get_band("ps1.g").zero_point_ab(exposure)
    counts = njy / (3631e9 * 10 ** (-0.4 * zero_point))
    image = g_image(
        counts, wcs=wcs_of((32, 32), (15.5, 15.5)), meta={"exposure_time": exposure}
    )
    (plane,) = prepare(
        MultibandCutout(COORD, {"ps1.g": image}), spec=flux_spec()
    ).images
    np.testing.assert_allclose(plane, np.arcsinh(2.5), rtol=1e-5)


def test_the_flux_stretch_needs_an_exposure_time():
    image = g_image(wcs=wcs_of((170, 170), (84.5, 84.5)), meta={})
    prepared = prepare(MultibandCutout(COORD, {"ps1.g": image}), spec=flux_spec())
    assert {"BAD_PIXELS", "NO_DATA"} <= flags_of(prepared)


# Whole galaxies


def test_one_bad_galaxy_never_stops_a_batch():
    nothing = MultibandCutout(COORD, {})
    nowhere = MultibandCutout(
        SkyCoord(np.nan, 5.0, unit="deg"), {"ps1.g": make_cutout("ps1.g", COORD)}
    )
    good = make_galaxy(COORD)
    prepared = prepare(nothing, good, nowhere)
    assert prepared.usable.tolist() == [False, True, False]
    assert torch.equal(prepared.images[1], prepare(good).images[0])
    assert {"NO_DATA", "MISSING_GALEX", "MISSING_PS1", "MISSING_UNWISE"} == flags_of(
        prepared, 0
    )
    assert {"BAD_COORDINATES", "NO_DATA"} <= flags_of(prepared, 2)


@pytest.mark.parametrize(
    ("survey", "flag"),
    [("galex", "MISSING_GALEX"), ("ps1", "MISSING_PS1"), ("unwise", "MISSING_UNWISE")],
)
def test_the_survey_of_a_missing_band_is_named(survey, flag):
    bands = [b for b in PUBLISHED_BANDS if not b.startswith(survey)]
    prepared = prepare(make_galaxy(COORD, bands))
    assert flags_of(prepared) == {flag}
    assert prepared.usable.all()


def test_reddening_not_given_is_assumed_and_flagged():
    prepared = SPEC.to_tensor([make_galaxy(COORD)])
    assert flags_of(prepared) == {"EBV_ASSUMED"}
    np.testing.assert_allclose(prepared.ebv, [[0.0355, 0.0418]], rtol=1e-6)


def test_reddening_by_map_reaches_its_own_column():
    prepared = prepare(make_galaxy(COORD), ebv={"planck": [0.3], "csfd": [0.1]})
    np.testing.assert_allclose(prepared.ebv, [[0.1, 0.3]], rtol=1e-6)
    assert flags_of(prepared) == {"HIGH_EBV"}


def test_flags_are_int32():
    prepared = prepare(make_galaxy(COORD))
    assert prepared.flags.dtype == np.int32
    assert prepared.images.dtype == prepared.ebv.dtype == torch.float32


# The contract itself


def test_each_band_needs_its_stretch():
    with pytest.raises(InputSpecError, match="one function for each of 9 bands, got 8"):
        InputSpec(PUBLISHED_BANDS, SPEC.geometry, PUBLISHED_STRETCH[:-1])


def test_each_survey_needs_its_crop():
    geometry = NativeCrops((("ps1", 120), ("galex", 22)))
    with pytest.raises(InputSpecError, match=r"a side for each survey.*\['unwise'\]"):
        InputSpec(PUBLISHED_BANDS, geometry, PUBLISHED_STRETCH)


def test_bands_of_a_spec_must_be_known():
    with pytest.raises(MissingBandError, match=r"no band 'ps1\.q'"):
        InputSpec(("ps1.q",), SPEC.geometry, PUBLISHED_STRETCH[2:3])


def test_stretches_agree_on_the_unit():
    stretch = (FluxAsinhStretch(1.0), PositiveAsinhStretch(1.0, 1.0))
    with pytest.raises(InputSpecError, match="all bands in nJy, or none"):
        InputSpec(("ps1.g", "ps1.r"), NativeCrops((("ps1", 32),)), stretch)


def test_each_dust_map_needs_a_default():
    with pytest.raises(InputSpecError, match="one number for each of the maps"):
        InputSpec(PUBLISHED_BANDS, SPEC.geometry, PUBLISHED_STRETCH, ("csfd",))


def test_specs_are_values():
    assert InputSpec.published_early() == SPEC
    assert InputSpec.published_early(unwise_pixel_scale=1.5) != SPEC


@pytest.mark.parametrize("scale", [2.75, 1.5])
def test_unwise_images_must_have_the_scale_that_the_spec_says(scale):
    """The published code has both; one of them is a bad WCS for the other."""
    galaxy = make_galaxy(COORD, ["unwise.W1", "unwise.W2"])  # 2.75 arcsec
    prepared = prepare(galaxy, spec=InputSpec.published_early(unwise_pixel_scale=scale))
    assert ("BAD_WCS" in flags_of(prepared)) == (scale != 2.75)


# Real images


def foreign_image(path):
    """An image of a survey that is not registered, taken as PS1 for its pixels."""
    with fits.open(path) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return CCDData(hdus[0].data.copy(), unit="adu", wcs=WCS(hdus[0].header))


@pytest.mark.real_data
def test_real_images_reach_the_network_as_prepared_by_hand(real_data):
    folder = real_data / "images" / "ps1_j0028"
    bands = [band for band in PUBLISHED_BANDS if band.startswith("ps1")]
    cutouts = {band: read_cutout(folder / f"2_{band[-1]}.fits", band) for band in bands}
    galaxy = MultibandCutout(SkyCoord(7.09390, -10.65098, unit="deg"), cutouts)
    prepared = prepare(galaxy)
    for band in bands:
        f = np.asarray(galaxy[band].data, float)[300:420, 300:420]
        by_hand = np.nan_to_num(np.maximum(0, np.arcsinh(0.08 * f) / 8))
        np.testing.assert_allclose(channel(prepared, band), by_hand, atol=1e-6)
    assert flags_of(prepared) == {"MISSING_GALEX", "MISSING_UNWISE"}


@pytest.mark.real_data
def test_moving_the_target_by_five_arcsec_moves_the_crop_by_twenty_pixels(real_data):
    image = read_cutout(real_data / "images" / "ps1_j0028" / "2_r.fits", "ps1.r")
    target = SkyCoord(7.09390, -10.65098, unit="deg")
    moved = target.directional_offset_by(0 * u.deg, 5 * u.arcsec)
    here, there = (
        channel(prepare(MultibandCutout(coord, {"ps1.r": image})), "ps1.r")
        for coord in (target, moved)
    )
    np.testing.assert_array_equal(there[:100], here[20:])
    assert Flag.OFF_CENTRE & prepare(MultibandCutout(moved, {"ps1.r": image})).flags[0]


@pytest.mark.real_data
def test_a_wcs_not_updated_after_cropping_is_never_used(real_data):
    image = foreign_image(real_data / "images" / "ugc1333" / "SDSS_g.fits")
    spec = InputSpec(
        ("ps1.g",),
        NativeCrops((("ps1", 32),), pixel_scales=(("ps1", 0.396),)),
        (PositiveAsinhStretch(0.08, 8.0),),
    )
    galaxy = MultibandCutout(SkyCoord(27.952, 0.2635, unit="deg"), {"ps1.g": image})
    assert {"BAD_WCS", "NO_DATA"} <= flags_of(prepare(galaxy, spec=spec))


@pytest.mark.real_data
def test_a_real_image_with_east_to_the_right_is_flipped(real_data):
    """DES shows what PS1 does once its mirror image is undone."""
    folder = real_data / "images" / "ugc1333"
    coord = SkyCoord(27.952, 0.2635, unit="deg")
    ps1 = read_cutout(folder / "PS1_g.fits", "ps1.g")
    des = foreign_image(folder / "DES_g.fits")
    spec = InputSpec(
        ("ps1.g",), NativeCrops((("ps1", 120),)), (PositiveAsinhStretch(0.08, 8.0),)
    )
    crops = [
        prepare(MultibandCutout(coord, {"ps1.g": image}), spec=spec).images[0][0, 0]
        for image in (ps1, des)
    ]
    as_it_is, mirrored = (
        np.corrcoef(crops[0].ravel(), other.ravel())[0, 1]
        for other in (crops[1], crops[1].flip(-1))
    )
    assert as_it_is > mirrored + 0.05
