"""The stages in RAIL itself: found, run, evaluated and summarised by it."""

import subprocess
import sys
import warnings

import astropy.units as u
import numpy as np
import pytest
import yaml

pytest.importorskip("rail.core")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # RAIL and what it imports warn about themselves
    import ceci
    import qp
    import rail.stages
    import tables_io
    from rail.core.data import TableHandle
    from rail.core.introspection import RailEnv
    from rail.core.stage import RailStage
    from rail.utils.path_utils import find_rail_file

    rail.stages.import_and_attach_all(silent=True)

from mantis_astro import Flag, PhotoZ, RedshiftPDF, metrics
from mantis_astro.adaptation import ZeroPoints
from mantis_astro.bands import get_bands
from mantis_astro.exceptions import InputSpecError, MissingBandError
from mantis_astro.rail import AnyBandEstimator, AnyBandInformer, InformedModel
from mantis_astro.rail.photometry import PhotometryColumns

pytestmark = pytest.mark.filterwarnings("ignore")

TRAINING = find_rail_file("examples_data/testdata/training_100gal.hdf5")
VALIDATION = find_rail_file("examples_data/testdata/validation_10gal.hdf5")
MANY = find_rail_file("examples_data/testdata/test_dc2_validation_9816.hdf5")


def photometry(path, n=None):
    """A table of RAIL's example data, all of it or as many rows from all of it."""
    table = tables_io.read(path)["photometry"]
    size = len(table["redshift"])
    rows = np.linspace(0, size - 1, n or size).astype(int)  # sorted by redshift
    return {name: np.array(column)[rows] for name, column in table.items()}


