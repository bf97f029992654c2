"""A source that falls silent: `benchkit drift watch --every` tells it, once, and tells when rows are back."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drift_data import times, vectors, write_parquet

from benchkit.monitor.watch import WatchRequest, watch_source
from benchkit.store.drift_state import DriftState
from tests.e2e.cli import Pause, call_benchkit, start_benchkit

START = np.datetime64("2026-03-02T00:00:00", "us")
WATCH = ("drift", "watch", "log", "--baseline", "prod", "--every", "1h", "--once", "--no-track")
ALERTS = ("--alert", "jsonl:alerts.jsonl")


def project_in(folder: Path) -> Path:
    """Make a project whose log has no row from 03:00 to 06:00; 100 rows come in every other hour."""
    rows, at = vectors(1000, seed=6), times(1000, start=START, seconds=36)
    write_parquet(folder / "old.parquet", vectors(3000, seed=1), timestamp=times(3000, start=START, seconds=36))
    made = call_benchkit(["drift", "baseline", "create", "prod", "--from", "old.parquet"], folder)
    assert made.code == 0, made.err
    for name, there in (("a", slice(0, 300)), ("b", slice(600, 1000))):
        write_parquet(folder / f"log/{name}.parquet", rows[there], timestamp=at[there])
    return folder


def history(project: Path) -> list[dict[str, Any]]:
    with DriftState(project / "mlruns/drift/state.db") as state:
        return [dict(kept.report) for kept in state.history()]


def seen(project: Path) -> list[tuple[str, int, str]]:
    return [(found["window"]["start"][11:16], found["window"]["rows"], found["severity"]) for found in history(project)]


def alerts(project: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project / "alerts.jsonl").read_text().splitlines()]


EXPECTED = [
    *((f"0{hour}:00", 100, "ok") for hour in range(3)),
    *((f"0{hour}:00", 0, "warn") for hour in range(3, 6)),
    *((f"0{hour}:00", 100, "ok") for hour in range(6, 10)),
]


def test_hours_without_rows_are_windows_of_their_own_and_told_with_their_end(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    ended = call_benchkit([*WATCH, *ALERTS], project)
    assert ended.code == 1, ended.err
    assert seen(project) == EXPECTED
    told = alerts(project)
    assert [(each["event"], each["window"]["start"][11:16]) for each in told] == [
        ("drift.alert", "03:00"),
        ("drift.recovery", "06:00"),
    ]
    assert told[0]["reason"] == "The window has 0 rows; such a window usually has about 100."
    assert told[0]["window"]["end"] == "2026-03-02T04:00:00Z"
    assert call_benchkit([*WATCH, *ALERTS], project).code == 0
    assert len(history(project)) == len(EXPECTED)


@pytest.mark.parametrize("commit", [1, 2, 3])
def test_each_is_told_once_whenever_the_watch_is_killed(tmp_path: Path, commit: int) -> None:
    project = project_in(tmp_path)
    pause = Pause("benchkit.store.drift_state:DriftState.commit", commit)
    with start_benchkit([*WATCH, *ALERTS], project, pause=pause) as running:
        running.wait_for_pause()
        running.kill()
    call_benchkit([*WATCH, *ALERTS], project)
    assert seen(project) == EXPECTED
    assert len({each["id"] for each in alerts(project)}) == 2


def test_a_source_that_falls_silent_is_told_when_the_clock_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Twenty rows a second.
    write_parquet(tmp_path / "old.parquet", vectors(3000, seed=1), timestamp=times(3000, start=START, seconds=0.05))
    project = tmp_path
    made = call_benchkit(["drift", "baseline", "create", "prod", "--from", "old.parquet"], project)
    assert made.code == 0, made.err
    monkeypatch.chdir(project)
    now = np.datetime64(time.time_ns() // 1000, "us")
    write_parquet(project / "live/a.parquet", vectors(100, seed=7), timestamp=np.full(100, now))
    request = WatchRequest(
        source="live", baseline="prod", every=timedelta(seconds=1), lateness=timedelta(0), poll_s=0.02, track=False
    )
    stop, told = threading.Event(), []

    def heard(report: Any) -> None:
        told.append(report)
        if len(told) == 4:
            stop.set()

    deadline = threading.Timer(30, stop.set)
    deadline.start()
    watch_source(request, stop=stop, on_report=heard)
    deadline.cancel()
    assert [report.window.rows for report in told] == [100, 0, 0, 0]
    assert [report.severity for report in told[1:]] == ["warn"] * 3
    numbers = [report.window.number for report in told]
    assert numbers == list(range(numbers[0], numbers[0] + 4))
