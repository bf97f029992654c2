"""The board: everything once, whatever it is kept in; damaged parts told; nothing changed, nothing outside opened."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gates
import pytest

from benchkit.api.record import write_json
from benchkit.errors import UsageError
from benchkit.report.gate_json import gate_to_dict
from benchkit.report.json_form import from_dict
from benchkit.store import promotion, registry, schema
from benchkit.store.board import Board, open_board
from benchkit.store.cost_samples import write_cost_samples
from benchkit.store.gate_runs import ModelFacts, log_gate
from benchkit.store.mlflow_store import log_comparison
from benchkit.store.recorded import Recorded, content_id, write_recorded
from benchkit.types.cost import CostSamples, ProcessFacts, Sample
from benchkit.types.gate import GateReport

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")

Report = dict[str, Any]
MakeReport = Callable[..., Report]
SAMPLES = CostSamples(
    ("minilm",), (Sample("minilm", 0, "query", 0, 0, 1, 5, 5, 0.01, 0.01),), (ProcessFacts("minilm", 0, 1.0, 0.5),)
)


@pytest.fixture
def mlruns(tmp_path: Path) -> Path:
    return tmp_path / "mlruns"


@pytest.fixture
def board(mlruns: Path, tracking_uri: str) -> Board:
    return open_board(mlruns, tracking_uri)


def keep(mlruns: Path, report: Report, name: str = "a", *, uri: str = "", samples: bool = False) -> Path:
    """Write a comparison as `benchkit compare` does; with a URI, into MLflow too."""
    folder = mlruns / "results" / name
    folder.mkdir(parents=True)
    if samples:
        write_cost_samples(folder / "costs.parquet", SAMPLES)
    write_json(folder / "result.json", report)
    if uri:
        run = log_comparison(report, tracking_uri=uri, artifacts=sorted(folder.iterdir()))
        write_recorded(folder, Recorded(content_id(report), report["started"], uri, run.run_id, run.url_or_uri))
    return folder


def keep_gate(mlruns: Path, report: GateReport, name: str = "g", *, uri: str = "") -> Path:
    folder = mlruns / "gates" / name
    folder.mkdir(parents=True)
    write_json(folder / "gate.json", gate_to_dict(report))
    if uri:
        log_gate(gate_to_dict(report), tracking_uri=uri, artifacts=[folder / "gate.json"])
    return folder


def tree(root: Path) -> dict[str, tuple[int, str]]:
    """Return everything below a folder with its time and digest."""
    return {
        str(path.relative_to(root)): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in [root, *root.rglob("*")]
    }


def everything(board: Board) -> list[Any]:
    """Ask a board for all that it has."""
    found: list[Any] = [board.stamp(), board.comparisons(), board.gates(), board.champions(), board.checks()]
    found += [board.comparison(row.key) for row in board.comparisons()]
    found += [board.cost_samples(row.key) for row in board.comparisons()]
    found += [board.gate(row.key) for row in board.gates()] + [board.check(row.key) for row in board.checks()]
    return [*found, board.baselines(), board.marks("support"), board.problems()]


# Nothing there


def test_a_project_without_anything_has_nothing_and_nothing_is_made(tmp_path: Path) -> None:
    board = open_board(tmp_path / "mlruns", f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    assert everything(board)[1:] == [(), (), (), (), (), (), ()]
    assert not list(tmp_path.iterdir())


# In a folder, in MLflow, in both


def test_a_comparison_of_a_folder_is_listed_with_its_document_and_its_samples(
    mlruns: Path, board: Board, make_report: MakeReport
) -> None:
    report = make_report()
    keep(mlruns, report, samples=True)
    (row,) = board.comparisons()

    assert (row.key, row.suite, row.models, row.recommendation) == ("a", "choose", ("minilm", "bge"), "minilm")
    assert (row.run_id, row.address, row.has_cost) == ("", "", False)
    assert board.comparison("a") == report
    assert from_dict(board.comparison("a")).suite.name == "choose"
    assert board.cost_samples("a") == SAMPLES


def test_what_is_in_a_folder_and_in_mlflow_is_listed_once_with_its_run(
    mlruns: Path, board: Board, make_report: MakeReport, tracking_uri: str
) -> None:
    keep(mlruns, make_report(), uri=tracking_uri)
    (row,) = board.comparisons()
    assert row.key == "a"
    assert len(row.run_id) == 32
    assert row.address == tracking_uri
    assert board.problems() == ()


@pytest.mark.parametrize("interrupted", [True, False])
def test_an_interrupted_comparison_is_known_by_its_folder_and_by_its_run(
    mlruns: Path, board: Board, make_report: MakeReport, tracking_uri: str, interrupted: bool
) -> None:
    folder = keep(mlruns, make_report() | {"interrupted": interrupted}, uri=tracking_uri)
    assert [row.is_interrupted for row in board.comparisons()] == [interrupted]
    shutil.rmtree(folder)
    assert [row.is_interrupted for row in board.comparisons()] == [interrupted]


def test_a_folder_that_was_tracked_later_is_recognized_by_what_it_says(
    mlruns: Path, board: Board, make_report: MakeReport, tracking_uri: str
) -> None:
    """`benchkit track` writes no note into the folder."""
    for name, score in (("a", 0.5), ("b", 0.6)):  # the same suite in the same second, with another result
        keep(mlruns, make_report({"minilm": {"Faq": score}}), name)
    logged = log_comparison(board_json(mlruns, "b"), tracking_uri=tracking_uri)
    assert [(row.key, row.run_id) for row in board.comparisons()] == [("a", ""), ("b", logged.run_id)]


def board_json(mlruns: Path, name: str) -> Report:
    found: Report = json.loads((mlruns / "results" / name / "result.json").read_text(encoding="utf-8"))
    return found


def test_a_comparison_that_is_in_mlflow_alone_is_read_from_its_files_there(
    mlruns: Path, board: Board, make_report: MakeReport, tracking_uri: str
) -> None:
    folder = keep(mlruns, make_report(), uri=tracking_uri, samples=True)
    (before,) = board.comparisons()
    shutil.rmtree(folder)
    (row,) = board.comparisons()

    assert row == replace(before, key=before.run_id)
    assert board.comparison(row.key) == make_report()
    assert board.cost_samples(row.key) is None  # its parameters say that nothing was measured
    assert board.problems() == ()


def test_a_project_that_was_moved_finds_the_files_of_its_runs(
    mlruns: Path, make_report: MakeReport, template_database: Path, tmp_path: Path
) -> None:
    mlruns.mkdir()
    shutil.copy(template_database, mlruns / "mlflow.db")
    shutil.rmtree(keep(mlruns, make_report(), uri=f"sqlite:///{mlruns}/mlflow.db"))
    mlruns.rename(tmp_path / "elsewhere")
    board = open_board(tmp_path / "elsewhere", f"sqlite:///{tmp_path}/elsewhere/mlflow.db")
    (row,) = board.comparisons()
    assert board.comparison(row.key) == make_report()


def test_unfinished_failed_and_deleted_runs_are_not_listed(
    mlruns: Path, board: Board, make_report: MakeReport, tracking_uri: str
) -> None:
    for number, change in enumerate(("status = 'RUNNING'", "status = 'FAILED'", "lifecycle_stage = 'deleted'", "")):
        logged = log_comparison(make_report(started=f"2026-11-20T10:00:0{number}Z"), tracking_uri=tracking_uri)
        if change:
            with closing(sqlite3.connect(tracking_uri.removeprefix("sqlite:///"))) as database:
                database.execute(f"UPDATE runs SET {change} WHERE run_uuid = ?", (logged.run_id,))
                database.commit()
    assert [row.run_id for row in board.comparisons()] == [logged.run_id]


def test_a_gate_is_listed_once_wherever_it_is_and_keeps_its_margin(
    mlruns: Path, board: Board, tracking_uri: str
) -> None:
    report = gates.failed()
    folder = keep_gate(mlruns, report, uri=tracking_uri)
    (row,) = board.gates()
    assert (row.key, row.verdict, row.blocks, row.candidate) == ("g", "fail", True, "minilm-v2")
    assert (row.change, row.low, row.high, row.margin) == (-0.003, -0.013, 0.007, 0.005)
    assert row.failed == ("quality/task:FAQRetrieval", "cost/peak_memory"), "a slice that only warns decides nothing"
    assert row.address == tracking_uri
    assert len(row.run_id) == 32

    shutil.rmtree(folder)
    assert board.gates() == (replace(row, key=row.run_id),)
    assert board.gate(row.run_id) == gate_to_dict(report)


def test_a_gate_whose_file_is_lost_is_listed_from_its_run_without_a_margin(
    mlruns: Path, board: Board, tracking_uri: str
) -> None:
    log_gate(gate_to_dict(gates.failed()), tracking_uri=tracking_uri)
    (row,) = board.gates()
    assert (row.verdict, row.blocks, row.change, row.low, row.high) == ("fail", True, -0.003, -0.013, 0.007)
    assert row.failed == ("quality/task:FAQRetrieval", "cost/peak_memory"), "a slice that only warns decides nothing"
    assert row.margin is None
    with pytest.raises(UsageError, match=r"gate\.json isn't among the files of its run"):
        board.gate(row.key)


def test_champions_are_those_that_the_registry_tells(board: Board, tracking_uri: str, tmp_path: Path) -> None:
    (tmp_path / "scored.json").write_text("{}")
    for number, name in enumerate(("minilm", "bge", "<b>e5</b>")):
        promotion.promote(
            tracking_uri=tracking_uri,
            suite="support",
            scored_file=tmp_path / "scored.json",
            model=ModelFacts(name, "id", f"fp{number}"),
            gate=None,
            reason="because",
            by="ana",
            forced=True,
            when=datetime(2026, 11, 20 - number, tzinfo=UTC),  # clocks go wrong
        )
    told = registry.history(tracking_uri, "support")
    found = board.champions("support")

    assert [row.model for row in found] == ["<b>e5</b>", "bge", "minilm"]  # by the time of the promotion
    assert {(row.version, row.model, row.is_present) for row in found} == {
        (one.version, one.model, one.is_present) for one in told
    }
    assert (found[0].promoted_by, found[0].reason, found[0].forced, found[0].gate_verdict) == (
        "ana",
        "because",
        True,
        "",
    )
    assert found[0].promoted_at == "2026-11-18T00:00:00+00:00"
    assert board.champions("other") == ()


def test_a_version_that_never_was_champion_is_not_listed_and_a_chain_of_previous_ones_is(
    board: Board, tracking_uri: str, tmp_path: Path
) -> None:
    (tmp_path / "scored.json").write_text("{}")
    for name in ("minilm", "bge", "e5"):
        promotion.promote(
            tracking_uri=tracking_uri,
            suite="support",
            scored_file=tmp_path / "scored.json",
            model=ModelFacts(name, "id", name),
            gate=None,
            reason="r",
            by="ana",
            forced=True,
        )
    with closing(sqlite3.connect(tracking_uri.removeprefix("sqlite:///"))) as database:
        # As an end right after the alias moved leaves it; the second version was never reached by a chain.
        database.execute("DELETE FROM model_version_tags WHERE key = ?", (schema.WAS_CHAMPION,))
        database.execute("UPDATE model_version_tags SET value = '1' WHERE key = ? AND version = 3", (schema.PREVIOUS,))
        database.commit()
    assert [row.model for row in board.champions()] == ["minilm", "e5"]
    assert {one.model for one in registry.history(tracking_uri, "support")} == {"minilm", "e5"}


# Time, suites, limits


def test_rows_are_newest_last_and_filtered_by_suite_time_and_number(
    mlruns: Path, board: Board, make_report: MakeReport, tracking_uri: str
) -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    for number in (3, 1, 4, 0, 2):
        started = (noon + timedelta(hours=number)).isoformat()
        report = make_report(started=started, suite="odd" if number % 2 else "even")
        if number == 2:
            log_comparison(report, tracking_uri=tracking_uri)
        else:
            keep(mlruns, report, f"n{9 - number}")

    def hours(**wanted: Any) -> list[int]:
        return [datetime.fromisoformat(row.started).hour - 12 for row in board.comparisons(**wanted)]

    assert hours() == [0, 1, 2, 3, 4]
    assert hours(limit=2) == [3, 4]
    assert hours(limit=0) == hours(limit=-1) == []
    assert hours(suite="even") == [0, 2, 4]
    assert hours(suite="even", limit=1) == [4]
    assert hours(since="2026-11-20T13:00:00Z") == [1, 2, 3, 4]
    assert hours(until="2026-11-20T13:00:00Z") == [0]
    assert hours(since="2026-11-20T14:00:00+01:00", until="2026-11-20T15:00:00") == [1, 2]
    assert hours(since="2026-11-21") == []
    with pytest.raises(ValueError, match="'soon' is no time"):
        board.comparisons(since="soon")


# Keys


@pytest.mark.parametrize(
    "key",
    ["../../etc/passwd", "/etc/passwd", "..", ".", "", "a/../a", "a/", "./a", "A", "result.json", "a\0", "x" * 10_000],
)
def test_a_key_that_was_not_listed_opens_nothing(
    mlruns: Path, board: Board, make_report: MakeReport, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(mlruns, make_report(), "a")
    keep_gate(mlruns, gates.passed(), "g")
    assert board.comparison("a")
    assert board.gate("g")
    monkeypatch.setattr("benchkit.store.board_files.os.open", lambda *arguments: pytest.fail("something was opened"))
    for ask in (board.comparison, board.cost_samples, board.gate):
        with pytest.raises(KeyError):
            ask(key)
    with pytest.raises(KeyError):
        board.gate("a")  # a comparison's


@pytest.mark.parametrize("key", [0, -1, 10**30])
def test_a_check_that_is_not_there_is_told_by_a_key_error(board: Board, key: int) -> None:
    with pytest.raises(KeyError):
        board.check(key)


def test_a_document_that_was_replaced_by_a_link_after_the_listing_is_not_followed(
    mlruns: Path, board: Board, make_report: MakeReport, tmp_path: Path
) -> None:
    folder = keep(mlruns, make_report())
    assert board.comparisons()
    (tmp_path / "secret.json").write_text('{"secret": 1}')
    (folder / "result.json").unlink()
    (folder / "result.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises((KeyError, UsageError)):
        board.comparison("a")
    assert board.comparisons() == ()
    assert "leads out of the folder" in board.problems()[0]


# Damage


def test_each_damaged_part_is_a_sentence_and_the_rest_is_listed(
    mlruns: Path, board: Board, make_report: MakeReport
) -> None:
    keep(mlruns, make_report(), "whole")
    keep_gate(mlruns, gates.passed(), "whole")
    texts = {
        "half": (mlruns / "results" / "whole" / "result.json").read_text(encoding="utf-8")[:500],
        "foreign": '{"schema_version": 1, "hello": 2}',
        "newer": json.dumps({**make_report(), "schema_version": 2}),
        "long": json.dumps(make_report(suite="x" * 1_000_000)),
        "list": "[]",
        "\u202eevil\nname": "no",
    }
    for kind, file in (("results", "result.json"), ("gates", "gate.json")):
        for name, text in texts.items():
            (mlruns / kind / name).mkdir(parents=True)
            (mlruns / kind / name / file).write_text(text)
    (mlruns / "results" / "huge").mkdir()
    with (mlruns / "results" / "huge" / "result.json").open("wb") as sparse:
        sparse.truncate(65 * 2**20)
    problems = board.problems()

    assert [row.key for row in board.comparisons()] == [row.key for row in board.gates()] == ["whole"]
    assert len(problems) == 2 * len(texts) + 1
    assert all("\n" not in said and "\u202e" not in said and len(said) < 1000 for said in problems)
    said = "\n".join(problems)
    for name, words in (
        ("half", "not JSON, or only a part of it"),
        ("newer", "schema_version is 2"),
        ("long", "1000000 letters"),
        ("list", "not a file of benchkit"),
        ("huge", "68157440 bytes"),
    ):
        assert any(name in line and words in line for line in problems), (name, said)


def test_a_damaged_note_leaves_the_comparison_listed_without_a_run(
    mlruns: Path, board: Board, make_report: MakeReport
) -> None:
    folder = keep(mlruns, make_report())
    for text in ("{", '{"run_id": 5, "address": ""}', '{"run_id": "x"}'):
        (folder / "record.json").write_text(text)
        assert [(row.key, row.run_id) for row in board.comparisons()] == [("a", "")]
        assert "record.json" in board.problems()[0]


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", " javascript:alert(1)"])
def test_an_address_that_would_run_something_is_left_out(
    mlruns: Path, board: Board, make_report: MakeReport, address: str
) -> None:
    folder = keep(mlruns, make_report())
    note: Mapping[str, str] = {"run_id": "r", "address": address}
    (folder / "record.json").write_text(json.dumps(note))
    assert board.comparisons()[0].address == ""
    (folder / "record.json").write_text(json.dumps({**note, "address": "https://mlflow.example/#/runs/r"}))
    assert board.comparisons()[0].address == "https://mlflow.example/#/runs/r"


def test_damaged_costs_are_told_and_the_comparison_is_there(
    mlruns: Path, board: Board, make_report: MakeReport
) -> None:
    folder = keep(mlruns, make_report(), samples=True)
    content = (folder / "costs.parquet").read_bytes()
    (folder / "costs.parquet").write_bytes(content[:-20])
    with pytest.raises(UsageError, match="damaged"):
        board.cost_samples("a")
    assert board.comparison("a")
    (folder / "costs.parquet").unlink()
    assert board.cost_samples("a") is None


def test_a_comparison_that_vanished_after_the_listing_is_told(
    mlruns: Path, board: Board, make_report: MakeReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = keep(mlruns, make_report())
    listing = board._listing()
    shutil.rmtree(folder)
    monkeypatch.setattr(board, "_listing", lambda: listing)
    with pytest.raises(UsageError, match="vanished"):
        board.comparison("a")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:50_000]), "damaged"),
        (lambda path: path.write_bytes(b"not a database" * 1000), "not an SQLite database"),
        (lambda path: path.write_bytes(b""), "another program"),
        (lambda path: (path.unlink(), path.mkdir()), "directory"),
    ],
    ids=["cut", "foreign", "empty", "a folder"],
)
def test_a_damaged_database_is_told_and_the_folders_are_listed(
    mlruns: Path,
    board: Board,
    make_report: MakeReport,
    tracking_uri: str,
    damage: Callable[[Path], object],
    said: str,
) -> None:
    keep(mlruns, make_report(), uri=tracking_uri)
    damage(Path(tracking_uri.removeprefix("sqlite:///")))
    (row,) = board.comparisons()
    assert row.key == "a"
    assert any(said.lower() in line.lower() for line in board.problems()), board.problems()


@pytest.mark.parametrize("table", ["model_version_tags", "registered_model_aliases", "experiments", "latest_metrics"])
def test_what_another_version_of_mlflow_lacks_is_told_and_the_rest_is_read(
    mlruns: Path, board: Board, make_report: MakeReport, tracking_uri: str, table: str
) -> None:
    log_comparison(make_report(), tracking_uri=tracking_uri)
    with closing(sqlite3.connect(tracking_uri.removeprefix("sqlite:///"))) as database:
        database.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
        database.commit()
    assert len(board.comparisons()) == (table != "experiments")
    assert any(f"no such table: {table}" in said for said in board.problems())


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (schema.MODELS, "[", "isn't a list of names"),
        (schema.MODELS, "[5]", "isn't a list of names"),
        (schema.STARTED, "never", "is no time"),
        (schema.SUITE, None, "isn't a text"),
    ],
)
def test_a_run_whose_tags_were_changed_is_told_and_the_others_are_listed(
    board: Board, make_report: MakeReport, tracking_uri: str, key: str, value: str | None, said: str
) -> None:
    kept = log_comparison(make_report(), tracking_uri=tracking_uri)
    changed = log_comparison(make_report(started="2026-11-21T10:00:00Z"), tracking_uri=tracking_uri)
    with closing(sqlite3.connect(tracking_uri.removeprefix("sqlite:///"))) as database:
        database.execute("DELETE FROM tags WHERE run_uuid = ? AND key = ?", (changed.run_id, key))
        if value is not None:
            database.execute("INSERT INTO tags VALUES (?, ?, ?)", (key, value, changed.run_id))
        database.commit()
    assert [row.run_id for row in board.comparisons()] == [kept.run_id]
    assert any(changed.run_id in line and said in line for line in board.problems())


@pytest.mark.parametrize("uri", ["mysql://me:s3cret@host/db", "databricks", "sqlite://", "", "nonsense://s3cret@x"])
def test_a_store_that_benchkit_does_not_know_is_told_and_the_folders_are_listed(
    mlruns: Path, make_report: MakeReport, uri: str
) -> None:
    keep(mlruns, make_report())
    board = open_board(mlruns, uri)
    assert [row.key for row in board.comparisons()] == ["a"]
    assert len(board.problems()) == 1
    assert "s3cret" not in board.problems()[0]
    assert board.champions() == ()


# Only reading


def test_nothing_is_changed_by_reading_everything(
    mlruns: Path, make_report: MakeReport, template_database: Path, tmp_path: Path
) -> None:
    mlruns.mkdir()
    shutil.copy(template_database, mlruns / "mlflow.db")
    uri = f"sqlite:///{mlruns}/mlflow.db"
    keep(mlruns, make_report(), uri=uri, samples=True)
    keep_gate(mlruns, gates.passed(), uri=uri)
    shutil.rmtree(keep(mlruns, make_report(started="2026-11-21T10:00:00Z"), "gone", uri=uri))
    shutil.rmtree(keep_gate(mlruns, replace(gates.failed(), gate_id="f" * 16), "gone", uri=uri))
    plain = tmp_path / "copy"
    shutil.copytree(mlruns, plain)  # without what the writers still hold open
    for left in plain.glob("mlflow.db-*"):
        left.unlink()
    before = tree(plain)
    board = open_board(plain, f"sqlite:///{plain}/mlflow.db")
    found = everything(board)

    assert [len(rows) for rows in found[1:3]] == [2, 2]
    assert board.problems() == ()
    assert tree(plain) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can be somebody else")
def test_a_folder_that_can_not_be_written_is_read(
    make_report: MakeReport, template_database: Path, tmp_path: Path
) -> None:
    mlruns = tmp_path / "mlruns"
    mlruns.mkdir()
    shutil.copy(template_database, mlruns / "mlflow.db")
    keep(mlruns, make_report(), uri=f"sqlite:///{mlruns}/mlflow.db")
    for left in mlruns.glob("mlflow.db-*"):
        left.unlink()
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(0o711)
    for path in [mlruns, *mlruns.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = tree(mlruns)
    os.seteuid(65534)
    try:
        with pytest.raises(PermissionError):
            (mlruns / "new").touch()
        board = open_board(mlruns, f"sqlite:///{mlruns}/mlflow.db")
        (row,) = board.comparisons()
        found = len(row.run_id), board.comparison("a"), board.problems()
    finally:
        os.seteuid(0)
    assert found == (32, make_report(), ())
    assert tree(mlruns) == before


_CHILD = """
import sys
from pathlib import Path
from benchkit.store.board import open_board
board = open_board(Path(sys.argv[1]), sys.argv[2])
rows = board.comparisons()
print(len(rows), board.comparison(rows[0].key)["suite"]["name"], board.checks(), board.problems())
print(*(name for name in ("mlflow", "pandas", "torch", "streamlit", "sqlalchemy", "pyarrow") if name in sys.modules))
"""


def test_a_sqlite_store_is_read_without_a_heavy_library(
    mlruns: Path, make_report: MakeReport, tracking_uri: str
) -> None:
    shutil.rmtree(keep(mlruns, make_report(), uri=tracking_uri))
    command = [sys.executable, "-c", _CHILD, str(mlruns), tracking_uri]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "1 choose () ()\n\n", done.stderr


# Stamp and speed


def test_the_stamp_stays_while_nothing_changes_and_changes_with_everything(
    mlruns: Path, board: Board, make_report: MakeReport, tracking_uri: str
) -> None:
    stamps = [board.stamp()]

    def changed() -> bool:
        stamps.append(board.stamp())
        return stamps[-1] not in stamps[:-1] and board.stamp() == stamps[-1]

    folder = keep(mlruns, make_report())
    assert changed()
    write_cost_samples(folder / "costs.parquet", SAMPLES)
    assert changed()
    logged = log_comparison(make_report(), tracking_uri=tracking_uri)
    assert changed()
    write_recorded(folder, Recorded("c", "s", tracking_uri, logged.run_id, ""))
    assert changed()
    keep_gate(mlruns, gates.passed())
    assert changed()
    (mlruns / "drift" / "baselines").mkdir(parents=True)
    (mlruns / "drift" / "baselines" / "a.safetensors").write_bytes(b"x")
    assert changed()
    with closing(sqlite3.connect(mlruns / "drift" / "state.db")) as state:
        state.execute("CREATE TABLE t (x)")
    assert changed()
    shutil.rmtree(folder)
    assert changed()


def test_three_hundred_comparisons_and_gates_are_listed_in_half_a_second_and_again_in_no_time(
    mlruns: Path, make_report: MakeReport, tmp_path: Path
) -> None:
    scores = {f"model-{m}": {f"Task{t}": (m + t) / 100 for t in range(20)} for m in range(5)}
    write_json(tmp_path / "result.json", make_report(scores))
    write_json(tmp_path / "gate.json", gate_to_dict(gates.failed()))
    for kind, file in (("results", "result.json"), ("gates", "gate.json")):
        for number in range(300):
            (mlruns / kind / f"{number}").mkdir(parents=True)
            os.link(tmp_path / file, mlruns / kind / f"{number}" / file)
    board = open_board(mlruns, f"sqlite:///{mlruns}/mlflow.db")

    def cpu(call: Callable[[], object]) -> float:
        began = time.process_time()
        call()
        return time.process_time() - began

    assert cpu(lambda: (board.comparisons(), board.gates())) < 0.5
    assert len(board.comparisons()) == len(board.gates()) == 300
    assert min(cpu(lambda: (board.comparisons(), board.gates())) for _ in range(3)) < 0.04
    assert min(cpu(board.stamp) for _ in range(3)) < 0.02
