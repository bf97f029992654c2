"""What is measured of each row in a frame: one matrix product of d by about 100 columns.

    rows (n, d) any dtype ── minus the frame's mean, far rows drawn in ──> centred rows (n, d) float32
        └─ times Frame.columns ──> nearest centroid, bin of novelty, squares along watched directions, norm, dead energy

Rows go through in blocks of one fixed shape, the last one filled up with zeros: then a row's figures do not depend on
its neighbours, and counts of parts add up to the counts of the whole exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.frame import NORM_DEAD_BAND, Frame
from benchkit.drift.soft_distance import soften

BLOCK_ROWS = 512  # 1.5 MiB at d = 768: stays in a core's cache
MAX_SQUARE = 25.0  # five standard deviations; a single wild row cannot carry a variance
MAX_NORM = 5.0
_LINE_BYTES = 64


@dataclass(frozen=True, slots=True, eq=False)
class RowMeasures:
    """Of n rows: centred (n, d), cluster and novelty bin (n,), squares (n, q), squared norm and dead energy (n,)."""

    frame: Frame
    centred: NDArray[np.float32]
    cluster: NDArray[np.int64]
    novelty: NDArray[np.int64]
    squares: NDArray[np.float32]
    squared_norm: NDArray[np.float32]
    dead: NDArray[np.float32]

    @property
    def norm(self) -> NDArray[np.float32]:
        """(n, 2); see `norm_deviations`."""
        return norm_deviations(self.frame, self.squared_norm)


def measure_rows(frame: Frame, vectors: NDArray[np.generic]) -> Iterator[RowMeasures]:
    """Yield what is measured of blocks of rows; `centred` is valid until the next block.

    Args:
        vectors: (n, d), finite, any number of rows.

    Raises:
        ValueError: the rows are of another dimension.
    """
    if vectors.ndim != 2 or vectors.shape[1] != frame.dimension:
        raise ValueError(f"dimensions differ: baseline {frame.dimension}, window {vectors.shape[1:] or vectors.shape}")
    space = _Space(frame)
    for start in range(0, len(vectors), BLOCK_ROWS):
        yield space.measure(vectors[start : start + BLOCK_ROWS])


def norm_deviations(frame: Frame, squared_norm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far log norms are from the baseline's middle, beyond what rounding does, and the squares (n, 2)."""
    tiny = np.finfo(np.float32).tiny
    off = 0.5 * np.log(squared_norm.clip(min=tiny)) - np.float32(frame.log_norm)
    beyond = np.sign(off) * (np.abs(off) - NORM_DEAD_BAND).clip(min=0) / frame.norm_scale
    bounded = beyond.clip(-MAX_NORM, MAX_NORM)
    return np.stack([bounded, np.square(bounded)], axis=1).astype(np.float32)


class _Space:
    """The buffers of a pass, and what is the same for all its blocks."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.columns = frame.columns
        self.n_clusters, self.n_squares = len(frame.centroids), len(frame.quadratic)
        wide = frame.centroids.astype(np.float32)
        self.half_norms = np.einsum("ij,ij->i", wide, wide) / 2
        self.mean_square = np.float32(frame.mean @ frame.mean)
        self.radius_square = frame.radius**2
        self.places = np.arange(BLOCK_ROWS)
        self.block = _aligned(BLOCK_ROWS, frame.dimension)
        self.product = _aligned(BLOCK_ROWS, self.columns.shape[1])
        # One dead direction kept for each one there is, as a rule; else they stand for the others.
        self.dead_weight = np.float32(frame.n_dead / max(len(frame.dead), 1))

    def measure(self, vectors: NDArray[np.generic]) -> RowMeasures:
        n = len(vectors)
        self.block[n:] = 0
        with np.errstate(over="ignore", invalid="ignore"):  # huge rows are drawn in
            np.subtract(vectors, self.frame.mean, out=self.block[:n], casting="unsafe", dtype=np.float32)
            squares = np.einsum("ij,ij->i", self.block, self.block)
        drawn_in = self._draw_in(vectors, squares) if n and not squares.max() <= self.radius_square else None
        np.matmul(self.block, self.columns, out=self.product)
        product, k, q = self.product[:n], self.n_clusters, self.n_squares
        nearness = self.product[:, :k] - self.half_norms
        cluster = nearness.argmax(axis=1)
        dead = np.square(product[:, k + q : -1]).sum(axis=1)
        distance = squares[:n] - 2 * soften(nearness, nearness[self.places, cluster], self.frame.width)[:n]
        novelty = distance - dead * self.dead_weight
        squared_norm = squares[:n] + 2 * product[:, -1] + self.mean_square
        if drawn_in is not None:
            squared_norm[drawn_in.rows] = drawn_in.norms
            dead[drawn_in.rows] *= drawn_in.grown
        return RowMeasures(
            frame=self.frame,
            centred=self.block[:n],
            cluster=cluster[:n],
            novelty=np.searchsorted(self.frame.edges, novelty, side="left"),
            squares=np.minimum(np.square(product[:, k : k + q]) / self.frame.variances, MAX_SQUARE),
            squared_norm=squared_norm,
            dead=dead,
        )

    def _draw_in(self, vectors: NDArray[np.generic], squares: NDArray[np.float32]) -> _DrawnIn:
        """Move rows that are farther from the mean than any row of the baseline onto that distance, in float64."""
        far = np.flatnonzero(~(squares <= self.radius_square))
        wide = vectors[far].astype(np.float64)
        centred = wide - self.frame.mean
        # The largest entry first: squares of huge float64 entries would overflow.
        largest = np.abs(centred).max(axis=1, keepdims=True)
        lengths = largest[:, 0] * np.sqrt(np.square(centred / largest).sum(axis=1))
        self.block[far] = centred / lengths[:, None] * self.frame.radius
        squares[far] = np.float32(self.radius_square)
        most = np.finfo(np.float32).max
        peak = np.abs(wide).max(axis=1, keepdims=True).clip(min=np.finfo(np.float64).tiny)
        norms = peak[:, 0] * np.sqrt(np.square(wide / peak).sum(axis=1))
        grown = np.square((lengths / self.frame.radius).clip(max=1e15))
        return _DrawnIn(
            far, np.square(norms.clip(max=1e18)).clip(max=most).astype(np.float32), grown.astype(np.float32)
        )


def _aligned(rows: int, columns: int) -> NDArray[np.float32]:
    """Return an array that begins where a line of the cache does: storing across lines takes half as long again."""
    size = rows * columns * 4
    raw = np.empty(size + _LINE_BYTES, np.uint8)
    start = -raw.ctypes.data % _LINE_BYTES
    return raw[start : start + size].view(np.float32).reshape(rows, columns)


@dataclass(frozen=True, slots=True, eq=False)
class _DrawnIn:
    """Rows that were drawn in: their true squared norm, and by how much their energy was larger."""

    rows: NDArray[np.int64]
    norms: NDArray[np.float32]
    grown: NDArray[np.float32]
