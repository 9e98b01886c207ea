"""What the survey servers answer: the PS1 file list and cutouts, and the viewer."""

import email
import hashlib
import re
import threading
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import numpy as np
from astropy.io import fits

from mantis_astro.bands import get_band, get_survey
from mantis_astro.simulation.images import (
    GivenImages,
    MadeImages,
    fits_into,
    is_above_limit,
    survey_of_layer,
)
from mantis_astro.simulation.skycells import (
    PIXEL_SCALE,
    find_skycells,
    parse_file_name,
)

__all__ = ["Answer", "FilesProtocol", "PanstarrsProtocol", "Sky", "ViewerProtocol"]

_LIST_HEADER = "projcell subcell ra dec filter mjd type filename shortname badflag"
_VIEWER_LARGEST, _VIEWER_DEFAULT = 3000, 256


@dataclass
class Answer:
    """One HTTP answer: status, body and headers."""

    status: int = 200
    body: bytes = b""
    content_type: str = "image/fits"
    headers: dict = field(default_factory=dict)


def text_answer(status, text, content_type="text/plain"):
    """Make an answer in words."""
    return Answer(status, text.encode(), content_type)


class Sky:
    """
    The images that all protocols serve, and the memory of what was served.

    Parameters
    ----------
    images : object or None
        What `~mantis_astro.simulation.images.GivenImages` takes; None for made
        galaxies everywhere.
    seed : int
        Seed of the made galaxies.
    coverage : mapping of str to callable
        For names of surveys, ``covers(coord_ra_deg, dec_deg) -> bool``.
    """

    def __init__(self, images, seed, coverage):
        self.given = None if images is None else GivenImages(images)
        self.made = MadeImages(seed)
        self.coverage = {get_survey(name): f for name, f in (coverage or {}).items()}
        self._served = {}
        self._lock = threading.Lock()

    def covers(self, survey, ra, dec):
        """Whether a survey looked at a position."""
        if not is_above_limit(survey, dec):
            return False
        return bool(self.coverage.get(survey, lambda *_: True)(ra, dec))

    def image(self, band, ra, dec, *, shape, pixel, pixel_scale, exposure_time=None):
        """
        Return the pixels of a position and the 0-based pixel where it falls.

        Makes (array, (x, y), facts), or None where there is no image.
        """
        if not self.covers(get_survey(band.survey), ra, dec):
            return None
        if self.given is None:
            array = self.made.draw(
                band,
                ra,
                dec,
                shape=shape,
                pixel=pixel,
                pixel_scale=pixel_scale,
                exposure_time=exposure_time,
            )
            return array, pixel, {}
        with self._lock:  # a source may not be made for several threads
            cutout = self.given.find(band, ra, dec)
        if cutout is None:
            return None
        data = np.asarray(cutout.data, dtype="f4")
        if cutout.mask is not None:
            data = np.where(cutout.mask, np.nan, data)
        centre = (data.shape[1] - 1) / 2, (data.shape[0] - 1) / 2
        if cutout.wcs is not None:
            centre = cutout.wcs.wcs_world2pix([[ra, dec]], 0)[0]
        fill = 0.0 if get_survey(band.survey).service == "legacy_survey" else np.nan
        array, (x0, y0) = fits_into(data, pixel=centre, shape=shape, fill=fill)
        return array, (centre[0] - x0, centre[1] - y0), dict(cutout.meta)

    def remember(self, array, band, ra, dec):
        """Keep whose image the pixels are; blank sky is nobody's."""
        if np.any(array[np.isfinite(array)]):
            with self._lock:
                self._served[_fingerprint(array)] = (str(band), ra, dec)

    def identify(self, array):
        """Return (band, ra, dec) of the image with these pixels, or None."""
        return self._served.get(_fingerprint(array))


def _fingerprint(array):
    native = np.nan_to_num(np.asarray(array, dtype="<f4"))
    return hashlib.blake2b(native.tobytes(), digest_size=16).digest()


