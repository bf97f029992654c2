"""The driver of open-loop load, in time that a test makes: exact to the microsecond, also over several connections."""

from __future__ import annotations

import gc
import heapq
import math
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from benchkit.cost import load
from benchkit.cost.load import LoadPlan, measure_load
from benchkit.cost.load_run import THREAD_NAME, run_load
from benchkit.errors import BenchkitError, UsageError
from benchkit.measure.open_loop import Floats, capacity, poisson_schedule, single_server_latencies, summarise
from benchkit.types.cost import TextSource
from benchkit.types.load import LoadRun
from benchkit.types.model import ModelMeta, ModelSpec, OpenContext

MICROSECOND = 1e-6


def after(start: float, seconds: float) -> float:
    """Return the end of a sleep; time moves on in the shortest one too."""
    return max(start + seconds, math.nextafter(start, math.inf))


@dataclass
class Clock:
    """Time that passes only in a sleep, and there `overslept_s` too much."""

    overslept_s: float = 0.0
    at: float = 5.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at = after(self.at, seconds + self.overslept_s)

    def run(self, service_s: Callable[[int], float], due: Floats, n_texts: int = 10**6, **how: float) -> LoadRun:
        """Run a worker that takes so long for each text."""
        return run_load(
            lambda connection, text: self.sleep(service_s(text) - self.overslept_s),
            due, n_texts, clock=self.now, sleep=self.sleep, **how,
        )  # fmt: skip


@dataclass
class VirtualTime:
    """Time for several threads: when all of them sleep, it goes to the next one's end."""

    at: float = 0.0
    sleeping: dict[int, float] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        own = threading.get_ident()
        with self.changed:
            end = after(self.at, seconds)
            self.sleeping[own] = end
            while self.at < end:
                if self._all_sleep():
                    self.at = min(self.sleeping.values())
                    self.changed.notify_all()
                else:
                    self.changed.wait(0.001)
            del self.sleeping[own]

    def _all_sleep(self) -> bool:
        n_threads = sum(thread.name.startswith(THREAD_NAME) for thread in threading.enumerate())
        return len(self.sleeping) == n_threads and min(self.sleeping.values()) > self.at

    def run(self, service_s: Callable[[int], float], due: Floats, workers: int, deadline_s: float = 20.0) -> LoadRun:
        return run_load(
            lambda connection, text: self.sleep(service_s(text)),
            due, 10**6, workers=workers, deadline_s=deadline_s, clock=self.now, sleep=self.sleep,
        )  # fmt: skip


def latency(run: LoadRun) -> Floats:
    return run.finished - run.due


# ---------------------------------------------------------------- one worker


def test_worker_serves_in_line_and_latency_counts_from_the_due_time() -> None:
    # Served 0.1-0.4, 0.4-0.7 (due 0.2), and after a pause 1-1.3.
    run = Clock().run(lambda text: 0.3, np.array([0.1, 0.2, 1.0]))
    assert run.sent == pytest.approx([0.1, 0.4, 1.0], abs=MICROSECOND)
    assert run.finished == pytest.approx([0.4, 0.7, 1.3], abs=MICROSECOND)
    assert run.free == pytest.approx([0.0, 0.4, 0.7], abs=MICROSECOND)
    assert latency(run) == pytest.approx([0.3, 0.5, 0.3], abs=MICROSECOND)
    assert run.failures == {}
    assert run.workers == 1


@pytest.mark.parametrize("utilisation", [0.5, 0.95])
def test_worker_is_a_queue_with_one_server(utilisation: float) -> None:
    service = np.random.default_rng(3).gamma(2.0, 0.005, 500)
    due = poisson_schedule(utilisation * 100, 500, np.random.default_rng(4))
    run = Clock().run(lambda text: float(service[text]), due)
    assert latency(run) == pytest.approx(single_server_latencies(due, service), abs=MICROSECOND)


def test_a_stall_of_one_second_is_in_the_latency_of_every_request_that_it_held_up() -> None:
    # Ten a second, 10 ms each; the one at second 1 takes a second. A closed loop would have asked nothing meanwhile.
    due = np.arange(1, 41) / 10
    run = Clock().run(lambda text: 1.0 if text == 9 else 0.01, due)
    slow = latency(run) > 0.1
    # Those due at 1.0, 1.1 ... 2.0: 1 s, 910 ms, 820 ms ... down to 100 ms.
    assert np.flatnonzero(slow).tolist() == list(range(9, 19))
    assert latency(run)[9:20] == pytest.approx([1.0 - 0.09 * held_up for held_up in range(11)], abs=MICROSECOND)
    service = run.finished - run.sent
    assert (service > 0.1).sum() == 1
    point = summarise(run, model="m", slo_ms=100.0)
    assert point.n == 36
    assert point.within_slo == pytest.approx(26 / 36)
    assert point.p90_ms == pytest.approx(730)  # the 33rd of 36
    assert point.service_p95_ms == pytest.approx(10)
    assert point.valid


