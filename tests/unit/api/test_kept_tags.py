"""A comparison keeps the tags of its tasks as the cells have them; cells of before there were tags have none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchkit.api.kept_tags import kept_tags
from benchkit.runner.cell_cache import CellCache
from benchkit.runner.run import PlannedModel, key_of
from benchkit.types.model import ModelMeta, ModelSpec
from benchkit.types.result import CellResult, ItemScores
from benchkit.types.tags import ItemTags, KeptTags

TOPIC = ItemTags({"test/default": {"topic": ("a", "b")}})


def prepared(tmp_path: Path, models: tuple[str, ...], tasks: tuple[str, ...]) -> Any:
    metas = {
        name: ModelMeta(name, name, None, name, 4, "float32", 16, similarity="cosine", normalized=True)
        for name in models
    }
    planned = [PlannedModel(ModelSpec(name, name), SimpleNamespace(meta=meta)) for name, meta in metas.items()]  # type: ignore[arg-type]
    opened = [SimpleNamespace(name=name, source_digest=f"digest of {name}") for name in tasks]
    return SimpleNamespace(models=planned, tasks=opened, settings=SimpleNamespace(cache_dir=tmp_path), device="cpu")


def cell(model: str, task: str) -> CellResult:
    part = ItemScores("test", "default", "mean", "m", np.array(["q0", "q1"]), {"value": np.zeros(2)})
    return CellResult(model, task, "Retrieval", "ok", "m", 0.5, items=(part,))


def test_the_first_cell_of_a_task_that_has_tags_tells_them(tmp_path: Path) -> None:
    ready = prepared(tmp_path, ("old", "new", "last"), ("faq", "none"))
    cells = [cell(model, task) for model in ("old", "new", "last") for task in ("faq", "none")]
    of_faq = {"old": None, "new": TOPIC, "last": ItemTags({}, ("not the first",))}
    for planned in ready.models:
        for opened in ready.tasks:
            tags = of_faq[planned.spec.label] if opened.name == "faq" else ItemTags()
            CellCache(tmp_path).put(key_of(planned, opened, "cpu"), cell("m", "t"), tags=tags)
    items = {"test/default": ("q0", "q1")}
    assert kept_tags(cells, ready) == (KeptTags("none", items, ItemTags()), KeptTags("faq", items, TOPIC))


def test_cells_without_tags_or_without_items_have_none(tmp_path: Path) -> None:
    ready = prepared(tmp_path, ("old",), ("faq", "failed"))
    CellCache(tmp_path).put(key_of(ready.models[0], ready.tasks[0], "cpu"), cell("m", "t"))
    assert kept_tags([cell("old", "faq"), CellResult("old", "failed", "STS", "failed")], ready) == ()


def test_a_sentence_on_what_is_left_out_is_kept_without_any_tag(tmp_path: Path) -> None:
    ready = prepared(tmp_path, ("m",), ("faq",))
    CellCache(tmp_path).put(key_of(ready.models[0], ready.tasks[0], "cpu"), cell("m", "t"), tags=ItemTags({}, ("why",)))
    assert kept_tags([cell("m", "faq")], ready)[0].tags.left_out == ("why",)
