"""A log of EmbeddingLog that is followed: one that keeps a share of the rows, and one that removes old files."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from drift_data import times, vectors

from benchkit.monitor import EmbeddingLog
from benchkit.monitor.log_files import PartWriter, days_of
from benchkit.monitor.log_rows import Block
from benchkit.monitor.watch import WatchRequest, watch_source
from benchkit.monitor.window import unpack
from benchkit.settings import load_settings
from benchkit.store.drift_state import DriftState
from tests.e2e.cli import Called, call_benchkit

START = np.datetime64("2026-03-02T00:00:00", "us")
HOUR_ROWS = 1000


def run(project: Path, *args: str, code: int = 0) -> Called:
    called = call_benchkit(["drift", *args], project)
    assert "Traceback" not in called.err
    assert called.code == code, called.err
    return called


def embed(
    folder: Path, hours: int, *, first: int = 0, share: float = 1.0, sampling: float = 1.0, seed: int = 1
) -> None:
    """Let a service embed a thousand texts an hour, or a share of that, and keep a sample of them."""
    n = int(hours * HOUR_ROWS * share)
    at = times(n, start=START + np.timedelta64(first, "h"), seconds=3.6 / share)
    with EmbeddingLog(folder, sampling=sampling, seed=seed) as log:
        log.record(vectors(n, seed=seed), time=at.astype(np.int64) / 1e6)


def reports(project: Path) -> list[dict[str, Any]]:
    with DriftState(project / "mlruns/drift/state.db") as state:
        return [dict(kept.report) for kept in state.history()]


def volumes(project: Path) -> list[dict[str, Any]]:
    return [found for report in reports(project) for found in report["health"] if found["name"] == "volume"]


WATCH = ("watch", "log", "--baseline", "prod", "--every", "1h", "--once", "--no-track")


# ---------------------------------------------------------------- volume of a sampled log


@pytest.mark.parametrize(("before", "now"), [(1.0, 0.1), (0.1, 1.0), (0.1, 0.1)])
def test_another_sampling_is_no_change_of_the_volume_and_a_fifth_of_the_texts_is_one(
    tmp_path: Path, before: float, now: float
) -> None:
    embed(tmp_path / "then", 10, sampling=before)
    run(tmp_path, "baseline", "create", "prod", "--from", "then")
    embed(tmp_path / "log", 3, first=20, sampling=now, seed=2)
    # A fifth of the texts, and then none for two hours, until some come again.
    embed(tmp_path / "log", 1, first=23, share=0.2, sampling=now, seed=3)
    embed(tmp_path / "log", 1, first=26, sampling=now, seed=4)
    run(tmp_path, *WATCH, code=1)
    found = volumes(tmp_path)
    rows = [report["window"]["rows"] for report in reports(tmp_path)]
    assert rows[:3] == pytest.approx([HOUR_ROWS * now] * 3, rel=0.2)
    assert [report["severity"] for report in reports(tmp_path)] == ["ok"] * 3 + ["warn"] * 3 + ["ok"]
    assert [volume["expected"] for volume in found] == pytest.approx([HOUR_ROWS * now] * 3, rel=0.1)
    assert found[1]["sentence"].startswith("The window has 0 rows; such a window usually has about ")


def test_a_check_reckons_with_the_sampling_too(tmp_path: Path) -> None:
    embed(tmp_path / "then", 10)
    run(tmp_path, "baseline", "create", "prod", "--from", "then")
    embed(tmp_path / "log", 3, first=20, sampling=0.1, seed=2)
    spans = {"2026-03-02T20:00..2026-03-02T23:00": 0, "2026-03-02T18:00..2026-03-02T20:00": 1}
    for span, code in spans.items():
        run(tmp_path, "check", "log", "--baseline", "prod", "--no-track", "--window", span, code=code)
    (silent,) = volumes(tmp_path)
    assert silent["expected"] == pytest.approx(200, rel=0.01)


def test_windows_that_a_restart_divides_keep_their_sampling(tmp_path: Path) -> None:
    embed(tmp_path / "then", 10)
    run(tmp_path, "baseline", "create", "prod", "--from", "then")
    # The same hour, most of it kept as a tenth and some as it is, and the watch ends in between.
    lateness = ("--lateness", "50000w")
    embed(tmp_path / "log", 1, first=20, share=0.9, sampling=0.1, seed=2)
    run(tmp_path, *WATCH, *lateness)
    embed(tmp_path / "log", 1, first=20, share=0.05, seed=3)
    run(tmp_path, *WATCH, *lateness)
    assert reports(tmp_path) == []
    run(tmp_path, *WATCH)
    (report,) = reports(tmp_path)
    assert report["window"]["rows"] == pytest.approx(140, abs=30)
    assert report["severity"] == "ok"


# ---------------------------------------------------------------- removed before it was read


def write(folder: Path, *rows: int, max_bytes: int = 1 << 30) -> None:
    writer = PartWriter(folder, "m", "f", 1.0, max_bytes, keep_texts=False)
    for n in rows:
        block = Block.of(n, 16)
        block.add(vectors(n, seed=n), 0, None, 0)
        (part,) = days_of(block)
        writer.tell(writer.write(block, part))


def made(project: Path) -> Path:
    embed(project / "then", 3)
    run(project, "baseline", "create", "prod", "--from", "then")
    return project


SIZES = ("watch", "log", "--baseline", "prod", "--window-size", "250", "--once", "--no-track")
LOST = "rows lost since the start of the watch: 700 in 2 files, which the log removed before they were read"


def test_rows_that_the_log_removed_unread_are_told_once_in_the_report_of_the_next_window(tmp_path: Path) -> None:
    project = made(tmp_path)
    write(project / "log", 250)
    run(project, *SIZES)
    write(project / "log", 300, 400)
    write(project / "log", 250, max_bytes=30_000)
    again = run(project, *SIZES)
    assert "lost" not in again.err  # the report says it
    before, after = reports(project)
    assert not any("lost" in note for note in before["notes"])
    assert [LOST in note for note in after["notes"] if "lost" in note] == [True]
    write(project / "log", 260)
    assert "lost" not in run(project, *SIZES).err
    assert not any("lost" in note for note in reports(project)[2]["notes"])


def test_rows_that_the_log_removed_unread_are_told_on_stderr_where_no_window_closes(tmp_path: Path) -> None:
    project = made(tmp_path)
    write(project / "log", 100)
    run(project, *SIZES)
    write(project / "log", 300, 400)
    write(project / "log", 20, max_bytes=30_000)
    assert run(project, *SIZES).err.count(LOST) == 1
    assert reports(project) == []


def test_that_a_log_removed_more_than_its_lines_still_tell_is_said_once(tmp_path: Path) -> None:
    project = made(tmp_path)
    write(project / "log", 250)
    run(project, *SIZES)
    written = range(40, 100)
    write(project / "log", *written, max_bytes=40_000)  # the manifest has room for a few lines, and is turned often
    told = run(project, *SIZES)
    (facts,) = [json.loads(text)["facts"] for text in progress(project)]
    removed = facts["removed"]
    read = sum(report["window"]["rows"] for report in reports(project)[1:]) + facts["cut"]["filled"]
    known = removed["rows"] + removed["uncounted"] * max(written)
    assert read + known < sum(written)  # or this would test nothing
    assert removed["gaps"] == 1
    said = [note for report in reports(project) for note in report["notes"]] + told.err.splitlines()
    assert sum("more rows may be lost" in sentence for sentence in said) == 1
    assert "more rows" not in run(project, *SIZES).err


def progress(project: Path) -> list[str]:
    with closing(sqlite3.connect(project / "mlruns/drift/state.db")) as db:
        return [text for (text,) in db.execute("SELECT progress FROM streams")]


def test_a_file_in_hand_that_the_log_removed_does_not_end_the_watch(tmp_path: Path) -> None:
    project = made(tmp_path)
    write(project / "log", 600)
    settings = load_settings(project, {})
    request = WatchRequest(str(project / "log"), "prod", size=200, batch_rows=512, track=False, once=True)
    stop, said = Event(), list[str]()
    # SIGTERM after the first batch.
    watch_source(request, settings=settings, stop=stop, on_report=lambda report: stop.set(), on_message=said.append)
    assert [report["window"]["rows"] for report in reports(project)] == [200, 200]
    write(project / "log", 288, max_bytes=30_000)
    assert watch_source(request, settings=settings, on_message=said.append) == 2
    assert [report["window"]["rows"] for report in reports(project)] == [200] * 4
    notes = json.dumps(reports(project)[2]["notes"])
    assert "88 in 1 files" in notes
    assert said == []


def test_every_row_is_counted_or_told_as_lost_while_the_log_removes_what_is_followed(tmp_path: Path) -> None:
    project = made(tmp_path)
    settings = load_settings(project, {})
    (project / "log").mkdir()
    request = WatchRequest(str(project / "log"), "prod", size=250, batch_rows=512, track=False, poll_s=0.001)
    said, written, rng = list[str](), 0, np.random.default_rng(0)
    lives = [Event() for _ in range(4)]

    def follow() -> None:
        for life in lives:  # SIGTERM comes anywhere, also within a file
            watch_source(request, settings=settings, stop=life, on_message=said.append)

    thread = Thread(target=follow, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not said:  # what goes before the watch has begun is no loss of it
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for number in range(120):
        rows = int(rng.integers(2000, 4000))
        write(project / "log", rows, max_bytes=600_000)
        written += rows
        if number % 30 == 29:
            lives[number // 30].set()
    thread.join(60)
    assert not thread.is_alive()
    watch_source(replace(request, once=True), settings=settings, on_message=said.append)
    with closing(sqlite3.connect(project / "mlruns/drift/state.db")) as db:
        ((facts, window),) = db.execute("SELECT progress, window FROM streams").fetchall()
    removed = json.loads(facts)["facts"]["removed"]
    unfinished = sum(part.rows for part in unpack(window).values())
    counted = sum(report["window"]["rows"] for report in reports(project)) + unfinished
    assert (counted + removed["rows"], removed["uncounted"]) == (written, 0)
    assert 0 < removed["rows"] < written
    # Files that go between two looks are no fault of the source.
    assert all("waiting for rows" in message or "rows lost" in message for message in said)
