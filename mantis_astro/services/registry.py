"""Registry of services: the servers of the images of each survey."""

from functools import cache, partial
from pathlib import Path

from astroquery.exceptions import InvalidQueryError

from mantis_astro.bands import get_survey
from mantis_astro.exceptions import InputSpecError
from mantis_astro.services.hips import HiPSClass
from mantis_astro.services.legacy_survey import LegacySurveyClass
from mantis_astro.services.panstarrs import PanSTARRSClass
from mantis_astro.services.tiles.service import TileServiceClass
from mantis_astro.services.tiles.tile_list import TileList
from mantis_astro.services.unwise_cutouts import UnwiseCutoutsClass

__all__ = [
    "choose_services",
    "get_service",
    "get_services",
    "list_services",
    "name_sources",
    "register_service",
    "unregister_service",
]

# name -> callable that makes a service of a survey
_services: dict = {}
# survey -> names, in order of preference, besides its own `service`
_sources: dict = {}


def register_service(name, make, *, surveys=(), preferred=False):
    """
    Register a service by a name.

    It serves the surveys whose ``service`` has this name, and those given here. Where
    a survey has several services, what one fails to give is asked of the next.

    Parameters
    ----------
    name : str
        The name, not taken.
    make : callable
        Called with a `~mantis_astro.bands.Survey`; returns a service of it. A subclass
        of `~mantis_astro.services.base.CutoutServiceClass` does.
    surveys : sequence of Survey or str, optional
        Surveys that have another ``service`` and are served here, too.
    preferred : bool, optional
        Whether those surveys are asked for here first, and not last.

    Raises
    ------
    ValueError
        If the name is taken.
    KeyError
        `~mantis_astro.exceptions.MissingBandError` for an unknown survey.

    Examples
    --------
    Images of the AllWISE Atlas, which no server here has, from a server of one's own:

    >>> from mantis_astro.services import (
    ...     LegacySurveyClass, get_service, register_service, unregister_service)
    >>> class MyViewerClass(LegacySurveyClass):
    ...     "The viewer's protocol at another address."
    >>> register_service("my viewer", MyViewerClass, surveys=["allwise"])
    >>> type(get_service("allwise")).__name__
    'MyViewerClass'
    >>> unregister_service("my viewer")
    """
    if name in _services:
        msg = f"'name': there is a service {name!r} already, besides {_names(name)}"
        raise ValueError(msg)
    surveys = [get_survey(survey) for survey in surveys]
    _services[name] = make
    for survey in surveys:
        names = _sources.setdefault(survey, [])
        names.insert(0 if preferred else len(names), (name, preferred))
    _make.cache_clear()


