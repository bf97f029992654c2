"""From p-values to evidence over windows: means at most 1, run lengths, false discoveries."""

from __future__ import annotations

import doctest
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

import benchkit.drift.sequential
from benchkit.drift.sequential import ShiryaevRoberts, average, e_bh, p_to_e, windows_to_alarm
from benchkit.types.drift import Evidence


def test_the_examples_in_the_docstrings_are_right():
    assert doctest.testmod(benchkit.drift.sequential).failed == 0


# p to e


@pytest.mark.parametrize("p", [1e-9, 0.001, 0.05, 0.5, 0.9])
def test_p_to_e_is_the_mixture_it_claims_to_be(p):
    mixture, _ = quad(lambda x: x * p ** (x - 1), 0, 1, limit=200)
    assert p_to_e(p) == pytest.approx(mixture, rel=1e-8)


@pytest.mark.parametrize("p", [1e-12, 1e-4, 0.05, 0.4, 0.98, 0.9899, 0.9901, 0.99])
def test_p_to_e_agrees_with_the_formula_of_the_paper(p):
    assert p_to_e(p) == pytest.approx((1 - p + p * math.log(p)) / (p * math.log(p) ** 2), rel=1e-9)


def test_p_to_e_at_1_is_the_limit():
    assert p_to_e(1.0) == 0.5
    assert p_to_e(1 - 1e-12) == pytest.approx(0.5, abs=1e-12)


def test_the_mean_of_e_is_1_for_uniform_p():
    # with p = e^-t the integral is over t; beyond t = 300 it lacks 1 / 300
    mean, _ = quad(lambda t: p_to_e(math.exp(-t)) * math.exp(-t), 0, 300, limit=500)
    assert mean + 1 / 300 == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("draws", [19, 199, 1500, 5000])
def test_the_mean_of_e_is_below_1_for_p_values_of_ranks(draws):
    mean = np.mean([p_to_e((rank + 1) / (draws + 1)) for rank in range(draws + 1)])
    assert 0.7 < mean < 1


@given(st.floats(5e-324, 1.0), st.floats(5e-324, 1.0))
def test_a_smaller_p_never_has_less_evidence(a, b):
    assert p_to_e(min(a, b)) >= p_to_e(max(a, b)) * (1 - 1e-12)
    assert 0.5 <= p_to_e(a) <= 1 / a if a > 1e-300 else math.isfinite(p_to_e(a))


@pytest.mark.parametrize("p", [0.0, -0.1, 1.1, math.nan, math.inf])
def test_what_is_no_p_value_is_refused(p):
    with pytest.raises(ValueError, match="above 0 and at most 1, got"):
        p_to_e(p)


# the detector


def test_the_detector_by_hand():
    state = ShiryaevRoberts(10).step(2.0)
    assert (state.detector, state.windows, state.is_alarm) == (2.0, 1, False)
    state = state.step(0.5)
    assert (state.detector, state.windows) == (1.5, 2)
    state = state.step(4.0)
    assert (state.detector, state.windows, state.is_alarm) == (10.0, 3, True)
    assert state.evidence == Evidence(e_value=4.0, detector=10.0, run_length=10, windows=3)
    assert state.evidence.is_alarm
    state = state.step(3.0)
    assert (state.detector, state.windows, state.is_alarm) == (3.0, 1, False)


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=12))
def test_the_detector_is_the_sum_of_a_bet_from_every_window_on(e_values):
    state = ShiryaevRoberts(10**9)
    for e_value in e_values:
        state = state.step(e_value)
    bets = [math.prod(e_values[start:]) for start in range(len(e_values))]
    assert state.detector == pytest.approx(sum(bets))


def run_lengths(p_values: np.ndarray, e_of: np.ndarray, run_length: int) -> np.ndarray:
    """First alarm of each stream (streams, windows), or the last window: an obvious twin of the detector."""
    detector = np.zeros(len(p_values))
    first = np.full(len(p_values), p_values.shape[1])
    for window in range(p_values.shape[1]):
        detector = (detector + 1) * e_of[p_values[:, window]]
        first = np.where((detector >= run_length) & (first == p_values.shape[1]), window + 1, first)
    return first


@pytest.mark.parametrize("grid", [200, 5000])
def test_false_alarms_are_as_far_apart_as_stated(grid):
    e_of = np.array([math.nan, *(p_to_e(rank / grid) for rank in range(1, grid + 1))])
    p_values = np.random.default_rng(grid).integers(1, grid + 1, (2000, 1000))
    lengths = run_lengths(p_values, e_of, 200)
    # capped at 1000 windows, so the true mean is larger still
    assert lengths.mean() - 5 * lengths.std() / math.sqrt(2000) > 200


def test_the_detector_and_its_twin_raise_the_same_alarms():
    grid = 100
    e_of = np.array([math.nan, *(p_to_e(rank / grid) for rank in range(1, grid + 1))])
    p_values = np.random.default_rng(1).integers(1, grid + 1, (20, 400))
    for row, first in zip(p_values, run_lengths(p_values, e_of, 50), strict=True):
        states = itertools.accumulate(row, lambda state, p: state.step(e_of[p]), initial=ShiryaevRoberts(50))
        assert next((number for number, state in enumerate(states) if state.is_alarm), 400) == first


