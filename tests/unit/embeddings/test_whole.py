"""A file of the cache is there whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from benchkit.embeddings.whole import write_whole


@pytest.mark.parametrize("is_synced", [True, False])
def test_a_file_and_its_folder_are_made_and_a_file_that_is_there_is_replaced(tmp_path: Path, is_synced: bool) -> None:
    path = tmp_path / "cells" / "a.json"
    for content in (b"first, and longer", b"second"):
        write_whole(path, content, is_synced=is_synced)
        assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_whole(path, b"old", is_synced=True)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new", is_synced=True)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(("is_shared", "mode"), [(False, 0o600), (True, 0o640)])
def test_only_what_is_shared_may_be_read_by_others_as_far_as_the_mask_lets_them(
    tmp_path: Path, is_shared: bool, mode: int
):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", b"x", is_synced=False, is_shared=is_shared)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
