"""Where results are tracked: from what somebody wrote to an MLflow store that takes writes.

    "mlruns", "sqlite:///x.db", "http://host:5000", "postgresql://..." ── locate ──> Tracking
    Tracking ── prepare_tracking: make, migrate, probe ──> a store that answers
    Tracking ── speaking ──> an MlflowClient, quiet, with bounded waits; its errors as one TrackingError

Every client has an explicit URI: the global default of MLflow is never read or set, so a leftover `mlruns/0/meta.yaml`
can't turn it into a folder store, which MLflow 3 refuses.
A new SQLite database is made under a lock beside its place and renamed when it's whole, since MLflow's migrations
fail when two processes run them at once, and leave a broken file when they are killed.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchkit.errors import BenchkitError, UsageError

DATABASE_NAME = "mlflow.db"
ARTIFACTS = "artifacts"

# Making a database takes 1 to 5 s; the wait is for several processes that begin at once on a busy machine.
_LOCK_SECONDS = 120
_BUSY_SECONDS = 5
_CONNECT_SECONDS = 5
# MLflow's own 7 retries of 120 s would hold a finished comparison for a quarter of an hour. A value that the user has
# set stays.
_BOUNDED = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # set_terminated would print a link to stdout, which is for data.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_CHATTY = ("mlflow", "alembic", "sqlalchemy", "urllib3")
_DATABASE_FILES = (".db", ".sqlite", ".sqlite3")
_INSTEAD = "a folder (its mlflow.db is used), sqlite:///<path>, postgresql://... or http(s)://..."

# What MLflow and SQLite say, in parts of their messages, and what it means here; the first that is found counts.
_MEANINGS = (
    ("file lock", "another process has been making the database for minutes; try again when it has finished"),
    (
        "error code 401|401 Client Error|UNAUTHENTICATED",
        """the server refuses the login (401); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or \
