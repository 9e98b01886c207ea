"""
Bands and surveys: the one place for filters, zero points and pixel scales.

One more survey on a server that the package already speaks to is one more
`register_survey` call; nothing else has to change. Every filter of sedpy is a band,
too: one of fluxes in tables, without images.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike

from mantis_astro.exceptions import MissingBandError
from mantis_astro.filters import add_filter, get_filter, list_filters, remove_filter

__all__ = [
    "BANDS",
    "Band",
    "BandLike",
    "Survey",
    "band_of_suffix",
    "get_band",
    "get_bands",
    "get_survey",
    "list_bands",
    "list_surveys",
    "register_filter",
    "register_plain_surveys",
    "register_survey",
    "surveys_to_plain",
    "unregister_filter",
]

#: A band, or its name such as ``"ps1.g"``; for annotations.
BandLike: TypeAlias = "Band | str"


@dataclass(frozen=True)
class Band:
    """
    One filter of one survey, or a filter alone.

    Attributes
    ----------
    survey : str
        Name of the survey, e.g. ``"ps1"``. Empty for a filter that belongs to no
        registered survey: such bands have fluxes in tables, and no images.
    name : str
        Name of the filter within the survey, e.g. ``"g"``; of a filter alone, its
        name in sedpy, e.g. ``"decam_g"``.
    sedpy_name : str
        Name of the transmission curve in sedpy.
    pivot : `~astropy.units.Quantity`
        Pivot wavelength.
    psf_fwhm : `~astropy.units.Quantity`
        Typical full width at half maximum of the point spread function; NaN for a
        filter alone.
    zero_point : float or None
        Magnitude, in the survey's own system, of one pixel unit; of one unit per
        second where the survey's pixels are summed over the exposure. None where
        only the header of each image tells.
    vega_to_ab : float
        ``mag_AB - mag_Vega``; 0 for bands of surveys in AB.

    Examples
    --------
    >>> from mantis_astro.bands import get_band
    >>> band = get_band("unwise.W1")
    >>> str(band), band.sedpy_name
    ('unwise.W1', 'wise_w1')
    >>> str(get_band("decam_g"))
    'decam_g'
    """

    survey: str
    name: str
    sedpy_name: str = field(compare=False, repr=False)
    pivot: u.Quantity = field(compare=False, repr=False)
    psf_fwhm: u.Quantity = field(compare=False, repr=False)
    zero_point: float | None = field(compare=False, repr=False)
    vega_to_ab: float = field(compare=False, repr=False, default=0.0)

    def __str__(self) -> str:
        return f"{self.survey}.{self.name}" if self.survey else self.name

    @property
    def column_suffix(self) -> str:
        """Suffix of the band's columns: its name, with an underscore for the dot."""
        return f"{self.survey}_{self.name}" if self.survey else self.name

    def zero_point_ab(
        self,
        exposure_time: float | u.Quantity | None = None,
        zero_point: float | None = None,
    ) -> float:
        """
        AB magnitude of one unit of pixel flux.

        Parameters
        ----------
        exposure_time : float or `~astropy.units.Quantity`, optional
            Exposure of the image, in seconds if a plain number. Needed where
            pixels are summed over the exposure (PS1).
        zero_point : float, optional
            Zero point in the survey's own system from the image's header
            (``MAGZP``), instead of the band's.

        Returns
        -------
        float
            AB magnitude.

        Raises
        ------
        ValueError
            If a needed zero point or exposure time is missing, or the exposure is
            not positive.
        KeyError
            `~mantis_astro.exceptions.MissingBandError` for a filter alone, which has
            no images.

        Examples
        --------
        >>> from mantis_astro.bands import get_band
        >>> get_band("ps1.g").zero_point_ab(exposure_time=100)
        30.0
        """
        survey = get_survey(self.survey)
        zero_point = self.zero_point if zero_point is None else zero_point
        if zero_point is None:
            msg = f"{self} has no fixed zero point: give the image's own 'zero_point'"
            raise ValueError(msg)
        zero_point_ab = zero_point + self.vega_to_ab
        if not survey.summed_over_exposure:
            return float(zero_point_ab)
        if exposure_time is None:
            msg = (
                f"{self} pixels are summed over the exposure: 'exposure_time' is needed"
            )
            raise ValueError(msg)
        seconds = float(u.Quantity(exposure_time, u.s).value)
        if not seconds > 0:
            msg = f"'exposure_time' must be positive, got {seconds} s"
            raise ValueError(msg)
        return float(zero_point_ab + 2.5 * np.log10(seconds))


