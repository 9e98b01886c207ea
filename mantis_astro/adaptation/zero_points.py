"""Zero points of a sample that make its colours possible, without redshifts."""

import logging
from dataclasses import dataclass

import astropy.units as u
import numpy as np
import torch
from astropy.table import QTable

from mantis_astro.adaptation.expected_bands import ExpectedBands, asinh_magnitudes
from mantis_astro.bands import get_band, get_bands
from mantis_astro.exceptions import InputSpecError
from mantis_astro.extinction import extinction_coefficients
from mantis_astro.fluxes import POGSON, flux_columns
from mantis_astro.simulation.photometry.sources import KINDS, draw_sources

__all__ = ["ZeroPoints", "fit_zero_points"]

log = logging.getLogger(__name__)

_FEWEST = 50  # galaxies
_FEWEST_BANDS = 3  # of a galaxy that tells anything
_PRIOR = 0.1  # mag, of a zero point
_SCATTER = 0.02  # part of the flux, that simulated measurements err beside their errors
_STEP = 0.02  # mag, for slopes
_ROUNDS = 4
_UNUSUAL = 0.25  # share of galaxies of a magnitude that a sample may be like
_NEAR = 100  # galaxies next in magnitude, of which one is taken
_AS_BRIGHT = 200  # simulated galaxies among which one is nearer or farther than usual

#: Key of a table's meta that says that zero points were applied.
_APPLIED = "FLUXZERO"


@dataclass(frozen=True, eq=False)
class ZeroPoints:
    """
    Offsets of the magnitudes of a sample, and errors missing from its bands.

    Attributes
    ----------
    bands : tuple of Band
        The bands.
    offset : `~astropy.units.Quantity`
        What each band's magnitudes are too faint by, mag, shape (n_band,).
    offset_err : `~astropy.units.Quantity`
        Their errors, mag: of the sample's size, of simulated colours
        (``systematic``), and of a sample of galaxies nearer or farther than usual.
    scatter : `~numpy.ndarray`
        Error of a flux beside that of the catalogue, as a part of the flux; 0 where
        the sample scatters no more than simulated galaxies do.
    n : `~numpy.ndarray` of int
        Galaxies with a flux and an error in each band.
    reference : tuple of Band
        Bands whose mean offset is 0 by definition: colours do not tell what all bands
        have in common.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.table import QTable
    >>> from mantis_astro.adaptation import ZeroPoints
    >>> from mantis_astro.bands import get_bands
    >>> bands = get_bands(["ps1.g", "ps1.r"])
    >>> offset, error = [0.1, -0.1] * u.mag, [0.02, 0.02] * u.mag
    >>> points = ZeroPoints(bands, offset, error, [0.03, 0.03], [90, 90], bands)
    >>> print(points)
     band offset offset_err scatter  n
           mag      mag
    ----- ------ ---------- ------- ---
    ps1.g  0.100      0.020   0.030  90
    ps1.r -0.100      0.020   0.030  90
    """

    bands: tuple
    offset: u.Quantity
    offset_err: u.Quantity
    scatter: np.ndarray
    n: np.ndarray
    reference: tuple

    def __str__(self):
        return "\n".join(line.rstrip() for line in self.to_table().pformat(-1, -1))

    def to_table(self):
        """
        Return the offsets as a table.

        Returns
        -------
        `~astropy.table.QTable`
            A row for each band: ``band``, ``offset``, ``offset_err``, ``scatter``,
            ``n``.
        """
        table = QTable(
            {
                "band": [str(band) for band in self.bands],
                "offset": self.offset,
                "offset_err": self.offset_err,
                "scatter": self.scatter,
                "n": self.n,
            }
        )
        for name in ("offset", "offset_err", "scatter"):
            table[name].info.format = ".3f"
        return table

    def apply(self, table, *, scatter=False, n_sigma=0.0):
        """
        Correct the fluxes of a table.

        Parameters
        ----------
        table : `~astropy.table.Table`
            With columns of fluxes in the bands; others stay as they are.
        scatter : bool, optional
            Whether to add ``scatter`` to the errors, in quadrature.
        n_sigma : float, optional
            Offsets of less than as many of their errors are not applied.

        Returns
        -------
        `~astropy.table.Table`
            A copy, whose meta says what was applied.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if zero points were applied to the
            table before, or it has no column of these bands.

        Examples
        --------
        >>> import astropy.units as u
        >>> from astropy.table import QTable
        >>> from mantis_astro.adaptation import ZeroPoints
        >>> from mantis_astro.bands import get_bands
        >>> bands = get_bands(["ps1.g"])
        >>> points = ZeroPoints(
        ...     bands, [0.1] * u.mag, [0.02] * u.mag, [0.03], [90], bands
        ... )
        >>> points.apply(QTable({"flux_ps1_g": [100.0] * u.nJy}))["flux_ps1_g"].round(1)
        <Quantity [109.6] nJy>
        """
        if table.meta.get(_APPLIED):
            msg = f"zero points were applied to the table: {table.meta[_APPLIED]}"
            raise InputSpecError(msg)
        table, applied = table.copy(), []
        for band, offset, error, extra in zip(
            self.bands,
            self.offset.to_value(u.mag),
            self.offset_err.to_value(u.mag),
            self.scatter,
            strict=True,
        ):
            flux, flux_err = flux_columns(band)
            if flux not in table.colnames:
                continue
            used = offset if abs(offset) >= n_sigma * error else 0.0
            applied.append(f"{band} {used:+.4f}")
            for name in {flux, flux_err} & {*table.colnames}:
                table[name] = _brighter(table[name], used)
            if scatter and flux_err in table.colnames:
                table[flux_err] = _in_quadrature(
                    table[flux_err], extra * abs(table[flux])
                )
        if not applied:
            names = ", ".join(flux_columns(band)[0] for band in self.bands)
            msg = f"'table' has none of the columns {names}"
            raise InputSpecError(msg)
        table.meta[_APPLIED] = ", ".join(applied)
        return table


