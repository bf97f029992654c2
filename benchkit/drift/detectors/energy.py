"""Energy distance: how much farther rows of two samples are from each other than from their own.

    both samples pooled ── distances of all pairs ── 2 · mean across − mean within each ── permutation test

Source: Szekely & Rizzo, "Energy statistics: a class of statistics based on distances", JSPI 143 (2013), equation 6.1.
Cost: O(N² · (d + B)) time for N rows of both samples, O(N · (d + B)) memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.detectors.options import row_limit, whole
from benchkit.drift.detectors.pairwise import pair_sums
from benchkit.drift.detectors.permutations import Labels, decide, draw_labels
from benchkit.drift.detectors.samples import Floats, pair_samples
from benchkit.types.drift import DetectorResult


class EnergyDistance:
    """Energy distance of Euclidean distances with a permutation test; it has no width to choose.

    Args:
        permutations: Random relabellings; the smallest p-value is 1 / (1 + permutations).
        max_rows: Of each sample; of a larger one, so many rows are drawn at random and the result says so.

    Raises:
        ValueError: an option is out of range.
    """

    name: str = "energy"
    paper: str = "Szekely & Rizzo, Energy statistics, JSPI 143 (2013)"
    has_p_value: bool = True

    def __init__(self, *, permutations: int = 199, max_rows: int = 5000) -> None:
        self.permutations = whole("permutations", permutations, least=1)
        self.max_rows = row_limit(max_rows)

    def compare(
        self, reference: NDArray[np.floating], current: NDArray[np.floating], *, alpha: float = 0.05, seed: int = 0
    ) -> DetectorResult:
        """Compare two samples; the statistic is the energy distance, in the unit of the vectors.

        Raises:
            ValueError: see `DriftDetector.compare`; or alpha is too small for so few permutations.
        """
        rng = np.random.default_rng(seed)
        pair = pair_samples(reference, current, rng=rng, max_rows=self.max_rows)
        labels = draw_labels(pair, self.permutations, alpha=alpha, rng=rng)
        return decide(self.name, energy_distance(pair.rows, labels), pair, alpha=alpha)


def energy_distance(rows: Floats, labels: Labels) -> Floats:
    """Return 2 E|X − Y| − E|X − X'| − E|Y − Y'| of every relabelling (P,); never below 0 but for rounding.

    In one dimension it is the square of what SciPy calls energy distance.

    >>> rows, labels = np.array([[0.0], [0.0], [3.0], [3.0]]), np.array([[True], [True], [False], [False]])
    >>> energy_distance(rows, labels)  # every pair across is 3 apart, every pair within 0
    array([6.])
    """
    sums = pair_sums(rows, labels, np.sqrt)
    n, m = sums.n_reference, sums.n_current
    within = sums.within_reference / n**2 + sums.within_current / m**2
    return np.asarray(2.0 * sums.across / (n * m) - within)
