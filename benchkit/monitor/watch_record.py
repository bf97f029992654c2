"""The record of a watch's windows in MLflow, which may be away for days.

    verdicts without a run in state.db ── one after the other, oldest first ── log_drift ──> a run each, noted there

A window's sums are in no report, so they wait in memory. Those of the latest thousand do: a record made later than that
is one without them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from benchkit.errors import BenchkitError
from benchkit.store.drift_state import DriftState

MOST_SUMS = 1000  # of 14 kB at 768 dimensions, or 28 kB for each segment more


class Recorder:
    """Records what isn't recorded yet of one stream."""

    def __init__(self, state: DriftState, stream: str, tracking_uri: str, stop: threading.Event) -> None:
        self._state, self._stream, self._uri, self._stop = state, stream, tracking_uri, stop
        self._sums: OrderedDict[int, bytes] = OrderedDict()

    def keep(self, number: int, sums: bytes) -> None:
        """Keep the sums of a window until it is recorded."""
        self._sums[number] = sums
        if len(self._sums) > MOST_SUMS:
            self._sums.popitem(last=False)

    def record(self) -> str | None:
        """Record all that isn't yet, or as much as there is time for; return why the rest isn't: "" for an end."""
        from benchkit.store.drift_runs import log_drift

        while found := self._state.unrecorded(self._stream):
            for check in found:
                if self._stop.is_set():
                    return ""
                number = check.report["window"]["number"]
                try:
                    run_id = log_drift(check.report, tracking_uri=self._uri, sketch=self._sums.get(number, b""))
                except BenchkitError as exc:
                    return str(exc)
                self._state.recorded(check.id, run_id)
                self._sums.pop(number, None)
        return None
