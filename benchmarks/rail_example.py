"""
RAIL's own estimators and ours on RAIL's example data, in one run of its stages.

All rows of the files for training (10,225) and validation (20,449) of DC2 that come
with pz-rail-base. Stages have their defaults: bands, grid of redshifts, and how each
code learns, seeds included. p(z) are compared as histograms
around the 301 redshifts of RAIL's grid. RAIL's evaluators judge the same histograms as
`mantis_astro.metrics`; ``rail_differs`` is the largest difference of a metric that both
have: bias, sigma_iqr, sigma_nmad, RAIL's rate of outliers, the CDE loss, each PIT and
its distance from uniform.

It needs the environment of `photoz_peers.py`, and ``OMP_NUM_THREADS=1
LOKY_MAX_CPU_COUNT=1``, as seconds are of the processor.
"""

import contextlib
import io
import shutil
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from astropy.table import Table
from harness import run
from peer_codes import N_GRID, from_qp

from mantis_astro import metrics

Z_MAX = 3.0  # of RAIL's grid
FILES = "examples_data/testdata/test_dc2_{}_9816.hdf5"
CODES = {
    "any-band": ("AnyBand", {"method": "none"}),
    "any-band, fine-tuned": ("AnyBand", {}),
    "FlexZBoost": ("FlexZBoost", {}),
    "GPz": ("GPz", {}),
    "KNearNeigh": ("KNearNeigh", {}),
    "BPZlite": ("BPZlite", {}),
}
UNSEEN = {"any-band", "BPZlite"}  # have learnt no redshift of the sample


def read_example(kind, n):
    """At most n rows of a file of RAIL, column by column, and where the file is."""
    import tables_io
    from rail.utils.path_utils import find_rail_file

    table = tables_io.read(find_rail_file(FILES.format(kind)))["photometry"]
    size = len(table["redshift"])
    rows = np.linspace(0, size - 1, min(n or size, size)).astype(int)
    return {name: np.asarray(column)[rows] for name, column in table.items()}


def run_stages(name, training, galaxies, options):
    """Inform and estimate; returns p(z) and seconds of the processor of each."""
    import rail.stages

    given = {"hdf5_groupname": "", "output_mode": "return", **options}
    informer, estimator = (
        _make(getattr(rail.stages, f"{name}{kind}"), given)
        for kind in ("Informer", "Estimator")
    )
    np.random.seed(0)  # noqa: NPY002  by which GPz splits its training set
    start = time.process_time()
    model = informer.inform(training)
    learnt = time.process_time()
    estimator.config["model"] = model
    ensemble = estimator.estimate(galaxies)()
    return ensemble, learnt - start, time.process_time() - learnt


def _make(stage, options):
    known = {k: v for k, v in options.items() if k in stage.config_options}
    return stage.make_stage(name=stage.name, **known)


def judged_by_rail(ensemble, z):
    """What RAIL's evaluators say of densities and of their medians."""
    import qp
    import rail.stages

    given = {"hdf5_groupname": "", "output_mode": "return", "force_exact": True}
    ensemble.set_ancil({"zmedian": np.ravel(ensemble.median())})
    # at the edges themselves a histogram of qp has the density beyond
    grid = np.clip(np.linspace(0, Z_MAX, N_GRID), 1e-9, Z_MAX - 1e-9)
    stage = rail.stages.DistToPointEvaluator.make_stage(
        name="densities",
        metrics=["cdeloss"],
        metric_config={"cdeloss": {"eval_grid": grid}},
        **given,
    )
    found = dict(stage.evaluate(ensemble, {"redshift": z})["summary"]())
    names = ("point_bias", "point_stats_iqr", "point_stats_sigma_mad")
    stage = rail.stages.PointToPointEvaluator.make_stage(
        name="points",
        metrics=[*names, "point_outlier_rate"],
        point_estimate_key="zmedian",
        **(given | {"hdf5_groupname": "all"}),
    )
    found |= stage.evaluate(ensemble, {"all": {"redshift": z}})["summary"]()
    pit = qp.metrics.pit.PIT(ensemble, z)
    values = {name: float(np.ravel(value)[0]) for name, value in found.items()}
    values["pit_ks"] = float(pit.evaluate_PIT_KS().statistic)
    return values, np.ravel(pit.pit_samps)


