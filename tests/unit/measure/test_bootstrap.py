"""Resamples, draws, intervals and paired differences; how often the intervals hold the truth is measured here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, norm, t, ttest_1samp

from benchkit.measure.bootstrap import (
    Draws,
    KeptCounts,
    check_paired,
    differences,
    draw_scores,
    interval,
    mean_draws,
    paired,
    resample_counts,
)
from benchkit.measure.weighted import weighted_scores
from benchkit.types.comparison import Interval
from benchkit.types.result import ItemScores


def mean_items(values: object, *, subset: str = "default", strata: np.ndarray | None = None) -> ItemScores:
    array = np.asarray(values, dtype=np.float64)
    names = np.array([f"item {i}" for i in range(len(array))])
    return ItemScores("test", subset, "mean", "accuracy", names, {"value": array}, strata)


def draw_mean(values: object, **options: object) -> Draws:
    settings = {"stream": "task", "estimate": float(np.mean(values)), "n_resamples": 1000, "seed": 1} | options  # type: ignore[arg-type]
    return draw_scores([mean_items(values)], **settings)  # type: ignore[arg-type]


def expansion(n_items: int, n_strata: int = 1) -> float:
    freedom = n_items - n_strata
    return math.sqrt(n_items / freedom) * t.ppf(0.975, freedom) / norm.ppf(0.975)


# Resamples


def test_each_resample_has_as_many_items_as_the_data():
    counts = np.vstack(list(resample_counts(7, 50, np.random.default_rng(0), chunk=8)))
    assert counts.shape == (50, 7)
    assert set(counts.sum(axis=1)) == {7}


def test_counts_are_multinomial():
    counts = np.vstack(list(resample_counts(5, 40_000, np.random.default_rng(0))))
    # Var(count) = n * 1/n * (1 - 1/n) = 0.8 and Cov = -n / n² = -0.2; standard errors about 0.006
    np.testing.assert_allclose(np.cov(counts.T), np.eye(5) - 0.2, atol=0.03)
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.02)


def test_strata_keep_their_sizes():
    strata = np.array([3, 9, 3, 9, 9, 4])
    counts = np.vstack(list(resample_counts(6, 100, np.random.default_rng(0), strata=strata)))
    for stratum in (3, 9, 4):
        assert set(counts[:, strata == stratum].sum(axis=1)) == {np.count_nonzero(strata == stratum)}
    assert len({tuple(row) for row in counts}) > 20


@pytest.mark.parametrize("strata", [None, np.array([0, 1, 1, 0, 1, 2, 2])])
def test_resamples_do_not_depend_on_the_chunks(strata):
    def drawn(chunk: int | None) -> np.ndarray:
        return np.vstack(list(resample_counts(7, 40, np.random.default_rng(5), strata=strata, chunk=chunk)))

    np.testing.assert_array_equal(drawn(3), drawn(None))


@pytest.mark.parametrize(("n_items", "strata"), [(0, None), (3, np.zeros(2, np.int64))])
def test_resampling_without_items_or_with_half_named_strata_is_refused(n_items, strata):
    with pytest.raises(ValueError, match="resampling needs items, and a stratum for each if for any"):
        resample_counts(n_items, 10, np.random.default_rng(0), strata=strata)


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


def drawn(kept: KeptCounts, items: ItemScores, n_resamples: int = 50, seed: int = 1) -> np.ndarray:
    return np.vstack(list(kept.counts(items, n_resamples, [seed, 2, 3])))


@pytest.mark.parametrize("strata", [None, np.array([0, 1, 1, 0, 1, 2, 2])], ids=["plain", "strata"])
def test_kept_resamples_are_the_ones_that_would_be_drawn(strata, monkeypatch):
    items, kept = mean_items(range(7), strata=strata), KeptCounts(10_000)
    rng = np.random.default_rng(np.random.SeedSequence([1, 2, 3]))
    expected = np.vstack(list(resample_counts(7, 50, rng, strata=strata)))
    np.testing.assert_array_equal(drawn(kept, items), expected)
    monkeypatch.delattr("benchkit.measure.bootstrap.resample_counts")
    np.testing.assert_array_equal(drawn(kept, mean_items(range(7, 14), strata=strata)), expected)
    assert kept.n_bytes == 7 * 50


def test_the_scores_of_a_later_model_are_those_it_would_have_alone(monkeypatch):
    values = np.random.default_rng(0).random(400)  # more than one chunk of 327 resamples
    options = {"n_resamples": 1000, "estimate": float(values.mean())}
    alone = draw_mean(values, **options, stream="alone")
    draw_mean(1 - values, stream="alone", n_resamples=1000)
    monkeypatch.delattr("benchkit.measure.bootstrap.resample_counts")
    assert draw_mean(values, **options, stream="alone").values.tobytes() == alone.values.tobytes()


def test_resamples_of_other_seeds_numbers_or_strata_are_their_own():
    kept = KeptCounts(10_000)
    first = drawn(kept, mean_items(range(7)))
    assert not np.array_equal(drawn(kept, mean_items(range(7)), seed=2), first)
    assert len(drawn(kept, mean_items(range(7)), n_resamples=60)) == 60
    assert drawn(kept, mean_items(range(8))).shape == (50, 8)
    strata = np.array([0, 0, 0, 1, 1, 1, 1])
    assert set(drawn(kept, mean_items(range(7), strata=strata))[:, :3].sum(axis=1)) == {3}


def test_the_resamples_not_used_for_longest_make_room_and_too_many_are_not_kept():
    kept = KeptCounts(2 * 7 * 50)
    for seed in (1, 2, 1, 3):
        drawn(kept, mean_items(range(7)), seed=seed)
    assert kept.n_bytes == 2 * 7 * 50
    assert [key[-3] for key in kept._chunks] == [1, 3]
    drawn(kept, mean_items(range(15)))
    assert [key[0] for key in kept._chunks] == [7, 7]


def test_counts_that_need_more_than_a_byte_are_not_kept(monkeypatch):
    kept = KeptCounts(10_000)
    monkeypatch.setattr(
        "benchkit.measure.bootstrap.resample_counts", lambda *_, **__: iter([np.array([[256, 0]]), np.array([[1, 1]])])
    )
    for _ in range(2):
        assert drawn(kept, mean_items(range(2))).tolist() == [[256, 0], [1, 1]]
    assert kept.n_bytes == 0


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


# Intervals and paired differences


def test_percentiles_by_hand():
    draws = Draws(0.5, np.random.default_rng(0).permutation(np.arange(1, 40) / 40))  # 39 draws: 0.025, 0.05, ... 0.975
    assert interval(draws).low == pytest.approx(0.025)  # number 0.025 * 40 = 1
    assert interval(draws).high == pytest.approx(0.975)
    assert interval(draws, level=0.9).low == pytest.approx(0.05)


def test_an_interval_is_cut_to_the_scores_that_there_are():
    draws = Draws(0.95, np.linspace(0.85, 1.05, 1001))
    assert interval(draws, bounds=(0.0, 1.0)).high == 1.0
    assert interval(draws).high > 1.0


def test_p_value_by_hand():
    # 2 of 19 differences are not above 0: 2 * (2 + 1) / 20
    candidate = Draws(0.2, np.array([-0.1, 0.0, *np.linspace(0.1, 0.5, 17)]))
    result = paired(candidate, Draws(0.0, np.zeros(19)))
    assert result.p_value == pytest.approx(0.3)
    assert result.delta == 0.2
    assert paired(Draws(0.0, np.zeros(19)), candidate).p_value == pytest.approx(0.3)


def test_the_smallest_p_value_counts_the_data_themselves():
    assert paired(Draws(1.0, np.ones(999)), Draws(0.0, np.zeros(999))).p_value == pytest.approx(2 / 1000)


def test_equal_draws_are_no_difference():
    values = np.random.default_rng(0).random(50)
    result = paired(draw_mean(values), draw_mean(values))
    assert (result.delta, result.interval, result.p_value) == (0.0, Interval(0.0, 0.0), 1.0)


def test_differences_within_rounding_are_no_difference():
    draws = draw_mean(np.random.default_rng(0).random(50))
    nearly = Draws(draws.estimate + 1e-16, draws.values + 1e-16)
    result = paired(nearly, draws)
    assert (result.delta, result.interval, result.p_value) == (0.0, Interval(0.0, 0.0), 1.0)


@pytest.mark.parametrize("shift", [0.18, 0.2, 0.21])
def test_beyond_what_draws_can_show_the_p_value_is_that_of_the_t_test(shift: float) -> None:
    rng = np.random.default_rng(11)
    gains = rng.normal(0, 0.5, 150)
    gains += shift - gains.mean()
    better, worse = (draw_mean(values, n_resamples=10_000) for values in (gains, np.zeros(150)))
    told = paired(better, worse, freedom=149).p_value
    assert paired(better, worse).p_value == pytest.approx(2 / 10_001), "the draws should all be on one side"
    assert np.log(told) == pytest.approx(np.log(ttest_1samp(gains, 0).pvalue), rel=0.05)


def test_the_tail_is_believed_down_to_a_thousandth_and_for_as_many_signs() -> None:
    nearly_all_alike = Draws(1.0, np.random.default_rng(3).normal(1.0, 1e-3, 999))
    nothing = Draws(0.0, np.zeros(999))
    smallest = 2 / 1000
    assert paired(nearly_all_alike, nothing, freedom=500).p_value == pytest.approx(smallest / 1000)
    assert paired(nearly_all_alike, nothing, freedom=12).p_value == pytest.approx(0.5**12)
    assert paired(nearly_all_alike, nothing, freedom=5).p_value == pytest.approx(smallest)  # five signs say less
    assert paired(Draws(1.0, np.ones(999)), nothing, freedom=500).p_value == pytest.approx(smallest)  # no spread at all


def test_a_draw_on_the_far_side_leaves_the_p_value_to_the_draws() -> None:
    values = np.concatenate([np.random.default_rng(3).normal(1.0, 1e-3, 998), [-0.1]])
    assert paired(Draws(1.0, values), Draws(0.0, np.zeros(999)), freedom=500).p_value == pytest.approx(4 / 1000)


def test_a_p_value_below_the_level_means_an_interval_on_one_side_of_zero():
    rng = np.random.default_rng(0)
    significant = 0
    for n_resamples in (39, 40, 100, 999, 1000):
        for _ in range(200):
            a = Draws(0.0, rng.normal(rng.uniform(-3, 3), 1, n_resamples))
            result = paired(a, Draws(0.0, np.zeros(n_resamples)))
            if result.p_value < 0.05:
                significant += 1
                assert result.interval.low > 0 or result.interval.high < 0
    assert significant > 100


@pytest.mark.parametrize("n_items", [1000, 3000])
def test_resamples_that_miss_every_difference_speak_against_one_whatever_the_seed(n_items: int) -> None:
    better, worse = np.ones(n_items), np.ones(n_items)
    better[50:100] = worse[50:100] = 0
    worse[:4] = 0  # all that tells the two apart
    # Scores as reported, to five digits: less than that decides on which side of 0 "no difference" lies.
    a, b = (
        [draw_mean(values, estimate=round(values.mean(), 5), n_resamples=4000, seed=seed) for seed in range(8)]
        for values in (better, worse)
    )
    expected = 2 * (1 - 4 / n_items) ** n_items  # each of them misses the four
    for candidate, baseline in zip(a, b, strict=True):
        assert paired(candidate, baseline).p_value == pytest.approx(expected, rel=0.5)


@pytest.mark.parametrize("n_tasks", [1, 2])
def test_scores_that_are_no_means_and_differ_on_one_item_are_the_same_whatever_the_seed(n_tasks: int) -> None:
    """A third of the resamples miss the item; the bias of f1, which the two models share, doesn't count for either."""
    gold = np.arange(300)
    worse = gold.copy()
    worse[50:110] = 0
    better, alike = worse.copy(), {"gold": gold, "predicted": worse}
    better[105] = 105
    for seed in range(6):
        a, b = (
            mean_draws(
                [
                    draw_of({"gold": gold, "predicted": predicted}, stream="differs", seed=seed),
                    *(draw_of(alike, stream=f"alike-{n}", seed=seed) for n in range(1, n_tasks)),
                ]
            )
            for predicted in (better, worse)
        )
        assert np.mean(differences(a, b) == 0) == pytest.approx((1 - 1 / 300) ** 300, abs=0.05)
        found = paired(a, b)
        assert found.delta > 0
        assert found.p_value == pytest.approx(2 * (1 - 1 / 300) ** 300, rel=0.15)
        assert found.interval.low <= 0 < found.interval.high


