"""The fast solution against slow ones: one redshift at a time, one matrix at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from mantis_astro.spectra import TemplateSet
from mantis_astro.spectra.least_squares import fit_shifts, nonnegative_solve, rebin
from mantis_astro.spectra.templates import STEP

from .made import galaxy


@pytest.fixture(scope="module")
def binned():
    rng = np.random.default_rng(5)
    wavelength, flux = galaxy(0.1, low=4500, high=7500, step=2.0)
    ivar = rng.uniform(0.5, 2, flux.size) * (rng.uniform(size=flux.size) > 0.1)
    return rebin(wavelength, flux + rng.normal(0, 1, flux.size), ivar)


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 200))
def test_rebinning_keeps_all_weight_and_all_weighted_flux(seed, n):
    rng = np.random.default_rng(seed)
    wavelength = np.sort(rng.uniform(4000, 8000, n)) + 0.01 * np.arange(n)
    flux, ivar = rng.normal(size=n), rng.uniform(0, 1, n) * rng.integers(0, 2, n)
    ivar[0] = 1
    binned = rebin(wavelength, flux, ivar)
    assert binned.weight.sum() == pytest.approx(ivar.sum())
    assert binned.weighted.sum() == pytest.approx((ivar * flux).sum(), abs=1e-9)
    assert (binned.weight >= 0).all()


def test_a_spectrum_on_the_grid_stays_as_it_is():
    i = np.arange(41600, 41700)
    wavelength = np.exp((i + 0.5) * STEP)
    flux, ivar = np.sin(i), 1 + np.cos(i) ** 2
    binned = rebin(wavelength, flux, ivar)
    part = slice(i[0] - binned.first, i[0] - binned.first + i.size)
    np.testing.assert_allclose(binned.flux[part], flux, atol=1e-6)
    np.testing.assert_allclose(binned.weight[part], ivar, atol=1e-6)
    np.testing.assert_allclose(binned.wavelength[part], wavelength)


def test_flux_of_pixels_without_weight_does_not_matter():
    wavelength = np.arange(5000.0, 5100.0)
    ivar = (np.arange(100) % 7 > 0) * 1.0
    flux = np.where(ivar > 0, 1.0, np.nan)
    binned = rebin(wavelength, flux, ivar)
    np.testing.assert_allclose(binned.flux[binned.weight > 0], 1)


@pytest.mark.parametrize("degree", [-1, 0, 5])
def test_every_shift_is_fitted_as_if_it_were_the_only_one(binned, degree):
    templates = TemplateSet.builtin()
    fit = fit_shifts(binned, templates, (300, 900), degree)
    root = np.sqrt(binned.weight)
    x = np.linspace(-1, 1, root.size)
    P = np.vander(x, degree + 1)
    best = np.sum((root * binned.flux) ** 2)
    if degree >= 0:
        continuum = P @ np.linalg.lstsq(P * root[:, None], root * binned.flux)[0]
        best = np.sum((root * (binned.flux - continuum)) ** 2)
        np.testing.assert_allclose(fit.continuum(), continuum, atol=1e-9)
    for index in (0, 177, 600):
        first = binned.first - fit.shifts[index]
        T = templates.on_pixels(first, first + root.size).T
        beside = T - P @ np.linalg.lstsq(P * root[:, None], T * root[:, None])[0]
        T = T[:, np.linalg.norm(beside * root[:, None], axis=0) > 0.01]
        # an unconstrained unknown is the difference of two that are not negative
        design = np.hstack([T, P, -P]) * root[:, None]
        _, residual = nnls(design, root * binned.flux, maxiter=10_000)
        assert best - fit.gain[index] == pytest.approx(residual**2, rel=1e-4)
        left = root * (binned.flux - fit.model(index))
        assert np.sum(left**2) == pytest.approx(best - fit.gain[index], rel=1e-9)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), m=st.integers(1, 12))
def test_the_batched_solution_is_that_of_scipy(seed, m):
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(20, 30, m)) + rng.uniform(0, 2)
    data = rng.normal(size=(20, 30))
    A = np.einsum("kij,kil->kjl", design, design)
    b = np.einsum("kij,ki->kj", design, data)
    found = nonnegative_solve(A, b)
    expected = [nnls(*pair)[0] for pair in zip(design, data, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_unknowns_that_nothing_constrains_are_zero():
    A = np.zeros((1, 3, 3))
    A[0, 1, 1] = 4.0
    x = nonnegative_solve(A, np.array([[0.0, 8.0, 1e-30]]))
    np.testing.assert_allclose(x, [[0, 2, 0]])


def test_alike_templates_share_and_fit_as_one():
    A = np.ones((1, 2, 2))
    x = nonnegative_solve(A, np.array([[3.0, 3.0]]))
    assert x.sum() == pytest.approx(3)
    assert (x >= 0).all()
