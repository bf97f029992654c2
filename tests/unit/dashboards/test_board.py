"""What pages read: of the right store, once until it changes, and what is damaged as a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import comparisons
import drift_reports
import gates
import pytest
import streamlit as st

from benchkit.errors import BenchkitError, UsageError
from benchkit.report.drift_json import drift_to_dict
from benchkit.report.gate_json import gate_to_dict
from benchkit.report.json_form import to_dict
from benchkit.types.board import ChampionRow, ComparisonRow, GateRow
from dashboards import board
from dashboards.filters import Filters


def row(key: str, suite: str = "support", models: tuple[str, ...] = ("a", "b")) -> ComparisonRow:
    return ComparisonRow(key, suite, "digest", "2026-11-20T10:00:00+00:00", models, "a", has_cost=False)


def gate_row(key: str, candidate: str, baseline: str) -> GateRow:
    return GateRow(key, "gated", "2026-11-20", "pass", True, candidate, baseline, None, None, None, None)


def champion(suite: str) -> ChampionRow:
    return ChampionRow(suite, 1, "c", "2026-11-20", "me", "", forced=False, is_present=True)


@dataclass
class FakeBoard:
    """A board in memory, which counts what it is asked."""

    changes: int = 0
    asked: list[Any] = field(default_factory=list)
    documents: dict[Any, Mapping[str, Any]] = field(default_factory=dict)

    def stamp(self) -> str:
        self.asked.append("stamp")
        return str(self.changes)

    def comparisons(self, **asked: Any) -> tuple[ComparisonRow, ...]:
        self.asked.append(("comparisons", asked))
        return row("one"), row("two", models=("b", "c"))

    def gates(self, **asked: Any) -> tuple[GateRow, ...]:
        self.asked.append(("gates", asked))
        return gate_row("g", "new", "old"), gate_row("h", "newer", "new")

    def champions(self, suite: str | None) -> tuple[ChampionRow, ...]:
        return (champion("chosen"),)

    def checks(self, baseline: str, **asked: Any) -> tuple[Any, ...]:
        self.asked.append(("checks", baseline, asked))
        return ()

    def document(self, key: Any) -> Mapping[str, Any]:
        self.asked.append(key)
        return self.documents[key]

    comparison = gate = check = document

    def of_a_task(self, key: str, task: str) -> Any:
        self.asked.append((key, task))
        return self.documents[key][task]

    item_scores = kept_items = item_tags = of_a_task


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeBoard]:
    made = FakeBoard()
    monkeypatch.setenv(board.MLRUNS, str(tmp_path))
    monkeypatch.setenv(board.TRACKING_URI, f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr(board, "open_board", lambda mlruns, uri: made)
    monkeypatch.setattr(board, "_stamp", lambda mlruns, uri: made.stamp())
    st.cache_resource.clear()
    yield made
    st.cache_resource.clear()


# ---------------------------------------------------------------- where


def test_the_place_is_the_commands_or_else_the_projects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "benchkit.toml").write_text('mlruns_dir = "kept"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(board.MLRUNS, raising=False)
    monkeypatch.delenv(board.TRACKING_URI, raising=False)
    assert board.location() == (f"{tmp_path}/kept", f"sqlite:///{tmp_path}/kept/mlflow.db")
    monkeypatch.setenv(board.MLRUNS, "/elsewhere")
    monkeypatch.setenv(board.TRACKING_URI, "http://127.0.0.1:5000")
    assert board.location() == ("/elsewhere", "http://127.0.0.1:5000")


def test_the_board_is_opened_once(fake: FakeBoard) -> None:
    assert board.the_board() is board.the_board() is fake


# ---------------------------------------------------------------- reports


def test_each_kind_of_report_is_a_record(fake: FakeBoard) -> None:
    comparison, gate, drift = comparisons.small(), gates.passed(), drift_reports.critical()
    fake.documents = {"c": to_dict(comparison), "g": gate_to_dict(gate), 7: drift_to_dict(drift)}
    assert board.comparison_of("c").recommendation == comparison.recommendation
    assert board.gate_of("g").verdict == gate.verdict
    assert board.drift_of(7).severity == drift.severity


def test_a_report_is_parsed_once_until_the_store_changes(fake: FakeBoard) -> None:
    fake.documents = {"c": to_dict(comparisons.small())}
    first = board.comparison_of("c")
    assert board.comparison_of("c") is first, "the same record, not a copy of it"
    assert fake.asked.count("c") == 1
    fake.changes += 1
    assert board.comparison_of("c") is not first
    assert fake.asked.count("c") == 2


def test_a_key_of_no_row_is_a_sentence_and_no_path(fake: FakeBoard) -> None:
    with pytest.raises(UsageError, match=r"^comparison \.\./\.\./etc/passwd is not in this store$"):
        board.comparison_of("../../etc/passwd")
    with pytest.raises(UsageError) as caught:
        board.gate_of("x" * 10**6)
    assert len(str(caught.value)) < 120


def test_a_damaged_report_is_a_sentence_with_its_key(fake: FakeBoard) -> None:
    fake.documents = {"c": {"schema_version": 99}, 7: {}}
    with pytest.raises(BenchkitError, match=r"^comparison c: .*99"):
        board.comparison_of("c")
    with pytest.raises(BenchkitError, match=r"^check 7: .*schema_version is None"):
        board.drift_of(7)


def test_the_items_of_a_task_are_read_once_and_no_kind_is_taken_for_another(fake: FakeBoard) -> None:
    fake.documents = {"c": {"A": object(), "B": None}}
    kinds = (board.item_scores_of, board.kept_items_of, board.item_tags_of)
    for kind in kinds:
        assert kind("c", "A") is kind("c", "A") is fake.documents["c"]["A"]
        assert kind("c", "B") is None
    assert fake.asked.count(("c", "A")) == len(kinds), "each kind is read, and once"
    for kind, name in zip(kinds, ("items", "answers", "tags"), strict=True):
        with pytest.raises(UsageError, match=f"^{name} of gone are not in this store$"):
            kind("gone", "A")


# ---------------------------------------------------------------- rows


def test_rows_are_asked_for_with_the_filters(fake: FakeBoard) -> None:
    filters = Filters(suite="support", span="dates", since="2026-11-01", until="2026-11-30")
    board.comparisons(filters)
    board.gates(filters)
    board.checks("prod", filters)
    span = {"since": "2026-11-01", "until": "2026-12-01"}
    assert [asked for asked in fake.asked if asked != "stamp"] == [
        ("comparisons", {"suite": "support", **span}),
        ("gates", {"suite": "support", **span}),
        ("checks", "prod", span),
    ]


def test_rows_are_of_the_models(fake: FakeBoard) -> None:
    assert [row.key for row in board.comparisons(Filters(models=("c", "x")))] == ["two"]
    assert [row.key for row in board.comparisons(Filters(models=("b",)))] == ["one", "two"]
    assert [row.key for row in board.gates(Filters(models=("new",)))] == ["g", "h"], "candidate or baseline"
    assert board.gates(Filters(models=("none",))) == ()


def test_rows_are_read_once_until_the_store_changes(fake: FakeBoard) -> None:
    for _ in range(3):
        board.comparisons(Filters())
    assert sum(asked != "stamp" for asked in fake.asked) == 1
    fake.changes += 1
    board.comparisons(Filters())
    assert sum(asked != "stamp" for asked in fake.asked) == 2


def test_suites_and_models_are_those_of_all_that_is_there(fake: FakeBoard) -> None:
    assert board.suites() == ("chosen", "gated", "support")
    assert board.models(None) == ("a", "b", "c", "new", "newer", "old")
