"""Redshifts from spectra: chi-square of templates on a grid, and warnings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np

from mantis_astro.binned import as_redshift
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.spectra.least_squares import BinnedSpectrum, fit_shifts, rebin
from mantis_astro.spectra.medium import check_medium
from mantis_astro.spectra.pixels import FLUX_UNIT, get_pixels, noise_of
from mantis_astro.spectra.spikes import find_spikes
from mantis_astro.spectra.templates import STEP, TemplateSet

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = [
    "REDSHIFT_WARNINGS",
    "RedshiftFitter",
    "SpectroscopicRedshift",
    "z_spec_from_spectrum",
]

_C = 299792.458  # km/s
_APART = 1000.0  # km/s: minima closer than that are one
_FEATURE = 2000.0  # km/s: what counts as one feature
_SMALL = 9.0  # difference of chi-square, as redrock's SMALL_DELTA_CHI2
_EVIDENCE = 36.0  # gain in chi-square; 2 of 1,200 spectra of noise have it and _SMALL
_STARS = 600.0  # km/s: about the speed at which stars leave the Milky Way
_SINGLE = 0.9  # of the gain in chi-square
_HALF = 0.5
_FINER = 10  # cells of p(z) per pixel of the grid

#: What each warning of `SpectroscopicRedshift` means.
REDSHIFT_WARNINGS = {
    "SMALL_DELTA_CHI2": (
        f"Another redshift is worse by less than {_SMALL:.0f} in chi-square."
    ),
    "NO_FEATURES": (
        f"The templates lower chi-square by less than {_EVIDENCE:.0f} below that of "
        "the continuum alone: noise does as much."
    ),
    "STAR": (
        f"The speed is below {_STARS:.0f} km/s, as those of stars of the Milky Way are."
    ),
    "SINGLE_FEATURE": (
        f"One feature, not wider than {_FEATURE:.0f} km/s, gives more than "
        f"{_SINGLE:.0%} of the evidence: it may be another line."
    ),
    "PRIOR_DECIDES": "Without the prior, another redshift would be best.",
    "EDGE_OF_GRID": "The best redshift is at an end of the range that was tried.",
    "LITTLE_COVERAGE": (
        f"The templates cover less than {_HALF:.0%} of the spectrum at this redshift."
    ),
    "FEW_PIXELS": f"Fewer than {_HALF:.0%} of the pixels are good.",
    "ERRORS_ASSUMED": (
        "The spectrum has no uncertainty; one value was estimated from its scatter."
    ),
    "NO_DATA": "There is no spectrum to fit, or it could not be read.",
}


@dataclass(frozen=True, eq=False)
class SpectroscopicRedshift:
    """
    Redshift of a spectrum by a fit of templates.

    Attributes
    ----------
    z : float
        Best redshift, between the points of the grid.
    z_err : float
        Its standard deviation, from the curvature of chi-square there; NaN at an end
        of the grid.
    delta_chi2 : float
        How much worse the next minimum is, at least 1,000 km/s away, ends of the range
        included; infinite if nothing as far away was tried. In chi-square over its
        reduced value where that is above 1, and with the prior.
    z_next : float
        Redshift of the next minimum, NaN if there is none.
    warnings : tuple of str
        Names of what to distrust, see `REDSHIFT_WARNINGS`.
    z_grid, chi2 : ndarray
        Redshifts tried (uniform in ``ln(1 + z)``) and chi-square of the best fit at
        each, shape ``(n_z,)``, without the prior.
    dof : int
        Degrees of freedom: good pixels less parameters.
    coefficients : dict of str to float
        How much of each template the best fit holds.
    spikes : ndarray
        Wavelengths (Angstrom) of pixels that were left out, since they are part of
        something sharper than the instrument can make it.
    """

    z: float
    z_err: float
    delta_chi2: float
    z_next: float
    warnings: tuple
    z_grid: np.ndarray = field(repr=False)
    chi2: np.ndarray = field(repr=False)
    dof: int = field(repr=False)
    coefficients: dict = field(repr=False)
    spikes: np.ndarray = field(repr=False)
    _scaled: np.ndarray = field(repr=False)  # chi-square, errors made large enough
    _log_prior: np.ndarray = field(repr=False)
    _binned: BinnedSpectrum = field(repr=False)
    _model: np.ndarray = field(repr=False)

    @property
    def kind(self):
        """``"star"`` at the speeds of stars of the Milky Way, else ``"galaxy"``."""
        return "star" if "STAR" in self.warnings else "galaxy"

    @property
    def reduced_chi2(self):
        """Chi-square of the best fit over the degrees of freedom."""
        return float(self.chi2.min() / self.dof)

    @cached_property
    def model(self):
        """The best fit, a `~specutils.Spectrum` on a grid of ln(wavelength)."""
        from specutils import Spectrum

        return Spectrum(
            flux=self._model * FLUX_UNIT,
            spectral_axis=self._binned.wavelength * u.AA,
        )

    def to_pdf(self, bin_edges=None):
        """
        Return the probability density of the redshift.

        Parameters
        ----------
        bin_edges : array_like, optional
            Shape ``(n_bins + 1,)``; by default of 6 km/s.

        Returns
        -------
        RedshiftPDF
            Scalar; likelihood times prior (uniform in z if there was none). Chi-square
            is divided by its reduced value where that is above 1, as for ``z_err``.

        Raises
        ------
        ValueError
            If the bins are not bins, or none of the density lies in them.
        """
        from scipy.interpolate import CubicSpline

        ln = np.log1p(self.z_grid)
        edges_ln = np.linspace(ln[0], ln[-1], _FINER * (ln.size - 1) + 1)
        middle = (edges_ln[1:] + edges_ln[:-1]) / 2
        log_density = np.interp(middle, ln, self._log_prior)
        log_density -= CubicSpline(ln, self._scaled)(middle) / 2
        cells = np.maximum(np.expm1(edges_ln), 0)
        kept = np.diff(cells) > 0  # cells below redshift 0 have no width left
        weights = np.exp(log_density - log_density.max()) * np.diff(cells)
        cells = np.concatenate([cells[:-1][kept], cells[-1:]])
        if bin_edges is None:
            return RedshiftPDF(cells, weights[kept])
        below = np.concatenate([[0], np.cumsum(weights[kept])])
        edges = as_redshift(bin_edges)
        return RedshiftPDF(edges, np.diff(np.interp(edges, cells, below)))


def z_spec_from_spectrum(
    spectrum: Spectrum,
    templates: TemplateSet | Iterable[Spectrum] | None = None,
    *,
    z_range: tuple[float, float] = (-0.005, 1.5),
    prior: RedshiftPDF | None = None,
    prior_floor: float = 1e-3,
    prior_star: float = 0.01,
    degree: int = 7,
    medium: str | None = None,
    resolution: float = 2.0,
) -> SpectroscopicRedshift:
    """
    Measure the redshift of a spectrum.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`
        Observed flux density against wavelength, in either direction; bad pixels
        masked.
    templates : TemplateSet or iterable of `~specutils.Spectrum`, optional
        Spectra in the rest frame; by default `TemplateSet.builtin`. Prepare a
        TemplateSet once if many spectra follow.
    z_range : tuple of float, optional
        Lowest and highest redshift to try; by default with those of stars that come
        towards us.
    prior : RedshiftPDF, optional
        Probability density of the redshift of this galaxy, for example from its
        images; any object with a method ``pdf(z)`` will do. By default none: all
        redshifts are equally likely.
    prior_floor : float, optional
        Part of the prior that is spread evenly over ``z_range``, so that no redshift
        is excluded.
    prior_star : float, optional
        Part of the prior that says that it is a star, evenly at speeds below 600 km/s:
        a p(z) of images knows galaxies only. Not used without a prior.
    degree : int, optional
        Degree of the polynomial in ln(wavelength) that is fitted along, for the
        continuum and for errors of calibration; -1 for none.
    medium : {"air", "vacuum"}, optional
        What the wavelengths are in. By default what the header in ``spectrum.meta`` or
        its WCS says (``CTYPE1`` of AWAV, ``AIRORVAC``, ``VACUUM``), and vacuum if they
        say nothing. Wavelengths in air are converted; taken for those in vacuum, they
        give redshifts that are too low by 0.00028 (1 + z), 85 km/s.
    resolution : float, optional
        Width (FWHM) of the instrument's profile in pixels. What is sharper than that
        is no line, but a cosmic ray or a hot pixel, and is left out; 0 to leave out
        nothing, as for spectra whose lines are narrower than two pixels.

    Returns
    -------
    SpectroscopicRedshift
        Redshift, error, chi-square at each redshift, the next best, and warnings.

    Raises
    ------
    TypeError
        If ``spectrum`` is not a spectrum.
    `~astropy.units.UnitsError`
        If it is not a flux density along wavelength, frequency or energy.
    ValueError
        If there are not more good pixels than parameters, the range of redshifts is
        empty or below -0.1, there is no template, the degree is no whole number from
        -1, the prior is not of one galaxy, or ``medium`` or ``resolution`` is not what
        it must be.

    Notes
    -----
    The model is a sum of templates, none of them negative, and a polynomial; at each
    redshift the best such sum is found exactly. Pixels of the grid are 60 km/s wide,
    the minimum is that of a parabola through the lowest three points. Where the
    reduced chi-square exceeds 1, as it does for bright galaxies whose templates are
    not perfect, errors and differences of chi-square are scaled by it.

    A redshift of ordinary quality has no warning; of spectra of noise, fewer than one
    in 200 has none. SINGLE_FEATURE deserves a look:
    one line alone fits several redshifts, and a prior says which.

    Examples
    --------
    One emission line, which may be H alpha or [O II]:

    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from specutils import Spectrum
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.spectra import z_spec_from_spectrum
    >>> wavelength = np.arange(6000.0, 9000.0, 1.5)
    >>> flux = np.random.default_rng(1).normal(1, 0.3, wavelength.size)
    >>> flux += 2 * np.exp(-0.5 * ((wavelength - 3728.5 * 1.9) / 5) ** 2)
    >>> spectrum = Spectrum(
    ...     flux=flux * u.Unit("1e-17 erg / (s cm2 AA)"),
    ...     spectral_axis=wavelength * u.AA,
    ...     uncertainty=StdDevUncertainty(np.full(wavelength.size, 0.3)),
    ... )
    >>> "SINGLE_FEATURE" in z_spec_from_spectrum(spectrum).warnings
    True
    >>> edges = np.linspace(0, 1.5, 151)
    >>> p_of_z = RedshiftPDF.from_gaussians(edges, 0.85, 0.1)
    >>> round(z_spec_from_spectrum(spectrum, prior=p_of_z).z, 3)
    0.9
    """
    fitter = RedshiftFitter.of(
        templates,
        z_range,
        prior,
        prior_floor,
        degree,
        medium,
        resolution,
        prior_star=prior_star,
    )
    return fitter.fit(spectrum)


@dataclass(frozen=True)
class RedshiftFitter:
    """
    The arguments of `z_spec_from_spectrum`, checked once for many spectra.

    Attributes
    ----------
    templates : TemplateSet
        The templates.
    shifts : tuple of int
        First and last redshift, in pixels of ln(1 + z).
    log_prior : ndarray
        Logarithm of the prior's density at each, shape ``(n_shift,)``.
    degree : int
        Of the polynomial.
    medium : str or None
        What wavelengths are in.
    resolution : float
        FWHM of the instrument's profile in pixels.
    prior_floor, prior_star : float
        Shares of a prior that are not of p(z).
    """

    templates: TemplateSet
    shifts: tuple
    log_prior: np.ndarray
    degree: int
    medium: str | None
    resolution: float
    prior_floor: float
    prior_star: float

    @classmethod
    def of(
        cls,
        templates,
        z_range,
        prior,
        prior_floor,
        degree,
        medium=None,
        resolution=2.0,
        *,
        prior_star=0.01,
    ):
        """
        Check the arguments of the caller.

        Parameters
        ----------
        templates, z_range, prior, prior_floor, degree, medium, resolution
            As for `z_spec_from_spectrum`.
        prior_star : float, optional
            Likewise.

        Returns
        -------
        RedshiftFitter
            What all spectra share.

        Raises
        ------
        ValueError
            If one of them is not what it must be.
        """
        if degree < -1 or degree != int(degree):
            msg = f"'degree' must be a whole number from -1, got {degree}"
            raise ValueError(msg)
        check_medium(medium)
        if not 0 <= resolution < np.inf:
            msg = f"'resolution' must be 0 or more pixels, got {resolution}"
            raise ValueError(msg)
        if templates is None:
            templates = TemplateSet.builtin()
        elif not isinstance(templates, TemplateSet):
            templates = TemplateSet(templates)
        for name, share in (("prior_floor", prior_floor), ("prior_star", prior_star)):
            if not 0 <= share <= 1:
                msg = f"'{name}' must be from 0 to 1, got {share}"
                raise ValueError(msg)
        shifts = _get_shifts(z_range)
        fitter = cls(
            templates,
            shifts,
            np.zeros(shifts[1] - shifts[0] + 1),
            int(degree),
            medium,
            resolution,
            prior_floor,
            prior_star,
        )
        return fitter.with_prior(prior)

    def with_prior(self, prior):
        """
        Return a copy with another prior, of another galaxy.

        Parameters
        ----------
        prior : RedshiftPDF or None
            Of one galaxy.

        Returns
        -------
        RedshiftFitter
            A new one.

        Raises
        ------
        ValueError
            If it is of several galaxies, or 0 at all redshifts.
        """
        z_grid = np.expm1(np.arange(self.shifts[0], self.shifts[1] + 1) * STEP)
        shares = self.prior_floor, self.prior_star
        return replace(self, log_prior=_log_prior(prior, *shares, z_grid))

    def fit(self, spectrum):
        """
        Measure the redshift of a spectrum.

        Parameters
        ----------
        spectrum : `~specutils.Spectrum`
            As for `z_spec_from_spectrum`.

        Returns
        -------
        SpectroscopicRedshift
            What the templates say.
        """
        pixels = get_pixels(spectrum, medium=self.medium)
        spikes = find_spikes(pixels, self.resolution)
        pixels = replace(pixels, good=pixels.good & ~spikes)
        ivar = _get_weights(pixels)
        dof = self._count_dof(pixels)
        binned = rebin(pixels.wavelength, pixels.flux, ivar)
        fit = fit_shifts(binned, self.templates, self.shifts, self.degree)
        z_grid = np.expm1(fit.shifts * STEP)
        chi2 = ivar[pixels.good] @ pixels.flux[pixels.good] ** 2 - fit.gain
        chi2 -= np.sum((fit.polynomials @ binned.weighted) ** 2)
        excess = max(1.0, chi2.min() / dof)
        scaled = chi2 / excess
        objective = scaled - 2 * self.log_prior
        best = int(np.argmin(objective))
        z, z_err = _refine(scaled, best, fit.shifts)
        delta_chi2, z_next = _next_minimum(objective, best, z_grid)
        model = fit.model(best)
        found = {
            "SMALL_DELTA_CHI2": delta_chi2 < _SMALL,
            "NO_FEATURES": fit.gain[best] / excess < _EVIDENCE,
            "STAR": _is_slow(z),
            "SINGLE_FEATURE": _largest_share(fit, model) > _SINGLE,
            "PRIOR_DECIDES": _is_apart(z_grid[np.argmin(scaled)], z_grid[best]),
            "EDGE_OF_GRID": not 1 < best < z_grid.size - 2,
            "LITTLE_COVERAGE": _coverage(self.templates, binned, z) < _HALF,
            "FEW_PIXELS": pixels.good.mean() < _HALF,
            "ERRORS_ASSUMED": not pixels.has_errors,
        }
        coefficients = fit.coefficients[best].tolist()
        return SpectroscopicRedshift(
            z=z,
            z_err=z_err,
            delta_chi2=delta_chi2,
            z_next=z_next,
            warnings=tuple(name for name, is_so in found.items() if is_so),
            z_grid=z_grid,
            chi2=chi2,
            dof=dof,
            coefficients=dict(zip(self.templates.names, coefficients, strict=True)),
            spikes=pixels.wavelength[spikes],
            _scaled=scaled,
            _log_prior=self.log_prior,
            _binned=binned,
            _model=model,
        )

    def _count_dof(self, pixels):
        n_good = int(pixels.good.sum())
        parameters = self.degree + 1 + len(self.templates)
        if n_good <= parameters:
            msg = (
                f"'spectrum' has {n_good} good pixels, but there are {parameters} "
                "parameters: fewer templates or a lower 'degree' may do"
            )
            raise ValueError(msg)
        if not np.ptp(pixels.wavelength[pixels.good]) > 0:
            msg = "all good pixels of 'spectrum' are at one wavelength"
            raise ValueError(msg)
        return n_good - parameters


def _get_shifts(z_range):
    low, high = (float(z) for z in as_redshift(z_range))
    if not (-0.1 <= low < high < np.inf):
        msg = f"'z_range' must be (low, high) with -0.1 <= low < high, got {z_range}"
        raise ValueError(msg)
    return int(np.floor(np.log1p(low) / STEP)), int(np.ceil(np.log1p(high) / STEP))


def _get_weights(pixels):
    """Inverse variance of each pixel, 0 where bad."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(pixels.good, np.power(noise_of(pixels), -2.0), 0.0)


def _log_prior(prior, floor, star, z):
    if prior is None:
        return np.zeros_like(z)
    if getattr(prior, "shape", ()) != ():
        msg = (
            "'prior' must be the density of one galaxy, got shape "
            f"{prior.shape}: take one with an index"
        )
        raise ValueError(msg)
    density = (1 - floor) * as_redshift(prior.pdf(z)) + floor / (z[-1] - z[0])
    if not (density > 0).any():
        msg = "'prior' is 0 everywhere in 'z_range', and 'prior_floor' is 0 too"
        raise ValueError(msg)
    slow = _is_slow(z)
    if slow.any():
        of_stars = slow / max(np.ptp(z[slow]), STEP)
        density = (1 - star) * density + star * of_stars
    with np.errstate(divide="ignore"):  # without a floor: excluded
        return np.log(density)


def _is_slow(z):
    """Whether a redshift is the speed of a star of the Milky Way."""
    return np.abs(np.log1p(z)) < _STARS / _C


def _refine(scaled, best, shifts):
    """Redshift and error from a parabola through three points."""
    at = np.clip(best, 1, scaled.size - 2)
    left, middle, right = scaled[at - 1 : at + 2]
    curvature = left - 2 * middle + right
    if curvature <= 0:
        return float(np.expm1(shifts[best] * STEP)), np.nan
    offset = at - best + (left - right) / 2 / curvature
    offset = np.clip(offset, -0.5, 0.5)
    z = np.expm1((shifts[best] + offset) * STEP)
    return float(z), float((1 + z) * STEP * np.sqrt(2 / curvature))


def _is_apart(z, z_best):
    return np.abs(np.log1p(z) - np.log1p(z_best)) > _APART / _C


def _next_minimum(objective, best, z_grid):
    around = np.pad(objective, 1, constant_values=np.inf)
    minima = np.flatnonzero((objective <= around[:-2]) & (objective < around[2:]))
    minima = minima[_is_apart(z_grid[minima], z_grid[best])]
    if not minima.size:
        return np.inf, np.nan
    next_best = minima[np.argmin(objective[minima])]
    return float(objective[next_best] - objective[best]), float(z_grid[next_best])


def _largest_share(fit, model):
    """Largest part that one feature has in the templates' gain over the continuum."""
    flux, weight = fit.binned.flux, fit.binned.weight
    gain = weight * ((flux - fit.continuum()) ** 2 - (flux - model) ** 2)
    total = gain.sum()
    if total <= 0:
        return 0.0
    width = round(_FEATURE / _C / STEP)
    sums = np.concatenate([[0], np.cumsum(gain)])
    return float((sums[width:] - sums[:-width]).max(initial=0) / total)


def _coverage(templates, binned, z):
    rest = binned.wavelength[binned.weight > 0] / (1 + z)
    low, high = (x.value for x in templates.wavelength_range)
    return np.mean((rest > low) & (rest < high))
