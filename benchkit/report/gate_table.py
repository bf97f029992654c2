"""A gate for a terminal, and the same without colour for a log.

    GateReport ──> the answer ── table of the rules ── sentences of those that didn't pass ── power ── what a swap means
               ──> why: slices and items ── notes ── what to do next

A verdict is a word and never only a colour. A number is never cut: a terminal that is too narrow gets fewer columns,
and the line below the table names the others. No line of the data can be a command to the CI that reads it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchkit.report import gate_words, words
from benchkit.report.gate_words import POWER_SHOWN, SENTENCE_SHOWN, log_line, short
from benchkit.types.gate import GateReport, RuleResult

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LOG_WIDTH = 120
_MOST_ROWS = 25  # with more rules than this, those that passed are only counted
_MOST_SENTENCES = 50
_GAP = 2
_NAME_HEADING = "rule"
_NAME_WIDTH = 24  # a longer rule is folded before a column is dropped
_LEAST_NAME_WIDTH = 12
_VERDICT_WIDTH = 12  # "INCONCLUSIVE"; what stands after it goes on a second line
_STYLES = {"PASS": "green", "FAIL": "bold red", "ERROR": "bold red", "INCONCLUSIVE": "yellow", "SKIPPED": "dim"}
_SCALE = "Scores and their changes are in points (0.01 = 1 point), costs as candidate / baseline (1.100x)."
_DECIDED = "PASS and FAIL rest on one-sided 95 % bounds, each on its side; the intervals shown are two-sided."


@dataclass(frozen=True, slots=True)
class _Column:
    """A column beside the rules' names; the one with the lowest `importance` is dropped first."""

    heading: str
    texts: tuple[str, ...]
    importance: int

    @property
    def width(self) -> int:
        return max(map(_cells, (self.heading, *self.texts)))


def render_gate_table(report: GateReport, console: Console) -> None:
    """Print a gate; colour and width are the console's."""
    from rich.text import Text  # rich is only for terminals

    verdict = gate_words.VERDICT_WORDS[report.verdict]
    console.print(Text(log_line(gate_words.headline(report)), style=_STYLES[verdict]))
    shown = _shown_rules(report)
    if shown:
        console.print()
        _print_table(report, shown, console)
    for line, style in _lines_below(report, shown):
        _print_line(line, style, console)


def render_plain(report: GateReport, *, width: int = LOG_WIDTH) -> str:
    """Return the same without colour, for the log of a CI."""
    from rich.console import Console

    # No environment: FORCE_COLOR is for people's terminals.
    console = Console(
        file=io.StringIO(),
        width=width,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
        _environ={},
    )
    render_gate_table(report, console)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def _shown_rules(report: GateReport) -> list[RuleResult]:
    if len(report.rules) <= _MOST_ROWS:
        return gate_words.ranked(report)
    return gate_words.of_standing(report, "blocks", "warns")


def _print_line(line: str, style: str, console: Console) -> None:
    from rich.padding import Padding
    from rich.text import Text

    if not line:
        console.print()
        return
    text = line.lstrip(" ")
    indent = len(line) - len(text)  # a line that is wrapped goes on where it began
    console.print(Padding(Text(log_line(text), style=style), (0, 0, 0, indent), expand=False))


