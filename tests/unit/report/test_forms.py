"""The way in and out of benchkit's files: nothing foreign is read, and nothing that isn't a number becomes one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pytest

from benchkit.errors import UsageError
from benchkit.report.forms import FileKind, Form, fields_of, number_of, plain, record_of, records_of

KIND = FileKind(name="list", full_name="list of benchkit", task="listing", version=1)


class Entry(Form):
    price: float


class Shop(Form):
    schema_version: Literal[1]
    entries: list[Entry]


@dataclass(frozen=True)
class Part:
    name: str
    sizes: tuple[float, ...] = ()
    options: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Whole:
    part: Part
    secret: str


def test_a_file_of_the_right_kind_is_read() -> None:
    form = KIND.read(Shop, {"schema_version": 1, "entries": [{"price": 0.5}]})
    assert form.entries == [Entry(price=0.5)]


ONLY_1 = "this benchkit supports 1. Read it with the benchkit that wrote it, or run the listing again"
REFUSED = {
    "list": ([], "not a list of benchkit: expected a JSON object, got list"),
    "nothing": (None, "not a list of benchkit: expected a JSON object, got NoneType"),
    "no version": ({}, "not a list of benchkit: it has no schema_version (supported: 1)"),
    "other version": (
        {"schema_version": 4},
        f"the list has schema_version 4; {ONLY_1}",
    ),
    "version as text": (
        {"schema_version": "1"},
        f"the list has schema_version '1'; {ONLY_1}",
    ),
    "version as fact": (
        {"schema_version": True},
        f"the list has schema_version True; {ONLY_1}",
    ),
    "number as text": (
        {"schema_version": 1, "entries": [{"price": 1.0}, {"price": "1"}]},
        "not a list of schema_version 1: entries[1].price: input should be a valid number",
    ),
    "infinity": (
        {"schema_version": 1, "entries": [{"price": math.inf}]},
        "not a list of schema_version 1: entries[0].price: input should be a finite number",
    ),
    "unknown key": (
        {"schema_version": 1, "entries": [], "more": 1},
        "not a list of schema_version 1: more: extra inputs are not permitted",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_foreign_file_is_refused_with_what_was_found(case: str) -> None:
    data, message = REFUSED[case]
    with pytest.raises(UsageError) as refused:
        KIND.read(Shop, data)
    assert str(refused.value) == message


@pytest.mark.parametrize(("wrong", "end"), [(5, "number"), (6, "and 1 more"), (9, "and 4 more")])
def test_of_many_problems_the_first_five_are_told_and_the_others_counted(wrong: int, end: str) -> None:
    with pytest.raises(UsageError) as refused:
        KIND.read(Shop, {"schema_version": 1, "entries": [{"price": "1"}] * wrong})
    said = str(refused.value)
    assert said.count("should be") == 5
    assert said.endswith(end)


def test_what_is_checked_for_its_version_alone_keeps_its_keys() -> None:
    assert KIND.versioned({"schema_version": 1, "odd": 1}) == {"schema_version": 1, "odd": 1}


def test_the_schema_says_what_it_is_of_and_takes_no_further_key() -> None:
    schema = KIND.json_schema(Shop)
    assert schema["title"] == "benchkit list"
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["additionalProperties"] is False


def test_a_record_becomes_json_values_all_the_way_down() -> None:
    whole = Whole(Part("a", (1.0, math.nan, math.inf), {"x": -math.inf, "y": 2.0}), "s")
    expected = {"part": {"name": "a", "sizes": [1.0, None, None], "options": {"x": None, "y": 2.0}}, "secret": "s"}
    assert plain(whole) == expected


def test_the_keys_of_a_record_are_what_the_caller_says_at_every_depth() -> None:
    def without(record: object) -> dict[str, object]:
        return {name: value for name, value in fields_of(record).items() if name not in ("secret", "sizes")}

    found = plain({"of": (Whole(Part("a", (1.0,), {"x": 1.0}), "s"),)}, keys_of=without)
    assert found == {"of": [{"part": {"name": "a", "options": {"x": 1.0}}}]}


@pytest.mark.parametrize("value", [np.float64(0.5), np.float32(0.5), np.int64(3), np.bool_(True)])
def test_a_number_of_an_array_becomes_a_number_of_python(value: np.generic) -> None:
    assert type(plain(value)) is type(value.item())
    assert plain(value) == value.item()


@pytest.mark.parametrize("value", [np.float32("nan"), np.float64("inf")])
def test_what_is_no_number_in_an_array_is_null(value: np.generic) -> None:
    assert plain(value) is None


def test_half_a_surrogate_pair_is_a_question_mark_in_keys_too() -> None:
    assert plain({"\ud800k": "v\ud800"}) == {"?k": "v?"}


def test_true_stays_true_and_null_stays_null() -> None:
    assert plain((True, None, 3)) == [True, None, 3]


def test_lists_are_tuples_again() -> None:
    row = {"name": "a", "sizes": [1.0, 2.0], "options": {}}
    assert record_of(Part, row) == Part("a", (1.0, 2.0), {})
    assert records_of(Part, [row, row]) == (Part("a", (1.0, 2.0), {}),) * 2


def test_an_absent_number_is_no_number_and_never_zero() -> None:
    assert math.isnan(number_of(None))
    assert number_of(0.0) == 0.0
