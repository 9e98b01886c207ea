"""How `photoz_peers.py` calls each code: with its documented defaults."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
import real_peers
from any_band import own_bands
from astropy.table import Table
from real_catalogs import REAL_DATA, fluxes, magnitudes

from mantis_astro import PhotoZ, RedshiftPDF
from mantis_astro.bands import get_band
from mantis_astro.fluxes import get_filter
from mantis_astro.training import finetune, train_photometric

N_GRID = 301  # redshifts, RAIL's default
STEP = 0.004  # of bins in ln(1 + z), for those without bins of their own
TEMPLATES = REAL_DATA / "templates" / "eazy"
NOT_DETECTED, NOT_OBSERVED = 99.0, -99.0


@dataclass(frozen=True)
class Code:
    """
    A way to redshifts.

    ``run(training, galaxies, z_max, model)`` returns p(z) of the galaxies, and seconds
    of a processor to learn and to estimate; ``training`` is None if it ``learns`` not.
    """

    run: Callable
    learns: bool = True
    is_ours: bool = False


def _timed(function):
    start = time.process_time()
    result = function()
    return result, time.process_time() - start


def run_any_band(_, galaxies, __, model):
    """Ours as it is."""
    photoz = _load(model)
    own = own_bands(galaxies)
    pdf, seconds = _timed(lambda: photoz.predict(own, ebv=galaxies["ebv"]))
    return pdf, 0, seconds


def run_finetuned(training, galaxies, _, model):
    """Ours, fine-tuned with its defaults."""
    own, z = own_bands(training), np.asarray(training["z_spec"])
    (photoz, _), learning = _timed(
        lambda: finetune(_load(model), own, z, ebv=np.asarray(training["ebv"]))
    )
    return run_tuned(photoz, galaxies, learning)


def run_trained(training, galaxies, z_max, _):
    """Ours for the bands of the table alone, from nothing, with its defaults."""
    own, z = own_bands(training), np.asarray(training["z_spec"])
    ebv = np.asarray(training["ebv"])
    (photoz, _), learning = _timed(
        lambda: train_photometric(own, z, ebv=ebv, z_max=float(z_max))
    )
    return run_tuned(photoz, galaxies, learning)


def run_tuned(photoz, galaxies, learning):
    pdf, seconds = _timed(
        lambda: photoz.predict(own_bands(galaxies), ebv=galaxies["ebv"])
    )
    return pdf, learning, seconds


def _load(model):
    load = PhotoZ.from_file if Path(model).suffix else PhotoZ.from_pretrained
    return load(model)


def run_forest(training, galaxies, z_max, _):
    """200 trees on magnitudes and colours, as in `real_peers.py`."""
    edges = np.expm1(np.arange(0, np.log1p(z_max) + STEP, STEP))
    # usual colours, which stand for missing ones, are those of all the galaxies
    features = real_peers.colour_features(
        np.concatenate([magnitudes(training), magnitudes(galaxies)])
    )
    n, z = len(training), np.asarray(training["z_spec"])
    pdf, seconds = _timed(
        lambda: real_peers.forest_pdf(features[:n], z, features[n:], edges)
    )
    return pdf, seconds, 0


def run_flexzboost(training, galaxies, z_max, _):
    """RAIL's FlexZBoost."""
    from rail.estimation.algos import flexzboost as code

    stages = code.FlexZBoostInformer, code.FlexZBoostEstimator
    return _run_rail(stages, training, galaxies, z_max)


def run_neighbours(training, galaxies, z_max, _):
    """RAIL's nearest neighbours."""
    from rail.estimation.algos import k_nearneigh as code

    stages = code.KNearNeighInformer, code.KNearNeighEstimator
    return _run_rail(stages, training, galaxies, z_max)


def run_gpz(training, galaxies, z_max, _):
    """RAIL's GPz."""
    from rail.estimation.algos import gpz as code

    np.random.seed(0)  # noqa: NPY002  what it splits its training set with
    options = {"replace_error_vals": [0.1] * len(training.meta["bands"])}
    stages = code.GPzInformer, code.GPzEstimator
    return _run_rail(stages, training, galaxies, z_max, **options)


