"""One verdict on a WCS, whichever door an image comes in by."""

import re
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS
from astropy.wcs.wcsapi import HighLevelWCSWrapper, SlicedLowLevelWCS

from mantis_astro import MultibandCutout, bands
from mantis_astro.astrometry import check_wcs, find_wcs_problem
from mantis_astro.astrometry.local_map import LocalMap
from mantis_astro.bands import Band, Survey, get_survey, register_survey
from mantis_astro.cutouts import read_cutout
from mantis_astro.exceptions import InputSpecError

from ..alignment.scenes import TARGET, make_cutout, make_wcs


def problem(wcs, band="ps1.g", shape=(64, 64), coord=TARGET, **meta):
    image = CCDData(np.ones(shape, "f4"), unit="adu", wcs=wcs, meta=meta)
    return find_wcs_problem(image, band, coord)


@pytest.mark.parametrize("angle", [0, 17, 90, 180])
@pytest.mark.parametrize("flip", [False, True])
def test_rotation_and_parity_are_no_problem(angle, flip):
    assert problem(make_wcs(angle=angle, flip=flip)) is None


def test_wcs_is_missing():
    assert problem(None) == "there is no WCS"


def test_wcs_of_another_kind():
    image = CCDData(np.ones((64, 64)), unit="adu", wcs=make_wcs())
    sliced = image[2:, 2:]
    sliced._wcs = HighLevelWCSWrapper(SlicedLowLevelWCS(make_wcs(), np.s_[:, :]))
    text = find_wcs_problem(sliced, "ps1.g", TARGET)
    assert text == "the WCS must be an astropy.wcs.WCS, got HighLevelWCSWrapper"


def test_no_celestial_axes():
    assert "must have two celestial axes and no other, got none, none" in problem(
        WCS(naxis=2)
    )


def test_a_third_axis():
    wcs = WCS(naxis=3)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN", "FREQ"]
    image = CCDData(np.ones((4, 4)), unit="adu")
    image._wcs = wcs
    assert "got RA---TAN, DEC--TAN, FREQ" in find_wcs_problem(image, "ps1.g", TARGET)


@pytest.mark.parametrize(
    "matrix", [[[1, 1], [1, 1]], [[1, 1], [1, 1 + 1e-9]], [[0, 0], [0, 0]]]
)
def test_singular_matrix(matrix):
    wcs = make_wcs()
    wcs.wcs.cd = np.array(matrix) * 5e-5
    text = problem(wcs)
    assert "singular" in text or "broken" in text


def test_projection_that_does_not_exist():
    wcs = make_wcs()
    wcs.wcs.ctype = ["RA---XYZ", "DEC--XYZ"]
    assert "the WCS is broken" in problem(wcs)


@pytest.mark.parametrize(
    ("factor", "is_fine"), [(1.19, True), (1.21, False), (0.79, False)]
)
def test_pixel_scale_is_held_against_the_survey(factor, is_fine):
    text = problem(make_wcs(scale=0.25 * factor))
    assert text is None if is_fine else "Pan-STARRS1 0.25 arcsec" in text


def test_pixels_stretched_along_one_axis_are_found():
    wcs = make_wcs()
    wcs.wcs.cd = wcs.wcs.cd @ np.diag([2, 0.5])  # the area is right
    assert "its pixels measure 0.5 x 0.125 arcsec" in problem(wcs)


def test_aligned_cutouts_keep_the_scale_they_were_given():
    record = [{"pixel_scale_arcsec": [0.25, 1.0]}]
    assert problem(make_wcs(scale=1.0), alignment=record) is None
    assert "the grid it was aligned to 1 arcsec" in problem(
        make_wcs(), alignment=record
    )


@pytest.mark.parametrize(
    ("x", "is_fine"), [(63.49, True), (63.51, False), (-0.51, False)]
)
def test_target_must_be_on_the_image(x, is_fine):
    wcs = make_wcs(shift=(x - 31.5, 0))
    text = problem(wcs)
    assert text is None if is_fine else "outside the image of 64 x 64 pixels" in text


