"""What a watch remembers is whole or as it was before, whoever dies when, and one watch at a time follows a stream."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import drift_reports
import pytest

from benchkit.errors import UsageError
from benchkit.report.drift_json import drift_from_dict, drift_to_dict
from benchkit.store import drift_state
from benchkit.store.drift_state import DriftState, Progress


def report(number: int = 0, baseline: str = "support", severity: str = "ok") -> dict[str, Any]:
    return {
        "baseline": {"name": baseline},
        "window": {"number": number, "source": "logs/"},
        "checked_at": f"2026-11-21T10:00:{number % 60:02}+00:00",
        "severity": severity,
    }


def numbers(checks: list[drift_state.KeptCheck]) -> list[int]:
    return [check.report["window"]["number"] for check in checks]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "drift" / "state.db"


@pytest.fixture
def state(path: Path) -> Iterator[DriftState]:
    with DriftState(path) as opened:
        yield opened


def test_a_stream_goes_on_where_it_stopped(path: Path) -> None:
    facts = {"evidence": [0.1, 1 / 3, 5e-324], "alerts": None}
    position = {"file": "half \udcff.jsonl", "row": 2**60}
    with DriftState(path) as state:
        assert state.progress("s") == Progress()
        kept = state.commit("s", Progress(position, facts, b"\x00\xff" * 1000), [report(1), report(2)])
        assert kept.version == 1
    with DriftState(path) as state:
        assert state.progress("s") == Progress(position, facts, b"\x00\xff" * 1000, 1)
        assert state.progress("other") == Progress()
        again = state.commit("s", replace(state.progress("s"), position={"row": 9}, window=b""))
        assert state.progress("s") == again == Progress({"row": 9}, facts, b"", 2)
        assert numbers(state.history()) == [1, 2]


def test_a_real_report_comes_back_as_it_was(state: DriftState) -> None:
    for stream, made in (("a", drift_reports.critical()), ("b", drift_reports.hostile())):
        written = drift_to_dict(made)
        state.commit(stream, Progress(), [written])
        found = state.history()[-1]
        assert found.report == written
        assert drift_from_dict(found.report) == drift_from_dict(written)


# ------------------------------------------------------------ all or nothing


def test_a_commit_that_fails_keeps_nothing(state: DriftState) -> None:
    start = state.commit("s", Progress({"row": 1}), [report(1)])
    with pytest.raises(TypeError):
        state.commit("s", replace(start, position={"row": 2}), [report(2), report(3) | {"bad": object()}])
    assert state.progress("s") == start
    assert numbers(state.history()) == [1]
    # And the next one goes through.
    state.commit("s", replace(start, position={"row": 2}), [report(2)])
    assert numbers(state.history()) == [1, 2]


class FailsOnce:
    """A connection whose COMMIT fails once."""

    def __init__(self, real: sqlite3.Connection) -> None:
        self._real, self.failures = real, 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, statement: str, *values: Any) -> Any:
        if statement == "COMMIT" and self.failures:
            self.failures -= 1
            raise sqlite3.OperationalError("database or disk is full")
        return self._real.execute(statement, *values)


def test_a_commit_whose_disk_is_full_is_told_and_the_next_one_goes_through(
    state: DriftState, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = state.commit("s", Progress({"row": 1}), [report(1)])
    monkeypatch.setattr(state, "_db", FailsOnce(state._db))
    with pytest.raises(
        UsageError, match=r"state.db: the monitor's database can't be used \(database or disk is full\)"
    ):
        state.commit("s", replace(start, position={"row": 2}), [report(2)])
    assert (state.progress("s"), numbers(state.history())) == (start, [1])
    state.commit("s", replace(start, position={"row": 2}), [report(2)])
    assert numbers(state.history()) == [1, 2]


# Row n of the source ends window n, so position and verdicts agree exactly when nothing was lost or counted twice.
_ENDLESS = """
import sys
from pathlib import Path
from benchkit.store.drift_state import DriftState, Progress
with DriftState(Path(sys.argv[1])) as state:
    progress = state.progress("s")
    print("ready", flush=True)
    while True:
        row = progress.position.get("row", 0) + 1
        window = {"number": row, "source": "x" * 20_000}
        check = {"baseline": {"name": "b"}, "window": window, "checked_at": "", "severity": "ok"}
        step = Progress({"row": row}, {"n": row}, b"w" * row, progress.version)
        progress = state.commit("s", step, [check])
