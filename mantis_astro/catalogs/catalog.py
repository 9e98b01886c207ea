"""Record that describes the tables of one survey."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import astropy.units as u

from mantis_astro.bands import get_band

__all__ = ["POINT_SOURCE", "TOTAL", "Catalog", "Measure"]

#: Apertures, in the words of `mantis_astro.fluxes.FluxState`.
TOTAL = "total"
POINT_SOURCE = "total of a point source"


@dataclass(frozen=True, eq=False)
class Measure:
    """
    One form in which a catalogue writes fluxes or magnitudes.

    Attributes
    ----------
    value : str
        Name of the columns, with ``{band}`` where the catalogue writes the band, such
        as ``"flux_{band}"``; in any case. Without ``{band}`` it is one column that has
        all bands of an object, in the order of the catalogue's ``bands``.
    error : str
        Name of the columns of errors, likewise; several are separated by ``|``, the
        first that is there counts. Empty if there is none.
    unit : `~astropy.units.UnitBase`
        Unit where the columns of a file have none: mag, or one of fluxes;
        ``ct / s`` is what the zero point of the band is for.
    system : {"AB", "Vega"}
        System of magnitudes, and of maggies.
    softening : mapping of str to float
        For asinh magnitudes: softening :math:`b` of each band, in maggies.
    is_inverse_variance : bool
        Whether ``error`` is the inverse variance, 0 where not observed.
    is_corrected : bool
        Whether they are corrected for extinction.
    needs_error : bool
        Whether a magnitude without an error is an upper limit.
    missing : tuple of float
        Values that mark what was not observed, besides those that all catalogues use.
    flag : str
        Name of columns that are true where the measurement failed.
    aperture : str
        What light they hold, in words; `TOTAL` for what is meant to be all of it.

    Examples
    --------
    >>> import astropy.units as u
    >>> from mantis_astro.catalogs import Measure
    >>> Measure("flux_{band}", "fluxerr_{band}", u.uJy).error
    'fluxerr_{band}'
    """

    value: str
    error: str = ""
    unit: u.UnitBase = u.mag
    system: str = "AB"
    softening: Mapping = field(default_factory=dict)
    is_inverse_variance: bool = False
    is_corrected: bool = False
    needs_error: bool = False
    missing: tuple = ()
    flag: str = ""
    aperture: str = TOTAL


@dataclass(frozen=True, eq=False)
class Catalog:
    """
    Description of the tables of a survey.

    Attributes
    ----------
    name : str
        Short name, as `read_photometry` takes it.
    title : str
        Name as printed.
    bands : mapping of str to str
        For each band, as the catalogue's columns write it, its name here: of a
        registered band (``"ps1.g"``) or of a filter of sedpy (``"decam_g"``).
    measures : tuple of Measure
        Ways in which brightness is written, the one to prefer first.
    aliases : tuple of str
        Other names it goes by.
    ebv : tuple of str
        Columns of E(B-V), besides the usual names.
    extinction, transmission : str
        Columns of the Galactic extinction in magnitudes, or of the fraction of light
        that passes, with ``{band}`` or one for all bands.
    per_ebv : tuple of mapping of str to float
        The catalogue's own extinction in magnitudes for E(B-V) = 1 of Schlegel et al.,
        by the catalogue's bands; of several sets the one counts that the columns of
        extinction were made with.
    zero_points : mapping of str to float
        AB magnitude minus the catalogue's, where that is not 0.
    quality : tuple of str
        Columns of text with one letter for each band.
    bad_quality : str
        The letters that mark what was not observed: upper limits, and nothing.
    z_spec : tuple of str
        Columns of spectroscopic redshifts, besides the usual names.
    reference : str
        ADS bibcode to cite.

    Examples
    --------
    >>> from mantis_astro.catalogs import get_catalog
    >>> get_catalog("DES DR2").bands["g"]
    'decam_g'
    """

    name: str
    title: str
    bands: Mapping = field(repr=False)
    measures: tuple = field(repr=False)
    aliases: tuple = ()
    ebv: tuple = field(repr=False, default=())
    extinction: str = field(repr=False, default="")
    transmission: str = field(repr=False, default="")
    per_ebv: tuple = field(repr=False, default=())
    zero_points: Mapping = field(repr=False, default_factory=dict)
    quality: tuple = field(repr=False, default=())
    bad_quality: str = field(repr=False, default="")
    z_spec: tuple = field(repr=False, default=())
    reference: str = field(repr=False, default="")

    def __str__(self):
        return self.name

    def check(self):
        """
        Check that the bands are known and entries refer to them.

        Raises
        ------
        KeyError
            `~mantis_astro.exceptions.MissingBandError` for an unknown band.
        ValueError
            If an entry names a band that the catalogue does not have.
        """
        for band in self.bands.values():
            get_band(band)
        said = [self.zero_points, *self.per_ebv, *(m.softening for m in self.measures)]
        for name in dict.fromkeys(name for facts in said for name in facts):
            if name not in self.bands:
                msg = (
                    f"an entry of '{self.name}' names band {name!r}, which is "
                    f"none of its bands {', '.join(self.bands)}"
                )
                raise ValueError(msg)
