"""`TrainingConfig`: complete configuration of a training, in one frozen record."""

from dataclasses import dataclass, field, fields, is_dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np

from mantis_astro.exceptions import InputSpecError
from mantis_astro.records import check_keys, from_plain, to_plain
from mantis_astro.training.optimization.losses import check_losses
from mantis_astro.training.toml_text import from_toml, to_toml

__all__ = [
    "AugmentationConfig",
    "InitializationConfig",
    "LossConfig",
    "OptimizerConfig",
    "TrainingConfig",
    "ValidationConfig",
    "list_recipes",
]

_AMP = ("auto", "bf16", "none")
_SAMPLING = ("natural", "class-balanced")
_DTYPES = ("float32", "float16")
_RECALIBRATE = ("pit", "temperature", "none")
_SMOOTH = ("fit", "none")
_SCALES = ("z", "ln(1+z)")  # in which bins may have equal widths


@dataclass(frozen=True)
class OptimizerConfig:
    """
    AdamW, its learning rate over time, and the average of the weights.

    Attributes
    ----------
    learning_rate : float
        The largest.
    weight_decay : float
        Of weights; biases, norms and scales do not decay.
    betas : tuple of float
        Memory of the first and second moments.
    warmup : float
        Share of the training in which the rate rises, linearly.
    final : float
        Rate at the end, as a share of the largest; in between it is half a cosine.
    clip_norm : float
        Norm to which gradients are clipped; 0 for none.
    ema_decay : float
        Decay per step of the exponential average of the weights, which is what is
        validated and saved; 0 for the weights themselves. In the beginning it is
        ``(1 + step) / (10 + step)`` where that is smaller.
    """

    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    betas: tuple = (0.9, 0.999)
    warmup: float = 0.05
    final: float = 0.0
    clip_norm: float = 1.0
    ema_decay: float = 0.998

    def __post_init__(self):
        _require(self.learning_rate > 0, self, "learning_rate", "positive")
        _require(self.weight_decay >= 0, self, "weight_decay", "0 or more")
        _require(0 <= self.warmup < 1, self, "warmup", "from 0 to below 1")
        _require(0 <= self.final <= 1, self, "final", "from 0 to 1")
        _require(0 <= self.ema_decay < 1, self, "ema_decay", "from 0 to below 1")
        _require(self.clip_norm >= 0, self, "clip_norm", "0 or more")


@dataclass(frozen=True)
class LossConfig:
    """
    Weights of the losses, which are summed.

    Attributes
    ----------
    cross_entropy, crps, cde : float
        Weight of each, see `mantis_astro.training.optimization.losses`.
    label_smoothing : float
        Share of the target of the cross entropy that is spread over all bins.
    target_width : float
        Width in ln(1 + z) of the Gaussian that the target of the cross entropy is
        spread over, so that neighbouring bins learn from each other; 0 for none. About
        the width of a bin is enough to leave no comb.
    star : float
        Weight of the cross entropy of whether an object is a star, for networks that
        tell and data that know.
    other : dict of str to float
        Weights of losses that `~mantis_astro.training.register_loss` named.
    """

    cross_entropy: float = 1.0
    crps: float = 0.0
    cde: float = 0.0
    label_smoothing: float = 0.0
    target_width: float = 0.0
    star: float = 0.0
    other: dict = field(default_factory=dict)

    def __post_init__(self):
        for name in ("cross_entropy", "crps", "cde", "star"):
            _require(getattr(self, name) >= 0, self, name, "0 or more")
        check_losses(self.other)
        total = self.cross_entropy + self.crps + self.cde + sum(self.other.values())
        if not total > 0:
            msg = "'cross_entropy', 'crps', 'cde' or another loss must have a weight"
            raise InputSpecError(msg)
        smooth = self.label_smoothing
        _require(0 <= smooth < 1, self, "label_smoothing", "from 0 to below 1")
        _require(0 <= self.target_width < 1, self, "target_width", "from 0 to below 1")


