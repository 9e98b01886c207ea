"""The archives themselves: a small box of each, once a week."""

import pytest

from mantis_astro.redshift_surveys import (
    SkyBox,
    fetch_redshifts,
    get_redshift_survey,
    list_redshift_surveys,
)

#: A field in which each survey has redshifts.
FIELDS = {
    "desi": SkyBox(180.0, 180.5, 0.0, 0.5),
    "sdss": SkyBox(180.0, 181.0, 0.0, 1.0),
    "gama": SkyBox(180.0, 180.5, 0.0, 0.5),
    "6df": SkyBox(180.0, 190.0, -40.0, -35.0),
}


@pytest.mark.remote_data
@pytest.mark.parametrize("name", list_redshift_surveys())
def test_an_archive_has_the_columns_that_are_asked_for(name, tmp_path):
    table = fetch_redshifts([name], tmp_path, area=[FIELDS[name]], progress=False)
    assert len(table) > 20
    assert (table["z_spec"] > 0).all()
    has_errors = get_redshift_survey(name).z_err is not None
    assert bool(table["z_spec_err"].mask.all()) is not has_errors
