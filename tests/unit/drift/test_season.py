"""Weekdays: found where they foretell, not where there are none, and as far as the past tells them."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.pools import columns_of, deviations_of
from benchkit.drift.reference import fit
from benchkit.drift.season import _slope, _slopes, _surely_slopes, find_cycle
from benchkit.drift.statistics import Yardstick

WEEKS = 5
PHASES = np.arange(7 * WEEKS) % 7
ROWS = np.full(len(PHASES), 100)


@pytest.fixture(scope="module")
def yardstick() -> Yardstick:
    return fit(np.random.default_rng(3).normal(size=(1500, 6)).astype(np.float32)).yardstick


def days(yardstick: Yardstick, seed: int, weekend: float = 0.0) -> np.ndarray:
    """Return days (35, F) that differ by themselves, Saturdays and Sundays along two directions."""
    found = 0.05 * np.random.default_rng(seed).normal(size=(len(PHASES), yardstick.blocks[-1].stop))
    found = deviations_of(yardstick, columns_of(yardstick, found))
    found[np.isin(PHASES, (5, 6)), :2] += weekend
    return found


def test_a_slope_is_that_of_a_line_through_nothing_and_needs_to_be_sure():
    x, y = np.array([1.0, 2.0, -1.0]), np.array([0.55, 0.95, -0.6])
    slope = float(x @ y / (x @ x))  # 3.05 / 6
    error = np.sqrt(np.square(x * y - slope * x * x).sum()) / 6
    found = _slope(np.array([x @ y, 5.0, -1.0, 0.0]), np.array([x @ x, 4.0, 4.0, 0.0]))
    assert found == pytest.approx([slope, 1, 0, 0])
    assert _surely_slopes(x * y, x * x, 0.99 * slope / error)
    assert not _surely_slopes(x * y, x * x, 1.01 * slope / error)
    assert not _surely_slopes(-x * y, x * x, 0)
    assert not _surely_slopes(np.zeros(3), np.zeros(3), 0)


def test_columns_share_the_slope_of_their_pool_and_one_that_stands_out_has_its_own():
    rng = np.random.default_rng(1)
    others = rng.normal(size=(400, 5))
    is_phase = np.arange(400)[:, None] % 2 == np.arange(2)
    windows = np.where(is_phase[:, :1], 0.5, 0.2) * others + 0.1 * rng.normal(size=(400, 5))
    windows[:, 4] = others[:, 4]
    windows[:, 0] = rng.normal(size=400)
    slopes = _slopes(windows, others, np.ones(400), is_phase, [slice(0, 4), slice(4, 5)])
    assert slopes[:, 4] == pytest.approx([1, 1])
    assert slopes[0, 1:4] == pytest.approx([0.5] * 3, abs=0.03)
    assert slopes[1, 1:4] == pytest.approx([0.2] * 3, abs=0.03)
    assert 0.1 < slopes[0, 0] < 0.5  # what its pool has, though it has none: it doesn't stand out


def test_what_a_day_was_expected_to_be_is_the_mean_of_the_others_of_its_weekday(yardstick):
    """The twin is the plain loop; slopes of weekends are nearly one, of other days it is not known what they are."""
    windows, rows = days(yardstick, 1, weekend=3.0), np.arange(50, 50 + len(PHASES))
    cycle = find_cycle(yardstick, windows, rows, PHASES, 7)
    assert cycle is not None
    assert cycle.known.all()
    for day in np.flatnonzero(np.isin(PHASES, (5, 6))):
        same = (PHASES[day] == PHASES) & (np.arange(len(PHASES)) != day)
        mean = np.average(windows[same], axis=0, weights=rows[same])
        assert cycle.foretold[day, :2] == pytest.approx(mean[:2], abs=0.02)
    saturday = np.average(windows[PHASES == 5], axis=0, weights=rows[PHASES == 5])
    assert cycle.effects[5, :2] == pytest.approx(saturday[:2], abs=0.02)
    # Nothing comes back elsewhere, and nothing is taken off there.
    assert not cycle.effects[:, yardstick.blocks[1]].any()


@pytest.mark.parametrize("seed", range(20, 32))
def test_days_that_differ_by_themselves_have_no_weekdays(yardstick, seed):
    assert find_cycle(yardstick, days(yardstick, seed), ROWS, PHASES, 7) is None


@pytest.mark.parametrize("seed", range(20, 24))
def test_weekends_are_found_as_far_as_they_stand_out(yardstick, seed):
    cycle = find_cycle(yardstick, days(yardstick, seed, weekend=0.2), ROWS, PHASES, 7)
    assert cycle is not None
    assert 0.1 < cycle.effects[5, :2].mean() < 0.25
    assert abs(cycle.effects[2, :2]).max() < 0.1


def test_a_weekday_of_fewer_than_three_windows_is_not_known(yardstick):
    windows = days(yardstick, 2, weekend=3.0)
    left = np.r_[np.flatnonzero(PHASES != 2), np.flatnonzero(PHASES == 2)[:2]]
    cycle = find_cycle(yardstick, windows[left], ROWS[left], PHASES[left], 7)
    assert cycle is not None
    assert cycle.known.tolist() == [True, True, False, True, True, True, True]
    assert not cycle.effects[2].any()
    assert not cycle.foretold[-2:].any()


def test_ten_days_tell_no_weekdays(yardstick):
    assert find_cycle(yardstick, days(yardstick, 2, weekend=3.0)[:10], ROWS[:10], PHASES[:10], 7) is None
