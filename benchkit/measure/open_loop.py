"""Open-loop load: when requests arrive, and what their latencies say. No clock runs here.

    rate, n ── poisson_schedule ──> due times ── (driver) ──> LoadRun ── summarise ──> LoadPoint
                                        └─ single_server_latencies: what a queue with one server would make of it
    LoadPoints of rising rates ── saturation ──> the highest rate that is held

In a closed loop the next request waits for the last answer, so a model that stalls is asked less and looks fast. Here
requests are due at times that were drawn before, and latency counts from there ("coordinated omission", Tene, "How NOT
to Measure Latency", 2015; the Server scenario of Reddi et al., "MLPerf Inference Benchmark", ISCA 2020).

Queues: Lindley, "The theory of queues with a single server", Proc. Camb. Phil. Soc. 48 (1952).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchkit.measure.latency import nearest_rank
from benchkit.measure.waiting import effective_number, percentile_interval, queue_inflation, share_interval
from benchkit.types.load import Interval, LoadPoint, LoadRun

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PERCENTILES = (50, 90, 95, 99)
WARMUP_SHARE = 0.1  # a run begins with an empty queue, which flatters the first requests
KEPT_UP_SHARE = 0.95
FLUCTUATION = 2  # simulated queues: with 0, a load of 70 % is called an overload in 37 % of runs of 30 requests
# Standard deviations of a Poisson number: an endpoint answers many at once, and how many are under way varies so.
ENDPOINT_FLUCTUATION = 1.5
# The client distorts a percentile when it is itself late by more than a tenth of it; below a millisecond it can't tell.
LATE_SHARE = 0.1
LATE_S = 1e-3
FEW_REQUESTS = 100  # with fewer, p99 is the slowest of all
DRIFT = 0.2  # a worker that is busy for so much more or less of the time is not the one whose capacity was measured


def poisson_schedule(rate_per_s: float, n: int, rng: np.random.Generator) -> Floats:
    """Return the times in seconds at which n requests are due: ascending, the last at n / rate_per_s, float64 (n,).

    The gaps are exponential, scaled so that the n-th arrival comes at its mean time: a Poisson process under the
    condition that it does. Without it, 100 requests would make a rate that is 10 % off the stated one (one standard
    deviation), and near saturation that decides the latencies.

    Raises:
        ValueError: the rate is not above 0, or n is below 1.
    """
    if not (rate_per_s > 0 and np.isfinite(rate_per_s)):
        raise ValueError(f"rate_per_s should be a number above 0, got {rate_per_s}")
    if n < 1:
        raise ValueError(f"n should be at least 1, got {n}")
    arrivals = np.cumsum(rng.exponential(size=n))
    due: Floats = arrivals / arrivals[-1] * (n / rate_per_s)
    return due


def single_server_latencies(due: Floats, service_s: Floats) -> Floats:
    """Return the time from due to finished of each request in a queue with one server, first come first served.

    Lindley's recursion: wait[k+1] = max(0, wait[k] + service[k] - (due[k+1] - due[k])); latency = wait + service.

    Raises:
        ValueError: the lengths differ.

    >>> single_server_latencies(np.array([0.0, 1.0, 5.0]), np.array([3.0, 1.0, 1.0])).tolist()
    [3.0, 3.0, 1.0]
    """
    if len(due) != len(service_s):
        raise ValueError(f"{len(due)} arrivals, but {len(service_s)} service times")
    latencies = np.empty(len(due))
    finished = -np.inf
    for place, (at, service) in enumerate(zip(due, service_s, strict=True)):
        finished = max(at, finished) + service
        latencies[place] = finished - at
    return latencies


def capacity(run: LoadRun) -> float | None:
    """Return the answers per second of a closed loop (a run in which every request is due at once); None of none."""
    done = _completed(run)
    return float(done.sum() / run.finished[done].max()) if done.any() else None


def keeps_up(run: LoadRun) -> bool:
    """Return whether the answers came as fast as the requests.

    At least 95 % of the requests (one may always be missing) have been answered, without failure, when the last is due.
    Those that are then still in line or under way are missing only if they are more than two above their mean number
    during the run: a few always are, and only a backlog that grows is an overload (steadily from nothing, it ends at
    twice its mean). In simulated queues with one server a load of 70 % is called an overload in 9 % of runs of 30
    requests, 3 % of 100 and none of 300; a load of 125 % is found in 69 %, 98 % and all.

    An endpoint that answers all at once has a Poisson number under way, so that 1.5 times the root of its mean is
    allowed above the two. With 8 and 20 under way on average that is called an overload in 2 % and 7 % of simulated
    runs of 100 requests (27 % and 55 % otherwise); a load of 125 % of a queue behind the endpoint is found in 72 %, of
    150 % in 97 %.
    """
    end = run.due[-1]
    is_behind = ~(run.finished <= end)
    mean_backlog = float((np.where(is_behind, end, run.finished) - run.due).sum() / end)
    n_behind = int(is_behind[:-1].sum())  # the last arrives just then and can't be answered yet
    missing = sum(not is_behind[place] for place in run.failures)
    fluctuation = FLUCTUATION + (0.0 if run.workers == 1 else ENDPOINT_FLUCTUATION * math.sqrt(mean_backlog))
    if n_behind > mean_backlog + fluctuation:
        missing += n_behind
    return missing <= max(1.0, (1 - KEPT_UP_SHARE) * len(run.due))


def summarise(
    run: LoadRun, *, model: str, slo_ms: float | None = None, capacity_per_s: float | None = None
) -> LoadPoint:
    """Return the figures of a run.

    The first tenth of the requests are a warm-up, in no percentile and no share.
    """
    n, end = len(run.due), float(run.due[-1])
    counted = np.arange(n) >= int(n * WARMUP_SHARE)
    done, is_unsent = _completed(run), np.isnan(run.sent)
    latency = run.finished - run.due
    # A request that was never sent took longer than any other; to leave it out would flatter an overloaded model.
    ranked = np.where(is_unsent, np.inf, latency)[counted & (done | is_unsent)]
    service = (run.finished - run.sent)[counted & done]
    late = _lateness(run)[counted & ~is_unsent]
    offered = n / end
    is_kept_up, is_valid = keeps_up(run), _is_on_time(late, ranked)
    within = None if slo_ms is None else float((latency[counted & done] <= slo_ms / 1000).sum() / counted.sum())
    point = LoadPoint(
        model=model,
        offered_per_s=offered,
        utilisation=None if capacity_per_s is None else offered / capacity_per_s,
        busy=_busy(run),
        achieved_per_s=float((run.finished[done] <= end).sum() / end),
        n=int(counted.sum()),
        n_warmup=int((~counted).sum()),
        failed=sum(bool(counted[place]) for place in run.failures),
        unsent=int((counted & is_unsent).sum()),
        p50_ms=_percentile_ms(ranked, 50),
        p90_ms=_percentile_ms(ranked, 90),
        p95_ms=_percentile_ms(ranked, 95),
        p99_ms=_percentile_ms(ranked, 99),
        service_p50_ms=_percentile_ms(service, 50),
        service_p95_ms=_percentile_ms(service, 95),
        goodput_per_s=None if within is None else within * offered,
        within_slo=within,
        late_p99_ms=_percentile_ms(late, 99),
        queued=int((counted & _is_queued(run)).sum()),
        keeps_up=is_kept_up,
        valid=is_valid,
        notes=tuple(_notes(run, counted, capacity_per_s)),
    )
    return _with_intervals(point, run, counted, ranked) if is_kept_up and is_valid else point


def _with_intervals(point: LoadPoint, run: LoadRun, counted: Flags, ranked: Floats) -> LoadPoint:
    """Return the point with its intervals; the run was kept up with, so that there is something to estimate."""
    done, busy = _completed(run), _busy(run)
    # Sums of a clock tell equal latencies apart in their last digits, which are no ranks.
    order: Floats = np.where(done, run.finished - run.due, np.inf)[counted].round(9)
    queue = None if busy is None else queue_inflation(busy, (run.finished - run.sent)[counted & done])
    n_effective = effective_number(order, queue=queue)
    found = {
        f"p{percent}_ms": percentile_interval(1000 * ranked, percent, n_effective=n_effective * len(ranked) / point.n)
        for percent in PERCENTILES
    }
    if point.within_slo is not None:
        low, high = share_interval(point.within_slo, n_effective=n_effective)
        found["goodput_per_s"] = low * point.offered_per_s, high * point.offered_per_s
    intervals = {name: Interval(*ends) for name, ends in found.items() if ends is not None}
    return replace(point, intervals=intervals, n_effective=n_effective)


def saturation(points: Sequence[LoadPoint]) -> float | None:
    """Return the highest rate that was held together with every lower one; None where not even the lowest was.

    A rate at which the client was late says nothing of the model, so what lies above it isn't claimed either.
    """
    held = None
    for point in sorted(points, key=lambda point: point.offered_per_s):
        if not point.is_held:
            break
        held = point.offered_per_s
    return held


def _completed(run: LoadRun) -> Flags:
    done = ~np.isnan(run.finished)
    done[list(run.failures)] = False
    return done


def _lateness(run: LoadRun) -> Floats:
    """Return how late each request was sent although a connection was free: the client's own doing."""
    lateness: Floats = run.sent - np.maximum(run.due, run.free)
    return lateness


