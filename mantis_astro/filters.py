"""Transmission curves of filters: sedpy's, and those that programs register."""

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np

__all__ = ["add_filter", "get_filter", "list_filters", "remove_filter"]

# curves that were read or registered, by name
_loaded: dict = {}
_own: set = set()


def get_filter(band):
    """
    Return a filter; each is read from disk once.

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
        If sedpy has no such filter, and none of this name is registered.

    Examples
    --------
    >>> from mantis_astro.fluxes import get_filter
    >>> get_filter("panstarrs_g").wavelength.shape == (
    ...     get_filter("panstarrs_g").transmission.shape
    ... )
    True
    """
    name = getattr(band, "sedpy_name", band)
    if name not in _loaded:
        _loaded[name] = _read(name, "" if name is band else f" for {band}")
    return _loaded[name]


def list_filters():
    """
    List the names of all filters: sedpy's and the registered ones.

    Returns
    -------
    list of str
        In alphabetic order. No curve is read.

    Examples
    --------
    >>> from mantis_astro.fluxes import list_filters
    >>> [name for name in list_filters() if name.startswith("galex")]
    ['galex_FUV', 'galex_NUV']
    """
    return sorted(_own.union(_names_in_sedpy()))


def add_filter(name, wavelength, transmission):
    """
    Keep a curve under a name; `~mantis_astro.bands.register_filter` is the door.

    Parameters
    ----------
    name : str
        Name of the filter, not one of `list_filters`.
    wavelength : `~numpy.ndarray`
        In Angstrom, shape (n,), in any order.
    transmission : `~numpy.ndarray`
        Signal of the detector per photon, in any scale, shape (n,).

    Raises
    ------
    ValueError
        If they are no curve.
    """
    from sedpy.observate import Filter

    is_curve = (
        wavelength.ndim == 1
        and wavelength.shape == transmission.shape
        and len(np.unique(wavelength)) == len(wavelength) > 1
        and np.isfinite(wavelength + transmission).all()
        and (wavelength > 0).all()
        and (transmission >= 0).all()
        and (transmission > 0).any()
    )
    if not is_curve:
        msg = (
            f"the curve of filter '{name}' must be two or more different positive "
            "wavelengths with as many transmissions that are finite, not negative and "
            f"not all zero; got shapes {wavelength.shape} and {transmission.shape}"
        )
        raise ValueError(msg)
    order = np.argsort(wavelength)
    # sedpy looks for the half maximum outside of the peak: curves end at zero
    edges = wavelength[order[[0, -1]]] * [1 - 1e-6, 1 + 1e-6]
    wavelength = np.concatenate([edges[:1], wavelength[order], edges[1:]])
    transmission = np.concatenate([[0.0], transmission[order], [0.0]])
    _loaded[name] = Filter(name, data=(wavelength, transmission))
    _own.add(name)


def remove_filter(name):
    """
    Forget a curve that was registered.

    Parameters
    ----------
    name : str
        Its name.

    Raises
    ------
    ValueError
        If no filter was registered under this name.
    """
    if name not in _own:
        msg = f"no filter '{name}' was registered; there are {sorted(_own) or 'none'}"
        raise ValueError(msg)
    _own.remove(name)
    del _loaded[name]


def _read(name, whose):
    from sedpy.observate import Filter

    try:
        return Filter(name)
    except ValueError:  # what sedpy raises where there is no such file
        msg = (
            f"sedpy has no filter '{name}'{whose}: see sedpy.observate."
            "list_available_filters(), give its curve to fluxes.register_filter, "
            "register the survey with another 'sedpy_name', or leave the band out"
        )
        raise ValueError(msg) from None


@cache
def _names_in_sedpy():
    # the folder is listed without importing sedpy, which takes 0.2 s
    package = Path(importlib.util.find_spec("sedpy").origin).parent
    return frozenset(path.stem for path in (package / "data/filters").glob("*.par"))
