"""A gate on a terminal: the answer first, it fits, no number is cut, words and not colours, data is never a command."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

import gates
import pytest
from gates import gate_of, quality
from rich.cells import cell_len
from rich.console import Console

from benchkit.report import gate_words
from benchkit.report.gate_table import render_gate_table, render_plain
from benchkit.types.gate import GateReport

REPORTS = {
    "passed": gates.passed(),
    "failed": gates.failed(),
    "inconclusive": gates.inconclusive(),
    "errored": gates.errored(),
}


def command_in(line: str) -> str | None:
    """Return the command that GitHub's runner or Azure's agent would take a line of a log for, as their sources say."""
    start = line.lstrip()
    if start.startswith("::") and "::" in start[2:]:
        return start[2:].partition("::")[0].split(" ")[0]
    found = re.search(r"##\[([^\]]*)\]|##vso\[([^\]]*)\]", line)
    return found and (found.group(1) or found.group(2))


def table_of(text: str) -> list[str]:
    """Return the lines of the rules."""
    lines = text.splitlines()
    rule = next(place for place, line in enumerate(lines) if line.startswith("───"))
    end = next(place for place in range(rule, len(lines)) if not lines[place] or lines[place].startswith("Too narrow"))
    return lines[rule - 1 : end]


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", REPORTS)
def test_it_looks_as_it_did(name: str, width: int, check_golden: Callable[[str, str], None]) -> None:
    check_golden(f"tests/golden/gate/{name}_{width}.txt", render_plain(REPORTS[name], width=width))


@pytest.mark.parametrize("name", REPORTS)
def test_the_first_line_is_the_answer_and_the_last_what_to_do(name: str) -> None:
    lines = render_plain(REPORTS[name], width=1000).splitlines()
    assert lines[0] == gate_words.headline(REPORTS[name])
    assert lines[-1] == gate_words.next_step(REPORTS[name])


@pytest.mark.parametrize("width", [80, 100, 140, 300])
@pytest.mark.parametrize("report", [*REPORTS.values(), gates.hostile_gate()], ids=[*REPORTS, "hostile"])
def test_no_line_is_wider_than_the_console_and_no_number_is_cut(report: GateReport, width: int) -> None:
    text = render_plain(report, width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    for rule in report.rules:
        assert gate_words.change_words(rule) in text


@pytest.mark.parametrize("width", [1, 10, 30])
def test_a_console_too_narrow_for_the_verdict_gets_it_whole(width: int) -> None:
    rows = table_of(render_plain(gates.inconclusive(), width=width))
    assert any("INCONCLUSIVE" in row for row in rows)


def test_columns_that_do_not_fit_are_named() -> None:
    assert "Too narrow for: candidate, baseline, bound." in render_plain(gates.failed(), width=80)
    assert "Too narrow" not in render_plain(gates.failed(), width=140)


def test_chinese_names_keep_the_columns_in_line() -> None:
    rows = table_of(render_plain(gates.failed(), width=140))
    verdicts = [re.search(r"  (FAIL|PASS|INCONCLUSIVE|SKIPPED)", row) for row in rows[2:]]
    assert len({cell_len(row[: found.start()]) for row, found in zip(rows[2:], verdicts, strict=True) if found}) == 1
    assert any("中文检索" in row for row in rows)


def test_many_passes_are_only_counted() -> None:
    text = render_plain(gates.many(2000, 3))
    assert "Not shown of 2000 rules: 1997 passed." in text
    assert [row.split()[0] for row in table_of(text)[2:]] == [f"quality/task:task{place}" for place in range(3)]
    few = render_plain(gates.many(25, 3))
    assert "Not shown" not in few
    assert len(table_of(few)) == 27


def test_a_gate_of_many_passes_and_nothing_else_has_no_table() -> None:
    lines = render_plain(gates.many(30, 0)).splitlines()
    assert lines[0].startswith("PASS: ")
    assert "Not shown of 30 rules: 30 passed." in lines
    assert not [line for line in lines if line.startswith("───")]
    assert "quality/" not in render_plain(gate_of([]))


def test_of_many_sentences_the_first_fifty_are_told() -> None:
    text = render_plain(gates.many(80, 70))
    assert text.count("changed.") == 50
    assert "and 20 more rules that did not pass" in text


def test_a_skipped_rule_says_why_and_a_warning_that_it_is_one() -> None:
    text = render_plain(gates.passed())
    assert "SKIPPED limits/deterministic: no model was loaded to ask it" in text
    assert re.search(r"compatibility/same_space .* FAIL \(warning\)", text)


def test_a_line_that_is_wrapped_goes_on_where_it_began() -> None:
    long = replace(gates.EXPLANATION, items=(replace(gates.EXPLANATION.items[1], text="word " * 30),))
    lines = render_plain(replace(gates.failed(), explanations=(long,)), width=60).splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("     text     word"))
    assert lines[place + 1].startswith("     word")


@pytest.mark.parametrize("width", [20, 47, 80, 1000])
@pytest.mark.parametrize("text", [*gates.HOSTILE, " ".join(gates.HOSTILE), "x" * 30 + ":" + "::error::x" * 9])
def test_no_line_of_a_log_is_a_command_and_nothing_steers_the_terminal(text: str, width: int) -> None:
    shown = render_plain(gates.hostile_gate(text), width=width)
    assert [found for line in shown.splitlines() if (found := command_in(line)) is not None] == []
    assert not set(shown) & {"\x1b", "\x9b", "\x07", "\x00", "\r", "\u202e", "\u2066", "\ud800"}
    shown.encode("utf-8")


def test_the_runner_of_the_tests_knows_a_command() -> None:
    assert command_in("  ::set-output name=x::y") == "set-output"
    assert command_in("text ##[error]x") == "error"
    assert command_in("text ::error::x") is None


def test_markup_in_names_is_shown_and_not_obeyed() -> None:
    assert "[red]x[/red]" in render_plain(gates.hostile_gate("[red]x[/red]"))


def test_colour_only_on_a_terminal_that_wants_it_and_the_same_words_without() -> None:
    def drawn(**settings: object) -> str:
        file = io.StringIO()
        console = Console(file=file, width=100, color_system="standard", force_terminal=True, **settings)  # type: ignore[arg-type]
        render_gate_table(gates.failed(), console)
        return file.getvalue()

    coloured, plain = drawn(_environ={}), drawn(_environ={"NO_COLOR": "1"})
    assert re.findall(r"\x1b\[[\d;]*3\d[\d;]*m", coloured)
    assert not re.findall(r"\x1b\[[\d;]*3\d[\d;]*m", plain)
    words = [re.sub(r"\x1b\[[\d;]*m", "", text) for text in (coloured, plain)]
    assert words[0] == words[1]


def test_a_log_has_no_colour_whatever_the_environment_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    text = render_plain(gates.failed())
    assert "\x1b" not in text
    assert max(map(cell_len, text.splitlines())) > 100


def test_an_exactly_equal_score_has_no_sign() -> None:
    assert "  0.00 (0.00 to 0.00)" in render_plain(gate_of([quality("mean", "pass", 0.0, half=0.0)]))
