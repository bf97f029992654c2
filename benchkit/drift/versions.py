"""Two versions of a model on the same texts: keep the index, adapt the queries, or embed everything again?

    old (n, d), new (n, e) of the same texts ─┬─ cosine, CKA ───────────────── one space? one geometry?
                                              ├─ two halves of the texts, one to fit on, the other as the index, and
                                              │  the other way round:
                                              │    new queries on old vectors ─────────────── cross-space recall@10
                                              │    new queries on old and new ones mixed ──── mixed recall@10
                                              │    rotation · linear map, new to old ──────── what each recovers
                                              └─ VersionReport: "drop-in", "adapt" or "re-embed", and why

Recall@10 is always against a full re-embed: the share of the ten nearest documents, new queries among new documents,
that another search finds too, or as near ones (drift/ties.py). CKA does not see a rotation, which makes an old index
useless, so it decides nothing.

An adapter is a matrix that takes the vector of a new query into the old space, so that the old index serves on. It is
fitted on one half of the texts and measured on the other only: on its own texts a rotation of 384 dimensions fits 300
unrelated pairs nearly perfectly. For other dimensions the shorter vectors are filled up with zeros.

Sources: Caspari et al., 2024 (arXiv 2407.08275): models of like CKA share few of the nearest ten, so both are told;
"Drift-Adapter", EMNLP 2025 (arXiv 2509.23471): a Procrustes, low-rank or small network adapter recovers 95-99 % of a
full re-embed, if the two models are alike; Schönemann, "A Generalized Solution of the Orthogonal Procrustes Problem",
Psychometrika 31 (1966); Golub, Heath and Wahba, "Generalized Cross-Validation as a Method for Choosing a Good Ridge
Parameter", Technometrics 21 (1979).
Cost: O(n · d² + d³ + q · n · d) with at most 1,000 queries a half; 4,000 texts of 384 dimensions take some seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchkit.drift.ranking import (
    Floats,
    Places,
    Vectors,
    best_hits,
    check_finite,
    row_cosines,
    unit_rows,
)
from benchkit.drift.ties import Found, shared_or_tied
from benchkit.measure.space import linear_cka
from benchkit.types.model import Similarity

VersionAdvice = Literal["drop-in", "adapt", "re-embed"]

NEIGHBOURS = 10
# Each half is an index of 30, of which unrelated searches share a third already.
FEWEST_TEXTS = 60
MOST_QUERIES = 1_000  # of each half: the recall's standard error is below 0.01 then
# As benchkit.gate.space, where they are measured: MiniLM with 1 % of noise on its weights has 0.9995 and 0.977.
DROP_IN_COSINE = 0.999
DROP_IN_RECALL = 0.95
# Where a drift policy starts to warn of canaries (DriftPolicy.warn_overlap).
ADAPT_RECALL = 0.90
# Ridge penalties, in shares of the mean eigenvalue of the vectors' second moments.
_PENALTIES = tuple(10.0**power for power in range(-6, 2))


@dataclass(frozen=True, slots=True)
class VersionReport:
    """How two versions relate.

    Attributes:
        n_texts, n_queries: Texts in the index, and queries; 0 queries where texts search among each other.
        n_fitted: Texts that each adapter was fitted on.
        old_dimension, new_dimension: d and e.
        same_space: Whether new vectors may stand beside old ones: the verdict of "drop-in".
        mean_cosine, worst_cosine: Of a text's two vectors; None where the dimensions differ.
        cka: Linear CKA; None where all texts have one vector.
        overlap_at_10: Share of the ten nearest that both versions find, each in its own space: about what an adapter
            can reach.
        procrustes_residual: Share of the squared length of old vectors (about their mean) that a rotation and scaling
            of the new ones leaves over, on texts that it wasn't fitted on; about 1 or more is nothing explained.
        cross_recall_at_10: Of new queries on old vectors as they are; None where the dimensions differ.
        mixed_recall_at_10: Of new queries on an index whose vectors are new ones by half, as it gets when new documents
            are added; dot products also ask for like lengths. None where the dimensions differ.
        rotation_recall_at_10, linear_recall_at_10: Of new queries through an adapter.
        reason: A sentence with the figures and what they are held against.
    """

    n_texts: int
    n_queries: int
    n_fitted: int
    old_dimension: int
    new_dimension: int
    same_space: bool
    mean_cosine: float | None
    worst_cosine: float | None
    cka: float | None
    overlap_at_10: float
    procrustes_residual: float
    cross_recall_at_10: float | None
    mixed_recall_at_10: float | None
    rotation_recall_at_10: float
    linear_recall_at_10: float
    advice: VersionAdvice
    reason: str


def compare_versions(
    old: Vectors,
    new: Vectors,
    *,
    old_queries: Vectors | None = None,
    new_queries: Vectors | None = None,
    similarity: Similarity = "cosine",
    seed: int = 0,
) -> VersionReport:
    """Compare two versions on n texts, and say what to do with an index of the old one.

    Args:
        old, new: Vectors of the same texts (n, d) and (n, e), n >= 60; a few times as many as there are dimensions give
            adapters a fair chance.
        old_queries, new_queries: Of the same queries (q, d) and (q, e), which are none of the texts; None where each
            text searches among the others.
        similarity: How vectors are compared.
        seed: Of the halves and of the queries, if there are more than 1,000 for a half.

    Raises:
        ValueError: the texts or queries aren't matched, only one side has queries, there are fewer than 60 texts, all
            vectors of a version are zeros, or a number is NaN or infinite.
    """
    spaces = _Spaces(old, new, old_queries, new_queries, similarity)
    _check(spaces)
    rng = np.random.default_rng(seed)
    halves = np.array_split(rng.permutation(len(old)), 2)
    folds = [_fold(spaces, fitted, index, rng) for fitted, index in (halves, halves[::-1])]
    same_dimension = old.shape[1] == new.shape[1]
    cosines = row_cosines(old, new) if same_dimension else None
    cka = linear_cka(old, new)
    means = _Recalls(*np.mean([fold.recalls for fold in folds], axis=0).tolist())
    mean_cosine = None if cosines is None else float(cosines.mean())
    fitted_well = len(halves[-1]) >= min(old.shape[1], new.shape[1])
    advice, reason = _advise(mean_cosine, means, few=0 if fitted_well else len(halves[-1]))
    return VersionReport(
        n_texts=len(old),
        n_queries=0 if old_queries is None else len(old_queries),
        n_fitted=len(halves[-1]),
        old_dimension=old.shape[1],
        new_dimension=new.shape[1],
        same_space=advice == "drop-in",
        mean_cosine=mean_cosine,
        worst_cosine=None if cosines is None else float(cosines.min()),
        cka=None if math.isnan(cka) else cka,
        overlap_at_10=means.own,
        procrustes_residual=float(np.mean([fold.residual for fold in folds])),
        cross_recall_at_10=None if math.isnan(means.cross) else means.cross,
        mixed_recall_at_10=None if math.isnan(means.mixed) else means.mixed,
        rotation_recall_at_10=means.rotation,
        linear_recall_at_10=means.linear,
        advice=advice,
        reason=reason,
    )


# ------------------------------------------------------------ one half fitted, the other searched


@dataclass(frozen=True, slots=True, eq=False)
class _Spaces:
    old: Vectors
    new: Vectors
    old_queries: Vectors | None
    new_queries: Vectors | None
    similarity: Similarity


@dataclass(frozen=True, slots=True)
class _Recalls:
    """Of each search, against a full re-embed; nan where it can't be made."""

    own: float
    cross: float
    mixed: float
    rotation: float
    linear: float


