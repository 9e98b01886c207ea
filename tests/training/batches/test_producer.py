"""Batches from worker processes: the same as without, and clear words when they die."""

import os
import signal
from collections import deque
from functools import partial

import numpy as np
import pytest
import torch

from mantis_astro.training import AugmentationConfig, WorkerError
from mantis_astro.training.batches.augmentation import Augmentation
from mantis_astro.training.batches.batch import ArrayData, TrainingBatch
from mantis_astro.training.batches.producer import BatchMaker, BatchProducer


def same(batch):
    return batch


@pytest.fixture
def make(toy):
    augment = Augmentation(
        AugmentationConfig(extra_noise=0.5, drop_band=0.2, zero_point=0.1),
        toy.bands,
        seed=1,
    )
    return BatchMaker(toy.data(), augment, same, 32, slice(None))


def assert_same(a, b):
    for name, value in vars(a).items():
        torch.testing.assert_close(
            value, getattr(b, name), rtol=0, atol=0, equal_nan=True
        )


def test_the_number_of_workers_does_not_matter(make):
    here = BatchProducer(make, 3, 0)
    with BatchProducer(make, 3, 2) as two:
        for _ in range(5):
            assert_same(next(here), next(two))
        processes = [worker._process for worker in two._workers]
    assert not any(process.is_alive() for process in processes)


@pytest.mark.slow
def test_workers_that_start_anew_make_the_same(make, toy):
    prepare = partial(TrainingBatch.encoded, spec=toy.config().spec)  # can be pickled
    make = BatchMaker(make.data, make.augment, prepare, 32, slice(None))
    with BatchProducer(make, 0, 1, start_method="spawn") as batches:
        assert_same(next(batches), make(0))


def test_a_worker_that_is_killed_is_noticed(make):
    with BatchProducer(make, 0, 1) as batches:
        next(batches)
        (worker,) = batches._workers
        os.kill(worker._process.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match=r"died before step \d+ .*SIGKILL: kill"):
            deque(batches, maxlen=0)  # the pipe holds some


def test_what_goes_wrong_in_a_worker_is_told(make):
    make.data.z = make.data.z[:3]  # too few: an IndexError
    with (
        BatchProducer(make, 0, 1) as batches,
        pytest.raises(WorkerError, match=r"(?s)batch of step 0 failed.*IndexError"),
    ):
        next(batches)


def test_tuples_of_images_travel(toy):
    n = 40
    rng = np.random.default_rng(0)
    data = ArrayData(
        (rng.random((n, 1, 4, 4)), rng.random((n, 1, 6, 6))),
        np.ones((n, 2), bool),
        np.zeros((n, 2)),
        rng.random(n) * 0.99,
        z_edges=toy.edges,
    )
    augment = Augmentation(AugmentationConfig(dihedral=True), toy.bands, seed=1)
    make = BatchMaker(data, augment, same, 8, slice(None))
    with BatchProducer(make, 0, 1) as batches:
        got, expected = next(batches), make(0)
    assert [plane.shape for plane in got.images] == [(8, 1, 4, 4), (8, 1, 6, 6)]
    for mine, theirs in zip(got.images, expected.images, strict=True):
        assert torch.equal(mine, theirs)
