"""Named models: where their cards and weights are found."""

import functools
from pathlib import Path

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models.card import read_card
from mantis_astro.models.published import published_cards

__all__ = [
    "DEFAULT_MODEL",
    "default_table_model",
    "embedded_file",
    "get_card",
    "list_models",
    "register_model",
]

#: Name of the model that is used when none is named; its weights are in the package.
DEFAULT_MODEL = "simulated-early"

_DATA = Path(__file__).parent / "data"
# Embedded models that read fluxes from tables, the one to prefer first.
_OF_TABLES = "any-band", "simulated-photometric"


def embedded_file(name):
    """
    File of weights in the package.

    Parameters
    ----------
    name : str
        Name of the model.

    Returns
    -------
    `~pathlib.Path`
        Where it is, or would be.
    """
    return _DATA / f"{name}.safetensors"


def default_table_model():
    """
    Name the embedded model that reads fluxes from tables.

    Returns
    -------
    str
        That of any bands if the package has it, else that of the nine bands.

    Examples
    --------
    >>> from mantis_astro.models import default_table_model, get_card
    >>> get_card(default_table_model()).is_photometric
    True
    """
    return next(name for name in _OF_TABLES if embedded_file(name).exists())


@functools.cache
def _cards():
    embedded = [read_card(path) for path in sorted(_DATA.glob("*.safetensors"))]
    embedded.sort(key=lambda card: (card.name != DEFAULT_MODEL, card.name))
    return {card.name: card for card in (*embedded, *published_cards())}


def register_model(card):
    """
    Register a model by name.

    Parameters
    ----------
    card : ModelCard
        Its card.

    Returns
    -------
    ModelCard
        The same card.

    Raises
    ------
    ValueError
        If the name is taken.
    """
    if card.name in _cards():
        msg = f"model '{card.name}' is already registered"
        raise ValueError(msg)
    _cards()[card.name] = card
    return card


def get_card(name):
    """
    Return the card of a named model.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    ModelCard
        The card.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if there is no such model.
    """
    try:
        return _cards()[name]
    except KeyError:
        msg = f"no model {name!r}; there are {', '.join(_cards())}"
        raise InputSpecError(msg) from None


def list_models():
    """
    List the named models.

    Returns
    -------
    list of ModelCard
        The default model comes first.

    Examples
    --------
    >>> from mantis_astro.models import list_models
    >>> [card.name for card in list_models()][:2]
    ['simulated-early', 'any-band']
    """
    return list(_cards().values())
