"""What a drift monitor saw: windows over time, what they say together, canaries, and the tests of one window.

    check rows, marks ─┬─ timeline ───────> calibrated p-value of each window, with the band of unchanged ones
                       ├─ evidence ───────> the Shiryaev-Roberts sum and the level of its alarm
                       └─ canary_quality ─> what happens to texts that are embedded again (canaries.py)
    DriftReport ── statistics, segments ──> the tests of one window (window.py)

Evidence grows upwards on all of them, so an alarm stands out at the top. p-values and sums are on logarithmic axes,
which end where more would say nothing: what lies beyond stands on the last line, which is labelled so.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchkit.report import drift_words, words
from benchkit.report.charts import base
from benchkit.report.charts.base import PAPER, Chart, Row, chart, haloed
from benchkit.report.charts.canaries import canary_quality
from benchkit.report.charts.timeaxis import (
    TEXT_SHOWN,
    TimeAxis,
    band_layer,
    bands,
    check_axis,
    foot_label,
    mark_layers,
    mark_rows,
)
from benchkit.report.charts.window import LEAST_P, LEGEND, p_axis, segments, statistics
from benchkit.types.board import CheckRow, Mark
from benchkit.types.drift import DRIFT_SEVERITIES, DriftSeverity, evidence_words

__all__ = ["canary_quality", "evidence", "segments", "statistics", "timeline"]

PICKED = "picked"  # the parameter that has the key of the window that was clicked on
SEVERITY_STYLES: Mapping[DriftSeverity, tuple[str, str]] = {
    "ok": ("circle", base.GREY),
    "info": ("square", base.BLUE),
    "warn": ("triangle-up", base.ORANGE),
    "critical": ("diamond", base.VERMILION),
}
_SHOWN_P = {"calculate": f"max(datum.p, {LEAST_P})", "as": "shown"}
_LEAST_SUM, _MOST_LEVELS = 0.01, 100  # ends of the evidence axis, the second one in alarm levels
_MANY = 150  # windows from which on marks are smaller
# Below p = 1 on the time line: room for the words of the band, where no window can be.
_FOOT_P = 2.6


# ------------------------------------------------------------ windows over time


def timeline(rows: Sequence[CheckRow], marks: Sequence[Mark] = ()) -> Chart | None:
    """Return the p-value of each window over time, a small one at the top; None where no window was tested."""
    tested = [(row, row.p_value) for row in rows if row.p_value is not None]
    if not tested:
        return None
    checks = [row for row, _ in tested]
    axis = check_axis(rows, checks)
    drawn = [_window(*found, place, axis) for found, place in zip(tested, axis.places, strict=True)]
    unchanged = bands(axis, [row.false_alarms for row in checks], _FOOT_P)
    share = drift_words.percent(1 - unchanged[0]["level"])
    layers = [
        band_layer(axis, unchanged),
        *mark_layers(mark_rows(axis, marks)),
        *foot_label(f"{share} of unchanged windows lie in this band"),
        _ring(axis),
        _points(axis, drawn),
    ]
    pick = {"name": PICKED, "select": {"type": "point", "fields": ["key"], "toggle": False}, "views": ["windows"]}
    said = _timeline_words(tested, len(rows))
    return chart("drift-timeline", "p-value of each window", said, rows=drawn, height=256, layer=layers,
                 params=[pick, dict(PAPER)])  # fmt: skip


def _window(row: CheckRow, p_value: float, place: float, axis: TimeAxis) -> dict[str, Any]:
    times = drift_words.times(row.start, row.end) if row.start or row.end else row.source
    window = words.plain(f"{row.number} · {times}" if row.number else times, TEXT_SHOWN)
    severity, p = drift_words.SEVERITY_WORDS[row.severity], words.p_equals(p_value)
    return {
        "key": row.key,
        axis.field: axis.value(place),
        "window": window,
        "p": p_value,
        "severity": severity,
        "changed": row.kind,
        "breaks_policy": row.breaks_policy,
        "rows": row.rows,
        "said": f"{window}: {severity}, p {p}. {words.plain(row.reason, TEXT_SHOWN)}",
    }


def _ring(axis: TimeAxis) -> dict[str, Any]:
    """Return the layer of a ring around the window that is picked."""
    return {
        "transform": [{"filter": {"param": PICKED, "empty": False}}, _SHOWN_P],
        "mark": {"type": "point", "size": 320, "color": base.GREY, "strokeWidth": 2.5, "opacity": 1, "aria": False},
        "encoding": {"x": axis.x(), "y": p_axis("shown", most=_FOOT_P)},
    }


def _points(axis: TimeAxis, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the layer of windows, their severity by shape and colour."""
    found = {row["severity"] for row in rows}
    present = [one for one in DRIFT_SEVERITIES if drift_words.SEVERITY_WORDS[one] in found]
    domain = [drift_words.SEVERITY_WORDS[one] for one in present]
    severity = {"field": "severity", "legend": LEGEND}
    return {
        "name": "windows",
        "transform": [_SHOWN_P],
        "mark": {"type": "point", "filled": True, "size": 34 if len(rows) > _MANY else 80, "opacity": 0.9},
        "encoding": {
            "x": axis.x(),
            "y": p_axis("shown", most=_FOOT_P),
            "shape": {**severity, "scale": {"domain": domain, "range": [SEVERITY_STYLES[one][0] for one in present]}},
            "color": {**severity, "scale": {"domain": domain, "range": [SEVERITY_STYLES[one][1] for one in present]}},
            **base.SAID,
        },
    }


