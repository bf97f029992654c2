"""The tests of one window: what each statistic and each segment says, a row of the picture for each.

    DriftReport ─┬─ statistics ─> p-value of each with its effect in words, and the p of all together as a line
                 └─ segments ───> p-value of each, alarms first

A row has its words above its mark and not beside it, so that the picture has its whole width in a narrow window too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchkit.report import drift_words, words
from benchkit.report.charts import base
from benchkit.report.charts.base import Chart, Row, chart
from benchkit.report.charts.labels import labels
from benchkit.types.drift import DriftReport, SegmentResult, StatisticResult

LEAST_P = 1e-4  # a smaller one changes no decision
ROW_PX = 38  # of a row with its words above its mark
ROW_CELLS = 44  # of these words: what a window of 390 px shows in one line
LEGEND: Mapping[str, Any] = {
    "title": None,
    "orient": "bottom",
    "symbolSize": 90,
    "symbolOpacity": 1,
    "symbolStrokeWidth": 1.5,
}
_EFFECT_LETTERS = 120  # of a statistic and its effect, which begin with what matters: the plane's width cuts them
_SEGMENTS_SHOWN = 30


def p_axis(field: str, *, most: float = 1.0) -> dict[str, Any]:
    """Return the encoding of p-values: logarithmic, small ones at the far end.

    Args:
        most: The near end: beyond 1 there is room for words.
    """
    said = f"datum.value < {1.5 * LEAST_P} ? '≤ 0.0001' : datum.value"
    scale = {"type": "log", "domain": [LEAST_P, most], "reverse": True, "nice": False}
    axis = {"title": "p-value", "values": [1, 0.1, 0.01, 0.001, LEAST_P], "labelExpr": said}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def row_axis(n: int) -> dict[str, Any]:
    """Return the encoding of rows one below the other, the first at the top; a row is named by its words."""
    scale = {"domain": [-0.5, n - 0.5], "reverse": True, "nice": False, "zero": False}
    axis = {"title": None, "labels": False, "ticks": False, "domain": False, "grid": False}
    return {"field": "place", "type": "quantitative", "scale": scale, "axis": axis}


def words_layer(rows: Sequence[Row], *, align: str = "left", field: str = "words") -> dict[str, Any]:
    """Return the words of rows, at an end of the line above their marks, as much of them as the plane is wide."""
    return {
        "data": {"values": [{"place": row["place"], field: row[field]} for row in rows]},
        "mark": {
            "type": "text",
            "align": align,
            "baseline": "bottom",
            "dx": 2 if align == "left" else -2,
            "dy": -6,
            "fontSize": 12,
            "limit": {"expr": "width - 4"},
            "aria": False,
        },
        "encoding": {
            "x": {"value": 0 if align == "left" else "width"},
            "y": {"field": "place", "type": "quantitative"},
            "text": {"field": field},
        },
    }


# --- statistics


def statistics(report: DriftReport) -> Chart | None:
    """Return the p-value of each statistic with its effect in words; None where there was no test."""
    if not report.statistics:
        return None
    names = labels((found.name for found in report.statistics), ROW_CELLS)
    drawn = [_statistic(found) for found in report.statistics]
    shown = [
        {**row, "place": place, "shown": max(row["p"], LEAST_P), "words": _said(names[found.name], found)}
        for place, (row, found) in enumerate(zip(drawn, report.statistics, strict=True))
    ]
    layers = [_stems(shown), _dots(shown), words_layer(shown), *_combined(report.p_value)]
    smallest = min(drawn, key=lambda row: row["p"])
    whole = "" if report.p_value is None else f"All together: p {words.p_equals(report.p_value)}. "
    least = f"{smallest['statistic']}: p {words.p_equals(smallest['p'])}"
    alt = f"{whole}The smallest of {words.counted(len(drawn), 'statistic')} is that of {least}."
    return chart(
        "drift-statistics", "What each statistic says", alt, rows=drawn, height=ROW_PX * len(drawn), layer=layers
    )


def _statistic(found: StatisticResult) -> dict[str, Any]:
    effect = "" if found.effect is None else f"{found.effect:.3g} {words.plain(found.unit, 80)}"
    value = found.value if math.isfinite(found.value) else None  # JSON has no other numbers
    name, p = words.plain(found.name, 80), words.p_equals(found.p_value)
    said = f"{name}: p {p}{f', {effect}' if effect else ''}"
    return {"statistic": name, "value": value, "p": found.p_value, "effect": effect, "said": said}


def _said(name: str, found: StatisticResult) -> str:
    effect = "" if found.effect is None else f": {found.effect:.3g} {found.unit}"
    return words.plain(f"{name}{effect}", _EFFECT_LETTERS)


def _stems(rows: Sequence[Row]) -> dict[str, Any]:
    """Return a line to each mark from where nothing was found."""
    return {
        "data": {"values": [{"place": row["place"], "shown": row["shown"], "least": 1} for row in rows]},
        "mark": {"type": "rule", "color": base.GREY, "opacity": 0.4, "strokeWidth": 3, "aria": False},
        "encoding": {
            "x": {"field": "least", "type": "quantitative"},
            "x2": {"field": "shown"},
            "y": {"field": "place", "type": "quantitative"},
        },
    }


def _dots(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "data": {"values": [dict(row) for row in rows]},
        "mark": {"type": "point", "filled": True, "size": 90, "color": base.BLUE, "opacity": 1},
        "encoding": {
            "x": p_axis("shown"),
            "y": row_axis(len(rows)),
            **base.SAID,
        },
    }


def _combined(p_value: float | None) -> list[dict[str, Any]]:
    if p_value is None:
        return []
    said = f"all together: p {words.p_equals(p_value)}"
    values = {"values": [{"p": max(p_value, LEAST_P), "said": said}]}
    # The words are on the side that has room: small p-values are on the right.
    align, away = ("right", -4) if p_value < LEAST_P**0.5 else ("left", 4)
    x = {"field": "p", "type": "quantitative"}
    text = {"type": "text", "align": align, "baseline": "bottom", "dx": away, "dy": -4, "fontSize": 12, "aria": False}
    return [
        {
            "data": values,
            "mark": {"type": "rule", "color": base.GREY, "strokeWidth": 2, "strokeDash": [6, 3], "aria": False},
            "encoding": {"x": x},
        },
        {
            "data": values,
            "mark": text,
            "encoding": {"x": x, "y": {"value": 0}, "text": {"field": "said"}},
        },
    ]


# --- segments


def segments(report: DriftReport) -> Chart | None:
    """Return the test of each segment, alarms first; None where none had rows enough for one."""
    tested = sorted(
        (found for found in report.segments if found.p_value is not None),
        key=lambda found: (not found.is_alarm, found.p_value),
    )
    if not tested:
        return None
    kept = tested[:_SEGMENTS_SHOWN]
    names = labels((found.segment for found in kept), ROW_CELLS - 14)
    drawn = [_segment(found) for found in kept]
    shown = [
        {**row, "place": place, "shown": max(row["p"], LEAST_P), "words": names[found.segment]}
        | {"counted": words.counted(found.rows, "row")}
        for place, (row, found) in enumerate(zip(drawn, kept, strict=True))
    ]
    layers = [_stems(shown), _verdicts(shown), words_layer(shown), words_layer(shown, align="right", field="counted")]
    alt = _segment_words(report.segments, kept)
    return chart("drift-segments", "Tests of the segments", alt, rows=drawn, height=ROW_PX * len(drawn), layer=layers)


def _segment(found: SegmentResult) -> dict[str, Any]:
    verdict = "drifts" if found.is_alarm else "no alarm"
    said = drift_words.segment_sentence(found)
    name = words.plain(found.segment, 80)
    return {"segment": name, "verdict": verdict, "p": found.p_value, "rows": found.rows, "said": said}


def _verdicts(rows: Sequence[Row]) -> dict[str, Any]:
    domain = ["no alarm", "drifts"]
    verdict: Mapping[str, Any] = {
        "field": "verdict",
        "legend": LEGEND,
    }
    return {
        "data": {"values": [dict(row) for row in rows]},
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
        "encoding": {
            "x": p_axis("shown"),
            "y": row_axis(len(rows)),
            "shape": {**verdict, "scale": {"domain": domain, "range": ["circle", "square"]}},
            "color": {**verdict, "scale": {"domain": domain, "range": [base.GREY, base.VERMILION]}},
            **base.SAID,
        },
    }


def _segment_words(everything: Sequence[SegmentResult], kept: Sequence[SegmentResult]) -> str:
    tested = sum(found.p_value is not None for found in everything)
    alarms = [found.segment for found in everything if found.is_alarm]
    which = f"alarm: {words.names(alarms)}" if alarms else "no alarm"
    said = [f"{words.counted(tested, 'segment')} tested; {which}"]
    if tested > len(kept):
        said.append(f"the {len(kept)} with the smallest p are shown, alarms first")
    if len(everything) > tested:
        said.append(f"{len(everything) - tested} not tested, with too few rows here or in the baseline")
    return f"{'; '.join(said)}."
