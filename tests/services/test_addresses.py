import json

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from mantis_astro.services import SurveyCutouts
from mantis_astro.services.addresses import Addresses
from mantis_astro.services.request import degrees_text
from mantis_astro.services.stack_list import StackFile

POSITIONS = [(0.0, 0.0), (359.9999999, -89.5), (12.5, -0.25), (150.123456789, 2.2)]
FILE = StackFile(1234, 56, "/rings.v3.skycell/1234/056/stack.unconv.fits")


def in_text(ra, dec, band, file, source):
    where = f"{source}/{band}/{degrees_text(dec)}?ra={degrees_text(ra)}"
    return where if file is None else f"{where}&red={file.filename}"


def in_json(ra, dec, band, file, source):
    return f"{source}?wcs={json.dumps({'CRVAL1': ra, 'CRVAL2': dec})}"


def rounded(ra, dec, band, file, source):
    return f"{source}?ra={ra:.2f}&dec={dec:.2f}"


def by_skycell(ra, dec, band, file, source):
    return f"{source}?ra={degrees_text(ra)}&cell={file and file.projcell}"


@pytest.mark.parametrize("make_url", [in_text, in_json, rounded, by_skycell])
@pytest.mark.parametrize("file", [None, FILE])
def test_they_are_those_that_the_service_makes(make_url, file):
    address = Addresses(make_url)
    for ra, dec in POSITIONS:
        for band, source in (("g", 0), ("r", 0), ("g", 1)):
            expected = make_url(ra, dec, band, file, source)
            assert address(ra, dec, band, file, source) == expected


def test_a_service_is_asked_for_two_where_they_follow_from_a_pattern():
    asked = []

    def make_url(*args):
        asked.append(args)
        return in_text(*args)

    address = Addresses(make_url)
    for ra in np.linspace(0, 359, 500):
        address(ra, 1.0, "g", None, 0)
    assert len(asked) == 2


def test_the_report_has_the_addresses_of_every_service():
    coords = SkyCoord(*np.transpose(POSITIONS), unit="deg")
    source = SurveyCutouts()
    source.iter_cutouts(coords)  # nothing is sent before the first is asked for
    report = source.report()
    run = source._last
    for row in report:
        [band] = [b for b in run.ledger.bands if str(b) == row["band"]]
        [(survey, group)] = [(s, g) for s, g in run.groups.items() if band in g]
        at = coords[int(row["object"])]
        fetcher = source._make_fetcher(survey)
        expected = fetcher.image_url(at.ra.deg, at.dec.deg, group, None)
        assert row["URL"] == expected
