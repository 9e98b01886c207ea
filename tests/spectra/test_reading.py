"""Files of SDSS and DESI, as documented by the surveys and written here."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import InverseVariance
from specutils import Spectrum

from mantis_astro import read_spectrum
from mantis_astro.spectra import list_targets, read_catalogue_redshift

from .made import FLUX, write_desi, write_redrock, write_sdss

WAVELENGTH = 10 ** np.arange(3.6, 3.601, 1e-4)
N = WAVELENGTH.size


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spec-1000-50000-0001.fits"


@pytest.fixture
def coadd(tmp_path):
    """Two targets in two arms, which share the pixels of 4002 and 4003 Angstrom."""
    blue, red = np.arange(4000.0, 4004), np.arange(4002.0, 4006)
    ones = np.ones((2, 4))
    arms = {
        "B": (blue, [[1] * 4, [2] * 4], ones, np.zeros((2, 4), "i4")),
        "R": (red, [[5] * 4, [6] * 4], 3 * ones, np.zeros((2, 4), "i4")),
    }
    return write_desi(tmp_path / "coadd-main-dark-1.fits", [39, 77], arms)


def test_a_spectrum_of_sdss_is_a_specutils_spectrum_with_units_and_weights(path):
    spectrum = read_spectrum(write_sdss(path, WAVELENGTH, np.arange(N), np.full(N, 4)))
    assert isinstance(spectrum, Spectrum)
    assert spectrum.flux.unit == FLUX
    assert isinstance(spectrum.uncertainty, InverseVariance)
    np.testing.assert_array_equal(spectrum.flux.value, np.arange(N))
    np.testing.assert_array_equal(spectrum.uncertainty.array, 4)
    np.testing.assert_allclose(spectrum.spectral_axis.to_value(u.AA), WAVELENGTH, 1e-6)
    assert not spectrum.mask.any()


def test_a_spectrum_of_sdss_knows_where_it_is_and_what_the_pipeline_found(path):
    meta = read_spectrum(
        write_sdss(path, WAVELENGTH, np.ones(N), np.ones(N), z=0.25)
    ).meta
    assert meta["redshift"] == (pytest.approx(0.25), pytest.approx(1e-5), 4, "GALAXY")
    assert (meta["coord"].ra.deg, meta["coord"].dec.deg) == (150, 2)
    assert meta["survey"] == "SDSS"
    assert meta["path"] == str(path)


def test_without_specobj_there_is_no_catalogue_redshift(path):
    write_sdss(path, WAVELENGTH, np.ones(N), np.ones(N))
    assert read_spectrum(path).meta["redshift"] is None
    assert read_catalogue_redshift(path) is None


def test_bright_sky_is_masked_and_what_only_concerns_the_plate_is_not(path):
    and_mask = np.zeros(N, dtype=int)
    and_mask[2] = 1 << 23  # BRIGHTSKY
    and_mask[3:6] = 1 << 4, 1 << 10, 1 << 16  # MANYBADCOLUMNS, SMEARIMAGE, NEARBADPIXEL
    write_sdss(path, WAVELENGTH, np.ones(N), np.ones(N), and_mask=and_mask)
    assert np.flatnonzero(read_spectrum(path).mask).tolist() == [2]


def test_pixels_without_weight_or_flux_are_masked(path):
    flux, ivar = np.ones(N), np.ones(N)
    ivar[1], flux[4], ivar[5] = 0, np.nan, -1
    mask = read_spectrum(write_sdss(path, WAVELENGTH, flux, ivar)).mask
    assert np.flatnonzero(mask).tolist() == [1, 4, 5]


def test_a_target_cannot_be_chosen_in_a_file_of_one_spectrum(path):
    write_sdss(path, WAVELENGTH, np.ones(N), np.ones(N))
    with pytest.raises(ValueError, match="holds one spectrum: leave out 'target_id'"):
        read_spectrum(path, target_id=5)


def test_arms_are_averaged_with_their_weights_where_they_overlap(coadd):
    spectrum = read_spectrum(coadd, target_id=39)
    assert spectrum.spectral_axis.to_value(u.AA).tolist() == list(range(4000, 4006))
    # weights 1 and 3 of fluxes 1 and 5
    np.testing.assert_allclose(spectrum.flux.value, [1, 1, 4, 4, 5, 5])
    np.testing.assert_allclose(spectrum.uncertainty.array, [1, 1, 4, 4, 3, 3])


def test_a_bad_pixel_of_one_arm_leaves_the_other_arm(tmp_path):
    nan = np.nan
    arms = {
        "B": ([1.0, 2, 3], [[1, nan, 1]], [[1, 1, 1]], [[0, 0, 1]]),
        "R": ([2.0, 3, 4], [[7, 7, 7]], [[2, 2, 0]], [[0, 1, 0]]),
    }
    path = write_desi(tmp_path / "coadd.fits", [1], arms)
    spectrum = read_spectrum(path)
    assert spectrum.flux.value[:2].tolist() == [1, 7]
    assert spectrum.mask.tolist() == [False, False, True, True]


@pytest.mark.parametrize("choice", [{"target_id": 77}, {"row": 1}], ids=str)
def test_a_target_is_chosen_by_its_number_or_row(coadd, choice):
    meta = read_spectrum(coadd, **choice).meta
    assert meta["target_id"] == 77
    assert meta["coord"].ra.deg == 11


def test_all_targets_are_listed(coadd, path):
    assert list_targets(coadd) == [39, 77]
    write_sdss(path, WAVELENGTH, np.ones(N), np.ones(N))
    assert list_targets(path) == [None]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({}, r"holds 2 targets: name one with 'target_id' \(39, 77\) or 'row'"),
        ({"target_id": 5}, "has no TARGETID 5; it has 39, 77"),
        ({"row": 2}, "'row' must be from 0 to 1 .* got 2"),
        ({"row": -1}, "'row' must be from 0 to 1 .* got -1"),
        ({"row": 0, "target_id": 39}, "'target_id' or 'row', not both"),
    ],
)
def test_a_target_must_be_named_and_be_there(coadd, choice, message):
    with pytest.raises(ValueError, match=message):
        read_spectrum(coadd, **choice)


def test_the_redrock_file_beside_gives_redshifts_in_whatever_order(coadd):
    assert read_spectrum(coadd, row=0).meta["redshift"] is None
    redrock = write_redrock(
        coadd.with_name("redrock-main-dark-1.fits"), [77, 39], [0.7, 0.3]
    )
    assert read_spectrum(coadd, target_id=39).meta["redshift"].z == 0.3
    assert read_catalogue_redshift(redrock, target_id=77).z == 0.7
    assert read_catalogue_redshift(coadd, row=1).z == 0.7


def test_a_file_of_another_kind_is_refused_with_what_it_holds(coadd):
    redrock = write_redrock(coadd.with_name("redrock.fits"), [1], [0.1])
    message = "neither an SDSS spec file .* its HDUs are PRIMARY, REDSHIFTS"
    with pytest.raises(ValueError, match=message):
        read_spectrum(redrock)


@pytest.mark.parametrize("lost", ["FIBERMAP", "R_IVAR"])
def test_a_coadd_without_what_it_needs_is_no_coadd(coadd, lost):
    with fits.open(coadd, mode="update") as hdus:
        del hdus[lost]
        del hdus["B_IVAR"]
    with pytest.raises(ValueError, match="nor a DESI coadd"):
        read_spectrum(coadd)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_spectrum(tmp_path / "nowhere.fits")


def test_a_file_that_is_not_fits_is_refused(path):
    path.write_text("Not a spectrum. " * 500)
    with pytest.raises(OSError, match="SIMPLE"):
        read_spectrum(path)


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9])
def test_a_file_cut_short_is_refused_wherever_it_is_cut(coadd, part):
    content = coadd.read_bytes()
    coadd.write_bytes(content[: int(part * len(content))])
    for read in (read_spectrum, list_targets, read_catalogue_redshift):
        with pytest.raises(OSError, match="cut short or damaged|Empty or corrupt"):
            read(coadd)
