"""The words of a gate: they say what the verdicts say, no more, and differ wherever the numbers do."""

from __future__ import annotations

from dataclasses import replace

import gates
import pytest
from gates import cost, dimension, gate_of, quality, skipped, space_rule

from benchkit.report import gate_words
from benchkit.types.gate import DEFAULT_POLICY, CostRule, GateReport, Neighbour, Policy


def test_a_pass_says_not_worse_only_where_scores_were_judged_and_none_is_in_doubt() -> None:
    good = quality("mean", "pass", 0.001)
    warned = replace(quality("STSB", "fail", -0.1), severity="warn")
    assert gate_words.headline(gate_of([good])) == "PASS: minilm-v2 is not worse than minilm on support-search"
    keeps = "PASS: minilm-v2 keeps every blocking rule against minilm on support-search"
    assert gate_words.headline(gate_of([dimension()])) == keeps
    assert gate_words.headline(gate_of([replace(good, severity="warn"), dimension()])) == keeps
    assert gate_words.headline(gate_of([good, warned])) == f"{keeps}; 1 warning"


def test_identical_models_of_one_name_are_told_apart_by_their_source() -> None:
    report = gate_of([quality("mean", "pass", 0.0)])
    same = replace(report, candidate=report.baseline, identical=True)
    assert gate_words.headline(same) == (
        "PASS: minilm (just measured) is not worse than minilm (baselines/support.json) on support-search; "
        "their content is the same"
    )


def test_a_failure_gives_the_reasons_of_the_worst_rules_and_counts_the_others() -> None:
    tasks = [quality(f"task{place}", "fail", -0.04) for place in range(5)]
    assert gate_words.headline(gate_of([*tasks, quality("mean", "inconclusive", -0.001)])) == (
        "FAIL: minilm-v2 may not replace minilm on support-search, because: task0 -4.00 points, allowed ≥ -2.00; "
        "task1 -4.00 points, allowed ≥ -2.00; task2 -4.00 points, allowed ≥ -2.00; and 2 more rules"
    )


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (gate_of([]), "INCONCLUSIVE: no rule could be judged, so nothing is known of minilm-v2 against minilm on"),
        (gate_of([skipped()], on_inconclusive="warn"), "INCONCLUSIVE (nothing is blocked): no rule could be judged"),
        (gates.inconclusive(), "INCONCLUSIVE: the data leave open whether minilm-v2 may replace minilm on"),
        (gates.errored(), "ERROR: minilm-v2 could not be held against minilm on support-search, because: FAQRetrieval"),
        (gate_of([dimension("fail", 64)], report_only=True), "FAIL (report only, nothing is blocked): minilm-v2 may"),
        (gate_of([dimension("fail", 64)]), "FAIL: minilm-v2 may not replace minilm on support-search, because: The d"),
    ],
    ids=["no rule", "tolerated", "open", "error", "report only", "limit"],
)
def test_the_headline_says_what_the_verdict_means(report: GateReport, expected: str) -> None:
    assert gate_words.headline(report).startswith(expected)


def test_what_is_open_is_so_because_of_its_interval() -> None:
    assert gate_words.headline(gates.inconclusive()).endswith("mean -0.30 (-1.30 to +0.70) points, allowed ≥ -0.50")


def test_a_change_beyond_the_limit_never_looks_like_the_limit() -> None:
    near = replace(quality("mean", "fail", -0.00512), threshold=-0.005)
    assert (gate_words.change_words(near)[:5], gate_words.allowed_words(near, DEFAULT_POLICY)) == ("-0.51", "≥ -0.50")
    slow = cost("query_latency_p50", "fail", 1.104)
    assert gate_words.reason(slow, DEFAULT_POLICY) == "query_latency_p50 1.104x, allowed ≤ 1.100x"
    assert gate_words.allowed_words(replace(near, threshold=-0.00025), DEFAULT_POLICY) == "≥ -0.025"


def test_a_cost_is_held_against_the_bound_that_the_policy_names() -> None:
    policy = Policy(cost=(CostRule("peak_memory", max_ratio=1.1, max_value=1500.0), CostRule("throughput", 0, 0.9)))
    memory, flow = cost("peak_memory", "fail", 1.31), cost("throughput", "pass", 1.0, limit=0.9)
    assert gate_words.allowed_words(memory, policy) == "≤ 1.100x"
    assert gate_words.allowed_words(replace(memory, threshold=1500.0), policy) == "≤ 1500 MiB"
    assert gate_words.allowed_words(flow, policy) == "≥ 0.900x"
    assert gate_words.allowed_words(replace(flow, threshold=None), policy) == ""
    both = Policy(cost=(CostRule("load_time", max_ratio=2.0, max_value=2.0),))
    load = cost("load_time", "fail", 2.5, limit=2.0)
    assert gate_words.allowed_words(load, both) == "≤ 2.000x"
    assert gate_words.allowed_words(replace(load, change=None), both) == "≤ 2.00 s"


def test_what_has_no_number_is_a_dash() -> None:
    nothing = replace(quality("mean", "error", 0.0), candidate=float("nan"), change=float("nan"), bound=None)
    assert gate_words.value_words(nothing, nothing.candidate) == "–"
    assert gate_words.change_words(nothing) == "–"
    assert gate_words.bound_words(nothing) == "–"
    assert gate_words.reason(replace(nothing, sentence=""), DEFAULT_POLICY) == "quality/mean: no value"


