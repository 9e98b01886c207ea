"""The progress bar: on a terminal's standard error, or in a notebook."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from html import escape

__all__ = ["progress_bar"]

_STEPS = 200  # redraws of a bar at most: some callers finish thousands a second
_DELAY = 1.0  # seconds before a bar without a title appears: most work is shorter

_drawn = threading.Lock()  # held by the one bar that is to be seen


@contextlib.contextmanager
def progress_bar(
    total: int, *, wanted: bool, title: object = None
) -> Iterator[Callable[[int], None]]:
    """
    Show how much of a job is done.

    The one rule of the package: a bar is shown if the caller wants it, standard error
    is a terminal or this is a notebook, this is the main thread, and no other bar is
    shown. One without a title appears when its job has taken a second.

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
    kind = _kind_of_bar() if wanted and total else None
    if kind is None:
        yield lambda _: None
        return
    if title:
        kind.write_title(title)
    appears = time.monotonic() + (0 if title else _DELAY)
    with contextlib.ExitStack() as stack:
        bar, shown = None, 0

        def update(done):
            nonlocal bar, shown
            if bar is None and time.monotonic() >= appears:
                if not _drawn.acquire(blocking=False):
                    return
                stack.callback(_drawn.release)
                bar = stack.enter_context(kind(int(total)))
            if bar is None:
                return
            if done >= total or abs(done - shown) >= total / _STEPS:
                bar.update(int(done))
                shown = done

        update(0)
        yield update


def _kind_of_bar():
    """Choose a bar for a terminal or a notebook; None for neither."""
    from astropy.utils.console import isatty

    if threading.current_thread() is not threading.main_thread():
        return None
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if getattr(shell, "kernel", None) is not None:
        return _NotebookBar
    return _TerminalBar if isatty(sys.stderr) else None


class _TerminalBar:
    """The bar of astropy."""

    def __init__(self, total):
        from astropy.utils.console import ProgressBar

        self._bar = ProgressBar(total, file=sys.stderr)

    @staticmethod
    def write_title(title):
        sys.stderr.write(f"{title}\n")

    def __enter__(self):
        return self._bar.__enter__()

    def __exit__(self, *error):
        return self._bar.__exit__(*error)


class _NotebookBar:
    """A bar of the browser, which needs no widgets."""

    def __init__(self, total):
        self._total, self._start = total, time.monotonic()
        self._handle = _display(self._html(0))

    @staticmethod
    def write_title(title):
        _display(f"<pre>{escape(str(title))}</pre>")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def update(self, done):
        """Show how many are done."""
        self._handle.update(_as_html(self._html(done)))

    def _html(self, done):
        seconds = time.monotonic() - self._start
        left = seconds * (self._total - done) / done if done else None
        if done >= self._total:
            time_text = f"took {seconds:.0f} s"
        else:
            time_text = "" if left is None else f"{left:.0f} s left"
        return (
            f'<progress value="{done}" max="{self._total}"></progress> '
            f"{done:,} of {self._total:,} {time_text}"
        )


def _as_html(text):
    from IPython.display import HTML

    return HTML(text)


def _display(text):
    from IPython.display import display

    return display(_as_html(text), display_id=True)
