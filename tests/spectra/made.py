"""Spectra and survey files made for tests, from wavelengths written down here."""

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from specutils import Spectrum

FLUX = u.Unit("1e-17 erg / (s cm2 AA)")
C = 299792.458  # km/s

# vacuum wavelength, strength: emission of a star-forming galaxy, absorption of stars
EMITTED = {3728.5: 3.0, 4862.68: 1.5, 4960.30: 1.0, 5008.24: 3.0, 6564.61: 4.5}
ABSORBED = {3934.78: 0.5, 3969.59: 0.5, 4305.6: 0.3, 5175.0: 0.3, 5894.0: 0.25}


def lines(wavelength, of, z, sigma=120.0):
    """Sum of Gaussians, ``sigma`` in km/s."""
    velocity = C * np.log(wavelength[:, None] / (np.array(list(of)) * (1 + z)))
    return np.exp(-0.5 * (velocity / sigma) ** 2) @ np.array(list(of.values()))


def galaxy(z, *, emitted=1.0, absorbed=1.0, low=3800.0, high=9200.0, step=1.5):
    """Wavelength and flux without noise of a galaxy with a continuum of 1 to 2."""
    wavelength = np.arange(low, high, step)
    continuum = 1 + (wavelength - low) / (high - low)
    flux = continuum * (1 - absorbed * lines(wavelength, ABSORBED, z, 250.0))
    return wavelength, flux + emitted * lines(wavelength, EMITTED, z)


def spectrum(wavelength, flux, std=None, *, unit=FLUX, mask=None, rng=None):
    """Spectrum with constant errors and, if an ``rng`` is given, with noise."""
    flux = np.array(flux, dtype=float)
    if rng is not None:
        flux += rng.normal(0, std, flux.size)
    return Spectrum(
        flux=flux * unit,
        spectral_axis=wavelength * u.AA,
        uncertainty=None
        if std is None
        else StdDevUncertainty(np.full(flux.size, float(std))),
        mask=mask,
    )


def write_sdss(path, wavelength, flux, ivar, *, and_mask=0, z=None):
    """Write what matters of a spec file of SDSS."""
    header = fits.Header({"PLUG_RA": 150.0, "PLUG_DEC": 2.0, "TELESCOP": "SDSS 2.5-M"})
    n = len(wavelength)
    columns = {
        "flux": np.asarray(flux, "f4"),
        "loglam": np.log10(wavelength).astype("f4"),
        "ivar": np.asarray(ivar, "f4"),
        "and_mask": np.broadcast_to(np.asarray(and_mask, "i4"), n),
    }
    hdus = [fits.PrimaryHDU(header=header), table_hdu("COADD", columns)]
    if z is not None:
        record = {"Z": [z], "Z_ERR": [1e-5], "ZWARNING": [4], "CLASS": ["GALAXY"]}
        hdus.append(table_hdu("SPECOBJ", record))
    fits.HDUList(hdus).writeto(path)
    return path


def write_desi(path, target_ids, arms):
    """Write a coadd of DESI; ``arms`` maps a name to wavelength, flux, ivar, mask."""
    n = len(target_ids)
    fibermap = {
        "TARGETID": np.array(target_ids),
        "TARGET_RA": 10.0 + np.arange(n),
        "TARGET_DEC": -5.0 + np.arange(n),
    }
    hdus = [fits.PrimaryHDU(), table_hdu("FIBERMAP", fibermap)]
    for arm, values in arms.items():
        for kind, array in zip(
            ("WAVELENGTH", "FLUX", "IVAR", "MASK"), values, strict=True
        ):
            hdus.append(fits.ImageHDU(np.array(array), name=f"{arm}_{kind}"))
    fits.HDUList(hdus).writeto(path)
    return path


def write_redrock(path, target_ids, z):
    """Write what matters of a redrock file."""
    n = len(target_ids)
    columns = {
        "TARGETID": np.array(target_ids),
        "Z": np.array(z, dtype=float),
        "ZERR": np.full(n, 1e-5),
        "ZWARN": np.zeros(n, dtype=int),
        "SPECTYPE": ["GALAXY"] * n,
    }
    redshifts = table_hdu("REDSHIFTS", columns)
    fits.HDUList([fits.PrimaryHDU(), redshifts]).writeto(path)
    return path


def table_hdu(name, columns):
    """Make a binary table of columns."""
    from astropy.table import Table

    return fits.BinTableHDU(Table(columns), name=name)
