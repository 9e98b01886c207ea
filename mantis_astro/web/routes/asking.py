"""Jobs: asking for redshifts of fluxes, of a position, of a table."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException

from mantis_astro.records import printable
from mantis_astro.web import schema
from mantis_astro.web.problems import OF_POSTS, may_answer
from mantis_astro.web.work import (
    Result,
    estimate_fluxes,
    estimate_position,
    estimate_table,
    table_of_fluxes,
)

__all__ = ["UPLOAD", "asking"]

#: Path of uploads, within the interface.
UPLOAD = "/table"

_FILE = {
    "requestBody": {
        "required": True,
        "description": "The file itself",
        "content": {
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary", "minLength": 1}
            }
        },
    }
}


def asking(desk):
    """
    Make the routes that begin a job.

    Parameters
    ----------
    desk : Desk
        What the routes share.

    Returns
    -------
    `fastapi.APIRouter`
        The routes.
    """
    shelf = desk.shelf
    router = APIRouter(tags=["jobs"])
    accepted = {
        "status_code": 202,
        "response_model": schema.Job,
        "responses": may_answer(*OF_POSTS),
    }
    Fluxes = desk.schemas.fluxes
    Position = desk.schemas.position
    ModelName = desk.schemas.any_model
    SurveyName = desk.schemas.survey

    @router.post("/fluxes", summary="Compute p(z) of galaxies with fluxes", **accepted)
    async def ask_of_fluxes(asked: Fluxes):
        return desk.submit(*_work_of_fluxes(shelf, asked))

    @router.post(
        "/position",
        summary="Fetch cutouts of a position from the surveys' servers, compute p(z)",
        **accepted,
    )
    async def ask_of_position(asked: Position):
        return desk.submit(*_work_of_position(desk, asked))

    @router.post(
        UPLOAD,
        summary="Compute p(z) of the galaxies of a table with fluxes or positions",
        openapi_extra=_FILE,
        **accepted,
    )
    async def ask_of_table(
        request: Request,
        filename: Annotated[
            str,
            Query(
                min_length=1,
                max_length=200,
                description="Its ending is the format: .ecsv, .csv, .fits, .parquet, "
                ".hdf5, .vot, .txt; .gz may follow. No file of this name is opened",
            ),
        ],
        model: Annotated[ModelName | None, Query()] = None,
        survey: Annotated[
            SurveyName | None,
            Query(
                description="Survey of the columns, if their names do not identify it"
            ),
        ] = None,
        unit: Annotated[
            Literal["nJy", "uJy", "mJy", "Jy", "nmgy"] | None,
            Query(description="Unit of columns such as flux_ps1_g that have none"),
        ] = None,
    ):
        content = b"".join([chunk async for chunk in request.stream()])
        if not content:
            raise HTTPException(422, "the table is empty: the body is the file itself")
        filename = printable(filename)

        def work(job):
            return estimate_table(
                job,
                shelf,
                content,
                filename,
                model=model,
                survey=survey,
                unit=unit,
                limits=desk.limits,
                source=desk.source,
            )

        return desk.submit(filename, work)

    return router


def _work_of_fluxes(shelf, asked):
    """Return the name and the work of the job that a request describes."""
    galaxies = asked.model_dump()["galaxies"]
    names = [galaxy["id"] or f"galaxy {i + 1}" for i, galaxy in enumerate(galaxies)]

    def work(job):
        photoz = shelf.open(asked.model or shelf.default_of_fluxes)
        table = estimate_fluxes(photoz, table_of_fluxes(galaxies), job)
        return Result(photoz, table, names)

    return names[0] if len(names) == 1 else "your galaxies", work


def _work_of_position(desk, asked):
    """Return the name and the work of the job that a request describes."""

    def work(job):
        photoz = desk.shelf.open(asked.model or desk.shelf.default_of_images)
        return estimate_position(job, photoz, asked.target, asked.ebv, desk.source)

    return asked.target, work
