"""Windows of the past: sessions and weekdays are no drift, and no session is on both sides of a baseline."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.judge import judge
from benchkit.drift.past import FEWEST_IN_RUN, Past, PastRows, _pooled, _pools, _shrunk
from benchkit.drift.reference import Reference, fit, framed_rows
from benchkit.drift.sketch import sketch
from benchkit.drift.statistics import Yardstick

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
    spans = [sessions(rng, 21 * 60)[0] for _ in range(40)]
    changed = [np.vstack([span[504:], np.roll(span[:504], 5, axis=1)]) for span in spans]

    fine, found = (
        np.mean([judge(reference, sketch(reference, span)).p_value <= 0.05 for span in some])
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
    assert sampled.between(1000)[1:] == (50, 0.0)
    assert sampled.between(10).n_apart == 5000 / FEWEST_IN_RUN


def test_runs_of_an_uneven_window_cover_all_of_its_rows():
    past = past_of(share=1.0, held=1500, windows=10)
    assert (len(past.between(100).offsets), past.between(100).n_apart) == (20, 15)


def test_a_window_of_nine_days_rows_is_held_against_three_days_in_a_row():
    past = past_of(share=1.0, held=4000, windows=40)
    found = past.between(900)
    assert (len(found.offsets), found.n_apart) == (38, 13)  # days 1 to 3, 2 to 4, ...
    day_means = past.features.reshape(40, 100, -1).mean(axis=1, dtype=np.float64)
    three = np.convolve(day_means[:, 0], np.ones(3) / 3, mode="valid")
    assert np.corrcoef(three, found.offsets[:, 0])[0, 1] == pytest.approx(1) or not found.offsets[:, 0].any()


def test_a_window_longer_than_an_eighth_of_the_past_is_held_against_an_eighth():
    past = past_of(share=1.0, held=4000, windows=40)
    assert past.between(3000)[1:] == past.between(1500)[1:] == (8, 0.0)


def test_a_busy_day_is_held_against_days():
    past = past_of(share=1.0, held=4000, windows=40)
    assert past.between(590).n_apart == past.between(110).n_apart == 40


def test_days_count_with_the_rows_that_a_frame_is_fitted_on():
    yardstick = past_of(share=1.0, held=4000, windows=40).yardstick
    features = np.random.default_rng(4).normal(size=(4000, yardstick.blocks[-1].stop)).astype(np.float32)
    framed = Past.of(yardstick, features, PastRows(np.repeat(np.arange(40), 100), 1.0, 0.75))
    assert len(framed.between(1200).offsets) == 38  # nine days of 133 rows, 100 of each here


def test_windows_are_in_the_order_of_their_rows_whatever_they_are_called():
    assert [rows.tolist() for rows in PastRows(np.array(["z", "z", "a", "a"])).windows()] == [[0, 1], [2, 3]]


def test_columns_of_a_pool_share_what_is_beyond_chance_and_one_that_stands_out_has_its_own():
    # 51 windows: one column's variance is known to 0.2 of itself.
    assert _pooled(np.array([0.3, -0.1, 0.2, 0.0]), 51) == pytest.approx([0.1] * 4)
    assert _pooled(np.array([-0.3, 0.1, -0.2, 0.0]), 51) == pytest.approx([0.0] * 4)
    assert _pooled(np.array([0.1, 3.0, -0.1, 0.0]), 51) == pytest.approx([0.0, 3.0, 0.0, 0.0])


@pytest.mark.parametrize("n", [0, 1, 4, 5, 16, 384])
def test_pools_cover_every_column_once(n):
    assert [column for pool in _pools(n) for column in range(n)[pool]] == list(range(n))


def test_what_has_no_chance_of_its_own_stays_as_it_is():
    deviations = np.array([[1.0, 2.0], [-1.0, -2.0]])
    assert _shrunk(deviations, np.array([0.0, -0.5]), 2) == pytest.approx(deviations)
    assert _shrunk(np.zeros((2, 1)), np.zeros(1), 2) == pytest.approx(np.zeros((2, 1)))
