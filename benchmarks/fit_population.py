"""
Derive the spectra of the simulated galaxies from real ones.

Mixtures of dusty kcorrect templates, without negative parts, are fitted to the
photometry of galaxies with spectroscopic redshifts: SDSS, 2MASS and GALEX for nearby
ones, zCOSMOS for distant ones. What is written (``mantis_astro/data/galaxies.npz``) is
the coefficients alone, with redshift, luminosity and kind of each fit; no row of a
catalogue can be had back from it.

Only rows of `is_donor_row` are used, so that the other half of each table can be held
out; the Stripe 82 table is not used at all.

Run: python benchmarks/fit_population.py ../shared/data/catalogs
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.cosmology import FlatLambdaCDM
from astropy.table import Table
from scipy.optimize import nnls

from mantis_astro.simulation.templates import N_STELLAR, TemplateGrid

COSMOLOGY = FlatLambdaCDM(70, 0.3)
OUTPUT = Path(__file__).parents[1] / "mantis_astro" / "data" / "galaxies.npz"
_SEED = 20261125
_MOST = {"sdss": 1400, "zcosmos": 1600}
_WORST = 3.0  # chi-square per band, with the floors below

SDSS = {
    "galex_NUV": 0.12,
    "galex_FUV": 0.15,
    "sdss_u0": 0.05,
    "sdss_g0": 0.02,
    "sdss_r0": 0.02,
    "sdss_i0": 0.02,
    "sdss_z0": 0.02,
    "twomass_J": 0.08,
    "twomass_H": 0.08,
    "twomass_Ks": 0.08,
}  # filter and least error, mag
ZCOSMOS = {
    "galex_NUV": 0.15,
    "galex_FUV": 0.2,
    "cfht_megacam_us_9301": 0.05,
    "subaru_suprimecam_B": 0.04,
    "subaru_suprimecam_V": 0.04,
    "subaru_suprimecam_rp": 0.03,
    "subaru_suprimecam_ip": 0.03,
    "subaru_suprimecam_zp": 0.03,
    "ukirt_wfcam_J": 0.05,
    "cfht_wircam_Ks_8302": 0.05,
}
STRIPE82 = {
    "decam_g": 0.03,
    "decam_r": 0.02,
    "decam_i": 0.02,
    "decam_z": 0.02,
    "decam_Y": 0.04,
    "wise_w1": 0.08,
    "wise_w2": 0.1,
}


def is_donor_row(ra, dec, *, survey):
    """Tell which rows of a table may give their spectrum: stripes of the sky."""
    x = np.asarray(ra) if survey == "sdss" else np.asarray(dec) * 20
    return np.floor(x).astype(int) % 2 == 0


def read_sdss(folder):
    """SDSS, 2MASS and GALEX: magnitudes without Galactic dust, their errors, z."""
    t = Table.read(folder / "sdss_galex_2mass.fits")
    extinction = np.array(t["EXTINCTION"], float)
    ebv = extinction[:, 2] / 2.285
    flux = np.array(t["MODELFLUX"], float)
    sigma = np.array(t["MODELFLUX_IVAR"], float) ** -0.5
    mag, err = 22.5 - 2.5 * np.log10(np.maximum(flux, 1e-3)), 1.0857 * sigma / flux
    mag -= extinction
    err[flux <= 0] = np.nan
    columns, errors = list(mag.T), list(np.abs(err).T)
    for band, vega, a in (("J", 0.91, 0.72), ("H", 1.39, 0.46), ("K", 1.85, 0.31)):
        value = np.array(t[f"{band}_M_EXT"], float)
        columns.append(np.where(value > 5, value + vega - a * ebv, np.nan))
        errors.append(np.array(t[f"{band}_MSIG_EXT"], float))
    for band, zero_point, a in (("FUV", 18.82, 7.1), ("NUV", 20.08, 7.1)):
        value = np.array(t[f"{band}_FLUX_AUTO"], float)
        error = np.array(t[f"{band}_FLUXERR_AUTO"], float)
        good = value > 0
        value = np.where(good, value, 1)
        columns.insert(0, zero_point - 2.5 * np.log10(value) - a * ebv)
        columns[0][~good] = np.nan
        errors.insert(0, 1.0857 * error / value)
    ra, dec, z = (np.array(t[name], float) for name in ("RA", "DEC", "Z"))
    return np.stack(columns, 1), np.stack(errors, 1), z, ra, dec


def read_zcosmos(folder):
    """Secure galaxies of zCOSMOS: the same."""
    t = Table.read(folder / "zcosmos_west_half.csv")
    cc = np.array(t["cc"], float)
    z = np.array(t["zpec"], float)
    t = t[(cc % 10 >= 3) & (cc < 10) & (z > 0.03) & (z < 1.3)]
    names = ("nuv", "fuv", "u", "b", "v", "r", "i", "z", "j", "k")
    dust = np.array([7.1, 7.1, 4.0, 3.5, 2.7, 2.3, 1.65, 1.27, 0.72, 0.31]) * 0.018
    mag = np.stack([np.array(t[name], float) for name in names], 1)
    err = np.stack([np.array(t[f"e{name}"], float) for name in names], 1)
    mag[(mag < 0) | (err < 0) | (err > 0.5)] = np.nan
    ra, dec, z = (np.array(t[name], float) for name in ("alpha", "delta", "zpec"))
    return mag - dust, err, z, ra, dec


def read_stripe82(folder):
    """Galaxies of the Stripe 82 table; for comparison only."""
    t = Table.read(folder / "stripe82_des_allwise.csv")
    z = np.array(t["z_spec"], float)
    t = t[(np.array(t["spec_class"]) == "GALAXY") & (z > 0.02) & (z < 1.2)]
    mag = [np.array(t[f"des_{b}"], float) for b in "griz"]
    # Y is in an aperture only: carried to total with z's
    y = np.array(t["des_y_aper6"], float)
    mag.append(y + mag[3] - np.array(t["des_z_aper6"], float))
    mag += [
        np.array(t["w1_vega"], float) + 2.699,
        np.array(t["w2_vega"], float) + 3.339,
    ]
    names = [f"des_{b}_err" for b in "griz"]
    names += ["des_y_aper6_err", "w1_vega_err", "w2_vega_err"]
    err = np.stack([np.array(t[name], float) for name in names], 1)
    mag = np.stack(mag, 1)
    mag[(err <= 0) | (err > 0.5) | (mag > 40)] = np.nan
    mag -= 0.03 * np.array([3.2, 2.2, 1.6, 1.2, 1.1, 0.18, 0.12])
    ra, dec, z = (np.array(t[name], float) for name in ("ra", "dec", "z_spec"))
    return mag, err, z, ra, dec


READERS = {
    "sdss": (read_sdss, SDSS),
    "zcosmos": (read_zcosmos, ZCOSMOS),
    "stripe82": (read_stripe82, STRIPE82),
}


def fit(mag, err, z, filters):
    """
    Fit mixtures to magnitudes.

    Returns coefficients (n, N_STELLAR), for fluxes in nJy, the residuals (model minus
    data, mag) and chi-square per band.
    """
    grid = TemplateGrid.of(tuple(filters)).at(z)[:, :N_STELLAR, 0].astype(float)
    floor = np.array(list(filters.values()))
    total = np.hypot(np.nan_to_num(err, nan=9.0), floor)
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
    chi2 = np.nanmean((residual / total) ** 2, axis=1)
    return coefficients, residual, chi2


def fit_survey(name, folder):
    """Fit one table twice: zero points are shifted by the first fit's residuals."""
    reader, filters = READERS[name]
    mag, err, z, ra, dec = reader(folder)
    offset = np.zeros(mag.shape[1])
    some = slice(None, None, max(1, len(z) // 1500))
    for _ in range(3):
        _, residual, chi2 = fit(mag[some] + offset, err[some], z[some], filters)
        offset += np.nanmedian(residual[chi2 < 3 * np.median(chi2)], axis=0)
    offset -= np.median(offset)
    fitted = fit(mag + offset, err, z, filters)
    print(f"{name}: {len(z)} rows; zero points shifted by (mag)")
    for filter_name, shift, residual in zip(filters, offset, fitted[1].T, strict=True):
        known = residual[np.isfinite(residual)]
        half = np.percentile(np.abs(known - np.median(known)), 68)
        print(f"  {filter_name:24s} {shift:+.3f}  residuals {half:.3f}  ({known.size})")
    return *fitted, z, ra, dec


def rest_frame(coefficients, z):
    """Absolute magnitude and colour in the filters of SDSS at z = 0.1."""
    filters = ("sdss_g0", "sdss_r0")
    grid = TemplateGrid.of(filters).at(np.full(1, 0.1))[0, :N_STELLAR, 0].astype(float)
    g, r = 31.4 - 2.5 * np.log10(coefficients @ grid).T
    # from flux per frequency at z to that at 0.1, and to the frame of the galaxy there
    frame = 2.5 * np.log10(1 + z) - 5 * np.log10(1.1)
    return r - COSMOLOGY.distmod(z).value - frame, g - r


def choose(name, folder, rng):
    """Coefficients and facts of the rows that become donors."""
    coefficients, _, chi2, z, ra, dec = fit_survey(name, folder)
    good = is_donor_row(ra, dec, survey=name) & (chi2 < _WORST)
    good &= coefficients.sum(axis=1) > 0
    rows = np.flatnonzero(good)
    # as many at high as at low redshift and luminosity: thin out the crowd
    M, colour = rest_frame(coefficients[rows], z[rows])
    x = np.stack([np.log1p(z[rows]) / 0.03, M / 0.5, colour / 0.2], 1)
    cell = np.unique(np.floor(x).astype(int), axis=0, return_inverse=True)[1].ravel()
    chance = np.bincount(cell)[cell] ** -0.7
    kept = rng.choice(
        len(rows), min(_MOST[name], len(rows)), replace=False, p=chance / chance.sum()
    )
    rows, M, colour = rows[kept], M[kept], colour[kept]
    # how many rows each stands for, so that thinning does not change the mix
    weight = 1 / chance[kept]
    share = coefficients[rows] / coefficients[rows].sum(axis=1, keepdims=True)
    print(f"  {len(rows)} donors of {good.sum()}")
    return share, z[rows], M, colour, weight / weight.mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    rng = np.random.default_rng(_SEED)
    parts = [choose(name, options.folder, rng) for name in ("sdss", "zcosmos")]
    fit_survey("stripe82", options.folder)
    share, z, M, colour, weight = (np.concatenate(p) for p in zip(*parts, strict=True))
    order = rng.permutation(len(z))  # the first of every two are "train"
    np.savez_compressed(
        options.output,
        share=share[order].astype("f2"),
        z=z[order].round(3).astype("f4"),
        M_r=M[order].round(2).astype("f4"),
        colour=colour[order].round(3).astype("f4"),
        weight=weight[order].round(2).astype("f2"),
    )
    print(f"{options.output.name}: {options.output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
