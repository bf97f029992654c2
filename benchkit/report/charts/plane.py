"""A plane of quality and cost: where each model stands on it, and the layers that draw it.

    dots, limit ── plane_of ──> Plane ── encoding, layers ──> error bars, variants, front, limit, marks, labels

Marks stand at their cost; models of one cost stand side by side, `aside` px apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchkit.report.charts.base import BLUE, GREY, HOLLOW, ORANGE, SAID, haloed, titled_above
from benchkit.report.charts.costscale import Scale
from benchkit.report.charts.labels import FONT, Anchor, Box, Edge, labels, placed
from benchkit.report.charts.variants import variant_layers
from benchkit.types.comparison import Interval
from benchkit.types.model import Precision

HEIGHT = 360
_LABEL_CELLS = 17  # of a name: it fits beside a mark in the middle of a window of 390 px


@dataclass(frozen=True, slots=True)
class Dot:
    """A model in the picture.

    Attributes:
        ends: Interval of the cost.
        broken: Why it breaks the budget; () where it keeps it.
        chosen: Whether it is the one to take.
        aside: px that it stands beside its cost, where others have the same one.
    """

    model: str
    origin: str
    dimension: int | None
    precision: Precision
    mean: float
    interval: Interval | None
    cost: float
    ends: Interval | None
    broken: tuple[str, ...]
    chosen: bool
    on_front: bool
    aside: float


@dataclass(frozen=True, slots=True)
class Plane:
    """The ends of both axes, in points and in the unit of the cost."""

    low: float
    high: float
    cheap: float
    dear: float

    def share(self, cost: float) -> float:
        return math.log(cost / self.cheap) / math.log(self.dear / self.cheap)

    def px(self, mean: float) -> float:
        return HEIGHT * (self.high - mean) / (self.high - self.low)

    def mean_at(self, px: float) -> float:
        return self.high - px / HEIGHT * (self.high - self.low)


def plane_of(dots: Sequence[Dot], limit: float | None) -> Plane:
    spans = [dot.interval or Interval(dot.mean, dot.mean) for dot in dots]
    low = min(min(span.low, dot.mean) for span, dot in zip(spans, dots, strict=True))
    high = max(max(span.high, dot.mean) for span, dot in zip(spans, dots, strict=True))
    costs = [dot.cost for dot in dots] + [end for dot in dots if dot.ends for end in (dot.ends.low, dot.ends.high)]
    costs += [limit] if limit is not None and limit > 0 else []
    cheap, dear = math.log2(min(costs)), math.log2(max(costs))
    across = max(1.0 if cheap == dear else 0.5, 0.08 * (dear - cheap))  # so that two ticks stand there at least
    above = max(0.5, 0.08 * (high - low))
    return Plane(low - above, high + above, 2 ** (cheap - across), 2 ** (dear + across))


def encoding(plane: Plane, scale: Scale) -> dict[str, Any]:
    """Return both axes."""
    return {"x": _cost_axis(plane, scale), "y": _mean_axis(plane)}


def layers(plane: Plane, scale: Scale, dots: Sequence[Dot], limit: float | None) -> list[dict[str, Any]]:
    """Return what is drawn, the hindmost first; the top-level rows are those of the dots."""
    return [
        *_limit(plane, scale, limit),
        *variant_layers(dots),
        *_front(plane, dots),
        *_whiskers(),
        *_points(),
        *_names(plane, dots, limit),
    ]


# --- axes


def _cost_axis(plane: Plane, scale: Scale) -> dict[str, Any]:
    return {
        "field": "cost",
        "type": "quantitative",
        "title": f"{scale.title} (log scale)",
        "scale": {"type": "log", "domain": [plane.cheap, plane.dear], "nice": False},
        "axis": {"values": list(scale.ticks(plane.cheap, plane.dear)), "labelExpr": scale.said, "labelOverlap": True},
    }


def _mean_axis(plane: Plane) -> dict[str, Any]:
    return {
        "field": "mean",
        "type": "quantitative",
        "title": "mean score (points)",
        "scale": {"domain": [plane.low, plane.high], "nice": False, "zero": False},
        "axis": titled_above(tickCount=6),
    }


# --- layers

_BESIDE = {"expr": "datum.aside"}


def _limit(plane: Plane, scale: Scale, limit: float | None) -> list[dict[str, Any]]:
    if limit is None or limit <= 0:
        return []
    on_left = plane.share(limit) > 0.5
    said = f"limit {limit:g} {scale.unit}"
    name = {
        "type": "text", "align": "right" if on_left else "left", "dx": -6 if on_left else 6, "dy": -10,
        "fontSize": FONT, "style": "faint", "aria": False,
    }  # fmt: skip
    data = {"values": [{"cost": limit, "said": said}]}
    bottom = {"value": HEIGHT}
    return [
        {
            "data": data,
            "mark": {"type": "rule", "color": ORANGE, "size": 2, "aria": False},
            "encoding": {"y": {"value": 0}, "y2": bottom},
        },
        {"data": data, "mark": name, "encoding": {"y": bottom, "text": {"field": "said"}}},
    ]


def _front(plane: Plane, dots: Sequence[Dot]) -> list[dict[str, Any]]:
    """Return the steps of the front: from each of its models to the right, then up to the next one."""
    on = sorted((dot.cost, dot.mean, dot.aside) for dot in dots if dot.on_front)
    steps = [*on, (plane.dear, on[-1][1], 0.0)]
    mark = {
        "type": "line", "interpolate": "step-after", "strokeWidth": 1.5, "strokeDash": [6, 4], "color": GREY,
        "xOffset": _BESIDE, "aria": False,
    }  # fmt: skip
    values = [{"cost": cost, "mean": mean, "aside": aside} for cost, mean, aside in steps]
    return [
        {
            "data": {"values": values},
            "mark": mark,
            "encoding": {"order": {"field": "cost", "type": "quantitative"}},
        }
    ]


def _whiskers() -> list[dict[str, Any]]:
    bar = {"type": "rule", "size": 2, "color": GREY, "aria": False}
    known = [{"filter": f"isValid(datum.{field})"} for field in ("mean_low", "cost_low")]
    return [
        {
            "transform": known[:1],
            "mark": {**bar, "xOffset": _BESIDE},
            "encoding": {"y": {"field": "mean_low"}, "y2": {"field": "mean_high"}},
        },
        {
            "transform": known[1:],
            "mark": {**bar, "xOffset": _BESIDE, "x2Offset": _BESIDE},
            "encoding": {"x": {"field": "cost_low"}, "x2": {"field": "cost_high"}},
        },
    ]


def _points() -> list[dict[str, Any]]:
    """Return the marks: a diamond for the choice and discs for the others, hollow where a budget is broken."""
    mark = {"type": "point", "opacity": 1, "strokeWidth": 2, "xOffset": _BESIDE}
    colour = {"condition": {"test": "datum.on_front || datum.chosen", "value": BLUE}, "value": GREY}
    kinds = [
        ("datum.chosen", {"shape": "diamond", "size": 220}),
        ("!datum.chosen", {"shape": "circle", "size": 80}),
    ]
    return [
        {
            "transform": [{"filter": f"{which} && {kept}"}],
            "mark": {**mark, **look, **fill},
            "encoding": {"color": colour, **SAID},
        }
        for which, look in kinds
        for kept, fill in (("datum.keeps_budget", {"filled": True}), ("!datum.keeps_budget", {"fill": HOLLOW}))
    ]


def _names(plane: Plane, dots: Sequence[Dot], limit: float | None) -> list[dict[str, Any]]:
    """Return the labels and the lines that lead to those that stand apart; the most telling ones find room first."""
    order = sorted(dots, key=lambda dot: (not dot.chosen, not dot.on_front))
    texts = labels((dot.model for dot in dots), _LABEL_CELLS)
    anchors = [Anchor(texts[dot.model], Edge(plane.share(dot.cost), dot.aside), plane.px(dot.mean)) for dot in order]
    covered = [box for dot in dots for box in _covered(plane, dot)] + _lines(plane, dots, limit)
    values = [
        {
            "label": anchor.label,
            "cost": dot.cost,
            "mean": dot.mean,
            "at": plane.mean_at(place.y),
            "aside": dot.aside,
            "dx": dot.aside + place.dx,
            "is_far": place.is_far,
            "chosen": dot.chosen,
        }
        for dot, anchor, place in zip(order, anchors, placed(anchors, covered, height=HEIGHT), strict=True)
        if place is not None
    ]
    text = {
        "type": "text", "fontSize": FONT, "baseline": "middle", "dx": {"expr": "datum.dx"},
        "align": {"expr": "datum.dx < datum.aside ? 'right' : 'left'"},
        "fontWeight": {"expr": "datum.chosen ? 'bold' : 'normal'"}, "aria": False,
    }  # fmt: skip
    leader = {
        "type": "rule", "size": 0.75, "color": GREY, "xOffset": _BESIDE, "aria": False,
        "x2Offset": {"expr": "datum.dx - (datum.dx < datum.aside ? -3 : 3)"},
    }  # fmt: skip
    data = {"values": values}
    return [
        {
            "data": data,
            "transform": [{"filter": "datum.is_far"}],
            "mark": leader,
            "encoding": {"x2": {"field": "cost"}, "y2": {"field": "at"}},
        },
        *haloed({"data": data, "mark": text, "encoding": {"y": {"field": "at"}, "text": {"field": "label"}}}),
    ]


def _covered(plane: Plane, dot: Dot) -> list[Box]:
    """Return what a mark and its error bars cover."""
    share, y, aside = plane.share(dot.cost), plane.px(dot.mean), dot.aside
    found = [Box(Edge(share, aside - 8), y - 8, Edge(share, aside + 8), y + 8)]
    if dot.interval:
        top, bottom = plane.px(dot.interval.high), plane.px(dot.interval.low)
        found.append(Box(Edge(share, aside - 3), top, Edge(share, aside + 3), bottom))
    if dot.ends:
        low, high = (Edge(plane.share(end), aside) for end in (dot.ends.low, dot.ends.high))
        found.append(Box(low, y - 3, high, y + 3))
    return found


def _lines(plane: Plane, dots: Sequence[Dot], limit: float | None) -> list[Box]:
    """Return what the steps of the front and the limit cover."""
    on = sorted((dot.cost, dot.mean) for dot in dots if dot.on_front)
    stops = [*(cost for cost, _ in on[1:]), plane.dear]
    found = [
        Box(Edge(plane.share(cost)), plane.px(mean) - 2, Edge(plane.share(stop)), plane.px(mean) + 2)
        for (cost, mean), stop in zip(on, stops, strict=True)
    ]
    if limit is not None and limit > 0:
        place = plane.share(limit)
        found.append(Box(Edge(place, -2), 0, Edge(place, 2), HEIGHT))
    return found
