"""The seven sizes: hand-worked, against slow twins, and that they are seminorms, which the tolerance rests on."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.reference import fit
from benchkit.drift.sketch import sketch
from benchkit.drift.statistics import LEVELS, RIDGE, STATISTICS, Scales


@pytest.fixture(scope="module")
def reference():
    rng = np.random.default_rng(5)
    centres = 2 * rng.normal(size=(9, 10))
    return fit(centres[rng.integers(9, size=3000)] + rng.normal(size=(3000, 10)))


@pytest.fixture(scope="module")
def yardstick(reference):
    return reference.yardstick


def only(yardstick, block: int, values) -> np.ndarray:
    deviation = np.zeros((1, yardstick.blocks[-1].stop))
    deviation[0, yardstick.blocks[block]] = values
    return deviation


def size(yardstick, deviation, name: str) -> float:
    return float(yardstick.sizes(deviation)[0, STATISTICS.index(name)])


def test_the_centroid_size_is_a_length(yardstick):
    assert size(yardstick, only(yardstick, 0, [3, 4] + [0] * 8), "centroid") == pytest.approx(5)


def test_the_mahalanobis_size_is_in_ridged_standard_deviations(yardstick):
    variances = yardstick.variances[:10].astype(float)
    expected = 2 / np.sqrt(variances[6] + RIDGE * variances.mean())
    assert size(yardstick, only(yardstick, 0, [0] * 6 + [2] + [0] * 3), "mahalanobis") == pytest.approx(expected)


def test_only_more_novel_rows_count(yardstick):
    n_bins = len(yardstick.novelty_scores)
    more = np.zeros(n_bins)
    more[[0, -1]] = -1, 1
    expected = yardstick.novelty_scores[-1] - yardstick.novelty_scores[0]
    assert size(yardstick, only(yardstick, 3, more), "novelty") == pytest.approx(expected)
    assert size(yardstick, only(yardstick, 3, -more), "novelty") == 0
    assert (np.diff(yardstick.novelty_scores) > 0).all()


def test_the_deepest_level_of_the_tree_is_plain_chi_square(yardstick):
    """With contrasts orthonormal, all of them together are Pearson's chi-square."""
    change = np.random.default_rng(0).normal(size=len(yardstick.shares)) * yardstick.shares
    change -= change.sum() * yardstick.shares
    pearson = (np.square(change) / yardstick.shares).sum()
    assert np.square(change @ yardstick.contrasts).sum() == pytest.approx(pearson)


def test_the_first_contrast_is_between_two_groups_that_hold_all_clusters(yardstick):
    first = yardstick.contrasts[:, 0]
    values = np.unique(first.round(9))
    assert len(values) == 2
    assert values[0] < 0 < values[1]
    assert (first * yardstick.shares).sum() == pytest.approx(0, abs=1e-12)
    assert (np.square(first) * yardstick.shares).sum() == pytest.approx(1)


def test_the_tree_size_is_the_largest_level(yardstick):
    change = yardstick.shares * np.random.default_rng(1).normal(size=len(yardstick.shares))
    change -= change.sum() * yardstick.shares
    squares = np.square(change @ yardstick.contrasts)
    twin = max(squares[:level].sum() / point for level, point in LEVELS.items())
    assert size(yardstick, only(yardstick, 2, change), "clusters") == pytest.approx(np.sqrt(twin))


def test_each_deviation_can_have_scales_of_its_own(yardstick):
    rng = np.random.default_rng(4)
    deviations = rng.normal(size=(2, yardstick.blocks[-1].stop))
    shares = np.stack([yardstick.shares, rng.dirichlet(np.full(len(yardstick.shares), 9.0))])
    spread = np.stack([yardstick.spread[:-2], 2 * yardstick.spread[:-2]])
    both, plain = yardstick.sizes(deviations, Scales(shares, spread)), yardstick.sizes(deviations)
    assert np.allclose(both[0], plain[0])
    clusters = deviations[1, yardstick.blocks[2]]
    assert both[1, STATISTICS.index("cluster-max")] == pytest.approx(
        (np.abs(clusters) / np.sqrt(shares[1] * (1 - shares[1]))).max()
    )
    deepest = np.square(clusters) @ (1 / shares[1]) / LEVELS[63]
    assert both[1, STATISTICS.index("clusters")] >= np.sqrt(deepest) * (1 - 1e-9)
    assert both[1, STATISTICS.index("quadratic")] == pytest.approx(plain[1, STATISTICS.index("quadratic")] / 2)


def test_level_constants_are_chi_square_points():
    from scipy.special import chdtri

    for (level, point), share in zip(LEVELS.items(), (0.05, 0.03, 0.015, 0.01), strict=True):
        assert chdtri(level, share) == pytest.approx(point, abs=1e-3)


def test_the_largest_cluster_is_in_standard_errors(yardstick):
    change = np.zeros(len(yardstick.shares))
    change[3] = -0.2
    p = yardstick.shares[3]
    assert size(yardstick, only(yardstick, 2, change), "cluster-max") == pytest.approx(0.2 / np.sqrt(p * (1 - p)))


def test_sizes_are_seminorms(yardstick):
    rng = np.random.default_rng(2)
    one, two = rng.normal(size=(2, 500, yardstick.blocks[-1].stop))
    assert (yardstick.sizes(one + two) <= yardstick.sizes(one) + yardstick.sizes(two) + 1e-9).all()
    assert np.allclose(yardstick.sizes(3 * one), 3 * yardstick.sizes(one))
    assert not yardstick.sizes(np.zeros((1, one.shape[1]))).any()


def test_no_row_reaches_farther_than_reach(reference, yardstick):
    rng = np.random.default_rng(3)
    rows = np.vstack([rng.normal(size=(300, 10)) * scale for scale in (0.01, 1, 5, 1e4)])
    sizes = [
        yardstick.sizes((yardstick.means(sketch(reference, row[None])) - yardstick.baseline_means)[None])[0]
        for row in rows
    ]
    assert (np.max(sizes, axis=0) <= yardstick.reach * (1 + 1e-6)).all()
    assert (np.max(sizes, axis=0) > 0.2 * yardstick.reach).all()  # and the bound is of use
