"""Vectors kept for the life of the process: where there is no cache on disk, or where it has failed.

    append(keys (n, 16), vectors (n, d)) ── one growing array ── lookup(keys) ── the vectors that are known

The same two calls as a `VectorSpace`, so that a reader of `encoder.py` sees one way and not two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.index import KeyIndex, Keys
from benchkit.embeddings.segment import Vectors

_FIRST_ROWS = 1024


class MemorySpace:
    """Vectors by key, in memory only. The first vector of a key stays."""

    def __init__(self) -> None:
        self._index = KeyIndex()
        self._vectors: Vectors | None = None

    @property
    def dimension(self) -> int | None:
        """Length of the vectors; None as long as there are none."""
        return None if self._vectors is None else self._vectors.shape[1]

    def lookup(self, keys: Keys) -> tuple[NDArray[np.bool_], Vectors]:
        """Return which of n keys are known, bool (n,), and the vectors of those, float32 (known, d), in their order."""
        rows = self._index.find(keys)
        found = rows >= 0
        if self._vectors is None:
            return found, np.empty((0, 0), np.float32)
        return found, self._vectors[rows[found]]

    def append(self, keys: Keys, vectors: Vectors) -> None:
        """Keep n vectors, float32 (n, d); d is that of the first call."""
        start = self._index.n_rows
        room = self._room(start + len(vectors), vectors.shape[1])
        room[start : start + len(vectors)] = vectors
        self._index.add(keys)

    def _room(self, n_rows: int, dimension: int) -> Vectors:
        """Return the array, doubled until it holds n_rows: each vector is moved about once on average."""
        if self._vectors is None:
            self._vectors = np.empty((max(n_rows, _FIRST_ROWS), dimension), np.float32)
        elif n_rows > len(self._vectors):
            larger = np.empty((max(n_rows, 2 * len(self._vectors)), self._vectors.shape[1]), np.float32)
            larger[: self._index.n_rows] = self._vectors[: self._index.n_rows]
            self._vectors = larger
        return self._vectors
