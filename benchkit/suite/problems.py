"""What is wrong with a suite file: where, what was found, what is allowed.

pydantic's errors ─┐
cross checks      ─┴─> Problem(place, message) ──lines of the YAML──> "suites/x.yaml:5: tasks[1].dtaa: unknown key"
                                                       refusal ──> SuiteError, a line for each
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchkit.errors import SuiteError, nearest

# A place in the file: ("tasks", 1, "data").
Place = tuple[str | int, ...]

# A key or a value of a hostile file may be a million letters long; no message of ours comes near to this.
_LONGEST_LINE = 2_000


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


def refusal(path: Path, problems: Sequence[Problem], places: Mapping[Place, int]) -> SuiteError:
    """Return the error with a line of text for each problem, in the order of the file's lines.

    Args:
        places: Line of each place of the file.
    """
    lines: list[tuple[int, str]] = []
    for problem in problems:
        number = problem.line or _line(problem.place, places)
        place = f"{show_place(problem.place)}: " if problem.place else ""
        lines.append((number, _visible(f"{path}{f':{number}' if number else ''}: {place}{problem.message}")))
    # A problem of an alias is met once for each of its uses, and at other places; one of a merge only once.
    return SuiteError("\n".join(dict.fromkeys(text for _, text in sorted(lines, key=lambda line: line[0]))))


def _line(place: Place, places: Mapping[Place, int]) -> int:
    """Return the line of the place, or of the nearest mapping around a key that isn't there; 0 when none is known."""
    known = (place[:end] for end in range(len(place), -1, -1))
    return next((places[around] for around in known if around in places), 0)


def _visible(text: str) -> str:
    # Keys and values are data: none may steer the terminal that shows the message, or stand there as a line of its own.
    shown = text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}…"
    return "".join("\ufffd" if unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in shown)
