"""The interface over HTTP, asked as programs ask it."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates.name_resolve import sesame_url
from astropy.table import QTable

from mantis_astro import RedshiftPDF, decode_flags
from mantis_astro.tables.memory import read_bytes, write_bytes
from mantis_astro.web import work
from mantis_astro.web.answers import ESTIMATES
from tests.made import MadeSky
from tests.web.conftest import run_server

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

BANDS = "decam_g", "decam_r", "decam_z"


def ask_of(r, ebv=0.03, name=""):
    """A galaxy of so much flux in r, as a request has it."""
    fluxes = dict(zip(BANDS, (0.4 * r, r, 1.7 * r), strict=True))
    photometry = {b: {"flux": f, "flux_err": 0.02 * f + 9} for b, f in fluxes.items()}
    return {"id": name, "photometry": photometry, "ebv": ebv}


def table_of(galaxies):
    """The same as Python has it."""
    table = QTable({"id": [galaxy["id"] for galaxy in galaxies]})
    table["ebv"] = [galaxy["ebv"] for galaxy in galaxies] * u.mag
    for band in BANDS:
        for name, key in ("flux_", "flux"), ("flux_err_", "flux_err"):
            values = [galaxy["photometry"][band][key] for galaxy in galaxies]
            table[f"{name}{band}"] = values * u.nJy
    return table


def test_the_answer_is_that_of_python_to_the_last_digit(client, photoz):
    galaxies = [ask_of(3e4, name="a"), ask_of(2e3, name="b")]
    answer = client.post("/predict", {"galaxies": galaxies}).json
    table = photoz.add_redshifts(table_of(galaxies))
    assert answer["bin_edges"] == photoz.card.bin_edges.tolist()
    for row, found in enumerate(answer["galaxies"]):
        assert found["p_z"] == table["pz"][row].tolist()
        assert found["flags"] == table["flags"][row]
        words = [flag["name"] for flag in found["flag_words"]]
        assert words == decode_flags(table["flags"][row])
        for column in ESTIMATES:
            value = table[column.name][row]
            assert found[column.name] == (None if value is np.ma.masked else value)
    assert answer["galaxies"][0]["bands_used"] == list(BANDS)


def test_magnitudes_are_fluxes(client):
    mags = {"decam_r": {"mag": 20.0, "mag_err": 0.1}, "decam_g": {"mag": 21.0}}
    fluxes = {
        "decam_r": {"flux": 36307.805477010166, "flux_err": 3344.055},
        "decam_g": {"flux": 14454.397707459291},
    }
    galaxies = [{"photometry": photometry} for photometry in (mags, fluxes)]
    one, other = client.post("/predict", {"galaxies": galaxies}).json["galaxies"]
    assert one["z_median"] == pytest.approx(other["z_median"], abs=1e-4)


def test_each_of_many_at_once_gets_its_own_answer(client, photoz):
    galaxies = [
        ask_of(r, name=f"g{i}") for i, r in enumerate(np.geomspace(2e3, 1e5, 12))
    ]

    def ask(galaxy):
        return client.post("/predict", {"galaxies": [galaxy]}).json["galaxies"]

    with ThreadPoolExecutor(len(galaxies)) as pool:
        answers = list(pool.map(ask, galaxies))
    expected = photoz.add_redshifts(table_of(galaxies))
    for row, (found,) in enumerate(answers):
        assert found["id"] == galaxies[row]["id"]
        assert found["p_z"] == expected["pz"][row].tolist()


def test_a_table_becomes_a_job_with_rows_and_files(client, photoz, tmp_path):
    galaxies = [ask_of(3e4, name='x"""\nimport os'), ask_of(2e3, name="b")]
    table = table_of(galaxies)
    content = write_bytes(table, "ascii.ecsv")
    path, job = client.finish(client.post("/table?filename=t.ecsv", content))
    assert (job["state"], job["rows"], job["model"]) == ("done", 2, "any-band")
    expected = photoz.add_redshifts(table)
    page = client.get(f"{path}/galaxies?start=1&count=5").json
    assert [g["id"] for g in page["galaxies"]] == ["b"]
    assert page["galaxies"][0]["z_median"] == expected["z_median"][1]
    assert "p_z" not in page["galaxies"][0]
    galaxy = client.get(f"{path}/galaxies/1").json
    assert galaxy["p_z"] == expected["pz"][1].tolist()
    assert galaxy["cutouts"] == []
    pdf = RedshiftPDF.from_table(expected)
    assert galaxy["hpd68"] == pdf[1].hpd_regions(0.68).value.tolist()
    for kind in "ecsv", "fits":
        answer = client.get(f"{path}/download/{kind}")
        found = read_bytes(answer.content, f"t.{kind}", max_bytes=10**6)
        np.testing.assert_array_equal(found["pz"], expected["pz"])
        assert f"redshifts.{kind}" in answer.headers["content-disposition"]
        path_again, job = client.finish(
            client.post(f"/table?filename=t.{kind}", answer.content)
        )
        assert job["state"] == "done"
        again = client.get(f"{path_again}/galaxies/1").json
        assert again["p_z"] == galaxy["p_z"]
    qp = pytest.importorskip("qp")
    (tmp_path / "pdf.hdf5").write_bytes(client.get(f"{path}/download/qp").content)
    again = RedshiftPDF.from_qp(qp.read(str(tmp_path / "pdf.hdf5")))
    np.testing.assert_allclose(again.probability, pdf.probability, atol=1e-7)


