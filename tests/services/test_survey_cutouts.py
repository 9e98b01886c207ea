import io
import itertools
import os
import signal
import threading
import time

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astroquery.exceptions import InvalidQueryError

from mantis_astro import CutoutStore, SurveyCutouts
from mantis_astro.cutouts import NO_COVERAGE, OK, CutoutSource, failed
from mantis_astro.exceptions import FetchWarning, MissingBandError
from mantis_astro.services import conf
from mantis_astro.simulation.server import FAULTS, Fault, LocalSky, mixed_faults
from mantis_astro.simulation.server.protocols import ViewerProtocol
from tests.services.fakes import (
    FakeClock,
    position_at_edge_of_skycell,
    position_between_skycells,
)

BANDS = ["galex.NUV", "galex.FUV", "ps1.g", "ps1.r", "unwise.W1"]
SIZE = {"ps1": 10 * u.arcsec, "galex": 12 * u.arcsec, "unwise": 22 * u.arcsec}
STATUSES = (429, 500, 502, 503, 504)
HANGS = ("hang", "hang_in_body", "slow_drip")  # what ends by a time-out


def make_coords(n, *, south=-29.0, seed=0):
    rng = np.random.default_rng(seed)
    return SkyCoord(rng.uniform(0, 360, n), rng.uniform(south, 70, n), unit="deg")


def make_source(**options):
    defaults = {"size": SIZE, "clock": FakeClock(), "rng": np.random.default_rng(0)}
    return SurveyCutouts(**(defaults | options))


def fetch(source, coords, bands=BANDS, **options):
    """All results by index; each index must come once."""
    results = {}
    for index, cutouts, statuses in source.iter_cutouts(coords, bands, **options):
        assert index not in results
        assert [str(band) for band in statuses] == list(map(str, bands))
        assert [b for b, s in statuses.items() if s.is_ok] == list(cutouts)
        results[index] = cutouts, statuses
    assert sorted(results) == list(range(len(coords)))
    return results


def count_foreign(sky, coords, results):
    """Images that are not of the band and position they were given for."""
    foreign = 0
    for index, (cutouts, _) in results.items():
        ra, dec = coords[index].ra.deg, coords[index].dec.deg
        for band, image in cutouts.items():
            name, ra_served, dec_served = sky.identify(image)
            right = (
                name == str(band)
                and abs(ra_served - ra) < 1e-6
                and abs(dec_served - dec) < 1e-6
            )
            foreign += not right
    return foreign


def states(results):
    return {s.state for _, statuses in results.values() for s in statuses.values()}


def our_threads():
    return [t for t in threading.enumerate() if t.name.startswith("mantis_astro")]


@pytest.fixture(autouse=True)
def no_orphan_threads():
    yield
    assert our_threads() == []


def test_it_is_a_source_of_cutouts():
    assert isinstance(SurveyCutouts(), CutoutSource)


def test_its_limits_can_be_seen():
    text = repr(SurveyCutouts(connections_per_host=2))
    assert text == "<SurveyCutouts: 2 connections per host>"
    with conf.set_temp("connections_per_host", 7):
        assert "7 connections" in repr(SurveyCutouts())


def test_every_object_gets_its_own_images(sky):
    coords = make_coords(30)
    source = make_source()
    results = fetch(source, coords)
    assert states(results) == {"ok"}
    assert count_foreign(sky, coords, results) == 0
    assert source.counts()["ok"] == 30 * len(BANDS)
    assert len(source.failed()) == 0


def test_positions_of_a_chunk_share_one_list(sky):
    make_coords(30)
    fetch(make_source(), make_coords(30), ["ps1.g"])
    lists = sky.find_requests("ps1filenames")
    assert [request.n_positions for request in lists] == [30]


def test_images_are_asked_for_skycell_by_skycell(sky):
    coords = SkyCoord(np.tile([50.0, 51.0], 10), np.linspace(1, 1.3, 20), unit="deg")
    fetch(make_source(connections_per_host=1), coords, ["ps1.g", "ps1.r"])
    asked = [
        (*request.query["red"].split("/")[2:4], request.query["red"][-13])
        for request in sky.find_requests("fitscut")
    ]
    runs = 1 + sum(a != b for a, b in itertools.pairwise(asked))
    assert runs == len(set(asked))


