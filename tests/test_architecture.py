"""What importing costs, and what the public names promise."""

import ast
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

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


#: Functions whose open keywords are the point: others call them with their own.
OPEN_KEYWORDS = {
    "training/configuration.py: with_options",  # as dataclasses.replace, any field
    "services/request.py: build_url",  # whatever a server's query may hold
    "simulation/server/local_sky.py: count",  # any fact of a request
    "simulation/server/local_sky.py: find_requests",
    "photometry/table.py: add",  # any column of its table
    "plotting/panels.py: new_axes",  # those of matplotlib's subplots
    # prospector calls a prior with keywords of its own
    "priors/prospector_prior.py: bounds",
    "priors/prospector_prior.py: __call__",
    "priors/prospector_prior.py: sample",
    "priors/prospector_prior.py: unit_transform",
    "priors/prospector_prior.py: inverse_unit_transform",
    # these override methods of requests and urllib3
    "services/transport.py: init_poolmanager",
    "services/transport.py: proxy_manager_for",
    "services/transport.py: putrequest",
}


def test_no_public_function_hides_its_keywords():
    package = Path(mantis_astro.__file__).parent
    found = {
        f"{path.relative_to(package).as_posix()}: {node.name}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.args.kwarg
        if not node.name.startswith("_") or node.name.startswith("__")
    }
    assert found == OPEN_KEYWORDS


def test_a_method_that_passes_a_job_on_has_the_same_keywords():
    from mantis_astro import PhotoZ, redshift_table, refitting
    from mantis_astro.shift import ShiftReport

    for method, function in (
        (PhotoZ.add_redshifts, redshift_table.add_redshifts),
        (PhotoZ.at, redshift_table.redshift_at),
        (PhotoZ.refit, refitting.refit),
        (PhotoZ.shift_report, ShiftReport.compare),
    ):
        given = inspect.signature(method).parameters
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY and name in given:
                assert given[name].default == parameter.default
        missing = set(inspect.signature(function).parameters) - set(given)
        assert missing <= {"predictor", "photoz", "reference", "target"} | {
            # what travels with the model has these
            *("z_spec", "distance"),
            "domain",  # of tables that are part of a sample
        }


def test_the_floors_in_the_documentation_are_those_of_the_import_contracts():
    root = Path(__file__).parents[1]
    contracts = tomllib.loads((root / "pyproject.toml").read_text())
    contract = contracts["tool"]["importlinter"]["contracts"][0]
    layers = [set(layer.split(" | ")) for layer in contract["layers"]]
    page = (root / "docs" / "architecture.rst").read_text()
    table = page.partition(":class: floors")[2].partition("torch is imported")[0]
    rows = re.findall(r"^   \* - (``.*)$", table, flags=re.MULTILINE)
    assert [set(re.findall(r"``(\w+)``", row)) for row in rows] == layers
