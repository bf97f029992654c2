"""Intervals, p-values and differences by hand; what is not paired is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from score_items import draw_mean, mean_items

from benchkit.measure.bootstrap import Draws, draw_scores, mean_draws
from benchkit.measure.paired import check_paired, differences, interval, paired
from benchkit.measure.weighted import weighted_scores
from benchkit.types.comparison import Interval
from benchkit.types.result import ItemScores


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