def columns():
    """The stages' defaults."""
    defaults = {n: o.default for n, o in AnyBandEstimator.config_options.items()}
    names = (tuple(defaults[name]) for name in ("bands", "err_bands", "filters"))
    return PhotometryColumns(*names, mag_limits=defaults["mag_limits"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rail")


@pytest.fixture(scope="module")
def model(folder):
    """The file of a model that RAIL's runner fitted to a hundred galaxies."""
    stage = AnyBandInformer.make_stage(
        name="inform", model=str(folder / "model.safetensors"), steps=40
    )
    return stage.inform(TableHandle("training", path=TRAINING))


@pytest.fixture(scope="module")
def estimate(model, folder):
    """p(z) of two hundred galaxies, as a handle of RAIL's."""
    table = folder / "galaxies.hdf5"
    tables_io.write({"photometry": photometry(MANY, 200)}, str(table))
    stage = AnyBandEstimator.make_stage(
        name="estimate",
        model=model,
        output=str(folder / "output.hdf5"),
        chunk_size=80,
        calculated_point_estimates=["zmode", "zmedian", "zmean"],
        qp_representation="hist",
    )
    return stage.estimate(TableHandle("galaxies", path=str(table)))


@pytest.fixture(scope="module")
def z_spec():
    return photometry(MANY, 200)["redshift"]


def run(stage, entry, *inputs, **options):
    """Run a stage in memory and give what it returns."""
    made = stage.make_stage(
        name=stage.name.lower(), output_mode="return", hdf5_groupname="", **options
    )
    return getattr(made, entry)(*inputs)


@pytest.mark.parametrize("name", ["AnyBandInformer", "AnyBandEstimator"])
def test_rail_finds_the_stages(name):
    assert "rail.mantis_astro" in RailEnv.list_rail_packages()
    assert name in rail.stages.__all__
    assert RailStage.get_stage(name) is getattr(rail.stages, name)


@pytest.mark.parametrize("stage", [AnyBandInformer, AnyBandEstimator])
def test_parameters_say_what_they_are(stage):
    for name, option in stage.config_options.items():
        assert option.msg, name


def test_stages_have_parameters_of_their_own():
    shared = {*AnyBandInformer.config_options} & {*AnyBandEstimator.config_options}
    assert "filters" in shared
    for name in shared - {"logging_level", "output_mode"}:
        one, other = (
            s.config_options[name] for s in (AnyBandInformer, AnyBandEstimator)
        )
        assert one is not other


def test_a_model_is_a_file_of_weights(model):
    photoz = PhotoZ.from_file(model.path)
    assert photoz.card.name == "any-band-finetuned"
    assert InformedModel.read(model.path).zero_points is None


def test_estimates_are_those_of_the_model(model, estimate):
    table, ebv = columns().read(photometry(MANY, 200))
    expected = PhotoZ.from_file(model.path).predict(table, ebv=ebv)
    edges = np.linspace(0, 3, 302)
    inside = np.asarray(expected.cdf(3.0))
    below = np.asarray(expected[:, None].cdf(edges)) / inside[:, None]
    assert np.allclose(estimate().cdf(edges), below, atol=1e-6)
    flags = estimate().ancil["flags"]
    beyond = 1 - inside > Flag.EDGE_PDF.threshold
    assert ((flags & int(Flag.EDGE_PDF)) != 0)[beyond].all()
    others = ~int(Flag.EDGE_PDF)
    assert (flags & others == np.asarray(expected.flags) & others).all()
    assert {"ood_score", "p_star", "redshift"} <= estimate().ancil.keys()
    assert estimate().ancil["zmode"].shape == (200,)  # as summarizers want it


def test_the_command_line_gives_the_same(model, folder):
    table, config = folder / "few.hdf5", folder / "config.yml"
    tables_io.write({"photometry": photometry(VALIDATION)}, str(table))
    options = {"nzbins": 201, "zmax": 2.0}
    config.write_text(yaml.safe_dump({"few": options}))
    command = AnyBandEstimator.generate_command(
        {"model": model.path, "input": str(table)},
        str(config),
        {"output": str(folder / "few_output.hdf5")},
        instance_name="few",
    )
    program, *arguments = command.split()
    assert program == "python3"
    assert arguments[:3] == ["-m", "ceci", "rail.mantis_astro.AnyBandEstimator"]
    subprocess.run([sys.executable, *arguments], check=True, cwd=folder)
    written = qp.read(str(folder / "few_output.hdf5"))
    ours = run(
        AnyBandEstimator, "estimate", photometry(VALIDATION), model=model, **options
    )
    # qp divides by the integral again when it reads
    yvals = written.objdata["yvals"], ours().objdata["yvals"]
    assert np.allclose(*yvals, rtol=1e-12, atol=1e-300)
    assert np.ravel(written.metadata["xvals"])[[0, -1]].tolist() == [0, 2]


def test_a_pipeline_runs(folder):
    informer = AnyBandInformer.make_stage(name="inform_all", method="none")
    estimator = AnyBandEstimator.make_stage(name="estimate_all")
    estimator.connect_input(informer, inputTag="model")
    pipeline = ceci.Pipeline.interactive()
    for stage in (informer, estimator):
        pipeline.add_stage(stage)
    pipeline.initialize(
        {"input": VALIDATION},
        {"output_dir": str(folder), "log_dir": str(folder), "resume": False},
        None,
    )
    path = folder / "pipeline.yml"
    pipeline.save(str(path))
    status = ceci.Pipeline.read(str(path)).run()
    assert status == 0, "".join(log.read_text() for log in folder.glob("*.out"))
    assert qp.read(str(folder / "output_estimate_all.hdf5")).npdf == 10


def test_zero_points_are_found_and_taken_off(folder, model, monkeypatch):
    bands = get_bands(["lsst_baseline_g", "lsst_baseline_r"])
    points = ZeroPoints(
        bands, [0.3, -0.3] * u.mag, [0.01, 0.01] * u.mag, [0.0, 0.0], [90, 90], bands
    )
    monkeypatch.setattr(PhotoZ, "adapt", lambda *_, **__: points)
    table = photometry(VALIDATION)
    adapted = run(
        AnyBandInformer, "inform", table, method="adapt", start_model=model.path
    )
    assert adapted().zero_points is points
    assert "g +0.3" in str(points.apply(columns().read(table)[0]).meta["FLUXZERO"])
    # what is 0.3 mag too faint in g is what was without it
    shifted = table | {
        "mag_g_lsst": table["mag_g_lsst"] + 0.3,
        "mag_r_lsst": table["mag_r_lsst"] - 0.3,
    }
    plain, taken_off = (
        run(AnyBandEstimator, "estimate", galaxies, model=handle)().objdata["yvals"]
        for galaxies, handle in ((table, model), (shifted, adapted))
    )
    assert np.allclose(plain, taken_off, atol=1e-3 * plain.max())


def test_a_refit_is_kept_only_if_it_is_better():
    few = photometry(TRAINING, 40)
    refitted = run(AnyBandInformer, "inform", few, method="refit")
    assert refitted().photoz.card.name == "any-band"  # too few to show that


@pytest.mark.parametrize(
    ("stage", "options", "error", "message"),
    [
        (
            AnyBandInformer,
            {"method": "guess"},
            InputSpecError,
            "'method' must be one of",
        ),
        (
            AnyBandInformer,
            {"filters": ["ps1.g"]},
            InputSpecError,
            "each of the 6 'bands'",
        ),
        (
            AnyBandInformer,
            {"filters": ["u", "g", "r", "i", "z", "y"]},
            MissingBandError,
            "'u'",
        ),
        (AnyBandInformer, {"start_model": "none"}, InputSpecError, "no model"),
        (AnyBandInformer, {"bands": ["a"] * 6}, KeyError, "no column 'a'"),
        (AnyBandInformer, {"redshift_col": "z"}, KeyError, "z"),
    ],
)
def test_parameters_that_do_not_fit_an_informer(stage, options, error, message):
    with pytest.raises(error, match=message):
        run(stage, "inform", photometry(TRAINING), **options)


def test_a_representation_that_there_is_not(model):
    with pytest.raises(InputSpecError, match="'qp_representation' must be one of"):
        run(
            AnyBandEstimator,
            "estimate",
            photometry(VALIDATION),
            model=model,
            qp_representation="quant",
        )


def test_too_few_redshifts():
    with pytest.raises(InputSpecError, match="at least 20 galaxies"):
        run(AnyBandInformer, "inform", photometry(VALIDATION))


def test_galaxies_of_which_nothing_is_known_are_flagged(model):
    table = photometry(VALIDATION)
    for name in table:
        if name.startswith("mag_"):
            table[name][0] = np.nan
    found = run(AnyBandEstimator, "estimate", table, model=model)()
    assert found.ancil["flags"][0] & int(Flag.NO_DATA)
    assert not (found.ancil["flags"][1:] & int(Flag.NO_DATA)).any()


def test_rail_and_we_agree_on_points(estimate, z_spec):
    from rail.evaluation.metrics import pointestimates

    z = np.ravel(estimate().ancil["zmedian"])
    for ours, theirs in (
        (metrics.bias_median, pointestimates.PointBias),
        (metrics.sigma_iqr, pointestimates.PointSigmaIQR),
        (metrics.sigma_nmad, pointestimates.PointSigmaMAD),
        (metrics.rail_outlier_fraction, pointestimates.PointOutlierRate),
    ):
        assert ours(z, z_spec) == pytest.approx(
            theirs(z, z_spec).evaluate(), abs=1e-6
        ), theirs.__name__


def test_rail_and_we_agree_on_densities(estimate, z_spec):
    from rail.evaluation.dist_to_point_evaluator import DistToPointEvaluator

    known = z_spec < 3  # RAIL takes the last bin for those beyond
    ensemble, z_spec = estimate()[known], z_spec[known]
    pdf = RedshiftPDF.from_qp(ensemble)
    centres = (pdf.bin_edges[1:] + pdf.bin_edges[:-1]) / 2
    stage = DistToPointEvaluator.make_stage(
        name="evaluate",
        metrics=["cdeloss"],
        metric_config={"cdeloss": {"eval_grid": centres}},
        force_exact=True,
        hdf5_groupname="",
        output_mode="return",
    )
    found = stage.evaluate(ensemble, {"redshift": z_spec})
    theirs = float(np.ravel(found["summary"]()["cdeloss"])[0])
    # it integrates by trapezes, which leave half of the first and the last bin out
    ends = ensemble.pdf(centres[[0, -1]])
    theirs += np.mean((ends**2).sum(axis=1)) * np.diff(pdf.bin_edges)[0] / 2
    assert metrics.cde_loss(pdf, z_spec) == pytest.approx(theirs, abs=1e-6)
    pit = qp.metrics.pit.PIT(ensemble, z_spec)
    ours = np.asarray(metrics.pit(pdf, z_spec))
    assert np.allclose(ours, np.ravel(pit.pit_samps), atol=1e-6)
    theirs = pit.evaluate_PIT_KS().statistic
    assert metrics.pit_ks(ours) == pytest.approx(theirs, abs=1e-6)


def test_rail_sums_up_a_sample(estimate):
    summarizer = rail.stages.NaiveStackSummarizer
    found = run(summarizer, "summarize", estimate, n_samples=50)
    z = np.linspace(0, 3, 302)
    mean = np.asarray(estimate().pdf(z)).mean(axis=0)
    n_of_z = np.ravel(found["single_NZ"]().pdf(z))
    assert np.allclose(n_of_z, mean / np.trapezoid(mean, z), rtol=1e-6)
    samples = np.asarray(found["output"]().mean())
    assert len(samples) == 50
    assert 0 < samples.std() < 0.1  # the error of the mean redshift of 200 galaxies


def test_rail_counts_point_estimates(estimate):
    found = run(rail.stages.PointEstHistSummarizer, "summarize", estimate, n_samples=10)
    z = np.linspace(0.005, 2.995, 300)
    n_of_z = np.ravel(found["single_NZ"]().pdf(z))
    mean = (z * n_of_z).sum() / n_of_z.sum()
    assert mean == pytest.approx(estimate().ancil["zmode"].mean(), abs=0.01)


def test_rail_sums_up_tomographic_bins(estimate, z_spec):
    edges = [0.0, 0.5, 1.0, 3.0]
    bins = run(
        rail.stages.UniformBinningClassifier,
        "classify",
        estimate,
        zbin_edges=edges,
        point_estimate_key="zmedian",
    )
    from rail.estimation.algos.naive_stack import NaiveStackMaskedSummarizer

    z = np.linspace(0, 3, 302)
    means = []
    for number in range(3):
        found = run(
            NaiveStackMaskedSummarizer,
            "summarize",
            estimate,
            bins,
            n_samples=20,
            selected_bin=number,
        )
        n_of_z = np.ravel(found["single_NZ"]().pdf(z))
        means.append(np.trapezoid(z * n_of_z, z))
        assert found["output"]().npdf == 20
    assert all(
        low < mean < high
        for low, mean, high in zip(edges, means, edges[1:], strict=False)
    )