def test_uniform_p_values_alarm_no_sooner_than_stated():
    p_values = np.random.default_rng(7).random(100_000)
    state, alarms = ShiryaevRoberts(100), 0
    for p in p_values:
        state = state.step(p_to_e(1 - p))
        alarms += state.is_alarm
    # one in 100 windows at the most would be 1000; the standard error of a count is below 32
    assert 0 < alarms < 1000 - 5 * 32


def test_a_change_is_found_soon_after_a_long_quiet_time():
    rng, state = np.random.default_rng(3), ShiryaevRoberts(1000)
    for p in rng.uniform(0.2, 1, 5000):
        state = state.step(p_to_e(p))
    assert not state.is_alarm
    state = state.step(p_to_e(0.001))  # e = 20.8, and R was about 2
    assert not state.is_alarm
    assert state.step(p_to_e(0.001)).is_alarm


def test_a_sum_that_would_overflow_is_bounded_and_the_next_starts_afresh():
    state = ShiryaevRoberts(10**300).step(1e299)
    assert not state.is_alarm
    state = state.step(math.inf)
    assert math.isfinite(state.detector)
    assert state.is_alarm
    assert math.isfinite(state.e_value)
    assert state.step(0.5).detector == 0.5


@pytest.mark.parametrize("p", [5e-324, 1e-200, 1e-20])
def test_one_window_with_a_tiny_p_alarms_at_once(p):
    state = ShiryaevRoberts(1000).step(p_to_e(p))
    assert state.is_alarm
    assert math.isfinite(state.detector)


@pytest.mark.parametrize("e_value", [-0.1, math.nan, -math.inf])
def test_what_is_no_e_value_is_refused(e_value):
    with pytest.raises(ValueError, match="an e-value is not negative, got"):
        ShiryaevRoberts(10).step(e_value)
    with pytest.raises(ValueError, match="an e-value is not negative, got"):
        average([1.0, e_value])
    with pytest.raises(ValueError, match="an e-value is not negative, got"):
        e_bh([1.0, e_value], 0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run_length": 0}, "the run length is at least 1 window, got 0"),
        ({"run_length": 9, "detector": math.inf}, "a detector is finite and not negative, got inf of 0 windows"),
        ({"run_length": 9, "detector": -1.0}, "got -1.0 of 0 windows"),
        ({"run_length": 9, "windows": -1}, "of -1 windows"),
    ],
)
def test_a_state_that_can_t_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ShiryaevRoberts(**options)


@pytest.mark.parametrize(
    ("p", "run_length", "windows"),
    [
        (1 / 5001, 1000, 2),  # e = 68.8: 68.8, 4802
        (1 / 1501, 1000, 3),
        (0.05, 1000, 11),  # e = 1.78; 1.78 * (1.78^n - 1) / 0.78 is 718 for n = 10 and 1280 for n = 11
        (0.3, 1, 2),  # e = 0.78: 0.78, 1.39, and no further than 3.5
        (1.0, 1, math.inf),
        (0.3, 1000, math.inf),
    ],
)
def test_windows_to_an_alarm_by_hand(p, run_length, windows):
    assert windows_to_alarm(p, run_length) == windows


# many streams


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_the_average_is_the_mean(e_values):
    assert average(e_values) == pytest.approx(np.mean(e_values))


def test_the_average_does_not_overflow_and_needs_values():
    assert average([1e308] * 100) == pytest.approx(1e300)
    with pytest.raises(ValueError, match="no average of no e-values"):
        average([])


def e_bh_by_definition(e_values: list[float], alpha: float) -> list[bool]:
    n, best = len(e_values), 0
    for k in range(1, n + 1):
        if sorted(e_values, reverse=True)[k - 1] >= n / (alpha * k):
            best = k
    return [bool(best) and value >= n / (alpha * best) for value in e_values]


@given(st.lists(st.floats(0, 200), max_size=12), st.floats(0.01, 0.5))
def test_e_bh_agrees_with_the_definition(e_values, alpha):
    assert e_bh(e_values, alpha).tolist() == e_bh_by_definition(e_values, alpha)


def test_e_bh_keeps_the_false_discovery_rate_of_dependent_segments():
    rng = np.random.default_rng(11)
    false, shares = 0, []
    for _ in range(3000):
        common = rng.random()
        p_values = [*np.where(rng.random(15) < 0.5, common, rng.random(15)), *[1e-5] * 5]
        taken = e_bh([p_to_e(p) for p in p_values], 0.1)
        assert taken[15:].all()
        false += taken[:15].any()
        shares.append(taken[:15].sum() / taken.sum())
    assert false > 0
    assert np.mean(shares) < 0.1


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan])
def test_e_bh_refuses_a_rate_that_is_none(alpha):
    with pytest.raises(ValueError, match="a false discovery rate is above 0 and below 1"):
        e_bh([1.0], alpha)
