"""Cells run one after the other; a failure is a result, and what is known is not computed again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import Handle, HashingEncoder
from own_data import sts

from benchkit.embeddings.store import VectorStore
from benchkit.errors import ModelError
from benchkit.runner.cell_cache import CellCache
from benchkit.runner.progress import Silent
from benchkit.runner.run import PlannedModel, Runner, WatchedEncoder
from benchkit.tasks.opened import OpenedTask, open_task
from benchkit.types.model import ModelSpec, Variant
from benchkit.types.result import CellResult
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


def test_cut_texts_are_counted_once_each() -> None:
    encoder = HashingEncoder(max_seq_length=5)
    watched = WatchedEncoder(encoder)
    long = "one two three four five six seven eight"
    watched.encode([long, "short", long])
    watched.encode([long, "also a short one"])
    assert watched.warnings() == (
        "1 of 3 texts (33 %) are longer than the 5 tokens that the model reads; the rest of them was cut off",
    )


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
