"""The canaries of a baseline: texts, their vectors, and what each of them finds, frozen.

    texts, vectors (m, d) ── choose_canaries ── make_canaries (clusters, judgements) ──> Canaries
                                                         to_arrays ── stored ── from_arrays

Where queries and documents are told apart, queries search among documents only; otherwise every canary searches among
all others.

Cost: O(q · m · d) time for the rankings; 2,000 canaries of 768 dimensions are 6 MB and about a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.ranking import Places, Vectors, best_hits, check_finite
from benchkit.types.model import Similarity

NEIGHBOURS = 10

_SIMILARITIES: tuple[Similarity, ...] = get_args(Similarity)
_ROLES: tuple[str | None, ...] = (None, "query", "document")
_ARRAYS = ("vectors", "clusters", "neighbours", "similarity", "is_query", "judgements")


@dataclass(frozen=True, slots=True, eq=False)
class Canaries:
    """Texts with what the baseline's model made of them; everything but the texts is numbers.

    Attributes:
        texts: m texts, as the model is given them.
        vectors: float32 (m, d), as production wrote them.
        clusters: Cluster of each text in the baseline (m,), which stands in for its label.
        neighbours: Numbers of the texts that each query finds, best first (q, k).
        similarity: How vectors are compared.
        is_query: Which texts are queries (m,), all others being documents; None where every text is both.
        judgements: Rows of (query, document, grade), by numbers of texts, int64 (j, 3); none where nobody judged.
        roles: Role that each text is embedded in ("query", "document" or None), for a model with a prompt for each;
            None where no text has one. Texts may have roles and still all search among all.
    """

    texts: tuple[str, ...]
    vectors: NDArray[np.float32]
    clusters: Places
    neighbours: Places
    similarity: Similarity
    is_query: NDArray[np.bool_] | None
    judgements: Places
    roles: tuple[str | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def queries(self) -> Places:
        """Numbers of the texts that search (q,)."""
        return np.arange(len(self)) if self.is_query is None else np.flatnonzero(self.is_query)

    @property
    def documents(self) -> Places:
        """Numbers of the texts that are found (n,)."""
        return np.arange(len(self)) if self.is_query is None else np.flatnonzero(~self.is_query)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return all but the texts, which travel beside, if at all: they may be private."""
        return {
            "vectors": self.vectors,
            "clusters": self.clusters,
            "neighbours": self.neighbours,
            "similarity": np.array([_SIMILARITIES.index(self.similarity)], dtype=np.int64),
            "is_query": np.zeros(0, dtype=np.bool_) if self.is_query is None else self.is_query,
            "judgements": self.judgements,
            "roles": np.array([_ROLES.index(role) for role in self.roles or ()], dtype=np.int8),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], texts: Sequence[str]) -> Canaries:
        """Return what `to_arrays` was given.

        Raises:
            ValueError: an array is missing, or they aren't of one set of canaries.
        """
        if missing := [name for name in _ARRAYS if name not in arrays]:
            raise ValueError(f"canaries lack {', '.join(missing)}")
        code = int(np.asarray(arrays["similarity"], dtype=np.int64).sum())
        if not 0 <= code < len(_SIMILARITIES):
            raise ValueError(f"canaries are compared in an unknown way: {code}")
        is_query = np.asarray(arrays["is_query"], dtype=np.bool_)
        # An older benchkit stored no roles beside the queries.
        codes = np.asarray(arrays["roles"] if "roles" in arrays else np.where(is_query, 1, 2), dtype=np.int64)
        if codes.size and not (codes.min() >= 0 and codes.max() < len(_ROLES)):
            raise ValueError("a canary has an unknown role")
        found = cls(
            texts=tuple(texts),
            vectors=np.asarray(arrays["vectors"], dtype=np.float32),
            clusters=np.asarray(arrays["clusters"], dtype=np.int64),
            neighbours=np.asarray(arrays["neighbours"], dtype=np.int64),
            similarity=_SIMILARITIES[code],
            is_query=is_query if len(is_query) else None,
            judgements=np.asarray(arrays["judgements"], dtype=np.int64).reshape(-1, 3),
            roles=tuple(_ROLES[code] for code in codes) if len(codes) else None,
        )
        _check_stored(found)
        return found


def _check_stored(canaries: Canaries) -> None:
    lengths = {"vectors": len(canaries.vectors), "clusters": len(canaries.clusters)}
    if canaries.is_query is not None:
        lengths["marks of queries"] = len(canaries.is_query)
    if canaries.roles is not None:
        lengths["roles"] = len(canaries.roles)
    for name, length in lengths.items():
        if length != len(canaries):
            raise ValueError(f"{len(canaries)} canary texts, but {length} {name}")
    if len(canaries.neighbours) not in (0, len(canaries.queries)):
        raise ValueError(f"{len(canaries.queries)} canaries search, but {len(canaries.neighbours)} rankings are stored")
    for name, numbers in (("rankings", canaries.neighbours), ("judgements", canaries.judgements[:, :2])):
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < len(canaries)):
            raise ValueError(f"{name} name a canary that isn't there; there are {len(canaries)}")


# ------------------------------------------------------------ making


