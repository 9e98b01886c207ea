"""`TileFetcher`: positions by tile, and of each tile the rows that are needed, once."""

import math
import re
from collections import Counter, OrderedDict
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mantis_astro.cutouts.planes import guess_band
from mantis_astro.cutouts.reading import UNREADABLE, make_cutout
from mantis_astro.exceptions import InputSpecError, MissingBandError
from mantis_astro.services.configuration import conf
from mantis_astro.services.fetchers import Fetcher, Foresight
from mantis_astro.services.request import HttpRequest
from mantis_astro.services.scheduler import Job
from mantis_astro.services.tiles.cutting import NativeCut, ViewerCut
from mantis_astro.services.tiles.layout import MissingBytesError, read_layout
from mantis_astro.services.tiles.parts import read_part, unpack
from mantis_astro.services.validation import (
    BadAnswerError,
    bad_fraction,
    check_image,
    is_covered,
)

__all__ = ["TileFetcher"]

_HEAD = 1 << 18  # bytes: header, and the table of compressed tiles, of a skycell
_LONGEST_FILE = 1 << 30  # bytes; tiles of these surveys have 0.02 to 0.1 of it
_LONGEST_RANGE = 1 << 23  # bytes that ranges are joined up to
_LAYOUTS = 64  # headers of tiles that are remembered
_GZIP = b"\x1f\x8b"


