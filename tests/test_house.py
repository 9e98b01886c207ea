"""What hosted services read: workflows, environments, versions, templates."""

import re
import tomllib
from configparser import ConfigParser
from itertools import product
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))

pytestmark = pytest.mark.skipif(
    not (ROOT / ".github").is_dir(), reason="not in a checkout"
)


def read(path):
    return yaml.safe_load(path.read_text())


def environments():
    """Names that tox.ini defines; ``{,-a,-b}`` stands for each of them."""
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    names = set()
    for section in tox.sections():
        parts = re.split(r"\{(.*?)\}", section.removeprefix("testenv:"))
        choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
        names |= {"".join(choice) for choice in product(*choices)}
    return names


def matrices(workflow):
    for job in read(workflow)["jobs"].values():
        yield from job.get("strategy", {}).get("matrix", {}).get("include", [])


def steps(workflow):
    for job in read(workflow)["jobs"].values():
        yield from job["steps"]


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned(name):
    """The version of a package in each file that pins it."""
    found = {}
    for file in ("constraints.txt", "constraints-oldest.txt", "tox.ini"):
        text = (ROOT / file).read_text()
        if match := re.search(rf"\b{name}==(\S+)", text):
            found[file] = match[1]
    return found


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_environments_that_there_are(workflow):
    commands = " ".join(step.get("run", "") for step in steps(workflow))
    named = set(re.findall(r"tox run -e ([\w-]+)", commands))
    named |= {job["environment"] for job in matrices(workflow)}
    assert named
    assert named <= environments()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_jobs_end_and_may_read_only(workflow):
    plan = read(workflow)
    assert plan["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in plan["jobs"].values())


def test_a_checkout_runs_environments_that_there_are():
    script = (ROOT / ".ci" / "run").read_text()
    named = re.search(r"for environment in (.*?);", script)[1].split()
    assert set(named) <= environments()


def test_each_supported_python_is_tested_on_linux_and_macos_too():
    tested = {"ubuntu": set(), "macos": set()}
    for job in matrices(ROOT / ".github" / "workflows" / "tests.yml"):
        if job["environment"].startswith("test"):
            tested[job["machine"].partition("-")[0]].add(job["python"])
    supported = re.findall(r"Python :: (3\.\d+)", "\n".join(project()["classifiers"]))
    assert tested["ubuntu"] == set(supported)
    assert {min(supported), max(supported)} <= tested["macos"]


def test_other_processors_are_tested():
    jobs = list(matrices(ROOT / ".github" / "workflows" / "tests.yml"))
    assert {"test-avx2", "test-plaincpu"} <= {job["environment"] for job in jobs}


def test_torch_has_one_version():
    versions = pinned("torch")
    assert len(versions) == 3
    assert len(set(versions.values())) == 1


def test_every_direct_dependency_is_pinned():
    needed = project()["dependencies"]
    for extra in ("test", "docs", "prospector", "simulate", "plot"):
        needed += project()["optional-dependencies"][extra]
    names = {re.match(r"[\w-]+", line)[0].lower() for line in needed} - {"mantis-astro"}
    text = (ROOT / "constraints.txt").read_text()
    assert names <= set(re.findall(r"^([\w-]+)==", text, re.MULTILINE))


def test_the_oldest_versions_are_those_that_the_package_asks_for():
    oldest = dict(
        re.findall(
            r"^([\w-]+)==(\S+)", (ROOT / "constraints-oldest.txt").read_text(), re.M
        )
    )
    for line in project()["dependencies"]:
        name, version = re.match(r"([\w-]+)>=([\d.]+)", line).groups()
        if name != "torch":  # held at one version
            assert oldest[name].startswith(version), name


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_issue_forms_have_a_name_and_fields(path):
    form = read(path)
    if path.stem == "config":
        assert form["contact_links"]
        return
    assert {"name", "description", "body"} <= form.keys()
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))


def test_the_documentation_is_built_as_here():
    build = read(ROOT / ".readthedocs.yaml")
    assert (ROOT / build["sphinx"]["configuration"]).is_file()
    assert build["build"]["tools"]["python"] in " ".join(project()["classifiers"])
    assert "-c constraints.txt" in " ".join(build["build"]["jobs"]["install"])
