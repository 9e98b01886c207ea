"""README file of a store, for people without this package."""

__all__ = ["README"]

README = """\
A store of astronomical cutouts, written by mantis_astro (format version 1).

manifest.sqlite   an SQLite database. Table "objects": key, ICRS ra and dec in degrees.
                  Table "cutouts": for each object and band its state, "ok" or
                  "no_coverage" (the survey never looked there), and where its record
                  lies: number of the pixel file, first byte, length, CRC-32.
pixels-NNNNN.bin  records, one after the other. A record is one line of JSON and then
                  its arrays. The JSON has key (the name when it was written), ra, dec,
                  band, unit, wcs (the numbers of a FITS WCS; or "header", a FITS
                  header), meta, for each array dtype, shape, start (counted from the
                  end of the line) and length in bytes, and the CRC-32 of what follows
                  the line. Records that were written together end with a line
                  {"batch": how many}. Lines begin at multiples of 64 bytes, so that
                  records can be found without the manifest.
                  dtype is NumPy's; "bits" is one bit a pixel, highest bit first, 1 =
                  bad. With filter "shuffle+zlib" the bytes were transposed so that the
                  first bytes of all numbers come first, then compressed with zlib.
writer.lock       locked while a process writes; may be ignored.

To read one image with Python:

    import json, sqlite3
    import numpy as np

    db = sqlite3.connect("manifest.sqlite")
    segment, start, length = db.execute(
        "SELECT segment, start, length FROM cutouts JOIN objects ON id = object "
        "WHERE key = ? AND band = ? AND state = 'ok'", ("some key", "ps1.g")
    ).fetchone()
    with open(f"pixels-{segment:05d}.bin", "rb") as file:
        file.seek(start)
        line, _, arrays = file.read(length).partition(b"\\n")
    facts = json.loads(line)
    data = facts["arrays"]["data"]
    image = np.frombuffer(
        arrays, data["dtype"], np.prod(data["shape"]), data["start"]
    ).reshape(data["shape"])

Copy a store while nobody writes to it.
"""
