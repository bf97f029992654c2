"""Which file is read, and how it may be written: what two readers would take in two ways is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_files import corpus_of, file, labelled, pairs, retrieval

from benchkit.errors import SuiteError


@pytest.mark.parametrize("others", [("test.jsonl",), ("test.parquet", "test.tsv")])
def test_two_files_of_one_name_are_refused_and_none_is_picked(others: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("test.csv", *others):
        file(tmp_path, name, "text,label\na,1\nb,2\n")
    with pytest.raises(SuiteError, match=f"{', '.join(['test.csv', *others])}: one of them would be read"):
        labelled(tmp_path)


def test_parts_of_a_file_are_refused_and_the_first_is_not_taken_for_all(tmp_path: Path) -> None:
    for name in ("test.1.csv", "test.2.csv"):
        file(tmp_path, name, "text,label\na,1\nb,2\n")
    with pytest.raises(SuiteError, match=r"test\.1\.csv, test\.2\.csv: one of them would be read; put all rows into"):
        labelled(tmp_path)


def test_a_copy_that_sorts_before_a_file_is_not_read_in_its_place(tmp_path: Path) -> None:
    file(tmp_path, "test.bak.csv", "text,label\nold,1\nolder,2\noldest,2\n")
    file(tmp_path, "test.csv", "text,label\nnew,1\nnewer,2\nnewest,2\n")
    assert labelled(tmp_path).texts == ["new", "newer", "newest"]


def test_the_test_part_of_a_corpus_is_read_though_there_are_others(tmp_path: Path) -> None:
    retrieval(tmp_path)
    (tmp_path / "corpus.jsonl").rename(tmp_path / "corpus.test.jsonl")
    file(tmp_path, "corpus.dev.jsonl", [{"_id": "a", "text": "other"}])
    assert corpus_of(tmp_path) == {"a": ("", "open the valve"), "b": ("", "within ten days")}


def test_a_key_that_stands_twice_in_an_object_is_refused_and_the_last_is_not_taken(tmp_path: Path) -> None:
    row = '{"sentence1": "a", "sentence2": "b", "score": 1, "score": 5}\n'
    with pytest.raises(SuiteError, match=r"x\.jsonl:1: not readable as JSON \(the key 'score' stands twice\)"):
        pairs(tmp_path, "x.jsonl", row * 2)


def test_a_tsv_file_that_is_quoted_as_csv_is_refused(tmp_path: Path) -> None:
    text = 'sentence1\tsentence2\tscore\n"He said ""hi"""\tb\t1\nc\td\t2\n'
    with pytest.raises(SuiteError, match=r"x\.tsv:2: sentence1 is quoted as in csv, got .*; save it as csv$"):
        pairs(tmp_path, "x.tsv", text)


def test_quotation_marks_of_a_tsv_file_are_text(tmp_path: Path) -> None:
    found = pairs(tmp_path, "x.tsv", 'sentence1\tsentence2\tscore\n"hi"\t5" pipe\t1\n"a" or "b"\td\t2\n')
    assert (found.first, found.second) == (['"hi"', '"a" or "b"'], ['5" pipe', "d"])


def test_a_space_before_a_quotation_mark_of_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"x\.csv:2: sentence2 has a space before its quotation mark, got ' \"b\"'"):
        pairs(tmp_path, "x.csv", 'sentence1,sentence2,score\n"a", "b",1\nc,d,2\n')


def test_a_text_that_begins_with_a_space_and_a_quotation_mark_is_read(tmp_path: Path) -> None:
    found = pairs(tmp_path, "x.csv", 'sentence1,sentence2,score\na," ""b""",1\nc,d,2\n')
    assert found.second == [' "b"', "d"]
