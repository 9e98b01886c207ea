"""What a notebook shows: pictures of what is there, and every text escaped."""

import base64
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.table import QTable

from mantis_astro import Flag, MultibandCutout, RedshiftPDF
from mantis_astro.cutouts.picture import encode_png
from mantis_astro.plotting import show_redshifts

from .made import make_galaxy

COORD = SkyCoord(150.1, 2.2, unit="deg")
EDGES = np.linspace(0, 1, 51)
EVIL = "<script>alert('&')</script>"


class Tags(HTMLParser):
    """The tags and the text of a page, as a browser takes them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in ("br", "img", "path", "rect", "polygon"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("br", "img", "path", "rect", "polygon"):
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def decoded(png):
    """Pixels of a grey PNG without filters."""
    nx, ny = (int.from_bytes(png[i : i + 4]) for i in (16, 20))
    start = png.index(b"IDAT")
    length = int.from_bytes(png[start - 4 : start])
    rows = np.frombuffer(zlib.decompress(png[start + 4 : start + 4 + length]), np.uint8)
    return rows.reshape(ny, nx + 1)[:, 1:]


def test_a_png_is_what_matplotlib_reads(tmp_path):
    from matplotlib.image import imread

    grey = np.arange(35, dtype=np.uint8).reshape(5, 7) * 7
    (tmp_path / "a.png").write_bytes(encode_png(grey))
    np.testing.assert_array_equal(np.round(255 * imread(tmp_path / "a.png")), grey)
    np.testing.assert_array_equal(decoded(encode_png(grey)), grey)


def test_cutouts_show_each_band_with_the_source_dark_and_north_up():
    galaxy = make_galaxy(COORD, ["ps1.g", "unwise.W1"])
    html = galaxy._repr_html_()
    page = Tags(html)
    assert page.tags.count("img") == 2
    assert not page.open
    assert "ps1.g" in page.text
    pictures = re.findall(r"base64,([^\"]+)", html)
    grey = decoded(base64.b64decode(pictures[0]))
    assert grey.shape == galaxy["ps1.g"].shape
    middle = grey[grey.shape[0] // 2, grey.shape[1] // 2]
    assert middle < 60
    assert np.median(grey) > 150
    corner = np.zeros((9, 9))
    corner[8, 0] = 100.0  # the last row of an array is the upper one on the sky
    bands = {"ps1.g": CCDData(corner, unit="adu")}
    html = MultibandCutout(COORD, bands)._repr_html_()
    grey = decoded(base64.b64decode(re.search(r"base64,([^\"]+)", html)[1]))
    assert np.unravel_index(grey.argmin(), grey.shape) == (0, 0)


@pytest.mark.parametrize("values", [np.nan, 0.0, 7.0])
def test_an_image_of_one_value_is_shown(values):
    bands = {"ps1.g": CCDData(np.full((5, 5), values), unit="adu")}
    assert "<img" in MultibandCutout(COORD, bands)._repr_html_()
    assert "no bands" in MultibandCutout(COORD, {})._repr_html_()


@pytest.fixture(scope="module")
def table():
    pdf = RedshiftPDF.from_batch(
        EDGES, np.eye(50)[[10, 20, 30]] * [[1], [1], [0]], flags=[0, Flag.BROAD, 0]
    )
    columns = QTable({"name": ["a", EVIL, "c"], "coord": COORD.reshape(1)[[0, 0, 0]]})
    for name, column in pdf.to_table().columns.items():
        columns[name] = column
    columns.meta = pdf.to_table().meta
    return columns


def test_a_table_shows_densities_and_flags_in_words(table):
    html = show_redshifts(table)._repr_html_()
    page = Tags(html)
    assert not page.open
    assert page.tags.count("tr") == 4
    assert page.tags.count("svg") == 2
    assert "BROAD" in page.text
    assert "no data" in page.text
    assert "script" not in page.tags
    assert EVIL in page.text
    assert "0.210 +0.007" in page.text


def test_a_long_table_shows_some_rows_and_says_so(table):
    html = show_redshifts(table, rows=1)._repr_html_()
    assert html.count("<svg") == 1
    assert "2 more" in html
    assert "<svg" not in show_redshifts(table[:0])._repr_html_()
    text = repr(show_redshifts(table))
    assert "z_median" in text
    with pytest.raises(ValueError, match="no column 'pz' of p"):
        show_redshifts(table["name", "flags"])


def test_what_has_no_data_is_said_to_have_none():
    pdf = RedshiftPDF.from_batch(EDGES, np.zeros((2, 50)))
    assert pdf[0].summary() == "NO_DATA"
    html = pdf._repr_html_()
    assert "<svg" not in html
    assert html.count("no data") == 2