def test_ordered_means_in_the_order_of_the_table(sky):
    coords = make_coords(25)
    order = [i for i, *_ in make_source().iter_cutouts(coords, BANDS, ordered=True)]
    assert order == list(range(25))


def test_the_cap_per_host_holds(sky):
    sky.latency = 0.01
    fetch(make_source(connections_per_host=3), make_coords(15))
    assert sky.peak_in_flight("panstarrs") == 3
    assert sky.peak_in_flight("legacy_survey") == 3


def test_the_same_address_is_asked_once(sky):
    coords = SkyCoord(np.full(6, 50.0), np.full(6, 2.0), unit="deg")
    results = fetch(make_source(), coords)
    assert states(results) == {"ok"}
    assert max(sky.repeats().values()) == 1
    assert len(sky.requests) == 1 + 2 + 2  # list, g and r, galex and unwise


def test_out_of_footprint_costs_no_request(sky):
    coords = SkyCoord([10.0, 20.0], [-60.0, -31.0], unit="deg")
    results = fetch(make_source(), coords, ["ps1.g", "ps1.r"])
    assert states(results) == {"no_coverage"}
    assert sky.requests == []


def test_a_coverage_map_saves_requests(sky):
    class North:
        def contains_lonlat(self, lon, lat):
            return lat > 0 * u.deg

    coords = SkyCoord([10.0, 20.0], [-20.0, 20.0], unit="deg")
    results = fetch(make_source(coverage={"galex": North()}), coords, ["galex.NUV"])
    assert [results[i][1].popitem()[1] for i in (0, 1)] == [NO_COVERAGE, OK]
    assert len(sky.requests) == 1


def test_blank_images_are_no_coverage():
    with LocalSky(coverage={"galex": lambda ra, dec: ra > 100}) as sky:
        coords = SkyCoord([50.0, 150.0], [0.0, 0.0], unit="deg")
        with sky.configure(conf):
            results = fetch(make_source(), coords, ["galex.NUV"])
    assert [results[i][1].popitem()[1] for i in (0, 1)] == [NO_COVERAGE, OK]


def test_no_rows_in_the_list_are_no_coverage_once_confirmed():
    with LocalSky(coverage={"ps1": lambda ra, dec: ra > 100}) as sky:
        coords = SkyCoord([50.0, 150.0], [0.0, 0.0], unit="deg")
        with sky.configure(conf):
            results = fetch(make_source(), coords, ["ps1.g"])
    assert [results[i][1].popitem()[1] for i in (0, 1)] == [NO_COVERAGE, OK]
    lists = sky.find_requests("ps1filenames")
    assert [request.n_positions for request in lists] == [2, 1, 1]


def test_of_several_skycells_the_one_that_covers_best_is_taken(sky):
    edge = position_at_edge_of_skycell().reshape(1)
    source = make_source(size=40 * u.arcsec)
    results = fetch(source, edge, ["ps1.g"])
    assert results[0][0]["ps1.g"].mask is None
    assert sky.count("fitscut") == 2
    better = sky.find_requests("fitscut")[1].query["red"]
    assert source.report()["URL"][0].endswith(better)


@pytest.mark.parametrize("best", [0, 1])
def test_where_no_skycell_covers_the_field_the_one_that_covers_most_is_taken(sky, best):
    coord, path = position_between_skycells(best)
    source = make_source(size=175 * u.arcsec)
    results = fetch(source, coord.reshape(1), ["ps1.g"])
    assert results[0][0]["ps1.g"].meta["url"].endswith(path)
    assert source.report()["URL"][0].endswith(path)
    assert sky.count("fitscut") == 2


def test_half_an_image_does_not_stand_in_for_a_skycell_that_failed(sky):
    edge = position_at_edge_of_skycell().reshape(1)
    source = make_source(size=40 * u.arcsec)
    fetch(source, edge, ["ps1.g"])
    better = sky.find_requests("fitscut")[1].query["red"]
    sky.faults = [Fault(503, match=better)]
    results = fetch(source, edge, ["ps1.g"])
    assert states(results) == {"failed"}


def test_nowhere_fails_alone(sky):
    coords = SkyCoord([10.0, np.nan], [20.0, np.nan], unit="deg")
    results = fetch(make_source(), coords, ["galex.NUV"])
    assert results[0][1].popitem()[1] == OK
    assert results[1][1].popitem()[1] == failed("the position is not finite")


