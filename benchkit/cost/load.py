"""Put open-loop load on a model: one worker behind a queue, or an endpoint over several connections.

    spec ─┬─ local: ModelProcess, one connection ─────────┐
          └─ endpoint: a client per connection, no retry ─┴─ Target
    capacity:  every request due at once ── run_load ──> answers per second
    each rate: poisson_schedule ─────────── run_load ──> LoadRun ── summarise ──> LoadPoint ──> LoadReport

Bounded: seconds and requests of each rate, the time of each request (cost/load_run.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from benchkit.cost.design import REMOTE_LOADER
from benchkit.cost.load_run import Target, run_load
from benchkit.cost.process import ModelProcess
from benchkit.errors import BenchkitError, UsageError
from benchkit.measure.machine import hardware_facts
from benchkit.measure.open_loop import KEPT_UP_SHARE, capacity, poisson_schedule, saturation, summarise
from benchkit.models.names import resolve_loader
from benchkit.models.openai import OpenAIEncoder, OpenAIHandle
from benchkit.models.openai_client import REAL_TIME, Client
from benchkit.plugins import open_model
from benchkit.types.cost import TextSource
from benchkit.types.load import LoadPoint, LoadReport, LoadRun, Server
from benchkit.types.model import ModelMeta, ModelSpec, OpenContext

CONNECTIONS = 64  # of an endpoint under load: Little's law, 64 requests/s of a second each
CAPACITY_CONNECTIONS = 16  # of its closed loop; enough to keep a server's batches full
MOST_REQUESTS = 2000  # of one rate
CAPACITY_S = 3.0
CAPACITY_REQUESTS = 500
WARM_S = 5.0
WARM_BATCH = 32
DEADLINE = 2.0  # of a rate, in lengths of its schedule: 20 s after 10
REQUEST_S = 20.0  # of an endpoint's answer


# ---------------------------------------------------------------- what is asked


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The load to put on a model.

    Attributes:
        rates: Requests per second. The capacity of an endpoint isn't measured then: it is asked no more than was said.
            None takes the utilisations.
        utilisations: Shares of the capacity, which a closed loop measures first.
        slo_ms: Longest latency that counts as served in time.
        seconds: Length of the schedule of each rate, cut to 2000 requests; nothing is sent after twice this time.
    """

    rates: tuple[float, ...] | None = None
    utilisations: tuple[float, ...] = (0.3, 0.5, 0.7)
    slo_ms: float | None = None
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class _Service:
    """A model that is ready to be asked.

    Attributes:
        n_texts: Texts that requests may take.
        workers: Connections under load.
        loop_workers: Connections of the closed loop that measures the capacity.
    """

    server: Server
    target: Target
    n_texts: int
    workers: int
    loop_workers: int
    is_alive: Callable[[], bool] = lambda: True
    threads: int | None = None
    engine: str | None = None
    notes: tuple[str, ...] = ()

    def run(self, due: NDArray[np.float64], *, workers: int, deadline_s: float) -> LoadRun:
        """Send a request at each of these times (`run_load`)."""
        return run_load(self.target, due, self.n_texts, workers=workers, deadline_s=deadline_s, is_alive=self.is_alive)


@contextmanager
def _local(spec: ModelSpec, context: OpenContext, source: TextSource) -> Iterator[_Service]:
    """Start the model in a process that serves one request at a time."""
    with ModelProcess(spec, context) as process:
        facts = process.start()
        n_texts = _warm(process, source)

        def target(connection: int, text: int) -> object:
            return process.encode(source, text, text + 1)

        yield _Service(
            server="worker",
            target=target,
            n_texts=n_texts,
            workers=1,
            loop_workers=1,
            is_alive=lambda: process.alive,
            threads=facts.threads,
            engine=facts.engine,
            notes=("one process that encodes one text at a time; no network and no batching across requests",),
        )


def _warm(process: ModelProcess, source: TextSource, *, clock: Callable[[], float] = time.perf_counter) -> int:
    """Encode the texts once, for some seconds at most, and return how many that were.

    The child counts the tokens of a text when it first meets it. Requests take these texts only, so that none of them
    pays for the counting.
    """
    process.encode(source, 0, 1)  # alone: the first call of a model may take seconds
    start, done = clock(), 1
    while done < len(source.texts) and clock() - start < WARM_S:
        stop = min(done + WARM_BATCH, len(source.texts))
        process.encode(source, done, stop)
        done = stop
    return done


@contextmanager
def _endpoint(spec: ModelSpec, context: OpenContext, source: TextSource) -> Iterator[_Service]:
    """Open an endpoint with a client for each connection.

    A client of its own, because a client keeps one session and asks one request at a time. Without retries: a retried
    request would hide a failure in a latency.
    """
    handle = open_model(spec, context)
    if not isinstance(handle, OpenAIHandle):
        raise TypeError(f"the loader {REMOTE_LOADER!r} returned {type(handle).__name__}")
    asked = handle.client.endpoint
    if asked.requests_per_minute is not None:
        raise UsageError(
            f"model {spec.label!r}: option 'requests_per_minute' holds requests back, and load must not be held back; "
            "leave one of the two out"
        )
    measured = replace(asked, max_retries=0, timeout_s=min(asked.timeout_s, REQUEST_S))
    encoders = [
        OpenAIEncoder(handle.meta, handle.prompts, Client(measured, REAL_TIME), handle.vector_key)
        for _ in range(CONNECTIONS)
    ]
    prompt = encoders[0].prompt_for(task_name=source.task_name, task_type=source.task_type, role=source.role)

    def target(connection: int, text: int) -> object:
        return encoders[connection].encode(source.texts[text : text + 1], prompt=prompt)

    notes = (
        f"asked over up to {CONNECTIONS} connections, one text a request, without retries",
        "network and reading the answer are in the latency",
        f"requests take {len(source.texts)} texts in turn: a server that keeps answers looks faster than it is",
    )
    yield _Service(
        server="endpoint",
        target=target,
        n_texts=len(source.texts),
        workers=CONNECTIONS,
        loop_workers=CAPACITY_CONNECTIONS,
        notes=notes,
    )


