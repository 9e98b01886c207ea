"""The progress bar: on standard error, for people who look at a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

__all__ = ["progress_bar"]

_STEPS = 200  # redraws of a bar at most: some callers finish thousands a second


@contextlib.contextmanager
def progress_bar(
    total: int, *, wanted: bool, title: object = None
) -> Iterator[Callable[[int], None]]:
    """
    Show how much of a job is done.

    The one rule of the package: a bar is shown if the caller wants it, standard error
    is a terminal and this is the main thread.

    Parameters
    ----------
    total : int
        Number of things to do; nothing is shown for 0.
    wanted : bool
        Whether the caller wants a bar.
    title : str, optional
        Text above the bar.

    Yields
    ------
    callable
        Function to call with the number of things done so far.

    Examples
    --------
    >>> from mantis_astro.progress import progress_bar
    >>> with progress_bar(3, wanted=True) as update:
    ...     for i in range(3):
    ...         update(i + 1)
    """
    from astropy.utils.console import ProgressBar, isatty

    if not (wanted and total and isatty(sys.stderr)):
        yield lambda _: None
        return
    if title:
        sys.stderr.write(f"{title}\n")
    with ProgressBar(int(total), file=sys.stderr) as bar:
        shown = 0

        def update(done):
            nonlocal shown
            if done >= total or abs(done - shown) >= total / _STEPS:
                bar.update(int(done))
                shown = done

        yield update
