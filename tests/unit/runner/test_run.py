"""Cells run one after the other; a failure is a result, and what is known is not computed again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from fakes import Handle, HashingEncoder
from own_data import jsonl, sts

from benchkit.embeddings.fingerprint import KEY_BYTES
from benchkit.embeddings.lengths import ReadTexts
from benchkit.embeddings.store import VectorStore
from benchkit.errors import ModelError
from benchkit.runner.cell_cache import CellCache
from benchkit.runner.progress import Silent
from benchkit.runner.run import PlannedModel, Runner, _cut_warning, key_of
from benchkit.tasks.kept_tags import tags_to_keep
from benchkit.tasks.opened import OpenedTask, open_task
from benchkit.types.model import ModelMeta, ModelSpec, Variant
from benchkit.types.result import CellResult, ItemScores
from benchkit.types.tags import ItemTags
from benchkit.types.task import TaskSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def task(tmp_path: Path, name: str = "s") -> OpenedTask:
    return open_task(
        TaskSpec(name=name, type="STS", data=sts(tmp_path / f"{name}.jsonl")), cache_dir=tmp_path, offline=True
    )


def planned(encoder: HashingEncoder, **variant: object) -> PlannedModel:
    return PlannedModel(ModelSpec(label=encoder.name, name=encoder.name, variant=Variant(**variant)), Handle(encoder))  # type: ignore[arg-type]


def run(tmp_path: Path, models: list[PlannedModel], tasks: list[OpenedTask]) -> list[CellResult]:
    with VectorStore(tmp_path / "cache") as vectors:
        return list(Runner(vectors, CellCache(tmp_path / "cache"), Silent(), "cpu").run(models, tasks))


def test_a_failing_model_does_not_stop_the_others(tmp_path: Path) -> None:
    broken = HashingEncoder(name="broken", spoil=lambda vectors: vectors * np.nan)
    cells = run(tmp_path, [planned(broken), planned(HashingEncoder(name="fine", seed=1))], [task(tmp_path)])
    assert [(cell.model, cell.status) for cell in cells] == [("broken", "failed"), ("fine", "ok")]
    assert cells[0].main_score is None
    assert "case" in cells[0].reason, "the reason names texts"


def test_a_known_cell_needs_no_model(tmp_path: Path) -> None:
    first = run(tmp_path, [planned(HashingEncoder())], [task(tmp_path)])[0]
    again = HashingEncoder()
    second = run(tmp_path, [planned(again)], [task(tmp_path)])[0]
    assert again.seen == []
    assert second.main_score == first.main_score


def test_a_finished_cell_keeps_what_the_model_answered(tmp_path: Path) -> None:
    model, opened = planned(HashingEncoder()), task(tmp_path)
    (cell,) = run(tmp_path, [model], [opened])
    found = CellCache(tmp_path / "cache").answers(key_of(model, opened, "cpu"))
    assert found is not None
    assert [item for _, item in found] == cell.items[0].items.tolist()
    assert all(answer.text and answer.found for answer in found.values())


def test_a_finished_cell_keeps_the_tags_of_its_items_looked_up_once_a_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sts(tmp_path / "s.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    jsonl(path, [{**row, "topic": "ab"[number % 2]} for number, row in enumerate(rows)])
    opened = open_task(TaskSpec(name="s", type="STS", data=path), cache_dir=tmp_path, offline=True)
    looked_up: list[str] = []

    def counted(of: OpenedTask, items: Sequence[ItemScores]) -> ItemTags:
        looked_up.append(of.name)
        return tags_to_keep(of, items)

    monkeypatch.setattr("benchkit.runner.run.tags_to_keep", counted)
    models = [planned(HashingEncoder()), planned(HashingEncoder(name="other", seed=1))]
    run(tmp_path, models, [opened])
    kept = [CellCache(tmp_path / "cache").tags(key_of(model, opened, "cpu")) for model in models]
    assert kept == [ItemTags({"test/default": {"topic": ("a", "b") * 30}}, alike={"lang": "en"})] * 2
    assert looked_up == ["s"]


def test_tags_that_cant_be_told_cost_the_cell_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> ItemTags:
        raise KeyError("a row of another form")

    monkeypatch.setattr("benchkit.runner.run.tags_to_keep", broken)
    model, opened = planned(HashingEncoder()), task(tmp_path)
    (cell,) = run(tmp_path, [model], [opened])
    assert cell.status == "ok"
    assert CellCache(tmp_path / "cache").tags(key_of(model, opened, "cpu")) is None


def test_variants_share_one_encode_and_carry_their_own_sizes(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    models = [planned(encoder), planned(encoder, truncate_dim=16), planned(encoder, precision="binary")]
    run(tmp_path, models, [task(tmp_path)])
    assert len(encoder.seen) == len(set(encoder.seen)), "every distinct text once"
    assert [(m.meta.dimension, m.meta.bytes_per_vector) for m in models] == [(64, 256), (16, 64), (64, 8)]


def test_two_tasks_on_the_same_texts_encode_them_once(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    cells = run(tmp_path, [planned(encoder)], [task(tmp_path, "one"), task(tmp_path, "two")])
    assert cells[1].texts_encoded == 0
    assert cells[0].texts == cells[1].texts == 120
    assert len(encoder.seen) == len(set(encoder.seen))


# Cut texts


@dataclass
class CountingEncoder(HashingEncoder):
    """Notes which texts it was asked to count; a token is four characters."""

    counted: list[str] = field(default_factory=list)

    def count_tokens(self, texts: Sequence[str]) -> np.ndarray:
        self.counted.extend(texts)
        return np.array([len(text) // 4 for text in texts], np.int64)


def test_cut_texts_are_named_in_a_warning_and_counted_once(tmp_path: Path) -> None:
    encoder = CountingEncoder(max_seq_length=9)
    cells = run(tmp_path, [planned(encoder)], [task(tmp_path, "one"), task(tmp_path, "two")])
    texts = sorted(set(encoder.seen))
    n_cut = sum(len(text) // 4 > 9 for text in texts)
    assert 0 < n_cut < len(texts)
    share = 100 * n_cut / len(texts)
    sentence = (
        f"{n_cut} of {len(texts)} texts ({share:.0f} %) are longer than the 9 tokens that the model reads; the rest of "
        "them was cut off"
    )
    assert [cell.warnings for cell in cells] == [(sentence,)] * 2
    assert sorted(encoder.counted) == texts


def test_one_cut_text_of_many_is_not_called_0_per_cent() -> None:
    read = ReadTexts()
    keys = np.random.default_rng(0).integers(0, 256, (368, KEY_BYTES), dtype=np.uint8)
    read.add(keys, np.arange(368) == 7)
    (sentence,) = _cut_warning(read, replace(HashingEncoder().meta, max_seq_length=256))
    assert sentence.startswith("1 of 368 texts (less than 1 %) are longer than the 256 tokens")


def test_the_warning_is_the_same_on_known_vectors(tmp_path: Path) -> None:
    first = run(tmp_path, [planned(CountingEncoder(max_seq_length=9))], [task(tmp_path)])[0]
    again = CountingEncoder(max_seq_length=9)
    with VectorStore(tmp_path / "cache") as vectors:
        second = next(Runner(vectors, None, Silent(), "cpu").run([planned(again)], [task(tmp_path)]))
    assert again.seen == []
    assert second.warnings == first.warnings != ()


# Engines


@dataclass
class EngineEncoder(HashingEncoder):
    """A fake that says what computes its vectors, and what it found out while it was loaded."""

    engine: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def meta(self) -> ModelMeta:
        return replace(super().meta, engine=self.engine, notes=self.notes)


@dataclass(frozen=True)
class ExpectingHandle(Handle):
    """A handle that expects another engine than it will load."""

    expected: str | None
    found_notes: tuple[str, ...] = ()

    @property
    def meta(self) -> ModelMeta:
        return replace(self.encoder.meta, engine=self.expected, notes=self.found_notes)


def expecting(encoder: EngineEncoder, expected: str | None, notes: tuple[str, ...] = ()) -> PlannedModel:
    return PlannedModel(ModelSpec(label=encoder.name, name=encoder.name), ExpectingHandle(encoder, expected, notes))


def test_a_cell_says_which_engine_computed_it_and_why_another_was_refused(tmp_path: Path) -> None:
    notes = ("weights from the package", "engine packed refused: 2 of 10 probe texts differ by 0.3")
    for _ in range(2):  # computed, and known
        encoder = EngineEncoder(engine="torch", notes=notes)
        cell = run(tmp_path, [expecting(encoder, "packed", notes[:1])], [task(tmp_path)])[0]
        assert cell.engine == "torch"
        assert cell.warnings == notes[1:]
    assert encoder.seen == [], "the second cell was known"


def test_another_expected_engine_is_another_cell(tmp_path: Path) -> None:
    for expected in ("packed", "torch", None):
        with VectorStore(tmp_path / expected if expected else tmp_path / "none") as vectors:
            encoder = EngineEncoder(engine=expected)
            runner = Runner(vectors, CellCache(tmp_path / "cache"), Silent(), "cpu")
            (cell,) = runner.run([expecting(encoder, expected)], [task(tmp_path)])
        assert cell.engine == expected
        assert encoder.seen


def test_vectors_of_another_engine_are_not_used(tmp_path: Path) -> None:
    encoders = [EngineEncoder(engine=engine) for engine in ("packed", "torch", None, "packed")]
    for encoder in encoders:
        with VectorStore(tmp_path / "cache") as vectors:
            next(Runner(vectors, None, Silent(), "cpu").run([expecting(encoder, "packed")], [task(tmp_path)]))
    assert [bool(encoder.seen) for encoder in encoders] == [True, True, True, False]


def test_two_engines_of_one_model_are_loaded_each(tmp_path: Path) -> None:
    exact = EngineEncoder(name="exact", engine="packed", fingerprint="same")
    reference = EngineEncoder(name="reference", engine="torch", fingerprint="same")
    cells = run(tmp_path, [expecting(exact, "packed"), expecting(reference, "torch")], [task(tmp_path)])
    assert [cell.engine for cell in cells] == ["packed", "torch"]
    assert len(exact.seen) == len(reference.seen) > 0


# Loading


def test_a_model_that_cant_be_loaded_is_tried_once_and_fails_every_cell(tmp_path: Path) -> None:
    class Broken(Handle):
        def load(self) -> HashingEncoder:
            tries.append(1)
            raise ModelError("its weights are gone")

    tries: list[int] = []
    model = PlannedModel(ModelSpec(label="broken", name="broken"), Broken(HashingEncoder()))
    cells = run(tmp_path, [model], [task(tmp_path, "one"), task(tmp_path, "two")])
    assert [(cell.status, cell.reason) for cell in cells] == [("failed", "its weights are gone")] * 2
    assert tries == [1]
