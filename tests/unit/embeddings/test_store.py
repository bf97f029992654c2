from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchkit.embeddings import store as module
from benchkit.embeddings.fingerprint import text_keys
from benchkit.embeddings.segment import SegmentWriter, block_bytes
from benchkit.embeddings.store import CacheWriteError, VectorSpace, VectorStore, clear
from benchkit.embeddings.upkeep import segments_of, space_folder

StartChild = Callable[..., subprocess.Popen[str]]


def _vectors(n: int, *, seed: int = 0, dimension: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dimension)).astype(np.float32)


def _segments(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.seg"))


def _fill(cache: Path, texts: list[str], vectors: np.ndarray, *, block: int = 10) -> None:
    with VectorStore(cache) as store:
        space = store.open("model", "space")
        for start in range(0, len(texts), block):
            space.append(text_keys(texts[start : start + block]), vectors[start : start + block])


@pytest.fixture
def texts() -> list[str]:
    return ["", "\0", "\ud800", "😀", "\ud83d\ude00", "x" * 100_000, *(str(number) for number in range(44))]


def test_vectors_come_back_in_another_process_in_the_order_asked_for(tmp_path: Path, texts: list[str]) -> None:
    vectors = _vectors(50)
    _fill(tmp_path, texts, vectors)
    order = np.random.default_rng(1).permutation(50)
    with VectorStore(tmp_path) as store:
        found, got = store.open("model", "space").lookup(text_keys(["new", *(texts[at] for at in order)]))
    assert found.tolist() == [False] + [True] * 50
    np.testing.assert_array_equal(got, vectors[order])


def test_what_was_appended_is_known_at_once_next_to_what_was_there(tmp_path: Path, texts: list[str]) -> None:
    vectors = _vectors(50)
    _fill(tmp_path, texts[:20], vectors[:20])
    with VectorStore(tmp_path) as store:
        space = store.open("model", "space")
        for start in (20, 30, 40):
            space.append(text_keys(texts[start : start + 10]), vectors[start : start + 10])
            found, got = space.lookup(text_keys(texts))
            assert found.tolist() == [True] * (start + 10) + [False] * (40 - start)
            np.testing.assert_array_equal(got, vectors[: start + 10])
        assert space.report.vectors == 50
        assert space.report.segments == 2
        assert space.report.n_bytes == sum(path.stat().st_size for path in _segments(tmp_path))


def test_a_look_up_of_more_rows_than_are_copied_at_a_time_is_whole(
    tmp_path: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS_AT_A_TIME", 7)
    _fill(tmp_path, texts[:25], _vectors(25))
    _fill(tmp_path, texts[25:], _vectors(25, seed=1))
    with VectorStore(tmp_path) as store:
        _, got = store.open("model", "space").lookup(text_keys(texts))
    np.testing.assert_array_equal(got, np.vstack([_vectors(25), _vectors(25, seed=1)]))


def test_another_model_prompt_or_letter_case_gets_nothing(tmp_path: Path) -> None:
    keys = text_keys(["a"])
    with VectorStore(tmp_path) as store:
        store.open("model", "space").append(keys, _vectors(1))
        for fingerprint, space in [("model2", "space"), ("model", "space2"), ("Model", "space"), ("../model", "space")]:
            found, got = store.open(fingerprint, space).lookup(keys)
            assert not found.any()
            assert got.shape == (0, 0)
        assert store.open("model", "space").lookup(keys)[0].all()
    assert [path.name for path in tmp_path.iterdir()] == ["embeddings"]  # "../model" stayed inside
    assert "Model" not in {path.name for path in (tmp_path / "embeddings").iterdir()}  # one folder with "model" on some


def test_vectors_without_an_owner_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the fingerprint of a vector space must not be empty"):
        VectorStore(tmp_path).open("", "space")
    with pytest.raises(ValueError, match="the space of a vector space must not be empty"):
        VectorStore(tmp_path).open("model", "")


def test_a_negative_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_bytes must be at least 0, got -1"):
        VectorStore(tmp_path, max_bytes=-1)


def test_reading_makes_no_segment(tmp_path: Path) -> None:
    with VectorStore(tmp_path) as store:
        space = store.open("model", "space")
        space.lookup(text_keys(["a"]))
        space.append(text_keys([]), np.empty((0, 4), np.float32))
        assert space.dimension is None
    assert _segments(tmp_path) == []


def test_a_space_is_opened_and_checked_once(tmp_path: Path) -> None:
    with VectorStore(tmp_path) as store:
        assert store.open("model", "space") is store.open("model", "space")


def _bad_value(value: float) -> np.ndarray:
    vectors = _vectors(5)
    vectors[3, 1] = value
    return vectors


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (_bad_value(np.nan), r"row 3 holds NaN or infinity \(1 of 5 rows do\)"),
        (_bad_value(-np.inf), "row 3 holds NaN or infinity"),
        (_vectors(5, dimension=3), "row 0 has 3 dimensions; the vectors of .* have 4"),
        (np.empty((5, 0), np.float32), "row 0 has 0 dimensions"),
        (_vectors(4), r"5 keys need float32 \(5, d\), got float32 \(4, 4\)"),
        (_vectors(5).astype(np.float64), "got float64"),
        (_vectors(5)[0], r"got float32 \(4,\)"),
    ],
    ids=["nan", "infinity", "dimension", "no dimension", "count", "float64", "one vector"],
)
def test_a_bad_block_is_refused_and_leaves_nothing_behind(tmp_path: Path, vectors: np.ndarray, message: str) -> None:
    with VectorStore(tmp_path) as store:
        space = store.open("model", "space")
        space.append(text_keys(["first"]), _vectors(1))
        with pytest.raises(ValueError, match=message):
            space.append(text_keys(list("abcde")), vectors)
        assert space.report.vectors == 1
        space.append(text_keys(list("abcde")), _vectors(5))
    with VectorStore(tmp_path) as store:
        assert store.open("model", "space").report.vectors == 6