def test_requests_take_the_texts_in_turn() -> None:
    taken: list[tuple[int, int]] = []
    clock = Clock()
    run_load(lambda *asked: taken.append(asked), np.arange(1.0, 8.0), 3, clock=clock.now, sleep=clock.sleep)
    assert taken == [(0, 0), (0, 1), (0, 2), (0, 0), (0, 1), (0, 2), (0, 0)]


def test_every_third_request_fails_with_its_reason_and_the_others_go_on() -> None:
    clock = Clock()

    def target(connection: int, text: int) -> None:
        clock.sleep(0.01)
        if text % 3 == 2:
            raise BenchkitError("status 503") if text % 2 else ValueError("odd")

    run = run_load(target, np.arange(1, 31) / 10, 30, clock=clock.now, sleep=clock.sleep)
    assert sorted(run.failures) == list(range(2, 30, 3))
    assert run.failures[5] == "status 503"
    assert run.failures[2] == "ValueError: odd"
    assert np.isfinite(run.finished).all()
    point = summarise(run, model="m", slo_ms=50.0)
    assert (point.n, point.failed, point.unsent) == (27, 9, 0)
    assert point.within_slo == pytest.approx(18 / 27)
    assert point.p99_ms == pytest.approx(10)
    assert not point.keeps_up


def test_deadline_cuts_off_what_was_not_sent_and_it_is_not_forgotten() -> None:
    # Ten a second for a worker that takes half a second: by second 4 eight were begun.
    run = Clock().run(lambda text: 0.5, np.arange(1, 41) / 10, deadline_s=4.0)
    assert np.isfinite(run.sent).sum() == 8
    assert run.finished[7] == pytest.approx(4.1, abs=MICROSECOND)  # what is under way is waited for
    point = summarise(run, model="m", slo_ms=1e6)
    assert (point.n, point.n_warmup, point.unsent) == (36, 4, 32)
    assert point.p50_ms is point.p99_ms is None
    assert point.within_slo == pytest.approx(4 / 36)
    assert not point.is_held


def test_nothing_is_waited_for_beyond_the_deadline() -> None:
    clock = Clock()
    run = clock.run(lambda text: 0.1, np.array([1.0, 50.0]), deadline_s=2.0)
    assert math.isnan(run.sent[1])
    assert clock.now() == pytest.approx(7.0, abs=MICROSECOND)


def test_nothing_is_sent_to_a_target_that_is_gone() -> None:
    clock, asked = Clock(), []

    def target(connection: int, text: int) -> None:
        asked.append(text)
        raise BenchkitError("its process died")

    run = run_load(
        target, np.arange(1.0, 5.0), 9, clock=clock.now, sleep=clock.sleep, is_alive=lambda: not asked
    )  # fmt: skip
    assert asked == [0]
    assert run.failures == {0: "its process died"}
    assert np.isnan(run.sent[1:]).all()


def test_a_client_that_oversleeps_is_told_and_makes_the_run_invalid() -> None:
    due = np.arange(1, 201) / 10
    point = summarise(Clock(overslept_s=0.02).run(lambda text: 0.03, due), model="m")
    assert point.late_p99_ms == pytest.approx(20, abs=0.01)
    assert point.p50_ms == pytest.approx(50, abs=0.01)
    assert not point.valid
    assert summarise(Clock(overslept_s=0.0009).run(lambda text: 0.03, due), model="m").valid


def test_capacity_is_a_run_in_which_everything_is_due_at_once() -> None:
    run = Clock().run(lambda text: 0.04, np.zeros(500), deadline_s=2.0)
    assert np.isfinite(run.sent).sum() == 50
    assert capacity(run) == pytest.approx(25.0)


@pytest.mark.parametrize(("workers", "n_texts"), [(0, 1), (1, 0)])
def test_run_without_a_worker_or_a_text_is_refused(workers: int, n_texts: int) -> None:
    with pytest.raises(ValueError, match=f"should be at least 1, got {workers} and {n_texts}"):
        run_load(lambda connection, text: None, np.zeros(1), n_texts, workers=workers)


# ---------------------------------------------------------------- several connections


def test_each_request_is_sent_when_it_is_due_whatever_is_under_way() -> None:
    due = poisson_schedule(10.0, 60, np.random.default_rng(5))
    run = VirtualTime().run(lambda text: 1.0, due, workers=40)
    assert run.sent == pytest.approx(due, abs=MICROSECOND)
    assert latency(run) == pytest.approx(np.ones(60), abs=MICROSECOND)
    point = summarise(run, model="m")
    assert (point.queued, point.late_p99_ms) == (0, pytest.approx(0, abs=1e-3))
    assert point.keeps_up


