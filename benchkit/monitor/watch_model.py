"""The model of a watch: it encodes texts, and is asked the canaries once for all windows that close together.

batch of texts ── encoded ──> the same with vectors
canaries of the baseline ── harm ──> what the model that runs now does to them, or why it could not be asked

An endpoint may be tried again for minutes; it is left alone as soon as the watch is to stop.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import TypeVar

from benchkit.errors import BenchkitError, NotComparable
from benchkit.monitor.alerts.deadline import within
from benchkit.monitor.baseline import Baseline
from benchkit.monitor.check import ask_canaries
from benchkit.monitor.live_model import LiveModel, encoded, is_endpoint
from benchkit.monitor.watch_state import WatchRequest
from benchkit.types.drift import Harm, Rows

T = TypeVar("T")


class WatchModel:
    """Opened when it is first needed, and then kept.

    What asks it raises LateError where `stop` is set while an endpoint is asked.
    """

    def __init__(self, request: WatchRequest, baseline: Baseline, source_name: str, stop: threading.Event) -> None:
        self._request, self._baseline, self._source_name, self._stop = request, baseline, source_name, stop
        self._spec = request.model or baseline.model_spec
        self._model: LiveModel | None = None
        self._answer: tuple[Harm | None, list[str]] | None = None

    def encoded(self, batch: Rows) -> Rows:
        """Return texts with their vectors.

        Raises:
            ModelError: there is no model, or it failed.
        """
        return self._until_stopped(lambda: next(encoded(iter([batch]), self._opened(), self._source_name)))

    def harm(self) -> tuple[Harm | None, list[str]]:
        """Return what the canaries say, and notes; what was answered before, until `ask_again`.

        A model that doesn't answer is told of and stops nothing.

        Raises:
            NotComparable: it isn't the baseline's model.
        """
        if self._answer is None:
            self._answer = self._ask()
        return self._answer

    def ask_again(self) -> None:
        """Forget the answer: later windows are of another moment."""
        self._answer = None

    def _ask(self) -> tuple[Harm | None, list[str]]:
        if self._baseline.canaries is None or not self._request.ask_canaries:
            return None, []
        try:
            return self._until_stopped(self._asked), []
        except NotComparable:
            raise
        except BenchkitError as exc:
            return None, [f"the canaries could not be asked: {exc}"]

    def _asked(self) -> Harm | None:
        model = self._opened()
        return None if model is None else ask_canaries(self._baseline, model)

    def _until_stopped(self, call: Callable[[], T]) -> T:
        # A model of this machine finishes: a process can't end well in the midst of its threads.
        return within(math.inf, call, stop=self._stop) if is_endpoint(self._spec) else call()

    def _opened(self) -> LiveModel | None:
        if self._model is None and self._spec:
            self._model = LiveModel.open(self._spec, device=self._request.device, offline=self._request.offline)
        return self._model
