"""Measurements of many targets, and the table made of them."""

from collections import Counter
from collections.abc import Mapping

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import QTable
from astropy.utils.masked import Masked

from mantis_astro.bands import get_band, get_survey, list_bands
from mantis_astro.extinction import extinction_coefficients, resolve_ebv
from mantis_astro.flags import Flag, missing_flags
from mantis_astro.fluxes import (
    FluxState,
    column_suffix,
    default_softening,
    flux_to_asinh_mag,
    flux_to_mag_ab,
    magnitude_error,
)

__all__ = ["Measurements", "make_table"]

# Bits of a band that mean the same for the target; the others are put together.
_PASSED_ON = ~(Flag.NO_DATA | Flag.NON_DETECTION)


class Measurements:
    """
    Measurements of some targets, collected band by band.

    Parameters
    ----------
    n : int
        Number of targets.

    Attributes
    ----------
    coords, centres : ndarray
        Right ascension and declination of target and aperture, degrees, shape (n, 2).
    ellipses : ndarray
        Semimajor and semiminor axis (arcsec), position angle (deg), shape (n, 3).
    flags : ndarray of int
        Flags of the targets, shape (n,).
    values : dict of Band to dict of str to ndarray
        For each band ``flux``, ``flux_err`` (nJy), ``coverage`` and ``flags``, shape
        (n,); NaN and NO_DATA where it was not measured.
    problems : `~collections.Counter`
        Why bands were not measured, and how often.
    """

    def __init__(self, n):
        self.coords = np.full((n, 2), np.nan)
        self.centres = np.full((n, 2), np.nan)
        self.ellipses = np.full((n, 3), np.nan)
        self.flags = np.zeros(n, dtype=np.int64)
        self.values = {}
        self.problems = Counter()

    def __len__(self):
        return len(self.flags)

    def add(self, index, bands, **values):
        """
        Add measurements.

        Parameters
        ----------
        index : ndarray of int
            Target of each entry.
        bands : list of Band
            Band of each entry.
        **values : ndarray
            ``flux``, ``flux_err``, ``coverage`` and ``flags`` of each entry.
        """
        entries = {}
        for entry, band in enumerate(bands):
            entries.setdefault(band, []).append(entry)
        for band, chosen in entries.items():
            columns = self._columns(band)
            for name, value in values.items():
                columns[name][index[chosen]] = value[chosen]

    def add_problem(self, index, band, flag, reason):
        """
        Note that a band could not be measured.

        Parameters
        ----------
        index : int
            The target.
        band : Band
            The band.
        flag : Flag
            What to set beside NO_DATA.
        reason : str
            Why, in a sentence.
        """
        self._columns(band)["flags"][index] |= flag
        self.problems[f"{band}: {reason}"] += 1

    @classmethod
    def join(cls, parts):
        """
        Append measurements of further targets.

        Parameters
        ----------
        parts : list of Measurements
            In order.

        Returns
        -------
        Measurements
            All targets.
        """
        joined = cls(sum(map(len, parts)))
        start = 0
        for part in parts:
            rows = slice(start, start + len(part))
            for name in ("coords", "centres", "ellipses", "flags"):
                getattr(joined, name)[rows] = getattr(part, name)
            for band, columns in part.values.items():
                for name, value in columns.items():
                    joined._columns(band)[name][rows] = value
            joined.problems += part.problems
            start += len(part)
        return joined

    def _columns(self, band):
        if band not in self.values:
            n = len(self)
            self.values[band] = {
                "flux": np.full(n, np.nan),
                "flux_err": np.full(n, np.nan),
                "coverage": np.zeros(n),
                "flags": np.full(n, int(Flag.NO_DATA)),
            }
        return self.values[band]


