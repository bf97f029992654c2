"""What is wrong with a suite file: where, what was found, what is allowed.

pydantic's errors ─┐
cross checks      ─┴─> Problem(place, message) ──lines of the YAML──> "suites/x.yaml:5: tasks[1].dtaa: unknown key"
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchkit.errors import nearest

# A place in the file: ("tasks", 1, "data").
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong and where; `line` is set when the YAML itself can't be read."""

    place: Place
    message: str
    line: int | None = None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'data'?)" for the nearest known word, or "" when none is near.

    >>> suggestion("dtaa", ["data", "type"])
    " (did you mean 'data'?)"
    >>> suggestion("retrieval", ["STS", "Retrieval"])
    " (did you mean 'Retrieval'?)"
    """
    near = nearest(word, known)
    return f" (did you mean '{near}'?)" if near else ""


def show_place(place: Sequence[str | int]) -> str:
    """Return the place as its reader would write it.

    >>> show_place(("tasks", 1, "data"))
    'tasks[1].data'
    """
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
