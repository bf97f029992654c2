"""Regions of a baseline as circles in a picture: areas are shares of rows, and the changed ones have rings and names.

    ProjectedRegion, ClusterChange ── circles ──> rows ── discs, rings, name_layers ──> layers
                                                       └─ told ──> words of which grew and which shrank

A disc is the baseline's share, a ring around or inside it the window's: solid where it grew, dashed where it shrank.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchkit.report import drift_words, words
from benchkit.report.charts import base
from benchkit.report.charts.base import Row
from benchkit.report.charts.labels import CELL, Anchor, Box, Edge, Place, placed, short
from benchkit.report.charts.regions import GREW, SIGNS, STYLES, name_of, verb_of
from benchkit.types.drift import ClusterChange, ProjectedRegion

PLANE_PX = 380
_LABEL_CELLS = 14
_LARGEST_AREA = 1600  # px² of the largest share

Range = tuple[float, float]


def circles(regions: Sequence[ProjectedRegion], clusters: Sequence[ClusterChange]) -> list[dict[str, Any]]:
    """Return a row of each region, at its place."""
    changes: Mapping[int, ClusterChange] = {change.cluster: change for change in clusters}
    found = []
    for region in regions:
        change = changes.get(region.cluster)
        before, now = drift_words.percent(region.baseline_share), drift_words.percent(region.window_share)
        name = f"region {region.cluster}" if change is None else name_of(change, 60)
        found.append(
            {
                "kind": "region",
                "region": region.cluster,
                "x": region.x,
                "y": region.y,
                "before": region.baseline_share,
                "now": region.window_share,
                "verdict": "" if change is None else verb_of(change),
                "label": "" if change is None else _label(change),
                "said": f"{name}: {before} of the baseline's rows, {now} of the window's",
            }
        )
    return found


def _label(change: ClusterChange) -> str:
    return short(change.keywords[0] if change.keywords else drift_words.region_name(change), _LABEL_CELLS)


def _area(field: str, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"domain": [0, _largest(rows)], "range": [0, _LARGEST_AREA]},
        "legend": None,
    }


def discs(circles: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the baseline's share of each region as a disc."""
    mark = {"type": "point", "shape": "circle", "filled": True, "color": base.GREY, "opacity": 0.35}
    size = _area("before", circles)
    return [{"transform": [only("region")], "mark": mark, "encoding": {"size": size, **base.SAID}}] if circles else []


def rings(circles: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the window's share of each changed region as a ring: solid where it grew, dashed where it shrank."""
    return [
        {
            "transform": [only("region"), {"filter": {"field": "verdict", "equal": verb}}],
            "mark": {
                "type": "point",
                "shape": "circle",
                "filled": False,
                "strokeWidth": 2.5,
                "strokeDash": [1, 0] if verb == GREW else [4, 3],
                "color": colour,
                "opacity": 1,
            },
            "encoding": {"size": _area("now", circles), **base.SAID},
        }
        for verb, colour in STYLES.items()
        if any(circle["verdict"] == verb for circle in circles)
    ]


def only(kind: str) -> dict[str, Any]:
    """Return what leaves the rows of one kind."""
    return {"filter": {"field": "kind", "equal": kind}}


def name_layers(circles: Sequence[Row], across: Range, up: Range) -> list[dict[str, Any]]:
    """Return the names of changed regions, where each has room, and lines to those that stand apart."""
    changed = sorted((row for row in circles if row["verdict"]), key=lambda row: -abs(row["now"] - row["before"]))
    anchors = [_anchor(row, circles, across, up) for row in changed]
    covered = [Box(Edge(anchor.x.share, -9), anchor.y - 9, Edge(anchor.x.share, 9), anchor.y + 9) for anchor in anchors]
    places = placed(anchors, covered, height=PLANE_PX)
    found = [
        (row, replace(place, dx=_beyond(place.dx, _radius(row, circles) + 4)), place.y - anchor.y)
        for row, anchor, place in zip(changed, anchors, places, strict=True)
        if place is not None
    ]
    up_of_px = (up[1] - up[0]) / PLANE_PX
    leaders = [_leader(row, place, up[1] - place.y * up_of_px) for row, place, _ in found if place.is_far]
    return leaders + [_label_layer(row, place, dy) for row, place, dy in found]


def _beyond(dx: float, least: float) -> float:
    return math.copysign(max(abs(dx), least), dx)


def _leader(row: Row, place: Place, at: float) -> dict[str, Any]:
    """Return a line from the middle of a region to its name, whose height is `at`."""
    mark = {"type": "rule", "size": 0.75, "color": base.GREY, "x2Offset": place.dx - math.copysign(3, place.dx)}
    values = [{"x": row["x"], "y": row["y"], "at": at}]
    encoding = {"x2": {"field": "x"}, "y2": {"field": "at"}}
    return {"data": {"values": values}, "mark": {**mark, "aria": False}, "encoding": encoding}


def _label_layer(row: Row, place: Place, dy: float) -> dict[str, Any]:
    mark = {"type": "text", "align": "left" if place.dx > 0 else "right", "dx": place.dx, "dy": dy, "fontSize": 12}
    values = [{"x": row["x"], "y": row["y"], "shown": f"{SIGNS[row['verdict']]} {row['label']}"}]
    return {"data": {"values": values}, "mark": {**mark, "aria": False}, "encoding": {"text": {"field": "shown"}}}


def _radius(row: Row, circles: Sequence[Row]) -> float:
    """Return px from the middle of a region to the outer edge of its disc or ring."""
    return math.sqrt(_LARGEST_AREA * max(row["before"], row["now"]) / _largest(circles) / math.pi)


def _largest(circles: Sequence[Row]) -> float:
    return max((max(row["before"], row["now"]) for row in circles), default=0.0) or 1.0


def _anchor(row: Row, circles: Sequence[Row], across: Range, up: Range) -> Anchor:
    (left, right), (bottom, top) = across, up
    y = PLANE_PX * (top - row["y"]) / (top - bottom)
    # A label begins outside of its ring; blanks keep that much room.
    room = " " * math.ceil(_radius(row, circles) / CELL)
    return Anchor(f"{room}{SIGNS[row['verdict']]} {row['label']}", Edge((row["x"] - left) / (right - left)), y)


def told(circles: Sequence[Row]) -> list[str]:
    """Return which regions grew and which shrank, a part of a sentence each."""
    named = {verb: [row["label"] for row in circles if row["verdict"] == verb] for verb in STYLES}
    return [f"{verb}: {words.names(names)}" for verb, names in named.items() if names]
