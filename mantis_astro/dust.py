"""
E(B-V) of the Milky Way from maps on disk, read by the package dustmaps.

Maps are large and are fetched only when asked for (``mantis-astro files fetch csfd``);
nothing here touches the network or the configuration of dustmaps.
"""

import tempfile
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.utils import data as astropy_data

from mantis_astro._optional import require
from mantis_astro.exceptions import FetchError
from mantis_astro.extinction import (
    DUST_MAPS,
    EXTINCTION_LAWS,
    extinction_coefficients,
    extinction_curve,
    resolve_ebv,
)
from mantis_astro.files import fetch_file, local_path

__all__ = [
    "DUST_MAPS",
    "EXTINCTION_LAWS",
    "ebv",
    "extinction_coefficients",
    "extinction_curve",
    "map_files",
    "resolve_ebv",
]

# For each map, its files: name in `mantis_astro.files`, and name as published.
_FILES = {
    "csfd": {"csfd": "csfd_ebv.fits"},
    "planck": {"planck": "HFI_CompMap_ThermalDustModel_2048_R1.20.fits"},
    "sfd": {"sfd-ngp": "SFD_dust_4096_ngp.fits", "sfd-sgp": "SFD_dust_4096_sgp.fits"},
}


def ebv(coord, map="csfd", *, folder=None):
    """
    Read E(B-V) of the Milky Way off a map.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord`
        Positions, any shape.
    map : {"csfd", "planck", "sfd"}, optional
        The map: corrected SFD (Chiang 2023), Planck Collaboration XI (2013,
        "extragalactic"), or Schlegel, Finkbeiner & Davis (1998).
    folder : str or path-like, optional
        Folder that holds the map's files under the names they are published with, or
        the data folder of dustmaps. By default the files that
        ``mantis-astro files fetch`` put in place, verified by size and SHA-256.

    Returns
    -------
    ndarray
        E(B-V) in magnitudes, shape of ``coord``; NaN where a coordinate is not
        finite. The maps "csfd" and "sfd" are on the scale that
        `extinction_coefficients` expects by default; "planck" is a colour excess
        (``scale="true"``).

    Raises
    ------
    ValueError
        If there is no such map.
    OSError
        `~mantis_astro.exceptions.FetchError` if the files of the map are not there,
        or are not those files. Nothing is fetched.
    ImportError
        If dustmaps is not installed.

    Notes
    -----
    The HEALPix maps give the nearest pixel (1.7'), SFD is interpolated linearly, all
    as `dustmaps <https://dustmaps.readthedocs.io>`_ does. Cite the map (`DUST_MAPS`
    has the bibcodes) and dustmaps (Green 2018, JOSS 3, 695).

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from mantis_astro.dust import ebv
    >>> ebv(SkyCoord(150.1, 2.2, unit="deg"), map="csfd")  # doctest: +SKIP
    0.0171
    """
    paths = _find_files(map, folder)
    query = _load(map, *((path, path.stat().st_mtime_ns) for path in paths))
    lon, lat = coord.icrs.ra.deg, coord.icrs.dec.deg
    known = np.isfinite(lon) & np.isfinite(lat)
    safe = SkyCoord(np.where(known, lon, 0), np.where(known, lat, 0), unit="deg")
    return np.where(known, query(safe), np.nan)[()]


def map_files(map):
    """
    Name the files of a map.

    Parameters
    ----------
    map : {"csfd", "planck", "sfd"}
        The map.

    Returns
    -------
    list of str
        Names that `~mantis_astro.files.fetch_file` knows.

    Raises
    ------
    ValueError
        If there is no such map.

    Examples
    --------
    >>> from mantis_astro.dust import map_files
    >>> map_files("sfd")
    ['sfd-ngp', 'sfd-sgp']
    """
    return list(_files_of(map))


def _files_of(map):
    if map not in _FILES:
        msg = f"no dust map {map!r}; there are {', '.join(_FILES)}"
        raise ValueError(msg)
    return _FILES[map]


def _find_files(name, folder):
    """Paths of the files of a map, none of them fetched."""
    if folder is None:
        return [_find_fetched(file) for file in _files_of(name)]
    paths, top = [], Path(folder).expanduser()
    for published in _files_of(name).values():
        candidates = [top / published, top / name / published]
        path = next(filter(Path.is_file, candidates), None)
        if path is None:
            msg = f"the dust map '{name}' needs {published}, which is not in {folder}"
            raise FetchError(msg)
        paths.append(path)
    return paths


def _find_fetched(file):
    if not local_path(file).is_file():
        msg = (
            f"the dust map file '{file}' is not on this machine: fetch it with "
            f"'mantis-astro files fetch {file}', or pass 'folder', or give E(B-V) "
            "itself"
        )
        raise FetchError(msg)
    with astropy_data.conf.set_temp("allow_internet", value=False):
        return fetch_file(file)


@lru_cache(maxsize=3)
def _load(name, *stamped_paths):
    """Query object of dustmaps; the times of the files are part of the key."""
    paths = [path for path, _ in stamped_paths]
    return {"csfd": _load_csfd, "planck": _load_planck, "sfd": _load_sfd}[name](*paths)


def _dustmaps(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dustmaps asks for a configuration at import
        return require(f"dustmaps.{module}", extra="dust")


def _load_csfd(path):
    from astropy.io import fits

    # CSFDQuery would ask for the 101 MB of its quality mask too.
    with fits.open(path) as hdus:
        values = np.array(hdus["xtension"].data["T"], dtype=np.float32).ravel()
    healpix_map = _dustmaps("healpix_map")
    return healpix_map.HEALPixQuery(values, nest=False, coord_frame="galactic")


def _load_planck(path):
    return _dustmaps("planck").PlanckQuery(str(path))


def _load_sfd(north, south):
    with tempfile.TemporaryDirectory() as folder:  # SFDQuery insists on these names
        for path, published in zip((north, south), _FILES["sfd"].values(), strict=True):
            (Path(folder) / published).symlink_to(path.resolve())
        return _dustmaps("sfd").SFDQuery(folder)
