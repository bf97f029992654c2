"""Tables of drawn windows against what theory says of real ones, also where the baseline is the smaller sample."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.lengths import Lengths
from benchkit.drift.null import N_DRAWS, _without, combine
from benchkit.drift.reference import Reference, fit
from benchkit.drift.statistics import LEHMANN, NOVEL_SHARE, PAIR_WEIGHT, STATISTICS, WEIGHTS, Yardstick

ENDLESS = 6  # level of the table: windows of a million rows
DRAWS = 40_000


@pytest.fixture(scope="module")
def topics() -> Reference:
    """300 rows to compare with, in clusters of 5 rows and more."""
    rng = np.random.default_rng(0)
    shares = np.array([0.4, 0.3, 0.2, 0.04, 0.03, 0.03])
    centres = 9 * rng.normal(size=(6, 5))
    return fit(centres[rng.choice(6, size=400, p=shares)] + rng.normal(size=(400, 5)))


@pytest.fixture(scope="module")
def normal() -> Reference:
    """600 rows to compare with, normal in 120 directions."""
    return fit(np.random.default_rng(1).normal(size=(800, 120)))


def expected(reference: Reference, name: str, alpha: float, level: int = ENDLESS) -> float:
    """Return the size that a share alpha of drawn windows has at least."""
    table = reference.history.null
    return float(np.interp(alpha * N_DRAWS, table.ranks, table.values[level, STATISTICS.index(name)]))


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_an_endless_window_differs_from_a_small_baseline_as_two_multinomials_do(topics, alpha):
    """The twin draws the baseline, and divides by what was drawn; the window's shares are then the true ones."""
    rng, rows = np.random.default_rng(2), topics.baseline.rows
    true = topics.baseline.clusters / rows
    other = rng.multinomial(rows, true, size=DRAWS) / rows
    yardstick = topics.yardstick.smoothed(other)
    sizes = np.abs(other - true) * np.sqrt(rows) / np.sqrt(yardstick * (1 - yardstick))
    assert expected(topics, "cluster-max", alpha) == pytest.approx(np.quantile(sizes.max(axis=1), 1 - alpha), rel=0.04)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_an_endless_window_has_as_many_novel_rows_as_order_statistics_say(topics, alpha):
    """The twin draws baselines of uniform numbers: what lies above their k-th largest, and above it times its score."""
    rng, counts = np.random.default_rng(3), topics.baseline.novelty
    rows = int(counts.sum())
    drawn = np.sort(rng.random((DRAWS // 4, rows)), axis=1)
    last = np.cumsum(counts)[:-1]
    edges = (drawn[:, last - 1] + drawn[:, last]) / 2
    true = np.diff(np.hstack([np.zeros((len(edges), 1)), edges, np.ones((len(edges), 1))]), axis=1)
    above = np.append(np.cumsum(counts[::-1])[::-1], 0) / rows
    middle = (above[1:] + above[:-1]) / 2
    scores = np.log1p(NOVEL_SHARE * (LEHMANN * middle ** (LEHMANN - 1) - 1))
    sizes = np.sqrt(rows) * (true - counts / rows) @ scores
    assert expected(topics, "novelty", alpha) == pytest.approx(np.quantile(sizes, 1 - alpha), rel=0.06)


@pytest.mark.parametrize("name", ["centroid", "mahalanobis"])
@pytest.mark.parametrize("level", [2, ENDLESS], ids=["500 rows", "endless"])
def test_lengths_in_many_directions_spread_like_chi_square(normal, name, level):
    """Drawn with replacement and not corrected, the squares have 20 to 40 % more than chi-square's deviation."""
    from scipy.special import chdtri

    low, high = (expected(normal, name, alpha, level) ** 2 for alpha in (0.9, 0.1))
    usual = expected(normal, name, 0.5, level) ** 2 / chdtri(120, 0.5)
    assert (high - low) / usual == pytest.approx(chdtri(120, 0.1) - chdtri(120, 0.9), rel=0.08)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_squares_are_divided_by_what_a_drawn_baseline_has_of_them(alpha):
    """One direction, twelve rows of 300 far out: their share in the twin is drawn, and so is its standard deviation.

    Fewer than twelve would be drawn in.
    """
    rng, rows = np.random.default_rng(4), 300
    order = np.random.default_rng(0).permutation(400)  # the first hundred are the frame's
    values = np.empty(400)
    values[order] = np.tile([1.0, -1.0], 200)
    values[order[[4, 5, 20, 21, *range(150, 162)]]] *= 6
    reference = fit(values[:, None], seed=0)
    other = rng.binomial(rows, 12 / rows, size=DRAWS) / rows
    twin = np.sqrt(rows) * np.abs(other - 12 / rows) / np.sqrt(np.maximum(other * (1 - other), 12 / rows / 4))
    assert expected(reference, "quadratic", alpha) == pytest.approx(np.quantile(twin, 1 - alpha), rel=0.04)


def test_pairs_of_rows_tell_squared_variances_without_bias():
    """Variances of 40 directions, each one, have squares that sum up to 40; those of 30 drawn rows, to twice that."""
    rng = np.random.default_rng(5)
    found, drawn = [], []
    reference = fit(rng.normal(size=(400, 40)))
    yardstick = reference.yardstick
    for _ in range(400):
        rows = np.zeros((30, yardstick.blocks[-1].stop), np.float32)
        rows[:, :40] = rng.normal(size=(30, 40))
        found.append(Lengths.of(yardstick, rows).pairs[0])
        drawn.append(np.square(rows.T @ rows / 30).sum())
    assert np.mean(found) == pytest.approx(40, rel=0.05)
    assert np.mean(drawn) > 80


def test_corrected_lengths_keep_their_mean_and_order():
    rng = np.random.default_rng(6)
    sizes = rng.uniform(1, 3, size=(500, 7))
    before = sizes.copy()
    Lengths(np.array([0.1, 0.1]), np.zeros(2)).correct(sizes, 500, 1500)
    assert np.square(sizes[:, :2]).mean() == pytest.approx(np.square(before[:, :2]).mean())
    assert np.square(sizes[:, 0]).var() == pytest.approx(0.2)
    assert (np.argsort(sizes[:, 0]) == np.argsort(before[:, 0])).all()
    assert np.array_equal(sizes[:, 2:], before[:, 2:])


def test_the_score_adds_the_product_of_novelty_and_mahalanobis():
    """Of two p-values .1 the product is .01, which one in 18 pairs is below: .01 · (1 + ln 100)."""
    p_values = np.ones((1, 7))
    both = [STATISTICS.index("novelty"), STATISTICS.index("mahalanobis")]
    p_values[0, both] = 0.1
    single = WEIGHTS.sum() + WEIGHTS[both].sum() * (1 / np.sqrt(0.1) - 1)
    assert combine(p_values)[0] == pytest.approx(single + PAIR_WEIGHT / np.sqrt(0.0560517))


def test_as_many_scores_are_beyond_the_table_as_the_smallest_p_value_says(normal):
    """Past a statistic's largest draw p-values fall on; so does that of the largest draw, in the table of scores.

    Else each of six statistics that was past its own table would be past the score's, six times in 5,000 windows.
    """
    last = np.median(normal.history.null.values[:, -1, 0])
    six_largest = combine(np.where(np.eye(7)[:6] > 0, 1 / (N_DRAWS + 1), 0.5)).max()
    assert last > 1.05 * six_largest
    assert np.isfinite(normal.history.null.values).all()


def test_the_score_is_finite_where_nothing_like_it_was_drawn():
    assert np.isfinite(combine(np.full((1, 7), np.exp(-510.0)))).all()


def test_smoothed_shares_have_two_rows_more_in_each_cluster(topics):
    yardstick: Yardstick = topics.yardstick
    rows, k = topics.baseline.rows, len(yardstick.shares)
    assert yardstick.shares == pytest.approx((topics.baseline.clusters + 2) / (rows + 2 * k))
    assert yardstick.shares.sum() == pytest.approx(1)


def test_what_a_window_of_the_past_is_divided_by_lacks_its_own_rows():
    """The twin computes the shares and the spread of the rows that are left, one window after the other."""
    rows = np.random.default_rng(9).normal(size=(1200, 4))
    reference = fit(rows)
    yardstick = reference.yardstick
    _, squares, clusters, _, norm = yardstick.blocks
    n = reference.baseline.rows
    rng = np.random.default_rng(10)
    of_cluster = rng.permutation(np.repeat(np.arange(len(yardstick.shares)), reference.baseline.clusters))
    features = rng.normal(size=(n, norm.stop)).astype(np.float32)
    features[:, squares] *= yardstick.spread[:-2]
    features[:, clusters] = np.eye(len(yardstick.shares))[of_cluster]
    features -= features.mean(axis=0)
    features[:, squares] *= yardstick.spread[:-2] / features[:, squares].std(axis=0)
    fourth = np.square(features[:, squares])
    columns = np.hstack([features, fourth - fourth.mean(axis=0)])
    windows = np.array_split(np.arange(n), 9)

    found = _without(yardstick, columns, windows)

    for place, own in enumerate(windows):
        left = np.setdiff1d(np.arange(n), own)
        shares = np.bincount(of_cluster[left], minlength=len(yardstick.shares)) / len(left)
        assert found.shares[place] == pytest.approx(yardstick.smoothed(shares), rel=1e-4)
        assert found.spread[place] == pytest.approx(features[left][:, squares].std(axis=0), rel=1e-3)