@dataclass(frozen=True)
class AugmentationConfig:
    """
    Changes of each batch before the network reads it; all are optional.

    Attributes
    ----------
    dihedral : bool
        Turn and mirror each image into one of its eight orientations.
    max_shift : float
        Largest shift along each axis, in pixels; 0 for none.
    extra_noise : float
        Up to this much noise is added, drawn for each object, as a multiple of the
        noise there is (for images, of the scatter of a band's pixels).
    drop_band : float
        Chance of each band to be taken away.
    drop_survey : float
        Chance of each survey to be taken away. One band is always kept.
    zero_point : float
        Scatter of each band's zero point, magnitudes.
    zero_point_unwise : float
        The same, of W1 and W2, whose aperture corrections differ between catalogues.
    template_error : float
        Scatter of smooth distortions of the spectrum: a cubic in log wavelength,
        magnitudes.
    mask_pixels : float
        Largest share of a band's pixels that a random rectangle takes away, which
        happens to one band in four; 0 for none.
    ebv : float
        Relative scatter of E(B-V), for each map by itself.
    """

    dihedral: bool = False
    max_shift: float = 0.0
    extra_noise: float = 0.0
    drop_band: float = 0.0
    drop_survey: float = 0.0
    zero_point: float = 0.0
    zero_point_unwise: float = 0.0
    template_error: float = 0.0
    mask_pixels: float = 0.0
    ebv: float = 0.0

    def __post_init__(self):
        for f in fields(self)[1:]:
            _require(getattr(self, f.name) >= 0, self, f.name, "0 or more")
        for name in ("drop_band", "drop_survey", "mask_pixels"):
            _require(getattr(self, name) < 1, self, name, "below 1")


@dataclass(frozen=True)
class ValidationConfig:
    """
    When and on how many galaxies a training is validated.

    Attributes
    ----------
    n : int
        Number of galaxies, where they are made; a share of a table else.
    every : int
        Steps between validations.
    patience : int or None
        Validations without a better loss after which training stops.
    keep : {"best", "last"}
        Which weights are saved: those of the lowest validation loss, or the last.
    """

    n: int = 4096
    every: int = 500
    patience: int | None = None
    keep: str = "best"

    def __post_init__(self):
        _require(self.n > 0, self, "n", "positive")
        _require(self.every > 0, self, "every", "positive")
        patient = self.patience is None or self.patience > 0
        _require(patient, self, "patience", "positive, or left out")
        keeps = self.keep in {"best", "last"}
        _require(keeps, self, "keep", "'best' or 'last'")


@dataclass(frozen=True)
class InitializationConfig:
    """
    First weights of encoders; the other layers have those of torch.

    Attributes
    ----------
    layer_scale : float
        Factor of each block's residual. The 1e-6 of large networks that train for days
        leaves the blocks of small ones idle for the first thousand steps.
    std : float
        Standard deviation of convolutions and linear layers of encoders, a normal cut
        at two sigma.
    """

    layer_scale: float = 0.2
    std: float = 0.02

    def __post_init__(self):
        _require(self.layer_scale > 0, self, "layer_scale", "positive")
        _require(self.std > 0, self, "std", "positive")


