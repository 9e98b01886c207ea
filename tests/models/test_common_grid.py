"""The common grid: flux, place and flags after resampling."""

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData

from mantis_astro import MultibandCutout, align, get_band
from mantis_astro.alignment import common_wcs
from mantis_astro.bands import BANDS, get_survey
from mantis_astro.flags import decode_flags
from mantis_astro.fluxes import njy_factor
from mantis_astro.models import CommonGrid, InputSpec, SurveyGrids, get_card, load_model
from mantis_astro.models.inputs import PUBLISHED_BANDS
from mantis_astro.models.stretches import FluxAsinhStretch

from ..made import make_cutout, make_galaxy

COORD = SkyCoord(150.1, 2.2, unit="deg")
SPEC = InputSpec(
    PUBLISHED_BANDS, CommonGrid((32, 32), 1.0), (FluxAsinhStretch(100.0),) * 9
)


def flags_of(prepared, row=0):
    return set(decode_flags(prepared.flags[row]))


def flux(prepared):
    """Flux in nJy of each pixel, (n_band, 32, 32)."""
    return 100 * np.sinh(prepared.images[0].numpy().astype(float))


@pytest.fixture(scope="module")
def galaxy():
    return make_galaxy(COORD)


def test_pixels_are_the_aligned_images_in_njy(galaxy):
    aligned = align(galaxy, common_wcs(COORD, (32, 32), 1 * u.arcsec))
    expected = [aligned[b].data * njy_factor(galaxy[b], b) for b in BANDS]
    np.testing.assert_allclose(
        SPEC.to_tensor([galaxy], 0.03).images[0],
        np.arcsinh(np.array(expected) / 100),
        atol=2e-4,
    )


def test_everything_there_raises_no_flag(galaxy):
    prepared = SPEC.to_tensor([galaxy], 0.03)
    assert flags_of(prepared) == set()
    assert prepared.images.shape == (1, 9, 32, 32)


def test_one_source_falls_on_one_place_in_every_band():
    galaxy = make_galaxy(COORD, amplitude=5000.0)
    found = flux(SPEC.to_tensor([galaxy], 0.03))
    y, x = np.mgrid[:32, :32] - 15.5
    for image in found:
        weight = np.where(np.hypot(x, y) < 6, image, 0)
        assert np.hypot((weight * x).sum(), (weight * y).sum()) / weight.sum() < 0.2


@pytest.mark.parametrize("offset", [(0.0, 0.0), (8.0, -5.0)])
def test_flux_is_kept_wherever_the_target_is_in_the_image(offset):
    image = make_cutout("ps1.r", COORD, amplitude=5000.0, offset=offset)
    prepared = SPEC.to_tensor([MultibandCutout(COORD, {"ps1.r": image})], 0.03)
    # a Gaussian of 1.5 arcsec on pixels of 0.25 arcsec
    total = 5000 * 2 * np.pi * (1.5 / 0.25) ** 2 * njy_factor(image, "ps1.r")
    assert flux(prepared)[3].sum() == pytest.approx(total, rel=0.01)
    assert ("OFF_CENTRE" in flags_of(prepared)) == any(offset)


def test_one_bad_galaxy_never_stops_a_batch(galaxy):
    nowhere = MultibandCutout(SkyCoord(np.nan, 0, unit="deg"), dict(galaxy))
    empty = MultibandCutout(COORD, {})
    prepared = SPEC.to_tensor([nowhere, galaxy, empty], 0.03)
    assert prepared.usable.tolist() == [False, True, False]
    alone = SPEC.to_tensor([galaxy], 0.03)
    assert torch.equal(prepared.images[1], alone.images[0])
    assert {"BAD_COORDINATES", "NO_DATA"} <= flags_of(prepared, 0)
    assert "NO_DATA" in flags_of(prepared, 2)


def test_no_galaxies_make_an_empty_input():
    assert SPEC.to_tensor([]).images.shape == (0, 9, 32, 32)


def changed(galaxy, band, **changes):
    old = galaxy[band]
    what = {"data": old.data, "unit": old.unit, "wcs": old.wcs, "meta": old.meta}
    new = CCDData(**{**what, **changes})
    return MultibandCutout(COORD, {**galaxy, get_band(band): new})


