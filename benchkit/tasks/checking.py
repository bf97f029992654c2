"""A team's own data as plain rows, for the checks of `benchkit suites validate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchkit.tasks.own.labelled import read_labelled
from benchkit.tasks.own.pairs import read_pairs
from benchkit.tasks.own.retrieval import read_retrieval
from benchkit.types.task import TaskSpec


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
        SuiteError: they can't be read.
    """
    assert spec.data is not None
    if spec.type in ("Retrieval", "Reranking"):
        data = read_retrieval(spec.data, reranking=spec.type == "Reranking")
        corpus = {name: f"{title} {text}".strip() for name, (title, text) in data.corpus.items()}
        return RetrievalRows(corpus, data.queries, data.qrels, data.notes)
    if spec.type in ("STS", "PairClassification", "BitextMining"):
        pairs = read_pairs(spec.data, spec.columns, kind=spec.type)
        return PairRows(pairs.first, pairs.second, pairs.values, pairs.notes)
    rows = read_labelled(
        spec.data,
        spec.columns,
        multilabel=spec.type == "MultilabelClassification",
        train=spec.type != "Clustering",
        seed=spec.limits.seed,
    )
    splits = None
    if spec.type != "Clustering":
        splits = ["train"] * len(rows.train_texts) + ["test"] * len(rows.texts)
    return LabelRows([*rows.train_texts, *rows.texts], [*rows.train_labels, *rows.labels], splits, rows.notes)
