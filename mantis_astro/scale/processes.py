"""Tasks on several processes of one machine, of which any may be killed."""

import logging
import multiprocessing
import os
import threading
import warnings
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import connection

from mantis_astro.scale.row_predictor import PartitionError

__all__ = ["run_tasks"]

log = logging.getLogger(__name__)


def run_tasks(function, tasks, *, workers, tries):
    """
    Call a function for each of some tasks, on several processes.

    Parameters
    ----------
    function : callable
        What can be sent to another process.
    tasks : iterable of (str, tuple)
        What to call each task in messages, and the arguments; taken as processes get
        free, so that few are in memory.
    workers : int
        How many processes; 1 calls the function here.
    tries : int
        How often a task is tried whose process is killed.

    Yields
    ------
    object
        What the function returned.
    tuple
        The arguments, as tasks are finished.

    Raises
    ------
    MantisError
        `PartitionError` if processes are killed each time.
    """
    tasks = iter(tasks)
    if workers == 1:
        for _, arguments in tasks:
            yield function(*arguments), arguments
        return
    failures, waiting = {}, []
    while True:
        running = {}
        pool = ProcessPoolExecutor(
            workers,
            multiprocessing.get_context("spawn"),
            _start,
            (max(1, (os.cpu_count() or 1) // workers),),
        )
        try:
            while True:
                while len(running) < 2 * workers:
                    waiting = waiting or [*islice(tasks, 1)]
                    if not waiting:
                        break
                    # raises if the pool is broken: the task still waits then
                    running[pool.submit(function, *waiting[0][1])] = waiting[0]
                    del waiting[0]
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield result, running.pop(future)[1]
        except BrokenProcessPool as error:
            for name, _ in running.values():
                failures[name] = failures.get(name, 0) + 1
            lost = [name for name, _ in running.values() if failures[name] >= tries]
            if lost:
                msg = f"a process was killed {tries} times at {' or '.join(lost)}"
                raise PartitionError(msg) from error
            log.warning("a process was killed: %d tasks are repeated", len(running))
            waiting = [*running.values(), *waiting]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start(n_thread):
    """Prepare a process; messages are left to the one that started it."""
    import torch

    torch.set_num_threads(n_thread)
    warnings.simplefilter("ignore")
    logging.getLogger("mantis_astro").addHandler(logging.NullHandler())
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    """End when the process that waits for the answers is killed."""
    connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
