"""Redshifts of made galaxies, and all that may be wrong with them."""

import astropy.units as u
import numpy as np
import pytest
from specutils import Spectrum

from mantis_astro import RedshiftPDF, z_spec_from_spectrum
from mantis_astro.spectra import REDSHIFT_WARNINGS, TemplateSet

from .made import ABSORBED, FLUX, C, galaxy, lines, spectrum

EDGES = np.linspace(0, 1.5, 301)


def observed(z, std=0.1, seed=0, **options):
    wavelength, flux = galaxy(z, **options)
    return spectrum(wavelength, flux, std, rng=np.random.default_rng(seed))


@pytest.fixture(scope="module")
def one_line():
    """[O II] at z = 0.9, with nothing else in range: H alpha would be at z = 0.0791.

    Noise makes its two lines look more like one.
    """
    wavelength = np.arange(6000.0, 9000.0, 1.5)
    flux = 1 + lines(wavelength, {3727.09: 0.85, 3729.88: 1.02}, 0.9, 90.0)
    return spectrum(wavelength, flux, 0.3, rng=np.random.default_rng(2))


@pytest.mark.parametrize("z", [0.01, 0.1, 0.35, 0.8])
@pytest.mark.parametrize("kind", ["emission", "absorption"])
def test_the_redshift_of_a_galaxy_is_found(z, kind):
    emitted, absorbed, std = (1, 1, 0.2) if kind == "emission" else (0, 1, 0.05)
    found = z_spec_from_spectrum(observed(z, std, emitted=emitted, absorbed=absorbed))
    assert found.z == pytest.approx(z, abs=3e-4)
    assert found.delta_chi2 > 9
    assert found.warnings == ()


def test_errors_cover_the_truth():
    pulls = []
    for seed in range(60):
        z = 0.1 + 1e-5 * seed  # all places within a pixel
        given = observed(z, 0.3, seed, low=4500, high=7600)
        found = z_spec_from_spectrum(given, z_range=(0.09, 0.11))
        pulls.append((found.z - z) / found.z_err)
    # of 60 pulls the standard deviation is 1 +- 0.09, the mean 0 +- 0.13
    assert 0.7 < np.std(pulls) < 1.35
    assert abs(np.mean(pulls)) < 0.5


def test_a_redshift_between_two_points_of_the_grid_is_met():
    wavelength, flux = galaxy(0.1, absorbed=0)
    exact = np.exp(np.linspace(0, 2e-4, 9)) * 1.1 - 1
    for z in exact:
        flux = 1 + lines(wavelength, {4862.683: 1, 6564.614: 3}, z)
        found = z_spec_from_spectrum(spectrum(wavelength, flux, 0.1))
        assert C * (found.z - z) / (1 + z) == pytest.approx(0, abs=2)  # km/s


def test_neither_scale_nor_unit_nor_direction_of_the_axis_matters():
    given = observed(0.2)
    first = z_spec_from_spectrum(given)
    wavelength, flux = given.spectral_axis, given.flux
    others = [
        spectrum(wavelength.value, flux.value * 1e12, 0.1 * 1e12),
        spectrum(wavelength.value[::-1], flux.value[::-1], 0.1),
        spectrum(wavelength.value, flux.value, 0.1, unit=u.Unit(1e-9 * FLUX)),
    ]
    for other in others:
        found = z_spec_from_spectrum(other)
        assert found.z == pytest.approx(first.z, abs=1e-7)
        assert found.z_err == pytest.approx(first.z_err, rel=1e-6)
    per_frequency = Spectrum(
        flux=flux.to(u.mJy, u.spectral_density(wavelength)), spectral_axis=wavelength
    )
    assert z_spec_from_spectrum(per_frequency).z == pytest.approx(first.z, abs=1e-4)


def test_masked_rays_do_not_matter():
    given = observed(0.2)
    flux, mask = given.flux.value.copy(), np.zeros(given.flux.size, dtype=bool)
    mask[::50] = True
    flux[mask] = 1e6
    std = given.uncertainty.array
    masked = spectrum(given.spectral_axis.value, flux, std[0], mask=mask)
    assert z_spec_from_spectrum(masked).z == pytest.approx(0.2, abs=2e-4)


