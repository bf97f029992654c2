"""The end of a watch and its next start: nobody waits for a server, the end is told, and what stood is shown again."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from drift_data import times, vectors, write_parquet
from local_server import LocalServer

from tests.e2e.cli import Called, call_benchkit, start_benchkit

WATCH = ("drift", "watch", "log", "--baseline", "prod", "--window-size", "250", "--no-track")
ALERTS = ("--alert", "jsonl:alerts.jsonl")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a baseline."""
    write_parquet(tmp_path / "reference.parquet", vectors(2000, seed=1))
    assert call(tmp_path, "drift", "baseline", "create", "prod", "--from", "reference.parquet").code == 0
    return tmp_path


def call(project: Path, *args: str) -> Called:
    called = call_benchkit([*args], project)
    assert "Traceback" not in called.err
    return called


def broken(n: int) -> np.ndarray:
    rows = vectors(n, seed=3)
    rows[::2] = np.nan
    return rows


def alerts(project: Path) -> list[tuple[str, str]]:
    found = [json.loads(line) for line in (project / "alerts.jsonl").read_text().splitlines()]
    return [(alert["event"], alert["reason"]) for alert in found]


@dataclass
class Hook:
    """A webhook's receiver: what it answers and after how long, and how often it was asked."""

    status: int
    delay_s: float
    asked: int = 0


@contextmanager
def serving(hook: Hook) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            hook.asked += 1
            time.sleep(hook.delay_s)
            self.send_response(hook.status)
            self.send_header("Retry-After", "20")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
            pass

    server = LocalServer(Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"webhook:http://127.0.0.1:{server.server_address[1]}/hook"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("hook", [Hook(503, 0.0), Hook(200, 8.0)], ids=["between two tries", "within one"])
def test_sigterm_while_an_alert_is_tried_again_ends_soon_and_the_next_start_tells_it(project: Path, hook: Hook) -> None:
    write_parquet(project / "log/a.parquet", broken(250))
    with serving(hook) as sink:
        with start_benchkit([*WATCH, "--alert", sink], project) as running:
            deadline = time.monotonic() + 60
            while not hook.asked:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            running.process.send_signal(signal.SIGTERM)
            sent = time.monotonic()
            ended = running.finish()
            assert time.monotonic() - sent < 7
        assert ended.returncode == 0, ended.stderr
        assert "not delivered, tried again later" in ended.stderr
        hook.status, hook.delay_s, hook.asked = 200, 0.0, 0
        for _ in range(2):
            assert call(project, *WATCH, "--once", "--alert", sink).code == 0
        assert hook.asked == 1


def test_the_end_of_a_watch_is_told_also_where_something_as_bad_stands(project: Path) -> None:
    write_parquet(project / "log/a.parquet", broken(250))
    call(project, *WATCH, "--once", *ALERTS)
    path = project / "log/b.parquet"
    path.write_bytes(b"PAR1 and nothing that a footer would say PAR1")
    os.utime(path, (1, 1))
    for _ in range(2):
        assert call(project, *WATCH, "--once", *ALERTS).code == 2
    (_, first), (event, last) = alerts(project)
    assert "NaN" in first
    assert (event, "b.parquet" in last) == ("drift.alert", True)
    path.unlink()
    write_parquet(project / "log/c.parquet", vectors(250, seed=4))
    assert call(project, *WATCH, "--once", *ALERTS).code == 0
    assert [event for event, _ in alerts(project)] == ["drift.alert"] * 2 + ["drift.recovery"]


@pytest.mark.parametrize(
    "damage",
    [
        "progress = '{}'",
        "progress = json_remove(progress, '$.facts.cut')",
        "progress = json_remove(progress, '$.facts.cut.number')",
        "progress = json_set(progress, '$.facts.standing', 'x')",
        "progress = json_set(progress, '$.facts.alerts', 'x')",
        "window = substr(window, 1, 100)",
        "window = 'text'",
    ],
)
def test_what_is_kept_of_a_watch_and_is_damaged_is_one_error_and_no_drift(project: Path, damage: str) -> None:
    write_parquet(project / "log/a.parquet", vectors(300, seed=2))
    call(project, *WATCH, "--once")
    with closing(sqlite3.connect(project / "mlruns/drift/state.db")) as db:
        db.execute(f"UPDATE streams SET {damage}")
        db.commit()
    refused = call(project, *WATCH, "--once")
    assert refused.code == 2
    assert refused.err.count("state.db: what is kept of this watch can't be read") == 1
    assert "put a copy of the file back" in refused.err


def test_metrics_of_a_restart_show_the_last_window_and_count_from_zero(project: Path) -> None:
    write_parquet(project / "log/a.parquet", broken(250))
    call(project, *WATCH, "--once")
    # The same place, written otherwise.
    command = ["drift", "watch", str(project / "log"), *WATCH[3:]]
    with start_benchkit([*command, "--poll", "0.05", "--metrics-port", "0"], project) as running:
        assert running.process.stderr is not None
        said = iter(running.process.stderr.readline, "")
        place = next(line for line in said if line.startswith("metrics on ")).split()[-1]
        deadline = time.monotonic() + 30
        text = ""
        while "benchkit_drift_severity{" not in text:
            assert time.monotonic() < deadline, text
            time.sleep(0.05)
            with urllib.request.urlopen(place, timeout=10) as answer:
                text = answer.read().decode()
        running.process.send_signal(signal.SIGTERM)
        assert running.finish().returncode == 0
    labels = f'{{baseline="prod",source="{project}/log"}}'
    assert f"benchkit_drift_severity{labels} 3.0" in text
    assert f"benchkit_drift_windows_total{labels} 0.0" in text
    assert 'benchkit_drift_severity{baseline="prod",source="log"}' not in text


def test_a_baseline_renewed_with_a_model_of_another_dimension_is_gone_on_with(project: Path) -> None:
    write_parquet(project / "log/a.parquet", vectors(600, seed=2))
    call(project, *WATCH, "--once")
    write_parquet(project / "new.parquet", vectors(2000, seed=1, dimension=20))
    assert call(project, "drift", "baseline", "renew", "prod", "--from", "new.parquet").code == 0
    write_parquet(project / "log/b.parquet", vectors(600, seed=3, dimension=20))
    again = call(project, *WATCH, "--once")
    assert again.code == 0, again.err
    assert "stopped after 2 windows" in again.err
    # A file of the model before is told as what it is.
    write_parquet(project / "log/c.parquet", vectors(600, seed=2))
    refused = call(project, *WATCH, "--once")
    assert refused.code == 4
    assert "the rows of c.parquet have 16 dimensions and the baseline 'prod' has 20" in refused.err


def test_a_source_of_few_rows_that_falls_silent_twice_is_told_twice(project: Path) -> None:
    start = np.datetime64("2026-03-02T00:00:00", "us")
    every = times(2000, start=start, seconds=180)  # twenty an hour
    write_parquet(project / "slow.parquet", vectors(2000, seed=1), timestamp=every)
    assert call(project, "drift", "baseline", "create", "slow", "--from", "slow.parquet").code == 0
    keep = np.isin(np.arange(200) // 20, [0, 1, 3, 4, 6, 7, 8, 9])
    write_parquet(project / "log/a.parquet", vectors(200, seed=2)[keep], timestamp=every[:200][keep])
    command = ("drift", "watch", "log", "--baseline", "slow", "--every", "1h", "--once", "--no-track")
    call(project, *command, *ALERTS)
    assert [event for event, _ in alerts(project)] == ["drift.alert", "drift.recovery"] * 2
