"""
Bands and surveys: the one place for filters, zero points and pixel scales.

One more survey on a server that the package already speaks to is one more
`register_survey` call; nothing else has to change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import astropy.units as u
import numpy as np

from mantis_astro.exceptions import MissingBandError

__all__ = [
    "BANDS",
    "Band",
    "BandLike",
    "Survey",
    "get_band",
    "get_bands",
    "get_survey",
    "list_bands",
    "list_surveys",
    "register_survey",
]

#: A band, or its name such as ``"ps1.g"``; for annotations.
BandLike: TypeAlias = "Band | str"


@dataclass(frozen=True)
class Band:
    """
    One filter of one survey.

    Attributes
    ----------
    survey : str
        Name of the survey, e.g. ``"ps1"``.
    name : str
        Name of the filter within the survey, e.g. ``"g"``.
    sedpy_name : str
        Name of the transmission curve in sedpy.
    pivot : `~astropy.units.Quantity`
        Pivot wavelength.
    psf_fwhm : `~astropy.units.Quantity`
        Typical full width at half maximum of the point spread function.
    zero_point : float or None
        Magnitude, in the survey's own system, of one pixel unit; of one unit per
        second where the survey's pixels are summed over the exposure. None where
        only the header of each image tells.
    vega_to_ab : float
        ``mag_AB - mag_Vega``; 0 for surveys in AB.

    Examples
    --------
    >>> from mantis_astro.bands import get_band
    >>> band = get_band("unwise.W1")
    >>> str(band), band.sedpy_name
    ('unwise.W1', 'wise_w1')
    """

    survey: str
    name: str
    sedpy_name: str = field(compare=False, repr=False)
    pivot: u.Quantity = field(compare=False, repr=False)
    psf_fwhm: u.Quantity = field(compare=False, repr=False)
    zero_point: float | None = field(compare=False, repr=False)
    vega_to_ab: float = field(compare=False, repr=False, default=0.0)

    def __str__(self) -> str:
        return f"{self.survey}.{self.name}"

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

        Examples
        --------
        >>> from mantis_astro.bands import get_band
        >>> get_band("ps1.g").zero_point_ab(exposure_time=100)
        30.0
        """
        zero_point = self.zero_point if zero_point is None else zero_point
        if zero_point is None:
            msg = f"{self} has no fixed zero point: give the image's own 'zero_point'"
            raise ValueError(msg)
        zero_point_ab = zero_point + self.vega_to_ab
        if not get_survey(self.survey).summed_over_exposure:
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
    What the images of one survey have in common.

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

    def __str__(self):
        return self.name


_surveys: dict[str, Survey] = {}
_bands: dict[str, Band] = {}


def register_survey(survey: Survey) -> Survey:
    """
    Make a survey and its bands known.

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
    if survey.name in _surveys:
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
    _surveys[survey.name] = survey
    _bands.update({str(band).lower(): band for band in survey.bands})
    return survey


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
        raise MissingBandError(msg) from None


def get_band(band: Band | str) -> Band:
    """
    Return a registered band by name.

    Parameters
    ----------
    band : str or Band
        Name such as ``"ps1.g"``, in any case.

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
    """
    if isinstance(band, Band):
        return band
    try:
        return _bands[band.lower()]
    except (KeyError, AttributeError):
        msg = f"no band {band!r}; there are {', '.join(map(str, _bands.values()))}"
        raise MissingBandError(msg) from None


def get_bands(bands: Iterable[Band | str] | Band | str) -> tuple[Band, ...]:
    """
    Return several bands by name.

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
    List the registered bands.

    Returns
    -------
    list of Band
        Survey by survey; the nine of the published network come first.
    """
    return list(_bands.values())


def _bands_of(survey, rows):
    return tuple(
        Band(survey, name, sedpy_name, pivot * u.AA, fwhm * u.arcsec, zero_point, *vega)
        for name, sedpy_name, pivot, fwhm, zero_point, *vega in rows
    )


# Pivot wavelengths are sedpy's (a test compares them). Zero points: GALEX, Morrissey
# et al. 2007; PS1, Waters et al. 2020 (25 + 2.5 log10 EXPTIME); unWISE, Vega 22.5 by
# construction. Vega to AB for WISE: Jarrett et al. 2011.
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
                ("W1", "wise_w1", 33682.196, 6.1, 22.5, 2.699),
                ("W2", "wise_w2", 46179.067, 6.4, 22.5, 3.339),
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
                ("W1", "wise_w1", 33682.196, 8.2, None, 2.699),
                ("W2", "wise_w2", 46179.067, 8.5, None, 3.339),
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
