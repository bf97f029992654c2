"""The fixed frame in which every window is measured: where the baseline lies, how it spreads, what it never does.

    frame rows (25 % of the baseline) ── mean, directions by variance, centroids (k-means++) ─┐
    held rows (the rest) ── which directions are dead, edges of novelty, size of the largest row ──┴─> Frame

The frame is fitted on rows of its own: had it been fitted on the rows whose sums it is compared with, those rows would
lie nearer to it than any new ones, and every later window would look strange (measured: false alarms of .25 for .05).
Directions are kept as int8 and centroids as float16. What is kept is the frame: baseline and windows are measured in
exactly the same one, so rounding costs nothing but orthogonality in the third digit.

Directions without variance ("dead": a model's unused dimensions) are kept apart and belong to no statistic of data.
Source: Arthur and Vassilvitskii, "k-means++", SODA 2007; Lloyd, IEEE Trans. Inf. Theory 28 (1982); Ward, JASA 58
(1963).
Cost: n d² of the frame rows (at most 20,000) and one eigendecomposition d³.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.soft_distance import soft_squares, width_of

Floats = NDArray[np.float32] | NDArray[np.float64]
Single = NDArray[np.float32]

N_CLUSTERS = 64
ROWS_PER_CLUSTER = 20  # frame rows for each centroid, on the average at least
FEWEST_IN_CLUSTER = 5  # of the frame's rows
ROWS_OF_PART = 5  # frame rows of a part for each centroid that it takes over
MAX_DIRECTIONS = 1024  # beyond: the first and the last 512 by variance; 1 MiB of int8 at d = 1024
N_QUADRATIC = 32  # directions whose variance is watched: half of them the largest, half the smallest live ones
MAX_DEAD = 32
DEAD_VARIANCE = 1e-5  # of the mean variance; MiniLM's dead dimensions are at 1e-14, its smallest live one at .05
# Either part may be so though a few rows of the other differ.
ALL_THE_SAME = "all rows of the baseline are the same vector, or nearly all; there is nothing to compare a window with"
SAME = 1e-6  # of the mean's length: a smaller difference is float32's rounding
LEAST_EXTENT = 1e-15  # squares of smaller differences, and what is divided by them, leave float32
HALF_RANGE = (1e-4, 6e4)  # of the largest entry: beyond it, float16 has too few digits or none
LLOYD_ROUNDS = 25
# Shares of baseline rows above each edge of novelty.
TAILS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.002, 0.001)
ROWS_PER_TAIL = 12  # a rate known from fewer is too uncertain: it makes false alarms
# Rows are drawn in to this many times the distance that ROWS_PER_TAIL held rows lie beyond. One row that is 30 times as
# far makes the variance of its direction, and is never far in units of it; the next such row has a direction of its own
# (measured with 1 row in 100 so far, baselines of 500: false alarms of `mahalanobis` of .23 for .05, all together .10).
TIMES_AS_FAR = 2
NORM_DEAD_BAND = 0.005  # of log norm: rounding to bfloat16 or int8 moves unit vectors by .003
NORM_FLOOR = 0.01


@dataclass(frozen=True, eq=False)
class Frame:
    """Where rows are measured; see the module.

    Attributes:
        mean: (d,) of the frame rows.
        directions, scales: Unit vectors (r, d) by falling variance, int8 times one scale each.
        quadratic: Which of them have their variance watched; `variances`: in the baseline.
        dead: (z, d) orthonormal directions without variance; `n_dead` counts also those that aren't kept.
        centroids: (k, d), centred, float16; float32 where that can't hold them.
        merges: (k - 1, 2) which two clusters become one, step by step; the joined one keeps the first's number.
        edges: Of novelty, the squared distance from the centroids (soft_distance.py), rising. Not by their own spread:
            on MiniLM that made a new topic in 5 % of 500 rows a shift of 1.4 standard errors; the plain distance 3.1.
        width: Of that distance.
        radius: Largest distance of a baseline row from the mean, but for a few far beyond all others (TIMES_AS_FAR);
            farther rows are drawn in to it.
        log_norm, norm_scale: Middle and spread of the log of a row's norm.
    """

    mean: Single
    directions: NDArray[np.int8]
    scales: Single
    quadratic: NDArray[np.int32]
    variances: Single
    dead: Single
    n_dead: int
    centroids: NDArray[np.float16] | Single
    merges: NDArray[np.int16]
    edges: Single
    width: float
    radius: float
    log_norm: float
    norm_scale: float

    @property
    def dimension(self) -> int:
        return len(self.mean)

    @cached_property
    def basis(self) -> Single:
        """(r, d), what `directions` and `scales` stand for."""
        return self.directions.astype(np.float32) * self.scales[:, None]

    @cached_property
    def columns(self) -> Single:
        """(d, k + q + z + 1): what each centred row is multiplied by, in one go."""
        return np.ascontiguousarray(
            np.vstack(
                [self.centroids.astype(np.float32), self.basis[self.quadratic], self.dead, self.mean[None]],
                dtype=np.float32,
            ).T
        )

    @cached_property
    def of_mean(self) -> Single:
        """The mean times `columns`: what a row's products are more than those of the row minus the mean."""
        return (self.mean.astype(np.float64) @ self.columns).astype(np.float32)

    @cached_property
    def half_norms(self) -> Single:
        """(k,) half of each centroid's square: what nearness lacks to half a squared distance."""
        wide = self.centroids.astype(np.float32)
        halves: Single = np.vecdot(wide, wide) / 2
        return halves

    def project(self, sums: Floats) -> NDArray[np.float64]:
        """Return centred sums or rows (..., d) along the live directions (..., r)."""
        along: NDArray[np.float64] = sums @ self.basis.T.astype(sums.dtype)
        return along


