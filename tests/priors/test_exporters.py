import pickle
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from scipy.stats import norm

from mantis_astro import RedshiftPDF, RedshiftPrior
from mantis_astro.priors import (
    bagpipes_catalogue,
    eazy_table,
    quantile_table,
    requirements,
    write_redrock,
)

EDGES = np.linspace(0, 1.6, 401)
GAUSSIAN = RedshiftPDF.from_gaussians(EDGES, 0.5, 0.04).to_prior()
TWO_PEAKS = RedshiftPrior([0, 0.2, 0.3, 1.0, 1.1, 1.6], [0, 0.6, 0, 0.4, 0], floor=0)


def test_scipy_has_the_same_density_and_is_frozen():
    frozen = pickle.loads(pickle.dumps(TWO_PEAKS.as_scipy()))
    z = np.linspace(0, 1.6, 97)
    assert np.allclose(frozen.pdf(z), TWO_PEAKS.pdf(z))
    assert frozen.support() == (0, 1.6)


def test_unit_transform_is_the_inverse_of_cdf_and_can_be_pickled():
    transform = pickle.loads(pickle.dumps(GAUSSIAN.as_unit_transform()))
    assert np.allclose(GAUSSIAN.cdf(transform(np.array([0.1, 0.9]))), [0.1, 0.9])


def test_dynesty_takes_the_unit_transform():
    dynesty = pytest.importorskip("dynesty")
    transform = GAUSSIAN.as_unit_transform()
    sampler = dynesty.NestedSampler(
        lambda z: norm.logpdf(z[0], 0.5, 0.04),
        transform,
        1,
        nlive=100,
        rstate=np.random.default_rng(2),
    )
    sampler.run_nested(print_progress=False, dlogz=0.1)
    z, weights = sampler.results.samples[:, 0], sampler.results.importance_weights()
    # a Gaussian times itself: the same mean, the width over sqrt(2)
    mean = np.average(z, weights=weights)
    std = np.sqrt(np.average((z - mean) ** 2, weights=weights))
    assert mean == pytest.approx(0.5, abs=0.005)
    assert std == pytest.approx(0.04 / np.sqrt(2), rel=0.15)


def test_a_gaussian_is_found_again_without_the_floor():
    mean, std, misfit = GAUSSIAN.as_gaussian()
    assert mean == pytest.approx(0.5, abs=1e-6)
    # a bin of width w adds w**2 / 12 twice: spread over it, and drawn from its centre
    assert std == pytest.approx(np.sqrt(0.04**2 + 0.004**2 / 12 * 2), rel=1e-3)
    assert misfit < 0.002


def test_misfit_tells_two_peaks_from_a_gaussian():
    assert TWO_PEAKS.as_gaussian().misfit > 0.5


def test_misfit_of_a_flat_density_is_derived():
    # the matched Gaussian has sigma = 1 / sqrt(12), so the ends lie at sqrt(3) sigma
    bins = np.linspace(0, 1, 2001)
    misfit = RedshiftPrior(bins, np.ones(2000)).as_gaussian().misfit
    inside = 2 * norm.cdf(np.sqrt(3)) - 1
    # the Gaussian cut to [0, 1] is higher than 1 within x of the middle
    x = np.sqrt(-2 * np.log(inside * np.sqrt(2 * np.pi / 12))) / np.sqrt(12)
    above = (2 * norm.cdf(x * np.sqrt(12)) - 1) / inside - 2 * x
    assert misfit == pytest.approx(above, abs=1e-5)


def test_quantiles_hold_their_share():
    q = np.array([0.05, 0.5, 0.95])
    assert np.allclose(GAUSSIAN.cdf(GAUSSIAN.as_quantiles(q)), q)
    assert GAUSSIAN.as_quantiles().shape == (11,)


def test_eazy_grid_keeps_a_peak_between_its_points():
    narrow = RedshiftPrior([0, 0.5, 0.501, 2], [0, 1, 0])
    zgrid = np.linspace(0, 2, 12)  # steps of 0.18, none near 0.5
    assert not np.any(np.abs(zgrid - 0.5) < 0.01)
    ends = np.concatenate([[0], (zgrid[1:] + zgrid[:-1]) / 2, [2]])
    mass = np.exp(narrow.as_eazy(zgrid)) * np.diff(ends)
    assert mass.sum() == pytest.approx(1)
    assert mass.max() > 0.99


