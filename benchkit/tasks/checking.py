"""A team's own data as plain rows, for the checks of `benchkit suites validate`.

TaskSpec ──read_own_rows──> rows; what a comparison would refuse is refused here too
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchkit.errors import CellFailed, SuiteError
from benchkit.tasks.custom import check_language, check_two_labels
from benchkit.tasks.limiting import NEED_LABELS, check_labels, kept_rows
from benchkit.tasks.own.labelled import read_labelled
from benchkit.tasks.own.pairs import read_pairs
from benchkit.tasks.own.retrieval import read_retrieval
from benchkit.types.task import TaskSpec

# TaskSpec's own default, about which MTEB, which takes seconds to import, need not be asked.
_DEFAULT_LANGUAGE = "eng-Latn"


@dataclass(frozen=True, slots=True)
class RetrievalRows:
    corpus: Mapping[str, str]
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PairRows:
    first: Sequence[str]
    second: Sequence[str]
    values: Sequence[float] | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabelRows:
    texts: Sequence[str]
    labels: Sequence[str | Sequence[str]]
    splits: Sequence[str] | None
    notes: tuple[str, ...]


def read_own_rows(spec: TaskSpec) -> RetrievalRows | PairRows | LabelRows:
    """Read the rows of a task on own data.

    Raises:
        SuiteError: they can't be read, or a comparison would refuse them.
    """
    assert spec.data is not None
    if spec.language != _DEFAULT_LANGUAGE:
        check_language(spec)
    if spec.type in ("Retrieval", "Reranking"):
        data = read_retrieval(spec.data, reranking=spec.type == "Reranking")
        corpus = {name: f"{title} {text}".strip() for name, (title, text) in data.corpus.items()}
        return RetrievalRows(corpus, data.queries, data.qrels, data.notes)
    if spec.type in ("STS", "PairClassification", "BitextMining"):
        pairs = read_pairs(spec.data, spec.columns, kind=spec.type)
        _check_limits(spec, [int(value) for value in pairs.values or ()])
        return PairRows(pairs.first, pairs.second, pairs.values, pairs.notes)
    rows = read_labelled(
        spec.data,
        spec.columns,
        multilabel=spec.type == "MultilabelClassification",
        train=spec.type != "Clustering",
        seed=spec.limits.seed,
    )
    check_two_labels(spec, rows)
    _check_limits(spec, rows.labels)
    splits = None
    if spec.type != "Clustering":
        splits = ["train"] * len(rows.train_texts) + ["test"] * len(rows.texts)
    return LabelRows([*rows.train_texts, *rows.texts], [*rows.train_labels, *rows.labels], splits, rows.notes)


def _check_limits(spec: TaskSpec, labels: Sequence[Any]) -> None:
    """Refuse limits which leave one label where a comparison would fail on it."""
    kept = kept_rows(len(labels), spec.limits)
    if spec.type not in NEED_LABELS or len(kept) == len(labels):
        return
    try:
        check_labels([labels[row] for row in kept], f"{len(kept)} of {len(labels)} items", spec.type)
    except CellFailed as exc:
        raise SuiteError(str(exc)) from exc
