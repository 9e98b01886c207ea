"""`Ledger`: result of each band of each object, in a few bytes each."""

from dataclasses import dataclass, field

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from mantis_astro.cutouts import NO_COVERAGE, OK, failed
from mantis_astro.services.addresses import Addresses
from mantis_astro.services.stack_list import StackFile

__all__ = ["Ledger", "StillMissing"]

_PENDING, _OK, _NO_COVERAGE, _FAILED = range(4)
_NAMES = np.array(["pending", "ok", "no_coverage", "failed"])
_CELLS = 1000  # larger than any number of a skycell within its projection cell


@dataclass(frozen=True)
class StillMissing:
    """
    Missing objects of a download, to be passed to the next one.

    Unpacks into coordinates and bands: ``source.iter_cutouts(*source.failed())``.

    Attributes
    ----------
    coords : `~astropy.coordinates.SkyCoord`
        Positions of the objects that lack a band, shape (m,).
    bands : tuple of Band
        Bands that are lacking, of one object or another.
    index : `~numpy.ndarray` of int
        Index of each into the coordinates first asked for.
    """

    coords: SkyCoord
    bands: tuple
    index: np.ndarray = field(repr=False)

    def __iter__(self):
        return iter((self.coords, self.bands))

    def __len__(self):
        return len(self.index)


class Ledger:
    """
    Result of each band of each object.

    Two bytes for a state and its source and four for a skycell, whatever the length of
    the table; addresses are made again when they are asked for.

    Parameters
    ----------
    coords : `~astropy.coordinates.SkyCoord`
        Positions, shape (n,).
    bands : tuple of Band
        Bands.
    """

    def __init__(self, coords, bands):
        self.coords = coords
        self.bands = bands
        self._column = {band: j for j, band in enumerate(bands)}
        shape = (len(coords), len(bands))
        self._states = np.full(shape, _PENDING, dtype=np.uint8)
        self._sources = np.zeros(shape, dtype=np.uint8)
        self._local = np.zeros(shape, dtype=bool)
        self._cells = np.full(shape, -1, dtype=np.int32)
        self._template = {}  # band -> name of a file, with blanks for its skycell
        self._messages = {}
        self._odd_files = {}

    def note(self, index, band, status, *, file=None, source=0):
        """
        Record the result of a band.

        Parameters
        ----------
        index : int
            The object.
        band : Band
            The band.
        status : CutoutStatus
            How it ended.
        file : StackFile, optional
            Stack that the image came from.
        source : int, optional
            Number of the service that answered, in the survey's order of preference.
        """
        cell = index, self._column[band]
        self._states[cell] = _codes[status.state]
        self._sources[cell] = source
        if status.message:
            self._messages[cell] = status.message
        if file is not None:
            self._note_file(cell, band, file)

    def note_local(self, index, bands):
        """
        Record that some bands are in the store.

        Parameters
        ----------
        index : int
            The object.
        bands : iterable of Band
            The bands.
        """
        self._local[index, [self._column[band] for band in bands]] = True

    def status(self, index, band):
        """
        Return the status of a band.

        Parameters
        ----------
        index : int
            The object.
        band : Band
            The band.

        Returns
        -------
        CutoutStatus or None
            None while it is pending.
        """
        cell = index, self._column[band]
        code = self._states[cell]
        if code == _FAILED:
            return failed(self._messages[cell])
        return {_OK: OK, _NO_COVERAGE: NO_COVERAGE}.get(code)

    def counts(self):
        """
        Count the bands in each state.

        Returns
        -------
        dict of str to int
            Numbers by ``"ok"``, ``"no_coverage"``, ``"failed"``, ``"pending"``.
        """
        numbers = np.bincount(self._states.ravel(), minlength=len(_NAMES))
        return dict(zip(_NAMES.tolist(), numbers.tolist(), strict=True))

    def missing(self):
        """
        Return bands that failed or were not reached.

        Returns
        -------
        StillMissing
            Coordinates and bands to ask for again.
        """
        lacking = (self._states == _FAILED) | (self._states == _PENDING)
        index = np.flatnonzero(lacking.any(axis=1))
        bands = tuple(
            band
            for band, any_ in zip(self.bands, lacking.any(axis=0), strict=True)
            if any_
        )
        # with no position left, any band can be asked for and costs nothing
        return StillMissing(self.coords[index], bands or tuple(self.bands), index)

    def to_table(self, make_url, path):
        """
        Make a table with a row for each object and band.

        Parameters
        ----------
        make_url : callable
            ``make_url(ra, dec, band, file, source)``: the address of an image.
        path : str
            Where local copies are.

        Returns
        -------
        `~astropy.table.Table`
            Columns ``Local Path``, ``Status``, ``Message`` and ``URL`` as of
            `astroquery.mast`, then ``object`` (index) and ``band``.
        """
        n, n_band = self._states.shape
        ra, dec = self.coords.icrs.ra.deg, self.coords.icrs.dec.deg
        address = Addresses(make_url)
        urls = [
            address(ra[i], dec[i], band, self._file((i, j)), int(self._sources[i, j]))
            for i in range(n)
            for j, band in enumerate(self.bands)
        ]
        messages = np.array(["", *self._messages.values()])
        which = np.zeros((n, n_band), np.intp)
        for number, cell in enumerate(self._messages, start=1):
            which[cell] = number
        columns = {
            "Local Path": np.array(["", path])[self._local.ravel().astype(int)],
            "Status": _NAMES[self._states.ravel()],
            "Message": messages[which.ravel()],
            "URL": np.array(urls, dtype=str),
            "object": np.repeat(np.arange(n), n_band),
            "band": np.tile([str(band) for band in self.bands], n),
        }
        return Table(columns, copy=False)

    def _note_file(self, cell, band, file):
        template = self._template.setdefault(band, _blank_cell(file))
        if _fill_cell(template, file.projcell, file.subcell) == file.filename:
            self._cells[cell] = file.projcell * _CELLS + file.subcell
        else:
            self._odd_files[cell] = file

    def _file(self, cell):
        if cell in self._odd_files:
            return self._odd_files[cell]
        if self._cells[cell] < 0:
            return None
        projcell, subcell = (int(n) for n in divmod(self._cells[cell], _CELLS))
        template = self._template[self.bands[cell[1]]]
        return StackFile(projcell, subcell, _fill_cell(template, projcell, subcell))


_codes = {"ok": _OK, "no_coverage": _NO_COVERAGE, "failed": _FAILED}


def _blank_cell(file):
    name = file.filename.replace(f"{file.projcell:04d}", "\0")
    return name.replace(f"{file.subcell:03d}", "\1")


def _fill_cell(template, projcell, subcell):
    return template.replace("\0", f"{projcell:04d}").replace("\1", f"{subcell:03d}")
