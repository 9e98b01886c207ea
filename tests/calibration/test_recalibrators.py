"""What holds for every recalibrator: mass, order, weights, bad input, JSON."""

import json

import numpy as np
import pytest

from mantis_astro import Flag, RedshiftPDF
from mantis_astro.calibration import (
    LocalRecalibration,
    PITRecalibration,
    Recalibrator,
    Smoothing,
    TemperatureScaling,
    recalibrator_from_plain,
)
from mantis_astro.exceptions import CalibrationWarning
from mantis_astro.records import from_plain, to_plain

from .toys import EDGES, make_toy

MAKERS = {
    "temperature": TemperatureScaling,
    "temperature-floor": lambda: TemperatureScaling(floor=True),
    "pit": PITRecalibration,
    "smoothing": Smoothing,
    "beta": lambda: PITRecalibration(method="beta"),
    "local": lambda: LocalRecalibration(strengths=(30.0,), n_folds=2),
    "local-linear": lambda: LocalRecalibration(
        n_knots=0, strengths=(300.0, 30.0), n_folds=2
    ),
}


@pytest.fixture(scope="module")
def toy():
    return make_toy(2000, seed=1, width=0.7, bias=0.3, by_magnitude=0.3)


@pytest.fixture(scope="module", params=MAKERS)
def fitted(request, toy):
    return MAKERS[request.param]().fit(toy.pdf, toy.z_spec)


@pytest.fixture(params=MAKERS)
def fresh(request):
    return MAKERS[request.param]()


def test_it_is_a_recalibrator_and_says_what_it_found(fitted):
    assert isinstance(fitted, Recalibrator)
    assert fitted.note.endswith("fitted on 2000 galaxies")


def test_mass_bins_shape_flags_and_precision_stay(fitted, toy):
    pdf = toy.pdf[:12].reshape(3, 4).add_flags(Flag.BLEND)
    after = fitted.transform(pdf)
    assert after.shape == (3, 4)
    assert after.probability.dtype == np.float32
    np.testing.assert_array_equal(after.bin_edges, EDGES)
    np.testing.assert_array_equal(after.flags, pdf.flags)
    np.testing.assert_allclose(after.probability.sum(-1), 1, rtol=1e-6)
    assert not np.array_equal(after.probability, pdf.probability)


def test_meta_says_what_was_done_and_keeps_what_stood_there(fitted, toy):
    pdf = RedshiftPDF(EDGES, toy.pdf.probability[:3], meta={"by": "me"})
    twice = fitted.transform(fitted.transform(pdf))
    assert twice.meta["by"] == "me"
    assert twice.meta["PZCALIB"].count("fitted on 2000 galaxies") == 2
    assert "PZCALIB" not in pdf.meta


def test_rows_are_the_same_to_the_bit_whatever_they_come_with(fitted, toy):
    pdf = RedshiftPDF(EDGES, toy.pdf.probability[:40].astype(float))
    whole = fitted.transform(pdf)
    for i in range(9):
        np.testing.assert_array_equal(
            fitted.transform(pdf[i]).probability, whole.probability[i]
        )


def test_a_single_galaxy_and_none_are_fine(fitted, toy):
    assert fitted.transform(toy.pdf[0]).shape == ()
    assert fitted.transform(toy.pdf[:0]).shape == (0,)


def test_rows_without_data_are_passed_through(fitted, toy):
    flags = np.where(np.arange(10) % 2, int(Flag.NO_DATA), 0)
    pdf = RedshiftPDF(EDGES, toy.pdf.probability[:10], flags=flags)
    after = fitted.transform(pdf)
    np.testing.assert_array_equal(after.probability[1::2], pdf.probability[1::2])
    assert (after.probability[::2] != pdf.probability[::2]).any(axis=1).all()


def test_it_works_on_other_bins(fitted, toy):
    coarse = toy.pdf[:50].rebin(np.linspace(0, 1.6, 161))
    fine = fitted.transform(toy.pdf[:50])
    # the bins are 0.01 wide, the densities 0.05
    np.testing.assert_allclose(
        fitted.transform(coarse).median(), fine.median(), atol=0.003
    )


@pytest.mark.parametrize("through", [json.dumps, lambda x: json.dumps(to_plain(x))])
def test_json_brings_it_back_bit_for_bit(fitted, toy, through):
    """Also through the records of model cards, which make tuples of lists."""
    again = recalibrator_from_plain(from_plain(json.loads(through(fitted.to_plain()))))
    assert type(again) is type(fitted)
    assert again.transform(toy.pdf[:20]) == fitted.transform(toy.pdf[:20])


def test_calibrated_p_of_z_stay_nearly_as_they_are(fresh):
    toy = make_toy(4000, seed=2)
    with pytest.MonkeyPatch.context():
        fitted = _fit_quietly(fresh, toy.truth, toy.z_spec)
    before = toy.truth
    after = fitted.transform(before)
    distance = np.abs(after.probability - before.probability).sum(axis=1) / 2
    assert distance.mean() < 0.04  # total variation; sampling noise is 1 / sqrt(4000)


