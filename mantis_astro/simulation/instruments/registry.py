"""The instruments that are known by the name of their survey."""

from mantis_astro.bands import get_survey
from mantis_astro.simulation.instruments.galex import GALEX
from mantis_astro.simulation.instruments.noise import generator_of
from mantis_astro.simulation.instruments.ps1 import PS1
from mantis_astro.simulation.instruments.unwise import UNWISE
from mantis_astro.simulation.uniforms import salt_of

__all__ = ["get_instrument", "noise_generators", "register_instrument"]

_PUBLISHED = (GALEX, PS1, UNWISE)
_instruments = {one.survey: one for one in _PUBLISHED}


def register_instrument(instrument):
    """
    Register an instrument, so that its survey can be simulated.

    Parameters
    ----------
    instrument : Instrument
        The instrument.

    Returns
    -------
    Instrument
        The same object.

    Raises
    ------
    KeyError
        `~mantis_astro.exceptions.MissingBandError` if its survey is not registered.
    ValueError
        If there is an instrument of that survey already, or a zero point is missing.
    """
    survey = get_survey(instrument.survey)
    if survey.name in _instruments:
        msg = f"an instrument of survey '{survey.name}' is already registered"
        raise ValueError(msg)
    unknown = [str(band) for band in survey.bands if band.zero_point is None]
    if unknown:
        msg = f"bands of a simulated survey need a zero point, {unknown} have none"
        raise ValueError(msg)
    _instruments[survey.name] = instrument
    return instrument


def get_instrument(survey):
    """
    Return the instrument of a survey.

    Parameters
    ----------
    survey : str
        Name of the survey.

    Returns
    -------
    Instrument
        Its instrument.

    Raises
    ------
    ValueError
        If there is none.
    """
    try:
        return _instruments[survey]
    except KeyError:
        msg = (
            f"no instrument of survey '{survey}' to simulate it with; there are "
            f"{', '.join(_instruments)}"
        )
        raise ValueError(msg) from None


def noise_generators(keys, draw=0):
    """
    Create the generators of the noise of many targets.

    Parameters
    ----------
    keys : `~numpy.ndarray` of uint64
        Keys of the targets, shape (n,).
    draw : int, optional
        Another number, another noise.

    Returns
    -------
    callable
        Called with an instrument, gives a list of n generators. GALEX, Pan-STARRS1 and
        unWISE draw from the same ones, in this order; every other instrument has its
        own, so that its noise does not depend on which others there are.
    """
    shared = [generator_of(key, draw) for key in keys]

    def generators(instrument):
        if instrument in _PUBLISHED:
            return shared
        salt = salt_of(instrument.survey)
        return [generator_of(key, draw, salt=salt) for key in keys]

    return generators
