"""Lists of models, of flags, and of allowed values."""

from fastapi import APIRouter

from mantis_astro import __version__
from mantis_astro.catalogs import list_catalogs
from mantis_astro.flags import FLAG_TABLE
from mantis_astro.web import schema
from mantis_astro.web.answers import describe_card
from mantis_astro.web.problems import as_json, may_answer

__all__ = ["listing"]


def listing(desk):
    """
    Make the routes of lists.

    Parameters
    ----------
    desk : Desk
        What the routes share.

    Returns
    -------
    `fastapi.APIRouter`
        The routes.
    """
    router = APIRouter(tags=["what there is"])
    shelf = desk.shelf
    ModelName = desk.schemas.any_model

    @router.get(
        "/models",
        summary="List the models",
        response_model=list[schema.Card],
        responses=may_answer(),
    )
    async def list_models():
        return as_json([describe_card(card) for card in shelf.cards.values()])

    @router.get(
        "/models/{name}",
        summary="Show the card of a model",
        response_model=schema.Card,
        responses=may_answer(422),
    )
    async def show_model(name: ModelName):
        return as_json(describe_card(shelf.cards[name]))

    @router.get(
        "/flags",
        summary="List the quality flags",
        response_model=list[schema.Flag],
        responses=may_answer(),
    )
    async def list_flags():
        return as_json(
            [
                {
                    "name": flag.name,
                    "sentence": flag.description,
                    "bit": flag.bit,
                    "value": int(flag),
                }
                for flag in FLAG_TABLE
            ]
        )

    @router.get(
        "/options",
        summary="List what a request may name, and the limits",
        response_model=schema.Options,
        responses=may_answer(),
    )
    async def list_options():
        return as_json(
            {
                "version": __version__,
                "models_of_fluxes": shelf.for_fluxes,
                "models_of_images": shelf.for_images,
                "surveys": [
                    {"name": catalog.name, "title": catalog.title}
                    for catalog in list_catalogs()
                ],
                "bands": schema.band_names(),
                "limits": vars(desk.limits),
            }
        )

    return router
