"""`BestRecalibration`: the kind of recalibration that held-out galaxies favour."""

from mantis_astro.calibration.ladder import COMMON, climb, read_common
from mantis_astro.calibration.local import LocalRecalibration
from mantis_astro.calibration.recalibrator import check_fitted
from mantis_astro.calibration.truths import select_truths

__all__ = ["BestRecalibration"]

_MINIMUM = 20  # galaxies
_FOR_MAP, _FOR_LOCAL = 40, 360  # that the fits of the cross-validation have


class BestRecalibration:
    """
    Recalibration that best predicts held-out redshifts; the one to start with.

    A temperature, a map common to all galaxies, both one after the other, and a local
    map are tried in this order, all but the last with a floor, on galaxies left out of
    their fits. Each has more freedom than the one before, and is taken only if the mean
    log score of the galaxies left out rises by more than its standard error. The
    temperature needs no such proof: it costs calibrated p(z) next to nothing, and
    others need it where a few dozen galaxies cannot prove it.

    Parameters
    ----------
    n_folds : int, optional
        Folds of the cross-validation.
    rng : int or `~numpy.random.Generator`, optional
        Seed of the folds.

    Attributes
    ----------
    chosen_ : str
        ``"temperature"``, ``"pit"``, ``"tempered pit"`` or ``"local"``.
    recalibrator_ : Recalibrator
        What was chosen, fitted on all galaxies.
    gains_ : dict of str to tuple
        For each one tried: gain of the mean log score on galaxies left out, over p(z)
        as they are, and its standard error.
    held_out_ : RedshiftPDF
        The p(z) given, each recalibrated as chosen by a fit that has not seen it: for
        `report_calibration`. Only where it was fitted, not in what was read.
    n_fit_ : int
        Number of galaxies it was fitted on.

    Notes
    -----
    One galaxy in a thousand may have any redshift, so that a single outlier does not
    decide. A local map is tried from some 450 galaxies on, a common one from 50.

    Examples
    --------
    Gaussians of half the right width need no more than a temperature:

    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.calibration import BestRecalibration
    >>> rng = np.random.default_rng(1)
    >>> centre = rng.uniform(0.3, 0.7, 300)
    >>> z_spec = rng.normal(centre, 0.04)
    >>> pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 201), centre, 0.02)
    >>> best = BestRecalibration().fit(pdf, z_spec)
    >>> best.chosen_
    'temperature'
    """

    kind = "best"

    def __init__(self, *, n_folds=5, rng=0):
        if n_folds < 2:
            msg = f"'n_folds' must be at least 2, got {n_folds}"
            raise ValueError(msg)
        self.n_folds = n_folds
        self.rng = rng

    def __repr__(self):
        return f"{type(self).__name__}(n_folds={self.n_folds})"

    def fit(self, pdf, z_spec, *, features=None, sample_weight=None, groups=None):
        """
        Choose a recalibration and fit it.

        Parameters
        ----------
        pdf : RedshiftPDF
            Densities, shape (n,).
        z_spec : array_like or `~astropy.units.Quantity`
            True redshifts, shape (n,); NaN or masked where there is none.
        features : array_like, optional
            Properties for the local map, see `LocalRecalibration`.
        sample_weight : array_like, optional
            Weight of each galaxy, shape (n,), for example towards another sample.
        groups : array_like, optional
            Galaxies of one group are left out together, shape (n,), see `out_of_fold`;
            unless one group has more than its share of a fold.

        Returns
        -------
        BestRecalibration
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
        n = truths.weight.sum() * (1 - 1 / self.n_folds)
        names = list(COMMON) if n >= _FOR_MAP else list(COMMON)[:1]
        ladder = {name: COMMON[name] for name in names}
        if n >= _FOR_LOCAL:
            ladder[LocalRecalibration.kind] = LocalRecalibration
        found = climb(
            ladder,
            pdf,
            z_spec,
            features=features,
            sample_weight=sample_weight,
            groups=groups,
            n_folds=self.n_folds,
            rng=self.rng,
        )
        self.chosen_, self.recalibrator_, self.held_out_, self.gains_ = found
        self.n_fit_ = len(truths)
        return self

    def transform(self, pdf, *, features=None):
        """
        Recalibrate.

        Parameters
        ----------
        pdf : RedshiftPDF
            Densities, shape (...), in any bins.
        features : array_like, optional
            The properties that `fit` was given, if it was.

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
        check_fitted(self, "chosen_")
        more = {"features": features} if self.given_features_ else {}
        return self.recalibrator_.transform(pdf, **more)

    @property
    def given_features_(self):
        """Whether the chosen recalibration uses the properties given to `fit`."""
        check_fitted(self, "chosen_")
        return getattr(self.recalibrator_, "given_features_", False)

    @property
    def note(self):
        """Result of the fit in a sentence, which `transform` adds to ``meta``."""
        check_fitted(self, "chosen_")
        return self.recalibrator_.note

    def to_plain(self):
        """
        Convert to values that JSON can store.

        Returns
        -------
        dict
            `recalibrator_from_plain` takes it.
        """
        check_fitted(self, "chosen_")
        return {
            "recalibrator": self.kind,
            "chosen_": self.chosen_,
            "recalibrator_": self.recalibrator_.to_plain(),
            "gains_": {name: list(gain) for name, gain in self.gains_.items()},
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
        BestRecalibration
            Fitted.
        """
        self = cls()
        self.chosen_, self.n_fit_ = str(plain["chosen_"]), int(plain["n_fit_"])
        is_local = self.chosen_ == LocalRecalibration.kind
        read = LocalRecalibration.from_plain if is_local else read_common
        self.recalibrator_ = read(plain["recalibrator_"])
        self.gains_ = {name: tuple(gain) for name, gain in plain["gains_"].items()}
        return self
