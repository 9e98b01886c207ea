"""Boxes and arrows, for pictures of how parts of the package work together."""

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

BLUE, GREEN, YELLOW = "#dbe9f6", "#e2f2dd", "#fdf0d0"
RED, GREY = "#f9dcd6", "#f0f0f0"


def new_diagram(width, height):
    """Create axes without ticks, in units of inches."""
    fig = plt.figure(figsize=(width, height))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.set_axis_off()
    return ax


def draw_box(ax, x, y, width, height, title, *lines, colour=GREY):
    """Draw a box around (x, y), with a title and lines of smaller text."""
    corner = (x - width / 2, y - height / 2)
    style = "round,pad=0,rounding_size=0.06"
    ax.add_patch(
        FancyBboxPatch(
            corner, width, height, boxstyle=style, fc=colour, ec="#555555", lw=0.8
        )
    )
    top = y + 0.09 * len(lines)
    ax.text(x, top, title, ha="center", va="center", fontsize=9, fontweight="bold")
    for i, line in enumerate(lines, 1):
        ax.text(x, top - 0.19 * i, line, ha="center", va="center", fontsize=8)


def draw_arrow(ax, start, end, label="", *, above=True):
    """Draw an arrow between two points, with a label at its middle."""
    arrow = {"arrowstyle": "-|>", "color": "#333333", "lw": 1.0, "shrinkA": 0}
    ax.annotate("", end, start, arrowprops=arrow | {"shrinkB": 0})
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    shift = 0.11 if above else -0.11
    ax.text(x, y + shift, label, ha="center", va="center", fontsize=7.5, style="italic")
