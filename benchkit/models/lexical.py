"""Lexical models: tf-idf and BM25, the floor that an embedding model has to beat.

    a task's texts ── terms ── fit ── document frequencies, mean length
                                            │
    texts ── terms ── counts (n, vocabulary) ── weights ── CSR matrix, float32

tf-idf: (1 + ln tf) · (1 + ln((1 + N) / (1 + df))), rows of unit length, compared by cosine. Any task.
BM25: a document row holds the whole weight idf · tf / (k1 · ((1 - b) + b · length / mean length) + tf) and a query row
holds term counts, so that `query @ document.T` is the BM25 score. Only ranking tasks: it says nothing about two texts
of one kind.

Sources: Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", FnTIR 3 (2009), eq. 3.15;
idf = ln(1 + (N - df + 0.5) / (df + 0.5)) as in Lucene's BM25Similarity, which is never negative.
scikit-learn's TfidfVectorizer(sublinear_tf=True) for tf-idf.
Cost: one pass over the characters; memory is the number of distinct (text, term) pairs.
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
import sys
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json
from benchkit.errors import ModelError
from benchkit.models.options import check_options, float_option, int_option
from benchkit.types.model import CorpusFitted, ModelMeta, ModelSpec, OpenContext, Role, Variant

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

TOKENIZER_VERSION = 1  # raise it with every change to `terms`: it is part of the models' identity
RANKING = frozenset({"Retrieval", "Reranking"})
K1 = 1.2  # Lucene's default; Robertson & Zaragoza call 1.2 to 2 reasonable
B = 0.75  # Lucene's default; Robertson & Zaragoza call 0.5 to 0.8 reasonable
# Classifiers and k-means take dense rows: 50,000 float32 columns are 200 KB a text, about the most that still works.
MAX_FEATURES = 50_000
MAX_NGRAMS = 5

# Blocks of scripts that put no space between words: ideographs, kana, bopomofo; Thai, Lao, Myanmar, Khmer, Tai and
# Javanese.
_UNSPACED_BLOCKS: tuple[tuple[int, int], ...] = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x1950, 0x19DF),
    (0x1A20, 0x1AAF),
    (0x2E80, 0x2FDF),
    (0x3005, 0x3007),
    (0x3021, 0x3029),
    (0x3031, 0x30FF),
    (0x3105, 0x312F),
    (0x31A0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA980, 0xA9FF),
    (0xAA60, 0xAADF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_JOINERS = "\u200c\u200d"  # they stand inside words of Persian and of Indic scripts


def open_tfidf(spec: ModelSpec, context: OpenContext) -> LexicalHandle:
    """Return a tf-idf model; options `ngrams` (1: words alone) and `max_features` (the most frequent terms are kept).

    Raises:
        ModelError: an option or a setting that a lexical model doesn't have.
    """
    _refuse_settings(spec, {"ngrams", "max_features"})
    ngrams = int_option(spec, "ngrams", 1, least=1, most=MAX_NGRAMS)
    max_features = int_option(spec, "max_features", MAX_FEATURES, least=1)
    meta = _meta(spec, "tfidf", {"ngrams": ngrams, "max_features": max_features}, note="")
    return LexicalHandle(meta, lambda: Tfidf(meta, ngrams=ngrams, max_features=max_features))


def open_bm25(spec: ModelSpec, context: OpenContext) -> LexicalHandle:
    """Return a BM25 model; options `k1` (0: only whether a term occurs) and `b` (0: length doesn't matter).

    Raises:
        ModelError: an option or a setting that a lexical model doesn't have.
    """
    _refuse_settings(spec, {"k1", "b"})
    k1 = float_option(spec, "k1", K1, least=0)
    b = float_option(spec, "b", B, least=0, most=1)
    meta = _meta(spec, "bm25", {"k1": k1, "b": b}, note="ranks documents for a query; other tasks have no score")
    return LexicalHandle(meta, lambda: Bm25(meta, k1=k1, b=b))


@dataclass(frozen=True, slots=True)
class LexicalHandle:
    """A lexical model that hasn't seen a task; each `load` gives a fresh one."""

    meta: ModelMeta
    _make: Callable[[], CorpusFitted] = field(repr=False)

    def load(self) -> CorpusFitted:
        return self._make()


class Tfidf:
    """Term frequency times inverse document frequency (see the module's header)."""

    task_types: frozenset[str] | None = None

    def __init__(self, meta: ModelMeta, *, ngrams: int, max_features: int) -> None:
        self.meta = meta
        self._ngrams = ngrams
        self._max_features = max_features
        self._vocabulary: Mapping[str, int] = {}
        self._idf: NDArray[np.float32] = np.empty(0, np.float32)

    def fit(self, texts: Sequence[str]) -> None:
        """Learn vocabulary and document frequencies.

        Raises:
            ModelError: no text has a word.
        """
        from sklearn.feature_extraction.text import TfidfTransformer

        every = _vocabulary(map(self._terms, texts), self.meta.name)
        counts = _counts(map(self._terms, texts), every).matrix
        kept = _most_frequent(np.asarray(counts.sum(axis=0)).ravel(), self._max_features)
        by_column = list(every)
        self._vocabulary = {by_column[column]: place for place, column in enumerate(kept)}
        self._idf = np.asarray(TfidfTransformer().fit(counts[:, kept]).idf_, dtype=np.float32)

    def encode_sparse(self, texts: Sequence[str], *, role: Role | None = None) -> csr_matrix:
        """Return tf-idf rows of unit length, CSR float32 (n, vocabulary); zeros for a text without a known word.

        Raises:
            ValueError: `fit` wasn't called.
        """
        from sklearn.preprocessing import normalize

        _check_fitted(self._vocabulary)
        rows = _counts(map(self._terms, texts), self._vocabulary).matrix
        rows.data = (1 + np.log(rows.data)) * self._idf[rows.indices]
        unit: csr_matrix = normalize(rows, copy=False)
        return unit

    def _terms(self, text: str) -> list[str]:
        return terms(text, ngrams=self._ngrams)


class Bm25:
    """Best matching 25 (see the module's header)."""

    task_types: frozenset[str] | None = RANKING

    def __init__(self, meta: ModelMeta, *, k1: float, b: float) -> None:
        self.meta = meta
        self._k1 = k1
        self._b = b
        self._vocabulary: Mapping[str, int] = {}
        self._idf: NDArray[np.float64] = np.empty(0)
        self._mean_length = 0.0

    def fit(self, texts: Sequence[str]) -> None:
        """Learn the vocabulary, document frequencies and mean length of the documents.

        Raises:
            ModelError: no text has a word.
        """
        self._vocabulary = _vocabulary(map(terms, texts), self.meta.name)
        counts = _counts(map(terms, texts), self._vocabulary)
        n_with = np.bincount(counts.matrix.indices, minlength=len(self._vocabulary))
        self._idf = np.log1p((len(texts) - n_with + 0.5) / (n_with + 0.5))
        self._mean_length = float(counts.lengths.mean())

    def encode_sparse(self, texts: Sequence[str], *, role: Role | None = None) -> csr_matrix:
        """Return term weights for documents and term counts for queries, CSR float32 (n, vocabulary).

        Raises:
            ValueError: `fit` wasn't called, or the role isn't known.
        """
        _check_fitted(self._vocabulary)
        if role is None:
            raise ValueError("BM25 treats queries and documents differently; role must be 'query' or 'document'")
        counts = _counts(map(terms, texts), self._vocabulary)
        return counts.matrix if role == "query" else self._weighted(counts)

    def _weighted(self, counts: _Counts) -> csr_matrix:
        rows = counts.matrix
        length_norm = self._k1 * (1 - self._b + self._b * counts.lengths / self._mean_length)
        per_entry = np.repeat(length_norm, np.diff(rows.indptr))
        tf = rows.data.astype(np.float64)
        rows.data = (self._idf[rows.indices] * tf / (per_entry + tf)).astype(np.float32)
        return rows


def terms(text: str, *, ngrams: int = 1) -> list[str]:
    """Return the index terms of a text in any language.

    The text is folded to Unicode's NFKC form without case. A word is a run of letters, digits, underscores and
    combining marks. Where a script puts no space between words (Chinese, Japanese, Thai, Lao, Khmer, Myanmar ...),
    every character with its marks is a term and so is every pair of neighbours: pairs do most of a segmenter's work
    without its dictionary. Nothing is stemmed and no word is left out.

    Args:
        ngrams: Also give the runs of 2 to n words that follow each other.

    >>> terms("The Cat's 2nd straße")
    ['the', 'cat', 's', '2nd', 'strasse']
    >>> terms("用BM25检索")
    ['用', 'bm25', '检', '索', '检索']
    >>> terms("new york city", ngrams=2)
    ['new', 'york', 'city', 'new york', 'york city']
    """
    found: list[str] = []
    for words, unspaced in _segments(text):
        found += words
        longest = 2 if unspaced else ngrams
        glue = "" if unspaced else " "
        for n in range(2, longest + 1):
            found += [glue.join(words[start : start + n]) for start in range(len(words) - n + 1)]
    return found


def _segments(text: str) -> Iterator[tuple[list[str], bool]]:
    """Yield the words of each stretch of one kind, and whether its script is written without spaces."""
    word = _patterns()
    spaced: list[str] = []
    for match in word.token.finditer(_folded(text)):
        if match.lastgroup == "word":
            spaced.append(match.group())
            continue
        yield spaced, False
        spaced = []
        yield word.character.findall(match.group()), True
    yield spaced, False


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


@dataclass(frozen=True, slots=True)
class _Patterns:
    token: re.Pattern[str]
    character: re.Pattern[str]


@functools.cache
def _patterns() -> _Patterns:
    # Python's \w leaves combining marks out and would cut a Hindi or Thai word at every vowel sign.
    marks = _class_of(c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c).startswith("M"))
    letters = (chr(code) for first, last in _UNSPACED_BLOCKS for code in range(first, last + 1))
    unspaced = _class_of(c for c in letters if unicodedata.category(c)[0] in "LM" or unicodedata.category(c) == "Nl")
    token = f"(?P<unspaced>[{unspaced}][{unspaced}{marks}]*)|(?P<word>(?:[^\\W{unspaced}][{marks}{_JOINERS}]*)+)"
    return _Patterns(re.compile(token), re.compile(f".[{marks}]*"))


