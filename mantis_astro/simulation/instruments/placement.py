"""Positions of the pixels of a survey's cutouts on the sky."""

from dataclasses import dataclass, fields, replace

import numpy as np

__all__ = ["Placement"]


@dataclass(frozen=True, eq=False)
class Placement:
    """
    Positions of the cutouts of one survey, for many targets.

    Attributes
    ----------
    crval : `~numpy.ndarray`
        Tangent points, degrees, shape (n, 2).
    crpix : `~numpy.ndarray`
        Pixels of the tangent points, counted from 1, shape (n, 2).
    offset : `~numpy.ndarray`
        Of the target from the middle of the cutout, pixels, shape (n, 2).
    turn : `~numpy.ndarray`
        Position angle of the image's y axis, radians from north through east, shape
        (n,).
    """

    crval: np.ndarray
    crpix: np.ndarray
    offset: np.ndarray
    turn: np.ndarray

    def __len__(self):
        return len(self.turn)

    def __getitem__(self, rows):
        """Return the placement of the chosen targets."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    def see(self, sources, pixel_scale):
        """
        See sources from the images.

        Parameters
        ----------
        sources : Sources
            Around these targets.
        pixel_scale : float
            In arcsec.

        Returns
        -------
        Sources
            With offsets from the middle of the cutout along its axes, and position
            angles from its y axis.
        """
        if not (self.turn.any() or self.offset.any()):
            return sources
        turn = self.turn[sources.target]
        sin, cos = np.sin(turn), np.cos(turn)
        shift = self.offset[sources.target] * pixel_scale
        return replace(
            sources,
            east=sources.east * cos - sources.north * sin - shift[:, 0],
            north=sources.north * cos + sources.east * sin + shift[:, 1],
            position_angle=sources.position_angle - turn,
        )
