"""Columns of one file as texts, ids, numbers, flags or labels.

    Row, ... + the suite's names of columns ──> one list for each column that is asked for
                                            ├──> Problems: what is missing, of another kind, or stands twice
                                            └──> tags: the columns that nothing has asked for and that make slices

Lone surrogates can't be stored as UTF-8 by any later step: in a text they become U+FFFD here and are counted, in an id
or a label they are refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchkit.tasks import readings
from benchkit.tasks.own.files import Row, read_rows
from benchkit.tasks.own.problems import Problems
from benchkit.tasks.tag_columns import tags_of_rows

_TRUTH = {"true": 1.0, "false": 0.0}
# Columns on which a score depends by their values alone: taking the wrong one of two would go unnoticed.
_ANSWERS = frozenset({"label", "query-id", "corpus-id", "_id"})


class Table:
    """Rows of one file with typed access to columns; every problem is collected, none is guessed away.

    Args:
        columns: Own names of columns; None where a suite can't give any, as in the BEIR layout.
    """

    def __init__(self, path: Path, columns: Mapping[str, str] | None, problems: Problems) -> None:
        self.path = path
        self.rows = read_rows(path)
        self._columns = columns or {}
        self._can_rename = columns is not None
        # Of all rows: a jsonl file may leave a key out where it has no value, in its first row too.
        self._known = list(dict.fromkeys(name for row in self.rows for name in row.values))
        self._problems = problems
        self._used: dict[str, str] = {}
        self.repaired = 0

    def tags(self, rows: Sequence[Row] | None = None) -> dict[str, list[str]]:
        """Return the columns that nothing has asked for and that make slices, for all rows or some of them."""
        return tags_of_rows([row.values for row in (self.rows if rows is None else rows)], used=self._used)

    def refuse_parts(self) -> None:
        """Refuse rows of several parts of a data set where all of them would be scored."""
        name, parts = readings.column_of_parts([row.values for row in self.rows])
        if name:
            self._problems.add(
                f"{self.path}: the column {name!r} holds {parts}, and every row would count; "
                "keep the rows of one part in a file of their own, without that column"
            )

    def _name(self, column: str, *fallbacks: str) -> str | None:
        if not self.rows:
            return None  # that there is no row at all is for the caller to say, once
        wanted = self._columns.get(column)
        for name in (wanted,) if wanted else (column, *fallbacks):
            if name in self._known:
                if wanted is None:
                    self._refuse_twin(column, name, fallbacks)
                if name in self._used:
                    self._problems.add(
                        f"{self.path}: the column {name!r} would be both {self._used[name]} and {column}"
                    )
                self._used[name] = column
                return name
        hint = f"; name it in the suite: columns: {{{column}: ...}}" if not wanted and self._can_rename else ""
        found = ", ".join(map(str, self._known))
        self._problems.add(f"{self.path}: no column {wanted or column!r}; found: {found}{hint}")
        return None

    def _refuse_twin(self, column: str, name: str, fallbacks: Sequence[str]) -> None:
        """Refuse two columns that are called alike and differ, where the wrong one would be taken without a word."""
        values = [row.values.get(name) for row in self.rows]
        for twin in fallbacks if column in _ANSWERS else ():
            others = [row.values.get(twin) for row in self.rows]
            # Ids that have none in common can't be confused: judgements know only one kind.
            could_be = column == "label" or not {*map(str, values)}.isdisjoint(map(str, others))
            if twin != name and twin in self._known and others != values and could_be:
                hint = "name one in the suite" if self._can_rename else "leave one out"
                self._problems.add(f"{self.path}: {name!r} and {twin!r} are both there and differ; {hint}")

    def texts(self, column: str, *fallbacks: str, optional: bool = False) -> list[str]:
        """Return a column of texts; an optional one is "" where it is absent or has no value."""
        if optional and column not in self._known:
            if near := [name for name in self._known if name.strip().casefold() == column]:
                self._problems.add(f"{self.path}: the column {near[0]!r} isn't read; call it {column}, or leave it out")
            return [""] * len(self.rows)
        name = self._name(column, *fallbacks)
        if name is None:
            return []
        return [self._text(row, name, optional=optional) for row in self.rows]

    def _text(self, row: Row, name: str, *, optional: bool) -> str:
        value = row.values.get(name)
        if isinstance(value, str):
            # UTF-16 has an escape for a lone surrogate, UTF-8 has none; "replace" then gives U+FFFD.
            repaired = (
                value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _has_surrogate(value) else value
            )
            self.repaired += repaired is not value
            return repaired
        if value is None or (isinstance(value, float) and math.isnan(value)):
            if not optional:
                self._problems.add(f"{row.place}: {name} is missing")
        else:
            self._problems.add(f"{row.place}: {name} should be a text, got {value!r:.60}")
        return ""

    def identifiers(self, column: str, *fallbacks: str, unique: bool) -> list[str]:
        """Return a column of ids as texts; numbers are taken as they are written."""
        name = self._name(column, *fallbacks)
        if name is None:
            return []
        found: list[str] = []
        seen: dict[str, str] = {}
        for row in self.rows:
            value = row.values.get(name)
            if not _is_id(value):
                self._problems.add(f"{row.place}: {name} should be an id (text or whole number), got {value!r:.60}")
                value = ""
            key = self._storable(str(value), row, name)
            if unique and key and key in seen:
                self._problems.add(f"{row.place}: the id {key!r} stands already at {seen[key]}")
            seen.setdefault(key, row.place)
            found.append(key)
        return found

    def identifier_lists(self, column: str, *fallbacks: str) -> list[list[str]]:
        """Return a column of lists of ids; what stands twice in a list counts once."""
        name = self._name(column, *fallbacks)
        if name is None:
            return []
        found: list[list[str]] = []
        for row in self.rows:
            value = row.values.get(name)
            if not isinstance(value, list):
                self._problems.add(f"{row.place}: {name} should be a list of document ids, got {value!r:.60}")
                value = []
            if wrong := [each for each in value if not _is_id(each)]:
                self._problems.add(f"{row.place}: {name} should hold ids (text or whole number), got {wrong[0]!r:.60}")
            found.append(list(dict.fromkeys(str(each) for each in value if _is_id(each))))
        return found

    def numbers(self, column: str, *fallbacks: str, default: float | None = None) -> list[float]:
        """Return a column of finite numbers."""
        if default is not None and column not in self._known:
            return [default] * len(self.rows)
        name = self._name(column, *fallbacks)
        if name is None:
            return []
        return [self._number(row, name) for row in self.rows]

    def grades_elsewhere(self, column: str) -> str:
        """Return the name of a column of numbers that nothing has asked for, where `column` isn't there."""
        is_there = column in self._known
        return "" if is_there else readings.grades_elsewhere([row.values for row in self.rows], known=self._used)

    def flags(self, column: str, *fallbacks: str) -> list[float]:
        """Return a column of 0 and 1, where true and false count as such; other numbers are left to the caller."""
        name = self._name(column, *fallbacks)
        if name is None:
            return []
        # csv files spell truth values as words, in any case.
        words = [str(row.values.get(name)).strip().lower() for row in self.rows]
        return [
            _TRUTH[word] if word in _TRUTH else self._number(row, name)
            for row, word in zip(self.rows, words, strict=True)
        ]

    def _number(self, row: Row, name: str) -> float:
        value = row.values.get(name)
        try:
            # Python reads True as 1 and "1_5" as 15.
            is_else = isinstance(value, bool) or (isinstance(value, str) and "_" in value)
            number = math.nan if is_else or value is None else float(value)
        except (TypeError, ValueError, OverflowError):
            number = float("nan")
        if not math.isfinite(number):
            self._problems.add(f"{row.place}: {name} should be a finite number, got {value!r:.60}")
            return 0.0
        return number

    def labels(self, column: str, *fallbacks: str) -> list[str]:
        """Return a column of class labels (texts or whole numbers) as texts."""
        name = self._name(column, *fallbacks)
        if name is None:
            return []
        found = []
        for row in self.rows:
            value = row.values.get(name)
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if not _is_label(value) or readings.is_written_list(str(value)):
                self._problems.add(f"{row.place}: {name} should be a label (text or whole number), got {value!r:.60}")
                value = ""
            found.append(self._storable(str(value), row, name))
        self._refuse_alike(name, [[label] for label in found])
        return found

    def _refuse_alike(self, name: str, labels: Sequence[Sequence[str]]) -> None:
        """Refuse two spellings of what a person reads as one label, which would count as two."""
        first: dict[str, str] = {}
        seen: set[str] = set()
        for row, several in zip(self.rows, labels, strict=True):
            for label in several:
                if label in seen:
                    continue
                seen.add(label)
                other = first.setdefault(readings.plain_label(label), label)
                if other != label:
                    self._problems.add(f"{row.place}: {name} {label!r} and {other!r} read alike; write them in one way")

    def label_lists(self, column: str, *fallbacks: str) -> list[list[str]]:
        """Return a column of label lists; in csv the labels of a row are separated by "|"."""
        name = self._name(column, *fallbacks)
        if name is None:
            return []
        is_joined_otherwise = readings.are_joined_otherwise(
            [value for row in self.rows if isinstance(value := row.values.get(name), str)]
        )
        found = []
        for row in self.rows:
            value = row.values.get(name)
            if isinstance(value, str):
                if _hides_labels(value) or (is_joined_otherwise and ("," in value or ";" in value)):
                    # It would count as one label, or as several wrong ones.
                    self._problems.add(f'{row.place}: {name} should be labels separated by "|", got {value!r:.60}')
                value = [part.strip() for part in value.split("|") if part.strip()]
            if not isinstance(value, list) or not all(map(_is_label, value)):
                self._problems.add(f"{row.place}: {name} should be a list of labels, got {value!r:.60}")
                value = []
            # A label that stands twice would be drawn twice as often to train on.
            found.append([self._storable(label, row, name) for label in dict.fromkeys(map(str, value))])
        self._refuse_alike(name, found)
        return found

    def _storable(self, key: str, row: Row, name: str) -> str:
        """Refuse an id or a label that files or NumPy would store as another one, so that two could become one."""
        if _has_surrogate(key) or "\0" in key:
            self._problems.add(
                f"{row.place}: {name} holds a lone surrogate or a NUL, which can't be stored: {key!r:.60}"
            )
        return key


def _hides_labels(value: str) -> bool:
    return readings.is_written_list(value) or readings.is_in_brackets(value)


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and bool(str(value).strip())


def _is_label(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and bool(str(value).strip())


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
