"""Files of MLflow's runs, and calls that may take for ever, waited for only so long.

a run's place (folder, bucket), name of a file ── from_folder, from_storage ──> its content
a call to somebody's server ── begun: a thread that nobody has to wait for ──> Future
an error of MLflow, a driver or the network ── meaning ──> a sentence of our own, as theirs may hold a password
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from benchkit.errors import BenchkitError
from benchkit.store.board_files import MOST_BYTES, Damaged, read_file
from benchkit.store.uri import _MEANINGS

_DOWNLOAD_S = 60.0
_STORAGE = ("s3", "gs", "wasbs", "abfss")

Found = TypeVar("Found")


class Absent(Damaged):
    """A run doesn't have a file."""


def local(uri: str) -> Path | None:
    """Return the folder that an artifact URI means on this machine; None where it means none."""
    if uri.startswith("file:"):
        return Path(url2pathname(urlsplit(uri).path))
    return Path(uri) if uri and "://" not in uri and Path(uri).is_absolute() else None


def from_folder(folder: Path, name: str) -> bytes | None:
    """Return a file of a run's folder; None where there is none."""
    return read_file(folder / name, folder.resolve()) if (folder / name).is_file() else None


def from_storage(uri: str, name: str) -> bytes:
    """Return a file that is neither on this machine nor behind a server.

    Raises:
        Damaged: it can't be had.
    """
    scheme = urlsplit(uri).scheme
    if scheme.startswith("mlflow-artifacts"):
        raise Damaged("its files are behind an MLflow server; give the server's address as the tracking URI")
    if scheme not in _STORAGE:
        raise Absent(f"its {name} isn't among the files of its run; it was deleted, or the folder was moved")

    def load(folder: str) -> Path:
        from mlflow.artifacts import download_artifacts, list_artifacts

        check_size(list_artifacts(artifact_uri=uri), name)
        return Path(download_artifacts(artifact_uri=f"{uri}/{name}", dst_path=folder))

    import_mlflow()
    return loaded(load)


def begun(call: Callable[[], Found]) -> Future[Found]:
    """Run a call in a thread that nobody has to wait for, not even the end of the program."""
    future: Future[Found] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as exc:
            future.set_exception(exc)

    threading.Thread(target=run, name="benchkit-board", daemon=True).start()
    return future


def loaded(load: Callable[[str], Path]) -> bytes:
    """Return the content of a file that a function brings into a folder."""

    def call() -> bytes:
        with TemporaryDirectory(prefix="benchkit-board-", ignore_cleanup_errors=True) as folder:
            return read_file(load(folder), Path(folder).resolve())

    try:
        return begun(call).result(timeout=_DOWNLOAD_S)
    except TimeoutError as exc:
        raise Damaged(f"it did not come within {_DOWNLOAD_S:.0f} s") from exc
    except Damaged:
        raise
    except Exception as exc:
        raise Damaged(meaning(exc)) from exc


def check_size(entries: Any, name: str) -> None:
    """Refuse a file that a run doesn't have, or a large one, before it is loaded."""
    sizes = {entry.path.rpartition("/")[2]: entry.file_size for entry in entries}
    if name not in sizes:
        raise Absent(f"its {name} isn't among the files of its run")
    if (sizes[name] or 0) > MOST_BYTES:
        raise Damaged(f"its {name} has {sizes[name]} bytes, and {MOST_BYTES} are the most that is read")


def meaning(error: BaseException) -> str:
    """Return what an error means, without a word of its own: it may hold a password."""
    causes = [error, error.__cause__, error.__context__]
    text = " ".join(str(cause) for cause in causes if cause is not None)
    for pattern, said in _MEANINGS:
        if re.search(pattern, text, re.IGNORECASE):
            return said
    if isinstance(error, ModuleNotFoundError):
        return f"the package {error.name} is needed for it and isn't installed"
    inner = error.__cause__ if isinstance(error, BenchkitError) and error.__cause__ else error
    return f"it can't be read ({type(inner).__name__})"


def import_mlflow() -> None:
    """Import MLflow, which takes seconds, without its telling its makers."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow  # noqa: F401
