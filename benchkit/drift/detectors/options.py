"""Options of detectors, checked where a detector is made, so that a wrong one is told before any data is read."""

from __future__ import annotations

import math

from benchkit.drift.detectors.samples import MIN_ROWS


def whole(name: str, value: int, *, least: int) -> int:
    """Return the value.

    Raises:
        ValueError: it isn't a whole number of at least `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} should be a whole number of at least {least}, got {value!r}")
    return value


def positive(name: str, value: float) -> float:
    """Return the value.

    Raises:
        ValueError: it isn't a finite number above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < math.inf:
        raise ValueError(f"{name} should be a number above 0, got {value!r}")
    return float(value)


def row_limit(value: int, *, least: int = MIN_ROWS) -> int:
    """Return the most rows of each sample that a detector compares."""
    return whole("max_rows", value, least=least)
