import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table

from mantis_astro.tables.coordinates import find_coordinates

RA, DEC = [10.0, 187.70593, 359.5], [-5.0, 12.39112, 89.0]
COORDS = SkyCoord(RA, DEC, unit="deg")


def sexagesimal(sep, dec_sep=None):
    return Table(
        {
            "ra": COORDS.ra.to_string(u.hourangle, sep=sep, precision=6),
            "dec": COORDS.dec.to_string(u.deg, sep=dec_sep or sep, precision=6),
        }
    )


@pytest.mark.parametrize(
    "table",
    [
        Table({"ra": RA, "dec": DEC}),
        Table({"RA": RA, "Dec": DEC}),
        Table({"RAJ2000": RA, "DEJ2000": DEC}),
        Table({"ALPHA_J2000": RA, "DELTA_J2000": DEC}),
        Table({"TARGETID": [1, 2, 3], "TARGET_RA": RA, "TARGET_DEC": DEC}),
        QTable({"coord_ra": COORDS.ra.rad * u.rad, "coord_dec": COORDS.dec.to(u.rad)}),
        Table({"ALPHAWIN_J2000": RA, "DELTAWIN_J2000": DEC}),
        Table({"PLUG_RA": RA, "PLUG_DEC": DEC}),
        Table({"RA(deg)": RA, "DEC(deg)": DEC}),
        Table({"s_ra": RA, "s_dec": DEC}),
        QTable({"ra": RA * u.deg, "dec": DEC * u.deg}),
        QTable({"ra": COORDS.ra.to(u.hourangle), "dec": COORDS.dec.to(u.arcmin)}),
        Table({"ra": COORDS.ra.rad * u.rad, "dec": COORDS.dec}),
        Table({"ra": [str(x) for x in RA], "dec": [str(x) for x in DEC]}),
        sexagesimal(":"),
        sexagesimal(" "),
        sexagesimal("hms", "dms"),
        Table({"position": COORDS}),
        Table({"position": COORDS.galactic}),
        Table({"position": COORDS.barycentrictrueecliptic}),
        Table({"position": COORDS.fk5}),
        Table({"l": COORDS.galactic.l.deg, "b": COORDS.galactic.b.deg}),
        Table({"GLON": COORDS.galactic.l.deg, "GLAT": COORDS.galactic.b.deg}),
        QTable({"l": COORDS.galactic.l.to(u.rad), "b": COORDS.galactic.b}),
        Table({"l": COORDS.galactic.l.to_string(), "b": COORDS.galactic.b.to_string()}),
        Table({"ra": np.array(RA, dtype=">f8"), "dec": np.array(DEC, dtype=">f8")}),
        Table({"ra": np.subtract(RA, [0, 0, 360]), "dec": DEC}),
    ],
)
def test_positions_are_found_however_they_are_written(table):
    coords, good = find_coordinates(table)
    assert good.all()
    assert coords.separation(COORDS).max() < 1e-4 * u.arcsec


def test_the_usual_names_are_preferred_to_the_others():
    table = Table({"RAJ2000": [1.0], "DEJ2000": [1.0], "ra": [2.0], "dec": [2.0]})
    assert find_coordinates(table)[0].ra.deg == [2.0]


def test_galactic_coordinates_are_used_where_there_are_no_others():
    table = Table({"l": [1.0], "b": [1.0], "ra": [2.0], "dec": [2.0]})
    assert find_coordinates(table)[0].ra.deg == [2.0]
    coords, _ = find_coordinates(table, ra="l", dec="b")
    assert coords.galactic.l.deg == pytest.approx([1.0])


def test_bands_l_and_b_are_no_coordinates():
    with pytest.raises(KeyError, match="no coordinates found"):
        find_coordinates(Table({"L": [19.0], "B": [20.0]}))


def test_a_galactic_latitude_off_the_sphere_is_bad():
    _, good = find_coordinates(Table({"l": [10.0, 10.0, 400.0], "b": [-5.0, 95, 0]}))
    assert good.tolist() == [True, False, False]


