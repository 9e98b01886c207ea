"""Each change of a batch does what its name says, and nothing without being asked."""

import numpy as np
import pytest
import torch

from mantis_astro.models.inputs import PUBLISHED_BANDS
from mantis_astro.training import AugmentationConfig, TrainingBatch
from mantis_astro.training.batches.augmentation import Augmentation, _shifted

N = 256


def image_batch(n=N, side=12, seed=0, *, split=False):
    g = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 9, side, side, generator=g) + 5
    planes = tuple(images.split([2, 5, 2], 1)) if split else (images,)
    return TrainingBatch(
        planes,
        torch.ones(n, 9, dtype=torch.bool),
        torch.full((n, 2), 0.1),
        torch.linspace(0.1, 0.9, n, dtype=torch.float64),
        torch.ones(n),
        torch.arange(n),
    )


def flux_batch(n=N):
    flux = torch.full((n, 9), 100.0)
    images = torch.stack([flux, torch.full_like(flux, 10.0)], 1)
    batch = image_batch(n)
    return TrainingBatch(images, *list(vars(batch).values())[1:])


def augmented(batch, step=0, seed=1, **options):
    augment = Augmentation(AugmentationConfig(**options), PUBLISHED_BANDS, seed=seed)
    return augment(batch, step, len(batch))


def test_nothing_is_done_that_is_not_asked_for():
    for batch in (image_batch(), flux_batch()):
        same = augmented(batch)
        for name, value in vars(batch).items():
            assert getattr(same, name) is value


ALL = {
    "dihedral": True,
    "max_shift": 0.5,
    "extra_noise": 0.5,
    "drop_band": 0.1,
    "drop_survey": 0.1,
    "zero_point": 0.03,
    "zero_point_unwise": 0.1,
    "template_error": 0.05,
    "mask_pixels": 0.1,
    "ebv": 0.1,
}


def test_the_step_decides_and_processes_share_it():
    batch = image_batch(32)
    whole = augmented(batch, **ALL)
    again = augmented(batch, **ALL)
    other = augmented(batch, step=1, **ALL)
    assert torch.equal(whole.images[0], again.images[0])
    assert not torch.equal(whole.images[0], other.images[0])
    rows = slice(8, 24)
    augment = Augmentation(AugmentationConfig(**ALL), PUBLISHED_BANDS, seed=1)
    part = augment(batch[rows], 0, 32, rows)
    torch.testing.assert_close(part.images[0], whole.images[0][rows])
    assert torch.equal(part.observed, whole.observed[rows])
    torch.testing.assert_close(part.ebv, whole.ebv[rows])


def test_the_given_batch_is_not_changed():
    batch = image_batch(16)
    before = batch.map(torch.clone)
    augmented(batch, **ALL)
    assert torch.equal(batch.images[0], before.images[0])
    assert torch.equal(batch.observed, before.observed)
    assert torch.equal(batch.ebv, before.ebv)


def test_orientations_are_the_eight_and_come_equally_often():
    batch = image_batch(800, side=4)
    images = augmented(batch, dihedral=True).images[0]
    counts = np.zeros(8)
    for before, after in zip(batch.images[0], images, strict=True):
        turned = [torch.rot90(before, k, (-2, -1)) for k in range(4)]
        turned += [image.flip(-1) for image in turned]
        same = [torch.equal(after, image) for image in turned]
        assert sum(same) == 1
        counts += same
    assert abs(counts - 100).max() < 5 * 10


def test_surveys_are_turned_together():
    batch = image_batch(20, split=True)
    whole = image_batch(20)
    split = augmented(batch, dihedral=True).images
    joined = augmented(whole, dihedral=True).images[0]
    assert torch.equal(torch.cat(split, 1), joined)


def test_shifts_move_the_centroid_and_keep_the_flux():
    side = 31
    at = torch.arange(side, dtype=torch.float32) - 15
    blob = torch.exp(-(at[:, None] ** 2 + at**2) / (2 * 2.5**2))
    batch = image_batch(64, side=side)
    batch = TrainingBatch(
        (blob.expand(64, 9, -1, -1),), *list(vars(batch).values())[1:]
    )
    images = augmented(batch, max_shift=0.7).images[0][:, 0]
    total = images.sum((1, 2))
    torch.testing.assert_close(total, blob.sum().expand(64), rtol=2e-3, atol=0)
    x = (images.sum(1) * at).sum(1) / total
    y = (images.sum(2) * at).sum(1) / total
    assert x.abs().max() < 0.72
    assert y.abs().max() < 0.72
    assert x.std() == pytest.approx(0.7 / np.sqrt(3), rel=0.25)
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.4


@pytest.mark.parametrize("make", [image_batch, flux_batch])
def test_zero_points_scatter_by_as_much_as_asked(make):
    batch = make(2000) if make is flux_batch else make(2000, side=2)
    new = augmented(batch, zero_point=0.03, zero_point_unwise=0.1)
    if make is image_batch:
        ratio = (new.images[0] / batch.images[0]).flatten(2)
        assert ratio.std(2).max() < 1e-4  # all pixels alike
        ratio = ratio.mean(2)
    else:
        ratio = new.images[:, 0] / 100
        torch.testing.assert_close(new.images[:, 1], 10 * ratio)  # errors too
    scatter = (2.5 * ratio.log10()).std(0).numpy()
    np.testing.assert_allclose(scatter[:7], 0.03, rtol=0.1)
    np.testing.assert_allclose(scatter[7:], 0.1, rtol=0.1)


