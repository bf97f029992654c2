"""Sliced Wasserstein-1 distance: how far rows have to be moved along a direction, averaged over random directions.

    both samples pooled ── random directions ── coordinates, sorted once ── area between the two step curves ── mean

Along one direction the distance is the area between both distribution functions. Sorting doesn't know the labels, so
one order of the pooled coordinates serves all relabellings: their curves are running sums of the labels in that order.

Source: Bonneel et al., "Sliced and Radon Wasserstein Barycenters of Measures", JMIV 51 (2015), section 3.
Cost: O(L · N · (d + log N + B)) time for N rows of both samples and L directions, O(N · (d + L + B)) memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.detectors.options import row_limit, whole
from benchkit.drift.detectors.permutations import Labels, decide, draw_labels
from benchkit.drift.detectors.samples import Floats, pair_samples
from benchkit.types.drift import DetectorResult


class SlicedWasserstein:
    """Sliced Wasserstein-1 distance with a permutation test.

    Args:
        directions: Random directions, uniform on the sphere.
        permutations: Random relabellings; the smallest p-value is 1 / (1 + permutations).
        max_rows: Of each sample; of a larger one, so many rows are drawn at random and the result says so.

    Raises:
        ValueError: an option is out of range.
    """

    name: str = "sliced-wasserstein"
    paper: str = "Bonneel et al., Sliced and Radon Wasserstein Barycenters of Measures, JMIV 51 (2015)"
    has_p_value: bool = True

    def __init__(self, *, directions: int = 64, permutations: int = 199, max_rows: int = 10_000) -> None:
        self.directions = whole("directions", directions, least=1)
        self.permutations = whole("permutations", permutations, least=1)
        self.max_rows = row_limit(max_rows)

    def compare(
        self, reference: NDArray[np.floating], current: NDArray[np.floating], *, alpha: float = 0.05, seed: int = 0
    ) -> DetectorResult:
        """Compare two samples; the statistic is the mean distance, in the unit of the vectors.

        Raises:
            ValueError: see `DriftDetector.compare`; or alpha is too small for so few permutations.
        """
        rng = np.random.default_rng(seed)
        pair = pair_samples(reference, current, rng=rng, max_rows=self.max_rows)
        labels = draw_labels(pair, self.permutations, alpha=alpha, rng=rng)
        directions = rng.normal(size=(pair.rows.shape[1], self.directions))
        directions /= np.linalg.norm(directions, axis=0)
        return decide(self.name, sliced_wasserstein(pair.rows, labels, directions), pair, alpha=alpha)


def sliced_wasserstein(rows: Floats, labels: Labels, directions: Floats) -> Floats:
    """Return the Wasserstein-1 distance of every relabelling, averaged over directions (P,).

    Args:
        directions: Columns of length 1, (d, L).

    >>> rows, labels = np.array([[0.0], [1.0], [5.0], [6.0]]), np.array([[True], [True], [False], [False]])
    >>> sliced_wasserstein(rows, labels, np.array([[1.0]]))  # both rows move by 5
    array([5.])
    """
    coordinates = rows @ directions
    n = int(labels[:, 0].sum())
    # A row lifts the curve of its own sample and so lifts or lowers the difference of both.
    steps = np.where(labels, 1.0 / n, -1.0 / (len(rows) - n))
    distances = np.zeros(labels.shape[1])
    for along in coordinates.T:
        order = np.argsort(along, kind="stable")
        between = np.cumsum(steps[order[:-1]], axis=0)
        distances += np.diff(along[order]) @ np.abs(between, out=between)
    return np.asarray(distances / directions.shape[1])
