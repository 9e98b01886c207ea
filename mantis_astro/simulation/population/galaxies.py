"""A population of galaxies that looks like a spectroscopic sample."""

from dataclasses import dataclass, field, fields

import astropy.units as u
import numpy as np
from astropy.table import QTable
from scipy.special import ndtri

from mantis_astro.bands import BANDS, get_band, get_bands
from mantis_astro.extinction import extinction_curve
from mantis_astro.simulation.population.counts import (
    DEFAULT_MIX,
    SubsampleTable,
)
from mantis_astro.simulation.population.donors import DONOR_SETS, Donors
from mantis_astro.simulation.population.shapes import (
    draw_shapes,
    split_light,
)
from mantis_astro.simulation.population.templates import (
    Z_MAX,
    TemplateGrid,
    igm_transmission,
    rest_templates,
    rest_wavelength,
)
from mantis_astro.simulation.uniforms import keys_at, keys_of, uniforms
from mantis_astro.spectra.pixels import FLUX_UNIT

__all__ = ["DEFAULT_MIX", "GalaxyPopulation", "GalaxySample"]

# Columns of an object's row of uniform numbers
_SUBSAMPLE, _CELL, _DONOR, _LATITUDE, _EBV = 0, slice(1, 4), 4, 5, 6
_MAPS, _NUCLEUS, _SHAPE, _ERROR = slice(7, 11), slice(11, 13), slice(13, 25), 25
# Knots of the smooth error of templates, ln of the rest wavelength in Angstrom
_KNOTS = np.linspace(np.log(1000), np.log(60000), 8)
_KNOT_WIDTH = _KNOTS[1] - _KNOTS[0]
_N_UNIFORM = _ERROR + len(_KNOTS)

_NUCLEUS_SHARE = 0.06  # of galaxies that have an active nucleus
_NUCLEUS_RANGE = 0.01, 0.3  # of the light at 5500 A, where there is one
_LEAST_SIN_B = np.sin(np.radians(5))


