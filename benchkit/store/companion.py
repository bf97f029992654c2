"""A Parquet file beside a result: rows with a schema that names its version, there whole or not at all.

    rows, schema ── write_rows ──> *.parquet ── read_rows ──> table

A text that stands in many rows is in the file once (dictionary encoding); pages carry checksums.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchkit.errors import UsageError

# Parquet's default gives dictionaries up at 1 MB.
_DICTIONARY_BYTES = 64 * 2**20


def write_rows(path: Path, rows: Sequence[dict[str, object]], schema: Any) -> None:
    """Write rows; a file that is there is replaced.

    Raises:
        OSError: the file can't be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(rows, schema=schema)
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        pq.write_table(
            table, beside, compression="zstd", dictionary_pagesize_limit=_DICTIONARY_BYTES, write_page_checksum=True
        )
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_rows(path: Path, schema: Any, *, what: str) -> Any:
    """Return the table of a file whose schema names the same version as this one.

    Args:
        what: What its rows are, for messages ("answers").

    Raises:
        UsageError: the file is damaged, or of another kind or version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read() if file.schema_arrow.metadata == schema.metadata else None
    except (OSError, pa.ArrowException) as exc:
        raise UsageError(f"{path}: can't be read as Parquet, it may be damaged: {exc}") from exc
    if table is None:
        raise UsageError(f"{path}: no {what} that this benchkit reads; read it with the benchkit that wrote it")
    return table


def utf8(text: str) -> str:
    """Return a text that UTF-8 can hold; half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