def test_the_snippet_for_prospector_runs_whatever_a_galaxy_is_called(client, capsys):
    pytest.importorskip("prospect.models.templates", exc_type=ImportError)
    galaxies = [ask_of(3e4, name='x"""\nraise SystemExit\n\\')]
    path, _ = client.finish(client.post("/fluxes", {"galaxies": galaxies}))
    code = client.get(f"{path}/download/prospector?row=0").content.decode()
    scope = {}
    exec(compile(code, "snippet", "exec"), scope)
    assert "zred: free, with p(z) as prior" in capsys.readouterr().out
    galaxy = client.get(f"{path}/galaxies/0").json
    np.testing.assert_allclose(scope["pdf"].probability, galaxy["p_z"], rtol=1e-6)
    prior = scope["model_params"]["zred"]["prior"]
    assert prior.redshift_prior.temper == 0.5


def test_a_table_in_pieces_is_predicted_as_a_whole(photoz, monkeypatch):
    galaxies = [ask_of(r) for r in (2e3, 5e3, 2e4, 5e4, 1e5)]
    monkeypatch.setattr(work, "_PIECE", 2)
    job = work_in_progress()
    found = work.estimate_fluxes(photoz, table_of(galaxies), job)
    expected = photoz.add_redshifts(table_of(galaxies))
    assert found.colnames == expected.colnames
    assert found.meta == expected.meta
    for name in "z_median", "ood_score", "flags", "pz":
        np.testing.assert_array_equal(found[name], expected[name])
    assert (job.done, job.total) == (4, 5)


def work_in_progress():
    from mantis_astro.web.jobs import Job

    return Job("a table", 100)


def test_a_position_has_cutouts_and_the_redshift_of_python(client, photoz):
    asked = {"target": "150.1 2.2", "ebv": 0.02}
    path, job = client.finish(client.post("/position", asked))
    assert (job["state"], job["notes"]) == ("done", [])
    galaxy = client.get(f"{path}/galaxies/0").json
    table = QTable({"ra": [150.1] * u.deg, "dec": [2.2] * u.deg})
    expected = photoz.add_redshifts(table, MadeSky(), ebv=0.02)
    assert galaxy["p_z"] == expected["pz"][0].tolist()
    drawn = [cutout for cutout in galaxy["cutouts"] if cutout["url"]]
    assert len(drawn) == 9
    answer = client.ask("GET", drawn[0]["url"])
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


def test_a_table_of_positions_keeps_what_failed_apart(photoz):
    rows = b"name,ra,dec\nA,150.1,2.2\nlost,,\nB,150.2,2.3\nC,150.3,2.4\n"
    sky = MadeSky(missing=[150200], broken=[150300])
    with run_server(source=sky) as client:
        path, job = client.finish(client.post("/table?filename=t.csv", rows))
        galaxies = client.get(f"{path}/galaxies").json["galaxies"]
        cutouts = client.get(f"{path}/galaxies/3").json["cutouts"]
    flags = [{flag["name"] for flag in galaxy["flag_words"]} for galaxy in galaxies]
    assert [galaxy["id"] for galaxy in galaxies] == ["A", "lost", "B", "C"]
    assert "BAD_COORDINATES" in flags[1]
    assert "OUT_OF_FOOTPRINT" in flags[2]
    assert "FETCH_FAILED" in flags[3]
    assert [g["z_median"] is None for g in galaxies] == [False, True, True, True]
    assert {cutout["state"] for cutout in cutouts} == {"failed"}
    assert cutouts[0]["message"] in job["notes"][0]


