"""A fit under a prior that its own data made is noticed where the prior goes out."""

import warnings

import numpy as np
import pytest
from astropy.table import Table

from mantis_astro import RedshiftPDF
from mantis_astro.exceptions import DoubleCountingWarning
from mantis_astro.priors import eazy_table

META = {"PZMODEL": "m", "PZBANDS": "ps1.g, unwise.W1"}
PDF = RedshiftPDF([0, 0.5, 1], [0.3, 0.7], meta=META)
ZGRID = [0.2, 0.4, 0.6]


def configured(prior, bands):
    from mantis_astro import configure_zred, to_prospector_obs

    pytest.importorskip("prospect")
    obs = None
    if bands is not None:
        columns = {}
        for band in bands:
            name = band.replace(".", "_")
            columns[f"flux_{name}"], columns[f"flux_err_{name}"] = [5.0], [1.0]
        obs = to_prospector_obs(Table(columns)[0])
    return configure_zred({"zred": {"N": 1}}, prior, obs=obs)


def in_bagpipes(prior, bands):
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # what bagpipes itself does is elsewhere
        patch.setattr("mantis_astro.priors.bagpipes.register", lambda *_: {})
        return prior.as_bagpipes("galaxy", bands=bands)


DOORS = {
    "prospector": configured,
    "bagpipes": in_bagpipes,
    "eazy": lambda prior, bands: prior.as_eazy(ZGRID, bands=bands),
    "eazy table": lambda prior, bands: eazy_table([prior] * 3, ZGRID, bands=bands),
}


@pytest.fixture(params=DOORS)
def door(request):
    return DOORS[request.param]


def test_the_same_data_draw_one_warning(door):
    with pytest.warns(DoubleCountingWarning, match="and panstarrs_g are fitted") as got:
        door(PDF.to_prior(), ["ps1.g", "ps1.r"])
    assert len(got) == 1
    assert got[0].filename == __file__


def test_so_does_a_fit_that_nobody_told_of(door):
    with pytest.warns(DoubleCountingWarning, match="full strength: if the fit uses"):
        door(PDF.to_prior(), None)


@pytest.mark.parametrize(("temper", "n"), [(1, 1), (0.999, 1), (0.6, 1), (0.5, 0)])
def test_only_real_tempering_silences_it(door, temper, n):
    with warnings.catch_warnings(record=True) as got:
        warnings.simplefilter("always")
        door(PDF.to_prior(temper=temper), ["ps1.g"])
    assert len(got) == n


@pytest.mark.parametrize(
    ("prior", "bands"),
    [
        (PDF.to_prior(), ["ps1.r", "unwise.W2"]),  # other bands
        (PDF.to_prior(bands=["unwise.W1"]), ["ps1.g"]),  # this galaxy had one alone
        (PDF.to_prior(temper=0.3), None),
        (RedshiftPDF([0, 1], [1]).to_prior(), ["ps1.g"]),  # nobody knows
        (RedshiftPDF([0, 1], [1]).to_prior(), None),
    ],
)
def test_otherwise_there_is_none(door, prior, bands):
    door(prior, bands)  # warnings are errors here


def test_a_masked_flux_is_not_fitted():
    pytest.importorskip("prospect")
    from mantis_astro import configure_zred

    obs = {"filters": ["panstarrs_g", "wise_w1"], "phot_mask": np.array([False, True])}
    with pytest.warns(DoubleCountingWarning, match="and wise_w1 are fitted again"):
        configure_zred({"zred": {"N": 1}}, PDF, obs=obs)
    obs["phot_mask"][1] = False
    configure_zred({"zred": {"N": 1}}, PDF, obs=obs)
    spectrum = {"filters": None, "wavelength": np.array([5000.0])}
    configure_zred({"zred": {"N": 1}}, PDF, obs=spectrum)


def test_observations_of_prospector_2_are_read():
    from types import SimpleNamespace

    from mantis_astro.prospector.fitted import fitted_filters

    photometry = SimpleNamespace(
        filters=[SimpleNamespace(name="panstarrs_g"), SimpleNamespace(name="wise_w1")],
        mask=np.array([True, False]),
    )
    spectrum = SimpleNamespace(mask=slice(None))
    assert fitted_filters([photometry, spectrum]) == ["panstarrs_g"]
    photometry.mask = slice(None)
    assert fitted_filters([photometry]) == ["panstarrs_g", "wise_w1"]
