"""`ModelCard`: all that a file of weights implies."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mantis_astro.bands import get_band, register_plain_surveys, surveys_to_plain
from mantis_astro.exceptions import InputSpecError, MissingBandError
from mantis_astro.records import from_plain, printable, to_plain

if TYPE_CHECKING:
    pass

__all__ = ["CARD_KEY", "UNIFORM", "ModelCard", "read_card"]

#: Key of the card, as JSON, in the metadata of a file of weights.
CARD_KEY = "mantis_astro.card"

#: ``training_prior`` of a training that drew each redshift bin equally often.
UNIFORM = "uniform per class"

_TEXTS = (
    "name",
    "description",
    "training_sample",
    "training_prior",
    "performance",
    "caveats",
    "licence",
    "file",
    "sha256",
)


@dataclass(frozen=True)
class ModelCard:
    """
    All that a file of weights implies.

    Attributes
    ----------
    name : str
        Name of the model.
    network : EarlyFusionConfig, LateFusionConfig or PhotometricConfig
        Its network, with all sizes.
    spec : InputSpec or PhotometrySpec
        What it reads.
    z_edges : tuple of float
        Edges of the redshift bins.
    description : str
        What it is, in a sentence or two.
    training_sample : str
        What it was trained on.
    training_prior : str
        The n(z) that its p(z) carry, in words: ``"uniform per class"`` for
        class-balanced training, or what else.
    n_of_z : sequence of float or None
        The same in numbers: probability of each redshift bin, kept as a tuple with sum
        1. None where it is not known; equal numbers follow from ``"uniform per
        class"``.
    performance : str
        What it reached, on which galaxies.
    caveats : str
        Where not to trust it.
    citations : tuple of str
        ADS bibcodes or arXiv numbers to cite.
    licence : str
        Licence of the weights.
    file : str
        Name of the file of weights in the table of `mantis_astro.files`; empty if the
        weights are in the package, in a file of the user's, or not public.
    sha256 : str
        SHA-256 of the file, once that is known.
    placeholder : bool
        Whether it is a stand-in that was never trained for science.
    smoothing : float
        Width, in units of 1 + z, that every p(z) is smoothed by, see
        `~mantis_astro.RedshiftPDF.smooth`; 0 for none.
    recalibration : dict or None
        Recalibrator that every p(z) goes through then, as its ``to_plain`` gives it;
        see `~mantis_astro.calibration`.
    reference : `~mantis_astro.shift.ReferenceStatistics` or None
        What the training set looks like to the network, once the weights are loaded;
        stored beside them, not in the card. None for models without.

    Examples
    --------
    >>> from mantis_astro.models import get_card
    >>> card = get_card("mantis-shrimp-early")
    >>> card.n_bins, card.bin_edges[:3].tolist(), card.ebv_maps
    (400, [0.0, 0.002, 0.006], ('csfd', 'planck'))
    >>> card.training_prior, card.n_of_z[:2]
    ('uniform per class', (0.0025, 0.0025))
    """

    name: str
    network: Any
    spec: Any
    z_edges: tuple[float, ...]
    description: str = ""
    training_sample: str = ""
    training_prior: str = ""
    n_of_z: tuple[float, ...] | None = None
    performance: str = ""
    caveats: str = ""
    citations: tuple[str, ...] = ()
    licence: str = ""
    file: str = ""
    sha256: str = ""
    placeholder: bool = False
    smoothing: float = 0.0
    recalibration: dict | None = None
    reference: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self):
        # as it comes back from a file, so that cards compare equal
        plain = from_plain(to_plain(self.recalibration))
        object.__setattr__(self, "recalibration", plain)
        for name in _TEXTS:  # they are shown, and written to headers
            object.__setattr__(self, name, printable(getattr(self, name)))
        citations = tuple(printable(citation) for citation in self.citations)
        object.__setattr__(self, "citations", citations)
        edges = np.asarray(self.z_edges, float)
        increasing = edges.ndim == 1 and len(edges) > 1 and (np.diff(edges) > 0).all()
        if not increasing or edges[0] < 0 or not np.isfinite(edges[-1]):
            msg = (
                "'z_edges' must be increasing finite numbers from 0 up, at least two, "
                f"got {edges}"
            )
            raise InputSpecError(msg)
        width = self.smoothing
        if not isinstance(width, int | float) or not 0 <= width < 1:
            msg = f"'smoothing' must be from 0 to below 1, got {width!r}"
            raise InputSpecError(msg)
        try:
            for band in self.spec.bands:
                get_band(band)
        except MissingBandError as error:
            msg = f"{error}; register the model's survey before it is loaded"
            raise InputSpecError(msg) from error
        if self.network.n_bins != len(edges) - 1:
            msg = (
                f"the network has {self.network.n_bins} redshift bins, 'z_edges' "
                f"makes {len(edges) - 1}"
            )
            raise InputSpecError(msg)
        if self.network.n_ebv != len(self.spec.ebv_maps):
            msg = (
                f"the network reads {self.network.n_ebv} values of E(B-V), the spec "
                f"gives {len(self.spec.ebv_maps)}"
            )
            raise InputSpecError(msg)
        object.__setattr__(self, "n_of_z", self._as_n_of_z())

    def _as_n_of_z(self):
        """Check the n(z), or derive it from the words."""
        if self.n_of_z is None:
            return self._uniform if self.training_prior == UNIFORM else None
        values = np.asarray(self.n_of_z, float)
        if (
            values.shape != (self.n_bins,)
            or not (np.isfinite(values) & (values >= 0)).all()
            or not values.any()
        ):
            msg = (
                f"'n_of_z' must be a probability for each of the {self.n_bins} bins, "
                f"finite, not negative and not all 0, got {_short(values)}"
            )
            raise InputSpecError(msg)
        if abs(values.sum() - 1) > 1e-9:  # else a copy of a card would differ from it
            values = values / values.sum()
        return tuple(values.tolist())

    @property
    def _uniform(self):
        return (1 / self.n_bins,) * self.n_bins

    def __repr__(self):
        return f"<{type(self).__name__} {self.name}: {self.network.kind}>"

    @property
    def bin_edges(self) -> np.ndarray:
        """Edges of the redshift bins, a `~numpy.ndarray` of shape (n_bins + 1,)."""
        return np.array(self.z_edges, float)

    @property
    def n_bins(self) -> int:
        """Number of redshift bins."""
        return len(self.z_edges) - 1

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands that the model reads."""
        return self.spec.bands

    @property
    def ebv_maps(self) -> tuple[str, ...]:
        """Names of the dust maps that the network reads, in order."""
        return self.spec.ebv_maps

    @property
    def ebv_default(self) -> tuple[float, ...]:
        """E(B-V) for each map where none is given."""
        return self.spec.ebv_default

    @property
    def is_photometric(self) -> bool:
        """Whether it reads a table of fluxes rather than images."""
        return self.spec.reads_tables

    def to_plain(self) -> dict:
        """
        Convert the card to values that JSON can store.

        Returns
        -------
        dict
            All attributes but ``reference``, and ``n_of_z`` only where it does not
            follow from ``training_prior``; ``surveys``, where bands are not the
            package's own. `from_plain` takes it.
        """
        left_out = {"reference"}
        if self.n_of_z is None or self.training_prior == UNIFORM:
            left_out.add("n_of_z")
        names = [f.name for f in fields(self) if f.name not in left_out]
        plain = {name: to_plain(getattr(self, name)) for name in names}
        surveys = surveys_to_plain(self.spec.bands)
        return plain | ({"surveys": surveys} if surveys else {})

    @classmethod
    def from_plain(cls, plain: dict) -> Self:
        """
        Create a card from the output of `to_plain`.

        Surveys that came with it are registered, unless there are some of that name.

        Parameters
        ----------
        plain : dict
            All attributes.

        Returns
        -------
        ModelCard
            The card.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if it is not such a dictionary.
        """
        try:
            plain = dict(plain)
            register_plain_surveys(plain.pop("surveys", ()))
            return cls(**from_plain(plain))
        except InputSpecError:
            raise
        except ValueError as error:
            msg = f"this is no model card: {error}"
            raise InputSpecError(msg) from error
        except RecursionError:
            msg = "this is no model card: it is nested too deeply"
            raise InputSpecError(msg) from None
        except (TypeError, AttributeError, LookupError, OverflowError) as error:
            msg = f"this is no model card: {error}"
            raise InputSpecError(msg) from error


def _short(values):
    return values if values.size < 5 else f"an array of shape {values.shape}"


def read_card(path):
    """
    Read the card inside a file of weights, and nothing else of it.

    Parameters
    ----------
    path : `~pathlib.Path`
        A ``.safetensors`` file.

    Returns
    -------
    ModelCard or None
        None if there is no card inside.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if the card cannot be understood.
    """
    with path.open("rb") as stream:  # eight bytes of length, then JSON
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    text = header.get("__metadata__", {}).get(CARD_KEY)
    if text is None:
        return None
    try:
        return ModelCard.from_plain(json.loads(text))
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else error
        msg = f"the card inside {path} cannot be understood: {what}"
        raise InputSpecError(msg) from error
