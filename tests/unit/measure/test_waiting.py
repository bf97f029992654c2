"""Latencies that wait for each other: how much less they say, and intervals that know it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, rankdata

from benchkit.measure.latency import interval_ranks
from benchkit.measure.open_loop import poisson_schedule, single_server_latencies
from benchkit.measure.waiting import (
    Floats,
    effective_number,
    inflation,
    percentile_interval,
    queue_inflation,
    share_interval,
)


def autoregressive(n: int, memory: float, seed: int = 0) -> Floats:
    """Return a series whose next value is `memory` times the last one and noise; its tau is (1 + m) / (1 - m)."""
    noise = np.random.default_rng(seed).normal(size=n)
    values = np.empty(n)
    last = noise[0] / math.sqrt(1 - memory**2)
    for place in range(n):
        values[place] = last = memory * last + (noise[place] if place else 0.0)
    return values


# ---------------------------------------------------------------- inflation


def test_inflation_of_six_worked_by_hand() -> None:
    # Ranks less their mean: -2.5 -1.5 -.5 .5 1.5 2.5, squares 17.5; products at lag 1: 8.75, at 2: 1, at 3: -4.25 ...
    # Pairs of correlations: (17.5 + 8.75) / 17.5 = 1.5, then (1 - 4.25) / 17.5 < 0 ends the sum: 2 * 1.5 - 1.
    assert inflation(np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])) == pytest.approx(2.0)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.8, 0.9])
def test_inflation_is_that_of_an_autoregressive_series(memory: float) -> None:
    found = np.mean([inflation(autoregressive(5000, memory, seed)) for seed in range(20)])
    assert found == pytest.approx((1 + memory) / (1 - memory), rel=0.12)


def test_inflation_agrees_with_sums_of_products() -> None:
    values = np.round(autoregressive(150, 0.8), 1)  # with ties
    ranks = rankdata(values) - 75.5
    lags = [float((ranks[: 150 - lag] * ranks[lag:]).sum() / (ranks**2).sum()) for lag in range(150)]
    total = 0.0
    for lag in range(0, 150, 2):
        if lags[lag] + lags[lag + 1] <= 0:
            break
        total += lags[lag] + lags[lag + 1]
    assert inflation(values) == pytest.approx(max(1.0, 2 * total - 1))


def test_only_the_order_of_size_counts() -> None:
    values = autoregressive(300, 0.7)
    assert inflation(np.exp(values)) == pytest.approx(inflation(values))
    unanswered = np.where(values > np.sort(values)[-3], np.inf, values)
    assert inflation(unanswered) == pytest.approx(inflation(values), rel=0.01)


@pytest.mark.parametrize("values", [[], [1.0], [2.0] * 50], ids=["none", "one", "all alike"])
def test_there_is_no_inflation_where_nothing_varies(values: list[float]) -> None:
    assert inflation(np.array(values)) == 1.0


# ---------------------------------------------------------------- a queue


def test_inflation_of_a_queue_by_hand() -> None:
    # Times 1 and 3: mean 2, variance 1, so c^2 = 1/4. 1 + 5/4 * 0.8 / 0.04 = 26.
    assert queue_inflation(0.8, np.array([1.0, 3.0])) == pytest.approx(26)
    assert queue_inflation(0.0, np.ones(3)) == 1.0
    assert queue_inflation(1.0, np.ones(3)) == math.inf
    assert queue_inflation(0.5, np.array([])) == 3.0


@pytest.mark.parametrize("kind", ["M/D/1", "M/M/1"])
@pytest.mark.parametrize("load", [0.3, 0.5, 0.7])
def test_inflation_of_a_queue_is_what_long_runs_of_it_show(load: float, kind: str) -> None:
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        service = np.ones(20_000) if kind == "M/D/1" else rng.exponential(size=20_000)
        latencies = single_server_latencies(poisson_schedule(load, 20_000, rng), service)
        # Alike to the eye and apart in the last digit: the sums of a clock are no ranks.
        found.append(inflation(np.round(latencies, 9)))
    assert queue_inflation(load, service) == pytest.approx(np.median(found), rel=0.2)


def test_effective_number_takes_the_larger_inflation_and_a_margin() -> None:
    series = autoregressive(2000, 0.5)
    tau = inflation(series)
    assert effective_number(series, queue=1.0) == pytest.approx(2000 / 1.5 / tau)
    assert effective_number(series, queue=10.0) == pytest.approx(2000 / 15)
    assert effective_number(series, queue=None) == pytest.approx(2000 / 2 / tau)
    assert effective_number(series, queue=math.inf) == 0


# ---------------------------------------------------------------- intervals


def test_shares_have_the_limits_of_clopper_and_pearson() -> None:
    assert share_interval(0.0, n_effective=10) == (0.0, pytest.approx(0.3085, abs=1e-4))  # their table
    for count in range(1, 10):
        expected = beta.ppf(0.025, count, 11 - count), beta.ppf(0.975, count + 1, 10 - count)
        assert share_interval(count / 10, n_effective=10) == pytest.approx(expected)
    assert share_interval(0.4, n_effective=0) == (0.0, 1.0)


@pytest.mark.parametrize("percent", [50, 90, 95])
def test_of_independent_latencies_the_ranks_are_nearly_the_exact_ones(percent: int) -> None:
    values = np.arange(1.0, 501.0)
    found, exact = percentile_interval(values, percent, n_effective=500), interval_ranks(500, percent)
    assert exact is not None
    assert found == pytest.approx(exact, abs=2)


@given(st.lists(st.floats(0, 1e3), min_size=20, max_size=200), st.sampled_from([50, 90, 95]), st.floats(6, 200))
def test_less_information_never_makes_an_interval_narrower(values: list[float], percent: int, n: float) -> None:
    array = np.array(values)
    narrow, wide = (percentile_interval(array, percent, n_effective=one) for one in (n, n * 0.8))
    if wide is not None:
        assert narrow is not None
        assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


@pytest.mark.parametrize(("percent", "least"), [(50, 6), (90, 30), (95, 60), (99, 300)])
def test_three_have_to_lie_beyond_a_percentile(percent: int, least: int) -> None:
    values = np.arange(1.0, 5001.0)
    assert percentile_interval(values, percent, n_effective=least + 1e-6) is not None
    assert percentile_interval(values, percent, n_effective=least - 0.1) is None


def test_an_interval_that_has_no_end_is_none() -> None:
    assert percentile_interval(np.arange(1.0, 7.0), 50, n_effective=6) is None  # from rank 0.71 on
    unanswered = np.r_[np.arange(1.0, 950.0), np.full(51, np.inf)]
    assert percentile_interval(unanswered, 50, n_effective=500) is not None
    assert percentile_interval(unanswered, 95, n_effective=500) is None
    assert percentile_interval(np.array([]), 50, n_effective=500) is None
