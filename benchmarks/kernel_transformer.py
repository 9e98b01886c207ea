"""
Tangent kernels of GPT-2's architecture: time in backward passes, error, and memory.

Two sizes: 1 million parameters, where everything can be compared, and the 124 million
of the smallest GPT-2. The kernel is that of the log odds of two classes, of 64 texts.
Peers are written as their papers and packages do: Jacobians by ``torch.func`` (Novak et
al. 2022, arXiv:2206.08720), and dense random signs on the gradient of each text, as
TRAK projects on a processor (Park et al. 2023, arXiv:2303.14186). They hold all
gradients, 0.5 GB a text at the larger size, so that they see fewer texts there: the
Jacobians 8, and dense signs, which are made once a batch of any size, 16. The unit of
time is one ordinary backward pass, with its forward pass, for every text. Each is
measured in a process of its own; memory is the peak above that of the network (Linux
only).
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from astropy.table import Table
from gpt2 import GPT2
from harness import run
from torch.func import functional_call, jacrev, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from mantis_astro.kernels import ClassMargin, EmpiricalNTK, ProjectedNTK

N_DIRECTIONS, LENGTH = 256, 16
SIZES = {
    "1 M": {"vocabulary": 4096, "length": 64, "width": 96, "n_layers": 5, "n_heads": 4},
    "124 M": {},
}
TINY = {"vocabulary": 64, "length": LENGTH, "width": 8, "n_layers": 1, "n_heads": 1}
margin = ClassMargin()


def backward_passes(network, ids):
    """Squared lengths of gradients, and nothing kept: the unit of time."""
    parameters = list(network.parameters())
    return torch.stack(
        [
            sum(
                g.square().sum()
                for g in torch.autograd.grad(margin(network(text[None])), parameters)
            )
            for text in ids
        ]
    ).diag()


def layers(network, ids):
    return EmpiricalNTK(network, output=margin).gram(ids)


def projected(network, ids):
    kernel = ProjectedNTK(
        network, n_directions=N_DIRECTIONS, seed=1, output=margin, memory=1e9
    )
    return kernel.gram(ids)


def by_functorch(network, ids):
    """All gradients at once, and their products a parameter at a time."""
    weights = {name: p.detach() for name, p in network.named_parameters()}

    def outputs(weights, text):
        return margin(functional_call(network, weights, (text[None],)))[0]

    with sdpa_kernel(SDPBackend.MATH):
        by_name = vmap(jacrev(outputs), in_dims=(None, 0))(weights, ids)
    return sum(g.flatten(1) @ g.flatten(1).T for g in by_name.values())


def as_trak(network, ids):
    """Dense signs, made anew a block of parameters at a time."""
    parameters = list(network.parameters())
    gradients = torch.empty(len(ids), sum(p.numel() for p in parameters))
    for row, text in zip(gradients, ids, strict=True):
        of_text = torch.autograd.grad(margin(network(text[None])), parameters)
        torch.cat([g.flatten() for g in of_text], out=row)
    generator = torch.Generator().manual_seed(1)
    features = torch.zeros(len(ids), N_DIRECTIONS)
    for block in gradients.split(10_000, dim=1):
        size = (block.shape[1], N_DIRECTIONS)
        bits = torch.randint(0, 2, size, generator=generator, dtype=torch.int8)
        features += block @ (2 * bits - 1).float()
    return features @ features.T / N_DIRECTIONS


METHODS = backward_passes, layers, projected, by_functorch, as_trak
MOST_TEXTS = {("124 M", by_functorch): 8, ("124 M", as_trak): 16}


def peak():
    with Path("/proc/self/status").open() as status:
        return 1024 * next(int(s.split()[1]) for s in status if s.startswith("VmHWM"))


def measure(size, method, n, path):
    """Write the Gram matrix; print seconds of the processor, and memory."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = GPT2(**SIZES[size]).eval()
    generator = torch.Generator().manual_seed(1)
    vocabulary = network.words.num_embeddings
    ids = torch.randint(0, vocabulary, (n, LENGTH), generator=generator)
    globals()[method](GPT2(**TINY).eval(), ids[:1] % 64)  # first calls import
    before, start = peak(), time.process_time()
    gram = globals()[method](network, ids)
    print(json.dumps([time.process_time() - start, peak() - before]))
    np.save(path, gram.detach().numpy())


def benchmark(short):
    """Gram matrices of 64 texts, by every method."""
    n = 8 if short else int(os.environ.get("KERNEL_TEXTS", "64"))
    rows = []
    for size in SIZES:
        if short and size != "1 M":
            continue
        grams, unit = {}, None
        for method in METHODS:
            n_texts = min(n, MOST_TEXTS.get((size, method), n))
            if not n_texts:
                continue
            with TemporaryDirectory() as folder:
                path = str(Path(folder) / "gram.npy")
                what = [size, method.__name__, str(n_texts), path]
                command = [sys.executable, "-W", "ignore", __file__, "--one", *what]
                out = subprocess.run(
                    command, check=True, capture_output=True, text=True
                )
                seconds, memory = json.loads(out.stdout.splitlines()[-1])
                gram = grams[method] = np.load(path)
            unit = unit or seconds / n_texts
            if method is backward_passes:
                error = np.nan
            elif method is layers:
                error = np.max(
                    np.abs(np.diag(gram) / np.diag(grams[backward_passes]) - 1)
                )
            else:
                exact = grams[layers][:n_texts, :n_texts]
                error = np.linalg.norm(gram - exact) / np.linalg.norm(exact)
            name = method.__name__.replace("_", " ")
            passes = seconds / (unit * n_texts)
            rows.append((size, name, n_texts, seconds, passes, error, memory / 1e6))
            print(rows[-1], file=sys.stderr, flush=True)
    names = "parameters", "method", "texts", "seconds", "backward_passes", "error", "MB"
    table = Table(rows=rows, names=names)
    for name, spec in zip(names[3:], (".1f", ".2f", ".1e", ".0f"), strict=True):
        table[name].info.format = spec
    table.meta["title"] = (
        f"Tangent kernel of GPT-2's architecture, texts of {LENGTH} tokens, one core "
        f"(CPU time; unit: a backward pass a text); {N_DIRECTIONS} directions"
    )
    return table


if __name__ == "__main__":
    if "--one" in sys.argv:
        size, method, n, path = sys.argv[sys.argv.index("--one") + 1 :]
        measure(size, method, int(n), path)
    else:
        run(benchmark, "kernel_transformer")
