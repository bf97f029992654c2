"""How often windows of a stream with times alarm where nothing changed, and where something did.

    28 days of 200 rows ── fit, days as the past ──────────────┐
    parts of days, days and weeks of the same kind, with times ┴── judge ──> share of p <= 5 %

    python benchmarks/drift_history.py [--days 28] [--rows 200] [--baselines 40] [--streams weekly] [--without-times]

Rows are of 60 topics in 128 dimensions, made for the purpose: by themselves ("independent"), in sessions of 5 to 20
like rows, with Saturdays and Sundays of their own topics ("weekly"), both, or with topics that vary from day to day.
"new" windows have that share of rows of a domain that the past lacks.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.judge import judge
from benchkit.drift.reference import Reference, fit
from benchkit.drift.sketch import sketch
from benchkit.drift.time_counts import TimeCounts

Vectors = NDArray[np.float32]
Rng = np.random.Generator
TOPICS, DIMENSION, RANK = 60, 128, 64
SATURDAY, WEEK = 5, 7


def unit(rows: NDArray[np.floating]) -> Vectors:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Topics:
    """Topics of unequal size and width; directions of unequal variance."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        scales = np.arange(1, RANK + 1.0) ** -0.5
        self.axes = np.linalg.qr(rng.normal(size=(DIMENSION, RANK)))[0].T * (scales / np.linalg.norm(scales))[:, None]
        self.centres = rng.normal(size=(TOPICS, RANK)) @ self.axes
        self.shares = rng.dirichlet(np.ones(TOPICS))
        self.widths = 0.6 * rng.uniform(0.5, 1.5, size=TOPICS)
        self.noise = 0.3 * rng.uniform(0.3, 1.7, size=DIMENSION) / np.sqrt(DIMENSION)
        working = rng.lognormal(0, 0.6, size=TOPICS)
        self.of_weekday = np.array([working] * 5 + [rng.lognormal(0, 0.6, size=TOPICS) for _ in range(2)])
        self.new = unit(rng.normal(size=(1, DIMENSION)))

    def rows(self, rng: Rng, n: int, weights: NDArray[np.float64] | None = None) -> Vectors:
        shares = self.shares if weights is None else self.shares * weights
        topic = rng.choice(TOPICS, size=n, p=shares / shares.sum())
        inside = self.widths[topic, None] * rng.standard_normal((n, RANK)) @ self.axes
        return unit(self.centres[topic] + inside + rng.standard_normal((n, DIMENSION)) * self.noise)

    def with_new(self, rng: Rng, rows: Vectors, share: float) -> Vectors:
        is_new = rng.random(len(rows)) < share
        return np.where(is_new[:, None], unit(0.9 * self.new + 0.45 * rows), rows)


@dataclass(frozen=True)
class Stream:
    """What a day of the stream is like.

    Attributes:
        sessions: Rows come as 5 to 20 that are nearly the same.
        weekly: Saturdays and Sundays have their own topics.
        varies: How much topics differ from one day to the next: the spread of the logarithm of their weights.
    """

    topics: Topics
    sessions: bool = False
    weekly: bool = False
    varies: float = 0.0

    def day(self, rng: Rng, day: int, n: int) -> Vectors:
        usual = self.topics.of_weekday[day % 7] if self.weekly else np.ones(TOPICS)
        weights = usual * np.exp(self.varies * rng.normal(size=TOPICS))
        if not self.sessions:
            return self.topics.rows(rng, n, weights)
        lengths = rng.integers(5, 21, size=n // 5 + 1)
        first = self.topics.rows(rng, len(lengths), weights)
        rows = np.repeat(first, lengths, axis=0)[:n]
        return unit(rows + 0.02 * rng.standard_normal(rows.shape))


def streams(topics: Topics) -> dict[str, Stream]:
    return {
        "independent": Stream(topics),
        "sessions": Stream(topics, sessions=True),
        "weekly": Stream(topics, weekly=True, varies=0.15),
        "weekly sessions": Stream(topics, sessions=True, weekly=True, varies=0.15),
        "days vary": Stream(topics, varies=0.3),
    }


class Kind(NamedTuple):
    """A kind of window: how many a baseline is held against, the days it covers from which weekday on, rows a day."""

    count: int
    days: int
    rows: int
    start: int | None = None
    new: float = 0.0

    def draw(self, stream: Stream, rng: Rng) -> tuple[Vectors, TimeCounts]:
        first = int(rng.integers(WEEK)) if self.start is None else self.start
        found = np.vstack([stream.day(rng, first + place, self.rows) for place in range(self.days)])
        times = TimeCounts({first + place: self.rows for place in range(self.days)})
        return stream.topics.with_new(rng, found, self.new), times


def kinds(n: int) -> dict[str, Kind]:
    return {
        "1/4 day": Kind(12, 1, n // 4),
        "1/2 day": Kind(12, 1, n // 2),
        "day": Kind(14, 1, n),
        "day, 4 times busy": Kind(6, 1, 4 * n),
        "Saturday": Kind(4, 1, n, start=SATURDAY),
        "3 days": Kind(8, 3, n),
        "week": Kind(8, 7, n),
        "week, a tenth": Kind(8, 7, n // 10),
        "day, 10 % new": Kind(3, 1, n, new=0.10),
        "week, 3 % new": Kind(3, 7, n, new=0.03),
    }


def share_of_alarms(reference: Reference, kind: Kind, stream: Stream, rng: Rng, *, with_times: bool) -> float:
    found = []
    for _ in range(kind.count):
        rows, times = kind.draw(stream, rng)
        found.append(judge(reference, sketch(reference, rows), times=times if with_times else None).p_value <= 0.05)
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument("--rows", type=int, default=200, help="a day (default 200; 120 at least)")
    parser.add_argument("--baselines", type=int, default=40)
    parser.add_argument("--streams", nargs="+", choices=[*streams(Topics())], help="these alone, by name")
    parser.add_argument("--without-times", action="store_true", help="nobody knows when a window's rows came")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started, named = time.process_time(), streams(Topics())
    found: dict[str, dict[str, list[float]]] = {}
    for number, (name, stream) in enumerate(named.items()):
        if given.streams and name not in given.streams:
            continue
        rng = np.random.default_rng([given.seed, number])
        for _ in range(given.baselines):
            rows = np.vstack([stream.day(rng, day, given.rows) for day in range(given.days)])
            past = np.repeat(np.arange(given.days), given.rows)
            reference = fit(rows, groups=past, period=WEEK, seed=int(rng.integers(2**31)))
            for named_kind, kind in kinds(given.rows).items():
                share = share_of_alarms(reference, kind, stream, rng, with_times=not given.without_times)
                found.setdefault(named_kind, {}).setdefault(name, []).append(share)
    print(
        f"{given.baselines} baselines of {given.days} days of {given.rows} rows, seed {given.seed}: share of p <= 5 %"
    )
    print(f"{'':18}" + "".join(f"{name:>22}" for name in next(iter(found.values()))))
    for named_kind, by_stream in found.items():
        cells = (f"{np.mean(v):.3f} ± {np.std(v) / np.sqrt(len(v)):.3f}" for v in by_stream.values())
        print(f"{named_kind:18}" + "".join(f"{cell:>22}" for cell in cells))
    print(f"{time.process_time() - started:.0f} CPU-seconds")


if __name__ == "__main__":
    main()
