"""`Smoothing`: Gaussian smoothing that removes the noise of single bins from p(z)."""

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize_scalar

from mantis_astro.calibration.recalibrator import check_fitted, transformed
from mantis_astro.calibration.temperature import tempered_at_truth
from mantis_astro.calibration.truths import select_truths
from mantis_astro.pdf.smoothing import smooth_rows

__all__ = ["Smoothing"]

_MINIMUM = 20  # galaxies for one number
# the last ones are as wide as the p(z) of good photometry, and so too wide
_WIDTHS = (
    *(0.0, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008),
    *(0.01, 0.013, 0.016, 0.02),
)
_ANYWHERE = 1e-3  # share of galaxies that may be at any redshift, so that none rules
_HIGHEST = np.log(5)  # of temperatures that are tried beside: 1 and more
_HOPELESS = 0.02  # in log score: wider ones need not be tried


class Smoothing:
    """
    Smooth every density by a Gaussian in ln(1 + z) of one width.

    Networks give p(z) with peaks that are the noise of single bins. Point estimates,
    CRPS and PIT hardly see them, but counts of peaks and modes rest on them, as does
    whatever takes p(z) for a prior. The width that is found is the largest that costs
    next to nothing in the log score of the true redshifts.

    Parameters
    ----------
    tolerance : float, optional
        How much of the mean log score may be lost, against the best width.

    Attributes
    ----------
    width_ : float
        Standard deviation of the Gaussian; in redshift it is ``width_ * (1 + z)``.
    n_fit_ : int
        Number of galaxies it was fitted on.

    Notes
    -----
    p(z) that are too narrow call for a temperature, not for being smoothed. So the best
    temperature, 1 or more, is found beside each width; the least width within
    ``tolerance`` of the best is taken and, its temperature kept, widened as far as
    ``tolerance`` lets it. Then fit `TemperatureScaling` to what `transform` gives. One
    galaxy in a thousand may have any redshift, so that a single outlier does not
    decide.

    Examples
    --------
    Gaussians with noise in each bin:

    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.calibration import Smoothing
    >>> rng = np.random.default_rng(1)
    >>> centre = rng.uniform(0.3, 0.7, 1000)
    >>> z_spec = rng.normal(centre, 0.02)
    >>> smooth = RedshiftPDF.from_gaussians(np.linspace(0, 1, 201), centre, 0.02)
    >>> noise = rng.lognormal(0, 0.8, (1000, 200))
    >>> pdf = RedshiftPDF(smooth.bin_edges, smooth.probability * noise)
    >>> smoothing = Smoothing().fit(pdf, z_spec)
    >>> smoothing.width_
    0.008
    >>> before, after = pdf, smoothing.transform(pdf)
    >>> bool(after.peaks().number.mean() < before.peaks().number.mean() - 1)
    True
    """

    kind = "smoothing"

    def __init__(self, *, tolerance=0.001):
        self.tolerance = tolerance

    def __repr__(self):
        return f"{type(self).__name__}(tolerance={self.tolerance})"

    def fit(self, pdf, z_spec, *, sample_weight=None):
        """
        Find the width.

        Parameters
        ----------
        pdf : RedshiftPDF
            Densities, shape (n,), of galaxies that the model was not trained on.
        z_spec : array_like or `~astropy.units.Quantity`
            True redshifts, shape (n,); NaN or masked where there is none.
        sample_weight : array_like, optional
            Weight of each galaxy, shape (n,).

        Returns
        -------
        Smoothing
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
        found = []
        for width in _WIDTHS:
            found.append(_best_temperature(truths, width))
            if found[-1][0] < max(found)[0] - _HOPELESS:
                break
        scores = np.array([score for score, _ in found])
        first = np.flatnonzero(scores >= scores.max() - self.tolerance)[0]
        _, temperature = found[first]
        self.width_, lowest = _WIDTHS[first], scores.max() - self.tolerance
        for width in _WIDTHS[first + 1 :]:
            if _score(_smoothed(truths, width), temperature) < lowest:
                break
            self.width_ = width
        self.n_fit_ = len(truths)
        return self

    def transform(self, pdf):
        """
        Smooth.

        Parameters
        ----------
        pdf : RedshiftPDF
            Densities, shape (...), in any bins.

        Returns
        -------
        RedshiftPDF
            A new object; rows flagged ``NO_DATA`` are unchanged, ``meta["PZCALIB"]``
            says what was done. Flags of shape (``MULTIMODAL``, ...) are not made anew.

        Raises
        ------
        ValueError
            If it is not fitted.
        """
        check_fitted(self, "width_")
        if not self.width_:
            return transformed(pdf, lambda rows: rows, note=self.note)
        return transformed(
            pdf,
            lambda rows: smooth_rows(pdf.bin_edges, rows, self.width_),
            note=self.note,
        )

    @property
    def note(self):
        """Result of the fit in a sentence, which `transform` adds to ``meta``."""
        check_fitted(self, "width_")
        what = f"smoothed by {self.width_:g} (1 + z)"
        return f"{what}, fitted on {self.n_fit_} galaxies"

    def to_plain(self):
        """
        Convert to values that JSON can store.

        Returns
        -------
        dict
            `recalibrator_from_plain` takes it.
        """
        check_fitted(self, "width_")
        return {
            "recalibrator": self.kind,
            "tolerance": self.tolerance,
            "width_": self.width_,
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
        Smoothing
            Fitted.
        """
        self = cls(tolerance=plain["tolerance"])
        self.width_ = float(plain["width_"])
        self.n_fit_ = int(plain["n_fit_"])
        return self


def _smoothed(truths, width):
    if not width:
        return truths
    rows = smooth_rows(truths.bin_edges, truths.probability, width)
    return replace(truths, probability=rows)


def _score(truths, temperature):
    """Mean log score after a temperature."""
    uniform = 1 / (truths.bin_edges[-1] - truths.bin_edges[0])
    density = tempered_at_truth(truths, temperature)
    mixed = (1 - _ANYWHERE) * density + _ANYWHERE * uniform
    return np.average(np.log(mixed), weights=truths.weight)


def _best_temperature(truths, width):
    """Best mean log score of smoothed densities, and the temperature that gives it."""
    smoothed = _smoothed(truths, width)
    best = minimize_scalar(
        lambda x: -_score(smoothed, np.exp(x)),
        bounds=(0, _HIGHEST),
        method="bounded",
        options={"xatol": 0.05},
    )
    return -best.fun, np.exp(best.x)
