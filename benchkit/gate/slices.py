"""Slices: the items of all tasks that carry one value, such as "lang=zh", and what two models score on them alone.

    Scored.tags ── of_slice ──┐
    ItemScores of both ───────┴─ restrict ──> TaskSlice of each task ── measure.weighted ──> score on the slice
                                                    └─ for one failed task, every value of its tags ── slice_losses

The score of a slice on a task is the plain mean over the splits and subsets that hold enough of its items, of the score
on those items alone; the score of the slice is the mean over its tasks. What can't be judged is left out of both models
and named: a part with fewer than four items of the slice, which has no interval, and one on which the score is not
defined (items of one label only). A part on which it is defined for the baseline and not for the candidate, whose
answers are all the same there, is no such part: the candidate has no score.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import UsageError
from benchkit.measure.bootstrap import Draws, DrawsScores, draw_scores
from benchkit.measure.cumulants import difference_cumulants, of_mean
from benchkit.measure.noninferiority import change_interval
from benchkit.measure.paired import check_paired
from benchkit.measure.restrict import Mask, restrict, score_of
from benchkit.types.gate import Scored, SliceLoss
from benchkit.types.result import CellResult, ItemScores

FEWEST_ITEMS = 4  # measure.bootstrap: of fewer there is no interval
MOST_VALUES = 20  # a key with more values is a name of the item, not a slice of the data
MOST_SHOWN = 10
EXPLAIN_RESAMPLES = 2000  # for a look at many slices; nothing is decided by it

Tags = Mapping[str, NDArray[np.str_]]


@dataclass(frozen=True, slots=True, eq=False)
class TaskSlice:
    """The items of a slice on one task, under both models.

    Attributes:
        candidate, baseline: The splits and subsets that count, cut to the slice.
        scores: Candidate and baseline; None where no part counts.
        found: Items of the slice, those of the parts that were left out included.
        left_out: Why parts were left out.
        lacks: Parts on which the candidate has no score, and the baseline has.
    """

    task: str
    candidate: tuple[ItemScores, ...]
    baseline: tuple[ItemScores, ...]
    scores: tuple[float, float] | None
    found: int
    left_out: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    @property
    def n_items(self) -> int:
        return sum(entry.n_items for entry in self.candidate)


# ------------------------------------------------------------ which items


def split_slice(name: str) -> tuple[str, str]:
    """Return key and value of a slice; the value may hold further "=".

    Raises:
        UsageError: no key or no value.

    >>> split_slice("lang=zh")
    ('lang', 'zh')
    """
    key, _, value = name.partition("=")
    if not key or not value:
        raise UsageError(f"a slice is KEY=VALUE, such as lang=zh; got {name!r}")
    return key, value


def tags_of(*models: Scored, task: str) -> Mapping[str, Tags]:
    """Return the tags of a task by "split/subset"; of each part, from the first model that has them, all if one has."""
    found: dict[str, Tags] = {}
    for scored in _whole_first(models, task):
        for (name, place), tags in scored.tags.items():
            if name == task:
                found.setdefault(place, tags)
    return found


def why_left_out(*models: Scored, task: str, key: str) -> str:
    """Return why a key is not among the tags of a task, though its items have it; "" where it is, or they have not."""
    first = next((one for one in _whole_first(models, task) if any(name == task for name, _ in one.tags)), None)
    said = first.left_out.get(task, ()) if first is not None else ()
    # A key may begin like another one, and then too much is unknown rather than too little.
    return next((why for why in said if why.startswith(f"{key} ")), "")


def _whole_first(models: Sequence[Scored], task: str) -> list[Scored]:
    return sorted(models, key=lambda one: task in one.left_out)


def has_slice(tags: Mapping[str, Tags], key: str, value: str) -> bool:
    """Say whether any item of a task carries the value."""
    return any(bool((part[key] == value).any()) for part in tags.values() if key in part)


def known_slices(*models: Scored) -> Mapping[str, tuple[str, ...]]:
    """Return the values of every key of the tags, in order, without "" for none."""
    found: dict[str, set[str]] = {}
    for scored in models:
        for tags in scored.tags.values():
            for key, values in tags.items():
                found.setdefault(key, set()).update(map(str, np.unique(values)))
    return {key: tuple(sorted(values - {""})) for key, values in found.items()}


# ------------------------------------------------------------ scores on a slice


def of_slice(candidate: CellResult, baseline: CellResult, tags: Mapping[str, Tags], key: str, value: str) -> TaskSlice:
    """Cut one task to a slice, for both models.

    Args:
        tags: Of the task's items, by "split/subset".

    Raises:
        ValueError: the two were not scored on the same items.
        UsageError: tags that don't fit the items.
    """
    check_paired(candidate.items, baseline.items)
    counted: list[tuple[ItemScores, ItemScores]] = []
    scores: list[tuple[float, float]] = []
    left_out, lacks, found = [], [], 0
    for one, other in zip(candidate.items, baseline.items, strict=True):
        place = _place(one)
        mask = _mask(candidate.task, one, tags.get(place, {}), key, value)
        found += (size := int(mask.sum()))
        if 0 < size < FEWEST_ITEMS:
            left_out.append(f"{candidate.task} {place} has {size} of its items, {FEWEST_ITEMS} are needed")
        if size < FEWEST_ITEMS:
            continue
        cut, cut_other = restrict(one, mask), restrict(other, mask)
        new, old = score_of(cut), score_of(cut_other)
        if np.isnan(old):
            left_out.append(f"{one.metric} is not defined on its {size} items of {candidate.task} {place}")
        elif np.isnan(new):
            lacks.append(f"{candidate.task} {place}")
        else:
            counted.append((cut, cut_other))
            scores.append((new, old))
    return TaskSlice(
        task=candidate.task,
        candidate=tuple(cut for cut, _ in counted),
        baseline=tuple(cut for _, cut in counted),
        scores=(fmean(new for new, _ in scores), fmean(old for _, old in scores)) if scores else None,
        found=found,
        left_out=tuple(left_out),
        lacks=tuple(lacks),
    )


def cut_to_slice(candidate: Scored, baseline: Scored, task: str, name: str) -> tuple[Scored, Scored] | None:
    """Return both models with one task alone, cut to the items of a slice ("lang=zh"); None where none of it counts.

    Raises:
        ValueError, UsageError: as `of_slice`.
    """
    new, old, (key, value) = candidate.cell(task), baseline.cell(task), split_slice(name)
    if new is None or old is None:
        return None
    tags = tags_of(candidate, baseline, task=task)
    cut = of_slice(new, old, tags, key, value)
    if cut.scores is None:
        return None
    kept = {(task, place): _of_value(tags[place], key, value) for place in map(_place, cut.candidate)}
    first, second = (
        replace(scored, cells=(replace(cell, items=items, main_score=score, n_items=cut.n_items),), tags=kept)
        for scored, cell, items, score in zip(
            (candidate, baseline), (new, old), (cut.candidate, cut.baseline), cut.scores, strict=True
        )
    )
    return first, second


def _of_value(tags: Tags, key: str, value: str) -> Tags:
    return {name: values[tags[key] == value] for name, values in tags.items()}


def _place(entry: ItemScores) -> str:
    return f"{entry.split}/{entry.subset}"


def _mask(task: str, entry: ItemScores, tags: Tags, key: str, value: str) -> Mask:
    if key not in tags:
        return np.zeros(entry.n_items, dtype=np.bool_)
    values = tags[key]
    if values.shape != (entry.n_items,):
        raise UsageError(
            f"{task} {entry.split}/{entry.subset}: the tag {key!r} has {len(values)} values for {entry.n_items} items; "
            "score the model again"
        )
    return np.asarray(values == value, dtype=np.bool_)


# ------------------------------------------------------------ where a task lost


def slice_losses(
    candidate: Scored,
    baseline: Scored,
    task: str,
    *,
    seed: int = 42,
    n_resamples: int = EXPLAIN_RESAMPLES,
    draw: DrawsScores = draw_scores,
) -> tuple[SliceLoss, ...]:
    """Return how the slices of a task changed, the worst first, at most ten.

    Every key of the tags with 2 to 20 values makes slices; those with fewer than four items, or without a defined
    score, are left out. The intervals are 95 % each and not corrected for their number: they say where to look.

    Raises:
        ValueError: a model has no cell of this task, or the two were not scored on the same items.
    """
    new, old = candidate.cell(task), baseline.cell(task)
    if new is None or old is None:
        raise ValueError(f"{task}: both models need a score there")
    tags = tags_of(candidate, baseline, task=task)
    found = [
        _loss(cut, name, seed=seed, n_resamples=n_resamples, draw=draw)
        for key, value, name in _slices(tags)
        if (cut := of_slice(new, old, tags, key, value)).scores is not None
    ]
    return tuple(sorted(found, key=lambda loss: loss.change)[:MOST_SHOWN])


def _slices(tags: Mapping[str, Tags]) -> Iterator[tuple[str, str, str]]:
    """Yield key, value and name of each slice of a task."""
    for key in dict.fromkeys(key for part in tags.values() for key in part):
        values = sorted({str(value) for part in tags.values() if key in part for value in np.unique(part[key])} - {""})
        if 2 <= len(values) <= MOST_VALUES:
            yield from ((key, value, f"{key}={value}") for value in values)


def _loss(cut: TaskSlice, name: str, *, seed: int, n_resamples: int, draw: DrawsScores) -> SliceLoss:
    scores = cut.scores or (math.nan, math.nan)
    drawn = partial(draw, stream=stream_of(cut.task, name), n_resamples=n_resamples, seed=seed)
    low, high = ends_of_change(cut.candidate, cut.baseline, scores, drawn)
    return SliceLoss(name, cut.n_items, scores[0] - scores[1], low, high)


def stream_of(task: str, name: str) -> str:
    """Return the key of the random numbers of a slice on a task; no task is called like that."""
    return f"{task}\n{name}"


class Drawn(Protocol):
    """`draw_scores` with all settled but the model."""

    def __call__(self, items: Sequence[ItemScores], *, estimate: float) -> Draws: ...


def ends_of_change(
    candidate: Sequence[ItemScores], baseline: Sequence[ItemScores], scores: tuple[float, float], drawn: Drawn
) -> tuple[float, float] | tuple[None, None]:
    """Return the 95 % interval of candidate minus baseline; None where the items don't allow one."""
    try:
        found = change_interval(
            drawn(candidate, estimate=scores[0]),
            drawn(baseline, estimate=scores[1]),
            cumulants=of_mean(list(map(difference_cumulants, candidate, baseline))),
        )
    except ValueError:
        return None, None
    return found.low, found.high
