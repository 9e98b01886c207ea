"""Pictures of cutouts: every band on its WCS, and colour composites."""

import astropy.units as u
import numpy as np

from mantis_astro._optional import require
from mantis_astro.bands import get_band, get_bands, get_survey
from mantis_astro.fluxes import njy_factor
from mantis_astro.plotting.brightness import asinh_scaled, find_sky, pixels_of
from mantis_astro.plotting.panels import new_axes

__all__ = ["plot_cutouts", "plot_rgb"]

_MARK = "#d62728"
_BAD = "#c9d7e8"  # pixels without data
_BARS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)  # arcsec


def plot_cutouts(
    cutouts,
    *,
    bands=None,
    size=None,
    mark=True,
    columns=None,
    cmap="gray_r",
    figure=None,
):
    """
    Draw each band of a galaxy on the sky: north up, east left, to one scale.

    Images are placed by their WCS, whatever its orientation, parity and pixel size;
    nothing is resampled. The stretch is asinh, from the noise of each band. An image
    of single photons on zeros, as GALEX takes them, is smoothed to twice its PSF.

    Parameters
    ----------
    cutouts : MultibandCutout
        The images.
    bands : sequence of Band or str, optional
        Bands to draw, in this order; by default those that are there. A band that is
        missing gets an empty panel that says so.
    size : `~astropy.units.Quantity`, optional
        Side of each panel on the sky; by default that of the smallest image.
    mark : bool, optional
        Whether to mark the target.
    columns : int, optional
        Panels in a row.
    cmap : str or `~matplotlib.colors.Colormap`, optional
        Colour map.
    figure : `~matplotlib.figure.Figure`, optional
        Figure to draw on; by default a new one, not known to pyplot.

    Returns
    -------
    `~matplotlib.figure.Figure`
        One axes for each band, whose coordinates are the offsets from the target to
        the east and to the north in arcsec.

    Raises
    ------
    ValueError
        If there is no band, or no size and no image to take it from.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import astropy.units as u
    >>> from mantis_astro import MultibandCutout
    >>> from mantis_astro.plotting import plot_cutouts
    >>> cutouts = MultibandCutout.read("galaxy.fits")  # doctest: +SKIP
    >>> figure = plot_cutouts(cutouts, size=30 * u.arcsec)  # doctest: +SKIP
    >>> figure.savefig("galaxy.png")  # doctest: +SKIP
    """
    bands = [get_band(band) for band in (cutouts if bands is None else bands)]
    if not bands:
        msg = "no band to draw: 'cutouts' is empty, and 'bands' names none"
        raise ValueError(msg)
    maps = {
        band: _sky_map(cutouts[band], cutouts.coord)
        for band in bands
        if band in cutouts
    }
    size = _panel_size(size, cutouts, maps)
    columns = columns or _columns(len(bands))
    rows = -(-len(bands) // columns)
    if figure is None:
        figure = require("matplotlib.figure", extra="plot").Figure(
            figsize=(2.1 * columns, 2.1 * rows), layout="constrained"
        )
        figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    width = 72 * figure.get_figwidth() / columns
    for ax in panels[len(bands) :]:
        ax.remove()
    for ax, band in zip(panels, bands, strict=False):
        _set_up_panel(ax, size, _title(band), width=width)
        if band not in cutouts:
            _say(ax, "no image")
        elif maps[band] is None:
            _say(ax, "no usable WCS")
        else:
            _draw(ax, band, cutouts[band], maps[band], cmap)
            if mark:
                _mark_target(ax, size)
    _add_scale_bar(panels[0], size)
    _add_compass(panels[0], size)
    return figure


def plot_rgb(
    cutouts,
    bands=("ps1.i", "ps1.r", "ps1.g"),
    *,
    ax=None,
    size=None,
    mark=False,
    stretch=None,
    q=8,
):
    """
    Draw three bands as one colour picture, north up, east left.

    Zero points put the bands on one scale on which a constant ``f_lambda``, nearly
    that of a star like the Sun, is white; sky is subtracted; and the mapping of Lupton
    et al. 2004 keeps hues to the core.

    Parameters
    ----------
    cutouts : MultibandCutout
        The images; the three must be on one pixel grid.
    bands : sequence of Band or str, optional
        For red, green and blue.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to draw on; by default those of a new figure, not known to pyplot.
    size : `~astropy.units.Quantity`, optional
        Side of the picture on the sky; by default that of the image.
    mark : bool, optional
        Whether to mark the target.
    stretch : float, optional
        Flux in nJy per pixel up to which brightness is about linear; by default five
        times the noise of the sky.
    q : float, optional
        How strongly what is brighter is compressed.

    Returns
    -------
    `~matplotlib.axes.Axes`
        Coordinates are offsets from the target in arcsec.

    Raises
    ------
    ValueError
        If there are not three bands, a zero point is missing or the images are not
        on one grid.
    KeyError
        `~mantis_astro.exceptions.MissingBandError` if a band is missing.

    References
    ----------
    Lupton et al. 2004, PASP 116, 133; `astropy.visualization.make_lupton_rgb`.

    Examples
    --------
    >>> from mantis_astro import MultibandCutout
    >>> from mantis_astro.plotting import plot_rgb
    >>> cutouts = MultibandCutout.read("galaxy.fits")  # doctest: +SKIP
    >>> plot_rgb(cutouts).figure.savefig("galaxy_rgb.png")  # doctest: +SKIP
    """
    bands = get_bands(bands)
    if len(bands) != 3:
        msg = f"'bands' must be three, for red, green and blue, got {len(bands)}"
        raise ValueError(msg)
    images = [cutouts[band] for band in bands]
    sky_map = _common_map(bands, images, cutouts.coord)
    rgb = _lupton(_on_one_scale(bands, images), stretch, q)
    if ax is None:
        ax = new_axes((4, 4))
    size = _panel_size(size, cutouts.select(bands), dict.fromkeys(bands, sky_map))
    width = 72 * ax.figure.get_figwidth() * ax.get_position().width
    _set_up_panel(ax, size, _title(*bands), width=width, light=True)
    ax.set_facecolor("black")
    _place(ax, ax.imshow(rgb, origin="lower", interpolation="nearest"), sky_map)
    if mark:
        _mark_target(ax, size)
    _add_scale_bar(ax, size, color="white")
    _add_compass(ax, size, color="white")
    return ax


def _title(*bands):
    """Names of bands, the survey once if it is the same."""
    surveys = [get_survey(band.survey).title for band in bands]
    names = [band.name for band in bands]
    if len(set(surveys)) == 1:
        return " ".join([surveys[0], *names])
    return ", ".join(map(" ".join, zip(surveys, names, strict=True)))


def _columns(n):
    """Panels in a row: one row up to five, else rows as equal as may be."""
    return n if n <= 5 else -(-n // -(-n // 5)) if n != 9 else 3


# Where pixels are on the sky ------------------------------------------------------


def _sky_map(cutout, coord):
    """
    Affine map from pixels to offsets (east, north) in arcsec, shape (3, 3), or None.

    The WCS made linear at the target: over a cutout, far below a pixel. None if there
    is no celestial WCS or the target is not on the image.
    """
    wcs = cutout.wcs
    if wcs is None or not wcs.has_celestial:
        return None
    ny, nx = cutout.shape
    x, y = (float(value) for value in wcs.world_to_pixel(coord))
    if not (-0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5):
        return None
    around = wcs.pixel_to_world([x - 1, x + 1, x, x], [y, y, y - 1, y + 1])
    around = around.transform_to(coord.icrs.skyoffset_frame())
    east = around.lon.wrap_at(180 * u.deg).arcsec
    north = around.lat.arcsec
    linear = np.array(
        [
            [east[1] - east[0], east[3] - east[2]],
            [north[1] - north[0], north[3] - north[2]],
        ]
    )
    linear /= 2
    if not np.isfinite(linear).all() or np.linalg.det(linear) == 0:
        return None
    sky_map = np.eye(3)
    sky_map[:2, :2] = linear
    sky_map[:2, 2] = -linear @ [x, y]
    return sky_map


def _scale(sky_map):
    """Side of a pixel in arcsec."""
    return np.sqrt(abs(np.linalg.det(sky_map[:2, :2])))


def _panel_size(size, cutouts, maps):
    """Side of a panel in arcsec."""
    if size is not None:
        return u.Quantity(size).to_value(u.arcsec)
    sides = [
        min(cutouts[band].shape) * _scale(sky_map)
        for band, sky_map in maps.items()
        if sky_map is not None
    ]
    if not sides:
        msg = "no image with a usable WCS to take the size from: pass 'size'"
        raise ValueError(msg)
    return min(sides)


def _common_map(bands, images, coord):
    """Map of three images that must share it, to a tenth of a pixel."""
    maps = [_sky_map(image, coord) for image in images]
    names = ", ".join(map(str, bands))
    if any(sky_map is None for sky_map in maps):
        msg = f"{names}: an image has no WCS that shows the target"
        raise ValueError(msg)
    shapes = {image.shape for image in images}
    ny, nx = images[0].shape
    corners = np.array([[0, nx, nx, 0], [0, 0, ny, ny], [1, 1, 1, 1]])
    moved = [np.linalg.solve(maps[0], sky_map @ corners) - corners for sky_map in maps]
    if len(shapes) > 1 or np.max(np.abs(moved)) > 0.1:
        msg = (
            f"{names} are not on one pixel grid (shapes "
            f"{', '.join(str(image.shape) for image in images)}): align them first, "
            "with mantis_astro.alignment.align"
        )
        raise ValueError(msg)
    return maps[0]


# Brightness -----------------------------------------------------------------------


def _on_one_scale(bands, images):
    """Fluxes in nJy, scaled so that a constant f_lambda is the same in all bands."""
    pivots = u.Quantity([band.pivot for band in bands]).value
    fluxes = []
    for band, image, pivot in zip(bands, images, pivots, strict=True):
        njy = njy_factor(image, band)
        if njy is None:
            msg = f"the cutout of {band} has no 'zero_point_ab' in its meta"
            raise ValueError(msg)
        fluxes.append(pixels_of(image) * njy * (np.mean(pivots) / pivot) ** 2)
    return fluxes


def _lupton(fluxes, stretch, q):
    from astropy.visualization import make_lupton_rgb

    skies = [find_sky(flux) for flux in fluxes]
    noise = np.mean([sigma for _, sigma in skies])
    fluxes = [
        np.nan_to_num(flux - level)
        for flux, (level, _) in zip(fluxes, skies, strict=True)
    ]
    with np.errstate(invalid="ignore"):  # pixels that are black in every band
        return make_lupton_rgb(*fluxes, stretch=stretch or 5 * noise, Q=q)


def _draw(ax, band, cutout, sky_map, cmap):
    colormap = require("matplotlib", extra="plot").colormaps.get_cmap(cmap)
    colormap = colormap.with_extremes(bad=_BAD)
    scaled = asinh_scaled(cutout, band, _scale(sky_map))
    if scaled is None:
        _say(ax, "no data")
        return
    image = ax.imshow(
        scaled,
        origin="lower",
        cmap=colormap,
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    _place(ax, image, sky_map)
    ax.set_facecolor(_BAD)


def _place(ax, image, sky_map):
    """Put an image where the sky map says, leaving the limits as they are."""
    transforms = require("matplotlib.transforms", extra="plot")
    image.set_transform(transforms.Affine2D(sky_map) + ax.transData)


# Panels ---------------------------------------------------------------------------


def _set_up_panel(ax, size, title, *, width, light=False):
    """Set limits, and write a title that fits into so many points of width."""
    ax.set_autoscale_on(False)
    ax.set(xlim=(size / 2, -size / 2), ylim=(-size / 2, size / 2), aspect="equal")
    ax.set(xticks=[], yticks=[])
    ax.set_title("")
    letters = min(ax.xaxis.label.get_fontsize(), 0.85 * width / (0.6 * len(title)))
    place = {"transform": ax.transAxes, "va": "top", "ha": "left"}
    _outline(ax.text(0.04, 0.96, title, size=letters, **place), light=light)


def _outline(artist, *, light=False):
    """Make text and lines readable on any background; panels do not make room."""
    effects = require("matplotlib.patheffects", extra="plot")
    artist.set_in_layout(False)
    artist.set_color("white" if light else "black")
    edge = "black" if light else "white"
    artist.set_path_effects([effects.withStroke(linewidth=2, foreground=edge)])


def _say(ax, text):
    ax.set_facecolor("0.95")
    ax.text(
        0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color="0.4"
    )


def _mark_target(ax, size):
    """Two ticks that point at the target and leave it free."""
    inner, outer = 0.06 * size, 0.13 * size
    ax.plot([-inner, -outer], [0, 0], color=_MARK, lw=1.3, gid="target")
    ax.plot([0, 0], [inner, outer], color=_MARK, lw=1.3, gid="target")


def _add_scale_bar(ax, size, *, color="black"):
    length = max((bar for bar in _BARS if bar <= size / 3), default=_BARS[0])
    label = f"{length:g}″" if length < 60 else f"{length / 60:g}′"
    light = color == "white"
    x = 0.45 * size  # axes run to the left
    (line,) = ax.plot([x, x - length], [-0.44 * size] * 2, lw=2, gid="scale bar")
    _outline(line, light=light)
    text = ax.text(x - length / 2, -0.42 * size, label, ha="center", va="bottom")
    _outline(text, light=light)


def _add_compass(ax, size, *, color="black"):
    x, y, length = -0.4 * size, -0.42 * size, 0.11 * size
    light = color == "white"
    for dx, dy, name in ((0, length, "N"), (length, 0, "E")):
        (line,) = ax.plot([x, x + dx], [y, y + dy], lw=1, gid="compass")
        _outline(line, light=light)
        text = ax.text(
            x + 1.4 * dx, y + 1.4 * dy, name, ha="center", va="center", size="small"
        )
        _outline(text, light=light)
