"""A model in bands of a survey that nobody else has registered."""

import json
import subprocess
import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable

from mantis_astro import PhotoZ, bands
from mantis_astro.bands import Band, Survey, get_survey, register_survey
from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import (
    ModelCard,
    PhotometricConfig,
    PhotometrySpec,
    build_network,
)

_ELSEWHERE = """
import sys
from astropy.table import QTable
from mantis_astro import PhotoZ
from mantis_astro.bands import get_band, register_survey, get_survey
photoz = PhotoZ.from_file(sys.argv[1])
pdf = photoz.predict(QTable.read(sys.argv[2]))
print(pdf.median().value.tolist(), get_band("mine.b").pivot, photoz.citations())
register_survey(get_survey("mine"))  # its owner may do so later
"""


def own_survey(name):
    own = tuple(
        Band(name, letter, curve, pivot * u.AA, 1 * u.arcsec, None)
        for letter, curve, pivot in (("a", "sdss_g0", 4702.0), ("b", "sdss_r0", 6176.0))
    )
    return Survey(
        name,
        "My survey",
        own,
        pixel_scale=0.4 * u.arcsec,
        shape=(50, 50),
        unit=u.nmgy,
        magsys="AB",
        service="none",
        layer="",
        reference="2000AJ....120.1579Y",
    )


@pytest.fixture(scope="module")
def photoz():
    surveys, known = dict(bands._surveys), dict(bands._bands)
    register_survey(own_survey("mine"))
    spec = PhotometrySpec(("mine.a", "mine.b"), (300.0, 300.0), (), ())
    config = PhotometricConfig(spec.n_inputs, 20, 0, widths=(8,), hidden=6)
    edges = tuple(np.linspace(0, 1, 21).tolist())
    yield PhotoZ(build_network(config), ModelCard("own", config, spec, edges))
    for registry, before in ((bands._surveys, surveys), (bands._bands, known)):
        registry.clear()
        registry.update(before)


def test_it_predicts_where_the_survey_was_never_heard_of(photoz, tmp_path):
    flux = np.geomspace(1e3, 1e5, 5) * u.nJy
    table = QTable({f"flux_{end}mine_{b}": flux for b in "ab" for end in ("", "err_")})
    photoz.save(tmp_path / "own.safetensors")
    table.write(tmp_path / "table.ecsv")
    arguments = [tmp_path / "own.safetensors", tmp_path / "table.ecsv"]
    command = [sys.executable, "-c", _ELSEWHERE, *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = photoz.predict(table).median().value.tolist()
    assert answer.stdout.startswith(f"{expected} 6176.0 Angstrom")
    assert "2000AJ....120.1579Y" in answer.stdout


def test_what_is_known_here_stays(photoz):
    plain = json.loads(json.dumps(photoz.card.to_plain()))
    plain["surveys"][0]["title"] = "Another"
    assert ModelCard.from_plain(plain).bands == ("mine.a", "mine.b")
    assert get_survey("mine").title == "My survey"


@pytest.mark.parametrize("surveys", [3, [3], [{"name": "x"}], [{"name": []}]])
def test_records_that_are_none_are_refused(photoz, surveys):
    plain = photoz.card.to_plain() | {"surveys": surveys}
    with pytest.raises(InputSpecError, match="this is no model card"):
        ModelCard.from_plain(plain)


def test_the_package_has_its_own_bands():
    photoz = PhotoZ.from_pretrained("simulated-photometric")
    assert "surveys" not in photoz.card.to_plain()
