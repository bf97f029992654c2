"""Which texts of a suite two models are compared on, and that each has the vector that its task was scored with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import Handle, HashingEncoder
from own_data import jsonl, retrieval, sts

from benchkit.embeddings.store import VectorStore
from benchkit.errors import CellFailed
from benchkit.runner.progress import Silent
from benchkit.runner.run import PlannedModel, Runner
from benchkit.runner.spaces import sample_texts, sample_vectors
from benchkit.tasks.opened import OpenedTask, open_task
from benchkit.types.model import ModelSpec, Variant
from benchkit.types.task import TaskSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def open_own(tmp_path: Path, name: str, type_: str, data: Path) -> OpenedTask:
    return open_task(TaskSpec(name=name, type=type_, data=data), cache_dir=tmp_path, offline=True)


def search(tmp_path: Path, name: str = "search", n: int = 40) -> OpenedTask:
    return open_own(tmp_path, name, "Retrieval", retrieval(tmp_path / name, n))


def similar(tmp_path: Path) -> OpenedTask:
    return open_own(tmp_path, "similar", "STS", sts(tmp_path / "similar.jsonl"))


def planned(encoder: HashingEncoder, **variant: object) -> PlannedModel:
    return PlannedModel(ModelSpec(label=encoder.name, name=encoder.name, variant=Variant(**variant)), Handle(encoder))  # type: ignore[arg-type]


def test_texts_are_those_of_the_ranking_tasks_an_equal_share_of_each(tmp_path: Path) -> None:
    tasks = [similar(tmp_path), search(tmp_path, "one"), search(tmp_path, "two")]
    queries, documents = sample_texts(tasks, n_queries=7, n_documents=11, seed=1)
    assert [(source.task_name, source.role, len(source.texts)) for source in queries] == [
        ("one", "query", 4),
        ("two", "query", 3),
    ]
    assert [(source.role, len(source.texts)) for source in documents] == [("document", 6), ("document", 5)]
    assert sample_texts(tasks, n_queries=7, n_documents=11, seed=1) == (queries, documents)
    assert sample_texts(tasks, n_queries=7, n_documents=11, seed=2) != (queries, documents)


def test_every_task_has_a_text_even_when_there_are_more_tasks_than_texts(tmp_path: Path) -> None:
    queries, _ = sample_texts([search(tmp_path, name) for name in "abc"], n_queries=2, n_documents=2, seed=1)
    assert [len(source.texts) for source in queries] == [1, 1, 1]


def test_without_a_ranking_task_no_text_is_query_and_document(tmp_path: Path) -> None:
    (queries,), (documents,) = sample_texts([similar(tmp_path)], n_queries=500, n_documents=2000, seed=1)
    assert queries.role is documents.role is None
    assert queries.task_type == "STS"
    assert not set(queries.texts) & set(documents.texts)
    n_texts = len(queries.texts) + len(documents.texts)
    assert n_texts > 50
    assert len(queries.texts) == round(n_texts / 5)


def test_a_ranking_task_that_cannot_be_read_leaves_the_others(tmp_path: Path) -> None:
    good, bad = search(tmp_path, "good"), search(tmp_path, "bad")
    jsonl(tmp_path / "bad" / "corpus.jsonl", [{"_id": "d0", "text": "changed since"}])
    queries, _ = sample_texts([bad, good], n_queries=4, n_documents=4, seed=1)
    assert [source.task_name for source in queries] == ["good"]
    (of_pairs,), _ = sample_texts([bad, similar(tmp_path)], n_queries=4, n_documents=4, seed=1)
    assert of_pairs.task_name == "similar"
    for tasks in ([bad], []):
        with pytest.raises(CellFailed, match="no task of the suite has texts to compare two spaces on"):
            sample_texts(tasks, n_queries=4, n_documents=4, seed=1)


def test_vectors_are_of_the_same_texts_with_the_prompts_of_each_model(tmp_path: Path) -> None:
    new = HashingEncoder(name="new", dimension=32, prompts={"query": "find: "})
    old = HashingEncoder(name="old", prompts={"document": "store: "})
    tasks = [search(tmp_path)]
    found = sample_vectors(planned(new), planned(old), tasks, seed=5, n_queries=6, n_documents=9)
    (queries,), (documents,) = sample_texts(tasks, n_queries=6, n_documents=9, seed=5)
    np.testing.assert_array_equal(found.candidate_queries, new.encode(queries.texts, prompt="find: "))
    np.testing.assert_array_equal(found.candidate_documents, new.encode(documents.texts))
    np.testing.assert_array_equal(found.baseline_queries, old.encode(queries.texts))
    np.testing.assert_array_equal(found.baseline_documents, old.encode(documents.texts, prompt="store: "))
    assert (found.baseline_similarity, found.candidate_similarity) == ("cosine", "cosine")


def test_vectors_are_cut_as_the_variants_say_and_not_quantised(tmp_path: Path) -> None:
    model = HashingEncoder()
    full, cut = planned(model, precision="binary"), planned(model, truncate_dim=16)
    found = sample_vectors(cut, full, [search(tmp_path)], seed=5, n_queries=3, n_documents=4)
    assert found.candidate_queries.shape == (3, 16)
    np.testing.assert_allclose(np.linalg.norm(found.candidate_documents, axis=1), 1.0, atol=1e-6)
    assert len(np.unique(np.abs(found.baseline_documents))) > 2


def test_what_the_models_were_scored_with_is_not_encoded_again(tmp_path: Path) -> None:
    new, old = HashingEncoder(name="new", seed=1, prompts={"query": "find: "}), HashingEncoder(name="old")
    tasks = [search(tmp_path), similar(tmp_path)]
    with VectorStore(tmp_path / "cache") as vectors:
        list(Runner(vectors, None, Silent(), "cpu").run([planned(new), planned(old)], tasks))
        before = len(new.seen), len(old.seen)
        for some in (tasks, tasks[1:]):
            sample_vectors(planned(new), planned(old), some, seed=1, vectors=vectors)
    assert (len(new.seen), len(old.seen)) == before
