"""Which model to take: the best mean within the budget, or a smaller model that is the same within the margin.

    means, paired differences ─┐
    sizes, paired cost ratios ─┼─ of the models that keep the budget ──> Recommendation, with its reason
    budget ────────────────────┘

A model that merely can't be told apart from the best is not taken for being smaller: "not found to be worse" on few
items is no promise. The reason then says that the question is open. Of two sizes that are equal, the one with the lower
latency is taken, where the paired ratio is certain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchkit.report import words
from benchkit.report.budget import cautions, within_budget
from benchkit.report.view import CPU_TIME, certain_ratio, cost_value, turned_round
from benchkit.types.comparison import ModelSummary, PairResult, Recommendation, Verdict
from benchkit.types.cost import Budget, CostReport
from benchkit.types.model import ModelMeta

# More tasks than this in a sentence and nobody reads it.
NAMED_TASKS = 3
# The same of better models that break the budget.
_NAMED_BROKEN = 2
_NO_LIMITS = Budget()


def recommend(
    models: Sequence[ModelMeta],
    summary: Sequence[ModelSummary],
    on_means: Sequence[PairResult],
    on_tasks: Sequence[PairResult] = (),
    *,
    margin: float = 0.01,
    cost: CostReport | None = None,
    budget: Budget = _NO_LIMITS,
) -> Recommendation:
    """Return the model with the best mean, or the smallest of those that are the same as it within the margin.

    Only models that keep the budget are considered. Smaller is: fewer bytes per vector, then fewer parameters, then a
    lower latency where the paired ratio is certain; a size that isn't known counts as the largest. The reason names
    better models that break the budget, the latency against the runner-up, and the tasks on which another model is
    better than the chosen one: a mean can hide a language that fails.

    Args:
        margin: A difference whose whole interval lies within it counts as none, even one whose sign is sure.
    """
    broken = {name: reasons for name, reasons in within_budget(models, cost, budget).items() if reasons}
    ranked = sorted((row for row in summary if row.mean_score is not None), key=lambda row: -(row.mean_score or 0.0))
    kept = [row.model for row in ranked if row.model not in broken]
    if not ranked:
        return Recommendation(None, "no model has a score on every task")
    if not kept:
        nearest = _nearest(models, [row.model for row in ranked], cost, budget)
        said = f"no model keeps the budget; {nearest} comes nearest, but {' and '.join(broken[nearest])}"
        return Recommendation(None, said)
    within = "" if len(kept) == len(ranked) else " within the budget"
    choice = _choose(models, kept, on_means, margin, cost, within)
    against = _better_elsewhere(choice.model, [pair for pair in on_tasks if not broken.keys() & _both(pair)])
    parts = [
        choice.reason,
        _latency_words(choice.model, kept, cost),
        *_left_out(choice.model, ranked, on_means, broken),
        *cautions(models, cost, budget).get(choice.model or "", ()),
        against and f"but {against}",
    ]
    return replace(choice, reason="; ".join(filter(None, parts)))


def _both(pair: PairResult) -> set[str]:
    return {pair.candidate, pair.baseline}


def _choose(
    models: Sequence[ModelMeta],
    kept: Sequence[str],
    on_means: Sequence[PairResult],
    margin: float,
    cost: CostReport | None,
    within: str,
) -> Recommendation:
    """Choose among the models that keep the budget, best mean first; `within` says so where there are others."""
    best, others = kept[0], kept[1:]
    if not others:
        return Recommendation(best, _only_one(models, within))
    meta = {model.name: model for model in models}
    verdicts = _verdicts_against(best, on_means, margin)
    same = [name for name in others if verdicts.get(name) == "same"]
    choice = _smallest([best, *same], meta, cost)
    if choice != best:
        most = f"the margin of {words.margin_points(margin)} points"
        small = f"its difference to {best}, the best mean{within}, lies within {most}"
        gain = "is smaller" if _size(meta[choice]) < _size(meta[best]) else "has the lower latency"
        return Recommendation(choice, f"{small}, and it {gain}")
    tied = [name for name in others if verdicts.get(name) == "inconclusive"]
    apart = [name for name in others if name not in verdicts]
    if tied or apart:
        return Recommendation(best, "; ".join([f"it has the best mean{within}", *_open(tied, apart)]))
    if same:
        is_alone = all(_size(meta[name]) > _size(meta[best]) for name in same)
        small = "it is the smallest" if is_alone else "none is smaller"
        return Recommendation(best, f"it has the best mean{within}, and of the models that are the same {small}")
    return Recommendation(best, f"its mean is significantly better than that of every other model{within}")


def _open(tied: Sequence[str], apart: Sequence[str]) -> list[str]:
    """Return what stays open: the models that weren't told apart from the best, and those not compared with it."""
    said = []
    if tied:
        said.append(f"{_named(tied)} can't be told apart from it on these data")
    if apart:
        said.append(f"{_named(apart)} {'was' if len(apart) == 1 else 'were'} not compared with it")
    return said


