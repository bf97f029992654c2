"""Which columns make slices, and what they say."""

from __future__ import annotations

import datetime
import math

import pytest

from benchkit.tasks.tag_columns import MOST_CHARACTERS, MOST_VALUES, clean, is_key, tags_of_rows, tags_of_values


@pytest.mark.parametrize(
    ("values", "tags"),
    [
        (["a", "b", "a"], ["a", "b", "a"]),
        ([True, False, True], ["true", "false", "true"]),
        ([1, 2, 2, None], ["1", "2", "2", ""]),
        ([1.0, math.nan, 3.0, 3.0], ["1", "", "3", "3"]),
        ([" New  York\n", "Oslo", "New York", ""], ["New York", "Oslo", "New York", ""]),
        (["\ud83d", "b", "b"], ["\ufffd", "b", "b"]),
    ],
    ids=["texts", "truth values", "whole numbers", "whole numbers with gaps", "white space", "a lone surrogate"],
)
def test_a_few_values_are_tags(values: list[object], tags: list[str]) -> None:
    assert tags_of_values(values) == tags


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["a", "a", "a"],
        ["a", None, ""],
        ["a", "b", "c"],
        [0.5, 1.5, 0.5],
        [["a"], ["b"], ["a"]],
        [{"a": 1}, {"a": 2}, {"a": 1}],
        [datetime.date(2024, 1, 1), "b", "b"],
        ["a" * (MOST_CHARACTERS + 1), "b", "b"],
        [*map(str, range(MOST_VALUES + 1)), "0"],
    ],
    ids=["none", "one", "one and gaps", "all different", "fractions", "lists", "objects", "dates", "prose", "too many"],
)
def test_what_makes_no_slices_is_left_out(values: list[object]) -> None:
    assert tags_of_values(values) is None


def test_fifty_values_are_still_taken() -> None:
    assert tags_of_values([*map(str, range(MOST_VALUES)), "0"]) is not None


def test_a_column_of_names_is_left_at_the_first_value_too_many() -> None:
    def endless():  # type: ignore[no-untyped-def]
        number = 0
        while True:
            yield f"user {number}"
            number += 1

    assert tags_of_values(endless()) is None


def test_rows_may_lack_columns_and_nest_facts_one_level() -> None:
    rows = [
        {"text": "x", "vip": True, "metadata": {"topic": "tax", "vip": "unheard", "deep": {"a": 1}}},
        {"text": "y", "metadata": {"topic": "pay"}},
        {"text": "x", "vip": False, "metadata": None},
        {"text": "y", "vip": False, "metadata": {"topic": "pay"}},
    ]
    assert tags_of_rows(rows, used=["text"]) == {
        "topic": ["tax", "pay", "", "pay"],
        "vip": ["true", "", "false", "false"],
    }


@pytest.mark.parametrize("name", ["", "  ", "a=b", "x" * 101])
def test_a_name_that_no_slice_could_give_is_no_key(name: str) -> None:
    assert not is_key(clean(name))
    assert tags_of_rows([{name: "a"}, {name: "b"}, {name: "a"}]) == {}
