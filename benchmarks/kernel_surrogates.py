"""
Kernels in a network's place, along training: the experiments of arXiv:2310.18612.

Regression of three functions and one classification, with the settings of the paper's
public code; every figure of the table is a median over seeds, at half of the training
and at its end; ``seeds`` is the range of CK/NTK over them. Penalties of the
classification are each kernel's own, by cross-validation; ``least`` is the loss of the
penalty that is best for the test. ``python benchmarks/kernel_surrogates.py --output
DIR`` also draws the losses along training. The paper's claims stand beside what was
measured. Trainings share the processors; all of them take about two hours of one,
``--only classification`` (or ``relu``, ``tanh``) less. ``--stages 4`` compares the
kernels of the regression at so many stages of each training, in place of 40.
"""

import argparse
import multiprocessing
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from astropy.table import Table
from harness import run
from torch import nn
from torch.nn import functional

from mantis_astro.kernels import (
    ConjugateKernel,
    EmpiricalNTK,
    eigenvalue_decay,
    log_loss_bound,
    logistic_path,
    logistic_regression,
    relative_loss_bounds,
    ridge_path,
    ridge_regression,
    root_mean_square,
)

FUNCTIONS = {
    "exp(sin 2 pi x)": lambda x: torch.exp(torch.sin(2 * np.pi * x)),
    "exp(3 x)": lambda x: torch.exp(3 * x),
    "cos(exp 3 x)": lambda x: torch.cos(torch.exp(3 * x)),
}
ACTIVATIONS = {"relu": (nn.ReLU, 1e-3), "tanh": (nn.Tanh, 5e-3)}  # learning rates
WIDTH, N_TRAIN, N_TEST = 128, 200, 600
BOUNDARY = 2 * np.array([-1.0, 0.3, 0.97, -0.1])  # cubic of x1, highest power first
CLAIMS = {
    "relu": "CK only marginally worse than NTK",
    "tanh": "CK at times better than NTK",
    "classification": "CK only marginally worse than NTK",
}

OPTIONS = argparse.Namespace(only=list(CLAIMS), stages=40)
curves = defaultdict(list)  # experiment to one list of records for each seed


def perceptron(sizes, activation):
    """Glorot weights, no biases to begin with, as the paper's code makes them."""
    layers = []
    for before, after in pairwise(sizes):
        linear = nn.Linear(before, after, dtype=torch.float64)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, activation()]
    return nn.Sequential(*layers[:-1])


