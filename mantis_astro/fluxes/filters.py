"""Transmission curves of filters, from sedpy."""

from functools import lru_cache

from mantis_astro.bands import Band

__all__ = ["get_filter"]


def get_filter(band):
    """
    Return a filter, which is read from disk once.

    Parameters
    ----------
    band : Band or str
        A band, or the filter's name in sedpy.

    Returns
    -------
    `sedpy.observate.Filter`
        Shared by all who ask: not to be changed. ``wavelength`` is in Angstrom,
        ``transmission`` is the signal of the detector per photon.

    Raises
    ------
    ValueError
        If sedpy has no such filter.

    Examples
    --------
    >>> from mantis_astro.fluxes import get_filter
    >>> get_filter("panstarrs_g").wavelength.shape == (
    ...     get_filter("panstarrs_g").transmission.shape
    ... )
    True
    """
    name, whose = (
        (band.sedpy_name, f" for {band}") if isinstance(band, Band) else (band, "")
    )
    try:
        return _load(name)
    except ValueError:  # what sedpy raises where there is no such file
        msg = (
            f"sedpy has no filter '{name}'{whose}: see sedpy.observate."
            "list_available_filters(), put a file of its transmission in sedpy's "
            "folder of filters, register the survey with another 'sedpy_name', or "
            "leave the band out"
        )
        raise ValueError(msg) from None


@lru_cache(maxsize=128)  # not by band: that is equal to another of the same name
def _load(name):
    from sedpy.observate import Filter

    return Filter(name)
