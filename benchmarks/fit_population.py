"""
Derive the spectra of the simulated galaxies from real ones.

Mixtures of dusty kcorrect templates, without negative parts, are fitted to the
photometry of galaxies with spectroscopic redshifts: SDSS, 2MASS and GALEX for nearby
ones, zCOSMOS for distant ones. What is written (``mantis_astro/data/galaxies.npz``) is
the coefficients alone, with redshift, luminosity and colour of each fit; no row of a
catalogue can be had back from it.

Only rows of fold 0 of `real_catalogs` are used, so that fold 1 of each table can be
held out; the Stripe 82 table is fitted to see what the templates miss, and not used.

Run: python benchmarks/fit_population.py [../shared/data]
"""

import sys
from pathlib import Path

import numpy as np
from real_catalogs import (
    REAL_DATA,
    magnitudes,
    read_sdss,
    read_stripe82,
    read_zcosmos,
)
from scipy.optimize import nnls

from mantis_astro.bands import get_band
from mantis_astro.extinction import extinction_coefficients
from mantis_astro.simulation.population.counts import COSMOLOGY
from mantis_astro.simulation.population.templates import N_STELLAR, TemplateGrid

OUTPUT = Path(__file__).parents[1] / "mantis_astro" / "data" / "galaxies.npz"
SEED = 20261125
WORST = 3.0  # chi-square per band of a donor, with the errors below

# Least error of a band, mag: what zero points and templates leave
SDSS = {
    "galex.NUV": 0.12,
    "galex.FUV": 0.15,
    "sdss.u": 0.05,
    "sdss.g": 0.02,
    "sdss.r": 0.02,
    "sdss.i": 0.02,
    "sdss.z": 0.02,
    "twomass.J": 0.08,
    "twomass.H": 0.08,
    "twomass.Ks": 0.08,
}
ZCOSMOS = {
    "galex.NUV": 0.15,
    "galex.FUV": 0.20,
    "cosmos.u": 0.05,
    "cosmos.B": 0.04,
    "cosmos.V": 0.04,
    "cosmos.r": 0.03,
    "cosmos.i": 0.03,
    "cosmos.z": 0.03,
    "cosmos.J": 0.05,
    "cosmos.K": 0.05,
}
STRIPE82 = {
    "des.g": 0.03,
    "des.r": 0.02,
    "des.i": 0.02,
    "des.z": 0.02,
    "des.Y": 0.04,
    "unwise.W1": 0.08,
    "unwise.W2": 0.10,
}
# Tables whose zero points are known to be off by a tenth of a magnitude in some bands
# (Ilbert et al. 2009, ApJ 690, 1236, table 1). 2MASS stays as it is, though its totals
# of galaxies lose about as much as the templates have too much in JHK.
SHIFTED = ("zCOSMOS",)
EBV_STRIPE82 = 0.03  # of which the table gives none
MOST = {"SDSS": 1400, "zCOSMOS": 1600}


def photometry(table, bands):
    """Magnitudes without Galactic dust, and their errors; NaN where there is none."""
    mag = magnitudes(table, bands)
    ebv = np.nan_to_num(table["ebv"], nan=EBV_STRIPE82)
    mag -= ebv[:, None] * np.array(list(extinction_coefficients(bands).values()))
    names = [f"flux_err_{band.replace('.', '_')}" for band in bands]
    err = np.stack([np.asarray(table[name].filled(np.nan).value) for name in names], 1)
    with np.errstate(invalid="ignore"):
        err = err / 10 ** (-0.4 * (magnitudes(table, bands) - 31.4)) * 2.5 / np.log(10)
    mag[err > 0.5] = np.nan
    return mag, err


def fit(mag, err, z, bands):
    """
    Fit mixtures to magnitudes.

    Returns coefficients (n, N_STELLAR), residuals (model minus data, mag) and
    chi-square per band.
    """
    filters = tuple(get_band(band).sedpy_name for band in bands)
    grid = TemplateGrid.of(filters).at(z)[:, :N_STELLAR, 0].astype(float)
    total = np.hypot(np.nan_to_num(err), list(bands.values()))
    flux = 10 ** (-0.4 * (mag - 31.4))
    coefficients = np.zeros((len(z), N_STELLAR))
    for i in range(len(z)):
        use = np.isfinite(mag[i])
        if use.sum() < 5:
            continue
        weight = 1.0857 / (flux[i, use] * total[i, use])
        A, b = grid[i][:, use].T * weight[:, None], flux[i, use] * weight
        # nnls stops early unless columns and right-hand side are of order one
        size, height = np.linalg.norm(A, axis=0), np.linalg.norm(b)
        size[size == 0] = np.inf
        x, _ = nnls(A / size, b / height)
        coefficients[i] = x / size * height
    model = np.einsum("nj,njb->nb", coefficients, grid)
    with np.errstate(divide="ignore"):
        residual = 31.4 - 2.5 * np.log10(model) - mag
    return coefficients, residual, np.nanmean((residual / total) ** 2, axis=1)


