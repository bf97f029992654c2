"""Cut a loaded task to a part of its data, drawn with a fixed seed, and say so.

Retrieval keeps the drawn queries, every document that was judged for them, and fills up to the limit with others; where
the metric scores several queries as one, they are kept or dropped together. Classification keeps its training part. The
draw depends on the ids and the seed alone, not on the order of the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchkit.errors import CellFailed
from benchkit.tasks.parts import parts_of
from benchkit.tasks.rankings import groups
from benchkit.types.task import TaskLimits

# Of these a part with one label alone is no task: every order, and every single cluster, is right; and lists of labels
# are scored by a column for each label, of which MTEB needs two.
NEED_LABELS = frozenset({"PairClassification", "Clustering", "MultilabelClassification"})


def limit_data(task: Any, limits: TaskLimits) -> str:
    """Cut `task.dataset` in place; return a sentence that says what was kept, "" when nothing was cut.

    Raises:
        CellFailed: what is left has one label, on which every model would score alike.
    """
    if not limits.any:
        return ""
    said: list[str] = []
    for subset in task.hf_subsets:
        holder = parts_of(task, subset)
        for split in task.eval_splits:
            if split not in holder:
                continue
            before = holder[split]
            if isinstance(before, Mapping):
                holder[split], kept = _limit_retrieval(before, limits, task.metadata.main_score)
            else:
                holder[split], kept = _limit_rows(before, limits)
                if kept and task.metadata.type in NEED_LABELS:
                    check_labels(holder[split][task.label_column_name][:], kept, task.metadata.type)
            if kept:
                said.append(kept)
    return "; ".join(sorted(set(said)))


def _draw(n: int, k: int, seed: int) -> list[int]:
    return sorted(np.random.default_rng(seed).choice(n, size=k, replace=False).tolist())


def kept_rows(n: int, limits: TaskLimits) -> list[int]:
    """Return which of n rows stay within the limits, in their order."""
    if limits.items is None or limits.items >= n:
        return list(range(n))
    return _draw(n, limits.items, limits.seed)


def _limit_rows(rows: Any, limits: TaskLimits) -> tuple[Any, str]:
    kept = kept_rows(len(rows), limits)
    if len(kept) == len(rows):
        return rows, ""
    return rows.select(kept), f"{len(kept)} of {len(rows)} items"


def check_labels(labels: Sequence[Any], kept: str, task_type: str) -> None:
    """Refuse a part of the data that has one label.

    Raises:
        CellFailed: every model would score alike, or MTEB would stop.
    """
    if task_type == "MultilabelClassification":
        labels = [part for several in labels for part in several]
    # Other lists are levels of labels, or the sets of MTEB's older clustering.
    elif isinstance(labels[0], list):
        return
    if len(set(labels)) < 2:
        only = repr(labels[0]) if labels else "none"
        raise CellFailed(
            f"the limits leave {kept}, all with the label {only}, on which every model scores alike; "
            "raise limits.items or take another limits.seed"
        )


def _limit_retrieval(data: Mapping[str, Any], limits: TaskLimits, metric: str) -> tuple[dict[str, Any], str]:
    said: list[str] = []
    qrels, queries, corpus = data["relevant_docs"], data["queries"], data["corpus"]
    judged = sorted(query for query, documents in qrels.items() if any(score > 0 for score in documents.values()))
    kept = judged
    if limits.items is not None and limits.items < len(judged):
        kept = _queries_to_keep(judged, limits.items, limits.seed, metric)
        said.append(f"{len(kept)} of {len(judged)} queries")
    elif len(judged) < len(qrels):
        said.append(f"{len(judged)} of {len(qrels)} queries, those with a relevant document")
    chosen = set(kept)
    queries = queries.select([row for row, query in enumerate(queries["id"]) if query in chosen])
    qrels = {query: qrels[query] for query in kept}
    candidates = data["top_ranked"]
    if candidates is not None:
        candidates = {query: candidates[query] for query in kept if query in candidates}
    if limits.documents is not None and limits.documents < len(corpus):
        needed = {document for documents in qrels.values() for document in documents}
        needed |= {document for documents in (candidates or {}).values() for document in documents}
        rows = _rows_to_keep(list(corpus["id"]), needed, limits)
        if len(rows) < len(corpus):
            said.append(f"{len(rows)} of {len(corpus)} documents")
            corpus = corpus.select(rows)
    return {**data, "queries": queries, "relevant_docs": qrels, "corpus": corpus, "top_ranked": candidates}, ", ".join(
        said
    )


def _queries_to_keep(queries: list[str], most: int, seed: int, metric: str) -> list[str]:
    """Draw whole groups of queries while they fit, and one in any case."""
    by_group = groups(queries, metric)
    if len(by_group) == len(queries):
        return [queries[position] for position in _draw(len(queries), most, seed)]
    names = sorted(by_group)
    kept: list[str] = []
    for position in np.random.default_rng(seed).permutation(len(names)).tolist():
        if kept and len(kept) + len(by_group[names[position]]) > most:
            break
        kept.extend(by_group[names[position]])
    return sorted(kept)


def _rows_to_keep(documents: list[str], needed: set[str], limits: TaskLimits) -> list[int]:
    assert limits.documents is not None
    row_of = {document: row for row, document in enumerate(documents)}
    others = sorted(document for document in documents if document not in needed)
    free = max(0, min(limits.documents - len(needed), len(others)))
    kept = needed | {others[position] for position in _draw(len(others), free, limits.seed)}
    return sorted(row_of[document] for document in kept if document in row_of)
