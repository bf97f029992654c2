"""Which clusters, words, texts and segments a change consists of."""

from __future__ import annotations

import doctest
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

import benchkit.drift.explain
from benchkit.drift.explain import SegmentMean, changed_clusters, drivers, keywords, representatives
from benchkit.measure.decide import holm


def test_the_examples_in_the_docstrings_are_right():
    assert doctest.testmod(benchkit.drift.explain).failed == 0


# clusters


def test_a_cluster_s_change_by_hand():
    # 100 of 1000 before, 30 of 100 now: pooled 130 / 1100, error sqrt(0.11818 * 0.88182 * (1 / 100 + 1 / 1000))
    (change, _) = changed_clusters(np.array([0.1, 0.9]), 1000, np.array([30, 70]))
    assert (change.cluster, change.baseline_share, change.window_share) == (0, 0.1, 0.3)
    assert change.z == pytest.approx(0.2 / math.sqrt(130 / 1100 * 970 / 1100 * 0.011))


@pytest.mark.parametrize("seed", range(5))
def test_listed_clusters_agree_with_exact_binomial_tests(seed):
    rng = np.random.default_rng(seed)
    before = rng.multinomial(3000, rng.dirichlet(np.ones(12)))
    counts = rng.multinomial(400, rng.dirichlet(np.ones(12)))
    p_values = [
        min(1.0, 2 * min(binomtest(int(now), int(now + old), 400 / 3400, alternative=side).pvalue for side in SIDES))
        if now + old
        else 1.0
        for now, old in zip(counts, before, strict=True)
    ]
    expected = {cluster for cluster, p in enumerate(holm(p_values)) if p <= 0.05}
    assert {each.cluster for each in changed_clusters(before / 3000, 3000, counts)} == expected
    assert expected


SIDES = ("less", "greater")


@pytest.mark.parametrize(("baseline_rows", "rows"), [(500, 500), (15_000, 500), (15_000, 20_000)])
def test_an_unchanged_window_lists_no_cluster(baseline_rows, rows):
    rng = np.random.default_rng(rows + baseline_rows)
    shares = rng.dirichlet(np.full(64, 0.4))
    listed = 0
    for _ in range(600):
        before, now = rng.multinomial(baseline_rows, shares), rng.multinomial(rows, shares)
        listed += bool(changed_clusters(before / baseline_rows, baseline_rows, now))
    # 5 % of 600 is 30, with a standard error of 5.3
    assert listed <= 30 + 5 * 5.3


def test_clusters_that_appear_vanish_or_grow_are_listed_the_surest_first():
    shares = np.array([0.0, 0.2, 0.1, 0.35, 0.35])
    changes = changed_clusters(shares, 10_000, np.array([40, 0, 90, 180, 190]))
    assert [each.cluster for each in changes] == [0, 1, 2]
    assert [each.z > 0 for each in changes] == [True, False, True]


def test_no_rows_no_changes():
    assert changed_clusters(np.array([0.5, 0.5]), 100, np.array([0, 0])) == []


def test_a_single_cluster_can_t_change():
    assert changed_clusters(np.array([1.0]), 100, np.array([50])) == []


@pytest.mark.parametrize(
    ("shares", "rows", "counts", "message"),
    [
        ([0.5, 0.5], 10, [1], r"shares \(2,\) and counts \(1,\) should be of the same clusters"),
        ([1.0], 0, [1], "the baseline needs at least one row, got 0"),
        ([-0.1, 1.1], 10, [1, 1], "a share is finite and not negative"),
        ([0.5, np.nan], 10, [1, 1], "a share is finite and not negative"),
        ([0.5, 0.5], 10, [1, -1], "a count is finite and not negative"),
    ],
)
def test_counts_that_can_t_be_are_refused(shares, rows, counts, message):
    with pytest.raises(ValueError, match=message):
        changed_clusters(np.array(shares), rows, np.array(counts))


# keywords

BACKGROUND = ["what is my account balance", "please transfer money to my savings", "is my card blocked"] * 30
FLIGHTS = ["book a flight to Oslo", "is my flight delayed", "Flight status please", "cancel the flight"] * 3


def test_the_word_that_marks_the_texts_comes_first():
    assert keywords(FLIGHTS, BACKGROUND)[0] == "flight"
    assert not {"is", "my", "please"} & set(keywords(FLIGHTS, BACKGROUND))


def test_keywords_agree_with_the_formula_of_the_paper():
    texts = FLIGHTS * 4
    own = Counter(word for text in texts for word in set(text.lower().split()))
    other = Counter(word for text in BACKGROUND for word in set(text.lower().split()))
    n_own, n_other = sum(own.values()), sum(other.values())
    z, prior = {}, 0.1 * (n_own + n_other)
    for word in own:
        a = 0.1 * (own[word] + other[word])
        delta = math.log((own[word] + a) / (n_own + prior - own[word] - a))
        delta -= math.log((other[word] + a) / (n_other + prior - other[word] - a))
        z[word] = delta / math.sqrt(1 / (own[word] + a) + 1 / (other[word] + a))
    expected = sorted((word for word in z if z[word] > 2.6), key=lambda word: (-z[word], word))
    assert keywords(texts, BACKGROUND, n=99) == tuple(expected)
    assert len(expected) > 3


def test_texts_like_the_background_have_no_keywords():
    assert keywords(BACKGROUND[:12], BACKGROUND) == ()
    assert keywords([], BACKGROUND) == ()
    assert keywords(["same"], ["same"] * 9) == ()


