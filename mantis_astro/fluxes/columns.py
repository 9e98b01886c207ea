"""The one reader of columns of fluxes: units, masks, and what was not observed."""

from dataclasses import dataclass, replace

import astropy.units as u
import numpy as np
from astropy.table import Row

from mantis_astro.bands import get_band, get_bands, list_bands

__all__ = ["Fluxes", "column_suffix", "flux_columns", "read_fluxes"]


def column_suffix(band):
    """
    Give the ending of the columns of a band.

    Parameters
    ----------
    band : Band or str
        The band.

    Returns
    -------
    str
        Its name with the dot made an underscore.

    Examples
    --------
    >>> from mantis_astro.photometry import column_suffix
    >>> column_suffix("galex.NUV")
    'galex_NUV'
    """
    return str(get_band(band)).replace(".", "_")


def flux_columns(band):
    """
    Names of the two columns of a band.

    Parameters
    ----------
    band : Band or str
        The band.

    Returns
    -------
    flux, flux_err : str
        Names of the columns.

    Examples
    --------
    >>> from mantis_astro.fluxes import flux_columns
    >>> flux_columns("ps1.g")
    ('flux_ps1_g', 'flux_err_ps1_g')
    """
    suffix = column_suffix(band)
    return f"flux_{suffix}", f"flux_err_{suffix}"


@dataclass(frozen=True)
class Fluxes:
    """
    Fluxes of some objects, as plain numbers.

    Attributes
    ----------
    bands : tuple of Band
        The bands.
    flux : `~numpy.ndarray`
        In nJy, shape (n_object, n_band); NaN where not observed.
    flux_err : `~numpy.ndarray`
        In nJy, shape (n_object, n_band); NaN where not observed or not known.
    """

    bands: tuple
    flux: np.ndarray
    flux_err: np.ndarray

    def __len__(self):
        return len(self.flux)

    def __getitem__(self, rows):
        """Return the chosen objects."""
        return replace(self, flux=self.flux[rows], flux_err=self.flux_err[rows])

    @property
    def observed(self):
        """Whether there is a flux, shape (n_object, n_band)."""
        return np.isfinite(self.flux)

    @property
    def values(self):
        """Fluxes and errors, shape (n_object, 2, n_band)."""
        return np.stack([self.flux, self.flux_err], axis=1)


def read_fluxes(table, bands=None, *, default_unit=None):
    """
    Read the columns of fluxes of a table.

    Parameters
    ----------
    table : `~astropy.table.Table` or `~astropy.table.Row`
        With columns such as ``flux_ps1_g`` and ``flux_err_ps1_g``.
    bands : iterable of Band or str, optional
        The bands; by default all registered ones that have a column of fluxes.
    default_unit : `~astropy.units.UnitBase`, optional
        Unit of columns that have none; by default such a column is an error.

    Returns
    -------
    Fluxes
        A band without columns was not observed; without a column of errors they are
        not known. What is masked, NaN or infinite counts as absent.

    Raises
    ------
    ValueError
        `~astropy.units.UnitsError` if a column is not a flux density, or has no unit.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import QTable
    >>> from mantis_astro.fluxes import read_fluxes
    >>> table = QTable({"flux_ps1_g": [3.631] * u.uJy, "flux_err_ps1_g": [9] * u.nJy})
    >>> read_fluxes(table).flux
    array([[3631.]])
    """
    if isinstance(table, Row):
        table = table.table[table.index : table.index + 1]
    if bands is None:
        bands = [b for b in list_bands() if flux_columns(b)[0] in table.colnames]
    else:
        bands = get_bands(bands)
    values = np.full((2, len(table), len(bands)), np.nan)
    for j, band in enumerate(bands):
        for k, name in enumerate(flux_columns(band)):
            if name in table.colnames:
                values[k, :, j] = _njy(table[name], name, default_unit)
    flux, flux_err = values
    return Fluxes(tuple(bands), flux, flux_err)


def _njy(column, name, default_unit):
    """Column in nJy as plain floats; NaN where masked or infinite."""
    unit = default_unit if column.unit is None else column.unit
    if unit is None:
        msg = (
            f"column '{name}' has no unit: set it to that of its numbers, "
            f"table['{name}'].unit = 'nJy'"
        )
        raise u.UnitsError(msg)
    # a magnitude says that it is equivalent too
    if not isinstance(unit, u.UnitBase) or not unit.is_equivalent(u.nJy):
        msg = f"column '{name}' must be a flux density (nJy), got {unit}"
        raise u.UnitsError(msg)
    values = np.array(getattr(column, "unmasked", column), float) * unit.to(u.nJy)
    values[getattr(column, "mask", False) | ~np.isfinite(values)] = np.nan
    return values