def _is_queued(run: LoadRun) -> Flags:
    # Never sent means that it was still in line at the deadline.
    return (run.free > run.due) | np.isnan(run.sent)


def _busy(run: LoadRun) -> float | None:
    if run.workers > 1:
        return None
    sent = ~np.isnan(run.sent)
    end = run.due[-1]
    return float((np.minimum(run.finished, end) - np.minimum(run.sent, end))[sent].sum() / end)


def _is_on_time(late: Floats, latency: Floats) -> bool:
    for percent in (50, 99):
        if len(late) and len(latency) and _is_late(nearest_rank(late, percent), nearest_rank(latency, percent)):
            return False
    return True


def _is_late(own: float, whole: float) -> bool:
    return own > max(LATE_S, LATE_SHARE * whole)


def _notes(run: LoadRun, counted: Flags, capacity_per_s: float | None) -> Iterator[str]:
    n = int(counted.sum())
    if n < FEW_REQUESTS:
        yield f"{n} requests only: p99 is the slowest of them"
    if reasons := Counter(reason for place, reason in run.failures.items() if counted[place]):
        reason, times = reasons.most_common(1)[0]
        mostly = "" if len(reasons) == 1 else f"mostly ({times}): "
        yield f"{reasons.total()} of {n} requests failed: {mostly}{reason}"
    if unsent := int((counted & np.isnan(run.sent)).sum()):
        yield f"{unsent} of {n} requests were never sent: still in line when the run ended (limit {run.deadline_s:g} s)"
    queued = int((counted & _is_queued(run)).sum())
    if run.workers > 1 and queued:
        yield f"{queued} of {n} requests were due while all {run.workers} connections were taken, and were sent later"
    busy = _busy(run)
    if busy is not None and capacity_per_s is not None and keeps_up(run):
        expected = len(run.due) / run.due[-1] / capacity_per_s
        if abs(busy / expected - 1) > DRIFT:
            yield f"at work {busy:.0%} of the time and not {expected:.0%}: its speed wasn't that of the capacity run"


def _percentile_ms(seconds: Floats, percent: int) -> float | None:
    """Return a percentile in ms; None of none, or where the rank falls on a request that has no end."""
    found = nearest_rank(seconds, percent) if len(seconds) else np.inf
    return float(found * 1000) if np.isfinite(found) else None
