"""What draws say: an interval, and whether two models that were scored on the same items differ.

    Draws ─┬─ interval ──────────────────────────────> Interval
           └─ paired (with another model's) ─────────> PairedDifference, where `check_paired` lets the items through

How the draws are made, and why they are centred and spread out, is told in bootstrap.py.

Sources: Davison and Hinkley, "Bootstrap Methods and their Application", 1997, ch. 4, for the +1 in p-values; Urbano,
Lima and Hanjalic, "Statistical Significance Testing in Information Retrieval", SIGIR 2019, for the t-test's level on
scores of queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchkit.measure.bootstrap import TAIL, Draws, place_of
from benchkit.measure.cells import Floats, Ints
from benchkit.types.comparison import Interval
from benchkit.types.result import ItemScores

ROUNDING = 1e-12  # two models that do the same may still differ by the order of their additions
FARTHEST = 1000  # the tail that draws can't show is believed down to this part of the smallest p that they can


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
    keys_a, keys_b = [place_of(entry) for entry in items_a], [place_of(entry) for entry in items_b]
    if keys_a != keys_b:
        raise ValueError(f"not paired: splits and subsets differ: {', '.join(keys_a)} against {', '.join(keys_b)}")
    for a, b in zip(items_a, items_b, strict=True):
        if difference := _difference(a, b):
            raise ValueError(f"not paired: {place_of(a)}: {difference}")


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