class PanstarrsProtocol:
    """The file list and the cutout service of ``ps1images.stsci.edu``."""

    paths = ("/cgi-bin/ps1filenames.py", "/cgi-bin/fitscut.cgi")

    def __init__(self, sky):
        self.sky = sky

    def answer(self, path, query, body, content_type):
        """Answer a request, or None if the path is not served."""
        if path == self.paths[0]:
            return self._file_list(query, body, content_type)
        if path == self.paths[1]:
            return self._cutout(query)
        return None

    def _file_list(self, query, body, content_type):
        form = {**query, **_parse_form(body, content_type)}
        try:
            positions = _positions(form)
        except (KeyError, ValueError) as error:
            return text_answer(400, f"Error: bad positions ({error})")
        survey = get_survey("ps1")
        rows = [
            f"{cell.projcell} {cell.subcell:03d} {ra:.6f} {dec:.6f} {band} 55000.0 "
            f"stack {cell.file_name(band)} {cell.file_name(band).rpartition('/')[2]} 0"
            for ra, dec in positions
            if self.sky.covers(survey, ra, dec)
            for cell in find_skycells(ra, dec)
            for band in form.get("filters", "grizy")
            if band in "grizy" and form.get("type", "stack") == "stack"
        ]
        return text_answer(200, "\n".join([_LIST_HEADER, *rows]) + "\n")

    def _cutout(self, query):
        try:
            ra, dec, size = float(query["ra"]), float(query["dec"]), int(query["size"])
            cell, letter = parse_file_name(query["red"])
            band = get_band(f"ps1.{letter}")
        except (KeyError, ValueError) as error:
            return text_answer(400, f"Error: bad request ({error})")
        x, y = cell.pixel(ra, dec)
        x0, y0 = (round(p - (size - 1) / 2) for p in (x, y))
        found = self.sky.image(
            band,
            ra,
            dec,
            shape=(size, size),
            pixel=(x - x0, y - y0),
            pixel_scale=PIXEL_SCALE,
            exposure_time=cell.exposure_time(letter),
        )
        if found is None:
            return text_answer(404, "Error: the image does not cover the position")
        array, (x_in, y_in), facts = found
        _blank_outside(array, cell, x0, y0)
        self.sky.remember(array, band, ra, dec)
        exposure_time = facts.get("exposure_time", cell.exposure_time(letter))
        header = _panstarrs_header(cell, letter, exposure_time)
        # the tangent point, in pixels of the cutout counted from 1
        header["CRPIX1"] = (x_in - x + 1, "Reference pixel shifted for cutout")
        header["CRPIX2"] = (y_in - y + 1, "Reference pixel shifted for cutout")
        header["HISTORY"] = "Created by the local sky"
        return Answer(body=_fits_bytes(array, header))


class ViewerProtocol:
    """The cutout service of the Legacy Survey viewer."""

    paths = ("/viewer/fits-cutout",)

    def __init__(self, sky):
        self.sky = sky

    def answer(self, path, query, _body, _content_type):
        """Answer a request, or None if the path is not served."""
        if path.rstrip("/") != self.paths[0]:
            return None
        if "ra" not in query or "dec" not in query:
            return text_answer(400, "<h1>Bad Request (400)</h1>", "text/html")
        survey = survey_of_layer(query.get("layer", ""))
        if survey is None:
            return text_answer(200, "no such layer")
        try:
            return self._cutout(survey, query)
        except ValueError as error:
            return text_answer(400, f"<h1>Bad Request (400)</h1> {error}", "text/html")

    def _cutout(self, survey, query):
        ra, dec = float(query["ra"]), float(query["dec"])
        size = int(query.get("size", _VIEWER_DEFAULT))
        nx, ny = (
            min(int(query.get(side, size)), _VIEWER_LARGEST)
            for side in ("width", "height")
        )
        native = survey.pixel_scale.to_value("arcsec")
        scale = float(query.get("pixscale", native))
        bands = _viewer_bands(survey, query.get("bands"))
        planes, centre = [], ((nx - 1) / 2, (ny - 1) / 2)
        for band in bands:
            found = self.sky.image(
                band, ra, dec, shape=(ny, nx), pixel=centre, pixel_scale=scale
            )
            plane = np.zeros((ny, nx), dtype="f4") if found is None else found[0]
            # the viewer resamples brightness: sums change with the area of a pixel
            plane = np.nan_to_num(plane * np.float32((native / scale) ** 2))
            self.sky.remember(plane, band, ra, dec)
            planes.append(plane)
        cube = np.stack(planes) if len(planes) > 1 else planes[0]
        header = _viewer_header(survey, bands, ra, dec, centre, scale)
        more = []
        if "invvar" in query:
            more.append(("INVVAR", (cube != 0).astype("f4")))
        if "maskbits" in query:
            more.append(("MASKBITS", np.zeros((ny, nx), dtype="i2")))
        return Answer(body=_fits_bytes(cube, header, more))


class FilesProtocol:
    """Whole files, as on a web server or in cloud storage, with byte ranges."""

    paths = ()

    def __init__(self, files):
        self.files = files

    def answer(self, path, _query, _body, _content_type):
        """Answer a request for the whole file, or None if there is none."""
        body = self.files.get(path)
        if callable(body):
            body = self.files[path] = body()
        if body is None:
            return None
        tag = hashlib.blake2b(body, digest_size=8).hexdigest()
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{tag}"'}
        return Answer(body=body, content_type="application/fits", headers=headers)


