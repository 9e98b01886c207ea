"""From JSON to a recalibrator."""

from mantis_astro.calibration.choice import BestRecalibration
from mantis_astro.calibration.local import LocalRecalibration
from mantis_astro.calibration.pit_map import PITRecalibration
from mantis_astro.calibration.smoothing import Smoothing
from mantis_astro.calibration.temperature import TemperatureScaling

__all__ = ["recalibrator_from_plain"]

_CLASSES = (
    BestRecalibration,
    TemperatureScaling,
    PITRecalibration,
    LocalRecalibration,
    Smoothing,
)
_KINDS = {cls.kind: cls for cls in _CLASSES}


def recalibrator_from_plain(plain):
    """
    Create a recalibrator from the output of its ``to_plain``.

    Parameters
    ----------
    plain : dict
        With the name of its ``recalibrator``, and all numbers; may have been JSON in
        between.

    Returns
    -------
    Recalibrator
        Fitted: ``transform`` gives what the original gave, bit for bit.

    Raises
    ------
    ValueError
        If the name is not known, or a number is missing.

    Examples
    --------
    >>> import json
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.calibration import TemperatureScaling, recalibrator_from_plain
    >>> centre = np.linspace(0.3, 0.7, 50)
    >>> pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 101), centre, 0.05)
    >>> scaling = TemperatureScaling().fit(pdf, centre + 0.02)
    >>> again = recalibrator_from_plain(json.loads(json.dumps(scaling.to_plain())))
    >>> again.transform(pdf) == scaling.transform(pdf)
    True
    """
    try:
        cls = _KINDS[plain["recalibrator"]]
    except (KeyError, TypeError):
        msg = (
            "'plain' must be a dictionary whose 'recalibrator' is one of "
            f"{', '.join(_KINDS)}, got {str(plain)[:80]}"
        )
        raise ValueError(msg) from None
    try:
        return cls.from_plain(plain)
    except KeyError as error:
        msg = f"'plain' of a {cls.__name__} lacks {error}"
        raise ValueError(msg) from None
