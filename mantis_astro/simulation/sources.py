"""`Sources`: the light on the sky around many targets, as the renderer reads it."""

from dataclasses import dataclass, fields

import numpy as np

__all__ = ["Sources"]


@dataclass(frozen=True)
class Sources:
    """
    Sersic profiles and points on the sky around many targets, one row each.

    A galaxy is one row or two: a disc and a bulge, each with fluxes of its own, which
    makes a colour gradient. Everything is the same in all bands but the flux.

    Attributes
    ----------
    target : `~numpy.ndarray`
        Which target's image a row belongs to, shape (n_source,), int, ascending.
    east, north : `~numpy.ndarray`
        Offset from the target's position, arcsec, shape (n_source,).
    flux : `~numpy.ndarray`
        Total flux in nJy above the atmosphere and after Galactic dust, shape
        (n_source, n_band).
    radius : `~numpy.ndarray`
        Half-light radius along the major axis, arcsec; 0 for a point. Shape
        (n_source,).
    sersic : `~numpy.ndarray`
        Sersic index, shape (n_source,).
    axis_ratio : `~numpy.ndarray`
        Minor over major axis, from 0 to 1, shape (n_source,).
    position_angle : `~numpy.ndarray`
        Of the major axis, radians from north through east, shape (n_source,).
    """

    target: np.ndarray
    east: np.ndarray
    north: np.ndarray
    flux: np.ndarray
    radius: np.ndarray
    sersic: np.ndarray
    axis_ratio: np.ndarray
    position_angle: np.ndarray

    def __len__(self):
        return len(self.target)

    def __getitem__(self, rows):
        """Return the chosen rows; ``target`` keeps its numbers."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def concatenate(cls, parts):
        """
        Join sources of the same targets, ordered by target.

        Parameters
        ----------
        parts : sequence of Sources
            With the same bands, and the same numbering of targets.

        Returns
        -------
        Sources
            All rows, those of one target next to each other.
        """
        joined = cls(
            *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls))
        )
        return joined[np.argsort(joined.target, kind="stable")]
