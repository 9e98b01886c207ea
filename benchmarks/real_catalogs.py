"""
Real catalogues as tables of fluxes: what `real_tables.py` measures redshifts on.

Each reader returns a QTable with ``coord``, ``z_spec``, ``ebv`` (what the fluxes still
suffer, NaN where it is not known) and, in nJy, ``flux_<survey>_<band>`` and
``flux_err_<survey>_<band>``, masked where a band was not observed. Which bands, and
how they stand in for those of the nine-band model, is in ``meta``. ``fold`` is the part
of the sky that a row is in, ``cell`` a smaller one; ``is_donor`` rows are among those
that the simulation has its spectra from, so that nothing may be tested on them.
"""

import os
from pathlib import Path

import astropy.units as u
import h5py
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table, vstack
from astropy.utils.masked import Masked
from astropy_healpix import HEALPix

from mantis_astro.bands import Band, Survey, get_band, list_surveys, register_survey
from mantis_astro.extinction import extinction_coefficients
from mantis_astro.fluxes import FluxState

BESIDE = Path(__file__).parents[2] / "shared" / "data"
REAL_DATA = Path(os.environ.get("MANTIS_ASTRO_REAL_DATA", BESIDE))
RAIL_DATA = Path(os.environ.get("MANTIS_ASTRO_RAIL_DATA", REAL_DATA / "rail"))

EBV_COSMOS = 0.018  # from end to end of two square degrees

# name: filter in sedpy, pivot in Angstrom, PSF in arcsec, AB minus the catalogue's zero
_SURVEYS = {
    "des": {
        "g": ("decam_g", 4808, 1.1, 0.0),
        "r": ("decam_r", 6421, 1.0, 0.0),
        "i": ("decam_i", 7813, 0.9, 0.0),
        "z": ("decam_z", 9169, 0.9, 0.0),
        "Y": ("decam_Y", 9898, 0.9, 0.0),
    },
    # the survey's u is 0.04 mag too bright in AB and z 0.02 mag too faint (Abazajian et
    # al. 2004, section 3.6, as kcorrect applies it)
    "sdss": {
        "u": ("sdss_u0", 3546, 1.5, -0.04),
        "g": ("sdss_g0", 4670, 1.4, 0.0),
        "r": ("sdss_r0", 6156, 1.3, 0.0),
        "i": ("sdss_i0", 7472, 1.2, 0.0),
        "z": ("sdss_z0", 8917, 1.2, 0.02),
    },
    "twomass": {
        "J": ("twomass_J", 12358, 2.8, get_band("twomass_J").vega_to_ab),
        "H": ("twomass_H", 16458, 2.8, get_band("twomass_H").vega_to_ab),
        "Ks": ("twomass_Ks", 21603, 2.8, get_band("twomass_Ks").vega_to_ab),
    },
    "lsst": {
        "u": ("lsst_baseline_u", 3671, 0.8, 0.0),
        "g": ("lsst_baseline_g", 4827, 0.8, 0.0),
        "r": ("lsst_baseline_r", 6223, 0.8, 0.0),
        "i": ("lsst_baseline_i", 7546, 0.8, 0.0),
        "z": ("lsst_baseline_z", 8691, 0.8, 0.0),
        "y": ("lsst_baseline_y", 9712, 0.8, 0.0),
    },
    # what the survey used; its g+ has no curve in sedpy, that of HSC is nearest
    "cosmos": {
        "u": ("cfht_megacam_us_9301", 3798, 0.9, 0.0),
        "B": ("subaru_suprimecam_B", 4440, 1.0, 0.0),
        "V": ("subaru_suprimecam_V", 5470, 1.3, 0.0),
        "g": ("hsc_g", 4760, 1.6, 0.0),
        "r": ("subaru_suprimecam_rp", 6270, 1.0, 0.0),
        "i": ("subaru_suprimecam_ip", 7660, 0.9, 0.0),
        "z": ("subaru_suprimecam_zp", 9010, 1.2, 0.0),
        "J": ("ukirt_wfcam_J", 12480, 0.9, 0.0),
        "K": ("cfht_wircam_Ks_8302", 21480, 0.7, 0.0),
    },
}


def register_surveys():
    """Make the catalogues' surveys known, once; none has images to fetch."""
    known = {survey.name for survey in list_surveys()}
    for name, filters in _SURVEYS.items():
        if name in known:
            continue
        bands = tuple(
            Band(name, band, curve, pivot * u.AA, fwhm * u.arcsec, None, zero)
            for band, (curve, pivot, fwhm, zero) in filters.items()
        )
        register_survey(
            Survey(
                name=name,
                title=f"{name} (catalogue)",
                bands=bands,
                pixel_scale=1 * u.arcsec,
                shape=(32, 32),
                unit=u.nJy,
                magsys="AB",
                service="none",
                layer="",
                reference="",
            )
        )


