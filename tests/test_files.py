"""Fetching a file, from a server on this machine that misbehaves as real ones do."""

import hashlib
import logging
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from astropy.utils.data import conf as data_conf

from mantis_astro import files
from mantis_astro.exceptions import FetchError
from mantis_astro.files import KnownFile, conf, fetch_file, local_path
from mantis_astro.files.download import length

CONTENT = np.random.default_rng(0).bytes(300_000)


class Server(ThreadingHTTPServer):
    """
    Serves CONTENT; `plan` says what is wrong with each answer in turn.

    Each step is a dict: ``status``, ``headers``, ``body`` (all of it), ``cut`` (bytes
    sent before the connection closes), ``ranges`` (False: Range ignored), ``hang``
    (no answer), ``stall`` (the answer ends in silence), ``drip`` (a byte at a time).
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan = []
        self.etag = '"v1"'
        self.requests = []  # headers of each
        self.sent = []  # body bytes of each answer
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/best.pt"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        step = server.plan.pop(0) if server.plan else {}
        server.requests.append(dict(self.headers))
        if step.get("hang"):
            server.released.wait(20)
            return
        body, status = step.get("body", CONTENT), step.get("status", 200)
        headers = {"ETag": server.etag, "Content-Type": "application/octet-stream"}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        unchanged = self.headers.get("If-Range", server.etag) == server.etag
        if asked and unchanged and status == 200 and step.get("ranges", True):
            start, status = int(asked[1]), 206
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            body = body[start:]
        headers |= {"Content-Length": str(len(body))} | step.get("headers", {})
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        body = body[: step.get("cut", len(body))]
        server.sent.append(len(body))
        if step.get("drip"):
            for i in range(len(body)):
                self.wfile.write(body[i : i + 1])
                if server.released.wait(0.01):
                    return
        self.wfile.write(body)
        if step.get("stall"):
            server.released.wait(20)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def known(server):
    digest = hashlib.sha256(CONTENT).hexdigest()
    return KnownFile("weights", server.url, len(CONTENT), digest, "a licence")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MANTIS_ASTRO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Seconds that the code wanted to wait; it does not."""
    waits = []
    sleep = time.sleep
    monkeypatch.setattr(
        "mantis_astro.files.download.time.sleep",
        lambda seconds: (waits.append(seconds), sleep(0.001)),
    )
    return waits


def part_of(known):
    path = local_path(known)
    return path.with_name(f"{path.name}.part")


def test_a_fetched_file_holds_what_the_server_has(known, folder):
    path = fetch_file(known)
    assert path.read_bytes() == CONTENT
    assert path == local_path(known)
    assert path.parent == folder
    assert path.suffix == ".pt"


def test_nothing_but_the_file_its_stamp_and_its_lock_stays(known, server, folder):
    server.plan = [{"cut": 100_000}]
    path = fetch_file(known)
    names = {path.name, f"{path.name}.verified", f"{path.name}.part.lock"}
    assert {file.name for file in folder.iterdir()} == names


def test_a_file_that_is_there_is_used_without_a_request(known, server):
    fetch_file(known)
    fetch_file(known)
    assert len(server.requests) == 1


def test_the_hash_is_computed_once_and_again_when_the_file_is_touched(
    known, monkeypatch
):
    path = fetch_file(known)
    hashed = []
    sha256 = files.fetching._sha256
    monkeypatch.setattr(
        "mantis_astro.files.fetching._sha256",
        lambda path: (hashed.append(path), sha256(path))[1],
    )
    fetch_file(known)
    assert hashed == []
    os.utime(path, ns=(1, 1))
    fetch_file(known)
    fetch_file(known)
    assert hashed == [path]


def test_a_file_brought_by_hand_is_used(known, server, folder):
    folder.mkdir()
    local_path(known).write_bytes(CONTENT)
    assert fetch_file(known).read_bytes() == CONTENT
    assert server.requests == []


@pytest.mark.parametrize("wrong", [b"short", bytes(len(CONTENT))], ids=["size", "hash"])
def test_a_wrong_file_that_is_there_is_replaced(known, folder, wrong, caplog):
    folder.mkdir()
    local_path(known).write_bytes(wrong)
    assert fetch_file(known).read_bytes() == CONTENT
    assert "fetching it anew" in caplog.text


def test_a_stamp_cut_short_only_costs_another_hash(known, server):
    path = fetch_file(known)
    path.with_name(f"{path.name}.verified").write_text('{"sha')
    assert fetch_file(known) == path
    assert len(server.requests) == 1