@dataclass(frozen=True)
class GalaxySample:
    """
    True properties of galaxies, one row each; slices are samples.

    Attributes
    ----------
    bands : tuple of Band
        Bands of the fluxes.
    names : tuple of str
        Names of the subsamples.
    key : `~numpy.ndarray` of uint64
        What each object's random numbers follow from, shape (n,).
    subsample : `~numpy.ndarray` of int
        Row of ``names``, shape (n,).
    z : `~numpy.ndarray`
        Redshift, shape (n,).
    mag : `~numpy.ndarray`
        AB magnitude in the band of the subsample's selection, without Galactic dust.
    M_r : `~numpy.ndarray`
        Absolute magnitude in SDSS r at z = 0.1, with the K correction of its kind.
    log_mass : `~numpy.ndarray`
        log10 of the stellar mass in suns.
    red : `~numpy.ndarray` of bool
        Which luminosity function it is from.
    donor : `~numpy.ndarray` of int
        Number of the donor of its spectrum.
    latitude : `~numpy.ndarray`
        Galactic latitude, degrees.
    ebv : `~numpy.ndarray`
        E(B-V) that dims it, on the scale of the map of Schlegel et al., magnitudes.
    ebv_maps : `~numpy.ndarray`
        E(B-V) as two maps, CSFD and Planck, have it, shape (n, 2).
    coefficients : `~numpy.ndarray`
        Of the templates for disc, bulge and nucleus, shape (n, 3, n_template).
    template_error : `~numpy.ndarray`
        Magnitudes at knots of the rest wavelength, shape (n, n_knot).
    component_flux : `~numpy.ndarray`
        Flux of disc, bulge and nucleus in nJy, behind intergalactic gas and Galactic
        dust, shape (n, 3, n_band).
    extinction : `~numpy.ndarray`
        Extinction per E(B-V) of this spectrum, magnitudes, shape (n, n_band).
    radius : `~numpy.ndarray`
        Half-light radius of disc and bulge along the major axis, arcsec, shape (n, 2).
    sersic, axis_ratio : `~numpy.ndarray`
        Of disc and bulge, shape (n, 2).
    position_angle : `~numpy.ndarray`
        Radians from north through east, shape (n,).
    """

    bands: tuple
    names: tuple
    key: np.ndarray
    subsample: np.ndarray
    z: np.ndarray
    mag: np.ndarray
    M_r: np.ndarray
    log_mass: np.ndarray
    red: np.ndarray
    donor: np.ndarray
    latitude: np.ndarray
    ebv: np.ndarray
    ebv_maps: np.ndarray
    coefficients: np.ndarray
    template_error: np.ndarray
    component_flux: np.ndarray
    extinction: np.ndarray
    radius: np.ndarray
    sersic: np.ndarray
    axis_ratio: np.ndarray
    position_angle: np.ndarray

    def __len__(self):
        return len(self.z)

    def __getitem__(self, rows):
        if isinstance(rows, int | np.integer):
            msg = f"a sample is sliced, not indexed: use [{rows}:{rows + 1}]"
            raise TypeError(msg)
        return type(self)(
            self.bands,
            self.names,
            *(getattr(self, f.name)[rows] for f in fields(self)[2:]),
        )

    @property
    def flux(self):
        """Total flux in nJy, shape (n, n_band)."""
        return self.component_flux.sum(axis=1)

    @property
    def kind(self):
        """Name of each galaxy's subsample, shape (n,)."""
        return np.array(self.names)[self.subsample]

    @classmethod
    def concatenate(cls, parts):
        """
        Join samples of the same population.

        Parameters
        ----------
        parts : sequence of GalaxySample
            The samples.

        Returns
        -------
        GalaxySample
            All rows in order.
        """
        first = parts[0]
        return cls(
            first.bands,
            first.names,
            *(
                np.concatenate([getattr(part, f.name) for part in parts])
                for f in fields(cls)[2:]
            ),
        )

    def to_table(self):
        """
        Return a table of observed and true properties.

        Returns
        -------
        `~astropy.table.QTable`
            ``z_spec``, ``kind``, ``ebv`` (as the map of CSFD has it), ``ebv_planck``,
            ``flux_*`` in nJy and ``mag_*`` in AB for each band (``ps1.g`` becomes
            ``ps1_g``; without a flux the magnitude is infinite), then the truth:
            ``ebv_true``, ``log_mass``, ``half_light_radius`` (of the larger part),
            ``bulge_fraction`` and ``nucleus_fraction`` (in the last band), ``donor``.
        """
        table = QTable()
        table["z_spec"] = self.z * u.dimensionless_unscaled
        table["kind"] = self.kind
        table["ebv"] = self.ebv_maps[:, 0] * u.mag
        table["ebv_planck"] = self.ebv_maps[:, 1] * u.mag
        for band, flux in zip(self.bands, self.flux.T, strict=True):
            name = str(band).replace(".", "_")
            table[f"flux_{name}"] = flux * u.nJy
            with np.errstate(divide="ignore"):
                table[f"mag_{name}"] = (31.4 - 2.5 * np.log10(flux)) * u.mag
        table["ebv_true"] = self.ebv * u.mag
        table["log_mass"] = self.log_mass
        table["half_light_radius"] = self.radius.max(axis=1) * u.arcsec
        share = self.component_flux[..., -1]
        share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-30)
        table["bulge_fraction"], table["nucleus_fraction"] = share[:, 1], share[:, 2]
        table["donor"] = self.donor
        return table


