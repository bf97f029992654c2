"""Pictures of a comparison as SVG text, for inclusion in an HTML page.

    mean scores, bytes per vector ── quality_cost ────> points with error bars, cost on a log axis
    mean scores, p95 latency ─────── quality_latency ─> the same with intervals both ways, the front and the limit
    differences on the mean ──────── forest ──────────> one line for each model, with the margin as a band

Written by hand and not by a plotting library: a few kilobytes instead of a hundred, text stays text, colours follow the
page (report.css), and a screen reader has a title and a description. Only scales and places of labels are computed.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from benchkit.report import cost_view, words
from benchkit.report.view import metas_by_name, pairs_against, reference, summaries
from benchkit.types.comparison import MEAN, Comparison, Interval, PairResult

_WIDTH = 860
_TEXT = 13  # px; the same as in report.css
_LABEL_CELLS = 30  # width of a label in characters; a longer name is cut in the middle, the whole one is in the title
_CELL_PX = 7.2  # generous for a digit or small letter of 13 px in common fonts, so that labels don't touch


@dataclass(frozen=True, slots=True)
class _Axis:
    """From values to pixels along one line."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class _Box:
    """A place that a label takes."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        apart = self.right <= other.left or other.right <= self.left
        return not apart and self.top < other.bottom and other.top < self.bottom


@dataclass(frozen=True, slots=True)
class _Dot:
    """A model in a picture of quality and cost.

    Attributes:
        ends: Interval of the cost.
        taken: It is the recommended model.
        kept: It keeps the budget.
    """

    model: str
    cost: float
    mean: float
    interval: Interval | None
    ends: Interval | None = None
    taken: bool = False
    kept: bool = True


@dataclass(frozen=True, slots=True)
class _Scale:
    """What a cost axis shows.

    Attributes:
        title: Of the axis.
        ticks: From the ends of the axis (logarithms of base 2) to costs that are written below it.
        said: From a cost to words with its unit.
    """

    title: str
    ticks: Callable[[float, float], Sequence[float]]
    said: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class _Plane:
    """Where the marks of a picture of quality and cost stand."""

    x: _Axis
    y: _Axis
    dots: Sequence[_Dot]
    centres: Sequence[float]


# --- quality and cost

_TOP, _BOTTOM, _LEFT, _RIGHT = 18.0, 372.0, 56.0, 836.0
_SHIFTS = (0, -15, 15, -30, 30, -45, 45, -60, 60, -75, 75, -90, 90)  # where a label may go: near its dot first


def quality_cost(comparison: Comparison) -> str:
    """Return the picture of mean score against bytes per vector; "" when no model has both."""
    dots = _byte_dots(comparison)
    if not dots:
        return ""
    scale = _Scale("bytes per vector (log scale)", _byte_ticks, _byte_words)
    x = _cost_axis([dot.cost for dot in dots])
    plane = _Plane(x, _score_axis(dots), dots, _side_by_side(dots, x))
    said = "; ".join(f"{words.plain(dot.model)}: {words.points(dot.mean)} at {dot.cost:.0f} bytes" for dot in dots)
    parts = [*_grid(plane, scale), *_marks(plane, lambda dot: f"{dot.cost:.0f} bytes")]
    return _svg("quality-cost", 424, "Mean score against bytes per vector", said, parts)


def quality_latency(comparison: Comparison) -> str:
    """Return the picture of mean score against the p95 latency of one query; "" when no model has both.

    A stepped line joins the models that no other model beats in both.
    """
    dots = _latency_dots(comparison)
    if not dots:
        return ""
    limit = comparison.budget.max_p95_ms
    ends = [end for dot in dots if dot.ends for end in (dot.ends.low, dot.ends.high)]
    x = _cost_axis([*(dot.cost for dot in dots), *ends, *([limit] if limit else [])])
    plane = _Plane(x, _score_axis(dots), dots, [x(math.log2(dot.cost)) for dot in dots])
    scale = _Scale("p95 latency of one query (log scale)", _round_ticks, _latency_words)
    front = cost_view.latency_front(comparison)
    parts = [*_grid(plane, scale), *_limit(x, limit), *_front(plane, front), *_marks(plane, _latency_title)]
    said = "; ".join(f"{words.plain(dot.model)}: {words.points(dot.mean)} at {_latency_title(dot)}" for dot in dots)
    said += f". On the front: {words.names(front)}."
    return _svg("quality-latency", 424, "Mean score against p95 latency", said, parts)


def without_place(comparison: Comparison) -> list[str]:
    """Return, as text, the models that the picture of quality and bytes can't show, each with its mean."""
    return _absent(comparison, _byte_dots(comparison))


