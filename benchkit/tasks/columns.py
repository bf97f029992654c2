"""Columns of a data set as plain lists.

`datasets` hands out a lazy column; code that walks over one reads Arrow row by row. MTEB 2.26 does so with labels in a
classification (400,000 rows for a test part of 1,000), with all texts, and with the queries of a retrieval (a
millisecond each). And each part that is drawn from a data set costs a fingerprint of its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any


class ColumnsInMemory:
    """A data set whose columns are plain lists, each made at once when it is first asked for; all else is passed on.

    What is drawn from it shares its lists, and draws from the data set itself only when something else is asked for.
    """

    def __init__(
        self, draw: Callable[[], Any], read: Callable[[str], list[Any]], *, names: Sequence[str], length: int
    ) -> None:
        self._draw = draw
        self._read = read
        self._length = length
        self._columns: dict[str, list[Any]] = {}
        self.column_names = list(names)

    @classmethod
    def of(cls, dataset: Any) -> ColumnsInMemory:
        if isinstance(dataset, cls):
            return dataset
        return cls(lambda: dataset, lambda name: dataset[name][:], names=dataset.column_names, length=len(dataset))

    @cached_property
    def _dataset(self) -> Any:
        return self._draw()

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        return iter(self._dataset)

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str) or key not in self.column_names:
            return self._dataset[key]
        if key not in self._columns:
            self._columns[key] = self._read(key)
        return self._columns[key]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def select(self, rows: Any) -> ColumnsInMemory:
        picked = list(rows)

        def read(name: str) -> list[Any]:
            column = self[name]
            return [column[row] for row in picked]

        return ColumnsInMemory(lambda: self._dataset.select(picked), read, names=self.column_names, length=len(picked))

    def select_columns(self, names: str | Sequence[str]) -> ColumnsInMemory:
        kept = [names] if isinstance(names, str) else list(names)
        return ColumnsInMemory(
            lambda: self._dataset.select_columns(kept), self.__getitem__, names=kept, length=len(self)
        )

    def rename_columns(self, names: Mapping[str, str]) -> ColumnsInMemory:
        old = {names.get(name, name): name for name in self.column_names}
        return ColumnsInMemory(
            lambda: self._dataset.rename_columns(dict(names)),
            lambda name: self[old[name]],
            names=list(old),
            length=len(self),
        )