@dataclass(frozen=True)
class Survey:
    """
    Properties that the images of one survey share.

    Attributes
    ----------
    name : str
        Short name, the part before the dot of a band.
    title : str
        Name as printed.
    bands : tuple of Band
        Its filters, in the order of its data products.
    pixel_scale : `~astropy.units.Quantity`
        Side of a pixel as served.
    shape : tuple of int
        Shape ``(ny, nx)`` of a cutout as the published network reads it.
    unit : `~astropy.units.UnitBase`
        Unit of a pixel as served.
    magsys : str
        ``"AB"`` or ``"Vega"``: the system of the bands' zero points.
    service : str
        Server protocol that serves it; see `mantis_astro.services`.
    layer : str
        Name of the data set on that server.
    summed_over_exposure : bool
        Whether pixels are counts of the whole exposure.
    declination_limit : `~astropy.units.Quantity` or None
        Southern limit of the footprint.
    reference : str
        ADS bibcode to cite.
    band_codes : str
        Letters by which the server's header card ``BANDS`` names the bands, in the
        order of ``bands``; empty where those are the names themselves.
    hips : str or None
        Identifier of the survey's HiPS at the CDS, with ``{band}`` for the band.
    covers_all_sky : bool
        Whether there is an image of every position, so that a server that has none is
        asked more often before it is believed.
    """

    name: str
    title: str = field(compare=False)
    bands: tuple = field(compare=False, repr=False)
    pixel_scale: u.Quantity = field(compare=False)
    shape: tuple = field(compare=False)
    unit: u.UnitBase = field(compare=False)
    magsys: str = field(compare=False)
    service: str = field(compare=False, repr=False)
    layer: str = field(compare=False, repr=False)
    reference: str = field(compare=False, repr=False)
    summed_over_exposure: bool = field(compare=False, repr=False, default=False)
    declination_limit: u.Quantity | None = field(
        compare=False, repr=False, default=None
    )
    band_codes: str = field(compare=False, repr=False, default="")
    hips: str | None = field(compare=False, repr=False, default=None)
    covers_all_sky: bool = field(compare=False, repr=False, default=False)

    def __str__(self):
        return self.name


_surveys: dict[str, Survey] = {}
_from_files: set[str] = set()  # names of those that came with a model's file
_bands: dict[str, Band] = {}

# Magnitudes in AB minus those in Vega, by the filter's name in sedpy, as the surveys
# define their zero points: Jarrett et al. 2011 for WISE, Cohen et al. 2003 for 2MASS.
# What is not here has that of sedpy's spectrum of Vega.
_VEGA_TO_AB = {
    "wise_w1": 2.699,
    "wise_w2": 3.339,
    "wise_w3": 5.174,
    "wise_w4": 6.620,
    "twomass_J": 0.894,
    "twomass_H": 1.374,
    "twomass_Ks": 1.840,
}


def register_survey(survey: Survey) -> Survey:
    """
    Register a survey and its bands.

    Parameters
    ----------
    survey : Survey
        The survey; its bands must carry its name.

    Returns
    -------
    Survey
        The same object.

    Raises
    ------
    ValueError
        If the name is taken, a band belongs to another survey, or there are not as
        many ``band_codes`` as bands.
    """
    if survey.name in _surveys and survey.name not in _from_files:
        msg = f"survey '{survey.name}' is already registered"
        raise ValueError(msg)
    strangers = [str(band) for band in survey.bands if band.survey != survey.name]
    if strangers:
        msg = f"bands of survey '{survey.name}' must carry its name, got {strangers}"
        raise ValueError(msg)
    if len(survey.band_codes) not in (0, len(survey.bands)):
        msg = (
            f"'band_codes' of survey '{survey.name}' must have a letter for each of "
            f"{len(survey.bands)} bands, got '{survey.band_codes}'"
        )
        raise ValueError(msg)
    _from_files.discard(survey.name)
    _surveys[survey.name] = survey
    _bands.update({str(band).lower(): band for band in survey.bands})
    return survey


