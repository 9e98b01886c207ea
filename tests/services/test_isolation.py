import socket

import pytest
import requests

from mantis_astro.services.request import HttpRequest
from mantis_astro.services.transport import HttpTransport, TransportError


def test_no_test_here_can_leave_the_loopback():
    with pytest.raises(OSError, match="192.0.2.1"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


def test_the_download_engine_is_held_back_too():
    transport = HttpTransport(connections_per_host=1, connect_timeout=1, read_timeout=1)
    with pytest.raises(TransportError, match="192.0.2.1 cannot be reached"):
        transport.send(HttpRequest("http://192.0.2.1/x"), seconds=1)
    transport.close()


def test_the_loopback_is_open(httpserver):
    httpserver.expect_request("/").respond_with_data("here")
    assert requests.get(httpserver.url_for("/"), timeout=5).text == "here"
