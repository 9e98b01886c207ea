"""
Pictures of cutouts, of p(z) and of their accuracy.

Functions take matplotlib axes and return them. Without any, they draw on a figure of
their own that pyplot does not know of; it is the ``figure`` attribute of the axes.
"""

from mantis_astro.plotting.calibration import plot_attribution, plot_recalibration
from mantis_astro.plotting.densities import plot_pdf, plot_pit
from mantis_astro.plotting.images import plot_cutouts, plot_rgb
from mantis_astro.plotting.redshifts import plot_nz, plot_zz
from mantis_astro.plotting.samples import plot_corner
from mantis_astro.plotting.shift import plot_shift
from mantis_astro.plotting.table_view import show_redshifts
from mantis_astro.plotting.training import plot_training

__all__ = [
    "plot_attribution",
    "plot_corner",
    "plot_cutouts",
    "plot_nz",
    "plot_pdf",
    "plot_pit",
    "plot_recalibration",
    "plot_rgb",
    "plot_shift",
    "plot_training",
    "plot_zz",
    "show_redshifts",
]
