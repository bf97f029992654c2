"""The first line of the dashboard says the recommendation of the JSON, and no more than the verdicts do."""

from __future__ import annotations

import json
from dataclasses import replace

import boards
import comparisons
import pytest
from comparisons import cost_ratio, costed, pair

from benchkit.report.board_words import Answer, choice, gate, rival
from benchkit.report.json_form import render_json
from benchkit.types.board import GateRow
from benchkit.types.comparison import Comparison, ModelSummary, Recommendation, Verdict
from benchkit.types.cost import Budget
from benchkit.types.gate import GateVerdict


def without_budget_words(sentence: str) -> str:
    return sentence.partition("use ")[2] if sentence.startswith("With ") else sentence.removeprefix("Use ")


# ---------------------------------------------------------------- which model


def test_the_first_line_in_full() -> None:
    assert choice(boards.support()) == Answer(
        "info",
        "a tie",
        "Use bge: +3.0 points (95 % CI +2.3 to +3.7) over minilm on help-centre; 3.00x slower, 2x bytes/vector; "
        "mpnet can't be told apart and is faster.",
    )


@pytest.mark.parametrize("baseline", [None, "minilm", "mpnet", "bge"])
@pytest.mark.parametrize("limits", [Budget(), Budget(max_p95_ms=20.0), Budget(max_dim=384), Budget(licenses=("mit",))])
def test_it_names_the_model_of_the_json_with_its_numbers(baseline: str | None, limits: Budget) -> None:
    comparison = boards.support(baseline=baseline, budget=limits)
    document = json.loads(render_json(comparison))
    said, model = without_budget_words(choice(comparison).sentence), document["recommendation"]["model"]
    assert said.startswith(f"{model}: ")
    other = rival(comparison)
    sign = next(
        (1 if pair["candidate"] == model else -1) * pair["delta"]
        for pair in document["pairs"]
        if pair["task"] == "*" and {pair["candidate"], pair["baseline"]} == {model, other}
    )
    assert f"{100 * sign:+.1f} points" in said
    assert other is not None
    assert other in said


@pytest.mark.parametrize(
    ("verdict", "delta", "half", "said"),
    [
        ("better", 0.041, 0.019, "+4.1 points (95 % CI +2.2 to +6.0) over mpnet on one"),
        ("worse", -0.041, 0.019, "-4.1 points (95 % CI -6.0 to -2.2) on one against mpnet, which is better"),
        (
            "worse", -0.004, 0.003,
            "-0.4 points (95 % CI -0.7 to -0.1) on one against mpnet, which is better within the margin of ±1.0 points",
        ),
        ("same", 0.001, 0.005, "the same within ±1.0 points as mpnet on one (+0.1 points, 95 % CI -0.4 to +0.6)"),
        ("inconclusive", 0.011, 0.019, "not told apart from mpnet on one (+1.1 points, 95 % CI -0.8 to +3.0)"),
    ],
)  # fmt: skip
def test_each_verdict_has_its_own_words(verdict: Verdict, delta: float, half: float, said: str) -> None:
    made = comparisons.three()
    pairs = (pair("minilm", "mpnet", delta, verdict, half=half), pair("minilm", "tfidf", 0.041, "better"))
    found = choice(replace(made, pairs=pairs))
    assert found.sentence == f"Use minilm: {said}; costs not measured, 0.5x bytes/vector."
    assert found.word == ("a tie" if verdict == "inconclusive" else "clear")


def test_a_difference_is_seen_from_the_recommended_model_whichever_way_it_was_taken() -> None:
    made = comparisons.three()
    turned = replace(made, pairs=(pair("mpnet", "minilm", -0.041, "worse"),))
    assert choice(turned).sentence.startswith("Use minilm: +4.1 points (95 % CI +2.2 to +6.0) over mpnet on one")


def test_the_rival_is_the_baseline_or_else_the_best_other_mean() -> None:
    made = comparisons.three()
    assert rival(made) == "mpnet"
    assert rival(replace(made, baseline="tfidf")) == "tfidf"
    assert rival(replace(made, baseline="minilm")) == "mpnet", "a model is no rival of its own"
    alone = replace(made, summary=made.summary[:1])
    assert rival(alone) is None


