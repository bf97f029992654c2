"""History: every gate, promotion and alarm of the chosen time, and a gate with all that it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boards
import drift_reports
import gates
import pytest
from pages import opened, read, table
from streamlit.testing.v1 import AppTest

from benchkit.report import gate_words
from benchkit.store.board import Board
from benchkit.types.board import ChampionRow, GateRow
from benchkit.types.gate import GateReport
from dashboards.gate_rows import champion_row, gate_row, item_rows, rule_rows, slice_rows

CHAMPIONS = (
    ChampionRow("support-search", 1, "minilm", "2026-10-31T09:00:00+00:00", "ada", "first", False, True),
    ChampionRow("support-search", 2, "bge", "2026-11-05T09:00:00+00:00", "bob", "it is urgent", True, True, "fail"),
)


@pytest.fixture
def mlruns(mlruns: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Board, "champions", _of(CHAMPIONS))
    return mlruns


def _of(rows: tuple[ChampionRow, ...]) -> Callable[..., tuple[ChampionRow, ...]]:
    return lambda self, suite=None: tuple(row for row in rows if suite in (None, row.suite))


def keep(mlruns: Path, *reports: GateReport) -> None:
    """Keep gates, one a day from 1 November 2026 on."""
    for day, report in enumerate(reports, start=1):
        made = replace(report, started=f"2026-11-{day:02}T10:00:00+00:00", gate_id=f"{day:016x}")
        boards.keep_gate(mlruns, made, f"g{day}")


def watch(mlruns: Path, *severities: str) -> None:
    boards.keep_baseline(mlruns, replace(drift_reports.BASELINE, created="2026-10-01T00:00:00+00:00"))
    boards.keep_checks(mlruns, boards.windows(*severities))


def shown(**query: str) -> AppTest:
    return opened("history", **query)


def sentences(app: AppTest) -> list[str]:
    found = [*app.error, *app.warning, *app.success, *app.info, *app.markdown, *app.caption]
    return [read(part.value) for part in found]


def folded_rules(app: AppTest) -> list[Any]:
    return [part for part in app.expander if part.label.startswith("All ")]


# ---------------------------------------------------------------- lists


def test_everything_is_counted_and_listed_newest_first(mlruns: Path) -> None:
    keep(mlruns, gates.passed(), gates.failed(), gates.inconclusive())
    watch(mlruns, "ok", "warn", "critical")
    page = shown()
    assert "3 gates, 2 of them blocked; 2 champions; 2 drift alarms." in sentences(page)
    assert [tab.label for tab in page.tabs] == ["Gates (3)", "Champions (2)", "Drift alarms (2)"]
    listed = table(page, "candidate", "failed_rules")
    assert list(listed["verdict_words"]) == ["◆ inconclusive", "▼ failed", "● passed"]
    assert list(listed["points"]) == ["-0.30", "-0.30", "+0.21"]
    assert listed["interval"][2] == "-0.19 to +0.61"
    assert listed["failed_rules"][1].startswith("quality/task:FAQRetrieval")
    promoted = table(page, "promoted_by")
    assert list(promoted["promoted_by"]) == ["bob", "ada"]
    assert list(promoted["how"]) == ["forced", ""]
    assert list(table(page, "window", "baseline")["verdict"]) == ["◆ CRITICAL", "▲ WARN"]


def test_the_list_in_front_is_that_of_the_address(mlruns: Path) -> None:
    keep(mlruns, gates.passed())
    for asked, title in (("alarms", "Drift alarms (0)"), ("champions", "Champions (2)"), ("gone", "Gates (1)")):
        assert shown(decided=asked).session_state["history-lists"] == title


def test_lanes_and_margins_say_what_they_show(mlruns: Path) -> None:
    keep(mlruns, gates.passed(), gates.failed())
    watch(mlruns, "warn")
    said = [found.proto.alt for found in shown().get("vega_lite_chart")]
    assert any(alt.startswith("2 gates, 2 champions, 1 drift alarm.") for alt in said)
    assert any(alt.startswith("2 gates: 1 passed, 1 failed.") for alt in said)


def test_the_time_of_the_bar_counts_for_all_three(mlruns: Path) -> None:
    keep(mlruns, gates.passed(), gates.failed(), gates.inconclusive())
    watch(mlruns, "warn", "warn", "warn")
    page = shown(span="dates", since="2026-11-02", until="2026-11-02")
    assert "1 gate, 1 of them blocked; 0 champions; 1 drift alarm." in sentences(page)
    page = shown(span="dates", since="2026-10-31", until="2026-10-31")
    assert "0 gates, 0 of them blocked; 1 champion; 0 drift alarms." in sentences(page)
    assert "No gate was run for this choice." in sentences(page)
    assert "The drift monitor raised no alarm in this time." in sentences(page)


def test_promotions_are_of_the_chosen_models(mlruns: Path) -> None:
    keep(mlruns, gates.passed())
    page = shown(models="minilm")
    assert list(table(page, "promoted_by")["model"]) == ["minilm"]


def test_without_anything_it_says_how_to_begin(mlruns: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Board, "champions", _of(()))
    boards.keep(mlruns, boards.support())
    page = shown()
    assert "Nothing was decided and nothing happened in this time." in sentences(page)
    assert [part.value.split(" ")[:2] for part in page.code] == [["benchkit", "gate"], ["benchkit", "baseline"]]


# ---------------------------------------------------------------- a gate


def test_the_newest_gate_is_open_with_every_part_of_it(mlruns: Path) -> None:
    keep(mlruns, gates.passed(), gates.failed())
    page, report = shown(), gates.failed()
    text = "\n".join(sentences(page))
    for said in (gate_words.headline(report), gate_words.next_step(report), report.power):
        assert read(said) in text
    for rule in gate_words.of_standing(report, "blocks", "warns"):
        assert rule.sentence in text
    assert "right: Grace Hopper wrote A-0 (0.83)" in text
    assert "Text: 什么是嵌入模型" in text
    assert report.command in [part.value for part in page.code]
    slices = table(page, "slice", "points")
    assert list(slices["points"]) == ["-11.00", "-1.92"]
    assert list(slices["interval"]) == ["-15.00 to -7.00", ""], "no interval is no interval"


def test_what_did_not_pass_stands_open_and_the_table_of_all_rules_is_folded(mlruns: Path) -> None:
    keep(mlruns, gates.many(3, 0), gates.failed())
    page = shown()
    assert "**Rules that did not pass**" in [part.value for part in page.markdown]
    (rules,) = folded_rules(page)
    assert read(rules.label) == "All 8 rules: ▼ FAIL 2, ◆ INCONCLUSIVE 1, ▼ FAIL (warning) 1, ● PASS 4"
    assert not rules.proto.expanded
    (listed,) = rules.dataframe
    assert list(listed.value["rule"]) == [rule.id for rule in gate_words.ranked(gates.failed())], "worst first"
    told = [line for line in sentences(page) if line.startswith("- ")]
    assert told[0].split("\n")[0].startswith("- FAIL quality/task:FAQRetrieval: ")

    passed = shown(gate="g1")
    assert "**Rules that did not pass**" not in [part.value for part in passed.markdown]
    assert [read(part.label) for part in folded_rules(passed)] == ["All 3 rules: ● PASS 3"]


def test_the_items_that_lost_most_are_a_few_lines_each_and_the_others_are_in_the_file(mlruns: Path) -> None:
    report = gates.failed()
    lost = tuple(replace(gates.EXPLANATION.items[0], item=f"q{number}") for number in range(7))
    keep(mlruns, replace(report, explanations=(replace(gates.EXPLANATION, items=lost),)))
    page = shown()
    titles = [line for line in sentences(page) if line.startswith("**q")]
    assert len(titles) == 3
    assert "and 4 more items: see the CSV" in sentences(page)
    expected = (
        "- Text: who wrote the first compiler\n- Expected: Grace Hopper wrote A-0\n"
        "- Baseline found: right: Grace Hopper wrote A-0 (0.83); wrong: A history of wine (0.31)\n"
        "- Candidate found: wrong: A history of wine (0.52)"
    )
    assert sentences(page).count(expected) == 3


def test_the_command_of_a_gate_names_the_champion_that_it_was_held_against(mlruns: Path) -> None:
    command = "benchkit gate minilm-v2 --baseline champion --suite support"
    keep(mlruns, replace(gates.passed(), command=command, baseline_source="champion, version 3"))
    page = shown()
    assert "benchkit gate minilm-v2 --baseline champion@3 --suite support" in [part.value for part in page.code]
    note = "champion@3 is what this gate was held against; champion alone is the champion of the day."
    assert note in [read(part.value) for part in page.caption]


def test_where_two_models_of_one_name_come_from_is_said_once(mlruns: Path) -> None:
    report = gates.passed()
    keep(mlruns, replace(report, baseline=replace(report.baseline, name=report.candidate.name)))
    about = next(said for said in sentences(shown()) if " against " in said and "the rules are those of" in said)
    assert about.count(f"({report.candidate_source})") == 1
    assert about.count(f"({report.baseline_source})") == 1


def test_the_gate_that_is_asked_for_is_opened_and_one_that_is_not_there_is_said(mlruns: Path) -> None:
    keep(mlruns, gates.passed(), gates.failed())
    text = sentences(shown(gate="g1"))
    assert gate_words.headline(gates.passed()) in text
    assert any(said.startswith("the suite has 500 items") for said in text), "its warning"
    text = sentences(shown(gate="../../etc/passwd"))
    assert "Not found here: gate '../../etc/passwd' (shown instead: the newest, of minilm-v2 against minilm)." in text
    assert gate_words.headline(gates.failed()) in text


def test_a_gate_that_is_damaged_is_a_sentence_and_the_lists_stay(mlruns: Path) -> None:
    keep(mlruns, gates.passed())
    path = mlruns / "gates" / "g1" / "gate.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"seconds": 12.5', '"seconds": "long"'), encoding="utf-8")
    page = shown()
    assert any("seconds" in read(part.value) for part in page.error)
    assert len(table(page, "promoted_by")) == 2


@pytest.mark.parametrize("text", [" ".join(gates.HOSTILE).replace("\ud800", ""), "x" * 10**6], ids=["hostile", "1 MB"])
def test_hostile_texts_are_texts(mlruns: Path, text: str) -> None:
    keep(mlruns, gates.hostile_gate(text))
    page = shown()
    for part in (*page.markdown, *page.error, *page.caption, *page.info, *page.warning):
        assert "<script>" not in part.value.replace("\\<", ""), part.value
        assert "](" not in part.value
        assert len(part.value) < 40_000
    for tab in page.expander:
        assert "](" not in tab.label


# ---------------------------------------------------------------- rows


def test_a_gate_without_a_mean_has_no_numbers() -> None:
    row = GateRow("k", "s", "2026-11-20T10:00:00+00:00", "error", True, "a", "b", None, None, None, None)
    made = gate_row(row)
    assert (made["points"], made["interval"], made["allowed"], made["change"]) == ("", "", "", None)
    assert made["verdict_words"] == "■ error"


def test_a_failed_gate_that_blocked_nothing_says_so() -> None:
    row = GateRow("k", "s", "2026-11-20T10:00:00+00:00", "fail", False, "a", "b", -0.1, -0.2, -0.05, 0.005)
    made = gate_row(row)
    assert made["verdict_words"] == "▼ failed (not blocked)"
    assert (made["points"], made["interval"], made["allowed"]) == ("-10.00", "-20.00 to -5.00", "≥ -0.50")
    assert gate_row(replace(row, verdict="pass"))["verdict_words"] == "● passed"


def test_a_promotion_says_how_it_came() -> None:
    forced, first = champion_row(CHAMPIONS[1]), champion_row(replace(CHAMPIONS[0], is_present=False))
    assert (forced["how"], forced["reason"]) == ("forced", "it is urgent")
    assert (first["how"], first["champion"]) == ("", "no longer")
    assert champion_row(replace(CHAMPIONS[0], gate_verdict="pass"))["how"] == "gate: pass"


def test_rules_stand_worst_first_with_the_numbers_behind_the_words() -> None:
    report = gates.failed()
    rows = rule_rows(report)
    assert [row["verdict_words"] for row in rows[:3]] == ["▼ FAIL", "▼ FAIL", "◆ INCONCLUSIVE"]
    assert rows[0]["change_words"] == "-4.10 (-5.10 to -3.10)"
    assert (rows[0]["allowed"], rows[0]["change"], rows[0]["threshold"]) == ("≥ -2.00", -0.041, -0.02)
    assert len(rows) == len(report.rules)


def test_lost_items_keep_the_answers_of_both_sides() -> None:
    rows = item_rows(gates.failed().explanations)
    assert [(row["task"], row["item"]) for row in rows] == [("FAQRetrieval", name) for name in ("q7", "q9", "q11")]
    assert rows[0]["found_before"].startswith("right: Grace Hopper wrote A-0 (0.83)")
    assert rows[0]["found_after"] == "wrong: A history of wine (0.52)"
    assert (rows[2]["before"], rows[2]["after"]) == (None, None)
    assert [row["change"] for row in slice_rows(gates.EXPLANATION)] == [-0.11, -0.0192]
