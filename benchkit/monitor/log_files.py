"""The folder of an embedding log: Parquet files that are there whole or not at all, and what is told of them.

    Block ── days_of ── one table for each UTC day ── bytes ── .part-….tmp ── fsync, rename ──> date=…/part-….parquet
                                                        │                                        _manifest.jsonl
                                                        └─ the oldest files go while the folder would be over max_bytes

Names that begin with "." or "_" are no data to readers of Parquet folders (pyarrow, Spark, DuckDB). Several processes
may write into one folder: each file has a name of its own, and a manifest line is one write.
Cost: a file's bytes in memory once more while it is written; one look at every file name for each new file.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.monitor.append import append_line
from benchkit.monitor.log_rows import Block, Refused

MANIFEST = "_manifest.jsonl"
OLD_MANIFEST = "_manifest.old.jsonl"
LARGEST_MANIFEST = 16 << 20
STALE_S = 3600  # no honest writer needs that long for one file
_PART = re.compile(r"part-(\d+)-\d+-\d+\.parquet")
_DAY_US = 86_400_000_000
AHEAD_S = 3600  # clocks of machines that are looked after differ by seconds
_TRIES = 10  # to make a folder and a file in it before another process finds the folder empty


@dataclass(frozen=True, slots=True)
class DayRows:
    """The rows of a block that are of one UTC day; `rows` is None for all of them."""

    day: str
    count: int
    rows: NDArray[np.intp] | None = None


def days_of(block: Block) -> Iterator[DayRows]:
    """Yield the days of a block's rows, in order; the rows of each keep theirs."""
    days = block.times[: block.rows] // _DAY_US
    found = np.unique(days)
    for day in found:
        name = str(np.datetime64(int(day), "D"))
        rows = None if len(found) == 1 else np.flatnonzero(days == day)
        yield DayRows(name, block.rows if rows is None else len(rows), rows)


