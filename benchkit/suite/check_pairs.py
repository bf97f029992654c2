"""Checks of a team's own text pairs: range and ties of the scores, balance of the labels, pairs that contradict.

sentence1 [n], sentence2 [n], score or label [n] ──check_pairs──> Findings
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from benchkit.suite.findings import (
    Finding,
    by_row,
    check_balance,
    check_duplicates,
    check_texts,
    count,
    few_items,
    find_duplicates,
    finding,
    same_texts,
)
from benchkit.suite.text_facts import normalize

SCORE_BANDS = 5
# A share of one score at which most pairs of items are ties, which a rank correlation can't order.
TIED_SHARE = 0.5
PAIR_KINDS = ("STS", "PairClassification", "BitextMining")


def check_pairs(
    sentence1: Sequence[str], sentence2: Sequence[str], score_or_label: Sequence[float] | None, kind: str
) -> list[Finding]:
    """Check the data of an STS, PairClassification or BitextMining task.

    Args:
        score_or_label: A score or a 0/1 label for each pair; None for bitext mining.
        kind: One of PAIR_KINDS.

    Raises:
        ValueError: another kind, values that are missing or too many, or columns of different length.
    """
    if kind not in PAIR_KINDS:
        raise ValueError(f"kind should be one of {', '.join(PAIR_KINDS)}, got {kind!r}")
    if (score_or_label is None) != (kind == "BitextMining"):
        raise ValueError(f"{kind} {'has no' if kind == 'BitextMining' else 'needs a'} score or label for each pair")
    values = list(score_or_label) if score_or_label is not None else []
    if len(sentence1) != len(sentence2) or (values and len(values) != len(sentence1)):
        raise ValueError(f"columns differ in length: {len(sentence1)}, {len(sentence2)}, {len(values)}")
    first, second = by_row(sentence1), by_row(sentence2)
    findings = [
        *few_items(len(first), "pair"),
        *check_texts(first, "first sentence"),
        *check_texts(second, "second sentence"),
    ]
    if kind == "BitextMining":
        return [*findings, *_bitext(first, second)]
    joined = {row: " ⇄ ".join(sorted((normalize(first[row]), normalize(second[row])))) for row in first}
    findings += check_duplicates(find_duplicates(joined), "pair", "they count twice in the score")
    findings += _contradictions(joined, values)
    findings += _scores(values) if kind == "STS" else _binary_labels(values)
    return [*findings, *_identical(first, second, values)]


def _bitext(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[Finding]:
    # Only the sentence of the same row counts as found, so a copy in another row is a wrong answer.
    yield from check_duplicates(find_duplicates(first), "first sentence", "its translation can't be told apart")
    yield from check_duplicates(find_duplicates(second), "second sentence", "only that of the same row counts as found")
    same = [row for row in first if normalize(first[row]) and normalize(first[row]) == normalize(second[row])]
    if same:
        yield finding("warning", "untranslated", f"{count(len(same), 'pair')} of two equal sentences", same)


def _contradictions(joined: Mapping[str, str], values: Sequence[float]) -> Iterator[Finding]:
    value_of = dict(zip(joined, values, strict=True))
    groups = [rows for rows in same_texts(joined) if len({value_of[row] for row in rows}) > 1]
    if groups:
        items = [", ".join(f"{row}: {value_of[row]:g}" for row in rows[:4]) for rows in groups]
        yield finding("error", "contradiction", f"{count(len(groups), 'pair')} given with different values", items)


def _scores(values: Sequence[float]) -> Iterator[Finding]:
    wrong = [f"row {row}" for row, value in enumerate(values, 1) if not math.isfinite(value)]
    if wrong:
        yield finding("error", "score-not-finite", f"{count(len(wrong), 'score')} that is no finite number", wrong)
    elif len(set(values)) == 1:
        yield finding("error", "one-score", f"every score is {values[0]:g}; a correlation can't be computed")
    elif values:
        yield from _score_range(values)


def _score_range(values: Sequence[float]) -> Iterator[Finding]:
    counts, edges = np.histogram(values, bins=SCORE_BANDS)
    bands = [f"{low:g} to {high:g}: {n}" for low, high, n in zip(edges, edges[1:], counts, strict=False)]
    yield finding("note", "score-histogram", f"scores from {min(values):g} to {max(values):g}", bands)
    empty = [band for band, n in zip(bands, counts, strict=True) if n == 0]
    # Scores of two or three grades leave bands empty by their nature.
    if empty and len(set(values)) > SCORE_BANDS:
        yield finding("warning", "score-gap", f"no pair in {count(len(empty), 'band')} of the score range", empty)
    value, most = Counter(values).most_common(1)[0]
    if most > TIED_SHARE * len(values):
        message = f"{most / len(values):.0%} of the scores are {value:g}; a rank correlation can't order ties"
        yield finding("warning", "tied-scores", message)


def _binary_labels(values: Sequence[float]) -> Iterator[Finding]:
    wrong = [f"row {row}: {value:g}" for row, value in enumerate(values, 1) if value not in (0, 1)]
    if wrong:
        yield finding("error", "label-not-binary", f"{count(len(wrong), 'label')} other than 0 and 1", wrong)
    elif values:
        yield from check_balance(Counter(f"{value:g}" for value in values))


def _identical(first: Mapping[str, str], second: Mapping[str, str], values: Sequence[float]) -> Iterator[Finding]:
    same = [row for row in first if normalize(first[row]) and normalize(first[row]) == normalize(second[row])]
    if not same:
        return
    value_of = dict(zip(first, values, strict=True))
    below = [f"{row}: {value_of[row]:g}" for row in same if value_of[row] < max(values)]
    if below:
        message = f"{count(len(below), 'pair')} of two equal sentences without the highest value, {max(values):g}"
        yield finding("warning", "identical-but-low", message, below)
    if len(same) > len(below):
        message = f"{count(len(same) - len(below), 'pair')} of two equal sentences; every model gets them right"
        yield finding("note", "identical-sentences", message, [row for row in same if value_of[row] == max(values)])
