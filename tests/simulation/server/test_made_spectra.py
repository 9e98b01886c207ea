import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from mantis_astro.bands import BANDS, get_band
from mantis_astro.simulation.server import LocalSky
from mantis_astro.simulation.server.images import MadeImages
from mantis_astro.simulation.server.made_spectra import (
    Z_MAX,
    draw_made_galaxies,
    made_fluxes,
)


def test_the_i_band_has_the_magnitude_asked_for():
    flux = made_fluxes([0.1, 0.7], [0.0, 1.0], [15.0, 21.4], ["ps1.i"])
    np.testing.assert_allclose(-2.5 * np.log10(flux[:, 0]) + 31.4, [15, 21.4])


def test_fluxes_scale_with_brightness_at_fixed_colour():
    faint, bright = made_fluxes([0.3] * 2, [0.4] * 2, [20.0, 17.5], BANDS)
    np.testing.assert_allclose(bright / faint, 10)


@pytest.mark.parametrize(
    ("z", "blue", "red"), [(0.37, "ps1.g", "ps1.r"), (0.7, "ps1.r", "ps1.i")]
)
def test_the_break_reddens_the_pair_of_bands_it_falls_between(z, blue, red):
    def colour(z):
        flux = made_fluxes([z], [1.0], [19.0], [blue, red])[0]
        return 2.5 * np.log10(flux[1] / flux[0])

    assert colour(z) > colour(z - 0.35) + 0.5


def test_draws_stay_in_range_and_follow_the_seed():
    z, kind, mag_i = draw_made_galaxies(1000, np.random.default_rng(0))
    assert z.min() >= 0
    assert z.max() <= Z_MAX
    assert kind.min() >= 0
    assert kind.max() <= 1
    assert mag_i.min() >= 15
    assert mag_i.max() <= 21.5
    again = draw_made_galaxies(1000, np.random.default_rng(0))
    np.testing.assert_array_equal(z, again[0])


@pytest.mark.parametrize("name", ["ps1.r", "galex.NUV", "unwise.W2"])
def test_an_image_holds_the_flux_of_its_spectrum(name):
    band = get_band(name)
    made = MadeImages(seed=2)
    options = {"pixel_scale": 0.5, "exposure_time": 1000.0}
    side = 401  # 200 arcsec: what lies outside is less than 1e-4
    images = [
        made.draw(band, 150.0, dec, shape=(side, side), pixel=(200, 200), **options)
        for dec in (2.0, 2.1, 2.2, 2.3)
    ]
    for dec, image in zip((2.0, 2.1, 2.2, 2.3), images, strict=True):
        expected = made._galaxy(150.0, dec, [band])[1][0]
        unit = 3631e9 * 10 ** (-0.4 * band.zero_point_ab(1000.0))
        noise = np.std(image[:40]) * unit * side
        assert abs(image.sum() * unit - expected) < 4 * noise + 0.01 * expected


def test_the_sky_knows_its_redshifts():
    coords = SkyCoord([150.0, 150.1], [2.0, 2.0], unit="deg")
    with LocalSky(seed=1) as sky, LocalSky(seed=1) as same, LocalSky(seed=2) as other:
        z = sky.redshifts(coords)
        np.testing.assert_array_equal(z, same.redshifts(coords))
        assert (z != other.redshifts(coords)).all()


def test_given_images_have_no_made_redshift():
    with LocalSky(lambda coord, band: None) as sky:
        assert np.isnan(sky.redshifts(SkyCoord([150.0], [2.0], unit="deg"))).all()
