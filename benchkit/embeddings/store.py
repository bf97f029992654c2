"""A cache of fp32 vectors on disk, by content, that a crash or a full disk can't spoil.

    VectorStore(cache).open(model fingerprint, space)
        └─ VectorSpace ── lookup(keys) ── sorted keys of all intact blocks ── rows copied from the mapped files
                       └─ append(keys, vectors) ── one block at the end of this process's own segment

* A key is the digest of a text (fingerprint.py); a space is one prompt and role of one model, so that neither another
  model nor another prompt can ever get these vectors.
* Each process writes a file of its own, so writers need no lock and can't tear each other's blocks. A key that two of
  them wrote keeps the vector of the segment that sorts first; both belong to the same text and model.
* A block is there whole or not at all. Damage is counted in `StoreReport`, its texts are unknown and encoded again.
* All blocks are checked when a space is opened, once in a process; the vectors stay on disk until they are looked up.
* After a write that failed, this and every further one raises `CacheWriteError`; what is on disk can still be read.

Not for several threads at once.
"""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.index import KeyIndex, Keys, Rows, check_keys
from benchkit.embeddings.segment import Block, SegmentWriter, Vectors, block_bytes, read_rows, read_segment
from benchkit.embeddings.upkeep import (
    Fact,
    ModelTotals,
    Removal,
    claim,
    clear,
    info,
    new_segment_path,
    prune,
    segments_of,
    space_folder,
    write_facts,
)

__all__ = [
    "CacheWriteError",
    "ModelTotals",
    "Removal",
    "StoreReport",
    "VectorSpace",
    "VectorStore",
    "clear",
    "info",
    "prune",
]

# Rows copied at a time: a look-up takes its result and 6 MB (384 dimensions), and maps few pages of a file at once.
_ROWS_AT_A_TIME = 4_096


class CacheWriteError(OSError):
    """The cache can't be written; the run goes on without it."""


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What is in an open space.

    Attributes:
        vectors: Texts whose vector is known, each once.
        n_bytes: Size of the segments, damage included.
        damaged_blocks: Blocks with a wrong checksum or of another dimension, since the space was opened.
        torn_tails: Files that end inside a block: a process was killed, the disk was full, or it's being written now.
        unreadable_segments: Files that the system wouldn't read.
    """

    vectors: int
    n_bytes: int
    segments: int
    damaged_blocks: int
    torn_tails: int
    unreadable_segments: int


class VectorSpace:
    """The vectors of one model, prompt and role. Opened by `VectorStore.open`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = KeyIndex()
        self._segments: list[Path] = []
        # One entry per block: number of its first row, its segment, and where its vectors start in the file.
        self._first_rows, self._block_segments, self._positions = array("q"), array("q"), array("q")
        self._n_bytes = self._n_damaged = self._n_torn = self._n_unreadable = 0
        self._dimension: int | None = None
        self._writer: SegmentWriter | None = None
        self._failure: CacheWriteError | None = None
        with _writing(folder):
            self._claim = claim(folder)
            paths = segments_of(folder)
        for path in paths:
            self._load(path)

    @property
    def dimension(self) -> int | None:
        """Length of the vectors; None as long as there are none."""
        return self._dimension

    @property
    def report(self) -> StoreReport:
        return StoreReport(
            vectors=self._index.n_distinct,
            n_bytes=self._n_bytes,
            segments=len(self._segments),
            damaged_blocks=self._n_damaged,
            torn_tails=self._n_torn,
            unreadable_segments=self._n_unreadable,
        )

    def lookup(self, keys: Keys) -> tuple[NDArray[np.bool_], Vectors]:
        """Return which of n keys are known, bool (n,), and the vectors of those, float32 (known, d), in their order."""
        rows = self._index.find(keys)
        found = rows >= 0
        vectors = np.empty((int(found.sum()), self._dimension or 0), np.float32)
        known = rows[found]
        parts = range(0, len(known), _ROWS_AT_A_TIME)
        if all(self._copy(known[at : at + _ROWS_AT_A_TIME], vectors[at : at + _ROWS_AT_A_TIME]) for at in parts):
            return found, vectors
        return self.lookup(keys)  # without the rows of the file that was gone

    def append(self, keys: Keys, vectors: Vectors) -> None:
        """Keep n vectors, float32 (n, d), as one block: after a crash all of them are there, or none.

        Raises:
            ValueError: keys and vectors don't fit together, a vector has another dimension than the space, or holds
                NaN or infinity.
            CacheWriteError: the disk wouldn't take it, or not an earlier block; nothing is written any more.
        """
        self._check(keys, vectors)
        if not len(keys):
            return
        if self._failure is not None:
            raise CacheWriteError(*self._failure.args)
        with self._abandoning_on_error():
            writer = self._writer or self._start_segment()
            position = writer.append(keys, vectors)
        count, dimension = vectors.shape
        self._n_bytes += block_bytes(count=count, dimension=dimension)
        self._register(Block(keys=keys, dimension=dimension, position=position), len(self._segments) - 1)

    def close(self) -> None:
        """Bring everything to the disk and let go of the space; a second call does nothing.

        Raises:
            CacheWriteError: the disk wouldn't take it, and no append has said so before.
        """
        try:
            if self._writer is not None:
                with self._abandoning_on_error():
                    self._writer.close()
                self._writer = None
        finally:
            if not self._claim.closed:
                with suppress(OSError):  # the mark is only for the order of `prune`
                    os.utime(self._claim.fileno())
                self._claim.close()

    def __enter__(self) -> VectorSpace:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _load(self, path: Path) -> None:
        try:
            segment = read_segment(path)
        except OSError:
            self._n_unreadable += 1
            return
        self._segments.append(path)
        self._n_bytes += segment.n_bytes
        self._n_damaged += segment.n_damaged
        self._n_torn += segment.torn
        for block in segment.blocks:
            if block.dimension == (self._dimension or block.dimension):
                self._register(block, len(self._segments) - 1)
            else:
                self._n_damaged += 1

    def _register(self, block: Block, segment: int) -> None:
        self._dimension = block.dimension
        self._first_rows.append(self._index.n_rows)
        self._block_segments.append(segment)
        self._positions.append(block.position)
        self._index.add(block.keys)

    def _start_segment(self) -> SegmentWriter:
        path = new_segment_path(self._folder, time_ns=time.time_ns())
        self._writer = SegmentWriter(path)
        self._segments.append(path)
        return self._writer

    def _copy(self, rows: Rows, out: Vectors) -> bool:
        """Copy the vectors of n rows to out, float32 (n, d); False if a file is gone, whose rows are then forgotten."""
        assert self._dimension is not None  # there are rows
        first_rows = np.asarray(self._first_rows)
        blocks = np.searchsorted(first_rows, rows, side="right") - 1
        segments = np.asarray(self._block_segments)[blocks]
        positions = np.asarray(self._positions)[blocks] + (rows - first_rows[blocks]) * self._dimension
        lost = []
        for segment in np.unique(segments):
            at = np.flatnonzero(segments == segment)
            try:
                out[at] = read_rows(self._segments[segment], positions[at], self._dimension)
            except OSError:
                lost.append(segment)
        if lost:
            self._forget(lost)
        return not lost

    def _forget(self, segments: list[int]) -> None:
        self._n_unreadable += len(segments)
        all_rows = np.arange(self._index.n_rows)
        blocks = np.searchsorted(np.asarray(self._first_rows), all_rows, side="right") - 1
        self._index.forget(all_rows[np.isin(np.asarray(self._block_segments)[blocks], segments)])

    def _check(self, keys: Keys, vectors: Vectors) -> None:
        if self._claim.closed:
            raise ValueError(f"{self._folder}: this space is closed")
        check_keys(keys)
        if vectors.dtype != np.float32 or vectors.ndim != 2 or len(vectors) != len(keys):
            raise ValueError(f"{len(keys)} keys need float32 ({len(keys)}, d), got {vectors.dtype} {vectors.shape}")
        dimension = vectors.shape[1]
        if not dimension or dimension != (self._dimension or dimension):
            raise ValueError(f"row 0 has {dimension} dimensions; the vectors of {self._folder} have {self._dimension}")
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            raise ValueError(f"row {bad[0]} holds NaN or infinity ({len(bad)} of {len(vectors)} rows do)")

    @contextmanager
    def _abandoning_on_error(self) -> Iterator[None]:
        try:
            with _writing(self._folder):
                yield
        except BaseException as error:
            # Ctrl-C too may have cut a block, and nothing may follow on it in that file. After an error of the disk
            # there is no other file; after Ctrl-C the next append starts one.
            self._failure = error if isinstance(error, CacheWriteError) else None
            if self._writer is not None:
                with suppress(OSError):
                    self._writer.abandon()
                self._writer = None
            raise


