"""How long one query takes: the whole distribution of each model, and how it grows with the text.

    CostSamples ─┬─ latency_cdf ───────> share of queries that take at most so long, with p50, p95 and p99
    CostReport ──┘  latency_by_length ─> each query by the length of its text

Drawn are wall times of single queries of a model's first process, the calls that benchkit's own percentiles are of, so
a percentile lies on its curve. Of many calls some are drawn: evenly spread ranks, the percentiles among them. Models
of one measurement, such as the variants of a model, would lie on one another: they are one curve that has all names.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchkit.measure.latency import percentile
from benchkit.report import words
from benchkit.report.charts import base
from benchkit.report.charts.base import Chart, Row, chart
from benchkit.report.charts.labels import labels
from benchkit.report.charts.looks import LABEL_CELLS, Look, Together, model_look, together
from benchkit.types.cost import CostReport, CostSamples, ModelCost, Sample

PERCENTILES = (50, 95, 99)
DECADE = 10.0  # from this ratio of the largest to the smallest on, an axis is logarithmic
_DRAWN = 200  # calls of a model
_PLANE_PX = 300
_MOST_TICKS = 8
_ROOM = 1.04  # beyond the largest value, whose mark has a size


def latency_cdf(samples: CostSamples, cost: CostReport | None = None) -> Chart | None:
    """Return the distribution of single-query wall latency of each model; None where no query was timed.

    Args:
        cost: Of the same session: its percentiles are drawn with their intervals.
    """
    calls = _queries(samples)
    if not calls:
        return None
    names = labels(samples.order, LABEL_CELLS)
    marks_of = {model: _percentiles(found, cost.of(model) if cost else None) for model, found in calls.items()}
    shown = together({model: (_times(found), marks_of[model]) for model, found in calls.items()}, names)
    curves: list[Row] = [row for model, one in shown.items() for row in _curve(one, calls[model])]
    marks = [_mark(one, mark) for model, one in shown.items() for mark in marks_of[model]]
    times = [row["ms"] for row in curves] + [end for row in marks for end in (row["low"], row["high"]) if end]
    look = model_look(samples.order, shown)
    x = {"field": "ms", "type": "quantitative", **span_axis(times, title="wall time of one query (ms)", is_log=True)}
    y = {
        "field": "share",
        "type": "quantitative",
        "scale": {"domain": [0, _ROOM], "nice": False},
        "axis": {"title": "share of queries", "format": "~%", "values": [0, 0.25, 0.5, 0.75, 1]},
    }
    curves, dashes = look.dashes_of(curves)
    layers = [*_levels(marks), _steps(look, dashes), *_intervals(marks, look), *_dots(marks, look)]
    return chart(
        "latency-cdf",
        "Latency of one query",
        _cdf_words(marks, calls),
        rows=curves,
        height=_PLANE_PX,
        encoding={"x": x, "y": y},
        layer=layers,
    )


def _queries(samples: CostSamples) -> dict[str, list[Sample]]:
    """Return the single queries of each model's first process, in the order of the comparison."""
    calls: dict[str, list[Sample]] = {model: [] for model in samples.order}
    for sample in samples.samples:
        if sample.kind == "query" and sample.copy == 0 and sample.model in calls:
            calls[sample.model].append(sample)
    return {model: found for model, found in calls.items() if found}


def _times(calls: Sequence[Sample]) -> Hashable:
    return tuple((call.item, call.tokens, call.wall_s) for call in calls)


# --- axes