def test_eazy_grid_is_finite_thanks_to_the_floor():
    assert np.isfinite(GAUSSIAN.as_eazy(np.geomspace(0.01, 1.6, 50))).all()


def test_eazy_multiplies_its_likelihood_by_the_prior():
    """Runs eazy's own method on as much of a catalogue as it needs."""
    photoz = pytest.importorskip("eazy.photoz", exc_type=ImportError)
    zgrid = np.linspace(0.01, 1.6, 200)
    two_minima = 30 * np.minimum(abs(zgrid - 0.5), abs(zgrid - 1.2))
    chi2 = np.tile(1 + two_minima, (2, 1))
    catalog = SimpleNamespace(
        chi2_fit=chi2,
        param={"VERBOSITY": 0},
        zgrid=zgrid,
        trdz=np.gradient(zgrid),
        lnp=np.zeros_like(chi2),
        lnpmax=np.zeros(2),
        extra_lnp=eazy_table([GAUSSIAN, RedshiftPrior([0, 1.6], [1])], zgrid),
    )
    photoz.PhotoZ.compute_lnp(catalog, in_place=True, clip_wavelength=None)
    p = np.exp(catalog.lnp) * catalog.trdz
    above = p[:, zgrid > 0.85].sum(axis=1)
    assert above[0] < 0.01  # informed
    assert above[1] == pytest.approx(0.5, abs=0.05)  # flat


@pytest.mark.parametrize("zgrid", [[0.1], [0.2, 0.1], [[0.1, 0.2]]])
def test_refuses_a_grid_that_does_not_increase(zgrid):
    with pytest.raises(ValueError, match="'zgrid' must be one-dimensional and incr"):
        GAUSSIAN.as_eazy(zgrid)


def test_qp_has_the_same_density():
    ensemble = TWO_PEAKS.to_qp()
    z = np.array([0.25, 0.5, 1.05])
    assert np.allclose(ensemble.pdf(z), TWO_PEAKS.pdf(z))


def test_quantile_table_has_a_row_for_each_prior_in_snanas_names():
    table = quantile_table(
        [GAUSSIAN, TWO_PEAKS], ids=["a", "b"], prefix="HOSTGAL_ZPHOT_Q"
    )
    assert table.colnames[:3] == ["id", "HOSTGAL_ZPHOT_Q000", "HOSTGAL_ZPHOT_Q010"]
    assert table["HOSTGAL_ZPHOT_Q050"][1] == TWO_PEAKS.ppf(0.5)
    assert "50 % of the prior" in table["HOSTGAL_ZPHOT_Q050"].info.description


def test_refuses_quantiles_that_have_no_name():
    with pytest.raises(ValueError, match="'quantiles' must be whole per cents, got"):
        quantile_table([GAUSSIAN], [0.125])


@pytest.mark.parametrize(
    "export",
    [
        lambda priors, path: eazy_table(priors, [0, 1]),
        lambda priors, path: quantile_table(priors),
        lambda priors, path: write_redrock(path, [1], priors),
    ],
)
def test_densities_for_priors_are_refused_with_how_to_make_them(export, tmp_path):
    pdf = RedshiftPDF([0, 1], [[1]])
    with pytest.raises(TypeError, match=r"at index 0; .* \[one.to_prior\(\) for one"):
        export(pdf, tmp_path / "p.fits")


def test_no_priors_make_tables_without_rows():
    assert eazy_table([], [0, 1, 2]).shape == (0, 3)
    assert len(quantile_table([])) == 0
    assert len(quantile_table([]).colnames) == 11


def test_redrock_finds_its_table(tmp_path):
    """The columns that `redrock.priors.Priors` reads, as it reads them."""
    path = tmp_path / "priors.fits"
    write_redrock(path, [39628_000_000_000, 7], [GAUSSIAN, TWO_PEAKS])
    with fits.open(path) as hdus:
        data = hdus["PRIORS"].data
        assert data["TARGETID"].tolist() == [39628_000_000_000, 7]
        assert data["FUNCTION"][0] == "gaussian"
        assert data["Z"][0] == pytest.approx(0.5, abs=1e-6)
        assert data["SIGMA"][0] == pytest.approx(GAUSSIAN.as_gaussian().std)


