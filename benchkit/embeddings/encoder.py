"""Each distinct text goes through the model once, whoever asks for it and however often.

    texts ── distinct ── keys ── look up ─┬─ found ─────────────────────────────────────┐
                                          └─ missing ── longest first ── batches ── model ── vectors (n, d)
                                               └─ tokens, counted once      └─ each appended to the cache at once

What makes a rerun exact. A model's vector of a text may differ in its last bits with the batch it is in (padding, the
kernel that fits the shape). The batches of a call are cut from the front of the sorted list of its missing texts, each
as long as the room for tokens (or the number of texts) lets it be, so where a batch ends depends on the texts from its
start on and on nothing before. Each is stored as one block, whole or not at all, in order. So after an interruption
what is there is a run of whole batches from the front, what is missing is the rest of the same sorted list, and the
rerun cuts the same batches: the vectors are those of the uninterrupted run, byte for byte. It holds for the same calls
in the same order with the same room; where two processes encode the same texts at the same time, each text has a vector
of one of the two. Of several damaged blocks the texts are cut anew, as one list, so their last bits may change.

Tokens. A text is counted with its prompt, right before it is encoded, so that a model may keep the token ids for that.
A text whose vector is known is counted only for a `watch`, and only where nothing tells whether the model cuts it.
"""

from __future__ import annotations

import reprlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json, text_keys
from benchkit.embeddings.index import Keys, Rows
from benchkit.embeddings.lengths import CutTexts, ReadTexts, cut_batches
from benchkit.embeddings.memory import MemorySpace
from benchkit.embeddings.segment import Vectors
from benchkit.embeddings.store import CacheWriteError, VectorSpace, VectorStore
from benchkit.types.model import Encoder, ModelMeta, PromptApart, Role, TokenBatched

DEFAULT_BATCH_SIZE = 32
# Of a model that says how many tokens it likes: only texts without a token could be more than these on a processor.
MOST_TEXTS = 4_096
_ROWS_AT_A_TIME = 16_384  # looked up or copied at once: 25 MB at 384 dimensions
_NAMED_TEXTS = 3


@dataclass(frozen=True, slots=True)
class EncodeCounts:
    """What a `CachedEncoder` was asked for and did, over all its calls.

    Attributes:
        texts: Texts asked for.
        distinct: Distinct texts, summed over the calls.
        encoded: Of those, texts that went through the model.
        cached: Of those, texts whose vector was known.
        encode_s: Wall time in the model: its `encode`, and the tokenizer for the texts that were encoded.
    """

    texts: int = 0
    distinct: int = 0
    encoded: int = 0
    cached: int = 0
    encode_s: float = 0.0


@dataclass(slots=True)
class _Request:
    """One call of `encode`: its distinct texts and the array that it will return.

    Attributes:
        texts: The m distinct texts, in the order of their first position.
        first: Position of each of them in the call, int64 (m,).
        source: For each of the call's n texts the position of its first occurrence, int64 (n,).
        keys: uint8 (m, 16).
        result: float32 (n, d); made once, when d is known.
    """

    texts: list[str]
    first: Rows
    source: Rows
    keys: Keys
    result: Vectors | None = None

    def put(self, distinct: Rows, vectors: Vectors) -> None:
        """Store the vectors of these distinct texts at the first position of each."""
        if self.result is None:
            self.result = np.empty((len(self.source), vectors.shape[1]), np.float32)
        self.result[self.first[distinct]] = vectors

    def finish(self) -> Vectors:
        """Copy the vectors of repeated texts from their first position and return the result."""
        assert self.result is not None  # there is at least one text
        repeated = np.flatnonzero(self.source != np.arange(len(self.source)))
        for rows in _parts(repeated):
            self.result[rows] = self.result[self.source[rows]]
        return self.result


# Where the vectors of one prompt and role are: on disk, and in memory after the disk has failed or without one. New
# vectors go to the last.
_Layers = list[VectorSpace | MemorySpace]


