"""The demonstration: from positions to p(z), against a sky on this machine."""

from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import QTable

from mantis_astro._optional import require

__all__ = ["run_demo"]


def run_demo(folder, *, n=12):
    """
    Fetch made galaxies from a local sky, predict, write tables and pictures.

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
    OSError
        If the folder cannot be written.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from mantis_astro.demo import run_demo
    >>> for line in run_demo("mantis_demo"):  # doctest: +SKIP
    ...     print(line)
    """
    require("matplotlib", extra="demo")
    from matplotlib.figure import Figure

    from mantis_astro import CutoutStore, PhotoZ, RedshiftPDF, SurveyCutouts
    from mantis_astro.plotting import plot_cutouts, plot_pdf
    from mantis_astro.services import conf
    from mantis_astro.simulation.server import LocalSky, mixed_faults
    from mantis_astro.table_io import write_table

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = _made_positions(n)
    faults = mixed_faults(0.1, kinds=(429, 503, "reset", "html"))
    with (
        LocalSky(seed=1, faults=faults) as sky,
        sky.configure(conf),
        conf.set_temp("backoff", 0.05),
        CutoutStore(folder / "cutouts", mode="a") as store,
    ):
        table["z_made"] = sky.redshifts(SkyCoord(table["ra"], table["dec"]))
        write_table(table, folder / "galaxies.ecsv", overwrite=True)
        yield f"{n} made galaxies in {folder / 'galaxies.ecsv'}"
        source = SurveyCutouts(store=store)
        photoz = PhotoZ.from_pretrained()
        table = photoz.add_redshifts(table, source)
        refused = sum(request.fault is not None for request in sky.requests)
        yield (
            f"{source.counts()['ok']} cutouts in {folder / 'cutouts'}, by "
            f"{len(sky.requests)} requests to a local sky, which refused or broke "
            f"{refused} of them on purpose"
        )
        galaxy = store.get(store.keys()[0])
    write_table(table, folder / "redshifts.ecsv", overwrite=True)
    yield f"redshifts in {folder / 'redshifts.ecsv'}:"
    names = ["name", "z_made", "z_median", "z_err68_low", "z_err68_high", "flags"]
    shown = table[names][:5]
    for name in names[1:-1]:
        shown[name].info.format = ".3f"
    yield from (f"    {line}" for line in shown.pformat(show_unit=False))

    figure = plot_cutouts(galaxy)
    figure.savefig(folder / "cutouts.png", dpi=120, bbox_inches="tight")
    figure = Figure(figsize=(7, 4), layout="constrained")
    first = slice(3)
    plot_pdf(
        RedshiftPDF.from_table(table)[first],
        table["z_made"][first],
        ax=figure.add_subplot(),
        labels=list(table["name"][first]),
    )
    figure.savefig(folder / "pdf.png", dpi=120)
    yield f"pictures in {folder / 'cutouts.png'} and {folder / 'pdf.png'}"


def _made_positions(n):
    """Scatter positions over an equatorial field, where all three surveys look."""
    rng = np.random.default_rng(20)
    table = QTable()
    table["name"] = [f"demo-{i:03}" for i in range(n)]
    table["ra"] = rng.uniform(150, 151, n)
    table["dec"] = rng.uniform(1.5, 2.5, n)
    table["ebv"] = np.zeros(n)  # the made sky has no dust
    for name in ("ra", "dec"):
        table[name].unit = "deg"
        table[name].info.format = ".5f"
    table["ebv"].unit = "mag"
    return table
