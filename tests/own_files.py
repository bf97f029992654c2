"""A team's own files as a test writes them, and what is read of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchkit.tasks.own.labelled import LabelledData, read_labelled
from benchkit.tasks.own.pairs import PairData, read_pairs
from benchkit.tasks.own.retrieval import RetrievalData, read_retrieval

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


def corpus_of(folder: Path) -> Mapping[str, tuple[str, str]]:
    return read_retrieval(folder, reranking=False).corpus