# ---------------------------------------------------------------- one model


def measure_load(
    spec: ModelSpec,
    meta: ModelMeta,
    context: OpenContext,
    source: TextSource,
    plan: LoadPlan,
    *,
    seed: int = 42,
    on_stage: Callable[[str], None] = lambda _: None,
) -> LoadReport:
    """Put load on one model, at each of some rates.

    Args:
        source: Texts that requests take in turn, one each.
        seed: The same arrivals, faster or slower, for every rate and model.

    Returns:
        The report; what went wrong with the model is its `failure`. After Ctrl-C it is `interrupted`, and holds the
        rates that were finished.

    Raises:
        UsageError: a rate or share that can't be, or a rate without a request in its time.
    """
    _check(plan)
    is_endpoint = resolve_loader(spec) == REMOTE_LOADER
    session = _Session(
        LoadReport(
            model=meta.name,
            server="endpoint" if is_endpoint else "worker",
            device=context.device,
            connections=CONNECTIONS if is_endpoint else 1,
            slo_ms=plan.slo_ms,
            hardware=hardware_facts(context.device),
            measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds_per_rate=plan.seconds,
            seed=seed,
        ),
        on_stage,
    )
    on_stage(f"{meta.name}: starting it for load")
    try:
        with _endpoint(spec, context, source) if is_endpoint else _local(spec, context, source) as service:
            session.run(service, plan)
    except BenchkitError as exc:  # the other models go on
        session.report = replace(session.report, failure=str(exc).removeprefix(f"{spec.label}: "))
    except KeyboardInterrupt:
        session.report = replace(session.report, interrupted=True)
    return replace(session.report, saturation_per_s=saturation(session.report.points))


class _Session:
    """The runs of one model; `report` holds what is known so far, also when the model fails on the way."""

    def __init__(self, report: LoadReport, on_stage: Callable[[str], None]) -> None:
        self.report = report
        self._on_stage = on_stage

    def run(self, service: _Service, plan: LoadPlan) -> None:
        self.report = replace(self.report, notes=service.notes, threads=service.threads, engine=service.engine)
        rates = plan.rates
        if rates is None or service.server == "worker":
            self._on_stage(f"{self.report.model}: measuring its capacity in a closed loop")
            self.report = replace(self.report, capacity_per_s=_capacity(service))
        if rates is None:
            assert self.report.capacity_per_s is not None
            rates = tuple(share * self.report.capacity_per_s for share in plan.utilisations)
        for rate in sorted(set(rates)):
            point = self._point(service, rate)
            self.report = replace(self.report, points=(*self.report.points, point))
            if not service.is_alive():
                raise BenchkitError(f"its process ended at {rate:.3g} requests/s; {'; '.join(point.notes)}")

    def _point(self, service: _Service, rate: float) -> LoadPoint:
        report = self.report
        share = "" if report.capacity_per_s is None else f" ({rate / report.capacity_per_s:.0%} of its capacity)"
        self._on_stage(f"{report.model}: {rate:.3g} requests/s{share} for {report.seconds_per_rate:g} s")
        wanted = max(round(rate * report.seconds_per_rate), 1)
        n = min(wanted, MOST_REQUESTS)
        due = poisson_schedule(rate, n, np.random.default_rng(report.seed))
        run = service.run(due, workers=service.workers, deadline_s=DEADLINE * report.seconds_per_rate)
        point = summarise(run, model=report.model, slo_ms=report.slo_ms, capacity_per_s=report.capacity_per_s)
        if n == wanted:
            return point
        return replace(point, notes=(*point.notes, f"cut to {n} requests, {n / rate:.3g} s"))


def _capacity(service: _Service) -> float:
    run = service.run(np.zeros(CAPACITY_REQUESTS), workers=service.loop_workers, deadline_s=CAPACITY_S)
    n_sent, n_failed = int(np.isfinite(run.sent).sum()), len(run.failures)
    found = capacity(run)
    if found is None or n_failed > (1 - KEPT_UP_SHARE) * n_sent:
        reason = next(iter(run.failures.values()), "none was sent in time")
        raise BenchkitError(
            f"{n_failed} of {n_sent} requests of the closed loop failed, so there is no capacity to take shares of "
            f"({reason}); ask it less, with rates"
        )
    return found


def _check(plan: LoadPlan) -> None:
    rates, utilisations, slo_ms, seconds = plan.rates, plan.utilisations, plan.slo_ms, plan.seconds
    if rates is not None and not (rates and all(0 < rate < float("inf") for rate in rates)):
        raise UsageError(f"rates should be finite numbers above 0, got {list(rates)}")
    if rates is None and not (utilisations and all(0 < share < float("inf") for share in utilisations)):
        raise UsageError(f"utilisations should be finite numbers above 0, got {list(utilisations)}")
    if slo_ms is not None and not 0 < slo_ms < float("inf"):
        raise UsageError(f"the longest latency should be a finite number of ms above 0, got {slo_ms}")
    if not 0 < seconds < float("inf"):
        raise UsageError(f"the length of a rate should be a finite number of seconds above 0, got {seconds}")
    if rates is not None and (low := min(rates)) * seconds < 1:
        raise UsageError(
            f"{low:g} requests/s is less than one request in {seconds:g} s; give more seconds or a higher rate"
        )
