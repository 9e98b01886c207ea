import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from mantis_astro.simulation.uniforms import (
    child_keys,
    keys_at,
    keys_of,
    poisson,
    uniforms,
)


def test_numbers_are_uniform_and_not_correlated():
    u01 = uniforms(keys_of(3, np.arange(40000)), 6)
    assert u01.min() > 0
    assert u01.max() < 1
    # five standard errors of mean, variance and correlation of 40,000 numbers
    assert np.abs(u01.mean(axis=0) - 1 / 2).max() < 5 * np.sqrt(1 / 12 / 40000)
    assert np.abs(u01.var(axis=0) - 1 / 12).max() < 5 * np.sqrt(1 / 180 / 40000)
    correlation = np.corrcoef(np.hstack([u01[:-1], u01[1:]]).T) - np.eye(12)
    assert np.abs(correlation).max() < 5 / np.sqrt(40000)


def test_an_object_has_its_numbers_whatever_others_there_are():
    all_keys = keys_of(3, np.arange(100))
    assert np.array_equal(keys_of(3, [57]), all_keys[57:58])
    together = uniforms(all_keys, 9)
    assert np.array_equal(uniforms(all_keys[57:58], 5), together[57:58, :5])


@pytest.mark.parametrize("other", [{"seed": 4}, {"salt": 1}])
def test_another_seed_or_salt_gives_other_keys(other):
    keys = keys_of(**{"seed": 3, "index": np.arange(1000), **other})
    assert not np.isin(keys, keys_of(3, np.arange(1000))).any()


def test_salts_give_other_numbers():
    keys = keys_of(3, np.arange(1000))
    assert (
        np.abs(np.corrcoef(uniforms(keys, 1).T, uniforms(keys, 1, salt=1).T)[0, 1])
        < 0.2
    )


def test_positions_are_rounded_to_a_hundredth_of_an_arcsecond():
    coord = SkyCoord([10.0, 359.9999999, 0.0], [-30.0, 5.0, 5.0], unit="deg")
    near = SkyCoord(coord.ra + 2e-3 * u.arcsec, coord.dec - 2e-3 * u.arcsec)
    keys = keys_at(1, coord)
    assert np.array_equal(keys, keys_at(1, near))
    assert keys[1] == keys[2]  # 360 degrees are 0
    apart = SkyCoord(coord.ra, coord.dec + 0.02 * u.arcsec)
    assert (keys != keys_at(1, apart)).all()


def test_the_frame_of_positions_does_not_matter():
    coord = SkyCoord([150.1], [2.2], unit="deg")
    assert np.array_equal(keys_at(1, coord), keys_at(1, coord.galactic))


def test_children_are_the_same_however_many_there_are():
    keys = keys_of(3, np.arange(3))
    parent, few = child_keys(keys, np.array([2, 0, 1]))
    assert parent.tolist() == [0, 0, 2]
    _, many = child_keys(keys, np.array([4, 1, 3]))
    assert np.array_equal(few, many[[0, 1, 5]])
    assert np.unique(many).size == many.size


@pytest.mark.parametrize("mean", [0.1, 3.0, 40.0])
def test_poisson_numbers_have_mean_and_variance(mean):
    u01 = uniforms(keys_of(5, np.arange(20000)), 1)[:, 0]
    counts = poisson(u01, np.full(20000, mean))
    assert counts.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / 20000))
    assert counts.var() == pytest.approx(mean, rel=0.06)
