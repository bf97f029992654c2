"""The tags beside a result are a gate's tags: facts of the task, what all items share, and what differs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchkit.api.result_tags import keys_left_out, result_tags
from benchkit.errors import UsageError
from benchkit.types.result import CellResult, ItemScores
from benchkit.types.tags import ItemTags, KeptTags

NAMES = {"test/en": ("q0", "q1"), "test/de": ("q0",)}


def part(place: str) -> ItemScores:
    items = np.array(NAMES[place])
    return ItemScores(*place.split("/"), "mean", "m", items, {"value": np.zeros(len(items))})


CELL = CellResult("m", "faq", "Retrieval", "ok", "m", 0.5, items=tuple(map(part, NAMES)))
KEPT = KeptTags("faq", NAMES, ItemTags({"test/en": {"topic": ("a", "")}, "test/de": {}}, alike={"lang": "zh"}))


def test_facts_what_is_alike_and_what_differs_stand_beside_each_other() -> None:
    found = result_tags([CELL], [KEPT], source="r")
    facts = {"task": "faq", "type": "Retrieval", "split": "test", "lang": "zh"}
    told = {place: {key: values.tolist() for key, values in tags.items()} for place, tags in found.items()}
    assert told == {
        ("faq", "test/en"): {key: [value] * 2 for key, value in {**facts, "subset": "en"}.items()}
        | {"topic": ["a", ""]},
        ("faq", "test/de"): {key: [value] for key, value in {**facts, "subset": "de"}.items()},
    }


def test_a_task_has_no_entry_where_its_tags_are_not_known() -> None:
    assert result_tags([CELL], [], source="r") == {}, "an older cell"
    assert result_tags([replace(CELL, items=())], [KEPT], source="r") == {}


def test_keys_that_were_left_out_are_told_and_the_others_are_there() -> None:
    cut = replace(KEPT, tags=replace(KEPT.tags, left_out=("c8 is one more",)))
    assert result_tags([CELL], [cut], source="r").keys() == result_tags([CELL], [KEPT], source="r").keys()
    assert result_tags([CELL], [cut], source="r")["faq", "test/en"]["topic"].tolist() == ["a", ""]
    assert keys_left_out([cut]) == {"faq": ("c8 is one more",)}
    assert keys_left_out([KEPT]) == {}


@pytest.mark.parametrize("names", [{**NAMES, "test/de": ("q1",)}, {"test/en": NAMES["test/en"]}])
def test_tags_of_other_items_are_refused(names: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(UsageError, match=r"r: faq: the tags in its folder are of other items than its scores"):
        result_tags([CELL], [replace(KEPT, items=names)], source="r")
