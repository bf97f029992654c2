"""Where the reading of a folder stands, as JSON: which files are finished, and how far the one in hand is.

    {"kind": "files", "version": 1, "dimension": 384,
     "file": "2026-11-01/part-7.parquet", "row": 8192, "size": ..., "mtime_ns": "...", "digest": "...",
     "finished": {"2026-11-01": ["<28 characters for each file>", ...]},
     "growing": {"app.jsonl": {"row": ..., "line": ..., "byte": ..., "size": ..., "mtime_ns": ..., "digest": ...}}}

Every file is remembered, not only the last one, so that one that comes late and sorts before it is read as well, and
one that was replaced is noticed. A finished file costs 28 characters (its name, stamp and content as three hashes; two
names of 1e5 files share a hash with a chance of 2e-5, and then one is reported as replaced, never skipped in silence).
Files whose lines may still grow are remembered one by one. Files that are gone stay known, the last 10,000 of them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchkit.errors import SourceError
from benchkit.sources.folder import DIGEST_BYTES, FileEntry
from benchkit.sources.words import shown

_KIND, _VERSION = "files", 1
# Bytes of an entry's three hashes. Each is a multiple of 3, so that base64 needs no padding and can be cut and joined.
_NAME, _STAMP = 6, 6
_ENTRY = (_NAME + _STAMP + DIGEST_BYTES) // 3 * 4
# Characters of one string, the last of which is copied when a file is finished.
_BLOCK = 256 * _ENTRY
KEPT_GONE = 10_000


@dataclass(frozen=True, slots=True)
class Mark:
    """How far one file has been read.

    Attributes:
        row: Rows that were read.
        size, stamp, digest: Of the file then; the digest of lines is of the part that was read.
        line, byte: Lines and bytes that were read; 0 for files that aren't lines.
    """

    file: str
    row: int
    size: int
    stamp: str
    digest: str
    line: int = 0
    byte: int = 0

    def to_json(self) -> dict[str, Any]:
        place = {"row": self.row, "size": self.size, "mtime_ns": self.stamp, "digest": self.digest}
        return place | ({"line": self.line, "byte": self.byte} if self.byte else {})


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading stands; immutable, and cheap to make from the one before.

    Attributes:
        mark: Of the file in hand or the last one; None before the first row.
        dimension: Of the last vectors; 0 of a source of texts, None before the first row.
        finished: Folder -> blocks of entries.
        growing: Name -> mark of each file of lines that was begun.
    """

    mark: Mark | None = None
    dimension: int | None = None
    finished: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    growing: Mapping[str, Mark] = field(default_factory=dict)

    def at(self, mark: Mark, dimension: int, *, is_growing: bool) -> Position:
        """Return the position after some rows of a file."""
        growing = {**self.growing, mark.file: mark} if is_growing else self.growing
        return replace(self, mark=mark, dimension=dimension, growing=growing)

    def finish(self, entry: FileEntry, digest: str) -> Position:
        """Return the position after the last row of a file."""
        folder, _, name = entry.name.rpartition("/")
        blocks = self.finished.get(folder, ())
        new = _hash(name, _NAME) + _hash(_stamp(entry), _STAMP) + _text(bytes.fromhex(digest))
        has_room = blocks and len(blocks[-1]) < _BLOCK
        blocks = (*blocks[:-1], blocks[-1] + new) if has_room else (*blocks, new)
        return replace(self, finished={**self.finished, folder: blocks})

    def to_json(self) -> dict[str, Any]:
        """Return what `parse_position` takes; strings, numbers, lists and dictionaries only."""
        place = {"file": self.mark.file, **self.mark.to_json()} if self.mark else {}
        return {
            "kind": _KIND,
            "version": _VERSION,
            "dimension": self.dimension,
            **place,
            "finished": {folder: list(blocks) for folder, blocks in self.finished.items()},
            "growing": {name: mark.to_json() for name, mark in self.growing.items()},
        }