def test_one_text_that_repeats_a_word_names_no_keyword():
    assert "spam" not in keywords(["spam " * 300, *BACKGROUND[:30]], BACKGROUND)


@pytest.mark.parametrize(
    ("texts", "background", "word"),
    [
        (["我想预订航班", "航班延误了吗", "取消航班"] * 4, ["我的账户余额是多少", "请转账到我的储蓄"] * 20, "航班"),
        (["フライトを予約", "フライトの遅延"] * 5, ["口座の残高", "お金を送る"] * 20, "イト"),
        (["Где мой РЕЙС", "рейс отменён"] * 5, ["мой счёт", "баланс карты"] * 20, "рейс"),
        (["don't fly", "Don't go"] * 5, ["do fly", "do go"] * 20, "don't"),
        (["ＦＬＩＧＨＴ now", "flight then"] * 5, ["card now", "card then"] * 20, "flight"),
    ],
    ids=["Chinese pairs", "Japanese pairs", "Russian case", "apostrophes", "full width"],
)
def test_words_of_many_scripts(texts, background, word):
    assert keywords(texts, background)[0] == word


def test_markup_and_endless_words_do_no_harm():
    hostile = ["<script>alert(1)</script>\x1b[31m", "x" * 1_000_000, "\ud800 broken", "a" * 5000 + " ok"] * 5
    words = keywords(hostile, BACKGROUND, n=50)
    assert all(word.replace("'", "").isalnum() and len(word) <= 40 for word in words)
    assert "script" in words


# representatives


def test_representatives_are_the_nearest_different_texts():
    vectors = np.array([[0.0, 3], [0, 1], [0, 1.1], [0, 2], [0, 0.5], [0, 0]])
    texts = ["far", "near", "near", "middle", None, "  "]
    assert representatives(vectors, np.zeros(2), texts, 2) == ("near", "middle")
    assert representatives(vectors, np.array([0.0, 3]), texts, 9) == ("far", "middle", "near")
    assert representatives(vectors, np.zeros(2), texts, 0) == ()
    assert representatives(np.zeros((0, 2)), np.zeros(2), [], 3) == ()


@pytest.mark.parametrize(("shape", "texts"), [((2, 3), ["a", "b"]), ((3, 2), ["a", "b"]), ((2,), ["a", "b"])])
def test_representatives_refuse_shapes_that_don_t_fit(shape, texts):
    with pytest.raises(ValueError, match="2 texts and a centroid of 2 don't fit vectors"):
        representatives(np.zeros(shape), np.zeros(2), texts, 1)


# drivers


def test_drivers_by_hand():
    # mean before 0.5 * 0 + 0.5 * 2 = 1, now 0.25 * 0 + 0.75 * 4 = 3; the shift is 2
    before = {"a": SegmentMean(50, np.array([0.0])), "b": SegmentMean(50, np.array([2.0]))}
    now = {"a": SegmentMean(25, np.array([0.0])), "b": SegmentMean(75, np.array([4.0]))}
    first, second = drivers(before, now)
    assert (first.segment, first.baseline_share, first.window_share) == ("b", 0.5, 0.75)
    # b: 0.75 * (4 - 1) - 0.5 * (2 - 1) = 1.75, of which moved 0.75 * (4 - 2) = 1.5; a: 0.25 * -1 - 0.5 * -1 = 0.25
    assert (first.part, first.moved) == pytest.approx((0.875, 0.75))
    assert (second.segment, second.part, second.moved) == ("a", pytest.approx(0.125), 0.0)


def test_a_new_segment_drives_by_its_share_alone():
    before = {"a": SegmentMean(90, np.array([1.0, 0.0]))}
    now = {"a": SegmentMean(90, np.array([1.0, 0.0])), "new": SegmentMean(10, np.array([0.0, 1.0]))}
    first, second = drivers(before, now)
    assert (first.segment, first.part, first.moved) == ("new", pytest.approx(1), 0.0)
    assert second.part == pytest.approx(0)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_the_parts_of_all_segments_add_up_to_the_whole(seed, n):
    rng = np.random.default_rng(seed)

    def side() -> dict[str, SegmentMean]:
        names = rng.choice(list("abcdefgh"), n, replace=False)
        return {str(name): SegmentMean(int(rng.integers(1, 99)), rng.standard_normal(5).astype("f4")) for name in names}

    found = drivers(side(), side())
    assert sum(each.part for each in found) == pytest.approx(1)
    assert [each.part for each in found] == sorted((each.part for each in found), reverse=True)
    assert sum(each.window_share for each in found) == pytest.approx(1)


def test_nothing_drives_what_did_not_move():
    same = {"a": SegmentMean(3, np.ones(2))}
    assert drivers(same, same) == []


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        ({}, {"a": SegmentMean(1, np.ones(2))}, "the baseline has no rows"),
        ({"a": SegmentMean(1, np.ones(2))}, {"a": SegmentMean(0, np.ones(2))}, "the window has no rows"),
        ({"a": SegmentMean(1, np.ones(2))}, {"a": SegmentMean(1, np.ones(3))}, "baseline 2, window 3"),
        (
            {"a": SegmentMean(1, np.ones(2)), "b": SegmentMean(1, np.ones(3))},
            {"a": SegmentMean(1, np.ones(2))},
            "dimensions differ within the baseline",
        ),
    ],
)
def test_segments_that_can_t_be_compared_are_refused(before, now, message):
    with pytest.raises(ValueError, match=message):
        drivers(before, now)
