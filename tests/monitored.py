"""Production of a small model, made up: rows around six topics, a source of them, and a model that can be asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fakes import HashingEncoder

from benchkit.api.model import LoadedModel
from benchkit.monitor.live_model import LiveModel
from benchkit.tasks.variant import VariantView
from benchkit.types.drift import Rows
from benchkit.types.model import Variant

DIMENSION = 10
_TOPICS = np.random.default_rng(99).normal(size=(6, DIMENSION)) * 1.5
DAY = np.timedelta64(1, "D")
START = np.datetime64("2026-03-01T00:00:00", "us")


def draw(seed: int, n: int, *, shift: float = 0.0) -> np.ndarray:
    """Return unit vectors of six topics (n, 10), float32; a shift moves all of them before they get that length."""
    rng = np.random.default_rng(seed)
    rows = _TOPICS[rng.integers(0, len(_TOPICS), n)] + rng.normal(size=(n, DIMENSION))
    rows[:, 0] += shift
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def times(n: int, days: float, *, start: np.datetime64 = START) -> np.ndarray:
    """Return n times, evenly over some days."""
    return start + (np.arange(n) * (days * 86_400e6 / n)).astype("timedelta64[us]")


@dataclass(frozen=True)
class ListSource:
    """A source that holds its rows in memory."""

    batches: Sequence[Rows]
    name: str = "made-up"
    is_ordered: bool = True

    def read(self, after: Mapping[str, Any] | None = None, *, batch_rows: int = 8192) -> Iterator[Rows]:
        yield from self.batches


def cut(rows: Rows, size: int) -> list[Rows]:
    """Return rows in batches."""
    return [rows.take(slice(start, start + size)) for start in range(0, len(rows), size)]


def live_model(encoder: HashingEncoder | None = None, spec: str = "hashing") -> LiveModel:
    """Return a model without weights, of ten dimensions unless one is given."""
    encoder = encoder or HashingEncoder(dimension=DIMENSION)
    return LiveModel(spec, LoadedModel(encoder.meta, encoder, VariantView(Variant(), encoder.meta)))
