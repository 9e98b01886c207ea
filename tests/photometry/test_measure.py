"""`measure_photometry` finds the fluxes that were put in."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import InverseVariance, StdDevUncertainty, VarianceUncertainty
from astropy.table import QTable
from hypothesis import given, settings
from hypothesis import strategies as st
from photutils.aperture import SkyCircularAperture, aperture_photometry

from mantis_astro import MultibandCutout
from mantis_astro.alignment import align, common_wcs
from mantis_astro.bands import BANDS, get_band
from mantis_astro.extinction import extinction_coefficients
from mantis_astro.flags import Flag
from mantis_astro.photometry import (
    Annulus,
    Circular,
    GaussianPSF,
    Kron,
    MoffatPSF,
    column_suffix,
    measure_photometry,
)

from .scenes import COORD, first, gaussian, make_cutout, make_target, make_wcs

PLAIN = Circular(4 * u.arcsec, correction=None)


def test_the_sum_is_that_of_photutils():
    target = make_target(*BANDS, noise=1.0, sky=3.0)
    table = measure_photometry(target, aperture=PLAIN, background=None, deblend=None)
    circle = SkyCircularAperture(COORD, 4 * u.arcsec)
    for band, cutout in target.items():
        theirs = aperture_photometry(
            cutout.data.astype(float), circle, method="exact", wcs=cutout.wcs
        )
        ours = first(table[f"flux_{column_suffix(band)}"])
        assert ours == pytest.approx(theirs["aperture_sum"][0], rel=1e-6)


def test_the_error_is_that_of_photutils_where_variances_are_given():
    cutout = make_cutout(noise=1.0)
    sigma = np.random.default_rng(0).uniform(1, 2, cutout.shape)
    cutout.uncertainty = StdDevUncertainty(sigma)
    table = measure_photometry(
        MultibandCutout(COORD, {"ps1.r": cutout}),
        aperture=PLAIN,
        background=None,
        deblend=None,
    )
    theirs = aperture_photometry(cutout, SkyCircularAperture(COORD, 4 * u.arcsec))
    assert first(table["flux_err_ps1_r"]) == pytest.approx(
        theirs["aperture_sum_err"][0].value, rel=1e-6
    )


def test_an_inverse_variance_of_zero_is_a_bad_pixel():
    cutout = make_cutout(noise=1.0)
    cutout.data[84, 84] = 1e9
    inverse = np.ones(cutout.shape)
    inverse[84, 84] = 0
    cutout.uncertainty = InverseVariance(inverse)
    target = MultibandCutout(COORD, {"ps1.r": cutout})
    table = measure_photometry(target, aperture=PLAIN, deblend=None)
    assert table["flux_ps1_r"][0] < 1e5 * u.nJy
    assert table["coverage_ps1_r"][0] < 1


@pytest.mark.parametrize("band", BANDS, ids=str)
@pytest.mark.parametrize("aperture", [4 * u.arcsec, "kron"], ids=["circle", "kron"])
def test_a_point_source_has_its_whole_flux_in_every_band(band, aperture):
    target = make_target(band, flux=1e5, sky=50.0, noise=0.5)
    table = measure_photometry(target, aperture=aperture)
    flux = first(table[f"flux_{column_suffix(band)}"])
    assert flux == pytest.approx(1e5, rel=0.01)


@pytest.mark.parametrize(
    "options", [{"rotation": 17}, {"flip": True}, {"shift": (2, 3)}]
)
def test_a_band_with_another_orientation_is_measured_in_the_same_place(options):
    galaxy = {"flux": 1e5, "fwhm": 5.0, "axis_ratio": 0.4, "angle": 30.0}
    plain = make_cutout("ps1.r", **galaxy)
    other = make_cutout("ps1.i", **galaxy, **options)
    table = measure_photometry(
        MultibandCutout(COORD, {"ps1.r": plain, "ps1.i": other}),
        aperture=Kron(correction=None),
    )
    ratio = table["flux_ps1_i"] / table["flux_ps1_r"]
    assert first(ratio) == pytest.approx(1, abs=2e-3)


def test_the_ellipse_is_that_of_the_galaxy():
    target = make_target(flux=1e5, fwhm=6.0, axis_ratio=0.5, angle=30.0, noise=1.0)
    table = measure_photometry(target)
    assert first(table["position_angle"]) == pytest.approx(30, abs=2)
    ratio = first(table["semiminor"] / table["semimajor"])
    assert ratio == pytest.approx(0.5, abs=0.05)


def test_an_extended_galaxy_has_one_colour_in_all_psfs():
    """FWHM 3 arcsec before the PSF; equal fluxes must give equal fluxes."""
    cutouts = {}
    for band in BANDS:
        fwhm = np.hypot(3.0, band.psf_fwhm.to_value(u.arcsec))
        cutouts[band] = make_cutout(band, flux=1e5, fwhm=fwhm, noise=0.3)
    table = measure_photometry(MultibandCutout(COORD, cutouts))
    fluxes = [first(table[f"flux_{column_suffix(band)}"]) for band in BANDS]
    np.testing.assert_allclose(fluxes, 1e5, rtol=0.03)


@pytest.mark.parametrize("band", ["galex.NUV", "ps1.r", "unwise.W1"])
@pytest.mark.parametrize("method", ["interp", "exact"])
def test_an_aligned_point_source_has_its_whole_flux(band, method):
    """The pixels that it comes from have smeared it."""
    grid = common_wcs(COORD, 42 * u.arcsec, 0.2 * u.arcsec)
    aligned = align(make_target(band, noise=0.5), grid, method=method)
    table = measure_photometry(aligned, aperture=4 * u.arcsec)
    flux = first(table[f"flux_{column_suffix(band)}"])
    assert flux == pytest.approx(1e5, rel=0.015)


def test_a_given_psf_is_used():
    target = make_target(fwhm=3.0, noise=0.5)
    by_object, by_angle, moffat = (
        first(
            measure_photometry(
                target, aperture=2 * u.arcsec, deblend=None, psf={"ps1.r": psf}
            )["flux_ps1_r"]
        )
        for psf in (GaussianPSF(3 * u.arcsec), 3 * u.arcsec, MoffatPSF(3 * u.arcsec))
    )
    assert by_object == by_angle == pytest.approx(1e5, rel=0.01)
    assert moffat > 1.05 * by_object


@pytest.mark.parametrize("correlation", [0.0, 1.0])
def test_errors_are_as_large_as_the_scatter(correlation):
    """Also where noise is correlated over pixels, as in resampled images."""
    targets = [
        MultibandCutout(
            COORD,
            {"ps1.r": make_cutout(noise=20.0, seed=seed, correlation=correlation)},
        )
        for seed in range(100)
    ]
    table = measure_photometry(targets, aperture=PLAIN, deblend=None)
    pull = (table["flux_ps1_r"] - table["flux_ps1_r"].mean()) / table["flux_err_ps1_r"]
    assert np.std(pull.unmasked.value) == pytest.approx(1, abs=0.25)


def rare_photons(seed, exposure=180.0, rate=1e-4, source=0.5):
    """GALEX counts per second, not sky-subtracted: mostly zeros."""
    wcs = make_wcs(COORD, (64, 64), 1.5)
    image = gaussian(wcs, (64, 64), COORD, flux=source, fwhm=5.3)
    counts = np.random.default_rng(seed).poisson((image + rate) * exposure)
    cutout = make_cutout("galex.NUV", flux=0, shape=(64, 64), zero_point_ab=20.08)
    cutout.data = (counts / exposure).astype(np.float32)
    cutout.meta["exposure_time"] = exposure
    return MultibandCutout(COORD, {"galex.NUV": cutout})


def test_rare_photons_are_measured_without_bias_and_with_their_noise():
    targets = [rare_photons(seed) for seed in range(200)]
    assert np.median(targets[0]["galex.NUV"].data) == 0
    table = measure_photometry(targets, aperture=12 * u.arcsec, deblend=None)
    truth = 0.5 * 3631e9 * 10 ** (-0.4 * 20.08)
    flux, error = (
        table[n].unmasked.value for n in ("flux_galex_NUV", "flux_err_galex_NUV")
    )
    assert flux.mean() == pytest.approx(truth, abs=3 * flux.std() / np.sqrt(200))
    assert np.std((flux - truth) / error) == pytest.approx(1, abs=0.15)


def test_no_photon_at_all_has_the_error_of_one():
    target = rare_photons(0, rate=1e-6, source=0)
    target["galex.NUV"].data[:] = 0
    target["galex.NUV"].data[0, 0] = 1 / 180
    table = measure_photometry(target, aperture=5 * u.arcsec, deblend=None)
    one_photon = 3631e9 * 10 ** (-0.4 * 20.08) / 180
    assert first(table["flux_err_galex_NUV"]) > one_photon
    assert table["flags_galex_NUV"][0] & Flag.NON_DETECTION


def test_a_pedestal_changes_nothing():
    """AllWISE images have one."""
    flat, raised = (
        measure_photometry(make_target("allwise.W1", sky=sky, noise=0.1))
        for sky in (0.0, 3000.0)
    )
    ratio = raised["flux_allwise_W1"] / flat["flux_allwise_W1"]
    assert first(ratio) == pytest.approx(1, abs=1e-3)


def test_the_zero_point_scales_the_flux():
    bright, faint = (
        measure_photometry(make_target(zero_point_ab=zero_point, noise=1.0))
        for zero_point in (20.0, 22.5)
    )
    ratio = bright["flux_ps1_r"] / faint["flux_ps1_r"]
    assert first(ratio) == pytest.approx(10)


def test_vega_surveys_have_vega_magnitudes():
    table = measure_photometry(make_target("unwise.W1", "ps1.r", noise=1.0))
    difference = table["mag_ab_unwise_W1"] - table["mag_vega_unwise_W1"]
    assert first(difference) == pytest.approx(get_band("unwise.W1").vega_to_ab)
    assert "mag_vega_ps1_r" not in table.colnames


def test_extinction_is_corrected_on_request():
    target = make_target("ps1.g", noise=1.0)
    plain = measure_photometry([target, target])
    table = measure_photometry([target, target], ebv=[0.1, np.nan])
    coefficient = extinction_coefficients(["ps1.g"])[get_band("ps1.g")]
    change = plain["mag_ab_ps1_g"] - table["mag_ab_ps1_g"]
    np.testing.assert_allclose(change.unmasked.value, [0.1 * coefficient, 0], atol=1e-9)
    assert table["ebv"].value.tolist() == [0.1, 0.0]
    assert table["flags"][1] & Flag.EBV_ASSUMED
    assert table.meta["extinction_coefficients"]["ps1.g"] == coefficient


def test_planck_is_corrected_as_a_true_colour_excess():
    target = make_target("ps1.g", noise=1.0)
    plain = measure_photometry(target)
    table = measure_photometry(target, ebv={"planck": 0.1})
    coefficient = extinction_coefficients(["ps1.g"], scale="true")[get_band("ps1.g")]
    change = plain["mag_ab_ps1_g"] - table["mag_ab_ps1_g"]
    assert first(change) == pytest.approx(0.1 * coefficient)


def test_a_source_that_is_not_there_keeps_its_flux():
    target = make_target(flux=0.0, noise=10.0)
    table = measure_photometry(target)
    assert not table["flux_ps1_r"].mask[0]
    assert abs(table["flux_ps1_r"][0]) < 5 * table["flux_err_ps1_r"][0]
    assert table["flags"][0] & Flag.NON_DETECTION
    assert np.isfinite(first(table["asinh_mag_ps1_r"]))


def test_one_detected_band_makes_a_detection():
    cutouts = {
        "ps1.r": make_cutout(flux=1e5, noise=10.0),
        "ps1.i": make_cutout("ps1.i", flux=-3e3, noise=10.0),
    }
    table = measure_photometry(MultibandCutout(COORD, cutouts))
    assert table["flags_ps1_i"][0] & Flag.NON_DETECTION
    assert not table["flags"][0] & Flag.NON_DETECTION
    assert table["mag_ab_ps1_i"].mask[0]


NEIGHBOUR = {"flux": 5e4, "fwhm": 1.2, "offset": (3.0, 0.0)}


def test_a_neighbour_in_the_aperture_is_flagged():
    lonely, blended = (
        measure_photometry(make_target(noise=1.0, extra=extra), aperture=5 * u.arcsec)
        for extra in ([], [NEIGHBOUR])
    )
    assert not lonely["flags"][0] & Flag.BLEND
    assert blended["flags"][0] & Flag.BLEND


def test_a_neighbour_can_be_replaced():
    target = make_target(noise=1.0, extra=[NEIGHBOUR], fwhm=2.0)
    table = measure_photometry(target, aperture=PLAIN, deblend="mask")
    truth = 1e5 * GaussianPSF(2 * u.arcsec).enclosed(4 * u.arcsec)
    assert first(table["flux_ps1_r"]) == pytest.approx(truth, rel=0.02)


def test_a_neighbour_in_the_annulus_does_not_matter():
    star = {"flux": 3e6, "fwhm": 1.2, "offset": (0.0, 14.0)}
    target = make_target(noise=1.0, extra=[star])
    for deblend in (None, "flag"):
        table = measure_photometry(target, aperture=4 * u.arcsec, deblend=deblend)
        assert first(table["flux_ps1_r"]) == pytest.approx(1e5, rel=0.01)


def test_bands_that_were_not_observed_are_masked():
    both = make_target("ps1.r", "galex.NUV", noise=1.0)
    table = measure_photometry([both, both.select(["ps1.r"])], bands=BANDS)
    assert table["flux_galex_NUV"].mask.tolist() == [False, True]
    assert table["flux_unwise_W1"].mask.all()
    missing = Flag.MISSING_GALEX
    assert table["flags"][1] & missing
    assert [c for c in table.colnames if c.startswith("flux_ps1")] == [
        f"flux_ps1_{b}" for b in "grizy"
    ]


def test_columns_only_of_the_bands_asked_for():
    table = measure_photometry(
        make_target("ps1.r", "ps1.i", noise=1.0), bands=["ps1.i"]
    )
    assert "flux_ps1_r" not in table.colnames


def test_one_by_one_is_the_same_as_all_at_once():
    targets = [
        MultibandCutout(
            SkyCoord(10 * i, 5 * i, unit="deg"),
            {
                band: make_cutout(
                    band, coord=SkyCoord(10 * i, 5 * i, unit="deg"), seed=i
                )
                for band in ("ps1.r", "unwise.W1")
            },
        )
        for i in range(1, 4)
    ]
    for options in ({}, {"aperture": PLAIN, "deblend": None}):
        together = measure_photometry(targets, **options)
        for i, target in enumerate(targets):
            alone = measure_photometry(target, **options)
            for name in ("flux_ps1_r", "flux_unwise_W1", "flux_err_ps1_r"):
                assert first(together[name], i) == pytest.approx(
                    first(alone[name]), rel=1e-12
                )


def test_an_iterator_is_consumed_in_pieces(monkeypatch):
    monkeypatch.setattr("mantis_astro.photometry.measure._CHUNK", 2)
    target = make_target(noise=1.0)
    table = measure_photometry((target for _ in range(5)), aperture=PLAIN, deblend=None)
    assert len(table) == 5
    assert len(set(table["flux_ps1_r"].value.unmasked.tolist())) == 1


def test_no_targets_give_an_empty_table():
    assert len(measure_photometry([])) == 0
    assert "flux_ps1_r" in measure_photometry([], bands=["ps1.r"]).colnames


def test_the_annulus_can_be_chosen():
    target = make_target(noise=1.0, sky=7.0)
    ring = Annulus(8 * u.arcsec, 12 * u.arcsec)
    table = measure_photometry(target, aperture=4 * u.arcsec, background=ring)
    assert first(table["flux_ps1_r"]) == pytest.approx(1e5, rel=0.01)


def test_the_input_is_not_changed():
    target = make_target(noise=1.0, extra=[NEIGHBOUR])
    before = target["ps1.r"].data.copy(), dict(target["ps1.r"].meta)
    measure_photometry(target, deblend="mask")
    np.testing.assert_array_equal(target["ps1.r"].data, before[0])
    assert target["ps1.r"].meta == before[1]


def test_the_table_comes_back_from_disk(tmp_path):
    target = make_target("ps1.r", "unwise.W1", noise=1.0)
    table = measure_photometry([target], bands=["ps1.r", "ps1.i", "unwise.W1"], ebv=0.1)
    table.write(tmp_path / "photometry.ecsv")
    back = QTable.read(tmp_path / "photometry.ecsv")
    assert back["flux_ps1_r"].unit == u.nJy
    assert back["flux_ps1_i"].mask.tolist() == [True]
    assert back["coord"].separation(table["coord"]).max() < 1 * u.mas
    assert back.meta["aperture"] == table.meta["aperture"]


@settings(max_examples=15)
@given(
    flux=st.floats(1e3, 1e7),
    angle=st.floats(0, 180),
    axis_ratio=st.floats(0.4, 1),
    rotation=st.floats(0, 360),
)
def test_kron_flux_does_not_depend_on_how_the_image_is_turned(
    flux, angle, axis_ratio, rotation
):
    galaxy = {"flux": flux, "fwhm": 4.0, "axis_ratio": axis_ratio, "angle": angle}
    plain, turned = (
        measure_photometry(make_target(noise=flux * 1e-5, rotation=r, **galaxy))
        for r in (0.0, rotation)
    )
    ratio = turned["flux_ps1_r"] / plain["flux_ps1_r"]
    assert first(ratio) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"aperture": 3.0}, ValueError, r"must be 'kron', a radius .* got 3\.0"),
        ({"aperture": -1 * u.arcsec}, ValueError, "'radius' must be a positive angle"),
        ({"aperture": 3 * u.pix}, ValueError, "'radius' must be a positive angle"),
        ({"deblend": True}, ValueError, r"'deblend' must be one of .* got True"),
        ({"background": 0}, TypeError, "'background' must be 'annulus', None or Annul"),
        ({"psf": {"ps1.r": 3}}, ValueError, "a PSF must be a FWHM or a Gaussian"),
        ({"psf": {"ps1.u": 3 * u.arcsec}}, KeyError, r"no band 'ps1\.u'"),
        ({"bands": ["ps1.u"]}, KeyError, r"no band 'ps1\.u'"),
        ({"ebv": [0.1, 0.2]}, ValueError, r"have shape \(1,\) or \(1, 1\), got"),
        ({"ebv": 0.1, "law": "X"}, ValueError, "no extinction law 'X'"),
    ],
)
def test_a_wrong_call_is_an_error(options, error, message):
    with pytest.raises(error, match=message):
        measure_photometry(make_target(noise=1.0), **options)


def test_other_things_than_cutouts_are_refused():
    with pytest.raises(TypeError, match="'cutouts' must be MultibandCutout objects"):
        measure_photometry([make_cutout()])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Kron(scale=0), "'scale' must be positive, got 0"),
        (lambda: Kron(correction="moffat"), r"'correction' must be one of .*'profile'"),
        (lambda: Circular(3 * u.arcsec, correction="profile"), "'correction' must be"),
        (lambda: Annulus(inner=3 * u.arcsec), "give both 'inner' and 'outer'"),
        (lambda: Annulus(3 * u.arcsec, 2 * u.arcsec), "'outer' must exceed 'inner'"),
    ],
)
def test_apertures_that_cannot_be_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_error_holds_that_of_the_sky_level():
    """A level from n pixels errs by sigma / sqrt(n), in every pixel of the aperture."""
    errors = []
    for subtract in (False, True):
        ring = Annulus(6 * u.arcsec, 9 * u.arcsec, subtract=subtract)
        circle = Circular(4 * u.arcsec, correction=None)
        target = make_target("ps1.r", flux=0, noise=30.0, sky=1000.0)
        table = measure_photometry(
            target, aperture=circle, background=ring, deblend=None
        )
        errors.append(first(table["flux_err_ps1_r"]))
    of_pixels, with_level = np.square(errors)
    area, n = np.pi * 16**2, np.pi * (36**2 - 24**2)  # in pixels of 0.25 arcsec
    assert with_level / of_pixels == pytest.approx(1 + area / n, rel=0.02)


def test_three_times_the_error_is_a_detection():
    """NON_DETECTION: no flux reaches three times its error."""
    cutout = make_cutout("ps1.r", flux=0, shape=(81, 81))
    variance = np.zeros((81, 81))
    cutout.data[40, 40] = 3
    variance[40, 40] = 1
    cutout.uncertainty = VarianceUncertainty(variance)
    circle = Circular(2 * u.arcsec, correction=None)
    ring = Annulus(subtract=False)
    for factor, flagged in ((1, False), (1 - 1e-6, True)):
        image = cutout.copy()
        image.data *= np.float32(factor)
        table = measure_photometry(
            MultibandCutout(COORD, {"ps1.r": image}),
            aperture=circle,
            background=ring,
            deblend=None,
        )
        assert bool(table["flags_ps1_r"][0] & Flag.NON_DETECTION) == flagged


def test_the_ring_starts_outside_the_light_of_the_target():
    """At 1.5 times the aperture or two FWHM outside it, whichever is larger."""
    assert Annulus().radii(10.0, 1.0) == (15.0, 30.0)
    assert Annulus().radii(3.0, 1.25) == (5.5, 11.0)
