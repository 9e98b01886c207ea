"""`CampaignConfig`: complete configuration of a campaign, in one TOML file."""

from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from itertools import pairwise
from pathlib import Path

from mantis_astro.bands import BANDS, get_band, get_survey
from mantis_astro.dust import DUST_MAPS
from mantis_astro.exceptions import InputSpecError
from mantis_astro.metrics.density import POINTS
from mantis_astro.models import list_models
from mantis_astro.photoz import PhotoZ
from mantis_astro.records import check_keys, from_plain, to_plain
from mantis_astro.redshift_surveys import (
    SkyBox,
    get_redshift_survey,
    list_redshift_surveys,
)
from mantis_astro.services.registry import name_sources
from mantis_astro.training import SkySplit, StoreData, TrainingConfig
from mantis_astro.training.toml_text import from_toml

__all__ = [
    "CampaignConfig",
    "CutoutsConfig",
    "EvaluationConfig",
    "RedshiftsConfig",
    "SampleConfig",
    "TestSample",
    "example_campaign",
]

_CAVEATS = (
    "trained on galaxies that spectroscopic surveys chose: fainter ones, and kinds "
    "that they left out, are unlike the training set"
)


@dataclass(frozen=True)
class RedshiftsConfig:
    """
    Sources of redshifts.

    Attributes
    ----------
    surveys : tuple of str
        Surveys, the preferred one first.
    area : tuple of tuple of float
        Boxes: right ascension from and to, declination from and to, in degrees. None
        for the whole sky.
    """

    surveys: tuple = tuple(list_redshift_surveys())
    area: tuple = ()

    def __post_init__(self):
        for survey in self.surveys:
            get_redshift_survey(survey)
        _require(self.surveys, "surveys", self.surveys, "name at least one")
        for box in self.area:
            _require(len(box) == 4, "area", box, "have four numbers for each box")
        _ = self.boxes

    @property
    def boxes(self):
        """The area, a list of SkyBox."""
        return [SkyBox(*box) for box in self.area] or [SkyBox()]


@dataclass(frozen=True)
class SampleConfig:
    """
    Selection of the objects, and their division into parts.

    Attributes
    ----------
    radius : float
        Largest distance between two spectra of one object, in arcsec.
    tolerance : float
        Largest difference of redshifts of one object, divided by 1 + z; others are
        left out.
    z : tuple of float
        Lowest and highest redshift.
    least_latitude : float
        Least distance from the Galactic plane, in degrees.
    limits : dict of str to tuple of float
        Lowest and highest value of further columns of the surveys.
    dust_maps : tuple of str
        Maps of E(B-V); fetched where they are not on this machine. None for the
        default values of the models.
    dust_folder : str
        Folder with files of those maps, instead of fetching them.
    max_ebv : float
        Highest E(B-V), of the first map.
    n_max : int
        Objects at most, drawn at random; 0 for all.
    validation, test : float
        Shares of the sky that are held out.
    nside : int
        Of the HEALPix pixels that are kept together.
    seed : int
        Of the draw and the split.
    """

    radius: float = 1.0
    tolerance: float = 0.01
    z: tuple = (0.0, 1.6)
    least_latitude: float = 15.0
    limits: dict = field(default_factory=dict)
    dust_maps: tuple = ("csfd", "planck")
    dust_folder: str = ""
    max_ebv: float = 0.3
    n_max: int = 0
    validation: float = 0.1
    test: float = 0.1
    nside: int = 64
    seed: int = 0

    def __post_init__(self):
        strangers = [name for name in self.dust_maps if name not in DUST_MAPS]
        _require(not strangers, "dust_maps", strangers, f"be of {', '.join(DUST_MAPS)}")
        for name, limits in {"z": self.z, **self.limits}.items():
            _require_range(name, limits)
        for name in ("radius", "tolerance"):
            value = getattr(self, name)
            _require(value > 0, name, value, "be positive")

    @property
    def split(self):
        """Division of the objects, a `~mantis_astro.training.SkySplit`."""
        return SkySplit(self.validation, self.test, self.nside, self.seed)


@dataclass(frozen=True)
class CutoutsConfig:
    """
    Sources of images.

    Attributes
    ----------
    bands : tuple of str
        Bands.
    sources : dict of str to str
        For a survey what is asked first: a name of
        `~mantis_astro.services.list_services` (``"tiles"``, ``"dense tiles"``), a
        folder of its tiles, or a table that lists them.
    max_failed : float
        Share of images that may be missing because they could not be fetched. With
        more, the step ends, and goes on when the campaign is run again.
    """

    bands: tuple = tuple(map(str, BANDS))
    sources: dict = field(default_factory=dict)
    max_failed: float = 0.0

    def __post_init__(self):
        for band in self.bands:
            get_survey(get_band(band).survey)
        _ = self.services  # a wrong name is an error now

    @property
    def services(self):
        """Preferred sources, as `~mantis_astro.SurveyCutouts` accepts them, a dict."""
        return name_sources(self.sources)


