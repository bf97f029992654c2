"""SIGTERM and Ctrl-C may come into any line of a watch, also into one that holds a lock."""

from __future__ import annotations

import subprocess
import sys

import pytest

# The signal comes while this thread is in the wait for the next look at the source, and holds the event's own lock.
_CHILD = """
import os, signal, sys, threading
from benchkit.cli.drift_watch import _stops_in_order

stop = threading.Event()
with _stops_in_order(stop) as heard:
    with stop._cond:
        os.kill(os.getpid(), signal.{name})
    assert stop.wait(10)
print(heard)
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 0), ("SIGINT", 130)])
def test_a_signal_into_the_wait_of_a_watch_ends_it(name: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD.format(name=name)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == (f"[{code}]\n", "", 0)
