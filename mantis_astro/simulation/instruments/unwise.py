"""Noise of unWISE: Gaussian, and the light of galaxies too faint to see behind it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from mantis_astro.simulation.instruments.instrument import Exposure, Instrument
from mantis_astro.simulation.instruments.noise import draw_normal, toeplitz

__all__ = ["UNWISE"]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Unwise(Instrument):
    confusion: Mapping  # standard deviation in nJy per pixel, the same light in all

    def chances(self, of_survey, of_band):
        return of_survey[:, 1], of_band[:, 4]

    def expose(self, band, of_survey, normal):
        # of ecliptic latitude: coverage grows towards the poles
        cos = np.maximum(np.sqrt(1 - of_survey[:, 3] ** 2), 1 / 8)
        noise = self.noise[band.name] * np.sqrt(cos) * np.exp(0.1 * normal[:, 1])
        return Exposure(self.exposure_time, 0.0, noise)

    def add_noise(self, flux, depth, generators, bands):
        n_band, ny, nx = flux.shape[1:]
        taps = _psf_taps()
        Y, X = toeplitz(taps, ny), toeplitz(taps, nx)
        size, wide = n_band * ny * nx, (Y.shape[1], X.shape[1])
        normal = draw_normal(generators, size + wide[0] * wide[1])
        white = normal[:, :size].view(-1, n_band, ny, nx)
        faint = Y @ normal[:, size:].view(-1, 1, *wide) @ X.T
        confusion = torch.tensor([self.confusion[band.name] for band in bands])
        sigma = self.variance(flux, depth, bands).sqrt()
        return flux + white * sigma + faint * confusion[:, None, None]


def _psf_taps():
    """Kernel that turns white noise into confusion: correlated as the PSF."""
    sigma = 6.1 / 2.355 / 2.75
    taps = np.exp(-0.5 * (np.arange(-3, 4) / sigma) ** 2)
    return taps / np.sqrt(np.sum(taps**2))


#: Noise is that of a pixel on the ecliptic, from the inverse variance of tile 1866p257
#: (ecliptic latitude 26 degrees); with the confusion its pixels scatter as they do. The
#: gain is that of about 150 exposures of 3.2 electrons per DN, 6.3 or 15.8 Vega
#: nanomaggies per DN. The PSF's shape is assumed.
UNWISE = _Unwise(
    survey="unwise",
    moffat_beta=4.765,
    psf_scatter=0.02,
    missing={"unwise": 0.02},
    noise={"W1": 466.0, "W2": 981.0},
    gain={"W1": 76.0, "W2": 36.0},
    confusion={"W1": 450.0, "W2": 420.0},
)
