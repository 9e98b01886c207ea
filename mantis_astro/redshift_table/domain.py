"""`DomainWatch`: comparison of a whole table with the training set."""

import logging
import warnings

import numpy as np

from mantis_astro.exceptions import OutOfDistributionWarning
from mantis_astro.flags import Flag, has_data
from mantis_astro.shift import ShiftReport

__all__ = ["DomainWatch"]

_WATCHED = 2000  # rows by which the sample as a whole is judged
_FEWEST_WATCHED = 50

log = logging.getLogger(__name__)


class DomainWatch:
    """
    Components of the features of some rows, to judge the sample as a whole.

    Parameters
    ----------
    reference : `~mantis_astro.shift.ReferenceStatistics` or None
        Of the training set; without it no shift is ever found.
    n_row : int
        Length of the sample. Of more than 2,000 rows as many, evenly spaced, are kept.
    first : int, optional
        Number in the sample of the first row of the table at hand.

    Attributes
    ----------
    n_component : int
        How many numbers are kept of a row.
    """

    def __init__(self, reference, n_row, first=0):
        self._reference, self._first = reference, first
        self.n_component = 0 if reference is None else reference.n_component
        rows = np.linspace(0, max(n_row - 1, 0), min(n_row, _WATCHED)).astype(int)
        self._rows = np.unique(rows)
        shape = len(self._rows), self.n_component
        self._components = np.full(shape, np.nan, np.float32)

    def add(self, rows, components):
        """
        Add finished rows.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
            Their numbers in the table.
        components : ndarray, shape (n, n_component)
            `~mantis_astro.shift.ReferenceStatistics.components` of their features.
        """
        rows = np.asarray(rows) + self._first
        _, place, index = np.intersect1d(self._rows, rows, return_indices=True)
        self._components[place] = components[index]

    @property
    def noted(self):
        """
        Statistics collected so far.

        Returns
        -------
        rows : ndarray of int, shape (n,)
            Numbers in the sample.
        components : ndarray, shape (n, n_component)
            As they were added.
        """
        there = np.isfinite(self._components).any(1)
        return self._rows[there], self._components[there]

    def flag(self, flags):
        """
        Compare with the training set; warn of a difference and set ``OOD_DOMAIN``.

        Without a reference, or with too few rows to tell, nothing is set.

        Parameters
        ----------
        flags : ndarray of int, shape (n_row,)
            Flags of the whole sample, changed in place where there are data.
        """
        usable = has_data(flags)
        if self._is_shifted(usable):
            flags[usable] |= int(Flag.OOD_DOMAIN)

    def _is_shifted(self, usable):
        there = usable[self._rows] & np.isfinite(self._components).all(1)
        if self._reference is None or there.sum() < _FEWEST_WATCHED:
            return False
        reference = self._reference.components(self._reference.sample_features)
        try:
            report = ShiftReport.compare(reference, self._components[there], rng=0)
        except ValueError as error:  # too few different objects
            log.info("not compared with the training set: %s", error)
            return False
        auc, threshold = report.domain.statistic, Flag.OOD_DOMAIN.threshold
        if not (report.is_shifted and auc >= threshold):
            return False
        msg = (
            "the sample is unlike the training set: a classifier tells them apart with "
            f"AUC {auc:.2f} (flagged OOD_DOMAIN from {threshold}; 0.5 is chance). "
            "Accuracies of other samples do not apply: PhotoZ.shift_report and "
            "'mantis-astro shift' list what differs"
        )
        warnings.warn(msg, OutOfDistributionWarning, stacklevel=5)
        return True
