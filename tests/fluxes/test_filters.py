"""One way to a filter, whoever asks."""

import astropy.units as u
import numpy as np
import pytest
from specutils import Spectrum

from mantis_astro.bands import Band, get_band
from mantis_astro.dust import extinction_coefficients
from mantis_astro.fluxes import get_filter
from mantis_astro.spectra import synthetic_photometry

UNKNOWN = Band("ps1", "g", "panstarrs_q", 4849 * u.AA, 1.3 * u.arcsec, 25.0)


def test_a_filter_is_that_of_sedpy():
    from sedpy.observate import Filter

    ours, theirs = get_filter("panstarrs_g"), Filter("panstarrs_g")
    np.testing.assert_array_equal(ours.transmission, theirs.transmission)
    pivot = get_band("ps1.g").pivot.to_value(u.AA)
    assert ours.wave_pivot == pytest.approx(pivot, rel=1e-4)


def test_a_filter_is_read_once():
    assert get_filter("panstarrs_g") is get_filter("panstarrs_g")


def from_spectra():
    wavelength = np.arange(3000, 9000) * u.AA
    spectrum = Spectrum(flux=np.ones(6000) * u.uJy, spectral_axis=wavelength)
    synthetic_photometry(spectrum, [UNKNOWN])


def from_simulation():
    pytest.importorskip("kcorrect")
    from mantis_astro.simulation.population.templates import fluxes_at_rest

    fluxes_at_rest(np.ones((1, 10)), ["panstarrs_q"])


@pytest.mark.parametrize(
    "ask",
    [
        lambda: get_filter("panstarrs_q"),
        lambda: extinction_coefficients([UNKNOWN]),
        from_spectra,
        from_simulation,
    ],
    ids=["fluxes", "dust", "spectra", "simulation"],
)
def test_a_filter_that_is_not_there_is_named_to_all_alike(ask):
    with pytest.raises(
        ValueError, match=r"no filter 'panstarrs_q'.*: see sedpy.observ"
    ):
        ask()