def _named(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{len(names)} others"


def _only_one(models: Sequence[ModelMeta], within: str) -> str:
    if within:
        return "no other model with a score on every task keeps the budget"
    return "it is the only model compared" if len(models) == 1 else "no other model has a score on every task"


def _smallest(same: Sequence[str], meta: Mapping[str, ModelMeta], cost: CostReport | None) -> str:
    """Return the smallest model; of several that small, the best mean that none of them undercuts in latency."""
    least = min(_size(meta[name]) for name in same)
    choice, *others = [name for name in same if _size(meta[name]) == least]
    for other in others:
        found = certain_ratio(cost, other, choice)
        if found is not None and found.verdict == "cheaper":
            choice = other
    return choice


def _latency_words(choice: str | None, kept: Sequence[str], cost: CostReport | None) -> str:
    """Return what the choice takes against the best other model; "" where that isn't certain."""
    runner_up = next((name for name in kept if name != choice), None)
    found = certain_ratio(cost, choice, runner_up) if choice and runner_up else None
    if found is None:
        return ""
    what = "CPU time per query" if found.metric.startswith(CPU_TIME) else "query latency"
    return f"it takes {words.ratio(found.ratio)} the {what} of {runner_up} ({words.ratio_span(found)})"


def _nearest(models: Sequence[ModelMeta], ranked: Sequence[str], cost: CostReport | None, budget: Budget) -> str:
    """Return the model whose worst excess over a limit is smallest; of several, the one with the best mean."""
    meta = {model.name: model for model in models}
    return min(ranked, key=lambda name: _excess(meta[name], cost, budget))


def _excess(model: ModelMeta, cost: CostReport | None, budget: Budget) -> float:
    """Return the largest quotient of a cost and its limit; infinity where a cost isn't known or a licence is wrong."""
    measured = [cost_value(cost, model.name, metric) for metric in (words.P95, words.MEMORY)]
    values = [*measured, model.bytes_per_vector, model.dimension]
    limits = (budget.max_p95_ms, budget.max_memory_mib, budget.max_bytes_per_vector, budget.max_dim)
    if budget.licenses and (model.license or "").casefold() not in {name.casefold() for name in budget.licenses}:
        return math.inf
    over = zip(values, limits, strict=True)
    return max(math.inf if value is None else value / limit for value, limit in over if limit is not None)


def _left_out(
    choice: str | None,
    ranked: Sequence[ModelSummary],
    on_means: Sequence[PairResult],
    broken: Mapping[str, Sequence[str]],
) -> list[str]:
    """Return, best first, each model with a higher mean than the choice that breaks the budget, and why."""
    place = next(place for place, row in enumerate(ranked) if row.model == choice)
    leads = {row.model: _lead(row, ranked[place], on_means) for row in ranked[:place] if row.model in broken}
    told = [f"{name} {lead}, but {' and '.join(broken[name])}" for name, lead in leads.items() if lead]
    more = len(told) - _NAMED_BROKEN
    return [*told[:_NAMED_BROKEN], *([f"{more} more with a higher mean break the budget"] if more > 0 else [])]


def _lead(row: ModelSummary, choice: ModelSummary, on_means: Sequence[PairResult]) -> str:
    """Return how a model leads the choice; "" where the two are the same."""
    by = f"{100 * ((row.mean_score or 0.0) - (choice.mean_score or 0.0)):.1f} points"
    verdict = next((pair.verdict for pair in _compared(row.model, on_means) if pair.baseline == choice.model), None)
    if verdict == "same":
        return ""
    if verdict == "better":
        return f"is better by {by}"
    return f"has a mean that is {by} higher, though not {'compared with it' if verdict is None else 'told apart'}"


def _compared(model: str, pairs: Sequence[PairResult]) -> list[PairResult]:
    """Return the differences that are known between a model and the others, seen from the model."""
    turned = [turned_round(pair) if pair.baseline == model else pair for pair in pairs]
    return [pair for pair in turned if pair.candidate == model and pair.delta is not None]


def _better_elsewhere(choice: str | None, on_tasks: Sequence[PairResult]) -> str:
    """Return "a and b are better on t1, c is better on t2" for the tasks on which the choice is beaten; "" for none."""
    beaten: dict[str, list[str]] = {}
    for pair in on_tasks:
        if (pair.candidate, pair.verdict) == (choice, "worse"):
            beaten.setdefault(pair.task, []).append(pair.baseline)
        elif (pair.baseline, pair.verdict) == (choice, "better"):
            beaten.setdefault(pair.task, []).append(pair.candidate)
    parts = [
        f"{' and '.join(names[:2])}{f' and {len(names) - 2} more' if len(names) > 2 else ''} "
        f"{'is' if len(names) == 1 else 'are'} better on {task}"
        for task, names in list(beaten.items())[:NAMED_TASKS]
    ]
    more = len(beaten) - NAMED_TASKS
    return ", ".join([*parts, f"and others on {more} more tasks"] if more > 0 else parts)


def _verdicts_against(best: str, on_means: Sequence[PairResult], margin: float) -> Mapping[str, Verdict]:
    """Return the verdict on each model that was compared with the best one, by its name."""
    found: dict[str, Verdict] = {}
    for pair in _compared(best, on_means):
        small = pair.interval is not None and -margin <= pair.interval.low and pair.interval.high <= margin
        found[pair.baseline] = "same" if small else pair.verdict
    return found


def _size(model: ModelMeta) -> tuple[float, float]:
    return (
        math.inf if model.bytes_per_vector is None else model.bytes_per_vector,
        math.inf if model.parameters is None else model.parameters,
    )
