"""The time axis of charts that show what happened when, and what stands on it besides the data.

    times of rows ── TimeAxis ──> x of a row, ends of the axis      times of marks ── mark_layers ──> rules with labels
    a level that a policy sets ── bands ──> one rectangle for each stretch on which it stays the same

All times are UTC and are shown as such. Rows without times stand at their number instead, the first one at 1: then
nothing else has a place on the axis. A text that is no time is no time, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from benchkit.report import words
from benchkit.report.charts.base import GREY, SAID, Row, haloed
from benchkit.report.charts.labels import LINE, NARROW, Box, Edge, beginning, cells
from benchkit.types.board import CheckRow, Mark, MarkKind

TEXT_SHOWN = 200  # characters of a text of the data in a tooltip
BAND_OPACITY = 0.18  # of a grey that both grounds show through
_LABEL_CELLS, _CELL = 22, 6.6  # of a mark, and px of one of them at 11 px
_APART, _ABOVE = 6.0, 5  # px between two of them, and above the plane: what lies on its upper edge has a size
_MARK_LINES = 4
_DASHES: dict[MarkKind, list[int]] = {"champion": [1, 0], "model": [6, 3], "baseline": [2, 2]}
_HALF_DAY = 12 * 3600.0
_FAR_OFF = 7_258_118_400.0  # 2200-01-01: a time that stands for none would squeeze all others together
_PAD, _LEAST_PAD = 0.03, 15.0  # of the span on each side, and seconds: ticks of less than a second would read alike
# Of how long an axis at most, in seconds, ticks are told how: no two of the six may read alike.
_FORMATS = ((15 * 60.0, "%H:%M:%S"), (7 * 24 * 3600.0, "%m-%d %H:%M"), (float("inf"), "%Y-%m-%d"))


def moment(text: str) -> float | None:
    """Return a time of the data in seconds since 1970; None of a text that isn't one, or of a time far off.

    >>> moment("1970-01-01T00:01:00Z"), moment("yesterday")
    (60.0, None)
    """
    try:
        found = datetime.fromisoformat(text[:40])
        seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < _FAR_OFF else None


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Where rows stand across.

    Attributes:
        places: Of each row: seconds since 1970, or its number.
        low, high: Ends of the axis.
        has_times: Whether it is one of times; of numbers otherwise.
    """

    places: tuple[float, ...]
    low: float
    high: float
    has_times: bool

    @property
    def field(self) -> str:
        """Return the field of a row that has its place."""
        return "at" if self.has_times else "number"

    def value(self, place: float) -> str | int:
        """Return a place as data have it: a time in words, or a number."""
        if not self.has_times:
            return round(place)
        found = datetime.fromtimestamp(place, UTC).isoformat(timespec="milliseconds")
        return found.replace("+00:00", "Z").replace(".000Z", "Z")

    def said(self, place: float) -> str:
        """Return a place in words."""
        if not self.has_times:
            return f"check {round(place)}"
        return f"{datetime.fromtimestamp(place, UTC):%Y-%m-%d %H:%M} UTC"

    def scaled(self, place: float) -> float:
        """Return a place as the scale counts it."""
        return 1000 * place if self.has_times else place

    def share(self, place: float) -> float:
        """Return how far across the plane a place is, 0 to 1."""
        return (place - self.low) / (self.high - self.low)

    def x(self, **more: Any) -> dict[str, Any]:
        """Return the encoding of rows; `more` are further properties of their axis."""
        if not self.has_times:
            domain: list[Any] = [self.low, self.high]
            axis = {"title": "check", "tickMinStep": 1, "format": "d", **more}
            return {"field": "number", "type": "quantitative", "scale": {"domain": domain, "nice": False}, "axis": axis}
        axis = {
            "title": "time (UTC)",
            "format": next(said for most, said in _FORMATS if self.high - self.low <= most),
            "tickCount": 6,
            "labelOverlap": "parity",
            "labelSeparation": 10,
            "labelFlush": True,
            **more,
        }
        scale = {"type": "utc", "domain": [_parts(self.low), _parts(self.high)], "nice": False}
        return {"field": "at", "type": "temporal", "scale": scale, "axis": axis}


