"""A column is read at once, and what MTEB makes of the data set stays what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from fakes import HashingEncoder
from own_data import write_all

from benchkit.tasks.columns import ColumnsInMemory
from benchkit.tasks.mteb_encoder import MtebEncoder
from benchkit.tasks.opened import open_task
from benchkit.tasks.scoring import score_task
from benchkit.tasks.search import search_over
from benchkit.tasks.variant import VariantView
from benchkit.types.model import Variant
from benchkit.types.task import TaskSpec

ROWS = {"id": ["q1", "q2", "q3"], "text": ["one", "two", "three"], "instruction": ["briefly", None, "in full"]}
CORPUS = {"id": ["a", "b"], "title": ["One", ""], "text": ["one of them", "two of three"]}


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the single rows that `datasets` is asked for."""
    asked: list[object] = []
    plain = Dataset._getitem

    def watched(self: Dataset, key: Any, **options: Any) -> Any:
        if isinstance(key, int):
            asked.append(key)
        return plain(self, key, **options)

    monkeypatch.setattr(Dataset, "_getitem", watched)
    return asked


def test_a_column_is_a_list_that_is_read_once() -> None:
    columns = ColumnsInMemory.of(Dataset.from_dict(ROWS))
    assert columns["text"] == ROWS["text"]
    assert columns["text"] is columns["text"]


def test_all_else_is_that_of_the_data_set() -> None:
    dataset = Dataset.from_dict(ROWS)
    columns = ColumnsInMemory.of(dataset)
    assert len(columns) == 3
    assert columns[1] == dataset[1]
    assert columns[1:] == dataset[1:]
    assert columns.column_names == dataset.column_names
    assert columns.select([2])["id"][:] == ["q3"]


def test_rows_of_it_are_picked_from_its_lists(rows_read: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ColumnsInMemory.of(Dataset.from_dict(ROWS))
    monkeypatch.setattr(Dataset, "select", None)
    picked = columns.select(range(2, 0, -1)).select([1, 0, 0])
    assert (len(picked), picked["id"], picked.column_names) == (3, ["q2", "q3", "q3"], list(ROWS))
    assert not rows_read


def test_columns_of_it_can_be_named_anew() -> None:
    dataset = Dataset.from_dict(ROWS)
    columns = ColumnsInMemory.of(dataset).select_columns(["id", "text"]).rename_columns({"text": "body"})
    assert columns.column_names == ["id", "body"]
    assert columns["body"] == ROWS["text"]
    assert list(columns) == list(dataset.select_columns(["id", "text"]).rename_columns({"text": "body"}))
    with pytest.raises(ValueError, match="'text' doesn't exist"):
        columns["text"]


def test_rows_of_it_are_those_of_the_data_set_when_one_is_asked_for() -> None:
    dataset = Dataset.from_dict(ROWS)
    assert ColumnsInMemory.of(dataset).select([2, 0])[0] == dataset[2]
    assert ColumnsInMemory.of(ColumnsInMemory.of(dataset))[1] == dataset[1]


def search(model: Any, queries: dict[str, list[Any]]) -> Any:
    import mteb

    task = mteb.get_task("XQuADRetrieval")
    where = {"task_metadata": task.metadata, "hf_split": "test", "hf_subset": "en", "encode_kwargs": {}}
    model.index(Dataset.from_dict(CORPUS), **where)
    return model.search(Dataset.from_dict(queries), top_k=2, **where)


@pytest.mark.parametrize("columns", [("id", "text"), ("id", "text", "instruction")])
def test_queries_are_read_at_once_and_found_as_mteb_finds_them(columns: tuple[str, ...], rows_read: list[int]) -> None:
    from mteb.models.search_wrappers import SearchEncoderWrapper

    encoder, queries = HashingEncoder(), {name: ROWS[name] for name in columns}
    own = MtebEncoder(encoder, VariantView(Variant(), encoder.meta))
    found = search(search_over(own), queries)
    assert len(rows_read) < 3, "the queries were read one by one"
    assert found == search(SearchEncoderWrapper(own), queries)


@pytest.mark.parametrize("kind", ["Classification", "PairClassification", "Clustering"])
def test_texts_and_labels_are_read_at_once(kind: str, tmp_path: Path, rows_read: list[int]) -> None:
    data = write_all(tmp_path / "own")
    spec = TaskSpec(name="own", type=kind, data=data[kind])
    task = open_task(spec, cache_dir=tmp_path / "cache", offline=True)
    task.load()
    rows_read.clear()
    score = score_task(task, HashingEncoder(), Variant())
    assert score.n_texts > 0
    assert len(rows_read) < score.n_texts, "the texts were read one by one"
