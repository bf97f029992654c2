"""Scores of single items in one Parquet file, from which a comparison can be resampled without any model.

    CellResults ── write_items ──> items.parquet ── read_items ──> {(model, task): ItemScores of each split and subset}

One row for each model, task, split and subset; what its items have is in lists:

    model, task, split, subset, kind, metric   text
    items_dtype                                NumPy's name of the type of the items ("<U7")
    items        list of text                  names of the items
    strata       list of int64, or null
    columns      list of {name, dtype, shape, floats: list of double, or null, integers: list of int64, or null}

A column is stored row by row, as doubles or 64-bit integers, which hold every narrower type exactly; dtype and shape
bring it back bit by bit. Cells without scores of items have no row. Pages carry checksums, and a file is there whole or
not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import UsageError
from benchkit.store.companion import write_rows
from benchkit.types.result import CellResult, ItemScores

SCHEMA_VERSION = 1
_VERSION_KEY = b"benchkit.items.schema_version"
_TEXTS = ("model", "task", "split", "subset", "kind", "metric", "items_dtype")


def write_items(path: Path, cells: Sequence[CellResult]) -> None:
    """Write the scores of the items of all cells that have any; a file that is there is replaced.

    Raises:
        ValueError: two cells of one model and task, or a column that isn't of numbers or doesn't fit its items.
        OSError: the file can't be written.
    """
    names = [(cell.model, cell.task) for cell in cells]
    if len(set(names)) < len(names):
        raise ValueError("two cells of one model and task")
    rows = [_row(cell, part) for cell in cells for part in cell.items]
    write_rows(path, rows, _schema())


def read_items(path: Path) -> dict[tuple[str, str], tuple[ItemScores, ...]]:
    """Return what `write_items` wrote, by model and task, in the order in which it was written.

    Raises:
        UsageError: the file isn't there, is damaged, or is not one of `write_items`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_version(path, (file.schema_arrow.metadata or {}).get(_VERSION_KEY))
            table = file.read()
    except FileNotFoundError as exc:
        raise UsageError(f"{path}: no such file; `benchkit compare` writes it beside the result") from exc
    except (OSError, pa.ArrowException) as exc:
        raise UsageError(f"{path}: can't be read as Parquet, it may be damaged: {exc}") from exc
    found: dict[tuple[str, str], tuple[ItemScores, ...]] = {}
    for batch in table.to_batches():
        for row in range(batch.num_rows):
            key = (batch["model"][row].as_py(), batch["task"][row].as_py())
            found[key] = (*found.get(key, ()), _part(batch, row))
    return found


def _schema() -> Any:
    import pyarrow as pa

    column = pa.struct(
        [
            ("name", pa.string()),
            ("dtype", pa.string()),
            ("shape", pa.list_(pa.int64())),
            ("floats", pa.list_(pa.float64())),
            ("integers", pa.list_(pa.int64())),
        ]
    )
    return pa.schema(
        [
            *((name, pa.string()) for name in _TEXTS),
            ("items", pa.list_(pa.string())),
            ("strata", pa.list_(pa.int64())),
            ("columns", pa.list_(column)),
        ],
        metadata={_VERSION_KEY: str(SCHEMA_VERSION)},
    )


def _row(cell: CellResult, part: ItemScores) -> dict[str, object]:
    place = f"{cell.model} on {cell.task} ({part.split}/{part.subset})"
    if part.strata is not None:
        _check_column(place, "strata", part.strata, part.n_items)
    return {
        "model": cell.model,
        "task": cell.task,
        "split": part.split,
        "subset": part.subset,
        "kind": part.kind,
        "metric": part.metric,
        "items_dtype": part.items.dtype.str,
        "items": part.items.tolist(),
        "strata": part.strata,
        "columns": [_column(place, name, values, part.n_items) for name, values in part.columns.items()],
    }


def _column(place: str, name: str, values: NDArray[np.generic], n_items: int) -> dict[str, object]:
    _check_column(place, name, values, n_items)
    floating = values.dtype.kind == "f"
    flat = values.ravel().astype(np.float64 if floating else np.int64)
    return {
        "name": name,
        "dtype": values.dtype.str,
        "shape": list(values.shape),
        "floats": flat if floating else None,
        "integers": None if floating else flat,
    }


def _check_column(place: str, name: str, values: NDArray[np.generic], n_items: int) -> None:
    # A long double would lose digits as a double.
    if values.dtype.kind not in "fiub" or values.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise ValueError(f"{place}: column {name!r} is {values.dtype}; numbers of at most 64 bits are needed")
    if not values.ndim or len(values) != n_items:
        raise ValueError(f"{place}: column {name!r} has shape {values.shape} for {n_items} items")


def _check_version(path: Path, found: bytes | None) -> None:
    if found is None:
        raise UsageError(f"{path}: Parquet, but not the scores of items that benchkit writes")
    if found != str(SCHEMA_VERSION).encode():
        raise UsageError(
            f"{path}: has items of version {found.decode()}; this benchkit reads {SCHEMA_VERSION}. "
            "Read it with the benchkit that wrote it"
        )


def _part(batch: Any, row: int) -> ItemScores:
    texts = {name: batch[name][row].as_py() for name in _TEXTS}
    strata = batch["strata"][row]
    columns = batch["columns"][row].values
    return ItemScores(
        split=texts["split"],
        subset=texts["subset"],
        kind=texts["kind"],
        metric=texts["metric"],
        items=np.array(batch["items"][row].as_py(), dtype=np.dtype(texts["items_dtype"])),
        columns={columns[at]["name"].as_py(): _values(columns[at]) for at in range(len(columns))},
        strata=None if strata.values is None else _copy(strata.values),
    )


def _values(column: Any) -> NDArray[np.generic]:
    stored = column["floats"].values if column["integers"].values is None else column["integers"].values
    values: NDArray[np.generic] = _copy(stored).astype(np.dtype(column["dtype"].as_py()))
    return values.reshape(column["shape"].as_py())


def _copy(values: Any) -> NDArray[np.int64]:
    # NumPy's view of Arrow memory can't be written to.
    copied: NDArray[np.int64] = values.to_numpy(zero_copy_only=False).copy()
    return copied
