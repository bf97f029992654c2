"""The tags of a cell's items in few bytes: each value once, compressed.

ItemTags ── pack_tags ──> bytes ── unpack_tags ──> ItemTags
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

from benchkit.types.tags import ItemTags

_LEVEL = 3


def pack_tags(tags: ItemTags) -> bytes:
    """Return the bytes that `unpack_tags` reads."""
    parts = {
        place: {key: _numbered(values) for key, values in columns.items()} for place, columns in tags.parts.items()
    }
    found = {"parts": parts, "left_out": tags.left_out, "alike": dict(tags.alike)}
    content = json.dumps(found, separators=(",", ":"))
    return zlib.compress(content.encode("ascii"), _LEVEL)


def unpack_tags(content: bytes) -> ItemTags:
    """Return what was packed.

    Raises:
        ValueError: these are no tags, or they are damaged.
    """
    try:
        found = json.loads(zlib.decompress(content))
        parts = {
            place: {key: _values(column) for key, column in columns.items()}
            for place, columns in found["parts"].items()
        }
        return ItemTags(
            parts, tuple(found["left_out"]), {str(key): str(value) for key, value in found["alike"].items()}
        )
    except (zlib.error, AttributeError, KeyError, IndexError, TypeError, RecursionError) as exc:
        raise ValueError(f"no tags of a cell: {exc}") from exc


def _numbered(values: Sequence[str]) -> dict[str, Any]:
    number = {value: place for place, value in enumerate(dict.fromkeys(values))}
    return {"values": list(number), "rows": [number[value] for value in values]}


def _values(column: dict[str, Any]) -> tuple[str, ...]:
    values: list[str] = column["values"]
    return tuple(values[row] for row in column["rows"])
