import logging
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord
from astropy.table import QTable

from mantis_astro import PhotoZ, RedshiftPDF
from mantis_astro.calibration import PITRecalibration
from mantis_astro.exceptions import InputSpecError
from mantis_astro.kernels.splitting import assign_folds, hold_out
from mantis_astro.metrics import log_score, sigma_nmad
from mantis_astro.refitting import RefitReport, feature_table
from mantis_astro.refitting.acceptance import compare
from mantis_astro.refitting.heads import fit_head, last_layer, soft_targets
from mantis_astro.refitting.reach import measure_reach
from mantis_astro.refitting.splitting import group_objects
from mantis_astro.simulation.server.made_spectra import draw_made_galaxies, made_fluxes

from .made import MadeSky, make_galaxy

pytestmark = pytest.mark.filterwarnings(
    "ignore::mantis_astro.exceptions.PlaceholderModelWarning"
)

ZERO_POINTS = [0.3, -0.3, 0.3, -0.2, 0.2, -0.3, 0.2, 0.3, -0.3]  # mag


@pytest.fixture(scope="module")
def photoz():
    return PhotoZ.from_pretrained("simulated-photometric")


def made_table(photoz, n, seed, zero_points=0.0):
    """Fluxes of made galaxies from a survey whose zero points are off."""
    rng = np.random.default_rng(seed)
    z, kind, mag_i = draw_made_galaxies(n, rng)
    flux = made_fluxes(z, kind, mag_i, photoz.card.bands)
    flux *= 10 ** (-0.4 * np.asarray(zero_points))
    error = np.hypot(300.0, 0.02 * flux)
    flux = flux + rng.normal(0, error)
    table = QTable({"z_spec": z})
    for j, band in enumerate(photoz.card.bands):
        suffix = str(band).replace(".", "_")
        table[f"flux_{suffix}"] = flux[:, j] * u.nJy
        table[f"flux_err_{suffix}"] = error[:, j] * u.nJy
    return table


@pytest.fixture(scope="module")
def shifted(photoz):
    return feature_table(photoz, made_table(photoz, 600, 1, ZERO_POINTS), ebv=0.0)


@pytest.fixture(scope="module")
def other(photoz):
    return feature_table(photoz, made_table(photoz, 1500, 2, ZERO_POINTS), ebv=0.0)


@pytest.fixture(scope="module", params=["logistic", "ridge"])
def refitted(request, photoz, shifted):
    return photoz.refit(
        shifted,
        shifted["z_spec"],
        method=request.param,
        alphas=[0.1],
        n_bootstrap=100,
        rng=3,
    )


def predicted(photoz, table):
    features = torch.from_numpy(np.asarray(table["features"]))
    with torch.no_grad():
        logits = photoz.network.fc1(features).double().numpy()
    pdf = RedshiftPDF(photoz.card.bin_edges, np.exp(logits - logits.max(1)[:, None]))
    return photoz.finish(pdf)


def test_a_shifted_sample_is_learnt(photoz, refitted, other):
    new, report = refitted
    assert report.accepted, report.message
    assert new is not photoz
    before, after = predicted(photoz, other), predicted(new, other)
    z = other["z_spec"]
    assert log_score(after, z) > log_score(before, z) + 0.3
    assert sigma_nmad(after.median(), z) < 0.8 * sigma_nmad(before.median(), z)


def test_the_original_is_left_as_it_was(refitted, photoz):
    fresh = PhotoZ.from_pretrained("simulated-photometric")
    for name, value in fresh.network.state_dict().items():
        assert torch.equal(photoz.network.state_dict()[name], value)
    assert photoz.card == fresh.card


def test_only_the_last_layer_changes(refitted, photoz):
    new = refitted[0].network.state_dict()
    for name, value in photoz.network.state_dict().items():
        assert torch.equal(new[name], value) == (not name.startswith("fc1."))


def test_the_report_describes_the_returned_model(photoz, refitted, shifted):
    """Its scores are those of the very galaxies that were held out."""
    new, report = refitted
    features = np.asarray(shifted["features"], float)
    groups = group_objects(np.column_stack([features, np.ones(len(features))]))
    held_out = hold_out(groups, 0.3, np.random.default_rng(3))
    assert report.n_validation == held_out.sum()
    rest = shifted[held_out]
    expected = log_score(predicted(new, rest), rest["z_spec"])
    assert report.scores["log_score"][1] == pytest.approx(expected, abs=0.04)


