from dataclasses import fields

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from mantis_astro.bands import BANDS, get_bands
from mantis_astro.exceptions import MissingBandError
from mantis_astro.simulation import DEFAULT_MIX, GalaxyPopulation, Subsample
from mantis_astro.simulation.population.counts import (
    COSMOLOGY,
    FIELD,
    SubsampleTable,
    schechter,
)
from mantis_astro.simulation.population.donors import Donors
from mantis_astro.simulation.population.galaxies import GalaxySample
from mantis_astro.spectra import synthetic_photometry


@pytest.fixture(scope="module")
def population():
    return GalaxyPopulation(seed=11)


@pytest.fixture(scope="module")
def sample(population):
    return population.draw(20000)


def assert_same(a, b):
    for name in [f.name for f in fields(GalaxySample)][2:]:
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


def test_a_galaxy_does_not_depend_on_how_many_are_drawn(population, sample):
    some = population.draw(30, start=700)
    assert_same(some, sample[700:730])
    assert_same(GalaxySample.concatenate([some[:7], some[7:]]), some)


def test_a_galaxy_belongs_to_its_position(population):
    coords = SkyCoord([10.0, 150.0, 220.0], [5.0, 2.0, -10.0], unit="deg")
    together = population.draw_at(coords)
    assert_same(population.draw_at(coords[1:2]), together[1:2])
    assert_same(population.draw_at(coords.galactic[::-1])[::-1], together)
    assert together.latitude == pytest.approx(coords.galactic.b.deg)


def test_another_seed_draws_other_galaxies(sample):
    other = GalaxyPopulation(seed=12).draw(100)
    assert not np.isin(other.z, sample.z).any()


def test_bands_do_not_change_a_galaxy(sample):
    other = GalaxyPopulation(seed=11, bands=["ps1.i", "legacysurvey.z"]).draw(200)
    assert np.array_equal(other.z, sample.z[:200])
    i = list(map(str, BANDS)).index("ps1.i")
    assert other.flux[:, 0] == pytest.approx(sample.flux[:200, i], rel=1e-5)


def test_everything_is_finite_and_in_range(sample):
    for name in [f.name for f in fields(GalaxySample)][2:]:
        assert np.isfinite(getattr(sample, name)).all(), name
    assert (sample.coefficients >= 0).all()
    assert (sample.component_flux >= 0).all()
    assert (sample.ebv > 0).all()
    assert (sample.ebv_maps >= 0).all()
    assert sample.radius.min() >= 0.05
    assert ((sample.axis_ratio > 0.1) & (sample.axis_ratio <= 1)).all()
    assert ((sample.position_angle >= 0) & (sample.position_angle <= np.pi)).all()


def test_subsamples_come_in_their_shares_and_limits(sample):
    for i, subsample in enumerate(DEFAULT_MIX):
        rows = sample.subsample == i
        expected = subsample.share * len(sample)
        assert rows.sum() == pytest.approx(expected, abs=5 * np.sqrt(expected))
        assert set(sample.kind[rows]) == {subsample.name}
        low, high = subsample.z_range
        assert ((sample.z[rows] >= low) & (sample.z[rows] <= high)).all()
        assert (sample.mag[rows] <= subsample.faint).all()


def test_the_magnitude_of_the_selection_is_that_of_the_flux():
    population = GalaxyPopulation(
        3, mix=DEFAULT_MIX[:1], template_error=0.0, bands=["ps1.r"]
    )
    sample = population.draw(500)
    clear = sample.flux[:, 0] * 10 ** (0.4 * sample.extinction[:, 0] * sample.ebv)
    assert 31.4 - 2.5 * np.log10(clear) == pytest.approx(sample.mag, abs=1e-4)


def test_the_parts_are_disc_bulge_and_nucleus(sample):
    share = sample.component_flux.sum(axis=2)
    share = share / share.sum(axis=1, keepdims=True)
    nucleus = share[:, 2] > 0
    assert nucleus.mean() == pytest.approx(0.06, abs=0.01)
    assert np.median(share[sample.red, 1]) > np.median(share[~sample.red, 1]) + 0.3
    # the bulge is redder than the disc, never bluer
    g, i = 2, 4
    both = (share[:, :2] > 0.1).all(axis=1)
    colours = -2.5 * np.log10(
        sample.component_flux[both][:, :2, g] / sample.component_flux[both][:, :2, i]
    )
    difference = colours[:, 1] - colours[:, 0]
    assert np.median(difference) > 0.02
    assert np.mean(difference < -0.01) < 0.05


