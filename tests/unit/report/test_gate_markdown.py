"""The Markdown of a gate: its marker, its limit, what is cut first, and that nothing of the data becomes Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace

import gates
import pytest
from comparisons import HOSTILE_TASK, HOSTILE_TEXT
from markdown_it import MarkdownIt

from benchkit.report import words
from benchkit.report.gate_markdown import COMMENT_LIMIT, marker, render_gate_markdown
from benchkit.types.comparison import SuiteInfo
from benchkit.types.gate import GateReport

REPORTS = {
    "passed": gates.passed(),
    "failed": gates.failed(),
    "inconclusive": gates.inconclusive(),
    "errored": gates.errored(),
}


def as_html(text: str) -> str:
    """Return what a reader of GitHub Flavored Markdown makes of it."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


def size(text: str) -> int:
    return max(len(text), len(text.encode("utf-8")))


@pytest.mark.parametrize("name", REPORTS)
def test_the_page_looks_as_it_did(name: str, check_golden: Callable[[str, str], None]) -> None:
    check_golden(f"tests/golden/gate/{name}.md", render_gate_markdown(REPORTS[name]))


@pytest.mark.parametrize("name", REPORTS)
def test_the_page_begins_with_the_marker_and_the_answer(name: str) -> None:
    lines = render_gate_markdown(REPORTS[name]).splitlines()
    assert lines[0] == "<!-- benchkit-gate:support-search -->"
    assert re.match(r"## (✅ PASS|❌ FAIL|❔ INCONCLUSIVE|❌ ERROR): minilm-v2|## ❔ INCONCLUSIVE: the data", lines[2])


@pytest.mark.parametrize("name", ["a --> b", "x" * 500, "中文", "日本", "", "--", "a\nb", "<!--", HOSTILE_TEXT, "a--b"])
def test_a_marker_is_one_comment_on_one_line_and_of_one_suite(name: str) -> None:
    found = marker(name)
    assert re.fullmatch(r"<!-- benchkit-gate:[A-Za-z0-9._]+(-[A-Za-z0-9._]+)* -->", found)
    assert len(found) < 130
    assert len({marker(other) for other in (name, f"{name}!", "support-search", "a-b")}) == 4


def test_a_plain_suite_has_its_name_in_the_marker() -> None:
    assert marker("support-search_v1.2") == "<!-- benchkit-gate:support-search_v1.2 -->"


@pytest.mark.parametrize(
    "text", [*gates.HOSTILE, " ".join(gates.HOSTILE), HOSTILE_TASK, "`<img src=x>", "\\`<b>", "~~~", "```"]
)
def test_hostile_data_makes_no_element_of_its_own(text: str) -> None:
    page = as_html(render_gate_markdown(gates.hostile_gate(text)))
    tags = set(re.findall(r"<\s*/?\s*([a-zA-Z!?]\w*)", page.replace("<!-- benchkit-gate:", "", 1)))
    ours = {
        "h2", "p", "strong", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "ol", "li",
        "details", "summary",
    }  # fmt: skip
    assert tags - {"span"} <= ours
    assert set(re.findall(r"<span>(.*?)</span>", page)) <= {"$"}
    assert "<a" not in page
    assert page.count("<details>") == page.count("</details>") == 4
    assert page.count("<summary>") == page.count("</summary>") == 4


@pytest.mark.parametrize(
    "text",
    ["@everyone", "(@org/team)", "https://example.invalid/x", "www.example.invalid", "a@example.invalid", "#1", "GH-12",
     "x #23", "ftp://x.invalid"],
)  # fmt: skip
def test_nothing_of_the_data_becomes_a_link_or_a_message_on_github(text: str) -> None:
    page = html.unescape(as_html(render_gate_markdown(gates.hostile_gate(text)).partition("\n")[2]))
    live = r"(?i)(?<!\w)@\w|://|www\.\w|\w@[\w-]+\.\w|(?<!&)#\d|gh-\d"
    assert re.findall(live, text)
    assert re.findall(live, page) == []
    assert words.plain(text) in page.replace("\u200b", "")


def test_dollars_are_no_formula() -> None:
    assert "costs <span>$</span>5 or <span>$</span>10" in render_gate_markdown(gates.hostile_gate("costs $5 or $10"))