@dataclass(slots=True)
class PartWriter:
    """Writes the rows of one process.

    Attributes:
        path: The folder; made with the first file.
        max_bytes: Of all files in it, those of other processes too.
        keep_texts: Whether there is a column of texts.
        removed: Files that this writer removed to make room.
    """

    path: Path
    model: str
    fingerprint: str
    sampling: float
    max_bytes: int
    keep_texts: bool
    removed: int = 0
    _number: int = 0
    _about: dict[str, Any] = field(default_factory=dict)
    _untold: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._about = {
            "model": self.model,
            "fingerprint": self.fingerprint,
            "sampling": self.sampling,
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }

    def write(self, block: Block, part: DayRows) -> dict[str, Any]:
        """Write the rows of one day as a file; return what the manifest is to hold of it.

        Raises:
            OSError: it can't be written; no file and nothing of it is left.
            Refused: it alone is more than `max_bytes`; no other file is removed for it.
        """
        content = self._as_parquet(block, part)
        if len(content) > self.max_bytes:
            raise Refused(f"a file of {len(content)} bytes is more than max_bytes ({self.max_bytes})")
        self._make_room(len(content))
        folder = self.path / f"date={part.day}"
        self._number += 1
        name = f"part-{time.time_ns()}-{os.getpid()}-{self._number}.parquet"
        _write_whole(folder, name, content)
        times = block.times[: block.rows] if part.rows is None else block.times[part.rows]
        return {
            "file": f"{folder.name}/{name}",
            "rows": part.count,
            "dimension": block.vectors.shape[1],
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "first": _iso(int(times.min())),
            "last": _iso(int(times.max())),
            **self._about,
        }

    def tell(self, line: Mapping[str, Any]) -> None:
        """Add a line to the manifest.

        Raises:
            OSError: it can't be written.
        """
        append_line(self.path / MANIFEST, {**line, "written": _iso(time.time_ns() // 1000)})

    # -------------------------------------------------------- form

    def _as_parquet(self, block: Block, part: DayRows) -> memoryview:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = self._table(block, part)
        sink = pa.BufferOutputStream()
        pq.write_table(
            table,
            sink,
            # Not the vectors: they don't get smaller, and statistics of their components help nobody.
            compression={name: "ZSTD" for name in table.column_names if name != "vector"},
            use_dictionary=["segment", "role"],
            write_statistics=["time"],
        )
        return memoryview(sink.getvalue())

    def _table(self, block: Block, part: DayRows) -> Any:
        """Return the Arrow table; every file has the same columns, so that a reader can take them as one."""
        import pyarrow as pa

        rows = slice(block.rows) if part.rows is None else part.rows
        vectors, times = block.vectors[rows], block.times[rows]
        flat = pa.Array.from_buffers(pa.float32(), vectors.size, [None, pa.py_buffer(vectors)])
        stamps = pa.timestamp("us", tz="UTC")
        # Never null, and saying so: a reader has no levels to decode then, which is a third of its time.
        listed = pa.list_(pa.field("element", pa.float32(), nullable=False), vectors.shape[1])
        columns = {
            "time": pa.Array.from_buffers(stamps, len(times), [None, pa.py_buffer(times)]),
            "vector": pa.FixedSizeListArray.from_arrays(flat, type=listed),
        }
        for name in ("id", "segment", "role", "score", *(["text"] if self.keep_texts else [])):
            values = block.column(_GIVEN_AS.get(name, name))
            columns[name] = _arrow(values if part.rows is None else [values[row] for row in part.rows], name)
        about = {f"benchkit.{key}": str(value) for key, value in self._about.items()}
        schema = pa.schema(
            [pa.field(name, array.type, nullable=name != "vector") for name, array in columns.items()], metadata=about
        )
        return pa.Table.from_arrays(list(columns.values()), schema=schema)

    # -------------------------------------------------------- room

    def _make_room(self, needed: int) -> None:
        """Remove the oldest files until `needed` bytes fit, and what crashed writers left an hour ago."""
        if not self.path.exists():
            return
        self._tell_removed()
        self._turn_manifest()
        parts, others = _look(self.path)
        total = others + sum(size for _, size, _ in parts)
        # Files of the future first: those of a clock that was ahead would stay for years, and all new ones go instead.
        latest = time.time_ns() + AHEAD_S * 10**9
        for _, size, path in sorted(parts, key=lambda part: (part[0] <= latest, part)):
            if total + needed <= self.max_bytes:
                return
            total -= size
            # Who removed it tells of it; another process may have been first.
            with suppress(FileNotFoundError):
                path.unlink()
                self.removed += 1
                name = f"{path.parent.name}/{path.name}"
                self._untold.append({"removed": name, "bytes": size, "max_bytes": self.max_bytes})
                self._tell_removed()
            with suppress(OSError):
                path.parent.rmdir()

    def _tell_removed(self) -> None:
        """Tell of the files that were removed, which a watch counts by; what a full disk refuses is told later."""
        with suppress(OSError):
            while self._untold:
                self.tell(self._untold[0])
                self._untold.pop(0)

    def _turn_manifest(self) -> None:
        """Begin a new manifest when it is long; one old one is kept. Where it can't be, it grows: rows matter more."""
        manifest = self.path / MANIFEST
        limit = min(LARGEST_MANIFEST, self.max_bytes // 16)
        if _bytes(manifest) <= limit:
            return
        from filelock import FileLock

        # Two processes that both turn it would lose the old one. Held by another, no room for it, or a file system
        # that has no locks.
        with suppress(OSError, NotImplementedError), FileLock(self.path / "_manifest.lock", timeout=0):
            if _bytes(manifest) > limit:
                manifest.replace(self.path / OLD_MANIFEST)


_GIVEN_AS = {"id": "ids"}


def _look(path: Path) -> tuple[list[tuple[int, int, Path]], int]:
    """Return (time, size, path) of each file of rows, and the bytes of everything else that logs wrote."""
    parts: list[tuple[int, int, Path]] = []
    others = sum(_bytes(path / name) for name in (MANIFEST, OLD_MANIFEST))
    for file in _files(path):
        named = _PART.fullmatch(file.name)
        if named:
            parts.append((int(named[1]), _bytes(file), file))
        elif file.name.startswith(".part-") and file.suffix == ".tmp":
            others += _left_over(file)
    return parts, others


def _files(path: Path) -> Iterator[Path]:
    """Yield what is in the folders of days; another process may remove one of them, where Path.glob would raise."""
    for day in _listed(path):
        if day.name.startswith("date="):
            yield from map(Path, _listed(day))


def _listed(folder: os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _left_over(file: Path) -> int:
    """Remove an unfinished file if its writer must be dead; return the bytes that it still takes."""
    with suppress(FileNotFoundError):
        found = file.stat()
        if time.time() - found.st_mtime < STALE_S:
            return found.st_size
        file.unlink()
    return 0


def _bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _write_whole(folder: Path, name: str, content: memoryview) -> None:
    partial = folder / f".{name}.tmp"
    file = _create(folder, partial)
    try:
        try:
            rest = content
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        finally:
            os.close(file)
        partial.rename(folder / name)
    except BaseException:
        # On a full disk it would only take space.
        with suppress(OSError):
            partial.unlink()
        raise
    _sync(folder)


def _create(folder: Path, file: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    for _ in range(_TRIES):
        # Another process may remove the empty folder at any moment: mkdir then finds one that isn't there.
        with suppress(FileNotFoundError, FileExistsError):
            folder.mkdir(parents=True, exist_ok=True)
            return os.open(file, flags, 0o666)
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(file, flags, 0o666)


def _sync(folder: Path) -> None:
    """Wait until the new name itself is on the disk, where the system can say so."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _arrow(values: list[Any], name: str) -> Any:
    """Return a column, null where a value is None; from buffers, because pa.array() imports pandas into the service."""
    import pyarrow as pa

    known = np.array([value is not None for value in values])
    if not known.any():
        return pa.nulls(len(values), pa.float64() if name == "score" else pa.string())
    mask = pa.py_buffer(np.packbits(known, bitorder="little"))
    if name == "score":
        scores = np.array([0.0 if value is None else value for value in values])
        return pa.Array.from_buffers(pa.float64(), len(values), [mask, pa.py_buffer(scores)])
    # "replace": Python has halves of surrogate pairs, UTF-8 doesn't.
    encoded = [b"" if value is None else value.encode("utf-8", "replace") for value in values]
    ends = np.cumsum([0, *map(len, encoded)])
    if ends[-1] > np.iinfo(np.int32).max:
        raise Refused(f"{name}: more than 2 GiB in one file; memory_bytes is too large")
    offsets = pa.py_buffer(ends.astype(np.int32))
    return pa.Array.from_buffers(pa.string(), len(values), [mask, offsets, pa.py_buffer(b"".join(encoded))])


def _iso(micros: int) -> str:
    return f"{np.datetime64(micros, 'us')}Z"
