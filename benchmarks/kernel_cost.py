"""
Time and memory of the conjugate and the tangent kernel, as the sample grows.

The network is that of arXiv:2310.18612, four layers of width 128. The tangent kernel is
computed layer by layer, as `EmpiricalNTK.gram` does, and from the gradients themselves.
Each is measured in a process of its own; memory is the peak above that of the imported
package (Linux only).
"""

import json
import subprocess
import sys

from astropy.table import Table
from harness import run

PROGRAM = """
import json, sys, time
import torch
from torch import nn
from mantis_astro.kernels import ConjugateKernel, EmpiricalNTK, ProjectedNTK

class Gradients(EmpiricalNTK):
    def gram(self, x):
        features = self.features(x)
        return features @ features.T

def peak():  # bytes; getrusage would count the parent's memory at the fork too
    with open("/proc/self/status") as status:
        return 1024 * next(int(s.split()[1]) for s in status if s.startswith("VmHWM"))

torch.set_num_threads(1)
torch.manual_seed(0)
sizes = 1, 128, 128, 128, 1
layers = []
for a, b in zip(sizes, sizes[1:]):
    layers += [nn.Linear(a, b, dtype=torch.float64), nn.Tanh()]
network = nn.Sequential(*layers[:-1])
kernel = {
    "conjugate": lambda: ConjugateKernel(network, "6"),
    "tangent": lambda: EmpiricalNTK(network),
    "tangent, by gradients": lambda: Gradients(network),
    "tangent, 100 directions": lambda: ProjectedNTK(network, n_directions=100, seed=0),
}[sys.argv[1]]()
x = torch.linspace(-1, 1, int(sys.argv[2]), dtype=torch.float64)[:, None]
kernel.gram(x[:8])  # first calls import and allocate
before, start = peak(), time.process_time()
if hasattr(kernel, "memory"):
    kernel.memory = 8e9
kernel.gram(x)
print(json.dumps([time.process_time() - start, peak() - before]))
"""
KERNELS = (
    "conjugate",
    "tangent",
    "tangent, by gradients",
    "tangent, 100 directions",
)


def benchmark(short):
    """Gram matrices of N samples."""
    rows = []
    for n in (100, 400) if short else (200, 800, 3200):
        cost = {}
        for name in KERNELS:
            command = [sys.executable, "-W", "ignore", "-c", PROGRAM, name, str(n)]
            out = subprocess.run(command, check=True, capture_output=True, text=True)
            cost[name] = json.loads(out.stdout)
        for name, (seconds, memory) in cost.items():
            least = cost["conjugate"][0]
            rows.append((n, name, seconds, seconds / least, memory / 1e6))
    table = Table(rows=rows, names=["N", "kernel", "seconds", "over_conjugate", "MB"])
    table["seconds"].info.format = ".4f"
    table["over_conjugate"].info.format = ".0f"
    table["MB"].info.format = ".0f"
    table.meta["title"] = "Gram matrices of a network of 33,409 parameters (CPU time)"
    return table


if __name__ == "__main__":
    run(benchmark, "kernel_cost")