@pytest.mark.parametrize("kind", [*(k for k in FAULTS if k not in HANGS), *STATUSES])
def test_each_fault_at_30_percent(sky, kind):
    """Right state, no wrong image, and no more requests than the bound allows."""
    # a server that says twice that it has nothing is believed
    attempts = [0] if kind == "blank" else None
    sky.faults = [Fault(kind, probability=0.3, attempts=attempts)]
    check_under_faults(sky)


@pytest.mark.parametrize("kind", HANGS)
@pytest.mark.usefixtures("impatient")
def test_each_kind_of_hang_at_30_percent(sky, kind):
    sky.faults = [Fault(kind, probability=0.3, seconds=1.5)]
    check_under_faults(sky, in_time=False)


@pytest.mark.usefixtures("impatient")
def test_all_faults_mixed_at_30_percent(sky):
    sky.faults = mixed_faults(0.3, seconds=1.5, retry_after=2)
    check_under_faults(sky, in_time=False)


def check_under_faults(sky, *, in_time=True):
    """Not ``in_time``: time-outs that good answers of a busy machine may miss."""
    coords, bands = make_coords(40), ["galex.NUV", "ps1.g"]
    source = make_source()
    results = fetch(source, coords, bands)
    assert count_foreign(sky, coords, results) == 0
    assert max(sky.repeats().values()) <= 2 * (1 + conf.retries)  # 2: redirections
    sent = source.requests_sent().values()
    assert sum(sent) <= (1 + conf.retries) * (1 + 2 * 40)
    well_answered = {
        (request.host, request.query["ra"])
        for request in sky.requests
        if request.method == "GET" and request.status == 200 and request.fault is None
    }
    hosts = {"galex": "legacy_survey", "ps1": "panstarrs"}
    for index, (_, statuses) in results.items():
        for band, status in statuses.items():
            assert status.state in {"ok", "failed"}  # all of this sky is covered
            if status.state == "failed":
                assert "tried" in status.message
                asked = hosts[band.survey], f"{coords[index].ra.deg:.7f}"
                assert not (in_time and asked in well_answered)


@pytest.mark.parametrize("kind", ["html", 503, "reset"])
def test_a_server_that_never_works_ends_in_failures(sky, kind):
    sky.faults = [Fault(kind)]
    source = make_source()
    with pytest.warns(FetchWarning, match="without one good answer; last: "):
        results = fetch(source, make_coords(10), ["galex.NUV"])
    assert states(results) == {"failed"}
    assert len(source.failed()) == 10
    assert len(sky.requests) <= 10 * (1 + conf.retries)


def test_failures_can_be_fed_straight_back(sky):
    coords = make_coords(20)
    sky.faults = [Fault(404, match="unwise", probability=0.5, attempts=range(2))]
    source = make_source()
    fetch(source, coords)
    missing = source.failed()
    assert 0 < len(missing) < 20
    assert [str(band) for band in missing.bands] == ["unwise.W1"]
    sky.faults = []
    again = dict(
        (index, statuses) for index, _, statuses in source.iter_cutouts(*missing)
    )
    assert {s.state for st in again.values() for s in st.values()} == {"ok"}
    assert len(source.failed()) == 0
    np.testing.assert_array_equal(missing.coords.ra.deg, coords[missing.index].ra.deg)


def test_a_report_tells_how_each_band_ended(sky):
    sky.faults = [Fault(404, match="unwise")]
    source = make_source()
    fetch(source, make_coords(3))
    report = source.report()
    assert report.colnames == [
        "Local Path",
        "Status",
        "Message",
        "URL",
        "object",
        "band",
    ]
    assert len(report) == 3 * len(BANDS)
    asked = {f"http://127.0.0.1:{url.split(':')[2]}" for url in report["URL"]}
    sent = {request.url for request in sky.requests if request.method == "GET"}
    assert all(any(url.endswith(end) for end in sent) for url in asked)
    ended_badly = report[report["band"] == "unwise.W1"]
    assert set(ended_badly["Status"]) == {"failed"}
    assert all("HTTP status 404" in message for message in ended_badly["Message"])


