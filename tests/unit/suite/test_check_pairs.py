"""What is wrong with pairs is found, and clean pairs are left alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from benchkit.suite.check_data import Finding, check_pairs

WORDS = [a + b + c for a in "bdfgklmnprst" for b in "aeiou" for c in "bdfgklmnprst"]


def sentences(seed: int, n: int = 60) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=9)) for _ in range(n)]


def by_code(findings: Sequence[Finding]) -> dict[str, Finding]:
    assert len({found.code for found in findings}) == len(findings)
    return {found.code: found for found in findings}


FIRST, SECOND = sentences(1), sentences(2)
SCORES = [round(5 * i / 59, 2) for i in range(60)]
LABELS = [i % 2 for i in range(60)]


def sts(first: Sequence[str], second: Sequence[str], scores: Sequence[float]) -> dict[str, Finding]:
    return by_code(check_pairs(first, second, scores, "STS"))


def test_clean_pairs_have_notes_only() -> None:
    assert set(sts(FIRST, SECOND, SCORES)) == {"score-histogram"}
    assert set(by_code(check_pairs(FIRST, SECOND, LABELS, "PairClassification"))) == {"label-balance"}
    assert check_pairs(FIRST, SECOND, None, "BitextMining") == []


def test_the_histogram_has_five_bands_over_the_range_in_use() -> None:
    found = sts(FIRST, SECOND, SCORES)["score-histogram"]
    assert found.message == "scores from 0 to 5"
    assert found.items == ("0 to 1: 12", "1 to 2: 12", "2 to 3: 12", "3 to 4: 12", "4 to 5: 12")


def test_an_unused_band_is_told_unless_the_scores_are_grades() -> None:
    gap = [score if not 1 <= score < 3 else 0.5 for score in SCORES]
    assert sts(FIRST, SECOND, gap)["score-gap"].items == ("1 to 2: 0", "2 to 3: 0")
    grades = [float(round(score / 5)) for score in SCORES]
    assert "score-gap" not in sts(FIRST, SECOND, grades)


def test_ties_of_more_than_half_are_told() -> None:
    assert "tied-scores" in sts(FIRST, SECOND, [0.0] * 31 + SCORES[31:])
    assert "tied-scores" not in sts(FIRST, SECOND, [0.0] * 30 + SCORES[30:])


def test_scores_that_can_not_be_ranked_are_errors() -> None:
    found = sts(FIRST, SECOND, [*SCORES[:-2], float("nan"), float("inf")])["score-not-finite"]
    assert (found.severity, found.items) == ("error", ("row 59", "row 60"))
    assert sts(FIRST, SECOND, [3.0] * 60)["one-score"].message == "every score is 3; a correlation can't be computed"


def test_a_pair_given_twice_is_told_either_way_round_and_with_two_values_is_an_error() -> None:
    first, second = [*FIRST, SECOND[0]], [*SECOND, FIRST[0].upper()]
    same = sts(first, second, [*SCORES, SCORES[0]])
    assert same["duplicate-pair"].items == ("row 1 = row 61",)
    assert "contradiction" not in same
    differ = sts(first, second, [*SCORES, 4.0])["contradiction"]
    assert (differ.severity, differ.items) == ("error", ("row 1: 0, row 61: 4",))


def test_equal_sentences_are_a_note_at_the_top_and_a_warning_below() -> None:
    findings = sts([*FIRST, "One two.", "Three four"], [*SECOND, "one  two.", "three four"], [*SCORES, 5.0, 1.0])
    assert (findings["identical-sentences"].severity, findings["identical-sentences"].items) == ("note", ("row 61",))
    assert (findings["identical-but-low"].severity, findings["identical-but-low"].items) == ("warning", ("row 62: 1",))


def test_labels_must_be_binary_and_of_both_kinds() -> None:
    wrong = by_code(check_pairs(FIRST, SECOND, [*LABELS[:-1], 2], "PairClassification"))
    assert (wrong["label-not-binary"].severity, wrong["label-not-binary"].items) == ("error", ("row 60: 2",))
    single = by_code(check_pairs(FIRST, SECOND, [1] * 60, "PairClassification"))
    assert single["one-class"].message == "every label is '1'; there is nothing to tell apart"


def test_balance_is_a_note_and_a_warning_from_four_fifths_on() -> None:
    even = by_code(check_pairs(FIRST, SECOND, [1] * 47 + [0] * 13, "PairClassification"))["label-balance"]
    odd = by_code(check_pairs(FIRST, SECOND, [1] * 48 + [0] * 12, "PairClassification"))["label-balance"]
    assert (even.severity, odd.severity) == ("note", "warning")
    assert odd.message.startswith("2 labels: largest '1' 80%, smallest '0' 20.0%; ")


def test_a_doubled_sentence_of_a_bitext_is_told_for_its_column() -> None:
    second = [*SECOND[:-1], SECOND[0]]
    findings = by_code(check_pairs(FIRST, second, None, "BitextMining"))
    assert findings["duplicate-second-sentence"].items == ("row 1 = row 60",)
    assert findings["duplicate-second-sentence"].message.endswith("only that of the same row counts as found")
    assert by_code(check_pairs(["Taxi", *FIRST], ["taxi", *SECOND], None, "BitextMining"))["untranslated"].items == (
        "row 1",
    )


def test_scripts_are_looked_at_column_by_column() -> None:
    chinese = [f"第{i}句话说的是完全不同的事情" for i in range(60)]
    assert not any("script" in found.code for found in check_pairs(FIRST, chinese, None, "BitextMining"))
    mixed = by_code(check_pairs([*FIRST[:-1], chinese[0]], SECOND, None, "BitextMining"))
    assert mixed["mixed-scripts-first-sentence"].items == ("row 60",)


def test_empty_sentences_and_few_pairs_are_told() -> None:
    findings = by_code(check_pairs(["", "b"], ["a", " "], [0, 1], "PairClassification"))
    assert findings["empty-first-sentence"].items == ("row 1",)
    assert findings["empty-second-sentence"].items == ("row 2",)
    assert findings["few-items"].message.startswith("2 pairs; ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], ["b"], [1.0], "sts"), "kind should be one of STS, PairClassification, BitextMining, got 'sts'"),
        ((["a"], ["b"], None, "STS"), "STS needs a score or label for each pair"),
        ((["a"], ["b"], [1.0], "BitextMining"), "BitextMining has no score or label for each pair"),
        ((["a"], ["b", "c"], [1.0], "STS"), "columns differ in length: 1, 2, 1"),
        ((["a", "b"], ["b", "c"], [1.0], "STS"), "columns differ in length: 2, 2, 1"),
    ],
)
def test_a_wrong_call_is_refused(arguments: tuple[list[str], list[str], list[float] | None, str], message: str) -> None:
    with pytest.raises(ValueError, match="^" + message.replace(".", r"\.") + "$"):
        check_pairs(*arguments)


def test_no_pairs_give_a_finding_and_no_crash() -> None:
    assert set(sts([], [], [])) == {"few-items"}
