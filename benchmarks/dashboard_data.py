"""Fill a project folder for the dashboard with comparisons, gates, champions and checks, through the real writers.

    python benchmarks/dashboard_data.py FOLDER --runs 300 --windows 200 --gates 100 --seed 1

    comparison ── api.record.write_files, store.log_comparison, note ──> mlruns/results/*, MLflow
    gate ──────── gate.json, store.log_gate ──────────────────────────> mlruns/gates/*, MLflow
    promotion ─── store.promotion.promote ────────────────────────────> MLflow's registry
    window ────── DriftState.commit, store.log_drift ─────────────────> mlruns/drift/state.db, MLflow

Each comparison has five models of more than 60 numbers. What the numbers are is in dashboard_records.py. A folder that
has results already is refused. Takes some minutes, nearly all of it in MLflow; --no-tracking leaves MLflow out.
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dashboard_records as records
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchkit.api.record import COSTS, RESULT, write_files, write_json
from benchkit.api.run import Finished
from benchkit.monitor.kept_baselines import BaselineRequest, make_baseline
from benchkit.report.drift_json import drift_to_dict
from benchkit.report.gate_json import gate_to_dict
from benchkit.report.json_form import to_dict
from benchkit.settings import load_settings
from benchkit.store.drift_runs import log_drift
from benchkit.store.drift_state import DriftState, Progress
from benchkit.store.gate_runs import ModelFacts, log_gate
from benchkit.store.mlflow_store import log_comparison
from benchkit.store.promotion import promote
from benchkit.store.recorded import Recorded, content_id, write_recorded
from benchkit.store.scored_file import write_scored
from benchkit.types.drift import BaselineInfo
from benchkit.types.gate import Scored

STREAM = "help-centre"
PROMOTED = ("minilm", "bge")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=300, help="comparisons")
    parser.add_argument("--windows", type=int, default=200, help="drift checks")
    parser.add_argument("--gates", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-tracking", action="store_true", help="files and the drift history alone")
    given = parser.parse_args()
    mlruns = given.folder.absolute() / "mlruns"
    if (mlruns / "results").exists():
        parser.error(f"{mlruns} has results already; give a folder of its own")
    uri = None if given.no_tracking else f"sqlite:///{mlruns / 'mlflow.db'}"
    for name, make in (
        ("comparisons", lambda: [one_comparison(mlruns, uri, given.seed, number) for number in range(given.runs)]),
        ("gates", lambda: [one_gate(mlruns, uri, given.seed, number) for number in range(given.gates)]),
        ("champions", lambda: champions(given.folder, uri, given.runs)),
        ("drift checks", lambda: windows(given.folder, uri, given.seed, given.windows)),
    ):
        started = time.perf_counter()
        made = make()
        print(f"{len(made)} {name}: {time.perf_counter() - started:.0f} s", flush=True)
    print(f"look at them: cd {given.folder} && benchkit dashboard")


def one_comparison(mlruns: Path, uri: str | None, seed: int, number: int) -> Path:
    """Write one comparison as `benchkit compare` does, and return its folder."""
    comparison, samples = records.comparison_of(seed, number)
    finished = Finished(comparison, tuple(cell.result for cell in comparison.cells), samples)
    report = to_dict(comparison)
    folder = write_files(finished, report, mlruns / "results")
    if uri is not None:
        run = log_comparison(report, tracking_uri=uri, artifacts=[folder / RESULT, folder / COSTS])
        noted = Recorded(content_id(report), report["started"], uri, run.run_id, run.url_or_uri)
        write_recorded(folder, noted)
    return folder


def one_gate(mlruns: Path, uri: str | None, seed: int, number: int) -> Path:
    """Write one gate as `benchkit gate` does, and return its folder."""
    report = records.gate_of(seed, number)
    stamp = re.sub(r"[^0-9T]", "", report.started.partition("+")[0])
    folder = mlruns / "gates" / f"{stamp}-{report.suite.name}-{report.gate_id[:6]}"
    folder.mkdir(parents=True)
    form = gate_to_dict(report)
    write_json(folder / "gate.json", form)
    if uri is not None:
        log_gate(form, tracking_uri=uri, artifacts=[folder / "gate.json"])
    return folder


def champions(folder: Path, uri: str | None, runs: int) -> list[Any]:
    """Promote a model at the start, and another in the middle."""
    if uri is None or not runs:
        return []
    comparison, _ = records.comparison_of(1, 0)
    made = []
    for place, label in enumerate(PROMOTED):
        meta = next(meta for meta in comparison.models if meta.name == label)
        scored = Scored(
            model=meta,
            asked_as=label,
            suite=comparison.suite,
            cells=tuple(cell.result for cell in comparison.cells if cell.result.model == label),
            environment=records.ENVIRONMENT,
            created=comparison.started,
            source="just measured",
        )
        file = folder / "champion.json"
        write_scored(file, scored)
        made.append(
            promote(
                tracking_uri=uri,
                suite=records.SUITE,
                scored_file=file,
                model=ModelFacts.of(meta),
                gate=None,
                reason="made-up numbers",
                by="dashboard_data.py",
                forced=True,
                when=records.FIRST + place * runs / 2 * records.BETWEEN_RUNS,
            )
        )
        file.unlink()
    return made


def windows(folder: Path, uri: str | None, seed: int, n_windows: int) -> list[int]:
    """Make a baseline of drawn vectors, and keep the checks of a watch."""
    settings = load_settings(folder.absolute(), {})
    baseline = baseline_of(folder, seed)
    made = []
    with DriftState(settings.mlruns_dir / "drift" / "state.db") as state:
        progress = Progress()
        for number in range(n_windows):
            form = drift_to_dict(records.check_of(seed, number, n_windows, baseline))
            progress = state.commit(STREAM, replace(progress, facts={"windows": number + 1}), [form])
            kept = state.unrecorded(STREAM)[-1]
            made.append(kept.id)
            if uri is not None:
                state.recorded(kept.id, log_drift(form, tracking_uri=uri))
    return made


def baseline_of(folder: Path, seed: int) -> BaselineInfo:
    rng = np.random.default_rng([seed, 4])
    vectors = rng.normal(size=(3000, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    started = datetime(2025, 12, 1)
    times = pa.array([started + timedelta(minutes=10 * row) for row in range(len(vectors))])
    source = folder / "december.parquet"
    pq.write_table(pa.table({"embedding": pa.array(list(vectors)), "time": times}), source)
    made = make_baseline(
        BaselineRequest(name="help-centre", source=str(source)), settings=load_settings(folder.absolute(), {})
    )
    source.unlink()
    return replace(made, model="minilm", fingerprint=records.meta_of(records.KINDS[0]).fingerprint)


if __name__ == "__main__":
    main()