def test_rules_are_ranked_by_what_they_do() -> None:
    rules = [
        quality("a", "pass", 0.0),
        skipped(),
        replace(quality("b", "error", 0.0), severity="warn"),
        quality("c", "inconclusive", 0.0),
        quality("d", "fail", -0.1),
        replace(quality("e", "pass", 0.0), severity="warn"),
        quality("f", "error", 0.0),
        replace(quality("g", "fail", 0.0), severity="warn"),
    ]
    assert [rule.on for rule in gate_words.ranked(gate_of(rules))] == [*"fdcbgae", "deterministic"]
    # Of a gate that only reports, nothing blocks, and what would have done so still stands first.
    assert [rule.on for rule in gate_words.ranked(gate_of(rules, report_only=True))] == [*"fdcbgae", "deterministic"]


def test_an_inconclusive_rule_that_is_tolerated_only_warns_beside_one_that_fails() -> None:
    report = gate_of([quality("a", "inconclusive", 0.0), quality("b", "fail", -0.1)], on_inconclusive="warn")
    assert [rule.on for rule in gate_words.of_standing(report, "blocks")] == ["b"]
    assert gate_words.verdict_words(report, report.rules[0]) == "INCONCLUSIVE (warning)"


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (gates.passed(), "Embed all documents again first: the old index doesn't fit."),
        (replace(gates.passed(), space=None), "`benchkit baseline promote` makes it the champion."),
        (gates.failed(), "Next: look at the items that lost most, and mend the candidate; or, where the change is"),
        (gate_of([dimension("fail", 64)]), "Next: mend the candidate; or, where the change is meant, allow it in suit"),
        (replace(gate_of([dimension("fail", 64)]), policy=DEFAULT_POLICY), "a policy of your own (--policy FILE)"),
        (gates.inconclusive(), "Next: mean needs about 2600 items (it has 500) to pass an equally good model; or"),
        (gate_of([cost("throughput", "inconclusive", 1.0)]), "Next: run the gate again on a quieter machine; or"),
        (gate_of([]), "Next: give the gate a rule that it can judge"),
        (gates.errored(), "Next: mend what has no score"),
    ],
    ids=["re-embed", "pass", "explained", "fail", "default", "items", "quiet", "nothing", "error"],
)
def test_every_verdict_has_a_next_step(report: GateReport, expected: str) -> None:
    assert expected in gate_words.next_step(report)


def test_more_items_are_not_asked_for_below_what_there_are() -> None:
    near = replace(quality("A", "inconclusive", -0.018), items_needed=287, n=300)
    assert gate_words.next_step(gate_of([near])).startswith("Next: A lies too near the margin for its 300 items, so ")
    few = replace(quality("B", "inconclusive", -0.01), items_needed=80, n=20)
    assert "B needs about 80 items (it has 20) to pass an" in gate_words.next_step(gate_of([near, few]))


def test_the_swap_is_told_once() -> None:
    assert gate_words.swap_words(gates.passed()) == ""  # its rule says it
    alone = replace(gate_of([quality("mean", "pass", 0.0)]), space=gates.SPACE)
    assert gate_words.swap_words(alone) == f"Swapping the model: {gates.SPACE.sentence}"
    assert gate_words.swap_words(gate_of([replace(space_rule(), verdict="pass")])) == ""


def test_an_explanation_shows_texts_and_both_answers() -> None:
    lines = gate_words.explanation_lines(gates.EXPLANATION)
    assert lines[0] == "FAQRetrieval (quality/task:FAQRetrieval): -4.10 points (-5.10 to -3.10)"
    assert lines[1:3] == [
        "  slice lang=zh, 120 items: -11.00 points (-15.00 to -7.00)",
        "  slice lang=en, 380 items: -1.92 points",
    ]
    assert lines[3:8] == [
        "  1. q7 (test/default): 0.200 points of the loss; its own score 100.0 -> 0.0",
        "     text     who wrote the first compiler",
        "     expected Grace Hopper wrote A-0",
        "     before   right: Grace Hopper wrote A-0 (0.83); wrong: A history of wine (0.31)",
        "     after    wrong: A history of wine (0.52)",
    ]
    assert lines[-1] == "  3. q11 (test/default): 0.0400 points of the loss"


def test_of_many_answers_items_and_slices_the_first_are_shown() -> None:
    assert gate_words.answers([Neighbour(name) for name in "abcde"]) == "a; b; c; and 2 more"
    many = replace(gates.EXPLANATION, items=gates.EXPLANATION.items[2:] * 40, slices=gates.EXPLANATION.slices * 20)
    assert len(gate_words.explanation_lines(many)) == 1 + 10 + 10


def test_text_is_cut_before_it_is_cleaned_and_says_so() -> None:
    assert gate_words.short("x" * 100_000, 10) == "x" * 9 + "…"
    assert gate_words.short(" \n" * 1000 + "x", 10) == "…"  # what follows was never looked at
    assert gate_words.short("x" * 10, 10) == "x" * 10


def test_long_rules_have_names_that_differ() -> None:
    rules = [replace(dimension(), id=f"limits/{'x' * 200}{end}") for end in "ab"]
    names = {gate_words.rule_name(rule) for rule in rules}
    assert len(names) == 2
    assert max(map(len, names)) <= 110


@pytest.mark.parametrize("text", ["::error::x", "a :: b", ":::", "##[error]x", "##vso[x]y", ":\u200b:error::x", "###"])
def test_no_sign_of_a_command_is_left_in_a_log(text: str) -> None:
    shown = gate_words.log_line(text)
    visible = shown.replace("\u200b", "")
    assert "::" not in visible
    assert "##" not in visible
    assert visible.replace(" ", "") == text.replace(" ", "").replace("\u200b", "")


def test_an_ordinary_line_is_printed_as_it_is() -> None:
    line = "limits/dimension: 384, a:b, #1, http://x"
    assert gate_words.log_line(line) == line
