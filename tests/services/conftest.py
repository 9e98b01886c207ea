import signal
import socket

import pytest
from astropy.config import set_temp_cache

from mantis_astro.services import conf
from mantis_astro.simulation.server import LocalSky

_connect = socket.socket.connect


def _connect_to_loopback(self, address):
    host = address[0] if isinstance(address, tuple) else address
    if host not in {"127.0.0.1", "::1", "localhost"}:
        msg = f"a test tried to reach {host}"
        raise OSError(msg)
    return _connect(self, address)


@pytest.fixture(autouse=True)
def only_loopback(request, monkeypatch, tmp_path):
    """No test but the remote ones leaves this machine, or leaves a file behind."""
    if request.node.get_closest_marker("remote_data") is None:
        monkeypatch.setattr(socket.socket, "connect", _connect_to_loopback)
    with set_temp_cache(tmp_path):
        yield


@pytest.fixture
def ctrl_c():
    """Ctrl-C raises, however the suite was started: background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def sky():
    """A sky whose faults each test orders for itself."""
    with LocalSky(seed=3) as sky, sky.configure(conf):
        yield sky


@pytest.fixture
def impatient():
    """Short time-outs: what hangs here hangs for longer than these."""
    with (
        conf.set_temp("timeout", 0.25),
        conf.set_temp("answer_timeout", 0.3),
        conf.set_temp("connect_timeout", 1.0),
    ):
        yield


@pytest.fixture
def patient():
    """Long time-outs: what hangs is broken off, or runs into the suite's own limit."""
    with (
        conf.set_temp("timeout", 1000.0),
        conf.set_temp("answer_timeout", 1000.0),
        conf.set_temp("total_timeout", 1000.0),
        conf.set_temp("give_up_after", 1000.0),
    ):
        yield


@pytest.fixture
def quick():
    """Repetitions without long waits."""
    with conf.set_temp("backoff", 0.01):
        yield