"""


def test_a_watch_that_is_killed_anywhere_loses_nothing_and_counts_nothing_twice(path: Path) -> None:
    before = 0
    for delay in (0.0, 0.003, 0.011, 0.02, 0.037, 0.05):
        with subprocess.Popen([sys.executable, "-c", _ENDLESS, str(path)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL
        with DriftState(path) as state:
            progress = state.progress("s")
            row = progress.position.get("row", 0)
            assert numbers(state.history()) == list(range(1, row + 1))
            assert (progress.version, progress.facts.get("n", 0), len(progress.window)) == (row, row, row)
        assert row >= before
        before = row
    assert before > 0, "no commit came through"


# ------------------------------------------------------------ two watches, two processes


def test_two_watches_of_one_stream_exclude_each_other(path: Path) -> None:
    with DriftState(path) as one, DriftState(path) as two:
        first, second = one.progress("s"), two.progress("s")
        kept = one.commit("s", replace(first, position={"row": 1}), [report(1)])
        said = "another process follows the same source with the same baseline; stop one of the two"
        with pytest.raises(UsageError, match=said):
            two.commit("s", replace(second, position={"row": 1}), [report(1)])
        stale = two.progress("s")
        one.commit("s", replace(kept, position={"row": 2}), [report(2)])
        with pytest.raises(UsageError, match=said):
            two.commit("s", replace(stale, position={"row": 2}), [report(2)])
        assert numbers(two.history()) == [1, 2]
        # Another stream is another matter.
        two.commit("other", Progress({"row": 1}), [report(7)])
        one.commit("s", one.progress("s"))


def test_one_process_follows_a_stream_and_others_follow_others(path: Path) -> None:
    with DriftState(path) as one, DriftState(path) as two:
        taken = pytest.raises(UsageError, match="another process follows the same source")
        with one.following("a"), two.following("b"), taken, two.following("a"):
            pass
        with two.following("a"):
            pass


def test_a_lock_that_cannot_be_made_is_told(state: DriftState) -> None:
    (state.path.parent / "watches").touch()
    with pytest.raises(UsageError, match="the monitor's database can't be used"), state.following("a"):
        pass


def test_the_last_verdict_of_a_stream_is_its_own(state: DriftState) -> None:
    assert state.last("a") is None
    progress = state.commit("a", Progress(), [report(1), report(2)])
    state.commit("b", Progress(), [report(3)])
    assert numbers([found for found in [state.last("a")] if found]) == [2]
    state.commit("a", progress, [report(4)])
    assert numbers([found for found in [state.last("a")] if found]) == [4]


def test_what_mlflow_does_not_have_comes_in_parts(state: DriftState) -> None:
    state.commit("a", Progress(), [report(number) for number in range(5)])
    assert numbers(state.unrecorded("a", limit=2)) == [0, 1]
    for check in state.unrecorded("a", limit=2):
        state.recorded(check.id, "run")
    assert numbers(state.unrecorded("a", limit=2)) == [2, 3]


def test_a_forgotten_stream_starts_again_and_keeps_its_history(state: DriftState) -> None:
    kept = state.commit("s", Progress({"row": 1}), [report(1)])
    state.forget("s")
    state.forget("never there")
    assert state.progress("s") == Progress()
    assert numbers(state.history()) == [1]
    with pytest.raises(UsageError, match="another process"):
        state.commit("s", kept)
    assert state.commit("s", Progress()).version == 1


# ------------------------------------------------------------ verdicts


def test_history_is_oldest_first_the_latest_and_of_one_baseline(state: DriftState) -> None:
    for number in range(1, 8):
        state.add_check(report(number, baseline="odd" if number % 2 else "even"))
    assert numbers(state.history()) == [1, 2, 3, 4, 5, 6, 7]
    assert numbers(state.history(limit=3)) == [5, 6, 7]
    assert numbers(state.history(limit=0)) == []
    assert numbers(state.history("even")) == [2, 4, 6]
    assert numbers(state.history("odd", limit=2)) == [5, 7]
    assert state.history("o%") == state.history("' OR 1=1 --") == []


def test_what_mlflow_does_not_have_is_known_until_it_does(state: DriftState) -> None:
    state.commit("s", Progress(), [report(1), report(2)])
    single = state.add_check(report(9))
    first, second = state.unrecorded("s")
    assert numbers([first, second]) == [1, 2]
    assert (first.stream, first.run_id) == ("s", "")
    state.recorded(first.id, "run-1")
    assert numbers(state.unrecorded("s")) == [2]
    assert numbers(state.unrecorded("")) == [9]
    state.recorded(single, "run-9")
    assert state.unrecorded("") == []
    assert [(check.stream, check.run_id) for check in state.history()] == [("s", "run-1"), ("s", ""), ("", "run-9")]


# ------------------------------------------------------------ what can't be used


def test_a_newer_form_is_refused_and_left_alone(path: Path) -> None:
    DriftState(path).__exit__(None, None, None)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    content = path.read_bytes()
    with pytest.raises(UsageError, match=r"state.db: form 2 of a newer benchkit, this one reads 1; upgrade benchkit"):
        DriftState(path)
    assert path.read_bytes() == content


_TOLD = r"the monitor's database can't be used \(.*\); mend or move the file away: what it holds is the history"


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look at" * 100, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_file_that_is_no_database_is_told(content: bytes, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UsageError, match=_TOLD):
        DriftState(path)
    assert path.read_bytes() == content


def test_a_place_where_no_file_can_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "state.db", tmp_path / "folder"):
        with pytest.raises(UsageError, match=r"the monitor's database can't be used \(.*\); (mend that|let this user)"):
            DriftState(path)


def test_a_database_that_can_only_be_read_is_told_on_writing(state: DriftState) -> None:
    state.commit("s", Progress(), [report(1)])
    state._db.execute("PRAGMA query_only = 1")
    for write in (
        lambda: state.commit("s", state.progress("s")),
        lambda: state.add_check(report(2)),
        lambda: state.recorded(1, "x"),
        lambda: state.forget("s"),
    ):
        with pytest.raises(UsageError, match=r"attempt to write a readonly database\); let this user write"):
            write()
    assert numbers(state.history()) == [1]


def test_a_locked_database_is_told_after_a_while(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift_state, "_BUSY_S", 0.05)
    with DriftState(path) as state:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UsageError, match=r"database is locked\); another process is writing"):
            state.commit("s", Progress())
        assert state.progress("s") == Progress()  # reading goes on
        other.execute("ROLLBACK")
        other.close()
        assert state.commit("s", Progress()).version == 1


def test_a_database_that_was_damaged_by_hand_is_told(state: DriftState) -> None:
    state.commit("s", Progress(), [report(1)])
    state._db.execute("UPDATE streams SET progress = '{'")
    state._db.execute("UPDATE checks SET report = '{'")
    for read in (lambda: state.progress("s"), state.history, lambda: state.unrecorded("s")):
        with pytest.raises(UsageError, match=_TOLD):
            read()
    state._db.execute("DROP TABLE checks")
    with pytest.raises(UsageError, match="no such table: checks"):
        state.history()


def test_a_full_disk_is_told_with_advice_that_loses_nothing(state: DriftState) -> None:
    state.commit("s", Progress(), [report(1)])
    state._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(UsageError, match=r"\(database or disk is full\); make room on the disk"):
        state.commit("s", state.progress("s"), [report(2) | {"text": "x" * 100_000}])
    assert numbers(state.history()) == [1]


def test_a_file_that_was_taken_away_or_replaced_is_not_written_to(path: Path) -> None:
    with DriftState(path) as state:
        kept = state.commit("s", Progress(), [report(1)])
        path.rename(path.with_name("moved.db"))
        with pytest.raises(UsageError, match=r"state.db: the monitor's database can't be used .* No such file"):
            state.commit("s", kept)
        with DriftState(path), pytest.raises(UsageError, match=r"state.db: was replaced while it was in use"):
            state.commit("s", kept)
