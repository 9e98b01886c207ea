"""Real data: tables of fluxes, and cutouts of a store, split by sky."""

import logging

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord
from astropy.table import QTable

from mantis_astro import CutoutStore
from mantis_astro.bands import BANDS
from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import (
    CommonGrid,
    EarlyFusionConfig,
    EncoderConfig,
    InputSpec,
)
from mantis_astro.models.inputs import PUBLISHED_BANDS
from mantis_astro.models.stretches import FluxAsinhStretch
from mantis_astro.tables import write_table
from mantis_astro.training import SkySplit, StoreData, TableData, train
from tests.made import make_galaxy

SPEC = InputSpec(
    PUBLISHED_BANDS, CommonGrid((16, 16), 1.0), (FluxAsinhStretch(300.0),) * 9
)


def test_a_table_is_split_by_sky(toy, tmp_path):
    table = toy.table(600)
    table["ebv_csfd"], table["ebv_planck"] = 0.02 * u.mag, 0.03 * u.mag
    table["z_spec"][:5] = np.nan
    table["flux_ps1_g"][5:8] = np.nan
    table["flux_ps1_r"][7] = np.nan
    write_table(table, tmp_path / "t.fits")
    source = TableData(str(tmp_path / "t.fits"), ebv=("ebv_csfd", "ebv_planck"))
    data = source.open(toy.config())
    counts = {part: len(rows) for part, rows in data.rows.items()}
    assert sum(counts.values()) == 600 - 6
    assert 40 < counts["validation"] < 80
    batch = data.batch(0, 100)
    assert torch.equal(batch.ebv, torch.tensor([[0.02, 0.03]]).expand(100, 2))
    assert data.description == f"594 rows of {tmp_path / 't.fits'}"


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"z_spec": "zz"}, KeyError, "no column 'zz'; there are"),
        ({"ebv": ("a", "b", "c")}, InputSpecError, "one for each of"),
    ],
)
def test_columns_that_are_not_there(toy, tmp_path, options, error, match):
    write_table(toy.table(10), tmp_path / "t.fits")
    with pytest.raises(error, match=match):
        TableData(str(tmp_path / "t.fits"), **options).open(toy.config())


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Thirty galaxies, one of them without anything, one not in the store."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    n = 30
    coords = SkyCoord(rng.uniform(0, 360, n), rng.uniform(-25, 80, n), unit="deg")
    galaxies = [
        make_galaxy(coord, seed=i, amplitude=100.0 + 30 * i)
        for i, coord in enumerate(coords)
    ]
    galaxies[3] = galaxies[3].select(BANDS[2:7])
    with CutoutStore(folder / "store", "a") as writing:
        for i in range(n - 1):
            if i != 7:
                writing.add(f"g{i}", coords[i], galaxies[i])
    table = QTable({"coord": coords, "name": [f"g{i}" for i in range(n)]})
    table["z_spec"] = rng.uniform(0, 0.99, n)
    table["z_spec"][5] = np.nan
    write_table(table, folder / "table.ecsv")
    return folder, galaxies, table


def config_of(toy, **options):
    network = EarlyFusionConfig(
        EncoderConfig(9, (1,), (8,), kernel_size=3, patch_size=4), 20, hidden=8
    )
    return toy.config(network=network, spec=SPEC, **options)


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-6), ("float16", 2e-3)])
def test_cutouts_are_prepared_as_for_prediction(toy, store, dtype, rtol, caplog):
    folder, galaxies, table = store
    source = StoreData(
        str(folder / "store"),
        str(folder / "table.ecsv"),
        dtype=dtype,
        split=SkySplit(validation=0.2, test=0.0),
    )
    with caplog.at_level(logging.INFO, "mantis_astro"):
        data = source.open(config_of(toy))
    told = caplog.messages
    assert "1 rows have no redshift or no position" in told
    assert "NO_DATA: 2 of 29, left out" in told
    assert any(line.startswith("MISSING_GALEX: 3 of 29, kept") for line in told)
    assert sum(len(rows) for rows in data.rows.values()) == 27
    rows = data.rows["train"]
    batch = data.take(rows).encoded(SPEC)
    place = {z: i for i, z in enumerate(table["z_spec"])}
    chosen = [galaxies[place[z]] for z in batch.z.tolist()]
    expected = SPEC.to_tensor(chosen)
    torch.testing.assert_close(batch.images, expected.images, rtol=rtol, atol=rtol)
    torch.testing.assert_close(batch.ebv, expected.ebv)


def test_what_is_prepared_is_not_prepared_again(toy, store, monkeypatch):
    folder, *_ = store
    source = StoreData(
        str(folder / "store"),
        str(folder / "table.ecsv"),
        key="name",
        cache=str(folder / "cache"),
    )
    first = source.open(config_of(toy)).batch(0, 8)

    def fail(*args):
        raise AssertionError

    monkeypatch.setattr("mantis_astro.training.data.stores.write_cache", fail)
    again = source.open(config_of(toy)).batch(0, 8)
    assert torch.equal(first.images[0], again.images[0])


def test_a_network_is_trained_on_a_store(toy, store, tmp_path):
    folder, *_ = store
    source = StoreData(str(folder / "store"), str(folder / "table.ecsv"))
    config = config_of(toy, data=source, n_steps=3, batch_size=8, amp="bf16")
    result = train(config, tmp_path, progress=False)
    assert result.photoz.predict(make_galaxy()).shape == ()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"drop": ("NO_DATUM",)}, "'drop' must name flags: no flag"),
        ({"dtype": "int8"}, "'dtype' must be 'float32' or 'float16'"),
    ],
)
def test_options_of_stores_are_checked(options, match):
    with pytest.raises(InputSpecError, match=match):
        StoreData("store", "table.fits", **options)


def test_kinds_of_data_do_not_mix(toy):
    with pytest.raises(InputSpecError, match="table_data has no images"):
        TableData("t.fits").open(config_of(toy))
    with pytest.raises(InputSpecError, match="store_data has images"):
        StoreData("s", "t.fits").open(toy.config())