def test_the_deadline_of_a_table_holds(sky):
    sky.faults = [Fault("hang", match="galex", seconds=1000)]
    source = make_source(deadline=1.0 * u.s, clock=FakeClock(patience=1.0))
    results = fetch(source, make_coords(10), ["galex.NUV", "ps1.g"])
    for _, statuses in results.values():
        nuv, g = statuses.values()
        assert nuv == failed("not there within 1 s")
        assert g == OK


@pytest.mark.usefixtures("patient")
def test_leaving_the_loop_breaks_off_what_hangs(sky):
    coords = SkyCoord([10.0, 20.0, 30.0], [0.0, 0.0, 0.0], unit="deg")
    sky.faults = [Fault("hang", match="ra=[23]0", seconds=1000)]
    generator = make_source(clock=None).iter_cutouts(coords, ["galex.NUV"])
    index, *_ = next(generator)
    assert index == 0
    assert len(our_threads()) > 1
    generator.close()
    assert our_threads() == []


def test_a_generator_that_was_never_started_has_no_threads():
    generator = make_source().iter_cutouts(make_coords(5), ["galex.NUV"])
    assert our_threads() == []
    generator.close()


@pytest.mark.usefixtures("patient", "ctrl_c")
def test_ctrl_c_breaks_off_what_hangs(sky):
    sky.faults = [Fault("hang", seconds=1000)]
    source = make_source(clock=None)

    def interrupt():
        while not sky.requests:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        list(source.iter_cutouts(make_coords(5), BANDS))
    thread.join()
    assert our_threads() == []
    assert source.counts()["pending"] == 5 * len(BANDS)


def test_what_was_not_reached_can_be_asked_for_later(sky):
    source = make_source()
    with conf.set_temp("positions_per_list", 5):
        for _ in source.iter_cutouts(make_coords(20), ["galex.NUV"]):
            break
    assert source.counts()["pending"] > 0
    again = list(source.iter_cutouts(*source.failed()))
    assert len(again) == len(source.report())


@pytest.mark.parametrize("ordered", [False, True])
def test_a_slow_caller_holds_the_servers_back(sky, ordered):
    """No more than two chunks are taken on before the first is handed over."""
    with conf.set_temp("positions_per_list", 5):
        iterator = make_source().iter_cutouts(
            make_coords(60), ["galex.NUV"], ordered=ordered
        )
        next(iterator)
        time.sleep(0.3)
        assert len(sky.requests) <= 10
        assert len(list(iterator)) == 59


def test_a_store_is_asked_first_and_told_what_came(sky, tmp_path):
    coords = make_coords(6, south=-60)
    with CutoutStore(tmp_path / "store", "a") as store:
        source = make_source(store=store)
        first = fetch(source, coords)
        n_requests = len(sky.requests)
        local = set(source.report()["Local Path"][source.report()["Status"] == "ok"])
        assert local == {str(store.path)}
        second = fetch(make_source(store=store), coords)
        assert len(sky.requests) == n_requests
        assert states(first) == states(second) == {"ok", "no_coverage"}
        assert count_foreign(sky, coords, second) == 0


def test_only_what_is_missing_is_fetched(sky, tmp_path):
    coords = make_coords(4)
    with CutoutStore(tmp_path / "store", "a") as store:
        fetch(make_source(store=store), coords, ["galex.NUV", "ps1.g"])
        sky.requests.clear()
        fetch(make_source(store=store), coords, ["galex.NUV", "ps1.g", "ps1.r"])
    assert {r.query.get("red", "r")[-13] for r in sky.find_requests("fitscut")} == {"r"}
    assert sky.count("galex") == 0


def test_failures_are_not_kept(sky, tmp_path):
    coords = make_coords(4)
    sky.faults = [Fault(404, match="unwise")]
    with CutoutStore(tmp_path / "store", "a") as store:
        fetch(make_source(store=store), coords)
        sky.faults = []
        results = fetch(make_source(store=store), coords)
    assert states(results) == {"ok"}


def test_keys_name_the_objects_of_a_store(sky, tmp_path):
    with CutoutStore(tmp_path / "store", "a") as store:
        source = make_source(store=store)
        fetch(source, make_coords(3), ["galex.NUV"], keys=["a", "b", "c"])
        assert sorted(store.keys()) == ["a", "b", "c"]
        fetch(source, make_coords(3), ["unwise.W1"])  # found by position
        assert sorted(store.keys()) == ["a", "b", "c"]


