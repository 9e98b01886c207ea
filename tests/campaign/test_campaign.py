"""A whole campaign against servers on this machine, broken off and gone on with."""

import json

import numpy as np
import pytest
from astropy.table import QTable, Table
from safetensors.torch import load_file

from mantis_astro.campaign import Campaign, CampaignConfig, IncompleteError
from mantis_astro.campaign.configuration import example_campaign
from mantis_astro.cli import main
from mantis_astro.exceptions import FetchError, InputSpecError
from mantis_astro.models import CommonGrid, EarlyFusionConfig, EncoderConfig, InputSpec
from mantis_astro.models.stretches import FluxAsinhStretch
from mantis_astro.services import conf
from mantis_astro.simulation import Fault, LocalSky
from mantis_astro.tables import read_table
from mantis_astro.training import TrainingConfig, ValidationConfig, loop
from mantis_astro.training.toml_text import from_toml, to_toml

N = 30
BANDS = ("ps1.r", "unwise.W1")


def archives():
    """Thirty galaxies: all in DESI, a third in SDSS, one with another redshift."""
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(150, 154, N).round(6), rng.uniform(0, 4, N).round(6)
    z = rng.uniform(0.05, 0.95, N)
    desi = Table({"mean_fiber_ra": ra, "mean_fiber_dec": dec, "z": z})
    desi["targetid"], desi["zerr"], desi["zwarn"] = np.arange(N), 1e-4, 0
    desi["zcat_primary"], desi["spectype"], desi["deltachi2"] = "t", "GALAXY", 900.0
    some = slice(0, N, 3)
    sdss = Table({"ra": ra[some], "dec": dec[some] + 1e-5, "z": z[some] + 1e-4})
    sdss["z"][0] += 0.1
    sdss["specobjid"], sdss["zerr"], sdss["zwarning"] = np.arange(len(sdss)), 1e-4, 0
    sdss["class"] = "GALAXY"
    return {"desi_dr1.zpix": desi, "sdss_dr17.specobj": sdss}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A network of a moment."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    spec = InputSpec(BANDS, CommonGrid((16, 16), 1.0), (FluxAsinhStretch(300.0),) * 2)
    encoder = EncoderConfig(2, (1,), (8,), kernel_size=3, patch_size=4)
    config = TrainingConfig(
        name="tiny",
        network=EarlyFusionConfig(encoder, 20, hidden=8),
        spec=spec,
        z_edges=tuple(np.linspace(0, 1, 21).round(9).tolist()),
        n_steps=8,
        batch_size=8,
        n_workers=0,
        amp="none",
        checkpoint_every=3,
        validation=ValidationConfig(every=4),
    )
    path.write_text(config.to_toml())
    return path


@pytest.fixture
def plain(recipe):
    return {
        "redshifts": {"surveys": ["desi", "sdss"], "area": [[150, 154, 0, 4]]},
        "sample": {"dust_maps": [], "test": 0.3, "validation": 0.2},
        "cutouts": {"bands": list(BANDS)},
        "models": {"early": {"recipe": str(recipe)}},
        "evaluation": {
            "point": "median",
            "magnitudes": [10.0, 20.0, 30.0],
            "n_bootstrap": 3,
            "samples": {"low z": {"z": [0.0, 0.5], "surveys": ["desi"]}},
        },
    }


@pytest.fixture
def sky():
    with (
        LocalSky(seed=3, tables=archives()) as sky,
        sky.configure(conf),
        conf.set_temp("backoff", 0.01),
        conf.set_temp("retries", 1),
    ):
        yield sky


@pytest.fixture
def campaign(plain, sky, tmp_path):
    config = CampaignConfig.from_plain(plain)
    return Campaign(tmp_path / "campaign", config, progress=False)