def test_a_broken_download_resumes_where_it_broke(known, server):
    server.plan = [{"cut": 100_000}]
    assert fetch_file(known).read_bytes() == CONTENT
    have = int(re.fullmatch(r"bytes=(\d+)-", server.requests[1]["Range"])[1])
    assert 100_000 - 2**13 <= have <= 100_000  # at most one chunk is lost
    assert server.sent == [100_000, len(CONTENT) - have]


def test_a_further_call_resumes_what_an_interrupted_one_left(known, server):
    def stop(done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_file(known, progress=stop)
    have = part_of(known).stat().st_size
    assert have > len(CONTENT) / 2
    assert fetch_file(known).read_bytes() == CONTENT
    assert server.requests[1]["Range"] == f"bytes={have}-"
    assert server.sent[1] == len(CONTENT) - have


def test_progress_rises_to_the_whole_size(known, server):
    server.plan = [{"cut": 100_000}]
    seen = []
    fetch_file(known, progress=lambda done, total: seen.append((done, total)))
    done, total = zip(*seen, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == len(CONTENT)
    assert set(total) == {len(CONTENT)}


@pytest.mark.parametrize("wanted", [True, False])
def test_a_bar_is_shown_only_if_wanted(known, wanted, capfd, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("mantis_astro.progress._DELAY", 0)
    fetch_file(known, progress=wanted)
    printed, bar = capfd.readouterr()
    assert printed == ""
    assert ("300k/300k" in bar) == wanted


def test_a_server_that_ignores_ranges_makes_it_start_over(known, server):
    server.plan = [{"cut": 100_000}, {"ranges": False}]
    assert fetch_file(known).read_bytes() == CONTENT
    assert server.sent == [100_000, len(CONTENT)]


def test_a_file_changed_at_its_source_is_fetched_from_the_start(known, server):
    """If-Range: another ETag, so the whole file comes."""
    server.plan = [{"cut": 100_000, "body": bytes(len(CONTENT))}]
    with conf.set_temp("retries", 0), pytest.raises(FetchError, match="further call"):
        fetch_file(known)
    server.etag = '"v2"'
    assert fetch_file(known).read_bytes() == CONTENT
    assert server.requests[1]["If-Range"] == '"v1"'
    assert server.sent[1] == len(CONTENT)


def test_a_server_deaf_to_if_range_is_caught_by_its_etag(known, server):
    server.plan = [
        {"cut": 100_000, "headers": {"ETag": '"v0"'}},
        {"headers": {"ETag": '"v1"'}},
    ]
    server.etag = '"v0"'  # what the second answer takes as unchanged
    assert fetch_file(known).read_bytes() == CONTENT
    assert "Range" not in server.requests[2]


@pytest.mark.parametrize(
    "step",
    [
        {"status": 416, "body": b""},
        {"headers": {"Content-Range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"}},
        {"headers": {"Content-Range": "nonsense"}},
    ],
    ids=["416", "another range", "nonsense"],
)
def test_a_server_that_cannot_continue_makes_it_start_over(known, server, step):
    server.plan = [{"cut": 100_000}, step]
    assert fetch_file(known).read_bytes() == CONTENT
    assert "Range" not in server.requests[2]


def test_a_partial_file_longer_than_the_file_is_thrown_away(known, server, folder):
    folder.mkdir()
    part_of(known).write_bytes(CONTENT + b"more")
    assert fetch_file(known).read_bytes() == CONTENT
    assert "Range" not in server.requests[0]


def test_a_complete_partial_file_needs_no_request(known, server, folder):
    folder.mkdir()
    part_of(known).write_bytes(CONTENT)
    assert fetch_file(known).read_bytes() == CONTENT
    assert server.requests == []


def test_a_busy_server_is_asked_again_after_growing_waits(known, server, waits):
    server.plan = [{"status": status, "body": b""} for status in (503, 429, 502)]
    assert fetch_file(known).read_bytes() == CONTENT
    for k, wait in enumerate(waits):  # jitter: half to one and a half times
        assert 0.5 <= wait / (conf.backoff * 2**k) <= 1.5
    assert len(waits) == 3


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured_in_both_forms(known, server, waits, form):
    value = "7"
    if form == "date":
        from datetime import UTC, datetime, timedelta

        value = format_datetime(datetime.now(UTC) + timedelta(seconds=8), usegmt=True)
    server.plan = [{"status": 503, "body": b"", "headers": {"Retry-After": value}}]
    fetch_file(known)
    assert 6 <= waits[0] <= 8


def test_a_server_cannot_make_us_wait_for_ever(known, server, waits):
    server.plan = [{"status": 503, "body": b"", "headers": {"Retry-After": "999999"}}]
    fetch_file(known)
    assert waits == [120]


def test_a_server_that_stays_busy_is_given_up(known, server):
    server.plan = [{"status": 503, "body": b""}] * 10
    expected = (
        r"'weights' could not be fetched.*HTTP 503; tried 3 times.*bring the file"
    )
    with conf.set_temp("retries", 2), pytest.raises(FetchError, match=expected):
        fetch_file(known)
    assert len(server.requests) == 3


def test_tries_that_bring_something_new_do_not_count(known, server):
    """Twenty broken answers, each a little further, on two retries."""
    server.plan = [{"cut": 20_000}] * 20
    with conf.set_temp("retries", 2):
        assert fetch_file(known).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [401, 403, 404, 410, 202, 204])
def test_an_answer_without_the_file_is_not_asked_for_again(known, server, status):
    server.plan = [{"status": status, "body": b"", "headers": {"Content-Length": "0"}}]
    with pytest.raises(FetchError, match=f"expected 300,000 bytes, got HTTP {status}"):
        fetch_file(known)
    assert len(server.requests) == 1
    assert not local_path(known).exists()


def test_a_log_in_page_is_not_the_file(known, server):
    page = b"<html>Please log in to the conference network</html>"
    server.plan = [{"body": page, "headers": {"Content-Type": "text/html"}}]
    with pytest.raises(FetchError, match="52 bytes of text/html .a log-in or error"):
        fetch_file(known)
    assert not part_of(known).exists()


def test_a_log_in_page_does_not_replace_what_has_arrived(known, server):
    page = {"body": b"<html>", "ranges": False}
    server.plan = [{"cut": 100_000}, page]
    with pytest.raises(FetchError, match="kept and a further call resumes"):
        fetch_file(known)
    have = part_of(known).stat().st_size
    assert fetch_file(known).read_bytes() == CONTENT
    assert server.requests[2]["Range"] == f"bytes={have}-"


def test_too_long_a_body_of_unannounced_length_is_refused(known, server):
    server.plan = [
        {"body": CONTENT + b"x" * 10_000, "headers": {"Content-Length": None}}
    ]
    with pytest.raises(FetchError, match="more than 300,000 bytes came"):
        fetch_file(known)
    assert not part_of(known).exists()


def test_the_right_length_with_wrong_bytes_is_refused(known, server):
    wrong = bytes(len(CONTENT))
    server.plan = [{"body": wrong}]
    got = hashlib.sha256(wrong).hexdigest()
    with pytest.raises(FetchError, match=f"SHA-256 {known.sha256}, got {got}"):
        fetch_file(known)
    assert len(server.requests) == 1
    assert not part_of(known).exists()
    assert not local_path(known).exists()


def test_a_silent_server_runs_into_the_time_out(known, server):
    server.plan = [{"hang": True}] * 2
    with (
        conf.set_temp("retries", 1),
        pytest.raises(FetchError, match=r"read timeout=0\.2"),
    ):
        fetch_file(known, timeout=0.2)


def test_the_time_out_is_read_from_the_configuration_at_the_call(known, server):
    server.plan = [{"hang": True}]
    with (
        conf.set_temp("read_timeout", 0.2),
        conf.set_temp("retries", 0),
        pytest.raises(FetchError, match=r"read timeout=0\.2"),
    ):
        fetch_file(known)


def test_a_fetch_ends_at_its_deadline(known):
    with (
        conf.set_temp("deadline", 0.0),
        pytest.raises(FetchError, match="deadline of 0 s passed.*further call resumes"),
    ):
        fetch_file(known)


def test_the_deadline_holds_against_a_drip(known, server):
    """Each byte comes in time; the whole would take most of an hour."""
    server.plan = [{"drip": True}]
    with (
        conf.set_temp("deadline", 0.3),
        pytest.raises(FetchError, match="deadline of 0.3 s passed with"),
    ):
        fetch_file(known)
    assert 0 < length(local_path(known).with_suffix(".pt.part")) < 8192


def test_servers_learn_who_asks(known, server):
    fetch_file(known)
    assert "mantis_astro/" in server.requests[0]["User-Agent"]
    assert "https://github.com/mantis-astro" in server.requests[0]["User-Agent"]


def test_no_server_at_all_is_said(known):
    nobody = KnownFile("x", "http://127.0.0.1:9/x", 5, known.sha256, "a licence")
    with conf.set_temp("retries", 1), pytest.raises(FetchError, match="Connection"):
        fetch_file(nobody)


def test_astropys_offline_switch_is_respected(known, server):
    with (
        data_conf.set_temp("allow_internet", False),
        pytest.raises(FetchError, match="'allow_internet' is False"),
    ):
        fetch_file(known)
    assert server.requests == []


def test_two_at_once_fetch_one_file_once(known, server):
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(fetch_file, [known] * 4))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert len(server.requests) == 1


def start_process(known):
    """Fetch in another Python."""
    code = f"from mantis_astro.files import *; print(fetch_file({known!r}))"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)


