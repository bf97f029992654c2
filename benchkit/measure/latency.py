"""Durations in numbers: percentiles, means and rates with intervals, paired ratios, and whether the machine was quiet.

    calls of one model ──┬─ percentile, mean, median ──> Estimate
                         └─ variation ─────────────────> standard deviation / mean
    passes over parts of a corpus ── rate ─────────────> Estimate
    calls of two models, paired by round ── typical_ratio ──> Ratio ── paired_ratio ──> CostRatio, with its verdict
    one model in two processes (A/A) ─── paired_ratio ──> CostRatio ── steadiness ──> "" or why there is no verdict

Percentile p of n durations is the nearest rank: the smallest of them that at least p % do not exceed, number
ceil(n * p / 100) in order (NumPy's "inverted_cdf"). It is a duration that was really met, where interpolation makes one
up between two calls, and its interval is made of ranks as well. A percentile whose rank is n would be the maximum,
which says what happened once, not what to expect: it isn't given (p99 needs 100 calls, p95 20).

Its interval is distribution-free: the duration of rank l is above the true percentile, or that of rank u not above it,
with probabilities that are binomial whatever the distribution. u is the lowest rank with 2.5 % or less beyond it, or n;
l then is the highest with 2.5 % or less below it and 5 % or less in both. Where n is too small for that there is none
(p50 needs 6 calls, p90 29, p95 59, p99 299).

A ratio of two models is the 20 % trimmed mean of log ratios, one for each round of calls made right after each other:
noise that lasts for longer than a round is in both calls and cancels, and a call that something hit alone is trimmed.
Its interval is a bootstrap over rounds; as in bootstrap.py the draws are spread by sqrt(n / (n - 1)) * t / z, with
n - 1 degrees of freedom, since few rounds would give too narrow an interval otherwise: of 10 normal rounds it would
hold the truth in 93 % (in 97 % with the factor), of 48 in 94 % (95 %). Its width is laid around the ratio, half to each
side. The halves of a session (round numbers tell them) have other processes, so each half has a ratio of its own, and
halves.py makes one of the two.

Sources: David and Nagaraja, "Order Statistics", 3rd ed. 2003, section 7.1 (intervals of percentiles); Welch, "The
Generalization of 'Student's' Problem when Several Different Population Variances are Involved", Biometrika 34 (1947)
(rates); Hesterberg, "What Teachers Should Know about the Bootstrap", The American Statistician 69 (2015).
Cost: O(N_RESAMPLES * n log n) for a ratio, 3 ms of CPU time for 192 rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchkit.measure.halves import TWO_SIDED, Ratio, over_halves
from benchkit.types.cost import CostRatio, RatioVerdict, half_of

N_RESAMPLES = 2000  # an end of the interval is then known to 3 % of its width
# Fewer calls than this have no bootstrap interval, and fewer pairs no ratio: four of ten are trimmed.
MIN_SAMPLES = 10
TRIMMED = 0.2  # of each end
# Two processes of one model may differ by so much, through where their memory happens to lie, without being suspect.
CONTROL_BIAS = 0.02

_TAIL = 0.025  # of a 95 % interval, at each end
_CHUNK_ELEMENTS = 2**18  # 2 MiB of resampled calls at a time

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval; None where the calls are too few for one.

    Attributes:
        n: Calls, or passes, behind it.
    """

    value: float
    low: float | None
    high: float | None
    n: int


# One model


