"""What models score on the items that carry one tag, value by value.

    ItemScores of each model ──┐
    KeptTags of the task ──────┴─ one value at a time ── restrict ──> scores, differences from one of the models

The score of a slice is the plain mean over the splits and subsets that count, of the metric on the slice's items alone.
As in a gate, a part with fewer than four items of the slice doesn't count, nor does one on which the metric is defined
for no model (items of one label only). A model without a score on a part that counts has none on the slice.
The intervals are of 95 % each and not corrected for their number: they say where to look.
Cost: intervals are drawn up to `MOST_DRAWN` items times models of a tag, in well under a second; above it there are
none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Protocol

import numpy as np

from benchkit.measure.bootstrap import Draws, draw_scores
from benchkit.measure.paired import interval, paired
from benchkit.measure.restrict import Mask, restrict, score_of
from benchkit.types.comparison import Interval
from benchkit.types.result import ItemScores
from benchkit.types.tags import KeptTags

FEWEST_ITEMS = 4  # measure.bootstrap: of fewer there is no interval
MOST_DRAWN = 20_000
RESAMPLES = 1000

Parts = Mapping[str, Sequence[ItemScores]]  # by model


@dataclass(frozen=True, slots=True)
class SliceScore:
    """What one model scores on one slice.

    Attributes:
        value: Of the tag.
        n_items: Items that count.
        difference: From the model that all are held against; None of that model itself.
    """

    value: str
    n_items: int
    model: str
    score: float | None
    interval: Interval | None = None
    difference: float | None = None
    difference_interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class TagSlices:
    """The scores on every slice of a tag, the largest slice first, and what is to be known of them."""

    scores: tuple[SliceScore, ...]
    notes: tuple[str, ...] = ()


def tag_slices(
    parts: Parts, tags: KeptTags, key: str, *, against: str | None, seed: int, bounds: tuple[float, float]
) -> TagSlices:
    """Return what each model scores on the slices of one tag.

    Args:
        parts: Models whose items are not those of the tags are left out, with a note.
        against: The model that differences are taken from; None takes none.
        bounds: The lowest and highest score that there is.
    """
    fitting = {model: own for model, own in parts.items() if _fit(own, tags)}
    notes = [f"{model} has scores of other items than the tags are of" for model in parts if model not in fitting]
    columns = {place: np.array(found[key], np.str_) for place, found in tags.tags.parts.items() if key in found}
    values, counts = np.unique(np.concatenate([np.array([], np.str_), *columns.values()]), return_counts=True)
    by_size = sorted(zip((-counts).tolist(), values.tolist(), strict=True))
    is_drawn = int(counts.sum()) * len(fitting) <= MOST_DRAWN
    scores: list[SliceScore] = []
    for size, value in by_size:
        if not value:
            notes.append(f"{-size} items have no value of it")
            continue
        masks = {place: np.asarray(column == value, np.bool_) for place, column in columns.items()}
        cut, left_out = _cut(fitting, masks)
        notes += [f"{value}: {why}" for why in left_out]
        drawn = partial(draw_scores, stream=f"{tags.task}\n{key}={value}", n_resamples=RESAMPLES, seed=seed)
        scores += _scores(value, cut, against, drawn if is_drawn else None, bounds)
    if not is_drawn:
        notes.append(f"no intervals: the items of all models are more than {MOST_DRAWN:,}")
    return TagSlices(tuple(scores), tuple(notes))


def _fit(parts: Sequence[ItemScores], tags: KeptTags) -> bool:
    places = {_place(part): tuple(part.items.tolist()) for part in parts}
    return places == dict(tags.items)


def _place(part: ItemScores) -> str:
    return f"{part.split}/{part.subset}"


def _cut(parts: Parts, masks: Mapping[str, Mask]) -> tuple[dict[str, list[tuple[ItemScores, float]]], list[str]]:
    """Return of each model the parts that count, cut to the slice, with their scores; and why others don't count."""
    cut: dict[str, list[tuple[ItemScores, float]]] = {model: [] for model in parts}
    left_out: list[str] = []
    for place, mask in masks.items():
        size = int(mask.sum())
        if 0 < size < FEWEST_ITEMS:
            left_out.append(f"{size} items in {place}, {FEWEST_ITEMS} are needed")
        if size < FEWEST_ITEMS:
            continue
        own = {model: restrict(part, mask) for model, of in parts.items() for part in of if _place(part) == place}
        scores = {model: score_of(part) for model, part in own.items()}
        if all(map(math.isnan, scores.values())):
            left_out.append(f"the score is not defined on its {size} items in {place}")
            continue
        for model, part in own.items():
            cut[model].append((part, scores[model]))
    return cut, left_out


class _Drawn(Protocol):
    """`draw_scores` with all settled but the model."""

    def __call__(self, items: Sequence[ItemScores], *, estimate: float) -> Draws: ...


def _scores(
    value: str,
    cut: Mapping[str, Sequence[tuple[ItemScores, float]]],
    against: str | None,
    drawn: _Drawn | None,
    bounds: tuple[float, float],
) -> list[SliceScore]:
    score = {model: _mean([one for _, one in own]) for model, own in cut.items()}
    draws = {model: _draws([part for part, _ in own], score[model], drawn) for model, own in cut.items()}
    n_items = max((sum(part.n_items for part, _ in own) for own in cut.values()), default=0)
    held = score.get(against) if against is not None else None
    found: list[SliceScore] = []
    for model, one in score.items() if n_items else ():
        own, other = draws[model], draws.get(against) if against is not None else None
        is_other = held is not None and one is not None and model != against
        found.append(
            SliceScore(
                value,
                n_items,
                model,
                one,
                None if own is None else interval(own, bounds=bounds),
                one - held if is_other and one is not None and held is not None else None,
                paired(own, other, bounds=bounds).interval
                if is_other and own is not None and other is not None
                else None,
            )
        )
    return found


def _mean(scores: Sequence[float]) -> float | None:
    mean = fmean(scores) if scores else math.nan
    return None if math.isnan(mean) else mean


def _draws(parts: Sequence[ItemScores], score: float | None, drawn: _Drawn | None) -> Draws | None:
    if score is None or drawn is None:
        return None
    try:
        return drawn(parts, estimate=score)
    except ValueError:  # more than half of the resamples have no score
        return None
