"""Protocol and shared parts of all recalibrators."""

from typing import Protocol, Self, runtime_checkable

import numpy as np

from mantis_astro import binned
from mantis_astro.flags import has_data
from mantis_astro.pdf import RedshiftPDF

__all__ = ["META_KEY", "Recalibrator", "check_fitted", "remap", "transformed"]

#: Key of ``RedshiftPDF.meta`` that says how p(z) were recalibrated; it fits FITS.
META_KEY = "PZCALIB"


@runtime_checkable
class Recalibrator(Protocol):
    """
    Protocol of ``fit`` and ``transform`` on p(z), as in scikit-learn.

    Attributes that `fit` makes end in ``_``. A recalibrator changes p(z), not bins,
    flags, or rows that are flagged ``NO_DATA``.
    """

    def fit(self, pdf, z_spec, *, sample_weight=None) -> Self:
        """
        Learn from galaxies with true redshifts.

        Parameters
        ----------
        pdf : RedshiftPDF
            Densities, shape (n,).
        z_spec : array_like or `~astropy.units.Quantity`
            True redshifts, shape (n,).
        sample_weight : array_like, optional
            Weights, shape (n,).

        Returns
        -------
        Recalibrator
            Itself.
        """

    def transform(self, pdf) -> RedshiftPDF:
        """
        Recalibrate.

        Parameters
        ----------
        pdf : RedshiftPDF
            Densities, shape (...).

        Returns
        -------
        RedshiftPDF
            A new object of the same shape.
        """

    @property
    def note(self) -> str:
        """Result of the fit in a sentence, which `transform` adds to ``meta``."""

    def to_plain(self) -> dict:
        """
        Convert to values that JSON can store.

        Returns
        -------
        dict
            `recalibrator_from_plain` takes it.
        """


def check_fitted(recalibrator, attribute):
    """
    Refuse to use a recalibrator before it was fitted.

    Parameters
    ----------
    recalibrator : Recalibrator
        The recalibrator.
    attribute : str
        An attribute that its ``fit`` makes.

    Raises
    ------
    ValueError
        If it is not there.
    """
    if not hasattr(recalibrator, attribute):
        name = type(recalibrator).__name__
        msg = f"this {name} is not fitted: call fit(pdf, z_spec) first"
        raise ValueError(msg)


def transformed(pdf, function, *others, note):
    """
    Change the p(z) of galaxies with data, and record how in ``meta``.

    Parameters
    ----------
    pdf : RedshiftPDF
        Densities of any shape.
    function : callable
        Takes rows (m, n_bins) in float64 and the same rows of ``others``, returns new
        probabilities.
    *others : `~numpy.ndarray`
        Arrays whose first axis runs over the galaxies, flattened.
    note : str
        What was done, for ``meta``; joined to what stands there.

    Returns
    -------
    RedshiftPDF
        Same shape, bins, flags and precision; ``NO_DATA`` rows unchanged.
    """
    probability = np.array(pdf.probability).reshape(-1, pdf.n_bins)
    good = np.flatnonzero(has_data(np.ravel(pdf.flags)))
    if good.size:
        others = [other[good] for other in others]
        probability[good] = binned.map_rows(function, probability[good], *others)
    notes = [pdf.meta[META_KEY]] if META_KEY in pdf.meta else []
    return RedshiftPDF(
        pdf.bin_edges,
        probability.reshape(np.shape(pdf.probability)),
        flags=pdf.flags,
        meta={**pdf.meta, META_KEY: "; ".join([*notes, note])},
        bands_used=pdf.bands_used,
    )


def remap(rows, cdf):
    """
    Send the cumulative distribution of each row through a monotone map.

    Parameters
    ----------
    rows : `~numpy.ndarray`
        Probabilities, shape (m, n_bins).
    cdf : callable
        Takes cumulative probabilities, shape (m, n_bins + 1), and ``upper``: whether
        they were summed from the upper end, and the map is to be turned likewise.

    Returns
    -------
    `~numpy.ndarray`
        Probabilities; each row sums to 1.

    Notes
    -----
    Above the median the map acts on the probability above: 1 minus a small number
    would lose the tail's digits, and with them the log score of an outlier.
    """
    below = binned.cumulative(rows)
    lower = np.diff(cdf(below, upper=False), axis=1)
    above = binned.cumulative(rows[:, ::-1])
    upper = np.diff(cdf(above, upper=True), axis=1)[:, ::-1]
    # rounding may turn an empty bin between two equal values into -1e-17
    return np.maximum(np.where(below[:, 1:] <= 0.5, lower, upper), 0)
