"""
Redshifts and magnitudes of real spectra of SDSS and DESI, and what they cost.

Reads ``../shared/data`` beside the repository, or ``$MANTIS_ASTRO_REAL_DATA``. Five
tables: redshifts against those of the surveys, magnitudes of one object from its
spectrum against those from its images, how many spectra of nothing but noise have a
redshift without a warning, the time of a fit against a plain loop over redshifts
that does the same, and spectra of one line without and with the p(z) of images.
"""

import os
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.nddata import StdDevUncertainty
from astropy.table import Table
from astropy.wcs import FITSFixedWarning
from harness import interleaved, run
from scipy.optimize import nnls
from specutils import Spectrum

from mantis_astro import (
    MultibandCutout,
    RedshiftPDF,
    read_spectrum,
    synthetic_photometry,
    z_spec_from_spectrum,
)
from mantis_astro.cutouts import read_cutout
from mantis_astro.photometry import Circular, measure_photometry
from mantis_astro.spectra import TemplateSet, z_spec_table
from mantis_astro.spectra.least_squares import rebin
from mantis_astro.spectra.pixels import FLUX_UNIT, get_pixels
from mantis_astro.spectra.templates import STEP

BESIDE = Path(__file__).parents[2] / "shared" / "data"
DATA = Path(os.environ.get("MANTIS_ASTRO_REAL_DATA", BESIDE))
J0028 = "sdss_spec-0653-52145-0069_z0.30185.fits"
LYMAN_ALPHA = "coadd-special-dark-27247.fits"


def spectra():
    """Paths of the six spectra of SDSS and the two of DESI."""
    paths = sorted((DATA / "spectra").glob("*.fits"))
    return [path for path in paths if not path.name.startswith("redrock")]


def redshifts():
    """Each spectrum with both sets of templates; one also up to redshift 5."""
    rows = []
    for path in spectra():
        spectrum = read_spectrum(path)
        tries = [("built in", TemplateSet.builtin(), 1.5)]
        if path.name == LYMAN_ALPHA:
            tries.append(("built in", TemplateSet.builtin(), 5.0))
        tries.append(("kcorrect", TemplateSet.kcorrect(), 1.5))  # extra "simulate"
        for name, templates, high in tries:
            found = z_spec_from_spectrum(spectrum, templates, z_range=(0, high))
            z = spectrum.meta["redshift"].z
            rows.append(
                {
                    "spectrum": path.stem[:24],
                    "templates": name,
                    "z_max": high,
                    "z_catalogue": round(z, 5),
                    "z_spec": round(found.z, 5),
                    "delta_z": f"{found.z - z:+.5f}",
                    "z_err": f"{found.z_err:.0e}",
                    "chi2_dof": round(found.reduced_chi2, 2),
                    "delta_chi2": round(found.delta_chi2),
                    "warnings": ",".join(found.warnings) or "-",
                }
            )
    return Table(rows)


def false_alarms(short):
    """Spectra of noise whose redshift has no warning, for several kinds of noise."""
    n = 10 if short else 200
    wavelength = 10 ** np.arange(3.58, 3.964, 1e-4)  # as those of SDSS
    rng = np.random.default_rng(2)
    size = wavelength.size
    kinds = {
        "Gaussian": lambda: rng.normal(size=size),
        "long tails (Student, 3)": lambda: rng.standard_t(3, size) / np.sqrt(3),
        "errors too small by 2": lambda: rng.normal(0, 2, size),
        "20 hot pixels": lambda: hot(rng.normal(size=size), rng),
    }
    rows = []
    for name, draw in kinds.items():
        clean, apart = 0, 0
        for _ in range(n):
            noise = Spectrum(
                flux=draw() * FLUX_UNIT,
                spectral_axis=wavelength * u.AA,
                uncertainty=StdDevUncertainty(np.ones(size)),
            )
            found = z_spec_from_spectrum(noise)
            clean += not found.warnings
            apart += not set(found.warnings) - {"NO_FEATURES"}
        rows.append(
            {"noise": name, "n": n, "no warning": clean, "but NO_FEATURES": apart}
        )
    return Table(rows)


def with_images(short):
    """One line and noise, and stars: outliers without and with p(z) of images."""
    n = 6 if short else 40
    rng = np.random.default_rng(8)
    wavelength = np.arange(6000.0, 9200.0, 1.5)
    truths, spectra = (
        np.append(rng.uniform(0.62, 1.4, n), rng.normal(0, 2e-4, n // 4)),
        [],
    )
    for z in truths:
        flux = np.ones(wavelength.size)
        star = abs(z) < 0.01  # lines of its own, in absorption
        lines = {3727.09: 0.85, 3729.88: 1.02, 5008.24: 0.5, 4960.3: 0.17}
        if star:
            lines = {6564.6: -0.5, 8544.4: -0.6, 8664.5: -0.5, 8500.4: -0.3}
        for rest, strength in lines.items():
            velocity = 299792 * np.log(wavelength / (rest * (1 + z)))
            flux += strength * np.exp(-0.5 * (velocity / 100) ** 2)
        spectra.append(
            Spectrum(
                flux=(flux + rng.normal(0, 0.35, flux.size)) * FLUX_UNIT,
                spectral_axis=wavelength * u.AA,
                uncertainty=StdDevUncertainty(np.full(flux.size, 0.35)),
            )
        )
    is_star = np.abs(truths) < 0.01
    of_images = np.where(is_star, rng.uniform(0.2, 0.8, truths.size), truths)
    sigma = 0.05 * (1 + of_images)
    peaks = np.abs(of_images + sigma * rng.normal(size=truths.size))
    pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1.6, 401), peaks, sigma)
    rows = []
    for name, prior in (("none", None), ("p(z) of each", pdf)):
        table = z_spec_table(spectra, prior=prior)
        off = np.abs(table["z_spec"].unmasked.value - truths) / (1 + truths) > 0.003
        stars = table["kind"] == "star"
        rows.append(
            {
                "prior": name,
                "galaxies": n,
                "wrong": int(off[~is_star].sum()),
                "stars": int(is_star.sum()),
                "found as stars": int((stars & is_star).sum()),
                "galaxies taken for stars": int((stars & ~is_star).sum()),
            }
        )
    return Table(rows)