def unregister_service(name):
    """
    Remove a service from the list.

    Parameters
    ----------
    name : str
        Its name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in _services:
        msg = f"'name': no service {name!r}; there are {_names()}"
        raise ValueError(msg)
    del _services[name]
    for survey, names in _sources.items():
        _sources[survey] = [entry for entry in names if entry[0] != name]
    _make.cache_clear()


def list_services():
    """
    List the services.

    Returns
    -------
    dict of str to callable
        For each name what makes a service of a survey, in the order of registration.

    Examples
    --------
    >>> from mantis_astro.services import list_services
    >>> list(list_services())
    ['legacy_survey', 'panstarrs', 'hips', 'unwise_cutouts', 'tiles', 'dense tiles']
    """
    return dict(_services)


def get_services(survey):
    """
    Return the services of a survey.

    Parameters
    ----------
    survey : Survey or str
        The survey.

    Returns
    -------
    tuple of CutoutServiceClass
        At least one, in order of preference.

    Raises
    ------
    InvalidQueryError
        If no server of it is known.
    """
    survey = get_survey(survey)
    entries = _sources.get(survey, [])
    names = [name for name, preferred in entries if preferred]
    names += [survey.service] if survey.service in _services else []
    names += [name for name, preferred in entries if not preferred]
    if not names:
        msg = f"no service for {survey.title}: register one, there are {_names()}"
        raise InvalidQueryError(msg)
    return tuple(_make(name, survey) for name in dict.fromkeys(names))


def get_service(survey):
    """
    Return the first service of a survey.

    Parameters
    ----------
    survey : Survey or str
        The survey.

    Returns
    -------
    CutoutServiceClass
        A service for that survey.

    Raises
    ------
    InvalidQueryError
        If no server of it is known.

    Examples
    --------
    >>> from mantis_astro.services import get_service
    >>> type(get_service("unwise")).__name__
    'LegacySurveyClass'
    """
    return get_services(survey)[0]


def choose_services(survey, chosen=None):
    """
    Return the services of a survey's images, in order.

    Parameters
    ----------
    survey : Survey or str
        The survey.
    chosen : str, service or sequence of them, optional
        Name of a service, or one, which the usual ones follow; a sequence is all.

    Returns
    -------
    tuple of CutoutServiceClass
        In order of preference.

    Raises
    ------
    InvalidQueryError
        If a name is not known, or a service is one of another survey.

    Examples
    --------
    >>> from mantis_astro.services.registry import choose_services
    >>> [type(service).__name__ for service in choose_services("ps1", "tiles")]
    ['TileServiceClass', 'PanSTARRSClass']
    """
    survey = get_survey(survey)
    if chosen is None:
        return get_services(survey)
    is_all = isinstance(chosen, list | tuple)
    services = [_settle(one, survey) for one in (chosen if is_all else [chosen])]
    if not is_all:
        services += [one for one in get_services(survey) if one not in services]
    if not services:
        msg = f"'sources' of {survey.title} must name at least one service"
        raise InvalidQueryError(msg)
    return tuple(services)


def name_sources(texts):
    """
    Find the services that a file or a command names.

    Parameters
    ----------
    texts : mapping of str to str
        For a survey, the name of a service, a folder of its tiles, or a table that
        lists them (see `TileList.from_table`).

    Returns
    -------
    dict of str to str or service
        As `~mantis_astro.SurveyCutouts` takes it.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if there is neither such a service
        nor such a folder or file, or it does not have the survey's images.

    Examples
    --------
    >>> from mantis_astro.services.registry import name_sources
    >>> name_sources({"ps1": "tiles"})
    {'ps1': 'tiles'}
    >>> name_sources({"ps1": "tile"})
    Traceback (most recent call last):
        ...
    mantis_astro.exceptions.InputSpecError: no service 'tile' for Pan-STARRS1; ...
    """
    sources = {}
    for survey, text in texts.items():
        sources[survey] = text
        if text not in _services and Path(text).exists():
            tiles = text if Path(text).is_dir() else TileList.from_table(text, survey)
            sources[survey] = TileServiceClass(survey, tiles)
        try:
            choose_services(survey, sources[survey])
        except InvalidQueryError as error:
            msg = f"{error}, and no such folder or table of tiles"
            raise InputSpecError(msg) from error
    return sources


def _settle(chosen, survey):
    if isinstance(chosen, str):
        if chosen not in _services:
            msg = f"no service {chosen!r} for {survey.title}; there are {_names()}"
            raise InvalidQueryError(msg)
        return _make(chosen, survey)
    if getattr(chosen, "survey", None) != survey:
        msg = f"{chosen!r} is no service of {survey.title}, and no name of one"
        raise InvalidQueryError(msg)
    return chosen


@cache
def _make(name, survey):
    return _services[name](survey)


def _names(left_out=None):
    return ", ".join(name for name in _services if name != left_out) or "none"


register_service("legacy_survey", LegacySurveyClass)
register_service("panstarrs", PanSTARRSClass)
register_service("hips", HiPSClass)
register_service("unwise_cutouts", UnwiseCutoutsClass)
register_service("tiles", TileServiceClass)
register_service("dense tiles", partial(TileServiceClass, least=None))