def test_broken_off_three_times_it_ends_as_if_it_were_not(
    plain, sky, campaign, tmp_path, monkeypatch
):
    config = CampaignConfig.from_plain(plain)
    whole = Campaign(tmp_path / "whole", config, progress=False)
    whole.run(until="train")
    plain["models"]["late"] = plain["models"]["early"] | {"seed": 5}
    config = CampaignConfig.from_plain(plain)
    broken = Campaign(tmp_path / "broken", config, progress=False)

    sky.faults = [Fault("html", match=r"async/\d+/results")]
    with pytest.raises(FetchError, match="no VOTable"):
        broken.run()
    # some images are refused, twice in a row
    sky.faults = [Fault(500, match="layer=unwise", probability=0.3)]
    with pytest.raises(
        IncompleteError, match=r"again for those[^\0]*times: HTTP status 500"
    ):
        broken.run()
    sky.faults = []
    there = sky.count("layer=unwise", status=200)
    step = loop._Run._after_step

    def fails(self, *args, **options):
        step(self, *args, **options)
        if self.step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop._Run, "_after_step", fails)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    monkeypatch.undo()
    assert 0 < sky.count("layer=unwise", status=200) - there < N - 1  # the rest alone
    broken.run()

    for name, path in whole.model_paths.items():
        one, other = load_file(path), load_file(broken.model_paths[name])
        assert all(bool((one[key] == other[key]).all()) for key in one)

    # one object in two surveys has two redshifts
    sample = read_table(broken.folder / "sample.fits")
    assert len(sample) == N - 1
    assert sorted(set(sample["n_spectra"])) == [1, 2]
    test = int((np.asarray(sample["part"], str) == "test").sum())
    metrics = read_table(broken.folder / "metrics.ecsv")
    assert set(metrics["model"]) == {"early", "late"}
    first = metrics[np.asarray(metrics["model"], str) == "early"]
    assert list(first["sample"][:2]) == ["all", "survey = desi"]
    assert first["sample"][-1] == "low z"
    assert first["n"][0] == test > 0
    compared = read_table(broken.folder / "comparison.ecsv")
    row = compared[0]
    assert row["difference"] == pytest.approx(row["other_value"] - row["value"])
    report = (broken.folder / "report.rst").read_text()
    assert "DESI DR1: class galaxy, no warning" in report
    assert "objects that disagree: 1" in report

    # nothing is done twice, nor with another configuration
    before = len(sky.requests)
    broken.run()
    assert len(sky.requests) == before
    assert str(broken.plan()) == "nothing is left to do"
    plain["sample"]["n_max"] = 5
    changed = Campaign(broken.folder, CampaignConfig.from_plain(plain))
    with pytest.raises(InputSpecError, match=r"another \[sample\] n_max = 0, now 5"):
        changed.run()


def test_the_plan_is_told_before_anything_is_sent(sky, campaign):
    text = str(campaign.plan())
    assert "redshifts: 2 boxes of DESI DR1, SDSS DR17, 6 requests or more" in text
    assert "cutouts: 2 bands of" in text
    assert text.splitlines()[-1].startswith("in all: 6 steps")
    assert not sky.requests
    campaign.run(until="sample")
    facts = json.loads((campaign.folder / "sample.done.json").read_text())
    assert facts["counts"]["objects"] == N - 1
    lines = str(campaign.plan()).splitlines()
    assert lines[0].startswith(f"cutouts: 2 bands of {N - 1} objects from 127.0.0.1")
    with pytest.raises(InputSpecError, match="'until' must be one of redshifts"):
        campaign.run(until="training")


def test_the_command_asks_before_it_starts(plain, sky, tmp_path, capsys):
    path, folder = tmp_path / "c.toml", tmp_path / "folder"
    path.write_text(to_toml(plain))
    assert main(["campaign", str(path), "-o", str(folder), "--plan"]) == 0
    assert main(["campaign", str(path), "-o", str(folder), "-q"]) == 1
    assert "--yes starts without a question" in capsys.readouterr().err
    assert not sky.requests
    command = ["campaign", str(path), "-o", str(folder), "--until", "redshifts", "-yq"]
    assert main(command) == 0
    assert len(read_table(folder / "redshifts.fits")) == N + N // 3
    assert main(["campaign"]) == 1
    assert "--example prints a file" in capsys.readouterr().err


def test_the_example_is_a_campaign(capsys):
    assert main(["campaign", "--example"]) == 0
    text = capsys.readouterr().out
    config = CampaignConfig.from_plain(from_toml(text, "example"))
    usual = CampaignConfig()
    assert text.strip() == example_campaign().strip()
    assert config.sample == usual.sample
    assert config.cutouts == usual.cutouts
    assert config.evaluation.magnitudes == usual.evaluation.magnitudes
    assert list(config.models) == list(usual.models)


