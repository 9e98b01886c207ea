"""Redshifts of many spectra as one table: labels of a training set."""

import logging
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable
from astropy.utils.masked import Masked

from mantis_astro.pdf.tables import as_densities
from mantis_astro.spectra.reading import list_targets, read_spectrum
from mantis_astro.spectra.redshift import RedshiftFitter

__all__ = ["z_spec_table"]

log = logging.getLogger(__name__)

_NOWHERE = SkyCoord(np.nan, np.nan, unit="deg")
_NUMBERS = {
    "z_spec": "redshift from templates",
    "z_err": "its standard deviation",
    "delta_chi2": "how much worse the next minimum of chi-square is",
    "z_next": "redshift of the next minimum",
    "z_catalogue": "redshift of the survey's pipeline",
}


def z_spec_table(
    spectra,
    templates=None,
    *,
    z_range=(-0.005, 1.5),
    prior=None,
    prior_floor=1e-3,
    prior_star=0.01,
    degree=7,
    medium=None,
    resolution=2.0,
):
    """
    Measure the redshifts of many spectra.

    Parameters
    ----------
    spectra : iterable of str, path-like or `~specutils.Spectrum`
        Files that `~mantis_astro.spectra.read_spectrum` reads, of a DESI coadd all
        targets; or spectra.
    templates, z_range : optional
        As for `~mantis_astro.spectra.z_spec_from_spectrum`, the same for all.
    prior : RedshiftPDF or `~astropy.table.Table`, optional
        Probability densities, such as those from the images: one for each spectrum, in
        their order (and that of the targets of a coadd), or one for all. A table is one
        with the column ``pz``, as `PhotoZ.add_redshifts` gives it.
    prior_floor, prior_star, degree, medium, resolution : optional
        As for `~mantis_astro.spectra.z_spec_from_spectrum`, the same for all.

    Returns
    -------
    `~astropy.table.QTable`
        One row for each spectrum: ``coord``, ``z_spec``, ``z_err``, ``delta_chi2``,
        ``z_next``, ``warnings`` (names with commas between, empty if all is well),
        ``z_catalogue``, ``file`` (empty for spectra), ``target_id``, ``problem`` and
        ``kind``, ``"star"`` or ``"galaxy"``. A file or spectrum
        that cannot be used has a row with the warning NO_DATA, the reason in
        ``problem`` and masked numbers.

    Raises
    ------
    TypeError
        If ``spectra`` is one path.
    ValueError
        If an option is not what `~mantis_astro.spectra.z_spec_from_spectrum` takes, or
        there are priors, but not one for each spectrum.

    Examples
    --------
    >>> from mantis_astro.spectra import z_spec_table
    >>> table = z_spec_table(["nowhere.fits"])
    >>> print(table["file", "z_spec", "warnings"])
        file     z_spec warnings
    ------------ ------ --------
    nowhere.fits    ———  NO_DATA
    """
    if isinstance(spectra, str | Path):
        msg = f"'spectra' must be an iterable of paths, got one: [{str(spectra)!r}]"
        raise TypeError(msg)
    prior = as_densities(prior)
    several = getattr(prior, "shape", ()) != ()
    fitter = RedshiftFitter.of(
        templates,
        z_range,
        None if several else prior,
        prior_floor,
        degree,
        medium,
        resolution,
        prior_star=prior_star,
    )
    sources = [source for each in spectra for source in _sources(each)]
    if several and prior.shape != (len(sources),):
        msg = (
            f"'prior' must be one density, or one for each of the {len(sources)} "
            f"spectra, got shape {prior.shape}"
        )
        raise ValueError(msg)
    rows = []
    for i, source in enumerate(sources):
        own = fitter.with_prior(prior[i]) if several else fitter
        rows.append(_measure(*source, own))
    return _make_table(rows)


def _sources(source):
    """Spectra of a file: pairs of the file and the target, or of the error."""
    if not isinstance(source, str | Path):
        return [(source, None)]
    try:
        return [(source, target) for target in list_targets(source)]
    except Exception as error:  # noqa: BLE001  an odd file costs its own row only
        return [(source, error)]


def _measure(source, target_id, fitter):
    is_file = isinstance(source, str | Path)
    path = source if is_file else ""
    if isinstance(target_id, Exception):
        return _failed(path, None, target_id)
    try:
        spectrum = read_spectrum(source, target_id=target_id) if is_file else source
        found = fitter.fit(spectrum)
    except Exception as error:  # noqa: BLE001  an odd file costs its own row only
        return _failed(path, target_id, error)
    meta = spectrum.meta  # of spectra that are not from files, anything
    coord, catalogue = meta.get("coord"), meta.get("redshift")
    return {
        "coord": coord if isinstance(coord, SkyCoord) and coord.size == 1 else _NOWHERE,
        "z_spec": found.z,
        "z_err": found.z_err,
        "delta_chi2": found.delta_chi2,
        "z_next": found.z_next,
        "warnings": ",".join(found.warnings),
        "z_catalogue": _number(getattr(catalogue, "z", catalogue)),
        "file": str(path),
        "target_id": target_id if is_file else _whole(meta.get("target_id")),
        "problem": "",
        "kind": found.kind,
    }


def _number(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def _whole(value):
    return int(value) if isinstance(value, int | np.integer) else None


def _failed(path, target_id, error):
    log.warning("%s: %s", path, error)
    return {
        "coord": _NOWHERE,
        **dict.fromkeys(_NUMBERS, np.nan),
        "warnings": "NO_DATA",
        "file": str(path),
        "target_id": target_id,
        "problem": str(error) or type(error).__name__,
        "kind": "",
    }


def _make_table(rows):
    places = [row["coord"].icrs.ravel()[0] for row in rows]
    ra_dec = [(place.ra.deg, place.dec.deg) for place in places]
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
    for name in ("problem", "kind"):
        table[name] = np.array([row[name] for row in rows], dtype=str)
    return table