def test_a_closed_space_takes_no_vectors(tmp_path: Path) -> None:
    with VectorStore(tmp_path) as store:
        space = store.open("model", "space")
    space.close()
    with pytest.raises(ValueError, match="this space is closed"):
        space.append(text_keys(["a"]), _vectors(1))


def test_of_two_writers_the_segment_that_sorts_first_wins(tmp_path: Path) -> None:
    folder = space_folder(tmp_path, "model", "space")
    folder.mkdir(parents=True)
    for name, value in [(f"{2:020d}-1-00000000.seg", 2.0), (f"{1:020d}-9-ffffffff.seg", 1.0)]:
        writer = SegmentWriter(folder / name)
        writer.append(text_keys(["a"]), np.full((1, 3), value, np.float32))
        writer.close()
    with VectorStore(tmp_path) as store:
        assert store.open("model", "space").lookup(text_keys(["a"]))[1].tolist() == [[1, 1, 1]]


def test_damage_is_left_out_counted_and_can_be_mended_by_writing_again(tmp_path: Path, texts: list[str]) -> None:
    vectors = _vectors(50)
    _fill(tmp_path, texts, vectors)
    (segment,) = _segments(tmp_path)
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 0x10  # in the third of five blocks
    segment.write_bytes(content[:-1])
    with VectorStore(tmp_path) as store:
        space = store.open("model", "space")
        found, got = space.lookup(text_keys(texts))
        assert np.flatnonzero(~found).tolist() == [*range(20, 30), *range(40, 50)]
        np.testing.assert_array_equal(got, vectors[found])
        report = space.report
        assert (report.vectors, report.damaged_blocks, report.torn_tails) == (30, 1, 1)
        space.append(text_keys(texts)[~found], vectors[~found])
        np.testing.assert_array_equal(space.lookup(text_keys(texts))[1], vectors)


def test_a_block_of_another_dimension_counts_as_damage(tmp_path: Path) -> None:
    folder = space_folder(tmp_path, "model", "space")
    folder.mkdir(parents=True)
    writer = SegmentWriter(folder / f"{1:020d}-1-00000000.seg")
    writer.append(text_keys(["a"]), _vectors(1, dimension=4))
    writer.append(text_keys(["b"]), _vectors(1, dimension=5))
    writer.close()
    with VectorStore(tmp_path) as store:
        space = store.open("model", "space")
        assert space.lookup(text_keys(["a", "b"]))[0].tolist() == [True, False]
        assert (space.dimension, space.report.damaged_blocks) == (4, 1)


def test_foreign_files_and_unreadable_segments_do_not_stop_a_space(tmp_path: Path, texts: list[str]) -> None:
    _fill(tmp_path, texts, _vectors(50))
    folder = space_folder(tmp_path, "model", "space")
    (folder / "notes.txt").write_text("mine")
    (folder / "other.seg").write_bytes(b"mine")
    (folder / f"{1:020d}-1-00000000.seg").mkdir()  # root may read any file, but not a folder as one
    with VectorStore(tmp_path) as store:
        report = store.open("model", "space").report
    assert (report.vectors, report.segments, report.unreadable_segments) == (50, 1, 1)