def test_it_is_compared_with_the_recalibrated_model(photoz, shifted):
    """What a user has is the model with its recalibration, not the bare softmax."""
    z = shifted["z_spec"]
    bare = photoz.with_recalibration(None)
    recalibrator = PITRecalibration().fit(predicted(bare, shifted), z)
    recalibrated = bare.with_recalibration(recalibrator)
    bare_scores, scores = (
        model.refit(shifted, z, method="ridge", alphas=[0.1], rng=3)[1].scores
        for model in (bare, recalibrated)
    )
    features = np.asarray(shifted["features"], float)
    groups = group_objects(np.column_stack([features, np.ones(len(features))]))
    rest = shifted[hold_out(groups, 0.3, np.random.default_rng(3))]
    expected = log_score(recalibrator.transform(predicted(bare, rest)), rest["z_spec"])
    assert scores["log_score"][0] == pytest.approx(expected, abs=0.05)
    assert scores["log_score"][0] > bare_scores["log_score"][0] + 0.1
    assert scores["log_score"][1] == bare_scores["log_score"][1]


def test_the_card_records_it(refitted, photoz, tmp_path):
    new, report = refitted
    assert new.card.name == "simulated-photometric-refit"
    assert f"{report.n_fit:,} galaxies" in new.card.training_sample
    assert "refitted" in new.card.description
    assert "n(z) of the galaxies it was refitted to" in new.card.training_prior
    assert new.card.n_of_z is None
    assert "arXiv:2310.18612" in new.citations()
    assert new.card.sha256 == ""
    new.save(tmp_path / "mine.safetensors")
    loaded = PhotoZ.from_file(tmp_path / "mine.safetensors")
    assert replace(loaded.card, sha256="") == new.card
    table = made_table(photoz, 20, 7)
    assert loaded.predict(table, ebv=0.0) == new.predict(table, ebv=0.0)


def test_predict_is_what_the_fit_said(photoz, refitted, other):
    new = refitted[0]
    pdf = new.predict(made_table(photoz, 1500, 2, ZERO_POINTS)[:50], ebv=0.0)
    expected = predicted(new, other[:50])
    np.testing.assert_allclose(pdf.probability, expected.probability, atol=1e-5)


def test_the_report_reads_well(refitted):
    new, report = refitted
    text = str(report)
    assert text.startswith("refit accepted: the log score improves by")
    assert "fitted to 420 galaxies, decided by 180 others" in text
    assert f"new p(z): {new.recalibrator.note}" in text
    table = report.to_table()
    assert list(table["metric"])[:2] == ["log_score", "crps"]
    assert table.meta["accepted"]
    np.testing.assert_allclose(
        table["after"] - table["before"], table["change"], atol=1e-5
    )


def test_a_layer_that_is_worse_calibrated_is_refused():
    """However much the log score gains."""
    rng = np.random.default_rng(1)
    centre = rng.uniform(0.3, 0.7, 600)
    edges, z = np.linspace(0, 1, 201), rng.normal(centre, 0.01)
    honest = RedshiftPDF.from_gaussians(edges, rng.normal(centre, 0.08), 0.08)
    broad = RedshiftPDF.from_gaussians(edges, centre, 0.04)
    good = RedshiftPDF.from_gaussians(edges, centre, 0.01)
    options = {"weights": np.ones(600), "n_bootstrap": 50, "rng": rng}
    scores, verdict = compare(honest, broad, z, **options)
    assert scores["log_score"][2] > 0.3
    assert scores["coverage_68"][1] > 0.95
    assert "worse in miss_68" in verdict
    assert compare(honest, good, z, **options)[1] == ""


def test_the_same_seed_gives_the_same_model(photoz, shifted):
    options = {"method": "ridge", "rng": 5}
    one, other = (photoz.refit(shifted, shifted["z_spec"], **options) for _ in range(2))
    assert torch.equal(one[0].network.fc1.weight, other[0].network.fc1.weight)
    assert one[1].scores == other[1].scores


