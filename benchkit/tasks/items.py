"""From what a task recorded to the items that its score is made of.

    recorded predictions + the task's own rows ──item_scores──> ItemScores for each split and subset

Each task type has its own function; a type or metric without one gives no items, and then no interval, which the report
says. MTEB's own score stays the score of record; the items must give the same number again (checked by the bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.measure.weighted import KINDS
from benchkit.tasks.rankings import Ranking, is_mean_over_queries, query_values
from benchkit.tasks.recording import Place
from benchkit.types.result import ItemKind, ItemScores

_PAIR_COLUMNS = {
    "similarity": ("similarity_scores", 1),
    "cosine": ("cosine_scores", 1),
    "manhattan": ("manhattan_distances", -1),
    "euclidean": ("euclidean_distances", -1),
    "dot": ("dot_scores", 1),
}
_STS_COLUMNS = {
    "": "similarity_scores",
    "cosine": "cosine_scores",
    "manhattan": "manhattan_distances",
    "euclidean": "euclidean_distances",
}


@dataclass(frozen=True, slots=True)
class _Source:
    """How the items of a task type are found.

    Attributes:
        kind: The kind of items that a metric has; None for a metric that doesn't follow from items.
        extract: Makes the items of one split and subset, for a metric that has a kind.
    """

    kind: Callable[[str], ItemKind | None]
    extract: Callable[[Any, Place, Any, str], list[ItemScores]]


def item_scores(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    """Return the items of one split and subset; an empty list where the type or metric has none."""
    source = _source(type(task))
    if source is None or item_kind(type(task), metric) is None:
        return []
    return source.extract(task, place, rows, metric)


def item_kind(task_class: type, metric: str) -> ItemKind | None:
    """Return the kind of items that a task's main metric is made of; None where it has none."""
    source = _source(task_class)
    # The score is then a mean over folds, each with a classifier of its own.
    if source is None or getattr(task_class, "is_cross_validation", False):
        return None
    return source.kind(metric)


def _source(task_class: type) -> _Source | None:
    from mteb.abstasks.classification import AbsTaskClassification
    from mteb.abstasks.clustering import AbsTaskClustering
    from mteb.abstasks.clustering_legacy import AbsTaskClusteringLegacy
    from mteb.abstasks.multilabel_classification import AbsTaskMultilabelClassification
    from mteb.abstasks.pair_classification import AbsTaskPairClassification
    from mteb.abstasks.regression import AbsTaskRegression
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.sts import AbsTaskSTS
    from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining
    from mteb.abstasks.text.summarization import AbsTaskSummarization

    # Multilabel and regression are subclasses of classification, so they come first.
    table: list[tuple[type, _Source]] = [
        (AbsTaskRetrieval, _Source(lambda m: "mean" if is_mean_over_queries(m) else None, _retrieval)),
        (AbsTaskSTS, _Source(_sts_kind, _sts)),
        (AbsTaskPairClassification, _Source(_pair_kind, _pairs)),
        (AbsTaskMultilabelClassification, _Source(_one_of("multilabel", "accuracy", "hamming"), _multilabel)),
        (AbsTaskRegression, _Source(_one_of("regression"), _regression)),
        (AbsTaskClassification, _Source(_one_of("classification", "accuracy"), _classification)),
        (AbsTaskClustering, _Source(_one_of("clustering"), _clustering)),
        (AbsTaskClusteringLegacy, _Source(_one_of("clustering"), _clustering_sets)),
        (AbsTaskBitextMining, _Source(_one_of("bitext"), _bitext)),
        (AbsTaskSummarization, _Source(_summary_kind, _summarization)),
    ]
    return next((source for kind, source in table if issubclass(task_class, kind)), None)


def _one_of(kind: ItemKind, *means: str) -> Callable[[str], ItemKind | None]:
    """Return the function that gives "mean" for the metrics named, and `kind` for those that this kind can compute."""

    def kind_of(metric: str) -> ItemKind | None:
        if metric in means:
            return "mean"
        return kind if metric in KINDS[kind].metrics else None

    return kind_of


def _sts_kind(metric: str) -> ItemKind | None:
    source, _, correlation = metric.rpartition("_")
    return "correlation" if source in _STS_COLUMNS and correlation in KINDS["correlation"].metrics else None


def _pair_kind(metric: str) -> ItemKind | None:
    source, _, measure = metric.partition("_")
    return "pair" if source in ("max", *_PAIR_COLUMNS) and measure in KINDS["pair"].metrics else None


def _summary_kind(metric: str) -> ItemKind | None:
    source, _, correlation = metric.rpartition("_")
    return "mean" if source in ("", "cosine", "dot") and correlation in KINDS["correlation"].metrics else None


