"""Many files become a table of labels, and none of them stops it."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from mantis_astro import RedshiftPDF
from mantis_astro.spectra import z_spec_table

from .made import (
    galaxy,
    lines,
    spectrum,
    table_hdu,
    write_desi,
    write_redrock,
    write_sdss,
)


def desi(path, redshifts):
    rng = np.random.default_rng(2)
    wavelength, _ = galaxy(0, step=0.8)
    flux = [galaxy(z, step=0.8)[1] for z in redshifts]
    flux += rng.normal(0, 0.2, np.shape(flux))
    ivar = np.full(flux.shape, 0.2**-2)
    arms = {"B": (wavelength, flux, ivar, np.zeros(flux.shape, "i4"))}
    return write_desi(path, 100 + np.arange(len(redshifts)), arms)


def test_every_spectrum_of_every_file_has_a_row(tmp_path):
    coadd = desi(tmp_path / "coadd-1.fits", [0.1, 0.25])
    write_redrock(tmp_path / "redrock-1.fits", [101, 100], [0.25, 0.1])
    wavelength, flux = galaxy(0.05)
    spec = write_sdss(
        tmp_path / "spec.fits", wavelength, flux, np.full(flux.size, 100.0)
    )
    table = z_spec_table([coadd, spec])
    np.testing.assert_allclose(table["z_spec"].unmasked, [0.1, 0.25, 0.05], atol=3e-4)
    np.testing.assert_allclose(table["z_catalogue"].unmasked[:2], [0.1, 0.25])
    assert table["z_catalogue"].mask.tolist() == [False, False, True]
    assert table["target_id"].tolist() == [100, 101, None]
    assert table["coord"].ra.deg.tolist() == [10, 11, 150]
    assert table["warnings"].tolist() == ["", "", ""]
    assert table["file"].tolist() == [str(coadd), str(coadd), str(spec)]


def test_bad_files_have_rows_with_the_reason(tmp_path):
    empty = write_sdss(tmp_path / "spec.fits", [4000.0, 4001], [1, 1], [0, 0])
    stranger = write_redrock(tmp_path / "redrock.fits", [1], [0.1])
    table = z_spec_table([empty, tmp_path / "none.fits", stranger])
    assert table["warnings"].tolist() == ["NO_DATA"] * 3
    assert table["z_spec"].mask.all()
    for problem, reason in zip(
        table["problem"], ["no good pixel", "No such file", "neither"], strict=True
    ):
        assert reason in problem


def test_one_odd_file_costs_its_own_row_only(tmp_path):
    wavelength, flux = galaxy(0.05)
    ivar = np.full(flux.size, 100.0)
    good = write_sdss(tmp_path / "good.fits", wavelength, flux, ivar)
    no_pixels = write_sdss(tmp_path / "no_pixels.fits", [], [], [])
    folded = write_sdss(
        tmp_path / "folded.fits", wavelength[::-1] * 0 + 5e3, flux, ivar
    )
    no_target = desi(tmp_path / "coadd-1.fits", [0.1])
    with fits.open(no_target, mode="update") as hdus:
        hdus["FIBERMAP"].columns.change_name("TARGETID", "OTHER")
    no_position = desi(tmp_path / "coadd-2.fits", [0.1])
    with fits.open(no_position, mode="update") as hdus:
        hdus["FIBERMAP"].columns.change_name("TARGET_RA", "OTHER")
    empty = tmp_path / "empty.fits"
    empty.touch()
    odd = [no_pixels, folded, no_target, no_position, empty, tmp_path, None]
    table = z_spec_table([*odd, good])
    assert table["warnings"].tolist() == ["NO_DATA"] * len(odd) + [""]
    assert all(table["problem"][:-1])
    assert "at one wavelength" in table["problem"][1]
    assert table["z_spec"].unmasked[-1].value == pytest.approx(0.05, abs=3e-4)


@pytest.mark.parametrize("kind", ["no rows", "no column"])
def test_an_odd_catalogue_costs_its_redshift_only(tmp_path, kind):
    wavelength, flux = galaxy(0.05)
    path = tmp_path / "spec.fits"
    write_sdss(path, wavelength, flux, np.full(flux.size, 100.0), z=0.05)
    with fits.open(path) as hdus:
        whole = hdus["SPECOBJ"].data
        names = ["Z", "Z_ERR", "ZWARNING", "CLASS"] if kind == "no rows" else ["Z"]
        rows = {name: whole[name][: kind != "no rows"] for name in names}
        hdus[2] = table_hdu("SPECOBJ", rows)
        hdus.writeto(path, overwrite=True)
    coadd = desi(tmp_path / "coadd-1.fits", [0.1])
    write_redrock(tmp_path / "redrock-1.fits", [7], [0.25])  # of another target
    table = z_spec_table([path, coadd])
    assert table["warnings"].tolist() == ["", ""]
    assert table["z_catalogue"].mask.all()


def test_options_are_those_of_one_spectrum(tmp_path):
    coadd = desi(tmp_path / "coadd-1.fits", [0.1])
    table = z_spec_table([coadd], z_range=(0.1005, 0.2))
    assert "EDGE_OF_GRID" in table["warnings"][0]


def test_a_wrong_option_is_an_error_not_a_bad_row(tmp_path):
    coadd = desi(tmp_path / "coadd-1.fits", [0.1])
    with pytest.raises(ValueError, match="'z_range' must be"):
        z_spec_table([coadd], z_range=(1, 0))
    with pytest.raises(ValueError, match="'degree' must be a whole number from -1"):
        z_spec_table([coadd], degree=-2)


def test_one_path_is_not_many():
    with pytest.raises(TypeError, match=r"must be an iterable of paths.*\['a.fits'\]"):
        z_spec_table("a.fits")


def test_no_files_make_no_rows():
    assert len(z_spec_table([])) == 0


@pytest.fixture(scope="module")
def spectra():
    """One line in each, [O II] or H alpha."""
    wavelength = np.arange(6000.0, 9000.0, 1.5)
    flux = 1 + lines(wavelength, {3727.09: 0.85, 3729.88: 1.02}, 0.9, 90.0)
    rng = np.random.default_rng(2)
    return [spectrum(wavelength, flux, 0.3, rng=rng)] * 3


@pytest.fixture(scope="module")
def pdf():
    edges = np.linspace(0, 1.5, 151)
    return RedshiftPDF.from_gaussians(edges, [0.8, 0.1, 1.0], [0.12, 0.05, 0.12])


class TestPriors:
    """One line each, which several redshifts fit: the p(z) of the images decides."""

    TRUTHS = (0.9, 0.0791, 0.9)

    def test_each_spectrum_has_its_own(self, spectra, pdf):
        table = z_spec_table(spectra, prior=pdf)
        np.testing.assert_allclose(table["z_spec"].unmasked, self.TRUTHS, atol=1e-3)
        assert table["kind"].tolist() == ["galaxy"] * 3
        assert table["file"].tolist() == [""] * 3
        assert np.isnan(table["coord"].ra).all()

    def test_of_a_table_with_a_row_each(self, spectra, pdf):
        table = z_spec_table(spectra[:2], prior=pdf[:2].to_table())
        np.testing.assert_allclose(table["z_spec"].unmasked, self.TRUTHS[:2], atol=1e-3)

    def test_one_for_all(self, spectra, pdf):
        table = z_spec_table(spectra[:2], prior=pdf[1])
        np.testing.assert_allclose(table["z_spec"].unmasked, 0.0791, atol=1e-3)

    def test_a_file_that_cannot_be_read_uses_up_its_own(self, spectra, pdf):
        table = z_spec_table([spectra[0], "nowhere.fits", spectra[2]], prior=pdf)
        np.testing.assert_allclose(table["z_spec"].unmasked[[0, 2]], 0.9, atol=1e-3)
        assert table["kind"].tolist() == ["galaxy", "", "galaxy"]

    def test_another_number_is_an_error(self, spectra, pdf):
        with pytest.raises(
            ValueError, match=r"each of the 2 spectra, got shape \(3,\)"
        ):
            z_spec_table(spectra[:2], prior=pdf)


def test_what_a_spectrum_in_memory_calls_its_own_costs_no_row():
    wavelength, flux = galaxy(0.1)
    one = spectrum(wavelength, flux, 0.1)
    one.meta.update(redshift=0.3, target_id="J1", coord=(1.0, 2.0))
    other = spectrum(wavelength, flux, 0.1)
    other.meta.update(
        redshift="?", target_id=7, coord=SkyCoord([3.0], [4.0], unit="deg")
    )
    table = z_spec_table([one, other])
    np.testing.assert_allclose(table["z_spec"].unmasked, 0.1, atol=3e-4)
    assert table["z_catalogue"].mask.tolist() == [False, True]
    assert table["z_catalogue"][0] == 0.3
    assert table["target_id"].tolist() == [None, 7]
    assert np.isnan(table["coord"][0].ra)
    assert table["coord"][1].ra.deg == 3
