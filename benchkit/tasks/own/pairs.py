"""Pairs of texts of a team's own data.

    x.csv, folder/test.csv or folder/pairs.csv, in any form ── read_pairs ──> PairData (checked, in the file's order)

Every row counts, so rows of several parts of a data set are refused, and so are values of which none differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchkit.errors import SuiteError
from benchkit.tasks import readings
from benchkit.tasks.own.files import file_of
from benchkit.tasks.own.notes import counted, text_notes
from benchkit.tasks.own.problems import Problems
from benchkit.tasks.own.table import Table


@dataclass(frozen=True, slots=True)
class PairData:
    """Text pairs with a score (STS), a 0/1 label (PairClassification) or nothing (BitextMining).

    Attributes:
        tags: Further columns that make slices, one text for each pair.
    """

    first: list[str]
    second: list[str]
    values: list[float] | None
    notes: tuple[str, ...] = ()
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)


def read_pairs(data: Path, columns: Mapping[str, str], *, kind: str) -> PairData:
    """Read pairs of an STS, PairClassification or BitextMining task.

    Raises:
        SuiteError: with every problem found: a missing column, a score that is no finite number, a label other than
            0 and 1, one label or one score only, fewer than two pairs.
    """
    problems = Problems()
    table = Table(file_of(data, "test", "pairs"), columns, problems)
    first, second = table.texts("sentence1"), table.texts("sentence2")
    table.refuse_parts()
    values = None
    if kind == "STS":
        values = table.numbers("score")
    elif kind == "PairClassification":
        values = table.flags("label", "labels")
        for row, value in zip(table.rows, values, strict=False):
            if value not in (0.0, 1.0):
                problems.add(f"{row.place}: label should be 0 or 1, got {value:g}")
    problems.raise_if_any()
    _refuse_few(table, len(first), 2)
    if values is not None and len(set(values)) < 2:
        column = "score" if kind == "STS" else "label"
        problems.add(f"{table.path}: every {column} is {values[0]:g}; a score can't be computed from one value")
    problems.raise_if_any()
    notes = (
        *text_notes([table], [*first, *second]),
        *filter(None, [readings.no_value_note([*first, *second], "text")]),
    )
    return PairData(first, second, values, notes, table.tags())


def _refuse_few(table: Table, found: int, needed: int) -> None:
    if found < needed:
        raise SuiteError(f"{table.path}: {counted(found, 'row')}; at least {needed} are needed")
