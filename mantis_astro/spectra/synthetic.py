"""Fluxes in bands from spectra."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import astropy.constants as const
import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.utils.masked import Masked

from mantis_astro.bands import get_bands
from mantis_astro.flags import Flag, missing_flag
from mantis_astro.fluxes import column_suffix, get_filter
from mantis_astro.spectra.pixels import FLUX_UNIT, get_pixels

if TYPE_CHECKING:
    from specutils import Spectrum

    from mantis_astro.bands import BandLike

__all__ = ["synthetic_photometry"]

# From a photon-weighted integral of FLUX_UNIT over Angstrom, over an integral of the
# transmission over ln(wavelength), to nJy.
_NJY = (FLUX_UNIT * u.AA**2 / const.c).to(u.nJy)


def synthetic_photometry(
    spectra: Spectrum | Iterable[Spectrum],
    bands: Iterable[BandLike],
    *,
    min_coverage: float = 0.999,
    max_interpolated: float = 0.1,
) -> QTable:
    """
    Measure the flux that spectra have in bands.

    Parameters
    ----------
    spectra : `~specutils.Spectrum` or iterable of them
        Observed flux densities, per wavelength or frequency, along wavelength,
        frequency or energy, in either direction.
    bands : iterable of Band or str
        The bands; their filters are sedpy's.
    min_coverage : float, optional
        Part of a filter that the range of the spectrum must contain, from 0 to 1.
        Below that the flux is masked.
    max_interpolated : float, optional
        Part of a filter that may fall on bad pixels, which are interpolated over.
        Above that the flux is masked.

    Returns
    -------
    `~astropy.table.QTable`
        One row for each spectrum. For each band (``ps1.g`` becomes ``ps1_g``):
        ``flux_*`` and ``flux_err_*`` in nJy, masked where they are not known;
        ``coverage_*``, the part of the filter on good pixels; ``flags_*``. Then
        ``flags``, those of all bands together.

    Raises
    ------
    TypeError
        If an item is not a spectrum.
    `~astropy.units.UnitsError`
        If it is not a flux density along a wavelength, frequency or energy.
    ValueError
        If a spectrum has no good pixel, sedpy has no such filter, or a limit is not
        from 0 to 1.
    KeyError
        `~mantis_astro.exceptions.MissingBandError` for an unknown band.

    Notes
    -----
    The mean flux density per frequency, as a photon-counting detector weighs it
    (Bessell & Murphy 2012, PASP 124, 140, eq. A12), so that a spectrum which is flat
    in frequency has that flux in all bands. It holds for the transmission curves of
    sedpy, WISE's among them, which are detector signal per photon. Spectrum and
    transmission are taken to be linear between their points, and their product is
    integrated exactly. Errors are propagated pixel by pixel as independent; without
    an uncertainty the error is masked.

    Bad pixels (masked, not finite, or with an error that is not positive) are replaced
    by a straight line between their good neighbours.

    Flags of a band: NO_DATA, MISSING_* where the flux is masked; PARTIAL_COVERAGE where
    the spectrum contains less of the filter than ``min_coverage``; BAD_PIXELS where
    more than 1 % of the filter is interpolated.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from specutils import Spectrum
    >>> from mantis_astro import decode_flags
    >>> from mantis_astro.spectra import synthetic_photometry
    >>> wavelength = np.arange(3800, 9200) * u.AA
    >>> flat = Spectrum(flux=np.full(5400, 3.631) * u.uJy, spectral_axis=wavelength)
    >>> table = synthetic_photometry(flat, ["ps1.r", "ps1.y"])
    >>> table["flux_ps1_r"].round(1)
    <MaskedQuantity [3631.] nJy>
    >>> table["flux_ps1_y"]
    <MaskedQuantity [———] nJy>
    >>> decode_flags(table["flags_ps1_y"])
    [['NO_DATA', 'MISSING_PS1', 'PARTIAL_COVERAGE']]
    """
    for name, value in (
        ("min_coverage", min_coverage),
        ("max_interpolated", max_interpolated),
    ):
        if not 0 <= value <= 1:
            msg = f"'{name}' must be from 0 to 1, got {value}"
            raise ValueError(msg)
    bands = get_bands(bands)
    spectra = [spectra] if hasattr(spectra, "spectral_axis") else spectra
    limits = min_coverage, max_interpolated
    rows = [
        [_measure(pixels, band, limits) for band in bands]
        for pixels in map(get_pixels, spectra)
    ]
    return _make_table(rows, bands)


@dataclass(frozen=True)
class _Measured:
    """One spectrum in one band; NaN where not known."""

    flux: float  # nJy
    flux_err: float
    coverage: float
    flags: int


def _measure(pixels, band, limits):
    curve = get_filter(band)
    wavelength, transmission = curve.wavelength, curve.transmission
    good = pixels.good
    response = _response(wavelength, transmission, pixels.wavelength[good])
    total = _integrate_over_ln(wavelength, transmission)
    inside = response.inside / total
    interpolated = _interpolated(wavelength, transmission, pixels) / total
    flags = Flag(0)
    if inside < limits[0]:
        flags |= Flag.PARTIAL_COVERAGE
    if interpolated > Flag.BAD_PIXELS.threshold:
        flags |= Flag.BAD_PIXELS
    coverage = max(inside - interpolated, 0.0)
    if inside < limits[0] or interpolated > limits[1]:
        flags |= Flag.NO_DATA | missing_flag(band.survey)
        return _Measured(np.nan, np.nan, coverage, int(flags))
    weights = response.weights * _NJY.value / response.inside
    flux = weights @ pixels.flux[good]
    flux_err = np.sqrt(np.square(weights) @ np.square(pixels.std[good]))
    return _Measured(flux, flux_err, coverage, int(flags))


@dataclass(frozen=True)
class _Response:
    """How the good pixels of a spectrum enter the integral over a filter."""

    weights: np.ndarray  # of each pixel, for the integral of wavelength * flux * T
    inside: float  # integral of T over ln(wavelength) within the spectrum


def _response(filter_wavelength, transmission, wavelength):
    low = max(filter_wavelength[0], wavelength[0])
    high = min(filter_wavelength[-1], wavelength[-1])
    if low >= high:
        return _Response(np.zeros(wavelength.size), 0.0)
    nodes = np.concatenate([filter_wavelength, wavelength, [low, high]])
    nodes = np.unique(nodes[(nodes >= low) & (nodes <= high)])
    middle = (nodes[1:] + nodes[:-1]) / 2
    at_nodes, at_middle = (
        x * np.interp(x, filter_wavelength, transmission) for x in (nodes, middle)
    )
    # Simpson's rule, exact for products of three straight lines
    sixth = np.diff(nodes) / 6
    of_nodes = np.zeros(nodes.size)
    of_nodes[:-1] += sixth * (at_nodes[:-1] + 2 * at_middle)
    of_nodes[1:] += sixth * (at_nodes[1:] + 2 * at_middle)
    # each node lies between two pixels, on the line that joins them
    left = np.searchsorted(wavelength, nodes, side="right") - 1
    left = np.clip(left, 0, wavelength.size - 2)
    width = wavelength[left + 1] - wavelength[left]  # 0 of a pixel that comes twice
    part = np.where(width > 0, nodes - wavelength[left], 0) / np.where(width, width, 1)
    n = wavelength.size
    weights = np.bincount(left, of_nodes * (1 - part), n)
    weights += np.bincount(left + 1, of_nodes * part, n)
    inside = np.interp(nodes, filter_wavelength, transmission)
    return _Response(weights, _integrate_over_ln(nodes, inside))


def _integrate_over_ln(wavelength, transmission):
    """Integral of T over ln(wavelength), T linear in wavelength between points."""
    slope = np.diff(transmission) / np.diff(wavelength)
    start = transmission[:-1] - slope * wavelength[:-1]
    return float(np.sum(start * np.diff(np.log(wavelength)) + np.diff(transmission)))


def _interpolated(filter_wavelength, transmission, pixels):
    """Integral of T over ln(wavelength) on bad pixels between good ones."""
    ends = np.flatnonzero(pixels.good)[[0, -1]]
    inner = slice(ends[0], ends[1] + 1)
    wavelength, bad = pixels.wavelength[inner], ~pixels.good[inner]
    if not bad.any():
        return 0.0
    weight = np.interp(wavelength, filter_wavelength, transmission, left=0, right=0)
    return float((weight * np.gradient(np.log(wavelength)))[bad].sum())


def _make_table(rows, bands):
    table = QTable()
    together = np.zeros(len(rows), dtype=int)
    for i, band in enumerate(bands):
        measured = [row[i] for row in rows]
        name = column_suffix(band)
        for key in ("flux", "flux_err"):
            values = np.array([getattr(m, key) for m in measured], dtype=float)
            table[f"{key}_{name}"] = Masked(values * u.nJy, mask=np.isnan(values))
        table[f"coverage_{name}"] = np.array([m.coverage for m in measured], float)
        flags = np.array([m.flags for m in measured], dtype=int)
        table[f"flags_{name}"] = flags
        together |= flags & ~int(Flag.NO_DATA)
    absent = [all(m.flags & Flag.NO_DATA for m in row) for row in rows]
    table["flags"] = together | np.where(absent, int(Flag.NO_DATA), 0)
    return table
