"""How one task changed, and which of its items lost most: for the explanation of a rule that failed.

cells of candidate and baseline on the task ──┬── task_change ──> SliceLoss, with the interval that its rule has
                                              └── lost_items  ──> LostItem of the ten that lost most
"""

from __future__ import annotations

from functools import partial

from benchkit.gate.slices import ends_of_change
from benchkit.measure.bootstrap import DrawsScores, draw_scores
from benchkit.measure.item_loss import lost_most
from benchkit.types.gate import LostItem, Scored, SliceLoss
from benchkit.types.result import CellResult, ItemScores


def task_change(
    candidate: Scored, baseline: Scored, task: str, *, draw: DrawsScores = draw_scores, stream: str | None = None
) -> SliceLoss:
    """Return how a task changed as a whole, as its rule has it.

    Args:
        stream: Key of the random numbers, where the items are those of a slice; None for the task's own.

    Raises:
        ValueError: a model has no score there.
    """
    new, old, scores = _both(candidate, baseline, task)
    drawn = partial(draw, stream=stream or task, n_resamples=candidate.n_resamples, seed=candidate.seed)
    low, high = ends_of_change(new.items, old.items, scores, drawn)
    return SliceLoss(task, sum(entry.n_items for entry in new.items), scores[0] - scores[1], low, high)


def lost_items(candidate: Scored, baseline: Scored, task: str) -> tuple[LostItem, ...]:
    """Return the ten items of a task that lost most, with their own scores where its type has such.

    Raises:
        ValueError: a model has no score there, or the two were not scored on the same items.
    """
    new, old, _ = _both(candidate, baseline, task)
    return tuple(
        LostItem(
            item=str(new.items[lost.part].items[lost.row]),
            place=f"{new.items[lost.part].split}/{new.items[lost.part].subset}",
            loss=lost.loss,
            before=_own_score(old.items[lost.part], lost.row),
            after=_own_score(new.items[lost.part], lost.row),
        )
        for lost in lost_most(new.items, old.items)
    )


def _both(candidate: Scored, baseline: Scored, task: str) -> tuple[CellResult, CellResult, tuple[float, float]]:
    new, old = candidate.cell(task), baseline.cell(task)
    if new is None or old is None or new.main_score is None or old.main_score is None:
        raise ValueError(f"{task}: both models need a score there")
    return new, old, (new.main_score, old.main_score)


def _own_score(entry: ItemScores, row: int) -> float | None:
    is_counted = "counted" not in entry.columns or bool(entry.columns["counted"][row])
    return float(entry.columns["value"][row]) if entry.kind == "mean" and is_counted else None
