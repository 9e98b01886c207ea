import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData

from mantis_astro import FitsFolder, MultibandCutout, get_band
from mantis_astro.cutouts import CutoutSource

from .test_multiband import make_wcs

COORDS = SkyCoord([10, 20, 30], [-5, 0, 85], unit="deg")


def image_at(coord, value=1.0):
    wcs = make_wcs()
    wcs.wcs.crval = coord.ra.deg, coord.dec.deg
    return CCDData(np.full((6, 8), value, np.float32), unit="adu", wcs=wcs)


@pytest.fixture
def folder(tmp_path):
    """One file for each of the three positions, its pixels numbered by object."""
    for i, coord in enumerate(COORDS):
        cutouts = MultibandCutout(coord, {"ps1.g": image_at(coord, i)})
        cutouts.write(tmp_path / f"{2 - i}.fits")  # names in the wrong order
    return tmp_path


def test_a_folder_is_a_source(folder):
    assert isinstance(FitsFolder(folder), CutoutSource)


def test_each_position_gets_its_own_image_whatever_the_files_are_called(folder):
    found = list(FitsFolder(folder).iter_cutouts(COORDS, ["ps1.g"]))
    assert [index for index, _, _ in found] == [0, 1, 2]
    assert [cutouts["ps1.g"].data[0, 0] for _, cutouts, _ in found] == [0, 1, 2]
    assert all(statuses[get_band("ps1.g")].is_ok for *_, statuses in found)


def test_a_position_that_no_image_shows_has_no_coverage(folder):
    nearby = COORDS[:1].spherical_offsets_by(10 * u.arcsec, 0 * u.arcsec)
    [(_, cutouts, statuses)] = FitsFolder(folder).iter_cutouts(nearby, ["ps1.g"])
    assert len(cutouts) == 0
    assert statuses[get_band("ps1.g")].state == "no_coverage"


def test_a_band_that_is_not_there_has_no_coverage(folder):
    [(_, cutouts, statuses)] = FitsFolder(folder).iter_cutouts(
        COORDS[:1], ["ps1.g", "galex.NUV"]
    )
    assert cutouts.bands == (get_band("ps1.g"),)
    assert statuses[get_band("galex.NUV")].state == "no_coverage"


def test_the_image_with_the_nearest_centre_is_chosen(folder):
    beside = COORDS[0].spherical_offsets_by(0.5 * u.arcsec, 0 * u.arcsec)
    MultibandCutout(beside, {"ps1.g": image_at(beside, 99)}).write(folder / "00.fits")
    [(_, cutouts, _)] = FitsFolder(folder).iter_cutouts(COORDS[:1], ["ps1.g"])
    assert cutouts["ps1.g"].data[0, 0] == 0


def test_positions_that_are_not_numbers_find_nothing_and_hurt_nobody(folder):
    coords = SkyCoord([np.nan, 10], [0, -5], unit="deg")
    found = list(FitsFolder(folder).iter_cutouts(coords, ["ps1.g"]))
    assert [len(cutouts) for _, cutouts, _ in found] == [0, 1]


def test_a_file_that_breaks_when_read_is_failed_not_absent(folder):
    source = FitsFolder(folder)
    path = folder / "2.fits"  # of the first position
    path.write_bytes(path.read_bytes()[:3000])
    [(_, cutouts, statuses)] = source.iter_cutouts(COORDS[:1], ["ps1.g"])
    assert len(cutouts) == 0
    assert statuses[get_band("ps1.g")].state == "failed"
    assert "2.fits is cut short" in statuses[get_band("ps1.g")].message


def test_useless_files_are_skipped_and_named(folder, caplog):
    (folder / "junk.fits").write_bytes(b"not FITS" * 1000)
    source = FitsFolder(folder)
    assert len(source) == 3
    assert list(source.skipped) == [folder / "junk.fits"]
    assert "junk.fits" in caplog.text


def test_a_mask_is_not_taken_for_an_image(tmp_path):
    image = image_at(COORDS[0])
    image.mask = image.data > 5
    MultibandCutout(COORDS[0], {"ps1.g": image}).write(tmp_path / "a.fits")
    assert len(FitsFolder(tmp_path)) == 1


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(NotADirectoryError, match="no folder"):
        FitsFolder(tmp_path / "nothing")


@pytest.mark.real_data
def test_real_images_are_found_by_what_they_show(real_data):
    source = FitsFolder(real_data / "images")
    frb_host = SkyCoord([334.0204], [-7.8989], unit="deg")
    [(_, cutouts, _)] = source.iter_cutouts(frb_host, ["ps1.g", "ps1.r", "ps1.i"])
    assert {str(band): cutout.shape for band, cutout in cutouts.items()} == {
        "ps1.r": (240, 240),
        "ps1.i": (280, 280),
    }
