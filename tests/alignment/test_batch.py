import logging

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData, InverseVariance
from astropy.wcs import Sip
from hypothesis import given, settings
from hypothesis import strategies as st
from reproject import reproject_exact, reproject_interp
from scipy.ndimage import gaussian_filter

from mantis_astro import MultibandCutout, align, align_batch, common_wcs, get_band
from mantis_astro.alignment import batch

from .scenes import TARGET, make_cutout, make_galaxy, make_wcs, render

FAR = TARGET.directional_offset_by(70 * u.deg, 2 * u.deg)


def noise(wcs, seed=0, band="ps1.g", **kwargs):
    """Noise as sharp as a PSF of 2.4 pixels lets it be."""
    data = np.random.default_rng(seed).normal(size=wcs.array_shape)
    data = gaussian_filter(data, 1)
    return MultibandCutout(TARGET, {band: make_cutout(band, wcs, data, **kwargs)})


def relative_difference(ours, theirs):
    assert (np.isnan(ours) == np.isnan(theirs)).all()
    return np.nanmax(np.abs(ours - theirs)) / np.nanmax(np.abs(theirs))


GRIDS = {
    "same": make_wcs(n=170),
    "rotated": make_wcs(n=170, angle=17),
    "flipped": make_wcs(n=170, flip=True, angle=-40),
    "shifted": make_wcs(n=170, shift=(3.3, -1.7)),
    "far tangent point": make_wcs(n=170, tangent=FAR),
    "FK5": make_wcs(n=170, frame="FK5"),
    "FK4": make_wcs(n=170, frame="FK4"),
    "coarse": make_wcs(n=24, scale=0.29),
    "large": make_wcs(n=600),
    "small": make_wcs(n=60, angle=30),
}


@pytest.mark.parametrize("name", GRIDS)
def test_interp_is_reproject_interp(name):
    wcs, grid = GRIDS[name], make_wcs(n=120)
    cutouts = noise(wcs)
    tensor, masks = align_batch(
        [cutouts], grid, method="interp", conserve="surface brightness"
    )
    data = cutouts["ps1.g"].data
    theirs, footprint = reproject_interp((data, wcs), grid, shape_out=(120, 120))
    assert relative_difference(tensor[0, 0].numpy(), theirs) < 1e-5
    np.testing.assert_array_equal(masks[0, 0], footprint == 0)


@pytest.mark.parametrize("name", sorted(set(GRIDS) - {"large", "small", "coarse"}))
@pytest.mark.parametrize(("n", "scale"), [(32, 1.0), (9, 2.75), (40, 0.3)])
def test_exact_is_reproject_exact(name, n, scale):
    wcs, grid = GRIDS[name], make_wcs(n=n, scale=scale, angle=3)
    cutouts = noise(wcs)
    tensor, masks = align_batch(
        [cutouts], grid, method="exact", conserve="surface brightness"
    )
    data = cutouts["ps1.g"].data
    theirs, footprint = reproject_exact((data, wcs), grid, shape_out=(n, n))
    inside = footprint > 1 - 1e-6
    ours = tensor[0, 0].numpy()
    assert inside.any()
    assert np.abs(ours - theirs)[inside].max() / np.abs(theirs[inside]).max() < 1e-5
    np.testing.assert_array_equal(masks[0, 0], footprint < 0.5)


@settings(max_examples=20)
@given(
    angle=st.floats(-180, 180),
    flip=st.booleans(),
    scale=st.floats(0.2, 3),
    seed=st.integers(0, 99),
)
def test_exact_conserves_all_flux(angle, flip, scale, seed):
    # the grid holds the whole image, so every photon lands in a pixel of it
    wcs = make_wcs(n=20)
    cutouts = noise(wcs, seed)
    grid = make_wcs(n=int(16 / scale) + 2, scale=scale, angle=angle, flip=flip)
    data = torch.from_numpy(cutouts["ps1.g"].data)[None, None]
    corners = batch.pixel_corners(grid, wcs, grid.array_shape)
    corners = torch.from_numpy(np.moveaxis(corners, -1, 0)[None]) + 0.5
    total = batch._around(data, corners).sum()
    assert abs(float(total)) == pytest.approx(abs(float(data.sum())), rel=1e-5)


