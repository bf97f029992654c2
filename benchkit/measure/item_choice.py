"""Which items of a task are worth a look: those on which models differ most, and those on which each did worst.

    value of every item, by model ──┬── each pair: the 50 that speak most for either ──┐
                                    └── each model: its ten worst ─────────────────────┴── in turns ──> rows, best first

In turns, the first of each list before the second of any: whoever takes only the beginning has something of each pair.
Among the first ones, those of the baseline's pairs lead, then each model's worst. Equal values keep the order of the
data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, zip_longest

import numpy as np
from numpy.typing import NDArray

from benchkit.measure.cells import Floats

WORST = 10
DIFFERING = 50  # in either direction
_SAME = 1e-9  # values are means of a few numbers; what is closer differs by rounding


def items_to_look_at(values: Mapping[str, Floats], *, baseline: str | None = None) -> list[int]:
    """Return the rows that are worth a look, those that matter most first.

    Args:
        values: How well each model did on each item (n,), 1 = right, nan where an item doesn't count.

    >>> values = {"a": np.array([1.0, 0.2, 1.0]), "b": np.array([0.4, 0.2, 1.0])}
    >>> items_to_look_at(values, baseline="b")  # they differ on the first, and both are bad at the second
    [0, 1]
    """
    pairs = list(combinations(values, 2))
    first = [one for pair in pairs if baseline in pair for one in _differing(values, pair)]
    rest = [one for pair in pairs if baseline not in pair for one in _differing(values, pair)]
    lists = [*first, *(_worst(own) for own in values.values()), *rest]
    return list(dict.fromkeys(row for turn in zip_longest(*lists) for row in turn if row is not None))


def _worst(values: Floats) -> Sequence[int]:
    return _smallest(values, np.flatnonzero(values < 1.0 - _SAME), WORST)


def _differing(values: Mapping[str, Floats], pair: tuple[str, str]) -> list[Sequence[int]]:
    """Return the rows that speak most for the second of two models, and those for the first."""
    gaps = values[pair[0]] - values[pair[1]]
    return [_smallest(one, np.flatnonzero(one < -_SAME), DIFFERING) for one in (gaps, -gaps)]


def _smallest(numbers: Floats, rows: NDArray[np.intp], most: int) -> Sequence[int]:
    found: list[int] = rows[np.argsort(numbers[rows], kind="stable")[:most]].tolist()
    return found
