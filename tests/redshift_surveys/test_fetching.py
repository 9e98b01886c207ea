"""Archives on this machine: whole answers, cut ones, errors, and what is kept."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from mantis_astro.exceptions import FetchError
from mantis_astro.redshift_surveys import (
    RedshiftSurvey,
    SkyBox,
    fetch_redshifts,
    get_redshift_survey,
    list_redshift_surveys,
    register_redshift_survey,
    unregister_redshift_survey,
)
from mantis_astro.redshift_surveys.queries import run_query
from mantis_astro.services import conf
from mantis_astro.simulation import Fault, LocalSky

AREA = [SkyBox(150, 152, 1, 3)]


def desi(n=40):
    rng = np.random.default_rng(0)
    return Table(
        {
            "targetid": 39627000000000000 + np.arange(n),
            "mean_fiber_ra": rng.uniform(150, 152, n),
            "mean_fiber_dec": rng.uniform(1, 3, n),
            "z": rng.uniform(0.1, 1.0, n),
            "zerr": np.full(n, 1e-4),
            "zwarn": np.where(np.arange(n) % 10 == 3, 4, 0),
            "zcat_primary": np.full(n, "t"),
            "spectype": np.where(np.arange(n) % 10 == 7, "QSO", "GALAXY"),
            "deltachi2": rng.uniform(30, 3000, n),
        }
    )


def sixdf():
    return Table(
        {
            "RAJ2000": [151.0, 151.5, 200.0, 151.2],
            "DEJ2000": [-30.0, -31.0, -30.0, -30.5],
            "cz": [15000.0, 30000.0, 9000.0, 12000.0],
            "e_cz": MaskedColumn([45.0, 0.0, 45.0, 45.0], mask=[0, 1, 0, 0]),
            "q_cz": [4, 3, 4, 2],
        }
    )


@pytest.fixture
def sky():
    tables = {"desi_dr1.zpix": desi(), "VII/259/6dfgs": sixdf()}
    with (
        LocalSky(tables=tables) as sky,
        sky.configure(conf),
        conf.set_temp("backoff", 0.01),
    ):
        yield sky


def n_queries(sky):
    return sky.count("POST /tap/async$")


def test_the_quality_cuts_are_those_of_the_survey(sky, tmp_path):
    table = fetch_redshifts(["desi"], tmp_path, area=AREA, progress=False)
    rows = desi()
    good = rows[(rows["zwarn"] == 0) & (rows["spectype"] == "GALAXY")]
    assert sorted(table["z_spec"]) == pytest.approx(sorted(good["z"]))
    assert set(table["object_id"]) == {str(i) for i in good["targetid"]}
    assert table["ra"].unit == "deg"
    assert table.meta["cuts"]["desi"].startswith("class galaxy, no warning")


def test_velocities_become_redshifts_and_what_is_missing_is_masked(sky, tmp_path):
    area = [SkyBox(140, 160, -40, -20)]
    table = fetch_redshifts(["6df"], tmp_path, area=area, progress=False)
    table.sort("z_spec")
    assert list(table["z_spec"] * 299792.458) == pytest.approx([15000, 30000])
    assert list(table["z_spec_err"].mask) == [False, True]


@pytest.mark.parametrize("tells", [True, False])
def test_an_answer_that_may_be_cut_is_asked_for_in_halves(sky, tmp_path, tells):
    sky.archives.tells_overflow = tells
    whole = fetch_redshifts(["desi"], tmp_path / "a", area=AREA, progress=False)
    with conf.set_temp("rows_per_query", 20):
        halves = fetch_redshifts(["desi"], tmp_path / "b", area=AREA, progress=False)
    assert n_queries(sky) > 3
    assert set(halves["object_id"]) == set(whole["object_id"])
    assert len(halves) == len(whole)
    before = n_queries(sky)
    with conf.set_temp("rows_per_query", 20):
        again = fetch_redshifts(["desi"], tmp_path / "b", area=AREA, progress=False)
    assert n_queries(sky) == before  # nor is the box that was cut asked for again
    assert list(again["z_spec"]) == list(halves["z_spec"])


def test_a_server_with_a_limit_of_its_own_says_that_it_cut(sky, tmp_path):
    sky.archives.max_rows = 15
    table = fetch_redshifts(["desi"], tmp_path, area=AREA, progress=False)
    assert len(table) == 32


def test_a_server_that_ignores_the_limit_is_asked_for_less(sky, tmp_path):
    sky.archives.obeys_limit = False
    with conf.set_temp("rows_per_query", 20):
        table = fetch_redshifts(["desi"], tmp_path, area=AREA, progress=False)
    assert len(table) == 32


def test_a_query_that_takes_too_long_is_asked_for_in_halves(sky, tmp_path):
    sky.archives.job_seconds = 60.0
    with (
        conf.set_temp("query_timeout", 0.0),
        pytest.raises(FetchError, match="no smaller box is asked for"),
    ):
        fetch_redshifts(
            ["desi"], tmp_path, area=[SkyBox(151, 151.01, 2, 2.01)], progress=False
        )


def test_a_run_that_broke_off_goes_on(sky, tmp_path):
    area = [SkyBox(150, 151, 1, 3), SkyBox(151, 152, 1, 3)]
    sky.faults = [Fault("html", match="async/1/")]  # the second job
    with (
        conf.set_temp("retries", 1),
        pytest.raises(
            FetchError, match=r"no redshifts of DESI DR1 in ra151.*no VOTable"
        ),
    ):
        fetch_redshifts(["desi"], tmp_path, area=area, progress=False)
    sky.faults = []
    before = n_queries(sky)
    assert len(fetch_redshifts(["desi"], tmp_path, area=area, progress=False)) == 32
    assert n_queries(sky) == before + 1


def test_passing_trouble_is_no_trouble(sky, tmp_path):
    sky.faults = [
        Fault(503, match="POST", attempts=[0]),
        Fault("cut_short", match="result$", attempts=[0]),
    ]
    assert len(fetch_redshifts(["desi"], tmp_path, area=AREA, progress=False)) == 32


def test_nothing_there_is_an_empty_table(sky, tmp_path):
    area = [SkyBox(10, 11, 1, 3)]
    table = fetch_redshifts(["desi", "6df"], tmp_path, area=area, progress=False)
    assert len(table) == 0
    assert {"ra", "dec", "z_spec", "survey"} <= set(table.colnames)
    nowhere = fetch_redshifts(["gama"], tmp_path, area=area, progress=False)
    assert nowhere.colnames == table.colnames  # where it did not look: no request


def test_a_column_that_changed_is_named(sky, tmp_path):
    survey = replace(get_redshift_survey("desi"), z_err="z_error")
    with pytest.raises(FetchError, match=r"DESI DR1 in ra150.*no such column: z_error"):
        fetch_redshifts([survey], tmp_path, area=AREA, progress=False)
    survey = replace(get_redshift_survey("desi"), quality="spectype")
    with pytest.raises(FetchError, match="quality of DESI DR1 should hold numbers"):
        fetch_redshifts([survey], tmp_path, area=AREA, progress=False)


def test_another_client_gets_the_same_rows(sky):
    import pyvo

    survey, limit = get_redshift_survey("desi"), 100
    adql = survey.query(AREA[0], limit)
    service = pyvo.dal.TAPService(sky.urls["datalab_tap"])
    ours = run_query(survey.address, adql, limit)
    for answer in (service.run_sync(adql), service.run_async(adql, delete=False)):
        theirs = answer.to_table()
        assert theirs.colnames == ours.colnames
        assert list(theirs["z_spec"]) == list(ours["z_spec"])
    with pytest.raises(pyvo.dal.DALQueryError, match="no such column"):
        service.run_sync("SELECT TOP 5 zz FROM desi_dr1.zpix")


def test_a_table_that_is_not_there(sky):
    with pytest.raises(FetchError, match="unknown table desi_dr9"):
        run_query(sky.urls["vizier_tap"], "SELECT TOP 5 z FROM desi_dr9.zpix", 5)


def test_other_cuts_are_another_query(sky, tmp_path):
    fetch_redshifts(["desi"], tmp_path, area=AREA, progress=False)
    strict = replace(get_redshift_survey("desi"), where="deltachi2 > 1e9")
    assert len(fetch_redshifts([strict], tmp_path, area=AREA, progress=False)) == 0


def test_names_of_surveys():
    survey = RedshiftSurvey(
        "mine", "Mine", "http://x/tap/", "t", "a", "b", "c", "", "", ""
    )
    register_redshift_survey(survey)
    try:
        assert get_redshift_survey("mine").address == "http://x/tap"
        with pytest.raises(ValueError, match="redshift survey 'mine' already"):
            register_redshift_survey(survey)
    finally:
        unregister_redshift_survey("mine")
    with pytest.raises(
        KeyError, match="no redshift survey 'mine'; there are desi, sdss"
    ):
        get_redshift_survey("mine")


def test_boxes_share_no_position_and_leave_none_out():
    box = SkyBox(0, 360, -90, 90)
    pieces = box.pieces(30)
    assert sum(p.area for p in pieces) == pytest.approx(box.area)
    assert max(max(p.sides) for p in pieces) <= 30 + 1e-9
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 50), rng.uniform(-90, 90, 50)
    inside = [
        [p.ra_low <= a < p.ra_high and p.dec_low <= d < p.dec_high for p in pieces]
        for a, d in zip(ra, dec, strict=True)
    ]
    assert [sum(each) for each in inside] == [1] * 50
    with pytest.raises(ValueError, match="one across ra = 0 is two boxes"):
        SkyBox(350, 10, 0, 1)


def test_expected_numbers_add_up():
    for name in list_redshift_surveys():
        survey = get_redshift_survey(name)
        assert survey.expected([SkyBox()]) == pytest.approx(survey.n_redshifts)