@pytest.mark.parametrize("method", [None, "interp", "exact"])
@pytest.mark.parametrize(("n", "scale"), [(120, 0.25), (32, 1.0), (31, 0.4)])
def test_the_batch_is_align(method, n, scale):
    if method == "interp" and scale == 1.0:
        pytest.skip("refused, see the test of that")
    galaxies = [make_galaxy(tangent=FAR), make_galaxy(angle=4), make_galaxy()]
    tensor, masks = align_batch(galaxies, scale * u.arcsec, (n, n), method=method)
    for i, galaxy in enumerate(galaxies):
        aligned = align(galaxy, common_wcs(TARGET, n, scale * u.arcsec), method=method)
        for k, cutout in enumerate(aligned.values()):
            assert relative_difference(tensor[i, k].numpy(), cutout.data) < 1e-5
            np.testing.assert_array_equal(masks[i, k], cutout.mask)


@pytest.mark.parametrize("method", ["interp", "exact"])
def test_a_batch_of_one_is_a_batch_of_many(method):
    rng = np.random.default_rng(2)
    galaxies = []
    for i in range(7):
        coord = SkyCoord(rng.uniform(0, 360), rng.uniform(-80, 80), unit="deg")
        tangent = coord.directional_offset_by(i * 40 * u.deg, i * 0.3 * u.deg)
        galaxy = make_galaxy(coord, tangent=tangent)
        if i == 3:
            galaxy["ps1.i"].data[80:90, 80:90] = np.nan
        if i == 4:
            galaxy = galaxy.select(["ps1.g", "unwise.W1"])
        galaxies.append(galaxy)
    grid = 0.3 * u.arcsec, (50, 50)
    bands = ["galex.NUV", "ps1.g", "ps1.i", "unwise.W1"]
    together, masks = align_batch(galaxies, *grid, bands=bands, method=method)
    for i, galaxy in enumerate(galaxies):
        alone, mask = align_batch([galaxy], *grid, bands=bands, method=method)
        np.testing.assert_array_equal(alone[0].numpy(), together[i].numpy())
        np.testing.assert_array_equal(mask[0], masks[i])


@pytest.mark.parametrize("method", ["interp", "exact"])
def test_the_size_of_a_block_does_not_matter(method, monkeypatch):
    galaxies = [make_galaxy(angle=i) for i in range(5)]
    first = align_batch(galaxies, 0.3 * u.arcsec, (40, 40), method=method)[0]
    monkeypatch.setitem(batch._BLOCK_SIZE, "cpu", 1)
    second = align_batch(galaxies, 0.3 * u.arcsec, (40, 40), method=method)[0]
    np.testing.assert_array_equal(first.numpy(), second.numpy())


