"""The steps of fetch_file."""

from pictures.boxes import BLUE, GREEN, YELLOW, draw_arrow, draw_box, new_diagram

ax = new_diagram(7.8, 2.2)
top, low = 1.5, 0.35
size = (1.45, 0.72)
draw_box(ax, 0.85, top, *size, "cache folder", "verified file", "there?", colour=BLUE)
draw_box(
    ax, 3.0, top, *size, "download", "temporary file,", "byte ranges", colour=YELLOW
)
draw_box(ax, 5.0, top, *size, "verification", "size and", "SHA-256", colour=YELLOW)
draw_box(ax, 6.98, top, *size, "path", "file has its", "own name", colour=GREEN)
draw_box(ax, 4.0, low, 3.45, 0.5, "FetchError", "expected, received, kept, what to do")
draw_arrow(ax, (1.58, top), (2.27, top), "no")
draw_arrow(ax, (3.73, top), (4.27, top))
draw_arrow(ax, (5.73, top), (6.25, top))
draw_arrow(ax, (3.0, top - 0.36), (3.0, low + 0.25))
draw_arrow(ax, (5.0, top - 0.36), (5.0, low + 0.25))
ax.plot([0.85, 0.85, 6.98], [top + 0.36, 2.05, 2.05], color="#333333", lw=1.0)
draw_arrow(ax, (6.98, 2.05), (6.98, top + 0.36))
ax.text(1.9, 2.1, "yes", fontsize=7.5, style="italic", ha="center")