@dataclass(frozen=True, slots=True)
class _Fold:
    recalls: tuple[float, float, float, float, float]
    residual: float


def _check(spaces: _Spaces) -> None:
    if len(spaces.old) != len(spaces.new):
        raise ValueError(f"vectors of different texts: {len(spaces.old)} of the old version, {len(spaces.new)} new")
    if len(spaces.old) < FEWEST_TEXTS:
        raise ValueError(f"versions are compared on {FEWEST_TEXTS} texts or more, got {len(spaces.old)}")
    check_finite(spaces.old)
    check_finite(spaces.new)
    for name, vectors in (("old", spaces.old), ("new", spaces.new)):
        if not vectors.any():
            raise ValueError(f"all vectors of the {name} version are zeros: there is no direction to search by")
    if (spaces.old_queries is None) != (spaces.new_queries is None):
        raise ValueError("queries are needed of both versions, or of neither")
    if spaces.old_queries is None or spaces.new_queries is None:
        return
    if not 0 < len(spaces.old_queries) == len(spaces.new_queries):
        n_old, n_new = len(spaces.old_queries), len(spaces.new_queries)
        raise ValueError(f"vectors of different queries: {n_old} of the old version, {n_new} new")


def _fold(spaces: _Spaces, fitted: Places, index: Places, rng: np.random.Generator) -> _Fold:
    old, new = spaces.old[index], spaces.new[index]
    rows, own = None, None
    if spaces.old_queries is None or spaces.new_queries is None:
        rows = own = _some(len(index), rng)
        old_queries, new_queries = old[rows], new[rows]
    else:
        rows = _some(len(spaces.old_queries), rng)
        old_queries, new_queries = spaces.old_queries[rows], spaces.new_queries[rows]
    again = _found(new_queries, new, own, spaces.similarity)

    def recall(queries: Vectors, documents: Vectors = old) -> float:
        return float(
            shared_or_tied(again, _found(queries, documents, own, spaces.similarity)).sum() / again.places.size
        )

    x, y = (_compared(vectors[fitted], spaces.similarity) for vectors in (spaces.new, spaces.old))
    asked = _compared(new_queries, spaces.similarity)
    cross = mixed = math.nan
    if old.shape[1] == new.shape[1]:
        # The half is shuffled, so that every other text is any text.
        every_other = np.arange(len(index))[:, None] % 2 == 1
        cross, mixed = recall(new_queries), recall(new_queries, np.where(every_other, new, old))
    rotated, mapped = recall(asked @ fit_rotation(x, y)), recall(asked @ fit_linear(x, y))
    return _Fold(
        recalls=(recall(old_queries), cross, mixed, rotated, mapped),
        residual=_residual(x, y, *(_compared(vectors, spaces.similarity) for vectors in (new, old))),
    )


