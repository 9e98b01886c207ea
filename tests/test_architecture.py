"""What importing costs, and what the public names promise."""

import json
import os
import subprocess
import sys

import pytest

import mantis_astro

HEAVY = (
    "astroquery",
    "dask",
    "h5py",
    "matplotlib",
    "pandas",
    "photutils",
    "prospect",
    "qp",
    "reproject",
    "requests",
    "scipy.stats",
    "sedpy",
    "specutils",
    "torch",
)


def imported_by(statement):
    """Modules in a fresh interpreter after a statement."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(json.loads(run.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "import mantis_astro",
        "from mantis_astro import RedshiftPDF, MultibandCutout",
        "from mantis_astro import Flag, FitsFolder, get_band",
        "import mantis_astro.cli",
    ],
)
def test_these_imports_stay_light(statement):
    assert imported_by(statement).isdisjoint(HEAVY)


@pytest.mark.parametrize("name", mantis_astro.__all__)
def test_every_public_name_can_be_imported_and_is_documented(name):
    value = getattr(mantis_astro, name)
    assert name == "__version__" or value.__doc__


def test_dir_shows_the_public_names():
    assert dir(mantis_astro) == sorted(mantis_astro.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'PhotoX'"):
        mantis_astro.PhotoX  # noqa: B018  the look-up is what is tested


def test_nothing_is_fetched_or_written_at_import(tmp_path):
    code = (
        "import socket\n"
        "def refuse(*args): raise AssertionError('network at import')\n"
        "socket.socket.connect = refuse\n"
        "from mantis_astro import PhotoZ, RedshiftPDF\n"
        "import mantis_astro.services, mantis_astro.dust, mantis_astro.files\n"
    )
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**os.environ, **home, "MANTIS_ASTRO_CACHE": str(tmp_path / "ours")},
        cwd=tmp_path,
    )
    assert not (tmp_path / "ours").exists()
    assert not list(tmp_path.rglob("*.dustmapsrc"))
