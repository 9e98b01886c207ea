"""Spectra of SDSS and DESI from their files, with the redshifts of their pipelines."""

from __future__ import annotations

import logging
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import InverseVariance

from mantis_astro.spectra.pixels import FLUX_UNIT

if TYPE_CHECKING:
    from specutils import Spectrum

    from mantis_astro.typing import PathLike

__all__ = [
    "CatalogueRedshift",
    "list_targets",
    "read_catalogue_redshift",
    "read_spectrum",
]

log = logging.getLogger(__name__)

# Pixels of SDSS with this bit are not to be trusted: the sky is more than ten errors
# brighter than the flux. The bits of other serious defects go with ivar = 0 already,
# and those below 16 speak of whole spectra (sdss.org, bitmask SPPIXMASK).
_SDSS_BRIGHTSKY = 1 << 23

_SDSS_COLUMNS = {"flux", "loglam", "ivar", "and_mask"}
_DAMAGE = "File may have been truncated", "Error validating header"
_SAME_PIXEL = 1e-3  # Angstrom: DESI's arms share one grid of 0.8 Angstrom


class CatalogueRedshift(NamedTuple):
    """
    Redshift of a survey's pipeline.

    Attributes
    ----------
    z, z_err : float
        Redshift and its standard deviation.
    warning : int
        Warning bits of that pipeline, 0 for none.
    kind : str
        Its classification, for example ``"GALAXY"``.
    """

    z: float
    z_err: float
    warning: int
    kind: str


def read_spectrum(
    path: PathLike, *, target_id: int | None = None, row: int | None = None
) -> Spectrum:
    """
    Read a spectrum of SDSS (``spec-*.fits``) or DESI (``coadd-*.fits``).

    Parameters
    ----------
    path : str or path-like
        The file.
    target_id : int, optional
        ``TARGETID`` of the target, where a file of DESI holds several; see
        `list_targets`.
    row : int, optional
        Or its row in the file, from 0.

    Returns
    -------
    `~specutils.Spectrum`
        Observed flux per wavelength, as a function of vacuum wavelength in the frame
        of the Sun; uncertainty, mask (True = bad), and in ``meta``: ``survey``,
        ``path``, ``coord`` (`~astropy.coordinates.SkyCoord`), ``target_id`` and
        ``redshift`` (`CatalogueRedshift` or None).

    Raises
    ------
    OSError
        If there is no such file, or it is cut short or not FITS.
    ValueError
        If it is neither of the two formats, or lacks what they have, or the target is
        not in it or not named.

    Notes
    -----
    SDSS: a pixel is masked without inverse variance, or with the bit BRIGHTSKY in the
    AND mask. DESI: a pixel is masked with any bit or without inverse variance. The
    arms of DESI share one grid of wavelengths; where they overlap, they are averaged
    with their inverse variances. Redshifts are those of ``SPECOBJ`` or, for DESI, of
    the file ``redrock-*`` beside ``coadd-*``, if it is there. A catalogue that cannot
    be read is told in the log and costs its redshift only.

    Examples
    --------
    >>> from mantis_astro.spectra import read_spectrum
    >>> spectrum = read_spectrum("spec-0653-52145-0069.fits")  # doctest: +SKIP
    >>> spectrum.meta["redshift"].z  # doctest: +SKIP
    0.3018518
    """
    path = Path(path)
    with _open(path) as hdus:
        if _is_sdss(hdus):
            return _read_sdss(path, hdus, target_id, row)
        if _desi_arms(hdus):
            return _read_desi(path, hdus, target_id, row)
        names = ", ".join(hdu.name for hdu in hdus)
    msg = (
        f"{path} is neither an SDSS spec file (a table with flux, loglam, ivar, "
        "and_mask) nor a DESI coadd (FIBERMAP, B_FLUX, B_WAVELENGTH, B_IVAR): its HDUs "
        f"are {names}. Other formats: specutils.Spectrum.read"
    )
    raise ValueError(msg)


