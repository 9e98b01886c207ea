"""`LocalRecalibration`: a map of p(z) that depends on properties of galaxies."""

import warnings
from dataclasses import replace

import numpy as np

from mantis_astro import binned
from mantis_astro.binned import as_redshift
from mantis_astro.calibration.basis import AdditiveBasis
from mantis_astro.calibration.conditional import (
    N_TERMS,
    conditional_map,
    find_cells,
    fit_coefficients,
)
from mantis_astro.calibration.ladder import COMMON, climb, read_common
from mantis_astro.calibration.pit_map import PITRecalibration
from mantis_astro.calibration.recalibrator import check_fitted, remap, transformed
from mantis_astro.calibration.strength import choose_strength, penalty
from mantis_astro.calibration.truths import select_truths
from mantis_astro.exceptions import CalibrationWarning

__all__ = ["LocalRecalibration", "density_features"]

_MINIMUM = 50  # galaxies, of the global map
_PER_COEFFICIENT = 20  # galaxies that each coefficient wants


class LocalRecalibration:
    """
    Calibrate p(z) of each kind of galaxy, not only of all together.

    The distribution of PIT values, ``cdf(z_spec)``, is fitted as a smooth function of
    properties of the galaxies: magnitudes, colours, features of a network or, by
    default, where p(z) lies and how broad it is. Its cumulative distribution is the map
    that each p(z) goes through; a map common to all (`PITRecalibration`) mends what
    remains. Everything is pulled towards the identity, by a strength that is chosen on
    galaxies left out of the fit.

    Parameters
    ----------
    n_knots : int, optional
        Bends of the dependence on each property; 0 for linear. With fewer than 20
        galaxies a coefficient, linear is used.
    strengths : sequence of float, optional
        Strengths of the pull to choose from, in galaxies.
    n_folds : int, optional
        Folds of the cross-validation.
    tolerance : float, optional
        How much larger, at most, `sigma_nmad` of the median may become, as a share, on
        galaxies left out.
    shrinkage : float, optional
        Of the common map, see `PITRecalibration`.
    rng : int or `~numpy.random.Generator`, optional
        Seed of the folds.

    Attributes
    ----------
    is_local_ : bool
        Whether properties are used; False where what is common to all does as well.
    coefficients_ : `~numpy.ndarray`
        Shape (n_column, n_term); all zero if ``is_local_`` is False.
    strength_ : float
        Strength chosen; infinite if ``is_local_`` is False.
    validation_ : list of dict
        For each strength, on galaxies left out: ``gain`` of the mean log density of
        the PIT value over a map common to all, its standard error ``gain_err``, and
        ``sigma_nmad_ratio``, after over before.
    common_ : Recalibrator
        The map common to all, after the local one. If ``is_local_`` is False, a
        temperature, or a map if that predicts redshifts left out better.
    n_fit_ : int
        Number of galaxies it was fitted on.

    Notes
    -----
    The aim is that of Cal-PIT (Dey et al. 2022, arXiv:2205.14568), with a low-order
    exponential family in place of a network: ``g(u | x) ~ exp(sum_jk B_jk psi_j(x)
    phi_k(u))`` (Neyman 1937), which is exact for Gaussian p(z) of wrong place and
    width, convex to fit, and has the identity at B = 0. Published use of Cal-PIT cost
    point accuracy (`sigma_nmad` 0.0244 to 0.0282, Engel et al. 2025); here a strength
    that does so on galaxies left out is not taken.

    Examples
    --------
    Faint galaxies have p(z) half as wide as they should, bright ones twice:

    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.calibration import LocalRecalibration
    >>> from mantis_astro.metrics import coverage
    >>> rng = np.random.default_rng(1)
    >>> magnitude = rng.uniform(16, 22, 5000)
    >>> centre = rng.uniform(0.3, 0.7, 5000)
    >>> z_spec = rng.normal(centre, 0.04)
    >>> width = np.where(magnitude > 19, 0.02, 0.08)
    >>> pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 201), centre, width)
    >>> local = LocalRecalibration().fit(pdf, z_spec, features=magnitude)
    >>> after = local.transform(pdf, features=magnitude)
    >>> bright = magnitude < 18
    >>> round(coverage(pdf[bright], z_spec[bright], level=0.68), 2)
    0.96
    >>> abs(coverage(after[bright], z_spec[bright], level=0.68) - 0.68) < 0.03
    True
    """

    kind = "local"

    def __init__(
        self,
        *,
        n_knots=3,
        strengths=(3000.0, 300.0, 30.0, 3.0),
        n_folds=5,
        tolerance=0.02,
        shrinkage=3.0,
        rng=0,
    ):
        if n_knots < 0 or n_knots != int(n_knots):
            msg = f"'n_knots' must be a whole number, 0 or more, got {n_knots}"
            raise ValueError(msg)
        if not len(strengths) or not min(strengths) > 0:
            msg = f"'strengths' must be positive numbers, at least one, got {strengths}"
            raise ValueError(msg)
        if n_folds < 2:
            msg = f"'n_folds' must be at least 2, got {n_folds}"
            raise ValueError(msg)
        self.n_knots = int(n_knots)
        self.strengths = tuple(float(strength) for strength in strengths)
        self.n_folds = n_folds
        self.tolerance = tolerance
        self.shrinkage = shrinkage
        self.rng = rng

    def __repr__(self):
        return f"{type(self).__name__}(n_knots={self.n_knots})"

    def fit(self, pdf, z_spec, *, features=None, sample_weight=None):
        """
        Find the maps.

        Parameters
        ----------
        pdf : RedshiftPDF
            Densities, shape (n,).
        z_spec : array_like or `~astropy.units.Quantity`
            True redshifts, shape (n,); NaN or masked where there is none.
        features : array_like, optional
            Properties of the galaxies, shape (n,) or (n, n_property); NaN or masked
            where not known. By default those of `density_features`.
        sample_weight : array_like, optional
            Weight of each galaxy, shape (n,), for example towards another sample.

        Returns
        -------
        LocalRecalibration
            Itself.

        Raises
        ------
        ValueError
            If shapes do not match or fewer than 50 galaxies can be used.

        Warns
        -----
        CalibrationWarning
            If there is no local map, with the reason, and what is there in its place;
            if a property is
            constant; if true redshifts lie outside of the bins.
        """
        truths = select_truths(pdf, z_spec, sample_weight, minimum=_MINIMUM)
        properties = _properties(pdf, features)[truths.rows]
        self.given_features_ = features is not None
        self.n_property_ = properties.shape[1]
        self.n_fit_ = len(truths)
        reason = self._fit_local(truths, properties)
        self.is_local_ = not reason
        if reason:
            self.used_ = np.array([], int)
            self.basis_ = AdditiveBasis([], [], [])
            self.strength_ = np.inf
            self.coefficients_ = np.zeros((self.basis_.n_columns, N_TERMS))
            found = climb(
                COMMON, pdf, z_spec, sample_weight=sample_weight, rng=self.rng
            )
            self.common_ = found.recalibrator
            msg = f"there is no local map, but {self.note}: {reason}"
            warnings.warn(msg, CalibrationWarning, stacklevel=2)
            return self
        design = self.basis_.design(properties[:, self.used_])
        probability = binned.map_rows(self._local, truths.probability, design)
        after = replace(truths, probability=probability)
        self.common_ = PITRecalibration(shrinkage=self.shrinkage)
        self.common_._fit_truths(after)
        return self

    def _fit_local(self, truths, properties):
        """Find basis and coefficients; or the reason why there are none."""
        self.validation_ = []
        known = np.isfinite(properties).all(axis=1)
        if not known.any():
            return "there is no galaxy of which all properties are known"
        truths, properties = truths[known], properties[known]
        self.used_ = np.flatnonzero(np.ptp(properties, axis=0) > 0)
        if not len(self.used_):
            return "no property varies"
        if len(self.used_) < self.n_property_:
            constant = sorted({*range(self.n_property_)} - {*self.used_.tolist()})
            msg = f"properties that are constant are left out: {constant}"
            warnings.warn(msg, CalibrationWarning, stacklevel=3)
        properties = properties[:, self.used_]
        n = truths.weight.sum()
        n_knots = self.n_knots
        if n < _wanted(n_knots, properties):
            n_knots = 0
        if n < _wanted(n_knots, properties):
            wanted = _wanted(n_knots, properties)
            return f"a local one wants {wanted} galaxies, there are {n:.0f}"
        self.basis_ = AdditiveBasis.make(properties, n_knots)
        design = self.basis_.design(properties)
        cells = find_cells(truths.pit())
        self.strength_, reason, self.validation_ = choose_strength(
            truths,
            cells,
            design,
            strengths=self.strengths,
            n_folds=self.n_folds,
            tolerance=self.tolerance,
            rng=self.rng,
        )
        if not reason:
            self.coefficients_ = fit_coefficients(
                cells, design, truths.weight, penalty(design, self.strength_)
            )
            # a galaxy of which a property is not known may be any of them
            alike = np.ones((len(truths), 1))
            (self.coefficients_[-1],) = fit_coefficients(
                cells, alike, truths.weight, penalty(alike, 0.0)
            )
        return reason

    def _local(self, rows, design):
        return remap(rows, conditional_map(design, self.coefficients_))

    def transform(self, pdf, *, features=None):
        """
        Recalibrate.

        Parameters
        ----------
        pdf : RedshiftPDF
            Densities, shape (...), in any bins.
        features : array_like, optional
            The properties that `fit` was given, shape (...) or (..., n_property). A
            galaxy of which one is not known gets a map that is common to all.

        Returns
        -------
        RedshiftPDF
            A new object; rows flagged ``NO_DATA`` are unchanged, ``meta["PZCALIB"]``
            says what was done. Flags of shape (``BROAD``, ...) are not made anew.

        Raises
        ------
        ValueError
            If it is not fitted, or features were given to one of `fit` and `transform`
            only, or are not as many.
        """
        check_fitted(self, "common_")
        if (features is not None) != self.given_features_:
            was, now = ("with", "without") if features is None else ("without", "with")
            msg = f"'features': fit was called {was} them, transform {now}"
            raise ValueError(msg)
        properties = _properties(pdf, features)
        if properties.shape[1] != self.n_property_:
            msg = (
                f"'features' must have the {self.n_property_} properties that fit was "
                f"given, got {properties.shape[1]}"
            )
            raise ValueError(msg)
        if not self.is_local_:
            return self.common_.transform(pdf)
        design = self.basis_.design(properties[:, self.used_])
        common = self.common_._cdf()

        def both(rows, design):
            return remap(self._local(rows, design), common)

        return transformed(pdf, both, design, note=self.note)

    @property
    def note(self):
        """Result of the fit in a sentence, which `transform` adds to ``meta``."""
        check_fitted(self, "common_")
        if not self.is_local_:
            return self.common_.note
        n = len(self.used_)
        what = f"by {n} {'property' if n == 1 else 'properties'}"
        return f"PIT map {what}, fitted on {self.n_fit_} galaxies"

    def to_plain(self):
        """
        Convert to values that JSON can store.

        Returns
        -------
        dict
            `recalibrator_from_plain` takes it.
        """
        check_fitted(self, "common_")
        return {
            "recalibrator": self.kind,
            "n_knots": self.n_knots,
            "given_features_": self.given_features_,
            "n_property_": self.n_property_,
            "n_fit_": self.n_fit_,
            "used_": self.used_.tolist(),
            "strength_": self.strength_ if self.is_local_ else None,
            "validation_": self.validation_,
            "basis_": self.basis_.to_plain(),
            "coefficients_": self.coefficients_.tolist(),
            "common_": self.common_.to_plain(),
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
        LocalRecalibration
            Fitted.
        """
        self = cls(n_knots=plain["n_knots"])
        self.given_features_ = bool(plain["given_features_"])
        self.n_property_, self.n_fit_ = int(plain["n_property_"]), int(plain["n_fit_"])
        self.used_ = np.asarray(plain["used_"], int)
        self.is_local_ = plain["strength_"] is not None
        self.strength_ = plain["strength_"] if self.is_local_ else np.inf
        self.validation_ = [dict(choice) for choice in plain["validation_"]]
        self.basis_ = AdditiveBasis(**plain["basis_"])
        self.coefficients_ = np.asarray(plain["coefficients_"], float)
        self.common_ = read_common(plain["common_"])
        return self


def density_features(pdf):
    """
    Location and width of every p(z), as two properties.

    Parameters
    ----------
    pdf : RedshiftPDF
        Densities, shape (...).

    Returns
    -------
    `~numpy.ndarray`
        Shape (..., 2): the median, and the natural logarithm of half the width of the
        central 68 % interval over one plus the median.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.calibration import density_features
    >>> pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 1001), [0.5], 0.015)
    >>> median, log_width = density_features(pdf)[0]
    >>> round(float(median), 3), round(float(np.exp(log_width)), 4)  # 0.015 / 1.5
    (0.5, 0.0099)
    """
    low, median, high = np.moveaxis(
        as_redshift(pdf.to_quantiles([0.16, 0.5, 0.84])), -1, 0
    )
    return np.stack([median, np.log((high - low) / 2 / (1 + median))], axis=-1)


def _properties(pdf, features):
    """Properties of all galaxies, shape (n, n_property); NaN where not known."""
    if features is None:
        values = density_features(pdf)
    else:
        values = getattr(features, "value", features)  # of a Quantity
        if np.ma.isMA(values):
            values = values.astype(float).filled(np.nan)
        try:
            values = np.asarray(values, float)
        except (TypeError, ValueError):
            msg = f"'features' must be numbers, got {type(features).__name__}"
            raise ValueError(msg) from None
    if values.shape == pdf.shape:
        values = values[..., None]
    if values.shape[:-1] != pdf.shape or values.shape[-1] == 0:
        msg = (
            f"'features' must have shape {pdf.shape} or {(*pdf.shape, 'n_property')}, "
            f"got {values.shape}"
        )
        raise ValueError(msg)
    return values.reshape(-1, values.shape[-1])


def _wanted(n_knots, properties):
    """Galaxies that the coefficients want."""
    n_column = 1 + properties.shape[1] * (1 + n_knots)
    return _PER_COEFFICIENT * n_column * N_TERMS