def test_connections_are_servers_of_one_queue() -> None:
    service = np.random.default_rng(6).gamma(2.0, 0.1, 120)
    due = poisson_schedule(13.0, 120, np.random.default_rng(7))
    run = VirtualTime().run(lambda text: float(service[text]), due, workers=3)
    # The twin: each request goes to the server that is free first.
    free, expected = [0.0, 0.0, 0.0], []
    for at, takes in zip(due, service, strict=True):
        end = max(at, heapq.heappop(free)) + takes
        heapq.heappush(free, end)
        expected.append(end)
    assert run.finished == pytest.approx(expected, abs=MICROSECOND)
    point = summarise(run, model="m")
    assert point.queued > 20
    assert any("while all 3 connections were taken" in note for note in point.notes)
    assert point.valid  # the server made them wait, not the client


def test_no_connection_has_two_requests_and_the_last_used_goes_first() -> None:
    time, lock, busy, used = VirtualTime(), threading.Lock(), set[int](), set[int]()

    def target(connection: int, text: int) -> None:
        with lock:
            assert connection not in busy
            busy.add(connection)
            used.add(connection)
        time.sleep(0.25)
        with lock:
            busy.remove(connection)

    due = np.arange(1, 41) / 10
    run = run_load(target, due, 40, workers=16, clock=time.now, sleep=time.sleep)
    assert run.failures == {}
    assert used == {0, 1, 2}  # ten a second for a quarter of a second


def test_deadline_holds_for_all_connections() -> None:
    run = VirtualTime().run(lambda text: 0.9, np.arange(1, 41) / 10, workers=4, deadline_s=2.0)
    # Begun at .1 .2 .3 .4, 1.0 to 1.3 and 1.9; the other three connections are free at 2.0 and later.
    assert np.isfinite(run.sent).sum() == 9
    assert np.nanmax(run.finished) == pytest.approx(2.8, abs=MICROSECOND)
    assert set(np.flatnonzero(np.isnan(run.sent))) == set(range(9, 40))


# ---------------------------------------------------------------- interrupts


@pytest.mark.parametrize("workers", [1, 4])
def test_interrupt_ends_the_run_and_nothing_more_is_sent(workers: int) -> None:
    asked: list[int] = []
    main = threading.main_thread().ident
    assert main is not None

    def target(connection: int, text: int) -> None:
        asked.append(text)
        if text == 3:
            signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_load(target, np.array([0.001, 0.002, 0.003, 0.004, *[5.0] * 20]), 24, workers=workers)
    finally:
        signal.signal(signal.SIGINT, before)
    for thread in threading.enumerate():
        if thread.name.startswith(THREAD_NAME):
            thread.join(5)
            assert not thread.is_alive()
    # Nothing after the fourth; a worker of four may be interrupted before it began.
    assert sorted(asked) == [0, 1, 2, 3] if workers == 1 else 3 in asked and set(asked) <= {0, 1, 2, 3}
    assert gc.isenabled()


def test_garbage_is_not_collected_during_a_run() -> None:
    seen: list[bool] = []
    run_load(lambda connection, text: seen.append(gc.isenabled()), np.zeros(2), 1)
    assert seen == [False, False]
    assert gc.isenabled()


# ---------------------------------------------------------------- what is asked for


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"rates": ()}, r"rates should be finite numbers above 0, got \[\]"),
        ({"rates": (5.0, 0.0)}, r"rates should be finite numbers above 0, got \[5.0, 0.0\]"),
        ({"rates": (math.inf,)}, "rates should be finite numbers above 0"),
        ({"rates": (math.nan,)}, "rates should be finite numbers above 0"),
        ({"utilisations": (0.5, -0.1)}, r"utilisations should be finite numbers above 0, got \[0.5, -0.1\]"),
        ({"slo_ms": 0.0}, "the longest latency should be a finite number of ms above 0, got 0.0"),
        ({"slo_ms": math.nan}, "should be a finite number of ms above 0, got nan"),
        ({"seconds": 0.0}, "the length of a rate should be a finite number of seconds above 0, got 0.0"),
        (
            {"rates": (10.0, 0.05)},
            "0.05 requests/s is less than one request in 10 s; give more seconds or a higher rate",
        ),
    ],
)
def test_load_that_cant_be_is_refused_before_a_model_is_started(
    how: dict[str, float], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "ModelProcess", None)
    spec = ModelSpec("m", "minilm")
    meta = ModelMeta(name="m", id="m", revision=None, fingerprint="f", dimension=4)
    context = OpenContext(device="cpu", offline=True, cache_dir=Path("unused"))
    with pytest.raises(UsageError, match=message):
        measure_load(spec, meta, context, TextSource("T", "STS", None, ("text",)), LoadPlan(**how))
