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


@pytest.mark.parametrize(
    ("name", "header", "said"),
    [
        ("x.csv", "text;label", r"the header is one column, 'text;label'; a csv file has commas between its columns"),
        ("x.csv", "text\tlabel", r"the header is one column, 'text\\tlabel'; a csv file has commas"),
        ("x.tsv", "text,label", r"the header is one column, 'text,label'; a tsv file has tabs between its columns"),
        ("x.csv", "sep=;", r"'sep=;' where the names of the columns should be; delete this line"),
        ("x.csv", "sep=,", r"'sep=' where the names of the columns should be; delete this line"),
        ("x.csv", "", r"an empty line where the names of the columns should be"),
    ],
)
def test_a_first_line_that_names_no_columns_is_one_problem(name: str, header: str, said: str, tmp_path: Path) -> None:
    sign = next((sign for sign in ";\t" if sign in header), ",")
    rows = "".join(f"a{sign}1,5{sign}x\n" for _ in range(3))
    with pytest.raises(SuiteError, match=rf"^[^\n]*{name.replace('.', '[.]')}:1: {said}[^\n]*$"):
        labelled(file(tmp_path, name, f"{header}\n{rows}"))


def test_a_row_of_another_length_is_told_with_both_lengths(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"x\.csv:4: expected 2 columns, as in the header, found 3$"):
        labelled(file(tmp_path, "x.csv", "text,label\na,1\n\nb,2,\n"))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('a,1\n"say \\"hi\\"",2\nb,2\n', r"x\.csv:3: not readable as csv \(',' expected after '\"'\)"),
        ('a,1\n\n"b,2\nc,1\nd,2\n', r"x\.csv:4: not readable as csv \(unexpected end of data\)"),
    ],
)
def test_a_row_that_is_no_csv_is_told_where_it_begins(rows: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=said):
        labelled(file(tmp_path, "x.csv", f"text,label\n{rows}"))


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_bytes_that_are_not_utf_8_are_told_with_their_line(mark: bytes, tmp_path: Path) -> None:
    content = mark + b"text,label\r\na,1\r\nna\xefve,2\r\n"
    (tmp_path / "x.csv").write_bytes(content)
    start = content.index(b"\xef", 3)
    with pytest.raises(SuiteError, match=rf"byte {start}\); save it as UTF-8; line 3 holds b'na\\xefve,2'$"):
        labelled(tmp_path / "x.csv")


def test_utf_16_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("text,label\na,1\n".encode("utf-16"))
    with pytest.raises(SuiteError, match=r"x\.csv: not UTF-8 text \(byte 0\); save it as UTF-8; it looks like UTF-16$"):
        labelled(tmp_path / "x.csv")


def test_a_packed_file_of_the_right_name_is_told(tmp_path: Path) -> None:
    retrieval(tmp_path)
    (tmp_path / "corpus.jsonl").rename(tmp_path / "corpus.jsonl.gz")
    with pytest.raises(SuiteError, match=r"no file corpus\{.*\} in this folder; corpus\.jsonl\.gz can't be read$"):
        corpus_of(tmp_path)
