"""Tags are packed into few bytes and come back, or are refused."""

from __future__ import annotations

import json
import zlib

import pytest

from benchkit.runner.packed_tags import pack_tags, unpack_tags
from benchkit.types.tags import ItemTags

TAGS = ItemTags({"test/en": {"topic": ("a", "", "中", "a")}, "test/de": {}}, ("why",), {"lang": "中"})


def test_packed_tags_come_back() -> None:
    assert unpack_tags(pack_tags(TAGS)) == TAGS
    assert unpack_tags(pack_tags(ItemTags())) == ItemTags()


def test_a_value_of_many_items_is_there_once() -> None:
    long = ItemTags({"p": {"k": ("a rather long value of a tag",) * 10_000}})
    assert len(pack_tags(long)) < 250


@pytest.mark.parametrize("content", [b"", b"x", zlib.compress(b"[]"), zlib.compress(b'{"parts": 3}'),
                                     zlib.compress(json.dumps({"parts": {"p": {"k": {"values": [], "rows": [1]}}},
                                                               "left_out": []}).encode()),
                                     zlib.compress(b'{"parts": {}, "left_out": []}')])  # fmt: skip
def test_damaged_tags_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"no tags of a cell|Expecting"):
        unpack_tags(content)