def without_latency(comparison: Comparison) -> list[str]:
    """Return, as text, the models that the picture of quality and latency can't show, each with its mean."""
    return _absent(comparison, _latency_dots(comparison))


def _absent(comparison: Comparison, dots: Sequence[_Dot]) -> list[str]:
    shown = {dot.model for dot in dots}
    said = []
    for row in summaries(comparison):
        if row.model not in shown:
            interval = words.span(row.interval)
            why = "no mean score" if row.mean_score is None else words.points(row.mean_score)
            said.append(f"{words.plain(row.model)}: {why}" + (f" ({interval})" if interval else ""))
    return said


def _byte_dots(comparison: Comparison) -> list[_Dot]:
    metas = metas_by_name(comparison)
    dots = []
    for row in summaries(comparison):
        size = metas[row.model].bytes_per_vector
        if size and row.mean_score is not None:
            taken = row.model == comparison.recommendation.model
            dots.append(_Dot(row.model, size, row.mean_score, row.interval, taken=taken))
    return dots


def _latency_dots(comparison: Comparison) -> list[_Dot]:
    broken = cost_view.over_budget(comparison)
    dots = []
    for row in summaries(comparison):
        found = cost_view.figure(comparison, row.model, words.P95)
        if found and found.value > 0 and row.mean_score is not None:
            ends = cost_view.ends(found)
            taken = row.model == comparison.recommendation.model
            dots.append(
                _Dot(row.model, found.value, row.mean_score, row.interval, ends, taken, row.model not in broken)
            )
    return dots


def _cost_axis(costs: Sequence[float]) -> _Axis:
    low, high = math.log2(min(costs)), math.log2(max(costs))
    room = max(1.0 if low == high else 0.5, 0.06 * (high - low))  # two ticks at least
    return _Axis(low - room, high + room, _LEFT, _RIGHT)


def _score_axis(dots: Sequence[_Dot]) -> _Axis:
    low = min(dot.interval.low if dot.interval else dot.mean for dot in dots)
    high = max(dot.interval.high if dot.interval else dot.mean for dot in dots)
    room = max(0.005, 0.08 * (high - low))
    return _Axis(low - room, high + room, _BOTTOM, _TOP)


def _side_by_side(dots: Sequence[_Dot], x: _Axis) -> list[float]:
    """Return the x of each dot; those of one size stand beside each other, or their error bars would be one line."""
    sharing = Counter(dot.cost for dot in dots)
    seen: Counter[float] = Counter()
    centres = []
    for dot in dots:
        place = seen[dot.cost] - (sharing[dot.cost] - 1) / 2
        seen[dot.cost] += 1
        centres.append(x(math.log2(dot.cost)) + 11 * place)
    return centres


def _grid(plane: _Plane, scale: _Scale) -> list[str]:
    parts = []
    for value in _ticks(plane.y.low, plane.y.high, 6):
        parts.append(_line(_LEFT, plane.y(value), _RIGHT, plane.y(value), "grid"))
        parts.append(_text(_LEFT - 8, plane.y(value) + 4, _tick_words(value), "tick", anchor="end"))
    for cost in scale.ticks(plane.x.low, plane.x.high):
        place = plane.x(math.log2(cost))
        parts.append(_line(place, _TOP, place, _BOTTOM, "grid"))
        parts.append(_text(place, _BOTTOM + 20, scale.said(cost), "tick", anchor="middle"))
    return [*parts, _text((_LEFT + _RIGHT) / 2, _BOTTOM + 42, scale.title, "tick", anchor="middle")]


