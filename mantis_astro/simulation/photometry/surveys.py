"""Surveys of simulated catalogues: their filters, depths and errors."""

from dataclasses import dataclass

__all__ = ["COMBINATIONS", "FILTERS", "SURVEYS", "SurveyFilters"]


@dataclass(frozen=True)
class SurveyFilters:
    """
    Filters that one survey measures together.

    Attributes
    ----------
    name : str
        Its name.
    filters : tuple of str
        Names of sedpy's transmission curves.
    light : {"uv", "optical", "nir", "mir"}
        Which light it sees: zero points and apertures differ more in the first and
        the last.
    shallower : float
        How much brighter its limits are than those of an optical survey of the same
        field, magnitudes: the typical value, about which it scatters.
    fwhm : float
        Of a typical point, arcsec.
    """

    name: str
    filters: tuple
    light: str = "optical"
    shallower: float = 0.0
    fwhm: float = 1.1


def _named(prefix, *names):
    return tuple(f"{prefix}_{name}" for name in names)


_SUBARU_MEDIUM = _named(
    "subaru_suprimecam",
    *("ia427", "ia445", "ia464", "ia484", "ia505", "ia527", "ia550", "ia574"),
    *("ia598", "ia624", "ia651", "ia679", "ia709", "ia738", "ia767", "ia797"),
    *("ia827", "ia856"),
)

#: All surveys, by their names.
SURVEYS = {
    survey.name: survey
    for survey in (
        SurveyFilters("sdss", _named("sdss", "u0", "g0", "r0", "i0", "z0"), fwhm=1.3),
        SurveyFilters("ps1", _named("panstarrs", *"grizy")),
        SurveyFilters("des", _named("decam", *"grizY"), fwhm=1.0),
        SurveyFilters("decam", _named("decam", *"ugrizY"), fwhm=1.0),
        SurveyFilters("legacy south", _named("decam", *"grz"), fwhm=1.2),
        SurveyFilters("legacy south 10", _named("decam", *"griz"), fwhm=1.2),
        SurveyFilters("legacy north", ("bass_g", "bass_r", "mzls_z"), fwhm=1.4),
        SurveyFilters("lsst", _named("lsst_baseline", *"ugrizy"), fwhm=0.8),
        SurveyFilters("hsc", _named("hsc", *"grizy"), fwhm=0.7),
        SurveyFilters(
            "cfht",
            (
                *_named("cfht_megacam", "us_9301", "gs_9401", "rs_9601"),
                *_named("cfht_megacam", "is_9701", "zs_9801"),
            ),
            fwhm=0.8,
        ),
        SurveyFilters(
            "hsc and cfht u", ("cfht_megacam_us_9301", *_named("hsc", *"grizy"))
        ),
        SurveyFilters(
            "subaru",
            (
                "cfht_megacam_us_9301",
                *_named("subaru_suprimecam", "B", "V", "rp", "ip", "zp"),
            ),
            fwhm=1.0,
        ),
        SurveyFilters(
            "subaru and hsc",
            (
                *("cfht_megacam_us_9301", "subaru_suprimecam_B", "hsc_g"),
                *_named("subaru_suprimecam", "V", "rp", "ip", "zp"),
            ),
            fwhm=1.0,
        ),
        SurveyFilters("subaru medium", _SUBARU_MEDIUM, shallower=0.6, fwhm=1.0),
        SurveyFilters("johnson", _named("bessell", *"UBVRI")),
        SurveyFilters(
            "wfi",
            (
                *_named("mpgeso_wfi", "U38_eso841", "B_eso842", "V_eso843"),
                *_named("mpgeso_wfi", "Rc_eso844", "Ic_eso845"),
            ),
        ),
        SurveyFilters("gaia", _named("gaia", "bp", "g", "rp"), fwhm=0.5),
        SurveyFilters(
            "acs",
            _named("acs_wfc", "f435w", "f606w", "f775w", "f814w", "f850lp"),
            fwhm=0.15,
        ),
        SurveyFilters("acs two", _named("acs_wfc", "f606w", "f814w"), fwhm=0.15),
        SurveyFilters(
            "wfc3", _named("wfc3_uvis", "f475w", "f555w", "f606w", "f814w"), fwhm=0.15
        ),
        SurveyFilters("galex", _named("galex", "FUV", "NUV"), "uv", 1.5, 5.0),
        SurveyFilters("uvot", _named("uvot", "w2", "m2", "w1"), "uv", 2.0, 2.5),
        SurveyFilters(
            "wfc3 uv", _named("wfc3_uvis", "f225w", "f275w", "f336w"), "uv", 0.5, 0.15
        ),
        SurveyFilters("2mass", _named("twomass", "J", "H", "Ks"), "nir", 2.0, 2.8),
        SurveyFilters("ukirt", _named("ukirt_wfcam", *"JHK"), "nir", 1.3),
        SurveyFilters("vista", _named("vista_vircam", *"ZYJH", "Ks"), "nir", 1.0),
        SurveyFilters("vista 3", _named("vista_vircam", *"YJ", "Ks"), "nir", 1.0),
        SurveyFilters(
            "wircam",
            _named("cfht_wircam", "J_8101", "H_8201", "Ks_8302"),
            *("nir", 1.0, 0.8),
        ),
        SurveyFilters(
            "cosmos near infrared",
            ("ukirt_wfcam_J", "cfht_wircam_Ks_8302"),
            *("nir", 1.2, 0.9),
        ),
        SurveyFilters(
            "newfirm",
            _named("mayall_newfirm", "J1", "J2", "J3", "H1", "H2", "K"),
            *("nir", 1.2),
        ),
        SurveyFilters(
            "wfc3 ir",
            _named("wfc3_ir", "f105w", "f125w", "f140w", "f160w"),
            "nir",
            0.0,
            0.2,
        ),
        SurveyFilters(
            "roman",
            _named("roman_wfi", "f062", "f087", "f106", "f129", "f158", "f184"),
            *("nir", 0.0, 0.2),
        ),
        SurveyFilters(
            "nircam",
            (
                *_named("jwst", "f070w", "f090w", "f115w", "f150w", "f200w"),
                *_named("jwst", "f277w", "f356w", "f410m", "f444w"),
            ),
            *("nir", -0.5, 0.1),
        ),
        SurveyFilters(
            "nircam medium",
            (
                *_named("jwst", "f140m", "f162m", "f182m", "f210m", "f250m"),
                *_named("jwst", "f300m", "f335m", "f430m", "f460m", "f480m"),
            ),
            *("nir", 0.0, 0.1),
        ),
        SurveyFilters("wise", ("wise_w1", "wise_w2"), "mir", 2.0, 6.2),
        SurveyFilters("irac", _named("spitzer_irac", "ch1", "ch2"), "mir", 0.8, 1.8),
    )
}