def test_names_that_come_later_are_given_to_what_is_there(sky, tmp_path):
    coords, names = make_coords(3), ["a", "b", "c"]
    with CutoutStore(tmp_path / "store", "a") as store:
        source = make_source(store=store)
        fetch(source, coords, BANDS[:2])
        fetch(source, coords, keys=names)
        assert sorted(store.keys()) == names
        sky.requests.clear()
        results = fetch(source, coords, keys=names)
        assert sky.requests == []
        assert count_foreign(sky, coords, results) == 0
        assert not store.missing(coords, BANDS).any()
        assert not store.missing(coords, BANDS, keys=names).any()


def test_a_position_that_was_measured_again_gets_images_of_its_own(sky, tmp_path):
    """0.4 arcsec are 1.6 pixels of Pan-STARRS1, too much, and 0.3 of GALEX."""
    coords, names, bands = make_coords(2), ["a", "b"], ["galex.NUV", "ps1.g", "ps1.r"]
    there = coords.directional_offset_by(30 * u.deg, 0.4 * u.arcsec)
    with CutoutStore(tmp_path / "store", "a") as store:
        source = make_source(store=store)
        fetch(source, coords, bands, keys=names)
        fetch(source, there, ["galex.NUV", "ps1.g"], keys=names)
        assert list(map(store.find, there)) == names
        assert store.missing(there, bands).tolist() == [[False, False, True]] * 2
        sky.requests.clear()
        fetch(source, there, bands, keys=names)
        assert {r.query["red"][-13] for r in sky.find_requests("fitscut")} == {"r"}
        for name, coord in zip(names, there, strict=True):
            cutouts = store[name]
            assert cutouts.coord.separation(coord).arcsec < 1e-3
            for image in cutouts.values():
                middle = (image.shape[0] - 1) / 2
                assert np.abs(coord.to_pixel(image.wcs) - np.array(middle)).max() < 1.5


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        (["a", "b", "a"], ValueError, "key 'a' names rows 0 and 2"),
        (["a", np.ma.masked, "c"], TypeError, "'key' must be text or an integer"),
        (["a", "b", "x"], ValueError, "key 'x' is the object at"),
    ],
    ids=["twice", "masked", "of another object"],
)
def test_names_that_cannot_be_kept_are_told_before_the_first_request(
    sky, tmp_path, keys, error, message
):
    with CutoutStore(tmp_path / "store", "a") as store:
        store.add("x", SkyCoord(1, 2, unit="deg"), {}, {"ps1.g": NO_COVERAGE})
        with pytest.raises(error, match=message):
            make_source(store=store).iter_cutouts(make_coords(3), BANDS, keys=keys)
    assert sky.requests == []


def test_a_store_open_for_reading_is_told_before_the_first_request(sky, tmp_path):
    path = tmp_path / "store"
    CutoutStore(path, "a").close()
    with CutoutStore(path) as store:
        with pytest.raises(ValueError, match="open for reading; open it with mode='a'"):
            make_source(store=store).iter_cutouts(make_coords(2), BANDS)
        fetch(make_source(store=store, offline=True), make_coords(2), keys=["a", "b"])
    assert sky.requests == []


def test_a_local_copy_of_another_size_is_not_used(sky, tmp_path):
    coords = make_coords(2)
    with CutoutStore(tmp_path / "store", "a") as store:
        fetch(make_source(store=store), coords, ["galex.NUV"])
        larger = make_source(store=store, size=30 * u.arcsec)
        results = fetch(larger, coords, ["galex.NUV"])
    assert results[0][0]["galex.NUV"].shape == (20, 20)


def test_offline_uses_the_store_only(sky, tmp_path):
    coords = make_coords(4)
    with CutoutStore(tmp_path / "store", "a") as store:
        fetch(make_source(store=store), coords[:2], ["galex.NUV"])
        sky.requests.clear()
        results = fetch(make_source(store=store, offline=True), coords, ["galex.NUV"])
    assert sky.requests == []
    ends = [results[i][1].popitem()[1] for i in range(4)]
    assert ends == [OK, OK, *[failed("not in the store")] * 2]


