"""Our encoders in the shape that MTEB asks for.

    Encoder (fp32, cached) ── prompt of the task ── VariantView (cut, quantise) ──> MtebEncoder   MTEB EncoderProtocol
    CorpusFitted (tf-idf, BM25) ── fitted on the task's own texts ──┬─> LexicalEncoder  dense, for scikit-learn scorers
                                                                    └─> LexicalSearch   sparse, for retrieval

MTEB hands over a DataLoader; all texts of a call are read from its data set at once, so that they are sorted by length
over the whole call and encoded once however often they repeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from benchkit.tasks.variant import VariantView
from benchkit.types.model import CorpusFitted, Encoder, Role, Similarity

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Columns of a dense lexical matrix; more would not fit in memory for tasks of 10,000 texts.
_DENSE_LIMIT = 50_000


def texts_of(inputs: Any) -> list[str]:
    """Return all texts of MTEB's DataLoader, in order.

    Raises:
        ValueError: a text is missing.
    """
    dataset = inputs.dataset
    texts = (
        list(dataset["text"][:]) if "text" in dataset.column_names else [t for batch in inputs for t in batch["text"]]
    )
    missing = [row for row, text in enumerate(texts) if not isinstance(text, str)]
    if missing:
        raise ValueError(f"{len(missing)} texts are missing, first at row {missing[0]}")
    return texts


def role_of(prompt_type: Any) -> Role | None:
    """Return our name of MTEB's prompt type."""
    return None if prompt_type is None else cast("Role", prompt_type.value)


