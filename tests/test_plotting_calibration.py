"""Pictures of recalibration and attribution: what is drawn, from what numbers."""

import numpy as np
import pytest
from astropy.table import QTable
from matplotlib.figure import Figure

from mantis_astro import RedshiftPDF, metrics
from mantis_astro.models import attribution_by_redshift
from mantis_astro.plotting import plot_attribution, plot_recalibration


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(1)
    centre = rng.uniform(0.3, 0.7, 400)
    edges = np.linspace(0, 1, 101)
    before, after = (RedshiftPDF.from_gaussians(edges, centre, s) for s in (0.02, 0.04))
    return before, after, rng.normal(centre, 0.04)


def test_recalibration_shows_both_distances(sample):
    before, after, z_spec = sample
    left, right = plot_recalibration(before, after, z_spec)
    left.figure.draw_without_rendering()
    names = [text.get_text() for text in right.get_legend().get_texts()]
    assert names == [
        f"{label} {metrics.pit_ks(metrics.pit(pdf, z_spec)):.3f}"
        for label, pdf in (("before", before), ("after", after))
    ]
    assert [t.get_text() for t in left.get_legend().get_texts()] == ["before", "after"]


def test_the_curves_are_share_below_minus_pit(sample):
    before, after, z_spec = sample
    _, right = plot_recalibration(before, after, z_spec)
    x, y = right.get_lines()[1].get_data()
    pit = metrics.pit(after, z_spec)
    shares = (pit[:, None] < x[1:-1]).mean(axis=0)
    np.testing.assert_allclose(y[1:-1], shares - x[1:-1] + 0.5 / 400, atol=1e-12)


def test_the_outline_is_the_histogram_of_before(sample):
    before, after, z_spec = sample
    left, _ = plot_recalibration(before, after, z_spec, bins=4)
    (outline,) = (p for p in left.patches if type(p).__name__ == "StepPatch")
    counts, _ = np.histogram(metrics.pit(before, z_spec), bins=4, range=(0, 1))
    np.testing.assert_allclose(outline.get_data().values, counts / 100)
    assert left.get_ylim()[1] > max(counts) / 100


def test_axes_that_are_given_are_used(sample):
    axes = Figure().subplots(1, 2)
    left, right = plot_recalibration(*sample, axes=axes)
    assert (left, right) == tuple(axes)


def test_recalibration_without_truth_is_refused(sample):
    before, after, z_spec = sample
    with pytest.raises(ValueError, match="no galaxy has a 'z_spec'"):
        plot_recalibration(before, after, z_spec * np.nan)


@pytest.fixture(scope="module")
def by_redshift():
    rng = np.random.default_rng(1)
    table = QTable({f"shapley_{name}": rng.normal(1, 0.1, 60) for name in "abc"})
    table["shapley_c"] -= 1.5  # makes it worse
    table.meta = {"groups": ["a", "b", "c"], "value": "crps"}
    return attribution_by_redshift(table, rng.uniform(0, 1, 60), bins=[0, 0.3, 1.0])


def test_shares_are_stacked_and_those_below_zero_hang(by_redshift):
    ax = plot_attribution(by_redshift)
    heights = np.array([[bar.get_height() for bar in c] for c in ax.containers[::2]])
    np.testing.assert_allclose(
        heights.T, [[row[f"share_{name}"] for name in "abc"] for row in by_redshift]
    )
    bars = ax.containers[::2]
    np.testing.assert_allclose([bar.get_y() for bar in bars[1]], heights[0])
    assert all(bar.get_y() == 0 and bar.get_height() < 0 for bar in bars[2])
    assert [bar.get_width() for bar in bars[0]] == [0.3, 0.7]
    assert ax.get_ylabel() == "Share of the gain in CRPS"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["c", "b", "a"]


def test_empty_bins_leave_gaps(by_redshift):
    table = by_redshift.copy()
    for name in "abc":
        table[f"share_{name}"].mask[1] = True
    ax = plot_attribution(table)
    ax.figure.draw_without_rendering()
    assert ax.containers[0][1].get_height() == 0


def test_another_table_is_refused():
    with pytest.raises(ValueError, match="one that attribution_by_redshift returned"):
        plot_attribution(QTable({"a": [1.0]}))
