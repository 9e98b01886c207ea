"""The application without its guards: the interface and the page."""

import contextlib

from fastapi import FastAPI

from mantis_astro import __version__
from mantis_astro.web import routes
from mantis_astro.web.desk import Desk
from mantis_astro.web.page import serve_page
from mantis_astro.web.problems import answer_problems

__all__ = ["API", "make_api"]

#: Path of the interface.
API = "/api/v1"

_DESCRIPTION = (
    "Redshift probability densities from fluxes or survey images. Answers are those of "
    "`mantis_astro.PhotoZ.add_redshifts`, to the last digit. What is asked stays in "
    "memory, and a result is seen by whoever has the name of its job."
)


def make_api(shelf, limits, source):
    """
    Make the application, without its guards.

    Parameters
    ----------
    shelf : Shelf
        The models.
    limits : Limits
        How much and how often.
    source : CutoutSource or None
        Where cutouts come from; None for the surveys' servers.

    Returns
    -------
    `fastapi.FastAPI`
        The application.
    """
    desk = Desk(shelf, limits, source)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        desk.warm_up()
        yield
        desk.close()

    app = FastAPI(
        title="mantis_astro",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # its scripts are on another server
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    answer_problems(app)
    serve_page(app)
    for make_router in (
        routes.listing,
        routes.prediction,
        routes.asking,
        routes.results,
    ):
        app.include_router(make_router(desk), prefix=API)
    return app
