"""What a view shows, as the part of its address after "?": a link says everything that is needed to see the same.

    ?suite=support&models=bge&models=minilm&span=30d ── from_query ──> Filters ── to_query ──> the same again

An address is written by anybody. What isn't understood is dropped with a sentence; texts are bounded in length, and no
value is ever a path: a page looks it up among the names that the board listed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from benchkit.errors import nearest
from benchkit.types.cost import Budget

MAX_LENGTH = 300  # labels are shorter, variants and paths included
MAX_VALUES = 60
MAX_SENTENCES = 5
ALL_TIME = "all"
DATES = "dates"
PLANES = ("pca", "umap")
# How many days back a span begins.
SPANS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90, "365d": 365}

Query = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a view shows; None and () leave a thing open.

    Attributes:
        suite, models, span: Of the bar above every page. The span is one of SPANS, ALL_TIME, or DATES: from `since` to
            `until`, both ISO days.
        comparison, gate: Keys of board rows.
        against: The model that the Compare page's differences are taken to.
        axis: What the Compare page sets quality against.
        other, costs: The run whose machine the Cost page holds beside this one's, and which of its parts is drawn.
        baseline, window: The drift baseline and the key of the check that is looked into.
        trend: What the Drift page shows of all windows below their p-values.
        plane: Which picture it has of where a window lies, one of PLANES.
        task, model, item: What is drilled down to.
        cells, order: What the Tasks page's map says, and which of the items come first.
        slices: The tag by which it cuts a task; without one by split and subset.
        decided: Which list of the History page is in front.
        p95_ms, memory_mib, bytes_per_vector, dimension, licenses: Limits of what a model may cost.
        documents: How many an index is priced for.
        dropped: Sentences on what wasn't understood.
    """

    suite: str | None = None
    models: tuple[str, ...] = ()
    span: str = ALL_TIME
    since: str | None = None
    until: str | None = None
    comparison: str | None = None
    gate: str | None = None
    against: str | None = None
    axis: str | None = None
    other: str | None = None
    costs: str | None = None
    baseline: str | None = None
    window: int | None = None
    trend: str | None = None
    plane: str | None = None
    task: str | None = None
    model: str | None = None
    item: str | None = None
    cells: str | None = None
    order: str | None = None
    slices: str | None = None
    decided: str | None = None
    p95_ms: float | None = None
    memory_mib: float | None = None
    bytes_per_vector: int | None = None
    dimension: int | None = None
    licenses: tuple[str, ...] = ()
    documents: int | None = None
    dropped: tuple[str, ...] = field(default=(), compare=False)

    @property
    def budget(self) -> Budget:
        """Return the limits as the recommendation takes them."""
        return Budget(self.p95_ms, self.memory_mib, self.bytes_per_vector, self.dimension, self.licenses)

    def bounds(self, today: date) -> tuple[str | None, str | None]:
        """Return the first day that is shown and the first that no longer is; None is an open end.

        >>> Filters(span="7d").bounds(date(2026, 11, 21))
        ('2026-11-14', None)
        >>> Filters(span="dates", since="2026-11-01", until="2026-11-30").bounds(date(2026, 12, 5))
        ('2026-11-01', '2026-12-01')
        """
        if self.span == DATES:
            return self.since, self.until and (date.fromisoformat(self.until) + timedelta(days=1)).isoformat()
        back = SPANS.get(self.span)
        return (None if back is None else (today - timedelta(days=back)).isoformat()), None

    def from_the_start(self) -> Filters:
        """Return the same without a first day: how a thing stands at the end of a span may have begun before it."""
        is_ended = self.span == DATES and self.until is not None
        return replace(self, span=DATES if is_ended else ALL_TIME, since=None, until=self.until if is_ended else None)


_PARTS = ("axis", "costs", "trend", "cells", "order", "slices", "decided")
_TEXTS = ("suite", "comparison", "gate", "against", "other", "baseline", "task", "model", "item", *_PARTS)
_LISTS = ("models", "licenses")
_DAYS = ("since", "until")
_NUMBERS = ("p95_ms", "memory_mib")
_COUNTS = ("window", "bytes_per_vector", "dimension", "documents")
_CHOICES = {"plane": PLANES, "span": (*SPANS, ALL_TIME, DATES)}
KEYS = (*_TEXTS, *_LISTS, *_DAYS, *_NUMBERS, *_COUNTS, *_CHOICES)
# More than this no machine has, in ms, MiB, bytes, dimensions or documents.
_LARGEST = 10**12


