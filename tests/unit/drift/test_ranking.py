"""Exact search among few vectors, by hand and against the obvious loop."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.ranking import best_hits, row_cosines, shared_share, unit_rows
from benchkit.measure.space import neighbour_overlap


def _loop(queries, documents, k, similarity, own):
    rankings = []
    for number, query in enumerate(queries):
        scores = []
        for place, document in enumerate(documents):
            if own is not None and own[number] == place:
                continue
            score = float(query @ document)
            if similarity == "cosine":
                score /= float(np.linalg.norm(query) * np.linalg.norm(document))
            scores.append((-score, place))
        rankings.append([(place, -score) for score, place in sorted(scores)[:k]])
    return rankings


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("itself", [False, True])
def test_hits_and_scores_are_those_of_the_obvious_loop(similarity, itself):
    rng = np.random.default_rng(1)
    documents = 30 * rng.standard_normal((40, 6)) * rng.uniform(0.1, 3, (40, 1))
    queries = documents if itself else rng.standard_normal((300, 6))  # more than are scored at a time
    own = np.arange(40) if itself else None
    found = best_hits(queries, documents, k=7, similarity=similarity, own=own)
    expected = _loop(queries, documents, 7, similarity, own)
    assert found.places.tolist() == [[place for place, _ in row] for row in expected]
    np.testing.assert_allclose(found.scores, [[score for _, score in row] for row in expected], rtol=1e-6, atol=1e-6)


def test_a_text_does_not_find_itself_but_its_duplicate_and_the_lower_number_comes_first():
    same = np.array([[1.0, 2.0]] * 4)
    found = best_hits(same, same, k=2, own=np.array([0, 1, 2, -1]))
    assert found.places.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]


def test_fewer_documents_than_k_are_all_found():
    assert best_hits(np.eye(2), np.eye(2), k=10).places.shape == (2, 2)
    assert best_hits(np.eye(2), np.eye(2), k=10, own=np.arange(2)).places.shape == (2, 1)


def test_tiny_and_huge_vectors_keep_their_direction():
    rows = np.array([[3e-200, 4e-200], [3e200, 4e200], [0.0, 0.0]])
    np.testing.assert_allclose(unit_rows(rows), [[0.6, 0.8], [0.6, 0.8], [0, 0]])
    assert row_cosines(rows, rows[[1, 0, 2]]).tolist() == pytest.approx([1, 1, 1])
    assert row_cosines(rows, rows[[2, 2, 0]]).tolist() == [0, 0, 0]


def test_two_rankings_share_what_neighbour_overlap_says():
    rng = np.random.default_rng(2)
    documents, queries = rng.standard_normal((50, 8)), rng.standard_normal((20, 8))
    moved = documents + 0.3 * rng.standard_normal((50, 8))
    a, b = (best_hits(queries, one, k=10).places for one in (documents, moved))
    expected = neighbour_overlap(queries, documents, queries, moved)
    assert 0 < expected < 1
    assert shared_share(a, b) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("queries", "documents", "k", "own", "message"),
    [
        (np.eye(2), np.eye(3), 1, None, "queries have 2 dimensions and their documents 3"),
        (np.eye(2), np.eye(2), 0, None, "k must be at least 1, got 0"),
        (np.eye(2), np.full((2, 2), np.nan), 1, None, "2 of 2 vectors hold NaN or infinity"),
        (np.array([[np.inf, 0]]), np.eye(2), 1, None, "1 of 1 vectors hold NaN or infinity"),
        (np.ones((1, 2)), np.zeros((0, 2)), 1, None, "nothing to find among 0 documents"),
        (np.ones((1, 2)), np.ones((1, 2)), 1, np.array([0]), "nothing to find among 1 documents"),
    ],
    ids=["dimensions", "k", "documents broken", "queries broken", "none", "only itself"],
)
def test_a_search_that_means_nothing_is_refused(queries, documents, k, own, message):
    with pytest.raises(ValueError, match=message):
        best_hits(queries, documents, k=k, own=own)


def test_rankings_of_different_depth_are_refused():
    with pytest.raises(ValueError, match=r"rankings of different shape: \(1, 2\) and \(1, 3\)"):
        shared_share(np.zeros((1, 2), dtype=np.int64), np.zeros((1, 3), dtype=np.int64))
