"""One object by name or position: what is asked, what comes back, what is refused."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.coordinates.name_resolve import sesame_url
from astropy.table import QTable, Row

from mantis_astro import PhotoZ, RedshiftPDF
from mantis_astro.cli import main
from mantis_astro.exceptions import FetchError
from mantis_astro.services import find_object
from mantis_astro.tables import read_table

from .made import MadeSky, make_galaxy

M101 = SkyCoord(210.802429, 54.348750, unit="deg")


@pytest.fixture(scope="module")
def photoz():
    return PhotoZ.from_pretrained("simulated-early")


@pytest.fixture
def sesame(httpserver):
    """Sesame on this machine; it knows one galaxy."""
    httpserver.expect_request("/SNV", query_string=b"M%20101").respond_with_data(
        f"# M 101\n%J {M101.ra.deg:.6f} {M101.dec.deg:+.6f} = 14:03:12.58\n"
    )
    httpserver.expect_request("/SNV").respond_with_data("#!SIMBAD: Nothing found\n")
    with sesame_url.set([httpserver.url_for("/")]):
        yield httpserver


@pytest.mark.parametrize(
    "text",
    [
        f"{M101.ra.deg} {M101.dec.deg:+}",
        f"{M101.ra.deg}, {M101.dec.deg}",
        M101.to_string("hmsdms", precision=4),
        M101.to_string("hmsdms", sep=":", precision=4),
        M101.to_string("hmsdms", sep=" ", precision=4),
        f"galactic {M101.galactic.l.deg:.6f} {M101.galactic.b.deg:.6f}",
        f"l={M101.galactic.l.deg:.6f}, b={M101.galactic.b.deg:.6f}",
        f"G{M101.galactic.l.deg:.6f}+{M101.galactic.b.deg:.6f}",
    ],
)
def test_a_position_as_text_needs_no_network(text):
    assert find_object(text).separation(M101).arcsec < 0.01


def test_a_name_is_asked_of_sesame(sesame):
    assert find_object("M 101") == SkyCoord.from_name("M 101")
    with pytest.raises(ValueError, match="neither SIMBAD, NED nor VizieR has an"):
        find_object("M 1011")


def test_without_a_network_a_name_is_an_error_of_ours():
    with (
        sesame_url.set(["http://127.0.0.1:9/"]),
        pytest.raises(
            FetchError, match="Sesame.* cannot be asked for 'M 101' .*refused"
        ),
    ):
        find_object("M 101")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("12 95", "is no position: write right ascension"),
        ("12 13 14", "is no position: write right ascension"),
        ("galactic 12 95", "is no position: latitudes are from -90 to 90"),
        ("", "is empty"),
        (
            SkyCoord([1, 2], [3, 4], unit="deg"),
            r"must be one position, got shape \(2,\)",
        ),
        (SkyCoord(np.nan, 4, unit="deg"), "must be a position on the sphere"),
    ],
)
def test_what_is_not_one_position_is_refused(target, message):
    with pytest.raises(ValueError, match=message):
        find_object(target)


def test_a_pair_of_numbers_is_no_target():
    with pytest.raises(TypeError, match="must be a name or a SkyCoord, got tuple"):
        find_object((210.8, 54.3))


def test_the_row_is_that_of_a_table(photoz, sesame):
    row = photoz.at("M 101", MadeSky(), ebv=0.02)
    table = QTable({"ra": [M101.ra.deg], "dec": [M101.dec.deg]})
    expected = photoz.add_redshifts(table, MadeSky(), ebv=0.02)[0]
    assert isinstance(row, Row)
    assert row["name"] == "M 101"
    assert RedshiftPDF.from_table(row) == RedshiftPDF.from_table(expected)
    galactic = photoz.at(row["coord"].galactic, MadeSky(), ebv=0.02)
    assert galactic["z_median"] == row["z_median"]


def test_a_photometric_model_measures_images():
    photoz = PhotoZ.from_pretrained("simulated-photometric")
    row = photoz.at(M101, MadeSky(), ebv=0.02)
    assert 0 < row["z_median"] < photoz.card.z_edges[-1]


def test_the_command_says_redshift_and_flags_in_words(tmp_path, capsys):
    (tmp_path / "cutouts").mkdir()
    make_galaxy(M101, ["ps1.g", "ps1.r"]).write(tmp_path / "cutouts" / "a.fits")
    output = tmp_path / "row.ecsv"
    arguments = ["--cutouts", str(tmp_path / "cutouts"), "-o", str(output)]
    assert main(["at", f"{M101.ra.deg} {M101.dec.deg}", *arguments]) == 0
    out = capsys.readouterr().out
    table = read_table(output)
    assert f"z = {table['z_median'][0]:.4f} (median)" in out
    assert "MISSING_UNWISE: At least one unWISE band" in out