def _timeline_words(tested: Sequence[tuple[CheckRow, float]], n: int) -> str:
    outside = sum(p_value <= row.false_alarms for row, p_value in tested)
    beyond = sum(p_value < LEAST_P for _, p_value in tested)
    last, p_value = tested[-1]
    said = [
        f"{words.counted(len(tested), 'window')}, {outside} of them outside the band of unchanged windows",
        f"the last one has p {words.p_equals(p_value)} and is {drift_words.SEVERITY_WORDS[last.severity]}",
    ]
    if beyond:
        said.append(f"{beyond} with p below {LEAST_P:.4f}, drawn at that line")
    if n > len(tested):
        said.append(f"{n - len(tested)} more not tested")
    return f"{'; '.join(said)}."


# ------------------------------------------------------------ what windows say together


def evidence(rows: Sequence[CheckRow], marks: Sequence[Mark] = ()) -> Chart | None:
    """Return the Shiryaev-Roberts sum over time with its alarm level; None where no watch has one."""
    watched = [
        (row, row.detector, row.run_length)
        for row in rows
        if row.detector is not None and row.run_length is not None and not math.isnan(row.detector)
    ]
    if not watched:
        return None
    axis = check_axis(rows, [row for row, _, _ in watched])
    drawn = [_sum(*found, place, axis) for found, place in zip(watched, axis.places, strict=True)]
    layers = [*mark_layers(mark_rows(axis, marks)), *_alarm_layers(drawn), *_sum_layers(axis, drawn)]
    return chart(
        "drift-evidence", "Evidence of all windows together", _sum_words(drawn), rows=drawn, height=200, layer=layers,
        params=[dict(PAPER)],
    )  # fmt: skip


def _sum(row: CheckRow, detector: float, level: int, place: float, axis: TimeAxis) -> dict[str, Any]:
    verdict = "alarm" if detector >= level else "no alarm"
    return {
        "key": row.key,
        axis.field: axis.value(place),
        "stream": words.plain(row.stream, TEXT_SHOWN),
        "window": row.number,
        # A sum beyond all numbers is no JSON; as large as a number can be says the same.
        "sum": min(detector, sys.float_info.max),
        "alarm_level": level,
        "verdict": verdict,
        "said": f"{axis.said(place)}: evidence {evidence_words(detector)}, {verdict}",
    }


def _sum_layers(axis: TimeAxis, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the line of each stream and its windows: alarms are squares."""
    level = max(row["alarm_level"] for row in rows)
    most = _MOST_LEVELS * level
    high = min(max(2.0 * level, *(row["sum"] for row in rows)), most)
    shown = [{"calculate": f"clamp(datum.sum, {_LEAST_SUM}, {most})", "as": "shown"}]
    place = {"x": axis.x(), "y": _sum_axis(high, is_cut=any(row["sum"] > most for row in rows))}
    domain = ["no alarm", "alarm"]
    verdict = {"field": "verdict", "legend": LEGEND}
    return [
        {
            "transform": shown,
            "mark": {"type": "line", "color": base.GREY, "strokeWidth": 1.5, "aria": False},
            "encoding": {**place, "detail": {"field": "stream"}},
        },
        {
            "transform": shown,
            "mark": {"type": "point", "filled": True, "size": 20 if len(rows) > _MANY else 55, "opacity": 1},
            "encoding": {
                **place,
                "shape": {**verdict, "scale": {"domain": domain, "range": ["circle", "square"]}},
                "color": {**verdict, "scale": {"domain": domain, "range": [base.GREY, base.VERMILION]}},
                **base.SAID,
            },
        },
    ]


def _sum_axis(high: float, *, is_cut: bool) -> dict[str, Any]:
    decades = range(round(math.log10(_LEAST_SUM)), math.floor(math.log10(high)) + 1)
    values = [10.0**power for power in decades][:: 1 if len(decades) <= 6 else 2]
    said = f"datum.value < {1.5 * _LEAST_SUM} ? '≤ {_LEAST_SUM}' : format(datum.value, ',')"
    if is_cut:
        values = [*(value for value in values if value < high / 3), high]
        said = f"datum.value > {high / 2} ? '≥ ' + format(datum.value, ',') : {said}"
    return {
        "field": "shown",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [_LEAST_SUM, high], "nice": False},
        "axis": {"title": "evidence (sum)", "values": values, "labelExpr": said},
    }


def _alarm_layers(rows: Sequence[Row]) -> list[dict[str, Any]]:
    levels = sorted({row["alarm_level"] for row in rows})
    values = {"values": [{"level": level, "said": f"alarm from {level:,} on"} for level in levels]}
    y = {"field": "level", "type": "quantitative"}
    text = {"type": "text", "align": "left", "baseline": "bottom", "dx": 6, "dy": -3, "fontSize": 11, "aria": False}
    return [
        {
            "data": values,
            "mark": {"type": "rule", "color": base.GREY, "size": 2, "strokeDash": [6, 3], "aria": False},
            "encoding": {"y": y},
        },
        *haloed({"data": values, "mark": text, "encoding": {"x": {"value": 0}, "y": y, "text": {"field": "said"}}}),
    ]


def _sum_words(rows: Sequence[Row]) -> str:
    alarms, last = sum(row["verdict"] == "alarm" for row in rows), rows[-1]
    sums = evidence_words(last["sum"])
    return (
        f"{words.counted(len(rows), 'window')}, {words.counted(alarms, 'alarm')}; the last sum is {sums}, and an alarm "
        f"stands at {last['alarm_level']:,}."
    )
