"""A place is understood, made once even by several processes, and what is wrong with it is said in one sentence."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from local_server import LocalServer

from benchkit.errors import BenchkitError, UsageError
from benchkit.store.uri import TrackingError, locate, prepare_tracking, speaking, without_password

# SQLAlchemy 2.1 warns about a loader strategy that MLflow's own tables use, when MLflow's store is imported.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")


def journal_mode(database: Path) -> str:
    with closing(sqlite3.connect(database)) as opened:
        mode: str = opened.execute("PRAGMA journal_mode").fetchone()[0]
    return mode


def failure(uri: str) -> str:
    """Return what is said of a place that can't be used."""
    with pytest.raises(TrackingError) as caught:
        prepare_tracking(uri)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@contextmanager
def server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Run an HTTP server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer(self)

        def log_message(self, *args: object) -> None: ...

    with LocalServer(Handler) as opened:
        thread = threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{opened.server_port}"
        finally:
            opened.shutdown()
            thread.join()


def says(status: int, body: bytes = b"no") -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def closed_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
    return port


# What a place means


@pytest.mark.parametrize(
    ("uri", "database"),
    [
        ("mlruns", "mlruns/mlflow.db"),
        ("./a/../mlruns", "a/../mlruns/mlflow.db"),
        (" mlruns ", "mlruns/mlflow.db"),
        ("x.db", "x.db"),
        ("sqlite:///mlruns/other.sqlite", "mlruns/other.sqlite"),
        ("sqlite+pysqlite:///x.db", "x.db"),
    ],
)
def test_a_folder_or_a_database_is_an_absolute_sqlite_uri_with_artifacts_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, database: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found = locate(uri)

    assert found.database == tmp_path / database
    assert found.uri == f"sqlite:///{tmp_path / database}"
    assert found.artifact_root == (tmp_path / database).parent.joinpath("artifacts").as_uri()
    assert list(tmp_path.iterdir()) == []


def test_an_absolute_sqlite_uri_stays_what_it_is(tmp_path: Path) -> None:
    assert locate(f"sqlite:///{tmp_path}/x.db").uri == f"sqlite:///{tmp_path}/x.db"


def test_the_home_folder_is_meant_by_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert locate("~/runs").database == tmp_path / "runs" / "mlflow.db"


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "https://example.org/mlflow/"])
def test_a_server_is_passed_on_and_keeps_its_own_artifacts(uri: str) -> None:
    found = locate(uri)
    assert (found.uri, found.database, found.artifact_root) == (uri.rstrip("/"), None, None)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "can't write there; give a folder"),
        ("databricks", "can't write there; give a folder"),
        (
            "file:///data/mlruns",
            "MLflow no longer writes runs to a folder of files; give sqlite:////data/mlruns/mlflow.db",
        ),
        (
            "file:runs",
            "`mlflow migrate-filestore --source runs --target sqlite:///runs/mlflow.db` takes old runs along",
        ),
        ("file:", "give sqlite:///mlruns/mlflow.db instead"),
        ("mysql://me:secret@host/db", "'mysql://me:***@host/db': benchkit doesn't know 'mysql'; give a folder"),
        ("sqlite://", "a database in memory keeps nothing; give sqlite:///<path>"),
        ("sqlite:///:memory:", "a database in memory keeps nothing"),
        ("sqlite:///x.db?timeout=1", "options after '?' are not possible"),
        ("runs?", "MLflow can't open a database whose path holds '?' or '%20'; give another path"),
        ("50%20off", "MLflow can't open a database whose path holds '?' or '%20'; give another path"),
    ],
)
def test_a_place_that_cannot_be_used_is_refused_with_what_to_give_instead(uri: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        locate(uri)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "remedy"),
    [
        ("postgresql://me:secret@host/db", 'pip install "benchkit[postgres]"'),
        ("postgres://host/db", 'pip install "benchkit[postgres]"'),
        ("postgresql+psycopg2://host/db", "pip install psycopg2"),
    ],
)
def test_postgresql_without_its_driver_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, uri: str, remedy: str
) -> None:
    monkeypatch.setattr("benchkit.store.uri.find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        prepare_tracking(uri)
    assert str(caught.value).endswith(remedy)


def test_postgresql_is_passed_on_with_its_driver_and_shown_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchkit.store.uri.find_spec", lambda name: object())
    found = locate("postgresql://me:secret@host/db")

    assert found.uri == "postgresql+psycopg://me:secret@host/db"
    assert found.shown == "postgresql://me:***@host/db"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:p@ss@host:5000/x", "http://me:***@host:5000/x"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("sqlite:////data/a@b.db", "sqlite:////data/a@b.db"),
    ],
)
def test_a_password_is_never_shown(uri: str, shown: str) -> None:
    assert without_password(uri) == shown


def test_a_tracking_error_is_one_that_a_user_can_mend() -> None:
    assert issubclass(TrackingError, BenchkitError)


