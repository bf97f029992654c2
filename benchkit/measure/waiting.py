"""Intervals of latencies under load, which aren't independent: a request that waits makes the next one wait.

    latencies in order of arrival ── effective_number ──> as how many independent ones they count
                                        │
    latencies, percent ─────────────────┼─ percentile_interval ──> the ranks that hold the percentile, or None
    how many were in time ──────────────┴─ share_interval ───────> limits of their share

Successive latencies of a queue are alike for as long as a busy period lasts, so 500 of them can say as little as 30
independent ones, and a bootstrap of single requests, or the ranks of latency.py, would promise far too much. The
variance of a mean of n of them is larger by tau = 1 + 2 * (sum of the autocorrelations); n / tau count. Tau is
estimated from the ranks of the latencies (all of them: at a high percentile alone, a run that happens to lack a long
busy period would look both fast and certain), its sum ended by Geyer's initial positive sequence. Of one worker tau is
known before: it is not taken below 1 + (1 + c^2) * rho / (1 - rho)^2, rho the share of the time at work and c the
variation of the service times. This fits simulated queues to a tenth and a half (M/D/1, M/M/1; rho 0.3 to 0.85), while
short runs see less. Against what is still missed in the tail, where busy periods come in one piece, tau is taken 1.5
times, and twice of an endpoint, whose queue nobody sees.

With n_effective in the place of n, the limits are Clopper and Pearson's for a share, turned into ranks for a percentile
(Woodruff 1952; Korn and Graubard 1998 for shares in clusters). A percentile needs three effective latencies beyond it:
with fewer there are "not enough arrivals" for an interval. p99 takes about 450 requests that don't wait for each other,
and more than 2000 where a worker is busy for 70 % of the time.

In simulated queues (M/M/1 and M/D/1, rho 0.3 to 0.85, 50 to 2000 requests; benchmarks/load_coverage.py) an interval is
given and misses in 4 % of the runs of a worker at most, in 7 % of those of an endpoint (12 % of 50 requests at 0.85),
mostly in 0 to 3 %. The intervals hold the chance of arrivals and of calls on the machine as it was during the run; what
it may do at another hour isn't in them.

Sources: Geyer, "Practical Markov Chain Monte Carlo", Statistical Science 7 (1992), section 3.3; Woodruff, "Confidence
Intervals for Medians and Other Position Measures", JASA 47 (1952); Korn and Graubard, "Confidence Intervals for
Proportions with Small Expected Number of Positive Counts", Survey Methodology 24 (1998).
Cost: O(n log n).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MARGIN_OF_WORKER, MARGIN_OF_ENDPOINT = 1.5, 2.0
LEAST_BEYOND = 3.0  # effective latencies on the rarer side of a percentile
_TAIL = 0.025


def inflation(latencies: Floats) -> float:
    """Return tau, by which successive latencies inflate the variance of a mean: 1 where they are independent.

    Args:
        latencies: In order of arrival (n,); only their ranks count, so that infinity is a value like others.

    >>> inflation(np.array([1.0, 2.0, 1.0, 2.0, 1.0, 2.0]))  # never below that of independent ones
    1.0
    """
    n = len(latencies)
    _, which, counts = np.unique(latencies, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[which]  # of equal ones the mean
    centred = ranks - (n + 1) / 2
    if n < 2 or not centred.any():
        return 1.0
    spectrum = np.abs(np.fft.rfft(centred, 2 * n)) ** 2
    correlations = np.fft.irfft(spectrum)[:n] / (centred @ centred)
    pairs = correlations[0 : n // 2 * 2 : 2] + correlations[1 : n // 2 * 2 : 2]
    ended = np.flatnonzero(pairs <= 0)
    used = pairs[: ended[0]] if len(ended) else pairs
    return max(1.0, float(2 * used.sum() - 1))


def queue_inflation(busy: float, service_s: Floats) -> float:
    """Return the tau of a queue with one worker, which short runs underestimate; infinite where it is always at work.

    Args:
        busy: Share of the time at work.
        service_s: Service times (n,).

    >>> queue_inflation(0.5, np.ones(10)), queue_inflation(1.0, np.ones(10))  # 1 + 0.5 / 0.25
    (3.0, inf)
    """
    if busy >= 1:
        return math.inf
    mean = service_s.mean() if len(service_s) else 0.0
    squared_variation = float(service_s.var() / mean**2) if mean > 0 else 0.0
    return 1 + (1 + squared_variation) * busy / (1 - busy) ** 2


def effective_number(latencies: Floats, *, queue: float | None) -> float:
    """Return as how many independent ones these latencies count; less than their number.

    Args:
        queue: `queue_inflation` of the one worker; None of an endpoint, whose own queue nobody sees.
    """
    if queue is None:
        return len(latencies) / (MARGIN_OF_ENDPOINT * inflation(latencies))
    return len(latencies) / (MARGIN_OF_WORKER * max(inflation(latencies), queue))


def percentile_interval(latencies: Floats, percent: int, *, n_effective: float) -> tuple[float, float] | None:
    """Return the 95 % interval of a percentile; None with too few effective latencies, or an end at infinity.

    >>> percentile_interval(np.arange(1.0, 101.0), 50, n_effective=100.0)  # as of 100 independent ones
    (39.0, 61.0)
    >>> percentile_interval(np.arange(1.0, 101.0), 95, n_effective=20.0) is None  # only one beyond it
    True
    """
    n, share = len(latencies), percent / 100
    if n == 0 or n_effective * min(share, 1 - share) < LEAST_BEYOND:
        return None
    low, high = _limits(share, n_effective)
    first, last = math.floor(low * n), math.ceil(high * n)
    if first < 1:
        return None
    ordered = np.sort(latencies)
    ends = float(ordered[first - 1]), float(ordered[last - 1])
    return ends if math.isfinite(ends[1]) else None


def share_interval(share: float, *, n_effective: float) -> tuple[float, float]:
    """Return the 95 % limits of a share, 0 to 1.

    >>> low, high = share_interval(1.0, n_effective=100.0)
    >>> round(low, 3), high  # 0.025**(1 / 100)
    (0.964, 1.0)
    """
    return _limits(share, n_effective) if n_effective > 0 else (0.0, 1.0)


def _limits(share: float, n: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    count = share * n
    low = float(betaincinv(count, n - count + 1, _TAIL)) if count > 0 else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - _TAIL)) if share < 1 else 1.0
    return low, high
