"""A watch that is killed again and again, against the same watch left alone.

    a log that grows ── benchkit drift watch ── kill -9 at a random moment ── started again ── ... ── read to its end
    the whole log ───── benchkit drift watch ── read to its end
        ──> rows counted, windows, alarms of both; every verdict and the sums of the unfinished window held together

Three of four kills come while the process works (some milliseconds after it was seen to commit, and more rows wait),
the others at any moment of its life, the start included. One log is of Parquet files, the other of JSON lines that are
appended in pieces which end within a line. Rows are projected in single precision and added in another order when a
batch is cut elsewhere, so numbers are held together to a millionth; rows, windows, verdicts and alarms exactly. The
exit code is 1 where anything differs.

    python benchmarks/drift_watch.py --kills 100 --seed 0
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.monitor.window import unpack
from benchkit.store.drift_state import DriftState

DIMENSION = 32
WINDOW = 250
PIECE = 170  # rows of a file, or of one append
RELATIVE = 1e-6
WORKING = 0.75  # of the kills come after a commit, while more waits
COMMAND = Path(sys.executable).parent / "benchkit"
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


def vectors(n: int, *, seed: int, domain: float = 0.0) -> NDArray[np.float32]:
    """Return unit vectors (n, 32) around six topics, and around a seventh for a share of them."""
    rng, topics = np.random.default_rng(seed), np.random.default_rng(99).normal(size=(7, DIMENSION))
    topic = np.where(rng.random(n) < domain, 6, rng.integers(0, 6, n))
    rows = topics[topic] + rng.normal(size=(n, DIMENSION))
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def stream(pieces: int, seed: int) -> list[NDArray[np.float32]]:
    """Return the pieces of a stream in which a new domain comes and goes twice."""
    share = [0.3 if 0.2 < place % 0.5 < 0.35 else 0.0 for place in np.arange(pieces) / pieces]
    return [vectors(PIECE, seed=seed * 100_000 + place, domain=share[place]) for place in range(pieces)]


# ------------------------------------------------------------ logs that grow


@dataclass
class ParquetLog:
    """A folder that gets a file for each piece."""

    project: Path
    pieces: list[NDArray[np.float32]]
    written: int = 0
    source: str = "log"

    def grow(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self.written == len(self.pieces):
            return
        rows = self.pieces[self.written]
        folder = self.project / self.source
        folder.mkdir(exist_ok=True)
        column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), DIMENSION)
        pq.write_table(pa.table({"embedding": column}), folder / "next.tmp")
        (folder / "next.tmp").replace(folder / f"part-{self.written}.parquet")
        self.written += 1


@dataclass
class LineLog:
    """A file of lines; what is appended ends within a line until all is there."""

    project: Path
    pieces: list[NDArray[np.float32]]
    written: int = 0
    source: str = "log.jsonl"
    rest: str = ""

    def grow(self) -> None:
        if self.written == len(self.pieces):
            return
        lines = self.rest + "".join(
            json.dumps({"embedding": row}) + "\n" for row in self.pieces[self.written].tolist()
        )  # fmt: skip
        self.written += 1
        held = 0 if self.written == len(self.pieces) else 40
        self.rest = lines[len(lines) - held :]
        with (self.project / self.source).open("a") as file:
            file.write(lines[: len(lines) - held])


Log = ParquetLog | LineLog


def _grow_to_the_end(log: Log) -> None:
    while log.written < len(log.pieces):
        log.grow()


# ------------------------------------------------------------ runs


def _command(log: Log, *more: str) -> list[str]:
    size = ("--window-size", str(WINDOW), "--no-track", "--alert", "jsonl:alerts.jsonl")
    return [str(COMMAND), "drift", "watch", log.source, "--baseline", "prod", *size, *more]


def _environment(project: Path) -> dict[str, str]:
    return {**os.environ, **ENVIRONMENT, "BENCHKIT_CACHE_DIR": str(project / "cache")}


def finish(log: Log) -> None:
    """Read what is left, in peace."""
    done = subprocess.run(
        _command(log, "--once"), cwd=log.project, env=_environment(log.project), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise SystemExit(f"the watch failed with {done.returncode}: {done.stderr}")


def kill_once(log: Log, rng: random.Random, life_s: float) -> bool:
    """Start the watch, let the log grow, and kill it; return whether it had committed something in this life.

    Args:
        life_s: Longest life of a process that is killed at any moment.
    """
    before = version(log.project)
    process = subprocess.Popen(
        _command(log, "--poll", "0.01"), cwd=log.project, env=_environment(log.project),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        log.grow()
        if rng.random() < WORKING:
            _wait_for_commit(log.project, before, process)
            for _ in range(rng.randint(1, 2)):
                log.grow()
            time.sleep(rng.uniform(0, 0.03))
        else:
            time.sleep(rng.uniform(0, life_s))
        return version(log.project) > before
    finally:
        process.kill()
        process.communicate()


def _wait_for_commit(project: Path, before: int, process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 60
    while version(project) == before:
        if process.poll() is not None:
            raise SystemExit(f"the watch ended by itself with {process.returncode}: {process.communicate()[1]}")
        if time.monotonic() > limit:
            raise SystemExit("the watch read nothing for a minute")
        time.sleep(0.002)


# ------------------------------------------------------------ what is left


def version(project: Path) -> int:
    """Return how often the watch has committed."""
    state = project / "mlruns/drift/state.db"
    if not state.exists():
        return 0
    db = sqlite3.connect(state)
    try:
        row = db.execute("SELECT version FROM streams").fetchone()
    except sqlite3.OperationalError:  # its tables are being made
        row = None
    finally:
        db.close()
    return 0 if row is None else int(row[0])


@dataclass(frozen=True)
class Found:
    """What a watch has counted.

    Attributes:
        verdicts: Of all windows, without the time at which they were made.
        unfinished: Sums of the window that isn't full.
        alarms: Event and window of each message, each id once.
        repeated: Messages that came more than once, with the same id.
    """

    verdicts: list[dict[str, Any]]
    unfinished: dict[str, Any]
    alarms: list[tuple[str, int]]
    repeated: int

    @property
    def rows(self) -> int:
        return sum(
            int(rows)
            for rows in (
                *(report["window"]["rows"] for report in self.verdicts),
                *(window["rows"] for window in self.unfinished.values()),
            )
        )


def found_in(project: Path) -> Found:
    """Read a project's history, unfinished window and alerts."""
    state = project / "mlruns/drift/state.db"
    with DriftState(state) as kept:
        verdicts = [dict(check.report) for check in kept.history(limit=1_000_000)]
    for report in verdicts:
        del report["checked_at"]
    db = sqlite3.connect(state)
    (content,) = db.execute("SELECT window FROM streams").fetchone()
    db.close()
    sums = {
        name: {"rows": window.rows}
        | {key: value.tolist() for key, value in window.health.to_arrays().items()}
        | {f"sketch/{key}": value.tolist() for key, value in window.sketch.to_arrays().items()}
        for name, window in unpack(content).items()
    }
    path = project / "alerts.jsonl"
    told = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    by_id = {alert["id"]: (alert["event"], alert["window"]["number"]) for alert in told}
    return Found(verdicts, sums, list(by_id.values()), len(told) - len(by_id))


