"""Pictures of trainings and of fits: lines where the numbers are."""

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from matplotlib.figure import Figure

from mantis_astro import RedshiftPDF
from mantis_astro.plotting import plot_corner, plot_training


@pytest.fixture
def history():
    steps = np.arange(10, 110, 10)
    held = np.where(steps % 20 == 0, abs(steps - 60) / 60 + 1, np.nan)
    table = Table({"step": steps, "loss": 3 - steps / 50})
    table["val_loss"] = MaskedColumn(held, mask=np.isnan(held))
    table["sigma_nmad"] = MaskedColumn(held / 20, mask=np.isnan(held))
    return table


def test_a_training_shows_both_losses_and_where_it_was_best(history):
    above, below = plot_training(history)
    training, held_out, best = above.lines
    np.testing.assert_array_equal(training.get_ydata(), history["loss"])
    np.testing.assert_array_equal(held_out.get_xdata(), [20, 40, 60, 80, 100])
    assert best.get_xdata()[0] == 60
    np.testing.assert_allclose(
        below.lines[-1].get_ydata(), history["sigma_nmad"].compressed()
    )
    names = [text.get_text() for text in above.get_legend().get_texts()]
    assert names == ["training", "held out"]
    with pytest.raises(KeyError, match="no column 'crps'; there are step"):
        plot_training(history, metric="crps")


@pytest.fixture(scope="module")
def draws():
    rng = np.random.default_rng(1)
    return rng.multivariate_normal([0.3, 10.5], [[4e-4, 2e-3], [2e-3, 0.04]], 20_000)


@pytest.fixture(scope="module")
def prior():
    return RedshiftPDF.from_gaussians(np.linspace(0, 1, 201), [0.32], 0.05)[0]


def test_the_diagonal_is_the_density_of_each_parameter(draws, prior):
    weights = np.where(draws[:, 0] > 0.3, 3.0, 1.0)
    figure = plot_corner(draws, ["zred", "log M"], weights=weights, prior=prior)
    first, pair, second = figure.axes
    values, edges, _ = first.patches[0].get_data()
    expected, _ = np.histogram(draws[:, 0], edges, weights=weights / weights.sum())
    np.testing.assert_allclose(values, expected / np.diff(edges))
    (dashed,) = [line for line in first.lines if line.get_gid() == "prior"]
    np.testing.assert_allclose(dashed.get_ydata(), prior.pdf(dashed.get_xdata()).value)
    assert not [line for line in second.lines if line.get_gid() == "prior"]
    assert (pair.get_xlabel(), pair.get_ylabel()) == ("zred", "log M")


def test_contours_hold_their_share_of_the_draws(draws):
    figure = plot_corner(draws, ["zred", "log M"], truths=[0.3, None], bins=60)
    pair = figure.axes[1]
    outer, inner = pair.collections[0].get_paths()
    either = outer.contains_points(draws) | inner.contains_points(draws)
    assert either.mean() == pytest.approx(0.95, abs=0.02)
    assert inner.contains_points(draws).mean() == pytest.approx(0.68, abs=0.03)
    assert [line.get_xdata()[0] for line in pair.lines] == [0.3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["a"]}, r"'samples' must have shape \(n, 1\)"),
        ({"weights": [1.0]}, r"'weights' must have shape \(20000,\), got \(1,\)"),
        ({"truths": [1.0]}, "'truths' must be 2, got 1"),
        ({"names": ["a", "b"]}, "'prior' is one of redshift, and 'names' have none"),
    ],
)
def test_a_corner_of_something_else_is_refused(draws, prior, options, message):
    options = {"names": ["zred", "log M"], "prior": prior} | options
    with pytest.raises(ValueError, match=message):
        plot_corner(draws, **options)


def test_long_names_of_parameters_are_broken_to_their_panels(draws):
    figure = Figure((3.3, 3.3))
    names = ["zred", "mass of the disc and of its bulge"]
    figure = plot_corner(draws, names, figure=figure)
    figure.draw_without_rendering()
    below = figure.axes[2].xaxis.label
    assert below.get_text().split() == names[1].split()
    assert below.get_window_extent().width < figure.axes[2].bbox.width
    assert figure.axes[1].yaxis.label.get_window_extent().x0 >= 0
