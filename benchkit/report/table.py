"""A comparison for a terminal: one table, what follows from it, and what went worst.

    Comparison ──> columns by importance ── drop until they fit ──> rich table ── verdict · warnings · worst items

A number is never cut: a terminal that is too narrow gets fewer columns, and the line below the table names the others.
What a mark or a colour says stands below it in words too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchkit.report import cost_view, verdict_words, warning_words, words
from benchkit.report.view import metas_by_name, summaries, task_names, task_types, worst_of
from benchkit.types.comparison import Comparison, ModelSummary

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WORST_SHOWN = 5
_TEXT_SHOWN = 100  # characters of a worst item: about one line and a half
_NAME_WIDTH = 24  # a longer name is folded before a column is dropped
_LEAST_NAME_WIDTH = 8
_NAME_HEADING = "model"
_GAP = 2
_MARK = ">"  # ASCII: a terminal that can't show arrows still shows which row is meant
_BROKEN, _KEPT = "breaks it", "keeps it"
# Of a column, which goes first where the terminal is narrow: score, rank, budget, then cost and size, then task types.
_COST_IMPORTANCE = {"p95 ms": 880, "peak MiB": 845, "texts/s": 840}


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of numbers; the one with the lowest `importance` is dropped first."""

    heading: str
    texts: tuple[str, ...]
    importance: int

    @property
    def lines(self) -> list[str]:
        """The heading, one word on a line: "PairClassification" would be wider than any number in it."""
        return re.sub(r"(?<=[a-z])(?=[A-Z][a-z][a-z])|[ ]|/(?=\w\w)", "\n", self.heading).split("\n")


def render_table(comparison: Comparison, console: Console) -> None:
    """Print a comparison; colour and width are the console's."""
    from rich.text import Text  # rich is only for terminals

    rows = summaries(comparison)
    columns = _columns(comparison, rows)
    marks = _marks(comparison, rows)
    name_width, mark_width = _name_width(rows), max(map(len, marks), default=0) + _GAP
    shown = _fitting(columns, console.width - mark_width - min(name_width, _NAME_WIDTH))
    room = console.width - mark_width - _width(shown)
    table = _table(comparison, rows, shown, marks, min(name_width, max(_LEAST_NAME_WIDTH, room)))
    console.print(Text(_title(comparison)), style="bold")
    console.print(table, crop=False)
    for line, style in _lines_below(comparison, columns, shown):
        console.print(Text(line), style=style)


def _title(comparison: Comparison) -> str:
    models = words.counted(len(comparison.models), "model")
    tasks = words.counted(len(task_names(comparison)), "task")
    limited = len({scored.result.task for scored in comparison.cells if scored.result.limited})
    tasks += f" ({limited} with limited data)" if limited else ""
    return f"{words.plain(comparison.suite.name)}: {models} on {tasks}, points with 95 % intervals"


def _marks(comparison: Comparison, rows: Sequence[ModelSummary]) -> list[str]:
    """Return the mark of each row: which is recommended, and which are on the front."""
    front = set(comparison.pareto)
    found = []
    for row in rows:
        taken = _MARK if row.model == comparison.recommendation.model else " "
        found.append(taken + (cost_view.FRONT_MARK if row.model in front else "") if front else taken)
    return found


def _columns(comparison: Comparison, rows: Sequence[ModelSummary]) -> list[_Column]:
    metas = metas_by_name(comparison)
    facts = [metas[row.model] for row in rows]
    types = task_types(comparison)
    return [
        _Column("mean", _means(rows), 1000),
        _Column("rank", tuple(words.rank(row) for row in rows), 900),
        *_budget_column(comparison, rows),
        *(
            _Column(words.plain(kind), tuple(words.type_words(comparison, row, kind) for row in rows), 800 - place)
            for place, kind in enumerate(types)
        ),
        *(
            _Column(heading, tuple(map(words.figure, figures)), _COST_IMPORTANCE[heading])
            for heading, figures in cost_view.columns(comparison).items()
        ),
        _Column("dim", tuple(words.count(meta.dimension) for meta in facts), 2),
        _Column("bytes/vector", tuple(words.count(meta.bytes_per_vector) for meta in facts), 850),
        _Column("parameters", tuple(words.parameters(meta.parameters) for meta in facts), 1),
    ]


