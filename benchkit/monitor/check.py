"""One window against a baseline: what is counted is judged, explained, and put into a report.

Source ── rows of the window ── Window ─┐
Baseline ───────────────────────────────┼── judge_window ──> DriftReport
canaries, embedded now ── Harm ─────────┘
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from benchkit.drift.canary import measure_harm
from benchkit.drift.explain import changed_clusters, keywords
from benchkit.drift.findings import findings
from benchkit.drift.judge import dead_rms, judge
from benchkit.drift.outside import outside_change
from benchkit.drift.projection import project
from benchkit.drift.scores import judge_scores
from benchkit.drift.verdict import conclude
from benchkit.errors import NotComparable, SourceError
from benchkit.monitor.baseline import Baseline
from benchkit.monitor.evidence import CALM_P
from benchkit.monitor.live_model import LiveModel
from benchkit.monitor.rounding import with_harm_of_rounding
from benchkit.monitor.segments import segment_drivers, segments_of
from benchkit.monitor.window import NO_SEGMENT, Judged, Window, empty_window, window_of
from benchkit.sources.words import shown, shown_place
from benchkit.types.drift import (
    OUTSIDE,
    ChangeKind,
    ClusterChange,
    DriftPolicy,
    DriftReport,
    Evidence,
    Harm,
    HealthFinding,
    Projection,
    RegionPlace,
    Rows,
    SegmentResult,
    StatisticResult,
    WindowInfo,
)

_EXAMPLES_SHOWN = 3
_CLUSTERS_SHOWN = 8
_CYCLES = {86_400: "baseline's weekdays", 3_600: "hours of the baseline's days"}  # by the length of a past window


class NotOfBaseline(NotComparable):
    """Rows or a model that a baseline can't be of.

    Attributes:
        kind: What has changed, as far as that tells.
    """

    def __init__(self, message: str, *, kind: ChangeKind) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What else is known of a window.

    Attributes:
        usual_rows: Rows in a usual window of this length; None where nobody knows.
        harm: Of canaries embedded now; None without.
        evidence: Of the windows of a watch so far, this one included; None in a single check.
        segments: By segment, of a watch: evidence so far; a single check corrects p-values instead.
        layout: The baseline's regions in a second picture, as drift.layout has them; () without.
    """

    source: str
    number: int = 0
    usual_rows: float | None = None
    harm: Harm | None = None
    evidence: Evidence | None = None
    segments: tuple[SegmentResult, ...] | None = None
    notes: tuple[str, ...] = ()
    layout: tuple[RegionPlace, ...] = ()


def collect(baseline: Baseline, batches: Iterable[Rows], *, keep_texts: bool = False) -> Window:
    """Return the window of all rows of some batches.

    Raises:
        NotComparable: the rows have another dimension or another model than the baseline.
    """
    judged = baseline.judged(keep_texts=keep_texts)
    window = empty_window(judged)
    for rows in batches:
        if len(rows):
            window = window + counted(baseline, judged, rows, beside=window)
    return window


def counted(baseline: Baseline, judged: Judged, rows: Rows, *, late: int = 0, beside: Window | None = None) -> Window:
    """Return the window of some rows; see `window_of`.

    Raises:
        NotComparable: they have another dimension or another model than the baseline.
    """
    info = baseline.info
    if rows.vectors.shape[1] != info.dimension:
        raise NotOfBaseline(
            f"the rows{_where(rows)} have {rows.vectors.shape[1]} dimensions and the baseline {info.name!r} has "
            f"{info.dimension}: "
            "another model, or a cut one; compare the two with `benchkit drift models`, or make a new baseline",
            kind="pipeline",
        )
    if _is_other_model(baseline, rows):
        found = _said(rows.model or "without a name", rows.fingerprint)
        raise NotOfBaseline(
            f"the rows{_where(rows)} say that they are of the model {found} and the baseline {info.name!r} is of "
            f"{_said(info.model or 'another', info.fingerprint)}; make a baseline of that model, or roll back",
            kind="model",
        )
    return window_of(judged, _with_segments(judged, rows), late=late, beside=beside)


def _with_segments(judged: Judged, rows: Rows) -> Rows:
    """Return rows of a file without the column of segments as rows of no segment, where the baseline knows these."""
    if NO_SEGMENT not in judged.segments:
        return rows
    absent = (None,) * len(rows)
    if judged.segment_by == "role":
        return rows if rows.roles is not None else replace(rows, roles=absent)
    return rows if rows.segments is not None else replace(rows, segments=absent)


