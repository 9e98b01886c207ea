"""Redshifts of fluxes, at once."""

from fastapi import APIRouter, Response

from mantis_astro.web import schema
from mantis_astro.web.answers import describe_galaxy, describe_model
from mantis_astro.web.problems import OF_POSTS, encode, may_answer
from mantis_astro.web.work import estimate_fluxes, table_of_fluxes

__all__ = ["prediction"]


def prediction(desk):
    """
    Make the route that answers at once.

    Parameters
    ----------
    desk : Desk
        What the routes share.

    Returns
    -------
    `fastapi.APIRouter`
        The route.
    """
    router = APIRouter(tags=["redshifts"])
    Fluxes = desk.schemas.fluxes

    @router.post(
        "/predict",
        summary="Compute p(z) of galaxies with fluxes, at once",
        response_model=schema.Prediction,
        responses=may_answer(*OF_POSTS, 504),
    )
    async def predict(asked: Fluxes):
        content = await desk.compute(_predict, desk.shelf, asked)
        return Response(content, media_type="application/json")

    return router


def _predict(shelf, asked):
    galaxies = asked.model_dump()["galaxies"]
    photoz = shelf.open(asked.model or shelf.default_of_fluxes)
    table = estimate_fluxes(photoz, table_of_fluxes(galaxies))
    described = [
        describe_galaxy(table, galaxy["id"], row) for row, galaxy in enumerate(galaxies)
    ]
    return encode({**describe_model(photoz), "galaxies": described})
