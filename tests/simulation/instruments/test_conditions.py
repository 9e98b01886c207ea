"""Conditions: what observations are like, and that they belong to their target."""

import numpy as np
import pytest
import torch

from mantis_astro.bands import BANDS
from mantis_astro.simulation.instruments.conditions import draw_conditions
from mantis_astro.simulation.instruments.noise import Depth
from mantis_astro.simulation.instruments.registry import get_instrument
from mantis_astro.simulation.uniforms import keys_of

KEYS = keys_of(11, np.arange(20_000))


@pytest.fixture(scope="module")
def conditions():
    return draw_conditions(KEYS)


def test_a_target_does_not_depend_on_the_others_nor_a_band(conditions):
    some = draw_conditions(KEYS[[5, 77]], bands=["ps1.i", "galex.NUV"])
    for name in ("observed", "psf_fwhm", "exposure_time", "sky", "noise", "damage"):
        whole = getattr(conditions, name)[[5, 77]][:, [4, 0]]
        np.testing.assert_array_equal(getattr(some, name), whole, err_msg=name)


def test_fractions_of_missing_images(conditions):
    missing = 1 - conditions.observed.mean(0)
    assert missing[0] == pytest.approx(0.30, abs=0.01)
    assert missing[1] == pytest.approx(1 - 0.7 * 0.92, abs=0.01)
    np.testing.assert_allclose(missing[2:7], 0.02, atol=0.004)
    np.testing.assert_allclose(missing[7:], 0.02, atol=0.004)
    # W1 and W2 come and go together; bands of PS1 alone
    assert np.array_equal(conditions.observed[:, 7], conditions.observed[:, 8])
    assert not np.array_equal(conditions.observed[:, 2], conditions.observed[:, 3])


def test_fractions_can_be_chosen():
    none = draw_conditions(
        KEYS, missing={"galex": 0, "galex.FUV": 0, "ps1": 0, "unwise": 1}
    )
    assert none.observed[:, :7].all()
    assert not none.observed[:, 7:].any()
    half = draw_conditions(KEYS, missing={"ps1": 0, "ps1.i": 0.5}).observed[:, 2:7]
    assert half.mean(0).round(1).tolist() == [1, 1, 0.5, 1, 1]


def test_fractions_of_what_is_not_drawn_are_refused():
    with pytest.raises(
        ValueError, match=r"surveys or bands that are drawn, got \['fuv'"
    ):
        draw_conditions(KEYS[:1], missing={"fuv": 0.1})


def test_widths_scatter_about_those_of_the_bands(conditions):
    typical = np.array([band.psf_fwhm.to_value("arcsec") for band in BANDS])
    log_ratio = np.log(conditions.psf_fwhm / typical)
    np.testing.assert_allclose(log_ratio.mean(0), 0, atol=0.003)
    scatter = [0.05] * 2 + [0.1] * 5 + [0.02] * 2
    np.testing.assert_allclose(log_ratio.std(0), scatter, rtol=0.03)
    # few widths, so that few transfer functions are computed
    assert len(np.unique(conditions.psf_fwhm[:, 4])) < 100


def test_noise_goes_with_the_root_of_the_exposure(conditions):
    product = conditions.noise[:, 2:7] * np.sqrt(conditions.exposure_time[:, 2:7])
    assert (np.std(np.log(product), axis=0) < 0.11).all()
    whole = conditions.exposure_time[:, 2] / 43
    np.testing.assert_allclose(whole, np.rint(whole))
    assert np.median(conditions.exposure_time[:, 2]) == pytest.approx(780, rel=0.1)


def test_deep_galex_exposures_are_a_part_and_shared_by_its_bands(conditions):
    time = conditions.exposure_time
    assert (time[:, 0] > 600).mean() == pytest.approx(0.12, abs=0.01)
    np.testing.assert_array_equal(time[:, 0], time[:, 1])
    assert (conditions.noise[:, :2] == 0).all()
    assert (conditions.sky[:, 2:] == 0).all()


def test_rows_can_be_taken(conditions):
    some = conditions[3:5]
    assert len(some) == 2
    assert some.bands == conditions.bands
    np.testing.assert_array_equal(some.noise, conditions.noise[3:5])


def test_other_surveys_are_refused():
    with pytest.raises(ValueError, match=r"'allwise' .* galex, ps1, unwise"):
        draw_conditions(KEYS[:1], bands=["allwise.W1"])


@pytest.mark.parametrize("survey", ["ps1", "unwise"])
def test_sums_over_many_pixels_scatter_as_their_photons(survey):
    """N photons scatter by the root of N; resampling leaves that to large sums."""
    instrument, unit, flux = get_instrument(survey), 20.0, 3e4
    band = next(band for band in BANDS if band.survey == survey)
    of_unit, nothing = torch.tensor([[unit]]), torch.zeros(1, 1)
    depth = Depth(of_unit, nothing, torch.ones(1, 1), nothing)
    pixels = instrument.variance(torch.full((1, 1, 2, 2), flux), depth, [band])
    photons = flux / unit * instrument.gain[band.name]
    expected = (flux / np.sqrt(photons)) ** 2
    of_sums = pixels.numpy() * instrument.summed
    np.testing.assert_allclose(of_sums, expected, rtol=1e-6)
