"""Rows between the service's threads and the writer: a few blocks of memory, handed to and fro under one lock.

    add ──> block being filled ── full, sealed ──> waiting ── next_full ──> the writer ── give_back ──> empty
             └─ none is empty: the rows are dropped and counted

Memory is bounded by its blocks, which are kept for the life of the queue. Rows that were taken in stay in their order.
"""

from __future__ import annotations

import threading
import time as clock
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.monitor.log_rows import Block, Labels, Micros, Refused

LOCK_WAIT_S = 0.5  # a signal handler that records while its own thread holds the lock must not hang
BLOCKS = 4  # at least: one being filled, one being written, two that wait
CLOSED = "rows were handed in after close()"
BEHIND = "the disk is slower than the service and memory_bytes are full"


@dataclass(slots=True)
class Counts:
    """Rows so far; `accepted` are written, lost or still in memory."""

    accepted: int = 0
    written: int = 0
    lost: int = 0
    sampled_out: int = 0
    dropped: int = 0
    failed: int = 0


class RowQueue:
    """Blocks of rows of one process; every method may be called by any thread."""

    def __init__(self, *, rows_per_block: int, block_bytes: int, memory_bytes: int, dimension: int | None) -> None:
        self.counts = Counts()
        self._rows_per_block, self._block_bytes = rows_per_block, block_bytes
        self._memory_bytes, self._label_bytes = memory_bytes, 0
        self._dimension = dimension
        self._is_closed = False
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._block: Block | None = None
        self._full: deque[Block] = deque()
        self._free: list[Block] = []
        self._n_blocks = 0

    # -------------------------------------------------------- the service's threads

    def add(self, vectors: NDArray[np.float32], times: Micros, labels: Labels | None) -> str:
        """Copy rows in; return why some were dropped, or "".

        Raises:
            Refused: not of this queue's dimension, or the lock can't be had.
        """
        # Without the context manager's microsecond.
        if not self._lock.acquire(timeout=LOCK_WAIT_S):
            raise _busy()
        try:
            dimension = vectors.shape[1]
            self._dimension = self._dimension or dimension
            if dimension != self._dimension:
                raise Refused(f"vectors of {dimension} dimensions in a log of {self._dimension}")
            start = 0
            while start < len(vectors):
                block = None if self._is_closed else self._block or self._next_block()
                if block is None or self._label_bytes > self._memory_bytes:
                    self.counts.dropped += len(vectors) - start
                    return CLOSED if self._is_closed else BEHIND
                if labels is not None and block.rows and block.label_bytes + labels.bytes > self._block_bytes:
                    self._seal()  # long texts go into a block of their own, and take no other rows along
                    continue
                start += self._fill(block, vectors, times, labels, start)
            return ""
        finally:
            self._lock.release()

    def _fill(
        self, block: Block, vectors: NDArray[np.float32], times: Micros, labels: Labels | None, start: int
    ) -> int:
        held, most = block.label_bytes, None
        if labels is not None and labels.bytes > self._block_bytes:
            # A call whose texts are more than a block may hold is spread over several.
            most = max(1, labels.rows * self._block_bytes // labels.bytes)
        count = block.add(vectors, times, labels, start, most)
        self._label_bytes += block.label_bytes - held
        self.counts.accepted += count
        # Texts make a block full too: its file must fit into the folder's bytes with others beside it.
        if block.is_full or block.label_bytes > self._block_bytes:
            self._seal()
        return count

    def _next_block(self) -> Block | None:
        """Return memory for more rows, or None when all of it waits to be written."""
        if not self._free:
            dimension = self._dimension or 1
            row_bytes = Block.row_bytes(dimension)
            rows = max(1, min(self._rows_per_block, self._block_bytes // row_bytes))
            if self._n_blocks < max(BLOCKS, self._memory_bytes // (rows * row_bytes)):
                self._free.append(Block.of(rows, dimension))
                self._n_blocks += 1
        self._block = self._free.pop() if self._free else None
        return self._block

    def _seal(self) -> None:
        """Hand the rows in memory to the writer; the lock is held."""
        if self._block is not None and self._block.rows:
            self._full.append(self._block)
            self._block = None
            self._changed.notify_all()

    def count(self, *, sampled_out: int = 0, failed: int = 0) -> None:
        """Count rows that never came in."""
        with self.held():
            self.counts.sampled_out += sampled_out
            self.counts.failed += failed

    def flush(self, timeout_s: float) -> bool:
        """Wait until the rows so far are written; return whether all of them are."""
        with self.held():
            self._seal()
            target, lost = self.counts.accepted, self.counts.lost
            done = self._changed.wait_for(lambda: self.counts.written + self.counts.lost >= target, timeout_s)
            return done and self.counts.lost == lost

    def close(self) -> None:
        """Take no more rows; what is in memory goes to the writer."""
        with self.held():
            self._is_closed = True
            self._seal()
            self._changed.notify_all()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            Refused: it can't be had in half a second.
        """
        if not self._lock.acquire(timeout=LOCK_WAIT_S):
            raise _busy()
        try:
            yield
        finally:
            self._lock.release()

    # -------------------------------------------------------- the writer

    def next_full(self, flush_every_s: float) -> Block | None:
        """Wait for rows to write, at most so long for a block to fill; None when closed and nothing is left."""
        due = clock.monotonic() + flush_every_s
        with self._changed:
            while not self._full:
                if self._is_closed:
                    return None
                left = due - clock.monotonic()
                if left > 0:
                    self._changed.wait(min(left, threading.TIMEOUT_MAX))
                else:
                    self._seal()
                    due = clock.monotonic() + flush_every_s
            return self._full.popleft()

    def settle(self, *, written: int = 0, lost: int = 0) -> None:
        """Count rows that the writer is done with."""
        with self._changed:
            self.counts.written += written
            self.counts.lost += lost
            self._changed.notify_all()

    def give_back(self, block: Block) -> None:
        """Use the memory of a written block again."""
        with self._changed:
            self._label_bytes -= block.label_bytes
            block.clear()
            self._free.append(block)


def _busy() -> Refused:
    return Refused(f"the log was busy for {LOCK_WAIT_S} s")
