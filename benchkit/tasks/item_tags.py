"""What is known of each item beside its score, so that a gate can ask for a slice: "slice:lang=zh".

    task's own facts ──────────────── task, type, split, subset, lang ─┐
    further columns of the data ───── topic, vip, ... ─────────────────┴── {key: one text for each item, "" for none}

Of a team's own files these are the columns that no score is made of; of MTEB's data sets the columns that its task
doesn't read. A column that is called like a fact of the task is found as "data.task"; a column called "lang" says it
better than the task does, and stands for it where it has a value. Tags are no part of the data's digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.tasks.languages import language_tag
from benchkit.tasks.limiting import kept_rows
from benchkit.tasks.opened import OpenedTask
from benchkit.tasks.parts import Records, iter_parts, records_of
from benchkit.tasks.tag_columns import OwnTags, clean, is_key, tags_of_values
from benchkit.tasks.texts import content_columns

Tags = Mapping[str, NDArray[np.str_]]

_LANGUAGE = "lang"
# Columns of MTEB's data sets that name a row, are read by a model, or hold the answer.
_NO_TAGS = frozenset(
    {"id", "_id", "text", "instruction", "label", "labels", "label_text", "score", "gold", "value", "relevance"}
)
_ANSWER_ATTRIBUTES = ("label_column_name", "relevancy_column_name")
_BATCH = 1000


def item_tags(opened: OpenedTask, parts: Mapping[str, NDArray[np.str_]]) -> dict[str, Tags]:
    """Return the tags of the items of each split and subset, in the order of the items; loads the data.

    Args:
        parts: Names of the items (n,), as `ItemScores` holds them, by "split/subset".

    Returns:
        By the same "split/subset": an array of texts (n,) for each key. All parts of a task have the same keys. An
        item that can't be traced to a row of the data has "" for every key of the data.

    Raises:
        CellFailed: the data can't be had.
        ValueError: the task has no such split and subset.
    """
    task = opened.fresh()
    found = {f"{split}/{subset}": _Part(split, subset, rows) for split, subset, rows in iter_parts(task)}
    if unknown := sorted(set(parts) - set(found)):
        raise ValueError(f"{opened.name} has no {', '.join(unknown)}; it has {', '.join(sorted(found))}")
    wanted = {place: found[place] for place in parts}
    records = {place: records_of(task, part.rows, opened.main_metric) for place, part in wanted.items()}
    own: OwnTags | None = getattr(task, "own_tags", None)
    columns = (
        _columns_of_data(task, wanted, records)
        if own is None
        else {place: _columns_of_own(own, record, opened) for place, record in records.items()}
    )
    tags: dict[str, Tags] = {}
    for place, part in wanted.items():
        rows_of_items = [records[place].rows_of(str(item)) for item in parts[place]]
        of_data = {key: _of_items(values, rows_of_items) for key, values in columns[place].items()}
        tags[place] = _with_facts(_facts(opened, task, part), of_data, len(rows_of_items))
    return tags


def available_tags(tags: Iterable[Tags]) -> dict[str, tuple[str, ...]]:
    """Return every key with its values in order, for a message that says which slices there are."""
    found: dict[str, set[str]] = {}
    for part in tags:
        for key, values in part.items():
            found.setdefault(key, set()).update(np.unique(values).tolist())
    return {key: tuple(sorted(found[key] - {""})) for key in sorted(found)}


@dataclass(frozen=True, slots=True)
class _Part:
    split: str
    subset: str
    rows: Any


def _facts(opened: OpenedTask, task: Any, part: _Part) -> dict[str, str]:
    languages = task.metadata.hf_subsets_to_langscripts.get(part.subset, ())
    return {
        "task": opened.name,
        "type": opened.type,
        "split": part.split,
        "subset": part.subset,
        _LANGUAGE: language_tag(languages),
    }


def _with_facts(facts: Mapping[str, str], of_data: Tags, n: int) -> Tags:
    """Put the facts of the task before what the data say; a column of a fact's name is called data.NAME."""
    tags = {key: np.full(n, clean(value), dtype=np.dtype(f"<U{max(1, len(value))}")) for key, value in facts.items()}
    for key, values in of_data.items():
        if key == _LANGUAGE:
            tags[key] = np.where(values == "", tags[key], values)
        else:
            tags[f"data.{key}" if key in facts else key] = values
    return tags


def _of_items(column: Sequence[str], rows_of_items: Sequence[tuple[int, ...]]) -> NDArray[np.str_]:
    """Return the tag of each item; "" where it has no row, or rows that say different things."""
    said = ({column[row] for row in rows} for rows in rows_of_items)
    return np.array([tags.pop() if len(tags) == 1 else "" for tags in said], dtype=np.str_)


def _columns_of_own(own: OwnTags, records: Records, opened: OpenedTask) -> dict[str, list[str]]:
    """Return the columns of a team's own files for the rows that the limits have left."""
    row_of = {item: row for row, item in enumerate(own.items)}
    # Queries are found by their id; other rows by their number, which the draw of the limits has changed.
    is_ranking = "id" in records.columns
    kept = (
        [row_of[query] for query in records.read("id")[:]]
        if is_ranking
        else kept_rows(len(own.items), opened.spec.limits)
    )
    return {key: [values[row] for row in kept] for key, values in own.columns.items()}


def _columns_of_data(
    task: Any, parts: Mapping[str, _Part], records: Mapping[str, Records]
) -> dict[str, dict[str, list[str]]]:
    """Return the columns of MTEB's data that make slices over all parts, for the rows of each."""
    # Parallel subsets are columns of one table, which comes once for each of them.
    tables = {id(part.rows): records[place] for place, part in parts.items()}
    names = dict.fromkeys(name for table in tables.values() for name in table.columns if is_key(clean(name)))
    columns: dict[int, dict[str, list[str]]] = {table: {} for table in tables}
    for name in sorted(names.keys() - _columns_without_tags(task, list(names))):
        tags = tags_of_values(chain.from_iterable(_values(table, name) for table in tables.values()))
        if tags is None:
            continue
        rest = iter(tags)
        for table, record in tables.items():
            columns[table][clean(name)] = list(islice(rest, record.n))
    return {place: columns[id(part.rows)] for place, part in parts.items()}


def _columns_without_tags(task: Any, names: Sequence[str]) -> set[str]:
    answers = {getattr(task, attribute, None) for attribute in _ANSWER_ATTRIBUTES}
    return {name for name in names if name in _NO_TAGS or name in answers} | set(content_columns(task, names))


def _values(table: Records, name: str) -> Iterator[Any]:
    """Yield a column in parts, so that a column of texts is left after a few of them."""
    if name not in table.columns:
        yield from repeat(None, table.n)
        return
    column = table.read(name)
    for start in range(0, table.n, _BATCH):
        yield from column[start : min(start + _BATCH, table.n)]
