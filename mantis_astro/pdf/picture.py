"""Small pictures of densities for notebooks, as SVG text."""

import numpy as np

from mantis_astro.flags import Flag

__all__ = ["draw_sparkline", "draw_svg", "make_html"]

N_ROWS = 5  # galaxies shown of an array
N_COLUMNS = 120  # columns drawn of the density
WIDTH, HEIGHT, FOOT = 240, 60, 14
SPARK_WIDTH, SPARK_HEIGHT = 120, 24
_NO_DATA = '<span style="opacity:0.6">no data</span>'


def draw_svg(pdf):
    """
    Picture of one density: its curve, median and central 68 % interval.

    Parameters
    ----------
    pdf : RedshiftPDF
        One galaxy.

    Returns
    -------
    str
        An ``<svg>`` element that takes the colour of the text around it; words for
        what is flagged ``NO_DATA``.
    """
    if pdf.flags & int(Flag.NO_DATA):
        return _NO_DATA
    first, last = pdf.bin_edges[[0, -1]]
    outline = _outline(pdf, first, last, WIDTH, HEIGHT)
    quantiles = (pdf.to_quantiles([0.16, 0.5, 0.84]).value - first) / (last - first)
    low, median, high = quantiles * WIDTH
    text = '<text y="{y}" x="{x}" text-anchor="{side}">{label}</text>'
    y_text = HEIGHT + FOOT - 3
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
        f'height="{HEIGHT + FOOT}" viewBox="0 0 {WIDTH} {HEIGHT + FOOT}" '
        'role="img" aria-label="p(z)" font-family="sans-serif" font-size="10" '
        'fill="currentColor">'
        f'<rect x="{low:.4g}" width="{high - low:.3g}" height="{HEIGHT}" '
        'fill="#4477aa" fill-opacity="0.25"/>'
        f'<polygon points="0,{HEIGHT} {outline} {WIDTH},{HEIGHT}" '
        'fill="#4477aa" stroke="#4477aa" stroke-width="0.5"/>'
        f'<path d="M{median:.4g} 0V{HEIGHT}" stroke="#ee6677"/>'
        f'<path d="M0 {HEIGHT}H{WIDTH}" stroke="currentColor"/>'
        + text.format(y=y_text, x=0, side="start", label=f"{first:.3g}")
        + text.format(y=y_text, x=WIDTH, side="end", label=f"{last:.3g}")
        + text.format(y=y_text, x=WIDTH / 2, side="middle", label="z")
        + "</svg>"
    )


def draw_sparkline(pdf, limits=None):
    """
    Picture of one density, as small as a word.

    Parameters
    ----------
    pdf : RedshiftPDF
        One galaxy.
    limits : tuple of float, optional
        Redshifts from left to right; by default all.

    Returns
    -------
    str
        An ``<svg>`` element; words for what is flagged ``NO_DATA``.
    """
    if pdf.flags & int(Flag.NO_DATA):
        return _NO_DATA
    first, last = pdf.bin_edges[[0, -1]] if limits is None else limits
    outline = _outline(pdf, first, last, SPARK_WIDTH, SPARK_HEIGHT)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SPARK_WIDTH}" '
        f'height="{SPARK_HEIGHT}" role="img" aria-label="p(z)">'
        f'<polygon points="0,{SPARK_HEIGHT} {outline} {SPARK_WIDTH},{SPARK_HEIGHT}" '
        'fill="#4477aa"/></svg>'
    )


def _outline(pdf, first, last, width, height):
    """Write the corners of a density, as SVG has them."""
    grid = np.linspace(first, last, N_COLUMNS + 1)
    values = np.diff(pdf.cdf(grid).value)
    y = np.repeat(height - (height - 2) * values / (values.max() or 1), 2)
    x = np.repeat(np.linspace(0, width, N_COLUMNS + 1), 2)[1:-1]
    return " ".join(f"{a:.4g},{b:.3g}" for a, b in zip(x, y, strict=True))


def make_html(pdf):
    """
    Create the notebook display: a picture of each of the first galaxies.

    Parameters
    ----------
    pdf : RedshiftPDF
        Any number of galaxies.

    Returns
    -------
    str
        HTML.
    """
    from html import escape

    title = f"<code>{escape(repr(pdf))}</code>"
    if pdf.isscalar:
        return f"<div>{title}<br/>{draw_svg(pdf)}</div>"
    rows = []
    for index in list(np.ndindex(pdf.shape))[:N_ROWS]:
        one = pdf[index]
        label = escape(f"[{', '.join(map(str, index))}]")
        rows.append(
            f"<tr><td>{label}</td><td>{draw_svg(one)}</td>"
            f"<td>{escape(one.summary())}</td></tr>"
        )
    more = pdf.size - len(rows)
    tail = f"<tr><td>...</td><td>{more} more</td><td></td></tr>" if more else ""
    return f"<div>{title}<table>{''.join(rows)}{tail}</table></div>"
