"""Stages of a RAIL pipeline: the informer, the estimator, and their neighbours."""

from pictures.boxes import BLUE, GREEN, GREY, YELLOW, draw_arrow, draw_box, new_diagram

ax = new_diagram(7.8, 2.2)
top, low = 1.72, 0.5
small, wide = (1.45, 0.72), (1.75, 0.72)
draw_box(
    ax, 0.85, top, *small, "training set", "magnitudes and", "redshifts", colour=BLUE
)
draw_box(
    ax,
    3.0,
    top,
    *wide,
    "AnyBandInformer",
    "finetune, refit,",
    "adapt or none",
    colour=GREEN,
)
draw_box(
    ax, 5.3, top, *wide, "model", "weights and card,", "safetensors", colour=YELLOW
)
draw_box(ax, 0.85, low, *small, "catalogue", "magnitudes", colour=BLUE)
draw_box(ax, 3.0, low, *wide, "AnyBandEstimator", "p(z) on RAIL's grid", colour=GREEN)
draw_box(ax, 5.3, low, *wide, "qp.Ensemble", "p(z), flags,", "ood_score", colour=YELLOW)
draw_box(ax, 7.05, low, 1.2, 0.72, "RAIL", "evaluators,", "n(z)", colour=GREY)
draw_arrow(ax, (1.58, top), (2.12, top))
draw_arrow(ax, (3.88, top), (4.42, top))
draw_arrow(ax, (5.3, top - 0.36), (3.3, low + 0.36))
draw_arrow(ax, (1.58, low), (2.12, low))
draw_arrow(ax, (3.88, low), (4.42, low))
draw_arrow(ax, (6.18, low), (6.44, low))
