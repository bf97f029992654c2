"""The page "Tasks": scores, ranks, items of two models side by side, and texts that stay texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import comparisons
import numpy as np
import pytest
import streamlit as st
from pages import opened
from streamlit.testing.v1 import AppTest

from benchkit.api import kept_answers
from benchkit.report.charts.tasks import task_map
from benchkit.report.json_form import render_json
from benchkit.store.answers import write_answers
from benchkit.store.items import write_items
from benchkit.store.tags import write_tags
from benchkit.types.answer import ItemAnswer, KeptItem
from benchkit.types.board import ComparisonRow
from benchkit.types.comparison import Comparison
from benchkit.types.gate import Neighbour
from benchkit.types.result import CellResult, ItemKind, ItemScores, WorstItem
from benchkit.types.tags import ItemTags, KeptTags
from dashboards import board, item_view, items, map_clicks, scores
from dashboards.choices import row_words
from dashboards.place import csv_of, unescaped
from dashboards.tag_view import slice_rows

NAMES = ("q7", "q8", "q9")
Keep = Callable[..., Path]


def part(
    kind: ItemKind = "mean", *, subset: str = "default", names: Sequence[str] = NAMES, **columns: object
) -> ItemScores:
    made = {name: np.array(values) for name, values in columns.items()}
    return ItemScores("test", subset, kind, "m", np.array(names), made)


@pytest.fixture
def keep(mlruns: Path) -> Keep:
    """Keep a comparison, and scores of items, as benchkit writes them."""

    def kept(comparison: Comparison, *cells: CellResult) -> Path:
        folder = mlruns / "results" / "one"
        folder.mkdir(parents=True)
        if cells:
            write_items(folder / "items.parquet", cells)
        (folder / "result.json").write_text(render_json(comparison), encoding="utf-8")
        return folder

    return kept


def page(**query: str) -> AppTest:
    return opened("tasks", **query)


def said(app: AppTest) -> str:
    shown = [*app.markdown, *app.caption, *app.text, *app.info, *app.warning, *app.error]
    return unescaped("\n".join(element.value for element in shown))


def frame(app: AppTest, *columns: str) -> list[dict[str, object]]:
    """Return the rows of the table that has these columns."""
    return next(table.value for table in app.dataframe if set(columns) <= set(table.value.columns)).to_dict("records")


def scored(model: str, values: Sequence[float]) -> CellResult:
    return CellResult(model, "XQuADRetrieval", "Retrieval", "ok", items=(part(value=values),))


# ---------------------------------------------------------------- items of two models


def test_items_that_do_not_count_for_one_of_the_two_are_left_out() -> None:
    one = part(value=[0.5, 0.0, 1.0], counted=[1, 0, 1])
    assert [row.item for row in items.beside([one], [part(value=[0.0, 0.0, 1.0], counted=[1, 1, 1])], {}, {})] == [
        "q7",
        "q9",
    ]


def test_items_that_differ_most_come_first_and_only_shared_ones_come() -> None:
    found = items.beside([part(value=[0.5, 0.0, 1.0])], [part(value=[0.4, 1.0, 1.0])], {}, {})
    assert [(row.item, row.first, row.second) for row in found] == [
        ("q8", 0.0, 1.0),
        ("q7", 0.5, 0.4),
        ("q9", 1.0, 1.0),
    ]
    assert found[0].difference == -1.0
    other_items = [part(names=("q7", "q8", "x"), value=[0.4, 1.0, 1.0])]
    assert items.beside([part(value=[0.5, 0.0, 1.0])], other_items, {}, {}) == []
    assert items.beside([part(value=[0.5, 0.0, 1.0])], [part(subset="en", value=[0.4, 1.0, 1.0])], {}, {}) == []


def test_a_text_is_shown_only_where_it_must_be_that_of_the_item() -> None:
    worst = (WorstItem("q7", 0.5, "text of q7", "e", "f"), WorstItem("q8", 0.9, "of another q8", "e", "f"))
    cell = replace(scored("m", [0.5, 0.0, 1.0]), worst=worst)
    one = part(value=[0.5, 0.0, 1.0])
    told = items.answers("m", cell, [one], None)
    assert list(told) == [("test/default", "q7")], "q8 has another score than the list says"
    assert items.answers("m", cell, [one, part(subset="en", value=[0.5, 0.0, 1.0])], None) == {}, "of two subsets"
    assert list(items.answers("m", cell, [], None)) == [("", "q7"), ("", "q8")], "nothing that speaks against it"
    assert items.answers("m", None, [one], None) == {}


def test_kept_answers_are_those_of_the_model_and_the_place_and_say_more_than_the_list() -> None:
    worst = (WorstItem("q7", 0.5, "text of q7", "e", "first only"),)
    cell = replace(scored("m", [0.5, 0.0, 1.0]), worst=worst)
    ranking = (Neighbour("a", 0.9, False), Neighbour("b", 0.8, True))
    kept = [
        KeptItem("t", "test/default", "q7", "whole text", "e", {"m": ranking, "other": ()}),
        KeptItem("t", "test/en", "q7", "of another subset", "e", {"m": ()}),
        KeptItem("t", "test/default", "q8", "not this model's", "e", {"other": ranking}),
    ]
    one, en = part(value=[0.5, 0.0, 1.0]), part(subset="en", value=[0.0, 0.0, 1.0])
    told = items.answers("m", cell, [one], kept)
    assert told["test/default", "q7"].found == ranking
    assert ("test/default", "q8") not in told
    rows = items.beside([one, en], [one, en], items.answers("m", cell, [one, en], kept), {})
    texts = {(row.subset, row.item): row.known.text if row.known else None for row in rows}
    assert (texts["default", "q7"], texts["en", "q7"]) == ("whole text", "of another subset")


def test_a_file_made_by_somebody_else_cannot_flood_the_page() -> None:
    answer = ItemAnswer("q", "e", tuple(Neighbour("x", 1.0) for _ in range(10**5)))
    assert len(items.found_lines(answer)) == 10


# ---------------------------------------------------------------- scores of a task


def test_ranks_are_those_that_the_pairs_of_the_task_leave_open() -> None:
    rows = scores.score_rows(comparisons.small(), "XQuADRetrieval")
    assert [(row["model"], row["rank"], row["score"], row["interval"]) for row in rows] == [
        ("minilm", "1–2", "68.0", "66.0–70.0"),
        ("小模型", "1–2", "67.0", "65.0–69.0"),
        ("tfidf", "3", "60.1", "58.1–62.1"),
    ]


def test_a_model_without_a_score_is_last_with_its_reason_and_no_rank() -> None:
    rows = scores.score_rows(comparisons.small(), "Banking77")
    assert [(row["model"], row["rank"], row["score"], row["status"]) for row in rows][2] == (
        "小模型",
        "–",
        "–",
        "failed: out of memory",
    )
    assert rows[0]["rank"] == "1", "of the two that have a score"


def test_what_differs_between_cells_of_a_task_is_told_side_by_side() -> None:
    facts = {row["what"]: row["value"] for row in scores.task_facts(comparisons.small(), "STSBenchmark")}
    assert facts["type"] == "STS"
    assert facts["limited to"] == "500 of 3000 items"
    assert facts["data digest"] == "d1"
    one, *others = comparisons.small().cells
    changed = replace(comparisons.small(), cells=(replace(one, result=replace(one.result, data_digest="d2")), *others))
    facts = {row["what"]: row["value"] for row in scores.task_facts(changed, "XQuADRetrieval")}
    assert facts["data digest"] == "d1 / d2"
    assert "limited to" not in facts


# ---------------------------------------------------------------- the map


def test_a_click_means_a_task_and_a_model_and_a_cut_name_means_none() -> None:
    small = comparisons.small()
    assert map_clicks.clicked([{"task": "中文聚类", "model": "minilm"}], small) == ("中文聚类", "minilm")
    assert map_clicks.clicked([{"task": "all tasks (mean)", "model": "tfidf"}], small) == (None, "tfidf")
    assert map_clicks.clicked([], small) == (None, None)
    long = "x" * 500
    many = comparisons.grid(2, 1, names=(f"{long}a", f"{long}b"))
    drawn = map_clicks.clickable(task_map(many))
    assert drawn is not None
    assert map_clicks.clicked([drawn.rows[0]], many)[1] is None, "two models have this cut name"


def test_the_map_that_can_be_clicked_is_a_valid_specification() -> None:
    altair = pytest.importorskip("altair")
    drawn = map_clicks.clickable(task_map(comparisons.small()))
    assert drawn is not None
    altair.Chart.from_dict(dict(drawn.spec))
    assert map_clicks.clickable(None) is None


# ---------------------------------------------------------------- the page


def test_the_page_shows_the_task_and_the_models_of_the_address(keep: Keep) -> None:
    keep(comparisons.small())
    app = page(task="STSBenchmark", model="tfidf", against="小模型")
    assert app.selectbox(key="tasks-task").value == "STSBenchmark"
    assert app.selectbox(key="tasks-model").value == "tfidf"
    assert app.selectbox(key="tasks-against").value == "小模型"
    assert "tfidf against 小模型, by task" in said(app)
    assert "Differences from 小模型 by task" in said(app)


def test_what_the_map_says_and_the_order_of_items_are_in_the_address(keep: Keep) -> None:
    keep(comparisons.small(), scored("minilm", [0.5, 0.4, 0.1]), scored("tfidf", [0.5, 0.1, 1.0]))
    app = page(task="XQuADRetrieval")
    app.button_group(key="tasks-map-kind").set_value("differences").run()
    app.button_group(key="tasks-item-order").set_value("worst").run()
    query = {name: app.query_params[name] for name in ("cells", "order")}
    assert query == {"cells": "differences", "order": "worst"}
    again = page(task="XQuADRetrieval", **query)
    assert "Differences from" in said(again)
    assert again.button_group(key="tasks-item-order").value == "worst"
    assert "Scores by task" in said(page(task="XQuADRetrieval", cells="scores", against="tfidf"))


def test_what_the_address_asks_for_and_nobody_has_is_replaced_by_what_is_there(keep: Keep) -> None:
    keep(comparisons.small())
    app = page(task="../../etc/passwd", model="nobody", against="nobody", item="nothing")
    assert app.selectbox(key="tasks-task").value == "XQuADRetrieval"
    assert app.selectbox(key="tasks-model").value == "minilm"
    assert "task '../../etc/passwd' (shown instead: XQuADRetrieval)" in said(app)
    assert "item 'nothing' (shown instead: q7)" in said(app)
    assert "root:" not in said(app)


def test_a_chosen_task_is_in_the_address(keep: Keep) -> None:
    keep(comparisons.small())
    app = page()
    app.selectbox(key="tasks-task").set_value("Banking77").run()
    assert not app.exception
    assert app.query_params["task"] == "Banking77"
    assert "out of memory" in said(app)


def test_both_answers_to_the_item_that_differs_most_stand_beside_each_other(keep: Keep) -> None:
    small = comparisons.small()
    keep(small, scored("minilm", [0.0, 1.0, 0.2131]), scored("tfidf", [0.0, 0.5, 1.0]))
    app = page(task="XQuADRetrieval", model="minilm", against="tfidf")
    rows = frame(app, "item", "difference")
    assert [(row["item"], row["first"], row["second"]) for row in rows] == [
        ("q9", 0.2131, 1.0),
        ("q8", 1.0, 0.5),
        ("q7", 0.0, 0.0),
    ]
    assert [text.value for text in app.text] == [
        "什么是嵌入模型",
        "嵌入模型把文本变成向量",
        "天气预报",
        "what was expected",
    ]
    other = page(task="XQuADRetrieval", model="minilm", against="tfidf", item="q7")
    assert "Item q7" in said(other)
    assert [text.value for text in other.text][-1] == "A history of wine"


def test_kept_rankings_stand_side_by_side_with_a_mark_at_what_was_expected(keep: Keep) -> None:
    folder = keep(comparisons.small(), scored("minilm", [0.0, 1.0, 0.2131]), scored("tfidf", [0.0, 0.5, 1.0]))
    rankings = {
        "minilm": (Neighbour("wrong *one*", 0.9, False), Neighbour("right one", 0.8, True)),
        "tfidf": (Neighbour("right one", 7.5, True), Neighbour("a\nb", 7.25, False)),
    }
    kept = [KeptItem("XQuADRetrieval", "test/default", "q8", "a question", "right one", rankings)]
    write_answers(folder / "answers.parquet", kept)
    app = page(task="XQuADRetrieval", model="minilm", against="tfidf", item="q8")
    assert [text.value for text in app.text] == [
        "a question",
        "right one",
        "1. wrong *one* (0.900)",
        "2. ✓ right one (0.800)",
        "1. ✓ right one (7.500)",
        "2. a b (7.250)",
    ]
    assert said(app).count("✓ is what was expected") == 2
    row = next(row for row in frame(app, "item", "difference") if row["item"] == "q8")
    assert row["text"] == "a question"


@pytest.mark.parametrize(("has_file", "reason"), [(True, "3 MiB of text in all"), (False, "no answers.parquet beside")])
def test_an_answer_that_is_not_kept_says_why(keep: Keep, has_file: bool, reason: str) -> None:
    folder = keep(comparisons.small(), scored("minilm", [0.0, 1.0, 0.2131]), scored("tfidf", [0.0, 0.5, 1.0]))
    if has_file:
        write_answers(folder / "answers.parquet", [])
    shown = said(page(task="XQuADRetrieval", model="minilm", against="tfidf", item="q8"))
    assert "not kept" in shown
    assert reason in shown


def test_the_page_names_the_bounds_that_the_run_keeps() -> None:
    assert f"{kept_answers.MOST_ITEMS} items of a task" in item_view._NOT_KEPT
    assert f"{kept_answers.MOST_BYTES // 2**20} MiB of text" in item_view._NOT_KEPT


def test_damaged_answers_are_a_sentence_and_the_rest_is_shown(keep: Keep) -> None:
    folder = keep(comparisons.small(), scored("minilm", [0.0, 1.0, 0.2131]), scored("tfidf", [0.0, 0.5, 1.0]))
    (folder / "answers.parquet").write_bytes(b"no Parquet")
    app = page(task="XQuADRetrieval", model="minilm", against="tfidf")
    assert "can't be read as Parquet" in said(app)
    assert [row["item"] for row in frame(app, "item", "difference")] == ["q9", "q8", "q7"]


def test_the_worst_of_a_model_come_first_where_that_is_asked_for(keep: Keep) -> None:
    keep(comparisons.small(), scored("minilm", [0.0, 1.0, 0.2131]), scored("tfidf", [0.0, 0.5, 1.0]))
    app = page(task="XQuADRetrieval", model="minilm", against="tfidf")
    app.button_group(key="tasks-item-order").set_value("worst").run()
    assert not app.exception
    assert [row["item"] for row in frame(app, "item", "difference")] == ["q7", "q9", "q8"]
    app.button_group(key="tasks-item-order").set_value("told").run()
    assert [row["item"] for row in frame(app, "item", "difference")] == ["q9", "q7"], "q8 has no text"


def test_without_items_the_worst_of_the_report_are_shown(keep: Keep) -> None:
    keep(comparisons.small())
    app = page(task="XQuADRetrieval", model="minilm", against="tfidf")
    assert [row["item"] for row in frame(app, "item", "text")] == ["q7", "q9"]
    assert [text.value for text in app.text] == [
        "who wrote the first compiler",
        "Grace Hopper wrote A-0",
        "A history of wine",
        "A history of wine",
    ]


# ---------------------------------------------------------------- slices by tag

TASK = "XQuADRetrieval"
EIGHT = tuple(f"q{row}" for row in range(8))


@pytest.fixture
def tagged(keep: Keep) -> Callable[..., Path]:
    """Keep a comparison whose items have a topic."""

    def kept(*values: str, key: str = "topic", left_out: Sequence[str] = ()) -> Path:
        one, two = ([1.0, 0.0] * 4, [1.0, 1.0, 1.0, 0.0] * 2)
        cells = [
            CellResult(model, TASK, "Retrieval", "ok", items=(part(names=EIGHT, value=own),))
            for model, own in (("minilm", one), ("tfidf", two))
        ]
        folder = keep(comparisons.small(), *cells)
        parts = {"test/default": {key: values}} if values else {}
        write_tags(
            folder / "tags.parquet",
            [KeptTags(TASK, {"test/default": EIGHT}, ItemTags(parts, tuple(left_out)))],
        )
        return folder

    return kept


def test_a_task_is_cut_by_the_tag_of_the_address(tagged: Callable[..., Path]) -> None:
    tagged(*["heating", "billing"] * 4)
    app = page(task=TASK, slices="topic", against="minilm")
    rows = frame(app, "slice", "items", "points")
    assert [(row["slice"], row["items"], row["model"], row["points"]) for row in rows] == [
        ("billing", 4, "minilm", 0.0),
        ("billing", 4, "tfidf", 50.0),
        ("heating", 4, "minilm", 100.0),
        ("heating", 4, "tfidf", 100.0),
    ]
    assert rows[1]["change"] == 50.0
    assert "to" in str(rows[1]["change_interval"])
    assert "score by topic" in said(app)


def test_the_choice_of_a_tag_is_in_the_address_and_the_usual_one_is_not(tagged: Callable[..., Path]) -> None:
    tagged(*["heating", "billing"] * 4)
    app = page(task=TASK)
    control = app.button_group(key="tasks-slices-by")
    assert control.value == ""
    assert "so no slices" in said(app)
    control.set_value("topic").run()
    assert not app.exception
    assert app.query_params["slices"] == "topic"
    app.button_group(key="tasks-slices-by").set_value("").run()
    assert "slices" not in app.query_params


@pytest.mark.parametrize("asked", ["no such tag", "../../etc/passwd", "<script>"])
def test_a_tag_that_nobody_has_is_by_split_and_subset(tagged: Callable[..., Path], asked: str) -> None:
    tagged(*["heating", "billing"] * 4)
    app = page(task=TASK, slices=asked)
    assert app.button_group(key="tasks-slices-by").value == ""
    assert "so no slices" in said(app)
    assert f"Not found here: slices {asked!r} (shown instead: by split and subset)." in said(app)


def test_a_result_without_tags_says_so_and_has_no_choice(keep: Keep) -> None:
    keep(comparisons.small(), scored("minilm", [0.0, 1.0, 0.2131]), scored("tfidf", [0.0, 0.5, 1.0]))
    app = page(task=TASK, slices="topic")
    assert "No tags of its items are kept" in said(app)
    assert "Not found here: slices 'topic' (shown instead: by split and subset)." in said(app)
    assert "Not found here" not in said(page(task=TASK))
    assert "tasks-slices-by" not in {group.key for group in app.button_group}
    assert "so no slices" in said(app)


def test_what_was_left_out_is_told(tagged: Callable[..., Path]) -> None:
    tagged(left_out=["lang has 51 values, and at most 50 are kept"])
    app = page(task=TASK)
    assert "Left out: lang has 51 values" in said(app)
    assert "tasks-slices-by" not in {group.key for group in app.button_group}


def test_tags_without_scores_of_items_and_damaged_tags_are_a_sentence(tagged: Callable[..., Path]) -> None:
    folder = tagged(*["heating", "billing"] * 4)
    (folder / "items.parquet").unlink()
    assert "No scores of single items are kept for it" in said(page(task=TASK, slices="topic"))
    (folder / "tags.parquet").write_bytes(b"no Parquet")
    st.cache_resource.clear()
    st.cache_data.clear()
    app = page(task=TASK, slices="topic")
    assert "can't be read as Parquet" in said(app)
    assert "so no slices" in said(app)


def test_hostile_keys_and_values_of_tags_stay_texts(tagged: Callable[..., Path]) -> None:
    value, key = "<script>alert(1)</script> [x](javascript:alert(1)) \u202e", "**key** :red[x] <b>"
    tagged(*[value, "=1+1"] * 4, key=key)
    app = page(task=TASK, slices=key)
    rows = frame(app, "slice", "items", "points")
    assert {row["slice"] for row in rows} >= {"=1+1"}
    assert not any("\u202e" in str(row["slice"]) for row in rows)
    for element in [*app.markdown, *app.caption, *app.info, *app.warning]:
        assert "](javascript" not in element.value
        assert "<script" not in element.value.replace("\\<", "")
        assert "<b>" not in element.value
    options = [option.content for option in app.button_group(key="tasks-slices-by").proto.options]
    assert unescaped(options[1]) == f"by {key}"
    assert not any(":red[" in option or "**" in option.replace("\\*", "") for option in options)
    scores = board.tag_slices_of("one", TASK, key, against=None, seed=1, bounds=(0.0, 1.0))
    assert scores is not None
    assert "'=1+1" in csv_of(slice_rows(key, None, scores.scores))


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("中文聚类", "No items were kept: Clustering keeps none here"),
        ("STSBenchmark", "No items were kept: STS keeps none here"),
    ],
)
def test_a_task_without_items_says_so(keep: Keep, task: str, sentence: str) -> None:
    keep(comparisons.small())
    assert sentence in said(page(task=task, model="minilm"))


def test_a_type_whose_items_have_no_scores_says_so(keep: Keep) -> None:
    pairs = part("pair", label=[0, 1, 1], predicted=[[0.1], [0.2], [0.3]])
    cells = [CellResult(model, "中文聚类", "Clustering", "ok", items=(pairs,)) for model in ("minilm", "tfidf")]
    keep(comparisons.small(), *cells)
    assert "Clustering has no scores of single items" in said(page(task="中文聚类", model="minilm"))


def test_a_damaged_file_of_items_is_a_sentence_and_the_rest_is_shown(keep: Keep) -> None:
    folder = keep(comparisons.small(), scored("minilm", [0.0, 1.0, 1.0]))
    (folder / "items.parquet").write_bytes(b"no Parquet")
    app = page(task="XQuADRetrieval", model="minilm")
    assert "can't be read as Parquet" in said(app)
    assert "Item q7" in said(app)


def test_names_and_texts_that_try_to_be_more_stay_texts(keep: Keep) -> None:
    keep(comparisons.hostile())
    app = page()
    for element in [*app.markdown, *app.caption, *app.info, *app.warning, *app.subheader]:
        bare = unescaped(element.value)
        assert "](javascript" not in element.value, bare
        assert "<script" not in element.value.replace("\\<", ""), bare
    assert json.dumps([text.value for text in app.text]).count("\\u2066") == 0


def test_names_that_are_cut_alike_can_still_be_chosen_one_by_one(keep: Keep) -> None:
    long = "x" * 200
    keep(comparisons.grid(3, 1, names=(f"{long}a{long}", f"{long}b{long}", "c")))
    app = page()
    options = app.selectbox(key="tasks-model").options
    assert len(set(options)) == 3
    assert max(map(len, options)) <= 80
    app.selectbox(key="tasks-model").set_value(f"{long}b{long}").run()
    assert app.selectbox(key="tasks-model").value == f"{long}b{long}"


def test_two_comparisons_of_one_minute_are_told_apart_by_their_keys() -> None:
    rows = [ComparisonRow(key, "s", "d", "2026-11-21T14:20:55Z", ("a",), "a", False) for key in ("one", "two")]
    assert list(row_words(rows).values()) == [
        "2026-11-21 14:20 UTC · s · 1 model · one",
        "2026-11-21 14:20 UTC · s · 1 model · two",
    ]
    assert list(row_words(rows[:1]).values()) == ["2026-11-21 14:20 UTC · s · 1 model"]


def test_a_comparison_of_one_model_has_no_second_one(keep: Keep) -> None:
    keep(comparisons.grid(1, 2))
    app = page()
    assert [box.key for box in app.selectbox if (box.key or "").startswith("tasks-")] == [
        "tasks-comparison",
        "tasks-task",
        "tasks-model",
    ]
