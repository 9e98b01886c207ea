"""Progress of a training, and its learning rate."""

import math
import time

__all__ = ["Budget", "rate_factor"]


class Budget:
    """
    Steps or minutes, whatever is used up first.

    Parameters
    ----------
    n_steps : int or None
        Steps.
    minutes : float or None
        Minutes of the clock.
    elapsed : float, optional
        Seconds used before, in a run that is resumed.
    """

    def __init__(self, n_steps, minutes, *, elapsed=0.0):
        self.n_steps, self.minutes = n_steps, minutes
        self._start = time.monotonic() - elapsed

    @property
    def elapsed(self):
        """Seconds used so far."""
        return time.monotonic() - self._start

    def progress(self, step):
        """
        Return the share of the budget that is used.

        Parameters
        ----------
        step : int
            Steps done.

        Returns
        -------
        float
            From 0; 1 or more is the end.
        """
        shares = []
        if self.n_steps is not None:
            shares.append(step / self.n_steps)
        if self.minutes is not None:
            shares.append(self.elapsed / (60 * self.minutes))
        return max(shares)


def rate_factor(progress, *, warmup, final):
    """
    Learning rate as a share of the largest: a rise, then half a cosine.

    Parameters
    ----------
    progress : float
        From 0 to 1.
    warmup : float
        Share of the training in which it rises.
    final : float
        Value at the end.

    Returns
    -------
    float
        From ``final`` to 1 after the warm-up.

    Examples
    --------
    >>> from mantis_astro.training.optimization.schedule import rate_factor
    >>> [rate_factor(p, warmup=0.1, final=0.0) for p in (0.05, 0.1, 0.55, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        # not 0 at step 0, which would be a step for nothing
        return max(progress / warmup, 0.01)
    x = min((progress - warmup) / (1 - warmup), 1.0)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * x))
