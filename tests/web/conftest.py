"""A server on the loopback, and a client of it."""

import contextlib
import http.client
import json
import threading
import time

import pytest

from mantis_astro import PhotoZ
from mantis_astro.web import Limits, create_app
from tests.made import MadeSky


class Answer:
    """What came back: ``status``, ``headers``, ``content``, and ``json``."""

    def __init__(self, reply):
        self.status, self.headers = reply.status, reply.headers
        self.content = reply.read()

    @property
    def json(self):
        return json.loads(self.content)

    @property
    def error(self):
        assert self.headers["content-type"] == "application/json"
        (reason,) = self.json.values()
        return reason


class Client:
    """Asks a server, each time on a connection of its own, as strangers do."""

    def __init__(self, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            headers.setdefault("content-type", "application/json")
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())

    def get(self, path, **headers):
        return self.ask("GET", f"/api/v1{path}", **headers)

    def post(self, path, body, **headers):
        return self.ask("POST", f"/api/v1{path}", body, **headers)

    def finish(self, answer):
        """Wait for the job that an answer is of."""
        assert answer.status == 202, answer.content
        path = f"/jobs/{answer.json['id']}"
        for _ in range(3000):
            job = self.get(path).json
            if job["state"] not in ("waiting", "running"):
                return path, job
            time.sleep(0.02)
        pytest.fail(f"the job does not end: {job}")


@contextlib.contextmanager
def run_server(models=("any-band",), *, source=None, **limits):
    """Serve on a free port of the loopback."""
    import uvicorn

    limits = {"requests_per_minute": 100_000, **limits}
    app = create_app(models, limits=Limits(**limits), source=source)
    config = uvicorn.Config(app, port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    with config.bind_socket() as socket:
        thread = threading.Thread(target=server.run, args=([socket],))
        thread.start()
        while thread.is_alive() and not server.started:
            time.sleep(0.01)
        try:
            yield Client(socket.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="package")
def photoz():
    return PhotoZ.from_pretrained("any-band")


@pytest.fixture(scope="package")
def client():
    """Of a server whose sky is made, but for one position that fails."""
    pytest.importorskip("fastapi")
    with run_server(source=MadeSky(), rows=50, positions=3, galaxies=20) as client:
        yield client
