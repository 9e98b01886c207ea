"""Conversion of quantities, columns and masked values to plain numbers."""

import astropy.units as u
import numpy as np
from astropy.utils.masked import Masked

__all__ = ["mask_like", "unit_of", "without_unit"]


def unit_of(values):
    """
    Return the unit that values carry.

    Parameters
    ----------
    values : `~astropy.units.Quantity`, column, or array_like
        The values; of a list of quantities, the first one's unit counts.

    Returns
    -------
    `~astropy.units.UnitBase`, `~astropy.units.FunctionUnitBase` or None
        None for plain numbers.
    """
    if isinstance(values, list | tuple) and values:
        return unit_of(values[0])
    return getattr(values, "unit", None)


def without_unit(values, unit):
    """
    Bring values into a unit, as plain floats.

    Parameters
    ----------
    values : `~astropy.units.Quantity`, column, masked array, or array_like
        Plain numbers are in the unit already. A column of a table carries its unit
        whether the table is a QTable or a plain one.
    unit : `~astropy.units.UnitBase`
        The unit.

    Returns
    -------
    `~numpy.ndarray`
        A new array of the same shape; NaN where the values are masked.

    Raises
    ------
    ValueError
        `~astropy.units.UnitConversionError` if they cannot be converted.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import MaskedColumn
    >>> from mantis_astro.units import without_unit
    >>> without_unit(MaskedColumn([1.0, 2.0], unit="uJy", mask=[False, True]), u.nJy)
    array([1000.,   nan])
    """
    own = unit_of(values)
    if isinstance(values, list | tuple) and own is not None:
        values = u.Quantity(values)
        own = values.unit
    mask = getattr(values, "mask", False)
    values = getattr(values, "unmasked", values)
    values = values.value if isinstance(values, u.Quantity) else np.ma.getdata(values)
    numbers = np.array(values, dtype=float)
    if own is not None and own is not unit and own != unit:
        numbers = np.asarray(u.Unit(own).to(unit, numbers))
    return numbers if mask is False else np.where(mask, np.nan, numbers)


def mask_like(values, result):
    """
    Mask results that were computed from masked values.

    Parameters
    ----------
    values : column, masked array or array_like
        What it was computed from.
    result : `~astropy.units.Quantity`
        Of the same shape, NaN where the values are masked.

    Returns
    -------
    `~astropy.units.Quantity`
        As it is, or masked where it is NaN if the values have a mask.
    """
    return Masked(result, mask=np.isnan(result)) if hasattr(values, "mask") else result
