"""Where the rows of a loaded MTEB task are: by subset and split, or by split alone; and which row an item is.

rows of one split and subset ──records_of──> Records: columns, and the rows that an item is made of
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from benchkit.tasks.rankings import groups


def parts_of(task: Any, subset: str) -> Any:
    """Return the splits of a subset; a task without subsets, or with parallel ones, has the splits at the top."""
    return task.dataset.get(subset, task.dataset)


def iter_parts(task: Any, *, with_training: bool = False) -> Iterator[tuple[str, str, Any]]:
    """Yield (split, subset, data) of a loaded task, as MTEB's own `evaluate` walks them."""
    splits = list(task.eval_splits)
    train = getattr(task, "train_split", None)
    if with_training and train is not None and train not in splits:
        splits.append(train)
    for subset in task.hf_subsets:
        parts = parts_of(task, subset)
        for split in splits:
            if split in parts:
                yield split, subset, parts[split]


@dataclass(frozen=True, slots=True)
class Records:
    """The rows that the items of one split and subset stand on: queries of a ranking task, else texts or pairs.

    Attributes:
        n: Number of rows.
        columns: Names of the columns.
        read: Returns a column, n values, each read when it is asked for.
        rows_of: Returns the rows of an item: several where queries are scored as one, () where it can't be told.
    """

    n: int
    columns: tuple[str, ...]
    read: Callable[[str], Sequence[Any]]
    rows_of: Callable[[str], tuple[int, ...]]


def records_of(task: Any, rows: Any, metric: str) -> Records:
    """Return the rows behind the items of one split and subset, in whichever form MTEB holds them."""
    # A data set is asked for its type first: `in` would go through all of its rows.
    if isinstance(rows, Mapping):
        return _queries(rows, metric) if "queries" in rows else _lists(rows)
    label = rows[0].get(getattr(task, "label_column_name", "")) if len(rows) else None
    if _holds_sets(task) and isinstance(label, list):
        return _sets(rows, task.label_column_name)
    if len(rows) == 1 and isinstance(label, list):
        return _lists(rows[0])  # old data sets of pairs hold the whole split in one row
    return Records(len(rows), tuple(rows.column_names), rows.__getitem__, _number_below(_n_scored(task, len(rows))))


def _queries(part: Mapping[str, Any], metric: str) -> Records:
    queries = part["queries"]
    row_of = {query: row for row, query in enumerate(queries["id"][:])}
    judged = groups((query for query in sorted(part["relevant_docs"]) if query in row_of), metric)

    def rows_of(item: str) -> tuple[int, ...]:
        return tuple(row_of[query] for query in judged.get(item, ()))

    return Records(len(queries), tuple(queries.column_names), queries.__getitem__, rows_of)


def _lists(columns: Mapping[str, Any]) -> Records:
    """Columns as plain lists; an old bitext task has one list longer than the other, with sentences that fit none."""
    lists = {name: values for name, values in columns.items() if isinstance(values, list)}
    n = min(map(len, lists.values()), default=0)
    return Records(n, tuple(lists), lists.__getitem__, _number_below(n))


def _sets(rows: Any, label_column: str) -> Records:
    """MTEB's older clustering: sets of texts, whose items are numbered through all sets."""
    sizes = [len(labels) for labels in rows[label_column][:]]

    def read(name: str) -> Sequence[Any]:
        values = rows[name][:]
        alike = all(isinstance(value, list) and len(value) == size for value, size in zip(values, sizes, strict=True))
        # What is no list says something of the whole set.
        each = values if alike else [[value] * size for value, size in zip(values, sizes, strict=True)]
        return list(chain.from_iterable(each))

    return Records(sum(sizes), tuple(rows.column_names), read, _number_below(sum(sizes)))


def _holds_sets(task: Any) -> bool:
    from mteb.abstasks.clustering_legacy import AbsTaskClusteringLegacy

    return isinstance(task, AbsTaskClusteringLegacy)


def _n_scored(task: Any, n: int) -> int:
    """Return how many rows items are numbered by; 0 where MTEB scores a sample and doesn't say which rows are in it."""
    most = getattr(task, "max_eval_samples", None)
    return n if most is None or n <= most else 0


def _number_below(n: int) -> Callable[[str], tuple[int, ...]]:
    def rows_of(item: str) -> tuple[int, ...]:
        return (int(item),) if item.isdecimal() and int(item) < n else ()

    return rows_of
