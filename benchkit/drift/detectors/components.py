"""Kolmogorov-Smirnov tests along principal directions, with the false discovery rate over them kept.

    both samples pooled ── principal directions ── coordinates ── one KS test each ── Benjamini-Hochberg ── smallest p

The directions are those of both samples together. They don't know which row is of which sample, so each test is exact.
Directions in which nothing varies are left out: what is seen there is rounding.

Sources: Smirnov, "Table for estimating the goodness of fit of empirical distributions", Ann. Math. Statist. 19 (1948);
    Benjamini & Hochberg, "Controlling the False Discovery Rate", JRSS B 57 (1995).
Cost: O(N · d² + d³ + N · k · (d + log N)) time for N rows of both samples and k directions, O(N · d + d²) memory.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.detectors.options import row_limit, whole
from benchkit.drift.detectors.permutations import check_alpha, result
from benchkit.drift.detectors.principal import principal_coordinates
from benchkit.drift.detectors.samples import Floats, pair_samples
from benchkit.types.drift import DetectorResult


class ComponentKS:
    """A KS test along each of the leading principal directions.

    Args:
        components: How many directions at most.
        max_rows: Of each sample; of a larger one, so many rows are drawn at random and the result says so.

    Raises:
        ValueError: an option is out of range.
    """

    name: str = "ks"
    paper: str = "Smirnov, Ann. Math. Statist. 19 (1948); Benjamini & Hochberg, JRSS B 57 (1995)"
    has_p_value: bool = True

    def __init__(self, *, components: int = 32, max_rows: int = 50_000) -> None:
        self.components = whole("components", components, least=1)
        self.max_rows = row_limit(max_rows)

    def compare(
        self, reference: NDArray[np.floating], current: NDArray[np.floating], *, alpha: float = 0.05, seed: int = 0
    ) -> DetectorResult:
        """Compare two samples; the statistic is the largest KS distance, the p-value the smallest after BH.

        Raises:
            ValueError: see `DriftDetector.compare`.
        """
        check_alpha(alpha)
        pair = pair_samples(reference, current, rng=np.random.default_rng(seed), max_rows=self.max_rows)
        coordinates = principal_coordinates(pair.rows, self.components)
        if coordinates.shape[1] == 0:  # all rows are equal
            return result(self.name, 0.0, pair, p_value=1.0, threshold=None, drifted=False)
        ranked = without_rounding(coordinates)
        distances, p_values = ks_tests(ranked[pair.is_reference], ranked[~pair.is_reference])
        p_value = smallest_adjusted(p_values)
        return result(
            self.name, float(distances.max()), pair, p_value=p_value, threshold=None, drifted=p_value <= alpha
        )


def without_rounding(coordinates: Floats) -> NDArray[np.float32]:
    """Return coordinates (N, k) to seven digits: those of equal rows differ by rounding, which must not rank them."""
    return np.asarray(coordinates / np.abs(coordinates).max(axis=0), dtype=np.float32)


def ks_tests(reference: NDArray[np.floating], current: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Return the KS distance and its p-value for every column, (k,) each."""
    from scipy.stats import ks_2samp

    with warnings.catch_warnings():
        # Where counting all paths overflows, SciPy takes its asymptotic formula and says so.
        warnings.filterwarnings("ignore", message="ks_2samp: Exact calculation unsuccessful", category=RuntimeWarning)
        found = [ks_2samp(one, other) for one, other in zip(reference.T, current.T, strict=True)]
    return np.array([test.statistic for test in found]), np.array([test.pvalue for test in found])


def smallest_adjusted(p_values: Floats) -> float:
    """Return the smallest p-value after Benjamini-Hochberg: at most α where at least one test is a discovery at α.

    >>> float(smallest_adjusted(np.array([0.02, 0.9, 0.03, 0.04])))  # 4 · 0.02 / 1, 4 · 0.03 / 2, 4 · 0.04 / 3, 0.9
    0.05333333333333334
    """
    ordered = np.sort(p_values)
    return float((ordered * len(ordered) / np.arange(1, len(ordered) + 1)).min())
