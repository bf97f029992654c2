"""Ctrl-C: in order where there is something to keep, at once where there is nothing and when it is pressed again.

Python itself would wait for the threads of a download, which may have an hour to go.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from benchkit.errors import EXIT_INTERRUPTED

Handler = Callable[[int, object], None]


@contextmanager
def ends_at_once() -> Iterator[None]:
    """While nothing is there that could be kept: Ctrl-C ends the process."""
    with _on_interrupt(_end):
        yield


@contextmanager
def ends_in_order() -> Iterator[None]:
    """While results come in: Ctrl-C is a KeyboardInterrupt, and the next one ends the process."""

    def first(signum: int, frame: object) -> None:
        signal.signal(signal.SIGINT, _end)
        raise KeyboardInterrupt

    with _on_interrupt(first):
        yield


@contextmanager
def _on_interrupt(handler: Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears signals
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(signum: int, frame: object) -> None:
    # Not through sys.stderr: the signal may have come in the middle of a write to it.
    with suppress(OSError):
        os.write(2, b"\ninterrupted\n")
    os._exit(EXIT_INTERRUPTED)
