"""The seven sizes: hand-worked, against slow twins, and that they are seminorms, which the tolerance rests on."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.reference import assign, fit
from benchkit.drift.sketch import sketch
from benchkit.drift.statistics import BALANCE, RIDGE, STATISTICS, Scales

CENTRES = 2 * np.random.default_rng(5).normal(size=(9, 10))


def stream(rng: np.random.Generator, n_rows: int) -> np.ndarray:
    return CENTRES[rng.integers(9, size=n_rows)] + rng.normal(size=(n_rows, 10))


@pytest.fixture(scope="module")
def reference():
    return fit(stream(np.random.default_rng(6), 3000))


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


def test_all_contrasts_together_are_plain_chi_square(yardstick):
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


def test_rows_that_change_sides_are_seen_along_that_contrast_in_standard_errors(yardstick):
    """A tenth of all rows from one side to the other: .1 over the root of ab / (a + b)."""
    first, second = (side[:, 0] > 0 for side in yardstick.sides)
    shares = yardstick.shares
    one, other = shares[first].sum(), shares[second].sum()
    change = 0.1 * np.where(first, shares / one, 0) - 0.1 * np.where(second, shares / other, 0)
    along = yardstick.contrasted(change[None], shares)[0]
    assert along[0] == pytest.approx(0.1 / np.sqrt(one * other / (one + other)))
    assert np.allclose(along[1:], 0)


def test_sides_are_the_clusters_that_a_merge_joins(yardstick):
    for place, (first, second) in enumerate(yardstick.frame.merges[::-1]):
        one, other = (side[:, place] for side in yardstick.sides)
        assert one[first] == other[second] == 1
        assert not (one * other).any()
    assert (yardstick.sides[0][:, 0] + yardstick.sides[1][:, 0] == 1).all()


def test_a_discriminant_is_the_regression_of_its_contrast_on_the_row(reference, yardstick):
    """The twin regresses what the contrast says of rows that the frame never saw, with the same ridge."""
    rows = stream(np.random.default_rng(6), 40_000)
    centred = rows - rows.mean(axis=0)
    along = centred @ yardstick.frame.basis.T.astype(float)
    labels = yardstick.contrasts[assign(reference, rows)]
    covariance = np.diag(along.var(axis=0)) + RIDGE * along.var(axis=0).mean() * np.eye(10)
    twin = np.linalg.solve(covariance, along.T @ (labels - labels.mean(axis=0)) / len(rows))
    shown, expected = along @ yardstick.discriminants, along @ twin
    assert np.allclose(shown.std(axis=0), 1, atol=0.06)
    # Nine topics, eight contrasts; those below divide one topic at random.
    alike = [np.corrcoef(shown[:, place], expected[:, place])[0, 1] for place in range(8)]
    assert min(alike) > 0.98


def test_counts_and_rows_together_tell_topics_better_where_clusters_hold_rows_of_both():
    """Two topics of eight clusters each that overlap: which topic a row is of, by the tree's first contrast."""
    rng = np.random.default_rng(9)
    centres = np.vstack([1.5 * rng.normal(size=(8, 12)) + side * np.eye(12)[0] for side in (-2.5, 2.5)])

    def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
        picked = rng.integers(16, size=n)
        return centres[picked] + 1.2 * rng.normal(size=(n, 12)), picked >= 8

    reference = fit(rows(4000)[0])
    yardstick, (later, topic) = reference.yardstick, rows(20_000)
    counted = yardstick.contrasts[assign(reference, later), 0]
    shown = yardstick.frame.project(later - yardstick.frame.mean.astype(float)) @ yardstick.discriminants[:, 0]
    by_counts, by_rows, by_both = (
        abs(np.corrcoef(topic, seen)[0, 1]) for seen in (counted, shown, (counted + shown) / 2)
    )
    assert min(by_counts, by_rows) > 0.7
    assert by_both > max(by_counts, by_rows) + 0.02


