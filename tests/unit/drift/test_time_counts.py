"""When rows came: counts that add up, how many days they are like, and their weekdays."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.time_counts import CYCLE, TimeCounts, unit_numbers

DAY = 86_400


def at(*days: float) -> np.ndarray:
    return np.array([int(day * DAY) for day in days], "datetime64[s]").astype("datetime64[us]")


def test_rows_are_counted_by_day_and_those_without_a_time_are_not():
    times = np.append(at(3.0, 3.9, 5.5), np.datetime64("NaT"))
    assert TimeCounts.of(times, DAY).rows == {3: 2, 5: 1}
    assert TimeCounts.of(times, DAY).total == 3
    assert TimeCounts.of(times, 3600).rows == {72: 1, 93: 1, 132: 1}


def test_a_time_before_1970_has_a_weekday_too():
    assert unit_numbers(at(-0.5, 0.5), DAY).tolist() == [-1, 0]
    assert TimeCounts.of(at(-0.5), DAY).shares(7).tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_counts_of_parts_add_up_to_those_of_the_whole_in_any_order():
    rng = np.random.default_rng(0)
    times = at(*rng.uniform(0, 40, size=500))
    parts = [TimeCounts.of(part, DAY) for part in np.array_split(times, 7)]
    whole = TimeCounts.of(times, DAY)
    assert sum(parts, TimeCounts()).rows == sum(parts[::-1], TimeCounts()).rows == whole.rows


@pytest.mark.parametrize(
    ("rows", "units"),
    [({4: 90}, 1), ({4: 50, 5: 50}, 2), (dict.fromkeys(range(7), 10), 7), ({0: 3, 1: 1}, 1.6), ({}, 0)],
)
def test_how_many_days_a_window_is_like(rows, units):
    assert TimeCounts(rows).effective == pytest.approx(units)


def test_the_mean_of_unequal_days_varies_as_that_of_so_many_equal_ones():
    rng, rows = np.random.default_rng(1), np.array([50, 30, 15, 5])
    means = rng.normal(size=(200_000, 4)) @ (rows / rows.sum())
    assert 1 / means.var() == pytest.approx(TimeCounts(dict(enumerate(rows.tolist()))).effective, rel=0.02)


def test_shares_are_by_weekday_also_beyond_the_cycle():
    later = at(10.0, 10.5, 11.0, 10.0 + CYCLE)
    assert TimeCounts.of(later, DAY).shares(7).tolist() == [0, 0, 0, 0.75, 0.25, 0, 0]
    assert len(TimeCounts.of(at(*range(3 * CYCLE)), DAY).rows) == CYCLE


def test_a_period_that_does_not_fit_and_no_rows_are_refused():
    with pytest.raises(ValueError, match="a period of 11 units does not fit 1 rows"):
        TimeCounts({0: 1}).shares(11)
    with pytest.raises(ValueError, match="does not fit 0 rows"):
        TimeCounts().shares(7)


def test_counts_come_back_from_arrays():
    counts = TimeCounts({CYCLE - 1: 2**40, 3: 1})
    assert TimeCounts.from_arrays(counts.to_arrays()) == counts
    assert TimeCounts.from_arrays({}) == TimeCounts()
