"""Sets of template spectra in the rest frame, on one grid of ln(wavelength)."""

from functools import lru_cache
from importlib.resources import as_file, files

import astropy.units as u
import numpy as np

from mantis_astro._optional import require
from mantis_astro.spectra.lines import ABSORPTION, BREAKS, EMISSION
from mantis_astro.spectra.pixels import FLUX_UNIT, get_pixels

__all__ = ["STEP", "TemplateSet"]

#: Pixel of the grid in ln(wavelength): 60 km/s, a little less than a pixel of SDSS.
STEP = 2e-4

_C = 299792.458  # km/s
_FINER = 5  # points per pixel at which a template is averaged


class TemplateSet:
    """
    Template spectra, combined with non-negative weights.

    Parameters
    ----------
    spectra : iterable of `~specutils.Spectrum`
        Flux densities against vacuum wavelength in the rest frame. Only their shapes
        matter. Beyond its ends a template keeps the value that it has there.
    names : iterable of str, optional
        What each is.

    Attributes
    ----------
    names : tuple of str
        What each is.
    wavelength_range : tuple of `~astropy.units.Quantity`
        The range that all templates cover.

    Raises
    ------
    ValueError
        If there is no template, or the names are not as many.
    TypeError, `~astropy.units.UnitsError`
        If one is not a spectrum of flux density along wavelength.

    Examples
    --------
    >>> from mantis_astro.spectra import TemplateSet
    >>> templates = TemplateSet.builtin()
    >>> len(templates), templates.names[:3]
    (18, ('H I', '[O II] thin', '[O II] dense'))
    """

    def __init__(self, spectra, *, names=None):
        pixels = [get_pixels(spectrum) for spectrum in spectra]
        if not pixels:
            msg = "'templates' must hold at least one spectrum"
            raise ValueError(msg)
        names = tuple(names or (f"template {i}" for i in range(len(pixels))))
        if len(names) != len(pixels):
            msg = f"there are {len(pixels)} spectra, but {len(names)} names"
            raise ValueError(msg)
        ends = np.array([p.wavelength[p.good][[0, -1]] for p in pixels])
        first, last = (int(np.floor(np.log(x) / STEP)) for x in _hull(ends))
        values = [_on_grid(p, first, last) for p in pixels]
        self._set(values, first, names, (ends[:, 0].max(), ends[:, 1].min()))

    def _set(self, values, first, names, covered):
        values = np.array(values, dtype=float)  # (n_template, n_pixel)
        self._values = values / np.abs(values).max(axis=1, keepdims=True)
        self._first = first
        self.names = names
        self.wavelength_range = tuple(covered * u.AA)

    @classmethod
    @lru_cache(maxsize=1)
    def builtin(cls):
        """
        Emission and absorption lines and breaks, made from a table of wavelengths.

        Returns
        -------
        TemplateSet
            18 features from 900 to 12,000 Angstrom: narrow lines of ionised gas, broad
            lines of active nuclei, absorption of old and of young stars, breaks. They
            are meant to go with a polynomial for the continuum.
        """
        covered = 900.0, 12000.0
        first, last = (int(np.floor(np.log(x) / STEP)) for x in covered)
        x = _centres(first, last)
        values = [_profile(feature, x) for feature in EMISSION]
        values += [-_profile(feature, x) for feature in ABSORPTION]
        values += [_step(x, *where) for _, *where in BREAKS]
        names = [feature.name for feature in (*EMISSION, *ABSORPTION)]
        names += [name for name, *_ in BREAKS]
        self = cls.__new__(cls)
        self._set(values, first, tuple(names), covered)
        return self

    @classmethod
    @lru_cache(maxsize=1)
    def kcorrect(cls):
        """
        Load the five templates of kcorrect (Blanton & Roweis 2007).

        Returns
        -------
        TemplateSet
            Galaxies from the ultraviolet to the far infrared, with emission lines.
            Their pixels are 260 km/s wide, which limits them to low resolution.

        Raises
        ------
        ImportError
            If kcorrect is not installed.
        """
        from astropy.io import fits
        from specutils import Spectrum

        require("kcorrect", extra="simulate")
        folder = files("kcorrect") / "data" / "templates"
        with as_file(folder / "kcorrect-default-v4.fits") as path:
            table = fits.getdata(path, "FLUX")
        axis = table["wave"][0].astype(float) * u.AA
        return cls(
            Spectrum(flux=flux * FLUX_UNIT, spectral_axis=axis)
            for flux in (each / each.max() for each in table["flux"][0].astype(float))
        )

    def __len__(self):
        return len(self.names)

    def __repr__(self):
        low, high = (round(x.value) for x in self.wavelength_range)
        return f"<TemplateSet: {len(self)} templates, {low} to {high} Angstrom>"

    def on_pixels(self, first, last):
        """
        Values on a range of pixels of the grid.

        Parameters
        ----------
        first, last : int
            Pixels, the last one excluded; pixel ``i`` goes from ``i * STEP`` to
            ``(i + 1) * STEP`` in the natural logarithm of the wavelength in Angstrom.

        Returns
        -------
        ndarray
            Shape ``(n_template, last - first)``.
        """
        wanted = np.arange(first, last) - self._first
        return self._values[:, np.clip(wanted, 0, self._values.shape[1] - 1)]


def _hull(ends):
    return ends[:, 0].min(), ends[:, 1].max()


def _centres(first, last):
    return (np.arange(first, last) + 0.5) * STEP


def _on_grid(pixels, first, last):
    """Mean of a template over each pixel."""
    n = last - first
    x = (first + (np.arange(n * _FINER) + 0.5) / _FINER) * STEP
    good = pixels.good
    values = np.interp(np.exp(x), pixels.wavelength[good], pixels.flux[good])
    return values.reshape(n, _FINER).mean(axis=1)


def _profile(feature, x):
    """Gaussian lines, whose red side may be wider."""
    total = np.zeros_like(x)
    for wavelength, strength in feature.lines:
        velocity = (x - np.log(wavelength)) * _C
        sigma = np.where(
            velocity > 0, feature.red_sigma or feature.sigma, feature.sigma
        )
        total += strength * np.exp(-0.5 * (velocity / sigma) ** 2)
    return total


def _step(x, wavelength, width):
    from scipy.special import ndtr

    return ndtr((x - np.log(wavelength)) / width)
