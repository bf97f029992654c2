"""A gate in the small formats that CI systems read besides the page and the XML.

    GateReport ─┬─ github_annotations ──> "::error title=...::..." lines for the log of a step
                ├─ code_quality ──> GitLab's code-quality issues
                └─ smaller_is_better ──> customSmallerIsBetter of github-action-benchmark

How a rule stands is asked of gate_words, so an error here is an exit code that isn't 0 there. Escaping of annotations:
the runner reads a command up to the first "::" and undoes %25, %0D and %0A, in properties %3A and %2C too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from benchkit.report import gate_words
from benchkit.report.gate_words import SENTENCE_SHOWN, log_line, short
from benchkit.types.gate import COST_METRICS, GateReport, RuleResult, RuleVerdict

ANNOTATIONS_SHOWN = 10  # GitHub shows ten of each kind for a step
_BLOCKING: dict[RuleVerdict, str] = {"error": "blocker", "fail": "critical", "inconclusive": "major"}
_MS_PER_S = 1000.0
_IN_THIS_RUN = ("measured now", "just measured")


# --- annotations


def github_annotations(report: GateReport) -> list[str]:
    """Return workflow commands: an error for each rule that blocks, a warning for each that is tolerated.

    Where no rule blocks, the answer comes first, as a notice (or an error, where nothing could be judged).
    """
    blocking, warning = gate_words.of_standing(report, "blocks"), gate_words.of_standing(report, "warns")
    lines = [*_annotations(report, "error", blocking), *_annotations(report, "warning", warning)]
    if blocking:
        return lines
    level = "error" if report.blocks else "notice"
    return [_command(level, "benchkit gate", gate_words.headline(report)), *lines]


def _annotations(report: GateReport, level: str, rules: Sequence[RuleResult]) -> list[str]:
    lines = []
    left = len(rules) - ANNOTATIONS_SHOWN
    for place, rule in enumerate(rules[:ANNOTATIONS_SHOWN], start=1):
        said = f"{gate_words.VERDICT_WORDS[rule.verdict]}: {short(rule.sentence, SENTENCE_SHOWN) or 'no reason'}"
        more = f" (and {left} more like this: see the summary)" if place == ANNOTATIONS_SHOWN and left > 0 else ""
        lines.append(_command(level, f"benchkit gate: {short(rule.id)}", said + more))
    return lines


def _command(level: str, title: str, message: str) -> str:
    # On one line already; log_line lets no part of it be a command of its own.
    for_property = _escape(log_line(title)).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={for_property}::{_escape(log_line(message))}"


def _escape(text: str) -> str:
    # "%" first: what is written for the others holds one.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


# --- code quality


def code_quality(report: GateReport, path: str) -> list[dict[str, Any]]:
    """Return GitLab's code-quality issues: above "minor" exactly where a rule blocks.

    Args:
        path: The suite's or policy's file, relative to the repository; every issue needs a place.
    """
    issues = [
        _issue(report, path, rule.id, gate_words.sentence_line(report, rule), _severity(report, rule))
        for rule in gate_words.of_standing(report, "blocks", "warns")
    ]
    if gate_words.blocks_without_rule(report):
        severity = _BLOCKING.get(report.verdict, "major")
        issues.append(_issue(report, path, "gate/verdict", gate_words.headline(report), severity))
    return issues


def _severity(report: GateReport, rule: RuleResult) -> str:
    if gate_words.standing(report, rule) == "blocks":
        return _BLOCKING[rule.verdict]
    return "info" if rule.verdict == "inconclusive" else "minor"


def _issue(report: GateReport, path: str, rule: str, said: str, severity: str) -> dict[str, Any]:
    # Of the suite and the rule alone, so that the next run's finding of the same rule is the same issue.
    identity = "\0".join(("benchkit gate", report.suite.name, rule)).encode("utf-8", "replace")
    return {
        "description": said,
        "check_name": f"benchkit gate {short(rule)}",
        "fingerprint": hashlib.sha256(identity).hexdigest(),
        "severity": severity,
        "location": {"path": PurePosixPath(short(path, 4096)).as_posix(), "lines": {"begin": 1}},
    }


# --- charts


def smaller_is_better(report: GateReport) -> list[dict[str, Any]]:
    """Return the candidate's values for charts over time, each so that smaller is better; finite ones only.

    Scores are 1 - score, throughput is milliseconds per text. A range is that of the change from the baseline.
    """
    found = [entry for rule in report.rules if (entry := _chart_entry(report, rule)) is not None]
    return [entry for entry in found if math.isfinite(entry["value"])]


def _chart_entry(report: GateReport, rule: RuleResult) -> dict[str, Any] | None:
    if rule.candidate is None or rule.group not in ("quality", "cost"):
        return None
    if rule.group == "quality":
        return _entry(report, rule, "1 - score", 1 - rule.candidate, _half(rule.low, rule.high, 1.0))
    if rule.on not in COST_METRICS:
        return None  # which side of it is better isn't known
    base = rule.baseline or math.nan
    if rule.on != "throughput":
        return _entry(report, rule, short(rule.unit, 20), rule.candidate, _half(rule.low, rule.high, base))
    if rule.candidate <= 0:
        return None
    slowest, fastest = (
        _MS_PER_S / (base * end) if end and math.isfinite(end) else None for end in (rule.low, rule.high)
    )
    return _entry(report, rule, "ms per text", _MS_PER_S / rule.candidate, _half(fastest, slowest, 1.0))


def _half(low: float | None, high: float | None, factor: float) -> float | None:
    if low is None or high is None:
        return None
    half = abs(high - low) / 2 * abs(factor)
    return half if math.isfinite(half) else None


def _entry(report: GateReport, rule: RuleResult, unit: str, value: float, half: float | None) -> dict[str, Any]:
    machine = short(report.environment.values.get("cpu", "unknown machine"))
    if report.candidate_source not in _IN_THIS_RUN:  # the machine of the gate isn't that of its numbers
        machine = f"measured before, {short(report.candidate_source)}"
    change = f"change from {short(report.baseline.name)}: {gate_words.change_words(rule)}"
    against = change if half is None else f"{change}, which the range is of"
    converted = "" if rule.group == "cost" and unit != "ms per text" else f" ({unit})"
    entry = {
        "name": f"{gate_words.rule_name(rule)}{converted}",
        "unit": unit,
        "value": value,
        "extra": f"{short(report.candidate.name)} on {short(report.suite.name)}; {against}; {machine}",
    }
    return entry if half is None else {**entry, "range": f"± {half:.3g}"}