def test_a_table_and_other_frames_will_do(sky):
    coords = make_coords(2)
    table = Table({"RA": coords.ra.deg, "DEC": coords.dec.deg})
    assert states(fetch(make_source(), table, ["galex.NUV"])) == {"ok"}
    for request in sky.requests:
        assert float(request.query["ra"]) in coords.ra.deg.round(7)
    sky.requests.clear()
    fetch(make_source(), coords.galactic, ["galex.NUV"])
    assert {float(r.query["ra"]) for r in sky.requests} == set(coords.ra.deg.round(7))


def test_no_objects_no_threads_no_requests(sky):
    empty = SkyCoord([], [], unit="deg")
    assert list(make_source().iter_cutouts(empty, BANDS)) == []
    assert sky.requests == []


def test_the_plan_and_a_bar_are_for_terminals_only(sky, monkeypatch, capsys):
    fetch(make_source(), make_coords(2), ["galex.NUV"])
    assert capsys.readouterr() == ("", "")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    fetch(make_source(), make_coords(2), ["galex.NUV"])
    assert "2 objects, 2 requests" in terminal.getvalue()
    assert "100.00%" in terminal.getvalue()
    shown = terminal.getvalue()
    fetch(make_source(progress=False), make_coords(2), ["galex.NUV"])
    assert terminal.getvalue() == shown


def test_a_terminal_that_shows_the_log_is_not_told_the_plan_twice(
    sky, monkeypatch, caplog
):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with caplog.at_level("INFO", "mantis_astro.services"):
        fetch(make_source(), make_coords(2), ["galex.NUV"])
    assert "2 objects, 2 requests" in caplog.text
    assert "2 objects, 2 requests" not in terminal.getvalue()


def test_the_plan_is_logged_first(sky, caplog):
    with caplog.at_level("INFO", "mantis_astro.services"):
        fetch(make_source(), make_coords(2), ["galex.NUV"])
    assert "2 objects, 2 requests" in caplog.records[0].getMessage()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"connections_per_host": 0}, "'connections_per_host' must be positive, got 0"),
        ({"requests_per_second": -1}, "'requests_per_second' must be positive"),
        ({"deadline": 0 * u.s}, "'deadline' must be positive"),
        ({"offline": True}, "'offline' needs a 'store'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SurveyCutouts(**options)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((5, BANDS), {}, TypeError, "'coords' must be a SkyCoord or a Table, got int"),
        (
            (SkyCoord(1, 2, unit="deg"), BANDS),
            {},
            ValueError,
            r"shape \(n,\), got \(\)",
        ),
        ((make_coords(2), ["x.y"]), {}, MissingBandError, "no band 'x.y'"),
        ((make_coords(2), ["allwise.W1"]), {}, InvalidQueryError, "no service for"),
        ((make_coords(2), BANDS), {"keys": ["a"]}, ValueError, "each of 2 objects"),
    ],
)
def test_wrong_calls_are_refused_at_the_call(arguments, options, error, message):
    with pytest.raises(error, match=message):
        SurveyCutouts().iter_cutouts(*arguments, **options)


def test_a_size_that_the_server_would_clip_is_refused_at_the_call():
    with pytest.raises(InvalidQueryError, match="'size' must be 1 to 3000 pixels"):
        SurveyCutouts(size=3 * u.deg).iter_cutouts(make_coords(1), ["galex.NUV"])


@pytest.mark.parametrize("ordered", [False, True])
def test_a_position_that_occurs_twice_is_asked_for_once(sky, ordered):
    """Also when the first is finished long before the second is taken on."""
    first = make_coords(12)
    coords = SkyCoord([*first, *make_coords(30, seed=1), *first])
    with conf.set_temp("positions_per_list", 6):
        results = fetch(make_source(), coords, ["galex.NUV", "ps1.g"], ordered=ordered)
    assert count_foreign(sky, coords, results) == 0
    assert states(results) == {"ok"}
    assert max(sky.repeats().values()) == 1


def test_what_failed_the_first_time_is_asked_for_the_second_time(sky):
    coords = SkyCoord([50.0, 51.0, 50.0], [2.0, 2.0, 2.0], unit="deg")
    sky.faults = [Fault(404, match="ra=50", attempts=range(2))]
    with conf.set_temp("positions_per_list", 1):
        results = fetch(make_source(), coords, ["galex.NUV"], ordered=True)
    ends = [results[i][1].popitem()[1].state for i in range(3)]
    assert ends == ["failed", "ok", "ok"]


