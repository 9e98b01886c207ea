"""The door in for any photometry: a set of measurements through any filters."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch.nn import functional

from mantis_astro.bands import get_band
from mantis_astro.exceptions import InputSpecError
from mantis_astro.extinction import extinction_coefficients
from mantis_astro.flags import Flag
from mantis_astro.fluxes import (
    AB_ZERO_POINT_NJY,
    POGSON,
    SENTINELS,
    Fluxes,
    as_observed,
    get_filter,
    read_fluxes,
    read_state,
)
from mantis_astro.models.inputs import NetworkInput, dust_inputs
from mantis_astro.models.learnt_ranges import LearntRanges, Measured
from mantis_astro.models.photometric_inputs import PhotometrySpec, detection_flags
from mantis_astro.records import record

__all__ = ["APERTURES", "MOST_BANDS", "BandSetSpec", "aperture_number"]

#: Most measurements of one object.
MOST_BANDS = 40

#: Kinds of fluxes that the network is told apart, in the order of their numbers: not
#: known, all light of the galaxy, and a circle of radius 3 arcsec that holds all light
#: of a point source.
APERTURES = ("", "total", PhotometrySpec.aperture)

# Centres and widths that bring numbers to about -1 to 1.
_LN_SHORTEST, _LN_RANGE = np.log(1000.0), np.log(60.0)  # from 0.1 to 6 micron
_N_WAVES = 8  # the shortest has a period of 0.06 in ln wavelength
_QUANTILES = 0.02, 0.16, 0.5, 0.84, 0.98
_LARGEST_EXTINCTION = 10.0  # magnitudes for E(B-V) = 1

# What measurements are clipped to: nothing that training covers is beyond.
_ERROR_MAGNITUDES = 6.0, 38.0
_LOWEST_SNR = -6.0
_MOST_EBV = 3.0
_FARTHEST = 10.0  # magnitudes from the mean of an object
_SCATTER_OF_MEAN = 0.2  # mag: a good measurement counts as a few mediocre ones


def aperture_number(text):
    """
    Return the number that encodes the aperture for the network.

    Parameters
    ----------
    text : str
        As `~mantis_astro.fluxes.FluxState` has it.

    Returns
    -------
    int
        Place in ``APERTURES``, where an ellipse of Kron counts as all light; 0, not
        known, for any other text.

    Examples
    --------
    >>> from mantis_astro.models.band_sets import aperture_number
    >>> aperture_number("total"), aperture_number("a slit")
    (1, 0)
    """
    if "Kron" in text:
        text = "total"
    return APERTURES.index(text) if text in APERTURES else 0


@record("band_set")
class BandSetSpec:
    """
    Input of a network of any bands, and its preparation.

    Each measurement is told apart by the transmission curve of its filter, not by a
    name. It gives its asinh magnitude, softened by its own error, relative to the mean
    of the object's magnitudes; the error, and whether that is known; and what is
    common to the object: the mean magnitude, how many measurements there are, whether
    Galactic dust was taken off, and what light the fluxes hold.

    Attributes
    ----------
    error_floor : float
        Part of the flux that is added to errors in quadrature.
    unknown_error : float
        Part of the flux that is taken for an error that is not known.
    ebv_maps : tuple of str
        The dust map whose E(B-V) is used.
    ranges : LearntRanges or None
        What was learnt from: objects with measurements outside are flagged
        OOD_FEATURE. See `learnt`.

    Notes
    -----
    Asinh magnitudes: Lupton, Gunn & Szalay 1999 (AJ 118, 1406), equation 3, with
    :math:`b` the error of the flux.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import QTable
    >>> from mantis_astro.models import BandSetSpec
    >>> spec = BandSetSpec()
    >>> table = QTable({"flux_ps1_g": [3631.0] * u.nJy, "flux_err_ps1_g": [50] * u.nJy})
    >>> spec.to_tensor(table, ebv=0.02).images.shape == (1, 1, spec.n_token)
    True
    """

    error_floor: float = 0.02
    unknown_error: float = 0.05
    ebv_maps: tuple = ("csfd",)
    ranges: LearntRanges | None = None

    bands = ()  # those of the table
    ebv_default = (np.nan,)
    reads_tables = True

    #: Numbers that describe a filter, and those beside them in a measurement.
    n_describe = 3 + len(_QUANTILES) + 2 * _N_WAVES
    n_token = n_describe + 9 + len(APERTURES)

    def __post_init__(self):
        if len(self.ebv_maps) != 1:
            msg = f"'ebv_maps' must be the name of one dust map, got {self.ebv_maps}"
            raise InputSpecError(msg)
        if not (0 < self.error_floor < 1 and 0 < self.unknown_error < 1):
            msg = (
                "'error_floor' and 'unknown_error' must be parts of the flux between "
                f"0 and 1, got {self.error_floor} and {self.unknown_error}"
            )
            raise InputSpecError(msg)

    def describe(self, filters):
        """
        Describe transmission curves as the network reads them.

        Parameters
        ----------
        filters : sequence of Band or str
            Bands, or names of bands or of filters in sedpy.

        Returns
        -------
        `torch.Tensor`
            Shape (n_filter, n_describe), float32: logarithms of the pivot wavelength
            and of the width, quantiles of the transmission relative to the pivot,
            sines and cosines of the logarithm of the pivot wavelength, and the
            extinction by Galactic dust.

        Raises
        ------
        KeyError
            `~mantis_astro.exceptions.MissingBandError` if there is no such filter.
        ValueError
            If a curve has no width.
        """
        bands = map(get_band, filters)
        rows = [_describe(band, get_filter(band)) for band in bands]
        return torch.tensor(np.array(rows).reshape(-1, self.n_describe)).float()

    def encode(self, flux, flux_err, observed, described, ebv, aperture):
        """
        Convert measurements to the input of the network.

        Parameters
        ----------
        flux, flux_err : `torch.Tensor`
            In nJy, shape (n_object, n_slot); NaN where not known.
        observed : `torch.Tensor`
            Whether there is a flux, shape (n_object, n_slot), bool.
        described : `torch.Tensor`
            What `describe` says of the filters, shape (n_object, n_slot, n_describe);
            or (1, n_slot, n_describe) for the same filters in all objects.
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object,); NaN where it is not known or the
            fluxes are corrected for an unknown one.
        aperture : `torch.Tensor`
            Place in ``APERTURES``, shape (n_object,).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_slot, n_token), float32; 0 where nothing was observed.
            The last number of a slot is 1 where there was.

        Notes
        -----
        Each object's numbers are the same to the bit whatever it is encoded with, and
        however many empty slots follow.
        """
        shown = observed & torch.isfinite(flux)
        flux = torch.where(shown, flux, 0.0)
        dust = _LARGEST_EXTINCTION * described[..., -1].to(flux)
        known_dust = torch.isfinite(ebv)
        ebv = torch.where(known_dust, ebv, 0.0).clamp(0, _MOST_EBV).to(flux)
        clear = 10 ** (0.4 * dust * ebv[:, None])  # (n_object, n_slot)
        flux = flux * clear
        known = shown & torch.isfinite(flux_err) & (flux_err > 0)
        error = torch.where(known, flux_err * clear, self.unknown_error * flux.abs())
        error = torch.hypot(error, self.error_floor * flux)
        zero = np.log(AB_ZERO_POINT_NJY)
        depth = (POGSON * (zero - error.log())).clamp(*_ERROR_MAGNITUDES)
        error = torch.exp(zero - depth / POGSON)
        snr = (flux / error).clamp(_LOWEST_SNR, 1 / self.error_floor)
        magnitude = depth - POGSON * torch.asinh(snr / 2)
        scatter = POGSON / torch.hypot(snr, torch.full_like(snr, 2.0))
        weight = shown / (_SCATTER_OF_MEAN**2 + scatter**2)
        # a running sum does not depend on how many zeros follow
        total = weight.cumsum(1)[:, -1:].clamp(min=1e-9)
        mean = (weight * magnitude).cumsum(1)[:, -1:] / total  # (n_object, 1)
        kinds = torch.arange(len(APERTURES), device=flux.device)
        numbers = [
            (mean - magnitude).clamp(-_FARTHEST, _FARTHEST),
            4 * scatter,
            scatter.log() / 2 + 1,
            (25 - depth) / 4,
            known.to(flux),
            (22 - mean).expand_as(flux) / 3,
            shown.sum(1, keepdim=True).to(flux).expand_as(flux) / 10,
            known_dust[:, None].to(flux).expand_as(flux),
            *(aperture[:, None] == kinds)
            .to(flux)
            .T[:, :, None]
            .expand(-1, *flux.shape),
            torch.ones_like(flux),
        ]
        described = described.to(flux).expand(len(flux), -1, -1)
        tokens = torch.cat([described, torch.stack(numbers, 2)], 2)
        return torch.where(shown[..., None], tokens, 0.0).float()

    def arrays(self, table):
        """
        Read a table as galaxies of a training are kept.

        Parameters
        ----------
        table : `~astropy.table.Table`
            As for `to_tensor`.

        Returns
        -------
        images : tuple of `~numpy.ndarray`
            What `encode_batch` takes, float32.
        observed : `~numpy.ndarray`
            Whether there is a flux, shape (n_object, n_filter).

        Raises
        ------
        ValueError
            As `read`.
        """
        fluxes = self.read(table)
        described = self.describe(fluxes.bands).numpy()
        n = len(fluxes)
        images = (
            fluxes.flux.astype(np.float32),
            fluxes.flux_err.astype(np.float32),
            np.broadcast_to(described, (n, *described.shape)),  # takes no memory
            np.full(n, aperture_number(fluxes.aperture), np.float32),
        )
        return images, fluxes.observed

    def encode_batch(self, images, observed, ebv):
        """
        Prepare galaxies of a training.

        Parameters
        ----------
        images : tuple of `torch.Tensor`
            The arguments ``flux``, ``flux_err``, ``described`` and ``aperture`` of
            `encode`.
        observed : `torch.Tensor`
            Whether there is a flux, shape (n_object, n_slot), bool.
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, 1); NaN where it is not known.

        Returns
        -------
        `torch.Tensor`
            As `encode` gives it.
        """
        flux, flux_err, described, aperture = images
        return self.encode(flux, flux_err, observed, described, ebv[:, 0], aperture)

    def read(self, table, *, missing=SENTINELS):
        """
        Read the fluxes of a table, of all bands that it has.

        Parameters
        ----------
        table : `~astropy.table.Table`
            As for `to_tensor`.
        missing : sequence of float, optional
            Values that mark a flux as not observed, see
            `~mantis_astro.fluxes.read_fluxes`.

        Returns
        -------
        `~mantis_astro.fluxes.Fluxes`
            One column for each filter, from short wavelengths to long ones; as
            observed through the dust. Bands of the same filter are averaged.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if no band has a column, or a
            correction for dust cannot be undone;
            `~astropy.units.UnitsError` if a column is not a flux density.
        """
        fluxes = read_fluxes(table, missing=missing)
        fluxes = replace(fluxes, aperture=read_state(table).aperture)
        if not fluxes.bands:
            msg = (
                "'table' must have a column of fluxes, such as 'flux_ps1_g' or "
                f"'flux_sdss_r0'; there are {', '.join(table.colnames)}"
            )
            raise InputSpecError(msg)
        return _sorted(as_observed(fluxes, table))

    def to_tensor(self, table, ebv=None):
        """
        Prepare the rows of a table.

        Parameters
        ----------
        table : `~astropy.table.Table` or `~mantis_astro.fluxes.Fluxes`
            With columns of fluxes of any bands, as `~mantis_astro.fluxes.read_fluxes`
            reads them; or what `read` made of it. The order of columns does not matter.
        ebv : array_like or mapping, optional
            E(B-V) in magnitudes; see `InputSpec.to_tensor`. Where it is not given, the
            network is told so.

        Returns
        -------
        NetworkInput
            Its ``images`` have shape (n_object, n_filter, n_token).

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if no band has a column, a row
            has more than ``MOST_BANDS`` measurements, or ``ebv`` does not fit;
            `~astropy.units.UnitsError` if a column is not a flux density.

        Notes
        -----
        An object without any band is not usable (NO_DATA). NON_DETECTION: no band with
        a known error reaches three times that. OOD_FEATURE: a magnitude, an error or a
        colour is outside what was learnt at the wavelength of the filter, or there are
        fewer measurements, or others, than any object of the training had.
        """
        if not isinstance(table, Fluxes):
            table = self.read(table)
        flux, error, observed = table.flux, table.flux_err, table.observed
        _check_number(observed)
        ebv, flags = dust_inputs(self, ebv, len(table))
        flags |= detection_flags(table)
        images = self.encode(
            torch.from_numpy(flux),
            torch.from_numpy(error),
            torch.from_numpy(observed),
            self.describe(table.bands)[None],
            ebv[:, 0],
            torch.full((len(table),), aperture_number(table.aperture)),
        )
        if self.ranges is not None:
            outside = self.ranges.outside(self.measured(images))
            flags[outside[0].any((1, 2)) | outside[1].any(1)] |= Flag.OOD_FEATURE
        return NetworkInput(images, ebv.nan_to_num(), flags, observed.any(1))

    def measured(self, images):
        """
        Convert the input of the network back to magnitudes.

        Parameters
        ----------
        images : `torch.Tensor`
            What `encode` gave, shape (n_object, n_slot, n_token).

        Returns
        -------
        Measured
            On the CPU.
        """
        values = images.detach().cpu().double().numpy()
        start = self.n_describe
        mean = 22 - 3 * values[..., start + 5]
        colour = -values[..., start]
        depth = 25 - 4 * values[..., start + 3]
        ln_pivot = _LN_SHORTEST + _LN_RANGE * (values[..., 0] + 1) / 2
        return Measured(
            there=values[..., -1] > 0,
            pivot=np.exp(ln_pivot) / 1e4,
            magnitude=mean + colour,
            depth=np.where(values[..., start + 4] > 0, depth, np.nan),
            colour=colour,
        )

    def learnt(self, images):
        """
        Return a spec with the ranges of a training set.

        Parameters
        ----------
        images : sequence of `torch.Tensor`
            Galaxies as `encode` gives them, in batches; some thousand of the training.

        Returns
        -------
        BandSetSpec
            Whose ``ranges`` include these and those from before.
        """
        n_slot = max(batch.shape[1] for batch in images)
        padded = [
            functional.pad(batch, (0, 0, 0, n_slot - batch.shape[1]))
            for batch in images
        ]
        ranges = LearntRanges.of(self.measured(torch.cat(padded)), self.ranges)
        return replace(self, ranges=ranges)


@lru_cache(maxsize=1024)
def _describe(band, curve):
    """Describe one filter, n_describe numbers."""
    wavelength = np.asarray(curve.wavelength, float)
    transmission = np.clip(curve.transmission, 0, None)
    ln_pivot = np.log(curve.wave_pivot)
    low, *_, high = quantiles = _quantiles(wavelength, transmission)
    if not high > low:
        msg = f"the transmission of filter '{band}' has no width"
        raise InputSpecError(msg)
    (per_ebv,) = extinction_coefficients([band]).values()
    u_pivot = (ln_pivot - _LN_SHORTEST) / _LN_RANGE
    phases = np.pi * u_pivot * 2.0 ** np.arange(_N_WAVES)
    return np.array(
        [
            2 * u_pivot - 1,
            (np.log(high - low) + 1.5) / 2,
            *(4 * (quantiles - ln_pivot)),
            *np.sin(phases),
            *np.cos(phases),
            per_ebv / _LARGEST_EXTINCTION,
        ]
    )


def _quantiles(wavelength, transmission):
    """Logarithms of the wavelengths below which are parts of the photons."""
    x = np.log(wavelength)
    steps = np.diff(x) * (transmission[1:] + transmission[:-1]) / 2
    share = np.concatenate([[0.0], np.cumsum(steps)])
    if not share[-1] > 0:
        return np.zeros(len(_QUANTILES))
    return np.interp(np.array(_QUANTILES) * share[-1], share, x)


def _sorted(fluxes):
    """Sort by pivot wavelength, and average what is of the same filter."""
    columns = {}
    for j in sorted(range(len(fluxes.bands)), key=lambda j: str(fluxes.bands[j])):
        columns.setdefault(fluxes.bands[j].sedpy_name, []).append(j)
    names = sorted(columns, key=lambda name: (get_filter(name).wave_pivot, name))
    parts = [_averaged(fluxes, columns[name]) for name in names]
    flux, flux_err = (np.stack(part, 1) for part in zip(*parts, strict=True))
    bands = tuple(fluxes.bands[columns[name][0]] for name in names)
    return replace(fluxes, bands=bands, flux=flux, flux_err=flux_err)


def _averaged(fluxes, columns):
    """Weighted mean of columns; those without error count where none has one."""
    flux, error = fluxes.flux[:, columns], fluxes.flux_err[:, columns]
    if len(columns) == 1:
        return flux[:, 0], error[:, 0]
    known = np.isfinite(flux) & np.isfinite(error)
    weight = np.where(known, 1 / np.where(known, error, 1) ** 2, 0.0)
    any_known = known.any(1)
    weight[~any_known] = np.isfinite(flux[~any_known])
    total = weight.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (weight * np.nan_to_num(flux)).sum(1) / total
        return mean, np.where(any_known, 1 / np.sqrt(total), np.nan)


def _check_number(observed):
    number = observed.sum(1)
    if len(number) and number.max() > MOST_BANDS:
        row = int(number.argmax())
        msg = (
            f"an object may have {MOST_BANDS} measurements at most, row {row} has "
            f"{number[row]}: leave some bands out"
        )
        raise InputSpecError(msg)
