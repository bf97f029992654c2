"""Numbers and verdicts as words: rounding, signs, and no sentence that says more than its verdict."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from comparisons import (
    HOSTILE_NAMES,
    cell,
    cost_ratio,
    cost_report,
    costed,
    grid,
    hostile,
    pair,
    small,
    three,
    unscored,
)
from hypothesis import given
from hypothesis import strategies as st

from benchkit.report import words
from benchkit.report.view import turned_round
from benchkit.types.comparison import MEAN, Interval, Recommendation, Verdict
from benchkit.types.cost import CostFigure, ModelCost

VERDICTS: tuple[Verdict, ...] = ("better", "worse", "same", "inconclusive")
TAKE = "Take minilm: 61.2 (58.9 to 63.5)"
SIZE = "at 384 dimensions, 1536 bytes per vector."


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
    ("p", "text"), [(0.0496, "0.0496"), (0.5, "0.5"), (1.0, "1"), (0.0009, "<0.001"), (0.001, "0.001"), (None, "–")]
)
def test_a_p_value_never_seems_to_reach_a_level_that_it_does_not(p: float | None, text: str) -> None:
    assert words.p_words(p) == text


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


# --- the verdict


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        ("better", f"{TAKE}, +4.1 points over tfidf (95 % interval +2.2 to +6.0), {SIZE}"),
        ("worse", f"{TAKE}, -4.1 points against tfidf, which is better (95 % interval -6.0 to -2.2), {SIZE}"),
        ("same", f"{TAKE}, the same as tfidf within ±1.0 points (+0.1 points, 95 % interval -0.4 to +0.6), {SIZE}"),
        ("inconclusive", f"{TAKE}, not told apart from tfidf (+1.1 points, 95 % interval -0.8 to +3.0), {SIZE}"),
    ],
)
def test_the_verdict_names_the_difference_to_the_baseline(verdict: Verdict, sentence: str) -> None:
    comparison = three((verdict, "better", "better"), baseline="tfidf")
    assert words.verdict_sentence(comparison) == f"{sentence} mpnet was not compared with it, only with tfidf."


@pytest.mark.parametrize("turn", [False, True], ids=["as asked", "other way round"])
@pytest.mark.parametrize(("to_tfidf", "to_mpnet"), list(itertools.product(VERDICTS, VERDICTS)))
def test_the_verdict_says_no_more_of_a_model_than_its_pair(to_tfidf: Verdict, to_mpnet: Verdict, turn: bool) -> None:
    comparison = three((to_tfidf, to_mpnet, "inconclusive"))
    if turn:
        comparison = replace(comparison, pairs=tuple(turned_round(found) for found in comparison.pairs))
    said = words.verdict_sentence(comparison).removeprefix(f"{TAKE}, {SIZE} ")
    claims = {
        "better": ("is worse.", "are worse."),
        "worse": ("is better:",),
        "same": ("is the same within ±1.0 points.", "are the same within ±1.0 points."),
        "inconclusive": ("can't be told apart from it on these data.",),
    }
    for verdict, phrases in claims.items():
        found = [sentence for sentence in _sentences(said) if any(phrase in sentence for phrase in phrases)]
        spoken_of = {name for name in ("tfidf", "mpnet") for sentence in found if name in sentence}
        expected = {name for name, own in (("tfidf", to_tfidf), ("mpnet", to_mpnet)) if own == verdict}
        assert spoken_of == expected, (verdict, said)


def _sentences(text: str) -> list[str]:
    return [f"{part.rstrip('.')}." for part in text.split(". ")]


def test_ties_are_named_together() -> None:
    comparison = three(("inconclusive", "inconclusive", "better"))
    assert (
        words.verdict_sentence(comparison)
        == f"{TAKE}, {SIZE} mpnet and tfidf can't be told apart from it on these data."
    )


def test_a_model_that_is_better_than_the_recommended_one_is_not_hidden() -> None:
    said = words.verdict_sentence(three(("better", "worse", "better")))
    assert "mpnet is better: +4.1 points, 95 % interval +2.2 to +6.0." in said


def test_a_model_without_every_score_is_not_ranked_in_the_verdict() -> None:
    said = words.verdict_sentence(small())
    assert said.endswith("tfidf is worse. 小模型 has no score on every task.")


def test_a_baseline_without_a_score_is_not_compared() -> None:
    comparison = three(baseline="tfidf")
    lost = tuple(replace(found, delta=None, interval=None, verdict="inconclusive") for found in comparison.pairs)
    said = words.verdict_sentence(replace(comparison, pairs=lost))
    best = TAKE.replace("Take", "The best here is")
    assert f"{best}, not compared with tfidf, {SIZE}" in said
    assert said.endswith("Whether it holds for other data was not tested.")
    assert "told apart" not in said


def test_differences_without_intervals_are_no_reason_to_take_a_model() -> None:
    comparison = three(baseline="tfidf")
    few = tuple(replace(found, interval=None, p_value=None, verdict="inconclusive") for found in comparison.pairs)
    said = words.verdict_sentence(replace(comparison, pairs=few))
    assert said.startswith("The best here is minilm")
    assert "not told apart from tfidf" in said
    one = tuple(replace(found, interval=None) if found.task != "*" else found for found in comparison.pairs)
    assert words.verdict_sentence(replace(comparison, pairs=one)).startswith("Take minilm")


def test_the_baseline_may_itself_be_the_one_to_take() -> None:
    comparison = three(("better", "inconclusive", "better"), baseline="minilm")
    assert words.verdict_sentence(comparison) == (
        f"{TAKE}, {SIZE} mpnet can't be told apart from it on these data. tfidf is worse."
    )


def test_one_model_alone_is_not_recommended() -> None:
    said = words.verdict_sentence(replace(grid(1, 1), pairs=()))
    alone = "There is no other model to compare it with."
    assert said == f"model-0: 66.0 (64.6 to 67.5), at 384 dimensions, 1536 bytes per vector. {alone}"


def test_no_recommendation_says_why() -> None:
    nobody = replace(small(), recommendation=Recommendation(None, "no model has a score on every task"))
    assert words.verdict_sentence(nobody) == "No recommendation: no model has a score on every task."
    assert words.why_sentence(nobody) == ""
    assert words.why_sentence(small()) == "Why: its mean is significantly better than that of tfidf."


def test_a_mean_without_an_interval_says_so() -> None:
    rows = tuple(replace(row, interval=None) for row in three().summary)
    assert words.verdict_sentence(replace(three(), summary=rows)).startswith("Take minilm: 61.2 (no interval), at 384")


def test_hostile_names_stay_on_one_line() -> None:
    said = [words.verdict_sentence(hostile()), words.why_sentence(hostile()), *words.warnings(hostile())]
    assert not any(sign in line for line in said for sign in "\n\x1b\x00\u202e")
    assert HOSTILE_NAMES[0] in said[0]


# --- cells and warnings


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


def test_every_kind_of_warning_is_said_once() -> None:
    assert words.warnings(replace(small(), interrupted=True)) == (
        "The comparison was interrupted; not every cell was run.",
        "小模型 failed on Banking77: out of memory",
        "小模型 was skipped on 中文聚类: it has no Chinese vocabulary",
        "Limited data, so don't set these scores beside published ones: STSBenchmark (500 of 3000 items)",
        "中文聚类: fewer than 50 items; its interval is rough",
        "minilm on Banking77: 3 of 500 texts were longer than 256 tokens",
    )


def test_one_warning_of_many_cells_is_one_line() -> None:
    cells = tuple(cell(model, task, "STS", 0.5, warnings=("long texts",)) for model in "ab" for task in ("S1", "S2"))
    assert words.warnings(replace(three(), cells=cells)) == ("a and b on S1 and S2: long texts",)
    apart = (cells[0], cells[3])
    assert words.warnings(replace(three(), cells=apart)) == ("a on S1; b on S2: long texts",)


def test_failures_of_one_model_for_one_reason_are_one_line_and_no_reason_is_said() -> None:
    cells = tuple(
        unscored("a", task, "STS", "failed", reason) for task, reason in (("S1", ""), ("S2", ""), ("S3", "x"))
    )
    assert words.warnings(replace(three(), cells=cells)) == (
        "a failed on S1 and S2: no reason was recorded",
        "a failed on S3: x",
    )


def test_a_clean_comparison_has_no_warnings() -> None:
    assert words.warnings(three()) == ()
    assert words.task_words(MEAN) == "the mean over all tasks"


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


def test_the_verdict_says_what_the_choice_costs() -> None:
    assert words.verdict_sentence(costed(three())).startswith(
        f"{TAKE}, {SIZE[:-1]}, 8.30 ms p95 query latency, 617 MiB peak memory. "
    )
    failed = costed(three(), models=(ModelCost("minilm", "failed", reason="crashed"),))
    assert words.verdict_sentence(failed).startswith(f"{TAKE}, {SIZE} ")


def test_costs_that_are_missing_are_told_with_the_reason() -> None:
    models = (
        ModelCost("minilm", "failed", reason="it did not answer\nin 600 s"),
        ModelCost("mpnet", "skipped", reason="a lexical model has no latency of its own"),
        ModelCost("tfidf", "ok", reason="the batch of 256 ran out of memory"),
        ModelCost("bge", "skipped"),
    )
    assert words.warnings(costed(three(), models=models, warnings=("energy\tis not counted here",))) == (
        "minilm: measuring its cost failed: it did not answer in 600 s",
        "mpnet: its cost was not measured: a lexical model has no latency of its own",
        "tfidf: not all of its costs were measured: the batch of 256 ran out of memory",
        "bge: its cost was not measured: no reason was recorded",
        "energy is not counted here",
    )


def test_an_unstable_machine_is_told_before_single_models() -> None:
    models = (ModelCost("minilm", "failed", reason="crashed"),)
    said = words.warnings(costed(three(), models=models, unstable="A/A is 1.20, above 1.02"))
    assert said[0] == "costs are unstable: A/A is 1.20, above 1.02"


def test_engines_that_differ_between_models_are_told_and_those_that_agree_are_not() -> None:
    first, second, lexical = three().models
    models = (replace(first, engine="packed"), replace(second, engine="torch"), lexical)
    assert words.warnings(replace(three(), models=models)) == (
        (
            "Not every model was encoded by one engine (packed for minilm; torch for mpnet), "
            "so costs compare engines as well"
        ),
    )
    agreeing = (replace(first, engine="packed"), replace(second, engine="packed"), lexical)
    assert words.warnings(replace(three(), models=agreeing)) == ()


def test_a_cost_that_another_engine_made_than_the_scores_is_told() -> None:
    models = tuple(replace(meta, engine="torch") for meta in three().models[:2]) + three().models[2:]
    assert words.warnings(costed(replace(three(), models=models))) == (
        "minilm: its cost is that of the engine packed, its scores are from torch",
        "mpnet: its cost is that of the engine packed, its scores are from torch",
    )


def test_nothing_is_warned_of_where_all_costs_are_there() -> None:
    assert words.cost_warnings(cost_report(["a", "b"])) == []
