"""
Peak memory and time of loading a full-size checkpoint in the published layout.

The file is made: the names, shapes and size of the published one, keys prefixed as its
are. Peers: the usual ``torch.load`` into a network built with memory of its own.
Each load runs in a process of its own, so that its peak is its own (Linux only).
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import torch
from astropy.table import Table
from harness import run

from mantis_astro.models import build_network, get_card, save_model

SETUP = """
import json, sys, time
import torch
from mantis_astro.models import build_network, get_card, load_model

def peak():  # bytes; getrusage would count the parent's memory at the fork too
    with open("/proc/self/status") as status:
        return 1024 * next(int(s.split()[1]) for s in status if s.startswith("VmHWM"))

path, before, start = sys.argv[1], peak(), time.perf_counter()
"""
# Weights are mapped from the file: they count once they are read, so all are.
REPORT = """
loaded = time.perf_counter() - start
total = sum(float(p.sum()) for p in network.parameters())
print(json.dumps([loaded, time.perf_counter() - start, peak() - before]))
"""
LOADS = {
    "load_model": """
network, card = load_model(path)
""",
    "torch.load": """
network = build_network(get_card("mantis-shrimp-early").network)
state = torch.load(path, weights_only=True)
network.load_state_dict(
    {k.removeprefix("_orig_mod.module."): v for k, v in state.items()}
)
""",
}


def make_files(folder):
    """The published layout, and ours; both full size."""
    card = get_card("mantis-shrimp-early")
    network = build_network(card.network)
    published, ours = folder / "best_early.pt", folder / "ours.safetensors"
    torch.save(
        {f"_orig_mod.module.{k}": v for k, v in network.state_dict().items()}, published
    )
    save_model(ours, network, card)
    return published, ours


def measure(code, path):
    """Seconds to load, seconds to load and read all weights, and peak bytes."""
    done = subprocess.run(
        [sys.executable, "-c", SETUP + code + REPORT, str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def benchmark(short):
    """Load each file in each way, in processes of their own."""
    table = Table(
        names=(
            "load",
            "layout",
            "file_mb",
            "load_s",
            "load_and_read_s",
            "peak_over_size",
        ),
        dtype=(str, str, float, float, float, float),
    )
    with tempfile.TemporaryDirectory() as folder:
        published, ours = make_files(Path(folder))
        for load, path in (
            ("load_model", published),
            ("load_model", ours),
            ("torch.load", published),
        ):
            rows = [measure(LOADS[load], path) for _ in range(1 if short else 3)]
            loaded, read, peak = (median(column) for column in zip(*rows, strict=True))
            size = path.stat().st_size
            layout = "published" if path == published else "ours"
            table.add_row((load, layout, size / 1e6, loaded, read, peak / size))
    for column in table.colnames[2:]:
        table[column].info.format = ".2f"
    table.meta["title"] = (
        "Loading 200 million weights; the peak is over that of imports"
    )
    return table


if __name__ == "__main__":
    run(benchmark, "checkpoint_memory")
