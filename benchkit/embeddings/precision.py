"""What a model's vectors become when an index stores fewer dimensions or fewer bits: cut from one fp32 encode.

    float32 (n, d) ─┬─ truncate ────────────── float32 (n, dim)
                    ├─ to_float16 ──────────── float32 (n, d), rounded
                    ├─ Int8Quantizer.codes ─── int8 (n, d) ──────── int8_dot: exact inner products
                    └─ binarize ────────────── bits (n, ⌈d / 8⌉) ── hamming: exact distances

Scores on integers are exact here, so a difference to another index is the index's, not ours.

Sources: Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022 (truncation); IEEE 754-2019 (rounding to
half precision); Lucene's scalar quantisation (one step for all dimensions) with another clipping point, see below.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchkit.types.model import BITS_PER_DIMENSION, Precision

Vectors = NDArray[np.float32]
Codes = NDArray[np.int8]
Bits = NDArray[np.uint8]

# Share of |x| that is kept unclipped. Lucene takes 1 - 1/(d + 1); measured here (2026-11, overlap of the ten nearest
# neighbours with fp32 in per cent, 300 queries): MiniLM-L6 on 2,200 texts of Banking77 97.4 with Lucene's, 99.0 with
# this, 98.9 with no clipping; cut to 128 dimensions 92.4, 98.6, 98.5. Random unit vectors of 384 dimensions 96.2, 97.7,
# 96.9, and with two dimensions eight times as wide as the others, as some models have, 16.9, 93.2, 94.2: clipping a
# per mille of the values cuts off all that such dimensions say. No clipping is as good, until one odd text comes along.
INT8_QUANTILE = 0.99999
_INT8_LIMIT = 127  # not -128: symmetric, so that -x has the code -code(x)
# Rows that calibrate the quantiser, evenly spaced: 6 M values at d = 384, of which 63 lie beyond the quantile.
_CALIBRATION_ROWS = 16_384

# float32 holds every integer up to 2**24, and a sum of this many products of two int8 values stays within it, -128
# times -128 included: 1024 * 2**14 = 2**24. Whatever the order in which BLAS adds, no partial sum is ever rounded.
_EXACT_DIMENSIONS = 2**24 // 128**2
# Rows taken at a time by the integer scores: their temporaries stay at some tens of megabytes.
_ROWS_AT_A_TIME = 4_096
_HAMMING_CELLS_AT_A_TIME = 2**21


def truncate(vectors: Vectors, dim: int, *, renormalize: bool) -> Vectors:
    """Return the first dim dimensions, float32 (n, dim); with `renormalize` each row divided by its Euclidean norm.

    A row of zeros stays zero: it has no direction.

    Raises:
        ValueError: dim isn't between 1 and the vectors' own dimension.

    >>> truncate(np.float32([[3, 4, 12]]), 2, renormalize=True)  # 3/5 and 4/5
    array([[0.6, 0.8]], dtype=float32)
    """
    if not 1 <= dim <= vectors.shape[1]:
        raise ValueError(f"can't keep {dim} dimensions of {vectors.shape[1]}")
    cut = np.array(vectors[:, :dim], dtype=np.float32, order="C")
    if renormalize:
        # float64: the squares of float32 values below 1e-23 are 0 in float32.
        norms = np.sqrt(np.einsum("ij,ij->i", cut, cut, dtype=np.float64))[:, None]
        np.divide(cut, norms, out=cut, where=norms > 0, casting="same_kind")
    return cut


def to_float16(vectors: Vectors) -> Vectors:
    """Return the values after a round trip through half precision, float32 (n, d).

    Raises:
        ValueError: a value is beyond 65504, the largest half.
    """
    with np.errstate(over="ignore"):
        halves = vectors.astype(np.float16)
    if not np.isfinite(halves).all():
        raise ValueError(f"float16 ends at 65504, the vectors reach {np.abs(vectors).max():g}")
    return halves.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Int8Quantizer:
    """Symmetric scalar quantisation with one step for all dimensions: code = round(x / scale), within ±127.

    One step for all, so that the inner product of two codes times scale² is the inner product of the vectors but for
    rounding. The scale comes from the corpus, and the queries are coded with it as well.

    Attributes:
        scale: Width of one step, > 0.
    """

    scale: float

    @classmethod
    def fit(cls, vectors: Vectors) -> Int8Quantizer:
        """Calibrate on the vectors of a corpus, float32 (n, d): scale = (0.99999-quantile of |x|) / 127.

        Where that quantile is 0 the largest |x| takes its place; where all is 0 the scale is 1.

        Raises:
            ValueError: there are no vectors, or one that it calibrates on holds NaN or infinity.
        """
        if not vectors.size:
            raise ValueError("an int8 scale can't be fitted to no vectors")
        step = -(-len(vectors) // _CALIBRATION_ROWS)
        sizes = np.abs(vectors[::step])
        if not np.isfinite(sizes).all():
            raise ValueError("an int8 scale can't be fitted to vectors with NaN or infinity")
        limit = float(np.quantile(sizes, INT8_QUANTILE)) or float(np.abs(vectors).max())
        # As float32, in which codes are made and read: a limit below its smallest number is 0 there.
        return cls(scale=float(np.float32(limit / _INT8_LIMIT)) or 1.0)

    def codes(self, vectors: Vectors) -> Codes:
        """Return clip(round(x / scale), -127, 127), int8 (n, d); halves go to the even code."""
        steps = vectors / np.float32(self.scale)
        np.rint(steps, out=steps)
        np.clip(steps, -_INT8_LIMIT, _INT8_LIMIT, out=steps)
        return steps.astype(np.int8)

    def values(self, codes: Codes) -> Vectors:
        """Return the vectors that codes stand for, code · scale, float32 (n, d)."""
        return codes.astype(np.float32) * np.float32(self.scale)


def int8_dot(a: Codes, b: Codes) -> NDArray[np.int64]:
    """Return the exact inner products of the rows of a (n, d) and b (m, d), int64 (n, m); all int8 values allowed.

    float32 matrix products of 1024 dimensions at a time, which are exact (see `_EXACT_DIMENSIONS`), added as integers:
    the speed of BLAS, where NumPy's own integer product is a plain loop.

    >>> int8_dot(np.int8([[1, -2]]), np.int8([[3, 4], [127, 0]]))
    array([[ -5, 127]])
    """
    _check_same_width(a.shape[1], b.shape[1])
    out = np.zeros((len(a), len(b)), np.int64)
    a_parts, b_parts = _slices(len(a), _ROWS_AT_A_TIME), _slices(len(b), _ROWS_AT_A_TIME)
    for i, j, dims in product(a_parts, b_parts, _slices(a.shape[1], _EXACT_DIMENSIONS)):
        sums = a[i, dims].astype(np.float32) @ b[j, dims].astype(np.float32).T
        out[i, j] += sums.astype(np.int64)
    return out


def binarize(vectors: Vectors) -> Bits:
    """Return one bit per dimension, x > 0, uint8 (n, ⌈d / 8⌉): dimension 0 is the highest bit of byte 0.

    The bits that fill the last byte are 0, in every row, so they add nothing to a Hamming distance.

    >>> binarize(np.float32([[0.5, -0.5, 0.0, 2.0]]))  # 1001 0000
    array([[144]], dtype=uint8)
    """
    return np.packbits(vectors > 0, axis=1)


def binary_values(packed: Bits, dim: int) -> Vectors:
    """Return the vectors that bits stand for, +1 or -1, float32 (n, dim).

    For two rows, their inner product is dim - 2 · (Hamming distance).

    Raises:
        ValueError: the bytes don't fit dim.
    """
    if packed.shape[1] != bytes_per_vector(dim, "binary"):
        raise ValueError(f"{dim} dimensions take {bytes_per_vector(dim, 'binary')} bytes, got {packed.shape[1]}")
    bits = np.unpackbits(packed, axis=1, count=dim)
    return bits.astype(np.float32) * np.float32(2) - np.float32(1)


def hamming(a: Bits, b: Bits) -> NDArray[np.int32]:
    """Return the number of bits in which the rows of a (n, w) and b (m, w) differ, int32 (n, m).

    >>> hamming(np.uint8([[0b1100]]), np.uint8([[0b1010], [0b1100]]))
    array([[2, 0]], dtype=int32)
    """
    _check_same_width(a.shape[1], b.shape[1])
    a_words, b_words = _words(a), _words(b)
    out = np.zeros((len(a), len(b)), np.int32)
    for rows in _slices(len(a), max(1, _HAMMING_CELLS_AT_A_TIME // max(1, len(b)))):
        for a_word, b_word in zip(a_words[rows].T, b_words.T, strict=True):
            out[rows] += np.bitwise_count(a_word[:, None] ^ b_word[None, :])
    return out


def bytes_per_vector(dim: int, precision: Precision) -> int:
    """Return the bytes that one stored vector takes: ⌈dim · bits / 8⌉."""
    return -(-dim * BITS_PER_DIMENSION[precision] // 8)


def _words(packed: Bits) -> NDArray[np.uint64]:
    """Return the rows as 64-bit words, filled with zeros, uint64 (n, ⌈w / 8⌉)."""
    n, width = packed.shape
    filled = np.zeros((n, -(-width // 8) * 8), np.uint8)
    filled[:, :width] = packed
    return filled.view(np.uint64)


def _slices(length: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def _check_same_width(a: int, b: int) -> None:
    if a != b:
        raise ValueError(f"rows of different width: {a} and {b}")
