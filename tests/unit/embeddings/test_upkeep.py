from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from benchkit.embeddings import upkeep
from benchkit.embeddings.fingerprint import text_keys
from benchkit.embeddings.segment import block_bytes
from benchkit.embeddings.store import VectorStore
from benchkit.embeddings.upkeep import Removal, claim, clear, info, model_folder, prune, space_folder

SPACE_BYTES = block_bytes(count=5, dimension=4)


def _fill(cache: Path, fingerprint: str, space: str, *, used_at: float) -> Path:
    with VectorStore(cache) as store:
        store.open(fingerprint, space).append(text_keys(list("abcde")), np.ones((5, 4), np.float32))
    folder = space_folder(cache, fingerprint, space)
    os.utime(folder / "used", (used_at, used_at))
    return folder


def test_info_adds_up_the_spaces_of_each_model_last_used_first(tmp_path: Path) -> None:
    with VectorStore(tmp_path) as store:
        store.open("minilm", "query")
        store.describe("minilm", {"name": "minilm", "dimension": 4})
    _fill(tmp_path, "minilm", "query", used_at=100)
    _fill(tmp_path, "minilm", "document", used_at=200)
    _fill(tmp_path, "bge", "query", used_at=300)
    bge, minilm = info(tmp_path)
    assert (bge.fingerprint, bge.facts, bge.spaces, bge.last_used) == ("bge", {}, 1, 300)
    assert minilm.facts == {"name": "minilm", "dimension": 4}
    assert (minilm.spaces, minilm.segments, minilm.vectors, minilm.n_bytes) == (2, 2, 10, 2 * SPACE_BYTES)
    assert minilm.last_used == 200


def test_a_folder_without_vectors_has_no_totals(tmp_path: Path) -> None:
    assert info(tmp_path / "missing") == []
    assert clear(tmp_path / "missing") == prune(tmp_path, 0) == clear(tmp_path, "model") == Removal(0, 0, 0)


@pytest.mark.parametrize("content", ["{", "[1]", "\ufeff"])
def test_a_broken_model_json_hides_only_itself(tmp_path: Path, content: str) -> None:
    _fill(tmp_path, "minilm", "query", used_at=1)
    (model_folder(tmp_path, "minilm") / "model.json").write_text(content)
    assert [total.facts for total in info(tmp_path)] == [{}]


def test_a_model_is_described_for_people_and_no_unfinished_file_stays(tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    store.describe("minilm", {"name": "minilm", "id": "hub/模型"})
    store.describe("minilm", {"name": "minilm", "id": "hub/other"})
    (path,) = model_folder(tmp_path, "minilm").iterdir()
    assert json.loads(path.read_text()) == {"name": "minilm", "id": "hub/other"}


def test_an_unfinished_model_json_is_removed_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="No space left on device"):
        VectorStore(tmp_path).describe("minilm", {"name": "minilm"})
    assert list(model_folder(tmp_path, "minilm").iterdir()) == []


def test_clear_removes_one_model_or_all(tmp_path: Path) -> None:
    _fill(tmp_path, "minilm", "query", used_at=1)
    _fill(tmp_path, "minilm", "document", used_at=1)
    _fill(tmp_path, "bge", "query", used_at=1)
    VectorStore(tmp_path).describe("minilm", {"name": "minilm"})
    assert clear(tmp_path, "minilm") == Removal(spaces=2, n_bytes=2 * SPACE_BYTES, in_use=0)
    assert [path.name for path in (tmp_path / "embeddings").iterdir()] == ["bge"]
    assert clear(tmp_path) == Removal(spaces=1, n_bytes=SPACE_BYTES, in_use=0)
    assert list((tmp_path / "embeddings").iterdir()) == []


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    space = _fill(tmp_path, "minilm", "query", used_at=1)
    foreign = [space / "notes.txt", space / "x.seg", space.parent / "paper.pdf", tmp_path / "embeddings" / "readme"]
    (tmp_path / "embeddings" / "folder").mkdir()
    for path in foreign:
        path.write_text("mine")
    assert clear(tmp_path).spaces == 1
    assert all(path.read_text() == "mine" for path in foreign)
    assert sorted(path.name for path in space.iterdir()) == ["notes.txt", "x.seg"]
    assert (tmp_path / "embeddings" / "folder").is_dir()


def test_a_link_to_a_folder_elsewhere_is_not_followed(tmp_path: Path) -> None:
    elsewhere = _fill(tmp_path / "elsewhere", "minilm", "query", used_at=1)
    (tmp_path / "cache" / "embeddings").mkdir(parents=True)
    (tmp_path / "cache" / "embeddings" / "minilm").symlink_to(elsewhere.parent)
    assert clear(tmp_path / "cache").spaces == 0
    assert len(list(elsewhere.iterdir())) == 2