@dataclass(frozen=True)
class TestSample:
    """
    Subsample of the held-out galaxies for which metrics are also computed.

    Attributes
    ----------
    surveys : tuple of str
        Surveys that the redshift is of; all if there is none.
    magnitude : tuple of float
        Lowest and highest magnitude.
    z : tuple of float
        Lowest and highest redshift.
    within : str
        A table of positions: objects that are in it, within an arcsec.
    """

    __test__ = False  # no class of tests

    surveys: tuple = ()
    magnitude: tuple = ()
    z: tuple = ()
    within: str = ""

    def __post_init__(self):
        for survey in self.surveys:
            get_redshift_survey(survey)
        for name in ("magnitude", "z"):
            if getattr(self, name):
                _require_range(name, getattr(self, name))
        found = not self.within or Path(self.within).is_file()
        _require(found, "within", self.within, "be a file")


@dataclass(frozen=True)
class EvaluationConfig:
    """
    Evaluation of the models.

    Attributes
    ----------
    point : str
        Point estimate of p(z): ``"mean"`` (as Engel et al. 2025), ``"median"``,
        ``"mode"`` or ``"risk"``.
    magnitude_band : str
        Band of the magnitudes, which are measured on the images.
    magnitudes : tuple of float
        Edges of the bins of magnitude.
    n_bootstrap : int
        Bootstrap samples.
    baselines : tuple of str
        Models, by name or file, that are judged beside those of the campaign. In tables
        a file is called by its name without folder and ending.
    samples : dict of str to TestSample
        Further samples by name.
    """

    point: str = "mean"
    magnitude_band: str = "ps1.r"
    magnitudes: tuple = (10.0, 16.0, 17.77, 19.0, 20.0, 21.0, 22.0, 25.0)
    n_bootstrap: int = 100
    baselines: tuple = ()
    samples: dict = field(default_factory=dict)

    def __post_init__(self):
        _require(
            self.point in POINTS, "point", self.point, f"be of {', '.join(POINTS)}"
        )
        edges = self.magnitudes
        is_good = len(edges) > 1 and all(a < b for a, b in pairwise(edges))
        _require(is_good, "magnitudes", edges, "increase")
        n = self.n_bootstrap
        _require(n >= 0, "n_bootstrap", n, "not be negative")
        names = [card.name for card in list_models()]
        for name in self.baselines:
            known = name in names or Path(name).is_file()
            _require(known, "baselines", name, f"be files, or of {', '.join(names)}")

    @property
    def baseline_names(self):
        """What baselines are called in tables: a dict of name or file by that."""
        return {Path(one).stem: one for one in self.baselines}


