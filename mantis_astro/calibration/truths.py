"""Input of the fit of a recalibrator, from p(z), true redshifts and weights."""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mantis_astro import binned
from mantis_astro.binned import true_redshift
from mantis_astro.exceptions import CalibrationWarning
from mantis_astro.flags import has_data

__all__ = ["Truths", "log_density", "select_truths"]


@dataclass(frozen=True)
class Truths:
    """
    Galaxies with p(z), a true redshift inside of its bins, and a weight.

    Attributes
    ----------
    rows : `~numpy.ndarray`
        Their indices among the galaxies given, shape (n,).
    bin_edges : `~numpy.ndarray`
        Edges of the redshift bins, shape (n_bins + 1,).
    probability : `~numpy.ndarray`
        Shape (n, n_bins).
    z_spec : `~numpy.ndarray`
        True redshifts, shape (n,).
    weight : `~numpy.ndarray`
        Weights whose sum is the effective number of galaxies, shape (n,).
    """

    rows: np.ndarray
    bin_edges: np.ndarray
    probability: np.ndarray
    z_spec: np.ndarray
    weight: np.ndarray

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, some):
        return Truths(
            self.rows[some],
            self.bin_edges,
            self.probability[some],
            self.z_spec[some],
            self.weight[some],
        )

    @property
    def bins(self):
        """Bin of each true redshift, shape (n,)."""
        last = len(self.bin_edges) - 2
        return np.clip(
            np.searchsorted(self.bin_edges, self.z_spec, side="right") - 1, 0, last
        )

    @cached_property
    def log_density(self):
        """Logarithm of each density over its largest, shape (n, n_bins)."""
        return binned.map_rows(
            lambda rows: log_density(rows, np.diff(self.bin_edges)), self.probability
        )

    def pit(self):
        """
        Probability below each true redshift.

        Returns
        -------
        `~numpy.ndarray`
            From 0 to 1, shape (n,).
        """
        return binned.map_rows(
            lambda rows, z: binned.cdf(self.bin_edges, rows, z[:, None])[:, 0],
            self.probability,
            self.z_spec,
        )

    def pit_intervals(self):
        """
        Probability below, and above, the bin of each true redshift.

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, 2): below the lower edge, above the upper edge.
        """

        def bounds(rows, bins):
            row = np.arange(len(rows))
            below = binned.cumulative(rows)[row, bins]
            above = binned.cumulative(rows[:, ::-1])[row, rows.shape[1] - 1 - bins]
            return np.stack([below, above], axis=1)

        return binned.map_rows(bounds, self.probability, self.bins)


def log_density(rows, widths):
    """
    Logarithm of each density over its largest.

    Parameters
    ----------
    rows : `~numpy.ndarray`
        Probabilities, shape (n, n_bins).
    widths : `~numpy.ndarray`
        Of the bins, shape (n_bins,).

    Returns
    -------
    `~numpy.ndarray`
        Not above 0, shape (n, n_bins).
    """
    with np.errstate(divide="ignore"):  # no probability stays no probability
        values = np.log(rows / widths)
    values -= values.max(axis=1, keepdims=True)
    return values


def select_truths(pdf, z_spec, sample_weight, *, minimum):
    """
    Check the input of a recalibrator, and exclude galaxies that cannot be used.

    Parameters
    ----------
    pdf : RedshiftPDF
        Densities, shape (n,).
    z_spec : array_like or `~astropy.units.Quantity`
        True redshifts, shape (n,); NaN or masked where there is none.
    sample_weight : array_like or None
        Weights, shape (n,), not negative.
    minimum : int
        Effective number of galaxies, ``(sum w)^2 / sum w^2``, that is asked for.

    Returns
    -------
    Truths
        Without rows that have no z_spec, one outside of the bins, no weight, or the
        flag ``NO_DATA``.

    Raises
    ------
    ValueError
        If shapes do not match, a weight is negative or not finite, or too few galaxies
        remain.

    Warns
    -----
    CalibrationWarning
        If true redshifts lie outside of the bins.
    """
    if not hasattr(pdf, "probability") or np.ndim(pdf.probability) != 2:
        got = getattr(pdf, "shape", type(pdf))
        msg = f"'pdf' must be a RedshiftPDF of shape (n,), got {got}"
        raise ValueError(msg)
    n = len(pdf)
    z = true_redshift(z_spec)
    weight = np.ones(n) if sample_weight is None else np.asarray(sample_weight, float)
    for name, values in (("z_spec", z), ("sample_weight", weight)):
        if values.shape != (n,):
            msg = (
                f"'{name}' must have one value for each of {n} p(z), got shape "
                f"{values.shape}"
            )
            raise ValueError(msg)
    if not np.all(np.isfinite(weight) & (weight >= 0)):
        fault = weight[~(np.isfinite(weight) & (weight >= 0))][0]
        msg = f"'sample_weight' must be finite and not negative, got {fault}"
        raise ValueError(msg)
    edges = np.asarray(pdf.bin_edges)
    inside = (z >= edges[0]) & (z <= edges[-1])
    outside = int(np.sum(~inside & ~np.isnan(z)))
    if outside:
        msg = (
            f"{outside} of {n} 'z_spec' lie outside of the redshift bins, "
            f"{edges[0]:g} to {edges[-1]:g}: they are left out, no recalibration can "
            "reach them"
        )
        warnings.warn(msg, CalibrationWarning, stacklevel=3)
    rows = np.flatnonzero(inside & has_data(np.ravel(pdf.flags)) & (weight > 0))
    weight = weight[rows]
    effective = weight.sum() ** 2 / np.sum(weight**2) if rows.size else 0.0
    if effective < minimum:
        msg = (
            f"at least {minimum} galaxies with a 'z_spec' in the bins are needed, got "
            f"{rows.size} of {n}"
        )
        if effective < rows.size - 0.5:
            msg += f", with weights that correspond to {effective:.0f}"
        raise ValueError(msg)
    weight = weight * (effective / weight.sum())
    return Truths(rows, edges, np.asarray(pdf.probability)[rows], z[rows], weight)
