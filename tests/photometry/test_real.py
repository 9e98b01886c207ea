"""Real images of galaxies whose magnitudes are known."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from mantis_astro import MultibandCutout
from mantis_astro.alignment import align, common_wcs
from mantis_astro.cutouts import read_cutout
from mantis_astro.flags import Flag
from mantis_astro.photometry import Circular, column_suffix, measure_photometry

from .scenes import first

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning"),
]

TARGETS = {
    "frb190608": (334.0204, -7.8989, {"ps1.r": "PS1_r", "ps1.i": "PS1_i"}),
    "ugc1333": (27.952, 0.2635, {f"ps1.{b}": f"PS1_{b}" for b in "griz"}),
    "ps1_j0028": (7.09390, -10.65098, {f"ps1.{b}": f"2_{b}" for b in "grizy"}),
    "ic494": (
        121.6005,
        1.0361,
        {
            "galex.FUV": "GALEX_FUV",
            "galex.NUV": "GALEX_NUV",
            "allwise.W1": "WISE_W1",
            "allwise.W2": "WISE_W2",
        },
    ),
}
CIRCLE = {"aperture": Circular(8 * u.arcsec, correction=None), "deblend": None}


@pytest.fixture(scope="module")
def read(real_data):
    def read(name, coord=None):
        ra, dec, files = TARGETS[name]
        cutouts = {
            band: read_cutout(real_data / "images" / name / f"{file}.fits", band)
            for band, file in files.items()
        }
        return MultibandCutout(coord or SkyCoord(ra, dec, unit="deg"), cutouts)

    return read


@pytest.mark.parametrize("aperture", [8 * u.arcsec, "kron"], ids=["circle", "kron"])
def test_the_host_of_frb_190608_has_its_catalogue_magnitudes(read, aperture):
    table = measure_photometry(read("frb190608"), aperture=aperture)
    assert first(table["mag_ab_ps1_r"]) == pytest.approx(17.66, abs=0.1)
    assert first(table["mag_ab_ps1_i"]) == pytest.approx(17.23, abs=0.1)


@pytest.mark.parametrize("name", ["frb190608", "ugc1333", "ps1_j0028"])
@pytest.mark.parametrize(
    ("pixel_scale", "method"),
    [(0.2, "interp"), (0.4, "exact")],
    ids=["interp", "exact"],
)
def test_aligning_changes_no_magnitude(read, name, pixel_scale, method):
    target = read(name)
    wcs = common_wcs(target.coord, 52 * u.arcsec, pixel_scale * u.arcsec)
    aligned = measure_photometry(align(target, wcs, method=method), **CIRCLE)
    native = measure_photometry(target, **CIRCLE)
    for band in target:
        column = f"mag_ab_{column_suffix(band)}"
        difference = first(aligned[column]) - first(native[column])
        assert difference == pytest.approx(0, abs=0.05)


def test_galex_and_allwise_of_a_spiral_are_sensible(read):
    """IC 494: bluer than a flat spectrum in the UV, W1-W2 (Vega) of stars, near 0."""
    target = read("ic494")
    assert np.median(target["galex.NUV"].data) == 0
    table = measure_photometry(target, aperture="kron")
    assert 18 < first(table["mag_ab_galex_NUV"]) < 20
    assert 0 < first(table["mag_ab_galex_FUV"] - table["mag_ab_galex_NUV"]) < 1.5
    colour = table["mag_vega_allwise_W1"] - table["mag_vega_allwise_W2"]
    assert first(colour) == pytest.approx(0.0, abs=0.2)
    assert not table["flags"][0] & (Flag.NON_DETECTION | Flag.PARTIAL_COVERAGE)


def test_the_pedestal_of_allwise_is_taken_off(read):
    target = read("ic494").select(["allwise.W2"])
    with_sky, without = (
        measure_photometry(target, aperture=30 * u.arcsec, background=b)
        for b in ("annulus", None)
    )
    assert first(without["flux_allwise_W2"]) > 2 * first(with_sky["flux_allwise_W2"])


def test_a_saturated_star_is_flagged_and_a_galaxy_beside_it_is_not(read):
    galaxy = read("ps1_j0028")
    star = galaxy["ps1.r"].wcs.pixel_to_world(268, 106)
    table = measure_photometry([galaxy, read("ps1_j0028", coord=star)], **CIRCLE)
    assert not table["flags"][0] & Flag.SATURATED
    assert table["flags"][1] & Flag.SATURATED
    for band in "griz":
        assert table[f"flags_ps1_{band}"][1] & Flag.SATURATED


def test_unwise_with_its_inverse_variance_is_detected(real_data):
    """A source at the middle of a real unWISE cutout, by variance and by scatter."""
    folder = real_data / "images" / "unwise_1866p257"
    from astropy.io import fits
    from astropy.nddata import InverseVariance

    cutout = read_cutout(folder / "unwise-1866p257-w1-img-m.fits", "unwise.W1")
    y, x = np.unravel_index(np.argmax(cutout.data), cutout.shape)
    coord = cutout.wcs.pixel_to_world(x, y)
    with_variance = cutout.copy()
    with_variance.uncertainty = InverseVariance(
        fits.getdata(folder / "unwise-1866p257-w1-invvar-m.fits.gz").astype(float)
    )
    table = measure_photometry(
        [MultibandCutout(coord, {"unwise.W1": c}) for c in (cutout, with_variance)],
        aperture=6 * u.arcsec,
    )
    signal_to_noise = table["flux_unwise_W1"] / table["flux_err_unwise_W1"]
    assert signal_to_noise.unmasked.value.min() > 10
    assert 8 < first(table["mag_vega_unwise_W1"]) < 20
