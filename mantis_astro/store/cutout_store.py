"""`CutoutStore`: the cutouts of many objects on disk."""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote, unquote

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from mantis_astro.bands import get_band, get_bands, list_bands
from mantis_astro.cutouts import (
    NO_COVERAGE,
    OK,
    CutoutStatus,
    FitsFolder,
    MultibandCutout,
    failed,
)
from mantis_astro.cutouts.source import STORE_MANIFEST
from mantis_astro.exceptions import FetchError
from mantis_astro.store.blobs import decode_cutout
from mantis_astro.store.entries import make_entry, write_entries
from mantis_astro.store.keys import (
    SAME_OBJECT,
    check_keys,
    describe_clash,
    normalise_key,
    separation,
)
from mantis_astro.store.manifest import (
    Manifest,
    WriterLock,
    set_aside_if_damaged,
    write_end,
)
from mantis_astro.store.objects import (
    Object,
    find_at,
    find_by_key,
    put_back,
    settle_object,
)
from mantis_astro.store.readme import README
from mantis_astro.store.segments import Segments

if TYPE_CHECKING:
    from astropy.nddata import CCDData

    from mantis_astro.bands import Band, BandLike
    from mantis_astro.cutouts.source import CutoutResult
    from mantis_astro.typing import PathLike

__all__ = ["CutoutStore"]

log = logging.getLogger(__name__)

# Files of a store whose manifest is lost.
_OURS = re.compile(r"writer\.lock|README\.txt|pixels-\d+\.bin|manifest\.sqlite.+")


