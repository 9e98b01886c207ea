"""E(B-V) off maps of the real formats, made small."""

import os
import sys

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from mantis_astro import dust
from mantis_astro.exceptions import FetchError
from mantis_astro.files import KnownFile, local_path

pytest.importorskip("dustmaps", reason="extra 'dust'")

NSIDE = 4
PLANCK = "HFI_CompMap_ThermalDustModel_2048_R1.20.fits"
POSITIONS = SkyCoord([10, 200, 300], [20, -45, 89], unit="deg", frame="galactic")


@pytest.fixture(autouse=True)
def dustmaps_finds_nothing_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The three maps in the formats that they are published in."""
    folder = tmp_path_factory.mktemp("maps")
    values = np.linspace(0, 1, 12 * NSIDE**2)
    table = fits.BinTableHDU.from_columns(
        [fits.Column("T", "16E", array=values.reshape(-1, 16))], name="xtension"
    )
    table.writeto(folder / "csfd_ebv.fits")
    table = fits.BinTableHDU.from_columns(
        [fits.Column("EBV", "E", array=values)], name="COMP-MAP"
    )
    table.header["ORDERING"] = "NESTED"
    table.writeto(folder / PLANCK)
    for pole, sign in (("ngp", 1), ("sgp", -1)):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = "GLON-ZEA", "GLAT-ZEA"
        wcs.wcs.crval = 0, 90 * sign
        wcs.wcs.crpix = 32.5, 32.5
        wcs.wcs.cdelt = -3 * sign, 3
        image = np.full((64, 64), 0.25 if sign == 1 else 0.75, dtype=np.float32)
        fits.writeto(folder / f"SFD_dust_4096_{pole}.fits", image, wcs.to_header())
    return folder


def healpix_values(*, nest):
    import healpy

    index = healpy.ang2pix(
        NSIDE, POSITIONS.l.deg, POSITIONS.b.deg, nest=nest, lonlat=True
    )
    return np.linspace(0, 1, 12 * NSIDE**2)[index]


@pytest.mark.parametrize(("name", "nest"), [("csfd", False), ("planck", True)])
def test_a_healpix_map_gives_the_pixel_in_galactic_coordinates(folder, name, nest):
    values = dust.ebv(POSITIONS.icrs, map=name, folder=folder)
    np.testing.assert_allclose(values, healpix_values(nest=nest), rtol=1e-6)


def test_sfd_reads_each_hemisphere_from_its_file(folder):
    values = dust.ebv(POSITIONS, map="sfd", folder=folder)
    np.testing.assert_allclose(values, [0.25, 0.75, 0.25], rtol=1e-6)


def test_csfd_is_what_dustmaps_own_reader_gives(folder, tmp_path):
    from dustmaps.csfd import CSFDQuery

    fits.BinTableHDU.from_columns(
        [fits.Column("T", "16I", array=np.zeros((12, 16)))], name="xtension"
    ).writeto(tmp_path / "mask.fits")
    theirs = CSFDQuery(str(folder / "csfd_ebv.fits"), str(tmp_path / "mask.fits"))
    np.testing.assert_array_equal(
        dust.ebv(POSITIONS, folder=folder), theirs(POSITIONS).astype(np.float32)
    )


def test_a_scalar_position_gives_a_scalar(folder):
    assert np.shape(dust.ebv(POSITIONS[0], folder=folder)) == ()


def test_shape_follows_the_positions(folder):
    assert dust.ebv(POSITIONS.reshape(3, 1), folder=folder).shape == (3, 1)


def test_a_position_that_is_not_finite_has_no_ebv(folder):
    coord = SkyCoord([10, np.nan], [20, 20], unit="deg")
    assert np.isnan(dust.ebv(coord, folder=folder)).tolist() == [False, True]


def test_the_folder_of_dustmaps_itself_works(folder, tmp_path):
    (tmp_path / "csfd").mkdir()
    (tmp_path / "csfd" / "csfd_ebv.fits").symlink_to(folder / "csfd_ebv.fits")
    np.testing.assert_array_equal(
        dust.ebv(POSITIONS, folder=tmp_path), dust.ebv(POSITIONS, folder=folder)
    )


def test_an_unknown_map_is_an_error():
    with pytest.raises(ValueError, match="no dust map 'bh'; there are csfd, planck"):
        dust.ebv(POSITIONS, map="bh")


def test_a_map_that_was_not_fetched_is_not_fetched_now(monkeypatch, tmp_path):
    monkeypatch.setenv("MANTIS_ASTRO_CACHE", str(tmp_path))
    with pytest.raises(FetchError, match="fetch it with 'mantis-astro files fetch csf"):
        dust.ebv(POSITIONS)
    assert not list(tmp_path.iterdir())


def test_a_folder_without_the_map_is_an_error(tmp_path):
    with pytest.raises(FetchError, match="needs SFD_dust_4096_ngp.fits, which is not"):
        dust.ebv(POSITIONS, map="sfd", folder=tmp_path)


def test_a_fetched_map_is_verified(monkeypatch, tmp_path):
    monkeypatch.setenv("MANTIS_ASTRO_CACHE", str(tmp_path))
    local_path("csfd").write_bytes(b"not the map")
    with pytest.raises(FetchError, match="csfd"):
        dust.ebv(POSITIONS)


def test_a_fetched_map_that_is_right_is_read(monkeypatch, tmp_path, folder):
    import hashlib

    monkeypatch.setenv("MANTIS_ASTRO_CACHE", str(tmp_path))
    content = (folder / "csfd_ebv.fits").read_bytes()
    known = KnownFile(
        name="small-csfd",
        url="https://example.org/csfd_ebv.fits",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="none",
    )
    monkeypatch.setattr("mantis_astro.files.known._files", {"small-csfd": known})
    monkeypatch.setitem(dust._FILES, "csfd", {"small-csfd": "csfd_ebv.fits"})
    local_path("small-csfd").write_bytes(content)
    np.testing.assert_allclose(
        dust.ebv(POSITIONS), healpix_values(nest=False), rtol=1e-6
    )


def test_a_map_that_changed_on_disk_is_read_again(folder, tmp_path):
    path = tmp_path / "csfd_ebv.fits"
    path.write_bytes((folder / "csfd_ebv.fits").read_bytes())
    before = dust.ebv(POSITIONS, folder=tmp_path)
    with fits.open(path, mode="update", memmap=False) as hdus:
        hdus[1].data["T"] *= 2
    os.utime(path, ns=(1, 1))
    np.testing.assert_allclose(dust.ebv(POSITIONS, folder=tmp_path), 2 * before)


def test_without_dustmaps_the_message_says_how_to_install_it(folder, monkeypatch):
    dust._load.cache_clear()
    monkeypatch.setitem(sys.modules, "dustmaps.healpix_map", None)
    monkeypatch.setitem(sys.modules, "dustmaps", None)
    with pytest.raises(ImportError, match=r'pip install "mantis-astro\[dust\]"'):
        dust.ebv(POSITIONS, folder=folder)


def test_the_configuration_of_dustmaps_is_left_alone(folder, tmp_path):
    from dustmaps.config import config

    before = dict(config._options)
    dust.ebv(POSITIONS, map="sfd", folder=folder)
    assert config._options == before
    assert not (tmp_path / "home").exists()
