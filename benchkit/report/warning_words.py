"""What a reader must know before trusting a comparison or its costs.

Comparison ── warnings ──────┐
CostReport ── cost_warnings ─┴──> one line each: what is missing, what was cut, what the run warned of
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from benchkit.report.words import names, plain
from benchkit.types.comparison import Comparison
from benchkit.types.cost import CostReport, ModelCost
from benchkit.types.result import CellResult


def warnings(comparison: Comparison) -> tuple[str, ...]:
    """Return what a reader must know: what is missing, what was cut, and what the run itself warned of; each once."""
    cells = [scored.result for scored in comparison.cells]
    said = [
        *(["The comparison was interrupted; not every cell was run."] if comparison.interrupted else []),
        *_unscored(cells, "failed", "failed"),
        *_unscored(cells, "skipped", "was skipped"),
        *_limited(comparison, cells),
        *(plain(warning) for warning in comparison.warnings),
        *_engines_differ(comparison),
        *(cost_warnings(comparison.cost) if comparison.cost else []),
        *_warned(cells),
    ]
    return tuple(dict.fromkeys(said))


def cost_warnings(cost: CostReport) -> list[str]:
    """Return what a reader of costs must know: which are missing, and why they may be wrong."""
    unstable = [f"costs are unstable: {plain(cost.unstable)}"] if cost.unstable else []
    return [*unstable, *filter(None, map(_cost_missing, cost.models)), *map(plain, cost.warnings)]


def _cost_missing(found: ModelCost) -> str:
    if found.status == "ok" and not found.reason:
        return ""
    said = {"ok": "not all of its costs were measured", "failed": "measuring its cost failed"}
    verb = said.get(found.status, "its cost was not measured")
    return f"{plain(found.model)}: {verb}: {plain(found.reason) or 'no reason was recorded'}"


def _engines_differ(comparison: Comparison) -> list[str]:
    """Tell where a difference between models is partly one between the engines that encoded."""
    models: dict[str, list[str]] = defaultdict(list)
    for meta in comparison.models:
        if meta.engine is not None:
            models[meta.engine].append(meta.name)
    said = []
    if len(models) > 1:
        which = "; ".join(f"{plain(engine)} for {names(having)}" for engine, having in models.items())
        said.append(f"Not every model was encoded by one engine ({which}), so costs compare engines as well")
    for meta in comparison.models:
        found = comparison.cost.of(meta.name) if comparison.cost else None
        if found and meta.engine and found.engine not in (None, meta.engine):
            timed, scored = plain(str(found.engine)), plain(meta.engine)
            said.append(f"{plain(meta.name)}: its cost is that of the engine {timed}, its scores are from {scored}")
    return said


def _unscored(cells: Sequence[CellResult], status: str, verb: str) -> list[str]:
    tasks: dict[tuple[str, str], list[str]] = defaultdict(list)
    for cell in cells:
        if cell.status == status:
            tasks[cell.model, cell.reason].append(cell.task)
    return [
        f"{plain(model)} {verb} on {names(which)}: {plain(reason) or 'no reason was recorded'}"
        for (model, reason), which in tasks.items()
    ]


def _limited(comparison: Comparison, cells: Sequence[CellResult]) -> list[str]:
    tasks: dict[str, dict[str, None]] = defaultdict(dict)
    for cell in cells:
        if cell.limited:
            tasks[plain(cell.limited)][cell.task] = None
    apart = "don't set these scores beside published ones"
    if tasks:
        which = "; ".join(f"{names(having)} ({limit})" for limit, having in tasks.items())
        return [f"Limited data, so {apart}: {which}"]
    return [f"The suite limits its data, so {apart}."] if comparison.suite.limited else []


def _warned(cells: Sequence[CellResult]) -> list[str]:
    """Return each warning once, with the models and tasks that it came from."""
    tasks: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        for warning in cell.warnings:
            tasks[plain(warning)][cell.model].append(cell.task)
    return [f"{_places(by_model)}: {warning}" for warning, by_model in tasks.items()]


def _places(tasks_by_model: Mapping[str, Sequence[str]]) -> str:
    models: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for model, tasks in tasks_by_model.items():
        models[tuple(tasks)].append(model)
    return "; ".join(f"{names(sharing)} on {names(tasks)}" for tasks, sharing in models.items())
