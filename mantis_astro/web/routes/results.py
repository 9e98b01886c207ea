"""Progress and results of jobs."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from starlette.exceptions import HTTPException

from mantis_astro.web import schema
from mantis_astro.web.answers import (
    describe_galaxy,
    describe_model,
    describe_pictures,
    describe_rows,
)
from mantis_astro.web.downloads import Kind, make_download
from mantis_astro.web.problems import as_json, may_answer

__all__ = ["results"]

_MOST_ROWS = 10**9
_MEDIA = "text/plain", "application/fits", "application/x-hdf5", "text/x-python"

JobId = Annotated[str, Path(max_length=64, description="Name of the job")]
Row = Annotated[
    int, Path(ge=0, le=_MOST_ROWS, description="Index of the galaxy, from 0")
]


def results(desk):
    """
    Make the routes of existing jobs.

    Parameters
    ----------
    desk : Desk
        What the routes share.

    Returns
    -------
    `fastapi.APIRouter`
        The routes.
    """
    router = APIRouter(prefix="/jobs/{job_id}", tags=["jobs"])
    of_result = may_answer(404, 409, 422, 503, 504)

    @router.get(
        "",
        summary="Say how far a job is",
        response_model=schema.Job,
        responses=may_answer(404, 422),
    )
    async def show_job(job_id: JobId):
        return as_json(desk.describe(desk.find_job(job_id)))

    @router.delete(
        "",
        summary="Cancel a job, or forget its result",
        status_code=204,
        response_class=Response,
        responses=may_answer(400, 403, 404, 413, 422, 429),
    )
    async def remove_job(job_id: JobId):
        desk.find_job(job_id)
        desk.jobs.remove(job_id)
        return Response(status_code=204)

    @router.get(
        "/galaxies",
        summary="List estimates of some rows",
        response_model=schema.Page,
        responses=of_result,
    )
    async def list_galaxies(
        job_id: JobId,
        start: Annotated[int, Query(ge=0, le=_MOST_ROWS)] = 0,
        count: Annotated[int, Query(ge=1, le=500)] = 50,
    ):
        result = desk.find_result(job_id)
        rows = slice(start, start + count)
        galaxies = await desk.compute(
            describe_rows, result.table[rows], result.names[rows], start
        )
        return as_json({"rows": len(result.table), "galaxies": galaxies})

    @router.get(
        "/galaxies/{row}",
        summary="Show p(z), flags and cutouts of one row",
        response_model=schema.GalaxyOfJob,
        responses=of_result,
    )
    async def show_galaxy(job_id: JobId, row: Row):
        result = desk.find_result(job_id, row)
        names = result.names[row]
        galaxy = await desk.compute(describe_galaxy, result.table, names, row)
        address = f"/api/v1/jobs/{job_id}/galaxies/{row}/cutouts/"
        cutouts = describe_pictures(result.pictures.get(row, []), address)
        return as_json({**describe_model(result.photoz), **galaxy, "cutouts": cutouts})

    @router.get(
        "/galaxies/{row}/cutouts/{band}.png",
        summary="Show the cutout of a band, north up, east left",
        response_class=Response,
        responses={200: _files("image/png"), **may_answer(404, 409, 422)},
    )
    async def show_cutout(
        job_id: JobId, row: Row, band: Annotated[str, Path(max_length=100)]
    ):
        for picture in desk.find_result(job_id, row).pictures.get(row, ()):
            if picture.band == band and picture.png:
                return Response(picture.png, media_type="image/png")
        raise HTTPException(404, f"there is no cutout of {band!r}")

    @router.get(
        "/download/{kind}",
        summary="Make a file: a table, p(z) for qp, or Python for a fit",
        response_class=Response,
        responses={200: _files(*_MEDIA), **of_result},
    )
    async def download(
        job_id: JobId,
        kind: Kind,
        row: Annotated[
            int,
            Query(
                ge=0, le=_MOST_ROWS, description="For prospector: index of the galaxy"
            ),
        ] = 0,
    ):
        result = desk.find_result(job_id, row)
        found = await desk.compute(make_download, kind, result, row)
        return Response(
            found.content,
            media_type=found.media_type,
            headers={"Content-Disposition": f'attachment; filename="{found.name}"'},
        )

    return router


def _files(*media_types) -> dict[str, Any]:
    """Describe an answer that is a file."""
    return {"description": "The file", "content": {kind: {} for kind in media_types}}
