"""`MultibandCutout`: one galaxy's images, band by band, on disk as FITS."""

from __future__ import annotations

import json
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from copy import copy
from typing import TYPE_CHECKING, Self

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import (
    CCDData,
    InverseVariance,
    NDUncertainty,
    StdDevUncertainty,
    VarianceUncertainty,
)
from astropy.wcs import WCS

from mantis_astro.atomic import atomic_file
from mantis_astro.bands import Band, get_band, get_survey, list_bands
from mantis_astro.cutouts.uncertainty import uncertainty_values
from mantis_astro.exceptions import MissingBandError

if TYPE_CHECKING:
    from mantis_astro.bands import BandLike, Survey
    from mantis_astro.typing import PathLike

__all__ = ["MultibandCutout"]

# Facts about a cutout that have a header card of their own; all other meta travels
# as JSON in the card META.
META_CARDS = {
    "zero_point_ab": ("ZPAB", "AB magnitude of one pixel unit"),
    "magsys": ("MAGSYS", "system of the survey's own zero point"),
    "exposure_time": ("EXPTIME", "[s] exposure"),
    "url": ("URL", "where the pixels came from"),
    "server": ("SERVER", "host that served them"),
    "date": ("DATE-GET", "when they were fetched, UTC"),
}
_UNCERTAINTIES = {
    kind().uncertainty_type: kind
    for kind in (StdDevUncertainty, VarianceUncertainty, InverseVariance)
}