def test_one_line_alone_is_told():
    found = z_spec_from_spectrum(observed(0.2, low=7000, high=8500, absorbed=0))
    assert "SINGLE_FEATURE" in found.warnings  # H alpha


def test_without_a_prior_oxygen_may_be_mistaken_for_hydrogen(one_line):
    found = z_spec_from_spectrum(one_line)
    assert found.z == pytest.approx(3728.5 * 1.9 / 6564.614 - 1, abs=1e-3)
    assert {"SMALL_DELTA_CHI2", "SINGLE_FEATURE"} <= set(found.warnings)


def test_a_prior_tells_oxygen_from_hydrogen(one_line):
    p_of_z = RedshiftPDF.from_gaussians(EDGES, 0.8, 0.12)
    found = z_spec_from_spectrum(one_line, prior=p_of_z)
    assert found.z == pytest.approx(0.9, abs=1e-3)
    assert "PRIOR_DECIDES" in found.warnings
    low = RedshiftPDF.from_gaussians(EDGES, 0.1, 0.05)
    assert z_spec_from_spectrum(one_line, prior=low).z == pytest.approx(0.079, abs=1e-3)


def test_a_prior_does_not_change_chi_square(one_line):
    p_of_z = RedshiftPDF.from_gaussians(EDGES, 0.8, 0.12)
    with_prior = z_spec_from_spectrum(one_line, prior=p_of_z)
    np.testing.assert_array_equal(with_prior.chi2, z_spec_from_spectrum(one_line).chi2)


def test_a_wrong_prior_gives_way_to_good_data():
    wrong = RedshiftPDF.from_gaussians(EDGES, 1.2, 0.01)
    found = z_spec_from_spectrum(observed(0.2), prior=wrong)
    assert found.z == pytest.approx(0.2, abs=2e-4)
    assert found.warnings == ()


def test_without_a_floor_a_prior_excludes():
    wrong = RedshiftPDF([0.5, 0.6], [1.0])
    found = z_spec_from_spectrum(observed(0.2), prior=wrong, prior_floor=0)
    assert 0.5 <= found.z <= 0.6


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("height", [-20, 5, 30, 1000])
def test_hot_pixels_do_not_matter(n, height):
    given = observed(0.2)
    wavelength, flux = given.spectral_axis.value, given.flux.value.copy()
    flux[2000 : 2000 + n] += height
    found = z_spec_from_spectrum(spectrum(wavelength, flux, 0.1))
    assert found.z == pytest.approx(0.2, abs=2e-4)
    assert found.warnings == ()
    np.testing.assert_allclose(found.spikes, wavelength[2000 : 2000 + n])


def test_hot_pixels_can_be_kept():
    given = observed(0.2)
    flux = given.flux.value.copy()
    flux[2000:2003] += 1000
    hot = spectrum(given.spectral_axis.value, flux, 0.1)
    found = z_spec_from_spectrum(hot, resolution=0)
    assert found.z != pytest.approx(0.2, abs=0.01)
    assert found.spikes.size == 0


# Of 400 spectra of this noise, those in which one redshift stands out.
@pytest.mark.parametrize("which", [36, 182, 301])
def test_noise_in_which_one_redshift_stands_out_has_no_features(which):
    wavelength = np.arange(6000.0, 9000.0, 1.5)
    rng = np.random.default_rng(1)
    for _ in range(which + 1):
        noise = rng.normal(0, 1, wavelength.size)
    found = z_spec_from_spectrum(
        spectrum(wavelength, noise, 1.0), z_range=(0, 1.5), resolution=0
    )
    assert found.delta_chi2 > 9
    assert found.warnings == ("NO_FEATURES",)


@pytest.mark.parametrize("level", [0.0, 3.0])
def test_a_level_has_no_redshift(level):
    wavelength = np.arange(4000.0, 9000.0, 1.5)
    found = z_spec_from_spectrum(spectrum(wavelength, level + 0 * wavelength, 1.0))
    assert found.delta_chi2 == pytest.approx(0, abs=1e-6)
    assert {"NO_FEATURES", "SMALL_DELTA_CHI2"} <= set(found.warnings)


