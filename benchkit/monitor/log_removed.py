"""What an embedding log removed, to keep its bound on the disk, before a watch had read it.

    _manifest.jsonl, from where it was read to ── files removed ──┐
    the watch's position ── files that it has finished ───────────┴─ the others ──> Removed: files and rows unread

A folder may hold the logs of several services; each has its manifest, and is one log by whatever links it is reached.
What a log removed before the watch began is no loss of the watch. A file that was read in part is finished by being
gone: nobody can read its rest. A manifest that was begun anew twice between two looks has told in vain: that is told.
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
        gaps: How often lines of a manifest were gone before they were looked at.
        seen: By the log's folder under the source; None before the first look.
    """

    files: int = 0
    rows: int = 0
    uncounted: int = 0
    seen: Mapping[str, Place] | None = None
    gaps: int = 0

    @property
    def told(self) -> int:
        """Return what grows with each loss that is to be told."""
        return self.files + self.gaps

    @property
    def sentences(self) -> list[str]:
        """Return what was lost, in words; none where nothing was."""
        unknown = f" (of {self.uncounted} it isn't known how many)" if self.uncounted else ""
        files = (
            f"rows lost since the start of the watch: {self.rows:,} in {self.files:,} files{unknown}, which the log "
            "removed before they were read, to stay within its max_bytes: give it more room"
        )
        more = (
            f"more rows may be lost since the start of the watch: lines of the log's {MANIFEST} were gone "
            f"before the watch looked at it ({self.gaps} ×), and what it removed then isn't known: give it more room"
        )
        return [*([files] if self.files else []), *([more] if self.gaps else [])]

    def to_json(self) -> dict[str, Any]:
        seen = None if self.seen is None else {log: [place.first, place.byte] for log, place in self.seen.items()}
        return {
            "files": self.files,
            "rows": self.rows,
            "uncounted": self.uncounted,
            "seen": seen,
            "gaps": self.gaps,
        }

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
            found.get("gaps", 0),  # a state of before has none
        )


@dataclass(frozen=True, slots=True)
class _Log:
    """A log under the root.

    Attributes:
        name: Its folder under the root, without links where it lies there.
        folder: Where it is.
        names: All that its folder has under the root, through links.
    """

    name: str
    folder: Path
    names: tuple[str, ...]

    def names_of(self, file: str) -> tuple[str, ...]:
        """Return what the source may call a file of it, the log's own name for it first."""
        return tuple(dict.fromkeys(_under(name, file) for name in (self.name, *self.names)))


def look(root: Path, before: Removed, position: Mapping[str, Any]) -> tuple[Removed, Mapping[str, Any]]:
    """Return what was removed unread by now, and the position, in which a file in hand that is gone is finished.

    Args:
        root: The folder that is followed.
        position: Behind every row that was counted.
    """
    seen = before.seen
    if not root.is_dir():
        return before, position
    places, files, gaps, logs = {}, list[tuple[str, ...]](), 0, _logs(root)
    for log in logs:
        place, records, is_gap = _news(log.folder, None if seen is None else seen.get(log.name, Place()))
        places[log.name] = place
        gaps += is_gap
        files += [log.names_of(record["removed"]) for record in records if isinstance(record.get("removed"), str)]
    # A log that is away, as when a disk isn't there, is still known when it comes back.
    after = replace(before, seen={**(seen or {}), **places}, gaps=before.gaps + gaps)
    return (after, position) if seen is None or not files else _counted(after, files, logs, position)


def _counted(
    before: Removed, files: Sequence[tuple[str, ...]], logs: Sequence[_Log], position: Mapping[str, Any]
) -> tuple[Removed, Mapping[str, Any]]:
    """Count the files that were not read, each given by all its names."""
    known = parse_position(position, "the position of the watch")
    finished = FinishedFiles(known)
    unread = {
        names[0]: names for names in files if all(finished.find(FileEntry(name, 0, "")) is None for name in names)
    }
    if not unread:
        return before, position
    rows = _rows_of(logs)
    mark = known.mark
    in_hand = next((own for own, names in unread.items() if mark is not None and mark.file in names), "")
    counted = sum(rows.get(own, 0) for own in unread) - (mark.row if mark is not None and in_hand in rows else 0)
    after = replace(
        before,
        files=before.files + len(unread),
        rows=before.rows + counted,
        uncounted=before.uncounted + sum(own not in rows for own in unread),
    )
    return after, _finished(known, mark.file) if mark is not None and in_hand else position


def _finished(position: Position, name: str) -> Mapping[str, Any]:
    mark = position.mark
    assert mark is not None
    return position.finish(FileEntry(name, mark.size, mark.stamp), mark.digest).to_json()


# ------------------------------------------------------------ manifests


def _logs(root: Path) -> list[_Log]:
    """Return each log under the root once: a link, as "current", beside what it leads to is no second one."""
    top = root.resolve()
    followed, names = {top}, dict[Path, list[str]]()
    for folder, inner, files in os.walk(root, followlinks=True):
        # Not the days of a log, which may be thousands of files.
        inner[:] = [
            name
            for name in inner
            if not name.startswith(("date=", "_", ".")) and _is_new(Path(folder) / name, followed)
        ]
        if MANIFEST in files:
            names.setdefault(Path(folder).resolve(), []).append(Path(folder).relative_to(root).as_posix())
    return [
        _Log(
            # The same at each look, in whatever order links are found.
            lies.relative_to(top).as_posix() if lies.is_relative_to(top) else min(known),
            lies,
            tuple(known),
        )
        for lies, known in names.items()
    ]


def _is_new(folder: Path, followed: set[Path]) -> bool:
    """Return whether a folder was not walked yet through a link: one may lead back to where it lies."""
    if not folder.is_symlink():
        return True
    target = folder.resolve()
    is_new = target not in followed
    followed.add(target)
    return is_new


def _under(log: str, name: str) -> str:
    return name if log == "." else f"{log}/{name}"


def _news(log: Path, since: Place | None) -> tuple[Place, list[dict[str, Any]], bool]:
    """Return where a log's manifest ends, what was written to it since, and whether some of that is gone.

    Nothing was at the first look (None).
    """
    known = since or Place()
    first, rest = _behind(log / MANIFEST, known)
    if first in ("", known.first):  # it can't be read now, or is the one that it was
        return replace(known, byte=known.byte + len(rest)), list(_records(rest)), False
    now = Place(first, len(rest))
    if since is None:
        return now, [], False
    # It was turned: the rest of the one before, or all of it where that is another one, too.
    first_before, before = _behind(log / OLD_MANIFEST, known)
    is_gap = known.first not in ("", first_before)
    return now, [*_records(before), *_records(rest)], is_gap


def _rows_of(logs: Sequence[_Log]) -> dict[str, int]:
    """Return the rows of each file that the manifests tell of, by the log's own name for it."""
    found: dict[str, int] = {}
    for log in logs:
        for name in (OLD_MANIFEST, MANIFEST):
            for record in _records(_behind(log.folder / name, Place())[1]):
                if isinstance(record.get("file"), str) and isinstance(record.get("rows"), int):
                    found[_under(log.name, record["file"])] = record["rows"]
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
