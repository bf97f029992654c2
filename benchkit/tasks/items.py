"""From what a task recorded to the items that its score is made of.

    recorded predictions + the task's own rows ──item_scores──> ItemScores for each split and subset

Each task type has its own function; a type or metric without one gives no items, and then no interval, which the report
says. MTEB's own score stays the score of record; the items must give the same number again (checked by the bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.tasks.recording import Place
from benchkit.types.result import ItemScores

# MTEB's name of a retrieval metric -> pytrec_eval's, of which MTEB's score is the mean over queries.
_TREC_NAMES = {
    "ndcg_at": "ndcg_cut",
    "map_at": "map_cut",
    "recall_at": "recall",
    "precision_at": "P",
    "hit_rate_at": "success",
}
_PAIR_COLUMNS = {
    "similarity": ("similarity_scores", 1),
    "cosine": ("cosine_scores", 1),
    "manhattan": ("manhattan_distances", -1),
    "euclidean": ("euclidean_distances", -1),
    "dot": ("dot_scores", 1),
}


def item_scores(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    """Return the items of one split and subset; an empty list where the type or metric has none."""
    extract = _extractor(task)
    return extract(task, place, rows, metric) if extract else []


def _extractor(task: Any) -> Callable[[Any, Place, Any, str], list[ItemScores]] | None:
    from mteb.abstasks.classification import AbsTaskClassification
    from mteb.abstasks.clustering import AbsTaskClustering
    from mteb.abstasks.clustering_legacy import AbsTaskClusteringLegacy
    from mteb.abstasks.multilabel_classification import AbsTaskMultilabelClassification
    from mteb.abstasks.pair_classification import AbsTaskPairClassification
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.sts import AbsTaskSTS
    from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining

    # Multilabel is a subclass of classification, so it comes first.
    table: list[tuple[type, Callable[[Any, Place, Any, str], list[ItemScores]]]] = [
        (AbsTaskRetrieval, _retrieval),
        (AbsTaskSTS, _sts),
        (AbsTaskPairClassification, _pairs),
        (AbsTaskMultilabelClassification, _multilabel),
        (AbsTaskClassification, _classification),
        (AbsTaskClustering, _clustering),
        (AbsTaskClusteringLegacy, _clustering_sets),
        (AbsTaskBitextMining, _bitext),
    ]
    return next((function for kind, function in table if isinstance(task, kind)), None)


def _numbered(n: int) -> NDArray[np.str_]:
    return np.array([str(number) for number in range(n)], dtype=np.str_)


def _mean(place: Place, metric: str, items: NDArray[np.str_], values: Any) -> list[ItemScores]:
    return [ItemScores(*place, "mean", metric, items, {"value": np.asarray(values, dtype=np.float64)})]


def _retrieval(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    per_query = task.per_query.get(place)
    if per_query is None:
        return []
    queries = sorted(per_query)
    values = query_values(per_query, task.results[place], rows["relevant_docs"], metric)
    return (
        [] if values is None else _mean(place, metric, np.array(queries, dtype=np.str_), [values[q] for q in queries])
    )


def query_values(
    per_query: Mapping[str, Mapping[str, float]],
    results: Mapping[str, Mapping[str, float]],
    qrels: Mapping[str, Mapping[str, int]],
    metric: str,
) -> dict[str, float] | None:
    """Return the metric of each query; None for metrics that are no mean over queries."""
    family, _, depth = metric.rpartition("_")
    if family == "mrr_at" and depth.isdigit():
        return {query: _reciprocal_rank(results[query], qrels[query], int(depth)) for query in per_query}
    name = f"{_TREC_NAMES.get(family)}_{depth}"
    if family not in _TREC_NAMES or any(name not in scores for scores in per_query.values()):
        return None
    return {query: scores[name] for query, scores in per_query.items()}


def _reciprocal_rank(scores: Mapping[str, float], judged: Mapping[str, int], depth: int) -> float:
    # Ties go to the larger document id, as in trec_eval.
    ranked = sorted(scores.items(), key=lambda hit: (hit[1], hit[0]), reverse=True)[:depth]
    return next((1.0 / rank for rank, (document, _) in enumerate(ranked, 1) if judged.get(document, 0) > 0), 0.0)


def _sts(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    source, _, kind = metric.rpartition("_")
    column = {"cosine": "cosine_scores", "manhattan": "manhattan_distances", "euclidean": "euclidean_distances"}
    predictions = task.predictions.get(place)
    if predictions is None or kind not in ("spearman", "pearson"):
        return []
    predicted = np.asarray(predictions[column.get(source, "similarity_scores")], dtype=np.float64)
    gold = np.asarray(rows["score"][:], dtype=np.float64)
    return [ItemScores(*place, "correlation", kind, _numbered(len(gold)), {"predicted": predicted, "gold": gold})]


def _pairs(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    source, _, kind = metric.partition("_")
    names = list(_PAIR_COLUMNS) if source == "max" else [source]
    predictions = task.predictions.get(place)
    if (
        predictions is None
        or kind not in ("ap", "f1", "accuracy", "precision", "recall")
        or names[0] not in _PAIR_COLUMNS
    ):
        return []
    columns = [_PAIR_COLUMNS[name] for name in names]
    predicted = np.stack([sign * np.asarray(predictions[name], dtype=np.float64) for name, sign in columns], axis=1)
    label = np.asarray(_pair_labels(task, rows), dtype=np.int64)
    return [ItemScores(*place, "pair", kind, _numbered(len(label)), {"label": label, "predicted": predicted})]


def _pair_labels(task: Any, rows: Any) -> Sequence[int]:
    # Old data sets hold the whole split in one row.
    labels: Sequence[int] = rows[0][task.label_column_name] if len(rows) == 1 else rows[task.label_column_name][:]
    return labels


def _as_numbers(labels: Sequence[Any], *more: Sequence[Any]) -> list[NDArray[np.int64]]:
    """Return the same whole numbers for the same labels in all sequences, in the order of their sorted names."""
    names = sorted({label for part in (labels, *more) for label in part}, key=lambda label: (str(type(label)), label))
    number = {name: position for position, name in enumerate(names)}
    return [np.array([number[label] for label in part], dtype=np.int64) for part in (labels, *more)]


def _experiments(task: Any, place: Place) -> list[tuple[list[Any], list[Any]]]:
    scored = task.scored.get(place, [])
    return [(np.asarray(truth).tolist(), np.asarray(predicted).tolist()) for truth, predicted in scored]


def _classification(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    experiments = _experiments(task, place)
    if task.is_cross_validation or not experiments:
        return []
    truth = experiments[0][0]
    label, *predicted = _as_numbers(truth, *(answers for _, answers in experiments))
    items = _numbered(len(label))
    if metric == "accuracy":
        return _mean(place, metric, items, np.mean([answers == label for answers in predicted], axis=0))
    columns = {"label": label, "predicted": np.stack(predicted, axis=1)}
    return [ItemScores(*place, "classification", metric, items, columns)]


def _multilabel(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    scored = task.scored.get(place)
    if not scored:
        return []
    truth = np.asarray(scored[0][0], dtype=np.int64)
    predicted = [np.asarray(answers, dtype=np.int64) for _, answers in scored]
    items = _numbered(len(truth))
    if metric == "accuracy":
        return _mean(place, metric, items, np.mean([(answers == truth).all(axis=1) for answers in predicted], axis=0))
    if metric == "hamming":
        return _mean(place, metric, items, np.mean([_jaccard(truth, answers) for answers in predicted], axis=0))
    if metric != "f1":
        return []
    columns = {"label": truth, "predicted": np.concatenate(predicted, axis=1)}
    return [ItemScores(*place, "multilabel", metric, items, columns)]


def _jaccard(truth: NDArray[np.int64], answers: NDArray[np.int64]) -> NDArray[np.float64]:
    union = (truth | answers).sum(axis=1)
    shared = (truth & answers).sum(axis=1)
    return np.where(union == 0, 1.0, shared / np.maximum(union, 1))


def _clustering(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    assignments: Mapping[str, list[list[int]]] | None = task.predictions.get(place)
    if assignments is None or metric != "v_measure":
        return []
    sampled, drawn = task.drawn[place]
    embedded = sampled[-1] if sampled else list(range(len(rows)))
    raw = rows.select(embedded)[task.label_column_name][:]
    label = _level_labels([value if isinstance(value, list) else [value] for value in raw], len(assignments))
    experiments = [clusters for level in assignments.values() for clusters in level]
    per_level = len(experiments) // len(assignments)
    cluster = np.full((len(embedded), len(experiments)), -1, dtype=np.int32)
    draws = np.zeros_like(cluster)
    for column, (positions, clusters) in enumerate(zip(drawn, experiments, strict=True)):
        # The draws count positions among the items that have a label at this level.
        present = np.flatnonzero(label[:, column // per_level] >= 0)
        chosen = present[np.asarray(positions)]
        cluster[chosen, column] = clusters
        np.add.at(draws[:, column], chosen, 1)
    items = np.array([str(position) for position in embedded], dtype=np.str_)
    return [ItemScores(*place, "clustering", metric, items, {"label": label, "cluster": cluster, "draws": draws})]


def _level_labels(labels: list[list[Any]], levels: int) -> NDArray[np.int64]:
    table = np.full((len(labels), levels), -1, dtype=np.int64)
    for level in range(levels):
        has = [row for row, path in enumerate(labels) if len(path) > level and path[level] != -1]
        (numbers,) = _as_numbers([str(labels[row][level]) for row in has])
        table[has, level] = numbers
    return table


def _clustering_sets(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    """MTEB's older clustering: several sets, each clustered once; items are resampled within their set."""
    predictions = task.predictions.get(place)
    if predictions is None or metric != "v_measure":
        return []
    answers = iter(predictions)
    sets = [list(labels) for labels in rows[task.label_column_name][:]]
    sizes = [len(labels) for labels in sets]
    label = np.full((sum(sizes), 1), -1, dtype=np.int64)
    cluster = np.full((sum(sizes), len(sets)), -1, dtype=np.int32)
    start = 0
    for column, labels in enumerate(sets):
        part = slice(start, start + len(labels))
        (label[part, 0],) = _as_numbers([str(value) for value in labels])
        # MTEB does not cluster a set with one label; its score is 1, as with one cluster.
        cluster[part, column] = 0 if len(set(labels)) <= 1 else next(answers)
        start += len(labels)
    draws = (cluster >= 0).astype(np.int32)
    columns: dict[str, NDArray[np.generic]] = {"label": label, "cluster": cluster, "draws": draws}
    strata = np.repeat(np.arange(len(sets)), sizes).astype(np.int64)
    return [ItemScores(*place, "clustering", metric, _numbered(len(label)), columns, strata)]


def _bitext(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    split, subset = place
    found = []
    for (recorded_split, recorded_subset), neighbours in task.predictions.items():
        if recorded_split != split or recorded_subset not in (subset, "parallel"):
            continue
        for pair, hits in neighbours.items():
            if recorded_subset == "parallel" and pair != subset:
                continue
            gold = np.array(
                [truth for _, truth in rows["gold"]] if "gold" in rows else range(len(hits)), dtype=np.int64
            )
            predicted = np.array([hit["corpus_id"] for hit in hits], dtype=np.int64)
            columns = {"gold": gold[: len(predicted)], "predicted": predicted}
            found.append(ItemScores(split, subset, "bitext", metric, _numbered(len(predicted)), columns))
    return found
