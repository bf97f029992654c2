"""A uniform sample of a source's rows, and what is counted of every one of them.

Rows, batch by batch ── add ──> RowSample: health, scores, volume, model of all · rows() of the sample

Each row has a random key, and the smallest keys stay. At most twice the sample is held at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.health import Health, good_rows, measure_health
from benchkit.errors import SourceError
from benchkit.monitor.volume import Volume
from benchkit.sources.words import shown
from benchkit.types.drift import Rows

T = TypeVar("T")
# Where one row in a thousand at either end stretches the time of all of them to the double, their times are wrong.
_ROWS_PER_WRONG_CLOCK, _STRETCHED = 1000, 2


class RowSample:
    """A uniform sample of all rows seen, and what is counted of every one."""

    def __init__(self, most: int, seed: int) -> None:
        self._most = most
        self._rng = np.random.default_rng(seed)
        self._keys = np.empty(0)
        self._kept: list[Rows] = []
        self._scores: list[NDArray[np.float64]] = []
        self.health: Health | None = None
        self._has_times = False
        self._timed, self._first, self._last = Volume(), 0, 0  # rows with a time; the ends of these in microseconds
        self.model = ""
        self.fingerprint = ""

    def add(self, rows: Rows, source: str) -> None:
        """Count some rows and keep what the sample needs of them."""
        self._know_model(rows, source)
        health = measure_health(rows.vectors)
        if self.health is not None and self.health.dimension != health.dimension:
            raise SourceError(
                f"{source}: its rows have {self.health.dimension} dimensions and {health.dimension}; a baseline is of "
                "one model: name the files of one"
            )
        self.health = health if self.health is None else self.health + health
        if rows.scores is not None:
            self._scores.append(rows.scores[np.isfinite(rows.scores)])
        if rows.times is not None:
            self._has_times = True
            times = rows.times[~np.isnat(rows.times)].astype("datetime64[us]").astype(np.int64)
            self._time(times, rows.sampling)
        self._keep(rows.take(good_rows(rows.vectors)))

    def _time(self, times: NDArray[np.int64], sampling: float) -> None:
        if len(times):
            first, last = int(times.min()), int(times.max())
            is_first = not self._timed.rows
            self._first = first if is_first else min(self._first, first)
            self._last = last if is_first else max(self._last, last)
            self._timed = self._timed.plus(len(times), sampling)

    @property
    def untimed(self) -> int:
        """Rows without a time, of all that were seen; 0 where no row could have one, for want of a column."""
        return self.health.rows - self._timed.rows if self._has_times and self.health is not None else 0

    @property
    def rows_per_s(self) -> float | None:
        """Usual volume of what was embedded, kept or not; None where fewer than two moments are known."""
        span = self._span()
        return self._timed.embedded * 1e6 / span if span else None

    @property
    def span_s(self) -> float | None:
        """Over how many seconds the rows were spread; None where fewer than two moments are known."""
        return self._span() / 1e6 or None

    def _span(self) -> int:
        """Return over how many microseconds the rows were spread; a few wrong clocks are left out.

        One row of 1970 in a week's would make its volume a three-thousandth.
        """
        whole = self._last - self._first
        known = [part.times[~np.isnat(part.times)] for part in self._kept if part.times is not None]
        times = np.sort(np.concatenate(known).astype("datetime64[us]").astype(np.int64)) if known else np.zeros(0, int)
        cut = -(-len(times) // _ROWS_PER_WRONG_CLOCK)
        inner = int(times[-1 - cut] - times[cut]) if len(times) > 2 * cut else 0
        return inner if 0 < _STRETCHED * inner < whole else whole

    def _know_model(self, rows: Rows, source: str) -> None:
        if self._is_other_model(rows):
            raise SourceError(
                f"{source}: its files are of two models ({shown(self.model)}, {shown(rows.model)}); a baseline is of "
                "one: name the files of one model"
            )
        self.model, self.fingerprint = rows.model or self.model, rows.fingerprint or self.fingerprint

    def _is_other_model(self, rows: Rows) -> bool:
        if rows.fingerprint and self.fingerprint:
            return rows.fingerprint != self.fingerprint
        return bool(rows.model and self.model) and rows.model != self.model

    def _keep(self, rows: Rows) -> None:
        keys = self._rng.random(len(rows))
        if len(self._keys) >= self._most:
            limit = np.partition(self._keys, self._most - 1)[self._most - 1]
            wanted = keys < limit
            keys, rows = keys[wanted], rows.take(wanted)
        if not len(rows):
            return
        self._keys = np.concatenate([self._keys, keys])
        self._kept.append(rows)
        # Not at every batch: twice the sample is held before the larger half is thrown away.
        if len(self._keys) > 2 * self._most:
            self._cut()

    def _cut(self) -> None:
        whole = joined(self._kept)
        smallest = np.sort(np.argsort(self._keys, kind="stable")[: self._most])
        self._keys, self._kept = self._keys[smallest], [whole.take(smallest)]

    def rows(self) -> Rows:
        """Return the sample, in the order of the source."""
        if len(self._keys) > self._most:
            self._cut()
        return joined(self._kept)

    def scores(self) -> NDArray[np.float64]:
        return np.concatenate(self._scores) if self._scores else np.empty(0)


def joined(parts: Sequence[Rows]) -> Rows:
    """Return rows one after the other; where a part lacks a column of others, its rows have no value there."""
    if len(parts) == 1:
        return parts[0]
    return Rows(
        vectors=np.concatenate([part.vectors for part in parts]),
        times=_arrays([part.times for part in parts], parts, np.datetime64("NaT", "us")),
        ids=_entries([part.ids for part in parts], parts, ""),
        texts=_entries([part.texts for part in parts], parts, None),
        segments=_entries([part.segments for part in parts], parts, None),
        roles=_entries([part.roles for part in parts], parts, None),
        scores=_arrays([part.scores for part in parts], parts, np.nan),
    )


def _arrays(columns: Sequence[Any], parts: Sequence[Rows], absent: Any) -> Any:
    """Return arrays one after the other; None where no part has one."""
    if all(column is None for column in columns):
        return None
    whole = zip(columns, parts, strict=True)
    return np.concatenate([np.full(len(part), absent) if column is None else column for column, part in whole])


def _entries(columns: Sequence[tuple[T, ...] | None], parts: Sequence[Rows], absent: T) -> tuple[T, ...] | None:
    """Return tuples one after the other; None where no part has one."""
    if all(column is None for column in columns):
        return None
    whole = zip(columns, parts, strict=True)
    return tuple(value for column, part in whole for value in ((absent,) * len(part) if column is None else column))
