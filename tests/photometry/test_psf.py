"""How much of a source an aperture holds."""

import astropy.units as u
import numpy as np
import pytest

from mantis_astro.photometry import GaussianPSF, ImagePSF, MoffatPSF
from mantis_astro.photometry.psf import enclosed_fraction


@pytest.mark.parametrize("radius", [0.5, 2.0, 5.0])
def test_a_gaussian_in_a_circle_is_the_textbook_formula(radius):
    """1 - 2**(-4 r**2 / FWHM**2)."""
    psf = GaussianPSF(3 * u.arcsec)
    expected = 1 - 2 ** (-4 * radius**2 / 9)
    assert psf.enclosed(radius * u.arcsec) == pytest.approx(expected)
    circle = radius**2 * np.eye(2)
    assert enclosed_fraction(psf, circle) == pytest.approx(expected)


@pytest.mark.parametrize("beta", [2.5, 3.0, 4.765])
@pytest.mark.parametrize("radius", [0.5, 1.0, 3.0])
def test_a_moffat_in_a_circle_is_the_textbook_formula(beta, radius):
    """1 - (1 + r**2 / alpha**2)**(1 - beta)."""
    alpha2 = 0.25 / (2 ** (1 / beta) - 1)
    expected = 1 - (1 + radius**2 / alpha2) ** (1 - beta)
    psf = MoffatPSF(1 * u.arcsec, beta=beta)
    assert psf.enclosed(radius * u.arcsec) == pytest.approx(expected, abs=1e-3)


def test_an_ellipse_is_integrated_as_by_brute_force():
    size = np.array([[4.0, 1.5], [1.5, 2.0]])
    shape = np.array([[9.0, -2.0], [-2.0, 5.0]])
    C = size + np.eye(2) * (2 / 2.3548200450309493) ** 2
    x = np.random.default_rng(0).multivariate_normal([0, 0], C, 400_000)
    inside = np.einsum("ni,ij,nj->n", x, np.linalg.inv(shape), x) <= 1
    fraction = enclosed_fraction(GaussianPSF(2 * u.arcsec), shape, size)
    assert fraction == pytest.approx(inside.mean(), abs=0.003)


def test_a_source_like_its_aperture_gives_the_same_for_any_axis_ratio():
    """One sigma in units of the aperture: 1 - exp(-1/2), whatever the ellipse."""
    shape = np.diag([25.0, 1.0])
    psf = GaussianPSF(1e-6 * u.arcsec)
    expected = 1 - np.exp(-0.5)
    assert enclosed_fraction(psf, shape, shape) == pytest.approx(expected, rel=1e-5)


def test_an_image_of_a_gaussian_encloses_what_the_gaussian_does():
    y, x = np.indices((41, 41)) - 20
    image = np.exp(-(x**2 + y**2) / (2 * 3.0**2))
    psf = ImagePSF(image, 0.5 * u.arcsec)
    like = GaussianPSF(3.0 * 0.5 * 2.3548200450309493 * u.arcsec)
    assert psf.fwhm.to_value(u.arcsec) == pytest.approx(like.fwhm.value, rel=0.03)
    for radius in [1, 2, 4] * u.arcsec:
        assert psf.enclosed(radius) == pytest.approx(like.enclosed(radius), abs=0.01)


@pytest.mark.parametrize("image", [np.zeros((5, 5)), np.ones(5)])
def test_an_image_without_light_is_no_psf(image):
    with pytest.raises(ValueError, match="must be two-dimensional with a positive sum"):
        ImagePSF(image, 1 * u.arcsec)


def test_a_moffat_function_needs_a_finite_integral():
    with pytest.raises(ValueError, match="'beta' must be more than 1, got 1"):
        MoffatPSF(1 * u.arcsec, beta=1)
