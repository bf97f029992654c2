"""Scores by task: where a model is strong, and where a difference is more than chance.

    Comparison ── task_map ──> model x task: scores, or differences from a baseline
               ── slices ────> one task: each model's score on each split and subset
    SliceScores ── tag_chart ──> one task: each model's score on each value of a tag

Every cell of a map has its number, so the colour only guides the eye. A difference that may be chance stands in
parentheses on grey; a cell without a score says why there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchkit.measure.tag_slices import SliceScore
from benchkit.report import words
from benchkit.report.charts.base import SAID, Chart, Row, chart, legend_columns, style_of
from benchkit.report.charts.heat import GAIN, LOSS, OPEN, Cell, difference_cells, score_cells
from benchkit.report.charts.labels import CELL, FONT, brief, cells, labels
from benchkit.report.view import summaries
from benchkit.types.comparison import MEAN, Comparison

_ROW = 26  # px
_LABEL_CELLS = 20
_TOLD = 6
CHART_VALUES = 12  # of a tag; the rows beside the chart have all
_ALL = "all tasks (mean)"


def task_map(comparison: Comparison, *, baseline: str | None = None) -> Chart | None:
    """Return a heat map of scores by model and task, with the mean over all tasks.

    The longer of the two runs down, so that numbers fit beside each other in a narrow window.

    Args:
        baseline: Show each model's difference from this one instead.

    Returns:
        None where nothing was scored, or compared with the baseline.
    """
    found = score_cells(comparison) if baseline is None else difference_cells(comparison, baseline)
    if not any(cell.value is not None for cell in found):
        return None
    rows = [_row(cell, baseline) for cell in found]
    models, tasks = (_shortened(list(dict.fromkeys(names))) for names in _sides(found))
    is_tall = len(tasks) >= len(models)
    down, across = (("task", tasks), ("model", models)) if is_tall else (("model", models), ("task", tasks))
    placed = [{**row, "down": down[1][_name(cell, down[0])], "across": across[1][_name(cell, across[0])]}
              for row, cell in zip(rows, found, strict=True)]  # fmt: skip
    title = "Scores by task" if baseline is None else f"Differences from {brief(baseline)} by task"
    drawn = chart(
        "task-map" if baseline is None else "task-differences",
        title,
        _map_alt(comparison, found, baseline),
        rows=placed,
        height=_ROW * len(down[1]),
        encoding=_sides_of(list(down[1].values()), list(across[1].values())),
        layer=[*_map_layers(), _heads_layer(list(across[1].values()))],
    )
    return Chart(drawn.name, drawn.title, drawn.alt, drawn.spec, tuple(rows))


def slices(comparison: Comparison, task: str) -> Chart | None:
    """Return the scores of each model on each split and subset of a task; None where it has only one."""
    order = [row.model for row in summaries(comparison)]
    by_model = {scored.result.model: scored.result.scores for scored in comparison.cells if scored.result.task == task}
    names = list(dict.fromkeys(name for scores in by_model.values() for name in scores))
    if len(names) < 2:
        return None
    said = {(model, name): words.points(score) for model, scores in by_model.items() for name, score in scores.items()}
    return _slice_chart("slices", f"{brief(task)}: score by split and subset", order, names, by_model, said)


def tag_chart(order: Sequence[str], task: str, tag: str, found: Sequence[SliceScore]) -> Chart | None:
    """Return the scores of each model on the first values of a tag; None where no slice has a score.

    Args:
        order: All models of the comparison, best mean first: they look alike on all charts.
    """
    known = [one for one in found if one.score is not None]
    names = list(dict.fromkeys(one.value for one in known))[:CHART_VALUES]
    if not names:
        return None
    by_model: dict[str, dict[str, float]] = {}
    said: dict[tuple[str, str], str] = {}
    for one in known:
        by_model.setdefault(one.model, {})[one.value] = one.score or 0.0
        interval = f" (95 % CI {words.span(one.interval)})" if one.interval else ""
        said[one.model, one.value] = f"{words.points(one.score)}{interval}, {words.counted(one.n_items, 'item')}"
    return _slice_chart("tag-slices", f"{brief(task)}: score by {brief(tag)}", order, names, by_model, said)


def _slice_chart(
    kind: str,
    title: str,
    order: Sequence[str],
    names: Sequence[str],
    by_model: Mapping[str, Mapping[str, float]],
    said: Mapping[tuple[str, str], str],
) -> Chart:
    # Not `_shortened`: a tag's value may be called like the mean.
    shown, parts = (labels(found, _LABEL_CELLS) for found in ([model for model in order if by_model.get(model)], names))
    rows: list[Row] = [
        {
            "model": brief(model),
            "slice": brief(name),
            "score": round(100 * by_model[model][name], 6),
            "said": f"{brief(model)} on {brief(name)}: {said[model, name]}",
            "label": shown[model],
            "part": parts[name],
        }
        for name in names
        for model in shown
        if name in by_model[model] and math.isfinite(by_model[model][name])
    ]
    looks = [style_of(order, model) for model in shown]
    return chart(
        kind,
        title,
        _slices_alt(rows),
        rows=rows,
        height=max(28, 12 * len(shown) + 8) * len(names),
        encoding=_slice_encoding(
            _around([row["score"] for row in rows]), list(parts.values()), list(shown.values()), looks
        ),
        mark={"type": "point", "filled": True, "size": 80, "opacity": 1},
    )


# --- rows and words


def _sides(found: Sequence[Cell]) -> tuple[list[str], list[str]]:
    return [cell.model for cell in found], [cell.task for cell in found]


def _name(cell: Cell, side: str) -> str:
    return cell.model if side == "model" else cell.task


def _shortened(names: Sequence[str]) -> dict[str, str]:
    has_mean = MEAN in names
    texts = labels((name for name in names if name != MEAN), _LABEL_CELLS, taken=[_ALL] if has_mean else [])
    return {MEAN: _ALL, **texts} if has_mean else texts


def _row(cell: Cell, baseline: str | None) -> Row:
    value = {"score" if baseline is None else "difference": None if cell.value is None else round(100 * cell.value, 6)}
    return {
        "model": brief(cell.model),
        "task": _ALL if cell.task == MEAN else brief(cell.task),
        **value,
        "text": cell.text,
        "said": cell.said,
        "colour": cell.colour,
        "ink": cell.ink,
    }


def _map_alt(comparison: Comparison, found: Sequence[Cell], baseline: str | None) -> str:
    n_models, n_tasks = (len(set(names)) for names in _sides([cell for cell in found if cell.task != MEAN]))
    size = f"{words.counted(n_models, 'model')} on {words.counted(n_tasks, 'task')}"
    if baseline is None:
        means = [f"{brief(row.model)} {words.points(row.mean_score)}" for row in summaries(comparison)]
        return f"{size}. Mean over all tasks: {', '.join(means[:_TOLD])}."
    counts = [
        f"{sum(cell.colour in colours for cell in found)} {what}"
        for what, colours in (("better", GAIN), ("worse", LOSS), ("not told apart, in parentheses", (OPEN,)))
    ]
    return f"{size}, each against {brief(baseline)}: {', '.join(counts)}."


def _slices_alt(rows: Sequence[Row]) -> str:
    told = "; ".join(str(row["said"]) for row in rows[:_TOLD])
    return f"{told}{f'; {len(rows) - _TOLD} more' if len(rows) > _TOLD else ''}."


# --- specifications


def _sides_of(down: Sequence[str], across: Sequence[str]) -> dict[str, Any]:
    axis = {"title": None, "domain": False, "ticks": False, "labelLimit": 0, "grid": False}
    return {
        "y": {
            "field": "down",
            "type": "nominal",
            "scale": {"domain": list(down), "paddingInner": 0.06},
            "axis": axis,
        },
        "x": {
            "field": "across",
            "type": "nominal",
            "scale": {"domain": list(across), "paddingInner": 0.02},
            "axis": {**axis, "orient": "top", "labels": False},
        },
    }


def _heads_layer(across: Sequence[str]) -> dict[str, Any]:
    """Return the names above the columns: level where all of them have room, slanted in a narrower window."""
    is_level = f"bandwidth('x') >= {max(map(cells, across)) * CELL:g}"
    mark = {
        "type": "text",
        "baseline": "middle",
        "align": {"expr": f"{is_level} ? 'center' : 'left'"},
        "angle": {"expr": f"{is_level} ? 0 : -40"},
        "dy": -12,
        "fontSize": FONT,
        "style": "faint",
        "aria": False,
    }
    encoding = {"x": {"field": "across", "type": "nominal"}, "y": {"value": 0}, "text": {"field": "across"}}
    return {"data": {"values": [{"across": name} for name in across]}, "mark": mark, "encoding": encoding}


def _map_layers() -> list[dict[str, Any]]:
    # Cells narrower than their number are read by colour, tooltip and the table beside the picture.
    size = {"expr": f"min({FONT}, max(8, bandwidth('x') / 3.4))"}
    seen = {"expr": "bandwidth('x') < 22 ? 0 : 1"}
    text = {"type": "text", "fontSize": size, "opacity": seen, "baseline": "middle", "aria": False}
    known = [{"filter": "isValid(datum.colour)"}]
    unknown = [{"filter": "!isValid(datum.colour)"}]
    return [
        {
            "transform": known,
            "mark": {"type": "rect"},
            "encoding": {"color": {"field": "colour", "type": "nominal", "scale": None}, **SAID},
        },
        {
            "transform": known,
            "mark": text,
            "encoding": {
                "text": {"field": "text"},
                "color": {"field": "ink", "type": "nominal", "scale": None},
            },
        },
        # Without a colour of its own: the ink of the theme, on the ground of the page.
        {"transform": unknown, "mark": {**text, "style": "faint"}, "encoding": {"text": {"field": "text"}, **SAID}},
    ]


def _around(scores: Sequence[float]) -> list[float]:
    room = max(0.5, 0.06 * (max(scores) - min(scores)))
    return [round(min(scores) - room, 6), round(max(scores) + room, 6)]


def _slice_encoding(
    domain: Sequence[float],
    parts: Sequence[str],
    shown: Sequence[str],
    looks: Sequence[tuple[str, str]],
) -> Mapping[str, Any]:
    legend = {"orient": "bottom", "columns": legend_columns(170, 2), "title": None, "labelLimit": 0}
    scale = {"domain": list(shown)}
    return {
        "x": {
            "field": "score",
            "type": "quantitative",
            "title": "score (points)",
            "scale": {"domain": list(domain), "nice": False},
            "axis": {"tickCount": 6},
        },
        "y": {
            "field": "part",
            "type": "nominal",
            "title": None,
            "scale": {"domain": list(parts)},
            "axis": {"labelLimit": 0, "grid": True, "tickBand": "extent"},
        },
        "yOffset": {"field": "label", "type": "nominal", "scale": {"domain": list(shown), "paddingOuter": 0.4}},
        "color": {
            "field": "label",
            "type": "nominal",
            "scale": {**scale, "range": [colour for colour, _ in looks]},
            "legend": legend,
        },
        "shape": {
            "field": "label",
            "type": "nominal",
            "scale": {**scale, "range": [shape for _, shape in looks]},
            "legend": legend,
        },
        **SAID,
    }
