"""Donors: mixtures of templates fitted to real galaxies, and the choice among them."""

from functools import cached_property, lru_cache
from importlib.resources import files

import numpy as np

from mantis_astro.simulation.population.templates import N_STELLAR, TemplateGrid

__all__ = ["DONOR_SETS", "Donors"]

#: Sets of donors: three that have none in common, and all.
DONOR_SETS = ("train", "validation", "test", "all")

# Cells in which one distribution over the donors is used
_Z_STEP, _M_STEP = 0.05, 0.5  # ln(1 + z), mag
_M_EDGES = np.arange(-25.5, -14.4, _M_STEP)
_Z_EDGES = np.arange(0, 1.11, _Z_STEP)
# How near a donor should be, ln(1 + z) of blue and red, and mag. Red galaxies evolve
# less than their number at high redshift varies from field to field: the tables have
# luminous ones at low, faint ones at high redshift, and both are needed.
_Z_WIDTH, _M_WIDTH = (0.05, 0.12), 0.45


class Donors:
    """
    Spectra of real galaxies as mixtures of templates (see the recipe's program).

    Parameters
    ----------
    which : {"all", "train", "validation", "test"}
        All, or a half or one of two quarters that have no donor in common.

    Attributes
    ----------
    share : `~numpy.ndarray`
        Coefficients of the stellar templates, with sum 1, shape (n, N_STELLAR).
    number : `~numpy.ndarray`
        Number of each donor among all.
    red : `~numpy.ndarray` of bool
        Whether it is on the red side of the cut of Loveday et al. (2012, MNRAS 420,
        1239, section 2.4).
    """

    def __init__(self, which):
        if which not in DONOR_SETS:
            msg = f"'donors' must be one of {', '.join(DONOR_SETS)}; got {which!r}"
            raise ValueError(msg)
        with (files("mantis_astro") / "data" / "galaxies.npz").open("rb") as file:
            facts = dict(np.load(file))
        number = np.arange(len(facts["z"]))
        wanted = {"train": (0, 2), "validation": (1,), "test": (3,)}
        keep = np.isin(number % 4, wanted.get(which, range(4)))
        self.number = number[keep]
        self.share = facts["share"][keep].astype(float)
        self.share /= self.share.sum(axis=1, keepdims=True)
        self.z, self.M_r, self._weight = (
            facts[name][keep].astype(float) for name in ("z", "M_r", "weight")
        )
        # their cut has M - 5 log h
        self.red = facts["colour"][keep] > 0.15 - 0.03 * (self.M_r - 5 * np.log10(0.7))
        cumulative = np.stack([self._distribution(red) for red in (False, True)])
        self._cells = cumulative.shape[:3]
        # all rows joined to one increasing sequence, so that one search does them all
        rows = np.arange(np.prod(self._cells)).reshape(*self._cells, 1)
        self._joined = (cumulative + rows).ravel()

    @classmethod
    @lru_cache(maxsize=4)
    def of(cls, which):
        """
        Read donors, or take them from memory.

        Parameters
        ----------
        which : {"all", "train", "validation", "test"}
            Which donors.

        Returns
        -------
        Donors
            The donors.
        """
        return cls(which)

    def __len__(self):
        return len(self.z)

    def _distribution(self, red):
        """Cumulative weights of donors in each cell, shape (n_z, n_M, n_donor)."""
        z = np.minimum((_Z_EDGES[1:] + _Z_EDGES[:-1]) / 2, np.log1p(1.0))
        M = (_M_EDGES[1:] + _M_EDGES[:-1]) / 2
        in_z = ((z[:, None] - np.log1p(self.z)) / _Z_WIDTH[red]) ** 2
        in_M = ((M[:, None] - self.M_r) / _M_WIDTH) ** 2
        away = in_z[:, None] + in_M[None]
        away[..., self.red != red] = np.inf
        # nearest where none is near
        away -= away.min(axis=-1, keepdims=True)
        weight = np.exp(-away / 2) * self._weight
        return np.cumsum(weight / weight.sum(axis=-1, keepdims=True), axis=-1)

    def choose(self, u, z, M_r, red):
        """
        Choose a donor of like redshift, luminosity and kind.

        Parameters
        ----------
        u : `~numpy.ndarray`
            Uniform numbers, shape (n,).
        z, M_r : `~numpy.ndarray`
            Redshift; absolute magnitude in SDSS r at z = 0.1. Shape (n,).
        red : `~numpy.ndarray` of bool
            Kind, shape (n,).

        Returns
        -------
        `~numpy.ndarray` of int
            Rows of the donors.
        """
        i = np.clip((np.log1p(z) / _Z_STEP).astype(int), 0, len(_Z_EDGES) - 2)
        j = np.floor((M_r - _M_EDGES[0]) / _M_STEP).astype(int)
        j = np.clip(j, 0, len(_M_EDGES) - 2)
        row = np.ravel_multi_index((np.asarray(red).astype(int), i, j), self._cells)
        found = np.searchsorted(self._joined, row + u * (1 - 1e-9))
        return np.clip(found - row * len(self), 0, len(self) - 1)

    @cached_property
    def mag_r(self):
        """Magnitude of ``share`` in SDSS r as seen at z = 0.1, shape (n,)."""
        return self._rest_frame[0]

    @cached_property
    def mass_to_light(self):
        """
        Logarithm of the mass in suns, plus 0.4 times `M_r`, shape (n,).

        From the colour g-i as Taylor et al. (2011, MNRAS 418, 1587, eq. 8) have it.
        """
        return self._rest_frame[1]

    @cached_property
    def _rest_frame(self):
        grid = TemplateGrid.of(("sdss_g0", "sdss_r0", "sdss_i0"))
        values = grid.at(np.array([0.0, 0.1]))[:, :N_STELLAR, 0].astype(float)
        g, _, i = 31.4 - 2.5 * np.log10(self.share @ values[0]).T
        r = 31.4 - 2.5 * np.log10(self.share @ values[1][:, 1])
        # r in the galaxy's frame from r seen at 0.1, as for i at 0
        frame = 2.5 * np.log10(1.1)
        M_i_less_M_r = i - (r + 2 * frame)
        return r, 1.15 + 0.7 * (g - i) - 0.4 * M_i_less_M_r
