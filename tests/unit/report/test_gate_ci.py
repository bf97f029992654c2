"""Annotations, code quality and charts of a gate: read back the way their readers do."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import gates
import pytest
from gates import cost, dimension, gate_of, quality, skipped

from benchkit.report import gate_words
from benchkit.report.gate_ci import code_quality, github_annotations, smaller_is_better
from benchkit.types.comparison import SuiteInfo

COMMANDS = {"error", "warning", "notice", "group", "set-output", "add-mask", "stop-commands", "debug"}


def run(line: str) -> tuple[str, dict[str, str], str] | None:
    """Return command, properties and message, as GitHub's runner reads a line; None where it is none.

    First "::command properties::message", from the start of the line; else "##[command properties]message", anywhere.
    """
    start = line.lstrip()
    if start.startswith("::") and (end := start.find("::", 2)) > 0:
        command, _, rest = start[2:end].partition(" ")
        properties = dict(pair.split("=", 1) for pair in rest.strip().split(",") if "=" in pair)
        if command in COMMANDS:
            return command, {key: undone(value, ",:") for key, value in properties.items()}, undone(start[end + 2 :])
    found = re.search(r"##\[([^\] ]*)[^\]]*\](.*)", line)
    return (found.group(1), {}, found.group(2)) if found and found.group(1) in COMMANDS else None


def undone(text: str, more: str = "") -> str:
    for sign in ("\r", "\n", *more, "%"):
        text = text.replace(f"%{ord(sign):02X}", sign)
    return text


# --- annotations


def test_each_rule_that_blocks_is_an_error_and_each_that_does_not_a_warning() -> None:
    found = [run(line) for line in github_annotations(gates.failed())]
    assert found == [
        (
            "error",
            {"title": "benchkit gate: quality/task:FAQRetrieval"},
            "FAIL: FAQRetrieval is worse: -4.10 points.",
        ),
        ("error", {"title": "benchkit gate: cost/peak_memory"}, "FAIL: peak_memory is 1.310 times the baseline's."),
        ("error", {"title": "benchkit gate: quality/mean"}, "INCONCLUSIVE: mean may be worse: -0.30 points."),
        ("warning", {"title": "benchkit gate: quality/slice:lang=zh"}, "FAIL: lang=zh is worse: -11.00 points."),
    ]


def test_a_pass_is_a_notice() -> None:
    report = gate_of([dimension()])
    assert [run(line) for line in github_annotations(report)] == [
        ("notice", {"title": "benchkit gate"}, gate_words.headline(report))
    ]


def test_a_gate_that_only_reports_has_no_error() -> None:
    lines = github_annotations(gate_of([dimension("fail", 64)], report_only=True))
    assert [line.split(" ")[0] for line in lines] == ["::notice", "::warning"]


def test_a_gate_in_which_nothing_was_judged_is_an_error() -> None:
    (line,) = github_annotations(gate_of([skipped()]))
    assert line.startswith("::error title=benchkit gate::INCONCLUSIVE: no rule could be judged, so nothing is known of")


def test_of_many_the_first_ten_are_shown_and_the_last_counts_the_others() -> None:
    lines = github_annotations(gates.many(50, 23))
    assert len(lines) == 10
    assert lines[-1].endswith("(and 13 more like this: see the summary)")
    assert not [line for line in lines[:-1] if "more like this" in line]
    assert "more like this" not in github_annotations(gates.many(50, 10))[-1]


@pytest.mark.parametrize(
    "text", [*gates.HOSTILE, " ".join(gates.HOSTILE), "a,b:c=d%0A%25,line=9", "%", "\r\n::error::"]
)
@pytest.mark.parametrize("report_only", [False, True])
def test_a_hostile_name_is_no_command_and_no_property(text: str, report_only: bool) -> None:
    report = gates.hostile_gate(text)
    if report_only:
        report = replace(report, exit_code=0, report_only=True)
    for line in github_annotations(report):
        found = run(line)
        assert found is not None
        command, properties, message = found
        assert command == line[2:].split(" ")[0]
        assert command in {"error", "warning", "notice"}
        assert set(properties) == {"title"}
        assert properties["title"].startswith("benchkit gate")
        assert message.startswith(("FAIL", "INCONCLUSIVE"))
        assert not set(line) & set("\r\n\x1b\x85\u2028")
        assert run(message) is None
        assert run(properties["title"]) is None


def test_percent_signs_come_back_as_they_were() -> None:
    report = gate_of([replace(dimension("fail", 64), sentence="50 % of %0A, a:b", id="limits/a%2Cb,c")])
    assert run(github_annotations(report)[0]) == (
        "error",
        {"title": "benchkit gate: limits/a%2Cb,c"},
        "FAIL: 50 % of %0A, a:b",
    )


# --- code quality


def test_an_issue_has_what_gitlab_asks_for() -> None:
    issues = code_quality(gates.failed(), "./suites/support.yaml")
    assert [issue["severity"] for issue in issues] == ["critical", "critical", "major", "minor"]
    assert set(issues[0]) == {"description", "check_name", "fingerprint", "severity", "location"}
    assert issues[0]["description"] == "FAIL quality/task:FAQRetrieval: FAQRetrieval is worse: -4.10 points."
    assert issues[0]["check_name"] == "benchkit gate quality/task:FAQRetrieval"
    assert issues[0]["location"] == {"path": "suites/support.yaml", "lines": {"begin": 1}}
    assert code_quality(gates.errored(), "x")[0]["severity"] == "blocker"
    assert code_quality(gate_of([dimension(), skipped()]), "x") == []


def test_a_fingerprint_is_that_of_the_rule_and_the_suite_and_of_nothing_else() -> None:
    def prints(report: object) -> list[str]:
        return [issue["fingerprint"] for issue in code_quality(report, "x")]  # type: ignore[arg-type]

    report = gates.failed()
    later = replace(report, gate_id="other", started="later", candidate=report.baseline, report_only=True, exit_code=0)
    assert sorted(prints(later)) == sorted(prints(report))
    assert len(set(prints(report))) == 4
    elsewhere = replace(report, suite=SuiteInfo("other", "5f1d"))
    assert not set(prints(elsewhere)) & set(prints(report))
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in prints(gates.hostile_gate()))


def test_a_gate_in_which_nothing_was_judged_is_an_issue() -> None:
    issues = code_quality(gate_of([]), "x")
    assert [(issue["check_name"], issue["severity"]) for issue in issues] == [("benchkit gate gate/verdict", "major")]


def test_hostile_text_can_be_written_as_utf8() -> None:
    report = gates.hostile_gate()
    text = json.dumps([code_quality(report, "a\n\ud800/../b"), smaller_is_better(report)], ensure_ascii=False)
    assert not set(text.encode("utf-8").decode()) & {"\x1b", "\u202e", "\x9b"}


# --- charts


def entry_of(name: str, rules: list[object]) -> dict[str, object]:
    return next(entry for entry in smaller_is_better(gate_of(rules)) if entry["name"] == name)  # type: ignore[arg-type]


def test_scores_are_turned_round_and_costs_are_as_they_are() -> None:
    found = {entry["name"]: entry for entry in smaller_is_better(gates.failed())}
    assert set(found) == {
        "quality/mean (1 - score)",
        "quality/task:FAQRetrieval (1 - score)",
        "quality/task:中文检索 (1 - score)",
        "quality/slice:lang=zh (1 - score)",
        "cost/query_latency_p50",
        "cost/throughput (ms per text)",
        "cost/peak_memory",
    }
    faq = found["quality/task:FAQRetrieval (1 - score)"]
    assert math.isclose(faq["value"], 1 - 0.659)
    assert (faq["unit"], faq["range"]) == ("1 - score", "± 0.01")
    assert "change from minilm: -4.10 (-5.10 to -3.10), which the range is of; Example CPU" in faq["extra"]
    memory = found["cost/peak_memory"]
    assert (memory["unit"], memory["range"]) == ("MiB", "± 16.2")
    assert math.isclose(memory["value"], 617 * 1.31)


def test_numbers_of_a_stored_result_are_not_said_to_be_of_this_machine() -> None:
    stored = replace(gates.failed(), candidate_source="results/7")
    said = [str(entry["extra"]) for entry in smaller_is_better(stored)]
    assert said
    assert all(extra.endswith("; measured before, results/7") for extra in said)


def test_throughput_is_the_time_of_a_text() -> None:
    # 200 texts/s are 5 ms for each; the ratio's ends 0.8 and 1.25 of 250 texts/s are 5 and 3.2 ms.
    rule = replace(cost("throughput", "pass", 0.8), candidate=200.0, baseline=250.0, low=0.8, high=1.25)
    found = entry_of("cost/throughput (ms per text)", [rule])
    assert (found["value"], found["range"], found["unit"]) == (5.0, "± 0.9", "ms per text")


@pytest.mark.parametrize(
    "rule",
    [
        replace(quality("mean", "error", 0.0), candidate=None),
        replace(quality("mean", "error", 0.0), candidate=math.nan),
        replace(cost("peak_memory", "error", 1.0), candidate=math.inf),
        replace(cost("throughput", "error", 1.0), candidate=0.0),
        replace(cost("throughput", "error", 1.0), on="images_per_s"),
        dimension(),
    ],
)
def test_what_is_not_a_finite_number_with_a_known_side_is_left_out(rule: object) -> None:
    assert smaller_is_better(gate_of([rule])) == []  # type: ignore[list-item]


@pytest.mark.parametrize(
    "change", [{"low": None}, {"low": math.nan}, {"high": math.inf}, {"baseline": None}, {"low": 0.0, "high": 0.0}]
)
def test_a_range_that_is_not_known_is_left_out(change: dict[str, float | None]) -> None:
    rule = replace(cost("throughput", "pass", 1.0), **change)  # type: ignore[arg-type]
    assert "range" not in entry_of("cost/throughput (ms per text)", [rule])


def test_each_entry_gets_smaller_when_the_model_gets_better() -> None:
    better = {"query_latency_p50": 0.5, "throughput": 2.0, "peak_memory": 0.5, "load_time": 0.5}
    before = [quality("mean", "pass", 0.0), *(cost(metric, "pass", 1.0) for metric in better)]
    after = [quality("mean", "pass", 0.1), *(cost(metric, "pass", ratio) for metric, ratio in better.items())]
    values = [[entry["value"] for entry in smaller_is_better(gate_of(rules))] for rules in (before, after)]
    assert len(values[0]) == 5
    assert all(new < old for old, new in zip(*values, strict=True))