# Making it


@pytest.mark.parametrize("empty_file", [False, True])
def test_a_new_database_is_migrated_is_in_wal_mode_and_nothing_is_left_beside_it(
    tmp_path: Path, empty_file: bool
) -> None:
    folder = tmp_path / "a" / "b"
    if empty_file:
        folder.mkdir(parents=True)
        (folder / "mlflow.db").touch()
    tracking = prepare_tracking(str(folder))
    assert tracking.database is not None

    assert journal_mode(tracking.database) == "wal"
    with closing(sqlite3.connect(tracking.database)) as database:
        location = database.execute("SELECT artifact_location FROM experiments").fetchall()
    assert location == [(f"{tracking.artifact_root}/0",)]
    assert {path.name for path in tracking.database.parent.iterdir()} <= {
        "mlflow.db",
        "mlflow.db.lock",
        "mlflow.db-wal",
        "mlflow.db-shm",
    }


@pytest.mark.parametrize("name", ["中文 文件夹", "100% a#b it's"])
def test_a_folder_may_have_any_name(tmp_path: Path, template_database: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(template_database, folder / "mlflow.db")
    tracking = prepare_tracking(str(folder))

    (tmp_path / "x.txt").write_text("x")
    with speaking(tracking) as client:
        experiment = client.create_experiment("e", artifact_location=tracking.artifact_root)
        run = client.create_run(experiment).info.run_id
        client.log_artifact(run, str(tmp_path / "x.txt"))
    assert (folder / "artifacts" / run / "artifacts" / "x.txt").read_text() == "x"


def test_a_database_that_is_there_keeps_its_content_and_its_mode(tracking_uri: str) -> None:
    database = Path(tracking_uri.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(database)) as opened:
        opened.execute("PRAGMA journal_mode=DELETE")
    with speaking(locate(tracking_uri)) as client:
        client.create_experiment("mine")
    prepare_tracking(tracking_uri)

    assert journal_mode(database) == "delete"
    with speaking(locate(tracking_uri)) as client:
        assert client.get_experiment_by_name("mine") is not None


def test_after_writes_the_file_alone_is_complete(tracking_uri: str, tmp_path: Path) -> None:
    tracking = prepare_tracking(tracking_uri)
    with speaking(tracking) as client:
        client.create_experiment("mine")
    assert tracking.database is not None
    (tmp_path / "copy").mkdir()
    shutil.copy(tracking.database, tmp_path / "copy" / "mlflow.db")

    with closing(sqlite3.connect(tmp_path / "copy" / "mlflow.db")) as copy:
        assert ("mine",) in copy.execute("SELECT name FROM experiments").fetchall()


def test_a_database_that_was_deleted_meanwhile_is_made_again_and_gets_the_writes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        tracking = prepare_tracking(str(tmp_path / "runs"))
        with speaking(tracking) as client:
            client.create_experiment(name)
        with closing(sqlite3.connect(tmp_path / "runs" / "mlflow.db")) as database:
            names = database.execute("SELECT name FROM experiments ORDER BY name").fetchall()
        assert names == [("Default",), (name,)]
        shutil.rmtree(tmp_path / "runs")


def test_a_leftover_folder_store_in_the_working_directory_changes_nothing(
    template_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftover = tmp_path / "mlruns" / "0"
    leftover.mkdir(parents=True)
    (leftover / "meta.yaml").write_text("artifact_location: file:///x\nexperiment_id: '0'\nname: Default\n")
    shutil.copy(template_database, tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    with speaking(prepare_tracking("mlruns")) as client:
        assert client.tracking_uri == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
        assert client.get_experiment_by_name("Default").artifact_location != "file:///x"


@pytest.mark.slow
def test_four_processes_may_begin_with_a_new_database_at_once(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from benchkit.store.uri import prepare_tracking, speaking\n"
        "with speaking(prepare_tracking(sys.argv[1])) as client:\n"
        "    print(client.create_run('0').info.run_id)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "runs")]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    try:
        outputs = [child.communicate(timeout=300) for child in children]
    finally:
        for child in children:
            child.kill()
    assert [child.returncode for child in children] == [0, 0, 0, 0], outputs

    with closing(sqlite3.connect(tmp_path / "runs" / "mlflow.db")) as database:
        runs = {run for (run,) in database.execute("SELECT run_uuid FROM runs")}
    assert runs == {out.strip() for out, _ in outputs}
    assert [err for _, err in outputs] == ["", "", "", ""]


def test_it_is_silent_and_leaves_settings_of_the_process_as_they_were(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    before = dict(os.environ)
    level = logging.getLogger("urllib3").level
    prepare_tracking(str(tmp_path))

    assert capfd.readouterr() == ("", "")
    assert {**before, "MLFLOW_DISABLE_TELEMETRY": os.environ["MLFLOW_DISABLE_TELEMETRY"]} == dict(os.environ)
    assert logging.getLogger("urllib3").level == level


def test_telemetry_is_off_unless_the_user_has_switched_it_on(
    tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "")  # so that it is put back
    for setting, expected in ((None, "true"), ("false", "false")):
        monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
        if setting is not None:
            monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", setting)
        with speaking(locate(tracking_uri)):
            assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == expected


def test_importing_the_store_does_not_import_mlflow() -> None:
    code = "import sys, benchkit.store.mlflow_store, benchkit.store.items; print('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# What can go wrong


def test_a_path_under_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "runs"

    assert failure(str(place)) == (
        f"{place / 'mlflow.db'}: Not a directory; mend the rights of the folder or give another path"
    )


def test_a_locked_database_is_given_up_after_some_seconds(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchkit.store.uri._BUSY_SECONDS", 0.2)
    with closing(sqlite3.connect(tracking_uri.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert failure(tracking_uri).endswith(
            "mlflow.db: the database is locked by another program; try again when that has finished"
        )


def test_a_lock_that_is_never_given_back_is_not_waited_for_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    monkeypatch.setattr("benchkit.store.uri._LOCK_SECONDS", 0.2)
    with FileLock(tmp_path / "mlflow.db.lock"):
        assert "another process has been making the database for minutes" in failure(str(tmp_path))


def test_what_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("some text, long enough to be looked at\n" * 100)

    assert failure(str(tmp_path / "x.db")).endswith("the file is not an SQLite database; give another path")
    assert (tmp_path / "x.db").read_text().startswith("some text")


def test_the_database_of_another_program_is_refused_and_kept(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")
        database.commit()

    assert "the database belongs to another program; give another path" in failure(str(tmp_path / "x.db"))
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]


def test_a_database_of_another_mlflow_is_not_migrated_unasked(tracking_uri: str) -> None:
    with closing(sqlite3.connect(tracking_uri.removeprefix("sqlite:///"))) as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        database.commit()

    assert "made by another version of MLflow; make a copy of it, then run `mlflow db upgrade`" in failure(tracking_uri)


def test_a_migration_that_breaks_leaves_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.store.tracking import sqlalchemy_store

    class Broken:
        def __init__(self, uri: str, artifact_root: str) -> None:
            Path(uri.removeprefix("sqlite:///")).write_bytes(b"half")
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sqlalchemy_store, "SqlAlchemyStore", Broken)
        assert "No space left on device" in failure(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db.lock"]


def test_a_server_that_is_down_is_reported_within_seconds(capfd: pytest.CaptureFixture[str]) -> None:
    uri = f"http://me:secret@127.0.0.1:{closed_port()}"
    began = time.monotonic()
    message = failure(uri)

    assert message == f"{without_password(uri)}: no server answers there; is it running, and is the address right?"
    assert time.monotonic() - began < 15
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (says(401, b"You are not authenticated."), "the server refuses the login (401); set MLFLOW_TRACKING_USERNAME"),
        (says(401, b'{"error_code": "UNAUTHENTICATED", "message": "x"}'), "refuses the login (401)"),
        (says(403, b'{"error_code": "PERMISSION_DENIED", "message": "x"}'), "the server forbids this (403)"),
        (says(404), "what answers there is no MLflow server; is the address right?"),
        (says(200, b"<html>hello</html>"), "what answers there is no MLflow server"),
        (says(500), "the server fails; its log says why"),
    ],
    ids=["401", "401 JSON", "403", "404", "another server", "500"],
)
def test_a_server_that_refuses_is_reported_with_what_to_do(
    answer: Callable[[BaseHTTPRequestHandler], None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with server(answer) as uri:
        assert message in failure(uri)


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        message = failure(f"http://127.0.0.1:{listening.getsockname()[1]}")
    assert "no answer in time; if the server is slow, set MLFLOW_HTTP_REQUEST_TIMEOUT (seconds)" in message


def test_an_error_that_nobody_foresaw_is_told_in_one_line_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow.exceptions import MlflowException

    class Client:
        def __init__(self, tracking_uri: str) -> None:
            raise MlflowException(f"strange things at {tracking_uri}\nand more")

    import mlflow

    monkeypatch.setattr(mlflow, "MlflowClient", Client)
    assert failure("http://me:secret@host") == "http://me:***@host: strange things at http://me:***@host"


def test_an_error_of_the_caller_is_not_taken_for_one_of_the_store(tracking_uri: str) -> None:
    with pytest.raises(KeyError, match="mine"), speaking(locate(tracking_uri)):
        raise KeyError("mine")


def test_all_of_it_can_be_interrupted(tracking_uri: str) -> None:
    def interrupted(client: Any) -> None:
        raise KeyboardInterrupt

    level = logging.getLogger("mlflow").level
    with pytest.raises(KeyboardInterrupt), speaking(locate(tracking_uri)) as client:
        interrupted(client)
    assert logging.getLogger("mlflow").level == level
