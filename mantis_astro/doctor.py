"""Inventory of this installation: packages, extras, models, files, folders, servers."""

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

__all__ = ["describe_report", "inspect_installation"]

_NOT_FEATURES = {"all", "docs", "test"}  # extras that are sums of others
_VARIABLES = (
    "SPS_HOME",
    "MANTIS_ASTRO_CACHE",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
)
_PRECISIONS = {"fused_layers": "float32", "fused_layers_bfloat16": "bfloat16"}
_PROXIES = "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"


def inspect_installation(*, online=False, timeout=5.0):
    """
    Collect the contents and the problems of this installation.

    Parameters
    ----------
    online : bool, optional
        Whether servers are asked if they are there; nothing is sent otherwise.
    timeout : float, optional
        Seconds that they have for it.

    Returns
    -------
    dict
        Of JSON types: ``versions``, ``packages``, ``extras``, ``models``, ``files``,
        ``folders``, ``compute``, ``environment``, ``servers`` (None if not asked), and
        ``problems``, a list of sentences.

    Examples
    --------
    >>> from mantis_astro.doctor import inspect_installation
    >>> report = inspect_installation()
    >>> report["servers"] is None
    True
    """
    from mantis_astro import __version__

    packages, extras = _requirements()
    report = {
        "versions": {
            "mantis_astro": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "packages": packages,
        "extras": extras,
        "models": _models(),
        "files": _files(),
        "folders": _folders(),
        "compute": _compute(),
        "environment": _environment(),
        "servers": _servers(timeout) if online else None,
    }
    report["problems"] = list(_problems(report))
    return report


def _requirements():
    """Find the packages that are needed, and those of each extra."""
    from packaging.requirements import Requirement

    try:
        dist = metadata.distribution("mantis-astro")
    except metadata.PackageNotFoundError:  # a folder on the path, not installed
        return [], {}
    needed = [Requirement(text) for text in dist.requires or ()]
    packages = [_package(r) for r in needed if _is_for(r, "")]
    extras = {
        extra: [_package(r) for r in needed if _is_for(r, extra) and not _is_for(r, "")]
        for extra in sorted(dist.metadata.get_all("Provides-Extra") or ())
        if extra not in _NOT_FEATURES
    }
    return packages, extras


def _is_for(requirement, extra):
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _package(requirement):
    """Compare the installed version of a package with the required one."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        version = None
    fits = version is not None and requirement.specifier.contains(
        version, prereleases=True
    )
    needs = str(requirement.specifier)
    name = requirement.name
    return {"name": name, "needs": needs, "version": version, "fits": fits}


def _models():
    from mantis_astro.files import local_path
    from mantis_astro.models import list_models
    from mantis_astro.models.registry import DEFAULT_MODEL, embedded_file

    models = []
    for card in list_models():
        path = embedded_file(card.name)
        where = "in the package"
        if not path.is_file():
            path = local_path(card.file) if card.file else None
            where = "fetched" if path and path.is_file() else "not fetched"
        if path is None:
            where = "weights are not public"
        models.append(
            {
                "name": card.name,
                "where": where,
                "path": str(path) if path and path.is_file() else None,
                "is_default": card.name == DEFAULT_MODEL,
            }
        )
    return models


def _files():
    from mantis_astro.files import list_files, local_path

    return [
        {
            "name": file.name,
            "bytes": file.size,
            "here": local_path(file.name).is_file(),
        }
        for file in list_files()
    ]


def _folders():
    """Find the folders of files, and their free space."""
    import mantis_astro
    from mantis_astro.files.known import cache_dir
    from mantis_astro.services import PanSTARRS

    there = {
        "package": Path(mantis_astro.__file__).parent,
        "cache": cache_dir(),
        "answers of servers": Path(PanSTARRS.cache_location).parent,
        "configuration": _configuration_file(),
    }
    folders = {}
    for name, path in there.items():
        nearest = next(p for p in (path, *path.parents) if p.exists())
        folders[name] = {
            "path": str(path),
            "exists": path.exists(),
            "writable": os.access(nearest, os.W_OK),
            "free_bytes": shutil.disk_usage(nearest).free,
        }
    return folders


def _configuration_file():
    from astropy.config import get_config_dir

    return Path(get_config_dir("mantis_astro")) / "mantis_astro.cfg"


def _compute():
    """Find the devices that networks run on."""
    import torch

    from mantis_astro.models.processor import fused_linear_works

    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return {
        "cpus": os.cpu_count(),
        "cpus_usable": len(affinity(0)) if affinity else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "fused_layers": fused_linear_works(torch.float32),
        "fused_layers_bfloat16": fused_linear_works(torch.bfloat16),
        "gpus": [
            torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())
        ],
    }


def _environment():
    """Find environment variables that matter; of proxies only whether one is set."""
    found = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    names = (n for name in _PROXIES for n in (name, name.lower()) if n in os.environ)
    return found | dict.fromkeys(names, "(set)")


def _servers(timeout):
    from mantis_astro.services.reachability import probe_servers

    return [probe._asdict() for probe in probe_servers(timeout=timeout)]


def _problems(report):
    """Describe each problem in a sentence."""
    if not report["packages"]:
        yield (
            "mantis-astro is not installed, but found on the path: requirements and "
            "extras are not known"
        )
    for package in report["packages"]:
        if not package["fits"]:
            there = package["version"] or "not installed"
            yield f"{package['name']}{package['needs']} is needed, and is {there}"
    for extra, packages in report["extras"].items():
        old = [p for p in packages if p["version"] and not p["fits"]]
        for package in old:
            yield (
                f"{package['name']} {package['version']} does not do for the extra "
                f"'{extra}', which needs {package['needs']}"
            )
    for name in ("cache", "answers of servers"):
        folder = report["folders"][name]
        if not folder["writable"]:
            yield f"the folder of the {name} cannot be written: {folder['path']}"
    sps_home = report["environment"].get("SPS_HOME")
    if sps_home is None and _is_installed("fsps"):
        yield "FSPS is installed, and SPS_HOME, the folder of its data, is not set"
    elif sps_home is not None and not Path(sps_home).is_dir():
        yield f"SPS_HOME is {sps_home}, which is no folder"
    servers = report["servers"] or ()
    silent = [server for server in servers if not server["answers"]]
    if servers and len(silent) == len(servers):
        yield "no server answers: no network, or a proxy that HTTPS_PROXY must name"
    else:
        for server in silent:
            yield f"{server['name']} does not answer: {server['detail']}"


def _is_installed(name):
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def describe_report(report):
    """
    Write a report in lines for people.

    Parameters
    ----------
    report : dict
        What `inspect_installation` returned.

    Yields
    ------
    str
        A line.
    """
    sections = {
        "versions": [f"{n} {v}" for n, v in report["versions"].items()],
        "packages": [f"{p['name']} {p['version']}" for p in report["packages"]],
        "extras": [_of_extra(*item) for item in report["extras"].items()],
        "models": [f"{m['name']:22} {m['where']}" for m in report["models"]],
        "large files": map(_of_file, report["files"]),
        "folders": [_of_folder(*item) for item in report["folders"].items()],
        "compute": _of_compute(report["compute"]),
        "environment": [f"{n}={v}" for n, v in report["environment"].items()],
        "servers": map(_of_server, report["servers"] or ()),
        "problems": report["problems"],
    }
    nothing = {"servers": "not asked: --online asks them"}
    for name, lines in sections.items():
        yield name
        for line in list(lines) or [nothing.get(name, "none")]:
            yield f"    {line}"


def _of_extra(name, packages):
    if not packages:
        return f"{name:12} ready"
    missing = [p["name"] + p["needs"] for p in packages if not p["fits"]]
    if missing:
        how = f'pip install "mantis-astro[{name}]"'
        return f"{name:12} lacks {', '.join(missing)}: {how}"
    return f"{name:12} {', '.join(p['name'] + ' ' + p['version'] for p in packages)}"


def _of_file(file):
    where = "here" if file["here"] else "not fetched"
    return f"{file['name']:22} {file['bytes'] / 1e6:6.0f} MB  {where}"


def _of_folder(name, folder):
    facts = [f"{folder['free_bytes'] / 1e9:.1f} GB free"]
    facts += [] if folder["exists"] else ["not there yet"]
    facts += [] if folder["writable"] else ["not writable"]
    return f"{name:18} {folder['path']}  ({', '.join(facts)})"


def _of_compute(compute):
    cpus = f"{compute['cpus_usable']} of {compute['cpus']} CPUs"
    yield f"{cpus}, {compute['torch_threads']} threads, {compute['cpu_capability']}"
    fused = [n for n in ("fused_layers", "fused_layers_bfloat16") if compute[n]]
    yield f"fast layers of oneDNN: {', '.join(map(_PRECISIONS.get, fused)) or 'none'}"
    yield f"GPUs: {', '.join(compute['gpus']) or 'none'}"


def _of_server(server):
    word = "answers" if server["answers"] else "SILENT"
    return (
        f"{server['name']:30} {word:8} {server['seconds']:5.2f} s  {server['detail']}"
    )
