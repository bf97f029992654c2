"""Which columns of an Arrow schema are read, and a record batch as raw rows."""

from __future__ import annotations

from typing import Any

from benchkit.errors import SourceError
from benchkit.sources.columns import find_columns, no_vectors
from benchkit.sources.raw import RawRows
from benchkit.sources.vectors import is_list
from benchkit.sources.words import listed
from benchkit.types.drift import ColumnNames

# Of a schema, as EmbeddingLog and other writers say who made the vectors.
_MODEL, _FINGERPRINT, _SAMPLING = b"benchkit.model", b"benchkit.fingerprint", b"benchkit.sampling"
_LEAST_SAMPLING = 1e-9  # of a log that anybody would read


def arrow_errors() -> tuple[type[Exception], ...]:
    """Return what Arrow raises for a file that it can't read; for a forged length, that there is no such memory."""
    import pyarrow as pa

    return (pa.ArrowException, OSError, ValueError, MemoryError)


def choose_columns(schema: Any, wanted: ColumnNames, place: str) -> dict[str, str]:
    """Return role -> column of an Arrow schema.

    Raises:
        ValueError: a name is no UTF-8.
        SourceError: a named column isn't there or is there twice, there are several of vectors and none has a usual
            name, or there are neither vectors nor texts.
    """
    found = find_columns(schema.names, wanted, place)
    if "vector" not in found:
        typed = [field.name for field in schema if _holds_vectors(field.type)]
        if len(typed) > 1:
            raise SourceError(f"{place}: several columns of vectors: {listed(typed)}; say which one")
        found |= dict.fromkeys(["vector"] if typed else [], typed[0] if typed else "")
    if not {"vector", "text"} & found.keys():
        raise no_vectors(schema.names, place)
    doubled = [name for name in found.values() if schema.names.count(name) > 1]
    if doubled:
        raise SourceError(f"{place}: the column {listed(doubled[:1])} is there twice")
    return found


def raw_of_batch(batch: Any, found: dict[str, str]) -> RawRows:
    """Return a record batch by roles; nothing is copied."""
    columns = {role: _plain(batch.column(batch.schema.get_field_index(name))) for role, name in found.items()}
    said = batch.schema.metadata or {}
    return RawRows(
        count=batch.num_rows,
        columns=columns,
        names=found,
        model=said.get(_MODEL, b"").decode("utf-8", "replace"),
        fingerprint=said.get(_FINGERPRINT, b"").decode("utf-8", "replace"),
        sampling=_share(said.get(_SAMPLING, b"")),
    )


def _share(said: bytes) -> float:
    """Return the share of rows that a file says it keeps; 1 where it says none that can be."""
    try:
        share = float(said)
    except ValueError:
        return 1.0
    return share if _LEAST_SAMPLING <= share <= 1 else 1.0


def _plain(array: Any) -> Any:
    import pyarrow as pa

    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _holds_vectors(kind: Any) -> bool:
    import pyarrow as pa

    kind = getattr(kind, "storage_type", kind)
    return (is_list(kind) or pa.types.is_fixed_size_list(kind)) and bool(
        pa.types.is_floating(kind.value_type) or pa.types.is_int8(kind.value_type)
    )
