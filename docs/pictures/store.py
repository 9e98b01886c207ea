"""The files of a store: an index, and records of pixels one after the other."""

from matplotlib.patches import Rectangle
from pictures.boxes import BLUE, GREEN, YELLOW, draw_arrow, draw_box, new_diagram

ax = new_diagram(7.6, 2.5)
rows = [
    ("NGC 1", "ps1.g", "ok, file 0, byte 0"),
    ("NGC 1", "ps1.r", "ok, file 0, byte 115,954"),
    ("NGC 1", "galex.NUV", "no_coverage"),
    ("NGC 2", "ps1.g", "ok, file 0, byte 231,908"),
]
ax.text(0.15, 2.38, "manifest.sqlite", fontsize=9, fontweight="bold")
for i, cells in enumerate(rows):
    y = 1.95 - 0.3 * i
    ax.add_patch(Rectangle((0.15, y), 3.2, 0.3, fc=BLUE, ec="#555555", lw=0.8))
    for x, text in zip((0.22, 0.75, 1.52), cells, strict=True):
        ax.text(x, y + 0.15, text, fontsize=8, va="center")
ax.text(4.35, 2.38, "pixels-00000.bin", fontsize=9, fontweight="bold")
for y, name in ((1.95, "NGC 1 ps1.g"), (1.35, "NGC 1 ps1.r"), (0.75, "NGC 2 ps1.g")):
    ax.add_patch(Rectangle((4.35, y), 3.1, 0.25, fc=YELLOW, ec="#555555", lw=0.8))
    ax.add_patch(Rectangle((4.35, y - 0.35), 3.1, 0.35, fc=GREEN, ec="#555555", lw=0.8))
    ax.text(4.42, y + 0.12, f"JSON: {name}, WCS, unit", fontsize=8, va="center")
    ax.text(4.42, y - 0.18, "pixels, mask, uncertainty", fontsize=8, va="center")
for start, end in ((2.1, 2.08), (1.8, 1.48), (1.2, 0.88)):
    draw_arrow(ax, (3.35, start), (4.35, end))
draw_box(
    ax, 1.75, 0.4, 3.2, 0.44, "add()", "1. pixels to disk   2. rows of the manifest"
)
