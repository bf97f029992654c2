"""Columns of a data set as plain lists.

`datasets` hands out a lazy column; code that walks over one reads Arrow row by row. MTEB 2.26 does so with labels in a
classification (400,000 rows for a test part of 1,000), its texts, and the queries of a retrieval (a millisecond each).
"""

from __future__ import annotations

from typing import Any


class ColumnsInMemory:
    """A data set whose columns are plain lists, each read at once when it is first asked for; all else is passed on."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._columns: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return self._dataset[key]
        if key not in self._columns:
            self._columns[key] = self._dataset[key][:]
        return self._columns[key]

    def select(self, rows: Any) -> ColumnsInMemory:
        return ColumnsInMemory(self._dataset.select(rows))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)
