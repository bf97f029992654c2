"""A model whose vectors betray their batch, and the child processes that are killed while they use it.

Run as a script it is such a child, with `encode <cache> <delay_s>` or `append <cache> <seed> <blocks>` as arguments.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import benchkit
from benchkit.embeddings.encoder import CachedEncoder
from benchkit.embeddings.fingerprint import text_keys
from benchkit.embeddings.store import VectorStore
from benchkit.types.model import ModelMeta, Role

DIMENSION = 12
CORPUS = [f"text {number} " + "word " * (number * 7919 % 23) for number in range(600)]


def noise(content: str) -> NDArray[np.float32]:
    """Standard normal numbers that only the text decides."""
    seed = int.from_bytes(hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest()[:8], "little")
    return np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)


class BatchEncoder:
    """An encoder whose vectors change in their last digits with the batch, as those of a padded model do."""

    def __init__(
        self,
        fingerprint: str = "abc123",
        *,
        delay_s: float = 0.0,
        tokens: bool = False,
        max_seq_length: int | None = None,
    ) -> None:
        self.meta = ModelMeta(
            name="fake",
            id="test:fake",
            revision="1",
            fingerprint=fingerprint,
            dimension=DIMENSION,
            normalized=False,
            max_seq_length=max_seq_length,
        )
        self.batches: list[list[str]] = []
        self.counted: list[list[str]] = []
        self.spoil: Callable[[NDArray[np.float32]], NDArray[np.generic]] = lambda vectors: vectors
        self._delay_s = delay_s
        self._tokens = tokens

    def prompt_for(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        return f"{task_name}/{task_type}/{role}: "

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.generic]:
        self.batches.append(list(texts))
        time.sleep(self._delay_s)
        of_batch = noise("\0".join(texts)) * np.float32(1e-5)
        return self.spoil(np.stack([noise(f"{prompt}|{role}|{text}") for text in texts]) + of_batch)

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64] | None:
        self.counted.append(list(texts))
        return np.array([len(text.split()) for text in texts], np.int64) if self._tokens else None


class TokenBatchEncoder(BatchEncoder):
    """The same, of a model that says how many tokens it likes in a call."""

    def __init__(self, fingerprint: str = "abc123", *, batch_tokens: int = 40, **options: Any) -> None:
        super().__init__(fingerprint, tokens=True, **options)
        self.batch_tokens = batch_tokens

    def padded_tokens(self, lengths: NDArray[np.int64]) -> int:
        return int(lengths.sum())


@pytest.fixture
def make_encoder() -> type[BatchEncoder]:
    return BatchEncoder


@pytest.fixture
def make_token_encoder() -> type[TokenBatchEncoder]:
    return TokenBatchEncoder


@pytest.fixture
def text_noise() -> Callable[[str], NDArray[np.float32]]:
    return noise


@pytest.fixture
def corpus() -> list[str]:
    return list(CORPUS)


@pytest.fixture
def start_child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start this file as a script; what is left of the children at the end of the test is killed."""
    children: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        # The package may be imported from the working tree; a child has to find the same one.
        environment = {**os.environ, "PYTHONPATH": str(Path(benchkit.__file__).parents[1])}
        command = [sys.executable, __file__, *map(str, arguments)]
        pipe = subprocess.PIPE
        children.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment))
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.communicate()


def main(action: str, cache: Path, *numbers: str) -> None:
    with VectorStore(cache) as store:
        if action == "encode":
            CachedEncoder(BatchEncoder(delay_s=float(numbers[0])), store, batch_size=8).encode(CORPUS)
            return
        seed, n_blocks = map(int, numbers)
        space = store.open("shared", "space")
        print("open", flush=True)
        sys.stdin.readline()  # wait until all writers are there
        for block in range(n_blocks):
            own = [f"writer {seed}, block {block}, text {row}" for row in range(5)]
            texts = [*own, f"common {block}"]
            space.append(text_keys(texts), np.stack([noise(text) for text in texts]))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