def test_a_name_in_a_summary_is_shown_as_it_is() -> None:
    # Markdown's backslashes would be shown in a line of HTML.
    found = replace(gates.EXPLANATION, task="my_task|<b>&")
    page = as_html(render_gate_markdown(replace(gates.failed(), explanations=(found,))))
    assert "<summary>Why: my_task|&lt;b&gt;&amp; (quality/task:FAQRetrieval): -4.10" in page


@pytest.mark.parametrize("report", [*REPORTS.values(), gates.hostile_gate(), gates.many(40, 20, text="|`")])
def test_every_table_has_as_many_fields_in_each_row_as_headings(report: GateReport) -> None:
    page = render_gate_markdown(report)
    blocks = re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE)
    assert blocks
    for block in blocks:
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()} == {7}, block


def test_passes_are_folded_and_failures_are_not() -> None:
    before, _, folded = render_gate_markdown(gates.failed()).partition("<details>")
    assert "**FAIL** | quality/task" not in before
    assert "| quality/task:FAQRetrieval |" in before
    assert "<summary>4 rules passed</summary>" in folded
    assert "| limits/dimension |" in folded
    assert "| limits/dimension |" not in before


@pytest.mark.parametrize("text", ["", "中|" * 50_000, "&<@x $" * 20_000, "\ud800" * 100_000])
@pytest.mark.parametrize("n_failed", [0, 7, 2000])
def test_the_page_of_2000_rules_with_long_texts_keeps_its_limit(n_failed: int, text: str) -> None:
    page = render_gate_markdown(gates.many(2000, n_failed, text=text, n_explained=min(n_failed, 6)))
    assert size(page) <= COMMENT_LIMIT
    assert page.startswith("<!-- benchkit-gate:support-search -->\n\n## ")
    assert "The whole is in the log and in the file of `--json`.*" in page
    as_html(page)


@pytest.mark.parametrize("limit", [8_000, 12_000, 20_000, 65_536, 200_000])
def test_any_limit_is_kept_and_what_is_cut_is_told(limit: int) -> None:
    report = replace(gates.hostile_gate(), warnings=(" ".join(gates.HOSTILE),) * 50)
    page = render_gate_markdown(report, limit=limit)
    assert size(page) <= limit
    assert ("Left out" in page) == (limit < 65_536)


@pytest.mark.parametrize("sign", ["$", "@", "|", "中", "&", "🙂", "#1"])
def test_no_text_that_grows_when_it_is_escaped_breaks_the_limit(sign: str) -> None:
    page = render_gate_markdown(gates.hostile_gate(sign * 100_000))
    assert size(page) <= COMMENT_LIMIT
    assert "❌ FAIL" in page


def test_explanations_go_before_passes_and_passes_before_what_blocks() -> None:
    report = gates.many(60, 5, text=" " + "word " * 18, n_explained=5)
    whole = render_gate_markdown(report)
    assert "Left out" not in whole
    cut_of = {limit: render_gate_markdown(report, limit=limit) for limit in range(7_000, len(whole), 1_000)}
    for page in cut_of.values():
        failing = len(re.findall(r"\*\*FAIL\*\* \|", page))
        passing, explained = len(re.findall(r"\*\*PASS\*\* \|", page)), page.count("<summary>Why")
        assert failing == 5
        assert explained == 0 or passing == 55
    told = {re.sub(r"\d+ of", "n of", line) for page in cut_of.values() for line in re.findall("Left out.*?\\. ", page)}
    assert told == {
        "Left out, since the page would be too long: n of 55 passes; n of 5 explanations. ",
        "Left out, since the page would be too long: n of 5 explanations. ",
    }


def test_the_numbers_of_what_was_left_out_are_right() -> None:
    page = render_gate_markdown(gates.many(2000, 1500, text="x" * 80))
    shown = len(re.findall(r"^\| quality.*\*\*FAIL\*\* \|$", page, flags=re.MULTILINE))
    assert 100 < shown < 1500
    assert f"{1500 - shown} of 1500 rules (of those that block)" in page
    assert "500 of 500 passes" in page


def test_a_suite_of_any_name_has_its_comment_found_again() -> None:
    named = replace(gates.passed(), suite=SuiteInfo("a --> <img>", "x"))
    assert render_gate_markdown(named).startswith(marker("a --> <img>") + "\n")
