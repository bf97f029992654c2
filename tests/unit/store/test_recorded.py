"""A comparison that says the same as an earlier one is found, as long as its run is certainly there."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from comparisons import costed, small

from benchkit.report.json_form import to_dict
from benchkit.store.mlflow_store import LoggedRun, log_comparison
from benchkit.store.recorded import NAME, Recorded, content_id, find_recorded, write_recorded

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")

REPORT = to_dict(costed(small()))
SUITE = REPORT["suite"]["name"]


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LoggedRun]:
    """Return a database with the comparison in it."""
    database = tmp_path_factory.mktemp("stored") / "mlflow.db"
    return database, log_comparison(REPORT, tracking_uri=f"sqlite:///{database}")


@pytest.fixture
def folder(tmp_path: Path, uri: str, stored: tuple[Path, LoggedRun]) -> Path:
    """Return the folder of a comparison that is in MLflow and says so."""
    database, logged = stored
    shutil.copy(database, tmp_path / "mlflow.db")
    folder = tmp_path / "results" / f"20261121T000000-{SUITE}"
    folder.mkdir(parents=True)
    write_recorded(folder, Recorded(content_id(REPORT), REPORT["started"], uri, logged.run_id, logged.url_or_uri))
    return folder


def test_the_same_result_at_another_time_is_found(folder: Path, uri: str) -> None:
    again = {**REPORT, "started": "2027-01-01T00:00:00+00:00", "seconds": 1.5}
    again["cost_session"] = {**REPORT["cost_session"], "from_cache": not REPORT["cost_session"]["from_cache"]}
    found = find_recorded(folder.parent, SUITE, content_id(again), uri)
    assert found is not None
    assert found[0] == folder
    assert found[1].started == REPORT["started"]


@pytest.mark.parametrize("name", ["environment", "cells", "recommendation", "seed", "warnings", "cost_session"])
def test_whatever_differs_is_another_result(name: str) -> None:
    assert content_id({**REPORT, name: None}) != content_id(REPORT)


def test_another_store_is_another_record(folder: Path, tmp_path: Path) -> None:
    assert find_recorded(folder.parent, SUITE, content_id(REPORT), f"sqlite:///{tmp_path}/other.db") is None


def test_a_server_is_asked_by_mlflow_and_not_here(folder: Path, uri: str) -> None:
    text = (folder / NAME).read_text().replace(uri, "http://127.0.0.1:1")
    (folder / NAME).write_text(text)
    assert find_recorded(folder.parent, SUITE, content_id(REPORT), "http://127.0.0.1:1") is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET lifecycle_stage = 'deleted'",
        "UPDATE runs SET status = 'FAILED'",
        "DELETE FROM runs",
        "ALTER TABLE runs RENAME TO flows",
    ],
)
def test_a_run_that_is_not_certainly_there_is_recorded_again(
    folder: Path, uri: str, tmp_path: Path, statement: str
) -> None:
    assert find_recorded(folder.parent, SUITE, content_id(REPORT), uri) is not None
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement)
        connection.commit()
    assert find_recorded(folder.parent, SUITE, content_id(REPORT), uri) is None


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"content": 1}'])
def test_a_damaged_note_is_as_good_as_none(folder: Path, uri: str, damage: str) -> None:
    (folder / NAME).write_text(damage)
    assert find_recorded(folder.parent, SUITE, content_id(REPORT), uri) is None
    assert find_recorded(folder.parent / "nowhere", SUITE, content_id(REPORT), uri) is None
