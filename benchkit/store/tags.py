"""The tags of items in one Parquet file beside a result, from which scores are cut into slices.

    KeptTags ── write_tags ──> tags.parquet ── read_tags ──> KeptTags

One row for each task, split and subset:

    task, place   text
    left_out      list of text: why keys of the task are not here
    items         list of text: names of the items
    tags          list of {key, values: list of text, one for each item}

The file is there whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchkit.errors import UsageError
from benchkit.types.tags import ItemTags, KeptTags

SCHEMA_VERSION = 1
_VERSION_KEY = b"benchkit.tags.schema_version"
_DICTIONARY_BYTES = 64 * 2**20


def write_tags(path: Path, tasks: Sequence[KeptTags]) -> None:
    """Write the tags of tasks; a file that is there is replaced.

    Raises:
        OSError: the file can't be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([row for task in tasks for row in _rows(task)], schema=_schema())
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        pq.write_table(
            table, beside, compression="zstd", dictionary_pagesize_limit=_DICTIONARY_BYTES, write_page_checksum=True
        )
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_tags(path: Path, *, task: str | None = None) -> tuple[KeptTags, ...]:
    """Return what `write_tags` wrote, in its order; of one task alone where it is named.

    Raises:
        UsageError: the file is damaged, or is not one of `write_tags`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            version = (file.schema_arrow.metadata or {}).get(_VERSION_KEY)
            table = file.read() if version == str(SCHEMA_VERSION).encode() else None
    except (OSError, pa.ArrowException) as exc:
        raise UsageError(f"{path}: can't be read as Parquet, it may be damaged: {exc}") from exc
    if table is None:
        raise UsageError(f"{path}: no tags that this benchkit reads; read it with the benchkit that wrote it")
    if task is not None:
        table = table.filter(pc.equal(table["task"], _clean(task)))
    by_task: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        by_task.setdefault(row["task"], []).append(row)
    return tuple(_task(name, own) for name, own in by_task.items())


def _schema() -> Any:
    import pyarrow as pa

    tag = pa.struct([("key", pa.string()), ("values", pa.list_(pa.string()))])
    return pa.schema(
        [
            ("task", pa.string()),
            ("place", pa.string()),
            ("left_out", pa.list_(pa.string())),
            ("items", pa.list_(pa.string())),
            ("tags", pa.list_(tag)),
        ],
        metadata={_VERSION_KEY: str(SCHEMA_VERSION)},
    )


def _rows(task: KeptTags) -> list[dict[str, object]]:
    return [
        {
            "task": _clean(task.task),
            "place": _clean(place),
            "left_out": list(map(_clean, task.tags.left_out)),
            "items": list(map(_clean, items)),
            "tags": [
                {"key": _clean(key), "values": list(map(_clean, values))}
                for key, values in task.tags.parts.get(place, {}).items()
            ],
        }
        for place, items in task.items.items()
    ]


def _task(name: str, rows: Sequence[dict[str, Any]]) -> KeptTags:
    items = {row["place"]: tuple(row["items"]) for row in rows}
    parts = {row["place"]: {tag["key"]: tuple(tag["values"]) for tag in row["tags"]} for row in rows if row["tags"]}
    return KeptTags(name, items, ItemTags(parts, tuple(rows[0]["left_out"])))


def _clean(text: str) -> str:
    """Return a text that UTF-8 can hold; half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
