"""The first page: its first line is the JSON's recommendation, its second one production; sliders choose anew, live."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import boards
import comparisons
import drift_reports
import gates
import pytest
import streamlit as st
from pages import opened, ran, read
from streamlit.testing.v1 import AppTest

from benchkit.report.board_words import choice
from benchkit.report.budget import within_budget
from benchkit.report.recommend import recommend
from benchkit.store.board import Board
from benchkit.types.board import ChampionRow
from benchkit.types.comparison import Recommendation
from benchkit.types.cost import Budget
from dashboards.compared import SHORT_COLUMNS
from dashboards.views.verdict import with_costs

BASELINE = replace(drift_reports.BASELINE, created="2026-10-01T00:00:00+00:00")

INTERRUPTED = replace(
    boards.support(),
    started="2026-11-22T08:30:00+00:00",
    interrupted=True,
    recommendation=Recommendation(None, "the comparison was interrupted before every model was run on every task"),
)


def shown(**query: str | list[str]) -> AppTest:
    return opened(**query)  # type: ignore[arg-type]


def headline(app: AppTest) -> str:
    return read(app.header[0].value)


def cards(app: AppTest) -> list[str]:
    return [read(part.value) for part in app.markdown if part.value.startswith(("✔", "ℹ", "⚠", "✖"))]


# ---------------------------------------------------------------- the first screen


def test_the_first_line_is_the_jsons_recommendation(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    (path,) = mlruns.glob("results/*/result.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    page = shown()
    assert headline(page).startswith(f"Use {document['recommendation']['model']}: +3.0 points")
    assert headline(page) == choice(boards.support()).sentence
    assert f"Why: {document['recommendation']['reason']}." in [read(part.value) for part in page.markdown]


def test_three_cards_have_a_sign_a_word_and_a_way_on(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    boards.keep_gate(mlruns, gates.failed())
    boards.keep_baseline(mlruns, BASELINE)
    boards.keep_checks(mlruns, boards.windows("ok", "ok", "warn"))
    page = shown(span="365d")
    assert cards(page) == [
        "ℹ️ **Choice: bge (a tie)**",
        "✖️ **Gate: failed**",
        "⚠️ **Production: drifted (warn)**",
    ]
    assert read(page.warning[0].value).startswith(
        "Production has drifted since 3 November 2026: the data have changed (warn); whether retrieval is harmed"
    )
    links = [part.proto for part in page.get("page_link")]
    assert [link.page for link in links] == ["compare", "history", "drift"]
    asked = [link.query_string for link in links]
    assert asked == ["span=365d", "span=365d", "baseline=support&window=3&span=365d"], "and the window that is told"
    assert any("FAILED against" in read(caption.value) for caption in page.caption)


def test_with_a_comparison_alone_nothing_is_said_to_be_fine(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    page = shown()
    assert [read(box.value) for box in page.info] == ["Production is not watched yet: there is no baseline yet."]
    assert cards(page)[1:] == ["ℹ️ **Gate: none yet**", "ℹ️ **Production: not watched**"]


def test_production_is_told_where_nothing_was_compared(mlruns: Path) -> None:
    boards.keep_baseline(mlruns, BASELINE)
    boards.keep_checks(mlruns, boards.windows("ok", "critical"))
    page = shown()
    assert headline(page) == "There is no comparison to choose by."
    assert read(page.error[0].value).startswith("Production has drifted since 2 November 2026")
    assert "benchkit compare" in page.code[0].value


def test_a_damaged_comparison_hides_nothing_else(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    boards.keep_baseline(mlruns, BASELINE)
    boards.keep_checks(mlruns, boards.windows("critical"))
    (path,) = mlruns.glob("results/*/result.json")
    path.write_text(path.read_text(encoding="utf-8").replace('"n_resamples": ', '"n_resamples": "many", "x": '))
    said = [read(box.value) for box in shown().error]
    assert any("n_resamples" in sentence for sentence in said)
    assert any(sentence.startswith("Production has drifted") for sentence in said)


def test_a_damaged_newest_comparison_is_told_and_the_one_before_it_is_shown(mlruns: Path) -> None:
    boards.keep(mlruns, replace(boards.support(baseline=None), started="2026-11-20T12:00:00+00:00"), "older")
    boards.keep(mlruns, boards.support(), "newer")
    path = mlruns / "results" / "newer" / "result.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"n_resamples": ', '"n_resamples": "many", "x": '))
    page = shown()
    assert "not told apart from mpnet" in headline(page)
    (said,) = [read(box.value) for box in page.error]
    assert "n_resamples" in said
    assert said.endswith("; shown instead: the comparison of 2026-11-20 12:00 UTC")
    assert not any("not the newest" in read(box.value) for box in page.info), "nobody asked for an older one"


def test_comparisons_that_are_all_damaged_are_not_said_to_be_none(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    (path,) = mlruns.glob("results/*/result.json")
    path.write_text(path.read_text(encoding="utf-8").replace('"n_resamples": ', '"n_resamples": "many", "x": '))
    page = shown()
    assert headline(page) == "The comparisons of this choice can't be read."
    assert not any("No comparison is of this choice" in read(box.value) for box in page.info)


def test_what_is_of_another_choice_is_not_said_to_be_none_at_all(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    boards.keep_gate(mlruns, gates.failed())
    page = shown(suite="another")
    assert headline(page) == "There is no comparison of this choice to choose by."
    assert cards(page)[:2] == ["ℹ️ **Choice: none of this choice**", "ℹ️ **Gate: none of this choice**"]


def test_what_is_not_there_may_be_what_cannot_be_read(mlruns: Path) -> None:
    boards.keep_baseline(mlruns, BASELINE)
    (mlruns / "drift" / "state.db").write_bytes(b"damaged" * 999)
    page = shown()
    caveat = " A part of the store can't be read: see the end of the page."
    assert headline(page) == f"There is no comparison to choose by.{caveat}"
    hint = "a baseline is there, and no window was held against it."
    assert f"Production is not watched yet: {hint}{caveat}" in [read(box.value) for box in page.info]
    said = [read(caption.value) for caption in page.caption]
    assert f"No gate was run yet.{caveat}" in said
    assert f"No model was promoted to champion.{caveat}" in said


def test_since_when_production_has_drifted_is_not_cut_by_the_time_that_is_shown(mlruns: Path) -> None:
    boards.keep_baseline(mlruns, BASELINE)
    boards.keep_checks(mlruns, boards.windows("ok", "warn", "warn", "warn", "ok"))
    page = shown(span="dates", since="2026-11-04", until="2026-11-04")
    assert read(page.warning[0].value).startswith("Production has drifted since 2 November 2026")
    later = shown(span="dates", since="2026-11-20")
    said = [read(box.value) for box in later.warning]
    assert any(sentence.startswith("Production was fine when it was last looked at") for sentence in said)
    (asked,) = [part.proto.query_string for part in later.get("page_link") if part.proto.page == "drift"]
    assert asked == "baseline=support&window=5", "a window from before that time can be opened"


def test_the_champion_is_the_one_that_gates_compare_with(mlruns: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boards.keep(mlruns, boards.support())
    first, second = (
        ChampionRow("help-centre", version, name, f"2026-11-0{version}T10:00:00+00:00", "me", "", False, False)
        for version, name in ((1, "minilm"), (2, "bge"))
    )
    rows = [replace(first, is_present=True), second]  # somebody has set the alias back
    monkeypatch.setattr(Board, "champions", lambda self, suite=None: tuple(rows))
    said = [read(caption.value) for caption in shown().caption]
    assert "Champion of help-centre: minilm, promoted 2026-11-01 10:00 UTC." in said
    rows[0] = first
    st.cache_resource.clear()
    said = [read(caption.value) for caption in shown().caption]
    assert "help-centre has no champion any more; the last one was bge, promoted 2026-11-02 10:00 UTC." in said


def test_a_baseline_that_cannot_be_read_hides_no_alarm(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    boards.keep_baseline(mlruns, BASELINE)
    boards.keep_checks(mlruns, boards.windows("ok", "warn"))
    (path,) = (mlruns / "drift" / "baselines").glob("*.safetensors")
    path.write_bytes(b"damaged")
    said = read(shown().warning[0].value)
    assert said.startswith("Production has drifted since 2 November 2026")
    assert said.endswith("Its baseline was deleted or can't be read.")


def test_the_newest_comparison_is_shown_unless_another_is_asked_for(mlruns: Path) -> None:
    older = replace(boards.support(baseline=None), started="2026-11-20T12:00:00+00:00")
    boards.keep(mlruns, older, "older")
    boards.keep(mlruns, boards.support(), "newer")
    assert "over minilm" in headline(shown())
    page = shown(comparison="older")
    assert "not told apart from mpnet" in headline(page)
    assert "This is not the newest comparison: that one is of 2026-11-21 12:00 UTC." in [
        read(box.value) for box in page.info
    ]
    gone = shown(comparison="../../etc/passwd")
    assert "over minilm" in headline(gone)
    assert ("Not found here: comparison '../../etc/passwd' (shown instead: the newest, of 2026-11-21 12:00 UTC).") in [
        read(box.value) for box in gone.info
    ]


def test_an_interrupted_comparison_does_not_take_the_first_line_from_the_finished_one(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support(), "whole")
    boards.keep(mlruns, INTERRUPTED, "cut")
    page = shown()
    assert headline(page) == choice(boards.support()).sentence
    note = "A newer comparison, of 2026-11-22 08:30 UTC, was interrupted before it was finished."
    assert note in [read(box.value) for box in page.info]
    (link,) = [part.proto for part in page.get("page_link") if "interrupted" in part.proto.label]
    assert (link.page, link.query_string) == ("compare", "comparison=cut")

    asked = shown(comparison="cut")
    assert headline(asked).startswith("No recommendation on help-centre: the comparison was interrupted")
    assert note not in [read(box.value) for box in asked.info]
    gone = [read(box.value) for box in shown(comparison="gone").info]
    instead = "(shown instead: the newest that was finished, of 2026-11-21 12:00 UTC)"
    assert f"Not found here: comparison 'gone' {instead}. {note}" in gone


def test_a_later_finished_comparison_makes_an_interrupted_one_no_news(mlruns: Path) -> None:
    boards.keep(mlruns, replace(INTERRUPTED, started="2026-11-20T08:30:00+00:00"), "cut")
    boards.keep(mlruns, boards.support(), "whole")
    page = shown()
    assert headline(page) == choice(boards.support()).sentence
    assert not any("interrupted" in read(box.value) for box in page.info)
    assert not any("interrupted" in part.proto.label for part in page.get("page_link"))


def test_where_none_was_finished_the_interrupted_one_is_shown(mlruns: Path) -> None:
    boards.keep(mlruns, INTERRUPTED, "cut")
    page = shown()
    assert headline(page).startswith("No recommendation on help-centre: the comparison was interrupted")
    assert not any("A newer comparison" in read(box.value) for box in page.info)


def test_a_damaged_finished_comparison_is_told_before_an_interrupted_one_is_shown(mlruns: Path) -> None:
    older = replace(boards.support(baseline=None), started="2026-11-20T12:00:00+00:00")
    boards.keep(mlruns, older, "older")
    boards.keep(mlruns, boards.support(), "whole")
    boards.keep(mlruns, INTERRUPTED, "cut")
    path = mlruns / "results" / "whole" / "result.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"n_resamples": ', '"n_resamples": "many", "x": '))
    page = shown()
    assert "not told apart from mpnet" in headline(page), "the finished one before it"
    assert any("shown instead: the comparison of 2026-11-20 12:00 UTC" in read(box.value) for box in page.error)


# ---------------------------------------------------------------- limits


def test_a_slider_chooses_anew_and_the_address_shows_the_same(mlruns: Path) -> None:
    made = boards.support()
    boards.keep(mlruns, made)
    page = shown()
    assert page.query_params == {}
    ran(page.select_slider(key="limit-p95_ms").set_value(23.0))
    assert headline(page).startswith("With p95 latency up to 23 ms, use mpnet: +2.5 points")
    assert page.query_params == {"p95_ms": "23"}
    assert "- bge breaks the budget: its p95 latency of 24.9 ms is over 23 ms." in [
        read(part.value) for part in page.markdown
    ]
    assert list(page.dataframe[-1].value["recommended"]) == ["", "✓", ""]
    assert headline(shown(p95_ms="23")) == headline(page), "a link shows the same"

    on_means = [pair for pair in made.pairs if pair.task == "*"]
    budget = Budget(max_p95_ms=23.0)
    again = recommend(made.models, made.summary, on_means, margin=made.margin, cost=made.cost, budget=budget)
    assert again.model == "mpnet"
    assert [name for name, broken in within_budget(made.models, made.cost, budget).items() if broken] == ["bge"]

    ran(page.multiselect(key="limit-licenses").set_value(["apache-2.0"]))
    assert headline(page).startswith("With p95 latency up to 23 ms, licence apache-2.0, use minilm: ")
    ran(page.button(key="limits-forget").click())
    assert page.query_params == {}
    assert headline(page) == choice(made).sentence


def test_limits_that_no_model_keeps_give_no_model(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    page = shown(p95_ms="1")
    assert headline(page) == (
        "No recommendation on help-centre: no model keeps the budget; minilm comes nearest, but its p95 latency of "
        "8.30 ms is over 1 ms."
    )
    assert cards(page)[0] == "⚠️ **Choice: no recommendation**"
    assert page.select_slider(key="limit-p95_ms").value == 1.0


def test_a_comparison_that_was_made_with_limits_begins_with_them_and_they_can_be_lifted(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support(budget=Budget(max_p95_ms=20.0)))
    page = shown()
    assert headline(page).startswith("With p95 latency up to 20 ms, use mpnet: ")
    ran(page.select_slider(key="limit-p95_ms").set_value(float("inf")))
    assert headline(page) == choice(boards.support()).sentence
    ran(page.select_slider(key="limit-p95_ms").set_value(20.0))
    assert page.query_params == {}


def test_the_limit_is_in_the_chart(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    (chart,) = shown(p95_ms="20").get("vega_lite_chart")
    assert '"limit 20 ms"' in chart.proto.spec
    assert "The limit is 20 ms." in chart.proto.alt


def test_without_costs_the_page_says_how_to_measure_them(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support(has_cost=False))
    page = shown()
    assert "costs not measured" in headline(page)
    assert [slider.key for slider in page.select_slider] == ["limit-bytes_per_vector", "limit-dimension"]
    assert page.code[0].value == "benchkit compare --suite help --cost quick"
    assert len(page.get("vega_lite_chart")) == 1, "quality against size"


@pytest.mark.parametrize("off", ["--no-cost", "--cost off", "--cost=off"])
def test_a_command_that_left_costs_out_measures_them(off: str) -> None:
    assert with_costs(f"benchkit compare a b {off} --offline") == "benchkit compare a b --offline --cost quick"


# ---------------------------------------------------------------- rows


def test_the_table_has_every_model_best_first_and_its_numbers(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    frame = shown().dataframe[-1].value
    assert list(frame.columns) == [name for name in SHORT_COLUMNS if name != "limits"]
    assert list(frame["model"]) == ["bge", "mpnet", "minilm"]
    assert list(frame["p95_ms"]) == pytest.approx([24.9, 16.6, 8.3])
    means = [row.mean_score for row in boards.support().summary]
    assert list(frame["points"]) == pytest.approx([100 * (mean or 0) for mean in reversed(means)])


def test_hostile_names_are_texts(mlruns: Path) -> None:
    boards.keep(mlruns, comparisons.hostile_costs(), "hostile")
    page = shown(p95_ms="20")
    texts = [*page.header, *page.markdown, *page.caption, *page.info, *page.warning, *page.error]
    for text in texts:
        assert "<script>" not in text.value.replace("\\<script\\>", "")
        assert "](javascript" not in text.value
        assert "\u202e" not in text.value


def test_a_model_that_the_picture_cannot_show_is_named_with_why(mlruns: Path) -> None:
    comparison = boards.support()
    sparse = [replace(meta, bytes_per_vector=None) if meta.name == "bge" else meta for meta in comparison.models]
    boards.keep(mlruns, replace(comparison, models=tuple(sparse), cost=None))
    captions = [read(part.value) for part in shown().caption]
    assert any(said.startswith("Not in the picture: bge: ") and "no vectors of one size" in said for said in captions)


def test_limits_of_the_page_come_with_the_command_that_recommends_under_them(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    again = "benchkit compare --suite help --max-p95-ms 10"
    assert again in [part.value for part in shown(p95_ms="10").code]
    assert again not in [part.value for part in shown().code]
