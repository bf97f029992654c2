"""Scores of single items on the board: of one task, by model; absent where none are kept."""

from __future__ import annotations

from pathlib import Path

import comparisons
import numpy as np
import pytest

from benchkit.errors import UsageError
from benchkit.report.json_form import render_json
from benchkit.store.board import Board, open_board
from benchkit.store.items import write_items
from benchkit.types.result import CellResult, ItemScores


def part(values: list[float]) -> ItemScores:
    names = np.array([f"q{place}" for place in range(len(values))])
    return ItemScores("test", "default", "mean", "ndcg_at_10", names, {"value": np.array(values)})


def kept(folder: Path, *, items: bool = True) -> Board:
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
