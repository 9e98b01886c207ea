"""A toy whose posterior is known: a redshift seen in two bands with Gaussian noise."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import QTable

from mantis_astro.models import PhotometricConfig, PhotometrySpec
from mantis_astro.training import (
    ArrayData,
    OptimizerConfig,
    TrainingConfig,
    ValidationConfig,
)

BANDS = ("ps1.g", "ps1.r")
N_BINS = 20
EDGES = tuple(np.linspace(0, 1, N_BINS + 1).round(9).tolist())
NOISE = 100.0


def toy_flux(z):
    """Flux of two bands, one of which falls with redshift while the other rises."""
    return np.stack([1000 * (1 - z), 1000 * z], 1)


def toy_arrays(n, seed=0, power=1.0):
    """Flux and error (n, 2, 2) and redshift (n,), of which z**power is uniform."""
    rng = np.random.default_rng(seed)
    z = rng.random(n) ** (1 / power) * 0.9999
    flux = toy_flux(z) + rng.normal(0, NOISE, (n, 2))
    return np.stack([flux, np.full_like(flux, NOISE)], 1), z


def toy_data(n=4000, **options):
    power = options.pop("power", 1.0)
    images, z = toy_arrays(n, power=power)
    parts = np.where(np.arange(n) % 5 == 0, "validation", "train")
    return ArrayData(
        images,
        np.ones((n, 2), bool),
        np.full((n, 2), 0.03),
        z,
        z_edges=EDGES,
        parts=parts,
        description="a toy",
        **options,
    )


def toy_config(**options):
    spec = PhotometrySpec(BANDS, (300.0, 300.0))
    defaults = {
        "name": "toy",
        "network": PhotometricConfig(6, N_BINS, widths=(32,), hidden=32),
        "spec": spec,
        "z_edges": EDGES,
        "n_steps": 60,
        "batch_size": 64,
        "n_workers": 0,
        "amp": "none",
        "log_every": 10,
        "checkpoint_every": 20,
        "optimizer": OptimizerConfig(learning_rate=5e-3, ema_decay=0.9),
        "validation": ValidationConfig(every=20),
    }
    return TrainingConfig(**defaults | options)


def toy_table(n=1000, seed=0):
    """Write it as a table, spread over the sky."""
    images, z = toy_arrays(n, seed)
    rng = np.random.default_rng(seed + 1)
    table = QTable({"z_spec": z, "ra": rng.uniform(0, 360, n)})
    table["dec"] = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    for j, band in enumerate(BANDS):
        name = band.replace(".", "_")
        table[f"flux_{name}"] = images[:, 0, j]
        table[f"flux_err_{name}"] = images[:, 1, j]
        table[f"flux_{name}"].unit = table[f"flux_err_{name}"].unit = "nJy"
    return table


@pytest.fixture(scope="session")
def toy():
    """All of the above."""
    return SimpleNamespace(
        arrays=toy_arrays,
        bands=BANDS,
        config=toy_config,
        data=toy_data,
        edges=EDGES,
        flux=toy_flux,
        noise=NOISE,
        table=toy_table,
    )
