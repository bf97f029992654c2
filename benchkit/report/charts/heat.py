"""The cells of a map of tasks: which colour a score or a difference has, and what its cell says.

    Comparison ── score_cells ───────> a cell for each model and task, and for the mean
               ── difference_cells ──> the same, of differences from a baseline

A difference that may be chance, or is the same within the margin, has no colour of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchkit.report import words
from benchkit.report.charts.labels import brief
from benchkit.report.view import cells_by_place, pairs_against, summaries, task_names
from benchkit.types.comparison import MEAN, Comparison, PairResult, ScoredCell

# Lightness falls in equal steps (OKLCH 0.97 to 0.35, hue 250), as in report.css; each ink has 4.5 : 1 on its ground.
HEAT = ("#eef6fe", "#c7daef", "#9ebfe2", "#77a4d3", "#5189c2", "#2d6eac", "#10548e", "#003c6c")
# From a loss to a gain; the middle is what may be chance. Orange and blue differ to any colour vision.
LOSS, GAIN = ("#fbe3c5", "#f3c083", "#e69f3c", "#c97a10"), ("#d8e8f6", "#a5c9e8", "#6ba5d4", "#3d84bd")
OPEN = "#d9dde2"
DARK_INK, LIGHT_INK = "#10151c", "#ffffff"
_LIGHT_FROM = 5  # of HEAT: from this step on, white is the ink that can be read

_LEAST_SPREAD = 0.05  # a difference of five points has the strongest colour at least


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a map; one without a colour has no value."""

    model: str
    task: str
    value: float | None
    text: str
    said: str
    colour: str | None
    ink: str = DARK_INK


def score_cells(comparison: Comparison) -> list[Cell]:
    places, tasks = cells_by_place(comparison), task_names(comparison)
    low, high = heat_range(comparison)
    found = []
    for row in summaries(comparison):
        name = brief(row.model)
        if len(tasks) > 1:
            score, said = row.mean_score, words.span(row.interval)
            text = f"{name}, mean over all tasks: {words.points(score)}{f' ({said})' if said else ''}"
            found.append(_scored(row.model, MEAN, score, words.points(score), text, low, high))
        for task in tasks:
            scored = places.get((row.model, task))
            score = finite_score(scored)
            text = f"{name} on {brief(task)}: {_score_words(scored)}"
            found.append(_scored(row.model, task, score, words.cell_words(scored), text, low, high))
    return found


def _scored(model: str, task: str, score: float | None, text: str, said: str, low: float, high: float) -> Cell:
    if score is None:
        return Cell(model, task, None, text, said, None)
    step = heat_step(score, low, high)
    return Cell(model, task, score, text, said, HEAT[step], LIGHT_INK if step >= _LIGHT_FROM else DARK_INK)


def finite_score(scored: ScoredCell | None) -> float | None:
    """Return the score of a cell that has one."""
    score = scored.result.main_score if scored is not None and scored.result.status == "ok" else None
    return score if score is not None and math.isfinite(score) else None


def _score_words(scored: ScoredCell | None) -> str:
    if scored is None:
        return "not run"
    if scored.result.status != "ok":
        reason = brief(scored.result.reason)
        return scored.result.status + (f": {reason}" if reason else "")
    span = words.span(scored.interval)
    return words.points(scored.result.main_score) + (f" ({span})" if span else "")


def heat_range(comparison: Comparison) -> tuple[float, float]:
    """Return the ends of the colour scale: tens of points, at least 20 apart, so that a small spread looks small."""
    finite = [score for scored in comparison.cells if (score := finite_score(scored)) is not None] or [0.0, 1.0]
    low, high = math.floor(min(finite) * 10) / 10, math.ceil(max(finite) * 10) / 10
    return (low, high) if high - low > 0.15 else (low - 0.1, high + 0.1)


def heat_step(score: float, low: float, high: float) -> int:
    """Return which colour of the scale a score has."""
    # Rounded first: 0.6 between 0.3 and 0.9 is the middle, although its quotient is 0.4999...
    step = int(round((score - low) / (high - low) * len(HEAT), 6))
    return min(max(step, 0), len(HEAT) - 1)


def difference_cells(comparison: Comparison, baseline: str) -> list[Cell]:
    pairs, tasks = pairs_against(comparison, baseline), task_names(comparison)
    known = [abs(pair.delta) for pair in pairs.values() if pair.delta is not None]
    most = max([_LEAST_SPREAD, *known])
    shown = (MEAN, *tasks) if len(tasks) > 1 else tasks
    return [
        _difference(row.model, task, pairs.get((row.model, task)), most)
        for row in summaries(comparison)
        if row.model != baseline
        for task in shown
    ]


def _difference(model: str, task: str, pair: PairResult | None, most: float) -> Cell:
    who = f"{brief(model)} on {brief(words.task_words(task))}"
    if pair is None or pair.delta is None:
        reason = f": {brief(pair.reason)}" if pair is not None and pair.reason else ""
        return Cell(model, task, None, words.ABSENT, f"{who}: not compared{reason}", None)
    said, text = f"{who}: {words.difference_words(pair)}, {pair.verdict}", words.signed_points(pair.delta)
    if pair.verdict in ("same", "inconclusive"):
        return Cell(model, task, pair.delta, f"({text})", said, OPEN)
    side = GAIN if pair.verdict == "better" else LOSS
    step = min(len(side) - 1, int(abs(pair.delta) / most * len(side)))
    return Cell(model, task, pair.delta, text, said, side[step])
