"""The contract of a model: what a comparison takes for granted, checked one promise at a time.

check_handle   found before loaded: facts complete, identity stable
check_encoder  texts in, vectors out: count, order, dtype, finite, repeatable, whatever the batch
check_lexical  fitted on a corpus: the same for sparse rows
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchkit.types.model import CorpusFitted, Encoder, ModelHandle, ModelMeta

PROBES = (
    "A short sentence.",
    "The boiler makes a knocking noise at night, and the app shows nothing at all.",
    "如何更换充电桩的电缆？",
    "مرحبا بالعالم",
    "naïve café — “quotes” 🙂🏠",
    "one",
    "line one\nline two\ttabbed",
    "nul \x00 inside",
    "half a pair \ud83d here",
    "",
)
# Vectors of one text in different batches differ by rounding only.
BATCH_TOLERANCE = 1e-5


class ContractError(AssertionError):
    """A plug-in breaks a promise; the message says which, with what was found."""


def check_handle(open_it: Callable[[], ModelHandle]) -> None:
    """Check what holds before loading.

    Raises:
        ContractError: the facts are not complete, or the identity of the same model changes.
    """
    first, second = open_it(), open_it()
    _require(isinstance(first, ModelHandle), f"open returned {type(first).__name__}, without `meta` and `load`")
    _require(bool(first.meta.fingerprint), "the fingerprint is empty")
    _require(
        first.meta.fingerprint == second.meta.fingerprint,
        f"the same model has two fingerprints: {first.meta.fingerprint}, {second.meta.fingerprint}",
    )
    _check_sizes(first.meta)


def _check_sizes(meta: ModelMeta) -> None:
    for name in ("dimension", "bytes_per_vector", "parameters", "memory_bytes", "max_seq_length"):
        value = getattr(meta, name)
        _require(value is None or value > 0, f"meta.{name} is {value}; what isn't known is None")


def check_encoder(encoder: Encoder, *, long_text_words: int = 2000) -> None:
    """Check every promise of an encoder, on texts of several languages.

    Raises:
        ContractError: the first promise that is broken.
    """
    texts = list(PROBES)
    vectors = _encode(encoder, texts)
    _require(bool(np.isfinite(vectors).all()), "a vector holds NaN or infinity")
    again = _encode(encoder, texts)
    _require(np.array_equal(vectors, again), "the same texts gave other vectors the second time")
    reversed_vectors = _encode(encoder, texts[::-1])[::-1]
    _require(_near(vectors, reversed_vectors), "the order of the texts changes their vectors")
    single = np.concatenate([_encode(encoder, [text]) for text in texts])
    _require(_near(vectors, single), f"the batch changes a vector by {np.abs(vectors - single).max():.1e}")
    _require(_encode(encoder, []).shape == (0, vectors.shape[1]), "no texts should give an array (0, dimension)")
    _require(bool(np.isfinite(_encode(encoder, ["word " * long_text_words])).all()), "a long text gives NaN")
    _require(not _near(vectors[:1], vectors[1:2]), "two different texts have the same vector")
    if encoder.meta.normalized:
        # A static model has nothing to say on an empty text: its vector may be zero.
        norms = np.linalg.norm(vectors, axis=1)
        norms = norms[norms > 0]
        _require(
            _near(norms, np.ones_like(norms)), f"meta says unit length, found {norms.min():.4f} to {norms.max():.4f}"
        )
    counts = encoder.count_tokens(texts)
    _require(counts is None or len(counts) == len(texts), "count_tokens should return one number for each text")


def check_lexical(model: CorpusFitted) -> None:
    """Check a lexical model on a small corpus.

    Raises:
        ContractError: the first promise that is broken.
    """
    corpus = ["the boiler is cold", "the invoice is wrong", "电池充不进电"]
    model.fit(corpus)
    documents = model.encode_sparse(corpus, role="document")
    queries = model.encode_sparse(["cold boiler", "电池"], role="query")
    shapes = [getattr(matrix, "shape", None) for matrix in (documents, queries)]
    _require(None not in shapes, "encode_sparse should return SciPy matrices")
    scores = np.asarray((queries @ documents.T).todense())  # type: ignore[attr-defined]
    _require(scores.shape == (2, 3), f"2 queries and 3 documents should give (2, 3) scores, got {scores.shape}")
    _require(bool(np.isfinite(scores).all()), "a score is NaN or infinite")
    _require(scores[0].argmax() == 0 and scores[1].argmax() == 2, "the document with the query's words is not first")


def _encode(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    vectors = encoder.encode(texts)
    _require(isinstance(vectors, np.ndarray), f"encode should return an ndarray, got {type(vectors).__name__}")
    _require(vectors.dtype == np.float32, f"encode should return float32, got {vectors.dtype}")
    _require(vectors.ndim == 2, f"encode should return (n, dimension), got shape {vectors.shape}")
    _require(len(vectors) == len(texts), f"{len(texts)} texts gave {len(vectors)} vectors")
    dimension = encoder.meta.dimension
    _require(dimension in (None, vectors.shape[1]), f"meta says {dimension} dimensions, got {vectors.shape[1]}")
    return vectors


def _near(a: NDArray[np.floating], b: NDArray[np.floating]) -> bool:
    return bool(np.allclose(a, b, rtol=0, atol=BATCH_TOLERANCE))


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ContractError(message)