def test_prune_takes_the_least_recently_used_first_and_no_more_than_it_must(tmp_path: Path) -> None:
    spaces = {name: _fill(tmp_path, name, "space", used_at=at) for name, at in [("b", 1), ("d", 2), ("a", 3), ("c", 4)]}
    assert prune(tmp_path, 4 * SPACE_BYTES) == Removal(0, 0, 0)
    assert prune(tmp_path, 3 * SPACE_BYTES - 1) == Removal(spaces=2, n_bytes=2 * SPACE_BYTES, in_use=0)
    assert {name for name, folder in spaces.items() if folder.exists()} == {"a", "c"}
    assert prune(tmp_path, 0).spaces == 2
    assert info(tmp_path) == []


def test_a_space_without_its_mark_goes_first(tmp_path: Path) -> None:
    _fill(tmp_path, "old", "space", used_at=1)
    unmarked = _fill(tmp_path, "unmarked", "space", used_at=2)
    (unmarked / "used").unlink()
    assert prune(tmp_path, SPACE_BYTES).spaces == 1
    assert [total.fingerprint for total in info(tmp_path)] == ["old"]


def test_a_space_in_use_is_never_removed(tmp_path: Path) -> None:
    _fill(tmp_path, "used", "space", used_at=1)
    _fill(tmp_path, "idle", "space", used_at=2)
    with VectorStore(tmp_path) as store:
        space = store.open("used", "space")
        os.utime(space_folder(tmp_path, "used", "space") / "used", (1, 1))
        assert prune(tmp_path, 0) == Removal(spaces=1, n_bytes=SPACE_BYTES, in_use=1)
        assert clear(tmp_path) == Removal(spaces=0, n_bytes=0, in_use=1)
        assert space.lookup(text_keys(["a"]))[0].all()
    assert clear(tmp_path).spaces == 1


def test_opening_and_closing_mark_a_space_as_used(tmp_path: Path) -> None:
    mark = _fill(tmp_path, "minilm", "query", used_at=100) / "used"
    with VectorStore(tmp_path) as store:
        store.open("minilm", "query")
        assert mark.stat().st_mtime > 100
        os.utime(mark, (100, 100))
    assert mark.stat().st_mtime > 100


def test_a_store_keeps_to_its_limit_but_never_drops_what_it_has_open(tmp_path: Path) -> None:
    _fill(tmp_path, "old", "space", used_at=1)
    _fill(tmp_path, "older", "space", used_at=0)
    with VectorStore(tmp_path, max_bytes=2 * SPACE_BYTES) as store:
        mine = store.open("mine", "space")
        assert {total.fingerprint for total in info(tmp_path)} == {"old", "older", "mine"}
        for block in range(3):
            mine.append(text_keys([f"{block}{letter}" for letter in "abcde"]), np.ones((5, 4), np.float32))
    assert [(total.fingerprint, total.vectors) for total in info(tmp_path)] == [("mine", 15)]


def test_a_store_makes_room_when_a_space_is_opened(tmp_path: Path) -> None:
    _fill(tmp_path, "old", "space", used_at=1)
    _fill(tmp_path, "older", "space", used_at=0)
    store = VectorStore(tmp_path, max_bytes=SPACE_BYTES)
    store.open("mine", "space")
    assert {total.fingerprint for total in info(tmp_path)} == {"old", "mine"}
    store.close()


def test_a_space_deleted_while_it_is_claimed_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = space_folder(tmp_path, "minilm", "query")
    lock, deletions = upkeep._lock, [2, 1]

    def deleting(file: object, *, alone: bool) -> bool:
        if deletions:  # as a prune does that had the lock just before
            deletions.pop()
            (space / "used").unlink()
            space.rmdir()
        return lock(file, alone=alone)  # type: ignore[arg-type]

    monkeypatch.setattr(upkeep, "_lock", deleting)
    with claim(space) as file:
        assert os.path.samestat(os.fstat(file.fileno()), (space / "used").stat())
        monkeypatch.undo()
        assert clear(tmp_path).in_use == 1


def test_a_space_that_is_deleted_over_and_over_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_is_still_at", lambda _file, _path: False)
    with pytest.raises(OSError, match="somebody keeps deleting this folder"):
        claim(space_folder(tmp_path, "minilm", "query"))


def test_a_plain_fingerprint_is_its_folder_and_any_other_has_a_digest(tmp_path: Path) -> None:
    assert model_folder(tmp_path, "0f3a") == tmp_path / "embeddings" / "0f3a"
    odd = ["A", "a/b", "..", "a.", "x" * 101, "模", "-a"]
    names = {model_folder(tmp_path, name).name for name in odd}
    assert len(names) == len(odd)
    assert all(len(name) == 32 and name.isalnum() for name in names)
