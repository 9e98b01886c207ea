import importlib.metadata
import pickle
import sys

import numpy as np
import pytest

from mantis_astro import RedshiftPrior

priors = pytest.importorskip("prospect.models.priors")

EDGES = np.linspace(0, 1.6, 401)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
U = np.linspace(0, 1, 201)


def tabulate(prior, edges=EDGES):
    """Our version of one of prospector's priors."""
    mass = np.diff(prior.inverse_unit_transform(edges))
    return RedshiftPrior(edges, mass, floor=0).as_prospector()


def test_is_one_of_prospectors_priors():
    assert isinstance(RedshiftPrior([0, 1], [1]).as_prospector(), priors.Prior)


def test_equals_prospectors_top_hat():
    theirs = priors.TopHat(mini=0.0, maxi=1.6)
    ours = tabulate(theirs)
    z = np.linspace(-0.2, 1.8, 501)
    with np.errstate(divide="ignore"):  # prospector takes the logarithm of 0
        assert np.allclose(ours(z), theirs(z), rtol=0, atol=1e-10)
    assert np.allclose(ours.unit_transform(U), theirs.unit_transform(U), atol=1e-10)
    assert np.allclose(
        ours.inverse_unit_transform(z), theirs.inverse_unit_transform(z), atol=1e-10
    )
    assert ours.range == theirs.range
    assert ours.bounds() == theirs.bounds()


def test_draws_as_prospectors_top_hat_from_the_same_seed():
    theirs = priors.TopHat(mini=0.0, maxi=1.6)
    ours = tabulate(theirs)
    np.random.seed(1)  # noqa: NPY002  what prospector draws from
    expected = theirs.sample()
    np.random.seed(1)  # noqa: NPY002
    assert np.allclose(ours.sample(), expected, atol=1e-10)


@pytest.mark.parametrize(
    "theirs",
    [
        priors.ClippedNormal(mean=0.5, sigma=0.2, mini=0.0, maxi=1.6),
        priors.LogUniform(mini=0.1, maxi=1.6),
    ],
    ids=["ClippedNormal", "LogUniform"],
)
class TestAgainstCurvedPriors:
    def test_cdf_is_the_same_at_bin_edges(self, theirs):
        edges = np.linspace(*theirs.range, 401)
        ours = tabulate(theirs, edges)
        expected = theirs.inverse_unit_transform(edges)
        assert np.allclose(ours.inverse_unit_transform(edges), expected, atol=1e-12)

    def test_unit_transform_brings_back_bin_edges(self, theirs):
        edges = np.linspace(*theirs.range, 401)
        ours = tabulate(theirs, edges)
        cdf = theirs.inverse_unit_transform(edges)
        assert np.allclose(ours.unit_transform(cdf), edges, atol=1e-10)

    def test_density_converges_with_the_square_of_the_bin_width(self, theirs):
        errors = []
        for n in (100, 200, 400):
            edges = np.linspace(*theirs.range, n + 1)
            centres = (edges[1:] + edges[:-1]) / 2
            ours = tabulate(theirs, edges)
            errors.append(np.abs(ours(centres) - theirs(centres)).max())
        assert np.allclose(np.divide(errors[:-1], errors[1:]), 4, rtol=0.1)

    def test_draws_have_the_same_moments(self, theirs):
        ours = tabulate(theirs, np.linspace(*theirs.range, 401))
        np.random.seed(1)  # noqa: NPY002
        draws = ours.sample(200_000)
        expected = theirs.distribution(*theirs.args, loc=theirs.loc, scale=theirs.scale)
        assert draws.mean() == pytest.approx(expected.mean(), abs=0.003)
        assert draws.std() == pytest.approx(expected.std(), rel=0.01)


@pytest.mark.parametrize("shape", [(), (1,), (7, 1)])
def test_keeps_shapes(shape):
    prior = RedshiftPrior([0, 1, 2], [1, 2]).as_prospector()
    x = np.full(shape, 0.3)
    assert np.shape(prior(x)) == shape
    assert np.shape(prior.unit_transform(x)) == shape
    assert np.shape(prior.inverse_unit_transform(x)) == shape


def test_draws_as_many_as_asked():
    prior = RedshiftPrior([0, 1, 2], [1, 2]).as_prospector()
    assert prior.sample().shape == (1,) == (len(prior),)
    assert prior.sample(5).shape == (5,)


def test_is_minus_infinity_outside_without_a_warning():
    prior = RedshiftPrior([0.1, 1], [1]).as_prospector()
    assert prior(np.array([0.05, 2.0])).tolist() == [-np.inf, -np.inf]


def test_the_base_classs_protocol_gives_the_same_density():
    prior = RedshiftPrior(EDGES, np.exp(-CENTRES)).as_prospector()
    base = priors.Prior.__call__(prior, CENTRES)  # through 'distribution' and 'args'
    assert np.allclose(prior(CENTRES), base)


def test_can_be_given_another_table():
    prior = RedshiftPrior([0, 1], [1]).as_prospector()
    assert prior(1.5) == -np.inf
    assert prior(1.5, redshift_prior=RedshiftPrior([0, 2], [1])) == -np.log(2)
    assert prior.bounds() == (0, 2)


def test_survives_pickle():
    prior = RedshiftPrior(EDGES, np.exp(-CENTRES)).as_prospector()
    again = pickle.loads(pickle.dumps(prior))
    assert np.array_equal(again(CENTRES), prior(CENTRES))
    assert repr(again) == repr(prior)
    assert "RedshiftPrior z = 0 to 1.6" in repr(prior)


def test_without_prospector_names_the_extra(monkeypatch):
    ours = "mantis_astro.priors.prospector_prior"
    monkeypatch.delitem(sys.modules, ours, raising=False)
    monkeypatch.setitem(sys.modules, "prospect.models.priors", None)
    with pytest.raises(ImportError, match=r'pip install "mantis-astro\[prospector\]"'):
        RedshiftPrior([0, 1], [1]).as_prospector()


@pytest.mark.parametrize(
    ("prospector", "dynesty", "refused"),
    [
        ("1.4.1", "3.1.0", True),
        ("1.4.1", "2.1.5", False),
        ("2.0.0", "3.1.0", False),
    ],
)
def test_dynesty_3_is_refused_with_prospector_1(
    monkeypatch, prospector, dynesty, refused
):
    from mantis_astro.priors.requirements import require_prospector

    versions = {"astro-prospector": prospector, "dynesty": dynesty}
    monkeypatch.setattr(importlib.metadata, "version", versions.__getitem__)
    if not refused:
        assert require_prospector("models.priors") is priors
        return
    reason = "1.4.1 cannot run dynesty 3.1.0: .*too many values.*dynesty>=2.1,<3"
    with pytest.raises(ImportError, match=reason):
        require_prospector("models.priors")


def test_without_dynesty_prospector_may_still_do(monkeypatch):
    from mantis_astro.priors.requirements import require_prospector

    def version(name):
        if name == "dynesty":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.4.1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert require_prospector("models.priors") is priors
