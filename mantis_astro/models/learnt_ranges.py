"""Ranges of the measurements in the training set of a network of any bands."""

from typing import NamedTuple

import numpy as np
from astropy.table import QTable, Table

from mantis_astro.records import record

__all__ = ["QUANTITIES", "LearntRanges", "Measured"]

#: What is compared with the training, in each band.
QUANTITIES = ("magnitude", "depth", "colour")

_WORDS = {
    "magnitude": "magnitude {value:.1f}, learnt from {low:.1f} to {high:.1f}",
    "depth": "error as of {value:.1f} mag, learnt from {low:.1f} to {high:.1f} mag",
    "colour": "{value:+.1f} mag from the object's mean, learnt from {low:+.1f} to "
    "{high:+.1f}",
}
_EDGES = tuple(np.geomspace(0.1, 6.0, 13).round(4).tolist())  # micron
_LEVELS = 0.001, 0.16, 0.5, 0.84, 0.999
# What is added to the range between the outermost quantiles, as a part of it: networks
# go on well towards the bright end (SDSS at r = 13 with 5 % beyond 0.05), and not to
# colours that no galaxy has.
_BELOW = {"magnitude": 0.35, "depth": 0.35, "colour": 0.1}
_ABOVE = 0.1
_NEEDED = 0.35, 2.5  # micron: without a band beyond, or short of it, little is known
_FEWEST = 30  # measurements of a stretch of wavelengths, to call it learnt
_NOWHERE = (1.0, 0.0, 0.0, 0.0, -1.0)  # a range that nothing is in


class Measured(NamedTuple):
    """
    Measurements in the form that a network of any bands reads.

    Attributes
    ----------
    there : `~numpy.ndarray`
        Whether there is one, shape (n_object, n_slot); as all that follow.
    pivot : `~numpy.ndarray`
        Pivot wavelength of the filter, in micron.
    magnitude : `~numpy.ndarray`
        Asinh magnitude.
    depth : `~numpy.ndarray`
        AB magnitude of the error of the flux; NaN where it is not known.
    colour : `~numpy.ndarray`
        Magnitude minus the mean of the object's.
    """

    there: np.ndarray
    pivot: np.ndarray
    magnitude: np.ndarray
    depth: np.ndarray
    colour: np.ndarray

    @property
    def values(self):
        """Values of `QUANTITIES`, shape (n_quantity, n_object, n_slot)."""
        return np.stack([getattr(self, name) for name in QUANTITIES])


