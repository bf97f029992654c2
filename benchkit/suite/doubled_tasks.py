"""Where a suite names one task twice: by name and inside a benchmark, or inside two benchmarks.

    tasks by name, names inside each benchmark ──> doubled names ── the file's lines ──> a line each, with both places

What is inside a benchmark is known only when it is opened, so that these problems are found later than those of the
file alone (suite.cross_check).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchkit.suite.problems import Problem, refusal, show_place
from benchkit.suite.read_yaml import Document, read_document


class _Origin(NamedTuple):
    """The nth task by name of a suite, or its nth benchmark."""

    is_benchmark: bool
    number: int


class _Place(NamedTuple):
    position: int
    line: int


def doubled_tasks(path: Path | None, named: Sequence[str], inside: Sequence[Sequence[str]]) -> list[str]:
    """Return a line of text for each task that a suite names twice, by name.

    Args:
        path: The suite's file; None for a suite made in code, which has no lines.
        named: Names of its tasks, in the order of the file.
        inside: Names of the tasks of each of its benchmarks, in the order of the file.
    """
    origins: dict[str, list[_Origin]] = {}
    for is_benchmark, lists in ((False, [[name] for name in named]), (True, inside)):
        for number, names in enumerate(lists):
            for name in names:
                origins.setdefault(name, []).append(_Origin(is_benchmark, number))
    doubled = {name: origins[name] for name in sorted(origins) if len(origins[name]) > 1}
    if not doubled:
        return []
    document = read_document(path)[0] if path is not None else None
    places = _places(document) if document is not None else {}
    problems = [_problem(name, found, places, path) for name, found in doubled.items()]
    if path is None or document is None:
        return [problem.message for problem in problems]
    return str(refusal(path, problems, document.lines)).splitlines()


def _problem(name: str, origins: Sequence[_Origin], places: Mapping[_Origin, _Place], path: Path | None) -> Problem:
    """Return the problem at the last benchmark that brings the task: there `exclude:` can be written."""
    *others, last = origins
    told = ", ".join(_told(other, places.get(other), path) for other in others)
    message = f"task {name!r} is in the suite twice: in this benchmark and {told}; leave one out with `exclude:`"
    return Problem(("tasks", places[last].position) if last in places else (), message)


def _told(origin: _Origin, place: _Place | None, path: Path | None) -> str:
    what = "inside another" if origin.is_benchmark else "by name"
    return what if place is None else f"{what} at {path}:{place.line} ({show_place(('tasks', place.position))})"


def _places(document: Document) -> dict[_Origin, _Place]:
    """Return where each entry of the list of tasks stands."""
    found: dict[_Origin, _Place] = {}
    for position, entry in enumerate(document.value.get("tasks") or ()):
        is_benchmark = isinstance(entry, dict) and "benchmark" in entry
        number = sum(origin.is_benchmark == is_benchmark for origin in found)
        found[_Origin(is_benchmark, number)] = _Place(position, document.lines[("tasks", position)])
    return found
