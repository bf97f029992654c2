"""What a logarithmic axis of cost shows: its title, its unit, its ticks, and a budget's limit on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchkit.types.cost import Budget

CostAxis = Literal["latency", "memory", "bytes"]

_ROUND = "format(datum.value, '~r')"


@dataclass(frozen=True, slots=True)
class Scale:
    """What a cost axis shows.

    Attributes:
        said: Vega expression that writes `datum.value` with its unit.
        ticks: From the ends of the axis to the costs that are written.
        limit: Of a budget, on this cost.
    """

    name: str
    title: str
    unit: str
    said: str
    ticks: Callable[[float, float], Sequence[float]]
    limit: Callable[[Budget], float | None]


def _round_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten; at most nine of them.

    >>> _round_ticks(0.9, 30.0)
    [1.0, 2.0, 5.0, 10.0, 20.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [float(f"{digit}e{power}") for power in decades for digit in (1, 2, 5)]
    inside = [value for value in found if low <= value <= high]
    tens = [float(f"1e{power}") for power in decades if low <= float(f"1e{power}") <= high]
    kept = inside if len(inside) <= 9 else tens
    return kept[:: math.ceil(len(kept) / 9) or 1]


def _binary_ticks(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    return [2.0**power for power in range(first, last + 1, max(1, math.ceil((last - first) / 9)))]


_BINARY = (
    f"datum.value >= 1048576 ? {_ROUND.replace('datum.value', 'datum.value / 1048576')} + ' MiB' : "
    f"datum.value >= 1024 ? {_ROUND.replace('datum.value', 'datum.value / 1024')} + ' KiB' : {_ROUND} + ' B'"
)
SCALES: Mapping[CostAxis, Scale] = {
    "latency": Scale(
        "latency",
        "p95 latency of one query",
        "ms",
        f"datum.value >= 1000 ? {_ROUND.replace('datum.value', 'datum.value / 1000')} + ' s' : {_ROUND} + ' ms'",
        _round_ticks,
        lambda budget: budget.max_p95_ms,
    ),
    "memory": Scale(
        "memory", "peak memory", "MiB", f"{_ROUND} + ' MiB'", _round_ticks, lambda budget: budget.max_memory_mib
    ),
    "bytes": Scale(
        "bytes", "bytes per vector", "bytes", _BINARY, _binary_ticks, lambda budget: budget.max_bytes_per_vector
    ),
}