def _parts(seconds: float) -> dict[str, Any]:
    """Return a time as Vega-Lite takes it for a domain.

    Milliseconds would do, but Vega's interpreter, which Streamlit draws with, takes them for a year.
    """
    at = datetime.fromtimestamp(seconds, UTC)
    day = {"year": at.year, "month": at.month, "date": at.day}
    clock = {"hours": at.hour, "minutes": at.minute, "seconds": at.second, "milliseconds": at.microsecond // 1000}
    return {**day, **clock, "utc": True}


def time_axis(times: Sequence[Sequence[str]]) -> TimeAxis:
    """Return the axis of some rows.

    Args:
        times: Of each row, one or more, the first that is a time counts. Where a row has none, all stand at their
            numbers, so that no row is lost.
    """
    found = [next((at for text in texts if (at := moment(text)) is not None), None) for texts in times]
    known = [at for at in found if at is not None]
    if len(known) < len(found):
        return TimeAxis(tuple(map(float, range(1, len(found) + 1))), 0.5, len(found) + 0.5, False)
    span = max(known) - min(known)
    pad = max(_PAD * span, _LEAST_PAD) if span else _HALF_DAY
    return TimeAxis(tuple(known), min(known) - pad, max(known) + pad, True)


def check_axis(rows: Sequence[CheckRow], shown: Sequence[CheckRow]) -> TimeAxis:
    """Return where some of the windows stand: at the end of their rows, or when they were checked, or at their number.

    The ends are those of all windows, so that charts which show some of them each can stand below one another.
    """
    whole = time_axis([(row.end, row.checked_at) for row in rows])
    places = {row.key: place for row, place in zip(rows, whole.places, strict=True)}
    return replace(whole, places=tuple(places[row.key] for row in shown))


# --- levels


def bands(axis: TimeAxis, levels: Sequence[float | None], far: float) -> list[Row]:
    """Return the rectangles from a level to `far`: one for each stretch of rows that have the same level, if any."""
    ordered = sorted(zip(axis.places, levels, strict=True), key=lambda row: (row[0], row[1] is None, row[1] or 0.0))
    stretches = [(level, next(rows)[0]) for level, rows in groupby(ordered, key=lambda row: row[1])]
    edges = [axis.low, *(start for _, start in stretches[1:]), axis.high]
    return [
        {"from": axis.scaled(left), "to": axis.scaled(right), "level": level, "far": far}
        for (level, _), left, right in zip(stretches, edges, edges[1:], strict=False)
        if level is not None
    ]


def band_layer(axis: TimeAxis, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the layer of such rectangles; it has to share both scales with the data."""
    x = {"type": "temporal" if axis.has_times else "quantitative"}
    return {
        "data": {"values": [dict(row) for row in rows]},
        "mark": {"type": "rect", "color": GREY, "opacity": BAND_OPACITY, "aria": False},
        "encoding": {
            "x": {"field": "from", **x},
            "x2": {"field": "to"},
            "y": {"field": "level", "type": "quantitative"},
            "y2": {"field": "far"},
        },
    }


def edge_label(level: float, said: str) -> list[dict[str, Any]]:
    """Return the words of a band at the left end below its edge."""
    y = {"field": "level", "type": "quantitative"}
    return _band_label({"level": level, "said": said}, y, {"baseline": "top", "dy": 4})


def foot_label(said: str) -> list[dict[str, Any]]:
    """Return the words of a band at its left end at the bottom of the plane."""
    return _band_label({"said": said}, {"value": "height"}, {"baseline": "bottom", "dy": -3})


def _band_label(row: Row, y: Mapping[str, Any], place: Mapping[str, Any]) -> list[dict[str, Any]]:
    mark = {"type": "text", "align": "left", "dx": 6, "fontSize": 11, "style": "faint", "aria": False, **place}
    encoding = {"x": {"value": 0}, "y": dict(y), "text": {"field": "said"}}
    return haloed({"data": {"values": [dict(row)]}, "mark": mark, "encoding": encoding})


# --- marks


def mark_rows(axis: TimeAxis, marks: Iterable[Mark], *, beside: float = 0.0) -> list[Row]:
    """Return what is drawn of the marks between the ends of the axis; none where it has no times.

    Labels stand above the plane in up to four lines, each on the side of its rule that has more room. One that has
    room on none of the lines is in the tooltip of its rule only.

    Args:
        beside: px that words on the right take away from the plane.
    """
    known = [(at, mark) for mark in marks if (at := moment(mark.at)) is not None]
    inside = sorted(
        (row for row in known if axis.has_times and axis.low <= row[0] <= axis.high), key=lambda row: row[0]
    )
    taken: list[Box] = []
    # A label takes a larger share of a plane that is narrower than the narrowest one.
    cell = _CELL * NARROW / (NARROW - beside)
    return [_mark_row(axis, at, mark, taken, cell) for at, mark in inside]


def _mark_row(axis: TimeAxis, at: float, mark: Mark, taken: list[Box], cell: float) -> Row:
    label, share = beginning(mark.label, _LABEL_CELLS), axis.share(at)
    is_left = share > 0.5  # of its rule
    line = _free_line(cells(label) * cell + _APART, share, is_left, taken)
    return {
        "at": axis.value(at),
        "what": mark.kind,
        "said": f"{axis.said(at)}, {mark.kind}: {words.plain(mark.label, TEXT_SHOWN)}",
        "shown": "" if line is None else label,
        "side": "left" if is_left else "right",
        "line": line or 0,
    }


def _free_line(width: float, share: float, is_left: bool, taken: list[Box]) -> int | None:
    left, right = (-width, 0.0) if is_left else (0.0, width)
    for line in range(_MARK_LINES):
        box = Box(Edge(share, left), line * LINE, Edge(share, right), (line + 1) * LINE)
        if not any(box.meets(other) for other in taken):
            taken.append(box)
            return line
    return None


def mark_layers(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rules, of each kind in its dashes, and above the plane their labels; nothing without marks."""
    spots = [(line, side) for line in range(_MARK_LINES) for side in ("left", "right")]
    rules = [_rule_layer(rows, kind) for kind in _DASHES if any(row["what"] == kind for row in rows)]
    return rules + [layer for line, side in spots for layer in _label_layers(rows, line, side)]


def _rule_layer(rows: Sequence[Row], kind: MarkKind) -> dict[str, Any]:
    return {
        "data": {"values": [dict(row) for row in rows if row["what"] == kind]},
        # Up to its label, so that one that stands apart is seen to be of this rule.
        "mark": {
            "type": "rule",
            "color": GREY,
            "strokeWidth": 1.5,
            "strokeDash": _DASHES[kind],
            "yOffset": {"expr": f"datum.shown ? -{LINE:g} * datum.line - {_ABOVE} : 0"},
        },
        "encoding": {"x": {"field": "at", "type": "temporal"}, "y": {"value": 0}, "y2": {"value": "height"}, **SAID},
    }


def _label_layers(rows: Sequence[Row], line: int, side: str) -> list[dict[str, Any]]:
    here = [dict(row) for row in rows if row["shown"] and (row["line"], row["side"]) == (line, side)]
    mark = {
        "type": "text",
        "align": "right" if side == "left" else "left",
        "baseline": "bottom",
        "dx": -3 if side == "left" else 3,
        "dy": -LINE * line - _ABOVE,
        "fontSize": 11,
        "aria": False,
    }
    encoding = {
        "x": {"field": "at", "type": "temporal"},
        "y": {"value": 0},
        "text": {"field": "shown"},
    }
    return haloed({"data": {"values": here}, "mark": mark, "encoding": encoding}) if here else []
