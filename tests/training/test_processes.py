"""Whole trainings in processes of their own: killed with -9, and several together."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from astropy.table import Table
from safetensors.numpy import load_file

from mantis_astro.training import train

# Forked, as importing takes longer than training; `slow` tests start from nothing.
FORK = multiprocessing.get_context("fork")


def work(toy, folder, environment, options):
    import torch

    os.setpgid(0, 0)
    torch.set_num_threads(1)
    os.environ.update(environment)
    train(toy.config(**options), folder, data=toy.data(), progress=False, device="cpu")


def start(toy, folder, environment=None, **options):
    arguments = toy, folder, environment or {}, options
    process = FORK.Process(target=work, args=arguments, daemon=False)
    process.start()
    return process


def finish(*processes):
    for process in processes:
        process.join(100)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def lines(path):
    return len(path.read_text().splitlines()) if path.exists() else 0


def assert_gone(group):
    """No process of a killed training's group lives on: its workers end too."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    msg = "a worker outlived its training"
    raise AssertionError(msg)


def test_killed_and_resumed_gives_the_same_weights(toy, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = {"n_steps": 400, "checkpoint_every": 25, "log_every": 10}
    finish(start(toy, whole, **options))
    killed = []
    for rows in (5, 20):
        process = start(toy, parts, **options, n_workers=1)
        deadline = time.monotonic() + 100
        while lines(parts / "history.csv") < rows and time.monotonic() < deadline:
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        process.join(10)
        assert process.exitcode == -signal.SIGKILL
        killed.append(process.pid)
        assert not (parts / "toy.safetensors").exists()
    finish(start(toy, parts, **options))
    for group in killed:
        assert_gone(group)
    expected = load_file(whole / "toy.safetensors")
    for name, weights in load_file(parts / "toy.safetensors").items():
        np.testing.assert_array_equal(weights, expected[name])


def assert_same_course(one, two):
    histories = [Table.read(folder / "history.csv") for folder in (one, two)]
    for name in ("loss", "gradient_norm"):
        np.testing.assert_allclose(*(h[name] for h in histories), rtol=1e-4)
    expected = load_file(one / "toy.safetensors")
    for name, weights in load_file(two / "toy.safetensors").items():
        # features of the reference are kept in half precision
        atol = 2e-3 if name.startswith("reference.") else 2e-4
        np.testing.assert_allclose(weights, expected[name], atol=atol)


def test_two_processes_train_as_one_does(toy, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    finish(start(toy, one, n_steps=30))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    team = [
        {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "WORLD_SIZE": "2",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
        }
        for rank in range(2)
    ]
    finish(*(start(toy, two, environment, n_steps=30) for environment in team))
    assert_same_course(one, two)


@pytest.mark.slow
def test_torchrun_starts_the_command(toy, tmp_path):
    from mantis_astro.tables import write_table
    from mantis_astro.training import TableData

    table = tmp_path / "table.fits"
    write_table(toy.table(), table)
    path = tmp_path / "config.toml"
    path.write_text(toy.config(data=TableData(str(table))).to_toml())
    script = tmp_path / "script.py"
    script.write_text("from mantis_astro.cli import main; raise SystemExit(main())")
    arguments = ["train", str(path), "--steps", "20", "--device", "cpu", "-q", "-o"]
    python, environment = [sys.executable], os.environ | {"OMP_NUM_THREADS": "1"}
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for launch, name in ((python, "one"), (python + torchrun, "two")):
        subprocess.run(
            [*launch, str(script), *arguments, str(tmp_path / name)],
            check=True,
            env=environment,
            capture_output=True,
        )
    assert_same_course(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize("size", [3])
def test_a_batch_that_cannot_be_divided_is_refused(size):
    import torch

    from mantis_astro.exceptions import InputSpecError
    from mantis_astro.training.optimization.distributed import Team

    team = Team(0, size, torch.device("cpu"))
    with pytest.raises(InputSpecError, match="multiple of the 3 processes, got 64"):
        team.rows(64)
