"""What models answered to some items, in one Parquet file beside a result.

    KeptItems ── write_answers ──> answers.parquet ── read_answers ──> KeptItems

One row for each item and model:

    task, place, item, text, expected, model   text
    found   list of {text, score: double or null, correct: bool or null}, best first
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchkit.store.companion import read_rows, utf8, write_rows
from benchkit.types.answer import KeptItem
from benchkit.types.gate import Neighbour

SCHEMA_VERSION = 1
_VERSION_KEY = b"benchkit.answers.schema_version"
_TEXTS = ("task", "place", "item", "text", "expected")


def write_answers(path: Path, items: Sequence[KeptItem]) -> None:
    """Write items with their answers; a file that is there is replaced.

    Raises:
        OSError: the file can't be written.
    """
    write_rows(path, [row for item in items for row in _rows(item)], _schema())


def read_answers(path: Path) -> tuple[KeptItem, ...]:
    """Return what `write_answers` wrote, in its order.

    Raises:
        UsageError: the file is damaged, or is not one of `write_answers`.
    """
    found: dict[tuple[str, str, str], KeptItem] = {}
    for row in read_rows(path, _schema(), what="answers").to_pylist():
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
    own = {name: utf8(getattr(item, name)) for name in _TEXTS}
    return [
        {
            **own,
            "model": utf8(model),
            "found": [{"text": utf8(one.text), "score": one.score, "correct": one.correct} for one in found],
        }
        for model, found in item.found.items()
    ]
