"""Where a window differs from its baseline: which regions grew or shrank, and where they lie.

    DriftReport ─┬─ regions ────> share of rows before and now of each changed region
                 └─ projection ─> the regions and the window's rows in the plane of the baseline

The axes of the plane are the baseline's own, so pictures of two windows can be laid over each other. Areas of circles
are shares of rows: a disc is the baseline's, a ring around or inside it the window's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchkit.report import drift_words, words
from benchkit.report.charts import base
from benchkit.report.charts.base import HOLLOW, PAPER, Chart, Row, chart
from benchkit.report.charts.labels import CELL, Anchor, Box, Edge, Place, placed, short
from benchkit.report.charts.window import LEGEND, ROW_PX, row_axis, words_layer
from benchkit.types.drift import ClusterChange, DriftReport, Projection

_KEYWORD_CELLS = 28  # beside the two shares in a window of 390 px
_LABEL_CELLS = 14
_PLANE_PX = 380
_LARGEST_AREA = 1600  # px² of the largest share
_GREW, _SHRANK = "grew", "shrank"
_SIGNS: Mapping[str, str] = {_GREW: "▲", _SHRANK: "▼"}
_STYLES: Mapping[str, str] = {_GREW: base.VERMILION, _SHRANK: base.BLUE}
_TOLD = 3  # regions in the words of a chart


def regions(report: DriftReport) -> Chart | None:
    """Return the shares of rows before and now of the changed regions; None where none has changed."""
    if not report.clusters:
        return None
    drawn = [_change(change) for change in report.clusters]
    shown = [
        {**row, "place": place, "words": _name(change, _KEYWORD_CELLS), "shares": _shares(change)}
        for place, (row, change) in enumerate(zip(drawn, report.clusters, strict=True))
    ]
    layers = [*_dumbbells(shown), words_layer(shown), words_layer(shown, align="right", field="shares")]
    told = "; ".join(row["said"] for row in drawn[:_TOLD])
    more = f"; {len(drawn) - _TOLD} more" if len(drawn) > _TOLD else ""
    return chart(
        "drift-regions",
        "Regions with more or fewer rows than before",
        f"{told}{more}.",
        rows=drawn,
        height=ROW_PX * len(drawn),
        layer=layers,
        params=[dict(PAPER)],
    )


def _verb(change: ClusterChange) -> str:
    return _GREW if change.window_share > change.baseline_share else _SHRANK


def _change(change: ClusterChange) -> dict[str, Any]:
    keywords = [words.plain(word, 40) for word in change.keywords]
    named = f" ({', '.join(keywords)})" if keywords else ""
    return {
        "region": change.cluster,
        "keywords": ", ".join(keywords),
        "before": change.baseline_share,
        "now": change.window_share,
        "z": change.z,
        "verdict": _verb(change),
        "said": f"{drift_words.region_name(change)}{named} {_verb(change)}: {_shares(change)}",
    }


def _name(change: ClusterChange, limit: int) -> str:
    """Return what people know a region by: its words, and its number where it has none."""
    return short(", ".join(change.keywords) or drift_words.region_name(change), limit)


def _label(change: ClusterChange) -> str:
    return short(change.keywords[0] if change.keywords else drift_words.region_name(change), _LABEL_CELLS)


def _shares(change: ClusterChange) -> str:
    return f"{drift_words.percent(change.baseline_share)} → {drift_words.percent(change.window_share)}"


def _dumbbells(rows: Sequence[Row]) -> list[dict[str, Any]]:
    data = {"values": [dict(row) for row in rows]}
    high = max(max(row["before"], row["now"]) for row in rows)
    scale = {"domain": [0, high or 1], "nice": True}
    axis = {"title": "share of rows (hollow: baseline, filled: this window)", "format": "~%", "tickCount": 5}
    x = {"type": "quantitative", "scale": scale, "axis": axis}
    y = row_axis(len(rows))
    mark = {"type": "point", "size": 90, "strokeWidth": 2, "opacity": 1}
    domain = [verb for verb in _STYLES if any(row["verdict"] == verb for row in rows)]
    colours = {"domain": domain, "range": [_STYLES[verb] for verb in domain]}
    colour = {"field": "verdict", "scale": colours, "legend": LEGEND}
    line = {"type": "rule", "strokeWidth": 3, "opacity": 0.5, "aria": False}
    return [
        {
            "data": data,
            "mark": line,
            "encoding": {"x": {**x, "field": "before"}, "x2": {"field": "now"}, "y": y, "color": colour},
        },
        {
            "data": data,
            "mark": {**mark, "fill": HOLLOW},
            "encoding": {"x": {**x, "field": "before"}, "y": y, "color": colour, **base.SAID},
        },
        {
            "data": data,
            "mark": {**mark, "filled": True},
            "encoding": {"x": {**x, "field": "now"}, "y": y, "color": colour, **base.SAID},
        },
    ]


# --- the plane


def projection(report: DriftReport) -> Chart | None:
    """Return baseline and window in the baseline's plane; None where the report has no projection."""
    found = report.projection
    if found is None or not (found.regions or found.window):
        return None
    changes = {change.cluster: change for change in report.clusters}
    circles = _circles(found, changes)
    dots = [_dot(point, found) for point in found.window]
    layers = [*_circle_layers(circles), *_dot_layers(dots), *_ring_layers(circles), *_label_layers(found, circles)]
    return chart(
        "drift-projection",
        "Regions of the baseline and rows of the window",
        _projection_words(found, circles, dots),
        rows=[*circles, *dots],
        height=_PLANE_PX,
        encoding={
            "x": _direction("x", "first principal direction of the baseline", found.x_range),
            "y": _direction("y", "second principal direction", found.y_range),
        },
        layer=layers,
    )


