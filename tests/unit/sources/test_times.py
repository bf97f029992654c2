"""Times of any form are the same moments."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchkit.errors import SourceError
from benchkit.sources.times import microseconds, times_of_array, times_of_values

MOMENT = datetime(2026, 11, 1, 9, 30, 0, 250_000, tzinfo=UTC)
US = 1_793_525_400_250_000  # of it, by `date -u -d "2026-11-01 09:30" +%s` and a quarter


def one(value: Any) -> int:
    return int(times_of_values([value], "x", 0).view(np.int64)[0])


@pytest.mark.parametrize(
    "value",
    [
        MOMENT,
        MOMENT.astimezone(timezone(timedelta(hours=-5))),
        MOMENT.replace(tzinfo=None),
        "2026-11-01T09:30:00.250Z",
        "2026-11-01 10:30:00.250+01:00",
        " 2026-11-01T09:30:00.25 ",
        1_793_525_400.25,
        Decimal("1793525400.250000"),
        1_793_525_400_250,
        1_793_525_400_250_000,
        1_793_525_400_250_000_999,
    ],
)
def test_every_form_is_the_same_moment(value: Any) -> None:
    assert one(value) == US


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_arrow_timestamps_of_any_unit_and_zone_are_utc(unit: str, zone: str | None) -> None:
    array = pa.array([US // 10**6 * 10**9, None], pa.timestamp("ns")).cast(pa.timestamp(unit)).cast(pa.int64())
    found = times_of_array(array.cast(pa.timestamp(unit, zone)), "x", 0)
    assert found.dtype == "datetime64[us]"
    assert found[0] == np.datetime64("2026-11-01T09:30:00")
    assert np.isnat(found[1])


def test_a_time_before_1970_is_rounded_down_as_one_after() -> None:
    found = times_of_array(pa.array([-1, 1999], pa.timestamp("ns")), "x", 0)
    assert found.view(np.int64).tolist() == [-1, 1]


def test_dates_are_midnights() -> None:
    expected = np.datetime64("2026-11-01T00:00:00", "us")
    assert times_of_array(pa.array([date(2026, 11, 1)]), "x", 0)[0] == expected
    assert times_of_values([date(2026, 11, 1), "2026-11-01"], "x", 0).tolist() == [expected.item()] * 2


@pytest.mark.parametrize("numbers", [[20261101], [20261101, None, 20261231.0], [Decimal(19000101)]])
def test_days_written_as_numbers_are_refused(numbers: list[Any]) -> None:
    with pytest.raises(SourceError, match=r"x: from row 7 on, numbers such as .*, which look like days and would be"):
        times_of_values(numbers, "x", 7)


def test_seconds_in_a_row_are_no_days() -> None:
    # 20261131 is no day, as most seconds are none.
    assert times_of_values([20261130, 20261131], "x", 0).astype(int).tolist() == [20261130 * 10**6, 20261131 * 10**6]


def test_a_missing_or_empty_time_is_none() -> None:
    assert np.isnat(times_of_values([None, "", float("nan")], "x", 0)).all()


@pytest.mark.parametrize(
    ("value", "unit"),
    [(99_999_999_999, 10**6), (100_000_000_000, 10**3), (99_999_999_999_999, 10**3), (100_000_000_000_000, 1)],
)
def test_a_numbers_unit_is_told_by_its_magnitude(value: int, unit: int) -> None:
    assert one(value) == value * unit
    # Before the year 1 there is none.
    earlier = -min(value, 60_000_000_000_000_000 // unit)
    assert one(earlier) == earlier * unit


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)))
def test_microseconds_agree_with_numpy(moment: datetime) -> None:
    assert microseconds(moment) == np.datetime64(moment, "us").view(np.int64)


@pytest.mark.parametrize("value", ["soon", True, float("inf"), 10**30, [1], {}, "2026-13-01"])
def test_what_is_no_time_is_refused_with_its_row(value: Any) -> None:
    with pytest.raises(SourceError, match=r"x: row 8: .* is no time; allowed: a timestamp, ISO 8601 text"):
        times_of_values([None, value], "x", 7)


def test_an_arrow_timestamp_beyond_all_years_is_refused() -> None:
    with pytest.raises(SourceError, match="x: row 1: 4611686018427387904 s since 1970 is no time"):
        times_of_array(pa.array([0, 2**62], pa.timestamp("s")), "x", 0)


def test_times_that_no_report_could_say_are_refused() -> None:
    first, last = -62_135_596_800_000_000, 253_402_300_799_999_999
    found = times_of_array(pa.array([first, last, None], pa.timestamp("us")), "x", 0)
    assert [str(time) for time in found] == ["0001-01-01T00:00:00.000000", "9999-12-31T23:59:59.999999", "NaT"]
    for beyond in (first - 1, last + 1):
        with pytest.raises(SourceError, match=f"x: row 1: {beyond} us since 1970 is no time; allowed"):
            times_of_array(pa.array([0, beyond], pa.timestamp("us")), "x", 0)
    with pytest.raises(SourceError, match="row 0: '0001-01-01T00:00:00\\+01:00' is no time"):
        times_of_values(["0001-01-01T00:00:00+01:00"], "x", 0)
    with pytest.raises(SourceError, match="row 0: 300000000000000000000 is no time"):
        times_of_values([300_000_000_000_000_000_000], "x", 0)


def test_a_column_of_another_type_is_refused() -> None:
    with pytest.raises(SourceError, match=r"row 0: b'x' is no time"):
        times_of_array(pa.array([b"x"]), "x", 0)
