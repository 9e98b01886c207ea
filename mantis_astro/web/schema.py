"""Models of requests and answers, checked by pydantic and described in OpenAPI."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from mantis_astro.bands import get_band, list_bands
from mantis_astro.exceptions import MissingBandError
from mantis_astro.fluxes import list_filters
from mantis_astro.web.answers import ESTIMATES

__all__ = [
    "Card",
    "Flag",
    "GalaxyOfJob",
    "Job",
    "Options",
    "Page",
    "Prediction",
    "Problem",
    "Schemas",
    "band_names",
]

_BRIGHTEST = 1e15  # nJy
# strict: neither true nor "1" is a number
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Flux(_Strict):
    """A flux density in nJy, as it was observed: not corrected for Galactic dust."""

    flux: Annotated[Number, Field(ge=-_BRIGHTEST, le=_BRIGHTEST)]
    flux_err: Annotated[Number, Field(gt=0, le=_BRIGHTEST)] | None = None


class Magnitude(_Strict):
    """An AB magnitude, as it was observed: not corrected for Galactic dust."""

    mag: Annotated[Number, Field(ge=-10, le=40)]
    mag_err: Annotated[Number, Field(gt=0, le=40)] | None = None


class Problem(BaseModel):
    """Reason for an answer without a result."""

    error: str = Field(description="The reason, in words")


class Survey(BaseModel):
    """A catalogue whose columns are known."""

    name: str
    title: str


class Options(BaseModel):
    """Allowed values of requests, and limits."""

    version: str
    models_of_fluxes: list[str]
    models_of_images: list[str]
    surveys: list[Survey]
    bands: list[str]
    limits: dict[str, float]


class FlagWords(BaseModel):
    """One quality flag."""

    name: str
    sentence: str


class Flag(FlagWords):
    """One quality flag, and its bit."""

    bit: int
    value: int


class Card(BaseModel):
    """Description of a model."""

    name: str
    description: str
    reads: Literal["fluxes", "images"]
    bands: list[str] = Field(description="Empty for a model of any bands")
    bin_edges: list[float]
    training_sample: str
    training_prior: str
    performance: str
    caveats: str = Field(description="Known limits of the model")
    citations: list[str]
    licence: str
    sha256: str
    placeholder: bool


class Job(BaseModel):
    """Progress of a job."""

    id: str = Field(description="Secret name, which gives access to the result")
    title: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    message: str
    done: int
    total: int
    before: int = Field(description="Jobs that are before it in the queue")
    rows: int
    model: str | None
    notes: list[str]


class Cutout(BaseModel):
    """One band of a galaxy."""

    band: str
    title: str
    state: Literal["ok", "no_coverage", "failed"]
    message: str
    side_arcsec: float
    url: str | None


_summary: Any = {
    "row": (int, ...),
    "id": (str, ...),
    **{
        d.name: (float | None, Field(None, description=d.description))
        for d in ESTIMATES
    },
    "flags": (int, Field(..., description="Quality bits")),
    "flag_words": (list[FlagWords], ...),
}
Summary = create_model("Summary", __doc__="Estimates of one galaxy.", **_summary)
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
_whole: Any = {
    "bands_used": (list[str], ...),
    "hpd68": (list[Pair], Field(..., description="Highest-density region of 68 %")),
    "hpd95": (list[Pair], Field(..., description="Highest-density region of 95 %")),
    "p_z": (list[float], Field(..., description="Probability of each redshift bin")),
}
Galaxy = create_model(
    "Galaxy", __base__=Summary, __doc__="All about one galaxy.", **_whole
)
_of_result: Any = {
    "model": (str, ...),
    "sha256": (str, ...),
    "bin_edges": (list[float], ...),
    "citations": (list[str], ...),
}
Prediction = create_model(
    "Prediction",
    __doc__="Estimates and p(z) of some galaxies.",
    galaxies=(list[Galaxy], ...),
    **_of_result,
)
GalaxyOfJob = create_model(
    "GalaxyOfJob",
    __base__=Galaxy,
    __doc__="All about one galaxy of a job.",
    cutouts=(list[Cutout], ...),
    **_of_result,
)
Page = create_model(
    "Page",
    __doc__="Some rows of the result of a job.",
    rows=(int, Field(..., description="Total number")),
    galaxies=(list[Summary], ...),
)


def band_names() -> list[str]:
    """
    List the bands that a request may name.

    Returns
    -------
    list of str
        Those with cutouts, then all filters.
    """
    named = [*map(str, list_bands()), *(str(get_band(name)) for name in list_filters())]
    return list(dict.fromkeys(named))


class Schemas:
    """
    Requests, whose allowed values depend on what a server offers.

    Parameters
    ----------
    for_fluxes, for_images : iterable of str
        Names of models.
    surveys : iterable of str
        Names of catalogues.
    n_galaxies : int
        Galaxies in one request.
    """

    def __init__(
        self,
        for_fluxes: Iterable[str],
        for_images: Iterable[str],
        surveys: Iterable[str],
        n_galaxies: int,
    ) -> None:
        names: Any = Literal[tuple(band_names())]

        class GalaxyAsked(_Strict):
            """Measurements of one galaxy."""

            id: str = Field("", max_length=200)
            photometry: dict[names, Flux | Magnitude] = Field(
                min_length=1,
                max_length=100,
                description="Fluxes or magnitudes by band, such as ps1.g or decam_g",
            )
            ebv: Annotated[Number, Field(ge=0, le=10)] | None = Field(
                None, description="Galactic E(B-V) in magnitudes"
            )

            @field_validator("photometry", mode="before")
            @classmethod
            def _settle_names(cls, value: Any) -> Any:
                """Normalise the names of bands."""
                if not isinstance(value, dict):
                    return value
                settled = {_settled(band): one for band, one in value.items()}
                if len(settled) < len(value):
                    msg = "'photometry' names a band twice"
                    raise ValueError(msg)
                return settled

        flux_models: Any = _one_of(for_fluxes)
        image_models: Any = _one_of(for_images)

        class Fluxes(_Strict):
            """Galaxies with fluxes, to be predicted."""

            model: flux_models | None = Field(
                None, description="By default the first that reads fluxes"
            )
            galaxies: list[GalaxyAsked] = Field(min_length=1, max_length=n_galaxies)

        class Position(_Strict):
            """A galaxy somewhere on the sky."""

            target: str = Field(
                min_length=1,
                max_length=200,
                description="A name, or coordinates: two numbers in degrees, "
                "sexagesimal, or galactic as 'galactic 102.04 59.77'",
            )
            model: image_models | None = Field(
                None, description="By default the first that reads images"
            )
            ebv: Annotated[Number, Field(ge=0, le=10)] | None = Field(
                None, description="Galactic E(B-V) in magnitudes"
            )

        self.fluxes, self.position = Fluxes, Position
        self.any_model = _one_of([*for_images, *for_fluxes])
        self.survey = _one_of(surveys)


def _one_of(names):
    names = tuple(dict.fromkeys(names))
    return Literal[names] if names else Literal["no model of this kind is offered"]


def _settled(band):
    try:
        return str(get_band(band))
    except MissingBandError as error:
        raise ValueError(str(error)) from error