def read_stripe82(folder=REAL_DATA, *, quasars=False):
    """
    Radio-selected galaxies of Stripe 82: DES grizY, AllWISE W1 W2.

    Galaxies by spectrum at 0.002 < z < 1.2. DES has AUTO magnitudes for griz and an
    aperture for all five: colours are those of the aperture, which is the same in all
    bands, brightness is that of AUTO in i. W1 and W2 are Vega; an error of -99 is an
    upper limit and masked. Not corrected for extinction; E(B-V) is not given. With
    ``quasars`` those below z = 1.6 instead, which is where the models end.
    """
    data = Table.read(folder / "catalogs/stripe82_des_allwise.csv", format="ascii.csv")
    z, is_galaxy = np.asarray(data["z_spec"]), data["spec_class"] == "GALAXY"
    kind = ~is_galaxy & (z < 1.6) if quasars else is_galaxy & (z < 1.2)
    data = data[kind & (z > 0.002)]
    table = _start(data["ra"], data["dec"], data["z_spec"])
    lost = data["des_i_aper6"] - data["des_i"]
    for band in "grizY":
        name = band.lower()
        error = data["des_y_aper6_err" if band == "Y" else f"des_{name}_err"]
        _add_magnitudes(table, f"des.{band}", data[f"des_{name}_aper6"] - lost, error)
    for band in ("W1", "W2"):
        name = f"{band.lower()}_vega"
        error = data[f"{name}_err"]
        _add_magnitudes(table, f"unwise.{band}", data[name], error, system="vega")
    slices = _slices((data["ra"] + 180) % 360, 200)
    return _finish(
        table,
        name="Stripe 82",
        bands="des.g des.r des.i des.z des.Y unwise.W1 unwise.W2",
        bright="des.i",
        nine={f"ps1.{b.lower()}": f"des.{b}" for b in "grizY"}
        | {f"unwise.{b}": f"unwise.{b}" for b in ("W1", "W2")},
        cells=slices,
        folds=slices // 20 % 2,
        by="10 slices in right ascension, alternately",
        aperture="total",  # ellipses of Kron
    )


def read_zcosmos(folder=REAL_DATA):
    """
    Galaxies of zCOSMOS bright with secure redshifts: GALEX, u B V g r i z J K.

    Secure: class ``cc % 10 >= 3`` and ``cc < 10``; z > 0.01 leaves out stars. -99 and
    -99.9 are no measurement. It is one field: half of it knows of the other's walls
    and clusters, whatever the split. E(B-V) is that of the field.
    """
    data = Table.read(folder / "catalogs/zcosmos_west_half.csv", format="ascii.csv")
    cc, z = np.asarray(data["cc"]), np.asarray(data["zpec"])
    has_photometry = ~np.ma.getmaskarray(data["id"]) & (np.ma.filled(data["r"], -1) > 0)
    secure = (cc % 10 >= 3) & (cc < 10)
    data = data[secure & has_photometry & (z > 0.01) & (z < 1.6)]
    table = _start(data["alpha"], data["delta"], data["zpec"], ebv=EBV_COSMOS)
    bands = [("galex.NUV", "nuv"), ("galex.FUV", "fuv")]
    bands += [(f"cosmos.{b}", b.lower()) for b in _SURVEYS["cosmos"]]
    for band, name in bands:
        _add_magnitudes(table, band, data[name], data[f"e{name}"])
    nine = {f"galex.{b}": f"galex.{b}" for b in ("NUV", "FUV")}
    nine |= {f"ps1.{b}": f"cosmos.{b}" for b in "griz"}
    return _finish(
        table,
        name="zCOSMOS",
        bands=" ".join(band for band, _ in bands),
        bright="cosmos.i",
        nine=nine,
        cells=_slices(data["delta"], 30),
        folds=_slices(data["delta"], 2),
        by="halves in declination of one field",
        has_donors=True,
    )