def read_catalogue_redshift(path, *, target_id=None, row=None):
    """
    Read the redshift that a survey's pipeline found.

    Parameters
    ----------
    path : str or path-like
        ``spec-*.fits`` of SDSS, ``redrock-*.fits`` of DESI, or a ``coadd-*.fits`` that
        lies beside it.
    target_id, row : int, optional
        As for `read_spectrum`.

    Returns
    -------
    CatalogueRedshift or None
        None if the file, or the one beside it, has none.

    Raises
    ------
    OSError, ValueError
        As for `read_spectrum`.
    """
    path = Path(path)
    with _open(path) as hdus:
        if "REDSHIFTS" in hdus:
            table = hdus["REDSHIFTS"].data
            index = _row_of(path, table["TARGETID"], target_id, row)
            return _redrock_redshift(table[index])
    return read_spectrum(path, target_id=target_id, row=row).meta["redshift"]


def list_targets(path):
    """
    List the targets of a file.

    Parameters
    ----------
    path : str or path-like
        As for `read_spectrum`.

    Returns
    -------
    list of int
        ``TARGETID`` of each row of a DESI coadd; ``[None]`` for a file with one
        spectrum.

    Raises
    ------
    OSError
        If there is no such file, or it is cut short or not FITS.
    ValueError
        If the table of targets of a DESI coadd has no ``TARGETID``.
    """
    with _open(Path(path)) as hdus:
        if not _desi_arms(hdus):
            return [None]
        return [int(target) for target in hdus["FIBERMAP"].data["TARGETID"]]


@contextmanager
def _open(path):
    """Open a FITS file, unless it is cut short, of which astropy only warns."""
    with ExitStack() as stack:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            hdus = stack.enter_context(fits.open(path))
            len(hdus)  # makes astropy look at all of them
        for warning in map(str, (each.message for each in caught)):
            if warning.startswith(_DAMAGE):
                msg = f"{path} is cut short or damaged: {warning}"
                raise OSError(msg)
        try:
            yield hdus
        except (LookupError, TypeError, AttributeError, fits.VerifyError) as error:
            msg = (
                f"{path} is not as SDSS or DESI write such files: "
                f"{type(error).__name__}: {error}"
            )
            raise ValueError(msg) from error


def _is_sdss(hdus):
    return len(hdus) > 1 and _columns(hdus[1]) >= _SDSS_COLUMNS


def _columns(hdu):
    return set() if hdu.is_image else {name.lower() for name in hdu.columns.names}


def _read_sdss(path, hdus, target_id, row):
    if target_id is not None or row not in (None, 0):
        msg = f"{path} holds one spectrum: leave out 'target_id' and 'row'"
        raise ValueError(msg)
    table, header = hdus[1].data, hdus[0].header
    ivar = _native(table["ivar"])
    sky = (table["and_mask"] & _SDSS_BRIGHTSKY) > 0
    ra_dec = (header.get(key, np.nan) for key in ("PLUG_RA", "PLUG_DEC"))
    return _make_spectrum(
        10 ** _native(table["loglam"]),
        _native(table["flux"]),
        np.where(sky, 0, ivar),
        survey="SDSS",
        path=str(path),
        target_id=None,
        coord=SkyCoord(*ra_dec, unit="deg"),
        redshift=_or_none(path, lambda: _sdss_redshift(hdus)),
    )


def _or_none(path, read):
    """Read a catalogue's redshift; without a good one the spectrum is good as it is."""
    try:
        return read()
    except (LookupError, OSError, TypeError, ValueError) as error:
        log.warning("%s: no redshift of the survey's pipeline: %s", path, error)
        return None


def _sdss_redshift(hdus):
    catalogue = next((hdus[n] for n in ("SPECOBJ", "SPALL") if n in hdus), None)
    if catalogue is None:
        return None
    record = catalogue.data[0]
    return CatalogueRedshift(
        float(record["Z"]),
        float(record["Z_ERR"]),
        int(record["ZWARNING"]),
        str(record["CLASS"]).strip(),
    )


def _desi_arms(hdus):
    if "FIBERMAP" not in hdus:
        return []
    names = (hdu.name.removesuffix("_FLUX") for hdu in hdus if "_FLUX" in hdu.name)
    return [a for a in names if f"{a}_WAVELENGTH" in hdus and f"{a}_IVAR" in hdus]


