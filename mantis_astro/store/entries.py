"""What is added to a store: one object's cutouts, made ready and put on disk."""

import zlib
from dataclasses import dataclass

import numpy as np
from astropy.coordinates import angular_separation

from mantis_astro.bands import get_band
from mantis_astro.store.blobs import encode_cutout
from mantis_astro.store.keys import find_cell, normalise_key, position_key

__all__ = ["Entry", "make_entry", "write_entries"]

_SAME_OBJECT = 1.0  # arcsec


@dataclass(frozen=True)
class Entry:
    """
    Cutouts of one object, ready to be written.

    Attributes
    ----------
    key : str
        Name of the object.
    ra, dec : float
        ICRS position, degrees.
    cell : tuple of int
        The same in steps of 0.01 arcsec.
    records : dict of Band to bytes
        Images.
    empty : dict of Band to CutoutStatus
        Bands in which the survey never looked there.
    """

    key: str
    ra: float
    dec: float
    cell: tuple
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
    ra, dec = float(coord.icrs.ra.deg), float(coord.icrs.dec.deg)
    cell = find_cell(ra, dec)
    key = position_key(coord) if key is None else normalise_key(key)
    cutouts = {get_band(band): cutout for band, cutout in cutouts.items()}
    records = {
        band: encode_cutout(cutout, key, band, compress=compress)
        for band, cutout in cutouts.items()
    }
    empty = _bands_without_coverage(statuses or {}, cutouts)
    return Entry(key, ra, dec, cell, records, empty)


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

    Raises
    ------
    ValueError
        If a key belongs to another position.
    OSError
        If the disk is full.
    """
    entries = [entry for entry in entries if entry.records or entry.empty]
    numbers = [_object_number(execute, entry) for entry in entries]
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


def _object_number(execute, entry):
    """Return the row of an object, a new one if need be."""
    found = execute(
        "SELECT id, ra, dec FROM objects WHERE key = ?", [entry.key]
    ).fetchone()
    if found is None:
        return execute(
            "INSERT INTO objects (key, ra, dec, cell_ra, cell_dec) "
            "VALUES (?, ?, ?, ?, ?)",
            [entry.key, entry.ra, entry.dec, *entry.cell],
        ).lastrowid
    number, ra, dec = found
    radians = np.radians([ra, dec, entry.ra, entry.dec])
    distance = np.degrees(angular_separation(*radians)) * 3600
    if distance > _SAME_OBJECT:
        msg = (
            f"key {entry.key!r} is the object at {ra:.6f} {dec:+.6f}, {distance:.1f} "
            f"arcsec from 'coord' {entry.ra:.6f} {entry.dec:+.6f}; give each object a "
            "key of its own"
        )
        raise ValueError(msg)
    return number
