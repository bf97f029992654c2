"""The Markdown page: what it holds, and that nothing of the data becomes Markdown or HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from comparisons import (
    HOSTILE_NAMES,
    HOSTILE_TASK,
    HOSTILE_TEXT,
    SESSION_WORDS,
    costed,
    grid,
    hostile,
    hostile_costs,
    small,
    three,
)
from markdown_it import MarkdownIt

from benchkit.report import words
from benchkit.report.markdown import escape, render_markdown
from benchkit.types.comparison import Comparison, Environment
from benchkit.types.cost import Budget


def as_html(text: str) -> str:
    """Return what a reader of GitHub Flavored Markdown makes of it."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


def test_the_page_looks_as_it_did(check_golden: Callable[[str, str], None]) -> None:
    check_golden("tests/golden/report/small.md", render_markdown(small()))


def test_the_page_with_costs_looks_as_it_did(check_golden: Callable[[str, str], None]) -> None:
    comparison = costed(small(), budget=Budget(max_p95_ms=20.0))
    check_golden("tests/golden/report/costs.md", render_markdown(comparison))


@pytest.mark.parametrize(("comparison", "more"), [(hostile(), set()), (hostile_costs(), {"h3"})], ids=["", "costs"])
def test_hostile_data_makes_no_element_of_its_own(comparison: Comparison, more: set[str]) -> None:
    page = as_html(render_markdown(comparison))
    tags = set(re.findall(r"<\s*/?\s*([a-zA-Z!?]\w*)", page))
    assert tags == more | {
        "h1", "h2", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "pre", "code",
    }  # fmt: skip


def test_every_table_has_as_many_fields_in_each_row_as_headings() -> None:
    for comparison in (small(), hostile(), grid(5, 9), costed(grid(5, 9)), hostile_costs()):
        for block in re.findall(r"(?:^\|.*\n)+", render_markdown(comparison), flags=re.MULTILINE):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(widths) == 1, block


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE_NAMES, HOSTILE_TASK, HOSTILE_TEXT, "# a", "1. a", "2) a", "- a", "+ a", "* a", "> a", "a_b_c", "__a__",
        "~~a~~", "`a", "a\\|b", "a\\", "&lt;", "<!-- x -->", "[a]: b", "![a](b)", "---", "***", "3.11.7", "-0.5", "===",
    ],
)  # fmt: skip
def test_a_reader_sees_the_text_as_it_is(text: str) -> None:
    seen = as_html(f"- {escape(text)}\n\n| a | b |\n| --- | --- |\n| x | {escape(text)} |\n")
    shown = re.fullmatch(r"<ul>\n<li>(.*)</li>\n</ul>\n.*<td>x</td>\n<td>(.*)</td>.*", seen, flags=re.DOTALL)
    assert shown is not None, seen
    assert {html.unescape(found).replace("\u200b", "") for found in shown.groups()} == {words.plain(text)}


def test_nobody_is_called_by_name() -> None:
    assert escape("ask @everyone") == "ask @&#8203;everyone"
    assert escape("@you") == "@&#8203;you"
    assert escape("minilm@dim=64") == "minilm@dim=64"


def test_scores_intervals_and_counts_are_there_for_each_task() -> None:
    page = render_markdown(small())
    assert "| Banking77 | Classification | accuracy | 500 | 80.0 (78.0–82.0) | 57.2 (54.1–60.3) | failed |" in page
    assert "| 中文聚类 | Clustering | accuracy | 40 | 21.0 | 11.0 | – |" in page
    assert "| tfidf | minilm | worse | -16.9 | -18.8 to -15.0 | 0.012 |" in page
    assert "| tfidf | 小模型 | not compared | – | – | – |" in page
    assert "| XQuADRetrieval | -7.9 (-9.8 to -6.0) worse | -1.0 (-2.9 to +0.9) inconclusive |" in page


def test_it_ends_with_the_command_and_its_fence_holds_any_backticks() -> None:
    assert render_markdown(small()).endswith("```sh\n" + small().environment.values["command"] + "\n```\n")
    ticks = replace(small(), environment=Environment({"command": "a ```` b"}))
    assert render_markdown(ticks).endswith("`````sh\na ```` b\n`````\n")
    without = render_markdown(replace(small(), environment=Environment({})))
    assert without.endswith("## How to reproduce\n\nSuite choose with digest 5f1d, started 2026-01-02T03:04:05Z.\n")


def test_every_figure_and_ratio_is_there_with_its_interval_and_its_verdict() -> None:
    page = render_markdown(costed(three(), budget=Budget(max_p95_ms=20.0)))
    assert "| latency/query/p95\\_ms | ms | 8.30 (7.80–8.80) | 16.6 (15.6–17.6) | 24.9 (23.4–26.4) |" in page
    assert "| memory/peak\\_mib | MiB | 617 | 1234 | 1851 |" in page
    assert "| minilm | mpnet | cheaper | wall time | 0.500x | 0.485–0.515 | 96 |" in page
    assert "| **minilm** (recommended) \\* | 61.2 | 58.9–63.5 | 1–2 | keeps it |" in page
    assert "Budget: p95 latency up to 20 ms." in page
    assert "tfidf breaks the budget: its p95 latency of" in page
    assert f"- {SESSION_WORDS}" in page


def test_without_costs_there_is_no_word_of_them() -> None:
    page = render_markdown(three())
    assert not [word for word in ("Cost", "Pareto", "udget", "p95") if word in page]
    assert "### Latency" not in render_markdown(costed(three(), ratios=()))


def test_the_engine_of_each_model_is_told() -> None:
    models = (replace(three().models[0], engine="packed-bf16"), *three().models[1:])
    page = render_markdown(replace(three(), models=models))
    assert "| float32 | packed-bf16 |  |" in page
    assert "| float32 | – |  |" in page


def test_a_section_with_nothing_in_it_is_left_out() -> None:
    page = render_markdown(replace(grid(1, 1), pairs=()))
    assert "## Differences" not in page
    assert "by task" not in page
    assert "did worst" not in page
    assert "## Warnings" not in render_markdown(three())
    assert "by task" not in render_markdown(replace(grid(1, 3), pairs=()))