def test_shuffled_redshifts_are_not_accepted(photoz, shifted, caplog):
    """Redshifts that have nothing to do with the galaxies cannot pass for skill."""
    own = predicted(photoz, shifted).sample(1, np.random.default_rng(0))[:, 0].value
    with caplog.at_level(logging.WARNING):
        new, report = photoz.refit(shifted[:300], own[:300], method="ridge")
    assert new is photoz
    assert not report.accepted
    assert "the model stays as it was" in caplog.text


def test_features_as_an_array_or_a_tensor(photoz, shifted):
    features = np.asarray(shifted["features"])
    new, _ = photoz.refit(features, shifted["z_spec"], method="ridge")
    same, _ = photoz.refit(
        torch.from_numpy(features), shifted["z_spec"], method="ridge"
    )
    assert torch.equal(new.network.fc1.bias, same.network.fc1.bias)


def test_a_table_of_fluxes(photoz, shifted):
    table = made_table(photoz, 600, 1, ZERO_POINTS)
    new, _ = photoz.refit(table, table["z_spec"], ebv=0.0, method="ridge")
    same, _ = photoz.refit(shifted, shifted["z_spec"], method="ridge")
    assert torch.equal(new.network.fc1.bias, same.network.fc1.bias)


def test_cutouts_and_positions():
    """Ten galaxies are too few to fit, but they are read."""
    photoz = PhotoZ.from_pretrained("simulated-early")
    coords = SkyCoord(np.arange(10) * 0.1, np.zeros(10), unit="deg")
    galaxies = [make_galaxy(c, seed=i) for i, c in enumerate(coords)]
    _, report = photoz.refit((g for g in galaxies), np.linspace(0.1, 0.5, 10), ebv=0.0)
    assert report.message.startswith("10 galaxies are too few")
    table = QTable({"coord": coords})
    _, report = photoz.refit(
        table, np.linspace(0.1, 0.5, 10), source=MadeSky(missing=[300]), ebv=0.0
    )
    assert report.dropped == {"without finite features": 1}
    assert report.message.startswith("9 galaxies are too few")


def test_fewer_samples_than_features(photoz, shifted):
    _, report = photoz.refit(shifted[:70], shifted["z_spec"][:70], rng=1)
    assert report.n_fit < 256
    assert np.isfinite(report.alpha) or "no layer better" in report.message


def test_duplicated_rows_are_never_separated(photoz, shifted):
    """Each galaxy five times is 60 galaxies, not 300."""
    index = np.repeat(np.arange(60), 5)
    features = np.asarray(shifted["features"])[index]
    held_out = hold_out(group_objects(features), 0.3, np.random.default_rng(0))
    assert not set(index[held_out]) & set(index[~held_out])
    _, report = photoz.refit(features, shifted["z_spec"][index], method="ridge")
    assert report.n_fit + report.n_validation == 300
    _, report = photoz.refit(features[:40], shifted["z_spec"][index][:40])
    assert "40 galaxies are too few" in report.message
    _, report = photoz.refit(
        np.repeat(features[:20], 15, axis=0), np.repeat(shifted["z_spec"][:20], 15)
    )
    assert "4 different galaxies or patches are too few" in report.message


def test_constant_features_change_nothing(photoz):
    z = np.random.default_rng(1).uniform(0.1, 0.9, 200)
    rng = np.random.default_rng(2)
    features = np.zeros((200, 256))
    features[:, 0] = 1e-3 * rng.random(200)
    for method in ("ridge", "logistic"):
        new, report = photoz.refit(features, z, method=method, alphas=[1.0])
        assert isinstance(report, RefitReport)
        assert torch.isfinite(new.network.fc1.weight).all()


def test_one_redshift_bin_teaches_nothing(photoz, shifted):
    new, report = photoz.refit(shifted[:100], np.full(100, 0.5021))
    assert new is photoz
    assert report.message == (
        "all z_spec lie in one redshift bin, at 0.502: nothing to learn"
    )


def test_what_cannot_be_used_is_left_out_and_counted(photoz, shifted, caplog):
    features = np.array(shifted["features"])
    z = np.ma.array(shifted["z_spec"].value, copy=True)
    features[3, 5] = np.nan
    features[4] = np.inf
    z[5] = np.ma.masked
    z[6], z[7], z[8] = np.nan, 1.7, -0.1
    with caplog.at_level(logging.INFO):
        _, report = photoz.refit(features, z, method="ridge")
    assert report.dropped == {
        "without finite features": 2,
        "without z_spec": 2,
        "beyond the redshift bins, 0 to 1.6": 2,
    }
    assert report.n_fit + report.n_validation == 594
    assert "2 galaxies are left out: beyond the redshift bins" in caplog.text
    assert "left out: 2 without z_spec" in str(report)


