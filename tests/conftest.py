"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Workers and processes that tests start have one thread each: threads of BLAS that wait
# for a core that others hold make small products a hundred times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# One profile for all: no time limits, as machines differ; the same examples each time
# in CI, where a failure must be that of the change.
settings.register_profile(
    "mantis_astro",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
    print_blob=True,
)
settings.load_profile("mantis_astro")


def pytest_make_parametrize_id(val, argname):
    """Name bytes and long texts by their length: content may hold the time of day."""
    if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 100):
        return f"{argname}-{len(val)}"
    return None


@pytest.fixture(autouse=True, scope="module")
def _torch_seed():
    """Weights that a module's fixtures draw do not hang on which test came before."""
    import torch

    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _torch_seed_of_a_test(_torch_seed):
    """Nor do those that a test draws."""
    import torch

    torch.manual_seed(1)


@pytest.fixture(scope="session")
def real_data():
    """The folder of real survey files, or skip."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    path = Path(os.environ.get("MANTIS_ASTRO_REAL_DATA", beside))
    if not path.is_dir():
        pytest.skip(f"no real data at {path}")
    return path
