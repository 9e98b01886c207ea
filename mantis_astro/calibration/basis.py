"""Columns that a smooth function of a few properties is linear in."""

import numpy as np

__all__ = ["AdditiveBasis"]

_ENDS = (0.01, 0.99)


class AdditiveBasis:
    """
    Constant, and for each property a piecewise-linear term and a missing term.

    Beyond the range of the galaxies it was made from (without a hundredth at either
    end) a property counts as that of the end: nothing is extrapolated. Galaxies of
    which a property is not known have a column of their own, the last, and zeros in
    all others.

    Parameters
    ----------
    low, high : array_like
        Range of each property, shape (n_property,).
    knots : array_like
        Where the lines bend, shape (n_knots, n_property).
    mean, scale : array_like
        Of the columns without the constant, shape (n_property * (1 + n_knots),).
    """

    def __init__(self, low, high, knots, mean=0.0, scale=1.0):
        self.low, self.high = np.asarray(low, float), np.asarray(high, float)
        self.knots = np.reshape(np.asarray(knots, float), (len(knots), len(low)))
        self.mean, self.scale = np.asarray(mean, float), np.asarray(scale, float)

    @classmethod
    def make(cls, properties, n_knots):
        """
        Choose range and bends after galaxies.

        Parameters
        ----------
        properties : `~numpy.ndarray`
            Finite, none constant, shape (n, n_property).
        n_knots : int
            Bends of each line, at quantiles.

        Returns
        -------
        AdditiveBasis
            Its columns have mean 0 and standard deviation 1 over these galaxies.
        """
        low, high = np.quantile(properties, _ENDS, axis=0)
        steps = np.arange(1, n_knots + 1) / (n_knots + 1)
        knots = np.quantile(properties, steps, axis=0)
        columns = cls(low, high, knots)._columns(properties)
        scale = columns.std(axis=0)
        scale[scale == 0] = 1.0  # a bend at the end of the range
        return cls(low, high, knots, columns.mean(axis=0), scale)

    @property
    def n_columns(self):
        """Number of columns of the design."""
        return 2 + self.knots.size + len(self.low)

    def design(self, properties):
        """
        Evaluate all columns.

        Parameters
        ----------
        properties : `~numpy.ndarray`
            Shape (n, n_property); NaN where not known.

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, n_columns).
        """
        known = np.isfinite(properties).all(axis=1)
        columns = np.zeros((len(properties), self.n_columns))
        columns[:, 0], columns[:, -1] = known, ~known
        columns[known, 1:-1] = (
            self._columns(properties[known]) - self.mean
        ) / self.scale
        return columns

    def _columns(self, properties):
        x = np.clip(properties, self.low, self.high)
        bends = [np.maximum(x - knot, 0) for knot in self.knots]
        return np.hstack([x, *bends])

    def to_plain(self):
        """
        Convert to values that JSON can store.

        Returns
        -------
        dict
            Keywords of the class.
        """
        names = ("low", "high", "knots", "mean", "scale")
        return {name: getattr(self, name).tolist() for name in names}