@pytest.mark.parametrize("z", [-0.0008, -0.0001, 0.0005])
def test_a_star_is_told(z):
    star = observed(z, 0.05, emitted=0)
    found = z_spec_from_spectrum(star)
    assert found.z == pytest.approx(z, abs=3e-4)
    assert found.warnings == ("STAR",)
    assert "STAR" in z_spec_from_spectrum(star, z_range=(-0.01, 0.1)).warnings


def test_a_star_may_be_one_though_its_p_of_z_knows_galaxies_only():
    """Weak lines, which another redshift would fit as well."""
    star = observed(-0.0003, 0.42, emitted=0, seed=4)
    of_images = RedshiftPDF.from_gaussians(EDGES, 0.35, 0.01)
    found = z_spec_from_spectrum(star, prior=of_images)
    assert found.kind == "star"
    assert found.z == pytest.approx(-0.0003, abs=5e-4)
    excluded = z_spec_from_spectrum(star, prior=of_images, prior_star=0, prior_floor=0)
    assert excluded.kind == "galaxy"
    assert z_spec_from_spectrum(observed(0.1)).kind == "galaxy"


def test_shares_of_the_prior_add_up(one_line):
    """The density of each part, on the grid of redshifts."""
    flat = RedshiftPDF([0, 1.5], [1.0])
    found = z_spec_from_spectrum(one_line, prior=flat, prior_star=0.2, prior_floor=0)
    slow = np.abs(np.log1p(found.z_grid)) < 600 / 299792.458
    density = np.exp(found._log_prior)
    far = density[~slow & (found.z_grid > 0) & (found.z_grid < 1.5)]
    np.testing.assert_allclose(far, 0.8 / 1.5)
    mass = np.sum(density[slow] * np.gradient(found.z_grid)[slow])
    assert mass == pytest.approx(0.2, rel=0.1)


def in_air(z, meta=None):
    """Make a galaxy whose wavelengths are those in air (Edlen 1953, as SDSS says)."""
    wavelength, flux = galaxy(z)
    flux += np.random.default_rng(0).normal(0, 0.1, flux.size)
    ratio = 1 + 2.735182e-4 + 131.4182 / wavelength**2 + 2.76249e8 / wavelength**4
    given = spectrum(wavelength / ratio, flux, 0.1)
    given.meta.update(meta or {})
    return given


def test_wavelengths_in_air_are_converted_where_one_says_so():
    taken_for_vacuum = z_spec_from_spectrum(in_air(0.2))
    assert C * (0.2 - taken_for_vacuum.z) / 1.2 == pytest.approx(83, abs=15)
    found = z_spec_from_spectrum(in_air(0.2), medium="air")
    assert C * (found.z - 0.2) / 1.2 == pytest.approx(0, abs=15)


@pytest.mark.parametrize(
    "card",
    [
        {"AIRORVAC": "air"},
        {"VACUUM": False},
        {"header": {"CTYPE1": "AWAV-LOG"}},
        {"header": {"VACUUM": "F"}},
    ],
    ids=str,
)
def test_wavelengths_in_air_are_converted_where_the_header_says_so(card, caplog):
    expected = z_spec_from_spectrum(in_air(0.2), medium="air")
    with caplog.at_level("INFO"):
        found = z_spec_from_spectrum(in_air(0.2, card))
    assert found.z == expected.z
    assert "wavelengths are in air: they are converted" in caplog.text
    overruled = z_spec_from_spectrum(in_air(0.2, card), medium="vacuum")
    assert overruled.z == z_spec_from_spectrum(in_air(0.2)).z


@pytest.mark.parametrize(
    "card", [{"AIRORVAC": "vac"}, {"VACUUM": True}, {"CTYPE1": "WAVE"}, {"VACUUM": 1}]
)
def test_wavelengths_in_vacuum_stay_as_they_are(card):
    given = observed(0.2)
    given.meta.update(card)
    assert z_spec_from_spectrum(given).z == z_spec_from_spectrum(observed(0.2)).z


