"""The door in for tables: from columns of fluxes to a photometric network's input."""

import logging
import math
from functools import cached_property

import numpy as np
import torch

from mantis_astro.bands import get_band
from mantis_astro.exceptions import InputSpecError
from mantis_astro.flags import Flag, missing_flags
from mantis_astro.fluxes import (
    AB_ZERO_POINT_NJY,
    POGSON,
    SENTINELS,
    Fluxes,
    as_observed,
    flux_columns,
    read_fluxes,
    read_state,
)
from mantis_astro.models.inputs import NetworkInput, dust_inputs
from mantis_astro.records import record

__all__ = ["PhotometrySpec", "detection_flags"]

log = logging.getLogger(__name__)


@record("photometry", renamed={"softening": "asinh_scale"})
class PhotometrySpec:
    """
    Columns of a table that a network reads, and their preparation.

    Each band gives three inputs: its asinh magnitude, the error of that, and whether
    the band was observed. A non-detection is an observation and keeps its measured
    flux, negative or not.

    Attributes
    ----------
    bands : tuple of str
        Bands in the order of the network.
    asinh_scale : tuple of float
        For each band, the flux in nJy below which the magnitude turns linear: about
        the noise of the survey. Twice the softening of
        `~mantis_astro.photometry.flux_to_asinh_mag`.
    ebv_maps : tuple of str
        Dust maps whose E(B-V) the network reads, in its order.
    ebv_default : tuple of float
        E(B-V) for each map where none is given.
    zero_magnitude, magnitude_scale : float
        A band's first input is ``(zero_magnitude - magnitude) / magnitude_scale``.
    aperture : str
        What light the fluxes hold, as `measure_photometry` writes it into the meta of
        its tables under ``FLUXAPER``: another one is warned of in the log. Empty for
        any.

    Notes
    -----
    Asinh magnitudes: Lupton, Gunn & Szalay 1999 (AJ 118, 1406), equation 3, of which
    ``asinh_scale`` is :math:`2 b f_0`.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import QTable
    >>> from mantis_astro.models import PhotometrySpec
    >>> spec = PhotometrySpec(("ps1.g", "ps1.r"), asinh_scale=(300.0, 300.0))
    >>> table = QTable({"flux_ps1_g": [3631.0] * u.nJy, "flux_err_ps1_g": [50] * u.nJy})
    >>> spec.to_tensor(table, ebv=0.02).images.shape
    torch.Size([1, 6])
    """

    bands: tuple
    asinh_scale: tuple
    ebv_maps: tuple = ("csfd", "planck")
    ebv_default: tuple = (0.0355, 0.0418)
    zero_magnitude: float = 22.0
    magnitude_scale: float = 2.0
    aperture: str = "circle of 3 arcsec, total of a point source"

    reads_tables = True

    def __post_init__(self):
        if len(self.asinh_scale) != len(self.bands) or min(self.asinh_scale) <= 0:
            msg = (
                f"'asinh_scale' must have one positive flux for each of "
                f"{len(self.bands)} bands, got {self.asinh_scale}"
            )
            raise InputSpecError(msg)
        if len(self.ebv_default) != len(self.ebv_maps) or not all(
            map(math.isfinite, self.ebv_default)
        ):
            msg = (
                f"'ebv_default' must have one number for each of the maps "
                f"{self.ebv_maps}, got {self.ebv_default}"
            )
            raise InputSpecError(msg)

    @property
    def n_inputs(self):
        """Length of the vector that a network reads for each object."""
        return 3 * len(self.bands)

    def columns(self, band):
        """
        Names of the two columns of a band.

        Parameters
        ----------
        band : Band or str
            The band.

        Returns
        -------
        flux, flux_err : str
            Such as ``flux_ps1_g`` and ``flux_err_ps1_g``.
        """
        return flux_columns(band)

    def read(self, table, *, missing=SENTINELS):
        """
        Read the fluxes of a table that the network reads.

        Fluxes that the table calls corrected for Galactic dust are made again what was
        observed, as the network expects; see `~mantis_astro.fluxes.read_state`.

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
            In the network's bands.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if no band has a column, or a
            correction for dust cannot be undone;
            `~astropy.units.UnitsError` if a column is not a flux density.
        """
        names = [self.columns(band)[0] for band in self.bands]
        if not set(names) & set(table.colnames):
            msg = f"'table' must have at least one of the columns {', '.join(names)}"
            raise InputSpecError(msg)
        fluxes = read_fluxes(table, self._bands, missing=missing)
        aperture = read_state(table).aperture
        if self.aperture and aperture and aperture != self.aperture:
            log.warning(
                "fluxes of the table are of another aperture (%s) than the network's "
                "(%s): expect a bias",
                aperture,
                self.aperture,
            )
        return as_observed(fluxes, table)

    def to_tensor(self, table, ebv=None):
        """
        Prepare the rows of a table.

        Parameters
        ----------
        table : `~astropy.table.Table` or `~mantis_astro.fluxes.Fluxes`
            With columns `columns` of at least one band, as
            `~mantis_astro.fluxes.read_fluxes` reads them; or what `read` made of it.
        ebv : array_like or mapping, optional
            E(B-V) in magnitudes; see `InputSpec.to_tensor`.

        Returns
        -------
        NetworkInput
            Its ``images`` have shape (n_object, n_inputs).

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if no band has a column, or if
            ``ebv`` does not fit; `~astropy.units.UnitsError` if a column is not a flux
            density.

        Notes
        -----
        An object without any band is not usable (NO_DATA). NON_DETECTION: no band with
        a known error reaches three times that.
        """
        fluxes = table if isinstance(table, Fluxes) else self.read(table)
        observed = fluxes.observed
        values, shown = torch.from_numpy(fluxes.values), torch.from_numpy(observed)
        ebv, flags = dust_inputs(self, ebv, len(fluxes))
        flags |= missing_flags(observed, self._bands)
        flags |= detection_flags(fluxes)
        return NetworkInput(self.encode(values, shown), ebv, flags, observed.any(1))

    def encode(self, values, observed):
        """
        Convert fluxes to the input of the network.

        Parameters
        ----------
        values : `torch.Tensor`
            Fluxes and errors in nJy, shape (n_object, 2, n_band); NaN where not known.
        observed : `torch.Tensor`
            Whether there is a flux, shape (n_object, n_band), bool.

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_inputs), float32: magnitudes, their errors, and whether
            each band was observed; 0 for what is not known.
        """
        flux, error = values.unbind(1)  # (n_object, n_band) each
        scale = flux.new_tensor(self.asinh_scale)
        zero = torch.log(scale / (2 * AB_ZERO_POINT_NJY))
        magnitude = -POGSON * (torch.asinh(flux / scale) + zero)
        error = torch.where(error > 0, error, torch.nan)
        parts = (
            (self.zero_magnitude - magnitude) / self.magnitude_scale,
            POGSON * error / torch.hypot(flux, scale),
            torch.ones_like(flux),
        )
        shown = (observed & torch.isfinite(flux))[:, None]
        inputs = torch.where(shown, torch.stack(parts, 1), 0.0)
        return torch.nan_to_num(inputs).float().flatten(1)

    def arrays(self, table):
        """
        Read a table as galaxies of a training are kept.

        Parameters
        ----------
        table : `~astropy.table.Table`
            As for `to_tensor`.

        Returns
        -------
        values : `~numpy.ndarray`
            Flux and error in nJy, NaN where there is none, shape (n_object, 2,
            n_band), float32.
        observed : `~numpy.ndarray`
            Whether there is a flux, shape (n_object, n_band).

        Raises
        ------
        ValueError
            As `read`.
        """
        fluxes = self.read(table)
        return fluxes.values.astype(np.float32), fluxes.observed

    def learnt(self, images):  # noqa: ARG002  others keep what they learnt
        """
        Return the spec itself; it has no ranges of a training set.

        Parameters
        ----------
        images : sequence of `torch.Tensor`
            Galaxies as `encode` gives them, in batches.

        Returns
        -------
        PhotometrySpec
            The spec itself.
        """
        return self

    def encode_batch(self, images, observed, ebv):  # noqa: ARG002  others read E(B-V)
        """
        Prepare galaxies of a training.

        Parameters
        ----------
        images, observed : `torch.Tensor`
            As for `encode`.
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, n_map); the network reads it.

        Returns
        -------
        `torch.Tensor`
            As `encode` gives it.
        """
        return self.encode(images, observed)

    @cached_property
    def _bands(self):
        return tuple(get_band(band) for band in self.bands)


def detection_flags(fluxes):
    """
    Flag objects without any flux (NO_DATA), or any that is significant.

    Parameters
    ----------
    fluxes : `~mantis_astro.fluxes.Fluxes`
        Of some objects.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n_object,), int32. NON_DETECTION: no band with a known error reaches
        three times that.
    """
    flux, error, observed = fluxes.flux, fluxes.flux_err, fluxes.observed
    known = error > 0
    measured, detected = (observed & known).any(1), (known & (flux >= 3 * error))
    flags = np.zeros(len(fluxes), np.int32)
    flags[measured & ~detected.any(1)] |= Flag.NON_DETECTION
    flags[~observed.any(1)] |= Flag.NO_DATA
    return flags
