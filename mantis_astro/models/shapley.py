"""Shapley values from the values of all coalitions: plain arrays."""

from math import comb

import numpy as np

__all__ = ["exact_shapley"]


def exact_shapley(values):
    """
    Compute exact Shapley values from the values of all coalitions.

    Parameters
    ----------
    values : array_like
        Value of each coalition, shape (..., 2**n_player); bit i of the last index is
        set if player i takes part.

    Returns
    -------
    `~numpy.ndarray`
        Shape (..., n_player): for each player, the mean gain of joining over all orders
        in which players can come. They add up to ``values[..., -1] - values[..., 0]``;
        a player who never changes anything gets 0; players who can be exchanged get
        the same.

    Raises
    ------
    ValueError
        If the number of values is no power of two, at least 2.

    References
    ----------
    Shapley 1953, Contributions to the Theory of Games II, 307.

    Examples
    --------
    Two players who need each other, and one who adds 1 to whatever there is:

    >>> import numpy as np
    >>> from mantis_astro.models.shapley import exact_shapley
    >>> exact_shapley([0, 0, 0, 6, 1, 1, 1, 7])
    array([3., 3., 1.])
    """
    values = np.asarray(values, float)
    n_player = values.shape[-1].bit_length() - 1
    if values.shape[-1] != 1 << n_player or n_player < 1:
        msg = f"last axis of 'values' must be 2**n_player long, got {values.shape[-1]}"
        raise ValueError(msg)
    coalition = np.arange(1 << n_player)
    size = np.bitwise_count(coalition)
    shares = []
    for player in range(n_player):
        without = coalition[(coalition >> player) & 1 == 0]
        # of the orders, those in which exactly these players come before
        weight = 1 / np.array(
            [n_player * comb(n_player - 1, int(s)) for s in size[without]]
        )
        gain = values[..., without | (1 << player)] - values[..., without]
        shares.append(gain @ weight)
    return np.stack(shares, axis=-1)
