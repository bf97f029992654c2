"""Following a source that grows: each window is judged when it is full, and nothing is counted twice or lost.

    Source ── batch ── cuts ── windows ── full ones judged ──┐
    one transaction: position, unfinished windows, evidence ─┴─ alerts, verdicts ──> state.db
    then: alerts delivered, verdicts recorded in MLflow; what fails is tried again with the next batch

The position moves in the same transaction that keeps what was counted, so that a process that is killed anywhere goes
on as if it had not been.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchkit.embeddings.fingerprint import digest_json
from benchkit.errors import BenchkitError, NotComparable, UsageError
from benchkit.monitor.alerts.alert import alert_of
from benchkit.monitor.alerts.dispatch import Dispatcher
from benchkit.monitor.alerts.prometheus import Metrics, PrometheusEndpoint
from benchkit.monitor.alerts.specs import sink_of
from benchkit.monitor.baseline import Baseline
from benchkit.monitor.check import (
    Circumstances,
    ask_canaries,
    counted,
    judge_window,
    segment_p_values,
    window_p,
)
from benchkit.monitor.evidence import Standing, advance_segments, judged_segments
from benchkit.monitor.live_model import LiveModel, encoded
from benchkit.monitor.project import DEFAULT_POLICY, load_baseline, open_state, settings_here, sums_of
from benchkit.monitor.window import Window, empty_window, pack, unpack
from benchkit.report.drift_json import drift_to_dict
from benchkit.settings import Settings
from benchkit.sources.open import open_source
from benchkit.sources.windows import Cut, CutState, WindowCutter
from benchkit.store.drift_state import DriftState, Progress
from benchkit.types.drift import ColumnNames, DriftPolicy, DriftReport, Harm, Rows, Source

BATCH_ROWS = 8192
POLL_S = 5.0
LATENESS = timedelta(minutes=1)
RETRY_S = 60.0  # between two tries to tell what could not be told
SETTLING_S = 60.0  # a file that isn't whole is left alone while it is younger


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """A watch as it was asked for.

    Attributes:
        size, every: Rows or span of a window; one of the two.
        lateness: How long after its end a window of time waits for rows.
        poll_s: How long to wait when all rows were read.
        once: Read what is there and end; windows that aren't full stay open.
        alerts: Sinks; see alerts.specs.
        metrics_port: Serve Prometheus' text on it; None for not.
    """

    source: str
    baseline: str
    size: int | None = None
    every: timedelta | None = None
    lateness: timedelta = LATENESS
    poll_s: float = POLL_S
    once: bool = False
    model: str | None = None
    ask_canaries: bool = True
    columns: ColumnNames | None = None
    dimension: int | None = None
    query: str | None = None
    keep_texts: bool = False
    policy: DriftPolicy = DEFAULT_POLICY
    alerts: tuple[str, ...] = ()
    metrics_port: int | None = None
    device: str = "auto"
    offline: bool | None = None
    track: bool = True
    tracking_uri: str | None = None
    batch_rows: int = BATCH_ROWS


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """What a watch knows between two commits."""

    position: Mapping[str, Any]
    cut: CutState
    windows: Mapping[str, Window]
    standing: Standing
    segments: Mapping[str, Standing]
    alerts: Mapping[str, Any] | None
    left_out: int = 0
    version: int = 0

    def progress(self) -> Progress:
        facts = {
            "cut": self.cut.to_json(),
            "standing": self.standing.to_json(),
            "segments": {name: each.to_json() for name, each in self.segments.items()},
            "alerts": self.alerts,
            "left_out": self.left_out,
        }
        return Progress(self.position, facts, pack(self.windows) if self.windows else b"", self.version)


def _from_progress(progress: Progress, run_length: int) -> _State:
    facts = progress.facts
    if not facts:
        return _State({}, CutState(), {}, Standing.start(run_length), {}, None)
    return _State(
        position=progress.position,
        cut=CutState.from_json(facts["cut"]),
        windows=unpack(progress.window),
        standing=Standing.from_json(facts["standing"], run_length),
        segments={name: Standing.from_json(each, run_length) for name, each in facts["segments"].items()},
        alerts=facts["alerts"],
        left_out=facts["left_out"],
        version=progress.version,
    )


def stream_key(request: WatchRequest, baseline: Baseline, source: Source) -> str:
    """Return what names a watch: the same baseline, source, windows and policy go on where they stopped."""
    return digest_json(
        {
            "baseline": baseline.info.digest,
            # A relative path is another place in another folder.
            "source": source.name if "://" in source.name else str(Path(source.name).absolute()),
            "query": request.query,
            "size": request.size,
            "every_s": request.every.total_seconds() if request.every else None,
            "run_length": request.policy.run_length,
            "tolerance": request.policy.tolerance,
        }
    )


def watch_source(
    request: WatchRequest,
    *,
    settings: Settings | None = None,
    stop: threading.Event | None = None,
    on_report: Callable[[DriftReport], None] = lambda report: None,
    on_message: Callable[[str], None] = lambda message: None,
) -> int:
    """Follow a source until `stop` is set, or, with `once`, until all of it was read; return how many windows ended.

    Raises:
        NotComparable: no such baseline, or rows of another dimension or model.
        SourceError: the source can't be read, or changed behind the place that was read.
        UsageError: a wrong option, or another watch of the same stream.
    """
    if (request.size is None) == (request.every is None):
        raise UsageError("a watch needs windows: --window-size ROWS or --every SPAN, and not both")
    here = settings or settings_here()
    baseline = load_baseline(request.baseline, settings=here)
    source = open_source(
        request.source,
        columns=request.columns or baseline.columns,
        dimension=request.dimension,
        query=request.query,
        settling_s=SETTLING_S,
    )
    with ExitStack() as opened:
        state = opened.enter_context(open_state(here))
        metrics = Metrics()
        sinks = [sink_of(spec) for spec in request.alerts]
        if request.metrics_port is not None:
            endpoint = opened.enter_context(PrometheusEndpoint(request.metrics_port, metrics=metrics))
            on_message(f"metrics on http://127.0.0.1:{endpoint.port}/metrics")
            sinks.append(endpoint)
        watching = _Watch(request, here, baseline, source, state, sinks, metrics, on_report, on_message)
        return watching.run(stop or threading.Event())


class _Watch:
    """One watch under way."""

    def __init__(
        self,
        request: WatchRequest,
        settings: Settings,
        baseline: Baseline,
        source: Source,
        state: DriftState,
        sinks: Sequence[Any],
        metrics: Metrics,
        on_report: Callable[[DriftReport], None],
        on_message: Callable[[str], None],
    ) -> None:
        self._request, self._settings, self._baseline, self._source = request, settings, baseline, source
        self._kept, self._metrics, self._on_report, self._on_message = state, metrics, on_report, on_message
        self._key = stream_key(request, baseline, source)
        self._state = _from_progress(state.progress(self._key), request.policy.run_length)
        self._cutter = WindowCutter(
            size=request.size, every=request.every, lateness=request.lateness, state=self._state.cut
        )
        self._dispatcher = Dispatcher(sinks, self._state.alerts)
        self._judged = baseline.judged(keep_texts=request.keep_texts)
        self._model: LiveModel | None = None
        self._sums: dict[int, bytes] = {}
        self._ended = 0
        self._answer: tuple[Harm | None, list[str]] | None = None
        self._owes, self._tried = False, 0.0

    def run(self, stop: threading.Event) -> int:
        self._after_commit()
        while not stop.is_set():
            for rows in self._batches():
                self._take(self._cutter.cut(rows), rows.end)
                if stop.is_set():
                    return self._ended
            self._take(self._cutter.close_due(), self._state.position)
            if self._request.once:
                break
            if self._owes and time.monotonic() - self._tried >= RETRY_S:
                self._after_commit()
            stop.wait(self._request.poll_s)
        return self._ended

    def _batches(self) -> Iterator[Rows]:
        rows = self._source.read(self._state.position or None, batch_rows=self._request.batch_rows)
        for batch in rows:
            if len(batch) and not batch.vectors.shape[1]:
                yield from encoded(iter([batch]), self._opened(), self._source.name)
            else:
                yield batch

    def _take(self, cuts: Sequence[Cut], position: Mapping[str, Any]) -> None:
        """Count what was cut, judge what is full, and commit both with the position."""
        if not cuts and position == self._state.position:
            return
        reports, self._answer = [], None
        for cut in cuts:
            self._count(cut)
            if cut.is_closed:
                reports.append(self._close(cut))
        state = replace(self._state, position=position, cut=self._cutter.state, alerts=self._dispatcher.state)
        forms = [drift_to_dict(report) for report in reports]
        kept = self._kept.commit(self._key, state.progress(), forms)
        self._state = replace(state, version=kept.version)
        self._ended += len(reports)
        for report in reports:
            self._metrics.observe(report)
            self._on_report(report)
        if reports:
            self._after_commit()

    def _count(self, cut: Cut) -> None:
        if cut.rows is None or not len(cut.rows):
            return
        name = str(cut.number)
        before = self._state.windows.get(name)
        window = counted(self._baseline, self._judged, cut.rows)
        whole = window if before is None else before + window
        self._state = replace(self._state, windows={**self._state.windows, name: whole})

    def _close(self, cut: Cut) -> DriftReport:
        windows = dict(self._state.windows)
        window = windows.pop(str(cut.number), None) or empty_window(self._judged)
        policy = self._request.policy
        standing = self._state.standing.advance(window_p(self._baseline, window, policy))
        p_values = segment_p_values(self._baseline, window, policy)
        segments = advance_segments(self._state.segments, p_values, policy.run_length)
        harm, said = self._asked()
        report = judge_window(
            self._baseline,
            window,
            policy,
            Circumstances(
                source=self._source.name,
                number=cut.number,
                usual_rows=self._usual_rows(),
                harm=harm,
                evidence=standing.evidence,
                segments=judged_segments(segments, p_values, window.segment_rows),
                notes=(*said, *self._left_out()),
            ),
        )
        left_out = self._cutter.state.left_out
        self._state = replace(self._state, windows=windows, standing=standing, segments=segments, left_out=left_out)
        self._dispatcher.note(alert_of(report))
        if self._request.track:
            self._sums[cut.number] = sums_of(window)
        return report

    def _usual_rows(self) -> float | None:
        rate, every = self._baseline.rows_per_s, self._request.every
        return None if rate is None or every is None else rate * every.total_seconds()

    def _left_out(self) -> list[str]:
        found = self._cutter.state
        if found.left_out == self._state.left_out:
            return []
        said = (
            f"rows left out since the start of the watch: {found.late} came after their window was closed, "
            f"{found.untimed} have no time, {found.ahead} are of the future (a wrong clock)"
        )
        return [said]

    def _asked(self) -> tuple[Harm | None, list[str]]:
        """Ask the canaries, once for all windows that close at the same time."""
        if self._answer is None:
            self._answer = self._ask()
        return self._answer

    def _ask(self) -> tuple[Harm | None, list[str]]:
        """Ask the canaries; a model that doesn't answer is told of and stops nothing."""
        if self._baseline.canaries is None or not self._request.ask_canaries:
            return None, []
        try:
            model = self._opened()
            return (None, []) if model is None else (ask_canaries(self._baseline, model), [])
        except NotComparable:
            raise
        except BenchkitError as exc:
            return None, [f"the canaries could not be asked: {exc}"]

    def _opened(self) -> LiveModel | None:
        spec = self._request.model or self._baseline.model_spec
        if self._model is None and spec:
            self._model = LiveModel.open(spec, device=self._request.device, offline=self._request.offline)
        return self._model

    def _after_commit(self) -> None:
        """Deliver and record what was committed; what fails is kept and tried again: with the next window, or soon."""
        failed = [delivery for delivery in self._dispatcher.deliver() if delivery.error]
        for delivery in failed:
            self._on_message(f"not delivered, tried again later: {delivery.error}")
        if self._dispatcher.state != self._state.alerts and self._state.version:
            state = replace(self._state, alerts=self._dispatcher.state)
            kept = self._kept.commit(self._key, state.progress())
            self._state = replace(state, version=kept.version)
        is_recorded = self._record() if self._request.track else True
        self._owes, self._tried = bool(failed) or not is_recorded, time.monotonic()

    def _record(self) -> bool:
        """Record in MLflow what isn't yet; return whether all is."""
        from benchkit.store.drift_runs import log_drift

        uri = self._request.tracking_uri or self._settings.tracking_uri
        for check in self._kept.unrecorded(self._key):
            sums = self._sums.get(check.report["window"]["number"], b"")
            try:
                run_id = log_drift(check.report, tracking_uri=uri, sketch=sums)
            except BenchkitError as exc:
                self._on_message(f"not recorded in MLflow, tried again later: {exc}")
                return False
            self._kept.recorded(check.id, run_id)
        self._sums.clear()
        return True
