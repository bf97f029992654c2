"""From cells to a comparison: intervals, paired differences, ranks and a recommendation.

    CellResults ── bootstrap of each cell (the same resamples for all models) ──> Draws
        ├─ interval of each score
        ├─ every pair of models on every task ── Holm over all of them ──> verdicts
        └─ mean over tasks: intervals, pairs, Holm over the pairs ──> ranks ─┐
    CostReport ── front of quality and costs; what breaks the budget ────────┴──> recommendation

A model without a score on some task has no mean: a mean over fewer tasks can't be compared with the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean

import numpy as np

from benchkit.measure.bootstrap import Draws, DrawsScores, degrees_of_freedom, draw_scores, mean_draws
from benchkit.measure.decide import holm, rank_ranges, verdict
from benchkit.measure.machine import usable_cores
from benchkit.measure.paired import ROUNDING, PairedDifference, check_paired, interval, paired
from benchkit.measure.score_range import score_range
from benchkit.report import words
from benchkit.report.budget import pareto_front
from benchkit.report.recommend import recommend
from benchkit.report.view import cost_value
from benchkit.report.words import MEMORY, P95
from benchkit.types.comparison import (
    MEAN,
    Comparison,
    Environment,
    ModelSummary,
    PairResult,
    Recommendation,
    ScoredCell,
    SuiteInfo,
)
from benchkit.types.cost import Budget, CostReport
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult

# Below this many items an interval is shown, with a warning: normal approximations are rough there.
FEW_ITEMS = 50
# Each holds a piece of the resamples.
_MOST_THREADS = 8
_UNFINISHED = Recommendation(
    None, "the comparison was interrupted before every model was run on every task; the same command goes on from there"
)

CellDraws = Mapping[tuple[str, str], Draws]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a comparison decides.

    Attributes:
        baseline: The model that the others are held against; None holds each against each.
        margin: Differences smaller than this are "same".
    """

    baseline: str | None
    margin: float
    n_resamples: int
    seed: int


def compare_cells(
    cells: Sequence[CellResult],
    models: Sequence[ModelMeta],
    *,
    suite: SuiteInfo,
    environment: Environment,
    settings: Settings,
    started: str,
    seconds: float,
    warnings: Sequence[str] = (),
    interrupted: bool = False,
    cost: CostReport | None = None,
    budget: Budget | None = None,
    draw: DrawsScores = draw_scores,
) -> Comparison:
    """Compare models on the cells that they have.

    Args:
        cells: At most one for each model and task; every model the same tasks, unless interrupted.
        models: In the order of the report.
        cost: What the models cost on this machine.
        budget: What the recommended model may cost.
        draw: Draws the scores of a cell, or knows the draws already.

    Raises:
        ValueError: two models were scored on different items of one task.
    """
    models = [_with_engine(model, cells) for model in models]
    budget = budget or Budget()
    names = [model.name for model in models]
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    noted: list[str] = list(warnings)
    draws = _cell_draws(cells, settings, noted, draw)
    means = _mean_draws(names, tasks, draws)
    pairs = _pairs(names, settings)
    by_place = {(cell.model, cell.task): cell for cell in cells}
    on_means = _compare_pairs(pairs, [MEAN], {(m, MEAN): d for m, d in means.items()}, by_place, settings)
    on_tasks = _compare_pairs(pairs, tasks, draws, by_place, settings)
    summary = _summaries(names, cells, tasks, draws, means, on_means)
    noted.extend(_contamination(models, tasks))
    recommendation = recommend(models, summary, on_means, on_tasks, margin=settings.margin, cost=cost, budget=budget)
    return Comparison(
        suite=suite,
        environment=environment,
        models=tuple(models),
        cells=tuple(_scored(cell, draws) for cell in cells),
        summary=tuple(summary),
        pairs=(*on_means, *on_tasks),
        recommendation=_UNFINISHED if interrupted else recommendation,
        baseline=settings.baseline,
        margin=settings.margin,
        n_resamples=settings.n_resamples,
        seed=settings.seed,
        started=started,
        seconds=seconds,
        warnings=tuple(dict.fromkeys(noted)),
        interrupted=interrupted,
        cost=cost,
        budget=budget,
        pareto=_front(models, summary, on_means, cost) if cost else (),
    )


