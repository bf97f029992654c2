"""What an embedding log removed, to keep its bound on the disk, before a watch had read it.

    _manifest.jsonl, from where it was read to ── files removed ──┐
    the watch's position ── files that it has finished ───────────┴─ the others ──> Removed: files and rows unread

A folder may hold the logs of several services; each has its manifest. What a log removed before the watch began is no
loss of the watch. A file that was read in part is finished by being gone: nobody can read its rest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchkit.monitor.log_files import MANIFEST, OLD_MANIFEST
from benchkit.sources.folder import FileEntry
from benchkit.sources.position import FinishedFiles, Position, parse_position

_NAME_BYTES = 200  # of a manifest's first line, which holds a digest or a file's name and a time


@dataclass(frozen=True, slots=True)
class Place:
    """How far a manifest was read.

    Attributes:
        first: What tells this manifest from the one before it.
        byte: Behind the last whole line.
    """

    first: str = ""
    byte: int = 0


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed unread since a watch began.

    Attributes:
        rows: Of those files whose rows the manifest still tells.
        uncounted: Files of which it doesn't.
        seen: By the log's folder under the source; None before the first look.
    """

    files: int = 0
    rows: int = 0
    uncounted: int = 0
    seen: Mapping[str, Place] | None = None

    @property
    def sentence(self) -> str:
        unknown = f" (of {self.uncounted} it isn't known how many)" if self.uncounted else ""
        return (
            f"rows lost since the start of the watch: {self.rows:,} in {self.files:,} files{unknown}, which the log "
            "removed before they were read, to stay within its max_bytes: give it more room"
        )

    def to_json(self) -> dict[str, Any]:
        seen = None if self.seen is None else {log: [place.first, place.byte] for log, place in self.seen.items()}
        return {"files": self.files, "rows": self.rows, "uncounted": self.uncounted, "seen": seen}

    @classmethod
    def from_json(cls, found: Mapping[str, Any] | None) -> Removed:
        """Return what `to_json` gave; the state of a watch that never looked where there is nothing."""
        if not found:
            return cls()
        seen = found["seen"]
        return cls(
            found["files"],
            found["rows"],
            found["uncounted"],
            None if seen is None else {log: Place(*place) for log, place in seen.items()},
        )


def look(root: Path, before: Removed, position: Mapping[str, Any]) -> tuple[Removed, Mapping[str, Any]]:
    """Return what was removed unread by now, and the position, in which a file in hand that is gone is finished.

    Args:
        root: The folder that is followed.
        position: Behind every row that was counted.
    """
    seen = before.seen
    if not root.is_dir():
        return before, position
    places, names, logs = {}, list[str](), dict[str, Path]()
    for log, folder in _logs(root):
        logs[log] = folder
        place, records = _news(folder, None if seen is None else seen.get(log, Place()))
        places[log] = place
        names += [_under(log, record["removed"]) for record in records if isinstance(record.get("removed"), str)]
    # A log that is away, as when a disk isn't there, is still known when it comes back.
    after = replace(before, seen={**(seen or {}), **places})
    return (after, position) if seen is None or not names else _counted(after, names, logs, position)


def _counted(
    before: Removed, names: Sequence[str], logs: Mapping[str, Path], position: Mapping[str, Any]
) -> tuple[Removed, Mapping[str, Any]]:
    known = parse_position(position, "the position of the watch")
    finished = FinishedFiles(known)
    unread = [name for name in dict.fromkeys(names) if finished.find(FileEntry(name, 0, "")) is None]
    if not unread:
        return before, position
    rows = _rows_of(logs)
    mark = known.mark
    in_hand = mark.file if mark is not None and mark.file in unread else ""
    counted = sum(rows.get(name, 0) for name in unread) - (mark.row if mark is not None and in_hand in rows else 0)
    after = replace(
        before,
        files=before.files + len(unread),
        rows=before.rows + counted,
        uncounted=before.uncounted + sum(name not in rows for name in unread),
    )
    return after, _finished(known, in_hand) if in_hand else position


def _finished(position: Position, name: str) -> Mapping[str, Any]:
    mark = position.mark
    assert mark is not None
    return position.finish(FileEntry(name, mark.size, mark.stamp), mark.digest).to_json()


# ------------------------------------------------------------ manifests


def _logs(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield each log's name under the root and its folder."""
    for folder, inner, files in os.walk(root, followlinks=True):
        # Not the days of a log, which may be thousands of files.
        inner[:] = [name for name in inner if not name.startswith(("date=", "_", "."))]
        if MANIFEST in files:
            yield Path(folder).relative_to(root).as_posix(), Path(folder)


def _under(log: str, name: str) -> str:
    return name if log == "." else f"{log}/{name}"


def _news(log: Path, since: Place | None) -> tuple[Place, list[dict[str, Any]]]:
    """Return where a log's manifest ends, and what was written to it since; nothing at the first look (None)."""
    known = since or Place()
    first, rest = _behind(log / MANIFEST, known)
    if first in ("", known.first):  # it can't be read now, or is the one that it was
        return replace(known, byte=known.byte + len(rest)), list(_records(rest))
    now = Place(first, len(rest))
    if since is None:
        return now, []
    # It was turned: the rest of the one before, or all of it where that is another one, too.
    _, before = _behind(log / OLD_MANIFEST, known)
    return now, [*_records(before), *_records(rest)]


def _rows_of(logs: Mapping[str, Path]) -> dict[str, int]:
    """Return the rows of each file that the manifests tell of."""
    found: dict[str, int] = {}
    for log, folder in logs.items():
        for name in (OLD_MANIFEST, MANIFEST):
            for record in _records(_behind(folder / name, Place())[1]):
                if isinstance(record.get("file"), str) and isinstance(record.get("rows"), int):
                    found[_under(log, record["file"])] = record["rows"]
    return found


def _behind(path: Path, known: Place) -> tuple[str, bytes]:
    """Return what tells a manifest from others, and its whole lines behind a place; all where that is of another one.

    Nothing where it can't be read or has no line yet. It is opened once: the next moment it may be another, or none.
    """
    with suppress(OSError), path.open("rb") as file:
        head = file.read(_NAME_BYTES)
        line, end, _ = head.partition(b"\n")
        if not end and len(head) < _NAME_BYTES:
            return "", b""
        first = hashlib.blake2b(line, digest_size=9).hexdigest()
        file.seek(known.byte if first == known.first else 0)
        rest = file.read()
        return first, rest[: rest.rfind(b"\n") + 1]
    return "", b""


def _records(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield what the lines hold; one that a full disk cut short is left out."""
    for line in content.splitlines():
        with suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict):
                yield record
