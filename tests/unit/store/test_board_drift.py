"""The drift monitor's history, baselines and marks, as a time line needs them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import drift_reports
import numpy as np
import pytest

from benchkit.errors import UsageError
from benchkit.report.drift_json import drift_from_dict, drift_to_dict
from benchkit.store.board import Board, open_board
from benchkit.store.drift_baseline import FORM_VERSION, KeptBaseline, load_baseline, save_baseline
from benchkit.store.drift_runs import log_drift
from benchkit.store.drift_state import DriftState, Progress
from benchkit.types.board import CheckRow
from benchkit.types.drift import BaselineInfo, DriftReport

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")


@pytest.fixture
def drift(tmp_path: Path) -> Path:
    return tmp_path / "mlruns" / "drift"


@pytest.fixture
def board(tmp_path: Path, tracking_uri: str) -> Board:
    return open_board(tmp_path / "mlruns", tracking_uri)


def keep(drift: Path, *reports: DriftReport, stream: str = "") -> None:
    with DriftState(drift / "state.db") as state:
        if stream:
            state.commit(stream, state.progress(stream), [drift_to_dict(report) for report in reports])
            return
        for report in reports:
            state.add_check(drift_to_dict(report))


def change(drift: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(drift / "state.db")) as database:
        database.execute(statement, values)
        database.commit()


def window_of(report: DriftReport, day: int, **changes: Any) -> DriftReport:
    times = {"start": f"2026-11-{day:02}T00:00:00Z", "end": f"2026-11-{day:02}T23:59:59Z"}
    return replace(report, window=replace(report.window, **{**times, "number": day, **changes}))


# Checks


def test_a_row_says_what_its_report_says(drift: Path, board: Board) -> None:
    report = drift_reports.critical()
    keep(drift, report, stream="s1")
    (row,) = board.checks()

    assert row == CheckRow(
        key=1,
        baseline="support",
        source="logs/",
        stream="s1",
        number=40,
        start="2026-11-21T00:00:00+00:00",
        end="2026-11-21T23:59:59+00:00",
        checked_at="2026-11-22T00:01:00+00:00",
        rows=500,
        severity="critical",
        kind="model",
        breaks_policy=True,
        reason=report.reason,
        p_value=0.00005,
        false_alarms=0.01,
        detector=4321.75,
        run_length=1000,
        overlap_at_10=0.61,
        identity=0.71234,
        ndcg_at_10=0.521,
        low_score_share=0.154,
        fingerprint="",
        run_id="",
        address="",
    )
    assert row.at == row.end
    assert drift_from_dict(board.check(1)) == report


def test_what_was_not_measured_is_none_and_a_window_without_times_is_where_it_was_checked(
    drift: Path, board: Board
) -> None:
    keep(drift, drift_reports.bare())
    (row,) = board.checks()
    assert (row.p_value, row.detector, row.run_length, row.overlap_at_10, row.identity) == (None,) * 5
    assert (row.start, row.end, row.at) == ("", "", "2026-11-21T00:01:00+00:00")


def test_checks_are_in_their_order_and_filtered_by_baseline_time_and_number(drift: Path, board: Board) -> None:
    reports = [window_of(drift_reports.quiet(), day) for day in (1, 2, 3, 4)]
    other = replace(drift_reports.quiet(), baseline=replace(drift_reports.BASELINE, name="other"))
    keep(drift, *reports[:2], window_of(other, 9), *reports[2:])

    def days(*arguments: Any, **wanted: Any) -> list[int]:
        return [row.number for row in board.checks(*arguments, **wanted)]

    assert days() == [1, 2, 9, 3, 4]
    assert days("support") == [1, 2, 3, 4]
    assert days("other") == [9]
    assert days("'; DROP TABLE checks; --") == []
    assert days("support", limit=2) == [3, 4]
    assert days(limit=0) == []
    assert days("support", since="2026-11-03") == [3, 4]
    assert days("support", until="2026-11-03") == [1, 2]
    assert days("support", since="2026-11-02", limit=1) == [4]
    with pytest.raises(ValueError, match="is no time"):
        board.checks(until="x")


def test_a_check_that_mlflow_has_tells_its_run_and_where_it_is(drift: Path, board: Board, tracking_uri: str) -> None:
    keep(drift, drift_reports.quiet(), drift_reports.critical())
    run_id = log_drift(drift_to_dict(drift_reports.quiet()), tracking_uri=tracking_uri)
    change(drift, "UPDATE checks SET run_id = ? WHERE id = 1", run_id)
    first, second = board.checks()
    assert (first.run_id, first.address) == (run_id, tracking_uri)
    assert (second.run_id, second.address) == ("", "")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE checks SET report = substr(report, 1, 200) WHERE id = 2", "check 2: its report is not JSON"),
        ("UPDATE checks SET report = '[]' WHERE id = 2", "check 2: schema_version is None"),
        ("UPDATE checks SET report = x'ff00' WHERE id = 2", "check 2: its report is not JSON"),
        ("UPDATE checks SET severity = 'loud' WHERE id = 2", "check 2: loud, model: no severity"),
        ("UPDATE checks SET checked_at = 'soon' WHERE id = 2", "check 2: 'soon' is no time"),
        ("UPDATE checks SET report = json_set(report, '$.schema_version', 9) WHERE id = 2", "schema_version is 9"),
    ],
)
def test_a_damaged_check_is_told_and_the_others_are_listed(
    drift: Path, board: Board, statement: str, said: str
) -> None:
    keep(drift, drift_reports.quiet(), drift_reports.critical(), drift_reports.bare())
    change(drift, statement)
    assert [row.key for row in board.checks()] == [1, 3]
    assert len(board.problems()) == 1
    assert said in board.problems()[0]


def test_values_of_another_type_are_absent_and_not_believed(drift: Path, board: Board) -> None:
    keep(drift, drift_reports.critical())
    change(
        drift,
        "UPDATE checks SET stream = 5, number = 'x', report = json_set(report, '$.p_value', 'small', "
        "'$.reason', json('[1]'), '$.evidence', 7, '$.window.rows', '9', '$.harm.identity', json('{}'))",
    )
    (row,) = board.checks()
    assert (row.p_value, row.detector, row.rows, row.identity, row.number) == (None, None, 0, None, 0)
    assert row.reason == ""
    assert row.overlap_at_10 == 0.61


def test_a_report_that_is_no_json_any_more_is_told_when_it_is_asked_for(drift: Path, board: Board) -> None:
    keep(drift, drift_reports.quiet())
    change(drift, "UPDATE checks SET report = '{'")
    with pytest.raises(UsageError, match="check 1 of the history: it is not JSON"):
        board.check(1)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("PRAGMA user_version = 2", "form 2 of a newer benchkit"),
        ("DROP TABLE checks", "no such table: checks"),
    ],
)
def test_a_history_of_another_benchkit_is_told(drift: Path, board: Board, statement: str, said: str) -> None:
    keep(drift, drift_reports.quiet())
    change(drift, statement)
    assert board.checks() == ()
    assert said in board.problems()[0]
    with pytest.raises(UsageError, match=said):
        board.check(1)


def test_hostile_texts_come_through_as_they_are(drift: Path, board: Board) -> None:
    report = replace(drift_reports.hostile(), baseline=replace(drift_reports.hostile().baseline, created=""))
    keep(drift, report)
    (row,) = board.checks()
    assert row.reason == drift_to_dict(report)["reason"]
    assert board.check(row.key) == drift_to_dict(report)
    assert board.checks(row.baseline) == (row,)
    assert board.marks(row.baseline) == ()


def test_a_second_look_reads_nothing_again_until_a_check_was_added(
    drift: Path, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(drift, drift_reports.quiet())
    assert len(board.checks()) == 1
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *arguments, **options: pytest.fail("the database was opened"))
        assert len(board.checks()) == 1
    keep(drift, drift_reports.critical())
    assert len(board.checks()) == 2


# Baselines


def baseline_of(drift: Path, name: str = "support", **changes: Any) -> KeptBaseline:
    info = {
        "name": name,
        "created": "2026-11-01T08:00:00+00:00",
        "source": "logs/",
        "rows": 20_000,
        "dimension": 3,
        "model": "minilm",
        "fingerprint": "f0",
        "n_canaries": 2,
        "n_windows": 30,
        "of a newer benchkit": 1,
        **changes,
    }
    facts = {"form": 1, "info": info, "canary_texts": ["发票" * 100]}
    arrays = {"a": np.arange(12.0), "b": np.zeros((0, 3), np.float32)}
    return save_baseline(drift / "baselines", name, KeptBaseline(facts, arrays), replaces=True)


def test_baselines_are_told_by_their_headers(drift: Path, board: Board) -> None:
    kept = baseline_of(drift)
    baseline_of(drift, "b")
    found = board.baselines()

    assert [info.name for info in found] == ["b", "support"]
    assert found[1] == BaselineInfo(
        "support", "2026-11-01T08:00:00+00:00", "logs/", 20_000, 3, "minilm", "f0", 2, 30, kept.digest, kept.bytes
    )
    assert board.problems() == ()


@pytest.mark.parametrize(
    "kept",
    [1, 7, 8, 50, -1, -50],
    ids=["one byte", "seven", "the length alone", "a part of the header", "all but a byte", "some arrays"],
)
def test_a_baseline_that_was_cut_is_told_and_the_others_are_listed(drift: Path, board: Board, kept: int) -> None:
    baseline_of(drift)
    baseline_of(drift, "b")
    path = drift / "baselines" / "b.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert [info.name for info in board.baselines()] == ["support"]
    assert len(board.problems()) == 1
    assert "b.safetensors" in board.problems()[0]
    with pytest.raises(UsageError):
        load_baseline(drift / "baselines", "b")


def header(values: object, n_bytes: int = 0) -> bytes:
    text = json.dumps(values).encode()
    return len(text).to_bytes(8, "little") + text + bytes(n_bytes)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (header({}), "no baseline of benchkit"),
        (header({"__metadata__": {"benchkit": 5}}), "no baseline of benchkit"),
        (header({"__metadata__": {"benchkit": '{"version": 99}'}}), "form 99"),
        (header({"__metadata__": {"benchkit": json.dumps({"version": FORM_VERSION})}}), "lacks its facts"),
        (header({"__metadata__": {"benchkit": "{"}}), "not JSON"),
        (header({"a": {"data_offsets": [0, 8]}, "__metadata__": {"benchkit": "{}"}}), "arrays don't fit"),
        (header({"a": 5, "__metadata__": {"benchkit": "{}"}}), "header can't be read"),
        ((2**62).to_bytes(8, "little") + b"{}", "header doesn't fit"),
        (b"", "header doesn't fit"),
    ],
)
def test_a_foreign_file_among_the_baselines_is_told(drift: Path, board: Board, content: bytes, said: str) -> None:
    (drift / "baselines").mkdir(parents=True)
    (drift / "baselines" / "x.safetensors").write_bytes(content)
    assert board.baselines() == ()
    (problem,) = board.problems()
    assert said in problem


@pytest.mark.parametrize("changes", [{"rows": "many"}, {"name": 5}, {"dimension": None}, {"created": None}])
def test_a_baseline_whose_facts_have_another_type_is_told(drift: Path, board: Board, changes: dict[str, Any]) -> None:
    baseline_of(drift)
    path = drift / "baselines" / "support.safetensors"
    kept = baseline_of(drift, "x")
    save_baseline(
        drift / "baselines", "x", replace(kept, facts={"info": {**kept.facts["info"], **changes}}), replaces=True
    )
    assert path.exists()
    assert [info.name for info in board.baselines()] == ["support"]
    assert "the baseline is damaged" in board.problems()[0]


def test_a_baseline_that_leads_out_of_its_folder_is_passed_over(drift: Path, board: Board, tmp_path: Path) -> None:
    baseline_of(drift)
    shutil.move(drift / "baselines" / "support.safetensors", tmp_path / "away")
    (drift / "baselines" / "support.safetensors").symlink_to(tmp_path / "away")
    assert board.baselines() == ()
    assert "leads out of the folder" in board.problems()[0]


# Marks


def test_marks_are_another_model_another_baseline_and_champions_in_the_order_of_time(drift: Path, board: Board) -> None:
    quiet = drift_reports.quiet()
    renewed = replace(drift_reports.BASELINE, created="2026-11-04T12:00:00Z", digest="e" * 64)
    keep(
        drift,
        window_of(quiet, 1, model="minilm", fingerprint="f1"),
        window_of(quiet, 2),  # says nothing
        window_of(quiet, 3, model="minilm", fingerprint="f1"),
        window_of(quiet, 4, model="bge", fingerprint="f2"),
        window_of(replace(quiet, baseline=renewed), 5, fingerprint="abcdefabcdefabcdef"),
        window_of(replace(quiet, baseline=renewed), 6, fingerprint="abcdefabcdefabcdef"),
    )
    baseline_of(drift, created="2026-11-07T00:00:00+00:00")

    assert [(mark.at, mark.label, mark.kind) for mark in board.marks("support")] == [
        ("2026-11-04T12:00:00+00:00", "baseline renewed", "baseline"),
        ("2026-11-04T23:59:59+00:00", "model bge", "model"),
        ("2026-11-05T23:59:59+00:00", "model abcdefabcdef", "model"),
        ("2026-11-07T00:00:00+00:00", "baseline renewed", "baseline"),
    ]
    assert board.marks("other") == ()


def test_a_watch_and_the_board_share_a_history(drift: Path, board: Board) -> None:
    """The board reads while the monitor holds its database open."""
    with DriftState(drift / "state.db") as state:
        progress = Progress()
        for day in range(1, 6):
            progress = state.commit("s", progress, [drift_to_dict(window_of(drift_reports.quiet(), day))])
            assert len(board.checks()) == day
