"""How much each item adds to the difference of two models, for a score of any kind.

    ItemScores of baseline and candidate ── score with all items, score without each ──> item_losses (n,)
                                                                    └─ lost_most ──> the worst, over splits and subsets

    loss_i = [score_b - score_c] - [score_b without i - score_c without i]

The jackknife's influence of an item (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 11), of the
difference. For a mean it is (d_i - mean of the other differences) / n, d being baseline minus candidate; for a
correlation or a clustering, whose items have no score of their own, it is the only sense in which one of them lost.
Cost: n scores on n items, in chunks; 2,000 items take below a second for a mean, some seconds for rankings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchkit.measure.cells import Floats
from benchkit.measure.paired import ROUNDING, check_paired
from benchkit.measure.resamples import CHUNK_ELEMENTS
from benchkit.measure.weighted import scorer
from benchkit.types.result import ItemScores

MOST_SHOWN = 10  # a person reads no longer list


@dataclass(frozen=True, slots=True)
class ItemLoss:
    """One item's part in a task's regression.

    Attributes:
        part: Number of the split and subset among those of the task.
        row: Number of the item within it.
        loss: Score units of the task, above 0.
    """

    part: int
    row: int
    loss: float


def item_losses(candidate: ItemScores, baseline: ItemScores) -> Floats:
    """Return what each item adds to the loss of the candidate (n,), above 0 where it lost.

    An item without which a score isn't defined (the only positive) has 0: it can't be told apart from the score.

    Raises:
        ValueError: the two don't have the same items.

    >>> columns = [{"value": np.array(values)} for values in ([0.0, 1.0], [1.0, 1.0])]
    >>> worse, better = (ItemScores("test", "en", "mean", "hit", np.array(["a", "b"]), one) for one in columns)
    >>> item_losses(worse, better).tolist()  # 0.5 lost with both; nothing without a, 1.0 without b
    [0.5, -0.5]
    """
    check_paired([candidate], [baseline])
    gaps = _scores_without(baseline) - _scores_without(candidate)
    losses = np.nan_to_num(gaps[-1] - gaps[:-1], nan=0.0)
    return np.where(np.abs(losses) <= ROUNDING, 0.0, losses)


def _scores_without(entry: ItemScores) -> Floats:
    """Return the score without each item, and last the score with all of them (n + 1,)."""
    score, rows = scorer(entry), np.arange(entry.n_items)
    step = max(1, CHUNK_ELEMENTS // entry.n_items)
    left_out = np.arange(entry.n_items + 1)[:, None]  # number n is no item
    starts = range(0, len(left_out), step)
    return np.concatenate([score((left_out[start : start + step] != rows).view(np.uint8)) for start in starts])


def lost_most(
    candidate: Sequence[ItemScores], baseline: Sequence[ItemScores], *, most: int = MOST_SHOWN
) -> tuple[ItemLoss, ...]:
    """Return the items that lost most, the worst first, and only such as lost.

    Args:
        candidate, baseline: The splits and subsets of one task, whose score is their plain mean: an item of one of k
            parts counts 1 / k.

    Raises:
        ValueError: the two don't have the same items.
    """
    check_paired(candidate, baseline)
    found = [
        ItemLoss(part, int(row), float(losses[row]) / len(candidate))
        for part, losses in enumerate(map(item_losses, candidate, baseline))
        for row in np.flatnonzero(losses > 0)
    ]
    return tuple(sorted(found, key=lambda item: -item.loss)[:most])
