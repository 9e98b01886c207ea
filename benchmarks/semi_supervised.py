"""
Images without redshifts beside few with them: do colours or a contrastive loss help?

PITA (Khederlarian et al. 2026, arXiv:2602.10207) trains one encoder with three losses:
of redshifts, where there are any; of colours, which are measured on every cutout; and
a contrastive one, which wants two views of a galaxy to be more like each other than
like those of other galaxies. Here the early network of the package, made smaller,
learns from some labelled galaxies alone (`train`), with colours of all cutouts, and
with all three. Beside them stand what users of the package do with as many labels: the
embedded network with its last layer refitted, the photometric network, and a random
forest on fluxes that were measured on the same cutouts.

Test galaxies come from donors and a population of their own. All methods have the same
labels. Trainings hold out a fifth of them to decide when to stop; the three of the
early network have the same first weights, the same labelled batches and as many steps.
The errors are those of the labels drawn and of the test galaxies: both are resampled,
alike for all methods.
"""

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from tempfile import TemporaryDirectory

import numpy as np
import torch
from astropy.table import Table
from harness import run
from real_peers import colour_features, forest_pdf
from torch import nn
from torch.nn import functional

from mantis_astro import PhotoZ, RedshiftPDF
from mantis_astro.metrics import object_scores
from mantis_astro.metrics.point import point_statistics
from mantis_astro.models import predict_features, predict_probability
from mantis_astro.training import (
    ArrayData,
    LossConfig,
    RenderedData,
    TrainingConfig,
    ValidationConfig,
    train,
)
from mantis_astro.training.batches.augmentation import Augmentation
from mantis_astro.training.batches.batch import TrainingBatch
from mantis_astro.training.batches.producer import BatchMaker
from mantis_astro.training.optimization.averaging import WeightAverage
from mantis_astro.training.optimization.initialization import (
    initial_network,
    standardize,
)
from mantis_astro.training.optimization.losses import RedshiftLoss
from mantis_astro.training.optimization.schedule import rate_factor
from mantis_astro.training.optimization.small_convolutions import (
    convolve_by_convolution,
    convolve_by_products,
)
from mantis_astro.training.validation import HeldOut

POOL = RenderedData(n=10_000, population_seed=3, donors="train")
TEST = RenderedData(n=3000, population_seed=1000, donors="test")
LABELS, N_DRAW = {300: 300}, 3  # labelled galaxies, and steps of 64 of them
ALONE = "labelled alone"
SCORES = ("sigma_nmad", "beyond_005", "beyond_015", "crps", "log_score")
N_BOOTSTRAP = 500
_HELD_OUT = 0.2  # of the labelled galaxies
_LOOKS = 20  # validations of a training
_QUEUE = 4096  # views of other galaxies that one is compared with
_REFERENCE = 5  # ps1.i, from which colours are taken


@dataclass(frozen=True)
class Weights:
    """Weights of the losses beside that of redshifts."""

    colours: float
    contrast: float = 0.0
    temperature: float = 0.1
    n: int = 64  # galaxies of a step, with or without redshift


# Looked at, with 1,000 labels of another draw, on 2,000 galaxies with a third set of
# spectra: colours 1 and 4, contrast 0.1 and 1, and, for the labelled alone, rates of
# 2e-3 and 5e-3. PITA has colours 1, contrast 0.0025, temperature 0.1, beside a Huber
# loss of redshifts, of some thousandths where the losses here are about six.
COLOURS, ALL_THREE = Weights(colours=1.0), Weights(colours=1.0, contrast=1.0)


def small(name, **options):
    """Recipe of the package for a few galaxies: losses are those of `finetune`."""
    config = TrainingConfig.read(name)
    network = replace(config.network, hidden=128)
    if name == "early":
        encoder = replace(network.encoder, widths=(16, 32, 64))
        network = replace(network, encoder=encoder, aperture_widths=(128, 128))
    return config.with_options(
        network=network,
        batch_size=64,
        n_workers=0,
        amp="none",
        dtype="float32",
        n_reference=0,
        smooth="none",
        recalibrate="none",
        loss=LossConfig(crps=20.0, target_width=0.01),
        optimizer=replace(config.optimizer, learning_rate=5e-3),
        **options,
    )


