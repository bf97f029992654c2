"""Tiny streams of embeddings for the tests of the drift monitor: four topics in sixteen dimensions.

    vectors(n, seed=) ── write_parquet · write_jsonl ──> a file as a service would leave it

`domain` is the share of the rows that comes from a topic which the baseline has never seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIMENSION = 16
START = np.datetime64("2026-09-01T00:00:00", "us")


def vectors(n: int, *, seed: int = 0, domain: float = 0.0, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """Return unit vectors (n, dimension) around four topics, and around a fifth for a share of them."""
    rng = np.random.default_rng([17, seed])
    topics = np.random.default_rng(5).normal(size=(5, dimension))
    topic = rng.choice(4, size=n, p=[0.4, 0.3, 0.2, 0.1])
    topic[rng.random(n) < domain] = 4
    rows = topics[topic] + 0.6 * rng.normal(size=(n, dimension))
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def times(n: int, *, start: np.datetime64 = START, seconds: float = 1.0) -> NDArray[np.datetime64]:
    """Return the times of n rows, evenly apart (n,), datetime64[us]."""
    return start + np.arange(n) * np.timedelta64(int(seconds * 1e6), "us")


def write_parquet(path: Path, rows: NDArray[Any], *, name: str = "embedding", **columns: Sequence[Any] | Any) -> Path:
    """Write vectors and further columns as a Parquet file, as if at once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    flat = pa.array(np.ascontiguousarray(rows).ravel())
    table = {key: pa.array(values) for key, values in columns.items()}
    table[name] = pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
    unfinished = path.with_suffix(".tmp")
    pq.write_table(pa.table(table), unfinished)
    unfinished.replace(path)
    return path


def write_jsonl(path: Path, rows: NDArray[Any], *, append: bool = False, **columns: Sequence[Any]) -> Path:
    """Write vectors and further columns as JSON lines, at the end of what is there where asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    named: Mapping[str, Sequence[Any]] = {"embedding": rows.tolist(), **columns}
    lines = (json.dumps(dict(zip(named, values, strict=True))) for values in zip(*named.values(), strict=True))
    with path.open("a" if append else "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path