@pytest.mark.parametrize("loss", ["deleted", "cut"])
def test_vectors_whose_file_went_away_are_unknown_and_can_be_added_again(
    tmp_path: Path, texts: list[str], loss: str
) -> None:
    vectors = _vectors(50)
    _fill(tmp_path, texts[:20], vectors[:20])
    with VectorStore(tmp_path) as store:
        space = store.open("model", "space")
        space.append(text_keys(texts[20:]), vectors[20:])
        first = _segments(tmp_path)[0]
        if loss == "deleted":
            first.unlink()
        else:
            os.truncate(first, 10)
        found, got = space.lookup(text_keys(texts))
        assert np.flatnonzero(found).tolist() == list(range(20, 50))
        np.testing.assert_array_equal(got, vectors[20:])
        assert (space.report.unreadable_segments, space.report.vectors) == (1, 30)
        space.append(text_keys(texts[:20]), vectors[:20])
        np.testing.assert_array_equal(space.lookup(text_keys(texts))[1], vectors)


def _go(child: subprocess.Popen[str]) -> None:
    """Let a child that has opened its space begin to write."""
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


def _opened(child: subprocess.Popen[str]) -> bool:
    assert child.stdout is not None
    return child.stdout.readline() == "open\n"


def test_what_a_killed_process_appended_is_there(tmp_path: Path, start_child: StartChild) -> None:
    child = start_child("append", tmp_path, 1, 1_000_000)
    assert _opened(child)
    _go(child)
    while not any(path.stat().st_size > 20_000 for path in _segments(tmp_path)):
        assert child.poll() is None, "the child ended before it could be killed"
        time.sleep(0.002)
    child.kill()  # SIGKILL
    assert child.wait() == -signal.SIGKILL
    with VectorStore(tmp_path) as store:
        space = store.open("shared", "space")
        n_blocks = space.report.vectors // 6
        assert space.report.damaged_blocks == 0
        assert n_blocks >= 20_000 // block_bytes(count=6, dimension=12)
        texts = [f"writer 1, block {block}, text {row}" for block in range(n_blocks) for row in range(5)]
        assert space.lookup(text_keys(texts))[0].all()


def test_a_space_that_another_process_has_open_is_not_removed_until_it_dies(
    tmp_path: Path, start_child: StartChild
) -> None:
    child = start_child("append", tmp_path, 1, 1)
    assert _opened(child)
    assert (clear(tmp_path).in_use, clear(tmp_path).spaces) == (1, 0)
    child.kill()
    child.wait()
    assert (clear(tmp_path).in_use, _segments(tmp_path)) == (0, [])


def test_four_processes_write_one_space_at_the_same_time(
    tmp_path: Path, start_child: StartChild, text_noise: Callable[[str], np.ndarray]
) -> None:
    n_blocks = 40
    children = [start_child("append", tmp_path, seed, n_blocks) for seed in range(4)]
    assert all(_opened(child) for child in children)
    for child in children:
        _go(child)
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0, 0]
    own = [
        f"writer {seed}, block {block}, text {row}"
        for seed in range(4)
        for block in range(n_blocks)
        for row in range(5)
    ]
    texts = own + [f"common {block}" for block in range(n_blocks)]
    with VectorStore(tmp_path) as store:
        space = store.open("shared", "space")
        found, vectors = space.lookup(text_keys(texts))
        assert found.all()
        report = space.report
        assert (report.vectors, report.segments, report.damaged_blocks, report.torn_tails) == (len(texts), 4, 0, 0)
    np.testing.assert_array_equal(vectors, np.stack([text_noise(text) for text in texts]))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB; only root may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs needs Linux and root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _append_blocks(space: VectorSpace, n_blocks: int) -> None:
    for block in range(n_blocks):  # of 8 KB
        space.append(text_keys([f"{block}.{row}" for row in range(20)]), _vectors(20, seed=block, dimension=100))


