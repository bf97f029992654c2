"""What historical windows of a baseline (days, say) differ by, beyond the chance of their rows.

    window of each row, rows in order of time ── PastRows ─┬─ in_run ──> which rows fit the frame: a run of each window
                                                           └─ features of held rows ── Past.between(n) ──> Between

A session is many rows that are alike. So the frame is fitted on whole runs of rows: had it half of a session, the other
half would lie nearer to it than new rows do (measured on bursts of 5 to 20 like rows: false alarms of .42 for .05 in
windows of a day). And windows shorter than a day differ by more than days do, by what runs of as many rows differ by
(measured without it: .73 for half a day). Longer windows are held against several days in a row, a third as many as
their rows would make: a day may be a busy one, and a Sunday of many rows is no mean of five days. There have to be
MIN_GROUPS of these apart; still longer windows are taken to differ as much as the longest that there are.

Runs of about as many rows as a window has are taken as they are, with the chance of their rows: a Sunday, or a session
in a rare cluster, is farther out than one variance for all windows makes it (measured without it: .12 for half a day of
a weekly cycle, .15 for a day). Where there are few or shorter ones, deviations are shrunk to what is beyond chance.

Source: Künsch, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics 17 (1989):
overlapping runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.statistics import Yardstick

Doubles = NDArray[np.float64]
Single = NDArray[np.float32]
Places = NDArray[np.int64]

MIN_GROUPS = 8
MANY_RUNS = 20  # from which they stand for windows as they are: four weeks do
LONG = 0.6  # of a window's rows: from here on a run has about as much chance in it
BUSY = 3  # times its usual rows is what a day may have
FEWEST_IN_RUN = 8  # of the rows that the null is drawn from: fewer hardly show what a run differs by
FIRST_POOL = 4  # columns; each further pool ends with four times as many
STANDS_OUT = 2.5  # standard errors
ROUNDS = 5
SMALLEST = np.finfo(np.float64).tiny
MOST = 1e9
_GOLDEN = (5**0.5 - 1) / 2


class Between(NamedTuple):
    """What windows of some length differ by.

    Attributes:
        offsets: Deviations of historical windows (m, F).
        n_apart: How many of these there would be without overlaps.
        chance: Share of a window's own chance, 0 or 1, that is in them already.
    """

    offsets: Single
    n_apart: int
    chance: float


@dataclass(frozen=True, slots=True, eq=False)
class PastRows:
    """Where rows lie in the past.

    Attributes:
        groups: Historical window of each row (N,), rows of a window in order of their time.
        share: Of the source's rows that these are; of those that the frame isn't fitted on, where there is one.
        unframed: Share of the rows that no frame is fitted on.
    """

    groups: NDArray[np.generic]
    share: float = 1.0
    unframed: float = 1.0

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


@dataclass(frozen=True, eq=False)
class Past:
    """Historical windows of the rows that a null is drawn from.

    Attributes:
        features: Of rows minus the baseline's means (N, F).
        windows: Rows of each window, in order of their time.
        rows: Where they lie in the past.

    Raises:
        ValueError: there are fewer than MIN_GROUPS windows of at least two rows.
    """

    yardstick: Yardstick
    features: Single
    windows: tuple[Places, ...]
    rows: PastRows

    @classmethod
    def of(cls, yardstick: Yardstick, features: Single, rows: PastRows) -> Past:
        windows = tuple(own for own in rows.windows() if len(own) >= 2)
        if len(windows) < MIN_GROUPS:
            raise ValueError(
                f"historical windows: {len(windows)}, at least {MIN_GROUPS} of two rows are needed "
                "to tell what windows differ by; leave `groups` out to take rows as independent"
            )
        return cls(yardstick, features, windows, rows)

    @property
    def usual_rows(self) -> int:
        """How many rows of the source a window of the past has on the average."""
        here = float(np.mean([len(own) for own in self.windows]))
        return max(round(here / (self.rows.share * self.rows.unframed)), 1)

    def between(self, n_rows: int) -> Between:
        """Return what windows of so many rows of the source differ by."""
        runs, n_apart = self._runs(n_rows)
        is_long = float(np.mean([len(run) for run in runs])) > LONG * n_rows
        is_kept = is_long and n_apart >= MANY_RUNS
        found = _deviations(self.yardstick, self.features, runs, n_apart, kept=is_kept / n_rows)
        return Between(found, n_apart, float(is_kept))

    def _runs(self, n_rows: int) -> tuple[list[Places], int]:
        """Return runs of as many rows as a window of the source has here, and how many these are without overlaps."""
        n_joined = min(n_rows // (BUSY * self.usual_rows), len(self.windows) // MIN_GROUPS)
        if n_joined > 1:
            places = range(len(self.windows) - n_joined + 1)
            joined = [np.concatenate(self.windows[place : place + n_joined]) for place in places]
            return joined, len(self.windows) // n_joined
        length = max(round(n_rows * self.rows.share), FEWEST_IN_RUN)
        runs = [run for own in self.windows for run in _cut(own, length)]
        return runs, round(sum(max(len(own) / length, 1) for own in self.windows))


def _cut(rows: Places, length: int) -> list[Places]:
    """Return runs of so many rows that overlap as little as may be; all rows where they are fewer."""
    n_runs = max(-(-len(rows) // length), 1)
    starts = np.linspace(0, max(len(rows) - length, 0), n_runs).round().astype(np.int64)
    return [rows[start : start + length] for start in starts]


def _deviations(yardstick: Yardstick, features: Single, runs: list[Places], n_apart: int, *, kept: float) -> Single:
    """Return what the mean features of runs differ by, beyond their rows' chance (m, F).

    Each feature's deviations are shrunk so that their variance is that between runs: total minus sampling. Clusters are
    shrunk by contrasts of their tree: a topic is many clusters, and what each differs by would drown in its chance.

    Args:
        kept: Share of the variance of a row that is left in.
    """
    counts = np.array([len(run) for run in runs])
    found = _means(features, runs, counts)
    found *= np.sqrt(n_apart / (n_apart - 1))  # they are from their own mean
    chance = float(np.mean(1 / counts)) - kept
    of_row = features.var(axis=0, dtype=np.float64)
    linear, squares, clusters, novelty, norm = yardstick.blocks
    offsets = np.empty_like(found)
    for block in (linear, squares):
        offsets[:, block] = _shrunk(found[:, block], chance * of_row[block], n_apart)
    along = found[:, clusters] @ yardstick.contrasts
    along = _shrunk(along, np.full(along.shape[1], chance), n_apart)
    offsets[:, clusters] = along @ yardstick.contrasts.T * yardstick.shares
    for column in range(novelty.start, norm.stop):  # few, and unlike each other
        offsets[:, [column]] = _shrunk(found[:, [column]], chance * of_row[[column]], n_apart)
    return offsets.astype(np.float32)


def _means(features: Single, runs: list[Places], counts: Places) -> Doubles:
    """Return the mean of each run's rows (m, F)."""
    from scipy.sparse import csr_array

    ends = np.r_[0, np.cumsum(counts)]
    shape = (len(runs), len(features))
    members = csr_array((np.ones(ends[-1], np.float32), np.concatenate(runs), ends), shape=shape)
    means: Doubles = np.asarray(members @ features, np.float64) / counts[:, None]
    return means


