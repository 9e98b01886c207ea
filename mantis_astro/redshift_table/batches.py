"""The rows of a table, some at a time, as a network reads them."""

import contextlib
import hashlib
import logging
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from mantis_astro.bands import list_bands
from mantis_astro.cutouts import CutoutSource
from mantis_astro.exceptions import InputSpecError
from mantis_astro.flags import Flag
from mantis_astro.fluxes import SENTINELS, find_bands
from mantis_astro.tables.coordinates import find_coordinates

__all__ = ["Batch", "fingerprint", "open_rows"]

_ROWS = 8192  # rows of photometry prepared at once

log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """
    Some rows of a table.

    Attributes
    ----------
    rows : ndarray of int, shape (n,)
        Their numbers in the table.
    data : sequence of MultibandCutout, `~mantis_astro.fluxes.Fluxes` or None
        What the network reads; None where the source gave no answer.
    flags : ndarray of int, shape (n,)
        What their source says of them.
    """

    rows: np.ndarray
    data: object
    flags: np.ndarray


def open_rows(
    predictor, table, source=None, *, ra=None, dec=None, chunk=64, missing=SENTINELS
):
    """
    Find the input of a model in a table.

    Parameters
    ----------
    predictor : Predictor
        The model.
    table, source, ra, dec, chunk, missing
        As for `PhotoZ.add_redshifts`.

    Returns
    -------
    FluxRows, CutoutRows or MeasuredRows
        With ``good``, which rows can be read; ``flags`` of the others; ``fingerprint``
        of what identifies the rows; and ``batches(rows)``, an iterator of `Batch`.

    Raises
    ------
    KeyError
        If there are no coordinates.
    TypeError
        If ``table`` is no table, ``source`` no source, or not for this model.
    ValueError
        If ``chunk`` is not positive, or it is not clear which are the coordinates.
    """
    if not isinstance(table, Table):
        msg = (
            f"'table' must be an astropy Table, got {type(table)}; QTable.read reads "
            "files, QTable.from_pandas takes a DataFrame"
        )
        raise TypeError(msg)
    if chunk < 1:
        msg = f"'chunk' must be at least 1, got {chunk}"
        raise ValueError(msg)
    card = predictor.card
    if not card.is_photometric:
        coords, good = find_coordinates(table, ra=ra, dec=dec)
        return CutoutRows(coords, good, _check_source(source), card.bands, chunk)
    if source is None:
        _check_has_fluxes(card, table)
        fluxes = card.spec.read(table, missing=missing)
        return FluxRows(fluxes, any_bands=not card.bands)
    if there := find_bands(table):
        msg = (
            f"'{card.name}' reads fluxes from the table, which has those of "
            f"{', '.join(map(str, there))}: leave 'source' out, or, for fluxes to be "
            "measured on images, take these columns out"
        )
        raise TypeError(msg)
    coords, good = find_coordinates(table, ra=ra, dec=dec)
    return MeasuredRows(predictor, coords, good, _check_source(source), chunk)


def _check_has_fluxes(card, table):
    if not find_bands(table):
        msg = (
            f"'{card.name}' reads fluxes, and 'table' has no column such as "
            f"'flux_ps1_g' (there are {', '.join(table.colnames)}): read_photometry "
            "makes such columns of magnitudes and other fluxes; with a 'source' of "
            "cutouts, such as SurveyCutouts(), fluxes are measured on images"
        )
        raise InputSpecError(msg)


class FluxRows:
    """
    Rows of a table that holds the fluxes.

    Parameters
    ----------
    fluxes : `~mantis_astro.fluxes.Fluxes`
        What the model reads of it.
    any_bands : bool
        Whether that depends on the table.

    Attributes
    ----------
    bands : tuple of Band or None
        What the model reads; None if that does not depend on the table.
    bands_used : ndarray or None
        Whether each of ``bands`` was observed, shape (n, n_band).
    """

    flags = 0
    place = ""  # the table itself
    finds_bands = False

    def __init__(self, fluxes, *, any_bands=False):
        self._fluxes = fluxes
        self.bands = fluxes.bands if any_bands else None
        self.bands_used = fluxes.observed if any_bands else None
        self.good = np.ones(len(fluxes), bool)

    @property
    def fingerprint(self):
        """Fingerprint of the rows: all values that are read."""
        return fingerprint([self._fluxes.flux, self._fluxes.flux_err])

    def batches(self, rows):
        """
        Yield rows some thousand at a time.

        Parameters
        ----------
        rows : ndarray of int
            Which rows.

        Yields
        ------
        Batch
            In order.
        """
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            yield Batch(part, self._fluxes[part], np.zeros(len(part), int))


