"""What a window is held against by when its rows came: its weekdays' own past, and what changes on them."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.judge import judge
from benchkit.drift.outside import outside_change
from benchkit.drift.reference import Reference, fit
from benchkit.drift.sketch import sketch
from benchkit.drift.time_counts import TimeCounts

DIMENSION, ROWS = 12, 150
TOPICS = 2.5 * np.random.default_rng(5).normal(size=(10, DIMENSION))
WORKING, WEEKEND = np.r_[np.full(5, 0.18), np.full(5, 0.02)], np.r_[np.full(5, 0.04), np.full(5, 0.16)]


def rows_of(rng: np.random.Generator, day: int, n: int = ROWS) -> np.ndarray:
    usual = WEEKEND if day % 7 in (5, 6) else WORKING
    shares = usual * np.exp(0.1 * rng.normal(size=len(usual)))
    topic = rng.choice(len(usual), size=n, p=shares / shares.sum())
    return (TOPICS[topic] + rng.normal(size=(n, DIMENSION))).astype(np.float32)


@pytest.fixture(scope="module")
def five_weeks() -> Reference:
    rng = np.random.default_rng(1)
    days = np.arange(70_000, 70_000 + 35)
    return fit(np.vstack([rows_of(rng, day) for day in days]), groups=np.repeat(days, ROWS), period=7)


def on(*days: int) -> TimeCounts:
    return TimeCounts(dict.fromkeys(days, ROWS))


def alarms(reference: Reference, windows: list[np.ndarray], times: TimeCounts | None) -> float:
    found = [judge(reference, sketch(reference, window), times=times).p_value <= 0.05 for window in windows]
    return float(np.mean(found))


SATURDAY, MONDAY = 5, 7  # counted from a Monday


@pytest.mark.parametrize(("day", "n"), [(SATURDAY, ROWS), (MONDAY, ROWS), (SATURDAY, ROWS // 3), (SATURDAY, 3 * ROWS)])
def test_a_saturday_is_held_against_saturdays(five_weeks, day, n):
    rng = np.random.default_rng(day + n)
    assert alarms(five_weeks, [rows_of(rng, day, n) for _ in range(60)], on(day)) <= 0.15


def test_a_saturday_with_the_rows_of_a_monday_is_drift_and_was_none_by_any_day(five_weeks):
    rng = np.random.default_rng(7)
    mondays = [rows_of(rng, MONDAY) for _ in range(30)]
    assert alarms(five_weeks, mondays, on(SATURDAY)) == 1
    assert alarms(five_weeks, mondays, None) <= 0.1


def test_a_week_is_no_drift_and_is_where_its_weekend_is_lost(five_weeks):
    rng, week = np.random.default_rng(8), range(7, 14)
    weeks = [np.vstack([rows_of(rng, day) for day in week]) for _ in range(30)]
    working = [np.vstack([rows_of(rng, 0) for _ in week]) for _ in range(30)]
    assert alarms(five_weeks, weeks, on(*week)) <= 0.15
    assert alarms(five_weeks, working, on(*week)) >= 0.9


def test_two_half_days_are_held_against_both_weekdays(five_weeks):
    rng = np.random.default_rng(9)
    nights = [np.vstack([rows_of(rng, 4, ROWS // 2), rows_of(rng, 5, ROWS // 2)]) for _ in range(40)]
    assert alarms(five_weeks, nights, on(4, 5)) <= 0.15


def test_the_baseline_of_a_saturday_has_its_regions_and_no_more_rows_are_far_out(five_weeks):
    rng = np.random.default_rng(10)
    saturday = sketch(five_weeks, np.vstack([rows_of(rng, SATURDAY) for _ in range(20)]))
    usual = five_weeks.usual(on(SATURDAY))
    here, whole = (
        np.abs(part.clusters / part.rows - saturday.clusters / saturday.rows).sum() / 2
        for part in (usual, five_weeks.baseline)
    )
    assert here < 0.12 < 0.4 < whole
    assert usual.rows == five_weeks.baseline.rows
    assert usual.clusters.sum() == pytest.approx(usual.rows, abs=40)
    assert five_weeks.usual(None) is five_weeks.baseline
    assert outside_change(five_weeks, saturday, usual=usual) is None


def test_effects_of_all_weekdays_by_their_rows_are_nothing(five_weeks):
    season = five_weeks.history.season
    assert season is not None
    assert season.known.all()
    moved = np.abs(season.effect(on(*range(7)))[:DIMENSION]).max()
    assert moved < 0.1 * np.abs(season.effect(on(SATURDAY))[:DIMENSION]).max()
    assert five_weeks.is_seasonal(on(3))
    assert not five_weeks.is_seasonal(None)


def test_a_weekday_that_the_past_lacks_is_held_against_any_day():
    rng = np.random.default_rng(2)
    days = np.array([day for day in range(42) if day % 7 != 2])
    reference = fit(np.vstack([rows_of(rng, day) for day in days]), groups=np.repeat(days, ROWS), period=7)
    season = reference.history.season
    assert season is not None
    assert season.known.tolist() == [True, True, False, True, True, True, True]
    assert season.effect(on(2)) is None
    assert season.effect(on(1, 2)) is None
    assert season.effect(on(1)) is not None
    assert reference.history.expect(ROWS, on(2)).null is reference.history.null
    assert reference.history.expect(ROWS, on(1)).null is season.null


def test_without_a_period_no_weekday_is_looked_for(five_weeks):
    rng = np.random.default_rng(1)
    days = np.arange(35)
    reference = fit(np.vstack([rows_of(rng, day) for day in days]), groups=np.repeat(days, ROWS))
    assert reference.history.season is None
    assert reference.history.expect(ROWS, on(1, 2)).alike == pytest.approx((ROWS / 2, ROWS))


def test_independent_rows_have_no_days():
    reference = fit(np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32))
    assert reference.history.expect(500, on(1, 2, 3)) == (None, reference.history.null, (500, 500))


def test_a_history_comes_back_from_arrays(five_weeks):
    again = Reference.from_arrays(five_weeks.to_arrays())
    window = sketch(five_weeks, rows_of(np.random.default_rng(4), SATURDAY))
    for times in (None, on(SATURDAY), on(1, 2, 3)):
        assert judge(again, window, times=times) == judge(five_weeks, window, times=times)
    arrays = five_weeks.to_arrays()
    for name in ("season.known", "season.pace.usual_rows", "season.null.values"):
        with pytest.raises(ValueError, match=f"not a reference: without {name}"):
            Reference.from_arrays({key: values for key, values in arrays.items() if key != name})
    for name in ("season.known", "season.effects", "season.null.ranks", "pace.dependence"):
        with pytest.raises(ValueError, match="its arrays do not fit together"):
            Reference.from_arrays(arrays | {name: arrays[name][:0]})
