"""Read a gate's policy from a file of its own; build it from what a suite or such a file holds.

    path ──read_document──> Document ──validate, check_gate──> GateEntry ──build_policy──> Policy
                                              └──────────────> Problems ──> SuiteError

The file is either what stands below `gate:` in a suite, or a mapping with the single key `gate:`; both read alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchkit.suite.cross_check import check_gate
from benchkit.suite.gate_schema import CostEntry, GateEntry, GateLimitsEntry
from benchkit.suite.problems import Problem, refusal
from benchkit.suite.read_yaml import POLICY, Document, read_document
from benchkit.suite.validate import validate_policy
from benchkit.types.gate import CostRule, LimitRules, Policy, QualityRule

_PARTS = ", ".join(GateEntry.model_fields)


def load_policy(path: Path) -> Policy:
    """Read and check a policy file; its `source` is the path as it was given.

    Raises:
        SuiteError: one line for each problem of the file, "gate.yaml:3: quality[0].margin: should be at most 0.5,
            got 2; …", in the order of its lines.
    """
    document, problems = read_document(path, POLICY)
    if document is None:
        raise refusal(path, problems, {})
    misplaced = _not_of_a_policy(document.value)
    if misplaced:
        raise refusal(path, [*problems, *misplaced], document.lines)
    entry, refused = _check(document)
    problems += refused
    if problems or entry is None:
        raise refusal(path, problems, document.lines)
    return build_policy(entry, source=str(path))


def _not_of_a_policy(value: Mapping[str, Any]) -> list[Problem]:
    """Return what tells that the file is another one, before each of its keys is told to be unknown."""
    if "tasks" in value or "models" in value:
        message = f"a suite file, where a policy is needed: 'gate:' alone, or what stands below it ({_PARTS})"
        return [Problem((), f"{message}; a suite's own gate is read with the suite", line=1)]
    if "gate" not in value:
        return []
    message = "does not go beside 'gate', which stands alone in a policy file; rules go below it"
    return [Problem((key,), message) for key in value if key != "gate"]


def _check(document: Document) -> tuple[GateEntry | None, list[Problem]]:
    bare = "gate" not in document.value
    whole = document.below("gate") if bare else document
    content, problems = validate_policy(whole)
    problems += check_gate(whole.value["gate"])
    if bare:
        problems = [dataclasses.replace(problem, place=problem.place[1:]) for problem in problems]
    return content.gate if content else None, problems


def build_policy(entry: GateEntry, *, source: str) -> Policy:
    """Return the rules as the gate reads them; a part that was left out asks nothing."""
    return Policy(
        quality=tuple(QualityRule(rule.on, rule.margin, rule.severity) for rule in entry.quality or ()),
        cost=tuple(_cost(rule) for rule in entry.cost or ()),
        limits=_limits(entry.limits or GateLimitsEntry()),
        same_space=entry.compatibility.same_space if entry.compatibility else "ignore",
        source=source,
    )


def _cost(rule: CostEntry) -> CostRule:
    upper = (rule.max_ms, rule.max_mib, rule.max_s)
    return CostRule(
        metric=rule.metric,
        max_ratio=rule.max_ratio,
        min_ratio=rule.min_ratio,
        # A metric takes one of them (check_gate), in its own unit.
        max_value=next((value for value in upper if value is not None), None),
        min_value=rule.min_texts_per_s,
        severity=rule.severity,
    )


def _limits(limits: GateLimitsEntry) -> LimitRules:
    size = limits.dimension
    return LimitRules(
        dimension_equal=size is not None and size.equal_to_baseline,
        max_dimension=size.max if size else None,
        max_bytes_per_vector=limits.max_bytes_per_vector,
        licenses=tuple(limits.licenses or ()),
        deterministic=limits.deterministic,
        finite=limits.finite,
        normalized="yes" if limits.normalized is True else limits.normalized or None,
    )
