"""How two embedding spaces relate, seen on the vectors that two models give the same texts.

    a, b (n, d) of the same n texts ──┬── mean_cosine          one space: the vectors are the same
                                      └── linear_cka           one geometry: the same up to rotation and scale
    queries and documents of both ─────── neighbour_overlap    one ranking: a search finds the same documents

Only the first asks whether new vectors may be held against old ones. A rotated space has the geometry and the rankings
of the old one, so the other two are 1, and still no new query finds anything among old documents: for that, compare
old documents under new queries with new documents under new queries (`neighbour_overlap` again).

Sources: Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019, eq. 3 and section 3.
Cost: time O(n · d) for the cosine, O(n · d²) for CKA, O(q · n · (d + log n)) for the overlap; memory O(n · d + d²).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.types.model import Similarity

Floats = NDArray[np.float64]
Vectors = NDArray[np.floating]

NEIGHBOURS = 10
# Queries scored at a time: 40 MB of scores and order on 10,000 documents.
_QUERIES_AT_A_TIME = 256
# Scores, all within -1 to 1, are compared to this many decimals: two documents with one vector differ by up to 1e-15 in
# float64 with the place where BLAS has them, and that must not decide which of them comes first.
_DECIMALS = 9


@dataclass(frozen=True, slots=True, eq=False)
class SampledSpaces:
    """The same queries and documents under two models, in the same order.

    Attributes:
        baseline_queries, baseline_documents: float32 (q, d), (n, d): what a live index was built for.
        candidate_queries, candidate_documents: float32 (q, e), (n, e).
        baseline_similarity, candidate_similarity: How each model's vectors are compared.
    """

    baseline_queries: NDArray[np.float32]
    baseline_documents: NDArray[np.float32]
    candidate_queries: NDArray[np.float32]
    candidate_documents: NDArray[np.float32]
    baseline_similarity: Similarity = "cosine"
    candidate_similarity: Similarity = "cosine"


def mean_cosine(a: Vectors, b: Vectors) -> float:
    """Return the mean over rows of the cosine between row i of a and row i of b.

    A row of zeros has no direction: against another such row it counts as 1 (both models say the same of the text),
    against any other as 0.

    Args:
        a, b: Vectors of the same texts, (n, d) both, n >= 1.

    Raises:
        ValueError: the shapes differ, there are no rows, or a number is NaN or infinite.

    >>> float(round(mean_cosine(np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([[2.0, 0.0], [4.0, 3.0]])), 6))  # 1, 24/25
    0.98
    """
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"dimensions differ: {a.shape[1]} and {b.shape[1]}; a cosine needs vectors of one space")
    _check_matched(a, b)
    x, y = _unit_rows(a), _unit_rows(b)
    both_zero = ~x.any(axis=1) & ~y.any(axis=1)
    return float(np.where(both_zero, 1.0, np.einsum("ij,ij->i", x, y)).mean())


def linear_cka(a: Vectors, b: Vectors) -> float:
    """Return the linear centred kernel alignment ||YᵀX||² / (||XᵀX|| · ||YᵀY||) of two sets of vectors, 0 to 1.

    X and Y are a and b less the mean of each column; the norms are Frobenius'. 1 means the same up to rotation,
    reflection and scale. It is biased upwards with few rows: unrelated vectors of d dimensions reach about
    d / (n + d), so take several times as many rows as there are dimensions before you read much into a value.

    Args:
        a, b: Vectors of the same texts, (n, d) and (n, e), n >= 2.

    Returns:
        nan where all rows of one side are alike: there is no geometry to compare.

    Raises:
        ValueError: the numbers of rows differ, there are fewer than 2, or a number is NaN or infinite.

    >>> x = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 5.0]])
    >>> round(linear_cka(x, -3 * x[:, ::-1]), 12)  # mirrored, turned and scaled
    1.0
    """
    _check_matched(a, b, least=2)
    x, y = _centred(a), _centred(b)
    scale = float(np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    if not scale:
        return float("nan")
    # Rounding can lift it above 1 by the last bit.
    return min(1.0, float(np.linalg.norm(y.T @ x)) ** 2 / scale)


def neighbour_overlap(
    queries_a: Vectors,
    documents_a: Vectors,
    queries_b: Vectors,
    documents_b: Vectors,
    *,
    k: int = NEIGHBOURS,
    similarity_a: Similarity = "cosine",
    similarity_b: Similarity = "cosine",
) -> float:
    """Return the mean over queries of |top-k in a ∩ top-k in b| / k, each found by exact search in its own space.

    Of documents with the same score those with the lower number come first. With fewer than k documents all of them are
    found in both spaces and the overlap is 1, which says nothing; unrelated spaces reach about k / n.

    Args:
        queries_a, documents_a: (q, d) and (n, d).
        queries_b, documents_b: Vectors of the same texts in the same order, (q, e) and (n, e).

    Raises:
        ValueError: queries or documents aren't matched, there are none, a space's own two dimensions differ, k is below
            1, or a number is NaN or infinite.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    _check_matched(queries_a, queries_b)
    _check_matched(documents_a, documents_b)
    _check_one_space(queries_a, documents_a)
    _check_one_space(queries_b, documents_b)
    n_documents = len(documents_a)
    found_a = _nearest(queries_a, documents_a, min(k, n_documents), similarity_a)
    found_b = _nearest(queries_b, documents_b, min(k, n_documents), similarity_b)
    shared = sum(int(_shared(a, b, n_documents)) for a, b in zip(found_a, found_b, strict=True))
    return shared / (len(queries_a) * min(k, n_documents))


