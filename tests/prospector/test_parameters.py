import pickle

import numpy as np
import pytest

from mantis_astro import RedshiftPDF, RedshiftPrior, configure_zred

priors = pytest.importorskip("prospect.models.priors")

from prospect.models import ProspectorParams, transforms  # noqa: E402
from prospect.models.templates import TemplateLibrary  # noqa: E402

PDF = RedshiftPDF.from_gaussians(np.linspace(0, 1.6, 401), 0.5, 0.05)
JOINT = "beta", "beta_phisfh"  # priors of redshift and history together
ALONE = [name for name in TemplateLibrary._entries if name not in JOINT]


def configured(name="parametric_sfh", pdf=PDF, **options):
    return configure_zred(TemplateLibrary[name], pdf, **options)


@pytest.mark.parametrize("name", ALONE)
def test_every_template_whose_redshift_stands_alone_can_be_configured(name):
    new_params, changes = configured(name)
    assert new_params["zred"]["isfree"]
    assert changes[0].startswith("zred: free, with p(z) as prior")


def test_redshift_is_free_with_p_of_z_as_prior():
    new_params, _ = configured()
    zred = new_params["zred"]
    assert isinstance(zred["prior"], priors.Prior)
    assert zred["prior"].redshift_prior.cdf(0.5) == pytest.approx(0.5, abs=1e-3)
    assert zred["init"] == pytest.approx(0.5, abs=0.004)
    assert zred["init_disp"] == pytest.approx(0.05, rel=0.01)


def test_prospector_builds_its_model_from_it():
    new_params, _ = configured()
    model = ProspectorParams(new_params)
    assert model.theta_bounds()[model.theta_index["zred"].start] == (0, 1.6)
    rng = np.random.default_rng(1)
    theta = model.prior_transform(rng.random(model.ndim))
    assert np.isfinite(model.prior_product(theta))


def test_age_stays_below_that_of_the_universe_at_any_redshift():
    model = ProspectorParams(configured(pdf=RedshiftPDF([0, 1.6], [1]))[0])
    rng = np.random.default_rng(1)
    for _ in range(30):
        model.set_parameters(model.prior_transform(rng.random(model.ndim)))
        age = transforms.cosmo.age(model.params["zred"][0]).value
        assert 0 < model.params["tage"][0] <= age


def test_the_share_of_age_keeps_the_family_and_range_of_the_prior():
    params = TemplateLibrary["parametric_sfh"]
    params["tage"]["prior"] = priors.LogUniform(mini=0.1, maxi=5.0)
    new_params, changes = configure_zred(params, PDF)
    share = new_params["tage_tuniv"]["prior"]
    assert isinstance(share, priors.LogUniform)
    age_now = transforms.cosmo.age(0).value
    assert share.bounds() == pytest.approx((0.1 / age_now, 5 / age_now))
    assert "'tage_tuniv' (" in changes[-1]
    assert "free) of the age of the universe" in changes[-1]


def test_a_fixed_age_keeps_its_value_at_the_initial_redshift_or_the_most_there_is():
    params = TemplateLibrary["parametric_sfh"]
    for tage, expected in ((1.0, 1.0), (13.0, transforms.cosmo.age(0.5).value)):
        params["tage"].update(isfree=False, init=tage)
        model = ProspectorParams(configure_zred(params, PDF)[0])
        model.propagate_parameter_dependencies()
        assert model.params["tage"][0] == pytest.approx(expected, rel=3e-3)


def test_an_age_that_depends_on_something_is_left_and_named():
    params = TemplateLibrary["parametric_sfh"]
    params["tage"].update(isfree=False, depends_on=transforms.tage_from_tuniv)
    new_params, changes = configure_zred(params, PDF)
    assert new_params["tage"] == params["tage"]
    assert "left to 'tage_from_tuniv'" in changes[-1]


def test_an_age_with_another_prior_is_refused():
    params = TemplateLibrary["parametric_sfh"]
    params["tage"]["prior"] = priors.Normal(mean=5, sigma=1)
    with pytest.raises(TypeError, match="prior of tage is Normal: .*'tage_tuniv'"):
        configure_zred(params, PDF)


def test_a_fixed_distance_goes():
    params = TemplateLibrary["parametric_sfh"]
    params["lumdist"] = {"N": 1, "isfree": False, "init": 10.0}
    new_params, changes = configure_zred(params, PDF)
    assert "lumdist" not in new_params
    assert "lumdist: removed, because the distance follows from zred" in changes


def test_age_bins_older_than_the_universe_are_named():
    _, changes = configured("continuity_sfh")
    assert any("10.0 Gyr and the universe at z = 1.6 is" in c for c in changes)