def hot(flux, rng):
    """Add hot pixels of 20 to 1,000 standard deviations, up and down."""
    at = rng.integers(0, flux.size, 20)
    flux[at] += rng.choice([-1, 1], 20) * 10 ** rng.uniform(1.3, 3, 20)
    return flux


def magnitudes():
    """AB magnitudes of J0028: spectrum, images in the fibre's circle, whole galaxy."""
    from_spectrum = synthetic_photometry(
        read_spectrum(DATA / "spectra" / J0028), [f"ps1.{b}" for b in "gri"]
    )
    folder = DATA / "images" / "ps1_j0028"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # headers of PS1
        cutouts = MultibandCutout(
            SkyCoord(7.0939, -10.65098, unit="deg"),
            {
                f"ps1.{b}": read_cutout(folder / f"2_{b}.fits", f"ps1.{b}")
                for b in "gri"
            },
        )
    circle = Circular(1.5 * u.arcsec, correction=None)
    tables = {
        "spectrum": from_spectrum,
        "circle": measure_photometry(cutouts, aperture=circle),
        "kron": measure_photometry(cutouts, aperture="kron"),
    }
    rows = []
    for band in ("ps1_g", "ps1_r", "ps1_i"):
        mag = {
            name: u.Magnitude(table[f"flux_{band}"].unmasked[0].to(u.ABflux)).value
            for name, table in tables.items()
        }
        rows.append(
            {
                "band": band,
                "spectrum": round(mag["spectrum"], 3),
                "circle of the fibre": round(mag["circle"], 3),
                "whole galaxy": round(mag["kron"], 3),
                "spectrum - circle": round(mag["spectrum"] - mag["circle"], 3),
                "spectrum - whole": round(mag["spectrum"] - mag["kron"], 3),
                "interpolated": round(
                    1 - float(from_spectrum[f"coverage_{band}"][0]), 4
                ),
            }
        )
    return Table(rows)


def plain_loop(spectrum, templates, shifts, degree=7):
    """Chi-square at some shifts, one after the other, with scipy's nnls."""
    pixels = get_pixels(spectrum)
    ivar = np.where(pixels.good, pixels.std, np.inf) ** -2
    binned = rebin(pixels.wavelength, pixels.flux, ivar)
    root = np.sqrt(binned.weight)
    data = root * binned.flux
    x = np.linspace(-1, 1, root.size)
    Q, _ = np.linalg.qr(np.polynomial.legendre.legvander(x, degree) * root[:, None])
    data = data - Q @ (Q.T @ data)
    chi2 = []
    for shift in shifts:
        first = binned.first - shift
        T = (templates.on_pixels(first, first + root.size) * root).T
        T -= Q @ (Q.T @ T)
        chi2.append(nnls(T, data)[1] ** 2)
    return np.array(chi2)


def times(short):
    """Milliseconds a spectrum, on one of SDSS with 4,600 redshifts."""
    path = DATA / "spectra" / J0028
    spectrum = read_spectrum(path)
    n = 10 if short else 100  # of the plain loop; the rest would take as long each
    shifts = np.linspace(0, np.log(2.5) / STEP, n).astype(int)
    builtin, kcorrect = TemplateSet.builtin(), TemplateSet.kcorrect()
    z_grid = z_spec_from_spectrum(spectrum).z_grid
    seconds = interleaved(
        {
            "read_spectrum": lambda: read_spectrum(path),
            "z_spec, 18 templates": lambda: z_spec_from_spectrum(spectrum, builtin),
            "z_spec, 5 of kcorrect": lambda: z_spec_from_spectrum(spectrum, kcorrect),
            "loop, 18 templates": lambda: plain_loop(spectrum, builtin, shifts),
            "synthetic g r i": lambda: synthetic_photometry(
                spectrum, ["ps1.g", "ps1.r", "ps1.i"]
            ),
        },
        repeats=3 if short else 9,
    )
    seconds["loop, 18 templates"] *= z_grid.size / n
    reference = seconds["z_spec, 18 templates"]
    return Table(
        [
            {
                "step": name,
                "ms": round(1e3 * value, 1),
                "ratio": round(value / reference, 3),
            }
            for name, value in seconds.items()
        ]
    )


def benchmark(short):
    """Print the five tables; return all of it as one, a line for each row."""
    parts = {"redshift": redshifts(), "AB mag of J0028": magnitudes()}
    parts |= {"redshift of noise": false_alarms(short), "time": times(short)}
    parts["one line, by prior"] = with_images(short)
    rows = []
    for title, part in parts.items():
        print(title)
        part.pprint(max_lines=-1, max_width=-1)
        print()
        case, *names = part.colnames
        for row in part:
            result = "; ".join(f"{name} {row[name]}" for name in names)
            rows.append({"what": title, "case": row[case], "result": result})
    return Table(rows, meta={"title": "the same, as it is written to a file"})


if __name__ == "__main__":
    run(benchmark, Path(__file__).stem)
