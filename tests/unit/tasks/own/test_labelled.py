"""Own texts with labels: which rows train and which are tested on, and what is told of the labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_files import file, labelled, labels

from benchkit.errors import SuiteError

PARTS = "text,label,split\na,x,train\nb,y,train\nc,x,test\nd,y,test\n"


def test_one_file_is_all_clustered_and_its_test_rows_classified(tmp_path: Path) -> None:
    path = file(tmp_path, "x.csv", PARTS)
    assert labelled(path).texts == ["a", "b", "c", "d"]  # nothing is trained, so nothing leaks
    assert labelled(path, train=True).texts == ["c", "d"]


@pytest.mark.parametrize("name", ["Split", "set", "fold"])
def test_parts_under_another_name_are_not_halved_at_random(name: str, tmp_path: Path) -> None:
    path = file(tmp_path, "x.csv", PARTS.replace("split", name))
    with pytest.raises(SuiteError, match=rf"x\.csv: the column '{name}' tells train from test; call it split"):
        labelled(path, train=True)


def test_groups_of_one_are_no_clustering(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"x\.jsonl: every label stands on one row only, so that there is nothing to"):
        labels(tmp_path, ["a", "b", "c"])


def test_train_rows_in_the_test_file_of_a_folder_are_refused(tmp_path: Path) -> None:
    file(tmp_path, "train.csv", "text,label\na,x\nb,y\n")
    file(tmp_path, "test.csv", PARTS)
    with pytest.raises(SuiteError, match=r"test\.csv: the column 'split' holds test, train"):
        labelled(tmp_path, train=True)


def test_labels_that_differ_in_case_are_told(tmp_path: Path) -> None:
    found = labels(tmp_path, ["Yes", "yes", "no", "no"])
    assert found.labels == ["Yes", "yes", "no", "no"]
    assert found.notes == ("labels that differ in case only count as different: 'Yes' and 'yes'",)


def test_words_that_programs_write_for_nothing_are_told(tmp_path: Path) -> None:
    rows = "text,label\nnan,x\nNone,x\nbanana,nan\nNA,y\n"
    found = labelled(file(tmp_path, "x.csv", rows))
    assert found.texts == ["nan", "None", "banana", "NA"]
    assert found.notes == (
        "3 texts are 'NA' or 'None' or 'nan', taken as the word that stands there",
        "1 label is 'nan', taken as the word that stands there",
    )


def test_what_trains_and_what_tests_is_counted_where_labels_are_rare(tmp_path: Path) -> None:
    """Of a label on one row, that row trains: "half" would be wrong here."""
    rows = "".join(f"text {n},label {n}\n" for n in range(8))
    found = labelled(file(tmp_path, "x.csv", f"text,label\n{rows}again,label 0\n"), train=True)
    assert (len(found.train_texts), len(found.texts)) == (8, 1)
    (said,) = found.notes
    assert said.startswith("no train part given: of x.csv, 8 rows to train on and 1 to test on, every second one of")


@pytest.mark.parametrize(
    ("tested", "said"),
    [
        (["a"], r"the test part has the label 'a' only; lists of labels are scored on two or more"),
        ([], r"no row of the test part has a label"),
    ],
)
def test_lists_of_labels_with_fewer_than_two_to_test_are_refused(tested: list[str], said: str, tmp_path: Path) -> None:
    """MTEB would stop on them, and say something of shapes."""
    trained = [{"text": f"{label} {n}", "label": [label], "split": "train"} for label in "ab" for n in range(2)]
    rows = [*trained, *({"text": f"x {n}", "label": tested, "split": "test"} for n in range(3))]
    with pytest.raises(SuiteError, match=rf"x\.jsonl: {said}"):
        labelled(file(tmp_path, "x.jsonl", rows), multilabel=True, train=True)