class TileFetcher(Fetcher):
    """
    Reads tiles for many objects at a time.

    Of the tiles that show a position the one in which it lies deepest is read first;
    where that is missing, broken or does not cover the cutout, the next one.

    Parameters
    ----------
    service : TileServiceClass
        Describes the tiles.
    engine, settle, size, pixel_scale, rest
        As for `Fetcher`.
    """

    def __init__(self, service, engine, settle, *, size, pixel_scale, rest=None):
        super().__init__(
            service, engine, settle, size=size, pixel_scale=pixel_scale, rest=rest
        )
        self._tiles = self.service.tiles
        self._cache = self.service.open_cache()
        self._counts = None  # number of a tile -> objects of the whole table on it
        self._waiting = {}  # address -> (tile, what is wanted of it)
        self._readings = {}  # address -> reading whose head is not here yet
        self._layouts = OrderedDict()
        self._broken = {}  # address -> why

    def prepare(self, ra, dec):
        """
        Process all positions of a table before the first request.

        Parameters
        ----------
        ra, dec : `~numpy.ndarray` of float
            ICRS degrees, shape (n,); NaN for none.

        Returns
        -------
        `~numpy.ndarray` of int
            The tile of each, by which they are best put in order.
        """
        numbers = self._numbers(ra, dec)
        self._counts = Counter(numbers.tolist())
        return numbers

    def foresee(self, ra, dec, bands, positions_per_list):  # noqa: ARG002
        """
        Estimate requests and bytes of positions.

        Parameters
        ----------
        ra, dec : `~numpy.ndarray` of float
            ICRS degrees, all different, shape (n,).
        bands : tuple of Band
            Bands wanted.
        positions_per_list : int
            Not used.

        Returns
        -------
        Foresight
            Requests at least, bytes about, and which positions are left to others.
        """
        numbers = self._numbers(ra, dec)
        found, first, counts = np.unique(numbers, return_index=True, return_counts=True)
        dense = (counts >= self.service.least) & (found >= 0)
        n_requests, n_bytes = 0, 0.0
        for band in bands:
            tiles = self._tiles.find(ra[first[dense]], dec[first[dense]], band)
            for some, count in zip(tiles, counts[dense], strict=True):
                if some:
                    share = min(self.shape[0] / some[0].shape[0], 1.0)
                    rows = (1 - (1 - share) ** count) * some[0].n_bytes
                    n_requests += 1 + min(count, math.ceil(rows / _LONGEST_RANGE))
                    n_bytes += _HEAD + rows
        left = ~np.isin(numbers, found[dense])
        return Foresight(n_requests, n_bytes, left)

    def image_url(self, ra, dec, bands, file):
        """
        Return the address of the tile of a position.

        Parameters
        ----------
        ra, dec : float
            ICRS degrees.
        bands : tuple of Band
            Bands wanted.
        file : StackFile or None
            The tile that an image came from.

        Returns
        -------
        str
            The address; empty if no tile shows the position.
        """
        if file is not None:
            return file.filename
        [tiles] = self._tiles.find([ra], [dec], bands[0])
        return tiles[0].url if tiles else ""

    def fetch(self, targets, bands):
        """
        Submit the requests for bands of objects.

        Parameters
        ----------
        targets : list
            Objects, with ``ra`` and ``dec`` in degrees.
        bands : tuple of Band
            Bands wanted.
        """
        ra = np.array([target.ra for target in targets])
        dec = np.array([target.dec for target in targets])
        numbers = self._numbers(ra, dec)
        counts = self._counts or Counter(numbers.tolist())
        for band in bands:
            found = self._tiles.find(ra, dec, band)
            for target, number, tiles in zip(targets, numbers, found, strict=True):
                if tiles and counts[int(number)] < self.service.least:
                    count = counts[int(number)]
                    error = LookupError(f"only {count} objects are on {tiles[0].url}")
                    self._settle(target, band, error, None)
                else:
                    self._try_next(_Want(target, band, tiles))
        self._go_on()

    def _numbers(self, ra, dec):
        """Return the tile of each position by number; the first band stands for all."""
        good = np.isfinite(ra) & np.isfinite(dec)
        numbers = np.full(len(ra), -1)
        band = self.service.survey.bands[0]
        numbers[good] = self._tiles.number(ra[good], dec[good], band)
        return numbers

    def _try_next(self, want):
        """Queue for the next tile; settle what is wanted if there is none."""
        while want.tiles:
            tile = want.tiles.pop(0)
            if tile.url not in self._broken:
                self._waiting.setdefault(tile.url, (tile, []))[1].append(want)
                return
            want.error = self._broken[tile.url]
        outcome = want.best
        if not want.was_shown and want.error is None:
            outcome = LookupError("no tile that is known here shows the position")
        if want.error is not None and not is_covered(want.best):
            outcome = want.error  # the tile that failed may be the better one
        self._settle(want.target, want.band, outcome, want.file)

    def _go_on(self):
        """Read the tiles that something waits for, then let others go on."""
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            for url, (tile, wants) in waiting.items():
                if url in self._readings:  # its head is on the way
                    self._readings[url].wants += wants
                else:
                    self._readings[url] = _Reading(self, tile, wants)
                    self._readings[url].advance()
        self._rest()

    def take(self, want, tile, outcome):
        """
        Record the result of a tile, and try the next if it is incomplete.

        Parameters
        ----------
        want : _Want
            What was wanted.
        tile : Tile
            The tile.
        outcome : object
            An image, None or an exception.
        """
        if isinstance(outcome, Exception):
            want.error = outcome
        else:
            want.was_shown = True
            if bad_fraction(outcome) < bad_fraction(want.best):
                want.best, want.file = outcome, tile.file
        if is_covered(want.best):
            want.tiles.clear()
        self._try_next(want)

    def give_up(self, tile, wants, error):
        """
        Record that a tile cannot be used.

        Parameters
        ----------
        tile : Tile
            The tile.
        wants : list of _Want
            What was wanted of it.
        error : Exception
            Why.
        """
        self._broken[tile.url] = error
        self._readings.pop(tile.url, None)
        for want in wants:
            self.take(want, tile, error)

    def note_head(self, url):
        """
        Record that the header of a file has arrived.

        Parameters
        ----------
        url : str
            The file.
        """
        self._readings.pop(url, None)

    def layout(self, url, read):
        """
        Return the layout of a file, remembered or read.

        Parameters
        ----------
        url : str
            The file.
        read : callable
            Reads the layout and the size of the file.

        Returns
        -------
        tuple
            What ``read`` returns.
        """
        if url not in self._layouts:
            self._layouts[url] = read()
            if len(self._layouts) > _LAYOUTS:
                self._layouts.popitem(last=False)
        self._layouts.move_to_end(url)
        return self._layouts[url]

    def kept(self, url, start, stop):
        """
        Return cached bytes of a file; files on this machine are not cached.

        Parameters
        ----------
        url : str
            The file.
        start, stop : int
            Which.

        Returns
        -------
        tuple of (bytes, int) or None
            The bytes, and the size of the file.
        """
        return self._cache.get(url, start, stop) if "://" in url else None

    def keep(self, url, start, content, total):
        """
        Keep bytes of a file that proved good.

        Parameters
        ----------
        url : str
            The file.
        start : int
            Where they begin.
        content : bytes
            The bytes.
        total : int
            Size of the file.
        """
        if "://" in url:
            self._cache.put(url, start, content, total)

    def forget(self, url):
        """
        Drop the state of a file.

        Parameters
        ----------
        url : str
            The file.
        """
        self._layouts.pop(url, None)
        self._cache.drop(url)

    def cut(self, layout, want):
        """
        Return the rows of a tile that are needed, and the cut to make.

        Parameters
        ----------
        layout : object
            Of the tile.
        want : _Want
            What is wanted.

        Returns
        -------
        NativeCut or ViewerCut
            Has ``rows`` and ``take``.
        """
        make = NativeCut if self.service.keeps_pixels else ViewerCut
        return make(layout.wcs, layout.shape, self.expect(want.target, want.band))

    def send(self, http, accept, done):
        """
        Send a request, then read waiting ones.

        Parameters
        ----------
        http : HttpRequest
            What is sent.
        accept, done : callable
            As of a `Job`.
        """

        def finish(outcome):
            done(outcome)
            self._go_on()

        self._engine.submit(Job(http, accept, finish, is_whole=lambda _: False))