@dataclass(frozen=True)
class TrainingConfig:
    """
    Complete configuration of a training.

    Read from TOML, kept in every checkpoint, and told in the card of what comes out.
    Two trainings with equal configurations of a number of steps and an ``amp`` that
    is not left to the clock give, on one machine, the same weights to the last bit.

    Attributes
    ----------
    name : str
        Name of the model that is trained.
    network : EarlyFusionConfig, LateFusionConfig or PhotometricConfig
        The network, with all sizes.
    spec : InputSpec or PhotometrySpec
        What it reads.
    z_edges : tuple of float
        Edges of the redshift bins.
    data : record or None
        Where galaxies come from: `SimulatedData`, `StoreData`, `TableData`; None if
        they are handed to `train`.
    n_steps : int or None
        Length of the training in steps.
    minutes : float or None
        Length of the training in minutes, validation included. With both, whatever
        ends first: the learning rate follows the one that is further on.
    batch_size : int
        Galaxies in a step, of all processes together.
    sampling : {"natural", "class-balanced"}
        Whether galaxies are drawn as they are, or each redshift bin equally often; the
        model's p(z) then carry a prior that is uniform per class.
    seed : int
        Of first weights, order and augmentation.
    amp : {"auto", "bf16", "none"}
        Precision of the encoders: bfloat16, float32, or whichever makes a step faster
        here, which is timed at the start, said in the log and kept in the checkpoint;
        aperture sums, head and losses stay in float32.
    n_workers : int
        Processes that prepare batches ahead; the batches are the same for any number.
    log_every : int
        Steps between rows of the history.
    checkpoint_every : int
        Steps between checkpoints.
    dtype : {"float32", "float16"}
        Precision of the weights in the file that is written.
    n_reference : int
        Galaxies held out for validation whose features go into the file, so that
        others can be told to be unlike them; 0 for none.
    smooth : {"fit", "none"}
        Whether p(z) of the model are smoothed, by a width that is fitted to the
        galaxies held out for validation, see `~mantis_astro.calibration.Smoothing`.
    recalibrate : {"pit", "temperature", "none"}
        Whether p(z) go then through a map that is fitted to those galaxies, see
        `~mantis_astro.calibration.PITRecalibration`, or to the power of a number, see
        `~mantis_astro.calibration.TemperatureScaling`.
    optimizer, loss, augmentation, validation, initialization
        Sections of their own.
    description, training_sample, caveats, licence : str
        For the model's card; ``training_sample`` is what the data say of themselves
        where it is empty.
    citations : tuple of str
        For the model's card.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` naming the field, the rule and what
        was given.

    Examples
    --------
    >>> from mantis_astro.training import TrainingConfig
    >>> config = TrainingConfig.read("photometric")
    >>> config.network.kind, config.optimizer.ema_decay
    ('photometric', 0.998)
    """

    name: str
    network: object
    spec: object
    z_edges: tuple
    data: object = None
    n_steps: int | None = None
    minutes: float | None = None
    batch_size: int = 256
    sampling: str = "natural"
    seed: int = 0
    amp: str = "auto"
    n_workers: int = 1
    log_every: int = 50
    checkpoint_every: int = 500
    dtype: str = "float32"
    n_reference: int = 1000
    smooth: str = "fit"
    recalibrate: str = "none"
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    initialization: InitializationConfig = field(default_factory=InitializationConfig)
    description: str = ""
    training_sample: str = ""
    caveats: str = ""
    licence: str = ""
    citations: tuple = ()

    def __post_init__(self):
        if self.n_steps is None and self.minutes is None:
            msg = "give 'n_steps' or 'minutes': how long to train"
            raise InputSpecError(msg)
        for name in ("n_steps", "minutes"):
            value = getattr(self, name)
            _require(value is None or value > 0, self, name, "positive")
        for name in ("batch_size", "log_every", "checkpoint_every"):
            _require(getattr(self, name) > 0, self, name, "positive")
        _require(self.dtype in _DTYPES, self, "dtype", f"one of {_DTYPES}")
        chosen = self.smooth in _SMOOTH
        _require(chosen, self, "smooth", f"one of {_SMOOTH}")
        chosen = self.recalibrate in _RECALIBRATE
        _require(chosen, self, "recalibrate", f"one of {_RECALIBRATE}")
        for name in ("n_workers", "n_reference", "seed"):
            _require(getattr(self, name) >= 0, self, name, "0 or more")
        _require(self.amp in _AMP, self, "amp", f"one of {_AMP}")
        chosen = self.sampling in _SAMPLING
        _require(chosen, self, "sampling", f"one of {_SAMPLING}")
        edges = np.asarray(self.z_edges, float)
        if edges.ndim != 1 or len(edges) < 3 or not (np.diff(edges) > 0).all():
            msg = f"'z_edges' must be increasing numbers, at least three, got {edges}"
            raise InputSpecError(msg)
        if getattr(self.network, "n_bins", None) != len(edges) - 1:
            msg = (
                f"'network' must have the {len(edges) - 1} redshift bins of 'z_edges', "
                f"got {self.network}"
            )
            raise InputSpecError(msg)

    @classmethod
    def read(cls, path):
        """
        Read a configuration.

        Parameters
        ----------
        path : str or path-like
            A TOML file, or the name of a recipe in the package, see `list_recipes`.

        Returns
        -------
        TrainingConfig
            The configuration.

        Raises
        ------
        OSError
            FileNotFoundError if there is no such file or recipe.
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if it is no TOML, or a key or
            value is not known; the message names the choices.
        """
        return cls.from_plain(from_toml(_text(path), path))

    @classmethod
    def from_plain(cls, plain):
        """
        Create a configuration from the contents of a TOML file.

        Parameters
        ----------
        plain : dict
            Fields and sections. ``z_edges`` may be a table with ``start``, ``stop``
            and ``n_bins``, and ``uniform_in = "ln(1+z)"`` for bins of equal width
            there instead of in z; ``n_bins`` of the network and ``n_inputs`` of a
            photometric one may be left out.

        Returns
        -------
        TrainingConfig
            The configuration.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` as for `read`.
        """
        check_keys(cls, plain, "the configuration")
        items = dict(plain)
        for f in fields(cls):
            if f.name in _SECTIONS and f.name in items:
                section = items[f.name]
                check_keys(_SECTIONS[f.name], section, f"[{f.name}]")
                items[f.name] = _SECTIONS[f.name](**from_plain(section))
        if "z_edges" in items:
            items["z_edges"] = _edges(items["z_edges"])
        if isinstance(items.get("network"), dict):
            items["network"] = _completed(items)
        for name in ("network", "spec", "data", "citations"):
            if name in items:
                items[name] = from_plain(items[name])
        missing = {"name", "network", "spec", "z_edges"} - items.keys()
        if missing:
            msg = f"the configuration lacks {', '.join(sorted(missing))}"
            raise InputSpecError(msg)
        return cls(**items)

    def to_plain(self):
        """
        Convert the configuration to values that TOML and JSON can store.

        Returns
        -------
        dict
            All fields; `from_plain` takes it.
        """
        plain = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        return plain | {"z_edges": _short_edges(self.z_edges)}

    def to_toml(self):
        """
        Write the configuration as TOML.

        Returns
        -------
        str
            Text that `read` reads.
        """
        return to_toml(self.to_plain())

    def with_options(self, **options):
        """
        Copy the configuration with other values.

        Parameters
        ----------
        **options
            Fields and their values.

        Returns
        -------
        TrainingConfig
            The copy.
        """
        return replace(self, **options)


