"""Checks of a team's own labelled texts: leakage between splits, balance, classes too small to learn.

texts [n], labels [n], splits [n] ──check_labels──> Findings
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from benchkit.suite.findings import (
    Duplicates,
    Finding,
    by_row,
    check_balance,
    check_duplicates,
    check_texts,
    count,
    few_items,
    find_duplicates,
    finding,
)

# MTEB's classification trains on 8 examples of each class.
CLASS_EXAMPLES = 8

Label = str | int


def check_labels(
    texts: Sequence[str], labels: Sequence[Label | Sequence[Label]], splits: Sequence[str] | None = None
) -> list[Finding]:
    """Check the data of a classification or clustering task.

    Args:
        labels: One label for each text, or a list of labels.
        splits: "train" or another name for each text; None where nothing is trained (clustering).

    Raises:
        ValueError: columns of different length.
    """
    names = list(splits) if splits is not None else ["test"] * len(texts)
    if not len(texts) == len(labels) == len(names):
        raise ValueError(f"columns differ in length: {len(texts)} texts, {len(labels)} labels, {len(names)} splits")
    rows = by_row(texts)
    duplicates = find_duplicates(rows)
    lists = dict(zip(rows, (_as_tuple(label) for label in labels), strict=True))
    split_of = dict(zip(rows, names, strict=True))
    return [
        *few_items(sum(name != "train" for name in names), "text"),
        *check_texts(rows, "text"),
        *check_duplicates(duplicates, "text", "they count twice"),
        *_contradictions(duplicates, lists),
        *_leakage(duplicates, split_of),
        *_classes(lists, split_of, trains=splits is not None),
    ]


def _as_tuple(label: Label | Sequence[Label]) -> tuple[str, ...]:
    return (str(label),) if isinstance(label, str | int) else tuple(sorted(str(part) for part in label))


def _contradictions(duplicates: Duplicates, lists: Mapping[str, tuple[str, ...]]) -> Iterator[Finding]:
    groups = [names for names in duplicates.same if len({lists[name] for name in names}) > 1]
    if groups:
        items = ["; ".join(f"{name}: {', '.join(lists[name])}" for name in names[:4]) for names in groups]
        yield finding("error", "contradiction", f"{count(len(groups), 'text')} given with different labels", items)


def _leakage(duplicates: Duplicates, split_of: Mapping[str, str]) -> Iterator[Finding]:
    exact = [names for names in duplicates.same if len({split_of[name] for name in names}) > 1]
    if exact:
        message = f"{count(len(exact), 'text')} in more than one split; the test's answers were seen in training"
        yield finding("error", "split-leakage", message, [_with_splits(names[:4], split_of) for names in exact])
    near = [(one, other) for one, other, _ in duplicates.near or () if split_of[one] != split_of[other]]
    if near:
        message = f"{count(len(near), 'pair')} of nearly the same texts in different splits"
        yield finding("warning", "near-split-leakage", message, [_with_splits(pair, split_of) for pair in near])


def _with_splits(names: Sequence[str], split_of: Mapping[str, str]) -> str:
    return " = ".join(f"{name} ({split_of[name]})" for name in names)


def _classes(lists: Mapping[str, tuple[str, ...]], split_of: Mapping[str, str], *, trains: bool) -> Iterator[Finding]:
    counts: defaultdict[bool, Counter[str]] = defaultdict(Counter)
    for row, names in lists.items():
        counts[split_of[row] == "train"].update(names)
    trained, tested = counts[True], counts[False]
    if trained + tested:
        yield from check_balance(trained + tested)
    if not trains:
        return
    small = [f"{name}: {number}" for name, number in sorted(trained.items()) if number < CLASS_EXAMPLES]
    if small:
        message = (
            f"{count(len(small), 'label')} with fewer than {CLASS_EXAMPLES} examples to train on, as many as MTEB draws"
        )
        yield finding("warning", "small-class", message, small)
    unlearnt = sorted(tested.keys() - trained.keys())
    if unlearnt:
        message = f"{count(len(unlearnt), 'label')} in the test and not in train; no model can learn it"
        yield finding("error", "label-not-trained", message, unlearnt)
    untested = sorted(trained.keys() - tested.keys())
    if untested:
        yield finding(
            "note", "label-not-tested", f"{count(len(untested), 'label')} in train and not in the test", untested
        )
