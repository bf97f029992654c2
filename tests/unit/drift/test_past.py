"""Windows of the past: sessions and weekdays are no drift, and no session is on both sides of a baseline."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.judge import judge
from benchkit.drift.past import FEWEST_IN_RUN, Past, PastRows
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


def past_of(share: float, held: int, windows: int) -> Past:
    yardstick = fit(np.random.default_rng(3).normal(size=(400, 4)).astype(np.float32)).yardstick
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


def test_of_a_sample_a_run_has_as_many_fewer_rows():
    sampled = past_of(share=0.1, held=5000, windows=10)
    assert sampled.between(1000)[1:] == (50, 0.0)
    assert sampled.between(10).n_apart == 5000 / FEWEST_IN_RUN


def test_runs_of_an_uneven_window_cover_all_of_its_rows():
    past = past_of(share=1.0, held=1500, windows=10)
    assert (len(past.between(100).offsets), past.between(100).n_apart) == (20, 15)
