"""Following files: every row exactly once, wherever reading stops, and nothing changes behind one's back unnoticed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchkit.errors import SourceError
from benchkit.sources.files import FileSource
from benchkit.sources.folder import FileEntry, LocalFolder, SourceAbsent, natural_order, open_folder
from benchkit.sources.open import open_source
from benchkit.types.drift import Rows, Source


def vectors(first: int, count: int) -> np.ndarray:
    """Return rows that tell which they are: (row number, 1)."""
    return np.stack([np.arange(first, first + count), np.ones(count)], axis=1).astype(np.float32)


def parquet(path: Path, first: int, count: int, *, group: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = pa.FixedSizeListArray.from_arrays(pa.array(vectors(first, count).ravel()), 2)
    pq.write_table(pa.table({"embedding": array}), path, row_group_size=group)


def npy(path: Path, first: int, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, vectors(first, count))


def json_lines(path: Path, first: int, count: int, *, mode: str = "a") -> None:
    with path.open(mode) as file:
        file.writelines(json.dumps({"embedding": row.tolist()}) + "\n" for row in vectors(first, count))


def numbers(rows: Rows) -> list[int]:
    return [int(number) for number in rows.vectors[:, 0]]


def read_all(source: Source, after: Mapping[str, Any] | None = None, batch_rows: int = 4) -> tuple[list[int], Any]:
    """Return the numbers of all rows and the last position, as JSON gives it back."""
    found: list[int] = []
    for rows in source.read(after, batch_rows=batch_rows):
        found += numbers(rows)
        after = json.loads(json.dumps(rows.end))
    return found, after


def refused(source: Source, after: Mapping[str, Any] | None = None) -> str:
    with pytest.raises(SourceError) as caught:
        list(source.read(after, batch_rows=2))
    return str(caught.value)


def first_end(source: Source, batch_rows: int = 2) -> Mapping[str, Any]:
    rows = next(source.read(batch_rows=batch_rows))
    return json.loads(json.dumps(rows.end))


# Every row exactly once


@st.composite
def partitions(draw: st.DrawFn) -> tuple[list[tuple[str, int]], list[tuple[int, int]]]:
    """Files as (format, rows), and reads as (rows of a batch, batches before it is stopped)."""
    formats = st.sampled_from(["parquet", "npy", "jsonl"])
    files = draw(st.lists(st.tuples(formats, st.integers(0, 9)), min_size=1, max_size=6))
    return files, draw(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 3)), max_size=12))


@settings(max_examples=40, deadline=None)
@given(partitions())
def test_any_files_batches_and_stops_give_each_row_once(
    case: tuple[list[tuple[str, int]], list[tuple[int, int]]],
) -> None:
    files, reads = case
    with tempfile.TemporaryDirectory() as folder:
        row = 0
        for place, (kind, count) in enumerate(files):
            path = Path(folder) / f"part-{place}.{kind}"
            {"parquet": parquet, "npy": npy, "jsonl": json_lines}[kind](path, row, count)
            row += count
        source, found, after = open_source(folder), [], None
        for batch_rows, batches in reads:
            for rows, _ in zip(source.read(after, batch_rows=batch_rows), range(batches), strict=False):
                found += numbers(rows)
                after = json.loads(json.dumps(rows.end))
        found += read_all(source, after)[0]
        assert found == list(range(row))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["early", "late", "grow", "read", "stop"]), st.integers(1, 5)), max_size=14))
def test_files_that_come_late_and_lines_that_grow_are_read_once(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, row = Path(folder), 1
        parquet(root / "m.parquet", 0, 1)
        source = open_source(folder)
        found: list[int] = []
        after: Any = None
        for step, (action, count) in enumerate(steps):
            if action in ("early", "late"):
                name = f"a/{99 - step}.parquet" if action == "early" else f"z/{step}.parquet"
                parquet(root / name, row, count)
            elif action == "grow":
                json_lines(root / "grow.jsonl", row, count)
            else:
                batches = 1 if action == "stop" else 1000
                for rows, _ in zip(source.read(after, batch_rows=count), range(batches), strict=False):
                    found += numbers(rows)
                    after = json.loads(json.dumps(rows.end))
                continue
            row += count
        found += read_all(source, after)[0]
        assert sorted(found) == list(range(row))


def test_the_file_in_hand_is_read_to_its_end_before_one_that_came_late(tmp_path: Path) -> None:
    parquet(tmp_path / "b.parquet", 0, 5)
    source = open_source(str(tmp_path))
    after = first_end(source)
    parquet(tmp_path / "a.parquet", 5, 5)
    found, after = read_all(source, after, batch_rows=2)
    assert found == [2, 3, 4, 5, 6, 7, 8, 9]
    assert read_all(source, after)[0] == []


def test_files_are_read_in_natural_order(tmp_path: Path) -> None:
    for first, name in ((2, "part-10.npy"), (0, "part-2.npy"), (1, "part-9.npy"), (3, "x/part-1.npy")):
        npy(tmp_path / name, first, 1)
    assert read_all(open_source(str(tmp_path)))[0] == [0, 1, 2, 3]
    assert sorted(["b", "a10", "a9", "a09"], key=natural_order) == ["a09", "a9", "a10", "b"]


def test_what_a_writer_has_not_finished_or_hides_is_left_out(tmp_path: Path) -> None:
    npy(tmp_path / "a.npy", 0, 2)
    for name in ("_x.npy", ".x.npy", "_tmp/x.npy", ".old/x.npy", "x.npy.tmp", "x.npy~", "_manifest.jsonl", "x.part"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("no array")
    assert read_all(open_source(str(tmp_path)))[0] == [0, 1]


@pytest.mark.parametrize("pattern", ["2026-*/*.npy", "**/*.npy", "2026-1[12]/*"])
def test_a_glob_is_followed_like_a_folder(tmp_path: Path, pattern: str) -> None:
    npy(tmp_path / "2026-11" / "a.npy", 0, 2)
    source = open_source(str(tmp_path / pattern))
    found, after = read_all(source)
    npy(tmp_path / "2026-12" / "a.npy", 2, 2)
    assert found + read_all(source, after)[0] == [0, 1, 2, 3]


def test_a_link_beside_its_file_counts_no_row_again(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    npy(logs / "day-1" / "a.npy", 0, 3)
    npy(logs / "day-2" / "b.npy", 3, 2)
    (logs / "current").symlink_to("day-2")  # sorts before what it leads to
    (logs / "latest.npy").symlink_to("day-2/b.npy")
    for place in (logs, logs / "**" / "*.npy"):
        assert read_all(open_source(str(place)))[0] == [0, 1, 2, 3, 4]
        assert [entry.name for entry in LocalFolder(str(place)).entries()] == ["day-1/a.npy", "day-2/b.npy"]
    # What lies elsewhere is read by whatever name it has here, and once.
    npy(tmp_path / "elsewhere" / "c.npy", 5, 2)
    for name in ("more", "still-more"):
        (logs / name).symlink_to(tmp_path / "elsewhere")
    assert read_all(open_source(str(logs)))[0] == [0, 1, 2, 3, 4, 5, 6]
    # Of a folder that is read by its link alone, nothing is left out.
    (tmp_path / "link").symlink_to(logs)
    assert read_all(open_source(str(tmp_path / "link")))[0] == [0, 1, 2, 3, 4, 5, 6]


def test_a_link_that_leads_back_counts_no_row_again(tmp_path: Path) -> None:
    npy(tmp_path / "a" / "x.npy", 0, 2)
    npy(tmp_path / "b" / "y.npy", 2, 2)
    for folder, other in ("ab", "ba"):
        (tmp_path / folder / "other").symlink_to(tmp_path / other)
        (tmp_path / folder / "up").symlink_to("..")
    assert read_all(open_source(str(tmp_path)))[0] == [0, 1, 2, 3]
    assert sorted(read_all(open_source(str(tmp_path / "a")))[0]) == [0, 1, 2, 3]


def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    npy(tmp_path / "a.npy", 0, 2)
    os.mkfifo(tmp_path / "b.npy")
    assert read_all(open_source(str(tmp_path)))[0] == [0, 1]
    with pytest.raises(SourceError, match=r"b\.npy: no file or directory, but a pipe, socket or device"):
        read_all(open_source(str(tmp_path / "b.npy")))[0]


def test_a_store_that_is_connected_to_at_once_and_does_not_answer_is_refused() -> None:
    with pytest.raises(SourceError, match=r"ftp://me:\*\*\*@127\.0\.0\.1:1/logs: can't be listed: Connection refused"):
        open_source("ftp://me:hush@127.0.0.1:1/logs")


def test_a_name_with_a_bracket_is_no_pattern_when_it_is_there(tmp_path: Path) -> None:
    npy(tmp_path / "a[1].npy", 0, 2)
    assert read_all(open_source(str(tmp_path / "a[1].npy")))[0] == [0, 1]


def test_a_position_holds_where_a_source_was_moved_to(tmp_path: Path) -> None:
    parquet(tmp_path / "a" / "x.parquet", 0, 5)
    after = first_end(open_source(str(tmp_path / "a")))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert read_all(open_source(f"file://{tmp_path / 'b'}"), after)[0] == [2, 3, 4]


def test_a_position_names_the_file_and_the_row(tmp_path: Path) -> None:
    parquet(tmp_path / "day" / "x.parquet", 0, 5)
    position = first_end(open_source(str(tmp_path)))
    status = (tmp_path / "day" / "x.parquet").stat()
    assert (position["file"], position["row"]) == ("day/x.parquet", 2)
    assert (position["size"], position["mtime_ns"]) == (status.st_size, str(status.st_mtime_ns))
    assert len(position["digest"]) == 18


def test_a_finished_file_costs_28_characters_of_a_position(tmp_path: Path) -> None:
    for number in range(300):
        npy(tmp_path / f"{number}.npy", number, 1)
    found, after = read_all(open_source(str(tmp_path)))
    assert found == list(range(300))
    assert [len(block) for block in after["finished"][""]] == [256 * 28, 44 * 28]


def test_files_that_are_gone_are_forgotten_beyond_a_number_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchkit.sources.position.KEPT_GONE", 2)
    for number in range(5):
        npy(tmp_path / f"{number}.npy", number, 1)
    source = open_source(str(tmp_path))
    _, after = read_all(source)
    for number in range(4):
        (tmp_path / f"{number}.npy").rename(tmp_path / f"{number}.gone")
    npy(tmp_path / "5.npy", 5, 1)
    found, after = read_all(source, after)
    assert found == [5]
    for number in (0, 3):
        (tmp_path / f"{number}.gone").rename(tmp_path / f"{number}.npy")
    # 3 was among the last two that went and is still known; 0 isn't.
    assert read_all(source, after)[0] == [0]


# Lines that grow


def test_a_half_written_last_line_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"embedding": [0, 1]}\n{"embedding": [1')
    source = open_source(str(path))
    found, after = read_all(source)
    assert found == [0]
    with path.open("a") as file:
        file.write(', 1]}\n{"embedding": [2, 1]}')  # whole, though its line has no end yet
    found, after = read_all(source, after)
    assert found == [1, 2]
    with path.open("a") as file:
        file.write('\n\n{"embedding": [3, 1]}\n')
    found, after = read_all(source, after)
    assert found == [3]
    assert read_all(source, after)[0] == []


def test_a_line_that_goes_on_after_it_was_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("one\ntw")
    source = open_source(str(path))
    after = [rows.end for rows in source.read()][-1]
    with path.open("a") as file:
        file.write("o\n")
    assert "line 2 was changed after it had been read" in refused(source, after)


def test_a_text_without_its_line_end_waits_while_somebody_may_still_write(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("one\ntw")
    now = path.stat().st_mtime
    young = FileSource(open_folder(str(path)), "x", settling_s=60, clock=lambda: now + 59)
    assert [rows.texts for rows in young.read()] == [("one",)]
    old = FileSource(open_folder(str(path)), "x", settling_s=60, clock=lambda: now + 61)
    assert [rows.texts for rows in old.read()] == [("one", "tw")]


def test_a_file_that_is_not_whole_waits_while_somebody_may_still_write_it(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", 0, 2)
    parquet(tmp_path / "b.parquet", 2, 3)
    whole = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[:-20])
    now = (tmp_path / "b.parquet").stat().st_mtime
    young = FileSource(open_folder(str(tmp_path)), "x", settling_s=60, clock=lambda: now + 59)
    found, after = read_all(young)
    assert found == [0, 1]
    old = FileSource(open_folder(str(tmp_path)), "x", settling_s=60, clock=lambda: now + 61)
    assert "the Parquet footer is missing" in refused(old, after)
    (tmp_path / "b.parquet").write_bytes(whole)
    assert read_all(old, after)[0] == [2, 3, 4]


@pytest.mark.parametrize("tail", ["", '{"embedding": [5, 1]}\n'])
def test_lines_that_were_replaced_are_refused(tmp_path: Path, tail: str) -> None:
    path = tmp_path / "x.jsonl"
    json_lines(path, 0, 5)
    source = open_source(str(path))
    after = first_end(source)
    json_lines(path, 10, 5, mode="w")
    with path.open("a") as file:
        file.write(tail)
    assert "its content was replaced after 2 rows of it had been read" in refused(source, after)
    path.write_text('{"embedding": [0, 1]}\n')
    assert "is shorter now" in refused(source, after)


# What has changed is refused


def test_a_finished_file_that_was_replaced_is_refused(tmp_path: Path) -> None:
    npy(tmp_path / "a.npy", 0, 3)
    npy(tmp_path / "b.npy", 3, 3)
    source = open_source(str(tmp_path))
    _, after = read_all(source)
    npy(tmp_path / "a.npy", 50, 3)
    assert f"{tmp_path}: a.npy: was replaced after it had been read" in refused(source, after)


def test_a_finished_file_that_was_only_touched_is_not_read_again(tmp_path: Path) -> None:
    npy(tmp_path / "a.npy", 0, 3)
    source = open_source(str(tmp_path))
    _, after = read_all(source)
    os.utime(tmp_path / "a.npy", (1, 1))
    assert read_all(source, after)[0] == []


@pytest.mark.parametrize(("count", "what"), [(5, "its content was replaced after 2 rows"), (9, "is another file now")])
def test_a_file_in_hand_that_was_replaced_is_refused(tmp_path: Path, count: int, what: str) -> None:
    npy(tmp_path / "a.npy", 0, 5)
    source = open_source(str(tmp_path))
    after = first_end(source)
    npy(tmp_path / "a.npy", 50, count)
    assert what in refused(source, after)


def test_a_file_that_is_replaced_while_it_is_read_is_refused(tmp_path: Path) -> None:
    npy(tmp_path / "a.npy", 0, 9)
    rows = open_source(str(tmp_path)).read(batch_rows=2)
    next(rows)
    npy(tmp_path / "new", 50, 9)
    (tmp_path / "new.npy").replace(tmp_path / "a.npy")
    with pytest.raises(SourceError, match="was replaced while it was read"):
        list(rows)


def test_a_file_in_hand_that_is_gone_is_refused_and_a_finished_one_may_go(tmp_path: Path) -> None:
    npy(tmp_path / "a.npy", 0, 5)
    npy(tmp_path / "b.npy", 5, 5)
    source = open_source(str(tmp_path))
    after = first_end(source)
    _, finished = read_all(source)
    (tmp_path / "a.npy").unlink()
    assert "a.npy: is gone, and only 2 rows of it had been read" in refused(source, after)
    assert read_all(source, finished)[0] == []


def test_a_source_that_vanishes_is_refused(tmp_path: Path) -> None:
    npy(tmp_path / "logs" / "a.npy", 0, 5)
    source = open_source(str(tmp_path / "logs"))
    _, after = read_all(source)
    shutil.rmtree(tmp_path / "logs")
    assert refused(source, after) == f"{tmp_path / 'logs'}: no such file or directory"


@pytest.mark.parametrize(
    ("spec", "is_empty"),
    [
        ("none", False),
        ("empty", True),
        ("empty/*.npy", True),
        ("none/*.npy", True),
        ("other", True),
        ("x.jsonl", False),
    ],
)
def test_a_place_where_nothing_is_yet_is_told_from_one_that_can_never_be_read(
    tmp_path: Path, spec: str, is_empty: bool
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.parquet.tmp").write_text("half")
    with pytest.raises(SourceAbsent) as caught:
        next(iter(open_source(str(tmp_path / spec)).read()))
    assert caught.value.is_empty == is_empty
    (tmp_path / "x.csv").write_text("1,2")
    with pytest.raises(SourceError) as refusal:
        next(iter(open_source(str(tmp_path / "x.csv")).read()))
    assert not isinstance(refusal.value, SourceAbsent)


def test_a_file_that_goes_between_the_listing_and_its_opening_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npy"
    npy(path, 0, 5)
    entries = LocalFolder.entries

    def listed_and_gone(folder: LocalFolder) -> list[FileEntry]:
        found = entries(folder)
        path.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(LocalFolder, "entries", listed_and_gone)
    with pytest.raises(SourceAbsent, match=r"a\.npy: can't be read: No such file or directory"):
        next(iter(open_source(str(tmp_path)).read()))


def test_another_dimension_behind_the_position_is_refused_in_one_file_and_another_files_own(tmp_path: Path) -> None:
    log = tmp_path / "a.jsonl"
    log.write_text('{"vector": [1, 2]}\n')
    source = open_source(str(tmp_path))
    _, after = read_all(source)
    (tmp_path / "b.jsonl").write_text('{"vector": [1, 2, 3]}\n')
    (rows,) = source.read(after)
    assert rows.vectors.shape == (1, 3)
    with log.open("a") as file:
        file.write('{"vector": [1, 2, 3]}\n')
    assert "a.jsonl: row 1: a vector of dimension 3, where the others have 2" in refused(source, after)


def test_a_file_whose_first_vectors_are_missing_has_the_dimension_of_those_before(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"vector": [1, 2]}\n')
    (tmp_path / "b.jsonl").write_text('{"vector": null}\n{"vector": [3, 4]}\n')
    lists = pa.array([None, [5.0, 6.0]], pa.list_(pa.float32()))
    pq.write_table(pa.table({"vector": lists}), tmp_path / "c.parquet")
    found = np.concatenate([rows.vectors for rows in open_source(str(tmp_path)).read(batch_rows=1)])
    assert np.array_equal(found, [[1, 2], [np.nan] * 2, [3, 4], [np.nan] * 2, [5, 6]], equal_nan=True)


def test_a_folder_that_goes_while_it_is_listed_is_gone_and_its_root_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / "log" / name).mkdir(parents=True)
        npy(tmp_path / "log" / name / "x.npy", 0, 5)
    scan, going = os.scandir, {tmp_path / "log" / "a"}

    def scan_what_is_left(path: Any) -> Any:
        if not isinstance(path, int) and Path(path) in going:
            shutil.rmtree(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scan_what_is_left)
    source = open_source(str(tmp_path / "log"))
    assert read_all(source)[0] == [0, 1, 2, 3, 4]
    going.add(tmp_path / "log")
    with pytest.raises(SourceAbsent, match="log: can't be listed: No such file or directory"):
        read_all(source)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "postgres"}, "another kind of source (postgres 1; needed: files 1)"),
        ({"version": 2}, "another kind of source (files 2; needed: files 1)"),
        ({"finished": {"": ["abc"]}}, "the position is damaged"),
        ({"finished": {"": ["abcd"]}}, "a list of finished files is cut"),
        ({"finished": None}, "the position is damaged"),
        ({"row": "x"}, "the position is damaged"),
        ({"growing": {"a": {}}}, "the position is damaged"),
    ],
    ids=range(7),
)
def test_a_position_that_is_no_position_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    npy(tmp_path / "a.npy", 0, 5)
    source = open_source(str(tmp_path))
    assert message in refused(source, {**first_end(source), **change})


def test_batches_need_rows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch_rows must be at least 1, got 0"):
        list(open_source(str(tmp_path)).read(batch_rows=0))


# Object stores


@pytest.fixture
def store() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/bucket", recursive=True)


def put(store: Any, name: str, first: int, count: int, tmp_path: Path) -> None:
    path = tmp_path / "local.parquet"
    parquet(path, first, count)
    store.pipe(f"/bucket/{name}", path.read_bytes())


def test_a_store_is_followed_like_a_folder(store: Any, tmp_path: Path) -> None:
    put(store, "logs/2.parquet", 0, 5, tmp_path)
    put(store, "logs/10.parquet", 5, 5, tmp_path)
    put(store, "logs/_x.parquet", 99, 5, tmp_path)
    put(store, "logs/_old/x.parquet", 99, 5, tmp_path)
    source = open_source("memory://bucket/logs")
    found, after = read_all(source)
    assert found == list(range(10))
    put(store, "logs/1.parquet", 10, 2, tmp_path)
    found, after = read_all(source, after)
    assert found == [10, 11]
    put(store, "logs/2.parquet", 20, 5, tmp_path)
    assert "memory://bucket/logs: 2.parquet: was replaced after it had been read" in refused(source, after)


@pytest.mark.parametrize("place", ["disk", "store"])
def test_lines_that_grow_while_they_are_read_were_not_replaced(store: Any, tmp_path: Path, place: str) -> None:
    first = "".join(json.dumps({"embedding": [row, 1.0]}) + "\n" for row in range(9))
    later = json.dumps({"embedding": [9.0, 1.0]}) + "\n"

    def write(text: str) -> None:
        (tmp_path / "x.jsonl").write_text(text)
        store.pipe("/bucket/x.jsonl", text.encode())

    write(first)
    source = open_source(str(tmp_path) if place == "disk" else "memory://bucket")
    found = []
    for rows in source.read(batch_rows=4):
        found += rows.vectors[:, 0].tolist()
        write(first + later)
    end = rows.end
    found += [value for rows in source.read(end) for value in rows.vectors[:, 0].tolist()]
    assert found == list(range(10))
    batches = source.read(batch_rows=4)
    next(batches)
    write((first + later).replace("[0, ", "[7, "))
    with pytest.raises(SourceError, match=r"x\.jsonl: was replaced while it was read"):
        list(batches)
    write(first[:40])
    with pytest.raises(SourceError, match="is shorter now"):
        list(source.read(end))


def test_one_file_and_a_glob_of_a_store_are_read(store: Any, tmp_path: Path) -> None:
    put(store, "a/1.parquet", 0, 2, tmp_path)
    put(store, "b/1.parquet", 2, 2, tmp_path)
    assert read_all(open_source("memory://bucket/a/1.parquet"))[0] == [0, 1]
    assert read_all(open_source("memory://bucket/*/1.parquet"))[0] == [0, 1, 2, 3]
    assert "nothing to read" in refused(open_source("memory://bucket/none/*.parquet"))
    assert "memory://bucket/none: nothing to read" in refused(open_source("memory://bucket/none"))


# Memory

_READ = """
import resource, sys
import pyarrow.parquet, numpy
from benchkit.sources.open import open_source
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(len(rows) for rows in open_source(sys.argv[1]).read())
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("name", ["x.parquet", "x.npy"])
def test_memory_is_bounded_by_the_batch_and_not_by_the_row_group(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    block = np.random.default_rng(0).standard_normal((10_000, 768)).astype(np.float32)
    if name == "x.npy":
        writer = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(60_000, 768))
        for start in range(0, 60_000, 10_000):
            writer[start : start + 10_000] = block
        del writer
    else:
        array = pa.FixedSizeBinaryArray.from_buffers(pa.binary(3072), 10_000, [None, pa.py_buffer(block)])
        whole = pa.table({"embedding": pa.chunked_array([array] * 6)})
        pq.write_table(whole, path, compression="none", use_dictionary=False, row_group_size=60_000)
    done = subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True)
    rows, growth_mib = map(int, done.stdout.split())
    assert rows == 60_000
    assert growth_mib < 130  # the file has 176 MiB, one row group
