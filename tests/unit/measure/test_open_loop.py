"""Open-loop load: arrivals, queues, latencies from the due time, and when a model keeps up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchkit.measure.latency import nearest_rank
from benchkit.measure.open_loop import (
    Floats,
    capacity,
    keeps_up,
    poisson_schedule,
    saturation,
    single_server_latencies,
    summarise,
)
from benchkit.types.load import LoadPoint, LoadRun

NAN = math.nan


def rng(seed: int = 42) -> np.random.Generator:
    return np.random.default_rng(seed)


def served(due: Floats, service_s: Floats, *, workers: int = 1) -> LoadRun:
    """Return the run of a queue with one server and a client that is never late."""
    finished = due + single_server_latencies(due, service_s)
    sent = finished - service_s
    free = np.concatenate([[0.0], finished[:-1]])
    return LoadRun(due, free, sent, finished, {}, workers, 20.0)


def a_run(
    due: list[float],
    sent: list[float],
    finished: list[float],
    *,
    failures: Mapping[int, str] | None = None,
    free: list[float] | None = None,
    workers: int = 1,
) -> LoadRun:
    arrays = [np.array(values) for values in (due, free or [0.0] * len(due), sent, finished)]
    return LoadRun(arrays[0], arrays[1], arrays[2], arrays[3], failures or {}, workers, 20.0)


def spaced(n: int, latency_s: float = 0.01, late_s: float = 0.0) -> LoadRun:
    """Return n requests, one a second from second 1 on, each answered alike."""
    due = np.arange(1.0, n + 1)
    return LoadRun(due, np.zeros(n), due + late_s, due + late_s + latency_s, {}, 64, 20.0)


# ---------------------------------------------------------------- arrivals


def test_schedule_has_the_stated_rate_exactly() -> None:
    due = poisson_schedule(20.0, 50, rng())
    assert due.shape == (50,)
    assert due[-1] == pytest.approx(2.5, abs=1e-12)
    assert (np.diff(due, prepend=0) > 0).all()


def test_gaps_are_exponential() -> None:
    gaps = np.diff(poisson_schedule(4.0, 5000, rng()), prepend=0)
    assert gaps.mean() == pytest.approx(0.25)
    assert gaps.std() == pytest.approx(0.25, rel=0.05)
    assert stats.kstest(gaps, "expon", args=(0, 0.25)).pvalue > 0.01
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 0.05


def test_a_seed_has_one_pattern_at_every_rate() -> None:
    assert np.array_equal(poisson_schedule(5.0, 30, rng()), poisson_schedule(5.0, 30, rng()))
    assert poisson_schedule(5.0, 30, rng()) == pytest.approx(2 * poisson_schedule(10.0, 30, rng()))
    assert not np.allclose(poisson_schedule(5.0, 30, rng()), poisson_schedule(5.0, 30, rng(43)))


@pytest.mark.parametrize(
    ("rate", "n", "message"),
    [
        (0.0, 5, "rate_per_s should be a number above 0, got 0.0"),
        (math.inf, 5, "rate_per_s should be a number above 0, got inf"),
        (NAN, 5, "rate_per_s should be a number above 0, got nan"),
        (1.0, 0, "n should be at least 1, got 0"),
    ],
)
def test_schedule_that_cant_be_is_refused(rate: float, n: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        poisson_schedule(rate, n, rng())


# ---------------------------------------------------------------- the queue


def test_latencies_of_four_requests_worked_by_hand() -> None:
    # The first is served 0-3, the second waits 2 and is served 3-4, the third waits 1 and is served 4-6, then a pause.
    due, service = np.array([0.0, 1.0, 3.0, 10.0]), np.array([3.0, 1.0, 2.0, 0.5])
    assert single_server_latencies(due, service).tolist() == [3.0, 3.0, 3.0, 0.5]


def test_latencies_agree_with_lindleys_waiting_times() -> None:
    due, service = poisson_schedule(1.0, 400, rng()), rng(7).gamma(2.0, 0.4, 400)
    waits = [0.0]
    for place in range(399):
        waits.append(max(0.0, waits[-1] + service[place] - (due[place + 1] - due[place])))
    assert single_server_latencies(due, service) == pytest.approx(np.array(waits) + service)


@pytest.mark.parametrize("utilisation", [0.3, 0.5, 0.7])
def test_mean_latency_is_that_of_m_m_1(utilisation: float) -> None:
    n = 150_000
    found = single_server_latencies(poisson_schedule(utilisation, n, rng()), rng(1).exponential(1.0, n))
    assert found.mean() == pytest.approx(1 / (1 - utilisation), rel=0.04)
    # Latency in M/M/1 is exponential too.
    assert nearest_rank(found, 95) == pytest.approx(math.log(20) / (1 - utilisation), rel=0.06)


@pytest.mark.parametrize("utilisation", [0.3, 0.5, 0.7])
def test_mean_latency_is_that_of_pollaczek_and_khinchine_for_m_d_1(utilisation: float) -> None:
    n = 100_000
    found = single_server_latencies(poisson_schedule(utilisation, n, rng()), np.ones(n))
    assert found.mean() == pytest.approx(1 + utilisation / (2 * (1 - utilisation)), rel=0.02)


def test_queue_refuses_other_numbers_of_service_times() -> None:
    with pytest.raises(ValueError, match="2 arrivals, but 1 service times"):
        single_server_latencies(np.zeros(2), np.ones(1))


# ---------------------------------------------------------------- a run


def test_summary_of_ten_requests_worked_by_hand() -> None:
    # One a second from 1 to 10. The first is the warm-up. The fourth fails, the last is never sent.
    due = [float(second) for second in range(1, 11)]
    sent = [*due[:5], 6.2, *due[6:9], NAN]
    finished = [2.0, 2.1, 3.2, 4.9, 6.2, 6.5, 7.1, 8.1, 10.5, NAN]
    free = [0.0, 2.0, 2.1, 3.2, 4.9, 6.2, 6.5, 7.1, 8.1, 10.5]
    run = a_run(due, sent, finished, failures={3: "status 503"}, free=free)
    point = summarise(run, model="m", slo_ms=500.0, capacity_per_s=2.0)
    assert (point.model, point.offered_per_s, point.utilisation) == ("m", 1.0, 0.5)
    assert (point.n, point.n_warmup, point.failed, point.unsent) == (9, 1, 1, 1)
    # Latencies of the rest: .1 .2 1.2 .5 .1 .1 1.5 and one without an end: ranks of 8.
    assert point.p50_ms == pytest.approx(200)
    assert point.p90_ms is point.p95_ms is point.p99_ms is None
    # From the sending: .1 .2 1.2 .3 .1 .1 1.5
    assert point.service_p50_ms == pytest.approx(200)
    assert point.service_p95_ms == pytest.approx(1500)
    # Within half a second: .1 .2 .5 .1 .1 of nine requests.
    assert point.within_slo == pytest.approx(5 / 9)
    assert point.goodput_per_s == pytest.approx(5 / 9)
    # By second 10: the first three, and four of those behind the failed one.
    assert point.achieved_per_s == pytest.approx(0.7)
    # At work 1, .1, .2, .9, 1.2, .3, .1, .1 and 1 of the last 1.5 seconds.
    assert point.busy == pytest.approx(0.49)
    assert point.queued == 2  # the sixth, whose connection was free at 6.2, and the one never sent
    assert point.late_p99_ms == pytest.approx(0)
    assert point.valid
    assert point.notes[0] == "9 requests only: p99 is the slowest of them"
    assert "1 of 9 requests failed: status 503" in point.notes
    assert "1 of 9 requests were never sent: still in line when the run ended (limit 20 s)" in point.notes


def test_without_a_limit_there_is_no_goodput_and_without_a_capacity_no_utilisation() -> None:
    point = summarise(spaced(200), model="m")
    assert point.goodput_per_s is point.within_slo is point.utilisation is None
    assert point.busy is None  # of one of 64 connections it would mean nothing
    assert point.notes == ()
    assert point.is_held


def test_warm_up_is_in_no_percentile() -> None:
    run = spaced(100)
    run.finished[:10] += 50.0
    point = summarise(run, model="m", slo_ms=20.0)
    assert point.n_warmup == 10
    assert point.p99_ms == pytest.approx(10)
    assert point.within_slo == 1.0
    run.finished[10] += 50.0
    assert summarise(run, model="m").p99_ms == pytest.approx(50_010)


def test_failed_requests_are_no_latencies_and_not_within_the_limit() -> None:
    run = spaced(100)
    fails = dict.fromkeys(range(0, 100, 3), "refused")
    run = LoadRun(run.due, run.free, run.sent, run.finished, fails, 64, 20.0)
    run.finished[0::3] = run.due[0::3]  # a refusal is fast
    point = summarise(run, model="m", slo_ms=20.0)
    assert point.failed == 30
    assert point.p50_ms == pytest.approx(10)
    assert point.within_slo == pytest.approx(60 / 90)
    assert point.goodput_per_s == pytest.approx(60 / 90)
    assert point.achieved_per_s == pytest.approx(0.66)  # 34 failed, the last one too
    assert not point.keeps_up
    assert point.notes == ("90 requests only: p99 is the slowest of them", "30 of 90 requests failed: refused")


def test_most_frequent_reason_is_told() -> None:
    run = spaced(200)
    fails = {150: "rare", 151: "often", 152: "often"}
    run = LoadRun(run.due, run.free, run.sent, run.finished, fails, 64, 20.0)
    assert summarise(run, model="m").notes == ("3 of 180 requests failed: mostly (2): often",)


def test_everything_failed_has_no_latency() -> None:
    run = spaced(100)
    run = LoadRun(run.due, run.free, run.sent, run.finished, dict.fromkeys(range(100), "no"), 64, 20.0)
    point = summarise(run, model="m", slo_ms=20.0)
    assert point.p50_ms is point.p99_ms is point.service_p50_ms is None
    assert (point.goodput_per_s, point.within_slo, point.achieved_per_s) == (0.0, 0.0, 0.0)
    assert not point.is_held


def test_connections_that_were_all_taken_are_told() -> None:
    run = spaced(200)
    run.free[100:110] = run.due[100:110] + 0.2
    point = summarise(run, model="m")
    assert point.queued == 10
    assert point.notes == ("10 of 180 requests were due while all 64 connections were taken, and were sent later",)


def test_worker_that_was_slower_than_in_its_capacity_run_is_told() -> None:
    run = served(poisson_schedule(0.4, 1000, rng()), np.ones(1000))
    assert summarise(run, model="m", capacity_per_s=1.0).notes == ()
    (note,) = summarise(run, model="m", capacity_per_s=2.0).notes
    assert note == "at work 40% of the time and not 20%: its speed wasn't that of the capacity run"


@pytest.mark.parametrize(
    ("latency_s", "late_s", "is_valid"),
    [
        (0.010, 0.0005, True),  # below what the client can tell
        (0.010, 0.0011, True),  # 1.1 of 11.1 ms: just below a tenth
        (0.010, 0.0020, False),
        (1.000, 0.0200, True),  # 20 ms are nothing beside a second
        (1.000, 0.2000, False),
    ],
)
def test_a_client_that_is_late_makes_the_run_invalid_where_that_distorts(
    latency_s: float, late_s: float, is_valid: bool
) -> None:
    point = summarise(spaced(200, latency_s, late_s), model="m")
    assert point.late_p99_ms == pytest.approx(late_s * 1000)
    assert point.valid is is_valid
    assert point.is_held is is_valid


def test_waiting_for_the_worker_is_no_lateness_of_the_client() -> None:
    point = summarise(served(poisson_schedule(0.9, 500, rng()), np.ones(500)), model="m")
    assert point.late_p99_ms == pytest.approx(0, abs=1e-6)
    assert point.valid
    assert point.p99_ms is not None
    assert point.p99_ms > 3000


# ---------------------------------------------------------------- intervals


def test_intervals_are_of_due_times_and_hold_their_figures() -> None:
    run = served(poisson_schedule(0.3, 600, rng()), rng(1).gamma(4.0, 0.25, 600))
    point = summarise(run, model="m", slo_ms=3000.0)
    assert set(point.intervals) == {"p50_ms", "p90_ms", "p95_ms", "goodput_per_s"}  # too few for p99
    for name, interval in point.intervals.items():
        assert interval.ci_low < getattr(point, name) < interval.ci_high, name
    assert point.n_effective is not None
    assert point.n_effective < point.n / 2


def test_fifty_arrivals_have_no_interval_of_a_high_percentile() -> None:
    point = summarise(served(poisson_schedule(0.3, 55, rng()), np.ones(55)), model="m")
    assert point.n == 50
    assert point.p99_ms is not None
    assert set(point.intervals) == {"p50_ms"}


def test_the_same_latencies_say_less_of_a_worker_that_is_known_to_be_busy() -> None:
    due, service = poisson_schedule(0.7, 300, rng()), np.ones(300)
    worker = served(due, service)
    endpoint = LoadRun(due, np.zeros(300), due, worker.finished, {}, 64, 20.0)
    known, guessed = summarise(worker, model="m").n_effective, summarise(endpoint, model="m").n_effective
    assert known == pytest.approx(270 / 1.5 / (1 + 0.7 / 0.3**2), rel=0.2)
    assert guessed is not None
    assert guessed < 270 / 2


@pytest.mark.parametrize("how", ["overloaded", "client late"])
def test_where_nothing_can_be_estimated_there_is_no_interval(how: str) -> None:
    run = served(np.arange(1.0, 201.0), np.full(200, 1.2)) if how == "overloaded" else spaced(200, 0.01, 0.005)
    point = summarise(run, model="m", slo_ms=100.0)
    assert point.goodput_per_s is not None
    assert (point.intervals, point.n_effective) == ({}, None)


def test_failures_count_against_the_goodput_and_in_no_percentile() -> None:
    run = spaced(1000)
    fails = dict.fromkeys(range(200, 1000, 40), "no")
    point = summarise(LoadRun(run.due, run.free, run.sent, run.finished, fails, 64, 20.0), model="m", slo_ms=100.0)
    assert point.within_slo == pytest.approx(1 - 20 / 900)
    good, p95 = point.intervals["goodput_per_s"], point.intervals["p95_ms"]
    assert good.ci_low < point.within_slo < good.ci_high < 1
    assert (p95.ci_low, p95.ci_high) == (pytest.approx(10), pytest.approx(10))


@pytest.mark.parametrize(("utilisation", "n"), [(0.3, 600), (0.5, 600), (0.7, 600), (0.3, 2000)])
def test_intervals_hold_the_true_percentiles_of_m_m_1(utilisation: float, n: int) -> None:
    # Taken for independent they miss far more often. benchmarks/load_coverage.py has the whole table.
    missed, given = 0, 0
    for seed in range(60):
        run = served(poisson_schedule(utilisation, n, rng(seed)), rng(1000 + seed).exponential(1.0, n))
        for percent in (50, 90, 95, 99):
            interval = summarise(run, model="m").intervals.get(f"p{percent}_ms")
            if interval is not None:
                truth = -1000 * math.log(1 - percent / 100) / (1 - utilisation)
                missed += not interval.ci_low <= truth <= interval.ci_high
                given += 1
    assert given >= 60
    assert missed <= 0.08 * given


# ---------------------------------------------------------------- keeping up


def test_backlog_that_grows_is_not_kept_up_with() -> None:
    due = np.arange(1.0, 101.0)
    assert keeps_up(served(due, np.full(100, 0.99)))
    assert not keeps_up(served(due, np.full(100, 1.2)))


def test_requests_under_way_at_the_end_are_no_backlog() -> None:
    # Ten are always under way, far more than 5 % of the requests.
    assert keeps_up(spaced(100, latency_s=10.0))


def test_two_more_than_usual_are_no_backlog_and_three_are() -> None:
    # The last of twenty arrives just as it is judged. Before it two are still in line, then three.
    run = replace(spaced(20), workers=1)
    run.finished[17:] = 30.0
    assert keeps_up(run)
    run.finished[16] = 30.0
    assert not keeps_up(run)


def test_one_request_never_decides() -> None:
    due = np.arange(1.0, 11.0)
    run = served(due, np.full(10, 0.5))
    assert keeps_up(LoadRun(run.due, run.free, run.sent, run.finished, {4: "refused"}, 1, 20.0))
    assert not keeps_up(LoadRun(run.due, run.free, run.sent, run.finished, {4: "refused", 5: "refused"}, 1, 20.0))


@pytest.mark.parametrize(("n_failed", "holds"), [(5, True), (6, False)])
def test_five_per_cent_of_failures_are_the_limit(n_failed: int, holds: bool) -> None:
    run = spaced(100)
    fails = dict.fromkeys(range(n_failed), "no")
    assert keeps_up(LoadRun(run.due, run.free, run.sent, run.finished, fails, 64, 20.0)) is holds


@pytest.mark.parametrize(
    ("utilisation", "least", "most"), [(0.3, 1.0, 1.0), (0.7, 0.9, 1.0), (1.25, 0.0, 0.1), (1.5, 0.0, 0.0)]
)
def test_rule_tells_stable_queues_from_overloaded_ones(utilisation: float, least: float, most: float) -> None:
    n = 100
    kept = [
        keeps_up(served(poisson_schedule(utilisation, n, rng(seed)), rng(1000 + seed).gamma(4.0, 0.25, n)))
        for seed in range(60)
    ]
    assert least <= np.mean(kept) <= most


@pytest.mark.parametrize("under_way", [2, 8, 20])
def test_an_endpoint_that_answers_all_at_once_keeps_up(under_way: int) -> None:
    kept = []
    for seed in range(100):
        due = poisson_schedule(20.0, 100, rng(seed))
        finished = due + under_way / 20.0 * rng(1000 + seed).gamma(4.0, 0.25, 100)
        kept.append(keeps_up(LoadRun(due, np.zeros(100), due, finished, {}, 64, 20.0)))
    assert np.mean(kept) >= 0.9


@pytest.mark.parametrize(("utilisation", "least", "most"), [(0.7, 0.95, 1.0), (1.5, 0.0, 0.1)])
def test_a_queue_behind_an_endpoint_is_told_from_an_overloaded_one(
    utilisation: float, least: float, most: float
) -> None:
    kept = []
    for seed in range(60):
        run = served(poisson_schedule(utilisation, 100, rng(seed)), rng(1000 + seed).gamma(4.0, 0.25, 100))
        kept.append(keeps_up(LoadRun(run.due, np.zeros(100), run.due, run.finished, {}, 64, 20.0)))
    assert least <= np.mean(kept) <= most


def test_capacity_counts_answers_only() -> None:
    run = a_run([0.0] * 4, [0.0, 1.0, 2.0, NAN], [1.0, 2.0, 4.0, NAN], failures={1: "no"})
    assert capacity(run) == 0.5  # two answers in four seconds
    assert capacity(a_run([0.0], [0.0], [1.0], failures={0: "no"})) is None
    assert capacity(a_run([0.0], [NAN], [NAN])) is None


# ---------------------------------------------------------------- saturation


def a_point(rate: float, *, keeps: bool = True, within: float | None = None, valid: bool = True) -> LoadPoint:
    return LoadPoint(
        model="m", offered_per_s=rate, utilisation=None, busy=None, achieved_per_s=rate, n=100, n_warmup=10, failed=0,
        unsent=0, p50_ms=1.0, p90_ms=1.0, p95_ms=1.0, p99_ms=1.0, service_p50_ms=1.0, service_p95_ms=1.0,
        goodput_per_s=None, within_slo=within, late_p99_ms=0.0, queued=0, keeps_up=keeps, valid=valid,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("points", "found"),
    [
        ([a_point(20), a_point(5), a_point(10)], 20),
        ([a_point(5), a_point(10), a_point(20, keeps=False)], 10),
        ([a_point(5, within=0.99), a_point(10, within=0.989)], 5),
        ([a_point(5, keeps=False)], None),
        ([a_point(5), a_point(10, keeps=False), a_point(20)], 5),  # luck above a rate that failed is no capacity
        ([a_point(5), a_point(10, valid=False), a_point(20)], 5),
        ([], None),
    ],
    ids=["all held, any order", "backlog", "limit", "none", "luck above", "client late", "no points"],
)
def test_saturation_is_the_highest_rate_held_with_all_below(points: list[LoadPoint], found: float | None) -> None:
    assert saturation(points) == found


def test_p99_within_the_limit_and_the_share_say_the_same() -> None:
    run = spaced(112)  # 101 after the warm-up
    run.finished[50] += 1.0
    point = summarise(run, model="m", slo_ms=100.0)
    assert point.n == 101
    assert point.is_within_slo
    assert point.p99_ms == pytest.approx(10)
    run.finished[51] += 1.0
    point = summarise(run, model="m", slo_ms=100.0)
    assert not point.is_within_slo
    assert point.p99_ms == pytest.approx(1010)
