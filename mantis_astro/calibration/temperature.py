"""`TemperatureScaling`: all p(z) broader or narrower by one number."""

import logging
import warnings

import numpy as np
from scipy.optimize import minimize_scalar

from mantis_astro import binned
from mantis_astro.calibration.floor import (
    fit_floor,
    floor_note,
    uniform_density,
    with_floor,
)
from mantis_astro.calibration.recalibrator import check_fitted, transformed
from mantis_astro.calibration.truths import log_density, select_truths
from mantis_astro.exceptions import CalibrationWarning

__all__ = ["TemperatureScaling", "temperature_note", "tempered", "tempered_at_truth"]

log = logging.getLogger(__name__)

_RANGE = 20.0  # temperatures from 1/20 to 20
_AT_BOUND = 0.02  # in ln T
_MINIMUM = 10  # galaxies for one or two numbers


class TemperatureScaling:
    """
    Raise every density to the power ``1/T`` and normalise it again.

    ``T > 1`` makes p(z) broader, ``T < 1`` narrower; the mode stays where it is. The
    temperature has the highest likelihood (log score) of the true redshifts.

    Parameters
    ----------
    floor : bool, optional
        Whether to mix in a uniform density as well, with a share that is fitted: what
        an honest p(z) keeps for catastrophic outliers.

    Attributes
    ----------
    temperature_ : float
        The temperature T.
    floor_ : float
        Share of the uniform density; 0 without ``floor``.
    n_fit_ : int
        Number of galaxies it was fitted on.

    Notes
    -----
    Guo et al. 2017 (arXiv:1706.04599), there on probabilities of classes; here on the
    density, with the true widths of the bins.

    Examples
    --------
    Gaussians of half the right width are broadened: a power of 1/4 doubles sigma.

    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.calibration import TemperatureScaling
    >>> rng = np.random.default_rng(1)
    >>> centre = rng.uniform(0.3, 0.7, 5000)
    >>> z_spec = rng.normal(centre, 0.04)
    >>> pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 201), centre, 0.02)
    >>> scaling = TemperatureScaling().fit(pdf, z_spec)
    >>> round(scaling.temperature_, 1)
    4.0
    >>> round(float(np.mean(scaling.transform(pdf).std())), 3)
    0.04
    """

    kind = "temperature"

    def __init__(self, *, floor=False):
        self.floor = floor

    def __repr__(self):
        return f"{type(self).__name__}(floor={self.floor})"

    def fit(self, pdf, z_spec, *, sample_weight=None):
        """
        Fit the temperature and, if requested, the floor.

        Parameters
        ----------
        pdf : RedshiftPDF
            Densities, shape (n,).
        z_spec : array_like or `~astropy.units.Quantity`
            True redshifts, shape (n,); NaN or masked where there is none.
        sample_weight : array_like, optional
            Weight of each galaxy, shape (n,), for example
            `mantis_astro.shift` weights towards another sample.

        Returns
        -------
        TemperatureScaling
            Itself.

        Raises
        ------
        ValueError
            If shapes do not match or fewer than 10 galaxies can be used.

        Warns
        -----
        CalibrationWarning
            If p(z) are zero at their true redshift, which no temperature can change, or
            true redshifts lie outside of the bins.
        """
        truths = select_truths(pdf, z_spec, sample_weight, minimum=_MINIMUM)
        if not self.floor:
            truths = _without_excluded(truths)
        self._fit_truths(truths)
        if _is_at_bound(self.temperature_):
            log.warning(
                "the temperature is at its bound, %.3g: these p(z) are wrong in more "
                "than their widths (units, offsets, another sample?)",
                self.temperature_,
            )
        return self

    def _fit_truths(self, truths):
        uniform = uniform_density(truths)

        def tempered_with_floor(log_temperature):
            density = tempered_at_truth(truths, np.exp(log_temperature))
            share = fit_floor(density, truths) if self.floor else 0.0
            mixed = (1 - share) * density + share * uniform
            return share, -np.sum(truths.weight * np.log(mixed))

        bound = np.log(_RANGE)
        best = minimize_scalar(
            lambda x: tempered_with_floor(x)[1],
            bounds=(-bound, bound),
            method="bounded",
            options={"xatol": 1e-3},
        )
        self.temperature_ = float(np.exp(best.x))
        self.floor_ = float(tempered_with_floor(best.x)[0])
        self.n_fit_ = len(truths)
        return self

    def transform(self, pdf):
        """
        Recalibrate.

        Parameters
        ----------
        pdf : RedshiftPDF
            Densities, shape (...), in any bins.

        Returns
        -------
        RedshiftPDF
            A new object; rows flagged ``NO_DATA`` are unchanged, ``meta["PZCALIB"]``
            says what was done. Flags of shape (``BROAD``, ...) are not made anew.

        Raises
        ------
        ValueError
            If it is not fitted.
        """
        check_fitted(self, "temperature_")
        widths = np.diff(pdf.bin_edges)

        def temper(rows):
            new = tempered(rows, widths, self.temperature_)
            return with_floor(new, widths, self.floor_)

        return transformed(pdf, temper, note=self.note)

    @property
    def note(self):
        """Result of the fit in a sentence, which `transform` adds to ``meta``."""
        check_fitted(self, "temperature_")
        floor = floor_note(self.floor_) if self.floor else ""
        what = f"{temperature_note(self.temperature_)}{floor}"
        return f"{what}, fitted on {self.n_fit_} galaxies"

    def to_plain(self):
        """
        Convert to values that JSON can store.

        Returns
        -------
        dict
            `recalibrator_from_plain` takes it.
        """
        check_fitted(self, "temperature_")
        return {
            "recalibrator": self.kind,
            "floor": self.floor,
            "temperature_": self.temperature_,
            "floor_": self.floor_,
            "n_fit_": self.n_fit_,
        }

    @classmethod
    def from_plain(cls, plain):
        """
        Create one from the output of `to_plain`.

        Parameters
        ----------
        plain : dict
            As `to_plain` gave it.

        Returns
        -------
        TemperatureScaling
            Fitted.
        """
        self = cls(floor=plain["floor"])
        self.temperature_ = float(plain["temperature_"])
        self.floor_ = float(plain["floor_"])
        self.n_fit_ = int(plain["n_fit_"])
        return self


