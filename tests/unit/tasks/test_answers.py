"""What a model answered to an item is what its score was made of, and reads as a person would want it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from fakes import HashingEncoder
from own_data import bitext, jsonl, retrieval, sentences, tsv, write_all

from benchkit.models.lexical import open_bm25
from benchkit.tasks.answers import answers
from benchkit.tasks.opened import OpenedTask, open_task
from benchkit.tasks.ranked import NEIGHBOURS, TEXT_LENGTH, cut
from benchkit.tasks.scoring import answer_items, score_task
from benchkit.types.answer import ItemAnswer
from benchkit.types.gate import Neighbour
from benchkit.types.model import ModelSpec, OpenContext, Variant
from benchkit.types.result import ItemScores
from benchkit.types.task import TASK_TYPES, TaskSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
PLACE = "test/default"
FLOAT = Variant()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_all(tmp_path_factory.mktemp("own"))


def opened(kind: str, data: Path, cache: Path, **options: Any) -> OpenedTask:
    spec = TaskSpec(name=f"own-{kind}", type=kind, data=data, **options)
    return open_task(spec, cache_dir=cache, offline=True)


def noisy() -> HashingEncoder:
    return HashingEncoder(dimension=24, noise=0.25)


def all_answers(task: OpenedTask) -> tuple[ItemScores, list[ItemAnswer]]:
    (items,) = score_task(task, noisy(), FLOAT).items
    found = answer_items(task, noisy(), FLOAT, {PLACE: items.items.tolist()})
    assert list(found) == [(PLACE, item) for item in items.items.tolist()]
    return items, list(found.values())


@pytest.mark.parametrize("kind", TASK_TYPES)
def test_every_item_of_every_type_has_its_texts_and_an_answer(kind: str, data: dict[str, Path], tmp_path: Path) -> None:
    items, found = all_answers(opened(kind, data[kind], tmp_path))
    assert all(answer.text and answer.expected and answer.found for answer in found)
    assert max(len(answer.found) for answer in found) <= NEIGHBOURS
    if items.kind == "mean":
        np.testing.assert_allclose([answer.value for answer in found], items.columns["value"])


def test_an_item_that_is_not_there_has_no_answer(data: dict[str, Path], tmp_path: Path) -> None:
    for kind in ("Retrieval", "STS"):
        task = opened(kind, data[kind], tmp_path)
        assert answer_items(task, noisy(), FLOAT, {PLACE: ["10000", "nobody"], "dev/default": ["0"]}) == {}


def test_a_query_shows_its_ranking_by_score_with_what_is_relevant(tmp_path: Path) -> None:
    """By hand: a dictionary of three words as the model, so that every cosine is known."""
    folder = tmp_path / "r"
    documents = {"a": "sun sun", "b": "sun rain", "c": "rain", "d": "wind"}
    jsonl(folder / "corpus.jsonl", [{"_id": name, "title": name.upper(), "text": t} for name, t in documents.items()])
    jsonl(folder / "queries.jsonl", [{"_id": "q", "text": "sun"}, {"_id": "p", "text": "wind"}])
    judged = [("q", "b", 2), ("q", "d", 1), ("q", "c", 0), ("p", "d", 1)]
    tsv(folder / "qrels" / "test.tsv", ("query-id", "corpus-id", "score"), judged)

    class Words(HashingEncoder):
        def _vector(self, text: str) -> np.ndarray:
            counts = np.array([text.split().count(word) for word in ("sun", "rain", "wind")], dtype=np.float64)
            return counts / np.linalg.norm(counts)

    found = answer_items(opened("Retrieval", folder, tmp_path), Words(dimension=3), FLOAT, {PLACE: ["q", "p"]})
    answer = found[PLACE, "q"]
    assert answer.text == "sun"
    assert answer.expected == "B: sun rain (grade 2); D: wind (grade 1)"
    assert [(one.text, one.correct) for one in answer.found] == [
        ("A: sun sun", False),
        ("B: sun rain", True),
        ("C: rain", False),
        ("D: wind", True),
    ]
    assert [one.score for one in answer.found] == pytest.approx([1.0, 0.5**0.5, 0.0, 0.0], abs=1e-6)
    # nDCG: the gains 2 and 1 at the ranks 2 and 3 or 4 (c and d tie), of 2 and 1 at the ranks 1 and 2.
    ideal = 2 + 1 / np.log2(3)
    options = [(2 / np.log2(3) + 1 / np.log2(rank + 1)) / ideal for rank in (3, 4)]
    assert any(answer.value == pytest.approx(option, abs=1e-5) for option in options)
    assert found[PLACE, "p"].expected == "D: wind", "one grade needs no saying"
    assert found[PLACE, "p"].value == pytest.approx(1.0)


def test_many_relevant_documents_are_counted(tmp_path: Path) -> None:
    folder = retrieval(tmp_path / "r")
    tsv(folder / "qrels" / "test.tsv", ("query-id", "corpus-id", "score"), [("q0", f"d{i}", 1) for i in range(9)])
    found = answer_items(opened("Retrieval", folder, tmp_path), noisy(), FLOAT, {PLACE: ["q0"]})
    assert found[PLACE, "q0"].expected.count(";") == 3
    assert found[PLACE, "q0"].expected.endswith("; and 6 more")


def test_a_ranking_without_scores_of_queries_still_shows_what_was_found(data: dict[str, Path], tmp_path: Path) -> None:
    task = opened("Retrieval", data["Retrieval"], tmp_path).fresh()
    part = task.dataset["default"]["test"]
    task.start_recording()
    task.per_query["test", "default"] = {"q0": {}}
    task.results["test", "default"] = {"q0": {"d3": 0.2, "d0": 0.9}}
    assert len(part["queries"]) > 1
    answer = answers(task, "alpha_auc", {PLACE: ["q0"]})[PLACE, "q0"]
    assert answer.value is None
    assert [(one.score, one.correct) for one in answer.found] == [(0.9, True), (0.2, False)]


def test_a_lexical_model_is_asked_the_same_way(data: dict[str, Path], tmp_path: Path) -> None:
    model = open_bm25(ModelSpec(label="bm25", name="bm25"), OpenContext("cpu", True, tmp_path)).load()
    task = opened("Retrieval", data["Retrieval"], tmp_path)
    (items,) = score_task(task, model, FLOAT).items
    found = answer_items(task, model, FLOAT, {PLACE: items.items.tolist()})
    np.testing.assert_allclose([answer.value for answer in found.values()], items.columns["value"])


def test_a_variant_gives_the_answers_of_the_variant(data: dict[str, Path], tmp_path: Path) -> None:
    task = opened("Retrieval", data["Retrieval"], tmp_path)
    binary = Variant(precision="binary")
    (items,) = score_task(task, noisy(), binary).items
    found = answer_items(task, noisy(), binary, {PLACE: items.items.tolist()})
    np.testing.assert_allclose([answer.value for answer in found.values()], items.columns["value"])
    full = answer_items(task, noisy(), FLOAT, {PLACE: items.items.tolist()})
    assert [a.found for a in found.values()] != [a.found for a in full.values()]


def test_a_label_shows_the_share_of_the_experiments(data: dict[str, Path], tmp_path: Path) -> None:
    items, found = all_answers(opened("Classification", data["Classification"], tmp_path))
    value = items.columns["value"]
    assert 0 < np.mean(value) < 1
    for answer, share in zip(found, value, strict=True):
        assert answer.expected in ("heating", "billing", "solar", "charging")
        right = [one for one in answer.found if one.correct]
        assert sum(one.score or 0 for one in right) == pytest.approx(share)
        assert all(one.text == answer.expected for one in right)
        shares = [one.score or 0 for one in answer.found]
        assert shares == sorted(shares, reverse=True)


def test_several_labels_are_named_as_in_the_data(data: dict[str, Path], tmp_path: Path) -> None:
    items, found = all_answers(opened("MultilabelClassification", data["MultilabelClassification"], tmp_path))
    rows = (data["MultilabelClassification"] / "test.jsonl").read_text(encoding="utf-8").splitlines()
    for answer, row, value in zip(found, rows, items.columns["value"], strict=True):
        assert all(f'"{label}"' in row for label in answer.expected.split(", "))
        if value == 1:
            given = {one.text for one in answer.found if one.score == 1.0}
            assert given == set(answer.expected.split(", "))
        assert all(one.correct == (one.text in answer.expected) for one in answer.found)


def test_a_pair_shows_both_texts_and_the_similarity_that_was_scored(data: dict[str, Path], tmp_path: Path) -> None:
    for kind in ("STS", "PairClassification"):
        items, found = all_answers(opened(kind, data[kind], tmp_path))
        predicted = items.columns["predicted"] if kind == "STS" else items.columns["predicted"][:, 0]
        assert [answer.found[0].score for answer in found] == pytest.approx(predicted.tolist())
        assert {one.text for answer in found for one in answer.found} == {"similarity"}
        assert all(answer.text.count(" ⇔ ") == 1 for answer in found)
        first = found[1].text.split(" ⇔ ")[0]
        assert first == sentences(60)[1][1]
        expected = {"STS": "4.2", "PairClassification": "1 (a match)"}[kind]
        assert found[1].expected == expected


def test_a_clustered_text_shows_the_company_that_it_is_in(data: dict[str, Path], tmp_path: Path) -> None:
    items, found = all_answers(opened("Clustering", data["Clustering"], tmp_path))
    cluster, label = items.columns["cluster"], items.columns["label"][:, 0]
    for number, answer in enumerate(found):
        experiment = int(np.flatnonzero(cluster[number] >= 0)[0])
        mates = [m for m in np.flatnonzero(cluster[:, experiment] == cluster[number, experiment]) if m != number]
        alike = sum(label[m] == label[number] for m in mates)
        if not mates:
            assert answer.found == (Neighbour("alone in its cluster"),)
            continue
        assert answer.found[0].text == f"{alike} of {len(mates)} other texts in its cluster have its label"
        assert [one.correct for one in answer.found[1:]] == [bool(label[m] == label[number]) for m in mates[:4]]
        assert answer.text not in {one.text for one in answer.found}


def test_a_sentence_shows_what_was_taken_for_its_translation(tmp_path: Path) -> None:
    task = opened("BitextMining", bitext(tmp_path / "b.jsonl"), tmp_path)
    items, found = all_answers(task)
    right = items.columns["gold"] == items.columns["predicted"]
    assert [answer.found[0].correct for answer in found] == right.tolist()
    assert 0 < right.sum() < len(right)
    for answer, is_right in zip(found, right, strict=True):
        assert (answer.found[0].text == answer.expected) == is_right
        assert answer.expected == answer.text.replace("a", "ä").replace("e", "é")


def test_a_number_and_a_summary_are_told_as_far_as_they_go() -> None:
    """Two types that own data can't have, recorded by hand."""
    rows = Dataset.from_dict({"text": ["old", "new"], "value": [1999.0, 2020.0]})
    recorded = {("test", "default"): [([1999.0, 2020.0], [2001.0, 2019.0]), ([1999.0, 2020.0], [2004.0, 2020.0])]}
    task = evaluated("RuSciBenchYearPublRegression", rows, scored=recorded, label_column_name="value")
    found = answers(task, "kendalltau", {PLACE: ["0", "1"]})
    assert found[PLACE, "0"] == ItemAnswer("old", "1999", (Neighbour("2002"),))
    assert found[PLACE, "1"] == ItemAnswer("new", "2020", (Neighbour("2020"),))
    task = evaluated("SummEvalSummarization.v2", Dataset.from_dict({"text": ["a b"], "relevance": [[1.0, 2.0]]}))
    assert answers(task, "cosine_spearman", {PLACE: ["0"]}) == {(PLACE, "0"): ItemAnswer("a b")}


