"""The demonstration: from positions to p(z), against a sky on this machine."""

from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord

from mantis_astro._optional import require
from mantis_astro.binned import as_redshift
from mantis_astro.flags import flag_names
from mantis_astro.metrics import delta_z

__all__ = ["SEED", "SURVEYS", "run_demo"]

_SHOWN = 12  # rows that are printed
_PICTURES = ("cutouts.png", "pdf.png", "redshifts.png")
_FILES = ("galaxies.ecsv", "redshifts.ecsv", "cutouts", *_PICTURES)
#: Surveys of the mix whose galaxies are as bright as those that have spectra.
SURVEYS = ("main", "bgs", "lrg")
#: Of the first dozens of seeds 1 to 8, one with the median error and the coverage of
#: 600 galaxies of seed 1 (``benchmarks/demo_sample.py``); seed 5 has them, too, and
#: none beyond 0.05. The first dozen of seed 1 has one of the two beyond 0.15.
SEED = 2
_MADE_BY = "mantis-astro demo"  # in the meta of galaxies.ecsv


def run_demo(folder, *, n=12):
    """
    Fetch simulated galaxies from a local sky, predict, write tables and pictures.

    The servers are real ones on the loopback of this machine, and they misbehave now
    and then as those of surveys do. Nothing else of the network is touched.

    Parameters
    ----------
    folder : str or path-like
        Where results go; made if it is not there.
    n : int, optional
        How many galaxies.

    Yields
    ------
    str
        What was done, a line at a time.

    Raises
    ------
    ValueError
        If there is no galaxy.
    OSError
        If the folder cannot be written, or holds files of these names that no earlier
        demonstration has written.
    ImportError
        If matplotlib or kcorrect is not installed.

    Examples
    --------
    >>> from mantis_astro.demo import run_demo
    >>> for line in run_demo("mantis_demo"):  # doctest: +SKIP
    ...     print(line)
    """
    if n < 1:
        msg = f"'n' must be at least 1 galaxy, got {n}"
        raise ValueError(msg)
    for name in ("matplotlib", "kcorrect"):
        require(name, extra="demo")
    from matplotlib.figure import Figure

    from mantis_astro import (
        CutoutStore,
        PhotoZ,
        RedshiftPDF,
        SimulatedSky,
        SurveyCutouts,
    )
    from mantis_astro.plotting import plot_cutouts, plot_pdf, plot_zz
    from mantis_astro.services import conf
    from mantis_astro.simulation import DEFAULT_MIX, LocalSky, mixed_faults
    from mantis_astro.tables import write_table

    folder = Path(folder)
    _require_own(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mix = tuple(survey for survey in DEFAULT_MIX if survey.name in SURVEYS)
    # spectra that no training saw
    galaxies = SimulatedSky(seed=SEED, donors="test", mix=mix)
    table = _observable(galaxies.catalog(n))
    table.meta["made_by"] = _MADE_BY
    write_table(table, folder / "galaxies.ecsv", overwrite=True)
    yield (
        f"{n} simulated galaxies in {folder / 'galaxies.ecsv'}, as SDSS and DESI pick "
        "them: main sample, bright galaxies, luminous red galaxies; picked from eight "
        "such samples as typical in errors and intervals"
    )
    faults = mixed_faults(0.1, kinds=(429, 503, "reset", "html"))
    with (
        LocalSky(galaxies, seed=1, faults=faults, lifetime=3600) as sky,
        sky.configure(conf),
        conf.set_temp("backoff", 0.05),
        CutoutStore(folder / "cutouts", mode="a") as store,
    ):
        source = SurveyCutouts(store=store)
        table = PhotoZ.from_pretrained().add_redshifts(table, source)
        refused = sum(request.fault is not None for request in sky.requests)
        counts = source.counts()
        yield (
            f"{counts['ok']} cutouts in {folder / 'cutouts'}, by {len(sky.requests)} "
            f"requests to a local sky, which refused or broke {refused} of them on "
            f"purpose and has no image of {counts['no_coverage']} bands"
        )
        brightest = table[np.argsort(table["mag_ps1_r"])]
        coords = SkyCoord(brightest["ra"], brightest["dec"])
        fetched = next(filter(None, map(store.find, coords)), None)
        galaxy = fetched and store[fetched]
    write_table(table, folder / "redshifts.ecsv", overwrite=True)
    yield f"redshifts in {folder / 'redshifts.ecsv'}, z_spec being the truth:"
    yield from _rows(table)
    yield _verdict(table)

    if not galaxy:
        yield "no image could be fetched, so there is none to show; run it again"
        return
    figure = plot_cutouts(galaxy)
    figure.savefig(folder / "cutouts.png", dpi=120, bbox_inches="tight")
    figure = Figure(figsize=(7, 4), layout="constrained")
    few = brightest[:3]
    plot_pdf(
        RedshiftPDF.from_table(few),
        few["z_spec"],
        ax=figure.add_subplot(),
        labels=[f"{row['name']}, r = {row['mag_ps1_r'].value:.1f}" for row in few],
    )
    figure.savefig(folder / "pdf.png", dpi=120)
    ax = plot_zz(table["z_median"], table["z_spec"])
    ax.figure.savefig(folder / "redshifts.png", dpi=120)
    yield f"pictures in {folder}: {', '.join(_PICTURES)}"
    yield "next:"
    for command, purpose in (
        (f"mantis-astro evaluate {folder / 'redshifts.ecsv'}", "how good they are"),
        ("mantis-astro flags", "what each flag says"),
        ("mantis-astro models", "which models there are"),
        ("mantis-astro predict --help", "the same for your table"),
    ):
        yield f"    {command:50}  {purpose}"


def _require_own(folder):
    """Refuse to replace files that no earlier demonstration wrote."""
    from mantis_astro.tables import read_table

    there = [name for name in _FILES if (folder / name).exists()]
    if not there:
        return
    try:
        made_by = read_table(folder / "galaxies.ecsv").meta.get("made_by")
    except (OSError, ValueError):
        made_by = None
    if made_by != _MADE_BY:
        msg = (
            f"{folder / there[0]} is not of an earlier demonstration, and would be "
            "replaced: give another folder"
        )
        raise FileExistsError(msg)


def _observable(catalog):
    """Select the observable columns of a catalogue, and the true redshift."""
    table = catalog["ra", "dec", "ebv", "mag_ps1_r", "z_spec"]
    table.add_column([f"demo-{i:03}" for i in catalog["id"]], name="name", index=0)
    return table


def _rows(table):
    """Show redshifts beside the truth."""
    names = ["mag_ps1_r", "z_spec", "z_median", "z_err68_low", "z_err68_high"]
    shown = table["name", *names][:_SHOWN]
    shown["flags"] = flag_names(table["flags"][:_SHOWN])
    shown["flags"].info.format = "<"
    for name in names:
        shown[name].info.format = ".3f" if name.startswith("z") else ".1f"
    lines = shown.pformat(max_lines=-1, max_width=-1, show_unit=False)
    yield from (f"    {line}" for line in lines)


def _verdict(table):
    """Describe the errors of the redshifts."""
    error = delta_z(table["z_median"], table["z_spec"])
    known = np.isfinite(error)
    if not known.any():
        return "no galaxy has a redshift"
    names = "z_spec", "z_err68_low", "z_err68_high"
    truth, low, high = (as_redshift(table[name]) for name in names)
    inside = np.count_nonzero((low <= truth) & (truth <= high))
    far = np.count_nonzero(abs(error[known]) > 0.05)
    return (
        f"median |z_median - z_spec| / (1 + z_spec): {np.median(abs(error[known])):.3f}"
        f"; {inside} of {np.count_nonzero(known)} true redshifts lie within the 68 % "
        f"interval, and {far} beyond 0.05. Of 600 others: 0.013, 74 %, 5 %, and 0.3 % "
        "beyond 0.15"
    )
