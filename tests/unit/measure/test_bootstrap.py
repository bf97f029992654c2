"""Draws of scores; how often the intervals that they give hold the truth is measured here."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, norm, t
from score_items import draw_mean, mean_items

from benchkit.measure.bootstrap import Draws, draw_scores, mean_draws
from benchkit.measure.paired import interval, paired
from benchkit.measure.resamples import resample_counts
from benchkit.measure.weighted import weighted_scores
from benchkit.types.comparison import Interval
from benchkit.types.result import ItemScores


def expansion(n_items: int, n_strata: int = 1) -> float:
    freedom = n_items - n_strata
    return math.sqrt(n_items / freedom) * t.ppf(0.975, freedom) / norm.ppf(0.975)


# Draws


def test_draws_of_a_mean_are_centred_on_that_of_the_items():
    draws = draw_mean([0.0, 0.3, 1.0, 0.2], estimate=0.375004, n_resamples=40_000)  # as rounded by whoever reported it
    assert draws.estimate == 0.375004
    assert draws.values.mean() == pytest.approx(0.375, abs=4 * draws.values.std() / 200)
    # The resample of one item four times lies where it does for each seed.
    assert draws.values.min() == pytest.approx(0.375 + expansion(4) * (0.0 - 0.375), abs=1e-12)


def test_draws_of_any_other_score_are_centred_on_the_estimate():
    predicted = np.random.default_rng(0).normal(size=20)
    columns = {"predicted": predicted, "gold": np.exp(predicted) + np.linspace(0, 1, 20)}
    items = ItemScores("test", "default", "correlation", "spearman", np.arange(20).astype(str), columns)
    estimate = float(weighted_scores(items, np.ones((1, 20), np.int64))[0]) + 5e-5
    draws = draw_scores([items], stream="task", estimate=estimate, n_resamples=1000, seed=1)
    assert draws.values.mean() == pytest.approx(estimate, abs=1e-12)


def test_draws_spread_like_the_unbiased_standard_error_times_t_over_z():
    values = np.random.default_rng(0).normal(size=20)
    draws = draw_mean(values, n_resamples=40_000)
    expected = values.std(ddof=1) / math.sqrt(20) * t.ppf(0.975, 19) / norm.ppf(0.975)
    assert draws.values.std() == pytest.approx(expected, rel=0.015)  # four standard errors


def test_draws_agree_with_a_loop_over_resampled_data():
    values = np.random.default_rng(1).random(12)  # no two resamples have quite the same mean
    rng = np.random.default_rng(0)
    twin = np.array([np.mean(rng.choice(values, 12)) for _ in range(20_000)])
    draws = draw_mean(values, n_resamples=20_000)
    levels = [0.025, 0.25, 0.5, 0.75, 0.975]
    expected = values.mean() + expansion(12) * (np.quantile(twin, levels) - twin.mean())
    np.testing.assert_allclose(np.quantile(draws.values, levels), expected, atol=0.01)


def test_strata_take_the_spread_between_them_out():
    values = np.array([0.0, 0.1, 0.0, 0.1, 1.0, 0.9, 1.0, 0.9])
    strata = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    options = {"stream": "task", "estimate": 0.5, "n_resamples": 20_000, "seed": 1}
    within = draw_scores([mean_items(values, strata=strata)], **options)
    # each half has standard deviation 0.05 (n in the denominator); half the sum of two means of four
    expected = expansion(8, 2) * math.sqrt(2 * (0.05**2 / 4)) / 2
    assert within.values.std() == pytest.approx(expected, rel=0.03)
    assert draw_scores([mean_items(values)], **options).values.std() > 5 * expected


def test_the_score_of_several_subsets_is_their_plain_mean():
    few, many = mean_items([0.0, 1.0, 1.0, 0.0], subset="de"), mean_items([0.2] * 50 + [0.4] * 50, subset="en")
    options = {"n_resamples": 20_000, "seed": 1}
    both = draw_scores([few, many], stream="task", estimate=(1 / 2 + 0.3) / 2, **options)
    alone = [
        draw_scores([few], stream="task", estimate=1 / 2, **options),
        draw_scores([many], stream="task", estimate=0.3, **options),
    ]
    np.testing.assert_allclose(both.values, (alone[0].values + alone[1].values) / 2, atol=1e-12)
    assert abs(np.corrcoef(alone[0].values, alone[1].values)[0, 1]) < 0.03  # independent streams


def test_a_seed_gives_the_same_draws_again_and_another_seed_others():
    values = [0.1, 0.2, 0.9, 0.4]
    np.testing.assert_array_equal(draw_mean(values).values, draw_mean(values).values)
    assert not np.array_equal(draw_mean(values, seed=2).values, draw_mean(values).values)
    assert not np.array_equal(draw_mean(values, stream="other task").values, draw_mean(values).values)


def test_the_stream_is_pinned():
    # A change here changes the intervals of all stored results: say so in the changelog.
    draws = draw_mean([0.0, 1.0, 2.0, 4.0], n_resamples=5, seed=7)
    raw = (draws.values - 1.75) / expansion(4)
    np.testing.assert_allclose(raw, [1.25, -1.25, -0.5, -0.25, 0.0], atol=1e-9)


def test_all_models_see_the_same_resamples():
    values = np.random.default_rng(0).random(30)
    a, b = draw_mean(values), draw_mean(2 * values + 1)
    np.testing.assert_allclose(b.values, 2 * a.values + 1, atol=1e-12)


# Resamples that are kept for the next model


def test_the_scores_of_a_later_model_are_those_it_would_have_alone(monkeypatch):
    values = np.random.default_rng(0).random(400)  # more than one chunk of 327 resamples
    options = {"n_resamples": 1000, "estimate": float(values.mean())}
    alone = draw_mean(values, **options, stream="alone")
    draw_mean(1 - values, stream="alone", n_resamples=1000)
    monkeypatch.delattr("benchkit.measure.resamples.resample_counts")
    assert draw_mean(values, **options, stream="alone").values.tobytes() == alone.values.tobytes()


# Undefined resamples


def pair_items(label: list[int], scores: list[float], metric: str = "ap") -> ItemScores:
    names = np.array([f"item {i}" for i in range(len(label))])
    columns = {"label": np.array(label), "predicted": np.array(scores)[:, None]}
    return ItemScores("test", "default", "pair", metric, names, columns)


def test_undefined_resamples_are_drawn_again_in_the_same_way_for_all_models():
    # two positives of five: a resample lacks both with probability 0.6^5 = 8 %
    label = [1, 1, 0, 0, 0]
    a = draw_scores([pair_items(label, [5, 4, 3, 2, 1])], stream="t", estimate=1.0, n_resamples=4000, seed=1)
    b = draw_scores([pair_items(label, [5, 2, 4, 3, 1])], stream="t", estimate=0.75, n_resamples=4000, seed=1)
    same_order = draw_scores(
        [pair_items(label, [9, 7, 8, 7.5, 6])], stream="t", estimate=0.75, n_resamples=4000, seed=1
    )
    assert len(a.values) == len(b.values) == 4000
    assert np.isfinite(b.values).all()
    np.testing.assert_array_equal(b.values, same_order.values)


def test_drawing_again_gives_the_distribution_of_the_defined_resamples():
    # one positive of six, ranked third: a third of the resamples, (5/6)^6, lacks it
    items = pair_items([0, 0, 1, 0, 0, 0], [6, 5, 4, 3, 2, 1])
    draws = draw_scores([items], stream="t", estimate=1 / 3, n_resamples=20_000, seed=1)
    raw = weighted_scores(items, next(resample_counts(6, 20_000, np.random.default_rng(3), chunk=20_000)))
    assert 0.32 < np.isnan(raw).mean() < 0.35
    defined = raw[~np.isnan(raw)]
    levels = np.arange(0.05, 1, 0.05)
    expected = 1 / 3 + expansion(6) * (np.quantile(defined, levels) - defined.mean())
    # quantiles of a step distribution jump, so compare the shares below them
    below = (draws.values[:, None] <= expected + 0.01).mean(axis=0)
    np.testing.assert_allclose(below, (defined[:, None] <= np.quantile(defined, levels)).mean(axis=0), atol=0.02)


def test_mostly_undefined_resamples_are_refused():
    # each column is constant but for one item: a resample needs that item, as 64 of 100 have, or 41 of 100 have both
    def spearman(predicted: np.ndarray, gold: np.ndarray) -> ItemScores:
        names = np.array([f"item {i}" for i in range(40)])
        return ItemScores("test", "default", "correlation", "spearman", names, {"predicted": predicted, "gold": gold})

    first, second = np.eye(40)[:2]
    options = {"stream": "t", "n_resamples": 400, "seed": 1}
    assert np.isfinite(draw_scores([spearman(first, first)], estimate=1.0, **options).values).all()
    message = r"test/default: spearman is undefined on 2\d\d of 400 resamples; 40 items are too few"
    with pytest.raises(ValueError, match=message):
        draw_scores([spearman(first, second)], estimate=-1 / 39, **options)


# Refusals of draw_scores


def test_items_that_do_not_give_the_reported_score_are_refused():
    with pytest.raises(ValueError, match=r"task: the items give a score of 0\.500000, the task reported 0\.500200"):
        draw_mean([0.0, 1.0, 0.0, 1.0], estimate=0.5002)
    draw_mean([0.0, 1.0, 0.0, 1.0], estimate=0.50009)


def test_items_without_a_defined_score_are_refused():
    with pytest.raises(ValueError, match=r"t: the items give a score of nan, the task reported 0\.000000"):
        draw_scores([pair_items([0, 0], [1, 2])], stream="t", estimate=0.0, seed=1)


@pytest.mark.parametrize("n_items", [1, 2, 3])
def test_fewer_than_four_items_are_refused(n_items):
    # one of three items is drawn three times in 1 of 27 resamples, more often than the 2.5 % beyond an interval's end
    message = rf"test/default: {n_items} item\(s\) are too few for an interval; it needs four, or more in strata"
    with pytest.raises(ValueError, match=message):
        draw_mean(np.linspace(0, 1, n_items))
    assert draw_mean(np.linspace(0, 1, 4)).values.std() > 0


def test_two_pairs_have_no_interval_although_they_always_correlate_perfectly():
    columns = {"predicted": np.array([0.1, 0.8]), "gold": np.array([1.0, 3.0])}
    pairs = ItemScores("test", "default", "correlation", "spearman", np.array(["a", "b"]), columns)
    assert weighted_scores(pairs, [[1, 1]])[0] == pytest.approx(1.0)
    with pytest.raises(ValueError, match=r"2 item\(s\) are too few for an interval"):
        draw_scores([pairs], stream="t", estimate=1.0, seed=1)


@pytest.mark.parametrize(
    ("strata", "refused"),
    [([0, 1, 2, 3, 4], True), ([0, 0, 1, 1], True), ([0, 0, 1, 1, 2, 2], False), ([0, 0, 0, 1, 1], False)],
    ids=["1 in 1", "1 in 16", "1 in 64", "1 in 108"],
)
def test_strata_have_an_interval_where_one_resample_is_rarer_than_its_tail(strata, refused):
    values = np.arange(float(len(strata)))
    items = [mean_items(values, strata=np.array(strata))]
    if not refused:
        assert draw_scores(items, stream="t", estimate=values.mean(), seed=1).values.std() > 0
        return
    with pytest.raises(ValueError, match=rf"{len(strata)} item\(s\) are too few for an interval"):
        draw_scores(items, stream="t", estimate=values.mean(), seed=1)


def test_no_entries_the_same_entry_twice_and_no_resamples_are_refused():
    with pytest.raises(ValueError, match="task: needs each split and subset once, got none"):
        draw_scores([], stream="task", estimate=0.5, seed=1)
    with pytest.raises(ValueError, match="got test/default, test/default"):
        draw_scores([mean_items([0, 1]), mean_items([0, 1])], stream="task", estimate=0.5, seed=1)
    with pytest.raises(ValueError, match="task: needs one or more resamples, got 0"):
        draw_mean([0, 1], n_resamples=0)


# Means over tasks


def test_mean_over_tasks_by_hand():
    result = mean_draws([Draws(0.2, np.array([0.1, 0.3])), Draws(0.6, np.array([0.5, 0.7]))])
    assert result.estimate == pytest.approx(0.4)
    np.testing.assert_allclose(result.values, [0.3, 0.5])


def test_mean_over_independent_tasks_is_narrower_by_the_root_of_their_number():
    values = np.random.default_rng(0).random(40)
    tasks = [draw_mean(values, stream=f"task {i}", n_resamples=10_000) for i in range(4)]
    assert mean_draws(tasks).values.std() == pytest.approx(tasks[0].values.std() / 2, rel=0.04)


@pytest.mark.parametrize("draws", [[], [Draws(0.0, np.zeros(3)), Draws(0.0, np.zeros(2))]])
def test_mean_needs_tasks_with_equally_many_draws(draws):
    with pytest.raises(ValueError, match="the mean needs one or more tasks with equally many draws"):
        mean_draws(draws)


# Coverage: the share of 95 % intervals that hold the truth

# Each round has new items. Its resamples, nearly all of the work, are drawn for so many seeds and used again: what a
# seed alone does to the share was too little to be seen beside the chance of 800 rounds for each of 30 seeds.
SEEDS = 100


def coverage(truth: float, simulate: Callable[[np.random.Generator, int], Interval], n_rounds: int) -> float:
    rng = np.random.default_rng(2024)
    intervals = [simulate(rng, round_ % SEEDS) for round_ in range(n_rounds)]
    return float(np.mean([found.low <= truth <= found.high for found in intervals]))


# 4,000 rounds: the share has a standard error of 0.34 points, so that a true 95 % leaves 94 to 96 once in 300 seeds.


@pytest.mark.slow
def test_intervals_of_a_mean_hold_the_truth_in_95_of_100_cases():
    share = coverage(0.5, lambda rng, seed: interval(draw_mean(rng.normal(0.5, 0.2, 50), seed=seed)), 4000)
    assert 0.94 <= share <= 0.96


@pytest.mark.slow
def test_intervals_of_an_accuracy_hold_the_truth_in_95_of_100_cases():
    # 200 items, 70 % right: only the number of right ones matters, so each is tried, and counts as often as it occurs
    right = np.arange(115, 165)  # all but 1e-4 of the probability
    held = [
        np.mean([found.low <= 0.7 <= found.high for found in (interval(draw_right(k, seed)) for seed in range(8))])
        for k in right
    ]
    probability = binom.pmf(right, 200, 0.7)
    assert probability.sum() > 0.9998
    assert 0.94 <= float(probability @ np.array(held)) <= 0.96


def draw_right(n_right: int, seed: int) -> Draws:
    return draw_mean(np.arange(200) < n_right, seed=seed)


@pytest.mark.slow
def test_intervals_of_a_paired_difference_hold_the_truth_in_95_of_100_cases():
    def simulate(rng: np.random.Generator, seed: int) -> Interval:
        shared = rng.normal(0.5, 0.2, 30)  # hard and easy items are so for both models
        a, b = shared + rng.normal(0.03, 0.1, 30), shared + rng.normal(0.0, 0.1, 30)
        return paired(draw_mean(a, seed=seed), draw_mean(b, seed=seed)).interval

    assert 0.94 <= coverage(0.03, simulate, 4000) <= 0.96


@pytest.mark.slow
def test_intervals_of_spearman_hold_the_truth_in_93_to_97_of_100_cases():
    rho = 0.8
    truth = 6 / math.pi * math.asin(rho / 2)  # Spearman's of a bivariate normal distribution

    def simulate(rng: np.random.Generator, seed: int) -> Interval:
        x, y = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], 200).T
        names = np.array([f"item {i}" for i in range(200)])
        items = ItemScores("test", "default", "correlation", "spearman", names, {"predicted": x, "gold": y})
        ranks = [column.argsort().argsort() for column in (x, y)]
        return interval(
            draw_scores([items], stream="t", estimate=float(np.corrcoef(ranks)[0, 1]), n_resamples=1000, seed=seed)
        )

    assert 0.93 <= coverage(truth, simulate, 600) <= 0.97


@pytest.mark.slow
def test_without_a_difference_one_p_value_in_twenty_is_below_a_twentieth():
    rng = np.random.default_rng(7)
    p_values = []
    for seed in range(1000):
        a, b = rng.normal(0.5, 0.2, (2, 30))
        p_values.append(paired(draw_mean(a, seed=seed), draw_mean(b, seed=seed)).p_value)
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.02)  # three standard errors
    assert np.mean(np.array(p_values) < 0.5) == pytest.approx(0.5, abs=0.05)
