"""The tags of items in one Parquet file beside a result, from which scores are cut into slices.

    KeptTags ── write_tags ──> tags.parquet ── read_tags ──> KeptTags

One row for each task, split and subset:

    task, place   text
    left_out      list of text: why keys of the task are not here
    alike         list of {key, value}: what the task says of all its items alike
    items         list of text: names of the items
    tags          list of {key, values: list of text, one for each item}
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchkit.store.companion import read_rows, utf8, write_rows
from benchkit.types.tags import ItemTags, KeptTags

SCHEMA_VERSION = 2
_VERSION_KEY = b"benchkit.tags.schema_version"


def write_tags(path: Path, tasks: Sequence[KeptTags]) -> None:
    """Write the tags of tasks; a file that is there is replaced.

    Raises:
        OSError: the file can't be written.
    """
    write_rows(path, [row for task in tasks for row in _rows(task)], _schema())


def read_tags(path: Path, *, task: str | None = None) -> tuple[KeptTags, ...]:
    """Return what `write_tags` wrote, in its order; of one task alone where it is named.

    Raises:
        UsageError: the file is damaged, or is not one of `write_tags`.
    """
    import pyarrow.compute as pc

    table = read_rows(path, _schema(), what="tags")
    if task is not None:
        table = table.filter(pc.equal(table["task"], utf8(task)))
    by_task: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        by_task.setdefault(row["task"], []).append(row)
    return tuple(_task(name, own) for name, own in by_task.items())


def _schema() -> Any:
    import pyarrow as pa

    tag = pa.struct([("key", pa.string()), ("values", pa.list_(pa.string()))])
    fact = pa.struct([("key", pa.string()), ("value", pa.string())])
    return pa.schema(
        [
            ("task", pa.string()),
            ("place", pa.string()),
            ("left_out", pa.list_(pa.string())),
            ("alike", pa.list_(fact)),
            ("items", pa.list_(pa.string())),
            ("tags", pa.list_(tag)),
        ],
        metadata={_VERSION_KEY: str(SCHEMA_VERSION)},
    )


def _rows(task: KeptTags) -> list[dict[str, object]]:
    return [
        {
            "task": utf8(task.task),
            "place": utf8(place),
            "left_out": list(map(utf8, task.tags.left_out)),
            "alike": [{"key": utf8(key), "value": utf8(value)} for key, value in task.tags.alike.items()],
            "items": list(map(utf8, items)),
            "tags": [
                {"key": utf8(key), "values": list(map(utf8, values))}
                for key, values in task.tags.parts.get(place, {}).items()
            ],
        }
        for place, items in task.items.items()
    ]


def _task(name: str, rows: Sequence[dict[str, Any]]) -> KeptTags:
    items = {row["place"]: tuple(row["items"]) for row in rows}
    parts = {row["place"]: {tag["key"]: tuple(tag["values"]) for tag in row["tags"]} for row in rows if row["tags"]}
    alike = {fact["key"]: fact["value"] for fact in rows[0]["alike"]}
    return KeptTags(name, items, ItemTags(parts, tuple(rows[0]["left_out"]), alike))
