"""Windows of rows and of time: every row in one window, whatever the batches; late and impossible times are counted."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchkit.errors import SourceError
from benchkit.sources.windows import Cut, CutState, WindowCutter, windows
from benchkit.types.drift import Rows

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(*minutes: float | None) -> Rows:
    """Return rows at minutes after noon; None has no time."""
    noon = np.datetime64("2026-11-01T12:00:00", "us")
    times = [np.datetime64("NaT", "us") if m is None else noon + np.timedelta64(int(m * 60e6), "us") for m in minutes]
    return Rows(
        vectors=np.arange(len(minutes), dtype=np.float32)[:, None], times=np.array(times, dtype="datetime64[us]")
    )


def rows_from(first: int, count: int) -> Rows:
    return Rows(vectors=np.arange(first, first + count, dtype=np.float32)[:, None])


def cutter(**options: Any) -> WindowCutter:
    return WindowCutter(**{"every": HOUR, "clock": lambda: NOON + 24 * HOUR} | options)


def told(cuts: list[Cut]) -> list[tuple[int, int, bool]]:
    """Return (hour after noon, rows, is closed) of each piece."""
    return [
        (int((cut.start - NOON) / HOUR), 0 if cut.rows is None else len(cut.rows), cut.is_closed)
        for cut in cuts
        if cut.start
    ]


# By rows


@pytest.mark.parametrize("batches", [[10], [1] * 10, [3, 3, 4], [4, 4, 2]])
def test_windows_of_rows_are_the_same_however_the_stream_is_batched(batches: list[int]) -> None:
    stream = [rows_from(sum(batches[:place]), count) for place, count in enumerate(batches)]
    found: dict[int, list[int]] = {}
    closed: dict[int, bool] = {}
    for cut in windows(stream, size=4):
        found.setdefault(cut.number, []).extend([] if cut.rows is None else cut.rows.vectors[:, 0].astype(int).tolist())
        if cut.is_closed:
            closed[cut.number] = cut.is_whole
    assert found == {0: [0, 1, 2, 3], 1: [4, 5, 6, 7], 2: [8, 9]}
    assert closed == {0: True, 1: True, 2: False}


def test_a_cutter_goes_on_where_its_state_was_stored() -> None:
    first = cutter(every=None, size=4)
    assert [(cut.number, len(cut.rows or ()), cut.is_closed) for cut in first.cut(rows_from(0, 6))] == [
        (0, 4, True),
        (1, 2, False),
    ]
    stored = json.loads(json.dumps(first.state.to_json()))
    second = cutter(every=None, size=4, state=CutState.from_json(stored))
    assert [(cut.number, len(cut.rows or ()), cut.is_closed) for cut in second.cut(rows_from(6, 2))] == [(1, 2, True)]
    assert second.close_all() == []
    assert second.close_due() == []


def test_a_damaged_state_is_refused() -> None:
    with pytest.raises(SourceError, match="stored state of the windows is damaged"):
        CutState.from_json({"number": 1})


# By time


def test_windows_of_time_are_numbered_from_1970_and_hold_their_start_but_not_their_end() -> None:
    cuts = list(windows([at(0, 59.9, 60)], every=HOUR))
    assert told(cuts) == [(0, 2, False), (1, 1, False), (0, 0, True), (1, 0, True)]
    assert cuts[0].number == int(NOON.timestamp()) // 3600
    assert (cuts[0].start, cuts[0].end) == (NOON, NOON + HOUR)


def test_a_window_closes_when_a_row_is_newer_than_its_end_and_the_lateness() -> None:
    cut = cutter(lateness=timedelta(minutes=5))
    assert told(cut.cut(at(30, 64))) == [(0, 1, False), (1, 1, False)]
    assert told(cut.cut(at(20, 65))) == [(0, 1, False), (1, 1, False), (0, 0, True)]
    assert cut.state.late == 0


def test_a_late_row_is_counted_and_in_no_window() -> None:
    cut = cutter(lateness=timedelta(minutes=5))
    cut.cut(at(30, 70))
    assert told(cut.cut(at(40, 75))) == [(1, 1, False)]
    assert (cut.state.late, cut.state.left_out) == (1, 1)


def test_within_a_batch_lateness_counts_from_the_rows_before() -> None:
    cut = cutter(lateness=timedelta(0))
    assert told(cut.cut(at(61, 30, 62))) == [(1, 2, False)]
    assert cut.state.late == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(0, 300)), min_size=1, max_size=30),
    st.lists(st.integers(1, 29), max_size=5),
    st.integers(0, 90),
)
def test_windows_of_time_are_the_same_however_the_stream_is_batched(
    minutes: list[float | None], stops: list[int], lateness: int
) -> None:
    def run(batches: list[list[float | None]]) -> tuple[dict[int, int], tuple[int, ...], CutState]:
        cut = cutter(lateness=timedelta(minutes=lateness))
        counts: dict[int, int] = {}
        closed: list[int] = []
        for batch in batches:
            if batch:
                # The stored state alone is enough to go on.
                cut = cutter(
                    lateness=cut.lateness, state=CutState.from_json(json.loads(json.dumps(cut.state.to_json())))
                )
            for piece in cut.cut(at(*batch)) if batch else []:
                assert piece.number not in closed
                counts[piece.number] = counts.get(piece.number, 0) + (0 if piece.rows is None else len(piece.rows))
                closed += [piece.number] if piece.is_closed else []
        closed += [piece.number for piece in cut.close_all()]
        assert len(closed) == len(set(closed))
        assert set(closed) >= set(counts)
        return counts, tuple(sorted(closed)), cut.state

    edges = sorted({0, *(stop for stop in stops if stop < len(minutes)), len(minutes)})
    parts = [minutes[start:stop] for start, stop in itertools.pairwise(edges)]
    whole = run([minutes])
    assert run(parts) == whole
    assert sum(whole[0].values()) + whole[2].left_out == len(minutes)


def test_rows_without_a_time_and_from_the_future_are_counted_and_close_nothing() -> None:
    cut = cutter(clock=lambda: NOON + HOUR)
    year = 365 * 24 * 60.0
    assert told(cut.cut(at(30, None, year, 121, 40))) == [(0, 2, False)]
    assert (cut.state.untimed, cut.state.ahead, cut.state.late) == (1, 2, 0)


def test_a_clock_that_went_back_makes_late_rows_and_changes_no_closed_window() -> None:
    cut = cutter()
    cut.cut(at(30, 130))
    assert cut.cut(at(-1000, 5)) == []
    assert cut.state.late == 2
    assert told(cut.cut(at(131))) == [(2, 1, False)]


YEAR = timedelta(days=365)


def test_a_clock_that_ran_ahead_and_was_put_right_costs_no_row() -> None:
    now = [NOON + timedelta(minutes=40)]
    cut = cutter(clock=lambda: now[0])
    cut.cut(at(30))
    now[0] += YEAR
    assert closed_by(cut.close_due())[0] == 0
    now[0] = NOON + timedelta(minutes=130)
    cut = cutter(clock=lambda: now[0], state=CutState.from_json(json.loads(json.dumps(cut.state.to_json()))))
    assert cut.close_due() == []
    assert [(hour, rows) for hour, rows, _ in told(cut.cut(at(50, 70, 125))) if rows] == [(0, 1), (1, 1), (2, 1)]
    assert (cut.state.late, cut.state.ahead) == (0, 0)


def test_rows_that_were_written_under_a_clock_that_ran_ahead_make_no_later_row_late() -> None:
    now = [NOON + YEAR]
    cut = cutter(clock=lambda: now[0])
    cut.cut(at(365 * 24 * 60.0 - 1, 365 * 24 * 60.0))
    cut.close_due()
    now[0] = NOON + timedelta(minutes=10)
    assert [(hour, rows) for hour, rows, _ in told(cut.cut(at(9))) if rows] == [(0, 1)]
    now[0] += 2 * HOUR
    assert closed_by(cut.close_due()) == [0, 1]
    assert cut.state.late == 0


def test_a_clock_that_falls_behind_tells_no_closed_window_again() -> None:
    now = [NOON + 50 * HOUR]
    cut = cutter(clock=lambda: now[0])
    closed = closed_by(cut.cut(at(*(60.0 * hour + 30 for hour in range(50)))))
    now[0] -= 48 * HOUR
    assert closed_by(cut.cut(at(60 * 50 + 10))) == []
    now[0] += 50 * HOUR
    closed += closed_by(cut.cut(at(60 * 50 + 20, 60 * 51 + 1.5)))
    assert closed == list(range(51))
    assert cut.state.ahead == 1


def test_a_quiet_source_closes_its_windows_by_the_clock() -> None:
    now = [NOON + timedelta(minutes=60.5)]
    cut = cutter(clock=lambda: now[0])
    cut.cut(at(30))
    assert cut.close_due() == []
    now[0] += timedelta(minutes=1)
    assert told(cut.close_due()) == [(0, 0, True)]
    assert cut.close_due() == []
    cut.cut(at(40))
    assert cut.state.late == 1


def test_a_span_without_rows_gives_no_cut_where_a_stream_that_has_an_end_is_cut() -> None:
    assert told([cut for cut in windows([at(0, 600)], every=HOUR) if cut.is_closed]) == [(0, 0, True), (10, 0, True)]


def closed_by(cuts: list[Cut]) -> list[int]:
    return [hour for hour, _, is_closed in told(cuts) if is_closed]


def test_spans_without_rows_between_rows_are_closed_in_order() -> None:
    cut = cutter()
    assert closed_by(cut.cut(at(30, 250))) == [0, 1, 2, 3]
    assert closed_by(cut.cut(at(370))) == [4, 5]


def test_nothing_is_closed_before_the_first_row() -> None:
    cut = cutter()
    assert cut.close_due() == []
    # A row at the very start of its span leaves the one before open for stragglers; it is none of the stream's.
    assert closed_by(cut.cut(at(240.5))) == []
    assert closed_by(cut.cut(at(310))) == [4]
    assert cut.state.late == 0


def test_a_silent_source_closes_its_spans_when_the_clock_says_that_they_are_over_each_once() -> None:
    now = [NOON]
    cut = cutter(clock=lambda: now[0])
    cut.cut(at(30))
    found = []
    for minute in range(60, 301):
        now[0] = NOON + timedelta(minutes=minute)
        found += [(minute, hour) for hour in closed_by(cut.close_due())]
        # Killed and started again: what was stored is enough.
        cut = cutter(clock=lambda: now[0], state=CutState.from_json(json.loads(json.dumps(cut.state.to_json()))))
    # A minute of grace for late rows.
    assert found == [(61, 0), (121, 1), (181, 2), (241, 3)]
    now[0] += 2 * HOUR
    assert closed_by(cut.cut(at(310, 370))) == [4, 5]


def test_the_clock_tells_of_no_span_that_was_over_before_the_stream_was_followed() -> None:
    now = [NOON + 48.5 * HOUR]
    cut = cutter(clock=lambda: now[0])
    cut.cut(at(30, 90))
    assert closed_by(cut.close_due()) == [1]  # and not the two days since, which may simply not be recorded
    now[0] += HOUR
    assert closed_by(cut.close_due()) == [48]


def test_a_state_of_an_older_benchkit_goes_on() -> None:
    stored = cutter().state.to_json()
    del stored["since"]
    assert CutState.from_json(stored).since is None
    assert cutter(state=CutState.from_json(stored)).state.since is not None


@pytest.mark.parametrize("pieces", [[5000.0], [1010.0, 1040.0, 5000.0]], ids=["at once", "by and by"])
def test_at_most_a_thousand_spans_without_rows_are_closed_in_a_row(pieces: list[float]) -> None:
    now = [NOON]
    cut = cutter(clock=lambda: now[0])
    cut.cut(at(30))
    found: list[Cut] = []
    for hours in pieces:
        now[0] = NOON + hours * HOUR
        found += cut.close_due()
    assert closed_by(found) == list(range(1001))
    assert [place for place, each in enumerate(found) if each.is_last_empty] == [1000]
    assert closed_by(cut.cut(at(60 * 5000.5))) == []
    now[0] += 3 * HOUR
    assert closed_by(cut.close_due()) == [5000, 5001]


def test_the_caller_sees_how_many_rows_a_whole_stream_left_out() -> None:
    cut = cutter(lateness=HOUR)
    assert told(list(windows([at(0, 200), at(10, None)], cutter=cut)))[-1] == (3, 0, True)
    assert cut.state.left_out == 2


def test_windows_of_time_need_times() -> None:
    with pytest.raises(SourceError, match="windows of time need a column of times"):
        list(windows([rows_from(0, 3)], every=HOUR))


@pytest.mark.parametrize(
    "options", [{}, {"size": 1, "every": HOUR}, {"size": 0}, {"every": timedelta(0)}], ids=["none", "both", "0", "0 h"]
)
def test_a_window_needs_one_length(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="window"):
        WindowCutter(**options)