def _some(n: int, rng: np.random.Generator) -> Places:
    return np.sort(rng.permutation(n)[:MOST_QUERIES])


def _found(queries: Vectors, documents: Vectors, own: Places | None, similarity: Similarity) -> Found:
    hits = best_hits(queries, documents, k=NEIGHBOURS, similarity=similarity, own=own)
    return Found.of(hits.places, queries, documents, similarity)


def _compared(vectors: Vectors, similarity: Similarity) -> Floats:
    # A cosine knows directions only, so an adapter shouldn't spend itself on lengths.
    return unit_rows(vectors) if similarity == "cosine" else vectors.astype(np.float64)


# ------------------------------------------------------------ adapters


def fit_rotation(new: Floats, old: Floats) -> Floats:
    """Return the matrix (e, d) that brings new vectors nearest to old ones by a rotation or reflection.

    R = U Vᵀ of the singular value decomposition of newᵀ old; for e != d after filling up with zeros, and only the part
    of R that meets the vectors.

    Args:
        new, old: Vectors of the same texts (n, e) and (n, d).
    """
    dimension = max(new.shape[1], old.shape[1])
    left, _, right = np.linalg.svd(_filled(new, dimension).T @ _filled(old, dimension))
    rotation: Floats = (left @ right)[: new.shape[1], : old.shape[1]]
    return rotation


def fit_linear(new: Floats, old: Floats) -> Floats:
    """Return the matrix (e, d) of the ridge regression of old vectors on new ones.

    The penalty is the one of the smallest generalized cross-validation score, n · RSS / (n - trace of the hat)².

    Args:
        new, old: Vectors of the same texts (n, e) and (n, d).
    """
    values, axes = np.linalg.eigh(new.T @ new)
    values = np.maximum(values, 0.0)  # rounding leaves -1e-17
    along = axes.T @ (new.T @ old)
    energy, total = np.sum(along**2, axis=1), float(np.sum(old**2))
    mean = float(values.mean()) or 1.0

    def score(penalty: float) -> float:
        kept = 1 / (values + penalty * mean)
        rss = total - 2 * float(energy @ kept) + float(energy @ (values * kept**2))
        freedom = len(new) - float(values @ kept)
        return max(rss, 0.0) / freedom**2

    best = min(_PENALTIES, key=score)
    matrix: Floats = axes @ (along / (values + best * mean)[:, None])
    return matrix


def _residual(new: Floats, old: Floats, held_new: Floats, held_old: Floats) -> float:
    """Fit rotation and scale on new and old about their means; return what is left over of held_old, as a share."""
    x, y = new - new.mean(axis=0), old - old.mean(axis=0)
    rotation = fit_rotation(x, y)
    length = float(np.sum(x**2))
    scale = float(np.sum((x @ rotation) * y)) / length if length else 0.0
    target = held_old - old.mean(axis=0)
    left = target - scale * (held_new - new.mean(axis=0)) @ rotation
    total = float(np.sum(target**2))
    return float(np.sum(left**2)) / total if total else 0.0


def _filled(vectors: Floats, dimension: int) -> Floats:
    return np.pad(vectors, ((0, 0), (0, dimension - vectors.shape[1])))


# ------------------------------------------------------------ advice


def _advise(mean_cosine: float | None, recalls: _Recalls, *, few: int) -> tuple[VersionAdvice, str]:
    best, adapter = max((recalls.rotation, "a rotation"), (recalls.linear, "a linear map"))
    adapted = f"through {adapter} of the queries {_percent(best)}"
    if mean_cosine is None:
        space = "the dimensions differ, so the old index can't be searched as it is"
    else:
        space = (
            f"mean cosine {math.floor(mean_cosine * 1e5) / 1e5:.5f} (one space from {DROP_IN_COSINE}), and new queries "
            f"find on the old vectors {_percent(recalls.cross)} of what they find after re-embedding"
        )
        if mean_cosine >= DROP_IN_COSINE and recalls.cross >= DROP_IN_RECALL:
            if recalls.mixed >= DROP_IN_RECALL:
                return "drop-in", f"drop-in: {space} (enough from {_percent(DROP_IN_RECALL)})"
            limit = f"too little below {_percent(DROP_IN_RECALL)}"
            space += (
                f", but {_percent(recalls.mixed)} where every other vector is a new one ({limit}: do lengths differ?)"
            )
    if best >= ADAPT_RECALL:
        return "adapt", f"adapt: {space}; {adapted} (enough from {_percent(ADAPT_RECALL)})"
    more = f"; {few} texts are few to fit an adapter on, and more of them may recover more" if few else ""
    return "re-embed", f"re-embed everything: {space}; {adapted} (too little below {_percent(ADAPT_RECALL)}){more}"


def _percent(share: float) -> str:
    # Cut, not rounded: what is below a threshold must not read as the threshold.
    return f"{math.floor(share * 1000 + 1e-9) / 10:.1f} %"