def test_a_baseline_without_a_mean_is_no_rival_but_is_told() -> None:
    made = comparisons.three(baseline="tfidf")
    lacking = (*made.summary[:2], ModelSummary("tfidf", None, None, None, None, missing=("x",)))
    pairs = (pair("minilm", "mpnet", 0.041, "better"),)
    said = choice(replace(made, summary=lacking, pairs=pairs)).sentence
    assert "over mpnet on one" in said
    assert said.endswith("; tfidf has no score on every task.")


def test_models_without_a_pair_are_not_compared() -> None:
    made = replace(comparisons.three(), pairs=())
    assert choice(made).sentence.startswith(
        "Use minilm: 61.2 points (95 % CI 58.9 to 63.5) on one, not compared with mpnet; "
    )


def test_one_model_is_the_only_one() -> None:
    made = comparisons.three()
    one = replace(made, models=made.models[:1], summary=made.summary[:1], pairs=())
    assert choice(one) == Answer(
        "info", "the only model", "Use minilm: 61.2 points (95 % CI 58.9 to 63.5) on one; it is the only model."
    )


def test_the_only_model_with_every_score_is_no_winner_over_others() -> None:
    made = comparisons.three()
    lacking = tuple(replace(row, mean_score=None, interval=None) for row in made.summary[1:])
    found = choice(replace(made, summary=(made.summary[0], *lacking), pairs=()))
    assert found.sentence == (
        "Use minilm: 61.2 points (95 % CI 58.9 to 63.5) on one; no other model has a score on every task."
    )


def test_a_mean_without_an_interval_says_so() -> None:
    made = comparisons.three()
    bare = replace(made, models=made.models[:1], summary=(replace(made.summary[0], interval=None),), pairs=())
    assert "61.2 points (no interval) on one" in choice(bare).sentence


def test_no_recommendation_has_its_reason() -> None:
    made = replace(comparisons.three(), recommendation=Recommendation(None, "no model has a score on every task"))
    assert choice(made) == Answer(
        "warning", "no recommendation", "No recommendation on one: no model has a score on every task."
    )


def test_an_interrupted_comparison_is_marked() -> None:
    assert choice(replace(comparisons.three(("better",) * 3), interrupted=True)).word == "interrupted"


def test_limits_come_first_and_a_better_model_that_breaks_them_is_told() -> None:
    found = choice(boards.support(budget=Budget(max_p95_ms=10.0), baseline=None))
    assert found == Answer(
        "good",
        "within the limits",
        "With p95 latency up to 10 ms, use minilm: -3.0 points (95 % CI -3.7 to -2.3) on help-centre against bge, "
        "which breaks the limits; 3.00x faster, 0.5x bytes/vector.",
    )


def test_a_model_that_breaks_the_limits_is_no_tie() -> None:
    made = costed(comparisons.three(), budget=Budget(max_dim=384))
    assert choice(comparisons.costed(comparisons.three())).word == "a tie"
    assert choice(made).word == "within the limits"


# ---------------------------------------------------------------- what it costs


def costs_of(comparison: Comparison) -> str:
    return choice(comparison).sentence.split("; ")[1].rstrip(".").partition(", ")[0]


def with_ratio(made: Comparison, **changes: object) -> Comparison:
    assert made.cost is not None
    ratio = replace(cost_ratio("minilm", "mpnet", 2.0, "dearer"), **changes)  # type: ignore[arg-type]
    return replace(made, cost=replace(made.cost, ratios=(ratio,)))


def test_latency_is_that_of_the_paired_ratio_and_only_where_its_side_is_sure() -> None:
    made = costed(comparisons.three())
    assert costs_of(with_ratio(made)) == "2.00x slower"
    assert costs_of(with_ratio(made, ratio=0.5, ci_low=0.4, ci_high=0.6, verdict="cheaper")) == "2.00x faster"
    assert costs_of(with_ratio(made, candidate="mpnet", baseline="minilm")) == "2.00x faster"
    assert costs_of(with_ratio(made, verdict="same")) == "the same latency"
    assert costs_of(with_ratio(made, verdict="inconclusive")) == "latency not told apart"
    assert costs_of(with_ratio(made, metric="latency/query_cpu")) == "2.00x slower in CPU time"
    assert costs_of(with_ratio(made, baseline="tfidf")) == "latency not compared"
    assert (
        costs_of(costed(comparisons.three(), unstable="too noisy")) == "latency not judged (the machine was too noisy)"
    )
    assert costs_of(comparisons.three()) == "costs not measured"


