"""Kept are the tags that cut a task's items into slices, and no more of them than a file should have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from own_data import jsonl, sts

from benchkit.tasks.kept_tags import ALWAYS_KEPT, MOST_BYTES, bounded, tags_to_keep
from benchkit.tasks.opened import open_task
from benchkit.types.result import ItemScores
from benchkit.types.tags import ItemTags
from benchkit.types.task import TaskSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

LANGUAGE = {"lang": "en"}


def texts(*values: str) -> np.ndarray:
    return np.array(values, dtype=np.str_)


def test_a_further_column_of_own_data_is_kept_in_the_order_of_the_items(tmp_path: Path) -> None:
    path = sts(tmp_path / "sts.jsonl", n=12)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    jsonl(path, [{**row, "topic": "ab"[number % 2]} for number, row in enumerate(rows)])
    opened = open_task(TaskSpec(name="s", type="STS", data=path), cache_dir=tmp_path, offline=True)
    part = ItemScores("test", "default", "mean", "m", texts("3", "0", "2"), {"value": np.zeros(3)})
    assert tags_to_keep(opened, [part]) == ItemTags({"test/default": {"topic": ("b", "a", "a")}}, alike=LANGUAGE)
    assert tags_to_keep(opened, []) == ItemTags()


def test_what_is_the_same_for_all_items_is_kept_once_and_what_is_told_elsewhere_is_not() -> None:
    same = {"task": texts("t", "t"), "type": texts("STS", "STS"), "lang": texts("en", "en"), "no": texts("", "")}
    parts = {
        "test/en": {**same, "split": texts("test", "test"), "subset": texts("en", "en")},
        "dev/de": {**same, "split": texts("dev", "dev"), "subset": texts("de", "de")},
    }
    assert bounded(parts) == ItemTags(alike={"lang": "en"})


def test_a_value_that_some_items_have_cuts_them_as_two_values_do() -> None:
    assert bounded({"p": {"vip": texts("x", "")}}).parts == {"p": {"vip": ("x", "")}}
    whole, absent = {"vip": texts("x"), "all": texts("y")}, {"all": texts("y")}
    assert bounded({"p": whole, "q": absent}) == ItemTags({"p": {"vip": ("x",)}, "q": {}}, alike={"all": "y"})


def test_a_language_that_differs_from_subset_to_subset_is_kept() -> None:
    found = bounded({"test/en": {"lang": texts("en", "en")}, "test/de": {"lang": texts("de")}})
    assert found.parts == {"test/en": {"lang": ("en", "en")}, "test/de": {"lang": ("de",)}}


def test_all_columns_are_kept_as_long_as_they_are_small() -> None:
    columns = {f"c{number:02}": texts("a", "b") for number in range(40)}
    found = bounded({"p": columns})
    assert list(found.parts["p"]) == list(columns)
    assert found.left_out == ()


def test_columns_and_values_beyond_the_bounds_are_left_out_with_a_sentence() -> None:
    half = np.resize(texts("a", "b"), MOST_BYTES // 2)
    columns = {f"c{number}": half for number in range(ALWAYS_KEPT + 1)}
    found = bounded({"p": columns})
    assert list(found.parts["p"]) == [f"c{number}" for number in range(ALWAYS_KEPT)]
    assert found.left_out == ("c8 is beyond the first 8 columns and the 1 MiB of a task that are kept",)

    fifty, more = (texts(*(f"v{row}" for row in range(n))) for n in (50, 51))
    assert len(set(bounded({"p": {"lang": fifty}}).parts["p"]["lang"])) == 50
    assert bounded({"p": {"lang": more}}) == ItemTags({}, ("lang has 51 values, and at most 50 are kept",))


def test_the_bound_counts_each_value_once_and_a_byte_for_each_item_of_every_part() -> None:
    # Eight columns of "c0", "a" and "b", four bytes of text, with n items in either part; the ninth is one byte longer.
    n = MOST_BYTES // 18 - 4
    parts = {place: {f"c{number}": np.resize(texts("a", "b"), n) for number in range(9)} for place in "pq"}
    assert 18 * (n + 4) <= MOST_BYTES < 18 * (n + 4) + 2 * 9
    assert bounded(parts).left_out == ()
    longer = {place: {**columns, "c8": np.resize(texts("a", "b" * 10), n)} for place, columns in parts.items()}
    assert [why.split()[0] for why in bounded(longer).left_out] == ["c8"]
    small = {**longer["p"], "c9": texts("a", "b")}
    assert [why.split()[0] for why in bounded({**longer, "p": small}).left_out] == ["c8"], "a smaller one has room"
