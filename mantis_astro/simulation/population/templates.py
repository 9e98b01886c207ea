"""Dusty galaxy templates, and their fluxes through filters against redshift."""

from functools import lru_cache

import astropy.units as u
import numpy as np

from mantis_astro.extinction import extinction_curve
from mantis_astro.fluxes import get_filter
from mantis_astro.simulation.population.nuclei import nucleus_spectrum
from mantis_astro.spectra import TemplateSet
from mantis_astro.spectra.templates import STEP

__all__ = [
    "A_V",
    "N_STELLAR",
    "Z_MAX",
    "TemplateGrid",
    "calzetti_curve",
    "fluxes_at_rest",
    "igm_transmission",
    "rest_templates",
    "rest_wavelength",
]

#: Attenuations of the stellar templates, magnitudes in V (Calzetti et al. 2000).
A_V = (0.0, 0.3, 0.6, 1.0)
#: How many templates are of stars: five of kcorrect, each at every `A_V`.
N_STELLAR = 5 * len(A_V)
#: Redshift up to which fluxes are tabulated.
Z_MAX = 2.0

_LYMAN_LIMIT = 912.0  # Angstrom
# What kcorrect's templates have too much in the infrared, mag beyond 2 micron, nothing
# below 1: half of what galaxies with optical colours of SDSS lack in Ks of 2MASS, and
# radio galaxies in W1 (benchmarks/fit_population.py); the other half may be lost light.
_INFRARED_EXCESS = 0.10
# Rest wavelengths, in pixels of STEP in ln(wavelength / Angstrom)
_FIRST = int(np.floor(np.log(91.0 / (1 + Z_MAX)) / STEP))
_LAST = int(np.ceil(np.log(6.2e4) / STEP))
_PIXELS_PER_NODE = 5  # of the table in ln(1 + z)
_EBV = 0.1  # at which extinction is tabulated; it is nearly linear
_NJY = 1e32 / 2.99792458e18  # erg/s/cm2/Hz to nJy, over the speed of light in A/s
_FLUX_UNIT = 1e-17  # erg/s/cm2/A, in which spectra are


def calzetti_curve(wavelength):
    """
    Evaluate the attenuation of starbursts of Calzetti et al. (2000).

    Parameters
    ----------
    wavelength : `~numpy.ndarray`
        Angstrom, rest frame.

    Returns
    -------
    `~numpy.ndarray`
        Attenuation over that in V; their equation 4 over R_V = 4.05, held at its value
        of 0.12 micron below and not less than 0 in the infrared.

    References
    ----------
    Calzetti et al. 2000, ApJ 533, 682.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.simulation.population.templates import calzetti_curve
    >>> calzetti_curve(np.array([5500.0])).round(2)
    array([1.])
    """
    x = 1e4 / np.maximum(wavelength, 1200.0)  # 1 / micron
    blue = 2.659 * (-2.156 + 1.509 * x - 0.198 * x**2 + 0.011 * x**3) + 4.05
    red = 2.659 * (-1.857 + 1.040 * x) + 4.05
    return np.maximum(np.where(x > 1 / 0.63, blue, red), 0) / 4.05


def igm_transmission(wavelength, z):
    """
    Transmission of intergalactic hydrogen (Madau 1995).

    Parameters
    ----------
    wavelength : array_like
        Angstrom, observed, broadcast against ``z``.
    z : array_like
        Redshift of the source.

    Returns
    -------
    `~numpy.ndarray`
        Mean transmission, from 0 to 1: four lines of the Lyman series and the Lyman
        continuum, and 1 above 1216 Angstrom in the rest frame.

    Notes
    -----
    Equations 12 to 15 and footnote 3 of Madau (1995, ApJ 441, 18). They were made for
    higher redshift; below 1 it is all a few per cent, but for the continuum.

    Examples
    --------
    >>> from mantis_astro.simulation.population.templates import igm_transmission
    >>> igm_transmission([1500.0, 2400.0, 2500.0], 1.0).round(3)
    array([0.58 , 0.963, 1.   ])
    """
    wavelength, z = np.asarray(wavelength, float), np.asarray(z, float)
    tau = np.zeros(np.broadcast_shapes(wavelength.shape, z.shape))
    for line, strength in (
        (1215.67, 3.6e-3),
        (1025.72, 1.7e-3),
        (972.537, 1.2e-3),
        (949.743, 9.3e-4),
    ):
        absorbed = wavelength < line * (1 + z)
        # gas in front of us cannot absorb bluewards of the line at rest
        absorbed = absorbed & (wavelength >= line)
        tau = tau + absorbed * strength * (wavelength / line) ** 3.46
    absorber = np.maximum(wavelength / _LYMAN_LIMIT, 1.0)  # 1 + z of it at the limit
    source = np.maximum(1 + z, absorber)
    tau += (
        0.25 * absorber**3 * (source**0.46 - absorber**0.46)
        + 9.4 * absorber**1.5 * (source**0.18 - absorber**0.18)
        - 0.7 * absorber**3 * (absorber**-1.32 - source**-1.32)
        - 0.023 * (source**1.68 - absorber**1.68)
    )
    return np.exp(-np.maximum(tau, 0))


