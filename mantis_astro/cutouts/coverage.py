"""One rule for pixels without data, for answers of servers and for files."""

import numpy as np

__all__ = ["pixels_without_data"]


def pixels_without_data(data, mask=None):
    """
    Find pixels that are masked, not finite or exactly zero without being measured.

    Surveys and the tools that cut their images write zero where there is no data. In an
    image whose sky was subtracted (it then has negative pixels) nothing else is exactly
    zero; in one that was not, as in GALEX's all-sky survey, zero may mean that no
    photon came, and only an image of nothing but zeros has no data.

    Parameters
    ----------
    data : `~numpy.ndarray`
        Pixels, shape (ny, nx).
    mask : `~numpy.ndarray` of bool, optional
        True where a pixel is known to be bad.

    Returns
    -------
    `~numpy.ndarray` of bool
        Shape (ny, nx).

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.cutouts.coverage import pixels_without_data
    >>> pixels_without_data(np.array([[0.3, -0.2, 0.0], [0.1, np.nan, 0.0]]))
    array([[False, False,  True],
           [False,  True,  True]])
    """
    bad = ~np.isfinite(data)
    if mask is not None:
        bad |= mask
    zero = data == 0
    if (data < 0).any() or (zero | bad).all():
        bad |= zero
    return bad