def test_redrocks_top_hat_is_as_wide_as_the_interval(tmp_path):
    table = write_redrock(
        tmp_path / "p.fits", [1], [GAUSSIAN], function="tophat", level=0.68
    )
    low, high = GAUSSIAN.ppf([0.16, 0.84])
    assert table["SIGMA"][0] == pytest.approx(high - low)
    assert table["Z"][0] == pytest.approx((high + low) / 2)


def test_redrock_refusals(tmp_path):
    path = tmp_path / "p.fits"
    with pytest.raises(ValueError, match="'gaussian', 'lorentzien' or 'tophat', got"):
        write_redrock(path, [1], [GAUSSIAN], function="box")
    with pytest.raises(ValueError, match="one for each target, got 1 for 2 targets"):
        write_redrock(path, [1, 2], [GAUSSIAN])
    write_redrock(path, [1], [GAUSSIAN])
    with pytest.raises(OSError, match="exists"):
        write_redrock(path, [1], [GAUSSIAN])


@pytest.fixture
def bagpipes_prior(monkeypatch):
    """Stand in for bagpipes' class, which finds priors by name as this one does."""

    class prior:  # noqa: N801  its name there
        def uniform(self, value, limits, hyper_params):
            return limits[0] + (limits[1] - limits[0]) * value

        def transform(self, pdf, value, limits):
            return getattr(self, pdf)(value, limits, {})

    module = ModuleType("bagpipes.fitting.prior")
    module.prior = prior
    for name in ("bagpipes", "bagpipes.fitting"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "bagpipes.fitting.prior", module)
    return prior


def test_bagpipes_finds_the_prior_by_name(bagpipes_prior):
    entries = GAUSSIAN.as_bagpipes("galaxy_7")
    assert entries == {"redshift": (0.0, 1.6), "redshift_prior": "galaxy_7"}
    value = bagpipes_prior().transform("galaxy_7", 0.3, (0, 1.6))
    assert value == GAUSSIAN.ppf(0.3)


def test_bagpipes_reads_the_entries_back_as_it_writes_them(bagpipes_prior):
    entries = GAUSSIAN.as_bagpipes("galaxy_7")
    text = str(entries).replace("array", "np.array").replace("float", "np.float")
    assert eval(text.replace("np.np.", "np.")) == entries


def test_bagpipes_priors_may_be_replaced(bagpipes_prior):
    GAUSSIAN.as_bagpipes("galaxy_7")
    TWO_PEAKS.as_bagpipes("galaxy_7")
    value = bagpipes_prior().transform("galaxy_7", 0.3, (0, 1.6))
    assert value == TWO_PEAKS.ppf(0.3)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("uniform", "'uniform' is taken by bagpipes itself"),
        ("my prior", "must be a Python identifier"),
        ("float_prior", "without the words 'array' and 'float'"),
    ],
)
def test_refuses_names_that_bagpipes_cannot_use(bagpipes_prior, name, sentence):
    with pytest.raises(ValueError, match=sentence):
        GAUSSIAN.as_bagpipes(name)


