"""The metric of each query of a ranking task, or of each group of queries that the metric scores as one.

    every metric of every query (MTEB's) ─┐
    ranks of every query ─────────────────┼─ query_values ──> {query or group: value}, whose mean is MTEB's score
    judgements ───────────────────────────┘

    metric                     a group is                            its value
    ndcg_at_10, map_at_5 ...   one query                             the metric
    accuracy                   one query                             recall_at_1
    paired_accuracy            a question and its opposite           1 when both find the right document first
    robustness_at_10           a query under several instructions    the lowest ndcg_at_10
    max_over_subqueries_...    a user's queries, results merged      the metric on the highest score of each document
    p-MRR                      a query before and after a change     how far changed documents moved, -1 to 1

Queries belong to a group by their ids, as MTEB's tasks name them.

Sources of the grouped ones: Weller et al., "NevIR", 2023; Oh et al., "INSTRUCTIR", 2024; Weller et al., "FollowIR",
2024; MTEB's MindSmallReranking.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Results = Mapping[str, Mapping[str, float]]
Judgements = Mapping[str, Mapping[str, int]]

MERGED = "max_over_subqueries_"
CHANGE = "p-MRR"
_PAIRED = "paired_accuracy"
_ROBUST = "robustness_at_10"
_ACCURACY = "accuracy"
# MTEB's name of a retrieval metric -> pytrec_eval's, of which MTEB's score is the mean over queries.
_TREC_NAMES = {
    "ndcg_at": "ndcg_cut",
    "map_at": "map_cut",
    "recall_at": "recall",
    "precision_at": "P",
    "hit_rate_at": "success",
}
_MRR = "mrr_at"


@dataclass(frozen=True, slots=True)
class Ranking:
    """What MTEB computed for one split and subset.

    Attributes:
        per_query: Every metric of every query, by pytrec_eval's names.
        results: Score of each found document, by query.
        judgements: Grade of each judged document, by query.
        changes: p-MRR of each query under two instructions; empty for other tasks.
    """

    per_query: Results
    results: Results
    judgements: Judgements
    changes: Mapping[str, float]


def group_of(metric: str) -> Callable[[str], str]:
    """Return the function from a query's id to the id of the group that the metric scores as one.

    >>> group_of("max_over_subqueries_map_at_1000")("train_17_3")
    'train_17'
    """
    if metric.startswith(MERGED):
        return lambda query: query.rpartition("_")[0]
    if metric in (_PAIRED, _ROBUST):
        return lambda query: query.partition("_")[0]
    if metric == CHANGE:
        return lambda query: query.removesuffix("-og").removesuffix("-changed")
    return str


def is_mean_over_queries(metric: str) -> bool:
    """Tell whether the metric is one that `query_values` knows."""
    return metric in (_PAIRED, _ROBUST, CHANGE, _ACCURACY) or _trec(metric.removeprefix(MERGED)) is not None


def query_values(ranking: Ranking, metric: str) -> dict[str, float] | None:
    """Return the metric of each query or group; None where MTEB computed none, or the metric is no mean over them."""
    if not is_mean_over_queries(metric):
        return None
    if metric == CHANGE:
        return dict(ranking.changes) or None
    if metric == _PAIRED:
        return _over_groups(ranking, metric, "recall_1", lambda values: float(all(v == 1 for v in values)))
    if metric == _ROBUST:
        return _over_groups(ranking, metric, "ndcg_cut_10", min)
    if metric.startswith(MERGED):
        return _merged(ranking, metric)
    return _plain(ranking.per_query, ranking.results, ranking.judgements, metric)


def _trec(metric: str) -> tuple[str, str] | None:
    """Return pytrec_eval's family and the depth of "ndcg_at_10"; None for what isn't of this form."""
    family, _, depth = metric.rpartition("_")
    known = {**_TREC_NAMES, _MRR: _MRR}
    return (known[family], depth) if family in known and depth.isdigit() else None


def _plain(per_query: Results, results: Results, judgements: Judgements, metric: str) -> dict[str, float] | None:
    found = ("recall", "1") if metric == _ACCURACY else _trec(metric)
    assert found is not None
    family, depth = found
    if family == _MRR:
        return {query: _reciprocal_rank(results[query], judgements[query], int(depth)) for query in per_query}
    name = f"{family}_{depth}"
    if any(name not in scores for scores in per_query.values()):
        return None
    return {query: scores[name] for query, scores in per_query.items()}


def _reciprocal_rank(scores: Mapping[str, float], judged: Mapping[str, int], depth: int) -> float:
    # Ties go to the larger document id, as in trec_eval.
    ranked = sorted(scores.items(), key=lambda hit: (hit[1], hit[0]), reverse=True)[:depth]
    return next((1.0 / rank for rank, (document, _) in enumerate(ranked, 1) if judged.get(document, 0) > 0), 0.0)


def groups(queries: Iterable[str], metric: str) -> dict[str, list[str]]:
    """Return the queries of each group, in their order."""
    group = group_of(metric)
    found: dict[str, list[str]] = defaultdict(list)
    for query in queries:
        found[group(query)].append(query)
    return dict(found)


def _over_groups(
    ranking: Ranking, metric: str, name: str, combine: Callable[[list[float]], float]
) -> dict[str, float] | None:
    if any(name not in scores for scores in ranking.per_query.values()):
        return None
    return {
        group: combine([ranking.per_query[query][name] for query in queries])
        for group, queries in groups(ranking.judgements, metric).items()
    }


def _merged(ranking: Ranking, metric: str) -> dict[str, float] | None:
    """Score each group of queries on the highest score that any of them gives to a document."""
    base = metric.removeprefix(MERGED)
    results: dict[str, dict[str, float]] = {}
    judgements: dict[str, dict[str, int]] = {}
    for group, queries in groups(ranking.judgements, metric).items():
        best = results.setdefault(group, {})
        for query in queries:
            for document, score in ranking.results[query].items():
                best[document] = max(score, best.get(document, score))
        # The judgements of one user are the same for all of the queries.
        judgements[group] = dict(ranking.judgements[queries[-1]])
    per_group = {group: {} for group in results} if base.startswith(_MRR) else _evaluate(results, judgements, base)
    return _plain(per_group, results, judgements, base)


def _evaluate(
    results: dict[str, dict[str, float]], judgements: dict[str, dict[str, int]], metric: str
) -> dict[str, dict[str, float]]:
    import pytrec_eval

    found = _trec(metric)
    assert found is not None
    # trec_eval calls the option "map_cut.1000" and the result "map_cut_1000".
    evaluator = pytrec_eval.RelevanceEvaluator(judgements, {".".join(found)})
    scores: dict[str, dict[str, float]] = evaluator.evaluate(results)
    return scores