class Galaxies:
    """Rendered galaxies: images, and fluxes measured on them."""

    def __init__(self, rendered):
        few = ValidationConfig(n=1)
        self.of = {
            name: rendered.open(TrainingConfig.read(name).with_options(validation=few))
            for name in ("early", "photometric")
        }
        self.n, self.z = rendered.n, np.array(self.of["early"].z[: rendered.n])
        self.fluxes = np.array(self.of["photometric"].images[: rendered.n])

    def labelled(self, name, rows, config):
        """The chosen ones with their redshifts; the first fifth is held out."""
        data, parts = self.of[name], np.full(len(self.of[name].z), "unknown", "U10")
        n_held_out = round(_HELD_OUT * len(rows))
        parts[rows[:n_held_out]] = "validation"
        parts[rows[n_held_out:]] = "train"
        return _array_data(data, data.z, config, parts=parts)

    def without_redshifts(self, config):
        """All of them, in another order."""
        data = self.of["early"]
        parts = np.where(np.arange(len(data.z)) < self.n, "train", "unknown")
        unknown = np.full(len(data.z), np.mean(config.z_edges))
        return _array_data(data, unknown, config, parts=parts)

    def colours(self):
        """Asinh colours over their scatter, (n, n_band); NaN where unmeasured."""
        scale = TrainingConfig.read("photometric").spec.asinh_scale
        asinh = np.arcsinh(self.fluxes[:, 0] / scale)
        colours = np.delete(asinh, _REFERENCE, 1) - asinh[:, [_REFERENCE]]
        centred = colours - np.nanmean(colours, axis=0)
        return torch.from_numpy(centred / np.nanstd(centred, axis=0)).float()

    def encoded(self, name, spec, step=1000):
        """All of them as a network reads them, some at a time."""
        for start in range(0, self.n, step):
            rows = np.arange(start, min(start + step, self.n))
            yield self.of[name].take(rows).encoded(spec)

    def predict(self, name, network, config):
        """Densities of a network, as it gives them."""
        parts = [
            predict_probability(network, batch.images, batch.ebv)
            for batch in self.encoded(name, config.spec)
        ]
        return RedshiftPDF(config.z_edges, np.concatenate(parts))

    def features(self, photoz):
        """Input of the last layer of an image network, (n, n_feature)."""
        return np.concatenate(
            [
                predict_features(photoz.network, batch.images, batch.ebv)
                for batch in self.encoded("early", photoz.card.spec)
            ]
        )


def _array_data(data, z, config, **options):
    return ArrayData(
        data.images,
        data.observed,
        data.ebv,
        z,
        z_edges=config.z_edges,
        seed=config.seed,
        **options,
    )


class Triple(nn.Module):
    """A network that gives redshifts, colours and a direction, of the same features."""

    def __init__(self, network, n_colour):
        super().__init__()
        n = network.n_features
        self.network = network
        self.colours = nn.Sequential(nn.Linear(n, n), nn.GELU(), nn.Linear(n, n_colour))
        self.direction = nn.Sequential(nn.Linear(n, n), nn.GELU(), nn.Linear(n, 64))

    def forward(self, images, ebv):
        features = self.network.features(images, ebv)
        direction = functional.normalize(self.direction(features))
        return self.network.last_layer(features), self.colours(features), direction


def colour_loss(predicted, true):
    """Mean squared error of the colours that were measured."""
    known = torch.isfinite(true)
    return functional.mse_loss(predicted[known], true[known])


def contrastive_loss(direction, key, others, temperature):
    """InfoNCE: of all keys, which is another view of the same galaxy?"""
    same = (direction * key).sum(1, keepdim=True)  # (n, 1)
    logits = torch.cat([same, direction @ others.T], 1) / temperature
    return functional.cross_entropy(logits, logits.new_zeros(len(logits)).long())


