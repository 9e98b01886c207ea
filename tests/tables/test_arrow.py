"""What goes to Parquet is what astropy writes, to the last fact."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable

from mantis_astro.tables.arrow import to_arrow

parquet = pytest.importorskip("pyarrow.parquet")


def make_table(n=12):
    rng = np.random.default_rng(0)
    table = QTable({"id": np.arange(n), "name": [f"g{i}" for i in range(n)]})
    mask = np.arange(3 * n).reshape(n, 3) == 3 * n - 2  # in the last row
    table["pz"] = MaskedColumn(
        rng.random((n, 3)).astype("f4"), mask=mask, description="p(z)"
    )
    table["whole"] = MaskedColumn(rng.random((n, 2)), mask=False)
    table["used"] = rng.random((n, 4)) > 0.5
    table["cube"] = rng.random((n, 2, 2)).astype(">f4")
    table["flux"] = rng.random((n, 2)) * u.Jy
    table["n"] = MaskedColumn(np.arange(n), mask=np.arange(n) == 5)
    table["place"] = SkyCoord(rng.random(n), rng.random(n), unit="deg")
    table.meta["bins"] = [1, 2]
    return table


@pytest.mark.parametrize("rows", [slice(None), slice(1), slice(0), slice(-1, None)])
@pytest.mark.parametrize("columns", [None, ["pz", "used"], ["id", "name"]])
def test_the_file_is_that_of_astropy(tmp_path, rows, columns):
    table = make_table()[rows]
    table = table if columns is None else table[columns]
    table.write(tmp_path / "table.parquet", format="parquet")
    theirs = parquet.ParquetFile(tmp_path / "table.parquet").read()
    ours = to_arrow(table)
    assert ours.schema.equals(theirs.schema, check_metadata=True)
    assert ours.equals(theirs)
