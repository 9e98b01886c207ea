import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from mantis_astro import SurveyCutouts
from mantis_astro.services import conf

COORDS = SkyCoord(np.linspace(0, 300, 250), np.linspace(-29, 60, 250), unit="deg")


def test_requests_of_the_nine_bands():
    """250 positions: two lists, five PS1 images and two cubes each."""
    plan = SurveyCutouts().plan(COORDS)
    by_host = {host.host: host.n_requests for host in plan.hosts}
    assert by_host == {
        "ps1images.stsci.edu": 2 + 5 * 250,
        "www.legacysurvey.org": 2 * 250,
    }
    assert plan.n_requests == 1252 + 500


def test_time_is_that_of_the_slowest_host():
    with conf.set_temp("seconds_per_request", 0.8):
        plan = SurveyCutouts(connections_per_host=4).plan(COORDS)
    assert plan.duration.to_value(u.s) == pytest.approx(1252 * 0.8 / 4)


def test_a_rate_limit_counts():
    plan = SurveyCutouts(requests_per_second=1).plan(COORDS, ["galex.NUV"])
    assert plan.duration.to_value(u.s) == pytest.approx(250)


def test_out_of_footprint_costs_nothing_and_is_told():
    coords = SkyCoord([10, 10, 10], [-60, -50, 10], unit="deg")
    plan = SurveyCutouts().plan(coords, ["ps1.g"])
    assert plan.n_requests == 2
    assert plan.n_outside == {"ps1": 2}
    assert "(2 objects outside)" in str(plan)


def test_the_same_position_twice_is_asked_once():
    coords = SkyCoord([10, 10], [20, 20], unit="deg")
    assert SurveyCutouts().plan(coords, ["galex.NUV"]).n_requests == 1


def test_nowhere_costs_nothing():
    coords = SkyCoord([np.nan], [np.nan], unit="deg")
    assert SurveyCutouts().plan(coords, ["galex.NUV"]).n_requests == 0


def test_no_objects_no_time():
    plan = SurveyCutouts().plan(SkyCoord([], [], unit="deg"))
    assert plan.n_requests == 0
    assert plan.duration == 0 * u.min


def test_a_table_will_do_and_a_plan_is_one():
    table = Table({"ra": [10.0], "dec": [20.0]})
    plan = SurveyCutouts().plan(table, ["galex.NUV", "ps1.g"]).to_table()
    assert plan["n_requests"].tolist() == [1, 2]
    assert plan["duration"].unit == u.min
