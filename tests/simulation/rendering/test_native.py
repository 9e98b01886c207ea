"""Native cutouts: against galsim, and through the package's own doors."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from mantis_astro.bands import BANDS
from mantis_astro.models import CommonGrid, InputSpec
from mantis_astro.models.inputs import PUBLISHED_BANDS
from mantis_astro.models.stretches import FluxAsinhStretch
from mantis_astro.photometry import measure_photometry
from mantis_astro.simulation.instruments.conditions import draw_conditions
from mantis_astro.simulation.instruments.noise import njy_per_unit
from mantis_astro.simulation.instruments.registry import get_instrument
from mantis_astro.simulation.rendering.native import render_cutouts, render_native
from mantis_astro.simulation.sources import Sources
from mantis_astro.simulation.uniforms import keys_of
from tests.simulation.rendered import (
    PROFILES,
    all_observed,
    galsim_image,
    many_sources,
    one_source,
)

COORD = SkyCoord([150.1], [32.2], unit="deg")


def place_of(band):
    """Survey and column of a band in what render_native gives."""
    own = [b for b in BANDS if b.survey == band.survey]
    return band.survey, own.index(band)


@pytest.mark.parametrize(
    ("profile", "band"),
    [
        *((profile, BANDS[0]) for profile in PROFILES),
        *((profile, BANDS[6]) for profile in PROFILES),
        ("disc", BANDS[2]),
        ("bulge", BANDS[8]),
    ],
    ids=str,
)
def test_native_images_are_those_of_galsim(profile, band):
    pytest.importorskip("galsim")
    conditions = all_observed(1)
    images = render_native(one_source(profile), COORD, conditions=conditions)
    survey, column = place_of(band)
    image = images[survey][0, column].numpy()
    scale = {"galex": 1.5, "ps1": 0.25, "unwise": 2.75}[survey]
    placement = get_instrument(survey).place(COORD)
    turned = placement.turn[0], placement.offset[0]
    assert (turned[0] != 0) == (survey == "ps1")
    fwhm = conditions.psf_fwhm[0, BANDS.index(band)]
    truth = galsim_image(profile, band, fwhm, image.shape, scale, [scale], *turned)
    assert abs(image - truth).max() < 1e-3 * truth.max()


def test_all_of_the_flux_is_there():
    source = one_source("disc", flux=100.0)
    images = render_native(source, COORD, conditions=all_observed(1))
    for name, image in images.items():
        np.testing.assert_allclose(image.sum((2, 3)), 100.0, rtol=3e-3, err_msg=name)


def test_east_is_left_and_position_angles_run_from_north_through_east():
    at = np.array([0, 0])
    line = Sources(
        target=at,
        east=np.array([8.0, 0.0]),
        north=np.array([0.0, 0.0]),
        flux=np.repeat([[2e5], [1e6]], 9, axis=1),
        radius=np.array([0.0, 6.0]),
        sersic=np.array([1.0, 1.0]),
        axis_ratio=np.array([1.0, 0.1]),
        position_angle=np.radians([0.0, 30.0]),
    )
    conditions = all_observed(1)
    (galaxy,) = render_cutouts(line, COORD, conditions=conditions)
    for band in ("ps1.r", "galex.NUV", "unwise.W1"):
        cutout = galaxy[band]
        wcs = cutout.wcs
        xy = wcs.world_to_pixel(COORD.spherical_offsets_by(8 * u.arcsec, 0 * u.arcsec))
        x, y = (int(np.rint(v[0])) for v in xy)
        around = cutout.data[y - 1 : y + 2, x - 1 : x + 2]
        assert cutout.data[y, x] > 0.6 * around.max(), band
        # along the disc it is brighter than across, at the same distance
        along, across = (
            wcs.world_to_pixel(COORD.directional_offset_by(pa * u.deg, 6 * u.arcsec))
            for pa in (30, -60)
        )
        values = [
            cutout.data[int(np.rint(v[1][0])), int(np.rint(v[0][0]))]
            for v in (along, across)
        ]
        assert values[0] > 1.5 * values[1], band


def test_the_target_is_where_the_wcs_says():
    coords = SkyCoord(np.linspace(3, 351, 12), np.linspace(-29, 85, 12), unit="deg")
    sources = Sources.concatenate(
        [one_source("disc", flux=1e7, target=i) for i in range(12)]
    )
    for galaxy in render_cutouts(sources, coords, conditions=all_observed(12)):
        for band in ("ps1.i", "unwise.W1", "galex.NUV"):
            image = np.nan_to_num(galaxy[band].data)
            x, y = galaxy[band].wcs.world_to_pixel(galaxy.coord)
            ny, nx = image.shape
            assert np.hypot(x - (nx - 1) / 2, y - (ny - 1) / 2) < 0.75
            weights = np.clip(image, 0, None) ** 2
            rows, columns = np.indices(image.shape)
            centroid = [np.sum(a * weights) / weights.sum() for a in (columns, rows)]
            np.testing.assert_allclose(centroid, (x, y), atol=0.05, err_msg=band)


def test_pixels_are_in_the_units_of_the_services():
    sources = many_sources(1, 1, flux=1e6)
    conditions = all_observed(1)
    (galaxy,) = render_cutouts(sources, COORD, conditions=conditions)
    assert [str(galaxy[b].unit) for b in ("galex.FUV", "ps1.g", "unwise.W2")] == [
        "ct / s",
        "adu",
        "nmgy",
    ]
    assert galaxy["unwise.W1"].meta["magsys"] == "Vega"
    wcs = galaxy["ps1.g"].wcs.wcs
    assert wcs.cdelt[0] > 0
    assert wcs.pc[0, 0] == -1
    unit = njy_per_unit(BANDS, conditions.exposure_time)[0]
    expected = render_native(sources, COORD, conditions=conditions)
    for j, band in enumerate(BANDS):
        survey, column = place_of(band)
        flux = expected[survey][0, column].sum().item()
        measured = np.nansum(galaxy[band].data) * unit[j]
        assert measured == pytest.approx(flux, rel=0.1), band
        zero_point = galaxy[band].meta["zero_point_ab"]
        assert 3631e9 * 10 ** (-0.4 * zero_point) == pytest.approx(unit[j]), band


def test_the_door_of_networks_takes_them_and_finds_the_flux():
    sources = one_source("disc", flux=3e6)
    spec = InputSpec(
        PUBLISHED_BANDS,
        CommonGrid((32, 32), 1.0),
        tuple(FluxAsinhStretch(1.0) for _ in PUBLISHED_BANDS),
    )
    cutouts = render_cutouts(sources, COORD, conditions=all_observed(1))
    prepared = spec.to_tensor(cutouts, ebv=0.0)
    assert prepared.flags[0] == 0
    flux = np.sinh(prepared.images[0].double().numpy()).sum((1, 2))
    np.testing.assert_allclose(flux, 3e6, rtol=0.03)


def test_photometry_measures_the_flux_of_a_bright_galaxy():
    cutouts = render_cutouts(
        one_source("disc", flux=1e7), COORD, conditions=all_observed(1)
    )
    # wide enough for the wings of the PSF, which no Gaussian has
    table = measure_photometry(
        cutouts, aperture=20 * u.arcsec, background=None, deblend=None
    )
    for band in PUBLISHED_BANDS:
        name = band.replace(".", "_")
        flux, error = (
            float(table[f"{column}_{name}"][0].unmasked.to_value("nJy"))
            for column in ("flux", "flux_err")
        )
        assert error < 1e5
        assert flux == pytest.approx(1e7, abs=5e4 + 3 * error), band


def test_a_target_does_not_depend_on_the_others():
    sources = many_sources(20, 3)
    coords = SkyCoord(np.arange(20) * 10, np.zeros(20), unit="deg")
    conditions = all_observed(20)
    together = render_cutouts(sources, coords, conditions=conditions)
    one = sources[sources.target == 18]
    alone = Sources(
        one.target * 0,
        *(
            getattr(one, name)
            for name in (
                "east",
                "north",
                "flux",
                "radius",
                "sersic",
                "axis_ratio",
                "position_angle",
            )
        ),
    )
    (again,) = render_cutouts(alone, coords[18:19], conditions=conditions[18:19])
    for band in BANDS:
        peak = abs(again[band].data).max()
        np.testing.assert_allclose(
            together[18][band].data, again[band].data, atol=2e-5 * peak, rtol=0
        )


def test_missing_bands_are_absent_and_bad_pixels_are_masked():
    from dataclasses import replace

    conditions = all_observed(1)
    observed, damage = conditions.observed.copy(), conditions.damage.copy()
    observed[0, :2] = False
    damage[0, 4] = 0.0, 0.5  # a gap through the middle
    conditions = replace(conditions, observed=observed, damage=damage)
    (galaxy,) = render_cutouts(one_source("disc"), COORD, conditions=conditions)
    assert "galex.NUV" not in galaxy
    cutout = galaxy["ps1.i"]
    assert cutout.mask[84].all()
    assert np.array_equal(np.isnan(cutout.data), cutout.mask)
    assert galaxy["ps1.g"].mask is None


def test_the_core_of_a_bright_star_is_saturated():
    (galaxy,) = render_cutouts(
        one_source("point", flux=1e8), COORD, conditions=all_observed(1)
    )
    mask = galaxy["ps1.i"].mask
    assert mask[84:86, 84:86].all()
    assert mask.mean() < 0.01


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"n_band": 3}, "a flux for each of the 9 bands"),
        ({"target": 1}, "ascending order from 0 to 0"),
    ],
)
def test_what_does_not_fit_is_named(change, match):
    with pytest.raises(ValueError, match=match):
        render_cutouts(one_source(**change), COORD, conditions=all_observed(1))


def test_bands_of_a_survey_must_be_together():
    bands = ["ps1.g", "unwise.W1", "ps1.r"]
    conditions = draw_conditions(keys_of(1, [0]), bands=bands)
    match = "next to each other, got ps1.g, unwise.W1, ps1.r"
    with pytest.raises(ValueError, match=match):
        render_cutouts(one_source(n_band=3), COORD, conditions=conditions)


def test_conditions_must_be_those_of_the_targets():
    with pytest.raises(
        ValueError, match="'conditions' must be those of 'n_target' = 1"
    ):
        render_cutouts(one_source(), COORD, conditions=all_observed(2))
