"""Paired differences as a forest plot: one line for each model or task, the margin as a band, the verdict in words.

    Comparison ── forest ───────> each model minus one of them, on the mean
               ── task_forest ──> one model minus another, on each task

The mark says the verdict without a colour: filled where a difference was found, hollow where the data leave it open,
a square where the two are the same within the margin. Names and words stand beside each interval where that leaves
room enough for it, and above it in a narrow window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchkit.report import words
from benchkit.report.charts.base import (
    BLUE,
    GREY,
    HOLLOW,
    PAPER,
    SAID,
    VERMILION,
    Chart,
    Row,
    chart,
    haloed,
)
from benchkit.report.charts.labels import CELL, FONT, brief, cells, short
from benchkit.report.view import pair_between, pairs_against, reference, summaries, task_names
from benchkit.types.comparison import MEAN, Comparison, Interval, PairResult, Verdict

_ROW = 52  # px of one difference: its name, its words, its interval
_NAME, _WORDS, _MARK = 10, 25, 40  # px from the top of a row
_LABEL_CELLS = 34
_TOLD = 6  # differences that are told in words
_LEAST = 320  # px of the intervals beside their names and words; with less they stand below these
_BESIDE = 16  # px between the intervals and these
_LOOKS: Mapping[Verdict, Mapping[str, Any]] = {
    "better": {"shape": "circle", "color": BLUE, "filled": True},
    "worse": {"shape": "circle", "color": VERMILION, "filled": True},
    "same": {"shape": "square", "color": GREY, "filled": True},
    "inconclusive": {"shape": "circle", "color": GREY, "fill": HOLLOW},
}


def forest(comparison: Comparison, *, baseline: str | None = None) -> Chart | None:
    """Return each model's difference on the mean against one of them.

    Args:
        baseline: None takes the comparison's baseline, or else the recommended model.

    Returns:
        None where nothing was compared with it.
    """
    against = baseline or reference(comparison)
    if against is None:
        return None
    found = pairs_against(comparison, against)
    pairs = [found[row.model, MEAN] for row in summaries(comparison) if (row.model, MEAN) in found]
    title = f"Difference on the mean against {brief(against)}"
    return _forest("forest", title, pairs, [pair.candidate for pair in pairs], comparison.margin)


def task_forest(comparison: Comparison, candidate: str, baseline: str) -> Chart | None:
    """Return the difference of two models on the mean and on each task; None where they weren't compared."""
    tasks = (MEAN, *task_names(comparison))
    pairs = [pair for task in tasks if (pair := pair_between(comparison, candidate, baseline, task))]
    names = ["mean over all tasks" if pair.task == MEAN else pair.task for pair in pairs]
    title = f"{brief(candidate)} against {brief(baseline)}, by task"
    return _forest("task-forest", title, pairs, names, comparison.margin)


def _forest(name: str, title: str, pairs: Sequence[PairResult], names: Sequence[str], margin: float) -> Chart | None:
    if not any(pair.delta is not None for pair in pairs):
        return None
    rows = [_row(pair, names[place], place) for place, pair in enumerate(pairs)]
    height = _ROW * len(rows)
    across = short(pairs[0].baseline, _LABEL_CELLS)
    sides = _sides(rows)
    return chart(
        name,
        title,
        _alt(pairs, names, margin),
        rows=rows,
        height=height,
        params=[dict(PAPER)],
        encoding={"y": {"field": "y", "type": "quantitative", "scale": {"domain": [height, 0]}, "axis": None}},
        layer=[
            *_ground(margin),
            *_intervals(_domain(pairs, margin), f"points against {across}", sides),
            *_texts(sides),
        ],
    )


def _row(pair: PairResult, name: str, place: int) -> Row:
    return {
        "name": brief(name),
        "label": short(name, _LABEL_CELLS),
        "baseline": brief(pair.baseline),
        "difference": _points_of(pair.delta),
        "low": _points_of(pair.interval.low if pair.interval else None),
        "high": _points_of(pair.interval.high if pair.interval else None),
        "p_holm": pair.p_holm,
        "verdict": pair.verdict if pair.delta is not None else "not compared",
        "words": words.pair_words(pair) if pair.delta is not None else "not compared",
        "said": f"{brief(name)}: {_said(pair)}",
        "y": _ROW * place + _MARK,
    }


def _said(pair: PairResult) -> str:
    if pair.delta is None:
        return f"not compared{f', {brief(pair.reason)}' if pair.reason else ''}"
    p = "" if pair.p_holm is None else f", p {words.p_equals(pair.p_holm)} after Holm's correction"
    return f"{words.difference_words(pair)}: {pair.verdict}{p}"