def temperature_note(temperature):
    """
    Name a temperature, and say whether it is at the bound of what is tried.

    Parameters
    ----------
    temperature : float
        The temperature.

    Returns
    -------
    str
        To begin a sentence.
    """
    bound = " (at its bound)" if _is_at_bound(temperature) else ""
    return f"temperature {temperature:.4g}{bound}"


def _is_at_bound(temperature):
    return abs(np.log(temperature)) > np.log(_RANGE) - _AT_BOUND


def tempered(rows, widths, temperature):
    """
    Raise densities to a power.

    Parameters
    ----------
    rows : `~numpy.ndarray`
        Probabilities, shape (n, n_bins).
    widths : `~numpy.ndarray`
        Of the bins, shape (n_bins,).
    temperature : float
        One over the power.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n, n_bins); each row sums to 1.
    """
    weights = widths * np.exp(log_density(rows, widths) / temperature)
    return weights / weights.sum(axis=1, keepdims=True)


def tempered_at_truth(truths, temperature):
    """
    Density at each true redshift, after a temperature.

    Parameters
    ----------
    truths : Truths
        Galaxies.
    temperature : float
        The temperature.

    Returns
    -------
    `~numpy.ndarray`
        Per unit redshift, shape (n,).
    """
    widths = np.diff(truths.bin_edges)

    def at_truth(logs, bins):
        power = np.exp(logs / temperature)
        return power[np.arange(len(logs)), bins] / (power @ widths)

    return binned.map_rows(at_truth, truths.log_density, truths.bins)


def _without_excluded(truths):
    at_truth = truths.probability[np.arange(len(truths)), truths.bins]
    excluded = at_truth == 0
    if excluded.any():
        msg = (
            f"{excluded.sum()} of {len(truths)} p(z) are zero at their 'z_spec', which "
            "no temperature can change: they are left out; floor=True includes them"
        )
        warnings.warn(msg, CalibrationWarning, stacklevel=3)
    if excluded.all():
        msg = "every p(z) is zero at its 'z_spec': there is nothing to fit"
        raise ValueError(msg)
    return truths[~excluded]