@pytest.mark.parametrize(
    ("module", "export", "extra"),
    [
        ("qp", lambda prior: prior.to_qp(), "qp"),
        ("bagpipes.fitting.prior", lambda prior: prior.as_bagpipes("a"), "bagpipes"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, module, export, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'pip install "mantis-astro\[{extra}\]"'):
        export(GAUSSIAN)


def test_bagpipes_itself_draws_from_the_prior():
    module = pytest.importorskip("bagpipes.fitting.prior")
    GAUSSIAN.as_bagpipes("galaxy_8")
    sampler = module.prior([(0.0, 1.6)], ["galaxy_8"], [{}])
    assert sampler.transform(np.array([0.3]))[0] == GAUSSIAN.ppf(0.3)


class FitCatalogue:
    """What ``bagpipes.fit_catalogue`` does: load a galaxy, fit it, load the next."""

    def __init__(self, ids, fit_instructions, load_data, prior):
        self.ids, self.load_data, self.prior = ids, load_data, prior
        self.name = fit_instructions["redshift_prior"]
        self.limits = fit_instructions["redshift"]

    def fit(self):
        draws = {}
        for one_id in self.ids:
            self.load_data(str(one_id))
            draws[one_id] = self.prior().transform(self.name, 0.3, self.limits)
        return draws


def test_every_galaxy_of_a_bagpipes_catalogue_has_its_own_prior(bagpipes_prior):
    priors = {1: GAUSSIAN, 2: TWO_PEAKS}
    loaded = []
    entries, load = bagpipes_catalogue(priors, loaded.append)
    assert entries["redshift"] == (0.0, 1.6)
    draws = FitCatalogue([1, 2], entries, load, bagpipes_prior).fit()
    assert draws == {1: GAUSSIAN.ppf(0.3), 2: TWO_PEAKS.ppf(0.3)}
    assert loaded == ["1", "2"]


def test_a_galaxy_of_a_bagpipes_catalogue_without_a_prior_is_told(bagpipes_prior):
    entries, load = bagpipes_catalogue({"a": GAUSSIAN}, lambda one_id: None)
    with pytest.raises(ValueError, match="no galaxy was loaded: give fit_catalogue"):
        bagpipes_prior().transform(entries["redshift_prior"], 0.3, (0, 1.6))
    with pytest.raises(KeyError, match="no prior for galaxy 'b' among 1"):
        load("b")
    with pytest.raises(ValueError, match="must hold a prior for each galaxy, got none"):
        bagpipes_catalogue({}, load)


def test_bagpipes_itself_fits_a_catalogue_with_priors_of_its_own():
    module = pytest.importorskip("bagpipes.fitting.prior")
    priors = {"a": GAUSSIAN, "b": TWO_PEAKS}
    entries, load = bagpipes_catalogue(priors, lambda one_id: one_id)
    sampler = module.prior([entries["redshift"]], [entries["redshift_prior"]], [{}])
    for one_id, prior in priors.items():
        load(one_id)
        assert sampler.transform(np.array([0.3]))[0] == prior.ppf(0.3)


@pytest.mark.filterwarnings("ignore")  # bagpipes has many of its own
@pytest.mark.timeout(1800)
def test_bagpipes_itself_fits_each_galaxy_under_its_own_prior(tmp_path, monkeypatch):
    """Fluxes that say nothing: what is fitted is the prior of each galaxy."""
    bagpipes = pytest.importorskip("bagpipes")
    pytest.importorskip("nautilus")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bagpipes.utils, "working_dir", str(tmp_path))
    priors = {
        one_id: RedshiftPDF.from_gaussians(EDGES, z, 0.03).to_prior()
        for one_id, z in {"1": 0.3, "2": 0.8, "3": 1.2}.items()
    }
    curve = np.array([[4000, 0], [4100, 1], [4900, 1], [5000, 0]], float)
    np.savetxt(tmp_path / "filter.txt", curve)
    entries, load = bagpipes_catalogue(priors, lambda _: np.array([[1.0, 1e6]]))
    stars = {"age_max": 1.0, "age_min": 0.0, "massformed": (9.0, 10.0)}
    catalogue = bagpipes.fit_catalogue(
        list(priors),
        {**entries, "constant": {**stars, "metallicity": 0.5}},
        load,
        spectrum_exists=False,
        cat_filt_list=["filter.txt"],
        n_posterior=100,
    )
    catalogue.fit(verbose=False, n_live=50, sampler="nautilus")
    for one_id, prior in priors.items():
        low, median, high = prior.ppf([0.16, 0.5, 0.84])
        row = catalogue.cat.loc[one_id]
        assert row["redshift_50"] == pytest.approx(median, abs=0.02)
        assert row["redshift_84"] - row["redshift_16"] == pytest.approx(
            high - low, rel=0.5
        )


def test_prospector_without_fsps_says_what_it_needs(monkeypatch):
    """Version 2 joins the path of FSPS at its import: a TypeError without one."""

    def fail(module, *, extra):
        raise TypeError("expected str, bytes or os.PathLike object, not NoneType")

    monkeypatch.setattr(requirements, "require", fail)
    monkeypatch.delenv("SPS_HOME", raising=False)
    with pytest.raises(ImportError, match="variable SPS_HOME to the folder of FSPS"):
        requirements.require_prospector("models.priors")
    monkeypatch.setenv("SPS_HOME", "/opt/fsps")
    with pytest.raises(TypeError, match="not NoneType"):
        requirements.require_prospector("models.priors")


@pytest.mark.parametrize("name", ["prospect", "fsps"])
def test_missing_prospector_names_the_stars_as_well(monkeypatch, name):
    def fail(module, *, extra):
        raise ImportError(f"'{name}' is needed here", name=name)

    monkeypatch.setattr(requirements, "require", fail)
    with pytest.raises(
        ImportError, match=f"'{name}' is needed here; and set .*SPS_HOME"
    ):
        requirements.require_prospector("models.priors")
