"""Costs are measured on the suite's own texts, as MTEB hands them to a model, whatever the task type."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import HashingEncoder
from own_data import jsonl, labelled, write_all

from benchkit.errors import CellFailed
from benchkit.tasks.opened import OpenedTask, open_task
from benchkit.tasks.scoring import score_task
from benchkit.tasks.texts import LONGEST_COUNTED, by_length, counted_characters, document_source, query_source
from benchkit.types.cost import TextSource
from benchkit.types.model import Variant
from benchkit.types.task import TASK_TYPES, TaskSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
ALL = 10_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_all(tmp_path_factory.mktemp("own"))


def opened(data: dict[str, Path], kind: str, cache: Path) -> OpenedTask:
    return open_task(TaskSpec(name=f"own-{kind}", type=kind, data=data[kind]), cache_dir=cache, offline=True)


@dataclass
class FakeTask:
    """A task whose data set is given; `fresh` returns an object with the attributes that MTEB's classes have."""

    type: str
    dataset: dict[str, Any]
    subsets: tuple[str, ...] = ("default",)
    attributes: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    name: str = "fake"
    reads: int = 0

    def fresh(self) -> Any:
        self.reads += 1
        if self.problem:
            raise CellFailed(self.problem)
        return SimpleNamespace(
            dataset=self.dataset,
            eval_splits=["test"],
            hf_subsets=list(self.subsets),
            metadata=SimpleNamespace(name=self.name),
            **self.attributes,
        )


