"""How often windows of a stream with times alarm where nothing changed, and where something did.

    28 days of 200 rows ── fit, days as the past ──┐
    parts of days, days and weeks of the same kind ┴── judge ──> share of p <= 5 %

    python benchmarks/drift_history.py [--days 28] [--rows 200] [--baselines 40]

Rows are of 60 topics in 128 dimensions, made for the purpose: by themselves ("independent"), in sessions of 5 to 20
like rows, with Saturdays and Sundays of their own topics ("weekly"), both, or with topics that vary from day to day.
"new" windows have that share of rows of a domain that the past lacks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.judge import judge
from benchkit.drift.reference import Reference, fit
from benchkit.drift.sketch import sketch

Vectors = NDArray[np.float32]
Rng = np.random.Generator
TOPICS, DIMENSION, RANK = 60, 128, 64
SATURDAY = 5


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


def windows(stream: Stream, n: int, rng: Rng) -> dict[str, tuple[int, Callable[[], Vectors]]]:
    """Return how many windows of each kind a baseline is held against, and what makes one."""

    def span(days: int, rows: int, start: int | None = None, new: float = 0.0) -> Callable[[], Vectors]:
        def make() -> Vectors:
            first = int(rng.integers(7)) if start is None else start
            found = np.vstack([stream.day(rng, first + place, rows) for place in range(days)])
            return stream.topics.with_new(rng, found, new)

        return make

    return {
        "1/4 day": (12, span(1, n // 4)),
        "1/2 day": (12, span(1, n // 2)),
        "day": (14, span(1, n)),
        "Saturday": (4, span(1, n, start=SATURDAY)),
        "3 days": (8, span(3, n)),
        "week": (8, span(7, n)),
        "day, 10 % new": (3, span(1, n, new=0.10)),
        "week, 3 % new": (3, span(7, n, new=0.03)),
    }


def share_of_alarms(reference: Reference, count: int, make: Callable[[], Vectors]) -> float:
    return float(np.mean([judge(reference, sketch(reference, make())).p_value <= 0.05 for _ in range(count)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument("--rows", type=int, default=200, help="a day (default 200; 120 at least)")
    parser.add_argument("--baselines", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started, named = time.process_time(), streams(Topics())
    found: dict[str, dict[str, list[float]]] = {}
    for name, stream in named.items():
        rng = np.random.default_rng([given.seed, len(found)])
        for _ in range(given.baselines):
            rows = np.vstack([stream.day(rng, day, given.rows) for day in range(given.days)])
            past = np.repeat(np.arange(given.days), given.rows)
            reference = fit(rows, groups=past, seed=int(rng.integers(2**31)))
            for kind, (count, make) in windows(stream, given.rows, rng).items():
                found.setdefault(kind, {}).setdefault(name, []).append(share_of_alarms(reference, count, make))
    print(
        f"{given.baselines} baselines of {given.days} days of {given.rows} rows, seed {given.seed}: share of p <= 5 %"
    )
    print(f"{'':16}" + "".join(f"{name:>22}" for name in named))
    for kind, by_stream in found.items():
        cells = (f"{np.mean(v):.3f} ± {np.std(v) / np.sqrt(len(v)):.3f}" for v in by_stream.values())
        print(f"{kind:16}" + "".join(f"{cell:>22}" for cell in cells))
    print(f"{time.process_time() - started:.0f} CPU-seconds")


if __name__ == "__main__":
    main()
