"""Both sides in one table, and folds that never see themselves."""

import numpy as np
import pytest

from mantis_astro import Flag, RedshiftPDF, evaluate, metrics
from mantis_astro.calibration import (
    LocalRecalibration,
    PITRecalibration,
    TemperatureScaling,
    out_of_fold,
    report_calibration,
    summarize_calibration,
)

from .toys import EDGES, make_toy


@pytest.fixture(scope="module")
def toy():
    return make_toy(3000, seed=1, width=0.6, by_magnitude=0.3)


@pytest.fixture(scope="module")
def after(toy):
    return PITRecalibration().fit(toy.pdf, toy.z_spec).transform(toy.pdf)


@pytest.fixture(scope="module")
def table(toy, after):
    return report_calibration(toy.pdf, after, toy.z_spec)


def test_both_sides_are_the_metrics_of_the_package(toy, after, table):
    value = {row["metric"]: row for row in table}
    for side, pdf in (("before", toy.pdf), ("after", after)):
        pit = metrics.pit(pdf, toy.z_spec)
        z_phot = pdf.median()
        expected = {
            "pit_ks": metrics.pit_ks(pit),
            "pit_cvm": metrics.pit_cvm(pit),
            **{
                f"coverage_{level}": metrics.coverage(
                    pdf, toy.z_spec, level=level / 100
                )
                for level in (50, 68, 90, 95)
            },
            "cde_loss": metrics.cde_loss(pdf, toy.z_spec),
            "crps": metrics.crps(pdf, toy.z_spec),
            "log_score": metrics.log_score(pdf, toy.z_spec),
            "sigma_nmad": metrics.sigma_nmad(z_phot, toy.z_spec),
            "outlier_fraction_005": metrics.outlier_fraction(
                z_phot, toy.z_spec, threshold=0.05
            ),
            "outlier_fraction_015": metrics.outlier_fraction(
                z_phot, toy.z_spec, threshold=0.15
            ),
            "bias_mean": metrics.bias_mean(z_phot, toy.z_spec),
            "bias_median": metrics.bias_median(z_phot, toy.z_spec),
        }
        assert {name: row[side] for name, row in value.items()} == expected


def test_the_change_is_after_minus_before_with_the_error_of_pairs(table):
    np.testing.assert_allclose(table["change"], table["after"] - table["before"])
    row = table[list(table["metric"]).index("crps")]
    assert row["change_err"] < 0.3 * row["before_err"]  # the same galaxies twice


def test_errors_agree_with_those_of_evaluate(toy, table):
    errors = evaluate(toy.pdf, toy.z_spec, n_bootstrap=100)[0]
    for row in table:
        if f"{row['metric']}_err" in errors.colnames:
            # the error of a standard deviation of 100 samples is 7 %, of both 10 %
            assert row["before_err"] == pytest.approx(
                errors[f"{row['metric']}_err"], rel=0.4
            )


def test_the_table_says_what_it_is_of(table):
    assert table.meta["n"] == 3000
    assert table.meta["point"] == "median"
    assert table.meta["recalibration"].startswith("PIT map (monotone)")
    assert all(table["meaning"])


def test_in_words(table):
    text = summarize_calibration(table)
    assert text.splitlines()[0] == "3,000 galaxies; point estimate: median of p(z)"
    assert len(text.splitlines()) == 3 + len(table)


def test_an_error_that_is_not_known_is_left_out_of_the_words(toy):
    pdf, z_spec = toy.pdf[:30], toy.z_spec[:30].copy()
    z_spec[0] = 9.99  # the log score is -inf, without an error
    text = summarize_calibration(report_calibration(pdf, pdf, z_spec, n_bootstrap=2))
    line = next(line for line in text.splitlines() if "log_score" in line)
    assert line.split()[1:4] == ["-inf", "-inf", "Mean"]


def test_galaxies_without_z_spec_or_data_are_left_out(toy, after):
    z_spec = toy.z_spec.copy()
    z_spec[:100] = np.nan
    flags = np.where(np.arange(3000) >= 2900, int(Flag.NO_DATA), 0)
    before = RedshiftPDF(EDGES, toy.pdf.probability, flags=flags)
    table = report_calibration(before, after, z_spec, n_bootstrap=2)
    inner = slice(100, 2900)
    clean = report_calibration(
        toy.pdf[inner], after[inner], toy.z_spec[inner], n_bootstrap=2
    )
    assert table.meta["n"] == 2800
    np.testing.assert_array_equal(table["after"], clean["after"])