def _read_desi(path, hdus, target_id, row):
    fibermap = hdus["FIBERMAP"].data
    index = _row_of(path, fibermap["TARGETID"], target_id, row)
    target = fibermap[index]
    wavelength, flux, ivar = _join(
        [_read_arm(hdus, arm, index) for arm in _desi_arms(hdus)]
    )
    return _make_spectrum(
        wavelength,
        flux,
        ivar,
        survey="DESI",
        path=str(path),
        target_id=int(target["TARGETID"]),
        coord=SkyCoord(target["TARGET_RA"], target["TARGET_DEC"], unit="deg"),
        redshift=_redrock_beside(path, int(target["TARGETID"])),
    )


def _read_arm(hdus, arm, index):
    """Wavelength, flux and inverse variance (0 = bad) of one arm of one target."""
    flux, ivar = (
        _native(hdus[f"{arm}_{kind}"].section[index]) for kind in ("FLUX", "IVAR")
    )
    if f"{arm}_MASK" in hdus:
        ivar = np.where(hdus[f"{arm}_MASK"].section[index] == 0, ivar, 0)
    return _native(hdus[f"{arm}_WAVELENGTH"].data), flux, ivar


def _join(arms):
    """Average arms on one grid of wavelengths with their inverse variances."""
    wavelength, flux, ivar = (
        np.concatenate(parts) for parts in zip(*arms, strict=True)
    )
    usable = (ivar > 0) & np.isfinite(flux) & np.isfinite(ivar)
    weight = np.where(usable, ivar, 0)
    weighted = weight * np.where(usable, flux, 0)
    grid, pixel = np.unique(
        np.round(wavelength / _SAME_PIXEL).astype(np.int64), return_inverse=True
    )
    ivar = np.bincount(pixel, weight)
    flux = np.bincount(pixel, weighted) / np.where(ivar > 0, ivar, 1)
    return grid * _SAME_PIXEL, flux, ivar


def _redrock_beside(path, target_id):
    if not path.name.startswith("coadd-"):
        return None
    redrock = path.with_name(path.name.replace("coadd-", "redrock-", 1))
    if not redrock.exists():
        return None
    return _or_none(path, lambda: read_catalogue_redshift(redrock, target_id=target_id))


def _redrock_redshift(record):
    return CatalogueRedshift(
        float(record["Z"]),
        float(record["ZERR"]),
        int(record["ZWARN"]),
        str(record["SPECTYPE"]).strip(),
    )


def _row_of(path, target_ids, target_id, row):
    """Row of the wanted target."""
    n = len(target_ids)
    if target_id is not None and row is not None:
        msg = "give 'target_id' or 'row', not both"
        raise ValueError(msg)
    if target_id is not None:
        found = np.flatnonzero(target_ids == target_id)
        if not found.size:
            msg = f"{path} has no TARGETID {target_id}; it has {_first(target_ids)}"
            raise ValueError(msg)
        return int(found[0])
    if row is not None:
        if not 0 <= row < n:
            msg = f"'row' must be from 0 to {n - 1} for {path}, got {row}"
            raise ValueError(msg)
        return int(row)
    if n != 1:
        msg = (
            f"{path} holds {n} targets: name one with 'target_id' "
            f"({_first(target_ids)}) or 'row'"
        )
        raise ValueError(msg)
    return 0


def _first(target_ids, most=5):
    more = ", ..." if len(target_ids) > most else ""
    return ", ".join(str(target) for target in target_ids[:most]) + more


def _native(array):
    return np.array(array, dtype=float)


def _make_spectrum(wavelength, flux, ivar, **meta):
    from astropy import units as u
    from specutils import Spectrum

    bad = ~((ivar > 0) & np.isfinite(ivar) & np.isfinite(flux))
    return Spectrum(
        flux=flux * FLUX_UNIT,
        spectral_axis=wavelength * u.AA,
        uncertainty=InverseVariance(np.where(bad, 0, ivar), unit=FLUX_UNIT**-2),
        mask=bad,
        meta=meta,
    )