def fit_frame(rows: Single, held: Single, rng: np.random.Generator) -> Frame:
    """Return the frame of `rows` (n, d), float32, finite; `held` are baseline rows that it is not fitted on.

    Raises:
        ValueError: all rows are the same vector, or nearly all, or nearer to each other than float32 can square.
    """
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred, other = rows - mean, held - mean
    values, vectors = _spectrum(centred)
    floor = DEAD_VARIANCE * float(values.clip(min=0).mean())
    live = values > floor
    # Variances of float32 rows below this are rounding: the rows are copies of one vector.
    if not values.max() > SAME**2 * float(np.square(mean, dtype=np.float64).sum()):
        raise ValueError(ALL_THE_SAME)
    _check_held(held, mean)
    directions, scales = _packed(vectors[:, live].T)
    dead, n_dead = _dead(vectors[:, ~live], other, floor)
    centroids = _centroids(centred, rng)
    nearest, _ = _nearest(centred, centroids)
    radius = _farthest(other)
    other = _within(other, radius)
    width = width_of(_nearest(other, centroids)[1], radius)
    log_norm, norm_scale = _norms(held)
    quadratic = _ends(len(directions), N_QUADRATIC)
    watched = directions[quadratic].astype(np.float32) * scales[quadratic, None]
    return Frame(
        mean=mean,
        directions=directions,
        scales=scales,
        quadratic=quadratic,
        variances=np.square(other @ watched.T).mean(axis=0).clip(min=floor).astype(np.float32),
        dead=dead,
        n_dead=n_dead,
        centroids=centroids,
        merges=_tree(centroids.astype(np.float64), np.bincount(nearest, minlength=len(centroids))),
        edges=_edges(soft_squares(other, centroids, width)),
        width=width,
        radius=radius,
        log_norm=log_norm,
        norm_scale=norm_scale,
    )


