"""What EmbeddingLog.record costs the service's thread, next to the cheapest things that a service could do instead.

    vectors of 768, one at a time
        ├─ list.append(vector)          keeps a reference: nothing is copied, nothing is bounded, nothing is written
        ├─ queue.put(vector.copy())     hand-made: a copy for another thread
        └─ log.record(vector)           plain, with labels, from float64, from a list, from a batch of 32
    rounds, all sides in turn, the order turning ──> median µs per vector, smallest and largest round    at most 20

Wall time is what a service feels; CPU time of the calling thread is what is left of it on a machine that is busy with
other things. The log writes meanwhile; between rounds it is flushed outside the clock, so no round drops a row (the
exit code is 1 when one did, or when a median of CPU time is over the limit).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import queue
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchkit.monitor import EmbeddingLog

LIMIT_US = 20.0
BATCH = 32
WARM_LISTS = 64  # a service's list was made a moment ago and is in the cache; thousands would not be
Sides = dict[str, Callable[[], None]]


def sides(log: EmbeddingLog, n: int, dimension: int) -> Sides:
    """Return what is timed, each over n vectors."""
    vectors = np.random.default_rng(0).standard_normal((n, dimension), dtype=np.float32)
    lists = [row.tolist() for row in vectors[:WARM_LISTS]] * (n // WARM_LISTS)
    doubles, record = vectors.astype(np.float64), log.record
    return {
        "list.append": lambda: _each(vectors, [].append),
        "queue.put of a copy": lambda: _each(vectors, _put_copies()),
        "record": lambda: _each(vectors, record),
        "record, four labels": lambda: _labelled(vectors, record),
        "record, float64": lambda: _each(doubles, record),
        "record, list": lambda: _each(lists, record),
        f"record, {BATCH} at a time": lambda: _each(np.split(vectors, n // BATCH), record),
    }


def _each(rows: Iterable[Any], call: Callable[[Any], None]) -> None:
    for row in rows:
        call(row)


def _put_copies() -> Callable[[Any], None]:
    put = queue.Queue[Any]().put
    return lambda vector: put(vector.copy())


def _labelled(vectors: Iterable[Any], record: Callable[..., None]) -> None:
    for vector in vectors:
        record(vector, ids="7f3a", segment="en", role="query", score=0.7)


def measure(n: int, rounds: int, dimension: int, folder: Path) -> tuple[dict[str, dict[str, list[float]]], int]:
    """Return wall and CPU µs per vector of every round, and the rows that were lost."""
    found: dict[str, dict[str, list[float]]] = {}
    with EmbeddingLog(folder, max_bytes=256 << 20, memory_bytes=512 << 20) as log:
        timed = sides(log, n, dimension)
        for number in range(rounds + 1):
            names = list(timed)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                wall, cpu = time.perf_counter(), time.thread_time()
                timed[name]()
                cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
                log.flush(120)
                if number:  # the first round pays for imports and for memory that is used again later
                    kept = found.setdefault(name, {"wall": [], "cpu": []})
                    kept["wall"].append(wall / n * 1e6)
                    kept["cpu"].append(cpu / n * 1e6)
    return found, log.stats.dropped + log.stats.failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.vectors % WARM_LISTS:
        parser.error(f"--vectors: a multiple of {WARM_LISTS}")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        found, lost = measure(options.vectors, options.rounds, options.dimension, Path(folder))
    print(f"{options.dimension}-d, {options.rounds} rounds of {options.vectors}, load {load:.1f}, µs per vector")
    for name, times in found.items():
        wall, cpu = times["wall"], times["cpu"]
        print(
            f"{name:22} wall {median(wall):6.2f} ({min(wall):.2f} to {max(wall):.2f})   thread CPU {median(cpu):6.2f}"
        )
    print(f"rows lost: {lost}")
    if options.json:
        machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "load_at_start": load}
        options.json.write_text(json.dumps({"machine": machine, "lost": lost, "us_per_vector": found}, indent=1))
    is_over = any(median(times["cpu"]) > LIMIT_US for name, times in found.items() if name.startswith("record"))
    return 1 if lost or is_over else 0


if __name__ == "__main__":
    sys.exit(main())