def test_two_processes_at_once_fetch_one_file_once(known, server):
    processes = [start_process(known) for _ in range(2)]
    for process in processes:
        printed, _ = process.communicate(timeout=60)
        assert printed.decode().strip() == str(local_path(known))
    assert local_path(known).read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_what_a_killed_process_left_is_resumed(known, server):
    server.plan = [{"cut": 100_000, "stall": True}]
    process = start_process(known)
    until = time.monotonic() + 60
    while length(part_of(known)) < 50_000 and time.monotonic() < until:
        threading.Event().wait(0.02)
    process.kill()
    process.communicate()
    have = part_of(known).stat().st_size
    assert fetch_file(known).read_bytes() == CONTENT
    assert server.requests[1]["Range"] == f"bytes={have}-"


def test_waiting_for_a_process_that_hangs_ends(known, server, folder):
    folder.mkdir()
    with (
        files.fetching._lock(known, part_of(known)),
        conf.set_temp("lock_timeout", 0.0),
        pytest.raises(FetchError, match="by another process, which has made no prog"),
    ):
        fetch_file(known)
    assert fetch_file(known).read_bytes() == CONTENT


def test_a_folder_that_cannot_be_is_said(known, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MANTIS_ASTRO_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(FetchError, match="could not be written.*MANTIS_ASTRO_CACHE"):
        fetch_file(known)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_read_only_folder_is_said(known, folder):
    folder.mkdir()
    folder.chmod(0o555)
    with pytest.raises(FetchError, match="Permission denied.*MANTIS_ASTRO_CACHE"):
        fetch_file(known)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_full_disk_is_said(known, folder):
    folder.mkdir()
    part_of(known).symlink_to("/dev/full")
    with pytest.raises(FetchError, match="No space left.*make room"):
        fetch_file(known)


def test_too_small_a_disk_is_said_before_anything_is_asked(known, server, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(
        "mantis_astro.files.download.shutil.disk_usage", lambda p: usage
    )
    with pytest.raises(FetchError, match=r"needs 0\.3 MB in .*0\.0 MB are free"):
        fetch_file(known)
    assert server.requests == []


def test_the_licence_is_shown_once_before_the_download(known, server, caplog):
    server.plan = [{"cut": 100_000}]
    with conf.set_temp("retries", 0), pytest.raises(FetchError, match="further call"):
        fetch_file(known)
    fetch_file(known)
    fetch_file(known)
    warned = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(warned) == 1
    assert f"from {known.url} under its own licence: a licence" in warned[0]


def test_the_cache_follows_astropy_unless_told_otherwise(monkeypatch, tmp_path):
    from astropy import config

    monkeypatch.delenv("MANTIS_ASTRO_CACHE")
    (tmp_path / "mantis_astro").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert str(files.cache_dir()) == config.get_cache_dir("mantis_astro")
    monkeypatch.setenv("MANTIS_ASTRO_CACHE", str(tmp_path / "mine"))
    assert files.cache_dir() == tmp_path / "mine"


def test_a_name_is_registered_once(known, monkeypatch):
    monkeypatch.setattr("mantis_astro.files.known._files", {})
    assert files.register_file(known) is known
    assert files.get_file("weights") is known
    assert files.list_files() == [known]
    with pytest.raises(
        ValueError, match=r"'weights' is already registered, from http:"
    ):
        files.register_file(known)


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(
        ValueError, match=r"no known file 'early'; there are mantis-shr"
    ):
        fetch_file("early")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "../x"}, "'name' of a file must be made of letters"),
        ({"url": "file:///etc"}, "'url' of w must be http or https"),
        ({"size": 0}, "'size' of w must be positive, got 0"),
        ({"sha256": "abc"}, "'sha256' of w must be 64 lower-case hexadecimal"),
    ],
)
def test_facts_that_cannot_be_right_are_refused(change, message):
    facts = {"name": "w", "url": "http://x", "size": 1, "sha256": "0" * 64}
    with pytest.raises(ValueError, match=message):
        KnownFile(**{**facts, "licence": "a licence", **change})


@pytest.mark.parametrize("known", files.list_files(), ids=lambda known: known.name)
def test_every_known_file_names_a_licence_and_where_to_read_it(known):
    assert known.licence
    assert known.licence_url.startswith("https://")
    assert known.url.startswith("https://")


def test_the_log_is_quiet_about_a_file_that_is_there(known, caplog):
    fetch_file(known)
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="mantis_astro.files"):
        fetch_file(known)
    assert caplog.records == []