_SECTIONS = {
    "optimizer": OptimizerConfig,
    "loss": LossConfig,
    "augmentation": AugmentationConfig,
    "validation": ValidationConfig,
    "initialization": InitializationConfig,
}


def list_recipes():
    """
    List the configurations in the package.

    Returns
    -------
    list of str
        Names that `TrainingConfig.read` takes.

    Examples
    --------
    >>> from mantis_astro.training import list_recipes
    >>> list_recipes()
    ['any-band', 'early', 'late', 'photometric']
    """
    files = _recipes().iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if ".toml" in f.name)


def _recipes():
    return resources.files("mantis_astro.training") / "recipes"


def _text(path):
    if isinstance(path, str) and path in list_recipes():
        return (_recipes() / f"{path}.toml").read_text()
    if not Path(path).is_file():
        msg = f"no file {path}; recipes are {', '.join(list_recipes())}"
        raise FileNotFoundError(msg)
    return Path(path).read_text()


def _require(holds, section, name, rule):
    if not holds:
        msg = f"'{name}' must be {rule}, got {getattr(section, name)!r}"
        raise InputSpecError(msg)


def _plain(value):
    if is_dataclass(value) and not hasattr(value, "kind"):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    return to_plain(value)


def _edges(given):
    if not isinstance(given, dict):
        return tuple(given)
    try:
        start, stop, n_bins = given["start"], given["stop"], given["n_bins"]
    except KeyError:
        msg = f"'z_edges' must have start, stop and n_bins, got {given}"
        raise InputSpecError(msg) from None
    scale = given.get("uniform_in", "z")
    if scale not in _SCALES:
        msg = f"'uniform_in' of 'z_edges' must be one of {_SCALES}, got {scale!r}"
        raise InputSpecError(msg)
    if scale == "z":
        edges = np.linspace(start, stop, n_bins + 1)
    else:
        edges = np.expm1(np.linspace(np.log1p(start), np.log1p(stop), n_bins + 1))
    return tuple(edges.round(9).tolist())


def _short_edges(edges):
    short = {"start": edges[0], "stop": edges[-1], "n_bins": len(edges) - 1}
    for scale in _SCALES:
        one = short if scale == "z" else short | {"uniform_in": scale}
        if _edges(one) == tuple(edges):
            return one
    return list(edges)


def _completed(items):
    """Fill in the sizes of the network that follow from the rest."""
    network = dict(items["network"])
    if "z_edges" in items:
        network.setdefault("n_bins", len(items["z_edges"]) - 1)
    if network.get("kind") == "photometric" and isinstance(items.get("spec"), dict):
        network.setdefault("n_inputs", from_plain(items["spec"]).n_inputs)
    return network