def frame_of_part(frame: Frame, known: Single, held: Single) -> Frame:
    """Return the frame of a part of the stream: that of the whole, with its centroids where the part has rows.

    Without the other centroids, what the whole knows and the part doesn't is far from every centroid of the part.

    Args:
        known: Rows of the part (m, d), float32, finite, that the whole's frame is fitted on.
        held: Others (n, d).
    """
    other = held - frame.mean
    radius = _farthest(other)
    other = _within(other, radius)
    nearest, _ = _nearest(known - frame.mean, frame.centroids)
    counts = np.bincount(nearest, minlength=len(frame.centroids))
    used = np.sort(np.argsort(-counts, kind="stable")[: max(2, int((counts >= ROWS_OF_PART).sum()))])
    centroids = frame.centroids[used]
    log_norm, norm_scale = _norms(held)
    watched = np.square(other @ frame.basis[frame.quadratic].T).mean(axis=0)
    return replace(
        frame,
        # A part may have no variance where the whole has some.
        variances=np.maximum(watched, DEAD_VARIANCE * frame.variances).astype(np.float32),
        centroids=centroids,
        merges=_tree(centroids.astype(np.float64), counts[used]),
        edges=_edges(soft_squares(other, centroids, frame.width)),
        radius=radius,
        log_norm=log_norm,
        norm_scale=norm_scale,
    )


def _check_held(held: Single, mean: Single) -> None:
    """Refuse rows that don't vary though those of the frame do, and rows whose squared distances would be nothing."""
    extent = float(np.ptp(held, axis=0).max())
    if extent <= SAME * float(np.linalg.norm(mean.astype(np.float64))):
        raise ValueError(ALL_THE_SAME)
    if extent < LEAST_EXTENT:
        raise ValueError(
            f"the baseline's numbers differ by {extent:.3g} at the most, and {LEAST_EXTENT:g} is the least that can be "
            "squared; multiply all vectors, of windows too, by one number"
        )


def _farthest(centred: Single) -> float:
    """Return the distance of the farthest row, or the largest that enough rows vouch for; see TIMES_AS_FAR."""
    distances = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    place = max(len(distances) - ROWS_PER_TAIL, 0)
    known = float(np.partition(distances, place)[place])
    farthest = float(distances.max())
    return (min(farthest, TIMES_AS_FAR * known) if known > 0 else farthest) * (1 + 1e-5)


def _within(centred: Single, radius: float) -> Single:
    """Return the rows with those beyond the radius drawn in to it, as `measure_rows` does."""
    distances = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    if distances.max() <= radius:
        return centred
    drawn: Single = centred * np.minimum(1, radius / np.maximum(distances, np.finfo(np.float32).tiny))[:, None]
    return drawn.astype(np.float32)


