"""Scores of single items on the board: of one task, by model; absent where none are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import comparisons
import numpy as np
import pytest

from benchkit.errors import UsageError
from benchkit.report.json_form import render_json
from benchkit.store.answers import write_answers
from benchkit.store.board import Board, open_board
from benchkit.store.items import write_items
from benchkit.store.mlflow_store import log_comparison
from benchkit.store.tags import write_tags
from benchkit.types.answer import KeptItem
from benchkit.types.gate import Neighbour
from benchkit.types.result import CellResult, ItemScores
from benchkit.types.tags import ItemTags, KeptTags

KEPT = (
    KeptItem("faq", "test/default", "q0", "a question", "right", {"minilm": (Neighbour("wrong", 0.5, False),)}),
    KeptItem("other", "test/default", "q0", "another", "right", {"minilm": ()}),
)
TAGS = (
    KeptTags("faq", {"test/default": ("q0", "q1")}, ItemTags({"test/default": {"topic": ("a", "b")}})),
    KeptTags("other", {"test/default": ("q0",)}, ItemTags({}, ("why",))),
    KeptTags("clusters", {"test/default": ("q0",)}, ItemTags(alike={"lang": "en"})),
)


def part(values: list[float]) -> ItemScores:
    names = np.array([f"q{place}" for place in range(len(values))])
    return ItemScores("test", "default", "mean", "ndcg_at_10", names, {"value": np.array(values)})


def kept(folder: Path, *, items: bool = True, answers: bool = True) -> Board:
    """Write a comparison as benchkit does, with items of two models on one task and of one on another."""
    place = folder / "mlruns" / "results" / "one"
    place.mkdir(parents=True)
    cells = [
        CellResult("minilm", "faq", "Retrieval", "ok", items=(part([0.5, 1.0]),)),
        CellResult("tfidf", "faq", "Retrieval", "ok", items=(part([0.0, 0.25]),)),
        CellResult("minilm", "other", "Retrieval", "ok", items=(part([0.75]),)),
    ]
    if items:
        write_items(place / "items.parquet", cells)
    if answers:
        write_answers(place / "answers.parquet", KEPT)
    (place / "result.json").write_text(render_json(comparisons.small()), encoding="utf-8")
    return open_board(folder / "mlruns", f"sqlite:///{folder}/mlruns/mlflow.db")


def test_items_are_those_of_the_task_by_model(tmp_path: Path) -> None:
    found = kept(tmp_path).item_scores("one", "faq")
    assert found is not None
    assert {model: parts[0].columns["value"].tolist() for model, parts in found.items()} == {
        "minilm": [0.5, 1.0],
        "tfidf": [0.0, 0.25],
    }


def test_a_task_without_items_and_a_comparison_without_their_file_have_none(tmp_path: Path) -> None:
    assert kept(tmp_path / "a").item_scores("one", "clusters") is None
    assert kept(tmp_path / "b", items=False).item_scores("one", "faq") is None


def test_a_damaged_file_is_told_and_an_unknown_key_is_a_key_error(tmp_path: Path) -> None:
    board = kept(tmp_path)
    (tmp_path / "mlruns" / "results" / "one" / "items.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UsageError, match=r"items\.parquet: can't be read as Parquet"):
        board.item_scores("one", "faq")
    with pytest.raises(KeyError):
        board.item_scores("../one", "faq")


def test_kept_answers_are_those_of_the_task_and_a_result_without_their_file_has_none(tmp_path: Path) -> None:
    board = kept(tmp_path / "a")
    assert board.kept_items("one", "faq") == KEPT[:1]
    assert board.kept_items("one", "clusters") == (), "the file is there, and has none of this task"
    assert kept(tmp_path / "b", answers=False).kept_items("one", "faq") is None


def test_damaged_answers_are_told_and_an_unknown_key_is_a_key_error(tmp_path: Path) -> None:
    board = kept(tmp_path)
    (tmp_path / "mlruns" / "results" / "one" / "answers.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UsageError, match=r"answers\.parquet: can't be read as Parquet"):
        board.kept_items("one", "faq")
    with pytest.raises(KeyError):
        board.kept_items("../one", "faq")


def test_kept_tags_are_those_of_the_task_and_an_older_result_has_none(tmp_path: Path) -> None:
    board = kept(tmp_path)
    assert board.item_tags("one", "faq") is None, "a result of before there were tags"
    write_tags(tmp_path / "mlruns" / "results" / "one" / "tags.parquet", TAGS)
    assert [board.item_tags("one", task) for task in ("faq", "other", "clusters")] == [*TAGS[:2], None]
    with pytest.raises(KeyError):
        board.item_tags("../one", "faq")


def test_damaged_tags_are_told(tmp_path: Path) -> None:
    board = kept(tmp_path)
    (tmp_path / "mlruns" / "results" / "one" / "tags.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UsageError, match=r"results/one: tags\.parquet: can't be read as Parquet") as told:
        board.item_tags("one", "faq")
    assert "benchkit-board-" not in str(told.value), "the copy that was read is gone by now"


@pytest.mark.parametrize("has_tags", [True, False])
def test_a_run_in_mlflow_alone_has_the_tags_that_it_was_logged_with_or_none(
    tmp_path: Path, make_report: Callable[[], dict[str, Any]], tracking_uri: str, *, has_tags: bool
) -> None:
    write_tags(tmp_path / "tags.parquet", TAGS)
    files = [tmp_path / "tags.parquet"] if has_tags else []
    run = log_comparison(make_report(), tracking_uri=tracking_uri, artifacts=files)
    board = open_board(tmp_path / "mlruns", tracking_uri)
    assert board.item_tags(run.run_id, "faq") == (TAGS[0] if has_tags else None)


@pytest.mark.parametrize("has_answers", [True, False])
def test_a_run_in_mlflow_alone_has_the_answers_that_it_was_logged_with_or_none(
    tmp_path: Path, make_report: Callable[[], dict[str, Any]], tracking_uri: str, *, has_answers: bool
) -> None:
    write_answers(tmp_path / "answers.parquet", KEPT)
    files = [tmp_path / "answers.parquet"] if has_answers else []
    run = log_comparison(make_report(), tracking_uri=tracking_uri, artifacts=files)
    board = open_board(tmp_path / "mlruns", tracking_uri)
    assert board.kept_items(run.run_id, "faq") == (KEPT[:1] if has_answers else None)
