"""One run of open-loop load: requests are sent when they are due, over one connection or several.

    times at which requests are due ── one line ── the first connection that is free ── Target ──> LoadRun

A request takes its place in one line when it is due, and the first connection that is free sends it: with one
connection that is a worker behind a queue, with many it is a client that sends each request at its time whatever is
under way. After the deadline nothing more is sent. The rules of the numbers are in measure/open_loop.py.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import BenchkitError
from benchkit.types.load import LoadRun

# Sends one text over one connection and returns when its vector is there; takes the connection and the text by number.
Target = Callable[[int, int], object]

THREAD_NAME = "benchkit-load"


def run_load(
    target: Target,
    due: NDArray[np.float64],
    n_texts: int,
    *,
    workers: int = 1,
    deadline_s: float = 20.0,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
    is_alive: Callable[[], bool] = lambda: True,
) -> LoadRun:
    """Send a request at each of these times, or as soon after it as a connection is free.

    Args:
        target: What is asked. An exception of it is a failed request, with its words.
        due: Seconds from now, ascending; requests take the texts in turn.
        workers: Connections. One asks from this thread, more from a thread each.
        deadline_s: Seconds from now after which nothing more is sent. What is under way is waited for, so the target
            has to bound the time of a request.
        is_alive: Whether the target can be asked further; nothing more is sent when it can't.
    """
    if workers < 1 or n_texts < 1:
        raise ValueError(f"workers and n_texts should be at least 1, got {workers} and {n_texts}")
    line = _Line(target, due.tolist(), n_texts, workers, deadline_s, clock, sleep, is_alive)
    with _no_garbage_collection():
        if workers == 1:
            line.begin()
            line.serve()
        else:
            _serve_in_threads(line, workers)
    return LoadRun(due, line.free, line.sent, line.finished, dict(sorted(line.failures.items())), workers, deadline_s)


@dataclass
class _Line:
    """The requests of a run in the order in which they are due, and what became of each.

    Attributes:
        idle: Connections that nobody uses. The last that was used goes first, as in the pools of HTTP clients: at a low
            rate the others stay unopened, and none rests for so long that the server closes it.
    """

    target: Target
    due: list[float]
    n_texts: int
    workers: int
    deadline_s: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    is_alive: Callable[[], bool]

    def __post_init__(self) -> None:
        self.free, self.sent, self.finished = (np.full(len(self.due), np.nan) for _ in range(3))
        self.failures: dict[int, str] = {}
        self.idle = list(reversed(range(self.workers)))
        self._places = iter(range(len(self.due)))
        self._lock = threading.Lock()
        self._start = 0.0
        self._is_stopped = False

    def begin(self) -> None:
        """Let time count from now."""
        self._start = self.clock()

    def stop(self) -> None:
        """Send nothing more."""
        self._is_stopped = True

    def serve(self) -> None:
        """Send one request after the other, until none is left or the deadline has come."""
        while self._may_send():
            with self._lock:
                place = next(self._places, None)
            if place is None:
                return
            self.free[place] = self._now()
            self._wait_until(self.due[place])
            if not self._may_send():
                return
            self._send(place)

    def _send(self, place: int) -> None:
        connection = self.idle.pop()  # there are as many as there are threads
        self.sent[place] = self._now()
        try:
            self.target(connection, place % self.n_texts)
        except Exception as exc:  # whatever a model or a server does to one request is a figure of the run
            self.failures[place] = str(exc) if isinstance(exc, BenchkitError) else f"{type(exc).__name__}: {exc}"
        self.finished[place] = self._now()
        self.idle.append(connection)

    def _now(self) -> float:
        return self.clock() - self._start

    def _may_send(self) -> bool:
        return not self._is_stopped and self._now() < self.deadline_s and self.is_alive()

    def _wait_until(self, due_s: float) -> None:
        # No later than the deadline: a rate may be so low that its next request is far off.
        end = min(due_s, self.deadline_s)
        while not self._is_stopped and (left := end - self._now()) > 0:
            self.sleep(left)


def _serve_in_threads(line: _Line, workers: int) -> None:
    # Time begins when all threads are there: starting them must not make the first requests late.
    ready = threading.Barrier(workers, action=line.begin)

    def serve() -> None:
        try:
            ready.wait()
        except threading.BrokenBarrierError:
            return
        line.serve()

    # Daemons: after Ctrl-C nobody waits for a server that doesn't answer.
    threads = [threading.Thread(target=serve, daemon=True, name=f"{THREAD_NAME}-{n}") for n in range(workers)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:
        line.stop()
        ready.abort()
        raise


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect before and not during: a pause of this process would count as the model's latency."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
