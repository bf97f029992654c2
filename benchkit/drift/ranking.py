"""Exact search among few vectors: which documents a query finds, and how well the rankings of two searches agree.

    queries (q, d), documents (n, d) ── best_hits ──> Hits: numbers (q, k), scores (q, k)
                                            two of them ── shared_share ──> overlap@k, 0 to 1

`measure.space.neighbour_overlap` compares two searches once; here a ranking is kept with a baseline and held against
later ones, a text is not its own neighbour, and the scores are wanted as well. Both break ties alike.

Cost: O(q · n · (d + log n)) time, 256 queries at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.types.model import Similarity

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Vectors = NDArray[np.floating]

_QUERIES_AT_A_TIME = 256
# Two documents with one vector differ by up to 1e-15 in float64 with the place where BLAS has them, and that must not
# decide which of them comes first.
_DECIMALS = 9


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What a search finds, best first; of documents with the same score the one with the lower number.

    Attributes:
        places: Numbers of the documents (q, k).
        scores: Their similarities (q, k), to nine digits.
    """

    places: Places
    scores: Floats


def best_hits(
    queries: Vectors, documents: Vectors, *, k: int, similarity: Similarity = "cosine", own: Places | None = None
) -> Hits:
    """Find the k best documents of each query, or all of them where there are fewer.

    Args:
        queries, documents: (q, d) and (n, d); a row of zeros has similarity 0 to everything.
        own: For each query the number of the document that is the query itself, which it may not find (q,), or -1.

    Raises:
        ValueError: the dimensions differ, k is below 1, nothing is left to be found, or a number is NaN or infinite.

    >>> found = best_hits(np.array([[1.0, 0.0]]), np.array([[0.0, 2.0], [3.0, 4.0], [5.0, 0.0]]), k=2)
    >>> found.places.tolist(), found.scores.tolist()
    ([[2, 1]], [[1.0, 0.6]])
    """
    depth = _checked_depth(queries, documents, k, own)
    places = np.empty((len(queries), depth), dtype=np.int64)
    scores = np.empty((len(queries), depth), dtype=np.float64)
    longest = 1.0 if similarity == "cosine" else _longest(documents)
    rows = unit_rows(documents) if similarity == "cosine" else documents.astype(np.float64) / longest
    for start in range(0, len(queries), _QUERIES_AT_A_TIME):
        part = slice(start, start + _QUERIES_AT_A_TIME)
        # Between -1 and 1, so that one rounding fits all; a query's own length never changes the order.
        found = np.round(unit_rows(queries[part]) @ rows.T, _DECIMALS)
        if own is not None:
            known = np.flatnonzero(own[part] >= 0)
            found[known, own[part][known]] = -np.inf
        places[part] = np.argsort(-found, axis=1, kind="stable")[:, :depth]
        scores[part] = np.take_along_axis(found, places[part], axis=1)
    if similarity == "dot":
        scores *= longest * np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
    return Hits(places, scores)


def _longest(documents: Vectors) -> float:
    return float(np.linalg.norm(documents.astype(np.float64), axis=1).max()) or 1.0


def _checked_depth(queries: Vectors, documents: Vectors, k: int, own: Places | None) -> int:
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if queries.shape[1] != documents.shape[1]:
        raise ValueError(f"queries have {queries.shape[1]} dimensions and their documents {documents.shape[1]}")
    check_finite(queries)
    check_finite(documents)
    n_others = len(documents) - (own is not None and bool((own >= 0).any()))
    if n_others < 1:
        raise ValueError(f"nothing to find among {len(documents)} documents")
    return min(k, n_others)


def check_finite(vectors: Vectors) -> None:
    """Raise ValueError when a number is NaN or infinite; the message says in how many vectors."""
    broken = ~np.isfinite(vectors).all(axis=1)
    if broken.any():
        raise ValueError(f"{np.count_nonzero(broken)} of {len(vectors)} vectors hold NaN or infinity")


def unit_rows(vectors: Vectors) -> Floats:
    """Return each row divided by its Euclidean norm, float64; a row of zeros stays zero."""
    rows = vectors.astype(np.float64)
    # Divided by the largest number first: no square of what follows is 0 or infinite.
    _divide(rows, np.abs(rows).max(axis=1, keepdims=True, initial=0.0))
    _divide(rows, np.linalg.norm(rows, axis=1, keepdims=True))
    return rows


def row_cosines(a: Vectors, b: Vectors) -> Floats:
    """Return the cosine of row i of a and row i of b (n,); 1 for two rows of zeros, 0 for one.

    >>> row_cosines(np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([[2.0, 0.0], [4.0, 3.0]])).round(6).tolist()
    [1.0, 0.96]
    """
    x, y = unit_rows(a), unit_rows(b)
    both_zero = ~x.any(axis=1) & ~y.any(axis=1)
    return np.where(both_zero, 1.0, np.clip(np.einsum("ij,ij->i", x, y), -1.0, 1.0))


def _divide(rows: Floats, sizes: Floats) -> None:
    np.divide(rows, sizes, out=rows, where=sizes > 0)


def shared_share(a: Places, b: Places) -> float:
    """Return the mean over rows of |row of a ∩ row of b| / k; both (q, k), no number twice in a row.

    >>> shared_share(np.array([[1, 2], [3, 4]]), np.array([[2, 9], [4, 3]]))  # 1/2 and 2/2
    0.75
    """
    return int(shared_counts(a, b).sum()) / a.size


def shared_counts(a: Places, b: Places) -> Places:
    """Return |row of a ∩ row of b| for each row (q,); both (q, k), no number twice in a row.

    >>> shared_counts(np.array([[1, 2], [3, 4]]), np.array([[2, 9], [4, 3]])).tolist()
    [1, 2]
    """
    if a.shape != b.shape:
        raise ValueError(f"rankings of different shape: {a.shape} and {b.shape}")
    counts: Places = (a[:, :, None] == b[:, None, :]).sum(axis=(1, 2))
    return counts
