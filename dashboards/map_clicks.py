"""A map of tasks that can be clicked, and which task and model a click means.

Chart of task_map ── clickable ──> the same with a selection of a cell ── a click ── clicked ──> task, model
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from benchkit.report.charts.base import PURPLE, Chart
from benchkit.report.charts.labels import brief
from benchkit.report.view import task_names
from benchkit.types.comparison import Comparison
from dashboards.place import Row

_CELLS, _PARAM = "cells", "cell"
# Around the cell that was clicked: no colour of the map, and seen on either ground.
_OUTLINE = {
    "stroke": {"condition": {"param": _PARAM, "empty": False, "value": PURPLE}, "value": "transparent"},
    "strokeWidth": {"value": 3},
}


def clickable(drawn: Chart | None) -> Chart | None:
    """Return the map with a selection of one cell, which is outlined."""
    if drawn is None:
        return None
    squares, *others = drawn.spec["layer"]
    squares = {**squares, "name": _CELLS, "encoding": {**squares["encoding"], **_OUTLINE}}
    select = {"type": "point", "fields": ["task", "model"], "toggle": False}
    param: dict[str, Any] = {"name": _PARAM, "select": select, "views": [_CELLS]}
    return replace(drawn, spec={**drawn.spec, "layer": [squares, *others], "params": [param]})


def clicked(marks: Sequence[Row], comparison: Comparison) -> tuple[str | None, str | None]:
    """Return the task and the model of a click; None for what a cut name doesn't tell, and for the mean."""
    if not marks:
        return None, None
    mark = marks[0]
    models = (meta.name for meta in comparison.models)
    return _only(mark.get("task"), task_names(comparison)), _only(mark.get("model"), models)


def _only(said: object, names: Iterable[str]) -> str | None:
    found = [name for name in names if brief(name) == said]
    return found[0] if len(found) == 1 else None
