import contextlib
import gzip
import socket
import threading
import time

import pytest
from werkzeug import Response

from mantis_astro.services.request import HttpRequest
from mantis_astro.services.transport import HttpTransport, TransportError
from mantis_astro.simulation.server import Fault


@pytest.fixture
def transport():
    transport = HttpTransport(
        connections_per_host=2, connect_timeout=2, read_timeout=0.3
    )
    yield transport
    transport.close()


@pytest.fixture
def request_(sky):
    return HttpRequest(sky.urls["legacy_survey"] + "?ra=10&dec=20&size=32&layer=galex")


def test_an_answer_has_status_body_and_headers(transport, request_):
    answer = transport.send(request_, seconds=5)
    assert answer.status == 200
    assert answer.content.startswith(b"SIMPLE")
    assert answer.headers["Content-Type"] == "image/fits"


def test_a_status_is_an_answer_too(transport, request_, sky):
    sky.faults = [Fault(503, retry_after=7)]
    answer = transport.send(request_, seconds=5)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "7")


def test_connections_are_reused(transport, request_, sky):
    for _ in range(5):
        transport.send(request_, seconds=5)
    assert len(sky._hosts["legacy_survey"].connections) == 1


def test_a_form_is_sent_again_whole(transport, httpserver):
    httpserver.expect_request("/").respond_with_data("ok")
    http = HttpRequest(
        httpserver.url_for("/"), "POST", {"a": "b"}, {"file": ("p.txt", b"1 2\n")}
    )
    for _ in range(2):
        transport.send(http, seconds=5)
    assert all(b"1 2\n" in request.data for request, _ in httpserver.log)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("hang", "silent for more than"),
        ("hang_in_body", "silent for more than|broke off"),
        ("reset", "broke off"),
        ("cut_short", "broke off"),
    ],
)
def test_no_whole_answer_is_an_error(transport, request_, sky, kind, message):
    sky.faults = [Fault(kind, seconds=3)]
    with pytest.raises(TransportError, match=message):
        transport.send(request_, seconds=5)


def test_a_trickle_ends_when_its_time_is_over(transport, request_, sky):
    """Each byte comes within the read time-out; the whole would take 1000 s."""
    sky.faults = [Fault("slow_drip", seconds=1000)]
    with pytest.raises(TransportError, match="gave no whole answer within 0.5 s"):
        transport.send(request_, seconds=0.5)


def test_nobody_at_the_address(transport):
    with pytest.raises(TransportError, match="127.0.0.1:9 cannot be reached"):
        transport.send(HttpRequest("http://127.0.0.1:9/"), seconds=2)


def test_closing_wakes_those_who_wait(request_, sky):
    """Nothing else ends this before the suite's own time limit."""
    sky.faults = [Fault("hang", seconds=1000)]
    patient = HttpTransport(
        connections_per_host=1, connect_timeout=5, read_timeout=1000
    )
    errors = []

    def ask():
        try:
            patient.send(request_, seconds=1000)
        except TransportError as error:
            errors.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    while not sky.requests:
        time.sleep(0.01)
    patient.close()
    thread.join()
    assert errors == ["cancelled"]


def test_a_closed_transport_sends_nothing(request_, sky, transport):
    transport.close()
    with pytest.raises(TransportError, match="cancelled"):
        transport.send(request_, seconds=1)
    assert sky.requests == []


@pytest.fixture
def full_queue():
    """The address of a server that does not even accept: its queue is full."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        queue = [socket.socket() for _ in range(3)]
        for waiting in queue:
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(address)
        yield HttpRequest(f"http://127.0.0.1:{address[1]}/")
        for waiting in queue:
            waiting.close()


def test_a_connection_that_does_not_come_is_waited_for_in_vain(full_queue):
    transport = HttpTransport(
        connections_per_host=1, connect_timeout=0.2, read_timeout=5
    )
    with pytest.raises(TransportError, match="cannot be reached within 0.2 s") as error:
        transport.send(full_queue, seconds=5)
    transport.close()
    assert error.value.timed_out
    assert error.value.unreachable


def test_closing_ends_the_wait_for_a_connection(full_queue):
    transport = HttpTransport(
        connections_per_host=1, connect_timeout=60, read_timeout=60
    )
    errors = []

    def ask():
        try:
            transport.send(full_queue, seconds=60)
        except TransportError as error:
            errors.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    while not transport._flights:
        time.sleep(0.01)
    transport.close()
    thread.join(timeout=30)
    assert errors == ["cancelled"]


def test_closing_does_not_wait_for_a_name_server(monkeypatch):
    released = threading.Event()

    def look_up(*_):
        released.wait(60)
        raise OSError

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    transport = HttpTransport(
        connections_per_host=1, connect_timeout=0.2, read_timeout=60
    )
    with pytest.raises(TransportError, match="a.b.org cannot be reached within"):
        transport.send(HttpRequest("http://a.b.org/"), seconds=60)
    transport.close()
    released.set()


@pytest.mark.parametrize("form", ["announced", "streamed", "gzip bomb"])
def test_an_answer_far_longer_than_asked_for_is_not_read(transport, httpserver, form):
    body, headers = bytes(3_000_000), {}
    if form == "gzip bomb":
        body, headers = gzip.compress(body), {"Content-Encoding": "gzip"}
    response = Response(body, headers=headers)
    if form == "streamed":
        response = Response(body[i : i + 1000] for i in range(0, len(body), 1000))
    httpserver.expect_request("/").respond_with_response(response)
    http = HttpRequest(httpserver.url_for("/"), max_bytes=100_000)
    with pytest.raises(TransportError, match="sent more than 100,000 bytes, far more"):
        transport.send(http, seconds=10)
