"""Population stability index (PSI) and Jensen-Shannon divergence (JSD) of how rows fall into clusters.

    both samples pooled ── k-means ── rows of each cluster ── smoothed shares ─┬─ PSI ─┐
                                                                               └─ JSD ─┴─ permutation test or threshold

Shares are (rows + ½) / (n + k/2), so an empty cluster has a logarithm. The clusters are those of both samples together:
fitted on one of them, they would fit that one better, which looks like a change.

PSI's customary threshold of 0.25 takes no account of the number of rows: few unchanged ones pass it. So a permutation
test decides, unless `permutations=0` asks for the threshold.

Sources: Siddiqi, "Credit Risk Scorecards" (2006), chapter 6; Lin, "Divergence Measures Based on the Shannon Entropy",
    IEEE Trans. Inf. Theory 37 (1991).
Cost: O(N · k · (d · rounds + B)) time for N rows of both samples and k clusters, O(N · (d + k + B)) memory.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.detectors.options import positive, row_limit, whole
from benchkit.drift.detectors.permutations import Labels, check_alpha, decide, draw_labels, result
from benchkit.drift.detectors.samples import Floats, pair_samples
from benchkit.types.drift import DetectorResult

_SMOOTHING = 0.5
_FIT_ROWS = 10_000


class _ClusterDetector(ABC):
    """What both methods share: clusters, shares, and how it is decided."""

    name: str
    paper: str
    has_p_value: bool

    def __init__(self, *, clusters: int, permutations: int, threshold: float | None, max_rows: int) -> None:
        self.clusters = whole("clusters", clusters, least=2)
        self.permutations = whole("permutations", permutations, least=0)
        self.threshold = None if threshold is None else positive("threshold", threshold)
        self.max_rows = row_limit(max_rows)
        self.has_p_value = permutations > 0
        if permutations == 0 and threshold is None:
            raise ValueError("without permutations a threshold has to decide: give one")

    @abstractmethod
    def _divergence(self, reference: Floats, current: Floats) -> Floats:
        """Return the divergence of the shares of clusters, for each relabelling (P,)."""

    def compare(
        self, reference: NDArray[np.floating], current: NDArray[np.floating], *, alpha: float = 0.05, seed: int = 0
    ) -> DetectorResult:
        """Compare two samples; the statistic is the divergence of their shares.

        Raises:
            ValueError: see `DriftDetector.compare`; or alpha is too small for so few permutations.
        """
        check_alpha(alpha)
        rng = np.random.default_rng(seed)
        pair = pair_samples(reference, current, rng=rng, max_rows=self.max_rows)
        clusters = cluster_rows(pair.rows, self.clusters, rng)
        if self.permutations:
            labels = draw_labels(pair, self.permutations, alpha=alpha, rng=rng)
            return decide(self.name, self._divergence(*cluster_shares(clusters, labels)), pair, alpha=alpha)
        found = float(self._divergence(*cluster_shares(clusters, pair.is_reference[:, None]))[0])
        drifted = self.threshold is not None and found > self.threshold
        return result(self.name, found, pair, p_value=None, threshold=self.threshold, drifted=drifted)


class ClusterPSI(_ClusterDetector):
    """PSI over k-means clusters.

    Args:
        clusters: How many at most; ten bins are customary.
        permutations: Random relabellings; 0 lets the threshold decide, and no rate of false alarms is kept.
        threshold: Of PSI, for `permutations=0`: 0.25 is customary for "a major shift".
        max_rows: Of each sample; of a larger one, so many rows are drawn at random and the result says so.

    Raises:
        ValueError: an option is out of range.
    """

    name: str = "psi"
    paper: str = "Siddiqi, Credit Risk Scorecards (2006), chapter 6"

    def __init__(
        self, *, clusters: int = 10, permutations: int = 999, threshold: float | None = 0.25, max_rows: int = 50_000
    ) -> None:
        super().__init__(clusters=clusters, permutations=permutations, threshold=threshold, max_rows=max_rows)

    def _divergence(self, reference: Floats, current: Floats) -> Floats:
        return population_stability(reference, current)


class ClusterJSD(_ClusterDetector):
    """Jensen-Shannon divergence over k-means clusters.

    Args:
        clusters, permutations, max_rows: As of `ClusterPSI`.
        threshold: Of JSD in bits, for `permutations=0`; none is customary.

    Raises:
        ValueError: an option is out of range.
    """

    name: str = "jsd"
    paper: str = "Lin, Divergence Measures Based on the Shannon Entropy, IEEE Trans. Inf. Theory 37 (1991)"

    def __init__(
        self, *, clusters: int = 10, permutations: int = 999, threshold: float | None = None, max_rows: int = 50_000
    ) -> None:
        super().__init__(clusters=clusters, permutations=permutations, threshold=threshold, max_rows=max_rows)

    def _divergence(self, reference: Floats, current: Floats) -> Floats:
        return jensen_shannon(reference, current)


def cluster_rows(rows: Floats, clusters: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the cluster of each row (N,), of k-means on at most 10,000 of them."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    fitted_on = rows if len(rows) <= _FIT_ROWS else rows[rng.choice(len(rows), size=_FIT_ROWS, replace=False)]
    seed = int(rng.integers(2**31))
    with warnings.catch_warnings():
        # Fewer different rows than clusters: the clusters left over stay empty, and say nothing.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(n_clusters=min(clusters, len(fitted_on)), n_init=1, random_state=seed).fit(fitted_on)
    return np.asarray(model.predict(rows), dtype=np.int64)


def cluster_shares(clusters: NDArray[np.int64], labels: Labels) -> tuple[Floats, Floats]:
    """Return the smoothed shares of each cluster among reference and current rows, (k, P) each."""
    k = int(clusters.max()) + 1
    members = (clusters == np.arange(k)[:, None]).astype(np.float64)
    ours = members @ labels.astype(np.float64)
    theirs = members.sum(axis=1)[:, None] - ours
    return _smoothed(ours), _smoothed(theirs)


def _smoothed(counts: Floats) -> Floats:
    return np.asarray((counts + _SMOOTHING) / (counts.sum(axis=0) + _SMOOTHING * len(counts)))


def population_stability(reference: Floats, current: Floats) -> Floats:
    """Return the sum over clusters of (p − q) · ln(p / q), for every column of shares (k, P).

    >>> population_stability(np.array([[0.5], [0.5]]), np.array([[0.75], [0.25]])).round(6)  # ln(3) / 4
    array([0.274653])
    """
    return np.asarray(((reference - current) * np.log(reference / current)).sum(axis=0))


def jensen_shannon(reference: Floats, current: Floats) -> Floats:
    """Return the Jensen-Shannon divergence in bits, 0 to 1, for every column of shares (k, P) above 0.

    >>> jensen_shannon(np.array([[0.5], [0.5]]), np.array([[0.75], [0.25]])).round(6)
    array([0.048795])
    """
    middle = (reference + current) / 2
    both = reference * np.log2(reference / middle) + current * np.log2(current / middle)
    return np.asarray(both.sum(axis=0) / 2)
