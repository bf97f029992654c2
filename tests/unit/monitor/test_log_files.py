"""The folder of a log: files, days, room, manifest."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchkit.monitor import log_files
from benchkit.monitor.log_files import MANIFEST, OLD_MANIFEST, PartWriter, days_of
from benchkit.monitor.log_rows import Block, Labels, Refused

DAY_US = 86_400_000_000


def writer(path: Path, **options: Any) -> PartWriter:
    return PartWriter(path, "m", "f", 1.0, **{"max_bytes": 1 << 30, "keep_texts": False, **options})


def block_of(rows: int = 3, *, day: int = 0, given: dict[str, Any] | None = None) -> Block:
    block = Block.of(max(rows, 1), 4)
    vectors = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    block.add(vectors, day * DAY_US + 5, Labels.of(rows, list((given or {}).items())), 0)
    return block


def write(files: PartWriter, block: Block) -> list[dict[str, Any]]:
    return [files.write(block, part) for part in days_of(block)]


def names(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def manifest(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / MANIFEST).read_text().splitlines()]


def test_a_file_holds_the_rows_and_is_told_by_its_digest(tmp_path: Path) -> None:
    given = {"ids": ["a", None, "c\ud800"], "role": "query", "score": [0.5, None, 1.0]}
    (line,) = write(writer(tmp_path), block_of(given=given))
    content = (tmp_path / line["file"]).read_bytes()
    assert line["sha256"] == hashlib.sha256(content).hexdigest()
    assert (line["bytes"], line["rows"], line["dimension"], line["model"]) == (len(content), 3, 4, "m")
    assert line["first"] == line["last"] == "1970-01-01T00:00:00.000005Z"
    table = pq.ParquetFile(tmp_path / line["file"]).read()
    assert str(table.schema.field("vector").type) == "fixed_size_list<element: float not null>[4]"
    assert str(table.schema.field("time").type) == "timestamp[us, tz=UTC]"
    assert table["vector"].to_pylist() == np.arange(12.0).reshape(3, 4).tolist()
    assert table["id"].to_pylist() == ["a", None, "c?"]
    assert table["role"].to_pylist() == ["query"] * 3
    assert table["score"].to_pylist() == [0.5, None, 1.0]
    assert table["segment"].to_pylist() == [None] * 3
    assert "text" not in table.column_names
    assert table.schema.metadata[b"benchkit.fingerprint"] == b"f"


def test_rows_of_several_days_go_into_a_folder_each(tmp_path: Path) -> None:
    block = Block.of(4, 4)
    times = np.array([1, 0, 1, 20_000], dtype=np.int64) * DAY_US
    block.add(np.arange(16, dtype=np.float32).reshape(4, 4), times, Labels.of(4, [("ids", list("abcd"))]), 0)
    lines = write(writer(tmp_path), block)
    assert [line["file"].partition("/")[0] for line in lines] == [
        "date=1970-01-01",
        "date=1970-01-02",
        "date=2024-10-04",
    ]
    tables = [pq.ParquetFile(tmp_path / line["file"]).read() for line in lines]
    assert [table["id"].to_pylist() for table in tables] == [["b"], ["a", "c"], ["d"]]
    assert [table["vector"].to_pylist()[0][0] for table in tables] == [4, 0, 12]


def test_the_oldest_files_go_and_the_manifest_tells(tmp_path: Path) -> None:
    size = write(writer(tmp_path / "trial"), block_of())[0]["bytes"]
    folder = tmp_path / "log"
    files = writer(folder, max_bytes=size * 3 + 1000)
    foreign = folder / "date=1970-01-01" / "somebody-elses.parquet"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"x" * size * 10)
    written = [line["file"] for day in range(6) for line in write(files, block_of(day=day))]
    parts = [file for file in names(folder) if "part-" in file]
    assert parts == written[-len(parts) :]
    assert 2 <= len(parts) <= 3
    removed = [line["removed"] for line in manifest(folder) if "removed" in line]
    assert removed == written[: -len(parts)]
    assert files.removed == len(removed)
    assert foreign.exists()
    assert not (folder / "date=1970-01-02").exists()


def test_a_file_that_is_more_than_the_folder_may_hold_is_refused_and_removes_none(tmp_path: Path) -> None:
    files = writer(tmp_path, max_bytes=20_000)
    (line,) = write(files, block_of())
    with pytest.raises(Refused, match=r"a file of \d+ bytes is more than max_bytes \(20000\)"):
        write(files, block_of(2000))
    assert names(tmp_path) == [line["file"]]
    assert files.removed == 0


def test_a_file_that_another_process_removed_is_not_told_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = write(writer(tmp_path), block_of())[0]["bytes"]
    gone = tmp_path / "date=1970-01-01" / "part-1-1-1.parquet"
    kept, others = log_files._look(tmp_path)
    monkeypatch.setattr(log_files, "_look", lambda _: ([(1, size, gone), *kept], others))
    files = writer(tmp_path, max_bytes=2 * size + 10)
    write(files, block_of())
    assert files.removed == 0
    assert not (tmp_path / MANIFEST).exists()


def test_files_of_a_clock_that_was_ahead_go_before_those_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, now, ahead = writer(tmp_path, max_bytes=10_000), time.time_ns, 365 * DAY_US * 1000
    monkeypatch.setattr("time.time_ns", lambda: now() + ahead)
    (early, *_) = [write(files, block_of())[0]["file"] for _ in range(4)]
    monkeypatch.setattr("time.time_ns", now)
    late = [write(files, block_of())[0]["file"] for _ in range(4)]
    kept = [name for name in names(tmp_path) if name.endswith(".parquet")]
    assert len(kept) >= 3
    assert kept == late[-len(kept) :]
    assert manifest(tmp_path)[0]["removed"] == early  # of those, the oldest first


def test_what_a_dead_writer_left_goes_after_an_hour(tmp_path: Path) -> None:
    files = writer(tmp_path)
    write(files, block_of())
    fresh, stale = (tmp_path / "date=1970-01-01" / f".part-{n}-1-1.parquet.tmp" for n in (1, 2))
    for file in (fresh, stale):
        file.write_bytes(b"half")
    long_ago = time.time() - 4000
    os.utime(stale, (long_ago, long_ago))
    write(files, block_of())
    assert fresh.exists()
    assert not stale.exists()


def test_nothing_is_left_when_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(writer(tmp_path), block_of())
    assert names(tmp_path) == []


def test_a_long_manifest_is_turned_and_one_old_one_kept(tmp_path: Path) -> None:
    files = writer(tmp_path, max_bytes=1 << 20)
    files.tell({"file": "x" * 70_000})
    write(files, block_of())
    files.tell({"file": "later"})
    assert [line["file"] for line in manifest(tmp_path)] == ["later"]
    assert json.loads((tmp_path / OLD_MANIFEST).read_text())["file"] == "x" * 70_000


@pytest.mark.parametrize("error", [NotImplementedError(), OSError(28, "No space left on device")])
def test_a_manifest_that_can_not_be_turned_stops_no_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    files = writer(tmp_path)
    monkeypatch.setattr(log_files, "LARGEST_MANIFEST", 1)

    def no_lock(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("filelock.FileLock.acquire", no_lock)
    for _ in range(3):
        (line,) = write(files, block_of())
        files.tell(line)
    assert len(manifest(tmp_path)) == 3
    assert not (tmp_path / OLD_MANIFEST).exists()


def test_a_removal_that_a_full_disk_leaves_untold_is_told_with_a_later_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = writer(tmp_path, max_bytes=6000)
    (first,) = write(files, block_of())
    honest = log_files.append_line

    def full(path: Path, record: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_files, "append_line", full)
    lines = [line for _ in range(2) for line in write(files, block_of())]
    monkeypatch.setattr(log_files, "append_line", honest)
    assert files.removed >= 1
    removed_by_now = files.removed
    (last,) = write(files, block_of(1))
    told = [line["removed"] for line in manifest(tmp_path)]
    assert len(told) == len(set(told)) == files.removed >= removed_by_now
    assert first["file"] == told[0]
    kept = [name for name in names(tmp_path) if name.endswith(".parquet")]
    assert {*told, *kept} == {line["file"] for line in (first, *lines, last)}


def test_a_day_that_another_process_removes_meanwhile_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(3):
        write(writer(tmp_path), block_of(day=day))
    scandir = os.scandir

    def racing(folder: Any) -> Any:
        # Behind the listing of the days and before that of the second one.
        if Path(folder).name == "date=1970-01-02":
            for file in Path(folder).iterdir():
                file.unlink()
            Path(folder).rmdir()
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", racing)
    write(writer(tmp_path), block_of(day=3))
    assert [name[:15] for name in names(tmp_path)] == ["date=1970-01-01", "date=1970-01-03", "date=1970-01-04"]


def test_a_manifest_that_another_process_turns_meanwhile_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "LARGEST_MANIFEST", 1)
    files, stat = writer(tmp_path), Path.stat
    files.tell({"file": "x"})
    looks = list[str]()

    def racing(path: Path, **options: Any) -> os.stat_result:
        if path.name == MANIFEST:
            looks.append(path.name)
            if len(looks) == 2:
                os.replace(path, tmp_path / OLD_MANIFEST)  # noqa: PTH105  Path's own looks at it
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", racing)
    write(files, block_of())
    assert len(looks) >= 2
    assert (tmp_path / OLD_MANIFEST).read_text().count("\n") == 1


def test_a_day_that_vanishes_under_a_new_file_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mkdir, made = Path.mkdir, list[Path]()

    def racing(path: Path, *args: Any, **options: Any) -> None:
        mkdir(path, *args, **options)
        made.append(path)
        if len(made) < 8:
            path.rmdir()

    monkeypatch.setattr(Path, "mkdir", racing)
    (line,) = write(writer(tmp_path), block_of())
    assert len(made) == 8
    assert (tmp_path / line["file"]).exists()