def run_bpz(_, galaxies, z_max, __):
    """RAIL's BPZ: eight templates and the prior of HDF-N."""
    from rail.estimation.algos import bpz_lite as code
    from rail.utils.path_utils import find_rail_file

    bands = [
        band for band in galaxies.meta["bands"] if get_band(band).pivot < 2.4 * u.um
    ]
    galaxies = galaxies.copy()
    galaxies.meta["bands"] = bands  # the templates end at 2.56 micron
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        sed = Path(find_rail_file("examples_data/estimation_data/data/SED/CWWSB4.list"))
        shutil.copytree(sed.parent, data / "SED")
        (data / "AB").mkdir()
        (data / "FILTER").mkdir()
        for band in bands:
            wavelength, transmission = _curve(band)
            curve = np.stack([wavelength, transmission], axis=1)
            np.savetxt(data / "FILTER" / f"{_plain(band)}.res", curve)
        options = {
            "bpz_ref_data_path": str(data),
            "filter_list": [_plain(band) for band in bands],
            "zp_errors": [0.1] * len(bands),
            "zp_offsets": [0.0] * len(bands),
        }
        stages = code.BPZliteInformer, code.BPZliteEstimator
        return _run_rail(
            stages, galaxies[:1], galaxies, z_max, absent=NOT_OBSERVED, **options
        )


def _run_rail(stages, training, galaxies, z_max, *, absent=NOT_DETECTED, **options):
    """Inform and estimate in memory, by RAIL's defaults unless something is said."""
    bands = galaxies.meta["bands"]
    columns = [f"mag_{_plain(band)}" for band in bands]
    faintest = np.nanmax(magnitudes(training), axis=0)
    given = {
        "bands": columns,
        "err_bands": [f"{name}_err" for name in columns],
        "ref_band": f"mag_{_plain(galaxies.meta['bright'])}",
        # what is put where nothing was detected
        "mag_limits": dict(
            zip(columns, np.nan_to_num(faintest, nan=30.0), strict=True)
        ),
        "redshift_col": "z_spec",
        "hdf5_groupname": "",
        "zmin": 0.0,
        "zmax": float(z_max),
        "nzbins": N_GRID,
        "output_mode": "return",
        **options,
    }
    informer, estimator = (
        stage.make_stage(
            name=stage.name,
            **{k: v for k, v in given.items() if k in stage.config_options},
        )
        for stage in stages
    )
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        table = _as_rail(training, columns, absent)
        model, learning = _timed(lambda: informer.inform(table))
        estimator.config["model"] = model
        table = _as_rail(galaxies, columns, absent)
        table.pop("z_spec")
        handle, seconds = _timed(lambda: estimator.estimate(table))
    return from_qp(handle(), z_max), learning, seconds


def _as_rail(table, columns, absent):
    """Magnitudes and their errors as RAIL's tables have them."""
    flux, flux_err = fluxes(table)
    mags = magnitudes(table)
    there = np.isfinite(mags)
    with np.errstate(all="ignore"):
        errors = 2.5 / np.log(10) * flux_err / flux
    errors = np.where(np.isfinite(errors), errors, 0.1)  # not known
    data = {"z_spec": np.asarray(table["z_spec"], float)}
    for j, name in enumerate(columns):
        data[name] = np.where(there[:, j], mags[:, j], absent)
        data[f"{name}_err"] = np.where(there[:, j], errors[:, j], absent)
    return data


def from_qp(ensemble, z_max):
    """Densities on RAIL's grid."""
    z = np.linspace(0, z_max, N_GRID)
    edges = np.concatenate([z[:1], (z[1:] + z[:-1]) / 2, z[-1:]])
    if ensemble.gen_class.name == "interp":
        z, density = np.ravel(ensemble.metadata["xvals"]), ensemble.objdata["yvals"]
        density = np.maximum(np.nan_to_num(density), 0)
        return RedshiftPDF.from_grid(z, density, bin_edges=edges, bad="flag")
    return RedshiftPDF.from_qp(ensemble, edges, bad="flag")


