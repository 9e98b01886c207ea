"""Which galaxies are drawn, and which are held out."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from mantis_astro.exceptions import InputSpecError
from mantis_astro.training import split_by_sky
from mantis_astro.training.batches.sampling import Sampler, class_balance


def test_a_pass_has_every_row_once_and_the_next_another_order():
    sampler = Sampler(10, seed=3)
    rows = np.concatenate([sampler.draw(step, 4) for step in range(5)])
    first, second = rows[:10], rows[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)


@pytest.mark.parametrize("chances", [None, np.arange(1, 101.0)])
def test_a_step_does_not_depend_on_what_was_drawn_before(chances):
    one, other = (Sampler(100, seed=1, chances=chances) for _ in range(2))
    for step in range(7):
        one.draw(step, 32)
    np.testing.assert_array_equal(one.draw(9, 32), other.draw(9, 32))
    assert list(Sampler(100, seed=2, chances=chances).draw(9, 32)) != list(
        one.draw(9, 32)
    )


def test_balanced_classes_come_equally_often():
    rng = np.random.default_rng(0)
    z = rng.beta(2, 5, 5000)
    edges = np.linspace(0, 1, 6)
    sampler = Sampler(len(z), seed=1, chances=class_balance(z, edges))
    drawn = np.concatenate([z[sampler.draw(step, 500)] for step in range(20)])
    n = np.histogram(drawn, edges)[0]
    assert abs(n - 2000).max() < 5 * np.sqrt(2000)


def random_sky(n, seed=0):
    rng = np.random.default_rng(seed)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    return SkyCoord(rng.uniform(0, 360, n), dec, unit="deg")


def test_parts_of_the_sky_have_the_shares_asked_for():
    parts = split_by_sky(random_sky(40_000), shares=(0.7, 0.2, 0.1), nside=32)
    shares = [np.mean(parts == name) for name in ("train", "validation", "test")]
    np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=0.02)


def test_neighbours_and_other_tables_agree():
    coord = random_sky(2000)
    parts = split_by_sky(coord, seed=5)
    shifted = coord.directional_offset_by(30 * u.deg, 1 * u.arcsec)
    assert np.mean(split_by_sky(shifted, seed=5) == parts) > 0.999
    np.testing.assert_array_equal(split_by_sky(coord[::-7], seed=5), parts[::-7])
    assert np.mean(split_by_sky(coord, seed=6) == parts) < 0.8


def test_no_pixel_is_in_two_parts():
    from astropy_healpix import HEALPix

    coord = random_sky(20_000)
    parts = split_by_sky(coord, nside=16)
    pixel = HEALPix(16, order="nested", frame="icrs").skycoord_to_healpix(coord)
    sets = [set(pixel[parts == name]) for name in ("train", "validation", "test")]
    assert all(sets)
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]
    assert not sets[1] & sets[2]


def test_shares_must_add_up():
    with pytest.raises(InputSpecError, match="'shares' must be three shares"):
        split_by_sky(random_sky(3), shares=(0.5, 0.2, 0.2))


def test_galaxies_outside_the_bins_are_left_out(toy):
    data = toy.data(100)
    data_z = np.array([0.1, 0.5, 1.2, -0.1])
    images, _ = toy.arrays(4)
    from mantis_astro.training import ArrayData

    data = ArrayData(
        images, np.ones((4, 2), bool), np.zeros((4, 2)), data_z, z_edges=toy.edges
    )
    assert len(data) == 2
    assert data.n_outside == 2
    with pytest.raises(InputSpecError, match="no galaxy is left to train on: of 4, 2"):
        ArrayData(
            images,
            np.ones((4, 2), bool),
            np.zeros((4, 2)),
            data_z,
            z_edges=toy.edges,
            parts=["test"] * 4,
        )
