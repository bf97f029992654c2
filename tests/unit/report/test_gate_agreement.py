"""What is printed, the exit code, JUnit, JSON, annotations and code quality can't disagree, whatever the rules found.

Every pair of rules (verdict x severity) is gone through, under each way of taking an inconclusive gate, and with
--report-only.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import get_args
from xml.etree import ElementTree

import pytest
from gates import gate_of, quality

from benchkit.report import gate_words
from benchkit.report.gate_ci import code_quality, github_annotations
from benchkit.report.gate_json import gate_from_dict, gate_to_dict
from benchkit.report.gate_junit import render_junit
from benchkit.report.gate_markdown import render_gate_markdown
from benchkit.report.gate_table import render_plain
from benchkit.types.gate import GateReport, OnInconclusive, RuleResult, RuleVerdict, Severity

KINDS = list(product(get_args(RuleVerdict), get_args(Severity)))
WORDS = {"pass": "PASS", "inconclusive": "INCONCLUSIVE", "fail": "FAIL", "error": "ERROR"}
SYMBOLS = {"pass": "✅", "inconclusive": "❔", "fail": "❌", "error": "❌"}
ABOVE_MINOR = {"major", "critical", "blocker"}


def rule(place: int, verdict: RuleVerdict, severity: Severity) -> RuleResult:
    return replace(quality(f"task{place}", verdict, -0.03), severity=severity)


def gates_of(first: tuple[RuleVerdict, Severity] | None) -> list[GateReport]:
    """Return every gate whose first rule is this one, with no second rule and with each."""
    seconds = [None, *KINDS] if first else [None]
    rules = [[kind for kind in (first, second) if kind] for second in seconds]
    return [
        gate_of([rule(place, *kind) for place, kind in enumerate(kinds)], on_inconclusive=tolerance, report_only=only)
        for kinds in rules
        for tolerance in get_args(OnInconclusive)
        for only in (False, True)
    ]


def failing_cases(report: GateReport) -> set[str]:
    root = ElementTree.fromstring(render_junit(report))
    failing = {
        str(case.get("name"))
        for case in root.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    }
    assert int(root.attrib["failures"]) + int(root.attrib["errors"]) == len(failing)
    return failing


@pytest.mark.parametrize("first", [None, *KINDS], ids=str)
def test_every_output_fails_exactly_where_the_exit_code_does(first: tuple[RuleVerdict, Severity] | None) -> None:
    for report in gates_of(first):
        blocked = report.exit_code != 0
        issues = code_quality(report, "suite.yaml")
        assert bool(failing_cases(report)) == blocked
        assert any(issue["severity"] in ABOVE_MINOR for issue in issues) == blocked
        assert any(line.startswith("::error ") for line in github_annotations(report)) == blocked
        assert gate_to_dict(report)["exit_code"] == report.exit_code
        assert gate_from_dict(gate_to_dict(report)) == report


@pytest.mark.parametrize("first", [None, *KINDS], ids=str)
def test_every_output_names_the_same_rules(first: tuple[RuleVerdict, Severity] | None) -> None:
    for report in gates_of(first):
        blocking = {rule.id for rule in gate_words.of_standing(report, "blocks")} or (
            {"gate/verdict"} if report.exit_code else set()
        )
        issues = code_quality(report, "suite.yaml")
        severe = {issue["check_name"] for issue in issues if issue["severity"] in ABOVE_MINOR}
        assert failing_cases(report) == blocking
        assert severe == {f"benchkit gate {name}" for name in blocking}


@pytest.mark.parametrize("first", [None, *KINDS], ids=str)
def test_every_output_says_the_verdict_first(first: tuple[RuleVerdict, Severity] | None) -> None:
    for report in gates_of(first):
        said = gate_words.headline(report)
        word = WORDS[report.verdict]
        assert said.startswith((f"{word}: ", f"{word} ("))
        assert ("nothing is blocked" in said) == (report.verdict != "pass" and report.exit_code == 0)
        assert render_plain(report, width=1000).splitlines()[0] == said
        assert render_gate_markdown(report).splitlines()[2].startswith(f"## {SYMBOLS[report.verdict]} {word}")
        assert json.loads(json.dumps(gate_to_dict(report)))["headline"] == said
        assert said in str(ElementTree.fromstring(render_junit(report)).get("name"))


def test_a_rule_stands_where_a_table_written_by_hand_says() -> None:
    # verdict, severity, --on-inconclusive, --report-only -> what the rule does
    expected = {
        ("fail", "block", "fail", False): "blocks",
        ("fail", "block", "warn", False): "blocks",
        ("error", "block", "warn", False): "blocks",
        ("inconclusive", "block", "fail", False): "blocks",
        ("inconclusive", "block", "warn", False): "warns",
        ("fail", "warn", "fail", False): "warns",
        ("error", "warn", "fail", False): "warns",
        ("fail", "block", "fail", True): "warns",
        ("inconclusive", "block", "fail", True): "warns",
        ("pass", "block", "fail", False): "pass",
        ("pass", "warn", "fail", False): "pass",
        ("skipped", "block", "fail", False): "skipped",
        ("skipped", "warn", "warn", True): "skipped",
    }
    for (verdict, severity, tolerance, only), stands in expected.items():
        report = gate_of([rule(0, verdict, severity)], on_inconclusive=tolerance, report_only=only)  # type: ignore[arg-type]
        assert gate_words.standing(report, report.rules[0]) == stands