@pytest.mark.filterwarnings("ignore::mantis_astro.exceptions.FetchWarning")
def test_without_the_internet_names_and_cutouts_fail_in_words_and_fluxes_do_not():
    from mantis_astro.services import conf

    closed = "http://127.0.0.1:9/"
    names = "panstarrs_filenames", "panstarrs_fitscut", "legacy_survey", "hips"
    before = {name: getattr(conf, name) for name in (*names, "unreachable_after")}
    for name in names:
        setattr(conf, name, closed)
    conf.unreachable_after = 0.2
    try:
        with run_server() as client, sesame_url.set([closed]):
            _, job = client.finish(client.post("/position", {"target": "M 101"}))
            assert job["state"] == "failed"
            assert "cannot be asked for" in job["message"]
            assert "give the position instead" in job["message"]
            path, job = client.finish(client.post("/position", {"target": "9 2"}))
            galaxy = client.get(f"{path}/galaxies/0").json
            answer = client.post("/predict", {"galaxies": [ask_of(3e4)]})
    finally:
        for name, value in before.items():
            setattr(conf, name, value)
    assert job["state"] == "done"
    assert "Pan-STARRS1 g" in " ".join(job["notes"])
    assert {"NO_DATA", "FETCH_FAILED"} <= {f["name"] for f in galaxy["flag_words"]}
    assert answer.status == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "galaxies: field required"),
        ({"galaxies": []}, "galaxies: list should have at least 1 item"),
        ({"galaxies": [{"photometry": {}}]}, "photometry: dictionary should have at"),
        (
            {"galaxies": [{"photometry": {"decam_q": {"flux": 1}}}]},
            "no band 'decam_q'",
        ),
        (
            {
                "galaxies": [
                    {"photometry": {"ps1.g": {"flux": 1}, "ps1_g": {"flux": 2}}}
                ]
            },
            "names a band twice",
        ),
        (
            {"galaxies": [ask_of(1.0)], "model": "../x"},
            "model: input should be 'any-ban",
        ),
        ({"galaxies": [ask_of(1.0, ebv=-1)]}, "ebv: input should be greater than"),
        ({"galaxies": [ask_of(1.0, ebv=True)]}, "ebv: input should be a valid number"),
        ({"galaxies": [ask_of(1.0)] * 21}, "galaxies: list should have at most 20"),
        (b"{", "JSON decode error"),
    ],
)
def test_a_wrong_request_is_told_why(client, body, reason):
    answer = client.post("/predict", body, **{"content-type": "application/json"})
    assert answer.status == 422
    assert reason.lower() in answer.error.lower()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a,b\n1,2\n", "there are neither fluxes"),
        (b"ra,dec\n" + b"1,2\n" * 51, "the table has 51 rows, and the limit is 50"),
        (b"ra,dec\n" + b"1,2\n" * 4, "4 positions to fetch images of, and the limit"),
        (
            b"flux_ps1_g\n100\n",
            "choose the unit of these columns, which have none: flux_ps1_g",
        ),
        (b"\xff\xfe", "is not text in UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_why(client, content, reason):
    answer = client.post("/table?filename=t.csv", content)
    _, job = client.finish(answer)
    assert job["state"] == "failed"
    assert reason in job["message"]
    assert client.get(f"/jobs/{job['id']}/galaxies").status == 409


def test_a_column_of_the_users_is_not_replaced(client):
    table = table_of([ask_of(3e4)])
    table["flags"] = ["seen twice"]
    content = write_bytes(table, "ascii.ecsv")
    _, job = client.finish(client.post("/table?filename=t.ecsv", content))
    assert job["state"] == "failed"
    assert "the table has flags already" in job["message"]


def test_a_unit_can_be_given_for_columns_without_one(client):
    rows = b"flux_ps1_g,flux_ps1_r,ebv\n20,40,0\n"
    answer = client.post("/table?filename=t.csv&unit=uJy", rows)
    path, _ = client.finish(answer)
    photometry = {"ps1.g": {"flux": 2e4}, "ps1.r": {"flux": 4e4}}
    same = client.post("/predict", {"galaxies": [{"photometry": photometry, "ebv": 0}]})
    (found,) = client.get(f"{path}/galaxies").json["galaxies"]
    assert found["z_median"] == same.json["galaxies"][0]["z_median"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "reason"),
    [
        ("GET", "/", {"host": "evil.example"}, 421, "does not go by the name"),
        ("GET", "/", {"host": "127.0.0.1.evil.example:80"}, 421, "by one of 127.0.0.1"),
        (
            "POST",
            "/api/v1/predict",
            {"origin": "http://evil.example"},
            403,
            "other sites",
        ),
        (
            "POST",
            "/api/v1/predict",
            {"sec-fetch-site": "cross-site"},
            403,
            "other sites",
        ),
        (
            "POST",
            "/api/v1/predict",
            {"content-length": "9" * 9},
            413,
            "1,000,000 bytes",
        ),
        ("POST", "/api/v1/table", {"content-length": "9" * 9}, 413, "20,000,000"),
        ("GET", "/api/v1/jobs/nobody", {}, 404, "there is no such job"),
        ("DELETE", "/api/v1/jobs/nobody", {}, 404, "there is no such job"),
        ("GET", "/../pyproject.toml", {}, 404, "nothing at this address"),
        ("PUT", "/api/v1/predict", {}, 405, "does not take this method"),
    ],
)
def test_what_is_not_allowed_is_refused_in_words(
    client, method, path, headers, status, reason
):
    answer = client.ask(method, path, **headers)
    assert answer.status == status
    assert reason in answer.error
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_a_refused_method_is_told_those_that_there_are(client):
    answer = client.ask("PUT", "/api/v1/jobs/nobody")
    assert answer.headers["allow"] == "DELETE, GET"
    answer = client.ask("DELETE", "/api/v1/fluxes")
    assert answer.headers["allow"] == "POST"


