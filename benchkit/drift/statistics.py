"""Seven sizes of a deviation: how far a window's means are from the baseline's, each seen in its own way.

    window means - baseline means, times √n ──> deviation u (F,), in blocks:
        linear (r)      along every live direction    ─┬─ centroid: Euclidean length
                                                       └─ mahalanobis: length in standard deviations, with a ridge
        squares (q)     along watched directions      ─── quadratic: changed variance
        clusters (k)    share of rows by centroid     ─┬─ clusters: chi-square on levels of a tree of clusters
                                                       └─ cluster-max: the one cluster that changed most
        novelty (e)     share of rows by distance bin ─── novelty: more rows far from every centroid
        norm (2)        log norm and its square       ─── norm

Each is a seminorm of u, novelty a one-sided (sublinear) one: size(u + v) <= size(u) + size(v), and twice the deviation
is twice the size. A tolerance needs just that (judge.py). What each is for was measured; see benchmarks/drift_power.py.

Sources: centroid: Hotelling-type without whitening, Bai and Saranadasa, Statistica Sinica 6 (1996); ridge: Chen et al.,
JASA 106 (2011); tree levels: adaptive chi-square of Fan, JASA 91 (1996), on Ward's tree; novelty: score test against
5 % rows with ranks as under a Lehmann alternative. Cost: draws times features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.frame import Frame
from benchkit.drift.measure_rows import MAX_NORM, MAX_SQUARE
from benchkit.drift.sketch import Sketch

Doubles = NDArray[np.float64]
Array = NDArray[np.float32] | NDArray[np.float64]

STATISTICS = ("centroid", "mahalanobis", "novelty", "clusters", "cluster-max", "quadratic", "norm")
# How much each counts in the combined p-value; chosen on the development scenarios of benchmarks/drift_power.py.
WEIGHTS = np.array([0.4, 0.7, 1.5, 4.5, 0.2, 0.5, 0.3])
# Two that see a new domain, each in part; how much their product counts.
PAIR, PAIR_WEIGHT = ("novelty", "mahalanobis"), 1.5
RIDGE = 0.05  # of the mean variance
# Groups on each level of the tree, less one; with the size that chi-square of that many degrees of freedom has in 5, 3,
# 1.5 and 1 % of cases: a topic is many clusters, so a change of topics shows where groups are few.
LEVELS = {1: 3.841, 3: 8.947, 9: 20.513, 63: 92.010}
NOVEL_SHARE = 0.05
LEHMANN = 0.3  # P(rank in the tail < u) = u ** 0.3 of novel rows
MORE_ROWS = 2  # added to each cluster's count: a share known from few rows is often too small to be a yardstick


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """What a deviation is divided by, of one baseline (k,) and (q,), or of b of them (b, k) and (b, q).

    Attributes:
        shares: Smoothed shares of the clusters.
        spread: Standard deviations of the squares.
    """

    shares: Doubles
    spread: Doubles


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What deviations are measured with: a frame, the baseline's sums in it, and its variances.

    Attributes:
        variances: Of the features of one baseline row (F,), in the order of the blocks.
    """

    frame: Frame
    baseline: Sketch
    variances: NDArray[np.float32]

    @property
    def blocks(self) -> tuple[slice, slice, slice, slice, slice]:
        """Where in a deviation: linear, squares, clusters, novelty, norm."""
        frame = self.frame
        sizes = (len(frame.directions), len(frame.quadratic), len(frame.centroids), len(frame.edges) + 1, 2)
        ends = np.cumsum((0, *sizes))
        linear, squares, clusters, novelty, norm = (slice(int(low), int(high)) for low, high in pairwise(ends))
        return linear, squares, clusters, novelty, norm

    def means(self, sketch: Sketch) -> Doubles:
        """Return the mean features (F,) of a window's rows."""
        counts = np.concatenate([sketch.clusters, sketch.novelty]).astype(np.float64)
        return np.concatenate([self.frame.project(sketch.linear), sketch.squares, counts, sketch.norm]) / sketch.rows

    @cached_property
    def baseline_means(self) -> Doubles:
        return self.means(self.baseline)

    @cached_property
    def shares(self) -> Doubles:
        """Baseline shares of the clusters (k,), none of them zero."""
        return self.smoothed(self.baseline.clusters / self.baseline.rows)

    def smoothed(self, shares: Doubles) -> Doubles:
        """Return shares (..., k) of as many rows as the baseline's with MORE_ROWS added to each."""
        rows = self.baseline.rows
        smoothed: Doubles = (rows * shares + MORE_ROWS) / (rows + MORE_ROWS * shares.shape[-1])
        return smoothed

    @cached_property
    def ridged(self) -> Doubles:
        linear = self.variances[self.blocks[0]].astype(np.float64)
        ridged: Doubles = linear + RIDGE * linear.mean()
        return ridged

    @cached_property
    def spread(self) -> Doubles:
        """Standard deviations of the squares (q,) and of the norm (2,), none of them zero."""
        _, squares, _, _, norm = self.blocks
        spread: Doubles = np.sqrt(
            np.r_[self.variances[squares], self.variances[norm]].astype(np.float64).clip(min=1e-12)
        )
        return spread

    @cached_property
    def contrasts(self) -> Doubles:
        """(k, k - 1): orthonormal contrasts of the tree of clusters, the last merge first; each has variance one."""
        groups = np.diag(self.shares)
        columns = []
        for first, second in self.frame.merges:
            low, high = groups[first], groups[second]
            below, above = low.sum(), high.sum()
            columns.append(((low > 0) / below - (high > 0) / above) * np.sqrt(below * above / (below + above)))
            groups[first] = low + high
        return np.array(columns[::-1]).reshape(-1, len(self.shares)).T

    @cached_property
    def novelty_scores(self) -> Doubles:
        """(e,): logarithm of how much likelier a row of that bin is where 5 % of rows are novel."""
        shares = self.baseline.novelty / self.baseline.rows
        above = np.append(np.cumsum(shares[::-1])[::-1], 0.0)
        tail = ((above[:-1] + above[1:]) / 2).clip(min=0.25 / self.baseline.rows)
        scores: Doubles = np.log1p(NOVEL_SHARE * (LEHMANN * tail ** (LEHMANN - 1) - 1))
        return scores

    @cached_property
    def groups(self) -> tuple[Doubles, ...]:
        """Which clusters make a group on each level of the tree, (k, level + 1) of zeros and ones."""
        members, found = np.eye(len(self.shares)), {}
        for step, (first, second) in enumerate([(0, 0), *self.frame.merges]):
            if step:
                members[first] += members[second]
                members[second] = 0
            found[len(self.shares) - 1 - step] = members[members.any(axis=1)].T
        deepest = len(self.shares) - 1
        return tuple(found[min(level, deepest)] for level in LEVELS)

    def sizes(self, deviations: Array, scales: Scales | None = None) -> Doubles:
        """Return the seven sizes (b, 7) of deviations (b, F), in the order of STATISTICS.

        Args:
            scales: Those of another baseline for each deviation; None is this one's.
        """
        scales = scales or Scales(self.shares, self.spread[:-2])
        return np.stack(list(self._sizes(deviations, scales)), axis=1).astype(np.float64)

    def _sizes(self, deviations: Array, scales: Scales) -> Iterator[Array]:
        linear, squares, clusters, novelty, norm = (deviations[:, block] for block in self.blocks)
        shares = scales.shares
        yield np.sqrt(np.square(linear).sum(axis=1))
        yield np.sqrt(np.square(linear) @ (1 / self.ridged))
        yield (novelty @ self.novelty_scores).clip(min=0)
        yield self._tree_size(clusters, shares)
        yield np.abs(clusters / np.sqrt(shares * (1 - shares))).max(axis=1)
        yield np.sqrt(np.square(squares / scales.spread).sum(axis=1))
        yield np.sqrt(np.square(norm / self.spread[-2:]).sum(axis=1))

    def _tree_size(self, clusters: Array, shares: Doubles) -> Array:
        """Return the largest chi-square over the levels of the tree, each by its own point, as a length."""
        levels = [
            (np.square(clusters @ members) / (shares @ members)).sum(axis=1) / point
            for members, point in zip(self.groups, LEVELS.values(), strict=True)
        ]
        size: Array = np.sqrt(np.max(levels, axis=0))
        return size

    @cached_property
    def reach(self) -> Doubles:
        """(7,) the largest size that one row's features minus the baseline's means can have, whatever the row."""
        linear, _, clusters, novelty, _ = self.blocks
        means = self.baseline_means
        # Directions are orthonormal to two digits only: int8.
        farthest = 1.02 * self.frame.radius + float(np.linalg.norm(means[linear]))
        rows = np.tile(means, (len(self.shares), 1))
        rows[:, clusters] = np.eye(len(self.shares))
        by_cluster = self.sizes(rows - means).max(axis=0)
        squares = np.maximum(MAX_SQUARE - means[self.blocks[1]], means[self.blocks[1]])
        norms = np.linspace(-MAX_NORM, MAX_NORM, 201)
        off = (np.stack([norms, np.square(norms)], axis=1) - means[self.blocks[4]]) / self.spread[-2:]
        return np.array(
            [
                farthest,
                farthest / np.sqrt(self.ridged.min()),
                self.novelty_scores.max() - float(means[novelty] @ self.novelty_scores),
                by_cluster[3],
                by_cluster[4],
                np.sqrt(np.square(squares / self.spread[:-2]).sum()),
                np.sqrt(np.square(off).sum(axis=1)).max(),
            ]
        )
