"""Databases of others are read as they are, in whatever state, and nothing of them or beside them changes."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benchkit.store import board_sqlite
from benchkit.store.board_files import Damaged
from benchkit.store.board_sqlite import read, stamp_of

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that makes a database of one table with the rows 1 and 2."""

    def call(mode: str = "WAL", name: str = "a b?%20.db") -> Path:
        path = tmp_path / "place" / name
        path.parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"PRAGMA journal_mode={mode}")
            database.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)")
        return path

    return call


_WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("INSERT INTO t VALUES (3)")
database.commit()
print("written", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def another_process(make: Make) -> Iterator[Path]:
    """Yield a database whose third row is in its log alone, while another process has it open."""
    path = make()
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"written"
        yield path
        process.stdin.close()


@pytest.fixture
def writer(make: Make) -> Iterator[tuple[Path, sqlite3.Connection]]:
    """Yield a database whose third row is in its log alone, and the connection that wrote it."""
    path = make()
    with closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO t VALUES (3)")
        database.commit()
        yield path, database


def rows(path: Path) -> list[int]:
    return read(path, lambda database: [x for (x,) in database.execute("SELECT x FROM t ORDER BY x")])


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_reading_leaves_no_trace(make: Make, mode: str) -> None:
    path = make(mode)
    before = tree(path.parent)
    assert rows(path) == [1, 2]
    assert tree(path.parent) == before
    assert set(before) == {path.name}


def test_rows_that_are_in_the_log_alone_are_read(another_process: Path) -> None:
    path = another_process
    before = tree(path.parent)
    assert rows(path) == [1, 2, 3]
    assert tree(path.parent) == before
    assert len(before) == 3  # its log and its index too


def test_a_log_that_was_left_behind_is_read_and_stays(writer: tuple[Path, sqlite3.Connection], tmp_path: Path) -> None:
    path, _ = writer
    left = tmp_path / "left"
    left.mkdir()
    for end in ("", "-wal"):  # as a copy of a crashed machine's folder has them
        shutil.copy(f"{path}{end}", left / f"c.db{end}")
    before = tree(left)
    assert rows(left / "c.db") == [1, 2, 3]
    assert tree(left) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("log", [False, True], ids=["", "with a log that was left behind"])
def test_a_folder_that_can_not_be_written_is_read(
    writer: tuple[Path, sqlite3.Connection], tmp_path: Path, log: bool
) -> None:
    path, database = writer
    place = tmp_path / "read only"
    place.mkdir()
    if not log:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, place / "c.db")
    if log:
        shutil.copy(f"{path}-wal", place / "c.db-wal")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder.stat().st_mode & 0o077 == 0:
            folder.chmod(0o711)
    place.chmod(0o555)
    os.seteuid(65534)
    try:
        with pytest.raises(sqlite3.OperationalError), closing(sqlite3.connect(place / "c.db")) as plain:
            plain.execute("INSERT INTO t VALUES (4)")
        assert rows(place / "c.db") == [1, 2, 3]
    finally:
        os.seteuid(0)


def test_a_write_while_a_database_is_read_makes_it_read_again(make: Make) -> None:
    path = make()
    seen = []

    def ask(database: sqlite3.Connection) -> list[int]:
        found = [x for (x,) in database.execute("SELECT x FROM t ORDER BY x")]
        if not seen:
            with closing(sqlite3.connect(path)) as other:  # its end brings the log into the file
                other.execute("INSERT INTO t VALUES (3)")
                other.commit()
        seen.append(found)
        return found

    assert read(path, ask) == [1, 2, 3]
    assert seen == [[1, 2], [1, 2, 3]]


def test_a_database_that_is_written_all_the_time_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_sqlite, "_PAUSE_S", 0)
    path = make()
    times = iter(range(1, 100))

    def ask(database: sqlite3.Connection) -> None:
        os.utime(path, ns=(0, next(times)))

    with pytest.raises(Damaged, match="written all the time"):
        read(path, ask)


def test_nothing_can_be_written_through_it(writer: tuple[Path, sqlite3.Connection], make: Make) -> None:
    for path in (writer[0], make("DELETE", "other.db")):
        with pytest.raises(Damaged, match="can't be read"):
            read(path, lambda database: database.execute("INSERT INTO t VALUES (9)"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "another version, or another program"),
        (b"no database at all, but long enough to hold a head " * 100, "not an SQLite database"),
    ],
    ids=["empty", "another file"],
)
def test_what_is_no_database_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(Damaged, match=said):
        rows(tmp_path / "a.db")
    assert (tmp_path / "a.db").read_bytes() == content


def test_a_database_that_was_cut_is_told(make: Make) -> None:
    path = make()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(Damaged, match="damaged"):
        rows(path)


def test_a_database_that_is_gone_is_told(tmp_path: Path) -> None:
    assert stamp_of(tmp_path / "none.db") == (None, None)
    with pytest.raises(Damaged, match="vanished"):
        rows(tmp_path / "none.db")
    assert not list(tmp_path.iterdir())


def test_a_view_that_never_ends_is_given_up(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_sqlite, "_LONGEST_S", 0.2)
    path = make(name="endless.db")
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "DROP TABLE t; CREATE VIEW t AS "
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
        )
    began = time.monotonic()
    with pytest.raises(Damaged, match="given up"):
        rows(path)
    assert time.monotonic() - began < 5


def test_the_stamp_changes_with_a_write_that_is_in_the_log_alone(writer: tuple[Path, sqlite3.Connection]) -> None:
    path, database = writer
    before = stamp_of(path)
    database.execute("INSERT INTO t VALUES (4)")
    database.commit()
    assert stamp_of(path) != before
