"""The table of Sersic transforms, and transfer functions, against other ways."""

import numpy as np
import pytest
import torch

from mantis_astro.simulation.rendering.sersic import sersic_b, sersic_transform
from mantis_astro.simulation.rendering.transfer import (
    moffat_transfer,
    pixel_transfer,
    transfer_limit,
)

X = np.concatenate([[0], np.geomspace(1e-6, 3e3, 2000)])  # (k Re)^2


def table(n):
    x = torch.tensor(X, dtype=torch.float32)[None]
    return sersic_transform(x, torch.tensor([n], dtype=torch.float32))[0].numpy()


def test_a_gaussian_and_an_exponential_have_closed_forms():
    gaussian = np.exp(-((2 * np.pi) ** 2) * X / (4 * sersic_b(0.5)))
    np.testing.assert_allclose(table(0.5), gaussian, atol=3e-4)
    exponential = (1 + (2 * np.pi / sersic_b(1)) ** 2 * X) ** -1.5
    np.testing.assert_allclose(table(1.0), exponential, atol=3e-4)


@pytest.mark.parametrize("n", [0.8, 2.5, 4.0, 5.9])
def test_other_indices_are_those_of_galsim(n):
    galsim = pytest.importorskip("galsim")
    accurate = galsim.GSParams(kvalue_accuracy=1e-7, integration_relerr=1e-8)
    profile = galsim.Sersic(n=n, half_light_radius=1.0, gsparams=accurate)
    k = 2 * np.pi * np.sqrt(X[::20])
    truth = [profile.kValue(value, 0).real for value in k]
    np.testing.assert_allclose(table(n)[::20], truth, atol=4e-4)


def test_half_of_the_light_is_within_the_radius():
    from scipy.integrate import quad

    for n in (0.5, 1.0, 4.0):
        b = sersic_b(n)

        def light(r, n=n, b=b):
            return r * np.exp(-b * r ** (1 / n))

        inside, outside = quad(light, 0, 1)[0], quad(light, 1, np.inf)[0]
        assert inside == pytest.approx(outside, rel=1e-5)


def test_the_transform_of_a_moffat_function():
    from scipy.integrate import quad
    from scipy.special import j0

    alpha = 1.1 / 2 / np.sqrt(2 ** (1 / 3.5) - 1)
    for k in (0.1, 0.5, 1.0):

        def wave(r, k=k):
            return r * (1 + (r / alpha) ** 2) ** -3.5 * j0(2 * np.pi * k * r)

        total = alpha**2 / (2 * 2.5)
        truth = quad(wave, 0, 60, limit=400)[0] / total
        assert moffat_transfer(k, 1.1, 3.5) == pytest.approx(truth, abs=1e-6)


def test_beyond_the_limit_nothing_is_left():
    limit = transfer_limit(1.1, 2.5, 1e-3)
    assert moffat_transfer(limit, 1.1, 2.5) == pytest.approx(1e-3, rel=0.05)


def test_pixels_one_after_the_other_multiply():
    k = np.linspace(0, 2, 9)
    both = pixel_transfer(k, 0.25, 1.0)
    np.testing.assert_allclose(both, pixel_transfer(k, 0.25) * pixel_transfer(k, 1.0))
    assert both[0, 0] == 1
    assert abs(both[0, 4]) < 1e-15  # a wave as long as a pixel averages out
