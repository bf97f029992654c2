"""Fakes live once: a deterministic encoder without weights, and ways to spoil it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json
from benchkit.types.model import ModelMeta, Role


@dataclass
class HashingEncoder:
    """Character trigrams hashed into a vector of unit length: similar texts are near, nothing is downloaded.

    Attributes:
        seed: Another seed is another model.
        spoil: Applied to the vectors before they are returned.
        prompts: Prompt by role ("query", "document").
        seen: Every text that was encoded, in order.
    """

    name: str = "hashing"
    dimension: int = 64
    seed: int = 0
    noise: float = 0.0
    max_seq_length: int | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    spoil: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None
    fingerprint: str | None = None
    seen: list[str] = field(default_factory=list)

    @property
    def meta(self) -> ModelMeta:
        identity = {"seed": self.seed, "dimension": self.dimension, "noise": self.noise, "prompts": dict(self.prompts)}
        return ModelMeta(
            name=self.name,
            id=f"fake:{self.name}",
            revision="1",
            fingerprint=self.fingerprint or digest_json(identity),
            dimension=self.dimension,
            bytes_per_vector=4 * self.dimension,
            parameters=self.dimension,
            normalized=True,
            max_seq_length=self.max_seq_length,
        )

    def prompt_for(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        return self.prompts.get(role or "", "")

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        return np.array([len(text.split()) for text in texts], dtype=np.int64)

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.float32]:
        self.seen.extend(texts)
        vectors = (
            np.stack([self._vector(prompt + text) for text in texts]) if len(texts) else np.empty((0, self.dimension))
        )
        result = vectors.astype(np.float32)
        return result if self.spoil is None else self.spoil(result)

    def _vector(self, text: str) -> NDArray[np.float64]:
        vector = np.full(self.dimension, 1e-3)
        padded = f"  {text} "
        for start in range(len(padded) - 2):
            gram = padded[start : start + 3].lower().encode("utf-8", "replace")
            digest = hashlib.blake2b(gram, digest_size=8, salt=self.seed.to_bytes(8, "little")).digest()
            number = int.from_bytes(digest, "little")
            vector[number % self.dimension] += 1.0 if number >> 63 else -1.0
        if self.noise:
            key = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")
            vector = vector + self.noise * np.random.default_rng(key).normal(size=self.dimension)
        return vector / np.linalg.norm(vector)


@dataclass(frozen=True)
class Handle:
    """A found model around an encoder that is there already."""

    encoder: HashingEncoder

    @property
    def meta(self) -> ModelMeta:
        return self.encoder.meta

    def load(self) -> HashingEncoder:
        return self.encoder


class MtebTwin:
    """The same encoder as plain MTEB would be given it: MTEB's EncoderProtocol, nothing of ours in between."""

    def __init__(self, encoder: HashingEncoder) -> None:
        from mteb.models import ModelMeta as MtebMeta
        from mteb.models.model_meta import ScoringFunction

        self._encoder = encoder
        self.mteb_model_meta = MtebMeta.create_empty(
            {"name": f"fake/{encoder.name}", "revision": "1", "similarity_fn_name": ScoringFunction.COSINE}
        )

    def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **_):  # type: ignore[no-untyped-def]
        texts = [text for batch in inputs for text in batch["text"]]
        role = prompt_type.value if prompt_type else None
        prompt = self._encoder.prompt_for(task_name=task_metadata.name, task_type=task_metadata.type, role=role)
        return self._encoder.encode(texts, prompt=prompt)

    def similarity(self, a, b):  # type: ignore[no-untyped-def]
        from mteb.similarity_functions import cos_sim

        return cos_sim(a, b)

    def similarity_pairwise(self, a, b):  # type: ignore[no-untyped-def]
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(a, b)


SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
