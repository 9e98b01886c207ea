"""
Milliseconds per galaxy of the published-size network, in each of its fast forms.

The peer is the plain forward pass, one galaxy at a time, in float32. Weights are made:
the time does not depend on them. What a reduced precision does to p(z) does, so the
last columns show it on the embedded model too, with galaxies like its own training's.
"""

import importlib.util
import time

import numpy as np
import torch
from astropy.table import Table
from harness import interleaved, run

from mantis_astro.models import (
    OnnxNetwork,
    accelerate,
    build_network,
    get_card,
    load_model,
)
from mantis_astro.models.encoders import Block
from mantis_astro.training import iter_simulated

BATCH = 8


def make_published():
    """The published network with made weights that matter in every block."""
    config = get_card("mantis-shrimp-early").network
    torch.manual_seed(0)
    network = build_network(config)
    with torch.no_grad():
        for block in network.modules():
            if isinstance(block, Block):
                block.gamma.normal_(0, 0.2)
        network.fc1.weight *= 10  # p(z) about as peaked as a trained network's
    return network


def forms(network, images, ebv, *, with_onnx):
    """The network in each form, by name."""
    made = {
        "plain": network,
        "fast (default)": accelerate(network),
        "bfloat16": accelerate(network, precision="bfloat16"),
    }
    if with_onnx:
        for precision in ("float32", "int8"):
            start = time.perf_counter()
            made[f"onnxruntime {precision}"] = OnnxNetwork(
                network, images, ebv, precision=precision
            )
            print(
                f"onnxruntime {precision}: made in {time.perf_counter() - start:.0f} s"
            )
    return made


def effect(edges, probability):
    """How far p(z) moves: total variation, and mean z over 1 + z (largest of each)."""
    middle = (edges[1:] + edges[:-1]) / 2
    reference = probability["plain"]
    z = reference @ middle
    return {
        name: (
            np.abs(p - reference).sum(1).max() / 2,
            np.abs((p @ middle - z) / (1 + z)).max(),
        )
        for name, p in probability.items()
    }


@torch.inference_mode()
def benchmark(short):
    """Time every form at the same input."""
    published = get_card("mantis-shrimp-early")
    network = make_published()
    torch.manual_seed(1)
    images, ebv = torch.rand(BATCH, 9, 120, 120), torch.rand(BATCH, 2) * 0.1
    with_onnx = importlib.util.find_spec("onnxruntime") is not None
    made = forms(network, images, ebv, with_onnx=with_onnx)

    calls = {"plain, batch 1": lambda: network(images[:1], ebv[:1])}
    calls |= {
        f"{name}, batch {BATCH}": lambda form=form: form(images, ebv)
        for name, form in made.items()
    }
    seconds = interleaved(calls, repeats=2 if short else 7)
    per_galaxy = {
        name: 1e3 * s / (1 if name.endswith("batch 1") else BATCH)
        for name, s in seconds.items()
    }
    logits = {name: form(images, ebv) for name, form in made.items()}
    moved = effect(
        published.bin_edges,
        {name: torch.softmax(x, -1).numpy() for name, x in logits.items()},
    )

    embedded, card = load_model()
    prepared, _ = next(iter_simulated(card, 256, seed=5))
    small, small_ebv = prepared.images, prepared.ebv
    small_forms = forms(embedded, small[:2], small_ebv[:2], with_onnx=with_onnx)
    small_moved = effect(
        card.bin_edges,
        {
            name: torch.softmax(form(small, small_ebv), -1).numpy()
            for name, form in small_forms.items()
        },
    )

    table = Table(
        names=(
            *("form", "ms_per_galaxy", "times_faster", "max_abs_dlogit"),
            *("max_tv", "max_dz", "embedded_max_tv", "embedded_max_dz"),
        ),
        dtype=(str, *[float] * 7),
    )
    peer = per_galaxy["plain, batch 1"]
    for name, ms in per_galaxy.items():
        form = name.partition(",")[0]
        dlogit = (logits[form] - logits["plain"]).abs().max().item()
        table.add_row((name, ms, peer / ms, dlogit, *moved[form], *small_moved[form]))
    for column, spec in (("ms_per_galaxy", ".1f"), ("times_faster", ".2f")):
        table[column].info.format = spec
    for column in table.colnames[3:]:
        table[column].info.format = ".1e"
    table.meta["title"] = (
        f"Published-size network, {torch.get_num_threads()} threads; tv = total "
        "variation of p(z), dz = shift of its mean over 1 + z"
    )
    return table


if __name__ == "__main__":
    run(benchmark, "network_speed")