def _budget_column(comparison: Comparison, rows: Sequence[ModelSummary]) -> list[_Column]:
    if not comparison.budget.is_set:
        return []
    broken = cost_view.over_budget(comparison)
    return [_Column("budget", tuple(_BROKEN if row.model in broken else _KEPT for row in rows), 895)]


def _means(rows: Sequence[ModelSummary]) -> tuple[str, ...]:
    return tuple(f"{words.points(row.mean_score)}  {words.span(row.interval)}".rstrip() for row in rows)


def _fitting(columns: Sequence[_Column], room: int) -> list[_Column]:
    """Return the columns that fit, in their order; the most important one always stays."""
    shown = list(columns)
    while len(shown) > 1 and _width(shown) > room:
        shown.remove(min(shown, key=lambda column: column.importance))
    return shown


def _width(columns: Sequence[_Column]) -> int:
    from rich.cells import cell_len

    return sum(_GAP + max(map(cell_len, (*column.lines, *column.texts))) for column in columns)


def _name_width(rows: Sequence[ModelSummary]) -> int:
    from rich.cells import cell_len

    return max(cell_len(text) for text in (_NAME_HEADING, *(words.plain(row.model) for row in rows)))


def _table(
    comparison: Comparison,
    rows: Sequence[ModelSummary],
    shown: Sequence[_Column],
    marks: Sequence[str],
    name_width: int,
) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # Text objects: "[red]" in a model's name is a name, not markup.
    # A fixed width: on a console where even the last columns don't fit, a cut number would be a wrong number.
    mark_width = max(map(len, marks), default=0)
    width = mark_width + _GAP + name_width + _width(shown)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), width=width)
    deepest = max(len(column.lines) for column in shown)
    table.add_column("", width=mark_width)
    table.add_column(Text("\n" * (deepest - 1) + _NAME_HEADING), width=name_width, overflow="fold")
    for column in shown:
        heading = "\n" * (deepest - len(column.lines)) + "\n".join(column.lines)
        table.add_column(Text(heading), justify="left" if column.heading == "mean" else "right", no_wrap=True)
    broken = cost_view.over_budget(comparison)
    for place, row in enumerate(rows):
        taken = row.model == comparison.recommendation.model
        table.add_row(
            marks[place],
            Text(words.plain(row.model)),
            *(Text(column.texts[place]) for column in shown),
            style="bold" if taken else "dim" if row.model in broken else "",
        )
    return table


def _lines_below(comparison: Comparison, columns: Sequence[_Column], shown: Sequence[_Column]) -> list[tuple[str, str]]:
    left_out = [column.heading for column in columns if column not in shown]
    narrow = f"Too narrow for: {', '.join(left_out)}."
    lines = [(narrow, "dim")] if left_out else []
    lines += [(line, "dim") for line in _cost_lines(comparison)]
    lines += [(line, "") for line in cost_view.budget_lines(comparison)]
    lines += [
        ("", ""),
        (verdict_words.verdict_sentence(comparison), "bold"),
        (verdict_words.why_sentence(comparison), ""),
    ]
    warned = [(f"Warning: {warning}", "yellow") for warning in warning_words.warnings(comparison)]
    worst = [(line, "") for line in _worst_lines(comparison)]
    return [*lines, *([("", "")] if warned else []), *warned, *([("", "")] if worst else []), *worst]


def _cost_lines(comparison: Comparison) -> list[str]:
    front = [f"{cost_view.FRONT_MARK} {cost_view.FRONT_NOTE}."] if comparison.pareto else []
    return [*front, *([cost_view.session_words(comparison.cost)] if comparison.cost else [])]


def _worst_lines(comparison: Comparison) -> list[str]:
    model = comparison.recommendation.model
    worst = worst_of(comparison, model, _WORST_SHOWN) if model is not None else []
    if model is None or not worst:
        return []
    lines = [f"Where {words.plain(model)} did worst:"]
    for task, item in worst:
        said = f"  {words.plain(task)} ({words.points(item.value)}): {words.plain(item.text, _TEXT_SHOWN)}"
        wanted = f"    expected {words.plain(item.expected, _TEXT_SHOWN)}" if item.expected else ""
        got = f"    found    {words.plain(item.found, _TEXT_SHOWN)}" if item.found else ""
        lines += [line for line in (said, wanted, got) if line]
    return lines
