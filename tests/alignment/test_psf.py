import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import VarianceUncertainty

from mantis_astro import MultibandCutout
from mantis_astro.alignment import match_psf

from .scenes import TARGET, make_cutout, make_wcs, render

SCALE = 0.5
GRID = make_wcs(n=121, scale=SCALE)
FWHM = {"ps1.g": 1.31, "galex.NUV": 5.3, "unwise.W1": 6.1}


def star(band, fwhm, **kwargs):
    """A star on a grid of half an arcsec, marked as aligned to it."""
    data = render(GRID, GRID.array_shape, fwhm=fwhm)
    meta = {"alignment": [{"pixel_scale_arcsec": [SCALE, SCALE]}]}
    return make_cutout(band, GRID, data, meta=meta, **kwargs)


def stars(**kwargs):
    return MultibandCutout(TARGET, {b: star(b, w, **kwargs) for b, w in FWHM.items()})


def fwhm_of(image):
    """From the second moment, exact for a Gaussian."""
    image = np.nan_to_num(image)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] - 60.0
    return 2.3548 * SCALE * np.sqrt((image * (x**2 + y**2)).sum() / image.sum() / 2)


def test_all_bands_get_the_widest_psf():
    matched = match_psf(stars())
    expected = matched["unwise.W1"].data
    for cutout in matched.values():
        assert fwhm_of(cutout.data) == pytest.approx(6.1, rel=0.01)
        assert cutout.meta["psf_matching"] == {"target": "unwise.W1"}
        np.testing.assert_allclose(
            np.nan_to_num(cutout.data), expected, atol=2e-3 * expected.max()
        )


def test_the_target_is_left_as_it_is():
    before = stars()
    after = match_psf(before)["unwise.W1"]
    np.testing.assert_array_equal(after.data, before["unwise.W1"].data)


def test_flux_is_kept():
    for cutout in match_psf(stars()).values():
        assert np.nansum(cutout.data) == pytest.approx(100, rel=1e-4)


@pytest.mark.parametrize("target", ["galex.NUV", 5.3 * u.arcsec])
def test_target_may_be_chosen(target):
    two = stars().select(["ps1.g", "galex.NUV"])
    matched = match_psf(two, target=target)
    assert fwhm_of(matched["ps1.g"].data) == pytest.approx(5.3, rel=0.01)


@pytest.mark.parametrize("target", ["ps1.g", 3 * u.arcsec])
def test_target_must_be_the_widest(target):
    with pytest.raises(
        ValueError, match=r"the PSF of galex\.NUV is wider than the 'tar"
    ):
        match_psf(stars(), target=target)


def test_masked_hot_pixel_does_not_spread():
    mask = np.zeros(GRID.array_shape, bool)
    mask[40, 40] = True
    cutouts = stars(mask=mask)
    expected = match_psf(cutouts)["ps1.g"].data
    cutouts["ps1.g"].data[40, 40] = 1e4
    np.testing.assert_array_equal(match_psf(cutouts)["ps1.g"].data, expected)


def test_large_holes_stay_masked():
    cutouts = stars()
    cutouts["ps1.g"].data[:60] = np.nan
    new = match_psf(cutouts)["ps1.g"]
    assert new.mask[:50].all()
    assert not new.mask[70:, 30:90].any()
    assert np.isfinite(new.data[~new.mask]).all()


def test_variance_of_a_sum_is_kept():
    uncertainty = VarianceUncertainty(np.full(GRID.array_shape, 2.0))
    blurred, wide = star("ps1.g", 1.31, uncertainty=uncertainty), star("ps1.r", 1.19)
    cutouts = MultibandCutout(TARGET, {"ps1.g": blurred, "ps1.r": wide})
    new = match_psf(cutouts, target=3 * u.arcsec)["ps1.g"]
    np.testing.assert_allclose(new.uncertainty.array[~new.mask], 2, rtol=1e-6)


def moffat(fwhm, n=81):
    y, x = np.mgrid[:n, :n] - n // 2
    alpha = fwhm / SCALE / (2 * np.sqrt(2 ** (1 / 3.5) - 1))
    return (1 + (x**2 + y**2) / alpha**2) ** -3.5


def test_measured_psfs_are_matched():
    psfs = {"ps1.g": moffat(2), "ps1.r": moffat(4, n=91)}
    meta = {"alignment": [{"pixel_scale_arcsec": [SCALE, SCALE]}]}
    image = np.zeros((121, 121))
    image[60, 60] = 1

    def seen(psf):
        y = (121 - psf.shape[0]) // 2
        return np.pad(psf / psf.sum(), y)

    cutouts = MultibandCutout(
        TARGET,
        {b: make_cutout(b, GRID, seen(psf), meta=meta) for b, psf in psfs.items()},
    )
    matched = match_psf(cutouts, psfs=psfs)
    assert matched["ps1.g"].meta["psf_matching"] == {"target": "ps1.r"}
    expected = seen(psfs["ps1.r"])
    inner = np.s_[30:91, 30:91]
    np.testing.assert_allclose(
        matched["ps1.g"].data[inner], expected[inner], atol=0.01 * expected.max()
    )


@pytest.mark.parametrize(
    ("psfs", "target", "message"),
    [
        ({"ps1.g": moffat(2)}, None, r"missing: \['galex\.NUV', 'unwise\.W1'\]"),
        (dict.fromkeys(FWHM, np.ones((4, 5))), None, "with odd sides .* got shape"),
        (dict.fromkeys(FWHM, moffat(2)), "ps1.y", "'target' must be a band of the cut"),
        (
            {b: moffat(w) for b, w in FWHM.items()},
            "ps1.g",
            r"is wider than the 'target' \(ps1\.g\)",
        ),
    ],
)
def test_wrong_psfs_are_refused(psfs, target, message):
    with pytest.raises(ValueError, match=message):
        match_psf(stars(), psfs=psfs, target=target)


def test_measured_psfs_need_one_pixel_scale():
    cutouts = MultibandCutout(
        TARGET,
        {
            "ps1.g": make_cutout("ps1.g", make_wcs(n=64)),
            "galex.NUV": make_cutout("galex.NUV", make_wcs(n=32, scale=1.5)),
        },
    )
    with pytest.raises(ValueError, match=r"one pixel scale, got 0\.25 to 1\.5 arcsec"):
        match_psf(cutouts, psfs={b: moffat(2) for b in cutouts})
