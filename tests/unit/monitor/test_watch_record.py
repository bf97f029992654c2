"""The record of a watch's windows in MLflow: all of them in the end, in bounded memory, and none while it is to end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import drift_reports
import pytest

from benchkit.monitor import watch_record
from benchkit.monitor.watch_record import Recorder
from benchkit.report.drift_json import drift_to_dict
from benchkit.store import drift_runs
from benchkit.store.drift_state import DriftState, Progress


def form(number: int) -> dict[str, Any]:
    made = drift_to_dict(drift_reports.quiet())
    return {**made, "window": {**made["window"], "number": number}}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[DriftState]:
    with DriftState(tmp_path / "state.db") as opened:
        opened.commit("a", Progress(), [form(number) for number in range(3)])
        yield opened


def runs(folder: Path) -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlruns/mlflow.db'}")
    return client.search_runs([found.experiment_id for found in client.search_experiments()])


def test_windows_are_recorded_once_and_in_parts(
    state: DriftState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unrecorded = DriftState.unrecorded
    monkeypatch.setattr(DriftState, "unrecorded", lambda state, stream: unrecorded(state, stream, limit=2))
    recorder = Recorder(state, "a", str(tmp_path / "mlruns"), threading.Event())
    assert recorder.record() is None
    assert recorder.record() is None
    assert len(runs(tmp_path)) == 3
    assert state.unrecorded("a") == []


def test_a_store_that_is_away_is_told_and_sums_wait_in_bounded_memory(
    state: DriftState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_record, "MOST_SUMS", 2)
    (tmp_path / "mlruns").touch()
    recorder = Recorder(state, "a", str(tmp_path / "mlruns"), threading.Event())
    for number in range(3):
        recorder.keep(number, b"sums of %d" % number)
    assert "mlruns" in (recorder.record() or "")
    (tmp_path / "mlruns").unlink()
    kept = list[bytes]()
    log_drift = drift_runs.log_drift

    def noting(*args: Any, sketch: bytes, **options: Any) -> str:
        kept.append(sketch)
        return log_drift(*args, sketch=sketch, **options)

    monkeypatch.setattr(drift_runs, "log_drift", noting)
    assert recorder.record() is None
    assert kept == [b"", b"sums of 1", b"sums of 2"]


def test_nothing_more_is_recorded_by_who_is_to_end(state: DriftState, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    assert Recorder(state, "a", str(tmp_path / "mlruns"), stop).record() == ""
    assert len(state.unrecorded("a")) == 3
