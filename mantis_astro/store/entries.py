"""Additions to a store: cutouts of one object, prepared and written to disk."""

import zlib
from dataclasses import dataclass

from mantis_astro.bands import get_band
from mantis_astro.store.blobs import encode_cutout
from mantis_astro.store.keys import name_position, normalise_key
from mantis_astro.store.manifest import write_end
from mantis_astro.store.objects import settle_object

__all__ = ["Entry", "make_entry", "write_entries"]


@dataclass(frozen=True)
class Entry:
    """
    Cutouts of one object, ready to be written.

    Attributes
    ----------
    key : str or None
        Name of the object; None if it goes by its position.
    position : tuple of float
        ICRS right ascension and declination, degrees.
    records : dict of Band to bytes
        Images.
    empty : dict of Band to CutoutStatus
        Bands in which the survey never looked there.
    """

    key: str | None
    position: tuple
    records: dict
    empty: dict


def make_entry(key, coord, cutouts, statuses=None, *, compress=False):
    """
    Make cutouts ready to be written.

    Parameters
    ----------
    key : str, int or None
        Name of the object; None for its position.
    coord : `~astropy.coordinates.SkyCoord`
        Position, a scalar.
    cutouts : mapping of Band or str to `~astropy.nddata.CCDData`
        Images.
    statuses : mapping of Band or str to CutoutStatus, optional
        How each band ended.
    compress : bool, optional
        Whether to compress the pixels.

    Returns
    -------
    Entry
        Ready to be written; empty if nothing of it is to be kept.

    Raises
    ------
    ValueError
        If the position is not finite, or a band is ok without an image.
    """
    position = float(coord.icrs.ra.deg), float(coord.icrs.dec.deg)
    name = name_position(*position)  # of the record, if the object has none of its own
    key = None if key is None else normalise_key(key)
    cutouts = {get_band(band): cutout for band, cutout in cutouts.items()}
    records = {
        band: encode_cutout(
            cutout, key or name, band, position=position, compress=compress
        )
        for band, cutout in cutouts.items()
    }
    empty = _bands_without_coverage(statuses or {}, cutouts)
    return Entry(key, position, records, empty)


def write_entries(entries, execute, segments):
    """
    Write entries within a transaction: pixels to disk first, then their places.

    Parameters
    ----------
    entries : list of Entry
        What to write; entries that are empty are left out.
    execute : callable
        Of `Manifest.transaction`.
    segments : Segments
        Files of pixels.

    Returns
    -------
    list of str
        The names under which the objects are kept.

    Raises
    ------
    ValueError
        If a key belongs to another position.
    OSError
        If the disk is full.
    """
    keys, numbers = [], []
    for entry in entries:
        if not (entry.records or entry.empty):
            keys.append(entry.key or name_position(*entry.position))
            numbers.append(None)
            continue
        found = settle_object(
            execute, segments, entry.key, entry.position, renewed=entry.records
        )
        keys.append(found.key)
        numbers.append(found.number)
    records = [record for entry in entries for record in entry.records.values()]
    segment, starts = segments.append(records) if records else (None, [])
    starts = iter(starts)
    for number, entry in zip(numbers, entries, strict=True):
        for band, status in entry.empty.items():
            execute(
                "INSERT OR IGNORE INTO cutouts (object, band, state, message) "
                "VALUES (?, ?, ?, ?)",
                [number, str(band), status.state, status.message],
            )
        for band, record in entry.records.items():
            place = (segment, next(starts), len(record), zlib.crc32(record))
            execute(
                "INSERT OR REPLACE INTO cutouts VALUES (?, ?, 'ok', '', ?, ?, ?, ?)",
                [number, str(band), *place],
            )
    if records:
        write_end(execute, segments.number, segments.end)
    return keys


def _bands_without_coverage(statuses, cutouts):
    """Return the bands to be kept as looked for and not there."""
    empty = {}
    for name, status in statuses.items():
        band = get_band(name)
        if status.is_ok and band not in cutouts:
            msg = f"the status of {band} is ok, but 'cutouts' has no image of it"
            raise ValueError(msg)
        if status.is_final and not status.is_ok and band not in cutouts:
            empty[band] = status
    return empty