class VectorStore:
    """The vectors of all models in one cache folder.

    Args:
        cache: The cache folder; vectors go to its subfolder "embeddings", which is made when the first space is opened.
        max_bytes: Room for all models. When a space is opened and when the store is closed, the least recently used
            spaces go until the rest fits. What this or another living process has open stays, so a run may exceed it
            by what it needs itself.
    """

    def __init__(self, cache: Path, *, max_bytes: int | None = None) -> None:
        if max_bytes is not None and max_bytes < 0:
            raise ValueError(f"max_bytes must be at least 0, got {max_bytes}")
        self._cache = cache
        self._max_bytes = max_bytes
        self._spaces: dict[Path, VectorSpace] = {}

    def open(self, fingerprint: str, space: str) -> VectorSpace:
        """Return the space of a model; the same object each time, as long as the store is open.

        Args:
            fingerprint: Of the model's vectors: all that decides them, but for the text and what `space` holds.
            space: Digest of what else does: prompt and role.

        Raises:
            ValueError: one of the two is empty.
            CacheWriteError: the folder can't be made, read or written to.
        """
        folder = space_folder(self._cache, fingerprint, space)
        if folder not in self._spaces:
            self._spaces[folder] = VectorSpace(folder)
            self._prune()
        return self._spaces[folder]

    def describe(self, fingerprint: str, facts: Mapping[str, Fact]) -> None:
        """Write down for people which model this is (`model.json`).

        Raises:
            CacheWriteError: the file can't be written.
        """
        with _writing(self._cache):
            write_facts(self._cache, fingerprint, facts)

    def close(self) -> None:
        """Close all spaces.

        Raises:
            CacheWriteError: a space couldn't be brought to the disk; the others are closed all the same.
        """
        self._prune()  # while the spaces of this run are still protected
        failures = []
        for space in self._spaces.values():
            try:
                space.close()
            except CacheWriteError as failure:
                failures.append(failure)
        self._spaces.clear()
        if failures:
            raise failures[0]

    def __enter__(self) -> VectorStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _prune(self) -> None:
        if self._max_bytes is None:
            return
        # A file that can't be deleted must not end a run; `prune` itself says so to whoever asks for it.
        with suppress(OSError):
            prune(self._cache, self._max_bytes)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise CacheWriteError(
            f"{folder}: the embedding cache can't be used: {reason}; free some space, mend the rights of the folder or "
            "choose another cache folder"
        ) from error