def run_eazy(_, galaxies, z_max, __):
    """eazy-py with its default templates; without its prior, which is one of F160W."""
    import eazy.photoz

    bands, here = galaxies.meta["bands"], Path.cwd()
    flux, error = fluxes(galaxies)
    error = np.where(np.isfinite(error), error, 0.1 * flux)
    absent = ~np.isfinite(flux)
    columns = {"id": np.arange(len(galaxies))}
    names = [], []
    for j, band in enumerate(bands):
        columns[f"f_{_plain(band)}"] = np.where(absent[:, j], NOT_OBSERVED, flux[:, j])
        columns[f"e_{_plain(band)}"] = np.where(absent[:, j], NOT_OBSERVED, error[:, j])
        names[0].extend([f"f_{_plain(band)}", f"e_{_plain(band)}"])
        names[1].extend([f"F{j + 1}", f"E{j + 1}"])
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(TEMPLATES, Path(folder) / "templates" / "fsps_full")
        _write_filters(Path(folder) / "FILTER.RES", bands)
        parameters = {
            "CATALOG_FILE": Table(columns),
            "FILTERS_RES": "FILTER.RES",
            "TEMPLATES_FILE": "templates/fsps_full/tweak_fsps_QSF_12_v3.param",
            "TEMP_ERR_FILE": "templates/fsps_full/TEMPLATE_ERROR.eazy_v1.0",
            "PRIOR_ABZP": 31.4,  # of nJy
            "APPLY_PRIOR": "n",
            "Z_MAX": float(z_max),
            "NOT_OBS_THRESHOLD": NOT_OBSERVED + 1e-3,
        }
        translate = Table([names[0], names[1]], names=("column", "trans"))
        os.chdir(folder)  # where it looks for its files
        try:
            with (
                open(os.devnull, "w") as nowhere,  # noqa: PTH123
                contextlib.redirect_stdout(nowhere),
            ):
                fit, seconds = _timed(lambda: _fit_eazy(eazy, parameters, translate))
        finally:
            os.chdir(here)
    z = np.asarray(fit.zgrid, float)
    lnp = np.nan_to_num(np.asarray(fit.lnp, float), nan=-np.inf)
    best = lnp.max(axis=1, keepdims=True)
    density = np.exp(lnp - np.where(np.isfinite(best), best, 0))
    return RedshiftPDF.from_grid(z, density, bad="flag"), 0, seconds


def _fit_eazy(eazy, parameters, translate):
    fit = eazy.photoz.PhotoZ(
        param_file=None,
        translate_file=translate,
        params=parameters,
        load_prior=False,
        n_proc=-1,  # no processes of its own
    )
    fit.fit_catalog(n_proc=0, prior=False, beta_prior=False)
    return fit


def _write_filters(path, bands):
    """Curves in the format of eazy's list of filters."""
    lines = []
    for band in bands:
        wavelength, transmission = _curve(band)
        pivot = get_band(band).pivot.to_value(u.AA)
        lines.append(f"{len(wavelength)} {_plain(band)} lambda_c= {pivot:.1f}")
        lines += [
            f"{i} {w:.3f} {t:.6g}"
            for i, (w, t) in enumerate(zip(wavelength, transmission, strict=True), 1)
        ]
    path.write_text("\n".join(lines) + "\n")


def _curve(band):
    """Wavelengths in Angstrom and transmission, of at most 300 points."""
    curve = get_filter(get_band(band))
    wavelength, transmission = (
        np.asarray(x, float) for x in (curve.wavelength, curve.transmission)
    )
    if len(wavelength) > 300:
        fewer = np.linspace(wavelength[0], wavelength[-1], 300)
        wavelength, transmission = fewer, np.interp(fewer, wavelength, transmission)
    return wavelength, np.maximum(transmission, 0)


def _plain(band):
    return str(band).replace(".", "_")


METHODS = {
    "any-band": Code(run_any_band, learns=False, is_ours=True),
    "eazy-py": Code(run_eazy, learns=False),
    "BPZ": Code(run_bpz, learns=False),
    "any-band, fine-tuned": Code(run_finetuned, is_ours=True),
    "own bands": Code(run_trained, is_ours=True),
    "FlexZBoost": Code(run_flexzboost),
    "GPz": Code(run_gpz),
    "neighbours": Code(run_neighbours),
    "forest": Code(run_forest),
}