@lru_cache(maxsize=1)
def rest_wavelength():
    """
    Return the wavelengths of `rest_templates`.

    Returns
    -------
    `~numpy.ndarray`
        Angstrom, centres of pixels of equal width in the logarithm.
    """
    return np.exp((np.arange(_FIRST, _LAST) + 0.5) * STEP)


@lru_cache(maxsize=1)
def rest_templates():
    """
    Make the templates: dusty stars, and an active nucleus as the last.

    Returns
    -------
    `~numpy.ndarray`
        Flux density per wavelength in any scale, shape ``(N_STELLAR + 1, n_pixel)``;
        template ``5 * j + k`` is kcorrect's template k behind ``A_V[j]``. No light
        leaves a galaxy bluewards of the Lyman limit.

    Raises
    ------
    ImportError
        If kcorrect is not installed.
    """
    wavelength = rest_wavelength()
    bare = TemplateSet.kcorrect().on_pixels(_FIRST, _LAST)
    # brought to the same flux at 5500 A, so that coefficients are of the same size
    visible = np.abs(wavelength - 5500) < 250
    bare = bare / bare[:, visible].mean(axis=1, keepdims=True)
    excess = np.clip(np.log2(wavelength / 1e4), 0, 1) * _INFRARED_EXCESS
    bare = bare * 10 ** (-0.4 * excess)
    curve = calzetti_curve(wavelength)
    dusty = np.concatenate([bare * 10 ** (-0.4 * a_v * curve) for a_v in A_V])
    nucleus = nucleus_spectrum(wavelength)
    nucleus /= nucleus[visible].mean()
    templates = np.concatenate([dusty, nucleus[None]])
    templates[:, wavelength < _LYMAN_LIMIT] = 0
    templates.flags.writeable = False
    return templates


class TemplateGrid:
    """
    Fluxes of the templates through filters, tabulated against ln(1 + z).

    Nodes are 0.001 apart in ln(1 + z), 300 km/s, and values between them interpolated;
    at low resolution that errs by less than 0.001 mag.

    Parameters
    ----------
    filters : tuple of str
        Names of sedpy's transmission curves.
    templates : `~numpy.ndarray`, optional
        Spectra at `rest_wavelength`, shape (n_template, n_pixel); by default
        `rest_templates`.
    z_max : float, optional
        Redshift up to which fluxes are tabulated.
    coarser : int, optional
        How many times wider apart nodes are; the absorption by intergalactic gas is
        then worked out once a node, not once a pixel of the spectra.

    Attributes
    ----------
    values : `~numpy.ndarray`
        Shape ``(n_node, n_template, 3, n_filter)``, float32: flux in nJy for a spectrum
        in 1e-17 erg / (s cm2 A); the same times the extinction in magnitudes per
        E(B-V) of the map of Schlegel et al.; the same times the mean of ln(wavelength).
    """

    def __init__(self, filters, templates=None, *, z_max=Z_MAX, coarser=1):
        self.filters = tuple(filters)
        templates = rest_templates() if templates is None else templates
        self._pixels = _PIXELS_PER_NODE * coarser
        n_node = int(np.ceil(np.log1p(z_max) / (self._pixels * STEP))) + 1
        shape = n_node, len(templates), 3, len(self.filters)
        self.values = np.empty(shape, "f4")
        at_once = 1 if coarser == 1 else self._pixels
        for j, name in enumerate(self.filters):
            self.values[..., j] = _through(
                name, templates, n_node, self._pixels, at_once
            )

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, filters):
        """
        Make the table of some filters, or take it from memory.

        Parameters
        ----------
        filters : tuple of str
            Names of sedpy's transmission curves.

        Returns
        -------
        TemplateGrid
            The table.
        """
        return cls(filters)

    def at(self, z):
        """
        Interpolate the table.

        Parameters
        ----------
        z : `~numpy.ndarray`
            Redshift, shape (n,), from 0 to the ``z_max`` of the table.

        Returns
        -------
        `~numpy.ndarray`
            Shape ``(n, n_template, 3, n_filter)``, as ``values``.
        """
        node, part = self._nodes(z)
        part = part.astype("f4")[:, None, None, None]
        return self.values[node] * (1 - part) + self.values[node + 1] * part

    def fluxes(self, coefficients, z):
        """
        Compute the fluxes of mixtures of the templates.

        Parameters
        ----------
        coefficients : `~numpy.ndarray`
            Shape ``(n, n_mixture, n_template)``, for each object and mixture.
        z : `~numpy.ndarray`
            Redshift, shape (n,).

        Returns
        -------
        `~numpy.ndarray`
            Shape ``(n, n_mixture, 3, n_filter)``, as ``values``.
        """
        node, part = self._nodes(z)
        n, n_mixture = coefficients.shape[:2]
        flat = self.values.reshape(*self.values.shape[:2], -1)
        part = part[:, None, None]
        below = np.matmul((coefficients * (1 - part)).astype("f4"), flat[node])
        above = np.matmul((coefficients * part).astype("f4"), flat[node + 1])
        shape = n, n_mixture, 3, len(self.filters)
        return (below + above).reshape(shape).astype(float)

    def many_fluxes(self, coefficients, z):
        """
        Compute the fluxes of very many objects, one mixture each.

        Parameters
        ----------
        coefficients : `~numpy.ndarray`
            Shape ``(n, n_template)``.
        z : `~numpy.ndarray`
            Redshift, shape (n,).

        Returns
        -------
        `~numpy.ndarray`
            Flux, shape ``(n, n_filter)``, float32.
        """
        node, part = self._nodes(z)
        coefficients = coefficients.astype("f4")
        part = part.astype("f4")[:, None]
        values = np.ascontiguousarray(self.values[:, :, 0])
        out = np.empty((len(z), len(self.filters)), "f4")
        order = np.argsort(node, kind="stable")
        starts = np.searchsorted(node[order], np.arange(len(values) + 1))
        for k in np.unique(node):
            rows = order[starts[k] : starts[k + 1]]  # all between the same two nodes
            c, p = coefficients[rows], part[rows]
            out[rows] = (c * (1 - p)) @ values[k] + (c * p) @ values[k + 1]
        return out

    def _nodes(self, z):
        """Node below each redshift, and how far it is to the next, from 0 to 1."""
        x = np.log1p(np.asarray(z, float)) / (self._pixels * STEP)
        node = np.minimum(x.astype(int), len(self.values) - 2)
        return node, x - node


