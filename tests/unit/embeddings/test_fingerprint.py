from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchkit.embeddings.fingerprint import digest_files, digest_json, digest_rows, text_key, text_keys

ODD_TEXTS = ["", "\0", "a\0", "\ud800", "\udfff x", "😀", "\ud83d\ude00", "é", "e\u0301", " a", "a ", "x" * 100_000]


def test_a_key_is_the_first_half_kilobit_of_the_standard_hash() -> None:
    assert text_key("naïve") == hashlib.blake2b("naïve".encode(), digest_size=16).digest()


def test_every_odd_text_has_a_key_of_its_own() -> None:
    assert len({text_key(text) for text in ODD_TEXTS}) == len(ODD_TEXTS)


def test_keys_are_one_row_per_text_in_order() -> None:
    keys = text_keys(ODD_TEXTS)
    assert keys.dtype == np.uint8
    assert [row.tobytes() for row in keys] == [text_key(text) for text in ODD_TEXTS]


def test_no_texts_have_no_keys() -> None:
    assert text_keys([]).shape == (0, 16)


@given(st.text(st.characters()), st.text(st.characters()))
def test_two_texts_share_a_key_exactly_when_they_are_equal(one: str, other: str) -> None:
    assert (text_key(one) == text_key(other)) == (one == other)


def _files(root: Path, **contents: bytes) -> list[Path]:
    root.mkdir(parents=True, exist_ok=True)
    paths = [root / name for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
    return paths


def test_files_in_another_folder_and_order_have_the_same_digest(tmp_path: Path) -> None:
    here = _files(tmp_path / "here", a=b"1", b=b"2")
    there = _files(tmp_path / "there", b=b"2", a=b"1")
    assert digest_files(here, tmp_path / "here") == digest_files([*there, there[0]], tmp_path / "there")


def test_the_digest_of_files_is_that_of_its_written_definition(tmp_path: Path) -> None:
    paths = _files(tmp_path, b=b"two", a=b"one")
    expected = hashlib.sha256()
    for name, content in ((b"a", b"one"), (b"b", b"two")):
        expected.update(len(name).to_bytes(8, "little") + name + hashlib.sha256(content).digest())
    assert digest_files(paths, tmp_path) == expected.hexdigest()


@pytest.mark.parametrize(
    "changed",
    [{"a": b"12", "b": b""}, {"a": b"1", "c": b"2"}, {"a1": b"", "b": b"2"}, {"a": b"1"}, {"a": b"1", "b": b"3"}],
    ids=["content moved", "renamed", "content into name", "file gone", "content changed"],
)
def test_another_set_of_files_has_another_digest(tmp_path: Path, changed: dict[str, bytes]) -> None:
    before = digest_files(_files(tmp_path / "x", a=b"1", b=b"2"), tmp_path / "x")
    assert digest_files(_files(tmp_path / "y", **changed), tmp_path / "y") != before


def test_a_link_and_a_copy_have_one_digest(tmp_path: Path) -> None:
    blob = _files(tmp_path / "blobs", deadbeef=b"weights")[0]
    (tmp_path / "snapshot").mkdir()
    link = tmp_path / "snapshot" / "model.bin"
    link.symlink_to(blob)
    copy = tmp_path / "copy" / "model.bin"
    copy.parent.mkdir()
    copy.write_bytes(b"weights")
    assert digest_files([link], tmp_path / "snapshot") == digest_files([copy], tmp_path / "copy")


def test_a_file_outside_the_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not in the subpath"):
        digest_files(_files(tmp_path / "a", x=b""), tmp_path / "b")


def test_the_order_of_keys_does_not_change_a_json_digest() -> None:
    assert digest_json({"a": 1, "b": [1, None]}) == digest_json({"b": (1, None), "a": 1})


def test_different_json_has_different_digests() -> None:
    values = [
        1,
        1.0,
        "1",
        True,
        None,
        [],
        {},
        [[1], 2],
        [1, [2]],
        "\ud83d\ude00",
        "😀",
        "",
        [""],
        {"a": "b"},
        ["a", "b"],
    ]
    assert len({digest_json(value) for value in values}) == len(values)


def test_json_without_a_value_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_json([float("nan")])
    with pytest.raises(TypeError, match="not JSON serializable"):
        digest_json({1, 2})


def test_rows_are_framed_and_ordered() -> None:
    digests = [digest_rows(rows) for rows in ([1, 23], [12, 3], [123], [23, 1], [[1, 23]], [])]
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 32 for digest in digests)


def test_rows_may_come_from_a_generator() -> None:
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": 2}]
    assert digest_rows(row for row in rows) == digest_rows(rows)
