"""What historical windows of a baseline (days, say) differ by, beyond the chance of their rows.

    window of each row, rows in order of time ── PastRows ─┬─ in_run ──> which rows fit the frame: a run of each window
                                                           └─ features of held rows ── Past ─┬─ between(n) ──> Between
             a window of n rows that came in k days ── is like one day of n / k rows <──────┴─ dependence

A session is many rows that are alike. So the frame is fitted on whole runs of rows: had it half of a session, the other
half would lie nearer to it than new rows do (measured on bursts of 5 to 20 like rows: false alarms of .42 for .05 in
windows of a day). And windows shorter than a day differ by more than days do, by what runs of as many rows differ by
(measured without it: .73 for half a day).

A window of k days is their mean. Days that differ by themselves make its mean vary k times less, and so do the rows'
own chance and sessions: but for the square root of k it is like one day of n / k rows. Where neighbouring days are
alike, it is like fewer days: `dependence` says how many times fewer, from days in a row of the past, eight such spans
at least. A busy day counts as one with as many rows as usual: what days differ by is known beside the chance of that
many rows, and deviations shrunk for more tell it badly (measured without it, at four times the rows: .15 for .05).

Runs of about as many rows as a window has are taken as they are, with the chance of their rows: a Sunday, or a session
in a rare cluster, is farther out than one variance for all windows makes it (measured without it: .12 for half a day of
a weekly cycle, .15 for a day). Where there are few or shorter ones, deviations are shrunk to what is beyond chance.

Source: Künsch, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics 17 (1989):
overlapping runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.pools import columns_of, deviations_of, directions, pools_of, row_variances
from benchkit.drift.season import Cycle, find_cycle
from benchkit.drift.statistics import Yardstick

Doubles = NDArray[np.float64]
Single = NDArray[np.float32]
Places = NDArray[np.int64]

MIN_GROUPS = 8
MANY_RUNS = 20  # from which they stand for windows as they are: four weeks do
LONG = 0.6  # of a window's rows: from here on a run has about as much chance in it
FEWEST_USUAL = 30  # rows: what is tested at all
BUSY = 3  # times its usual rows is what a unit may have
FEWEST_IN_RUN = 8  # of the rows that the null is drawn from: fewer hardly show what a run differs by
STANDS_OUT = 2.5  # standard errors
SURE = 3.0  # standard errors
ROUNDS = 5
SMALLEST = np.finfo(np.float64).tiny
MOST = 1e9
_GOLDEN = (5**0.5 - 1) / 2


class Between(NamedTuple):
    """What windows of some length differ by.

    Attributes:
        offsets: Deviations of historical windows (m, F).
        units: Which unit of the past each is of (m,).
        n_apart: How many of these there would be without overlaps.
        chance: Share of a window's own chance, 0 or 1, that is in them already.
    """

    offsets: Single
    units: Places
    n_apart: int
    chance: float


@dataclass(frozen=True, slots=True, eq=False)
class PastRows:
    """Where rows lie in the past.

    Attributes:
        groups: Historical window of each row (N,), rows of a window in order of their time.
        share: Of the source's rows that these are; of those that the frame isn't fitted on, where there is one.
        unframed: Share of the rows that no frame is fitted on.
        period: Windows after which the source may repeat itself, 7 for days: `groups` are their numbers; 0 for none.
    """

    groups: NDArray[np.generic]
    share: float = 1.0
    unframed: float = 1.0
    period: int = 0

    def windows(self) -> list[Places]:
        """Return the rows of each window, in order, the earliest window first."""
        _, group, counts = np.unique(self.groups, return_inverse=True, return_counts=True)
        windows = np.split(np.argsort(group, kind="stable"), np.cumsum(counts)[:-1])
        return sorted(windows, key=lambda rows: int(rows[0]))

    def in_run(self, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Tell which rows are in a run of that share of their window (N,); runs begin all over a window."""
        chosen = np.zeros(len(self.groups), bool)
        start = rng.random()
        for rows in self.windows():
            start = (start + _GOLDEN) % 1
            chosen[rows] = (np.arange(len(rows)) / len(rows) - start) % 1 < share
        return chosen


class Alike(NamedTuple):
    """What a window is like.

    Attributes:
        rows: Of a window of one unit, at which sizes are looked up.
        counted: As of how many rows its own deviation counts: of all of them, but for a busy unit.
    """

    rows: float
    counted: float


