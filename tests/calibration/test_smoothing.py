"""Smoothing takes away the noise of bins, and no more than the truths allow."""

import numpy as np
import pytest

from mantis_astro import RedshiftPDF
from mantis_astro.calibration import Smoothing, TemperatureScaling
from mantis_astro.metrics import crps, log_score

EDGES = np.linspace(0, 1.2, 301)


def made(seed, *, sigma, noise, factor=1.0, n=1500):
    """Gaussian p(z) whose bins are each too high or too low by chance."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0.2, 1.0, n)
    true = sigma * (1 + centre)
    pdf = RedshiftPDF.from_gaussians(EDGES, centre, factor * true)
    rough = pdf.probability * rng.lognormal(0, noise, pdf.probability.shape)
    return RedshiftPDF(EDGES, rough), rng.normal(centre, true)


def test_noise_of_bins_is_taken_away_and_the_scores_rise():
    pdf, z = made(1, sigma=0.03, noise=1.0)
    test, z_test = made(2, sigma=0.03, noise=1.0)
    smoothing = Smoothing().fit(pdf, z)
    after = smoothing.transform(test)
    assert 0.006 <= smoothing.width_ <= 0.016
    assert test.peaks().number.mean() > 2
    assert after.peaks().number.mean() < 1.1
    assert log_score(after, z_test) > log_score(test, z_test) + 0.2
    assert crps(after, z_test) < crps(test, z_test)


def test_what_is_smooth_and_narrow_stays_nearly_as_it_is():
    pdf, z = made(1, sigma=0.01, noise=0.0)
    smoothing = Smoothing().fit(pdf, z)
    assert smoothing.width_ <= 0.003
    assert log_score(smoothing.transform(pdf), z) > log_score(pdf, z) - 0.005


def test_too_narrow_p_of_z_are_the_business_of_the_temperature():
    """Sharp features of the truth stay; the width of p(z) is not for smoothing."""
    pdf, z = made(1, sigma=0.03, noise=0.0, factor=0.5)
    smoothing = Smoothing().fit(pdf, z)
    assert smoothing.width_ <= 0.005  # the missing width is 0.026
    after = smoothing.transform(pdf)
    assert TemperatureScaling().fit(after, z).temperature_ == pytest.approx(4, rel=0.1)


def test_one_outlier_does_not_decide():
    pdf, z = made(1, sigma=0.01, noise=0.0, n=300)
    width = Smoothing().fit(pdf, z).width_
    z[0] = 1.19 if z[0] < 0.6 else 0.01  # where its p(z) is 0
    assert Smoothing().fit(pdf, z).width_ <= width + 0.001
