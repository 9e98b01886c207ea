"""`SkyBox`: a part of the sky between two right ascensions and two declinations."""

from dataclasses import dataclass
from itertools import pairwise, product
from math import ceil, cos, degrees, radians, sin

__all__ = ["SkyBox"]


@dataclass(frozen=True, order=True)
class SkyBox:
    """
    A part of the sky between two right ascensions and two declinations.

    The lower edges belong to it and the upper ones do not, but for the ends of the
    sphere, so that boxes side by side share no position.

    Attributes
    ----------
    ra_low, ra_high : float
        Right ascensions in degrees, 0 to 360.
    dec_low, dec_high : float
        Declinations in degrees.

    Raises
    ------
    ValueError
        If it is empty or not on the sphere.

    Examples
    --------
    >>> from mantis_astro.redshift_surveys import SkyBox
    >>> box = SkyBox(150, 152, 1, 2)
    >>> round(box.area, 2)
    2.0
    >>> box.split()
    (SkyBox(ra_low=150, ra_high=151.0, ...), SkyBox(ra_low=151.0, ...))
    """

    ra_low: float = 0.0
    ra_high: float = 360.0
    dec_low: float = -90.0
    dec_high: float = 90.0

    def __post_init__(self):
        is_good = (
            0 <= self.ra_low < self.ra_high <= 360
            and -90 <= self.dec_low < self.dec_high <= 90
        )
        if not is_good:
            msg = (
                "a box of the sky needs 0 <= ra_low < ra_high <= 360 and -90 <= "
                f"dec_low < dec_high <= 90 (degrees), got {self}; one across ra = 0 "
                "is two boxes"
            )
            raise ValueError(msg)

    def __str__(self):
        return (
            f"ra{self.ra_low:.10g}_{self.ra_high:.10g}"
            f"_dec{self.dec_low:+.10g}_{self.dec_high:+.10g}"
        )

    @property
    def area(self):
        """Solid angle in square degrees, a float."""
        height = sin(radians(self.dec_high)) - sin(radians(self.dec_low))
        return (self.ra_high - self.ra_low) * degrees(height)

    @property
    def sides(self):
        """Widths in right ascension, on the sky, and in declination: degrees."""
        middle = radians((self.dec_low + self.dec_high) / 2)
        return (self.ra_high - self.ra_low) * cos(middle), self.dec_high - self.dec_low

    def split(self):
        """
        Cut the box in two, across its longer side.

        Returns
        -------
        tuple of SkyBox
            The two halves.
        """
        width, height = self.sides
        return tuple(self.cut(*((2, 1) if width > height else (1, 2))))

    def cut(self, n_ra, n_dec):
        """
        Cut the box into equal parts.

        Parameters
        ----------
        n_ra, n_dec : int
            Parts in right ascension and in declination.

        Returns
        -------
        list of SkyBox
            In the order of right ascension.
        """
        ra = _edges(self.ra_low, self.ra_high, n_ra)
        dec = _edges(self.dec_low, self.dec_high, n_dec)
        return [SkyBox(*a, *d) for a, d in product(pairwise(ra), pairwise(dec))]

    def pieces(self, side):
        """
        Cut the box into parts that are not larger than asked for.

        Parameters
        ----------
        side : float
            Longest side in degrees, on the sky in the middle of each part.

        Returns
        -------
        list of SkyBox
            The parts.
        """
        rows = self.cut(1, max(ceil(self.sides[1] / side), 1))
        return [
            box
            for row in rows
            for box in row.cut(max(ceil(round(row.sides[0] / side, 6)), 1), 1)
        ]

    def overlap(self, other):
        """
        Return the overlap of two boxes.

        Parameters
        ----------
        other : SkyBox
            The other.

        Returns
        -------
        SkyBox or None
            None if they share nothing.
        """
        low = max(self.ra_low, other.ra_low), max(self.dec_low, other.dec_low)
        high = min(self.ra_high, other.ra_high), min(self.dec_high, other.dec_high)
        if low[0] >= high[0] or low[1] >= high[1]:
            return None
        return SkyBox(low[0], high[0], low[1], high[1])

    def condition(self, ra, dec):
        """
        Write the condition, in ADQL, that a position lies in the box.

        Parameters
        ----------
        ra, dec : str
            Columns, in degrees.

        Returns
        -------
        str
            The condition.
        """
        below = ["<=" if self.ra_high == 360 else "<"]
        below += ["<=" if self.dec_high == 90 else "<"]
        return (
            f"{ra} >= {self.ra_low:.8f} AND {ra} {below[0]} {self.ra_high:.8f} "
            f"AND {dec} >= {self.dec_low:.8f} AND {dec} {below[1]} {self.dec_high:.8f}"
        )


def _edges(low, high, n):
    return [low, *(low + (high - low) * i / n for i in range(1, n)), high]
