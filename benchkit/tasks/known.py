"""What an earlier run found out about a task, so that a run whose cells are all known need not import MTEB.

    task as the suite names it, content of its local files, versions ─┐
    name of a benchmark, versions ────────────────────────────────────┴─ hash ──> <cache>/tasks/<key>.json

Own data that passed their checks have the same rows under the same hash, and pass them again; MTEB's own facts change
with its version only. A file that is damaged, or that can't be read or written, is as good as none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from benchkit.embeddings.fingerprint import digest_json
from benchkit.embeddings.whole import write_whole
from benchkit.types.task import TaskSpec

# Change it when the checks of own data or the meaning of a fact change; old files are then ignored.
FORMAT = 4

Known = TypeVar("Known")


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What is known of a task before its data are loaded.

    Attributes:
        revision: Content hash of local files, or the commit that MTEB pins.
        splits: The task's own evaluation splits.
        notes: What the checks of own data say to the reader.
    """

    name: str
    type: str
    main_metric: str
    revision: str
    splits: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BenchmarkTask:
    """A task of an MTEB benchmark with the splits and subsets that the benchmark takes."""

    name: str
    type: str
    splits: tuple[str, ...]
    subsets: tuple[str, ...]


def known_folder(cache_dir: Path) -> Path:
    """Return the folder of a cache that holds what is known of tasks."""
    return cache_dir / "tasks"


def task_facts(cache_dir: Path, spec: TaskSpec, *, revision: str | None, find: Callable[[], TaskFacts]) -> TaskFacts:
    """Return the facts of a task: those of an earlier run, else what `find` finds, which is then kept.

    Args:
        revision: Content hash of the task's local files; None for a task on the hub.
    """
    values = asdict(spec) | {"data": None if spec.data is None else str(spec.data), "columns": dict(spec.columns)}
    return _recall(cache_dir, {"task": values, "revision": revision}, find, _to_facts, asdict)


def benchmark_tasks(
    cache_dir: Path, name: str, find: Callable[[], tuple[BenchmarkTask, ...]]
) -> tuple[BenchmarkTask, ...]:
    """Return the tasks of a benchmark: as an earlier run found them, else what `find` finds, which is then kept."""
    return _recall(
        cache_dir, {"benchmark": name}, find, _to_benchmark, lambda tasks: {"tasks": [asdict(task) for task in tasks]}
    )


def _to_facts(values: Mapping[str, Any]) -> TaskFacts:
    return TaskFacts(**{**values, "splits": tuple(values["splits"]), "notes": tuple(values["notes"])})


def _to_benchmark(values: Mapping[str, Any]) -> tuple[BenchmarkTask, ...]:
    found: Sequence[Mapping[str, Any]] = values["tasks"]
    return tuple(
        BenchmarkTask(**{**task, "splits": tuple(task["splits"]), "subsets": tuple(task["subsets"])}) for task in found
    )


def _recall(
    cache_dir: Path,
    subject: dict[str, object],
    find: Callable[[], Known],
    decode: Callable[[Mapping[str, Any]], Known],
    encode: Callable[[Known], dict[str, Any]],
) -> Known:
    versions = {name: version(name) for name in ("benchkit", "mteb")}
    key = digest_json({"format": FORMAT, "versions": versions, **subject})
    path = known_folder(cache_dir) / f"{key}.json"
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        return decode(_read(path))
    found = find()
    with suppress(OSError):
        _write(path, encode(found))
    return found


def _read(path: Path) -> Mapping[str, Any]:
    """Return what a file holds.

    Raises:
        OSError, ValueError, TypeError, KeyError: it isn't there, or isn't what was written.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    # A flipped bit inside a revision would be the name of other data.
    if content["digest"] != digest_json(content["known"]):
        raise ValueError(f"{path}: damaged")
    known: Mapping[str, Any] = content["known"]
    return known


def _write(path: Path, known: dict[str, Any]) -> None:
    """Write a file, whole or not at all.

    Raises:
        OSError: it can't be written.
    """
    content = json.dumps({"digest": digest_json(known), "known": known}, ensure_ascii=True)
    write_whole(path, content.encode("ascii"), is_synced=False)
