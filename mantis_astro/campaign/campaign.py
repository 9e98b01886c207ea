"""`Campaign`: the steps from the redshifts of archives to evaluated models."""

import json
import logging
import re
import time
from collections import Counter
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import QTable, vstack

from mantis_astro.atomic import atomic_file
from mantis_astro.campaign.evaluation import (
    compare_models,
    evaluate_model,
    magnitudes_of,
)
from mantis_astro.campaign.plan import make_campaign_plan
from mantis_astro.campaign.report import write_report
from mantis_astro.campaign.sample import make_sample
from mantis_astro.exceptions import InputSpecError, MantisError
from mantis_astro.photoz import PhotoZ
from mantis_astro.redshift_surveys import fetch_redshifts
from mantis_astro.services import SurveyCutouts
from mantis_astro.store import CutoutStore
from mantis_astro.tables import read_table, write_table
from mantis_astro.tables.coordinates import find_coordinates
from mantis_astro.training import train

__all__ = ["Campaign", "IncompleteError"]

log = logging.getLogger(__name__)

# What each step depends on, besides what the steps before it do.
_READS = {
    "redshifts": ["redshifts"],
    "sample": ["sample"],
    "cutouts": ["cutouts"],
    "train": ["models"],
    "evaluate": ["evaluation"],
    "report": [],
}


class IncompleteError(MantisError, RuntimeError):
    """A step could not be completed; run the campaign again to continue there."""


