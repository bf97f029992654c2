"""A baseline that was renewed: its watch goes on where it stopped, against the new one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from drift_data import times, vectors, write_parquet

from benchkit.store.drift_state import DriftState
from tests.e2e.cli import Called, call_benchkit

START = np.datetime64("2026-03-02T00:00:00", "us")
MOVED = 0.4  # of the rows are of the new domain


def run(project: Path, *args: str, code: int = 0) -> Called:
    called = call_benchkit(["drift", *args], project)
    assert called.code == code, called.err
    return called


def watch(project: Path, *windows: str, code: int = 0) -> Called:
    options = ("--once", "--no-track", "--alert", "jsonl:alerts.jsonl")
    return run(project, "watch", "log", "--baseline", "prod", *windows, *options, code=code)


def windows_of(project: Path) -> list[dict[str, Any]]:
    with DriftState(project / "mlruns/drift/state.db") as state:
        return [dict(kept.report) for kept in state.history()]


def alerts(project: Path) -> list[str]:
    return [json.loads(line)["event"] for line in (project / "alerts.jsonl").read_text().splitlines()]


def test_a_watch_goes_on_against_the_renewed_baseline_and_ends_its_alarm(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    write_parquet(tmp_path / "old.parquet", vectors(3000, seed=1))
    write_parquet(tmp_path / "new.parquet", vectors(3000, seed=2, domain=MOVED))
    write_parquet(tmp_path / "log/a.parquet", vectors(1000, seed=3))
    write_parquet(tmp_path / "log/b.parquet", vectors(1600, seed=4, domain=MOVED))
    run(tmp_path, "baseline", "create", "prod", "--from", "old.parquet")
    watch(tmp_path, "--window-size", "500", code=1)
    assert alerts(tmp_path) == ["drift.alert"]
    run(tmp_path, "baseline", "renew", "prod", "--from", "new.parquet")
    again = watch(tmp_path, "--window-size", "500")
    assert "100 rows of unfinished windows were counted against the baseline before" in again.err
    assert len(windows_of(tmp_path)) == 5
    write_parquet(tmp_path / "log/c.parquet", vectors(1500, seed=5, domain=MOVED))
    watch(tmp_path, "--window-size", "500")
    found = windows_of(tmp_path)
    assert [report["window"]["number"] for report in found] == list(range(8))
    assert [report["severity"] for report in found[5:]] == ["ok"] * 3
    assert [report["evidence"]["windows"] for report in found[5:]] == [1, 2, 3]
    assert alerts(tmp_path) == ["drift.alert", "drift.recovery"]


def test_a_span_that_was_begun_before_the_renewal_is_not_told_as_one_with_few_rows(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    rows, at = vectors(2000, seed=6), times(2000, start=START, seconds=36)  # 100 an hour
    write_parquet(tmp_path / "old.parquet", vectors(3000, seed=1), timestamp=times(3000, start=START, seconds=36))
    write_parquet(tmp_path / "new.parquet", vectors(3000, seed=2), timestamp=times(3000, start=START, seconds=36))
    write_parquet(tmp_path / "log/a.parquet", rows[:190], timestamp=at[:190])
    run(tmp_path, "baseline", "create", "prod", "--from", "old.parquet")
    watch(tmp_path, "--every", "1h", "--lateness", "50000w")
    run(tmp_path, "baseline", "renew", "prod", "--from", "new.parquet")
    write_parquet(tmp_path / "log/b.parquet", rows[190:], timestamp=at[190:])
    watch(tmp_path, "--every", "1h")
    found = windows_of(tmp_path)
    assert {report["window"]["rows"] for report in found} == {100}
    assert found[0]["window"]["start"] == "2026-03-02T02:00:00Z"
    assert {report["severity"] for report in found} == {"ok"}
