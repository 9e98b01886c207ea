import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from mantis_astro import get_band
from mantis_astro.cutouts import NO_COVERAGE, OK, failed
from mantis_astro.services.report import Ledger
from mantis_astro.services.stack_list import StackFile

G, W1 = get_band("ps1.g"), get_band("unwise.W1")
COORDS = SkyCoord([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], unit="deg")


def make_url(ra, dec, band, file, source):
    assert source == 0
    return f"{band} {ra} {dec} {file.filename if file else ''}".strip()


@pytest.fixture
def ledger():
    ledger = Ledger(COORDS, (G, W1))
    ledger.note(0, G, OK, file=StackFile(1366, 15, "/s/1366/015/s.1366.015.g.fits"))
    ledger.note(0, W1, NO_COVERAGE)
    ledger.note(1, G, failed("time-out"))
    ledger.note(1, W1, OK)
    ledger.note_local(1, [W1])
    return ledger


def test_every_band_is_in_one_state(ledger):
    assert ledger.counts() == {"ok": 2, "no_coverage": 1, "failed": 1, "pending": 2}
    assert ledger.status(0, G) == OK
    assert ledger.status(0, W1) == NO_COVERAGE
    assert ledger.status(1, G) == failed("time-out")
    assert ledger.status(2, G) is None


def test_the_report_has_the_columns_of_a_mast_manifest(ledger):
    table = ledger.to_table(make_url, "/data/store")
    assert table.colnames[:4] == ["Local Path", "Status", "Message", "URL"]
    assert table["Status"].tolist() == [
        "ok",
        "no_coverage",
        "failed",
        "ok",
        "pending",
        "pending",
    ]
    assert table["Message"][2] == "time-out"
    assert table["Local Path"].tolist() == ["", "", "", "/data/store", "", ""]
    assert table["object"].tolist() == [0, 0, 1, 1, 2, 2]
    assert table["band"].tolist() == ["ps1.g", "unwise.W1"] * 3


def test_addresses_are_made_again_from_the_skycell(ledger):
    table = ledger.to_table(make_url, "")
    assert table["URL"][0] == "ps1.g 1.0 4.0 /s/1366/015/s.1366.015.g.fits"
    assert table["URL"][1] == "unwise.W1 1.0 4.0"


def test_a_file_with_another_kind_of_name_is_kept_as_it_is(ledger):
    odd = StackFile(9, 8, "/elsewhere/x.fits")
    ledger.note(2, G, OK, file=odd)
    assert "/elsewhere/x.fits" in ledger.to_table(make_url, "")["URL"][4]


def test_failed_and_pending_are_what_is_missing(ledger):
    missing = ledger.missing()
    coords, bands = missing
    np.testing.assert_array_equal(missing.index, [1, 2])
    np.testing.assert_array_equal(coords.ra.deg, [2, 3])
    assert bands == (G, W1)
    assert len(missing) == 2


def test_nothing_is_missing_when_all_is_final():
    ledger = Ledger(COORDS[:1], (G,))
    ledger.note(0, G, NO_COVERAGE)
    coords, bands = ledger.missing()
    assert len(coords) == 0
    assert bands  # so that it can be fed straight back, and asks for nothing