def _where(rows: Rows) -> str:
    """Return which file rows are of, where that is known."""
    file = rows.end.get("file")
    return f" of {shown_place(str(file))}" if file else ""


def _is_other_model(baseline: Baseline, rows: Rows) -> bool:
    info = baseline.info
    if rows.fingerprint and info.fingerprint:
        return rows.fingerprint != info.fingerprint
    # The rows of both said a name. One that a command was given may be another name of the same model.
    return bool(rows.model and info.model and not baseline.model_spec and rows.model != info.model)


def _said(model: str, fingerprint: str) -> str:
    """Return a model as its file names it, on one line: whoever writes a file may write anything there."""
    return f"{shown(model)} ({shown(fingerprint[:12])})" if fingerprint else shown(model)


def ask_canaries(baseline: Baseline, model: LiveModel) -> Harm:
    """Embed the baseline's canaries with the model that runs now, and say what the change does.

    Raises:
        NotComparable: the baseline has no canaries, or the model gives another dimension.
        ModelError: the model failed.
        SourceError: it gave NaN or infinity.
    """
    canaries = baseline.canaries
    if canaries is None:
        raise NotComparable(
            f"the baseline {baseline.info.name!r} has no canaries; renew it with --canary and --model to have "
            "the model asked"
        )
    vectors = model.encode(canaries.texts, canaries.roles)
    if vectors.shape[1] != baseline.info.dimension:
        raise NotOfBaseline(
            f"the model {model.spec} gives {vectors.shape[1]} dimensions and the baseline {baseline.info.name!r} has "
            f"{baseline.info.dimension}: it isn't the baseline's model; roll it back, or re-embed and make a new "
            "baseline",
            kind="model",
        )
    try:
        return measure_harm(canaries, vectors)
    except ValueError as exc:
        raise SourceError(f"the model {model.spec} can't be judged by its canaries: {exc}") from exc


def judge_window(baseline: Baseline, window: Window, policy: DriftPolicy, about: Circumstances) -> DriftReport:
    """Say what a window is."""
    health = _health(baseline, window, policy, about)
    p_value, statistics = _statistics(baseline, window, policy)
    harm = _with_scores(baseline, window, about.harm)
    segments = about.segments if about.segments is not None else segments_of(baseline, window, policy)
    concluded = conclude(
        policy=policy,
        health=health,
        p_value=p_value,
        evidence=about.evidence,
        harm=harm,
        statistics=statistics,
        segments=segments,
        is_watch=about.evidence is not None,
    )
    limit = CALM_P if about.evidence is not None and about.evidence.is_alarm else policy.false_alarms
    is_change = (p_value is not None and p_value <= limit) or any(found.is_alarm for found in segments)
    return DriftReport(
        baseline=baseline.info,
        window=_info(window, about),
        policy=policy,
        kind=concluded.kind,
        severity=concluded.severity,
        reason=concluded.reason,
        advice=concluded.advice,
        breaks_policy=concluded.breaks_policy,
        p_value=p_value,
        checked_at=datetime.now(UTC).isoformat(timespec="seconds"),
        health=health,
        statistics=statistics,
        evidence=about.evidence,
        harm=harm,
        clusters=_clusters(baseline, window) if p_value is not None else (),
        segments=segments,
        notes=(*_notes(baseline, window, policy), *_unreachable(baseline, policy, segments, about), *about.notes),
        projection=_projection(baseline, window, about.layout),
        drivers=segment_drivers(baseline, window, statistics) if is_change else (),
    )


def _projection(baseline: Baseline, window: Window, layout: tuple[RegionPlace, ...]) -> Projection | None:
    found = project(baseline.reference, window.sketch, window.points, baseline.plane)
    return None if found is None else replace(found, layout=layout)


def _info(window: Window, about: Circumstances) -> WindowInfo:
    return WindowInfo(
        source=about.source,
        rows=window.rows,
        start=_time(window.start),
        end=_time(window.end),
        number=about.number,
        model=", ".join(model for model, _ in window.models),
        fingerprint=", ".join(fingerprint for _, fingerprint in window.models),
    )


def window_p(baseline: Baseline, window: Window, policy: DriftPolicy) -> float | None:
    """Return the p-value of a window; None where it has too few rows for a test."""
    return _statistics(baseline, window, policy)[0]