def test_a_body_of_unknown_length_is_cut_off_at_the_limit(client):
    parts = iter([b"x" * 1_000_000, b"x"])
    answer = client.post("/predict", parts)
    assert answer.status == 413


def test_too_many_requests_of_one_client_wait():
    with run_server(["simulated-photometric"], requests_per_minute=2) as client:
        answers = [client.post("/predict", {}) for _ in range(3)]
        assert [answer.status for answer in answers] == [422, 422, 429]
        assert int(answers[2].headers["retry-after"]) <= 60
        assert client.get("/flags").status == 200  # which costs nothing


def test_the_page_brings_all_that_it_needs(client):
    page = client.ask("GET", "/")
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    for name in "page.js", "page.css", "icon.svg":
        assert f'"/{name}"' in page.content.decode()
        text = client.ask("GET", f"/{name}").content.decode()
        assert "https://" not in text
    assert b"style=" not in page.content
    assert b"<script>" not in page.content


def test_cards_flags_and_options_are_listed(client, photoz):
    (card,) = client.get("/models").json
    assert client.get("/models/any-band").json == card
    assert card["caveats"] == photoz.card.caveats
    assert client.get("/models/other").status == 422
    flags = client.get("/flags").json
    assert flags[0]["name"] == "NO_DATA"
    options = client.get("/options").json
    assert options["models_of_images"] == options["models_of_fluxes"] == ["any-band"]
    assert {"ps1.g", "decam_r"} <= set(options["bands"])


def test_nothing_of_a_request_reaches_the_file_system(client):
    opened, mine = [], threading.Event()

    def audit(event, arguments):
        if mine.is_set() and event in (
            "open",
            "os.mkdir",
            "os.rename",
            "sqlite3.connect",
        ):
            mode = arguments[1] if event == "open" else "w"
            if isinstance(mode, str) and set(mode) & set("wax+"):
                opened.append((event, arguments[0]))

    sys.addaudithook(audit)  # it stays, and does nothing then
    table = table_of([ask_of(3e4)])
    table["image"] = np.zeros((1, 150_000))  # forms larger than 1 MB go to a disk
    upload = write_bytes(table, "fits")
    mine.set()
    try:
        client.post("/predict", {"galaxies": [ask_of(3e4)]})
        client.finish(client.post("/position", {"target": "150.1 2.2"}))
        path, job = client.finish(client.post("/table?filename=t.fits", upload))
        for kind in "ecsv", "fits", "qp", "prospector":
            assert client.get(f"{path}/download/{kind}").status == 200
    finally:
        mine.clear()
    assert job["state"] == "done"
    assert opened == []


def test_serve_names_the_extra_that_it_needs(monkeypatch, capsys):
    from mantis_astro.cli import main

    monkeypatch.setitem(sys.modules, "fastapi", None)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", "--port", "0"]) == 1
    assert 'pip install "mantis-astro[web]"' in capsys.readouterr().err
