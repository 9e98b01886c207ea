"""`train`: the training loop of all networks."""

import contextlib
import logging
import math
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from mantis_astro.exceptions import InputSpecError, MantisError
from mantis_astro.models import ModelCard
from mantis_astro.models.card import UNIFORM
from mantis_astro.photoz import PhotoZ
from mantis_astro.training.batches.augmentation import Augmentation
from mantis_astro.training.batches.batch import TrainingBatch
from mantis_astro.training.batches.producer import BatchMaker, BatchProducer
from mantis_astro.training.checkpoint import read_checkpoint, write_checkpoint
from mantis_astro.training.completion import completed
from mantis_astro.training.history import History, Meter, progress_line
from mantis_astro.training.optimization.averaging import WeightAverage
from mantis_astro.training.optimization.distributed import join_team
from mantis_astro.training.optimization.initialization import (
    initial_network,
    standardize,
)
from mantis_astro.training.optimization.losses import RedshiftLoss, star_loss
from mantis_astro.training.optimization.precision import autocast, choose_amp
from mantis_astro.training.optimization.schedule import Budget, rate_factor
from mantis_astro.training.optimization.small_convolutions import (
    convolve_by_convolution,
    convolve_by_products,
)
from mantis_astro.training.optimization.white_inputs import (
    train_in_plain_inputs,
    train_in_white_inputs,
)
from mantis_astro.training.validation import VALIDATION_COLUMNS, HeldOut

__all__ = ["TrainingError", "TrainingResult", "describe", "train"]

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"

_STANDARDIZE = 2048  # galaxies that the scatter of inputs is taken from
_TIMED = 64  # galaxies in a step whose time is taken

# Fields that may differ when a run goes on: they do not change what is computed.
_FREE = {
    *("n_workers", "log_every", "checkpoint_every", "minutes"),
    *("description", "training_sample", "caveats", "licence", "citations"),
}


class TrainingError(MantisError, RuntimeError):
    """A training cannot go on: its loss or its gradients are not finite."""


@dataclass(frozen=True)
class TrainingResult:
    """
    Result of `train`.

    Attributes
    ----------
    photoz : PhotoZ
        The trained model, with a filled card.
    path : `~pathlib.Path`
        Its file.
    history : `~astropy.table.Table`
        The course of the training, see ``COLUMNS`` of ``training.history``.
    metrics : dict of str to float
        Of the saved weights on the galaxies held out for validation.
    n_steps : int
        Steps done.
    stopped : str
        Why it ended: ``"done"`` or ``"no better for N validations"``.
    leads : bool
        False in all but the first of several processes, which writes the files.
    """

    photoz: PhotoZ
    path: Path
    history: object = field(repr=False)
    metrics: dict
    n_steps: int
    stopped: str
    leads: bool = True


def train(
    config,
    output_dir,
    *,
    data=None,
    resume=True,
    progress=True,
    device=None,
    tensorboard=False,
    start=None,
):
    """
    Train a network.

    Parameters
    ----------
    config : TrainingConfig
        All that decides the outcome.
    output_dir : str or path-like
        Folder for the checkpoint, the history (``history.csv``), the configuration
        (``config.toml``) and the model (``NAME.safetensors``).
    data : TrainingData, optional
        Galaxies, where ``config.data`` names none.
    resume : bool, optional
        Whether to go on from the checkpoint in the folder, if there is one. On a CPU,
        what comes out is the same to the last bit as without the interruption, unless
        the length was given in minutes.
    progress : bool or callable, optional
        Whether to write a line to standard error now and then; or a function that is
        called after each step with the number of steps done.
    device : str or `torch.device`, optional
        Where to compute; by default CUDA where there is any, else the CPU.
    tensorboard : bool, optional
        Whether to write logs for TensorBoard too; it must be installed.
    start : PhotoZ, optional
        Model whose weights are the first ones, instead of random ones.

    Returns
    -------
    TrainingResult
        The model, its history, and how good it is on galaxies held out.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if the configuration does not fit
        the data, or is not that of the checkpoint.
    RuntimeError
        `TrainingError` if loss or gradients are not finite: the batch is in the file
        that the message names. `WorkerError` if a process that prepares batches fails.

    Notes
    -----
    Under ``torchrun`` the processes share each batch; gradients are averaged, and the
    course is that of one process up to rounding.
    """
    team = join_team(device)
    run = None
    try:
        run = _Run(config, Path(output_dir), data, team, tensorboard=tensorboard)
        if start is not None:
            run.start_from(start)
        run.prepare(resume=resume)
        run.loop(progress=progress)
        return run.finish()
    finally:
        if run is not None:
            # What averages gradients must go before the group does: as the last that
            # knows the group, it waits for a thread that waits for Python's lock.
            run.network = None
        team.leave()


