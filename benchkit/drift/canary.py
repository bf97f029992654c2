"""Canaries: texts of the baseline that are embedded again, to see what a change does to retrieval.

    Canaries (canary_set), stored ──────────────┐
    their texts embedded now (m, e) ── measure_harm ──> Harm: identity · overlap · top-1 · pseudo-label · nDCG · worst

Two searches are held against the stored one. *Live*: the new vectors of the queries among the stored vectors of the
documents, which is what production does after a silent swap of the model. *Rebuilt*: queries and documents new, which
is what would be left of the rankings after everything is re-embedded. A rotated space is perfect rebuilt and useless
live, so neither stands for the other.

How far a distribution has moved ranks harm poorly; rankings of canaries rank it nearly perfectly, and need no labels:
the cluster of a text stands in for its label (benchmarks/drift_harm.py has the figures).

Sources: Caspari et al., "Beyond Benchmarks: Evaluating Embedding Model Similarity for RAG", 2024 (arXiv 2407.08275), on
top-k overlap beside CKA; Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20
(2002), in trec_eval's form (the gain is the grade itself).
Cost: O(q · m · d) time, once for each search; 2,000 canaries of 768 dimensions are 6 MB and about a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.canary_set import NEIGHBOURS, Canaries, choose_canaries, make_canaries, search
from benchkit.drift.canary_verdict import SAME_IDENTITY
from benchkit.drift.noise import change_of
from benchkit.drift.ranking import Places, Vectors, check_finite, row_cosines
from benchkit.drift.ties import Found, same_first, shared_or_tied
from benchkit.measure.bootstrap import draw_scores
from benchkit.measure.cumulants import difference_cumulants
from benchkit.measure.noninferiority import change_interval
from benchkit.types.comparison import Interval
from benchkit.types.drift import CanaryChange, Harm
from benchkit.types.result import ItemScores

__all__ = [
    "Canaries",
    "SearchChange",
    "choose_canaries",
    "make_canaries",
    "measure_harm",
    "ndcg_at_10",
    "search_change",
]

# Of 30 texts, unrelated rankings already share a third of ten; with fewer, an overlap says nothing.
FEWEST_FOUND = 30
# A hundred places in the rankings together; with fewer, one canary is worth more than a threshold.
FEWEST_SEARCHING = 10
# Fewer have no bootstrap interval (measure.bootstrap).
FEWEST_JUDGED = 4
RESAMPLES = 2_000
WORST_SHOWN = 10
TEXT_LENGTH = 500  # characters of one in a report


@dataclass(frozen=True, slots=True)
class SearchChange:
    """What is left of the stored rankings in another search by the same canaries.

    Attributes:
        overlap_at_10: Share of the nearest stored texts that are still found, or as near ones (drift/ties.py).
        top1_agreement: Share of queries whose first hit stays, or gives way to one as near.
        pseudo_label_accuracy: Share of queries whose first hit is of their own cluster.
    """

    overlap_at_10: float
    top1_agreement: float
    pseudo_label_accuracy: float


def measure_harm(canaries: Canaries, now: Vectors, *, seed: int = 0) -> Harm:
    """Say what the vectors that the canaries have now do to retrieval.

    The identity (cosine with the stored vector) needs a few texts only: five show a silently swapped model. Figures of
    a search are None with fewer than 30 texts to be found, where rankings that have nothing to do with each other share
    a third of ten already, or fewer than 10 that search. Where the dimension has changed, the live index can't be
    searched: only the rebuilt overlap is left. nDCG is that of the live search, over queries with a relevant document;
    its interval needs four of them. The worst canaries are of those that search, and so need as many as an overlap; a
    canary that came back as it was and finds what it found isn't among them.

    Args:
        now: Vectors of the canaries' texts, in their order (m, e).
        seed: Of the bootstrap.

    Raises:
        ValueError: other than m vectors, or one holds NaN or infinity.
    """
    if len(now) != len(canaries):
        raise ValueError(f"{len(canaries)} canaries, but {len(now)} vectors of them")
    check_finite(now)
    same_dimension = now.shape[1] == canaries.vectors.shape[1]
    cosines = row_cosines(canaries.vectors, now) if same_dimension else None
    enough = len(canaries.documents) >= FEWEST_FOUND and len(canaries.queries) >= FEWEST_SEARCHING
    found = _found(canaries, now, now) if enough else None
    rebuilt = None if found is None else _change(canaries, found)
    live = search_change(canaries, now, canaries.vectors) if enough and same_dimension else None
    before = _same_cluster(canaries, canaries.neighbours[:, 0]) if enough else None
    ranking = _ranking_change(canaries, now, seed=seed) if same_dimension else None
    return Harm(
        n_canaries=len(canaries),
        identity=None if cosines is None else float(cosines.mean()),
        worst_identity=None if cosines is None else float(cosines.min()),
        overlap_at_10=None if rebuilt is None else rebuilt.overlap_at_10,
        mixed_overlap_at_10=None if live is None else live.overlap_at_10,
        top1_agreement=None if live is None else live.top1_agreement,
        pseudo_label_accuracy=None if live is None else live.pseudo_label_accuracy,
        pseudo_label_before=before,
        ndcg_at_10=None if ranking is None else ranking.now,
        ndcg_before=None if ranking is None else ranking.before,
        ndcg_change_low=None if ranking is None or ranking.change is None else ranking.change.low,
        ndcg_change_high=None if ranking is None or ranking.change is None else ranking.change.high,
        worst=() if found is None or cosines is None else _worst(canaries, found, cosines),
        is_noise=_is_noise(canaries, now, cosines) if enough else None,
    )


def _is_noise(canaries: Canaries, now: Vectors, cosines: NDArray[np.float64] | None) -> bool | None:
    if cosines is None or float(cosines.mean()) >= SAME_IDENTITY:
        return None
    change = change_of(canaries.vectors, now)
    return None if change is None else change.is_noise


def _worst(canaries: Canaries, found: Found, cosines: NDArray[np.float64]) -> tuple[CanaryChange, ...]:
    """Return the searching canaries that changed most: those that lost most neighbours, then the least alike."""
    own, stored = canaries.queries, _stored(canaries)
    shares = shared_or_tied(stored, found) / found.places.shape[1]
    is_changed = (cosines[own] < SAME_IDENTITY) | (shares < 1) | ~same_first(stored, found)
    order = [row for row in np.lexsort((own, cosines[own], shares)) if is_changed[row]]
    return tuple(
        CanaryChange(
            text=_shown(canaries, own[row]),
            identity=float(cosines[own[row]]),
            overlap_at_10=float(shares[row]),
            nearest_before=_shown(canaries, canaries.neighbours[row, 0]),
            nearest_now=_shown(canaries, found.places[row, 0]),
        )
        for row in order[:WORST_SHOWN]
    )


def _shown(canaries: Canaries, place: int) -> str:
    return canaries.texts[place][:TEXT_LENGTH]


def search_change(canaries: Canaries, queries: Vectors, documents: Vectors) -> SearchChange:
    """Search with other vectors and hold the rankings against the stored ones.

    Args:
        queries, documents: Vectors of all canaries (m, e): those used where a text searches, and where it is found.
            New and stored is the live index, new and new a rebuilt one.

    Raises:
        ValueError: the dimensions differ, or a number is NaN or infinite.
    """
    return _change(canaries, _found(canaries, queries, documents))


def _change(canaries: Canaries, found: Found) -> SearchChange:
    stored = _stored(canaries)
    return SearchChange(
        overlap_at_10=float(shared_or_tied(stored, found).sum() / found.places.size),
        top1_agreement=float(np.mean(same_first(stored, found))),
        pseudo_label_accuracy=_same_cluster(canaries, found.places[:, 0]),
    )


def _found(canaries: Canaries, queries: Vectors, documents: Vectors) -> Found:
    places = search(canaries, queries, documents, k=NEIGHBOURS)
    return Found.of(places, queries[canaries.queries], documents, canaries.similarity)


def _stored(canaries: Canaries) -> Found:
    vectors = canaries.vectors
    return Found.of(canaries.neighbours, vectors[canaries.queries], vectors, canaries.similarity)


def _same_cluster(canaries: Canaries, first: Places) -> float:
    return float(np.mean(canaries.clusters[first] == canaries.clusters[canaries.queries]))


# ------------------------------------------------------------ judged rankings


@dataclass(frozen=True, slots=True)
class _RankingChange:
    before: float
    now: float
    change: Interval | None


def _ranking_change(canaries: Canaries, now: Vectors, *, seed: int) -> _RankingChange | None:
    grades = _grades(canaries)
    if not grades:
        return None
    before = ndcg_at_10(canaries, canaries.vectors, canaries.vectors)
    after = ndcg_at_10(canaries, now, canaries.vectors)
    change = None
    if len(grades) >= FEWEST_JUDGED:
        names = np.array([str(query) for query in grades])
        items = [ItemScores("canaries", "all", "mean", "ndcg", names, {"value": one}) for one in (after, before)]
        draws = [
            draw_scores(
                [entry],
                stream="canaries",
                estimate=float(entry.columns["value"].mean()),
                n_resamples=RESAMPLES,
                seed=seed,
            )
            for entry in items
        ]
        found = change_interval(*draws, cumulants=difference_cumulants(*items))
        # Pushed outwards for its coverage, it may pass what a change of nDCG can be.
        change = Interval(max(-1.0, found.low), min(1.0, found.high))
    return _RankingChange(float(before.mean()), float(after.mean()), change)


def ndcg_at_10(canaries: Canaries, queries: Vectors, documents: Vectors) -> NDArray[np.float64]:
    """Return the nDCG@10 of each query with a relevant document, in order of the queries' numbers.

    trec_eval's: sum of grade / log2(rank + 1) over the first ten, by the same of the best order of all its judgements;
    documents without a judgement and grades below 0 count 0. Of documents that score the same the one with the lower
    number comes first.

    Args:
        queries, documents: As of `search_change`.
    """
    grades = _grades(canaries)
    found = search(canaries, queries, documents, k=NEIGHBOURS)
    row_of = {int(query): row for row, query in enumerate(canaries.queries)}
    values = []
    for query, judged in grades.items():
        gains = [judged.get(int(document), 0) for document in found[row_of[query]]]
        values.append(_discounted(gains) / _discounted(sorted(judged.values(), reverse=True)[:10]))
    return np.array(values)


def _discounted(gains: Sequence[int]) -> float:
    return float(np.sum(np.array(gains) / np.log2(np.arange(2, len(gains) + 2))))


def _grades(canaries: Canaries) -> dict[int, dict[int, int]]:
    """Return the positive grades of each query that has one, queries in order."""
    grades: dict[int, dict[int, int]] = {}
    for query, document, grade in sorted(canaries.judgements.tolist()):
        if grade > 0:
            grades.setdefault(query, {})[document] = grade
    return grades
