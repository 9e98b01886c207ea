"""Preparation of batches ahead of the steps that need them, in own processes."""

import multiprocessing
import queue
import signal
import sys
import threading
import traceback
import warnings

import torch

from mantis_astro.exceptions import MantisError
from mantis_astro.training.batches.batch import TrainingBatch

__all__ = ["BatchMaker", "BatchProducer", "WorkerError", "process_context"]

_PATIENCE = 0.5  # seconds between looks at whether a worker lives


class WorkerError(MantisError, RuntimeError):
    """A process that prepares batches failed or died."""


class BatchMaker:
    """
    From the number of a step to its batch, as the network reads it.

    Parameters
    ----------
    data : TrainingData
        Where galaxies come from.
    augment : Augmentation
        What is done to them.
    prepare : callable
        From batch to prepared batch.
    batch_size : int
        Galaxies in a step, of all training processes together.
    rows : slice
        Those of this training process.
    """

    def __init__(self, data, augment, prepare, batch_size, rows):
        self.data, self.augment, self.prepare = data, augment, prepare
        self.batch_size, self.rows = batch_size, rows

    def __call__(self, step):
        """Make the batch of a step."""
        batch = self.data.batch(step, self.batch_size, self.rows)
        batch = self.augment(batch, step, self.batch_size, self.rows)
        return self.prepare(batch)


def process_context(start_method=None):
    """
    Choose how processes start.

    Parameters
    ----------
    start_method : str, optional
        See `multiprocessing.get_context`; by default by forking where that is safe
        (Linux), which takes no time, needs no pickling, and lets scripts be scripts.

    Returns
    -------
    context
        Of `multiprocessing`.
    """
    forks = sys.platform == "linux"
    return multiprocessing.get_context(start_method or ("fork" if forks else "spawn"))


class BatchProducer:
    """
    The batches of step after step, made here or by worker processes.

    Batch s is made by worker ``s % n_workers``; they come in order, and are the same
    for any number of workers.

    Parameters
    ----------
    make : callable
        From the number of a step to its batch; sent to the workers.
    first : int
        The first step.
    n_workers : int
        Processes; 0 to make batches here when they are asked for.
    ahead : int, optional
        Batches that each worker is ahead.
    start_method : str, optional
        How processes start, see `process_context`.
    """

    def __init__(self, make, first, n_workers, *, ahead=2, start_method=None):
        self._make, self._next = make, first
        self._workers = []
        context = process_context(start_method)
        try:
            for i in range(n_workers):
                start = first + (i - first) % n_workers
                others = [worker.connection for worker in self._workers]
                self._workers.append(
                    _Worker(context, make, start, n_workers, ahead, others)
                )
            for worker in self._workers:
                worker.listen()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        return self

    def __next__(self):
        """Return the next step's batch."""
        step, self._next = self._next, self._next + 1
        if not self._workers:
            return self._make(step)
        return self._workers[step % len(self._workers)].get(step)

    def close(self):
        """End the workers."""
        for worker in self._workers:
            worker.close()
        self._workers = []


class _Worker:
    """One process, and the thread that takes its batches in."""

    def __init__(self, context, make, first, stride, ahead, others):
        self.connection, theirs = context.Pipe(duplex=False)
        # A forked process holds our ends of pipes too; unless it closes them, it waits
        # for ever for somebody to read when we are killed.
        forks = context.get_start_method() == "fork"
        ours = [*others, self.connection] if forks else []
        self._process = context.Process(
            target=_work, args=(theirs, ours, make, first, stride), daemon=True
        )
        with warnings.catch_warnings():
            # threads of torch stand idle here, and a worker uses none of its own
            warnings.filterwarnings("ignore", ".*multi-threaded.*fork")
            self._process.start()
        theirs.close()
        self._queue = queue.Queue(ahead)
        self._closed = False
        self._thread = threading.Thread(target=self._receive, daemon=True)

    def listen(self):
        """Begin to take batches in, once all processes have started."""
        self._thread.start()

    def _receive(self):
        while not self._closed:
            try:
                item = self.connection.recv()
            except (EOFError, OSError):
                item = None  # it has gone
            while not self._closed:
                try:
                    self._queue.put(item, timeout=_PATIENCE)
                    break
                except queue.Full:
                    continue
            if item is None:
                return

    def get(self, step):
        item = self._queue.get()
        if item is None:
            self._process.join(5)
            code = self._process.exitcode
            msg = (
                f"the process that prepares batches died before step {step} (exit code "
                f"{code}{_meaning(code)}); go on from the checkpoint, with n_workers=0 "
                "if it happens again"
            )
            raise WorkerError(msg)
        if isinstance(item, str):
            msg = f"preparing the batch of step {step} failed:\n{item}"
            raise WorkerError(msg)
        return TrainingBatch(*map(_to_torch, item))

    def close(self):
        self._closed = True
        self._process.terminate()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        if self._thread.is_alive():
            self._thread.join(2 * _PATIENCE)
        self.connection.close()


def _meaning(code):
    if code is None or code >= 0:
        return ""
    killed = ": killed, perhaps for want of memory" if code == -signal.SIGKILL else ""
    return f", {signal.Signals(-code).name}{killed}"


def _work(connection, not_ours, make, step, stride):
    """Make every stride-th batch until nobody reads them."""
    for other in not_ours:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    torch.set_num_threads(1)
    try:
        while True:
            try:
                batch = make(step)
                item = tuple(map(_to_numpy, vars(batch).values()))
            except Exception:  # noqa: BLE001  told to the parent, whatever it is
                connection.send(traceback.format_exc())
                return
            connection.send(item)
            step += stride
    except (BrokenPipeError, ConnectionError):
        return


def _to_numpy(value):
    # arrays, as tensors would travel by file descriptors, of which there are few
    if isinstance(value, tuple):
        return tuple(map(_to_numpy, value))
    return None if value is None else value.numpy()


def _to_torch(value):
    if isinstance(value, tuple):
        return tuple(map(_to_torch, value))
    return None if value is None else torch.from_numpy(value)
