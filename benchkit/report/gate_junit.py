"""A gate as JUnit XML, which GitLab, Jenkins and others show: a suite for each group of rules, a case for each rule.

    GateReport ──> <testsuites> ── group ──> <testsuite> ── rule ──> <testcase> · <failure> · <error> · <skipped>

A case fails if and only if its rule blocks (gate_words.standing), so that a job never looks green and exits with 1, or
the other way round. XML 1.0 can't hold every character, escaped or not (section 2.2); those become U+FFFD.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from benchkit.report import gate_words
from benchkit.report.gate_words import SENTENCE_SHOWN, short
from benchkit.types.gate import Explanation, GateReport, RuleResult

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(report: GateReport) -> str:
    """Return the XML text of a gate; at least one case fails exactly where the gate blocks."""
    from xml.etree.ElementTree import Element, indent, tostring

    root = Element("testsuites", name=_clean(f"benchkit gate: {gate_words.headline(report)}"))
    groups = list(dict.fromkeys(rule.group for rule in report.rules))
    suites = [_suite(report, group, [rule for rule in report.rules if rule.group == group]) for group in groups]
    if gate_words.blocks_without_rule(report):
        suites.append(_counted(report, "gate", [_whole(report)]))
    root.extend(suites)
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    root.set("time", f"{report.seconds:.3f}")
    indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


def _suite(report: GateReport, group: str, rules: Sequence[RuleResult]) -> Element:
    explained: dict[str, list[Explanation]] = {}
    for found in report.explanations:
        explained.setdefault(found.rule, []).append(found)
    return _counted(report, group, [_case(report, rule, explained.get(rule.id, ())) for rule in rules])


def _counted(report: GateReport, group: str, cases: Sequence[Element]) -> Element:
    """Return a suite of cases with the counts that its readers trust."""
    from xml.etree.ElementTree import Element

    def count(kind: str) -> str:
        return str(sum(case.find(kind) is not None for case in cases))

    suite = Element(
        "testsuite",
        name=_clean(f"{short(report.suite.name)}: {group}"),
        tests=str(len(cases)),
        failures=count("failure"),
        errors=count("error"),
        skipped=count("skipped"),
        time="0",
        timestamp=_clean(short(report.started)),
    )
    suite.extend(cases)
    return suite


def _new_case(report: GateReport, group: str, name: str) -> Element:
    from xml.etree.ElementTree import Element

    classname = _clean(f"benchkit.gate.{short(report.suite.name)}.{group}")
    return Element("testcase", classname=classname, name=_clean(name), time="0")


def _case(report: GateReport, rule: RuleResult, explained: Iterable[Explanation]) -> Element:
    case = _new_case(report, rule.group, gate_words.rule_name(rule))
    stands, said = gate_words.standing(report, rule), short(rule.sentence, SENTENCE_SHOWN)
    if stands == "blocks":
        _add_failure(case, rule.verdict, gate_words.reason(rule, report.policy), said)
    elif stands == "warns":
        _add(case, "skipped", message=f"warning: {gate_words.VERDICT_WORDS[rule.verdict]}: {said}")
    elif stands == "skipped":
        _add(case, "skipped", message=said)
    output = [line for found in explained for line in gate_words.explanation_lines(found)]
    lines = [*([said] if said else []), *output]
    if lines:
        _add(case, "system-out").text = _clean("\n".join(lines))
    return case


def _whole(report: GateReport) -> Element:
    """Return the case of a gate that blocks though no rule does."""
    case = _new_case(report, "gate", "gate/verdict")
    _add_failure(case, report.verdict, gate_words.headline(report), gate_words.next_step(report))
    return case


def _add_failure(case: Element, verdict: str, message: str, said: str) -> None:
    kind = "error" if verdict == "error" else "failure"
    types = {"error": "error", "fail": "regression", "inconclusive": "inconclusive"}
    _add(case, kind, message=message, type=types.get(verdict, verdict)).text = _clean(said)


def _add(parent: Element, tag: str, **attributes: str) -> Element:
    from xml.etree.ElementTree import SubElement

    return SubElement(parent, tag, {key: _clean(value) for key, value in attributes.items()})
