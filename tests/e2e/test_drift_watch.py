"""`benchkit drift watch` for real: every row counted once, whatever ends the process, and alerts told once.

the same stream ─┬─ read at once ───────────────────────────────────────────────┐
                 └─ in pieces, killed at each dangerous place, started again ... ┴─ the same verdicts and sums
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Any

import numpy as np
import pytest
from drift_data import times, vectors, write_jsonl, write_parquet
from local_server import LocalServer
from numpy.typing import NDArray
from qdrant_server import QdrantServer

from benchkit.monitor import watch as monitor_watch
from benchkit.monitor.window import unpack
from benchkit.sources.windows import WindowCutter
from benchkit.store.drift_state import DriftState
from tests.e2e.cli import COMMAND, Called, Pause, call_benchkit, environment, start_benchkit

WINDOW = 250
FILES, FILE_ROWS = 12, 230
ROWS = FILES * FILE_ROWS
WATCH = ("drift", "watch", "log", "--baseline", "prod", "--window-size", str(WINDOW), "--no-track")
ALERTS = ("--alert", "jsonl:alerts.jsonl")


def stream() -> NDArray[np.float32]:
    """Return the rows of the stream: a new domain comes after two fifths and goes again."""
    parts = [vectors(1000, seed=21), vectors(600, seed=22, domain=0.4), vectors(ROWS - 1600, seed=23)]
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_parquet(folder / "reference.parquet", vectors(4000, seed=1))
    assert call_benchkit(["drift", "baseline", "create", "prod", "--from", "reference.parquet"], folder).code == 0
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A project with the baseline "prod" and nothing else."""
    folder = tmp_path / "project"
    shutil.copytree(made, folder)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose watch took the whole stream at once."""
    folder = tmp_path_factory.mktemp("whole") / "project"
    shutil.copytree(made, folder)
    write_log(folder)
    watch(folder, *ALERTS, code=1)
    return folder


def write_log(project: Path, files: Sequence[int] = range(FILES)) -> None:
    rows = stream()
    for number in files:
        write_parquet(
            project / "log" / f"part-{number}.parquet", rows[number * FILE_ROWS : (number + 1) * FILE_ROWS]
        )  # fmt: skip


def watch(project: Path, *args: str, code: int = 0, command: Sequence[str] = WATCH) -> Called:
    called = call_benchkit([*command, "--once", *args], project)
    assert "Traceback" not in called.err + called.out
    assert called.code == code, called.err
    return called


# ---------------------------------------------------------------- what a watch left


def verdicts(project: Path) -> list[dict[str, Any]]:
    """Return the history without the times at which it was made."""
    with DriftState(project / "mlruns/drift/state.db") as state:
        found = [dict(kept.report) for kept in state.history()]
    for report in found:
        del report["checked_at"]
    return found


def unfinished(project: Path) -> dict[str, Any]:
    """Return the sums of the windows that aren't full."""
    db = sqlite3.connect(project / "mlruns/drift/state.db")
    try:
        (content,) = db.execute("SELECT window FROM streams").fetchone()
    finally:
        db.close()
    return {
        name: {
            "rows": window.rows,
            "health": {key: value.tolist() for key, value in window.health.to_arrays().items()},
            "sketch": {key: value.tolist() for key, value in window.sketch.to_arrays().items()},
        }
        for name, window in unpack(content).items()
    }


def committed(project: Path) -> int:
    """Return how many rows were counted; 0 before the first commit."""
    try:
        return sum(report["window"]["rows"] for report in verdicts(project)) + sum(
            window["rows"] for window in unfinished(project).values()
        )
    except TypeError:  # no stream yet
        return 0


def alerts(project: Path) -> list[dict[str, Any]]:
    path = project / "alerts.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def told(project: Path) -> list[tuple[str, int]]:
    """Return what was told, each message once: a crash may repeat one, with the same id."""
    by_id = {alert["id"]: (alert["event"], alert["window"]["number"]) for alert in alerts(project)}
    return list(by_id.values())


