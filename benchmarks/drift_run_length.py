"""How long a watch stays quiet on an unchanged stream, and how soon it tells a change: windows of 500 rows.

    streams as one population ── baseline ── windows, one after the other ── p ── e ── Shiryaev-Roberts ── first alarm

    python benchmarks/drift_run_length.py [--data ../shared/data] [--vectors DIR] [--baselines 20] [--horizon 1500]

Each baseline is followed until its first alarm or the horizon. The run length of one that never alarmed is at least the
horizon, so what is printed is a lower bound of the mean. One baseline is off by its own chance for as long as it lives:
the run length is a mean over baselines. Exit code 1 when that bound is below 1,000 or the median delay above 3 windows.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from drift_false_alarms import measured
from drift_streams import SHARES, add_arguments, load_streams

from benchkit.drift.judge import judge
from benchkit.drift.reference import Reference, fit
from benchkit.drift.sequential import ShiryaevRoberts, p_to_e
from benchkit.drift.sketch import sketch

RUN_LENGTH, LONGEST_DELAY = 1000, 3
ROWS = 500
AT_A_TIME = 100
DELAYS = 20  # for each baseline


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_arguments(parser)
    parser.add_argument("--baselines", type=int, default=20)
    parser.add_argument("--horizon", type=int, default=1500, help="windows after which a quiet watch is left (1500)")
    parser.add_argument("--rows", type=int, default=15_000, help="of a baseline (default 15,000)")
    given = parser.parse_args()
    streams, started = load_streams(given.data, given.vectors), time.process_time()
    population = np.vstack([streams.pools[name] for name in SHARES])
    weights = np.concatenate(
        [np.full(len(streams.pools[name]), part / len(streams.pools[name])) for name, part in SHARES.items()]
    )
    rng = np.random.default_rng(given.seed)
    lengths, delays = [], []
    for _ in range(given.baselines):
        rows = population[rng.choice(len(population), given.rows, p=weights)]
        reference = fit(rows, seed=int(rng.integers(2**31)))
        windows = measured(reference.frame, population)
        lengths.append(run_length(reference, windows, weights, given.horizon, rng))
        delays += [delay(reference, population, weights, streams.pools["sentences"], rng) for _ in range(DELAYS)]
    alarms = sum(length < given.horizon for length in lengths)
    mean = float(np.mean(lengths))
    print(f"{given.baselines} baselines of {given.rows:,} rows, windows of {ROWS}, alarm at {RUN_LENGTH}")
    print(
        f"unchanged: {alarms} of {len(lengths)} alarmed within {given.horizon} windows; run length {mean:.0f} at least"
    )
    total = sum(lengths)
    print(f"           {total:,} windows in all, one alarm in {total / max(alarms, 1):,.0f}")
    quantiles = ", ".join(f"{np.quantile(delays, at):.0f}" for at in (0.1, 0.5, 0.9))
    print(f"5 % STS sentences: alarm after {quantiles} windows (10th, 50th, 90th of 100 streams)")
    print(f"{time.process_time() - started:.0f} CPU-seconds")
    return 0 if total / max(alarms, 1) >= RUN_LENGTH and np.median(delays) <= LONGEST_DELAY else 1


def run_length(reference: Reference, windows: object, weights: np.ndarray, horizon: int, rng: object) -> int:
    """Return the windows before the first alarm on the unchanged stream, or the horizon."""
    state, seen = ShiryaevRoberts(RUN_LENGTH), 0
    while seen < horizon:
        counts = rng.multinomial(ROWS, weights, size=min(AT_A_TIME, horizon - seen))
        for window in windows.window(counts):
            seen += 1
            state = state.step(p_to_e(judge(reference, window).p_value))
            if state.is_alarm:
                return seen
    return horizon


def delay(reference: Reference, population: np.ndarray, weights: np.ndarray, new: np.ndarray, rng: object) -> int:
    """Return the windows from a change (5 % of the rows are of a new domain) to the alarm."""
    state = ShiryaevRoberts(RUN_LENGTH)
    for seen in range(1, 200):
        n_new = ROWS // 20
        old = population[rng.choice(len(population), ROWS - n_new, p=weights)]
        rows = np.vstack([old, new[rng.choice(len(new), n_new, replace=False)]])
        state = state.step(p_to_e(judge(reference, sketch(reference, rows)).p_value))
        if state.is_alarm:
            return seen
    return 200


if __name__ == "__main__":
    sys.exit(main())