def _brighter(column, magnitude):
    """Make fluxes brighter, whatever the class of the column."""
    if not isinstance(column.unit, u.UnitBase):
        msg = (
            f"column '{column.info.name}' is in {column.unit}: zero points are applied "
            "to fluxes, as read_photometry makes them"
        )
        raise InputSpecError(msg)
    return column * 10 ** (0.4 * magnitude)


def _in_quadrature(error, other):
    return (error**2 + other**2) ** 0.5


def fit_zero_points(
    fluxes,
    *,
    ebv=None,
    reference=None,
    n_galaxies=5000,
    n_library=20000,
    systematic=0.02,
    rng=0,
):
    """
    Fit offsets of magnitudes that make a sample look like simulated galaxies.

    Parameters
    ----------
    fluxes : `~mantis_astro.fluxes.Fluxes`
        Fluxes and errors of the sample, in any bands.
    ebv : array_like, optional
        E(B-V) in magnitudes, shape (n,) or a number, by which the fluxes are not
        corrected yet; NaN or None where none is to be taken off.
    reference : iterable of Band or str, optional
        Bands whose mean offset is 0; by default all, each with the same weight.
    n_galaxies : int, optional
        Galaxies of the sample that are used at most, chosen at random.
    n_library : int, optional
        Simulated galaxies that say what bands show.
    systematic : float, optional
        Error of the simulated galaxies' colours, mag; by default that of templates.
    rng : int or `~numpy.random.Generator`, optional
        Which galaxies are used, and which are simulated.

    Returns
    -------
    ZeroPoints
        Offsets with errors.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if fewer than 50 galaxies have three
        bands with errors, or ``reference`` names other bands.
    ImportError
        If kcorrect, whose templates simulated galaxies are made of, is not installed.

    Notes
    -----
    Simulated galaxies and quasars are as bright as those of the sample, with the same
    errors and the same missing bands. From them a small network learns to predict each
    band from the others. The zero points are those with which the sample differs from
    its predictions as simulated galaxies do, in the mean of each band; they have a
    prior of 0.1 mag about 0.

    What the whole sample has in common with errors of the templates, of some 0.02 mag
    (more in the ultraviolet), is taken for a zero point, too. So is what makes a sample
    unlike the sky, if it is picked by colour or, as radio galaxies, by luminosity:
    before offsets are applied, redshifts of a few galaxies should say that they help.
    """
    rng = np.random.default_rng(rng)
    flux, error = _without_dust(fluxes, ebv)
    usable = np.isfinite(flux) & (error > 0)
    there = usable.sum(axis=0) >= _FEWEST
    rows = np.flatnonzero(usable[:, there].sum(axis=1) >= _FEWEST_BANDS)
    if len(rows) < _FEWEST:
        msg = (
            f"zero points need {_FEWEST} galaxies with fluxes and errors in "
            f"{_FEWEST_BANDS} bands, got {(usable.sum(axis=1) >= _FEWEST_BANDS).sum()}"
        )
        raise InputSpecError(msg)
    bands = tuple(b for b, kept in zip(fluxes.bands, there, strict=True) if kept)
    is_reference = _find(reference, bands)
    rows = np.sort(rng.permutation(rows)[:n_galaxies])
    flux, error = (
        np.where(usable, x, np.nan)[np.ix_(rows, np.flatnonzero(there))]
        for x in (flux, error)
    )
    simulated = _simulate(bands, flux, error, n_library, rng)
    offset, covariance, scatter = _fit((flux, error), simulated, systematic, rng)
    turn = np.eye(len(bands)) - is_reference / is_reference.sum()  # to the reference
    offset, covariance = turn @ offset, turn @ covariance @ turn.T
    return ZeroPoints(
        bands,
        offset * u.mag,
        np.sqrt(np.diag(covariance)) * u.mag,
        scatter,
        np.isfinite(flux).sum(axis=0),
        tuple(b for b, chosen in zip(bands, is_reference, strict=True) if chosen),
    )


