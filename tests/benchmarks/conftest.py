"""Fixtures of the tests of benchmarks' programs."""

import pytest

from mantis_astro import bands


@pytest.fixture(autouse=True, scope="module")
def _own_registry():
    """Surveys that programs register are known to their own tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bands, "_surveys", dict(bands._surveys))
        patch.setattr(bands, "_bands", dict(bands._bands))
        yield
