"""A SQLite database that others write to, read without leaving a trace.

    path ── how it is kept now (journal, write-ahead log, log with unread pages) ── read ──> what a query says

A connection with mode=ro still makes "-wal" and "-shm" files beside a database in WAL mode, and fails in a folder that
can't be written. So a database whose log is empty is read as a file that doesn't change, and read again where it did;
one with pages in its log is read by way of the index that its writer keeps, and copied into a folder of our own where
there is none. A database with a rollback journal is read under its locks, as ever.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from benchkit.store.board_files import Damaged, reason

_TRIES = 5
_PAUSE_S = 0.02
_BUSY_S = 2.0
_LONGEST_S = 5.0  # of all queries of one reading; a hundredth of it is usual
_STEPS = 20_000  # of SQLite's machine between two looks at the clock
_MOST_COPIED = 2**30
_WAL_MODE = 2  # in bytes 18 and 19 of the file; 1 is a rollback journal

Found = TypeVar("Found")
Stamp = tuple[tuple[int, int, int] | None, ...]
# One reading at a time in this process: closing a file gives up all of the process's locks on it, also those that
# another thread's connection holds.
_TURNS = threading.Lock()


def stamp_of(database: Path) -> Stamp:
    """Return what changes whenever the database does; (None, None) where there is none."""
    return tuple(_state(database.with_name(database.name + end)) for end in ("", "-wal"))


def read(database: Path, ask: Callable[[sqlite3.Connection], Found]) -> Found:
    """Return what a function reads from a database; it may be called more than once.

    Raises:
        Damaged: it can't be read.
    """
    try:
        with _TURNS:
            return _read(database, ask)
    except sqlite3.Error as exc:
        raise Damaged(_meaning(exc)) from exc
    except OSError as exc:
        raise Damaged(reason(exc)) from exc


def _read(database: Path, ask: Callable[[sqlite3.Connection], Found]) -> Found:
    for _ in range(_TRIES):
        before = stamp_of(database)
        main, log = before
        if main is None:
            raise FileNotFoundError(database)
        if not _is_wal(database):
            return _asked(database, "mode=ro", ask)
        if log is not None and log[1]:
            return _with_log(database, ask)
        try:
            found = _asked(database, "mode=ro&immutable=1", ask)
        except sqlite3.Error:
            if stamp_of(database) == before:
                raise
        else:
            if stamp_of(database) == before:
                return found
        time.sleep(_PAUSE_S)
    raise Damaged("it is being written all the time; try again")


def _with_log(database: Path, ask: Callable[[sqlite3.Connection], Found]) -> Found:
    try:
        return _asked(database, "mode=ro&readonly_shm=1", ask)
    except sqlite3.OperationalError as exc:
        if "unable to open" not in str(exc) and "readonly" not in str(exc):
            raise
    with TemporaryDirectory() as folder:
        return _asked(_copied(database, Path(folder)), "mode=rw", ask)


def _copied(database: Path, folder: Path) -> Path:
    for _ in range(_TRIES):
        before = stamp_of(database)
        if sum(state[1] for state in before if state) > _MOST_COPIED:
            raise Damaged("its log was left by a program that ended early, and it is too large to be copied")
        for end, state in zip(("", "-wal"), before, strict=True):
            copy = folder / f"copy.db{end}"
            copy.unlink(missing_ok=True)
            if state is not None:
                shutil.copyfile(database.with_name(database.name + end), copy)
        if stamp_of(database) == before:
            return folder / "copy.db"
        time.sleep(_PAUSE_S)
    raise Damaged("it is being written all the time; try again")


def _asked(database: Path, how: str, ask: Callable[[sqlite3.Connection], Found]) -> Found:
    uri = f"{database.absolute().as_uri()}?{how}"
    with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)) as connection:
        connection.text_factory = lambda content: content.decode("utf-8", "replace")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        # A view that somebody put in a table's place may run for ever.
        until = time.monotonic() + _LONGEST_S
        connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        connection.execute("BEGIN")
        try:
            return ask(connection)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _is_wal(database: Path) -> bool:
    with database.open("rb") as file:
        head = file.read(20)
    return head.startswith(b"SQLite format 3\0") and head[18:20] == bytes([_WAL_MODE, _WAL_MODE])


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _meaning(error: sqlite3.Error) -> str:
    text = str(error)
    if "not a database" in text:
        return "it is not an SQLite database"
    if "malformed" in text or "corrupt" in text:
        return f"it is damaged ({text})"
    if "locked" in text:
        return "it is locked by another program; try again when that has finished"
    if "interrupted" in text:
        return f"reading took more than {_LONGEST_S:.0f} s and was given up"
    if "no such" in text:
        return f"it was made by another version, or another program ({text})"
    return f"it can't be read ({text})"
