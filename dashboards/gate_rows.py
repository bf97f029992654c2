"""Gates, promotions and alarms as rows of tables.

GateRow, ChampionRow, CheckRow ──> a row of a list, with what the store says of it behind what is shown
GateReport ── rule_rows, slice_rows, item_rows ──> the rows of a gate that is opened
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from benchkit.report import gate_words, words
from benchkit.report.board_words import Standing
from benchkit.types.board import ChampionRow, CheckRow, GateRow
from benchkit.types.gate import Explanation, GateReport, GateVerdict, RuleVerdict
from dashboards.drift_rows import span_words, verdict_words
from dashboards.place import Row, plain

# With the shapes of the charts, since a cell of a table has no colour; and as a sentence on top of a gate.
_SHAPES: dict[RuleVerdict, str] = {"pass": "●", "inconclusive": "◆", "fail": "▼", "error": "■", "skipped": "○"}
_WORDS: dict[GateVerdict, str] = {
    "pass": "passed",
    "inconclusive": "inconclusive",
    "fail": "failed",
    "error": "error",
}


def gate_standing(verdict: GateVerdict) -> Standing:
    """Return in which kind of a sentence a verdict is told."""
    standings: dict[GateVerdict, Standing] = {"pass": "good", "inconclusive": "warning", "fail": "bad", "error": "bad"}
    return standings[verdict]


def minute(time: str) -> str:
    """Return a time to the minute.

    >>> minute("2026-11-21T14:24:36+00:00")
    '2026-11-21 14:24'
    """
    return plain(time[:16]).replace("T", " ")


def gate_row(row: GateRow) -> Row:
    """Return a gate as a list shows it; changes are in points."""
    known = row.low is not None and row.high is not None
    return {
        "verdict_words": f"{_SHAPES[row.verdict]} {_WORDS[row.verdict]}{'' if row.blocks else _free(row)}",
        "when": minute(row.started),
        "points": cents(row.change),
        "interval": f"{cents(row.low)} to {cents(row.high)}" if known else "",
        "allowed": "" if row.margin is None else f"≥ {cents(-row.margin)}",
        "failed_rules": ", ".join(row.failed),
        **asdict(row),
    }


def _free(row: GateRow) -> str:
    return "" if row.verdict == "pass" else " (not blocked)"


def cents(change: float | None) -> str:
    """Return a change in points with two decimals, as gates have them; "" for none.

    >>> cents(-0.04221), cents(0.0), cents(None)
    ('-4.22', '0.00', '')
    """
    if change is None:
        return ""
    return f"{100 * change:+.2f}" if change else "0.00"


def champion_row(row: ChampionRow) -> Row:
    """Return a promotion as a list shows it."""
    forced = "forced" if row.forced else "" if row.gate_verdict == "" else f"gate: {row.gate_verdict}"
    present = "yes" if row.is_present else "no longer"
    return {"when": minute(row.promoted_at), "how": forced, "champion": present, **asdict(row)}


def alarm_row(row: CheckRow) -> Row:
    """Return an alarm of the drift monitor as a list shows it."""
    window = span_words(row.start, row.end, row.source)
    return {"verdict": verdict_words(row.severity), "window": window, "when": minute(row.at), **asdict(row)}


# ---------------------------------------------------------------- of one gate


def rule_rows(report: GateReport) -> list[Row]:
    """Return the rules, those that block first: in words, and behind them the numbers."""
    return [
        {
            "verdict_words": f"{_SHAPES[rule.verdict]} {gate_words.verdict_words(report, rule)}",
            "rule": rule.id,
            "change_words": gate_words.change_words(rule),
            "allowed": gate_words.allowed_words(rule, report.policy),
            "candidate_words": gate_words.value_words(rule, rule.candidate),
            "baseline_words": gate_words.value_words(rule, rule.baseline),
            "bound_words": gate_words.bound_words(rule),
            "items": words.count(rule.n),
            **asdict(rule),
        }
        for rule in gate_words.ranked(report)
    ]


def rules_title(rows: Sequence[Row]) -> str:
    """Return how many rules there are, and how many of each verdict, those that block first.

    >>> rules_title([{"verdict_words": "▼ FAIL"}, {"verdict_words": "● PASS"}, {"verdict_words": "● PASS"}])
    'All 3 rules: ▼ FAIL 1, ● PASS 2'
    """
    counted = Counter(str(row["verdict_words"]) for row in rows)
    return f"All {words.counted(len(rows), 'rule')}: {', '.join(f'{said} {n}' for said, n in counted.items())}"


def slice_rows(explanation: Explanation) -> list[Row]:
    """Return the slices of a task with their changes in points."""
    return [
        {"slice": part.name, "points": cents(part.change), "interval": _ends(part.low, part.high), **asdict(part)}
        for part in explanation.slices
    ]


def _ends(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{cents(low)} to {cents(high)}"


def item_rows(explanations: Sequence[Explanation]) -> list[Row]:
    """Return the items on which the candidate lost, one row each, with the answers of both models in words."""
    rows: list[Row] = []
    for explanation in explanations:
        for item in explanation.items:
            found = {
                "found_before": gate_words.answers(item.found_before),
                "found_after": gate_words.answers(item.found_after),
            }
            rows.append({"rule": explanation.rule, "task": explanation.task, **asdict(item), **found})
    return rows
