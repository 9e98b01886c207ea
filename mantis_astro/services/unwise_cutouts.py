"""Cutouts from unWISE's own server: archives of native pixels, a file for each tile."""

import io
import re
import tarfile
import warnings
from dataclasses import replace

from astropy.utils.exceptions import AstropyWarning

from mantis_astro.cutouts.reading import make_cutout
from mantis_astro.exceptions import InputSpecError
from mantis_astro.services.base import CutoutServiceClass
from mantis_astro.services.configuration import conf
from mantis_astro.services.request import (
    HttpRequest,
    ImageRequest,
    build_url,
    degrees_text,
    longest_answer,
)
from mantis_astro.services.tiles.cutting import ViewerCut
from mantis_astro.services.tiles.layout import read_layout
from mantis_astro.services.tiles.parts import unpack
from mantis_astro.services.validation import (
    BadAnswerError,
    bad_fraction,
    check_image,
    check_status,
)

__all__ = ["UnwiseCutoutsClass"]

_MARGIN = 6  # pixels beyond the cutout: half for the kernel, half for the rotation
_GZIP = b"\x1f\x8b"
_NAME = re.compile(r"unwise-[0-9a-z]+-(w\d)-img-[mu]\.fits(\.gz)?")


class UnwiseCutoutsClass(CutoutServiceClass):
    """
    Cutouts of unWISE from ``unwise.me``, interpolated here with north up.

    One request brings an archive with the native pixels of all bands, and of each tile
    that shows the position. Of an archive, files are read into memory by their names;
    nothing is ever written where it says.

    Parameters
    ----------
    survey : Survey or str, optional
        unWISE.
    """

    MAX_PIXELS = 1000

    def __init__(self, survey="unwise"):
        super().__init__(survey)

    def image_requests(self, ra, dec, bands, shape, pixel_scale=None):
        """
        Make the request for all images of one position.

        Parameters
        ----------
        ra, dec : float
            ICRS degrees.
        bands : tuple of Band
            Bands of this survey.
        shape : tuple of int
            Shape ``(n, n)`` in pixels.
        pixel_scale : `~astropy.units.Quantity`, optional
            Side of a pixel; by default the survey's own.

        Returns
        -------
        list of ImageRequest
            One.
        """
        native = self.survey.pixel_scale.to_value("arcsec")
        scale = native if pixel_scale is None else float(pixel_scale.to_value("arcsec"))
        size = round(shape[0] * scale / native) + 2 * _MARGIN
        url = build_url(
            conf.unwise_cutouts,
            version=self.survey.layer.removeprefix("unwise-"),
            ra=degrees_text(ra),
            dec=degrees_text(dec),
            size=size,
            bands="".join(band.name[-1] for band in bands),
        )
        # for each band and tile: image, inverse variance, two numbers of exposures
        http = HttpRequest(url, max_bytes=longest_answer((size, size), 16 * len(bands)))
        return [ImageRequest(http, tuple(bands), ra, dec, tuple(shape), scale)]

    def accept(self, answer, request):
        """
        Judge an archive, and read its images.

        Parameters
        ----------
        answer : Answer
            Status, headers and body.
        request : ImageRequest
            What was asked for.

        Returns
        -------
        dict of Band to `~astropy.nddata.CCDData` or None
            For each band the image of the tile that covers most.

        Raises
        ------
        BadAnswerError
            If it is no archive, is cut short, or lacks a band.
        """
        check_status(answer.status, answer.content)
        files = _read_archive(answer.content, request.http.max_bytes)
        images = {}
        for band in request.bands:
            contents = files.get(band.name.lower(), [])
            if not contents:
                msg = f"the archive lacks {band}; it has {', '.join(files) or 'none'}"
                raise BadAnswerError(msg)
            found = [_cut(content, band, request) for content in contents]
            images[band] = min(found, key=bad_fraction)
        return images


def _read_archive(content, longest):
    """Images in an archive, by their band; all else in it is passed over."""
    if not content.startswith(_GZIP):
        text = " ".join(content[:300].decode("ascii", "replace").split())[:80]
        msg = f"the answer is no packed archive but {text!r}"
        raise BadAnswerError(msg)
    files = {}
    try:
        archive = io.BytesIO(unpack(content, longest))
        with tarfile.open(fileobj=archive, mode="r:") as members:
            for member in members:
                match = _NAME.fullmatch(member.name.rpartition("/")[2])
                if member.isreg() and match:
                    image = members.extractfile(member).read()
                    if match[2]:
                        image = unpack(image, longest)
                    files.setdefault(match[1], []).append(image)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, BadAnswerError):
            raise
        msg = f"the archive is broken ({error})"
        raise BadAnswerError(msg) from error
    return files


def _cut(content, band, request):
    def read(start, stop):
        return content[start:stop]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            layout = read_layout(read)
            ny, _ = layout.shape
            start, stop = layout.span(0, ny)
            if len(content) < stop:
                msg = f"an image of {band} in the archive is cut short"
                raise BadAnswerError(msg)
            _, array = layout.decode(content[start:stop], 0, ny)
        cut = ViewerCut(layout.wcs, layout.shape, request)
        if cut.rows == (0, 0):
            msg = f"an image of {band} in the archive does not show the position"
            raise BadAnswerError(msg)
        data, wcs = cut.take(array, 0)
        image = make_cutout(data, layout.facts, band)
    except InputSpecError as error:
        raise BadAnswerError(str(error)) from error
    image.wcs = wcs
    return check_image(image, band, replace(request, bands=(band,)))
