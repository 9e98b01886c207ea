"""One bad galaxy never stops a batch: it is flagged, and masked where it must be."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.wcs import WCS

from mantis_astro import MultibandCutout
from mantis_astro.exceptions import MissingBandError
from mantis_astro.flags import Flag
from mantis_astro.photometry import Circular, measure_photometry

from .scenes import COORD, first, make_cutout, make_target, make_wcs

FAST = {"aperture": Circular(4 * u.arcsec), "deblend": None}


def measure(cutout, good=None, **options):
    """A bad cutout between two good ones."""
    good = good or make_target(noise=1.0)
    bad = MultibandCutout(COORD, {"ps1.r": cutout})
    table = measure_photometry([good, bad, good], **(options or FAST))
    for row in (0, 2):
        assert first(table["flux_ps1_r"], row) == pytest.approx(1e5, rel=0.02)
        assert not table["flags_ps1_r"][row]
    return table[1:2], table.meta["problems"]


def changed(cutout, **attributes):
    new = cutout.copy()
    for name, value in attributes.items():
        setattr(new, name, value)
    return new


def without_scale():
    wcs = make_wcs(COORD, (170, 170), 0.25)
    wcs.wcs.cd = np.zeros((2, 2))
    return wcs


def not_celestial():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "WAVE", "FREQ"
    return wcs


def elsewhere():
    """Not updated after the image was cut out of a larger one (SDSS of UGC 1333)."""
    wcs = make_wcs(COORD, (170, 170), 0.25)
    wcs.wcs.crpix = 567, 882
    return wcs


def antipode():
    return make_wcs(SkyCoord(330, -2, unit="deg"), (170, 170), 0.25)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: None, "there is no WCS"),
        (without_scale, "singular"),
        (not_celestial, "must have two celestial axes"),
        (elsewhere, r"the target falls at pixel \(566, 881\), outside the image"),
        (antipode, ""),
    ],
)
@pytest.mark.parametrize("options", [FAST, {"aperture": "kron"}], ids=["fast", "kron"])
def test_a_wcs_that_cannot_be_right_is_flagged_and_masked(make, reason, options):
    row, problems = measure(changed(make_cutout(noise=1.0), wcs=make()), **options)
    assert row["flux_ps1_r"].mask.all()
    assert row["flags_ps1_r"] == [Flag.BAD_WCS | Flag.NO_DATA]
    assert row["flags"] == [Flag.BAD_WCS | Flag.NO_DATA | Flag.MISSING_PS1]
    (problem,) = problems
    assert problem.startswith("ps1.r: ")
    import re

    assert re.search(reason, problem)


def test_a_pixel_scale_that_is_not_the_surveys_is_flagged():
    wcs = make_wcs(COORD, (170, 170), 0.4)
    row, _ = measure(make_cutout(noise=1.0, wcs=wcs))
    assert row["flags"][0] == Flag.BAD_WCS
    assert not row["flux_ps1_r"].mask[0]


def test_an_aligned_image_may_have_another_pixel_scale():
    cutout = make_cutout(noise=1.0, wcs=make_wcs(COORD, (170, 170), 0.4))
    cutout.meta["alignment"] = [{"method": "exact"}]
    row, _ = measure(cutout)
    assert row["flags"][0] == 0


@pytest.mark.parametrize("zero_point", [None, np.nan, "unknown"])
def test_without_a_zero_point_there_is_no_flux(zero_point):
    row, problems = measure(make_cutout(noise=1.0, zero_point_ab=zero_point))
    assert row["flux_ps1_r"].mask.all()
    assert row["flags_ps1_r"] == [Flag.NO_DATA]
    (problem,) = problems
    assert "set it, e.g. with Band.zero_point_ab(exposure_time)" in problem


def test_an_image_of_zeros_was_not_observed():
    cutout = make_cutout("galex.NUV", flux=0.0)
    assert not cutout.data.any()
    target = MultibandCutout(
        COORD, {"galex.NUV": cutout, "ps1.r": make_cutout(noise=1.0)}
    )
    table = measure_photometry(target)
    assert table["flux_galex_NUV"].mask[0]
    assert table["flags"][0] == Flag.MISSING_GALEX
    assert (
        "galex.NUV: all pixels are zero: the survey did not look there"
        in (table.meta["problems"])
    )


@pytest.mark.parametrize("hide", ["nan", "mask"])
def test_an_image_of_bad_pixels_was_not_observed(hide):
    cutout = make_cutout()
    if hide == "nan":
        cutout.data[:] = np.nan
    else:
        cutout.mask = np.ones(cutout.shape, dtype=bool)
    row, _ = measure(cutout)
    assert row["flux_ps1_r"].mask.all()
    assert row["flags"][0] & Flag.NO_DATA


def test_a_masked_hot_pixel_changes_nothing_around_it():
    clean = make_cutout(noise=1.0)
    masked = clean.copy()
    masked.mask = np.zeros(clean.shape, dtype=bool)
    masked.mask[70, 70] = True
    hot = masked.copy()
    hot.data[70, 70] = 1e9
    for options in (FAST, {"aperture": "kron"}):
        with_hot, _ = measure(hot, **options)
        without, _ = measure(masked, **options)
        assert first(with_hot["flux_ps1_r"]) == first(without["flux_ps1_r"])


def test_a_border_of_nan_outside_the_aperture_is_only_flagged():
    cutout = make_cutout(noise=1.0)
    cutout.data[:, :20] = np.nan
    row, _ = measure(cutout)
    assert first(row["flux_ps1_r"]) == pytest.approx(1e5, rel=0.01)
    assert row["flags"][0] == Flag.BAD_PIXELS


def test_a_border_of_nan_in_the_aperture_is_partial_coverage():
    cutout = make_cutout(noise=1.0)
    cutout.data[:, :80] = np.nan
    row, _ = measure(cutout)
    assert row["flags"][0] & Flag.PARTIAL_COVERAGE
    assert 0.5 < row["coverage_ps1_r"][0] < 0.8
    assert first(row["flux_ps1_r"]) < 1e5


def test_an_image_smaller_than_the_aperture_gives_what_it_shows():
    """No sky: nothing is subtracted, and the noise is not known."""
    cutout = make_cutout(shape=(21, 21))
    row, _ = measure(cutout, aperture=Circular(4 * u.arcsec, None), deblend=None)
    assert row["flags"][0] & Flag.PARTIAL_COVERAGE
    assert first(row["flux_ps1_r"]) == pytest.approx(cutout.data.sum(), rel=1e-6)
    assert row["flux_err_ps1_r"].mask[0]
    area = np.pi * 16**2
    assert row["coverage_ps1_r"][0] == pytest.approx(21**2 / area, rel=1e-9)


@pytest.mark.parametrize("options", [FAST, {"aperture": "kron"}], ids=["fast", "kron"])
def test_a_saturated_core_is_flagged(options):
    cutout = make_cutout(flux=1e7, noise=1.0)
    cutout.data[83:87, 83:87] = np.nan
    row, _ = measure(cutout, **options)
    assert row["flags"][0] & Flag.SATURATED


def test_a_stated_saturation_level_is_heeded():
    cutout = make_cutout(noise=1.0)
    cutout.meta["saturation"] = float(cutout.data.max())
    row, _ = measure(cutout)
    assert row["flags"][0] & Flag.SATURATED


def test_bad_pixels_in_the_outskirts_are_not_saturated():
    cutout = make_cutout(noise=1.0)
    cutout.data[84, 75] = np.nan
    row, _ = measure(cutout)
    assert not row["flags"][0] & Flag.SATURATED


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i2", "<i4", "u2"])
def test_any_kind_of_number_gives_the_same(dtype):
    cutout = make_cutout(noise=0.0, sky=100.0)
    cutout.data = np.rint(cutout.data)
    row, _ = measure(changed(cutout, data=cutout.data.astype(dtype)))
    expected, _ = measure(cutout)
    assert first(row["flux_ps1_r"]) == first(expected["flux_ps1_r"])


@pytest.mark.parametrize(
    "coord",
    [(0.0, 10.0), (359.9999999, -10.0), (10.0, 90.0), (0.0, -90.0), (123.0, 89.9999)],
)
@pytest.mark.parametrize("options", [FAST, {"aperture": "kron"}], ids=["fast", "kron"])
def test_no_place_on_the_sky_is_special(coord, options):
    coord = SkyCoord(*coord, unit="deg")
    target = make_target("ps1.r", "unwise.W1", coord=coord, noise=1.0)
    table = measure_photometry(target, **options)
    assert first(table["flux_ps1_r"]) == pytest.approx(1e5, rel=0.01)
    assert first(table["flux_unwise_W1"]) == pytest.approx(1e5, rel=0.02)
    assert table["aperture_coord"][0].separation(coord) < 0.1 * u.arcsec
    assert table["flags"][0] == 0


@pytest.mark.parametrize("frame", ["FK5", "ICRS", "FK4"])
def test_the_frame_of_the_wcs_is_heeded(frame):
    cutout = make_cutout(noise=1.0)
    wcs = cutout.wcs.deepcopy()
    wcs.wcs.radesys = frame
    if frame == "FK4":
        wcs.wcs.equinox = 1950.0
        wcs.wcs.crval = COORD.fk4.ra.deg, COORD.fk4.dec.deg
    row, _ = measure(changed(cutout, wcs=wcs))
    assert first(row["flux_ps1_r"]) == pytest.approx(1e5, rel=0.01)


def test_galactic_images_are_measured_too():
    wcs = make_wcs(COORD, (170, 170), 0.25)
    wcs.wcs.ctype = "GLON-TAN", "GLAT-TAN"
    wcs.wcs.crval = COORD.galactic.l.deg, COORD.galactic.b.deg
    row, _ = measure(changed(make_cutout(noise=1.0), wcs=wcs))
    assert first(row["flux_ps1_r"]) == pytest.approx(1e5, rel=0.01)


def test_a_target_far_from_the_centre_is_flagged():
    row, _ = measure(make_cutout(noise=1.0, shift=(3, 0)))
    assert row["flags"][0] == Flag.OFF_CENTRE
    assert first(row["flux_ps1_r"]) == pytest.approx(1e5, rel=0.01)


@pytest.mark.parametrize("shape", [(170, 170), (171, 171), (170, 171)])
def test_even_and_odd_sizes_are_the_same(shape):
    row, _ = measure(make_cutout(noise=1.0, shape=shape))
    assert first(row["flux_ps1_r"]) == pytest.approx(1e5, rel=0.01)
    assert row["flags"][0] == 0


def test_a_position_that_is_not_finite_is_flagged():
    nowhere = SkyCoord(np.nan, 2.0, unit="deg")
    bad = MultibandCutout(nowhere, {"ps1.r": make_cutout(noise=1.0)})
    table = measure_photometry([bad, make_target(noise=1.0)])
    assert table["flags"][0] & Flag.BAD_COORDINATES
    assert table["flux_ps1_r"].mask.tolist() == [True, False]


def test_a_target_without_any_band_has_no_data():
    table = measure_photometry([MultibandCutout(COORD, {}), make_target(noise=1.0)])
    assert table["flags"][0] == Flag.NO_DATA | Flag.MISSING_PS1


def test_a_constant_image_has_no_source():
    image = make_cutout(flux=0.0, sky=5.0)
    row, _ = measure(changed(image, data=np.full(image.shape, 5.0)), aperture="kron")
    assert first(row["flux_ps1_r"]) == pytest.approx(0, abs=1e-9)


def test_a_one_pixel_image_does_not_stop_a_batch():
    wcs = make_wcs(COORD, (1, 1), 0.25)
    cutout = CCDData(np.ones((1, 1)), unit="adu", wcs=wcs, meta={"zero_point_ab": 25.0})
    for options in (FAST, {"aperture": "kron"}):
        row, _ = measure(cutout, **options)
        assert row["flags"][0] & Flag.PARTIAL_COVERAGE


def test_an_image_of_temperatures_is_not_measured():
    cutout = make_cutout(noise=1.0)
    cutout.unit = u.K
    row, problems = measure(cutout)
    assert row["flags"][0] & Flag.NO_DATA
    assert "the unit K is not one of flux" in next(iter(problems))


def test_a_filter_without_a_survey_cannot_be_measured():
    with pytest.raises(MissingBandError, match="has fluxes but no images"):
        measure_photometry(make_target(noise=1.0), bands=["ps1.r", "decam_g"])