class _Dropped(ValueError):
    """A value that isn't understood; the message says what is."""


def from_query(query: Query) -> Filters:
    """Return what an address asks for, without what isn't understood.

    >>> from_query({"suite": ["support"], "window": ["three"]}).dropped
    ("window='three' is left out: a whole number is expected",)
    """
    found: dict[str, Any] = {}
    dropped: list[str] = []
    for key, values in query.items():
        try:
            found[key] = _read(key, values)
        except _Dropped as problem:
            dropped.append(f"{_quoted(key, values)} is left out: {problem}")
    if found.get("span") == DATES and (wrong := _wrong_days(found.get("since"), found.get("until"))):
        del found["span"]
        dropped.append(f"span='dates' is left out: {wrong}")
    return replace(Filters(**found), dropped=tuple(_few(dropped)))


def _wrong_days(since: str | None, until: str | None) -> str:
    if since is None and until is None:
        return "it needs since=YYYY-MM-DD or until=YYYY-MM-DD"
    return f"{since} is after {until}" if since and until and since > until else ""


def to_query(filters: Filters) -> dict[str, list[str]]:
    """Return the address of what is shown: the inverse of `from_query`.

    >>> to_query(Filters(suite="support", models=("a", "b")))
    {'suite': ['support'], 'models': ['a', 'b']}
    """
    unset = Filters()
    query: dict[str, list[str]] = {}
    for key in KEYS:
        value = getattr(filters, key)
        if value == getattr(unset, key) or (key in _DAYS and filters.span != DATES):
            continue
        if value == DATES and not (filters.since or filters.until):
            continue  # no day is picked yet: all is shown, as without it
        query[key] = (
            [str(part) for part in value] if key in _LISTS else [_number(value) if key in _NUMBERS else str(value)]
        )
    return query


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


def _few(sentences: Sequence[str]) -> Iterator[str]:
    yield from sentences[:MAX_SENTENCES]
    if len(sentences) > MAX_SENTENCES:
        yield f"{len(sentences) - MAX_SENTENCES} more parts of the address are left out"


def _quoted(key: str, values: Sequence[str]) -> str:
    return f"{_short(key)}={_short(values[-1] if values else '')!r}"


def _short(text: str, limit: int = 40) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _read(key: str, values: Sequence[str]) -> Any:
    if key not in KEYS:
        near = nearest(_short(key), KEYS)
        raise _Dropped(f"no such key{f'; {near} is one' if near else ''}")
    if key in _LISTS:
        return _texts(values)
    if len(values) != 1:
        raise _Dropped("one value is expected")
    return _single(key, values[0])


def _single(key: str, value: str) -> Any:
    if key in _TEXTS:
        return _text(value)
    if key in _DAYS:
        return _day(value)
    if key in _NUMBERS:
        return _above_zero(value)
    if key in _COUNTS:
        return _count(value)
    if value not in _CHOICES[key]:
        raise _Dropped(f"one of {', '.join(_CHOICES[key])} is expected")
    return value


def _text(value: str) -> str:
    if not value.strip():
        raise _Dropped("it is empty")
    if len(value) > MAX_LENGTH:
        raise _Dropped(f"it is longer than {MAX_LENGTH} characters")
    return value


def _texts(values: Sequence[str]) -> tuple[str, ...]:
    if len(values) > MAX_VALUES:
        raise _Dropped(f"more than {MAX_VALUES} values")
    return tuple(dict.fromkeys(map(_text, values)))


def _day(value: str) -> str:
    # date.fromisoformat takes "20261121" and week days too; two spellings of a day are two addresses of a view.
    if re.fullmatch(r"(19|20|21)\d{2}-\d{2}-\d{2}", value, re.ASCII):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
    raise _Dropped("a day is expected: YYYY-MM-DD")


def _above_zero(value: str) -> float:
    try:
        number = float(value) if len(value) <= MAX_LENGTH else math.nan
    except ValueError:
        number = math.nan
    if not 0 < number <= _LARGEST:
        raise _Dropped("a number above 0 is expected")
    return number


def _count(value: str) -> int:
    if not re.fullmatch("[0-9]{1,13}", value) or int(value) > _LARGEST:
        raise _Dropped("a whole number is expected")
    return int(value)
