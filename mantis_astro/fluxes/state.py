"""State of the fluxes of a table: dust correction and aperture."""

from dataclasses import dataclass, replace

import numpy as np

from mantis_astro.exceptions import InputSpecError
from mantis_astro.units import without_unit

__all__ = [
    "HIGHEST_EBV",
    "LOWEST_EBV",
    "FluxState",
    "as_observed",
    "known_ebv",
    "read_state",
]

# Map noise makes E(B-V) slightly negative; what catalogues write where there is none
# (99, -999, ...) is beyond the other, and no galaxy is seen through so much dust.
LOWEST_EBV, HIGHEST_EBV = -0.05, 90.0

# Keys of a table's meta: flat and short, so that they fit the header of a FITS file.
_DUST, _COEFFICIENTS, _APERTURE = "FLUXDUST", "FLUXEXT", "FLUXAPER"
_IS_CORRECTED = {"corrected": True, "not corrected": False}


@dataclass(frozen=True)
class FluxState:
    """
    Aperture and dust correction of the fluxes of a table.

    Attributes
    ----------
    is_corrected : bool or None
        Whether they are corrected for extinction by the Milky Way's dust, by the
        E(B-V) in the table's column ``ebv``; None if that is not known.
    coefficients : dict of str to float or None
        Extinction of each band, in magnitudes for E(B-V) = 1, that they are corrected
        for.
    aperture : str
        What light they hold, in words; empty if that is not known.
    """

    is_corrected: bool | None = None
    coefficients: dict | None = None
    aperture: str = ""

    def to_meta(self):
        """
        Write the state into the meta of a table.

        Returns
        -------
        dict
            Texts, with keys that fit FITS headers; `read_state` reads them.
        """
        facts = {_APERTURE: self.aperture} if self.aperture else {}
        if self.is_corrected is not None:
            facts[_DUST] = "corrected" if self.is_corrected else "not corrected"
        if self.coefficients:
            pairs = self.coefficients.items()
            facts[_COEFFICIENTS] = ", ".join(f"{band} {c!r}" for band, c in pairs)
        return facts


def read_state(table):
    """
    Read the aperture and dust correction of the fluxes of a table.

    Parameters
    ----------
    table : `~astropy.table.Table` or `~astropy.table.Row`
        The table.

    Returns
    -------
    FluxState
        What its meta says; nothing is known of a table without these entries.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if an entry cannot be understood.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from mantis_astro.fluxes import read_state
    >>> read_state(Table(meta={"FLUXDUST": "not corrected"})).is_corrected
    False
    """
    meta = table.meta
    dust, text = meta.get(_DUST), meta.get(_COEFFICIENTS, "")
    if dust not in (None, *_IS_CORRECTED):
        known = " or ".join(map(repr, _IS_CORRECTED))
        msg = f"meta['{_DUST}'] of a table of fluxes must be {known}, got {dust!r}"
        raise InputSpecError(msg)
    try:
        pairs = [pair.split() for pair in text.split(",")] if text else []
        coefficients = {band: float(value) for band, value in pairs}
    except (AttributeError, ValueError):
        msg = f"meta['{_COEFFICIENTS}'] must be such as 'ps1.g 3.2', got {text!r}"
        raise InputSpecError(msg) from None
    return FluxState(_IS_CORRECTED.get(dust), coefficients, meta.get(_APERTURE, ""))


def known_ebv(values):
    """
    Leave out numbers that are no E(B-V).

    Parameters
    ----------
    values : `~numpy.ndarray`
        E(B-V) in magnitudes, as a catalogue has it.

    Returns
    -------
    `~numpy.ndarray`
        NaN where it is below `LOWEST_EBV` or not below `HIGHEST_EBV`, such as -999.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.fluxes import known_ebv
    >>> known_ebv(np.array([0.02, -0.001, -99.0, 99.0]))
    array([ 0.02 , -0.001,    nan,    nan])
    """
    known = (values >= LOWEST_EBV) & (values < HIGHEST_EBV)  # False for NaN
    return np.where(known, values, np.nan)


def as_observed(fluxes, table):
    """
    Undo the correction of fluxes for Galactic dust, if there was one.

    Parameters
    ----------
    fluxes : Fluxes
        What was read of the table.
    table : `~astropy.table.Table`
        The table; its meta says what was done, column ``ebv`` how much.

    Returns
    -------
    Fluxes
        As observed through the dust; the same object if the table does not say that
        they are corrected.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if it does not say by how much.
    """
    state = read_state(table)
    if not state.is_corrected:
        return fluxes
    bands = [str(band) for band in fluxes.bands]
    there = fluxes.observed.any(0)
    unknown = [
        band
        for band, any_ in zip(bands, there, strict=True)
        if any_ and band not in state.coefficients
    ]
    if unknown or "ebv" not in table.colnames:
        lacking = f"'{_COEFFICIENTS}' of {', '.join(unknown)}" if unknown else "'ebv'"
        msg = (
            "the fluxes of the table are corrected for Galactic dust, and the network "
            f"reads fluxes as observed: they cannot be restored without {lacking}. "
            "Measure them without 'ebv', or give fluxes that are not corrected"
        )
        raise InputSpecError(msg)
    ebv = np.nan_to_num(known_ebv(without_unit(table["ebv"], table["ebv"].unit)))
    coefficients = np.array([state.coefficients.get(band, 0.0) for band in bands])
    dimming = 10 ** (-0.4 * ebv[:, None] * coefficients)
    return replace(
        fluxes, flux=fluxes.flux * dimming, flux_err=fluxes.flux_err * dimming
    )
