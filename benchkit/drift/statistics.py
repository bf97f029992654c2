"""Seven sizes of a deviation: how far a window's means are from the baseline's, each seen in its own way.

    window means - baseline means, times √n ──> deviation u (F,), in blocks:
        linear (r)      along every live direction    ─┬─ centroid: Euclidean length
                                                       ├─ mahalanobis: length in standard deviations, with a ridge
                                                       ├─ clusters: contrasts of a tree of clusters, each seen in the
        clusters (k)    share of rows by centroid     ─┤  counts and by the discriminant of its two sides
                                                       └─ cluster-max: the one cluster that changed most
        squares (q)     along watched directions      ─── quadratic: changed variance
        novelty (e)     share of rows by distance bin ─── novelty: more rows far from every centroid
        norm (2)        log norm and its square       ─── norm

Each is a seminorm of u, novelty a one-sided (sublinear) one: size(u + v) <= size(u) + size(v), and twice the deviation
is twice the size. A tolerance needs just that (judge.py). What each is for was measured; see benchmarks/drift_power.py.

A changed mix of topics moves rows between the two sides of a few contrasts of the tree. Counts miss where a cluster
holds rows of both sides, a discriminant where a side is no ball: their errors differ, so the mean of both tells the
topics better (correlation with the true stream on MiniLM: .91, .89 and both .92). Fourth powers are between a sum of
squares, for changes of everything, and the largest, for one contrast alone. A topic is many clusters: contrasts of many
rows count most.

Sources: centroid: Hotelling-type without whitening, Bai and Saranadasa, Statistica Sinica 6 (1996); ridge: Chen et al.,
JASA 106 (2011); contrasts: Ward's tree, Fisher's discriminant, Annals of Eugenics 7 (1936), sums of powers as of Pan et
al., Genetics 197 (2014); novelty: score test against 5 % rows with ranks as under a Lehmann alternative.
Cost: draws times features.
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
# How much each counts in the combined p-value; chosen on the development scenarios of benchmarks/drift_power.py. There,
# [.2 .3 1.8 4.5 .1 .3 .3] with .8 for the pair is better by .003, and finds .05 less of a topic like known ones.
WEIGHTS = np.array([0.2, 0.3, 1.4, 4.5, 0.1, 0.3, 0.3])
# Two that see a new domain, each in part; how much their product counts.
PAIR, PAIR_WEIGHT = ("novelty", "mahalanobis"), 1.3
RIDGE = 0.01  # of the mean variance; with .05, fewer shifts in all directions are found
# How a contrast's fourth power counts by the rows of its sides, ab / (a + b): to this power. 2 would measure shares of
# rows that moved, 0 standard errors of each contrast; chosen as WEIGHTS were, 1.5 to 2 find about as much.
BALANCE = 1.75
# Standard deviations above the mean by chance at which contrasts, and chi-square of all clusters, are as large as each
# other: chi-square is for clusters that the baseline hardly has, and costs contrasts little.
BEYOND = (2, 5)
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
    def units(self) -> tuple[Doubles, ...]:
        """What the statistics take for one in each block: standard deviations, and the baseline's shares."""
        shares = self.baseline.novelty / self.baseline.rows
        return (
            np.sqrt(self.ridged),
            self.spread[:-2],
            np.sqrt(self.shares),
            np.sqrt(shares.clip(min=1 / self.baseline.rows)),
            self.spread[-2:],
        )

    @cached_property
    def sides(self) -> tuple[Doubles, Doubles]:
        """Clusters on each side of a merge of the tree, zeros and ones (k, k - 1) twice, the last merge first."""
        groups = np.eye(len(self.shares))
        sides = []
        for first, second in self.frame.merges:
            sides.append((groups[first].copy(), groups[second].copy()))
            groups[first] += groups[second]
        both = np.array(sides[::-1]).reshape(-1, 2, len(self.shares))
        return both[:, 0].T, both[:, 1].T

    @cached_property
    def contrasts(self) -> Doubles:
        """(k, k - 1): orthonormal contrasts of the tree of clusters, the last merge first; each has variance one."""
        return self.contrasted(np.eye(len(self.shares)), self.shares)

    def contrasted(self, clusters: Array, shares: Doubles) -> Doubles:
        """Return deviations of the clusters (b, k) along the contrasts that baselines with `shares` have (b, k - 1)."""
        first, second = self.sides
        one, other = shares @ first, shares @ second
        along: Doubles = (clusters @ first / one - clusters @ second / other) * np.sqrt(one * other / (one + other))
        return along

    @cached_property
    def discriminants(self) -> Doubles:
        """(r, k - 1): what tells the two sides of each contrast apart, as each is one of many rows; variance one."""
        places = self.frame.project(self.frame.centroids.astype(np.float64))
        towards = (places - self.shares @ places).T @ (self.contrasts * self.shares[:, None])
        columns = towards / self.ridged[:, None]
        variances = self.variances[self.blocks[0]].astype(np.float64) @ np.square(columns)
        found: Doubles = columns / np.sqrt(variances.clip(min=np.finfo(np.float64).tiny))
        return found

    @cached_property
    def importance(self) -> Doubles:
        """(k - 1,): how much the fourth power of each contrast counts."""
        one, other = (self.shares @ side for side in self.sides)
        counts: Doubles = (one * other / (one + other)) ** BALANCE
        return counts

    @cached_property
    def novelty_scores(self) -> Doubles:
        """(e,): logarithm of how much likelier a row of that bin is where 5 % of rows are novel."""
        shares = self.baseline.novelty / self.baseline.rows
        above = np.append(np.cumsum(shares[::-1])[::-1], 0.0)
        tail = ((above[:-1] + above[1:]) / 2).clip(min=0.25 / self.baseline.rows)
        scores: Doubles = np.log1p(NOVEL_SHARE * (LEHMANN * tail ** (LEHMANN - 1) - 1))
        return scores

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
        yield self._tree_size(linear, clusters, shares)
        yield np.abs(clusters / np.sqrt(shares * (1 - shares))).max(axis=1)
        yield np.sqrt(np.square(squares / scales.spread).sum(axis=1))
        yield np.sqrt(np.square(norm / self.spread[-2:]).sum(axis=1))

    def _tree_size(self, linear: Array, clusters: Array, shares: Doubles) -> Doubles:
        """Return the fourth root of the contrasts' fourth powers, or the root of chi-square, whichever is larger.

        Each contrast is the mean of what counts and rows show of it. Both are in units of what chance reaches.
        """
        seen = (self.contrasted(clusters, shares) + linear @ self.discriminants) / 2
        fourths, squares = self.by_chance
        along = np.sqrt(np.square(np.square(seen)) @ (self.importance / fourths))
        size: Doubles = np.sqrt(np.maximum(along, (np.square(clusters) / shares).sum(axis=1) / squares))
        return size

    @cached_property
    def by_chance(self) -> tuple[float, float]:
        """What chance reaches of contrasts' fourth powers, as of normal numbers, and of chi-square; see BEYOND."""
        shares = self.baseline.clusters / self.baseline.rows
        degrees = max(float((shares * (1 - shares) / self.shares).sum()), 1.0)
        fourths = 3 * self.importance.sum() + BEYOND[0] * np.sqrt(96 * np.square(self.importance).sum())
        return float(fourths), degrees + BEYOND[1] * float(np.sqrt(2 * degrees))

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
        # A sum of fourth powers is at most the square of that of squares.
        weights = np.sqrt(np.sqrt(self.importance / self.by_chance[0]))
        along = float(np.linalg.norm(self.discriminants * weights, ord=2)) / 2
        squares = np.maximum(MAX_SQUARE - means[self.blocks[1]], means[self.blocks[1]])
        norms = np.linspace(-MAX_NORM, MAX_NORM, 201)
        off = (np.stack([norms, np.square(norms)], axis=1) - means[self.blocks[4]]) / self.spread[-2:]
        return np.array(
            [
                farthest,
                farthest / np.sqrt(self.ridged.min()),
                self.novelty_scores.max() - float(means[novelty] @ self.novelty_scores),
                by_cluster[3] + farthest * along,
                by_cluster[4],
                np.sqrt(np.square(squares / self.spread[:-2]).sum()),
                np.sqrt(np.square(off).sum(axis=1)).max(),
            ]
        )
