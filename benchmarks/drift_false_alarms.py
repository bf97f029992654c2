"""How often the drift monitor calls an unchanged stream changed: each statistic and all together, by window size.

    streams as one population ── baseline drawn with replacement ── fit ─┐
                              └─ windows drawn with replacement ─────────┴─ judge ──> share of p <= 5 % (and 1 %)

    python benchmarks/drift_false_alarms.py [--data ../shared/data] [--vectors DIR] [--baselines 250] [--fresh 62]

Baseline and windows are drawn from one fixed population, so nothing differs but chance, at any window size. Rows are
drawn by counts: a window of 100,000 rows is the population's row measures times how often each was drawn, which is what
its sketch would be. A baseline is off by its own chance, and all its windows with it: where windows are as large as the
baseline, only many baselines tell the rate. Windows of 500 that were not drawn with replacement, from rows that the
baseline does not have, are shown beside. Exit code 1 when the combined rate is outside of 4 to 6 % by more than two
standard errors (over baselines).
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import numpy as np
from drift_streams import SHARES, Streams, Vectors, add_arguments, load_streams
from numpy.typing import NDArray

from benchkit.drift.frame import Frame
from benchkit.drift.judge import judge
from benchkit.drift.measure_rows import measure_rows
from benchkit.drift.reference import Reference, fit
from benchkit.drift.sketch import Sketch, sketch
from benchkit.drift.statistics import STATISTICS

ASKED = (0.04, 0.06)
SIZES = (500, 5_000, 100_000)
WINDOWS = 4  # of each size for each baseline
ALL = (*STATISTICS, "combined")


@dataclass(frozen=True, slots=True)
class Measured:
    """Row measures of a population in a frame, one row each; a window's sums are counts times these."""

    sums: NDArray[np.float32]
    shape: tuple[int, ...]

    def window(self, counts: NDArray[np.int64]) -> list[Sketch]:
        """Return sketches of windows in which the rows were drawn so often (w, population)."""
        totals = counts.astype(np.float32) @ self.sums
        parts = [np.split(total.astype(np.float64), np.cumsum(self.shape)[:-1]) for total in totals]
        rows = counts.sum(axis=1)
        return [
            Sketch(int(n), linear, squares, clusters.astype(int), novelty.astype(int), norm, float(dead[0]))
            for n, (linear, squares, clusters, novelty, norm, dead) in zip(rows, parts, strict=True)
        ]


def measured(frame: Frame, rows: Vectors) -> Measured:
    blocks = []
    for block in measure_rows(frame, rows):
        clusters = np.eye(len(frame.centroids), dtype=np.float32)[block.cluster]
        novelty = np.eye(len(frame.edges) + 1, dtype=np.float32)[block.novelty]
        blocks.append(np.hstack([block.centred, block.squares, clusters, novelty, block.norm, block.dead[:, None]]))
    shape = (frame.dimension, len(frame.quadratic), len(frame.centroids), len(frame.edges) + 1, 2, 1)
    return Measured(np.vstack(blocks), shape)


def p_values(reference: Reference, window: Sketch) -> list[float]:
    judged = judge(reference, window)
    return [*(found.p_value for found in judged.statistics), judged.p_value]


def drawn(
    population: Vectors, weights: NDArray[np.float64], n_rows: int, rng: np.random.Generator
) -> dict[int, object]:
    """Return p-values by window size of one baseline and its windows, all drawn from the population."""
    reference = fit(population[rng.choice(len(population), n_rows, p=weights)], seed=int(rng.integers(2**31)))
    rows = measured(reference.frame, population)
    found: dict[int, object] = {}
    for size in SIZES:
        windows = rows.window(rng.multinomial(size, weights, size=WINDOWS))
        found[size] = [p_values(reference, window) for window in windows]
    return found


def fresh(streams: Streams, n_rows: int, rng: np.random.Generator, size: int = 500) -> list[list[float]]:
    """Return p-values of windows of rows that the baseline does not have, each row once at most in a window."""
    kept, rest = [], []
    for name, share in SHARES.items():
        order = rng.permutation(len(streams.pools[name]))
        n_kept = round(n_rows * share)
        kept.append(streams.pools[name][order[:n_kept]])
        rest.append(streams.pools[name][order[n_kept:]])
    reference = fit(np.vstack(kept), seed=int(rng.integers(2**31)))
    found = []
    for _ in range(WINDOWS):
        counts = rng.multinomial(size, list(SHARES.values()))
        rows = [pool[rng.choice(len(pool), n, replace=False)] for pool, n in zip(rest, counts, strict=True)]
        found.append(p_values(reference, sketch(reference, np.vstack(rows))))
    return found


def show(label: str, found: NDArray[np.float64]) -> bool:
    """Print the rates of p-values (baselines, windows, statistics); whether the combined one is as asked for."""
    alarms = (found <= 0.05).mean(axis=1)
    rates, errors = alarms.mean(axis=0), alarms.std(axis=0, ddof=1) / np.sqrt(len(alarms))
    rare = (found <= 0.01).mean(axis=(0, 1))
    fine = ASKED[0] - 2 * errors[-1] <= rates[-1] <= ASKED[1] + 2 * errors[-1]
    print(f"{label:>14}" + "".join(f"{rate:14.3f}" for rate in rates) + f"  ± {errors[-1]:.3f}")
    print(f"{'at 1 %':>14}" + "".join(f"{rate:14.3f}" for rate in rare) + ("" if fine else "  OUTSIDE"), flush=True)
    return bool(fine)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_arguments(parser)
    parser.add_argument("--baselines", type=int, default=250, help=f"of {WINDOWS} windows of each size (default 250)")
    parser.add_argument("--fresh", type=int, help="baselines with windows of rows they lack (default a quarter of all)")
    parser.add_argument("--rows", type=int, default=15_000, help="of a baseline (default 15,000)")
    given = parser.parse_args()
    streams, started = load_streams(given.data, given.vectors), time.process_time()
    population = np.vstack([streams.pools[name] for name in SHARES])
    weights = np.concatenate(
        [np.full(len(streams.pools[name]), part / len(streams.pools[name])) for name, part in SHARES.items()]
    )
    rng = np.random.default_rng(given.seed)
    rounds = [drawn(population, weights, given.rows, rng) for _ in range(given.baselines)]
    n_fresh = max(10, given.baselines // 4) if given.fresh is None else given.fresh
    unseen = [fresh(streams, given.rows, rng) for _ in range(n_fresh)]
    print(f"{given.baselines} baselines of {given.rows:,} rows, {WINDOWS} windows of each size, seed {given.seed}")
    print(f"{n_fresh} more with windows of rows that they don't have")
    print(f"{'rows':>14}" + "".join(f"{name:>14}" for name in ALL))
    fine = [show(f"{size:,}", np.array([found[size] for found in rounds])) for size in SIZES if rounds]
    if unseen:
        show("500, fresh", np.array(unseen))
    print(f"{time.process_time() - started:.0f} CPU-seconds")
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
