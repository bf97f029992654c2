"""A call that may hang, given a limited time.

Timeouts of sockets are for each read and don't cover the look-up of a name, so a server that sends a byte now and then
could hold a watch for ever. What is late goes on in a daemon thread, and its result is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class LateError(TimeoutError):
    """The time is over."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, or raise what it raises.

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

    thread = threading.Thread(target=run, name="benchkit-alert", daemon=True)
    thread.start()
    thread.join(max(seconds, 0.0))
    if errors:
        raise errors[0]
    if not results:
        raise LateError(f"no answer within {seconds:.3g} s")
    return results[0]
