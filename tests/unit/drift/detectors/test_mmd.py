"""MMD² against the paper's double loop, and what the random features come to."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.detectors.mmd import MMD, RandomFeatureMMD, kernel_gamma, mmd2_features, mmd2_unbiased

RNG = np.random.default_rng(11)


def split(n: int, m: int) -> np.ndarray:
    return (np.arange(n + m) < n)[:, None]


def loop(reference: np.ndarray, current: np.ndarray, gamma: float) -> float:
    """Gretton et al. (2012), equation 3, as it is printed."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-gamma * ((a - b) ** 2).sum()))

    n, m = len(reference), len(current)
    xx = sum(k(reference[i], reference[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(current[i], current[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    xy = sum(k(a, b) for a in reference for b in current) / (n * m)
    return xx + yy - 2 * xy


def test_mmd2_is_two_when_the_samples_never_touch() -> None:
    rows = np.array([[0.0], [0.0], [100.0], [100.0]])
    assert mmd2_unbiased(rows, split(2, 2), gamma=1.0) == pytest.approx([2.0])


@pytest.mark.parametrize(("n", "m"), [(5, 5), (12, 7), (3, 20)])
def test_mmd2_agrees_with_the_double_loop_of_the_paper(n: int, m: int) -> None:
    rows = RNG.normal(size=(n + m, 3))
    found = mmd2_unbiased(rows, split(n, m), gamma=0.4)
    assert found == pytest.approx([loop(rows[:n], rows[n:], 0.4)], abs=1e-12)


def test_compare_gives_the_double_loop_with_the_published_width() -> None:
    reference, current = RNG.normal(size=(20, 4)), RNG.normal(size=(15, 4)) + 0.3
    pooled = np.concatenate([reference, current])
    squares = np.sort([((a - b) ** 2).sum() for i, a in enumerate(pooled) for b in pooled[:i]])
    sigma = np.sqrt(np.median(squares) / 2)
    found = MMD().compare(reference, current)
    assert found.statistic == pytest.approx(loop(reference, current, 1 / (2 * sigma**2)), abs=1e-12)
    given = MMD(sigma=0.7).compare(reference, current)
    assert given.statistic == pytest.approx(loop(reference, current, 1 / (2 * 0.7**2)), abs=1e-12)


def test_mmd2_averages_zero_when_nothing_moved() -> None:
    found = []
    for seed in range(200):
        rows = np.random.default_rng(seed).normal(size=(40, 2))
        found.append(mmd2_unbiased(rows, split(20, 20), gamma=0.5)[0])
    assert abs(np.mean(found)) < 5 * np.std(found) / np.sqrt(200)


def test_features_are_exactly_mmd2_of_their_own_kernel() -> None:
    rows, frequencies = RNG.normal(size=(17, 3)), RNG.normal(size=(3, 5))
    labels = np.array([RNG.permutation(17) < 7 for _ in range(4)]).T
    kernel = np.cos((rows[:, None] - rows) @ frequencies).mean(axis=2)
    found = mmd2_features(rows, labels, frequencies)
    for column, is_reference in enumerate(labels.T):
        xx, yy = kernel[np.ix_(is_reference, is_reference)], kernel[np.ix_(~is_reference, ~is_reference)]
        expected = (xx.sum() - 7) / 42 + (yy.sum() - 10) / 90 - 2 * kernel[np.ix_(is_reference, ~is_reference)].mean()
        assert found[column] == pytest.approx(expected, abs=1e-12)


def test_features_come_near_the_exact_mmd2_as_they_get_many() -> None:
    reference, current = RNG.normal(size=(200, 5)), RNG.normal(size=(200, 5)) + 0.5
    exact = MMD().compare(reference, current).statistic
    near = RandomFeatureMMD(features=20_000, permutations=19).compare(reference, current).statistic
    assert near == pytest.approx(exact, rel=0.05)


def test_features_do_not_care_for_blocks() -> None:
    rows, frequencies = RNG.normal(size=(5000, 2)), RNG.normal(size=(2, 3))
    found = mmd2_features(rows, split(2500, 2500), frequencies)
    angles = rows @ frequencies
    sums = [
        np.concatenate([np.cos(part), np.sin(part)], axis=1).sum(axis=0) / np.sqrt(3) for part in np.split(angles, 2)
    ]
    within = sum((total @ total - 2500) / (2500 * 2499) for total in sums)
    assert found == pytest.approx([within - 2 * sums[0] @ sums[1] / 2500**2])


def test_width_is_by_the_median_or_as_given() -> None:
    rows = np.array([[0.0], [1.0], [3.0]])  # squared distances 1, 4, 9
    assert kernel_gamma(rows, None, RNG) == 1 / 4
    assert kernel_gamma(rows, 2.0, RNG) == 1 / 8


@pytest.mark.parametrize("detector", [MMD(), RandomFeatureMMD()], ids=["mmd", "mmd-rff"])
def test_one_broken_row_hides_no_change_of_the_others(detector: MMD | RandomFeatureMMD) -> None:
    # A kernel is at most 1, so one row of fifty weighs little; but a mean of 6e28 leaves no digits to the others.
    rng = np.random.default_rng(9)
    reference, current = rng.normal(size=(50, 8)), rng.normal(size=(60, 8)) + 1.0
    sound = detector.compare(reference, current)
    reference[7] = 1e30
    found = detector.compare(reference, current)
    assert found.drifted
    assert found.statistic == pytest.approx(sound.statistic, rel=0.1)


@pytest.mark.parametrize("detector", [MMD(), RandomFeatureMMD()], ids=["exact", "features"])
def test_a_change_of_spread_alone_is_found_and_none_where_there_is_none(detector: MMD | RandomFeatureMMD) -> None:
    rng = np.random.default_rng(2)
    reference = rng.normal(size=(300, 4))
    assert detector.compare(reference, 2.0 * rng.normal(size=(300, 4))).drifted
    assert not detector.compare(reference, rng.normal(size=(300, 4))).drifted


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MMD(permutations=0), "permutations should be a whole number of at least 1, got 0"),
        (lambda: MMD(permutations=True), "permutations should be a whole number of at least 1, got True"),
        (lambda: MMD(sigma=0.0), "sigma should be a number above 0, got 0.0"),
        (lambda: MMD(sigma=float("inf")), "sigma should be a number above 0, got inf"),
        (lambda: MMD(max_rows=4), "max_rows should be a whole number of at least 5, got 4"),
        (lambda: RandomFeatureMMD(features=0), "features should be a whole number of at least 1, got 0"),
        (lambda: RandomFeatureMMD(sigma=-1), "sigma should be a number above 0, got -1"),
    ],
)
def test_an_option_out_of_range_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