@dataclass(frozen=True, slots=True, eq=False)
class Pace:
    """How windows of several units of the past (days, say) compare with one of them.

    Attributes:
        usual_rows: Of the source's, in the unit that a row is in on the average.
        dependence: Of k = 1, 2, ... units in a row (K,): how many times more their mean varies than if each were by
            itself; 1 for days that have nothing to do with each other.
    """

    usual_rows: int
    dependence: Doubles

    def alike(self, n_rows: int, n_units: float | None) -> Alike:
        """Return the window of one unit that a window of so many rows is like.

        Args:
            n_units: That its rows came in (`TimeCounts.effective`). None where they have no times: a third as many as
                its rows would make, since a unit may be a busy one.
        """
        units = max(n_rows // (BUSY * self.usual_rows) if n_units is None else n_units, 1.0)
        spans = np.arange(1.0, len(self.dependence) + 1)
        apart = max(units / float(np.interp(units, spans, self.dependence)), 1.0)
        rows = min(n_rows / apart, float(max(self.usual_rows, FEWEST_USUAL)))
        return Alike(rows, rows * apart)


@dataclass(frozen=True, eq=False)
class Past:
    """Historical windows of the rows that a null is drawn from.

    Attributes:
        features: Of rows minus the baseline's means (N, F).
        windows: Rows of each window, in order of their time.
        rows: Where they lie in the past.
        cycle: What each of them was expected to differ by, which is taken off; None for nothing.

    Raises:
        ValueError: there are fewer than MIN_GROUPS windows of at least two rows, or windows without numbers have a
            period.
    """

    yardstick: Yardstick
    features: Single
    windows: tuple[Places, ...]
    rows: PastRows
    cycle: Cycle | None = None

    @classmethod
    def of(cls, yardstick: Yardstick, features: Single, rows: PastRows) -> Past:
        windows = tuple(own for own in rows.windows() if len(own) >= 2)
        if len(windows) < MIN_GROUPS:
            raise ValueError(
                f"historical windows: {len(windows)}, at least {MIN_GROUPS} of two rows are needed "
                "to tell what windows differ by; leave `groups` out to take rows as independent"
            )
        if rows.period and not np.issubdtype(rows.groups.dtype, np.integer):
            raise ValueError(f"a period of {rows.period} windows needs numbered ones, got {rows.groups.dtype} groups")
        return cls(yardstick, features, windows, rows)

    def seasonal(self) -> Past | None:
        """Return the past less what its weekdays (or hours) foretell; None where they foretell nothing."""
        if not self.rows.period:
            return None
        counts = np.array([len(own) for own in self.windows])
        phases = np.array([int(self.rows.groups[own[0]]) for own in self.windows]) % self.rows.period
        means = _means(self.features, self.windows, counts)
        cycle = find_cycle(self.yardstick, means, counts, phases, self.rows.period)
        return None if cycle is None else replace(self, cycle=cycle)

    @property
    def usual_rows(self) -> int:
        """How many rows of the source are in the window of the past that a row is in, on the average."""
        counts = np.array([len(own) for own in self.windows], np.float64)
        here = float(np.square(counts).sum() / counts.sum())
        return max(round(here / (self.rows.share * self.rows.unframed)), 1)

    def pace(self) -> Pace:
        """Return how windows of several units compare with one; spans longer than an eighth of the past as that."""
        counts = np.array([len(own) for own in self.windows])
        windows = self._off(self.windows, counts, np.arange(len(counts)))
        return Pace(self.usual_rows, _dependence(self.yardstick, windows, counts))

    def between(self, n_rows: int) -> Between:
        """Return what windows of so many rows of the source, of one unit each, differ by."""
        length = max(round(n_rows * self.rows.share), FEWEST_IN_RUN)
        cut = [_cut(own, length) for own in self.windows]
        runs = [run for own in cut for run in own]
        counts, unit = np.array([len(run) for run in runs]), np.repeat(np.arange(len(cut)), [len(own) for own in cut])
        n_apart = round(sum(max(len(own) / length, 1) for own in self.windows))
        is_kept = float(np.mean(counts)) > LONG * n_rows and n_apart >= MANY_RUNS
        found = self._off(runs, counts, unit)
        offsets = _beyond_chance(self.yardstick, self.features, found, counts, n_apart, kept=is_kept / n_rows)
        return Between(offsets, unit, n_apart, float(is_kept))

    def _off(self, runs: Sequence[Places], counts: Places, unit: Places) -> Doubles:
        """Return what the means of runs of rows differ by from what was expected of their unit (m, F)."""
        found = _means(self.features, runs, counts)
        return found if self.cycle is None else found - self.cycle.foretold[unit]


def _cut(rows: Places, length: int) -> list[Places]:
    """Return runs of so many rows that overlap as little as may be; all rows where they are fewer."""
    n_runs = max(-(-len(rows) // length), 1)
    starts = np.linspace(0, max(len(rows) - length, 0), n_runs).round().astype(np.int64)
    return [rows[start : start + length] for start in starts]


def _dependence(yardstick: Yardstick, windows: Doubles, counts: Places) -> Doubles:
    """Return how many times more the mean of k units in a row varies than if they were independent (K,), K >= 1.

    Columns share what their pool shows, and the pool counts that surely shows most: one part of what is embedded may
    wander from week to week where others do not.
    """
    columns = columns_of(yardstick, windows)
    scaled = columns / np.sqrt(np.square(columns).mean(axis=0).clip(min=SMALLEST))
    pools = [pool for pool in pools_of(yardstick) if pool.stop - pool.start > 1]
    in_directions = [directions(scaled[:, pool]) for pool in pools]
    found = [1.0]
    for k in range(2, len(windows) // MIN_GROUPS + 1):
        times = _times_as_independent(columns, counts, k)
        apart = len(windows) // k
        ratios = [
            (float(times[pool].mean()), np.sqrt(2 / (apart * n))) for pool, n in zip(pools, in_directions, strict=True)
        ]
        found.append(max((ratio for ratio, error in ratios if ratio > 1 + SURE * error), default=1.0))
    dependence: Doubles = np.maximum.accumulate(found)
    return dependence


def _times_as_independent(columns: Doubles, counts: Places, k: int) -> Doubles:
    """Return the variance of the mean of k windows in a row, over that of as many independent ones (f,)."""
    spans = np.lib.stride_tricks.sliding_window_view(np.arange(len(columns)), k)
    shares = counts[spans] / counts[spans].sum(axis=1, keepdims=True)
    means = np.einsum("sk,skf->sf", shares, columns[spans])
    expected = np.einsum("sk,skf->f", np.square(shares), np.square(columns[spans]))
    times: Doubles = np.square(means).sum(axis=0) / expected.clip(min=SMALLEST)
    return times


def _beyond_chance(
    yardstick: Yardstick, features: Single, found: Doubles, counts: Places, n_apart: int, *, kept: float
) -> Single:
    """Return what runs differ by (m, F), shrunk so that its variance is that between runs: total minus sampling.

    Args:
        features: Of rows (N, F).
        found: What the runs' means differ by.
        counts: Rows of each run.
        kept: Share of the variance of a row that is left in.
    """
    from_mean = np.sqrt(n_apart / (n_apart - 1))  # they are from their own mean
    chance = (float(np.mean(1 / counts)) - kept) * row_variances(yardstick, features.var(axis=0, dtype=np.float64))
    columns = _shrunk(columns_of(yardstick, from_mean * found), chance, n_apart, pools_of(yardstick))
    return deviations_of(yardstick, columns).astype(np.float32)


def _means(features: Single, runs: Sequence[Places], counts: Places) -> Doubles:
    """Return the mean of each run's rows (m, F)."""
    from scipy.sparse import csr_array

    ends = np.r_[0, np.cumsum(counts)]
    shape = (len(runs), len(features))
    members = csr_array((np.ones(ends[-1], np.float32), np.concatenate(runs), ends), shape=shape)
    means: Doubles = np.asarray(members @ features, np.float64) / counts[:, None]
    return means


def _shrunk(deviations: Doubles, chance: Doubles, n_apart: int, pools: Sequence[slice]) -> Doubles:
    """Return deviations (m, f) with the variance that is more than chance, of each column.

    What few runs show of one column is uncertain, and of those that have nothing more than chance half seem to have
    some. All of these together made windows look as if they differed (measured: false alarms of `mahalanobis` of .00
    for .05). So columns share what their pool has, and those that stand out in it have their own.
    """
    total = np.square(deviations).mean(axis=0)
    by_chance = np.minimum(chance / np.maximum(total, SMALLEST), MOST)
    more = 1 / np.maximum(by_chance, 1 / MOST) - 1
    beyond = np.empty_like(more)
    for pool in pools:
        beyond[pool] = _pooled(more[pool], n_apart)
    shrunk: Doubles = deviations * np.sqrt(np.where(by_chance > 0, beyond * by_chance, 1.0))
    return shrunk


def _pooled(more: Doubles, n_apart: int) -> Doubles:
    """Return how much more variance than chance columns have, relative to it (f,): their own, or what most have."""
    error = np.sqrt(2 / (n_apart - 1))
    usual, is_usual = 0.0, np.ones(len(more), bool)
    for _ in range(ROUNDS):
        usual = max(float(more[is_usual].mean()), 0.0) if is_usual.any() else 0.0
        is_usual = more <= usual + STANDS_OUT * error * (1 + usual)
    pooled: Doubles = np.where(is_usual, usual, more)
    return pooled