@pytest.mark.parametrize(
    ("section", "values", "error", "match"),
    [
        ("redshifts", {"survey": []}, InputSpecError, "no survey; there are surveys"),
        ("redshifts", {"surveys": ["2mrs"]}, KeyError, "no redshift survey '2mrs'"),
        ("redshifts", {"area": [[350, 10, 0, 1]]}, ValueError, "is two boxes"),
        ("redshifts", {"area": [[1, 2, 3]]}, InputSpecError, "four numbers"),
        ("sample", {"dust_maps": ["sfd2"]}, InputSpecError, "must be of csfd"),
        ("sample", {"z": [1, 0]}, InputSpecError, "'z' must be the lowest and the"),
        ("sample", {"limits": {"a": [1]}}, InputSpecError, "'a' must be the lowest"),
        ("sample", {"radius": -1}, InputSpecError, "'radius' must be positive"),
        ("cutouts", {"bands": ["ps1.x"]}, KeyError, "no band"),
        ("cutouts", {"sources": {"ps1": "tile"}}, ValueError, "and no such folder"),
        ("models", {"a": {"steps": 5}}, InputSpecError, "has no steps; there are name"),
        ("models", {"a": {"recipe": "photometric"}}, InputSpecError, "reads fluxes"),
        ("cutouts", {"bands": ["ps1.g"]}, InputSpecError, r"early\] reads galex.NUV"),
        (
            "evaluation",
            {"samples": {"a": {"y": 1}}},
            InputSpecError,
            r"\[evaluation.samples.a\] has no y; there are surveys",
        ),
        ("evaluation", {"samples": {"a": {"z": [1]}}}, InputSpecError, "'z' must be"),
        ("evaluation", {"samples": {"a": {"within": "no"}}}, InputSpecError, "a file"),
        ("evaluation", {"point": "peak"}, InputSpecError, "be of mean, median"),
        ("evaluation", {"magnitudes": [20, 19]}, InputSpecError, "must increase"),
        ("evaluation", {"n_bootstrap": -1}, InputSpecError, "not be negative"),
        ("evaluation", {"baselines": ["late"]}, InputSpecError, "be files, or of sim"),
        ("evaluation", {"magnitude_band": "sdss.r"}, InputSpecError, "be of 'bands'"),
        ("models", {"..": {"recipe": "early"}}, InputSpecError, "names for folders"),
        ("model", {}, InputSpecError, "the campaign has no model; there are redshifts"),
    ],
)
def test_mistakes_are_named(section, values, error, match):
    with pytest.raises(error, match=match):
        CampaignConfig.from_plain({section: values})


def test_a_baseline_takes_no_place_of_a_model(plain, tmp_path):
    """Else its p(z) would be those of both in the comparison."""
    (tmp_path / "early.safetensors").touch()
    plain["evaluation"]["baselines"] = [str(tmp_path / "early.safetensors")]
    with pytest.raises(InputSpecError, match=r"no other model has, got \['early'\]"):
        CampaignConfig.from_plain(plain)


def test_a_model_goes_on_from_another(plain):
    plain["models"] = {"adapted": {"start": "simulated-early", "n_steps": 2}}
    del plain["cutouts"]
    config, start = CampaignConfig.from_plain(plain).training("adapted", "s", "t")
    assert config.network == start.card.network
    assert config.z_edges == tuple(start.card.z_edges)
    assert (config.n_steps, config.minutes, config.name) == (2, None, "adapted")
    assert "2025arXiv250314745D" in config.citations
    assert config.licence == start.card.licence
    plain["models"]["adapted"]["z_edges"] = [0, 1, 2]
    with pytest.raises(InputSpecError, match="has z_edges of its 'start'"):
        CampaignConfig.from_plain(plain)


def test_samples_are_matched_with_tables(tmp_path):
    from mantis_astro.campaign import TestSample
    from mantis_astro.campaign.evaluation import members
    from mantis_astro.tables import write_table

    write_table(QTable({"ra": [10.0001, 50.0], "dec": [0.0, 0.0]}), tmp_path / "t.fits")
    table = QTable({"ra": [10.0, 20.0], "dec": [0.0, 0.0], "z_spec": [0.1, 0.2]})
    table["survey"], table["magnitude"] = ["sdss", "desi"], [17.0, np.nan]
    for sample, expected in (
        (TestSample(within=str(tmp_path / "t.fits")), [True, False]),
        (TestSample(magnitude=(10.0, 17.77)), [True, False]),
        (TestSample(surveys=("desi",), z=(0.0, 1.0)), [False, True]),
    ):
        assert members(table, sample).tolist() == expected