def _direction(field: str, title: str, ends: tuple[float, float]) -> dict[str, Any]:
    axis = {"title": title, "labels": False, "ticks": False, "grid": False, "domain": True}
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"domain": list(_open(ends)), "nice": False, "zero": False},
        "axis": axis,
    }


def _open(ends: tuple[float, float]) -> tuple[float, float]:
    """Return a range that has a middle, even where all rows of the baseline are one."""
    low, high = ends
    return (low, high) if high > low else (low - 1.0, low + 1.0)


def _circles(found: Projection, changes: Mapping[int, ClusterChange]) -> list[dict[str, Any]]:
    circles = []
    for region in found.regions:
        change = changes.get(region.cluster)
        before, now = drift_words.percent(region.baseline_share), drift_words.percent(region.window_share)
        name = f"region {region.cluster}" if change is None else _name(change, 60)
        circles.append(
            {
                "kind": "region",
                "region": region.cluster,
                "x": region.x,
                "y": region.y,
                "before": region.baseline_share,
                "now": region.window_share,
                "verdict": "" if change is None else _verb(change),
                "label": "" if change is None else _label(change),
                "said": f"{name}: {before} of the baseline's rows, {now} of the window's",
            }
        )
    return circles


def _dot(point: tuple[float, float], found: Projection) -> dict[str, Any]:
    """Return a row of the window; one outside the axes stands at their edge."""
    (left, right), (bottom, top) = _open(found.x_range), _open(found.y_range)
    x, y = min(max(point[0], left), right), min(max(point[1], bottom), top)
    is_outside = (x, y) != tuple(point)
    return {
        "kind": "row",
        "x": point[0],
        "y": point[1],
        "at_x": x,
        "at_y": y,
        "outside": is_outside,
        "said": f"a row of the window{', outside of the axes' if is_outside else ''}",
    }


def _area(field: str, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"domain": [0, _largest(rows)], "range": [0, _LARGEST_AREA]},
        "legend": None,
    }


def _circle_layers(circles: Sequence[Row]) -> list[dict[str, Any]]:
    mark = {"type": "point", "shape": "circle", "filled": True, "color": base.GREY, "opacity": 0.35}
    size = _area("before", circles)
    return [{"transform": [_only("region")], "mark": mark, "encoding": {"size": size, **base.SAID}}] if circles else []


