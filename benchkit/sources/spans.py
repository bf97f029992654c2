"""A span of time as people type it.

"2026-11-01..2026-11-08" ── parse_window ──> TimeSpan [start, end), UTC
"15m" ── parse_span ──> timedelta

The end isn't part of it: the example is seven days. A date is its midnight, and a time without a zone is UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchkit.errors import UsageError
from benchkit.sources.words import shown

_EXAMPLE = "2026-11-01..2026-11-08 or 2026-11-01T09:00+01:00..2026-11-01T10:00+01:00"


_SPAN = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """Times from `start` up to, but without, `end`; None is open."""

    start: datetime | None
    end: datetime | None


def parse_window(text: str) -> TimeSpan:
    """Return the span of time that a text means; one side may be empty.

    Raises:
        UsageError: no two times with ".." between them, or the end isn't after the start.

    >>> parse_window("2026-11-01..").start
    datetime.datetime(2026, 11, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    parts = text.strip().split("..")
    if len(parts) != 2 or not any(part.strip() for part in parts):
        raise UsageError(f"window '{shown(text)}': needed are two times with '..' between them: {_EXAMPLE}")
    start, end = (_moment(part.strip(), text) if part.strip() else None for part in parts)
    if start is not None and end is not None and start >= end:
        raise UsageError(f"window '{shown(text)}': the end {end.isoformat()} isn't after the start {start.isoformat()}")
    return TimeSpan(start=start, end=end)


def parse_span(text: str) -> timedelta:
    """Return a length of time.

    Raises:
        UsageError: not a whole number above 0 with one of s, m, h, d, w behind it.

    >>> parse_span("15m")
    datetime.timedelta(seconds=900)
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise UsageError(f"'{shown(text)}' is no length of time; allowed: 30s, 15m, 1h, 1d, 1w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _moment(part: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(part)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise UsageError(f"window '{shown(text)}': '{shown(part)}' is no time; allowed: {_EXAMPLE}") from exc
