"""What a window sketch costs: a million rows of Parquet, read, checked and summed, beside reading alone.

    python benchmarks/drift_cost.py [--rows 1000000] [--dimension 768] [--rounds 5] [--folder DIR]

Vectors are random unit rows, written once as Parquet without compression (3 GB at the defaults, in --folder, removed
at the end). CPU time of one process, all of its threads, the median of some processes: on a shared machine one takes up
to a third more than another. Memory, the most of them, above what imports and the baseline take. Exit code 1 when a
window costs more than 4 core-seconds a million rows of 768 dimensions, or more than 300 MiB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchkit.drift.health import measure_health
from benchkit.drift.reference import Reference, fit
from benchkit.drift.sketch import Sketch, sketch
from benchkit.monitor.window import Judged, empty_window, pack, window_of
from benchkit.sources.open import open_source

MOST_SECONDS, MOST_MIB = 4.0, 300
PART = 50_000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=5, help="processes that make a window each (default 5)")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--layout", choices=["binary", "list"], default="binary", help="FixedSizeBinary, or lists")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "rows.parquet"
        written(path, given.rows, given.dimension, given.layout)
        rng = np.random.default_rng(1)
        reference = fit(unit_rows(rng, 20_000, given.dimension))
        sample = unit_rows(rng, PART, given.dimension)
        per = given.rows / PART
        parts = {
            "reading alone": lambda: cpu(lambda: [len(rows) for rows in open_source(str(path)).read()]),
            "health": lambda: per * cpu(lambda: measure_health(sample)),
            "sketch": lambda: per * cpu(lambda: sketch(reference, sample)),
        }
        found: dict[str, list[float]] = {name: [] for name in parts}
        windows = []
        for _ in range(given.rounds):
            # In a process of its own: what fitting the baseline took and gave back would hide what a window takes.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
                windows.append(alone.submit(window_alone, str(path), reference.to_arrays()).result())
            for name, part in parts.items():
                found[name].append(part())
        seconds, memories, kept = (sorted(each) for each in zip(*windows, strict=True))
        spent, memory = median(seconds), memories[-1]
        print(f"{given.rows:,} rows of {given.dimension}: {spent:.2f} core-seconds", end="")
        print(f" ({seconds[0]:.2f} to {seconds[-1]:.2f}), {memory:.0f} MiB above the start")
        print("  " + ", ".join(f"{name} {median(values):.2f}" for name, values in found.items()))
        baseline = sum(np.asarray(array).nbytes for array in reference.to_arrays().values())
        print(f"  window {kept[-1] / 1000:.1f} kB, baseline {baseline / 1e6:.2f} MB")
        print(f"  64 parts merged: {merged(reference, sample)}")
    allowed = MOST_SECONDS * given.rows * given.dimension / (1_000_000 * 768)
    return 0 if spent <= allowed and memory <= MOST_MIB else 1


def window_alone(path: str, arrays: dict[str, np.ndarray]) -> tuple[float, float, int]:
    """Return a window's core-seconds, MiB above what imports and the baseline take, and bytes once packed."""
    judged = Judged(Reference.from_arrays(arrays), None)
    first = next(open_source(path).read(batch_rows=512))
    window_of(judged, first)  # imports what is imported when it's needed
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = in_mib("VmRSS")
    started = time.process_time()
    window = empty_window(judged)
    for rows in open_source(path).read():
        window = window + window_of(judged, rows, beside=window)
    return time.process_time() - started, in_mib("VmHWM") - before, len(pack({"window": window}))


def merged(reference: object, rows: np.ndarray) -> str:
    """Return how far 64 sketches added up are from one of all rows."""
    whole = sketch(reference, rows)
    total = Sketch.empty(reference)
    for part in np.array_split(rows, 64):
        total = total + sketch(reference, part)
    same = all(np.array_equal(getattr(whole, name), getattr(total, name)) for name in ("clusters", "novelty"))
    worst = max(float(np.abs(getattr(whole, name) - getattr(total, name)).max()) for name in ("linear", "squares"))
    return f"counts {'equal' if same else 'DIFFERENT'}, sums off by {worst / len(rows):.1e} a row"


def written(path: Path, n_rows: int, dimension: int, layout: str) -> None:
    rng = np.random.default_rng(0)
    listed = pa.list_(pa.field("element", pa.float32(), nullable=False), dimension)
    kind = pa.binary(4 * dimension) if layout == "binary" else listed
    schema = pa.schema([pa.field("embedding", kind, nullable=False)])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False, write_statistics=False) as file:
        for start in range(0, n_rows, PART):
            rows = unit_rows(rng, min(PART, n_rows - start), dimension)
            if layout == "binary":
                array = pa.Array.from_buffers(kind, len(rows), [None, pa.py_buffer(rows)])
            else:
                array = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), type=kind)
            file.write_table(pa.table([array], schema=schema))


def unit_rows(rng: np.random.Generator, n_rows: int, dimension: int) -> np.ndarray:
    rows = rng.standard_normal((n_rows, dimension), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def cpu(call: object) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def in_mib(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


if __name__ == "__main__":
    sys.exit(main())