def test_an_unknown_size_is_not_compared() -> None:
    made = costed(comparisons.three(("same", "same", "same"), baseline="tfidf"))
    assert choice(made).sentence.endswith("; 3.00x faster.")


def three_tied(**second: object) -> Comparison:
    """Return minilm, recommended against tfidf, and mpnet, which is not told apart from it."""
    made = costed(comparisons.three(("better", "inconclusive", "better"), baseline=None))
    return replace(
        made,
        baseline="tfidf",
        models=(
            made.models[0],
            replace(made.models[1], dimension=384, bytes_per_vector=1536, **second),
            made.models[2],
        ),
    )  # type: ignore[arg-type]


def test_a_tie_is_cheaper_only_where_it_is_dearer_in_nothing() -> None:
    made = three_tied()
    assert choice(made).sentence.endswith("; mpnet can't be told apart."), "it is slower"
    assert choice(with_ratio(made)).sentence.endswith("; mpnet can't be told apart and is faster.")
    small = replace(made.models[1], bytes_per_vector=512)
    smaller = replace(made, models=(made.models[0], small, made.models[2]))
    assert choice(smaller).sentence.endswith("; mpnet can't be told apart."), "smaller, and slower"
    assert choice(with_ratio(smaller)).sentence.endswith("; mpnet can't be told apart and is faster and smaller.")
    large = replace(made.models[1], bytes_per_vector=3072)
    assert choice(with_ratio(replace(made, models=(made.models[0], large, made.models[2])))).sentence.endswith(
        "; mpnet can't be told apart."
    ), "faster, and larger"


def test_names_are_on_one_line_and_cut() -> None:
    made = comparisons.hostile_costs()
    said = choice(made).sentence
    assert not set(said) & set("\n\t\x1b\x00\x07\u202e\u2066")
    long = "x" * 9000
    made = comparisons.three()
    renamed = replace(
        made,
        models=(replace(made.models[0], name=long),),
        summary=(replace(made.summary[0], model=long),),
        recommendation=Recommendation(long, ""),
        pairs=(),
    )
    assert len(choice(renamed).sentence) < 200


# ---------------------------------------------------------------- the last gate


def gate_row(verdict: GateVerdict, **changes: object) -> GateRow:
    figures = (-0.0052, -0.0101, -0.0003, 0.005)
    row = GateRow("k", "support", "2026-11-21T14:00:00+00:00", verdict, verdict != "pass", "new", "old", *figures)
    return replace(row, **changes)  # type: ignore[arg-type]


def test_each_gate_has_its_word_and_its_figures() -> None:
    figures = "-0.52 points (95 % CI -1.01 to -0.03), allowed -0.50"
    assert gate([]) == Answer("info", "none yet", "No gate was run yet.")
    assert gate([gate_row("pass")]) == Answer("good", "passed", f"new PASSED against old on support: {figures}.")
    assert gate([gate_row("pass"), gate_row("fail", failed=("a", "b"))]) == Answer(
        "bad", "failed", f"new FAILED against old on support: {figures}; 2 rules failed."
    )
    assert gate([gate_row("fail", blocks=False)]).sentence.startswith(
        "new FAILED against old on support (nothing was blocked): "
    )
    assert gate([gate_row("inconclusive")]).standing == "warning"
    assert "INCONCLUSIVE" in gate([gate_row("inconclusive")]).sentence
    assert gate([gate_row("error", change=None, failed=("x",))]) == Answer(
        "bad", "error", "new could not be judged (ERROR) against old on support: 1 rule failed."
    )


def test_a_gate_without_an_interval_or_a_rule_on_the_mean_says_less() -> None:
    assert (
        gate([gate_row("pass", low=None, margin=None)]).sentence == "new PASSED against old on support: -0.52 points."
    )
    assert gate([gate_row("pass", change=None)]).sentence == "new PASSED against old on support."
    assert "+0.00" not in gate([gate_row("pass", change=0.0)]).sentence
