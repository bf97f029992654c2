"""What a drift monitor remembers between two runs: where it stopped, the window it was in, and every verdict.

    Progress (position, unfinished window, evidence, alerts) ─┐
    verdicts of the windows that ended                       ─┴─ one transaction ──> state.db (SQLite) ── history

A row of the source is counted in the same transaction that moves the position behind it, so a process that dies
anywhere goes on without losing a row or counting one twice. Two watches of one stream exclude each other by a lock,
which ends with its process; and where a file system has none, each commit names the version that it started from.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from benchkit.errors import UsageError

SCHEMA_VERSION = 1
_BUSY_S = 30.0
_TABLES = """
CREATE TABLE IF NOT EXISTS streams (
    key TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    progress TEXT NOT NULL,
    window BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS checks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    number INTEGER NOT NULL,
    baseline TEXT NOT NULL,
    source TEXT NOT NULL,
    checked_at TEXT NOT NULL,
    severity TEXT NOT NULL,
    report TEXT NOT NULL,
    run_id TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS checks_by_baseline ON checks (baseline, id);
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a watch of one source stands.

    Attributes:
        position: `Rows.end` of the last rows that were counted; {} at the start.
        facts: What else the watch remembers, as JSON: evidence, numbers, alerts.
        window: The unfinished window, as the watch packs it; b"" where none is open.
        version: Of the commit that this was read from; 0 before the first.
    """

    position: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    window: bytes = b""
    version: int = 0


@dataclass(frozen=True, slots=True)
class KeptCheck:
    """A verdict as it was kept.

    Attributes:
        stream: Of which watch; "" of a single check.
        report: The JSON form of the DriftReport.
        run_id: MLflow's run of it; "" where it isn't recorded there.
    """

    report: Mapping[str, Any]
    stream: str = ""
    id: int = 0
    run_id: str = ""


class DriftState:
    """The monitor's database; a context manager that closes it."""

    def __init__(self, path: Path) -> None:
        """Open the database, and make it where there is none.

        Raises:
            UsageError: it can't be opened, isn't one, or is of a newer benchkit.
        """
        self.path = path
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            try:
                self._prepare()
                self._file = _identity(path)
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        # A commit is on the disk when it returns: what an alert says must not be forgotten by a crash.
        self._db.execute("PRAGMA synchronous=FULL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise UsageError(
                f"{self.path}: form {version} of a newer benchkit, this one reads {SCHEMA_VERSION}; upgrade benchkit"
            )
        if version < SCHEMA_VERSION:
            self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def __enter__(self) -> DriftState:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def progress(self, stream: str) -> Progress:
        """Return where a stream stands; a stream that was never followed stands at its start."""
        with _told(self.path):
            row = self._db.execute("SELECT version, progress, window FROM streams WHERE key = ?", (stream,)).fetchone()
            if row is None:
                return Progress()
            version, text, window = row
            kept = json.loads(text)
            return Progress(kept["position"], kept["facts"], bytes(window), version)

    def commit(self, stream: str, progress: Progress, checks: Sequence[Mapping[str, Any]] = ()) -> Progress:
        """Keep where a stream stands and the verdicts that led there, all or nothing.

        Returns:
            The progress with its new version.

        Raises:
            UsageError: another process followed the same stream meanwhile, or the database can't be written or is gone.
        """
        self._check_there()
        text = json.dumps({"position": progress.position, "facts": progress.facts})
        with _told(self.path), self._transaction():
            if progress.version == 0:
                done = self._db.execute(
                    "INSERT OR IGNORE INTO streams VALUES (?, 1, ?, ?)", (stream, text, progress.window)
                )
            else:
                done = self._db.execute(
                    "UPDATE streams SET version = version + 1, progress = ?, window = ? WHERE key = ? AND version = ?",
                    (text, progress.window, stream, progress.version),
                )
            if done.rowcount != 1:
                raise self._taken()
            for report in checks:
                self._add(stream, report)
        return Progress(progress.position, progress.facts, progress.window, progress.version + 1)

    def add_check(self, report: Mapping[str, Any]) -> int:
        """Keep the verdict of a single check and return its number."""
        with _told(self.path), self._transaction():
            return self._add("", report)

    def recorded(self, check: int, run_id: str) -> None:
        """Note MLflow's run of a verdict."""
        with _told(self.path), self._transaction():
            self._db.execute("UPDATE checks SET run_id = ? WHERE id = ?", (run_id, check))

    @contextmanager
    def following(self, stream: str) -> Iterator[None]:
        """Be the only process that follows a stream.

        Raises:
            UsageError: another one does, or the lock can't be made.
        """
        from filelock import FileLock, Timeout

        with ExitStack() as held:
            with _told(self.path):
                folder = self.path.parent / "watches"
                folder.mkdir(exist_ok=True)
                try:
                    held.enter_context(FileLock(folder / f"{stream}.lock", timeout=0))
                except Timeout:
                    raise self._taken() from None
                except NotImplementedError:  # a file system without locks
                    pass
            yield

    def _check_there(self) -> None:
        """Refuse to write to a file that has no name any more: what is written there is gone with this process."""
        with _told(self.path):
            if _identity(self.path) != self._file:
                raise UsageError(f"{self.path}: was replaced while it was in use; start again, from what is there now")

    def _taken(self) -> UsageError:
        return UsageError(
            f"{self.path}: another process follows the same source with the same baseline; stop one of the two"
        )

    def unrecorded(self, stream: str, *, limit: int = 100) -> list[KeptCheck]:
        """Return the first verdicts of a stream that MLflow doesn't have, oldest first."""
        return self._checks("WHERE stream = ? AND run_id = '' ORDER BY id LIMIT ?", (stream, limit))

    def last(self, stream: str) -> KeptCheck | None:
        """Return the latest verdict of a stream; None before the first."""
        found = self._checks("WHERE stream = ? ORDER BY id DESC LIMIT 1", (stream,))
        return found[0] if found else None

    def history(self, baseline: str | None = None, *, limit: int = 1000) -> list[KeptCheck]:
        """Return the latest verdicts, oldest first."""
        where = "" if baseline is None else "WHERE baseline = ?"
        values: tuple[Any, ...] = () if baseline is None else (baseline,)
        return self._checks(f"{where} ORDER BY id DESC LIMIT ?", (*values, limit))[::-1]

    def forget(self, stream: str) -> None:
        """Start a stream from its beginning the next time."""
        with _told(self.path), self._transaction():
            self._db.execute("DELETE FROM streams WHERE key = ?", (stream,))

    def _checks(self, rest: str, values: tuple[Any, ...]) -> list[KeptCheck]:
        with _told(self.path):
            # `rest` is one of this module's own texts.
            rows = self._db.execute(f"SELECT id, stream, run_id, report FROM checks {rest}", values).fetchall()  # noqa: S608
            return [KeptCheck(json.loads(report), stream, number, run_id) for number, stream, run_id, report in rows]

    def _add(self, stream: str, report: Mapping[str, Any]) -> int:
        baseline, window = report["baseline"], report["window"]
        done = self._db.execute(
            "INSERT INTO checks (stream, number, baseline, source, checked_at, severity, report) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                stream,
                window["number"],
                baseline["name"],
                window["source"],
                report["checked_at"],
                report["severity"],
                json.dumps(report),
            ),
        )
        return int(done.lastrowid or 0)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # A full disk has rolled back by itself.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, json.JSONDecodeError) as exc:
        raise UsageError(f"{path}: the monitor's database can't be used ({exc}); {_advice(exc)}") from exc


# By SQLite's code, of which the lower byte says what kind of error it is (sqlite.org/rescode.html).
_BUSY, _READONLY, _IO, _FULL, _CANT_OPEN = 5, 8, 10, 13, 14
_ADVICE = {
    _BUSY: "another process is writing to it: wait, or end that process, and start again",
    _READONLY: "let this user write to the file and its folder",
    _IO: "look at the disk, and make room if it is full, then start again",
    _FULL: "make room on the disk, then start again",
    _CANT_OPEN: "let this user write to the file and its folder",
}


def _advice(error: Exception) -> str:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and (code & 0xFF) in _ADVICE:
        return _ADVICE[code & 0xFF]
    if isinstance(error, OSError):
        return "mend that, then start again"
    return "mend or move the file away: what it holds is the history and where the watches stand"
