"""Numbers that pages state of ``any-band`` are those that were measured."""

import csv
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "docs" / "benchmarks" / "any_band.csv"
METHODS = ("untouched", "fine-tuned")
NUMBERS = ("sigma_nmad", "out_005", "out_015", "cov_68")
NAMES = {
    "SDSS griz": "SDSS griz",
    "SDSS": "SDSS",
    "zCOSMOS": "zCOSMOS",
    "Stripe 82": "Stripe 82",
    "hosts of bursts": "FRB hosts",
    "DC2": "DC2",
}
ROW = re.compile(r"\* - (\w.*)\n +- (\.0[\d ./]+)%\n +- (\.0[\d ./]+)%")

pytestmark = pytest.mark.skipif(not MEASURED.is_file(), reason="not in a checkout")


@pytest.mark.parametrize(
    ("page", "n"), [("README.rst", 3), ("docs/user/any_band.rst", 6)]
)
def test_a_table_has_the_numbers_of_the_benchmark(page, n):
    with MEASURED.open() as file:
        lines = (line for line in file if not line.startswith("#"))
        measured = {
            (row["sample"], row["method"]): row for row in csv.DictReader(lines)
        }
    rows = ROW.findall((ROOT / page).read_text())
    assert len(rows) == n
    for title, *cells in rows:
        sample = next(name for text, name in NAMES.items() if title.startswith(text))
        for method, cell in zip(METHODS, cells, strict=True):
            found = measured[sample, method]
            for name, text in zip(NUMBERS, cell.split("/"), strict=False):
                digits = len(text.strip().partition(".")[2])
                value = float(found[name]) * (1 if name == "sigma_nmad" else 100)
                assert abs(float(text) - value) <= 0.5001 * 10**-digits, (title, name)
