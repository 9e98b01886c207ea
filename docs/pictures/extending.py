"""Additions of one's own, at the step from sky to p(z) where each belongs."""

from pictures.boxes import BLUE, GREEN, YELLOW, draw_arrow, draw_box, new_diagram

ax = new_diagram(8.0, 1.65)
y = 1.38
steps = {
    1.0: ("cutouts", BLUE, "survey", "server", "source of cutouts", "instrument"),
    2.9: ("fluxes", BLUE, "filter", "catalogue's columns", "simulated galaxies"),
    4.7: ("network", GREEN, "head", "set of encoders", "stretch of pixels", "loss"),
    6.2: ("p(z)", YELLOW, "metric"),
    7.4: ("fit", YELLOW, "prior target"),
}
for x, (title, colour, *additions) in steps.items():
    width = 1.0 if x > 5 else 1.4
    draw_box(ax, x, y, width, 0.46, title, colour=colour)
    for i, addition in enumerate(additions):
        ax.text(x, 0.96 - 0.25 * i, f"+ {addition}", ha="center", fontsize=8.5)
draw_arrow(ax, (1.7, y), (2.2, y))
draw_arrow(ax, (3.6, y), (4.0, y))
draw_arrow(ax, (5.4, y), (5.7, y))
draw_arrow(ax, (6.7, y), (6.9, y))
