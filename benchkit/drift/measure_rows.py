"""What is measured of each row in a frame: one matrix product of d by about 100 columns.

    rows (n, d) any dtype ── times Frame.columns, less what the frame's mean gives ──> centred rows along each column
        └─ their squares, less those products ──> distance from the mean; rows beyond the radius are drawn in
    ──> nearest centroid, bin of novelty, squares along watched directions, norm, dead energy

Float32 rows are multiplied where they lie: moving them to the frame's mean first takes a fifth longer. Both ways lose
digits in proportion to |mean| / |row - mean|; where NEAR_ORIGIN finds that too much, rows are moved before.

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
NEAR_ORIGIN = 3.0  # the mean's length in radii: of unit rows with cosines of .9 on the average, √.9 to √.1
_LINE_BYTES = 64


@dataclass(frozen=True, slots=True, eq=False)
class RowMeasures:
    """Of n rows: cluster and soft distance from all (n,), squares (n, q), squared norm and dead energy (n,).

    Attributes:
        rows: (n, d) with far ones drawn in, and as seen from `origin` (d,), the frame's mean.
    """

    frame: Frame
    rows: NDArray[np.float32]
    origin: NDArray[np.float32]
    cluster: NDArray[np.int64]
    distance: NDArray[np.float32]
    squares: NDArray[np.float32]
    squared_norm: NDArray[np.float32]
    dead: NDArray[np.float32]

    @property
    def centred(self) -> NDArray[np.float32]:
        """(n, d), a copy."""
        return self.rows - self.origin

    @property
    def novelty(self) -> NDArray[np.int64]:
        """(n,); see `novelty_bins`."""
        return novelty_bins(self.frame, self.distance)

    @property
    def norm(self) -> NDArray[np.float32]:
        """(n, 2); see `norm_deviations`."""
        return norm_deviations(self.frame, self.squared_norm)


def measure_rows(frame: Frame, vectors: NDArray[np.generic]) -> Iterator[RowMeasures]:
    """Yield what is measured of blocks of rows; `rows` is valid until the next block.

    Args:
        vectors: (n, d), finite, any number of rows.

    Raises:
        ValueError: the rows are of another dimension.
    """
    check_dimension(frame, vectors)
    meter = RowMeter(frame)
    for start in range(0, len(vectors), BLOCK_ROWS):
        yield meter.measure(vectors[start : start + BLOCK_ROWS])


def check_dimension(frame: Frame, vectors: NDArray[np.generic]) -> None:
    """Raise ValueError where vectors aren't rows (n, d) of the frame's dimension."""
    if vectors.ndim != 2 or vectors.shape[1] != frame.dimension:
        raise ValueError(f"dimensions differ: baseline {frame.dimension}, window {vectors.shape[1:] or vectors.shape}")


def novelty_bins(frame: Frame, distance: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return which bin of novelty soft squared distances from the clusters fall in (n,), the last for the farthest."""
    return np.searchsorted(frame.edges, distance, side="left")


