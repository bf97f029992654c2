"""Progress on stderr: bars with an ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, TextIO

from benchkit.cli import streams
from benchkit.runner.progress import Progress, Silent
from benchkit.types.result import CellResult

_LINE_EVERY_S = 15.0


def make_progress(*, quiet: bool) -> Progress:
    """Return what suits stderr: nothing, bars or lines."""
    if quiet:
        return Silent()
    return Bars() if _draws(sys.stderr) else Lines()


def _draws(stream: TextIO | None) -> bool:
    """Tell whether bars can be drawn: on a terminal, and not on one that can't move its cursor."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def say(message: str, *, quiet: bool = False) -> None:
    """Print a message for people to stderr."""
    if not quiet:
        streams.say(message)


def finished_line(result: CellResult, *, from_cache: bool) -> str:
    """Return one line for a finished cell."""
    if result.status != "ok" or result.main_score is None:
        return f"{result.model} · {result.task}: {result.status}: {result.reason}"
    # Nothing about texts where none had to be encoded, or where a model isn't one that encodes (tf-idf).
    encoded = f", {result.texts_encoded} texts encoded" if result.texts_encoded else ""
    took = "known already" if from_cache else f"{result.seconds or 0:.1f} s{encoded}"
    return f"{result.model} · {result.task}: {result.main_metric} {result.main_score:.4f} ({took})"


class Lines(Silent):
    """Plain lines, for logs and CI."""

    def __init__(self) -> None:
        self._cells = 0
        self._done = 0
        self._last = time.monotonic()

    def planned(self, n_cells: int) -> None:
        self._cells = n_cells

    def model_loading(self, model: str) -> None:
        say(f"loading {model}")

    def encoding(self, done: int, total: int) -> None:
        if time.monotonic() - self._last >= _LINE_EVERY_S:
            self._last = time.monotonic()
            say(f"  {done} of {total} texts")

    def cell_finished(self, result: CellResult, *, from_cache: bool) -> None:
        self._done += 1
        self._last = time.monotonic()
        say(f"[{self._done}/{self._cells}] {finished_line(result, from_cache=from_cache)}")

    def stage(self, message: str) -> None:
        say(message)

    def warning(self, message: str) -> None:
        say(f"warning: {message}")


class Bars(Silent):
    """A bar for the cells and one for the texts of the present call, with the time that is left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._cells: Any = None
        self._texts: Any = None

    def planned(self, n_cells: int) -> None:
        self._cells = self._bars.add_task("cells", total=n_cells)
        self._bars.start()

    def model_loading(self, model: str) -> None:
        self._describe(f"loading {model}")

    def cell_started(self, model: str, task: str) -> None:
        self._describe(f"{model} · {task}")

    def encoding(self, done: int, total: int) -> None:
        if self._texts is None:
            self._texts = self._bars.add_task("texts", total=total)
        self._bars.update(self._texts, completed=done, total=total)

    def cell_finished(self, result: CellResult, *, from_cache: bool) -> None:
        from rich.text import Text

        if self._texts is not None:
            self._bars.remove_task(self._texts)
            self._texts = None
        self._bars.console.print(Text(finished_line(result, from_cache=from_cache)))
        self._bars.advance(self._cells)
        if self._bars.finished:
            self._bars.stop()

    def stage(self, message: str) -> None:
        from rich.text import Text

        self._bars.console.print(Text(message))

    def warning(self, message: str) -> None:
        from rich.text import Text

        self._bars.console.print(Text(f"warning: {message}", style="yellow"))

    def stop(self) -> None:
        """Take the bars off the screen."""
        self._bars.stop()

    def _describe(self, what: str) -> None:
        from rich.markup import escape

        if self._cells is not None:
            self._bars.update(self._cells, description=escape(what))