def read_frb_hosts(folder=REAL_DATA):
    """
    Hosts of fast radio bursts: PS1 grizy, W1 W2, corrected for extinction.

    With all seven bands, z > 0.01 (no giants next door) and E(B-V) < 0.3 (the
    correction is not the signal). An error of 999 is an upper limit and masked; one of
    0 is not known.
    """
    data = Table.read(folder / "catalogs/frb_hosts_ps1_wise.csv", format="ascii.csv")
    names = {f"ps1.{b}": f"Pan-STARRS_{b}" for b in "grizy"}
    names |= {f"unwise.{b}": f"WISE_{b}" for b in ("W1", "W2")}
    usable = (data["z"] > 0.01) & (data["EBV"] < 0.3)
    for name in names.values():
        usable &= ~np.ma.getmaskarray(data[name])
    data = data[usable]
    table = _start(data["ra"], data["dec"], data["z"], ebv=0.0)
    names |= {"galex.NUV": "GALEX_NUV"}
    for band, name in names.items():
        error = np.ma.filled(data[f"{name}_err"].astype(float), np.nan)
        error = np.where(error > 5, -1, np.where(error == 0, np.nan, error))
        _add_magnitudes(table, band, data[name], error)
    return _finish(
        table,
        name="FRB hosts",
        bands=" ".join(list(names)[:-1]),
        bright="ps1.i",
        nine={band: band for band in names},
        cells=np.arange(len(table)),
        folds=_slices(table["coord"].ra.deg, 5),
        by="5 slices in right ascension",
    )


def read_sdss(folder=REAL_DATA):
    """
    SDSS main and luminous red galaxies: model fluxes ugriz, 2MASS JHK, GALEX.

    Not corrected for extinction, which is given and from which E(B-V) is derived.
    2MASS magnitudes are Vega, 0 is none. GALEX is in counts per second; -99 and 0 (both
    bands at once, for 92 %) are no measurement.
    """
    data = Table.read(folder / "catalogs/sdss_galex_2mass.fits")
    a_r = np.asarray(data["EXTINCTION"], float)[:, 2]
    table = _start(data["RA"], data["DEC"], data["Z"], ebv=a_r / 2.751)
    flux, ivar = (np.asarray(data[n], float) for n in ("MODELFLUX", "MODELFLUX_IVAR"))
    for j, (band, (_, _, _, zero)) in enumerate(_SURVEYS["sdss"].items()):
        unit = 3631.0 * 10 ** (-0.4 * zero)  # nJy in a nanomaggy
        _add(table, f"sdss.{band}", flux[:, j] * unit, unit / np.sqrt(ivar[:, j]))
    for band, (_, _, _, zero) in _SURVEYS["twomass"].items():
        mag, error = (data[f"{band[0]}_{n}_EXT"] for n in ("M", "MSIG"))
        mag = np.where(mag > 0, mag + zero, np.nan)
        _add_magnitudes(
            table, f"twomass.{band}", mag, np.where(error > 0, error, np.nan)
        )
    for band, zero in (("NUV", 20.08), ("FUV", 18.82)):
        rate = np.asarray(data[f"{band}_FLUX_AUTO"], float)
        rate[(rate == 0) | (rate == -99)] = np.nan
        unit = 3631e9 * 10 ** (-0.4 * zero)
        error = np.asarray(data[f"{band}_FLUXERR_AUTO"], float)
        _add(table, f"galex.{band}", rate * unit, error * unit)
    nine = {f"galex.{b}": f"galex.{b}" for b in ("NUV", "FUV")}
    nine |= {f"ps1.{b}": f"sdss.{b}" for b in "griz"}
    return _finish(
        table,
        name="SDSS",
        bands="galex.NUV galex.FUV sdss.u sdss.g sdss.r sdss.i sdss.z "
        "twomass.J twomass.H twomass.Ks",
        bright="sdss.r",
        nine=nine,
        cells=_pixels(table["coord"], 16),
        folds=_pixels(table["coord"], 4) % 2,
        by="HEALPix pixels of 15 deg, alternately",
        aperture="total",  # of models
        has_donors=True,
    )


def read_sdss_griz(folder=REAL_DATA):
    """Read SDSS with nothing but griz: what few bands are worth."""
    table = read_sdss(folder)
    nine = {f"ps1.{b}": f"sdss.{b}" for b in "griz"}
    table.meta |= {"name": "SDSS griz", "bands": list(nine.values()), "nine": nine}
    return table


def read_dc2(folder=RAIL_DATA):
    """
    Simulated galaxies of LSST's Data Challenge 2 as RAIL tests codes on: ugrizy.

    From the folder ``rail/examples_data/testdata`` of the wheel of pz-rail-base, which
    `RAIL_DATA` names: 5,000 at random of the file for training are fold 0, which is
    never tested on, 5,000 of the file for validation are fold 1. Both are of one field
    and one simulation. No dust; 99 is no detection; errors are those of the magnitudes.
    """
    parts = []
    for kind in ("training", "validation"):
        path = folder / f"test_dc2_{kind}_9816.hdf5"
        with h5py.File(path) as file:
            part = Table({k: v[:] for k, v in file["photometry"].items()})
        rows = np.random.default_rng(0).permutation(len(part))[:5000]
        parts.append(part[np.sort(rows)])
    data = vstack(parts)
    n = len(data)
    table = _start(np.zeros(n), np.zeros(n), data["redshift"], ebv=0.0)
    for band in "ugrizy":
        mag, error = (data[f"mag_{e}{band}_lsst"] for e in ("", "err_"))
        mag = np.where(np.asarray(mag) < 90, mag, np.nan)
        _add_magnitudes(table, f"lsst.{band}", mag, error)
    table = _finish(
        table,
        name="DC2",
        bands=" ".join(f"lsst.{band}" for band in "ugrizy"),
        bright="lsst.i",
        nine={f"ps1.{band}": f"lsst.{band}" for band in "grizy"},
        cells=np.arange(n),
        folds=np.repeat([0, 1], [len(part) for part in parts]),
        by="files of the wheel",
        aperture="total",
    )
    table["is_donor"] = table["fold"] == 0
    return table


