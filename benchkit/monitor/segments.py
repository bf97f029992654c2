"""The segments of a window: each held against its own past, and which of them make the change of the whole.

    Window (sums of each judged segment) ─┬─ segment_p_values ── segments_of (Holm) ──> SegmentResult
    Baseline (a reference of each) ───────┴─ segment_drivers ──> SegmentDriver, the largest part first

The parts of the drivers add up to the whole shift of the mean, so they are told only where the mean surely moved: of
chance alone, each segment would have some part too. What is in no judged segment is one more, "(all others)".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.explain import SegmentMean, drivers
from benchkit.drift.frame import Frame
from benchkit.drift.judge import judge
from benchkit.drift.sequential import p_to_e
from benchkit.drift.sketch import Sketch
from benchkit.measure.decide import holm
from benchkit.monitor.baseline import Baseline
from benchkit.monitor.window import OTHER_SEGMENTS, Window
from benchkit.types.drift import DriftPolicy, SegmentDriver, SegmentResult, StatisticResult

OF_THE_MEAN = ("centroid", "mahalanobis")
MOVED_P = 0.05


def segments_of(baseline: Baseline, window: Window, policy: DriftPolicy) -> tuple[SegmentResult, ...]:
    """Test each segment of a single check against its own past; Holm's correction over those that were tested."""
    p_values = segment_p_values(baseline, window, policy)
    corrected = holm(list(p_values.values()))
    return tuple(
        SegmentResult(
            segment=name,
            rows=window.segment_rows.get(name, 0),
            p_value=p_value,
            e_value=None if p_value is None else p_to_e(p_value),
            is_alarm=adjusted is not None and adjusted <= policy.false_alarms,
        )
        for (name, p_value), adjusted in zip(p_values.items(), corrected, strict=True)
    )


def segment_p_values(baseline: Baseline, window: Window, policy: DriftPolicy) -> dict[str, float | None]:
    """Return the p-value of each segment of a window; None of one too small, or without a reference of its own."""
    found: dict[str, float | None] = {}
    is_own = baseline.own_share(window) is not None
    for name in sorted(window.segment_rows):
        sums = None if is_own else window.segments.get(name)
        found[name] = None
        if sums is not None and sums.rows >= policy.min_rows:
            reference = baseline.segments[name]
            found[name] = judge(reference, sums, tolerance=policy.tolerance, times=window.known_times).p_value
    return found


def segment_drivers(
    baseline: Baseline, window: Window, statistics: Sequence[StatisticResult]
) -> tuple[SegmentDriver, ...]:
    """Return what each segment adds to a window's shift; nothing without segments, or where the mean did not move.

    Args:
        statistics: Of the window; whether its mean moved.
    """
    moved = any(found.name in OF_THE_MEAN and found.p_value <= MOVED_P for found in statistics)
    if not (baseline.segments and window.segments and moved):
        return ()
    whole = baseline.reference
    before = {
        name: SegmentMean(part.rows, _mean(part.frame, part.baseline)) for name, part in baseline.segments.items()
    }
    now = {
        name: SegmentMean(sums.rows, _mean(baseline.segments[name].frame, sums))
        for name, sums in window.segments.items()
        if sums.rows
    }
    mean_before, mean_now = _mean(whole.frame, whole.baseline), _mean(whole.frame, window.sketch)
    return tuple(
        drivers(
            _with_others(before, SegmentMean(whole.rows, mean_before)),
            _with_others(now, SegmentMean(window.sketch.rows, mean_now)),
        )
    )


def _mean(frame: Frame, sums: Sketch) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = frame.mean + sums.linear / sums.rows
    return mean


def _with_others(segments: dict[str, SegmentMean], whole: SegmentMean) -> dict[str, SegmentMean]:
    """Return the segments and what is left of the whole, so that their mean is that of the whole."""
    left = whole.rows - sum(part.rows for part in segments.values())
    if left <= 0 or OTHER_SEGMENTS in segments:
        return segments
    total = whole.rows * whole.mean - sum(part.rows * part.mean for part in segments.values())
    return segments | {OTHER_SEGMENTS: SegmentMean(left, total / left)}