def norm_deviations(frame: Frame, squared_norm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far log norms are from the baseline's middle, beyond what rounding does, and the squares (n, 2)."""
    tiny = np.finfo(np.float32).tiny
    off = 0.5 * np.log(squared_norm.clip(min=tiny)) - np.float32(frame.log_norm)
    beyond = np.sign(off) * (np.abs(off) - NORM_DEAD_BAND).clip(min=0) / frame.norm_scale
    bounded = beyond.clip(-MAX_NORM, MAX_NORM)
    return np.stack([bounded, np.square(bounded)], axis=1).astype(np.float32)


class RowMeter:
    """Measures blocks of rows: the buffers of a pass, and what is the same for all its blocks."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.columns = frame.columns
        self.n_clusters, self.n_squares = len(frame.centroids), len(frame.quadratic)
        self.mean_square = np.float32(frame.mean @ frame.mean)
        self.radius_square = np.float32(frame.radius**2)
        self.is_moved = bool(self.mean_square > NEAR_ORIGIN**2 * frame.radius**2)
        self.origin = np.zeros_like(frame.mean) if self.is_moved else frame.mean
        of_origin = np.zeros_like(frame.of_mean) if self.is_moved else frame.of_mean
        k, q = self.n_clusters, self.n_squares
        self.less_near = of_origin[:k] + frame.half_norms
        self.less_along, self.less_dead, self.less_mean = of_origin[k : k + q], of_origin[k + q : -1], of_origin[-1]
        self.starts = k * np.arange(BLOCK_ROWS)
        self.block = _aligned(BLOCK_ROWS, frame.dimension)
        self.product = _aligned(BLOCK_ROWS, self.columns.shape[1])
        # One dead direction kept for each one there is, as a rule; else they stand for the others.
        self.dead_weight = np.float32(frame.n_dead / max(len(frame.dead), 1))

    def measure(self, vectors: NDArray[np.generic], squares: NDArray[np.float32] | None = None) -> RowMeasures:
        """Return what is measured of at most BLOCK_ROWS rows; its `rows` is valid until the next call.

        Args:
            vectors: (n, d), finite.
            squares: Their squared lengths (n,), where they are float32 and somebody knows.
        """
        n, k, q = len(vectors), self.n_clusters, self.n_squares
        drawn_in = None
        with np.errstate(over="ignore", invalid="ignore"):  # huge rows are drawn in
            rows = self._rows_of(vectors)
            distance, squared_norm = self._multiplied(rows, n, squares)
            far = np.flatnonzero(~(distance <= self.radius_square))
        if len(far):
            rows, drawn_in = self._draw_in(vectors, rows, far)
            distance, squared_norm = self._multiplied(rows, n)
            distance[far], squared_norm[far] = self.radius_square, drawn_in.squared_norm
        product = self.product[:n]
        nearness = self.product[:, :k] - self.less_near
        cluster = nearness.argmax(axis=1)
        dead = np.square(product[:, k + q : -1] - self.less_dead).sum(axis=1)
        distance -= 2 * soften(nearness, nearness.take(self.starts + cluster), self.frame.width)[:n]
        distance -= dead * self.dead_weight
        if drawn_in is not None:
            dead[far] *= drawn_in.grown
        return RowMeasures(
            frame=self.frame,
            rows=rows[:n],
            origin=self.origin,
            cluster=cluster[:n],
            distance=distance,
            squares=_bounded_squares(product[:, k : k + q] - self.less_along, self.frame.variances),
            squared_norm=squared_norm,
            dead=dead,
        )

    def _rows_of(self, vectors: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return a whole block of float32, the rows themselves if they are that."""
        n = len(vectors)
        as_they_lie = vectors.dtype == np.float32 and vectors.flags.c_contiguous and vectors.flags.aligned
        if n == BLOCK_ROWS and as_they_lie and not self.is_moved:
            return vectors.view(np.float32)
        self.block[n:] = 0
        if self.is_moved:
            np.subtract(vectors, self.frame.mean, out=self.block[:n], casting="unsafe", dtype=np.float32)
        else:
            np.copyto(self.block[:n], vectors, casting="unsafe")
        return self.block

    def _multiplied(
        self, rows: NDArray[np.float32], n: int, squares: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Multiply a block by all columns, into `product`; return n squared distances from the mean and lengths."""
        if squares is None or self.is_moved:
            squares = np.vecdot(rows, rows)[:n]
        np.matmul(rows, self.columns, out=self.product)
        # |row|² = |centred|² + 2 centred · mean + |mean|²
        more = 2 * (self.product[:n, -1] - self.less_mean) + self.mean_square
        # By a copy: the caller writes into both.
        return (squares, squares + more) if self.is_moved else (np.maximum(squares - more, 0), squares.copy())

    def _draw_in(
        self, vectors: NDArray[np.generic], rows: NDArray[np.float32], far: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], _DrawnIn]:
        """Move rows that are farther from the mean than any row of the baseline onto that distance, in float64."""
        wide = vectors[far].astype(np.float64)
        centred = wide - self.frame.mean
        # The largest entry first: squares of huge float64 entries would overflow.
        largest = np.abs(centred).max(axis=1, keepdims=True)
        lengths = largest[:, 0] * np.sqrt(np.square(centred / largest).sum(axis=1))
        if rows is not self.block:
            np.copyto(self.block, rows)
        self.block[far] = self.origin + centred / lengths[:, None] * self.frame.radius
        most = np.finfo(np.float32).max
        peak = np.abs(wide).max(axis=1, keepdims=True).clip(min=np.finfo(np.float64).tiny)
        norms = peak[:, 0] * np.sqrt(np.square(wide / peak).sum(axis=1))
        grown = np.square((lengths / self.frame.radius).clip(max=1e15))
        return self.block, _DrawnIn(
            np.square(norms.clip(max=1e18)).clip(max=most).astype(np.float32), grown.astype(np.float32)
        )


def _bounded_squares(along: NDArray[np.float32], variances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the squares in units of their variance; `along` is overwritten."""
    np.square(along, out=along)
    along /= variances
    return np.minimum(along, MAX_SQUARE, out=along)


def _aligned(rows: int, columns: int) -> NDArray[np.float32]:
    """Return an array that begins where a line of the cache does: storing across lines takes half as long again."""
    size = rows * columns * 4
    raw = np.empty(size + _LINE_BYTES, np.uint8)
    start = -raw.ctypes.data % _LINE_BYTES
    return raw[start : start + size].view(np.float32).reshape(rows, columns)


@dataclass(frozen=True, slots=True, eq=False)
class _DrawnIn:
    """Of rows that were drawn in: their true squared norm, and by how much their energy was larger."""

    squared_norm: NDArray[np.float32]
    grown: NDArray[np.float32]
