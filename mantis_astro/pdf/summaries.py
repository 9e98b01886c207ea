"""Summaries of a density: its highest region, its peaks, its best point estimate."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np

from mantis_astro import binned

__all__ = ["Peaks", "find_peaks", "highest_bins", "minimize_risk", "risk_at", "runs"]


@dataclass(frozen=True)
class Peaks:
    """
    The peaks of each density, the most massive first.

    Attributes
    ----------
    number : int or ndarray of int
        How many peaks there are; the shape of the galaxies.
    z : `~astropy.units.Quantity`
        Centre of the highest bin of each peak, shape ``(..., n_peaks)``; masked where
        a galaxy has fewer.
    mass : `~astropy.units.Quantity`
        Probability of each peak, same shape and mask.
    """

    number: np.ndarray
    z: u.Quantity
    mass: u.Quantity

    @property
    def z_sec(self):
        """Redshift of the second peak, masked if there is only one."""
        return self.z[..., 1]

    @property
    def p_sec(self):
        """Probability of the second peak, masked if there is only one."""
        return self.mass[..., 1]


def highest_bins(bin_edges, probability, level):
    """
    Find the fewest bins of highest density that hold a given probability.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : ndarray
        Shape ``(n_row, n_bins)``.
    level : float
        Probability, between 0 and 1.

    Returns
    -------
    ndarray of bool
        Shape ``(n_row, n_bins)``. Of bins of equal density the lower comes first.
    """
    order = np.argsort(-probability / np.diff(bin_edges), axis=1, kind="stable")
    total = binned.cumulative(np.take_along_axis(probability, order, axis=1))
    needed = total[:, :-1] < level - 1e-12  # without it, rounding adds a whole bin
    inside = np.empty_like(needed)
    np.put_along_axis(inside, order, needed, axis=1)
    return inside


def runs(bin_edges, inside):
    """
    Find the connected pieces of a set of bins.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    inside : ndarray of bool
        Shape ``(n_bins,)``.

    Returns
    -------
    ndarray
        Shape ``(n_pieces, 2)``: lower and upper end of each.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.pdf.summaries import runs
    >>> runs(np.arange(5.0), np.array([True, True, False, True]))
    array([[0., 2.], [3., 4.]])
    """
    steps = np.diff(np.concatenate([[0], inside.astype(int), [0]]))
    return bin_edges[np.stack([np.flatnonzero(steps > 0), np.flatnonzero(steps < 0)])].T


def _turning_points(density, ratio):
    """
    Bins of the peaks and of the valleys between them, in turn; -1 beyond the last.

    A running maximum becomes a peak when the density has fallen to ``ratio`` of it; the
    running minimum after it becomes a valley when the density has risen to ``1/ratio``
    of it. So each peak stands out of the valleys beside it by that factor.
    """
    n_row, n_bins = density.shape
    found = np.full((n_row, n_bins + 1), -1)
    n_found = np.zeros(n_row, dtype=int)
    climbing = np.ones(n_row, dtype=bool)
    extreme, at = density[:, 0].copy(), np.zeros(n_row, dtype=int)
    for i, here in enumerate(np.ascontiguousarray(density.T)):
        further = np.where(climbing, here > extreme, here < extreme)
        extreme, at = np.where(further, here, extreme), np.where(further, i, at)
        fell = climbing & (here <= ratio * extreme)
        rose = ~climbing & (ratio * here >= extreme)
        turned = np.flatnonzero((fell | rose) & (here != extreme))
        if turned.size:
            found[turned, n_found[turned]] = at[turned]
            n_found[turned] += 1
            climbing[turned] ^= True
            extreme[turned], at[turned] = here[turned], i
    last = np.flatnonzero(climbing)
    found[last, n_found[last]] = at[last]
    n_found[last] += 1
    width = max(1, n_found.max(initial=1))
    return found[:, :width]


def find_peaks(bin_edges, probability, *, ratio, min_mass):
    """
    Find the peaks of each density with their probability.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : ndarray
        Shape ``(n_row, n_bins)``.
    ratio : float
        Depth of the valleys that part two peaks.
    min_mass : float
        Probability of the least peak that counts.

    Returns
    -------
    ndarray
        Shape ``(n_row, n_peaks, 2)``: redshift and probability, in decreasing order of
        probability; NaN where a row has fewer than ``n_peaks = 1 / min_mass``.
    """
    centres = (bin_edges[1:] + bin_edges[:-1]) / 2
    turns = _turning_points(probability / np.diff(bin_edges), ratio)
    peaks, valleys = turns[:, 0::2], turns[:, 1::2]
    total = binned.cumulative(probability)
    to_centre = (total[:, 1:] + total[:, :-1]) / 2
    cuts = np.ones((len(turns), peaks.shape[1] + 1))
    cuts[:, 0] = 0
    below = np.take_along_axis(to_centre, np.maximum(valleys, 0), axis=1)
    cuts[:, 1 : 1 + valleys.shape[1]] = np.where(valleys < 0, 1, below)
    mass = np.diff(cuts, axis=1)

    n_peaks = max(2, int(1 / min_mass))
    order = np.argsort(-mass, axis=1, kind="stable")[:, :n_peaks]
    mass = np.take_along_axis(mass, order, axis=1)
    z = centres[np.take_along_axis(peaks, order, axis=1)]
    counts = mass >= min_mass
    counts[:, 0] = True
    answer = np.full((len(mass), n_peaks, 2), np.nan)
    answer[:, : mass.shape[1], 0] = np.where(counts, z, np.nan)
    answer[:, : mass.shape[1], 1] = np.where(counts, mass, np.nan)
    return answer


def _gain(bin_edges, z, gamma):
    """
    Mean of ``1 / (1 + (dz / gamma)**2)`` over each bin, ``dz = (z - z') / (1 + z')``.

    With ``x = 1 + z'`` and ``a = 1 + z`` the integrand is ``gamma**2 x**2 / D``,
    ``D = (1 + gamma**2) x**2 - 2 a x + a**2``, which has the integral below.
    """
    a = 1 + z[..., None]
    x = 1 + bin_edges
    s = 1 + gamma**2
    log = a / s * np.log(s * x**2 - 2 * a * x + a**2)
    angle = (2 * a / s - a) / gamma * np.arctan((s * x - a) / (a * gamma))
    integral = gamma**2 / s * (x + log + angle)
    return np.diff(integral, axis=-1) / np.diff(bin_edges)


def risk_at(bin_edges, probability, z, gamma):
    """
    Return the expected loss of given point estimates.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    probability : ndarray
        Shape ``(n_row, n_bins)``.
    z : ndarray
        Shape ``(n_row, n_z)``.
    gamma : float
        Width of the loss.

    Returns
    -------
    ndarray
        Shape ``(n_row, n_z)``.
    """
    columns = [
        1 - np.einsum("ij,ij->i", probability, _gain(bin_edges, column, gamma))
        for column in z.T
    ]
    return np.stack(columns, axis=-1)


def minimize_risk(bin_edges, gamma):
    """
    Prepare the search for the point estimate of least risk.

    The risk is worked out on a grid even in ``ln(1 + z)``, in which the loss is the
    same curve everywhere, in steps of ``gamma / 25`` and one beyond either end, as the
    minimum may lie nearer to it than that. A parabola through each lowest point and
    its neighbours gives each minimum to about ``1e-5 (1 + z)``, and the least of the
    minima is taken.

    Parameters
    ----------
    bin_edges : ndarray
        Shape ``(n_bins + 1,)``.
    gamma : float
        Width of the loss.

    Returns
    -------
    callable
        Takes rows of probability ``(n_row, n_bins)``, returns redshifts ``(n_row,)``.
    """
    low, high = np.log1p(bin_edges[[0, -1]])
    n = 2 + int(25 * (high - low) / gamma)
    grid = low + (high - low) / n * np.arange(-1, n + 2)
    gain = _gain(bin_edges, np.expm1(grid), gamma).T  # (n_bins, n_grid)

    def _best(probability):
        risk = 1 - binned.multiply_rows(probability, gain)  # (n_row, n_grid)
        slope = (risk[:, 2:] - risk[:, :-2]) / 2
        bend = risk[:, 2:] - 2 * risk[:, 1:-1] + risk[:, :-2]
        is_minimum = np.abs(slope) <= bend / 2  # lower than both neighbours
        step = np.zeros_like(risk)
        np.divide(-slope, bend, out=step[:, 1:-1], where=is_minimum & (bend > 0))
        risk[:, 1:-1] += slope * step[:, 1:-1] / 2  # the parabola's own lowest value
        lowest = np.argmin(risk, axis=1)
        step = np.take_along_axis(step, lowest[:, None], axis=1)[:, 0]
        z = np.expm1(grid[lowest] + step * (grid[1] - grid[0]))
        return np.clip(z, bin_edges[0], bin_edges[-1])

    return _best
