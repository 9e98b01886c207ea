"""`CampaignPlan`: estimated cost of a campaign before it starts."""

import math
from dataclasses import dataclass

import numpy as np
from astropy.coordinates import SkyCoord

from mantis_astro.dust import map_files
from mantis_astro.files import get_file, local_path
from mantis_astro.redshift_surveys import get_redshift_survey
from mantis_astro.redshift_surveys.fetching import SIDE
from mantis_astro.services import SurveyCutouts, conf
from mantis_astro.tables.coordinates import find_coordinates

__all__ = ["CampaignPlan", "StepPlan", "make_campaign_plan"]

_ROW_BYTES = 300  # of a redshift in a VOTable
_QUERY_SECONDS = 30.0  # an archive works at a query, as users report
_KEPT_ROW = 80  # bytes of a redshift on disk
_TRIED = 300  # positions that stand for more: images are asked for in the same way
_PER_SECOND = 900  # galaxies that two cores train on, as measured with ``early``
_PREDICTED = 300  # and predict


@dataclass(frozen=True)
class StepPlan:
    """
    Estimated cost of one step.

    Attributes
    ----------
    step : str
        Its name.
    what : str
        What it does, in words.
    n_requests : int
        Requests, at least.
    n_bytes : float
        Bytes that come back, about.
    hours : float
        Hours, about.
    disk : float
        Bytes that it leaves on disk, about.
    """

    step: str
    what: str
    n_requests: int = 0
    n_bytes: float = 0.0
    hours: float = 0.0
    disk: float = 0.0

    def __str__(self):
        parts = [self.what]
        if self.n_requests:
            parts.append(f"{self.n_requests:,} requests or more")
        if self.n_bytes:
            parts.append(f"{_size(self.n_bytes)} to fetch")
        parts.append(f"about {_duration(self.hours)}")
        if self.disk:
            parts.append(f"{_size(self.disk)} on disk")
        return f"{self.step}: {', '.join(parts)}"


@dataclass(frozen=True)
class CampaignPlan:
    """
    Estimated cost of the steps of a campaign.

    Attributes
    ----------
    steps : tuple of StepPlan
        Those that are not done.
    """

    steps: tuple

    def __str__(self):
        if not self.steps:
            return "nothing is left to do"
        total = StepPlan(
            "in all",
            f"{len(self.steps)} steps",
            sum(step.n_requests for step in self.steps),
            sum(step.n_bytes for step in self.steps),
            sum(step.hours for step in self.steps),
            sum(step.disk for step in self.steps),
        )
        return "\n".join(map(str, (*self.steps, total)))


def make_campaign_plan(config, left, sample=None):
    """
    Estimate the cost of a campaign.

    Parameters
    ----------
    config : CampaignConfig
        The campaign.
    left : sequence of str
        Steps that are not done.
    sample : `~astropy.table.Table`, optional
        The sample, if it is known; else its size is expected from the area.

    Returns
    -------
    CampaignPlan
        The plan.
    """
    surveys = [get_redshift_survey(name) for name in config.redshifts.surveys]
    area = config.redshifts.boxes
    n_rows = sum(survey.expected(area) for survey in surveys)
    n = math.ceil(n_rows) if sample is None else len(sample)
    if config.sample.n_max and sample is None:
        n = min(n, config.sample.n_max)
    makers = {
        "redshifts": lambda: _redshifts(surveys, area, n_rows),
        "sample": lambda: _sample(config.sample, n),
        "cutouts": lambda: _cutouts(config, n, sample),
        "train": lambda: _train(config, n),
        "evaluate": lambda: _evaluate(config, n),
        "report": lambda: StepPlan("report", "tables and text"),
    }
    return CampaignPlan(tuple(makers[step]() for step in left))