def _without_dust(fluxes, ebv):
    flux, error = fluxes.flux, fluxes.flux_err
    if ebv is None:
        return flux, error
    per_ebv = np.array([*extinction_coefficients(fluxes.bands).values()])
    ebv = np.broadcast_to(np.nan_to_num(np.asarray(ebv, float)), len(fluxes))
    clear = 10 ** (0.4 * ebv[:, None] * per_ebv)
    return flux * clear, error * clear


def _find(reference, bands):
    """Return the indices of the reference bands."""
    if reference is None:
        return np.ones(len(bands))
    reference = get_bands([reference] if isinstance(reference, str) else reference)
    unknown = [str(band) for band in reference if band not in bands]
    if unknown or not reference:
        msg = (
            f"'reference' must name some of {', '.join(map(str, bands))}; got "
            f"{', '.join(unknown) or 'none'}"
        )
        raise InputSpecError(msg)
    return np.array([float(band in reference) for band in bands])


def _simulate(bands, flux, error, n, rng):
    """Fluxes and errors of simulated sources, as they would be in the catalogue."""
    curves = [get_band(band).sedpy_name for band in bands]
    names = tuple(dict.fromkeys(curves))
    sources = draw_sources(2 * n, seed=int(rng.integers(2**31)), filters=names)
    sources = sources[sources.kind != KINDS.index("star")]
    true = sources.flux[:, [names.index(curve) for curve in curves]]
    like = rng.integers(len(flux), size=n)  # rows whose errors they have
    best = np.nan_to_num(flux / error, nan=-np.inf).argmax(axis=1)[like]
    chosen = np.empty(n, int)
    for band in np.unique(best):
        rows = np.flatnonzero(best == band)
        order = np.argsort(true[:, band])
        place = np.searchsorted(true[order, band], flux[like[rows], band])
        place += rng.integers(-_NEAR, _NEAR + 1, len(rows))
        chosen[rows] = order[np.clip(place, 0, len(order) - 1)]
    drawn, sigma = true[chosen], error[like]
    drawn = drawn * (1 + _SCATTER * rng.standard_normal(drawn.shape))
    farther = _rank_at_brightness(sources.z[chosen], flux[like, best])
    return drawn + sigma * rng.standard_normal(drawn.shape), sigma, farther