def fewest_calls(percent: int) -> int:
    """Return how many calls a percentile needs, so that it isn't just the longest of them.

    >>> fewest_calls(50), fewest_calls(95), fewest_calls(99)
    (2, 20, 100)
    """
    return -(-100 // (100 - percent))


def nearest_rank(values: ArrayLike, percent: int) -> float:
    """Return the smallest value that at least `percent` % of all don't exceed; infinity is a value like others.

    Args:
        values: (n,), one or more.
        percent: 1 to 99; a whole number, so that the rank is exact.

    Raises:
        ValueError: no values, or a percentile of 0 or 100.

    >>> nearest_rank(range(20, 0, -1), 95)
    19.0
    """
    _check_percent(percent)
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if not len(ordered):
        raise ValueError("a percentile needs one or more values")
    return float(ordered[-(-len(ordered) * percent // 100) - 1])


def percentile(samples: ArrayLike, percent: int) -> Estimate | None:
    """Return a percentile (nearest rank) with its distribution-free interval; None with too few samples.

    Args:
        samples: Durations (n,), in any unit.
        percent: 1 to 99; a whole number, so that the rank is exact.

    Raises:
        ValueError: a percentile of 0 or 100, or a sample that isn't finite.

    >>> percentile(range(1, 101), 95)  # the 95th of 100; ranks 90 and 100 hold the true one with 95.7 %
    Estimate(value=95.0, low=90.0, high=100.0, n=100)
    """
    _check_percent(percent)
    ordered = np.sort(_checked(samples))
    n = len(ordered)
    if n < fewest_calls(percent):
        return None
    low, high = _ends(ordered, percent)
    return Estimate(nearest_rank(ordered, percent), low, high, n)


def _check_percent(percent: int) -> None:
    if not 1 <= percent <= 99:
        raise ValueError(f"a percentile lies between 1 and 99, got {percent}")


def median(samples: ArrayLike) -> Estimate:
    """Return the median, of two middle samples their mean; for the few passes that a rank alone would serve badly.

    Raises:
        ValueError: no samples, or one that isn't finite.
    """
    ordered = np.sort(_checked(samples))
    if not len(ordered):
        raise ValueError("a median needs one or more samples")
    return Estimate(float(np.median(ordered)), *_ends(ordered, 50), len(ordered))


def _ends(ordered: Floats, percent: int) -> tuple[float | None, float | None]:
    ranks = interval_ranks(len(ordered), percent)
    return (None, None) if ranks is None else (float(ordered[ranks[0] - 1]), float(ordered[ranks[1] - 1]))


def interval_ranks(n: int, percent: int) -> tuple[int, int] | None:
    """Return the ranks (1 = shortest) of the two samples that hold a percentile with 95 %; None where none do.

    The sample of rank r lies above the true percentile with the probability that fewer than r of n do not exceed it,
    binomial (n, percent / 100).

    >>> interval_ranks(6, 50)  # (1/2)**6 = 1.6 % at each end
    (1, 6)
    """
    from scipy.special import bdtr

    at_most = bdtr(np.arange(n), n, percent / 100)  # [k]: probability that k or fewer don't exceed it
    beyond = 1.0 - at_most  # [r - 1]: that the sample of rank r lies below it
    enough = np.flatnonzero(beyond <= _TAIL)
    high = int(enough[0]) + 1 if len(enough) else n
    left = min(_TAIL, 2 * _TAIL - float(beyond[high - 1])) if n else 0.0
    low = int(np.count_nonzero(at_most <= left))
    return (low, high) if low >= 1 else None


def mean(samples: ArrayLike, *, rng: np.random.Generator) -> Estimate:
    """Return the mean; its interval is a bootstrap on a logarithmic scale, which stays above 0 and allows for skew.

    Raises:
        ValueError: no samples, or one that isn't finite or is negative.
    """
    values = _checked(samples)
    if not len(values) or values.min() < 0:
        raise ValueError("a mean needs one or more samples, none of them negative")
    n, value = len(values), float(values.mean())
    if n < MIN_SAMPLES or value == 0:
        return Estimate(value, None, None, n)
    drawn = np.log(np.maximum(_resampled(values, lambda rows: rows.mean(axis=1), rng), np.finfo(float).tiny))
    low, high = _spread_ends(math.log(value), drawn, n)
    return Estimate(value, math.exp(low), math.exp(high), n)


def variation(samples: ArrayLike) -> float | None:
    """Return the coefficient of variation, standard deviation (n - 1) / mean; None of fewer than two, or of mean 0."""
    values = _checked(samples)
    centre = values.mean() if len(values) else 0.0
    return None if len(values) < 2 or centre == 0 else float(values.std(ddof=1) / centre)


def rate(amount: float, parts: Sequence[ArrayLike]) -> Estimate | None:
    """Return amount / time: how much gets done in a second when every part is gone through once.

    The time is the sum over parts of the mean over passes. Its interval is Welch's: the variances of the means add up,
    with Satterthwaite's degrees of freedom, taken to a logarithmic scale; a bootstrap of two or three passes could not
    tell. No interval where a part has one pass only; None without time.

    Args:
        amount: Texts or tokens in one pass over all parts.
        parts: The durations of the passes over each part.

    >>> rate(30, [[1.0, 1.0], [2.0, 2.0]])  # 30 texts in 1 + 2 seconds
    Estimate(value=10.0, low=10.0, high=10.0, n=4)
    """
    passes = [_checked(part) for part in parts]
    total = float(sum(part.mean() for part in passes)) if passes and all(map(len, passes)) else 0.0
    if total <= 0:
        return None
    n, value = sum(map(len, passes)), amount / total
    if min(map(len, passes)) < 2:
        return Estimate(value, None, None, n)
    factor = math.exp(_half_width(passes) / total)
    return Estimate(value, value / factor, value * factor, n)


def _half_width(passes: Sequence[Floats]) -> float:
    """Return half the width of Welch's interval of the sum of means."""
    from scipy.special import stdtrit

    variances = np.array([part.var(ddof=1) / len(part) for part in passes])
    if not variances.any():
        return 0.0
    shares = variances / variances.sum()  # of which the squares can't vanish, however short the passes are
    freedom = 1 / sum(share**2 / (len(part) - 1) for share, part in zip(shares, passes, strict=True))
    return float(stdtrit(freedom, 1 - _TAIL)) * math.sqrt(float(variances.sum()))


# Two models


def typical_ratio(
    candidate_s: Mapping[int, float],
    baseline_s: Mapping[int, float],
    *,
    rng: np.random.Generator,
    start_order: float = 0.0,
) -> Ratio:
    """Return candidate / baseline over the rounds that both were called in, as a logarithm.

    A half of the session with fewer than MIN_SAMPLES common rounds has no ratio of its own and is left out; where both
    are as short, their rounds are taken together.

    Args:
        candidate_s, baseline_s: Duration of the call, by round.
        start_order: How far the order of starting may set the halves apart (`halves.over_halves`).

    Raises:
        ValueError: fewer than MIN_SAMPLES common rounds, or a duration that isn't above 0.
    """
    rounds = sorted(candidate_s.keys() & baseline_s.keys())
    if len(rounds) < MIN_SAMPLES:
        raise ValueError(f"a ratio needs {MIN_SAMPLES} common rounds, got {len(rounds)}")
    halves = [[number for number in rounds if half_of(number) == half] for half in (0, 1)]
    long_enough = [half for half in halves if len(half) >= MIN_SAMPLES] or [rounds]
    logs = [_log_ratios(candidate_s, baseline_s, half) for half in long_enough]
    return over_halves([_typical(half, rng) for half in logs], start_order=start_order)


def paired_ratio(
    candidate_s: Mapping[int, float],
    baseline_s: Mapping[int, float],
    *,
    candidate: str,
    baseline: str,
    metric: str,
    tolerance: float,
    rng: np.random.Generator,
    start_order: float = 0.0,
) -> CostRatio:
    """Return candidate / baseline over the rounds that both were called in, with its verdict.

    Args:
        candidate_s, baseline_s: Duration of the call, by round.
        tolerance: Ratios of 1 / (1 + tolerance) to 1 + tolerance count as the same.
        start_order: How far the order of starting may set the halves apart (`halves.over_halves`).

    Raises:
        ValueError: as `typical_ratio`, or a negative tolerance.
    """
    if tolerance < 0:
        raise ValueError(f"the tolerance should be 0 or more, got {tolerance}")
    found = typical_ratio(candidate_s, baseline_s, rng=rng, start_order=start_order)
    low, high = found.interval(TWO_SIDED)
    verdict = ratio_verdict(low, high, tolerance)
    return CostRatio(candidate, baseline, metric, found.value, low, high, found.n, verdict)


def ratio_verdict(low: float, high: float, tolerance: float) -> RatioVerdict:
    """Return what the interval of a ratio means; the same from either side, with the words exchanged.

    >>> ratio_verdict(1.06, 1.2, 0.05), ratio_verdict(0.98, 1.03, 0.05), ratio_verdict(0.98, 1.06, 0.05)
    ('dearer', 'same', 'inconclusive')
    """
    most = 1 + tolerance
    if low > most:
        return "dearer"
    if high < 1 / most:
        return "cheaper"
    return "same" if low >= 1 / most and high <= most else "inconclusive"


def steadiness(control: CostRatio, *, tolerance: float) -> str:
    """Return why a session is too noisy for a verdict, judged by two processes of one model; "" where it isn't.

    Args:
        control: The one process against the other.
        tolerance: Half the width of the interval (as a factor) may be this at most.

    >>> steadiness(CostRatio("m", "m", "latency/query", 1.01, 0.97, 1.05, 48, "same"), tolerance=0.05)
    ''
    """
    interval = f"95 % interval {control.ci_low:.3f} to {control.ci_high:.3f}"
    if control.ci_low > 1 + CONTROL_BIAS or control.ci_high < 1 / (1 + CONTROL_BIAS):
        return (
            f"two processes of {control.candidate} should take the same time, but one took {control.ratio:.3f} times "
            f"that of the other ({interval})"
        )
    half_width = math.sqrt(control.ci_high / control.ci_low) - 1
    if half_width > tolerance:
        return (
            f"two processes of {control.candidate} can be compared to ±{100 * half_width:.1f} % only ({interval}), "
            f"and the tolerance is {100 * tolerance:g} %"
        )
    return ""


def _log_ratios(candidate_s: Mapping[int, float], baseline_s: Mapping[int, float], rounds: Sequence[int]) -> Floats:
    first, second = (_checked([of[number] for number in rounds]) for of in (candidate_s, baseline_s))
    if min(first.min(), second.min()) <= 0:
        raise ValueError("a ratio needs durations above 0; the clock is too coarse for such short calls")
    return np.log(first / second)


def _typical(logs: Floats, rng: np.random.Generator) -> Ratio:
    """Return the trimmed mean, with the error that the width of its bootstrap interval tells."""
    from scipy.special import stdtrit

    n = len(logs)
    cut = int(TRIMMED * n)
    centre = float(_trimmed_means(logs[None, :], cut)[0])
    drawn = _resampled(logs, lambda rows: _trimmed_means(rows, cut), rng)
    low, high = _spread_ends(centre, drawn, n)
    return Ratio(centre, (high - low) / 2 / float(stdtrit(n - 1, TWO_SIDED)), n - 1, n)


def _trimmed_means(rows: Floats, cut: int) -> Floats:
    """Return the mean of each row without its `cut` smallest and largest values."""
    means: Floats = np.sort(rows, axis=1)[:, cut : rows.shape[1] - cut].mean(axis=1)
    return means


# Both


def _checked(samples: ArrayLike) -> Floats:
    values = np.asarray(samples, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"every duration should be a finite number, got {values[~np.isfinite(values)][0]}")
    return values


def _resampled(values: Floats, statistic: Callable[[Floats], Floats], rng: np.random.Generator) -> Floats:
    """Return the statistic of N_RESAMPLES rows, each as long as the values and drawn from them with replacement."""
    n = len(values)
    rows = max(1, _CHUNK_ELEMENTS // n)
    sizes = [min(rows, N_RESAMPLES - start) for start in range(0, N_RESAMPLES, rows)]
    return np.concatenate([statistic(values[rng.integers(n, size=(size, n))]) for size in sizes])


def _spread_ends(centre: float, drawn: Floats, n: int) -> tuple[float, float]:
    """Return the ends of the draws' interval after they were centred and spread out (see the module)."""
    from scipy.special import ndtri, stdtrit

    factor = math.sqrt(n / (n - 1)) * float(stdtrit(n - 1, 1 - _TAIL)) / float(ndtri(1 - _TAIL))
    low, high = np.quantile(centre + factor * (drawn - drawn.mean()), [_TAIL, 1 - _TAIL], method="weibull")
    return float(low), float(high)
