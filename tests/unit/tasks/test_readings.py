"""Own files that could be read in two ways: refused with their place, or read with a note; never without a word."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchkit.errors import SuiteError
from benchkit.tasks import readings
from benchkit.tasks.local_data import LabelledData, PairData, RetrievalData, read_labelled, read_pairs, read_retrieval

QRELS = "query-id\tcorpus-id\tscore\nq\ta\t1\n"


def file(folder: Path, name: str, content: str | Sequence[Mapping[str, Any]]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else "".join(json.dumps(row) + "\n" for row in content)
    path.write_text(text, encoding="utf-8")
    return path


def pairs(folder: Path, name: str, content: str, *, kind: str = "STS", **columns: str) -> PairData:
    return read_pairs(file(folder, name, content), columns, kind=kind)


def labelled(path: Path, *, multilabel: bool = False, train: bool = False) -> LabelledData:
    return read_labelled(path, {}, multilabel=multilabel, train=train, seed=1)


def labels(folder: Path, values: Sequence[object], *, multilabel: bool = False) -> LabelledData:
    rows = [{"text": f"text {number}", "label": value} for number, value in enumerate(values)]
    return labelled(file(folder, "x.jsonl", rows), multilabel=multilabel)


def retrieval(folder: Path, qrels: str = QRELS, *, reranking: bool = False, key: str = "_id") -> RetrievalData:
    corpus = [{key: "a", "text": "open the valve"}, {key: "b", "text": "within ten days"}]
    file(folder, "corpus.jsonl", corpus)
    file(folder, "queries.jsonl", [{"_id": "q", "text": "money back"}, {"_id": "r", "text": "cold"}])
    file(folder, "qrels/test.tsv", qrels)
    return read_retrieval(folder, reranking=reranking)


# ------------------------------------------------------------ which file


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
    file(tmp_path, "test.bak.csv", "text,label\nold,1\nolder,2\n")
    file(tmp_path, "test.csv", "text,label\nnew,1\nnewer,2\n")
    assert labelled(tmp_path).texts == ["new", "newer"]


def test_the_test_part_of_a_corpus_is_read_though_there_are_others(tmp_path: Path) -> None:
    retrieval(tmp_path)
    (tmp_path / "corpus.jsonl").rename(tmp_path / "corpus.test.jsonl")
    file(tmp_path, "corpus.dev.jsonl", [{"_id": "a", "text": "other"}])
    assert retrieval_corpus(tmp_path) == {"a": ("", "open the valve"), "b": ("", "within ten days")}


def retrieval_corpus(folder: Path) -> Mapping[str, tuple[str, str]]:
    return read_retrieval(folder, reranking=False).corpus


# ------------------------------------------------------------ how a file is written


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


@pytest.mark.parametrize("written", ["1_5", "1,5", "1,000", "NA", "True"])
def test_what_is_a_number_to_one_reader_only_is_refused(written: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=rf"x\.csv:2: score should be a finite number, got '{written}'"):
        pairs(tmp_path, "x.csv", f'sentence1,sentence2,score\na,b,"{written}"\nc,d,2\n')


# ------------------------------------------------------------ which column and rows


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
    assert set(retrieval_corpus(tmp_path)) == {"a", "b"}


@pytest.mark.parametrize("name", ["relevance", "label", "grade"])
def test_grades_under_another_name_are_refused_and_not_all_taken_as_relevant(name: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=rf"test\.tsv: no column 'score', and '{name}' holds numbers; call it score"):
        retrieval(tmp_path, f"query-id\tcorpus-id\t{name}\nq\ta\t0\nq\tb\t1\n")


def test_judgements_with_a_remark_and_no_grade_count_as_1(tmp_path: Path) -> None:
    assert retrieval(tmp_path, "query-id\tcorpus-id\tby\nq\ta\tAnna\nq\tb\t7\n").qrels == {"q": {"a": 1, "b": 1}}


@pytest.mark.parametrize("line", ["q 0 a 1", "q\t0\ta\t1", "q\ta\t1"])
def test_judgements_without_a_header_are_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"no judgements below the header|no column 'query-id'"):
        retrieval(tmp_path, line + "\n")


PARTS = "text,label,split\na,x,train\nb,y,train\nc,x,test\nd,y,test\n"


def test_one_file_is_all_clustered_and_its_test_rows_classified(tmp_path: Path) -> None:
    path = file(tmp_path, "x.csv", PARTS)
    assert labelled(path).texts == ["a", "b", "c", "d"]  # nothing is trained, so nothing leaks
    assert labelled(path, train=True).texts == ["c", "d"]


def test_pairs_of_several_splits_are_not_all_scored(tmp_path: Path) -> None:
    text = "sentence1,sentence2,score,split\na,b,1,train\nc,d,2,test\ne,f,3,dev\n"
    with pytest.raises(SuiteError, match="the column 'split' holds dev, test, train, and every row would count"):
        pairs(tmp_path, "x.csv", text)
    assert pairs(tmp_path, "x.csv", text.replace("train", "test").replace("dev", "test")).first == ["a", "c", "e"]


def test_a_split_that_names_no_part_of_a_data_set_is_a_slice(tmp_path: Path) -> None:
    found = pairs(tmp_path, "x.csv", "sentence1,sentence2,score,split\na,b,1,hard\nc,d,2,easy\ne,f,3,easy\n")
    assert found.tags == {"split": ["hard", "easy", "easy"]}


def test_train_rows_in_the_test_file_of_a_folder_are_refused(tmp_path: Path) -> None:
    file(tmp_path, "train.csv", "text,label\na,x\nb,y\n")
    file(tmp_path, "test.csv", PARTS)
    with pytest.raises(SuiteError, match=r"test\.csv: the column 'split' holds test, train"):
        labelled(tmp_path, train=True)


# ------------------------------------------------------------ labels


@pytest.mark.parametrize(
    ("one", "other"),
    [("x", "x "), ("1", "1.0"), (1, "1.0"), (2.0, "2.00"), ("caf\u00e9", "cafe\u0301"), ("a b", "a  b")],
)
@pytest.mark.parametrize("multilabel", [False, True])
def test_two_spellings_of_one_label_do_not_become_two(
    one: object, other: object, multilabel: bool, tmp_path: Path
) -> None:
    values = [one, other, "z"]
    if multilabel:
        values = [[str(value)] for value in values]
        values[0] = [values[0][0].removesuffix(".0")]
    with pytest.raises(SuiteError, match=r"x\.jsonl:2: label '.*' and '.*' read alike; write them in one way"):
        labels(tmp_path, values, multilabel=multilabel)


def test_whole_numbers_and_their_texts_are_one_label(tmp_path: Path) -> None:
    assert labels(tmp_path, [1, "1", 1.0, "01"]).labels == ["1", "1", "1", "01"]


def test_labels_that_differ_in_case_are_told(tmp_path: Path) -> None:
    found = labels(tmp_path, ["Yes", "yes", "no"])
    assert found.labels == ["Yes", "yes", "no"]
    assert found.notes == ("labels that differ in case only count as different: 'Yes' and 'yes'",)


@pytest.mark.parametrize("written", ["['a', 'b']", '["a"]', "{'a'}", "('a', 'b')", "[1, 2]", "[3]", "[]", "", " "])
@pytest.mark.parametrize("multilabel", [False, True])
def test_a_list_or_nothing_is_no_label(written: str, multilabel: bool, tmp_path: Path) -> None:
    if multilabel and not written.strip():
        assert labels(tmp_path, [written, "a", "b"], multilabel=True).labels == [[], ["a"], ["b"]]
        return
    with pytest.raises(SuiteError, match=r"x\.jsonl:1: label should be (a label|labels separated)"):
        labels(tmp_path, [written, "a", "b"], multilabel=multilabel)


def test_a_label_in_brackets_is_one_label_where_a_row_has_one(tmp_path: Path) -> None:
    assert labels(tmp_path, ["[spam]", "(none)", "{x}"]).labels == ["[spam]", "(none)", "{x}"]
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
    assert labels(tmp_path, [["a", "a"], "b|b|a"], multilabel=True).labels == [["a"], ["b", "a"]]


def test_words_that_programs_write_for_nothing_are_told(tmp_path: Path) -> None:
    rows = "text,label\nnan,x\nNone,x\nbanana,nan\nNA,y\n"
    found = labelled(file(tmp_path, "x.csv", rows))
    assert found.texts == ["nan", "None", "banana", "NA"]
    assert found.notes == (
        "3 texts are 'NA' or 'None' or 'nan', taken as the word that stands there",
        "1 label is 'nan', taken as the word that stands there",
    )


def test_titles_that_programs_left_empty_are_told(tmp_path: Path) -> None:
    retrieval(tmp_path)
    file(tmp_path, "corpus.jsonl", [{"_id": "a", "title": "nan", "text": "x"}, {"_id": "b", "title": "T", "text": "y"}])
    assert "1 text is 'nan', taken as the word that stands there" in read_retrieval(tmp_path, reranking=False).notes


# ------------------------------------------------------------ reranking


def test_candidates_of_which_none_can_be_wrong_are_refused(tmp_path: Path) -> None:
    """Whatever the order, the score is 1 for every model."""
    both = "query-id\tcorpus-id\tscore\nq\ta\t1\nr\tb\t1\n"
    with pytest.raises(SuiteError, match="every candidate is relevant, so that any order is right; add others in"):
        retrieval(tmp_path, both, reranking=True)
    assert retrieval(tmp_path, both + "r\ta\t0\n", reranking=True).candidates == {"q": ["a"], "r": ["b", "a"]}
    file(tmp_path, "top_ranked.jsonl", [{"query-id": name, "corpus-ids": ["a", "b"]} for name in "qr"])
    assert retrieval(tmp_path, both, reranking=True).candidates == {"q": ["a", "b"], "r": ["a", "b"]}


@pytest.mark.parametrize(
    ("label", "plain"), [(" a\u00a0 b ", "a b"), ("-3.000", "-3"), ("3.10", "3.10"), ("v1.0", "v1.0"), ("007", "007")]
)
def test_only_what_reads_alike_is_one_label(label: str, plain: str) -> None:
    assert readings.plain_label(label) == plain