def surveys_to_plain(bands: Iterable[str]) -> list[dict]:
    """
    Describe the surveys of bands that are not part of this package.

    Parameters
    ----------
    bands : iterable of str
        Names of bands.

    Returns
    -------
    list of dict
        What JSON can hold; `register_plain_surveys` takes it. Empty where all bands are
        the package's own or filters alone.
    """
    names = {get_band(band).survey for band in bands} - {"", *_BUILT_IN}
    return [
        {
            "name": survey.name,
            "title": survey.title,
            "bands": [
                {
                    "name": band.name,
                    "sedpy_name": band.sedpy_name,
                    "pivot": band.pivot.to_value(u.AA),
                    "psf_fwhm": band.psf_fwhm.to_value(u.arcsec),
                    "zero_point": band.zero_point,
                    "vega_to_ab": band.vega_to_ab,
                }
                for band in survey.bands
            ],
            "pixel_scale": survey.pixel_scale.to_value(u.arcsec),
            "shape": list(survey.shape),
            "unit": survey.unit.to_string(),
            "magsys": survey.magsys,
            "service": survey.service,
            "layer": survey.layer,
            "reference": survey.reference,
            "summed_over_exposure": survey.summed_over_exposure,
            "band_codes": survey.band_codes,
            "hips": survey.hips,
        }
        for survey in map(get_survey, sorted(names))
    ]


def register_plain_surveys(plain: Iterable[dict]) -> None:
    """
    Register the surveys described in a file, unless they are known.

    Parameters
    ----------
    plain : iterable of dict
        As `surveys_to_plain` gave them. A survey that was registered before stays what
        it is; one that came in a file may be registered later all the same.

    Raises
    ------
    KeyError
        If something is missing; also TypeError or ValueError if it is no such record.
    """
    for facts in plain:
        if facts["name"] in _surveys:
            continue
        bands = tuple(
            Band(
                facts["name"],
                band["name"],
                band["sedpy_name"],
                u.Quantity(float(band["pivot"]), u.AA),
                u.Quantity(float(band["psf_fwhm"]), u.arcsec),
                band["zero_point"],
                float(band["vega_to_ab"]),
            )
            for band in facts["bands"]
        )
        quantities = {
            "bands": bands,
            "pixel_scale": u.Quantity(float(facts["pixel_scale"]), u.arcsec),
            "shape": tuple(facts["shape"]),
            "unit": u.Unit(facts["unit"]),
        }
        register_survey(Survey(**{**facts, **quantities}))
        _from_files.add(facts["name"])


def register_filter(
    name: str, wavelength: ArrayLike | u.Quantity, transmission: ArrayLike
) -> Band:
    """
    Register a filter that sedpy does not have, by its curve.

    Parameters
    ----------
    name : str
        Its name, as in the columns ``flux_<name>`` and ``flux_err_<name>``: letters,
        digits and underscores.
    wavelength : `~astropy.units.Quantity` or array_like
        Wavelengths in any order, in Angstrom if plain numbers, shape (n,).
    transmission : array_like
        Signal of the detector per photon, in any scale, shape (n,). Divide curves per
        unit energy by the wavelength.

    Returns
    -------
    Band
        The band, as `get_band` returns it from now on.

    Raises
    ------
    ValueError
        If the name is none or taken by another curve, or the curve is none.

    Examples
    --------
    >>> from mantis_astro.bands import get_band, register_filter, unregister_filter
    >>> band = register_filter("narrow_921", [9140, 9145, 9275, 9280], [0, 1, 1, 0])
    >>> str(get_band("narrow_921")), band.pivot.round()
    ('narrow_921', <Quantity 9210. Angstrom>)
    >>> unregister_filter("narrow_921")
    """
    if not (name.isascii() and name.replace("_", "a").isalnum()):
        msg = f"'name' must be letters, digits and underscores, got {name!r}"
        raise ValueError(msg)
    taken = band_of_suffix(name)
    if taken is not None:
        msg = f"'name': there is a band {taken} already; choose another name"
        raise ValueError(msg)
    wavelength = u.Quantity(wavelength, u.AA, dtype=float).value
    add_filter(name, wavelength, np.asarray(transmission, float))
    _filter_names.cache_clear()
    return get_band(name)


def unregister_filter(name: str) -> None:
    """
    Forget a filter that was registered.

    Parameters
    ----------
    name : str
        Its name.

    Raises
    ------
    ValueError
        If no filter was registered under this name.
    """
    remove_filter(name)
    _filter_names.cache_clear()
    _filter_band.cache_clear()


