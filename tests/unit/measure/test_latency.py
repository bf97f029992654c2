"""Percentiles, rates and paired ratios; how often their intervals hold the truth, and how often a verdict is wrong."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, t, ttest_1samp
from scipy.stats.mstats import trimmed_mean_ci

from benchkit.measure.latency import (
    MIN_SAMPLES,
    Estimate,
    fewest_calls,
    interval_ranks,
    mean,
    median,
    nearest_rank,
    paired_ratio,
    percentile,
    rate,
    ratio_verdict,
    steadiness,
    variation,
)
from benchkit.types.cost import CostRatio

TOLERANCE = 0.05
DURATIONS = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=150)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ratio(candidate_s: object, baseline_s: object, *, seed: int = 0, tolerance: float = TOLERANCE) -> CostRatio:
    """Pair two lists by position."""
    first, second = (dict(enumerate(np.asarray(values, float).tolist())) for values in (candidate_s, baseline_s))
    return paired_ratio(
        first, second, candidate="a", baseline="b", metric="latency/query", tolerance=tolerance, rng=rng(seed)
    )


def control(low: float, value: float, high: float) -> CostRatio:
    return CostRatio("minilm", "minilm", "latency/query_cpu", value, low, high, 64, "same")


# Percentiles


@pytest.mark.parametrize(("percent", "found"), [(50, 10.0), (90, 18.0), (95, 19.0), (99, 20.0), (1, 1.0)])
def test_ranks_of_twenty_worked_by_hand(percent, found):
    assert nearest_rank(np.arange(20.0, 0.0, -1.0), percent) == found


def test_a_call_without_an_end_moves_the_ranks():
    values = [1.0, 2.0, 3.0, math.inf]
    assert nearest_rank(values, 75) == 3.0
    assert nearest_rank(values, 76) == math.inf


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.integers(1, 99))
def test_the_rank_agrees_with_numpys_inverted_cdf(values, percent):
    found = nearest_rank(values, percent)
    assert found in values
    assert np.mean(np.array(values) <= found) >= percent / 100 - 1e-12
    if abs(percent * len(values) / 100 % 1) > 1e-9:  # where the rank is whole, numpy's own rounding decides
        assert found == np.percentile(values, percent, method="inverted_cdf")


@pytest.mark.parametrize("percent", [0, 100])
def test_there_is_no_rank_of_none_or_beyond_all(percent):
    with pytest.raises(ValueError, match=f"a percentile lies between 1 and 99, got {percent}"):
        nearest_rank([1.0], percent)
    with pytest.raises(ValueError, match="a percentile needs one or more values"):
        nearest_rank([], 50)


def test_percentiles_are_the_nearest_rank_of_the_textbook():
    # 15, 20, 35, 40, 50: rank ceil(0.5 * 5) = 3
    found = percentile([40, 15, 50, 20, 35], 50)
    assert found == Estimate(35.0, None, None, 5)  # five calls are too few for an interval


def test_p90_of_a_hundred_is_the_ninetieth_with_the_ranks_of_the_binomial():
    found = percentile(range(100, 0, -1), 90)
    # P(B <= 83) = 2.06 % and P(B <= 84) = 3.99 %; P(B >= 96) = 2.37 % and P(B >= 95) = 5.76 %, B ~ binomial(100, 0.9)
    assert found == Estimate(90.0, 84.0, 96.0, 100)


@given(DURATIONS, st.sampled_from([50, 90, 95, 99]))
def test_percentiles_agree_with_numpy_where_they_are_not_the_maximum(samples, percent):
    found = percentile(samples, percent)
    rank = math.ceil(Fraction(len(samples) * percent, 100))
    if rank == len(samples):
        assert found is None
    else:
        assert found is not None
        assert found.value == np.quantile(samples, percent / 100, method="inverted_cdf")
        assert found.value == sorted(samples)[rank - 1]


@given(DURATIONS)
def test_percentiles_rise_lie_within_the_data_and_within_their_interval(samples):
    found = [p for percent in (50, 90, 95, 99) if (p := percentile(samples, percent))]
    assert all(first.value <= second.value for first, second in pairwise(found))
    for one in found:
        assert min(samples) <= one.value <= max(samples)
        assert (one.low is None) == (one.high is None)
        assert one.low is None or one.low <= one.value <= one.high


@pytest.mark.parametrize(("percent", "calls"), [(50, 2), (90, 10), (95, 20), (99, 100)])
def test_a_percentile_is_given_only_where_some_call_is_beyond_it(percent, calls):
    assert fewest_calls(percent) == calls
    assert percentile(range(calls - 1), percent) is None
    found = percentile(range(calls), percent)
    assert found is not None
    assert found.value < calls - 1


@pytest.mark.parametrize(("percent", "calls"), [(50, 6), (90, 29), (95, 59), (99, 299)])
def test_an_interval_of_a_percentile_needs_so_many_calls(percent, calls):
    assert interval_ranks(calls - 1, percent) is None
    assert interval_ranks(calls, percent) is not None


@pytest.mark.parametrize("percent", [50, 90, 95, 99])
def test_the_ranks_hold_the_percentile_with_95_percent_and_are_the_closest_that_do(percent):
    for n in (0, 1, 5, 6, 29, 48, 59, 64, 71, 72, 192, 256, 299, 768):
        ranks = interval_ranks(n, percent)
        if ranks is None:
            continue
        low, high = ranks
        count = binom(n, percent / 100)
        below, beyond = count.cdf(low - 1), count.sf(high - 1)
        assert below <= 0.025
        assert below + beyond <= 0.05
        assert beyond <= 0.025 or high == n
        assert high == 1 or count.sf(high - 2) > 0.025 or low == high  # one rank nearer is too near
        assert count.cdf(low) > min(0.025, 0.05 - beyond)


def test_intervals_of_percentiles_cover_at_least_95_percent_whatever_the_distribution():
    draws = rng().lognormal(0, 1.0, size=(1500, 64))
    for percent, truth in ((50, 1.0), (90, math.exp(1.2815515655)), (95, math.exp(1.6448536270))):
        held = [(p := percentile(row, percent)).low <= truth <= p.high for row in draws]
        assert np.mean(held) >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / len(draws))


def test_durations_that_are_no_numbers_and_percentiles_that_are_none_are_refused():
    with pytest.raises(ValueError, match="should be a finite number, got nan"):
        percentile([1.0, math.nan], 50)
    with pytest.raises(ValueError, match="a percentile lies between 1 and 99, got 100"):
        percentile([1.0, 2.0], 100)


def test_the_median_of_an_even_number_is_between_the_middle_two():
    assert median([4.0, 1.0, 3.0, 9.0]) == Estimate(3.5, None, None, 4)
    assert median([6, 5, 4, 3, 2, 1]) == Estimate(3.5, 1.0, 6.0, 6)
    with pytest.raises(ValueError, match="a median needs one or more samples"):
        median([])


# Mean and variation


def test_the_coefficient_of_variation_by_hand():
    # mean 4, deviations -2, 0, 2: standard deviation 2
    assert variation([2.0, 4.0, 6.0]) == pytest.approx(0.5)
    assert variation([3.0]) is None
    assert variation([0.0, 0.0]) is None
    assert variation([]) is None


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=50), st.floats(1e-3, 1e3))
def test_the_coefficient_of_variation_does_not_depend_on_the_unit(samples, unit):
    assert variation(np.array(samples) * unit) == pytest.approx(variation(samples), rel=1e-6, abs=1e-9)


def test_the_mean_comes_with_the_interval_of_student_where_that_is_right():
    samples = rng(3).normal(10.0, 1.0, size=40)
    found = mean(samples, rng=rng())
    expected = ttest_1samp(samples, 0).confidence_interval(0.95)
    assert found.value == pytest.approx(samples.mean())
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.05)


def test_the_interval_of_a_mean_stays_above_zero_with_one_huge_call():
    found = mean([1e-3] * 63 + [10.0], rng=rng())
    assert 0 < found.low < found.value < found.high


def test_a_mean_of_few_calls_has_no_interval_and_of_none_is_refused():
    assert mean([1.0] * (MIN_SAMPLES - 1), rng=rng()) == Estimate(1.0, None, None, MIN_SAMPLES - 1)
    assert mean([0.0] * 20, rng=rng()) == Estimate(0.0, None, None, 20)
    for refused in ([], [1.0, -1.0]):
        with pytest.raises(ValueError, match="a mean needs one or more samples, none of them negative"):
            mean(refused, rng=rng())


# Rates


def test_a_rate_is_what_was_done_by_the_time_for_every_part_once():
    # parts take 2 and 4 s on average: 60 texts in 6 s; n counts passes
    assert rate(60, [[1.0, 3.0], [4.0]]) == Estimate(10.0, None, None, 3)


def test_the_interval_of_a_rate_by_hand():
    # 1 and 3 s: mean 2, variance of the mean 2 / 2 = 1; t with one degree of freedom 12.706; factor exp(12.706 / 2)
    found = rate(2, [[1.0, 3.0]])
    factor = math.exp(12.7062 / 2)
    assert (found.value, found.low, found.high) == pytest.approx((1.0, 1 / factor, factor), rel=1e-4)


def test_the_interval_of_a_rate_agrees_with_welch_and_satterthwaite():
    parts = [[1.0, 1.2, 1.1], [2.0, 2.6], [0.5, 0.4, 0.6, 0.5]]
    means, variances = [np.mean(p) for p in parts], [np.var(p, ddof=1) / len(p) for p in parts]
    freedom = sum(variances) ** 2 / sum(v**2 / (len(p) - 1) for v, p in zip(variances, parts, strict=True))
    half = t.ppf(0.975, freedom) * math.sqrt(sum(variances)) / sum(means)
    found = rate(100, parts)
    assert (found.low, found.high) == pytest.approx((found.value / math.exp(half), found.value * math.exp(half)))


def test_intervals_of_rates_cover_about_95_percent_with_two_passes_over_three_parts():
    draws = rng().lognormal(0, 0.05, size=(1500, 3, 2)) * np.array([1.0, 2.0, 4.0])[:, None]
    truth = 7 / (7 * math.exp(0.05**2 / 2))
    held = [(found := rate(7, list(parts))).low <= truth <= found.high for parts in draws]
    assert 0.93 <= np.mean(held) <= 0.995


def test_without_time_there_is_no_rate():
    assert rate(10, []) is None
    assert rate(10, [[1.0], []]) is None
    assert rate(10, [[0.0, 0.0]]) is None


# Ratios


def test_the_ratio_is_the_trimmed_geometric_mean_over_rounds():
    # ten log2 ratios; the two smallest and largest go, of the six left the mean is 1: ratio 2
    logs = [-50, -3, 0, 1, 1, 1, 1, 2, 7, 90]
    found = ratio(2.0 ** np.array(logs), np.ones(10))
    assert found.ratio == pytest.approx(2.0)
    assert (found.candidate, found.baseline, found.metric, found.n) == ("a", "b", "latency/query", 10)


def test_calls_are_paired_by_their_round_and_others_left_out():
    baseline = {number: float(2 ** (number % 7)) for number in range(40)}
    candidate = {number: 1.5 * baseline[number] for number in reversed(range(12, 40))} | {99: 1e9}
    found = paired_ratio(candidate, baseline, candidate="a", baseline="b", metric="m", tolerance=TOLERANCE, rng=rng())
    assert (found.ratio, found.ci_low, found.ci_high) == pytest.approx((1.5, 1.5, 1.5))
    assert (found.n, found.verdict) == (28, "dearer")


def test_the_interval_of_a_ratio_agrees_with_yuens():
    logs = rng(1).standard_t(3, size=60) * 0.05 + 0.1
    low, high = trimmed_mean_ci(logs, limits=(0.2, 0.2), alpha=0.05)
    found = ratio(np.exp(logs), np.ones(60))
    assert math.log(found.ci_low) == pytest.approx(low, abs=0.1 * (high - low))
    assert math.log(found.ci_high) == pytest.approx(high, abs=0.1 * (high - low))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(1e-4, 10), st.floats(1e-4, 10)), min_size=MIN_SAMPLES, max_size=60),
    st.floats(1e-3, 1e3),
)
def test_a_ratio_seen_from_the_other_side_is_its_reciprocal_and_has_no_unit(pairs, unit):
    first, second = zip(*pairs, strict=True)
    forth, back = ratio(first, second), ratio(second, first)
    swapped = {"dearer": "cheaper", "cheaper": "dearer"}
    assert (back.ratio, back.ci_low, back.ci_high) == pytest.approx(
        (1 / forth.ratio, 1 / forth.ci_high, 1 / forth.ci_low), rel=1e-9
    )
    assert forth.ci_low <= forth.ci_high
    edges = [abs(math.log(end)) - math.log1p(TOLERANCE) for end in (forth.ci_low, forth.ci_high)]
    if min(map(abs, edges)) > 1e-9:  # where rounding can't decide
        assert back.verdict == swapped.get(forth.verdict, forth.verdict)
    scaled = ratio(np.array(first) * unit, np.array(second) * unit)
    assert scaled.ratio == pytest.approx(forth.ratio, rel=1e-9)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.051, 3.0, "dearer"),
        (1.05, 3.0, "inconclusive"),
        (1 / 1.05, 1.05, "same"),
        (1.02, 1.04, "same"),  # surely dearer than 1, and surely by less than matters
        (0.2, 0.95, "cheaper"),
        (0.95, 1.0, "inconclusive"),
        (0.9, 1.2, "inconclusive"),
    ],
)
def test_the_verdict_is_that_of_the_whole_interval(low, high, verdict):
    assert ratio_verdict(low, high, TOLERANCE) == verdict


def test_a_seed_gives_the_same_interval_again_and_another_one_another():
    noise = rng(5).lognormal(0, 0.1, size=(2, 50))
    assert ratio(*noise, seed=1) == ratio(*noise, seed=1)
    assert ratio(*noise, seed=1).ci_low != ratio(*noise, seed=2).ci_low


def test_ratios_that_can_not_be_made_are_refused():
    with pytest.raises(ValueError, match="a ratio needs 10 common rounds, got 9"):
        ratio(np.ones(9), np.ones(20))
    with pytest.raises(ValueError, match="the clock is too coarse"):
        ratio(np.ones(20), [0.0, *np.ones(19)])
    with pytest.raises(ValueError, match=r"the tolerance should be 0 or more, got -0\.1"):
        ratio(np.ones(20), np.ones(20), tolerance=-0.1)


@pytest.mark.parametrize(("n", "noise"), [(10, "normal"), (10, "heavy"), (48, "normal"), (48, "heavy")])
def test_intervals_of_ratios_cover_about_95_percent(n, noise):
    source = rng(n)
    logs = source.normal(size=(1000, n)) if noise == "normal" else source.standard_t(2, size=(1000, n))
    found = [ratio(np.exp(0.02 * row), np.ones(n)) for row in logs]
    held = np.mean([one.ci_low <= 1 <= one.ci_high for one in found])
    # Ten rounds would hold the truth in 93 % without the factor; a standard error is 0.7 %.
    assert held >= (0.945 if n == 10 else 0.93)


# Sessions: what is measured on a busy machine, 48 rounds each; the rates are the acceptance of the gate (facts, 4)


def session(source: np.random.Generator, factor: float, *, sd: float, n: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Return two models' calls: queries of varied length, machine noise that lasts, and noise of each call alone."""
    query = source.lognormal(math.log(0.01), 0.4, n)
    episodes = np.repeat(source.lognormal(0, 0.5, n // 8 + 1), 8)[:n]
    calls = [query * episodes * np.exp(source.normal(0, sd / math.sqrt(2), n)) for _ in range(2)]
    return factor * calls[0], calls[1]


def heavy(source: np.random.Generator, factor: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return wall times: one call in eight is interrupted by something else, for up to many times its length."""
    hit = 1 + (source.random((2, n)) < 0.125) * source.pareto(1.0, size=(2, n))
    first, second = session(source, factor, sd=0.05, n=n)
    return first * hit[0], second * hit[1]


def test_cpu_time_tells_12_percent_from_nothing_in_48_rounds():
    source = rng(12)
    same = [ratio(*session(source, 1.0, sd=0.008)) for _ in range(400)]
    slower = [ratio(*session(source, 1.12, sd=0.008)) for _ in range(400)]
    assert np.mean([found.verdict != "same" for found in same]) <= 0.01
    assert np.mean([steadiness(found, tolerance=TOLERANCE) != "" for found in same]) <= 0.01
    assert np.mean([found.verdict == "dearer" for found in slower]) >= 0.99


def test_heavy_tailed_wall_time_gives_no_false_verdict_and_finds_12_percent_in_192_rounds():
    source = rng(13)
    same = [ratio(*heavy(source, 1.0, 48)) for _ in range(400)]
    assert np.mean([found.verdict in ("dearer", "cheaper") for found in same]) <= 0.01
    slower = [ratio(*heavy(source, 1.12, 192)) for _ in range(150)]
    assert np.mean([found.verdict == "dearer" for found in slower]) >= 0.99


# The control


def test_a_control_around_one_is_steady():
    assert steadiness(control(0.996, 1.003, 1.01), tolerance=TOLERANCE) == ""
    assert steadiness(control(1.015, 1.02, 1.025), tolerance=TOLERANCE) == ""  # within 2 %, as two processes may be


@pytest.mark.parametrize(("low", "value", "high"), [(1.021, 1.04, 1.06), (0.94, 0.96, 0.98)])
def test_a_control_that_excludes_two_percent_says_that_one_process_is_favoured(low, value, high):
    assert steadiness(control(low, value, high), tolerance=TOLERANCE) == (
        f"two processes of minilm should take the same time, but one took {value:.3f} times that of the other "
        f"(95 % interval {low:.3f} to {high:.3f})"
    )


def test_a_control_that_is_too_wide_says_how_wide():
    # half the width as a factor: sqrt(1.21 / 1) = 1.1
    assert steadiness(control(1.0, 1.1, 1.21), tolerance=TOLERANCE) == (
        "two processes of minilm can be compared to ±10.0 % only (95 % interval 1.000 to 1.210), and the tolerance is "
        "5 %"
    )
    assert steadiness(control(1.0, 1.05, 1.05**2 - 1e-9), tolerance=TOLERANCE) == ""
