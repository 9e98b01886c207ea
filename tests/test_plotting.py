"""Pictures: what is drawn where, from what, and for which input it is refused."""

import io
import sys
import warnings

import astropy.units as u
import matplotlib as mpl
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS, FITSFixedWarning
from matplotlib import image as mpl_image
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from mantis_astro import (
    MultibandCutout,
    RedshiftPDF,
    get_band,
    metrics,
    redshift_distribution,
)
from mantis_astro.cutouts import read_cutout
from mantis_astro.plotting import (
    plot_cutouts,
    plot_nz,
    plot_pdf,
    plot_pit,
    plot_rgb,
    plot_zz,
)

TARGET = SkyCoord(150.1, 2.2, unit="deg")
EAST, NORTH = 8.0, 5.0  # arcsec, of a star from the target


def make_wcs(coord, n, scale=0.5, rotation=0.0, flipped=False):
    """TAN, target at the centre; east left unless flipped, turned by degrees."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [coord.icrs.ra.deg, coord.icrs.dec.deg]
    wcs.wcs.crpix = [(n + 1) / 2, (n + 1) / 2]
    angle = np.deg2rad(rotation)
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    parity = np.diag([1 if flipped else -1, 1])
    wcs.wcs.cd = np.array(turn) @ parity * scale / 3600
    return wcs


def cutout(data, unit="adu", wcs=None, **options):
    wcs = make_wcs(TARGET, len(data)) if wcs is None else wcs
    return CCDData(np.asarray(data, float), unit=unit, wcs=wcs, **options)


def noisy(n=61, seed=0):
    """Sky noise of 1 with a source of 500 in the middle."""
    y, x = np.mgrid[:n, :n] - n // 2
    source = 500 * np.exp(-(x**2 + y**2) / 8)
    return source + np.random.default_rng(seed).normal(0, 1, (n, n))


@pytest.fixture
def cutouts():
    bands = {f"ps1.{band}": cutout(noisy(seed=i)) for i, band in enumerate("griz")}
    return MultibandCutout(TARGET, bands)


def picture(ax):
    """Return the image on axes, its map from pixels to arcsec, and its grey values."""
    (image,) = [a for a in ax.get_images() if isinstance(a, mpl_image.AxesImage)]
    to_arcsec = image.get_transform() - ax.transData
    return image, to_arcsec, np.ma.filled(image.norm(image.get_array()), np.nan)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def rendered(ax):
    """Red values of what is inside the axes, first row on top."""
    figure = ax.figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[:, :, 0].astype(float)
    x0, y0, x1, y1 = np.round(ax.get_window_extent().extents).astype(int)
    height = pixels.shape[0]
    return pixels[height - y1 + 3 : height - y0 - 3, x0 + 3 : x1 - 3]


# Where things are -----------------------------------------------------------------

ORIENTATIONS = pytest.mark.parametrize(
    ("coord", "rotation", "flipped"),
    [
        (TARGET, 0, False),
        (TARGET, 0, True),
        (TARGET, 137, False),
        (TARGET, 137, True),
        (SkyCoord(0.0001, -30, unit="deg"), 20, False),
        (SkyCoord(77, 89.999, unit="deg"), 0, True),
        (TARGET.galactic, 45, False),
    ],
    ids=["plain", "flipped", "turned", "both", "RA 0", "pole", "galactic frame"],
)


@ORIENTATIONS
def test_a_star_in_the_north_east_is_drawn_up_and_left(coord, rotation, flipped):
    n = 61
    wcs = make_wcs(coord, n, rotation=rotation, flipped=flipped)
    star = coord.icrs.spherical_offsets_by(EAST * u.arcsec, NORTH * u.arcsec)
    x, y = wcs.world_to_pixel(star)
    data = np.zeros((n, n))
    data[round(float(y)), round(float(x))] = 100
    data += np.random.default_rng(0).normal(0, 0.1, (n, n))
    one = MultibandCutout(coord, {"ps1.g": cutout(data, wcs=wcs)})
    (ax,) = plot_cutouts(one, mark=False, size=24 * u.arcsec).axes

    _, to_arcsec, _ = picture(ax)
    np.testing.assert_allclose(to_arcsec.transform((x, y)), (EAST, NORTH), atol=1e-3)

    for artist in (*ax.texts, *ax.lines):
        artist.remove()
    page = rendered(ax)
    row, column = np.unravel_index(np.argmin(page), page.shape)
    rows, columns = page.shape
    assert column / columns == pytest.approx(0.5 - EAST / 24, abs=0.03)
    assert row / rows == pytest.approx(0.5 - NORTH / 24, abs=0.03)


def test_the_target_is_in_the_middle_wherever_it_is_on_the_image():
    wcs = make_wcs(TARGET, 61)
    away = TARGET.spherical_offsets_by(7 * u.arcsec, -4 * u.arcsec)
    (ax,) = plot_cutouts(
        MultibandCutout(away, {"ps1.g": cutout(noisy(), wcs=wcs)})
    ).axes
    _, to_arcsec, _ = picture(ax)
    pixel = wcs.world_to_pixel(away)
    np.testing.assert_allclose(to_arcsec.transform(pixel), (0, 0), atol=1e-6)


def test_all_panels_show_the_same_angle_on_the_sky():
    wide = cutout(noisy(40), "ct/s", make_wcs(TARGET, 40, scale=1.5))
    both = MultibandCutout(TARGET, {"galex.NUV": wide, "ps1.g": cutout(noisy(61))})
    for size, side in ((None, 30.5), (20 * u.arcsec, 20), (1 * u.arcmin, 60)):
        for ax in plot_cutouts(both, size=size).axes:
            np.testing.assert_allclose(ax.get_xlim(), (side / 2, -side / 2), rtol=1e-6)
            np.testing.assert_allclose(ax.get_ylim(), (-side / 2, side / 2), rtol=1e-6)


def test_the_scale_bar_is_as_long_as_it_says(cutouts):
    ax = plot_cutouts(cutouts, size=24 * u.arcsec).axes[0]
    (bar,) = [line for line in ax.lines if line.get_gid() == "scale bar"]
    assert np.ptp(bar.get_xdata()) == 5
    assert "5″" in texts(ax)


def test_a_long_scale_bar_is_in_arcminutes(cutouts):
    assert "2′" in texts(plot_cutouts(cutouts, size=6 * u.arcmin).axes[0])


@pytest.mark.parametrize("mark", [True, False])
def test_the_mark_points_at_the_target_and_leaves_it_free(cutouts, mark):
    for ax in plot_cutouts(cutouts, mark=mark).axes:
        ticks = [line for line in ax.lines if line.get_gid() == "target"]
        assert len(ticks) == (2 if mark else 0)
        for tick in ticks:
            distance = np.hypot(*tick.get_data())
            assert distance.min() > 0.05 * 30.5
            assert 0 in (*np.unique(tick.get_xdata()), *np.unique(tick.get_ydata()))


# Panels ---------------------------------------------------------------------------


def test_a_panel_for_each_band_in_the_order_asked_for(cutouts):
    assert [texts(ax)[0] for ax in plot_cutouts(cutouts).axes] == [
        f"Pan-STARRS1 {band}" for band in "griz"
    ]
    axes = plot_cutouts(cutouts, bands=["ps1.z", "ps1.g"]).axes
    assert [texts(ax)[0] for ax in axes] == ["Pan-STARRS1 z", "Pan-STARRS1 g"]


def test_a_missing_band_is_an_empty_panel_that_says_so(cutouts):
    _, ax = plot_cutouts(cutouts, bands=["ps1.g", "unwise.W1"]).axes
    assert texts(ax) == ["unWISE W1", "no image"]
    assert not ax.images


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda c: CCDData(c.data, unit="adu"), "no usable WCS"),
        (
            lambda c: cutout(c.data, wcs=make_wcs(SkyCoord("3d 3d"), 61)),
            "no usable WCS",
        ),
        (lambda c: cutout(c.data * np.nan), "no data"),
        (lambda c: cutout(c.data, mask=np.ones(c.shape, bool)), "no data"),
    ],
    ids=["no WCS", "another place", "NaN", "masked"],
)
def test_an_image_that_cannot_be_drawn_says_why(cutouts, spoilt, said):
    bad = MultibandCutout(
        TARGET, {**cutouts.select(["ps1.g"]), "ps1.y": spoilt(cutouts["ps1.g"])}
    )
    good, empty = plot_cutouts(bad).axes
    assert said in texts(empty)
    assert len(good.images) == 1


@pytest.mark.parametrize(
    ("n", "rows", "columns"), [(1, 1, 1), (5, 1, 5), (6, 2, 3), (7, 2, 4), (9, 3, 3)]
)
def test_panels_fill_a_rectangle(cutouts, n, rows, columns):
    bands = ["galex.NUV", "galex.FUV", "ps1.g", "ps1.r", "ps1.i"]
    bands += ["ps1.z", "ps1.y", "unwise.W1", "unwise.W2"]
    axes = plot_cutouts(cutouts, bands=bands[:n], size=9 * u.arcsec).axes
    assert len(axes) == n
    assert axes[0].get_gridspec().get_geometry() == (rows, columns)


def test_the_number_of_columns_may_be_chosen(cutouts):
    axes = plot_cutouts(cutouts, columns=2).axes
    assert axes[0].get_gridspec().get_geometry() == (2, 2)


def test_a_figure_of_the_caller_is_drawn_on(cutouts):
    figure = Figure()
    assert plot_cutouts(cutouts, figure=figure) is figure
    assert len(figure.axes) == 4


def test_a_picture_of_nothing_is_refused(cutouts):
    with pytest.raises(ValueError, match="no band to draw: 'cutouts' is empty"):
        plot_cutouts(MultibandCutout(TARGET, {}))
    with pytest.raises(ValueError, match="to take the size from: pass 'size'"):
        plot_cutouts(cutouts, bands=["unwise.W1"])


# Brightness -----------------------------------------------------------------------


def poisson(n=61):
    """Single photons on zeros with a faint source, as a short GALEX exposure."""
    y, x = np.mgrid[:n, :n] - n // 2
    expected = 0.05 + 0.8 * np.exp(-(x**2 + y**2) / 40)
    return np.random.default_rng(0).poisson(expected) / 180


@pytest.mark.parametrize(
    ("band", "unit", "data"),
    [
        ("ps1.g", "adu", noisy()),
        ("galex.NUV", "ct/s", poisson()),
        ("allwise.W1", "adu", 1000 + noisy()),
        ("unwise.W1", "nmgy", noisy().astype(">f4")),
        ("ps1.g", "adu", np.rint(noisy()).astype(int)),
    ],
    ids=["sky noise", "single photons", "pedestal", "big-endian", "integers"],
)
def test_sky_is_light_and_a_source_dark(band, unit, data):
    one = MultibandCutout(TARGET, {band: cutout(data, unit)})
    _, _, grey = picture(plot_cutouts(one).axes[0])
    assert 0.05 < np.median(grey) < 0.5
    assert np.max(grey[28:33, 28:33]) > 0.75


def test_a_pedestal_and_a_gain_change_nothing_in_the_picture():
    one, other = (
        picture(plot_cutouts(MultibandCutout(TARGET, {"ps1.g": cutout(data)})).axes[0])
        for data in (noisy(), 300 + 7 * noisy())
    )
    np.testing.assert_allclose(one[2], other[2], atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_an_image_of_one_value_is_drawn(value):
    one = MultibandCutout(TARGET, {"galex.NUV": cutout(np.full((9, 9), value), "ct/s")})
    _, _, grey = picture(plot_cutouts(one).axes[0])
    assert np.ptp(grey) == 0


def test_masked_pixels_are_drawn_as_bad_and_do_not_set_the_stretch():
    data = noisy()
    plain = picture(
        plot_cutouts(MultibandCutout(TARGET, {"ps1.g": cutout(data)})).axes[0]
    )
    mask = np.zeros(data.shape, bool)
    mask[3, 5] = True
    data[3, 5] = 1e9
    one = MultibandCutout(TARGET, {"ps1.g": cutout(data, mask=mask)})
    _, _, grey = picture(plot_cutouts(one).axes[0])
    assert np.isnan(grey[3, 5])
    np.testing.assert_allclose(grey[~mask], plain[2][~mask], atol=0.02)


def test_the_input_is_not_changed(cutouts):
    before = cutouts["ps1.g"].data.copy()
    plot_cutouts(cutouts)
    np.testing.assert_array_equal(cutouts["ps1.g"].data, before)


# Colour ---------------------------------------------------------------------------


def coloured(**amplitudes):
    """Cutouts with a source in the middle, of so much nJy a pixel."""
    meta = {"zero_point_ab": 31.4}  # one unit is 1 nJy
    noise = np.random.default_rng(0).normal(0, 0.1, (61, 61))
    source = np.exp(-(((np.mgrid[:61, :61] - 30) / 5) ** 2).sum(0))
    return MultibandCutout(
        TARGET,
        {
            f"ps1.{band}": cutout(amplitude * source + noise, meta=meta)
            for band, amplitude in amplitudes.items()
        },
    )


def test_constant_flux_per_wavelength_is_white():
    pivots = {band: get_band(f"ps1.{band}").pivot.value for band in "gri"}
    ax = plot_rgb(
        coloured(**{b: 50 * (pivot / 6000) ** 2 for b, pivot in pivots.items()})
    )
    red, green, blue = (int(value) for value in picture(ax)[0].get_array()[30, 30])
    assert abs(red - green) <= 3
    assert abs(red - blue) <= 3
    assert red > 150


def test_bands_are_red_green_and_blue_in_order():
    ax = plot_rgb(coloured(g=1, r=1, i=50))
    red, green, blue = (int(value) for value in picture(ax)[0].get_array()[30, 30])
    assert red > 2 * max(green, blue)
    assert texts(ax)[0] == "Pan-STARRS1 i r g"


def test_colours_of_several_surveys_are_all_named():
    mixed = MultibandCutout(
        TARGET,
        {**coloured(g=1, r=1), "legacysurvey.z": coloured(i=1)["ps1.i"]},
    )
    ax = plot_rgb(mixed, ("legacysurvey.z", "ps1.r", "ps1.g"))
    assert texts(ax)[0].endswith("z, Pan-STARRS1 r, Pan-STARRS1 g")


def test_a_colour_picture_lies_on_the_sky_as_a_band_does():
    flipped = coloured(g=1, r=1, i=1).map(
        lambda c: cutout(c.data, wcs=make_wcs(TARGET, 61, flipped=True), meta=c.meta)
    )
    ax = plot_rgb(flipped, size=10 * u.arcsec, mark=True)
    assert ax.get_xlim() == (5, -5)
    _, to_arcsec, _ = picture(ax)
    np.testing.assert_allclose(to_arcsec.transform((31, 30)), (0.5, 0), atol=1e-6)
    assert [line for line in ax.lines if line.get_gid() == "target"]


def test_colours_on_different_grids_are_refused():
    three = coloured(g=1, r=1, i=1)
    moved = make_wcs(TARGET, 61)
    moved.wcs.crpix += 0.2
    for other in (
        cutout(noisy(51), meta={"zero_point_ab": 31.4}),
        cutout(noisy(), wcs=moved, meta={"zero_point_ab": 31.4}),
    ):
        with pytest.raises(ValueError, match="not on one pixel grid.*align them first"):
            plot_rgb(MultibandCutout(TARGET, {**three, get_band("ps1.r"): other}))


def test_colours_need_three_bands_a_zero_point_and_a_wcs(cutouts):
    with pytest.raises(ValueError, match="'bands' must be three.*got 2"):
        plot_rgb(cutouts, ["ps1.g", "ps1.r"])
    with pytest.raises(ValueError, match=r"cutout of ps1\.i has no 'zero_point_ab'"):
        plot_rgb(cutouts)
    blind = cutouts.map(lambda c: CCDData(c.data, unit="adu"))
    with pytest.raises(ValueError, match="no WCS that shows the target"):
        plot_rgb(blind)
    with pytest.raises(KeyError, match=r"no cutout of ps1\.y"):
        plot_rgb(cutouts, ["ps1.y", "ps1.r", "ps1.g"])


# p(z) -----------------------------------------------------------------------------

EDGES = np.r_[0, np.arange(0.002, 1.598, 0.004), 1.6]


def gaussians(z, width=0.03):
    below = stats.norm.cdf(EDGES, np.atleast_1d(z)[:, None], width)
    return RedshiftPDF(EDGES, np.diff(below, axis=1))


def test_the_curve_is_the_density():
    pdf = gaussians([0.3, 0.5])
    ax = plot_pdf(pdf)
    outlines = [patch for patch in ax.patches if not patch.get_fill()]
    for one, outline in zip(pdf, outlines, strict=True):
        np.testing.assert_array_equal(outline.get_data().values, one.density)
        np.testing.assert_array_equal(outline.get_data().edges, EDGES)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "Redshift z",
        "p(z) per unit redshift",
    )


@pytest.mark.parametrize("level", [0.68, 0.95])
def test_the_shaded_area_is_the_level(level):
    ax = plot_pdf(gaussians(0.3)[0], level=level)
    (shade,) = [patch for patch in ax.patches if patch.get_fill()]
    values, edges, _ = shade.get_data()
    assert np.sum(values * np.diff(edges)) == pytest.approx(level)
    np.testing.assert_allclose(
        edges[[0, -1]],
        [
            0.3 - stats.norm.ppf(0.5 + level / 2) * 0.03,
            0.3 + stats.norm.ppf(0.5 + level / 2) * 0.03,
        ],
        atol=1e-4,
    )


def test_median_mode_and_truth_are_marked():
    lopsided = RedshiftPDF([0, 0.1, 0.2, 0.3, 0.4], [0.1, 0.6, 0.2, 0.1])
    ax = plot_pdf(lopsided, 0.33)
    median = lopsided.median().value
    (line,) = ax.collections[0].get_segments()
    np.testing.assert_allclose(line[:, 0], median)
    (mode,) = [line for line in ax.lines if line.get_gid() == "mode"]
    assert mode.get_xdata()[0] == pytest.approx(0.15)
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert dashed[0].get_xdata() == [0.33, 0.33]
    assert ax.get_legend() is None  # what is dashed needs no legend


def test_two_peaks_are_shaded_as_two_pieces():
    below = sum(stats.norm.cdf(EDGES, z, 0.02) for z in (0.2, 0.6))
    pdf = RedshiftPDF(EDGES, np.diff(below)[None])[0]
    shades = [patch for patch in plot_pdf(pdf).patches if patch.get_fill()]
    pieces = [shade.get_data().edges[[0, -1]] for shade in shades]
    np.testing.assert_allclose(pieces, pdf.hpd_regions(0.68).value)
    assert len(pieces) == 2


def test_curves_differ_in_brightness_for_prints_without_colour():
    ax = plot_pdf(gaussians([0.2, 0.3, 0.4, 0.5]))
    outlines = [patch for patch in ax.patches if not patch.get_fill()]
    rgb = np.array([outline.get_edgecolor()[:3] for outline in outlines])
    assert np.diff(rgb @ [0.299, 0.587, 0.114]).min() > 0.1


def test_a_missing_truth_is_not_drawn():
    ax = plot_pdf(gaussians([0.3, 0.5]), np.ma.masked_array([0.31, 0], [0, 1]))
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert [list(line.get_xdata()) for line in dashed] == [[0.31, 0.31]]
    assert plot_pdf(gaussians(0.3), np.nan).get_legend() is None


@pytest.mark.parametrize(
    ("length", "n", "inches"), [(1, 5, 5), (20, 5, 5), (60, 5, 5), (40, 10, 3.3)]
)
def test_names_of_any_length_stay_inside_and_above_the_densities(length, n, inches):
    names = [f"{i}{'x' * length}" for i in range(n)]
    pdf = gaussians(np.linspace(0.2, 0.6, n))
    panel = Figure((inches, 3.4), layout="constrained").subplots()
    ax = plot_pdf(pdf, labels=names, ax=panel)
    ax.figure.set_layout_engine("none")
    ax.figure.canvas.draw()
    legend, inside = ax.get_legend().get_window_extent(), ax.get_window_extent()
    assert legend.x0 >= inside.x0
    assert legend.y0 >= ax.transData.transform((0, pdf.density.max()))[1]


def test_the_view_holds_the_density_and_the_truth():
    low, high = plot_pdf(gaussians(0.8), 0.2).get_xlim()
    assert low < 0.2
    assert high > 0.8 + 3 * 0.03
    assert plot_pdf(gaussians(0.01)).get_xlim()[0] == 0


def test_labels_name_the_galaxies():
    ax = plot_pdf(gaussians([0.3, 0.5]), labels=["A", "B"])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["A", "B"]


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (11, {}, "must hold 1 to 10 galaxies to be drawn, got 11"),
        (0, {}, "must hold 1 to 10 galaxies to be drawn, got 0"),
        (2, {"labels": ["A"]}, "'labels' must name 2 galaxies, got 1"),
        (2, {"z_spec": [1, 2, 3]}, r"'z_spec' must have the shape of 'pdf', \(2,\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused(n, options, message):
    pdf = RedshiftPDF(EDGES, np.ones((n, len(EDGES) - 1)))
    with pytest.raises(ValueError, match=message):
        plot_pdf(pdf, **options)


# Photometric against spectroscopic ------------------------------------------------


@pytest.fixture
def redshifts():
    rng = np.random.default_rng(0)
    z_spec = rng.uniform(0, 1, 4000)
    return z_spec + 0.05 * rng.standard_t(2, 4000).clip(-8, 8), z_spec


def test_the_numbers_are_those_of_the_metrics(redshifts):
    text = plot_zz(*redshifts).get_title(loc="left")
    assert "N = 4,000" in text
    assert f"{metrics.sigma_nmad(*redshifts):.4f}" in text
    assert f"{metrics.bias_mean(*redshifts):+.4f}" in text
    for threshold in (0.05, 0.15):
        share = metrics.outlier_fraction(*redshifts, threshold=threshold)
        assert f"{share:.2%} beyond {threshold}" in text


def test_the_dotted_lines_are_where_outliers_begin(redshifts):
    ax = plot_zz(*redshifts, threshold=0.1)
    dotted = [line for line in ax.lines if line.get_linestyle() == ":"]
    found = [
        abs(metrics.delta_z(line.get_ydata(), line.get_xdata())) for line in dotted
    ]
    np.testing.assert_allclose(found, 0.1)


def test_points_are_the_larger_the_fewer_they_are(redshifts):
    sizes = [
        plot_zz(*(z[:n] for z in redshifts)).lines[0].get_markersize()
        for n in (20, 300, 3000)
    ]
    assert sizes[0] > 5  # points of a printer: one sees each of twenty
    assert sizes[0] > sizes[1] > sizes[2]


def test_residuals_are_delta_z_and_none_is_lost(redshifts):
    z_phot, z_spec = (z[:300] for z in redshifts)
    ax = plot_zz(z_phot, z_spec, threshold=0.05)
    main, below = ax.figure.axes
    assert main is ax
    delta = metrics.delta_z(z_phot, z_spec)
    inside = abs(delta) <= 0.1
    np.testing.assert_allclose(below.lines[0].get_ydata(), delta[inside])
    beyond = [line for line in below.lines if line.get_gid() == "beyond"]
    assert 0 < sum(len(line.get_xdata()) for line in beyond) == (~inside).sum()
    low, high = below.get_ylim()
    assert all(low < y < high for line in beyond for y in line.get_ydata())
    dotted = [line for line in below.lines if line.get_linestyle() == ":"]
    assert [line.get_ydata()[0] for line in dotted] == [0.05, -0.05]


def test_few_galaxies_are_points_and_many_a_density(redshifts):
    few = plot_zz(redshifts[0][:50], redshifts[1][:50])
    assert len(few.lines[0].get_xdata()) == 50
    ax = plot_zz(*redshifts)
    assert ax.collections[0].get_array().sum() == 4000


def test_galaxies_without_a_redshift_are_left_out_of_the_picture():
    ax = plot_zz([0.1, np.nan, 0.3], np.ma.masked_equal([0.1, 0.2, -1], -1))
    np.testing.assert_allclose(ax.lines[0].get_data(), [[0.1], [0.1]])
    with pytest.raises(ValueError, match="no galaxy has both"):
        plot_zz([np.nan], [0.1])


# n(z) -----------------------------------------------------------------------------


def test_the_n_of_z_is_drawn_with_its_errors_and_means():
    pdf = gaussians(np.random.default_rng(1).uniform(0.2, 0.9, 200))
    table = redshift_distribution(pdf, bins=[0.2, 0.5, 0.9], n_bootstrap=20)
    ax = plot_nz(table)
    shades = [patch for patch in ax.patches if patch.get_fill()]
    outlines = [patch for patch in ax.patches if not patch.get_fill()]
    for row, shade, outline in zip(table, shades, outlines, strict=True):
        density, error = (np.asarray(row[n]) for n in ("n_of_z", "n_of_z_err"))
        np.testing.assert_array_equal(outline.get_data().values, density)
        np.testing.assert_allclose(shade.get_data().values, density + error)
        np.testing.assert_allclose(
            shade.get_data().baseline, np.maximum(density - error, 0)
        )
    means = [c.get_segments()[0][0, 0] for c in ax.collections]
    np.testing.assert_allclose(means, table["z_mean"])
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["z = 0.2 to 0.5", "z = 0.5 to 0.9"]
    assert plot_nz(table[:1]).get_legend() is None
    with pytest.raises(ValueError, match="one that redshift_distribution returned"):
        plot_nz(table["n", "z_mean"])
    with pytest.raises(ValueError, match="'labels' must name 2 bins, got 1"):
        plot_nz(table, labels=["a"])


# Calibration ----------------------------------------------------------------------


def test_bars_are_counts_over_the_expected_and_the_text_their_distance():
    z_spec = np.random.default_rng(0).uniform(0.2, 1.2, 500)
    pdf = gaussians(z_spec)
    pits = metrics.pit(pdf, z_spec)
    ax = plot_pit(pdf, z_spec, bins=10)
    counts = np.histogram(pits, 10, (0, 1))[0]
    heights = [bar.get_height() for bar in ax.patches[:10]]
    np.testing.assert_allclose(heights, counts / 50)
    assert f"{metrics.pit_ks(pits):.3f}" in ax.get_title(loc="left")
    assert "N = 500" in ax.get_title(loc="left")


def test_the_band_holds_95_percent_of_calibrated_bars():
    bins, n = 10, 2000
    ax = plot_pit(gaussians(np.full(n, 0.5)), np.full(n, 0.5), bins=bins)
    band = ax.patches[bins].get_extents().transformed(ax.transData.inverted())
    low, high = n / bins * band.y0, n / bins * band.y1
    inside = stats.binom(n, 1 / bins).cdf([low, high])
    assert np.diff(inside)[0] == pytest.approx(0.95, abs=0.015)


def test_a_calibration_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no galaxy has a 'z_spec'"):
        plot_pit(gaussians([0.3]), [np.nan])


# All of them ----------------------------------------------------------------------

ON_AXES = [
    lambda ax: plot_pdf(gaussians(0.3), ax=ax),
    lambda ax: plot_zz([0.1, 0.2], [0.1, 0.2], ax=ax),
    lambda ax: plot_pit(gaussians(0.3), [0.31], ax=ax),
    lambda ax: plot_rgb(coloured(g=1, r=1, i=1), ax=ax),
]


@pytest.mark.parametrize("draw", ON_AXES, ids=["pdf", "zz", "pit", "rgb"])
def test_axes_of_the_caller_are_drawn_on_and_returned(draw):
    ax, other = Figure().subplots(1, 2)
    assert draw(ax) is ax
    assert not other.has_data()


@pytest.mark.parametrize(
    "draw", [*ON_AXES, None], ids=["pdf", "zz", "pit", "rgb", "cutouts"]
)
def test_pyplot_and_the_style_are_left_alone(draw, cutouts):
    settings, figures = dict(mpl.rcParams), plt.get_fignums()
    figure = plot_cutouts(cutouts) if draw is None else draw(None).figure
    figure.savefig(io.BytesIO(), format="png")
    assert plt.get_fignums() == figures
    assert dict(mpl.rcParams) == settings


def test_without_matplotlib_it_says_how_to_get_it(monkeypatch, cutouts):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "mantis-astro\[plot\]"'):
        plot_cutouts(cutouts)
    with pytest.raises(ImportError, match=r'pip install "mantis-astro\[plot\]"'):
        plot_pdf(gaussians(0.3))


# Real images ----------------------------------------------------------------------

UGC_1333 = SkyCoord(27.952, 0.2635, unit="deg")


def unread(path):
    """An image of a survey that is not registered, dressed as one that is."""
    with fits.open(path) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        hdu = next(hdu for hdu in hdus if hdu.data is not None)
        return CCDData(hdu.data.astype("f4"), unit="adu", wcs=WCS(hdu.header))


def brightest(ax, beyond=0.0):
    """Offset of the brightest pixel further from the middle than so much."""
    image, to_arcsec, _ = picture(ax)
    data = np.ma.filled(image.get_array().astype(float), np.nan)
    y, x = np.indices(data.shape)
    offsets = to_arcsec.transform(np.stack([x.ravel(), y.ravel()], 1))
    far = np.hypot(*offsets.T) > beyond
    near = np.hypot(*offsets.T) < 15
    return offsets[np.nanargmax(np.where(far & near, data.ravel(), np.nan))]


@pytest.mark.real_data
def test_a_real_image_with_east_to_the_right_is_drawn_like_one_with_east_left(
    real_data,
):
    folder = real_data / "images" / "ugc1333"
    both = {
        "ps1.g": read_cutout(folder / "PS1_g.fits"),
        "ps1.r": unread(folder / "DES_g.fits"),
    }
    ps1, des = plot_cutouts(MultibandCutout(UGC_1333, both), size=40 * u.arcsec).axes
    np.testing.assert_allclose(brightest(ps1), brightest(des), atol=0.5)  # nucleus
    np.testing.assert_allclose(brightest(ps1, 7), brightest(des, 7), atol=0.5)  # star
    assert brightest(ps1, 7)[0] > 5  # in the east
    assert brightest(ps1, 7)[1] > 3  # and the north


@pytest.mark.real_data
def test_a_real_image_whose_wcs_was_not_cropped_with_it_is_not_drawn(real_data):
    bad = unread(real_data / "images" / "ugc1333" / "SDSS_g.fits")
    one = MultibandCutout(UGC_1333, {"ps1.g": bad})
    (ax,) = plot_cutouts(one, size=20 * u.arcsec).axes
    assert "no usable WCS" in texts(ax)


@pytest.mark.real_data
def test_real_galex_and_wise_show_the_galaxy(real_data):
    folder = real_data / "images" / "ic494"
    files = {"galex.NUV": "GALEX_NUV", "galex.FUV": "GALEX_FUV"}
    files |= {"allwise.W1": "WISE_W1", "allwise.W2": "WISE_W2"}
    cutouts = {
        band: read_cutout(folder / f"{f}.fits", band) for band, f in files.items()
    }
    coord = SkyCoord(121.6005, 1.0361, unit="deg")
    figure = plot_cutouts(MultibandCutout(coord, cutouts), size=2 * u.arcmin)
    for ax in figure.axes:
        _, to_arcsec, grey = picture(ax)
        assert 0.05 < np.nanmedian(grey) < 0.5
        y, x = np.indices(grey.shape)
        offsets = to_arcsec.transform(np.stack([x.ravel(), y.ravel()], 1))
        middle = grey.ravel()[np.hypot(*offsets.T) < 5]
        assert np.nanmean(middle) > 0.6


def test_what_has_no_data_is_drawn_as_that():
    weights = [[0.2, 0.6, 0.2], [0, 0, 0]]
    pdf = RedshiftPDF.from_batch([0.0, 0.1, 0.2, 0.4], weights)
    ax = plot_pdf(pdf, labels=["a", "b"])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["a", "b: no data"]
    assert len([line for line in ax.lines if line.get_gid() == "mode"]) == 1
    alone = plot_pdf(pdf[1])
    assert [text.get_text() for text in alone.texts] == ["no data"]
    assert not alone.patches


def test_the_pit_of_what_has_no_data_is_not_counted():
    pdf = RedshiftPDF.from_batch([0.0, 0.2, 0.4], [[0.5, 0.5], [0, 0], [0.5, 0.5]])
    ax = plot_pit(pdf, [0.1, 0.1, -99], bins=2)
    assert [bar.get_height() for bar in ax.patches[:2]] == [2.0, 0.0]
