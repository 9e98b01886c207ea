"""The list of catalogues that `read_photometry` knows by name."""

from mantis_astro.catalogs.surveys import CATALOGS
from mantis_astro.exceptions import MissingBandError

__all__ = [
    "get_catalog",
    "list_catalogs",
    "plain_name",
    "register_catalog",
    "unregister_catalog",
]

_catalogs: dict = {}


def register_catalog(catalog):
    """
    Register the tables of a survey for `read_photometry`.

    Parameters
    ----------
    catalog : Catalog
        What they look like.

    Returns
    -------
    Catalog
        The same object.

    Raises
    ------
    ValueError
        If one of its names is taken, or an entry names a band that it does not
        have.
    KeyError
        `~mantis_astro.exceptions.MissingBandError` for an unknown band.

    Examples
    --------
    >>> from mantis_astro.catalogs import (
    ...     Catalog, Measure, register_catalog, unregister_catalog)
    >>> kids = Catalog(
    ...     name="kids",
    ...     title="KiDS",
    ...     bands={"g": "sdss_g0", "r": "sdss_r0"},
    ...     measures=(Measure("MAG_GAAP_{band}", "MAGERR_GAAP_{band}", aperture=""),),
    ... )
    >>> register_catalog(kids).name
    'kids'
    >>> unregister_catalog("kids")
    """
    catalog.check()
    known = _by_name()
    for name in (catalog.name, *catalog.aliases):
        other = known.get(plain_name(name))
        if other is not None:
            msg = f"'name': there is a catalogue '{other}' called {name!r}"
            raise ValueError(msg)
    _catalogs[catalog.name] = catalog
    return catalog


def unregister_catalog(name):
    """
    Remove a catalogue from the list.

    Parameters
    ----------
    name : str
        Its name.

    Raises
    ------
    KeyError
        If there is none.
    """
    del _catalogs[get_catalog(name).name]


def get_catalog(name):
    """
    Return a catalogue by its name.

    Parameters
    ----------
    name : str or Catalog
        Its name or another that it goes by; case, spaces, ``-`` and ``_`` do not count.

    Returns
    -------
    Catalog
        The catalogue.

    Raises
    ------
    KeyError
        `~mantis_astro.exceptions.MissingBandError` if there is none.

    Examples
    --------
    >>> from mantis_astro.catalogs import get_catalog
    >>> get_catalog("Legacy Survey DR10").title
    'DESI Legacy Imaging Surveys DR10'
    """
    if not isinstance(name, str):
        return name
    try:
        return _by_name()[plain_name(name)]
    except KeyError:
        msg = (
            f"no catalogue of survey {name!r}; there are {', '.join(_catalogs)}. "
            "Pass the columns of each band as 'columns', or register the survey with "
            "register_catalog"
        )
        raise MissingBandError(msg) from None


def list_catalogs():
    """
    List the catalogues.

    Returns
    -------
    list of Catalog
        In the order of registration.

    Examples
    --------
    >>> from mantis_astro.catalogs import list_catalogs
    >>> print(", ".join(catalog.name for catalog in list_catalogs()))
    legacy survey dr10, sdss, ps1, des, galex, allwise, lsst dp1, hsc, 2mass
    """
    return list(_catalogs.values())


def _by_name():
    return {
        plain_name(name): catalog
        for catalog in _catalogs.values()
        for name in (catalog.name, *catalog.aliases)
    }


def plain_name(name):
    """
    Normalise the name of a survey for comparison.

    Parameters
    ----------
    name : str
        The name.

    Returns
    -------
    str
        Its letters and digits, in lower case.
    """
    return "".join(letter for letter in name.lower() if letter.isalnum())


for _catalog in CATALOGS:
    register_catalog(_catalog)
