"""A comparison keeps the answers on which its models differ most, of all models, within its room."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchkit.api.kept_answers import MOST_BYTES, MOST_ITEMS, kept_answers, within
from benchkit.runner.cell_cache import CellCache
from benchkit.runner.run import PlannedModel, key_of
from benchkit.store.answers import write_answers
from benchkit.types.answer import ItemAnswer, KeptItem
from benchkit.types.gate import Neighbour
from benchkit.types.model import ModelMeta, ModelSpec
from benchkit.types.result import CellResult, ItemKind, ItemScores

N = 400


def prepared(tmp_path: Path, models: Sequence[str], tasks: Sequence[str]) -> Any:
    """Return what is read of a prepared comparison."""
    metas = {
        name: ModelMeta(name, name, None, name, 4, "float32", 16, similarity="cosine", normalized=True)
        for name in models
    }
    planned = [PlannedModel(ModelSpec(name, name), SimpleNamespace(meta=meta)) for name, meta in metas.items()]  # type: ignore[arg-type]
    opened = [SimpleNamespace(name=name, source_digest=f"digest of {name}") for name in tasks]
    settings = SimpleNamespace(cache_dir=tmp_path)
    return SimpleNamespace(models=planned, tasks=opened, settings=settings, device="cpu", baseline=models[0])


def cell(model: str, task: str, values: np.ndarray, kind: ItemKind = "mean") -> CellResult:
    items = np.array([f"q{row}" for row in range(len(values))])
    part = ItemScores("test", "default", kind, "m", items, {"value": values})
    return CellResult(model, task, "Retrieval", "ok", "m", 0.5, items=(part,))


def answered(text: str, value: float, length: int = 0) -> ItemAnswer:
    return ItemAnswer(
        f"text of {text}", f"expected of {text}", (Neighbour(f"{text} found" + "x" * length, value, True),)
    )


def comparison(
    tmp_path: Path, models: Sequence[str], tasks: Sequence[str], *, length: int = 0, told: Sequence[str] | None = None
) -> tuple[list[CellResult], Any]:
    """Keep cells of random scores with their answers, as a run does."""
    draw = np.random.default_rng(5)
    ready = prepared(tmp_path, models, tasks)
    cells, cache = [], CellCache(tmp_path)
    for planned in ready.models:
        for opened in ready.tasks:
            one = cell(planned.spec.label, opened.name, draw.random(N))
            own = {
                ("test/default", item): answered(f"{planned.spec.label} {item}", 0.5, length)
                for item in one.items[0].items.tolist()
            }
            cells.append(one)
            cache.put(key_of(planned, opened, "cpu"), one, own if told is None or planned.spec.label in told else {})
    return cells, ready


def test_the_items_that_differ_most_are_kept_with_the_answers_of_all_models(tmp_path: Path) -> None:
    cells, ready = comparison(tmp_path, ["a", "b"], ["faq"])
    found = kept_answers(cells, ready)
    gaps = np.abs(cells[0].items[0].columns["value"] - cells[1].items[0].columns["value"])
    most = {f"q{row}" for row in np.argsort(-gaps)[:20]}
    assert most <= {one.item for one in found}
    for values in (one.items[0].columns["value"] for one in cells):
        assert {f"q{row}" for row in np.argsort(values)[:10]} <= {one.item for one in found}
    first = found[0]
    assert (first.task, first.place) == ("faq", "test/default")
    assert first.text == f"text of a {first.item}"
    assert {model: one[0].text for model, one in first.found.items()} == {
        "a": f"a {first.item} found",
        "b": f"b {first.item} found",
    }


def test_items_and_bytes_are_bounded_and_every_task_has_its_part(tmp_path: Path) -> None:
    cells, ready = comparison(tmp_path, ["a", "b", "c"], ["one", "two", "three"], length=9000)
    found = kept_answers(cells, ready)
    counts = [sum(one.task == task for one in found) for task in ("one", "two", "three")]
    assert min(counts) >= 35, "a third of 3 MiB holds 38 items with three answers of 9 kB"
    assert max(counts) - min(counts) <= 2
    texts = {(item.task, one.text) for item in found for of in item.found.values() for one in of}
    assert 0.9 * MOST_BYTES < sum(len(text) for _, text in texts) <= MOST_BYTES
    write_answers(tmp_path / "answers.parquet", found)
    assert (tmp_path / "answers.parquet").stat().st_size < 2**20

    cells, ready = comparison(tmp_path / "many", ["a", "b", "c", "d"], ["one"])
    assert len(kept_answers(cells, ready)) == MOST_ITEMS


def test_what_a_task_leaves_is_for_those_behind_it(tmp_path: Path) -> None:
    cells, ready = comparison(tmp_path, ["a", "b"], ["small", "large"], length=20_000)
    small = [one for one in cells if one.task == "small"]
    alike = [cell(one.model, "small", np.ones(N)) for one in small]
    cells = [*alike, *(one for one in cells if one.task == "large")]
    found = kept_answers(cells, ready)
    assert {one.task for one in found} == {"large"}
    assert len(found) == MOST_BYTES // (2 * 20_000 + 2 * 16 + 60), "all the room, not half of it"


def test_a_text_that_is_there_already_takes_no_room() -> None:
    def item(name: str, text: str) -> KeptItem:
        return KeptItem("t", "p", name, text, "", {"m": (Neighbour(text, 1.0, True),)})

    same = [item("i", "x" * 100) for _ in range(3)]
    kept, used = within(101 + 3 * 16, iter(same))
    assert (len(kept), used) == (3, 101 + 3 * 16)
    assert len(within(100 + 3 * 16, iter(same))[0]) == 2
    assert len(within(200, iter([item("i", "x" * 100), item("j", "y" * 100)]))[0]) == 1


def test_a_model_without_answers_is_left_out_and_the_others_are_told(tmp_path: Path) -> None:
    cells, ready = comparison(tmp_path, ["a", "b"], ["faq"], told=["b"])
    found = kept_answers(cells, ready)
    assert found
    assert all(list(one.found) == ["b"] for one in found)
    cells, ready = comparison(tmp_path / "none", ["a", "b"], ["faq"], told=[])
    assert kept_answers(cells, ready) == ()


def test_cells_that_were_not_kept_and_types_without_item_numbers_have_none(tmp_path: Path) -> None:
    cells, ready = comparison(tmp_path, ["a", "b"], ["faq"])
    ready.settings.cache_dir = tmp_path / "another"
    assert kept_answers(cells, ready) == ()
    pairs = [cell(model, "faq", np.ones(N), kind="pair") for model in ("a", "b")]
    assert kept_answers(pairs, ready) == ()
    failed = CellResult("a", "faq", "Retrieval", "failed", reason="no")
    assert kept_answers([failed], ready) == ()


def test_a_model_with_other_items_is_not_set_beside_the_first(tmp_path: Path) -> None:
    cells, ready = comparison(tmp_path, ["a", "b"], ["faq"])
    cells[1] = cell("b", "faq", np.zeros(N - 1))
    assert {model for one in kept_answers(cells, ready) for model in one.found} == {"a"}