def describe(config):
    """
    Describe a configuration in words.

    Parameters
    ----------
    config : TrainingConfig
        The configuration.

    Returns
    -------
    str
        Lines: the network and its size, the data, the length.

    Examples
    --------
    >>> from mantis_astro.training import TrainingConfig, describe
    >>> print(describe(TrainingConfig.read("photometric")))
    simulated-photometric: photometric network, ... weights
    ...
    """
    network = initial_network(
        config.network, seed=0, initialization=config.initialization
    )
    n_weights = sum(p.numel() for p in network.parameters())
    length = [f"{config.n_steps:,} steps"] if config.n_steps else []
    length += [f"{config.minutes:g} minutes"] if config.minutes else []
    edges = config.z_edges
    lines = (
        f"{config.name}: {config.network.kind} network, {n_weights:,} weights",
        f"  in half precision {2 * n_weights / 1e6:.2f} MB",
        f"  {len(edges) - 1} redshift bins from {edges[0]:g} to {edges[-1]:g}",
        f"  data: {config.data}, {config.sampling} sampling",
        f"  batches of {config.batch_size}, {' or '.join(length)}",
    )
    return "\n".join(lines)


class _Run:
    """One training: its state, and what is done to it."""

    def __init__(self, config, folder, data, team, *, tensorboard):
        self.config, self.folder, self.team = config, folder, team
        self.tensorboard = tensorboard
        self.data = _opened(config, data)
        self.raw = initial_network(
            config.network, seed=config.seed, initialization=config.initialization
        )
        prepare = partial(TrainingBatch.encoded, spec=config.spec)
        standardize(self.raw, self._first())
        self.raw.to(team.device)
        if team.device.type == "cpu":
            convolve_by_products(self.raw)
        self.network = team.wrap(_outputs(self.raw, config.loss))
        self.optimizer = _optimizer(self.raw, config.optimizer)
        self.average = WeightAverage(self.raw, config.optimizer.ema_decay)
        self.loss = RedshiftLoss(config.loss, config.z_edges, team.device)
        augment = Augmentation(
            config.augmentation, config.spec.bands, seed=config.seed + 1
        )
        self.make = BatchMaker(
            self.data, augment, prepare, config.batch_size, team.rows(config.batch_size)
        )
        self.held_out = None
        if team.leads:
            self.held_out = HeldOut(
                self.data, prepare, self.loss, config.z_edges, team.device
            )
        self.step, self.stopped = 0, ""
        self.best = {"loss": math.inf, "since": 0, "weights": None, "scores": {}}
        self.elapsed = 0.0
        self.rows = []

    @property
    def checkpoint(self):
        return self.folder / CHECKPOINT

    @property
    def _galaxies(self):
        """Fingerprint of galaxies that the configuration does not decide."""
        return getattr(self.data, "fingerprint", None)

    def _first(self):
        """Galaxies that the scatter of inputs is taken from."""
        n = max(self.config.batch_size, _STANDARDIZE)
        return self.data.batch(0, n).encoded(self.config.spec)

    def start_from(self, photoz):
        """Take first weights from a model."""
        if photoz.card.network != self.config.network:
            msg = (
                f"'start' must have the network of the configuration, "
                f"{self.config.network}, got {photoz.card.network}"
            )
            raise InputSpecError(msg)
        self.raw.load_state_dict(photoz.network.state_dict())
        train_in_white_inputs(self.raw, self._first().to(self.team.device))
        self.average = WeightAverage(self.raw, self.config.optimizer.ema_decay)

    def autocast(self):
        return autocast(self.config.amp, self.team.device)

    def prepare(self, *, resume):
        """Create the folder, or resume from it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if resume and self.checkpoint.exists():
            self._restore(read_checkpoint(self.checkpoint))
        elif self.config.amp == "auto":
            self._choose_amp()
        path = self.folder / "history.csv" if self.team.leads else None
        self.history = History(path, self.rows, tensorboard=self.tensorboard)
        if self.team.leads:
            (self.folder / "config.toml").write_text(self.config.to_toml())

    def _choose_amp(self):
        """Put in the configuration what is faster here, as the first process finds."""
        raw, device = self.raw.train(), self.team.device
        batch = self.data.batch(0, _TIMED).encoded(self.config.spec).to(device)

        def gradients(amp):
            with autocast(amp, device):
                logits = raw(batch.images, batch.ebv)
            loss = self.loss(logits, batch.z).mean()
            return torch.autograd.grad(loss, list(raw.parameters()), allow_unused=True)

        self.config = self.config.with_options(amp=choose_amp(gradients, self.team))

    def loop(self, *, progress):
        """Take steps until the budget is used up, or nothing gets better."""
        config, team = self.config, self.team
        self.budget = Budget(config.n_steps, config.minutes, elapsed=self.elapsed)
        meter = Meter(config.batch_size)
        if self.stopped:  # before
            return
        with BatchProducer(self.make, self.step, config.n_workers) as batches:
            meter.restart()
            while not self.stopped:
                share = team.agree(self.budget.progress(self.step))
                if share >= 1:
                    self.stopped = "done"
                    break
                loss, norm, rate = self._take_step(next(batches), share)
                meter.add(loss, norm)
                self.step += 1
                self._after_step(meter, rate, share, progress=progress)
                if callable(progress):
                    progress(self.step)

    def _take_step(self, batch, share):
        config = self.config
        rate = config.optimizer.learning_rate * rate_factor(
            share, warmup=config.optimizer.warmup, final=config.optimizer.final
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        there = batch.to(self.team.device)
        self.network.train()
        with self.autocast():
            logits, *star = self.network(there.images, there.ebv)
        loss = (self.loss(logits, there.z) * there.weight).mean()
        if star:
            loss = loss + config.loss.star * star_loss(*star, there.star).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip = config.optimizer.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.raw.parameters(), clip)
        if not torch.isfinite(loss.detach() + norm):
            self._stop_at(batch, loss.item(), norm.item())
        self.optimizer.step()
        self.average.update(self.raw, self.step)
        return loss.detach(), norm.detach(), rate

    def _after_step(self, meter, rate, share, *, progress):
        config, step = self.config, self.step
        ends = config.n_steps is not None and step >= config.n_steps
        validates = step % config.validation.every == 0 or ends
        if step % config.log_every == 0 or validates:
            row = {"step": step, "seconds": self.budget.elapsed}
            row |= meter.read(self.team) | {"learning_rate": rate}
            if validates:
                row |= self._score()
                self._lose_patience()
            self.history.add(row)
            if progress is True and self.team.leads:
                progress_line(config.name, row, share, self.budget.elapsed)
            meter.restart()
        if step % config.checkpoint_every == 0 and not self.stopped:
            self._save()

    def _score(self):
        """Score the averaged weights, and keep them if there were none better."""
        if not self.team.leads:
            return {}
        with self._averaged():
            scores = self.held_out.scores(self.raw, self.autocast)
        loss = scores.get("val_loss", math.nan)
        if loss < self.best["loss"]:
            weights = {k: v.cpu().clone() for k, v in self.average.average.items()}
            self.best = {"loss": loss, "since": 0, "weights": weights, "scores": scores}
        elif scores:
            self.best["since"] += 1
        return scores

    def _lose_patience(self):
        patience = self.config.validation.patience
        since = self.team.agree(self.best["since"])
        if patience is not None and since >= patience:
            self.stopped = f"no better for {patience} validations"

    @contextlib.contextmanager
    def _averaged(self):
        """Context in which the network has the averaged weights."""
        own = {name: p.data for name, p in self.raw.named_parameters()}
        try:
            for name, p in self.raw.named_parameters():
                p.data = self.average.average[name]
            yield
        finally:
            for name, p in self.raw.named_parameters():
                p.data = own[name]

    def _save(self):
        if not self.team.leads:
            return
        write_checkpoint(
            self.checkpoint,
            {
                "config": self.config.to_plain(),
                "galaxies": self._galaxies,
                "step": self.step,
                "elapsed": self.budget.elapsed,
                "stopped": self.stopped,
                "network": self.raw.state_dict(),
                "average": self.average.average,
                "optimizer": self.optimizer.state_dict(),
                "best": self.best,
                "history": self.history.rows,
                "torch_rng": torch.get_rng_state(),
            },
        )

    def _restore(self, state):
        self.config = self.config.with_options(amp=_amp_of(self.config, state))
        _check_same(self.config, state["config"], self.checkpoint)
        if state.get("galaxies") not in (None, self._galaxies):
            msg = (
                f"the checkpoint {self.checkpoint} is of a training on other galaxies; "
                "give another folder, or start anew with resume=False (--fresh)"
            )
            raise InputSpecError(msg)
        self.raw.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, tensor in self.average.average.items():
            tensor.copy_(state["average"][name])
        self.step, self.elapsed = state["step"], state["elapsed"]
        self.stopped, self.best = state["stopped"], state["best"]
        self.rows = state["history"]
        torch.set_rng_state(state["torch_rng"])

    def _stop_at(self, batch, loss, norm):
        path = self.folder / f"batch_{self.step:06d}_{self.team.rank}.npz"
        planes = batch.images if isinstance(batch.images, tuple) else (batch.images,)
        np.savez(
            path,
            **{f"images_{i}": plane.numpy() for i, plane in enumerate(planes)},
            **{name: getattr(batch, name).numpy() for name in ("ebv", "z", "index")},
        )
        bad = [i for i, plane in enumerate(planes) if not torch.isfinite(plane).all()]
        if bad or not torch.isfinite(batch.ebv).all():
            cause = "the batch holds values that are not finite"
        else:
            cause = "the batch is finite: try a lower learning_rate, or amp = 'none'"
        msg = (
            f"loss {loss:g} and norm of the gradients {norm:g} at step {self.step} "
            f"must be finite; {cause}. The batch is in {path}; the last checkpoint "
            "is kept"
        )
        raise TrainingError(msg)

    def finish(self):
        """Write the model, and report its accuracy."""
        config = self.config
        rows = self.history.rows
        if self.team.leads and not (
            rows and rows[-1]["step"] == self.step and "val_loss" in rows[-1]
        ):  # it ended between two validations
            row = {"step": self.step, "seconds": self.budget.elapsed}
            self.history.add(row | self._score())
        self.history.close()
        self._save()
        best = config.validation.keep == "best" and self.best["weights"] is not None
        weights = self.best["weights"] if best else self.average.average
        with torch.no_grad():
            for name, p in self.raw.named_parameters():
                p.copy_(weights[name])
        rows = self.history.rows
        scores = self.best["scores"] if best else rows[-1] if rows else {}
        convolve_by_convolution(self.raw)
        train_in_plain_inputs(self.raw)
        path = self.folder / f"{config.name}.safetensors"
        photoz = PhotoZ(self.raw.eval().cpu(), self._card())
        if self.team.leads:
            photoz = completed(photoz, self.held_out, config)
            photoz.save(path, dtype=config.dtype)
        return TrainingResult(
            photoz=photoz,
            path=path,
            history=self.history.table(),
            metrics={k: v for k, v in scores.items() if k in VALIDATION_COLUMNS},
            n_steps=self.step,
            stopped=self.stopped,
            leads=self.team.leads,
        )

    def _card(self):
        config = self.config
        seen = self.step * config.batch_size
        sample = config.training_sample or self.data.description
        return ModelCard(
            name=config.name,
            network=config.network,
            spec=config.spec,
            z_edges=config.z_edges,
            description=config.description,
            training_sample=f"{sample}; {seen:,} seen in {self.step:,} steps",
            training_prior=self.data.prior,
            n_of_z=_n_of_z(self.data),
            caveats=config.caveats,
            citations=config.citations,
            licence=config.licence,
        )


class _Outputs(torch.nn.Module):
    """A network as it is trained: all its outputs in a tuple, the logits first."""

    def __init__(self, network, *, star):
        super().__init__()
        self.network, self.star = network, star

    def forward(self, images, ebv):
        if self.star:
            return self.network.with_star(images, ebv)
        return (self.network(images, ebv),)


def _outputs(network, config):
    if config.star and not hasattr(network, "with_star"):
        msg = (
            "'star' must be 0 for a network that does not tell stars, got "
            f"{config.star}: {type(network).__name__}"
        )
        raise InputSpecError(msg)
    return _Outputs(network, star=bool(config.star))


def _n_of_z(data):
    """Return the n(z) of the data as it is drawn; a balanced one follows from words."""
    return None if data.prior == UNIFORM else getattr(data, "n_of_z", None)


def _opened(config, data):
    if data is not None:
        return data
    if config.data is None:
        msg = "'config' names no data; give train 'data', such as ArrayData"
        raise InputSpecError(msg)
    return config.data.open(config)


def _optimizer(network, config):
    """AdamW; what has one dimension (biases, norms, scales) does not decay."""
    parameters = list(network.parameters())
    groups = [
        {
            "params": [p for p in parameters if p.ndim > 1],
            "weight_decay": config.weight_decay,
        },
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=tuple(config.betas), fused=True
    )


def _amp_of(config, state):
    """Precision to go on in: that of the checkpoint, unless another is asked for."""
    if config.amp != "auto":
        return config.amp
    amp = state["config"]["amp"]
    log.info("the training goes on with amp = %r, as it began", amp)
    return amp


def _check_same(config, stored, path):
    given = config.to_plain()
    differing = [
        name for name in given if name not in _FREE and given[name] != stored.get(name)
    ]
    if differing:
        msg = (
            f"the checkpoint {path} is of a training with other "
            f"{', '.join(differing)}; give another folder, or start anew with "
            "resume=False (--fresh)"
        )
        raise InputSpecError(msg)
