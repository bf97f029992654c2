"""Stores that are not on this machine: read within seconds or told, without a word that may hold a secret."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import drift_reports
import gates
import pytest

from benchkit.api.record import write_json
from benchkit.errors import UsageError
from benchkit.report.drift_json import drift_to_dict
from benchkit.report.gate_json import gate_to_dict
from benchkit.store import board_server, promotion, registry
from benchkit.store.board import open_board
from benchkit.store.board_artifacts import begun, meaning
from benchkit.store.board_mlflow import open_tracked, without_secrets
from benchkit.store.board_server import ServerRuns, read_engine
from benchkit.store.board_tracked import RunFacts, Tracked
from benchkit.store.drift_runs import log_drift
from benchkit.store.drift_state import DriftState
from benchkit.store.gate_runs import ModelFacts, log_gate
from benchkit.store.mlflow_store import log_comparison
from benchkit.store.uri import Tracking, locate

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")
MakeReport = Callable[..., dict[str, Any]]


def server_tests() -> ModuleType:
    """Return the module of the comparisons' tests, which knows how to run a real server."""
    spec = importlib.util.spec_from_file_location("server_tests", Path(__file__).with_name("test_mlflow_store.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# A real server


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="ends the server by its process group")
def test_a_server_is_read_like_a_file_and_its_end_is_told_while_the_rows_stay(
    make_report: MakeReport, template_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_server, "PATIENCE_S", 60.0)  # this machine may be busy
    monkeypatch.setattr(board_server, "_SHORT", {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60"})
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(template_database.read_bytes())
    (tmp_path / "scored.json").write_text("{}")
    write_json(tmp_path / "result.json", make_report())
    write_json(tmp_path / "gate.json", gate_to_dict(gates.failed()))
    with server_tests().mlflow_server(folder / "mlflow.db", folder) as uri:
        board = open_board(tmp_path / "mlruns", uri)
        assert (board.comparisons(), board.problems()) == ((), ())
        logged = log_comparison(make_report(), tracking_uri=uri, artifacts=[tmp_path / "result.json"])
        log_gate(gate_to_dict(gates.failed()), tracking_uri=uri, artifacts=[tmp_path / "gate.json"])
        for name in ("minilm", "bge"):
            promotion.promote(
                tracking_uri=uri,
                suite="support",
                scored_file=tmp_path / "scored.json",
                model=ModelFacts(name, "id", name),
                gate=None,
                reason="r",
                by="ana",
                forced=True,
            )
        check = drift_to_dict(drift_reports.quiet())
        with DriftState(tmp_path / "mlruns" / "drift" / "state.db") as state:
            state.recorded(state.add_check(check), log_drift(check, tracking_uri=uri))
        assert board.comparisons() == ()  # what was just asked is not asked again
        before = board.stamp()
        board = open_board(tmp_path / "mlruns", uri)
        (row,) = board.comparisons()
        (gate,) = board.gates()

        assert board.stamp() != before
        assert board.problems() == ()
        assert (row.key, row.models, row.recommendation, row.address) == (
            logged.run_id,
            ("minilm", "bge"),
            "minilm",
            logged.url_or_uri,
        )
        assert board.comparison(row.key) == make_report()
        assert board.gate(gate.key) == gate_to_dict(gates.failed())
        assert (gate.change, gate.verdict, gate.blocks) == (-0.003, "fail", True)
        found = board.champions()
        told = registry.history(uri, "support")
        assert [(one.model, one.is_present) for one in found] == [("minilm", False), ("bge", True)]
        assert {one.address for one in found} == {one.address for one in told}
        (checked,) = board.checks()
        assert checked.address.startswith(f"{uri}/#/experiments/")
        assert checked.address.endswith(f"/runs/{checked.run_id}")
    monkeypatch.setattr(board_server.time, "monotonic", lambda real=time.monotonic: real() + 60)
    assert board.comparisons() == (row,)
    assert any("no server answers there" in said for said in board.problems())
    with pytest.raises(UsageError, match="no server answers there"):
        board.comparison(row.key)


# Servers that fail


@contextmanager
def answering(respond: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            respond(self)

        do_POST = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://ana:s3cret@127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def says(status: int, text: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def respond(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(text.encode())))
        request.end_headers()
        request.wfile.write(text.encode())

    return respond


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (401, "s3cret", "refuses the login"),
        (403, "s3cret", "forbids this"),
        (404, "s3cret", "no MLflow server"),
        (500, "s3cret", "can't be read|the server fails"),
        (200, "<html>s3cret</html>", "no MLflow server|can't be read"),
        (200, '{"experiments": 5}', "can't be read"),
        (200, '{"experiments": [{"experiment_id": {"s3cret": 1}}]}', "can't be read"),
    ],
)
def test_a_foreign_or_failing_server_is_told_at_once_and_no_secret_is(
    tmp_path: Path, make_report: MakeReport, status: int, text: str, said: str
) -> None:
    (tmp_path / "results" / "a").mkdir(parents=True)
    write_json(tmp_path / "results" / "a" / "result.json", make_report())
    with answering(says(status, text)) as uri:
        board = open_board(tmp_path, uri)
        assert [row.key for row in board.comparisons()] == ["a"]
        (problem,) = board.problems()
    assert any(words in problem for words in said.split("|")), problem
    assert "s3cret" not in problem
    assert "ana" not in problem
    assert problem.startswith("http://127.0.0.1:")


def test_a_closed_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.monotonic()
    (problem,) = open_board(tmp_path, f"http://127.0.0.1:{port}").problems()
    assert problem == f"http://127.0.0.1:{port}: no server answers there; is it running, and is the address right?"
    assert time.monotonic() - began < 10


def test_a_server_that_never_answers_holds_nobody_up_and_what_comes_late_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(board_server, "PATIENCE_S", 0.1)
    monkeypatch.setattr(board_server, "_FRESH_S", 0.0)
    go, asked = threading.Event(), []
    late = Tracked(comparisons=(RunFacts("r", "1", "", {}),))

    def slow(tracking: Tracking) -> Tracked:
        asked.append(tracking)
        go.wait(30)
        return late

    monkeypatch.setattr(board_server, "_from_server", slow)
    store = ServerRuns(locate("http://127.0.0.1:9"))
    began = time.monotonic()
    assert store.tracked() == Tracked(problems=("no answer within 0 s",))
    first = store.stamp()
    assert time.monotonic() - began < 5
    assert len(asked) == 1  # one question at a time
    go.set()
    time.sleep(0.05)
    assert store.tracked() == late
    assert store.stamp() != first


def test_rows_stay_while_a_server_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_server, "_FRESH_S", 0.0)
    had = Tracked(comparisons=(RunFacts("r", "1", "", {}),))
    answers: Iterator[Any] = iter([had, OSError("s3cret"), RuntimeError("s3cret"), had])

    def read(tracking: Tracking) -> Tracked:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return had

    monkeypatch.setattr(board_server, "_from_server", read)
    store = ServerRuns(locate("http://127.0.0.1:9"))
    assert store.tracked() == had
    assert store.tracked() == replace(had, problems=("it can't be read (OSError)",))
    assert store.tracked() == replace(had, problems=("it can't be read (RuntimeError)",))
    assert store.tracked() == had


def test_a_file_that_is_too_large_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        def list_artifacts(self, run_id: str) -> list[Any]:
            return [type("File", (), {"path": "result.json", "file_size": 65 * 2**20})]

        def download_artifacts(self, *arguments: object) -> str:
            pytest.fail("it was loaded")

    @contextmanager
    def briefly(tracking: Tracking) -> Iterator[Any]:
        yield Client()

    monkeypatch.setattr(board_server, "_briefly", briefly)
    store = ServerRuns(locate("http://127.0.0.1:9"))
    with pytest.raises(board_server.Damaged, match="68157440 bytes"):
        store.document(RunFacts("r", "1", "", {}), "result.json")
    with pytest.raises(board_server.Damaged, match=r"gate\.json isn't among"):
        store.document(RunFacts("r", "1", "", {}), "gate.json")


# PostgreSQL: the same SQL, through SQLAlchemy


def test_the_sql_says_the_same_through_sqlalchemy(make_report: MakeReport, tracking_uri: str, tmp_path: Path) -> None:
    from sqlalchemy import create_engine

    log_comparison(make_report(), tracking_uri=tracking_uri)
    log_gate(gate_to_dict(gates.failed()), tracking_uri=tracking_uri)
    board = open_board(tmp_path / "mlruns", tracking_uri)
    engine = create_engine(tracking_uri)
    found = read_engine(engine)

    assert [run.run_id for run in found.comparisons] == [row.run_id for row in board.comparisons()]
    assert [run.run_id for run in found.gates] == [row.run_id for row in board.gates()]
    assert found == open_tracked(locate(tracking_uri)).tracked()
    with closing(sqlite3.connect(tracking_uri.removeprefix("sqlite:///"))) as database:
        database.execute("ALTER TABLE model_version_tags RENAME TO elsewhere")
        database.commit()
    assert read_engine(engine).problems == (
        "champions: another version of MLflow made the database, or another program",
    )
    engine.dispose()


def test_a_driver_that_is_not_installed_is_told(tmp_path: Path) -> None:
    if importlib.util.find_spec("psycopg") is not None:
        pytest.skip("it is installed")
    (problem,) = open_board(tmp_path, "postgresql://ana:s3cret@127.0.0.1:9/db?password=s3cret").problems()
    assert "psycopg" in problem
    assert "s3cret" not in problem


# Words


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://ana:s3cret@host:5000/mlflow", "https://host:5000/mlflow"),
        ("https://s3cret@host", "https://host"),
        ("https://host/?token=s3cret#s3cret", "https://host/"),
        ("postgresql://ana:s3c@ret/x@host/db?password=s3cret", "postgresql://..."),
        ("postgresql+psycopg://ana:s3c@ret@host/db", "postgresql+psycopg://host/db"),
        ("/home/ana@work/mlflow.db", "/home/ana@work/mlflow.db"),
    ],
)
def test_an_address_is_shown_without_its_secrets(uri: str, shown: str) -> None:
    assert without_secrets(uri) == shown


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionError("Connection refused by s3cret"), "no server answers there"),
        (ValueError("s3cret"), "it can't be read (ValueError)"),
        (ModuleNotFoundError("No module named 's3cret'", name="boto3"), "the package boto3 is needed"),
        (json.JSONDecodeError("s3cret", "s3cret", 0), "it can't be read (JSONDecodeError)"),
    ],
)
def test_an_error_is_told_in_our_words(error: Exception, said: str) -> None:
    assert said in meaning(error)
    assert "s3cret" not in meaning(error)


def test_what_a_thread_raises_comes_to_who_asked() -> None:
    with pytest.raises(ZeroDivisionError):
        begun(lambda: 1 // 0).result(timeout=10)


# Files of runs


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ("mlflow-artifacts:/1/r/artifacts", "give the server's address"),
        ("http://169.254.169.254/latest", "isn't among the files of its run"),
        ("runs:/r/x", "isn't among the files of its run"),
        ("file:///nowhere/at/all", "isn't among the files of its run"),
        ("relative/path", "isn't among the files of its run"),
        ("", "isn't among the files of its run"),
    ],
)
def test_a_place_that_is_no_storage_is_not_asked(tracking_uri: str, files: str, said: str) -> None:
    store = open_tracked(locate(tracking_uri))
    with pytest.raises(board_server.Damaged, match=said):
        store.document(RunFacts("../../etc", "1", files, {}), "result.json")


def test_a_link_among_the_files_of_a_run_is_not_followed(tracking_uri: str, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "files" / "result.json").symlink_to(tmp_path / "secret")
    store = open_tracked(locate(tracking_uri))
    with pytest.raises(board_server.Damaged, match="leads out of the folder"):
        store.document(RunFacts("r", "1", (tmp_path / "files").as_uri(), {}), "result.json")