def test_fitting_twice_gives_the_same(fresh, toy):
    first = _fit_quietly(fresh, toy.pdf, toy.z_spec).to_plain()
    assert _fit_quietly(fresh, toy.pdf, toy.z_spec).to_plain() == first


def test_integer_weights_count_galaxies_as_often(fresh, toy):
    rng = np.random.default_rng(3)
    weight = rng.integers(1, 3, len(toy.z_spec))
    rows = np.repeat(np.arange(len(weight)), weight)
    if isinstance(fresh, LocalRecalibration):
        fresh.strengths = (30.0,)  # folds differ, and a choice could
    weighted = fresh.fit(toy.pdf, toy.z_spec, sample_weight=weight)
    weighted = weighted.transform(toy.pdf[:100])
    repeated = fresh.fit(toy.pdf[rows], toy.z_spec[rows]).transform(toy.pdf[:100])
    # the effective numbers, and so pulls and nodes, differ a little
    np.testing.assert_allclose(weighted.median(), repeated.median(), atol=0.003)
    np.testing.assert_allclose(weighted.std(), repeated.std(), rtol=0.07)


def test_weights_of_zero_leave_galaxies_out(fresh, toy):
    weight = np.r_[np.ones(1500), np.zeros(500)]
    weighted = _fit_quietly(fresh, toy.pdf, toy.z_spec, sample_weight=weight)
    part = _fit_quietly(fresh, toy.pdf[:1500], toy.z_spec[:1500]).to_plain()
    assert weighted.to_plain() == part


def test_what_cannot_be_used_is_left_out(fresh, toy):
    """NaN and masked z_spec, and rows without data, change nothing."""
    z_spec = np.ma.masked_array(toy.z_spec.copy(), mask=np.arange(2000) >= 1900)
    z_spec[1800:1900] = np.nan
    flags = np.where((np.arange(2000) >= 1700) & (np.arange(2000) < 1800), 1, 0)
    pdf = RedshiftPDF(EDGES, toy.pdf.probability, flags=flags)
    fitted = _fit_quietly(fresh, pdf, z_spec)
    clean = _fit_quietly(fresh, toy.pdf[:1700], toy.z_spec[:1700])
    assert fitted.to_plain() == clean.to_plain()


def test_redshifts_outside_the_bins_are_counted(fresh, toy):
    z_spec = toy.z_spec.copy()
    z_spec[:7] = 3.0
    with pytest.warns(CalibrationWarning, match="7 of 2000 'z_spec' lie outside"):
        fresh.fit(toy.pdf, z_spec)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pdf": lambda t: t.pdf[:4]}, r"'z_spec' must have one value for each of 4"),
        ({"pdf": lambda t: t.pdf[0]}, r"'pdf' must be a RedshiftPDF of shape \(n,\)"),
        ({"pdf": lambda t: t.z_spec}, r"'pdf' must be a RedshiftPDF of shape \(n,\)"),
        ({"z_spec": lambda t: t.z_spec * np.nan}, "are needed, got 0 of 2000"),
        ({"weight": lambda t: t.z_spec[:9]}, r"'sample_weight' must have one value"),
        ({"weight": lambda t: t.z_spec - 9}, "'sample_weight' must be finite and not"),
        (
            {"weight": lambda t: t.z_spec / 0},
            "must be finite and not negative, got inf",
        ),
        ({"weight": lambda t: t.z_spec * 0}, "are needed, got 0 of 2000"),
        (
            {"weight": lambda t: np.r_[1e6, np.ones(1999)]},
            "got 2000 of 2000, with weights that correspond to 1",
        ),
    ],
)
def test_bad_input_is_refused_in_words(fresh, toy, change, message):
    arguments = {"pdf": lambda t: t.pdf, "z_spec": lambda t: t.z_spec, **change}
    made = {}
    with np.errstate(divide="ignore"):
        for name, make in arguments.items():
            made["sample_weight" if name == "weight" else name] = make(toy)
    with pytest.raises(ValueError, match=message):
        fresh.fit(made.pop("pdf"), made.pop("z_spec"), **made)


def test_too_few_galaxies_are_refused(fresh, toy):
    with pytest.raises(ValueError, match=r"at least \d+ galaxies with a 'z_spec'"):
        fresh.fit(toy.pdf[:5], toy.z_spec[:5])


def test_it_must_be_fitted_first(fresh, toy):
    for use in (fresh.to_plain, lambda: fresh.transform(toy.pdf)):
        with pytest.raises(ValueError, match="is not fitted: call fit"):
            use()


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        (
            {"recalibrator": "magic"},
            "is one of best, temperature, pit, local, smoothing, got",
        ),
        ({}, "'recalibrator' is one of"),
        (None, "must be a dictionary"),
        (
            {"recalibrator": "pit", "method": "beta"},
            "of a PITRecalibration lacks 'shrinkage'",
        ),
    ],
)
def test_what_is_no_recalibrator_is_refused(plain, message):
    with pytest.raises(ValueError, match=message):
        recalibrator_from_plain(plain)


def _fit_quietly(recalibrator, pdf, z_spec, **options):
    """Fit, where falling back to the common map is fine."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)
        return recalibrator.fit(pdf, z_spec, **options)
