"""Windows of the past: sessions and weekdays are no drift, and no session is on both sides of a baseline."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.judge import judge
from benchkit.drift.past import FEWEST_IN_RUN, Pace, Past, PastRows, _pooled, _shrunk, _times_as_independent
from benchkit.drift.reference import Reference, fit, framed_rows
from benchkit.drift.sketch import sketch
from benchkit.drift.statistics import Yardstick
from benchkit.drift.time_counts import TimeCounts

DIMENSION, DAYS, ROWS = 16, 28, 200
TOPICS = np.random.default_rng(5).normal(size=(12, DIMENSION))


def sessions(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n rows, 5 to 20 of them nearly the same one after the other, and the session of each."""
    lengths = rng.integers(5, 21, size=n // 5)
    session = np.repeat(np.arange(len(lengths)), lengths)[:n]
    first = TOPICS[rng.integers(len(TOPICS), size=len(lengths))] + rng.normal(size=(len(lengths), DIMENSION))
    rows = first[session] + 0.02 * rng.normal(size=(n, DIMENSION))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), session


@pytest.fixture(scope="module")
def logged() -> tuple[Reference, np.ndarray, np.ndarray]:
    """A baseline of 28 days of sessions, the day and the session of each row."""
    rows, session = sessions(np.random.default_rng(1), DAYS * ROWS)
    day = np.repeat(np.arange(DAYS), ROWS)
    return fit(rows, groups=day), day, session


@pytest.mark.parametrize("n_rows", [50, 100, 200])
def test_sessions_of_like_rows_are_no_drift_in_windows_up_to_a_day(logged, n_rows):
    rng = np.random.default_rng(n_rows)
    p_values = [judge(logged[0], sketch(logged[0], sessions(rng, n_rows)[0])).p_value for _ in range(60)]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.15


def test_a_day_of_sessions_on_other_topics_is_drift(logged):
    rows, _ = sessions(np.random.default_rng(9), ROWS)
    assert judge(logged[0], sketch(logged[0], -rows)).p_value < 0.01


def test_hardly_a_session_is_both_in_the_frame_and_in_what_windows_are_compared_with(logged):
    _, day, session = logged
    framed = framed_rows(len(day), 0, groups=day)
    on_both = {*session[framed]} & {*session[~framed]}
    assert framed.mean() == pytest.approx(0.25, abs=0.01)
    assert len(on_both) <= 3 * DAYS  # where a run begins and ends, and midnight; of some 450 sessions
    assert {*day[framed]} == {*day[~framed]} == set(range(DAYS))


def test_without_a_past_rows_of_the_frame_are_drawn_one_by_one():
    framed = framed_rows(1000, 0)
    assert framed.sum() == 250
    assert np.count_nonzero(np.diff(framed.astype(int))) > 300


def test_three_weeks_of_sessions_are_no_drift_and_are_with_two_fifths_of_other_rows():
    rng = np.random.default_rng(3)
    rows, _ = sessions(rng, 80 * 60)
    reference = fit(rows, groups=np.repeat(np.arange(80), 60))
    spans, times = [sessions(rng, 21 * 60)[0] for _ in range(40)], TimeCounts(dict.fromkeys(range(21), 60))
    changed = [np.vstack([span[504:], np.roll(span[:504], 5, axis=1)]) for span in spans]

    fine, found = (
        np.mean([judge(reference, sketch(reference, span), times=times).p_value <= 0.05 for span in some])
        for some in (spans, changed)
    )

    assert fine <= 0.15
    assert found >= 0.5


