from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from benchkit.embeddings import segment as module
from benchkit.embeddings.fingerprint import text_keys
from benchkit.embeddings.segment import SYNC_SECONDS, SegmentWriter, block_bytes, read_rows, read_segment

BLOCK_ROWS, DIMENSION = 2, 3
BLOCK = block_bytes(count=BLOCK_ROWS, dimension=DIMENSION)


def _block(number: int) -> tuple[np.ndarray, np.ndarray]:
    keys = text_keys([f"{number}.{row}" for row in range(BLOCK_ROWS)])
    return keys, np.arange(6, dtype=np.float32).reshape(2, 3) + 10 * number


def _write(path: Path, n_blocks: int = 3) -> bytes:
    writer = SegmentWriter(path)
    for number in range(n_blocks):
        writer.append(*_block(number))
    writer.close()
    return path.read_bytes()


def _readable(path: Path) -> list[int]:
    """Return the numbers of the blocks that can be read, each checked against what was written."""
    numbers = []
    for block in read_segment(path).blocks:
        vectors = read_rows(path, block.position + np.arange(BLOCK_ROWS) * DIMENSION, DIMENSION)
        number = int(vectors[0, 0]) // 10
        np.testing.assert_array_equal(block.keys, _block(number)[0])
        np.testing.assert_array_equal(vectors, _block(number)[1])
        numbers.append(number)
    return numbers


def test_blocks_come_back_as_they_were_written(tmp_path: Path) -> None:
    content = _write(tmp_path / "s")
    found = read_segment(tmp_path / "s")
    assert _readable(tmp_path / "s") == [0, 1, 2]
    assert (found.n_bytes, found.n_damaged, found.torn, found.n_vectors) == (len(content), 0, False, 6)
    assert len(content) == 3 * BLOCK == 3 * (32 + 2 * 16 + 2 * 3 * 4)


def test_a_block_is_laid_out_as_the_header_of_the_module_says(tmp_path: Path) -> None:
    content = _write(tmp_path / "s", 1)
    keys, vectors = _block(0)
    assert content[:8] == b"bkvec\r\n\x1a"
    assert np.frombuffer(content[8:24], "<u4").tolist() == [1, DIMENSION, BLOCK_ROWS, 0]
    assert content[32:] == keys.tobytes() + vectors.astype("<f4").tobytes()


def _check_every_cut(folder: Path) -> None:
    content = _write(folder / "s")
    cut = folder / "cut"
    for size in range(len(content) + 1):
        cut.write_bytes(content[:size])
        found = read_segment(cut)
        assert _readable(cut) == list(range(size // BLOCK))
        assert (found.torn, found.n_damaged) == (size % BLOCK != 0, 0)


def _check_flipped_bits(folder: Path, *, step: int) -> None:
    content = _write(folder / "s")
    bad = folder / "bad"
    for byte in range(0, len(content), step):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[byte] ^= 1 << bit
            bad.write_bytes(flipped)
            found = read_segment(bad)
            assert _readable(bad) == [number for number in range(3) if number != byte // BLOCK]
            assert (found.n_damaged, found.torn) == (1, False)


def test_a_file_cut_anywhere_keeps_its_whole_blocks(tmp_path: Path) -> None:
    _check_every_cut(tmp_path)


def test_one_flipped_bit_anywhere_costs_its_block_and_no_other(tmp_path: Path) -> None:
    _check_flipped_bits(tmp_path, step=1)


def test_a_block_after_bytes_that_were_lost_or_zeroed_is_found_again(tmp_path: Path) -> None:
    content = _write(tmp_path / "s")
    bad = tmp_path / "bad"
    for lost in (4, 32, 60):
        bad.write_bytes(content[: BLOCK + 8] + content[BLOCK + 8 + lost :])
        assert [len(block.keys) for block in read_segment(bad).blocks] == [2, 2]
    bad.write_bytes(content[:BLOCK] + bytes(BLOCK) + content[2 * BLOCK :])
    assert _readable(bad) == [0, 2]
    assert read_segment(bad).n_damaged == 1


def test_a_magic_off_the_grid_of_four_bytes_starts_no_block(tmp_path: Path) -> None:
    path = tmp_path / "s"
    content = _write(path)
    path.write_bytes(b"x" + content)
    assert read_segment(path).blocks == ()


@pytest.mark.parametrize("piece_bytes", [4, 8, 12, 64])
def test_blocks_larger_than_a_piece_are_checked_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_bytes: int
) -> None:
    monkeypatch.setattr(module, "_PIECE_BYTES", piece_bytes)
    (tmp_path / "bits").mkdir()
    _check_flipped_bits(tmp_path / "bits", step=5)
    _check_every_cut(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not ours", b"\0" * 100, b"bkvec\r\n\x1a" * 20])
def test_a_file_that_is_not_ours_has_no_blocks(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s").write_bytes(content)
    assert read_segment(tmp_path / "s").blocks == ()


def test_without_verification_only_the_headers_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "s"
    content = bytearray(_write(path))
    content[BLOCK - 1] ^= 1
    path.write_bytes(content)
    assert read_segment(path, verify=False).n_vectors == 6
    assert read_segment(path).n_vectors == 4


def test_a_file_that_became_shorter_is_an_error_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "s"
    _write(path)
    position = read_segment(path).blocks[-1].position
    os.truncate(path, BLOCK)
    with pytest.raises(OSError, match="shorter than when it was opened"):
        read_rows(path, np.array([position]), DIMENSION)


def test_a_block_is_with_the_system_when_append_returns(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "s")
    writer.append(*_block(0))
    assert _readable(tmp_path / "s") == [0]
    writer.close()


def test_the_disk_is_asked_every_few_seconds_and_on_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, synced = [0.0], []
    monkeypatch.setattr(module.os, "fsync", lambda _file: synced.append(now[0]))
    writer = SegmentWriter(tmp_path / "s", clock=lambda: now[0])
    for now[0] in (0.0, 1.0, SYNC_SECONDS, SYNC_SECONDS + 1):
        writer.append(*_block(0))
    assert synced == [SYNC_SECONDS]
    writer.close()
    writer.close()
    assert synced == [SYNC_SECONDS, SYNC_SECONDS + 1]


def test_a_segment_never_overwrites_a_file(tmp_path: Path) -> None:
    _write(tmp_path / "s")
    with pytest.raises(FileExistsError):
        SegmentWriter(tmp_path / "s")


def test_float64_and_strided_vectors_are_stored_as_plain_float32(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "s")
    position = writer.append(text_keys(["a", "b"]), np.arange(12, dtype=np.float32).reshape(2, 6)[:, ::2])
    writer.close()
    got = read_rows(tmp_path / "s", position + np.array([3, 0]), 3)
    assert got.dtype == np.float32
    assert got.tolist() == [[6, 8, 10], [0, 2, 4]]
