"""Which columns of data cut its items into slices, and what they say of each item.

    rows of a file ──┐
    columns of MTEB's data ──┴── few different short values ──> {column: one text for each row, "" for none}

A column is taken when its values are texts, truth values or whole numbers, 2 to 50 different ones, and not all
different: those are names of rows. Texts of more than 100 characters are what a person wrote, and no category.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_VALUES = 50
MOST_CHARACTERS = 100
# BEIR's place for facts of a query or a document; its keys count as columns of their own.
_NESTED = "metadata"


@dataclass(frozen=True, slots=True)
class OwnTags:
    """What a team's own files say of their items beyond what a model reads.

    Attributes:
        items: Name of each row: the id of a query, else the number of the row.
        columns: One text for each row, by column.
    """

    items: tuple[str, ...]
    columns: Mapping[str, Sequence[str]]


def tags_of_rows(rows: Sequence[Mapping[str, Any]], *, used: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return the columns of rows that make slices; those in `used` are left out.

    A row may lack a column. Keys of a `metadata` object count as columns, unless there is a column of that name.

    >>> tags_of_rows([{"text": "a", "vip": True}, {"text": "b"}, {"text": "c", "vip": False}, {"vip": True}])
    {'vip': ['true', '', 'false', 'true']}
    """
    flat = [_flat(row) for row in rows]
    left_out = set(used)
    names = dict.fromkeys(name for row in flat for name in row if name not in left_out)
    found: dict[str, list[str]] = {}
    for name in names:
        key = clean(str(name))
        tags = tags_of_values(row.get(name) for row in flat) if is_key(key) else None
        if tags is not None:
            found.setdefault(key, tags)
    return found


def tags_of_values(values: Iterable[Any]) -> list[str] | None:
    """Return the text of each value, or None where the values make no slices; stops at the first sign of that."""
    tags: list[str] = []
    seen: set[str] = set()
    for value in values:
        tag = _tag(value)
        if tag is None:
            return None
        tags.append(tag)
        if tag:
            seen.add(tag)
        if len(seen) > MOST_VALUES:
            return None
    told = sum(1 for tag in tags if tag)
    return tags if 2 <= len(seen) < told else None


def is_key(key: str) -> bool:
    """Tell whether "slice:KEY=VALUE" can name this key."""
    return bool(key) and "=" not in key and len(key) <= MOST_CHARACTERS


def clean(text: str) -> str:
    """Return a text on one line, as any file can hold it: without lone surrogates and NULs."""
    storable = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
    return " ".join(storable.split())


def _flat(row: Mapping[str, Any]) -> Mapping[str, Any]:
    nested = row.get(_NESTED)
    if not isinstance(nested, Mapping):
        return row
    return {**nested, **{name: value for name, value in row.items() if name != _NESTED}}


def _tag(value: Any) -> str | None:
    """Return the text of a value, "" where there is none, None for what can be no tag."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    # A column of whole numbers with gaps is one of floats in Parquet.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int):
        return None
    text = clean(str(value))
    return text if len(text) <= MOST_CHARACTERS else None