def past_of(share: float, held: int, windows: int, dimension: int = 4) -> Past:
    yardstick = fit(np.random.default_rng(3).normal(size=(400, dimension)).astype(np.float32)).yardstick
    n_features = yardstick.blocks[-1].stop
    features = np.random.default_rng(4).normal(size=(held, n_features)).astype(np.float32)
    return Past.of(yardstick, features, PastRows(np.repeat(np.arange(windows), held // windows), share))


def variance_beyond_chance(found: np.ndarray, yardstick: Yardstick) -> float:
    return float(np.square(found[:, yardstick.blocks[0]]).mean())


def test_many_runs_of_a_windows_length_are_taken_as_they_are():
    past = past_of(share=1.0, held=5000, windows=10)
    found = past.between(100)
    assert (len(found.offsets), found.n_apart, found.chance) == (50, 50, 1.0)
    assert variance_beyond_chance(found.offsets, past.yardstick) == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize("n_rows", [500, 5000])
def test_few_windows_are_shrunk_to_what_is_beyond_chance(n_rows):
    past = past_of(share=1.0, held=5000, windows=10)
    found = past.between(n_rows)
    assert (len(found.offsets), found.chance) == (10, 0.0)
    assert variance_beyond_chance(found.offsets, past.yardstick) < 0.5 / 500


def test_days_that_differ_by_chance_alone_are_hardly_taken_to_differ():
    past = past_of(share=1.0, held=2800, windows=28, dimension=96)
    by_day = past.features.reshape(28, 100, -1).mean(axis=1, dtype=np.float64).var(axis=0, ddof=1)
    each_by_itself = (by_day - 0.01).clip(min=0)[past.yardstick.blocks[0]].mean()

    beyond = variance_beyond_chance(past.between(180).offsets, past.yardstick)

    assert beyond < 0.075 * 0.01
    assert each_by_itself > 0.09 * 0.01


def test_of_a_sample_a_run_has_as_many_fewer_rows():
    sampled = past_of(share=0.1, held=5000, windows=10)
    assert sampled.between(1000)[2:] == (50, 0.0)
    assert sampled.between(10).n_apart == 5000 / FEWEST_IN_RUN


def test_runs_of_an_uneven_window_cover_all_of_its_rows():
    past = past_of(share=1.0, held=1500, windows=10)
    assert (len(past.between(100).offsets), past.between(100).n_apart) == (20, 15)


def test_days_count_with_the_rows_that_a_frame_is_fitted_on():
    yardstick = past_of(share=1.0, held=4000, windows=40).yardstick
    features = np.random.default_rng(4).normal(size=(4000, yardstick.blocks[-1].stop)).astype(np.float32)
    framed = Past.of(yardstick, features, PastRows(np.repeat(np.arange(40), 100), 0.5, 0.8))
    assert framed.usual_rows == 250  # 100 here of 125 in the sample, which is every second row


@pytest.mark.parametrize(
    ("n_rows", "n_units", "expected"),
    [
        (210, 3, (70, 210)),
        (50, 1, (50, 50)),
        (50, 0.5, (50, 50)),
        (900, 3, (100, 300)),  # busy days
        (900, None, (100, 300)),
        (590, None, (100, 100)),
        (80, None, (80, 80)),
    ],
)
def test_a_window_of_three_days_is_like_one_of_a_third_of_its_rows(n_rows, n_units, expected):
    """Without times it is a third as many days as its rows would make: 100 are usual."""
    assert Pace(100, np.ones(5)).alike(n_rows, n_units) == pytest.approx(expected)


def test_days_that_are_like_their_neighbours_are_fewer():
    pace = Pace(1000, np.array([1.0, 1.5, 2.0]))
    assert pace.alike(200, 2) == pytest.approx((150, 200))
    assert pace.alike(300, 3) == pytest.approx((200, 300))
    assert pace.alike(1200, 12) == pytest.approx((200, 1200))  # as three days in a row, and no more is known
    assert pace.alike(200, 1.5) == pytest.approx((200 / (1.5 / 1.25), 200))


def test_tested_rows_are_never_fewer_than_a_test_takes():
    assert Pace(12, np.ones(1)).alike(60, 1) == (30, 30)


def test_the_usual_day_is_that_of_a_row():
    yardstick = past_of(share=1.0, held=4000, windows=40).yardstick
    features = np.zeros((400, yardstick.blocks[-1].stop), np.float32)
    days = np.repeat(np.arange(8), [90, 90, 90, 90, 10, 10, 10, 10])
    assert Past.of(yardstick, features, PastRows(days)).usual_rows == 82  # (4 * 8100 + 4 * 100) / 400


def test_how_many_times_more_days_in_a_row_vary_than_independent_ones():
    """The twin is the plain loop; alternating days cancel, equal ones are one."""
    rng, counts = np.random.default_rng(6), np.array([10, 30, 20, 40, 25, 10])
    columns = rng.normal(size=(6, 3))
    squares, alone = np.zeros(3), np.zeros(3)
    for start in range(5):
        share = counts[start : start + 2] / counts[start : start + 2].sum()
        squares += np.square(share @ columns[start : start + 2])
        alone += np.square(share) @ np.square(columns[start : start + 2])
    assert _times_as_independent(columns, counts, 2) == pytest.approx(squares / alone)

    equal = np.full(40, 7)
    assert _times_as_independent(np.ones((40, 1)), equal, 4) == pytest.approx([4])
    assert _times_as_independent(np.tile([[1.0], [-1.0]], (20, 1)), equal, 2) == pytest.approx([0])
    assert _times_as_independent(rng.normal(size=(40_000, 1)), np.full(40_000, 7), 3) == pytest.approx([1], abs=0.05)


def wandering(rng: np.random.Generator, keeps: float, days: int = 80) -> np.ndarray:
    """Return the topic weights (days, 12) of a stream whose days have that much of the day before."""
    weights = rng.normal(size=(days, len(TOPICS)))
    for day in range(1, days):
        weights[day] = keeps * weights[day - 1] + np.sqrt(1 - keeps**2) * weights[day]
    return np.exp(0.8 * weights) / np.exp(0.8 * weights).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("keeps", "least", "most"), [(0.0, 1.0, 1.0), (0.9, 3.0, 10.0)])
def test_a_stream_that_wanders_from_week_to_week_has_dependent_days_and_others_have_not(keeps, least, most):
    rng = np.random.default_rng(11)
    shares = wandering(rng, keeps)
    topic = np.concatenate([rng.choice(len(TOPICS), size=ROWS, p=share) for share in shares])
    rows = (TOPICS[topic] + 0.5 * rng.normal(size=(len(topic), DIMENSION))).astype(np.float32)
    pace = fit(rows, groups=np.repeat(np.arange(len(shares)), ROWS)).history.pace
    assert pace is not None
    assert (pace.usual_rows, len(pace.dependence)) == (ROWS, 10)
    assert least <= pace.dependence[-1] <= most
    assert (np.diff(pace.dependence) >= 0).all()


def test_a_period_needs_numbered_windows():
    rows = np.random.default_rng(3).normal(size=(400, 4)).astype(np.float32)
    with pytest.raises(ValueError, match="a period of 7 windows needs numbered ones, got <U1 groups"):
        fit(rows, groups=np.repeat(list("abcdefghij"), 40), period=7)


def test_windows_are_in_the_order_of_their_rows_whatever_they_are_called():
    assert [rows.tolist() for rows in PastRows(np.array(["z", "z", "a", "a"])).windows()] == [[0, 1], [2, 3]]


def test_columns_of_a_pool_share_what_is_beyond_chance_and_one_that_stands_out_has_its_own():
    # 51 windows: one column's variance is known to 0.2 of itself.
    assert _pooled(np.array([0.3, -0.1, 0.2, 0.0]), 51) == pytest.approx([0.1] * 4)
    assert _pooled(np.array([-0.3, 0.1, -0.2, 0.0]), 51) == pytest.approx([0.0] * 4)
    assert _pooled(np.array([0.1, 3.0, -0.1, 0.0]), 51) == pytest.approx([0.0, 3.0, 0.0, 0.0])


def test_what_has_no_chance_of_its_own_stays_as_it_is():
    deviations = np.array([[1.0, 2.0], [-1.0, -2.0]])
    assert _shrunk(deviations, np.array([0.0, -0.5]), 2, [slice(0, 2)]) == pytest.approx(deviations)
    assert _shrunk(np.zeros((2, 1)), np.zeros(1), 2, [slice(0, 1)]) == pytest.approx(np.zeros((2, 1)))
