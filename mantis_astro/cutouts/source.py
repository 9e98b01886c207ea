"""Sources of cutouts: the protocol, and the three results of a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

    from mantis_astro.bands import Band, BandLike
    from mantis_astro.cutouts.multiband import MultibandCutout

__all__ = [
    "NO_COVERAGE",
    "OK",
    "CutoutResult",
    "CutoutSource",
    "CutoutStatus",
    "failed",
]

#: Index of a position, its cutouts, and how the request for each band ended.
CutoutResult: TypeAlias = "tuple[int, MultibandCutout, dict[Band, CutoutStatus]]"

#: File by which a folder is known to be a `~mantis_astro.CutoutStore`.
STORE_MANIFEST = "manifest.sqlite"

_STATES = ("ok", "no_coverage", "failed")


@dataclass(frozen=True)
class CutoutStatus:
    """
    Result of the request for one band of one object.

    Attributes
    ----------
    state : str
        ``"ok"``, ``"no_coverage"`` (the survey never looked there) or ``"failed"``
        (asking again may help).
    message : str
        Why, in a sentence; empty if ok.

    Examples
    --------
    >>> from mantis_astro.cutouts import failed
    >>> str(failed("time-out after 30 s"))
    'failed: time-out after 30 s'
    """

    state: str
    message: str = ""

    def __post_init__(self):
        if self.state not in _STATES:
            msg = f"'state' must be one of {', '.join(_STATES)}, got {self.state!r}"
            raise ValueError(msg)

    def __str__(self):
        return f"{self.state}: {self.message}" if self.message else self.state

    @property
    def is_ok(self) -> bool:
        """Whether there is a cutout."""
        return self.state == "ok"

    @property
    def is_final(self) -> bool:
        """Whether another request would give the same result."""
        return self.state != "failed"


OK = CutoutStatus("ok")
NO_COVERAGE = CutoutStatus("no_coverage")


def failed(message: str) -> CutoutStatus:
    """
    Create the status of a failed request.

    Parameters
    ----------
    message : str
        Why, in a sentence.

    Returns
    -------
    CutoutStatus
        Status with state ``"failed"``.
    """
    return CutoutStatus("failed", message)


@runtime_checkable
class CutoutSource(Protocol):
    """
    Anything that turns positions into cutouts: survey servers, a store, a folder.

    One method is all it takes; the object need not inherit from this class.
    """

    def iter_cutouts(
        self, coords: SkyCoord, bands: Iterable[BandLike]
    ) -> Iterator[CutoutResult]:
        """
        Yield the cutouts of each position.

        Parameters
        ----------
        coords : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,).
        bands : sequence of Band or str
            Bands wanted.

        Yields
        ------
        index : int
            Index into ``coords``; each index comes exactly once, in any order.
        cutouts : MultibandCutout
            The bands that are ok; the others are absent.
        statuses : dict of Band to CutoutStatus
            One status for each band asked for.
        """
