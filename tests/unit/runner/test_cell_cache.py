"""Finished cells come back whole, under their own identity only, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchkit.runner import cell_cache
from benchkit.runner.cell_cache import DECIDING_LIBRARIES, DECIDING_SCORERS, CellCache, cell_key
from benchkit.runner.packed_answers import pack
from benchkit.runner.packed_tags import pack_tags
from benchkit.types.answer import ItemAnswer
from benchkit.types.gate import Neighbour
from benchkit.types.model import Variant
from benchkit.types.result import CellResult, ItemScores, WorstItem
from benchkit.types.tags import ItemTags

ITEMS = ItemScores(
    "test",
    "en",
    "clustering",
    "v_measure",
    np.array(["a", "ß", "中"]),
    {"label": np.array([[0], [1], [1]]), "cluster": np.array([[0], [1], [-1]], dtype=np.int32), "draws": np.eye(3, 1)},
    np.array([0, 0, 1]),
)
RESULT = CellResult(
    model="m",
    task="t",
    type="Clustering",
    status="ok",
    main_metric="v_measure",
    main_score=0.1 + 0.2,
    scores={"test/en": 0.1 + 0.2},
    items=(ITEMS,),
    n_items=3,
    data_digest="d",
    warnings=("w",),
    worst=(WorstItem("q", 0.0, "text", "expected", "found"),),
    seconds=1.5,
    engine="packed",
)


FACTS = {
    "fingerprint": "f",
    "similarity": "cosine",
    "engine": "torch",
    "variant": Variant(),
    "source_digest": "s",
    "device_kind": "cpu",
}


def same(a: CellResult, b: CellResult) -> bool:
    (one,), (two,) = a.items, b.items
    arrays = all(
        np.array_equal(one.columns[k], two.columns[k]) and one.columns[k].dtype == two.columns[k].dtype
        for k in one.columns
    )
    rest = replace(a, items=()) == replace(b, items=())
    strata = np.array_equal(one.strata, two.strata)  # type: ignore[arg-type]
    return rest and arrays and strata and list(one.items) == list(two.items) and one.kind == two.kind


def test_a_cell_comes_back_exactly_under_the_names_of_the_asking_comparison(tmp_path: Path) -> None:
    cache = CellCache(tmp_path)
    assert cache.put("k", RESULT)
    found = cache.get("k", model="other", task="renamed")
    assert found is not None
    assert same(found, replace(RESULT, model="other", task="renamed"))


def test_an_unknown_key_is_no_cell(tmp_path: Path) -> None:
    assert CellCache(tmp_path).get("nothing", model="m", task="t") is None


def test_a_cell_of_an_older_benchkit_is_no_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = CellCache(tmp_path)
    monkeypatch.setattr(cell_cache, "FORMAT", cell_cache.FORMAT - 1)
    assert cache.put(cell_key(**FACTS), RESULT)  # type: ignore[arg-type]
    monkeypatch.undo()
    assert cache.get(cell_key(**FACTS), model="m", task="t") is None  # type: ignore[arg-type]


def test_answers_come_back_when_they_are_asked_for(tmp_path: Path) -> None:
    answers = {("test/en", "a"): ItemAnswer("text", "expected", (Neighbour("found", 0.5, True),), 0.25)}
    cache = CellCache(tmp_path)
    cache.put("with", RESULT, answers)
    cache.put("without", RESULT)
    assert cache.answers("with") == answers
    assert cache.answers("without") == {}
    assert cache.answers("nothing") is None
    known = cache.get("with", model="m", task="t")
    assert known is not None
    assert same(known, RESULT)


def test_tags_come_back_when_they_are_asked_for_and_a_cell_without_them_has_none(tmp_path: Path) -> None:
    tags = ItemTags({"test/en": {"topic": ("a", "b", "")}}, ("left out",))
    cache = CellCache(tmp_path)
    cache.put("with", RESULT, tags=tags)
    cache.put("before there were tags", RESULT)
    assert cache.tags("with") == tags
    assert cache.tags("before there were tags") is None
    assert cache.tags("nothing") is None
    assert cache.answers("with") == {}
    known = cache.get("with", model="m", task="t")
    assert known is not None
    assert same(known, RESULT)


def test_damaged_answers_are_none_and_cost_the_cell_nothing(tmp_path: Path) -> None:
    answers = {("test/en", "a"): ItemAnswer("text" * 50)}
    cache = CellCache(tmp_path)
    cache.put("k", RESULT, answers)
    path = tmp_path / "cells" / "k.npz"
    packed, content = pack(answers), path.read_bytes()
    assert content.count(packed) == 1
    path.write_bytes(content.replace(packed, packed[:-1] + bytes([packed[-1] ^ 0xFF])))
    assert cache.answers("k") is None
    known = cache.get("k", model="m", task="t")
    assert known is not None
    assert same(known, RESULT)


def test_damaged_tags_are_none_and_cost_the_cell_nothing(tmp_path: Path) -> None:
    tags = ItemTags({"test/en": {"topic": ("a", "b", "")}})
    cache = CellCache(tmp_path)
    cache.put("k", RESULT, tags=tags)
    path = tmp_path / "cells" / "k.npz"
    packed, content = pack_tags(tags), path.read_bytes()
    assert content.count(packed) == 1
    path.write_bytes(content.replace(packed, packed[:-1] + bytes([packed[-1] ^ 0xFF])))
    assert cache.tags("k") is None
    known = cache.get("k", model="m", task="t")
    assert known is not None
    assert same(known, RESULT)


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "foreign"])
def test_a_damaged_file_is_no_cell(damage: str, tmp_path: Path) -> None:
    cache = CellCache(tmp_path)
    cache.put("k", RESULT)
    path = tmp_path / "cells" / "k.npz"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        at = content.index(b"found") if b"found" in content else len(content) // 3
        content[at] ^= 0xFF
    path.write_bytes(
        {"flipped": bytes(content), "cut": bytes(content[: len(content) // 2]), "empty": b"", "foreign": b"hello"}[
            damage
        ]
    )
    assert cache.get("k", model="m", task="t") is None


def test_no_pickle_is_ever_read(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    np.savez(tmp_path / "cells" / "k.npz", record=np.array([{"evil": 1}], dtype=object))
    assert CellCache(tmp_path).get("k", model="m", task="t") is None


def test_a_cache_that_cant_be_written_says_so_and_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not CellCache(tmp_path / "file").put("k", RESULT)


@pytest.mark.parametrize("name", [*DECIDING_LIBRARIES, *DECIDING_SCORERS])
def test_another_version_of_a_deciding_package_is_another_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cell_key(**FACTS)  # type: ignore[arg-type]
    installed = cell_cache._version
    assert installed(name) != "absent", "the name of the package is misspelt"
    monkeypatch.setattr(cell_cache, "_version", lambda other: "next" if other == name else installed(other))
    assert cell_key(**FACTS) != before  # type: ignore[arg-type]


def test_everything_that_decides_a_score_is_in_the_key() -> None:
    base = cell_key(**FACTS)  # type: ignore[arg-type]
    others = [
        {"fingerprint": "g"},
        {"similarity": "dot"},
        {"engine": "packed"},
        {"engine": None},
        {"variant": Variant(truncate_dim=8)},
        {"variant": Variant(precision="int8")},
        {"variant": Variant(normalize=True)},
        {"source_digest": "t"},
        {"device_kind": "cuda"},
    ]
    keys = [cell_key(**{**FACTS, **change}) for change in others]  # type: ignore[arg-type]
    assert len({base, *keys}) == len(others) + 1
    assert cell_key(**FACTS) == base  # type: ignore[arg-type]


def test_whatever_byte_is_damaged_a_cell_comes_back_whole_or_not_at_all(tmp_path: Path) -> None:
    cache = CellCache(tmp_path)
    assert cache.put("k", RESULT)
    path = cache.folder / "k.npz"
    content = path.read_bytes()
    directory = content.index(b"PK\x01\x02")  # what zip says of the first member, byte by byte; of the rest a sample
    for place in (*range(directory, directory + 60), *range(60), *range(0, len(content), 41)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        found = cache.get("k", model="m", task="t")
        assert found is None or same(found, RESULT)
        assert cache.answers("k") in (None, {})
