"""A baseline comes back bit by bit or not at all, and every way in which it may not says what to do."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from benchkit.errors import NotComparable, UsageError
from benchkit.store import drift_baseline
from benchkit.store.drift_baseline import (
    FORM_VERSION,
    KeptBaseline,
    delete_baseline,
    list_baselines,
    load_baseline,
    path_of,
    save_baseline,
)

FACTS: dict[str, Any] = {
    "name": "support",
    "rows": 20_000,
    "texts": ["half \ud800 and \udc7f", "客服\u202e", "\x00\x1b[31m", ""],
    "nested": {"list": [1, 1.0, 1e-05, None, True], "empty": {}},
    "numbers": [0.1, 1 / 3, 5e-324, -0.0, 2**60],
}


def arrays() -> dict[str, NDArray[Any]]:
    draw = np.random.default_rng(1)
    return {
        "mean": draw.normal(size=(3, 5)),
        "half": draw.normal(size=7).astype(np.float16),
        "single": np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], np.float32),
        "one": np.array(0.1),
        "count": np.array(3, np.int64),
        "none": np.zeros((0, 4), np.float32),
        "codes": np.array([[-128, 127]], np.int8),
        "mask": np.array([True, False]),
        "turned": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
        "every_second": np.arange(9.0)[::2],
    }


def assert_same(found: KeptBaseline, facts: object, expected: dict[str, NDArray[Any]]) -> None:
    assert json.dumps(found.facts, sort_keys=True) == json.dumps(facts, sort_keys=True)
    assert set(found.arrays) == set(expected)
    for name, array in expected.items():
        back = found.arrays[name]
        assert (back.dtype, back.shape) == (array.dtype, array.shape), name
        assert back.tobytes() == array.tobytes(), name


@pytest.fixture
def kept(tmp_path: Path) -> KeptBaseline:
    return save_baseline(tmp_path, "support", KeptBaseline(FACTS, arrays()))


def test_a_baseline_comes_back_bit_by_bit(kept: KeptBaseline, tmp_path: Path) -> None:
    found = load_baseline(tmp_path, "support")
    assert_same(found, FACTS, arrays())
    assert (found.digest, found.bytes) == (kept.digest, path_of(tmp_path, "support").stat().st_size)
    assert kept.bytes == found.bytes
    assert len(kept.digest) == 64


def test_a_baseline_without_arrays_or_facts_is_one(tmp_path: Path) -> None:
    save_baseline(tmp_path, "empty", KeptBaseline({}, {}))
    assert_same(load_baseline(tmp_path, "empty"), {}, {})


def test_the_digest_is_of_every_name_type_shape_value_and_fact(tmp_path: Path) -> None:
    def digest(facts: dict[str, Any], **given: NDArray[Any]) -> str:
        return save_baseline(tmp_path, "x", KeptBaseline(facts, given), replaces=True).digest

    row = np.array([1.0, 2.0])
    different = [
        digest({}, a=row),
        digest({}, b=row),
        digest({}, a=row.reshape(2, 1)),
        digest({}, a=row.view(np.int64)),
        digest({}, a=row[::-1]),
        digest({"a": 1}, a=row),
        digest({"a": 1.0}, a=row),
        digest({}, a=row[:1], b=row[1:]),
    ]
    assert len(set(different)) == len(different)
    assert digest({}, a=row) == different[0]
    assert digest({"x": 1, "y": 2}, a=row, b=row) == digest({"y": 2, "x": 1}, b=row, a=row)


def test_each_changed_byte_is_noticed_or_changes_nothing(kept: KeptBaseline, tmp_path: Path) -> None:
    path = path_of(tmp_path, "support")
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    draw = random.Random(7)
    # Every byte of the numbers and of the lengths; of the head, a third.
    places = [*range(8), *(place for place in range(8, start) if draw.random() < 0.33), *range(start, len(whole))]
    noticed = 0
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= draw.randrange(1, 256)
        path.write_bytes(damaged)
        try:
            found = load_baseline(tmp_path, "support")
        except (UsageError, NotComparable):
            noticed += 1
        else:
            assert_same(found, FACTS, arrays())
            assert place < start, "a number that changed"
    assert noticed > 0.95 * len(places)


def test_a_file_that_was_cut_off_or_has_grown_is_noticed(kept: KeptBaseline, tmp_path: Path) -> None:
    path = path_of(tmp_path, "support")
    whole = path.read_bytes()
    for content in (*(whole[:length] for length in range(0, len(whole), 37)), whole + b"\0"):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"the baseline is damaged .*benchkit drift baseline renew support --from"):
            load_baseline(tmp_path, "support")


def test_a_number_that_was_damaged_into_infinity_is_noticed(tmp_path: Path) -> None:
    save_baseline(tmp_path, "x", KeptBaseline({"cut": 1e-05}, {}))
    path = path_of(tmp_path, "x")
    assert path.read_bytes().count(b"1e-05") == 1
    path.write_bytes(path.read_bytes().replace(b"1e-05", b"1e905"))
    with pytest.raises(UsageError, match="its digest is not that of its content"):
        load_baseline(tmp_path, "x")


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        (None, "a file without a baseline's head"),
        ({"format": "pt"}, "a file without a baseline's head"),
        ({"benchkit": "[]"}, "its head is no object"),
        ({"benchkit": "{"}, "Expecting property name"),
        ({"benchkit": "[" * 100_000}, "recursion"),
        ({"benchkit": json.dumps({"version": FORM_VERSION, "digest": "0", "facts": {}})}, "its digest is not"),
        ({"benchkit": json.dumps({"version": FORM_VERSION, "digest": "0", "facts": []})}, "its digest is not"),
    ],
)
def test_a_foreign_file_is_told_from_a_baseline(metadata: dict[str, str] | None, why: str, tmp_path: Path) -> None:
    path_of(tmp_path, "x").write_bytes(save({"weight": np.zeros(3)}, metadata))
    with pytest.raises(UsageError, match=r"the baseline is damaged") as caught:
        load_baseline(tmp_path, "x")
    assert why in str(caught.value)


def test_a_file_of_something_else_altogether_is_damaged(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04", b"\xff" * 100, b"\x80\x04\x95", b"{}", (2**62).to_bytes(8, "little") + b"{}"):
        path_of(tmp_path, "x").write_bytes(content)
        with pytest.raises(UsageError, match="the baseline is damaged"):
            load_baseline(tmp_path, "x")


@pytest.mark.parametrize("version", [FORM_VERSION - 1, FORM_VERSION + 1, None, "1"])
def test_another_form_is_not_comparable(version: object, tmp_path: Path) -> None:
    head = json.dumps({"version": version, "digest": "0", "facts": {}})
    path_of(tmp_path, "x").write_bytes(save({}, {"benchkit": head}))
    said = rf"form {version!r}, and this benchkit reads form {FORM_VERSION}; .*benchkit drift baseline renew x --from"
    with pytest.raises(NotComparable, match=said):
        load_baseline(tmp_path, "x")


def test_a_huge_file_is_neither_read_nor_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with path_of(tmp_path, "x").open("wb") as file:
        file.truncate(2**28 + 1)  # takes no space
    with pytest.raises(UsageError, match="268435457 bytes are more than a baseline ever has"):
        load_baseline(tmp_path, "x")
    monkeypatch.setattr(drift_baseline, "MAX_FILE_BYTES", 1000)
    with pytest.raises(UsageError, match="1000 is the most that is read again"):
        save_baseline(tmp_path, "y", KeptBaseline({}, {"a": np.zeros(200)}))
    assert not path_of(tmp_path, "y").exists()


def test_a_baseline_is_not_replaced_by_mistake(kept: KeptBaseline, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"there is a baseline 'support' already .*benchkit drift baseline renew support"
    ):
        save_baseline(tmp_path, "support", KeptBaseline({}, {}))
    assert load_baseline(tmp_path, "support").digest == kept.digest
    renewed = save_baseline(tmp_path, "support", KeptBaseline({}, {}), replaces=True)
    assert load_baseline(tmp_path, "support").digest == renewed.digest != kept.digest


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_renewal_that_is_cut_off_leaves_the_old_baseline(
    step: str, error: BaseException, kept: KeptBaseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(step, stop)
        with pytest.raises((UsageError, KeyboardInterrupt)) as caught:
            save_baseline(tmp_path, "support", KeptBaseline({}, {}), replaces=True)
    if isinstance(error, OSError):
        assert "the baseline can't be written (No space left on device)" in str(caught.value)
    assert [path.name for path in tmp_path.glob("*.*")] == ["support.safetensors"]
    assert load_baseline(tmp_path, "support").digest == kept.digest


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="the baseline can't be written"):
        save_baseline(tmp_path / "file" / "folder", "x", KeptBaseline({}, {}))
    path_of(tmp_path, "x").mkdir()
    with pytest.raises(UsageError, match="can't be read"):
        load_baseline(tmp_path, "x")


def test_a_missing_baseline_is_told_with_those_that_are_there(kept: KeptBaseline, tmp_path: Path) -> None:
    said = r"no baseline 'suport' in .* \(there are support\); make it: benchkit drift baseline create suport"
    for function in (load_baseline, delete_baseline):
        with pytest.raises(NotComparable, match=said):
            function(tmp_path, "suport")
    with pytest.raises(NotComparable, match="there is none yet"):
        load_baseline(tmp_path / "nowhere", "x")


def test_baselines_are_listed_by_name_and_deleted(tmp_path: Path) -> None:
    for name in ("b", "a.2", "B-1"):
        save_baseline(tmp_path, name, KeptBaseline({}, {}))
    # None of these can be asked for.
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden.safetensors").write_text("")
    (tmp_path / "folder.safetensors").mkdir()
    assert list_baselines(tmp_path) == ["B-1", "a.2", "b"]
    delete_baseline(tmp_path, "a.2")
    assert list_baselines(tmp_path) == ["B-1", "b"]
    assert list_baselines(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", ".x", "-x", "a b", "x\n", "é", "x" * 101, "a\0"]
)
def test_what_is_not_a_name_is_no_path(name: str, tmp_path: Path) -> None:
    for function in (path_of, load_baseline, delete_baseline):
        with pytest.raises(UsageError, match="can't name a baseline: letters, digits"):
            function(tmp_path, name)
    with pytest.raises(UsageError, match="can't name a baseline"):
        save_baseline(tmp_path, name, KeptBaseline({}, {}))
    assert list(tmp_path.iterdir()) == []
