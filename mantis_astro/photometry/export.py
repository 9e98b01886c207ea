"""Tables of fluxes in the forms that SED fitting codes read."""

import re
from dataclasses import replace

import astropy.units as u
import numpy as np
from astropy.table import Column, Row, Table

from mantis_astro.bands import get_band
from mantis_astro.extinction import extinction_coefficients, resolve_ebv
from mantis_astro.fluxes import (
    AB_ZERO_POINT_NJY,
    SENTINELS,
    ab_from_njy,
    find_bands,
    flux_columns,
    read_fluxes,
    read_state,
)

__all__ = ["to_eazy", "to_prospector"]

_NOT_OBSERVED = -99.0
_THRESHOLD = -90.0  # eazy leaves out what is not above its NOT_OBS_THRESHOLD
_UNITS = u.nJy, u.uJy, u.mJy, u.Jy, u.kJy, u.MJy


def to_prospector(row, *, bands=None, minimum_error=0.0, ebv=None, missing=SENTINELS):
    """
    Make the photometric part of prospector's ``obs`` from one row.

    Parameters
    ----------
    row : `~astropy.table.Row`
        A row of `measure_photometry`'s table, or any with columns ``flux_ps1_g`` and
        ``flux_err_ps1_g`` that `~mantis_astro.fluxes.read_fluxes` reads; in nJy where
        they have no unit.
    bands : iterable of Band or str, optional
        Bands to take, by default all that have columns.
    minimum_error : float, optional
        Fraction of the flux, not negative, added in quadrature to each error, for what
        templates and calibration do not know.
    ebv : float, optional
        E(B-V) of the Milky Way, on the scale of SFD, to correct the fluxes for, which
        fits expect; 0 for no dust. By default they are taken as they are, if the table
        does not say that they are not corrected.
    missing : sequence of float, optional
        Values that mark a flux as not observed, see
        `~mantis_astro.fluxes.read_fluxes`.

    Returns
    -------
    dict
        ``filternames`` (for `sedpy`), ``maggies``, ``maggies_unc`` and ``phot_mask``
        (False where not observed, or without an error), in the order of ``bands``.

    Raises
    ------
    TypeError
        If it is a whole table.
    ValueError
        If a band has no columns, or no band has; if the table says that its fluxes are
        not corrected for Galactic dust and there is no ``ebv``, or that they are and
        there is.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import QTable
    >>> from mantis_astro.photometry import to_prospector
    >>> table = QTable({"flux_ps1_g": [3631] * u.nJy, "flux_err_ps1_g": [1] * u.nJy})
    >>> to_prospector(table[0])["maggies"]
    array([1.e-09])
    """
    if not isinstance(row, Row):
        msg = f"'row' must be one row of a table, as table[0], got {type(row)}"
        raise TypeError(msg)
    if not minimum_error >= 0:
        msg = f"'minimum_error' must not be negative, got {minimum_error}"
        raise ValueError(msg)
    bands = _bands_of(row, bands)
    if not bands:
        msg = (
            "no fluxes to fit: the row has no pair of columns such as 'flux_ps1_g' and "
            f"'flux_err_ps1_g'; it has {', '.join(row.colnames)}"
        )
        raise ValueError(msg)
    state = read_state(row)
    if ebv is None and state.is_corrected is False:
        msg = (
            "the fluxes are not corrected for Galactic dust, which prospector does not "
            "model: measure them with 'ebv', or give it here, as ebv=row['ebv'] where "
            "there is such a column (0 for no dust)"
        )
        raise ValueError(msg)
    fluxes = read_fluxes(row, bands, missing=missing, default_unit=u.nJy)
    fluxes = _corrected(fluxes, state, ebv)
    flux, flux_err = fluxes.flux[0], fluxes.flux_err[0]
    observed = np.isfinite(flux) & np.isfinite(flux_err)
    error = np.hypot(flux_err, minimum_error * flux)
    return {
        "filternames": [band.sedpy_name for band in bands],
        "maggies": np.where(observed, flux, 0) / AB_ZERO_POINT_NJY,
        "maggies_unc": np.where(observed, error, np.inf) / AB_ZERO_POINT_NJY,
        "phot_mask": observed,
    }


