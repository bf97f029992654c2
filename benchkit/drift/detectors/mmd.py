"""Maximum mean discrepancy (MMD) with a Gaussian kernel, exact and with random features.

    both samples pooled ── median distance ── kernel width ─┬─ MMD: all pairs ────────────┐
                                                            └─ RandomFeatureMMD: features ┴─ MMD² of every relabelling

k(x, y) = exp(−||x − y||² / 2σ²), with 2σ² the median squared distance between pooled rows (alibi-detect's published
rule: σ² is half that median).

Sources: Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012), equation 3; Rahimi & Recht, "Random Features for
    Large-Scale Kernel Machines", NIPS 2007.
Cost: exact O(N² · (d + B)) time for N rows of both samples; random features O(N · R · (d + B)); memory O(N · (d + B)).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.detectors.options import positive, row_limit, whole
from benchkit.drift.detectors.pairwise import median_squared_distance, pair_sums
from benchkit.drift.detectors.permutations import Labels, decide, draw_labels
from benchkit.drift.detectors.samples import Floats, pair_samples
from benchkit.types.drift import DetectorResult

_BLOCK = 2048


class MMD:
    """The unbiased quadratic-time MMD² with a permutation test.

    Args:
        permutations: Random relabellings; the smallest p-value is 1 / (1 + permutations).
        sigma: Width σ of the kernel, in the unit of the vectors; None takes it from the median distance.
        max_rows: Of each sample; of a larger one, so many rows are drawn at random and the result says so.

    Raises:
        ValueError: an option is out of range.
    """

    name: str = "mmd"
    paper: str = "Gretton et al., A Kernel Two-Sample Test, JMLR 13 (2012)"
    has_p_value: bool = True

    def __init__(self, *, permutations: int = 199, sigma: float | None = None, max_rows: int = 5000) -> None:
        self.permutations = whole("permutations", permutations, least=1)
        self.sigma = None if sigma is None else positive("sigma", sigma)
        self.max_rows = row_limit(max_rows)

    def compare(
        self, reference: NDArray[np.floating], current: NDArray[np.floating], *, alpha: float = 0.05, seed: int = 0
    ) -> DetectorResult:
        """Compare two samples; the statistic is MMD², which may be slightly negative.

        Raises:
            ValueError: see `DriftDetector.compare`; or alpha is too small for so few permutations.
        """
        rng = np.random.default_rng(seed)
        pair = pair_samples(reference, current, rng=rng, max_rows=self.max_rows)
        labels = draw_labels(pair, self.permutations, alpha=alpha, rng=rng)
        gamma = kernel_gamma(pair.rows, self.sigma, rng)
        return decide(self.name, mmd2_unbiased(pair.rows, labels, gamma=gamma), pair, alpha=alpha)


class RandomFeatureMMD:
    """MMD² in a space of random Fourier features: linear in the rows, near the exact one.

    Args:
        features: Random frequencies R; the kernel's error falls as 1 / √R.
        permutations, sigma, max_rows: As of `MMD`.

    Raises:
        ValueError: an option is out of range.
    """

    name: str = "mmd-rff"
    paper: str = "Rahimi & Recht, Random Features for Large-Scale Kernel Machines, NIPS 2007; Gretton et al. 2012"
    has_p_value: bool = True

    def __init__(
        self, *, features: int = 512, permutations: int = 199, sigma: float | None = None, max_rows: int = 50_000
    ) -> None:
        self.features = whole("features", features, least=1)
        self.permutations = whole("permutations", permutations, least=1)
        self.sigma = None if sigma is None else positive("sigma", sigma)
        self.max_rows = row_limit(max_rows)

    def compare(
        self, reference: NDArray[np.floating], current: NDArray[np.floating], *, alpha: float = 0.05, seed: int = 0
    ) -> DetectorResult:
        """Compare two samples; the statistic is MMD² of the approximate kernel.

        Raises:
            ValueError: see `DriftDetector.compare`; or alpha is too small for so few permutations.
        """
        rng = np.random.default_rng(seed)
        pair = pair_samples(reference, current, rng=rng, max_rows=self.max_rows)
        labels = draw_labels(pair, self.permutations, alpha=alpha, rng=rng)
        gamma = kernel_gamma(pair.rows, self.sigma, rng)
        # The Gaussian kernel is the characteristic function of a normal distribution of frequencies (section 3).
        frequencies = rng.normal(scale=np.sqrt(2.0 * gamma), size=(pair.rows.shape[1], self.features))
        return decide(self.name, mmd2_features(pair.rows, labels, frequencies), pair, alpha=alpha)


def kernel_gamma(rows: Floats, sigma: float | None, rng: np.random.Generator) -> float:
    """Return 1 / 2σ² of a given σ, or 1 / median squared distance of the pooled rows."""
    return 1.0 / median_squared_distance(rows, rng) if sigma is None else 1.0 / (2.0 * sigma * sigma)


def mmd2_unbiased(rows: Floats, labels: Labels, *, gamma: float) -> Floats:
    """Return the unbiased MMD² of every relabelling (P,), at least 2 rows on either side (equation 3).

    >>> rows, labels = np.array([[0.0], [0.0], [100.0], [100.0]]), np.array([[True], [True], [False], [False]])
    >>> mmd2_unbiased(rows, labels, gamma=1.0).round(6)  # the kernel is 1 inside each sample and 0 across: 1 + 1 - 0
    array([2.])
    """
    sums = pair_sums(rows, labels, lambda squares: np.exp(-gamma * squares))
    n, m = sums.n_reference, sums.n_current
    within = sums.within_reference / (n * (n - 1)) + sums.within_current / (m * (m - 1))
    return np.asarray(within - 2.0 * sums.across / (n * m))


def mmd2_features(rows: Floats, labels: Labels, frequencies: Floats) -> Floats:
    """Return the unbiased MMD² of every relabelling with k(x, y) = mean over frequencies w of cos(wᵀ(x − y)).

    Args:
        frequencies: (d, R).
    """
    n_features = frequencies.shape[1]
    total, of_reference = np.zeros(2 * n_features), np.zeros((labels.shape[1], 2 * n_features))
    for start in range(0, len(rows), _BLOCK):
        angles = rows[start : start + _BLOCK] @ frequencies
        features = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / np.sqrt(n_features)
        total += features.sum(axis=0)
        of_reference += labels[start : start + _BLOCK].T.astype(np.float64) @ features
    of_current = total - of_reference
    n = int(labels[:, 0].sum())
    m = len(rows) - n
    # Features of a row have length 1: a row with itself adds 1 to the square of a sum, which the estimate leaves out.
    within = (_squares(of_reference) - n) / (n * (n - 1)) + (_squares(of_current) - m) / (m * (m - 1))
    return np.asarray(within - 2.0 * np.einsum("pr,pr->p", of_reference, of_current) / (n * m))


def _squares(sums: Floats) -> Floats:
    return np.asarray(np.einsum("pr,pr->p", sums, sums))
