"""The terminal's table: it fits, no number is cut, colour only where it is wanted, and data is never markup."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from comparisons import HOSTILE_NAMES, SESSION_WORDS, costed, grid, hostile, hostile_costs, small, three
from rich.cells import cell_len
from rich.console import Console

from benchkit.report import words
from benchkit.report.table import render_table
from benchkit.types.comparison import Comparison, Recommendation
from benchkit.types.cost import Budget

LONG = ("sentence-transformers/paraphrase-multilingual-mpnet-base-v2@dim=128,precision=int8",)


def drawn(comparison: Comparison, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, legacy_windows=False)
    render_table(comparison, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def table_lines(text: str) -> list[str]:
    """Return the lines from the headings to the last row."""
    lines = text.splitlines()
    rule = next(place for place, line in enumerate(lines) if line.startswith("───"))
    end = next(place for place in range(rule, len(lines)) if not lines[place] or lines[place].startswith("Too narrow"))
    start = next(place for place in range(rule) if set(lines[place : place + 1][0][:3]) <= {" "})
    return lines[start:end]


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_looks_as_it_did(width: int, check_golden: Callable[[str, str], None]) -> None:
    check_golden(f"tests/golden/report/table_{width}.txt", drawn(small(), width))


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_table_with_costs_looks_as_it_did(width: int, check_golden: Callable[[str, str], None]) -> None:
    comparison = costed(small(), budget=Budget(max_p95_ms=20.0))
    check_golden(f"tests/golden/report/table_costs_{width}.txt", drawn(comparison, width))


@pytest.mark.parametrize("width", [40, 61, 80, 103, 131, 200])
@pytest.mark.parametrize(
    "comparison",
    [
        small(),
        grid(12, 41),
        grid(4, 7, names=LONG),
        hostile(),
        costed(grid(12, 41)),
        costed(grid(4, 7, names=LONG), budget=Budget(max_p95_ms=20.0)),
        hostile_costs(),
    ],
    ids=["small", "grid", "long", "hostile", "grid costs", "long costs", "hostile costs"],
)
def test_no_line_is_wider_than_the_console_and_no_number_is_cut(comparison: Comparison, width: int) -> None:
    lines = table_lines(drawn(comparison, width))
    assert max(map(cell_len, lines)) <= width
    table = "\n".join(lines)
    assert "…" not in table
    for row in comparison.summary:
        assert f"{words.points(row.mean_score)}  {words.span(row.interval)}".rstrip() in table


@pytest.mark.parametrize("width", [1, 10, 20, 27])
def test_a_console_too_narrow_for_one_number_gets_it_whole(width: int) -> None:
    assert "62.8  60.5–65.1" in drawn(small(), width)


def test_columns_go_by_importance_and_are_named() -> None:
    assert "Too narrow" not in drawn(small(), 160)
    assert "Too narrow for: Clustering, dim, parameters." in drawn(small(), 80)
    assert "Too narrow for: Retrieval, STS, Classification, Clustering, dim, parameters." in " ".join(
        drawn(small(), 45).split()
    )


def test_chinese_names_keep_the_columns_in_line() -> None:
    rows = [line for line in table_lines(drawn(small(), 160)) if re.search("minilm|tfidf|小模型", line)]
    ends = [cell_len(line.rstrip()) for line in rows if "M" in line]
    assert len(rows) == 3
    assert len(set(ends)) == 1


def test_a_heading_stays_whole_over_names_of_one_letter() -> None:
    short = grid(2, 1, names=["a", "b"])
    assert "   model  mean " in table_lines(drawn(short))[1]


def test_only_the_recommended_row_is_marked() -> None:
    marked = [line for line in drawn(small()).splitlines() if line.startswith(">")]
    assert len(marked) == 1
    assert "minilm" in marked[0]
    nobody = replace(small(), recommendation=Recommendation(None, "nothing"))
    assert not [line for line in drawn(nobody).splitlines() if line.startswith(">")]


def test_failed_and_skipped_cells_are_words_and_not_numbers() -> None:
    row = next(line for line in drawn(small(), 160).splitlines() if line.strip().startswith("小模型"))
    assert row.split() == ["小模型", "–", "–", "67.0", "81.8", "failed", "–", "256", "1024", "4.00M"]


def test_markup_in_names_is_shown_and_not_obeyed() -> None:
    text = drawn(hostile(), 200)
    table = "\n".join(table_lines(text))
    assert HOSTILE_NAMES[0] in table
    assert "[red]x[/red]" in table
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_colour_only_on_a_terminal_that_wants_it() -> None:
    def colours(**settings: object) -> list[str]:
        file = io.StringIO()
        console = Console(file=file, width=80, color_system="standard", **settings)  # type: ignore[arg-type]
        render_table(small(), console)
        return re.findall(r"\x1b\[[\d;]*3\d[\d;]*m", file.getvalue())

    assert colours(force_terminal=True, _environ={})
    assert not colours(force_terminal=True, _environ={"NO_COLOR": "1"})
    assert "\x1b" not in drawn(small())


def test_at_most_five_worst_items_of_the_recommended_model_are_shown() -> None:
    text = drawn(small())
    assert text.count("expected ") == 2
    assert "Where minilm did worst:" in text
    cells = small().cells
    many = replace(cells[4], result=replace(cells[4].result, worst=cells[4].result.worst * 4))
    assert drawn(replace(small(), cells=(many,))).count("expected ") == 5
    assert "did worst" not in drawn(three())


def test_one_model_and_one_task_are_counted_in_the_singular() -> None:
    assert "choose: 1 model on 1 task, points" in drawn(replace(grid(1, 1), pairs=()))


# --- costs


def test_costs_have_their_unit_in_the_heading_and_stand_before_the_types_where_room_is_scarce() -> None:
    text = drawn(costed(small()), 80)
    headings = [line.split() for line in table_lines(text)[:2]]
    assert [word for line in headings for word in line if word in ("p95", "ms", "texts/s", "peak", "MiB")] == [
        "p95", "peak", "ms", "texts/s", "MiB",
    ]  # fmt: skip
    row = next(line for line in text.splitlines() if "minilm" in line)
    assert row.split()[-4:] == ["16.6", "105", "1234", "1536"]


def test_models_on_the_front_are_marked_and_the_mark_is_explained() -> None:
    text = drawn(costed(small()), 120)
    marks = {line[4:].split()[0]: line[:2] for line in table_lines(text) if "–" in line and not line.startswith("─")}
    assert marks == {"minilm": ">*", "tfidf": " *", "小模型": "  "}
    assert "* on the Pareto front: no other model" in text
    assert "Pareto" not in drawn(small(), 120)


def test_a_model_over_the_budget_is_told_in_words_and_without_a_budget_nothing_is_said_of_it() -> None:
    text = drawn(costed(small(), budget=Budget(max_p95_ms=20.0)), 120)
    rows = {line[4:].split()[0]: line for line in table_lines(text) if line[4:5] not in ("", " ", "─")}
    del rows["model"]
    assert {name: "keeps it" in row for name, row in rows.items()} == {"minilm": True, "tfidf": True, "小模型": False}
    assert "breaks it" in rows["小模型"]
    assert "小模型 breaks the budget: its p95 latency of" in text
    assert "budget" not in drawn(costed(small()), 120)


def test_the_machine_and_the_noise_floor_stand_in_a_line_below_the_table() -> None:
    lines = drawn(costed(small()), 120).splitlines()
    assert SESSION_WORDS in lines
    noisy = drawn(costed(small(), unstable="A/A is 1.2", from_cache=True), 200)
    assert "measured on 2026-01-02, not in this run." in noisy
    assert "Warning: costs are unstable: A/A is 1.2" in noisy.splitlines()


def test_hostile_costs_do_not_steer_the_terminal() -> None:
    assert not {"\x1b", "\x07", "\u202e"} & set(drawn(hostile_costs(), 120))