class CutoutRows:
    """
    Rows of a table with cutouts from a source.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord`, shape (n,)
        Positions.
    good : ndarray of bool, shape (n,)
        Where there is one.
    source : CutoutSource
        Where the cutouts are.
    bands : sequence of Band or str
        Which are wanted.
    chunk : int
        How many objects make a batch.
    """

    flags = Flag.BAD_COORDINATES
    finds_bands = False
    bands = bands_used = None  # always those of the model

    def __init__(self, coords, good, source, bands, chunk):
        self._coords, self.good = coords, good
        self._source, self._bands, self._chunk = source, bands, chunk

    @property
    def place(self):
        """Location of the cutouts on disk; empty for other sources."""
        path = getattr(self._source, "path", None)
        return "" if path is None else str(Path(path).resolve())

    @property
    def fingerprint(self):
        """Fingerprint of the rows: their positions."""
        return fingerprint([self._coords.ra.deg, self._coords.dec.deg])

    def batches(self, rows):
        """
        Yield rows as their cutouts come.

        Parameters
        ----------
        rows : ndarray of int
            Which rows.

        Yields
        ------
        Batch
            In the order of the source; last, those of which it said nothing.

        Raises
        ------
        ValueError
            If the source answers twice.
        """
        if not len(rows):
            return  # a source need not be asked for nothing
        awaited = np.ones(len(rows), bool)
        answers = iter(self._source.iter_cutouts(self._coords[rows], self._bands))
        with contextlib.ExitStack() as stack:
            if hasattr(answers, "close"):  # a source may hold connections
                stack.callback(answers.close)
            while batch := list(islice(answers, self._chunk)):
                index, cutouts, statuses = zip(*batch, strict=True)
                index = np.array(index)
                if not awaited[index].all() or len(set(index.tolist())) < len(index):
                    msg = (
                        "'source' yielded an index twice: the answers cannot be trusted"
                    )
                    raise ValueError(msg)
                awaited[index] = False
                flags = np.array([_status_flags(s.values()) for s in statuses])
                yield Batch(rows[index], cutouts, flags)
        lost = rows[awaited]
        if len(lost):
            log.warning("the source gave no answer for %d positions", len(lost))
            flags = np.full(len(lost), Flag.FETCH_FAILED | Flag.NO_DATA, int)
            yield Batch(lost, None, flags)


class MeasuredRows(CutoutRows):
    """
    Rows of a table with fluxes measured on cutouts from a source.

    Parameters
    ----------
    predictor : Predictor
        The model, which reads fluxes.
    coords, good, source, chunk
        As for `CutoutRows`.

    Attributes
    ----------
    bands : tuple of Band or None
        What is asked for, if that is not the model's choice.
    bands_used : ndarray or None
        Whether each of ``bands`` was observed, shape (n, n_band), filled in as the
        rows come.
    finds_bands : bool
        Whether ``bands_used`` is filled in so, and to be kept with what is finished.
    """

    def __init__(self, predictor, coords, good, source, chunk):
        bands, self._predictor = predictor.card.bands, predictor
        if not bands:
            bands = getattr(source, "bands", None) or list_bands()
            # the same photons in two surveys' images are no two measurements
            bands = {band.sedpy_name: band for band in reversed(bands)}.values()
            nothing = predictor.measure([], bands=bands)
            self.bands = predictor.card.spec.read(nothing).bands
            self.bands_used = np.zeros((len(good), len(self.bands)), bool)
            self.finds_bands = True
        super().__init__(coords, good, source, bands, chunk)

    def batches(self, rows):
        """
        Yield rows as their cutouts come, measured.

        Parameters
        ----------
        rows : ndarray of int
            Which rows.

        Yields
        ------
        Batch
            As `CutoutRows`.
        """
        for batch in super().batches(rows):
            if batch.data is None:
                yield batch
                continue
            table = self._predictor.measure(batch.data, bands=self.bands)
            fluxes = self._predictor.card.spec.read(table)
            if self.bands is not None:
                self.bands_used[batch.rows] = fluxes.observed
            flags = batch.flags | self._predictor.measured_flags(table)
            yield Batch(batch.rows, fluxes, flags)


def _status_flags(statuses):
    flags = 0
    for status in statuses:
        if status.state == "no_coverage":
            flags |= int(Flag.OUT_OF_FOOTPRINT)
        elif status.state == "failed":
            flags |= int(Flag.FETCH_FAILED)
    return flags


def _check_source(source):
    if source is None:
        from mantis_astro.services import SurveyCutouts

        return SurveyCutouts()  # logs its plan first: hosts, requests, minutes
    if not isinstance(source, CutoutSource):
        msg = (
            "'source' must have a method iter_cutouts(coords, bands), as FitsFolder or "
            f"CutoutStore have, got {type(source)}"
        )
        raise TypeError(msg)
    return source


def fingerprint(columns):
    """
    Fingerprint numbers.

    Parameters
    ----------
    columns : iterable
        Columns, arrays or numbers; what is no number is left out, and what is masked
        counts as NaN.

    Returns
    -------
    str
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256()
    for column in columns:
        values = np.ma.asarray(getattr(column, "unmasked", column))
        if values.dtype.kind in "iuf":
            mask = getattr(column, "mask", False)
            values = np.ma.array(values, float, mask=mask).filled(np.nan)
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]