READERS = (read_stripe82, read_zcosmos, read_sdss, read_sdss_griz, read_frb_hosts)


def magnitudes(table, bands=None):
    """AB magnitudes (n, n_band) of a table's fluxes; NaN where there is none."""
    flux, _ = fluxes(table, bands)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(flux > 0, 31.4 - 2.5 * np.log10(flux), np.nan)


def fluxes(table, bands=None):
    """Flux and its error in nJy, each (n, n_band); NaN where there is none."""
    return tuple(
        np.stack([_plain(table, _column(b, kind)) for b in bands or _bands(table)], 1)
        for kind in ("flux", "flux_err")
    )


def as_nine_bands(table):
    """Rename the bands that stand in for those of the nine-band model."""
    renamed = table["coord", "z_spec", "ebv", "fold", "cell", "is_donor"]
    for band, stand_in in table.meta["nine"].items():
        for kind in ("flux", "flux_err"):
            renamed[_column(band, kind)] = table[_column(stand_in, kind)]
    return renamed


def without_dust(table):
    """Correct for extinction where E(B-V) is given."""
    corrected = table.copy()
    known = np.nan_to_num(table["ebv"])
    for band, per_ebv in extinction_coefficients(_bands(table)).items():
        for kind in ("flux", "flux_err"):
            corrected[_column(str(band), kind)] *= 10 ** (0.4 * per_ebv * known)
    corrected["ebv"] = 0 * table["ebv"]  # what is not known stays so
    return corrected


def _bands(table):
    return table.meta["bands"]


def _start(ra, dec, z_spec, ebv=np.nan):
    register_surveys()
    z_spec = np.asarray(z_spec, float)
    return QTable(
        {
            "coord": SkyCoord(np.asarray(ra), np.asarray(dec), unit="deg"),
            "z_spec": z_spec,
            "ebv": np.broadcast_to(ebv, z_spec.shape).astype(float),
        }
    )


def _finish(
    table,
    *,
    name,
    bands,
    bright,
    nine,
    cells,
    folds,
    by,
    aperture="",
    has_donors=False,
):
    table["cell"], table["fold"] = np.asarray(cells), np.asarray(folds)
    table["is_donor"] = has_donors & (table["fold"] == 0)  # `fit_population.py`
    table.meta = {"name": name, "bands": bands.split(), "bright": bright}
    table.meta |= {"nine": nine, "folds": by, **FluxState(aperture=aperture).to_meta()}
    return table


def _add_magnitudes(table, band, mag, error, *, system="ab"):
    """Add a band from magnitudes; those below 0, or with errors below 0, are none."""
    mag = np.ma.filled(np.ma.asarray(mag, float), np.nan)
    error = np.ma.filled(np.ma.asarray(error, float), np.nan)
    mag = np.where((mag > 0) & ~(error < 0), mag, np.nan)
    if system == "vega":
        mag += get_band(band).vega_to_ab
    flux = 3631e9 * 10 ** (-0.4 * mag)
    _add(table, band, flux, flux * error * np.log(10) / 2.5)


def _add(table, band, flux, error):
    error = np.where(np.isfinite(flux), error, np.nan)
    table[_column(band)] = Masked(flux * u.nJy, mask=np.isnan(flux))
    table[_column(band, "flux_err")] = Masked(error * u.nJy, mask=np.isnan(error))


def _column(band, kind="flux"):
    return f"{kind}_{band.replace('.', '_')}"


def _plain(table, name):
    """Values of a masked column in nJy, NaN where masked or not there."""
    if name not in table.colnames:
        return np.full(len(table), np.nan)
    column = table[name]
    values = np.array(column.unmasked.to_value(u.nJy))
    values[column.mask] = np.nan
    return values


def _slices(position, n):
    """Number of the slice, of n that hold as many, that each position is in."""
    rank = np.argsort(np.argsort(position))
    return rank * n // len(rank)


def _pixels(coord, nside):
    return HEALPix(nside, frame="icrs").skycoord_to_healpix(coord)