def near(found: object, expected: object) -> None:
    """Hold two forms against each other: sums of floats in another order differ in the last digits."""
    if isinstance(expected, dict):
        assert isinstance(found, dict)
        assert found.keys() == expected.keys()
        for key in expected:
            near(found[key], expected[key])
    elif isinstance(expected, list):
        assert isinstance(found, list)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            near(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
    elif not (isinstance(expected, str) and any(sign.isdigit() for sign in expected)):
        # A sentence holds rounded figures; those themselves are held against each other.
        assert found == expected


def same(project: Path, uninterrupted: Path) -> None:
    near(verdicts(project), verdicts(uninterrupted))
    near(unfinished(project), unfinished(uninterrupted))
    assert committed(project) == ROWS
    assert told(project) == told(uninterrupted)


# ---------------------------------------------------------------- in pieces


def test_whole_stream_is_cut_judged_and_told_once(uninterrupted: Path) -> None:
    reports = verdicts(uninterrupted)
    assert [report["window"]["rows"] for report in reports] == [WINDOW] * (ROWS // WINDOW)
    assert [report["window"]["number"] for report in reports] == list(range(ROWS // WINDOW))
    assert [window["rows"] for window in unfinished(uninterrupted).values()] == [ROWS % WINDOW]
    assert committed(uninterrupted) == ROWS
    assert [alert["event"] for alert in alerts(uninterrupted)] == ["drift.alert", "drift.recovery"]
    # The domain comes within window 4; it must be found in at most three windows.
    assert 4 <= alerts(uninterrupted)[0]["window"]["number"] <= 6
    assert {report["severity"] for report in reports[:4]} == {"ok"}


def test_second_run_counts_nothing_again_and_a_file_that_comes_later_goes_on(
    project: Path, uninterrupted: Path
) -> None:
    write_log(project, range(3))
    first = watch(project, *ALERTS)
    assert "stopped after 2 windows" in first.err
    again = watch(project, *ALERTS)
    assert "stopped after 0 windows" in again.err
    assert again.out == ""
    assert committed(project) == 3 * FILE_ROWS
    for number in range(3, FILES):
        write_log(project, [number])
        call_benchkit([*WATCH, "--once", *ALERTS], project)
        assert committed(project) == (number + 1) * FILE_ROWS
    same(project, uninterrupted)


def test_file_that_sorts_before_what_was_read_is_counted_too(project: Path) -> None:
    write_log(project, [5])
    watch(project)
    write_log(project, [1])
    watch(project)
    assert committed(project) == 2 * FILE_ROWS


def test_growing_lines_are_counted_when_they_are_whole(project: Path) -> None:
    command = ("drift", "watch", "log.jsonl", *WATCH[3:])
    rows = stream()
    path = write_jsonl(project / "log.jsonl", rows[:400])
    watch(project, command=command)
    assert committed(project) == 400
    whole = json.dumps({"embedding": rows[400].tolist()}) + "\n"
    with path.open("a") as file:
        file.write(whole[:50])
    watch(project, command=command)
    assert committed(project) == 400
    with path.open("a") as file:
        file.write(whole[50:])
    write_jsonl(path, rows[401:500], append=True)
    watch(project, command=command)
    assert committed(project) == 500
    assert [report["window"]["rows"] for report in verdicts(project)] == [WINDOW, WINDOW]


def test_windows_of_time_in_pieces_are_those_of_one_run(project: Path, made: Path, tmp_path: Path) -> None:
    command = ("drift", "watch", "log", "--baseline", "prod", "--every", "10m", "--no-track")
    rows, stamps = vectors(2000, seed=2), times(2000, seconds=2)
    other = tmp_path / "other"
    shutil.copytree(made, other)
    for number in range(4):
        part = slice(number * 500, (number + 1) * 500)
        write_parquet(other / "log" / f"{number}.parquet", rows[part], timestamp=stamps[part])
    watch(other, command=command)
    shutil.copytree(other / "log", project / "log")
    # The clock closes what is open when a source was read to its end, so pieces are whole windows here.
    found = [(report["window"]["start"], report["window"]["rows"]) for report in verdicts(other)]
    assert [n for _, n in found] == [300, 300, 300, 300, 300, 300, 200]
    assert found[1][0] == "2026-09-01T00:10:00Z"
    pause = Pause("benchkit.store.drift_state:DriftState.commit", 3)
    with start_benchkit([*command, "--once"], project, pause=pause) as running:
        running.wait_for_pause()
        running.kill()
    watch(project, command=command)
    near(verdicts(project), verdicts(other))
    assert sum(n for _, n in found) == 2000


def test_rows_that_are_left_out_are_told_where_no_window_closes(project: Path) -> None:
    ahead = np.datetime64(time.time_ns() // 1000, "us") + np.timedelta64(5, "h")
    write_parquet(project / "log/a.parquet", vectors(70, seed=7), timestamp=times(70, start=ahead))
    command = ("drift", "watch", "log", "--baseline", "prod", "--every", "1h", "--once", "--no-track")
    first = watch(project, command=command)
    assert first.err.count("70 are of the future (a wrong clock)") == 1
    assert verdicts(project) == []
    # A window that closes tells of them in its report, and nothing else does.
    at = np.datetime64("2026-03-01T00:00:00", "us")
    write_parquet(project / "log/b.parquet", vectors(100, seed=8), timestamp=times(100, start=at, seconds=60))
    second = watch(project, command=command)
    assert "left out" not in second.err
    assert any("70 are of the future" in note for note in verdicts(project)[0]["notes"])
    assert "left out" not in watch(project, command=command).err


def test_other_windows_are_another_watch(project: Path) -> None:
    write_log(project, range(3))
    assert "stopped after 2 windows" in watch(project).err
    smaller = watch(project, command=(*WATCH, "--window-size", str(WINDOW // 2)))
    assert "stopped after 5 windows" in smaller.err


@pytest.mark.parametrize("changed", [("--run-length", "5000"), ("--tolerance", "0.01")])
def test_another_policy_goes_on_in_the_same_place_and_tells_nothing_again(
    changed: tuple[str, str], project: Path
) -> None:
    write_log(project, range(FILES))
    watch(project, *ALERTS, code=1)
    before = told(project)
    assert before
    assert "stopped after 0 windows" in watch(project, *changed, *ALERTS).err
    assert told(project) == before


# ---------------------------------------------------------------- what goes wrong


def test_source_that_vanishes_and_comes_back_is_followed_on(project: Path) -> None:
    write_log(project, range(3))
    watch(project)
    (project / "log").rename(project / "away")
    assert "no such file or directory" in watch(project, code=2).err
    (project / "away").rename(project / "log")
    write_log(project, [3])
    watch(project)
    assert committed(project) == 4 * FILE_ROWS


class Following:
    """A watch in a thread of this process, which a test waits on without sleeping long."""

    def __init__(self, project: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        monkeypatch.chdir(project)
        self.project, self.stop, self.said = project, Event(), list[str]()
        given = {"source": "log", "size": WINDOW} | options
        self._request = monitor_watch.WatchRequest(baseline="prod", poll_s=0.01, track=False, **given)
        self._thread = Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.ended = monitor_watch.watch_source(self._request, stop=self.stop, on_message=self.said.append)

    def __enter__(self) -> Following:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert self._thread.is_alive(), "the watch has ended"
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def counted(self, rows: int) -> None:
        self.until(lambda: state_is_there(self.project) and committed(self.project) == rows)

    @property
    def waits(self) -> int:
        return sum(said.startswith(f"waiting for rows: {self._request.source}: ") for said in self.said)


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("windows", [{}, {"size": None, "every": timedelta(minutes=10)}], ids=["size", "every"])
def test_source_that_is_not_there_yet_is_waited_for_and_told_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, windows: dict[str, Any], is_there: bool
) -> None:
    if is_there:
        (project / "log").mkdir()
    with Following(project, monkeypatch, **windows) as following:
        following.until(lambda: following.waits == 1)
        time.sleep(0.1)  # ten looks
        assert following.waits == 1
        # Rows of long ago: nothing has closed their windows yet.
        write_parquet(project / "log" / "part-0.parquet", stream()[:FILE_ROWS], timestamp=times(FILE_ROWS))
        following.counted(FILE_ROWS)
    assert len(following.said) == 1


def test_source_that_vanishes_while_it_is_followed_is_waited_for_and_nothing_is_counted_twice(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(project, range(3))
    with Following(project, monkeypatch) as following:
        following.counted(3 * FILE_ROWS)
        assert following.waits == 0
        for times_gone in (1, 2):
            (project / "log").rename(project / "away")
            following.until(lambda n=times_gone: following.waits == n)
            (project / "away").rename(project / "log")
            write_log(project, [2 + times_gone])
            following.counted((3 + times_gone) * FILE_ROWS)
    assert following.ended == 5 * FILE_ROWS // WINDOW


def test_database_that_goes_down_while_it_is_followed_is_waited_for_and_nothing_is_counted_twice(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("qdrant_client", reason="the package qdrant-client isn't installed")
    rows = stream()[: 5 * FILE_ROWS]
    with QdrantServer() as server:
        server.put(range(FILE_ROWS), rows[:FILE_ROWS])
        with Following(project, monkeypatch, source=server.url, batch_rows=50) as following:
            following.counted(FILE_ROWS)
            for times_gone in (1, 2):
                # It goes down while new rows are read: that the collection exists, what it holds, their count and two
                # pages come.
                server.answers = 5
                here = range(2 * times_gone * FILE_ROWS - FILE_ROWS, 2 * times_gone * FILE_ROWS + FILE_ROWS)
                server.put(here, rows[here.start : here.stop])
                following.until(lambda n=times_gone: following.waits == n)
                server.answers = None
                following.counted(here.stop)
    assert following.waits == 2
    assert following.ended == 5 * FILE_ROWS // WINDOW


def test_database_that_never_answered_ends_the_watch(project: Path) -> None:
    pytest.importorskip("qdrant_client", reason="the package qdrant-client isn't installed")
    with QdrantServer() as server:
        server.answers = 0
        said = call_benchkit(["drift", "watch", server.url, *WATCH[3:]], project)
    assert said.code == 2
    assert "Qdrant can't be read" in said.err


def test_window_of_an_emptied_folder_is_closed_by_the_clock(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(project / "log" / "0.parquet", stream()[:FILE_ROWS], timestamp=times(FILE_ROWS))
    close_due, is_late = WindowCutter.close_due, Event()
    monkeypatch.setattr(WindowCutter, "close_due", lambda cutter: close_due(cutter) if is_late.is_set() else [])
    with Following(project, monkeypatch, size=None, every=timedelta(minutes=10)) as following:
        following.counted(FILE_ROWS)
        path.unlink()
        following.until(lambda: following.waits == 1)
        assert unfinished(project)
        is_late.set()
        following.until(lambda: not unfinished(project))
    assert [report["window"]["rows"] for report in verdicts(project)] == [FILE_ROWS]


def test_window_of_a_vanished_folder_stays_open_for_rows_that_may_be_in_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(project / "log" / "0.parquet", stream()[:FILE_ROWS], timestamp=times(FILE_ROWS))
    close_due, is_late = WindowCutter.close_due, Event()
    monkeypatch.setattr(WindowCutter, "close_due", lambda cutter: close_due(cutter) if is_late.is_set() else [])
    with Following(project, monkeypatch, size=None, every=timedelta(minutes=10)) as following:
        following.counted(FILE_ROWS)
        (project / "log").rename(project / "away")
        following.until(lambda: following.waits == 1)
        is_late.set()
        time.sleep(0.1)  # ten looks
        assert unfinished(project)


def test_source_that_is_not_there_is_an_error_where_the_watch_runs_once(project: Path) -> None:
    assert "no such file or directory" in watch(project, *ALERTS, code=2).err
    (project / "log").mkdir()
    assert "nothing to read; no file is there" in watch(project, *ALERTS, code=2).err
    assert alerts(project) == []


@pytest.mark.parametrize(
    ("source", "said"), [("nowhere://log", "no kind of store that is known"), ("log.csv", "nothing to read; found")]
)
def test_source_that_can_never_be_read_ends_the_watch_at_once(project: Path, source: str, said: str) -> None:
    (project / "log.csv").write_text("1,2")
    command = ("drift", "watch", source, *WATCH[3:], "--poll", "0.01")
    refused = call_benchkit(command, project)
    assert refused.code == 2
    assert said in refused.err
    assert "waiting" not in refused.err


def test_damaged_file_ends_the_watch_with_an_alert_told_once(project: Path) -> None:
    write_log(project, range(3))
    watch(project)
    path = project / "log" / "part-3.parquet"
    path.write_bytes(b"PAR1 and nothing that a footer would say PAR1")
    os.utime(path, (1, 1))
    for _ in range(2):
        refused = call_benchkit([*WATCH, *ALERTS, "--poll", "0.01"], project)
        assert refused.code == 2
        assert "part-3.parquet" in refused.err
    (alert,) = alerts(project)
    assert (alert["event"], alert["severity"], alert["kind"]) == ("drift.alert", "critical", "pipeline")
    assert "part-3.parquet" in alert["reason"]
    assert committed(project) == 3 * FILE_ROWS


def test_rows_of_another_dimension_are_an_alert_told_once_and_its_end_a_recovery(project: Path) -> None:
    path = write_parquet(project / "log" / "part-0.parquet", vectors(100, dimension=8))
    for _ in range(2):
        refused = call_benchkit([*WATCH, *ALERTS, "--poll", "0.01"], project)
        assert refused.code == 4, refused.err
    (alert,) = alerts(project)
    assert (alert["event"], alert["severity"], alert["kind"]) == ("drift.alert", "critical", "pipeline")
    assert "the rows of part-0.parquet have 8 dimensions and the baseline 'prod' has 16" in alert["reason"]
    assert "start it again" in alert["advice"]
    assert (committed(project), alert["window"]["rows"], alert["p_value"]) == (0, 0, None)
    path.unlink()
    write_log(project, range(2))
    watch(project, *ALERTS)
    assert [alert["event"] for alert in alerts(project)] == ["drift.alert", "drift.recovery"]


def test_rows_of_another_model_are_an_alert_told_once_and_nothing_of_them_is_counted(project: Path) -> None:
    from benchkit.monitor import EmbeddingLog

    for name, rows in (("then", vectors(2000, seed=3)), ("log", vectors(300, seed=4))):
        with EmbeddingLog(project / name, model="minilm", fingerprint="a" * 64) as log:
            for row in rows:
                log.record(row)
    made = call_benchkit(["drift", "baseline", "create", "known", "--from", "then"], project)
    assert made.code == 0, made.err
    command = ("drift", "watch", "log", "--baseline", "known", *WATCH[5:])
    watch(project, command=command)
    (report,) = verdicts(project)
    assert (report["window"]["model"], report["window"]["fingerprint"]) == ("minilm", "a" * 64)
    with EmbeddingLog(project / "log", model="other", fingerprint="b" * 64) as log:
        for row in vectors(300, seed=5):
            log.record(row)
    for _ in range(2):
        refused = call_benchkit([*command, *ALERTS, "--poll", "0.01"], project)
        assert refused.code == 4, refused.err
    (alert,) = alerts(project)
    assert (alert["severity"], alert["kind"]) == ("critical", "model")
    assert "they are of the model other (bbbbbbbbbbbb)" in alert["reason"]
    assert committed(project) == 300


def test_alert_of_the_end_that_was_not_delivered_is_told_by_the_next_start(
    project: Path, hook: tuple[Hook, str]
) -> None:
    receiver, sink = hook
    receiver.status = 400
    write_parquet(project / "log" / "part-0.parquet", vectors(100, dimension=8))
    command = [*WATCH, "--alert", sink, "--poll", "0.01"]
    assert "not delivered" in call_benchkit(command, project).err
    receiver.status = 200
    for _ in range(2):
        assert call_benchkit(command, project).code == 4
    assert [body["kind"] for body in receiver.got] == ["pipeline"]


def test_file_that_was_replaced_after_it_was_read_is_an_error(project: Path) -> None:
    write_log(project, range(2))
    watch(project)
    write_parquet(project / "log" / "part-1.parquet", vectors(FILE_ROWS, seed=99))
    refused = watch(project, code=2)
    assert "part-1.parquet" in refused.err
    assert committed(project) == 2 * FILE_ROWS


def test_half_written_file_is_left_for_later(project: Path) -> None:
    write_log(project, range(2))
    path = project / "log" / "part-1.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-50])
    watch(project)
    assert committed(project) == FILE_ROWS
    path.write_bytes(content)
    watch(project)
    assert committed(project) == 2 * FILE_ROWS


def test_rows_of_another_dimension_end_the_watch_and_keep_what_was_counted(project: Path) -> None:
    write_log(project, range(2))
    write_parquet(project / "log" / "part-2.parquet", vectors(100, dimension=8))
    refused = call_benchkit([*WATCH, "--once", *ALERTS], project)
    assert refused.code == 4
    assert "the rows of part-2.parquet have 8 dimensions and the baseline 'prod' has 16" in refused.err
    assert "Traceback" not in refused.err
    assert committed(project) == 2 * FILE_ROWS
    assert [(alert["severity"], alert["kind"]) for alert in alerts(project)] == [("critical", "pipeline")]
    (project / "log" / "part-2.parquet").unlink()
    write_log(project, [2])
    assert watch(project).code == 0
    assert committed(project) == 3 * FILE_ROWS


def test_rows_of_another_dimension_within_a_file_are_damage_of_it(project: Path) -> None:
    path = write_jsonl(project / "log" / "a.jsonl", vectors(300, seed=3))
    watch(project)
    write_jsonl(path, vectors(1, dimension=8), append=True)
    refused = watch(project, *ALERTS, code=2)
    assert "a.jsonl: row 300: a vector of dimension 8, where the others have 16" in refused.err
    assert len(alerts(project)) == 1
    assert committed(project) == 300


def test_second_watch_of_one_stream_is_refused_and_the_first_goes_on(project: Path) -> None:
    write_log(project, range(3))
    pause = Pause(f"{STATE}:DriftState.commit", 2)
    with start_benchkit([*WATCH, "--poll", "0.05"], project, pause=pause) as first:
        first.wait_for_pause()
        before = committed(project)
        refused = watch(project, *ALERTS, code=2)
        assert "another process follows the same source" in refused.err
        assert committed(project) == before
        assert first.process.poll() is None
        # Windows of another size are another watch.
        assert watch(project, command=[*WATCH[:6], "300", *WATCH[7:]]).code == 0
        first.kill()
    assert "stopped after" in watch(project).err  # the lock has ended with its process


def test_two_watches_exclude_each_other_where_a_file_system_has_no_locks(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(project, range(3))
    commit, others = DriftState.commit, []

    def commit_after_another(state: DriftState, *args: Any) -> Any:
        if not others:
            others.append(None)
            others[0] = watch(project)
        return commit(state, *args)

    def no_locks(*_: Any, **__: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr("filelock.FileLock.acquire", no_locks)
    monkeypatch.setattr(DriftState, "commit", commit_after_another)
    refused = watch(project, *ALERTS, code=2)
    assert "another process follows the same source" in refused.err
    assert "stopped after 2 windows" in others[0].err
    assert committed(project) == 3 * FILE_ROWS


def test_watch_of_a_busy_port_is_an_error(project: Path) -> None:
    write_log(project, [0])
    server = LocalServer(BaseHTTPRequestHandler)
    try:
        port = str(server.server_address[1])
        assert "choose another port" in watch(project, "--metrics-port", port, code=2).err
    finally:
        server.server_close()
    assert committed(project) == 0


# ---------------------------------------------------------------- alerts


class Hook:
    """A webhook's receiver."""

    def __init__(self) -> None:
        self.status, self.got = 200, list[dict[str, Any]]()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if hook.status == 200:
                    hook.got.append(body)
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
                pass

        return Handler


@pytest.fixture
def hook() -> Iterator[tuple[Hook, str]]:
    hook = Hook()
    server = LocalServer(hook.handler())
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield hook, f"webhook:http://127.0.0.1:{server.server_address[1]}/hook"
    server.shutdown()
    server.server_close()
    thread.join()


def test_alert_and_recovery_reach_every_sink_once(project: Path, hook: tuple[Hook, str]) -> None:
    receiver, sink = hook
    write_log(project)
    watch(project, *ALERTS, "--alert", sink, code=1)
    watch(project, *ALERTS, "--alert", sink)
    assert [alert["event"] for alert in alerts(project)] == ["drift.alert", "drift.recovery"]
    assert [body["id"] for body in receiver.got] == [alert["id"] for alert in alerts(project)]


def test_alert_that_could_not_be_delivered_is_told_by_the_next_run(project: Path, hook: tuple[Hook, str]) -> None:
    receiver, sink = hook
    receiver.status = 400
    write_log(project)
    failed = watch(project, *ALERTS, "--alert", sink, code=1)
    assert "not delivered" in failed.err
    assert receiver.got == []
    assert len(alerts(project)) == 2
    receiver.status = 200
    watch(project, *ALERTS, "--alert", sink)
    watch(project, *ALERTS, "--alert", sink)
    assert [body["event"] for body in receiver.got] == ["drift.alert", "drift.recovery"]
    assert len(alerts(project)) == 2


def test_alert_that_could_not_be_delivered_is_tried_again_without_a_new_window(
    project: Path, hook: tuple[Hook, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, sink = hook
    receiver.status = 400
    write_log(project)
    monkeypatch.chdir(project)
    monkeypatch.setattr(monitor_watch, "RETRY_S", 0.0)
    stop = Event()

    def heard(message: str) -> None:
        assert "not delivered" in message
        receiver.status = 200

    class Stopping(list[dict[str, Any]]):
        def append(self, body: dict[str, Any]) -> None:
            super().append(body)
            if len(self) == 2:
                stop.set()

    receiver.got = Stopping()
    request = monitor_watch.WatchRequest("log", "prod", size=WINDOW, poll_s=0.01, alerts=(sink,), track=False)
    # Were it not tried again, the watch would go on for ever.
    guard = Timer(30, stop.set)
    guard.start()
    assert monitor_watch.watch_source(request, stop=stop, on_message=heard) == ROWS // WINDOW
    guard.cancel()
    assert [body["event"] for body in receiver.got] == ["drift.alert", "drift.recovery"]


# ---------------------------------------------------------------- signals


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state_is_there(project: Path) -> bool:
    return (project / "mlruns/drift/state.db").exists()


def test_sigterm_ends_with_0_and_everything_committed_and_metrics_are_served(project: Path) -> None:
    write_log(project, range(4))
    with start_benchkit([*WATCH, "--poll", "0.05", "--metrics-port", "0"], project) as running:
        assert running.process.stderr is not None
        said = iter(running.process.stderr.readline, "")
        place = next(line for line in said if line.startswith("metrics on ")).split()[-1]
        wait_for(lambda: state_is_there(project) and committed(project) == 4 * FILE_ROWS, running.process)
        write_log(project, [4])
        wait_for(lambda: committed(project) == 5 * FILE_ROWS, running.process)
        with urllib.request.urlopen(place, timeout=10) as answer:
            metrics = answer.read().decode()
        assert f'benchkit_drift_windows_total{{baseline="prod",source="log"}} {5 * FILE_ROWS // WINDOW}' in metrics
        running.process.send_signal(signal.SIGTERM)
        ended = running.finish()
    assert ended.returncode == 0, ended.stderr
    assert "stopped after 4 windows" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert committed(project) == 5 * FILE_ROWS


def test_interrupt_ends_with_130_and_everything_committed(project: Path) -> None:
    write_log(project, range(4))
    with start_benchkit([*WATCH, "--poll", "60"], project) as running:
        wait_for(lambda: state_is_there(project) and committed(project) == 4 * FILE_ROWS, running.process)
        ended = running.interrupt()
    assert ended.returncode == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert committed(project) == 4 * FILE_ROWS


# ---------------------------------------------------------------- kill -9

STATE, DISPATCH = "benchkit.store.drift_state", "benchkit.monitor.alerts.dispatch"


@pytest.mark.parametrize(
    "pause",
    [
        Pause(f"{STATE}:DriftState.commit"),
        Pause(f"{STATE}:DriftState.commit", 6),
        Pause(f"{STATE}:DriftState._add", 5),  # in the transaction, the position already written
        Pause(f"{DISPATCH}:Dispatcher.deliver", 7),  # after the commit of the alarm
        Pause("benchkit.monitor.alerts.jsonlines:JsonLines.send"),
        Pause("benchkit.sources.windows:WindowCutter.cut", 4),
        Pause("benchkit.monitor.alerts.prometheus:Metrics.observe", 5),
    ],
    ids=lambda pause: f"{pause.place.rpartition(':')[2]}-{pause.nth}",
)
def test_kill_at_a_dangerous_place_loses_and_repeats_nothing(project: Path, uninterrupted: Path, pause: Pause) -> None:
    write_log(project)
    with start_benchkit([*WATCH, "--once", *ALERTS], project, pause=pause) as running:
        running.wait_for_pause()
        running.kill()
    call_benchkit([*WATCH, "--once", *ALERTS], project)
    same(project, uninterrupted)


def test_kill_between_delivery_and_its_commit_repeats_a_message_with_its_id(project: Path, uninterrupted: Path) -> None:
    write_log(project)
    # Sent, then killed where the next thing is sent: what came first isn't known to be delivered.
    second = Pause("benchkit.monitor.alerts.webhook:Webhook.send")
    more = ("--alert", "webhook:http://127.0.0.1:9/x")
    with start_benchkit([*WATCH, "--once", *ALERTS, *more], project, pause=second) as running:
        running.wait_for_pause()
        running.kill()
    call_benchkit([*WATCH, "--once", *ALERTS], project)
    assert [alert["event"] for alert in alerts(project)] == ["drift.alert", "drift.alert", "drift.recovery"]
    same(project, uninterrupted)


def test_kill_between_the_store_and_its_note_makes_no_second_run(project: Path) -> None:
    write_log(project, range(3))
    command = [*WATCH[:-1], "--once"]
    with start_benchkit(command, project, pause=Pause(f"{STATE}:DriftState.recorded")) as running:
        running.wait_for_pause()
        running.kill()
    call_benchkit(command, project)
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{project / 'mlruns/mlflow.db'}")
    runs = client.search_runs([found.experiment_id for found in client.search_experiments()])
    assert sorted(run.data.metrics["drift/rows"] for run in runs) == [WINDOW] * (3 * FILE_ROWS // WINDOW)


def test_kills_at_random_times_while_the_source_grows(project: Path, uninterrupted: Path) -> None:
    rng, written = random.Random(5), 0
    for life in range(8):
        process = subprocess.Popen(
            [COMMAND, *WATCH, *ALERTS, "--poll", "0.01"],
            cwd=project,
            env=environment(project),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            if life % 4 == 3:
                time.sleep(rng.uniform(0, 1.0))
                continue
            write_log(project, [written])
            first = (written + 1) * FILE_ROWS
            wait_for(lambda n=first: state_is_there(project) and committed(project) == n, process)
            # It has work again, and is somewhere in it when it is killed.
            write_log(project, [written + 1])
            written += 2
            time.sleep(rng.uniform(0, 0.03))
        finally:
            process.kill()
            process.communicate()
        assert committed(project) in ((written - 1) * FILE_ROWS, written * FILE_ROWS)
    assert written == FILES
    call_benchkit([*WATCH, "--once", *ALERTS], project)
    same(project, uninterrupted)
