"""The report on an installation: true, complete, silent unless asked."""

import json
import socket

import numpy as np
import pytest

from mantis_astro import doctor
from mantis_astro.cli import main
from mantis_astro.services.reachability import list_servers, probe_servers


@pytest.fixture(scope="module")
def report():
    return doctor.inspect_installation()


def test_versions_are_those_that_are_imported(report):
    versions = {package["name"]: package["version"] for package in report["packages"]}
    assert versions["numpy"] == np.__version__
    assert all(package["fits"] for package in report["packages"])


def test_models_and_folders_are_where_they_are(report):
    models = {model["name"]: model for model in report["models"]}
    assert models["simulated-early"]["is_default"]
    assert models["simulated-early"]["where"] == "in the package"
    assert models["mantis-shrimp-late"]["where"] == "weights are not public"
    assert all(folder["free_bytes"] > 0 for folder in report["folders"].values())


def test_nothing_is_sent_unless_asked(monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert doctor.inspect_installation()["servers"] is None


def test_what_is_missing_is_named_with_how_to_install_it(report):
    lacking = [{"name": "eazy", "needs": ">=0.8", "version": None, "fits": False}]
    lines = list(doctor.describe_report(report | {"extras": {"eazy": lacking}}))
    line = next(line for line in lines if "eazy>=0.8" in line)
    assert line.endswith('pip install "mantis-astro[eazy]"')


def test_a_requirement_that_is_too_old_is_a_problem(monkeypatch):
    version = doctor.metadata.version
    monkeypatch.setattr(
        doctor.metadata, "version", lambda n: "1.0" if n == "scipy" else version(n)
    )
    problems = doctor.inspect_installation()["problems"]
    assert any("scipy>=" in p and p.endswith("and is 1.0") for p in problems)


def test_a_folder_of_fsps_that_is_not_there_is_a_problem(monkeypatch, capsys):
    monkeypatch.setenv("SPS_HOME", "/nowhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy")
    assert main(["doctor", "--json"]) == 1
    out = capsys.readouterr().out
    assert "SPS_HOME is /nowhere, which is no folder" in json.loads(out)["problems"]
    assert "secret" not in out


def test_servers_are_told_apart_by_their_answers(httpserver):
    httpserver.expect_request("/good").respond_with_data("x", status=404)
    httpserver.expect_request("/bad").respond_with_data("x", status=503)
    urls = {name: httpserver.url_for(f"/{name}") for name in ("good", "bad")}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        urls["silent"] = "http://{}:{}/".format(*silent.getsockname())
        urls["closed"] = "http://127.0.0.1:9/"
        probes = {p.name: p for p in probe_servers(urls, timeout=0.5)}
    assert [name for name in urls if probes[name].answers] == ["good"]
    assert probes["bad"].detail == "HTTP 503"
    assert "refused" in probes["closed"].detail
    assert list(probes) == list(urls)


def test_a_report_of_servers_says_which_are_silent(report):
    server = {"name": "hips", "url": "", "answers": False, "seconds": 1.0}
    silent = server | {"detail": "no answer in 5 s"}
    other = silent | {"name": "ps1", "answers": True}
    report = report | {"servers": [silent, other]}
    assert "hips does not answer: no answer in 5 s" in doctor._problems(report)
    report["servers"] = [silent, silent]
    assert any("no server answers" in p for p in doctor._problems(report))


def test_every_configured_server_is_listed():
    servers = list_servers()
    assert {"panstarrs_fitscut", "legacy_survey", "hips"} <= set(servers)
    assert "contact" not in servers
    assert any(name.startswith("sesame") for name in servers)