def _numbered(n: int) -> NDArray[np.str_]:
    return np.array([str(number) for number in range(n)], dtype=np.str_)


def _mean(place: Place, metric: str, items: NDArray[np.str_], values: Any) -> list[ItemScores]:
    return [ItemScores(*place, "mean", metric, items, {"value": np.asarray(values, dtype=np.float64)})]


def ranking_of(task: Any, place: Place, rows: Any) -> Ranking:
    """Return what a task recorded of one split and subset."""
    return Ranking(task.per_query[place], task.results[place], rows["relevant_docs"], task.changes.get(place, {}))


def _retrieval(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    if place not in task.per_query:
        return []
    values = query_values(ranking_of(task, place, rows), metric)
    if values is None:
        return []
    items = sorted(values)
    return _mean(place, metric, np.array(items, dtype=np.str_), [values[item] for item in items])


def _sts(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    source, _, kind = metric.rpartition("_")
    predictions = task.predictions.get(place)
    if predictions is None:
        return []
    predicted = np.asarray(predictions[_STS_COLUMNS[source]], dtype=np.float64)
    gold = np.asarray(rows["score"][:], dtype=np.float64)
    return [ItemScores(*place, "correlation", kind, _numbered(len(gold)), {"predicted": predicted, "gold": gold})]


def _pairs(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    source, _, kind = metric.partition("_")
    names = list(_PAIR_COLUMNS) if source == "max" else [source]
    predictions = task.predictions.get(place)
    if predictions is None:
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
    if not experiments:
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
    columns = {"label": truth, "predicted": np.concatenate(predicted, axis=1)}
    return [ItemScores(*place, "multilabel", metric, items, columns)]


def _regression(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    scored = task.scored.get(place)
    if not scored:
        return []
    gold = np.asarray(scored[0][0], dtype=np.float64)
    predicted = np.stack([np.asarray(answers, dtype=np.float64).ravel() for _, answers in scored], axis=1)
    columns: dict[str, NDArray[np.generic]] = {"gold": gold, "predicted": predicted}
    return [ItemScores(*place, "regression", metric, _numbered(len(gold)), columns)]


def _jaccard(truth: NDArray[np.int64], answers: NDArray[np.int64]) -> NDArray[np.float64]:
    union = (truth | answers).sum(axis=1)
    shared = (truth & answers).sum(axis=1)
    return np.where(union == 0, 1.0, shared / np.maximum(union, 1))


def _clustering(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    assignments: Mapping[str, list[list[int]]] | None = task.predictions.get(place)
    if assignments is None:
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
    if predictions is None:
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


def _summarization(task: Any, place: Place, rows: Any, metric: str) -> list[ItemScores]:
    """One item for each text: the correlation between the grades of its summaries and their scores."""
    predictions = task.predictions.get(place)
    if predictions is None:
        return []
    grades = [np.asarray(row) for row in rows[task.relevancy_column_name][:]]
    # The same arithmetic as in MTEB, so that equal grades are equal numbers.
    scaled = [((row - task.min_score) / (task.max_score - task.min_score)).tolist() for row in grades]
    scored = _places_of(predictions["human_scores"], scaled)
    if scored is None:
        return []
    values = np.zeros(len(scaled))
    for number, row in enumerate(scored):
        one = {name: [columns[number]] for name, columns in predictions.items()}
        # MTEB's own function on one text: an older task of this type averages in a p-value by mistake.
        values[row] = task.evaluator._calculate_metrics(None, one)[metric]
    (items,) = _mean(place, metric, _numbered(len(values)), values)
    if len(scored) == len(values):
        return [items]
    counted = np.isin(np.arange(len(values)), scored).astype(np.int64)
    return [replace(items, columns={**items.columns, "counted": counted})]


def _places_of(part: Sequence[list[float]], whole: Sequence[list[float]]) -> list[int] | None:
    """Return where the rows of a part, which kept their order, are in the whole; None where it can't be told.

    MTEB leaves a text out whose summaries all have one grade, or all get one score, and doesn't say which it was.
    """
    first = _first_places(part, whole)
    last = [len(whole) - 1 - row for row in reversed(_first_places(part[::-1], whole[::-1]))]
    return first if first == last and len(first) == len(part) else None


def _first_places(part: Sequence[list[float]], whole: Sequence[list[float]]) -> list[int]:
    found: list[int] = []
    for row, grades in enumerate(whole):
        if len(found) < len(part) and len(set(grades)) > 1 and grades == part[len(found)]:
            found.append(row)
    return found