def _byte_ticks(low: float, high: float) -> list[float]:
    first, last = math.ceil(low), math.floor(high)
    return [2.0**power for power in range(first, last + 1, max(1, math.ceil((last - first) / 9)))]


def _round_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten between two logarithms of base 2; at most nine of them."""
    decades = range(math.floor(low / math.log2(10)), math.ceil(high / math.log2(10)) + 1)
    found = [digit * 10.0**power for power in decades for digit in (1, 2, 5)]
    inside = [value for value in found if low <= math.log2(value) <= high]
    tens = [10.0**power for power in decades if low <= power * math.log2(10) <= high]
    kept = inside if len(inside) <= 9 else tens
    return kept[:: math.ceil(len(kept) / 9) or 1]


def _byte_words(size: float) -> str:
    for unit, scale in (("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale:
            return f"{size / scale:g} {unit}"
    return f"{size:g} B"


def _latency_words(ms: float) -> str:
    return f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms"


def _latency_title(dot: _Dot) -> str:
    ends = f" ({words.digits(dot.ends.low)}–{words.digits(dot.ends.high)})" if dot.ends else ""
    return f"{words.digits(dot.cost)} ms{ends}" + ("" if dot.kept else ", breaks the budget")


def _limit(x: _Axis, limit: float | None) -> list[str]:
    """Return the line that a model has to be left of."""
    if limit is None:
        return []
    place = x(math.log2(limit))
    said = f"limit {_latency_words(limit)}"
    on_left = place - _LEFT > _cells(said) * _CELL_PX + 6
    edge, anchor = (place - 6, "end") if on_left else (place + 6, "start")
    line = _line(place, _TOP - 6, place, _BOTTOM, "limit")
    return [line, _text(edge, _BOTTOM - 8, said, "tick halo", anchor=anchor)]


def _front(plane: _Plane, front: Sequence[str]) -> list[str]:
    """Return the steps of the front: from each of its models to the right, then up to the next one."""
    on = sorted((dot.cost, plane.y(dot.mean)) for dot in plane.dots if dot.model in front)
    places = [(plane.x(math.log2(cost)), y) for cost, y in on]
    parts = []
    for (x, y), (next_x, next_y) in zip(places, [*places[1:], (_RIGHT, None)], strict=True):
        parts.append(_line(x, y, next_x, y, "front"))
        if next_y is not None:
            parts.append(_line(next_x, y, next_x, next_y, "front"))
    return parts


def _marks(plane: _Plane, cost_words: Callable[[_Dot], str]) -> list[str]:
    drawn = [
        part
        for dot, centre in zip(plane.dots, plane.centres, strict=True)
        for part in _drawn_dot(dot, centre, plane, cost_words(dot))
    ]
    return drawn + _labels(plane)


def _drawn_dot(dot: _Dot, centre: float, plane: _Plane, cost_words: str) -> list[str]:
    parts, y = [], plane.y(dot.mean)
    if dot.interval is not None:
        low, high = plane.y(dot.interval.low), plane.y(dot.interval.high)
        parts.append(_line(centre, low, centre, high, "whisker"))
        parts += [_line(centre - 4, end, centre + 4, end, "whisker") for end in (low, high)]
    if dot.ends is not None:
        left, right = plane.x(math.log2(dot.ends.low)), plane.x(math.log2(dot.ends.high))
        parts.append(_line(left, y, right, y, "whisker"))
        parts += [_line(end, y - 4, end, y + 4, "whisker") for end in (left, right)]
    title = f"{words.plain(dot.model)}: {words.points(dot.mean)} {words.span(dot.interval)}, {cost_words}"
    kind = "mark" if dot.kept else "mark open"
    return [*parts, _diamond(centre, y, title) if dot.taken else _disc(centre, y, kind, title)]


def _labels(plane: _Plane) -> list[str]:
    """Place each name near its dot where it covers no other dot and no other name; a line leads to a distant one."""
    placed = list(zip(plane.dots, plane.centres, strict=True))
    taken = [box for dot, centre in placed for box in _inked(dot, centre, plane)]
    parts = []
    for dot, centre in placed:
        label, y = _short(dot.model), plane.y(dot.mean)
        box = _free_box(centre, y, _cells(label) * _CELL_PX, taken)
        taken.append(box)
        middle, on_right = (box.top + box.bottom) / 2, box.left > centre
        if abs(middle - y) > 1 or min(abs(box.left - centre), abs(box.right - centre)) > 12:
            parts.append(_line(centre, y, box.left - 2 if on_right else box.right + 2, middle, "leader"))
        edge, anchor = (box.left, "start") if on_right else (box.right, "end")
        kind = "halo strong" if dot.taken else "halo"
        parts.append(_text(edge, middle + 4, label, kind, anchor=anchor, title=dot.model))
    return parts


def _inked(dot: _Dot, centre: float, plane: _Plane) -> list[_Box]:
    """Return what a dot and its error bars cover."""
    y = plane.y(dot.mean)
    found = [_Box(centre - 8, y - 8, centre + 8, y + 8)]
    if dot.interval is not None:
        found.append(_Box(centre - 5, plane.y(dot.interval.high), centre + 5, plane.y(dot.interval.low)))
    if dot.ends is not None:
        left, right = plane.x(math.log2(dot.ends.low)), plane.x(math.log2(dot.ends.high))
        found.append(_Box(left, y - 5, right, y + 5))
    return found


def _free_box(x: float, y: float, width: float, taken: Sequence[_Box]) -> _Box:
    """Return the nearest free place for a label; where none is free, the one that meets the fewest others."""
    places = []
    for gap in (10, 40, 90, 150):
        for shift in _SHIFTS:
            top = min(max(y + shift - _TEXT / 2, _TOP - 10), _BOTTOM - _TEXT)
            places.append(_Box(x + gap, top, x + gap + width, top + _TEXT))
            places.append(_Box(x - gap - width, top, x - gap, top + _TEXT))
    inside = [box for box in places if box.left >= _LEFT and box.right <= _WIDTH] or places
    return min(inside, key=lambda box: sum(box.meets(other) for other in taken))


# --- differences

_ROW = 30.0
_NAMES_END, _FOREST_END = 232.0, 610.0


def forest(comparison: Comparison) -> str:
    """Return the picture of each model's difference on the mean against the baseline, or else the recommended model."""
    against = reference(comparison)
    if against is None:
        return ""
    found = pairs_against(comparison, against)
    pairs = [found[row.model, MEAN] for row in summaries(comparison) if (row.model, MEAN) in found]
    pairs = [pair for pair in pairs if pair.delta is not None]
    if not pairs:
        return ""
    x, bottom = _difference_axis(pairs, comparison.margin), 16 + _ROW * len(pairs)
    parts = _difference_grid(x, bottom, comparison.margin)
    for place, pair in enumerate(pairs):
        parts += _drawn_pair(pair, x, 16 + _ROW * (place + 0.5))
    axis = f"points against {_short(against)}"
    parts.append(_text((_NAMES_END + _FOREST_END) / 2, bottom + 42, axis, "tick", anchor="middle", title=against))
    said = " ".join(words.pair_sentence(pair, comparison.margin) for pair in pairs)
    return _svg("forest", bottom + 54, f"Difference on the mean against {words.plain(against)}", said, parts)