@record("learnt_ranges")
class LearntRanges:
    """
    Quantiles of the training set, by wavelength of the filters.

    Attributes
    ----------
    edges : tuple of float
        Edges of the stretches of wavelength, in micron.
    magnitude, depth, colour : tuple of tuple of float
        For each stretch, the quantiles 0.1, 16, 50, 84 and 99.9 % of `Measured`.
    fewest : int
        Fewest measurements of an object. One has no colour, and is outside always.
    bluest, reddest : float
        The longest wavelength that is the shortest of an object, and the shortest that
        is the longest of one, in micron.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.models.learnt_ranges import LearntRanges, Measured
    >>> mag = np.random.default_rng(0).normal(20, 1, (500, 2))
    >>> pivot = np.broadcast_to([0.48, 0.62], mag.shape)
    >>> learnt = LearntRanges.of(
    ...     Measured(np.ones_like(mag, bool), pivot, mag, mag + 3, mag - 20)
    ... )
    >>> learnt.fewest, learnt.bluest
    (2, 0.48)
    """

    edges: tuple = _EDGES
    magnitude: tuple = (_NOWHERE,) * (len(_EDGES) - 1)
    depth: tuple = (_NOWHERE,) * (len(_EDGES) - 1)
    colour: tuple = (_NOWHERE,) * (len(_EDGES) - 1)
    fewest: int = 1000
    bluest: float = 0.0
    reddest: float = 1000.0

    @classmethod
    def of(cls, measured, known=None):
        """
        Compute the ranges of some galaxies.

        Parameters
        ----------
        measured : Measured
            Of galaxies of the training.
        known : LearntRanges, optional
            Ranges from before, which are only made wider.

        Returns
        -------
        LearntRanges
            The ranges.
        """
        known = known or cls()
        there = measured.there
        place = _stretch(known.edges, measured.pivot)
        found = {}
        for name, values in zip(QUANTITIES, measured.values, strict=True):
            rows = list(getattr(known, name))
            for k in range(len(known.edges) - 1):
                chosen = values[there & (place == k) & np.isfinite(values)]
                if len(chosen) >= _FEWEST:
                    rows[k] = _wider(rows[k], np.quantile(chosen, _LEVELS).tolist())
            found[name] = tuple(rows)
        some = there.any(1)
        blue, red, number = _coverage(measured)
        low = _LEVELS[0]
        return cls(
            edges=known.edges,
            **found,
            fewest=min(known.fewest, int(np.quantile(number[some], low))),
            bluest=max(known.bluest, float(np.quantile(blue[some], 1 - low).round(4))),
            reddest=min(known.reddest, float(np.quantile(red[some], low).round(4))),
        )

    def outside(self, measured):
        """
        Find measurements outside the ranges of the training set.

        Parameters
        ----------
        measured : Measured
            Of any objects.

        Returns
        -------
        bands : `~numpy.ndarray`
            Whether each of `QUANTITIES` is outside, shape (n_object, n_slot,
            n_quantity).
        objects : `~numpy.ndarray`
            Whether there are too few measurements, or none at short, or none at long
            wavelengths, shape (n_object, 3).
        """
        low, high = self._limits(measured)
        with np.errstate(invalid="ignore"):
            outside = (measured.values < low) | (measured.values > high)
        blue, red, number = _coverage(measured)
        some = measured.there.any(1)
        fewest, bluest, reddest = self._needed
        objects = [number < fewest, blue > bluest, red < reddest]
        bands = np.moveaxis(outside & measured.there, 0, -1)
        return bands, np.stack(objects, 1) & some[:, None]

    def list_outside(self, measured, bands):
        """
        List measurements outside the ranges, with the reason in words.

        Parameters
        ----------
        measured : Measured
            Of any objects.
        bands : sequence of Band or str
            What its slots are, shape (n_slot,).

        Returns
        -------
        `~astropy.table.QTable`
            A line for each: ``row``, ``band``, ``quantity``, ``value``, ``low``,
            ``high`` and ``reason``.
        """
        outside, objects = self.outside(measured)
        low, high = self._limits(measured)
        lines = []
        for row, slot, k in np.argwhere(outside):
            name = QUANTITIES[k]
            facts = {
                "value": measured.values[k, row, slot],
                "low": low[k, row, slot],
                "high": high[k, row, slot],
            }
            reason = "no band near this wavelength was learnt"
            if facts["low"] < facts["high"]:
                reason = _WORDS[name].format(**facts)
            lines.append((row, str(bands[slot]), name, *facts.values(), reason))
        blue, red, number = _coverage(measured)
        fewest, bluest, reddest = self._needed
        for row, k in np.argwhere(objects):
            value, limit, reason = (
                (number, fewest, "{:.0f} measurements of {:.0f} at least"),
                (blue, bluest, "no band short of {:.2f} micron, needed to {:.2f}"),
                (red, reddest, "no band beyond {:.2f} micron, needed from {:.2f}"),
            )[k]
            value = float(value[row])
            quantity = ("number", "bluest", "reddest")[k]
            limits = (-np.inf, limit) if k == 1 else (limit, np.inf)
            lines.append(
                (row, "", quantity, value, *limits, reason.format(value, limit))
            )
        lines.sort(key=lambda line: line[0])
        names = ("row", "band", "quantity", "value", "low", "high", "reason")
        dtype = (int, str, str, float, float, float, str)
        if not lines:
            return QTable(names=names, dtype=dtype)
        return QTable(rows=lines, names=names)

    def compare(self, measured, bands):
        """
        Compare a sample with the training set, band by band.

        Parameters
        ----------
        measured : Measured
            Of the sample.
        bands : sequence of Band or str
            What its slots are, shape (n_slot,).

        Returns
        -------
        `~astropy.table.Table`
            A line for each band and quantity, the most different first: ``median`` of
            the sample, ``learnt_median``, ``shift`` between them in half widths of the
            central 68 % of what was learnt, and ``share_outside``.
        """
        outside, _ = self.outside(measured)
        place = _stretch(self.edges, measured.pivot)
        lines = []
        for slot, band in enumerate(bands):
            rows = measured.there[:, slot]
            if not rows.any():
                continue
            (stretch,) = np.unique(place[rows, slot])
            for k, name in enumerate(QUANTITIES):
                values = measured.values[k, rows, slot]
                values = values[np.isfinite(values)]
                _, low, middle, high, _ = getattr(self, name)[stretch]
                if not len(values) or not low < high:
                    continue
                median = float(np.median(values))
                shift = (median - middle) / (high - low) * 2
                share = float(outside[rows, slot, k].mean())
                lines.append((str(band), name, median, middle, shift, share))
        lines.sort(key=lambda line: -max(abs(line[4]), 5 * line[5]))
        names = ("band", "quantity", "median", "learnt_median", "shift")
        table = Table(
            rows=lines or None,
            names=(*names, "share_outside"),
            dtype=(str, str, float, float, float, float),
        )
        for name in table.colnames[2:]:
            table[name].info.format = ".3g"
        return table

    @property
    def _needed(self):
        """Fewest measurements, and the limits of an object's extreme wavelengths."""
        longest, shortest = _NEEDED
        return (
            max(self.fewest, 2),
            min(self.bluest, shortest),
            max(self.reddest, longest),
        )

    def _limits(self, measured):
        """Limits of each value, shape (n_quantity, n_object, n_slot) each."""
        place = _stretch(self.edges, measured.pivot)
        quantiles = np.array([getattr(self, name) for name in QUANTITIES])
        low, high = quantiles[..., 0], quantiles[..., -1]
        width = np.maximum(high - low, 0)
        below = [[_BELOW[name]] for name in QUANTITIES] * width
        return (low - below)[:, place], (high + _ABOVE * width)[:, place]


def _stretch(edges, pivot):
    """Find the stretch of each wavelength; the outermost ones have no end."""
    return np.clip(np.searchsorted(edges, pivot, "right") - 1, 0, len(edges) - 2)


def _wider(before, now):
    if before == _NOWHERE:
        return tuple(round(value, 3) for value in now)
    low, high = min(before[0], now[0]), max(before[-1], now[-1])
    return (round(low, 3), *before[1:-1], round(high, 3))


def _coverage(measured):
    """Shortest and longest wavelength and number of measurements of each object."""
    there, pivot = measured.there, measured.pivot
    shortest = np.where(there, pivot, np.inf).min(1, initial=np.inf)
    longest = np.where(there, pivot, -np.inf).max(1, initial=-np.inf)
    return shortest, longest, there.sum(1)
