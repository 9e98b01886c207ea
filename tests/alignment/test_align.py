import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import (
    CCDData,
    InverseVariance,
    StdDevUncertainty,
    VarianceUncertainty,
)
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from reproject import reproject_interp

from mantis_astro import MultibandCutout, align, common_wcs, get_band
from mantis_astro.bands import get_survey
from mantis_astro.exceptions import InputSpecError

from .scenes import TARGET, centroid, make_cutout, make_galaxy, make_wcs, render

METHODS = ["interp", "adaptive", "exact"]


def one(band="ps1.g", wcs=None, data=None, **kwargs):
    """A multiband cutout of one band."""
    wcs = make_wcs() if wcs is None else wcs
    return MultibandCutout(TARGET, {band: make_cutout(band, wcs, data, **kwargs)})


@settings(max_examples=10)
@given(
    angle=st.floats(0, 360),
    flip=st.booleans(),
    method=st.sampled_from(["interp", "exact"]),
    seed=st.integers(0, 99),
)
def test_its_own_grid_changes_nothing(angle, flip, method, seed):
    wcs = make_wcs(n=24, angle=angle, flip=flip)
    rng = np.random.default_rng(seed)
    data, mask = rng.normal(size=(24, 24)), rng.random((24, 24)) < 0.05
    cutouts = one(wcs=wcs, data=data, mask=mask)
    same = align(cutouts, wcs, method=method)["ps1.g"]
    np.testing.assert_array_equal(same.mask, mask)
    np.testing.assert_allclose(same.data[~mask], data[~mask], atol=2e-5)


@settings(max_examples=10)
@given(angle=st.floats(0, 360), flip=st.booleans(), scale=st.floats(0.2, 1.2))
def test_there_and_back_keeps_flux(angle, flip, scale):
    start = make_wcs(n=96)
    there = make_wcs(n=int(30 / scale), scale=scale, angle=angle, flip=flip)
    cutouts = one(wcs=start, data=render(start, (96, 96), fwhm=2.0))
    back = align(align(cutouts, there), start)["ps1.g"]
    assert np.nansum(back.data) == pytest.approx(100, rel=0.005)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("angle", [90, 180, 270])
