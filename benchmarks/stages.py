"""Where the time of a benchkit run goes: a stack of named stages, each charged with its own time only.

watch(clock) wraps the functions of benchkit where one stage ends and the next begins ──> clock.seconds
"""

from __future__ import annotations

import builtins
import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

OTHER = "other"
IMPORTS = "imports"


class StageClock:
    """Exclusive wall time by stage: while an inner stage runs, the outer one stands still."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock
        self._stack: list[str] = [OTHER]
        self._since = clock()

    @property
    def current(self) -> str:
        return self._stack[-1]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._charge()
        self._stack.append(name)
        try:
            yield
        finally:
            self._charge()
            self._stack.pop()

    def finish(self) -> dict[str, float]:
        self._charge()
        return dict(self.seconds)

    def _charge(self) -> None:
        now = self._clock()
        self.seconds[self.current] = self.seconds.get(self.current, 0.0) + now - self._since
        self._since = now


def watch(clock: StageClock) -> None:
    """Wrap benchkit's own functions; call it once, before the run."""
    import benchkit.api.record
    import benchkit.api.request
    import benchkit.api.run
    import benchkit.runner.draw_cache
    import benchkit.runner.run
    from benchkit.embeddings.encoder import CachedEncoder
    from benchkit.models.sentence_transformers import SentenceTransformersEncoder, SentenceTransformersHandle
    from benchkit.runner.cell_cache import CellCache
    from benchkit.tasks.opened import OpenedTask

    places: list[tuple[Any, str, str]] = [
        (benchkit.api.request, "_find_models", "find models"),
        (benchkit.api.request, "open_tasks", "open tasks"),
        (OpenedTask, "load", "load data"),
        (SentenceTransformersHandle, "load", "load model"),
        (SentenceTransformersEncoder, "encode", "encode"),
        (SentenceTransformersEncoder, "count_tokens", "count tokens"),
        (CachedEncoder, "encode", "vector cache"),
        (benchkit.runner.run, "score_task", "score"),
        (CellCache, "get", "cell cache"),
        (CellCache, "put", "cell cache"),
        (benchkit.api.run, "describe_environment", "describe environment"),
        (benchkit.runner.draw_cache, "draw_scores", "bootstrap"),
        (benchkit.api.run, "compare_cells", "compare"),
        (benchkit.api.record, "write_files", "report"),
        (benchkit.api.record, "log_comparison", "record in MLflow"),
    ]
    for holder, name, stage in places:
        setattr(holder, name, _timed(getattr(holder, name), clock, stage))


def watch_imports(clock: StageClock) -> None:
    """Charge every import to a stage of its own; for the profile only, since each import statement pays for it."""
    plain = builtins.__import__

    def timed(name: str, *rest: Any, **options: Any) -> Any:
        if clock.current == IMPORTS:
            return plain(name, *rest, **options)
        with clock.stage(IMPORTS):
            return plain(name, *rest, **options)

    builtins.__import__ = timed


def _timed(function: Callable[..., Any], clock: StageClock, stage: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **options: Any) -> Any:
        with clock.stage(stage):
            return function(*args, **options)

    return wrapper
