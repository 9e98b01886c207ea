"""
Least squares at every shift of the templates at once.

On a grid of ln(wavelength) a redshift is a shift, so each sum over pixels that the
normal equations need is, as a function of redshift, a correlation: one fast Fourier
transform instead of one sum for each redshift (as in Tonry & Davis 1979, but for
chi-square with errors and several templates). The polynomial is eliminated, and what
is left is solved without negative coefficients for all redshifts together.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mantis_astro.spectra.templates import STEP

# Templates are transformed in blocks of so many pixels, which spectra share.
_BLOCK = 256
_NOTHING = 1e-9  # sum of the root of a product: lines that do not overlap

__all__ = ["BinnedSpectrum", "ShiftedFit", "fit_shifts", "nonnegative_solve", "rebin"]


@dataclass(frozen=True)
class BinnedSpectrum:
    """
    A spectrum on the grid of ln(wavelength).

    Attributes
    ----------
    first : int
        First pixel of the grid; pixel ``i`` begins at ``i * STEP``.
    weight : ndarray
        Inverse variance in each pixel, 0 where there is no data, shape ``(n,)``.
    weighted : ndarray
        Sum of inverse variance times flux, shape ``(n,)``.
    """

    first: int
    weight: np.ndarray
    weighted: np.ndarray

    @property
    def flux(self):
        """Weighted mean of the flux, 0 where there is no data."""
        return self.weighted / np.where(self.weight > 0, self.weight, 1)

    @property
    def wavelength(self):
        """Centres of the pixels, Angstrom."""
        return np.exp((self.first + np.arange(self.weight.size) + 0.5) * STEP)


def rebin(wavelength, flux, ivar):
    """
    Resample a spectrum onto the grid; the sum of all weights is conserved.

    Parameters
    ----------
    wavelength : ndarray
        Angstrom, increasing, shape ``(n,)``.
    flux, ivar : ndarray
        Flux density and its inverse variance, 0 for bad pixels, shape ``(n,)``.

    Returns
    -------
    BinnedSpectrum
        A pixel that is shared by several of the grid is divided in proportion.
    """
    x = np.log(wavelength)
    middle = (x[1:] + x[:-1]) / 2
    edges = np.concatenate([[2 * x[0] - middle[0]], middle, [2 * x[-1] - middle[-1]]])
    first, last = int(np.floor(edges[0] / STEP)), int(np.ceil(edges[-1] / STEP))
    new_edges = np.arange(first, last + 1) * STEP
    weight, weighted = (
        np.diff(np.interp(new_edges, edges, np.concatenate([[0], np.cumsum(values)])))
        for values in (ivar, ivar * np.where(ivar > 0, flux, 0))
    )
    # differences of sums leave rounding errors where there is nothing
    empty = weight <= 1e-12 * weight.max()
    return BinnedSpectrum(
        first, np.where(empty, 0, weight), np.where(empty, 0, weighted)
    )


@dataclass(frozen=True)
class ShiftedFit:
    """
    Best fits at all shifts.

    Attributes
    ----------
    shifts : ndarray of int
        Pixels to the red, shape ``(n_shift,)``: ``ln(1 + z) / STEP``.
    gain : ndarray
        By how much the templates lower chi-square below that of the polynomial alone,
        shape ``(n_shift,)``.
    coefficients : ndarray
        Of the templates, not negative, shape ``(n_shift, n_template)``.
    polynomials : ndarray
        Shape ``(n_polynomial, n_pixel)``, orthonormal under the weights.
    """

    binned: BinnedSpectrum
    templates: object
    shifts: np.ndarray
    gain: np.ndarray
    coefficients: np.ndarray
    polynomials: np.ndarray

    def continuum(self):
        """
        Fit of the polynomial alone.

        Returns
        -------
        ndarray
            Shape ``(n_pixel,)``.
        """
        return (self.polynomials @ self.binned.weighted) @ self.polynomials

    def model(self, index):
        """
        Fit at one shift.

        Parameters
        ----------
        index : int
            Which of ``shifts``.

        Returns
        -------
        ndarray
            Templates and polynomial, shape ``(n_pixel,)``.
        """
        first = self.binned.first - self.shifts[index]
        n_pixel = self.binned.weight.size
        lines = self.coefficients[index] @ self.templates.on_pixels(
            first, first + n_pixel
        )
        rest = self.binned.weighted - self.binned.weight * lines
        return lines + (self.polynomials @ rest) @ self.polynomials


def fit_shifts(binned, templates, shifts, degree):
    """
    Fit templates and a polynomial at each shift.

    Parameters
    ----------
    binned : BinnedSpectrum
        The spectrum.
    templates : TemplateSet
        The templates.
    shifts : tuple of int
        First and last shift in pixels.
    degree : int
        Of the polynomial in ln(wavelength); -1 for none.

    Returns
    -------
    ShiftedFit
        The fits.
    """
    P = _orthonormal_polynomials(binned.weight, degree)  # (n_polynomial, n_pixel)
    A, b = _normal_equations(binned, templates, shifts, P)
    coefficients = nonnegative_solve(A, b)
    gain = 2 * np.einsum("ki,ki->k", coefficients, b)
    gain -= np.einsum("ki,ki->k", (A @ coefficients[..., None])[..., 0], coefficients)
    return ShiftedFit(
        binned, templates, np.arange(shifts[0], shifts[1] + 1), gain, coefficients, P
    )


def _orthonormal_polynomials(weight, degree):
    x = np.linspace(-1, 1, weight.size)
    basis = (
        np.polynomial.legendre.legvander(x, degree)
        if degree >= 0
        else np.empty((x.size, 0))
    )
    root = np.sqrt(weight)
    _, R = np.linalg.qr(basis * root[:, None])
    return np.linalg.solve(R.T, basis.T)


def _normal_equations(binned, templates, shifts, P):
    """Gram matrices (n_shift, n_t, n_t) and right sides (n_shift, n_t)."""
    from scipy import fft

    first = binned.first - shifts[1]
    last = binned.first - shifts[0] + binned.weight.size
    blocks = first // _BLOCK, -(-last // _BLOCK)
    of_T, of_TT, pairs, length = _transforms(templates, *blocks)
    n_t = len(of_T)
    n_shift = shifts[1] - shifts[0] + 1
    lag = first - blocks[0] * _BLOCK  # that of the largest shift

    def correlate(of_templates, of_data):
        lags = fft.irfft(of_templates * of_data, length)
        return lags[..., lag : lag + n_shift][..., ::-1]

    W, F = binned.weight, binned.weighted
    of_W, of_F = np.conj(fft.rfft([W, F], length))
    of_WP = np.conj(fft.rfft(W * P, length))
    TT = correlate(of_TT, of_W)
    A = np.zeros((n_shift, n_t, n_t))
    A[:, pairs[0], pairs[1]] = A[:, pairs[1], pairs[0]] = TT.T
    b = correlate(of_T, of_F).T
    PT = correlate(of_T[:, None], of_WP)  # (n_t, n_polynomial, n_shift)
    PT = np.ascontiguousarray(PT.transpose(2, 0, 1))
    A -= PT @ PT.transpose(0, 2, 1)
    return A, b - PT @ (P @ F)


@lru_cache(maxsize=4)
def _transforms(templates, first, last):
    """Fourier transforms of templates and of the products of those that overlap."""
    from scipy import fft

    T = templates.on_pixels(first * _BLOCK, last * _BLOCK)
    pairs = np.triu_indices(len(T))
    size = np.abs(T)
    overlaps = np.sqrt(size) @ np.sqrt(size).T > _NOTHING
    pairs = tuple(index[overlaps[pairs]] for index in pairs)
    # the lags that are wanted do not wrap around
    length = fft.next_fast_len(T.shape[1], real=True)
    of_TT = fft.rfft(T[pairs[0]] * T[pairs[1]], length)
    return fft.rfft(T, length), of_TT, pairs, length


def nonnegative_solve(A, b, *, max_iterations=60):
    """
    Minimise ``x A x / 2 - b x`` over ``x >= 0`` for many small problems together.

    Parameters
    ----------
    A : ndarray
        Symmetric positive semidefinite matrices, shape ``(n, m, m)``.
    b : ndarray
        Shape ``(n, m)``.
    max_iterations : int, optional
        After these, what is negative is cut off.

    Returns
    -------
    ndarray
        Shape ``(n, m)``. Unknowns that nothing constrains are 0.

    Notes
    -----
    Block principal pivoting (Kim & Park 2011, SIAM J. Sci. Comput. 33, 3261): all
    unknowns on the wrong side change sides at once, or the last one alone where that
    did not help three times. It ends at the exact solution, usually after 3 to 5
    rounds, each one call of a batched solver.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.spectra.least_squares import nonnegative_solve
    >>> nonnegative_solve(np.array([[[2.0, 1.0], [1.0, 2.0]]]), np.array([[1.0, -1.0]]))
    array([[0.5, 0. ]])
    """
    n, m = b.shape
    scale = np.sqrt(np.maximum(np.einsum("kii->ki", A), 0))
    # the mere tail of a line at the end of a spectrum is rounding errors
    used = scale > 1e-4 * scale.max(axis=1, initial=0, keepdims=True)
    scale = np.where(used, scale, 1)
    inverse = used / scale
    A = A * inverse[:, :, None]
    A *= inverse[:, None, :]
    unknown = np.arange(m)
    A[:, unknown, unknown] = 1 + 1e-9  # templates may be alike
    b = np.where(used, b / scale, -1)
    tolerance = 1e-9 * np.abs(b).max(axis=1, initial=0, keepdims=True)

    x = np.zeros_like(b)
    passive = b > 0
    fewest, patience = np.full(n, m + 1), np.full(n, 3)
    todo = np.arange(n)
    for _ in range(max_iterations):
        chosen = passive[todo]
        x[todo] = _solve_chosen(A, b, todo, chosen)
        of_todo = A if todo.size == n else A[todo]
        slope = (of_todo @ x[todo, :, None])[..., 0] - b[todo]
        wrong = np.where(chosen, x[todo], slope) < -tolerance[todo]
        count = wrong.sum(axis=1)
        better = count < fewest[todo]
        fewest[todo] = np.minimum(count, fewest[todo])
        patience[todo] = np.where(better, 3, patience[todo] - 1)
        alone = m - 1 - np.argmax(wrong[:, ::-1], axis=1)
        change = wrong & ((patience[todo] >= 0)[:, None] | (unknown == alone[:, None]))
        passive[todo] = chosen ^ change
        todo = todo[count > 0]
        if not todo.size:
            break
    return np.maximum(x, 0) / scale


def _solve_chosen(A, b, rows, chosen):
    """Solve some of the problems with the chosen unknowns, (n_row, m); others are 0."""
    x = np.zeros(chosen.shape)
    count = chosen.sum(axis=1)
    for size in np.unique(count[count > 0]):
        which = np.flatnonzero(count == size)[:, None]
        unknown = np.nonzero(chosen[which[:, 0]])[1].reshape(-1, size)
        row = rows[which]
        part = A[row[:, :, None], unknown[:, :, None], unknown[:, None, :]]
        x[which, unknown] = np.linalg.solve(part, b[row, unknown][..., None])[..., 0]
    return x
