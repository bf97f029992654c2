"""Bootstrap of scores: how far a score, or the difference of two, could lie from the truth with other items.

    ItemScores of one model on one task ── draw_scores ──> Draws ── mean_draws (over tasks) ──> Draws
          the same resamples for all models (resamples.py)   └── what they say: paired.py

Draws are centred on the score and spread out: estimate + f * (raw - mean(raw)), f = sqrt(n / (n - 1)) * t / z, where t
and z are the 97.5 % points of Student's t with n - 1 degrees of freedom and of the normal distribution. A plain
percentile interval is too narrow for few items: the bootstrap's variance is too small by (n - 1) / n, and the normal
shape forgets that the variance itself is estimated. Hesterberg corrects the percentiles for it; correcting the draws
gives the same interval to first order, and keeps interval and p-value in step. Centring takes the bootstrap's bias out:
the best threshold of a resample, say, flatters every model. A score that is a mean of its items has none, and the mean
of all its resamples is known: it takes the place of mean(raw), and of the estimate as it was rounded.

With strata, n / (n - 1) becomes n / (n - strata), with n - strata degrees of freedom; for strata of one size the first
is exact. A stratum of one item always keeps that item and adds no spread.

What it can't see: items that all score the same (all right) have no spread, and the interval is a point. Of two or
three items, one item drawn every time is already more frequent than the 2.5 % beyond the end of an interval, and two
pairs always correlate perfectly: with so few items there are no draws at all.

Sources: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13 and 16; Hesterberg, "What Teachers
Should Know about the Bootstrap", The American Statistician 69 (2015), on narrowness bias.
Cost: O(n_resamples * n) for each column of the item scores; memory for one chunk of resamples. The resamples of a task
are drawn for its first model and kept for the others, a byte for each count, as long as there is room (KEPT_BYTES).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchkit.measure.cells import Floats, Ints
from benchkit.measure.resamples import KeptCounts, resample_counts
from benchkit.measure.weighted import scorer
from benchkit.types.result import ItemScores

KEPT_BYTES = 2**27  # 10,000 resamples of 13,000 items: those of the tasks of most suites together
TAIL = 0.025  # beyond each end of a 95 % interval
ESTIMATE_TOLERANCE = 1e-4  # MTEB rounds a score to five digits, or 1e-5 of a point after scaling
MAX_UNDEFINED = 0.5  # with more undefined resamples than this the items say too little about the score
# One for the process: the models of a comparison come one after the other, each through a call of its own.
_kept = KeptCounts(KEPT_BYTES)


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Bootstrap draws of one score, centred on it and expanded (see the module).

    Attributes:
        estimate: The score on all items.
        values: The draws (B,); draw i of every model comes from the same resample.
        origin: The draw that a resample of score 0 would be, estimate - f * mean(raw); None where it isn't known.
    """

    estimate: float
    values: Floats
    origin: float | None = None


class DrawsScores(Protocol):
    """What `draw_scores` is called like; a cache that answers in its place is called the same."""

    def __call__(
        self, items: Sequence[ItemScores], *, stream: str, estimate: float, n_resamples: int = ..., seed: int
    ) -> Draws: ...


def draw_scores(
    items: Sequence[ItemScores], *, stream: str, estimate: float, n_resamples: int = 10_000, seed: int
) -> Draws:
    """Bootstrap the score of one model on one task: the plain mean over its splits and subsets.

    Each split and subset is resampled by itself. Its random numbers follow from (seed, stream, split, subset) and from
    nothing else, so that all models see the same resamples and a difference of two models is paired.

    A resample on which the score is not defined (a subset without a positive, say) is drawn again, until it is, from a
    stream of its own that follows from its position: then the draws are those of the score given that it is defined,
    there are as many as were asked for, and two models that are undefined on the same resample get the same new one.
    Where only one of two is undefined, its new resample is not the other's, which leaves the difference as wide as if
    the two were unrelated there.

    Args:
        items: The splits and subsets of the task.
        stream: Key of the task; the same for all models.
        estimate: The task's score as it was reported.
        n_resamples: Number of draws B.
        seed: Of all random numbers, >= 0.

    Raises:
        ValueError: the items don't give the estimate; too few items or resamples; more than half of these undefined.
    """
    _check_entries(items, stream)
    if n_resamples < 1:
        raise ValueError(f"{stream}: needs one or more resamples, got {n_resamples}")
    scorers = [scorer(entry) for entry in items]
    own = [float(score(np.ones((1, entry.n_items), np.int64))[0]) for entry, score in zip(items, scorers, strict=True)]
    _check_estimate(own, estimate, stream)
    are_means = all(entry.kind == "mean" for entry in items)
    deviations, centre = np.zeros(n_resamples), 0.0
    for entry, score, whole in zip(items, scorers, own, strict=True):
        factor = _expansion(entry)
        raw = _raw_scores(entry, score, n_resamples, _seed_words(seed, stream, entry))
        middle = whole if are_means else float(raw.mean())
        deviations += factor * (raw - middle)
        centre += factor * middle
    around = float(np.mean(own)) if are_means else estimate
    return Draws(estimate, around + deviations / len(items), around - centre / len(items))