def span_axis(values: Sequence[float], *, title: str, is_log: bool | None = None) -> dict[str, Any]:
    """Return scale and axis for values: logarithmic where they span a decade or more, or where that is asked for."""
    low, high = min(values), max(values)
    axis = {"title": title, "format": "~s" if high >= 1e4 else "~g"}
    if low <= 0 or not (high >= DECADE * low if is_log is None else is_log):
        scale: dict[str, Any] = {"type": "linear", "domain": [min(low, 0), high or 1], "nice": True}
        return {"scale": scale, "axis": {**axis, "tickCount": 6}}
    ends = (low / 1.15, high * 1.15)
    scale = {"type": "log", "domain": list(ends), "nice": False}
    return {"scale": scale, "axis": {**axis, "values": log_ticks(*ends), "labelOverlap": True}}


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two: 1, 2 and 5 of each decade, or the decades where that would be many.

    >>> log_ticks(0.3, 12), log_ticks(3, 40_000)
    ([0.5, 1, 2, 5, 10], [10, 100, 1000, 10000])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1,)):
        # Through its text, so that 0.5 is that and not 5 times a rounded 0.1.
        found = [float(f"{digit}e{power}") for power in powers for digit in digits]
        inside = [int(tick) if tick >= 1 else tick for tick in found if low <= tick <= high]
        if len(inside) <= _MOST_TICKS:
            break
    return inside


# --- distribution


def _curve(shown: Together, calls: Sequence[Sample]) -> list[Row]:
    """Return points of the empirical distribution: after the call of rank r, r / n of the calls are over."""
    ordered = sorted(1e3 * call.wall_s for call in calls)
    n = len(ordered)
    return [
        {"model": shown.who, "label": shown.label, "ms": ms, "share": rank / n}
        | {"said": f"{shown.who}: {100 * rank / n:.3g} % of queries take {words.digits(ms)} ms or less"}
        for rank in _ranks(n)
        for ms in (ordered[rank - 1],)
    ]