class _MtebModel:
    """What MTEB asks of every model: a name and two similarities.

    Attributes:
        n_texts: Texts that MTEB handed over to be encoded so far; those that are read for calibration are not among
            them.
        n_zero: Those of them whose vector is zero throughout.
    """

    def __init__(self, name: str, similarity: Similarity) -> None:
        self.n_texts = 0
        self.n_zero = 0
        self._similarity: Similarity = similarity
        self._name = name

    def _count(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        self.n_texts += len(vectors)
        self.n_zero += len(vectors) - int(np.count_nonzero(vectors.any(axis=1)))
        return vectors

    @property
    def mteb_model_meta(self) -> Any:
        from mteb.models import ModelMeta
        from mteb.models.model_meta import ScoringFunction

        function = ScoringFunction.COSINE if self._similarity == "cosine" else ScoringFunction.DOT_PRODUCT
        return ModelMeta.create_empty(
            {"name": f"benchkit/{self._name}", "revision": "content", "similarity_fn_name": function}
        )

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        from mteb.similarity_functions import cos_sim, dot_score

        return (cos_sim if self._similarity == "cosine" else dot_score)(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        from mteb.similarity_functions import pairwise_cos_sim, pairwise_dot_score

        function = pairwise_cos_sim if self._similarity == "cosine" else pairwise_dot_score
        return function(embeddings1, embeddings2)


class MtebEncoder(_MtebModel):
    """MTEB's EncoderProtocol over an `Encoder`; retrieval scores of int8 and binary variants are exact integers."""

    def __init__(self, encoder: Encoder, view: VariantView, threads: ScoringThreads | None = None) -> None:
        super().__init__(encoder.meta.name, encoder.meta.similarity)
        self._encoder = encoder
        self._view = view
        self._threads = threads

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **_: Any,
    ) -> NDArray[np.float32]:
        vectors = self.vectors(texts_of(inputs), task_metadata=task_metadata, role=role_of(prompt_type))
        return self._view.apply(self._count(vectors), subset=hf_subset)

    def vectors(self, texts: Sequence[str], *, task_metadata: Any, role: Role | None) -> NDArray[np.float32]:
        """Return fp32 vectors (n, full dimension), before truncation and quantisation."""
        prompt = self._encoder.prompt_for(task_name=task_metadata.name, task_type=task_metadata.type, role=role)
        with self._threads.all() if self._threads else nothing():
            return self._encoder.encode(texts, prompt=prompt, role=role if self._encoder.meta.uses_role else None)

    def calibrate(self, documents: Sequence[str], *, task_metadata: Any, subset: str) -> None:
        """Fix the int8 scale of a subset on its documents, before queries come."""
        self._view.calibrate(self.vectors(documents, task_metadata=task_metadata, role="document"), subset=subset)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        exact = self._view.scores(np.asarray(embeddings1), np.asarray(embeddings2))
        return super().similarity(embeddings1, embeddings2) if exact is None else exact


class LexicalEncoder(_MtebModel):
    """MTEB's EncoderProtocol over a lexical model that was fitted on the task's texts; vectors are dense (n, words)."""

    def __init__(self, model: CorpusFitted) -> None:
        super().__init__(model.meta.name, model.meta.similarity)
        self._model = model

    def encode(self, inputs: Any, *, prompt_type: Any = None, **_: Any) -> NDArray[np.float32]:
        matrix = cast("csr_array", self._model.encode_sparse(texts_of(inputs), role=role_of(prompt_type)))
        if matrix.shape[1] > _DENSE_LIMIT:
            raise ValueError(f"{matrix.shape[1]} different words are too many for a dense matrix; set max_features")
        return self._count(np.asarray(matrix.toarray(), dtype=np.float32))


class LexicalSearch(_MtebModel):
    """MTEB's SearchProtocol over a lexical model: sparse products, every document scored."""

    def __init__(self, model: CorpusFitted) -> None:
        super().__init__(model.meta.name, model.meta.similarity)
        self._model = model
        self._ids: list[str] = []
        self._rank: NDArray[np.int64] = np.empty(0, np.int64)
        self._documents: Any = None

    def index(self, corpus: Any, **_: Any) -> None:
        self._ids = list(corpus["id"][:])
        self._rank = np.empty(len(self._ids), np.int64)
        self._rank[sorted(range(len(self._ids)), key=self._ids.__getitem__)] = np.arange(len(self._ids))
        self._documents = self._model.encode_sparse(document_texts(corpus), role="document")

    def search(
        self, queries: Any, *, top_k: int, top_ranked: dict[str, list[str]] | None = None, **_: Any
    ) -> dict[str, dict[str, float]]:
        matrix = cast("csr_array", self._model.encode_sparse(query_texts(queries), role="query"))
        row_of = {document: row for row, document in enumerate(self._ids)}
        results: dict[str, dict[str, float]] = {}
        for number, query in enumerate(queries["id"][:]):
            scores = np.asarray((self._documents @ matrix[[number]].T).todense()).ravel()
            rows = np.arange(len(scores))
            if top_ranked is not None:
                rows = np.array([row_of[document] for document in top_ranked.get(query, [])], dtype=np.intp)
            best = rows[_largest(scores[rows], self._rank[rows], top_k)]
            results[query] = {self._ids[row]: float(scores[row]) for row in best}
        return results


def _largest(scores: NDArray[np.floating], ranks: NDArray[np.int64], most: int) -> NDArray[np.intp]:
    """Return the places of the largest scores, the largest first.

    Of equal ones the larger rank comes first, as in trec_eval and in the search with vectors: many documents score 0,
    and the order of a file must not decide which of them are found.
    """
    least = np.partition(scores, -most)[-most] if len(scores) > most else -np.inf
    places = np.flatnonzero(scores >= least)
    return places[np.lexsort((ranks[places], scores[places]))[::-1][:most]]


def document_texts(corpus: Any) -> list[str]:
    """Return the documents as MTEB hands them to a model: title and text with a space between, stripped."""
    texts = corpus["text"][:]
    titles = corpus["title"][:] if "title" in corpus.column_names else [""] * len(texts)
    return [
        f"{title} {text}".strip() if title else str(text).strip() for title, text in zip(titles, texts, strict=True)
    ]


def query_texts(queries: Any) -> list[str]:
    """Return the queries as MTEB hands them to a model: the text, and the instruction behind it where there is one."""
    texts = queries["text"][:]
    if texts and isinstance(texts[0], list):
        return [
            "; ".join(t if isinstance(t, str) else f"{t['role']}: {t['content']}" for t in turns) for turns in texts
        ]
    instructions = queries["instruction"][:] if "instruction" in queries.column_names else [None] * len(texts)
    return [text if extra is None else f"{text} {extra}" for text, extra in zip(texts, instructions, strict=True)]


@contextmanager
def nothing() -> Iterator[None]:
    """Do nothing; stands where a context is optional."""
    yield


class ScoringThreads:
    """One thread for scikit-learn's scorers, all threads for encoding.

    scikit-learn's k-means and logistic regression on small data lose up to twentyfold to OpenMP threads that wait for
    each other on a busy machine; the scores are the same.
    """

    def __init__(self) -> None:
        from threadpoolctl import ThreadpoolController

        self._controller = ThreadpoolController()
        self._limiter: Any = None

    def __enter__(self) -> ScoringThreads:
        self._limiter = self._controller.limit(limits=1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._limiter is not None:
            self._limiter.restore_original_limits()
            self._limiter = None

    @contextmanager
    def all(self) -> Iterator[None]:
        """Give all threads back for the duration of an encode."""
        if self._limiter is None:
            yield
            return
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()