def to_eazy(table, filter_numbers, *, ids=None, ebv=None, missing=SENTINELS):
    """
    Make a catalogue for eazy.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        Table of `measure_photometry`, or any with such columns.
    filter_numbers : mapping of Band or str to int
        Number of each band's filter in the ``FILTERS_RES`` file that eazy is given.
    ids : sequence of int, optional
        Identifiers, by default 1, 2, 3...
    ebv : float or array_like, optional
        E(B-V) of the Milky Way, on the scale of SFD, to correct the fluxes for; one
        value or one for each row. By default they are taken as they are.
    missing : sequence of float, optional
        Values that mark a flux as not observed, see
        `~mantis_astro.fluxes.read_fluxes`.

    Returns
    -------
    `~astropy.table.Table`
        Columns ``id``, and ``F1`` and ``E1`` (flux and error) for filter 1 and so on;
        -99 where not observed, or without an error, as eazy wants it. Set
        ``PRIOR_ABZP`` to the zero point in ``meta["PRIOR_ABZP"]``, and ``MW_EBV`` to
        ``meta["MW_EBV"]``: 0 if the fluxes are corrected for Galactic dust, which eazy
        would correct again by its default. If they are not, that entry is missing, and
        ``MW_EBV`` is E(B-V) of the field.

    Raises
    ------
    ValueError
        If a band has no columns; or if there is ``ebv`` and the table says that its
        fluxes are corrected already.

    Notes
    -----
    eazy leaves out what is below its ``NOT_OBS_THRESHOLD`` of -90, whatever the unit,
    and so drops the faintest of undetected fluxes. The unit here is the first of nJy,
    uJy, mJy, ... in which every observed flux is above that; columns have it, and the
    zero point is that of it.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import QTable
    >>> from mantis_astro.photometry import to_eazy
    >>> table = QTable({"flux_ps1_g": [3631] * u.nJy, "flux_err_ps1_g": [1] * u.nJy})
    >>> to_eazy(table, {"ps1.g": 334}).colnames
    ['id', 'F334', 'E334']
    """
    bands = _bands_of(table, filter_numbers)
    catalog = Table({"id": np.arange(1, len(table) + 1) if ids is None else ids})
    fluxes = read_fluxes(table, bands, missing=missing, default_unit=u.nJy)
    state = read_state(table)
    fluxes = _corrected(fluxes, state, ebv)
    observed = fluxes.observed & np.isfinite(fluxes.flux_err)
    unit, njy = _eazy_unit(fluxes.flux[observed])
    for j, number in enumerate(filter_numbers.values()):
        for name, values in (("F", fluxes.flux), ("E", fluxes.flux_err)):
            kept = np.where(observed[:, j], values[:, j] / njy, _NOT_OBSERVED)
            catalog[f"{name}{number}"] = Column(kept, unit=unit)
    catalog.meta["PRIOR_ABZP"] = float(ab_from_njy(njy))
    if state.is_corrected or ebv is not None:
        catalog.meta["MW_EBV"] = 0.0
    return catalog


def _corrected(fluxes, state, ebv):
    """Fluxes corrected for extinction by E(B-V), or as they are if that is None."""
    if ebv is None:
        return fluxes
    if state.is_corrected:
        msg = (
            "the table says that its fluxes are corrected for Galactic dust already: "
            "leave 'ebv' out"
        )
        raise ValueError(msg)
    values, _ = resolve_ebv(ebv, len(fluxes))
    coefficients = extinction_coefficients(fluxes.bands)
    factor = 10 ** (0.4 * values * [coefficients[band] for band in fluxes.bands])
    return replace(fluxes, flux=fluxes.flux * factor, flux_err=fluxes.flux_err * factor)


def _eazy_unit(flux):
    """First unit, and its nJy, in which no flux is so negative that eazy drops it."""
    lowest = flux.min(initial=0.0)
    units = ((unit, 1000.0**power) for power, unit in enumerate(_UNITS))
    return next((unit, njy) for unit, njy in units if lowest / njy > _THRESHOLD)


def _bands_of(table, bands):
    names = set(table.colnames)
    if bands is None:
        return [b for b in find_bands(table) if names.issuperset(flux_columns(b))]
    bands = [get_band(band) for band in bands]
    for band in bands:
        if not names.issuperset(flux_columns(band)):
            there = [n for n in table.colnames if re.match("flux_(?!err)", n)]
            msg = f"the table has no fluxes of {band}; it has {', '.join(there)}"
            raise ValueError(msg)
    return bands