def draw_of(columns: dict[str, np.ndarray], *, stream: str, seed: int) -> Draws:
    items = ItemScores("test", "default", "bitext", "f1", np.arange(len(columns["gold"])).astype(str), columns)
    estimate = float(weighted_scores(items, np.ones((1, items.n_items), np.int64))[0])
    return draw_scores([items], stream=stream, estimate=estimate, n_resamples=1000, seed=seed)


def test_no_difference_by_hand() -> None:
    # Both centred on their own means: the second draw scored 0.5 and 0.5, the third 0.9 and 0.7.
    a, b = Draws(0.7, np.array([0.71, 0.53, 0.93]), origin=0.03), Draws(0.6, np.array([0.61, 0.51, 0.71]), origin=0.01)
    assert differences(a, b).tolist() == pytest.approx([0.1, 0.0, 0.22])
    assert differences(a, Draws(b.estimate, b.values)).tolist() == pytest.approx([0.1, 0.02, 0.22]), "nothing is known"


def test_pairing_takes_the_spread_of_the_items_out():
    rng = np.random.default_rng(0)
    easy = rng.random(100)
    better = np.clip(easy + 0.02 + rng.normal(0, 0.01, 100), 0, 2)
    a, b = draw_mean(better), draw_mean(easy)
    result = paired(a, b)
    assert result.p_value < 0.01
    assert interval(a).low < interval(b).high  # the single intervals overlap widely
    assert result.interval.high - result.interval.low < 0.1 * (interval(a).high - interval(a).low)


