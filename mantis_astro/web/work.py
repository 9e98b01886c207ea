"""Work of the server: redshifts of fluxes, of a position, and of a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from astropy.table import QTable, vstack

from mantis_astro import redshift_table
from mantis_astro.catalogs import read_photometry
from mantis_astro.catalogs.reading import NOTES_KEY
from mantis_astro.exceptions import InputSpecError
from mantis_astro.fluxes import find_bands, flux_columns, to_flux
from mantis_astro.redshift_table.columns import remove_redshifts
from mantis_astro.redshift_table.domain import DomainWatch
from mantis_astro.services import SurveyCutouts, find_object
from mantis_astro.services.scheduler import Clock
from mantis_astro.tables import find_coordinates
from mantis_astro.tables.memory import read_bytes
from mantis_astro.web.pictures import draw_cutouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mantis_astro.cutouts import CutoutSource
    from mantis_astro.photoz import PhotoZ
    from mantis_astro.web.jobs import Job
    from mantis_astro.web.limits import Limits
    from mantis_astro.web.pictures import Picture
    from mantis_astro.web.shelf import Shelf

__all__ = [
    "Result",
    "estimate_fluxes",
    "estimate_position",
    "estimate_table",
    "table_of_fluxes",
]

_PIECE = 500  # rows of fluxes between two looks at the clock
_NAMES = "name", "id", "objid", "object_id", "objectid", "source_id", "designation"


@dataclass(frozen=True)
class Result:
    """
    Result of a job.

    Attributes
    ----------
    photoz : PhotoZ
        The model.
    table : `~astropy.table.QTable`
        As `PhotoZ.add_redshifts` gives it.
    names : list of str
        What to call each row.
    pictures : dict of int to list of Picture
        Cutouts of rows.
    notes : list of str
        What was understood, and what else there is to say.
    """

    photoz: PhotoZ
    table: QTable
    names: list[str]
    pictures: dict[int, list[Picture]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def table_of_fluxes(galaxies: Sequence[dict]) -> QTable:
    """
    Make the table that a request describes.

    Parameters
    ----------
    galaxies : sequence of dict
        Each with ``photometry``, a mapping of band to ``flux`` and ``flux_err`` in nJy
        or ``mag`` and ``mag_err`` (AB); ``ebv`` and ``id`` may be there.

    Returns
    -------
    `~astropy.table.QTable`
        ``id``, ``ebv`` if it is known of any, and columns of fluxes, NaN where there is
        none.
    """
    table = QTable({"id": [galaxy.get("id") or "" for galaxy in galaxies]})
    ebv = [galaxy.get("ebv") for galaxy in galaxies]
    if any(value is not None for value in ebv):
        table["ebv"] = np.array(ebv, dtype=float) * u.mag
    bands = dict.fromkeys(band for galaxy in galaxies for band in galaxy["photometry"])
    for band in bands:
        values = np.full((2, len(galaxies)), np.nan)
        for i, galaxy in enumerate(galaxies):
            if band in galaxy["photometry"]:
                values[:, i] = _in_njy(galaxy["photometry"][band])
        for name, column in zip(flux_columns(band), values, strict=True):
            table[name] = column * u.nJy
    return table


def _in_njy(measured):
    """Flux and error; NaN where there is none."""
    if measured.get("flux") is not None:
        error = measured.get("flux_err")
        return measured["flux"], np.nan if error is None else error
    error = measured.get("mag_err")
    if error is None:
        flux, error = to_flux(measured["mag"]), np.nan
    else:
        flux, error = to_flux(measured["mag"], error)
    return [
        float(np.ma.filled(np.ma.asarray(_plain(x)), np.nan)) for x in (flux, error)
    ]


def _plain(value):
    """Take the numbers of a quantity that may be masked."""
    value = getattr(value, "value", value)
    mask = getattr(value, "mask", False)
    return np.ma.array(np.asarray(getattr(value, "unmasked", value)), mask=mask)


def estimate_fluxes(photoz: PhotoZ, table: QTable, job: Job | None = None) -> QTable:
    """
    Add redshifts to a table of fluxes, a piece at a time.

    Parameters
    ----------
    photoz : PhotoZ
        A model of fluxes.
    table : `~astropy.table.QTable`
        The fluxes.
    job : Job, optional
        Is told how far it is, and may end it.

    Returns
    -------
    `~astropy.table.QTable`
        What `PhotoZ.add_redshifts` gives for the whole table, bit for bit.
    """
    n = len(table)
    if job is None or n <= _PIECE:
        return photoz.add_redshifts(table)
    reference = photoz.card.reference
    domain, pieces = DomainWatch(reference, n), []
    for first in range(0, n, _PIECE):
        job.report(f"redshifts of {n} galaxies", first, n)
        watch = DomainWatch(reference, n, first)
        piece = table[first : first + _PIECE]
        pieces.append(redshift_table.add_redshifts(photoz, piece, domain=watch))
        domain.add(*watch.noted)
    output = vstack(pieces, metadata_conflicts="silent")
    output.meta = pieces[0].meta
    domain.flag(output["flags"])
    return output


class _StoppableClock(Clock):
    """Clock that stops with a job."""

    def __init__(self, job):
        self._job = job

    def get(self, results, seconds):
        self._job.check()
        return super().get(results, seconds)


class _WatchedCutouts:
    """
    The surveys' servers, or another source, as a job sees them.

    Parameters
    ----------
    job : Job
        Is told how far it is, and may end it.
    source : CutoutSource or None
        By default the surveys' servers.
    pictured : int
        How many objects are drawn.
    """

    def __init__(self, job, source, pictured):
        self._job, self._pictured = job, pictured
        self.pictures = {}
        if source is None:
            seconds = max(0.9 * job.seconds, 1) * u.s  # the rest is for the model
            clock = _StoppableClock(job)
            source = SurveyCutouts(progress=False, deadline=seconds, clock=clock)
        self._source = source

    def iter_cutouts(self, coords, bands):
        bands = list(bands)
        n = len(coords)
        self._job.report(f"asks the surveys for {len(bands)} bands", 0, n)
        found = self._source.iter_cutouts(coords, bands)
        for done, (index, cutouts, statuses) in enumerate(found, 1):
            if index < self._pictured:
                self.pictures[index] = draw_cutouts(cutouts, statuses)
            self._job.report("fetches cutouts", done, n)
            yield index, cutouts, statuses

    @property
    def notes(self):
        """Describe missing cutouts, a line for each reason."""
        failures = {}
        for pictures in self.pictures.values():
            for picture in pictures:
                if picture.state == "failed":
                    failures.setdefault(picture.message, []).append(picture.title)
        return [
            f"{', '.join(dict.fromkeys(titles))}: {message}"
            for message, titles in failures.items()
        ]


def estimate_position(
    job: Job,
    photoz: PhotoZ,
    target: str,
    ebv: float | None,
    source: CutoutSource | None,
) -> Result:
    """
    Find a position, fetch its cutouts, and compute p(z).

    Parameters
    ----------
    job : Job
        Is told how far it is.
    photoz : PhotoZ
        The model.
    target : str
        A name or coordinates, see `~mantis_astro.services.find_object`.
    ebv : float or None
        E(B-V) in magnitudes.
    source : CutoutSource or None
        Where cutouts come from; None for the surveys' servers.

    Returns
    -------
    Result
        Of one row.

    Raises
    ------
    ValueError
        If it is no position, or no known name.
    OSError
        If the name could not be resolved.
    """
    job.report("finds the position")
    coord = find_object(target)
    table = QTable({"name": [target], "ra": [coord.ra], "dec": [coord.dec]})
    watched = _WatchedCutouts(job, source, 1)
    output = photoz.add_redshifts(table, watched, ebv=ebv)
    return Result(photoz, output, [target], watched.pictures, watched.notes)


def estimate_table(
    job: Job,
    shelf: Shelf,
    content: bytes,
    filename: str,
    *,
    model: str | None,
    survey: str | None,
    unit: str | None,
    limits: Limits,
    source: CutoutSource | None,
) -> Result:
    """
    Read an uploaded table, and add redshifts.

    Parameters
    ----------
    job : Job
        Is told how far it is.
    shelf : Shelf
        The models.
    content : bytes
        The file.
    filename : str
        Its name, whose ending is its format.
    model : str or None
        By default the one of fluxes, if there are any, else the one of images.
    survey : str or None
        Whose columns it has; by default the names of the columns tell.
    unit : str or None
        Of columns of fluxes that have none.
    limits : Limits
        How many rows it may have.
    source : CutoutSource or None
        Where cutouts come from; None for the surveys' servers.

    Returns
    -------
    Result
        A row for each of the table.

    Raises
    ------
    ValueError
        If the table cannot be read, or is too long, or has neither fluxes nor
        positions.
    """
    job.report("reads the table")
    table = read_bytes(content, filename, max_bytes=limits.upload_bytes)
    _check_length(len(table), limits.rows, "rows")
    reads_images = model is not None and not shelf.cards[model].is_photometric
    reason = ""
    if not reads_images:
        table, reason = _with_fluxes(table, survey, unit)
    notes = list(table.meta.pop(NOTES_KEY, ()))
    has_redshifts = "PZMODEL" in table.meta  # not: a column called flags of the user's
    if has_redshifts and (replaced := remove_redshifts(table)):
        notes.append(f"redshifts of an earlier run are replaced: {', '.join(replaced)}")
    names = _names_of(table)
    if not reads_images and not reason:
        photoz = shelf.open(model or shelf.default_of_fluxes)
        return Result(photoz, estimate_fluxes(photoz, table, job), names, notes=notes)
    try:
        _, good = find_coordinates(table)
    except (KeyError, ValueError) as error:
        msg = f"there are no positions to fetch images of ({error.args[0]})"
        if reason:
            msg = f"there are neither fluxes ({reason}) nor positions ({error.args[0]})"
        raise InputSpecError(msg) from error
    _check_length(int(good.sum()), limits.positions, "positions to fetch images of")
    photoz = shelf.open(model or shelf.default_of_images)
    watched = _WatchedCutouts(job, source, limits.pictured)
    output = photoz.add_redshifts(table, watched)
    rows = np.flatnonzero(good)
    pictures = {int(rows[index]): p for index, p in watched.pictures.items()}
    return Result(photoz, output, names, pictures, notes + watched.notes)


def _with_fluxes(table, survey, unit):
    """Return the table with columns of fluxes, or as it is with the reason."""
    if survey is not None:
        return read_photometry(table, survey=survey, keep="all"), ""
    if bands := find_bands(table):
        return _with_units(table, bands, unit), ""
    try:
        return read_photometry(table, keep="all"), ""
    except (KeyError, TypeError, ValueError) as error:
        return table, str(error.args[0] if error.args else error)


def _with_units(table, bands, unit):
    """Set the unit of the columns of fluxes."""
    names = [name for band in bands for name in flux_columns(band)]
    bare = [n for n in names if n in table.colnames and table[n].unit is None]
    if bare and unit is None:
        msg = f"choose the unit of these columns, which have none: {', '.join(bare)}"
        raise InputSpecError(msg)
    for name in bare:
        table[name].unit = unit
    return table


def _check_length(n, limit, what):
    if n > limit:
        msg = (
            f"the table has {n:,} {what}, and the limit is {limit:,}: the command "
            "'mantis-astro predict' has none"
        )
        raise ValueError(msg)
    if n == 0:
        msg = f"the table has no {what}"
        raise ValueError(msg)


def _names_of(table):
    by_lower = {name.lower(): name for name in table.colnames}
    column = next((by_lower[name] for name in _NAMES if name in by_lower), None)
    if column is None or np.ndim(table[column]) != 1:
        return [f"row {i + 1}" for i in range(len(table))]
    return [str(value) for value in table[column]]