def _redshifts(surveys, area, n_rows):
    n_boxes = sum(len(survey.pieces(area, SIDE)) for survey in surveys)
    # a full box is asked for in vain before its halves are
    n_boxes += 2 * int(n_rows // conf.rows_per_query)
    names = ", ".join(survey.title for survey in surveys)
    return StepPlan(
        "redshifts",
        f"{n_boxes} boxes of {names}",
        3 * n_boxes,  # a job is started, looked at, and its result is read
        n_rows * _ROW_BYTES,
        n_boxes * _QUERY_SECONDS / 3600,
        2 * n_rows * _KEPT_ROW,
    )


def _sample(chosen, n):
    files = [file for name in chosen.dust_maps for file in map_files(name)]
    if chosen.dust_folder:
        files = []
    lacking = [get_file(file).size for file in files if not local_path(file).is_file()]
    return StepPlan(
        "sample",
        f"{n:,} objects at most",
        len(lacking),
        float(sum(lacking)),
        sum(lacking) / 5e6 / 3600,
        sum(lacking) + 150.0 * n,
    )


def _cutouts(config, n, sample):
    chosen = config.cutouts
    coords = _some_places(config, n) if sample is None else find_coordinates(sample)[0]
    plan = SurveyCutouts(sources=chosen.services).plan(coords, chosen.bands)
    more = n / max(len(coords), 1)
    hosts = ", ".join(host.host for host in plan.hosts)
    return StepPlan(
        "cutouts",
        f"{len(chosen.bands)} bands of {n:,} objects from {hosts}",
        math.ceil(plan.n_requests * more),
        plan.n_bytes * more,
        plan.duration.to_value("h") * more,
        _image_bytes(chosen.bands) * n,
    )


def _train(config, n):
    seconds, cache = 0.0, 0.0
    for name in config.models:
        training, _ = config.training(name, "store", "table")
        if training.n_steps:
            seconds += training.n_steps * training.batch_size / _PER_SECOND
        else:
            seconds += 60 * training.minutes
        shape = getattr(training.spec.geometry, "shape", (170, 170))
        cache += 4.0 * len(training.spec.bands) * math.prod(shape) * n
    names = ", ".join(config.models)
    return StepPlan(
        "train", f"{names} (on two cores)", hours=seconds / 3600, disk=cache
    )


def _evaluate(config, n):
    n_models = len(config.models) + len(config.evaluation.baselines)
    held_out = math.ceil(n * config.sample.test)
    return StepPlan(
        "evaluate",
        f"{n_models} models on {held_out:,} objects",
        hours=n_models * held_out / _PREDICTED / 3600,
        disk=2000.0 * n_models * held_out,
    )


def _some_places(config, n):
    """Positions in the area, as dense as those of a sample."""
    rng = np.random.default_rng(0)
    boxes = config.redshifts.boxes
    areas = np.array([box.area for box in boxes])
    some = min(n, _TRIED)
    chosen = rng.choice(len(boxes), size=some, p=areas / areas.sum())
    low = np.array([[b.ra_low, b.dec_low] for b in boxes])[chosen]
    high = np.array([[b.ra_high, b.dec_high] for b in boxes])[chosen]
    # of a small part of the area, so that as many fall on a tile
    high[:, 0] = low[:, 0] + (high[:, 0] - low[:, 0]) * (some / n if n else 1)
    ra, sine = rng.uniform(size=(2, some))
    low_z, high_z = np.sin(np.radians(low[:, 1])), np.sin(np.radians(high[:, 1]))
    dec = np.degrees(np.arcsin(low_z + sine * (high_z - low_z)))
    return SkyCoord(low[:, 0] + ra * (high[:, 0] - low[:, 0]), dec, unit="deg")


def _image_bytes(bands):
    from mantis_astro.bands import get_bands, get_survey

    shapes = [get_survey(band.survey).shape for band in get_bands(bands)]
    return 4.1 * sum(math.prod(shape) for shape in shapes)


def _size(n_bytes):
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def _duration(hours):
    return f"{hours:.2g} h" if hours >= 1 else f"{60 * hours:.2g} min"
