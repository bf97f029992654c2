"""How a model stands load: requests that arrive whatever is under way.

    arrivals of one rate ── sent and answered ──> LoadRun ── measure.open_loop.summarise ──> LoadPoint
    the points of a model ── saturation ──> LoadReport ──> table · JSON

Latency counts from the time at which a request was due, not from the time at which it was sent: a model that stalls
for a second makes every request late that was due in this second. Absent is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Server = Literal["worker", "endpoint"]

# The share of all requests within the limit that makes a rate held: what "p99 within the limit" says, failures counted.
HELD_SHARE = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class LoadRun:
    """What one run saw; every array has one entry for each request, in the order in which they were due.

    Attributes:
        due: Seconds after the start at which a request was to be sent, ascending, float64 (n,).
        free: When a connection was free to take it; NaN where none came to it before the deadline.
        sent: When it was sent; NaN where it never was.
        finished: When its answer, or its failure, was there; NaN where it was never sent.
        failures: Why a request failed, by its place; such a request has no latency.
        workers: Connections: as many requests were under way at most.
        deadline_s: No request was sent later than this.
    """

    due: NDArray[np.float64]
    free: NDArray[np.float64]
    sent: NDArray[np.float64]
    finished: NDArray[np.float64]
    failures: Mapping[int, str]
    workers: int
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Interval:
    """The 95 % interval of a figure, in its unit."""

    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One model at one rate. The latencies are of the `n` requests after the warm-up, the rates of the whole run.

    Attributes:
        offered_per_s: Requests that arrived per second: their number / the time at which the last was due.
        utilisation: offered_per_s / capacity of the model; None where the capacity wasn't measured.
        busy: Share of the time in which the one worker really was at work; None behind several connections.
        achieved_per_s: Answers without failure until the last request was due, per second; never above the offered.
        n: Requests behind the percentiles and shares: completed, failed and never sent.
        n_warmup: Requests before them, sent and not counted.
        failed: Requests that got an error for an answer; in no percentile.
        unsent: Requests that the deadline cut off; in the percentiles as longer than any other.
        p50_ms, p90_ms, p95_ms, p99_ms: Latency from the time at which a request was due, by nearest rank; None where
            the rank falls on a request that was never sent, or where all failed.
        service_p50_ms, service_p95_ms: From the time at which a request was sent, which is what a closed loop sees.
        goodput_per_s: Requests per second that completed within the limit; None without a limit.
        within_slo: Share of the `n` that completed within the limit; None without a limit.
        late_p99_ms: How late the client itself sent a request although a connection was free.
        queued: Requests that were due while every connection was taken.
        keeps_up: Whether the answers came as fast as the requests (rule: measure.open_loop.keeps_up).
        valid: Whether the client was on time, so that the latencies are the model's.
        intervals: Of the latencies from due time and of the goodput, by the name of the field. One that is missing has
            too few arrivals, or none can be: at a rate that isn't kept up with latency grows as long as the run lasts.
        n_effective: As how many independent requests the `n` count, for they wait for each other
            (measure.waiting); None where there can be no interval.
    """

    model: str
    offered_per_s: float
    utilisation: float | None
    busy: float | None
    achieved_per_s: float
    n: int
    n_warmup: int
    failed: int
    unsent: int
    p50_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    service_p50_ms: float | None
    service_p95_ms: float | None
    goodput_per_s: float | None
    within_slo: float | None
    late_p99_ms: float | None
    queued: int
    keeps_up: bool
    valid: bool
    notes: tuple[str, ...] = ()
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    n_effective: float | None = None

    @property
    def is_within_slo(self) -> bool:
        """Whether enough requests completed within the limit; true without one."""
        return self.within_slo is None or self.within_slo >= HELD_SHARE

    @property
    def is_held(self) -> bool:
        """Whether the model stands this rate for certain: measured on time, kept up with, within the limit."""
        return self.valid and self.keeps_up and self.is_within_slo


@dataclass(frozen=True, slots=True)
class LoadReport:
    """One model under load, in one session on one machine.

    Attributes:
        server: "worker" is one process that serves one request at a time, the others wait in line; "endpoint" is a
            server that is asked over several connections.
        connections: How many requests could be under way at most.
        capacity_per_s: Requests per second in a closed loop; None where it wasn't measured.
        slo_ms: Longest latency that counts as served in time; None without such a limit.
        points: By rising rate.
        saturation_per_s: The highest rate that the model held, with every lower one; None where it held none.
        failure: Why the model has no or not all points; "" where nothing went wrong.
        hardware: What decides a duration: processor, cores, memory, GPU. Of an endpoint it is the client's.
        measured_at: ISO 8601, UTC.
        threads, engine: Of the worker, as its process told.
        interrupted: Somebody pressed Ctrl-C; the points are those that were finished.
    """

    model: str
    server: Server
    device: str
    connections: int
    slo_ms: float | None
    hardware: Mapping[str, str]
    measured_at: str
    seconds_per_rate: float
    seed: int
    capacity_per_s: float | None = None
    points: tuple[LoadPoint, ...] = ()
    saturation_per_s: float | None = None
    failure: str = ""
    notes: tuple[str, ...] = ()
    threads: int | None = None
    engine: str | None = None
    interrupted: bool = False
