"""What a reader of a score should know of own data that were read: tables and texts in, sentences out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchkit.tasks.own.table import Table


def text_notes(tables: Sequence[Table], texts: Iterable[str]) -> tuple[str, ...]:
    """Say what a reader of the score should know of the texts that a model gets."""
    notes = []
    if repaired := sum(table.repaired for table in tables):
        notes.append(f"{counted(repaired, 'text')} held lone surrogates, which were replaced by U+FFFD")
    if empty := sum(not text.strip() for text in texts):
        notes.append(f"{counted(empty, 'text')} {'is' if empty == 1 else 'are'} empty")
    return tuple(notes)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "row"), counted(2, "row")
    ('1 row', '2 rows')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def few(names: Sequence[str]) -> str:
    """Return the first three names in brackets, to stand after what they are examples of.

    >>> few(["q1", "q2", "q3", "q4"])
    ' (q1, q2, q3, ...)'
    """
    return f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
