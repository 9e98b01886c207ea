"""Protocols of the survey servers: the PS1 file list and cutouts, and the viewer."""

import email
import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import numpy as np

from mantis_astro.bands import get_band, list_surveys
from mantis_astro.simulation.instruments.skycells import (
    PIXEL_SCALE,
    find_skycells,
    parse_file_name,
)
from mantis_astro.simulation.server.fits_bytes import fits_bytes
from mantis_astro.simulation.server.sky import ServedImage

__all__ = ["Answer", "FilesProtocol", "PanstarrsProtocol", "ViewerProtocol"]

_LIST_HEADER = "projcell subcell ra dec filter mjd type filename shortname badflag"
_VIEWER_LARGEST, _VIEWER_DEFAULT = 3000, 256


@dataclass
class Answer:
    """
    One HTTP answer.

    Attributes
    ----------
    status : int
        HTTP status.
    body : bytes
        Body.
    content_type : str
        Its content type.
    headers : dict of str to str
        Further headers.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "image/fits"
    headers: dict = field(default_factory=dict)


def text_answer(status, text, content_type="text/plain"):
    """
    Make an answer in words.

    Parameters
    ----------
    status : int
        HTTP status.
    text : str
        The words.
    content_type : str, optional
        Their content type.

    Returns
    -------
    Answer
        The answer.
    """
    return Answer(status, text.encode(), content_type)


class PanstarrsProtocol:
    """
    The file list and the cutout service of ``ps1images.stsci.edu``.

    Parameters
    ----------
    sky : Sky
        Where images come from.
    """

    paths = ("/cgi-bin/ps1filenames.py", "/cgi-bin/fitscut.cgi")

    def __init__(self, sky):
        self.sky = sky

    def answer(self, path, query, body, content_type):
        """
        Answer a request.

        Parameters
        ----------
        path : str
            Path of the address.
        query : dict of str to str
            Its parameters.
        body : bytes
            Body of the request.
        content_type : str
            Its content type.

        Returns
        -------
        Answer or None
            None if the path is not served here.
        """
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
        bands = [
            get_band(f"ps1.{letter}")
            for letter in form.get("filters", "grizy")
            if letter in "grizy" and form.get("type", "stack") == "stack"
        ]
        rows = [
            f"{cell.projcell} {cell.subcell:03d} {ra:.6f} {dec:.6f} {name} 55000.0 "
            f"stack {cell.file_name(name)} {cell.file_name(name).rpartition('/')[2]} 0"
            for ra, dec in positions
            for cell, names in self._listed(bands, ra, dec)
            for name in names
        ]
        return text_answer(200, "\n".join([_LIST_HEADER, *rows]) + "\n")

    def _listed(self, bands, ra, dec):
        """Each skycell of a position, and the letters of the bands that it has."""
        names = [band.name for band in self.sky.listed(bands, ra, dec)]
        return [(cell, names) for cell in find_skycells(ra, dec) if names]

    def _cutout(self, query):
        try:
            ra, dec, size = float(query["ra"]), float(query["dec"]), int(query["size"])
            cell, letter = parse_file_name(query["red"])
            band = get_band(f"ps1.{letter}")
        except (KeyError, ValueError) as error:
            return text_answer(400, f"Error: bad request ({error})")
        image = self.sky.image(
            band,
            ra,
            dec,
            shape=(size, size),
            plane=(cell.crval, cell.pixel(ra, dec)),
            exposure=cell.exposure_time(letter),
        )
        if image is None:
            return text_answer(404, "Error: the image does not cover the position")
        _blank_outside(image.array, cell, cell.pixel(ra, dec))
        self.sky.remember(image.array, band, ra, dec)
        cards = _panstarrs_cards(cell, letter, image)
        return Answer(body=fits_bytes(image.array, cards))


class ViewerProtocol:
    """
    The cutout service of the Legacy Survey viewer.

    Parameters
    ----------
    sky : Sky
        Where images come from.
    """

    paths = ("/viewer/fits-cutout",)

    def __init__(self, sky):
        self.sky = sky

    def answer(self, path, query, body, content_type):  # noqa: ARG002  one signature
        """
        Answer a request.

        Parameters
        ----------
        path : str
            Path of the address.
        query : dict of str to str
            Its parameters.
        body : bytes
            Body of the request.
        content_type : str
            Its content type.

        Returns
        -------
        Answer or None
            None if the path is not served here.
        """
        if path.rstrip("/") != self.paths[0]:
            return None
        if "ra" not in query or "dec" not in query:
            return text_answer(400, "<h1>Bad Request (400)</h1>", "text/html")
        survey = _survey_of_layer(query.get("layer", ""))
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
        scale = float(query["pixscale"]) if "pixscale" in query else None
        bands = _viewer_bands(survey, query.get("bands"))
        images = [
            self.sky.image(band, ra, dec, shape=(ny, nx), scale=scale) for band in bands
        ]
        blank = np.zeros((ny, nx), dtype="f4")
        planes = [np.nan_to_num(image.array) if image else blank for image in images]
        for band, plane in zip(bands, planes, strict=True):
            self.sky.remember(plane, band, ra, dec)
        cube = np.stack(planes) if len(planes) > 1 else planes[0]
        image = next(filter(None, images), None) or _blank_image(survey, ra, dec, blank)
        cards = _viewer_cards(survey, bands, image)
        more = []
        if "invvar" in query:
            more.append(("INVVAR", (cube != 0).astype("f4")))
        if "maskbits" in query:
            more.append(("MASKBITS", np.zeros((ny, nx), dtype="i2")))
        return Answer(body=fits_bytes(cube, cards, extensions=more))


class FilesProtocol:
    """
    Whole files, as on a web server or in cloud storage, with byte ranges.

    Parameters
    ----------
    files : dict of str to bytes or callable
        Content by path; a callable makes it when it is first asked for.
    """

    paths = ()

    def __init__(self, files):
        self.files = files
        self._tags = {}  # path -> (file, digest of it)

    def answer(self, path, query, body, content_type):  # noqa: ARG002  one signature
        """
        Answer a request for the whole file.

        Parameters
        ----------
        path : str
            Path of the address.
        query : dict of str to str
            Its parameters.
        body : bytes
            Body of the request.
        content_type : str
            Its content type.

        Returns
        -------
        Answer or None
            None if the path is not served here.
        """
        body = self.files.get(path)
        if callable(body):
            body = self.files[path] = body()
        if body is None:
            return None
        file, tag = self._tags.get(path, (None, ""))
        if file is not body:
            tag = hashlib.blake2b(body, digest_size=8).hexdigest()
            self._tags[path] = body, tag
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{tag}"'}
        return Answer(body=body, content_type="application/fits", headers=headers)


def cut_range(answer, wanted):
    """
    Cut the part of a file that a ``Range`` header requests.

    Parameters
    ----------
    answer : Answer
        The whole file.
    wanted : str
        Value of the header.

    Returns
    -------
    Answer
        With status 206, or 416 if the range lies beyond the end; the whole, if the
        header makes no sense or ranges are not offered.

    References
    ----------
    RFC 9110, section 14.
    """
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


def _blank_outside(array, cell, pixel):
    """Make pixels beyond the edge of a skycell NaN."""
    (left, low), (ny, nx) = cell.origin, cell.shape
    x, y = (
        np.arange(n) + np.round(p - (n - 1) / 2)
        for n, p in zip(array.shape[::-1], pixel, strict=True)
    )
    array[:, (x < left) | (x >= left + nx)] = np.nan
    array[(y < low) | (y >= low + ny)] = np.nan


def _blank_image(survey, ra, dec, array):
    ny, nx = array.shape
    matrix = np.diag([-1.0, 1.0]) * survey.pixel_scale.to_value("deg")
    return ServedImage(array, (ra, dec), ((nx + 1) / 2, (ny + 1) / 2), matrix)


def _tangent_plane_cards(image):
    return [
        ("CTYPE1", "RA---TAN"),
        ("CTYPE2", "DEC--TAN"),
        ("CRVAL1", float(image.crval[0])),
        ("CRVAL2", float(image.crval[1])),
        ("CRPIX1", float(image.crpix[0])),
        ("CRPIX2", float(image.crpix[1])),
    ]


def _panstarrs_cards(cell, letter, image):
    scale = PIXEL_SCALE / 3600
    (pc11, pc12), (pc21, pc22) = (image.matrix / scale).tolist()
    exposure_time = image.facts.get("exposure_time", cell.exposure_time(letter))
    return [
        ("BUNIT", ""),
        *_tangent_plane_cards(image),
        ("CDELT1", scale),
        ("CDELT2", scale),
        ("PC001001", pc11),
        ("PC001002", pc12),
        ("PC002001", pc21),
        ("PC002002", pc22),
        ("SKYCELL", f"skycell.{cell.projcell:04d}.{cell.subcell:03d}"),
        ("FPA.FILTERID", f"{letter}.00000"),
        ("FPA.ZP", 25.0),
        ("CELL.GAIN", 1.061733),
        ("EXPTIME", float(exposure_time)),
        ("RADESYS", "FK5"),
    ]


def _viewer_bands(survey, wanted):
    """Bands of a layer by their letters; coded layers bring all planes."""
    if survey.band_codes or not wanted:
        return survey.bands
    return [band for band in survey.bands if band.name in wanted] or survey.bands


def _viewer_cards(survey, bands, image):
    names = survey.band_codes or "".join(band.name for band in survey.bands)
    letters = dict(zip(survey.bands, names, strict=True))
    (cd11, cd12), (cd21, cd22) = image.matrix.tolist()
    return [
        ("SURVEY", survey.title),
        ("BANDS", "".join(letters[band] for band in bands)),
        *((f"BAND{i}", letters[band]) for i, band in enumerate(bands)),
        *_tangent_plane_cards(image),
        ("CD1_1", cd11),
        ("CD1_2", cd12),
        ("CD2_1", cd21),
        ("CD2_2", cd22),
    ]


def _survey_of_layer(layer):
    for survey in list_surveys():
        if survey.service == "legacy_survey" and survey.layer == layer:
            return survey
    return None