@pytest.mark.parametrize(("error", "tolerance"), [(0.0, 0.003), (0.04, 0.005)])
def test_photometry_of_the_spectrum_is_the_flux(error, tolerance):
    population = GalaxyPopulation(seed=2, template_error=error)
    sample = population.draw(10)
    spectra = [population.spectrum(sample, i) for i in range(len(sample))]
    table = synthetic_photometry(spectra, BANDS)
    for band, flux in zip(BANDS, sample.flux.T, strict=True):
        name = f"flux_{str(band).replace('.', '_')}"
        measured = table[name].unmasked.value
        bright = flux > 1e-3 * sample.flux.max(axis=1)
        assert measured[bright] == pytest.approx(flux[bright], rel=tolerance)
        assert not table[name].mask.any()


def test_spectra_reach_from_91_angstrom_to_beyond_w2(population, sample):
    for i in (0, int(np.argmax(sample.z))):
        axis = population.spectrum(sample, i).spectral_axis.to_value("AA")
        assert axis[0] == pytest.approx(91, rel=1e-3)
        assert axis[-1] > 60000


def test_the_template_error_is_smooth_and_of_the_size_asked_for():
    clean = GalaxyPopulation(seed=2, template_error=0.0).draw(4000).flux[:, 2:]
    noisy = GalaxyPopulation(seed=2, template_error=0.04).draw(4000).flux[:, 2:]
    error = 2.5 * np.log10(noisy / clean)
    assert error.std(axis=0) == pytest.approx(0.04, rel=0.15)
    # neighbouring bands err alike, W1 and g do not
    correlation = np.corrcoef(error.T)
    assert correlation[2, 3] > 0.8
    assert abs(correlation[0, 6]) < 0.3


def test_training_validation_and_test_share_no_donor():
    train, validation, test = (
        GalaxyPopulation(seed=1, donors=donors).draw(5000)
        for donors in ("train", "validation", "test")
    )
    assert not np.isin(train.donor, test.donor).any()
    assert not np.isin(validation.donor, [*train.donor, *test.donor]).any()
    assert np.unique(train.donor).size > 500
    # all look alike
    for each in (train, validation, test):
        assert np.median(each.z[each.subsample == 0]) == pytest.approx(0.1, abs=0.015)


def test_donors_are_of_like_redshift_luminosity_and_kind(sample):
    donors = Donors.of("all")
    assert (donors.red[sample.donor] == sample.red).mean() == 1
    main = sample.subsample == 0
    assert np.median(np.abs(donors.M_r[sample.donor] - sample.M_r)[main]) < 0.7
    assert np.percentile(donors.z[sample.donor][main], 95) < 0.4


def test_dust_and_its_maps(sample):
    assert np.median(sample.ebv) == pytest.approx(0.03, abs=0.008)
    csfd, planck = (sample.ebv_maps - sample.ebv[:, None]).T
    assert 0.002 < csfd.std() < planck.std() < 0.02
    low = GalaxyPopulation(1).draw_at(
        SkyCoord(l=[30.0] * 200, b=[8.0] * 200, unit="deg", frame="galactic")
    )
    assert np.median(low.ebv) > 0.1


def test_counts_on_the_sky_are_those_observed():
    # about 90 main galaxies (Strauss et al. 2002), 1,400 bright galaxies (Hahn et al.
    # 2023), 16,000 to i = 22.5 (e.g. Yasuda et al. 2001 and Capak et al. 2007)
    densities = [
        SubsampleTable.of(s, "all").density for s in (*DEFAULT_MIX[:2], *FIELD)
    ]
    assert densities == pytest.approx([90, 1400, 16000], rel=0.2)


def test_the_luminosity_function_has_its_normalisation():
    # at M*, alpha + 1 does not matter: 0.4 ln 10 phi* / e
    for kind, phi, m_star in (("blue", 1.30e-3, -21.22), ("red", 3.81e-3, -21.11)):
        expected = 0.4 * np.log(10) * phi / np.e
        assert schechter(m_star, 0.1, kind) == pytest.approx(expected)


def test_sizes_are_those_of_the_relation(sample):
    late = ~sample.red & (np.abs(sample.log_mass - np.log10(5e10)) < 0.1)
    late &= np.abs(sample.z - 0.5) < 0.1
    kpc = sample.radius[late, 0] * COSMOLOGY.kpc_proper_per_arcmin(0.5).value / 60
    # discs are 1.12 of the whole's 8.9 kpc (1 + z)^-0.75
    assert np.median(kpc) == pytest.approx(1.12 * 8.9 * 1.5**-0.75, rel=0.1)


