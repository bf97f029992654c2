"""What an embedding log does when its process forks, ends, or is a child of multiprocessing.

fork ── before: no writer is within pyarrow ── child: a log with nothing in memory ── parent: goes on
exit ── atexit, or multiprocessing's own end of a child ──> close()
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import Protocol

FORK_WAIT_S = 2.0
# An import ends by itself, once in a process; a cold disk takes seconds for it.
IMPORT_WAIT_S = 60.0
EXIT_WAIT_S = 10.0


class Live(Protocol):
    """A log that isn't closed.

    Attributes:
        busy: Held while its writer is within pyarrow.
        imports: Whether it is held to import that.
    """

    busy: threading.Lock
    imports: bool

    def begin_in_child(self) -> None: ...

    def close(self, timeout_s: float = ...) -> bool: ...


_LIVE: set[Live] = set()
_held: list[threading.Lock] = []
_flushed_child: list[int] = []


def watch(log: Live) -> None:
    """Look after a log until `forget`."""
    _LIVE.add(log)


def forget(log: Live) -> None:
    """A closed log needs nothing."""
    _LIVE.discard(log)


def flush_at_end_of_child() -> None:
    """Have a child of multiprocessing close its logs: it ends without atexit. Called in the child, once is enough."""
    if "multiprocessing.util" not in sys.modules or os.getpid() in _flushed_child:
        return
    from multiprocessing import parent_process
    from multiprocessing.util import Finalize

    _flushed_child[:] = [os.getpid()]
    if parent_process() is not None:
        Finalize(None, _close_all, exitpriority=0)


def _close_all() -> None:
    for log in list(_LIVE):
        log.close(EXIT_WAIT_S)


def _before_fork() -> None:
    """Wait until no writer is within pyarrow: the child would inherit its locks and half of an import.

    With half of an import the child could never write. A disk may hang, though, and the fork must not.
    """
    for log in list(_LIVE):
        if log.busy.acquire(timeout=FORK_WAIT_S) or (log.imports and log.busy.acquire(timeout=IMPORT_WAIT_S)):
            _held.append(log.busy)


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().release()


def _after_fork_in_child() -> None:
    _held.clear()
    for log in list(_LIVE):
        log.begin_in_child()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
