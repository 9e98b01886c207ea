"""
Galaxies per second of a training step on one thread, by size of network and precision.

A step is forward, loss, backward, clipping, AdamW and the average of the weights. The
peer is the same step in float32 with torch's own depthwise convolutions; the ratio to
it is that of the faster precision, which ``amp = "auto"`` takes. Seconds are those of
the processor, so that other work on the machine matters less; the last rows are what
it takes to make the batches.
"""

import time
from statistics import median

import torch
from astropy.table import Table
from harness import run

from mantis_astro.training import SimulatedData, TrainingConfig
from mantis_astro.training.optimization.averaging import WeightAverage
from mantis_astro.training.optimization.initialization import initial_network
from mantis_astro.training.optimization.losses import RedshiftLoss
from mantis_astro.training.optimization.small_convolutions import (
    convolve_by_convolution,
    convolve_by_products,
)

SIZES = (  # depths, widths, kernel, patch
    ((2, 2, 2), (48, 96, 192), 5, 4),
    ((2, 2, 2), (48, 96, 192), 3, 4),
    ((1, 1, 1), (48, 96, 192), 5, 4),
    ((2, 2), (96, 160), 5, 4),
    ((2, 2, 2), (32, 64, 128), 5, 2),
    ((2, 2, 2), (48, 96, 192), 5, 2),
)


def early(depths, widths, kernel, patch):
    config = TrainingConfig.read("early")
    plain = config.to_plain()
    encoder = plain["network"]["encoder"]
    encoder |= {"depths": depths, "widths": widths}
    encoder |= {"kernel_size": kernel, "patch_size": patch}
    return TrainingConfig.from_plain(plain)


def stepper(config, batch, *, bf16, products):
    """A function that takes one step."""
    network = initial_network(
        config.network, seed=0, initialization=config.initialization
    )
    (convolve_by_products if products else convolve_by_convolution)(network)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    average = WeightAverage(network, 0.998)
    score = RedshiftLoss(config.loss, config.z_edges)

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            logits = network(batch.images, batch.ebv)
        loss = score(logits, batch.z).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update(network, 100)

    return step, sum(p.numel() for p in network.parameters())


def rates(functions, n, repeats):
    """Galaxies per second of the processor's time, in turn."""
    seconds = {name: [] for name in functions}
    for i in range(repeats + 1):
        for name, function in functions.items():
            start = time.process_time()
            function()
            if i:
                seconds[name].append(time.process_time() - start)
    return {name: round(n / median(values)) for name, values in seconds.items()}


def benchmark(short):
    n, repeats = (128, 3) if short else (256, 7)
    rows = []
    configs = [
        (f"early {size}", early(*size)) for size in SIZES[: 3 if short else None]
    ]
    configs += [(name, TrainingConfig.read(name)) for name in ("late", "photometric")]
    for name, config in configs:
        data = SimulatedData().open(config)
        batch = data.batch(0, n).encoded(config.spec)
        functions, n_weights = {}, 0
        for column, options in (
            ("float32", {"bf16": False, "products": False}),
            ("float32, products", {"bf16": False, "products": True}),
            ("bfloat16", {"bf16": True, "products": False}),
            ("bfloat16, products", {"bf16": True, "products": True}),
        ):
            functions[column], n_weights = stepper(config, batch, **options)
        row = {"network": name, "weights": n_weights} | rates(functions, n, repeats)
        making = {"making": lambda data=data: data.batch(1, n)}
        row |= rates(making, n, repeats)
        chosen = max(row["float32, products"], row["bfloat16, products"])
        row["ratio"] = round(chosen / row["float32"], 2)  # amp = "auto"
        rows.append(row)
        print(row, flush=True)
    table = Table(rows)
    table.meta["title"] = (
        "training on one thread, galaxies per second of processor time; 'making' is "
        "the simulation of the batches in another process"
    )
    return table


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(benchmark, "training_throughput")
