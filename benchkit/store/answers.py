"""What models answered to some items, in one Parquet file beside a result.

    KeptItems ── write_answers ──> answers.parquet ── read_answers ──> KeptItems

One row for each item and model:

    task, place, item, text, expected, model   text
    found   list of {text, score: double or null, correct: bool or null}, best first

A text that stands in many rows is in the file once (dictionary encoding). The file is there whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchkit.errors import UsageError
from benchkit.types.answer import KeptItem
from benchkit.types.gate import Neighbour

SCHEMA_VERSION = 1
_VERSION_KEY = b"benchkit.answers.schema_version"
_DICTIONARY_BYTES = 64 * 2**20
_TEXTS = ("task", "place", "item", "text", "expected")


def write_answers(path: Path, items: Sequence[KeptItem]) -> None:
    """Write items with their answers; a file that is there is replaced.

    Raises:
        OSError: the file can't be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([row for item in items for row in _rows(item)], schema=_schema())
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        pq.write_table(
            table, beside, compression="zstd", dictionary_pagesize_limit=_DICTIONARY_BYTES, write_page_checksum=True
        )
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_answers(path: Path) -> tuple[KeptItem, ...]:
    """Return what `write_answers` wrote, in its order.

    Raises:
        UsageError: the file is damaged, or is not one of `write_answers`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            version = (file.schema_arrow.metadata or {}).get(_VERSION_KEY)
            rows = file.read().to_pylist() if version == str(SCHEMA_VERSION).encode() else None
    except (OSError, pa.ArrowException) as exc:
        raise UsageError(f"{path}: can't be read as Parquet, it may be damaged: {exc}") from exc
    if rows is None:
        raise UsageError(f"{path}: no answers that this benchkit reads; read it with the benchkit that wrote it")
    found: dict[tuple[str, str, str], KeptItem] = {}
    for row in rows:
        key = (row["task"], row["place"], row["item"])
        known = found.get(key) or KeptItem(**{name: row[name] for name in _TEXTS}, found={})
        neighbours = tuple(Neighbour(**one) for one in row["found"])
        found[key] = replace(known, found={**known.found, row["model"]: neighbours})
    return tuple(found.values())


def _schema() -> Any:
    import pyarrow as pa

    found = pa.struct([("text", pa.string()), ("score", pa.float64()), ("correct", pa.bool_())])
    texts = [(name, pa.string()) for name in (*_TEXTS, "model")]
    return pa.schema([*texts, ("found", pa.list_(found))], metadata={_VERSION_KEY: str(SCHEMA_VERSION)})


def _rows(item: KeptItem) -> list[dict[str, object]]:
    own = {name: _clean(getattr(item, name)) for name in _TEXTS}
    return [
        {
            **own,
            "model": _clean(model),
            "found": [{"text": _clean(one.text), "score": one.score, "correct": one.correct} for one in found],
        }
        for model, found in item.found.items()
    ]


def _clean(text: str) -> str:
    """Return a text that UTF-8 can hold; half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
