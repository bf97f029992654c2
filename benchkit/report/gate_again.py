"""The command that runs a gate again, against what it was held against.

    GateReport ── again ──> Again: the command, and what a reader must know of it

`--baseline champion` is the champion of the day on which it runs. What a gate was held against is in its record, as
"champion, version 3", so that the command that is shown names that version. Where the record has none (of another
program's gate), the note says that the champion may be another one now.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from benchkit.types.gate import GateReport

_OPTION, _CHAMPION = "--baseline", "champion"
_SOURCE = re.compile(r"champion, version ([1-9][0-9]{0,8})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Again:
    """A command and a note on it, "" where there is nothing to say."""

    command: str
    note: str = ""


def again(report: GateReport) -> Again:
    """Return the command of a gate; one against the champion names the version that it was.

    >>> _of("benchkit gate bge --baseline champion", "champion, version 3").command
    'benchkit gate bge --baseline champion@3'
    """
    return _of(report.command, report.baseline_source)


def _of(command: str, source: str) -> Again:
    try:
        given = shlex.split(command)
    except ValueError:  # a quote that is never closed, from a file that somebody wrote
        given = []
    if not any(_names_champion(given, at) for at in range(len(given))):
        return Again(command)
    found = _SOURCE.fullmatch(source)
    if found is None:
        return Again(command, "The champion may be another one by now than the one that this gate was held against.")
    named = f"{_CHAMPION}@{found[1]}"
    told = [_renamed(given, at, named) for at in range(len(given))]
    note = f"{named} is what this gate was held against; {_CHAMPION} alone is the champion of the day."
    return Again(shlex.join(told), note)


def _names_champion(given: list[str], at: int) -> bool:
    is_value = given[at] == _CHAMPION and at > 0 and given[at - 1] == _OPTION
    return is_value or given[at] == f"{_OPTION}={_CHAMPION}"


def _renamed(given: list[str], at: int, named: str) -> str:
    if not _names_champion(given, at):
        return given[at]
    return named if given[at] == _CHAMPION else f"{_OPTION}={named}"
