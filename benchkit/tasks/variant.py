"""A variant's view of fp32 vectors: cut, normalised, quantised, with the scores that its index would give.

    fp32 (n, full dimension) ── truncate ── unit length ──┬─ float32
                                                          ├─ float16   rounded to half precision
                                                          ├─ int8      one scale for the corpus and its queries
                                                          └─ binary    signs
Scorers get the values that the stored codes stand for; retrieval scores come from the codes themselves, as integers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.precision import (
    Int8Quantizer,
    binarize,
    binary_values,
    hamming,
    int8_dot,
    to_float16,
    truncate,
)
from benchkit.types.model import ModelMeta, Variant


class VariantView:
    """Vectors and scores of one variant of a model on one task.

    The int8 scale of a subset is calibrated once: on the corpus for retrieval, else on the first texts that are
    encoded; queries and later texts use the same scale.
    """

    def __init__(self, variant: Variant, meta: ModelMeta) -> None:
        self._variant = variant
        self._normalize = _normalizes(variant, meta)
        self._cosine = meta.similarity == "cosine"
        self._quantizers: dict[str, Int8Quantizer] = {}
        self._current: Int8Quantizer | None = None

    def apply(self, vectors: NDArray[np.float32], *, subset: str) -> NDArray[np.float32]:
        """Return the vectors as this variant stores them, as float32 values (n, dimension)."""
        cut = self._cut(vectors)
        if self._variant.precision == "float16":
            return to_float16(cut)
        if self._variant.precision == "binary":
            return binary_values(binarize(cut), cut.shape[1])
        if self._variant.precision == "int8":
            return self._int8(cut, subset)
        return cut

    def calibrate(self, vectors: NDArray[np.float32], *, subset: str) -> None:
        """Fix the int8 scale of a subset; other precisions need none."""
        if self._variant.precision == "int8" and subset not in self._quantizers:
            self._quantizers[subset] = Int8Quantizer.fit(self._cut(vectors))

    def scores(self, queries: NDArray[np.float32], documents: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return similarities (queries, documents) computed on the integer codes; None for floating point variants."""
        if self._variant.precision == "binary":
            dimension = queries.shape[1]
            distance = hamming(binarize(queries), binarize(documents))
            return np.asarray(1.0 - 2.0 * distance / dimension, dtype=np.float32)
        if self._variant.precision == "int8" and self._current is not None:
            return self._int8_scores(self._current.codes(queries), self._current.codes(documents))
        return None

    def _int8(self, cut: NDArray[np.float32], subset: str) -> NDArray[np.float32]:
        if not len(cut):
            return cut
        if subset not in self._quantizers:
            self._quantizers[subset] = Int8Quantizer.fit(cut)
        self._current = self._quantizers[subset]
        return self._current.values(self._current.codes(cut))

    def _int8_scores(self, queries: NDArray[np.int8], documents: NDArray[np.int8]) -> NDArray[np.float32]:
        products = int8_dot(queries, documents).astype(np.float64)
        if self._cosine:
            products /= np.maximum(_integer_norms(queries)[:, None] * _integer_norms(documents)[None, :], 1.0)
        return products.astype(np.float32)

    def _cut(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        dimension = self._variant.truncate_dim or vectors.shape[1]
        if dimension == vectors.shape[1] and not self._normalize:
            return vectors
        return truncate(vectors, dimension, renormalize=self._normalize)


def _normalizes(variant: Variant, meta: ModelMeta) -> bool:
    if variant.normalize is not None:
        return variant.normalize
    return variant.truncate_dim is not None and meta.normalized


def _integer_norms(codes: NDArray[np.int8]) -> NDArray[np.float64]:
    squares = (codes.astype(np.int64) ** 2).sum(axis=1)
    return np.asarray(np.sqrt(squares.astype(np.float64)))