def _check_entries(items: Sequence[ItemScores], stream: str) -> None:
    keys = [place_of(entry) for entry in items]
    if not keys or len(set(keys)) < len(keys):
        raise ValueError(f"{stream}: needs each split and subset once, got {', '.join(keys) or 'none'}")


def _check_estimate(own: Sequence[float], estimate: float, stream: str) -> None:
    recomputed = float(np.mean(own))
    if not abs(recomputed - estimate) <= ESTIMATE_TOLERANCE:  # "not <=" also refuses nan
        raise ValueError(f"{stream}: the items give a score of {recomputed:.6f}, the task reported {estimate:.6f}")


def _expansion(entry: ItemScores) -> float:
    """Return f of the module's header."""
    from scipy.special import ndtri, stdtrit

    n_items = entry.n_items
    sizes = np.array([n_items]) if entry.strata is None else np.unique(entry.strata, return_counts=True)[1]
    one_item_each = float(np.exp(-np.sum(sizes * np.log(sizes))))  # chance that each stratum draws its first item only
    if one_item_each > TAIL:
        raise ValueError(
            f"{place_of(entry)}: {n_items} item(s) are too few for an interval; it needs four, or more in strata"
        )
    freedom = degrees_of_freedom(entry)
    return math.sqrt(n_items / freedom) * float(stdtrit(freedom, 1 - TAIL)) / float(ndtri(1 - TAIL))


def degrees_of_freedom(entry: ItemScores) -> int:
    """Return the number of items, less one for each stratum."""
    return entry.n_items - (1 if entry.strata is None else len(np.unique(entry.strata)))


def place_of(entry: ItemScores) -> str:
    """Return "split/subset", as messages name it."""
    return f"{entry.split}/{entry.subset}"


def _seed_words(seed: int, stream: str, entry: ItemScores) -> list[int]:
    # JSON keeps ("a", "b/c") and ("a/b", "c") apart; a hash because Python's own differs from run to run.
    digest = hashlib.sha256(json.dumps([stream, entry.split, entry.subset]).encode()).digest()
    return [seed, *np.frombuffer(digest, dtype="<u4").tolist()]


def _raw_scores(
    entry: ItemScores, score: Callable[[NDArray[np.generic]], Floats], n_resamples: int, seed_words: list[int]
) -> Floats:
    raw = np.concatenate([score(counts) for counts in _kept.counts(entry, n_resamples, seed_words)])
    undefined = np.flatnonzero(np.isnan(raw))
    if len(undefined) > MAX_UNDEFINED * n_resamples:
        raise ValueError(
            f"{place_of(entry)}: {entry.metric} is undefined on {len(undefined)} of {n_resamples} resamples; "
            f"{entry.n_items} items are too few, or one label is too rare, for an interval"
        )
    attempt = 0
    while len(undefined):
        attempt += 1
        for position in undefined:
            raw[position] = score(_another_resample(entry, seed_words, (attempt, int(position))))[0]
        undefined = undefined[np.isnan(raw[undefined])]
    return raw


def _another_resample(entry: ItemScores, seed_words: list[int], place: tuple[int, int]) -> Ints:
    rng = np.random.default_rng(np.random.SeedSequence(seed_words, spawn_key=place))
    return next(resample_counts(entry.n_items, 1, rng, strata=entry.strata))


def mean_draws(draws: Sequence[Draws]) -> Draws:
    """Average over tasks: their items are different ones, so that their draws are independent.

    Raises:
        ValueError: no draws, or not equally many for each task.
    """
    sizes = sorted({len(one.values) for one in draws})
    if len(sizes) != 1:
        raise ValueError(f"the mean needs one or more tasks with equally many draws, got {sizes or 'none'}")
    origins = [one.origin for one in draws if one.origin is not None]
    return Draws(
        float(np.mean([one.estimate for one in draws])),
        np.mean([one.values for one in draws], axis=0),
        float(np.mean(origins)) if len(origins) == len(draws) else None,
    )
