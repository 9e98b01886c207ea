"""`to_prospector_obs`: a row of photometry as prospector's data."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Row

from mantis_astro.exceptions import MantisWarning
from mantis_astro.fluxes import SENTINELS, get_filter
from mantis_astro.photometry import to_prospector
from mantis_astro.priors.double_counting import warn_of_double_counting
from mantis_astro.priors.requirements import require_prospector
from mantis_astro.prospector.parameters import as_prior

if TYPE_CHECKING:
    from mantis_astro.bands import BandLike
    from mantis_astro.pdf import RedshiftPDF
    from mantis_astro.priors import RedshiftPrior

__all__ = ["to_prospector_obs"]


def to_prospector_obs(
    row: Row,
    *,
    bands: Iterable[BandLike] | None = None,
    prior: RedshiftPrior | RedshiftPDF | None = None,
    minimum_error: float = 0.05,
    ebv: float | None = None,
    missing: Sequence[float] = SENTINELS,
) -> dict | list:
    """
    Make prospector's observation of one galaxy.

    Parameters
    ----------
    row : `~astropy.table.Row`
        A row of `mantis_astro.photometry.measure_photometry`'s table, or any with
        columns such as ``flux_ps1_g`` and ``flux_err_ps1_g`` that
        `~mantis_astro.fluxes.read_fluxes` reads; in nJy where they have no unit. A
        non-detection keeps its measured flux.
    bands : iterable of Band or str, optional
        Bands to fit, by default all that have columns.
    prior : RedshiftPrior or RedshiftPDF, optional
        The prior on redshift that the fit will use, to be warned if the same data
        come in twice.
    minimum_error : float, optional
        Fraction of the flux, not negative, added in quadrature to each error, for what
        templates and calibration do not know; 5 % as in [1]_.
    ebv : float, optional
        E(B-V) of the Milky Way, on the scale of SFD, to correct the fluxes for, which
        prospector expects; 0 for no dust.
    missing : sequence of float, optional
        Values that mark a flux as not observed, see
        `~mantis_astro.fluxes.read_fluxes`.

    Returns
    -------
    dict or list
        What the installed prospector's ``fit_model`` takes: with version 1 a dict of
        ``filters`` (sedpy), ``maggies``, ``maggies_unc``, ``phot_mask`` (False where
        not observed) and an empty spectrum; with version 2 a list of one
        ``prospect.observation.Photometry``.

    Raises
    ------
    ImportError
        If prospector is not installed, or beside a dynesty that it cannot run.
    TypeError
        If it is a whole table.
    ValueError
        If no band was observed, or sedpy does not know a band's filter; if the table
        says that its fluxes are not corrected for Galactic dust and there is no
        ``ebv``, or that they are and there is.

    Warns
    -----
    DoubleCountingWarning
        If bands that made the prior are fitted again and the prior is not tempered to
        0.5 or less.
    MantisWarning
        If the likelihood of the installed prospector 2 weighs chi-square by another
        factor than 1/2, as its main branch did in June 2026.

    References
    ----------
    .. [1] Leja et al. 2017, ApJ 837, 170

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import QTable
    >>> from mantis_astro import to_prospector_obs
    >>> table = QTable({"flux_ps1_g": [3631] * u.nJy, "flux_err_ps1_g": [36] * u.nJy})
    >>> obs = to_prospector_obs(table[0])
    >>> obs["filters"], obs["maggies"], obs["maggies_unc"].round(13)
    ([<class 'sedpy.observate.Filter'>(panstarrs_g)], array([1.e-09]), array([5.1e-11]))
    """
    require_prospector("models")
    parts = to_prospector(
        row, bands=bands, minimum_error=minimum_error, ebv=ebv, missing=missing
    )
    maggies, error, observed = (
        parts[key] for key in ("maggies", "maggies_unc", "phot_mask")
    )
    names = parts["filternames"]
    if not observed.any():
        msg = f"no band was observed of {', '.join(names)}: nothing to fit"
        raise ValueError(msg)
    if prior is not None:
        fitted = [name for name, seen in zip(names, observed, strict=True) if seen]
        warn_of_double_counting(as_prior(prior), fitted, stacklevel=2)
    filters = list(map(get_filter, names))
    if importlib.util.find_spec("prospect.observation") is not None:
        photometry = require_prospector("observation").Photometry(
            filters=names, flux=maggies, uncertainty=error, mask=observed, name="phot"
        )
        photometry.rectify()
        _check_likelihood()
        return [photometry]
    return {
        "filters": filters,
        "maggies": maggies,
        "maggies_unc": error,
        "phot_mask": observed,
        "wavelength": None,
        "spectrum": None,
    }


def _check_likelihood():
    """Warn of a likelihood that is not that of Gaussian errors."""
    noise = require_prospector("likelihood.noise_model").NoiseModel()
    noise.Sigma, noise.log_det = np.ones(1), 0.0
    one, zero = np.ones(1), np.zeros(1)
    factor = 2 * (noise.lnlikelihood(zero, zero) - noise.lnlikelihood(one, zero))
    if not np.isclose(factor, 1):
        msg = (
            f"the likelihood of this prospector multiplies chi-square by {factor:.2f}, "
            "and its posteriors have the wrong width: multiply 'uncertainty' of the "
            f"observation by {np.sqrt(factor):.3f}, or install another version"
        )
        warnings.warn(msg, MantisWarning, stacklevel=3)