class MultibandCutout(Mapping):
    """
    Images of one target, one `~astropy.nddata.CCDData` for each band.

    A read-only mapping from `~mantis_astro.bands.Band` to cutout, in the order of
    the band registry whatever order they are given in. Keys may be given as strings.
    A missing band is simply absent.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord`
        Position of the target, a scalar.
    cutouts : mapping of Band or str to `~astropy.nddata.CCDData`
        The images, each two-dimensional.
    meta : dict, optional
        Anything worth keeping about the target (JSON types, to be written).

    Raises
    ------
    TypeError
        If a cutout is not a CCDData or ``coord`` is not a scalar SkyCoord.
    ValueError
        If an image is not two-dimensional or a band comes twice.
    KeyError
        `~mantis_astro.exceptions.MissingBandError` for an unknown band, or a filter of
        no registered survey.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.nddata import CCDData
    >>> from mantis_astro import MultibandCutout
    >>> image = CCDData(np.ones((8, 8)), unit="adu")
    >>> cutouts = MultibandCutout(SkyCoord(10, 20, unit="deg"), {"ps1.g": image})
    >>> cutouts
    <MultibandCutout at 10.00000 +20.00000: ps1.g 8x8 adu>
    >>> "ps1.g" in cutouts, "galex.NUV" in cutouts
    (True, False)
    """

    def __init__(
        self,
        coord: SkyCoord,
        cutouts: Mapping[Band, CCDData] | Mapping[str, CCDData],
        *,
        meta: dict | None = None,
    ) -> None:
        if not isinstance(coord, SkyCoord) or not coord.isscalar:
            msg = f"'coord' must be a scalar SkyCoord, got {coord!r}"
            raise TypeError(msg)
        by_band = {get_band(band): cutout for band, cutout in cutouts.items()}
        if len(by_band) < len(cutouts):
            msg = f"a band comes twice in {', '.join(map(str, cutouts))}"
            raise ValueError(msg)
        for band, cutout in by_band.items():
            get_survey(band.survey)  # which a filter alone has not
            if not isinstance(cutout, CCDData):
                msg = f"the cutout of {band} must be a CCDData, got {type(cutout)}"
                raise TypeError(msg)
            if cutout.ndim != 2:
                msg = (
                    f"the cutout of {band} must be two-dimensional, "
                    f"got shape {cutout.shape}"
                )
                raise ValueError(msg)
        order = {band: i for i, band in enumerate(list_bands())}
        self.coord = coord
        self.meta = dict(meta or {})
        in_order = sorted(by_band, key=order.__getitem__)
        self._cutouts = {band: by_band[band] for band in in_order}

    def __getitem__(self, band: BandLike) -> CCDData:
        if not isinstance(band, Band):  # asked here, as it is asked so often
            band = get_band(band)
        try:
            return self._cutouts[band]
        except KeyError:
            there = ", ".join(map(str, self)) or "none"
            msg = f"no cutout of {band}; there are {there}"
            raise MissingBandError(msg) from None

    def items(self) -> ItemsView[Band, CCDData]:
        """
        Bands and their cutouts.

        Returns
        -------
        dict_items
            In the order of the registry.
        """
        return self._cutouts.items()

    def values(self) -> ValuesView[CCDData]:
        """
        List the cutouts alone.

        Returns
        -------
        dict_values
            In the order of the registry.
        """
        return self._cutouts.values()

    def __iter__(self) -> Iterator[Band]:
        return iter(self._cutouts)

    def __len__(self) -> int:
        return len(self._cutouts)

    def __repr__(self):
        where = f"{self.coord.icrs.ra.deg:.5f} {self.coord.icrs.dec.deg:+.5f}"
        what = ", ".join(
            f"{band} {cutout.shape[0]}x{cutout.shape[1]} {cutout.unit}"
            for band, cutout in self.items()
        )
        return f"<{type(self).__name__} at {where}: {what or 'no bands'}>"

    def _repr_html_(self):
        from mantis_astro.cutouts.picture import make_html

        return make_html(self)

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands that are there, a tuple in the order of the registry."""
        return tuple(self._cutouts)

    @property
    def surveys(self) -> tuple[Survey, ...]:
        """The surveys that are there, a tuple in the order of the registry."""
        return tuple(dict.fromkeys(get_survey(band.survey) for band in self))

    def map(self, function: Callable[[CCDData], CCDData]) -> Self:
        """
        Apply a function to every cutout.

        Parameters
        ----------
        function : callable
            Takes a CCDData, returns a CCDData.

        Returns
        -------
        MultibandCutout
            Same coordinate, bands and meta.
        """
        new = {band: function(cutout) for band, cutout in self.items()}
        return type(self)(self.coord, new, meta=self.meta)

    def select(self, bands: Iterable[BandLike]) -> Self:
        """
        Keep some bands.

        Parameters
        ----------
        bands : iterable of Band or str
            Bands to keep.

        Returns
        -------
        MultibandCutout
            Those bands only.

        Raises
        ------
        KeyError
            `~mantis_astro.exceptions.MissingBandError` if one is not there.
        """
        wanted = [b if isinstance(b, Band) else get_band(b) for b in bands]
        lacking = [band for band in wanted if band not in self._cutouts]
        if lacking:
            self[lacking[0]]  # raises
        new = copy(self)
        new.meta = dict(self.meta)
        new._cutouts = {b: cutout for b, cutout in self.items() if b in wanted}
        return new

    def write(self, path: PathLike, *, overwrite: bool = False) -> None:
        """
        Write one FITS file: an image, mask and uncertainty HDU for each band.

        HDUs are named ``PS1.G``, ``PS1.G_MASK`` (1 = bad) and ``PS1.G_UNCERT``. The
        file appears whole or not at all.

        Parameters
        ----------
        path : str or path-like
            The file to write.
        overwrite : bool, optional
            Whether an existing file may be replaced.

        Raises
        ------
        OSError
            If the file exists and ``overwrite`` is False, or cannot be written.
        """
        primary = fits.PrimaryHDU()
        primary.header["RA"] = (self.coord.icrs.ra.deg, "[deg] target, ICRS")
        primary.header["DEC"] = (self.coord.icrs.dec.deg, "[deg] target, ICRS")
        if self.meta:
            primary.header["META"] = json.dumps(self.meta)
        hdus = [primary]
        for band, cutout in self.items():
            hdus += _to_hdus(band, cutout)
        with atomic_file(path, overwrite=overwrite) as temporary:
            fits.HDUList(hdus).writeto(temporary, overwrite=True, checksum=True)

    @classmethod
    def read(cls, path: PathLike) -> Self:
        """
        Read a file that `write` made.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        MultibandCutout
            Pixels, masks, uncertainties, WCS and meta as they were.

        Raises
        ------
        OSError
            If the file is missing, cut short or not such a file.
        """
        with fits.open(path, memmap=False) as hdus:
            header = hdus[0].header
            if "RA" not in header or "DEC" not in header:
                msg = f"{path} is no multiband cutout: its first header lacks RA, DEC"
                raise OSError(msg)
            names = {hdu.name for hdu in hdus[1:]}
            cutouts = {
                name: _from_hdus(hdus, name)
                for name in names
                if not name.endswith(("_MASK", "_UNCERT"))
            }
            coord = SkyCoord(header["RA"], header["DEC"], unit="deg")
            return cls(coord, cutouts, meta=json.loads(header.get("META", "{}")))


def _to_hdus(band, cutout):
    name = str(band).upper()
    header = fits.Header() if cutout.wcs is None else cutout.wcs.to_header(relax=True)
    header["BUNIT"] = cutout.unit.to_string()
    rest = dict(cutout.meta)
    for key, (card, comment) in META_CARDS.items():
        if key in rest:
            header[card] = (rest.pop(key), comment)
    if rest:
        header["META"] = json.dumps(rest, default=str)
    hdus = [fits.ImageHDU(np.asarray(cutout.data), header, name=name)]
    if cutout.mask is not None:
        mask = np.broadcast_to(cutout.mask, cutout.shape).astype(np.uint8)
        hdus.append(fits.ImageHDU(mask, name=f"{name}_MASK"))
    if isinstance(cutout.uncertainty, NDUncertainty):
        values = uncertainty_values(cutout)
        uncertainty = fits.ImageHDU(values, name=f"{name}_UNCERT")
        uncertainty.header["UTYPE"] = cutout.uncertainty.uncertainty_type
        hdus.append(uncertainty)
    return hdus


def _from_hdus(hdus, name):
    hdu = hdus[name]
    header = hdu.header
    meta = {
        key: header[card] for key, (card, _) in META_CARDS.items() if card in header
    }
    meta.update(json.loads(header.get("META", "{}")))
    mask = uncertainty = None
    if f"{name}_MASK" in hdus:
        mask = hdus[f"{name}_MASK"].data.astype(bool)
    if f"{name}_UNCERT" in hdus:
        error = hdus[f"{name}_UNCERT"]
        uncertainty = _UNCERTAINTIES[error.header["UTYPE"]](_native(error.data))
    return CCDData(
        _native(hdu.data),
        unit=header["BUNIT"],
        wcs=WCS(header) if "CTYPE1" in header else None,
        mask=mask,
        uncertainty=uncertainty,
        meta=meta,
    )


def _native(array):
    """Return the same numbers in this machine's byte order (FITS is big-endian)."""
    return array.astype(array.dtype.newbyteorder("="))