def make_table(measured, *, bands, ebv, law, softening, meta):
    """
    Make the table of `~mantis_astro.photometry.measure_photometry`.

    Parameters
    ----------
    measured : Measurements
        What was measured.
    bands : sequence of Band or None
        Bands to have columns for; None for all that were measured.
    ebv, law, softening
        As `~mantis_astro.photometry.measure_photometry` takes them.
    meta : dict
        What to put into the table's meta.

    Returns
    -------
    `~astropy.table.QTable`
        The table.
    """
    if bands is None:
        bands = [band for band in list_bands() if band in measured.values]
    softenings = {get_band(b): u.Quantity(s) for b, s in (softening or {}).items()}
    extinction, ebv_flags = _extinction(ebv, len(measured), bands, law, meta)
    table = QTable(meta=meta | {"problems": dict(measured.problems)})
    _add_geometry(table, measured)
    for band in bands:
        soft = softenings.get(band, default_softening(band))
        _add_band(table, band, measured._columns(band), extinction.get(band), soft)
    if ebv is not None:
        table["ebv"] = extinction["ebv"] * u.mag
        table["ebv"].info.description = "E(B-V) that fluxes are corrected for"
    table["flags"] = _target_flags(measured, bands) | ebv_flags
    table["flags"].info.description = "quality bits, see mantis_astro.flags"
    return table


def _extinction(ebv, n, bands, law, meta):
    """Magnitudes of each band and target, E(B-V) itself, and flags."""
    if ebv is None:
        meta.update(FluxState(is_corrected=False).to_meta())
        return {}, np.zeros(n, dtype=int)
    (dust_map,) = ebv if isinstance(ebv, Mapping) and len(ebv) == 1 else ["csfd"]
    values, flags = resolve_ebv(ebv, n, [dust_map])
    scale = "true" if dust_map == "planck" else "sfd"
    coefficients = extinction_coefficients(bands, law=law, scale=scale)
    meta["extinction_law"] = law
    meta["extinction_coefficients"] = {str(b): c for b, c in coefficients.items()}
    state = FluxState(is_corrected=True, coefficients=meta["extinction_coefficients"])
    meta.update(state.to_meta())
    ebv = values[:, 0]
    return {"ebv": ebv} | {b: c * ebv for b, c in coefficients.items()}, flags


def _add_geometry(table, measured):
    table["coord"] = SkyCoord(*measured.coords.T, unit="deg")
    table["aperture_coord"] = SkyCoord(*measured.centres.T, unit="deg")
    for name, values, unit in zip(
        ("semimajor", "semiminor", "position_angle"),
        measured.ellipses.T,
        (u.arcsec, u.arcsec, u.deg),
        strict=True,
    ):
        table[name] = Masked(values * unit, mask=np.isnan(values))
    table["position_angle"].info.description = "of the major axis, east of north"


def _add_band(table, band, columns, extinction, softening):
    name = column_suffix(band)
    factor = 1.0 if extinction is None else 10 ** (0.4 * extinction)
    flux, flux_err = columns["flux"] * factor, columns["flux_err"] * factor
    mag, mag_err = flux_to_mag_ab(flux), magnitude_error(flux, flux_err)
    new = {
        f"flux_{name}": flux * u.nJy,
        f"flux_err_{name}": flux_err * u.nJy,
        f"mag_ab_{name}": mag,
        f"mag_ab_err_{name}": np.where(np.isnan(mag), np.nan, mag_err),
    }
    if get_survey(band.survey).magsys == "Vega":
        new[f"mag_vega_{name}"] = mag - band.vega_to_ab * u.mag
    if softening is not None:
        new[f"asinh_mag_{name}"] = flux_to_asinh_mag(flux, softening)
        new[f"asinh_mag_err_{name}"] = magnitude_error(flux, flux_err, softening)
        table.meta.setdefault("softening", {})[str(band)] = softening.to_string()
    for key, values in new.items():
        table[key] = Masked(values, mask=np.isnan(values))
    table[f"coverage_{name}"] = columns["coverage"]
    table[f"flags_{name}"] = columns["flags"]


def _target_flags(measured, bands):
    flags = measured.flags.copy()
    if not bands:
        return flags | int(Flag.NO_DATA)
    of_bands = np.stack([measured._columns(band)["flags"] for band in bands])
    flags |= np.bitwise_or.reduce(of_bands & int(_PASSED_ON))
    absent = (of_bands & int(Flag.NO_DATA)) > 0
    missed = (of_bands & int(Flag.NON_DETECTION)) > 0
    flags |= missing_flags(~absent.T, bands)
    flags[absent.all(axis=0)] |= Flag.NO_DATA
    flags[(missed | absent).all(axis=0) & ~absent.all(axis=0)] |= Flag.NON_DETECTION
    return flags