def _ranks(n: int) -> list[int]:
    """Return ranks (1 = shortest) of about _DRAWN calls, the first, the last and those of percentiles among them."""
    if n <= _DRAWN:
        return list(range(1, n + 1))
    spread = {1 + round(step * (n - 1) / (_DRAWN - 1)) for step in range(_DRAWN)}
    return sorted(spread | {-(-n * percent // 100) for percent in PERCENTILES})


@dataclass(frozen=True, slots=True)
class _Percentile:
    """A percentile with the ends of its interval, in ms."""

    percent: int
    ms: float
    low: float | None
    high: float | None


def _percentiles(calls: Sequence[Sample], kept: ModelCost | None) -> tuple[_Percentile, ...]:
    """Return the percentiles that there are calls enough for; those of the report where it has them."""
    found = []
    for percent in PERCENTILES:
        figure = kept.figure(f"latency/query/p{percent}_ms") if kept else None
        own = percentile([1e3 * call.wall_s for call in calls], percent)
        if figure is not None:
            found.append(_Percentile(percent, figure.value, figure.ci_low, figure.ci_high))
        elif own is not None:
            found.append(_Percentile(percent, own.value, own.low, own.high))
    return tuple(found)


def _mark(shown: Together, found: _Percentile) -> dict[str, Any]:
    low, high = found.low, found.high
    ends = "" if low is None or high is None else f" (95 % interval {words.digits(low)} to {words.digits(high)})"
    return {
        "model": shown.who,
        "label": shown.label,
        "percent": found.percent,
        "ms": found.ms,
        "share": found.percent / 100,
        "low": low,
        "high": high,
        "said": f"{shown.who}: p{found.percent} {words.digits(found.ms)} ms{ends}",
    }


def _levels(marks: Sequence[Row]) -> list[dict[str, Any]]:
    """Return a thin line for each percentile that some model has."""
    percents = sorted({row["percent"] for row in marks})
    if not percents:
        return []
    data = {"values": [{"share": percent / 100, "name": f"p{percent}"} for percent in percents]}
    text = {"type": "text", "align": "left", "dx": 4, "fontSize": 11, "aria": False}
    return [
        {
            "data": data,
            "mark": {"type": "rule", "color": base.GREY, "strokeDash": [2, 3], "aria": False},
            "encoding": {"x": {"value": 0}, "x2": {"value": "width"}},
        },
        {"data": data, "mark": text, "encoding": {"x": {"value": "width"}, "text": {"field": "name"}}},
    ]


def _steps(look: Look, dashes: Mapping[str, Any]) -> dict[str, Any]:
    mark = {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "opacity": 1}
    order = {"field": "share", "type": "quantitative"}
    return {"mark": mark, "encoding": {**look.encoding("color"), **dashes, "order": order, **base.SAID}}


def _intervals(marks: Sequence[Row], look: Look) -> list[dict[str, Any]]:
    values = [dict(row) for row in marks if row["low"] is not None and row["high"] is not None]
    mark = {"type": "rule", "strokeWidth": 6, "opacity": 0.35, "aria": False}
    encoding = {"x": {"field": "low"}, "x2": {"field": "high"}, **look.encoding("color")}
    return [{"data": {"values": values}, "mark": mark, "encoding": encoding}] if values else []


def _dots(marks: Sequence[Row], look: Look) -> list[dict[str, Any]]:
    mark = {"type": "point", "filled": True, "size": 80, "opacity": 1}
    data = {"values": [dict(row) for row in marks]}
    return [{"data": data, "mark": mark, "encoding": {**look.encoding("color", "shape"), **base.SAID}}] if marks else []


def _cdf_words(marks: Sequence[Row], calls: Mapping[str, Sequence[Sample]]) -> str:
    told: dict[str, list[str]] = defaultdict(list)
    for row in marks:
        told[row["model"]].append(f"p{row['percent']} {words.digits(row['ms'])} ms")
    said = [f"{model} {', '.join(figures)}" for model, figures in told.items()]
    n = sorted({len(found) for found in calls.values()})
    counted = f"{n[0]:,}" if len(n) == 1 else f"{n[0]:,} to {n[-1]:,}"
    return f"{'; '.join(said) or 'too few queries for a percentile'}. Of {counted} queries each."


# --- length


def latency_by_length(samples: CostSamples) -> Chart | None:
    """Return the wall time of each query by the tokens of its text; None where no query was timed.

    A model that counts no tokens has those of the first one that does, since the texts are the same; where none does,
    queries stand at their place in the source.
    """
    calls = _queries(samples)
    if not calls:
        return None
    names = labels(samples.order, LABEL_CELLS)
    tokens = {call.item: call.tokens for found in reversed(calls.values()) for call in found if call.tokens is not None}
    shared = together({model: _times(found) for model, found in calls.items()}, names)
    rows = [row for model, one in shared.items() for row in _by_length(one, calls[model], tokens)]
    look = model_look(samples.order, shared)
    field, title = ("tokens", "tokens of the text") if tokens else ("position", "place of the text in its source")
    shown = [row for row in rows if row[field] is not None]
    times, places = [row["ms"] for row in shown], [row[field] for row in shown]
    encoding = {
        "x": {
            "field": field,
            "type": "quantitative",
            **span_axis([*places, _ROOM * max(places)], title=title),
        },
        "y": {"field": "ms", "type": "quantitative", **span_axis(times, title="wall time (ms)")},
        **look.encoding("color", "shape"),
        **base.SAID,
    }
    mark = {"type": "point", "filled": True, "size": 30, "opacity": 0.6}
    return chart(
        "latency-by-length",
        "Latency by the length of the text" if tokens else "Latency of each text",
        _length_words(shown, field),
        rows=shown,
        height=_PLANE_PX,
        layer=[{"mark": mark, "encoding": encoding}],
    )


def _by_length(shown: Together, calls: Sequence[Sample], tokens: Mapping[int, int]) -> list[dict[str, Any]]:
    rows = []
    for place in _ranks(len(calls)):
        call = calls[place - 1]
        length = call.tokens if call.tokens is not None else tokens.get(call.item)
        counted = f"text {call.item}" if length is None else words.counted(length, "token")
        ms = 1e3 * call.wall_s
        rows.append(
            {"model": shown.who, "label": shown.label, "position": call.item, "tokens": length, "ms": ms}
            | {"said": f"{shown.who}, {counted}: {words.digits(ms)} ms"}
        )
    return rows


def _length_words(rows: Sequence[Row], field: str) -> str:
    lengths = [row[field] for row in rows]
    models = {row["model"] for row in rows}
    times = [row["ms"] for row in rows]
    unit = "tokens" if field == "tokens" else "places"
    return (
        f"{words.counted(len(rows), 'call')} of {words.counted(len(models), 'model')}, "
        f"{min(lengths)} to {max(lengths)} {unit}, {words.digits(min(times))} to {words.digits(max(times))} ms."
    )
