"""Two searches held against each other where documents are as near as each other.

    vectors, what was found (q, k) ── Found ─┐
    other vectors, what was found then ──────┴── shared_or_tied ──> how many of k are still found, for each query (q,)

Texts that differ by their case alone have vectors that differ by 1e-7 with some models. Another batch, device or
library sorts such documents anew, and then one of them is as good as another: an exchange counts as found where neither
search had a reason to prefer what went to what came. Where only one of them ties, as in a model that says the same of
all texts, nothing is excused.

Cost: O(q · k · d).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.ranking import Floats, Places, Vectors, shared_counts, unit_rows
from benchkit.types.model import Similarity

# Cosines of float32 vectors that are equal but for their rounding differ by less.
TIED = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a search found, and how near any documents are: cosines, or dot products in shares of the largest possible.

    Attributes:
        places: Numbers of the documents, best first (q, k).
        queries, documents: (q, d) and (n, d), of length 1 or, of documents for dot products, at most 1.
    """

    places: Places
    queries: Floats
    documents: Floats

    @classmethod
    def of(cls, places: Places, queries: Vectors, documents: Vectors, similarity: Similarity) -> Found:
        rows = unit_rows(documents)
        if similarity == "dot":
            lengths = np.linalg.norm(documents.astype(np.float64), axis=1, keepdims=True)
            rows *= lengths / (lengths.max() or 1.0)
        return cls(places, unit_rows(queries), rows)

    def as_near(self, places: Places, rank: int) -> NDArray[np.bool_]:
        """Whether these documents (q, j) are as near as the one found at a rank (-1 is the last)."""
        limit = self._scores(self.places[:, rank][:, None])
        return np.asarray(self._scores(places) >= limit - TIED)

    def _scores(self, places: Places) -> Floats:
        each = [np.einsum("qd,qd->q", self.queries, self.documents[column]) for column in places.T]
        return np.stack(each, axis=1)


def shared_or_tied(one: Found, other: Found) -> Places:
    """Return how many of the k documents that one search found the other found too, or others as near in both (q,).

    >>> rows = np.array([[1.0, 0.0], [1.0, 1e-8], [0.0, 1.0]])
    >>> first, second = (Found.of(np.array([[place]]), rows[:1], rows, "cosine") for place in (0, 1))
    >>> shared_or_tied(first, second).tolist()
    [1]
    """
    shared = shared_counts(one.places, other.places)
    same = one.places[:, :, None] == other.places[:, None, :]
    lost = ~same.any(axis=2) & other.as_near(one.places, -1)
    gained = ~same.any(axis=1) & one.as_near(other.places, -1)
    excused: Places = np.minimum(lost.sum(axis=1), gained.sum(axis=1))
    return shared + excused


def same_first(one: Found, other: Found) -> NDArray[np.bool_]:
    """Return for which queries the first documents are the same, or as near as each other in both searches (q,)."""
    tied = one.as_near(other.places[:, :1], 0) & other.as_near(one.places[:, :1], 0)
    return np.asarray((one.places[:, 0] == other.places[:, 0]) | tied[:, 0])