def _difference_axis(pairs: Sequence[PairResult], margin: float) -> _Axis:
    ends = [-margin, margin, 0.0]
    for pair in pairs:
        ends += [pair.interval.low, pair.interval.high] if pair.interval else [pair.delta or 0.0]
    room = max(0.002, 0.06 * (max(ends) - min(ends)))
    return _Axis(min(ends) - room, max(ends) + room, _NAMES_END, _FOREST_END)


def _difference_grid(x: _Axis, bottom: float, margin: float) -> list[str]:
    parts = []
    if margin > 0:
        width = x(margin) - x(-margin)
        title = _tag("title", f'within this band a difference is "the same" ({words.margin_words(margin)})')
        parts.append(_tag("rect", inner=title, x=x(-margin), y=12.0, width=width, height=bottom - 12, css="band"))
    for value in _ticks(x.low, x.high, 6):
        parts.append(_line(x(value), 12, x(value), bottom, "grid"))
        parts.append(_text(x(value), bottom + 20, _tick_words(value, signed=True), "tick", anchor="middle"))
    return [*parts, _line(x(0), 8, x(0), bottom + 4, "zero")]


def _drawn_pair(pair: PairResult, x: _Axis, y: float) -> list[str]:
    delta = pair.delta or 0.0
    parts = [_text(_NAMES_END - 12, y + 4, _short(pair.candidate), "", anchor="end", title=pair.candidate)]
    if pair.interval is not None:
        low, high = x(pair.interval.low), x(pair.interval.high)
        parts.append(_line(low, y, high, y, "whisker"))
        parts += [_line(end, y - 4, end, y + 4, "whisker") for end in (low, high)]
    # Filled where something was found, open where not: the shape says it without the colour.
    kind = "mark open" if pair.verdict == "inconclusive" else "mark"
    parts.append(_square(x(delta), y) if pair.verdict == "same" else _disc(x(delta), y, kind, words.pair_words(pair)))
    return [*parts, _text(_FOREST_END + 12, y + 4, words.pair_words(pair), "")]


