"""From pixel values to what a network reads, band by band."""

import numpy as np

from mantis_astro.records import record

__all__ = ["ClipStretch", "FluxAsinhStretch", "PositiveAsinhStretch"]


@record("clip")
class ClipStretch:
    """
    ``clip(f / scale, 0, 1)`` of pixels as served; published for GALEX.

    Attributes
    ----------
    scale : float
        Pixel value that becomes 1.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.models.stretches import ClipStretch
    >>> ClipStretch(0.05)(np.array([-1.0, 0.025, 7.0]))
    array([0. , 0.5, 1. ])
    """

    scale: float
    in_njy = False

    def __call__(self, pixels):
        """Apply to an array of any shape; NaN stays NaN."""
        return np.clip(pixels / np.float32(self.scale), 0, 1)


@record("positive_asinh")
class PositiveAsinhStretch:
    """
    ``max(0, arcsinh(factor f) / divisor)`` of pixels as served; for PS1 and unWISE.

    Attributes
    ----------
    factor, divisor : float
        Pixels above ``1 / factor`` are compressed.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.models.stretches import PositiveAsinhStretch
    >>> stretch = PositiveAsinhStretch(factor=0.08, divisor=8.0)
    >>> stretch(np.array([-3.0, np.sinh(4.0) / 0.08]))
    array([0. , 0.5])
    """

    factor: float
    divisor: float
    in_njy = False

    def __call__(self, pixels):
        """Apply to an array of any shape; NaN stays NaN."""
        scaled = np.arcsinh(pixels * np.float32(self.factor))
        return np.maximum(scaled / np.float32(self.divisor), 0)


@record("flux_asinh")
class FluxAsinhStretch:
    """
    ``arcsinh(f / softening)`` of the flux in a pixel, in nJy; keeps the sign of noise.

    Pixels are brought to nJy with the image's zero point first, so that an exposure
    twice as long, or another survey's unit, gives the same numbers.

    Attributes
    ----------
    softening : float
        Flux in nJy below which the stretch is linear: about the noise of a pixel.
    """

    softening: float
    in_njy = True

    def __call__(self, pixels):
        """Apply to an array of any shape; NaN stays NaN."""
        return np.arcsinh(pixels / np.float32(self.softening))