def test_the_seed_makes_the_errors(toy, after):
    first, same, other = (
        report_calibration(toy.pdf, after, toy.z_spec, n_bootstrap=3, rng=rng)
        for rng in (1, np.random.default_rng(1), 2)
    )
    np.testing.assert_array_equal(first["after_err"], same["after_err"])
    assert (first["after_err"] != other["after_err"]).any()


def test_bad_input_is_refused(toy, after):
    with pytest.raises(ValueError, match=r"must have one shape, got \(9,\) and \(3000"):
        report_calibration(toy.pdf[:9], after, toy.z_spec)
    with pytest.raises(ValueError, match="of 3000 galaxies none has both"):
        report_calibration(toy.pdf, after, toy.z_spec * np.nan)
    with pytest.raises(ValueError, match="'n_bootstrap' must be at least 2, got 1"):
        report_calibration(toy.pdf, after, toy.z_spec, n_bootstrap=1)
    with pytest.raises(ValueError, match="'point' must be one of"):
        report_calibration(toy.pdf, after, toy.z_spec, point="best")


# Folds -----------------------------------------------------------------------------


class Spy:
    """Remembers what each copy was fitted on, and adds it to the answers' meta."""

    seen: list = []  # noqa: RUF012  shared by the copies on purpose

    def fit(self, pdf, z_spec, **options):
        self.rows = pdf.flags.copy()
        self.options = options
        return self

    def transform(self, pdf, **options):
        self.seen.append((self.rows, pdf.flags.copy(), self.options, options))
        return pdf


@pytest.fixture
def spy():
    Spy.seen = []
    return Spy()


@pytest.fixture
def numbered(toy):
    """Galaxies whose flags are their numbers, as far as NO_DATA allows: even."""
    return RedshiftPDF(EDGES, toy.pdf.probability[:60], flags=2 * np.arange(60))


def test_no_galaxy_is_recalibrated_by_itself(spy, numbered, toy):
    after = out_of_fold(spy, numbered, toy.z_spec[:60])
    assert len(spy.seen) == 5
    for fitted, used, *_ in spy.seen:
        assert not set(fitted) & set(used)
        assert len(fitted) + len(used) == 60
    np.testing.assert_array_equal(after.flags, numbered.flags)
    assert not hasattr(spy, "rows")  # the one given stays as it is


def test_groups_are_never_on_both_sides(spy, numbered, toy):
    groups = np.arange(60) // 4
    out_of_fold(spy, numbered, toy.z_spec[:60], groups=groups, n_folds=3)
    for fitted, used, *_ in spy.seen:
        assert not set(groups[fitted // 2]) & set(groups[used // 2])


def test_features_and_weights_go_with_their_galaxies(spy, numbered, toy):
    out_of_fold(
        spy,
        numbered,
        toy.z_spec[:60],
        features=2.0 * np.arange(60),
        sample_weight=2.0 * np.arange(60),
    )
    for fitted, used, fit, transform in spy.seen:
        np.testing.assert_array_equal(fit["features"], fitted)
        np.testing.assert_array_equal(fit["sample_weight"], fitted)
        np.testing.assert_array_equal(transform["features"], used)


@pytest.mark.parametrize(
    "recalibrator",
    [
        TemperatureScaling(),
        PITRecalibration(),
        LocalRecalibration(n_knots=0, strengths=(30,), n_folds=2),
    ],
)
def test_out_of_fold_p_of_z_are_calibrated(recalibrator, toy):
    after = out_of_fold(recalibrator, toy.pdf, toy.z_spec)
    before_ks, after_ks = (
        metrics.pit_ks(metrics.pit(pdf, toy.z_spec)) for pdf in (toy.pdf, after)
    )
    assert after_ks < 0.5 * before_ks
    assert after.meta["PZCALIB"].endswith("fitted on 2400 galaxies")


def test_bad_folds_are_refused(toy):
    for n_folds in (1, 4):
        with pytest.raises(ValueError, match="from 2 to the number of galaxies or gro"):
            out_of_fold(
                PITRecalibration(),
                toy.pdf[:60],
                toy.z_spec[:60],
                groups=np.arange(60) // 20,
                n_folds=n_folds,
            )
    with pytest.raises(ValueError, match=r"'features' must have 60 rows, as 'pdf'"):
        out_of_fold(
            LocalRecalibration(), toy.pdf[:60], toy.z_spec[:60], features=np.ones(7)
        )
