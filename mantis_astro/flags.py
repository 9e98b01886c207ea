"""
Quality flags of rows, and their meaning.

Every bit has a name, a sentence and, where it depends on one, a threshold. All
code that sets a flag and all text that explains it read this one table. Bits are
never renumbered: a flag written years ago keeps its meaning.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from astropy.table import QTable, Table
    from numpy.typing import ArrayLike

    from mantis_astro.bands import Band, Survey

__all__ = [
    "FLAG_TABLE",
    "Flag",
    "decode_flags",
    "describe_flags",
    "flag_counts",
    "flag_names",
    "flags_named",
    "has_data",
    "missing_flag",
    "missing_flags",
]


class Flag(enum.IntFlag):
    """
    Quality bits by name.

    Attributes
    ----------
    bit : int
        Position of the bit, from 0.
    sentence : str
        What is the matter, with ``{threshold}`` where it depends on one.
    threshold : float or None
        The number that the sentence refers to.
    description : str
        The sentence, with the threshold filled in.
    summary : str
        Its first sentence, without the full stop.

    Examples
    --------
    >>> from mantis_astro import Flag
    >>> Flag.OFF_CENTRE.threshold
    1.5
    >>> Flag(5)
    <Flag.NO_DATA|MISSING_PS1: 5>
    """

    bit: int
    sentence: str
    threshold: float | None
    description: str
    summary: str

    def __new__(cls, bit: int, sentence: str, threshold: float | None = None) -> Flag:
        """Make a member from its line below."""
        flag = int.__new__(cls, 1 << bit)
        flag._value_ = 1 << bit
        flag.bit, flag.sentence, flag.threshold = bit, sentence, threshold
        flag.description = sentence.format(threshold=threshold)
        flag.summary = flag.description.split(". ")[0].removesuffix(".")
        return flag

    NO_DATA = 0, "Nothing usable was given; p(z) is uniform and masked."
    MISSING_GALEX = 1, "At least one GALEX band the model reads is missing."
    MISSING_PS1 = 2, "At least one PS1 band the model reads is missing."
    MISSING_UNWISE = 3, "At least one unWISE band the model reads is missing."
    BAD_PIXELS = (
        4,
        ("More than {threshold:.0%} of the pixels of a band are masked or not finite."),
        0.01,
    )
    PARTIAL_COVERAGE = (
        5,
        "The image of a band ends inside the field that the model reads.",
    )
    OUT_OF_FOOTPRINT = 6, "The position is outside a survey's footprint."
    OFF_CENTRE = (
        7,
        (
            "The centre of a cutout is more than {threshold} of its pixels from the "
            "target."
        ),
        1.5,
    )
    HIGH_EBV = 8, "Galactic E(B-V) exceeds {threshold} mag.", 0.2
    EBV_ASSUMED = 9, "E(B-V) was not given; the model's stated default was used."
    OOD_FEATURE = (
        10,
        (
            "The training set does not support a redshift of the object: ood_score "
            "exceeds {threshold}, as for one in a hundred of the training set. Its "
            "features lie far from those of the nearest galaxies that the model "
            "keeps of it, or the redshifts of these disagree. Of a model of any bands, "
            "too: a magnitude, an error, a colour or the wavelengths are outside what "
            "it learnt; PhotoZ.list_outside says which."
        ),
        1.0,
    )
    OOD_DOMAIN = (
        11,
        (
            "The sample as a whole is unlike the training set: a domain classifier "
            "tells them apart with an AUC of {threshold} or more, at a false alarm "
            "rate of 1 %."
        ),
        0.7,
    )
    MULTIMODAL = (
        12,
        ("A second peak of p(z) holds more than {threshold:.0%} of the probability."),
        0.15,
    )
    BROAD = (
        13,
        ("Half the 68 % interval of p(z), over 1 + z_median, exceeds {threshold}."),
        0.1,
    )
    EDGE_PDF = (
        14,
        (
            "More than {threshold:.0%} of the probability lies in the outermost 2 % "
            "of the redshift range, at its upper end or at a lower end above "
            "redshift 0; or lay beyond, and was cut off."
        ),
        0.1,
    )
    BLEND = 15, "Another source overlaps the target."
    FETCH_FAILED = 16, "A cutout could not be fetched; asking again may help."
    BAD_COORDINATES = 17, "The coordinates are missing or not on the sphere."
    BAD_WCS = 18, "The WCS of a cutout is absent or cannot be right."
    SATURATED = 19, "Pixels near the target are saturated."
    NON_DETECTION = (
        20,
        (
            "The target is not detected in any band: no flux reaches {threshold} "
            "times its error."
        ),
        3.0,
    )
    PLACEHOLDER_MODEL = (
        21,
        "The model is a stand-in that was never trained for science.",
    )
    MISSING_OTHER = (
        22,
        (
            "At least one band that the model reads is missing, of a survey without a "
            "bit of its own."
        ),
    )


FLAG_TABLE = tuple(Flag)


def missing_flag(survey: str | Survey) -> Flag:
    """
    Return the bit that is set where a band of a survey is missing.

    Parameters
    ----------
    survey : str or Survey
        Its name.

    Returns
    -------
    Flag
        MISSING_<survey>, or MISSING_OTHER for a survey without a bit of its own.

    Examples
    --------
    >>> from mantis_astro.flags import missing_flag
    >>> missing_flag("ps1").name, missing_flag("legacysurvey").name
    ('MISSING_PS1', 'MISSING_OTHER')
    """
    name = f"MISSING_{str(survey).upper()}"
    return Flag.__members__.get(name, Flag.MISSING_OTHER)


def missing_flags(observed: np.ndarray, bands: Sequence[Band]) -> np.ndarray:
    """
    Set the bits of the surveys of missing bands.

    Parameters
    ----------
    observed : `~numpy.ndarray`
        Whether each object was observed in each band, shape (n_object, n_band).
    bands : sequence of Band
        The bands.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n_object,), int32; see `missing_flag`.
    """
    flags = np.zeros(len(observed), np.int32)
    for j, band in enumerate(bands):
        flags[~observed[:, j]] |= missing_flag(band.survey)
    return flags


def flags_named(names: Iterable[str]) -> int:
    """
    Return the flags of some names, together.

    Parameters
    ----------
    names : iterable of str
        Names.

    Returns
    -------
    int
        Their bits; 0 for none.

    Raises
    ------
    ValueError
        If a name is not known; the message lists those that are.

    Examples
    --------
    >>> from mantis_astro.flags import flags_named
    >>> flags_named(["NO_DATA", "MISSING_PS1"])
    5
    """
    together = 0
    for name in names:
        if name not in Flag.__members__:
            msg = f"no flag {name!r}; there are {', '.join(Flag.__members__)}"
            raise ValueError(msg)
        together |= int(Flag[name])
    return together


def decode_flags(flags: ArrayLike) -> list:
    """
    List the names of the bits that are set.

    Parameters
    ----------
    flags : int or array_like of int
        Flag values; masked ones, as of rows that a join left empty, are NO_DATA.

    Returns
    -------
    list of str, or list of such lists
        Names in the order of their bits; nested as the input is.

    Raises
    ------
    ValueError
        If a value is negative or no integer.

    Examples
    --------
    >>> from mantis_astro.flags import Flag, decode_flags
    >>> decode_flags(Flag.MISSING_GALEX | Flag.BROAD)
    ['MISSING_GALEX', 'BROAD']
    """
    return _decoded(_plain(flags).tolist())


def _decoded(flags):
    if isinstance(flags, list):
        return [_decoded(value) for value in flags]
    if flags < 0:
        msg = f"'flags' must not be negative, got {flags}"
        raise ValueError(msg)
    return [flag.name for flag in FLAG_TABLE if flags >> flag.bit & 1]


def flag_names(flags: ArrayLike, *, nothing: str = "none") -> np.ndarray:
    """
    Write flags in words, for a column that people read.

    Parameters
    ----------
    flags : int or array_like of int
        Flag values, shape (...).
    nothing : str, optional
        Text of rows without any flag.

    Returns
    -------
    `~numpy.ndarray` of str
        Names joined by commas, shape (...).

    Raises
    ------
    ValueError
        If a value is negative.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from mantis_astro.flags import flag_names
    >>> table = Table({"flags": [0, 8193]})
    >>> table["flag_names"] = flag_names(table["flags"])
    >>> print(table)
    flags    flag_names
    ----- --------------
        0           none
     8193 NO_DATA, BROAD
    """
    flags = _plain(flags)
    values, rows = np.unique(flags, return_inverse=True)
    names = np.array([", ".join(decode_flags(v)) or nothing for v in values], dtype=str)
    return names[rows].reshape(flags.shape)


def has_data(flags: ArrayLike) -> np.ndarray:
    """
    Return which objects have data to estimate a redshift from.

    Parameters
    ----------
    flags : int or array_like of int
        Flag values, shape (...); masked ones are NO_DATA.

    Returns
    -------
    `~numpy.ndarray` of bool
        False where ``NO_DATA`` is set, shape (...).

    Examples
    --------
    >>> from mantis_astro.flags import has_data
    >>> has_data([0, 8192, 8193])
    array([ True,  True, False])
    """
    return _plain(flags) & int(Flag.NO_DATA) == 0


def flag_counts(flags: Table | ArrayLike, *, prefix: str = "") -> QTable:
    """
    Count how often each flag is set.

    Parameters
    ----------
    flags : `~astropy.table.Table` or array_like of int
        A table with a column ``flags``, or flag values.
    prefix : str, optional
        What stands before the name of that column.

    Returns
    -------
    `~astropy.table.QTable`
        A row for each flag that is set anywhere, in the order of their bits, after a
        first one, ``(none)``, for rows without any: ``name``, ``n`` rows, ``share`` of
        all rows, and ``description``.

    Raises
    ------
    KeyError
        If the table has no such column.

    Examples
    --------
    >>> from mantis_astro.flags import flag_counts
    >>> print(flag_counts([0, 8192, 8193, 0])["name", "n", "share"])
      name   n share
    ------- --- -----
     (none)   2  0.50
    NO_DATA   1  0.25
      BROAD   2  0.50
    """
    from astropy.table import QTable, Table

    if isinstance(flags, Table):
        name = f"{prefix}flags"
        if name not in flags.colnames:
            msg = f"no column '{name}'; there are {', '.join(flags.colnames)}"
            raise KeyError(msg)
        flags = flags[name]
    flags = _plain(flags).ravel()
    rows = [("(none)", np.count_nonzero(flags == 0), "No flag is set.")]
    for flag in FLAG_TABLE:
        if n := np.count_nonzero(flags & int(flag)):
            rows.append((str(flag.name), n, flag.description))
    table = QTable(rows=rows, names=("name", "n", "description"))
    table.add_column(table["n"] / max(len(flags), 1), name="share", index=2)
    table["share"].info.format = ".3g"
    return table


def describe_flags() -> Table:
    """
    Return a table of all flags.

    Returns
    -------
    `~astropy.table.Table`
        Columns ``bit``, ``value``, ``name`` and ``description``.

    Examples
    --------
    >>> from mantis_astro.flags import describe_flags
    >>> print(describe_flags()["name"][0])
    NO_DATA
    """
    from astropy.table import Table

    rows = [(f.bit, 1 << f.bit, f.name, f.description) for f in FLAG_TABLE]
    return Table(rows=rows, names=("bit", "value", "name", "description"))


def _plain(flags):
    """Convert flags to integers; NO_DATA of rows that a join left empty."""
    try:
        return np.ma.filled(np.ma.asarray(flags), int(Flag.NO_DATA)).astype(np.int64)
    except (TypeError, ValueError) as error:
        msg = f"'flags' must be integers: {error}"
        raise ValueError(msg) from None
