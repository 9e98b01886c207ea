"""Real spectra of SDSS and DESI against the surveys' own results."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from mantis_astro import (
    RedshiftPDF,
    read_spectrum,
    synthetic_photometry,
    z_spec_from_spectrum,
)
from mantis_astro.bands import Band
from mantis_astro.cutouts import MultibandCutout, read_cutout
from mantis_astro.photometry import Circular, measure_photometry
from mantis_astro.spectra import TemplateSet, read_catalogue_redshift, z_spec_table
from mantis_astro.spectra.pixels import get_pixels

pytestmark = pytest.mark.real_data

SDSS = [
    "sdss_spec-0653-52145-0069_z0.30185",
    "spec-0528-52022-0137",
    "spec-1039-52707-0207",
    "spec-2095-53474-0355",
    "spec-2515-54180-0377",
    "spec-2618-54506-0310",
]
GALAXIES = [*SDSS, "coadd-4-80613-thru20210324"]
LYMAN_ALPHA = "coadd-special-dark-27247"


@pytest.fixture
def path(real_data):
    return lambda name: real_data / "spectra" / f"{name}.fits"


@pytest.mark.parametrize("name", GALAXIES)
def test_the_redshift_of_the_survey_is_found(path, name):
    spectrum = read_spectrum(path(name))
    found = z_spec_from_spectrum(spectrum)
    assert found.z == pytest.approx(spectrum.meta["redshift"].z, abs=1e-3)
    assert found.warnings == ()


@pytest.mark.parametrize("name", [*GALAXIES, LYMAN_ALPHA])
def test_the_redshift_of_the_survey_is_found_with_templates_of_galaxies(path, name):
    pytest.importorskip("kcorrect")
    spectrum = read_spectrum(path(name))
    found = z_spec_from_spectrum(spectrum, TemplateSet.kcorrect())
    assert found.z == pytest.approx(spectrum.meta["redshift"].z, abs=1e-3)


class TestLymanAlpha:
    """
    An emitter of Lyman alpha that the pipeline, which ends at z = 1.7, calls [O III].

    One line at 5044 Angstrom, within the narrow filter N501 by which the survey ODIN
    selects emitters at z = 3.1 in this field (Lee et al. 2024, ApJ 962, 36).
    """

    @pytest.fixture
    def spectrum(self, path):
        return read_spectrum(path(LYMAN_ALPHA))

    def test_it_is_doubtful_whatever_range_is_tried(self, spectrum):
        for high in (1.5, 5):
            found = z_spec_from_spectrum(spectrum, z_range=(0, high))
            assert "SINGLE_FEATURE" in found.warnings

    def test_it_is_lyman_alpha_if_the_range_allows(self, spectrum):
        found = z_spec_from_spectrum(spectrum, z_range=(0, 5))
        assert found.z == pytest.approx(3.148, abs=1e-3)
        assert found.coefficients["Lyman alpha"] > 0

    def test_the_catalogue_would_need_a_line_that_is_not_there(self, spectrum):
        pixels = get_pixels(spectrum)

        def line(wavelength):
            beside = abs(pixels.wavelength - wavelength)
            near, far = pixels.good & (beside < 5), pixels.good & (beside < 40)
            level = np.median(pixels.flux[far & ~near])
            flux = (pixels.flux[near] - level).sum()
            return flux, np.sqrt((pixels.std[near] ** 2).sum())

        z = spectrum.meta["redshift"].z
        (strong, _), (weak, error) = (line(w * (1 + z)) for w in (5008.240, 4960.295))
        # one upper level: the ratio is 2.98 in every galaxy
        assert weak < strong / 2.98 - 10 * error

    def test_a_prior_has_the_last_word_among_the_lines(self, spectrum):
        for z, low, high in ((0.00727, 0, 0.1), (0.353, 0.3, 0.5), (3.148, 3, 3.3)):
            prior = RedshiftPDF([low, high], [1.0])
            found = z_spec_from_spectrum(
                spectrum, z_range=(0, 5), prior=prior, prior_floor=0
            )
            assert found.z == pytest.approx(z, abs=1e-3)


def test_synthetic_magnitudes_are_those_that_sdss_computed(path):
    name = path(SDSS[0])
    computed = fits.getdata(name, "SPECOBJ")["SPECTROFLUX"][0]  # ugriz, nanomaggies
    for letter, nanomaggies in zip("gri", computed[1:4], strict=True):
        band = Band("sdss", letter, f"sdss_{letter}0", 5000 * u.AA, 1 * u.arcsec, 22.5)
        table = synthetic_photometry(read_spectrum(name), [band], min_coverage=0.99)
        flux = table[f"flux_sdss_{letter}"].unmasked.value[0]
        assert flux == pytest.approx(nanomaggies * 3631, rel=0.02)


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
def test_a_spectrum_and_the_images_of_its_object_agree_to_what_a_fibre_allows(
    path, real_data
):
    spectrum = read_spectrum(path(SDSS[0]))
    table = synthetic_photometry(spectrum, ["ps1.g", "ps1.r", "ps1.i", "ps1.y"])
    assert table["flux_ps1_y"].mask[0]
    folder = real_data / "images" / "ps1_j0028"
    cutouts = MultibandCutout(
        SkyCoord(7.0939, -10.65098, unit="deg"),
        {f"ps1.{b}": read_cutout(folder / f"2_{b}.fits", f"ps1.{b}") for b in "gri"},
    )
    fibre = measure_photometry(
        cutouts, aperture=Circular(1.5 * u.arcsec, correction=None)
    )
    whole = measure_photometry(cutouts, aperture="kron")
    for letter in "gri":
        flux = f"flux_ps1_{letter}"
        synthetic = table[flux].unmasked[0]
        # calibrated as if all light of a point source fell into the fibre: brighter
        # than the aperture of the fibre, fainter than the galaxy
        assert fibre[flux].unmasked[0] < synthetic < whole[flux].unmasked[0]


def test_a_table_of_labels_is_made_of_all_files(real_data):
    paths = sorted((real_data / "spectra").glob("*spec-*.fits"))
    table = z_spec_table([p for p in paths if "redrock" not in p.name])
    assert len(table) == 6
    delta_z = table["z_spec"].unmasked - table["z_catalogue"].unmasked
    assert abs(delta_z.value).max() < 1e-3
    assert (table["warnings"] == "").all()


def test_redrock_files_are_read_alone(path):
    z = read_catalogue_redshift(path("redrock-4-80613-thru20210324")).z
    assert z == pytest.approx(0.36874, abs=1e-5)