def train(network, loss, rate, epochs, stages):
    """Full-batch Adam; yield the epoch at each stage."""
    optimizer = torch.optim.Adam(network.parameters(), rate)
    for epoch in range(1, epochs + 1):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        if epoch % (epochs // stages) == 0:
            yield epoch


def regression(name, activation, seed, epochs, stages):
    """Losses of network and kernels at each stage of one training."""
    kind, rate = ACTIVATIONS[activation]
    torch.manual_seed(seed)
    network = perceptron((1, WIDTH, WIDTH, WIDTH, 1), kind)
    x_test = -1 + 2 * torch.arange(N_TEST, dtype=torch.float64)[:, None] / N_TEST
    f_test = FUNCTIONS[name](x_test)
    third = slice(None, None, N_TEST // N_TRAIN)  # training points are test points
    x, f = x_test[third], f_test[third]

    def loss():
        return functional.mse_loss(network(x), f)

    kernels = ConjugateKernel(network, "6"), EmpiricalNTK(network)
    for epoch in train(network, loss, rate, epochs, stages):
        with torch.no_grad():
            g_test = network(x_test)
        ck, ntk = (kernel.features(x_test) for kernel in kernels)
        against_network = relative_loss_bounds(
            ck[third], ck, truth=(f, f_test), reference=(g_test[third], g_test)
        )
        fit = ridge_regression(ck[third], f, alpha=0).predict(ck)
        against_ck = relative_loss_bounds(
            ntk[third], ntk, truth=(f, f_test), reference=(fit[third], fit)
        )
        by_gram = gram_solution(ck, third, f)
        by_ridge = ridge_path(ck[third], f).best.predict(ck)
        network_loss = root_mean_square(g_test - f_test)
        yield {
            "epoch": epoch,
            "network": network_loss,
            "ck": against_network.ratio * network_loss,
            "ntk": against_ck.ratio * against_network.ratio * network_loss,
            "ck_ridge": root_mean_square(by_ridge - f_test.numpy()),
            "ck_gram": root_mean_square(by_gram - f_test.numpy()),
            "ck/network": against_network.ratio,
            "ck_low": against_network.lower,
            "ck_high": against_network.upper,
            "outside": against_network.outside,
            "ntk/ck": against_ck.ratio,
            "ntk_low": against_ck.lower,
            "ntk_high": against_ck.upper,
            "ck_decay": eigenvalue_decay(ck[third]).exponent,
            "ntk_decay": eigenvalue_decay(ntk[third]).exponent,
        }


def gram_solution(features, third, f):
    """What the pseudo-inverse of the Gram matrix gives, as the paper's code does."""
    gram = (features @ features[third].T).numpy()
    return gram @ np.linalg.pinv(gram[third]) @ f.numpy()


def classification(seed, epochs, stages):
    """Log losses of network and kernels at each stage of one training."""
    torch.manual_seed(seed)
    network = perceptron((2, WIDTH, WIDTH, 2), nn.Tanh)
    x, x_test = grid(12, 8), grid(23, 22)
    label, label_test = labels(x), labels(x_test)
    target = functional.one_hot(label, 2).double()

    def loss():
        return functional.mse_loss(network(x).softmax(1), target)

    kernels = {
        "ck": ConjugateKernel(network, "4"),
        "ntk": EmpiricalNTK(network, output=lambda y: y[:, 1:] - y[:, :1]),
    }
    for epoch in train(network, loss, 1e-5, epochs, stages):
        with torch.no_grad():
            logits = network(x_test)
        sign = 2 * label_test.numpy() - 1
        odds = {"network": (logits[:, 1] - logits[:, 0]).numpy()}
        record = {"epoch": epoch}
        for key, kernel in kernels.items():
            features = kernel.features(x)
            # a penalty for each kernel: their sizes and spectra are their own
            path = logistic_path(features, label)
            test_features = kernel.features(x_test)
            odds[key] = log_odds(path.best, test_features)
            size = float((features**2).sum(1).mean())
            record[f"{key}_penalty"] = path.best.alpha / size
            # what the best of all penalties could reach, were the test known
            record[f"{key}_least"] = min(
                binary_loss(log_odds(fit, test_features), sign)
                for fit in descending(features, label, path.alphas)
            )
            record[f"{key}_decay"] = eigenvalue_decay(features).exponent
        for key, value in odds.items():
            record[key] = binary_loss(value, sign)
            record[f"{key}_accuracy"] = float(np.mean(sign * value > 0))
        bound = log_loss_bound(odds["ck"], odds["network"])
        record["ck/network"] = record["ck"] / record["network"]
        record["ck_low"] = max(0.0, 1 - bound / record["network"])
        record["ck_high"] = 1 + bound / record["network"]
        bound = log_loss_bound(odds["ntk"], odds["ck"])
        record["ntk/ck"] = record["ntk"] / record["ck"]
        record["ntk_low"] = max(0.0, 1 - bound / record["ck"])
        record["ntk_high"] = 1 + bound / record["ck"]
        yield record


def descending(features, label, alphas):
    """Solutions of falling penalties, each beginning at the one before."""
    start = None
    for alpha in alphas:
        fit = logistic_regression(
            features, label, alpha=alpha, start=start, tolerance=1e-6
        )
        start = fit.coef
        yield fit


def log_odds(fit, features):
    logits = fit.logits(features)
    return logits[:, 1] - logits[:, 0]


def binary_loss(odds, sign):
    return float(np.mean(np.logaddexp(0, -sign * odds)))


def grid(n1, n2):
    axes = (torch.linspace(-1, 1, n, dtype=torch.float64) for n in (n1, n2))
    return torch.cartesian_prod(*axes)


def labels(x):
    return (x[:, 1] > torch.from_numpy(np.polyval(BOUNDARY, x[:, 0].numpy()))).long()


def one_training(kind, name, seed, epochs, stages):
    """Records of one training."""
    torch.set_num_threads(1)
    if kind == "classification":
        return list(classification(seed, epochs, stages))
    return list(regression(name, kind, seed, epochs, stages))


def benchmark(short):
    """Train, and compare at each stage."""
    seeds, epochs, stages = (1, 300, 2) if short else (5, 1200, OPTIONS.stages)
    names = list(FUNCTIONS)[:1] if short else FUNCTIONS
    jobs = [(kind, name, epochs, stages) for kind in ACTIVATIONS for name in names]
    epochs, stages = (400, 2) if short else (4000, 2)  # cross-validation takes long
    jobs.append(("classification", "sign(x2 - cubic)", epochs, stages))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(mp_context=spawn) as pool:
        running = [
            ((kind, name), pool.submit(one_training, kind, name, seed, *size))
            for kind, name, *size in jobs
            if kind in OPTIONS.only
            for seed in range(seeds)
        ]
        for key, records in running:
            curves[key].append(records.result())
    rows = [row for key in curves for row in summary(*key)]
    table = Table(rows=rows)
    for column in table.itercols():
        if column.dtype.kind == "f":
            column.info.format = ".3g"
    table.meta["title"] = (
        "Test loss of a network and of its kernels: RMSE of regression, log loss of "
        f"classification; medians of {seeds} seeds"
    )
    return table


def summary(kind, name):
    """Two rows: half-way and at the end."""
    runs = curves[kind, name]
    for at in (len(runs[0]) // 2 - 1, len(runs[0]) - 1):
        middle = {key: np.median([r[at][key] for r in runs]) for key in runs[0][at]}
        of_seeds = [r[at]["ck"] / r[at]["ntk"] for r in runs]
        stages = [record for records in runs for record in records]
        yield {
            "experiment": f"{kind}, {name}",
            "epoch": runs[0][at]["epoch"],
            "network": middle["network"],
            "CK": middle["ck"],
            "NTK": middle["ntk"],
            "CK_ridge": middle.get("ck_ridge", np.nan),
            "CK_by_Gram": middle.get("ck_gram", np.nan),
            "CK_penalty": middle.get("ck_penalty", np.nan),
            "NTK_penalty": middle.get("ntk_penalty", np.nan),
            "CK_least": middle.get("ck_least", np.nan),
            "NTK_least": middle.get("ntk_least", np.nan),
            "CK/network": middle["ck/network"],
            "bounds": f"{middle['ck_low']:.2g} to {middle['ck_high']:.2g}",
            "CK/NTK": 1 / middle["ntk/ck"],
            "seeds": f"{min(of_seeds):.2g} to {max(of_seeds):.2g}",
            "NTK/CK_bounds": f"{middle['ntk_low']:.2g} to {middle['ntk_high']:.2g}",
            "within": f"{share_within(stages):.0%}",
            "CK_decay": middle["ck_decay"],
            "NTK_decay": middle["ntk_decay"],
            "paper": CLAIMS[kind],
        }


def share_within(stages):
    """How often both ratios lie within their bounds."""
    slack = 1 + 1e-9
    return np.mean(
        [
            r["ck_low"] <= r["ck/network"] * slack
            and r["ck/network"] <= r["ck_high"] * slack
            and r["ntk_low"] <= r["ntk/ck"] * slack
            and r["ntk/ck"] <= r["ntk_high"] * slack
            for r in stages
        ]
    )


def draw(folder):
    """Losses along training, and the measured ratio against the decay."""
    import matplotlib.pyplot as plt

    keys = list(curves)
    figure, axes = plt.subplots(
        2, len(keys), figsize=(3.2 * len(keys), 6.2), squeeze=False
    )
    for (kind, name), (above, below) in zip(keys, axes.T, strict=True):
        runs = curves[kind, name]
        epochs = [record["epoch"] for record in runs[0]]

        def middle(field, runs=runs, epochs=epochs):
            return [
                np.median([records[i][field] for records in runs])
                for i in range(len(epochs))
            ]

        above.semilogy(epochs, middle("network"), "k-", label="network")
        above.semilogy(epochs, middle("ck"), "C0-", label="CK")
        above.semilogy(epochs, middle("ntk"), "C1-", label="NTK")
        if kind != "classification":
            above.semilogy(epochs, middle("ck_ridge"), "C0:", label="CK, ridge")
        above.set_title(f"{kind}\n{name}", fontsize=9)
        below.semilogy(epochs, middle("ck/network"), "C0-", label="CK / network")
        below.fill_between(
            epochs,
            np.maximum(middle("ck_low"), 1e-9),
            middle("ck_high"),
            color="C0",
            alpha=0.15,
            label="bounds",
        )
        ratio = 1 / np.array(middle("ntk/ck"))
        below.semilogy(epochs, ratio, "C2--", label="CK / NTK")
        below.axhline(1, color="0.6", lw=0.8)
        low = min(*middle("ck/network"), *ratio)
        below.set_ylim(max(low / 5, 1e-9), 5 * max(2, *middle("ck/network"), *ratio))
        below.set_xlabel("epoch")
    axes[0, 0].set_ylabel("test loss (median of seeds)")
    axes[1, 0].set_ylabel("relative test loss")
    axes[0, 0].legend(fontsize=8)
    axes[1, 0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(folder / "kernel_surrogates.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--only", nargs="+", choices=CLAIMS, default=OPTIONS.only)
    parser.add_argument("--stages", type=int, default=OPTIONS.stages)
    OPTIONS, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    torch.set_num_threads(1)
    output = run(benchmark, "kernel_surrogates")
    if output is not None:
        draw(output)
