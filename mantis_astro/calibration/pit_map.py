"""`PITRecalibration`: one map of the cumulative distribution for all galaxies."""

from dataclasses import replace

import numpy as np
from scipy import special
from scipy.optimize import minimize

from mantis_astro import binned
from mantis_astro.calibration.floor import (
    fit_floor,
    floor_membership,
    floor_note,
    with_floor,
)
from mantis_astro.calibration.monotone import fit_map, map_through
from mantis_astro.calibration.recalibrator import check_fitted, remap, transformed
from mantis_astro.calibration.temperature import (
    TemperatureScaling,
    temperature_note,
    tempered,
    tempered_at_truth,
)
from mantis_astro.calibration.truths import select_truths

__all__ = ["PITRecalibration"]

_MINIMUM = 20  # galaxies
_METHODS = ("monotone", "beta")
_TINY = 1e-300
_ROUNDS = 3  # of the map, and of the share that is left to the floor


class PITRecalibration:
    """
    Send every cumulative distribution through one monotone map.

    If cdf(z_spec), the probability integral transform (PIT), has the cumulative
    distribution G, then G(cdf) is calibrated on average over the sample: wrong widths,
    a common bias and wrong tails are put right together.

    Parameters
    ----------
    method : {"monotone", "beta"}, optional
        A monotone cubic with nodes where galaxies are (at most 20 in the middle, more
        towards both ends) around the map of Gaussian p(z) of wrong place and width; or
        the cumulative beta distribution, with two parameters.
    shrinkage : float, optional
        Number of calibrated galaxies that are added to those given: pulls the map
        towards the identity. How far the monotone map may leave that of Gaussian p(z)
        is found beside it, by evidence.
    floor : bool, optional
        Whether to mix in a uniform density after the map, with a share that is fitted:
        redshifts that are anywhere are left to it, and do not bend the map.
    temperature : bool, optional
        Whether to apply the temperature that `TemperatureScaling` finds before the
        map, and a floor after: shrinks second peaks, which no map of the cumulative
        distribution can tell from first ones.

    Attributes
    ----------
    nodes_, values_ : `~numpy.ndarray`
        The map of ``"monotone"``, shape (n_nodes,): probabilities and those they are
        sent to, as quantiles of the normal distribution, for the tails' sake.
    a_, b_ : float
        Parameters of ``"beta"``; 1 and 1 are the identity.
    floor_ : float
        Share of the uniform density; 0 without ``floor`` and ``temperature``.
    temperature_ : float
        The temperature; 1 without ``temperature``.
    n_fit_ : int
        Number of galaxies it was fitted on.

    Notes
    -----
    Bordoloi, Lilly & Amara 2010, MNRAS 406, 881; beta calibration: Kull et al. 2017,
    AISTATS. Bins and total probability stay what they are. Within a bin p(z) remains
    constant, so the map is fitted by the likelihood of bins, not of points, which also
    suits p(z) that are a few bins wide.

    No map of the cumulative distribution creates probability where there was none: a
    floor does. Its share and the map are found in turn, each galaxy counting for the
    map by its probability not to be of the floor (expectation and maximisation:
    Dempster, Laird & Rubin 1977, J. R. Stat. Soc. B 39, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.calibration import PITRecalibration
    >>> from mantis_astro.metrics import coverage
    >>> rng = np.random.default_rng(1)
    >>> centre = rng.uniform(0.3, 0.7, 5000)
    >>> z_spec = rng.normal(centre + 0.01, 0.04)  # biased, and twice as far
    >>> pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 201), centre, 0.02)
    >>> after = PITRecalibration().fit(pdf, z_spec).transform(pdf)
    >>> round(coverage(pdf, z_spec, level=0.68), 2)
    0.36
    >>> abs(coverage(after, z_spec, level=0.68) - 0.68) < 0.02
    True
    """

    kind = "pit"

    def __init__(
        self, *, method="monotone", shrinkage=3.0, floor=False, temperature=False
    ):
        if method not in _METHODS:
            msg = f"'method' must be one of {', '.join(_METHODS)}, got {method!r}"
            raise ValueError(msg)
        if not shrinkage > 0:
            msg = f"'shrinkage' must be positive, got {shrinkage}"
            raise ValueError(msg)
        self.method = method
        self.shrinkage = shrinkage
        self.floor = floor
        self.temperature = temperature

    def __repr__(self):
        options = f"method={self.method!r}, shrinkage={self.shrinkage}"
        options += f", floor={self.floor}, temperature={self.temperature}"
        return f"{type(self).__name__}({options})"

    def fit(self, pdf, z_spec, *, sample_weight=None):
        """
        Find the map.

        Parameters
        ----------
        pdf : RedshiftPDF
            Densities, shape (n,).
        z_spec : array_like or `~astropy.units.Quantity`
            True redshifts, shape (n,); NaN or masked where there is none.
        sample_weight : array_like, optional
            Weight of each galaxy, shape (n,), for example towards another sample.

        Returns
        -------
        PITRecalibration
            Itself.

        Raises
        ------
        ValueError
            If shapes do not match or fewer than 20 galaxies can be used.

        Warns
        -----
        CalibrationWarning
            If true redshifts lie outside of the bins.
        """
        truths = select_truths(pdf, z_spec, sample_weight, minimum=_MINIMUM)
        return self._fit_truths(truths)

    def _fit_truths(self, truths):
        self.n_fit_, self.floor_, self.temperature_ = len(truths), 0.0, 1.0
        weight, widths = truths.weight, np.diff(truths.bin_edges)
        if not (self.floor or self.temperature):
            self._fit_map(truths.pit_intervals(), weight)
            return self
        scaling = TemperatureScaling(floor=True)._fit_truths(truths)
        belonging = floor_membership(
            tempered_at_truth(truths, scaling.temperature_), truths, scaling.floor_
        )
        if self.temperature:
            self.temperature_ = scaling.temperature_
            probability = binned.map_rows(
                lambda rows: tempered(rows, widths, self.temperature_),
                truths.probability,
            )
            truths = replace(truths, probability=probability)
        intervals = truths.pit_intervals()
        for _ in range(_ROUNDS):
            self._fit_map(intervals, weight * belonging)
            cdf = self._cdf()
            mass = 1 - cdf(intervals[:, 0], upper=False)
            mass -= cdf(intervals[:, 1], upper=True)
            density = np.maximum(mass, _TINY) / widths[truths.bins]
            self.floor_ = fit_floor(density, truths)
            belonging = floor_membership(density, truths, self.floor_)
        return self

    def _fit_map(self, intervals, weight):
        if self.method == "beta":
            self.a_, self.b_ = _fit_beta(intervals, weight, self.shrinkage)
        else:
            self.nodes_, self.values_ = fit_map(
                intervals, weight, shrinkage=self.shrinkage
            )

    def map(self, u):
        """
        Map cumulative probabilities.

        Parameters
        ----------
        u : array_like
            From 0 to 1.

        Returns
        -------
        `~numpy.ndarray`
            From 0 to 1, increasing with ``u``.

        Raises
        ------
        ValueError
            If it is not fitted.
        """
        check_fitted(self, "n_fit_")
        return self._cdf()(np.asarray(u, float), upper=False)

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
        check_fitted(self, "n_fit_")
        cdf, widths = self._cdf(), np.diff(pdf.bin_edges)

        def mapped(rows):
            if self.temperature:
                rows = tempered(rows, widths, self.temperature_)
            return with_floor(remap(rows, cdf), widths, self.floor_)

        return transformed(pdf, mapped, note=self.note)

    def _cdf(self):
        if self.method == "beta":
            return _beta_cdf(self.a_, self.b_)
        return map_through(self.nodes_, self.values_)

    @property
    def note(self):
        """Result of the fit in a sentence, which `transform` adds to ``meta``."""
        check_fitted(self, "n_fit_")
        first = f"{temperature_note(self.temperature_)}, " if self.temperature else ""
        has_floor = self.floor or self.temperature
        floor = floor_note(self.floor_) if has_floor else ""
        what = f"{first}PIT map ({self.method}){floor}"
        return f"{what}, fitted on {self.n_fit_} galaxies"

    def to_plain(self):
        """
        Convert to values that JSON can store.

        Returns
        -------
        dict
            `recalibrator_from_plain` takes it.
        """
        check_fitted(self, "n_fit_")
        options = {"method": self.method, "shrinkage": self.shrinkage}
        options |= {"floor": self.floor, "floor_": self.floor_}
        options |= {"temperature": self.temperature, "temperature_": self.temperature_}
        if self.method == "beta":
            fitted = {"a_": self.a_, "b_": self.b_}
        else:
            fitted = {"quantiles_": [self.nodes_.tolist(), self.values_.tolist()]}
        return {"recalibrator": self.kind, **options, **fitted, "n_fit_": self.n_fit_}

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
        PITRecalibration
            Fitted.
        """
        self = cls(
            method=plain["method"],
            shrinkage=plain["shrinkage"],
            floor=plain.get("floor", False),  # older files have neither
            temperature=plain.get("temperature", False),
        )
        self.floor_ = float(plain.get("floor_", 0.0))
        self.temperature_ = float(plain.get("temperature_", 1.0))
        if self.method == "beta":
            self.a_, self.b_ = float(plain["a_"]), float(plain["b_"])
        elif "nodes_" in plain:  # of older files: probabilities
            nodes, values = plain["nodes_"][1:-1], plain["values_"][1:-1]
            self.nodes_, self.values_ = (
                special.ndtri(np.asarray(u, float)) for u in (nodes, values)
            )
        else:
            self.nodes_, self.values_ = np.asarray(plain["quantiles_"], float)
        self.n_fit_ = int(plain["n_fit_"])
        return self


def _beta_cdf(a, b):
    def cdf(u, *, upper):
        return special.betainc(*((b, a) if upper else (a, b)), u)

    return cdf


def _fit_beta(intervals, weight, shrinkage):
    """Parameters of the beta distribution with the highest (penalised) likelihood."""
    below, above = intervals.T
    lower = below + above > 1  # nearer to the upper end: from there, digits are kept
    start = np.where(lower, above, below)
    end = np.where(lower, 1 - below, 1 - above)

    def loss(logs):
        a, b = np.exp(logs)
        first, second = np.where(lower, b, a), np.where(lower, a, b)
        mass = special.betainc(first, second, end) - special.betainc(
            first, second, start
        )
        penalty = shrinkage * np.sum(logs**2) / 2
        return penalty - np.sum(weight * np.log(np.maximum(mass, _TINY)))

    best = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-4})
    a, b = np.exp(best.x)
    return float(a), float(b)