def get_survey(name: str | Survey) -> Survey:
    """
    Return a registered survey by name.

    Parameters
    ----------
    name : str or Survey
        Name, in any case.

    Returns
    -------
    Survey
        The survey.

    Raises
    ------
    KeyError
        `~mantis_astro.exceptions.MissingBandError` if there is no such survey.

    Examples
    --------
    >>> from mantis_astro.bands import get_survey
    >>> get_survey("ps1").pixel_scale
    <Quantity 0.25 arcsec>
    """
    if isinstance(name, Survey):
        return name
    try:
        return _surveys[name.lower()]
    except (KeyError, AttributeError):
        msg = f"no survey {name!r}; there are {', '.join(_surveys)}"
        if name == "":
            msg = (
                "a filter alone, such as 'decam_g', has fluxes but no images: bands of "
                "a survey have (ps1.g, or one of bands.register_survey); there are "
                f"{', '.join(_surveys)}"
            )
        raise MissingBandError(msg) from None


def get_band(band: Band | str) -> Band:
    """
    Return a band by name: of a registered survey, or any filter of sedpy.

    Parameters
    ----------
    band : str or Band
        Name such as ``"ps1.g"`` or ``"decam_g"``, in any case. Where the columns of a
        filter are also those of a registered band (``galex_NUV``), it is that band.

    Returns
    -------
    Band
        The band.

    Raises
    ------
    KeyError
        `~mantis_astro.exceptions.MissingBandError` if there is no such band.

    Examples
    --------
    >>> from mantis_astro.bands import get_band
    >>> get_band("GALEX.nuv")
    Band(survey='galex', name='NUV')
    >>> get_band("sdss_u0").pivot.round()
    <Quantity 3557. Angstrom>
    """
    if isinstance(band, Band):
        return band
    try:
        return _bands[band.lower()]
    except (KeyError, AttributeError):
        found = band_of_suffix(band) if isinstance(band, str) else None
    if found is None:
        msg = (
            f"no band {band!r}; there are {', '.join(map(str, _bands.values()))}, and "
            f"the filters of sedpy{_similar(band)} (fluxes.list_filters)"
        )
        raise MissingBandError(msg)
    return found


def band_of_suffix(suffix: str) -> Band | None:
    """
    Return the band that a column suffix denotes.

    Parameters
    ----------
    suffix : str
        The ending, such as ``"ps1_g"`` or ``"decam_g"``, in any case.

    Returns
    -------
    Band or None
        A registered survey's, or else a filter alone. No curve is read if there is
        none.
    """
    suffix = suffix.lower()
    for i, letter in enumerate(suffix):
        if letter == "_" and (band := _bands.get(f"{suffix[:i]}.{suffix[i + 1 :]}")):
            return band
    name = _filter_names().get(suffix)
    return None if name is None else _filter_band(name)


@cache
def _filter_names():
    """Names of filters, as they are written, by their names in lower case."""
    return {name.lower(): name for name in list_filters()}


@cache
def _filter_band(name):
    curve = get_filter(name)
    vega = _VEGA_TO_AB.get(name, -float(curve.ab_to_vega))
    pivot, psf = float(curve.wave_pivot) * u.AA, np.nan * u.arcsec
    return Band("", name, name, pivot, psf, None, vega)


def _similar(name):
    """List the filters with the most similar names, as text."""
    found = difflib.get_close_matches(str(name), list_filters(), n=3)
    return f", such as {' or '.join(found or ['decam_g'])}"


def get_bands(bands: Iterable[Band | str] | Band | str) -> tuple[Band, ...]:
    """
    Return several bands by name, as `get_band` does.

    Parameters
    ----------
    bands : Band, str, or iterable of these
        One band counts as a list of one.

    Returns
    -------
    tuple of Band
        Each once, in the order given.

    Raises
    ------
    KeyError
        `~mantis_astro.exceptions.MissingBandError` if there is no such band.
    ValueError
        If there is none at all.

    Examples
    --------
    >>> from mantis_astro.bands import get_bands
    >>> [str(band) for band in get_bands(["ps1.r", "ps1.g", "ps1.r"])]
    ['ps1.r', 'ps1.g']
    >>> get_bands("ps1.g")
    (Band(survey='ps1', name='g'),)
    """
    if isinstance(bands, str | Band):
        bands = [bands]
    known = (b if isinstance(b, Band) else get_band(b) for b in bands)
    found = tuple(dict.fromkeys(known))
    if not found:
        msg = "'bands' is empty: name at least one"
        raise ValueError(msg)
    return found


def list_surveys() -> list[Survey]:
    """
    List the registered surveys.

    Returns
    -------
    list of Survey
        In the order of registration.
    """
    return list(_surveys.values())