#: Every filter once.
FILTERS = tuple(dict.fromkeys(f for s in SURVEYS.values() for f in s.filters))

#: Surveys that people join, and how often: what catalogues of today have.
COMBINATIONS = (
    (("sdss",), 4.0),
    (("sdss", "wise"), 2.0),
    (("sdss", "galex", "2mass"), 3.0),
    (("sdss", "galex", "2mass", "wise"), 2.0),
    (("sdss", "ukirt"), 1.0),
    (("ps1",), 2.0),
    (("ps1", "wise"), 4.0),
    (("ps1", "galex", "wise"), 4.0),
    (("ps1", "galex"), 1.0),
    (("ps1", "2mass", "wise"), 1.0),
    (("des",), 2.0),
    (("des", "wise"), 4.0),
    (("des", "vista"), 1.0),
    (("des", "vista 3", "wise"), 1.0),
    (("legacy south",), 1.0),
    (("legacy south", "wise"), 3.0),
    (("legacy south 10", "wise"), 2.0),
    (("legacy north", "wise"), 2.0),
    (("legacy south", "galex", "wise"), 1.0),
    (("lsst",), 5.0),
    (("lsst", "vista"), 1.0),
    (("lsst", "roman"), 1.0),
    (("hsc",), 3.0),
    (("hsc", "vista"), 1.5),
    (("hsc", "wise"), 1.0),
    (("hsc and cfht u", "vista", "irac"), 1.5),
    (("cfht",), 1.5),
    (("cfht", "wircam"), 1.0),
    (("cfht", "galex", "wircam"), 1.0),
    (("subaru", "galex", "cosmos near infrared"), 1.0),
    (("subaru and hsc", "galex", "cosmos near infrared"), 1.5),
    (("subaru and hsc", "galex", "cosmos near infrared", "irac"), 1.0),
    (("subaru", "subaru medium", "vista", "irac"), 1.0),
    (("acs", "wfc3 ir"), 1.0),
    (("acs", "wfc3 ir", "irac"), 1.0),
    (("acs two", "nircam"), 1.5),
    (("acs", "nircam"), 1.0),
    (("acs", "nircam", "nircam medium"), 0.5),
    (("nircam",), 1.5),
    (("sdss", "uvot"), 0.5),
    (("ps1", "uvot", "2mass"), 0.5),
    (("galex", "wise"), 0.5),
    (("wfc3 uv", "wfc3", "wfc3 ir"), 0.5),
    (("newfirm", "subaru", "irac"), 0.5),
)