def test_rotating_the_input_by_right_angles_rotates_the_output(method, angle):
    rng = np.random.default_rng(3)
    image = rng.normal(size=(32, 32))
    grid = make_wcs(n=20)
    turned = np.rot90(image, -angle // 90)
    # a WCS turned with its pixels shows the same sky
    first = align(one(wcs=make_wcs(n=32), data=image), grid, method=method)
    second = align(
        one(wcs=make_wcs(n=32, angle=angle), data=turned), grid, method=method
    )
    np.testing.assert_allclose(
        first["ps1.g"].data, second["ps1.g"].data, atol=2e-6, equal_nan=True
    )


@settings(max_examples=10)
@given(angle=st.floats(-180, 180))
def test_rotating_the_grid_rotates_the_image(angle):
    # three stars; on the turned grid they are where its WCS says
    wcs = make_wcs(n=120)
    stars = [
        TARGET.directional_offset_by(a * u.deg, 6 * u.arcsec) for a in (0, 80, 200)
    ]
    grid = make_wcs(n=80, angle=angle)
    for star in stars:
        cutouts = one(wcs=wcs, data=render(wcs, (120, 120), star, fwhm=1.5))
        image = align(cutouts, grid)["ps1.g"].data
        np.testing.assert_allclose(
            centroid(image), grid.world_to_pixel(star), atol=0.02
        )


@pytest.mark.parametrize("method", METHODS)
def test_masked_hot_pixel_changes_nothing_around_it(method):
    wcs, grid = make_wcs(n=48), make_wcs(n=40, angle=20)
    quiet = render(wcs, (48, 48), fwhm=3)
    hot = quiet.copy()
    hot[20, 22] = 1e4
    mask = np.zeros((48, 48), bool)
    mask[20, 22] = True
    quiet[20, 22] = 0
    a = align(one(wcs=wcs, data=hot, mask=mask), grid, method=method)["ps1.g"]
    b = align(one(wcs=wcs, data=quiet, mask=mask), grid, method=method)["ps1.g"]
    np.testing.assert_array_equal(a.data, b.data)
    np.testing.assert_array_equal(a.mask, b.mask)
    assert np.nanmax(a.data) < 10


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", METHODS)
def test_pixels_that_are_not_finite_are_masked(method, bad):
    wcs = make_wcs(n=48)
    image = render(wcs, (48, 48), fwhm=3)
    image[20:28, 20:28] = bad
    new = align(one(wcs=wcs, data=image), make_wcs(n=48), method=method)["ps1.g"]
    assert new.mask[22:26, 22:26].all()
    assert np.isfinite(new.data[~new.mask]).all()
    assert np.isnan(new.data[new.mask]).all()


def test_an_output_pixel_is_masked_where_it_reads_a_bad_one():
    rng = np.random.default_rng(5)
    wcs, grid = make_wcs(n=48, angle=11), make_wcs(n=64)
    data = rng.normal(size=(48, 48))
    bad = rng.random((48, 48)) < 0.05
    data[bad] = np.nan
    new = align(one(wcs=wcs, data=data), grid, method="interp")["ps1.g"]
    theirs, _ = reproject_interp((data, wcs), grid, shape_out=(64, 64))
    weight, _ = reproject_interp((bad.astype(float), wcs), grid, shape_out=(64, 64))
    np.testing.assert_array_equal(new.mask, np.isnan(weight) | (weight > 1e-4))
    both = ~np.isnan(theirs)
    np.testing.assert_allclose(new.data[both], theirs[both], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_nan_border_is_no_zero(method):
    wcs = make_wcs(n=48)
    image = np.full((48, 48), 7.0)
    image[:6] = image[-6:] = image[:, :6] = image[:, -6:] = np.nan
    new = align(one(wcs=wcs, data=image), make_wcs(n=60), method=method)["ps1.g"]
    assert new.mask[:8].all()
    np.testing.assert_allclose(new.data[~new.mask], 7, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_saturated_core_stays_masked(method):
    wcs = make_wcs(n=64)
    image = render(wcs, (64, 64), fwhm=2)
    image[30:34, 30:34] = np.nan
    new = align(one(wcs=wcs, data=image), make_wcs(n=64, angle=5), method=method)
    assert new["ps1.g"].mask[32, 32]
    assert not new["ps1.g"].mask[32, 40]


@pytest.mark.parametrize("method", METHODS)
def test_all_zero_galex_stays_zero(method):
    wcs = make_wcs(n=32, scale=1.5)
    cutouts = one("galex.FUV", wcs, np.zeros((32, 32)))
    new = align(cutouts, make_wcs(n=80), method=method)["galex.FUV"]
    assert not new.mask.any()
    assert (new.data == 0).all()


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, ">f4", ">f8", ">i2", "f8"])
def test_integer_and_big_endian_arrays(dtype):
    wcs = make_wcs(n=48)
    data = np.rint(render(wcs, (48, 48), fwhm=3)).astype(dtype)
    new = align(one(wcs=wcs, data=data), make_wcs(n=32))["ps1.g"]
    assert new.data.dtype.isnative
    assert new.data.dtype.kind == "f"
    np.testing.assert_allclose(new.data, data[8:40, 8:40], atol=1e-5)


def test_tangent_point_1e5_pixels_away():
    far = TARGET.directional_offset_by(120 * u.deg, 1e5 * 0.25 * u.arcsec)
    wcs = make_wcs(n=120, tangent=far, frame="FK5")
    assert np.hypot(*wcs.wcs.crpix) > 9e4
    grid = make_wcs(n=100)
    new = align(one(wcs=wcs, data=render(wcs, (120, 120), fwhm=2)), grid)["ps1.g"]
    np.testing.assert_allclose(centroid(new.data), (49.5, 49.5), atol=0.01)


@pytest.mark.parametrize("frame", ["FK5", "FK4"])
def test_another_equinox_is_the_same_sky(frame):
    wcs = make_wcs(n=64, frame=frame)
    new = align(one(wcs=wcs, data=render(wcs, (64, 64), fwhm=2)), make_wcs(n=48))
    np.testing.assert_allclose(centroid(new["ps1.g"].data), (23.5, 23.5), atol=0.01)


@pytest.mark.parametrize(
    "coord",
    [
        SkyCoord(0, 0, unit="deg"),
        SkyCoord(359.99999, 10, unit="deg"),
        SkyCoord(77, 89.9995, unit="deg"),
        SkyCoord(77, -90, unit="deg"),
    ],
    ids=str,
)
@pytest.mark.parametrize(("n_in", "n_out"), [(64, 49), (63, 48)])
def test_target_is_centred_wherever_it_is(coord, n_in, n_out):
    wcs = make_wcs(coord, n_in, angle=25)
    data = render(wcs, (n_in, n_in), coord, fwhm=2)
    cutouts = MultibandCutout(coord, {"ps1.g": make_cutout("ps1.g", wcs, data)})
    new = align(cutouts, common_wcs(coord, n_out, 0.25 * u.arcsec))["ps1.g"]
    np.testing.assert_allclose(centroid(new.data), (n_out - 1) / 2, atol=0.01)


@pytest.mark.parametrize("flip", [False, True])
def test_parity_does_not_matter(flip):
    star = TARGET.directional_offset_by(60 * u.deg, 4 * u.arcsec)
    wcs, grid = make_wcs(n=80, flip=flip), make_wcs(n=64)
    new = align(one(wcs=wcs, data=render(wcs, (80, 80), star, fwhm=1.5)), grid)
    np.testing.assert_allclose(
        centroid(new["ps1.g"].data), grid.world_to_pixel(star), atol=0.01
    )


def disc(radius, n, scale):
    """Weights of a circular aperture at the centre, soft by a pixel at its edge."""
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    return np.clip(radius / scale - np.hypot(x, y) + 0.5, 0, 1)


@pytest.mark.parametrize(
    ("band", "scale_in", "scale_out", "method"),
    [
        ("ps1.g", 0.25, 0.5, "interp"),
        ("ps1.y", 0.25, 0.4, "interp"),
        ("galex.NUV", 1.5, 0.25, "interp"),
        ("unwise.W1", 2.75, 0.5, "interp"),
        ("ps1.g", 0.25, 1.0, "exact"),
        ("ps1.y", 0.25, 2.75, "exact"),
        ("unwise.W1", 2.75, 0.5, "exact"),
        ("ps1.g", 0.25, 1.0, "adaptive"),
    ],
)
def test_aperture_sums_agree_to_half_a_percent(band, scale_in, scale_out, method):
    n_in, n_out = int(90 / scale_in), int(55 / scale_out)
    cutouts = one(band, make_wcs(n=n_in, scale=scale_in))
    grid = make_wcs(n=n_out, scale=scale_out, angle=12)
    new = align(cutouts, grid, method=method)[band]
    radius = 25
    before = (cutouts[band].data * disc(radius, n_in, scale_in)).sum()
    after = (new.data * disc(radius, n_out, scale_out)).sum()
    assert after == pytest.approx(before, rel=0.005)


def test_surface_brightness_keeps_the_value_of_a_flat_field():
    cutouts = one("galex.NUV", make_wcs(n=32, scale=1.5), np.full((32, 32), 3.0))
    grid = make_wcs(n=40, scale=0.5)
    bright = align(cutouts, grid, conserve="surface brightness")["galex.NUV"]
    flux = align(cutouts, grid)["galex.NUV"]
    np.testing.assert_allclose(bright.data, 3, rtol=1e-6)
    np.testing.assert_allclose(flux.data, 3 / 9, rtol=1e-6)


@pytest.mark.parametrize(
    "kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance]
)
@pytest.mark.parametrize("scale", [0.5, 1.5, 3.0])
def test_variance_of_a_sum_is_kept(kind, scale):
    # 48 x 48 arcsec, variance 4 a pixel: a square of 24 arcsec holds 256 pixels
    array = kind(VarianceUncertainty(np.full((32, 32), 4.0)).represent_as(kind).array)
    wcs = make_wcs(n=32, scale=1.5)
    cutouts = one("galex.NUV", wcs, np.ones((32, 32)), uncertainty=array)
    new = align(cutouts, make_wcs(n=int(24 / scale), scale=scale))["galex.NUV"]
    assert isinstance(new.uncertainty, kind)
    variance = new.uncertainty.represent_as(VarianceUncertainty).array
    assert variance.sum() == pytest.approx(256 * 4, rel=1e-4)


def test_whole_pixels_binned_together_add_their_variances():
    rng = np.random.default_rng(0)
    variance = rng.uniform(1, 2, (32, 32))
    uncertainty = VarianceUncertainty(variance)
    cutouts = one(wcs=make_wcs(n=32), data=np.ones((32, 32)), uncertainty=uncertainty)
    new = align(cutouts, make_wcs(n=8, scale=1.0), method="exact")["ps1.g"]
    binned = variance.reshape(8, 4, 8, 4).sum(axis=(1, 3))
    np.testing.assert_allclose(new.uncertainty.array, binned, rtol=1e-5)


def test_pixel_without_weight_is_bad():
    weight = np.ones((32, 32))
    weight[16, 16] = 0
    cutouts = one(
        wcs=make_wcs(n=32), data=np.ones((32, 32)), uncertainty=InverseVariance(weight)
    )
    new = align(cutouts, make_wcs(n=32))["ps1.g"]
    assert np.argwhere(new.mask).tolist() == [[16, 16]]


def test_meta_is_kept_and_the_operation_recorded():
    wcs = make_wcs()
    cutouts = one(wcs=wcs, meta={"zero_point_ab": 25.0})
    first = align(cutouts, make_wcs(n=60, scale=0.2), method="interp")
    second = align(first, wcs, method="exact", conserve="surface brightness")["ps1.g"]
    assert second.meta["zero_point_ab"] == 25.0
    assert [record["method"] for record in second.meta["alignment"]] == [
        "interp",
        "exact",
    ]
    assert second.meta["alignment"][1]["conserve"] == "surface brightness"
    np.testing.assert_allclose(
        [record["pixel_scale_arcsec"] for record in second.meta["alignment"]],
        [[0.25, 0.2], [0.2, 0.25]],
    )
    assert "alignment" not in cutouts["ps1.g"].meta


def test_the_record_survives_a_file(tmp_path):
    aligned = align(one(), make_wcs(n=32))
    aligned.write(tmp_path / "aligned.fits")
    again = MultibandCutout.read(tmp_path / "aligned.fits")
    assert again["ps1.g"].meta["alignment"] == aligned["ps1.g"].meta["alignment"]


def test_inputs_are_not_changed():
    data = np.ones((32, 32), "f4")
    data[3, 3] = np.nan
    mask = np.zeros((32, 32), bool)
    cutouts = one(wcs=make_wcs(n=32), data=data, mask=mask)
    grid = make_wcs(n=32)
    grid.array_shape = None
    align(cutouts, grid, shape=(16, 16))
    assert np.isnan(cutouts["ps1.g"].data[3, 3])
    assert not cutouts["ps1.g"].mask.any()
    assert grid.array_shape is None


def test_every_band_gets_the_grid():
    galaxy = make_galaxy()
    grid = common_wcs(TARGET, 30 * u.arcsec, 0.25 * u.arcsec)
    aligned = align(galaxy, grid)
    assert aligned.bands == galaxy.bands
    for band, cutout in aligned.items():
        assert cutout.shape == (120, 120)
        assert cutout.unit == galaxy[band].unit
        assert cutout.wcs.wcs.compare(grid.wcs)
        np.testing.assert_allclose(centroid(cutout.data), 59.5, atol=0.05)


def test_default_method_depends_on_the_grid():
    methods = {}
    for scale in (0.25, 0.45, 1.0):
        aligned = align(make_galaxy(), common_wcs(TARGET, 16, scale * u.arcsec))
        methods[scale] = [c.meta["alignment"][0]["method"] for c in aligned.values()]
    interp, exact = "interp", "exact"
    assert methods[0.25] == [interp] * 4
    assert methods[0.45] == [interp, exact, exact, interp]
    assert methods[1.0] == [interp, exact, exact, interp]


def test_undersampled_images_are_interpolated_only_onto_fine_grids():
    cutouts = one("unwise.W1", make_wcs(n=32, scale=2.75))
    for scale, method in [(1.2, "interp"), (1.3, "exact"), (2.75, "exact")]:
        new = align(cutouts, make_wcs(n=16, scale=scale))["unwise.W1"]
        assert new.meta["alignment"][0]["method"] == method


def test_grids_that_beat_with_the_image_are_not_interpolated():
    for scale, method in [
        (0.17, "interp"),
        (0.22, "exact"),
        (0.25, "interp"),
        (0.4, "exact"),
    ]:
        new = align(one("ps1.y"), make_wcs(n=16, scale=scale))["ps1.y"]
        assert new.meta["alignment"][0]["method"] == method


@settings(max_examples=15)
@given(
    band=st.sampled_from(["ps1.y", "galex.FUV", "unwise.W1"]),
    ratio=st.floats(0.3, 1.6),
    angle=st.floats(0, 90),
    x=st.floats(-0.5, 0.5),
    y=st.floats(-0.5, 0.5),
)
def test_the_default_keeps_the_flux_of_point_sources(band, ratio, angle, x, y):
    """Areas exactly; samples of GALEX change by up to 1.7 % where pixels beat."""
    native = get_survey(get_band(band).survey).pixel_scale.to_value(u.arcsec)
    cutouts = one(band, make_wcs(n=32, scale=native, angle=angle, shift=(x, y)))
    grid = make_wcs(n=int(36 / ratio), scale=native * ratio)
    after = align(cutouts, grid)[band]
    (done,) = after.meta["alignment"]
    rel = {"exact": 1e-5, "interp": 0.02}[done["method"]]
    assert np.nansum(after.data) == pytest.approx(cutouts[band].data.sum(), rel=rel)


def test_interp_refuses_to_downsample():
    with pytest.raises(
        ValueError,
        match=r"'interp' must not downsample: output pixels of 1 arcsec are coarser "
        r"than those of ps1\.g \(0\.25 arcsec\).*use method 'exact'",
    ):
        align(one(), make_wcs(n=16, scale=1.0), method="interp")


def test_interp_keeps_undersampled_images_on_their_own_scale():
    # unWISE pixels (2.75") are coarser than FWHM / 2.5 (2.44"): no downsampling
    cutouts = one("unwise.W1", make_wcs(n=32, scale=2.75))
    new = align(cutouts, make_wcs(n=24, scale=2.75, angle=10), method="interp")
    assert new["unwise.W1"].data.sum() == pytest.approx(100, rel=0.005)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            {"method": "bicubic"},
            "'method' must be one of None, 'interp', 'adaptive', 'ex",
        ),
        (
            {"conserve": "mass"},
            "'conserve' must be one of 'flux', 'surface brightness'",
        ),
        ({"shape": (0, 5)}, "'shape' must be two positive numbers of pixels"),
    ],
)
def test_wrong_options_are_refused(option, message):
    with pytest.raises(ValueError, match=message):
        align(one(), make_wcs(n=16), **option)