@pytest.mark.parametrize("method", ["interp", "exact"])
def test_masked_hot_pixel_changes_nothing_around_it(method):
    wcs = make_wcs(n=64, angle=10)
    quiet = render(wcs, (64, 64), fwhm=3)
    hot, mask = quiet.copy(), np.zeros((64, 64), bool)
    hot[30, 28], mask[30, 28] = 1e4, True

    def aligned(data):
        cutout = make_cutout("ps1.g", wcs, data, mask=mask)
        galaxy = MultibandCutout(TARGET, {"ps1.g": cutout})
        return align_batch([galaxy], make_wcs(n=40), method=method)

    for one, other in zip(aligned(hot), aligned(quiet), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("method", ["interp", "exact"])
def test_bad_pixels_are_masked_as_align_masks_them(method):
    rng = np.random.default_rng(1)
    wcs = make_wcs(n=64, angle=7)
    mask = rng.random((64, 64)) < 0.03
    data = rng.normal(size=(64, 64))
    data[rng.random((64, 64)) < 0.03] = np.inf
    cutouts = MultibandCutout(
        TARGET, {"ps1.g": make_cutout("ps1.g", wcs, data, mask=mask)}
    )
    grid = make_wcs(n=40, scale=0.4)
    tensor, masks = align_batch([cutouts], grid, method=method)
    aligned = align(cutouts, grid, method=method)["ps1.g"]
    np.testing.assert_array_equal(masks[0, 0], aligned.mask)
    assert relative_difference(tensor[0, 0].numpy(), aligned.data) < 1e-5


def test_distortion_falls_back_to_the_full_transform():
    wcs = make_wcs(n=170)
    a = np.zeros((4, 4))
    a[0, 3] = a[3, 0] = 1e-6
    wcs.sip = Sip(a, a, None, None, wcs.wcs.crpix)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    wcs.wcs.set()
    cutouts, grid = noise(wcs), make_wcs(n=100)
    for method, function in [("interp", reproject_interp), ("exact", reproject_exact)]:
        tensor, _ = align_batch(
            [cutouts], grid, method=method, conserve="surface brightness"
        )
        theirs, _ = function((cutouts["ps1.g"].data, wcs), grid, shape_out=(100, 100))
        assert relative_difference(tensor[0, 0].numpy(), theirs) < 2e-5
        flux, _ = align_batch([cutouts], grid, method=method)
        aligned = align(cutouts, grid, method=method)["ps1.g"].data
        assert relative_difference(flux[0, 0].numpy(), aligned) < 2e-5


@pytest.mark.parametrize(
    "coord",
    [
        SkyCoord(0, 5, unit="deg"),
        SkyCoord(359.99999, -5, unit="deg"),
        SkyCoord(10, 89.9999, unit="deg"),
        SkyCoord(10, 90, unit="deg"),
        SkyCoord(10, -90, unit="deg"),
    ],
    ids=str,
)
@pytest.mark.parametrize("n", [32, 33])
def test_pixel_scale_means_the_common_grid(coord, n):
    galaxy = make_galaxy(coord)
    tensor, _ = align_batch([galaxy], 0.5 * u.arcsec, (n, n))
    explicit, _ = align_batch([galaxy], common_wcs(coord, n, 0.5 * u.arcsec))
    assert relative_difference(tensor.numpy(), explicit.numpy()) < 1e-6


def test_each_target_may_have_its_own_wcs():
    galaxies = [make_galaxy(), make_galaxy()]
    grids = [make_wcs(n=40), make_wcs(n=40, angle=90)]
    tensor, _ = align_batch(galaxies, grids)
    np.testing.assert_allclose(
        tensor[1], torch.rot90(tensor[0], -1, dims=(-2, -1)), atol=1e-4
    )


def test_missing_bands_are_masked_and_nan():
    galaxies = [make_galaxy().select(["ps1.g"]), make_galaxy().select(["galex.NUV"])]
    tensor, masks = align_batch(galaxies, 0.25 * u.arcsec, (32, 32))
    assert tensor.shape == (2, 2, 32, 32)  # NUV, g: in the order of the registry
    np.testing.assert_array_equal(masks.all(dim=(2, 3)), [[True, False], [False, True]])
    np.testing.assert_array_equal(tensor.isnan(), masks)


def test_bands_are_the_channels_in_their_order():
    galaxy = make_galaxy()
    grid = 0.25 * u.arcsec, (32, 32)
    tensor, masks = align_batch([galaxy], *grid, bands=["ps1.i", "ps1.z", "galex.NUV"])
    straight, _ = align_batch([galaxy], *grid)
    np.testing.assert_array_equal(tensor[0, 0], straight[0, 2])
    np.testing.assert_array_equal(tensor[0, 2], straight[0, 0])
    assert masks[0, 1].all()


def test_bands_of_one_survey_may_differ_in_shape_and_wcs():
    first, second = make_wcs(n=64), make_wcs(n=80, angle=5)
    galaxy = MultibandCutout(
        TARGET,
        {"ps1.r": make_cutout("ps1.r", first), "ps1.i": make_cutout("ps1.i", second)},
    )
    grid = make_wcs(n=40)
    tensor, _ = align_batch([galaxy], grid)
    for k, cutout in enumerate(align(galaxy, grid).values()):
        assert relative_difference(tensor[0, k].numpy(), cutout.data) < 1e-5


def test_image_with_an_impossible_wcs_is_left_out_and_logged(caplog):
    broken = MultibandCutout(
        TARGET,
        {
            "ps1.g": make_cutout("ps1.g", make_wcs(n=64)),
            "ps1.r": make_cutout("ps1.r", make_wcs(n=64, scale=1)),
            "ps1.i": make_cutout("ps1.i", make_wcs(n=64, shift=(500, 0))),
            "ps1.z": CCDData(np.ones((64, 64)), unit="adu"),
        },
    )
    with caplog.at_level(logging.WARNING):
        tensor, masks = align_batch([broken], 0.25 * u.arcsec, (32, 32))
    np.testing.assert_array_equal(masks[0].all(dim=(1, 2)), [False, True, True, True])
    assert tensor[0, 1:].isnan().all()
    assert "3 images left out, first target 0, ps1.r: its pixels measure" in caplog.text


def test_grid_beside_the_images_is_all_masked():
    beside = TARGET.directional_offset_by(0 * u.deg, 300 * u.arcsec)
    for method in ("interp", "exact"):
        tensor, masks = align_batch(
            [make_galaxy()], make_wcs(beside, n=16), method=method
        )
        assert masks.all()
        assert tensor.isnan().all()


def test_grid_on_the_far_side_of_the_sky_is_all_masked():
    opposite = SkyCoord(TARGET.ra + 180 * u.deg, -TARGET.dec)
    for method in ("interp", "exact"):
        _, masks = align_batch([make_galaxy()], make_wcs(opposite, n=16), method=method)
        assert masks.all()


def test_image_edge_inside_the_grid():
    wcs, grid = make_wcs(n=40, angle=20), make_wcs(n=64)
    cutouts = noise(wcs)
    for method in ("interp", "exact"):
        tensor, masks = align_batch([cutouts], grid, method=method)
        aligned = align(cutouts, grid, method=method)["ps1.g"]
        np.testing.assert_array_equal(masks[0, 0], aligned.mask)
        assert 0.2 < masks.float().mean() < 0.8
        assert relative_difference(tensor[0, 0].numpy(), aligned.data) < 1e-5


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, ">f4", ">f8", ">i2"])
def test_integer_and_big_endian_arrays(dtype):
    wcs = make_wcs(n=48)
    data = np.rint(render(wcs, (48, 48), fwhm=3)).astype(dtype)
    image = make_cutout("ps1.g", wcs, data)
    tensor, _ = align_batch([MultibandCutout(TARGET, {"ps1.g": image})], make_wcs(n=32))
    assert tensor.dtype == torch.float32
    np.testing.assert_allclose(tensor[0, 0], data[8:40, 8:40], atol=1e-4)


