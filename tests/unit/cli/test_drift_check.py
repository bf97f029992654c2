"""Which checks a page of `drift check --html` holds beside its own."""

from __future__ import annotations

from dataclasses import replace

from benchkit.cli.drift_check import _earlier
from tests.alerts import report


def test_checks_of_the_same_second_are_earlier_ones_and_the_check_itself_is_not() -> None:
    now = report()
    same_second = replace(now, window=replace(now.window, source="another.parquet"))
    before, after = (replace(now, checked_at=f"{year}-01-01T00:00:00+00:00") for year in (2020, 2999))

    assert _earlier(now, [before, same_second, now, after]) == [before, same_second]
