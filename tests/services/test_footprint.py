import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import Latitude, Longitude

from mantis_astro.exceptions import MissingBandError
from mantis_astro.services.footprint import Footprints

RA, DEC = np.array([10.0, 10.0, 200.0]), np.array([-31.0, -30.0, 50.0])


@pytest.fixture
def moc():
    mocpy = pytest.importorskip("mocpy")
    return mocpy.MOC.from_cone(
        lon=Longitude(200 * u.deg),
        lat=Latitude(50 * u.deg),
        radius=2 * u.deg,
        max_depth=9,
    )


def test_the_declination_limit_counts_without_a_map():
    np.testing.assert_array_equal(
        Footprints().contain("ps1", RA, DEC), [False, True, True]
    )
    assert Footprints().contain("galex", RA, DEC).all()


def test_a_scalar_position_is_answered_too():
    assert Footprints().contain("ps1", 10.0, 0.0)
    assert not Footprints().contain("ps1", 10.0, -40.0)


def test_a_map_counts_for_its_survey_only(moc):
    footprints = Footprints({"galex": moc})
    np.testing.assert_array_equal(
        footprints.contain("galex", RA, DEC), [False, False, True]
    )
    assert footprints.contain("unwise", RA, DEC).all()


def test_limit_and_map_both_hold(moc):
    whole_sky = moc.complement().union(moc)
    np.testing.assert_array_equal(
        Footprints({"ps1": whole_sky}).contain("ps1", RA, DEC), [False, True, True]
    )


def test_a_file_is_read(moc, tmp_path):
    moc.save(tmp_path / "galex.fits", format="fits")
    footprints = Footprints({"galex": tmp_path / "galex.fits"})
    assert footprints.contain("galex", RA, DEC).tolist() == [False, False, True]


def test_a_file_without_mocpy_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mocpy", None)
    with pytest.raises(ImportError, match=r"'mocpy' is needed .*mantis-astro\[moc\]"):
        Footprints({"galex": "galex.fits"})


def test_without_a_map_mocpy_is_not_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "mocpy", None)
    assert Footprints().contain("galex", RA, DEC).all()


def test_unknown_surveys_are_refused():
    with pytest.raises(MissingBandError, match="no survey 'vista'"):
        Footprints({"vista": "map.fits"})
