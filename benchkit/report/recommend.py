"""Which model to take: the best mean, or a smaller model that is the same within the margin.

A model that merely can't be told apart from the best is not taken for being smaller: "not found to be worse" on few
items is no promise. The reason then says that the question is open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchkit.types.comparison import ModelSummary, PairResult, Recommendation, Verdict
from benchkit.types.model import ModelMeta

# More tasks than this in a sentence and nobody reads it.
NAMED_TASKS = 3


def recommend(
    models: Sequence[ModelMeta],
    summary: Sequence[ModelSummary],
    on_means: Sequence[PairResult],
    on_tasks: Sequence[PairResult] = (),
    *,
    margin: float = 0.01,
) -> Recommendation:
    """Return the model with the best mean, or the smallest of those that are the same as it within the margin.

    Smaller is: fewer bytes per vector, then fewer parameters; a size that isn't known counts as the largest. The reason
    names the tasks on which another model is better than the chosen one: a mean can hide a language that fails.

    Args:
        margin: A difference whose whole interval lies within it counts as none, even one whose sign is sure.
    """
    choice = _choose(models, summary, on_means, margin)
    against = _better_elsewhere(choice.model, on_tasks)
    return replace(choice, reason=f"{choice.reason}; but {against}") if against else choice


def _choose(
    models: Sequence[ModelMeta], summary: Sequence[ModelSummary], on_means: Sequence[PairResult], margin: float
) -> Recommendation:
    ranked = sorted((s for s in summary if s.mean_score is not None), key=lambda s: -(s.mean_score or 0.0))
    if not ranked:
        return Recommendation(None, "no model has a score on every task")
    best, others = ranked[0].model, [s.model for s in ranked[1:]]
    if not others:
        alone = "it is the only model compared" if len(models) == 1 else "no other model has a score on every task"
        return Recommendation(best, alone)
    meta = {model.name: model for model in models}
    verdicts = _verdicts_against(best, on_means, margin)
    same = [name for name in others if verdicts.get(name) == "same"]
    choice = min([best, *same], key=lambda name: _size(meta[name]))
    if choice != best:
        within = f"its difference to {best}, the best mean, lies within the margin of {100 * margin:.1f} points"
        return Recommendation(choice, f"{within}, and it is smaller")
    unsure = [name for name in others if verdicts.get(name, "inconclusive") == "inconclusive"]
    if unsure:
        named = " and ".join(unsure) if len(unsure) < 3 else f"{len(unsure)} others"
        return Recommendation(best, f"it has the best mean; {named} can't be told apart from it on these data")
    if same:
        return Recommendation(best, "it has the best mean, and of the models that are the same it is the smallest")
    return Recommendation(best, "its mean is significantly better than that of every other model")


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
    """Return the verdict of each tested pair with the best model, by the other model's name."""
    found: dict[str, Verdict] = {}
    for pair in on_means:
        if best in (pair.candidate, pair.baseline):
            small = pair.interval is not None and -margin <= pair.interval.low and pair.interval.high <= margin
            found[pair.baseline if pair.candidate == best else pair.candidate] = "same" if small else pair.verdict
    return found


def _size(model: ModelMeta) -> tuple[float, float]:
    return (
        math.inf if model.bytes_per_vector is None else model.bytes_per_vector,
        math.inf if model.parameters is None else model.parameters,
    )
