"""Options of `read_photometry` that may differ from band to band."""

from collections.abc import Mapping

from mantis_astro.bands import get_band
from mantis_astro.exceptions import InputSpecError, MissingBandError

__all__ = ["PerBand"]


class PerBand:
    """
    An option: one value for all bands, or a mapping from bands to values.

    Parameters
    ----------
    name : str
        What messages call it.
    given : object or mapping of str to object
        The value, or those of some bands, which may be named in any of their ways.
    convert : callable
        Makes a value of what is given, and raises ValueError of what cannot be one.
    default : object, optional
        What is given for a band that the mapping does not name.

    Attributes
    ----------
    name : str
        What messages call it.

    Examples
    --------
    >>> from mantis_astro.catalogs.per_band import PerBand
    >>> system = PerBand("system", {"WISE_W1": "Vega"}, str, default="AB")
    >>> system.of("wise_w1"), system.of("decam_g")
    ('Vega', 'AB')
    """

    def __init__(self, name, given, convert, default=None):
        self.name, self._given = name, given
        self._convert, self._default = convert, default
        self._read = set()

    @property
    def is_given(self):
        """Whether it is something else than the default."""
        return self._given not in (None, self._default, {})

    def of(self, band):
        """
        Return the value of a band.

        Parameters
        ----------
        band : str
            The band, as a column is named for it.

        Returns
        -------
        object
            Converted; the default converted where nothing is given.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if it cannot be converted.
        """
        value = self._given
        if isinstance(value, Mapping):
            key = next((k for k in value if _is_same(k, band)), None)
            self._read.add(key)
            value = value.get(key, self._default)
        if value is None:
            return None
        try:
            return self._convert(value)
        except (TypeError, ValueError) as error:
            msg = f"'{self.name}' of {band} cannot be {value!r}: {error}"
            raise InputSpecError(msg) from None

    def check_read(self, bands):
        """
        Raise an error if it names a band that it was not asked for.

        Parameters
        ----------
        bands : iterable of str
            The bands that it may name.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if so: it would have no effect.
        """
        if not isinstance(self._given, Mapping):
            return
        strangers = [str(key) for key in self._given if key not in self._read]
        if strangers:
            msg = (
                f"'{self.name}' names {', '.join(strangers)}, for which no column is "
                f"named; it may name {', '.join(bands) or 'bands of columns='}"
            )
            raise InputSpecError(msg)


def _is_same(key, band):
    if key == band:
        return True
    try:
        return get_band(key) == get_band(band)
    except MissingBandError:  # a letter of a survey
        return False