def zero_points(mag, err, z, bands):
    """Shifts, mag, after which the median residual of each band vanishes."""
    shift = np.zeros(mag.shape[1])
    some = slice(None, None, max(1, len(z) // 1500))
    for _ in range(3):
        _, residual, chi2 = fit(mag[some] + shift, err[some], z[some], bands)
        shift += np.nanmedian(residual[chi2 < 3 * np.median(chi2)], axis=0)
        # what is left in the ultraviolet are the templates, not GALEX
        shift[[band.startswith("galex") for band in bands]] = 0
    return np.where(shift == 0, 0, shift - np.median(shift))


def fit_table(table, bands):
    """Fit a table, its zero points shifted to suit the templates if need be; print."""
    mag, err = photometry(table, bands)
    z = np.asarray(table["z_spec"])
    shift = np.zeros(len(bands))
    if table.meta["name"] in SHIFTED:
        shift = zero_points(mag, err, z, bands)
    coefficients, residual, chi2 = fit(mag + shift, err, z, bands)
    print(f"{table.meta['name']}: {len(z)} rows")
    print("  band         shift   residuals: median, 68 %        N   (mag)")
    for band, by, column in zip(bands, shift, residual.T, strict=True):
        known = column[np.isfinite(column)]
        middle = np.median(known)
        half = np.percentile(np.abs(known - middle), 68)
        numbers = f"{by:+.3f}     {middle:+.3f}  {half:.3f}      {known.size:6d}"
        print(f"  {band:10s}  {numbers}")
    return coefficients, chi2, z


def rest_frame(coefficients, z):
    """Absolute magnitude in SDSS r, and g-r, at z = 0.1 (Blanton et al. 2003)."""
    grid = TemplateGrid.of(("sdss_g0", "sdss_r0")).at(np.full(1, 0.1))
    values = grid[0, :N_STELLAR, 0].astype(float)
    g, r = 31.4 - 2.5 * np.log10(coefficients @ values).T
    # from flux per frequency at z to that at 0.1, and to the frame of the galaxy there
    frame = 2.5 * np.log10(1 + z) - 5 * np.log10(1.1)
    return r - COSMOLOGY.distmod(z).value - frame, g - r


def choose(table, bands, rng):
    """Donors of a table: shares of the templates, z, M_r, g-r and weight."""
    coefficients, chi2, z = fit_table(table, bands)
    good = (table["fold"] == 0) & (chi2 < WORST) & (coefficients.sum(axis=1) > 0)
    rows = np.flatnonzero(good & (z < 1.3))
    # rare kinds are kept, the crowd is thinned out and its members weigh more
    M, colour = rest_frame(coefficients[rows], z[rows])
    x = np.stack([np.log1p(z[rows]) / 0.03, M / 0.5, colour / 0.2], axis=1)
    cell = np.unique(np.floor(x).astype(int), axis=0, return_inverse=True)[1].ravel()
    chance = np.bincount(cell)[cell] ** -0.7
    n = min(MOST[table.meta["name"]], len(rows))
    kept = rng.choice(len(rows), n, replace=False, p=chance / chance.sum())
    print(f"  {n} donors of {len(rows)}")
    rows, M, colour, weight = rows[kept], M[kept], colour[kept], 1 / chance[kept]
    share = coefficients[rows] / coefficients[rows].sum(axis=1, keepdims=True)
    # how many rows of the table a donor stands for
    weight *= np.count_nonzero(good & (z < 1.3)) / weight.sum()
    return share, z[rows], M, colour, weight


def main(folder):
    rng = np.random.default_rng(SEED)
    parts = [
        choose(read_sdss(folder), SDSS, rng),
        choose(read_zcosmos(folder), ZCOSMOS, rng),
    ]
    fit_table(read_stripe82(folder), STRIPE82)
    share, z, M, colour, weight = (np.concatenate(p) for p in zip(*parts, strict=True))
    order = rng.permutation(len(z))  # even numbers will be "train", odd ones "test"
    np.savez_compressed(
        OUTPUT,
        share=share[order].astype("f2"),
        z=z[order].round(3).astype("f4"),
        M_r=M[order].round(2).astype("f4"),
        colour=colour[order].round(3).astype("f4"),
        weight=weight[order].round(2).astype("f2"),
    )
    print(f"{OUTPUT.name}: {len(z)} donors, {OUTPUT.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REAL_DATA)