def _print_table(report: GateReport, rules: Sequence[RuleResult], console: Console) -> None:
    from rich.text import Text

    columns = _columns(report, rules)
    verdicts = [gate_words.verdict_words(report, rule) for rule in rules]
    name_width = max(map(_cells, (_NAME_HEADING, *(log_line(short(rule.id)) for rule in rules))))
    shown = _fitting(columns, console.width - _VERDICT_WIDTH - _GAP - min(name_width, _NAME_WIDTH))
    room = console.width - _VERDICT_WIDTH - _GAP - _width(shown)
    # Text of the data is folded, numbers never: on a console too narrow for them, the table is wider than it.
    name_width = min(name_width, max(_LEAST_NAME_WIDTH, room))
    verdict_width = max(_VERDICT_WIDTH, min(_VERDICT_WIDTH + room - name_width, max(map(len, verdicts))))
    table = _table(rules, verdicts, shown, (name_width, verdict_width))
    console.print(table, crop=False)
    left_out = [column.heading for column in columns if column not in shown]
    if left_out:
        console.print(Text(f"Too narrow for: {', '.join(left_out)}."), style="dim")


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _columns(report: GateReport, rules: Sequence[RuleResult]) -> list[_Column]:
    def column(heading: str, importance: int, text_of: Callable[[RuleResult], str]) -> _Column:
        return _Column(heading, tuple(log_line(text_of(rule)) for rule in rules), importance)

    return [
        column("candidate", 500, lambda rule: gate_words.value_words(rule, rule.candidate)),
        column("baseline", 400, lambda rule: gate_words.value_words(rule, rule.baseline)),
        column("change (95 % interval)", 900, gate_words.change_words),
        column("bound", 100, gate_words.bound_words),
        column("allowed", 800, lambda rule: gate_words.allowed_words(rule, report.policy) or words.ABSENT),
    ]


def _fitting(columns: Sequence[_Column], room: int) -> list[_Column]:
    """Return the columns that fit, in their order; the rule and its verdict always stay."""
    shown = list(columns)
    while shown and _width(shown) > room:
        shown.remove(min(shown, key=lambda column: column.importance))
    return shown


def _width(columns: Sequence[_Column]) -> int:
    return sum(_GAP + column.width for column in columns)


def _table(
    rules: Sequence[RuleResult], verdicts: Sequence[str], shown: Sequence[_Column], widths: tuple[int, int]
) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # Text objects: "[red]" in a name is a name, not markup.
    name_width, verdict_width = widths
    width = name_width + _width(shown) + _GAP + verdict_width
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), width=width)
    table.add_column(_NAME_HEADING, width=name_width, overflow="fold")
    for column in shown:
        table.add_column(Text(column.heading), justify="right", no_wrap=True)
    table.add_column("verdict", width=verdict_width)
    for place, rule in enumerate(rules):
        style = _STYLES[gate_words.VERDICT_WORDS[rule.verdict]]
        fields = [Text(column.texts[place]) for column in shown]
        table.add_row(Text(log_line(short(rule.id))), *fields, Text(verdicts[place], style=style))
    return table


def _lines_below(report: GateReport, shown: Sequence[RuleResult]) -> Iterator[tuple[str, str]]:
    """Return the lines after the table with their styles, blocks apart from each other."""
    blocks = (
        [(line, "dim") for line in _about_table(report, shown)],
        [(line, "") for line in _sentences(report)],
        [(short(report.power, POWER_SHOWN), "")] if report.power else [],
        [(line, "") for line in [gate_words.swap_words(report)] if line],
        *([(line, "") for line in gate_words.explanation_lines(found)] for found in report.explanations),
        [(f"Note: {short(warning, SENTENCE_SHOWN)}", "yellow") for warning in report.warnings],
        [(gate_words.next_step(report), "bold")],
    )
    for block in blocks:
        if block:
            yield "", ""
            yield from block


def _about_table(report: GateReport, shown: Sequence[RuleResult]) -> list[str]:
    hidden = len(report.rules) - len(shown)
    said = ((len(report.of_verdict("pass")), "passed"), (len(report.of_verdict("skipped")), "skipped"))
    counts = [f"{n} {what}" for n, what in said if hidden and n]
    left_out = [f"Not shown of {len(report.rules)} rules: {' and '.join(counts)}."] if counts else []
    decided = [_DECIDED] if any(rule.bound is not None for rule in shown) else []
    measured = [_SCALE] if any(rule.group in ("quality", "cost") for rule in shown) else []
    return [*left_out, *([" ".join([*measured, *decided])] if measured or decided else [])]


def _sentences(report: GateReport) -> list[str]:
    """Return what was found by the rules that didn't pass; a skipped one says why."""
    found = gate_words.of_standing(report, "blocks", "warns", "skipped")
    lines = [gate_words.sentence_line(report, rule) for rule in found[:_MOST_SENTENCES]]
    left = len(found) - len(lines)
    return [*lines, *([f"and {words.counted(left, 'more rule')} that did not pass"] if left else [])]