def learn(config, labelled, pool, colours, weights):
    """
    Train as `train` does, with the other losses beside; without them it is the same.

    Keys of the contrastive loss are views that the averaged weights have seen, and
    those of the last steps are kept, as in momentum contrast (He et al. 2020).
    """
    network = initial_network(
        config.network, seed=config.seed, initialization=config.initialization
    )
    standardize(network, labelled.batch(0, 2048).encoded(config.spec))
    convolve_by_products(network)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        triple = Triple(network, colours.shape[1])
    decaying, others = [], []
    for p in triple.parameters():
        (decaying if p.ndim > 1 else others).append(p)
    decay = config.optimizer.weight_decay
    optimizer = torch.optim.AdamW(
        [{"params": decaying, "weight_decay": decay}, {"params": others}],
        weight_decay=0.0,
        fused=True,
    )
    average = WeightAverage(triple, config.optimizer.ema_decay)
    loss_of = RedshiftLoss(config.loss, config.z_edges)
    prepare = partial(TrainingBatch.encoded, spec=config.spec)
    of_labelled, one_view, other_view = (
        BatchMaker(
            data,
            Augmentation(config.augmentation, config.spec.bands, seed=seed),
            prepare,
            n,
            slice(None),
        )
        for data, n, seed in (
            (labelled, config.batch_size, config.seed + 1),
            (pool, weights.n, config.seed + 2),
            (pool, weights.n, config.seed + 3),
        )
    )
    held_out = HeldOut(labelled, prepare, loss_of, config.z_edges, torch.device("cpu"))
    queue, best = torch.empty(0, 64), (np.inf, None)
    for step in range(config.n_steps):
        for group in optimizer.param_groups:
            group["lr"] = config.optimizer.learning_rate * rate_factor(
                step / config.n_steps,
                warmup=config.optimizer.warmup,
                final=config.optimizer.final,
            )
        batch, view = of_labelled(step), one_view(step)
        n = len(batch)
        triple.train()
        logits, predicted, direction = triple(
            torch.cat([batch.images, view.images]), torch.cat([batch.ebv, view.ebv])
        )
        loss = loss_of(logits[:n], batch.z).mean()
        if weights.colours:
            of_colours = colour_loss(predicted[n:], colours[view.index])
            loss = loss + weights.colours * of_colours
        if weights.contrast:
            again = other_view(step)
            with torch.no_grad():
                inputs = again.images, again.ebv
                key = torch.func.functional_call(triple, average.average, inputs)[2]
            loss = loss + weights.contrast * contrastive_loss(
                direction[n:], key, queue, weights.temperature
            )
            queue = torch.cat([queue, key])[-_QUEUE:]
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(triple.parameters(), config.optimizer.clip_norm)
        optimizer.step()
        average.update(triple, step)
        if (step + 1) % config.validation.every == 0:
            averaged = deepcopy(triple)
            averaged.load_state_dict(average.average)
            _, _, score = held_out.predict(averaged.network, nullcontext)
            if score < best[0]:
                best = score, averaged.network
    convolve_by_convolution(best[1])
    return best[1].eval()


def trained(config, labelled):
    """The network that the package trains."""
    with TemporaryDirectory() as folder:
        return train(config, folder, data=labelled, progress=False).photoz.network


class Embedded:
    """The early network of the package, which has learnt from the simulation."""

    def __init__(self, pool, test):
        self.photoz = PhotoZ.from_pretrained("simulated-early")
        self.of_pool, self.z = pool.features(self.photoz), pool.z
        self.of_test = torch.from_numpy(test.features(self.photoz))

    def refitted(self, rows, seed):
        """Densities of the test galaxies, with its last layer refitted to some rows."""
        photoz, _ = self.photoz.refit(self.of_pool[rows], self.z[rows], rng=seed)
        with torch.inference_mode():
            logits = photoz.network.last_layer(self.of_test)
        probability = torch.softmax(logits, 1).numpy()
        return photoz.finish(RedshiftPDF(photoz.card.bin_edges, probability))


def forest(pool, rows, test, edges, seed):
    """Densities of a random forest on magnitudes and colours of both."""
    scale = TrainingConfig.read("photometric").spec.asinh_scale
    asinh = np.arcsinh(np.concatenate([pool.fluxes, test.fluxes])[:, 0] / scale)
    features = colour_features(asinh)
    known, others = features[: pool.n][rows], features[pool.n :]
    return forest_pdf(known, pool.z[rows], others, np.array(edges), seed=seed)


def scores(pdf, z):
    """
    Score each galaxy: delta_z, CRPS and log score, (n, 3).

    A thousandth of a flat density is in the log score of all, as a forest's p(z) may be
    zero.
    """
    each = object_scores(pdf, z)
    delta, crps, log_score = (each[k].value for k in ("delta_z", "crps", "log_score"))
    flat = 1 / (pdf.bin_edges[-1] - pdf.bin_edges[0])
    return np.stack([delta, crps, np.log(0.999 * np.exp(log_score) + 0.001 * flat)], 1)


