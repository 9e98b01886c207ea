"""The door in for tables: from columns of fluxes to a photometric network's input."""

import astropy.units as u
import numpy as np
import torch

from mantis_astro.bands import get_band
from mantis_astro.exceptions import InputSpecError
from mantis_astro.flags import Flag
from mantis_astro.models.inputs import NetworkInput, dust_inputs, missing_flags
from mantis_astro.records import record

__all__ = ["PhotometrySpec"]

_AB = 3631e9  # nJy
_POGSON = 2.5 / np.log(10)


@record("photometry")
class PhotometrySpec:
    """
    What columns of a table a network reads, and how they are prepared.

    Each band gives three inputs: its asinh magnitude, the error of that, and whether
    the band was observed. A non-detection is an observation and keeps its measured
    flux, negative or not.

    Attributes
    ----------
    bands : tuple of str
        Bands in the order of the network.
    softening : tuple of float
        For each band, the flux in nJy below which the magnitude turns linear: about
        the noise of the survey.
    ebv_maps : tuple of str
        Dust maps whose E(B-V) the network reads, in its order.
    ebv_default : tuple of float
        E(B-V) for each map where none is given.
    zero_magnitude, magnitude_scale : float
        A band's first input is ``(zero_magnitude - magnitude) / magnitude_scale``.

    Notes
    -----
    Asinh magnitudes: Lupton, Gunn & Szalay 1999 (AJ 118, 1406), equation 3, with
    softening ``s = 2 b f0``.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import QTable
    >>> from mantis_astro.models import PhotometrySpec
    >>> spec = PhotometrySpec(("ps1.g", "ps1.r"), softening=(300.0, 300.0))
    >>> table = QTable({"flux_ps1_g": [3631.0] * u.nJy, "flux_err_ps1_g": [50] * u.nJy})
    >>> spec.to_tensor(table, ebv=0.02).images.shape
    torch.Size([1, 6])
    """

    bands: tuple
    softening: tuple
    ebv_maps: tuple = ("csfd", "planck")
    ebv_default: tuple = (0.0355, 0.0418)
    zero_magnitude: float = 22.0
    magnitude_scale: float = 2.0

    def __post_init__(self):
        if len(self.softening) != len(self.bands) or min(self.softening) <= 0:
            msg = (
                f"'softening' must have one positive flux for each of "
                f"{len(self.bands)} bands, got {self.softening}"
            )
            raise InputSpecError(msg)
        if len(self.ebv_default) != len(self.ebv_maps):
            msg = (
                f"'ebv_default' must have one value for each of the maps "
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
        suffix = str(get_band(band)).replace(".", "_")
        return f"flux_{suffix}", f"flux_err_{suffix}"

    def to_tensor(self, table, ebv=None):
        """
        Prepare the rows of a table.

        Parameters
        ----------
        table : `~astropy.table.Table`
            With columns `columns` of at least one band, each a flux density: fluxes of
            bands that were not observed are masked or NaN. A band without columns was
            not observed at all; an error that is masked, NaN or absent is not known.
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
        names = [self.columns(band) for band in self.bands]
        if not any(flux in table.colnames for flux, _ in names):
            wanted = ", ".join(flux for flux, _ in names)
            msg = f"'table' must have at least one of the columns {wanted}"
            raise InputSpecError(msg)
        n_object, n_band = len(table), len(self.bands)
        inputs = np.zeros((n_object, 3, n_band), np.float32)
        observed = np.zeros((n_object, n_band), bool)
        measured, detected = np.zeros((2, n_object), bool)
        for j, (name, name_err) in enumerate(names):
            flux, error = _njy(table, name), _njy(table, name_err)
            error[~(error > 0)] = np.nan
            observed[:, j] = good = np.isfinite(flux)
            measured |= good & np.isfinite(error)
            detected |= flux >= 3 * error
            inputs[:, 0, j], inputs[:, 1, j] = self._asinh(flux, error, j)
            inputs[:, 2, j] = good
        inputs[:, :2] *= observed[:, None]
        tensor = torch.from_numpy(
            np.nan_to_num(inputs).reshape(n_object, self.n_inputs)
        )
        ebv, flags = dust_inputs(self, ebv, n_object)
        flags |= missing_flags(observed, [get_band(band) for band in self.bands])
        flags[measured & ~detected] |= Flag.NON_DETECTION
        usable = observed.any(1)
        flags[~usable] |= Flag.NO_DATA
        return NetworkInput(tensor, ebv, flags, usable)

    def _asinh(self, flux, error, j):
        """First two inputs of a band; NaN where they are not known."""
        s = self.softening[j]
        magnitude = -_POGSON * (np.arcsinh(flux / s) + np.log(s / (2 * _AB)))
        magnitude_error = _POGSON * error / np.hypot(flux, s)
        return (
            (self.zero_magnitude - magnitude) / self.magnitude_scale,
            magnitude_error,
        )


def _njy(table, name):
    """Column in nJy as plain floats; NaN where masked or infinite, or not there."""
    if name not in table.colnames:
        return np.full(len(table), np.nan)
    column = table[name]
    unit = column.unit
    if unit is None:
        msg = (
            f"column '{name}' has no unit: set it to that of its numbers, "
            f"table['{name}'].unit = 'nJy'"
        )
        raise u.UnitsError(msg)
    mask = getattr(column, "mask", False)
    values = np.asarray(getattr(column, "unmasked", column), float)
    # a magnitude says that it is equivalent too
    if not isinstance(unit, u.UnitBase) or not unit.is_equivalent(u.nJy):
        msg = f"column '{name}' must be a flux density (nJy), got {unit}"
        raise u.UnitsError(msg)
    values = values * unit.to(u.nJy)
    values[mask | ~np.isfinite(values)] = np.nan
    return values