def test_all_zero_galex_is_zero_and_good():
    wcs = make_wcs(n=32, scale=1.5)
    image = make_cutout("galex.FUV", wcs, np.zeros((32, 32)))
    galaxy = MultibandCutout(TARGET, {"galex.FUV": image})
    tensor, masks = align_batch([galaxy], 0.5 * u.arcsec, (64, 64))
    assert (tensor == 0).all()
    assert not masks.any()


def test_inputs_are_not_changed():
    galaxy = noise(make_wcs(n=32))
    galaxy["ps1.g"].data[3, 3] = np.nan
    before = galaxy["ps1.g"].data.copy()
    align_batch([galaxy], make_wcs(n=20))
    np.testing.assert_array_equal(galaxy["ps1.g"].data, before)


def test_empty_batch_has_no_rows():
    tensor, masks = align_batch([], 1 * u.arcsec, (8, 8), bands=["ps1.g"])
    assert tensor.shape == masks.shape == (0, 1, 8, 8)


def test_galaxy_without_any_band_is_a_masked_row():
    galaxies = [MultibandCutout(TARGET, {}), make_galaxy()]
    _, masks = align_batch(galaxies, 0.25 * u.arcsec, (8, 8))
    assert masks[0].all()
    assert not masks[1].any()


def test_interp_refuses_to_downsample():
    with pytest.raises(ValueError, match=r"'interp' must not downsample.* of ps1\.g"):
        align_batch([make_galaxy()], 1 * u.arcsec, (32, 32), method="interp")


