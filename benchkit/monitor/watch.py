"""Following a source that grows: each window is judged when it is full, and nothing is counted twice or lost.

    Source ── batch ── cuts ── windows ── full ones judged ──┐
    one transaction: position, unfinished windows, evidence ─┴─ alerts, verdicts ──> state.db
    then: alerts delivered, verdicts recorded in MLflow; what fails is tried again with the next batch

A source that isn't there yet, or no longer, is waited for, and so is an endpoint that encoded texts before. What can't
be read, or can't be held against the baseline, ends the watch, and those who get alerts are told so first. The position
moves in the same transaction that keeps what was counted, so that a process that is killed anywhere goes on as if it
had not been.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchkit.drift.layout import lay_out
from benchkit.errors import ModelError, NotComparable, SourceError, UsageError
from benchkit.monitor.alerts.alert import alert_of
from benchkit.monitor.alerts.deadline import LateError
from benchkit.monitor.alerts.dispatch import Dispatcher
from benchkit.monitor.alerts.prometheus import Metrics, PrometheusEndpoint
from benchkit.monitor.alerts.specs import sink_of
from benchkit.monitor.baseline import Baseline
from benchkit.monitor.check import Circumstances, NotOfBaseline, counted, judge_window, window_p
from benchkit.monitor.evidence import advance_segments, judged_segments
from benchkit.monitor.followed import open_beside
from benchkit.monitor.kept_baselines import load_baseline
from benchkit.monitor.kept_checks import sums_of
from benchkit.monitor.live_model import ModelAway
from benchkit.monitor.log_removed import look
from benchkit.monitor.project import open_state, settings_here
from benchkit.monitor.segments import segment_p_values
from benchkit.monitor.volume import Volume
from benchkit.monitor.watch_model import WatchModel
from benchkit.monitor.watch_record import Recorder
from benchkit.monitor.watch_state import WatchRequest, WatchState, kept_state, stream_key
from benchkit.monitor.window import empty_window
from benchkit.report.drift_json import drift_from_dict, drift_to_dict
from benchkit.settings import Settings
from benchkit.sources.folder import SourceAbsent
from benchkit.sources.windows import MOST_EMPTY, Cut, WindowCutter
from benchkit.store.drift_state import DriftState
from benchkit.types.drift import DriftReport, Rows, Source, WindowInfo

__all__ = ["WatchRequest", "stream_key", "watch_source"]

RETRY_S = 60.0  # between two tries to tell what could not be told
SETTLING_S = 60.0  # a file that isn't whole is left alone while it is younger
_LOOKS, _LOOKS_APART_S = 20, 0.1  # for what a log says of a file that it removed
_MEND_AND_START = "The watch has ended. Mend this, then start it again: it goes on where it stopped."
_SILENT = f"{MOST_EMPTY:,} windows in a row have no rows: more of them are not told until rows come"


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
        ModelError: rows are texts alone, and the model that encodes them can't be had or failed.
        NotComparable: no such baseline, or rows of another dimension or model.
        SourceError: a file can't be read, or changed behind the place that was read; with `once`, nothing is there.
        UsageError: a wrong option, or another watch of the same stream.
    """
    if (request.size is None) == (request.every is None):
        raise UsageError("a watch needs windows: --window-size ROWS or --every SPAN, and not both")
    here = settings or settings_here()
    baseline = load_baseline(request.baseline, settings=here)
    ending = stop or threading.Event()
    source = open_beside(
        baseline,
        request.source,
        columns=request.columns,
        dimension=request.dimension,
        query=request.query,
        settling_s=SETTLING_S,
    )
    with ExitStack() as opened:
        state = opened.enter_context(open_state(here))
        opened.enter_context(state.following(stream_key(request, baseline, source)))
        metrics = Metrics()
        sinks = [sink_of(spec, stop=ending) for spec in request.alerts]
        if request.metrics_port is not None:
            endpoint = opened.enter_context(PrometheusEndpoint(request.metrics_port, metrics=metrics))
            on_message(f"metrics on http://127.0.0.1:{endpoint.port}/metrics")
            sinks.append(endpoint)
        watching = _Watch(request, here, baseline, source, state, sinks, metrics, on_report, on_message, ending)
        return watching.run(ending)


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
        stop: threading.Event,
    ) -> None:
        self._request, self._baseline, self._source = request, baseline, source
        self._kept, self._metrics, self._on_report, self._on_message = state, metrics, on_report, on_message
        self._key = stream_key(request, baseline, source)
        self._state = self._committed = kept_state(state, self._key, request.policy, baseline.info.digest)
        self._cutter = WindowCutter(
            size=request.size, every=request.every, lateness=request.lateness, state=self._state.cut
        )
        self._sinks = sinks
        self._dispatcher = Dispatcher(sinks, self._state.alerts)
        self._judged = baseline.judged(keep_texts=request.keep_texts)
        self._layout = lay_out(baseline.reference.frame.centroids, request.layout)
        self._model = WatchModel(request, baseline, source.name, stop)
        self._recorder = Recorder(state, self._key, request.tracking_uri or settings.tracking_uri, stop)
        self._ended = 0
        self._owes, self._tried, self._waits = False, 0.0, False
        self._said_left_out = 0
        place = request.source.strip().removeprefix("file://")
        self._root = None if "://" in place else Path(place).expanduser()

    def run(self, stop: threading.Event) -> int:
        if self._state.given_up:
            rows = f"{self._state.given_up} rows of unfinished windows"
            self._on_message(f"{rows} were counted against the baseline before, and are in no window of this one")
        self._show_last()
        self._after_commit()
        try:
            self._follow(stop)
        except LateError:  # stopped while an endpoint was asked: the next start reads again what isn't committed
            self._state = self._committed
        except (ModelAway, SourceAbsent):
            raise
        except (ModelError, NotComparable, SourceError) as exc:
            self._tell_end(exc)
            raise
        finally:
            self._say_left_out(again=True)
        return self._ended

    def _show_last(self) -> None:
        """Show in the metrics what stood before the start; a report of another form tells nothing."""
        last = self._kept.last(self._key)
        if last is not None:
            with suppress(UsageError):
                report = drift_from_dict(last.report)
                # The same place may have been written otherwise then, and would be another series.
                self._metrics.resume(replace(report, window=replace(report.window, source=self._source.name)))

    def _follow(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._look_for_removed()
            if self._read(stop):
                self._take(self._cutter.close_due(), self._state.position)
            self._say_left_out()
            if self._request.once:
                break
            if self._owes and time.monotonic() - self._tried >= RETRY_S:
                self._after_commit()
            stop.wait(self._request.poll_s)

    def _read(self, stop: threading.Event) -> bool:
        """Take the rows that are there; return whether the clock may now close windows: no row was left unread."""
        try:
            for rows in self._batches():
                self._take(self._cutter.cut(rows), rows.end)
                self._waits = False
                if stop.is_set():
                    return False
        except (ModelAway, SourceAbsent) as exc:
            if self._request.once:
                raise
            if not self._waits:
                self._on_message(f"waiting for {'the model' if isinstance(exc, ModelAway) else 'rows'}: {exc}")
            self._waits = True
            return isinstance(exc, SourceAbsent) and exc.is_empty
        except SourceError:
            if self._lost_in_hand():
                return self._read(stop)
            raise
        self._waits = False
        return True

    def _batches(self) -> Iterator[Rows]:
        rows = self._source.read(self._state.position or None, batch_rows=self._request.batch_rows)
        for batch in rows:
            if len(batch) and not batch.vectors.shape[1]:
                yield self._model.encoded(batch)
            else:
                yield batch

    def _take(self, cuts: Sequence[Cut], position: Mapping[str, Any]) -> None:
        """Count what was cut, judge what is full, and commit both with the position."""
        if not cuts and position == self._state.position:
            return
        reports = []
        self._model.ask_again()
        for cut in cuts:
            self._count(cut)
            if cut.is_closed:
                reports.append(self._close(cut))
        state = replace(self._state, position=position, cut=self._cutter.state, alerts=self._dispatcher.state)
        forms = [drift_to_dict(report) for report in reports]
        self._commit(state, forms)
        self._ended += len(reports)
        for report in reports:
            self._metrics.observe(report)
            self._on_report(report)
        if reports:
            self._after_commit()

    def _commit(self, state: WatchState, reports: Sequence[Mapping[str, Any]] = ()) -> None:
        kept = self._kept.commit(self._key, state.progress(), reports)
        self._state = self._committed = replace(state, version=kept.version)

    def _count(self, cut: Cut) -> None:
        if cut.rows is None or not len(cut.rows):
            return
        name, state = str(cut.number), self._state
        before = state.windows.get(name)
        window = counted(self._baseline, self._judged, cut.rows, beside=before)
        whole = window if before is None else before + window
        volume = state.volumes.get(name, Volume(*([] if before is None else [before.rows, before.rows])))
        self._state = replace(
            state,
            windows={**state.windows, name: whole},
            volumes={**state.volumes, name: volume.plus(len(cut.rows), cut.rows.sampling)},
            sampling=cut.rows.sampling,
        )

    def _close(self, cut: Cut) -> DriftReport:
        windows = dict(self._state.windows)
        window = windows.pop(str(cut.number), None) or empty_window(self._judged, cut.start, cut.end)
        volumes = dict(self._state.volumes)
        volume = volumes.pop(str(cut.number), Volume(sampling=self._state.sampling))
        policy = self._request.policy
        standing = self._state.standing.advance(window_p(self._baseline, window, policy))
        p_values = segment_p_values(self._baseline, window, policy)
        segments = advance_segments(self._state.segments, p_values, policy.run_length)
        harm, said = self._model.harm()
        report = judge_window(
            self._baseline,
            window,
            policy,
            Circumstances(
                source=self._source.name,
                number=cut.number,
                usual_rows=self._usual_rows(volume),
                harm=harm,
                evidence=standing.evidence,
                segments=judged_segments(segments, p_values, window.segment_rows),
                notes=(*said, *self._left_out(), *([_SILENT] if cut.is_last_empty else [])),
                layout=self._layout,
            ),
        )
        self._state = replace(
            self._state,
            windows=windows,
            volumes=volumes,
            standing=standing,
            segments=segments,
            left_out=self._n_left_out,
        )
        self._dispatcher.note(alert_of(report), model_was_asked=not said)
        if self._request.track:
            self._recorder.keep(cut.number, sums_of(window))
        return report

    def _usual_rows(self, volume: Volume) -> float | None:
        every = self._request.every
        seconds = 0.0 if every is None else every.total_seconds()
        return volume.usual_rows(self._baseline.usual_per_s(seconds), seconds) if seconds else None

    def _look_for_removed(self) -> None:
        """Count what an embedding log removed before it was read; the rest of a file in hand is lost with it."""
        if self._root is None:
            return
        before = self._state
        removed, position = look(self._root, before.removed, before.position)
        self._state = replace(before, removed=removed, position=position)
        if removed.told > before.removed.told:
            self._commit(self._state)

    def _lost_in_hand(self) -> bool:
        """Return whether the log has just removed the file in hand: it says so a moment after it did."""
        name, before = self._state.position.get("file"), self._state.position
        if self._root is None or not name or not self._state.removed.seen:
            return False
        for _ in range(_LOOKS):
            if (self._root / name).exists():
                return False
            self._look_for_removed()
            if self._state.position != before:
                return True
            time.sleep(_LOOKS_APART_S)
        return False

    @property
    def _n_left_out(self) -> int:
        return self._cutter.state.left_out + self._state.removed.told

    def _left_out(self) -> list[str]:
        """Return what no window holds, in words, where it is more than a report has told."""
        found, removed = self._cutter.state, self._state.removed
        if self._n_left_out == self._state.left_out:
            return []
        said = (
            f"rows left out since the start of the watch: {found.late} came after their window was closed, "
            f"{found.untimed} have no time, {found.ahead} are of the future (a wrong clock)"
        )
        return [*([said] if found.left_out else []), *removed.sentences]

    def _say_left_out(self, *, again: bool = False) -> None:
        """Say what was left out and stands in no report: once after each of them, and `again` if it is more by now."""
        now, said = self._n_left_out, max(self._said_left_out, self._state.left_out)
        if now > said and (again or self._said_left_out <= self._state.left_out):
            for sentence in self._left_out():
                self._on_message(sentence)
            self._said_left_out = now

    def _tell_end(self, error: ModelError | NotComparable | SourceError) -> None:
        """Alert that the watch ends, once however often it is started again."""
        # What the batch in hand changed, and what its windows would have told, isn't committed.
        self._state, self._dispatcher = self._committed, Dispatcher(self._sinks, self._committed.alerts)
        report = DriftReport(
            baseline=self._baseline.info,
            window=WindowInfo(self._source.name, 0, number=self._state.cut.number),
            policy=self._request.policy,
            kind=error.kind if isinstance(error, NotOfBaseline) else "pipeline",
            severity="critical",
            reason=str(error),
            advice=_MEND_AND_START,
            breaks_policy=True,
            p_value=None,
            checked_at=datetime.now(UTC).isoformat(timespec="seconds"),
            evidence=self._state.standing.evidence,
        )
        if self._dispatcher.note_end(alert_of(report)) is not None:
            self._commit(replace(self._state, alerts=self._dispatcher.state))
            self._after_commit()

    def _after_commit(self) -> None:
        """Deliver and record what was committed; what fails is kept and tried again: with the next window, or soon."""
        failed = [delivery for delivery in self._dispatcher.deliver() if delivery.error]
        for delivery in failed:
            self._on_message(f"not delivered, tried again later: {delivery.error}")
        if self._dispatcher.state != self._state.alerts and self._state.version:
            self._commit(replace(self._state, alerts=self._dispatcher.state))
        unrecorded = self._recorder.record() if self._request.track else None
        if unrecorded:
            self._on_message(f"not recorded in MLflow, tried again later: {unrecorded}")
        self._owes, self._tried = bool(failed) or unrecorded is not None, time.monotonic()