def list_bands() -> list[Band]:
    """
    List the bands of registered surveys.

    Returns
    -------
    list of Band
        Survey by survey; the nine of the published network come first. Filters alone
        are not among them; `~mantis_astro.fluxes.list_filters` has their names.
    """
    return list(_bands.values())


def _bands_of(survey, rows):
    return tuple(
        Band(
            survey,
            name,
            sedpy_name,
            pivot * u.AA,
            fwhm * u.arcsec,
            zero_point,
            _VEGA_TO_AB.get(sedpy_name, 0.0),
        )
        for name, sedpy_name, pivot, fwhm, zero_point in rows
    )


# Pivot wavelengths are sedpy's (a test compares them). Zero points: GALEX, Morrissey
# et al. 2007; PS1, Waters et al. 2020 (25 + 2.5 log10 EXPTIME); unWISE, Vega 22.5 by
# construction.
register_survey(
    Survey(
        name="galex",
        title="GALEX",
        bands=_bands_of(
            "galex",
            [
                ("NUV", "galex_NUV", 2300.785, 5.3, 20.08),
                ("FUV", "galex_FUV", 1535.080, 4.2, 18.82),
            ],
        ),
        pixel_scale=1.5 * u.arcsec,
        shape=(32, 32),
        unit=u.ct / u.s,
        magsys="AB",
        service="legacy_survey",
        layer="galex",
        reference="2007ApJS..173..682M",
        band_codes="nf",
        hips="CDS/P/GALEXGR6_7/{band}",
    )
)
register_survey(
    Survey(
        name="ps1",
        title="Pan-STARRS1",
        bands=_bands_of(
            "ps1",
            [
                ("g", "panstarrs_g", 4849.111, 1.31, 25.0),
                ("r", "panstarrs_r", 6201.182, 1.19, 25.0),
                ("i", "panstarrs_i", 7534.953, 1.11, 25.0),
                ("z", "panstarrs_z", 8674.168, 1.07, 25.0),
                ("y", "panstarrs_y", 9627.764, 1.02, 25.0),
            ],
        ),
        pixel_scale=0.25 * u.arcsec,
        shape=(170, 170),
        unit=u.adu,
        magsys="AB",
        service="panstarrs",
        layer="stack",
        reference="2016arXiv161205560C",
        summed_over_exposure=True,
        declination_limit=-30.5 * u.deg,
        hips="CDS/P/PanSTARRS/DR1/{band}",
    )
)
register_survey(
    Survey(
        name="unwise",
        title="unWISE",
        bands=_bands_of(
            "unwise",
            [
                ("W1", "wise_w1", 33682.196, 6.1, 22.5),
                ("W2", "wise_w2", 46179.067, 6.4, 22.5),
            ],
        ),
        pixel_scale=2.75 * u.arcsec,
        shape=(32, 32),
        unit=u.nmgy,
        magsys="Vega",
        service="legacy_survey",
        layer="unwise-neo7",
        reference="2014AJ....147..108L",
        band_codes="12",
        hips="CDS/P/unWISE/{band}",
        covers_all_sky=True,
    )
)

#: The nine bands of the published network, in its channel order.
BANDS = tuple(list_bands())

register_survey(
    Survey(
        name="allwise",
        title="AllWISE Atlas",
        bands=_bands_of(
            "allwise",
            [
                ("W1", "wise_w1", 33682.196, 8.2, None),
                ("W2", "wise_w2", 46179.067, 8.5, None),
            ],
        ),
        pixel_scale=1.375 * u.arcsec,
        shape=(64, 64),
        unit=u.adu,
        magsys="Vega",
        service="none",
        layer="allwise",
        reference="2010AJ....140.1868W",
    )
)
register_survey(
    Survey(
        name="legacysurvey",
        title="DESI Legacy Imaging Surveys DR10",
        bands=_bands_of(
            "legacysurvey",
            [
                ("g", "decam_g", 4808.281, 1.3, 22.5),
                ("r", "decam_r", 6420.711, 1.2, 22.5),
                ("i", "decam_i", 7813.408, 1.2, 22.5),
                ("z", "decam_z", 9169.459, 1.1, 22.5),
            ],
        ),
        pixel_scale=0.262 * u.arcsec,
        shape=(162, 162),
        unit=u.nmgy,
        magsys="AB",
        service="legacy_survey",
        layer="ls-dr10",
        reference="2019AJ....157..168D",
    )
)

_BUILT_IN = frozenset(_surveys)
