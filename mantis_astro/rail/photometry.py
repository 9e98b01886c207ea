"""Photometry of a table of RAIL, as models read it."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.table import Table
from astropy.utils.masked import Masked

from mantis_astro.bands import get_bands
from mantis_astro.catalogs import read_photometry
from mantis_astro.exceptions import InputSpecError
from mantis_astro.fluxes import flux_columns, njy_from_ab

__all__ = ["PhotometryColumns"]

_FAINTEST_ERROR = 10.0  # beyond, an "error" of what was not detected is a limit


@dataclass(frozen=True)
class PhotometryColumns:
    """
    Assignment of the columns of a RAIL table to bands.

    Attributes
    ----------
    bands, err_bands : sequence of str
        Columns of magnitudes or fluxes, and of their errors; an empty one for none.
    filters : sequence of str
        The filter of each band, as `~mantis_astro.get_band` takes it.
    unit : str
        ``"mag"`` for AB magnitudes, or a unit of flux densities.
    nondetect_val : float
        Magnitude that marks a band in which an object was observed and not detected;
        NaN for that.
    nonobserved_val : float
        Value that marks a band in which an object was not observed.
    mag_limits : dict of str to float
        AB magnitude of one standard deviation of the sky in each column of ``bands``,
        for what was not detected and whose error does not give it.
    aperture : str
        What light the photometry holds, as `~mantis_astro.read_photometry` takes it.
    ebv_col : str
        Column of the E(B-V) that photometry still suffers; empty if it is corrected,
        or was never reddened.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if there are not as many errors or
        filters as bands, or a filter comes twice.
    KeyError
        `~mantis_astro.exceptions.MissingBandError` for an unknown filter.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.rail.photometry import PhotometryColumns
    >>> columns = PhotometryColumns(["r"], ["r_err"], ["lsst_baseline_r"])
    >>> table, ebv = columns.read({"r": np.array([22.0]), "r_err": np.array([0.1])})
    >>> table["flux_lsst_baseline_r"].round(), ebv
    (<MaskedQuantity [5755.] nJy>, 0.0)
    """

    bands: tuple
    err_bands: tuple
    filters: tuple
    unit: str = "mag"
    nondetect_val: float = 99.0
    nonobserved_val: float = -99.0
    mag_limits: dict | None = None
    aperture: str = "total"
    ebv_col: str = ""

    def __post_init__(self):
        for name in ("err_bands", "filters"):
            if len(getattr(self, name)) != len(self.bands):
                msg = (
                    f"'{name}' must have one entry for each of the {len(self.bands)} "
                    f"'bands', got {len(getattr(self, name))}"
                )
                raise InputSpecError(msg)
        if len(set(get_bands(self.filters))) < len(self.filters):
            msg = (
                f"'filters' must differ from one another, got {', '.join(self.filters)}"
            )
            raise InputSpecError(msg)

    def read(self, data):
        """
        Read fluxes of a table.

        Parameters
        ----------
        data : dict of str to array_like
            The table, column by column.

        Returns
        -------
        table : `~astropy.table.QTable`
            Fluxes in nJy, masked where not observed. What was not detected has a flux
            of 0, and the limit for its error.
        ebv : `~numpy.ndarray` or float
            E(B-V) for the model to correct for.

        Raises
        ------
        KeyError
            If a column is not there.
        """
        columns = {}
        for band, error, filter_ in zip(
            self.bands, self.err_bands, self.filters, strict=True
        ):
            columns[filter_] = (band, error) if error else band
        used = [name for name in (*self.bands, *self.err_bands, self.ebv_col) if name]
        absent = [name for name in used if name not in data]
        if absent:
            msg = (
                f"the table has no column {', '.join(map(repr, absent))}; there are "
                f"{', '.join(map(str, data))}"
            )
            raise KeyError(msg)
        plain = Table({name: self._observed(data[name]) for name in used})
        fluxes = read_photometry(
            plain,
            columns=columns,
            unit=self.unit,
            aperture=self.aperture,
            keep=(),
        )
        for band, error, filter_ in zip(
            self.bands, self.err_bands, self.filters, strict=True
        ):
            self._set_undetected(fluxes, band, error, filter_, data)
        ebv = 0.0
        if self.ebv_col:
            ebv = np.asarray(data[self.ebv_col], float)
        return fluxes, ebv

    def _observed(self, values):
        values = np.array(values, float)
        values[values == self.nonobserved_val] = np.nan
        return values

    def _set_undetected(self, fluxes, band, error, filter_, data):
        """Set non-detections to a flux of 0 with the noise of the sky as error."""
        if self.unit != "mag":
            return  # fluxes of what was not detected are fluxes
        values = np.asarray(data[band], float)
        undetected = np.isclose(values, self.nondetect_val, atol=0.01)
        if np.isnan(self.nondetect_val):
            undetected = np.isnan(values)
        if not undetected.any():
            return
        limit = np.full(len(values), float((self.mag_limits or {}).get(band, np.nan)))
        if error:  # as BPZ has it
            given = np.asarray(data[error], float)
            is_limit = (given > _FAINTEST_ERROR) & (given != self.nondetect_val)
            limit = np.where(is_limit, given, limit)
        known = undetected & np.isfinite(limit)
        flux, flux_err = flux_columns(filter_)
        for name, new in ((flux, 0 * limit), (flux_err, njy_from_ab(limit))):
            old = fluxes[name]
            fluxes[name] = Masked(
                np.where(known, new, old.unmasked.to_value(u.nJy)) * u.nJy,
                mask=old.mask & ~known,
            )
