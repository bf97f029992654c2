"""A score on a part of the data says so beside it, in every form of the report."""

from __future__ import annotations

import io
from dataclasses import replace

from comparisons import small
from rich.console import Console

from benchkit.report.html import render_html
from benchkit.report.markdown import render_markdown
from benchkit.report.table import render_table
from benchkit.types.comparison import Comparison

PART = "40 of 1379 items"


def limited(comparison: Comparison) -> Comparison:
    """Return the comparison with the first task on a part of its data."""
    task = comparison.cells[0].result.task
    cells = (
        replace(scored, result=replace(scored.result, limited=PART if scored.result.task == task else ""))
        for scored in comparison.cells
    )
    return replace(comparison, cells=tuple(cells))


def test_the_terminal_says_it_in_the_title() -> None:
    console = Console(file=io.StringIO(), width=120)
    render_table(limited(small()), console)
    assert isinstance(console.file, io.StringIO)
    assert "(1 with limited data), points" in console.file.getvalue().splitlines()[0]


def test_markdown_and_html_say_it_beside_the_number_of_items() -> None:
    for render in (render_markdown, render_html):
        # Once in the table of tasks, and once among the warnings, without which whole data have neither.
        assert render(limited(small())).count(f"({PART})") == 2
        assert PART not in render(small())
