"""How long a busy server asks to be left alone: the header Retry-After, which holds seconds or a date.

    "7" · "Sun, 06 Nov 1994 08:49:37 GMT" ── retry_after_s ──> seconds from now, at least 0 and at most a day

Source: RFC 9110, 10.2.3 (the header) and 5.6.7 (three ways to write a date). Parts of a second, which some servers
send, are heeded too. Who asks decides how much of it to wait.
"""

from __future__ import annotations

import email.utils
import re
from datetime import UTC, datetime

LONGEST_S = 86_400.0  # a server that asks for more has a wrong clock, or no wish to be asked again
_SECONDS = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


def retry_after_s(header: str | None, *, now: datetime) -> float | None:
    """Return the seconds that a header asks to wait, from 0 to a day; None without one, or where it says nothing.

    Args:
        now: With its time zone.

    >>> retry_after_s("7", now=datetime(1994, 11, 6, tzinfo=UTC))
    7.0
    >>> retry_after_s("Sun, 06 Nov 1994 00:00:30 GMT", now=datetime(1994, 11, 6, tzinfo=UTC))
    30.0
    """
    if header is None:
        return None
    text = header.strip()
    seconds = float(text) if _SECONDS.fullmatch(text) else _until(text, now)
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_S)


def _until(date: str, now: datetime) -> float | None:
    try:
        when = email.utils.parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    # The way of C's asctime names no zone; all dates of HTTP are in UTC.
    return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds()
