"""What to take, in sentences that say no more than the verdicts of the pairs do."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from comparisons import HOSTILE_NAMES, costed, grid, hostile, small, three

from benchkit.report import verdict_words, warning_words
from benchkit.report.view import turned_round
from benchkit.types.comparison import Recommendation, Verdict
from benchkit.types.cost import ModelCost

VERDICTS: tuple[Verdict, ...] = ("better", "worse", "same", "inconclusive")
TAKE = "Take minilm: 61.2 (58.9 to 63.5)"
SIZE = "at 384 dimensions, 1536 bytes per vector."


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
    assert verdict_words.verdict_sentence(comparison) == f"{sentence} mpnet was not compared with it, only with tfidf."


@pytest.mark.parametrize("turn", [False, True], ids=["as asked", "other way round"])
@pytest.mark.parametrize(("to_tfidf", "to_mpnet"), list(itertools.product(VERDICTS, VERDICTS)))
def test_the_verdict_says_no_more_of_a_model_than_its_pair(to_tfidf: Verdict, to_mpnet: Verdict, turn: bool) -> None:
    comparison = three((to_tfidf, to_mpnet, "inconclusive"))
    if turn:
        comparison = replace(comparison, pairs=tuple(turned_round(found) for found in comparison.pairs))
    said = verdict_words.verdict_sentence(comparison).removeprefix(f"{TAKE}, {SIZE} ")
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
        verdict_words.verdict_sentence(comparison)
        == f"{TAKE}, {SIZE} mpnet and tfidf can't be told apart from it on these data."
    )


def test_a_model_that_is_better_than_the_recommended_one_is_not_hidden() -> None:
    said = verdict_words.verdict_sentence(three(("better", "worse", "better")))
    assert "mpnet is better: +4.1 points, 95 % interval +2.2 to +6.0." in said


def test_a_model_without_every_score_is_not_ranked_in_the_verdict() -> None:
    said = verdict_words.verdict_sentence(small())
    assert said.endswith("tfidf is worse. 小模型 has no score on every task.")


def test_a_baseline_without_a_score_is_not_compared() -> None:
    comparison = three(baseline="tfidf")
    lost = tuple(replace(found, delta=None, interval=None, verdict="inconclusive") for found in comparison.pairs)
    said = verdict_words.verdict_sentence(replace(comparison, pairs=lost))
    best = TAKE.replace("Take", "The best here is")
    assert f"{best}, not compared with tfidf, {SIZE}" in said
    assert said.endswith("Whether it holds for other data was not tested.")
    assert "told apart" not in said


def test_differences_without_intervals_are_no_reason_to_take_a_model() -> None:
    comparison = three(baseline="tfidf")
    few = tuple(replace(found, interval=None, p_value=None, verdict="inconclusive") for found in comparison.pairs)
    said = verdict_words.verdict_sentence(replace(comparison, pairs=few))
    assert said.startswith("The best here is minilm")
    assert "not told apart from tfidf" in said
    one = tuple(replace(found, interval=None) if found.task != "*" else found for found in comparison.pairs)
    assert verdict_words.verdict_sentence(replace(comparison, pairs=one)).startswith("Take minilm")


def test_the_baseline_may_itself_be_the_one_to_take() -> None:
    comparison = three(("better", "inconclusive", "better"), baseline="minilm")
    assert verdict_words.verdict_sentence(comparison) == (
        f"{TAKE}, {SIZE} mpnet can't be told apart from it on these data. tfidf is worse."
    )


def test_one_model_alone_is_not_recommended() -> None:
    said = verdict_words.verdict_sentence(replace(grid(1, 1), pairs=()))
    alone = "There is no other model to compare it with."
    assert said == f"model-0: 66.0 (64.6 to 67.5), at 384 dimensions, 1536 bytes per vector. {alone}"


def test_no_recommendation_says_why() -> None:
    nobody = replace(small(), recommendation=Recommendation(None, "no model has a score on every task"))
    assert verdict_words.verdict_sentence(nobody) == "No recommendation: no model has a score on every task."
    assert verdict_words.why_sentence(nobody) == ""
    assert verdict_words.why_sentence(small()) == "Why: its mean is significantly better than that of tfidf."


def test_a_mean_without_an_interval_says_so() -> None:
    rows = tuple(replace(row, interval=None) for row in three().summary)
    assert verdict_words.verdict_sentence(replace(three(), summary=rows)).startswith(
        "Take minilm: 61.2 (no interval), at 384"
    )


def test_hostile_names_stay_on_one_line() -> None:
    said = [
        verdict_words.verdict_sentence(hostile()),
        verdict_words.why_sentence(hostile()),
        *warning_words.warnings(hostile()),
    ]
    assert not any(sign in line for line in said for sign in "\n\x1b\x00\u202e")
    assert HOSTILE_NAMES[0] in said[0]


def test_the_verdict_says_what_the_choice_costs() -> None:
    assert verdict_words.verdict_sentence(costed(three())).startswith(
        f"{TAKE}, {SIZE[:-1]}, 8.30 ms p95 query latency, 617 MiB peak memory. "
    )
    failed = costed(three(), models=(ModelCost("minilm", "failed", reason="crashed"),))
    assert verdict_words.verdict_sentence(failed).startswith(f"{TAKE}, {SIZE} ")