class CachedEncoder:
    """An `Encoder` around an `Encoder`: the same vectors, each computed once per model, prompt, role and text.

    Args:
        encoder: The model.
        store: Where vectors are kept between processes; None keeps them in memory, for this object only.
        context: What else may change the last bits of a vector and isn't in the model's fingerprint: kind of device,
            versions of libraries. Vectors kept under another context aren't used.
        batch_size: Texts per call of a model that doesn't say how many tokens it likes in one (`TokenBatched`).
        on_progress: Called with the distinct texts done and all distinct texts of the call: after the look-up and
            after each batch.
        on_warning: Called once when the cache fails, and once for each space with damaged blocks; None warns the
            Python way.
        clock: Seconds, for `counts.encode_s`.
    """

    def __init__(
        self,
        encoder: Encoder,
        store: VectorStore | None = None,
        *,
        context: Mapping[str, str] | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        on_progress: Callable[[int, int], None] | None = None,
        on_warning: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self._encoder = encoder
        self._store = store
        self._context = dict(context or {})
        self._batch_size = batch_size
        self._on_progress = on_progress
        self._on_warning = on_warning or _warn
        self._clock = clock
        self._layers: dict[tuple[str, Role | None], _Layers] = {}
        self._has_failed = False
        self._counts = EncodeCounts()
        self._cut_texts = CutTexts(encoder.meta.max_seq_length)
        self._read_texts: ReadTexts | None = None

    @property
    def meta(self) -> ModelMeta:
        return self._encoder.meta

    @property
    def counts(self) -> EncodeCounts:
        return self._counts

    def prompt_for(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        return self._encoder.prompt_for(task_name=task_name, task_type=task_type, role=role)

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64] | None:
        return self._encoder.count_tokens(texts)

    def watch(self) -> ReadTexts:
        """Return a new count of the texts that are read from now on, and of those that the model cuts."""
        self._read_texts = ReadTexts()
        return self._read_texts

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> Vectors:
        """Return one vector per text, float32 (n, d), in the order of the texts.

        What was encoded before an exception is kept.

        Raises:
            ValueError: the model returned another number of vectors than it got texts, another dimension than before
                or than its `meta` says, or NaN or infinity; the message names texts and their positions.
        """
        if isinstance(texts, str):
            raise TypeError("encode takes a sequence of texts, got one string")
        layers = self._open(prompt, role)
        if not len(texts):
            return np.empty((0, self._known_dimension(layers) or 0), np.float32)
        request = _request(texts)
        missing = self._read(layers, request)
        n_distinct = len(request.texts)
        self._count(texts=len(texts), distinct=n_distinct, cached=n_distinct - len(missing))
        done = n_distinct - len(missing)
        self._report(done, n_distinct)
        self._count_known(request, missing, prompt)
        for batch in self._batches(request, missing, prompt):
            raw = self._encode_batch([request.texts[row] for row in batch], prompt, role)
            vectors = self._checked(raw, request, batch, self._known_dimension(layers))
            self._keep(layers, request.keys[batch], vectors)
            request.put(batch, vectors)
            done += len(batch)
            self._report(done, n_distinct)
        if self._read_texts is not None:
            self._read_texts.add(request.keys, self._cut_texts.among(request.keys, prompt))
        return request.finish()

    def _open(self, prompt: str, role: Role | None) -> _Layers:
        if (prompt, role) not in self._layers:
            space = self._open_on_disk(prompt, role)
            self._layers[prompt, role] = [MemorySpace() if space is None else space]
        return self._layers[prompt, role]

    def _open_on_disk(self, prompt: str, role: Role | None) -> VectorSpace | None:
        if self._store is None:
            return None
        meta = self.meta
        identity = {"prompt": prompt, "role": role, "context": self._context}
        model = _vector_key(self._encoder)
        try:
            space = self._store.open(model, digest_json(identity))
        except CacheWriteError as failure:
            self._warn_of_failure(failure)
            return None
        # On a full disk: the vectors that are there are still good.
        with suppress(CacheWriteError):
            self._store.describe(
                model,
                {"name": meta.name, "id": meta.id, "revision": meta.revision, "dimension": meta.dimension},
            )
        if meta.dimension is not None and space.dimension not in (None, meta.dimension):
            raise ValueError(
                f"model {meta.name} says {meta.dimension} dimensions, the vectors kept under its fingerprint "
                f"{model} have {space.dimension}: a fingerprint must cover all that decides the vectors"
            )
        if space.report.damaged_blocks:
            self._on_warning(
                f"{meta.name}: {space.report.damaged_blocks} damaged blocks in the embedding cache are left out; "
                "their texts are encoded again"
            )
        return space

    def _read(self, layers: _Layers, request: _Request) -> Rows:
        """Put the known vectors into the request and return the distinct texts without one, int64."""
        missing = np.arange(len(request.texts))
        for space in layers:
            unknown = []
            for rows in _parts(missing):
                found, vectors = space.lookup(request.keys[rows])
                if found.any():
                    request.put(rows[found], vectors)
                unknown.append(rows[~found])
            missing = np.concatenate(unknown) if unknown else missing
        return missing

    def _count_known(self, request: _Request, missing: Rows, prompt: str) -> None:
        """Count those texts with a vector of which a `watch` has to know whether they are cut."""
        if self._read_texts is None:
            return
        is_known = np.ones(len(request.texts), bool)
        is_known[missing] = False
        known = np.flatnonzero(is_known)
        unsure = known[self._cut_texts.unknown([request.texts[row] for row in known], request.keys[known], prompt)]
        if len(unsure):
            self._lengths([request.texts[row] for row in unsure], request.keys[unsure], prompt)

    def _batches(self, request: _Request, missing: Rows, prompt: str) -> Iterator[Rows]:
        """Cut the missing texts, longest first, equal lengths by key: an order that only the set of texts decides.

        Longest first keeps texts of like length together, so that little is padded, and shows at once whether the
        largest batch fits into memory.
        """
        if not len(missing):
            return
        texts = [request.texts[row] for row in missing]
        start = self._clock()
        lengths = self._lengths(texts, request.keys[missing], prompt)
        self._count(encode_s=self._clock() - start)
        if lengths is None:
            lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        words = np.ascontiguousarray(request.keys[missing]).view(">u8")
        order = np.lexsort((words[:, 1], words[:, 0], -lengths))
        for batch in self._cut(lengths[order]):
            yield missing[order[batch]]

    def _lengths(self, texts: list[str], keys: Keys, prompt: str) -> Rows | None:
        """Return the tokens of n texts with their prompt, int64 (n,), and note them; None without a tokenizer."""
        counted = self._encoder.count_tokens([prompt + text for text in texts] if prompt else texts)
        if counted is None:
            return None
        lengths = np.asarray(counted, np.int64)
        self._cut_texts.note(texts, keys, prompt, lengths)
        return lengths

    def _cut(self, lengths: Rows) -> Iterator[slice]:
        if not isinstance(self._encoder, TokenBatched):
            return cut_batches(np.zeros_like(lengths), max_tokens=0, max_texts=self._batch_size)
        read = lengths if self.meta.max_seq_length is None else np.minimum(lengths, self.meta.max_seq_length)
        return cut_batches(read, max_tokens=self._encoder.batch_tokens, max_texts=MOST_TEXTS)

    def _encode_batch(self, texts: list[str], prompt: str, role: Role | None) -> NDArray[np.generic]:
        start = self._clock()
        vectors = np.asarray(self._encoder.encode(texts, prompt=prompt, role=role))
        self._count(encoded=len(texts), encode_s=self._clock() - start)
        return vectors

    def _checked(self, vectors: NDArray[np.generic], request: _Request, batch: Rows, dimension: int | None) -> Vectors:
        self._check_shape(vectors, len(batch), dimension)
        # A float64 beyond float32's range becomes infinite here and is refused like any other infinity.
        with np.errstate(over="ignore"):
            floats = vectors.astype(np.float32, copy=False)
        self._check_finite(floats, request, batch)
        return floats

    def _known_dimension(self, layers: _Layers) -> int | None:
        stored = (space.dimension for space in layers if space.dimension is not None)
        return self.meta.dimension or next(stored, None)

    def _check_shape(self, vectors: NDArray[np.generic], n_texts: int, dimension: int | None) -> None:
        if vectors.ndim != 2 or len(vectors) != n_texts or not vectors.shape[1]:
            raise ValueError(f"model {self.meta.name} returned an array {vectors.shape} for {n_texts} texts")
        if dimension is not None and vectors.shape[1] != dimension:
            raise ValueError(
                f"model {self.meta.name} returned vectors of {vectors.shape[1]} dimensions; expected {dimension}, "
                "from its description or its earlier vectors"
            )

    def _check_finite(self, vectors: Vectors, request: _Request, batch: Rows) -> None:
        bad = batch[~np.isfinite(vectors).all(axis=1)]
        if not len(bad):
            return
        named = ", ".join(f"[{request.first[row]}] {reprlib.repr(request.texts[row])}" for row in bad[:_NAMED_TEXTS])
        more = f" and {len(bad) - _NAMED_TEXTS} more" if len(bad) > _NAMED_TEXTS else ""
        raise ValueError(f"model {self.meta.name} returned NaN or infinity for the texts {named}{more}")

    def _keep(self, layers: _Layers, keys: Keys, vectors: Vectors) -> None:
        try:
            layers[-1].append(keys, vectors)
        except CacheWriteError as failure:
            self._warn_of_failure(failure)
            layers.append(MemorySpace())
            layers[-1].append(keys, vectors)

    def _warn_of_failure(self, failure: CacheWriteError) -> None:
        if not self._has_failed:
            self._on_warning(f"going on without the embedding cache: {failure}")
        self._has_failed = True

    def _report(self, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(done, total)

    def _count(
        self, *, texts: int = 0, distinct: int = 0, encoded: int = 0, cached: int = 0, encode_s: float = 0.0
    ) -> None:
        so_far = self._counts
        self._counts = EncodeCounts(
            texts=so_far.texts + texts,
            distinct=so_far.distinct + distinct,
            encoded=so_far.encoded + encoded,
            cached=so_far.cached + cached,
            encode_s=so_far.encode_s + encode_s,
        )


def _request(texts: Sequence[str]) -> _Request:
    """Find the distinct texts of a call and where each is first met."""
    first: dict[str, int] = {}
    source = np.fromiter((first.setdefault(text, at) for at, text in enumerate(texts)), np.int64, len(texts))
    distinct = list(first)
    return _Request(
        texts=distinct,
        first=np.fromiter(first.values(), np.int64, len(first)),
        source=source,
        keys=text_keys(distinct),
    )


def _parts(rows: Rows) -> Iterator[Rows]:
    return (rows[start : start + _ROWS_AT_A_TIME] for start in range(0, len(rows), _ROWS_AT_A_TIME))


def _vector_key(encoder: Encoder) -> str:
    """Return what the model's vectors are kept under: what it is, without a table of prompts that decides none."""
    return encoder.vector_key if isinstance(encoder, PromptApart) else encoder.meta.fingerprint


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