def _nearest(queries: Vectors, documents: Vectors, k: int, similarity: Similarity) -> Iterator[NDArray[np.intp]]:
    """Yield the numbers of the k best documents of each query, best first (queries, k), some queries at a time."""
    scaled = _unit_rows(documents) if similarity == "cosine" else _below_one(documents)
    for start in range(0, len(queries), _QUERIES_AT_A_TIME):
        # A query's own length never changes the order of its documents; unit length makes one rounding fit all.
        scores = _unit_rows(queries[start : start + _QUERIES_AT_A_TIME]) @ scaled.T
        yield np.argsort(-np.round(scores, _DECIMALS), axis=1, kind="stable")[:, :k]


def _shared(a: NDArray[np.intp], b: NDArray[np.intp], n_documents: int) -> np.intp:
    """Return how many entries the rows of a and b (q, k) have in common, summed over rows."""
    first = np.arange(len(a))[:, None] * n_documents  # no number occurs in two rows
    return np.intp(len(np.intersect1d(a + first, b + first, assume_unique=True)))


def _unit_rows(vectors: Vectors) -> Floats:
    """Return each row divided by its Euclidean norm; a row of zeros stays zero."""
    rows = _largest_one(vectors)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    np.divide(rows, norms, out=rows, where=norms > 0)
    return rows


def _largest_one(vectors: Vectors) -> Floats:
    """Return each row divided by its largest |x|, so that no square of what follows is 0 or infinite."""
    rows = vectors.astype(np.float64)
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    np.divide(rows, largest, out=rows, where=largest > 0)
    return rows


def _below_one(documents: Vectors) -> Floats:
    """Return all rows divided by the longest one's norm: the order of inner products stays."""
    rows = documents.astype(np.float64)
    longest = float(np.linalg.norm(rows, axis=1).max())
    return rows / longest if longest else rows


def _centred(vectors: Vectors) -> Floats:
    rows = vectors.astype(np.float64)
    # Equal rows have a mean that rounding moves by a last bit; less the first row first, they are 0 exactly.
    rows -= rows[0]
    rows -= rows.mean(axis=0)
    largest = float(np.abs(rows).max(initial=0.0))
    return rows / largest if largest else rows


def _check_matched(a: Vectors, b: Vectors, *, least: int = 1) -> None:
    if len(a) != len(b):
        raise ValueError(f"vectors of different texts: {len(a)} rows and {len(b)}")
    if len(a) < least:
        raise ValueError(f"at least {least} rows are needed, got {len(a)}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a vector holds NaN or infinity")


def _check_one_space(queries: Vectors, documents: Vectors) -> None:
    if queries.shape[1] != documents.shape[1]:
        raise ValueError(f"queries have {queries.shape[1]} dimensions and their documents {documents.shape[1]}")
