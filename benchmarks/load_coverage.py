"""How often the intervals of a load run hold the true value: simulated queues whose latencies are known.

    python benchmarks/load_coverage.py [--runs 400] [--seed 42]

A queue with one server, arrivals as `benchkit cost --load` draws them, service times exponential (M/M/1) or all alike
(M/D/1); seen as a worker, and as an endpoint, whose queue the client doesn't see. The true percentiles are
-log(1 - p) / (1 - rho) for M/M/1 and those of four million simulated requests for M/D/1. Printed for each percentile:
the share of runs that have an interval, and of all runs the share whose interval misses. The exit code is 1 when some
interval misses in more than MOST_MISSED of a worker's runs, or in more than MOST_MISSED_BLINDLY of an endpoint's.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchkit.measure.latency import nearest_rank
from benchkit.measure.open_loop import PERCENTILES, poisson_schedule, single_server_latencies, summarise
from benchkit.types.load import LoadPoint, LoadRun

Floats = NDArray[np.float64]

MOST_MISSED, MOST_MISSED_BLINDLY = (
    0.075,
    0.15,
)  # 5 % and what chance adds in 400 runs; a hidden queue is only guessed at
LIMIT_SHARE = 0.98  # of requests that the limit of the goodput lets pass
LONG_RUNS, LONG = 100, 40_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    print(
        "server    queue  load  requests  " + "".join(f"{f'p{p}: has, misses':>21}" for p in PERCENTILES) + "  goodput"
    )
    worst = {"worker": 0.0, "endpoint": 0.0}
    for kind in ("M/M/1", "M/D/1"):
        for load in (0.3, 0.5, 0.7, 0.85):
            truth = true_percentiles(kind, load, options.seed)
            for n in (50, 200, 600, 2000):
                for server in worst:
                    missed = show(server, kind, load, n, truth, runs=options.runs, seed=options.seed)
                    worst[server] = max(worst[server], missed)
    print(", ".join(f"{server}: an interval misses in {share:.1%} of runs at most" for server, share in worst.items()))
    return int(worst["worker"] > MOST_MISSED or worst["endpoint"] > MOST_MISSED_BLINDLY)


def true_percentiles(kind: str, load: float, seed: int) -> Mapping[float, float]:
    """Return the latencies at the percentiles and at the limit, in mean service times."""
    shares = [*(percent / 100 for percent in PERCENTILES), LIMIT_SHARE]
    if kind == "M/M/1":
        return {share: -math.log(1 - share) / (1 - load) for share in shares}
    rng = np.random.default_rng([seed, round(100 * load)])
    runs = [single_server_latencies(poisson_schedule(load, LONG, rng), np.ones(LONG)) for _ in range(LONG_RUNS)]
    everything = np.concatenate([run[LONG // 10 :] for run in runs])
    return {share: nearest_rank(everything, round(100 * share)) for share in shares}


def show(server: str, kind: str, load: float, n: int, truth: Mapping[float, float], *, runs: int, seed: int) -> float:
    """Print one line and return the largest share of missing intervals in it."""
    points = [
        one_run(server, kind, load, n, truth[LIMIT_SHARE], np.random.default_rng([seed, n, k])) for k in range(runs)
    ]
    wanted = {f"p{percent}_ms": 1000 * truth[percent / 100] for percent in PERCENTILES}
    has, misses = zip(*(_counts(points, name, value) for name, value in wanted.items()), strict=True)
    good = [p.intervals["goodput_per_s"] for p in points if "goodput_per_s" in p.intervals]
    good_misses = sum(not one.ci_low <= LIMIT_SHARE * load <= one.ci_high for one in good) / runs
    cells = "".join(f"{f'{h:.0%} {m:.1%}':>21}" for h, m in zip(has, misses, strict=True))
    print(f"{server:<8}  {kind}  {load:4}  {n:8}  {cells}  {good_misses:7.1%}", flush=True)
    return max(*misses, good_misses)


def _counts(points: list[LoadPoint], name: str, value: float) -> tuple[float, float]:
    found = [point.intervals[name] for point in points if name in point.intervals]
    # Service times that are all alike make latencies alike, which the clock's sums round apart.
    missed = sum(not one.ci_low * (1 - 1e-9) <= value <= one.ci_high * (1 + 1e-9) for one in found)
    return len(found) / len(points), missed / len(points)


def one_run(server: str, kind: str, load: float, n: int, limit: float, rng: np.random.Generator) -> LoadPoint:
    """Return a run of n requests at a share of the capacity, which is one request a second."""
    due = poisson_schedule(load, n, rng)
    service = rng.exponential(size=n) if kind == "M/M/1" else np.ones(n)
    finished = due + single_server_latencies(due, service)
    free = np.concatenate([[0.0], finished[:-1]])
    run = LoadRun(due, free, finished - service, finished, {}, 1, 20.0)
    if server == "endpoint":
        run = replace(run, free=np.zeros(n), sent=due, workers=64)
    return summarise(run, model=kind, slo_ms=1000 * limit * (1 + 1e-9))


if __name__ == "__main__":
    sys.exit(main())
