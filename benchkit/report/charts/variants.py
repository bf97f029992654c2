"""Variants of one model in a plane of quality and cost: which are joined, and by which line.

    dots of one origin ── joined ──> lines: along the dimension, along the precision, otherwise

A line changes one thing at a time: variants of one precision are joined along their dimension, those of one dimension
along their precision, so that a grid of both is a net. What no such line leads to from the variant of the largest
vectors is joined to that one by a line of its own. Where all share one cost and stand side by side, a net would be a
knot: one line joins neighbours. The three are told apart by their dashes: colour alone says nothing in print.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from benchkit.report.charts.base import GREY
from benchkit.types.model import BITS_PER_DIMENSION, PRECISIONS, ModelMeta, Precision

_NOTE = (
    "Thin lines join variants of one model: solid along the dimension, dotted along the precision, dash-dotted "
    "otherwise."
)

Along = Literal["dimension", "precision", "otherwise"]
# The front is drawn [6, 4] and wider.
_DASHES: Mapping[Along, Sequence[int]] = {"dimension": (1, 0), "precision": (1, 3), "otherwise": (8, 3, 1, 3)}
_DOTTED_WIDTH, _WIDTH = 1.75, 1.0  # dots of 1 px are hardly seen


class Variant(Protocol):
    """What is known of a mark."""

    @property
    def origin(self) -> str: ...
    @property
    def dimension(self) -> int | None: ...
    @property
    def precision(self) -> Precision: ...
    @property
    def mean(self) -> float: ...
    @property
    def cost(self) -> float: ...
    @property
    def aside(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Line:
    """Variants of one model in the order in which a line meets them; at least two."""

    along: Along
    stops: tuple[Variant, ...]


def joined(dots: Sequence[Variant]) -> list[Line]:
    """Return the lines between variants: of each origin, one for each precision and one for each dimension."""
    return [line for family in _grouped(dots, lambda dot: dot.origin) for line in _of_family(family)]


def variants_note(models: Iterable[ModelMeta]) -> str:
    """Return what the thin lines of a picture of these models mean; "" where there are no variants."""
    origins = [meta.id for meta in models]
    return _NOTE if len(set(origins)) < len(origins) else ""


def variant_layers(dots: Sequence[Variant]) -> list[dict[str, Any]]:
    """Return a layer of thin lines for each of the three ways in which variants of these models differ."""
    lines = joined(dots)
    return [_layer(along, found) for along in _DASHES if (found := [line for line in lines if line.along == along])]


def _of_family(family: Sequence[Variant]) -> list[Line]:
    if len(family) > 2 and len({dot.cost for dot in family}) == 1:
        return [Line("otherwise", tuple(sorted(family, key=lambda dot: dot.aside)))]
    lines = [
        *_along("dimension", family, same=lambda dot: dot.precision, differs=_length),
        *_along(
            "precision", family, same=lambda dot: dot.dimension, differs=lambda dot: PRECISIONS.index(dot.precision)
        ),
    ]
    *others, first = sorted((max(piece, key=_size) for piece in _pieces(family, lines)), key=_size)
    return [*lines, *(Line("otherwise", (dot, first)) for dot in others)]


def _pieces(family: Sequence[Variant], lines: Sequence[Line]) -> list[list[Variant]]:
    """Return the variants in groups of those that lines join, over others too."""
    pieces = [[dot] for dot in family]
    for line in lines:
        met = [piece for piece in pieces if any(dot is stop for dot in piece for stop in line.stops)]
        pieces = [piece for piece in pieces if piece not in met] + [[dot for piece in met for dot in piece]]
    return pieces


def _along(
    along: Along,
    family: Sequence[Variant],
    *,
    same: Callable[[Variant], object],
    differs: Callable[[Variant], int],
) -> list[Line]:
    return [
        Line(along, tuple(sorted(group, key=lambda dot: (differs(dot), dot.cost, dot.mean))))
        for group in _grouped(family, same)
        if len({differs(dot) for dot in group}) > 1
    ]


def _grouped(dots: Sequence[Variant], key: Callable[[Variant], object]) -> list[list[Variant]]:
    groups: dict[object, list[Variant]] = defaultdict(list)
    for dot in dots:
        groups[key(dot)].append(dot)
    return list(groups.values())


def _length(dot: Variant) -> int:
    return dot.dimension or 0


def _size(dot: Variant) -> tuple[int, float]:
    return _length(dot) * BITS_PER_DIMENSION[dot.precision], dot.mean


def _layer(along: Along, lines: Sequence[Line]) -> dict[str, Any]:
    values = [
        {"line": number, "step": step, "cost": dot.cost, "mean": dot.mean, "aside": dot.aside}
        for number, line in enumerate(lines)
        for step, dot in enumerate(line.stops)
    ]
    mark = {
        "type": "line", "strokeWidth": _DOTTED_WIDTH if along == "precision" else _WIDTH,
        "strokeDash": list(_DASHES[along]), "color": GREY, "xOffset": {"expr": "datum.aside"}, "aria": False,
    }  # fmt: skip
    encoding = {"detail": {"field": "line"}, "order": {"field": "step", "type": "quantitative"}}
    return {"data": {"values": values}, "mark": mark, "encoding": encoding}
