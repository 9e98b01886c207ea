"""
Quality flags: what to distrust about a row, and why.

Every bit has a name, a sentence and, where it depends on one, a threshold. All
code that sets a flag and all text that explains it read this one table. Bits are
never renumbered: a flag written years ago keeps its meaning.
"""

import enum
from dataclasses import dataclass

import numpy as np

__all__ = [
    "FLAG_TABLE",
    "Flag",
    "FlagDefinition",
    "decode_flags",
    "describe_flags",
    "missing_flag",
    "missing_flags",
]


@dataclass(frozen=True)
class FlagDefinition:
    """
    One quality bit.

    Attributes
    ----------
    bit : int
        Position of the bit, from 0.
    name : str
        Name in capitals.
    description : str
        What is the matter, in one sentence.
    threshold : float or None
        The number that the sentence refers to as ``{threshold}``.
    """

    bit: int
    name: str
    sentence: str
    threshold: float | None = None

    @property
    def description(self):
        """The sentence, with the threshold filled in."""
        return self.sentence.format(threshold=self.threshold)


FLAG_TABLE = tuple(
    FlagDefinition(bit, *definition)
    for bit, definition in enumerate(
        [
            ("NO_DATA", "Nothing usable was given; p(z) is uniform and masked."),
            ("MISSING_GALEX", "At least one GALEX band the model reads is missing."),
            ("MISSING_PS1", "At least one PS1 band the model reads is missing."),
            ("MISSING_UNWISE", "At least one unWISE band the model reads is missing."),
            (
                "BAD_PIXELS",
                (
                    "More than {threshold:.0%} of the pixels of a band are masked or "
                    "not finite."
                ),
                0.01,
            ),
            (
                "PARTIAL_COVERAGE",
                "The image of a band ends inside the field that the model reads.",
            ),
            ("OUT_OF_FOOTPRINT", "The position is outside a survey's footprint."),
            (
                "OFF_CENTRE",
                (
                    "The centre of a cutout is more than {threshold} of its pixels "
                    "from the target."
                ),
                1.5,
            ),
            ("HIGH_EBV", "Galactic E(B-V) exceeds {threshold} mag.", 0.2),
            (
                "EBV_ASSUMED",
                "E(B-V) was not given; the model's stated default was used.",
            ),
            (
                "OOD_FEATURE",
                (
                    "The training set does not support a redshift of the object: "
                    "ood_score exceeds {threshold}, as for one in a hundred of the "
                    "training set. Its features lie far from those of the nearest "
                    "galaxies that the model keeps of it, or the redshifts of these "
                    "disagree."
                ),
                1.0,
            ),
            (
                "OOD_DOMAIN",
                (
                    "The sample as a whole is unlike the training set: a domain "
                    "classifier tells them apart with an AUC of {threshold} or more, "
                    "at a false alarm rate of 1 %."
                ),
                0.7,
            ),
            (
                "MULTIMODAL",
                (
                    "A second peak of p(z) holds more than {threshold:.0%} of the "
                    "probability."
                ),
                0.15,
            ),
            (
                "BROAD",
                (
                    "Half the 68 % interval of p(z), over 1 + z_median, exceeds "
                    "{threshold}."
                ),
                0.1,
            ),
            (
                "EDGE_PDF",
                (
                    "More than {threshold:.0%} of the probability lies in the "
                    "outermost 2 % of the redshift range, at its upper end or at a "
                    "lower end above redshift 0."
                ),
                0.1,
            ),
            ("BLEND", "Another source overlaps the target."),
            ("FETCH_FAILED", "A cutout could not be fetched; asking again may help."),
            ("BAD_COORDINATES", "The coordinates are missing or not on the sphere."),
            ("BAD_WCS", "The WCS of a cutout is absent or cannot be right."),
            ("SATURATED", "Pixels near the target are saturated."),
            (
                "NON_DETECTION",
                (
                    "The target is not detected in any band: no flux reaches "
                    "{threshold} times its error."
                ),
                3.0,
            ),
            (
                "PLACEHOLDER_MODEL",
                "The model is a stand-in that was never trained for science.",
            ),
            (
                "MISSING_OTHER",
                (
                    "At least one band that the model reads is missing, of a survey "
                    "without a bit of its own."
                ),
            ),
        ]
    )
)

Flag = enum.IntFlag("Flag", {flag.name: 1 << flag.bit for flag in FLAG_TABLE})
Flag.__doc__ = "The quality bits, by name; see `describe_flags` for what they mean."
Flag.threshold = property(
    lambda self: FLAG_TABLE[int(self).bit_length() - 1].threshold,
    doc="The threshold of a single flag, or None.",
)


def missing_flag(survey):
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


def missing_flags(observed, bands):
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


def decode_flags(flags):
    """
    List the names of the bits that are set.

    Parameters
    ----------
    flags : int or array_like of int
        Flag values.

    Returns
    -------
    list of str, or list of such lists
        Names in the order of their bits; nested as the input is.

    Raises
    ------
    ValueError
        If a value is negative.

    Examples
    --------
    >>> from mantis_astro.flags import Flag, decode_flags
    >>> decode_flags(Flag.MISSING_GALEX | Flag.BROAD)
    ['MISSING_GALEX', 'BROAD']
    """
    if np.ndim(flags):
        return [decode_flags(value) for value in flags]
    if flags < 0:
        msg = f"'flags' must not be negative, got {flags}"
        raise ValueError(msg)
    return [flag.name for flag in FLAG_TABLE if int(flags) >> flag.bit & 1]


def describe_flags():
    """
    Make the table of all flags.

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
