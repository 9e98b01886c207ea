"""
Scores of whole p(z), exact for densities that are constant within bins.

Every function takes p(z) as any object with ``bin_edges`` and ``probability``, such as
`~mantis_astro.RedshiftPDF`. Galaxies without z_spec (NaN, masked, or -1 and less, as
-99) are left out.
"""

import astropy.units as u
import numpy as np
from astropy.table import QTable

from mantis_astro import binned
from mantis_astro.binned import as_redshift, true_redshift
from mantis_astro.metrics.point import delta_z, mean, valid

__all__ = ["cde_loss", "coverage", "crps", "log_score", "object_scores", "pit"]

# Method of the p(z) for each point estimate.
#: Point estimates of p(z), and the methods that compute them.
POINTS = {"mean": "mean", "median": "median", "mode": "mode", "risk": "z_risk"}


def pit(pdf, z_spec):
    """
    Probability integral transform of each galaxy, ``cdf(z_spec)``.

    Parameters
    ----------
    pdf : RedshiftPDF
        Densities, shape (...).
    z_spec : array_like or `~astropy.units.Quantity`
        True redshifts, of the same shape.

    Returns
    -------
    ndarray
        From 0 to 1, of the same shape; NaN where there is no z_spec. As the density
        is constant within a bin, this is what others call "randomised within the bin
        of the truth", without the randomness.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.metrics import pit
    >>> pit(RedshiftPDF([0.0, 0.2, 0.6], [[0.5, 0.5], [0.5, 0.5]]), [0.1, 0.5])
    array([0.25 , 0.875])
    """
    return _score(_pit_rows, pdf, z_spec)


def coverage(pdf, z_spec, *, level):
    """
    Share of galaxies with z_spec in the central interval of p(z).

    Parameters
    ----------
    pdf : RedshiftPDF
        Densities, shape (...).
    z_spec : array_like or `~astropy.units.Quantity`
        True redshifts, of the same shape.
    level : float
        Probability that the interval holds; calibrated p(z) give the same share.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        If the level is not between 0 and 1, or the shapes differ.

    Examples
    --------
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.metrics import coverage
    >>> pdf = RedshiftPDF([0.0, 0.2, 0.6], [[0.5, 0.5], [0.5, 0.5]])
    >>> coverage(pdf, [0.1, 0.59], level=0.68)
    0.5
    """
    if not 0 < level < 1:
        msg = f"'level' must be between 0 and 1, got {level}"
        raise ValueError(msg)
    return share_within(valid(pit(pdf, z_spec)), level)


def crps(pdf, z_spec):
    """
    Mean continuous ranked probability score.

    ``CRPS = int (F(z) - 1[z >= z_spec])^2 dz``: the area between the cumulative
    distribution and the step at the truth. In units of redshift; lower is better; for
    a point estimate it is the absolute error.

    Parameters
    ----------
    pdf : RedshiftPDF
        Densities, shape (...).
    z_spec : array_like or `~astropy.units.Quantity`
        True redshifts, of the same shape.

    Returns
    -------
    float
        Mean score; `object_scores` has one for each galaxy.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Matheson & Winkler 1976; Gneiting & Raftery 2007, JASA 102, 359, section 4.2 (with
    the opposite sign).

    Examples
    --------
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.metrics import crps
    >>> round(crps(RedshiftPDF([0.0, 0.6], [1.0]), 0.3), 6)  # uniform: width / 12
    0.05
    """
    return mean(valid(_score(_crps_rows, pdf, z_spec)))


def cde_loss(pdf, z_spec):
    """
    Conditional density estimation loss, ``E[int f^2 dz] - 2 E[f(z_spec)]``.

    Parameters
    ----------
    pdf : RedshiftPDF
        Densities, shape (...).
    z_spec : array_like or `~astropy.units.Quantity`
        True redshifts, of the same shape.

    Returns
    -------
    float
        Mean over the galaxies, with densities per unit redshift; lower is better.
        Up to a constant it is the mean squared distance from the true densities.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Izbicki & Lee 2017, Electron. J. Statist. 11, 2800, equation 7.

    Examples
    --------
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.metrics import cde_loss
    >>> cde_loss(RedshiftPDF([0.0, 0.5], [1.0]), 0.3)  # f = 2: 2 - 2 * 2
    -2.0
    """
    return mean(valid(_score(_cde_rows, pdf, z_spec)))


def log_score(pdf, z_spec):
    """
    Mean natural logarithm of the density at the true redshift.

    Parameters
    ----------
    pdf : RedshiftPDF
        Densities, shape (...).
    z_spec : array_like or `~astropy.units.Quantity`
        True redshifts, of the same shape.

    Returns
    -------
    float
        Higher is better; minus infinity if a p(z) excludes its truth.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Good 1952, J. R. Stat. Soc. B 14, 107.

    Examples
    --------
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.metrics import log_score
    >>> round(log_score(RedshiftPDF([0.0, 0.5], [1.0]), 0.3), 4)  # ln 2
    0.6931
    """
    return mean(valid(_score(_log_rows, pdf, z_spec)))


