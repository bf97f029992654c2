"""One task of a comparison: what it is, and what every model got on it.

Comparison, task ── score_rows ──> one flat row for each model, best first
                 ── task_facts ──> its type, metric, items, data, and what was cut
                 ── warnings_of ─> sentences of its cells
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from benchkit.report import words
from benchkit.report.view import summaries
from benchkit.types.comparison import Comparison, ScoredCell
from benchkit.types.result import CellResult
from dashboards.place import Row

ABSENT = "not known"
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{5,}\b")  # its beginning tells it from others


def task_cells(comparison: Comparison, task: str) -> list[ScoredCell]:
    """Return the cells of a task, best score first and those without one last."""
    order = {row.model: place for place, row in enumerate(summaries(comparison))}
    found = [scored for scored in comparison.cells if scored.result.task == task]
    return sorted(found, key=lambda scored: (*_score_order(scored.result), order.get(scored.result.model, len(order))))


def _score_order(cell: CellResult) -> tuple[bool, float]:
    return cell.main_score is None, -(cell.main_score or 0.0)


def score_rows(comparison: Comparison, task: str) -> list[Row]:
    """Return the models on a task; what is absent is None."""
    rows: list[Row] = []
    for scored in task_cells(comparison, task):
        cell, interval = scored.result, scored.interval
        rows.append(
            {
                "model": cell.model,
                "rank": rank_words(comparison, task, cell),
                "score": words.points(cell.main_score),
                "points": None if cell.main_score is None else round(100 * cell.main_score, 10),
                "interval": words.span(interval) or words.ABSENT,
                "status": cell.status if not cell.reason else f"{cell.status}: {cell.reason}",
                "low": interval and interval.low,
                "high": interval and interval.high,
                "main_score": cell.main_score,
                "seconds": cell.seconds,
                "encode_seconds": cell.encode_seconds,
                "texts": cell.texts,
                "texts_encoded": cell.texts_encoded,
                "engine": cell.engine,
            }
        )
    return rows


def rank_words(comparison: Comparison, task: str, cell: CellResult) -> str:
    """Return the ranks that the pairs on this task leave open, "1" or "1–3"; a dash of a model without a score.

    As on the mean: 1 + those that are significantly better, and all models without those that are significantly worse.
    """
    if cell.main_score is None:
        return words.ABSENT
    better = worse = 0
    for pair in comparison.pairs:
        if pair.task == task and cell.model in (pair.candidate, pair.baseline):
            won = pair.verdict == ("better" if pair.candidate == cell.model else "worse")
            lost = pair.verdict == ("worse" if pair.candidate == cell.model else "better")
            better, worse = better + lost, worse + won
    n_scored = sum(scored.result.main_score is not None for scored in task_cells(comparison, task))
    low, high = 1 + better, n_scored - worse
    return str(low) if low == high else f"{low}–{high}"


# ---------------------------------------------------------------- what the task is


def task_facts(comparison: Comparison, task: str) -> list[Row]:
    """Return what its cells say of a task, for a reader and in full; more than one value where they differ."""
    cells = [scored.result for scored in task_cells(comparison, task)]
    facts = {
        "type": (cell.type for cell in cells),
        "main metric": (cell.main_metric for cell in cells),
        "items": (cell.n_items for cell in cells),
        "splits and subsets": (", ".join(cell.scores) or None for cell in cells),
        "limited to": (cell.limited or None for cell in cells),
        "data digest": (cell.data_digest for cell in cells),
        "data set revision": (cell.dataset_revision for cell in cells),
    }
    told = {name: _together(found) for name, found in facts.items() if name != "limited to" or any(
        cell.limited for cell in cells
    )}  # fmt: skip
    return [{"what": name, "shown": _DIGEST.sub(r"\1…", value), "value": value} for name, value in told.items()]


def _together(found: Iterable[object]) -> str:
    known = dict.fromkeys(str(value) for value in found if value is not None)
    return " / ".join(known) or ABSENT


def warnings_of(comparison: Comparison, task: str) -> list[str]:
    """Return what the cells of a task warn of, each sentence once with its models."""
    models: dict[str, list[str]] = {}
    for scored in task_cells(comparison, task):
        cell = scored.result
        for warning in dict.fromkeys(cell.warnings):
            models.setdefault(words.plain(warning), []).append(cell.model)
        if cell.status != "ok":
            said = words.plain(cell.reason) or "no reason was recorded"
            models.setdefault(f"{cell.status}: {said}", []).append(cell.model)
    return [f"{words.names(having)}: {warning}" for warning, having in models.items()]
