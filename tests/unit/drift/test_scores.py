"""Best-hit scores of a window against the baseline's: exact where it can be, calibrated, and sure to fire."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchkit.drift.scores import (
    ScoreBaseline,
    ScoreCounts,
    count_scores,
    judge_scores,
    score_baseline,
    top1_scores,
)


def _judge(base, window):
    return judge_scores(base, count_scores(base, np.asarray(window, dtype=np.float64)))


# ------------------------------------------------------------ figures by hand and by twins


def test_share_below_the_percentile_by_hand():
    base = score_baseline(np.arange(1.0, 201.0))  # the 10th is the percentile, 9 lie below it
    assert base.edges[0] == 10
    assert _judge(base, [1, 2, 10, 100]).low_score_share == 0.75
    assert _judge(base, np.arange(1.0, 201.0)).low_score_share == 0.05


def test_ties_on_the_percentile_count_in_the_baselines_proportion():
    base = score_baseline(np.repeat([0.0, 1.0], [30, 70]))  # 5 of the 30 zeros are "below"
    assert _judge(base, np.repeat([0.0, 1.0], [3, 7])).low_score_share == pytest.approx(0.05)
    assert _judge(base, [0.0]).low_score_share == pytest.approx(1 / 6)
    assert _judge(base, [-1.0]).low_score_share == 1


def test_p_value_is_the_beta_binomial_tail_split_by_the_rank_sum():
    rng = np.random.default_rng(0)
    baseline, window = rng.random(500), rng.random(80) - 0.01
    kept = score_baseline(baseline)
    cut = np.sort(baseline)[24]
    w = int(np.sum(window <= cut))
    more = stats.betabinom.sf(w, 80, 25, 476)
    as_many = stats.betabinom.pmf(w, 80, 25, 476)
    others = [np.digitize(one[one > cut], kept.edges) for one in (window, baseline)]
    lower = stats.mannwhitneyu(*others, alternative="less", method="asymptotic", use_continuity=False).pvalue
    found = judge_scores(kept, count_scores(kept, window))
    assert found.p_value == pytest.approx(more + as_many * lower, rel=1e-9)
    assert found.low_score_share == pytest.approx(w / 80)


def test_the_share_below_an_order_statistic_is_beta_binomial_by_counting():
    """Of 3 old and 2 new scores each order is as likely: below the 2nd old one lie w of the 2 new ones."""
    from itertools import combinations

    from benchkit.drift.scores import _chances

    counts = np.zeros(3)
    for new in combinations(range(5), 2):
        second = [place for place in range(5) if place not in new][1]
        counts[sum(place < second for place in new)] += 1
    for w in range(3):
        more, as_many = _chances(w, 2, 2, 2)
        assert (more, as_many) == pytest.approx((counts[w + 1 :].sum() / 10, counts[w] / 10))


def test_chances_of_a_huge_window_are_those_of_the_beta_distribution():
    from benchkit.drift.scores import _chances

    for n, error in ((10**8, 1e-9), (900_000, 0.02)):
        more, _ = _chances(n * 6 // 100, n, 50, 951)
        assert more == pytest.approx(stats.beta.sf(0.06, 50, 951), rel=error)


def test_top1_scores_by_hand():
    documents = np.array([[2.0, 0.0], [0.0, 1.0]])
    queries = np.array([[3.0, 4.0], [1.0, 0.0]])
    np.testing.assert_allclose(top1_scores(queries, documents), [0.8, 1.0])
    np.testing.assert_allclose(top1_scores(queries, documents, similarity="dot"), [6.0, 2.0])


# ------------------------------------------------------------ calibration


_KINDS = {
    "continuous": lambda rng, n: rng.beta(8, 3, n),
    "two decimals": lambda rng, n: rng.beta(8, 3, n).round(2),
    "whole numbers": lambda rng, n: rng.binomial(10, 0.7, n).astype(np.float64),
    "30 % at the bottom": lambda rng, n: np.where(rng.random(n) < 0.3, 0.0, rng.random(n)),
    "a third are exact hits": lambda rng, n: np.minimum(rng.beta(8, 1, n), 0.96),
}


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize(("n", "n_base"), [(30, 1000), (400, 300), (5000, 1000)])
def test_unchanged_scores_alarm_as_often_as_they_should(kind, n, n_base):
    rng = np.random.default_rng([n, n_base])
    draw, alarms, n_trials = _KINDS[kind], 0, 500
    for _ in range(n_trials):
        base = score_baseline(draw(rng, n_base))
        alarms += judge_scores(base, count_scores(base, draw(rng, n))).p_value <= 0.05
    # 5 % give 25; five standard errors are 24. The exact rate is measured over more trials outside.
    assert 4 <= alarms <= 49


def test_unchanged_scores_have_uniform_p_values():
    rng = np.random.default_rng(7)
    p_values = []
    for _ in range(800):
        base = score_baseline(rng.random(400))
        p_values.append(judge_scores(base, count_scores(base, rng.random(60))).p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 1e-6


def test_a_small_baseline_is_not_trusted_more_than_it_should_be():
    """A window as large as can be, against 100 scores: 9 % below the cut is within their error, 5 against 9 is not."""
    base = score_baseline(np.arange(1.0, 101.0))
    window = ScoreCounts(np.zeros_like(base.counts))
    for share, fires in ((0.07, False), (0.20, True)):
        window.counts[:] = 0
        window.counts[0], window.counts[-1] = round(1_000_000 * share), round(1_000_000 * (1 - share))
        assert (judge_scores(base, window).p_value < 0.05) == fires


# ------------------------------------------------------------ alarms


@pytest.mark.parametrize("kind", _KINDS)
def test_lower_scores_fire(kind):
    rng = np.random.default_rng(3)
    draw = _KINDS[kind]
    base = score_baseline(draw(rng, 2000))
    lower = draw(rng, 500) - np.where(rng.random(500) < 0.15, 10.0, 0.0)
    found = _judge(base, lower)
    assert found.p_value < 1e-3
    assert found.low_score_share > 0.1


def test_more_at_a_heavy_bottom_fires():
    rng = np.random.default_rng(4)
    base = score_baseline(np.where(rng.random(5000) < 0.3, 0.0, rng.random(5000)))
    assert _judge(base, np.where(rng.random(1000) < 0.45, 0.0, rng.random(1000))).p_value < 1e-6


def test_better_scores_do_not_fire():
    rng = np.random.default_rng(5)
    base = score_baseline(rng.random(2000))
    found = _judge(base, 0.2 + rng.random(500))
    assert found.p_value > 0.999
    assert found.low_score_share == 0


def test_constant_scores_fire_only_when_something_falls_below():
    base = score_baseline(np.ones(200))
    assert _judge(base, np.ones(50)).p_value > 0.3
    assert _judge(base, np.full(50, 2.0)).p_value > 0.3
    assert _judge(base, np.repeat([0.5, 1.0], [10, 40])).p_value < 1e-4


# ------------------------------------------------------------ counts


def test_counts_of_parts_add_up_to_those_of_the_whole():
    rng = np.random.default_rng(6)
    base, window = score_baseline(rng.random(300)), rng.random(101)
    parts = [count_scores(base, part) for part in np.array_split(window, 7)]
    whole = sum(parts[1:], parts[0])
    assert whole.counts.tolist() == count_scores(base, window).counts.tolist()
    assert whole.n == 101
    assert parts[0].n == 15  # adding changed nothing


def test_float32_scores_stay_on_their_edge():
    scores = np.random.default_rng(8).random(1000).astype(np.float32)
    base = score_baseline(scores)
    assert count_scores(base, scores).counts.tolist() == base.counts.tolist()


def test_queries_without_a_score_are_left_out():
    base = score_baseline(np.append(np.arange(100.0), [np.nan] * 9))
    assert base.n == 100
    assert count_scores(base, np.array([np.nan, 3.0, np.nan])).n == 1


def test_a_baseline_survives_storage():
    base = score_baseline(np.random.default_rng(9).random(250))
    again = ScoreBaseline.from_arrays(base.to_arrays())
    assert again.edges.tolist() == base.edges.tolist()
    assert again.counts.tolist() == base.counts.tolist()


# ------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.ones(99), "a baseline of scores needs 100 of them, got 99"),
        (np.full(200, np.nan), "needs 100 of them, got 0"),
        (np.append(np.ones(200), np.inf), "a score of the baseline is infinite"),
    ],
    ids=["few", "none", "infinite"],
)
def test_a_baseline_that_says_nothing_is_refused(scores, message):
    with pytest.raises(ValueError, match=message):
        score_baseline(scores)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"edges": np.arange(3.0)}, "the baseline's scores lack counts"),
        ({"edges": np.arange(3.0), "counts": np.ones(3)}, "3 edges and 3 counts are not those of a baseline's scores"),
        ({"edges": np.array([2.0, 1.0]), "counts": np.ones(3)}, "2 edges and 3 counts"),
        ({"edges": np.arange(2.0), "counts": np.array([1, -1, 1])}, "2 edges and 3 counts"),
    ],
    ids=["missing", "lengths", "order", "negative"],
)
def test_damaged_arrays_are_refused(arrays, message):
    with pytest.raises(ValueError, match=message):
        ScoreBaseline.from_arrays(arrays)


def test_counts_of_another_baseline_are_refused():
    base = score_baseline(np.arange(100.0))
    with pytest.raises(ValueError, match="score counts of another baseline: 3 bins, not 13"):
        judge_scores(base, ScoreCounts(np.ones(3, dtype=np.int64)))
    with pytest.raises(ValueError, match="score counts of two baselines: 3 bins and 4"):
        ScoreCounts(np.ones(3, dtype=np.int64)) + ScoreCounts(np.ones(4, dtype=np.int64))
    with pytest.raises(ValueError, match="no scores to judge"):
        judge_scores(base, count_scores(base, np.array([np.nan])))