def test_counts_and_rows_each_give_half_of_a_contrast(yardstick):
    """One standard error in the counts of a contrast and nothing in the rows: half, by how much it counts."""
    for place in (0, 1):
        change = yardstick.contrasts[:, place] * yardstick.shares
        counted = size(yardstick, only(yardstick, 2, change), "clusters")
        one, other = (side[:, place] @ yardstick.shares for side in yardstick.sides)
        counts = (one * other / (one + other)) ** BALANCE / yardstick.by_chance[0]
        assert counted == pytest.approx(0.5 * counts**0.25)


def test_the_tree_size_is_the_fourth_root_of_fourth_powers(yardstick):
    rng = np.random.default_rng(1)
    linear = 6 * yardstick.variances[:10] * yardstick.discriminants[:, 1]
    clusters = 0.02 * rng.normal(size=len(yardstick.shares))
    total = 0.0
    for place in range(len(yardstick.shares) - 1):
        seen = 0.5 * (clusters @ yardstick.contrasts[:, place] + linear @ yardstick.discriminants[:, place])
        one, other = (side[:, place] @ yardstick.shares for side in yardstick.sides)
        total += seen**4 / (1 / one + 1 / other) ** BALANCE
    both = only(yardstick, 0, linear) + only(yardstick, 2, clusters)
    assert size(yardstick, both, "clusters") == pytest.approx((total / yardstick.by_chance[0]) ** 0.25)


def test_a_change_of_all_clusters_is_seen_by_chi_square(yardstick):
    """Two standard deviations of every cluster: four times their number, in units of what chance reaches."""
    k = len(yardstick.shares)
    change = 2 * np.sqrt(yardstick.shares) * np.resize([1, -1], k)
    expected = np.sqrt(4 * k / yardstick.by_chance[1])
    assert size(yardstick, only(yardstick, 2, change), "clusters") == pytest.approx(expected)


def test_chance_reaches_what_drawn_windows_do(yardstick):
    """Chi-square of rows drawn from the baseline's shares; fourth powers of normal numbers."""
    rng, shares = np.random.default_rng(9), yardstick.baseline.clusters / yardstick.baseline.rows
    windows = rng.multinomial(2000, shares, size=20_000) / 2000 - shares
    chi = 2000 * np.square(windows) @ (1 / yardstick.shares)
    assert yardstick.by_chance[1] == pytest.approx(chi.mean() + 5 * chi.std(), rel=0.03)
    fourths = rng.normal(size=(200_000, len(yardstick.importance))) ** 4 @ yardstick.importance
    assert yardstick.by_chance[0] == pytest.approx(fourths.mean() + 2 * fourths.std(), rel=0.03)


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
    one, other = (shares[1] @ side for side in yardstick.sides)
    first, second = (clusters @ side for side in yardstick.sides)
    counted = (first / one - second / other) / np.sqrt(1 / one + 1 / other)
    seen = (counted + deviations[1, yardstick.blocks[0]] @ yardstick.discriminants) / 2
    fourths, squares = yardstick.by_chance
    expected = max(np.sqrt(yardstick.importance @ seen**4 / fourths), np.square(clusters) @ (1 / shares[1]) / squares)
    assert both[1, STATISTICS.index("clusters")] == pytest.approx(np.sqrt(expected))
    assert both[1, STATISTICS.index("quadratic")] == pytest.approx(plain[1, STATISTICS.index("quadratic")] / 2)


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


def test_a_row_far_along_a_discriminant_is_within_reach():
    """Of two clusters: what the rows show of their contrast is more than a change of cluster."""
    reference = fit(stream(np.random.default_rng(11), 120))
    yardstick = reference.yardstick
    assert len(yardstick.shares) == 2
    far = 1e3 * yardstick.discriminants.T @ yardstick.frame.basis
    sizes = [
        size(yardstick, (yardstick.means(sketch(reference, row)) - yardstick.baseline_means)[None], "clusters")
        for row in (yardstick.frame.mean + far, yardstick.frame.mean - far)
    ]
    reach = yardstick.reach[STATISTICS.index("clusters")]
    assert 0.4 * reach < max(sizes) <= reach
