"""From positions and catalogues to p(z) and priors: objects, and rooms between them."""

from pictures.boxes import BLUE, GREEN, RED, YELLOW, draw_arrow, draw_box, new_diagram

ax = new_diagram(8.8, 2.6)
top, low = 2.0, 0.5
for x, y, name in (
    (0.75, top, "SkyCoord"),
    (4.35, top, "MultibandCutout"),
    (8.0, top, "RedshiftPDF"),
    (0.75, low, "catalogue"),
    (4.35, low, "table of fluxes"),
    (8.0, low, "prior, table"),
):
    draw_box(ax, x, y, 1.4, 0.5, name, colour=YELLOW)
draw_box(ax, 2.5, top, 1.3, 0.7, "source", "services, store,", "simulation", colour=RED)
draw_box(ax, 2.5, low, 1.3, 0.5, "columns", "catalogs, fluxes", colour=BLUE)
draw_box(ax, 4.35, 1.25, 1.4, 0.46, "apertures", "photometry", colour=BLUE)
draw_box(
    ax,
    6.2,
    top,
    1.5,
    0.7,
    "network",
    "models, prediction,",
    "calibration",
    colour=GREEN,
)
draw_box(ax, 8.0, 1.25, 1.4, 0.46, "hand-off", "priors, redshift_table", colour=BLUE)
for start, end in (
    ((1.45, top), (1.85, top)),
    ((3.15, top), (3.65, top)),
    ((5.05, top), (5.45, top)),
    ((6.95, top), (7.3, top)),
    ((1.45, low), (1.85, low)),
    ((3.15, low), (3.65, low)),
    ((4.35, top - 0.25), (4.35, 1.48)),
    ((4.35, 1.02), (4.35, low + 0.25)),
    ((8.0, top - 0.25), (8.0, 1.48)),
    ((8.0, 1.02), (8.0, low + 0.25)),
    ((5.05, low), (6.2, top - 0.35)),
):
    draw_arrow(ax, start, end)
