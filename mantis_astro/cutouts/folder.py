"""`FitsFolder`: FITS files in a folder, found by position and band."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import FITSFixedWarning

from mantis_astro.bands import get_bands
from mantis_astro.cutouts.multiband import MultibandCutout
from mantis_astro.cutouts.planes import name_planes
from mantis_astro.cutouts.reading import UNREADABLE, celestial_wcs, read_cutout
from mantis_astro.cutouts.source import NO_COVERAGE, OK, STORE_MANIFEST, failed
from mantis_astro.exceptions import FetchError, InputSpecError, MissingBandError

if TYPE_CHECKING:
    from mantis_astro.bands import Band, BandLike
    from mantis_astro.cutouts.source import CutoutResult
    from mantis_astro.typing import PathLike

__all__ = ["FitsFolder"]

log = logging.getLogger(__name__)

_SUFFIXES = (".fits", ".fits.gz", ".fits.fz", ".fit", ".fts")
_NOT_IMAGES = ("_mask", "_uncert", "invvar", "weight", "maskbits")


class FolderImage(NamedTuple):
    """
    An image in one of the files of a folder.

    Attributes
    ----------
    path : `~pathlib.Path`
        The file.
    hdu : int
        Its number in the file.
    band : Band
        Its band.
    shape : tuple of int
        Shape ``(ny, nx)`` in pixels.
    centre : `~numpy.ndarray`
        Unit vector to its centre, ICRS.
    radius : float
        From there to a corner, as a chord of the unit sphere.
    """

    path: Path
    hdu: int
    band: Band
    shape: tuple
    centre: np.ndarray
    radius: float


class FitsFolder:
    """
    The FITS files of a folder as a source of cutouts.

    Files are found by what is in them: the band by header (or file name), the target
    by the image's WCS. So files may be called anything, and an image is never given
    to an object that it does not show. Cubes of the Legacy Survey viewer count as one
    image for each of their bands.

    Parameters
    ----------
    path : str or path-like
        The folder, searched with its subfolders.

    Attributes
    ----------
    skipped : dict of `~pathlib.Path` to str
        Files that could not be used, and why.
    images : list of FolderImage
        The images that can be.

    Raises
    ------
    OSError
        If the folder does not exist, or `~mantis_astro.exceptions.FetchError` if no
        image is in it; the message then says why files were skipped, or that the folder
        is a store.

    Examples
    --------
    >>> from mantis_astro import FitsFolder
    >>> source = FitsFolder("my_cutouts")  # doctest: +SKIP
    >>> for index, cutouts, statuses in source.iter_cutouts(coords, ["ps1.g"]):
    ...     print(index, cutouts)  # doctest: +SKIP
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            msg = f"no folder {self.path}"
            raise NotADirectoryError(msg)
        self.skipped: dict[str, str] = {}
        self.images: list[FolderImage] = []
        for file in sorted(self.path.rglob("*")):
            if file.name.lower().endswith(_SUFFIXES):
                self._index(file)
        if not self.images:
            raise FetchError(self._why_empty())
        log.info("%s: %d images", self.path, len(self.images))

    def __len__(self):
        return len(self.images)

    def __repr__(self):
        return f"<{type(self).__name__} {self.path}: {len(self)} images>"

    @property
    def bands(self) -> tuple[Band, ...]:
        """Bands of the images, each once."""
        return tuple(dict.fromkeys(get_bands(image.band for image in self.images)))

    def iter_cutouts(
        self, coords: SkyCoord, bands: Iterable[BandLike]
    ) -> Iterator[CutoutResult]:
        """
        Yield the images that show each position.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,).
        bands : sequence of Band or str
            Bands wanted.

        Yields
        ------
        index : int
            Index into ``coords``, in order.
        cutouts : MultibandCutout
            For each band, the image whose centre is nearest among those that show
            the position.
        statuses : dict of Band to CutoutStatus
            ``no_coverage`` where no image with data shows the position, ``failed``
            where one does and cannot be read.
        """
        bands = get_bands(bands)
        near = self._near(coords)
        for index, coord in enumerate(coords):
            cutouts, statuses = {}, dict.fromkeys(bands, NO_COVERAGE)
            for path, hdu, band in near[index]:  # nearest centre first
                if band not in statuses or statuses[band].is_ok:
                    continue
                try:
                    cutout = read_cutout(path, band, hdu=hdu)
                except (OSError, ValueError) as error:
                    statuses[band] = failed(str(error))
                    continue
                if _shows(cutout, coord):
                    cutouts[band] = cutout
                    statuses[band] = OK
            yield index, MultibandCutout(coord, cutouts), statuses

    def _index(self, file):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            warnings.simplefilter("ignore", AstropyUserWarning)
            try:
                with fits.open(file) as hdus:
                    for i, hdu in enumerate(hdus):
                        self._index_hdu(file, i, hdu)
            except UNREADABLE as error:
                self._skip(file, f"not a readable FITS file ({error})")

    def _why_empty(self):
        if (self.path / STORE_MANIFEST).exists():
            return f"{self.path} is a store, not a folder of FITS files: open it as one"
        msg = f"no image that can be used is among the FITS files of {self.path}"
        if not self.skipped:
            return f"{msg}: there is none whose name ends in {', '.join(_SUFFIXES)}"
        file, reason = next(iter(self.skipped.items()))
        return f"{msg}; {len(self.skipped)} were skipped, the first: {file}: {reason}"

    def _index_hdu(self, file, i, hdu):
        name = f"{file.name} {hdu.name}".lower()
        if (
            not hdu.is_image
            or len(hdu.shape) < 2
            or any(w in name for w in _NOT_IMAGES)
        ):
            return
        try:
            planes = name_planes(hdu.header, hdu.shape, filename=file.name)
        except (InputSpecError, MissingBandError) as error:
            self._skip(file, str(error))
            return
        bands = [band for band in planes if band is not None]
        if not bands:
            self._skip(file, "neither header nor file name identifies the band")
            return
        wcs = celestial_wcs(hdu.header)
        if wcs is None:
            named = ", ".join(map(str, bands))
            self._skip(file, f"the image of {named} has no celestial WCS")
            return
        ny, nx = hdu.shape[-2:]
        corners = wcs.pixel_to_world([(nx - 1) / 2, -0.5], [(ny - 1) / 2, -0.5])
        centre, corner = _unit_vectors(corners)
        radius = np.linalg.norm(corner - centre)
        if not math.isfinite(radius):
            self._skip(file, "its WCS puts the image nowhere on the sky")
            return
        self.images += [
            FolderImage(file, i, band, (ny, nx), centre, radius) for band in bands
        ]

    def _skip(self, file, reason):
        self.skipped[file] = reason
        log.warning("%s: %s", file, reason)

    def _near(self, coords):
        """For each position, (path, hdu, band) of the images that may show it."""
        near = [[] for _ in range(len(coords))]
        valid = np.isfinite(coords.icrs.ra.deg) & np.isfinite(coords.icrs.dec.deg)
        if not self.images or not valid.any():
            return near
        from scipy.spatial import cKDTree

        targets = cKDTree(_unit_vectors(coords[valid]))
        indices = np.flatnonzero(valid)
        found = []
        for image in self.images:
            for k in targets.query_ball_point(image.centre, image.radius * 1.01):
                distance = np.linalg.norm(targets.data[k] - image.centre)
                found.append((distance, indices[k], image[:3]))
        for _, index, image in sorted(found, key=lambda row: row[0]):
            near[index].append(image)
        return near


def _unit_vectors(coords):
    """Return unit vectors, shape (n, 3)."""
    return coords.icrs.cartesian.xyz.to_value(u.one).T


def _shows(cutout, coord):
    if cutout.mask is not None and cutout.mask.all():
        return False
    x, y = cutout.wcs.world_to_pixel(SkyCoord(coord.icrs))
    ny, nx = cutout.shape
    return bool(-0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5)