def _spectrum(centred: Single) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return variances, falling, and their directions as columns."""
    wide = centred.astype(np.float64)
    values, vectors = np.linalg.eigh(wide.T @ wide / len(wide))
    return values[::-1], vectors[:, ::-1]


def _packed(directions: NDArray[np.float64]) -> tuple[NDArray[np.int8], Single]:
    kept = directions[_ends(len(directions), MAX_DIRECTIONS)]
    scales = np.abs(kept).max(axis=1) / 127
    return np.rint(kept / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def _ends(n: int, most: int) -> NDArray[np.int32]:
    """Return 0 .. n-1 without its middle, `most` of them."""
    return np.arange(n, dtype=np.int32) if n <= most else np.r_[: most // 2, n - most // 2 : n].astype(np.int32)


def _dead(unused: NDArray[np.float64], other: Single, floor: float) -> tuple[Single, int]:
    """Return the directions in which no row differs, and how many there are.

    A direction may be without variance only because the frame has fewer rows than dimensions; the other rows tell.
    """
    if not unused.shape[1]:
        return np.zeros((0, len(unused)), np.float32), 0
    along = other.astype(np.float64) @ unused
    values, vectors = np.linalg.eigh(along.T @ along / len(along))
    dead = (unused @ vectors[:, values <= floor]).T
    return dead[:MAX_DEAD].astype(np.float32), len(dead)


def _centroids(rows: Single, rng: np.random.Generator) -> NDArray[np.float16] | Single:
    """Return at most N_CLUSTERS centroids (k, d) by k-means++ and Lloyd's rounds; fewer where rows are few or alike."""
    n_clusters = max(2, min(N_CLUSTERS, len(rows) // ROWS_PER_CLUSTER))
    norms = np.einsum("ij,ij->i", rows, rows)
    picked = [int(rng.integers(len(rows)))]
    distance = np.full(len(rows), np.inf, np.float32)
    for _ in range(n_clusters - 1):
        last = rows[picked[-1]]
        distance = np.minimum(distance, (norms - 2 * rows @ last + last @ last).clip(min=0))
        weights = np.where(distance > 1e-6 * norms.mean(), distance, 0).astype(np.float64)
        if not weights.any():
            break
        picked.append(int(rng.choice(len(rows), p=weights / weights.sum())))
    return _halved(_lloyd(rows, rows[picked]))


def _halved(centroids: Single) -> NDArray[np.float16] | Single:
    low, high = HALF_RANGE
    return centroids.astype(np.float16) if low < np.abs(centroids).max() < high else centroids


def _lloyd(rows: Single, centroids: Single) -> Single:
    before = np.full(len(rows), -1)
    for _ in range(LLOYD_ROUNDS):
        nearest, _ = _nearest(rows, centroids)
        if np.array_equal(nearest, before):
            break
        before = nearest
        counts = np.bincount(nearest, minlength=len(centroids))
        members = np.zeros((len(centroids), len(rows)), np.float32)
        members[nearest, np.arange(len(rows))] = 1
        centroids = np.where(counts[:, None] > 0, (members @ rows) / np.maximum(counts, 1)[:, None], centroids)
    # A cluster of fewer rows may have none in a baseline, and then each row of a window in it would look strange.
    counts = np.bincount(before, minlength=len(centroids))
    kept: Single = centroids[counts >= min(FEWEST_IN_CLUSTER, np.sort(counts)[-2])]
    return kept


def _nearest(rows: Single, centroids: NDArray[np.floating]) -> tuple[NDArray[np.int64], Single]:
    """Return each row's nearest centroid and its squared distance."""
    wide = centroids.astype(np.float32)
    scores = rows @ wide.T - np.einsum("ij,ij->i", wide, wide) / 2
    nearest = scores.argmax(axis=1)
    norms = np.einsum("ij,ij->i", rows, rows)
    return nearest, (norms - 2 * scores[np.arange(len(rows)), nearest]).clip(min=0)


def _edges(novelty: Single) -> Single:
    tails = [tail for tail in TAILS if tail * len(novelty) >= ROWS_PER_TAIL]
    return np.unique(np.quantile(novelty, [1 - tail for tail in tails], method="midpoint").astype(np.float32))


def _norms(rows: Single) -> tuple[float, float]:
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    logs = np.log(norms.clip(min=np.finfo(np.float32).tiny))
    middle = float(np.median(logs))
    return middle, max(float(np.median(np.abs(logs - middle))) * 1.4826, NORM_FLOOR)


def _tree(centres: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.int16]:
    """Return the merges of clusters (k, d) by the directions in which they lie, however far.

    A wide cluster's centre lies near the middle: by place, wide clusters of different topics are near each other.
    Measured on three streams under MiniLM: four groups put 80 % of rows with their own stream, by direction 92 %.
    """
    lengths = np.linalg.norm(centres, axis=1, keepdims=True)
    return _ward(centres / np.maximum(lengths, np.finfo(np.float64).tiny), counts)


def _ward(centres: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.int16]:
    """Return the merges of two clusters that cost the least variance, one after the other, until one is left."""
    centres, weights = centres.copy(), np.maximum(counts, 1).astype(np.float64)
    left = list(range(len(centres)))
    merges = []
    while len(left) > 1:
        places, sizes = centres[left], weights[left]
        norms = np.square(places).sum(axis=1)
        squares = (norms[:, None] + norms - 2 * places @ places.T).clip(min=0)
        cost = squares * sizes[:, None] * sizes / (sizes[:, None] + sizes)
        np.fill_diagonal(cost, np.inf)
        first, second = sorted(left[place] for place in divmod(int(cost.argmin()), len(left)))
        both = weights[first] + weights[second]
        centres[first] = (weights[first] * centres[first] + weights[second] * centres[second]) / both
        weights[first] = both
        left.remove(second)
        merges.append((first, second))
    return np.array(merges, np.int16).reshape(-1, 2)
