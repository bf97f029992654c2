"""When a window's rows came: how many of them in each hour, day or week. Counts add up as sketches do.

    times (n,), length of a unit ── TimeCounts.of ──> rows by unit ── + ──> of a longer window
    rows by unit ─┬─ effective ──> how many units it is like: 7 of a week, 1 of a Sunday, 2 of a night
                  └─ shares(7) ──> share of its rows on each weekday

Units are counted from 1970 in UTC, and again from CYCLE on: six weeks of hours, nearly three years of days. So there is
a bound to what is kept, and a weekday stays a weekday; windows that are longer seem as long as that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

CYCLE = 1008  # a multiple of 7, of 24 and of both


@dataclass(frozen=True, slots=True)
class TimeCounts:
    """Rows of a window by the unit of time that they came in.

    Attributes:
        rows: By the unit's number, 0 to CYCLE - 1.
    """

    rows: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, times: NDArray[np.datetime64], unit_s: int) -> TimeCounts:
        """Count rows by their times; one without a time is not counted."""
        known = times[~np.isnat(times)]
        numbers, counts = np.unique(unit_numbers(known, unit_s) % CYCLE, return_counts=True)
        return cls(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))

    def __add__(self, other: TimeCounts) -> TimeCounts:
        return TimeCounts(dict(sorted((Counter(self.rows) + Counter(other.rows)).items())))

    @property
    def total(self) -> int:
        """Rows that are counted."""
        return sum(self.rows.values())

    @property
    def effective(self) -> float:
        """How many units of equally many rows have a mean that varies as much, (Σ rows)² / Σ rows² (Kish 1965)."""
        squares = sum(count * count for count in self.rows.values())
        return self.total**2 / squares if squares else 0.0

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the units and their rows, in as few bytes as hold them."""
        rows = np.array(list(self.rows.values()), np.int64)
        return {
            "units": np.array(list(self.rows), np.int16),
            "rows": rows.astype(np.min_scalar_type(rows.max(initial=0))),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> TimeCounts:
        """Return the counts that `to_arrays` gave; none of no arrays."""
        if not arrays:
            return cls()
        return cls(dict(zip(arrays["units"].tolist(), arrays["rows"].tolist(), strict=True)))

    def shares(self, period: int) -> NDArray[np.float64]:
        """Return the share of the rows in each phase (period,): with 7, on each weekday.

        Raises:
            ValueError: the cycle is no multiple of the period, or there are no rows.
        """
        if CYCLE % period or not self.total:
            raise ValueError(f"a period of {period} units does not fit {self.total} rows in a cycle of {CYCLE}")
        found = np.zeros(period)
        for number, count in self.rows.items():
            found[number % period] += count
        shares: NDArray[np.float64] = found / self.total
        return shares


def unit_numbers(times: NDArray[np.datetime64], unit_s: int) -> NDArray[np.int64]:
    """Return the number of each time's unit since 1970 (n,)."""
    numbers: NDArray[np.int64] = times.astype("datetime64[s]").astype(np.int64) // unit_s
    return numbers