def rows(**columns: list[Any]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(columns)


@pytest.mark.parametrize("kind", TASK_TYPES)
def test_texts_are_those_that_a_score_encodes(kind: str, data: dict[str, Path], tmp_path: Path) -> None:
    task, encoder = opened(data, kind, tmp_path), HashingEncoder()
    score_task(task, encoder, Variant())
    seen = set(encoder.seen)
    queries, documents = query_source([task], ALL, 1), document_source([task], ALL, 1)
    assert queries.texts
    assert documents.texts
    assert set(queries.texts) <= seen
    assert set(documents.texts) <= seen
    if kind in ("Retrieval", "Reranking"):
        assert set(queries.texts) | set(documents.texts) == seen
    elif "Classification" not in kind:  # of a training part a score takes a sample
        assert set(queries.texts) == seen
    ranking = kind in ("Retrieval", "Reranking")
    assert (queries.role, documents.role) == (("query", "document") if ranking else (None, None))
    assert (queries.task_name, queries.task_type) == (f"own-{kind}", kind)


def test_a_document_has_its_title_before_it(data: dict[str, Path], tmp_path: Path) -> None:
    source = document_source([opened(data, "Retrieval", tmp_path)], ALL, 1)
    assert all(text.split()[0] in ("Heating", "Billing", "Solar", "Charging") for text in source.texts)


def test_the_first_ranking_task_wins_over_those_before_it(data: dict[str, Path], tmp_path: Path) -> None:
    tasks = [opened(data, kind, tmp_path) for kind in ("STS", "Reranking", "Retrieval")]
    assert query_source(tasks, 5, 1).task_name == "own-Reranking"
    assert query_source(tasks[:1], 5, 1).task_name == "own-STS"


def test_only_the_chosen_task_is_read() -> None:
    tasks = [FakeTask("STS", {}), FakeTask("Retrieval", retrieval(4), name="mine")]
    assert document_source(tasks, 2, 1).task_name == "mine"  # type: ignore[arg-type]
    assert [task.reads for task in tasks] == [0, 1]


def retrieval(n: int) -> dict[str, Any]:
    ids = [str(number) for number in range(n)]
    queries = rows(id=ids, text=[f"query {number}" for number in ids])
    corpus = rows(id=ids, text=[f"document {number}" for number in ids])
    return {"test": {"queries": queries, "corpus": corpus}}


def test_the_draw_is_reproducible_and_in_random_order() -> None:
    task = FakeTask("Retrieval", retrieval(100))
    first, again, other = (query_source([task], 30, seed).texts for seed in (1, 1, 2))  # type: ignore[list-item]
    assert first == again
    assert set(first) != set(other)
    assert len(set(first)) == 30
    assert list(first) != sorted(first, key=lambda text: int(text.split()[1]))


def test_every_query_is_drawn_equally_often() -> None:
    task = FakeTask("Retrieval", retrieval(20))
    drawn = [text for seed in range(400) for text in query_source([task], 5, seed).texts]  # type: ignore[list-item]
    # 100 expected of 400; four standard deviations of a binomial with 1/4 are 35.
    assert all(abs(drawn.count(f"query {number}") - 100) < 35 for number in range(20))


def test_rows_that_are_not_drawn_are_not_read() -> None:
    class Corpus:
        def __len__(self) -> int:
            return 5_000_000

        def select(self, numbers: list[int]) -> Any:
            assert len(numbers) == 3
            return rows(text=[f"document {number}" for number in numbers])

    task = FakeTask("Retrieval", {"test": {"corpus": Corpus(), "queries": Corpus()}})
    assert len(document_source([task], 3, 1).texts) == 3  # type: ignore[list-item]


def test_all_subsets_of_a_multilingual_task_are_drawn_from() -> None:
    dataset = {
        language: {"test": rows(text=[f"{language} {number}" for number in range(10)], label=["no text"] * 10)}
        for language in ("de", "fr")
    }
    task = FakeTask("Classification", dataset, ("de", "fr"), {"input_column_name": "text"})
    texts = query_source([task], 20, 1).texts  # type: ignore[list-item]
    assert sorted(texts) == sorted(f"{language} {number}" for language in ("de", "fr") for number in range(10))


@pytest.mark.parametrize("seed", range(5))
def test_as_many_texts_are_drawn_as_asked_for_from_however_many_subsets(seed: int) -> None:
    dataset = {name: {"test": rows(text=[f"{name} {n}" for n in range(size)])} for name, size in (("a", 3), ("b", 17))}
    task = FakeTask("Classification", dataset, ("a", "b"), {"input_column_name": "text"})
    assert len(query_source([task], 10, seed).texts) == 10  # type: ignore[list-item]


def test_parallel_subsets_are_columns_of_one_table_that_is_read_once() -> None:
    table = rows(de=["eins", "zwei"], fr=["un", "deux"], nl=["een", "twee"])
    read: list[list[int]] = []

    class Table:
        column_names = table.column_names

        def __len__(self) -> int:
            return len(table)

        def select(self, numbers: list[int]) -> Any:
            read.append(numbers)
            return table.select(numbers)

    task = FakeTask("BitextMining", {"test": Table()}, ("de-fr", "fr-de"), {"parallel_subsets": True})
    assert sorted(query_source([task], 20, 1).texts) == ["deux", "eins", "un", "zwei"]  # type: ignore[list-item]
    assert read == [[0, 1]]


def test_an_old_bitext_task_holds_lists_by_column() -> None:
    part = {"sentence1": ["one", "two"], "sentence2": ["eins", "zwei"], "gold": [(0, 0), (1, 1)]}
    task = FakeTask("BitextMining", {"default": {"test": part}})
    assert sorted(query_source([task], 20, 1).texts) == ["eins", "one", "two", "zwei"]  # type: ignore[list-item]


def test_an_old_data_set_holds_its_split_in_one_row() -> None:
    part = rows(sentences=[["a b", "c d"]], labels=[[0, 1]])
    task = FakeTask("Clustering", {"test": part}, attributes={"input_column_name": "sentences"})
    assert sorted(query_source([task], 20, 1).texts) == ["a b", "c d"]  # type: ignore[list-item]


def test_summaries_are_texts_too() -> None:
    part = rows(text=["long"], human_summaries=[["h1", "h2"]], machine_summaries=[["m1"]], relevance=[[1.0]])
    names = {
        "text_column_name": "text",
        "human_summaries_column_name": "human_summaries",
        "machine_summaries_column_name": "machine_summaries",
    }
    task = FakeTask("Summarization", {"test": part}, attributes=names)
    assert sorted(query_source([task], 20, 1).texts) == ["h1", "h2", "long", "m1"]  # type: ignore[list-item]


def test_empty_and_repeated_texts_are_left_out() -> None:
    part = rows(sentence1=["a", "  ", "a", None], sentence2=["b", "", "a", "b"], score=[1.0, 2.0, 3.0, 4.0])
    task = FakeTask("STS", {"test": part}, attributes={"column_names": ("sentence1", "sentence2")})
    assert sorted(query_source([task], 20, 1).texts) == ["a", "b"]  # type: ignore[list-item]


def test_a_task_whose_data_cannot_be_had_makes_room_for_the_next() -> None:
    tasks = [FakeTask("Retrieval", {}, problem="no network"), FakeTask("Retrieval", retrieval(3), name="second")]
    assert query_source(tasks, 2, 1).task_name == "second"  # type: ignore[arg-type]


def test_no_text_at_all_is_refused_with_the_reason_of_each_task() -> None:
    tasks = [FakeTask("Retrieval", {}, problem="t: no network"), FakeTask("STS", {"test": rows(score=[1.0])}, name="b")]
    with pytest.raises(CellFailed) as caught:
        query_source(tasks, 2, 1)  # type: ignore[arg-type]
    assert str(caught.value) == "no task of the suite has texts to measure costs on; t: no network; b has no texts"


def test_own_files_with_other_column_names_are_read(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "sts.jsonl", [{"q": f"one {n}", "a": f"two {n}", "score": n % 5} for n in range(6)])
    columns = {"sentence1": "q", "sentence2": "a"}
    spec = TaskSpec(name="own", type="STS", data=path, columns=columns)
    task = open_task(spec, cache_dir=tmp_path, offline=True)
    assert len(query_source([task], ALL, 1).texts) == 12


def test_training_texts_are_not_measured(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "labelled")
    task = open_task(TaskSpec(name="own", type="Classification", data=folder), cache_dir=tmp_path, offline=True)
    assert all(int(text.split()[-1]) >= 60 for text in query_source([task], ALL, 1).texts)


SOURCE = TextSource("t", "Retrieval", "document", tuple("x" * length for length in (5, 1, 9, 3, 7, 2, 8)))


def test_classes_are_thirds_by_length_in_the_order_of_the_source() -> None:
    # Sorted 1 2 | 3 5 | 7 8 9.
    found = by_length(SOURCE, texts=10, characters=1000)
    assert {name: [len(text) for text in part.texts] for name, part in found.items()} == {
        "short": [1, 2],
        "medium": [5, 3],
        "long": [9, 7, 8],
    }
    assert all(part.role == "document" for part in found.values())


def test_a_class_is_bounded_by_texts_and_by_characters() -> None:
    assert [len(text) for text in by_length(SOURCE, texts=2, characters=1000)["long"].texts] == [9, 7]
    assert [len(text) for text in by_length(SOURCE, texts=10, characters=16)["long"].texts] == [9, 7]
    assert [len(text) for text in by_length(SOURCE, texts=10, characters=15)["long"].texts] == [9]
    assert [len(text) for text in by_length(SOURCE, texts=10, characters=1)["long"].texts] == [9]


def test_a_book_counts_as_a_long_text() -> None:
    assert counted_characters(["a" * 10, "b" * 10**6]) == 10 + LONGEST_COUNTED


@pytest.mark.parametrize(("n", "classes"), [(1, ["long"]), (2, ["medium", "long"]), (3, ["short", "medium", "long"])])
def test_a_tiny_source_has_fewer_classes(n: int, classes: list[str]) -> None:
    source = TextSource("t", "STS", None, tuple("x" * number for number in range(1, n + 1)))
    assert list(by_length(source, texts=10, characters=100)) == classes