def _health(baseline: Baseline, window: Window, policy: DriftPolicy, about: Circumstances) -> tuple[HealthFinding, ...]:
    dead = dead_rms(baseline.reference, window.sketch) if window.sketch.rows else None
    found = findings(window.health, baseline.health, policy=policy, dead=dead, usual_rows=about.usual_rows)
    return with_harm_of_rounding(found, baseline, window, policy)


def _statistics(
    baseline: Baseline, window: Window, policy: DriftPolicy
) -> tuple[float | None, tuple[StatisticResult, ...]]:
    if window.sketch.rows < policy.min_rows or baseline.own_share(window) is not None:
        return None, ()
    found = judge(baseline.reference, window.sketch, tolerance=policy.tolerance, times=window.known_times)
    return found.p_value, found.statistics


def _with_scores(baseline: Baseline, window: Window, harm: Harm | None) -> Harm | None:
    if baseline.scores is None or window.scores is None or not window.scores.n:
        return harm
    share, p_value = judge_scores(baseline.scores, window.scores)
    return replace(harm or Harm(), low_score_share=share, low_score_p=p_value)


def _clusters(baseline: Baseline, window: Window) -> tuple[ClusterChange, ...]:
    usual = baseline.reference.usual(window.known_times)
    changed = changed_clusters(usual.clusters / usual.rows, usual.rows, window.sketch.clusters)
    new = outside_change(baseline.reference, window.sketch, usual=usual)
    everywhere = [text for region, texts in window.texts.items() for text in texts.values() if region != OUTSIDE]
    shown = [*([new] if new else []), *changed][:_CLUSTERS_SHOWN]
    return tuple(_explained(baseline, window, change, everywhere) for change in shown)


def _explained(baseline: Baseline, window: Window, change: ClusterChange, everywhere: Sequence[str]) -> ClusterChange:
    texts = list(window.texts.get(change.cluster, {}).values())
    return replace(
        change,
        keywords=keywords(texts, everywhere) if texts else (),
        examples=tuple(texts[:_EXAMPLES_SHOWN]),
        baseline_examples=baseline.examples.get(change.cluster, ())[:_EXAMPLES_SHOWN],
    )


def _notes(baseline: Baseline, window: Window, policy: DriftPolicy) -> list[str]:
    notes = []
    if window.sketch.rows < policy.min_rows:
        few = "1 row is" if window.sketch.rows == 1 else f"{window.sketch.rows} rows are"
        notes.append(
            f"{few} too few for a test ({policy.min_rows} at least): only the vectors themselves were looked at"
        )
    own = baseline.own_share(window)
    if own is not None:
        notes.append(
            f"about {own:.0%} of the rows are those that the baseline was made of, which can't be tested against it: "
            "check rows that came later"
        )
    if len(window.models) > 1:
        named = ", ".join(_said(model or "without a name", fingerprint) for model, fingerprint in window.models)
        notes.append(f"the rows say that they are of {len(window.models)} models: {named}")
    if window.late:
        notes.append(f"{window.late} rows came later than their window had been closed, and were counted in this one")
    missing = [name for name in baseline.segments if not window.segment_rows.get(name)] if window.rows else []
    if missing:
        notes.append(f"no row of the segments {', '.join(missing)}")
    if baseline.reference.is_seasonal(window.known_times):
        notes.append(f"the {_CYCLES.get(baseline.unit_s, 'windows of the past')} differ: each is held against its own")
    if baseline.info.n_windows == 0:
        notes.append(
            "the baseline takes rows as independent; where days or sessions differ, make it from rows with times over "
            "eight days or more with 30 rows each, or as many such weeks"
        )
    return notes


def _unreachable(
    baseline: Baseline, policy: DriftPolicy, segments: Sequence[SegmentResult], about: Circumstances
) -> Iterator[str]:
    """Say where Holm's correction leaves no p-value that would be an alarm; a watch corrects otherwise."""
    n_tested = sum(found.p_value is not None for found in segments) if about.segments is None else 0
    least = n_tested * baseline.reference.least_p
    if least > policy.false_alarms:
        yield (
            f"{n_tested} segments were tested, and after the correction for their number no p-value is below "
            f"{least:g}: at --false-alarms {policy.false_alarms:g} none of them can be an alarm"
        )


def _time(time: np.datetime64 | None) -> str:
    return "" if time is None else f"{np.datetime_as_string(time, unit='s')}Z"
