"""`Shelf`: the models that a server offers, each loaded when it is first used."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import (
    DEFAULT_MODEL,
    default_table_model,
    get_card,
    list_models,
    load_model,
)
from mantis_astro.models.registry import embedded_file
from mantis_astro.photoz import PhotoZ

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mantis_astro.models import ModelCard

__all__ = ["Shelf"]


class Shelf:
    """
    The models that a server offers: a request may name one of these, and no file.

    Parameters
    ----------
    names : iterable of str, optional
        Names or files of models; by default all that are in the package.

    Attributes
    ----------
    cards : dict of str to ModelCard
        By name, in order.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if there is none, or no such model,
        or two have one name.
    """

    def __init__(self, names: Iterable[str] | None = None) -> None:
        if names is None:
            embedded = [c.name for c in list_models() if embedded_file(c.name).exists()]
            names = embedded
        self.cards: dict[str, ModelCard] = {}
        self._loaded: dict[str, PhotoZ] = {}
        self._lock = threading.Lock()
        for name in names:
            self._add(str(name))
        if not self.cards:
            msg = "'models' must name at least one model"
            raise InputSpecError(msg)

    def _add(self, name):
        is_file = bool(Path(name).suffix)
        photoz = PhotoZ(*load_model(Path(name))) if is_file else None
        card = photoz.card if photoz else get_card(name)
        if card.name in self.cards:
            msg = f"two models are called {card.name!r}"
            raise InputSpecError(msg)
        self.cards[card.name] = card
        if photoz:
            self._loaded[card.name] = photoz

    @property
    def for_fluxes(self) -> list[str]:
        """Names of those that read fluxes, the one to use by default first."""
        return self._of_kind(default_table_model(), photometric=True)

    @property
    def for_images(self) -> list[str]:
        """Names of those that can be given images: all, those of images first."""
        images = self._of_kind(DEFAULT_MODEL, photometric=False)
        return images + self.for_fluxes

    @property
    def default_of_fluxes(self) -> str:
        """Name of the model for fluxes that names none."""
        return _first(self.for_fluxes, "fluxes")

    @property
    def default_of_images(self) -> str:
        """Name of the model for images that names none."""
        return _first(self.for_images, "images")

    def _of_kind(self, default, *, photometric):
        names = [n for n, c in self.cards.items() if c.is_photometric == photometric]
        return sorted(names, key=lambda name: name != default)

    def open(self, name: str) -> PhotoZ:
        """
        Return a model, loaded at its first use.

        Parameters
        ----------
        name : str
            One of ``cards``.

        Returns
        -------
        PhotoZ
            The same for all who ask.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if it is not offered.
        """
        if name not in self.cards:
            msg = f"no model {name!r}; there are {', '.join(self.cards)}"
            raise InputSpecError(msg)
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = PhotoZ.from_pretrained(name)
            return self._loaded[name]


def _first(names, what):
    if not names:
        msg = f"no model of {what} is offered here"
        raise InputSpecError(msg)
    return names[0]