def test_a_table_has_what_an_observer_needs(sample):
    table = sample[:10].to_table()
    assert list(table.colnames[:4]) == ["z_spec", "kind", "ebv", "ebv_planck"]
    assert np.array_equal(table["flux_ps1_g"].to_value("nJy"), sample.flux[:10, 2])
    assert table["mag_ps1_g"][0].value == pytest.approx(
        31.4 - 2.5 * np.log10(sample.flux[0, 2])
    )
    assert np.array_equal(table["z_spec"].value, sample.z[:10])


def test_redshifts_of_a_survey_that_picks_by_colour():
    lrg = Subsample(
        "lrg",
        1,
        "ps1.i",
        faint=20.3,
        z_range=(0.2, 1),
        kinds=("red",),
        redshifts=((1, 0.6, 0.05),),
    )
    sample = GalaxyPopulation(1, mix=(lrg,)).draw(5000)
    assert sample.red.all()
    assert sample.z.mean() == pytest.approx(0.6, abs=0.01)
    assert sample.z.std() == pytest.approx(0.05, rel=0.1)


def test_a_survey_that_picks_luminous_galaxies():
    """Of the luminosity function times L^2.5, the mean of ln L is 2.5 further on."""
    limits = {"faint": 20.0, "z_range": (0.095, 0.105), "kinds": ("red",)}
    usual, luminous = (
        GalaxyPopulation(1, mix=(Subsample("x", 1, "ps1.i", **limits, **more),))
        .draw(4000)
        .M_r
        for more in ({}, {"luminosity_power": 2.5})
    )
    # a gamma distribution of L / L*, of index alpha + 1 + 2.5 with alpha = -0.57
    L = 10 ** (-0.4 * (luminous + 21.11))
    assert L.mean() == pytest.approx(-0.57 + 1 + 2.5, rel=0.1)
    assert np.median(usual) > np.median(luminous) + 1


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"mix": ()}, "'mix' is empty"),
        ({"donors": "some"}, "'donors' must be one of .*test, all; got 'some'"),
        ({"template_error": -1.0}, "'template_error' must not be negative, got -1.0"),
        ({"mix": (Subsample("x", 1, "ps1.i", z_range=(0, 3)),)}, "must not exceed 2"),
    ],
)
def test_wrong_options_are_named(options, match):
    with pytest.raises(ValueError, match=match):
        GalaxyPopulation(**options)


def test_an_unknown_band_is_named():
    with pytest.raises(MissingBandError, match="no band 'ps1.q'"):
        GalaxyPopulation(bands=["ps1.q"])


def test_negative_numbers_are_refused(population):
    with pytest.raises(ValueError, match="must not be negative, got -1 and 0"):
        population.draw(-1)


def test_a_sample_is_sliced_not_indexed(sample):
    with pytest.raises(TypeError, match=r"use \[3:4\]"):
        sample[3]


def test_a_population_is_a_value(population):
    assert population == GalaxyPopulation(seed=11, bands=list(map(str, BANDS)))
    assert hash(population) == hash(GalaxyPopulation(seed=11))
    assert population.bands == get_bands(BANDS)


@pytest.mark.real_data
def test_colours_are_those_of_real_main_galaxies(real_data):
    from astropy.table import Table

    table = Table.read(real_data / "catalogs" / "sdss_galex_2mass.fits")
    flux = np.array(table["MODELFLUX"], float)
    with np.errstate(divide="ignore", invalid="ignore"):
        mag = 22.5 - 2.5 * np.log10(flux) - np.array(table["EXTINCTION"], float)
    z = np.array(table["Z"], float)
    # the nearest that is registered: colours of PS1 and SDSS differ by a few hundredths
    made = GalaxyPopulation(5, mix=DEFAULT_MIX[:1]).draw(20000)
    clear = 10 ** (0.4 * made.extinction * made.ebv[:, None])
    ours = 31.4 - 2.5 * np.log10(np.maximum(made.flux * clear, 1e-3))
    r, i, z_band = mag[:, 2:].T
    for low, high in ((0.05, 0.1), (0.1, 0.15), (0.15, 0.2)):
        real = (z > low) & (z < high) & (r < 17)
        same = (made.z > low) & (made.z < high) & (ours[:, 3] < 17)
        for a, b, band in ((r, i, 3), (i, z_band, 4)):
            simulated = np.median((ours[:, band] - ours[:, band + 1])[same])
            assert simulated == pytest.approx(np.median((a - b)[real]), abs=0.1)
