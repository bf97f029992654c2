"""MLflow as the dashboard reads it.

tracking URI ── open_tracked ──┬─ SqliteRuns: SQL, read only, without importing MLflow; again when it changed
                               └─ ServerRuns (board_server)
run, name of a file ── document ──> its content
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from benchkit.store import board_sqlite
from benchkit.store.board_artifacts import from_folder, from_storage, local
from benchkit.store.board_files import Damaged
from benchkit.store.board_server import ServerRuns
from benchkit.store.board_sql import tracked_by
from benchkit.store.board_tracked import RunFacts, Tracked
from benchkit.store.uri import ARTIFACTS, Tracking

_RUN_ID = re.compile("[0-9a-f]{32}")


class TrackedRuns(Protocol):
    """A place that has runs."""

    tracking: Tracking

    def stamp(self) -> str: ...

    def tracked(self) -> Tracked: ...

    def nearby(self, run: RunFacts, name: str) -> bytes | None:
        """Return a file of a run that is on this machine; None where it isn't."""
        ...

    def document(self, run: RunFacts, name: str) -> bytes:
        """Return a file of a run; Damaged where it can't be had."""
        ...


def open_tracked(tracking: Tracking) -> TrackedRuns:
    """Return the place that a tracking URI means; nothing is opened yet."""
    plain = replace(tracking, shown=without_secrets(tracking.shown))
    if plain.database is not None:
        return SqliteRuns(plain, plain.database)
    return ServerRuns(plain)


def without_secrets(uri: str) -> str:
    """Return a URI without user, password and options; a path as it is.

    >>> without_secrets("https://token@host:5000/mlflow?key=secret")
    'https://host:5000/mlflow'
    """
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return uri
    host, slash, path = re.split("[?#]", rest)[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}" if "@" not in path else f"{scheme}://..."


class SqliteRuns:
    """Runs in a SQLite file."""

    def __init__(self, tracking: Tracking, database: Path) -> None:
        self.tracking, self._database = tracking, database
        self._known: tuple[board_sqlite.Stamp, Tracked] | None = None

    def stamp(self) -> str:
        return repr(board_sqlite.stamp_of(self._database))

    def tracked(self) -> Tracked:
        stamp = board_sqlite.stamp_of(self._database)
        if self._known is None or self._known[0] != stamp:
            self._known = stamp, self._read() if stamp[0] is not None else Tracked()
        return self._known[1]

    def _read(self) -> Tracked:
        try:
            return board_sqlite.read(self._database, lambda connection: tracked_by(_ask_sqlite(connection)))
        except Damaged as exc:
            return Tracked(problems=(str(exc),))

    def nearby(self, run: RunFacts, name: str) -> bytes | None:
        places = [local(run.files)]
        if _RUN_ID.fullmatch(run.run_id):
            # Where the whole folder was copied or moved, its files are still beside the database.
            places.append(self._database.parent / ARTIFACTS / run.run_id / "artifacts")
        found = (from_folder(place, name) for place in places if place is not None)
        return next((content for content in found if content is not None), None)

    def document(self, run: RunFacts, name: str) -> bytes:
        content = self.nearby(run, name)
        return from_storage(run.files, name) if content is None else content


def _ask_sqlite(connection: Any) -> Callable[[str, Mapping[str, Any]], Any]:
    def ask(query: str, values: Mapping[str, Any]) -> Any:
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError as exc:
            if "no such" not in str(exc):
                raise
            raise Damaged(f"another version of MLflow made the database, or another program ({exc})") from exc

    return ask
