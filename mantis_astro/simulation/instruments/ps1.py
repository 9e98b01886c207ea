"""Pan-STARRS1: stacks warped onto skycells, whose pixels share noise."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mantis_astro.bands import get_survey
from mantis_astro.simulation.instruments.instrument import Exposure, Instrument
from mantis_astro.simulation.instruments.placement import Placement
from mantis_astro.simulation.instruments.skycells import find_skycells

__all__ = ["PS1"]

# Warping onto skycells shares a pixel's noise with its neighbours: a correlation of
# 0.205 with the next and -0.02 to 0.01 with the one after, measured in three fields.
_SHARED = 0.105
_TAPS = np.array([_SHARED, 1.0, _SHARED]) / np.sqrt(1 + 2 * _SHARED**2)


@dataclass(frozen=True, eq=False, kw_only=True)
class _PanStarrs1(Instrument):
    times: Mapping  # median exposure, and that of one image of a stack (s)

    def chances(self, of_survey, of_band):  # noqa: ARG002
        return of_band[:, 4], of_band[:, 5]  # each band comes and goes alone

    def expose(self, band, of_survey, normal):  # noqa: ARG002
        median, step = self.times[band.name]
        time = step * np.maximum(
            np.rint(median / step * np.exp(0.25 * normal[:, 1])), 3
        )
        sky = np.exp(0.1 * normal[:, 2])  # airglow, moon, extinction
        return Exposure(time, 0.0, self.noise[band.name] * sky / np.sqrt(time))

    def place(self, coords):
        """
        Cut out of skycells, the nearest pixel in the middle.

        Where skycells overlap, out of the first; south of them all, out of one around
        the target.
        """
        icrs = coords.icrs
        ny, nx = get_survey(self.survey).shape
        middle = np.array([nx - 1, ny - 1]) / 2
        rows = []
        for position in zip(icrs.ra.deg.tolist(), icrs.dec.deg.tolist(), strict=True):
            tangent, pixel, turn = _on_skycell(*position)
            offset = pixel - np.round(pixel - middle) - middle
            rows.append((*tangent, *(offset + middle - pixel + 1), *offset, turn))
        table = np.array(rows, dtype=float).reshape(-1, 7)
        return Placement(table[:, :2], table[:, 2:4], table[:, 4:6], table[:, 6])

    @staticmethod
    def write_matrix(wcsprm, scale):
        wcsprm.cdelt, wcsprm.pc = [scale, scale], [[-1.0, 0.0], [0.0, 1.0]]


def _on_skycell(ra, dec):
    """Tangent point (degrees), pixel from there, and the turn of the y axis."""
    cells = find_skycells(ra, dec)
    if not cells:
        return (ra, dec), np.zeros(2), 0.0
    x, y = cells[0].pixel(ra, dec)
    step = 1e-3 if dec < 89 else -1e-3
    x_north, y_north = cells[0].pixel(ra, dec + step)
    # north lies at this angle from y towards the left, where east is
    turn = -np.arctan2((x - x_north) * step, (y_north - y) * step)
    return cells[0].crval, np.array([x, y]), float(turn)


#: Noise is that of a pixel times the root of the exposure, in nJy s^0.5; from J0028
#: and, in r and i, FRB 190608, which agree to 2 %. The PSF's exponent is 2.3 to 2.7 for
#: a bright star beside J0028 in the five bands. A pixel saturates at 60,000 adu in an
#: exposure of 43 s (one adu/s is 25 mag).
PS1 = _PanStarrs1(
    survey="ps1",
    moffat_beta=2.5,
    psf_scatter=0.10,
    missing={"ps1": 0.02},
    noise={"g": 820.0, "r": 1315.0, "i": 1580.0, "z": 2480.0, "y": 7100.0},
    gain=dict.fromkeys("grizy", 1.0),
    times={
        "g": (780.0, 43.0),
        "r": (900.0, 40.0),
        "i": (1500.0, 30.0),
        "z": (780.0, 30.0),
        "y": (840.0, 30.0),
    },
    taps=tuple(_TAPS.tolist()),
    saturation=60_000 * 363.1 / 43.0,
    saturated_brightness=4e6,
    gaps=0.012,
    centred=False,
)
