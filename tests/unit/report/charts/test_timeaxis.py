"""The axis of times: places, what is no time, and marks whose labels don't cover each other."""

from __future__ import annotations

import pytest
from drift_reports import history

from benchkit.report.board_rows import check_rows
from benchkit.report.charts.timeaxis import bands, check_axis, mark_layers, mark_rows, moment, time_axis
from benchkit.types.board import Mark

NOVEMBER = 1793491200  # 2026-11-01T00:00:00Z
DAY = 86400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-01T00:00:00Z", NOVEMBER),
        ("2026-11-01T01:00:00+01:00", NOVEMBER),
        ("2026-11-01", NOVEMBER),
        ("", None),
        ("<script>", None),
        ("9" * 1_000_000, None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59Z", None),
    ],
)
def test_a_text_is_a_time_in_utc_or_none(text: str, seconds: float | None) -> None:
    assert moment(text) == seconds


def test_rows_stand_at_their_first_time_and_the_axis_has_room_on_both_sides() -> None:
    axis = time_axis([("", "2026-11-01T00:00:00Z"), ("2026-11-11T00:00:00Z", "2030-01-01")])
    assert axis.places == (NOVEMBER, NOVEMBER + 10 * DAY)
    assert axis.low == NOVEMBER - 0.3 * DAY
    assert axis.high == NOVEMBER + 10.3 * DAY
    assert axis.value(axis.places[0]) == "2026-11-01T00:00:00Z"
    assert axis.value(NOVEMBER + 0.25) == "2026-11-01T00:00:00.250Z"
    low, high = axis.x()["scale"]["domain"]
    assert low == {
        "year": 2026, "month": 10, "date": 31, "hours": 16, "minutes": 48, "seconds": 0, "milliseconds": 0, "utc": True,
    }  # fmt: skip
    assert (high["month"], high["date"], high["hours"], high["minutes"]) == (11, 11, 7, 12)
    assert axis.share(NOVEMBER + 5 * DAY) == pytest.approx(0.5)


def test_one_moment_has_an_axis_of_a_day() -> None:
    axis = time_axis([("2026-11-01T00:00:00Z",)])
    assert (axis.low, axis.high) == (NOVEMBER - DAY / 2, NOVEMBER + DAY / 2)


@pytest.mark.parametrize(
    ("last", "form"),
    [
        ("00:00:01Z", "%H:%M:%S"),
        ("00:13:59Z", "%H:%M:%S"),
        ("00:20:00Z", "%m-%d %H:%M"),
    ],
)
def test_ticks_of_a_short_axis_never_read_alike(last: str, form: str) -> None:
    axis = time_axis([("2026-11-01T00:00:00Z",), (f"2026-11-01T{last}",)])
    assert axis.x()["axis"]["format"] == form
    # Vega takes a round step near a sixth of the axis, at least a half of it: longer than what is told last.
    assert (axis.high - axis.low) / 12 > (1 if form == "%H:%M:%S" else 60)


def test_one_row_without_a_time_puts_all_at_their_numbers() -> None:
    axis = time_axis([("2026-11-01T00:00:00Z",), ("soon",)])
    assert (axis.has_times, axis.field, axis.places, axis.low, axis.high) == (False, "number", (1.0, 2.0), 0.5, 2.5)
    assert mark_rows(axis, [Mark("2026-11-01T00:00:00Z", "x", "model")]) == []


def test_bands_begin_where_a_level_changes_and_fill_the_axis() -> None:
    axis = time_axis([("2026-11-03",), ("2026-11-01",), ("2026-11-02",)])
    found = bands(axis, [0.05, 0.01, 0.01], 1.0)
    assert [(row["level"], row["far"]) for row in found] == [(0.01, 1.0), (0.05, 1.0)]
    assert [row["from"] for row in found] == [1000 * axis.low, 1000 * (NOVEMBER + 2 * DAY)]
    assert [row["to"] for row in found] == [1000 * (NOVEMBER + 2 * DAY), 1000 * axis.high]


def test_marks_outside_of_the_axis_and_marks_without_a_time_are_not_drawn() -> None:
    axis = time_axis([("2026-11-01",), ("2026-11-11",)])
    marks = [Mark(at, at, "model") for at in ("2026-10-01", "2026-11-05", "2026-12-01", "never")]
    assert [row["shown"] for row in mark_rows(axis, marks)] == ["2026-11-05"]


def test_labels_go_up_a_line_where_they_would_touch_and_to_the_side_that_has_room() -> None:
    axis = time_axis([("2026-11-01",), ("2026-11-11",)])
    marks = [Mark(f"2026-11-{day:02d}", f"mark of day {day}", "champion") for day in (2, 3, 10)]
    found = mark_rows(axis, marks)
    assert [(row["side"], row["line"]) for row in found] == [("right", 0), ("right", 1), ("left", 0)]
    assert all(layer["mark"]["aria"] is False for layer in mark_layers(found) if layer["mark"]["type"] == "text")


def test_labels_have_less_room_where_words_stand_beside_the_plane() -> None:
    axis = time_axis([("2026-11-01",), ("2026-11-11",)])
    # 79 px of a label fit between them in the narrowest plane, of 280 px, and don't in one of 160.
    marks = [Mark(f"2026-11-{day:02d}T12:00:00Z", "a promotion", "champion") for day in (1, 5)]
    assert [row["line"] for row in mark_rows(axis, marks)] == [0, 0]
    assert [row["line"] for row in mark_rows(axis, marks, beside=120.0)] == [0, 1]


def test_of_very_many_marks_all_have_a_rule_and_some_a_label() -> None:
    axis = time_axis([("2026-11-01",), ("2026-11-02",)])
    found = mark_rows(axis, [Mark("2026-11-01T12:00:00Z", f"mark {place}", "model") for place in range(20)])
    assert len(found) == 20
    assert sum(bool(row["shown"]) for row in found) == 4
    (rule,) = (layer for layer in mark_layers(found) if layer["mark"]["type"] == "rule")
    assert len(rule["data"]["values"]) == 20


def test_a_rule_goes_up_to_its_label() -> None:
    axis = time_axis([("2026-11-01T00:00:00Z",), ("2026-11-30T00:00:00Z",)])
    marks = [Mark(f"2026-11-{day:02}T00:00:00Z", "champion minilm of help-centre", "champion") for day in (4, 5)]
    rows = mark_rows(axis, marks)
    assert [(row["line"], row["shown"]) for row in rows] == [
        (0, "champion minilm of he…"),
        (1, "champion minilm of he…"),
    ]
    rule, *texts = mark_layers(rows)
    assert rule["mark"]["yOffset"] == {"expr": "datum.shown ? -14 * datum.line - 5 : 0"}
    assert sorted({layer["mark"]["dy"] for layer in texts}) == [-19.0, -5.0]


def test_kinds_of_marks_differ_in_their_dashes() -> None:
    axis = time_axis([("2026-11-01",), ("2026-11-11",)])
    marks = [Mark("2026-11-05", kind, kind) for kind in ("champion", "model", "baseline")]
    rules = [layer for layer in mark_layers(mark_rows(axis, marks)) if layer["mark"]["type"] == "rule"]
    assert len({tuple(rule["mark"]["strokeDash"]) for rule in rules}) == 3
    assert mark_layers([]) == []


def test_charts_of_some_windows_have_the_ends_of_all_and_each_window_its_own_place():
    rows = check_rows(history(5))
    whole, part = check_axis(rows, rows), check_axis(rows, rows[3:4])
    assert (part.low, part.high) == (whole.low, whole.high)
    assert part.places == whole.places[3:4]
