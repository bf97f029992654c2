"""PSI and JSD of cluster shares: by hand, against SciPy, and what decides."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from benchkit.drift.detectors.clusters import (
    ClusterJSD,
    ClusterPSI,
    cluster_rows,
    cluster_shares,
    jensen_shannon,
    population_stability,
)

RNG = np.random.default_rng(61)
P, Q = RNG.dirichlet(np.ones(6), size=(2, 4)).transpose(0, 2, 1)


def test_shares_are_counts_plus_a_half_of_each_cluster() -> None:
    clusters = np.array([0, 0, 1, 2, 2, 2])
    labels = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], dtype=bool).T
    ours, theirs = cluster_shares(clusters, labels)
    assert ours[:, 0] == pytest.approx([2.5 / 4.5, 1.5 / 4.5, 0.5 / 4.5])
    assert theirs[:, 0] == pytest.approx([0.5 / 4.5, 0.5 / 4.5, 3.5 / 4.5])
    assert np.allclose(ours[:, 1], theirs[:, 0])


def test_psi_by_hand() -> None:
    half, other = np.array([[0.5], [0.5]]), np.array([[0.75], [0.25]])
    assert population_stability(half, other) == pytest.approx([0.25 * np.log(3)])
    assert population_stability(half, half) == [0.0]


def test_psi_agrees_with_the_loop_over_bins_and_is_the_same_both_ways() -> None:
    expected = [sum((p - q) * np.log(p / q) for p, q in zip(P[:, c], Q[:, c], strict=True)) for c in range(4)]
    assert population_stability(P, Q) == pytest.approx(expected)
    assert population_stability(Q, P) == pytest.approx(expected)


def test_jsd_is_the_square_of_scipys_distance_and_one_bit_at_most() -> None:
    assert jensen_shannon(P, Q) == pytest.approx(jensenshannon(P, Q, base=2) ** 2)
    far = np.array([[1 - 1e-12], [1e-12]])
    assert jensen_shannon(far, far[::-1]) == pytest.approx([1.0])


def test_clusters_are_those_of_the_rows() -> None:
    rows = np.repeat(np.eye(4), 10, axis=0) + 0.01 * RNG.normal(size=(40, 4))
    found = cluster_rows(rows, 4, np.random.default_rng(0))
    groups = [set(part.tolist()) for part in np.split(found, 4)]
    assert [len(group) for group in groups] == [1, 1, 1, 1]
    assert len(set.union(*groups)) == 4


@pytest.mark.parametrize(
    "rows", [np.zeros((12, 3)), np.repeat(np.eye(3), 4, axis=0)], ids=["one point", "three points"]
)
def test_fewer_points_than_clusters_are_fine(rows: np.ndarray) -> None:
    assert len(np.unique(cluster_rows(rows, 8, np.random.default_rng(0)))) == len(np.unique(rows, axis=0))


def test_many_rows_are_clustered_by_some_of_them() -> None:
    rows = np.repeat(np.array([[0.0], [10.0]]), 6000, axis=0)
    found = cluster_rows(rows, 2, np.random.default_rng(0))
    assert len(found) == 12_000
    assert found[0] != found[-1]


@pytest.mark.parametrize("detector", [ClusterPSI(), ClusterJSD()], ids=["psi", "jsd"])
def test_another_mix_of_clusters_is_found_and_none_where_there_is_none(detector: ClusterPSI | ClusterJSD) -> None:
    rng = np.random.default_rng(6)
    centres = 6 * np.eye(5)

    def draw(shares: list[float]) -> np.ndarray:
        return centres[rng.choice(5, size=400, p=shares)] + rng.normal(size=(400, 5))

    reference = draw([0.2] * 5)
    assert detector.has_p_value
    assert not detector.compare(reference, draw([0.2] * 5)).drifted
    moved = detector.compare(reference, draw([0.4, 0.15, 0.15, 0.15, 0.15]))
    assert moved.drifted
    assert moved.p_value == pytest.approx(0.001)


@pytest.mark.parametrize("detector", [ClusterPSI(), ClusterJSD()], ids=["psi", "jsd"])
def test_samples_that_change_places_have_the_same_divergence_and_p_value(detector: ClusterPSI | ClusterJSD) -> None:
    rng = np.random.default_rng(4)
    reference, current = rng.normal(size=(80, 12)), rng.normal(size=(80, 12)) + 0.15
    one, other = detector.compare(reference, current), detector.compare(current, reference)
    assert (one.statistic, one.p_value) == pytest.approx((other.statistic, other.p_value), rel=1e-9)


def test_without_permutations_the_threshold_decides_and_no_p_value_is_claimed() -> None:
    rng = np.random.default_rng(7)
    reference = rng.normal(size=(500, 2))
    detector = ClusterPSI(permutations=0)
    assert not detector.has_p_value
    same, moved = (detector.compare(reference, rng.normal(size=(500, 2)) + shift) for shift in (0.0, 2.0))
    assert (same.p_value, same.threshold, same.drifted) == (None, 0.25, False)
    assert (moved.p_value, moved.threshold, moved.drifted) == (None, 0.25, True)
    assert moved.statistic > 0.25 > same.statistic
    assert ClusterJSD(permutations=0, threshold=0.1).compare(reference, reference + 5.0).drifted


def test_the_statistic_is_the_same_whatever_decides() -> None:
    reference, current = RNG.normal(size=(2, 60, 3))
    assert ClusterPSI().compare(reference, current).statistic == pytest.approx(
        ClusterPSI(permutations=0).compare(reference, current).statistic
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClusterJSD(permutations=0), "without permutations a threshold has to decide: give one"),
        (lambda: ClusterPSI(permutations=0, threshold=None), "without permutations a threshold has to decide"),
        (lambda: ClusterPSI(clusters=1), "clusters should be a whole number of at least 2, got 1"),
        (lambda: ClusterPSI(permutations=-1), "permutations should be a whole number of at least 0, got -1"),
        (lambda: ClusterPSI(threshold=-0.25), "threshold should be a number above 0, got -0.25"),
    ],
)
def test_an_option_out_of_range_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_wrong_alpha_is_refused_even_where_it_decides_nothing() -> None:
    with pytest.raises(ValueError, match="alpha should be between 0 and 1, got 0"):
        ClusterPSI(permutations=0).compare(np.eye(6), np.eye(6), alpha=0)