def _shrunk(deviations: Doubles, chance: Doubles, n_apart: int) -> Doubles:
    """Return deviations (m, f) with the variance that is more than chance, of each column.

    What few runs show of one column is uncertain, and of those that have nothing more than chance half seem to have
    some. All of these together made windows look as if they differed (measured: false alarms of `mahalanobis` of .00
    for .05). So columns share what their pool has, and those that stand out in it have their own.
    """
    total = np.square(deviations).mean(axis=0)
    by_chance = np.minimum(chance / np.maximum(total, SMALLEST), MOST)
    more = 1 / np.maximum(by_chance, 1 / MOST) - 1
    beyond = np.concatenate([_pooled(more[pool], n_apart) for pool in _pools(len(more))])
    shrunk: Doubles = deviations * np.sqrt(np.where(by_chance > 0, beyond * by_chance, 1.0))
    return shrunk


def _pools(n: int) -> list[slice]:
    """Return pools of columns that come in the order of their importance: 4, 12, 48, ..."""
    ends = [0]
    while ends[-1] < n:
        ends.append(min(max(4 * ends[-1], FIRST_POOL), n))
    return [slice(low, high) for low, high in pairwise(ends)]


def _pooled(more: Doubles, n_apart: int) -> Doubles:
    """Return how much more variance than chance columns have, relative to it (f,): their own, or what most have."""
    error = np.sqrt(2 / (n_apart - 1))
    usual, is_usual = 0.0, np.ones(len(more), bool)
    for _ in range(ROUNDS):
        usual = max(float(more[is_usual].mean()), 0.0) if is_usual.any() else 0.0
        is_usual = more <= usual + STANDS_OUT * error * (1 + usual)
    pooled: Doubles = np.where(is_usual, usual, more)
    return pooled
