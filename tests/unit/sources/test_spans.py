"""A window of time as people type it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from benchkit.errors import UsageError
from benchkit.sources.spans import TimeSpan, parse_window


def test_dates_are_midnights_in_utc_and_the_end_is_not_part() -> None:
    assert parse_window("2026-11-01..2026-11-08") == TimeSpan(
        datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC)
    )


def test_a_zone_counts() -> None:
    span = parse_window("2026-11-01T01:00+01:00 .. 2026-11-01T01:00Z")
    assert span == TimeSpan(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 1, 1, tzinfo=UTC))


def test_one_side_may_be_open() -> None:
    assert parse_window("2026-11-01..").end is None
    assert parse_window("..2026-11-01").start is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026-11-01", "needed are two times with '..' between them"),
        ("..", "needed are two times"),
        ("a..b..c", "needed are two times"),
        ("2026-11-31..", "'2026-11-31' is no time"),
        ("yesterday..2026-11-01", "'yesterday' is no time"),
        ("2026-11-08..2026-11-01", "the end 2026-11-01T00:00:00+00:00 isn't after the start"),
        ("2026-11-08..2026-11-08", "isn't after the start"),
        ("0001-01-01T00:00+05:00..", "is no time"),
        ("\x1b[2J..2026-11-01", r"'\x1b[2J' is no time"),
    ],
)
def test_anything_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_window(text)
    assert message in str(caught.value)
