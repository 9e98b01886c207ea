"""What `PhotoZ.predict` adds to the bare network of published size."""

import sys
from pathlib import Path

import numpy as np
import torch
from astropy.table import Table
from harness import interleaved, run

sys.path.append(str(Path(__file__).parents[1]))
from mantis_astro import PhotoZ
from mantis_astro.models import accelerate, build_network, get_card
from tests.made import make_galaxy


def benchmark(short):
    """Predict made galaxies, and run the network alone on the same tensors."""
    torch.manual_seed(0)
    card = get_card("mantis-shrimp-early")
    photoz = PhotoZ(build_network(card.network), card)
    n = 16 if short else 64
    galaxies = [make_galaxy(seed=i) for i in range(n)]
    ebv = np.full(n, 0.03)
    prepared = photoz.prepare(galaxies, ebv)
    network = accelerate(photoz.network)
    size = photoz.network.micro_batch

    @torch.inference_mode()
    def bare():
        for start in range(0, n, size):
            part = slice(start, start + size)
            torch.softmax(network(prepared.images[part], prepared.ebv[part]), -1)

    seconds = interleaved(
        {
            "network alone": bare,
            "PhotoZ.predict": lambda: photoz.predict(galaxies, ebv=ebv),
            "preparation alone": lambda: photoz.prepare(galaxies, ebv),
        },
        repeats=3 if short else 7,
    )
    base = seconds["network alone"]
    return Table(
        {
            "step": list(seconds),
            "ms per galaxy": [round(1e3 * s / n, 2) for s in seconds.values()],
            "over the network alone": [round(s / base, 3) for s in seconds.values()],
        },
        meta={
            "title": f"{n} galaxies of nine bands, published size, "
            f"{torch.get_num_threads()} threads"
        },
    )


if __name__ == "__main__":
    run(benchmark, "predict_overhead")
