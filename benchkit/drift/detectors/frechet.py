"""Fréchet distance of two normal distributions: the means and covariances of the samples held against each other.

    both samples pooled ── leading principal directions ── mean and covariance of each ── distance ── permutation test

||μ₁ − μ₂||² + tr(C₁ + C₂ − 2 (C₁ C₂)^½). The root's trace is that of (C₁^½ C₂ C₁^½)^½, which is symmetric: eigenvalues
of symmetric matrices stay real where a root of C₁ C₂ turns complex on few rows.

The distance has no null of its own and grows as the rows get fewer, hence the permutations; and as each costs two
eigenvalue problems, it is taken in the 64 leading directions by default. All directions give the textbook's figure.

Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NIPS 2017,
    equation 6; Dowson & Landau, "The Fréchet distance between multivariate normal distributions", JMVA 12 (1982).
Cost: O(N · d² + d³ + B · (N · k² + k³)) time for N rows of both samples and k directions, O(N · (d + B) + d²) memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.detectors.options import row_limit, whole
from benchkit.drift.detectors.permutations import Labels, decide, draw_labels
from benchkit.drift.detectors.principal import principal_coordinates
from benchkit.drift.detectors.samples import Floats, pair_samples
from benchkit.types.drift import DetectorResult


class FrechetDistance:
    """Fréchet distance with a permutation test.

    Args:
        components: Leading principal directions that it is taken in; None is all that vary.
        permutations: Random relabellings; the smallest p-value is 1 / (1 + permutations).
        max_rows: Of each sample; of a larger one, so many rows are drawn at random and the result says so.

    Raises:
        ValueError: an option is out of range.
    """

    name: str = "frechet"
    paper: str = "Heusel et al., GANs Trained by a Two Time-Scale Update Rule, NIPS 2017"
    has_p_value: bool = True

    def __init__(self, *, components: int | None = 64, permutations: int = 199, max_rows: int = 20_000) -> None:
        self.components = None if components is None else whole("components", components, least=1)
        self.permutations = whole("permutations", permutations, least=1)
        self.max_rows = row_limit(max_rows)

    def compare(
        self, reference: NDArray[np.floating], current: NDArray[np.floating], *, alpha: float = 0.05, seed: int = 0
    ) -> DetectorResult:
        """Compare two samples; the statistic is the squared distance, in squared units of the vectors.

        Raises:
            ValueError: see `DriftDetector.compare`; or alpha is too small for so few permutations.
        """
        rng = np.random.default_rng(seed)
        pair = pair_samples(reference, current, rng=rng, max_rows=self.max_rows)
        labels = draw_labels(pair, self.permutations, alpha=alpha, rng=rng)
        coordinates = principal_coordinates(pair.rows, self.components)
        return decide(self.name, frechet_distances(coordinates, labels), pair, alpha=alpha)


def frechet_distances(rows: Floats, labels: Labels) -> Floats:
    """Return the squared Fréchet distance of every relabelling (P,)."""
    scatter = rows.T @ rows
    return np.array([_of_labels(rows, scatter, column) for column in labels.T])


def _of_labels(rows: Floats, scatter: Floats, is_reference: NDArray[np.bool_]) -> float:
    if rows.shape[1] == 0:  # all rows are equal
        return 0.0
    ours = rows[is_reference]
    n, m = len(ours), len(rows) - len(ours)
    own_scatter, own_sum = ours.T @ ours, ours.sum(axis=0)
    first, second = own_sum / n, (rows.sum(axis=0) - own_sum) / m
    covariance = (own_scatter - n * np.outer(first, first)) / (n - 1)
    # The rows lie about the origin, so that this difference loses no digits.
    other = (scatter - own_scatter - m * np.outer(second, second)) / (m - 1)
    return frechet_distance(first, covariance, second, other)


def frechet_distance(mean: Floats, covariance: Floats, other_mean: Floats, other_covariance: Floats) -> float:
    """Return the squared Fréchet distance of two normal distributions.

    Args:
        mean, other_mean: (k,).
        covariance, other_covariance: Symmetric (k, k), singular ones too.

    >>> float(frechet_distance(np.zeros(1), np.array([[1.0]]), np.array([3.0]), np.array([[4.0]])))  # 3² + (1 - 2)²
    10.0
    """
    variances, directions = np.linalg.eigh(covariance)
    root = (directions * np.sqrt(np.maximum(variances, 0.0))) @ directions.T
    both = np.linalg.eigvalsh(root @ other_covariance @ root)
    shared = np.sqrt(np.maximum(both, 0.0)).sum()
    spread = np.trace(covariance) + np.trace(other_covariance) - 2.0 * shared
    return float(np.square(mean - other_mean).sum() + max(spread, 0.0))
