"""The interface against its own description, by schemathesis where it is installed."""

import re
import subprocess
import sys

import pytest

from tests.made import MadeSky
from tests.web.conftest import run_server

pytest.importorskip("fastapi")
pytest.importorskip("schemathesis")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_interface_is_as_it_is_described(tmp_path):
    options = [
        *("--phases", "coverage,fuzzing", "--max-examples", "10"),
        *("--request-timeout", "100"),
        # a table need not have what its model reads: 422, in words
        *("--exclude-checks", "positive_data_acceptance"),
    ]
    with run_server(source=MadeSky(), waiting_jobs=10_000) as client:
        command = [sys.executable, "-m", "schemathesis.cli", "run", *options]
        command.append(f"{client.url}/api/v1/openapi.json")
        run = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path
        )
    assert run.returncode == 0, run.stdout
    assert int(re.search(r"(\d+) generated", run.stdout)[1]) > 100
