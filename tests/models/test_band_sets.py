"""Any photometry: what a network of any bands reads, and the network."""

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.table import QTable

from mantis_astro import decode_flags
from mantis_astro.bands import get_band
from mantis_astro.exceptions import InputSpecError
from mantis_astro.extinction import extinction_coefficients
from mantis_astro.models import (
    BandSetConfig,
    BandSetSpec,
    build_network,
    predict_both,
    predict_probability,
)
from mantis_astro.models.band_sets import APERTURES, MOST_BANDS, aperture_number
from mantis_astro.training import TrainingBatch

SPEC = BandSetSpec()
BANDS = ("galex.NUV", "ps1.g", "ps1.r", "ps1.i", "unwise.W1")


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return build_network(BandSetConfig(12, width=16, n_heads=2, hidden=24))


def made_table(n=300, bands=BANDS, seed=1):
    """Fluxes of which three in ten are not observed, some without errors."""
    rng = np.random.default_rng(seed)
    table = QTable()
    for band in bands:
        name = band.replace(".", "_")
        flux = 10 ** rng.uniform(1, 6, n) + rng.normal(0, 200, n)
        flux[rng.random(n) < 0.3] = np.nan
        error = np.abs(flux) * rng.uniform(0.01, 1, n)
        error[rng.random(n) < 0.1] = np.nan
        table[f"flux_{name}"] = flux * u.nJy
        table[f"flux_err_{name}"] = error * u.nJy
    return table


def numbers(flux, flux_err, *, ebv=np.nan, aperture=0, names=("panstarrs_g",)):
    """What is encoded of one object."""
    flux, flux_err = torch.tensor([flux]).double(), torch.tensor([flux_err]).double()
    described = SPEC.describe(names)[None]
    return SPEC.encode(
        flux,
        flux_err,
        torch.isfinite(flux),
        described,
        torch.tensor([float(ebv)]),
        torch.tensor([aperture]),
    )[0]


def test_a_filter_is_described_by_its_curve():
    by_name, none = SPEC.describe(["panstarrs_g"]), SPEC.describe([])
    assert by_name.shape == (1, SPEC.n_describe)
    assert none.shape == (0, SPEC.n_describe)
    band = get_band("ps1.g")
    assert torch.equal(SPEC.describe([band]), by_name)
    everything = SPEC.describe(["galex_FUV", "panstarrs_g", "spitzer_irac_ch4"])
    assert everything.abs().max() < 4
    a_b = extinction_coefficients([band])[band]
    assert float(by_name[0, -1]) * 10 == pytest.approx(a_b, rel=1e-5)


def test_magnitudes_are_relative_to_their_mean():
    names = ("panstarrs_g", "panstarrs_r")
    one = numbers([1000.0, 4000.0], [10.0, 40.0], names=names)
    ten = numbers([10_000.0, 40_000.0], [100.0, 400.0], names=names)
    start = SPEC.n_describe
    colour = one[1, start] - one[0, start]
    assert float(colour) == pytest.approx(2.5 * np.log10(4), abs=2e-3)
    assert torch.allclose(one[:, start : start + 3], ten[:, start : start + 3])
    brighter = ten[0, start + 5] - one[0, start + 5]
    assert float(brighter) == pytest.approx(2.5 / 3, abs=1e-5)


def test_dust_is_taken_off_where_it_is_known():
    band = get_band("ps1.g")
    dimming = 10 ** (-0.4 * 0.3 * extinction_coefficients([band])[band])
    clear = numbers([1000.0], [50.0], ebv=0.0)
    behind = numbers([1000.0 * dimming], [50.0 * dimming], ebv=0.3)
    assert torch.allclose(clear, behind, atol=1e-5)
    unknown = numbers([1000.0], [50.0])
    differing = torch.nonzero(unknown != clear)[:, 1]
    assert differing.tolist() == [SPEC.n_describe + 7]


def test_the_aperture_is_one_of_three_kinds():
    kinds = [numbers([1000.0], [50.0], aperture=k)[0, -4:-1] for k in range(3)]
    assert torch.equal(torch.stack(kinds), torch.eye(3))
    assert [aperture_number(text) for text in APERTURES] == [0, 1, 2]
    assert aperture_number("whatever") == 0


@pytest.mark.parametrize("flux", [1e9, 1e-6, 0.0, -1e9, -1e-6, 1e30])
@pytest.mark.parametrize("error", [1e9, 1e-6, 1.0, np.nan, 1e-30])
def test_no_flux_is_too_large_or_too_small(flux, error, network):
    names = ("panstarrs_g", "wise_w1", "galex_FUV")
    encoded = numbers([flux, 1000.0, np.nan], [error, 50.0, np.nan], names=names)
    assert torch.isfinite(encoded).all()
    assert encoded.abs().max() < 12
    assert (encoded[2] == 0).all()
    probability = predict_probability(network, encoded[None], torch.zeros(1, 1))
    assert np.isfinite(probability).all()


def test_the_order_of_columns_changes_nothing(network):
    table = made_table()
    prepared = SPEC.to_tensor(table, ebv=0.03)
    turned = SPEC.to_tensor(table[table.colnames[::-1]], ebv=0.03)
    assert torch.equal(prepared.images, turned.images)
    table["flux_unwise_W2"] = np.full(len(table), np.nan) * u.nJy
    more = SPEC.to_tensor(table, ebv=0.03)
    assert more.images.shape[1] == len(BANDS) + 1
    one = predict_probability(network, prepared.images, prepared.ebv)
    other = predict_probability(network, more.images, more.ebv)
    assert np.array_equal(one, other)


