"""What is wrong with labelled texts is found, and clean ones are left alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from benchkit.suite.check_data import Finding, check_labels
from benchkit.suite.check_labels import Label

WORDS = [a + b + c for a in "bdfgklmnprst" for b in "aeiou" for c in "bdfgklmnprst"]


def texts(n: int) -> list[str]:
    rng = np.random.default_rng(3)
    return [" ".join(rng.choice(WORDS, size=9)) for _ in range(n)]


TEXTS = texts(120)
LABELS = ["bill" if i % 2 else "login" for i in range(120)]
SPLITS = ["train"] * 60 + ["test"] * 60


def by_code(
    rows: Sequence[str], labels: Sequence[Label | Sequence[Label]], splits: Sequence[str] | None
) -> dict[str, Finding]:
    findings = check_labels(rows, labels, splits)
    assert len({found.code for found in findings}) == len(findings)
    return {found.code: found for found in findings}


def test_clean_texts_have_a_note_on_balance_only() -> None:
    findings = by_code(TEXTS, LABELS, SPLITS)
    assert set(findings) == {"label-balance"}
    assert findings["label-balance"].message == "2 labels: largest 'login' 50%, smallest 'bill' 50.0%"
    assert set(by_code(TEXTS, LABELS, None)) == {"label-balance"}


def test_a_text_in_two_splits_is_an_error_and_a_near_one_a_warning() -> None:
    rows = [*TEXTS, TEXTS[0].upper(), TEXTS[2] + "."]
    findings = by_code(rows, [*LABELS, LABELS[0], LABELS[2]], [*SPLITS, "test", "test"])
    assert (findings["split-leakage"].severity, findings["split-leakage"].items) == (
        "error",
        ("row 1 (train) = row 121 (test)",),
    )
    assert findings["near-split-leakage"].items == ("row 3 (train) = row 122 (test)",)


def test_copies_within_one_split_are_no_leakage() -> None:
    rows = [*TEXTS, TEXTS[119], TEXTS[118] + "."]
    findings = by_code(rows, [*LABELS, LABELS[119], LABELS[118]], [*SPLITS, "test", "test"])
    assert findings["duplicate-text"].items == ("row 120 = row 121",)
    assert findings["near-duplicate-text"].items[0].startswith("row 119 ~ row 122 ")
    assert not {"split-leakage", "near-split-leakage"} & set(findings)


def test_one_text_with_two_labels_is_an_error() -> None:
    found = by_code([*TEXTS, TEXTS[0]], [*LABELS, "bill"], [*SPLITS, "train"])["contradiction"]
    assert (found.severity, found.items) == ("error", ("row 1: login; row 121: bill",))


def test_a_class_with_seven_examples_to_train_on_is_told_and_with_eight_is_not() -> None:
    labels = ["rare"] * 7 + LABELS[7:60] + ["rare", *LABELS[61:]]
    found = by_code(TEXTS, labels, SPLITS)["small-class"]
    assert (found.severity, found.items) == ("warning", ("rare: 7",))
    assert "small-class" not in by_code(TEXTS, ["rare", *labels[:7], *labels[8:]], SPLITS)
    assert "small-class" not in by_code(TEXTS, labels, None)


def test_a_label_only_in_the_test_is_an_error_and_only_in_train_a_note() -> None:
    labels = ["old"] * 10 + LABELS[10:119] + ["new"]
    findings = by_code(TEXTS, labels, SPLITS)
    assert (findings["label-not-trained"].severity, findings["label-not-trained"].items) == ("error", ("new",))
    assert (findings["label-not-tested"].severity, findings["label-not-tested"].items) == ("note", ("old",))


def test_one_label_for_all_is_an_error_and_for_four_fifths_a_warning() -> None:
    assert by_code(TEXTS, ["a"] * 120, None)["one-class"].severity == "error"
    assert by_code(TEXTS, ["a"] * 96 + ["b"] * 24, None)["label-balance"].severity == "warning"
    assert by_code(TEXTS, ["a"] * 95 + ["b"] * 25, None)["label-balance"].severity == "note"


def test_lists_of_labels_count_each_label_and_their_order_does_not_matter() -> None:
    labels: list[list[Label]] = [["a", 1] if i % 2 else [1] for i in range(120)]
    findings = by_code([*TEXTS, TEXTS[1]], [*labels, [1, "a"]], [*SPLITS, "test"])
    assert findings["label-balance"].message == "2 labels: largest '1' 66%, smallest 'a' 33.5%"
    assert "contradiction" not in findings


def test_only_texts_to_test_on_count_for_too_few() -> None:
    assert by_code(TEXTS, LABELS, ["train"] * 71 + ["test"] * 49)["few-items"].message.startswith("49 texts; ")
    assert "few-items" not in by_code(TEXTS, LABELS, ["train"] * 70 + ["test"] * 50)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="columns differ in length: 120 texts, 1 labels, 120 splits"):
        check_labels(TEXTS, ["a"], SPLITS)


def test_no_texts_give_a_finding_and_no_crash() -> None:
    assert set(by_code([], [], None)) == {"few-items"}
