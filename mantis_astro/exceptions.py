"""
Errors and warnings of the package.

Each error is also one of Python's own, so that ``except OSError`` or
``except ValueError`` written by someone who never read this page still works.
"""

from astropy.utils.exceptions import AstropyUserWarning

__all__ = [
    "CalibrationWarning",
    "CoverageWarning",
    "DoubleCountingWarning",
    "FailedFitWarning",
    "FetchError",
    "FetchWarning",
    "FewDrawsWarning",
    "InputSpecError",
    "MantisError",
    "MantisWarning",
    "MissingBandError",
    "NoDataWarning",
    "OutOfDistributionWarning",
    "PlaceholderModelWarning",
    "UnknownPriorWarning",
]


class MantisError(Exception):
    """Base class of the errors that only this package raises."""


class MissingBandError(MantisError, KeyError):
    """A requested band is missing or unknown."""

    # KeyError prints the repr of its argument: a sentence would come in quotes.
    __str__ = Exception.__str__


class InputSpecError(MantisError, ValueError):
    """The input, or a weights file, does not match the network."""


class FetchError(MantisError, OSError):
    """A file could not be fetched, or the file on disk is another one."""


class MantisWarning(AstropyUserWarning):
    """Base class of the warnings of this package."""


class CalibrationWarning(MantisWarning):
    """A recalibration has less data, or less effect, than requested."""


class CoverageWarning(MantisWarning):
    """Some targets lie outside a survey, or a band is missing."""


class DoubleCountingWarning(MantisWarning):
    """The data that made a prior are used again together with it."""


class FailedFitWarning(MantisWarning):
    """Some of many fits failed; the result is that of the others."""


class FetchWarning(MantisWarning):
    """A server could not be reached, and its data are missing."""


class FewDrawsWarning(MantisWarning):
    """Few of many draws have nearly all the weight."""


class NoDataWarning(MantisWarning):
    """A density made of no data is used like a measured one."""


class OutOfDistributionWarning(MantisWarning):
    """The targets do not look like the sample a model was trained on."""


class PlaceholderModelWarning(MantisWarning):
    """The model is a stand-in, not trained for science."""


class UnknownPriorWarning(MantisWarning):
    """The n(z) in the p(z) is unknown, and is not removed."""