# --- scales, names and marks


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Return round values between two ends: steps of 1, 2 or 5 times a power of ten, about that many."""
    rough = (high - low) / about
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    return [place * step for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _tick_words(value: float, *, signed: bool = False) -> str:
    text = f"{value * 100:{'+' if signed else ''}.4g}"
    return "0" if value == 0 else text


def _cells(text: str) -> int:
    """Return the width of a text in characters; Chinese signs take two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _short(name: str) -> str:
    """Return a name that fits a label; both ends stay, since variants of one model differ at the end."""
    flat = words.plain(name)
    if _cells(flat) <= _LABEL_CELLS:
        return flat
    half = _LABEL_CELLS // 2
    return f"{_fitting(flat, half - 1)}…{_fitting(flat[::-1], half)[::-1]}"


def _fitting(text: str, cells: int) -> str:
    kept = ""
    for sign in text:
        if _cells(kept + sign) > cells:
            break
        kept += sign
    return kept


def _svg(name: str, height: float, title: str, description: str, parts: Sequence[str]) -> str:
    head = _tag("title", title, id=f"{name}-title") + _tag("desc", description, id=f"{name}-desc")
    inner = head + "\n" + "\n".join(parts) + "\n"
    view, spoken = f"0 0 {_WIDTH} {height:.0f}", f"{name}-title {name}-desc"
    return f'<svg viewBox="{view}" role="img" aria-labelledby="{spoken}">{inner}</svg>'


def _tag(name: str, text: str = "", *, inner: str = "", css: str = "", **attributes: str | float) -> str:
    """Return an element; text and attributes are escaped, `inner` is SVG already."""
    given = {**({"class": css} if css else {}), **attributes}
    said = "".join(f' {key.replace("_", "-")}="{_attribute(value)}"' for key, value in given.items())
    content = inner + escape(text)  # a title has to come first to be shown
    return f"<{name}{said}>{content}</{name}>" if content else f"<{name}{said}/>"


def _attribute(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return _tag("line", x1=x1, y1=y1, x2=x2, y2=y2, css=css)


def _text(x: float, y: float, text: str, css: str, *, anchor: str = "start", title: str | None = None) -> str:
    spoken = _tag("title", words.plain(title)) if title is not None else ""
    return _tag("text", text, inner=spoken, x=x, y=y, text_anchor=anchor, css=css)


def _disc(x: float, y: float, css: str, title: str) -> str:
    return _tag("circle", inner=_tag("title", title), cx=x, cy=y, r=5.0, css=css)


def _square(x: float, y: float) -> str:
    return _tag("rect", x=x - 5, y=y - 5, width=10.0, height=10.0, css="mark")


def _diamond(x: float, y: float, title: str) -> str:
    corners = " ".join(f"{_attribute(x + dx)},{_attribute(y + dy)}" for dx, dy in ((0, -8), (8, 0), (0, 8), (-8, 0)))
    return _tag("polygon", inner=_tag("title", title), points=corners, css="mark")