def _rank_at_brightness(z, flux):
    """Rank of each redshift among those of sources as bright, from 0 to 1."""
    rank = np.empty(len(z))
    by_flux = np.argsort(flux)
    for rows in np.array_split(by_flux, max(len(z) // _AS_BRIGHT, 1)):
        rank[rows] = z[rows].argsort().argsort() / len(rows)
    return rank


def _fit(sample, simulated, systematic, rng):
    """Offsets, their covariance, and scatter."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    *simulated, farther = simulated
    magnitude, error, shown = _magnitudes(*simulated)
    n_band, n_fit = magnitude.shape[1], len(magnitude) * 4 // 5
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        network = ExpectedBands(n_band)
    learnt, kept = slice(None, n_fit), slice(n_fit, None)
    network.learn(magnitude[learnt], error[learnt], shown[learnt], generator=generator)
    ideal = network.residuals(magnitude[kept], error[kept], shown[kept])
    expected, width = _centre_and_width(ideal)
    unlike = _of_other_samples(ideal, farther[kept], expected)
    magnitude, error, shown = _magnitudes(*sample)
    offset = np.zeros(n_band)

    def away(offset):
        moved = magnitude - torch.tensor(offset, dtype=magnitude.dtype)
        return network.residuals(moved, error, shown)

    for _ in range(_ROUNDS):
        found = away(offset)
        centre, sample_width = _centre_and_width(found)
        slopes = np.stack(
            [
                (centre - _centre_and_width(away(offset + step))[0]) / _STEP
                for step in _STEP * np.eye(n_band)
            ],
            axis=1,
        )  # by how much each centre falls
        n = np.isfinite(found.numpy()).sum(axis=0).clip(1)
        noise = _covariance(found.numpy(), centre, sample_width) / n.min()
        noise += np.diag(width**2 / len(ideal) + systematic**2) + unlike
        precision = slopes.T @ np.linalg.solve(noise, slopes)
        covariance = np.linalg.inv(precision + np.eye(n_band) / _PRIOR**2)
        pull = slopes.T @ np.linalg.solve(noise, centre - expected)
        offset = offset + covariance @ (pull - offset / _PRIOR**2)
    more = np.sqrt(np.maximum(sample_width**2 - width**2, 0)) / POGSON
    return offset, covariance, more


def _of_other_samples(ideal, farther, expected):
    """
    Covariance of the mean residuals of samples that are nearer or farther than usual.

    A sample may be picked by colour or luminosity, and bands then differ from what they
    are expected to show as zero points would have it.
    """
    parts = ideal[farther < _UNUSUAL], ideal[farther >= 1 - _UNUSUAL]
    away = [_centre_and_width(part)[0] - expected for part in parts]
    return np.mean([np.outer(x, x) for x in away], axis=0)


def _magnitudes(flux, error):
    shown = torch.from_numpy(np.isfinite(flux) & (error > 0))
    flux, error = (torch.from_numpy(np.asarray(x, np.float32)) for x in (flux, error))
    magnitude, magnitude_err = asinh_magnitudes(flux, error)
    return magnitude, magnitude_err, shown


def _centre_and_width(residuals):
    """Mean without the tails, and the scatter of its core, for each band."""
    values = residuals.double().numpy()
    middle = np.nanmedian(values, axis=0)
    width = 1.4826 * np.nanmedian(np.abs(values - middle), axis=0)
    clipped = np.clip(values, middle - 2 * width, middle + 2 * width)
    return np.nanmean(clipped, axis=0), width


def _covariance(residuals, centre, width):
    """Covariance of one galaxy's residuals without their tails."""
    core = np.clip((residuals - centre) / width, -2, 2)
    core = np.nan_to_num(core)
    shared = (core != 0).T.astype(float) @ (core != 0)
    return (core.T @ core) / shared.clip(1) * np.outer(width, width)