@dataclass(frozen=True)
class CampaignConfig:
    """
    Complete configuration of a campaign.

    Attributes
    ----------
    redshifts : RedshiftsConfig
        Sources of redshifts.
    sample : SampleConfig
        Which objects are taken.
    cutouts : CutoutsConfig
        Sources of images.
    models : dict of str to dict
        For the name of a model, its ``recipe`` (a name or a file, ``early`` by
        default), or ``start`` (name or file of a model to go on from, whose network,
        bands and redshift bins it has), and any fields of the recipe that are to be
        others, such as ``n_steps``.
    evaluation : EvaluationConfig
        Evaluation of the models.

    Examples
    --------
    >>> from mantis_astro.campaign import CampaignConfig
    >>> config = CampaignConfig.from_plain({"redshifts": {"surveys": ["sdss"]}})
    >>> list(config.models)
    ['early', 'late']
    >>> CampaignConfig.from_plain({"redshifts": {"survey": ["sdss"]}})
    Traceback (most recent call last):
        ...
    mantis_astro.exceptions.InputSpecError: [redshifts] has no survey; there are ...
    """

    redshifts: RedshiftsConfig = field(default_factory=RedshiftsConfig)
    sample: SampleConfig = field(default_factory=SampleConfig)
    cutouts: CutoutsConfig = field(default_factory=CutoutsConfig)
    models: dict = field(
        default_factory=lambda: {
            "early": {"recipe": "early"},
            "late": {"recipe": "late"},
        }
    )
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    @classmethod
    def read(cls, path):
        """
        Read a configuration.

        Parameters
        ----------
        path : str or path-like
            A TOML file.

        Returns
        -------
        CampaignConfig
            The configuration.

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if it is no TOML, or a key or
            value is not known; the message names the choices.
        """
        return cls.from_plain(from_toml(Path(path).read_text(), path))

    @classmethod
    def from_plain(cls, plain):
        """
        Create a configuration from the contents of a TOML file.

        Parameters
        ----------
        plain : dict
            Sections.

        Returns
        -------
        CampaignConfig
            The configuration.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` as for `read`.
        """
        check_keys(cls, plain, "the campaign")
        items = deepcopy(plain)  # a change of theirs later is none of ours
        for section in fields(cls):
            if section.name in items and section.name != "models":
                items[section.name] = _made(
                    section.default_factory, items[section.name], f"[{section.name}]"
                )
        config = cls(**items)
        for name in config.models:  # a wrong one is an error now
            is_name = Path(name).name == name and name not in {"", ".", ".."}
            _require(is_name, "models", name, "be names for folders")
            config._check_bands(name, config.training(name, "store", "table")[0].spec)
        band, bands = config.evaluation.magnitude_band, config.cutouts.bands
        _require(band in bands, "magnitude_band", band, "be of 'bands' of [cutouts]")
        return config

    def __post_init__(self):
        names = [*self.models, *(Path(one).stem for one in self.evaluation.baselines)]
        twice = sorted({name for name in names if names.count(name) > 1})
        _require(not twice, "baselines", twice, "have names that no other model has")

    def _check_bands(self, name, spec):
        """Raise an error for models without images, or bands that are not fetched."""
        if spec.reads_tables:
            msg = f"[models.{name}] reads fluxes, and a campaign has images"
            raise InputSpecError(msg)
        lacking = [str(b) for b in spec.bands if str(b) not in self.cutouts.bands]
        if lacking:
            msg = (
                f"[models.{name}] reads {', '.join(lacking)}, which 'bands' of "
                f"[cutouts] lacks; it has {', '.join(self.cutouts.bands)}"
            )
            raise InputSpecError(msg)

    def to_plain(self):
        """
        Convert the configuration to values that TOML and JSON can store.

        Returns
        -------
        dict
            All sections; `from_plain` takes it.
        """
        return to_plain(asdict(self))

    def training(self, name, store, table):
        """
        Create the training configuration of a model.

        Parameters
        ----------
        name : str
            The model.
        store, table : str or path-like
            Cutouts, and the table of the sample.

        Returns
        -------
        config : TrainingConfig
            Its recipe, with the campaign's data.
        start : PhotoZ or None
            The model that it goes on from.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` for a field that does not exist.
        """
        options = dict(self.models[name])
        recipe, start = options.pop("recipe", "early"), options.pop("start", None)
        plain = TrainingConfig.read(recipe).to_plain() | {
            "name": name,
            "description": f"{start or recipe}, trained on galaxies with spectra",
            "training_sample": "",
            "caveats": _CAVEATS,
        }
        own = {}
        if start is not None:
            start = PhotoZ.from_pretrained(start)  # or from a file
            card = start.card
            own = {"network": card.network, "spec": card.spec}
            own["z_edges"] = [float(edge) for edge in card.z_edges]
            plain |= {"licence": card.licence, "citations": list(card.citations)}
        if taken := sorted(own.keys() & options.keys()):
            msg = f"[models.{name}] has {', '.join(taken)} of its 'start': leave it out"
            raise InputSpecError(msg)
        lengths = {"n_steps", "minutes"}
        if lengths & options.keys():  # the length that is asked for, alone
            plain |= dict.fromkeys(lengths)
        for key, value in options.items():
            is_section = isinstance(value, dict) and isinstance(plain.get(key), dict)
            plain[key] = plain[key] | value if is_section else value
        config = TrainingConfig.from_plain(plain | own)
        maps = tuple(m for m in self.sample.dust_maps if m in config.spec.ebv_maps)
        if set(maps) == set(config.spec.ebv_maps):
            maps = config.spec.ebv_maps  # in its order
        surveys = [get_redshift_survey(s) for s in self.redshifts.surveys]
        cited = [survey.reference for survey in surveys]
        config = config.with_options(
            data=StoreData(
                str(store),
                str(table),
                ebv=tuple(f"ebv_{name}" for name in maps),
                split=self.sample.split,
                description="; ".join(f"{s.title}: {s.cuts}" for s in surveys),
            ),
            citations=tuple(dict.fromkeys([*config.citations, *cited])),
        )
        return config, start


def _made(section, plain, where):
    check_keys(section, plain, where)
    items = from_plain(plain)  # lists become tuples
    if section is EvaluationConfig and "samples" in items:
        items["samples"] = {
            name: _made(TestSample, sample, f"{where[:-1]}.samples.{name}]")
            for name, sample in items["samples"].items()
        }
    return section(**items)


def _require(holds, name, value, rule):
    if not holds:
        msg = f"'{name}' must {rule}, got {value!r}"
        raise InputSpecError(msg)


def _require_range(name, limits):
    holds = len(limits) == 2 and limits[0] < limits[1]
    _require(holds, name, limits, "be the lowest and the highest value")


def example_campaign():
    """
    Return an example configuration, with comments on every section.

    Returns
    -------
    str
        TOML.
    """
    return (resources.files("mantis_astro.campaign") / "example.toml").read_text()
