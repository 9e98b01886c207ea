"""GALEX: photons are counted, and the sky is subtracted."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtri

from mantis_astro.simulation.instruments.instrument import Exposure, Instrument

__all__ = ["GALEX"]

# All-sky survey and, for a part of the sky, medium-deep exposures (s).
_DEEP, _TIMES = 0.12, (150.0, 1500.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Galex(Instrument):
    sky: Mapping  # counts/s per pixel of 1.5 arcsec

    def chances(self, of_survey, of_band):  # noqa: ARG002
        return of_survey[:, 0], of_survey[:, 4]

    def expose(self, band, of_survey, normal):
        deep = of_survey[:, 2] < _DEEP
        # one exposure for both bands
        time = np.where(deep, *_TIMES[::-1]) * np.exp(
            0.2 * ndtri(of_survey[:, 5:7])[:, 0]
        )
        return Exposure(time, self.sky[band.name] * np.exp(0.25 * normal[:, 1]), 0.0)

    def add_noise(self, flux, depth, generators, bands):  # noqa: ARG002
        unit, sky, time = (
            x[..., None, None] for x in (depth.unit, depth.sky, depth.exposure_time)
        )
        expected = ((flux / unit).clamp(min=0) + sky) * time
        counts = torch.empty_like(expected)
        for i, generator in enumerate(generators):
            counts[i] = torch.poisson(expected[i], generator=generator)
        return (counts / time - sky) * unit


#: The sky is measured in the images of IC 494, where the zodiacal light is strong, and
#: a little less here. FUV's detector failed in 2009. The PSF's shape is assumed.
GALEX = _Galex(
    survey="galex",
    moffat_beta=3.5,
    psf_scatter=0.05,
    missing={"galex": 0.3, "galex.FUV": 0.08},
    sky={"NUV": 2.9e-3, "FUV": 3.4e-4},
)
