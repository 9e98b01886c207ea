"""Temperatures that one can derive."""

import numpy as np
import pytest

from mantis_astro import RedshiftPDF, metrics
from mantis_astro.calibration import TemperatureScaling
from mantis_astro.exceptions import CalibrationWarning

from .toys import EDGES, make_toy


@pytest.mark.parametrize("width", [0.5, 0.8, 1.0, 1.5])
def test_a_gaussian_of_wrong_width_needs_the_square_of_the_ratio(width):
    toy = make_toy(4000, seed=1, width=width, floor=0)
    scaling = TemperatureScaling().fit(toy.pdf, toy.z_spec)
    # the maximum-likelihood variance of 4000 numbers is good to sqrt(2 / 4000) = 2.2 %
    assert scaling.temperature_ == pytest.approx(1 / width**2, rel=0.08)


def test_the_temperature_has_the_highest_log_score():
    toy = make_toy(1000, seed=2, width=0.6)
    best = TemperatureScaling().fit(toy.pdf, toy.z_spec)
    score = metrics.log_score(best.transform(toy.pdf), toy.z_spec)
    for factor in (0.9, 1.1):
        other = TemperatureScaling.from_plain(best.to_plain())
        other.temperature_ *= factor
        assert metrics.log_score(other.transform(toy.pdf), toy.z_spec) < score


def test_bins_of_unequal_width_count_by_their_density():
    edges = [0.0, 0.1, 0.4]
    scaling = TemperatureScaling.from_plain(
        {"floor": False, "temperature_": 2.0, "floor_": 0.0, "n_fit_": 1}
    )
    after = scaling.transform(RedshiftPDF(edges, [0.4, 0.6]))  # densities 4 and 2
    np.testing.assert_allclose(after.density[0] / after.density[1], np.sqrt(2))


def test_the_floor_is_the_share_of_outliers():
    toy = make_toy(8000, seed=3, width=1.0, outliers=0.05)
    scaling = TemperatureScaling(floor=True).fit(toy.pdf, toy.z_spec)
    # 5 % are uniform; the p(z) themselves have 0.1 %; the binomial error is 0.25 %
    assert scaling.floor_ == pytest.approx(0.049, abs=0.01)
    assert scaling.temperature_ == pytest.approx(1, rel=0.08)


def test_p_of_z_that_exclude_their_truth_are_named():
    narrow = RedshiftPDF([0, 0.5, 1], np.repeat([[1.0, 0.0], [0.6, 0.4]], 50, axis=0))
    z_spec = np.r_[np.full(20, 0.9), np.full(30, 0.2), np.full(50, 0.3)]
    with pytest.warns(CalibrationWarning, match="20 of 100 p.z. are zero at their"):
        TemperatureScaling().fit(narrow, z_spec)
    floor = TemperatureScaling(floor=True).fit(narrow, z_spec)
    assert np.isfinite(metrics.log_score(floor.transform(narrow), z_spec))


def test_no_temperature_where_every_truth_is_excluded():
    pdf = RedshiftPDF([0, 0.5, 1], np.repeat([[1.0, 0.0]], 20, axis=0))
    with (
        pytest.warns(CalibrationWarning, match="20 of 20"),
        pytest.raises(ValueError, match="every p.z. is zero at its 'z_spec'"),
    ):
        TemperatureScaling().fit(pdf, np.full(20, 0.9))


def test_the_mode_stays():
    toy = make_toy(500, seed=4, width=0.5)
    after = TemperatureScaling().fit(toy.pdf, toy.z_spec).transform(toy.pdf)
    # to half a bin, where two bins are all but equal
    np.testing.assert_allclose(after.mode(), toy.pdf.mode(), atol=np.diff(EDGES).max())


def test_the_floor_is_even_in_redshift_whatever_the_bins():
    pdf = RedshiftPDF([0, 0.1, 0.4, 1.0], [[0.5, 0.3, 0.2]])
    facts = {"floor": True, "temperature_": 1.0, "floor_": 0.2, "n_fit_": 50}
    after = TemperatureScaling.from_plain(facts).transform(pdf)
    expected = 0.8 * np.array([0.5, 0.3, 0.2]) + 0.2 * np.array([0.1, 0.3, 0.6])
    np.testing.assert_allclose(after.probability[0], expected)