def difference(found: object, expected: object, place: str = "") -> str:
    """Return the first place where two forms differ; "" where they don't."""
    if isinstance(expected, float) and isinstance(found, float):
        return "" if abs(found - expected) <= RELATIVE * max(1.0, abs(expected)) else f"{place}: {found}, {expected}"
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        pairs = [(found[key], expected[key], f"{place}.{key}") for key in expected]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = [(one, other, f"{place}[{at}]") for at, (one, other) in enumerate(zip(found, expected, strict=True))]
    else:
        return "" if found == expected else f"{place}: {found!r}, {expected!r}"
    return next((said for pair in pairs if (said := difference(*pair))), "")


def _projects(folder: Path) -> tuple[Path, Path]:
    """Return two projects with the same baseline."""
    first, second = folder / "killed", folder / "alone"
    first.mkdir()
    (first / "benchkit.toml").touch()
    np.save(first / "reference.npy", vectors(6000, seed=1))
    subprocess.run(
        [COMMAND, "drift", "baseline", "create", "prod", "--from", "reference.npy", "--quiet"],
        cwd=first, env=_environment(first), check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    shutil.copytree(first, second)
    return first, second


def compare(kind: type[Log], kills: int, seed: int, life_s: float) -> bool:
    """Kill one watch, leave the other alone, print both; return whether they are the same."""
    rng, pieces = random.Random(seed), stream(max(48, 4 * kills), seed)
    with tempfile.TemporaryDirectory() as folder:
        first, second = _projects(Path(folder))
        killed, alone = kind(first, pieces), kind(second, pieces)
        lives = [kill_once(killed, rng, life_s) for _ in range(kills)]
        _grow_to_the_end(killed)
        finish(killed)
        _grow_to_the_end(alone)
        finish(alone)
        found, expected = found_in(first), found_in(second)
    written = PIECE * len(pieces)
    said = (
        difference(found.verdicts, expected.verdicts, "verdicts")
        or difference(found.unfinished, expected.unfinished, "unfinished")
        or difference([*map(list, found.alarms)], [*map(list, expected.alarms)], "alarms")
        or difference(found.rows, written, "rows")
    )
    for name, each in ((f"killed {kills} times", found), ("left alone", expected)):
        alarms = sum(event == "drift.alert" for event, _ in each.alarms)
        print(
            f"{kind.__name__:<10}  {name:<16}  {each.rows:>7,} of {written:,} rows  {len(each.verdicts):>4} windows  "
            f"{alarms} alarms  {len(each.alarms) - alarms} recoveries  {each.repeated} sent twice with one id"
        )
    print(f"{'':<10}  {sum(lives)} of {kills} lives had committed; {'the same' if not said else 'DIFFERENT: ' + said}")
    return not said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=100, help="of both logs together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--life", type=float, default=1.5, help="longest life in seconds of a process killed anywhere")
    given = parser.parse_args()
    half = given.kills // 2
    runs = ((ParquetLog, given.kills - half), (LineLog, half))
    same = [compare(kind, kills, given.seed, given.life) for kind, kills in runs if kills]
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
