"""From numbers to words: which differences count, and which ranks the data leave open.

    p-values of a family ── holm ──> corrected ─┐
    interval of the difference, margin ─────────┴─ verdict ──> better · worse · same · inconclusive
    who is better than whom ── rank_ranges ──> lowest and highest rank of each model

Sources: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979);
"same" as in equivalence testing: not "no difference was found" but "any difference is within the margin".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from benchkit.types.comparison import Interval, Verdict

ALPHA = 0.05  # the level at which benchkit calls a difference significant, after Holm's correction


class RankRange(NamedTuple):
    """Best and worst rank that the data leave open, 1 = best."""

    low: int
    high: int


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct the p-values of one family for their number.

    The i-th smallest of m is multiplied by m - i + 1; none may be smaller than the one before it, nor larger than 1. So
    the chance of even one false "better" or "worse" in the family stays below the level, however the tests depend.

    Args:
        p_values: One for each comparison; None or nan where there was none to test, which does not count as part of
            the family and stays None.

    Raises:
        ValueError: a p-value outside 0 to 1.

    >>> holm([0.01, None, 0.04, 0.03])  # 3 * 0.01, 2 * 0.03, then 1 * 0.04 raised to 0.06
    [0.03, None, 0.06, 0.06]
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if p is not None and not math.isnan(p))
    if bad := [p for p, _ in tested if not 0 <= p <= 1]:
        raise ValueError(f"a p-value lies between 0 and 1, got {bad[0]}")
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * p))
        corrected[place] = largest
    return corrected


def verdict(interval: Interval | None, p_holm: float | None, margin: float) -> Verdict:
    """Say what a paired difference means.

    "better" and "worse": significant after Holm's correction, with the interval on that side of 0. They stay so where
    the whole interval lies within the margin: the sign is known, and how much it matters can be read from the interval.
    "same": not significant, and the interval lies within -margin to margin, ends included. "inconclusive": neither, or
    nothing could be tested; more items would tell.

    Raises:
        ValueError: a negative margin.
    """
    if margin < 0:
        raise ValueError(f"the margin should be 0 or more, got {margin}")
    if interval is None or p_holm is None:
        return "inconclusive"
    if p_holm < ALPHA and interval.low > 0:
        return "better"
    if p_holm < ALPHA and interval.high < 0:
        return "worse"
    return "same" if -margin <= interval.low and interval.high <= margin else "inconclusive"


def rank_ranges(models: Sequence[str], better_than: AbstractSet[tuple[str, str]]) -> dict[str, RankRange]:
    """Return the ranks that each model may have.

    Args:
        models: All of them, N.
        better_than: Pairs (a, b) where a is significantly better than b.

    Returns:
        low = 1 + the number of models significantly better, high = N - the number of models significantly worse.

    Raises:
        ValueError: a pair with an unknown model, or one that goes both ways.

    >>> rank_ranges(["a", "b", "c"], {("a", "c")})["b"]
    RankRange(low=1, high=3)
    """
    for a, b in sorted(better_than):
        if a not in models or b not in models:
            raise ValueError(f"unknown model in the pair ({a}, {b}); known: {', '.join(models)}")
        if (b, a) in better_than:
            raise ValueError(f"{a} and {b} can't each be better than the other")
    return {
        model: RankRange(
            1 + sum(worse == model for _, worse in better_than),
            len(models) - sum(better == model for better, _ in better_than),
        )
        for model in models
    }