def object_scores(pdf, z_spec, *, point="median"):
    """
    Compute the scores of each galaxy.

    Parameters
    ----------
    pdf : RedshiftPDF
        Densities, shape (n,).
    z_spec : array_like or `~astropy.units.Quantity`
        True redshifts, shape (n,); NaN or masked where there is none.
    point : str, optional
        Point estimate: ``"mean"``, ``"median"``, ``"mode"`` or ``"risk"``.

    Returns
    -------
    `~astropy.table.QTable`
        Columns ``z_phot``, ``z_spec``, ``delta_z``, ``pit``, ``crps``, ``cde_loss``
        and ``log_score``, a row for each galaxy; NaN where there is no z_spec.

    Raises
    ------
    ValueError
        If ``point`` is another word, or the shapes are not as said.

    Examples
    --------
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.metrics import object_scores
    >>> pdf = RedshiftPDF([0.0, 0.2, 0.6], [[0.5, 0.5], [0.2, 0.8]])
    >>> scores = object_scores(pdf, [0.1, 0.5])
    >>> scores["pit"]
    <Quantity [0.25, 0.8 ]>
    """
    if point not in POINTS:
        msg = f"'point' must be one of {', '.join(POINTS)}, got {point!r}"
        raise ValueError(msg)
    if np.ndim(pdf.probability) != 2:
        msg = (
            "'pdf' must be one-dimensional over galaxies, got shape "
            f"{np.shape(pdf.probability)[:-1]}"
        )
        raise ValueError(msg)
    z_phot, z_spec = as_redshift(getattr(pdf, POINTS[point])()), true_redshift(z_spec)
    columns = {
        "z_phot": z_phot,
        "z_spec": z_spec,
        "delta_z": delta_z(z_phot, z_spec),
        "pit": _score(_pit_rows, pdf, z_spec),
        "crps": _score(_crps_rows, pdf, z_spec),
        "cde_loss": _score(_cde_rows, pdf, z_spec),
        "log_score": _score(_log_rows, pdf, z_spec),
    }
    table = QTable({name: column * u.one for name, column in columns.items()})
    table.meta["point"] = point
    return table


def share_within(pit, level):
    """
    Share of PIT values that belong to truths in the central interval.

    Parameters
    ----------
    pit : ndarray
        PIT values without NaN, shape (n,).
    level : float
        Probability of the interval.

    Returns
    -------
    float
        Exact, as the cumulative distribution is continuous.
    """
    return mean(abs(pit - 0.5) <= level / 2)


def _score(rows_function, pdf, z_spec):
    """Score each galaxy, a block of rows at a time; NaN where there is no z_spec."""
    edges = as_redshift(pdf.bin_edges)
    probability = np.asarray(pdf.probability)
    z = true_redshift(z_spec)
    if z.shape != probability.shape[:-1]:
        msg = (
            f"'z_spec' must have one value for each p(z): expected shape "
            f"{probability.shape[:-1]}, got {z.shape}"
        )
        raise ValueError(msg)
    scores = binned.map_rows(
        lambda rows, z: rows_function(edges, rows, z), probability, z.ravel()
    )
    return np.where(np.isnan(z), np.nan, scores.reshape(z.shape))


def _pit_rows(edges, rows, z):
    return binned.cdf(edges, rows, z[:, None])[:, 0]


def _cde_rows(edges, rows, z):
    squared = np.einsum("ij,ij,j->i", rows, rows, 1 / np.diff(edges))
    return squared - 2 * binned.pdf(edges, rows, z[:, None])[:, 0]


def _log_rows(edges, rows, z):
    with np.errstate(divide="ignore"):  # no probability at the truth: minus infinity
        return np.log(binned.pdf(edges, rows, z[:, None])[:, 0])


def _crps_rows(edges, rows, z):
    """
    CRPS of piecewise linear cumulative distributions.

    With the truth t inside the range [z_0, z_n], expanding the square gives
    ``int F^2 + (z_n - t) - 2 int_t^{z_n} F``; beyond the range, the distance is added.
    """
    width = np.diff(edges)
    inside = np.clip(z, edges[0], edges[-1])
    bins = np.clip(np.searchsorted(edges, inside, "right") - 1, 0, len(width) - 1)
    total = binned.cumulative(rows)
    low, high = total[:, :-1], total[:, 1:]
    squared = np.einsum("ij,j->i", low * low + low * high + high * high, width / 3)
    areas = (low + high) * (width / 2)  # int F over each bin
    areas[np.arange(len(width)) <= bins[:, None]] = 0
    row = np.arange(len(rows))
    top = total[row, bins + 1]
    at_truth = binned.cdf(edges, rows, inside[:, None])[:, 0]
    above = areas.sum(axis=1) + (at_truth + top) / 2 * (edges[bins + 1] - inside)
    return squared + (edges[-1] - inside) - 2 * above + abs(z - inside)
