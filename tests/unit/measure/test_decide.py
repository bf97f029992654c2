"""Holm's correction, verdicts and rank ranges."""

from __future__ import annotations

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import benchkit.measure.bootstrap
import benchkit.measure.cells
import benchkit.measure.decide
import benchkit.measure.weighted
from benchkit.measure.decide import holm, rank_ranges, verdict
from benchkit.types.comparison import Interval


@pytest.mark.parametrize("module", ["bootstrap", "cells", "decide", "weighted"])
def test_the_examples_in_the_docstrings_are_right(module):
    assert doctest.testmod(getattr(benchkit.measure, module)).failed == 0


# Holm


def test_holm_by_hand():
    # in order: 4 * 0.005 = 0.02, 3 * 0.01 = 0.03, 2 * 0.03 = 0.06, 1 * 0.04 raised to 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_what_was_not_tested():
    assert holm([0.02, None, math.nan, 0.5]) == pytest.approx([0.04, None, None, 0.5])
    assert holm([]) == []
    assert holm([None]) == [None]


def holm_by_closed_testing(p_values: list[float]) -> list[float]:
    """The closed test with Bonferroni on each subset: H_i falls when every subset with it does. Holm is a short-cut."""
    indices = range(len(p_values))
    subsets = [[i for i in indices if mask >> i & 1] for mask in range(1, 2 ** len(p_values))]
    level = {tuple(s): min(1.0, len(s) * min(p_values[i] for i in s)) for s in subsets}
    return [max(value for s, value in level.items() if i in s) for i in indices]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_holm_agrees_with_the_closed_test_that_it_stands_for(p_values):
    assert holm(p_values) == pytest.approx(holm_by_closed_testing(p_values))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_keeps_the_order_and_never_lowers_a_p_value(p_values):
    corrected = [p for p in holm(p_values) if p is not None]
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    in_order = [c for _, c in sorted(zip(p_values, corrected, strict=True))]
    assert in_order == sorted(in_order)


@pytest.mark.parametrize("p", [-0.01, 1.01])
def test_holm_refuses_what_is_no_p_value(p):
    with pytest.raises(ValueError, match=f"a p-value lies between 0 and 1, got {p}"):
        holm([0.5, p])


# Verdicts


@pytest.mark.parametrize(
    ("low", "high", "p_holm", "expected"),
    [
        (0.02, 0.04, 0.01, "better"),
        (-0.04, -0.02, 0.01, "worse"),
        (0.001, 0.004, 0.01, "better"),  # significant, if within the margin
        (0.001, 0.004, 0.05, "same"),  # 0.05 is not below 0.05
        (-0.01, 0.01, 0.9, "same"),  # the ends belong to it
        (-0.0101, 0.005, 0.9, "inconclusive"),
        (-0.005, 0.0101, 0.9, "inconclusive"),
        (0.02, 0.04, 0.06, "inconclusive"),  # lost to the correction
        (-0.02, 0.04, 0.01, "inconclusive"),  # the interval does not know the sign
        (0.0, 0.0, 1.0, "same"),
    ],
)
def test_verdict(low, high, p_holm, expected):
    assert verdict(Interval(low, high), p_holm, 0.01) == expected


def test_without_a_margin_only_no_difference_at_all_is_the_same():
    assert verdict(Interval(0.0, 0.0), 1.0, 0.0) == "same"
    assert verdict(Interval(-1e-9, 0.0), 1.0, 0.0) == "inconclusive"


def test_what_could_not_be_tested_is_inconclusive():
    assert verdict(None, None, 0.01) == "inconclusive"
    assert verdict(Interval(0.0, 0.0), None, 0.01) == "inconclusive"


def test_a_negative_margin_is_refused():
    with pytest.raises(ValueError, match=r"the margin should be 0 or more, got -0\.1"):
        verdict(Interval(0, 0), 1.0, -0.1)


# Ranks


def test_ranks_by_hand():
    # a beats c and d, b beats d
    ranges = rank_ranges(["a", "b", "c", "d"], {("a", "c"), ("a", "d"), ("b", "d")})
    assert ranges == {"a": (1, 2), "b": (1, 3), "c": (2, 4), "d": (3, 4)}


def test_without_significant_differences_each_rank_is_open():
    assert rank_ranges(["a", "b", "c"], set()) == dict.fromkeys("abc", (1, 3))


@given(st.permutations("abcdef"))
def test_a_full_order_leaves_one_rank_each(order):
    better_than = {(a, b) for i, a in enumerate(order) for b in order[i + 1 :]}
    ranges = rank_ranges(list("abcdef"), better_than)
    assert [ranges[model] for model in order] == [(i, i) for i in range(1, 7)]


def test_ranks_refuse_an_unknown_model():
    with pytest.raises(ValueError, match=r"unknown model in the pair \(a, z\); known: a, b"):
        rank_ranges(["a", "b"], {("a", "z")})


def test_ranks_refuse_a_contradiction():
    with pytest.raises(ValueError, match="a and b can't each be better than the other"):
        rank_ranges(["a", "b"], {("a", "b"), ("b", "a")})
