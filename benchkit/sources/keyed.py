"""Rows that each bring their own keys: JSON objects, points of a vector database.

{"vector": [...], "text": "a"}, {"embedding": [...], "id": 7} ── names looked up in each row ──> columns by role

Each row by itself, so that where a batch begins changes nothing. A key that a row lacks is a missing value there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchkit.sources.columns import ROLES, find_columns, no_vectors
from benchkit.types.drift import ColumnNames

# Different sets of keys whose columns are remembered.
_MAX_SHAPES = 1000


class KeyedRows:
    """Sorts the values of rows into columns.

    Args:
        has_vectors: As the rows before; None where nothing was read yet.
        is_start: The first rows are the source's first, so a column that somebody named must be in them.
    """

    def __init__(self, wanted: ColumnNames, place: str, *, has_vectors: bool | None, is_start: bool) -> None:
        self._wanted, self._place = wanted, place
        self._has_vectors, self._is_start = has_vectors, is_start
        self._seen: set[str] = set()
        self._known: dict[tuple[str, ...], dict[str, str]] = {}

    def columns(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """Return role -> values, one for each row.

        Raises:
            SourceError: neither vectors nor texts, or a named column that no row has.
        """
        names = [self._names(row) for row in rows]
        if self._is_start:
            find_columns(_keys(rows), self._wanted, self._place)
            self._is_start = False
        # What a row before had is a missing value here, and no column that was never there.
        self._seen |= {role for found in names for role in found}
        present = set(self._seen)
        if self._has_vectors is None:
            if not {"vector", "text"} & present:
                raise no_vectors(_keys(rows), self._place)
            self._has_vectors = "vector" in present
        if self._has_vectors:
            present.add("vector")
        return {
            role: [row.get(found[role]) if role in found else None for row, found in zip(rows, names, strict=True)]
            for role in ROLES
            if role in present
        }

    def _names(self, row: Mapping[str, Any]) -> dict[str, str]:
        keys = tuple(row)
        found = self._known.get(keys)
        if found is None:
            wanted = {role: getattr(self._wanted, role) for role in ROLES}
            there = ColumnNames(**{role: name for role, name in wanted.items() if name in row})
            usual = find_columns(keys, there, self._place)
            # A column that somebody named is that one or none.
            found = {role: name for role, name in usual.items() if wanted[role] in (None, name)}
            if len(self._known) < _MAX_SHAPES:
                self._known[keys] = found
        return found


def _keys(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))
