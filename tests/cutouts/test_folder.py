import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData

from mantis_astro import CutoutStore, FitsFolder, MultibandCutout, get_band
from mantis_astro.cutouts import CutoutSource
from mantis_astro.exceptions import FetchError

from .test_multiband import make_wcs

COORDS = SkyCoord([10, 20, 30], [-5, 0, 85], unit="deg")


def image_at(coord, value=1.0):
    wcs = make_wcs()
    wcs.wcs.crval = coord.ra.deg, coord.dec.deg
    return CCDData(np.full((6, 8), value, np.float32), unit="adu", wcs=wcs)


@pytest.fixture
def folder(tmp_path):
    """One file for each of the three positions, its pixels numbered from 1."""
    for i, coord in enumerate(COORDS):
        cutouts = MultibandCutout(coord, {"ps1.g": image_at(coord, 1 + i)})
        cutouts.write(tmp_path / f"{2 - i}.fits")  # names in the wrong order
    return tmp_path


def test_a_folder_is_a_source(folder):
    assert isinstance(FitsFolder(folder), CutoutSource)


def test_each_position_gets_its_own_image_whatever_the_files_are_called(folder):
    found = list(FitsFolder(folder).iter_cutouts(COORDS, ["ps1.g"]))
    assert [index for index, _, _ in found] == [0, 1, 2]
    assert [cutouts["ps1.g"].data[0, 0] for _, cutouts, _ in found] == [1, 2, 3]
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
    assert cutouts["ps1.g"].data[0, 0] == 1


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


def test_a_folder_without_images_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(FetchError, match="none whose name ends in .fits"):
        FitsFolder(tmp_path)


def test_a_folder_of_nothing_but_junk_says_what_is_the_matter(tmp_path):
    (tmp_path / "junk.fits").write_bytes(b"not FITS" * 1000)
    with pytest.raises(FetchError, match=r"1 were skipped, the first: .*junk.fits"):
        FitsFolder(tmp_path)


def test_a_store_given_as_a_folder_is_an_error(tmp_path):
    with CutoutStore(tmp_path / "sky", "a"):
        pass
    with pytest.raises(FetchError, match="sky is a store, not a folder of FITS"):
        FitsFolder(tmp_path / "sky")


def write_cube(path, planes, **cards):
    header = make_wcs().to_header()
    header["CRVAL1"], header["CRVAL2"] = COORDS[0].ra.deg, COORDS[0].dec.deg
    header.update(cards)
    fits.PrimaryHDU(np.stack(planes), header).writeto(path)


def test_cubes_of_the_viewer_are_an_image_for_each_band(tmp_path):
    ones = np.ones((6, 8), np.float32)
    write_cube(tmp_path / "a.fits", [ones, 2 * ones], SURVEY="GALEX", BANDS="nf")
    write_cube(tmp_path / "b.fits", [3 * ones, 4 * ones], SURVEY="unWISE", BANDS="12")
    source = FitsFolder(tmp_path)
    assert len(source) == 4
    bands = ["galex.NUV", "galex.FUV", "unwise.W1", "unwise.W2"]
    [(_, cutouts, _)] = source.iter_cutouts(COORDS[:1], bands)
    assert [cutouts[band].data[0, 0] for band in bands] == [1, 2, 3, 4]


def test_a_plane_without_data_is_no_coverage(tmp_path):
    ones = np.ones((6, 8), np.float32)
    write_cube(tmp_path / "a.fits", [ones, 0 * ones], SURVEY="GALEX", BANDS="nf")
    [(_, cutouts, statuses)] = FitsFolder(tmp_path).iter_cutouts(
        COORDS[:1], ["galex.NUV", "galex.FUV"]
    )
    assert [str(band) for band in cutouts] == ["galex.NUV"]
    assert statuses[get_band("galex.FUV")].state == "no_coverage"


def test_a_cube_without_names_is_skipped_with_a_reason(folder):
    write_cube(folder / "cube.fits", [np.ones((6, 8), np.float32)] * 2)
    source = FitsFolder(folder)
    assert len(source) == 3
    assert "are not named (no BANDS)" in source.skipped[folder / "cube.fits"]


@pytest.mark.real_data
def test_real_images_are_found_by_what_they_show(real_data):
    source = FitsFolder(real_data / "images")
    frb_host = SkyCoord([334.0204], [-7.8989], unit="deg")
    [(_, cutouts, _)] = source.iter_cutouts(frb_host, ["ps1.g", "ps1.r", "ps1.i"])
    assert {str(band): cutout.shape for band, cutout in cutouts.items()} == {
        "ps1.r": (240, 240),
        "ps1.i": (280, 280),
    }