def test_nothing_left_is_an_error(photoz, shifted):
    with pytest.raises(ValueError, match="no galaxy can be used.*60 beyond the redsh"):
        photoz.refit(shifted[:60], np.full(60, 3.0))
    with pytest.raises(ValueError, match="none were given"):
        photoz.refit(shifted[:0], [])


def test_features_of_another_model_are_refused(photoz, shifted):
    with pytest.raises(InputSpecError, match=r"shape \(n, 256\), got \(100, 64\)"):
        photoz.refit(np.zeros((100, 64)), np.linspace(0, 1, 100))
    stranger = shifted.copy()
    stranger.meta |= {"PZENCODE": "0" * 64, "PZMODEL": "theirs"}
    with pytest.raises(
        InputSpecError, match="features of theirs, whose encoder is not"
    ):
        photoz.refit(stranger, stranger["z_spec"])
    nameless = shifted.copy()
    del nameless.meta["PZENCODE"]
    with pytest.raises(InputSpecError, match="does not say whose features"):
        photoz.refit(nameless, nameless["z_spec"])


def test_features_of_a_refitted_model_are_those_of_the_original(refitted, shifted):
    _, report = refitted[0].refit(shifted, shifted["z_spec"], method="ridge")
    assert isinstance(report, RefitReport)


def test_a_feature_table_survives_a_file(photoz, shifted, tmp_path):
    shifted[:60].write(tmp_path / "features.ecsv")
    table = QTable.read(tmp_path / "features.ecsv")
    photoz.refit(table, table["z_spec"], method="ridge")  # is not refused


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "svm"}, "'method' must be 'logistic' or 'ridge', got 'svm'"),
        ({"validation_fraction": 1.0}, "'validation_fraction' must be between 0 and 1"),
        ({"smoothing": -0.1}, "'smoothing' must be from 0"),
        ({"n_folds": 1}, "'n_folds' must be at least 2"),
        ({"n_bootstrap": 0}, "'n_bootstrap' must be at least 2"),
        ({"sample_weight": np.ones(5)}, r"expected shape \(100,\), got \(5,\)"),
        ({"coords": SkyCoord([1] * u.deg, [2] * u.deg)}, "one position for each"),
        ({"alphas": [-1.0], "method": "ridge"}, "'alpha' must be"),
    ],
)
def test_wrong_arguments_are_named(photoz, shifted, options, match):
    with pytest.raises(ValueError, match=match):
        photoz.refit(shifted[:100], shifted["z_spec"][:100], **options)


def test_wrong_data_are_named(photoz, shifted):
    with pytest.raises(ValueError, match="one redshift for each object"):
        photoz.refit(shifted[:100], shifted["z_spec"][:99])
    with pytest.raises(TypeError, match="'data' must be a MultibandCutout, an iter"):
        photoz.refit("galaxies.fits", [0.1])


def test_weights_choose_whom_to_serve(photoz, shifted):
    """Weight zero is not being there."""
    z = np.array(shifted["z_spec"].value)
    z[300:] = 0.05  # nonsense
    weights = np.repeat([1.0, 0.0], 300)
    _, report = photoz.refit(shifted, z, sample_weight=weights, method="ridge", rng=2)
    assert report.accepted
    _, unweighted = photoz.refit(shifted, z, method="ridge", rng=2)
    assert unweighted.scores["sigma_nmad"][0] > 1.2 * report.scores["sigma_nmad"][0]


def test_labels_that_do_not_reach_the_targets_teach_nothing(photoz, shifted, caplog):
    """Galaxies at one end of the features say nothing of those at the other."""
    features = np.asarray(shifted["features"], float)
    order = np.argsort(features[:, features.std(0).argmax()])
    near, far = order[:150], order[-50:]
    options = {"method": "ridge", "alphas": [0.1], "n_bootstrap": 20}
    new, report = photoz.refit(
        features[near], shifted["z_spec"][near], targets=features[far], **options
    )
    assert new is photoz
    assert report.reach.beyond > 0.2
    assert "of the targets have no labelled galaxies like them" in report.message
    assert "refit not accepted" in caplog.text