def test_rows_are_the_same_whatever_they_are_predicted_with(network):
    table = made_table()
    rows = np.random.default_rng(0).permutation(len(table))[:150]
    everything, some = (SPEC.to_tensor(t, ebv=0.03) for t in (table, table[rows]))
    expected = predict_both(network, everything.images, everything.ebv)
    got = predict_both(network, some.images, some.ebv)
    for before, after in zip(expected, got, strict=True):
        assert np.array_equal(before[rows], after)


def test_groups_are_what_the_network_sees_without_them(network):
    images = SPEC.to_tensor(made_table(), ebv=0.03).images
    ebv = torch.zeros(len(images), 1)
    expected = torch.softmax(network(images, ebv), 1).detach().numpy()
    got = predict_probability(network, images, ebv)
    assert np.abs(got - expected).max() < 1e-6
    rows = torch.cat([rows for rows, _ in network.groups(images)])
    assert sorted(rows.tolist()) == list(range(len(images)))


def test_the_order_of_measurements_means_nothing(network):
    images = SPEC.to_tensor(made_table(), ebv=0.03).images
    ebv = torch.zeros(len(images), 1)
    one, other = network(images, ebv), network(images.flip(1), ebv)
    assert torch.allclose(one, other, atol=1e-5)


def test_gradients_reach_every_weight(network):
    images = SPEC.to_tensor(made_table(50), ebv=0.03).images
    logits, star = network.with_star(images, torch.zeros(len(images), 1))
    assert torch.equal(logits, network(images, torch.zeros(len(images), 1)))
    (logits.square().sum() + star.square().sum()).backward()
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())
    network.zero_grad()


def test_flags():
    table = made_table(3)
    for name in table.colnames:
        table[name] = np.nan * u.nJy
    for name, flux in (("flux_ps1_g", 100.0), ("flux_err_ps1_g", 60.0)):
        table[name][1] = flux * u.nJy
    for name, flux in (("flux_ps1_r", 100.0), ("flux_err_ps1_r", 6.0)):
        table[name][2] = flux * u.nJy
    prepared = SPEC.to_tensor(table)
    said = [decode_flags(int(flags)) for flags in prepared.flags]
    assert said == [
        ["NO_DATA", "EBV_ASSUMED"],
        ["EBV_ASSUMED", "NON_DETECTION"],
        ["EBV_ASSUMED"],
    ]
    assert prepared.usable.tolist() == [False, True, True]
    assert torch.isfinite(prepared.images).all()


def test_two_bands_of_one_filter_are_averaged():
    both = QTable(
        {
            "flux_unwise_W1": [100.0, 100.0, np.nan, 100.0] * u.nJy,
            "flux_err_unwise_W1": [10.0, 10.0, np.nan, np.nan] * u.nJy,
            "flux_allwise_W1": [130.0, np.nan, np.nan, 300.0] * u.nJy,
            "flux_err_allwise_W1": [20.0, np.nan, np.nan, np.nan] * u.nJy,
        }
    )
    fluxes = SPEC.read(both)
    assert fluxes.flux.shape == (4, 1)
    mean = (100 / 100 + 130 / 400) / (1 / 100 + 1 / 400)
    assert np.allclose(fluxes.flux[:, 0], [mean, 100, np.nan, 200], equal_nan=True)
    error = (1 / 100 + 1 / 400) ** -0.5
    expected = [error, 10, np.nan, np.nan]
    assert np.allclose(fluxes.flux_err[:, 0], expected, equal_nan=True)
    turned = SPEC.to_tensor(both[both.colnames[::-1]]).images
    assert torch.equal(turned, SPEC.to_tensor(both).images)


def test_forty_measurements_are_enough(network):
    names = ["panstarrs_g"] * MOST_BANDS
    encoded = numbers([1000.0] * MOST_BANDS, [50.0] * MOST_BANDS, names=names)
    probability = predict_probability(network, encoded[None], torch.zeros(1, 1))
    assert probability.sum() == pytest.approx(1, abs=1e-5)


def test_a_table_without_fluxes_is_refused():
    with pytest.raises(InputSpecError, match="a column of fluxes.*there are z"):
        SPEC.to_tensor(QTable({"z": [1.0]}))


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(InputSpecError, match="multiple of 'n_heads'"):
        BandSetConfig(10, width=17)
    with pytest.raises(InputSpecError, match="between 0 and 1"):
        BandSetSpec(error_floor=0.0)
    with pytest.raises(InputSpecError, match="one dust map"):
        BandSetSpec(ebv_maps=("csfd", "planck"))


def test_galaxies_of_a_training_are_prepared_like_those_of_a_table():
    table = made_table(20)
    fluxes = SPEC.read(table)
    batch = TrainingBatch(
        images=(
            torch.from_numpy(fluxes.flux),
            torch.from_numpy(fluxes.flux_err),
            SPEC.describe(fluxes.bands)[None],
            torch.zeros(20),
        ),
        observed=torch.from_numpy(fluxes.observed),
        ebv=torch.full((20, 1), 0.03),
        z=torch.zeros(20),
        weight=torch.ones(20),
        index=torch.arange(20),
    )
    assert torch.equal(batch.encoded(SPEC).images, SPEC.to_tensor(table, 0.03).images)
