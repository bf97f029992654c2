"""Where in a suite file the names stand that MTEB doesn't know.

    tasks of a Document ── each name that they take from MTEB ── benchkit.tasks ──> Problems with their places

Asking MTEB imports it, which takes seconds, so a suite is read without: it is asked when a file is refused anyway, so
that all is told at once, and when a task is opened. Own data need no MTEB for this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchkit.errors import SuiteError, nearest
from benchkit.suite.problems import Problem, refusal
from benchkit.suite.read_yaml import read_document
from benchkit.suite.schema import TaskEntry
from benchkit.tasks.mteb_names import Misnomer, UnknownNames, find_task
from benchkit.tasks.opened import expand_benchmark


def check_names(tasks: Any) -> list[Problem]:
    """Return a problem for each name among a suite's tasks that MTEB doesn't know."""
    return [
        Problem(("tasks", position, *misnomer.key), misnomer.message)
        for position, entry in enumerate(tasks if isinstance(tasks, list) else [])
        if isinstance(entry, dict)
        for misnomer in _misnomers(entry)
    ]


def locate_names(path: Path) -> SuiteError | None:
    """Read a suite file again and return a line for each name that MTEB doesn't know; None where it knows them all."""
    document, _ = read_document(path)
    if document is None or not (problems := check_names(document.value.get("tasks"))):
        return None
    return refusal(path, problems, document.lines)


def _misnomers(entry: Mapping[str, Any]) -> Iterator[Misnomer]:
    try:
        if isinstance(benchmark := entry.get("benchmark"), str):
            expand_benchmark(benchmark, types=(), exclude=_texts(entry.get("exclude")))
        elif isinstance(name := entry.get("name"), str) and not _may_be_own(entry):
            find_task(name, subsets=_texts(entry.get("subsets")), splits=_texts(entry.get("splits")))
    except UnknownNames as exc:
        yield from exc.misnomers


def _may_be_own(entry: Mapping[str, Any]) -> bool:
    """Whether the entry has a type, or its writer may have meant it to: then its name is none of MTEB's."""
    known = [*TaskEntry.model_fields, "benchmark"]
    keys = {key if key in known else nearest(str(key), known) for key in entry}
    return bool(keys & {"type", "columns", "language", "benchmark"})


def _texts(values: Any) -> list[str]:
    return [value if isinstance(value, str) else "" for value in values] if isinstance(values, list) else []