@dataclass(frozen=True, slots=True)
class Known:
    """What a position knows of one finished file: hashes of its stamp and of its content."""

    stamp: str
    content: str

    def is_as_it_was(self, entry: FileEntry) -> bool:
        return self.stamp == _hash(_stamp(entry), _STAMP)

    def has_digest(self, digest: str) -> bool:
        return self.content == _text(bytes.fromhex(digest))


class FinishedFiles:
    """Looks finished files up by name."""

    def __init__(self, position: Position) -> None:
        first, second = _NAME // 3 * 4, (_NAME + _STAMP) // 3 * 4
        self._known = {
            folder: {entry[:first]: Known(entry[first:second], entry[second:]) for entry in _split(blocks)}
            for folder, blocks in position.finished.items()
        }

    def find(self, entry: FileEntry) -> Known | None:
        folder, _, name = entry.name.rpartition("/")
        return self._known.get(folder, {}).get(_hash(name, _NAME))


def parse_position(after: Mapping[str, Any] | None, place: str) -> Position:
    """Return the position of an earlier `Rows.end`; None and {} are the start.

    Raises:
        SourceError: it's of another kind of source, or damaged.
    """
    if not after:
        return Position()
    if after.get("kind") != _KIND or after.get("version") != _VERSION:
        found = f"{shown(after.get('kind'))} {shown(after.get('version'))}"
        raise SourceError(f"{place}: the position is of another kind of source ({found}; needed: {_KIND} {_VERSION})")
    try:
        return Position(
            mark=_mark(after["file"], after) if "file" in after else None,
            dimension=None if after["dimension"] is None else int(after["dimension"]),
            finished={folder: tuple(map(_block, blocks)) for folder, blocks in after["finished"].items()},
            growing={name: _mark(name, mark) for name, mark in after["growing"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise SourceError(f"{place}: the position is damaged ({type(exc).__name__}: {shown(str(exc))})") from exc


def without_gone(position: Position, entries: Iterable[FileEntry]) -> Position:
    """Return the position without files that are gone, but for the last 10,000 of them.

    They are kept a while because a file may come back: a disk that was away, a restored backup.
    """
    present = {(entry.name.rpartition("/")[0], _hash(entry.name.rpartition("/")[2], _NAME)) for entry in entries}
    width = _NAME // 3 * 4
    known = [(folder, entry) for folder, blocks in position.finished.items() for entry in _split(blocks)]
    gone = [place for place, (folder, entry) in enumerate(known) if (folder, entry[:width]) not in present]
    dropped = set(gone[:-KEPT_GONE])
    if not dropped:
        return position
    kept: dict[str, list[str]] = {}
    for place, (folder, entry) in enumerate(known):
        if place not in dropped:
            kept.setdefault(folder, []).append(entry)
    return replace(position, finished={folder: _joined(entries) for folder, entries in kept.items()})


def _mark(name: str, found: Mapping[str, Any]) -> Mark:
    return Mark(
        file=str(name),
        row=int(found["row"]),
        size=int(found["size"]),
        stamp=str(found["mtime_ns"]),
        digest=str(found["digest"]),
        line=int(found.get("line", 0)),
        byte=int(found.get("byte", 0)),
    )


def _split(blocks: Iterable[str]) -> list[str]:
    return [block[at : at + _ENTRY] for block in blocks for at in range(0, len(block), _ENTRY)]


def _joined(entries: Sequence[str]) -> tuple[str, ...]:
    whole = "".join(entries)
    return tuple(whole[at : at + _BLOCK] for at in range(0, len(whole), _BLOCK))


def _stamp(entry: FileEntry) -> str:
    return f"{entry.size}:{entry.stamp}"


def _hash(text: str, length: int) -> str:
    return _text(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=length).digest())


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _block(text: str) -> str:
    base64.b64decode(text, validate=True)
    if len(text) % _ENTRY:
        raise ValueError("a list of finished files is cut")
    return text
