"""What was decided and what happened, over time: gates with their margins, champions, alarms of the monitor.

gate rows ──────────────────────────┬─ gate_margins ─> change on the mean with its interval, and the loss allowed
gate rows, champions, check rows ───┴─ happenings ───> one lane for each, over one time axis
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchkit.report import drift_words, words
from benchkit.report.charts import base
from benchkit.report.charts.base import Chart, Row, chart
from benchkit.report.charts.drift import SEVERITY_STYLES
from benchkit.report.charts.timeaxis import TEXT_SHOWN, TimeAxis, band_layer, bands, edge_label, time_axis
from benchkit.report.charts.window import LEGEND
from benchkit.types.board import ChampionRow, CheckRow, GateRow
from benchkit.types.gate import GateVerdict

# Of a gate: its word, shape and colour.
VERDICT_STYLES: Mapping[GateVerdict, tuple[str, str, str]] = {
    "pass": ("passed", "circle", base.BLUE),
    "inconclusive": ("inconclusive", "diamond", base.GREY),
    "fail": ("failed", "triangle-down", base.VERMILION),
    "error": ("error", "square", base.PURPLE),
}
_LANES = ("gates", "champions", "drift alarms")
_SIGNED = "datum.value == 0 ? '0' : format(datum.value, '+.2~f')"
_LANE_PX = 44
_MANY = 80  # gates from which on marks are smaller
_ALARMS = ("warn", "critical")


def gate_margins(rows: Sequence[GateRow]) -> Chart | None:
    """Return the change on the mean of each gate with the loss that was allowed; None where no gate judged the mean."""
    judged = [(row, row.change) for row in rows if row.change is not None]
    if not judged:
        return None
    axis = time_axis([(row.started,) for row, _ in judged])
    drawn = [_gate(row, change, place, axis) for (row, change), place in zip(judged, axis.places, strict=True)]
    domain = _ends(drawn)
    y = {
        "field": "change",
        "type": "quantitative",
        "scale": {"domain": domain, "nice": False},
        "axis": {"title": "change (points)", "labelExpr": _SIGNED, "tickCount": 6},
    }
    allowed = bands(axis, [_floor(row) for row in drawn], domain[1])
    levels = [row["level"] for row in allowed[:1]]
    layers = [
        *([band_layer(axis, allowed)] if allowed else []),
        *(part for level in levels for part in edge_label(level, f"allowed: a loss of up to {-level:g} points")),
        _zero(),
        _interval_layer(axis, y),
        _gate_layer(axis, y, drawn),
    ]
    counted = [
        f"{n} {word}" for word, _, _ in VERDICT_STYLES.values() if (n := sum(row["verdict"] == word for row in drawn))
    ]
    said = f"{words.counted(len(drawn), 'gate')}: {', '.join(counted)}. The last one: {drawn[-1]['said']}."
    return chart("gate-margins", "Change on the mean, gate by gate", said, rows=drawn, height=240, layer=layers,
                 params=[dict(base.PAPER)])  # fmt: skip


def _gate(row: GateRow, change: float, place: float, axis: TimeAxis) -> dict[str, Any]:
    low, high = (None, None) if row.low is None or row.high is None else (100 * row.low, 100 * row.high)
    verdict = VERDICT_STYLES[row.verdict][0]
    candidate, baseline = (words.plain(name, TEXT_SHOWN) for name in (row.candidate, row.baseline))
    ends = (
        "" if low is None or high is None else f" ({words.signed_points(row.low)} to {words.signed_points(row.high)})"
    )
    return {
        "key": row.key,
        axis.field: axis.value(place),
        "suite": words.plain(row.suite, TEXT_SHOWN),
        "candidate": candidate,
        "baseline": baseline,
        "change": 100 * change,
        "low": low,
        "high": high,
        "allowed_loss": None if row.margin is None else 100 * row.margin,
        "verdict": verdict,
        "said": f"{candidate} against {baseline}: {words.signed_points(change)} points{ends}, {verdict}",
    }


def _floor(row: Row) -> float | None:
    """Return the least change that was allowed; None where only MLflow has the gate, which doesn't know it."""
    return None if row["allowed_loss"] is None else -row["allowed_loss"]


def _ends(rows: Sequence[Row]) -> list[float]:
    """Return the ends of the axis of points: all intervals, the losses allowed, and 0."""
    values = [value for row in rows for value in (row["change"], row["low"], row["high"], _floor(row))]
    known = [0.0, *(value for value in values if value is not None)]
    room = 0.08 * (max(known) - min(known)) or 1.0
    return [min(known) - room, max(known) + room]


