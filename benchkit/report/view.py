"""Looking things up in a Comparison: order, partners, places. Nothing is computed, only chosen and turned round.

Comparison ──> names in a fixed order · a cell, or none · a pair seen from either side · worst items of a model
CostReport ──> the number of a figure, or none · the paired ratio of two models, seen from either side
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from benchkit.types.comparison import MEAN, Comparison, Interval, ModelSummary, PairResult, ScoredCell, Verdict
from benchkit.types.cost import CostRatio, CostReport, RatioVerdict
from benchkit.types.model import ModelMeta
from benchkit.types.result import WorstItem

WALL_TIME, CPU_TIME = "latency/query", "latency/query_cpu"  # what is paired query by query

_REVERSED: Mapping[Verdict, Verdict] = {"better": "worse", "worse": "better"}
_OTHER_SIDE: Mapping[RatioVerdict, RatioVerdict] = {"cheaper": "dearer", "dearer": "cheaper"}


class WorstOfTask(NamedTuple):
    """An item on which a model did badly, with the task that it belongs to."""

    task: str
    item: WorstItem


def task_names(comparison: Comparison) -> tuple[str, ...]:
    """Return the tasks in the order of the cells."""
    return tuple(dict.fromkeys(scored.result.task for scored in comparison.cells))


def task_types(comparison: Comparison) -> tuple[str, ...]:
    """Return the task types in the order of the cells."""
    return tuple(dict.fromkeys(scored.result.type for scored in comparison.cells))


def summaries(comparison: Comparison) -> tuple[ModelSummary, ...]:
    """Return the models with the highest mean first and those without one last."""
    return tuple(
        sorted(comparison.summary, key=lambda row: (row.mean_score is None, -(row.mean_score or 0.0)))
    )  # stable: equal means keep the order in which the models were asked for


def cells_by_place(comparison: Comparison) -> dict[tuple[str, str], ScoredCell]:
    """Return the cells by model and task."""
    return {(scored.result.model, scored.result.task): scored for scored in comparison.cells}


def metas_by_name(comparison: Comparison) -> dict[str, ModelMeta]:
    """Return the facts of the models by label."""
    return {meta.name: meta for meta in comparison.models}


def summary_of(comparison: Comparison, model: str) -> ModelSummary | None:
    """Return the summary of a model, or None when there is none."""
    return next((row for row in comparison.summary if row.model == model), None)


def reference(comparison: Comparison) -> str | None:
    """Return the model that differences are shown against: the baseline, or else the recommended model."""
    return comparison.baseline or comparison.recommendation.model


def pair_between(comparison: Comparison, candidate: str, baseline: str, task: str = MEAN) -> PairResult | None:
    """Return candidate minus baseline, turned round where it was compared the other way; None when it wasn't."""
    for pair in comparison.pairs:
        if pair.task == task and (pair.candidate, pair.baseline) == (candidate, baseline):
            return pair
        if pair.task == task and (pair.candidate, pair.baseline) == (baseline, candidate):
            return turned_round(pair)
    return None


def turned_round(pair: PairResult) -> PairResult:
    """Return the same finding as baseline minus candidate."""
    return replace(
        pair,
        candidate=pair.baseline,
        baseline=pair.candidate,
        delta=None if pair.delta is None else -pair.delta,
        interval=None if pair.interval is None else Interval(-pair.interval.high, -pair.interval.low),
        verdict=_REVERSED.get(pair.verdict, pair.verdict),
    )


def pairs_against(comparison: Comparison, baseline: str) -> dict[tuple[str, str], PairResult]:
    """Return what was found against one model, by candidate and task."""
    found = {}
    for pair in comparison.pairs:
        if pair.baseline == baseline:
            found[pair.candidate, pair.task] = pair
        elif pair.candidate == baseline:
            found[pair.baseline, pair.task] = turned_round(pair)
    return found


def cost_value(cost: CostReport | None, model: str, metric: str) -> float | None:
    """Return a figure's number; None where it wasn't measured."""
    found = cost.of(model) if cost else None
    figure = found.figure(metric) if found else None
    return figure.value if figure else None


def ratio_between(cost: CostReport, candidate: str, baseline: str, metric: str) -> CostRatio | None:
    """Return candidate / baseline, turned round where it was measured the other way; None when it wasn't."""
    for found in cost.ratios:
        if found.metric == metric and (found.candidate, found.baseline) == (candidate, baseline):
            return found
        if found.metric == metric and (found.candidate, found.baseline) == (baseline, candidate):
            return replace(
                found,
                candidate=candidate,
                baseline=baseline,
                ratio=1 / found.ratio,
                ci_low=1 / found.ci_high,
                ci_high=1 / found.ci_low,
                verdict=_OTHER_SIDE.get(found.verdict, found.verdict),
            )
    return None


def certain_ratio(cost: CostReport | None, candidate: str, baseline: str) -> CostRatio | None:
    """Return a ratio of latencies whose side is certain: of wall time, or else of CPU time where that is all there is.

    None where neither is, and where the machine was too noisy. On a GPU, CPU time says nothing of the latency.
    """
    if cost is None or cost.unstable:
        return None
    metrics = (WALL_TIME, CPU_TIME) if cost.device == "cpu" else (WALL_TIME,)
    found = [ratio_between(cost, candidate, baseline, metric) for metric in metrics]
    return next((ratio for ratio in found if ratio and ratio.verdict in ("cheaper", "dearer")), None)


def worst_of(comparison: Comparison, model: str, limit: int) -> list[WorstOfTask]:
    """Return a model's worst items: the worst of each task first, then the second worst, so that every task is seen."""
    by_place: dict[int, list[WorstOfTask]] = defaultdict(list)
    for scored in comparison.cells:
        if scored.result.model == model:
            for place, item in enumerate(scored.result.worst):
                by_place[place].append(WorstOfTask(scored.result.task, item))
    return [entry for place in sorted(by_place) for entry in by_place[place]][:limit]