def test_interp_refuses_each_band_that_is_too_sharp():
    wcs = make_wcs(n=64)  # 0.45 arcsec is fine enough for g (0.52), not for y (0.41)
    two = {band: make_cutout(band, wcs) for band in ("ps1.g", "ps1.y")}
    with pytest.raises(ValueError, match=r"'interp' must not downsample.* of ps1\.y"):
        align_batch(
            [MultibandCutout(TARGET, two)], 0.45 * u.arcsec, (32, 32), method="interp"
        )


def test_pixel_without_weight_is_bad():
    weight = np.ones((64, 64))
    weight[32, 32] = 0
    galaxy = noise(make_wcs(n=64), uncertainty=InverseVariance(weight))
    _, masks = align_batch([galaxy], make_wcs(n=32))
    assert masks[0, 0].nonzero().tolist() == [[16, 16]]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((1 * u.arcsec,), {}, "'shape' must be given with a pixel scale"),
        (
            (0 * u.arcsec, (8, 8)),
            {},
            "'wcs' as a pixel scale must be one positive angle",
        ),
        (
            (1 * u.arcsec, (8, 8)),
            {"method": "adaptive"},
            "'method' must be one of None",
        ),
        (
            (1 * u.arcsec, (8, 8)),
            {"conserve": "mass"},
            "'conserve' must be one of 'flux'",
        ),
        (([make_wcs()] * 2,), {}, "one WCS for each target: expected 1, got 2"),
    ],
)
def test_wrong_calls_are_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        align_batch([make_galaxy()], *arguments, **options)


def test_grids_of_a_batch_must_have_one_shape():
    with pytest.raises(
        ValueError, match=r"must have one shape, got \[\(8, 8\), \(9, 9\)\]"
    ):
        align_batch([make_galaxy()] * 2, [make_wcs(n=8), make_wcs(n=9)])


def test_bands_may_share_one_wcs_object():
    wcs = make_wcs(n=64)  # one object for all bands, as a store may give
    bands = ["ps1.g", "ps1.r", "ps1.i"]
    galaxy = MultibandCutout(TARGET, {b: make_cutout(b, wcs) for b in bands})
    tensor, _ = align_batch([galaxy], make_wcs(n=40))
    for k, band in enumerate(galaxy):
        assert band == get_band(bands[k])
        assert float(tensor[0, k].sum()) == pytest.approx(100, rel=0.005)


@pytest.mark.gpu
@pytest.mark.parametrize("method", ["interp", "exact"])
def test_gpu_and_cpu_agree(method):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    galaxies = [make_galaxy(angle=i) for i in range(4)]
    grid = 0.3 * u.arcsec, (60, 60)
    cpu, mask = align_batch(galaxies, *grid, method=method)
    gpu, gpu_mask = align_batch(galaxies, *grid, method=method, device="cuda")
    assert gpu.device.type == "cuda"
    np.testing.assert_array_equal(mask, gpu_mask.cpu())
    assert relative_difference(gpu.cpu().numpy(), cpu.numpy()) < 1e-5