def summary(each):
    """Metrics of `SCORES` of some galaxies."""
    delta, crps, log_score = each.T
    point = point_statistics(delta)
    beyond = [point[f"outlier_fraction_{limit}"] for limit in ("005", "015")]
    return np.array([point["sigma_nmad"], *beyond, crps.mean(), log_score.mean()])


def compared(results, baseline, rng):
    """
    Metrics of each method, and their change from the baseline, with errors.

    ``results[method]`` has the scores of each galaxy for each draw of labels, (n_draw,
    n, 3). Draws and galaxies are resampled together for all methods.
    """
    n_draw, n = results[baseline].shape[:2]

    def metrics(draws, galaxies):
        return {
            method: np.mean([summary(each[draw][galaxies]) for draw in draws], axis=0)
            for method, each in results.items()
        }

    means = metrics(range(n_draw), slice(None))
    resampled = [
        metrics(rng.integers(n_draw, size=n_draw), rng.integers(n, size=n))
        for _ in range(N_BOOTSTRAP)
    ]
    for method, mean in means.items():
        error = np.std([m[method] for m in resampled], axis=0)
        yield method, mean, error
    for method in means:
        if method != baseline:
            change = means[method] - means[baseline]
            error = np.std([m[method] - m[baseline] for m in resampled], axis=0)
            yield f"{method} minus {baseline}", change, error


def predictions(pool, test, embedded, rows, n_steps, seed):
    """Densities of the test galaxies by each method, from labels of some rows."""
    options = {
        "n_steps": n_steps,
        "seed": seed,
        "validation": ValidationConfig(n=1, every=max(n_steps // _LOOKS, 1)),
    }
    config, of_fluxes = (small(name, **options) for name in ("early", "photometric"))
    labelled = pool.labelled("early", rows, config)
    given = config, labelled, pool.without_redshifts(config), pool.colours()
    yield ALONE, test.predict("early", trained(config, labelled), config)
    for name, weights in (("colours", COLOURS), ("all three", ALL_THREE)):
        yield name, test.predict("early", learn(*given, weights), config)
    labelled = pool.labelled("photometric", rows, of_fluxes)
    network = trained(of_fluxes.with_options(n_steps=4 * n_steps), labelled)
    yield "photometric", test.predict("photometric", network, of_fluxes)
    yield "forest", forest(pool, rows, test, config.z_edges, seed)
    yield "embedded, refitted", embedded.refitted(rows, seed)


def table_rows(n, results):
    """Rows of a number of labels; ``results`` as for `compared`."""
    for what, values, errors in compared(results, ALONE, np.random.default_rng(0)):
        cells = zip(SCORES, values, errors, strict=True)
        yield {"labels": n, "what": what} | {
            name: f"{value:.4f} ± {error:.4f}" for name, value, error in cells
        }


def title(n_pool, n_test, n_draw):
    """What the table is."""
    return (
        "An early network from few redshifts: from these alone, with colours of "
        f"{n_pool:,} cutouts, with a contrastive loss too (PITA); and others from the "
        f"same redshifts; {n_test:,} test galaxies, {n_draw} draws of labels"
    )


def benchmark(short):
    """Metrics of each method for each number of labels, and their changes."""
    torch.set_num_threads(1)
    labels, n_draw, pool, test = LABELS, N_DRAW, POOL, TEST
    if short:
        labels, n_draw = {100: 4}, 1
        pool, test = replace(pool, n=256), replace(test, n=128)
    pool, test = Galaxies(pool), Galaxies(test)
    embedded = Embedded(pool, test)
    edges = embedded.photoz.card.bin_edges
    known = np.flatnonzero((pool.z >= edges[0]) & (pool.z < edges[-1]))
    rows = []
    for n, n_steps in labels.items():
        results = {}
        for seed in range(n_draw):
            chosen = np.random.default_rng(seed).permutation(known)[:n]
            for method, pdf in predictions(pool, test, embedded, chosen, n_steps, seed):
                results.setdefault(method, []).append(scores(pdf, test.z))
        rows += table_rows(n, {name: np.array(each) for name, each in results.items()})
    table = Table(rows=rows)
    table.meta["title"] = title(pool.n, test.n, n_draw)
    return table


if __name__ == "__main__":
    run(benchmark, "semi_supervised")
