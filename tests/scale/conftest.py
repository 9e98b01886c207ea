"""Galaxies with fluxes, and what `PhotoZ.add_redshifts` says of them."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from astropy.utils.masked import Masked

from mantis_astro import PhotoZ
from mantis_astro.exceptions import OutOfDistributionWarning
from mantis_astro.flags import Flag
from mantis_astro.redshift_table import add_redshifts as whole

MODEL = "simulated-photometric"
N = 90
ESTIMATES = ("z_median", "z_risk", "z_err68_low", "odds", "n_peaks", "ood_score")


def make_galaxies(n=N, seed=0):
    """Columns of a catalogue, some fluxes missing, the tenth row without any."""
    rng = np.random.default_rng(seed)
    columns = {"id": np.arange(n)}
    columns["ra"], columns["dec"] = rng.uniform(10, 50, n), rng.uniform(-20, 20, n)
    for band in "grizy":
        flux = rng.lognormal(10, 1, n)
        flux[rng.random(n) < 0.1] = np.nan
        flux[9::10] = np.nan
        columns[f"flux_ps1_{band}"] = flux
        columns[f"flux_err_ps1_{band}"] = 0.05 * flux + 100
    columns["ebv"] = rng.uniform(0, 0.1, n)
    return columns


def as_table(columns):
    """A table with units and masks, of columns as numbers."""
    table = QTable()
    for name, values in columns.items():
        if name.startswith("flux"):
            table[name] = Masked(values, mask=np.isnan(values)) * u.nJy
        else:
            table[name] = values
    return table


def check_rows(rows, expected, names=ESTIMATES):
    """Rows of a catalogue and of a table that were predicted, alike to the bit."""
    index = rows["id"].to_numpy(dtype=int)
    for name in names:
        theirs = expected[name][index]
        np.testing.assert_array_equal(rows[name].isna(), theirs.mask, name)
        known = ~theirs.mask
        ours = rows[name].to_numpy(dtype=float, na_value=np.nan)
        np.testing.assert_array_equal(ours[known], np.asarray(theirs[known]), name)
    # whether the sample as a whole is unlike the training set is not asked
    flags = np.asarray(expected["flags"][index]) & ~int(Flag.OOD_DOMAIN)
    np.testing.assert_array_equal(rows["flags"], flags)


def counting(asked, stop_after=np.inf):
    """`add_redshifts` that takes note of how many rows it is asked for."""

    def add_redshifts(predictor, table, *arguments, **options):
        if len(asked) > stop_after:
            msg = "broken off"
            raise OSError(msg)
        asked.append(len(table))
        return whole(predictor, table, *arguments, **options)

    return add_redshifts


@pytest.fixture(scope="session")
def photoz():
    return PhotoZ.from_pretrained(MODEL)


@pytest.fixture(scope="session")
def galaxies():
    return make_galaxies()


@pytest.fixture(scope="session")
def expected(photoz, galaxies):
    """The answers of one process."""
    with pytest.warns(OutOfDistributionWarning):  # fluxes are drawn as they come
        return photoz.add_redshifts(as_table(galaxies))