@dataclass(frozen=True)
class GalaxyPopulation:
    """
    A population of galaxies that looks like a spectroscopic sample.

    Redshift and luminosity follow the luminosity functions of red and blue galaxies
    and what a survey picks of them; spectra are those of real galaxies of like
    redshift, luminosity and kind, as mixtures of templates. Everything about a galaxy
    follows from the seed and its number, or its position.

    Parameters
    ----------
    seed : int
        Another seed, other galaxies.
    mix : tuple of Subsample
        Which surveys pick them, and in what ratio.
    donors : {"all", "train", "validation", "test"}
        Whose spectra: a half and two quarters that share no donor, or all.
    bands : iterable of Band or str
        Bands of the fluxes, any that are registered.
    template_error : float
        Standard deviation, in magnitudes, of a smooth error of each spectrum: what the
        templates miss.

    Raises
    ------
    ValueError
        If the mix is empty, donors are none of these, or the error is negative.
    KeyError
        `~mantis_astro.exceptions.MissingBandError` for an unknown band.
    ImportError
        If kcorrect is not installed.

    Notes
    -----
    See the user guide for sources. Galactic dust follows the cosecant of the latitude
    with a scatter of 0.45 in its logarithm; the maps err by 6 % (CSFD) and 12 %
    (Planck) and by a few thousandths of a magnitude.

    Examples
    --------
    >>> from mantis_astro.simulation import GalaxyPopulation
    >>> population = GalaxyPopulation(seed=1)
    >>> sample = population.draw(1000)
    >>> sample.flux.shape, bool((sample.z < 1.6).all())
    ((1000, 9), True)
    >>> bool((population.draw(1, start=999).z == sample.z[999]).all())
    True
    """

    seed: int = 0
    mix: tuple = field(default=DEFAULT_MIX, kw_only=True)
    donors: str = field(default="all", kw_only=True)
    bands: tuple = field(default=BANDS, kw_only=True)
    template_error: float = field(default=0.04, kw_only=True)

    def __post_init__(self):
        object.__setattr__(self, "bands", get_bands(self.bands))
        object.__setattr__(self, "mix", tuple(self.mix))
        if not self.mix:
            msg = "'mix' is empty: name at least one subsample"
            raise ValueError(msg)
        if self.donors not in DONOR_SETS:
            msg = (
                f"'donors' must be one of {', '.join(DONOR_SETS)}; got {self.donors!r}"
            )
            raise ValueError(msg)
        if not self.template_error >= 0:
            msg = f"'template_error' must not be negative, got {self.template_error}"
            raise ValueError(msg)
        highest = max(subsample.z_range[1] for subsample in self.mix)
        if highest > Z_MAX:
            msg = f"redshifts of 'mix' must not exceed {Z_MAX}, got {highest}"
            raise ValueError(msg)

    def draw(self, n, start=0):
        """
        Draw numbered galaxies.

        Parameters
        ----------
        n : int
            How many.
        start : int, optional
            Number of the first.

        Returns
        -------
        GalaxySample
            Galaxies ``start`` to ``start + n``, the same whatever else is drawn.

        Raises
        ------
        ValueError
            If a number is negative.
        """
        if n < 0 or start < 0:
            msg = f"'n' and 'start' must not be negative, got {n} and {start}"
            raise ValueError(msg)
        keys = keys_of(self.seed, np.arange(start, start + n))
        sin_b = uniforms(keys, _LATITUDE + 1)[:, _LATITUDE]
        # surveys of galaxies keep away from the Galaxy's plane
        latitude = np.degrees(np.arcsin(0.34 + 0.66 * sin_b))
        return self._draw(keys, latitude)

    def draw_at(self, coords):
        """
        Draw the galaxies that stand at positions.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,), to 0.01 arcsec.

        Returns
        -------
        GalaxySample
            One for each position, the same whenever it is asked for.
        """
        coords = coords.reshape(-1)
        return self._draw(keys_at(self.seed, coords), coords.galactic.b.deg)

    def n_of_z(self, z_edges):
        """
        Compute the distribution of redshifts, exactly.

        Parameters
        ----------
        z_edges : array_like
            Edges of redshift bins, shape (n_bins + 1,).

        Returns
        -------
        `~numpy.ndarray`
            Share of all galaxies in each bin, shape (n_bins,).

        Examples
        --------
        >>> from mantis_astro.simulation import GalaxyPopulation, Subsample
        >>> survey = Subsample("survey", 1.0, "ps1.r", faint=17.8, z_range=(0.01, 0.5))
        >>> population = GalaxyPopulation(mix=[survey])
        >>> population.n_of_z([0.0, 0.5, 1.0])
        array([1., 0.])
        """
        total = sum(each.share for each in self.mix)
        below = sum(
            each.share / total * SubsampleTable.of(each, self.donors).below(z_edges)
            for each in self.mix
        )
        return np.diff(below)

    def _draw(self, keys, latitude):
        u01 = uniforms(keys, _N_UNIFORM)
        donors = Donors.of(self.donors)
        subsample, z, mag, M_r, red = self._draw_brightness(u01)
        row = donors.choose(u01[:, _DONOR], z, M_r, red)
        total = np.concatenate([donors.share[row], _nuclei(u01[:, _NUCLEUS])], axis=1)
        total /= total.sum(axis=1, keepdims=True)
        log_mass = donors.mass_to_light[row] - 0.4 * M_r
        shape = draw_shapes(u01[:, _SHAPE], z, log_mass, red)
        parts = split_light(total, shape.bulge_fraction, shape.gradient)
        filters = tuple(band.sedpy_name for band in self.bands)
        selection = tuple(get_band(s.band).sedpy_name for s in self.mix)
        chosen = filters + tuple(dict.fromkeys(selection))
        values = TemplateGrid.of(chosen).fluxes(parts, z)
        column = np.array([chosen.index(s, len(filters)) for s in selection])[subsample]
        seen = values[np.arange(len(z)), :, 0, column].sum(axis=1)
        scale = (10 ** (-0.4 * (mag - 31.4)) / seen)[:, None, None]
        values = values[..., : len(filters)] * scale[..., None]
        ebv, ebv_maps = _dust(u01, latitude)
        error = ndtri(u01[:, _ERROR:]) * self.template_error
        flux, extinction = _observe(values, z, ebv, error)
        return GalaxySample(
            bands=self.bands,
            names=tuple(s.name for s in self.mix),
            key=keys,
            subsample=subsample,
            z=z,
            mag=mag,
            M_r=M_r,
            log_mass=log_mass,
            red=red,
            donor=donors.number[row],
            latitude=latitude,
            ebv=ebv,
            ebv_maps=ebv_maps,
            coefficients=parts * scale,
            template_error=error,
            component_flux=flux,
            extinction=extinction,
            radius=shape.radius,
            sersic=shape.sersic,
            axis_ratio=shape.axis_ratio,
            position_angle=shape.position_angle,
        )

    def _draw_brightness(self, u01):
        shares = np.cumsum([s.share for s in self.mix])
        subsample = np.searchsorted(shares, u01[:, _SUBSAMPLE] * shares[-1])
        z, mag, M_r = np.zeros((3, len(u01)))
        red = np.zeros(len(u01), dtype=bool)
        for i, each in enumerate(self.mix):
            rows = subsample == i
            table = SubsampleTable.of(each, self.donors)
            z[rows], mag[rows], M_r[rows], red[rows] = table.draw(u01[rows, _CELL])
        return subsample, z, mag, M_r, red

    def spectrum(self, sample, i):
        """
        Make the spectrum of a galaxy, all its light.

        Parameters
        ----------
        sample : GalaxySample
            A sample of this population.
        i : int
            Row in it.

        Returns
        -------
        `~specutils.Spectrum`
            Observed flux density per wavelength from 91 Angstrom to 6 micron in the
            observer's frame, behind intergalactic gas and Galactic dust.
        """
        from specutils import Spectrum

        z = sample.z[i]
        rest = rest_wavelength()
        wavelength = rest * (1 + z)
        within = (wavelength >= 91) & (wavelength < 6.1e4)
        rest, wavelength = rest[within], wavelength[within]
        flux = sample.coefficients[i].sum(axis=0) @ rest_templates()[:, within]
        flux = flux * igm_transmission(wavelength, z)
        dust = extinction_curve(np.maximum(wavelength, 912) * u.AA, scale="sfd")
        error = _error_at(np.log(rest)[None], sample.template_error[i : i + 1])[0]
        flux = flux * 10 ** (-0.4 * (dust * sample.ebv[i] + error))
        return Spectrum(flux=flux * FLUX_UNIT, spectral_axis=wavelength * u.AA)


