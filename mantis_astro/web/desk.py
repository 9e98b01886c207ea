"""`Desk`: the shared state of the routes: models, jobs, and the thread of answers."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from mantis_astro.catalogs import list_catalogs
from mantis_astro.records import printable
from mantis_astro.web.answers import describe_job
from mantis_astro.web.jobs import BusyError, JobQueue, sentence
from mantis_astro.web.problems import THEIRS, as_json
from mantis_astro.web.schema import Schemas

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Response

    from mantis_astro.cutouts import CutoutSource
    from mantis_astro.web.jobs import Job
    from mantis_astro.web.limits import Limits
    from mantis_astro.web.shelf import Shelf
    from mantis_astro.web.work import Result

__all__ = ["Desk"]


class Desk:
    """
    Shared state of the routes.

    Parameters
    ----------
    shelf : Shelf
        The models.
    limits : Limits
        How much and how often.
    source : CutoutSource or None
        Where cutouts come from; None for the surveys' servers.

    Attributes
    ----------
    shelf, limits, source
        As given.
    jobs : JobQueue
        What takes longer than a request may.
    schemas : Schemas
        What requests may hold.
    """

    def __init__(
        self, shelf: Shelf, limits: Limits, source: CutoutSource | None
    ) -> None:
        self.shelf, self.limits, self.source = shelf, limits, source
        self.jobs = JobQueue(limits, THEIRS)
        self.schemas = Schemas(
            shelf.for_fluxes,
            shelf.for_images,
            [catalog.name for catalog in list_catalogs()],
            limits.galaxies,
        )
        # one after another: torch has the cores to itself, and nobody starves
        self._pool = ThreadPoolExecutor(1, "answer")
        self._waiting = 0

    def warm_up(self) -> None:
        """Load the model of fluxes, so that the first answer is not the slowest."""
        for name in self.shelf.for_fluxes[:1]:
            self._pool.submit(self.shelf.open, name)

    def close(self) -> None:
        """Cancel all jobs."""
        self.jobs.close()
        self._pool.shutdown(cancel_futures=True)

    async def compute(self, function: Callable, *arguments: Any) -> Any:
        """
        Run a function in the thread of answers.

        Parameters
        ----------
        function : callable
            What to run.
        *arguments
            What it is given.

        Returns
        -------
        object
            What it returns.

        Raises
        ------
        HTTPException
            503 if too many wait, 504 if it takes too long, 422 if what was asked is
            wrong.
        """
        limits = self.limits
        if self._waiting >= limits.waiting:
            reason = f"{self._waiting} requests wait already; try again later"
            raise HTTPException(503, reason, {"Retry-After": "5"})
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._pool, function, *arguments)
            return await asyncio.wait_for(future, limits.answer_seconds)
        except TimeoutError:
            reason = f"there was no answer within {limits.answer_seconds:g} s"
            raise HTTPException(504, f"{reason}; ask with a job") from None
        except THEIRS as error:
            raise HTTPException(422, sentence(error)) from error
        finally:
            self._waiting -= 1

    def submit(self, title: str, work: Callable[[Job], Result]) -> Response:
        """
        Put work into the queue of jobs.

        Parameters
        ----------
        title : str
            What it is.
        work : callable
            Is given the job, returns its result.

        Returns
        -------
        `fastapi.Response`
            202, and the job.

        Raises
        ------
        HTTPException
            503 if too many wait.
        """
        try:
            job = self.jobs.submit(printable(title), work)
        except BusyError as error:
            raise HTTPException(503, str(error), {"Retry-After": "30"}) from error
        return as_json(self.describe(job), 202)

    def describe(self, job: Job) -> dict[str, Any]:
        """
        Describe the progress of a job.

        Parameters
        ----------
        job : Job
            The job.

        Returns
        -------
        dict
            See `describe_job`.
        """
        return describe_job(job, self.jobs.count_before(job))

    def find_job(self, name: str) -> Job:
        """
        Find a job.

        Parameters
        ----------
        name : str
            Its secret name.

        Returns
        -------
        Job
            The job.

        Raises
        ------
        HTTPException
            404 if there is none.
        """
        job = self.jobs.find(name)
        if job is None:
            minutes = self.limits.keep_seconds / 60
            reason = f"there is no such job; results are kept for {minutes:g} minutes"
            raise HTTPException(404, reason)
        return job

    def find_result(self, name: str, row: int = 0) -> Result:
        """
        Find the result of a job.

        Parameters
        ----------
        name : str
            Secret name of the job.
        row : int, optional
            A row that it must have.

        Returns
        -------
        Result
            The result.

        Raises
        ------
        HTTPException
            404 if there is no such job or row, 409 if it has no result.
        """
        job = self.find_job(name)
        state = job.state  # first: a state that is reached has all else in place
        if state != "done":
            raise HTTPException(409, f"the job is {state}: {job.message}")
        n = len(job.result.table)
        if row >= n:
            raise HTTPException(404, f"there are {n} rows, counted from 0; got {row}")
        return job.result