def test_a_difference_is_cut_to_the_differences_that_there_are():
    best, worst = Draws(0.95, np.linspace(0.7, 1.2, 1001)), Draws(0.05, np.linspace(0.3, -0.2, 1001))
    assert paired(best, worst).interval.high > 1.3
    assert paired(best, worst, bounds=(0.0, 1.0)).interval.high == 1.0
    assert paired(worst, best, bounds=(0.0, 1.0)).interval.low == -1.0
    assert paired(best, worst, bounds=(-1.0, 1.0)) == paired(best, worst)
    assert paired(best, worst, bounds=(0.0, 1.0)).p_value == paired(best, worst).p_value


def test_paired_draws_should_be_equally_many():
    with pytest.raises(ValueError, match="equally many: candidate 3, baseline 2"):
        paired(Draws(0.0, np.zeros(3)), Draws(0.0, np.zeros(2)))


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


# Pairing is refused unless the items are the same

ITEMS = mean_items([0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(ITEMS, subset="de"), "splits and subsets differ: test/default against test/de"),
        (replace(ITEMS, metric="map"), "test/default: mean accuracy against mean map"),
        (mean_items([0.1, 0.2]), "test/default: 3 items against 2"),
        (
            replace(ITEMS, items=np.array(["item 0", "item 2", "item 1"])),
            "test/default: item 1 is 'item 1' against 'item 2'",
        ),
        (replace(ITEMS, strata=np.array([0, 0, 0])), "test/default: the items are in different strata"),
    ],
    ids=["subset", "metric", "count", "order", "strata"],
)
def test_pairing_of_other_items_is_refused(other, message):
    with pytest.raises(ValueError, match=f"not paired: {message}"):
        check_paired([ITEMS], [other])


def test_pairing_of_other_strata_is_refused():
    with pytest.raises(ValueError, match="different strata"):
        check_paired([replace(ITEMS, strata=np.array([0, 0, 1]))], [replace(ITEMS, strata=np.array([0, 1, 1]))])


def test_pairing_of_the_same_items_is_fine_whatever_their_values():
    other = mean_items([0.9, 0.8, 0.7])
    check_paired([ITEMS], [other])
    check_paired([replace(ITEMS, strata=np.array([0, 0, 1]))], [replace(other, strata=np.array([0, 0, 1]))])


# Coverage: the share of 95 % intervals that hold the truth


def coverage(truth: float, simulate: Callable[[np.random.Generator, int], Interval], n_rounds: int) -> float:
    rng = np.random.default_rng(2024)
    intervals = [simulate(rng, seed) for seed in range(n_rounds)]
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