class CutoutStore:
    """
    The cutouts of many objects on disk.

    A folder with a manifest (SQLite), a few large files of pixels that are only
    appended to, and a README that says how to read them without this package. Any
    number of processes may read while one writes. What `add` has returned from is on
    the disk whatever happens next; what it has not returned from is there as a whole or
    not at all. Every read is checked against a checksum.

    An object is one thing by its name and by its position: what was added without a
    name gets the name under which it is added to later (see `name_objects`), and what
    was added with a name is found, and added to, by position.

    Parameters
    ----------
    path : str or path-like
        The folder.
    mode : {"r", "a"}, optional
        ``"r"`` reads a store that exists; ``"a"`` also adds to it, and makes it if
        there is none.
    compress : bool, optional
        Whether to compress the pixels that are added, without loss. Survey images are
        noise: it saves about an eighth and makes reading several times slower.

    Raises
    ------
    OSError
        FileNotFoundError if there is no store to read; BlockingIOError if another
        process (or object) has it open for writing and ``mode`` is ``"a"``.
    ValueError
        If the folder holds something else.

    Notes
    -----
    Why not zarr: its unit is a file per chunk, or a shard that is written in one go,
    and neither a commit over several arrays nor a lock comes with it. Here SQLite's
    write-ahead log gives both, and pixels stay out of it, in plain arrays, so that the
    database remains small. The order of writing is pixels, fsync, commit.

    While a store is being written, its readers must be on the same machine (the log
    is shared memory); once it is closed, they may be anywhere.

    Records of pixels say what they are. If the manifest or its log is lost (a copy of
    part of the folder, a backup of another day), opening with ``"a"`` reads them and
    puts the images back; only ``no_coverage`` is forgotten, and asked for again.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.nddata import CCDData
    >>> from mantis_astro import CutoutStore
    >>> coord = SkyCoord(150.1, 2.2, unit="deg")
    >>> image = CCDData(np.ones((32, 32), dtype="f4"), unit="adu")
    >>> with CutoutStore(getfixture("tmp_path") / "galaxies", "a") as store:
    ...     store.add("NGC 1", coord, {"ps1.g": image})
    ...     print(store["NGC 1"])
    'NGC 1'
    <MultibandCutout at 150.10000 +2.20000: ps1.g 32x32 adu>
    """

    # so that close() works however far __init__ came
    _lock: Any = None
    _manifest: Any = None

    def __init__(
        self, path: PathLike, mode: Literal["r", "a"] = "r", *, compress: bool = False
    ) -> None:
        if mode not in {"r", "a"}:
            msg = f"'mode' must be 'r' (read) or 'a' (append), got {mode!r}"
            raise ValueError(msg)
        self.path = Path(path)
        self.mode = mode
        self.compress = compress
        self._segments = Segments(self.path)
        manifest = self.path / STORE_MANIFEST
        if mode == "r":
            if not manifest.is_file():
                raise FileNotFoundError(self._describe_absence())
            self._manifest = Manifest(manifest, writable=False)
            return
        self._prepare_folder(manifest)
        try:
            set_aside_if_damaged(manifest)
            self._manifest = Manifest(manifest, writable=True)
            self._recover()
        except BaseException:
            self.close()
            raise

    def _prepare_folder(self, manifest):
        if self.path.is_dir() and not manifest.exists():
            names = {file.name for file in self.path.iterdir()}
            strangers = {name for name in names if not _OURS.fullmatch(name)}
            if strangers:
                msg = (
                    f"{self.path} is not a store: it holds "
                    f"{', '.join(sorted(strangers)[:3])}; give an empty or new folder"
                )
                raise ValueError(msg)
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = WriterLock(self.path / "writer.lock")
        except BlockingIOError:
            msg = (
                f"{self.path} is open for writing{self._name_of_writer(manifest)}; "
                "open it with mode='r' to read beside it, or wait until it is closed"
            )
            raise BlockingIOError(msg) from None

    def _describe_absence(self):
        if any(self.path.glob("pixels-*.bin")):
            return (
                f"the manifest of {self.path} is lost; open the store with mode='a' "
                "once to make it anew from the pixels"
            )
        return f"no store at {self.path}; pass mode='a' to make one"

    @staticmethod
    def _name_of_writer(manifest):
        try:
            with closing(Manifest(manifest, writable=False)) as reader:
                rows = reader.fetch("SELECT value FROM store WHERE name = 'writer'")
        except (OSError, ValueError):
            return ""
        return f" by {rows[0][0]}" if rows else ""

    def _recover(self):
        """Go on where the pixels end, and put back what the manifest lost."""
        end = self._manifest.read_end()
        lost = self._segments.recover(*end)
        if lost or end != (self._segments.number, self._segments.end):
            with self._manifest.transaction() as execute:
                put_back(execute, self._segments, lost)
                write_end(execute, self._segments.number, self._segments.end)
        if lost:
            log.warning(
                "%s: the manifest lacked %d images, which were put back",
                self.path,
                len(lost),
            )
        (self.path / "README.txt").write_text(README)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()

    def __reduce__(self):
        return type(self), (self.path,)  # another process may read

    def __repr__(self):
        return f"<{type(self).__name__} {self.path} ({self.mode}): {len(self)} objects>"

    def __len__(self) -> int:
        return self._manifest.fetch("SELECT count(*) FROM objects")[0][0]

    def __contains__(self, key):
        return bool(
            self._manifest.fetch(
                "SELECT 1 FROM objects WHERE key = ?", [normalise_key(key)]
            )
        )

    def __iter__(self):
        return iter(self.keys())

    def __getitem__(self, key):
        return self.get(key)

    def close(self) -> None:
        """Close the store and let another write; the ``with`` statement does this."""
        if self._manifest is not None:
            self._manifest.close()
        if self._lock is not None:
            self._lock.release()

    def keys(self) -> list[str]:
        """
        List the objects.

        Returns
        -------
        list of str
            Their keys, in the order in which they were added.
        """
        rows = self._manifest.fetch("SELECT key FROM objects ORDER BY id")
        return [key for (key,) in rows]

    @property
    def bands(self) -> tuple[Band, ...]:
        """Names of the bands with images."""
        rows = self._manifest.fetch(
            "SELECT DISTINCT band FROM cutouts WHERE state = 'ok' ORDER BY band"
        )
        return tuple(get_band(band) for (band,) in rows)

    @property
    def coords(self) -> SkyCoord:
        """A `~astropy.coordinates.SkyCoord` of all objects, in the order of `keys`."""
        rows = self._manifest.fetch("SELECT ra, dec FROM objects ORDER BY id")
        ra, dec = np.array(rows, dtype=float).reshape(-1, 2).T
        return SkyCoord(ra, dec, unit="deg")

    def add(
        self,
        key: str | int | None,
        coord: SkyCoord,
        cutouts: Mapping[Band, CCDData] | Mapping[str, CCDData],
        statuses: Mapping[Any, CutoutStatus] | None = None,
    ) -> str:
        """
        Put cutouts of one object on disk.

        Bands may come in several calls; a band that comes again replaces what was
        there. ``no_coverage`` is kept too, unless there is an image already;
        ``failed`` is not kept, so that it is asked for again.

        Parameters
        ----------
        key : str, int or None
            Name of the object; None for its position, rounded to 0.01 arcsec.
        coord : `~astropy.coordinates.SkyCoord`
            Position, a scalar.
        cutouts : mapping of Band or str to `~astropy.nddata.CCDData`
            Images, such as a `~mantis_astro.MultibandCutout`.
        statuses : mapping of Band or str to CutoutStatus, optional
            How each band ended; needed only for bands without an image.

        Returns
        -------
        str
            The key.

        Raises
        ------
        ValueError
            If the store is open for reading, the key belongs to another position, the
            position is not finite, or a band is ok without an image.
        OSError
            If the disk is full; the store stays as it was.
        """
        return self.add_many([(key, coord, cutouts, statuses)])[0]

    def add_many(self, objects: Iterable[tuple]) -> list[str]:
        """
        Put cutouts of several objects on disk together: all of them, or none.

        Waiting for the disk once for many objects instead of once for each is what
        makes this faster than `add`.

        Parameters
        ----------
        objects : iterable of tuple
            ``(key, coord, cutouts, statuses)``, as for `add`.

        Returns
        -------
        list of str
            The keys.

        Raises
        ------
        ValueError, OSError
            As `add`.
        """
        self._require_writable()
        entries = [make_entry(*args, compress=self.compress) for args in objects]
        with self._manifest.transaction() as execute:
            return write_entries(entries, execute, self._segments)

    def check_additions(
        self, coords: SkyCoord, keys: Sequence[str | int] | None = None
    ) -> None:
        """
        Check that objects can be added, before hours are spent on fetching them.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,).
        keys : sequence of str or int, optional
            Their names.

        Raises
        ------
        TypeError
            If a name is neither text nor an integer; a masked one is neither.
        ValueError
            If the store is open for reading, there are not as many names as positions,
            or a name stands for two objects: in ``keys``, or here and there.
        """
        self._require_writable()
        if keys is None:
            return
        names = check_keys(keys, coords)
        rows = self._manifest.fetch("SELECT key, ra, dec FROM objects")
        known = {key: position for key, *position in rows}
        asked = zip(names, coords.icrs.ra.deg, coords.icrs.dec.deg, strict=True)
        for name, *position in asked:
            if name in known and separation(known[name], position) > SAME_OBJECT:
                raise ValueError(describe_clash(name, known[name], position))

    def name_objects(self, coords: SkyCoord, keys: Sequence[str | int]) -> None:
        """
        Give objects that are in the store the names and positions of a table.

        What was added without a name at one of the positions gets the name. An object
        of that name within 1 arcsec moves to the position; its images of which this is
        no longer the middle, to 1.5 pixels, are forgotten and count as missing.
        Positions at which there is nothing are passed over.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,).
        keys : sequence of str or int
            Their names.

        Raises
        ------
        TypeError, ValueError
            As `check_additions`.

        Examples
        --------
        >>> import numpy as np
        >>> from astropy.coordinates import SkyCoord
        >>> from astropy.nddata import CCDData
        >>> from mantis_astro import CutoutStore
        >>> coord = SkyCoord(150.1, 2.2, unit="deg")
        >>> image = CCDData(np.ones((32, 32), dtype="f4"), unit="adu")
        >>> with CutoutStore(getfixture("tmp_path") / "galaxies", "a") as store:
        ...     nameless = store.add(None, coord, {"ps1.g": image})
        ...     store.name_objects(coord.reshape(1), ["NGC 1"])
        ...     print(nameless, store.keys())
        150.1000000+2.2000000 ['NGC 1']
        """
        self._require_writable()
        names = check_keys(keys, coords)
        positions = np.stack([coords.icrs.ra.deg, coords.icrs.dec.deg], axis=1)
        with self._manifest.transaction() as execute:
            for name, position in zip(names, positions.tolist(), strict=True):
                if np.isfinite(position).all():
                    settle_object(
                        execute, self._segments, name, tuple(position), create=False
                    )

    def _require_writable(self):
        if not self._manifest.writable:
            msg = f"{self.path} is open for reading; open it with mode='a' to change it"
            raise ValueError(msg)

    def get(
        self, key: str | int, bands: Iterable[BandLike] | None = None
    ) -> MultibandCutout:
        """
        Read the cutouts of one object.

        Parameters
        ----------
        key : str or int
            Its name.
        bands : sequence of Band or str, optional
            Bands to read; by default all that there are.

        Returns
        -------
        MultibandCutout
            Those of the bands that have an image, as they were added; ``meta["key"]``
            is the key.

        Raises
        ------
        KeyError
            If there is no such object.
        OSError
            `~mantis_astro.exceptions.FetchError` if what is on disk is not what was
            written.
        """
        objects = self._find_key(key)
        key, *position = objects[0][1:]
        cutouts = {}
        for band, cutout in self._read(objects, bands):
            if isinstance(cutout, str):
                msg = (
                    f"{band} of {key!r} in {self.path} is damaged ({cutout}); remove() "
                    "it and fetch it again"
                )
                raise FetchError(msg)
            cutouts[band] = cutout
        coord = SkyCoord(*position, unit="deg")
        return MultibandCutout(coord, cutouts, meta={"key": key})

    def _find_key(self, key):
        """Return the object of a name, and then others at its position."""
        key = normalise_key(key)
        found = find_by_key(self._manifest.fetch, key)
        if found is None:
            msg = f"no object {key!r} among the {len(self)} of {self.path}"
            raise KeyError(msg)
        here = find_at(self._manifest.fetch, found.position)
        return [found, *(each for each in here if each != found)]

    def _read(self, objects, bands=None):
        """Yield (band, cutout), or (band, what is wrong with it), each band once."""
        wanted = None if bands is None else {str(get_band(band)) for band in bands}
        damaged, done = {}, set()
        for each in objects:
            for band, cutout in self._read_object(each, wanted, done):
                if isinstance(cutout, str):
                    damaged.setdefault(band, cutout)
                    continue
                done.add(str(band))
                yield band, cutout
        yield from ((b, fault) for b, fault in damaged.items() if str(b) not in done)

    def _read_object(self, each, wanted=None, done=()):
        """Yield (band, cutout), or (band, what is wrong with it), of one object."""
        rows = self._manifest.fetch(
            "SELECT segment, start, length, crc32, band FROM cutouts "
            "WHERE object = ? AND state = 'ok' ORDER BY segment, start",
            [each.number],
        )
        rows = [
            row
            for row in rows
            if (wanted is None or row[-1] in wanted) and row[-1] not in done
        ]
        for segment, group in groupby(rows, key=lambda row: row[0]):
            here = list(group)
            try:
                records = self._segments.read(segment, [row[1:3] for row in here])
            except OSError as error:
                records = [error] * len(here)
            for (*_, crc, band), record in zip(here, records, strict=True):
                yield get_band(band), _decode(record, crc, each, band)

    def statuses(self, key: str | int) -> dict[Band, CutoutStatus]:
        """
        Return the status of each band of one object.

        Parameters
        ----------
        key : str or int
            Its name.

        Returns
        -------
        dict of Band to CutoutStatus
            ``ok`` or ``no_coverage`` for each band that was ever added.

        Raises
        ------
        KeyError
            If there is no such object.
        """
        return self._statuses(self._find_key(key))

    def _statuses(self, objects):
        """Return the status of each band of a position; an image counts first."""
        rows = [
            row
            for each in objects
            for row in self._manifest.fetch(
                "SELECT band, state, message FROM cutouts WHERE object = ?",
                [each.number],
            )
        ]
        rows.sort(key=lambda row: row[1] != "ok")
        known = {}
        for band, state, message in rows:
            status = _STATUSES.get((state, message)) or CutoutStatus(state, message)
            known.setdefault(get_band(band), status)
        return known

    def find(self, coord: SkyCoord) -> str | None:
        """
        Return the key of the object at a position.

        Parameters
        ----------
        coord : `~astropy.coordinates.SkyCoord`
            Position, a scalar.

        Returns
        -------
        str or None
            Key of the object whose position agrees to 0.01 arcsec (the nearest, then
            the first added, if several do); None if there is none.
        """
        position = float(coord.icrs.ra.deg), float(coord.icrs.dec.deg)
        here = find_at(self._manifest.fetch, position)
        return here[0].key if here else None

    def missing(
        self,
        coords: SkyCoord,
        bands: Iterable[BandLike],
        *,
        keys: Sequence[str | int] | None = None,
    ) -> np.ndarray:
        """
        Return which bands of which objects are missing.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,).
        bands : sequence of Band or str
            Bands wanted.
        keys : sequence of str or int, optional
            Names of the objects; those that the store does not know, as by default all,
            are found by position.

        Returns
        -------
        `~numpy.ndarray` of bool
            Shape (n, n_band): True where there is neither an image nor a
            ``no_coverage``.
        """
        return self._ask(coords, bands, keys, lambda status: status is None)

    def observed(
        self,
        coords: SkyCoord,
        bands: Iterable[BandLike],
        *,
        keys: Sequence[str | int] | None = None,
    ) -> np.ndarray:
        """
        Return which bands of which objects have images.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,).
        bands : sequence of Band or str
            Bands wanted.
        keys : sequence of str or int, optional
            As for `missing`.

        Returns
        -------
        `~numpy.ndarray` of bool
            Shape (n, n_band): True where the store has an image.
        """
        return self._ask(
            coords, bands, keys, lambda status: status is not None and status.is_ok
        )

    def _ask(self, coords, bands, keys, question):
        """Answer a question to the status, or None, of each band of each position."""
        bands = [get_band(band) for band in bands]
        known = map(self._statuses, self._find_all(coords, keys))
        rows = [[question(found.get(band)) for band in bands] for found in known]
        return np.array(rows, bool).reshape(len(coords), len(bands))

    def _find_all(self, coords, keys):
        """Yield the objects of each name, if there are any, and position."""
        names = [None] * len(coords) if keys is None else list(keys)
        if len(names) != len(coords):
            msg = f"'keys' must name each of {len(coords)} objects, got {len(names)}"
            raise ValueError(msg)
        fetch = self._manifest.fetch
        ra, dec = coords.icrs.ra.deg.tolist(), coords.icrs.dec.deg.tolist()
        for name, *position in zip(names, ra, dec, strict=True):
            here = find_at(fetch, position)
            own = None if name is None else find_by_key(fetch, normalise_key(name))
            yield here if own is None else [own, *(o for o in here if o != own)]

    def iter_cutouts(
        self,
        coords: SkyCoord,
        bands: Iterable[BandLike],
        *,
        keys: Sequence[str | int] | None = None,
    ) -> Iterator[CutoutResult]:
        """
        Yield the cutouts of each position.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,); they must agree with the stored ones to 0.01 arcsec.
        bands : sequence of Band or str
            Bands wanted.
        keys : sequence of str or int, optional
            Names of the objects; those that the store does not know, as by default all,
            are found by position.

        Yields
        ------
        index : int
            Index into ``coords``, in order.
        cutouts : MultibandCutout
            The bands that are ok.
        statuses : dict of Band to CutoutStatus
            As stored; ``failed`` for what is not in the store or is damaged.
        """
        bands = get_bands(bands)
        absent = failed(f"not in {self.path}")
        for index, objects in enumerate(self._find_all(coords, keys)):
            known, cutouts = self._statuses(objects), {}
            statuses = {band: known.get(band, absent) for band in bands}
            for band, cutout in self._read(objects, bands):
                if isinstance(cutout, str):
                    statuses[band] = failed(f"damaged on disk ({cutout})")
                else:
                    cutouts[band] = cutout
            meta = {"key": objects[0].key} if objects else None
            yield index, MultibandCutout(coords[index], cutouts, meta=meta), statuses

    def remove(self, key: str | int, bands: Iterable[BandLike] | None = None) -> None:
        """
        Forget cutouts, so that they count as missing.

        Parameters
        ----------
        key : str or int
            Name of the object.
        bands : sequence of Band or str, optional
            Bands to forget; by default the whole object.

        Raises
        ------
        KeyError
            If there is no such object.
        ValueError
            If the store is open for reading.
        """
        self._require_writable()
        number = self._find_key(key)[0].number
        with self._manifest.transaction() as execute:
            if bands is None:
                execute("DELETE FROM cutouts WHERE object = ?", [number])
                execute("DELETE FROM objects WHERE id = ?", [number])
                return
            for band in bands:
                execute(
                    "DELETE FROM cutouts WHERE object = ? AND band = ?",
                    [number, str(get_band(band))],
                )

    def check(self) -> Table:
        """
        Read everything and compare it with its checksums.

        Returns
        -------
        `~astropy.table.Table`
            What is wrong: columns ``key``, ``band`` and ``problem``; no rows if all
            is well.
        """
        problems = [
            ("", "", f"manifest: {text}")
            for (text,) in self._manifest.fetch("PRAGMA integrity_check")
            if text != "ok"
        ]
        for row in self._manifest.fetch("SELECT id, key, ra, dec FROM objects"):
            each = Object(*row)
            problems += [
                (each.key, str(band), cutout)
                for band, cutout in self._read_object(each)
                if isinstance(cutout, str)
            ]
        return Table(
            rows=problems or None,
            names=("key", "band", "problem"),
            dtype=(str, str, str) if not problems else None,
        )

    def export_fits(
        self,
        folder: PathLike,
        keys: Iterable[str | int] | None = None,
        *,
        overwrite: bool = False,
    ) -> list[Path]:
        """
        Write one FITS file for each object.

        Parameters
        ----------
        folder : str or path-like
            Where to; made if needed.
        keys : iterable of str or int, optional
            Objects to write; by default all.
        overwrite : bool, optional
            Whether existing files may be replaced.

        Returns
        -------
        list of `~pathlib.Path`
            The files, named by key. `MultibandCutout.write` says what is in them.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for key in self.keys() if keys is None else map(normalise_key, keys):
            path = folder / f"{quote(key, safe=' +')}.fits"
            self.get(key).write(path, overwrite=overwrite)
            paths.append(path)
        return paths

    def import_fits(
        self,
        folder: PathLike,
        coords: SkyCoord | None = None,
        *,
        keys: Sequence[str | int] | None = None,
    ) -> list[str]:
        """
        Add images from FITS files.

        Parameters
        ----------
        folder : str or path-like
            Folder of files that `export_fits` wrote; or, with ``coords``, of any FITS
            images that `~mantis_astro.FitsFolder` can tell position and band of.
        coords : `~astropy.coordinates.SkyCoord`, optional
            Positions, shape (n,).
        keys : sequence of str or int, optional
            Names of these objects; by default their positions.

        Returns
        -------
        list of str
            Keys of the objects that were added to.

        Raises
        ------
        OSError
            If the folder does not exist or holds no image, or a file is not what
            `export_fits` writes.
        """
        self._require_writable()
        if coords is None:
            files = sorted(Path(folder).glob("*.fits"))
            if not files:
                msg = f"no file of the kind that export_fits writes is in {folder}"
                raise FileNotFoundError(msg)
            return [self._import_file(path) for path in files]
        added = []
        source = FitsFolder(folder).iter_cutouts(coords, list_bands())
        for index, cutouts, _ in source:
            if cutouts:
                key = None if keys is None else keys[index]
                added.append(self.add(key, coords[index], cutouts))
        return added

    def _import_file(self, path):
        cutouts = MultibandCutout.read(path)
        key = cutouts.meta.get("key", unquote(path.stem))
        return self.add(key, cutouts.coord, cutouts)


_STATUSES = {("ok", ""): OK, ("no_coverage", ""): NO_COVERAGE}


def _decode(record, crc, each, band):
    """Return the cutout, or what is wrong with it in words."""
    if isinstance(record, OSError):
        return f"{type(record).__name__}: {record.filename}"
    if zlib.crc32(record) != crc:
        return "its checksum does not match"
    try:
        return decode_cutout(record, each.key, band, position=each.position)
    except (ValueError, KeyError) as error:
        return str(error)