def _ring_layers(circles: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the window's share of each changed region as a ring: solid where it grew, dashed where it shrank."""
    return [
        {
            "transform": [_only("region"), {"filter": {"field": "verdict", "equal": verb}}],
            "mark": {
                "type": "point",
                "shape": "circle",
                "filled": False,
                "strokeWidth": 2.5,
                "strokeDash": [1, 0] if verb == _GREW else [4, 3],
                "color": colour,
                "opacity": 1,
            },
            "encoding": {"size": _area("now", circles), **base.SAID},
        }
        for verb, colour in _STYLES.items()
        if any(circle["verdict"] == verb for circle in circles)
    ]


def _dot_layers(dots: Sequence[Row]) -> list[dict[str, Any]]:
    place = {"x": {"field": "at_x", "type": "quantitative"}, "y": {"field": "at_y", "type": "quantitative"}}
    looks = [(False, {"shape": "circle", "size": 12}), (True, {"shape": "cross", "size": 40})]
    return [
        {
            "transform": [_only("row"), {"filter": {"field": "outside", "equal": is_outside}}],
            "mark": {"type": "point", "filled": True, "color": base.GREEN, "opacity": 0.9, **look},
            "encoding": {**place, **base.SAID},
        }
        for is_outside, look in looks
        if any(dot["outside"] == is_outside for dot in dots)
    ]


def _only(kind: str) -> dict[str, Any]:
    return {"filter": {"field": "kind", "equal": kind}}


def _label_layers(found: Projection, circles: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the names of changed regions, where each has room."""
    changed = sorted((row for row in circles if row["verdict"]), key=lambda row: -abs(row["now"] - row["before"]))
    anchors = [_anchor(row, found, circles) for row in changed]
    covered = [Box(Edge(anchor.x.share, -9), anchor.y - 9, Edge(anchor.x.share, 9), anchor.y + 9) for anchor in anchors]
    places = placed(anchors, covered, height=_PLANE_PX)
    return [
        _label_layer(row, place, place.y - anchor.y, _radius(row, circles))
        for row, anchor, place in zip(changed, anchors, places, strict=True)
        if place is not None
    ]


def _label_layer(row: Row, place: Place, dy: float, radius: float) -> dict[str, Any]:
    side = 1 if place.dx > 0 else -1
    align = "left" if side > 0 else "right"
    mark = {"type": "text", "align": align, "dx": side * max(abs(place.dx), radius + 4), "dy": dy, "fontSize": 12}
    values = [{"x": row["x"], "y": row["y"], "shown": f"{_SIGNS[row['verdict']]} {row['label']}"}]
    return {"data": {"values": values}, "mark": {**mark, "aria": False}, "encoding": {"text": {"field": "shown"}}}


def _radius(row: Row, circles: Sequence[Row]) -> float:
    """Return px from the middle of a region to the outer edge of its disc or ring."""
    return math.sqrt(_LARGEST_AREA * max(row["before"], row["now"]) / _largest(circles) / math.pi)


def _largest(circles: Sequence[Row]) -> float:
    return max((max(row["before"], row["now"]) for row in circles), default=0.0) or 1.0


def _anchor(row: Row, found: Projection, circles: Sequence[Row]) -> Anchor:
    (left, right), (bottom, top) = _open(found.x_range), _open(found.y_range)
    y = _PLANE_PX * (top - row["y"]) / (top - bottom)
    # A label begins outside of its ring; blanks keep that much room.
    room = " " * math.ceil(_radius(row, circles) / CELL)
    return Anchor(f"{room}{_SIGNS[row['verdict']]} {row['label']}", Edge((row["x"] - left) / (right - left)), y)


def _projection_words(found: Projection, circles: Sequence[Row], dots: Sequence[Row]) -> str:
    share = drift_words.percent(found.explained)
    counted = (
        f"{words.counted(len(circles), 'region')} of the baseline, {words.counted(len(dots), 'row')} of the window"
    )
    said = [
        f"{counted}, in the plane that shows {share} of the baseline's variance",
        "discs are the baseline's shares and rings the window's",
    ]
    for verb in _STYLES:
        names = [row["label"] for row in circles if row["verdict"] == verb]
        said += [f"{verb}: {words.names(names)}"] if names else []
    outside = sum(dot["outside"] for dot in dots)
    said += [f"{words.counted(outside, 'row')} outside of the axes, drawn as a cross at their edge"] if outside else []
    return f"{'; '.join(said)}."
