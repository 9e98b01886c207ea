"""Facts about lines, by the physics that fixes them; templates on their grid."""

import sys

import astropy.units as u
import numpy as np
import pytest
from specutils import Spectrum

from mantis_astro.spectra import TemplateSet
from mantis_astro.spectra.lines import ABSORPTION, EMISSION
from mantis_astro.spectra.templates import STEP

from .made import FLUX, spectrum


def lines_of(name):
    (feature,) = (f for f in (*EMISSION, *ABSORPTION) if f.name == name)
    return [wavelength for wavelength, _ in feature.lines]


@pytest.mark.parametrize(("name", "first"), [("H I", 3), ("young stars", 3)])
def test_lines_of_hydrogen_obey_the_formula_of_rydberg(name, first):
    rydberg = 109677.5834e-8  # of hydrogen, per Angstrom
    found = lines_of(name)
    n = first + np.arange(len(found))
    np.testing.assert_allclose(found, 1 / (rydberg * (1 / 4 - 1 / n**2)), rtol=2e-5)


@pytest.mark.parametrize(
    ("name", "splitting"),
    # of the ground term (NIST), per cm: [O III] and [N II] 3P2 - 3P1
    [("[O III]", 306.174 - 113.178), ("[N II]", 130.8 - 48.7)],
)
def test_lines_from_one_level_differ_by_the_splitting_of_the_lower(name, splitting):
    one, other = lines_of(name)[:2]
    assert abs(1e8 / one - 1e8 / other) == pytest.approx(splitting, abs=0.1)


@pytest.mark.parametrize(
    ("thin", "dense"),
    [("[O II] thin", "[O II] dense"), ("[S II] thin", "[S II] dense")],
)
def test_the_limits_of_density_are_two_templates_of_the_same_lines(thin, dense):
    assert lines_of(thin) == lines_of(dense)


def test_a_template_peaks_where_its_line_is():
    templates = TemplateSet.builtin()
    first, last = (int(np.log(x) / STEP) for x in (6400, 6700))
    values = templates.on_pixels(first, last)[templates.names.index("H I")]
    peak = np.exp((first + values.argmax() + 0.5) * STEP)
    assert peak == pytest.approx(6564.61, rel=STEP / 2)


def test_beyond_its_ends_a_template_keeps_its_values():
    wavelength = np.linspace(4000, 5000, 500)
    templates = TemplateSet([spectrum(wavelength, np.linspace(1, 3, 500))])
    first = int(np.log(3000) / STEP)
    values = templates.on_pixels(first, int(np.log(6000) / STEP))[0]
    assert values[0] == pytest.approx(1 / 3, rel=3e-3)  # mean of the last pixel
    assert values[-1] == pytest.approx(1, rel=1e-3)
    assert [x.value for x in templates.wavelength_range] == [4000, 5000]


def test_only_shapes_matter():
    wavelength = np.linspace(4000, 5000, 500)
    flux = 2 + np.sin(wavelength / 30)
    small, large = (
        TemplateSet([spectrum(wavelength, flux * k)]).on_pixels(41500, 42000)
        for k in (1e-10, 1e10)
    )
    np.testing.assert_allclose(small, large)


def test_templates_need_a_spectrum_and_as_many_names():
    with pytest.raises(ValueError, match="at least one spectrum"):
        TemplateSet([])
    one = [spectrum(np.linspace(4000, 5000, 50), np.ones(50))]
    with pytest.raises(ValueError, match="1 spectra, but 2 names"):
        TemplateSet(one, names=["a", "b"])


def test_templates_of_kcorrect_cover_the_ultraviolet_to_the_infrared():
    pytest.importorskip("kcorrect")
    templates = TemplateSet.kcorrect()
    assert len(templates) == 5
    low, high = (x.value for x in templates.wavelength_range)
    assert low < 1000
    assert high > 50_000


def test_without_kcorrect_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "kcorrect", None)
    TemplateSet.kcorrect.cache_clear()
    with pytest.raises(ImportError, match=r"mantis-astro\[simulate\]"):
        TemplateSet.kcorrect()


def test_a_template_may_be_in_nanometres():
    axis = np.linspace(400, 500, 50)
    given = Spectrum(flux=np.ones(50) * FLUX, spectral_axis=axis * u.nm)
    low, high = (x.value for x in TemplateSet([given]).wavelength_range)
    assert (low, high) == (pytest.approx(4000), pytest.approx(5000))