def test_a_medium_is_air_or_vacuum():
    with pytest.raises(ValueError, match="'medium' must be one of .*, got 'water'"):
        z_spec_from_spectrum(observed(0.2), medium="water")


def test_a_resolution_is_a_width():
    with pytest.raises(ValueError, match="'resolution' must be 0 or more pixels"):
        z_spec_from_spectrum(observed(0.2), resolution=-1)


def test_noise_has_no_redshift():
    wavelength = np.arange(4000.0, 9000.0, 1.5)
    rng = np.random.default_rng(3)
    found = z_spec_from_spectrum(spectrum(wavelength, 0 * wavelength, 1.0, rng=rng))
    assert "SMALL_DELTA_CHI2" in found.warnings
    assert found.reduced_chi2 == pytest.approx(1, abs=0.1)


def test_a_redshift_outside_the_range_ends_at_its_edge_or_is_doubtful():
    found = z_spec_from_spectrum(observed(0.2), z_range=(0.2008, 0.25))
    assert "EDGE_OF_GRID" in found.warnings


def test_templates_that_cover_little_are_told():
    wavelength, flux = galaxy(0.0, low=5500, high=6700, step=1)
    found = z_spec_from_spectrum(observed(0.1), [spectrum(wavelength, flux)])
    assert found.z == pytest.approx(0.1, abs=1e-3)
    assert "LITTLE_COVERAGE" in found.warnings


def test_a_spectrum_that_is_mostly_masked_is_told():
    given = observed(0.1)
    mask = np.arange(given.flux.size) % 5 > 1
    few = Spectrum(
        flux=given.flux,
        spectral_axis=given.spectral_axis,
        uncertainty=given.uncertainty,
        mask=mask,
    )
    assert "FEW_PIXELS" in z_spec_from_spectrum(few).warnings


def test_without_uncertainties_they_are_estimated_from_the_scatter():
    with_errors, without = (
        z_spec_from_spectrum(
            spectrum(
                given.spectral_axis.value, given.flux.value, std if known else None
            )
        )
        for std, known, given in [
            (0.2, True, observed(0.1, 0.2)),
            (0.2, False, observed(0.1, 0.2)),
        ]
    )
    assert without.warnings == ("ERRORS_ASSUMED",)
    assert without.z == pytest.approx(with_errors.z, abs=1e-6)
    assert without.z_err == pytest.approx(with_errors.z_err, rel=0.1)


def test_every_warning_is_explained():
    for given, options in [
        (observed(0.2), {"z_range": (0.2008, 0.25)}),
        (observed(0.2, low=7000, high=8500), {}),
    ]:
        for name in z_spec_from_spectrum(given, **options).warnings:
            assert REDSHIFT_WARNINGS[name].endswith(".")


@pytest.mark.parametrize("seed", range(4))
def test_the_strengths_of_lines_may_be_others_than_those_of_the_templates(seed):
    rng = np.random.default_rng(seed)
    changed = {line: d * rng.uniform(0.4, 1.6) for line, d in ABSORBED.items()}
    wavelength = np.arange(3800.0, 9200.0, 1.5)
    flux = 1 - lines(wavelength, changed, 0.15, rng.uniform(150, 350))
    found = z_spec_from_spectrum(spectrum(wavelength, flux, 0.05, rng=rng))
    assert found.z == pytest.approx(0.15, abs=3e-4)


def test_templates_of_the_user_are_used():
    wavelength, flux = galaxy(0, low=2500, high=9500)
    mine = TemplateSet([spectrum(wavelength, flux)], names=["mine"])
    found = z_spec_from_spectrum(observed(0.3), mine, degree=3)
    assert found.z == pytest.approx(0.3, abs=2e-4)
    assert set(found.coefficients) == {"mine"}
    assert found.coefficients["mine"] > 0


def test_templates_of_kcorrect_find_the_redshift_too():
    pytest.importorskip("kcorrect")
    found = z_spec_from_spectrum(observed(0.3), TemplateSet.kcorrect())
    assert found.z == pytest.approx(0.3, abs=1e-3)