def test_grid_needs_a_shape():
    grid = make_wcs()
    grid.array_shape = None
    with pytest.raises(ValueError, match="'shape' must be given"):
        align(one(), grid)


@pytest.mark.parametrize("grid", [WCS(naxis=2), WCS(naxis=3), "north up"])
def test_grid_must_be_celestial(grid):
    with pytest.raises(ValueError, match="'wcs' must be a WCS of two celestial axes"):
        align(one(), grid, shape=(8, 8))


def test_cutout_that_cannot_be_placed_is_refused():
    image = CCDData(np.ones((32, 32)), unit="adu")
    with pytest.raises(
        InputSpecError, match=r"ps1\.g cannot be placed .* there is no WCS"
    ):
        align(MultibandCutout(TARGET, {"ps1.g": image}), make_wcs())


def test_grid_beside_the_image_is_all_masked():
    beside = TARGET.directional_offset_by(0 * u.deg, 100 * u.arcsec)
    new = align(one(), make_wcs(beside, n=16))["ps1.g"]
    assert new.mask.all()


def test_grid_on_the_far_side_of_the_sky_is_all_masked():
    opposite = SkyCoord(TARGET.ra + 180 * u.deg, -TARGET.dec)
    new = align(one(), make_wcs(opposite, n=16), method="interp")["ps1.g"]
    assert new.mask.all()