def cut_range(answer, wanted):
    """Cut the part that a ``Range`` header asks for (RFC 9110, section 14)."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted.strip())
    if answer.status != 200 or "Accept-Ranges" not in answer.headers or not match:
        return answer
    total = len(answer.body)
    first, last = match.groups()
    if not first:
        start, stop = max(total - int(last or 0), 0), total
    else:
        start, stop = int(first), min(int(last) + 1 if last else total, total)
    if start >= stop:
        headers = {"Content-Range": f"bytes */{total}"}
        return Answer(416, b"", answer.content_type, headers)
    headers = {**answer.headers, "Content-Range": f"bytes {start}-{stop - 1}/{total}"}
    return Answer(206, answer.body[start:stop], answer.content_type, headers)


def _parse_form(body, content_type):
    """Fields of a multipart or urlencoded form."""
    if content_type.startswith("multipart/form-data"):
        message = email.message_from_bytes(
            b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
        )
        return {
            part.get_param("name", header="content-disposition"): part.get_payload(
                decode=True
            ).decode()
            for part in message.get_payload()
        }
    return dict(parse_qsl(body.decode()))


def _positions(form):
    """Positions of a file list request: a file of lines, or one ra and dec."""
    if "file" not in form:
        return [(float(form["ra"]), float(form["dec"]))]
    lines = [line.split() for line in form["file"].splitlines() if line.strip()]
    return [(float(ra), float(dec)) for ra, dec, *_ in lines]


def _blank_outside(array, cell, x0, y0):
    """Make pixels beyond the edge of a skycell NaN."""
    left, low = cell.origin
    ny, nx = cell.shape
    x, y = np.arange(array.shape[1]) + x0, np.arange(array.shape[0]) + y0
    array[:, (x < left) | (x >= left + nx)] = np.nan
    array[(y < low) | (y >= low + ny)] = np.nan


def _panstarrs_header(cell, letter, exposure_time):
    scale = PIXEL_SCALE / 3600
    header = fits.Header()
    header["BUNIT"] = ""
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = cell.crval
    header["CRPIX1"], header["CRPIX2"] = 0.0, 0.0
    header["CDELT1"] = header["CDELT2"] = scale
    header["PC001001"], header["PC001002"] = -1.0, 0.0
    header["PC002001"], header["PC002002"] = 0.0, 1.0
    header["SKYCELL"] = f"skycell.{cell.projcell:04d}.{cell.subcell:03d}"
    header["HIERARCH FPA.FILTERID"] = f"{letter}.00000"
    header["HIERARCH FPA.ZP"] = 25.0
    header["HIERARCH CELL.GAIN"] = 1.061733
    header["EXPTIME"] = (exposure_time, "Exposure time (sec)")
    header["RADESYS"] = ("FK5", "added by fitscut")
    return header


def _viewer_bands(survey, wanted):
    """Bands of a layer, by the letters of the query: nf, 12, grz."""
    letters = {_viewer_letter(band): band for band in survey.bands}
    if not wanted:
        return list(letters.values())
    bands = [letters[letter] for letter in wanted if letter in letters]
    return bands or list(letters.values())


def _viewer_letter(band):
    return {"W1": "1", "W2": "2"}.get(band.name, band.name[0].lower())


def _viewer_header(survey, bands, ra, dec, centre, scale):
    header = fits.Header()
    header["SURVEY"] = survey.title
    header["BANDS"] = "".join(map(_viewer_letter, bands))
    for i, band in enumerate(bands):
        header[f"BAND{i}"] = _viewer_letter(band)
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = ra, dec
    header["CRPIX1"], header["CRPIX2"] = centre[0] + 1, centre[1] + 1
    header["CD1_1"], header["CD1_2"] = -scale / 3600, 0.0
    header["CD2_1"], header["CD2_2"] = 0.0, scale / 3600
    return header


def _fits_bytes(array, header, more=()):
    """One FITS file as bytes; written by hand, several times faster than an HDUList."""
    text = b""
    for i, (name, data) in enumerate([("", array), *more]):
        cards = fits.Header()
        cards["SIMPLE" if i == 0 else "XTENSION"] = True if i == 0 else "IMAGE"
        cards["BITPIX"] = -32 if data.dtype.kind == "f" else 8 * data.dtype.itemsize
        cards["NAXIS"] = data.ndim
        for axis, length in enumerate(data.shape[::-1], 1):
            cards[f"NAXIS{axis}"] = length
        if i:
            cards["PCOUNT"], cards["GCOUNT"], cards["EXTNAME"] = 0, 1, name
        elif more:
            cards["EXTEND"] = True
        cards.extend(header)
        pixels = data.astype(data.dtype.newbyteorder(">")).tobytes()
        text += cards.tostring().encode("ascii") + pixels + bytes(-len(pixels) % 2880)
    return text