def test_target_on_the_other_side_of_the_sky():
    opposite = SkyCoord(TARGET.ra + 180 * u.deg, -TARGET.dec)
    assert "pixel (nan, nan), outside" in problem(make_wcs(), coord=opposite)


def test_check_wcs_names_the_band():
    cutouts = MultibandCutout(
        TARGET,
        {
            "ps1.g": make_cutout("ps1.g", make_wcs()),
            "ps1.r": make_cutout("ps1.r", make_wcs(scale=1)),
        },
    )
    with pytest.raises(InputSpecError, match=r"the cutout of ps1\.r cannot be placed"):
        check_wcs(cutouts)


@pytest.fixture
def borrowed_surveys():
    """DES and SDSS, known for the length of a test."""
    surveys = []
    for name, scale, unit in [("des", 0.263, u.electron), ("sdss", 0.396, u.nmgy)]:
        band = Band(name, "g", f"{name}_g", 4800 * u.AA, 1.2 * u.arcsec, 22.5)
        ps1 = get_survey("ps1")
        surveys.append(
            register_survey(
                Survey(
                    name=name,
                    title=name.upper(),
                    bands=(band,),
                    pixel_scale=scale * u.arcsec,
                    shape=(128, 128),
                    unit=unit,
                    magsys="AB",
                    service="none",
                    layer=name,
                    reference=ps1.reference,
                )
            )
        )
    yield
    for survey in surveys:
        del bands._surveys[survey.name], bands._bands[str(survey.bands[0])]


UGC1333 = SkyCoord(27.952, 0.2635, unit="deg")


@pytest.mark.real_data
def test_real_flipped_parity_is_accepted(real_data, borrowed_surveys):
    cutout = read_cutout(real_data / "images/ugc1333/DES_g.fits", "des.g")
    assert np.linalg.det(cutout.wcs.pixel_scale_matrix) > 0
    assert find_wcs_problem(cutout, "des.g", UGC1333) is None


@pytest.mark.real_data
def test_real_cutout_cropped_without_its_wcs_is_refused(real_data, borrowed_surveys):
    path = real_data / "images/ugc1333/SDSS_g.fits"
    with fits.open(path) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = CCDData(hdus[0].data, unit="nmgy", wcs=WCS(hdus[0].header))
    text = find_wcs_problem(image, "sdss.g", UGC1333)
    assert re.search(r"the target falls at pixel \(56\d, 88\d\), outside", text)
    assert "cropped without updating the WCS?" in text


@pytest.mark.real_data
def test_real_ps1_header_with_positive_cdelt_is_accepted(real_data):
    path = real_data / "images/ugc1333/PS1_g.fits"
    cutout = read_cutout(path, "ps1.g")
    assert (cutout.wcs.wcs.cdelt > 0).all()
    assert find_wcs_problem(cutout, "ps1.g", UGC1333) is None
    east = UGC1333.directional_offset_by(90 * u.deg, 5 * u.arcsec)
    step = cutout.wcs.world_to_pixel(east)[0] - cutout.wcs.world_to_pixel(UGC1333)[0]
    assert step == pytest.approx(-20, abs=0.2)


def test_offsets_and_pixels_are_inverse_on_any_image():
    """Turned, flipped and sheared: a matrix that is not symmetric."""
    local = LocalMap(np.array([3.0, 5.0]), np.array([[2.0, 0.7], [-0.3, 1.5]]))
    offset = np.array([[1.0, 0.0], [0.0, 1.0], [-4.0, 2.5]])
    np.testing.assert_allclose(local.to_pixel(offset)[0], [5.0, 4.7])  # one to the east
    np.testing.assert_allclose(local.to_sky(local.to_pixel(offset)), offset, atol=1e-12)


@pytest.mark.parametrize(
    ("x", "is_shown"), [(-0.49, True), (-0.51, False), (63.49, True), (63.51, False)]
)
def test_a_target_on_the_rim_of_the_outermost_pixel_is_on_the_image(x, is_shown):
    wcs = make_wcs()
    wcs.wcs.crpix = [x + 1, 30]
    image = CCDData(np.ones((64, 64)), unit="adu", wcs=wcs)
    assert (find_wcs_problem(image, "ps1.g", TARGET) is None) == is_shown