def _class_of(characters: Iterable[str]) -> str:
    """Return the inside of a regular expression's [...] for characters in ascending order, as ranges."""
    ranges: list[tuple[int, int]] = []
    for code in map(ord, characters):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1] = (ranges[-1][0], code)
        else:
            ranges.append((code, code))
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


def _vocabulary(documents: Iterable[list[str]], label: str) -> dict[str, int]:
    """Return the terms in alphabetical order with their columns, so that the order of the texts doesn't matter."""
    distinct: set[str] = set()
    for document in documents:
        distinct.update(document)
    if not distinct:
        raise ModelError(f"model {label!r}: no text of the task has a word, so there is nothing to fit it on")
    return {term: column for column, term in enumerate(sorted(distinct))}


@dataclass(frozen=True, slots=True)
class _Counts:
    """Term counts, CSR float32 (n, vocabulary), and each text's number of terms, those outside the vocabulary too."""

    matrix: csr_matrix
    lengths: NDArray[np.int64]


def _counts(documents: Iterable[list[str]], vocabulary: Mapping[str, int]) -> _Counts:
    from scipy.sparse import csr_matrix

    columns, values, starts, lengths = array("q"), array("f"), array("q", [0]), array("q")
    for document in documents:
        known = Counter(vocabulary[term] for term in document if term in vocabulary)
        for column in sorted(known):
            columns.append(column)
            values.append(known[column])
        starts.append(len(columns))
        lengths.append(len(document))
    parts = (np.array(values, np.float32), np.array(columns, np.int64), np.array(starts, np.int64))
    return _Counts(csr_matrix(parts, shape=(len(lengths), len(vocabulary))), np.array(lengths, np.int64))


