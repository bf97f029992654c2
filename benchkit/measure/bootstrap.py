"""Bootstrap of scores: how far a score, or the difference of two, could lie from the truth with other items.

    ItemScores of one model on one task ── draw_scores ──> Draws ─┬─ interval ──> Interval
          the same resamples for all models                       ├─ mean_draws (over tasks) ──> Draws
                                                                  └─ paired (with another model's) ──> PairedDifference

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
Should Know about the Bootstrap", The American Statistician 69 (2015), on narrowness bias; Davison and Hinkley,
"Bootstrap Methods and their Application", 1997, ch. 4, for the +1 in p-values; Urbano, Lima and Hanjalic, "Statistical
Significance Testing in Information Retrieval", SIGIR 2019, for the t-test's level on scores of queries.
Cost: O(n_resamples * n) for each column of the item scores; memory for one chunk of resamples. The resamples of a task
are drawn for its first model and kept for the others, a byte for each count, as long as there is room (KEPT_BYTES).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchkit.measure.cells import Floats, Ints
from benchkit.measure.weighted import scorer
from benchkit.types.comparison import Interval
from benchkit.types.result import ItemScores

CHUNK_ELEMENTS = 2**17  # items * resamples at a time: 1 MiB of counts, which stays in a core's own cache
KEPT_BYTES = 2**27  # 10,000 resamples of 13,000 items: those of the tasks of most suites together
TAIL = 0.025  # beyond each end of a 95 % interval
ESTIMATE_TOLERANCE = 1e-4  # MTEB rounds a score to five digits, or 1e-5 of a point after scaling
ROUNDING = 1e-12  # two models that do the same may still differ by the order of their additions
FARTHEST = 1000  # the tail that draws can't show is believed down to this part of the smallest p that they can
MAX_UNDEFINED = 0.5  # with more undefined resamples than this the items say too little about the score


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


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Candidate minus baseline.

    Attributes:
        interval: 95 %, of the difference.
        p_value: Two-sided, that there is no difference.
    """

    delta: float
    interval: Interval
    p_value: float


# Resamples


