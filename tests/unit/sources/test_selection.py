"""Which rows of a source are looked at: spans, the newest rows, and what is said of rows without a time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitored import ListSource

from benchkit.errors import SourceError
from benchkit.sources.selection import Selection
from benchkit.types.drift import Rows

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(*minutes: float | None, first: int = 0) -> Rows:
    """Return rows at minutes after noon, numbered from `first`; None has no time."""
    noon = np.datetime64("2026-11-01T12:00:00", "us")
    times = [np.datetime64("NaT", "us") if m is None else noon + np.timedelta64(int(m * 60e6), "us") for m in minutes]
    return Rows(numbered(first, len(minutes)), times=np.array(times, dtype="datetime64[us]"))


def rows_from(first: int, count: int) -> Rows:
    return Rows(numbered(first, count))


def numbered(first: int, count: int) -> np.ndarray:
    return np.arange(first, first + count, dtype=np.float32)[:, None]


def chosen(selection: Selection, *batches: Rows) -> list[int]:
    """Return the numbers of the rows that are looked at."""
    found = selection.rows(ListSource(batches))
    return [int(number) for rows in found for number in rows.vectors[:, 0]]


def test_a_span_holds_its_start_and_not_its_end() -> None:
    source = ListSource([at(0, 59, 60, None), at(70), at(30)])
    found = list(Selection(start=NOON, end=NOON + HOUR).rows(source))
    assert [len(rows) for rows in found] == [2, 1]
    assert sum(map(len, Selection(start=NOON + HOUR).rows(source))) == 2
    assert sum(map(len, Selection(end=NOON + HOUR).rows(source))) == 3
    # A time without a zone is UTC; another zone is the same moment.
    assert sum(map(len, Selection(start=datetime(2026, 11, 1, 13)).rows(source))) == 2


def test_rows_without_a_time_are_in_no_span_which_is_said() -> None:
    span = Selection(start=NOON, end=NOON + HOUR)
    assert chosen(span, at(0, None, 90), at(None, 10, first=3)) == [0, 4]
    assert span.notes == ("2 of 5 rows of the source have no time and are in no window of time",)
    nothing = Selection(start=NOON)
    assert chosen(nothing, at(None, None)) == []
    assert nothing.notes == ("2 of 2 rows of the source have no time and are in no window of time",)
    whole = Selection(start=NOON)
    assert (chosen(whole, at(0, 1)), whole.notes) == ([0, 1], ())


@pytest.mark.parametrize("last", [1, 2, 3, 4, 5, 6, 100])
def test_the_last_rows_of_a_source_without_times_are_the_last_in_its_order(last: int) -> None:
    selection = Selection(last=last)
    assert chosen(selection, rows_from(0, 2), rows_from(2, 3), rows_from(5, 1)) == list(range(6))[-last:]
    assert selection.notes == ()


def test_the_last_rows_are_the_newest_wherever_they_stand() -> None:
    # As a database gives them whose ids are UUIDs.
    batches = [at(50, 10, 40), at(60, 0, first=3), at(20, 30, first=5)]
    assert chosen(Selection(last=3), *batches) == [0, 2, 3]
    assert chosen(Selection(last=1), *batches) == [3]
    assert chosen(Selection(last=7), *batches) == list(range(7))


def test_of_two_rows_at_the_same_time_the_later_in_the_source_is_newer() -> None:
    assert chosen(Selection(last=3), at(5, 5), at(5, 5, first=2), at(1, first=4)) == [1, 2, 3]


@given(
    minutes=st.lists(st.integers(0, 30), min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=5),
    last=st.integers(1, 45),
)
def test_the_newest_are_those_that_a_sort_of_all_rows_gives(minutes: list[int], cuts: Sequence[int], last: int) -> None:
    whole = at(*minutes)
    edges = sorted({0, len(minutes), *(cut for cut in cuts if cut < len(minutes))})
    batches = [whole.take(slice(a, b)) for a, b in itertools.pairwise(edges)]
    expected = sorted(sorted(range(len(minutes)), key=lambda row: (minutes[row], row))[-last:])
    assert chosen(Selection(last=last), *batches) == expected


def test_a_few_rows_without_a_time_are_not_among_the_newest_which_is_said() -> None:
    times = [float(n) for n in range(19)]
    few = Selection(last=2)
    # The twentieth lacks a time in a file that has the column, or the column itself.
    assert chosen(few, at(*times), at(None, first=19)) == [17, 18]
    assert few.notes == ("1 of 20 rows of the source have no time and are not among the newest 2",)
    assert chosen(Selection(last=2), at(*times), rows_from(19, 1)) == [17, 18]


def test_where_many_rows_lack_a_time_the_last_are_those_of_the_order_which_is_said() -> None:
    many = Selection(last=2)
    assert chosen(many, at(9, 8, 7, None)) == [2, 3]
    (note,) = many.notes
    assert note.startswith("1 of 4 rows of the source have no time: the last 2 are the last in the order of the source")
    none = Selection(last=2)
    assert (chosen(none, at(None, None, None)), none.notes) == ([1, 2], ())


def test_what_a_file_says_of_its_rows_stays_with_them() -> None:
    first = Rows(numbered(0, 3), times=at(1, 5, 2).times, model="a", sampling=0.5, texts=("x", "y", "z"))
    found = list(Selection(last=2).rows(ListSource([first, at(4, 0, first=3)])))
    assert [(rows.model, rows.sampling, rows.texts) for rows in found] == [("a", 0.5, ("y",)), ("", 1.0, None)]


def test_everything_is_selected_where_nothing_is_asked() -> None:
    everything = Selection()
    assert chosen(everything, rows_from(0, 2), at(None, 5, first=2)) == [0, 1, 2, 3]
    assert everything.notes == ()


def test_a_span_of_a_source_without_times_is_refused() -> None:
    with pytest.raises(SourceError, match="made-up: a window of time needs a column of times"):
        chosen(Selection(start=NOON), rows_from(0, 2))
    with pytest.raises(ValueError, match="the last 0 rows; at least 1 is needed"):
        Selection(last=0)
