"""A stream of rows, cut into windows of a number of rows or of a span of time.

    Rows ── WindowCutter ──> Cut (number, rows, is_closed) ... ── state: what to store beside the sketches

A window isn't gathered: its rows come in pieces as they are read, so that memory stays that of a batch. After the
pieces of a batch, the cutter's `state` and the batch's `Rows.end` belong together: stored in one transaction with the
windows' sums, a stream goes on after a crash with nothing counted twice or lost.

Windows of time are numbered from 1970 (window k of 15 minutes begins at k · 15 minutes; of 7 days on a Thursday), so
machines agree about them. Rows may come out of order: a window is closed when a row is `lateness` newer than its end,
or when the clock is, for whoever asks with `close_due`. A row of a closed window, or of a time before 1970, is late:
it's counted, not given. So are rows without a time, and rows more than an hour in the future, which are a wrong clock
and would close every window at once.

A clock that ran ahead and was put right has closed windows that are yet to come. Their rows would be late until then,
for a year perhaps; so with the first rows of now what it closed is open again, and spans that it told as empty may be
told once more.

Once a stream has begun, a span without rows is closed too: a source that falls silent is news. The clock tells of spans
that someone was there to see end, since the stream was first followed; of older ones only a later row does, which
shows that they are a gap and not the end of what was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import SourceError
from benchkit.sources.times import microseconds
from benchkit.types.drift import Rows

DEFAULT_LATENESS = timedelta(minutes=1)
# Clocks of machines that are looked after differ by seconds.
MAX_AHEAD = timedelta(hours=1)
MOST_EMPTY = 1000  # windows without rows that are closed in a row; a gap of years would be nothing but these
_US = timedelta(microseconds=1)
_FOREVER = timedelta(days=365 * 1000)


@dataclass(frozen=True, slots=True)
class CutState:
    """What a cutter knows, as plain numbers.

    Attributes:
        number: Of the window in hand (rows) or of the first that isn't closed (time; 0 before one was closed).
        filled: Rows in the window in hand; of windows of rows only.
        open: Numbers of windows of time that have rows and aren't closed.
        newest: The newest time of a row, microseconds since 1970; None before one.
        late, untimed, ahead: Rows that were left out: of a closed window, without a time, from the future.
        since: When windows of time were first asked for, microseconds since 1970; None of an older state.
    """

    number: int = 0
    filled: int = 0
    open: tuple[int, ...] = ()
    newest: int | None = None
    late: int = 0
    untimed: int = 0
    ahead: int = 0
    since: int | None = None

    @property
    def left_out(self) -> int:
        return self.late + self.untimed + self.ahead

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"open": list(self.open)}

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> CutState:
        """Return the state that `to_json` gave.

        Raises:
            SourceError: something is missing.
        """
        try:
            known = {each.name: found[each.name] for each in fields(CutState) if each.name != "since"}
            return CutState(since=found.get("since"), **known | {"open": tuple(known["open"])})
        except (KeyError, TypeError) as exc:
            raise SourceError(f"the stored state of the windows is damaged ({exc})") from exc


@dataclass(frozen=True, slots=True)
class Cut:
    """A piece of a window.

    Attributes:
        number: Of the window.
        rows: That belong to it, perhaps none where it's only closed.
        is_closed: No more rows of it will come.
        start, end: Of its span [start, end) in UTC; None for a window of rows.
        is_whole: Closed with all its rows; False for the rest at a stream's end.
        is_last_empty: The last of 1,000 windows without rows; more of them aren't given.
    """

    number: int
    rows: Rows | None
    is_closed: bool
    start: datetime | None = None
    end: datetime | None = None
    is_whole: bool = True
    is_last_empty: bool = False


@dataclass(slots=True)
class WindowCutter:
    """Cuts batches of rows into windows; give `size` or `every`.

    Attributes:
        size: Rows of a window.
        every: Span of a window.
        lateness: How long after its end a window waits for rows.
        clock: The time now.

    Raises:
        ValueError: both or neither is given, or one isn't positive.
    """

    size: int | None = None
    every: timedelta | None = None
    lateness: timedelta = DEFAULT_LATENESS
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    state: CutState = field(default_factory=CutState)

    def __post_init__(self) -> None:
        if (self.size is None) == (self.every is None):
            raise ValueError("give the size of a window in rows, or its span, and not both")
        if (self.size is not None and self.size < 1) or (self.every is not None and self.every <= timedelta(0)):
            raise ValueError(f"a window must have rows or a span, got {self.size or self.every}")
        if self.every is not None and self.state.since is None:
            self.state = replace(self.state, since=microseconds(self.clock()))

    def cut(self, rows: Rows) -> list[Cut]:
        """Return the pieces of a batch, in the order in which windows close.

        Raises:
            SourceError: a window of time, and the rows have no times.
        """
        return self._by_count(rows) if self.size is not None else self._by_time(rows)

    def _put_right(self, now: int) -> None:
        """Open again what a clock closed that was ahead: rows of now show that it was, and not that this one is behind.

        Rows may be ahead themselves, and a renewal begins behind the last window that had some.
        """
        ahead, state = now + MAX_AHEAD // _US, self.state
        newest = state.newest or 0
        if state.number <= self._number_of(ahead) + 1 and newest <= ahead:
            return
        newest = now if newest > ahead else newest
        since = None if state.since is None else min(state.since, now)
        self.state = replace(state, number=self._limit(newest), newest=newest, since=since)

    def close_due(self) -> list[Cut]:
        """Close the windows of time that the clock says are over; for a source that was read to its end."""
        if self.every is None or self.state.newest is None or self.state.since is None:
            return []
        limit = self._limit(microseconds(self.clock()))
        return self._close_before(limit, self._number_of(self.state.newest), watched=self._number_of(self.state.since))

    def close_all(self) -> list[Cut]:
        """Close what is open: the stream has ended."""
        if self.size is not None:
            cuts = [Cut(self.state.number, None, is_closed=True, is_whole=False)] if self.state.filled else []
            self.state = replace(self.state, number=self.state.number + len(cuts), filled=0)
            return cuts
        cuts = [self._timed(number, None, is_closed=True) for number in self.state.open]
        after = max((self.state.number, *(number + 1 for number in self.state.open)))
        self.state = replace(self.state, number=after, open=())
        return cuts

    def _by_count(self, rows: Rows) -> list[Cut]:
        assert self.size is not None
        cuts, start, state = [], 0, self.state
        while start < len(rows):
            stop = min(len(rows), start + self.size - state.filled)
            filled = state.filled + stop - start
            is_closed = filled == self.size
            cuts.append(Cut(state.number, _part(rows, start, stop), is_closed=is_closed))
            state = replace(state, number=state.number + is_closed, filled=0 if is_closed else filled)
            start = stop
        self.state = state
        return cuts

    def _by_time(self, rows: Rows) -> list[Cut]:
        assert self.every is not None
        if rows.times is None:
            raise SourceError("windows of time need a column of times, and there is none; cut by rows instead")
        times = rows.times.view(np.int64)
        has_time, now = ~np.isnat(rows.times), microseconds(self.clock())
        is_ahead = has_time & (times > now + MAX_AHEAD // _US)
        fits = has_time & ~is_ahead
        if fits.any() and not is_ahead.any():
            self._put_right(now)
        numbers = times // (self.every // _US)
        is_late = fits & (numbers < self._closed_before_each(times, fits))
        taken = fits & ~is_late
        present = [int(number) for number in np.unique(numbers[taken])]
        before = self.state.newest
        cuts = [self._timed(number, rows.take(taken & (numbers == number)), is_closed=False) for number in present]
        self.state = replace(
            self.state,
            open=tuple(sorted({*self.state.open, *present})),
            newest=int(max(self.state.newest or 0, times[taken].max())) if taken.any() else self.state.newest,
            late=self.state.late + int(is_late.sum()),
            untimed=self.state.untimed + int((~has_time).sum()),
            ahead=self.state.ahead + int(is_ahead.sum()),
        )
        if self.state.newest is None:
            return cuts
        return cuts + self._close_before(
            self._limit(self.state.newest), self._number_of(self.state.newest if before is None else before)
        )

    def _closed_before_each(self, times: NDArray[np.int64], fits: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return, for each row, which windows the rows before it have closed: the same however a stream is batched."""
        newest = np.maximum.accumulate(np.where(fits, times, 0))
        before = np.concatenate([[self.state.newest or 0], newest[:-1]])
        limit: NDArray[np.int64] = self._limit(np.maximum(before, self.state.newest or 0))
        return np.maximum(limit, self.state.number)

    def _limit(self, newest: Any) -> Any:
        """Return the first window that stays open when the newest row is of that time; for numbers and arrays."""
        assert self.every is not None
        return (newest - self.lateness // _US) // (self.every // _US)

    def _number_of(self, time: int) -> int:
        assert self.every is not None
        return time // (self.every // _US)

    def _close_before(self, first: int, seen: int, *, watched: int = 0) -> list[Cut]:
        """Close the windows before a number that have rows or follow one that had, the oldest first.

        Args:
            seen: The last window that had rows before those in hand.
            watched: The first window without rows that may be told of after the newest row.
        """
        due = [number for number in self.state.open if number < first]
        if not due and not self.state.number:
            return []
        start = self.state.number or due[0]
        last, cuts = min(seen, start - 1), []
        for number in due:
            cuts += [*self._empty(start, number, last), self._timed(number, None, is_closed=True)]
            start, last = number + 1, number
        cuts += self._empty(max(start, watched), first, last)
        still = tuple(number for number in self.state.open if number >= first)
        self.state = replace(self.state, number=max(self.state.number, first), open=still)
        return cuts

    def _empty(self, start: int, stop: int, last: int) -> list[Cut]:
        """Close windows without rows; `last` is the one that had some."""
        end = last + MOST_EMPTY
        numbers = range(start, min(stop, end + 1))
        return [replace(self._timed(number, None, is_closed=True), is_last_empty=number == end) for number in numbers]

    def _timed(self, number: int, rows: Rows | None, *, is_closed: bool) -> Cut:
        assert self.every is not None
        start = datetime(1970, 1, 1, tzinfo=UTC) + number * self.every
        return Cut(number, rows, is_closed=is_closed, start=start, end=start + self.every)


def windows(
    rows: Iterable[Rows],
    *,
    size: int | None = None,
    every: timedelta | None = None,
    cutter: WindowCutter | None = None,
) -> Iterator[Cut]:
    """Yield the pieces of all windows of a stream that has an end, and close them there.

    Args:
        cutter: Instead of a size or span; its state counts the rows that were left out. Otherwise each window of time
            stays open to the end, so that no row is late.

    Raises:
        SourceError: windows of time of rows without times.
    """
    cutter = cutter or WindowCutter(size=size, every=every, lateness=_FOREVER)
    for batch in rows:
        yield from cutter.cut(batch)
    yield from cutter.close_all()


def _part(rows: Rows, start: int, stop: int) -> Rows:
    return rows if (start, stop) == (0, len(rows)) else rows.take(slice(start, stop))
