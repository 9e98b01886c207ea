"""Ctrl-C in a download: noticed at once, raised where nothing is left half done."""

import signal
import threading

__all__ = ["DeferredInterrupt"]


class DeferredInterrupt:
    """
    Block that defers Ctrl-C to its end.

    Python raises `KeyboardInterrupt` wherever the main thread happens to be. In the
    clean-up of a thread that has just ended it is printed and forgotten, and the
    download goes on; just after a lock was taken it leaves that lock closed for ever.
    Blocks must be short: who waits in one does so for a fraction of a second at a time.

    Outside the main thread, and where a program handles Ctrl-C in its own way, the
    block changes nothing.
    """

    def __init__(self):
        self._noted = False
        self._before = None

    def __enter__(self):
        here = threading.current_thread() is threading.main_thread()
        if here and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *exception):
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self._noted:
            raise KeyboardInterrupt

    def _note(self, _number, _frame):
        self._noted = True
