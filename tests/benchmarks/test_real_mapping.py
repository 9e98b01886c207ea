"""Colour terms bring fluxes of one survey to those of another."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("kcorrect")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def programs(monkeypatch):
    """Modules of the benchmark, which are of the program and not of the package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import real_catalogs
    import real_mapping

    yield real_catalogs, real_mapping
    for name in [n for n in sys.modules if n.startswith("real_")]:
        del sys.modules[name]


def test_simulated_galaxies_in_des_become_those_in_pan_starrs(programs):
    catalogs, mapping = programs
    from mantis_astro.simulation import GalaxyPopulation

    catalogs.register_surveys()
    pairs = {f"ps1.{b.lower()}": f"des.{b}" for b in "grizY"}
    bands = (*pairs.values(), *pairs)
    sample = GalaxyPopulation(9, bands=bands, template_error=0.0).draw(500)
    table = catalogs._start(np.zeros(500), np.zeros(500), sample.z)
    for band, flux in zip(bands[:5], sample.flux.T, strict=False):
        catalogs._add(table, band, flux, 0.01 * flux)
    table = catalogs._finish(
        table,
        name="made",
        bands=" ".join(bands[:5]),
        bright="des.i",
        nine=pairs,
        cells=np.zeros(500),
        folds=np.zeros(500),
        by="nothing",
    )
    mapped = mapping.with_colour_terms(table, n=5000)
    truth = sample.flux[:, 5:]

    def scatter(read):
        flux, _ = catalogs.fluxes(read, tuple(pairs))
        error = np.abs(2.5 * np.log10(flux / truth))
        return np.percentile(error, 68, axis=0)

    renamed = scatter(catalogs.as_nine_bands(table))
    with_terms = scatter(mapped)
    assert (with_terms < renamed / 3).all()
    assert with_terms.max() < 0.03  # mag
