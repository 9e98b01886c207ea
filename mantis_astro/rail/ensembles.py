"""Ensembles of qp on the grid of redshifts that a pipeline of RAIL shares."""

import numpy as np

from mantis_astro import binned
from mantis_astro._optional import require
from mantis_astro.pdf_io import density_on_grid

__all__ = ["KINDS", "on_grid"]

#: Parameterizations of `on_grid`.
KINDS = ("interp", "hist")


def on_grid(pdf, z_min, z_max, n, *, kind):
    """
    Make a qp ensemble on a grid of redshifts.

    Parameters
    ----------
    pdf : `~mantis_astro.RedshiftPDF`
        Shape (n,).
    z_min, z_max : float
        First and last redshift.
    n : int
        Number of redshifts, or of bins.
    kind : {"interp", "hist"}
        Densities at even redshifts, which qp joins by straight lines; or even bins, of
        which all that qp computes is exact.

    Returns
    -------
    ensemble : `qp.Ensemble`
        Each density has an integral of 1 on the grid; uniform where all of a p(z) is
        beyond it.
    beyond : `~numpy.ndarray`
        How much of each p(z) is beyond the grid and was left out, shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.rail.ensembles import on_grid
    >>> pdf = RedshiftPDF([0.0, 1.0, 2.0], [[0.5, 0.5], [1.0, 0.0]])
    >>> ensemble, beyond = on_grid(pdf, 0, 1.5, 4, kind="interp")
    >>> beyond
    array([0.25, 0.  ])
    >>> np.trapezoid(ensemble.pdf(np.linspace(0, 1.5, 4)), dx=0.5)
    array([1., 1.])
    """
    qp = require("qp", extra="rail")
    probability = np.asarray(pdf.probability, float)
    if kind == "interp":
        z = np.linspace(z_min, z_max, n)
        density = density_on_grid(pdf.bin_edges, probability, z)
        inside = np.trapezoid(density, z)
    else:
        z = np.linspace(z_min, z_max, n + 1)
        density = probability @ binned.overlap(pdf.bin_edges, z) / np.diff(z)
        inside = density @ np.diff(z)
    nothing = inside < np.finfo(np.float32).eps
    density[nothing] = 1 / (z_max - z_min)
    density /= np.where(nothing, 1, inside)[:, None]
    names = ("xvals", "yvals") if kind == "interp" else ("bins", "pdfs")
    data = dict(zip(names, (z, density), strict=True))
    return qp.Ensemble(getattr(qp, kind), data=data), 1 - inside
