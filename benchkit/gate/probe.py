"""A few fixed texts through a model: are its vectors numbers, the same each time, and of unit length?

    TEXTS ──┬─ in one batch ──────────┐
            ├─ the same batch again ──┤
            ├─ in the opposite order ─┼── vectors of one text against each other ──> ProbeFacts
            └─ each alone ────────────┘

An index is built in batches and searched with one query at a time, so a model whose vectors depend on their company
searches with other vectors than it stored. Padding, kernels for other shapes and the order of additions move a float32
coordinate by some 1e-6; SAME_VECTOR is far above that and far below anything that changes a ranking.

A vector of zeros has no length to speak of: a static model gives one to a text without a known token. It is left out
when lengths are looked at, unless all vectors are zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import BenchkitError, ModelError
from benchkit.models.probes import SHORT, long_text
from benchkit.types.gate import ProbeFacts
from benchkit.types.model import CorpusFitted, Encoder

SAME_VECTOR = 1e-4  # largest difference of a coordinate
UNIT_LENGTH = 1e-3  # half-precision servers round the length of a unit vector this far

# The texts that an engine has to repeat the reference on, and some of the lengths between "short" and "cut off".
TEXTS: tuple[str, ...] = (
    *SHORT,
    "🙂🚀🎉",
    (
        "The delivery was promised for Tuesday and came on Friday, the box was open, and one of the lamps was broken. "
        "I have written twice and nobody has answered; I would like my money back or a new lamp by the end of the week."
    ),
    "送货原定于星期二，却在星期五才到，箱子已经打开，两盏灯中有一盏坏了。我写了两次信，没有人回复；我希望在本周末之前退款或者换一盏新灯。",
    long_text(None),
)

Vectors = NDArray[np.floating]


def probe(encoder: Encoder | CorpusFitted) -> ProbeFacts | None:
    """Return what encoding TEXTS shows of a model; None for a sparse one, whose vectors depend on its corpus.

    Raises:
        ModelError: it can't encode the texts, or doesn't give a vector for each.
    """
    if isinstance(encoder, CorpusFitted):
        return None
    first = _encode(encoder, TEXTS)
    others = (
        _encode(encoder, TEXTS),
        _encode(encoder, TEXTS[::-1])[::-1],
        _stacked(encoder, [_encode(encoder, [text]) for text in TEXTS]),
    )
    for vectors in others:
        _check_width(encoder, first, vectors)
    finite = all(bool(np.isfinite(vectors).all()) for vectors in (first, *others))
    difference = max(float(np.abs(vectors - first).max()) for vectors in others) if finite else None
    return ProbeFacts(
        n_texts=len(TEXTS),
        finite=finite,
        normalized=finite and all(_has_unit_length(vectors) for vectors in (first, *others)),
        max_difference=difference,
        deterministic=difference is not None and difference <= SAME_VECTOR,
    )


def _encode(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    name = encoder.meta.name
    try:
        vectors = np.asarray(encoder.encode(list(texts)))
    except BenchkitError:
        raise
    # A model is anybody's code; whatever it raises is the reason why it can't be judged.
    except Exception as exc:
        raise ModelError(f"{name}: encoding {_texts(len(texts))} failed: {type(exc).__name__}: {exc}") from exc
    if vectors.ndim != 2 or len(vectors) != len(texts) or not vectors.shape[1]:
        raise ModelError(
            f"{name}: {_texts(len(texts))} should give an array ({len(texts)}, dimension), got shape {vectors.shape}"
        )
    if not np.issubdtype(vectors.dtype, np.floating):
        raise ModelError(f"{name}: vectors should be floating point numbers, got {vectors.dtype}")
    return vectors.astype(np.float64)  # so that the squares of a half-precision vector don't overflow


def _stacked(encoder: Encoder, single: Sequence[Vectors]) -> Vectors:
    for vectors in single:
        _check_width(encoder, single[0], vectors)
    return np.concatenate(single)


def _check_width(encoder: Encoder, first: Vectors, second: Vectors) -> None:
    if first.shape[1] != second.shape[1]:
        raise ModelError(
            f"{encoder.meta.name}: the length of its vectors changes from call to call, {first.shape[1]} and "
            f"{second.shape[1]}"
        )


def _has_unit_length(vectors: Vectors) -> bool:
    norms = np.linalg.norm(vectors, axis=1)
    norms = norms[norms > 0]
    return bool(len(norms)) and bool(np.abs(norms - 1).max() <= UNIT_LENGTH)


def _texts(n: int) -> str:
    return "one text" if n == 1 else f"{n} texts"