def _zero() -> dict[str, Any]:
    mark = {"type": "rule", "color": base.GREY, "strokeWidth": 1.5, "aria": False}
    return {
        "data": {"values": [{"change": 0}]},
        "mark": mark,
        "encoding": {"y": {"field": "change", "type": "quantitative"}},
    }


def _interval_layer(axis: TimeAxis, y: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
        "mark": {"type": "rule", "color": base.GREY, "strokeWidth": 2, "aria": False},
        "encoding": {"x": axis.x(), "y": {**y, "field": "low"}, "y2": {"field": "high"}},
    }


def _gate_layer(axis: TimeAxis, y: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    found = {row["verdict"] for row in rows}
    styles = [style for style in VERDICT_STYLES.values() if style[0] in found]
    return {
        "mark": {"type": "point", "filled": True, "size": 35 if len(rows) > _MANY else 90, "opacity": 1},
        "encoding": {"x": axis.x(), "y": dict(y), **_looks(styles, "verdict"), **base.SAID},
    }


def _looks(styles: Sequence[tuple[str, str, str]], field: str) -> dict[str, Any]:
    """Return shape and colour by word."""
    said = {"field": field, "legend": {**LEGEND, "columns": base.legend_columns(140, 2)}}
    names = [word for word, _, _ in styles]
    return {
        "shape": {**said, "scale": {"domain": names, "range": [shape for _, shape, _ in styles]}},
        "color": {**said, "scale": {"domain": names, "range": [colour for _, _, colour in styles]}},
    }


# --- everything on one axis


def happenings(gates: Sequence[GateRow], champions: Sequence[ChampionRow], checks: Sequence[CheckRow]) -> Chart | None:
    """Return gates, promotions and alarms of the monitor in lanes over one time axis; None where nothing happened."""
    found = [*map(_of_gate, gates), *map(_of_champion, champions)]
    found += [_of_check(row) for row in checks if row.breaks_policy or row.severity in _ALARMS]
    if not found:
        return None
    axis = time_axis([row["times"] for row in found])
    drawn = [
        {axis.field: axis.value(place), **{name: value for name, value in row.items() if name != "times"}}
        for row, place in zip(found, axis.places, strict=True)
    ]
    present = {row["what"] for row in drawn}
    mark = {"type": "point", "filled": True, "size": 45 if len(drawn) > _MANY else 100, "opacity": 0.9}
    lanes = {
        "field": "lane",
        "type": "nominal",
        "scale": {"domain": list(_LANES)},
        "axis": {"title": None, "labelLimit": 0, "grid": True},
    }
    looks = _looks([style for style in _happening_styles() if style[0] in present], "what")
    counted = ", ".join(words.counted(sum(row["lane"] == lane for row in drawn), lane[:-1]) for lane in _LANES)
    last = max(zip(axis.places, drawn, strict=True), key=lambda row: row[0])[1]
    return chart(
        "happenings", "What happened when", f"{counted}. The last one: {last['said'].rstrip('.')}.", rows=drawn,
        height=_LANE_PX * len(_LANES), mark=mark, encoding={"x": axis.x(), "y": lanes, **looks, **base.SAID},
    )  # fmt: skip


def _happening_styles() -> list[tuple[str, str, str]]:
    gates = [(f"gate {word}", shape, colour) for word, shape, colour in VERDICT_STYLES.values()]
    alarms = [(f"drift {word}", *SEVERITY_STYLES[severity]) for severity, word in drift_words.SEVERITY_WORDS.items()]
    return [*gates, ("champion", "cross", base.GREEN), *alarms]


def _of_gate(row: GateRow) -> dict[str, Any]:
    word = VERDICT_STYLES[row.verdict][0]
    candidate = words.plain(row.candidate, TEXT_SHOWN)
    said = f"gate of {candidate} against {words.plain(row.baseline, TEXT_SHOWN)}: {word}"
    return {"times": (row.started,), "lane": _LANES[0], "what": f"gate {word}", "said": said}


def _of_champion(row: ChampionRow) -> dict[str, Any]:
    forced = ", forced" if row.forced else ""
    said = f"{words.plain(row.model, TEXT_SHOWN)} became champion of {words.plain(row.suite, TEXT_SHOWN)}{forced}"
    return {"times": (row.promoted_at,), "lane": _LANES[1], "what": "champion", "said": said}


def _of_check(row: CheckRow) -> dict[str, Any]:
    what = f"drift {drift_words.SEVERITY_WORDS[row.severity]}"
    said = f"{words.plain(row.baseline, TEXT_SHOWN)}: {what}. {words.plain(row.reason, TEXT_SHOWN)}"
    return {"times": (row.end, row.checked_at), "lane": _LANES[2], "what": what, "said": said}
