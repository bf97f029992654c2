"""What a server asks for: seconds, or a date in any of HTTP's three ways; nothing absurd is waited for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from benchkit.models.retry_after import LONGEST_S, retry_after_s

NOW = datetime(1994, 11, 6, 8, 49, 0, tzinfo=UTC)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), (" 7 ", 7), ("0", 0), ("0.5", 0.5), ("+3", 3), ("007", 7)])
def test_seconds_are_taken_as_they_are(header: str, seconds: float) -> None:
    assert retry_after_s(header, now=NOW) == seconds


@pytest.mark.parametrize(
    "header",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
    ids=["RFC 9110", "RFC 850", "asctime"],
)
@pytest.mark.parametrize("now", [NOW, NOW.astimezone(timezone(timedelta(hours=8)))], ids=["UTC", "another zone"])
def test_a_date_is_understood_in_each_of_the_three_ways(header: str, now: datetime) -> None:
    assert retry_after_s(header, now=now) == 37


def test_a_date_that_we_write_comes_back() -> None:
    later = NOW + timedelta(seconds=90)
    assert retry_after_s(format_datetime(later, usegmt=True), now=NOW) == 90


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("-3", 0),
        ("Sat, 05 Nov 1994 08:49:37 GMT", 0),
        ("86401", LONGEST_S),
        ("9" * 400, LONGEST_S),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_S),
        ("Fri, 31 Dec 9999 23:59:59 -2359", LONGEST_S),
        ("Thu, 01 Jan 1970 00:00:00 +2359", 0),
    ],
)
def test_what_is_absurd_is_bounded(header: str, seconds: float) -> None:
    assert retry_after_s(header, now=NOW) == seconds


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "soon",
        "nan",
        "inf",
        "-inf",
        "1e3",
        "1_000",
        "0x10",
        "7 s",
        "7, 8",
        "٧",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 99999 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +9999",
        "Sun, 36 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 99999999999999999999:49:37 GMT",
    ],
)
def test_what_is_neither_asks_for_nothing(header: str | None) -> None:
    assert retry_after_s(header, now=NOW) is None