def evaluated(name: str, rows: Any, *, scored: Any = None, **attributes: Any) -> Any:
    """Return an MTEB task with rows and what it would have recorded."""
    import mteb

    from benchkit.tasks.recording import recording_class

    task = recording_class(type(mteb.get_task(name)))()
    task.start_recording()
    task.scored = scored or {}
    task.dataset = {"default": {"test": rows}}
    task.hf_subsets = ["default"]
    task._eval_splits = ["test"]
    for attribute, value in attributes.items():
        setattr(task, attribute, value)
    return task


def test_long_texts_are_cut_as_in_the_list_of_worst_items() -> None:
    assert cut("a\n b\t c") == "a b c"
    assert cut("x" * TEXT_LENGTH) == "x" * TEXT_LENGTH
    assert cut("x" * (TEXT_LENGTH + 1)) == "x" * (TEXT_LENGTH - 1) + "…"


def test_a_type_that_nobody_knows_shows_its_text() -> None:
    part = Dataset.from_dict({"text": ["a"], "input": ["read me"]})
    task = SimpleNamespace(
        per_query={},
        scored={},
        predictions={},
        metadata=SimpleNamespace(type="Palmistry"),
        eval_splits=["test"],
        hf_subsets=["default"],
        dataset={"test": part},
        input_column_name="input",
    )
    assert answers(task, "luck", {PLACE: ["0"]}) == {(PLACE, "0"): ItemAnswer("read me")}
