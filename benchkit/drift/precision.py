"""How many bits of precision numbers hold, whatever type they are stored in.

    vectors, hashes of their rows ── one row in eight, 16 columns ── trailing zero bits ──> Precision, additive
    vectors, bits ── rounded ──> the same with so many bits: what such storage does to a ranking can be measured

A number that went through bfloat16 or float16 and back is a float32 whose last 16 or 13 bits are zero; of numbers that
did not, one in 65,536 or 8,192 looks so. Cosines hardly notice (0.999999), and so does no canary and no statistic.
Small whole numbers, zeros and ones hold few bits by nature: what is found is compared with what the baseline held.
Rows are picked by their hash, so that parts of a whole add up to its counts exactly.

Cost: below 1 % of a window's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FULL_BITS: Final = 24  # of a float32, the hidden one included
NAMES: Final = {8: "bfloat16", 11: "float16"}
_ROWS_PER_PICK = np.uint64(8)
_HIGH_BITS = np.uint64(32)  # other bits of the hash than choose a bucket
_COLUMNS = 16
_INFINITE = np.uint32(0xFF000000)  # shifted by the sign


@dataclass(frozen=True, slots=True)
class Precision:
    """Counts over some of the values.

    Attributes:
        values: Looked at: finite and not zero.
        in_8, in_11: Those of them that hold at most so many significant bits, as bfloat16's and float16's do.
    """

    values: int = 0
    in_8: int = 0
    in_11: int = 0

    def __add__(self, other: Precision) -> Precision:
        return Precision(self.values + other.values, self.in_8 + other.in_8, self.in_11 + other.in_11)

    def share(self, bits: int) -> float:
        """Return the share of values within 8 or 11 bits; 0 where none was looked at."""
        return {8: self.in_8, 11: self.in_11}[bits] / max(1, self.values)


NOT_LOOKED_AT: Final = Precision()


def measure_precision(vectors: NDArray[np.generic], hashes: NDArray[np.uint64]) -> Precision:
    """Look at some values of vectors (n, d), given the hash of each row (n,)."""
    picked = np.flatnonzero((hashes >> _HIGH_BITS) % _ROWS_PER_PICK == 0)
    width = vectors.shape[1]
    columns = np.unique(np.linspace(0, width - 1, min(width, _COLUMNS)).astype(np.int64))
    with np.errstate(over="ignore", invalid="ignore"):
        bits = vectors[picked[:, None], columns].astype(np.float32).view(np.uint32)
    # Without the sign, zero wraps to the largest number, and so does not count either.
    bits = bits[(bits << np.uint32(1)) - np.uint32(1) < _INFINITE - np.uint32(1)]
    return Precision(len(bits), *(int(np.count_nonzero(bits & _below(kept) == 0)) for kept in NAMES))


def rounded(vectors: NDArray[np.floating[Any]], bits: int) -> NDArray[np.float32]:
    """Return finite vectors whose numbers hold so many significant bits: the nearest, of two the even one.

    >>> rounded(np.array([1.0, 1.001, 257.0, 259.0]), 8).tolist()
    [1.0, 1.0, 256.0, 260.0]
    """
    raw = vectors.astype(np.float32).view(np.uint32)
    below = _below(bits)
    odd = (raw >> np.uint32(FULL_BITS - bits)) & np.uint32(1)
    cut: NDArray[np.float32] = ((raw + (below >> np.uint32(1)) + odd) & ~below).view(np.float32)
    return cut


def _below(bits: int) -> np.uint32:
    """The bits of a float32 that a number of fewer significant bits leaves zero."""
    return np.uint32((1 << (FULL_BITS - bits)) - 1)
