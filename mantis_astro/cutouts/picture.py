"""Small pictures of cutouts for notebooks, as PNG in HTML."""

import base64
import struct
import zlib
from html import escape

import numpy as np

__all__ = ["encode_png", "make_html"]

_SIDE = 96  # pixels of the screen
_SOFTENING = 3.0  # noises up to which brightness is about linear


def encode_png(grey):
    """
    Write a grey picture as PNG.

    Parameters
    ----------
    grey : `~numpy.ndarray`
        Shape (ny, nx), uint8, the first row at the top.

    Returns
    -------
    bytes
        The content of a file.
    """
    ny, nx = grey.shape
    rows = np.concatenate([np.zeros((ny, 1), np.uint8), grey], axis=1)  # no filter
    header = struct.pack(">2I5B", nx, ny, 8, 0, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(rows.tobytes()), b"IEND": b""}
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks.items():
        check = struct.pack(">I", zlib.crc32(kind + data))
        content += struct.pack(">I", len(data)) + kind + data + check
    return content


def make_html(cutouts):
    """
    Create the notebook display: the position, and a picture of each band.

    Parameters
    ----------
    cutouts : MultibandCutout
        The images, shown as they are stored, dark on light.

    Returns
    -------
    str
        HTML.
    """
    where = escape(cutouts.coord.icrs.to_string("hmsdms", precision=1))
    title = f"<code>{escape(type(cutouts).__name__)}</code> at {where}"
    figures = "".join(_figure(band, cutout) for band, cutout in cutouts.items())
    return f"<div>{title}<br/>{figures or 'no bands'}</div>"


def _figure(band, cutout):
    """Draw one band under its name."""
    picture = base64.b64encode(encode_png(_grey(cutout))).decode()
    name = escape(str(band))
    size = f'width="{_SIDE}" height="{_SIDE}"'
    style = "image-rendering:pixelated;object-fit:contain"
    return (
        '<span style="display:inline-block;margin:2px;text-align:center">'
        f'<img src="data:image/png;base64,{picture}" alt="{name}" {size} '
        f'style="{style}"/><br/><small>{name}</small></span>'
    )


def _grey(cutout):
    """Stretch pixels by the noise of the sky; the sky light, a source dark."""
    data = np.array(cutout.data, float)
    if cutout.mask is not None:
        data[np.broadcast_to(cutout.mask, data.shape)] = np.nan
    good = data[np.isfinite(data)]
    if not good.size:
        return np.full(data.shape, 255, np.uint8)
    level = np.median(good)
    noise = 1.4826 * np.median(np.abs(good - level)) or good.std() or 1.0
    stretched = np.arcsinh((data - level) / (_SOFTENING * noise))
    low = np.arcsinh(-1 / 2)
    high = max(np.nanpercentile(stretched, 99.8), np.arcsinh(4.0))
    shade = np.clip((stretched - low) / (high - low), 0, 1)
    return np.round(255 * (1 - np.nan_to_num(shade)))[::-1].astype(np.uint8)