def _most_frequent(totals: NDArray[Any], n_kept: int) -> NDArray[np.int64]:
    # A stable sort: of terms with one count the first in the alphabet stays, on every machine.
    return np.sort(np.argsort(-totals, kind="stable")[:n_kept])


def _check_fitted(vocabulary: Mapping[str, int]) -> None:
    if not vocabulary:
        raise ValueError("a lexical model has to be fitted on the task's texts before it encodes")


def _refuse_settings(spec: ModelSpec, options: set[str]) -> None:
    check_options(spec, options)
    settings = {
        "dim, precision or normalize": spec.variant != Variant(),
        "prompts": bool(spec.prompts),
        "max_seq_length": spec.max_seq_length is not None,
        "revision": spec.revision is not None,
    }
    for name, given in settings.items():
        if given:
            raise ModelError(f"model {spec.label!r}: a lexical model ({spec.name}) has no {name}")


def _meta(spec: ModelSpec, kind: str, parameters: Mapping[str, float], *, note: str) -> ModelMeta:
    identity = {
        "model": kind,
        "parameters": dict(parameters),
        "tokenizer": TOKENIZER_VERSION,
        "scikit-learn": importlib.metadata.version("scikit-learn"),
    }
    settings = ", ".join(f"{name}={value:g}" for name, value in parameters.items())
    return ModelMeta(
        name=spec.label,
        id=f"lexical:{kind}",
        revision=None,
        fingerprint=digest_json(identity),
        dimension=None,
        similarity="cosine" if kind == "tfidf" else "dot",
        normalized=kind == "tfidf",
        notes=tuple(filter(None, (f"{kind} with {settings}, fitted on the texts of each task", note))),
    )