def _nuclei(u01):
    """Coefficient of the active nucleus, where that of the stars is 1."""
    low, high = np.log(_NUCLEUS_RANGE)
    share = np.exp(low + (high - low) * u01[:, 1])
    return np.where(u01[:, 0] < _NUCLEUS_SHARE, share / (1 - share), 0)[:, None]


def _dust(u01, latitude):
    """E(B-V), and its values on two maps."""
    sin_b = np.maximum(np.abs(np.sin(np.radians(latitude))), _LEAST_SIN_B)
    ebv = np.minimum(0.02 / sin_b * np.exp(0.45 * ndtri(u01[:, _EBV])), 2.0)
    noise = ndtri(u01[:, _MAPS]).reshape(-1, 2, 2)
    factor = np.exp(noise[:, 0] * (0.06, 0.12))
    maps = ebv[:, None] * factor + noise[:, 1] * (0.003, 0.005)
    return ebv, np.maximum(maps, 0)


def _error_at(ln_rest, amplitude):
    """Smooth error in magnitudes at ln of rest wavelengths, shape (n, n_wavelength)."""
    x = (ln_rest[..., None] - _KNOTS) / _KNOT_WIDTH
    weight = np.exp(-0.5 * x**2)
    weight /= np.sqrt((weight**2).sum(axis=-1, keepdims=True))
    return np.einsum("nwk,nk->nw", weight, amplitude)


def _observe(values, z, ebv, error):
    """Fluxes of the parts behind Galactic dust, and extinction per E(B-V)."""
    flux, reddened, moment = values.sum(axis=1).transpose(1, 0, 2)
    safe = np.maximum(flux, 1e-30)
    extinction, ln = reddened / safe, moment / safe
    dimming = extinction * ebv[:, None]
    dimming += _error_at(ln - np.log1p(z)[:, None], error)
    return values[:, :, 0] * 10 ** (-0.4 * dimming)[:, None], extinction
