"""Which rows of a source are looked at: those of a span of time, the newest ones, or all.

    Source ── Selection(start, end, last) ── rows ──> Rows
                    └── what it left out for want of a time, in words

The newest rows are those with the latest times. Where the source has no times, or more than one row in ten lacks one,
they are the last in its order: files by their names, rows of a database by their ids.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import SourceError
from benchkit.sources.times import microseconds
from benchkit.types.drift import Rows, Source

TIMED_SHARE = 0.9  # of the rows have a time, for these to stand for all


@dataclass(slots=True)
class Selection:
    """Rows with start <= time < end, or the `last` ones of these; None of the three takes all.

    Attributes:
        read, untimed: Rows that were read so far, and those of them without a time.

    Raises:
        ValueError: `last` isn't positive.
    """

    start: datetime | None = None
    end: datetime | None = None
    last: int | None = None
    read: int = field(default=0, init=False)
    untimed: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.last is not None and self.last < 1:
            raise ValueError(f"the last {self.last} rows; at least 1 is needed")

    @property
    def is_span(self) -> bool:
        return self.start is not None or self.end is not None

    def rows(self, source: Source, *, after: Mapping[str, Any] | None = None, batch_rows: int = 8192) -> Iterator[Rows]:
        """Yield the rows of a source, in its order; of `last`, a few times as many are held in memory.

        Raises:
            SourceError: a span is asked for and the source has no times.
        """
        found = self._counted(source.read(after, batch_rows=batch_rows))
        if self.is_span:
            found = self._within(found, source.name)
        return found if self.last is None else self._newest(found, self.last)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out for want of a time, once the rows were read."""
        said = f"{self.untimed:,} of {self.read:,} rows of the source have no time"
        if self.untimed and self.is_span:
            return (f"{said} and are in no window of time",)
        if not self.untimed or self.last is None or self.untimed == self.read:
            return ()
        if self._are_timed:
            return (f"{said} and are not among the newest {self.last:,}",)
        return (f"{said}: the last {self.last:,} are the last in the order of the source, not the newest by time",)

    @property
    def _are_timed(self) -> bool:
        """Whether times tell which rows are the newest."""
        return self.read - self.untimed >= TIMED_SHARE * self.read

    def _counted(self, rows: Iterator[Rows]) -> Iterator[Rows]:
        for batch in rows:
            self.read += len(batch)
            self.untimed += len(batch) if batch.times is None else int(np.isnat(batch.times).sum())
            yield batch

    def _within(self, rows: Iterator[Rows], name: str) -> Iterator[Rows]:
        first = None if self.start is None else np.datetime64(microseconds(self.start), "us")
        stop = None if self.end is None else np.datetime64(microseconds(self.end), "us")
        for batch in rows:
            if batch.times is None:
                raise SourceError(f"{name}: a window of time needs a column of times; name it, or use --last")
            inside = ~np.isnat(batch.times)
            if first is not None:
                inside &= batch.times >= first
            if stop is not None:
                inside &= batch.times < stop
            if inside.all():
                yield batch
            elif inside.any():
                yield batch.take(inside)

    def _newest(self, rows: Iterator[Rows], last: int) -> Iterator[Rows]:
        in_order, by_time = _LastInOrder(last), _NewestByTime(last)
        for batch in rows:
            in_order.add(batch)
            if batch.times is not None:
                by_time.add(batch, batch.times)
        yield from by_time.rows() if self._are_timed else in_order.rows()


class _LastInOrder:
    """The last rows of a stream, in its order."""

    def __init__(self, last: int) -> None:
        self._last, self._count = last, 0
        self._held: deque[Rows] = deque()

    def add(self, batch: Rows) -> None:
        self._held.append(batch)
        self._count += len(batch)
        while self._count - len(self._held[0]) >= self._last:
            self._count -= len(self._held.popleft())

    def rows(self) -> Iterator[Rows]:
        if self._count > self._last:
            first = self._held[0]
            self._held[0] = first.take(slice(self._count - self._last, len(first)))
        yield from self._held


class _NewestByTime:
    """The rows of a stream with the latest times, in its order; of two at the same time the later in the stream."""

    def __init__(self, last: int) -> None:
        self._last, self._count = last, 0
        self._held: list[tuple[Rows, NDArray[np.datetime64]]] = []

    def add(self, batch: Rows, times: NDArray[np.datetime64]) -> None:
        known = ~np.isnat(times)
        if known.any():
            self._held.append((batch, times) if known.all() else (batch.take(known), times[known]))
            self._count += int(known.sum())
        # Not at every batch: the times of all that is held are sorted for it.
        if self._count > 2 * self._last:
            self._cut()

    def rows(self) -> Iterator[Rows]:
        self._cut()
        yield from (batch for batch, _ in self._held)

    def _cut(self) -> None:
        if self._count <= self._last:
            return
        order = np.argsort(np.concatenate([times for _, times in self._held]), kind="stable")
        stays = np.zeros(self._count, np.bool_)
        stays[order[-self._last :]] = True
        kept, start = [], 0
        for batch, times in self._held:
            own = stays[start : start + len(times)]
            start += len(times)
            if own.any():
                kept.append((batch, times) if own.all() else (batch.take(own), times[own]))
        self._held, self._count = kept, self._last
