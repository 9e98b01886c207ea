"""Pictures, limits and the queue: parts that need no server."""

import io
import threading
import time

import numpy as np
import pytest
from astropy.nddata import CCDData

from mantis_astro import get_band
from mantis_astro.web import Limits
from mantis_astro.web.jobs import BusyError, JobQueue
from mantis_astro.web.pictures import draw_cutouts, to_png
from tests.made import make_galaxy


def test_a_picture_has_the_pixels_and_is_transparent_without_data():
    from matplotlib.image import imread

    picture = imread(io.BytesIO(to_png(np.array([[0.0, 0.5, 2.0], [1.0, np.nan, -1]]))))
    grey, alpha = picture[..., 0], picture[..., -1]
    np.testing.assert_allclose(grey[0], [1, 127 / 255, 0], atol=1e-6)
    np.testing.assert_array_equal(alpha, [[1, 1, 1], [1, 0, 1]])


def test_cutouts_are_drawn_north_up_whatever_their_orientation():
    from matplotlib.image import imread

    galaxy = make_galaxy(bands=["ps1.r"])
    cutout = galaxy["ps1.r"]
    ny, nx = cutout.shape
    cutout.data[ny // 2 + 40, nx // 2 + 20] = 1e6  # in the north, and in the west
    for one in galaxy, galaxy.map(turned):
        (picture,) = draw_cutouts(one, dict.fromkeys(one, _Ok()))
        shown = imread(io.BytesIO(picture.png))[..., 0]
        dark = np.unravel_index(np.argmin(shown), shown.shape)
        middle = np.array(shown.shape) / 2
        assert dark[0] == pytest.approx(middle[0] - 40, abs=1)
        assert dark[1] == pytest.approx(middle[1] + 20, abs=1)


def turned(image):
    """The same image by half a turn."""
    wcs = image.wcs.deepcopy()
    wcs.wcs.cdelt = -wcs.wcs.cdelt
    wcs.wcs.crpix = np.array(image.shape[::-1]) + 1 - wcs.wcs.crpix
    return CCDData(image.data[::-1, ::-1], unit=image.unit, wcs=wcs, meta=image.meta)


class _Ok:
    state, message = "ok", ""


def test_a_band_without_a_picture_says_why():
    from mantis_astro.cutouts import NO_COVERAGE, failed

    galaxy = make_galaxy(bands=["ps1.r"])
    statuses = {
        get_band("ps1.r"): _Ok(),
        get_band("galex.NUV"): NO_COVERAGE,
        get_band("unwise.W1"): failed("the server sleeps"),
    }
    empty, drawn, broken = draw_cutouts(galaxy, statuses)  # as in the registry
    assert (drawn.state, drawn.title, drawn.message) == ("ok", "Pan-STARRS1 r", "")
    assert (empty.state, empty.png) == ("no_coverage", b"")
    assert (broken.state, broken.message) == ("failed", "the server sleeps")


def test_a_limit_is_positive():
    with pytest.raises(ValueError, match="'rows' must be positive, got 0"):
        Limits(rows=0)


@pytest.fixture
def make_queue():
    queues = []

    def make(**limits):
        queues.append(JobQueue(Limits(**limits), (ValueError,)))
        return queues[-1]

    yield make
    for queue in queues:
        queue.close()


def wait_for(job, *states):
    for _ in range(500):
        if job.state in states:
            return
        time.sleep(0.01)
    pytest.fail(f"the job is {job.state}, not {states}")


def test_a_queue_runs_jobs_in_order_and_refuses_too_many(make_queue):
    queue, gate = make_queue(waiting_jobs=2), threading.Event()

    def wait(_):
        gate.wait(10)
        return "done so"

    running = [queue.submit("first", wait) for _ in range(2)]
    for job in running:
        wait_for(job, "running")
    waiting = [queue.submit("later", wait) for _ in range(2)]
    assert [queue.count_before(job) for job in waiting] == [2, 3]
    with pytest.raises(BusyError, match="2 jobs wait already"):
        queue.submit("too late", wait)
    assert queue.remove(waiting[0].id)
    assert queue.find(waiting[0].id) is None
    gate.set()
    wait_for(waiting[1], "done")
    assert waiting[1].result == "done so"
    assert waiting[0].result is None


def test_a_job_ends_when_its_time_is_up_or_nobody_wants_it(make_queue):
    queue = make_queue(job_seconds=0.05)

    def work(job):
        while True:
            job.report("goes on")
            time.sleep(0.005)

    job = queue.submit("endless", work)
    wait_for(job, "failed")
    assert "not finished in 0.05 s" in job.message
    queue = make_queue()
    job = queue.submit("endless", work)
    wait_for(job, "running")
    queue.remove(job.id)
    wait_for(job, "cancelled")


def test_an_error_of_the_asker_is_told_and_one_of_ours_is_not(make_queue, caplog):
    queue = make_queue()

    def fail(error):
        raise error

    theirs = queue.submit("theirs", lambda _: fail(ValueError("no such column")))
    ours = queue.submit("ours", lambda _: fail(RuntimeError("secret of ours")))
    wait_for(theirs, "failed")
    wait_for(ours, "failed")
    assert theirs.message == "no such column"
    assert "secret" not in ours.message
    assert "secret of ours" in caplog.text


def test_results_go_after_a_while_and_the_oldest_first(make_queue):
    queue = make_queue(kept_jobs=2)
    jobs = []
    for i in range(3):
        jobs.append(queue.submit(str(i), lambda _: 1))
        wait_for(jobs[-1], "done")
    assert [queue.find(job.id) is job for job in jobs] == [False, True, True]
    queue = make_queue(keep_seconds=0.01)
    job = queue.submit("short", lambda _: 1)
    wait_for(job, "done")
    time.sleep(0.02)
    assert queue.find(job.id) is None


def test_names_of_jobs_cannot_be_guessed(make_queue):
    queue = make_queue(kept_jobs=100, waiting_jobs=100)
    names = {queue.submit("x", lambda _: 1).id for _ in range(50)}
    assert len(names) == 50
    assert min(map(len, names)) >= 32
