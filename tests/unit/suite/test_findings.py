"""Parts that the checks share."""

from __future__ import annotations

import pytest

from benchkit.suite import findings
from benchkit.suite.findings import check_duplicates, find_duplicates, finding


def test_a_finding_lists_the_first_ten_items_and_has_a_code_without_spaces() -> None:
    found = finding("note", "long-first sentence", "m", [str(i) for i in range(12)])
    assert found.code == "long-first-sentence"
    assert found.items == tuple(str(i) for i in range(10))


def test_where_near_duplicates_are_not_looked_for_the_reader_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "MAX_TEXTS", 2)
    found = list(check_duplicates(find_duplicates({"a": "x", "b": "X", "c": "y"}), "query", "so what"))
    assert [(item.severity, item.code) for item in found] == [
        ("warning", "duplicate-query"),
        ("note", "near-duplicate-query-skipped"),
    ]
    assert found[0].message == "1 query repeated word for word; so what"
    assert found[1].message == "near duplicates are looked for among at most 2 texts; these are more"
