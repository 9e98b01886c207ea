"""Gaussian p(z) that are wrong in a known way."""

from dataclasses import dataclass

import numpy as np

from mantis_astro import RedshiftPDF

EDGES = np.r_[0, 0.008 * np.arange(199) + 0.004, 1.6]  # the first bin is half as wide


@dataclass(frozen=True)
class Toy:
    """
    Galaxies, what is said of them and what is true of them.

    Attributes
    ----------
    pdf, truth : RedshiftPDF
        P(z) with wrong widths and places, and the true ones.
    z_spec, magnitude : ndarray
        Drawn from the true p(z); what the errors depend on.
    """

    pdf: RedshiftPDF
    truth: RedshiftPDF
    z_spec: np.ndarray
    magnitude: np.ndarray

    def __getitem__(self, some):
        return Toy(
            self.pdf[some], self.truth[some], self.z_spec[some], self.magnitude[some]
        )


def make_toy(
    n, *, seed, width=1.0, bias=0.0, by_magnitude=0.0, outliers=0.0, floor=1e-3
):
    """
    Draw a sample.

    Parameters
    ----------
    n, seed : int
        Number of galaxies, and of the sample.
    width, bias : float
        Stated width over the true one, and offset in true widths.
    by_magnitude : float
        Log of the width ratio, and bias, at the faint end; the opposite at the bright.
    outliers, floor : float
        Share of redshifts that are uniform, and the share that is stated to be.
    """
    rng = np.random.default_rng(seed)
    magnitude = rng.uniform(16, 22, n)
    faint = (magnitude - 19) / 3
    centre = rng.uniform(0.4, 1.05, n)
    sigma = (0.02 + 0.01 * (faint + 1)) * (1 + centre)
    z_spec = rng.normal(centre, sigma)  # both ends are six sigma away
    out = rng.random(n) < outliers
    z_spec[out] = rng.uniform(0, 1.6, out.sum())
    offset = (bias + by_magnitude * faint) * sigma
    stated = width * np.exp(by_magnitude * faint) * sigma
    flat = np.diff(EDGES) / 1.6
    core = RedshiftPDF.from_gaussians(EDGES, centre, sigma).probability
    pdf = RedshiftPDF.from_gaussians(EDGES, centre + offset, stated).probability
    return Toy(
        RedshiftPDF(EDGES, ((1 - floor) * pdf + floor * flat).astype(np.float32)),
        RedshiftPDF(EDGES, (1 - outliers) * core + outliers * flat),
        z_spec,
        magnitude,
    )
