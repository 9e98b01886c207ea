"""Saturated pixels, identified by their level or by the surroundings of a hole."""

import numpy as np

__all__ = ["is_saturated"]


def is_saturated(image, request):
    """
    Return whether pixels in an aperture are saturated.

    Parameters
    ----------
    image : Image
        The image.
    request : Request
        The aperture on it.

    Returns
    -------
    bool
        True if a pixel in the aperture reaches the saturation level, or the brightest
        good pixel there touches a bad one: saturated cores come masked (PS1: NaN),
        and brightness rises up to the hole.
    """
    if image.bad is None and image.saturation == np.inf:
        return False
    x, y, a, b, theta = request.ellipse
    rows, columns = np.indices(image.data.shape)
    dx, dy = columns - x, rows - y
    along = dx * np.cos(theta) + dy * np.sin(theta)
    across = dy * np.cos(theta) - dx * np.sin(theta)
    inside = (along / a) ** 2 + (across / b) ** 2 <= 1
    good = inside if image.bad is None else inside & ~image.bad
    if not good.any():
        return False
    brightest = image.data[good].max()
    if brightest >= image.saturation:
        return True
    if image.bad is None or not (inside & image.bad).any():
        return False
    from scipy.ndimage import binary_dilation

    around = binary_dilation(inside & image.bad, np.ones((3, 3))) & good
    return bool(np.any(image.data[around] == brightest))