def _through(name, templates, n_node, pixels, at_once):
    """One filter's part of the table, shape (n_node, n_template, 3)."""
    first, x, weights = _filter_weights(name)
    out = np.empty((n_node, len(templates), 3))
    for node in range(n_node):
        start = first - node * pixels
        z = np.expm1(node * pixels * STEP)
        seen = weights
        if np.exp(x[0]) < 1216 * (1 + z):
            centres = np.exp(x[at_once // 2 :: at_once])
            passed = np.repeat(igm_transmission(centres, z), at_once)[: x.size]
            seen = weights * np.pad(passed, (0, x.size - passed.size), mode="edge")
        out[node] = templates[:, start : start + x.size] @ seen.T
    return _with_extinction(out)


def fluxes_at_rest(spectra, filters):
    """
    Compute fluxes of spectra that are not redshifted.

    Parameters
    ----------
    spectra : `~numpy.ndarray`
        In 1e-17 erg / (s cm2 A) at `rest_wavelength`, shape (n, n_pixel).
    filters : iterable of str
        Names of sedpy's transmission curves.

    Returns
    -------
    `~numpy.ndarray`
        Shape ``(n, 3, n_filter)``, as ``TemplateGrid.values``.
    """
    columns = []
    for name in filters:
        first, x, weights = _filter_weights(name)
        columns.append(_with_extinction(spectra[:, first : first + x.size] @ weights.T))
    return np.stack(columns, axis=-1)


@lru_cache(maxsize=256)
def _filter_weights(name):
    """First pixel, ln(wavelength) and weights, shape (3, n_pixel), of a filter."""
    curve = get_filter(name)
    used = np.flatnonzero(curve.transmission > 0)[[0, -1]]
    low, high = np.log(curve.wavelength[used])
    first, last = int(np.floor(low / STEP)), int(np.ceil(high / STEP))
    if last > _LAST:
        msg = (
            f"filter {name!r} reaches to {np.exp(high) / 1e4:.3g} micron: galaxies are "
            f"simulated up to {np.exp(_LAST * STEP) / 1e4:.3g} micron"
        )
        raise ValueError(msg)
    n = last - first
    x = (first + np.arange(n) + 0.5) * STEP
    fine = (first + (np.arange(n * 8) + 0.5) / 8) * STEP
    transmission = np.interp(
        np.exp(fine), curve.wavelength, curve.transmission, left=0, right=0
    )
    transmission = transmission.reshape(n, 8).mean(axis=1)
    # photon-weighted mean flux density per frequency (Bessell & Murphy 2012, eq. A12)
    weight = transmission * np.exp(2 * x) / transmission.sum() * _FLUX_UNIT * _NJY
    dust = extinction_curve(np.maximum(np.exp(x), 912) * u.AA, scale="sfd")
    reddened = weight * 10 ** (-0.4 * _EBV * dust)
    return first - _FIRST, x, np.stack([weight, reddened, weight * x])


def _with_extinction(sums):
    """Replace dimmed fluxes, the second of the last axis, as the table has them."""
    flux, reddened, moment = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        extinction = -2.5 * np.log10(reddened / flux) / _EBV
    extinction = np.where(flux > 0, extinction, 0)
    return np.stack([flux, flux * extinction, moment], axis=-1)