def test_labels_like_the_targets_count_alike(photoz, shifted, other):
    z = shifted["z_spec"]
    options = {"method": "ridge", "alphas": [0.1], "n_bootstrap": 20, "rng": 3}
    _, report = photoz.refit(shifted[:300], z[:300], targets=other[:80], **options)
    assert report.accepted
    assert report.reach.beyond < 0.1
    np.testing.assert_array_equal(report.reach.weights, 1)
    assert "for the targets: no shift between" in str(report)


def test_targets_weigh_the_labels(photoz, shifted, other):
    """Half of the kinds of galaxies among the labels are the only kind of target."""
    features, theirs = (np.asarray(t["features"], float) for t in (shifted, other))
    j = features.std(0).argmax()
    middle = np.median(features[:, j])
    wanted = theirs[theirs[:, j] > middle][:100]
    reach = measure_reach(features, wanted)
    assert reach.severity in ("clear", "strong")
    above = features[:, j] > middle
    assert reach.weights[above].mean() > 2 * reach.weights[~above].mean()
    assert reach.problem == ""


def test_patches_of_sky_are_held_out_whole():
    rng = np.random.default_rng(1)
    coords = SkyCoord(rng.uniform(0, 40, 500), rng.uniform(-20, 20, 500), unit="deg")
    groups = group_objects(np.zeros((500, 1)), coords, nside=8)
    held_out = hold_out(groups, 0.3, rng)
    assert not set(groups[held_out]) & set(groups[~held_out])
    assert 0.15 < held_out.mean() < 0.45
    folds = assign_folds(groups, 3, rng)
    for group in np.unique(groups):
        assert len(set(folds[groups == group])) == 1
    assert np.bincount(folds).min() > 100


def test_a_small_field_is_cut_into_finer_pixels(caplog):
    rng = np.random.default_rng(1)
    coords = SkyCoord(rng.uniform(10, 10.5, 300), rng.uniform(0, 0.5, 300), unit="deg")
    with caplog.at_level(logging.INFO):
        groups = group_objects(np.zeros((300, 1)), coords)
    assert groups.max() >= 29
    assert "fewer than 30 pixels at nside=64" in caplog.text


def test_a_sample_of_one_small_field_is_recalibrated_too(photoz, shifted):
    """It is a few pixels of a degree: too few groups for folds, were they not cut."""
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 1, (2, len(shifted)))
    new, report = photoz.refit(
        shifted,
        shifted["z_spec"],
        coords=SkyCoord(150 + ra, 2 + dec, unit="deg"),
        method="ridge",
        alphas=[0.1],
        n_bootstrap=50,
        rng=3,
    )
    assert report.n_validation > 60
    assert report.calibration == new.recalibrator.note


def test_objects_without_a_position_are_alone():
    coords = SkyCoord([1, np.nan, 1, np.nan], [2, np.nan, 2, 5], unit="deg")
    groups = group_objects(np.zeros((4, 1)), coords)
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3


def test_one_group_is_not_held_out():
    assert not hold_out(np.zeros(10, int), 0.3, np.random.default_rng(0)).any()
    assert hold_out(np.array([0, 1]), 0.1, np.random.default_rng(0)).sum() == 1


def test_soft_targets_have_the_redshift_as_their_mean():
    edges = np.linspace(0, 2, 401)
    z = np.array([0.5, 1.0, 1.37])
    target = soft_targets(edges, z, 0.02)
    centres = (edges[1:] + edges[:-1]) / 2
    np.testing.assert_allclose(target.sum(1), 1)
    np.testing.assert_allclose(target @ centres, z, atol=1e-6)
    at_edges = soft_targets(edges, np.array([0.0, 2.0]), 0.0)
    assert at_edges[0, 0] == at_edges[1, -1] == 1


