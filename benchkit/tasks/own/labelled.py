"""Texts with labels of a team's own data, with a part to train on where the task trains.

    folder/train.csv + folder/test.csv ────────────┐
    one file with a `split` column (train, test) ──┼─ read_labelled ──> LabelledData (checked, in the files' order)
    one file without: a seeded half of each label ─┘

Each file may be of any form that `files.py` reads. Clustering trains nothing and takes every row of one file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchkit.errors import SuiteError
from benchkit.tasks import readings
from benchkit.tasks.own.files import file_of, find_file
from benchkit.tasks.own.notes import counted, text_notes
from benchkit.tasks.own.problems import Problems
from benchkit.tasks.own.table import Table


@dataclass(frozen=True, slots=True)
class LabelledData:
    """Texts with one label each, or a list of labels each; `train` is empty for clustering.

    Attributes:
        tags: Further columns that make slices, one text for each row that is tested on.
    """

    train_texts: list[str]
    train_labels: list[Any]
    texts: list[str]
    labels: list[Any]
    notes: tuple[str, ...] = ()
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)


def read_labelled(data: Path, columns: Mapping[str, str], *, multilabel: bool, train: bool, seed: int) -> LabelledData:
    """Read texts with labels; with `train`, from train.* and test.*, a `split` column, or a seeded half split.

    Raises:
        SuiteError: with every problem found: a missing column or text, a single class, a class of the test part that
            the training part lacks, an empty part.
    """
    problems = Problems()
    folder_train = find_file(data, "train") if data.is_dir() and train else None
    table = Table(file_of(data, "test", "data"), columns, problems)
    texts, labels = _texts_and_labels(table, multilabel=multilabel)
    if not train:
        problems.raise_if_any()
        result = LabelledData([], [], texts, labels, _labelled_notes([table], texts, labels), table.tags())
    elif folder_train is not None:
        train_table = Table(folder_train, columns, problems)
        train_texts, train_labels = _texts_and_labels(train_table, multilabel=multilabel)
        for one in (table, train_table):
            one.refuse_parts()
        problems.raise_if_any()
        notes = _labelled_notes([table, train_table], [*texts, *train_texts], [*labels, *train_labels])
        result = LabelledData(train_texts, train_labels, texts, labels, notes, table.tags())
    else:
        problems.raise_if_any()
        result = _split(table, texts, labels, seed=seed, notes=_labelled_notes([table], texts, labels))
    _check_classes(table.path, result, multilabel=multilabel, train=train)
    return result


def _texts_and_labels(table: Table, *, multilabel: bool) -> tuple[list[str], list[Any]]:
    texts = table.texts("text", "sentences", "sentence")
    labels: list[Any] = table.label_lists("label", "labels") if multilabel else table.labels("label", "labels")
    return texts, labels


def _labelled_notes(tables: Sequence[Table], texts: Sequence[str], labels: Sequence[Any]) -> tuple[str, ...]:
    names = [part for label in labels for part in _parts(label)]
    said = (readings.no_value_note(texts, "text"), readings.no_value_note(names, "label"), readings.case_note(names))
    return (*text_notes(tables, texts), *filter(None, said))


def _split(table: Table, texts: list[str], labels: list[Any], *, seed: int, notes: tuple[str, ...]) -> LabelledData:
    import numpy as np

    column = [row.values.get("split") for row in table.rows]
    if any(value is not None for value in column):
        is_train = [value == "train" for value in column]
        wrong = sorted({str(value) for value in column} - {"train", "test"})
        if wrong:
            raise SuiteError(f"{table.path}: split should be train or test, found {', '.join(wrong)}")
    elif (name := readings.column_of_parts([row.values for row in table.rows])[0]) != "":
        raise SuiteError(f"{table.path}: the column {name!r} tells train from test; call it split")
    else:
        # Every second row of each label, in a seeded order, so that both halves hold every label.
        rng = np.random.default_rng(seed)
        is_train = [False] * len(texts)
        seen: dict[str, int] = {}
        for row in rng.permutation(len(texts)):
            key = json.dumps(labels[row])
            is_train[row] = seen.get(key, 0) % 2 == 0
            seen[key] = seen.get(key, 0) + 1
        if texts and all(is_train):
            raise SuiteError(f"{table.path}: every label stands on one row only; half of two rows or more is tested on")
        said = (
            f"no train part given: of {table.path.name}, {counted(sum(is_train), 'row')} to train on and "
            f"{len(texts) - sum(is_train)} to test on, every second one of each label in turn (seed {seed})"
        )
        notes = (*notes, said)
    return LabelledData(
        [text for text, chosen in zip(texts, is_train, strict=True) if chosen],
        [label for label, chosen in zip(labels, is_train, strict=True) if chosen],
        [text for text, chosen in zip(texts, is_train, strict=True) if not chosen],
        [label for label, chosen in zip(labels, is_train, strict=True) if not chosen],
        notes,
        table.tags([row for row, chosen in zip(table.rows, is_train, strict=True) if not chosen]),
    )


def _check_classes(path: Path, data: LabelledData, *, multilabel: bool, train: bool) -> None:
    problems = Problems()
    if not data.texts:
        problems.add(f"{path}: no rows to test on")
    if train and not data.train_texts:
        problems.add(f"{path}: no rows to train on")
    classes, trained = _classes(data.labels), _classes(data.train_labels)
    if data.texts and len(classes | trained) < 2:
        only = next(iter(classes), "none")
        problems.add(f"{path}: a single class ({only!r}); at least two are needed")
    elif not (train or multilabel) and len(classes) == len(data.texts) > 0:
        problems.add(f"{path}: every label stands on one row only, so that there is nothing to group")
    elif train and multilabel and len(classes) == 1:
        # Their scorers take a column for each label of the test part, and refuse a single one.
        only = next(iter(classes))
        problems.add(f"{path}: the test part has the label {only!r} only; lists of labels are scored on two or more")
    elif train and multilabel and data.texts and not classes:
        problems.add(f"{path}: no row of the test part has a label")
    if train and data.train_texts and classes - trained:
        unknown = ", ".join(map(repr, sorted(classes - trained)[:5]))
        problems.add(f"{path}: classes of the test part that the train part lacks: {unknown}")
    problems.raise_if_any()


def _classes(labels: Sequence[Any]) -> set[str]:
    return {part for label in labels for part in _parts(label)}


def _parts(label: Any) -> list[str]:
    return label if isinstance(label, list) else [label]
