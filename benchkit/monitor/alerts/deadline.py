"""A call that may hang, given a limited time.

Timeouts of sockets are for each read and don't cover the look-up of a name, so a server that sends a byte now and then
could hold a watch for ever. What is late goes on in a daemon thread, and its result is lost. Who is told to end has
less time than a slow server takes: systems kill ten seconds after SIGTERM.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
ENDING_S = 2.0  # for a call under way, once its caller is to end
_LOOK_S = 0.1
ENDING = "no answer yet, and the watch is to end"


class LateError(TimeoutError):
    """The time is over."""


def within(seconds: float, call: Callable[[], T], *, stop: threading.Event | None = None) -> T:
    """Return what `call` returns, or raise what it raises.

    Args:
        stop: When it is set, the call has at most two seconds more.

    Raises:
        LateError: it takes longer.
    """
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="benchkit-call", daemon=True)
    thread.start()
    _wait(thread, time.monotonic() + seconds, stop)
    if errors:
        raise errors[0]
    if not results:
        raise LateError(f"no answer within {seconds:.3g} s" if stop is None or not stop.is_set() else ENDING)
    return results[0]


def _wait(thread: threading.Thread, ends: float, stop: threading.Event | None) -> None:
    is_ending = False
    while thread.is_alive() and (left_s := ends - time.monotonic()) > 0:
        if stop is not None and stop.is_set() and not is_ending:
            is_ending, ends = True, min(ends, time.monotonic() + ENDING_S)
            continue
        thread.join(left_s if stop is None else min(left_s, _LOOK_S))
