"""Folders of reports: what is read of them, what is refused, and what is passed over."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchkit.api.record import write_json
from benchkit.store import board_files
from benchkit.store.board_files import Damaged, Folder, Folders, Kept, object_of, parts_of, read_file
from benchkit.store.board_rows import comparison_row, gate_row, utc

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
KEYS = st.text() | st.sampled_from(["suite", "started", "models", ' "suite": ', '\n "suite": '])


# Some values of a report


@given(st.dictionaries(KEYS, JSON, min_size=1), st.lists(KEYS, max_size=4))
def test_the_wanted_values_are_those_of_the_whole_file(report: dict[str, Any], wanted: list[str]) -> None:
    whole = (json.dumps(report, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "surrogatepass")
    found = parts_of(whole, [*wanted, *list(report)[:2]])

    for name in [*wanted, *list(report)[:2]]:
        assert found.get(name) == report.get(name)


def test_only_the_wanted_values_of_a_report_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "result.json", {"suite": {"name": "a"}, "cells": ["x" * 1000], "started": "now"})
    content = (tmp_path / "result.json").read_bytes()
    monkeypatch.setattr(board_files, "object_of", lambda content: pytest.fail("the whole file was parsed"))

    assert parts_of(content, ("suite", "started", "absent")) == {"suite": {"name": "a"}, "started": "now"}


@pytest.mark.parametrize(
    "content",
    [
        b'{"suite": 1, "cells": []}',
        b'{\n  "suite": 1,\n  "cells": []\n}\n',
        b'{\n "suite": 2,\n "cells": [],\n "suite": 1\n}\n',
        b'{\n "cells": [{\n "suite": 2}], "suite": 1\n}\n',
    ],
    ids=["one line", "another indent", "a key twice", "an inner key at the margin"],
)
def test_a_report_of_another_layout_is_read_whole(content: bytes) -> None:
    assert parts_of(content, ["suite"])["suite"] == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{\n "suite": {"na', "not JSON, or only a part of it"),
        (b"", "not JSON"),
        (b"[1]", "not a file of benchkit"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
    ids=["half of it", "empty", "a list", "no UTF-8", "deep", "a number of 5000 digits"],
)
def test_what_is_no_object_is_refused(content: bytes, said: str) -> None:
    for read in (object_of, lambda content: parts_of(content, ["suite"])):
        with pytest.raises(Damaged, match=said):
            read(content)


# Rows


def result(**changes: Any) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "suite": {"name": "choose", "digest": "d"},
        "models": [{"name": "minilm"}, {"name": "小模型"}],
        "recommendation": {"model": "minilm", "reason": ""},
        "started": "2026-11-20T10:00:00Z",
        "cost_session": None,
        **changes,
    }


def test_a_row_of_a_comparison_has_what_the_report_says() -> None:
    row = comparison_row("k", result(cost_session={"level": "quick"}))

    assert (row.key, row.suite, row.suite_digest, row.started) == ("k", "choose", "d", "2026-11-20T10:00:00+00:00")
    assert (row.models, row.recommendation, row.has_cost) == (("minilm", "小模型"), "minilm", True)
    assert comparison_row("k", result(recommendation={"model": None})).recommendation is None
    assert not comparison_row("k", result()).has_cost


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 2}, "schema_version is 2, and this benchkit reads 1"),
        ({"schema_version": True}, "schema_version is True"),
        ({"suite": "choose"}, "suite isn't an object"),
        ({"suite": {"name": 5, "digest": ""}}, r"suite\.name isn't a text"),
        ({"suite": {"name": "x" * 1_000_000, "digest": ""}}, r"suite\.name has 1000000 letters"),
        ({"models": {"name": "x"}}, "models isn't a list"),
        ({"models": ["x"]}, "model isn't an object"),
        ({"models": [{"name": "x" * 1_000_000}]}, r"model\.name has 1000000 letters"),
        ({"recommendation": None}, "recommendation isn't an object"),
        ({"started": "yesterday"}, "'yesterday' is no time"),
        ({"started": "0001-01-01T00:00:00+10:00"}, "is no time"),
        ({"started": None}, "started isn't a text"),
    ],
)
def test_a_foreign_result_is_refused_with_its_place(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Damaged, match=said):
        comparison_row("k", result(**changes))


def gate(*rules: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "gate_id": "g1",
        "verdict": "fail",
        "exit_code": 1,
        "rules": list(rules),
        "candidate": {"name": "bge"},
        "baseline": {"name": "minilm"},
        "suite": {"name": "choose"},
        "started": "2026-11-20T10:00:00+01:00",
        **changes,
    }


def test_a_row_of_a_gate_has_its_rule_on_the_mean_and_what_failed() -> None:
    mean = {"id": "quality/mean", "verdict": "pass", "change": -0.001, "low": -0.004, "high": 0.002, "threshold": -0.01}
    lost, broken = {"id": "quality/task:a", "verdict": "fail"}, {"id": "quality/task:b", "verdict": "error"}
    row = gate_row("k", gate(lost, mean, broken, {"id": "cost/x", "verdict": "inconclusive"}))

    assert (row.change, row.low, row.high, row.margin) == (-0.001, -0.004, 0.002, 0.01)
    assert row.failed == ("quality/task:a", "quality/task:b")
    assert (row.verdict, row.blocks, row.candidate, row.baseline) == ("fail", True, "bge", "minilm")
    assert row.started == "2026-11-20T09:00:00+00:00"
    assert not gate_row("k", gate(exit_code=0)).blocks
    assert gate_row("k", gate(lost)).change is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verdict": "great"}, "'great' is no verdict"),
        ({"rules": 5}, "rules isn't a list"),
        ({"candidate": None}, "candidate isn't an object"),
        ({"rules": [{"id": 5, "verdict": "fail"}]}, "id isn't a text"),
    ],
)
def test_a_foreign_gate_is_refused_with_its_place(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Damaged, match=said):
        gate_row("k", gate(**changes))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", True, 10**400])
def test_what_is_no_finite_number_is_none_in_a_row(value: object) -> None:
    assert gate_row("k", gate({"id": "quality/mean", "verdict": "pass", "change": value})).change is None


def test_times_sort_as_texts() -> None:
    times = ["2026-01-01T00:30:00+01:00", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "2026-01-01T03:00:00+01:00"]
    assert sorted(map(utc, times)) == [utc(time) for time in times]


# Files and folders


def test_a_file_is_read_up_to_a_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path / "a", tmp_path, most=5) == b"12345"
    with pytest.raises(Damaged, match="it has 5 bytes, and 4 are the most"):
        read_file(tmp_path / "a", tmp_path, most=4)
    with pytest.raises(Damaged, match="it vanished"):
        read_file(tmp_path / "b", tmp_path)


def test_a_sparse_file_of_a_terabyte_is_refused_without_reading_it(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(Damaged, match="1099511627776 bytes"):
        read_file(tmp_path / "a", tmp_path, most=1000)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes")
def test_a_pipe_or_folder_in_a_files_place_is_refused_and_waits_for_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Damaged, match="it is no file"):
        read_file(tmp_path / "pipe", tmp_path)
    with pytest.raises(Damaged):
        read_file(tmp_path / "folder", tmp_path)


def read(folder: Folder, root: Path) -> Kept[str]:
    return Kept(read_file(folder.path / "a", root).decode(), folder.path)


def folders_of(root: Path, files: dict[str, str]) -> Folders[str]:
    for name, text in files.items():
        (root / name).mkdir(parents=True)
        (root / name / "a").write_text(text)
    return Folders(root, ("a",), read)


def test_folders_that_are_absent_empty_or_being_filled_have_nothing(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "none", ("a",), read)
    assert folders.read() == ([], [])
    (tmp_path / "none" / "begun").mkdir(parents=True)
    (tmp_path / "none" / ".hidden").mkdir()
    (tmp_path / "none" / ".hidden" / "a").write_text("x")
    (tmp_path / "none" / "file").write_text("x")
    assert folders.read() == ([], [])


def test_only_what_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = folders_of(tmp_path, {"x": "1", "y": "2"})
    opened: list[str] = []
    monkeypatch.setattr(
        board_files.os, "open", lambda path, flags, real=os.open: opened.append(str(path)) or real(path, flags)
    )
    assert [kept.row for kept in folders.read()[0]] == ["1", "2"]
    assert len(opened) == 2
    assert [kept.row for kept in folders.read()[0]] == ["1", "2"]
    assert len(opened) == 2

    (tmp_path / "y" / "a").write_text("33")
    (tmp_path / "x" / "a").unlink()
    assert [kept.row for kept in folders.read()[0]] == ["33"]
    assert len(opened) == 3


def test_links_that_leave_the_folder_are_passed_over_and_told(tmp_path: Path) -> None:
    outside = folders_of(tmp_path / "outside", {"secret": "s3cret"})
    assert outside.read()[0]
    folders = folders_of(tmp_path / "root", {"x": "1", "y": "2"})
    (tmp_path / "root" / "dir").symlink_to(tmp_path / "outside" / "secret", target_is_directory=True)
    (tmp_path / "root" / "y" / "a").unlink()
    (tmp_path / "root" / "y" / "a").symlink_to(tmp_path / "outside" / "secret" / "a")
    (tmp_path / "root" / "again").symlink_to(tmp_path / "root" / "x", target_is_directory=True)
    kept, problems = folders.read()

    assert sorted(one.row for one in kept) == ["1", "1"]  # x, and by the link that stays within
    assert len(problems) == 2
    assert all("leads out of the folder" in said for said in problems)


def test_a_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    folders_of(tmp_path / "disk", {"x": "1"})
    (tmp_path / "results").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert [kept.row for kept in Folders(tmp_path / "results", ("a",), read).read()[0]] == ["1"]


def test_a_file_that_vanishes_while_it_is_read_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    folders = folders_of(tmp_path, {"x": "1", "y": "2"})
    calls: list[str] = []

    def vanishing(folder: Folder, root: Path) -> Kept[str]:
        calls.append(folder.key)
        if folder.key == "x":
            (folder.path / "a").unlink()
        return read(folder, root)

    kept, problems = Folders(tmp_path, ("a",), vanishing).read()
    assert [one.row for one in kept] == ["2"]
    assert problems == [f"{tmp_path / 'x' / 'a'}: it vanished while it was read"]
    assert folders.read() == ([kept[0]], [])


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="names there are text")
def test_a_name_that_is_no_text_has_a_key_that_every_encoding_has(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    (tmp_path / os.fsdecode(b"caf\xe9") / "a").write_text("1")
    folders = Folders(tmp_path, ("a",), read)
    (found,), _ = folders.scan()

    assert found.key == "caf\\udce9"
    assert [kept.row for kept in folders.read()[0]] == ["1"]
