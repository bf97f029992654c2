"""What historical windows of a baseline (days, say) differ by, beyond the chance of their rows.

    window of each row, rows in order of time ── PastRows ─┬─ in_run ──> which rows fit the frame: a run of each window
                                                           └─ features of held rows ── Past.between(n) ──> Between

A session is many rows that are alike. So the frame is fitted on whole runs of rows: had it half of a session, the other
half would lie nearer to it than new rows do (measured on bursts of 5 to 20 like rows: false alarms of .42 for .05 in
windows of a day). And windows shorter than a day differ by more than days do, by what runs of as many rows differ by
(measured without it: .73 for half a day). Longer windows are taken to differ as much as days.

Runs of as many rows as a window has are taken as they are, with the chance of their rows: a Sunday, or a session in a
rare cluster, is farther out than one variance for all windows makes it (measured without it: .12 for half a day of a
weekly cycle). Where there are few or shorter ones, deviations are shrunk to what is beyond chance.

Source: Künsch, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics 17 (1989):
overlapping runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.statistics import Yardstick

Doubles = NDArray[np.float64]
Single = NDArray[np.float32]
Places = NDArray[np.int64]

MIN_GROUPS = 8
MANY_RUNS = 40  # from which they stand for windows as they are
FEWEST_IN_RUN = 8  # of the rows that the null is drawn from: fewer hardly show what a run differs by
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
        share: Of the source's rows that these are.
    """

    groups: NDArray[np.generic]
    share: float = 1.0

    def windows(self) -> list[Places]:
        """Return the rows of each window, in order."""
        _, group, counts = np.unique(self.groups, return_inverse=True, return_counts=True)
        return np.split(np.argsort(group, kind="stable"), np.cumsum(counts)[:-1])

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
        windows: Rows of each window, in order of their time; `share`: of the source's rows that they are.

    Raises:
        ValueError: there are fewer than MIN_GROUPS windows of at least two rows.
    """

    yardstick: Yardstick
    features: Single
    windows: tuple[Places, ...]
    share: float

    @classmethod
    def of(cls, yardstick: Yardstick, features: Single, rows: PastRows) -> Past:
        windows = tuple(own for own in rows.windows() if len(own) >= 2)
        if len(windows) < MIN_GROUPS:
            raise ValueError(
                f"historical windows: {len(windows)}, at least {MIN_GROUPS} of two rows are needed "
                "to tell what windows differ by; leave `groups` out to take rows as independent"
            )
        return cls(yardstick, features, windows, rows.share)

    def between(self, n_rows: int) -> Between:
        """Return what windows of so many rows of the source differ by."""
        length = max(round(n_rows * self.share), FEWEST_IN_RUN)
        runs = [run for own in self.windows for run in _runs(own, length)]
        n_apart = round(sum(max(len(own) / length, 1) for own in self.windows))
        as_long = float(np.mean([len(run) for run in runs])) > 0.9 * n_rows
        chance = float(as_long and n_apart >= MANY_RUNS)
        return Between(_deviations(self.yardstick, self.features, runs, kept=chance / n_rows), n_apart, chance)


def _runs(rows: Places, length: int) -> list[Places]:
    """Return runs of so many rows that overlap as little as may be; all rows where they are fewer."""
    n_runs = max(-(-len(rows) // length), 1)
    starts = np.linspace(0, max(len(rows) - length, 0), n_runs).round().astype(np.int64)
    return [rows[start : start + length] for start in starts]


def _deviations(yardstick: Yardstick, features: Single, runs: list[Places], *, kept: float) -> Single:
    """Return what the mean features of runs differ by, beyond their rows' chance (m, F).

    Each feature's deviations are shrunk so that their variance is that between runs: total minus sampling. Clusters are
    shrunk by contrasts of their tree: a topic is many clusters, and what each differs by would drown in its chance.

    Args:
        kept: Share of the variance of a row that is left in.
    """
    counts = np.array([len(run) for run in runs])
    found = _means(features, runs, counts)
    found *= np.sqrt(len(found) / (len(found) - 1))  # they are from their own mean
    chance = float(np.mean(1 / counts)) - kept
    offsets = _shrunk(found, chance * features.var(axis=0, dtype=np.float64))
    clusters = yardstick.blocks[2]
    along = _shrunk(found[:, clusters] @ yardstick.contrasts, chance)
    offsets[:, clusters] = along @ yardstick.contrasts.T * yardstick.shares
    return offsets.astype(np.float32)


def _means(features: Single, runs: list[Places], counts: Places) -> Doubles:
    """Return the mean of each run's rows (m, F)."""
    from scipy.sparse import csr_array

    ends = np.r_[0, np.cumsum(counts)]
    shape = (len(runs), len(features))
    members = csr_array((np.ones(ends[-1], np.float32), np.concatenate(runs), ends), shape=shape)
    means: Doubles = np.asarray(members @ features, np.float64) / counts[:, None]
    return means


def _shrunk(deviations: Doubles, chance: Doubles | float) -> Doubles:
    """Return deviations (m, f) with the variance that is more than chance, of each column; zero where there is none."""
    total = np.square(deviations).mean(axis=0)
    shrunk: Doubles = deviations * np.sqrt((1 - chance / np.maximum(total, np.finfo(np.float64).tiny)).clip(min=0))
    return shrunk