def test_fitting_what_is_perfect_already_changes_nothing(photoz):
    """Redshifts drawn from the p(z) themselves cannot be predicted better."""
    rng = np.random.default_rng(4)
    head = last_layer(photoz.network)
    table = feature_table(photoz, made_table(photoz, 150, 9), ebv=0.0)
    features = np.column_stack([np.asarray(table["features"], float), np.ones(150)])
    z = predicted(photoz, table).sample(1, rng)[:, 0].value
    fit = fit_head(
        features,
        z,
        head,
        bin_edges=photoz.card.bin_edges,
        folds=np.arange(150) % 3,
        method="ridge",
        alphas=None,
        smoothing=0.0,
        weights=np.ones(150),
    )
    assert np.isinf(fit.alpha) or np.abs(features @ (fit.coef - head)).std() < 0.5


def test_the_same_densities_are_not_better():
    rng = np.random.default_rng(1)
    edges = np.linspace(0, 1, 21)
    pdf = RedshiftPDF(edges, rng.random((50, 20)))
    scores, verdict = compare(
        pdf, pdf, rng.random(50), weights=np.ones(50), n_bootstrap=20, rng=rng
    )
    assert verdict.startswith("the log score of the validation galaxies changes by +0")
    assert scores["crps"][2:] == (0.0, 0.0)


def test_a_better_log_score_does_not_excuse_outliers():
    """Wide and right, but its medians are worse than those of the narrow ones."""
    rng = np.random.default_rng(1)
    edges = np.linspace(0, 1, 101)
    centres = (edges[1:] + edges[:-1]) / 2
    z = rng.uniform(0.3, 0.7, 200)

    def gaussians(at, width):
        return RedshiftPDF(edges, np.exp(-0.5 * ((centres - at[:, None]) / width) ** 2))

    narrow = gaussians(z + rng.normal(0, 0.03, 200), 0.005)
    wide = gaussians(z + rng.normal(0, 0.06, 200), 0.06)
    _, verdict = compare(narrow, wide, z, weights=np.ones(200), n_bootstrap=50, rng=rng)
    assert verdict.startswith("the log score improves, but it is worse in")
    assert "sigma_nmad" in verdict


def test_explain_finds_the_galaxy_itself_first(photoz, shifted):
    table = photoz.explain(shifted[:20], shifted, k=3)
    first = table[table["rank"] == 1]
    np.testing.assert_array_equal(first["reference"], np.arange(20))
    np.testing.assert_allclose(first["similarity"], 1)
    assert set(np.unique(table["object"])) == set(range(20))
    sums = np.bincount(table["object"], weights=table["weight"])
    np.testing.assert_allclose(sums, 1)
    assert (np.diff(table["similarity"].reshape(-1, 3), axis=1) <= 0).all()


def test_explain_carries_columns_over(photoz, shifted, other):
    table = photoz.explain(other[:5], shifted, k=4)
    np.testing.assert_array_equal(
        table["z_spec"], shifted["z_spec"][table["reference"]]
    )
    assert "features" not in table.colnames


def test_neighbours_have_similar_redshifts(photoz, shifted, other):
    table = photoz.explain(other[:200], shifted, k=5)
    mean = np.bincount(table["object"], weights=table["weight"] * table["z_spec"])
    error = np.abs(mean - other["z_spec"][:200].value)
    shuffled = np.abs(mean - np.roll(other["z_spec"][:200].value, 1))
    assert np.median(error) < 0.4 * np.median(shuffled)


def test_explain_leaves_out_what_has_no_features(photoz, shifted):
    features = np.array(shifted["features"][:30])
    features[2] = np.nan
    table = photoz.explain(features, features, k=2)
    assert 2 not in table["object"]
    assert 2 not in table["reference"]
    with pytest.raises(ValueError, match="from 1 to the number of .* features, 29"):
        photoz.explain(features, features, k=30)


def test_explain_of_cutouts():
    photoz = PhotoZ.from_pretrained("simulated-early")
    coords = SkyCoord(np.arange(4) * 0.1, np.zeros(4), unit="deg")
    galaxies = [
        make_galaxy(c, seed=i, amplitude=30.0 * i) for i, c in enumerate(coords)
    ]
    reference = feature_table(photoz, galaxies, ebv=0.0)
    table = photoz.explain(galaxies[1], reference, k=1, ebv=0.0)
    assert list(table["reference"]) == [1]
    other = reference.copy()
    other.meta["PZENCODE"] = "another"
    with pytest.raises(InputSpecError, match="whose encoder is not that of"):
        photoz.explain(galaxies[1], other)
