"""The JUnit XML of a gate: a case for each rule, counts that add up, and valid XML whatever the data are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import gates
import pytest
from gates import dimension, gate_of, quality, skipped

from benchkit.report.gate_junit import render_junit
from benchkit.types.gate import GateReport

XML_FORBIDDEN = "".join(map(chr, [*range(9), 0xB, 0xC, *range(0xE, 0x20), 0xFFFE, 0xFFFF, 0xD800, 0xDFFF]))


def cases(report: GateReport) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(render_junit(report))
    return {str(case.get("name")): case for case in root.iter("testcase")}


@pytest.mark.parametrize("name", ["passed", "failed", "inconclusive", "errored"])
def test_it_looks_as_it_did(name: str, check_golden: Callable[[str, str], None]) -> None:
    check_golden(f"tests/golden/gate/{name}.xml", render_junit(getattr(gates, name)()))


def test_one_suite_for_each_group_and_one_case_for_each_rule() -> None:
    report = gates.failed()
    root = ElementTree.fromstring(render_junit(report))
    assert [suite.get("name") for suite in root] == [
        "support-search: quality",
        "support-search: cost",
        "support-search: limits",
    ]
    assert sorted(cases(report)) == sorted(rule.id for rule in report.rules)


@pytest.mark.parametrize(
    "report",
    [gates.passed(), gates.failed(), gates.errored(), gate_of([]), gates.many(2000, 100), gates.hostile_gate()],
    ids=["pass", "fail", "error", "nothing", "many", "hostile"],
)
def test_the_counts_are_those_of_the_elements(report: GateReport) -> None:
    root = ElementTree.fromstring(render_junit(report))
    kinds = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}
    for count, tag in kinds.items():
        assert int(root.attrib[count]) == len(list(root.iter(tag)))
        for suite in root:
            assert int(suite.attrib[count]) == len(list(suite.iter(tag)))


def test_each_verdict_has_its_element() -> None:
    rules = [
        quality("mean", "fail", -0.1),
        quality("a", "error", 0.0),
        quality("b", "inconclusive", 0.0),
        replace(quality("c", "fail", -0.1), severity="warn"),
        quality("d", "pass", 0.0),
        skipped(),
    ]
    found = cases(gate_of(rules))

    def child(name: str) -> tuple[str, str | None] | None:
        first = found[name][0]
        return None if first.tag == "system-out" else (first.tag, first.get("type"))

    assert child("quality/mean") == ("failure", "regression")
    assert child("quality/task:a") == ("error", "error")
    assert child("quality/task:b") == ("failure", "inconclusive")
    assert child("quality/task:c") == ("skipped", None)
    assert child("quality/task:d") is None
    assert child("limits/deterministic") == ("skipped", None)
    warning = found["quality/task:c"].find("skipped")
    assert warning is not None
    assert warning.get("message") == "warning: FAIL: c is worse: -10.00 points."
    tolerated = cases(gate_of([rules[2]], on_inconclusive="warn"))["quality/task:b"]
    assert tolerated.find("failure") is None
    assert tolerated.find("skipped") is not None


def test_a_gate_that_blocks_without_a_rule_has_a_case_that_fails() -> None:
    found = cases(gate_of([skipped()]))
    failure = found["gate/verdict"].find("failure")
    assert failure is not None
    assert failure.get("type") == "inconclusive"
    assert str(failure.get("message")).startswith("INCONCLUSIVE: no rule could be judged")
    assert "gate/verdict" not in cases(gate_of([skipped()], report_only=True))
    assert "gate/verdict" not in cases(gate_of([dimension()]))


def test_the_explanation_stands_with_its_rule() -> None:
    found = cases(gates.failed())
    out = found["quality/task:FAQRetrieval"].findtext("system-out")
    assert out is not None
    assert "1. q7 (test/default): 0.200 points of the loss" in out
    assert "什么是嵌入模型" in out
    assert "q7" not in str(found["quality/mean"].findtext("system-out"))


@pytest.mark.parametrize("text", [*gates.HOSTILE, XML_FORBIDDEN, "x" * 100_000, "]]>&lt;<![CDATA[", "中文\U0001f600"])
def test_any_text_gives_valid_xml(text: str) -> None:
    report = gates.hostile_gate(text)
    rule = next(rule for rule in report.rules if "FAQRetrieval" in rule.id)
    explained = replace(report.explanations[0], rule=rule.id)
    xml = render_junit(replace(report, explanations=(explained,), started=text, gate_id=text))
    root = ElementTree.fromstring(xml.encode("utf-8"))
    assert len(list(root.iter("testcase"))) == len(report.rules)
    assert {element.tag for element in root.iter()} <= {
        "testsuites", "testsuite", "testcase", "failure", "error", "skipped", "system-out",
    }  # fmt: skip
    assert not set(xml) & (set(XML_FORBIDDEN) - {"\n"})


def test_two_long_rules_are_two_cases() -> None:
    rules = [replace(dimension(), id=f"limits/{'x' * 300}{end}") for end in "ab"]
    assert len(cases(gate_of(rules))) == 2
