"""A window of 20,000 rows: benchkit's check beside alibi-detect's MMD, which takes an environment of its own.

    python -m venv PEER && PEER/bin/pip install alibi-detect torch
    python benchmarks/drift_alibi.py --peer PEER/bin/python [--vectors FOLDER] [--rows 20000]

    rows of one stream ─┬─ first half   the reference of both
                        └─ second half  the window of both ── CPU seconds of each, once the reference is there

alibi-detect pins numpy < 2 and transformers < 5, so it can't be installed beside sentence-transformers 6; a process of
the peer's own Python reads the same two files and does what its documentation shows: MMDDrift(x_ref,
backend="pytorch"), predict(x), with its 100 permutations. It holds a matrix of all pairs, some 20 GB at 20,000 rows;
its time grows with the square of the rows. Exit code 1 below 500 times less CPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from drift_streams import SHARES, add_arguments, load_streams

from benchkit.drift.judge import judge
from benchkit.drift.reference import fit
from benchkit.drift.sketch import sketch

WANTED = 500
PEER = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np
from alibi_detect.cd import MMDDrift
reference, window = (np.load(path) for path in sys.argv[1:3])
detector = MMDDrift(reference, backend="pytorch")
started = time.process_time()
data = detector.predict(window)["data"]
print(json.dumps({"cpu_s": time.process_time() - started, "p": float(data["p_val"])}))
"""


def main() -> int:
    given = _options()
    rng = np.random.default_rng(given.seed)
    streams = load_streams(given.data, given.vectors)
    rows = np.vstack([streams.pools[name] for name in SHARES])
    if len(rows) < 2 * given.rows:
        raise SystemExit(f"{len(rows):,} rows in all; --rows {len(rows) // 2} at most")
    rows = rows[rng.permutation(len(rows))[: 2 * given.rows]]
    reference, window = rows[: given.rows], rows[given.rows :]
    own = [_own(reference, window) for _ in range(5)]
    ours, p_value, fitted = float(np.median([cpu for cpu, _, _ in own])), own[0][1], own[0][2]
    print(f"{given.rows:,} x {rows.shape[1]} rows of reference and of window, one stream: nothing has changed")
    print(f"benchkit  check {ours:8.3f} CPU-s, p = {p_value:.3f}   (making the baseline, once: {fitted:.1f} CPU-s)")
    peer = _peer(given.peer, reference, window)
    print(f"alibi MMD check {peer['cpu_s']:8.1f} CPU-s, p = {peer['p']:.3f}")
    ratio = peer["cpu_s"] / ours
    print(f"ratio {ratio:,.0f}, wanted {WANTED}")
    return int(ratio < WANTED)


def _own(reference: np.ndarray, window: np.ndarray) -> tuple[float, float, float]:
    """Return CPU seconds of the check, its p-value, and CPU seconds of the baseline."""
    started = time.process_time()
    baseline = fit(reference, seed=0)
    fitted = time.process_time()
    judged = judge(baseline, sketch(baseline, window))
    return time.process_time() - fitted, judged.p_value, fitted - started


def _peer(python: Path, reference: np.ndarray, window: np.ndarray) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("reference.npy", "window.npy")]
        for file, rows in zip(files, (reference, window), strict=True):
            np.save(file, rows.astype(np.float32))
        done = subprocess.run([python, "-c", PEER, *files], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the peer failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--peer", type=Path, required=True, help="Python of the environment that has alibi-detect")
    parser.add_argument("--rows", type=int, default=20_000, help="of the reference, and of the window [20000]")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