def resample_counts(
    n_items: int,
    n_resamples: int,
    rng: np.random.Generator,
    *,
    strata: Ints | None = None,
    chunk: int | None = None,
) -> Iterator[Ints]:
    """Yield how often each item is in each resample, in chunks (<= chunk, n_items).

    Items are drawn with replacement, from their own stratum where `strata` (n_items,) names one, so that each stratum
    keeps its size. The resamples don't depend on the size of the chunks.

    Raises:
        ValueError: no items, or strata of another length.
    """
    if n_items < 1 or (strata is not None and len(strata) != n_items):
        named = "none" if strata is None else str(len(strata))
        raise ValueError(f"resampling needs items, and a stratum for each if for any: {n_items} items, {named} strata")
    members = [np.arange(n_items)] if strata is None else [np.flatnonzero(strata == s) for s in np.unique(strata)]
    return _chunks(members, n_resamples, rng.spawn(len(members)), chunk or max(1, CHUNK_ELEMENTS // n_items))


def _chunks(
    members: list[NDArray[np.intp]], n_resamples: int, streams: Sequence[np.random.Generator], chunk: int
) -> Iterator[Ints]:
    n_items = sum(map(len, members))
    for start in range(0, n_resamples, chunk):
        size = min(chunk, n_resamples - start)
        if len(members) == 1:
            yield _multinomial(n_items, size, streams[0])
            continue
        counts = np.empty((size, n_items), dtype=np.int64)
        # A stream for each stratum: one stream for all would make the resamples depend on where a chunk ends.
        for items, stream in zip(members, streams, strict=True):
            counts[:, items] = _multinomial(len(items), size, stream)
        yield counts


def _multinomial(n_items: int, n_resamples: int, rng: np.random.Generator) -> Ints:
    """Count n_items draws with replacement; rng.multinomial, with a binomial number for each item, is slower."""
    drawn = rng.integers(n_items, size=(n_resamples, n_items))
    drawn += n_items * np.arange(n_resamples)[:, None]  # a range of its own for each resample: one count for all
    return np.bincount(drawn.ravel(), minlength=n_resamples * n_items).reshape(n_resamples, n_items)


@dataclass(slots=True)
class KeptCounts:
    """Chunks of counts that were drawn before; the ones that were not used for longest go first when room runs out.

    Attributes:
        room: Bytes for all of them.
    """

    room: int
    _chunks: OrderedDict[tuple[object, ...], tuple[NDArray[np.uint8], ...]] = field(default_factory=OrderedDict)

    def counts(self, entry: ItemScores, n_resamples: int, seed_words: Sequence[int]) -> Iterator[NDArray[np.integer]]:
        """Yield what `resample_counts` yields for a generator of these seed words, of whatever integer type."""
        strata = None if entry.strata is None else entry.strata.tobytes()
        key = (entry.n_items, strata, n_resamples, *seed_words)
        if key in self._chunks:
            self._chunks.move_to_end(key)
            yield from self._chunks[key]
            return
        rng = np.random.default_rng(np.random.SeedSequence(seed_words))
        fits = entry.n_items * n_resamples <= self.room
        drawn: list[NDArray[np.uint8]] = []
        for counts in resample_counts(entry.n_items, n_resamples, rng, strata=entry.strata):
            yield counts
            fits = fits and counts.max() <= np.iinfo(np.uint8).max
            if fits:
                drawn.append(counts.astype(np.uint8))
        if fits:
            self._keep(key, tuple(drawn))

    def _keep(self, key: tuple[object, ...], chunks: tuple[NDArray[np.uint8], ...]) -> None:
        self._chunks[key] = chunks
        while self.n_bytes > self.room:
            self._chunks.popitem(last=False)

    @property
    def n_bytes(self) -> int:
        return sum(chunk.nbytes for chunks in self._chunks.values() for chunk in chunks)


# One for the process: the models of a comparison come one after the other, each through a call of its own.
_kept = KeptCounts(KEPT_BYTES)


# Draws


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
    keys = [_key(entry) for entry in items]
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
            f"{_key(entry)}: {n_items} item(s) are too few for an interval; it needs four, or more in strata"
        )
    freedom = degrees_of_freedom(entry)
    return math.sqrt(n_items / freedom) * float(stdtrit(freedom, 1 - TAIL)) / float(ndtri(1 - TAIL))


def degrees_of_freedom(entry: ItemScores) -> int:
    """Return the number of items, less one for each stratum."""
    return entry.n_items - (1 if entry.strata is None else len(np.unique(entry.strata)))


def _key(entry: ItemScores) -> str:
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
            f"{_key(entry)}: {entry.metric} is undefined on {len(undefined)} of {n_resamples} resamples; "
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


# What the draws say


def interval(draws: Draws, *, level: float = 0.95, bounds: tuple[float, float] | None = None) -> Interval:
    """Return the percentile interval of the draws, cut to `bounds`, the lowest and highest score that there is.

    Of B draws in order, percentile q is number q * (B + 1) ("weibull"), which matches the +1 of the p-value: where the
    p-value is below 0.05, the 95 % interval lies on one side of 0.
    """
    low, high = np.quantile(draws.values, [(1 - level) / 2, (1 + level) / 2], method="weibull")
    if bounds is not None:
        low, high = np.clip([low, high], *bounds)
    return Interval(float(low), float(high))


def paired(
    candidate: Draws, baseline: Draws, *, bounds: tuple[float, float] | None = None, freedom: int | None = None
) -> PairedDifference:
    """Compare two models on the same items.

    The draws of the difference are centred on the difference itself, so the share of them on the far side of 0 is the
    p-value of "no difference": p = 2 * min(#{d <= 0} + 1, #{d >= 0} + 1) / (B + 1), at most 1. The +1 counts the data
    themselves, so that p is never 0. Where no draw is on the far side, B draws say no more than p <= 2 / (B + 1), which
    a correction for hundreds of comparisons makes insignificant however large the difference is. With `freedom`, p is
    then that of Student's t, at most this and at least a thousandth of it.

    Differences within rounding (1e-12) are 0: the same scores give delta 0, interval [0, 0] and p 1.

    Args:
        bounds: The lowest and highest score that there is; the interval is cut to the differences of two such scores.
        freedom: Degrees of freedom of the difference; None leaves p to the draws.

    Raises:
        ValueError: not equally many draws.
    """
    delta = _without_rounding(np.array([candidate.estimate - baseline.estimate]))[0]
    values = differences(candidate, baseline)
    fewer_side = min(np.count_nonzero(values <= 0), np.count_nonzero(values >= 0))
    p_value = min(1.0, 2 * (fewer_side + 1) / (len(values) + 1))
    if fewer_side == 0 and freedom is not None:
        p_value = min(p_value, max(_tail(float(delta), values, freedom), p_value / FARTHEST))
    farthest = None if bounds is None else (bounds[0] - bounds[1], bounds[1] - bounds[0])
    return PairedDifference(float(delta), interval(Draws(float(delta), values), bounds=farthest), p_value)


def _tail(delta: float, values: Floats, freedom: int) -> float:
    """Return the p-value of a difference by Student's t, and no less than that of as many signs that all agree.

    The spread of the draws is that of the normal distribution with the same 95 % interval as t (see the module).
    """
    from scipy.special import ndtri, stdtr, stdtrit

    spread = float(values.std(ddof=1))
    if spread == 0:
        return 1.0  # all items differ alike; the draws can't say how much else they might
    t = abs(delta) / spread * float(stdtrit(freedom, 1 - TAIL)) / float(ndtri(1 - TAIL))
    return max(2 * float(stdtr(freedom, -t)), 0.5**freedom)


def differences(candidate: Draws, baseline: Draws) -> Floats:
    """Return candidate minus baseline for each draw (B,); 0 where the two score the same on a resample.

    Where few items tell two models apart, many resamples have none of them. Centring moves all of these to one side of
    0, by the bias that one model has more than the other, and a difference on one of a thousand items would be
    significant. No difference stays none.

    Raises:
        ValueError: not equally many draws.
    """
    if len(candidate.values) != len(baseline.values):
        raise ValueError(
            f"paired draws should be equally many: candidate {len(candidate.values)}, baseline {len(baseline.values)}"
        )
    found = candidate.values - baseline.values
    if candidate.origin is not None and baseline.origin is not None:
        found = np.where(np.abs(found - (candidate.origin - baseline.origin)) <= ROUNDING, 0.0, found)
    return _without_rounding(found)


def _without_rounding(values: Floats) -> Floats:
    return np.where(np.abs(values) <= ROUNDING, 0.0, values)


def check_paired(items_a: Sequence[ItemScores], items_b: Sequence[ItemScores]) -> None:
    """Refuse a paired comparison of scores that were not made from the same items.

    Raises:
        ValueError: the splits and subsets, the kind or metric, the number, names or order of the items, or their strata
            differ; the message names the first difference.
    """
    keys_a, keys_b = [_key(entry) for entry in items_a], [_key(entry) for entry in items_b]
    if keys_a != keys_b:
        raise ValueError(f"not paired: splits and subsets differ: {', '.join(keys_a)} against {', '.join(keys_b)}")
    for a, b in zip(items_a, items_b, strict=True):
        if difference := _difference(a, b):
            raise ValueError(f"not paired: {_key(a)}: {difference}")


def _difference(a: ItemScores, b: ItemScores) -> str:
    if (a.kind, a.metric) != (b.kind, b.metric):
        return f"{a.kind} {a.metric} against {b.kind} {b.metric}"
    if a.n_items != b.n_items:
        return f"{a.n_items} items against {b.n_items}"
    if (other := np.flatnonzero(a.items != b.items)).size:
        first = other[0]
        return f"item {first} is {str(a.items[first])!r} against {str(b.items[first])!r}"
    if (a.strata is None) != (b.strata is None) or not np.array_equal(_strata(a), _strata(b)):
        return "the items are in different strata"
    return ""


def _strata(entry: ItemScores) -> Ints:
    return np.zeros(entry.n_items, dtype=np.int64) if entry.strata is None else entry.strata