def _with_engine(model: ModelMeta, cells: Sequence[CellResult]) -> ModelMeta:
    """Return a model with the engine that its cells were made with; more than one, where the cache held others."""
    used = dict.fromkeys(cell.engine for cell in cells if cell.model == model.name and cell.engine is not None)
    return replace(model, engine=", ".join(used)) if used else model


def _front(
    models: Sequence[ModelMeta], summary: Sequence[ModelSummary], on_means: Sequence[PairResult], cost: CostReport
) -> tuple[str, ...]:
    """Return the models that no other one surely beats in mean score, latency, memory and bytes per vector."""
    costs = {
        model.name: (*(cost_value(cost, model.name, metric) for metric in (P95, MEMORY)), model.bytes_per_vector)
        for model in models
    }
    quality = {row.model: row.mean_score for row in summary}
    return pareto_front(list(costs), quality, costs, pairs=on_means, cost=cost)


def _cell_draws(cells: Sequence[CellResult], settings: Settings, warnings: list[str], draw: DrawsScores) -> CellDraws:
    draws: dict[tuple[str, str], Draws] = {}
    scored = [cell for cell in cells if cell.status == "ok" and cell.main_score is not None]
    for cell, found in zip(scored, _drawn(scored, settings, draw), strict=True):
        if found is None:
            warnings.append(f"{cell.task}: {cell.main_metric} has no per-item scores, so there is no interval for it")
            continue
        if isinstance(found, ValueError):
            warnings.append(f"{cell.model} on {cell.task}: no interval ({found})")
            continue
        draws[cell.model, cell.task] = found
        if min(items.n_items for items in cell.items) < FEW_ITEMS:
            warnings.append(f"{cell.task}: fewer than {FEW_ITEMS} items; its interval is rough")
    warnings.extend(_alike(draws))
    return draws


def _alike(draws: CellDraws) -> Iterator[str]:
    """Yield the tasks on which all items of a model score alike: no draw differs, and that is no certainty."""
    models: dict[str, list[str]] = {}
    for (model, task), found in draws.items():
        if float(np.ptp(found.values)) <= ROUNDING:
            models.setdefault(task, []).append(model)
    for task, names in models.items():
        yield (
            f"{task}: all items score alike with {words.names(names)}, so that the interval is a point and says "
            "nothing of other items"
        )


def _drawn(cells: Sequence[CellResult], settings: Settings, draw: DrawsScores) -> list[Draws | ValueError | None]:
    """Return the draws of each cell, or why it has none; None for a cell without items."""

    def of(cell: CellResult) -> Draws | ValueError | None:
        if not cell.items or cell.main_score is None:
            return None
        try:
            return draw(
                cell.items,
                stream=cell.task,
                estimate=cell.main_score,
                n_resamples=settings.n_resamples,
                seed=settings.seed,
            )
        except ValueError as exc:
            return exc

    # NumPy lets other threads on while it computes: a quarter of the time on two cores.
    with ThreadPoolExecutor(min(usable_cores(), _MOST_THREADS)) as pool:
        return list(pool.map(of, cells))


def _mean_draws(names: Sequence[str], tasks: Sequence[str], draws: CellDraws) -> dict[str, Draws]:
    complete = [name for name in names if tasks and all((name, task) in draws for task in tasks)]
    return {name: mean_draws([draws[name, task] for task in tasks]) for name in complete}


def _pairs(names: Sequence[str], settings: Settings) -> list[tuple[str, str]]:
    """Return every pair once; a named baseline always stands in the second place, and its pairs come first."""
    if settings.baseline is None:
        return list(combinations(names, 2))
    others = [name for name in names if name != settings.baseline]
    return [(name, settings.baseline) for name in others] + list(combinations(others, 2))


