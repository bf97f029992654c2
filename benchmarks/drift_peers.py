"""Named two-sample methods side by side on real vectors: false alarms, power and cost of each at n = 500.

    vectors (.npy, one file a domain) ─┬─ null       two disjoint samples of the base
                                       ├─ domain10   10 % of the current rows are of the other file
                                       ├─ shift02    the current rows moved by 0.02 of a vector's length
                                       └─ mix        the base's groups 40/30/30 against 50/25/25
    every detector of "benchkit.detectors" ── share of alarms at 5 %, CPU of one thread for each comparison

    python benchmarks/drift_peers.py --data FOLDER [--base NAME --other NAME] [--null 1000] [--power 100] [--only mmd]

FOLDER holds NAME.npy files (rows, dimension). By default the largest is the base and the next one the other domain. The
base's groups are three k-means clusters of it, so no labels are needed. The exit code is 1 when a method with a p-value
has false alarms outside of 5 ± 1 % by more than two standard errors of the simulation, or more than it promises where
its test is one of discrete values (`ks`, which may have fewer).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from benchkit.plugins import DETECTORS, open_detector
from benchkit.types.drift import DriftDetector

N = 500
ALPHA = 0.05
ASKED = (0.04, 0.06)
MAY_BE_QUIET = ("ks",)
BEFORE, AFTER = (0.4, 0.3, 0.3), (0.5, 0.25, 0.25)

Vectors = NDArray[np.float32]
Pair = tuple[Vectors, Vectors]


def main() -> int:
    options = _options()
    base, other = load(options)
    names = options.only.split(",") if options.only else sorted(point.name for point in entry_points(group=DETECTORS))
    detectors = [open_detector(name) for name in names]
    draws = scenarios(base, other, seed=options.seed)
    found = {
        name: run(detectors, draw, options.null if name == "null" else options.power, seed=options.seed)
        for name, draw in draws.items()
    }
    show(detectors, found, options)
    return 1 if any(is_off(detector, found["null"][0][detector.name], options.null) for detector in detectors) else 0


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="folder of .npy files")
    parser.add_argument("--base", metavar="NAME", help="file of the base [the largest]")
    parser.add_argument("--other", metavar="NAME", help="file of the other domain [the next largest]")
    parser.add_argument("--null", type=int, default=1000, metavar="N", help="unchanged pairs [1000]")
    parser.add_argument("--power", type=int, default=100, metavar="N", help="pairs of each scenario [100]")
    parser.add_argument("--only", default="", metavar="NAMES", help="detectors, with commas between [all]")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def load(options: Any) -> Pair:
    """Read the vectors of the base and of the other domain."""
    by_size = sorted(options.data.glob("*.npy"), key=lambda path: path.stat().st_size, reverse=True)
    if len(by_size) < 2:
        raise SystemExit(f"{options.data}: two .npy files are needed, found {len(by_size)}")
    base = options.data / f"{options.base}.npy" if options.base else by_size[0]
    rest = [path for path in by_size if path != base]
    other = options.data / f"{options.other}.npy" if options.other else rest[0]
    print(f"base {base.stem}, other domain {other.stem}, n = {N}, alpha = {ALPHA:g}, seed {options.seed}")
    return np.load(base).astype(np.float32), np.load(other).astype(np.float32)


# ---------------------------------------------------------------- data


def scenarios(base: Vectors, other: Vectors, *, seed: int) -> dict[str, Callable[[np.random.Generator], Pair]]:
    """Return what draws a reference and a current sample, by the scenario's name."""
    direction = live_direction(base, np.random.default_rng(seed))
    groups = KMeans(n_clusters=3, n_init=3, random_state=seed).fit_predict(base[:20_000])
    parts = [base[:20_000][groups == group] for group in range(3)]

    def null(rng: np.random.Generator) -> Pair:
        rows = base[rng.choice(len(base), size=2 * N, replace=False)]
        return rows[:N], rows[N:]

    def domain(rng: np.random.Generator) -> Pair:
        reference, current = null(rng)
        current[: N // 10] = other[rng.choice(len(other), size=N // 10, replace=False)]
        return reference, current

    def shift(rng: np.random.Generator) -> Pair:
        reference, current = null(rng)
        return reference, current + np.float32(0.02) * direction

    def mix(rng: np.random.Generator) -> Pair:
        counts = [rng.multinomial(N, shares) for shares in (BEFORE, AFTER)]
        drawn = [
            part[rng.choice(len(part), size=min(len(part), before + after), replace=False)]
            for part, before, after in zip(parts, *counts, strict=True)
        ]
        cuts = zip(drawn, counts[0], strict=True)
        halves = [(rows[:before], rows[before:]) for rows, before in cuts]
        return np.concatenate([half[0] for half in halves]), np.concatenate([half[1] for half in halves])

    return {"null": null, "domain10": domain, "shift02": shift, "mix": mix}


def live_direction(base: Vectors, rng: np.random.Generator) -> Vectors:
    """Draw a direction that leaves out dead dimensions: a shift along those is seen at once, and proves nothing."""
    spread = base.std(axis=0)
    direction = np.where(spread > 1e-3 * spread.mean(), rng.normal(size=base.shape[1]), 0.0)
    return (direction / np.linalg.norm(direction) * np.linalg.norm(base, axis=1).mean()).astype(np.float32)


# ---------------------------------------------------------------- comparison


def run(
    detectors: list[DriftDetector], draw: Callable[[np.random.Generator], Pair], repetitions: int, *, seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return each detector's share of alarms and its CPU seconds for a comparison; all see the same samples."""
    alarms, seconds = ({detector.name: 0.0 for detector in detectors} for _ in range(2))
    rng = np.random.default_rng([seed, 1])
    for repetition in range(repetitions):
        reference, current = draw(rng)
        for detector in detectors:
            started = time.process_time()
            alarms[detector.name] += detector.compare(reference, current, alpha=ALPHA, seed=repetition).drifted
            seconds[detector.name] += time.process_time() - started
    return tuple({name: total / max(1, repetitions) for name, total in sums.items()} for sums in (alarms, seconds))  # type: ignore[return-value]


def is_off(detector: DriftDetector, false_alarms: float, repetitions: int) -> bool:
    """Say whether false alarms are outside of what is asked for by more than the simulation's own error."""
    if not detector.has_p_value or repetitions == 0:
        return False
    error = 2 * np.sqrt(ALPHA * (1 - ALPHA) / repetitions)
    least = 0.0 if detector.name in MAY_BE_QUIET else ASKED[0] - error
    return not least <= false_alarms <= ASKED[1] + error


def show(
    detectors: list[DriftDetector], found: dict[str, tuple[dict[str, float], dict[str, float]]], options: Any
) -> None:
    print(f"{options.null} unchanged pairs, {options.power} of each other scenario")
    print(f"{'':<20}" + "".join(f"{name:>10}" for name in found) + f"{'CPU ms':>10}")
    for detector in detectors:
        shares = "".join(f"{alarms[detector.name]:>10.3f}" for alarms, _ in found.values())
        print(f"{detector.name:<20}{shares}{1000 * found['null'][1][detector.name]:>10.0f}")


if __name__ == "__main__":
    sys.exit(main())