def _points_of(score: float | None) -> float | None:
    return None if score is None else round(100 * score, 6)


def _alt(pairs: Sequence[PairResult], names: Sequence[str], margin: float) -> str:
    told = [f"{brief(name)} {_said(pair)}" for pair, name in zip(pairs[:_TOLD], names, strict=False)]
    said = [f"Against {brief(pairs[0].baseline)}: {'; '.join(told)}."]
    said += [f"{len(pairs) - _TOLD} more."] if len(pairs) > _TOLD else []
    said += [f'"same" means within {words.margin_words(margin)}, the band.'] if margin > 0 else []
    return " ".join(said)


def _domain(pairs: Sequence[PairResult], margin: float) -> list[float]:
    spans = [pair.interval or Interval(pair.delta, pair.delta) for pair in pairs if pair.delta is not None]
    low = 100 * min(0.0, -margin, *(span.low for span in spans))
    high = 100 * max(0.0, margin, *(span.high for span in spans))
    room = max(0.2, 0.06 * (high - low))
    return [round(low - room, 6), round(high + room, 6)]


# --- layers


@dataclass(frozen=True, slots=True)
class _Sides:
    """What names and words take away from a plane where they stand beside the intervals: px on its left and right."""

    left: int
    right: int

    def where_wide(self, then: object, otherwise: object) -> dict[str, Any]:
        """Return what depends on whether there is room for them beside the intervals."""
        return {"expr": f"width >= {self.left + self.right + _LEAST} ? {then} : {otherwise}"}

    @property
    def up(self) -> dict[str, Any]:
        """Return how far a mark goes up to the middle of its row, where no words stand above it."""
        return self.where_wide(_ROW // 2 - _MARK, 0)


def _sides(rows: Sequence[Row]) -> _Sides:
    left, right = (max(cells(row[field]) for row in rows) * CELL + _BESIDE for field in ("label", "words"))
    return _Sides(round(left), round(right))


def _ground(margin: float) -> list[dict[str, Any]]:
    whole = {"y": {"value": 0}, "y2": {"value": "height"}}
    band = {
        "data": {"values": [{"low": round(-100 * margin, 6), "high": round(100 * margin, 6)}]},
        "mark": {"type": "rect", "color": GREY, "opacity": 0.2, "aria": False},
        "encoding": {"x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}, **whole},
    }
    zero = {
        "data": {"values": [{"at": 0}]},
        "mark": {"type": "rule", "color": GREY, "size": 1.5, "aria": False},
        "encoding": {"x": {"field": "at", "type": "quantitative"}, **whole},
    }
    return [*([band] if margin > 0 else []), zero]


def _intervals(domain: Sequence[float], title: str, sides: _Sides) -> list[dict[str, Any]]:
    axis: dict[str, Any] = {"tickCount": 6, "labelExpr": "(datum.value > 0 ? '+' : '') + format(datum.value, '~r')"}
    ends = [sides.where_wide(sides.left, 0), sides.where_wide(f"width - {sides.right}", "width")]
    scale = {"domain": list(domain), "nice": False, "range": ends}
    at: dict[str, Any] = {"type": "quantitative", "title": title, "scale": scale, "axis": axis}
    bars: dict[str, Any] = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "rule", "size": 2, "color": GREY, "yOffset": sides.up, "aria": False},
        "encoding": {"x": {"field": "low", **at}, "x2": {"field": "high"}},
    }
    marks: list[dict[str, Any]] = [
        {
            "transform": [{"filter": {"field": "verdict", "equal": verdict}}],
            "mark": {"type": "point", "opacity": 1, "size": 90, "strokeWidth": 2, "yOffset": sides.up, **look},
            "encoding": {"x": {"field": "difference", **at}, **SAID},
        }
        for verdict, look in _LOOKS.items()
    ]
    return [bars, *marks]


def _texts(sides: _Sides) -> list[dict[str, Any]]:
    """Return names and words: beside the intervals in a wide window, above them in a narrow one."""
    text: dict[str, Any] = {"type": "text", "fontSize": FONT, "baseline": "middle", "aria": False}
    name = {**text, "align": "left", "fontWeight": "bold", "dy": sides.where_wide(_ROW // 2 - _MARK, _NAME - _MARK)}
    said = {
        **text,
        "align": sides.where_wide("'right'", "'left'"),
        "dy": sides.where_wide(_ROW // 2 - _MARK, _WORDS - _MARK),
    }
    return [
        *haloed({"mark": name, "encoding": {"x": {"value": 0}, "text": {"field": "label"}}}),
        *haloed(
            {
                "mark": said,
                "encoding": {"x": {"value": sides.where_wide("width", 0)}, "text": {"field": "words"}},
            }
        ),
    ]