def judged_by_us(pdf, z):
    """The same by `mantis_astro.metrics`, by the names that RAIL has."""
    point, pit = pdf.median().value, np.asarray(metrics.pit(pdf, z))
    values = {
        "cdeloss": metrics.cde_loss(pdf, z),
        "point_bias": metrics.bias_median(point, z),
        "point_stats_iqr": metrics.sigma_iqr(point, z),
        "point_stats_sigma_mad": metrics.sigma_nmad(point, z),
        "point_outlier_rate": metrics.rail_outlier_fraction(point, z),
        "pit_ks": metrics.pit_ks(pit),
    }
    return {name: float(value) for name, value in values.items()}, pit


def measure(code, training, galaxies):
    """One row: how good a code is, what it costs, and how far RAIL judges else."""
    name, options = CODES[code]
    z = galaxies["redshift"]
    with tempfile.TemporaryDirectory() as folder:
        if name == "BPZlite":
            options = {"bpz_ref_data_path": _copied_templates(folder)}
        with contextlib.redirect_stdout(io.StringIO()):
            ensemble, *seconds = run_stages(name, training, galaxies, options)
    pdf = from_qp(ensemble, Z_MAX)
    inside = z < Z_MAX
    pdf, z = pdf[inside], z[inside]
    (ours, pit), (theirs, their_pit) = judged_by_us(pdf, z), _rails(pdf, z)
    differences = [abs(ours[key] - theirs[key]) for key in ours]
    differences.append(np.abs(pit - their_pit).max())
    point = pdf.median().value
    shares = [metrics.outlier_fraction(point, z, threshold=x) for x in (0.05, 0.15)]
    numbers = (ours["point_stats_sigma_mad"], *shares, ours["cdeloss"])
    learnt = "nothing of it" if code in UNSEEN else "training file"
    crps = float(metrics.crps(pdf, z))
    return (code, learnt, len(z), *numbers, crps, *seconds, max(differences))


def _rails(pdf, z):
    with contextlib.redirect_stdout(io.StringIO()):
        return judged_by_rail(pdf.to_qp(), z)


def _copied_templates(folder):
    """RAIL's data for BPZ where it may write its tables."""
    from rail.utils.path_utils import find_rail_file

    data = Path(find_rail_file("examples_data/estimation_data/data/SED/CWWSB4.list"))
    return shutil.copytree(data.parents[1], Path(folder) / "data").as_posix()


def benchmark(short):
    """Run all codes; returns a table with a row for each."""
    try:
        import rail.stages
    except ImportError:
        return Table(
            names=["code"], dtype=[str], meta={"title": "RAIL is not installed"}
        )
    warnings.simplefilter("ignore")
    rail.stages.import_and_attach_all(silent=True)
    n = 400 if short else None
    training, galaxies = read_example("training", n), read_example("validation", n)
    rows = []
    for code, (name, _) in CODES.items():
        if hasattr(rail.stages, f"{name}Informer"):
            rows.append(measure(code, training, galaxies))
            print(*rows[-1], flush=True)
    names = ("code", "learnt", "n", "sigma_nmad", "beyond_005", "beyond_015")
    names += ("cde_loss", "crps", "fit_s", "estimate_s", "rail_differs")
    table = Table(rows=rows, names=names)
    for name in table.colnames[3:]:
        table[name].info.format = ".0f" if name.endswith("_s") else ".4f"
    table["rail_differs"].info.format = ".1e"
    table.meta["title"] = (
        f"RAIL's stages with their defaults, {len(training['redshift']):,} galaxies of "
        "DC2 to learn from"
    )
    return table


if __name__ == "__main__":
    run(benchmark, "rail_example")