def test_what_was_given_does_not_change():
    params = TemplateLibrary["parametric_sfh"]
    before = pickle.dumps(params)
    configure_zred(params, PDF)
    assert pickle.dumps(params) == before


def test_options_are_those_of_to_prior():
    new_params, changes = configured(floor=0.01, temper=0.5, support=(0.2, 0.9))
    prior = new_params["zred"]["prior"].redshift_prior
    assert (prior.floor, prior.temper, prior.support) == (0.01, 0.5, (0.2, 0.9))
    assert "(z = 0.2 to 0.9, floor 0.01, tempered 0.5)" in changes[0]


def test_takes_a_prior_as_it_is():
    prior = PDF.to_prior(temper=0.5)
    new_params, _ = configured(pdf=prior)
    assert new_params["zred"]["prior"].redshift_prior is prior


def test_without_a_redshift_among_the_parameters_there_is_one():
    new_params, _ = configure_zred({"mass": {"N": 1, "isfree": True}}, PDF)
    assert new_params["zred"]["N"] == 1
    assert new_params["zred"]["isfree"]


def test_p_of_z_is_cut_at_the_range_that_zred_had():
    params = TemplateLibrary["parametric_sfh"]
    params["zred"]["prior"] = priors.TopHat(mini=0.1, maxi=0.9)
    new_params, changes = configure_zred(params, PDF)
    prior = new_params["zred"]["prior"].redshift_prior
    assert prior.support == (0.1, 0.9)
    assert prior.floor == 1e-3
    assert changes[0].startswith("p(z): cut to z = 0.1 to 0.9, the range that zred had")


def test_a_tempered_prior_that_is_cut_stays_tempered():
    params = TemplateLibrary["parametric_sfh"]
    params["zred"]["prior"] = priors.TopHat(mini=0.1, maxi=0.9)
    prior = RedshiftPrior(PDF.bin_edges, PDF.probability, temper=0.5, bands=["ps1.g"])
    cut = configure_zred(params, prior)[0]["zred"]["prior"].redshift_prior
    assert (cut.temper, cut.bands) == (0.5, ("ps1.g",))
    expected = prior.pdf(0.45) / prior.pdf(0.5)
    assert cut.pdf(0.45) / cut.pdf(0.5) == pytest.approx(expected, rel=1e-2)


def test_p_of_z_outside_the_models_range_is_refused():
    params = TemplateLibrary["parametric_sfh"]
    params["zred"]["prior"] = priors.TopHat(mini=0.0, maxi=0.45)
    sentence = (
        r"8. % of p\(z\) lies outside the model's range of zred, 0 to 0.45: widen"
    )
    with pytest.raises(ValueError, match=sentence):
        configure_zred(params, PDF)
    new_params, _ = configure_zred(params, PDF, support=(0, 0.45))  # as it says
    assert new_params["zred"]["prior"].bounds() == (0, 0.45)


def test_joint_priors_are_refused():
    with pytest.raises(ValueError, match="'nzsfh_to_zred': its joint prior .NzSFH"):
        configured("beta")


def test_a_parameter_whose_prior_owns_redshift_is_refused():
    class NzSFH(priors.Prior):
        prior_params = ["zred_mini", "zred_maxi", "mass_mini"]  # noqa: RUF012

    params = {"nzsfh": {"N": 3, "isfree": True, "prior": NzSFH()}}
    with pytest.raises(ValueError, match="prior of 'nzsfh', NzSFH, is joint with"):
        configure_zred(params, PDF)


@pytest.mark.parametrize(
    ("params", "pdf", "options", "error", "sentence"),
    [
        ([{"name": "zred"}], PDF, {}, TypeError, "'model_params' must be a dict of"),
        ({}, 0.5, {}, TypeError, "must be a RedshiftPDF or a RedshiftPrior, got"),
        (
            {},
            PDF.to_prior(),
            {"floor": 0.1},
            TypeError,
            "floor cannot be given with a RedshiftPrior",
        ),
        (
            {},
            RedshiftPDF([0, 1], [[1], [1]]),
            {},
            ValueError,
            r"one galaxy, and there are galaxies of shape \(2,\)",
        ),
        (
            {"zred": {"N": 2, "init": [0.1, 0.2]}},
            PDF,
            {},
            ValueError,
            "'zred' must be one number, got N = 2",
        ),
    ],
)
def test_refuses(params, pdf, options, error, sentence):
    with pytest.raises(error, match=sentence):
        configure_zred(params, pdf, **options)
