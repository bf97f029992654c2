"""Deviations by columns: along contrasts and back, and pools that hold each column once."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.pools import columns_of, deviations_of, directions, falling_pools, pools_of, row_variances
from benchkit.drift.reference import fit
from benchkit.drift.statistics import Yardstick


@pytest.fixture(scope="module")
def yardstick() -> Yardstick:
    return fit(np.random.default_rng(3).normal(size=(1500, 12)).astype(np.float32)).yardstick


def test_columns_and_deviations_are_two_ways_to_say_the_same(yardstick):
    rng = np.random.default_rng(1)
    deviations = rng.normal(size=(5, yardstick.blocks[-1].stop))
    clusters = yardstick.blocks[2]
    deviations[:, clusters] -= deviations[:, clusters].mean(axis=1, keepdims=True)  # shares of rows add up to nothing
    columns = columns_of(yardstick, deviations)
    assert columns.shape == (5, deviations.shape[1] - 1)
    assert deviations_of(yardstick, columns) == pytest.approx(deviations, abs=1e-9)


def test_a_row_has_variance_one_along_contrasts(yardstick):
    rng, clusters = np.random.default_rng(2), yardstick.blocks[2]
    n_features = yardstick.blocks[-1].stop
    rows = np.zeros((20_000, n_features))
    drawn = rng.choice(len(yardstick.shares), size=len(rows), p=yardstick.shares)
    rows[:, clusters] = np.eye(len(yardstick.shares))[drawn] - yardstick.shares
    along = columns_of(yardstick, rows).var(axis=0)
    contrasts = slice(clusters.start, clusters.stop - 1)
    assert along[contrasts] == pytest.approx(np.ones(clusters.stop - clusters.start - 1), abs=0.15)
    assert row_variances(yardstick, rows.var(axis=0))[contrasts].tolist() == [1.0] * (
        clusters.stop - 1 - clusters.start
    )


def test_pools_hold_each_column_once_and_none_of_two_blocks(yardstick):
    pools = pools_of(yardstick)
    held = [column for pool in pools for column in range(pool.start, pool.stop)]
    linear, squares, clusters, _, norm = yardstick.blocks
    assert held == list(range(norm.stop - 1))
    ends = {pool.stop for pool in pools}
    assert {linear.stop, squares.stop, clusters.stop - 1} <= ends
    assert all(pool.stop - pool.start == 1 for pool in pools if pool.start >= clusters.stop - 1)


@pytest.mark.parametrize("n", [0, 1, 4, 5, 16, 384])
def test_the_first_columns_have_small_pools(n):
    pools = falling_pools(n)
    assert [column for pool in pools for column in range(n)[pool]] == list(range(n))
    assert [pool.stop - pool.start for pool in pools[:-1]] == [4, 12, 48, 192][: max(len(pools) - 1, 0)]


def test_windows_differ_in_as_manydirections_as_their_covariance_has_like_eigenvalues():
    assert directions(np.array([[3.0, 0.0], [-3.0, 0.0]])) == pytest.approx(1)
    assert directions(np.eye(4)) == pytest.approx(4)
    assert directions(np.diag([2.0, 1.0])) == pytest.approx(25 / 17)  # variances 4 and 1: 5² / (16 + 1)
    assert directions(np.zeros((3, 2))) == 1


def test_directions_are_those_of_the_eigenvalues_whatever_the_unit_and_no_more_than_windows():
    offsets = np.random.default_rng(8).normal(size=(28, 90)) * np.linspace(1, 5, 90)
    values = np.linalg.eigvalsh(offsets.T @ offsets)
    assert directions(offsets) == pytest.approx(values.sum() ** 2 / np.square(values).sum())
    assert directions(7 * offsets) == pytest.approx(directions(offsets))
    assert 1 <= directions(offsets) <= 28