def test_twins_with_names_of_their_own_are_both_in_the_store(sky, tmp_path):
    coords = SkyCoord([50.0, 51.0, 50.0], [2.0, 2.0, 2.0], unit="deg")
    with (
        CutoutStore(tmp_path / "store", "a") as store,
        conf.set_temp("positions_per_list", 1),
    ):
        fetch(make_source(store=store), coords, ["galex.NUV"], keys=["a", "b", "c"])
        assert sorted(store.keys()) == ["a", "b", "c"]
    assert len(sky.requests) == 2


@pytest.mark.parametrize(
    ("band", "n_blank", "state"),
    [
        ("galex.NUV", 1, "ok"),
        ("galex.NUV", 2, "no_coverage"),
        ("unwise.W1", 3, "ok"),  # it has an image of every position
        ("unwise.W1", 4, "no_coverage"),
    ],
)
def test_a_blank_cube_is_asked_for_again(sky, monkeypatch, band, n_blank, state):
    whole, served = ViewerProtocol._cutout, []

    def cutout(self, survey, query):
        served.append(query["ra"])
        answer = whole(self, survey, query)
        if served.count(query["ra"]) <= n_blank:
            answer.body = answer.body[:2880] + bytes(len(answer.body) - 2880)
        return answer

    monkeypatch.setattr(ViewerProtocol, "_cutout", cutout)
    assert states(fetch(make_source(), make_coords(3), [band])) == {state}
    assert max(sky.repeats().values()) == n_blank + (state == "ok")


def test_what_a_store_says_is_not_covered_can_be_asked_for_again(tmp_path):
    coords = make_coords(2)
    with CutoutStore(tmp_path / "store", "a") as store:
        bare = {"galex": lambda ra, dec: False}
        with LocalSky(coverage=bare) as sky, sky.configure(conf):
            first = fetch(make_source(store=store), coords, ["galex.NUV"])
        with LocalSky() as sky, sky.configure(conf):
            kept = fetch(make_source(store=store), coords, ["galex.NUV"])
            assert sky.requests == []
            source = make_source(store=store, recheck=True)
            again = fetch(source, coords, ["galex.NUV"])
            later = fetch(make_source(store=store), coords, ["galex.NUV"])
            assert len(sky.requests) == 2
    assert states(first) == states(kept) == {"no_coverage"}
    assert states(again) == states(later) == {"ok"}


def test_without_a_network_a_table_ends_soon_and_says_why():
    clock, nowhere = FakeClock(patience=0.05), "http://127.0.0.1:9/x"
    source = make_source(clock=clock)
    with (
        conf.set_temp("panstarrs_filenames", nowhere),
        conf.set_temp("legacy_survey", nowhere.replace("9/", "7/")),
        pytest.warns(FetchWarning, match="cutouts of 60 of 60 objects") as warned,
    ):
        results = fetch(source, make_coords(60), ["galex.NUV", "ps1.g"])
    assert states(results) == {"failed"}
    assert clock.time < 30
    (warning,) = warned
    lines = str(warning.message).splitlines()
    assert len(lines) == 3
    for line in lines[1:]:
        assert "counts as down: no connection in 15 s; last:" in line
        assert "refused" in line


def test_a_report_needs_a_call_first():
    for method in ("report", "failed", "counts", "requests_sent"):
        with pytest.raises(ValueError, match="nothing was requested yet"):
            getattr(SurveyCutouts(), method)()


def test_asking_for_no_bands_is_an_error_at_once():
    coords = SkyCoord([150.1], [2.2], unit="deg")
    with pytest.raises(ValueError, match="'bands' is empty"):
        SurveyCutouts().iter_cutouts(coords, [])


def test_one_pixel_scale_for_all_surveys_is_refused():
    with pytest.raises(TypeError, match="'pixel_scale' must map surveys to angles"):
        SurveyCutouts(pixel_scale=1 * u.arcsec)


def test_a_deadline_needs_a_unit():
    with pytest.raises(u.UnitsError, match="'deadline' must be a time with a unit"):
        SurveyCutouts(deadline=60)