def _compare_pairs(
    pairs: Sequence[tuple[str, str]],
    tasks: Sequence[str],
    draws: CellDraws,
    cells: Mapping[tuple[str, str], CellResult],
    settings: Settings,
) -> list[PairResult]:
    """Compare the pairs on the tasks; one family for Holm's correction."""
    found = [
        (candidate, baseline, task, _difference(candidate, baseline, task, draws, cells))
        for task in tasks
        for candidate, baseline in pairs
    ]
    corrected = holm([None if difference is None else difference.p_value for *_, difference in found])
    return [
        PairResult(
            candidate=candidate,
            baseline=baseline,
            task=task,
            delta=difference.delta if difference else None,
            interval=difference.interval if difference else None,
            p_value=difference.p_value if difference else None,
            p_holm=p_holm,
            verdict=verdict(difference.interval if difference else None, p_holm, settings.margin),
            reason=""
            if difference
            else f"{_without(candidate, baseline, task, draws)} has no score with an interval here",
        )
        for (candidate, baseline, task, difference), p_holm in zip(found, corrected, strict=True)
    ]


def _difference(
    candidate: str, baseline: str, task: str, draws: CellDraws, cells: Mapping[tuple[str, str], CellResult]
) -> PairedDifference | None:
    """Compare one pair on one task or on the mean; None where a draw of one of the two is missing."""
    a, b = draws.get((candidate, task)), draws.get((baseline, task))
    if a is None or b is None:
        return None
    if task == MEAN:
        own = [cell for (model, _), cell in cells.items() if model == candidate]
        bounds = _mean_bounds(own)
    else:
        own = [cells[candidate, task]]
        check_paired(own[0].items, cells[baseline, task].items)
        bounds = _bounds(own[0])
    # Of several parts or tasks the smallest, whose own spread is known the least. A gate draws more where it
    # has many rules; here each further model would have the draws of all others made anew.
    freedom = min(degrees_of_freedom(items) for cell in own for items in cell.items)
    return paired(a, b, bounds=bounds, freedom=freedom)


def _without(candidate: str, baseline: str, task: str, draws: CellDraws) -> str:
    return " and ".join(name for name in (candidate, baseline) if (name, task) not in draws)


def _summaries(
    names: Sequence[str],
    cells: Sequence[CellResult],
    tasks: Sequence[str],
    draws: CellDraws,
    means: Mapping[str, Draws],
    on_means: Sequence[PairResult],
) -> list[ModelSummary]:
    better = {(pair.candidate, pair.baseline) for pair in on_means if pair.verdict == "better"}
    better |= {(pair.baseline, pair.candidate) for pair in on_means if pair.verdict == "worse"}
    ranks = rank_ranges([name for name in names if name in means], better)
    return [_summary(name, cells, tasks, means.get(name), ranks.get(name)) for name in names]


def _summary(
    name: str,
    cells: Sequence[CellResult],
    tasks: Sequence[str],
    draws: Draws | None,
    ranks: tuple[int, int] | None,
) -> ModelSummary:
    own = {cell.task: cell for cell in cells if cell.model == name}
    scores = {task: cell.main_score for task, cell in own.items() if cell.main_score is not None}
    missing = tuple(task for task in tasks if task not in scores)
    by_type: dict[str, list[float]] = {}
    for task, score in scores.items():
        by_type.setdefault(own[task].type, []).append(score)
    # A type of which a task is missing has no mean either.
    incomplete = {own[task].type for task in missing if task in own}
    return ModelSummary(
        model=name,
        mean_score=fmean(scores.values()) if scores and not missing else None,
        interval=interval(draws, bounds=_mean_bounds(own.values())) if draws else None,
        rank_low=ranks[0] if ranks else None,
        rank_high=ranks[1] if ranks else None,
        by_type={kind: fmean(values) for kind, values in by_type.items() if kind not in incomplete},
        missing=missing,
    )


def _scored(cell: CellResult, draws: CellDraws) -> ScoredCell:
    own = draws.get((cell.model, cell.task))
    return ScoredCell(cell, interval(own, bounds=_bounds(cell)) if own else None)


def _mean_bounds(cells: Iterable[CellResult]) -> tuple[float, float]:
    lows, highs = zip(*map(_bounds, cells), strict=True)
    return fmean(lows), fmean(highs)


def _bounds(cell: CellResult) -> tuple[float, float]:
    return score_range(cell.main_metric)


def _contamination(models: Sequence[ModelMeta], tasks: Sequence[str]) -> list[str]:
    found = []
    for model in models:
        seen = [task for task in tasks if task in model.training_tasks]
        if seen:
            found.append(
                f"{model.name} was trained on data of {', '.join(seen)} (MTEB's registry); its score there flatters it"
            )
    return found
