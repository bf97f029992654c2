"""A window of embeddings as sums: some 7 kB for any number of rows, and adding is merging.

    rows (n, d) ── RowMeter, block by block ──> SketchSums ──> Sketch = sums, squares, counts
    Sketch + Sketch = Sketch of a longer window

Counts of parts add up to those of the whole exactly; sums, in float64 over blocks of float32, to seven digits or so.
Rows must be finite; broken ones are the caller's to count and leave out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.frame import Frame
from benchkit.drift.measure_rows import BLOCK_ROWS, RowMeter, check_dimension, norm_deviations, novelty_bins

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

Doubles = NDArray[np.float64]
Counts = NDArray[np.int64]
# Of a block's rows: cluster, distance from all clusters, squared norm, dead energy.
_ByRow = tuple[Counts, NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
_ONES = np.ones(32, np.float32)


class Framed(Protocol):
    """What has a frame: a reference."""

    @property
    def frame(self) -> Frame: ...


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """Sums over the rows of a window, in a frame.

    Attributes:
        rows: How many.
        linear: Of the rows minus the frame's mean (d,).
        squares: Of squares along the watched directions in units of their variance (q,).
        clusters: Rows by nearest centroid (k,).
        novelty: Rows by bin of novelty (e,), the strangest last.
        norm: Of the deviation of the log norm and of its square (2,).
        dead: Of squares along the kept dead directions.
    """

    rows: int
    linear: Doubles
    squares: Doubles
    clusters: Counts
    novelty: Counts
    norm: Doubles
    dead: float

    def __add__(self, other: Sketch) -> Sketch:
        """Return the sketch of both windows together.

        Raises:
            ValueError: they are of different frames, as far as their shapes tell.
        """
        if self.shape != other.shape:
            raise ValueError(f"sketches of different references cannot be merged: {self.shape} and {other.shape}")
        return Sketch(
            rows=self.rows + other.rows,
            linear=self.linear + other.linear,
            squares=self.squares + other.squares,
            clusters=self.clusters + other.clusters,
            novelty=self.novelty + other.novelty,
            norm=self.norm + other.norm,
            dead=self.dead + other.dead,
        )

    @classmethod
    def empty(cls, reference: Framed) -> Sketch:
        """Return the sketch of no rows: what sums start from."""
        return empty_sketch(reference.frame)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Dimensions, watched directions, clusters, bins of novelty."""
        return len(self.linear), len(self.squares), len(self.clusters), len(self.novelty)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        return {
            "rows": np.array(self.rows, np.int64),
            "linear": self.linear,
            "squares": self.squares,
            "clusters": self.clusters,
            "novelty": self.novelty,
            "norm": self.norm,
            "dead": np.array(self.dead, np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Sketch:
        """Return the sketch that `to_arrays` gave.

        Raises:
            ValueError: an array is missing.
        """
        missing = {"rows", "linear", "squares", "clusters", "novelty", "norm", "dead"} - set(arrays)
        if missing:
            raise ValueError(f"not a sketch: without {', '.join(sorted(missing))}")
        return cls(
            rows=int(np.asarray(arrays["rows"]).item()),
            linear=np.asarray(arrays["linear"], np.float64),
            squares=np.asarray(arrays["squares"], np.float64),
            clusters=np.asarray(arrays["clusters"], np.int64),
            novelty=np.asarray(arrays["novelty"], np.int64),
            norm=np.asarray(arrays["norm"], np.float64),
            dead=float(np.asarray(arrays["dead"]).item()),
        )


def empty_sketch(frame: Frame) -> Sketch:
    """Return the sketch of no rows: what sums start from."""
    return Sketch(
        rows=0,
        linear=np.zeros(frame.dimension),
        squares=np.zeros(len(frame.quadratic)),
        clusters=np.zeros(len(frame.centroids), np.int64),
        novelty=np.zeros(len(frame.edges) + 1, np.int64),
        norm=np.zeros(2),
        dead=0.0,
    )


def sketch(reference: Framed, vectors: NDArray[np.generic]) -> Sketch:
    """Return the sums of a window's rows (n, d), n >= 0, float16, float32, float64 or int8, finite.

    Raises:
        ValueError: the rows are of another dimension.
    """
    return sketch_rows(reference.frame, vectors)


def sketch_rows(frame: Frame, vectors: NDArray[np.generic]) -> Sketch:
    """Return the sums of rows (n, d) in a frame; see `sketch`."""
    check_dimension(frame, vectors)
    sums = SketchSums(frame)
    with one_thread():
        for start in range(0, len(vectors), BLOCK_ROWS):
            sums.add(vectors[start : start + BLOCK_ROWS])
    return sums.total()


def one_thread() -> AbstractContextManager[object]:
    """Return what holds BLAS to one thread: on the products of a block, a second doubles CPU time and saves little."""
    limited: AbstractContextManager[object] = _blas().limit(limits=1, user_api="blas")
    return limited


@functools.cache
def _blas() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class SketchSums:
    """The sums of blocks of rows."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._meter = frame, RowMeter(frame)
        self._linear, self._squares = np.zeros(frame.dimension), np.zeros(len(frame.quadratic))
        self._by_row: list[_ByRow] = []

    def add(self, vectors: NDArray[np.generic], squares: NDArray[np.float32] | None = None) -> None:
        """Add at most BLOCK_ROWS rows (n, d), finite; of float32, their squared lengths (n,) where they are known."""
        block = self._meter.measure(vectors, squares)
        self._linear += _column_sums(block.rows) - len(vectors) * block.origin.astype(np.float64)
        self._squares += block.squares.sum(axis=0, dtype=np.float64)
        self._by_row.append((block.cluster, block.distance, block.squared_norm, block.dead))

    def total(self) -> Sketch:
        """Return the sketch of all rows that were added."""
        if not self._by_row:
            return empty_sketch(self._frame)
        # Of all blocks at once: on 512 numbers, calls cost more than sums.
        cluster, distance, squared_norm, dead = (np.concatenate(each) for each in zip(*self._by_row, strict=True))
        return Sketch(
            rows=len(cluster),
            linear=self._linear,
            squares=self._squares,
            clusters=np.bincount(cluster, minlength=len(self._frame.centroids)),
            novelty=np.bincount(novelty_bins(self._frame, distance), minlength=len(self._frame.edges) + 1),
            norm=norm_deviations(self._frame, squared_norm).sum(axis=0, dtype=np.float64),
            dead=float(dead.sum(dtype=np.float64)),
        )


def _column_sums(rows: NDArray[np.float32]) -> Doubles:
    # Float32 within 32 rows, float64 beyond: as exact as float64 to seven digits, at a tenth of its cost.
    whole = len(rows) // len(_ONES) * len(_ONES)
    runs = np.matmul(_ONES, rows[:whole].reshape(-1, len(_ONES), rows.shape[1]))
    sums: Doubles = runs.sum(axis=0, dtype=np.float64) + rows[whole:].sum(axis=0, dtype=np.float64)
    return sums