def make_canaries(
    texts: Sequence[str],
    vectors: Vectors,
    *,
    clusters: NDArray[np.integer],
    similarity: Similarity = "cosine",
    queries: Sequence[int] | None = None,
    qrels: Mapping[int, Mapping[int, int]] | None = None,
    roles: Sequence[str | None] | None = None,
) -> Canaries:
    """Freeze the rankings of the baseline.

    Args:
        texts, vectors: m texts and their vectors (m, d).
        clusters: Cluster of each text (m,): any labels that its like share, k-means numbers as a rule.
        queries: Numbers of the texts that are queries, the others being documents; None where every text is both.
        qrels: For queries, by number, the grades of documents, by number; 0 and less is not relevant.
        roles: Role that each text was embedded in; None takes it from `queries`.

    Raises:
        ValueError: numbers of texts, vectors, clusters and roles differ; a vector holds NaN or infinity; no text is a
            query or none a document; a judgement is not of a query and a document; a role is unknown.
    """
    if not (len(texts) == len(vectors) == len(clusters)):
        raise ValueError(f"{len(texts)} canary texts, {len(vectors)} vectors and {len(clusters)} clusters")
    if not len(texts):
        raise ValueError("no canary texts")
    if unknown := [role for role in roles or () if role not in _ROLES]:
        raise ValueError(f"a canary's role is 'query', 'document' or none, got {unknown[0]!r}")
    check_finite(vectors)
    is_query = _query_mask(len(texts), queries)
    if roles is None and is_query is not None:
        roles = ["query" if one else "document" for one in is_query]
    unranked = Canaries(
        texts=tuple(texts),
        vectors=np.ascontiguousarray(vectors, dtype=np.float32),
        clusters=np.asarray(clusters, dtype=np.int64),
        neighbours=np.zeros((0, 0), dtype=np.int64),
        similarity=similarity,
        is_query=is_query,
        judgements=_judgements(qrels or {}),
        roles=tuple(roles) if roles is not None and any(roles) else None,
    )
    _check_judgements(unranked)
    arrays = unranked.to_arrays()
    if len(unranked.documents) > (queries is None):  # a text alone finds nothing
        arrays["neighbours"] = search(unranked, unranked.vectors, unranked.vectors, k=NEIGHBOURS)
    return Canaries.from_arrays(arrays, texts)


def _query_mask(n_texts: int, queries: Sequence[int] | None) -> NDArray[np.bool_] | None:
    if queries is None:
        return None
    mask = np.zeros(n_texts, dtype=np.bool_)
    outside = [number for number in queries if not 0 <= number < n_texts]
    if outside:
        raise ValueError(f"query {outside[0]} is none of the {n_texts} canary texts")
    mask[np.asarray(queries, dtype=np.int64)] = True
    if mask.all() or not mask.any():
        raise ValueError(
            f"{int(mask.sum())} of {n_texts} canary texts are queries: a search needs queries and documents"
        )
    return mask


def _judgements(qrels: Mapping[int, Mapping[int, int]]) -> Places:
    rows = [(query, document, grade) for query, grades in qrels.items() for document, grade in grades.items()]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def _check_judgements(canaries: Canaries) -> None:
    queries, documents = set(canaries.queries.tolist()), set(canaries.documents.tolist())
    for query, document, _ in canaries.judgements.tolist():
        if query not in queries or document not in documents or query == document:
            raise ValueError(f"the judgement of text {document} for text {query} is not of a document for a query")


def choose_canaries(vectors: Vectors, clusters: NDArray[np.integer], n: int, *, seed: int = 0) -> Places:
    """Choose at most n rows that stand for all: from each cluster its share, at random, no vector twice.

    Shares are rounded by largest remainders, so that they add up to n; the choice follows from the seed alone.

    Args:
        vectors, clusters: (m, d) and (m,).

    Returns:
        Row numbers, in order; fewer than n where there aren't as many different vectors.

    Raises:
        ValueError: numbers of vectors and clusters differ, or n is below 1.

    >>> choose_canaries(np.arange(8.0)[:, None], np.array([0, 0, 0, 0, 0, 0, 1, 1]), 4).tolist()  # three of 0, one of 1
    [2, 3, 5, 7]
    """
    if len(vectors) != len(clusters):
        raise ValueError(f"{len(vectors)} vectors and {len(clusters)} clusters")
    if n < 1:
        raise ValueError(f"at least one canary is needed, got {n}")
    distinct = np.sort(np.unique(vectors, axis=0, return_index=True)[1])
    labels, of_row, sizes = np.unique(clusters[distinct], return_inverse=True, return_counts=True)
    rng = np.random.default_rng(seed)
    quotas = _by_largest_remainder(sizes, min(n, len(distinct)))
    chosen = [rng.permutation(distinct[of_row == place])[: quotas[place]] for place in range(len(labels))]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _by_largest_remainder(sizes: Places, n: int) -> Places:
    exact = n * sizes / sizes.sum()
    quotas = np.floor(exact + 1e-9).astype(np.int64)  # rounding: 3.0000 as 2.9999 is three
    order = np.argsort(quotas - exact, kind="stable")  # the largest remainder first
    quotas[order[: n - quotas.sum()]] += 1
    return np.asarray(quotas, dtype=np.int64)


def search(canaries: Canaries, queries: Vectors, documents: Vectors, *, k: int) -> Places:
    """Return the numbers of the texts that the queries find, best first (q, k), with whatever vectors (m, e)."""
    pool = canaries.documents
    own = canaries.queries if canaries.is_query is None else None
    found = best_hits(queries[canaries.queries], documents[pool], k=k, similarity=canaries.similarity, own=own)
    return pool[found.places]
