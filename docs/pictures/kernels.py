"""A network with random weights, its kernel's fit, and the error bar of the fit."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from mantis_astro.kernels import ConjugateKernel, ridge_regression

torch.manual_seed(1)
network = nn.Sequential(
    nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)
).double()
kernel = ConjugateKernel(network, "4")
x = 2 * torch.rand(25, 1, dtype=torch.float64) - 1
y = torch.exp(torch.sin(3 * x))[:, 0] + 0.1 * torch.randn(25, dtype=torch.float64)
fit = ridge_regression(kernel.features(x), y, alpha=0.01)
grid = torch.linspace(-1, 1, 200, dtype=torch.float64)[:, None]
features = kernel.features(grid)
mean = np.ravel(fit.predict(features))
error = np.sqrt(np.ravel(fit.variance(features)))

fig, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
ax.fill_between(grid[:, 0], mean - error, mean + error, color="#deebf7")
ax.plot(grid, mean, color="#3182bd", label="ridge regression on its features")
ax.plot(grid, np.exp(np.sin(3 * grid)), "k:", label="truth")
ax.plot(grid, network(grid).detach(), color="#999999", label="network as drawn")
ax.plot(x, y, "ko", ms=4, label="data")
ax.set(xlabel="x", ylabel="f(x)")
ax.legend(frameon=False, loc="upper left")
