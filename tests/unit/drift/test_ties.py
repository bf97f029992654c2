"""Searches of documents that are as near as each other: what is excused, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.ranking import best_hits
from benchkit.drift.ties import Found, same_first, shared_or_tied


def find(queries, documents, similarity="cosine", k=5):
    return Found.of(best_hits(queries, documents, k=k, similarity=similarity).places, queries, documents, similarity)


def loop(one, other, nearness, limit=1e-6):
    """Of one query: shared ones, and exchanges that both sides find no worse, by the words of the module."""
    (a, near_a), (b, near_b) = (one, nearness[0]), (other, nearness[1])
    lost = [place for place in a if place not in b and near_b[place] >= near_b[b[-1]] - limit]
    gained = [place for place in b if place not in a and near_a[place] >= near_a[a[-1]] - limit]
    return len(set(a) & set(b)) + min(len(lost), len(gained))


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_counts_are_those_of_the_obvious_loop(similarity):
    rng = np.random.default_rng(0)
    queries, documents = rng.normal(size=(40, 6)), np.repeat(rng.normal(size=(12, 6)), 4, axis=0)
    sides = []
    for _ in range(2):
        rows = documents + 1e-8 * rng.normal(size=documents.shape)
        rows[::7] += 0.5 * rng.normal(size=rows[::7].shape)
        asked = queries / np.linalg.norm(queries, axis=1, keepdims=True)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        sides.append(
            (find(queries, rows, similarity), asked @ (rows / (lengths if similarity == "cosine" else lengths.max())).T)
        )
    (one, near_one), (other, near_other) = sides
    wanted = [
        loop(*rows) for rows in zip(one.places, other.places, zip(near_one, near_other, strict=True), strict=True)
    ]
    plain = [len(set(a) & set(b)) for a, b in zip(one.places.tolist(), other.places.tolist(), strict=True)]
    assert shared_or_tied(one, other).tolist() == wanted
    assert sum(plain) < sum(wanted) < 5 * 40


def test_one_search_that_ties_excuses_nothing():
    rng = np.random.default_rng(1)
    queries, documents = rng.normal(size=(30, 6)), rng.normal(size=(50, 6))
    all_alike = find(np.ones((30, 6)), np.ones((50, 6)))
    told_apart = find(queries, documents)
    shared = [len(set(a) & set(b)) for a, b in zip(all_alike.places.tolist(), told_apart.places.tolist(), strict=True)]
    for pair in ((all_alike, told_apart), (told_apart, all_alike)):
        assert shared_or_tied(*pair).tolist() == shared
        assert same_first(*pair).tolist() == (all_alike.places[:, 0] == told_apart.places[:, 0]).tolist()


def test_a_first_document_gives_way_to_one_as_near_and_to_no_other():
    rows = np.array([[1.0, 0.0], [1.0, 1e-8], [1.0, 0.1]])
    first, twin, other = (Found.of(np.array([[place]]), rows[:1], rows, "cosine") for place in range(3))
    assert same_first(first, twin).tolist() == [True]
    assert same_first(first, other).tolist() == [False]