MLFLOW_TRACKING_TOKEN""",
    ),
    (
        "error code 403|403 Client Error|PERMISSION_DENIED",
        "the server forbids this (403); ask its owner for the right to write experiments",
    ),
    ("error code 404|valid JSON format", "what answers there is no MLflow server; is the address right?"),
    (r"too many \d+ error responses", "the server fails; its log says why"),
    (
        "timed out|timeout exception",
        "no answer in time; if the server is slow, set MLFLOW_HTTP_REQUEST_TIMEOUT (seconds)",
    ),
    ("password authentication failed|no password supplied", "the server refuses the login; check user and password"),
    (
        "Max retries exceeded|Connection refused|Connection aborted|timeout expired|resolve host|RemoteDisconnected",
        "no server answers there; is it running, and is the address right?",
    ),
    ("database is locked", "the database is locked by another program; try again when that has finished"),
    (
        "out-of-date database schema|Can't locate revision",
        "the database was made by another version of MLflow; make a copy of it, then run `mlflow db upgrade` on it",
    ),
    ("not a database", "the file is not an SQLite database; give another path"),
    (
        "readonly database|unable to open database",
        "the database can't be written; mend its rights or give another path",
    ),
)


class TrackingError(BenchkitError):
    """Results can't be tracked; the results themselves are not touched by it, so a caller may warn and go on."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """A place for results.

    Attributes:
        uri: What MLflow is given.
        shown: The same without a password.
        database: The SQLite file; None for a server.
        artifact_root: Where a new experiment puts its files, as a URI; None lets the server decide.
    """

    uri: str
    shown: str
    database: Path | None = None
    artifact_root: str | None = None


def locate(uri: str) -> Tracking:
    """Return the place that a URI or a folder means; nothing is touched.

    Raises:
        UsageError: a kind of store that benchkit doesn't write to.
    """
    scheme, colon, rest = uri.strip().partition(":")
    # One letter is a drive of Windows.
    scheme = scheme.lower() if colon and len(scheme) > 1 else ""
    if not uri.strip() or uri.strip() == "databricks":
        raise UsageError(f"tracking URI {uri!r}: benchkit can't write there; give {_INSTEAD}")
    if not scheme:
        return _in_folder(uri.strip())
    if scheme in ("http", "https"):
        return Tracking(uri=uri.strip().rstrip("/"), shown=without_password(uri.strip().rstrip("/")))
    if scheme.partition("+")[0] == "sqlite":
        return _sqlite(rest, uri)
    if scheme.partition("+")[0] in ("postgresql", "postgres"):
        return _postgresql(scheme, rest)
    raise UsageError(_unknown_store(uri, scheme, rest))


def prepare_tracking(uri: str) -> Tracking:
    """Return the place that a URI or a folder means, made and ready for writes.

    Several processes may do this at once.

    Raises:
        UsageError: a kind of store that benchkit doesn't write to, or one whose driver isn't installed.
        TrackingError: it can't be made, or doesn't answer.
    """
    tracking = locate(uri)
    with speaking(tracking, ready=False):
        if tracking.database is not None:
            _prepare_database(tracking.database, tracking)
        elif tracking.uri.startswith("postgresql"):
            _probe_postgresql(tracking.uri)
    with speaking(tracking) as client:
        client.search_experiments(max_results=1)
    return tracking


@contextmanager
def speaking(tracking: Tracking, *, ready: bool = True) -> Iterator[Any]:
    """Yield an MlflowClient (None unless the store is ready) while MLflow is quiet and its waits are bounded.

    Raises:
        TrackingError: whatever MLflow, the database, the network or the disk had to say.
    """
    # Before the import, which starts to report the usage of MLflow to its makers.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with _environment(_BOUNDED):
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with _quiet():
                yield MlflowClient(tracking_uri=tracking.uri) if ready else None
        except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as exc:
            raise TrackingError(f"{tracking.shown}: {_meaning(exc, tracking)}") from exc
        finally:
            if tracking.database is not None:
                _checkpoint(tracking.database)


def without_password(uri: str) -> str:
    """Return a URI whose password is "***".

    >>> without_password("postgresql://me:secret@host/db")
    'postgresql://me:***@host/db'
    """
    return re.sub(r"(://[^/@:]*):[^/]*@", r"\1:***@", uri)


def _in_folder(text: str) -> Tracking:
    path = Path(text).expanduser().absolute()
    return _database(path if path.suffix in _DATABASE_FILES else path / DATABASE_NAME)


def _sqlite(rest: str, uri: str) -> Tracking:
    path, question, _ = rest.removeprefix("///").partition("?")
    if question:
        raise UsageError(f"tracking URI {uri!r}: options after '?' are not possible; give sqlite:///<path>")
    if not rest.startswith("///") or path in ("", ":memory:"):
        raise UsageError(f"tracking URI {uri!r}: a database in memory keeps nothing; give sqlite:///<path>")
    return _database(Path(path).absolute())


def _database(path: Path) -> Tracking:
    # SQLAlchemy takes the first for the beginning of options, and some versions of it decode the second.
    if re.search("[?]|%[0-9A-Fa-f]{2}", str(path)):
        raise UsageError(f"{path}: MLflow can't open a database whose path holds '?' or '%20'; give another path")
    return Tracking(
        uri=f"sqlite:///{path.as_posix()}",
        shown=str(path),
        database=path,
        artifact_root=(path.parent / ARTIFACTS).as_uri(),
    )


def _postgresql(scheme: str, rest: str) -> Tracking:
    driver = scheme.partition("+")[2] or "psycopg"
    if find_spec(driver) is None:
        remedy = 'pip install "benchkit[postgres]"' if driver == "psycopg" else f"pip install {driver}"
        raise UsageError(f"PostgreSQL needs the package {driver}, which is not installed: {remedy}")
    # The driver is named because SQLAlchemy 2.0 and 2.1 don't take the same one by default.
    uri = f"postgresql+{driver}:{rest}"
    return Tracking(uri=uri, shown=without_password(f"{scheme}:{rest}"))


def _unknown_store(uri: str, scheme: str, rest: str) -> str:
    if scheme != "file":
        return f"tracking URI {without_password(uri)!r}: benchkit doesn't know {scheme!r}; give {_INSTEAD}"
    path = rest.removeprefix("//") or "mlruns"
    database = f"sqlite:///{path}/{DATABASE_NAME}"
    return (
        f"tracking URI {uri!r}: MLflow no longer writes runs to a folder of files; give {database} instead "
        f"(`mlflow migrate-filestore --source {path} --target {database}` takes old runs along)"
    )


def _prepare_database(path: Path, tracking: Tracking) -> None:
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock", timeout=_LOCK_SECONDS):
        if not path.exists() or not path.stat().st_size:
            _create_database(path, tracking)
        _check_database(path)


def _create_database(path: Path, tracking: Tracking) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        _remove(new)
        SqlAlchemyStore(f"sqlite:///{new.as_posix()}", tracking.artifact_root).engine.dispose()
        with closing(sqlite3.connect(new)) as database:
            # Readers and a writer don't wait for each other, and a write is 2 to 5 times as fast. It stays in the file.
            database.execute("PRAGMA journal_mode=WAL")
        if path.exists() and path.stat().st_size:
            return  # another program, which knows nothing of the lock, was first
        new.replace(path)
    finally:
        _remove(new)
    # Where this process had a database here before, MLflow still holds connections to the deleted file.
    SqlAlchemyStore(tracking.uri, tracking.artifact_root).engine.dispose()


def _remove(database: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            database.with_name(database.name + end).unlink()


def _check_database(path: Path) -> None:
    """Raise at once what MLflow would find out after retries of 100 s, and before it spoils a foreign database."""
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "experiments" not in tables:
            raise OSError("the database belongs to another program; give another path")
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")


def _checkpoint(path: Path) -> None:
    """Bring all writes into the one file, so that copying it alone takes everything along."""
    if path.is_file():
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=1)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _probe_postgresql(uri: str) -> None:
    from sqlalchemy import NullPool, create_engine

    create_engine(uri, poolclass=NullPool, connect_args={"connect_timeout": _CONNECT_SECONDS}).connect().close()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables that the user hasn't set, for a while."""
    added = [name for name in values if name not in os.environ]
    os.environ.update({name: values[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what MLflow and its libraries log, unless MLFLOW_LOGGING_LEVEL is set: what matters is an exception."""
    loggers = [] if "MLFLOW_LOGGING_LEVEL" in os.environ else [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _meaning(error: Exception, tracking: Tracking) -> str:
    text = str(error)
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, text, re.IGNORECASE):
            return meaning
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}; mend the rights of the folder or give another path"
    lines = text.replace(tracking.uri, tracking.shown).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
