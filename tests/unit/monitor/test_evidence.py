"""The evidence of a watch: when an alarm is raised, how long it stands, and which segments changed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchkit.drift.sequential import p_to_e
from benchkit.monitor.evidence import CALM_P, CALM_WINDOWS, Standing, advance_segments, judged_segments

RUN_LENGTH = 1000
CLEAR = 1e-4  # e = 105


def _after(state: Standing, *p_values: float | None) -> Standing:
    for p_value in p_values:
        state = state.advance(p_value)
    return state


def _alarmed() -> Standing:
    state = _after(Standing.start(RUN_LENGTH), CLEAR, CLEAR)
    assert state.stands
    return state


def test_the_sum_is_the_one_of_the_paper() -> None:
    state, total = Standing.start(RUN_LENGTH), 0.0
    for n, p_value in enumerate((0.4, 0.02, 0.9, 0.3), start=1):
        state, total = state.advance(p_value), (total + 1) * p_to_e(p_value)
        assert state.evidence.detector == pytest.approx(total)
        assert (state.evidence.windows, state.evidence.e_value) == (n, pytest.approx(p_to_e(p_value)))
        assert not state.stands


def test_a_clear_change_is_an_alarm_in_its_second_window() -> None:
    first = Standing.start(RUN_LENGTH).advance(CLEAR)
    assert not first.stands
    assert first.advance(CLEAR).stands
    assert first.advance(CLEAR).evidence.is_alarm


def test_windows_of_an_unchanged_stream_are_no_alarm() -> None:
    rng = np.random.default_rng(3)
    # By Markov's inequality a window of 200 raises an alarm with a chance below a fifth; hundred streams: 20 at most.
    alarms = 0
    for _ in range(100):
        state = Standing.start(RUN_LENGTH)
        for p_value in rng.uniform(size=200):
            state = state.advance(float(1.0 - p_value))
            if state.stands:
                alarms += 1
                break
    assert alarms <= 40


def test_an_alarm_stands_until_three_calm_windows_in_a_row() -> None:
    state = _alarmed()
    assert CALM_WINDOWS == 3
    state = _after(state, 0.5, 0.5)
    assert (state.stands, state.calm) == (True, 2)
    state = state.advance(0.01)  # not calm: counted anew
    assert (state.stands, state.calm) == (True, 0)
    state = _after(state, 0.5, 0.5)
    assert state.stands
    state = state.advance(0.5)
    assert not state.stands
    assert state == Standing.start(RUN_LENGTH)


def test_a_window_at_the_limit_is_not_calm() -> None:
    assert _after(_alarmed(), CALM_P, CALM_P, CALM_P).stands
    assert not _after(_alarmed(), CALM_P + 1e-9, 0.2, 1.0).stands


def test_a_drift_that_stays_keeps_its_alarm_and_shows_each_window() -> None:
    state = _alarmed()
    level = state.evidence.detector
    for _ in range(20):
        state = state.advance(CLEAR)
        assert state.stands
        assert state.evidence.is_alarm
    assert state.evidence.detector == level
    assert state.advance(0.05).evidence.e_value == pytest.approx(p_to_e(0.05))


def test_after_its_end_the_next_drift_is_an_alarm_again() -> None:
    state = _after(_alarmed(), 0.5, 0.5, 0.5)
    assert not state.advance(CLEAR).stands
    assert _after(state, CLEAR, CLEAR).stands


def test_a_window_too_small_for_a_test_changes_nothing() -> None:
    for state in (Standing.start(RUN_LENGTH).advance(0.03), _after(_alarmed(), 0.5, 0.5)):
        assert _after(state, None, None, None, None) is state


def test_a_state_goes_on_after_a_restart_as_if_nothing_had_been() -> None:
    p_values = [0.3, CLEAR, CLEAR, 0.5, 0.5, 0.02, 0.5, 0.5, 0.5, 0.2]
    state = kept = Standing.start(RUN_LENGTH)
    for p_value in p_values:
        state = state.advance(p_value)
        kept = Standing.from_json(json.loads(json.dumps(kept.to_json())), RUN_LENGTH).advance(p_value)
        assert kept == state


# ------------------------------------------------------------ segments


def test_a_segment_that_was_not_there_stays_where_it_was() -> None:
    states = advance_segments({}, {"a": 0.01, "b": 0.5}, RUN_LENGTH)
    moved = advance_segments(states, {"b": 0.5, "c": None}, RUN_LENGTH)
    assert moved["a"] == states["a"]
    assert (moved["b"].evidence.windows, moved.keys()) == (2, {"a", "b"})
    assert states["b"].evidence.windows == 1


def test_the_one_segment_that_changed_is_found_among_twenty() -> None:
    rng = np.random.default_rng(0)
    states: dict[str, Standing] = {}
    for _ in range(6):
        p_values = {f"s{n:02d}": float(rng.uniform(0.05, 1.0)) for n in range(20)} | {"s07": CLEAR}
        states = advance_segments(states, p_values, RUN_LENGTH)
    found = {result.segment: result for result in judged_segments(states, p_values, dict.fromkeys(p_values, 40))}
    assert [name for name, result in found.items() if result.is_alarm] == ["s07"]
    standing = states["s07"].detector
    assert found["s07"].e_value == pytest.approx(standing.detector / standing.windows)
    assert standing.detector >= 20 * RUN_LENGTH
    assert (found["s03"].rows, found["s03"].p_value) == (40, p_values["s03"])


@pytest.mark.parametrize("n_segments", [1, 20])
@pytest.mark.parametrize("quiet_windows", [0, 600])
def test_a_segment_that_drifts_late_is_told_as_soon_as_one_that_drifts_early(
    n_segments: int, quiet_windows: int
) -> None:
    rng = np.random.default_rng(2)
    states: dict[str, Standing] = {}
    for _ in range(quiet_windows):
        states = advance_segments(states, {f"s{n}": float(rng.uniform(0.05, 1.0)) for n in range(n_segments)}, 1000)
    told = []
    for _ in range(3):
        p_values = {f"s{n}": float(rng.uniform(0.05, 1.0)) for n in range(n_segments)} | {"s0": CLEAR}
        states = advance_segments(states, p_values, 1000)
        told.append([found.segment for found in judged_segments(states, p_values, {}) if found.is_alarm])
    assert (told[0], told[2]) == ([], ["s0"])


@pytest.mark.parametrize("n_segments", [1, 4])
def test_the_first_segment_that_is_falsely_told_comes_after_the_run_length_on_the_average(n_segments: int) -> None:
    rng = np.random.default_rng(1)
    lengths = [_windows_to_a_told_segment(rng, n_segments, run_length=20) for _ in range(200)]
    assert np.mean(lengths) > 20
    # The bound isn't far from tight, or nothing would ever be told.
    assert np.mean(lengths) < 200


def _windows_to_a_told_segment(rng: np.random.Generator, n_segments: int, *, run_length: int) -> int:
    states: dict[str, Standing] = {}
    for window in range(1, 5000):
        p_values = {f"s{n}": float(1.0 - rng.uniform()) for n in range(n_segments)}
        states = advance_segments(states, p_values, run_length)
        if any(found.is_alarm for found in judged_segments(states, p_values, {})):
            return window
    raise AssertionError("nothing was told in 5,000 windows")


def test_segments_that_drift_make_no_others_be_told_falsely() -> None:
    # With the sums of the ten that stand among those compared, one was falsely told in 47 windows.
    rng, n_windows, run_length = np.random.default_rng(0), 4000, 50
    states: dict[str, Standing] = {}
    n_told, before = 0, set[str]()
    for _ in range(n_windows):
        p_values = {f"s{n:02d}": CLEAR if n < 10 else float(1.0 - rng.uniform()) for n in range(20)}
        states = advance_segments(states, p_values, run_length)
        told = {each.segment for each in judged_segments(states, p_values, {}) if each.is_alarm}
        n_told += len({name for name in told - before if name >= "s10"})
        before = told
    assert {f"s{n:02d}" for n in range(10)} <= before
    # At most 80 are stated; by chance alone, 5 more standard deviations. Ideal e-values would give about 20.
    assert 0 < n_told < 50


@given(
    st.lists(
        st.dictionaries(st.sampled_from("abcdef"), st.one_of(st.none(), st.floats(1e-12, 1.0))), min_size=1, max_size=30
    ),
    st.sampled_from([2, 20, 1000]),
)
def test_the_segments_agree_with_a_twin_of_the_papers(windows: list[dict[str, float | None]], run_length: int) -> None:
    sums: dict[str, float] = {}
    calm: dict[str, int] = {}  # of those that stand
    states: dict[str, Standing] = {}
    for p_values in windows:
        kept = {name: json.loads(json.dumps(state.to_json())) for name, state in states.items()}
        states = {name: Standing.from_json(form, run_length) for name, form in kept.items()}
        states = advance_segments(states, p_values, run_length)
        tested = {name: p_value for name, p_value in p_values.items() if p_value is not None}
        sums = dict.fromkeys(tested, 0.0) | sums
        watched = sums.keys() - calm.keys()
        for name, p_value in tested.items():
            if name in watched:
                sums[name] = (sums[name] + 1) * p_to_e(p_value)
            elif p_value <= CALM_P:
                calm[name] = 0
            elif calm[name] + 1 < CALM_WINDOWS:
                calm[name] += 1
            else:
                del calm[name]
                sums[name] = 0.0
        largest_first = sorted((sums[name] for name in watched), reverse=True)
        ranks = [rank for rank, each in enumerate(largest_first, 1) if each * rank >= len(watched) * run_length]
        least = largest_first[max(ranks) - 1] if ranks else np.inf
        calm |= {name: 0 for name in watched if sums[name] >= least}
        assert {name for name, state in states.items() if state.stands} == calm.keys()
        assert {name: state.detector.detector for name, state in states.items()} == pytest.approx(sums)


def test_two_segments_that_change_together_need_half_the_evidence_each() -> None:
    p_values = {"a": CLEAR, "b": CLEAR, "c": 0.6, "d": 0.6}
    states = advance_segments(advance_segments({}, p_values, 5000), p_values, 5000)
    detector = states["a"].detector.detector
    assert 4 * 5000 / 2 <= detector < 4 * 5000
    assert [found.is_alarm for found in judged_segments(states, p_values, {})] == [True, True, False, False]
    alone = {**p_values, "b": 0.6}
    states = advance_segments(advance_segments({}, alone, 5000), alone, 5000)
    assert not any(found.is_alarm for found in judged_segments(states, alone, {}))


def test_an_alarm_of_two_segments_together_stands_until_each_is_calm() -> None:
    both = {"a": CLEAR, "b": CLEAR, "c": 0.6, "d": 0.6}
    states = advance_segments(advance_segments({}, both, 5000), both, 5000)
    assert states["a"].detector.detector < 4 * 5000
    told = []
    for p_value in (0.5, 0.5, 0.5):
        calm = dict.fromkeys(both, p_value)
        states = advance_segments(states, calm, 5000)
        told.append([each.segment for each in judged_segments(states, calm, {}) if each.is_alarm])
    assert told == [["a", "b"], ["a", "b"], []]


def test_an_alarm_that_stands_is_not_ended_by_a_segment_that_is_new() -> None:
    states: dict[str, Standing] = {}
    for _ in range(2):
        states = advance_segments(states, {"a": CLEAR}, RUN_LENGTH)
    p_values = {f"new{n}": 0.5 for n in range(50)} | {"a": CLEAR}
    found = judged_segments(advance_segments(states, p_values, RUN_LENGTH), p_values, {})
    assert [each.segment for each in found if each.is_alarm] == ["a"]


def test_an_alarm_that_stands_is_told_where_a_window_has_no_row_of_the_segment() -> None:
    states: dict[str, Standing] = {}
    for _ in range(2):
        states = advance_segments(states, {"a": 0.5, "b": CLEAR}, RUN_LENGTH)
    without: dict[str, float | None] = {"a": 0.5, "c": None}
    found = judged_segments(advance_segments(states, without, RUN_LENGTH), without, {"a": 40, "c": 3})
    assert [(each.segment, each.rows, each.p_value, each.is_alarm) for each in found] == [
        ("a", 40, 0.5, False),
        ("c", 3, None, False),
        ("b", 0, None, True),
    ]


def test_a_lonely_bad_window_of_one_in_many_segments_is_no_alarm() -> None:
    p_values: dict[str, float | None] = {f"s{n:03d}": 0.5 for n in range(200)} | {"s007": 0.001}
    results = judged_segments(advance_segments({}, p_values, RUN_LENGTH), p_values, {})
    assert not any(result.is_alarm for result in results)


def test_a_segment_without_a_test_says_nothing() -> None:
    p_values = {"tiny": None, "new": 0.4}
    tiny, new = judged_segments(advance_segments({}, p_values, RUN_LENGTH), p_values, {"tiny": 3})
    assert (tiny.e_value, tiny.p_value, tiny.is_alarm, tiny.rows) == (None, None, False, 3)
    assert (new.e_value, new.rows) == (pytest.approx(p_to_e(0.4)), 0)
    assert judged_segments({}, {}, {}) == ()
    alone = advance_segments({}, {"tiny": None}, RUN_LENGTH)
    assert not judged_segments(alone, {"tiny": None}, {})[0].is_alarm
