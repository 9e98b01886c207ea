"""Guard against double counting: data that made a prior, used again in its fit."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mantis_astro.bands import get_band
from mantis_astro.exceptions import DoubleCountingWarning

if TYPE_CHECKING:
    from mantis_astro.priors import RedshiftPrior

__all__ = ["FULLEST", "sedpy_names", "warn_of_double_counting"]

#: Largest ``temper`` of a prior under which its own data may be fitted again.
FULLEST = 0.5

_REMEDIES = (
    "Fit other bands, temper the prior (pdf.to_prior(temper=0.5)), or marginalize over "
    "p(z) at fixed redshifts (mantis_astro.marginalize). If only some of them made the "
    "p(z) of this galaxy, say so: pdf.to_prior(bands=[...])"
)


def sedpy_names(bands):
    """
    Return the sedpy names of the filters of bands.

    Parameters
    ----------
    bands : iterable of Band or str, or None
        The bands.

    Returns
    -------
    list of str or None
        As sedpy names them; None for None.
    """
    return None if bands is None else [get_band(band).sedpy_name for band in bands]


def warn_of_double_counting(
    prior: RedshiftPrior,
    fitted: Iterable[str] | None,
    *,
    how: str = "",
    stacklevel: int,
) -> bool:
    """
    Warn if a fit uses data that made its prior.

    Parameters
    ----------
    prior : RedshiftPrior
        Its ``bands`` made it; None where they are not known, and nothing is said then.
        Nor is anything said of a prior tempered to `FULLEST` or less.
    fitted : iterable of str or None
        Names, as sedpy has them, of filters whose fluxes are fitted; None if the
        caller was not told.
    how : str, optional
        How they are told, for the message where they may not be.
    stacklevel : int
        Of the warning, 2 for the caller of this function.

    Returns
    -------
    bool
        Whether there was a warning.

    Warns
    -----
    DoubleCountingWarning
        If data are fitted again, or it is not known whether they are.
    """
    if not prior.bands or prior.temper <= FULLEST:
        return False
    made_from = f"the prior was made from {', '.join(prior.bands)}"
    strength = "full strength" if prior.temper == 1 else f"temper = {prior.temper:g}"
    if fitted is None:
        msg = (
            f"{made_from}, and stands at {strength}: if the fit uses them, these data "
            f"count twice. Give {how}, which settles it. {_REMEDIES}"
        )
    else:
        own = set(sedpy_names(prior.bands))
        twice = [name for name in fitted if name in own]
        if not twice:
            return False
        msg = (
            f"{made_from}, and {', '.join(twice)} are fitted again under it at "
            f"{strength}: these data count twice. {_REMEDIES}"
        )
    warnings.warn(msg, DoubleCountingWarning, stacklevel=stacklevel + 1)
    return True
