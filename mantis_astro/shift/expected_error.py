"""`ExpectedError`: expected error of a redshift that is read off neighbours."""

from typing import NamedTuple

import numpy as np

__all__ = ["ExpectedError"]

_FEWEST = 50  # objects to fit to
_ROUNDING = 1e-7  # of redshifts that are kept in single precision
_LEAST_SCATTER = 0.3  # of the median scatter: ten equal redshifts are no certainty


class ExpectedError(NamedTuple):
    """
    Expected error of a redshift, from its neighbours in a labelled sample.

    It grows where neighbours disagree (noise, or colours that several redshifts have)
    and where they are far: ``exp(constant) (scatter + floor)^a distance^b``.

    Attributes
    ----------
    constant : float
        Logarithm of the error at scatter and distance 1.
    scatter_power, distance_power : float
        a and b; not negative.
    floor : float
        Added to the scatter.
    """

    constant: float
    scatter_power: float
    distance_power: float
    floor: float

    @classmethod
    def fit(cls, near, z):
        """
        Fit the expected error to objects of known redshift.

        Parameters
        ----------
        near : Neighbourhood
            Of these objects, without themselves.
        z : `~numpy.ndarray`
            Their redshifts, shape (n,).

        Returns
        -------
        ExpectedError or None
            None if there are fewer than 50, or their neighbours know all redshifts.

        Notes
        -----
        Mean absolute errors of a log-linear model, by Poisson quasi-likelihood
        (McCullagh & Nelder 1989, Generalized Linear Models, section 9.2), which is
        consistent whatever the distribution of the errors.
        """
        from scipy.optimize import minimize  # every PhotoZ imports this module

        floor = _LEAST_SCATTER * float(np.median(near.scatter))
        error = np.abs(np.log1p(np.asarray(z, float)) - near.mean)
        if len(error) < _FEWEST or min(floor, error.mean()) < _ROUNDING:
            return None
        X = _terms(near, floor)
        scale = error.mean()

        def loss(beta):
            mean = np.exp(X @ beta)
            residual = mean - error / scale
            return np.mean(mean - error / scale * (X @ beta)), X.T @ residual / len(X)

        bounds = [(None, None), (0, None), (0, None)]
        found = minimize(loss, np.zeros(3), jac=True, method="L-BFGS-B", bounds=bounds)
        constant, *powers = map(float, found.x)
        return cls(constant + float(np.log(scale)), *powers, floor)

    def __call__(self, near):
        """
        Return the expected error.

        Parameters
        ----------
        near : Neighbourhood
            Of any objects.

        Returns
        -------
        `~numpy.ndarray`
            Mean of ``|delta ln(1 + z)|``, about ``|delta z| / (1 + z)``; shape (n,).
        """
        return np.exp(_terms(near, self.floor) @ np.array(self[:3]))


def _terms(near, floor):
    distance = np.maximum(near.distance, 1e-12)
    return np.column_stack(
        [np.ones_like(distance), np.log(near.scatter + floor), np.log(distance)]
    )
