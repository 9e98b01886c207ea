"""The recalibration that galaxies left out of its fit choose."""

import json

import numpy as np
import pytest

from mantis_astro import RedshiftPDF, metrics
from mantis_astro.calibration import (
    BestRecalibration,
    PITRecalibration,
    TemperatureScaling,
    compare_log_scores,
    recalibrator_from_plain,
)
from mantis_astro.calibration.ladder import COMMON

from .toys import make_toy

WRONG = {
    "nothing": {"floor": 1e-6},
    "temperature": {"width": 0.5, "floor": 1e-6},
    "pit": {"bias": 1.0},
    "local": {"by_magnitude": 0.8},
}


def second_peaks(n, seed):
    """P(z) with another peak, 3 tenths of it, where the truth never is."""
    toy, rng = make_toy(n, seed=seed), np.random.default_rng(seed)
    step = rng.choice([-30, 30], n)
    other = [np.roll(row, k) for row, k in zip(toy.pdf.probability, step, strict=True)]
    rows = 0.7 * toy.pdf.probability + 0.3 * np.stack(other)
    return RedshiftPDF(toy.pdf.bin_edges, rows), toy.z_spec


@pytest.fixture(scope="module", params=WRONG)
def case(request):
    toy = make_toy(700, seed=1, **WRONG[request.param])
    best = BestRecalibration().fit(toy.pdf, toy.z_spec, features=toy.magnitude)
    return request.param, toy, best


def test_it_chooses_what_is_called_for(case):
    name, _, best = case
    # of Gaussians of a wrong width a map mends as much as a temperature
    same = {"temperature", "pit"}
    assert best.chosen_ in (same if name in {"temperature", "nothing"} else {name})


def test_second_peaks_are_shrunk_and_what_remains_is_mapped():
    pdf, z_spec = second_peaks(600, seed=1)
    best = BestRecalibration().fit(pdf, z_spec)
    assert best.chosen_ == "tempered pit"
    test, truth = second_peaks(2000, seed=2)
    scaled = TemperatureScaling(floor=True).fit(pdf, z_spec).transform(test)
    after = best.transform(test)
    gain, error = compare_log_scores(scaled, after, truth)
    assert gain > 2 * error
    ks = [metrics.pit_ks(metrics.pit(p, truth)) for p in (scaled, after)]
    assert ks[1] < 0.7 * ks[0]
    again = recalibrator_from_plain(json.loads(json.dumps(best.to_plain())))
    assert (again.transform(test), again.note) == (after, best.note)


def test_galaxies_that_it_has_not_seen_gain(case):
    name, toy, best = case
    test = make_toy(2000, seed=2, **WRONG[name])
    more = {"features": test.magnitude} if best.given_features_ else {}
    after = best.transform(test.pdf, **more)
    gain, error = compare_log_scores(test.pdf, after, test.z_spec)
    assert abs(gain) < 0.01 if name == "nothing" else gain > 5 * error
    said, its_error = compare_log_scores(toy.pdf, best.held_out_, toy.z_spec)
    assert said == pytest.approx(gain, abs=4 * np.hypot(error, its_error) + 1e-12)


def test_it_is_kept_in_json(case):
    _, toy, best = case
    again = recalibrator_from_plain(json.loads(json.dumps(best.to_plain())))
    more = {"features": toy.magnitude} if best.given_features_ else {}
    assert again.transform(toy.pdf, **more) == best.transform(toy.pdf, **more)
    assert (again.note, again.chosen_) == (best.note, best.chosen_)
    assert again.gains_ == best.gains_


def test_held_out_galaxies_are_recalibrated_by_others():
    toy = make_toy(200, seed=3, width=0.5)
    flipped = np.where(np.arange(200) == 7, 1.5, toy.z_spec)  # one is an outlier
    one, other = (
        BestRecalibration().fit(toy.pdf, z).held_out_ for z in (toy.z_spec, flipped)
    )
    assert one[7] == other[7]
    assert one != other


@pytest.mark.parametrize("n", [25, 60])
def test_few_galaxies_are_given_what_they_can_decide(n):
    toy = make_toy(n, seed=4, width=0.3, floor=1e-6)
    best = BestRecalibration().fit(toy.pdf, toy.z_spec)
    assert set(best.gains_) == ({"temperature"} if n < 50 else set(COMMON))
    test = make_toy(2000, seed=5, width=0.3, floor=1e-6)
    after = best.transform(test.pdf)
    assert metrics.log_score(after, test.z_spec) > metrics.log_score(
        test.pdf, test.z_spec
    )


def test_few_galaxies_of_which_some_are_outliers_gain_as_by_a_temperature():
    """Of 50 galaxies, those 5 % that are anywhere are a few, or none of a fold."""
    test = make_toy(2000, seed=9, outliers=0.05)
    losses = []
    for seed in range(6):
        toy = make_toy(50, seed=seed, outliers=0.05)
        scaled, best = (
            metrics.log_score(
                r.fit(toy.pdf, toy.z_spec).transform(test.pdf), test.z_spec
            )
            for r in (TemperatureScaling(floor=True), BestRecalibration())
        )
        losses.append(scaled - best)
    assert np.mean(losses) < 0.02


def test_a_single_group_does_not_leave_too_few_to_fit():
    toy = make_toy(100, seed=6, width=0.5)
    groups = np.r_[np.zeros(80, int), np.arange(1, 21)]
    best = BestRecalibration().fit(toy.pdf, toy.z_spec, groups=groups)
    assert best.gains_["temperature"][0] > 0


def test_a_temperature_at_its_bound_says_so(caplog):
    toy = make_toy(200, seed=7, width=8.0, floor=0.0)
    scaling = TemperatureScaling().fit(toy.pdf, toy.z_spec)
    assert "the temperature is at its bound, 0.05" in caplog.text
    assert "(at its bound)" in scaling.note
    tempered = PITRecalibration(temperature=True).fit(toy.pdf, toy.z_spec)
    assert tempered.note.startswith("temperature 0.05")
    assert "(at its bound), PIT map" in tempered.note


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="'n_folds' must be at least 2"):
        BestRecalibration(n_folds=1)
    with pytest.raises(ValueError, match="this BestRecalibration is not fitted"):
        BestRecalibration().transform(make_toy(5, seed=0).pdf)
