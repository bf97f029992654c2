"""What limits leave of a task must still be a task, and what they leave out is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchkit.errors import CellFailed
from benchkit.tasks.limiting import limit_data
from benchkit.types.task import TaskLimits


def rows_task(kind: str, labels: list[Any]) -> Any:
    from datasets import Dataset

    rows = Dataset.from_dict({"text": [f"text {number}" for number in range(len(labels))], "label": labels})
    metadata = SimpleNamespace(type=kind, main_score="v_measure")
    return SimpleNamespace(
        hf_subsets=["default"],
        eval_splits=["test"],
        dataset={"test": rows},
        label_column_name="label",
        metadata=metadata,
    )


@pytest.mark.parametrize("kind", ["Clustering", "PairClassification"])
def test_a_draw_of_one_label_is_refused_where_every_model_would_score_alike(kind: str) -> None:
    message = (
        "the limits leave 3 of 40 items, all with the label 0, on which every model scores alike; raise limits.items"
    )
    with pytest.raises(CellFailed, match=message):
        limit_data(rows_task(kind, [1] + [0] * 39), TaskLimits(items=3))


def test_a_draw_of_one_label_is_a_task_where_something_was_learnt_before() -> None:
    task = rows_task("Classification", [1] + [0] * 39)
    assert limit_data(task, TaskLimits(items=3)) == "3 of 40 items"


@pytest.mark.parametrize("labels", [[0, 1] * 20, [["a", "b"]] * 40], ids=["two labels", "levels of labels"])
def test_a_draw_of_several_labels_is_kept(labels: list[Any]) -> None:
    assert limit_data(rows_task("Clustering", labels), TaskLimits(items=12)) == "12 of 40 items"


def retrieval_task(qrels: dict[str, dict[str, int]], n_documents: int = 9) -> Any:
    from datasets import Dataset

    documents = [f"d{number}" for number in range(n_documents)]
    split = {
        "corpus": Dataset.from_dict({"id": documents, "text": documents}),
        "queries": Dataset.from_dict({"id": list(qrels), "text": list(qrels)}),
        "relevant_docs": qrels,
        "top_ranked": None,
    }
    return SimpleNamespace(
        hf_subsets=["default"],
        eval_splits=["test"],
        dataset={"default": {"test": split}},
        metadata=SimpleNamespace(type="Retrieval", main_score="ndcg_at_10"),
    )


def test_queries_without_a_relevant_document_are_not_left_out_without_a_word() -> None:
    task = retrieval_task({"q": {"d1": 1}, "r": {"d2": 0}, "s": {"d3": 2, "d4": 0}})
    said = limit_data(task, TaskLimits(documents=4))
    assert said == "2 of 3 queries, those with a relevant document, 4 of 9 documents"
    assert set(task.dataset["default"]["test"]["relevant_docs"]) == {"q", "s"}


def test_judged_documents_are_kept_whatever_the_limit() -> None:
    task = retrieval_task({"q": {"d1": 1, "d7": 0}, "r": {"d2": 1}})
    assert limit_data(task, TaskLimits(documents=1)) == "3 of 9 documents"
    assert sorted(task.dataset["default"]["test"]["corpus"]["id"]) == ["d1", "d2", "d7"]