class Campaign:
    """
    From the redshifts of archives to models trained on the real sky, step by step.

    Each step leaves files in the folder and is not done twice. One that was broken
    off, by Ctrl-C, a kill or a loss of power, goes on where it was: boxes of
    redshifts, images, checkpoints and predictions are kept as they come. What comes
    out is the same to the last bit, on one machine, if the length of a training is
    given in steps and ``amp`` is not ``"auto"``.

    Parameters
    ----------
    folder : str or path-like
        Everything is here. Made if it is not there.
    config : CampaignConfig
        What is done.
    progress : bool, optional
        Whether to show progress on standard error.

    Attributes
    ----------
    steps : tuple of str
        Names of the steps, in order.

    Examples
    --------
    >>> from mantis_astro.campaign import Campaign, CampaignConfig
    >>> plain = {"redshifts": {"surveys": ["gama"], "area": [[180, 181, 0, 1]]}}
    >>> folder = getfixture("tmp_path") / "gama"
    >>> campaign = Campaign(folder, CampaignConfig.from_plain(plain))
    >>> campaign.steps
    ('redshifts', 'sample', 'cutouts', 'train', 'evaluate', 'report')
    >>> print(campaign.plan())
    redshifts: 1 boxes of GAMA DR4, 3 requests or more...
    """

    steps = tuple(_READS)

    def __init__(self, folder, config, *, progress=True):
        self.folder = Path(folder).resolve()  # a training remembers where its data are
        self.config = config
        self._progress = progress
        self._sample_path = self.folder / "sample.fits"
        self._store_path = self.folder / "cutouts"

    def __repr__(self):
        done = [step for step in self.steps if self._marker(step).exists()]
        return f"<{type(self).__name__} {self.folder}: {', '.join(done) or 'new'}>"

    def is_done(self, step):
        """
        Return whether a step is complete.

        Parameters
        ----------
        step : str
            Its name.

        Returns
        -------
        bool
            True if it was.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if it was finished with another
            configuration; the message tells what differs.
        """
        if not self._marker(step).exists():
            return False
        there = json.loads(self._marker(step).read_text())["config"]
        now = self._facts(step)
        if differing := [section for section in now if there[section] != now[section]]:
            msg = (
                f"the step {step!r} in {self.folder} was done with another "
                f"{_difference(there, now, differing[0])}: choose another folder, or "
                f"remove {self._marker(step).name} and those of later steps, and what "
                "is in 'models', to do it again"
            )
            raise InputSpecError(msg)
        return True

    def plan(self, until="report"):
        """
        Estimate the cost of the steps that remain.

        Parameters
        ----------
        until : str, optional
            The last step to look at.

        Returns
        -------
        CampaignPlan
            Requests, bytes, hours and disk of each; ``print`` it.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` as for `run`.
        """
        left = self._left(until)
        done = self.is_done("sample")
        sample = read_table(self._sample_path) if done else None
        return make_campaign_plan(self.config, left, sample)

    def run(self, until="report"):
        """
        Run the steps that remain.

        Parameters
        ----------
        until : str, optional
            The last step to do.

        Returns
        -------
        `~pathlib.Path`
            The folder.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if there is no such step, or one
            was done with another configuration.
        IncompleteError
            If images could not be fetched: run it again.
        OSError
            `~mantis_astro.exceptions.FetchError` if an archive fails: run it again.
        """
        left = self._left(until)
        self.folder.mkdir(parents=True, exist_ok=True)
        for step in left:
            log.info("campaign: %s", step)
            start = time.monotonic()
            facts = getattr(self, f"_do_{step}")() or {}
            facts |= {"seconds": round(time.monotonic() - start, 1)}
            facts["config"] = self._facts(step)
            with atomic_file(self._marker(step)) as temporary:
                temporary.write_text(json.dumps(facts, indent=1))
        return self.folder

    def _left(self, until):
        """List the remaining steps up to a given one."""
        if until not in self.steps:
            msg = f"'until' must be one of {', '.join(self.steps)}, got {until!r}"
            raise InputSpecError(msg)
        wanted = self.steps[: self.steps.index(until) + 1]
        return [step for step in wanted if not self.is_done(step)]

    @property
    def model_paths(self):
        """Files of the trained models, a dict of `~pathlib.Path` by name."""
        return {
            name: self.folder / "models" / name / f"{name}.safetensors"
            for name in self.config.models
        }

    def _marker(self, step):
        return self.folder / f"{step}.done.json"

    def _facts(self, step):
        """Return the configuration that a step depends on."""
        plain = self.config.to_plain()
        before = self.steps[: self.steps.index(step) + 1]
        return {section: plain[section] for one in before for section in _READS[one]}

    def _do_redshifts(self):
        chosen = self.config.redshifts
        table = fetch_redshifts(
            chosen.surveys,
            self.folder / "boxes",
            area=chosen.boxes,
            progress=self._progress,
        )
        write_table(table, self.folder / "redshifts.fits", overwrite=True)
        return {"n": len(table)}

    def _do_sample(self):
        sample = make_sample(read_table(self.folder / "redshifts.fits"), self.config)
        if not len(sample):
            msg = f"no object is left: {sample.meta['combination']}"
            raise InputSpecError(msg)
        write_table(sample, self._sample_path, overwrite=True)
        return {"counts": sample.meta["combination"]}

    def _do_cutouts(self):
        coords = find_coordinates(read_table(self._sample_path))[0]
        chosen = self.config.cutouts
        with CutoutStore(self._store_path, mode="a") as store:
            source = SurveyCutouts(
                sources=chosen.services, store=store, progress=self._progress
            )
            for _ in source.iter_cutouts(coords, chosen.bands):
                pass
        counts = source.counts()
        if counts["failed"] > chosen.max_failed * sum(counts.values()):
            msg = (
                f"{counts['failed']} of {sum(counts.values())} images could not be "
                f"fetched; run the campaign again for those, or allow them with "
                f"max_failed of [cutouts]:{_reasons(source.report())}"
            )
            raise IncompleteError(msg)
        return {"images": counts, "requests": source.requests_sent()}

    def _do_train(self):
        reached = {}
        for name, path in self.model_paths.items():
            config, start = self.config.training(
                name, self._store_path, self._sample_path
            )
            result = train(config, path.parent, start=start, progress=self._progress)
            reached[name] = result.metrics | {"steps": result.n_steps}
        return {"reached": reached}

    def _do_evaluate(self):
        config = self.config.evaluation
        sample = read_table(self._sample_path)
        galaxies = sample[np.asarray(sample["part"], str) == "test"]
        if not len(galaxies):
            msg = f"none of {len(sample)} objects is held out as 'test' of [sample]"
            raise InputSpecError(msg)
        models = {name: str(path) for name, path in self.model_paths.items()}
        models |= config.baseline_names
        (self.folder / "redshifts").mkdir(exist_ok=True)
        tables, metrics = {}, []
        with CutoutStore(self._store_path) as store:
            coords = find_coordinates(galaxies)[0]
            magnitude = magnitudes_of(coords, store, config.magnitude_band)
            galaxies["magnitude"] = magnitude * u.mag
            for name, model in models.items():
                tables[name] = self._predict(name, model, galaxies, store)
                rows = evaluate_model(tables[name], config)
                rows.add_column([name] * len(rows), name="model", index=0)
                metrics.append(rows)
        metrics = vstack(metrics, metadata_conflicts="silent")
        write_table(metrics, self.folder / "metrics.ecsv", overwrite=True)
        compared = compare_models(tables, config)
        write_table(QTable(compared), self.folder / "comparison.ecsv", overwrite=True)
        return {"n": len(galaxies)}

    def _predict(self, name, model, galaxies, store):
        """Predict the redshifts of held-out galaxies, and store them."""
        photoz = PhotoZ.from_pretrained(model)
        journal = self.folder / "redshifts" / f"{name}.journal"
        table = photoz.add_redshifts(
            galaxies,
            store,
            ebv=self._ebv(photoz, galaxies),
            progress=self._progress,
            resume=journal,
        )
        path = self.folder / "redshifts" / f"{name}.fits"
        write_table(table, path, overwrite=True)
        journal.unlink(missing_ok=True)
        return table

    def _ebv(self, photoz, galaxies):
        """Galactic extinction as it was given in the training."""
        maps = photoz.card.spec.ebv_maps
        columns = {m: f"ebv_{m}" for m in self.config.sample.dust_maps if m in maps}
        if len(columns) == 1:  # one for all maps
            return galaxies[next(iter(columns.values()))]
        return {m: galaxies[name] for m, name in columns.items()} or None

    def _do_report(self):
        facts = {
            step: json.loads(self._marker(step).read_text())
            for step in self.steps
            if self._marker(step).exists()
        }
        cards = {
            name: PhotoZ.from_file(path).card for name, path in self.model_paths.items()
        }
        write_report(self.folder, self.config, facts, cards)


def _reasons(report):
    """Describe the reasons for missing images, the most frequent first."""
    messages = report["Message"][np.asarray(report["Status"], str) == "failed"]
    # hosts, addresses and times differ; what is wrong does not
    found = Counter(re.sub(r"; tried .*", "", str(message)) for message in messages)
    return "".join(f"\n  {n} times: {text}" for text, n in found.most_common(3))


def _difference(there, now, section):
    """Describe the differences in words."""
    for key, value in now[section].items():
        if there[section].get(key) != value:
            return f"[{section}] {key} = {there[section].get(key)}, now {value}"
    return f"[{section}]"
