"""Numbers and differences as words: rounding, signs, and no sentence that says more than its verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from comparisons import (
    cell,
    cost_ratio,
    pair,
    small,
    unscored,
)
from hypothesis import given
from hypothesis import strategies as st

from benchkit.report import words
from benchkit.types.comparison import Interval, Verdict
from benchkit.types.cost import CostFigure


@pytest.mark.parametrize(
    ("score", "text"),
    [(0.612, "61.2"), (1.0, "100.0"), (0.0, "0.0"), (-0.00001, "0.0"), (-0.031, "-3.1"), (None, "–"), (math.nan, "–")],
)
def test_a_score_is_points_with_one_decimal(score: float | None, text: str) -> None:
    assert words.points(score) == text


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        (0.041, "+4.1"),
        (-0.041, "-4.1"),
        (0.0, "0.0"),
        (0.0001, "+0.0"),
        (-0.0001, "-0.0"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_a_difference_has_a_sign_even_where_it_rounds_to_nothing(delta: float | None, text: str) -> None:
    assert words.signed_points(delta) == text


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 rows"), (1, "1 row"), (999, "999 rows"), (1000, "1,000 rows"), (12_345_678, "12,345,678 rows")],
)
def test_a_number_of_things_is_told_with_separators(n: int, text: str) -> None:
    assert words.counted(n, "row") == text


def test_an_interval_is_joined_by_a_word_where_a_dash_would_look_like_a_minus() -> None:
    assert words.span(Interval(0.589, 0.635)) == "58.9–63.5"
    assert words.span(Interval(-0.012, 0.034)) == "-1.2 to 3.4"
    assert words.signed_span(Interval(-0.012, 0.034)) == "-1.2 to +3.4"
    assert (words.span(None), words.signed_span(None)) == ("", "")


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (22_713_216, "22.7M"), (109_482_240, "109M"), (1_543_000_000, "1.54B"), (9_994_999, "9.99M"),
        (9_996_000, "10.0M"), (99_960_000, "100M"), (999_400, "999k"), (999_500, "1.00M"),
        (999, "999"), (0, "0"), (None, "–"),
    ],
)  # fmt: skip
def test_parameters_have_three_digits(n: int | None, text: str) -> None:
    assert words.parameters(n) == text


@given(st.integers(1000, 10**12 - 1))
def test_parameters_are_right_to_half_of_the_last_digit(n: int) -> None:
    text = words.parameters(n)
    value = float(text[:-1]) * {"k": 1e3, "M": 1e6, "B": 1e9}[text[-1]]
    assert abs(value - n) <= 0.00501 * n
    assert len(text) <= 5


@pytest.mark.parametrize(
    ("p", "text"),
    [
        *[(0.0496, "0.0496"), (0.5, "0.5"), (1.0, "1"), (0.0009, "<0.001"), (0.001, "0.001"), (None, "–")],
        *[(0.04998, "0.04998"), (0.0499994, "0.049999"), (0.05, "0.05"), (0.05004, "0.05")],
    ],
)
def test_a_p_value_never_seems_to_reach_a_level_that_it_does_not(p: float | None, text: str) -> None:
    assert words.p_words(p) == text


@pytest.mark.parametrize(
    ("margin", "text"),
    [(0.0025, "±0.25 points"), (0.0004, "±0.04 points"), (0.01, "±1.0 points"), (0.0, "±0.0 points")],
)
def test_a_margin_is_never_rounded_to_another_one(margin: float, text: str) -> None:
    assert words.margin_words(margin) == text


def test_a_rank_is_a_range_where_the_data_leave_it_open() -> None:
    first = small().summary[1]
    assert words.rank(first) == "1"
    assert words.rank(replace(first, rank_high=3)) == "1–3"
    assert words.rank(small().summary[2]) == "–"


def test_text_of_the_data_cannot_steer_a_terminal_or_turn_a_line_round() -> None:
    assert words.plain("a\n b\t\u2028c") == "a b c"
    assert words.plain("\x1b[31m\x07\x9b\u202egnp\u2066\ud800") == "�[31m���gnp��"
    assert words.plain("می\u200cخواهم 👩\u200d💻") == "می\u200cخواهم 👩\u200d💻"  # joiners are part of the text
    assert (words.plain("abcdef", 4), words.plain("abcd", 4)) == ("abc…", "abcd")


def test_a_list_of_names_stays_short() -> None:
    assert words.names(["a"]) == "a"
    assert words.names(["a", "b"]) == "a and b"
    assert words.names("abcdef") == "a, b, c, d, e and f"
    assert words.names("abcdefgh") == "a, b, c, d, e and 3 more"


# --- one pair


@pytest.mark.parametrize(
    ("verdict", "delta", "sentence"),
    [
        ("better", 0.041, "a is better than b {where}: +4.1 points, 95 % interval +2.2 to +6.0"),
        ("worse", -0.041, "a is worse than b {where}: -4.1 points, 95 % interval -6.0 to -2.2"),
        (
            "same",
            0.001,
            "a and b are the same within ±3.0 points {where}: +0.1 points, 95 % interval -1.8 to +2.0",
        ),
        (
            "inconclusive",
            0.011,
            "a and b can't be told apart {where}: +1.1 points, 95 % interval -0.8 to +3.0",
        ),
    ],
)
def test_a_pair_is_told_as_its_verdict_says(verdict: Verdict, delta: float, sentence: str) -> None:
    found = pair("a", "b", delta, verdict)
    said = sentence.format(where="on the mean over all tasks")
    assert words.pair_sentence(found, 0.03) == f"{said}, p = 0.012 after Holm's correction."
    assert words.pair_words(found).endswith(verdict)


def test_a_pair_without_a_difference_says_why() -> None:
    found = pair("a", "b", None, "inconclusive", task="STS17", reason="b has no score")
    assert words.pair_sentence(found, 0.01) == "a and b were not compared on STS17: b has no score."
    assert words.pair_words(found) == "–"
    assert words.pair_words(None) == "–"
    assert words.difference_words(found) == ""


def test_a_tiny_p_value_is_below_and_not_equal() -> None:
    assert words.pair_sentence(pair("a", "b", 0.1, "better", p=0.0001), 0.01).endswith(
        "p < 0.001 after Holm's correction."
    )


# --- cells


def test_a_failed_cell_is_not_a_score_of_nought() -> None:
    assert words.cell_words(unscored("a", "t", "STS", "failed", "x")) == "failed"
    assert words.cell_words(unscored("a", "t", "STS", "skipped", "x")) == "–"
    assert words.cell_words(None) == "–"
    assert words.cell_words(cell("a", "t", "STS", 0.0)) == "0.0"


def test_a_type_with_a_failed_task_has_failed_and_one_that_was_skipped_is_a_dash() -> None:
    lacking = small().summary[2]
    assert [words.type_words(small(), lacking, kind) for kind in ("STS", "Classification", "Clustering")] == [
        "81.8", "failed", "–",
    ]  # fmt: skip


# --- costs


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (41.234, "41.2"), (8.3, "8.30"), (20.0, "20.0"), (0.04567, "0.0457"), (99.94, "99.9"), (99.95, "100"),
        (999.6, "1000"), (12345.6, "12346"), (0.0, "0"), (None, "–"), (math.nan, "–"), (math.inf, "–"),
    ],
)  # fmt: skip
def test_a_cost_has_three_digits_or_all_of_its_whole_part(value: float | None, text: str) -> None:
    assert words.digits(value) == text


@given(st.floats(1e-3, 1e9))
def test_a_cost_is_right_to_half_of_the_last_digit_and_never_in_powers(value: float) -> None:
    text = words.digits(value)
    assert abs(float(text) - value) <= 0.00501 * value
    assert "e" not in text


def test_a_figure_has_its_interval_where_there_is_one() -> None:
    found = CostFigure("m", "latency/query/p95_ms", 8.3, "ms", 96, 8.0, 8.61)
    assert (words.figure(found), words.figure_span(found)) == ("8.30", "8.00–8.61")
    assert (words.figure(None), words.figure_span(None)) == ("–", "")
    assert words.figure_span(replace(found, ci_high=None)) == ""
    assert words.figure(CostFigure("m", "vector/dimension", 64.0, "dimensions")) == "64"


def test_a_ratio_tells_its_interval() -> None:
    found = cost_ratio("a", "b", 2.9, "dearer")
    assert (words.ratio(found.ratio), words.ratio_span(found)) == ("2.90x", "2.81–2.99")
    assert [words.ratio(value) for value in (0.4, 1.0, 0.9961, 12.34)] == ["0.400x", "1.00x", "0.996x", "12.3x"]