def test_a_full_disk_loses_the_block_in_flight_only(small_disk: Path) -> None:
    with VectorStore(small_disk) as store:
        space = store.open("model", "space")
        with pytest.raises(CacheWriteError, match=r"No space left on device; free some space, .* or choose another"):
            _append_blocks(space, 100)
        n_blocks = space.report.vectors // 20
        assert 10 < n_blocks <= 256 * 1024 // block_bytes(count=20, dimension=100)
        keys = text_keys([f"{block}.{row}" for block in range(n_blocks) for row in range(20)])
        expected = np.vstack([_vectors(20, seed=block, dimension=100) for block in range(n_blocks)])
        np.testing.assert_array_equal(space.lookup(keys)[1], expected)
        with pytest.raises(CacheWriteError, match="No space left"):
            space.append(text_keys(["later"]), _vectors(1, dimension=100))
    with VectorStore(small_disk) as store:
        np.testing.assert_array_equal(store.open("model", "space").lookup(keys)[1], expected)


def test_a_cache_folder_that_cannot_be_made_is_found_on_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises(
        CacheWriteError, match=r"file/cache/.*can't be used: Not a directory; free some space"
    ) as caught:
        VectorStore(tmp_path / "file" / "cache").open("model", "space")
    assert isinstance(caught.value.__cause__, NotADirectoryError)


class FailingFile:
    """A file that takes `whole` writes, half of the next one, and then fails."""

    def __init__(self, file: object, *, whole: int, error: BaseException) -> None:
        self._file = file
        self._whole = whole
        self._error = error
        self.closed = False

    def write(self, part: memoryview) -> int:
        self._whole -= 1
        if self._whole >= 0:
            return self._file.write(part)  # type: ignore[attr-defined, no-any-return]
        if self._whole == -1:
            return self._file.write(part[: max(1, len(part) // 2)])  # type: ignore[attr-defined, no-any-return]
        raise self._error

    def fileno(self) -> int:
        return self._file.fileno()  # type: ignore[attr-defined, no-any-return]

    def close(self) -> None:
        self.closed = True
        self._file.close()  # type: ignore[attr-defined]


def _break(space: VectorSpace, *, whole: int, error: BaseException) -> None:
    space._writer._file = FailingFile(space._writer._file, whole=whole, error=error)  # type: ignore[assignment, union-attr]


@pytest.mark.parametrize("whole", [0, 1, 2])
def test_ctrl_c_in_the_middle_of_a_block_shifts_no_later_vector(tmp_path: Path, whole: int) -> None:
    vectors = _vectors(3)
    with VectorStore(tmp_path) as store:
        space = store.open("model", "space")
        space.append(text_keys(["a"]), vectors[:1])
        _break(space, whole=whole, error=KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            space.append(text_keys(["b"]), vectors[1:2])
        space.append(text_keys(["c"]), vectors[2:])
        found, got = space.lookup(text_keys(["a", "b", "c"]))
        assert found.tolist() == [True, False, True]
        np.testing.assert_array_equal(got, vectors[[0, 2]])
    with VectorStore(tmp_path) as store:
        np.testing.assert_array_equal(
            store.open("model", "space").lookup(text_keys(["a", "b", "c"]))[1], vectors[[0, 2]]
        )


def test_a_short_write_is_carried_on(tmp_path: Path) -> None:
    vectors = _vectors(3)
    with VectorStore(tmp_path) as store:
        space = store.open("model", "space")
        space.append(text_keys(["a"]), vectors[:1])

        class Trickling(FailingFile):
            def write(self, part: memoryview) -> int:
                return self._file.write(part[:7])  # type: ignore[attr-defined, no-any-return]

        space._writer._file = Trickling(space._writer._file, whole=0, error=OSError())  # type: ignore[assignment, union-attr]
        space.append(text_keys(["b", "c"]), vectors[1:])
        np.testing.assert_array_equal(space.lookup(text_keys(["a", "b", "c"]))[1], vectors)


def test_an_error_of_the_disk_on_close_is_said_and_the_other_spaces_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = VectorStore(tmp_path)
    for name in ("one", "two"):
        store.open("model", name).append(text_keys(["a"]), _vectors(1))

    def broken(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(CacheWriteError, match="one: the embedding cache can't be used: Input/output error"):
        store.close()
    monkeypatch.undo()
    assert clear(tmp_path).in_use == 0  # nothing is held any more


def test_segments_are_listed_by_name_and_no_other_file_is(tmp_path: Path) -> None:
    names = [f"{2:020d}-5-0000000a.seg", f"{1:020d}-77-0000000b.seg"]
    for name in [*names, "used", "x.seg", f"{1:020d}-77-0000000b.seg.tmp"]:
        (tmp_path / name).touch()
    assert [path.name for path in segments_of(tmp_path)] == sorted(names)
