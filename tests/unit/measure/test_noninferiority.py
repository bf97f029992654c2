"""Non-inferiority: worked by hand, beside SciPy's t-tests, and how often a candidate at the margin passes.

benchmarks/gate_coverage.py measures the last on more kinds of data and with more draws.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kurtosis, norm, skew, t, ttest_1samp

from benchkit.measure.bootstrap import Draws, draw_scores
from benchkit.measure.cumulants import Cumulants, difference_cumulants, of_mean
from benchkit.measure.noninferiority import (
    NonInferiority,
    change_interval,
    decide,
    detectable,
    items_needed,
    noninferiority,
)
from benchkit.measure.paired import interval as plain_interval
from benchkit.types.comparison import Interval
from benchkit.types.result import ItemScores


def test_p_values_bound_and_error_of_draws_worked_by_hand():
    # 99 even draws from -0.49 to 0.49.
    values = np.arange(-49, 50) / 100
    found = noninferiority(Draws(0.0, values), zeros(99), margin=0.455)
    assert found.delta == 0
    assert found.p_noninferior == pytest.approx((4 + 1) / 100)  # -0.49 to -0.46
    assert found.p_worse == pytest.approx((50 + 1) / 100)  # 0 to 0.49
    assert found.lower == pytest.approx(-0.46)  # the 4th draw: p would be below 0.05 for a margin beyond it
    assert (found.interval.low, found.interval.high) == pytest.approx((-0.475, 0.475))  # number 2.5 of 99
    assert found.standard_error == pytest.approx(math.sqrt((99**2 - 1) / 12) / 100)


def test_the_corrections_are_those_of_the_header():
    values = np.random.default_rng(1).permutation(norm.ppf(np.arange(1, 1000) / 1000))
    draws = Draws(0.0, values)
    spread, level = values.std(), 0.049  # number 49 of 999

    def lower(skewness: float, excess: float) -> float:
        cumulants = Cumulants(skewness * spread**3, excess * spread**4)
        return noninferiority(draws, zeros(999), margin=1.0, cumulants=cumulants).lower

    plain = norm.ppf(level)
    assert lower(0, 0) == pytest.approx(plain)
    assert lower(-0.6, 0) == pytest.approx(plain - 0.1 * spread * (2 * plain**2 + 1))
    assert lower(0, 0.25) == pytest.approx(t.ppf(level, 2 / 0.25))
    assert lower(-0.6, 0.25) == lower(-0.6, 0)  # the larger of the two
    assert lower(0.6, 0.25) == lower(0, 0.25)  # skewed the other way, which the upper end has to bear
    assert lower(0.6, -1.0) == lower(0, 0)  # nothing is ever pulled in
    assert lower(0, 50.0) == pytest.approx(t.ppf(level, 2))


def test_a_p_value_takes_the_correction_of_its_side():
    draws = Draws(-1.0, norm.ppf(np.arange(1, 1000) / 1000) - 1)
    plain = noninferiority(draws, zeros(999), margin=2.5)
    left = noninferiority(draws, zeros(999), margin=2.5, cumulants=Cumulants(-0.6, 0))
    right = noninferiority(draws, zeros(999), margin=2.5, cumulants=Cumulants(0.6, 0))
    assert left.p_noninferior > plain.p_noninferior == right.p_noninferior
    assert right.p_worse > plain.p_worse == left.p_worse
    assert left.interval.low < plain.interval.low == right.interval.low
    assert right.interval.high > plain.interval.high == left.interval.high


def zeros(n_draws: int) -> Draws:
    return Draws(0.0, np.zeros(n_draws))


def test_the_bound_and_the_p_value_never_disagree():
    rng = np.random.default_rng(0)
    for n_draws in (20, 39, 99, 100, 1000, 1999):
        values = rng.normal(size=n_draws)
        draws = Draws(0.0, values - values.mean())
        for margin in (*np.linspace(0.5, 3, 40), *-draws.values[draws.values < 0]):
            found = noninferiority(draws, zeros(n_draws), margin=margin)
            assert (found.lower > -margin) == (found.p_noninferior < 0.05)


def test_equal_draws_pass_for_certain_in_any_family():
    same = Draws(0.7, np.random.default_rng(0).normal(0.7, 0.1, 200))
    found = noninferiority(same, Draws(0.7, same.values + 1e-13), margin=1e-9)
    assert found == NonInferiority(0.0, 1e-9, Interval(0.0, 0.0), 0.0, 0.0, 1.0, 0.0)
    assert decide(found, p_pass=5000 * found.p_noninferior, p_fail=found.p_worse) == "pass"


def test_a_constant_difference_is_no_equality():
    better, worse = (noninferiority(Draws(by, np.full(200, by)), zeros(200), margin=0.02) for by in (0.01, -0.03))
    assert (better.p_noninferior, better.p_worse) == (1 / 201, 1.0)
    assert (worse.p_noninferior, worse.p_worse) == (1.0, 1 / 201)
    assert worse.standard_error == 0


@pytest.mark.parametrize("truth", [0.0, -0.02, -0.035])
def test_large_normal_samples_agree_with_the_t_test(truth):
    values = np.random.default_rng(3).normal(truth, 0.2, 800)
    candidate, baseline = draws_of(values, n_resamples=8000), draws_of(np.zeros(800), n_resamples=8000)
    found = noninferiority(candidate, baseline, margin=0.03)
    twin = ttest_1samp(values, -0.03, alternative="greater")
    assert found.p_noninferior == pytest.approx(twin.pvalue, abs=0.012)  # three standard errors of a share of 8000
    assert found.p_worse == pytest.approx(ttest_1samp(values, 0, alternative="less").pvalue, abs=0.012)
    assert found.lower == pytest.approx(twin.confidence_interval(0.95).low, abs=0.0006)
    two_sided = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((two_sided.low, two_sided.high), abs=0.001)
    assert found.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(800), rel=0.03)


def draws_of(values: np.ndarray, *, n_resamples: int = 999, seed: int = 1) -> Draws:
    items = ItemScores("test", "x", "mean", "hit", np.arange(len(values)).astype(str), {"value": values})
    return draw_scores([items], stream="t", estimate=float(values.mean()), n_resamples=n_resamples, seed=seed)


def test_a_shift_of_both_models_changes_nothing():
    rng = np.random.default_rng(5)
    baseline = rng.random(60)
    candidate = baseline + rng.normal(-0.01, 0.1, 60)
    found = noninferiority(draws_of(candidate), draws_of(baseline), margin=0.03)
    shifted = noninferiority(draws_of(candidate + 0.25), draws_of(baseline + 0.25), margin=0.03)
    assert shifted.p_noninferior == found.p_noninferior
    assert shifted.p_worse == found.p_worse
    assert shifted.lower == pytest.approx(found.lower, abs=1e-12)


def test_a_wider_margin_is_easier_to_pass_and_harder_to_fail():
    draws = draws_of(np.random.default_rng(6).normal(-0.04, 0.1, 80))
    found = [noninferiority(draws, zeros(999), margin=margin) for margin in np.linspace(0.001, 0.2, 60)]
    p_values = [one.p_noninferior for one in found]
    assert p_values == sorted(p_values, reverse=True)
    order = {"fail": 0, "inconclusive": 1, "pass": 2}
    verdicts = [order[decide(one, p_pass=one.p_noninferior, p_fail=one.p_worse)] for one in found]
    assert verdicts == sorted(verdicts)
    assert {0, 2} <= set(verdicts)


SHAPE = Cumulants(-0.3 * 0.01**3, 0.4 * 0.01**4)


def test_turning_the_models_round_turns_the_interval_round():
    rng = np.random.default_rng(8)
    a, b = (Draws(by, by + 0.01 * rng.normal(size=999)) for by in (0.5, 0.6))
    one = change_interval(a, b, cumulants=SHAPE)
    other = change_interval(b, a, cumulants=Cumulants(-SHAPE.third, SHAPE.fourth))
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_corrections_only_push_outwards():
    rng = np.random.default_rng(9)
    for values in (rng.normal(size=500), rng.poisson(1, 500) - 1.0, rng.random(500)):
        draws = Draws(0.0, 0.01 * (values - values.mean()))
        pushed, plain = change_interval(draws, zeros(500), cumulants=SHAPE), plain_interval(draws)
        assert pushed.low <= plain.low + 1e-12
        assert pushed.high >= plain.high - 1e-12


def test_draws_above_the_estimate_are_not_pushed_up():
    # Six of ten draws lie above the estimate, and with them some of the lower half.
    values = np.repeat([-1.5, 1.0], [400, 600])
    draws = Draws(-3.0, values - 3)
    plain = noninferiority(draws, zeros(1000), margin=1.99)
    heavy = noninferiority(
        draws, zeros(1000), margin=1.99, cumulants=Cumulants(0.6 * values.std() ** 3, values.std() ** 4)
    )
    assert heavy.p_noninferior == plain.p_noninferior == 1.0


def test_cumulants_are_those_of_the_mean_of_the_items():
    values = np.random.default_rng(2).exponential(size=30) ** 2
    found = difference_cumulants(entry_of(values), entry_of(np.zeros(30)))
    # a mean of n items has the skewness g / sqrt(n) and the excess kurtosis k / n
    error = values.std() / math.sqrt(30)
    assert found.third / error**3 == pytest.approx(skew(values) / math.sqrt(30))
    assert found.fourth / error**4 == pytest.approx(kurtosis(values) / 30)
    resampled = np.random.default_rng(3).choice(values, (40_000, 30)).mean(axis=1)
    assert found.third == pytest.approx(np.mean((resampled - resampled.mean()) ** 3), rel=0.1)


def test_cumulants_of_a_mean_over_parts_are_those_of_the_whole():
    # Three parts of equal size: their plain mean is the mean of all items, but for what lies between the parts.
    rng = np.random.default_rng(4)
    parts = [values - values.mean() for values in rng.exponential(size=(3, 20))]
    found = of_mean([difference_cumulants(entry_of(values), entry_of(np.zeros(20))) for values in parts])
    assert found.third == pytest.approx(np.mean(np.concatenate(parts) ** 3) / 60**2)


def entry_of(values: np.ndarray, **more: np.ndarray) -> ItemScores:
    return ItemScores("test", "x", "mean", "hit", np.arange(len(values)).astype(str), {"value": values, **more})


def test_items_that_do_not_count_have_no_part_in_the_cumulants():
    values, counted = np.array([0.0, 0.0, 1.0, 9.0]), np.array([1, 1, 1, 0])
    zero = np.zeros(4)
    found = difference_cumulants(entry_of(values, counted=counted), entry_of(zero, counted=counted))
    assert found == difference_cumulants(entry_of(values[:3]), entry_of(zero[:3]))
    none = np.zeros(4, int)
    assert difference_cumulants(entry_of(values, counted=none), entry_of(zero, counted=none)) == Cumulants()
    assert difference_cumulants(entry_of(values, counted=counted), entry_of(zero)) == Cumulants()


def test_answers_that_are_right_or_wrong_are_a_mean_and_other_scores_none():
    label, predicted = np.array([0, 1, 1, 0]), np.array([[0, 0], [0, 1], [1, 1], [1, 1]])
    names = np.array(list("abcd"))

    def classified(metric: str) -> ItemScores:
        return ItemScores("test", "x", "classification", metric, names, {"label": label, "predicted": predicted})

    right = entry_of(np.array([1.0, 0.5, 1.0, 0.0]))
    zero = entry_of(np.zeros(4))
    assert difference_cumulants(classified("accuracy"), zero) == difference_cumulants(right, zero)
    assert difference_cumulants(classified("f1"), classified("f1")) == Cumulants()
    pairs = ItemScores("test", "x", "bitext", "accuracy", names, {"gold": label, "predicted": predicted[:, 1]})
    hits = entry_of(np.array([1.0, 1.0, 1.0, 0.0]))
    assert difference_cumulants(pairs, zero) == difference_cumulants(hits, zero)
    layered, flat = (ItemScores("t", "x", "mean", "hit", names, one.columns, strata=label) for one in (right, zero))
    assert difference_cumulants(layered, flat) == Cumulants()


def found_with(delta: float) -> NonInferiority:
    return NonInferiority(delta, 0.02, Interval(delta - 0.01, delta + 0.01), delta - 0.008, 0.5, 0.5, 0.005)


@pytest.mark.parametrize(
    ("delta", "p_pass", "p_fail", "verdict"),
    [
        (-0.01, 0.049, 0.001, "pass"),  # surely worse, and surely within the margin
        (-0.01, 0.05, 0.001, "inconclusive"),
        (-0.03, 0.9, 0.049, "fail"),
        (-0.03, 0.9, 0.05, "inconclusive"),
        (-0.03, 0.001, 0.9, "inconclusive"),  # draws as skewed as this let nobody pass
        (-0.02, 0.3, 0.001, "inconclusive"),  # at the margin is not beyond it
    ],
)
def test_what_is_decided(delta, p_pass, p_fail, verdict):
    assert decide(found_with(delta), p_pass=p_pass, p_fail=p_fail) == verdict


def test_power_by_hand():
    z95, z80 = 1.6449, 0.8416
    assert detectable(0.01, 0.02) == pytest.approx(0.02 + z80 * 0.01, abs=1e-5)
    assert detectable(0.02, 0.02) == pytest.approx((z95 + z80) * 0.02, abs=1e-5)
    assert detectable(0.02, 0.02, family=10) == pytest.approx((2.5758 + z80) * 0.02, abs=1e-5)
    assert items_needed(50, 0.04, 0.02) == math.ceil(50 * ((z95 + z80) * 2) ** 2)
    assert items_needed(50, 0.04, 0.02, open_rules=10) == math.ceil(50 * ((2.57583 + 0.84162) * 2) ** 2)


def test_equal_scores_say_nothing_of_power():
    assert detectable(0.0, 0.02) is None
    assert items_needed(50, 0.0, 0.02) is None


@pytest.mark.parametrize(
    ("n_candidate", "n_baseline", "margin", "message"),
    [
        (100, 99, 0.1, "paired draws should be equally many: candidate 100, baseline 99"),
        (19, 19, 0.1, "a one-sided test at the 5 % level needs 20 draws or more, got 19"),
        (100, 100, 0.0, r"the margin should be above 0, got 0\.0"),
        (100, 100, math.nan, "the margin should be above 0, got nan"),
    ],
)
def test_what_can_not_be_tested_is_refused(n_candidate, n_baseline, margin, message):
    with pytest.raises(ValueError, match=message):
        noninferiority(zeros(n_candidate), zeros(n_baseline), margin=margin)


# How often a candidate that is worse by exactly the margin passes: 5 % is meant


def passes_at_the_margin(make, margin: float, *, n_sims: int = 1000, n_resamples: int = 999) -> float:
    rng = np.random.default_rng(2024)
    passed = 0
    for _ in range(n_sims):
        values = make(rng)
        expansion = math.sqrt(len(values) / (len(values) - 1))
        counts = resamples(rng, len(values), n_resamples)
        raw = counts @ values / len(values)
        draws = Draws(values.mean(), values.mean() + expansion * (raw - raw.mean()))
        cumulants = difference_cumulants(entry_of(values), entry_of(np.zeros(len(values))))
        found = noninferiority(draws, zeros(n_resamples), margin=margin, cumulants=cumulants)
        passed += found.delta >= -margin and found.p_noninferior < 0.05
    return passed / n_sims


_KEPT: dict[int, list[np.ndarray]] = {}


def resamples(rng: np.random.Generator, n_items: int, n_resamples: int) -> np.ndarray:
    """Return one of twenty sets of resamples: new ones each time would take most of the test's time."""
    if n_items not in _KEPT:
        shares = np.full(n_items, 1 / n_items)
        _KEPT[n_items] = [rng.multinomial(n_items, shares, size=n_resamples).astype(float) for _ in range(20)]
    return _KEPT[n_items][rng.integers(20)]


@pytest.mark.parametrize(
    ("make", "margin", "least", "most"),
    [
        (lambda rng: rng.normal(-0.02, 0.2, 100), 0.02, 0.03, 0.07),
        (lambda rng: rng.choice([-1.0, 0.0, 1.0], 200, p=[0.07, 0.88, 0.05]), 0.02, 0.03, 0.07),
        # One in forty loses 0.8: the plain percentiles pass 10 % of them.
        (lambda rng: (rng.random(200) < 0.025) * rng.uniform(-1.0, -0.6, 200), 0.02, 0.02, 0.07),
    ],
    ids=["normal", "right or wrong", "rare large losses"],
)
def test_a_candidate_at_the_margin_rarely_passes(make, margin, least, most):
    # Three standard errors of 1000 simulations are 2 %.
    assert least <= passes_at_the_margin(make, margin) <= most