def test_where_the_target_is_goes_before_where_the_fibre_was():
    table = Table({"FIBER_RA": [1.0], "FIBER_DEC": [1.0]})
    table["TARGET_RA"], table["TARGET_DEC"] = [2.0], [2.0]
    assert find_coordinates(table)[0].ra.deg == [2.0]


def test_named_columns_are_used():
    table = Table({"ra": [1.0], "dec": [1.0], "x": [2.0], "y": [3.0]})
    coords, _ = find_coordinates(table, ra="x", dec="y")
    assert (coords.ra.deg, coords.dec.deg) == ([2.0], [3.0])


@pytest.mark.parametrize(
    ("ra", "dec"),
    [(np.nan, 0), (0, np.nan), (np.inf, 0), (0, 90.1), (0, -99), (361, 0), (-181, 0)],
)
def test_a_position_off_the_sphere_is_bad_and_hurts_no_other(ra, dec):
    coords, good = find_coordinates(Table({"ra": [1.0, ra], "dec": [1.0, dec]}))
    assert good.tolist() == [True, False]
    assert np.isnan(coords.ra.deg).tolist() == [False, True]


def test_a_masked_position_is_bad():
    ra = MaskedColumn([1.0, 2.0, 3.0], mask=[False, True, False], unit=u.deg)
    dec = MaskedColumn([1.0, 2.0, 3.0], mask=[False, False, True], unit=u.deg)
    for kind in (Table, QTable):
        _, good = find_coordinates(kind({"ra": ra, "dec": dec}))
        assert good.tolist() == [True, False, False]


def test_a_masked_text_is_bad():
    ra = MaskedColumn(["10:00:00", "11:00:00"], mask=[True, False])
    _, good = find_coordinates(Table({"ra": ra, "dec": ["1", "2"]}))
    assert good.tolist() == [False, True]


@pytest.mark.parametrize("text", ["", "nonsense", "12:xx:00", "--"])
def test_a_text_that_is_no_angle_is_bad(text):
    _, good = find_coordinates(Table({"ra": ["1", text], "dec": ["1", "1"]}))
    assert good.tolist() == [True, False]


def test_an_empty_table_has_no_positions():
    coords, good = find_coordinates(Table({"ra": [], "dec": []}))
    assert len(coords) == len(good) == 0


def test_a_table_without_coordinates_says_how_to_name_them():
    with pytest.raises(KeyError, match="name their columns with ra= and dec="):
        find_coordinates(Table({"a": [1], "ra_1": [2]}))


def test_two_spellings_of_the_same_name_are_ambiguous():
    table = Table({"ra": [1.0], "RA": [2.0], "dec": [3.0]})
    with pytest.raises(ValueError, match=r"several candidates, \['ra', 'RA', 'dec'\]"):
        find_coordinates(table)


def test_two_skycoord_columns_are_ambiguous():
    table = Table({"a": COORDS, "b": COORDS})
    with pytest.raises(ValueError, match=r"several SkyCoord columns, \['a', 'b'\]"):
        find_coordinates(table)
    assert find_coordinates(table, ra="b")[1].all()


def test_a_name_that_is_not_there_lists_what_is():
    with pytest.raises(KeyError, match="no column 'x'; there are ra, dec"):
        find_coordinates(Table({"ra": [1.0], "dec": [1.0]}), ra="x", dec="dec")


def test_one_name_without_the_other_is_an_error():
    with pytest.raises(ValueError, match="'ra' and 'dec' go together"):
        find_coordinates(Table({"ra": [1.0], "dec": [1.0]}), ra="ra")


def test_a_unit_that_is_no_angle_is_an_error():
    table = QTable({"ra": [1] * u.m, "dec": [1] * u.deg})
    with pytest.raises(u.UnitConversionError):
        find_coordinates(table)


def test_poles_and_both_ends_of_right_ascension_are_on_the_sphere():
    table = Table({"ra": [0.0, 360.0, -180.0], "dec": [90.0, -90.0, 0.0]})
    assert find_coordinates(table)[1].all()
