"""How two embedding spaces relate: by hand, against plain loops, and under what must not change a value."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchkit.measure.space import linear_cka, mean_cosine, neighbour_overlap

Array = NDArray[np.float64]


def draw(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def rotation(seed: int, dimension: int) -> Array:
    return np.linalg.qr(draw(seed, dimension, dimension))[0]


# Cosine


def test_mean_cosine_by_hand() -> None:
    a = np.array([[1.0, 0.0], [3.0, 4.0], [1.0, 1.0]])
    b = np.array([[0.0, 2.0], [4.0, 3.0], [-5.0, -5.0]])
    assert mean_cosine(a, b) == pytest.approx((0 + 24 / 25 - 1) / 3)


def test_a_row_of_zeros_agrees_with_zeros_only() -> None:
    a = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    b = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert mean_cosine(a, b) == pytest.approx(1 / 3)


def test_mean_cosine_agrees_with_a_plain_loop() -> None:
    a, b = draw(1, 40, 7), draw(2, 40, 7)
    total = 0.0
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        dot = sum(p * q for p, q in zip(x, y, strict=True))
        total += dot / math.sqrt(sum(p * p for p in x)) / math.sqrt(sum(q * q for q in y))
    assert mean_cosine(a, b) == pytest.approx(total / 40, abs=1e-14)


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1e20, 1e30])
def test_mean_cosine_knows_no_size(size: float) -> None:
    a = draw(3, 20, 5).astype(np.float32)
    assert mean_cosine(a, a * np.float32(size)) == pytest.approx(1.0, abs=1e-6)


# CKA


def hsic_cka(a: Array, b: Array) -> float:
    """Kornblith et al. 2019, eq. 1 and 2: centred Gram matrices, HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))."""
    n = len(a)
    centring = np.eye(n) - np.ones((n, n)) / n

    def hsic(k: Array, m: Array) -> float:
        return float(np.trace(k @ centring @ m @ centring)) / (n - 1) ** 2

    k, m = a @ a.T, b @ b.T
    return hsic(k, m) / math.sqrt(hsic(k, k) * hsic(m, m))


def test_cka_by_hand() -> None:
    # Centred columns x = (-1, 0, 1) and y = (-1, 2, -1) are orthogonal; beside x itself half of the geometry is shared:
    # ||(x y)'x||² = 2² + 0, ||x'x|| = 2, ||(x y)'(x y)|| = sqrt(2² + 6²).
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[4.0], [7.0], [4.0]])
    assert linear_cka(x, y) == pytest.approx(0.0, abs=1e-15)
    assert linear_cka(x, np.hstack([x, y])) == pytest.approx(4 / (2 * math.sqrt(40)))


@pytest.mark.parametrize(("n", "d", "e"), [(5, 3, 3), (30, 4, 9), (12, 40, 2), (2, 6, 1)])
def test_cka_agrees_with_the_gram_matrices_of_the_paper(n: int, d: int, e: int) -> None:
    a, b = draw(n, n, d) + 3, draw(n + 1, n, e) - 7
    assert linear_cka(a, b) == pytest.approx(hsic_cka(a, b), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1e-12, 0.5, -3.0, 1e12]))
def test_cka_is_one_after_rotation_scale_and_shift(seed: int, scale: float) -> None:
    a = draw(seed, 25, 6)
    moved = scale * (a @ rotation(seed + 1, 6) + 4)
    assert linear_cka(a, moved) == pytest.approx(1.0, abs=1e-9)
    assert linear_cka(a, moved) <= 1.0
    b = draw(seed + 2, 25, 3)
    assert linear_cka(a, b) == pytest.approx(linear_cka(moved, b), abs=1e-9)
    assert linear_cka(a, b) == pytest.approx(linear_cka(b, a), abs=1e-12)


def test_cka_of_unrelated_vectors_falls_with_the_rows_as_its_docstring_says() -> None:
    for n in (60, 600):
        values = [linear_cka(draw(seed, n, 20), draw(seed + 100, n, 20)) for seed in range(20)]
        assert float(np.mean(values)) == pytest.approx(20 / (n + 20), rel=0.1)


def test_cka_of_rows_that_are_all_alike_is_not_a_number() -> None:
    assert math.isnan(linear_cka(np.full((11, 3), 0.1), draw(1, 11, 2)))
    assert math.isnan(linear_cka(draw(1, 4, 2), np.zeros((4, 3))))


# Neighbours


def overlap_by_loops(q_a: Array, d_a: Array, q_b: Array, d_b: Array, k: int, *, cosine: bool) -> float:
    def found(query: Sequence[float], documents: Sequence[Sequence[float]]) -> set[int]:
        scores = []
        for number, document in enumerate(documents):
            score = sum(x * y for x, y in zip(query, document, strict=True))
            if cosine:
                score /= math.sqrt(sum(y * y for y in document))
            scores.append((-score, number))
        return {number for _, number in sorted(scores)[:k]}

    shares = [
        len(found(x, d_a.tolist()) & found(y, d_b.tolist())) / k
        for x, y in zip(q_a.tolist(), q_b.tolist(), strict=True)
    ]
    return sum(shares) / len(shares)


def test_overlap_by_hand() -> None:
    # In a the query (1, 0) finds documents 0 and 1, in b 0 and 2; the query (0, 1) finds 2 and 1 in both.
    queries = np.eye(2)
    documents_a = np.array([[1.0, 0.0], [0.8, 0.6], [0.1, 1.0]])
    documents_b = np.array([[1.0, 0.0], [0.1, 1.0], [0.6, 0.8]])
    assert neighbour_overlap(queries, documents_a, queries, documents_b, k=2) == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert neighbour_overlap(queries, documents_a, queries, documents_b, k=1) == pytest.approx((1 + 0) / 2)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_overlap_agrees_with_plain_loops(similarity: str) -> None:
    q_a, d_a, q_b, d_b = draw(1, 9, 4), draw(2, 30, 4), draw(3, 9, 6), draw(4, 30, 6)
    d_b[:, :4] += 2 * d_a
    found = neighbour_overlap(q_a, d_a, q_b, d_b, k=7, similarity_a=similarity, similarity_b=similarity)  # type: ignore[arg-type]
    assert found == pytest.approx(overlap_by_loops(q_a, d_a, q_b, d_b, 7, cosine=similarity == "cosine"))


def test_each_space_is_searched_with_its_own_similarity() -> None:
    query, documents = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [5.0, 5.0]])
    overlap = neighbour_overlap(query, documents, query, documents, k=1, similarity_a="cosine", similarity_b="dot")
    assert overlap == 0.0, "the longer document wins by inner product only"


def test_of_equal_documents_the_first_are_found() -> None:
    # About half of the documents score 1 in a, the others 0; in b the same half turns away one after the other, or the
    # other way round.
    query, good = np.array([[1.0, 0.0]]), np.random.default_rng(1).random(100) < 0.5
    equal = np.where(good[:, None], [1.0, 0.0], [0.0, 1.0])
    for angles, expected in ((np.linspace(0, 1, 100), 1.0), (np.linspace(1, 0, 100), 0.0)):
        turning = np.where(good[:, None], np.stack([np.cos(angles), np.sin(angles)], axis=1), [0.0, 1.0])
        assert neighbour_overlap(query, equal, query, turning, k=10) == expected


def test_documents_of_one_direction_are_found_in_order_though_rounding_differs() -> None:
    # Of other lengths, so that the last bits of their cosines differ; and others in the rotated space.
    documents = draw(5, 1, 39) * np.linspace(0.1, 9, 101)[:, None]
    queries, turn = draw(7, 33, 39), rotation(6, 39)
    assert neighbour_overlap(queries, documents, queries @ turn, documents @ turn, k=10) == 1.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1e-9, 0.3, 1e9]), st.sampled_from(["cosine", "dot"]))
def test_overlap_is_one_after_rotation_and_scale(seed: int, scale: float, similarity: str) -> None:
    queries, documents, turn = draw(seed, 11, 5), draw(seed + 1, 40, 5), scale * rotation(seed + 2, 5)
    overlap = neighbour_overlap(
        queries, documents, queries @ turn, documents @ turn, k=10, similarity_a=similarity, similarity_b=similarity
    )  # type: ignore[arg-type]
    assert overlap == 1.0


def test_overlap_of_unrelated_spaces_is_about_k_over_n() -> None:
    overlap = neighbour_overlap(draw(1, 600, 8), draw(2, 200, 8), draw(3, 600, 8), draw(4, 200, 8), k=10)
    # Each share has the hypergeometric spread of 0.067: four standard errors. 600 queries are scored in three parts.
    assert overlap == pytest.approx(10 / 200, abs=4 * 0.067 / math.sqrt(600))


def test_fewer_documents_than_k_are_all_found() -> None:
    assert neighbour_overlap(draw(1, 3, 4), draw(2, 6, 4), draw(3, 3, 4), draw(4, 6, 4), k=10) == 1.0


def test_a_query_of_zeros_finds_the_first_documents() -> None:
    zeros, documents = np.zeros((1, 4)), draw(2, 30, 4)
    assert neighbour_overlap(zeros, documents, zeros, -documents, k=5) == 1.0


# Refusals


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: mean_cosine(draw(1, 3, 4), draw(1, 3, 5)),
            "dimensions differ: 4 and 5; a cosine needs vectors of one",
        ),
        (lambda: mean_cosine(draw(1, 3, 4), draw(1, 2, 4)), "vectors of different texts: 3 rows and 2"),
        (lambda: mean_cosine(draw(1, 0, 4), draw(1, 0, 4)), "at least 1 rows are needed, got 0"),
        (lambda: mean_cosine(np.array([[np.nan]]), np.array([[1.0]])), "a vector holds NaN or infinity"),
        (lambda: linear_cka(draw(1, 3, 4), draw(1, 2, 4)), "vectors of different texts: 3 rows and 2"),
        (lambda: linear_cka(draw(1, 1, 4), draw(1, 1, 4)), "at least 2 rows are needed, got 1"),
        (lambda: linear_cka(draw(1, 2, 1), np.array([[1.0], [np.inf]])), "a vector holds NaN or infinity"),
        (lambda: neighbour_overlap(*[draw(1, 2, 3)] * 4, k=0), "k must be at least 1, got 0"),
        (lambda: neighbour_overlap(draw(1, 0, 3), draw(1, 2, 3), draw(1, 0, 3), draw(1, 2, 3)), "at least 1 rows"),
        (lambda: neighbour_overlap(draw(1, 2, 3), draw(1, 0, 3), draw(1, 2, 3), draw(1, 0, 3)), "at least 1 rows"),
        (
            lambda: neighbour_overlap(draw(1, 2, 3), draw(1, 2, 4), draw(1, 2, 3), draw(1, 2, 3)),
            "queries have 3 dimensions and their documents 4",
        ),
        (
            lambda: neighbour_overlap(draw(1, 2, 3), draw(1, 5, 3), draw(1, 2, 3), draw(1, 4, 3)),
            "vectors of different texts: 5 rows and 4",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()
