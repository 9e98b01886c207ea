"""Redshifts of many spectra as one table: labels of a training set."""

import logging
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable
from astropy.utils.masked import Masked

from mantis_astro.spectra.reading import list_targets, read_spectrum
from mantis_astro.spectra.redshift import RedshiftFitter

__all__ = ["z_spec_table"]

log = logging.getLogger(__name__)

_NUMBERS = {
    "z_spec": "redshift from templates",
    "z_err": "its standard deviation",
    "delta_chi2": "how much worse the next minimum of chi-square is",
    "z_next": "redshift of the next minimum",
    "z_catalogue": "redshift of the survey's pipeline",
}


def z_spec_table(
    paths,
    templates=None,
    *,
    z_range=(-0.005, 1.5),
    prior=None,
    prior_floor=1e-3,
    degree=7,
    medium=None,
    resolution=2.0,
):
    """
    Measure the redshifts of all spectra in some files.

    Parameters
    ----------
    paths : iterable of str or path-like
        Files that `~mantis_astro.spectra.read_spectrum` reads; of a DESI coadd all
        targets.
    templates, z_range, prior, prior_floor, degree, medium, resolution
        As for `~mantis_astro.spectra.z_spec_from_spectrum`, the same for all.

    Returns
    -------
    `~astropy.table.QTable`
        One row for each spectrum: ``coord``, ``z_spec``, ``z_err``, ``delta_chi2``,
        ``z_next``, ``warnings`` (names with commas between, empty if all is well),
        ``z_catalogue``, ``file``, ``target_id`` and ``problem``. A file or spectrum
        that cannot be used has a row with the warning NO_DATA, the reason in
        ``problem`` and masked numbers.

    Raises
    ------
    TypeError
        If ``paths`` is one path.
    ValueError
        If an option is not what `~mantis_astro.spectra.z_spec_from_spectrum` takes.

    Examples
    --------
    >>> from mantis_astro.spectra import z_spec_table
    >>> table = z_spec_table(["nowhere.fits"])
    >>> print(table["file", "z_spec", "warnings"])
        file     z_spec warnings
    ------------ ------ --------
    nowhere.fits    ———  NO_DATA
    """
    if isinstance(paths, str | Path):
        msg = f"'paths' must be an iterable of paths, got one: [{str(paths)!r}]"
        raise TypeError(msg)
    fitter = RedshiftFitter.of(
        templates, z_range, prior, prior_floor, degree, medium, resolution
    )
    rows = []
    for path in paths:
        try:
            targets = list_targets(path)
        except Exception as error:  # noqa: BLE001  an odd file costs its own row only
            rows.append(_failed(path, None, error))
            continue
        rows += [_measure(path, target, fitter) for target in targets]
    return _make_table(rows)


def _measure(path, target_id, fitter):
    try:
        spectrum = read_spectrum(path, target_id=target_id)
        found = fitter.fit(spectrum)
    except Exception as error:  # noqa: BLE001  an odd file costs its own row only
        return _failed(path, target_id, error)
    catalogue = spectrum.meta["redshift"]
    return {
        "coord": spectrum.meta["coord"],
        "z_spec": found.z,
        "z_err": found.z_err,
        "delta_chi2": found.delta_chi2,
        "z_next": found.z_next,
        "warnings": ",".join(found.warnings),
        "z_catalogue": np.nan if catalogue is None else catalogue.z,
        "file": str(path),
        "target_id": target_id,
        "problem": "",
    }


def _failed(path, target_id, error):
    log.warning("%s: %s", path, error)
    return {
        "coord": SkyCoord(np.nan, np.nan, unit="deg"),
        **dict.fromkeys(_NUMBERS, np.nan),
        "warnings": "NO_DATA",
        "file": str(path),
        "target_id": target_id,
        "problem": str(error) or type(error).__name__,
    }


def _make_table(rows):
    ra_dec = [(row["coord"].icrs.ra.deg, row["coord"].icrs.dec.deg) for row in rows]
    table = QTable()
    table["coord"] = SkyCoord(np.reshape(ra_dec, (-1, 2)), unit="deg")
    for name, description in _NUMBERS.items():
        if name == "z_catalogue":
            table["warnings"] = np.array([row["warnings"] for row in rows], dtype=str)
        values = np.array([row[name] for row in rows], dtype=float)
        table[name] = Masked(values * u.dimensionless_unscaled, mask=np.isnan(values))
        table[name].info.description = description
    table["file"] = np.array([row["file"] for row in rows], dtype=str)
    targets = [row["target_id"] for row in rows]
    table["target_id"] = MaskedColumn(
        [target or 0 for target in targets],
        mask=[target is None for target in targets],
        dtype=np.int64,
    )
    table["problem"] = np.array([row["problem"] for row in rows], dtype=str)
    return table
