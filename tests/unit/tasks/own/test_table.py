"""Columns as texts, ids, numbers, flags and labels: keys that only some rows have, values of another kind."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from own_files import corpus_of, file, labels, pairs, retrieval

from benchkit.errors import SuiteError
from benchkit.tasks.own.labelled import read_labelled
from benchkit.tasks.own.pairs import read_pairs
from benchkit.tasks.own.retrieval import read_retrieval

# ------------------------------------------------------------ which column


def test_a_column_is_not_read_twice(tmp_path: Path) -> None:
    text = "sentence1,sentence2,score\na,b,1\nc,d,2\n"
    with pytest.raises(SuiteError, match="the column 'sentence2' would be both sentence1 and sentence2"):
        pairs(tmp_path, "x.csv", text, sentence1="sentence2")


def test_two_columns_of_labels_that_differ_are_refused_until_the_suite_names_one(tmp_path: Path) -> None:
    text = "sentence1,sentence2,label,labels\na,b,1,0\nc,d,0,1\n"
    with pytest.raises(SuiteError, match="'label' and 'labels' are both there and differ; name one in the suite"):
        pairs(tmp_path, "x.csv", text, kind="PairClassification")
    assert pairs(tmp_path, "x.csv", text, kind="PairClassification", label="labels").values == [0.0, 1.0]


def test_two_ids_of_a_document_are_refused_where_judgements_could_mean_either(tmp_path: Path) -> None:
    retrieval(tmp_path)
    file(tmp_path, "corpus.jsonl", [{"_id": "a", "id": "b", "text": "x"}, {"_id": "b", "id": "c", "text": "y"}])
    with pytest.raises(SuiteError, match="'_id' and 'id' are both there and differ; leave one out"):
        read_retrieval(tmp_path, reranking=False)
    file(tmp_path, "corpus.jsonl", [{"_id": "a", "id": 1, "text": "x"}, {"_id": "b", "id": 2, "text": "y"}])
    assert set(corpus_of(tmp_path)) == {"a", "b"}


def test_a_title_that_would_not_be_read_is_refused(tmp_path: Path) -> None:
    retrieval(tmp_path)
    file(tmp_path, "corpus.jsonl", [{"_id": "a", "Title": "Refunds", "text": "x"}])
    with pytest.raises(
        SuiteError, match=r"corpus\.jsonl: the column 'Title' isn't read; call it title, or leave it out"
    ):
        read_retrieval(tmp_path, reranking=False)


def test_a_column_that_the_first_row_lacks_is_missing_there_only(tmp_path: Path) -> None:
    pair = {"sentence1": "cold", "sentence2": "warm"}
    path = file(tmp_path, "x.jsonl", [pair, {**pair, "score": 1}])
    with pytest.raises(SuiteError, match=r"^[^\n]*x\.jsonl:1: score should be a finite number, got None$"):
        read_pairs(path, {}, kind="STS")


# ------------------------------------------------------------ numbers and flags


@pytest.mark.parametrize("written", ["1_5", "1,5", "1,000", "NA", "True"])
def test_what_is_a_number_to_one_reader_only_is_refused(written: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=rf"x\.csv:2: score should be a finite number, got '{written}'"):
        pairs(tmp_path, "x.csv", f'sentence1,sentence2,score\na,b,"{written}"\nc,d,2\n')


def test_truth_values_of_a_file_are_the_labels_0_and_1(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    texts = ["a", "b", "c", "d"]
    columns = {"sentence1": texts, "sentence2": texts[::-1], "label": [True, False, False, True]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    rows = zip(*columns.values(), strict=True)
    file(tmp_path, "x.jsonl", [dict(zip(columns, row, strict=True)) for row in rows])
    lines = ["sentence1,sentence2,label", "a,d,True", "b,c,False", "c,b,false", "d,a,TRUE"]
    (tmp_path / "x.csv").write_text("\n".join(lines) + "\n")
    for suffix in ("parquet", "jsonl", "csv"):
        assert read_pairs(tmp_path / f"x.{suffix}", {}, kind="PairClassification").values == [1.0, 0.0, 0.0, 1.0]


def test_a_truth_value_is_no_score(tmp_path: Path) -> None:
    pair = {"sentence1": "cold", "sentence2": "warm"}
    path = file(tmp_path, "x.jsonl", [{**pair, "score": True}, {**pair, "score": 2}])
    with pytest.raises(SuiteError, match=r"x\.jsonl:1: score should be a finite number, got True"):
        read_pairs(path, {}, kind="STS")


# ------------------------------------------------------------ labels


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x", "x "),
        ("1", "1.0"),
        (1, "1.0"),
        (2.0, "2.00"),
        ("caf\u00e9", "cafe\u0301"),
        ("a b", "a  b"),
        ("x", "x\u200b"),
        ("x", '"x"'),
    ],
)
@pytest.mark.parametrize("multilabel", [False, True])
def test_two_spellings_of_one_label_do_not_become_two(
    one: object, other: object, multilabel: bool, tmp_path: Path
) -> None:
    values: list[object] = [one, other, "z"]
    if multilabel:
        values = [[f"{one:g}" if isinstance(one, float) else str(one)], [other], ["z"]]
    with pytest.raises(SuiteError, match=r"x\.jsonl:2: label '.*' and '.*' read alike; write them in one way"):
        labels(tmp_path, values, multilabel=multilabel)


def test_whole_numbers_and_their_texts_are_one_label(tmp_path: Path) -> None:
    assert labels(tmp_path, [1, "1", 1.0, "01"]).labels == ["1", "1", "1", "01"]


@pytest.mark.parametrize("written", ["['a', 'b']", '["a"]', "{'a'}", "('a', 'b')", "[1, 2]", "[3]", "[]", "", " "])
@pytest.mark.parametrize("multilabel", [False, True])
def test_a_list_or_nothing_is_no_label(written: str, multilabel: bool, tmp_path: Path) -> None:
    if multilabel and not written.strip():
        assert labels(tmp_path, [written, "a", "b"], multilabel=True).labels == [[], ["a"], ["b"]]
        return
    with pytest.raises(SuiteError, match=r"x\.jsonl:1: label should be (a label|labels separated)"):
        labels(tmp_path, [written, "a", "b"], multilabel=multilabel)


@pytest.mark.parametrize("written", ['["billing", "login"]', "['billing']", "[]"])
def test_a_list_written_out_in_csv_is_refused_and_not_taken_for_one_label(written: str, tmp_path: Path) -> None:
    with (tmp_path / "x.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], ["no heat", "heating|urgent"], ["bill", written]])
    with pytest.raises(SuiteError, match=r'x\.csv:3: label should be labels separated by "\|", got '):
        read_labelled(tmp_path / "x.csv", {}, multilabel=True, train=False, seed=0)


def test_a_label_in_brackets_is_one_label_where_a_row_has_one(tmp_path: Path) -> None:
    assert labels(tmp_path, ["[spam]", "(none)", "{x}", "{x}"]).labels == ["[spam]", "(none)", "{x}", "{x}"]
    with pytest.raises(SuiteError, match=r'label should be labels separated by "\|", got \'\[spam\]\''):
        labels(tmp_path, ["[spam]", "(none)"], multilabel=True)


def test_an_empty_label_in_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"x\.jsonl:2: label should be a list of labels, got \['a', ''\]"):
        labels(tmp_path, [["b"], ["a", ""]], multilabel=True)


@pytest.mark.parametrize("joined", ["a,b", "a; b"])
def test_labels_that_are_joined_by_another_sign_are_refused(joined: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=rf"x\.jsonl:1: label should be labels separated by \"\|\", got '{joined}'"):
        labels(tmp_path, [joined, "a", "b"], multilabel=True)
    assert labels(tmp_path, [joined, "a|c", "b"], multilabel=True).labels == [[joined], ["a", "c"], ["b"]]


def test_a_label_that_stands_twice_on_a_row_counts_once(tmp_path: Path) -> None:
    """MTEB draws examples of each label until it has enough: a doubled one would fill the place of two."""
    assert labels(tmp_path, [["a", "a"], "b|b|a", "a"], multilabel=True).labels == [["a"], ["b", "a"], ["a"]]
