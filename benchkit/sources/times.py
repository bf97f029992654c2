"""Times of a column, whatever its form, as UTC microseconds.

    Arrow timestamp (any unit, any zone) · date · ISO 8601 text · datetime · seconds, ms, us or ns since 1970
        ──> datetime64[us], NaT where a row has none

A time without a zone is taken as UTC. A number's unit is told by its magnitude: below 1e11 it's seconds (up to the year
5138), below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds; each range begins in the year 1973 or before.
Numbers that are all written as 20261101 are refused: as seconds they would be a day in 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import SourceError
from benchkit.sources.words import reason, shown

_NO_TIME = np.iinfo(np.int64).min  # NaT's bits
_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The years 1 to 9999: a report couldn't say a later one, which is a wrong unit anyway.
_FIRST, _LAST = (
    (moment.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) for moment in (datetime.min, datetime.max)
)
# Units of a second in Arrow's timestamps, and what a number is multiplied or divided by to have microseconds.
_UNITS = {"s": (_US, 1), "ms": (1000, 1), "us": (1, 1), "ns": (1, 1000)}
_BY_MAGNITUDE = ((10**11 - 1, "s"), (10**14 - 1, "ms"), (10**17 - 1, "us"), (float("inf"), "ns"))
_ALLOWED = "allowed: a timestamp, ISO 8601 text such as 2026-11-01T09:30:00+01:00, or seconds, ms, us or ns since 1970"


def times_of_array(array: Any, place: str, first_row: int) -> NDArray[np.datetime64]:
    """Return the times of an Arrow array, (n,).

    Raises:
        SourceError: the column or a value of it is no time; names the row, counted from `first_row`.
    """
    import pyarrow as pa

    if pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("ms"))
    if pa.types.is_timestamp(array.type):
        return _of_timestamps(array, place, first_row)
    return times_of_values(python_values(array, place), place, first_row)


def times_of_values(values: Sequence[Any], place: str, first_row: int) -> NDArray[np.datetime64]:
    """Return the times of Python values, (n,); None, "" and NaN are no time.

    Raises:
        SourceError: a value is no time; names the row, counted from `first_row`.
    """
    found = np.full(len(values), _NO_TIME, dtype=np.int64)
    for row, value in enumerate(values):
        if value is None or value == "" or value != value:  # NaN is how a table of floats says that nothing is there
            continue
        try:
            exact = _microseconds(value)
            if not _FIRST <= exact <= _LAST:
                raise OverflowError(value)
            found[row] = exact
        except (ValueError, OverflowError, TypeError) as exc:
            raise SourceError(f"{place}: row {first_row + row}: {shown(repr(value))} is no time; {_ALLOWED}") from exc
    day = _written_day(values)
    if day is not None:
        raise SourceError(
            f"{place}: from row {first_row} on, numbers such as {shown(repr(day))}, which look like days and would be "
            f"seconds of the year 1970; {_ALLOWED}"
        )
    return found.view("datetime64[us]")


def python_values(array: Any, place: str) -> list[Any]:
    """Return an Arrow array as Python values.

    Raises:
        SourceError: one of them is none: text that isn't UTF-8, a day of the year 100,000.
    """
    try:
        values: list[Any] = array.to_pylist()
    except UnicodeDecodeError as exc:
        raise SourceError(f"{place}: text that isn't UTF-8") from exc
    except (ValueError, ArithmeticError) as exc:
        raise SourceError(f"{place}: a {shown(str(array.type))} that can't be read: {reason(exc)}") from exc
    return values


def microseconds(moment: datetime) -> int:
    """Return the microseconds from 1970 to a moment; without a zone it is UTC.

    >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, 5))
    1000005
    """
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    span = aware - _EPOCH
    return (span.days * 86_400 + span.seconds) * _US + span.microseconds


def _of_timestamps(array: Any, place: str, first_row: int) -> NDArray[np.datetime64]:
    import pyarrow as pa

    # A zone changes only how Arrow shows a timestamp: the numbers are UTC, or local time of nobody knows where. It
    # isn't looked at: it may be no UTF-8.
    numbers = array.view(pa.int64())
    missing = np.asarray(array.is_null())
    raw = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    times, per = _UNITS[array.type.unit]
    overflows = np.abs(raw.astype(np.float64)) * times / per > 2.0**62
    found: NDArray[np.int64] = np.where(overflows, 0, raw) * times // per
    beyond = overflows | (found < _FIRST) | (found > _LAST)
    if beyond.any():
        row = int(beyond.argmax())
        said = f"{array[row].value} {array.type.unit} since 1970"
        raise SourceError(f"{place}: row {first_row + row}: {said} is no time; {_ALLOWED}")
    found[missing] = _NO_TIME
    return found.view("datetime64[us]")


def _written_day(values: Sequence[Any]) -> int | float | Decimal | None:
    """Return the first number where all of them are days written as 20261101; seconds in a row are not."""
    numbers = (value for value in values if isinstance(value, int | float | Decimal) and value == value)
    first = None
    for number in numbers:
        if not _is_written_day(number):
            return None
        first = number if first is None else first
    return first


def _is_written_day(number: int | float | Decimal) -> bool:
    if not 19_000_101 <= number <= 22_001_231 or number != int(number):
        return False
    try:
        date(int(number) // 10_000, int(number) // 100 % 100, int(number) % 100)
    except ValueError:
        return False
    return True


def _microseconds(value: object) -> int:
    if isinstance(value, datetime):
        return microseconds(value)
    if isinstance(value, date):
        return microseconds(datetime(value.year, value.month, value.day, tzinfo=UTC))
    if isinstance(value, str):
        return microseconds(datetime.fromisoformat(value.strip()))
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError(value)
    if isinstance(value, Decimal):
        return _of_number(int(value) if value == value.to_integral_value() else float(value))
    return _of_number(value)


def _of_number(value: int | float) -> int:
    unit = next(unit for limit, unit in _BY_MAGNITUDE if abs(value) <= limit)
    times, per = _UNITS[unit]
    return value * times // per if isinstance(value, int) else round(value * times / per)
