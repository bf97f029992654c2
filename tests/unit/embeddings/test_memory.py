from __future__ import annotations

import numpy as np

from benchkit.embeddings.fingerprint import text_keys
from benchkit.embeddings.memory import MemorySpace


def test_nothing_is_known_at_first() -> None:
    found, vectors = MemorySpace().lookup(text_keys(["a"]))
    assert found.tolist() == [False]
    assert len(vectors) == 0
    assert MemorySpace().dimension is None


def test_vectors_come_back_while_the_array_grows() -> None:
    space = MemorySpace()
    texts = [str(number) for number in range(5_000)]
    vectors = np.random.default_rng(0).standard_normal((5_000, 3)).astype(np.float32)
    for start in range(0, 5_000, 700):
        space.append(text_keys(texts[start : start + 700]), vectors[start : start + 700])
    found, got = space.lookup(text_keys([*texts[::-1], "unknown"]))
    assert found.tolist() == [True] * 5_000 + [False]
    np.testing.assert_array_equal(got, vectors[::-1])
    assert space.dimension == 3


def test_the_first_vector_of_a_key_stays_and_a_later_change_of_the_array_does_not_reach_it() -> None:
    space = MemorySpace()
    vectors = np.ones((1, 2), np.float32)
    space.append(text_keys(["a"]), vectors)
    vectors[:] = 7
    space.append(text_keys(["a"]), vectors)
    assert space.lookup(text_keys(["a"]))[1].tolist() == [[1, 1]]