def test_pixels_of_the_wrong_size_are_a_bad_wcs(galaxy):
    wcs = galaxy["ps1.g"].wcs.deepcopy()
    wcs.wcs.cdelt *= 1.5
    prepared = SPEC.to_tensor([changed(galaxy, "ps1.g", wcs=wcs)], 0.03)
    assert flags_of(prepared) == {"BAD_WCS", "MISSING_PS1"}
    assert not prepared.images[0, 2].any()


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({"wcs": None}, {"BAD_WCS", "MISSING_PS1"}),
        ({"unit": "electron", "meta": {}}, {"BAD_PIXELS", "MISSING_PS1"}),
        ({"data": np.zeros((170, 170))}, {"MISSING_PS1"}),
        ({"data": np.full((170, 170), np.nan)}, {"BAD_PIXELS", "MISSING_PS1"}),
        ({"mask": np.ones((170, 170), bool)}, {"BAD_PIXELS", "MISSING_PS1"}),
    ],
    ids=["no WCS", "unit", "zeros", "NaN", "masked"],
)
def test_a_bad_image_is_a_missing_band(galaxy, changes, flags):
    prepared = SPEC.to_tensor([changed(galaxy, "ps1.g", **changes)], 0.03)
    assert flags_of(prepared) == flags
    assert not prepared.images[0, 2].any()
    assert torch.isfinite(prepared.images).all()


def test_bad_pixels_are_zero_and_flagged(galaxy):
    data = galaxy["ps1.g"].data.copy()
    data[70:90, 70:90] = np.nan  # 25 of 1024 arcsec^2
    prepared = SPEC.to_tensor([changed(galaxy, "ps1.g", data=data)], 0.03)
    assert flags_of(prepared) == {"BAD_PIXELS"}
    assert not prepared.images[0, 2, 15:17, 15:17].any()


def test_an_image_that_ends_inside_the_grid_is_partial(galaxy):
    small = CCDData(
        galaxy["ps1.g"].data[:90],
        unit="adu",
        wcs=galaxy["ps1.g"].wcs,
        meta=galaxy["ps1.g"].meta,
    )
    cutouts = MultibandCutout(COORD, {**galaxy, get_band("ps1.g"): small})
    prepared = SPEC.to_tensor([cutouts], 0.03)
    assert flags_of(prepared) == {"PARTIAL_COVERAGE", "OFF_CENTRE"}
    assert not prepared.images[0, 2, 20:].any()
    assert prepared.images[0, 2, :16].all()


def test_cutouts_aligned_before_are_taken_as_they_are(galaxy):
    aligned = align(galaxy, common_wcs(COORD, (40, 40), 1 * u.arcsec))
    before = SPEC.to_tensor([galaxy], 0.03)
    after = SPEC.to_tensor([aligned], 0.03)
    assert flags_of(after) == set()
    np.testing.assert_allclose(after.images, before.images, atol=1e-3)


def test_the_embedded_model_answers_from_images_of_the_surveys(galaxy):
    network, card = load_model("simulated-early")
    prepared = card.spec.to_tensor([galaxy], 0.03)
    with torch.inference_mode():
        p = torch.softmax(network(prepared.images, prepared.ebv), -1)
    assert p.shape == (1, card.n_bins)
    assert p.sum().item() == pytest.approx(1, abs=1e-5)


def test_the_grid_of_the_embedded_model_fits_the_images_that_are_served():
    grid = get_card("simulated-early").spec.geometry
    for band in BANDS:
        survey = get_survey(band.survey)
        field = min(survey.shape) * survey.pixel_scale.to_value(u.arcsec)
        assert field > max(grid.shape) * grid.pixel_scale


def test_survey_grids_are_the_common_grid_split_by_survey(galaxy):
    split = InputSpec(SPEC.bands, SurveyGrids((32, 32), 1.0), SPEC.stretch)
    images = split.to_tensor([galaxy], 0.03).images
    assert [x.shape[1] for x in images] == [2, 5, 2]  # GALEX, PS1, unWISE
    torch.testing.assert_close(
        torch.cat(images, 1), SPEC.to_tensor([galaxy], 0.03).images, rtol=0, atol=0
    )