class _Want:
    """One band of one position, and the tiles that show it."""

    __slots__ = ("band", "best", "error", "file", "target", "tiles", "was_shown")

    def __init__(self, target, band, tiles):
        self.target = target
        self.band = band
        self.tiles = list(tiles)
        self.best = self.error = self.file = None
        self.was_shown = False


class _Reading:
    """What is read of one tile for some objects: its head, then rows of pixels."""

    def __init__(self, fetcher, tile, wants):
        self._fetcher = fetcher
        self._tile = tile
        self._url = tile.url
        self.wants = wants
        self._pieces = {}  # start -> bytes
        self._total = None
        self._is_packed = re.search(r"\.gz$", tile.url) is not None
        self._is_kept = False  # whether anything came from the cache

    def advance(self):
        """Go on: find the image in the file, then ask for its rows."""
        try:
            layout, total = self._fetcher.layout(self._url, self._read_layout)
            self._total = total
            blocks = self._blocks(layout)
        except MissingBytesError as missing:
            self._ask(missing.start, missing.start + _HEAD, self._got_head)
        except (BadAnswerError, *UNREADABLE) as error:
            self._fail(error)
        else:
            self._fetcher.note_head(self._url)
            self._ask_rows(layout, blocks)

    def _got_head(self, outcome):
        if isinstance(outcome, Exception):
            self._fetcher.give_up(self._tile, self.wants, outcome)
        else:
            self.advance()

    def _fail(self, error):
        """Ask the server, if what was kept is no good; then give the tile up."""
        self._fetcher.forget(self._url)
        self._pieces.clear()
        if self._is_kept:
            self._is_kept = False
            self.advance()
            return
        if not isinstance(error, BadAnswerError):
            error = BadAnswerError(f"the file is broken ({error!r})")
        self._fetcher.give_up(self._tile, self.wants, error)

    def _read_layout(self):
        layout = read_layout(self._read, hdu=self._tile.hdu)
        if layout.end > self._total:
            msg = (
                f"the file is cut short: it has {self._total:,} bytes, and its header "
                f"promises {layout.end:,}"
            )
            raise BadAnswerError(msg)
        band = self.wants[0].band
        try:
            told = guess_band(layout.header, self._url)
        except MissingBandError as error:
            raise BadAnswerError(str(error)) from error
        if told not in (None, band):
            msg = f"the file is an image of {told}, not of {band}"
            raise BadAnswerError(msg)
        return layout, self._total

    def _blocks(self, layout):
        """Group what is wanted by rows of pixels, each row in one group."""
        cuts = [(want, self._fetcher.cut(layout, want)) for want in self.wants]
        blocks = []
        for want, cut in cuts:
            if cut.rows == (0, 0):
                msg = f"{self._url} does not show the position, as was expected"
                self._fetcher.take(want, self._tile, BadAnswerError(msg))
        cuts = [(want, cut) for want, cut in cuts if cut.rows != (0, 0)]
        for want, cut in sorted(cuts, key=lambda pair: pair[1].rows):
            first, stop = cut.rows
            if blocks and first < blocks[-1].stop:
                blocks[-1].stop = max(blocks[-1].stop, stop)
                blocks[-1].pairs.append((want, cut))
            else:
                blocks.append(_Block(first, stop, [(want, cut)]))
        for block in blocks:
            block.span = layout.span(block.first, block.stop)
        return blocks

    def _ask_rows(self, layout, blocks):
        for some in _join(blocks):
            start = min(block.span[0] for block in some)
            stop = max(block.span[1] for block in some)
            self._ask(
                start,
                stop,
                partial(self._got_rows, some),
                partial(self._cut_all, layout, some),
            )
        self._pieces.clear()  # each range of rows comes with its own bytes

    def _got_rows(self, blocks, outcome):
        self._pieces.clear()
        for block in blocks:
            for want, _ in block.pairs:
                failed = isinstance(outcome, Exception)
                result = outcome if failed else outcome[id(want)]
                self._fetcher.take(want, self._tile, result)

    def _cut_all(self, layout, blocks):
        """Images of all that is wanted of some rows, which are at hand."""
        images = {}
        for block in blocks:
            content = self._read(*block.span)
            try:
                top, array = layout.decode(content, block.first, block.stop)
            except Exception as error:  # whatever broken bytes do to a decoder
                rows = f"rows {block.first} to {block.stop}"
                msg = f"{rows} of the file cannot be decoded ({error!r})"
                raise BadAnswerError(msg, lasting=True) from error
            for want, cut in block.pairs:
                try:
                    image = self._make_image(layout, want, *cut.take(array, top))
                except (BadAnswerError, InputSpecError) as error:
                    image = error
                images[id(want)] = image
        return images

    def _make_image(self, layout, want, data, wcs):
        request = self._fetcher.expect(want.target, want.band)
        image = make_cutout(data, layout.facts, want.band, name=self._url)
        image.wcs = wcs
        return check_image(
            image, want.band, replace(request, http=HttpRequest(self._url))
        )

    def _read(self, start, stop):
        for begin, content in self._pieces.items():
            end = begin + len(content)
            if begin <= start and (stop <= end or end == self._total):
                return content[start - begin : stop - begin]
        raise MissingBytesError(start, stop)

    def _ask(self, start, stop, done, use=lambda: None):
        """Fetch bytes, from the cache if it has them, and pass them to ``use``."""
        if self._is_packed:
            start, stop = 0, _LONGEST_FILE
        kept = self._fetcher.kept(self._url, start, stop)
        try:
            if kept is None:
                self._read(start, stop)  # a small file came with its head
            else:
                self._is_kept = True
                self._keep(start, *kept)
            outcome = use()
        except MissingBytesError:
            pass
        except BadAnswerError:
            self._fetcher.forget(self._url)
        else:
            done(outcome)
            return
        accept = partial(self._accept, start, stop, use)
        headers = {"Accept-Encoding": "identity"}  # ranges of packed bytes are no use
        if not self._is_packed:
            headers["Range"] = f"bytes={start}-{stop - 1}"
        http = HttpRequest(self._url, max_bytes=_LONGEST_FILE, headers=headers)
        self._fetcher.send(http, accept, done)

    def _accept(self, start, stop, use, answer):
        begin, content, total = read_part(answer, start, stop)
        if begin == 0 and content.startswith(_GZIP) and len(content) < total:
            self._is_packed = True  # the whole is asked for next
            return None
        self._keep(begin, content, total)
        outcome = use()
        self._fetcher.keep(self._url, begin, content, total)
        return outcome

    def _keep(self, begin, content, total):
        if begin == 0 and content.startswith(_GZIP):
            self._is_packed = True
            content = unpack(content, _LONGEST_FILE)
            total = len(content)
        if self._total not in (None, total):
            self._fetcher.forget(self._url)
            msg = f"the file changed: it had {self._total:,} bytes and has {total:,}"
            raise BadAnswerError(msg)
        self._total = total
        self._pieces[begin] = content


@dataclass
class _Block:
    """Rows of a tile, and what is cut from them."""

    first: int
    stop: int
    pairs: list
    span: tuple = (0, 0)


def _join(blocks):
    """Put blocks together between which there are few bytes."""
    joined = []
    for block in sorted(blocks, key=lambda block: block.span):
        if joined:
            start, stop = joined[-1][0].span[0], joined[-1][-1].span[1]
            gap, length = block.span[0] - stop, block.span[1] - start
            if gap <= 0 or (gap <= conf.tile_gap_bytes and length <= _LONGEST_RANGE):
                joined[-1].append(block)
                continue
        joined.append([block])
    return joined