def test_the_model_is_the_spectrum_without_its_noise():
    wavelength, flux = galaxy(0.1)
    model = z_spec_from_spectrum(observed(0.1, 0.1)).model
    truth = np.interp(model.spectral_axis.to_value(u.AA), wavelength, flux)
    assert np.std(model.flux.to_value(FLUX) - truth) < 0.06  # without fit: 0.4


def test_the_density_has_the_redshift_and_its_error():
    found = z_spec_from_spectrum(observed(0.1, 1.0), z_range=(0.05, 0.2))
    pdf = found.to_pdf()
    assert pdf.shape == ()
    assert float(pdf.median()) == pytest.approx(found.z, abs=0.3 * found.z_err)
    assert float(pdf.std()) == pytest.approx(found.z_err, rel=0.4)


def test_the_density_has_the_bins_asked_for():
    pdf = z_spec_from_spectrum(observed(0.1)).to_pdf(EDGES)
    np.testing.assert_array_equal(pdf.bin_edges, EDGES)
    assert float(pdf.cdf(0.105) - pdf.cdf(0.095)) == pytest.approx(1)


def test_the_density_of_a_nearby_galaxy_does_not_reach_below_zero():
    found = z_spec_from_spectrum(observed(0.0004), z_range=(-0.01, 0.1))
    assert found.to_pdf().bin_edges[0] == 0
    assert float(found.to_pdf().median()) == pytest.approx(0.0004, abs=1e-4)


def test_an_ambiguous_line_has_a_density_with_several_peaks(one_line):
    pdf = z_spec_from_spectrum(one_line).to_pdf(EDGES)
    assert pdf.cdf(0.1) > 0.05
    assert 1 - pdf.cdf(0.85) > 0.05


def test_the_input_is_not_changed():
    given = observed(0.1)
    before = given.flux.value.copy(), given.uncertainty.array.copy()
    z_spec_from_spectrum(given)
    np.testing.assert_array_equal(given.flux.value, before[0])
    np.testing.assert_array_equal(given.uncertainty.array, before[1])


@pytest.mark.parametrize(
    "z_range", [(0.5, 0.5), (1, 0), (-0.5, 1), (0, np.inf), (np.nan, 1)], ids=str
)
def test_a_range_of_redshifts_must_be_one(z_range):
    with pytest.raises(ValueError, match=r"'z_range' must be \(low, high\) with -0.1"):
        z_spec_from_spectrum(observed(0.1), z_range=z_range)


def test_a_spectrum_needs_more_pixels_than_there_are_parameters():
    few = spectrum(np.arange(5000.0, 5020.0), np.ones(20), 0.1)
    with pytest.raises(ValueError, match="20 good pixels, but there are 26 parameters"):
        z_spec_from_spectrum(few)


def test_a_prior_must_be_of_one_galaxy():
    several = RedshiftPDF.from_gaussians(EDGES, [0.1, 0.2], 0.1)
    with pytest.raises(ValueError, match=r"'prior' must be .* one galaxy, got shape"):
        z_spec_from_spectrum(observed(0.1), prior=several)


def test_a_floor_is_a_part_of_a_whole():
    prior = RedshiftPDF([0, 1], [1.0])
    with pytest.raises(ValueError, match="'prior_floor' must be from 0 to 1, got 2"):
        z_spec_from_spectrum(observed(0.1), prior=prior, prior_floor=2)


def test_a_prior_that_excludes_everything_is_refused():
    prior = RedshiftPDF([2, 3], [1.0])
    with pytest.raises(ValueError, match="'prior' is 0 everywhere in 'z_range'"):
        z_spec_from_spectrum(observed(0.1), prior=prior, prior_floor=0)


def test_wrong_units_are_refused():
    counts = spectrum(np.arange(4000.0, 5000.0), np.ones(1000), 0.1, unit=u.ct)
    with pytest.raises(u.UnitsError, match="must be a flux density"):
        z_spec_from_spectrum(counts)