def test_template_errors_are_smooth_in_wavelength():
    ratio = augmented(flux_batch(4000), template_error=0.05).images[:, 0] / 100
    shift = (2.5 * ratio.log10()).numpy()
    assert 0.02 < shift.std() < 0.08
    g, r, nuv, w2 = PUBLISHED_BANDS.index("ps1.g"), 3, 0, 8
    assert np.corrcoef(shift[:, g], shift[:, r])[0, 1] > 0.8
    assert abs(np.corrcoef(shift[:, nuv], shift[:, w2])[0, 1]) < 0.4


def test_bands_and_surveys_are_dropped_as_often_as_asked():
    batch = image_batch(4000, side=1)
    left = augmented(batch, drop_band=0.1).observed
    assert (~left).float().mean(0).numpy() == pytest.approx(0.1, abs=0.02)
    left = augmented(batch, drop_survey=0.3).observed
    for columns in (slice(0, 2), slice(2, 7), slice(7, 9)):
        survey = left[:, columns]
        assert torch.equal(survey.any(1), survey.all(1))
        assert (~survey[:, 0]).float().mean() == pytest.approx(0.3, abs=0.04)


def test_something_is_always_left():
    left = augmented(image_batch(500, side=1), drop_band=0.9, drop_survey=0.9).observed
    assert left.any(1).all()


def test_noise_adds_up_and_errors_know_of_it():
    new = augmented(flux_batch(20_000), extra_noise=1.0).images
    pull = ((new[:, 0] - 100) ** 2).mean() + 100  # the noise that was there
    assert pull.item() == pytest.approx((new[:, 1] ** 2).mean().item(), rel=0.03)
    assert new[:, 1].min() >= 10
    images = augmented(image_batch(200, side=16), extra_noise=1.0).images[0]
    scatter = images.flatten(2).std(2)
    assert 1.05 < scatter.mean() < 1.25  # sqrt(1 + u^2), u uniform: 1.148


def test_masks_are_rectangles_in_some_bands():
    batch = image_batch(400, side=16)
    images = augmented(batch, mask_pixels=0.2).images[0]
    gone = images == 0
    assert (gone.flatten(2).any(2)).float().mean() == pytest.approx(0.25, abs=0.03)
    assert gone.float().mean((2, 3)).max() < 0.3
    one = gone[gone.flatten(2).any(2)][0]
    rows, columns = one.any(1), one.any(0)
    assert torch.equal(one, rows[:, None] & columns)


def test_dust_is_jittered_map_by_map():
    ebv = augmented(flux_batch(4000), ebv=0.1).ebv
    assert ebv.std(0).numpy() == pytest.approx(0.01, rel=0.1)
    assert abs(np.corrcoef(ebv[:, 0], ebv[:, 1])[0, 1]) < 0.1
    assert ebv.min() >= 0


def test_a_shift_moves_to_higher_pixels():
    plane = torch.zeros(2, 1, 16, 16)
    plane[:, 0, 7, 5] = 1
    moved = _shifted(plane, torch.tensor([[2.0, 1.0], [-3.0, 0.0]]))  # x, y
    places = [torch.nonzero(one[0] > 0.99).tolist() for one in moved]
    assert places == [[[8, 7]], [[7, 2]]]


def made_set(n=4000, n_slot=3):
    flux = torch.full((n, n_slot), 1000.0)
    error = torch.full((n, n_slot), 50.0)
    error[:, 2] = torch.nan
    return TrainingBatch(
        images=(flux, error, torch.zeros(n, n_slot, 24), torch.zeros(n)),
        observed=torch.ones(n, n_slot, dtype=torch.bool),
        ebv=torch.zeros(n, 1),
        z=torch.zeros(n, dtype=torch.float64),
        weight=torch.ones(n),
        index=torch.arange(n),
    )


def test_measurements_in_any_bands_are_changed_one_by_one():
    config = AugmentationConfig(drop_band=0.2, zero_point=0.03, extra_noise=1.0)
    augment, batch = Augmentation(config, (), seed=4), made_set()
    changed = augment(batch, 0, len(batch))
    flux, error, described, aperture = changed.images
    assert described is batch.images[2]
    assert aperture is batch.images[3]
    assert changed.observed.float().mean() == pytest.approx(0.8 + 0.2**3, abs=0.02)
    assert changed.observed.any(1).all()
    magnitudes = -2.5 * torch.log10(flux[:, 2])  # whose error is not known
    assert magnitudes.std() == pytest.approx(0.03, rel=0.1)
    assert error[:, 2].isnan().all()
    added = (error[:, :2].double() ** 2 / 50.0**2 - 1).mean()
    assert added == pytest.approx(1 / 3, abs=0.05)  # the mean square of a uniform
    some = augment(batch[100:200], 0, len(batch), slice(100, 200))
    assert torch.equal(some.images[0], flux[100:200])


def test_measurements_stay_if_nothing_is_asked_for():
    batch = made_set(50)
    changed = Augmentation(AugmentationConfig(), (), seed=4)(batch, 0, len(batch))
    assert all(map(same, changed.images[:2], batch.images[:2]))
    assert changed.observed.all()


def same(one, other):
    return torch.equal(one.nan_to_num(-1), other.nan_to_num(-1))
