"""Selection of the galaxies of each step, and of those held out."""

import numpy as np

from mantis_astro.exceptions import InputSpecError

__all__ = ["Sampler", "class_balance", "lots_by_sky", "smooth_n_of_z", "split_by_sky"]

_PARTS = ("train", "validation", "test")


class Sampler:
    """
    Rows of a table, step by step, from the seed and the number of the step alone.

    Parameters
    ----------
    n : int
        Number of rows.
    seed : int
        Of the order.
    chances : `~numpy.ndarray`, optional
        Chance of each row; rows are then drawn with replacement. Without it every row
        comes once in each pass, in a new order.

    Examples
    --------
    >>> from mantis_astro.training.batches.sampling import Sampler
    >>> sampler = Sampler(6, seed=1)
    >>> sorted(sampler.draw(0, 3).tolist() + sampler.draw(1, 3).tolist())  # one pass
    [0, 1, 2, 3, 4, 5]
    """

    def __init__(self, n, *, seed, chances=None):
        self.n, self.seed = n, seed
        self._cumulative = None
        if chances is not None:
            self._cumulative = np.cumsum(chances) / np.sum(chances)
        self._order = (-1, None)  # the pass, and its order

    def draw(self, step, batch_size):
        """
        Draw the rows of a step.

        Parameters
        ----------
        step : int
            Its number.
        batch_size : int
            How many rows.

        Returns
        -------
        `~numpy.ndarray` of int
            Shape (batch_size,).
        """
        if self._cumulative is not None:
            u = np.random.default_rng([self.seed, step]).random(batch_size)
            return np.searchsorted(self._cumulative, u, side="right")
        at = np.arange(step * batch_size, (step + 1) * batch_size)
        passes, places = at // self.n, at % self.n
        rows = np.empty(batch_size, int)
        for number in np.unique(passes):
            here = passes == number
            rows[here] = self._order_of(int(number))[places[here]]
        return rows

    def _order_of(self, number):
        if self._order[0] != number:
            rng = np.random.default_rng([self.seed, number])
            self._order = (number, rng.permutation(self.n))
        return self._order[1]


def class_balance(z, z_edges):
    """
    Probabilities of galaxies that make each redshift bin equally frequent.

    Parameters
    ----------
    z : `~numpy.ndarray`
        Redshifts, shape (n,).
    z_edges : `~numpy.ndarray`
        Edges of the bins.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n,), with sum 1; a bin without galaxies cannot come.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.training.batches.sampling import class_balance
    >>> class_balance(np.array([0.1, 0.2, 0.3, 0.7]), np.array([0, 0.5, 1]))
    array([0.16666667, 0.16666667, 0.16666667, 0.5       ])
    """
    bins = np.searchsorted(z_edges, z, side="right") - 1
    count = np.bincount(bins, minlength=len(z_edges) - 1)
    return 1 / count[bins] / np.count_nonzero(count)


def smooth_n_of_z(z, z_edges, weights=None):
    """
    Estimate the n(z) that galaxies were drawn from.

    Their histogram is smoothed in ln(1 + z) by a Gaussian, half as wide as the rule of
    Scott (1992) has it, since an n(z) may have several peaks; and one galaxy more is
    spread evenly over the bins, so that none is impossible.

    Parameters
    ----------
    z : `~numpy.ndarray`
        Redshifts within the bins, shape (n,).
    z_edges : `~numpy.ndarray`
        Edges of the bins, shape (n_bins + 1,).
    weights : `~numpy.ndarray`, optional
        Weight of each galaxy, shape (n,).

    Returns
    -------
    `~numpy.ndarray`
        Share of galaxies in each bin, shape (n_bins,), sum 1, nowhere 0.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.training.batches.sampling import smooth_n_of_z
    >>> smooth_n_of_z(np.full(7, 0.2), np.array([0, 0.5, 1, 1.5])).round(3)
    array([0.917, 0.042, 0.042])
    """
    from scipy.special import ndtr

    weights = np.ones(len(z)) if weights is None else weights
    n = weights.sum() ** 2 / np.maximum((weights**2).sum(), 1e-30)
    x = np.log1p(z)
    mean = np.average(x, weights=weights)
    std = np.sqrt(np.average((x - mean) ** 2, weights=weights))
    width = np.maximum(0.5 * std * n**-0.2, 1e-6)
    edges = np.log1p(z_edges)
    centres = (edges[1:] + edges[:-1]) / 2
    kernel = np.diff(ndtr((edges - centres[:, None]) / width))  # (n_bins, n_bins)
    kernel /= kernel.sum(axis=1, keepdims=True)
    counts = np.histogram(z, z_edges, weights=weights)[0] @ kernel
    counts = n * counts / counts.sum() + 1 / len(counts)
    return counts / counts.sum()


def split_by_sky(coord, *, nside=64, shares=(0.8, 0.1, 0.1), seed=0):
    """
    Divide galaxies into training, validation and test, whole sky pixels at a time.

    A split by row puts a galaxy and its neighbours, whose cutouts overlap, and galaxies
    observed twice on both sides.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord`
        Positions, shape (n,).
    nside : int, optional
        Of the HEALPix pixels, a power of 2; those of 64 are 55 arcmin wide.
    shares : tuple of float, optional
        Shares of the sky for the three parts, with sum 1.
    seed : int, optional
        The same pixel goes to the same part for the same seed, whatever the table.

    Returns
    -------
    `~numpy.ndarray` of str
        ``"train"``, ``"validation"`` or ``"test"`` for each, shape (n,).

    Raises
    ------
    ValueError
        If the shares do not add up to 1.

    Examples
    --------
    >>> from astropy.coordinates import SkyCoord
    >>> from mantis_astro.training import split_by_sky
    >>> coord = SkyCoord([10.0, 10.0, 200.0], [1.0, 1.0001, 30.0], unit="deg")
    >>> parts = split_by_sky(coord)
    >>> parts[0] == parts[1]
    True
    """
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        msg = f"'shares' must be three shares with sum 1, got {shares}"
        raise InputSpecError(msg)
    u = lots_by_sky(coord, nside=nside, seed=seed)
    part = np.searchsorted(np.cumsum(shares)[:2], u, side="right")
    return np.array(_PARTS)[part]


def lots_by_sky(coord, *, nside, seed):
    """
    Draw a number for each galaxy, the same for all of a sky pixel.

    Parameters
    ----------
    coord : `~astropy.coordinates.SkyCoord`
        Positions, shape (n,).
    nside : int
        Of the HEALPix pixels.
    seed : int
        The same pixel has the same number for the same seed, whatever the table.

    Returns
    -------
    `~numpy.ndarray`
        From 0 to 1, shape (n,).
    """
    from astropy_healpix import HEALPix

    pixel = HEALPix(nside, order="nested", frame="icrs").skycoord_to_healpix(coord)
    return _hashed(pixel.astype(np.uint64), seed)


def _hashed(numbers, seed):
    """Convert numbers to even ones from 0 to 1, each by itself (splitmix64)."""
    x = numbers + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
