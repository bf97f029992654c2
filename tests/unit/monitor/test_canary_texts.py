"""Canaries out of files and suites: what is read, and what is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from own_data import retrieval

from benchkit.errors import SuiteError, UsageError
from benchkit.monitor import canary_texts
from benchkit.monitor.canary_texts import MAX_CANARIES, CanaryTexts, canaries_of_suite, read_canaries


def _jsonl(tmp_path: Path, *records: Any) -> Path:
    path = tmp_path / "canaries.jsonl"
    path.write_text(
        "".join((each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)) + "\n" for each in records),
        encoding="utf-8",
    )
    return path


def test_each_line_of_a_text_file_is_a_canary(tmp_path: Path) -> None:
    path = tmp_path / "canaries.txt"
    path.write_bytes("\ufeffone two\r\n\r\n  \nthree\u2028four\n".encode())
    found = read_canaries(path)
    assert found == CanaryTexts(("one two", "three\u2028four"))
    assert found.roles == (None, None)


def test_texts_alone_search_each_other(tmp_path: Path) -> None:
    # A line separator of Unicode is no line end of JSON lines.
    path = _jsonl(tmp_path, {"text": "a\u2028b"}, "", {"text": "c", "id": "x", "role": None})
    assert read_canaries(path) == CanaryTexts(("a\u2028b", "c"))


def test_searches_keep_who_asks_and_what_is_relevant(tmp_path: Path) -> None:
    path = _jsonl(
        tmp_path,
        {"text": "heat", "role": "document", "id": "d1"},
        {"text": "warm?", "role": "query", "relevant": {"d1": 2, "7": 0}},
        {"text": "cold", "role": "document", "id": 7},
        {"text": "nothing relevant", "role": "query", "relevant": {}},
    )
    found = read_canaries(path)
    assert found == CanaryTexts(("heat", "warm?", "cold", "nothing relevant"), (1, 3), {1: {0: 2, 2: 0}})
    assert found.roles == ("document", "query", "document", "query")


_GOOD = {"text": "a", "role": "query", "id": "q"}


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ((), r"canaries.jsonl: no text in it"),
        (("   ",), r"no text in it"),
        ((_GOOD, "{"), r":2: not JSON \(.*\); one object in each line"),
        (("[" * 100_000,), r":1: not JSON \(.*\); one object in each line"),
        (('{"text": "half',), r":1: not JSON"),
        (("[1]",), r':1: expected \{"text": "..."\} with role, id, relevant where needed'),
        (({"role": "query"},), r":1: expected"),
        (({"text": 3},), r":1: expected"),
        (({"text": "  "},), r":1: expected"),
        (({"text": "a", "lable": 1},), r":1: unknown key 'lable'; there are text, role, id, relevant"),
        (({"text": "a", "role": "doc"},), r":1: role is 'query' or 'document', got 'doc'"),
        (({"text": "a", "role": ["query"]},), r":1: role is 'query' or 'document', got \['query'\]"),
        (({"text": "a"}, {"text": "b", "relevant": {"0": 1}}), r":1: 'relevant' needs a role for each text"),
        ((_GOOD, "", {"text": "b"}), r":3: without a role, while other texts have one"),
        ((_GOOD, {**_GOOD, "text": "b"}), r":2: the id 'q' is there twice"),
        ((_GOOD, {"text": "b", "role": "document", "id": 0}, {"text": "c", "role": "document", "id": "0"}), r"twice"),
        (({**_GOOD, "relevant": ["d"]},), r":1: relevant is \{id of a document: whole grade\}, got \['d'\]"),
        (({**_GOOD, "relevant": {"q": 0.5}},), r":1: relevant is"),
        (({**_GOOD, "relevant": {"q": True}},), r":1: relevant is"),
        (({**_GOOD, "relevant": {"q": 10**30}},), r":1: relevant is"),
        (({**_GOOD, "relevant": {"d9": 1}},), r":1: relevant names 'd9', which is no text's id"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused_with_its_line(
    tmp_path: Path, records: tuple[Any, ...], message: str
) -> None:
    path = _jsonl(tmp_path, *records)
    with pytest.raises(UsageError, match=message) as caught:
        read_canaries(path)
    assert str(caught.value).startswith(f"--canary {path}")


def test_too_many_texts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "canaries.txt"
    path.write_text("a\n" * MAX_CANARIES)
    assert len(read_canaries(path).texts) == MAX_CANARIES
    path.write_text("a\n" * (MAX_CANARIES + 1))
    with pytest.raises(UsageError, match="2001 texts, 2000 at most; a few hundred are enough"):
        read_canaries(path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary_texts, "MAX_FILE_BYTES", 2**20)
    path = tmp_path / "canaries.txt"
    path.write_bytes(b"\xff" * (2**20 + 1))
    with pytest.raises(UsageError, match="larger than 1 MiB; a few hundred texts are enough"):
        read_canaries(path)


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere.txt: can't be read \(No such file or directory\)"):
        read_canaries(tmp_path / "nowhere.txt")
    with pytest.raises(UsageError, match=r"can't be read \(Is a directory\)"):
        read_canaries(tmp_path)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(UsageError, match=r"latin.txt: not UTF-8 text \(byte 3\); save it as UTF-8"):
        read_canaries(tmp_path / "latin.txt")


def test_a_suite_gives_queries_and_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    retrieval(tmp_path / "data", 30)
    suite = tmp_path / "own.yaml"
    suite.write_text(
        "name: own\ndescription: Own data.\ntasks:\n  - {name: Own, type: Retrieval, data: data, language: eng-Latn}\n"
    )
    monkeypatch.chdir(tmp_path)
    found = canaries_of_suite(str(suite), n_queries=10, n_documents=12)
    assert found.queries == tuple(range(10))
    assert len(found.texts) <= 22
    assert len(set(found.texts)) == len(found.texts)
    assert set(found.roles) == {"query", "document"}
    assert canaries_of_suite(str(suite), n_queries=10, n_documents=12) == found


def test_a_suite_that_is_not_there_is_refused() -> None:
    with pytest.raises(SuiteError, match="nosuchsuite"):
        canaries_of_suite("nosuchsuite")
