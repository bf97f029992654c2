"""One verdict from one place: what the rules say together, and the exit code that follows.

    RuleResults ── worst of those that block ──> GateVerdict ── exit_code ──> 0 · 1 · 3

A skipped rule doesn't count; a gate in which nothing could be judged is inconclusive, never a pass.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchkit.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_REGRESSION
from benchkit.types.gate import GateVerdict, OnInconclusive, RuleResult

# From the best to the worst. An error is a score that isn't there or isn't a number: nothing is worse to deploy.
_ORDER: tuple[GateVerdict, ...] = ("pass", "inconclusive", "fail", "error")


def overall(rules: Sequence[RuleResult]) -> GateVerdict:
    """Return the worst verdict of the rules that block.

    >>> overall([])
    'inconclusive'
    """
    judged = [_ORDER.index(rule.verdict) for rule in rules if rule.severity == "block" and rule.verdict != "skipped"]
    return _ORDER[max(judged)] if judged else "inconclusive"


def exit_code(verdict: GateVerdict, *, on_inconclusive: OnInconclusive, report_only: bool = False) -> int:
    """Return what the command ends with: 0 pass, 1 regression (or no score at all), 3 inconclusive.

    >>> exit_code("inconclusive", on_inconclusive="warn"), exit_code("error", on_inconclusive="warn")
    (0, 1)
    """
    if report_only or verdict == "pass":
        return EXIT_OK
    if verdict == "inconclusive":
        return EXIT_OK if on_inconclusive == "warn" else EXIT_INCONCLUSIVE
    return EXIT_REGRESSION
