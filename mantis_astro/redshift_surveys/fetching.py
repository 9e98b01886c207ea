"""`fetch_redshifts`: the redshifts of surveys in an area, piece by piece."""

import hashlib
import logging
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import MaskedColumn, QTable, vstack

from mantis_astro.exceptions import FetchError
from mantis_astro.progress import progress_bar
from mantis_astro.redshift_surveys.boxes import SkyBox
from mantis_astro.redshift_surveys.queries import TooLargeError, run_query
from mantis_astro.redshift_surveys.surveys import get_redshift_survey
from mantis_astro.services.configuration import conf
from mantis_astro.tables import read_table, write_table
from mantis_astro.tables.coordinates import find_coordinates

__all__ = ["SIDE", "fetch_redshifts"]

log = logging.getLogger(__name__)

#: Longest side, in degrees, of the boxes that are asked for first.
SIDE = 15.0

_LEAST_SIDE = 1 / 60  # degrees; below that a full answer is no matter of density
_DESCRIPTIONS = {
    "ra": "Right ascension, ICRS",
    "dec": "Declination, ICRS",
    "z_spec": "Heliocentric redshift of a spectrum",
    "z_spec_err": "Its error",
    "survey": "Survey it comes from",
    "quality": "Quality as the survey has it; higher is better",
    "object_id": "Name in the survey",
}


def fetch_redshifts(surveys, folder, *, area=None, progress=True):
    """
    Fetch the redshifts of surveys in an area of the sky.

    Each survey is asked box by box, one query at a time. An answer that may be cut
    short is not used: its box is asked for in halves. Boxes are kept in the folder as
    they come, and are not asked for again, so that a run that was killed goes on.

    Parameters
    ----------
    surveys : sequence of RedshiftSurvey or str
        Surveys, see `list_redshift_surveys`.
    folder : str or path-like
        Where boxes are kept; made if it is not there.
    area : sequence of SkyBox, optional
        The area; by default the whole sky.
    progress : bool, optional
        Whether to show a progress bar on standard error.

    Returns
    -------
    `~astropy.table.QTable`
        A row for each redshift: ``ra``, ``dec``, ``z_spec``, ``z_spec_err`` (masked
        where there is none), ``survey``, ``quality``, ``object_id``, and further
        columns of the surveys. ``meta`` has the quality cuts in words, what to cite,
        and how many rows were left out, as they had no position or no redshift.

    Raises
    ------
    KeyError
        If a survey is not known.
    FetchError
        If an archive cannot be reached, rejects a query (a column may have another
        name now), or answers with something that is no such table.
    """
    surveys = [get_redshift_survey(survey) for survey in surveys]
    area = [SkyBox()] if area is None else list(area)
    boxes = [(s, box) for s in surveys for box in s.pieces(area, SIDE)]
    tables = []
    with progress_bar(len(boxes), wanted=progress) as update:
        for i, (survey, box) in enumerate(boxes):
            tables += _Pieces(survey, folder).tables(box)
            update(i + 1)
    rows = vstack(tables, metadata_conflicts="silent") if tables else _empty()
    for name in {"z_spec_err", "quality"} & set(rows.colnames):
        rows[name] = MaskedColumn(
            np.ma.masked_invalid(np.ma.filled(rows[name], np.nan))
        )
    for name, text in _DESCRIPTIONS.items():
        rows[name].info.description = text
    rows.meta = {
        "cuts": {survey.name: survey.cuts for survey in surveys},
        "references": {survey.name: survey.reference for survey in surveys},
        "n_unusable": sum(table.meta["N_BAD"] for table in tables),
    }
    log.info("%d redshifts of %s", len(rows), ", ".join(s.title for s in surveys))
    return rows


class _Pieces:
    """The boxes of one survey on disk; missing ones are fetched."""

    def __init__(self, survey, folder):
        self.survey = survey
        # another query, as after a change of the cuts, has another folder
        digest = hashlib.sha256(survey.query(SkyBox(), 0).encode()).hexdigest()[:8]
        self.folder = Path(folder) / f"{survey.name}-{digest}"
        self.folder.mkdir(parents=True, exist_ok=True)

    def tables(self, box):
        """All rows in a box, of the box itself or of its parts."""
        path, halves = self.folder / f"{box}.fits", self.folder / f"{box}.halves"
        if path.exists():
            return [read_table(path)]
        if not halves.exists():
            try:
                table = self._ask(box)
            except TooLargeError as error:
                if max(box.sides) < _LEAST_SIDE:
                    msg = (
                        f"{self.survey.title}: {error}, and no smaller box is asked for"
                    )
                    raise FetchError(msg) from error
                log.info("%s: %s; asking for its halves", self.survey.title, box)
                halves.touch()
            else:
                write_table(table, path, overwrite=True)
                return [table]
        return [table for half in box.split() for table in self.tables(half)]

    def _ask(self, box):
        survey, limit = self.survey, conf.rows_per_query
        try:
            rows = run_query(survey.address, survey.query(box, limit), limit)
        except TooLargeError:
            raise
        except FetchError as error:
            msg = f"no redshifts of {survey.title} in {box}: {error}"
            raise FetchError(msg) from error
        return _settled(rows, survey)


def _settled(rows, survey):
    """Check the columns of an answer, and leave out rows without a redshift."""
    there = {name.lower(): name for name in rows.colnames}
    if missing := [name for name in survey.columns if name.lower() not in there]:
        msg = (
            f"the answer of {survey.title} lacks {', '.join(missing)}; it has "
            f"{', '.join(rows.colnames)}: has the archive changed its table?"
        )
        raise FetchError(msg)
    coords, good = find_coordinates(
        rows[there["s_ra"], there["s_dec"]], ra=there["s_ra"], dec=there["s_dec"]
    )
    numbers = {
        name: _numbers(rows[there[name.lower()]], name, survey)
        for name in survey.columns
        if name not in {"s_ra", "s_dec", "object_id"}
    }
    good &= np.isfinite(numbers["z_spec"])
    table = QTable({"ra": coords.ra[good], "dec": coords.dec[good]})
    table["z_spec"] = numbers.pop("z_spec")[good]
    for name in ("z_spec_err", "quality"):
        table[name] = numbers.pop(name, np.full(len(rows), np.nan))[good]
    table["survey"] = np.full(len(table), survey.name, dtype=f"U{len(survey.name)}")
    names = rows[there["object_id"]][good] if "object_id" in there else []
    table["object_id"] = [str(name) for name in names] or np.full(len(table), "-")
    for name, values in numbers.items():
        table[name] = values[good]
    table.meta["N_BAD"] = int((~good).sum())
    return table


def _numbers(column, name, survey):
    if len(column) and column.dtype.kind not in "iufb":
        msg = (
            f"the column {name} of {survey.title} should hold numbers, and has "
            f"{column[0]!r}: has the archive changed its table?"
        )
        raise FetchError(msg)
    return np.ma.filled(np.ma.asarray(column, dtype=float), np.nan)


def _empty():
    table = QTable({"ra": [] * u.deg, "dec": [] * u.deg})
    for name in ("z_spec", "z_spec_err", "quality"):
        table[name] = np.empty(0)
    for name in ("survey", "object_id"):
        table[name] = np.empty(0, "U1")
    return table
